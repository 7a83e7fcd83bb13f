//! What happens next: one heap of what is in flight, one of wakes.
//!
//! **Order of simultaneous events**, written once: first everything in flight in the order in which it was put in
//! flight (faults are put in flight when the world is built, so they strike before anything else of their instant),
//! then wakes by ascending node. So an arrival at the very instant of a hold timer's expiry saves the session, as it
//! does in a daemon that reads its sockets before its timers.
//!
//! A flight is `(instant, sequence number, slot)` packed into 16 octets, its payload waits in a slab. Most flights over
//! short links land before anything else does; they stand in a queue in front of the heap and never enter it. A wake is
//! unique per node: re-arming replaces it, so no entry is ever stale and peeking is always legal.

use core::cmp::Reverse;
use std::collections::VecDeque;

use dary_heap::QuaternaryHeap;

use crate::id::NodeId;
use crate::time::Instant;

/// Bits of a flight's slot: 16.7 million flights at once.
const SLOT_BITS: u32 = 24;

/// The heap of flights. `T` is what flies.
#[derive(Clone, Debug)]
pub struct Flights<T> {
    heap: QuaternaryHeap<Reverse<u128>>,
    /// In order. Each was before everything in the heap when it was put in flight; what came later may be before it.
    front: VecDeque<u128>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    seq: u64,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { heap: QuaternaryHeap::new(), front: VecDeque::new(), slab: Vec::new(), free: Vec::new(), seq: 0 }
    }
}

impl<T> Flights<T> {
    /// Puts something in flight until `at`.
    ///
    /// # Panics
    /// If more than 2^24 things are in flight or 2^40 have been.
    pub fn push(&mut self, at: Instant, flying: T) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slab[slot as usize] = Some(flying);
            slot
        } else {
            self.slab.push(Some(flying));
            self.slab.len() as u32 - 1
        };
        assert!(slot < 1 << SLOT_BITS && self.seq < 1 << 40, "more in flight than an entry can number");
        let low = self.seq << SLOT_BITS | u64::from(slot);
        self.seq += 1;
        let key = u128::from(at.as_nanos()) << 64 | u128::from(low);
        let is_next = self.heap.peek().is_none_or(|&Reverse(first)| key < first);
        if is_next && self.front.back().is_none_or(|&last| last < key) {
            self.front.push_back(key);
        } else {
            self.heap.push(Reverse(key));
        }
    }

    /// When the next one lands.
    pub fn next(&self) -> Option<Instant> {
        let heap = self.heap.peek().map_or(u128::MAX, |&Reverse(key)| key);
        let next = self.front.front().map_or(heap, |&key| key.min(heap));
        (next != u128::MAX).then(|| Instant::from_nanos((next >> 64) as u64))
    }

    /// Takes the next one out.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        let heap = self.heap.peek().map(|&Reverse(key)| key);
        let key = match self.front.front() {
            Some(&key) if heap.is_none_or(|heap| key < heap) => {
                self.front.pop_front();
                key
            }
            _ => self.heap.pop()?.0,
        };
        let slot = key as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let flying = self.slab[slot as usize].take().expect("a slot in the heap is full");
        Some((Instant::from_nanos((key >> 64) as u64), flying))
    }

    /// How many are in flight.
    pub fn len(&self) -> usize {
        self.heap.len() + self.front.len()
    }

    /// True if nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty() && self.front.is_empty()
    }
}

/// Not in the heap.
const ABSENT: u32 = u32::MAX;

/// The heap of wakes: at most one per node, ordered by `(instant, node)`.
#[derive(Clone, Debug, Default)]
pub struct Wakes {
    heap: Vec<(Instant, u32)>,
    place: Vec<u32>,
}

impl Wakes {
    /// Room for one more node.
    pub fn add(&mut self) {
        self.place.push(ABSENT);
    }

