//! The decision process: each step, their order, and the laws of the ordering.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::super::as_path::AsPath;
use super::super::attributes::{Attributes, Origin};
use super::super::decision::{Candidate, DecidedBy, Source, decide};

fn attributes(asns: &[u32]) -> Attributes {
    Attributes { as_path: AsPath::sequence(asns.iter().copied()), ..Attributes::new(Ipv4Addr::new(10, 0, 0, 1)) }
}

fn peer(external: bool, identifier: u8, address: u8) -> Source {
    Source::Peer {
        external,
        identifier: Ipv4Addr::new(10, 255, 0, identifier),
        address: Ipv4Addr::new(169, 254, 0, address),
    }
}

fn winner(routes: &[(Attributes, Source)]) -> (usize, DecidedBy) {
    let candidates: Vec<_> =
        routes.iter().map(|(attributes, source)| Candidate { attributes, source: *source }).collect();
    decide(&candidates, 0).unwrap()
}

/// One pair per step: the second route is better by that step and worse by every later one.
#[test]
fn each_step_outranks_the_later_ones() {
    let base = || attributes(&[65001, 65002]);
    let better_later = |mut route: Attributes, step: u8| {
        // Everything that a step after `step` looks at speaks for this route.
        if step < 3 {
            route.as_path = AsPath::sequence([65001]);
        }
        if step < 5 {
            route.med = Some(0);
        }
        route
    };
    let worse = |change: fn(&mut Attributes)| {
        let mut route = base();
        route.origin = Origin::Egp;
        route.med = Some(5);
        change(&mut route);
        route
    };
    let strong = peer(true, 1, 1);
    let weak = peer(true, 9, 9);
    let inside = peer(false, 1, 1);
    let cases = [
        ((better_later(base(), 1), strong), (worse(|r| r.local_pref = Some(101)), weak), DecidedBy::LocalPref),
        ((better_later(base(), 2), strong), (worse(|_| {}), Source::Local), DecidedBy::LocalOrigin),
        (
            (better_later(base(), 3), strong),
            (worse(|r| r.as_path = AsPath::sequence([65001])), weak),
            DecidedBy::AsPathLength,
        ),
        ((worse(|r| r.origin = Origin::Incomplete), strong), (worse(|_| {}), weak), DecidedBy::Origin),
        ((worse(|r| r.med = Some(6)), strong), (worse(|_| {}), weak), DecidedBy::Med),
        ((worse(|_| {}), inside), (worse(|_| {}), weak), DecidedBy::ExternalPeer),
        ((base(), peer(true, 2, 1)), (base(), peer(true, 1, 9)), DecidedBy::Identifier),
        ((base(), peer(true, 1, 2)), (base(), peer(true, 1, 1)), DecidedBy::PeerAddress),
    ];
    for (loser, winning, step) in cases {
        assert_eq!(winner(&[loser.clone(), winning.clone()]), (1, step));
        assert_eq!(winner(&[winning, loser]), (0, step));
    }
}

/// Section 9.1.2.2 c: MEDs of different neighbouring ASes are not compared, and a missing one is zero.
#[test]
fn med_within_one_neighbour_only() {
    let with = |asns: &[u32], med| Attributes { med, ..attributes(asns) };
    let (first, second) = (peer(true, 1, 1), peer(true, 2, 2));
    let different = [(with(&[65001], Some(50)), first), (with(&[65002], Some(10)), second)];
    assert_eq!(winner(&different), (0, DecidedBy::Identifier));
    let missing = [(with(&[65001], Some(1)), first), (with(&[65001], None), second)];
    assert_eq!(winner(&missing), (1, DecidedBy::Med));
}

/// RFC 3345's shape: pairwise, a beats b by identifier, b beats c by identifier, c beats a by MED. As a group c eliminates
/// a first, and then b wins by identifier, whatever the order of arrival.
#[test]
fn med_is_not_transitive_but_the_group_is_deterministic() {
    let a = (Attributes { med: Some(10), ..attributes(&[65001]) }, peer(true, 1, 1));
    let b = (attributes(&[65002]), peer(true, 2, 2));
    let c = (Attributes { med: Some(5), ..attributes(&[65001]) }, peer(true, 3, 3));
    assert_eq!(winner(&[a.clone(), b.clone()]).0, 0);
    assert_eq!(winner(&[b.clone(), c.clone()]).0, 0);
    assert_eq!(winner(&[c.clone(), a.clone()]), (0, DecidedBy::Med));
    let orders = [[&a, &b, &c], [&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]];
    for order in orders {
        let routes = order.map(Clone::clone);
        let (place, step) = winner(&routes);
        assert_eq!((&routes[place], step), (&b, DecidedBy::Identifier));
    }
}

fn any_route(neighbours: u32) -> impl Strategy<Value = (Attributes, Source)> {
    let path = (1..=neighbours, prop::collection::vec(1..5_u32, 0..3));
    (prop::option::of(99..102_u32), path, 0..3_usize, prop::option::of(0..3_u32), (any::<bool>(), 1..4_u8, 1..=255_u8))
        .prop_map(|(local_pref, (first, rest), origin, med, (external, identifier, address))| {
            let path: Vec<_> = core::iter::once(first).chain(rest).collect();
            let route = Attributes {
                local_pref,
                med,
                origin: [Origin::Igp, Origin::Egp, Origin::Incomplete][origin],
                ..attributes(&path)
            };
            (route, peer(external, identifier, address))
        })
}

fn beats(a: &(Attributes, Source), b: &(Attributes, Source)) -> bool {
    winner(&[a.clone(), b.clone()]).0 == 0
}

proptest! {
    /// Within one neighbouring AS, where MED always counts, "beats" is a total order: exactly one of two different
    /// routes beats the other, and it is transitive.
    #[test]
    fn total_order_within_one_neighbour(
        a in any_route(1), b in any_route(1), c in any_route(1),
    ) {
        prop_assume!(a != b && b != c && a != c);
        let (a, b, c) = (&a, &b, &c);
        // Two routes that no step tells apart cannot exist: peers have different addresses.
        prop_assume!(a.1 != b.1 && b.1 != c.1 && a.1 != c.1);
        prop_assert!(beats(a, b) != beats(b, a));
        if beats(a, b) && beats(b, c) {
            prop_assert!(beats(a, c));
        }
    }

    /// With any neighbours: the best of a group does not depend on the order of arrival, beats nobody it is worse than by a
    /// step before MED, and removing a route that was not best and shares no neighbour with others keeps it best.
    #[test]
    fn the_best_does_not_depend_on_arrival(
        mut routes in prop::collection::vec(any_route(3), 1..8),
        turn in 0..8_usize,
    ) {
        // One route per peer, as in the table.
        routes.sort_by_key(|(_, source)| format!("{source:?}"));
        routes.dedup_by_key(|(_, source)| *source);
        let (place, step) = winner(&routes);
        let best = routes[place].clone();
        let turn = turn % routes.len();
        routes.rotate_left(turn);
        let (place, same_step) = winner(&routes);
        prop_assert_eq!((&routes[place], same_step), (&best, step));
        let key = |(route, _): &(Attributes, Source)| (
            core::cmp::Reverse(route.local_pref.unwrap_or(100)),
            route.as_path.length(),
            route.origin,
        );
        prop_assert_eq!(Some(key(&best)), routes.iter().map(key).min());
    }
}
