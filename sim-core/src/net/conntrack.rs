//! Connection tracking: which flows a device has seen begin, so that it can tell an answer from a stranger. Firewalls and
//! security groups ask it, and each decides itself what may begin.
//!
//! ```text
//!   inside --SYN--> look(): New, the owner's rules let it begin, admit() --> outside
//!   inside <------- look(): Flow(by the responder) <--SYN+ACK-- outside
//!                   look(): Stray(why) <--ACK that belongs to nothing--
//! ```
//!
//! | file | what |
//! |---|---|
//! | `config` | timeouts, limit and manners, as data |
//! | `tcp` | states of a TCP connection as seen from the middle, and the check of its windows |
//!
//! A flow is known by its protocol and its two ends; ICMP queries by their identifier at the end that asks, all that has no
//! ports by its addresses. If the table is told to bind flows, the places (interfaces or zones) by which packets come in and go
//! out belong to what a flow is: a session of PAN-OS is found by six values, the zone among them; a state of pf under
//! `if-bound` names its interface. An ICMP error belongs to the flow whose packet it quotes (RFC 5508 section 4.2 calls for the same
//! of a NAT); it moves no timer.
//!
//! The model is netfilter's (its states and timeouts: the kernel's `nf_conntrack-sysctl` documentation), which EC2's documented
//! timers fit. Nothing happens by itself: what has expired is forgotten when the next packet is looked at, before it is.
//!
//! Left out: helpers that expect related flows (FTP, SIP); early eviction of unanswered flows when the table is full; SACK in
//! the check of windows; IPv6; SCTP and DCCP, which are told apart by address only. A later fragment has no ports: its owner puts
//! datagrams together first.

mod config;
mod tcp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

pub use config::{Timeouts, TrackConfig};
pub use tcp::TcpState;

use self::tcp::{Segment, Step, Windows};
use super::nat::flow::{self, Content, Transport};
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// A place by which packets come and go: an interface, a zone, whatever the owner tells apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Zone(pub u16);

/// An end of a flow: its address, and its port, or its identifier if it asks by ICMP.
pub type End = (Ipv4Addr, Option<u16>);

/// The ends of a flow in the direction of its first packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId {
    /// IP protocol number.
    pub protocol: u8,
    /// Who began.
    pub originator: End,
    /// The other.
    pub responder: End,
}

/// Who of a flow's two ends sent a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The one that began.
    Originator,
    /// The other.
    Responder,
}

impl By {
    const fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }
}

/// Why a packet belongs to no flow and can begin none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stray {
    /// A TCP segment without a connection that does not begin one either.
    NoConnection,
    /// The flow is known, but between other places.
    OtherZone,
    /// A TCP segment that its connection's state does not expect.
    BadState,
    /// A TCP segment outside its connection's windows.
    OutOfWindow,
    /// An ICMP reply to nothing.
    NoQuery,
    /// An ICMP error about a packet of no known flow.
    Unrelated,
    /// No well-formed packet of its protocol.
    Malformed,
}

/// What a packet is to the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It belongs to a flow, whose timer has been set anew.
    Flow(By),
    /// It is an ICMP error about a flow.
    Related,
    /// Nothing is known of it, and it may begin a flow if the owner's rules let it. `elsewhere`: the flow is known, but between
    /// other places.
    New {
        /// See above.
        elsewhere: bool,
    },
    /// It belongs to nothing.
    Stray(Stray),
}

/// What a flow has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowState {
    /// A TCP connection.
    Tcp(TcpState),
    /// Something else that has had no answer yet.
    Unanswered,
    /// Something else that has had one.
    Answered,
    /// UDP that has gone to and fro more than once.
    Stream,
}

