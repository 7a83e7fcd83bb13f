//! Policies: what matches, what changes, in which order; and communities that have a meaning of their own.

use proptest::prelude::*;

use super::mesh::{Plan, address};
use super::*;
use crate::proto::bgp::as_path::AsPath;
use crate::proto::bgp::attributes::{Attributes, Origin};
use crate::proto::bgp::communities::{AnyCommunity, Community, CommunityMatch, LargeCommunity};
use crate::proto::bgp::policy::{AsPathRegex, Change, Condition, Owner, Policy, PrefixMatch, Rule, Verdict};

const PREFIX: &str = "192.0.2.0/24";

fn standard(asn: u16, value: u16) -> AnyCommunity {
    AnyCommunity::Standard(Community::new(asn, value))
}

fn large(asn: u32, first: u32, second: u32) -> AnyCommunity {
    AnyCommunity::Large(LargeCommunity { asn, first, second })
}

fn route() -> Attributes {
    let mut route = Attributes::new(Ipv4Addr::new(10, 0, 0, 1));
    route.as_path = AsPath::sequence([65001, 65002, 65002, 65003]);
    route.med = Some(50);
    route.communities = [standard(65001, 7), large(70_000, 1, 2)].into_iter().collect();
    route
}

fn apply(policy: &Policy, prefix: &str, route: &Attributes) -> Option<Attributes> {
    let owner = Owner { asn: 64999, next_hop: Ipv4Addr::new(10, 9, 9, 9) };
    let mut changed = route.clone();
    policy.apply(&policy.select(net(prefix)), owner, &mut changed).then_some(changed)
}

/// "ge" and "le" as every vendor reads them: inside the prefix, and at least and at most as long.
#[test]
fn prefix_lists() {
    let set = |within, at_least, at_most| PrefixMatch { within: net(within), at_least, at_most };
    let cases = [
        (PrefixMatch::exact(net("10.0.0.0/8")), "10.0.0.0/8", true),
        (PrefixMatch::exact(net("10.0.0.0/8")), "10.0.0.0/9", false),
        (set("10.0.0.0/8", 16, 24), "10.1.0.0/16", true),
        (set("10.0.0.0/8", 16, 24), "10.1.2.0/24", true),
        (set("10.0.0.0/8", 16, 24), "10.0.0.0/8", false),
        (set("10.0.0.0/8", 16, 24), "10.1.2.128/25", false),
        (set("10.0.0.0/8", 16, 24), "11.1.0.0/16", false),
        (set("0.0.0.0/0", 0, 0), "0.0.0.0/0", true),
        (set("0.0.0.0/0", 0, 0), "10.0.0.0/8", false),
        // The covering prefix is longer than the one asked for: it does not hold it.
        (set("10.0.0.0/8", 0, 32), "0.0.0.0/0", false),
    ];
    for (set, prefix, matches) in cases {
        assert_eq!(set.matches(net(prefix)), matches, "{set:?} {prefix}");
    }
}

#[test]
fn conditions() {
    let any_of = |asn, value| Condition::Community(CommunityMatch::Standard(asn, value));
    let of_large = |asn, first| Condition::Community(CommunityMatch::Large(asn, first, None));
    let cases = [
        (Condition::AsPathContains(65002), true),
        (Condition::AsPathContains(65004), false),
        (Condition::OriginatedBy(65003), true),
        (Condition::OriginatedBy(65001), false),
        (Condition::Neighbour(65001), true),
        (Condition::Neighbour(65002), false),
        (Condition::AsPathLength(4, 4), true),
        (Condition::AsPathLength(0, 3), false),
        (any_of(Some(65001), Some(7)), true),
        (any_of(Some(65001), None), true),
        (any_of(None, Some(7)), true),
        (any_of(Some(65001), Some(8)), false),
        (of_large(Some(70_000), Some(1)), true),
        (of_large(Some(70_000), Some(2)), false),
        (Condition::NextHop(net("10.0.0.0/24")), true),
        (Condition::NextHop(net("10.0.1.0/24")), false),
        (Condition::Med(Some(50)), true),
        (Condition::Med(None), false),
        (Condition::Any(vec![Condition::Med(None), Condition::Neighbour(65001)]), true),
        (Condition::Any(vec![]), false),
        (Condition::Not(Box::new(Condition::Med(None))), true),
    ];
    for (condition, holds) in cases {
        assert_eq!(condition.holds(&route()), holds, "{condition:?}");
        let policy =
            Policy { rules: vec![Rule { conditions: vec![condition], ..Rule::default() }], otherwise: Verdict::Reject };
        assert_eq!(apply(&policy, PREFIX, &route()), holds.then(route));
    }
}

