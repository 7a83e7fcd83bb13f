//! Adj-RIB-Out of one peer (RFC 4271 section 3.2), and what it has yet to be told.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_trie::PrefixMap;

use super::attributes::Attributes;
use super::config::PeerId;
use super::family::Family;

/// Prefixes whose best route may have changed, each with the peer that its route is from at last.
#[derive(Clone)]
pub(super) struct Pending<F>(Vec<(F, Option<PeerId>)>);

impl<F> Default for Pending<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Family> Pending<F> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn touch(&mut self, prefix: F, from: Option<PeerId>) {
        if self.0.len() == self.0.capacity() {
            self.settle();
        }
        self.0.push((prefix, from));
    }

    pub fn extend(&mut self, later: &Self) {
        self.0.extend_from_slice(&later.0);
    }

    /// Each prefix once, in order, and the latest that is known of it.
    pub fn settle(&mut self) {
        if self.0.is_sorted_by(|(a, _), (b, _)| a < b) {
            return;
        }
        // The order of equal prefixes is kept, so the last is the latest.
        self.0.sort_by_key(|(prefix, _)| *prefix);
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
    }

    /// Forgets them all, and keeps the room for as many times what there was at last.
    pub fn clear(&mut self) {
        let room = super::SPARE * self.0.len();
        self.0.clear();
        self.0.shrink_to(room);
    }

    pub fn iter(&self) -> impl Iterator<Item = (F, Option<PeerId>)> {
        self.0.iter().copied()
    }
}

/// Adj-RIB-Out of one peer: what it was told, and which prefixes may have changed since that it has not been told for a
/// reason of its own.
#[derive(Clone)]
pub(super) struct AdjRibOut<F: Family> {
    pub sent: PrefixMap<F, Arc<Attributes<F>>>,
    pub pending: Pending<F>,
    /// What it would be told but for [`super::config::PeerConfig::most_announced`].
    pub withheld: BTreeSet<F>,
}

impl<F: Family> Default for AdjRibOut<F> {
    fn default() -> Self {
        Self { sent: PrefixMap::default(), pending: Pending::default(), withheld: BTreeSet::new() }
    }
}

impl<F: Family> AdjRibOut<F> {
    /// Nothing has been said.
    pub fn forget(&mut self) {
        self.sent.clear();
        self.withheld.clear();
    }

    /// Whether the peer may be told of a prefix; one that it may not is remembered.
    pub fn admits(&mut self, most: u32, prefix: F) -> bool {
        let admits = self.sent.contains_key(&prefix) || self.sent.len() < most as usize;
        if admits {
            self.withheld.remove(&prefix);
        } else {
            self.withheld.insert(prefix);
        }
        admits
    }

    /// A prefix that was withheld and for which there is room now.
    pub fn admitted(&mut self, most: u32) -> Option<F> {
        if self.sent.len() < most as usize { self.withheld.pop_first() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use ipnet::Ipv4Net;

    use super::*;

    #[test]
    fn each_prefix_is_pending_once_with_the_latest_that_is_known() {
        let net = |n: u8| Ipv4Net::new([10, n, 0, 0].into(), 16).unwrap();
        let [a, b] = [Some(PeerId(1)), Some(PeerId(2))];
        let mut pending = Pending::default();
        for (n, from) in [(3, a), (1, a), (3, None), (2, b), (1, b)] {
            pending.touch(net(n), from);
        }
        pending.settle();
        assert!(pending.iter().eq([(net(1), b), (net(2), b), (net(3), None)]));
        // However often it changes, a prefix takes the room of one.
        (0..100_000).for_each(|n: u32| pending.touch(net((n % 5) as u8), a));
        assert!(pending.0.capacity() < 100, "{}", pending.0.capacity());
    }
}
