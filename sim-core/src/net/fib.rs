//! The forwarding table of a router: longest prefix first, then the best of the candidates for that prefix.
//!
//! Every source of routes (interfaces, operator, BGP sessions ...) may hold candidates for the same prefix. The best is
//! the one with the lowest (administrative distance, metric); ties go to the lower [`RouteSource`], then to the lower
//! [`Target`], in the order in which those types are written down. So the best route is a function of the set of
//! candidates, never of the order in which they came.
//!
//! | source | distance, unless its owner says otherwise |
//! |---|---|
//! | connected | 0 |
//! | static | 1; a *floating* one is given more than the distance of what it stands in for |
//! | eBGP, and what a gateway propagates | 20 |
//! | underlay | 110 |
//! | iBGP | 200 |
//!
//! A table is of IPv4 or of IPv6 ([`Prefix`]), written once and compiled for each.
//!
//! A table may spread flows over all routes of the best cost ([`Fib::spread_flows`]); then a flow's hash chooses among them in
//! the same walk. Without it the best route alone is used.

use core::fmt;
use core::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use prefix_trie::map::Entry as Place;
use smallvec::SmallVec;

use super::multipath::{Buckets, Multipath, by_threshold};
use crate::fetch::fetch;
use crate::id::{Port, RecordId};
use crate::wire::ipv4::Ipv4Packet;
use crate::wire::ipv6::Ipv6Packet;

/// The prefixes of an address family: all that differs between a table of IPv4 and one of IPv6.
pub trait Prefix: prefix_trie::Prefix + Copy + Ord + Hash + fmt::Debug + Default + Into<IpNet> + 'static {
    /// An address.
    type Address: Copy + Ord + Hash + fmt::Debug + Into<Self>;

    /// The destination of a packet of this family whose header has been checked.
    fn destination(packet: &[u8]) -> Self::Address;
    /// The hash of the flow of such a packet.
    fn flow_hash(multipath: &Multipath, packet: &[u8]) -> u32;
    /// Without host bits.
    fn truncated(self) -> Self;
    /// In which of the places for what was looked up lately an address is kept.
    fn place(address: Self::Address) -> usize;
}

impl Prefix for Ipv4Net {
    type Address = Ipv4Addr;

    fn destination(packet: &[u8]) -> Ipv4Addr {
        Ipv4Packet::new_unchecked(packet).dst()
    }

    fn flow_hash(multipath: &Multipath, packet: &[u8]) -> u32 {
        multipath.hash(packet)
    }

    fn truncated(self) -> Self {
        self.trunc()
    }

    fn place(address: Ipv4Addr) -> usize {
        let bits = u32::from(address);
        (bits ^ bits >> 8 ^ bits >> 16) as usize % RECENT
    }
}

impl Prefix for Ipv6Net {
    type Address = Ipv6Addr;

    fn destination(packet: &[u8]) -> Ipv6Addr {
        Ipv6Packet::new_unchecked(packet).dst()
    }

    fn flow_hash(multipath: &Multipath, packet: &[u8]) -> u32 {
        multipath.hash_v6(packet)
    }

    fn truncated(self) -> Self {
        self.trunc()
    }

    fn place(address: Ipv6Addr) -> usize {
        let bits = u128::from(address);
        (bits ^ bits >> 16 ^ bits >> 64) as usize % RECENT
    }
}

/// Administrative distances that Cisco IOS and FRR use by default. They are a convention of routers, not a standard.
pub mod distance {
    /// A directly connected network.
    pub const CONNECTED: u8 = 0;
    /// Configured by the operator.
    pub const STATIC: u8 = 1;
    /// Learned by eBGP.
    pub const EBGP: u8 = 20;
    /// Propagated by a gateway: as what it learned.
    pub const PROPAGATED: u8 = EBGP;
    /// Computed from the topology of the underlay, where a link-state protocol would be (OSPF's value).
    pub const UNDERLAY: u8 = 110;
    /// Learned by iBGP.
    pub const IBGP: u8 = 200;
}

/// Who put a route into the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RouteSource {
    /// An interface with an address in that network.
    Connected,
    /// The operator.
    Static,
    /// The BGP speaker, which knows one best route to a prefix.
    Bgp,
    /// A gateway that propagates its routes into another table, as a VGW does into a VPC's.
    Propagated,
    /// The underlay, whose routing is computed and not simulated.
    Underlay,
}

