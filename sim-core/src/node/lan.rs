//! A device's stations on Ethernet: frames around its packets, and ARP (RFC 826) to know to which station they go.
//!
//! ```text
//!  packet, next hop ---> known? ---> frame ---> link
//!                          | no
//!                          v
//!                       waits ---> asked three times, a second apart ---> nobody has it: dropped
//! ```
//!
//! Where an address is, is believed for a minute (RFC 1122 section 2.3.2.1: "on the order of a minute") and what says otherwise is believed at
//! once, asked for or not (RFC 826, "Packet Reception"). How often is asked, and that 64 packets wait, is this device's own; Linux asks three
//! times, a second apart, too.
//!
//! A port with a station carries frames and nothing else. A station may have further names, those of virtual routers whose master the
//! device is ([`super::vrrp`]): it takes what is sent to them, and answers for their addresses.
//!
//! Left out: IPv6 and its Neighbor Discovery (RFC 4861), of which nothing leaves by such a port; probing for another station with the same address, and defending one's own (RFC 5227 sections 2.1 and 2.4); confirming by
//! what answers that a station is still there; proxy ARP (RFC 1027); several tags, and so several networks, on one port.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Cx;
use crate::id::{NodeId, Port, RecordId};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::wire::arp::{Arp, Operation};
use crate::wire::ethernet::{BROADCAST, Header, Mac, ethertype, is_group, multicast};
use crate::wire::ipv4::Ipv4Packet;
use crate::wire::vrrp::GROUP;

/// How long a station is believed to have an address.
const BELIEVED: Duration = Duration::from_secs(60);
/// How often is asked for an address.
const TRIES: u32 = 3;
/// Time between two questions.
const RETRY: Duration = Duration::from_secs(1);
/// How many packets wait for an answer.
const WAITING: usize = 64;

/// A locally administered address (IEEE 802-2014 section 8.2.2) for a port of a device, which no other port has.
pub const fn station(node: NodeId, port: Port) -> Mac {
    let ([_, a, b, c], [d, e]) = (node.0.to_be_bytes(), port.0.to_be_bytes());
    [0x02, a, b, c, d, e]
}

/// What one station is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StationConfig {
    /// Its port.
    pub port: Port,
    /// Its own name.
    pub mac: Mac,
    /// Its address and the length of its network's prefix.
    pub address: Ipv4Net,
    /// The VLAN with which its frames are tagged, if they are.
    pub vlan: Option<u16>,
    /// Where packets for other networks go, unless a route says so.
    pub gateway: Option<Ipv4Addr>,
}

/// A name that a station has beside its own.
#[derive(Clone, Debug)]
struct Virtual {
    mac: Mac,
    addresses: Vec<Ipv4Addr>,
    /// Whether the station has it.
    held: bool,
    /// The record by which it has it, or has it not.
    since: RecordId,
}

/// What is known of an address.
#[derive(Clone, Debug)]
enum Neighbor {
    Known { mac: Mac, until: Instant },
    Asking { tries: u32, asked: Instant, waiting: Vec<Packet> },
}

#[derive(Clone, Debug)]
struct Station {
    config: StationConfig,
    neighbors: BTreeMap<Ipv4Addr, Neighbor>,
    virtuals: Vec<Virtual>,
}

/// The stations of a device.
#[derive(Clone, Debug, Default)]
pub struct Lan {
    stations: Vec<Station>,
}

impl Lan {
    /// Adds a station.
    pub fn add(&mut self, config: StationConfig) {
        self.stations.push(Station { config, neighbors: BTreeMap::new(), virtuals: Vec::new() });
    }

    /// True if a port carries frames.
    pub fn has(&self, port: Port) -> bool {
        self.stations.iter().any(|station| station.config.port == port)
    }

    /// Forgets everything, as power loss does.
    pub fn reset(&mut self) {
        for station in &mut self.stations {
            station.neighbors.clear();
            station.virtuals.clear();
        }
    }

    fn station(&mut self, port: Port) -> Option<&mut Station> {
        self.stations.iter_mut().find(|station| station.config.port == port)
    }

    /// The station has the name of a virtual router from that record on, or has it no longer.
    pub(super) fn set_virtual(&mut self, port: Port, mac: Mac, addresses: &[Ipv4Addr], held: bool, since: RecordId) {
        let Some(station) = self.station(port) else { return };
        match station.virtuals.iter_mut().find(|it| it.mac == mac) {
            Some(it) => (it.held, it.since) = (held, since),
            None => station.virtuals.push(Virtual { mac, addresses: addresses.to_vec(), held, since }),
        }
    }