/// A flow that is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Its ends.
    pub id: FlowId,
    /// The place where the originator's packets come in, and the one where they go out.
    pub zones: (Zone, Zone),
    /// What it has come to.
    pub state: FlowState,
    /// When its first packet came.
    pub began: Instant,
    /// When it is forgotten if nothing comes.
    pub expires: Instant,
    /// Packets by the originator and by the responder.
    pub packets: [u64; 2],
    /// When the expiry queue looks at it: not after `expires`.
    queued: Instant,
    windows: Windows,
}

/// A flow as it is found from either end: protocol, the lower end, the higher, and the place of each, which are all the same if
/// flows are not bound.
type Key = (u8, End, End, Zone, Zone);

/// A packet, read.
#[derive(Clone, Copy, Debug)]
struct Read {
    protocol: u8,
    src: End,
    dst: End,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Plain,
    Tcp(Segment),
    Reply,
    Error,
}

/// A table of flows. Cloning it forks a world.
#[derive(Clone, Debug)]
pub struct Tracker {
    config: TrackConfig,
    flows: BTreeMap<Key, Flow>,
    /// One entry for each flow.
    expiry: BTreeSet<(Instant, Key)>,
}

impl Tracker {
    /// A table that remembers nothing.
    pub fn new(config: TrackConfig) -> Self {
        Self { config, flows: BTreeMap::new(), expiry: BTreeSet::new() }
    }

