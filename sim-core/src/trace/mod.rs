//! What happened, when, and because of what.
//!
//! Three streams leave a world:
//!
//! - **kept records** ([`Record`]): faults, state changes, expired timers, protocol steps, route changes. All are kept
//!   for the whole run and each names its trigger, so that the critical path from a fault to recovered traffic can be
//!   walked backwards ([`critical_path`]);
//! - **hops** ([`Hop`]): what happened to each packet at each place. They go to a bounded ring; a drop pins its packet's;
//! - **drops** and **probes**: counted by place and reason, and logged per probe.
//!
//! Everything enters the [`Digest`], also what the ring forgets. Sinks see records, hops and bytes as they happen. A [`Ledger`], if
//! one is kept, accounts for every packet.

mod digest;
mod drops;
mod kept;
pub mod ledger;
pub mod path;
pub mod pcap;
mod probes;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use digest::Digest;
pub use drops::{DropCount, DropKey, Place, TaggedDrop};
pub use ledger::Ledger;
pub use path::{CriticalPath, Wait, critical_path};
pub use probes::{Fate, Probe, ProbeLog, StreamInfo};
pub use record::{Attributes, Hop, HopStep, Open, Phase, Prefixes, Record, Table, What};

use ipnet::IpNet;
use kept::{Kept, partition_near_the_end};
use prefetch_index::prefetch_index;

use crate::fetch::fetch;
use crate::id::{FaultId, LinkId, NodeId, PacketId, RecordId, SessionId, StreamId};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::time::Instant;

/// How many hops the ring remembers.
const RING: usize = 1024;
/// From how many prefixes on a list is held once: a shorter one takes no more than what would find it.
const LONG: usize = 4;
/// For how many drops of one place and reason the packet's hops are pinned.
const PINNED: usize = 2;

/// The kind of a session, in the words that reports use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SessionKind {
    /// An IKE SA between two addresses, over all its incarnations.
    Ike,
    /// The CHILD_SA of an IKE SA, over all its rekeys.
    Child,
    /// A BGP session.
    Bgp,
    /// A BFD session.
    Bfd,
    /// Something that a device watches.
    Track,
    /// A member of a LAG.
    Lacp,
    /// A router's part in a virtual router.
    Vrrp,
    /// A client of Client VPN.
    ClientVpn,
}

impl SessionKind {
    /// `ike`, `child`, `bgp`, `bfd`, `track`, `lacp`, `vrrp` or `client_vpn`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ike => "ike",
            Self::Child => "child",
            Self::Bgp => "bgp",
            Self::Bfd => "bfd",
            Self::Track => "track",
            Self::Lacp => "lacp",
            Self::Vrrp => "vrrp",
            Self::ClientVpn => "client_vpn",
        }
    }
}

/// One end of a session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// What it speaks.
    pub kind: SessionKind,
    /// The device that this end lives on.
    pub node: NodeId,
    /// Its name in reports, such as `cgw/vpn.a`.
    pub name: String,
    /// The other end, if it is in this world.
    pub peer: Option<SessionId>,
}

/// Which way a packet crosses a link: from the end named first, or from the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// From the link's first end to its second.
    Forward,
    /// From the link's second end to its first.
    Reverse,
}

impl Way {
    /// Both ways.
    pub const BOTH: [Self; 2] = [Self::Forward, Self::Reverse];

    /// 0 for forward, 1 for reverse.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `forward` or `reverse`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

/// Receives the trace as it happens. Every method does nothing unless overridden.
pub trait Sink {
    /// A kept record.
    fn record(&mut self, _id: RecordId, _record: &Record) {}
    /// A packet's hop.
    fn hop(&mut self, _hop: &Hop) {}
    /// A packet enters a link, as a capture at its sending end would see it.
    fn wire(&mut self, _at: Instant, _link: LinkId, _way: Way, _packet: &Packet) {}
    /// The keys of an IKE SA or CHILD_SA, for key logs. Secret.
    fn keys(&mut self, _at: Instant, _node: NodeId, _keys: &pcap::SessionKeys) {}
}

/// The trace of a running world.
pub struct Trace {
    digest: Digest,
    records: Kept,
    by_session: Vec<Vec<RecordId>>,
    /// The long lists of prefixes that records have.
    lists: BTreeSet<Arc<[IpNet]>>,
    sessions: Vec<SessionInfo>,
    ring: Vec<Hop>,
    hops: u64,
    pinned: Vec<Vec<Hop>>,
    drops: BTreeMap<DropKey, DropCount>,
    tagged: Vec<Vec<TaggedDrop>>,
    probes: Vec<ProbeLog>,
    sinks: Vec<Box<dyn Sink>>,
    ledger: Option<Box<Ledger>>,
    tapped: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            digest: Digest::default(),
            records: Kept::from_one(Record {
                at: Instant::START,
                node: NodeId(0),
                cause: RecordId::GENESIS,
                enabler: RecordId::GENESIS,
                what: What::Genesis,
            }),
            by_session: Vec::new(),
            lists: BTreeSet::new(),
            sessions: Vec::new(),
            ring: Vec::with_capacity(RING),
            hops: 0,
            pinned: Vec::new(),
            drops: BTreeMap::new(),
            tagged: Vec::new(),
            probes: Vec::new(),
            sinks: Vec::new(),
            ledger: None,
            tapped: false,
        }
    }
}

