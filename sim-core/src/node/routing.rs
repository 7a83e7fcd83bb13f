//! A BGP speaker on top of a TCP stack: the two machines of a routing device, and the wires between them.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::{IpNet, Ipv4Net};

use super::Cx;
use crate::id::{RecordId, SessionId};
use crate::packet::Packet;
use crate::proto::bgp::{self, PeerId, RouteChange, Speaker, SpeakerConfig};
use crate::proto::tcp::{self, Event, Stack, StackOutput, TcpConfig};
use crate::reason::{DropReason, State, Step, TimerKind};
use crate::rng::{Purpose, Rng};
use crate::time::Instant;
use crate::trace::Prefixes;

/// TCP port of BGP (RFC 4271 section 8).
const BGP_PORT: u16 = 179;

/// What a device's routing is made from.
#[derive(Clone, Debug)]
pub struct RoutingConfig {
    /// Stable name: it chooses the random streams.
    pub name: String,
    /// The seed of the world.
    pub seed: u64,
    /// The speaker.
    pub speaker: SpeakerConfig,
    /// The session of each peer in records, in the speaker's order.
    pub sessions: Vec<SessionId>,
    /// How the TCP connections of each peer behave, in the same order.
    pub tcp: Vec<TcpConfig>,
}

/// What routing wants of its device, in order.
#[derive(Debug)]
pub(super) enum RoutingEvent {
    /// Send this packet, to this peer if it is one.
    Send(Packet, Option<PeerId>),
    /// The best route to a prefix changed because of that record.
    Route(RouteChange, RecordId),
    /// A session was established, or is no longer, because of that record.
    Session(RecordId),
}

/// A connection as both machines name it.
#[derive(Clone, Copy, Debug)]
struct Line {
    peer: PeerId,
    speaker: bgp::ConnId,
    stack: tcp::ConnId,
    /// False until the handshake is complete.
    up: bool,
}

/// A speaker with its TCP.
pub struct Routing {
    config: RoutingConfig,
    speaker: Speaker,
    stack: Stack,
    lines: Vec<Line>,
    accepted: u32,
    /// The latest record of this drain that is not about something sent: what route changes follow from.
    anchor: RecordId,
    /// Why the stack has no use for the packet that it was given.
    ignored: Option<DropReason>,
}

impl Routing {
    /// A speaker with all peers stopped.
    pub fn new(config: RoutingConfig) -> Self {
        let speaker = Speaker::new(config.speaker.clone(), |peer| {
            Rng::stream(config.seed, &format!("{}/{peer}", config.name), Purpose::BgpTimers)
        });
        let peers = &config.speaker.peers;
        let addresses: Vec<Ipv4Addr> = peers.iter().map(|peer| peer.local_address).collect();
        let mut stack = Stack::new(addresses, Rng::stream(config.seed, &config.name, Purpose::Tcp));
        for (peer, tcp) in peers.iter().zip(&config.tcp) {
            stack.listen(BGP_PORT, Some(peer.remote_address), tcp.clone());
        }
        let (lines, ignored) = Default::default();
        Self { config, speaker, stack, lines, accepted: 0, anchor: RecordId::GENESIS, ignored }
    }

    /// The speaker, to look at.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// True if every session is established.
    pub fn established(&self) -> bool {
        self.peers().all(|peer| self.speaker.state(peer) == State::Established)
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + use<> {
        (0..self.config.speaker.peers.len() as u16).map(PeerId)
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        self.speaker.handle(Instant::START, bgp::Input::Reset);
        while self.speaker.poll().is_some() {}
        self.stack.reset_all();
        while self.stack.poll().is_some() {}
        self.lines.clear();
    }

    /// Gives the speaker an input and carries out what follows.
    pub(super) fn input(&mut self, cx: &mut Cx, input: bgp::Input<'_>, events: &mut Vec<RoutingEvent>) {
        cx.rearm();
        self.speaker.handle(cx.now, input);
        self.drain(cx, events);
    }

    /// Gives the stack a packet for one of its addresses.
    pub(super) fn packet(&mut self, cx: &mut Cx, packet: &Packet, events: &mut Vec<RoutingEvent>) {
        cx.rearm();
        self.stack.handle(cx.now, packet.bytes());
        self.drain(cx, events);
        if let Some(reason) = self.ignored.take() {
            cx.drop(packet, reason, RecordId::GENESIS);
        }
    }

    /// Tells both machines the time.
    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<RoutingEvent>) {
        self.speaker.handle_timeout(cx.now);
        self.drain(cx, events);
        self.stack.handle_timeout(cx.now);
        self.drain(cx, events);
    }

