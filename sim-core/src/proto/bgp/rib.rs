//! The tables (RFC 4271 section 3.2): the Adj-RIBs-In as received and Loc-RIB with every usable route and the best of
//! them, which are one trie. What the peers were told is in [`super::adj_out`].
//!
//! A route is held once: under its prefix stands what each source said and what import policy made of it, so that Adj-RIB-In
//! of a peer is what bears its name there. Of most prefixes there is one source whose route is used as it came, and then
//! its attributes and its peer, 16 octets, are all. Attributes are shared ([`super::pool`]). A change of one route costs one
//! walk through the trie, whatever its size.

use std::sync::Arc;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;
use prefix_trie::map::Entry as Place;
use smallvec::SmallVec;

use super::attributes::Attributes;
use super::config::{DEFAULT_LOCAL_PREF, PeerId};
use super::decision::{Candidate, DecidedBy, Rules, Source, decide, used};
use super::family::Family;
use crate::reason::Reason;

/// The best route to a prefix, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Best<F: Family = Ipv4Net> {
    /// The peer it was learned from; `None` if it is our own.
    pub peer: Option<PeerId>,
    /// NEXT_HOP; unspecified if it is our own.
    pub next_hop: F::NextHop,
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
pub struct Hop<F: Family = Ipv4Net> {
    /// The peer that the route was learned from.
    pub peer: PeerId,
    /// NEXT_HOP.
    pub next_hop: F::NextHop,
}

/// A usable route, after import policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route<'a, F: Family = Ipv4Net> {
    /// The peer it was learned from; `None` if it is our own.
    pub peer: Option<PeerId>,
    /// Its attributes.
    pub attributes: &'a Arc<Attributes<F>>,
}

/// What import makes of a route: its attributes, if they differ from those received, or why it is not used.
pub(super) type Verdict<F> = Result<Option<Arc<Attributes<F>>>, Reason>;

/// What all sources say of a prefix; never nothing.
#[derive(Clone)]
enum Held<F: Family> {
    /// One source, whose route is used as it came.
    Sole { peer: Option<PeerId>, attributes: Arc<Attributes<F>> },
    /// Anything else.
    Several(Box<Several<F>>),
}

const _: () = assert!(size_of::<Held<Ipv4Net>>() == 2 * size_of::<usize>());

#[derive(Clone)]
struct Several<F: Family> {
    /// In the order of arrival.
    routes: Vec<Learned<F>>,
    /// The place of the best route and the step that preferred it; `None` if none is usable.
    best: Option<(usize, DecidedBy)>,
}

/// What one source says.
#[derive(Clone)]
struct Learned<F: Family> {
    peer: Option<PeerId>,
    /// Why it is not used.
    refused: Option<Reason>,
    received: Arc<Attributes<F>>,
    /// What import policy made of it, if it changed it.
    changed: Option<Arc<Attributes<F>>>,
}

impl<F: Family> Learned<F> {
    fn new(peer: Option<PeerId>, received: Arc<Attributes<F>>, verdict: Verdict<F>) -> Self {
        match verdict {
            Ok(changed) => Self { peer, refused: None, received, changed },
            Err(reason) => Self { peer, refused: Some(reason), received, changed: None },
        }
    }

    fn usable(&self) -> Option<Route<'_, F>> {
        let attributes = self.changed.as_ref().unwrap_or(&self.received);
        self.refused.is_none().then_some(Route { peer: self.peer, attributes })
    }
}

impl<F: Family> Held<F> {
    fn new(peer: Option<PeerId>, received: Arc<Attributes<F>>, verdict: Verdict<F>) -> Self {
        match verdict {
            Ok(None) => Self::Sole { peer, attributes: received },
            other => {
                let best = other.is_ok().then_some((0, DecidedBy::OnlyRoute));
                let routes = vec![Learned::new(peer, received, other)];
                Self::Several(Box::new(Several { routes, best }))
            }
        }
    }

    fn best(&self) -> Option<(Route<'_, F>, DecidedBy)> {
        match self {
            Self::Sole { peer, attributes } => Some((Route { peer: *peer, attributes }, DecidedBy::OnlyRoute)),
            Self::Several(several) => {
                let (place, step) = several.best?;
                Some((several.routes[place].usable()?, step))
            }
        }
    }

    fn received(&self, from: Option<PeerId>) -> Option<&Arc<Attributes<F>>> {
        match self {
            Self::Sole { peer, attributes } => (*peer == from).then_some(attributes),
            Self::Several(several) => {
                several.routes.iter().find(|route| route.peer == from).map(|route| &route.received)
            }
        }
    }

