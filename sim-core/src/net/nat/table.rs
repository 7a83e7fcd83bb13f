//! What a NAT remembers: mappings, the pairs of ends that use them, and who has which port.
//!
//! A *session* is a mapping's use towards one remote end, with a timer of its own; a mapping lives as long as one of its
//! sessions. Everything is kept in ordered maps, so that whatever walks them goes by time, then age, then address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::config::{Assignment, Behaviour, NatConfig, Passthrough, Pooling};
use super::flow::{End, Flow, Transport, flags};
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// A mapping's number: the older, the lower.
type Id = u64;

/// Packets go out of the inside, or come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Out,
    In,
}

/// What a mapping is found by from outside: its outside end, and the remote end as far as it tells mappings apart there.
type Outside = (Transport, End, End);

const NOBODY: End = (Ipv4Addr::UNSPECIFIED, 0);

#[derive(Clone, Debug)]
struct Mapping {
    transport: Transport,
    inside: End,
    outside: End,
    /// The remote end, as far as the mapping behaviour tells remote ends apart.
    toward: End,
    sessions: BTreeMap<End, Session>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    expires: Instant,
    /// When the expiry queue looks at it: not after `expires`.
    queued: Instant,
    tcp: Connection,
}

/// What a NAT sees of a TCP connection; by way, out and in.
#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    seen: [bool; 2],
    fin: [bool; 2],
    reset: bool,
    open: bool,
}

impl Connection {
    /// A segment passes. Open means that both ends have spoken and one has acknowledged a SYN; simultaneous open ends
    /// there, too (RFC 5382 REQ-2).
    fn pass(&mut self, way: Way, segment: u8) {
        if self.is_closing() && segment & flags::SYN != 0 {
            *self = Self::default();
        }
        self.open |= segment & flags::SYN == 0 && self.seen[1 - way as usize];
        self.seen[way as usize] = true;
        self.fin[way as usize] |= segment & flags::FIN != 0;
        self.reset |= segment & flags::RST != 0;
    }

    fn is_closing(&self) -> bool {
        self.reset || self.fin == [true; 2]
    }
}

/// An inside host that has mappings: the outside address it is paired with, and its ports if it has a block of them.
#[derive(Clone, Copy, Debug)]
struct Host {
    address: Ipv4Addr,
    block: Option<u16>,
    mappings: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    mappings: BTreeMap<Id, Mapping>,
    by_inside: BTreeMap<(Transport, End, End), Id>,
    by_outside: BTreeMap<Outside, Id>,
    /// One entry for each session.
    expiry: BTreeSet<(Instant, Id, End)>,
    hosts: BTreeMap<Ipv4Addr, Host>,
    /// Mappings of each outside address to each remote end, if either counts: outside ports are told apart by remote ends, or addresses are
    /// chosen by them.
    remotes: BTreeMap<(Transport, End, Ipv4Addr), usize>,
    /// The blocks that are given out, by their first port.
    blocks: BTreeSet<(Ipv4Addr, u16)>,
    /// The port after the last one that was given out.
    next: u16,
    age: Id,
}

impl Table {
    /// Sessions that are remembered.
    pub fn sessions(&self) -> usize {
        self.expiry.len()
    }

    /// Mappings that are remembered.
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Forgets all mappings, but not which port is next.
    pub fn flush(&mut self) {
        *self = Self { next: self.next, age: self.age, ..Self::default() };
    }

    /// Forgets what has expired by `now`: sessions by their time, then the older mapping first, then by remote end.
    pub fn expire(&mut self, now: Instant, config: &NatConfig) {
        while let Some(&(at, id, remote)) = self.expiry.first().filter(|(at, ..)| *at <= now) {
            self.expiry.remove(&(at, id, remote));
            let Some(mapping) = self.mappings.get_mut(&id) else { continue };
            let Some(session) = mapping.sessions.get_mut(&remote) else { continue };
            if session.expires > now {
                session.queued = session.expires;
                self.expiry.insert((session.expires, id, remote));
                continue;
            }
            mapping.sessions.remove(&remote);
            if mapping.sessions.is_empty() {
                self.remove(id, config);
            }
        }
    }

