//! Fetching into the caches what the next events will touch, while the present one is handled.
//!
//! With thousands of devices and packets each event meets memory that was last touched seconds of simulated time ago. What
//! comes next is known, so its cache lines can be on their way in good time. One step after the other, because each tells where
//! the next is: flight, packet and lane, device, log. It changes no value: an event that was not foreseen only takes longer.

use prefetch_index::prefetch_index;

use super::{Flight, World, lane};
use crate::id::NodeId;

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
        if let Some(Flight::Arrival { link, way, packet, .. }) = self.flights.ahead(8) {
            prefetch_index(&self.lanes, lane(*link, *way));
            packet.foresee();
        }
        if let Some(Flight::Arrival { link, way, .. }) = self.flights.ahead(6) {
            prefetch_index(&self.slots, self.lanes[lane(*link, *way)].to.0.index());
        }
        if let Some(Flight::Arrival { link, way, packet, .. }) = self.flights.ahead(4) {
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
        if let Some(node) = self.wakes.ahead(9) {
            prefetch_index(&self.slots, node.index());
        }
        if let Some(node) = self.wakes.ahead(7) {
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

    fn foresee(&self, node: NodeId) {
        self.slots[node.index()].node.foresee();
    }
}