    /// The long form, which can take another route.
    fn widen(&mut self) -> &mut Several<F> {
        if let Self::Sole { peer, attributes } = self {
            let route = Learned::new(*peer, Arc::clone(attributes), Ok(None));
            let mut routes = Vec::with_capacity(2);
            routes.push(route);
            *self = Self::Several(Box::new(Several { routes, best: Some((0, DecidedBy::OnlyRoute)) }));
        }
        match self {
            Self::Several(several) => several,
            Self::Sole { .. } => unreachable!("it was widened"),
        }
    }

    /// The short form, if it is enough.
    fn narrow(&mut self) {
        let Self::Several(several) = self else { return };
        if let [Learned { peer, refused: None, changed: None, received }] = &several.routes[..] {
            *self = Self::Sole { peer: *peer, attributes: Arc::clone(received) };
        }
    }
}

impl<F: Family> Several<F> {
    fn usable(&self) -> impl Iterator<Item = Route<'_, F>> {
        self.routes.iter().filter_map(Learned::usable)
    }

    /// Takes what a source says in the place of what it said before; one that had no usable route comes last. Says whether
    /// it said nothing before.
    fn take(&mut self, route: Learned<F>) -> bool {
        let Some(place) = self.routes.iter().position(|known| known.peer == route.peer) else {
            self.routes.push(route);
            return true;
        };
        if self.routes[place].refused.is_some() {
            self.routes.remove(place);
            self.routes.push(route);
        } else {
            self.routes[place] = route;
        }
        false
    }

    /// The usable routes as the decision process sees them, each with its place.
    fn candidates(&self, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> (Places, Candidates<'_, F>) {
        let usable = self.routes.iter().enumerate().filter_map(|(place, route)| Some((place, route.usable()?)));
        usable.map(|(place, route)| (place, candidate(route, origin))).unzip()
    }

    fn decide(&mut self, rules: &Rules, existing: Option<PeerPlace>, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) {
        let (places, candidates) = self.candidates(origin);
        let existing = existing.and_then(|peer| places.iter().position(|&place| self.routes[place].peer == peer));
        let decision = decide(&candidates, rules, existing).map(|(place, step)| (places[place], step));
        drop(candidates);
        self.best = decision;
    }

    /// What is used beside the best route.
    fn also(&self, rules: &Rules, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> Vec<Hop<F>> {
        let Some((best, _)) = self.best.filter(|_| rules.multipath.external.max(rules.multipath.internal) > 1) else {
            return Vec::new();
        };
        let (places, candidates) = self.candidates(origin);
        let Some(best) = places.iter().position(|&place| place == best) else {
            return Vec::new();
        };
        let others = used(&candidates, rules, best);
        let hop = |&other: &usize| {
            let route = self.routes[places[other]].usable()?;
            Some(Hop { peer: route.peer?, next_hop: route.attributes.next_hop })
        };
        others[1..].iter().filter_map(hop).collect()
    }
}

/// A source, by the peer that it is.
type PeerPlace = Option<PeerId>;

/// Routes to one prefix as the decision process sees them; few, mostly.
type Candidates<'a, F> = SmallVec<[Candidate<'a, F>; 4]>;
type Places = SmallVec<[usize; 4]>;

fn candidate<'a, F: Family>(route: Route<'a, F>, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> Candidate<'a, F> {
    let (source, interior_cost) = origin(route);
    Candidate { attributes: route.attributes, source, interior_cost }
}

/// All usable routes to one prefix, of which there is at least one.
#[derive(Clone, Copy)]
pub struct Entry<'a, F: Family = Ipv4Net> {
    held: &'a Held<F>,
    best: Route<'a, F>,
    decided_by: DecidedBy,
}

impl<'a, F: Family> Entry<'a, F> {
    fn of(held: &'a Held<F>) -> Option<Self> {
        held.best().map(|(best, decided_by)| Self { held, best, decided_by })
    }

    /// Every usable route, in the order of arrival.
    pub fn routes(self) -> impl Iterator<Item = Route<'a, F>> {
        let (sole, several) = match self.held {
            Held::Sole { .. } => (Some(self.best), None),
            Held::Several(several) => (None, Some(several.usable())),
        };
        sole.into_iter().chain(several.into_iter().flatten())
    }

    /// The place of the best route among them.
    pub(super) fn best_place(self) -> usize {
        let best = |route: Route<'_, F>| route.peer == self.best.peer;
        self.routes().position(best).unwrap_or_default()
    }

    /// The routes as the decision process sees them.
    pub(super) fn candidates(self, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> Vec<Candidate<'a, F>> {
        self.routes().map(|route| candidate(route, origin)).collect()
    }

    /// The best route.
    pub fn best_route(self) -> Route<'a, F> {
        self.best
    }

    /// The best route, in short.
    pub fn best(self) -> Best<F> {
        in_short(self.best, self.decided_by)
    }
}

