//! Ports that carry frames.

use std::net::Ipv4Addr;

use super::Ip;
use crate::id::{Port, RecordId};
use crate::net::fib::{Route, Target};
use crate::node::Cx;
use crate::node::lan::{Lan, StationConfig};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;
use crate::wire::ipv4::Ipv4Packet;

impl Ip {
    /// Says that a port is on Ethernet: what comes and goes by it is in frames.
    pub fn add_station(&mut self, config: StationConfig) {
        self.composite = true;
        self.lan.get_or_insert_default().add(config);
    }

    /// True if a port carries frames.
    pub(in crate::node) fn is_on_ethernet(&self) -> bool {
        self.composite && self.lan.is_some()
    }

    /// Touches the stations, if there are any.
    pub(in crate::node) fn with_lan(&mut self, touch: impl FnOnce(&mut Lan)) {
        if let Some(lan) = &mut self.lan {
            touch(lan);
        }
    }

    /// Takes what arrived at a port. Answers with the packet, if it is one and for this device.
    pub(in crate::node) fn unframe(&mut self, cx: &mut Cx, port: Port, packet: Packet) -> Option<Packet> {
        let Some(lan) = &mut self.lan else { return Some(packet) };
        let packet = lan.receive(cx, port, packet)?;
        let to = Ipv4Packet::new_checked(packet.bytes()).ok().map(|ip| ip.dst());
        if to.is_some_and(|to| lan.is_virtual(port, to) && !self.own.contains(&to)) {
            cx.drop(&packet, DropReason::VrrpNotAccepted, RecordId::GENESIS);
            return None;
        }
        Some(packet)
    }

    /// Sends a packet on, if its port carries frames; otherwise it comes back.
    pub(super) fn on_link(&mut self, cx: &mut Cx, port: Port, packet: Packet) -> Option<Packet> {
        let Some(lan) = self.lan.as_mut().filter(|lan| lan.has(port)) else { return Some(packet) };
        let Ok(to) = Ipv4Packet::new_checked(packet.bytes()).map(|ip| ip.dst()) else {
            cx.drop(&packet, DropReason::ArpUnresolved, RecordId::GENESIS);
            return None;
        };
        let by_route = match self.fib.choose(packet.bytes()) {
            Some(Route { target: Target::Out { port: out, next_hop }, .. }) if out == port => next_hop,
            Some(_) | None => None,
        };
        let next_hop = lan.next_hop(port, to, by_route);
        lan.send(cx, port, packet, next_hop);
        None
    }

    /// The device has an address beside its own, or has it no longer.
    pub(in crate::node) fn set_own(&mut self, address: Ipv4Addr, has: bool) {
        match (has, self.own.iter().position(|own| *own == address)) {
            (true, None) => self.own.push(address),
            (false, Some(place)) => drop(self.own.remove(place)),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// When a next hop is asked for again.
    pub(in crate::node) fn lan_wake(&self) -> Option<(Instant, TimerKind)> {
        self.lan.as_ref()?.wake()
    }
}
