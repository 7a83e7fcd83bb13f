//! An internet gateway: each Elastic IP address of the VPC stands for one private address, and nothing else passes (VPC user guide, page
//! VPC_Internet_Gateway.html). What has no such address has no way out here, and nobody outside can reach it.
//!
//! AWS does not say that it counts as a hop; here it leaves the TTL alone.

use std::net::Ipv4Addr;

use super::ip::{Inbound, Ip};
use super::{Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::net::nat::{Fragments, Mode, Nat, NatConfig, Outcome};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::rng::Rng;
use crate::time::Instant;
use crate::trace::{Digest, HopStep, Table};
use crate::wire::ipv4::Ipv4Packet;

/// The port towards the VPC.
pub const VPC_PORT: Port = Port(0);
/// The port towards the internet.
pub const INTERNET_PORT: Port = Port(1);

/// An internet gateway.
#[derive(Clone, Debug)]
pub struct InternetGateway {
    ip: Ip,
    nat: Nat,
    /// The private addresses that have an Elastic IP address.
    private: Vec<Ipv4Addr>,
    /// How many packets came to it.
    seen: u64,
}

impl InternetGateway {
    /// With these pairs of a private address and its Elastic IP address. Nothing is drawn from `rng`.
    pub fn new(addresses: Vec<(Ipv4Addr, Ipv4Addr)>, mtu: u32, rng: Rng) -> Self {
        let mut ip = Ip::silent(Table::Fib, DropReason::NoRoute);
        [VPC_PORT, INTERNET_PORT].into_iter().for_each(|port| ip.add_port(port, mtu));
        let private = addresses.iter().map(|(private, _)| *private).collect();
        // Only addresses are rewritten, so fragments go by as they come.
        let (mode, fragments) = (Mode::OneToOne(addresses), Fragments::FollowFirst);
        Self { ip, nat: Nat::new(NatConfig { mode, fragments, ..NatConfig::default() }, rng), private, seen: 0 }
    }

    /// Sets the MTU towards the internet, in octets.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.ip.set_mtu(INTERNET_PORT, mtu);
    }

    /// How many packets have come to it, from either side.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    fn pass(&mut self, cx: &mut Cx, to: Port, outcome: Outcome) {
        match outcome {
            Outcome::Forward(packet) => {
                let step = HopStep::Translated(Digest::of_bytes(packet.bytes()));
                cx.hop(packet.meta.id, step);
                self.ip.output(cx, to, packet);
            }
            Outcome::Own(packet) => cx.drop(&packet, DropReason::NoPublicAddress, RecordId::GENESIS),
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => {
                let reason = if reason == DropReason::NatNoMapping { DropReason::NoPublicAddress } else { reason };
                packets.iter().for_each(|packet| cx.drop(packet, reason, RecordId::GENESIS));
            }
        }
    }
}

impl Device for InternetGateway {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.nat.flush();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        self.seen += 1;
        let Inbound::Transit(packet) = self.ip.inbound(cx, port, packet) else { return };
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if port == INTERNET_PORT {
            let outcome = self.nat.inbound(cx.now, packet);
            return self.pass(cx, VPC_PORT, outcome);
        }
        if !self.private.contains(&ip.src()) {
            return cx.drop(&packet, DropReason::NoPublicAddress, RecordId::GENESIS);
        }
        // One Elastic IP address of the VPC reaches another here.
        let to = if self.nat.owns(ip.dst()) { VPC_PORT } else { INTERNET_PORT };
        let outcome = self.nat.outbound(cx.now, packet);
        self.pass(cx, to, outcome);
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}