/// The idioms of operators: `_` is either end or what is between two ASes, in sets also.
#[test]
fn as_path_expressions() {
    let mut aggregated = AsPath::sequence([65001]);
    let sequence = |asns: &[u32]| AsPath::sequence(asns.iter().copied());
    let cases = [
        ("_65002_", sequence(&[65001, 65002, 65003]), true),
        ("_6500_", sequence(&[65001, 65002]), false),
        ("^65001_", sequence(&[65001, 65002]), true),
        ("^65001_", sequence(&[650, 65001]), false),
        ("_65003$", sequence(&[65001, 65003]), true),
        ("^$", sequence(&[]), true),
        ("^$", sequence(&[65001]), false),
        ("^65001$", sequence(&[65001]), true),
        ("^65001( 65001)*$", sequence(&[65001, 65001, 65001]), true),
        ("^65001( 65001)*$", sequence(&[65001, 65002]), false),
        ("^[0-9]+$", sequence(&[4_200_000_000]), true),
    ];
    for (text, path, matches) in cases {
        assert_eq!(AsPathRegex::new(text).unwrap().matches(&path), matches, "{text} on {path}");
    }
    aggregated.prepend(65000, 1);
    assert_eq!(aggregated.to_string(), "65000 65001");
    assert!(AsPathRegex::new("65001(").is_err());
}

#[test]
fn changes() {
    let changed = |change: fn(&mut Attributes)| {
        let mut route = route();
        change(&mut route);
        route
    };
    let cases = [
        (Change::LocalPref(200), changed(|r| r.local_pref = Some(200))),
        (Change::Med(7), changed(|r| r.med = Some(7))),
        (Change::AddMed(7), changed(|r| r.med = Some(57))),
        (Change::AddMed(-60), changed(|r| r.med = Some(0))),
        (Change::RemoveMed, changed(|r| r.med = None)),
        (Change::Origin(Origin::Incomplete), changed(|r| r.origin = Origin::Incomplete)),
        (Change::Prepend(2), changed(|r| r.as_path = AsPath::sequence([64999, 64999, 65001, 65002, 65002, 65003]))),
        (Change::NextHop(Ipv4Addr::new(1, 2, 3, 4)), changed(|r| r.next_hop = Ipv4Addr::new(1, 2, 3, 4))),
        (Change::NextHopSelf, changed(|r| r.next_hop = Ipv4Addr::new(10, 9, 9, 9))),
        (
            Change::AddCommunity(standard(1, 2)),
            changed(|r| {
                r.communities = [standard(1, 2), standard(65001, 7), large(70_000, 1, 2)].into_iter().collect()
            }),
        ),
        (
            Change::RemoveCommunities(CommunityMatch::Standard(Some(65001), None)),
            changed(|r| r.communities = [large(70_000, 1, 2)].into_iter().collect()),
        ),
        (
            Change::SetCommunities(vec![standard(1, 2)]),
            changed(|r| r.communities = [standard(1, 2)].into_iter().collect()),
        ),
        (Change::SetCommunities(vec![]), changed(|r| r.communities = Default::default())),
    ];
    for (change, expected) in cases {
        assert_eq!(apply(&Policy::change_all(vec![change.clone()]), PREFIX, &route()), Some(expected), "{change:?}");
    }
    let most = Attributes { med: Some(u32::MAX), ..route() };
    assert_eq!(apply(&Policy::change_all(vec![Change::AddMed(1)]), PREFIX, &most).unwrap().med, Some(u32::MAX));
}

