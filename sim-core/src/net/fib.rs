//! The forwarding table of a router: longest prefix first, then the best of the candidates for that prefix.
//!
//! Every source of routes (interfaces, operator, BGP sessions ...) may hold candidates for the same prefix. The best is
//! the one with the lowest (administrative distance, metric); ties go to the lower [`RouteSource`], then to the lower
//! [`Target`], in the order in which those types are written down. So the best route is a function of the set of
//! candidates, never of the order in which they came.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use crate::id::{Port, RecordId};

/// Administrative distances that Cisco IOS and FRR use by default. They are a convention of routers, not a standard.
pub mod distance {
    /// A directly connected network.
    pub const CONNECTED: u8 = 0;
    /// Configured by the operator.
    pub const STATIC: u8 = 1;
    /// Learned by eBGP.
    pub const EBGP: u8 = 20;
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

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// Out of a port, to a next hop or, if there is none, to the destination itself.
    Out {
        /// The port.
        port: Port,
        /// The next hop on the port's network.
        next_hop: Option<Ipv4Addr>,
    },
    /// Nowhere: packets are dropped.
    Blackhole,
}

impl Target {
    /// Out of a port, without a next hop: a point-to-point interface, or a connected network.
    pub const fn port(port: Port) -> Self {
        Self::Out { port, next_hop: None }
    }

    /// Out of a port, to a next hop.
    pub const fn via(port: Port, next_hop: Ipv4Addr) -> Self {
        Self::Out { port, next_hop: Some(next_hop) }
    }
}

/// A route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route {
    /// The destinations it is for; host bits are zero in the table.
    pub prefix: Ipv4Net,
    /// Who put it there.
    pub source: RouteSource,
    /// Administrative distance: lower is preferred before the metric is looked at.
    pub distance: u8,
    /// Metric within the distance; lower is preferred.
    pub metric: u32,
    /// Where packets go.
    pub target: Target,
    /// The record that installed it.
    pub since: RecordId,
}

impl Route {
    fn rank(&self) -> (u8, u32, RouteSource, Target) {
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

/// The best route of a prefix changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The prefix.
    pub prefix: Ipv4Net,
    /// The best route before, if there was one.
    pub before: Option<Route>,
    /// The best route now, if there is one.
    pub after: Option<Route>,
}

/// The candidates of a prefix: never empty. The best stands apart, so that a lookup follows no second pointer.
#[derive(Clone, Debug)]
struct Candidates {
    best: Route,
    /// The others, in rank order.
    rest: Vec<Route>,
}

impl Candidates {
    fn iter(&self) -> impl Iterator<Item = &Route> {
        core::iter::once(&self.best).chain(&self.rest)
    }

    fn from_ranked(mut routes: Vec<Route>) -> Option<Self> {
        if routes.is_empty() {
            return None;
        }
        let best = routes.remove(0);
        Some(Self { best, rest: routes })
    }
}

/// A forwarding table. See the module header for how it chooses.
#[derive(Clone, Debug, Default)]
pub struct Fib {
    map: PrefixMap<Ipv4Net, Candidates>,
    /// Best routes of destinations looked up lately, in the place that the destination chooses.
    recent: [Option<(Ipv4Addr, Route)>; RECENT],
}

/// How many destinations have their best route at hand.
const RECENT: usize = 4;

impl Fib {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The best route of the longest prefix that holds `destination`.
    pub fn lookup(&self, destination: Ipv4Addr) -> Option<&Route> {
        self.map.get_lpm(&Ipv4Net::from(destination)).map(|(_, c)| &c.best)
    }

    /// As [`Fib::lookup`], and fast if the destination was looked up lately: most packets go where others went before.
    pub fn look_up_again(&mut self, destination: Ipv4Addr) -> Option<Route> {
        let bits = u32::from(destination);
        let place = (bits ^ bits >> 8 ^ bits >> 16) as usize % RECENT;
        match self.recent[place] {
            Some((known, route)) if known == destination => Some(route),
            _ => {
                let route = *self.lookup(destination)?;
                self.recent[place] = Some((destination, route));
                Some(route)
            }
        }
    }