impl Trace {
    /// Registers one end of a session.
    pub fn add_session(&mut self, info: SessionInfo) -> SessionId {
        let id = SessionId(self.sessions.len() as u32);
        self.sessions.push(info);
        self.by_session.push(Vec::new());
        self.tagged.push(Vec::new());
        id
    }

    /// Declares two session ends to be each other's peer.
    pub fn pair_sessions(&mut self, a: SessionId, b: SessionId) {
        self.sessions[a.index()].peer = Some(b);
        self.sessions[b.index()].peer = Some(a);
    }

    /// Registers a stream of probes.
    pub fn add_stream(&mut self, info: StreamInfo) -> StreamId {
        let id = StreamId(self.probes.len() as u16);
        self.probes.push(ProbeLog::new(info));
        id
    }

    /// Adds a listener.
    pub fn add_sink(&mut self, sink: Box<dyn Sink>) {
        self.sinks.push(sink);
        self.tapped = true;
    }

    /// Takes the listeners out, so that their writers can be finished.
    pub fn take_sinks(&mut self) -> Vec<Box<dyn Sink>> {
        self.tapped = self.ledger.is_some();
        core::mem::take(&mut self.sinks)
    }

    /// Has every packet accounted for, from the beginning on.
    pub fn keep_ledger(&mut self) {
        self.ledger.get_or_insert_default();
        self.tapped = true;
    }

