//! An association of a Client VPN endpoint with a subnet: who is connected here, and what goes to and fro.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::EndpointConfig;
use super::transport::{Accept, Message, wrap};
use crate::id::{Port, RecordId};
use crate::net::fib::{RouteSource, distance};
use crate::net::nat::{Behaviour, Nat, NatConfig, Outcome};
use crate::node::ip::{Inbound, Ip};
use crate::node::router::useless;
use crate::node::{Cx, Device, link_reason};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::{Digest, HopStep};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::udp::{self, UdpDatagram};

/// The port towards the internet.
pub const OUTSIDE_PORT: Port = Port(0);
/// The port of the network interface in the subnet.
pub const INTERFACE_PORT: Port = Port(1);

/// How many times as long as its clients an association waits for a sign of life, as OpenVPN's `keepalive` has it.
const PATIENCE: u64 = 2;

/// What one association is told.
#[derive(Clone, Debug)]
pub struct AssociationConfig {
    /// What all of the endpoint have in common.
    pub endpoint: Arc<EndpointConfig>,
    /// Its number among those, and how many there are: each gives out its own share of the client CIDR.
    pub place: (u32, u32),
    /// The address to which clients send.
    pub outside: Ipv4Addr,
    /// The address of its network interface.
    pub address: Ipv4Addr,
    /// Where its routes lead: the VPC's own block, and what is added by hand.
    pub routes: Vec<Ipv4Net>,
    /// MTU of both ports, in octets.
    pub mtus: [u32; 2],
}

/// Who is connected.
#[derive(Clone, Debug)]
struct Connected {
    address: Ipv4Addr,
    groups: Vec<String>,
    heard: Instant,
}

/// An association.
#[derive(Clone, Debug)]
pub struct Association {
    config: AssociationConfig,
    ip: Ip,
    nat: Nat,
    /// By the address and port from which a client sends.
    connected: BTreeMap<(Ipv4Addr, u16), Connected>,
}

impl Association {
    /// One with nobody connected. Ports are drawn from `rng`.
    pub fn new(config: AssociationConfig, rng: Rng) -> Self {
        let mut ip = Ip::new(vec![config.outside, config.address]);
        ip.mute();
        for (port, mtu) in [OUTSIDE_PORT, INTERFACE_PORT].into_iter().zip(config.mtus) {
            ip.add_port(port, mtu);
        }
        ip.add_route(Ipv4Net::default(), RouteSource::Underlay, distance::UNDERLAY, OUTSIDE_PORT);
        // The client's port stays, unless two clients have the same towards one destination (page what-is-best-practices).
        let nat = NatConfig {
            pool: vec![config.address],
            mapping: Behaviour::AddressAndPortDependent,
            filtering: Behaviour::AddressAndPortDependent,
            overload: true,
            hairpin: false,
            ..NatConfig::default()
        };
        Self { ip, nat: Nat::new(nat, rng), connected: BTreeMap::new(), config }
    }

    /// Who is connected: outer end and inner address.
    pub fn connected(&self) -> impl Iterator<Item = ((Ipv4Addr, u16), Ipv4Addr)> {
        self.connected.iter().map(|(end, it)| (*end, it.address))
    }

    /// The lowest address of its share that nobody has. The first of all is the endpoint's own, and the last the network's.
    fn free(&self) -> Option<Ipv4Addr> {
        let (number, of) = self.config.place;
        let mine = self.config.endpoint.client_cidr.hosts().skip(1 + number as usize).step_by(of.max(1) as usize);
        let has = |address: &Ipv4Addr| self.connected.values().any(|it| it.address == *address);
        mine.into_iter().find(|address| !has(address))
    }

    fn say(&mut self, cx: &mut Cx, to: (Ipv4Addr, u16), message: &Message) {
        let from = (self.config.outside, self.config.endpoint.port);
        let packet = udp::packet(from, to, &message.emit(), cx.meta());
        cx.created(&packet);
        self.out(cx, packet);
    }

    fn out(&mut self, cx: &mut Cx, mut packet: Packet) {
        self.ip.identify(&mut packet);
        self.ip.output(cx, OUTSIDE_PORT, packet);
    }

