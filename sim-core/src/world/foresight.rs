//! Fetching into the caches what the next events will touch, while the present one is handled.
//!
//! With thousands of devices and packets each event meets memory that was last touched seconds of simulated time ago. What
//! comes next is known, so its cache lines can be on their way in good time. One step after the other, because each tells where
//! the next is: flight, packet and lane, device, what stands behind it, log. It changes no value: an event that was not foreseen only takes longer.

use prefetch_index::prefetch_index;

use super::{Flight, World, lane};
use crate::id::NodeId;

/// How many steps behind a gateway is looked: its parts, their parts, and so on, as far as a keepalive goes.
const DEPTH: usize = 6;
/// Up to so many devices and flights together are held by a core's own caches.
const SMALL: usize = 1_000;

impl World {
    /// Looks at what is about to happen, unless the world is so small that the caches hold it.
    #[inline]
    pub(super) fn look_ahead(&self) {
        if self.slots.len() + self.flights.len() > SMALL {
            self.fetch_ahead();
        }
    }

    fn fetch_ahead(&self) {
        let lead = if self.deep { DEPTH } else { 3 };
        if let Some(Flight::Arrival { link, way, packet, .. }) = self.flights.ahead(lead + 4) {
            prefetch_index(&self.lanes, lane(*link, *way));
            packet.foresee();
        }
        if let Some(Flight::Arrival { link, way, .. }) = self.flights.ahead(lead + 3) {
            prefetch_index(&self.slots, self.lanes[lane(*link, *way)].to.0.index());
        }
        if self.deep {
            (0..DEPTH).for_each(|depth| self.fetch_behind(depth));
        }
        if let Some(Flight::Arrival { link, way, packet, .. }) = self.flights.ahead(lead + 1) {
            self.foresee(self.lanes[lane(*link, *way)].to.0);
            if let Some(tag) = packet.meta.probe {
                self.trace.foresee_log(tag.stream);
            }
        }
        if let Some(Flight::Arrival { packet, .. }) = self.flights.ahead(2)
            && let Some(tag) = packet.meta.probe
        {
            self.trace.foresee_probe(tag.stream, tag.seq);
        }
        if let Some(node) = self.wakes.ahead(DEPTH + 3) {
            prefetch_index(&self.slots, node.index());
        }
        if let Some(node) = self.wakes.ahead(DEPTH + 1) {
            self.foresee(node);
            for &(link, way) in self.slots[node.index()].wiring.iter().flatten() {
                prefetch_index(&self.lanes, lane(link, way));
            }
        }
        if let Some(node) = self.wakes.ahead(4) {
            self.slots[node.index()].node.foresee_logs(&self.trace);
        }
        if let Some(node) = self.wakes.ahead(2) {
            self.slots[node.index()].node.foresee_entries(&self.trace);
        }
    }

    /// Looks so many steps behind two devices: the fewer, the later it is their turn.
    fn fetch_behind(&self, depth: usize) {
        let foresee = |node: NodeId| self.slots[node.index()].node.foresee_behind(depth, &self.trace);
        if let Some(Flight::Arrival { link, way, .. }) = self.flights.ahead(DEPTH - depth) {
            foresee(self.lanes[lane(*link, *way)].to.0);
        }
        self.wakes.ahead(DEPTH - depth).into_iter().for_each(foresee);
    }

    fn foresee(&self, node: NodeId) {
        self.slots[node.index()].node.foresee();
    }
}