/// A rule without a verdict marks, a later one matches the mark: rules see what the ones before them changed.
#[test]
fn rules_go_on_with_what_they_changed() {
    let mark = standard(64999, 1);
    let policy = Policy {
        rules: vec![
            Rule {
                prefixes: vec![PrefixMatch { within: net("192.0.2.0/24"), at_least: 24, at_most: 32 }],
                changes: vec![Change::AddCommunity(mark)],
                verdict: None,
                ..Rule::default()
            },
            Rule {
                conditions: vec![Condition::Community(CommunityMatch::exact(mark))],
                changes: vec![Change::LocalPref(50)],
                ..Rule::default()
            },
        ],
        otherwise: Verdict::Reject,
    };
    assert_eq!(apply(&policy, "192.0.2.128/25", &route()).unwrap().local_pref, Some(50));
    assert_eq!(apply(&policy, "198.51.100.0/24", &route()), None);
}

/// RFC 1997. The route comes from outside (0) to 1, which has an internal peer (2), and an external one (3).
#[test]
fn who_hears_of_a_route_with_a_well_known_community() {
    let cases = [
        (None, vec![0, 1, 2, 3]),
        (Some(Community::new(65100, 1)), vec![0, 1, 2, 3]),
        (Some(Community::NO_EXPORT), vec![0, 1, 2]),
        (Some(Community::NO_EXPORT_SUBCONFED), vec![0, 1, 2]),
        (Some(Community::NO_ADVERTISE), vec![0, 1]),
    ];
    for (community, hearing) in cases {
        let mut plan = Plan::new(&[65100, 65000, 65000, 65200], &[(0, 1), (1, 2), (1, 3)]);
        let add = community.map(|it| Change::AddCommunity(AnyCommunity::Standard(it)));
        plan.peer(0, 1).export = Policy::change_all(add.into_iter().collect());
        let mut mesh = plan.establish();
        mesh.originate(0, PREFIX);
        assert_eq!(mesh.knowing(PREFIX), hearing, "{community:?}");
        // It travels with the route, as it is transitive.
        for &speaker in &hearing[1..] {
            assert_eq!(mesh.route(speaker, PREFIX).communities.standard(), community.as_slice());
        }
    }
}

/// RFC 8326: before maintenance the neighbour 0 marks its routes; 1 then prefers the longer path by 2, before the session goes
/// down. Switched off, it does not.
#[test]
fn graceful_shutdown_moves_traffic_first() {
    for honours in [true, false] {
        let mut plan = Plan::new(&[65100, 65000, 65200], &[(0, 1), (0, 2), (1, 2)]);
        plan.peer(1, 0).graceful_shutdown = honours;
        plan.peer(1, 0).import = Policy::change_all(vec![Change::LocalPref(300)]);
        let mut mesh = plan.establish();
        mesh.originate(0, PREFIX);
        assert_eq!(mesh.best(1, PREFIX).unwrap().next_hop, address(0));
        let policy =
            Policy::change_all(vec![Change::AddCommunity(AnyCommunity::Standard(Community::GRACEFUL_SHUTDOWN))]);
        let peer = mesh.peer(0, 1);
        mesh.changes(1);
        mesh.input(0, Input::SetExport { peer, policy });
        let best = mesh.best(1, PREFIX).unwrap();
        assert_eq!(best.next_hop, if honours { address(2) } else { address(0) });
        let dark = mesh.changes(1).iter().any(|change| change.to.is_none());
        assert!(!dark, "there is a route at every moment");
    }
}

/// Non-transitive extended communities stay in their AS (RFC 4360 section 6): 1 passes a route from 0, both in one AS, to 2.
#[test]
fn extended_communities_at_the_border() {
    let mut solo_route = route();
    let octets = [[0x43, 0, 0, 0, 0, 0, 0, 0], [0, 2, 0xfd, 0xe8, 0, 0, 0, 1]].concat();
    solo_route.communities.take(crate::proto::bgp::communities::Read::Extended(&octets), false);
    assert_eq!(solo_route.communities.extended().len(), 2);
    solo_route.communities.leave_as();
    let left: Vec<_> = solo_route.communities.extended().iter().map(|it| it.0[0]).collect();
    assert_eq!(left, [0]);
}

