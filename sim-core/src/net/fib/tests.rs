//! The table against its written rules, and against a search over everything in it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::net::multipath::FlowFields;
use crate::packet::Meta;
use crate::wire::udp;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn route(prefix: &str, source: RouteSource, distance: u8, metric: u32, port: u16) -> Route {
    Route { prefix: net(prefix), source, distance, metric, target: Target::port(Port(port)), since: RecordId::GENESIS }
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
        fib.stamp(prefix, RecordId(since.into()));
        for _ in 0..2 {
            assert_eq!(fib.look_up_again(destination), fib.lookup(destination));
            assert_eq!(fib.look_up_again(destination).unwrap().since, RecordId(since.into()));
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
        assert!(fib.candidates(net("10.0.0.0/8")).eq(ranked));
    }
    let mut fib = Fib::new();
    for route in &ranked[3..] {
        fib.insert(*route);
    }
    fib.insert(route("10.0.0.0/8", SESSION, 20, 1, 5));
    assert!(
        fib.lookup_equal([10, 0, 0, 1].into()).eq(ranked[3..].iter().copied()),
        "ECMP leaves out the higher metric"
    );
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
    assert!(fib.candidates(first.prefix).eq([second]));
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
    assert_eq!(fib.best(old.prefix), Some(old));
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
        prop_assert_eq!(fib.lookup(destination), expected.copied());
    }
}

fn spreading(buckets: Option<u8>) -> Fib {
    let mut fib = Fib::new();
    fib.spread_flows(Multipath { buckets, ..Multipath::new(FlowFields::FiveTuple, 7, "cgw") });
    fib
}

/// The ports that 1,000 flows to one address take.
fn ports_of_flows(fib: &mut Fib) -> Vec<u16> {
    let packet =
        |n: u16| udp::packet((Ipv4Addr::new(10, 1, 0, 1), n), (Ipv4Addr::new(10, 0, 0, 1), 7), b"", Meta::default());
    let port = |route: Route| match route.target {
        Target::Out { port, .. } => port.0,
        Target::Blackhole => u16::MAX,
    };
    (0..1000).map(|n| port(fib.choose(packet(n).bytes()).expect("there is a route"))).collect()
}

#[test]
fn flows_use_every_way_of_the_best_cost_and_no_other() {
    let all = |fib: &mut Fib| ports_of_flows(fib).into_iter().collect::<BTreeSet<u16>>();
    let mut fib = spreading(None);
    for port in [1, 2, 3] {
        fib.insert(route("10.0.0.0/8", SESSION, 20, 0, port));
    }
    fib.insert(route("10.0.0.0/8", SESSION, 20, 1, 4));
    fib.insert(route("10.0.0.0/8", RouteSource::Static, 250, 0, 5));
    assert_eq!(all(&mut fib), [1, 2, 3].into());
    // Without spreading the same table uses one.
    let mut single = Fib::new();
    fib.candidates(net("10.0.0.0/8")).for_each(|route| assert!(single.insert(route).is_none() || single.len() == 1));
    assert_eq!(all(&mut single), [1].into());
    // What is more specific is a prefix of its own, and what was at hand for a destination is never used for a spread one.
    fib.insert(route("10.0.0.1/32", RouteSource::Static, 1, 0, 9));
    assert_eq!(all(&mut fib), [9].into());
    fib.remove(net("10.0.0.1/32"), RouteSource::Static);
    assert_eq!(all(&mut fib), [1, 2, 3].into());
    // No more than the device can use at once: those that are written first.
    fib.spread_flows(Multipath { max_ways: 2, ..Multipath::new(FlowFields::FiveTuple, 7, "cgw") });
    assert_eq!(all(&mut fib), [1, 2].into());
}