    /// All routes of the longest prefix that cost as little as the best one, best first: the choices of ECMP.
    pub fn lookup_equal(&self, destination: Ipv4Addr) -> impl Iterator<Item = &Route> {
        let candidates = self.map.get_lpm(&Ipv4Net::from(destination)).map(|(_, c)| c);
        candidates.into_iter().flat_map(|c| c.iter().take_while(|r| r.cost() == c.best.cost()))
    }

    /// The best route of exactly this prefix.
    pub fn best(&self, prefix: Ipv4Net) -> Option<&Route> {
        self.map.get(&prefix.trunc()).map(|c| &c.best)
    }

    /// All candidates of exactly this prefix, best first.
    pub fn candidates(&self, prefix: Ipv4Net) -> impl Iterator<Item = &Route> {
        self.map.get(&prefix.trunc()).into_iter().flat_map(Candidates::iter)
    }

    /// The best route of every prefix, in prefix order (by address, then shorter first).
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.map.values().map(|c| &c.best)
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
    pub fn insert(&mut self, route: Route) -> Option<Change> {
        self.edit(route.prefix, |routes| {
            upsert(routes, route, |r| r.source == route.source && r.target == route.target);
        })
    }

    /// Makes `route` the only candidate of its source for its prefix, as an implicit withdraw of BGP does.
    pub fn set(&mut self, route: Route) -> Option<Change> {
        self.edit(route.prefix, |routes| {
            upsert(routes, route, |r| r.source == route.source);
        })
    }

    /// Removes the candidate of `source` for `prefix` that has this target.
    pub fn remove_target(&mut self, prefix: Ipv4Net, source: RouteSource, target: Target) -> Option<Change> {
        self.edit(prefix, |routes| routes.retain(|r| r.source != source || r.target != target))
    }

    /// Names the record that made the best route of `prefix` the best. No effect if there is none.
    pub fn stamp(&mut self, prefix: Ipv4Net, since: RecordId) {
        self.recent = Default::default();
        if let Some(candidates) = self.map.get_mut(&prefix.trunc()) {
            candidates.best.since = since;
        }
    }

    /// Removes every candidate of `source` for `prefix`.
    pub fn remove(&mut self, prefix: Ipv4Net, source: RouteSource) -> Option<Change> {
        self.edit(prefix, |routes| routes.retain(|r| r.source != source))
    }

    /// Makes `routes` the whole of what `source` knows: others of it go, known ones keep their `since`.
    /// Answers the changes of best routes in prefix order.
    ///
    /// # Panics
    /// If one of `routes` has another source.
    pub fn replace_source(&mut self, source: RouteSource, routes: impl IntoIterator<Item = Route>) -> Vec<Change> {
        let mut wanted: PrefixMap<Ipv4Net, Vec<Route>> = PrefixMap::new();
        for prefix in self.map.iter().filter(|(_, c)| c.iter().any(|r| r.source == source)).map(|(p, _)| p) {
            wanted.insert(prefix, Vec::new());
        }
        for route in routes {
            assert_eq!(route.source, source, "a source replaces its own routes only");
            wanted.entry(route.prefix.trunc()).or_default().push(route);
        }
        let replace = |(prefix, new): (Ipv4Net, Vec<Route>)| {
            self.edit(prefix, |routes| {
                routes.retain(|r| r.source != source || new.iter().any(|n| n.target == r.target));
                for route in new {
                    upsert(routes, route, |r| r.source == source && r.target == route.target);
                }
            })
        };
        wanted.into_iter().filter_map(replace).collect()
    }