impl RouteSource {
    /// Its administrative distance, if nobody gives it another.
    pub const fn distance(self) -> u8 {
        match self {
            Self::Connected => distance::CONNECTED,
            Self::Static => distance::STATIC,
            Self::Bgp => distance::EBGP,
            Self::Propagated => distance::PROPAGATED,
            Self::Underlay => distance::UNDERLAY,
        }
    }
}

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target<A = Ipv4Addr> {
    /// Out of a port, to a next hop or, if there is none, to the destination itself.
    Out {
        /// The port.
        port: Port,
        /// The next hop on the port's network.
        next_hop: Option<A>,
    },
    /// Nowhere: packets are dropped.
    Blackhole,
}

impl<A> Target<A> {
    /// Out of a port, without a next hop: a point-to-point interface, or a connected network.
    pub const fn port(port: Port) -> Self {
        Self::Out { port, next_hop: None }
    }

    /// Out of a port, to a next hop.
    pub fn via(port: Port, next_hop: A) -> Self {
        Self::Out { port, next_hop: Some(next_hop) }
    }
}

/// A route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route<P: Prefix = Ipv4Net> {
    /// The destinations it is for; host bits are zero in the table.
    pub prefix: P,
    /// Who put it there.
    pub source: RouteSource,
    /// Administrative distance: lower is preferred before the metric is looked at.
    pub distance: u8,
    /// Metric within the distance; lower is preferred.
    pub metric: u32,
    /// Where packets go.
    pub target: Target<P::Address>,
    /// The record that installed it.
    pub since: RecordId,
}

impl<P: Prefix> Route<P> {
    fn rank(&self) -> (u8, u32, RouteSource, Target<P::Address>) {
        (self.distance, self.metric, self.source, self.target)
    }

    fn cost(&self) -> (u8, u32) {
        (self.distance, self.metric)
    }

    /// Equal in everything but the record that installed it.
    fn same_as(&self, other: &Self) -> bool {
        Self { since: other.since, ..*self } == *other
    }
}

/// The best route of a prefix changed, or the set of routes over which its flows are spread. Of a set of which the best stays
/// the best it tells how flows moved: from one that left to the best, or from the best to one that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change<P: Prefix = Ipv4Net> {
    /// The prefix.
    pub prefix: P,
    /// The route before, if there was one.
    pub before: Option<Route<P>>,
    /// The route now, if there is one.
    pub after: Option<Route<P>>,
}

/// The candidates of a prefix while they change; most prefixes have one.
type Routes<P> = SmallVec<[Route<P>; 2]>;

/// A route without its prefix, which its place in the table tells.
#[derive(Clone, Copy, Debug)]
struct Stored<A> {
    since: RecordId,
    metric: u32,
    target: Target<A>,
    source: RouteSource,
    distance: u8,
}

impl<A> Stored<A> {
    fn of<P: Prefix<Address = A>>(Route { prefix: _, source, distance, metric, target, since }: Route<P>) -> Self {
        Self { since, metric, target, source, distance }
    }

    fn at<P: Prefix<Address = A>>(self, prefix: P) -> Route<P> {
        let Self { since, metric, target, source, distance } = self;
        Route { prefix, source, distance, metric, target, since }
    }
}

/// The candidates of a prefix: never empty. Most prefixes have one, which then follows no pointer and takes no more room than
/// it must: of a million routes each octet counts.
#[derive(Clone, Debug)]
enum Candidates<P: Prefix> {
    Sole(Stored<P::Address>),
    Several(Box<Several<P>>),
}

#[derive(Clone, Debug)]
struct Several<P: Prefix> {
    best: Route<P>,
    /// The others, in rank order.
    rest: Vec<Route<P>>,
    /// Over how many routes flows are spread, the best and those that follow it.
    ways: usize,
    /// Which of them each bucket of resilient hashing uses.
    buckets: Option<Buckets>,
}

const _: () = assert!(size_of::<Candidates<Ipv4Net>>() == 24);

/// Of the prefix that is given, which is the one that the candidates are stored under.
impl<P: Prefix> Candidates<P> {
    fn best(&self, prefix: P) -> Route<P> {
        match self {
            Self::Sole(route) => route.at(prefix),
            Self::Several(several) => several.best,
        }
    }

    fn several(&self) -> Option<&Several<P>> {
        match self {
            Self::Sole(_) => None,
            Self::Several(several) => Some(several),
        }
    }

    fn iter(&self, prefix: P) -> impl Iterator<Item = Route<P>> {
        let rest = self.several().into_iter().flat_map(|several| &several.rest);
        core::iter::once(self.best(prefix)).chain(rest.copied())
    }

    /// The routes over which flows are spread.
    fn ways(&self, prefix: P) -> impl Iterator<Item = Route<P>> {
        self.iter(prefix).take(self.several().map_or(1, |several| several.ways))
    }