    /// What it was told.
    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// What it remembers, those flows included that have expired since the last packet; by protocol and ends.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.flows.values()
    }

    /// Forgets every flow.
    pub fn flush(&mut self) {
        self.flows.clear();
        self.expiry.clear();
    }

    /// Forgets the flows that `gone` says, as an operator does.
    pub fn forget(&mut self, mut gone: impl FnMut(&Flow) -> bool) {
        self.flows.retain(|_, flow| !gone(flow));
        self.expiry.retain(|(_, key)| self.flows.contains_key(key));
    }

    /// Takes over what another table knows, as the partner of a pair does; what is known already stays as it is. Full is full.
    pub fn adopt<'a>(&mut self, flows: impl IntoIterator<Item = &'a Flow>) {
        for flow in flows {
            let read = (flow.id.protocol, flow.id.originator, flow.id.responder);
            let key = self.key(read, flow.zones);
            if self.flows.len() < self.config.limit && !self.flows.contains_key(&key) {
                self.flows.insert(key, Flow { queued: flow.expires, ..*flow });
                self.expiry.insert((flow.expires, key));
            }
        }
    }

    /// What a packet is that came in at `from` and goes out at `to`. It must be sound IPv4, whole, with nothing behind its total
    /// length. If it belongs to a flow, that has heard it.
    pub fn look(&mut self, now: Instant, ip: &Ipv4Packet<&[u8]>, from: Zone, to: Zone) -> Verdict {
        self.expire(now);
        let read = match read(ip) {
            Ok(read) => read,
            Err(stray) => return Verdict::Stray(stray),
        };
        if read.kind == Kind::Error {
            return self.error(&read, from, to);
        }
        let key = self.key((read.protocol, read.src, read.dst), (from, to));
        match self.flows.get(&key) {
            Some(_) => self.hear(now, key, &read),
            None => self.stranger(&read),
        }
    }

    /// Remembers the flow that a packet begins, of which [`Tracker::look`] has said that it is new. False, and nothing is
    /// remembered, if the table is full.
    pub fn admit(&mut self, now: Instant, ip: &Ipv4Packet<&[u8]>, from: Zone, to: Zone) -> bool {
        let Ok(read) = read(ip) else { return false };
        if self.flows.len() >= self.config.limit {
            return false;
        }
        let (mut windows, mut state) = (Windows::default(), FlowState::Unanswered);
        if let Kind::Tcp(segment) = &read.kind {
            state = FlowState::Tcp(if segment.begins() { TcpState::SynSent } else { TcpState::Established });
            windows.begin(segment);
        }
        let expires = now + self.config.timeouts.of(read.protocol, state);
        let id = FlowId { protocol: read.protocol, originator: read.src, responder: read.dst };
        let key = self.key((read.protocol, read.src, read.dst), (from, to));
        let (zones, packets) = ((from, to), [1, 0]);
        let flow = Flow { id, zones, state, began: now, expires, packets, queued: expires, windows };
        if let Some(before) = self.flows.insert(key, flow) {
            self.expiry.remove(&(before.queued, key));
        }
        self.expiry.insert((expires, key));
        true
    }

    /// A packet of a flow that is known here.
    fn hear(&mut self, now: Instant, key: Key, read: &Read) -> Verdict {
        let Some(flow) = self.flows.get_mut(&key) else { return self.stranger(read) };
        let by = if read.src == flow.id.originator { By::Originator } else { By::Responder };
        let state = match (&read.kind, flow.state) {
            (Kind::Tcp(segment), FlowState::Tcp(state)) => match tcp::step(state, by, segment.kind()) {
                Step::Anew => {
                    let queued = flow.queued;
                    self.flows.remove(&key);
                    self.expiry.remove(&(queued, key));
                    return self.stranger(read);
                }
                Step::Invalid => return Verdict::Stray(Stray::BadState),
                step @ (Step::Stay | Step::To(_)) => {
                    let fits = flow.windows.pass(by, segment, state.is_opening());
                    if self.config.strict_sequence && !fits {
                        return Verdict::Stray(Stray::OutOfWindow);
                    }
                    FlowState::Tcp(if let Step::To(next) = step { next } else { state })
                }
            },
            (_, state) => match (by, state, read.protocol) {
                (By::Responder, FlowState::Unanswered, _) => FlowState::Answered,
                (By::Originator, FlowState::Answered, protocol::UDP) => FlowState::Stream,
                (By::Originator | By::Responder, state, _) => state,
            },
        };
        flow.state = state;
        flow.packets[by as usize] += 1;
        flow.expires = now + self.config.timeouts.of(read.protocol, state);
        // What is due later than it was is found by the queue in time; what is due sooner must be put there.
        if flow.expires < flow.queued {
            self.expiry.remove(&(flow.queued, key));
            flow.queued = flow.expires;
            self.expiry.insert((flow.queued, key));
        }
        Verdict::Flow(by)
    }

    /// A packet of no flow that is known here.
    fn stranger(&self, read: &Read) -> Verdict {
        let elsewhere = self.elsewhere((read.protocol, read.src, read.dst));
        let stray = |why| Verdict::Stray(if elsewhere { Stray::OtherZone } else { why });
        match &read.kind {
            Kind::Plain => Verdict::New { elsewhere },
            Kind::Tcp(segment) if segment.begins() => Verdict::New { elsewhere },
            Kind::Tcp(segment) if self.config.loose && segment.is_plain() => Verdict::New { elsewhere },
            Kind::Tcp(_) => stray(Stray::NoConnection),
            Kind::Reply => stray(Stray::NoQuery),
            Kind::Error => stray(Stray::Unrelated),
        }
    }

    /// An error about a packet that went the other way, from where it goes to where it comes from; so whoever is told sent the
    /// packet.
    fn error(&self, about: &Read, from: Zone, to: Zone) -> Verdict {
        let ends = (about.protocol, about.src, about.dst);
        match self.flows.contains_key(&self.key(ends, (to, from))) {
            true => Verdict::Related,
            false if self.elsewhere(ends) => Verdict::Stray(Stray::OtherZone),
            false => Verdict::Stray(Stray::Unrelated),
        }
    }

    /// True if a flow between these ends is known, whatever the places.
    fn elsewhere(&self, ends: (u8, End, End)) -> bool {
        if !self.config.bound {
            return false;
        }
        let (protocol, low, high) = (ends.0, ends.1.min(ends.2), ends.1.max(ends.2));
        let (least, most) = (Zone(0), Zone(u16::MAX));
        self.flows.range((protocol, low, high, least, least)..=(protocol, low, high, most, most)).next().is_some()
    }

    fn key(&self, (protocol, src, dst): (u8, End, End), (from, to): (Zone, Zone)) -> Key {
        let (from, to) = if self.config.bound { (from, to) } else { Default::default() };
        if src <= dst { (protocol, src, dst, from, to) } else { (protocol, dst, src, to, from) }
    }

    /// Forgets what has expired by `now`: by time, then by protocol and ends.
    fn expire(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.expiry.first().filter(|(at, _)| *at <= now) {
            self.expiry.remove(&(at, key));
            let Some(flow) = self.flows.get_mut(&key) else { continue };
            if flow.expires > now {
                flow.queued = flow.expires;
                self.expiry.insert((flow.expires, key));
            } else {
                self.flows.remove(&key);
            }
        }
    }
}

