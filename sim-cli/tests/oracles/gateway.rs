//! Our IKE machine and its ESP SAs, between the two UDP sockets of a gateway.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sim_core::packet::{Meta, Packet};
use sim_core::proto::esp::{DfBit, InboundSa, OutboundSa, Outer, ReplayWindow, SaKeys};
use sim_core::proto::ike::config::Esn;
use sim_core::proto::ike::{ChildSa, Config, Datagram, DirectionKeys, Input, NAT_PORT, Output, PORT, Peer, SaKind};
use sim_core::reason::{Reason, State};
use sim_core::rng::{Purpose, Seldom};
use sim_core::time::Instant;
use sim_core::wire::icmp::{Echo, IcmpKind, IcmpMessage, echo_request};
use sim_core::wire::ipv4::{self, Ipv4Packet};
use sim_core::wire::{ipv6, udp};

use crate::load::Load;
use crate::pace::Site;
use crate::process::Outcome;

const SEED: u64 = 1;
const OWNER: &str = "gateway";
/// In front of IKE on port 4500 (RFC 3948 section 2.2).
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// A NAT keepalive (RFC 3948 section 2.3).
const KEEPALIVE: &[u8] = &[0xff];
/// ICMP identifier and content of our pings.
const PING_IDENT: u16 = 0x7650;
const PING_DATA: [u8; 56] = [0x5a; 56];

/// A datagram that a socket has read.
pub struct Arrival {
    local_port: u16,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// Outer and inner addresses of both ends.
pub struct Addresses {
    /// Our end of the tunnel.
    pub local: IpAddr,
    /// The peer's end of the tunnel.
    pub remote: IpAddr,
    /// The host behind us.
    pub our_host: Ipv4Addr,
    /// The host behind the peer, which answers pings.
    pub their_host: Ipv4Addr,
    /// Where our sockets are: for IKE, and for IKE and ESP behind a NAT.
    pub our_ports: [u16; 2],
    /// Where the peer's sockets are.
    pub their_ports: [u16; 2],
}

/// The ports of IKE, and of NAT traversal.
pub const STANDARD_PORTS: [u16; 2] = [PORT, NAT_PORT];

/// A CHILD_SA.
struct Child {
    inbound: InboundSa,
    outbound: OutboundSa,
}

/// A gateway with one tunnel.
pub struct Gateway {
    addresses: Addresses,
    peer: Peer,
    ike: UdpSocket,
    nat: UdpSocket,
    /// By inbound SPI.
    children: BTreeMap<u32, Child>,
    /// Of those that were rekeyed and deleted, the inbound half: strongSwan's user-space ESP seals and sends on threads of its
    /// own, so a packet can leave after the answer to the DELETE of its SA.
    retired: BTreeMap<u32, InboundSa>,
    /// Inbound SPI of the CHILD_SA that sends.
    sending: Option<u32>,
    replies: u16,
    load: Option<Load>,
    log: Vec<String>,
    /// Where sockets that are opened later put what they read.
    to_inbox: Sender<Arrival>,
}

impl Gateway {
    /// A gateway that does nothing yet; what its sockets read arrives on the channel.
    pub fn new(config: Config, addresses: Addresses, now: Instant) -> Outcome<(Self, Receiver<Arrival>)> {
        let (to_gateway, inbox) = channel();
        let gateway = Self {
            peer: peer(config, &addresses, now),
            ike: socket(addresses.local, addresses.our_ports[0], PORT, to_gateway.clone())?,
            nat: socket(addresses.local, addresses.our_ports[1], NAT_PORT, to_gateway.clone())?,
            addresses,
            children: BTreeMap::new(),
            retired: BTreeMap::new(),
            sending: None,
            replies: 0,
            load: None,
            log: Vec::new(),
            to_inbox: to_gateway,
        };
        Ok((gateway, inbox))
    }

