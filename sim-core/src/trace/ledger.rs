//! The ledger of packets: whether each that came into being has come to exactly one end.
//!
//! | a packet begins | and ends |
//! |---|---|
//! | created by a host, protocol machine or device, ICMP errors included | delivered to whom it was for |
//! | let in from outside of the world | dropped, for a reason |
//! | copied by a link that duplicates | cut: fragments take its place |
//! | cut from a datagram | joined: the datagram takes its place |
//! | joined from fragments, under the datagram's name | |
//!
//! One that has not ended is in flight on a link, or a fragment that its receiver holds. Sealed in ESP, translated by a NAT or with
//! another MSS it is still the same packet. A message that arrives and that its protocol machine refuses is dropped for the machine's
//! reason, at the instant at which it was delivered.
//!
//! The ledger reads what the trace is told anyway. A world that keeps none pays nothing for it.

use super::record::{Hop, HopStep};
use crate::id::{NodeId, PacketId};
use crate::time::Instant;

/// How many breaches are remembered: the first ones tell what is wrong.
const BREACHES: usize = 16;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// It has not begun.
    Unborn,
    /// It is somewhere.
    Here,
    /// It has come to an end.
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    life: Life,
    /// How many are here under this name: a datagram that a link has copied in fragments may be joined twice.
    here: u8,
    /// Where it was seen last.
    node: NodeId,
}

/// What has become of all packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    /// Created in the world or let in.
    pub created: u64,
    /// Copied by links, or cut from datagrams.
    pub copied: u64,
    /// Datagrams joined from fragments.
    pub joined: u64,
    /// Delivered.
    pub delivered: u64,
    /// Dropped with a reason.
    pub dropped: u64,
    /// Replaced by the fragments that they were cut into.
    pub cut: u64,
    /// Fragments replaced by the datagram that they were joined to.
    pub absorbed: u64,
    /// On a link when the world was looked at.
    pub in_flight: u64,
    /// Fragments that wait for others of their datagram.
    pub held: u64,
}

impl Balance {
    /// True if nothing is missing and nothing too much.
    pub const fn is_even(&self) -> bool {
        let begun = self.created + self.copied + self.joined;
        begun == self.delivered + self.dropped + self.cut + self.absorbed + self.in_flight + self.held
    }
}

/// Something that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// Of which packet.
    pub packet: PacketId,
    /// At which device, as far as it is known.
    pub node: NodeId,
    /// When.
    pub at: Instant,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It is somewhere, and has never begun.
    OutOfNothing,
    /// It began a second time.
    BegunTwice,
    /// It was seen, or ended, after its end.
    AfterItsEnd,
    /// It has not ended, and is neither in flight nor held: the device at which it was seen last has swallowed it.
    Swallowed,
    /// It is in flight or held, and has ended.
    StillThere,
}

/// A ledger. See the module header.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By the packet's number.
    entries: Vec<Entry>,
    balance: Balance,
    breaches: Vec<Breach>,
    /// What was delivered last: its machine may refuse it.
    delivered: Option<(PacketId, NodeId, Instant)>,
}

impl Ledger {
    fn entry(&mut self, packet: PacketId) -> &mut Entry {
        let index = packet.0 as usize;
        if self.entries.len() <= index {
            self.entries.resize(index + 1, Entry { life: Life::Unborn, here: 0, node: NodeId(u32::MAX) });
        }
        &mut self.entries[index]
    }

    fn breach(&mut self, packet: PacketId, node: NodeId, at: Instant, what: Wrong) {
        if self.breaches.len() < BREACHES {
            self.breaches.push(Breach { packet, node, at, what });
        }
    }

