//! The digest of a trace: xxh3-128 over a fixed little-endian encoding of every record and hop.
//!
//! Payload bytes enter once, when a packet is created; a sealed packet enters by its ICV. The seed is not hashed, so
//! equal behaviour gives equal digests.

use std::net::IpAddr;

use ipnet::IpNet;
use twox_hash::{XxHash3_64, XxHash3_128};

use super::record::{Hop, HopStep, Record, Table, What};
use super::{Place, Way};

/// A running digest. See the module header.
#[derive(Clone)]
pub struct Digest {
    hash: XxHash3_128,
    /// What waits to be hashed together: a call for each record would cost more than its hashing.
    batch: [u8; BATCH],
    filled: usize,
}

/// One encoded record: a kind, an instant, a place and what the kind says.
type Words = [u64; 6];
/// Octets of an encoded record.
const ENCODED: usize = size_of::<Words>();
/// Octets that are hashed together.
const BATCH: usize = 32 * ENCODED;

impl Default for Digest {
    fn default() -> Self {
        Self { hash: XxHash3_128::new(), batch: [0; BATCH], filled: 0 }
    }
}

impl Digest {
    /// The 64-bit hash of a packet's bytes.
    pub fn of_bytes(bytes: &[u8]) -> u64 {
        XxHash3_64::oneshot(bytes)
    }

    #[inline(always)]
    pub(super) fn hop(&mut self, hop: &Hop) {
        let (kind, a, b) = match hop.step {
            HopStep::Created(hash) => (1, hash, 0),
            HopStep::CutFrom(parent) => (2, parent.0, 0),
            HopStep::Sent(link, way) => (3, u64::from(link.0) << 1 | way as u64, 0),
            HopStep::Arrived(port) => (4, u64::from(port.0), 0),
            HopStep::Forwarded(port, next) => (5, u64::from(port.0), u64::from(u32::from(next))),
            HopStep::Sealed(spi, seq, icv) => (6, u64::from(spi) << 32 | u64::from(seq), u64::from(icv)),
            HopStep::Opened(spi, seq) => (7, u64::from(spi) << 32 | u64::from(seq), 0),
            HopStep::Delivered => (8, 0, 0),
            HopStep::Dropped(reason, place) => (9, reason as u64, place_word(place)),
            HopStep::Translated(hash) => (10, hash, 0),
            HopStep::MssClamped(mss, hash) => (11, hash, mss.into()),
            HopStep::Encapsulated(hash) => (12, hash, 0),
            HopStep::Decapsulated(hash) => (13, hash, 0),
        };
        self.words([kind, hop.at.as_nanos(), u64::from(hop.node.0), hop.packet.0, a, b]);
    }

    pub(super) fn record(&mut self, record: &Record) {
        let (kind, a, b, c) = match &record.what {
            What::Genesis => (32, 0, 0, 0),
            What::Fault { fault, phase } => (33, u64::from(fault.0), *phase as u64, 0),
            What::Power { on } => (34, u64::from(*on), 0, 0),
            What::State { session, from, to, reason } => {
                (35, u64::from(session.0), (*from as u64) << 8 | *to as u64, *reason as u64)
            }
            What::Expired { session, timer, armed_at, .. } => {
                (36, session.map_or(0, |s| u64::from(s.0) + 1), *timer as u64, armed_at.as_nanos())
            }
            // The prefixes of an UPDATE enter with the bytes of the packet that carries them; here their number does.
            // So do the flag of a response, a notification, and what an OPEN says.
            What::Step { session, step, detail, .. } => (37, u64::from(session.0), *step as u64, u64::from(*detail)),
            // The step that decided follows from what has entered already.
            What::Route { table, prefix, from, to, reason, beside, rule: _, stays: _ } => {
                let port = |p: &Option<crate::id::Port>| p.map_or(0, |p| u64::from(p.0) + 1);
                let ways = port(from) << 32 | port(to) << 8 | table_word(*table);
                let further = beside.iter().fold(0u64, |word, p| word.rotate_left(17) ^ (u64::from(p.0) + 1));
                (38, ways, prefix_word(prefix), *reason as u64 ^ further << 8)
            }
        };
        self.words([kind, record.at.as_nanos(), u64::from(record.node.0), a, b, c]);
    }

    #[inline]
    fn words(&mut self, words: Words) {
        let place = &mut self.batch[self.filled..self.filled + ENCODED];
        for (to, word) in place.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.filled += ENCODED;
        if self.filled == BATCH {
            self.empty();
        }
    }

    #[cold]
    fn empty(&mut self) {
        self.hash.write(&self.batch[..self.filled]);
        self.filled = 0;
    }

    /// The digest so far.
    pub fn value(&self) -> u128 {
        let mut hash = self.hash.clone();
        hash.write(&self.batch[..self.filled]);
        hash.finish_128()
    }
}

const fn place_word(place: Place) -> u64 {
    match place {
        Place::Node(node) => (node.0 as u64) << 2,
        Place::Link(link, way) => (link.0 as u64) << 2 | 2 | matches!(way, Way::Reverse) as u64,
    }
}

/// A transit gateway has at most 20 route tables and a VPC 200 (quotas), so this fits in an octet.
const fn table_word(table: Table) -> u64 {
    match table {
        Table::Fib => 0,
        Table::Vgw => 1,
        Table::Vpc(0) => 2,
        Table::Vpc(number) => 55 + number as u64,
        Table::Tgw(number) => 3 + number as u64,
        Table::DxGateway(number) => 0x200 + number as u64,
    }
}

fn prefix_word(prefix: &IpNet) -> u64 {
    match prefix.addr() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)) << 8 | u64::from(prefix.prefix_len()),
        IpAddr::V6(v6) => XxHash3_64::oneshot(&v6.octets()) << 8 | u64::from(prefix.prefix_len()),
    }
}