    /// The address of our end is another from now on.
    pub fn readdress(&mut self, now: Instant, local: Ipv4Addr) -> Outcome {
        let [ike, nat] = self.addresses.our_ports;
        self.ike = socket(local.into(), ike, PORT, self.to_inbox.clone())?;
        self.nat = socket(local.into(), nat, NAT_PORT, self.to_inbox.clone())?;
        self.addresses.local = local.into();
        self.handle(now, Input::Addresses(vec![local.into()]))
    }

    /// Another peer in the place of this one, behind the same sockets: nothing of it is left.
    pub fn renew(&mut self, config: Config, now: Instant) {
        self.peer = peer(config, &self.addresses, now);
        self.children.clear();
        self.retired.clear();
        self.sending = None;
        self.replies = 0;
        self.load = None;
        self.log.clear();
    }

    /// From now on so many numbered datagrams a second go to the host behind the peer, and those that come are counted.
    pub fn start_load(&mut self, now: Instant, per_second: u64) {
        self.load = Some(Load::new(now, per_second));
    }

    /// No more datagrams are sent; those that come are counted still.
    pub fn stop_sending(&mut self) {
        if let Some(load) = &mut self.load {
            load.stop();
        }
    }

    /// What was sent and what came since the load began.
    pub fn load(&self) -> Option<&Load> {
        self.load.as_ref()
    }

    /// Gives the IKE machine an input.
    pub fn handle(&mut self, now: Instant, input: Input) -> Outcome {
        self.peer.handle(now, input);
        self.drain(now)
    }

    /// Sends a ping through the tunnel.
    pub fn ping(&mut self, seq: u16) -> Outcome {
        let echo = Echo { ident: PING_IDENT, seq };
        let (src, dst) = (self.addresses.our_host, self.addresses.their_host);
        self.send_inside(echo_request(src, dst, echo, &PING_DATA, Meta::default()))
    }

    /// Sends a packet through the tunnel.
    fn send_inside(&mut self, mut packet: Packet) -> Outcome {
        let sending = self.sending.and_then(|spi| self.children.get_mut(&spi));
        let Some(child) = sending else {
            return Err("no CHILD_SA to send on".into());
        };
        let sealed = child.outbound.seal(&mut packet);
        sealed.map_err(|reason| format!("our ESP does not seal a packet: {reason}"))?;
        // The kernel of this end writes the outer headers.
        let ip = if self.addresses.remote.is_ipv6() { ipv6::HEADER_LEN } else { ipv4::HEADER_LEN };
        packet.pop_front(ip + udp::HEADER_LEN);
        self.send(NAT_PORT, self.addresses.remote, NAT_PORT, packet.bytes())
    }

    /// How many pings were answered.
    pub fn replies(&self) -> u16 {
        self.replies
    }

    /// True if there is a CHILD_SA to send on.
    pub fn carries(&self) -> bool {
        self.sending.is_some()
    }

    /// The inbound SPI of the CHILD_SA that sends.
    pub fn spi(&self) -> Option<u32> {
        self.sending
    }

    /// The state of the IKE session.
    pub fn state(&self) -> State {
        self.peer.state(SaKind::Ike)
    }

    /// What happened, for the message of a failure.
    pub fn log(&self) -> String {
        self.log.join("\n")
    }

