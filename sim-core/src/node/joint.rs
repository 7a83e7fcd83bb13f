//! What joins two sides and lets pass only what goes from the one to the other: a VPC peering connection, between two VPCs (page
//! vpc-peering-basics.html: no transitive peering, no edge-to-edge routing), and a gateway endpoint, between a VPC and a service of
//! AWS (page gateway-endpoints.html: for what is inside of the VPC).

use ipnet::Ipv4Net;

use super::ip::{Inbound, Ip};
use super::{Cx, Device};
use crate::id::{Port, RecordId};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::trace::{HopStep, Table};
use crate::wire::ipv4::Ipv4Packet;

/// The port of each side.
pub const PORTS: [Port; 2] = [Port(0), Port(1)];

/// A joint.
#[derive(Clone, Debug)]
pub struct Joint {
    ip: Ip,
    /// The addresses of each side.
    sides: [Vec<Ipv4Net>; 2],
    refusal: DropReason,
}

impl Joint {
    /// Between these addresses. What is from or for others is dropped for `refusal`.
    pub fn new(sides: [Vec<Ipv4Net>; 2], refusal: DropReason, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Fib, refusal);
        PORTS.into_iter().for_each(|port| ip.add_port(port, mtu));
        Self { ip, sides, refusal }
    }
}

impl Device for Joint {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let Inbound::Transit(packet) = self.ip.inbound(cx, port, packet) else { return };
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (here, there) = (port.index(), 1 - port.index());
        let of = |side: usize, address| self.sides[side].iter().any(|net| net.contains(&address));
        if !of(here, ip.src()) || !of(there, ip.dst()) {
            return cx.drop(&packet, self.refusal, RecordId::GENESIS);
        }
        cx.hop(packet.meta.id, HopStep::Forwarded(PORTS[there], ip.dst()));
        self.ip.output(cx, PORTS[there], packet);
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }
}
