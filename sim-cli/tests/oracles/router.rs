//! Our BGP speaker over our TCP, with a TUN device for a link.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use ipnet::Ipv4Net;
use sim_core::proto::bgp::{ConnId, Input, Originated, Output, PeerConfig, PeerId, Speaker, SpeakerConfig};
use sim_core::proto::tcp::{self, Event, Stack, StackOutput, TcpConfig};
use sim_core::reason::{DropReason, State, Step};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::pace::Site;
use crate::process::{Outcome, run_line};

/// Our address on the link.
pub const OURS: &str = "169.254.10.1";
/// The peer's address on the link, which the kernel holds.
pub const THEIRS: &str = "169.254.10.2";
/// Our AS.
pub const OUR_AS: u32 = 64_512;
/// The peer's AS.
pub const THEIR_AS: u32 = 65_000;

const BGP_PORT: u16 = 179;
const SEED: u64 = 1;
/// The first peer.
pub const PEER: PeerId = PeerId(0);

/// A BGP connection and the TCP connection below it.
struct Joint {
    peer: PeerId,
    bgp: ConnId,
    tcp: tcp::ConnId,
    up: bool,
}

/// The speaker, its TCP and its link.
pub struct Router {
    speaker: Speaker,
    stack: Stack,
    tcp: TcpConfig,
    /// Our address and the peer's, by peer.
    ends: Vec<[Ipv4Addr; 2]>,
    device: Arc<SyncDevice>,
    joints: Vec<Joint>,
    accepted: u32,
    /// True while nothing goes out or comes in.
    pub dark: bool,
    /// What the speaker reported, but for routes and octets.
    pub reports: Vec<Output>,
    /// Why packets were ignored.
    pub ignored: Vec<DropReason>,
    log: Vec<String>,
}

/// The peer that the tests begin with: AS and addresses as above.
pub fn peer(hold_time: Duration) -> Outcome<PeerConfig> {
    let subnet = parse(&format!("{OURS}/30"))?;
    let mut peer = PeerConfig::new("bird", THEIR_AS, parse(OURS)?, parse(THEIRS)?, subnet);
    peer.hold_time = hold_time;
    Ok(peer)
}

/// So many networks of our own.
pub fn networks(prefixes: u16) -> Outcome<Vec<(Ipv4Net, Originated)>> {
    (0..prefixes).map(|n| Ok((parse(&network(n))?, Originated::default()))).collect()
}

impl Router {
    /// A router that announces `prefixes` networks; what the kernel sends to it arrives on the channel. If `passive`, it
    /// waits for the peer's connection.
    pub fn new(passive: bool, hold_time: Duration, prefixes: u16) -> Outcome<(Self, Receiver<Vec<u8>>)> {
        let peer = PeerConfig { passive, ..peer(hold_time)? };
        let mut config = SpeakerConfig::new(OUR_AS, parse(OURS)?, vec![peer]);
        config.networks = networks(prefixes)?;
        Self::with(config, TcpConfig::default())
    }

    /// A router with this speaker, whose connections are all alike.
    pub fn with(config: SpeakerConfig, tcp: TcpConfig) -> Outcome<(Self, Receiver<Vec<u8>>)> {
        let ends: Vec<_> = config.peers.iter().map(|peer| [peer.local_address, peer.remote_address]).collect();
        let mut stack = Stack::new(ends.iter().map(|[ours, _]| *ours), Rng::stream(SEED, "router", Purpose::Tcp));
        for [_, theirs] in &ends {
            stack.listen(BGP_PORT, Some((*theirs).into()), tcp.clone());
        }
        let (device, inbox) = link()?;
        let router = Self {
            speaker: Speaker::new(config, |n| Rng::stream(SEED, n, Purpose::BgpTimers)),
            stack,
            tcp,
            ends,
            device,
            joints: Vec::new(),
            accepted: 0,
            dark: false,
            reports: Vec::new(),
            ignored: Vec::new(),
            log: Vec::new(),
        };
        Ok((router, inbox))
    }

    /// The operator starts the first session.
    pub fn start(&mut self, now: Instant) -> Outcome {
        self.input(now, Input::Start { peer: PEER })
    }

    /// Gives the speaker an input.
    pub fn input(&mut self, now: Instant, input: Input<'_>) -> Outcome {
        self.speaker.handle(now, input);
        self.drain(now)
    }

    /// Withdraws the network with this number.
    pub fn withdraw(&mut self, now: Instant, n: u16) -> Outcome {
        let prefix = parse(&network(n))?;
        self.input(now, Input::WithdrawOriginated { prefix })
    }

    /// Sends octets on the first session, of which its speaker knows nothing.
    pub fn inject(&mut self, now: Instant, bytes: &[u8]) -> Outcome {
        let joint = self.joints.iter().rev().find(|joint| joint.peer == PEER && joint.up).ok_or("no connection")?;
        self.stack.send(now, joint.tcp, bytes).map_err(|e| e.to_string())?;
        self.drain(now)
    }

    /// The speaker, to look at.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// How many routes the first peer has announced.
    pub fn known(&self) -> usize {
        self.speaker.adj_rib_in(PEER).len()
    }

    /// The first session's state.
    pub fn state(&self) -> State {
        self.speaker.state(PEER)
    }

    /// Code and subcode of the NOTIFICATIONs that were sent and heard on any session.
    pub fn notifications(&self, sent: bool) -> Vec<(u8, u8)> {
        let of = |output: &Output| match output {
            Output::Step { step: Step::NotificationMessageSent, codes, .. } if sent => *codes,
            Output::Step { step: Step::NotificationMessageReceived, codes, .. } if !sent => *codes,
            _ => None,
        };
        self.reports.iter().filter_map(of).collect()
    }