    fn drain(&mut self, now: Instant) -> Outcome {
        while let Some(output) = self.peer.poll() {
            match output {
                Output::Transmit { local_port, remote_port, remote, bytes } => {
                    let bytes = match local_port {
                        NAT_PORT => [&NON_ESP_MARKER, &bytes[..]].concat(),
                        _ => bytes,
                    };
                    self.send(local_port, remote, remote_port, &bytes)?;
                }
                Output::TransmitFrom(departure) => {
                    let (local_port, (remote, remote_port)) = (departure.local.1, departure.remote);
                    let marker = if local_port == NAT_PORT { &NON_ESP_MARKER[..] } else { &[] };
                    self.send(local_port, remote, remote_port, &[marker, &departure.bytes].concat())?;
                }
                Output::Moved(moved) => {
                    self.note(now, &format!("{moved:?}"));
                    self.addresses.remote = moved.remote;
                }
                Output::ChildUp(child) => self.install(&child)?,
                Output::ChildRekeyed { new_spi_in, .. } => self.sending = Some(new_spi_in),
                Output::ChildDown { spi_in, reason } => {
                    self.note(now, &format!("CHILD_SA {spi_in:08x} is removed: {reason}"));
                    let child = self.children.remove(&spi_in).filter(|_| reason == Reason::Rekeyed);
                    self.retired.extend(child.map(|child| (spi_in, child.inbound)));
                    self.sending = self.sending.filter(|spi| *spi != spi_in);
                }
                Output::IkeKeys(_) | Output::IsakmpKeys(_) => {}
                Output::Expired { .. }
                | Output::State { .. }
                | Output::Step { .. }
                | Output::PeerMoved { .. }
                | Output::Ignored { .. } => self.note(now, &format!("{output:?}")),
            }
        }
        Ok(())
    }

    fn install(&mut self, child: &ChildSa) -> Outcome {
        let Some(encapsulation) = child.encapsulation else {
            return Err("a CHILD_SA without UDP encapsulation, which this peer cannot have".into());
        };
        let suite = child.suite.protection;
        let outer = Outer {
            src: self.addresses.local,
            dst: self.addresses.remote,
            udp: Some((encapsulation.local_port, encapsulation.remote.1)),
            ttl: ipv4::DEFAULT_TTL,
            df: DfBit::Clear,
        };
        let (keys_in, keys_out) = (keys(&child.inbound), keys(&child.outbound));
        let rng = Seldom::stream(SEED, &format!("{:08x}", child.spi_out), Purpose::Esp);
        let window = ReplayWindow::new(64);
        let extended = child.suite.esn == Esn::Yes;
        let pair = Child {
            inbound: InboundSa::new(child.spi_in, suite, &keys_in, window, None).with_esn(extended),
            outbound: OutboundSa::new(child.spi_out, suite, &keys_out, outer, None, rng).with_esn(extended),
        };
        self.children.insert(child.spi_in, pair);
        if child.send_now {
            self.sending = Some(child.spi_in);
        }
        Ok(())
    }

    fn send(&self, local_port: u16, remote: IpAddr, port: u16, bytes: &[u8]) -> Outcome {
        let socket = if local_port == PORT { &self.ike } else { &self.nat };
        let port = place(port, &STANDARD_PORTS).map_or(port, |i| self.addresses.their_ports[i]);
        let sent = socket.send_to(bytes, (remote, port));
        sent.map(|_| ()).map_err(|e| format!("port {local_port}: {e}"))
    }

    /// An ESP packet, as UDP carried it.
    fn open(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> Outcome {
        let spi_in = bytes.first_chunk().map_or(0, |spi| u32::from_be_bytes(*spi));
        let late = self.retired.get_mut(&spi_in);
        let is_late = late.is_some();
        let Some(inbound) = self.children.get_mut(&spi_in).map(|child| &mut child.inbound).or(late) else {
            return self.handle(now, Input::UnknownSpi { spi: spi_in });
        };
        let ends = ((self.addresses.remote, from.port()), (self.addresses.local, NAT_PORT));
        let packet = udp::between(ends.0, ends.1, bytes, Meta::default());
        let mut packet = packet.ok_or("the ends of a tunnel are of one family")?;
        match inbound.open(&mut packet) {
            Ok(_) if self.answers(&packet) => self.replies += 1,
            Ok(_) if self.load.as_mut().is_some_and(|load| load.take(&packet)) => {}
            Ok(_) => self.note(now, "an inner packet that answers no ping"),
            Err(reason) => self.note(now, &format!("our ESP does not open a packet: {reason}")),
        }
        if is_late { Ok(()) } else { self.handle(now, Input::InboundTraffic { spi_in }) }
    }

    /// True if the inner packet is the reply to the ping that was sent last.
    fn answers(&self, packet: &Packet) -> bool {
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            return false;
        };
        let ends = (self.addresses.their_host, self.addresses.our_host);
        IcmpMessage::new_checked(ip.payload()).is_ok_and(|icmp| {
            (ip.src(), ip.dst()) == ends
                && icmp.kind() == IcmpKind::EchoReply
                && icmp.verify_checksum()
                && (icmp.echo_ident(), icmp.echo_seq()) == (PING_IDENT, self.replies)
                && icmp.payload() == PING_DATA
        })
    }