    /// When either machine wants `timeout`.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let tcp = self.stack.wake().map(|at| (at, TimerKind::TcpTimer));
        self.speaker.wake().into_iter().chain(tcp).min_by_key(|(at, _)| *at)
    }

    fn drain(&mut self, cx: &mut Cx, events: &mut Vec<RoutingEvent>) {
        self.anchor = cx.cause;
        loop {
            if let Some(output) = self.speaker.poll() {
                self.obey(cx, output, events);
            } else if let Some(output) = self.stack.poll() {
                self.hear(cx, output, events);
            } else {
                return;
            }
        }
    }

    /// Carries out what the speaker wants.
    fn obey(&mut self, cx: &mut Cx, output: bgp::Output, events: &mut Vec<RoutingEvent>) {
        let session = |peer: PeerId| self.config.sessions[peer.index()];
        match output {
            bgp::Output::Connect { peer, conn } => {
                let addresses = &self.config.speaker.peers[peer.index()];
                let remote = SocketAddrV4::new(addresses.remote_address, BGP_PORT);
                let stack =
                    self.stack.connect(cx.now, self.config.tcp[peer.index()].clone(), addresses.local_address, remote);
                self.lines.push(Line { peer, speaker: conn, stack, up: false });
            }
            bgp::Output::Send { conn, bytes } => {
                if let Some(line) = self.lines.iter().find(|line| line.speaker == conn) {
                    // A refused octet means that the connection is gone, of which the stack tells in its own time.
                    let _ = self.stack.send(cx.now, line.stack, &bytes);
                }
            }
            bgp::Output::Close { conn, abortive } => {
                if let Some(place) = self.lines.iter().position(|line| line.speaker == conn) {
                    let line = self.lines.remove(place);
                    if abortive {
                        self.stack.abort(cx.now, line.stack);
                    } else {
                        self.stack.close(cx.now, line.stack);
                    }
                }
            }
            bgp::Output::Expired { peer, timer, armed_at } => {
                self.anchor = cx.expired(peer.map(session), timer, armed_at);
            }
            bgp::Output::State { peer, from, to, reason } => {
                self.anchor = cx.state(session(peer), from, to, reason);
                if (from == State::Established) != (to == State::Established) {
                    events.push(RoutingEvent::Session(self.anchor));
                }
            }
            bgp::Output::Step { peer, step, codes, prefixes, .. } => {
                let (code, subcode) = codes.unwrap_or_default();
                let record = match prefixes {
                    Some(prefixes) => cx.update(session(peer), step, for_the_trace(&prefixes)),
                    None => cx.step(session(peer), step, u32::from(code) << 8 | u32::from(subcode)),
                };
                if !step.is_sent() {
                    self.anchor = record;
                }
            }
            bgp::Output::Communication { peer, text } => {
                let octets = text.map_or(0, |text| text.len());
                self.anchor = cx.step(session(peer), Step::CommunicationReceived, octets as u32);
            }
            bgp::Output::NearLimit { peer, prefixes } => {
                self.anchor = cx.step(session(peer), Step::PrefixLimitNear, prefixes as u32);
            }
            bgp::Output::Retained { peer, routes } => {
                self.anchor = cx.step(session(peer), Step::RoutesRetained, routes as u32);
            }
            bgp::Output::Route(change) => events.push(RoutingEvent::Route(change, self.anchor)),
            bgp::Output::Refused { .. } => {}
        }
    }

    /// Tells the speaker what the stack says.
    fn hear(&mut self, cx: &mut Cx, output: StackOutput, events: &mut Vec<RoutingEvent>) {
        match output {
            StackOutput::Transmit { mut packet, .. } => {
                let destination = crate::wire::ipv4::Ipv4Packet::new_unchecked(packet.bytes()).dst();
                packet.meta = cx.meta();
                let peers = &self.config.speaker.peers;
                let peer = peers.iter().position(|peer| peer.remote_address == destination);
                packet.meta.session = peer.map(|peer| self.config.sessions[peer]);
                cx.created(&packet);
                events.push(RoutingEvent::Send(packet, peer.map(|peer| PeerId(peer as u16))));
            }
            StackOutput::Accepted { conn, remote, .. } => {
                let peers = &self.config.speaker.peers;
                if let Some(peer) = peers.iter().position(|peer| peer.remote_address == *remote.ip()) {
                    self.accepted += 1;
                    let speaker = bgp::ConnId::Accepted(self.accepted);
                    self.lines.push(Line { peer: PeerId(peer as u16), speaker, stack: conn, up: false });
                }
            }
            StackOutput::Event { conn, event } => {
                if let Some(place) = self.lines.iter().position(|line| line.stack == conn) {
                    self.event(cx, place, event);
                }
            }
            // Who is sent the wrong signature or comes from too far sees nothing of it, so the trace says why. What arrives late
            // for a connection that is gone is not worth a line.
            StackOutput::Ignored(
                reason @ (DropReason::Md5Missing
                | DropReason::Md5Mismatch
                | DropReason::Md5Unexpected
                | DropReason::TtlTooLow),
            ) => self.ignored = Some(reason),
            StackOutput::Ignored(_) => {}
        }
    }

    fn event(&mut self, cx: &Cx, place: usize, event: Event) {
        let Line { peer, speaker: conn, up, .. } = self.lines[place];
        let input = match event {
            Event::Connected => {
                self.lines[place].up = true;
                bgp::Input::TcpConnected { peer, conn }
            }
            Event::Received(bytes) => {
                return self.speaker.handle(cx.now, bgp::Input::Received { conn, bytes: &bytes });
            }
            Event::PeerClosed if up => bgp::Input::TcpClosed { peer, conn, reset: false },
            Event::Reset if up => {
                self.lines.remove(place);
                bgp::Input::TcpClosed { peer, conn, reset: true }
            }
            Event::PeerClosed | Event::Reset | Event::TimedOut => {
                self.lines.remove(place);
                bgp::Input::TcpFailed { peer, conn }
            }
            Event::Closed | Event::Ignored(_) => return,
        };
        self.speaker.handle(cx.now, input);
    }
}

fn for_the_trace(prefixes: &bgp::Prefixes) -> Prefixes {
    let all = |prefixes: &[Ipv4Net]| prefixes.iter().copied().map(IpNet::V4).collect();
    Prefixes { withdrawn: all(&prefixes.withdrawn), announced: all(&prefixes.announced) }
}