impl Timeouts {
    /// How long a flow in this state is remembered after its last packet.
    const fn of(&self, of: u8, state: FlowState) -> Duration {
        match (state, of) {
            (FlowState::Tcp(state), _) => match state {
                TcpState::SynSent | TcpState::SynCrossed => self.tcp_syn_sent,
                TcpState::SynReceived => self.tcp_syn_received,
                TcpState::Established => self.tcp_established,
                TcpState::FinWait => self.tcp_fin_wait,
                TcpState::CloseWait => self.tcp_close_wait,
                TcpState::LastAck => self.tcp_last_ack,
                TcpState::TimeWait => self.tcp_time_wait,
                TcpState::Closed => self.tcp_closed,
            },
            (FlowState::Stream, _) => self.udp_stream,
            (FlowState::Unanswered | FlowState::Answered, protocol::UDP) => self.udp_single,
            (FlowState::Unanswered | FlowState::Answered, protocol::ICMP) => self.icmp,
            (FlowState::Unanswered | FlowState::Answered, _) => self.other,
        }
    }
}

/// Reads a packet; of an error, the packet that it quotes.
fn read(ip: &Ipv4Packet<&[u8]>) -> Result<Read, Stray> {
    let (protocol, src, dst) = (ip.protocol(), ip.src(), ip.dst());
    let by_address = Read { protocol, src: (src, None), dst: (dst, None), kind: Kind::Plain };
    let content = match flow::read(ip) {
        Ok(content) => content,
        // An error about a protocol that has no ports that are known here.
        Err(DropReason::NatUnsupported) => return Err(Stray::Unrelated),
        Err(_) => return Err(Stray::Malformed),
    };
    let of = |flow: &flow::Flow, kind| {
        let (protocol, port) = match flow.transport {
            Transport::Udp => (protocol::UDP, [Some(flow.src.1), Some(flow.dst.1)]),
            Transport::Tcp => (protocol::TCP, [Some(flow.src.1), Some(flow.dst.1)]),
            // The identifier stands at the end that asks, also in a packet that an error quotes: the other has none.
            Transport::Icmp if flow.src.1 != 0 => (protocol::ICMP, [Some(flow.src.1), None]),
            Transport::Icmp if kind == Kind::Reply || flow.dst.1 != 0 => (protocol::ICMP, [None, Some(flow.dst.1)]),
            Transport::Icmp => (protocol::ICMP, [Some(0), None]),
            Transport::Esp => (protocol::ESP, [None, None]),
            Transport::Ah => (protocol::AH, [None, None]),
        };
        Read { protocol, src: (flow.src.0, port[0]), dst: (flow.dst.0, port[1]), kind }
    };
    match content {
        Content::Flow(flow) if flow.transport == Transport::Tcp => {
            let segment = Segment::read(ip.payload()).ok_or(Stray::Malformed)?;
            Ok(of(&flow, Kind::Tcp(segment)))
        }
        Content::Flow(flow) | Content::Request(flow) => Ok(of(&flow, Kind::Plain)),
        Content::Reply(flow) => Ok(of(&flow, Kind::Reply)),
        Content::Error(flow) => Ok(of(&flow, Kind::Error)),
        Content::Other => Ok(by_address),
    }
}