    /// Tells everybody on the link that an address is at one of the station's names.
    pub(super) fn announce(&mut self, cx: &mut Cx, port: Port, mac: Mac, address: Ipv4Addr) {
        if let Some(station) = self.station(port) {
            station.say(cx, BROADCAST, mac, &Arp::announcement(mac, address));
        }
    }

    /// Sends a packet to a group from one of the station's names.
    pub(super) fn multicast(&mut self, cx: &mut Cx, port: Port, mac: Mac, mut packet: Packet) {
        let Some(station) = self.station(port) else { return };
        let dst = multicast(Ipv4Packet::new_unchecked(packet.bytes()).dst());
        Header { dst, src: mac, vlan: station.config.vlan, ethertype: ethertype::IPV4 }.frame(&mut packet);
        cx.send(port, packet);
    }

    /// Whether an address is on the link behind a port; if not, where else packets for it go.
    pub(super) fn next_hop(&self, port: Port, to: Ipv4Addr, by_route: Option<Ipv4Addr>) -> Ipv4Addr {
        let station = self.stations.iter().find(|station| station.config.port == port);
        match station {
            Some(station) if !station.config.address.contains(&to) => by_route.or(station.config.gateway).unwrap_or(to),
            Some(_) | None => to,
        }
    }

    /// Sends a packet to a next hop, once it is known which station that is.
    pub(super) fn send(&mut self, cx: &mut Cx, port: Port, packet: Packet, next_hop: Ipv4Addr) {
        let Some(station) = self.station(port) else { return };
        let now = cx.now;
        match station.neighbors.get_mut(&next_hop) {
            Some(Neighbor::Known { mac, until }) if *until > now => {
                let mac = *mac;
                station.put(cx, mac, packet);
            }
            Some(Neighbor::Asking { waiting, .. }) => {
                // The latest is worth more than the earliest (RFC 1122 section 2.3.2.2).
                if waiting.len() >= WAITING {
                    let earliest = waiting.remove(0);
                    cx.drop(&earliest, DropReason::ArpUnresolved, RecordId::GENESIS);
                }
                waiting.push(packet);
            }
            Some(Neighbor::Known { .. }) | None => {
                let asking = Neighbor::Asking { tries: 1, asked: now, waiting: vec![packet] };
                station.neighbors.insert(next_hop, asking);
                station.ask(cx, next_hop);
            }
        }
    }

    /// Takes what arrived at a port. Answers with the packet in it, if it is for this device: for the station's own name, one that
    /// it has, or a group.
    pub(super) fn receive(&mut self, cx: &mut Cx, port: Port, mut packet: Packet) -> Option<Packet> {
        let Some(station) = self.station(port) else { return Some(packet) };
        let Ok(header) = Header::parse(packet.bytes()) else {
            cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
            return None;
        };
        // A tag of VLAN 0 says nothing but a priority (IEEE 802.1Q-2022 section 9.6).
        if header.vlan.filter(|vlan| *vlan != 0) != station.config.vlan {
            cx.drop(&packet, DropReason::VlanNotCarried, RecordId::GENESIS);
            return None;
        }
        let named = station.virtuals.iter().find(|it| it.mac == header.dst);
        match named {
            Some(it) if it.held => packet.needs(it.since),
            None if header.dst == station.config.mac || header.dst == BROADCAST => {}
            None if is_group(&header.dst) => {
                // A station that has not joined a group does not hear what goes to it, and nobody misses that (RFC 1112 section 7.2).
                if header.dst != multicast(GROUP) || station.virtuals.is_empty() {
                    cx.hop(packet.meta.id, HopStep::Delivered);
                    return None;
                }
            }
            // What a switch sends everywhere since it has forgotten where a station is, is lost to what made it forget.
            Some(it) => {
                cx.drop(&packet, DropReason::VrrpNotMaster, it.since.max(packet.meta.enabler));
                return None;
            }
            None => {
                cx.drop(&packet, DropReason::FrameNotForMe, packet.meta.enabler);
                return None;
            }
        }
        match header.ethertype {
            ethertype::IPV4 => {
                packet.pop_front(header.octets());
                Some(packet)
            }
            ethertype::ARP => {
                station.heard(cx, &packet, header.octets());
                None
            }
            _ => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
                None
            }
        }
    }

    /// Whether what is sent to an address is sent to a virtual router.
    pub(super) fn is_virtual(&self, port: Port, address: Ipv4Addr) -> bool {
        let of = |station: &Station| {
            station.config.port == port && station.virtuals.iter().any(|it| it.addresses.contains(&address))
        };
        self.stations.iter().any(of)
    }

    /// The link behind a port lost or regained its carrier: where anything was is not known any more.
    pub(super) fn carrier(&mut self, cx: &mut Cx, port: Port) {
        let Some(station) = self.station(port) else { return };
        let blame = cx.cause;
        for neighbor in core::mem::take(&mut station.neighbors).into_values() {
            if let Neighbor::Asking { waiting, .. } = neighbor {
                waiting.iter().for_each(|packet| cx.drop(packet, DropReason::LinkDown, blame));
            }
        }
    }

    /// Asks again, or gives up.
    pub(super) fn timeout(&mut self, cx: &mut Cx) {
        for station in &mut self.stations {
            let due = |(address, neighbor): (&Ipv4Addr, &Neighbor)| match neighbor {
                Neighbor::Asking { asked, .. } => (*asked + RETRY <= cx.now).then_some(*address),
                Neighbor::Known { .. } => None,
            };
            for address in station.neighbors.iter().filter_map(due).collect::<Vec<_>>() {
                cx.cause = RecordId::GENESIS;
                if let Some(Neighbor::Asking { tries, asked, .. }) = station.neighbors.get_mut(&address)
                    && *tries < TRIES
                {
                    (*tries, *asked) = (*tries + 1, cx.now);
                    station.ask(cx, address);
                } else if let Some(Neighbor::Asking { waiting, .. }) = station.neighbors.remove(&address) {
                    waiting.iter().for_each(|packet| cx.drop(packet, DropReason::ArpUnresolved, RecordId::GENESIS));
                }
            }
        }
    }

    /// The packets that wait for an answer.
    pub(super) fn held(&self) -> impl Iterator<Item = &Packet> {
        let neighbors = self.stations.iter().flat_map(|station| station.neighbors.values());
        neighbors.flat_map(|neighbor| match neighbor {
            Neighbor::Asking { waiting, .. } => &waiting[..],
            Neighbor::Known { .. } => &[],
        })
    }

    /// When it asks next.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let asked = |neighbor: &Neighbor| match neighbor {
            Neighbor::Asking { asked, .. } => Some(*asked + RETRY),
            Neighbor::Known { .. } => None,
        };
        let all = self.stations.iter().flat_map(|station| station.neighbors.values()).filter_map(asked);
        all.min().map(|at| (at, TimerKind::ArpRetry))
    }
}

