//! IPv6 of a gateway, inside its tunnels and outside.
//!
//! Left out: fragments are not put together here, neither before a firewall, which sees no IPv6, nor as AWS's end does with IPv4.

use super::{Cx, Gateway, Upcall};
use crate::id::{Port, RecordId};
use crate::net::mss;
use crate::node::router::{pong_ipv6, useless_ipv6};
use crate::node::tunnel::{Fragmentation, classify, quoted_spi};
use crate::packet::Packet;
use crate::trace::{Digest, HopStep};
use crate::wire::icmpv6::{Icmpv6Kind, Icmpv6Message, Quoted};
use crate::wire::ipv4::protocol;
use crate::wire::ipv6::{Ipv6Packet, MIN_MTU, next_header};

/// Lowers the MSS that a SYN tells, and says so.
pub(in crate::node) fn clamp(cx: &mut Cx, packet: &mut Packet, most: u16) {
    if mss::clamp_v6(packet, most) {
        cx.hop(packet.meta.id, HopStep::MssClamped(most, Digest::of_bytes(packet.bytes())));
    }
}

impl Gateway {
    /// A packet for somebody else, with an MSS that fits the tunnel that it came through.
    pub(super) fn transit_ipv6(&mut self, cx: &mut Cx, mut packet: Packet, port: Port) {
        if let Some(most) = self.tunnels.at_port(port).and_then(|tunnel| self.tunnels[tunnel].mss_v6()) {
            clamp(cx, &mut packet, most);
        }
        self.upcalls.push_back(Upcall::Ipv6Transit(packet, port));
    }

    /// Chooses the way of a packet in transit that came in by `ingress` and sends it, with an MSS that fits the tunnel that it
    /// goes through.
    pub(in crate::node) fn forward_ipv6(&mut self, cx: &mut Cx, packet: Packet, ingress: Port) {
        let Some((port, mut packet)) = self.ip.forward_ipv6(cx, ingress, packet) else { return };
        if let Some(most) = self.tunnels.at_port(port).and_then(|tunnel| self.tunnels[tunnel].mss_v6()) {
            clamp(cx, &mut packet, most);
        }
        self.output(cx, port, packet);
    }

    /// A packet that is longer than the tunnel's MTU is sealed whole if the sealed one may be cut, or if it is no longer than what
    /// every link carries (RFC 4213 section 3.2.2). Otherwise its sender hears how long it may be (RFC 4301 section 8.2.1).
    pub(super) fn too_long_ipv6(&mut self, cx: &mut Cx, tunnel: usize, port: Port, packet: Packet) {
        let options = *self.tunnels[tunnel].options();
        let after =
            options.fragmentation == Fragmentation::AfterEncryption && !self.tunnels[tunnel].sets_outer_df(true);
        if after || packet.len() <= usize::from(MIN_MTU) {
            return self.encapsulate(cx, tunnel, packet);
        }
        drop(self.ip.cut(cx, port, packet));
    }

    /// Routes and sends a packet of a tunnel between outside addresses. The gateway is its sender, so it cuts what is too long for the
    /// path as it knows it (RFC 8200 section 5).
    pub(super) fn send_outside_ipv6(&mut self, cx: &mut Cx, tunnel: usize, packet: Packet) {
        let Some((port, packet)) = self.ip.route_ipv6(cx, packet) else { return };
        let most = self.ip.mtu(port).min(self.tunnels[tunnel].path_mtu().into());
        if packet.len() <= most {
            return self.ip.output(cx, port, packet);
        }
        for part in self.ip.cut_ipv6(cx, most, packet) {
            self.ip.output(cx, port, part);
        }
    }

    /// True if the packet is ICMPv6 that says that a sealed packet was too long for the path, and a tunnel follows it.
    fn path_mtu_ipv6(&mut self, cx: &mut Cx, packet: &Packet) -> bool {
        let ip = Ipv6Packet::new_unchecked(packet.bytes());
        let Ok(message) = Icmpv6Message::new_checked(ip.payload()) else { return false };
        if ip.next_header() != next_header::ICMPV6
            || message.kind() != Icmpv6Kind::PacketTooBig
            || !message.verify_checksum(ip.src(), ip.dst())
        {
            return false;
        }
        let Ok(quoted) = Quoted::parse(message.payload()) else { return false };
        let ends = (quoted.header.src.into(), quoted.header.dst.into());
        let mtu = u16::try_from(message.mtu()).unwrap_or(u16::MAX);
        self.narrowed(cx, ends, quoted_spi(quoted.header.next_header, quoted.payload), mtu)
    }

    /// A packet for the gateway itself that arrived at a port.
    pub(super) fn local_ipv6(&mut self, cx: &mut Cx, packet: Packet, at: Port) {
        let outer = self.tunnels.at_port(at).is_none();
        if outer && let Some(outside) = classify(&packet) {
            return self.outside(cx, packet, outside);
        }
        let upper = Ipv6Packet::new_unchecked(packet.bytes()).next_header();
        if upper == protocol::TCP && self.routing.is_some() {
            cx.hop(packet.meta.id, HopStep::Delivered);
            return self.with_routing(cx, |routing, cx, events| routing.packet(cx, &packet, events));
        }
        match pong_ipv6(cx, &packet) {
            Some(reply) => {
                if let Some((port, reply)) = self.ip.route_ipv6(cx, reply) {
                    self.output(cx, port, reply);
                }
            }
            None if outer && self.path_mtu_ipv6(cx, &packet) => cx.hop(packet.meta.id, HopStep::Delivered),
            None => cx.drop(&packet, useless_ipv6(&packet), RecordId::GENESIS),
        }
    }
}