    /// The way of a flow.
    fn choose(&self, prefix: P, multipath: &Multipath, packet: &[u8]) -> Route<P> {
        let Some(several) = self.several().filter(|several| several.ways > 1) else { return self.best(prefix) };
        let hash = P::flow_hash(multipath, packet);
        let choose = |buckets: &Buckets| buckets.choose(hash);
        let way = several.buckets.as_ref().map_or_else(|| by_threshold(hash, several.ways), choose);
        if way == 0 { several.best } else { several.rest[way - 1] }
    }

    /// Of routes in rank order; `before` is what the prefix had.
    fn from_ranked(mut routes: Routes<P>, multipath: Option<&Multipath>, before: Option<&Self>) -> Option<Self> {
        if routes.is_empty() {
            return None;
        }
        let best = routes.remove(0);
        if routes.is_empty() {
            return Some(Self::Sole(Stored::of(best)));
        }
        let equal = 1 + routes.iter().take_while(|route| route.cost() == best.cost()).count();
        let ways = multipath.map_or(1, |multipath| equal.min(multipath.max_ways.max(1).into()));
        let targets = |ways: &mut dyn Iterator<Item = Route<P>>| ways.map(|route| route.target).collect::<Vec<_>>();
        let buckets = multipath.and_then(|multipath| multipath.buckets).filter(|_| ways > 1).map(|count| {
            let chosen = targets(&mut core::iter::once(best).chain(routes.iter().copied()).take(ways));
            let old = before.map(|old| (old, targets(&mut old.ways(best.prefix))));
            let everything = Buckets::only(count);
            let old = old.as_ref().map(|(old, targets)| {
                let buckets = old.several().and_then(|several| several.buckets.as_ref());
                (buckets.unwrap_or(&everything), &targets[..])
            });
            Buckets::over(&chosen, count, old)
        });
        Some(Self::Several(Box::new(Several { best, rest: routes.into_vec(), ways, buckets })))
    }
}

/// A forwarding table. See the module header for how it chooses.
#[derive(Clone, Debug)]
pub struct Fib<P: Prefix = Ipv4Net> {
    map: PrefixMap<P, Candidates<P>>,
    /// How flows are spread over routes of equal cost; `None`: the best route takes all.
    multipath: Option<Multipath>,
    /// Best routes of destinations looked up lately, in the place that the destination chooses; not of those whose flows are
    /// spread.
    recent: [Option<(P::Address, Route<P>)>; RECENT],
}

/// How many destinations have their best route at hand.
const RECENT: usize = 4;

impl<P: Prefix> Default for Fib<P> {
    fn default() -> Self {
        Self { map: PrefixMap::new(), multipath: None, recent: [None; RECENT] }
    }
}