impl Station {
    /// Puts a packet into a frame and that on the link.
    fn put(&self, cx: &mut Cx, dst: Mac, mut packet: Packet) {
        let Self { config: StationConfig { mac, vlan, port, .. }, .. } = *self;
        Header { dst, src: mac, vlan, ethertype: ethertype::IPV4 }.frame(&mut packet);
        cx.send(port, packet);
    }

    fn say(&self, cx: &mut Cx, dst: Mac, src: Mac, arp: &Arp) {
        let meta = cx.meta();
        let mut frame = Packet::from_bytes(&arp.emit(), meta);
        // What is made is the message: its frame may have another tag on another link.
        cx.created(&frame);
        Header { dst, src, vlan: self.config.vlan, ethertype: ethertype::ARP }.frame(&mut frame);
        cx.send(self.config.port, frame);
    }

    fn ask(&self, cx: &mut Cx, address: Ipv4Addr) {
        cx.rearm();
        let own = (self.config.mac, self.config.address.addr());
        self.say(cx, BROADCAST, self.config.mac, &Arp::request(own, address));
    }

    /// RFC 826, "Packet Reception": what is known of the sender is brought up to date, the target keeps it, and answers a request.
    fn heard(&mut self, cx: &mut Cx, frame: &Packet, header: usize) {
        let Ok(arp) = Arp::parse(&frame.bytes()[header..]) else {
            return cx.drop(frame, DropReason::Malformed, RecordId::GENESIS);
        };
        cx.hop(frame.meta.id, HopStep::Delivered);
        let (mac, address) = arp.sender;
        let master = |it: &&Virtual| it.held && it.addresses.contains(&arp.target.1);
        let own = match self.virtuals.iter().find(master) {
            // RFC 5798 section 8.1.2: a master answers with the name of the virtual router.
            Some(it) => Some(it.mac),
            None => (arp.target.1 == self.config.address.addr()).then_some(self.config.mac),
        };
        if own.is_some() || self.neighbors.contains_key(&address) {
            self.learn(cx, address, mac);
        }
        if let (Some(own), Operation::Request, false) = (own, arp.operation, arp.target.1 == address) {
            let reply = Arp::reply((own, arp.target.1), arp.sender);
            self.say(cx, mac, own, &reply);
        }
    }

    fn learn(&mut self, cx: &mut Cx, address: Ipv4Addr, mac: Mac) {
        let known = Neighbor::Known { mac, until: cx.now + BELIEVED };
        if let Some(Neighbor::Asking { waiting, .. }) = self.neighbors.insert(address, known) {
            cx.rearm();
            for packet in waiting {
                self.put(cx, mac, packet);
            }
        }
    }
}

#[cfg(test)]
mod tests;