    /// A packet for one of its own addresses.
    fn local(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if port == INTERFACE_PORT {
            return self.inbound(cx, packet);
        }
        let datagram = Some(ip.protocol()).filter(|it| *it == protocol::UDP);
        let Some(Ok(datagram)) = datagram.map(|_| UdpDatagram::new_checked(ip.payload())) else {
            return cx.drop(&packet, useless(&packet), RecordId::GENESIS);
        };
        if datagram.dst_port() != self.config.endpoint.port || ip.dst() != self.config.outside {
            return cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
        }
        if !datagram.verify_checksum(ip.src(), ip.dst()) {
            return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
        }
        let (from, inner) = ((ip.src(), datagram.src_port()), packet.len() - datagram.payload().len() + 1);
        let Some(message) = Message::parse(datagram.payload()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        cx.rearm();
        match message {
            Message::Hello(hello) => {
                let endpoint = Arc::clone(&self.config.endpoint);
                // Who comes again from the same port has begun anew.
                self.connected.remove(&from);
                let admitted = endpoint.admit(cx.now, &hello);
                match admitted.and_then(|groups| Ok((groups, self.free().ok_or(super::Denied::Full)?))) {
                    Ok((groups, address)) => {
                        cx.hop(packet.meta.id, HopStep::Delivered);
                        self.connected.insert(from, Connected { address, groups, heard: cx.now });
                        let all = vec![Ipv4Net::default()];
                        let routes = if endpoint.split_tunnel { self.config.routes.clone() } else { all };
                        let (ping, dead_after) = (endpoint.ping, endpoint.dead_after);
                        self.say(cx, from, &Message::Accept(Accept { address, ping, dead_after, routes }));
                    }
                    Err(denied) => {
                        cx.drop(&packet, denied.drop(), RecordId::GENESIS);
                        self.say(cx, from, &Message::Refuse(denied));
                    }
                }
            }
            Message::Ping => match self.connected.get_mut(&from) {
                Some(it) => {
                    it.heard = cx.now;
                    cx.hop(packet.meta.id, HopStep::Delivered);
                    self.say(cx, from, &Message::Ping);
                }
                None => cx.drop(&packet, DropReason::ClientVpnNoSession, RecordId::GENESIS),
            },
            Message::Data => self.outbound(cx, from, inner, packet),
            Message::Accept(_) | Message::Refuse(_) => {
                cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
            }
        }
    }

    /// What a client sends: if it may go there, it does so in the interface's name.
    fn outbound(&mut self, cx: &mut Cx, from: (Ipv4Addr, u16), inner: usize, mut packet: Packet) {
        let Some(it) = self.connected.get_mut(&from) else {
            return cx.drop(&packet, DropReason::ClientVpnNoSession, RecordId::GENESIS);
        };
        it.heard = cx.now;
        packet.pop_front(inner);
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        let (source, to, length) = (ip.src(), ip.dst(), usize::from(ip.total_len()));
        packet.truncate(length);
        let refused = if source != it.address {
            Some(DropReason::ClientVpnSource)
        } else if !self.config.routes.iter().any(|route| route.contains(&to)) {
            Some(DropReason::ClientVpnNoRoute)
        } else if !self.config.endpoint.authorizes(&it.groups, to) {
            Some(DropReason::ClientVpnNotAuthorized)
        } else {
            None
        };
        if let Some(reason) = refused {
            return cx.drop(&packet, reason, RecordId::GENESIS);
        }
        if !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl() {
            return cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
        }
        packet.meta.tunnel = None;
        match self.nat.outbound(cx.now, packet) {
            Outcome::Forward(packet) | Outcome::Own(packet) => {
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                self.ip.output(cx, INTERFACE_PORT, packet);
            }
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }

    /// What answers: to whom is it?
    fn inbound(&mut self, cx: &mut Cx, packet: Packet) {
        match self.nat.inbound(cx.now, packet) {
            Outcome::Forward(mut packet) => {
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                let to = Ipv4Packet::new_unchecked(packet.bytes()).dst();
                let end = self.connected.iter().find(|(_, it)| it.address == to).map(|(end, _)| *end);
                let Some(end) = end else {
                    return cx.drop(&packet, DropReason::ClientVpnNoSession, RecordId::GENESIS);
                };
                if !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl() {
                    return cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
                }
                wrap(&mut packet);
                let packet = udp::around(packet, (self.config.outside, self.config.endpoint.port), end);
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                self.ip.output(cx, OUTSIDE_PORT, packet);
            }
            Outcome::Own(packet) => cx.drop(&packet, useless(&packet), RecordId::GENESIS),
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }
}

impl Device for Association {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.nat.flush();
        self.connected.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        match self.ip.inbound(cx, port, packet) {
            Inbound::Local(packet) => self.local(cx, port, packet),
            Inbound::Transit(packet) | Inbound::Ipv6Local(packet) | Inbound::Ipv6Transit(packet) => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS)
            }
            Inbound::Nothing => {}
        }
        cx.rearm();
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
        for fragments in self.nat.handle_timeout(cx.now) {
            fragments.iter().for_each(|it| cx.drop(it, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
        let patience = self.config.endpoint.dead_after * PATIENCE;
        self.connected.retain(|_, it| it.heard + patience > cx.now);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let nat = self.nat.wake().map(|at| (at, TimerKind::Reassembly));
        let patience = self.config.endpoint.dead_after * PATIENCE;
        let first = self.connected.values().map(|it| it.heard + patience).min();
        let first = first.map(|at| (at, TimerKind::ClientVpnDead));
        self.ip.wake().into_iter().chain(nat).chain(first).min_by_key(|(at, _)| *at)
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}
