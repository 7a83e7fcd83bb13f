//! The tables (RFC 4271 section 3.2): Adj-RIB-In per peer as received, Loc-RIB with every usable route and the best of
//! them, Adj-RIB-Out per peer as sent.
//!
//! Attributes are shared: the routes of one UPDATE point at one copy. A change of one route costs a lookup in each
//! table that it touches, whatever their size.

use core::mem;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use super::attributes::Attributes;
use super::config::{DEFAULT_LOCAL_PREF, PeerId};
use super::decision::{Candidate, DecidedBy, Rules, Source, decide, used};

/// Routes as received, before import policy.
pub(super) type AdjRibIn = PrefixMap<Ipv4Net, Arc<Attributes>>;

/// The best route to a prefix, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Best {
    /// The peer it was learned from; `None` if it is our own.
    pub peer: Option<PeerId>,
    /// NEXT_HOP; unspecified if it is our own.
    pub next_hop: Ipv4Addr,
    /// Length of AS_PATH as the decision process counts it.
    pub as_path_length: usize,
    /// MULTI_EXIT_DISC, if it has one.
    pub med: Option<u32>,
    /// LOCAL_PREF, the default if it has none.
    pub local_pref: u32,
    /// The step that preferred it.
    pub decided_by: DecidedBy,
}

/// Where one of several routes that are used at the same time leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The peer that the route was learned from.
    pub peer: PeerId,
    /// NEXT_HOP.
    pub next_hop: Ipv4Addr,
}

/// A usable route, after import policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The peer it was learned from; `None` if it is our own.
    pub peer: Option<PeerId>,
    /// Its attributes.
    pub attributes: Arc<Attributes>,
}

/// All usable routes to one prefix. Never empty in the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    routes: Vec<Route>,
    best: usize,
    decided_by: DecidedBy,
}

impl Entry {
    /// Every usable route, in the order of arrival.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The place of the best route among them.
    pub(super) fn best_place(&self) -> usize {
        self.best
    }

    /// The best route.
    pub fn best_route(&self) -> &Route {
        &self.routes[self.best]
    }

    /// The best route, in short.
    pub fn best(&self) -> Best {
        let Route { peer, attributes } = self.best_route();
        Best {
            peer: *peer,
            next_hop: attributes.next_hop,
            as_path_length: attributes.as_path.length(),
            med: attributes.med,
            local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
            decided_by: self.decided_by,
        }
    }
}

/// How the best route to a prefix changed.
pub(super) struct Changed {
    pub from: Option<Best>,
    pub to: Option<Best>,
    /// What is used beside the best route.
    pub also: Vec<Hop>,
    /// The source of the former best route still has one, but another's is better.
    pub outdone: bool,
}

/// Loc-RIB.
#[derive(Clone, Default)]
pub(super) struct LocRib {
    entries: PrefixMap<Ipv4Net, Entry>,
}

impl LocRib {
    pub fn entries(&self) -> &PrefixMap<Ipv4Net, Entry> {
        &self.entries
    }

    /// Replaces the usable route of one source, or removes it, and decides anew. `Some` if the best route is another
    /// one or has other attributes now, or others are used beside it. `source` tells where a route comes from and what the
    /// way to its next hop costs.
    pub fn set(
        &mut self,
        prefix: Ipv4Net,
        peer: Option<PeerId>,
        attributes: Option<Arc<Attributes>>,
        rules: &Rules,
        source: impl Fn(&Route) -> (Source, u32),
    ) -> Option<Changed> {
        let Some(entry) = self.entries.get_mut(&prefix) else {
            let entry = Entry {
                routes: vec![Route { peer, attributes: attributes? }],
                best: 0,
                decided_by: DecidedBy::OnlyRoute,
            };
            let to = Some(entry.best());
            self.entries.insert(prefix, entry);
            return Some(Changed { from: None, to, also: Vec::new(), outdone: false });
        };
        let before = entry.state(rules, &source);
        entry.replace(peer, attributes)?;
        if entry.routes.is_empty() {
            self.entries.remove(&prefix);
            return Some(Changed { from: Some(before.best), to: None, also: Vec::new(), outdone: false });
        }
        entry.settle(before, rules, &source)
    }

