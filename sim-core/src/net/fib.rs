//! The forwarding table of a router: longest prefix first, then the best of the candidates for that prefix.
//!
//! Every source of routes (interfaces, operator, BGP sessions ...) may hold candidates for the same prefix. The best is
//! the one with the lowest (administrative distance, metric); ties go to the lower [`RouteSource`], then to the lower
//! [`Target`], in the order in which those types are written down. So the best route is a function of the set of
//! candidates, never of the order in which they came.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use crate::id::{Port, RecordId, SessionId};

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
    /// The BGP session that it was learned from.
    Bgp(SessionId),
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
        Self::Out {
            port,
            next_hop: None,
        }
    }

    /// Out of a port, to a next hop.
    pub const fn via(port: Port, next_hop: Ipv4Addr) -> Self {
        Self::Out {
            port,
            next_hop: Some(next_hop),
        }
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
        Self {
            since: other.since,
            ..*self
        } == *other
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
}

impl Fib {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The best route of the longest prefix that holds `destination`.
    pub fn lookup(&self, destination: Ipv4Addr) -> Option<&Route> {
        self.map
            .get_lpm(&Ipv4Net::from(destination))
            .map(|(_, c)| &c.best)
    }

    /// All routes of the longest prefix that cost as little as the best one, best first: the choices of ECMP.
    pub fn lookup_equal(&self, destination: Ipv4Addr) -> impl Iterator<Item = &Route> {
        let candidates = self
            .map
            .get_lpm(&Ipv4Net::from(destination))
            .map(|(_, c)| c);
        candidates
            .into_iter()
            .flat_map(|c| c.iter().take_while(|r| r.cost() == c.best.cost()))
    }

    /// The best route of exactly this prefix.
    pub fn best(&self, prefix: Ipv4Net) -> Option<&Route> {
        self.map.get(&prefix.trunc()).map(|c| &c.best)
    }

    /// All candidates of exactly this prefix, best first.
    pub fn candidates(&self, prefix: Ipv4Net) -> impl Iterator<Item = &Route> {
        self.map
            .get(&prefix.trunc())
            .into_iter()
            .flat_map(Candidates::iter)
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
            upsert(routes, route, |r| {
                r.source == route.source && r.target == route.target
            });
        })
    }

    /// Makes `route` the only candidate of its source for its prefix, as an implicit withdraw of BGP does.
    pub fn set(&mut self, route: Route) -> Option<Change> {
        self.edit(route.prefix, |routes| {
            upsert(routes, route, |r| r.source == route.source);
        })
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
    pub fn replace_source(
        &mut self,
        source: RouteSource,
        routes: impl IntoIterator<Item = Route>,
    ) -> Vec<Change> {
        let mut wanted: PrefixMap<Ipv4Net, Vec<Route>> = PrefixMap::new();
        for prefix in self
            .map
            .iter()
            .filter(|(_, c)| c.iter().any(|r| r.source == source))
            .map(|(p, _)| p)
        {
            wanted.insert(prefix, Vec::new());
        }
        for route in routes {
            assert_eq!(
                route.source, source,
                "a source replaces its own routes only"
            );
            wanted.entry(route.prefix.trunc()).or_default().push(route);
        }
        let replace = |(prefix, new): (Ipv4Net, Vec<Route>)| {
            self.edit(prefix, |routes| {
                routes.retain(|r| r.source != source || new.iter().any(|n| n.target == r.target));
                for route in new {
                    upsert(routes, route, |r| {
                        r.source == source && r.target == route.target
                    });
                }
            })
        };
        wanted.into_iter().filter_map(replace).collect()
    }

    /// Changes the candidates of a prefix and puts them back in rank order.
    fn edit(&mut self, prefix: Ipv4Net, change: impl FnOnce(&mut Vec<Route>)) -> Option<Change> {
        let prefix = prefix.trunc();
        let old = self.map.get(&prefix);
        let before = old.map(|c| c.best);
        let mut routes: Vec<Route> = old
            .into_iter()
            .flat_map(Candidates::iter)
            .copied()
            .collect();
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
        (before != after).then_some(Change {
            prefix,
            before,
            after,
        })
    }
}

/// Replaces the routes for which `is_old` holds by `route`, which keeps its age if it says the same as one of them.
fn upsert(routes: &mut Vec<Route>, route: Route, is_old: impl Fn(&Route) -> bool) {
    let prefix = route.prefix.trunc();
    let route = Route { prefix, ..route };
    let kept = routes
        .iter()
        .find(|r| is_old(r) && r.same_as(&route))
        .copied();
    routes.retain(|r| !is_old(r));
    routes.push(kept.unwrap_or(route));
}
