//! A gateway that shows what is behind it by one address in its tunnels, and remembers by which tunnel.
//!
//! ```text
//!  inside --- 10.1.0.10 ---> 10.200.0.1 ---> tunnel a      the table of a
//!                            10.200.0.1 <--- tunnel a      its mapping is found
//!                            10.200.0.1 <--- tunnel b      the table of b has none: dropped
//! ```
//!
//! Products that translate by rules for an interface keep a translation with the interface that it went out of; others have one table
//! for all. Both are the NAT of [`crate::net::nat`].
//!
//! Only whole packets come here ([`super::inspection`]).
//!
//! Left out: flows that begin in a tunnel and are translated, and addresses of the tunnels' own.

use std::net::Ipv4Addr;

use super::Cx;
use crate::id::{Port, RecordId};
use crate::net::nat::{Nat, NatConfig, Outcome};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::trace::{Digest, HopStep};
use crate::wire::ipv4::Ipv4Packet;

/// The NAT of a gateway's tunnels.
#[derive(Clone, Debug)]
pub struct TunnelNat {
    address: Ipv4Addr,
    /// The tunnels' ports, each with the place of its table.
    tunnels: Vec<(Port, usize)>,
    tables: Vec<Nat>,
}

impl TunnelNat {
    /// For these tunnels, by this address; with a table for each, or one for all.
    pub fn new(address: Ipv4Addr, tunnels: &[Port], per_tunnel: bool, rng: &Rng) -> Self {
        let config = || NatConfig { pool: vec![address], hairpin: false, ..NatConfig::default() };
        let count = if per_tunnel { tunnels.len() } else { 1 };
        Self {
            address,
            tunnels: tunnels.iter().enumerate().map(|(i, port)| (*port, if per_tunnel { i } else { 0 })).collect(),
            tables: (0..count).map(|i| Nat::new(config(), rng.sibling(&i.to_string()))).collect(),
        }
    }

    /// Forgets everything, as power loss does.
    pub fn reset(&mut self) {
        self.tables.iter_mut().for_each(Nat::flush);
    }

    fn table(&mut self, port: Port) -> Option<&mut Nat> {
        let place = self.tunnels.iter().find(|(tunnel, _)| *tunnel == port)?.1;
        self.tables.get_mut(place)
    }

    /// A packet that came by a port: if that is a tunnel and it is for the address, it is for somebody inside. `None`: dropped.
    pub(super) fn inbound(&mut self, cx: &mut Cx, from: Port, packet: Packet) -> Option<Packet> {
        if Ipv4Packet::new_unchecked(packet.bytes()).dst() != self.address {
            return Some(packet);
        }
        let now = cx.now;
        let Some(table) = self.table(from) else { return Some(packet) };
        let outcome = table.inbound(now, packet);
        finish(cx, outcome, DropReason::NatNoMapping)
    }

    /// A packet that goes out by a port, and came by another: if only the one is a tunnel, it goes by the address. `None`: dropped.
    pub(super) fn outbound(&mut self, cx: &mut Cx, from: Port, to: Port, packet: Packet) -> Option<Packet> {
        if self.table(from).is_some() {
            return Some(packet);
        }
        let now = cx.now;
        let Some(table) = self.table(to) else { return Some(packet) };
        let outcome = table.outbound(now, packet);
        finish(cx, outcome, DropReason::NatUnsupported)
    }
}

fn finish(cx: &mut Cx, outcome: Outcome, own: DropReason) -> Option<Packet> {
    match outcome {
        Outcome::Forward(packet) => {
            cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
            Some(packet)
        }
        Outcome::Own(packet) => {
            cx.drop(&packet, own, RecordId::GENESIS);
            None
        }
        Outcome::Waiting => None,
        Outcome::Drop(reason, packets) => {
            packets.iter().for_each(|packet| cx.drop(packet, reason, RecordId::GENESIS));
            None
        }
    }
}