impl<P: Prefix> Fib<P> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fetches what each lookup touches.
    pub(crate) fn foresee(&self) {
        fetch(&self.map);
        self.recent.iter().for_each(fetch);
    }

    /// Spreads flows over routes of equal cost from here on.
    pub fn spread_flows(&mut self, multipath: Multipath) {
        self.multipath = Some(multipath);
        let prefixes: Vec<P> = self.map.keys().collect();
        for prefix in prefixes {
            self.edit(prefix, |_| {});
        }
    }

    /// An empty table that spreads flows as this one does.
    pub fn emptied(&self) -> Self {
        Self { multipath: self.multipath, ..Self::new() }
    }

    /// The route of a packet whose header has been checked: of the longest prefix that holds its destination the best one,
    /// or the one that its flow is given among its equals.
    pub fn choose(&mut self, packet: &[u8]) -> Option<Route<P>> {
        let destination = P::destination(packet);
        let Some(multipath) = &self.multipath else { return self.look_up_again(destination) };
        let place = P::place(destination);
        match self.recent[place] {
            Some((known, route)) if known == destination => Some(route),
            _ => {
                let (prefix, candidates) = self.map.get_lpm(&destination.into())?;
                if candidates.several().is_some_and(|several| several.ways > 1) {
                    return Some(candidates.choose(prefix, multipath, packet));
                }
                let best = candidates.best(prefix);
                self.recent[place] = Some((destination, best));
                Some(best)
            }
        }
    }

    /// The routes over which flows to `destination` are spread, best first.
    pub fn ways(&self, destination: P::Address) -> impl Iterator<Item = Route<P>> {
        let candidates = self.map.get_lpm(&destination.into());
        candidates.into_iter().flat_map(|(prefix, candidates)| candidates.ways(prefix))
    }

    /// The best route of the longest prefix that holds `destination`.
    pub fn lookup(&self, destination: P::Address) -> Option<Route<P>> {
        self.map.get_lpm(&destination.into()).map(|(prefix, candidates)| candidates.best(prefix))
    }

    /// The best route that is not BGP's, of the longest prefix with such a route that holds `destination`.
    pub fn lookup_beside_bgp(&self, destination: P::Address) -> Option<Route<P>> {
        let other = |(prefix, candidates): (P, &Candidates<P>)| {
            candidates.iter(prefix).find(|route| route.source != RouteSource::Bgp)
        };
        self.map.cover(&destination.into()).filter_map(other).last()
    }

    /// As [`Fib::lookup`], and fast if the destination was looked up lately: most packets go where others went before.
    fn look_up_again(&mut self, destination: P::Address) -> Option<Route<P>> {
        let place = P::place(destination);
        match self.recent[place] {
            Some((known, route)) if known == destination => Some(route),
            _ => {
                let route = self.lookup(destination)?;
                self.recent[place] = Some((destination, route));
                Some(route)
            }
        }
    }

    /// All routes of the longest prefix that cost as little as the best one, best first: the choices of ECMP.
    pub fn lookup_equal(&self, destination: P::Address) -> impl Iterator<Item = Route<P>> {
        let candidates = self.map.get_lpm(&destination.into());
        candidates.into_iter().flat_map(|(prefix, candidates)| {
            let least = candidates.best(prefix).cost();
            candidates.iter(prefix).take_while(move |route| route.cost() == least)
        })
    }

    /// The best route of exactly this prefix.
    pub fn best(&self, prefix: P) -> Option<Route<P>> {
        self.map.get(&prefix.truncated()).map(|candidates| candidates.best(prefix.truncated()))
    }

    /// All candidates of exactly this prefix, best first.
    pub fn candidates(&self, prefix: P) -> impl Iterator<Item = Route<P>> {
        let prefix = prefix.truncated();
        self.map.get(&prefix).into_iter().flat_map(move |candidates| candidates.iter(prefix))
    }

    /// How many of those candidates are used: the best, and those that share its flows.
    pub fn used(&self, prefix: P) -> usize {
        let prefix = prefix.truncated();
        self.map.get(&prefix).map_or(0, |candidates| candidates.ways(prefix).count())
    }

    /// The best route of every prefix, in prefix order (by address, then shorter first).
    pub fn iter(&self) -> impl Iterator<Item = Route<P>> {
        self.map.iter().map(|(prefix, candidates)| candidates.best(prefix))
    }

    /// Number of prefixes.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True if there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Adds a candidate, or replaces the one of the same source and target. One that differs in nothing but `since`
    /// stays as it is. Answers how the best route changed, if it did.
    pub fn insert(&mut self, route: Route<P>) -> Option<Change<P>> {
        self.edit(route.prefix, |routes| {
            upsert(routes, route, |r| r.source == route.source && r.target == route.target);
        })
    }

    /// Makes `route` the only candidate of its source for its prefix, as an implicit withdraw of BGP does.
    pub fn set(&mut self, route: Route<P>) -> Option<Change<P>> {
        self.edit(route.prefix, |routes| {
            upsert(routes, route, |r| r.source == route.source);
        })
    }

    /// The same, and what is the best or shares its flows for it is since the record that `since` makes of the change: both in
    /// one walk.
    pub fn set_since(&mut self, route: Route<P>, since: impl FnOnce(&Change<P>) -> RecordId) -> Option<Change<P>> {
        let prefix = route.prefix.truncated();
        if let Place::Vacant(place) = self.map.entry(prefix) {
            let route = Route { prefix, ..route };
            let change = Change { prefix, before: None, after: Some(route) };
            place.insert(Candidates::Sole(Stored::of(Route { since: since(&change), ..route })));
            self.recent = [None; RECENT];
            return Some(change);
        }
        let change = self.set(route)?;
        self.stamp(prefix, since(&change));
        Some(change)
    }

    /// Makes `routes`, all of one source and prefix, the only candidates of that source for that prefix: what a speaker says that
    /// uses several routes at once.
    pub fn set_all(&mut self, prefix: P, source: RouteSource, routes: &[Route<P>]) -> Option<Change<P>> {
        self.edit(prefix, |known| replace(known, source, routes))
    }

    /// Removes the candidate of `source` for `prefix` that has this target.
    pub fn remove_target(&mut self, prefix: P, source: RouteSource, target: Target<P::Address>) -> Option<Change<P>> {
        self.edit(prefix, |routes| routes.retain(|r| r.source != source || r.target != target))
    }

    /// Names the record that made the best route of `prefix`, and those that share its flows, what they are. No effect if there
    /// is none.
    pub fn stamp(&mut self, prefix: P, since: RecordId) {
        self.recent = [None; RECENT];
        if let Some(candidates) = self.map.get_mut(&prefix.truncated()) {
            match candidates {
                Candidates::Sole(route) => route.since = since,
                Candidates::Several(several) => {
                    several.best.since = since;
                    several.rest.iter_mut().take(several.ways - 1).for_each(|route| route.since = since);
                }
            }
        }
    }

    /// Removes every candidate of `source` for `prefix`.
    pub fn remove(&mut self, prefix: P, source: RouteSource) -> Option<Change<P>> {
        self.edit(prefix, |routes| routes.retain(|r| r.source != source))
    }

    /// Makes `routes` the whole of what `source` knows: others of it go, known ones keep their `since`.
    /// Answers the changes of best routes in prefix order.
    ///
    /// # Panics
    /// If one of `routes` has another source.
    pub fn replace_source(
        &mut self,
        source: RouteSource,
        routes: impl IntoIterator<Item = Route<P>>,
    ) -> Vec<Change<P>> {
        let mut wanted: PrefixMap<P, Vec<Route<P>>> = PrefixMap::new();
        for prefix in self.map.iter().filter(|(p, c)| c.iter(*p).any(|r| r.source == source)).map(|(p, _)| p) {
            wanted.insert(prefix, Vec::new());
        }
        for route in routes {
            assert_eq!(route.source, source, "a source replaces its own routes only");
            wanted.entry(route.prefix.truncated()).or_default().push(route);
        }
        let replace = |(prefix, new): (P, Vec<Route<P>>)| self.edit(prefix, |routes| replace(routes, source, &new));
        wanted.into_iter().filter_map(replace).collect()
    }

    /// Changes the candidates of a prefix and puts them back in rank order, in one walk.
    fn edit(&mut self, prefix: P, change: impl FnOnce(&mut Routes<P>)) -> Option<Change<P>> {
        self.recent = [None; RECENT];
        let prefix = prefix.truncated();
        let place = self.map.entry(prefix);
        let old = place.get();
        let before: Routes<P> = old.into_iter().flat_map(|candidates| candidates.ways(prefix)).collect();
        let mut routes: Routes<P> = old.into_iter().flat_map(|candidates| candidates.iter(prefix)).collect();
        change(&mut routes);
        for route in &mut routes {
            route.prefix = prefix;
        }
        routes.sort_by_key(Route::rank);
        let after = Candidates::from_ranked(routes, self.multipath.as_ref(), old);
        let change = changed(prefix, &before, after.as_ref());
        match (place, after) {
            (Place::Occupied(mut place), Some(candidates)) => *place.get_mut() = candidates,
            (Place::Occupied(place), None) => drop(place.remove()),
            (Place::Vacant(place), Some(candidates)) => {
                place.insert(candidates);
            }
            (Place::Vacant(_), None) => {}
        }
        change
    }
}

