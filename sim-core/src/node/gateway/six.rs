//! IPv6 inside the tunnels of a gateway: the outside is IPv4, and so is everything else that the gateway does.
//!
//! Left out: fragments are not put together here, neither before a firewall, which sees no IPv6, nor as AWS's end does with IPv4.

use super::{Cx, Gateway, Upcall};
use crate::id::{Port, RecordId};
use crate::net::icmpv6::answer_echo;
use crate::net::mss;
use crate::node::tunnel::Fragmentation;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::trace::{Digest, HopStep};
use crate::wire::icmpv6::Icmpv6Message;
use crate::wire::ipv4::protocol;
use crate::wire::ipv6::{Ipv6Packet, MIN_MTU, next_header};

/// Lowers the MSS that a SYN tells, and says so.
fn clamp(cx: &mut Cx, packet: &mut Packet, most: u16) {
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

    /// A packet for the gateway itself.
    pub(super) fn local_ipv6(&mut self, cx: &mut Cx, packet: Packet) {
        let upper = Ipv6Packet::new_unchecked(packet.bytes()).next_header();
        if upper == protocol::TCP && self.routing.is_some() {
            cx.hop(packet.meta.id, HopStep::Delivered);
            return self.with_routing(cx, |routing, cx, events| routing.packet(cx, &packet, events));
        }
        let mut reply = packet.clone();
        if !answer_echo(&mut reply) {
            return cx.drop(&packet, useless(&packet), RecordId::GENESIS);
        }
        cx.hop(packet.meta.id, HopStep::Delivered);
        reply.meta = Meta { session: packet.meta.session, ..cx.meta() };
        cx.created(&reply);
        if let Some((port, reply)) = self.ip.route_ipv6(cx, reply) {
            self.output(cx, port, reply);
        }
    }
}

/// Why a device has no use for a packet that is addressed to it.
fn useless(packet: &Packet) -> DropReason {
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
