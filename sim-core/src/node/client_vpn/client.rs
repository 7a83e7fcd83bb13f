//! A client of Client VPN: software on a computer, between its IP and its network interface.
//!
//! Where the tunnel leads, the computer's packets go in the address that the endpoint has given; elsewhere they go as they are (split
//! tunnel). Once it was connected, what the tunnel leads to goes nowhere else while it looks for another association, as OpenVPN's
//! `persist-tun` has it. Who is refused does not come again: a user would have to type something.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::transport::{Accept, Hello, Message, wrap};
use crate::id::{Port, RecordId, SessionId};
use crate::net::nat::{Mode, Nat, NatConfig, Outcome};
use crate::node::ip::Ip;
use crate::node::{Cx, Device};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, State, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::trace::{Digest, HopStep};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::udp::{self, UdpDatagram};

/// The port towards the computer.
pub const INSIDE_PORT: Port = Port(0);
/// The port towards the network.
pub const OUTSIDE_PORT: Port = Port(1);
/// The UDP port from which it sends.
const SOURCE_PORT: u16 = 51_820 - 820;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The computer's address.
    pub address: Ipv4Addr,
    /// The associations of the endpoint, in the order in which they are tried.
    pub associations: Vec<Ipv4Addr>,
    /// The endpoint's UDP port.
    pub port: u16,
    /// Who it is.
    pub hello: Hello,
    /// How long it waits for an answer before it tries the next association.
    pub connect_timeout: Duration,
    /// How long after its start it begins.
    pub delay: Duration,
    /// Its session in records.
    pub session: SessionId,
    /// MTU of the network, in octets.
    pub mtu: u32,
}

/// Where it stands.
#[derive(Clone, Debug)]
enum Standing {
    /// It begins then.
    Waiting(Instant),
    /// It has asked one of the associations, then.
    Connecting(Instant),
    /// It is connected.
    Connected { heard: Instant, next_ping: Instant },
    /// It was refused.
    Refused,
}

/// What it was given when it was connected last.
#[derive(Clone, Debug)]
struct Tunnel {
    routes: Vec<Ipv4Net>,
    nat: Nat,
    ping: Duration,
    dead_after: Duration,
    /// The record by which it is connected.
    since: RecordId,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    config: ClientConfig,
    rng: Rng,
    ip: Ip,
    standing: Standing,
    /// The place of the association that it has to do with.
    chosen: usize,
    tunnel: Option<Tunnel>,
}

impl Client {
    /// One that has not begun.
    pub fn new(config: ClientConfig, rng: Rng) -> Self {
        let mut ip = Ip::new(Vec::new());
        ip.mute();
        [INSIDE_PORT, OUTSIDE_PORT].into_iter().for_each(|port| ip.add_port(port, config.mtu));
        Self { config, rng, ip, standing: Standing::Waiting(Instant::NEVER), chosen: 0, tunnel: None }
    }

    /// True if it is connected.
    pub const fn is_connected(&self) -> bool {
        matches!(self.standing, Standing::Connected { .. })
    }

    fn association(&self) -> Option<Ipv4Addr> {
        self.config.associations.get(self.chosen).copied()
    }

    fn say(&mut self, cx: &mut Cx, message: &Message) {
        let Some(to) = self.association() else { return };
        let mut meta = cx.meta();
        meta.session = Some(self.config.session);
        let packet = udp::packet((self.config.address, SOURCE_PORT), (to, self.config.port), &message.emit(), meta);
        cx.created(&packet);
        self.out(cx, packet);
    }

    fn out(&mut self, cx: &mut Cx, mut packet: Packet) {
        self.ip.identify(&mut packet);
        self.ip.output(cx, OUTSIDE_PORT, packet);
    }

    fn connect(&mut self, cx: &mut Cx) {
        self.standing = Standing::Connecting(cx.now);
        let hello = Message::Hello(self.config.hello.clone());
        self.say(cx, &hello);
    }