    pub(super) fn hop(&mut self, hop: &Hop) {
        let &Hop { at, node, packet, step } = hop;
        match step {
            HopStep::Created(_) => {
                self.balance.created += 1;
                self.begin(hop);
            }
            HopStep::CutFrom(_) => {
                self.balance.copied += 1;
                self.begin(hop);
            }
            HopStep::Delivered => {
                if self.end(packet, node, at) {
                    self.balance.delivered += 1;
                    self.delivered = Some((packet, node, at));
                }
            }
            HopStep::Dropped(..) if self.delivered == Some((packet, node, at)) => {
                self.delivered = None;
                self.balance.delivered -= 1;
                self.balance.dropped += 1;
            }
            HopStep::Dropped(..) => {
                if self.end(packet, node, at) {
                    self.balance.dropped += 1;
                }
            }
            HopStep::Sent(..)
            | HopStep::Arrived(_)
            | HopStep::Forwarded(..)
            | HopStep::Translated(_)
            | HopStep::Encapsulated(_)
            | HopStep::Decapsulated(_)
            | HopStep::MssClamped(..)
            | HopStep::Sealed(..)
            | HopStep::Opened(..) => {
                let entry = self.entry(packet);
                entry.node = node;
                match entry.life {
                    Life::Here => {}
                    Life::Unborn => self.breach(packet, node, at, Wrong::OutOfNothing),
                    Life::Ended => self.breach(packet, node, at, Wrong::AfterItsEnd),
                }
            }
        }
    }

    fn begin(&mut self, hop: &Hop) {
        let entry = self.entry(hop.packet);
        let is_new = entry.life == Life::Unborn;
        *entry = Entry { life: Life::Here, here: 1, node: hop.node };
        if !is_new {
            self.breach(hop.packet, hop.node, hop.at, Wrong::BegunTwice);
        }
    }

    /// One of this name is no more. False if there was none.
    fn end(&mut self, packet: PacketId, node: NodeId, at: Instant) -> bool {
        let entry = self.entry(packet);
        match entry.life {
            Life::Here => {
                entry.here -= 1;
                if entry.here == 0 {
                    entry.life = Life::Ended;
                }
                return true;
            }
            Life::Unborn => self.breach(packet, node, at, Wrong::OutOfNothing),
            Life::Ended => self.breach(packet, node, at, Wrong::AfterItsEnd),
        }
        false
    }

    /// Fragments have taken a packet's place.
    pub(super) fn cut(&mut self, at: Instant, node: NodeId, packet: PacketId) {
        if self.end(packet, node, at) {
            self.balance.cut += 1;
        }
    }

    /// A datagram has taken its fragments' place.
    pub(super) fn joined(&mut self, at: Instant, node: NodeId, parts: &[PacketId], whole: PacketId) {
        for part in parts {
            if self.end(*part, node, at) {
                self.balance.absorbed += 1;
            }
        }
        self.balance.joined += 1;
        let entry = self.entry(whole);
        *entry = Entry { life: Life::Here, here: entry.here + 1, node };
    }

    /// The account at an instant at which these packets are on links and those are held.
    ///
    /// # Errors
    /// What cannot be, the first of it.
    pub fn balance(
        &self,
        now: Instant,
        in_flight: impl Iterator<Item = PacketId>,
        held: impl Iterator<Item = PacketId>,
    ) -> Result<Balance, Vec<Breach>> {
        let mut left = self.clone();
        for (of, packets) in [(0, &mut { in_flight } as &mut dyn Iterator<Item = PacketId>), (1, &mut { held })] {
            for packet in packets {
                let node = left.entry(packet).node;
                let entry = left.entry(packet);
                if entry.life != Life::Here {
                    left.breach(packet, node, now, Wrong::StillThere);
                    continue;
                }
                entry.here -= 1;
                if entry.here == 0 {
                    entry.life = Life::Ended;
                }
                *[&mut left.balance.in_flight, &mut left.balance.held][of] += 1;
            }
        }
        for index in 0..left.entries.len() {
            let Entry { life, node, .. } = left.entries[index];
            if life == Life::Here {
                left.breach(PacketId(index as u64), node, now, Wrong::Swallowed);
            }
        }
        if left.breaches.is_empty() { Ok(left.balance) } else { Err(left.breaches) }
    }
}