    /// Arms, re-arms or disarms the wake of a node.
    pub fn set(&mut self, node: NodeId, at: Option<Instant>) {
        let place = self.place[node.index()];
        match (place, at) {
            (ABSENT, None) => {}
            (ABSENT, Some(at)) => {
                self.heap.push((at, node.0));
                self.up(self.heap.len() - 1);
            }
            (place, Some(at)) => {
                let place = place as usize;
                let before = core::mem::replace(&mut self.heap[place].0, at);
                if at < before {
                    self.up(place);
                } else if at > before {
                    self.down(place);
                }
            }
            (place, None) => self.remove(place as usize),
        }
    }

    /// The next wake.
    pub fn next(&self) -> Option<(Instant, NodeId)> {
        self.heap.first().map(|&(at, node)| (at, NodeId(node)))
    }

    fn remove(&mut self, place: usize) {
        let (_, node) = self.heap.swap_remove(place);
        self.place[node as usize] = ABSENT;
        if place < self.heap.len() {
            self.place[self.heap[place].1 as usize] = place as u32;
            self.up(place);
            self.down(place);
        }
    }

    fn up(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / 4;
            if self.heap[parent] <= entry {
                break;
            }
            self.heap[place] = self.heap[parent];
            self.place[self.heap[place].1 as usize] = place as u32;
            place = parent;
        }
        self.heap[place] = entry;
        self.place[entry.1 as usize] = place as u32;
    }

    fn down(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let first = place * 4 + 1;
            let last = (first + 4).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child]) else { break };
            if self.heap[least] >= entry {
                break;
            }
            self.heap[place] = self.heap[least];
            self.place[self.heap[place].1 as usize] = place as u32;
            place = least;
        }
        self.heap[place] = entry;
        self.place[entry.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_land_in_the_order_of_departure() {
        let mut flights = Flights::default();
        for n in 0..100 {
            flights.push(Instant::from_secs(1), n);
        }
        let landed: Vec<_> = std::iter::from_fn(|| flights.pop()).map(|(_, n)| n).collect();
        assert_eq!(landed, (0..100).collect::<Vec<_>>());
    }

    proptest! {
        /// Against a sorted map as the reference: any sequence of departures, soon and late, and landings.
        #[test]
        fn flights_agree_with_a_sorted_map(steps in prop::collection::vec(prop::option::of(0u64..12), 1..400)) {
            let mut flights = Flights::default();
            let mut reference: BTreeMap<(u64, usize), usize> = BTreeMap::new();
            let mut now = 0;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(later) => {
                        flights.push(Instant::from_nanos(now + later / 3), number);
                        reference.insert((now + later / 3, number), number);
                    }
                    None => {
                        let landed = reference.pop_first().map(|((at, _), n)| (Instant::from_nanos(at), n));
                        prop_assert_eq!(flights.pop(), landed);
                        now = landed.map_or(now, |(at, _)| at.as_nanos());
                    }
                }
                prop_assert_eq!(flights.len(), reference.len());
                prop_assert_eq!(flights.next().map(Instant::as_nanos), reference.keys().next().map(|(at, _)| *at));
            }
        }

        /// Against a sorted map as the reference: any sequence of re-arming, disarming and taking.
        #[test]
        fn wakes_agree_with_a_sorted_map(steps in prop::collection::vec((0u32..20, prop::option::of(0u64..50)), 1..400)) {
            let mut wakes = Wakes::default();
            let mut reference: BTreeMap<u32, u64> = BTreeMap::new();
            (0..20).for_each(|_| wakes.add());
            for (node, at) in steps {
                wakes.set(NodeId(node), at.map(Instant::from_nanos));
                match at {
                    Some(at) => reference.insert(node, at),
                    None => reference.remove(&node),
                };
                let next = reference.iter().map(|(&n, &at)| (at, n)).min();
                prop_assert_eq!(wakes.next().map(|(at, n)| (at.as_nanos(), n.0)), next);
            }
        }
    }
}