    /// What the computer sends.
    fn outbound(&mut self, cx: &mut Cx, packet: Packet) {
        let to = Ipv4Packet::new_checked(packet.bytes()).map(|ip| ip.dst());
        let leads = |to: Ipv4Addr, tunnel: &&mut Tunnel| tunnel.routes.iter().any(|route| route.contains(&to));
        let tunnel = to.ok().and_then(|to| self.tunnel.as_mut().filter(|tunnel| leads(to, tunnel)));
        let Some(tunnel) = tunnel else { return cx.send(OUTSIDE_PORT, packet) };
        if !matches!(self.standing, Standing::Connected { .. }) {
            return cx.drop(&packet, DropReason::ClientVpnNotConnected, tunnel.since);
        }
        match tunnel.nat.outbound(cx.now, packet) {
            Outcome::Forward(mut packet) | Outcome::Own(mut packet) => {
                packet.needs(tunnel.since);
                packet.meta.tunnel = Some(self.config.session);
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                let Some(to) = self.association() else { return };
                wrap(&mut packet);
                let packet = udp::around(packet, (self.config.address, SOURCE_PORT), (to, self.config.port));
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                self.ip.output(cx, OUTSIDE_PORT, packet);
            }
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }

    /// What comes from the network: for the client, or for the computer.
    fn inbound(&mut self, cx: &mut Cx, packet: Packet) {
        let Some(association) = self.association() else { return cx.send(INSIDE_PORT, packet) };
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else { return cx.send(INSIDE_PORT, packet) };
        if ip.src() != association || ip.protocol() != protocol::UDP {
            return cx.send(INSIDE_PORT, packet);
        }
        let length = usize::from(ip.total_len());
        let mut packet = packet;
        packet.truncate(length);
        if Ipv4Packet::new_unchecked(packet.bytes()).is_fragment() {
            let Some(whole) = self.ip.reassemble(cx, packet) else { return };
            packet = whole;
        }
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Ok(datagram) = UdpDatagram::new_checked(ip.payload()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        if (datagram.src_port(), datagram.dst_port()) != (self.config.port, SOURCE_PORT) {
            return cx.send(INSIDE_PORT, packet);
        }
        if !ip.verify_checksum() || !datagram.verify_checksum(ip.src(), ip.dst()) {
            return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
        }
        let inner = packet.len() - datagram.payload().len() + 1;
        let Some(message) = Message::parse(datagram.payload()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        cx.rearm();
        if let Standing::Connected { heard, .. } = &mut self.standing {
            *heard = cx.now;
        }
        match (message, &self.standing) {
            (Message::Accept(accept), Standing::Connecting(_)) => {
                cx.hop(packet.meta.id, HopStep::Delivered);
                self.accepted(cx, &accept);
            }
            (Message::Refuse(denied), Standing::Connecting(_)) => {
                cx.hop(packet.meta.id, HopStep::Delivered);
                self.standing = Standing::Refused;
                cx.state(self.config.session, State::Connecting, State::Down, denied.reason());
            }
            (Message::Ping, Standing::Connected { .. }) => cx.hop(packet.meta.id, HopStep::Delivered),
            (Message::Data, Standing::Connected { .. }) => self.opened(cx, inner, packet),
            _ => cx.drop(&packet, DropReason::UnexpectedMessage, RecordId::GENESIS),
        }
    }

    fn accepted(&mut self, cx: &mut Cx, accept: &Accept) {
        self.standing = Standing::Connected { heard: cx.now, next_ping: cx.now + accept.ping };
        let since = cx.state(self.config.session, State::Connecting, State::Up, Reason::ClientVpnAccepted);
        let nat = NatConfig {
            mode: Mode::OneToOne(vec![(self.config.address, accept.address)]),
            pool: vec![accept.address],
            hairpin: false,
            ..NatConfig::default()
        };
        self.tunnel = Some(Tunnel {
            routes: accept.routes.clone(),
            nat: Nat::new(nat, self.rng.clone()),
            ping: accept.ping,
            dead_after: accept.dead_after,
            since,
        });
    }

    fn opened(&mut self, cx: &mut Cx, inner: usize, mut packet: Packet) {
        packet.pop_front(inner);
        if Ipv4Packet::new_checked(packet.bytes()).is_err() {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        }
        let Some(tunnel) = &mut self.tunnel else { return };
        packet.needs(tunnel.since);
        match tunnel.nat.inbound(cx.now, packet) {
            Outcome::Forward(packet) | Outcome::Own(packet) => {
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                cx.send(INSIDE_PORT, packet);
            }
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }
}

impl Device for Client {
    fn start(&mut self, cx: &mut Cx) {
        self.standing = Standing::Waiting(cx.now + self.config.delay);
        cx.rearm();
    }

    fn stop(&mut self) {
        self.standing = Standing::Waiting(Instant::NEVER);
        self.tunnel = None;
        self.ip.reset();
        self.chosen = 0;
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        match port {
            INSIDE_PORT => self.outbound(cx, packet),
            _ => self.inbound(cx, packet),
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
        cx.cause = RecordId::GENESIS;
        let (session, others) = (self.config.session, self.config.associations.len().max(1));
        match self.standing {
            Standing::Waiting(at) if at <= cx.now => {
                cx.state(session, State::Down, State::Connecting, Reason::Startup);
                self.connect(cx);
            }
            Standing::Connecting(at) if at + self.config.connect_timeout <= cx.now => {
                cx.expired(Some(session), TimerKind::ClientVpnConnect, at);
                self.chosen = (self.chosen + 1) % others;
                self.connect(cx);
            }
            Standing::Connected { heard, next_ping } => {
                let Some(tunnel) = &self.tunnel else { return };
                let (ping, dead_after) = (tunnel.ping, tunnel.dead_after);
                if heard + dead_after <= cx.now {
                    cx.expired(Some(session), TimerKind::ClientVpnDead, heard);
                    cx.state(session, State::Up, State::Connecting, Reason::ClientVpnSilent);
                    self.chosen = (self.chosen + 1) % others;
                    self.connect(cx);
                } else if next_ping <= cx.now {
                    self.standing = Standing::Connected { heard, next_ping: cx.now + ping };
                    self.say(cx, &Message::Ping);
                }
            }
            Standing::Waiting(_) | Standing::Connecting(_) | Standing::Refused => {}
        }
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let own = match &self.standing {
            Standing::Waiting(Instant::NEVER) | Standing::Refused => None,
            Standing::Waiting(at) => Some((*at, TimerKind::ClientVpnConnect)),
            Standing::Connecting(at) => Some((*at + self.config.connect_timeout, TimerKind::ClientVpnConnect)),
            Standing::Connected { heard, next_ping } => {
                let dead = self.tunnel.as_ref().map(|tunnel| (*heard + tunnel.dead_after, TimerKind::ClientVpnDead));
                dead.into_iter().chain([(*next_ping, TimerKind::ClientVpnPing)]).min_by_key(|(at, _)| *at)
            }
        };
        own.into_iter().chain(self.ip.wake()).min_by_key(|(at, _)| *at)
    }
}