#[test]
fn a_set_of_ways_that_changes_says_so() {
    let mut fib = spreading(None);
    let prefix = net("10.0.0.0/8");
    let [a, b, c] = [1, 2, 3].map(|port| route("10.0.0.0/8", SESSION, 20, 0, port));
    let change = |before: Option<Route>, after: Option<Route>| Some(Change { prefix, before, after });
    assert_eq!(fib.set_all(prefix, SESSION, &[a]), change(None, Some(a)));
    assert_eq!(fib.set_all(prefix, SESSION, &[a, b]), change(Some(a), Some(b)), "b takes flows of a");
    assert_eq!(fib.set_all(prefix, SESSION, &[b, a]), None);
    assert_eq!(fib.set_all(prefix, SESSION, &[a, c]), change(Some(b), Some(c)));
    assert_eq!(fib.remove_target(prefix, SESSION, c.target), change(Some(c), Some(a)), "a takes what c had");
    fib.insert(b);
    fib.stamp(prefix, RecordId(5));
    assert!(fib.ways([10, 0, 0, 1].into()).all(|way| way.since == RecordId(5)), "all of them changed with it");
    assert_eq!(fib.set_all(prefix, SESSION, &[]).unwrap().after, None);
    assert!(fib.is_empty());
}

#[test]
fn only_the_flows_of_a_way_that_goes_move_if_hashing_is_resilient() {
    let mut moved = [None, Some(128)].map(|buckets| {
        let mut fib = spreading(buckets);
        for port in [1, 2, 3, 4] {
            fib.insert(route("10.0.0.0/8", SESSION, 20, 0, port));
        }
        let before = ports_of_flows(&mut fib);
        fib.remove_target(net("10.0.0.0/8"), SESSION, Target::port(Port(1)));
        let after = ports_of_flows(&mut fib);
        let moved = before.iter().zip(&after).filter(|(old, new)| **old != 1 && old != new).count();
        assert!(!after.contains(&1));
        moved
    });
    moved.sort_unstable();
    assert_eq!(moved[0], 0, "resilient");
    assert!(moved[1] > 150, "by threshold, a quarter of 1,000 flows beside those of the way itself: {}", moved[1]);
}

#[test]
fn a_floating_static_waits_behind_what_it_stands_in_for() {
    let mut fib = Fib::new();
    let learned = route("10.0.0.0/8", SESSION, RouteSource::Bgp.distance(), 0, 1);
    let floating = route("10.0.0.0/8", RouteSource::Static, 250, 0, 2);
    let discard = Route { target: Target::Blackhole, distance: 254, ..floating };
    fib.insert(discard);
    fib.insert(floating);
    fib.insert(learned);
    assert_eq!(port_to(&fib, [10, 0, 0, 1]), Some(1));
    fib.remove(net("10.0.0.0/8"), SESSION);
    assert_eq!(port_to(&fib, [10, 0, 0, 1]), Some(2));
    fib.remove_target(net("10.0.0.0/8"), RouteSource::Static, floating.target);
    assert_eq!(port_to(&fib, [10, 0, 0, 1]), Some(u16::MAX), "what is left is dropped and not sent elsewhere");
    assert!(RouteSource::Connected.distance() < RouteSource::Static.distance());
    assert!(RouteSource::Static.distance() < RouteSource::Bgp.distance());
    assert!(RouteSource::Bgp.distance() < RouteSource::Underlay.distance());
}

/// Setting and stamping in one walk is setting and then stamping, whatever the table held.
#[test]
fn a_route_is_since_the_record_of_its_change() {
    let worse = route("10.0.0.0/8", RouteSource::Underlay, 250, 0, 7);
    let better = route("10.0.0.0/8", RouteSource::Static, 1, 0, 8);
    for held in [&[][..], &[worse], &[better], &[worse, better]] {
        let mut fibs = [Fib::new(), Fib::new()];
        for fib in &mut fibs {
            held.iter().for_each(|route| {
                fib.insert(*route);
            });
        }
        let [fib, other] = &mut fibs;
        for new in [route("10.9.8.7/8", SESSION, 20, 0, 1), route("10.0.0.0/8", SESSION, 20, 5, 2)] {
            let expected = other.set(new);
            if expected.is_some() {
                other.stamp(new.prefix, RecordId(9));
            }
            let mut told = None;
            let since = |change: &Change| {
                told = Some(*change);
                RecordId(9)
            };
            assert_eq!(fib.set_since(new, since), expected);
            assert_eq!(told, expected, "asked for a record exactly if something changed");
            assert!(fib.candidates(new.prefix).eq(other.candidates(new.prefix)));
            assert_eq!(fib.look_up_again([10, 0, 0, 1].into()), other.look_up_again([10, 0, 0, 1].into()));
        }
    }
}