/// How the ways of a prefix changed: see [`Change`].
fn changed<P: Prefix>(prefix: P, ways: &[Route<P>], candidates: Option<&Candidates<P>>) -> Option<Change<P>> {
    let (before, after) = (ways.first().copied(), candidates.map(|candidates| candidates.best(prefix)));
    if before != after {
        return Some(Change { prefix, before, after });
    }
    let now = || candidates.into_iter().flat_map(|candidates| candidates.ways(prefix));
    let left = ways.iter().find(|old| now().all(|new| new.target != old.target));
    let came = now().find(|new| ways.iter().all(|old| old.target != new.target));
    match (left, came) {
        (None, None) => None,
        (left, came) => Some(Change { prefix, before: left.copied().or(before), after: came.or(after) }),
    }
}

/// Makes `new` all that `source` has among `routes`; what says the same as before keeps its age.
fn replace<P: Prefix>(routes: &mut Routes<P>, source: RouteSource, new: &[Route<P>]) {
    routes.retain(|r| r.source != source || new.iter().any(|n| n.target == r.target));
    for route in new {
        upsert(routes, *route, |r| r.source == source && r.target == route.target);
    }
}

/// Replaces the routes for which `is_old` holds by `route`, which keeps its age if it says the same as one of them.
fn upsert<P: Prefix>(routes: &mut Routes<P>, route: Route<P>, is_old: impl Fn(&Route<P>) -> bool) {
    let prefix = route.prefix.truncated();
    let route = Route { prefix, ..route };
    let kept = routes.iter().find(|r| is_old(r) && r.same_as(&route)).copied();
    routes.retain(|r| !is_old(r));
    routes.push(kept.unwrap_or(route));
}

#[cfg(test)]
mod tests;