    fn remove(&mut self, id: Id, config: &NatConfig) {
        let Some(mapping) = self.mappings.remove(&id) else { return };
        self.by_inside.remove(&(mapping.transport, mapping.inside, mapping.toward));
        self.by_outside.remove(&outside_key(mapping.transport, mapping.outside, mapping.toward, config));
        let key = (mapping.transport, mapping.toward, mapping.outside.0);
        if let Some(mappings) = self.remotes.get_mut(&key) {
            *mappings -= 1;
            if *mappings == 0 {
                self.remotes.remove(&key);
            }
        }
        let Some(host) = self.hosts.get_mut(&mapping.inside.0) else { return };
        host.mappings -= 1;
        if host.mappings == 0 {
            if let Some(first) = host.block {
                self.blocks.remove(&(host.address, first));
            }
            self.hosts.remove(&mapping.inside.0);
        }
    }

    /// The outside end for a flow from inside; a new mapping if there is none.
    ///
    /// # Errors
    /// [`DropReason::NatExhausted`], [`DropReason::NatUnsupported`], [`DropReason::NatConflict`].
    pub fn outbound(
        &mut self,
        now: Instant,
        flow: &Flow,
        config: &NatConfig,
        rng: &mut Rng,
    ) -> Result<End, DropReason> {
        let toward = toward(config.mapping, flow.transport, flow.dst);
        let key = (flow.transport, flow.src, toward);
        let known = self.by_inside.get(&key).copied();
        let has_session =
            known.and_then(|id| self.mappings.get(&id)).is_some_and(|m| m.sessions.contains_key(&flow.dst));
        if !has_session && self.sessions() >= config.table {
            return Err(DropReason::NatExhausted);
        }
        let id = match known {
            Some(id) => id,
            None => self.create(flow, toward, config, rng)?,
        };
        self.touch(now, id, flow.dst, Way::Out, flow.flags, config);
        self.mappings.get(&id).map(|mapping| mapping.outside).ok_or(DropReason::NatExhausted)
    }

    /// The inside end for a packet from `flow.src` to the outside end `flow.dst`.
    ///
    /// # Errors
    /// [`DropReason::NatNoMapping`], [`DropReason::NatFiltered`].
    pub fn inbound(&mut self, now: Instant, flow: &Flow, config: &NatConfig) -> Result<End, DropReason> {
        let key = outside_key(flow.transport, flow.dst, flow.src, config);
        let id = *self.by_outside.get(&key).ok_or(DropReason::NatNoMapping)?;
        let mapping = self.mappings.get(&id).ok_or(DropReason::NatNoMapping)?;
        let mut remotes = mapping.sessions.keys();
        let admitted = match config.filtering {
            Behaviour::EndpointIndependent => true,
            Behaviour::AddressDependent => remotes.any(|remote| remote.0 == flow.src.0),
            Behaviour::AddressAndPortDependent => remotes.any(|remote| *remote == flow.src),
        };
        if !admitted {
            return Err(DropReason::NatFiltered);
        }
        let inside = mapping.inside;
        if mapping.sessions.contains_key(&flow.src) || self.sessions() < config.table {
            self.touch(now, id, flow.src, Way::In, flow.flags, config);
        }
        Ok(inside)
    }

    /// The outside end of the flow that an inside host complains of: a packet that came to it from `flow.src`.
    pub fn outside_of(&self, flow: &Flow, config: &NatConfig) -> Option<End> {
        let key = (flow.transport, flow.dst, toward(config.mapping, flow.transport, flow.src));
        Some(self.mappings.get(self.by_inside.get(&key)?)?.outside)
    }

    /// Whether the flow of a packet from inside is remembered.
    pub fn knows(&self, flow: &Flow, config: &NatConfig) -> bool {
        let key = (flow.transport, flow.src, toward(config.mapping, flow.transport, flow.dst));
        let mapping = self.by_inside.get(&key).and_then(|id| self.mappings.get(id));
        mapping.is_some_and(|mapping| mapping.sessions.contains_key(&flow.dst))
    }

    /// The inside end of the flow that somebody outside complains of: a packet that came from the outside end `flow.src`.
    pub fn inside_of(&self, flow: &Flow, config: &NatConfig) -> Option<End> {
        let key = outside_key(flow.transport, flow.src, flow.dst, config);
        Some(self.mappings.get(self.by_outside.get(&key)?)?.inside)
    }

