//! A switch: a bridge of VLANs (IEEE 802.1Q-2022 clause 8) that learns at which port a station is.
//!
//! ```text
//!  frame ---> its VLAN ---> does the port carry it? ---> learn the source ---> is the destination known?
//!                                                            yes: that port      no, or a group: every other port of the VLAN
//! ```
//!
//! What it has learned ages (section 8.8.3) and is forgotten with the carrier of its port. Learning is per VLAN. It adds no delay of its own.
//!
//! Left out: spanning trees, so that switches must not be joined in a ring; multicast groups by who listens (IGMP snooping: groups go
//! everywhere); a limit to what it remembers; LAGs (LACP is one of the protocols that no bridge passes on, section 8.6.3); priorities.

use std::collections::BTreeMap;

use super::{Command, Cx, Device};
use crate::id::{Port, RecordId};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::wire::ethernet::{Header, Mac, is_group, is_reserved};

/// What a port of a switch carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SwitchPort {
    /// The VLAN of frames without a tag, both ways.
    pub untagged: Option<u16>,
    /// The VLANs of frames with a tag.
    pub tagged: Vec<u16>,
}

impl SwitchPort {
    fn carries(&self, vlan: u16) -> bool {
        self.untagged == Some(vlan) || self.tagged.contains(&vlan)
    }
}

/// Where a station is.
#[derive(Clone, Copy, Debug)]
struct Learned {
    port: Port,
    heard: Instant,
    /// What made the station send from there.
    since: RecordId,
}

/// A switch.
#[derive(Clone, Debug)]
pub struct Switch {
    ports: Vec<SwitchPort>,
    aging: Duration,
    up: Vec<bool>,
    /// VLANs that an operator has taken out.
    removed: Vec<u16>,
    /// The record behind the last change of those.
    changed: RecordId,
    /// VLANs that were out once and are there again, with the record behind that.
    restored: BTreeMap<u16, RecordId>,
    stations: BTreeMap<(u16, Mac), Learned>,
    /// Stations whose place was forgotten with the carrier of their port, or with their VLAN, and the record behind that.
    forgotten: BTreeMap<(u16, Mac), RecordId>,
}

impl Switch {
    /// With these ports, numbered in order. A station that is not heard for `aging` is forgotten.
    pub fn new(ports: Vec<SwitchPort>, aging: Duration) -> Self {
        let up = vec![true; ports.len()];
        Self {
            ports,
            aging,
            up,
            removed: Vec::new(),
            changed: RecordId::GENESIS,
            restored: BTreeMap::new(),
            stations: BTreeMap::new(),
            forgotten: BTreeMap::new(),
        }
    }

    /// At which port a station is believed to be.
    pub fn port_of(&self, vlan: u16, mac: Mac) -> Option<Port> {
        self.stations.get(&(vlan, mac)).map(|learned| learned.port)
    }

    /// The VLAN of a frame that came in at a port, if the port carries it.
    fn vlan(&self, port: Port, header: &Header) -> Option<u16> {
        let of = self.ports.get(port.index())?;
        let vlan = match header.vlan {
            None | Some(0) => of.untagged?,
            Some(tag) => Some(tag).filter(|tag| of.tagged.contains(tag))?,
        };
        (!self.removed.contains(&vlan)).then_some(vlan)
    }

    /// Forgets where some stations are.
    fn forget(&mut self, cx: &Cx, gone: impl Fn(&(u16, Mac), &Learned) -> bool) {
        let by = cx.cause;
        let forgotten: Vec<(u16, Mac)> =
            self.stations.iter().filter(|(key, learned)| gone(key, learned)).map(|(key, _)| *key).collect();
        for key in forgotten {
            self.stations.remove(&key);
            self.forgotten.insert(key, by);
        }
    }

    /// Sends a frame out of a port, with a tag or without.
    fn put(&self, cx: &mut Cx, port: Port, vlan: u16, header: &Header, mut packet: Packet) {
        let tag = (self.ports[port.index()].untagged != Some(vlan)).then_some(vlan);
        if tag != header.vlan {
            packet.pop_front(header.octets());
            let header = Header { vlan: tag, ..*header };
            header.emit(packet.push_front(header.octets()));
        }
        cx.hop(packet.meta.id, HopStep::Forwarded(port, std::net::Ipv4Addr::UNSPECIFIED));
        cx.send(port, packet);
    }
}

impl Device for Switch {
    fn start(&mut self, _cx: &mut Cx) {}

    fn stop(&mut self) {
        self.stations.clear();
        self.forgotten.clear();
        self.up.iter_mut().for_each(|up| *up = true);
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, mut packet: Packet) {
        let Ok(header) = Header::parse(packet.bytes()) else {
            return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
        };
        let vlan = self.vlan(port, &header).filter(|_| !is_reserved(&header.dst));
        let Some(vlan) = vlan else {
            return cx.drop(&packet, DropReason::VlanNotCarried, self.changed);
        };
        if let Some(by) = self.restored.get(&vlan) {
            packet.needs(*by);
        }
        if !is_group(&header.src) {
            let before = self.stations.get(&(vlan, header.src)).filter(|learned| learned.port == port);
            let since = before.map_or(packet.meta.cause, |learned| learned.since);
            self.forgotten.remove(&(vlan, header.src));
            self.stations.insert((vlan, header.src), Learned { port, heard: cx.now, since });
        }
        let known = self.stations.get(&(vlan, header.dst)).copied();
        let known = known.filter(|learned| cx.now.since(learned.heard) <= self.aging && self.up[learned.port.index()]);
        match known {
            Some(learned) if learned.port == port => {
                // Its station is on the side where it comes from (section 8.6.1).
                cx.drop(&packet, DropReason::FrameNotForMe, RecordId::GENESIS);
            }
            Some(learned) => {
                packet.needs(learned.since);
                self.put(cx, learned.port, vlan, &header, packet);
            }
            None => {
                if let Some(by) = self.forgotten.get(&(vlan, header.dst)) {
                    packet.needs(*by);
                }
                let carries = |(number, of): (usize, &SwitchPort)| {
                    (number != port.index() && self.up[number] && of.carries(vlan)).then_some(Port(number as u16))
                };
                let mut others: Vec<Port> = self.ports.iter().enumerate().filter_map(carries).collect();
                let Some(last) = others.pop() else {
                    return cx.drop(&packet, DropReason::LinkDown, packet.meta.enabler);
                };
                for other in others {
                    let mut copy = packet.clone();
                    copy.meta.id = cx.meta().id;
                    cx.hop(copy.meta.id, HopStep::CutFrom(packet.meta.id));
                    self.put(cx, other, vlan, &header, copy);
                }
                self.put(cx, last, vlan, &header, packet);
            }
        }
    }

    fn timeout(&mut self, _cx: &mut Cx) {}

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        None
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if let Some(of) = self.up.get_mut(port.index()) {
            *of = up;
        }
        self.forget(cx, |_, learned| learned.port == port);
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        if let Command::Vlan { vlan, removed } = command {
            self.removed.retain(|other| *other != vlan);
            self.changed = cx.cause;
            if removed {
                self.removed.push(vlan);
                self.forget(cx, |(of, _), _| *of == vlan);
            } else {
                self.restored.insert(vlan, cx.cause);
            }
        }
    }
}

#[cfg(test)]
mod tests;