    /// The account of all packets, if it is kept.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.ledger.as_deref()
    }

    /// Fragments have taken a packet's place.
    pub fn cut(&mut self, at: Instant, node: NodeId, packet: PacketId) {
        if let Some(ledger) = &mut self.ledger {
            ledger.cut(at, node, packet);
        }
    }

    /// A datagram has taken its fragments' place.
    pub fn joined(&mut self, at: Instant, node: NodeId, parts: &[PacketId], whole: PacketId) {
        if let Some(ledger) = &mut self.ledger {
            ledger.joined(at, node, parts, whole);
        }
    }

    /// Puts lists that an earlier record has in the place of equal ones.
    pub(crate) fn share(&mut self, prefixes: &mut Prefixes) {
        for list in [&mut prefixes.withdrawn, &mut prefixes.announced] {
            if list.len() >= LONG {
                if let Some(known) = self.lists.get(&list[..]) {
                    *list = Arc::clone(known);
                } else {
                    self.lists.insert(Arc::clone(list));
                }
            }
        }
    }

    /// Keeps a record and returns its id.
    pub fn record(&mut self, record: Record) -> RecordId {
        let id = RecordId(self.records.len() as u32);
        self.digest.record(&record);
        if let Some(session) = record.what.session() {
            self.by_session[session.index()].push(id);
        }
        for sink in &mut self.sinks {
            sink.record(id, &record);
        }
        self.records.push(record);
        id
    }

    /// Keeps a record of what follows from others that have entered the digest: it does not enter once more.
    pub fn remark(&mut self, record: Record) -> RecordId {
        let id = RecordId(self.records.len() as u32);
        for sink in &mut self.sinks {
            sink.record(id, &record);
        }
        self.records.push(record);
        id
    }

    /// Notes what would be a record, but is one too many of its kind: it enters the digest, and nothing is kept of it.
    pub fn overlook(&mut self, record: &Record) {
        self.digest.record(record);
    }

    /// Keeps an expired timer: finds what armed it and which lost packet would have re-armed it.
    pub fn expired(
        &mut self,
        at: Instant,
        node: NodeId,
        session: Option<SessionId>,
        timer: TimerKind,
        armed_at: Instant,
    ) -> RecordId {
        let armed_by = session.map_or(RecordId::GENESIS, |s| self.last_at(s, armed_at));
        let starver = session.filter(|_| timer.waits_for_peer()).and_then(|s| self.first_starver(s, armed_at));
        let starver = starver.map(|drop| drop.blame);
        // A master that is gone sends nothing that could be lost, and a backup sends nothing at all.
        let silent = session.filter(|_| timer == TimerKind::VrrpMasterDown && starver.is_none());
        let starver = starver.or_else(|| self.silenced(silent?, armed_at));
        self.record(Record {
            at,
            node,
            cause: armed_by,
            enabler: RecordId::GENESIS,
            what: What::Expired { session, timer, armed_at, starver },
        })
    }

    /// The last record of a session at exactly this instant: what armed a timer that was armed then.
    fn last_at(&self, session: SessionId, at: Instant) -> RecordId {
        let ids = &self.by_session[session.index()];
        let end = partition_near_the_end(ids, |id| self.records[id.index()].at <= at);
        match ids[..end].last() {
            Some(&id) if self.records[id.index()].at == at => id,
            _ => RecordId::GENESIS,
        }
    }

    /// The first packet for this session that was dropped since `armed_at` and would have re-armed its timer: one of
    /// its peer's, else one of its own (a lost acknowledgement keeps the peer silent).
    fn first_starver(&self, session: SessionId, armed_at: Instant) -> Option<TaggedDrop> {
        let first = |s: SessionId| {
            let drops = &self.tagged[s.index()];
            drops.get(partition_near_the_end(drops, |d| d.at < armed_at)).copied()
        };
        let peer = self.sessions[session.index()].peer;
        peer.and_then(first).or_else(|| first(session))
    }

    /// What silenced the other end of a session since then: its device lost power, or its own state changed.
    fn silenced(&self, session: SessionId, since: Instant) -> Option<RecordId> {
        let peer = self.sessions[session.index()].peer?;
        let node = self.sessions[peer.index()].node;
        let silences = |record: &Record| match record.what {
            What::Power { on } => !on,
            What::State { session, .. } => session == peer,
            _ => false,
        };
        let first = self.records.first_since(since);
        let found = self.records.from(first).position(|record| record.node == node && silences(record))?;
        Some(RecordId((first + found) as u32))
    }

    /// Notes a hop of a packet. In line, so that a caller writes the hop where it stays, field by field: a copy of what was
    /// just written piecemeal would wait for those writes.
    #[inline(always)]
    pub fn hop(&mut self, hop: Hop) {
        self.digest.hop(&hop);
        if self.ring.len() < RING {
            self.ring.push(hop);
        } else {
            self.ring[(self.hops % RING as u64) as usize] = hop;
        }
        self.hops += 1;
        if self.tapped {
            self.show(&hop);
        }
    }

    #[cold]
    fn show(&mut self, hop: &Hop) {
        if let Some(ledger) = &mut self.ledger {
            ledger.hop(hop);
        }
        for sink in &mut self.sinks {
            sink.hop(hop);
        }
    }

    /// Digests the bytes of a packet that has just come into being.
    pub fn created(&mut self, at: Instant, node: NodeId, packet: &Packet) {
        self.hop(Hop { at, node, packet: packet.meta.id, step: HopStep::Created(Digest::of_bytes(packet.bytes())) });
    }

    /// Shows a packet that enters a link to the sinks.
    pub fn wire(&mut self, at: Instant, link: LinkId, way: Way, packet: &Packet) {
        if self.tapped {
            for sink in &mut self.sinks {
                sink.wire(at, link, way, packet);
            }
        }
    }

    /// Shows keys to the sinks, if there are any; the trace itself keeps none.
    pub fn keys(&mut self, at: Instant, node: NodeId, keys: impl FnOnce() -> pcap::SessionKeys) {
        if self.sinks.is_empty() {
            return;
        }
        let keys = keys();
        for sink in &mut self.sinks {
            sink.keys(at, node, &keys);
        }
    }

    /// Counts a drop. `blame` is the record that put the dropping place into the state in which it drops
    /// ([`RecordId::GENESIS`] if it was always so).
    pub fn dropped(&mut self, at: Instant, place: Place, reason: DropReason, blame: RecordId, packet: &Packet) {
        let node = match place {
            Place::Node(node) => node,
            Place::Link(..) => NodeId(u32::MAX),
        };
        // Where there is no way on, what led there is to blame as well, if it came later.
        let blame = if reason.is_no_way_on() { blame.max(packet.meta.enabler) } else { blame };
        self.hop(Hop { at, node, packet: packet.meta.id, step: HopStep::Dropped(reason, place) });
        let count = self.drops.entry(DropKey { place, reason }).or_insert_with(|| DropCount::starting(at));
        count.packets += 1;
        count.bytes += packet.len() as u64;
        count.last = at;
        if count.packets <= PINNED as u64 {
            let id = packet.meta.id;
            let parent = packet.meta.parent;
            self.pinned.push(self.remembered().filter(|h| h.packet == id || h.packet == parent).copied().collect());
        }
        let tagged = TaggedDrop { at, blame, place, reason, packet: packet.meta.id };
        for session in [packet.meta.session, packet.meta.tunnel].into_iter().flatten() {
            self.tagged[session.index()].push(tagged);
        }
        if let Some(tag) = packet.meta.probe {
            self.probes[tag.stream.index()].lost(tag, blame);
        }
    }

    fn remembered(&self) -> impl Iterator<Item = &Hop> {
        let split = if self.ring.len() < RING { 0 } else { (self.hops % RING as u64) as usize };
        self.ring[split..].iter().chain(&self.ring[..split])
    }

    /// The log of a stream of probes, to write into.
    pub fn probe(&mut self, stream: StreamId) -> &mut ProbeLog {
        &mut self.probes[stream.index()]
    }

    /// Fetches the head of a stream's log.
    pub(crate) fn foresee_log(&self, stream: StreamId) {
        prefetch_index(&self.probes, stream.index());
    }

    /// Fetches what is known of a probe.
    pub(crate) fn foresee_probe(&self, stream: StreamId, seq: u32) {
        self.probes[stream.index()].foresee(seq as usize);
    }

    /// Fetches where the next probe of a stream will be noted.
    pub(crate) fn foresee_sending(&self, stream: StreamId) {
        let log = &self.probes[stream.index()];
        log.foresee(log.sent());
    }

    /// Fetches what a record about a session needs of those before it, so many steps behind the session's device.
    pub(crate) fn foresee_session(&self, session: SessionId, depth: usize) {
        match depth {
            3 => {
                prefetch_index(&self.by_session, session.index());
                prefetch_index(&self.tagged, session.index());
            }
            4 => self.by_session[session.index()].last().into_iter().for_each(fetch),
            _ => self.by_session[session.index()].last().into_iter().for_each(|id| self.records.foresee(id.index())),
        }
    }

    /// All streams of probes, by id.
    pub fn probes(&self) -> &[ProbeLog] {
        &self.probes
    }

    /// All session ends, by id.
    pub fn sessions(&self) -> &[SessionInfo] {
        &self.sessions
    }

    /// All kept records with their ids, in order of time.
    pub fn records(&self) -> impl Iterator<Item = (RecordId, &Record)> {
        self.records_from(0)
    }

    /// How many records are kept: the number of the next.
    pub fn kept_so_far(&self) -> usize {
        self.records.len()
    }

    /// The kept records from the one with this number on.
    pub fn records_from(&self, first: usize) -> impl Iterator<Item = (RecordId, &Record)> {
        (first as u32..).map(RecordId).zip(self.records.from(first))
    }

    /// One kept record.
    pub fn kept(&self, id: RecordId) -> &Record {
        &self.records[id.index()]
    }

    /// The kept records of one session, in order of time.
    pub fn session_records(&self, session: SessionId) -> impl Iterator<Item = (RecordId, &Record)> {
        self.by_session[session.index()].iter().map(|&id| (id, self.kept(id)))
    }

    /// The packets of a session, or sealed in its tunnel, that were dropped, in order of time.
    pub fn drops_of(&self, session: SessionId) -> &[TaggedDrop] {
        &self.tagged[session.index()]
    }

    /// The fault to which a record leads back, if it does.
    pub fn fault_behind(&self, id: RecordId) -> Option<(FaultId, Phase)> {
        match self.kept(path::fault_behind(self, id)?).what {
            What::Fault { fault, phase } => Some((fault, phase)),
            _ => None,
        }
    }

    /// Drops by place and reason.
    pub fn drops(&self) -> &BTreeMap<DropKey, DropCount> {
        &self.drops
    }

    /// The hops of packets whose drop was among the first of its place and reason.
    pub fn pinned(&self) -> &[Vec<Hop>] {
        &self.pinned
    }

    /// Number of hops so far.
    pub fn hops(&self) -> u64 {
        self.hops
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u128 {
        self.digest.value()
    }
}