    fn note(&mut self, now: Instant, what: &str) {
        self.log.push(format!("{now} {what}"));
    }
}

impl Site for Gateway {
    type Arrival = Arrival;
    type Error = String;

    fn wake(&self) -> Option<Instant> {
        self.peer.wake().map(|(at, _)| at).into_iter().chain(self.load.as_ref().and_then(Load::wake)).min()
    }

    fn timeout(&mut self, now: Instant) -> Outcome {
        if self.peer.wake().is_some_and(|(at, _)| at <= now) {
            self.peer.handle_timeout(now);
            self.drain(now)?;
        }
        let ends = (self.addresses.our_host, self.addresses.their_host);
        match self.load.as_mut().and_then(|load| load.due(now, ends)) {
            Some(packet) => self.send_inside(packet),
            None => Ok(()),
        }
    }

    fn arrival(&mut self, now: Instant, arrival: Arrival) -> Outcome {
        let Arrival { local_port, mut from, bytes } = arrival;
        if let Some(i) = place(from.port(), &self.addresses.their_ports) {
            from.set_port(STANDARD_PORTS[i]);
        }
        let message = match (local_port, bytes.strip_prefix(&NON_ESP_MARKER)) {
            (PORT, _) => bytes,
            (_, Some(message)) => message.to_vec(),
            (_, None) if bytes == KEEPALIVE => return Ok(()),
            (_, None) => return self.open(now, from, &bytes),
        };
        let datagram =
            Datagram { local: (self.addresses.local, local_port), remote: (from.ip(), from.port()), bytes: message };
        self.handle(now, Input::Datagram(datagram))
    }
}

/// Brings the tunnel up and keeps it up.
pub const INITIATE: Input = Input::Initiate(Reason::Startup);

fn peer(config: Config, addresses: &Addresses, now: Instant) -> Peer {
    let stream = |purpose| Seldom::stream(SEED, OWNER, purpose);
    let (secrets, timers) = (stream(Purpose::IkeSecrets), stream(Purpose::IkeTimers));
    Peer::new(Arc::new(config), addresses.local, addresses.remote, secrets, timers, now)
}

fn keys(keys: &DirectionKeys) -> SaKeys {
    SaKeys { encryption: keys.encryption.clone(), integrity: keys.integrity.clone() }
}

fn place(port: u16, ports: &[u16; 2]) -> Option<usize> {
    ports.iter().position(|other| *other == port)
}

/// A socket at a real port whose datagrams go to `inbox`, as of `port`, until it is closed there.
fn socket(address: IpAddr, real: u16, port: u16, inbox: Sender<Arrival>) -> Outcome<UdpSocket> {
    let failed = |e| format!("UDP {address}:{real}: {e}");
    let socket = UdpSocket::bind((address, real)).map_err(failed)?;
    let reader = socket.try_clone().map_err(failed)?;
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((len, from)) = reader.recv_from(&mut buffer) {
            let arrival = Arrival { local_port: port, from, bytes: buffer[..len].to_vec() };
            if inbox.send(arrival).is_err() {
                return;
            }
        }
    });
    Ok(socket)
}
