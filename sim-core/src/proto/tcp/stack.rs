//! The TCP of one host: which connection a packet belongs to, who may connect, and what becomes of the rest.
//!
//! Every SYN to a listening port makes a connection of its own beside whatever else exists, so that a listener and a
//! connector to the same peer can be alive at once (BGP connection collision, RFC 4271 section 6.8). A call touches the one
//! connection it concerns: lookup and re-arming cost O(log n) of their number; opening and closing move names of the others.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeSet, VecDeque};

use litemap::LiteMap;

use super::connection::{Connection, SendRefused};
use super::segment::Segment;
use super::signature;
use super::{Event, Output, TcpConfig};
use crate::fetch::{fetch, fetch_first};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Rng;
use crate::time::Instant;

/// Ephemeral ports, Linux's `ip_local_port_range`.
const EPHEMERAL: core::ops::Range<u16> = 32_768..61_000;
/// TTL and code point of a reset that belongs to no connection.
const RESET_TTL: u8 = 64;
const RESET_DSCP: u8 = 0;

/// Names a connection of a [`Stack`]; never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp{}", self.0)
    }
}

/// What a stack wants.
#[derive(Clone, Debug)]
pub enum StackOutput {
    /// Send this whole IP packet; `conn` is `None` for a reset that belongs to no connection.
    Transmit {
        /// The connection that sends.
        conn: Option<ConnId>,
        /// The packet.
        packet: Packet,
    },
    /// A peer's SYN made a connection; [`Event::Connected`] follows when the handshake is complete.
    Accepted {
        /// The new connection.
        conn: ConnId,
        /// This host's end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// Something happened to a connection.
    Event {
        /// The connection.
        conn: ConnId,
        /// What happened.
        event: Event,
    },
    /// A packet had no effect beyond, perhaps, a reset.
    Ignored(DropReason),
}

/// Both ends of a connection, this host's first, in as little room as they take.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ends([IpAddr; 2], [u16; 2]);

impl Ends {
    const fn of(local: SocketAddr, remote: SocketAddr) -> Self {
        Self([local.ip(), remote.ip()], [local.port(), remote.port()])
    }
}

struct Entry {
    connection: Connection,
    armed: Option<Instant>,
}

/// The TCP of one host. What it knows stands in flat maps, because most devices have one connection or two, and a tree has room for eleven
/// in memory of its own from the first on.
pub struct Stack {
    addresses: LiteMap<IpAddr, ()>,
    rng: Rng,
    listeners: LiteMap<(u16, Option<IpAddr>), TcpConfig>,
    entries: LiteMap<ConnId, Box<Entry>>,
    by_ends: LiteMap<Ends, ConnId>,
    wakes: BTreeSet<(Instant, ConnId)>,
    out: VecDeque<StackOutput>,
    next_id: u64,
}

impl Stack {
    /// A stack that answers for `addresses`; sequence numbers and ports come from `rng`.
    pub fn new(addresses: impl IntoIterator<Item: Into<IpAddr>>, rng: Rng) -> Self {
        Self {
            addresses: addresses.into_iter().map(|address| (address.into(), ())).collect(),
            rng,
            listeners: LiteMap::new(),
            entries: LiteMap::new(),
            by_ends: LiteMap::new(),
            wakes: BTreeSet::new(),
            out: VecDeque::new(),
            next_id: 0,
        }
    }

