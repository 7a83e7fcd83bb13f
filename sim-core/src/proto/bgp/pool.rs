//! One copy of equal attributes, whichever UPDATE, peer or policy they come from.
//!
//! A table of a million routes has a hundred thousand or two different sets of attributes, and every peer repeats them.
//! What is equal is one allocation, so to compare two routes is mostly to compare two addresses.

use core::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use hashbrown::HashTable;
use ipnet::Ipv4Net;
use rustc_hash::FxHasher;

use super::attributes::Attributes;
use super::family::Family;

/// The attributes in use. Its hash has no random key, and nothing depends on the order in which it holds them.
#[derive(Clone)]
pub(super) struct Pool<F: Family = Ipv4Net> {
    known: HashTable<Arc<Attributes<F>>>,
    /// At this size those are let go that nobody else holds any more.
    sweep_at: usize,
}

/// Below this size there is nothing to gain from a sweep.
const SWEEP_FROM: usize = 1_024;

impl<F: Family> Default for Pool<F> {
    fn default() -> Self {
        Self { known: HashTable::new(), sweep_at: 0 }
    }
}

impl<F: Family> Pool<F> {
    /// The one copy of these attributes.
    pub fn share(&mut self, attributes: Attributes<F>) -> Arc<Attributes<F>> {
        let hash = hash(&attributes);
        if let Some(known) = self.known.find(hash, |known| **known == attributes) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|attributes| Arc::strong_count(attributes) > 1);
            self.sweep_at = (2 * self.known.len()).max(SWEEP_FROM);
        }
        let shared = Arc::new(attributes);
        self.known.insert_unique(hash, Arc::clone(&shared), |known| self::hash(known));
        shared
    }
}

fn hash<F: Family>(attributes: &Attributes<F>) -> u64 {
    let mut hasher = FxHasher::default();
    attributes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_attributes_are_one_copy_while_somebody_holds_it() {
        let mut pool = Pool::<Ipv4Net>::default();
        let of = |med| Attributes { med: Some(med), ..Attributes::new([10, 0, 0, 1].into()) };
        let held = pool.share(of(0));
        assert!(Arc::ptr_eq(&held, &pool.share(of(0))));
        assert!(!Arc::ptr_eq(&held, &pool.share(of(1))));
        // Each of these is let go at once, so that the pool never holds more than between two sweeps.
        for med in 0..10 * SWEEP_FROM as u32 {
            pool.share(of(med));
        }
        assert!(pool.known.len() <= SWEEP_FROM);
        assert!(Arc::ptr_eq(&held, &pool.share(of(0))));
    }
}
