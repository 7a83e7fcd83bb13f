//! Adj-RIB-In of one peer (RFC 4271 section 3.2): a view of the one trie in which all of them are, and what finds a peer's
//! routes there.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::attributes::Attributes;
use super::config::PeerId;
use super::family::Family;
use super::rib::Rib;
use super::tables::Tables;

/// Adj-RIB-In of one peer, to look at: what it announced, before policy.
#[derive(Clone, Copy)]
pub struct AdjRibIn<'a, F: Family = Ipv4Net> {
    rib: &'a Rib<F>,
    peer: PeerId,
    heard: &'a Heard<F>,
}

impl<'a, F: Family> AdjRibIn<'a, F> {
    pub(super) fn of(tables: &'a Tables<F>, peer: PeerId) -> Self {
        Self { rib: &tables.rib, peer, heard: &tables.peers[peer.index()].heard }
    }

    /// What it said of exactly this prefix.
    pub fn get(self, prefix: &F) -> Option<&'a Arc<Attributes<F>>> {
        self.rib.received(prefix, Some(self.peer))
    }

    /// True if it announced exactly this prefix.
    pub fn contains_key(self, prefix: &F) -> bool {
        self.get(prefix).is_some()
    }

    /// The prefixes that it announced, in order.
    pub fn prefixes(self) -> Vec<F> {
        match &self.heard.listed {
            Some(listed) => listed.iter().copied().collect(),
            None => self.rib.prefixes_of(Some(self.peer)).collect(),
        }
    }

    /// Number of prefixes that it announced.
    pub fn len(self) -> usize {
        self.heard.len
    }

    /// True if it announced nothing.
    pub fn is_empty(self) -> bool {
        self.heard.len == 0
    }
}

/// A peer with no more routes than this has them listed; those of one with more are found by looking through the table,
/// of which they are a part worth mentioning.
const LISTED: usize = 4_096;

/// How much a peer announced, and of which prefixes if that is not much. Of these nobody asks for the longest that holds an address,
/// and a tree takes a sixth of the room of a trie, which thousands of speakers have with some dozens of prefixes.
#[derive(Clone)]
pub(super) struct Heard<F: Family> {
    len: usize,
    listed: Option<BTreeSet<F>>,
}

impl<F: Family> Default for Heard<F> {
    fn default() -> Self {
        Self { len: 0, listed: Some(BTreeSet::new()) }
    }
}

impl<F: Family> Heard<F> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn add(&mut self, prefix: F) {
        self.len += 1;
        match &mut self.listed {
            Some(listed) if self.len <= LISTED => {
                listed.insert(prefix);
            }
            Some(_) | None => self.listed = None,
        }
    }

    pub fn remove(&mut self, prefix: F) {
        self.len -= 1;
        if let Some(listed) = &mut self.listed {
            listed.remove(&prefix);
        }
        if self.len == 0 {
            *self = Self::default();
        }
    }
}
