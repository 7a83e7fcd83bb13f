//! What happens next: one heap of what is in flight, one of wakes.
//!
//! **Order of simultaneous events**, written once: first everything in flight in the order in which it was put in
//! flight (faults are put in flight when the world is built, so they strike before anything else of their instant),
//! then wakes by ascending node. So an arrival at the very instant of a hold timer's expiry saves the session, as it
//! does in a daemon that reads its sockets before its timers.
//!
//! A flight is `(instant, sequence number, slot)` packed into 16 octets, its payload waits in a slab. The next few of
//! both stand in queues in front of their heaps, so that the world can see ahead. Most flights over short links land before
//! anything else does; they go to the end of that queue and never enter the heap. A wake is
//! unique per node: re-arming replaces it, so no entry is ever stale and peeking is always legal.

use std::collections::VecDeque;

use prefetch_index::prefetch_index;

use super::heap::Heap;
use crate::id::NodeId;
use crate::time::Instant;

/// Bits of a flight's slot: 16.7 million flights at once.
const SLOT_BITS: u32 = 24;
/// How many stand in front of a heap, if there are as many: far enough ahead to fetch what each will touch.
const AHEAD: usize = 12;
/// How far a flight may push in among those in front.
const NUDGES: usize = 16;

/// The heap of flights. `T` is what flies.
#[derive(Clone, Debug)]
pub struct Flights<T> {
    heap: Heap,
    /// The next ones in order, all before everything in the heap. Empty only if the heap is.
    front: VecDeque<u128>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    seq: u64,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { heap: Heap::default(), front: VecDeque::new(), slab: Vec::new(), free: Vec::new(), seq: 0 }
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
        let key = key(at, self.seq << SLOT_BITS | u64::from(slot));
        self.seq += 1;
        match self.heap.first() {
            Some(first) if first < key && self.front.len() < AHEAD => {
                let next = self.heap.replace(key, |_, _| ());
                self.draw_near(next);
            }
            Some(first) if first < key => self.heap.push(key, |_, _| ()),
            _ => self.push_in(key),
        }
    }

    /// Puts a flight in its place among those in front. Those that it would overtake by far make room in the heap.
    fn push_in(&mut self, key: u128) {
        if self.front.back().is_none_or(|&last| last < key) {
            return self.front.push_back(key);
        }
        if self.front.front().is_some_and(|&next| key < next) {
            return self.front.push_front(key);
        }
        let later = self.front.iter().rev().take(NUDGES + 1).take_while(|&&other| other > key).count();
        if later <= NUDGES {
            return self.front.insert(self.front.len() - later, key);
        }
        while let Some(later) = self.front.pop_back_if(|other| *other > key) {
            self.heap.push(later, |_, _| ());
        }
        self.front.push_back(key);
    }

    fn draw_near(&mut self, key: u128) {
        prefetch_index(&self.slab, slot(key));
        self.front.push_back(key);
    }

    /// When the next one lands.
    pub fn next(&self) -> Option<Instant> {
        self.front.front().map(|&key| instant(key))
    }

    /// What lands as number `place` from the next, 0, on, if it stands in front already.
    pub(super) fn ahead(&self, place: usize) -> Option<&T> {
        self.slab[slot(*self.front.get(place)?)].as_ref()
    }

    /// Takes the next one out.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        let key = self.front.pop_front()?;
        // The last place waits for what departs next: filling both at once is one way through the heap instead of two.
        while self.front.len() < AHEAD - 1
            && let Some(next) = self.heap.pop(|_, _| ())
        {
            self.draw_near(next);
        }
        self.free.push(slot(key) as u32);
        let flying = self.slab[slot(key)].take().expect("a slot in the heap is full");
        Some((instant(key), flying))
    }

    /// All that is in flight, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slab.iter().flatten()
    }

    /// How many are in flight.
    pub fn len(&self) -> usize {
        self.heap.len() + self.front.len()
    }

    /// True if nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.front.is_empty()
    }
}

const fn key(at: Instant, low: u64) -> u128 {
    (at.as_nanos() as u128) << 64 | low as u128
}

/// When a key is due.
const fn instant(key: u128) -> Instant {
    Instant::from_nanos((key >> 64) as u64)
}

/// Where a flight's payload is in the slab.
const fn slot(key: u128) -> usize {
    key as usize & ((1 << SLOT_BITS) - 1)
}

/// Not armed.
const ABSENT: u32 = u32::MAX;
/// In front of the heap.
const IN_FRONT: u32 = u32::MAX - 1;

/// The wakes: at most one per node, ordered by `(instant, node)`.
#[derive(Clone, Debug, Default)]
pub struct Wakes {
    heap: Heap,
    /// The next ones in order, all before everything in the heap. Empty only if the heap is.
    front: VecDeque<u128>,
    /// Where each node's is in the heap.
    place: Vec<u32>,
}

impl Wakes {
    /// Room for one more node.
    pub fn add(&mut self) {
        self.place.push(ABSENT);
    }

    /// Arms, re-arms or disarms the wake of a node.
    pub fn set(&mut self, node: NodeId, at: Option<Instant>) {
        match self.place[node.index()] {
            ABSENT => {}
            IN_FRONT => {
                let place = self.front.iter().position(|&key| key as u32 == node.0);
                self.front.remove(place.expect("it stands in front"));
            }
            place => self.heap.remove(place as usize, moved(&mut self.place)),
        }
        self.place[node.index()] = ABSENT;
        if let Some(at) = at {
            self.arm(key(at, u64::from(node.0)));
        }
        while self.front.len() < AHEAD - 1
            && let Some(next) = self.heap.pop(moved(&mut self.place))
        {
            self.draw_near(next);
        }
    }

    fn arm(&mut self, key: u128) {
        match self.heap.first() {
            Some(first) if first < key && self.front.len() < AHEAD => {
                let next = self.heap.replace(key, moved(&mut self.place));
                self.draw_near(next);
            }
            Some(first) if first < key => self.heap.push(key, moved(&mut self.place)),
            _ => {
                let place = self.front.partition_point(|&other| other < key);
                self.front.insert(place, key);
                self.place[key as u32 as usize] = IN_FRONT;
                if self.front.len() > 2 * AHEAD
                    && let Some(last) = self.front.pop_back()
                {
                    self.heap.push(last, moved(&mut self.place));
                }
            }
        }
    }

    fn draw_near(&mut self, key: u128) {
        self.place[key as u32 as usize] = IN_FRONT;
        self.front.push_back(key);
    }

    /// The next wake.
    pub fn next(&self) -> Option<(Instant, NodeId)> {
        self.front.front().map(|&key| (instant(key), NodeId(key as u32)))
    }

    /// Whose wake is number `place` from the next, 0, on, if it stands in front already.
    pub(super) fn ahead(&self, place: usize) -> Option<NodeId> {
        self.front.get(place).map(|&key| NodeId(key as u32))
    }
}

/// Notes where a node's wake moved to.
fn moved(place: &mut [u32]) -> impl FnMut(u128, usize) {
    |key, to| place[key as u32 as usize] = to as u32
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