    /// Decides anew, because `source` answers otherwise than `before`.
    pub fn reconsider(
        &mut self,
        prefix: Ipv4Net,
        rules: &Rules,
        before: impl Fn(&Route) -> (Source, u32),
        source: impl Fn(&Route) -> (Source, u32),
    ) -> Option<Changed> {
        let entry = self.entries.get_mut(&prefix)?;
        let before = entry.state(rules, &before);
        entry.settle(before, rules, &source)
    }
}

/// What is used of an entry.
struct State {
    route: Route,
    best: Best,
    also: Vec<Hop>,
}

impl Entry {
    /// `None` if nothing changed.
    fn replace(&mut self, peer: Option<PeerId>, attributes: Option<Arc<Attributes>>) -> Option<()> {
        let place = self.routes.iter().position(|route| route.peer == peer);
        match (place, attributes) {
            (None, None) => return None,
            (None, Some(attributes)) => self.routes.push(Route { peer, attributes }),
            (Some(place), None) => {
                self.routes.remove(place);
            }
            (Some(place), Some(attributes)) => {
                let held = &mut self.routes[place].attributes;
                if *held == attributes {
                    return None;
                }
                *held = attributes;
            }
        }
        Some(())
    }

    /// Decides, and says what differs from before.
    fn settle(&mut self, before: State, rules: &Rules, source: &impl Fn(&Route) -> (Source, u32)) -> Option<Changed> {
        let existing = self.routes.iter().position(|route| route.peer == before.route.peer);
        self.decide(rules, existing, source);
        let after = self.state(rules, source);
        if after.route == before.route && after.also == before.also {
            return None;
        }
        Some(Changed {
            from: Some(before.best),
            to: Some(after.best),
            also: after.also,
            outdone: after.route.peer != before.route.peer && existing.is_some(),
        })
    }

    fn state(&self, rules: &Rules, source: &impl Fn(&Route) -> (Source, u32)) -> State {
        State { route: self.best_route().clone(), best: self.best(), also: self.also(rules, source) }
    }

    /// The routes as the decision process sees them.
    pub(super) fn candidates(&self, source: &impl Fn(&Route) -> (Source, u32)) -> Vec<Candidate<'_>> {
        let candidate = |route| {
            let (source, interior_cost) = source(route);
            Candidate { attributes: &route.attributes, source, interior_cost }
        };
        self.routes.iter().map(candidate).collect()
    }

    /// What is used beside the best route.
    fn also(&self, rules: &Rules, source: &impl Fn(&Route) -> (Source, u32)) -> Vec<Hop> {
        if self.routes.len() < 2 || rules.multipath.external.max(rules.multipath.internal) < 2 {
            return Vec::new();
        }
        let candidates = self.candidates(source);
        let others = used(&candidates, rules, self.best);
        others[1..]
            .iter()
            .filter_map(|&place| {
                let Route { peer, attributes } = &self.routes[place];
                Some(Hop { peer: (*peer)?, next_hop: attributes.next_hop })
            })
            .collect()
    }

    fn decide(&mut self, rules: &Rules, existing: Option<usize>, source: &impl Fn(&Route) -> (Source, u32)) {
        if self.routes.len() == 1 {
            (self.best, self.decided_by) = (0, DecidedBy::OnlyRoute);
            return;
        }
        let candidates = self.candidates(source);
        if let Some(decision) = decide(&candidates, rules, existing) {
            (self.best, self.decided_by) = decision;
        }
    }
}

/// Adj-RIB-Out of one peer: what it was told, and which prefixes may have changed since.
#[derive(Clone, Default)]
pub(super) struct AdjRibOut {
    pub sent: PrefixMap<Ipv4Net, Arc<Attributes>>,
    pending: BTreeSet<Ipv4Net>,
}

impl AdjRibOut {
    pub fn touch(&mut self, prefix: Ipv4Net) {
        self.pending.insert(prefix);
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub fn take_pending(&mut self) -> BTreeSet<Ipv4Net> {
        mem::take(&mut self.pending)
    }
}