    /// A packet passed between a mapping and a remote end.
    fn touch(&mut self, now: Instant, id: Id, remote: End, way: Way, segment: u8, config: &NatConfig) {
        use super::config::Refresh;
        let Some(mapping) = self.mappings.get_mut(&id) else { return };
        let is_tcp = mapping.transport == Transport::Tcp;
        let refreshes = match (way, config.refresh) {
            _ if is_tcp => true,
            (Way::Out, Refresh::Outbound | Refresh::Both) | (Way::In, Refresh::Inbound | Refresh::Both) => true,
            (Way::Out, Refresh::Inbound) | (Way::In, Refresh::Outbound) => false,
        };
        let known = mapping.sessions.get(&remote).copied();
        if !refreshes && (known.is_some() || way == Way::In) {
            return;
        }
        let mut tcp = known.map(|session| session.tcp).unwrap_or_default();
        tcp.pass(way, segment);
        let expires = now + idle(mapping.transport, &tcp, config);
        // What is due later than it was is found by the queue in time; what is due sooner must be put there.
        let queued = known.map_or(expires, |session| session.queued.min(expires));
        if let Some(session) = known.filter(|session| session.queued != queued) {
            self.expiry.remove(&(session.queued, id, remote));
        }
        self.expiry.insert((queued, id, remote));
        mapping.sessions.insert(remote, Session { expires, queued, tcp });
    }

    fn create(&mut self, flow: &Flow, toward: End, config: &NatConfig, rng: &mut Rng) -> Result<Id, DropReason> {
        let pass = match flow.transport {
            Transport::Udp | Transport::Tcp | Transport::Icmp => Passthrough::OneClient,
            Transport::Esp => config.esp,
            Transport::Ah => config.ah,
        };
        if pass == Passthrough::Drop {
            return Err(DropReason::NatUnsupported);
        }
        let host = match config.pooling {
            Pooling::Paired => self.pair(flow.src.0, config),
            Pooling::Arbitrary => self.spread(flow, toward, config),
        };
        let host = host.ok_or(DropReason::NatExhausted)?;
        if config.per_remote.is_some_and(|most| self.to_remote(flow.transport, toward, host.address) >= most) {
            return Err(DropReason::NatExhausted);
        }
        let outside = match flow.transport {
            Transport::Udp | Transport::Tcp | Transport::Icmp => {
                let port = self.port(flow, toward, &host, config, rng);
                (host.address, port.ok_or(DropReason::NatExhausted)?)
            }
            Transport::Esp | Transport::Ah => {
                let outside = (host.address, 0);
                let mut same = self.mappings.values().filter(|mapping| mapping.transport == flow.transport);
                if pass == Passthrough::OneHost && same.any(|mapping| mapping.inside.0 != flow.src.0) {
                    return Err(DropReason::NatConflict);
                }
                if self.by_outside.contains_key(&outside_key(flow.transport, outside, toward, config)) {
                    return Err(DropReason::NatConflict);
                }
                outside
            }
        };
        let id = self.age;
        self.age += 1;
        self.by_inside.insert((flow.transport, flow.src, toward), id);
        self.by_outside.insert(outside_key(flow.transport, outside, toward, config), id);
        if config.overload || config.pooling == Pooling::Arbitrary {
            *self.remotes.entry((flow.transport, toward, outside.0)).or_default() += 1;
        }
        let sessions = BTreeMap::new();
        self.mappings.insert(id, Mapping { transport: flow.transport, inside: flow.src, outside, toward, sessions });
        let host = Host { mappings: host.mappings + 1, ..host };
        if let Some(first) = host.block {
            self.blocks.insert((host.address, first));
        }
        self.hosts.insert(flow.src.0, host);
        Ok(id)
    }

    /// The outside address of an inside host: the one that it has, or the one with the fewest hosts, the earlier in the
    /// pool first. With port blocks, one that has a block left.
    fn pair(&self, inside: Ipv4Addr, config: &NatConfig) -> Option<Host> {
        if let Some(host) = self.hosts.get(&inside) {
            return Some(*host);
        }
        let hosts = |address: Ipv4Addr| self.hosts.values().filter(|host| host.address == address).count();
        let fresh = |address: Ipv4Addr| match config.block {
            None => Some(Host { address, block: None, mappings: 0 }),
            Some(size) => {
                let last = *config.ports.end();
                let firsts = config.ports.clone().step_by(size.max(1).into());
                let mut whole = firsts.filter(|first| first.checked_add(size - 1).is_some_and(|end| end <= last));
                let first = whole.find(|first| !self.blocks.contains(&(address, *first)))?;
                Some(Host { address, block: Some(first), mappings: 0 })
            }
        };
        let candidates = config.pool.iter().filter_map(|address| fresh(*address));
        candidates.min_by_key(|host| hosts(host.address))
    }

