//! A device with an inside and an outside: a NAT, a carrier-grade NAT, or with nothing to translate a plain filter.
//!
//! What arrives is filtered, translated ([`crate::net::nat`]) and forwarded as a router forwards. An ICMP error about a
//! packet quotes it as its sender sent it, so the TTL and the next link's MTU are looked at before the translation
//! (RFC 5508 section 7).

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::ip::{Inbound, Ip};
use super::router::pong;
use super::{Command, Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::net::fib::{RouteSource, distance};
use crate::net::filter::{Rule, RuleAction, verdict};
use crate::net::nat::{Nat, Outcome};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::trace::{Digest, HopStep};
use crate::wire::icmp::IcmpKind;
use crate::wire::ipv4::Ipv4Packet;

/// The port towards the inside.
pub const INSIDE_PORT: Port = Port(0);
/// The port towards the outside.
pub const OUTSIDE_PORT: Port = Port(1);

/// A NAT box.
#[derive(Clone, Debug)]
pub struct NatBox {
    ip: Ip,
    nat: Nat,
    filter: Vec<Rule>,
    /// The record that emptied the table last: to blame for packets that find no mapping, and what goes out since then is shown with
    /// other ports or another address because of it.
    emptied: RecordId,
    /// The record that gave it another address: to blame for packets to one that it had.
    renumbered: RecordId,
}

impl NatBox {
    /// A NAT box with these addresses of its own, those that it shares out included. The first is what its ICMP errors
    /// come from.
    pub fn new(own: Vec<Ipv4Addr>, nat: Nat, filter: Vec<Rule>) -> Self {
        Self { ip: Ip::new(own), nat, filter, emptied: RecordId::GENESIS, renumbered: RecordId::GENESIS }
    }

    /// Sets a port's MTU in octets.
    pub fn add_port(&mut self, port: Port, mtu: u32) {
        self.ip.add_port(port, mtu);
    }

    /// Adds a route that the topology implies.
    pub fn add_route(&mut self, prefix: Ipv4Net, port: Port) {
        self.ip.add_route(prefix, RouteSource::Underlay, distance::UNDERLAY, port);
    }

    /// Its forwarding table.
    pub fn ip(&self) -> &Ip {
        &self.ip
    }

    /// Its translator, to look at.
    pub fn nat(&self) -> &Nat {
        &self.nat
    }

    fn outbound(&mut self, cx: &mut Cx, packet: Packet) {
        let dst = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        if self.nat.owns(dst) {
            return self.translate(cx, packet, Nat::outbound);
        }
        let Some((port, packet)) = self.ip.forward(cx, INSIDE_PORT, packet) else { return };
        if port == INSIDE_PORT {
            return self.ip.output(cx, port, packet);
        }
        if self.is_stuck(port, &packet) {
            self.ip.cut(cx, port, packet);
            return;
        }
        let before = ends(&packet);
        let outcome = self.nat.outbound(cx.now, packet);
        note_joined(cx, &mut self.nat);
        match outcome {
            Outcome::Forward(mut packet) | Outcome::Own(mut packet) => {
                note(cx, before, &packet);
                packet.needs(self.emptied);
                self.ip.output(cx, port, packet);
            }
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => self.refuse(cx, reason, &packets),
        }
    }

    /// Translates a packet that will go inside, or is for the device.
    fn translate(&mut self, cx: &mut Cx, packet: Packet, way: fn(&mut Nat, Instant, Packet) -> Outcome) {
        let is_last_hop = Ipv4Packet::new_unchecked(packet.bytes()).ttl() <= 1;
        // As its sender sent it, for an error that quotes it.
        let original = (is_last_hop || self.is_stuck(INSIDE_PORT, &packet)).then(|| packet.clone());
        let before = ends(&packet);
        let outcome = way(&mut self.nat, cx.now, packet);
        note_joined(cx, &mut self.nat);
        match (outcome, original) {
            (Outcome::Forward(_), Some(original)) if is_last_hop => {
                self.ip.refuse(cx, &original, IcmpKind::TtlExceeded);
                cx.drop(&original, DropReason::TtlExceeded, RecordId::GENESIS);
            }
            (Outcome::Forward(_), Some(original)) => drop(self.ip.cut(cx, INSIDE_PORT, original)),
            (Outcome::Forward(packet), None) => {
                note(cx, before, &packet);
                if let Some((port, packet)) = self.ip.forward(cx, OUTSIDE_PORT, packet) {
                    self.ip.output(cx, port, packet);
                }
            }
            (Outcome::Own(packet), _) => self.own(cx, packet),
            (Outcome::Waiting, _) => {}
            (Outcome::Drop(reason, packets), _) => self.refuse(cx, reason, &packets),
        }
    }

    /// Fragments that wait are lost with the table.
    fn forget_fragments(&self, cx: &mut Cx) {
        let blame = cx.cause;
        self.nat.held().for_each(|part| cx.drop(part, DropReason::NatNoMapping, blame));
    }

    /// True if a packet does not fit a port and must not be cut.
    fn is_stuck(&self, port: Port, packet: &Packet) -> bool {
        !self.ip.fits(port, packet) && Ipv4Packet::new_unchecked(packet.bytes()).dont_fragment()
    }

    /// Drops what the translator refused. Its sender hears of want of room, and of nothing else (RFC 5508 REQ-8; for
    /// unsolicited packets RFC 5382 REQ-4 a).
    fn refuse(&mut self, cx: &mut Cx, reason: DropReason, packets: &[Packet]) {
        let blame = if reason == DropReason::NatNoMapping { self.emptied } else { RecordId::GENESIS };
        for packet in packets {
            if reason == DropReason::NatExhausted {
                self.ip.refuse(cx, packet, IcmpKind::AdministrativelyProhibited);
            }
            cx.drop(packet, reason, blame);
        }
    }

    /// A packet for the device itself.
    fn own(&mut self, cx: &mut Cx, packet: Packet) {
        match self.ip.inbound(cx, OUTSIDE_PORT, packet) {
            Inbound::Local(packet) => match pong(cx, &packet) {
                Some(reply) => {
                    if let Some((port, reply)) = self.ip.route(cx, reply) {
                        self.ip.output(cx, port, reply);
                    }
                }
                None => cx.drop(&packet, DropReason::NotForMe, self.renumbered),
            },
            // From outside to an address that is not shown there.
            Inbound::Transit(packet) => cx.drop(&packet, DropReason::NatNoMapping, RecordId::GENESIS),
            Inbound::Nothing => {}
            Inbound::Ipv6Local(packet) | Inbound::Ipv6Transit(packet) => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
            }
        }
    }
}