/// An import policy that sets a community and LOCAL_PREF by AS_PATH, seen through a session; when it is replaced, the routes that
/// were taken are judged again.
#[test]
fn through_a_session() {
    let mut plan = Plan::new(&[65100, 65000], &[(0, 1)]);
    plan.peer(1, 0).import = Policy {
        rules: vec![Rule {
            conditions: vec![Condition::AsPath(AsPathRegex::new("^65100( 65100)+$").unwrap())],
            changes: vec![Change::LocalPref(50)],
            ..Rule::default()
        }],
        otherwise: Verdict::Accept,
    };
    plan.peer(0, 1).export = Policy {
        rules: vec![Rule {
            prefixes: vec![PrefixMatch::exact(net(PREFIX))],
            changes: vec![Change::Prepend(1)],
            ..Rule::default()
        }],
        otherwise: Verdict::Accept,
    };
    let mut mesh = plan.establish();
    mesh.originate(0, PREFIX);
    mesh.originate(0, "198.51.100.0/24");
    assert_eq!(mesh.best(1, PREFIX).unwrap().local_pref, 50);
    assert_eq!(mesh.best(1, "198.51.100.0/24").unwrap().local_pref, 100);
    let policy = Policy { rules: vec![], otherwise: Verdict::Reject };
    let peer = mesh.peer(1, 0);
    mesh.input(1, Input::SetImport { peer, policy });
    assert_eq!(mesh.knowing(PREFIX), [0]);
    assert_eq!(mesh.refusals(1, PREFIX), [Reason::PolicyRejected]);
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let prefixes = prop::sample::select(vec![vec![], vec!["192.0.2.0/24"], vec!["10.0.0.0/8"]]);
    let conditions = prop::option::of(prop::sample::select(vec![Condition::Med(Some(50)), Condition::Neighbour(1)]));
    let changes = prop::option::of(Just(Change::LocalPref(7)));
    let verdict = prop::sample::select(vec![Some(Verdict::Accept), Some(Verdict::Reject), None]);
    (prefixes, conditions, changes, verdict).prop_map(|(prefixes, conditions, changes, verdict)| Rule {
        prefixes: prefixes.into_iter().map(|within| PrefixMatch::exact(net(within))).collect(),
        conditions: conditions.into_iter().collect(),
        changes: changes.into_iter().collect(),
        verdict,
    })
}

proptest! {
    /// Going through the selected rules is going through all rules, and a policy that says it is neutral lets any route pass as
    /// it is.
    #[test]
    fn selecting_rules_leaves_nothing_out(
        rules in prop::collection::vec(any_rule(), 0..6),
        accepts in any::<bool>(),
    ) {
        let policy = Policy { rules, otherwise: if accepts { Verdict::Accept } else { Verdict::Reject } };
        let mut expected = Some(route());
        let mut decided = false;
        for rule in &policy.rules {
            let matches = rule.prefixes.is_empty() || rule.prefixes.iter().any(|set| set.matches(net(PREFIX)));
            let holds = |route: &Attributes| rule.conditions.iter().all(|condition| condition.holds(route));
            if decided || !matches || !expected.as_ref().is_some_and(holds) {
                continue;
            }
            if let Some(route) = expected.as_mut().filter(|_| !rule.changes.is_empty()) {
                route.local_pref = Some(7);
            }
            decided = rule.verdict.is_some();
            if rule.verdict == Some(Verdict::Reject) {
                expected = None;
            }
        }
        if !decided && !accepts {
            expected = None;
        }
        prop_assert_eq!(apply(&policy, PREFIX, &route()), expected.clone());
        if policy.is_neutral(&policy.select(net(PREFIX))) {
            prop_assert_eq!(expected, Some(route()));
        }
    }
}
