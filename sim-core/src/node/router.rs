//! A plain router: an ISP, a LAN's core, any box that only forwards, IPv4 and if it is given it IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::ip::{Inbound, Ip};
use super::{Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::net::fib::{RouteSource, Target, distance};
use crate::net::icmp::answer_echo;
use crate::net::icmpv6;
use crate::packet::{Meta, Packet};
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::icmp::IcmpMessage;
use crate::wire::icmpv6::Icmpv6Message;
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::{Ipv6Packet, next_header};

/// A router. Its routes come from the scenario; it speaks no routing protocol.
#[derive(Clone, Debug)]
pub struct Router {
    ip: Ip,
}

impl Router {
    /// A router with these addresses; an address is what its ICMP errors come from.
    pub fn new(addresses: Vec<Ipv4Addr>) -> Self {
        Self { ip: Ip::new(addresses) }
    }

    /// Adds a port with an MTU in octets.
    pub fn add_port(&mut self, port: Port, mtu: u32) {
        self.ip.add_port(port, mtu);
    }

    /// Adds a route that the topology implies.
    pub fn add_route(&mut self, prefix: Ipv4Net, port: Port) {
        self.ip.add_route(prefix, RouteSource::Underlay, distance::UNDERLAY, port);
    }

    /// Gives it IPv6, with this address for its ICMPv6 errors, if it has one: without one it is silent.
    pub fn add_ipv6(&mut self, address: Option<Ipv6Addr>) {
        self.ip.add_ipv6(address);
    }

    /// Adds a route of IPv6 that the topology implies.
    pub fn add_ipv6_route(&mut self, prefix: Ipv6Net, port: Port) {
        self.ip.add_ipv6_route(prefix, RouteSource::Underlay, distance::UNDERLAY, Target::port(port));
    }

    /// Its forwarding table.
    pub fn ip(&self) -> &Ip {
        &self.ip
    }
}

/// The answer to an ICMP echo request for a device itself, which has then arrived; `None` if the packet is not one.
pub(super) fn pong(cx: &mut Cx, packet: &Packet) -> Option<Packet> {
    let mut reply = packet.clone();
    if !answer_echo(&mut reply) {
        return None;
    }
    // The answer is of the session that asked, if one did.
    reply.meta = Meta { session: packet.meta.session, ..cx.meta() };
    cx.created(&reply);
    cx.hop(packet.meta.id, HopStep::Delivered);
    Some(reply)
}

/// The same of IPv6.
pub(super) fn pong_ipv6(cx: &mut Cx, packet: &Packet) -> Option<Packet> {
    let mut reply = packet.clone();
    if !icmpv6::answer_echo(&mut reply) {
        return None;
    }
    reply.meta = Meta { session: packet.meta.session, ..cx.meta() };
    cx.created(&reply);
    cx.hop(packet.meta.id, HopStep::Delivered);
    Some(reply)
}

/// Why a device has no use for a packet that is addressed to it.
pub(super) fn useless(packet: &Packet) -> DropReason {
    let ip = Ipv4Packet::new_unchecked(packet.bytes());
    if ip.protocol() != protocol::ICMP {
        return DropReason::NotForMe;
    }
    match IcmpMessage::new_checked(ip.payload()) {
        Err(_) => DropReason::Malformed,
        Ok(message) if !message.verify_checksum() => DropReason::BadChecksum,
        Ok(message) if message.kind().is_error() => DropReason::IcmpIgnored,
        Ok(_) => DropReason::NotForMe,
    }
}

/// The same of IPv6.
pub(super) fn useless_ipv6(packet: &Packet) -> DropReason {
    let ip = Ipv6Packet::new_unchecked(packet.bytes());
    if ip.next_header() != next_header::ICMPV6 {
        return DropReason::NotForMe;
    }
    match Icmpv6Message::new_checked(ip.payload()) {
        Err(_) => DropReason::Malformed,
        Ok(message) if !message.verify_checksum(ip.src(), ip.dst()) => DropReason::BadChecksum,
        Ok(message) if message.kind().is_error() => DropReason::IcmpIgnored,
        Ok(_) => DropReason::NotForMe,
    }
}

impl Device for Router {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        match self.ip.inbound(cx, port, packet) {
            Inbound::Transit(packet) => {
                if let Some((port, packet)) = self.ip.forward(cx, port, packet) {
                    self.ip.output(cx, port, packet);
                }
            }
            Inbound::Local(packet) => match pong(cx, &packet) {
                Some(reply) => {
                    if let Some((port, reply)) = self.ip.route(cx, reply) {
                        self.ip.output(cx, port, reply);
                    }
                }
                None => cx.drop(&packet, useless(&packet), RecordId::GENESIS),
            },
            Inbound::Nothing => {}
            Inbound::Ipv6Transit(packet) if self.ip.has_ipv6() => {
                if let Some((port, packet)) = self.ip.forward_ipv6(cx, port, packet) {
                    self.ip.output(cx, port, packet);
                }
            }
            Inbound::Ipv6Local(packet) => {
                let Some(reply) = pong_ipv6(cx, &packet) else {
                    return cx.drop(&packet, useless_ipv6(&packet), RecordId::GENESIS);
                };
                if let Some((port, reply)) = self.ip.route_ipv6(cx, reply) {
                    self.ip.output(cx, port, reply);
                }
            }
            Inbound::Ipv6Transit(packet) => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().collect()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}