    /// What happened, for the message of a failure.
    pub fn log(&self) -> String {
        self.log.join("\n")
    }

    /// Carries what the machines want between them and to the link, until they want nothing more.
    fn drain(&mut self, now: Instant) -> Outcome {
        loop {
            if let Some(output) = self.speaker.poll() {
                self.serve_speaker(now, output)?;
            } else if let Some(output) = self.stack.poll() {
                self.serve_stack(now, output)?;
            } else {
                return Ok(());
            }
        }
    }

    fn serve_speaker(&mut self, now: Instant, output: Output) -> Outcome {
        match output {
            Output::Connect { peer, conn } => {
                let [ours, theirs] = self.ends[peer.index()];
                let tcp = self.stack.connect(now, self.tcp.clone(), ours, SocketAddrV4::new(theirs, BGP_PORT));
                self.join(peer, conn, tcp);
            }
            Output::Send { conn, bytes } => {
                if let Some(tcp) = self.below(conn) {
                    let sent = self.stack.send(now, tcp, &bytes);
                    sent.map_err(|e| format!("{conn:?}: {e:?}"))?;
                }
            }
            Output::Close { conn, abortive } => {
                if let Some(tcp) = self.below(conn) {
                    match abortive {
                        true => self.stack.abort(now, tcp),
                        false => self.stack.close(now, tcp),
                    }
                }
            }
            Output::Route(_) | Output::Ipv6Route(_) => {}
            Output::Expired { .. }
            | Output::State { .. }
            | Output::Step { .. }
            | Output::Communication { .. }
            | Output::NearLimit { .. }
            | Output::Withheld { .. }
            | Output::Retained { .. }
            | Output::Refused { .. } => {
                // Of ten thousand prefixes the first few lines are enough.
                if self.log.len() < 500 {
                    self.log.push(format!("{now} {output:.300?}"));
                }
                self.reports.push(output);
            }
        }
        Ok(())
    }

    fn serve_stack(&mut self, now: Instant, output: StackOutput) -> Outcome {
        match output {
            StackOutput::Transmit { packet, .. } if !self.dark => {
                self.device.send(packet.bytes()).map_err(|e| format!("tun0: {e}"))?;
            }
            StackOutput::Transmit { .. } => {}
            StackOutput::Accepted { conn, remote, .. } => {
                let peer =
                    self.ends.iter().position(|[_, theirs]| IpAddr::V4(*theirs) == remote.ip()).unwrap_or_default();
                self.join(PeerId(peer as u16), ConnId::Accepted(self.accepted), conn);
                self.accepted += 1;
            }
            StackOutput::Event { conn, event } => self.tcp_event(now, conn, event),
            StackOutput::Ignored(reason) => self.ignored.push(reason),
        }
        Ok(())
    }

    fn tcp_event(&mut self, now: Instant, tcp: tcp::ConnId, event: Event) {
        let Some(joint) = self.joints.iter_mut().find(|j| j.tcp == tcp) else {
            return;
        };
        let (peer, conn) = (joint.peer, joint.bgp);
        let input = match &event {
            Event::Connected => {
                joint.up = true;
                Input::TcpConnected { peer, conn }
            }
            Event::Received(bytes) => Input::Received { conn, bytes },
            Event::PeerClosed => Input::TcpClosed { peer, conn, reset: false },
            Event::Reset if joint.up => Input::TcpClosed { peer, conn, reset: true },
            Event::Reset | Event::TimedOut => Input::TcpFailed { peer, conn },
            Event::Closed | Event::Ignored(_) => return,
        };
        self.speaker.handle(now, input);
    }

    fn join(&mut self, peer: PeerId, bgp: ConnId, tcp: tcp::ConnId) {
        let up = false;
        self.joints.push(Joint { peer, bgp, tcp, up });
    }

    fn below(&self, conn: ConnId) -> Option<tcp::ConnId> {
        self.joints.iter().find(|j| j.bgp == conn).map(|j| j.tcp)
    }
}

impl Site for Router {
    type Arrival = Vec<u8>;
    type Error = String;

    fn wake(&self) -> Option<Instant> {
        let speaker = self.speaker.wake().map(|(at, _)| at);
        speaker.into_iter().chain(self.stack.wake()).min()
    }

    fn timeout(&mut self, now: Instant) -> Outcome {
        self.speaker.handle_timeout(now);
        self.stack.handle_timeout(now);
        self.drain(now)
    }

    fn arrival(&mut self, now: Instant, packet: Vec<u8>) -> Outcome {
        if self.dark {
            return Ok(());
        }
        self.stack.handle(now, &packet);
        self.drain(now)
    }
}

/// The network with this number.
fn network(n: u16) -> String {
    let [high, low] = n.to_be_bytes();
    format!("10.{high}.{low}.0/24")
}

/// A TUN device whose kernel end has the peer's address.
pub fn link() -> Outcome<(Arc<SyncDevice>, Receiver<Vec<u8>>)> {
    let device = DeviceBuilder::new().name("tun0").build_sync();
    let device = Arc::new(device.map_err(|e| format!("/dev/net/tun: {e}"))?);
    run_line(&format!("ip address add {THEIRS}/30 dev tun0"))?;
    run_line("ip link set tun0 up")?;
    let (to_router, inbox) = channel();
    let reader = Arc::clone(&device);
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(len) = reader.recv(&mut buffer) {
            if to_router.send(buffer[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    Ok((device, inbox))
}

/// Reads what a constant says.
pub fn parse<T: std::str::FromStr>(text: &str) -> Outcome<T> {
    text.parse().map_err(|_| format!("{text:?} is not well-formed"))
}
