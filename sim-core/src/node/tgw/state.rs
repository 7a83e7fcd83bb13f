//! A route table at work: what is chosen, and what packets follow.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};
use smallvec::SmallVec;

use crate::id::{Port, RecordId};
use crate::net::fib::{Fib, Prefix, Route, RouteSource, Target, distance};
use crate::net::multipath::Multipath;
use crate::reason::Rule;
use crate::wire::ipv6::is_ipv6;

/// What a table does with packets to a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    /// The ways out; none for a blackhole.
    pub ways: SmallVec<[Port; 2]>,
    pub rule: Rule,
    /// The ASes of the route, if it is learned.
    pub as_path: Vec<u32>,
}

/// The port by which a packet goes, `None` if it is dropped, and since which record.
pub(super) type Way = (Option<Port>, RecordId);

/// A route table at work.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// What is chosen for each prefix, perhaps not programmed yet.
    pub chosen: BTreeMap<IpNet, Chosen>,
    /// The choices that are programmed.
    pub in_force: BTreeMap<IpNet, Chosen>,
    /// What packets follow.
    fib: Fib,
    /// What packets of IPv6 follow.
    ipv6_fib: Fib<Ipv6Net>,
    /// The record of the table's last change: to blame when there is no route.
    pub changed: RecordId,
}

impl State {
    /// An empty one.
    pub fn spreading(multipath: Multipath) -> Self {
        let mut state = Self::default();
        state.fib.spread_flows(multipath);
        state.ipv6_fib.spread_flows(multipath);
        state
    }

    /// Packets follow a choice from here on.
    pub fn follow(&mut self, prefix: IpNet, to: Option<&Chosen>) {
        let source = RouteSource::Propagated;
        match prefix {
            IpNet::V4(prefix) => drop(self.fib.set_all(prefix, source, &routes(prefix, to))),
            IpNet::V6(prefix) => drop(self.ipv6_fib.set_all(prefix, source, &routes(prefix, to))),
        }
    }

    /// What packets follow is so since the table's last change.
    pub fn stamp(&mut self, prefix: IpNet) {
        match prefix {
            IpNet::V4(prefix) => self.fib.stamp(prefix, self.changed),
            IpNet::V6(prefix) => self.ipv6_fib.stamp(prefix, self.changed),
        }
    }

    /// The way of a packet.
    pub fn way(&mut self, packet: &[u8]) -> Option<Way> {
        fn of<P: Prefix>(route: Route<P>) -> Way {
            let port = match route.target {
                Target::Out { port, .. } => Some(port),
                Target::Blackhole => None,
            };
            (port, route.since)
        }
        if is_ipv6(packet) { self.ipv6_fib.choose(packet).map(of) } else { self.fib.choose(packet).map(of) }
    }
}

/// A choice as the forwarding table takes it: equal routes, one for each way.
fn routes<P: Prefix>(prefix: P, chosen: Option<&Chosen>) -> Vec<Route<P>> {
    let Some(chosen) = chosen else { return Vec::new() };
    let route = |target| Route {
        prefix,
        source: RouteSource::Propagated,
        distance: distance::EBGP,
        metric: 0,
        target,
        since: RecordId::GENESIS,
    };
    let ways = chosen.ways.iter().map(|port| route(Target::port(*port)));
    if chosen.ways.is_empty() { vec![route(Target::Blackhole)] } else { ways.collect() }
}