/// Notes that a NAT has put a datagram together.
pub(super) fn note_joined(cx: &mut Cx, nat: &mut Nat) {
    if let Some((parts, whole)) = nat.joined() {
        cx.joined(&parts, whole);
    }
}

/// Source and destination of a packet.
fn ends(packet: &Packet) -> (Ipv4Addr, Ipv4Addr) {
    let ip = Ipv4Packet::new_unchecked(packet.bytes());
    (ip.src(), ip.dst())
}

/// Notes in the trace that a packet is another one than before, unless its ends are the same.
fn note(cx: &mut Cx, before: (Ipv4Addr, Ipv4Addr), packet: &Packet) {
    if ends(packet) != before {
        cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
    }
}

impl Device for NatBox {
    fn start(&mut self, cx: &mut Cx) {
        self.emptied = cx.cause;
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.nat.flush();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, mut packet: Packet) {
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        if !ip.verify_checksum() {
            return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
        }
        let (length, dst) = (usize::from(ip.total_len()), ip.dst());
        if ip.is_fragment() {
            cx.rearm();
        }
        packet.truncate(length);
        let outbound = port == INSIDE_PORT;
        match verdict(&self.filter, &packet, outbound) {
            RuleAction::Pass => {}
            RuleAction::Drop => return cx.drop(&packet, DropReason::FilterRule, RecordId::GENESIS),
            RuleAction::Reject => {
                self.ip.refuse(cx, &packet, IcmpKind::AdministrativelyProhibited);
                return cx.drop(&packet, DropReason::FilterRule, RecordId::GENESIS);
            }
        }
        if self.ip.own().contains(&dst) && !self.nat.owns(dst) {
            self.own(cx, packet);
        } else if outbound {
            self.outbound(cx, packet);
        } else {
            self.translate(cx, packet, Nat::inbound);
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
        for fragments in self.nat.handle_timeout(cx.now) {
            if let Some(first) = fragments.first() {
                self.ip.refuse(cx, first, IcmpKind::ReassemblyTimeExceeded);
            }
            fragments.iter().for_each(|p| cx.drop(p, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let nat = self.nat.wake().map(|at| (at, TimerKind::Reassembly));
        self.ip.wake().into_iter().chain(nat).min_by_key(|(at, _)| *at)
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().chain(self.nat.held()).collect()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        match command {
            Command::NatFlush => {
                self.forget_fragments(cx);
                self.nat.flush();
                self.emptied = cx.cause;
            }
            Command::NatRenumber { address } => {
                self.forget_fragments(cx);
                self.nat.renumber(address);
                (self.emptied, self.renumbered) = (cx.cause, cx.cause);
            }
            Command::IkeDelete { .. }
            | Command::Vrrp { .. }
            | Command::Vlan { .. }
            | Command::IkeInitiate { .. }
            | Command::BgpShutdown { .. }
            | Command::BgpStart { .. }
            | Command::Readdress { .. }
            | Command::Reconfigure { .. }
            | Command::Med { .. }
            | Command::Drain { .. }
            | Command::SecurityGroupRule { .. }
            | Command::VpcRoute { .. }
            | Command::TgwRoute { .. }
            | Command::BgpReset { .. }
            | Command::Mtu { .. }
            | Command::SiteLink { .. }
            | Command::VpnRoute { .. } => {}
        }
    }
}