fn in_short<F: Family>(Route { peer, attributes }: Route<'_, F>, decided_by: DecidedBy) -> Best<F> {
    Best {
        peer,
        next_hop: attributes.next_hop,
        as_path_length: attributes.as_path.length(),
        med: attributes.med,
        local_pref: attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF),
        decided_by,
    }
}

/// How the best route to a prefix changed.
#[derive(Debug)]
pub(super) struct Changed<F: Family> {
    pub from: Option<Best<F>>,
    pub to: Option<Best<F>>,
    /// What is used beside the best route.
    pub also: Vec<Hop<F>>,
    /// The source of the former best route still has one, but another's is better.
    pub outdone: bool,
}

/// The Adj-RIBs-In and Loc-RIB.
#[derive(Clone)]
pub(super) struct Rib<F: Family = Ipv4Net> {
    entries: PrefixMap<F, Held<F>>,
    /// How many prefixes have a usable route.
    usable: usize,
}

impl<F: Family> Default for Rib<F> {
    fn default() -> Self {
        Self { entries: PrefixMap::default(), usable: 0 }
    }
}

impl<F: Family> Rib<F> {
    /// Loc-RIB.
    pub fn loc(&self) -> LocRib<'_, F> {
        LocRib { rib: self }
    }

    /// What a source said of a prefix, as received.
    pub fn received(&self, prefix: &F, from: Option<PeerId>) -> Option<&Arc<Attributes<F>>> {
        self.entries.get(prefix)?.received(from)
    }

    /// Takes a route of one source in the place of what it said before, and decides anew. Says whether it said nothing
    /// before; the change is `Some` if the best route is another one or has other attributes now, or others are used beside
    /// it. `origin` tells where a route comes from and what the way to its next hop costs.
    pub fn set(
        &mut self,
        prefix: F,
        peer: Option<PeerId>,
        received: Arc<Attributes<F>>,
        verdict: Verdict<F>,
        rules: &Rules,
        origin: impl Fn(Route<'_, F>) -> (Source, u32),
    ) -> (bool, Option<Changed<F>>) {
        let mut place = match self.entries.entry(prefix) {
            Place::Vacant(place) => {
                let held = place.insert(Held::new(peer, received, verdict));
                let to = held.best().map(|(route, step)| in_short(route, step));
                self.usable += usize::from(to.is_some());
                return (true, to.map(|to| Changed { from: None, to: Some(to), also: Vec::new(), outdone: false }));
            }
            Place::Occupied(place) => place,
        };
        let held = place.get_mut();
        if let Held::Sole { peer: known, attributes } = held
            && *known == peer
            && verdict == Ok(None)
        {
            if *attributes == received {
                return (false, None);
            }
            let before = core::mem::replace(attributes, received);
            let short = |attributes| in_short(Route { peer, attributes }, DecidedBy::OnlyRoute);
            let (from, to) = (Some(short(&before)), Some(short(attributes)));
            return (false, Some(Changed { from, to, also: Vec::new(), outdone: false }));
        }
        let former = Former::of(held, rules, &origin);
        let several = held.widen();
        let is_new = several.take(Learned::new(peer, received, verdict));
        several.decide(rules, former.peer(), &origin);
        held.narrow();
        let changed = former.against(held, rules, &origin);
        self.count(&changed);
        (is_new, changed)
    }

    /// Forgets what a source said of a prefix. `None` if it said nothing.
    pub fn remove(
        &mut self,
        prefix: F,
        peer: Option<PeerId>,
        rules: &Rules,
        origin: impl Fn(Route<'_, F>) -> (Source, u32),
    ) -> Option<Option<Changed<F>>> {
        let Place::Occupied(mut place) = self.entries.entry(prefix) else {
            return None;
        };
        let held = place.get_mut();
        held.received(peer)?;
        let former = Former::of(held, rules, &origin);
        let several = match held {
            Held::Several(several) if several.routes.len() > 1 => several,
            Held::Several(_) | Held::Sole { .. } => {
                place.remove();
                let gone = |from| Changed { from: Some(from), to: None, also: Vec::new(), outdone: false };
                let changed = former.best.map(gone);
                self.usable -= usize::from(changed.is_some());
                return Some(changed);
            }
        };
        several.routes.retain(|route| route.peer != peer);
        several.decide(rules, former.peer(), &origin);
        held.narrow();
        let changed = former.against(held, rules, &origin);
        self.count(&changed);
        Some(changed)
    }

    /// Decides anew, because `origin` answers otherwise than `before`.
    pub fn reconsider(
        &mut self,
        prefix: F,
        rules: &Rules,
        before: impl Fn(Route<'_, F>) -> (Source, u32),
        origin: impl Fn(Route<'_, F>) -> (Source, u32),
    ) -> Option<Changed<F>> {
        let held = self.entries.get_mut(&prefix)?;
        let former = Former::of(held, rules, &before);
        match held {
            Held::Sole { .. } => return None,
            Held::Several(several) => several.decide(rules, former.peer(), &origin),
        }
        former.against(held, rules, &origin)
    }

    /// What is used beside the best route to a prefix.
    pub fn also(&self, prefix: &F, rules: &Rules, origin: impl Fn(Route<'_, F>) -> (Source, u32)) -> Vec<Hop<F>> {
        self.entries.get(prefix).map_or_else(Vec::new, |held| also(held, rules, &origin))
    }

    fn count(&mut self, changed: &Option<Changed<F>>) {
        match changed {
            Some(Changed { from: None, to: Some(_), .. }) => self.usable += 1,
            Some(Changed { from: Some(_), to: None, .. }) => self.usable -= 1,
            Some(_) | None => {}
        }
    }

    /// The prefixes of which a source said something, in order.
    pub fn prefixes_of(&self, from: Option<PeerId>) -> impl Iterator<Item = F> {
        self.entries.iter().filter(move |(_, held)| held.received(from).is_some()).map(|(prefix, _)| prefix)
    }

    /// All prefixes of which anybody said anything, in order.
    pub fn prefixes(&self) -> impl Iterator<Item = F> {
        self.entries.keys()
    }
}

/// What was used before a change.
struct Former<F: Family> {
    best: Option<Best<F>>,
    attributes: Option<Arc<Attributes<F>>>,
    also: Vec<Hop<F>>,
}

impl<F: Family> Former<F> {
    fn of(held: &Held<F>, rules: &Rules, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> Self {
        let best = held.best();
        Self {
            best: best.map(|(route, step)| in_short(route, step)),
            attributes: best.map(|(route, _)| Arc::clone(route.attributes)),
            also: also(held, rules, origin),
        }
    }

    /// Whose the best route was.
    fn peer(&self) -> Option<PeerPlace> {
        self.best.map(|best| best.peer)
    }

    fn against(
        self,
        held: &Held<F>,
        rules: &Rules,
        origin: &impl Fn(Route<'_, F>) -> (Source, u32),
    ) -> Option<Changed<F>> {
        let (now, also) = (held.best(), also(held, rules, origin));
        let before = self.peer().zip(self.attributes.as_ref());
        if now.map(|(route, _)| (route.peer, route.attributes)) == before && also == self.also {
            return None;
        }
        let to = now.map(|(route, step)| in_short(route, step));
        let still_there = match held {
            Held::Sole { peer, .. } => Some(*peer) == self.peer(),
            Held::Several(several) => several.usable().any(|route| Some(route.peer) == self.peer()),
        };
        let outdone = still_there && to.is_some_and(|to| Some(to.peer) != self.peer());
        Some(Changed { from: self.best, to, also, outdone })
    }
}

fn also<F: Family>(held: &Held<F>, rules: &Rules, origin: &impl Fn(Route<'_, F>) -> (Source, u32)) -> Vec<Hop<F>> {
    match held {
        Held::Sole { .. } => Vec::new(),
        Held::Several(several) => several.also(rules, origin),
    }
}

/// Loc-RIB, to look at: all usable routes, and the best of them, by prefix.
#[derive(Clone, Copy)]
pub struct LocRib<'a, F: Family = Ipv4Net> {
    rib: &'a Rib<F>,
}

impl<'a, F: Family> LocRib<'a, F> {
    /// The usable routes to exactly this prefix.
    pub fn get(self, prefix: &F) -> Option<Entry<'a, F>> {
        self.rib.entries.get(prefix).and_then(Entry::of)
    }

    /// What peers said of exactly this prefix that cannot be used, in the order of arrival, each with the reason.
    pub fn refused(self, prefix: &F) -> impl Iterator<Item = (Route<'a, F>, Reason)> {
        let several = match self.rib.entries.get(prefix) {
            Some(Held::Several(several)) => &several.routes[..],
            Some(Held::Sole { .. }) | None => &[],
        };
        let refused = |route: &'a Learned<F>| {
            let shown = Route { peer: route.peer, attributes: &route.received };
            route.refused.map(|reason| (shown, reason))
        };
        several.iter().filter_map(refused)
    }

    /// All prefixes with a usable route, in order (by address, then shorter first).
    pub fn iter(self) -> impl Iterator<Item = (F, Entry<'a, F>)> {
        self.rib.entries.iter().filter_map(|(prefix, held)| Some((prefix, Entry::of(held)?)))
    }

    /// The same, without what is known of them.
    pub fn keys(self) -> impl Iterator<Item = F> {
        self.iter().map(|(prefix, _)| prefix)
    }

    /// Number of prefixes with a usable route.
    pub fn len(self) -> usize {
        self.rib.usable
    }

    /// True if there is no usable route at all.
    pub fn is_empty(self) -> bool {
        self.rib.usable == 0
    }
}