    /// The outside address of one flow: the one with the fewest mappings to its remote end, the earlier in the pool first.
    fn spread(&self, flow: &Flow, toward: End, config: &NatConfig) -> Option<Host> {
        let mappings = self.hosts.get(&flow.src.0).map_or(0, |host| host.mappings);
        let addresses = config.pool.iter().copied();
        let address = addresses.min_by_key(|address| self.to_remote(flow.transport, toward, *address))?;
        Some(Host { address, block: None, mappings })
    }

    /// Mappings of an outside address to a remote end.
    fn to_remote(&self, transport: Transport, toward: End, address: Ipv4Addr) -> usize {
        self.remotes.get(&(transport, toward, address)).copied().unwrap_or_default()
    }

    /// A free outside port for an inside port (RFC 4787 section 4.2).
    fn port(&mut self, flow: &Flow, toward: End, host: &Host, config: &NatConfig, rng: &mut Rng) -> Option<u16> {
        let (transport, wanted) = (flow.transport, flow.src.1);
        let key = |port: u16| outside_key(transport, (host.address, port), toward, config);
        let free = |port: u16| !self.by_outside.contains_key(&key(port));
        let all = allowed(transport, host, config);
        if config.assignment == Assignment::Preserve && all.contains(&wanted) && free(wanted) {
            return Some(wanted);
        }
        let range = if transport == Transport::Icmp { all } else { of_class(wanted, &all) };
        let (low, count) = (u32::from(*range.start()), u32::from(*range.end() - *range.start()) + 1);
        let start = match config.assignment {
            Assignment::Preserve | Assignment::Random => rng.below(count.into()) as u32,
            Assignment::Sequential => u32::from(self.next).checked_sub(low).filter(|start| *start < count).unwrap_or(0),
        };
        let ports = (0..count).map(|step| (low + (start + step) % count) as u16);
        let even = |port: u16| port.is_multiple_of(2);
        let found = ports.filter(|port| !config.parity || even(*port) == even(wanted)).find(|port| free(*port))?;
        self.next = found.wrapping_add(1);
        Some(found)
    }
}

/// The ports of a host. ICMP identifiers are no ports and are bounded by a block only.
fn allowed(transport: Transport, host: &Host, config: &NatConfig) -> RangeInclusive<u16> {
    match (host.block, config.block, transport) {
        (Some(first), Some(size), _) => first..=first + (size - 1),
        (_, _, Transport::Icmp) => 0..=u16::MAX,
        _ => config.ports.clone(),
    }
}

/// Well-known ports get well-known ones and others others (RFC 4787 REQ-3 a), if there are any to give.
fn of_class(wanted: u16, all: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    let (low, high) = if wanted < 1024 { (1, 1023) } else { (1024, u16::MAX) };
    let class = *all.start().max(&low)..=*all.end().min(&high);
    if class.is_empty() { all.clone() } else { class }
}

/// A remote end as far as a mapping behaviour tells it apart. Without ports there is nothing else to go by.
fn toward(behaviour: Behaviour, transport: Transport, remote: End) -> End {
    match (transport, behaviour) {
        (Transport::Esp | Transport::Ah, _) => (remote.0, 0),
        (_, Behaviour::EndpointIndependent) => NOBODY,
        (_, Behaviour::AddressDependent) => (remote.0, 0),
        (_, Behaviour::AddressAndPortDependent) => remote,
    }
}

fn outside_key(transport: Transport, outside: End, remote: End, config: &NatConfig) -> Outside {
    let remote = match transport {
        Transport::Udp | Transport::Tcp | Transport::Icmp if config.overload => remote,
        Transport::Udp | Transport::Tcp | Transport::Icmp => NOBODY,
        Transport::Esp | Transport::Ah => (remote.0, 0),
    };
    (transport, outside, remote)
}

fn idle(transport: Transport, tcp: &Connection, config: &NatConfig) -> Duration {
    let timers = &config.timers;
    match transport {
        Transport::Udp => timers.udp,
        Transport::Tcp if tcp.open && !tcp.is_closing() => timers.tcp_established,
        Transport::Tcp => timers.tcp_transitory,
        Transport::Icmp => timers.icmp,
        Transport::Esp | Transport::Ah => timers.ipsec,
    }
}