    /// Fetches what a packet or a timer will touch, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        match depth {
            1 => {
                fetch(&self.entries);
                fetch(&self.by_ends);
                fetch(&self.wakes);
                fetch(&self.out);
            }
            2 => {
                fetch_first(self.addresses.as_slice());
                fetch_first(self.by_ends.as_slice());
                fetch_first(self.entries.as_slice());
                self.wakes.first().into_iter().for_each(fetch);
            }
            _ => self.entries.values().take(2).for_each(|entry| entry.connection.foresee(depth)),
        }
    }

    /// Lets `peer`, or anybody if `None`, connect to `port`. Who is not let gets the answer of a closed port.
    pub fn listen(&mut self, port: u16, peer: Option<IpAddr>, config: TcpConfig) {
        self.listeners.insert((port, peer), config);
    }

    /// Takes back [`Self::listen`]. Connections that exist stay.
    pub fn unlisten(&mut self, port: u16, peer: Option<IpAddr>) {
        self.listeners.remove(&(port, peer));
    }

    /// Opens a connection from `local`, at a port of the stack's choice, to `remote`.
    ///
    /// # Panics
    /// If `local` is not an address of this host, or all ports to `remote` are in use.
    pub fn connect(
        &mut self,
        now: Instant,
        config: TcpConfig,
        local: impl Into<IpAddr>,
        remote: impl Into<SocketAddr>,
    ) -> ConnId {
        let (local, remote) = (local.into(), remote.into());
        assert!(self.addresses.contains_key(&local), "invariant: a host connects from an address of its own");
        let local = SocketAddr::new(local, self.ephemeral_port(local, remote));
        let connection = Connection::connect(config, local, remote, &mut self.rng, now);
        let id = self.insert(connection);
        self.settle(id);
        id
    }

    /// A packet arrived for one of this host's addresses.
    pub fn handle(&mut self, now: Instant, packet: &[u8]) {
        let segment = match Segment::parse(packet) {
            Ok(segment) => segment,
            Err(reason) => return self.out.push_back(StackOutput::Ignored(reason)),
        };
        if !self.addresses.contains_key(&segment.dst.ip()) {
            return self.out.push_back(StackOutput::Ignored(DropReason::NotForMe));
        }
        match self.by_ends.get(&Ends::of(segment.dst, segment.src)) {
            Some(&id) => self.touch(id, |c| c.handle_segment(now, &segment)),
            None => self.stranger(now, &segment),
        }
    }

    /// Queues octets on a connection; see [`Connection::send`].
    ///
    /// # Errors
    /// [`SendRefused`], also if the connection no longer exists.
    pub fn send(&mut self, now: Instant, id: ConnId, octets: &[u8]) -> Result<(), SendRefused> {
        let mut result = Err(SendRefused::Closed);
        self.touch(id, |c| result = c.send(now, octets));
        result
    }

    /// Ends the sending half of a connection; see [`Connection::close`].
    pub fn close(&mut self, now: Instant, id: ConnId) {
        self.touch(id, |c| c.close(now));
    }

    /// Aborts a connection; see [`Connection::abort`].
    pub fn abort(&mut self, now: Instant, id: ConnId) {
        self.touch(id, |c| c.abort(now));
    }

    /// The path of a connection changed its MTU; see [`Connection::set_mtu`].
    pub fn set_mtu(&mut self, now: Instant, id: ConnId, mtu: u16) {
        self.touch(id, |c| c.set_mtu(now, mtu));
    }

    /// Serves every connection whose wake is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(_, id)) = self.wakes.first().filter(|(at, _)| *at <= now) {
            self.touch(id, |c| c.handle_timeout(now));
        }
    }

    /// The next packet to send or event to know, in order.
    pub fn poll(&mut self) -> Option<StackOutput> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] must be called next ([`crate::reason::TimerKind::TcpTimer`]).
    pub fn wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// A connection, while it exists.
    pub fn connection(&self, id: ConnId) -> Option<&Connection> {
        self.entries.get(&id).map(|e| &e.connection)
    }

    /// The connection between these ends, if there is one: where an ICMP error about a packet belongs.
    pub fn find(&self, local: impl Into<SocketAddr>, remote: impl Into<SocketAddr>) -> Option<ConnId> {
        self.by_ends.get(&Ends::of(local.into(), remote.into())).copied()
    }

    /// Power loss: every connection and unsent output is forgotten, silently. Listeners are configuration and stay.
    pub fn reset_all(&mut self) {
        self.entries.clear();
        self.by_ends.clear();
        self.wakes.clear();
        self.out.clear();
    }

    /// A segment that belongs to no connection: RFC 9293 section 3.10.7.2 if the port listens, else 3.10.7.1.
    fn stranger(&mut self, now: Instant, segment: &Segment<'_>) {
        let port = segment.dst.port();
        let listener = [Some(segment.src.ip()), None].into_iter().find_map(|peer| self.listeners.get(&(port, peer)));
        let Some(config) = listener else {
            return self.refuse(segment);
        };
        if segment.ttl < config.min_ttl {
            return self.out.push_back(StackOutput::Ignored(DropReason::TtlTooLow));
        }
        if let Err(reason) = segment.verify(config.md5.as_ref()) {
            return self.out.push_back(StackOutput::Ignored(reason));
        }
        if segment.opens() {
            let connection = Connection::accept_segment(config.clone(), segment, &mut self.rng, now);
            let id = self.insert(connection);
            self.out.push_back(StackOutput::Accepted { conn: id, local: segment.dst, remote: segment.src });
            return self.settle(id);
        }
        if segment.ack.is_some() {
            return self.refuse(segment);
        }
        self.out.push_back(StackOutput::Ignored(DropReason::PortUnreachable));
    }

    fn refuse(&mut self, segment: &Segment<'_>) {
        self.out.push_back(StackOutput::Ignored(DropReason::PortUnreachable));
        if let Some(packet) = segment.reset(RESET_TTL, RESET_DSCP) {
            // A key is a peer's, whichever port it is about; without a signature the peer would not believe the reset.
            let of_peer = |((_, peer), _): &(&(u16, Option<IpAddr>), &TcpConfig)| *peer == Some(segment.src.ip());
            let key = self.listeners.iter().filter(of_peer).find_map(|(_, config)| config.md5.as_ref());
            let packet = key.map_or_else(|| packet.clone(), |key| signature::sign(&packet, key));
            self.out.push_back(StackOutput::Transmit { conn: None, packet });
        }
    }

    fn ephemeral_port(&mut self, local: IpAddr, remote: SocketAddr) -> u16 {
        let n = EPHEMERAL.end - EPHEMERAL.start;
        let first = self.rng.below(u64::from(n)) as u16;
        (0..n)
            .map(|i| EPHEMERAL.start + (first + i) % n)
            .find(|&port| !self.by_ends.contains_key(&Ends::of(SocketAddr::new(local, port), remote)))
            .expect("invariant: a host has fewer connections to one peer's port than ephemeral ports")
    }

    fn insert(&mut self, connection: Connection) -> ConnId {
        let id = ConnId(self.next_id);
        self.next_id += 1;
        self.by_ends.insert(Ends::of(connection.local(), connection.remote()), id);
        self.entries.insert(id, Box::new(Entry { connection, armed: None }));
        id
    }

    fn touch(&mut self, id: ConnId, act: impl FnOnce(&mut Connection)) {
        if let Some(entry) = self.entries.get_mut(&id) {
            act(&mut entry.connection);
            self.settle(id);
        }
    }

    /// Takes a touched connection's outputs, arms its wake anew, and reaps it if it is closed.
    fn settle(&mut self, id: ConnId) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        while let Some(output) = entry.connection.poll() {
            self.out.push_back(match output {
                Output::Transmit(packet) => StackOutput::Transmit { conn: Some(id), packet },
                Output::Event(Event::Ignored(reason)) => StackOutput::Ignored(reason),
                Output::Event(event) => StackOutput::Event { conn: id, event },
            });
        }
        let wake = entry.connection.wake();
        if wake != entry.armed {
            entry.armed.map(|at| self.wakes.remove(&(at, id)));
            entry.armed = wake;
            wake.map(|at| self.wakes.insert((at, id)));
        }
        if entry.connection.is_closed() {
            let ends = Ends::of(entry.connection.local(), entry.connection.remote());
            self.by_ends.remove(&ends);
            self.entries.remove(&id);
        }
    }
}