    /// Changes the candidates of a prefix and puts them back in rank order.
    fn edit(&mut self, prefix: Ipv4Net, change: impl FnOnce(&mut Vec<Route>)) -> Option<Change> {
        self.recent = Default::default();
        let prefix = prefix.trunc();
        let old = self.map.get(&prefix);
        let before = old.map(|c| c.best);
        let mut routes: Vec<Route> = old.into_iter().flat_map(Candidates::iter).copied().collect();
        change(&mut routes);
        for route in &mut routes {
            route.prefix = prefix;
        }
        routes.sort_by_key(Route::rank);
        let after = routes.first().copied();
        match Candidates::from_ranked(routes) {
            Some(candidates) => drop(self.map.insert(prefix, candidates)),
            None => drop(self.map.remove(&prefix)),
        }
        (before != after).then_some(Change { prefix, before, after })
    }
}

/// Replaces the routes for which `is_old` holds by `route`, which keeps its age if it says the same as one of them.
fn upsert(routes: &mut Vec<Route>, route: Route, is_old: impl Fn(&Route) -> bool) {
    let prefix = route.prefix.trunc();
    let route = Route { prefix, ..route };
    let kept = routes.iter().find(|r| is_old(r) && r.same_as(&route)).copied();
    routes.retain(|r| !is_old(r));
    routes.push(kept.unwrap_or(route));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn route(prefix: &str, source: RouteSource, distance: u8, metric: u32, port: u16) -> Route {
        Route {
            prefix: net(prefix),
            source,
            distance,
            metric,
            target: Target::port(Port(port)),
            since: RecordId::GENESIS,
        }
    }

    fn port_to(fib: &Fib, destination: [u8; 4]) -> Option<u16> {
        fib.lookup(destination.into()).map(|r| match r.target {
            Target::Out { port, .. } => port.0,
            Target::Blackhole => u16::MAX,
        })
    }

    const SESSION: RouteSource = RouteSource::Bgp;

    #[test]
    fn a_route_at_hand_is_never_stale() {
        let mut fib = Fib::new();
        let destination = Ipv4Addr::new(10, 1, 2, 3);
        assert_eq!(fib.look_up_again(destination), None);
        for (prefix, since) in [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3/32", 3)] {
            let prefix: Ipv4Net = prefix.parse().unwrap();
            let (source, target) = (RouteSource::Static, Target::port(Port(since)));
            fib.insert(Route { prefix, source, distance: 1, metric: 0, target, since: RecordId(0) });
            fib.stamp(prefix, RecordId(u64::from(since)));
            for _ in 0..2 {
                assert_eq!(fib.look_up_again(destination), fib.lookup(destination).copied());
                assert_eq!(fib.look_up_again(destination).unwrap().since, RecordId(u64::from(since)));
            }
        }
        fib.remove("10.1.2.3/32".parse().unwrap(), RouteSource::Static);
        assert_eq!(fib.look_up_again(destination).unwrap().since, RecordId(2));
    }

    #[test]
    fn the_longest_prefix_wins_whatever_it_costs() {
        let mut fib = Fib::new();
        fib.insert(route("0.0.0.0/0", RouteSource::Static, 1, 0, 0));
        fib.insert(route("10.0.0.0/8", RouteSource::Connected, 0, 0, 1));
        fib.insert(route("10.1.0.0/16", SESSION, 200, 9, 2));
        fib.insert(route("10.1.2.3/32", RouteSource::Underlay, 255, 9, 3));
        let to = |d| port_to(&fib, d);
        assert_eq!((to([10, 1, 2, 3]), to([10, 1, 2, 4])), (Some(3), Some(2)));
        assert_eq!((to([10, 2, 0, 0]), to([11, 0, 0, 0])), (Some(1), Some(0)));
        fib.remove(net("0.0.0.0/0"), RouteSource::Static);
        assert_eq!(port_to(&fib, [11, 0, 0, 0]), None);
        let prefixes: Vec<_> = fib.iter().map(|r| r.prefix.to_string()).collect();
        assert_eq!(prefixes, ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32"]);
    }

    #[test]
    fn distance_then_metric_then_the_written_order() {
        let ranked = [
            route("10.0.0.0/8", RouteSource::Connected, 0, 50, 9),
            route("10.0.0.0/8", RouteSource::Static, 1, 5, 8),
            route("10.0.0.0/8", RouteSource::Static, 1, 6, 2),
            route("10.0.0.0/8", RouteSource::Static, 20, 0, 7),
            route("10.0.0.0/8", SESSION, 20, 0, 1),
            route("10.0.0.0/8", SESSION, 20, 0, 4),
            route("10.0.0.0/8", RouteSource::Propagated, 20, 0, 0),
        ];
        for rotation in 0..ranked.len() {
            let mut arrivals = ranked;
            arrivals.rotate_left(rotation);
            let mut fib = Fib::new();
            for route in arrivals {
                fib.insert(route);
            }
            assert!(fib.candidates(net("10.0.0.0/8")).eq(&ranked));
        }
        let mut fib = Fib::new();
        for route in &ranked[3..] {
            fib.insert(*route);
        }
        fib.insert(route("10.0.0.0/8", SESSION, 20, 1, 5));
        assert!(fib.lookup_equal([10, 0, 0, 1].into()).eq(&ranked[3..]), "ECMP leaves out the higher metric");
    }

    #[test]
    fn changes_name_the_best_before_and_after() {
        let mut fib = Fib::new();
        let bgp = route("10.9.8.7/8", SESSION, 20, 0, 1);
        let fixed = route("10.0.0.0/8", RouteSource::Static, 1, 0, 2);
        let stored = Route { prefix: net("10.0.0.0/8"), ..bgp };
        let change = |before, after| Some(Change { prefix: net("10.0.0.0/8"), before, after });
        assert_eq!(fib.insert(bgp), change(None, Some(stored)));
        assert_eq!(fib.insert(fixed), change(Some(stored), Some(fixed)));
        assert_eq!(fib.set(Route { metric: 7, ..bgp }), None, "not the best");
        assert_eq!(fib.remove(net("10.0.0.0/8"), RouteSource::Static).unwrap().after.unwrap().metric, 7);
        assert!(fib.remove(net("10.0.0.0/8"), SESSION).unwrap().after.is_none());
        assert_eq!(fib.remove(net("10.0.0.0/8"), SESSION), None);
        assert!(fib.is_empty());
    }

    #[test]
    fn set_replaces_what_the_source_said_and_insert_adds() {
        let mut fib = Fib::new();
        let first = route("10.0.0.0/8", SESSION, 20, 0, 1);
        let second = route("10.0.0.0/8", SESSION, 20, 0, 2);
        fib.insert(first);
        fib.insert(second);
        assert_eq!(fib.candidates(first.prefix).count(), 2);
        fib.set(second);
        assert!(fib.candidates(first.prefix).eq([&second]));
    }

    #[test]
    fn a_route_that_says_the_same_keeps_its_age() {
        let mut fib = Fib::new();
        let old = route("10.0.0.0/8", RouteSource::Underlay, 110, 3, 1);
        fib.insert(old);
        let new = Route { since: RecordId(9), ..old };
        assert_eq!((fib.insert(new), fib.set(new)), (None, None));
        let gone = route("10.1.0.0/16", RouteSource::Underlay, 110, 3, 1);
        let fixed = route("10.1.0.0/16", RouteSource::Static, 200, 0, 5);
        fib.insert(gone);
        fib.insert(fixed);
        let fresh = route("9.0.0.0/8", RouteSource::Underlay, 110, 3, 1);
        let changes = fib.replace_source(RouteSource::Underlay, [new, fresh]);
        let expected = [
            Change { prefix: fresh.prefix, before: None, after: Some(fresh) },
            Change { prefix: gone.prefix, before: Some(gone), after: Some(fixed) },
        ];
        assert_eq!(changes, expected);
        assert_eq!(fib.best(old.prefix), Some(&old));
    }

    proptest! {
        /// Against a linear search over everything that was inserted.
        #[test]
        fn lookup_is_a_search(routes in proptest::collection::vec((any::<u32>(), 0..=32u8, 0..3u8, 0..3u16), 1..60), near in any::<prop::sample::Index>(), bits: u8) {
            let mut fib = Fib::new();
            let mut all: Vec<Route> = Vec::new();
            for (address, length, distance, port) in routes {
                let prefix = Ipv4Net::new(address.into(), length).unwrap().trunc();
                let new = Route { prefix, ..route("0.0.0.0/0", RouteSource::Static, distance, 0, port) };
                all.retain(|r| (r.prefix, r.target) != (new.prefix, new.target));
                all.push(new);
                fib.insert(new);
            }
            let destination = Ipv4Addr::from(u32::from(near.get(&all).prefix.addr()) ^ u32::from(bits));
            let holds = all.iter().filter(|r| r.prefix.contains(&destination));
            let expected = holds.min_by_key(|r| (core::cmp::Reverse(r.prefix.prefix_len()), r.rank()));
            prop_assert_eq!(fib.lookup(destination), expected);
        }
    }
}
