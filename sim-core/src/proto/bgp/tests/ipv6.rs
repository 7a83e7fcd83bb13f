//! IPv6 unicast beside IPv4 on one session: what is negotiated, routes and their next hops, policies, reflection and
//! limits, each by family. Refreshes and restarts are in [`super::ipv6_restarts`].

use std::net::Ipv6Addr;

use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, update};
use super::ipv6_restarts::END_OF_IPV6;
use super::mesh::{Mesh, Plan};
use super::*;
use crate::proto::bgp::attributes::Attributes;
use crate::proto::bgp::open::Capabilities;
use crate::proto::bgp::policy::{Change, Condition, Policy, PrefixMatch, Rule, Verdict};

pub(super) fn net6(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn address6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into())
}

fn link_local(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host.into())
}

pub(super) fn ipv6(host: u8) -> Ipv6Config {
    let local = Ipv6NextHop { global: address6(host), link_local: Some(link_local(host)) };
    Ipv6Config::new(local, net6("2001:db8::/64"))
}

/// [`config`] with IPv6: 2001:db8::1 and ::2.
pub(super) fn config6(local_as: u32, remote_as: u32, host: u8) -> SpeakerConfig {
    let mut config = config(local_as, remote_as, host);
    config.peers[0].ipv6 = Some(Box::new(ipv6(host)));
    config
}

/// AS 65000 at .2 with IPv6, whose peer is the test: AS 64512 at .1.
pub(super) fn established(adjust: impl FnOnce(&mut SpeakerConfig)) -> Solo {
    let mut ours = config6(65000, 64512, 2);
    adjust(&mut ours);
    let mut solo = Solo::open_sent(ours);
    let capabilities = Capabilities { ipv6_unicast: true, ..Capabilities::USUAL };
    come_up(&mut solo, capabilities);
    solo
}

pub(super) fn come_up(solo: &mut Solo, capabilities: Capabilities) {
    let identifier = Ipv4Addr::new(169, 254, 10, 1);
    solo.receive(&open::Open { asn: 64512, hold_time: 30, identifier, capabilities }.emit());
    solo.receive(&message::keepalive());
    assert_eq!(solo.speaker.state(PEER), State::Established);
    solo.drain();
}

/// MP_REACH_NLRI with these prefixes, each of 48 bits that begin with 2001:db8.
fn reach(next_hop: Ipv6Addr, thirds: &[u16]) -> Vec<u8> {
    let nlri: Vec<u8> =
        thirds.iter().flat_map(|third| [&[48, 0x20, 0x01, 0x0d, 0xb8][..], &third.to_be_bytes()].concat()).collect();
    let value = [&[0, 2, 1, 16], &next_hop.octets()[..], &[0], &nlri].concat();
    [&[0x80, 14, value.len() as u8], &value[..]].concat()
}

pub(super) fn announce6(solo: &mut Solo, thirds: &[u16]) {
    solo.receive(&update(&[&reach(address6(1), thirds), ORIGIN, AS_PATH], &[]));
}

fn originate6(prefix: &str) -> Input<'static> {
    Input::OriginateIpv6 { prefix: net6(prefix), route: Originated::default() }
}

pub(super) fn best6(speaker: &Speaker, prefix: &str) -> Option<Best<Ipv6Net>> {
    speaker.ipv6_routes()?.get(&net6(prefix)).map(Entry::best)
}

fn route6(speaker: &Speaker, prefix: &str) -> Attributes<Ipv6Net> {
    let entry = speaker.ipv6_routes().unwrap().get(&net6(prefix)).expect("there is a route");
    Attributes::clone(entry.best_route().attributes)
}

/// Two speakers, a route of each family from each: all arrive, with the next hops of their family, and each table ends with its
/// own End-of-RIB. What is withdrawn of one family leaves the other alone.
#[test]
fn both_families_on_one_session() {
    let (mut a, mut b) = (config6(65000, 64512, 2), config6(64512, 65000, 1));
    a.networks.push((net("10.1.0.0/16"), Originated::default()));
    a.ipv6_networks.push((net6("2001:db8:a::/48"), Originated { med: Some(7), ..Originated::default() }));
    b.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    let mut pair = Pair::new(a, b);
    pair.establish();
    let told = route6(&pair.ends[B], "2001:db8:a::/48");
    assert_eq!(told.next_hop, Ipv6NextHop { global: address6(2), link_local: Some(link_local(2)) });
    assert_eq!((told.med, told.as_path.to_string()), (Some(7), "65000".to_owned()));
    assert_eq!(best6(&pair.ends[A], "2001:db8:b::/48").unwrap().next_hop.global, address6(1));
    assert_eq!(pair.ends[B].routes().len(), 1);
    for end in [A, B] {
        let ends: Vec<_> = pair.sent(end).filter(|(_, b)| b[19..] == [0, 0, 0, 0] || b[19..] == *END_OF_IPV6).collect();
        assert_eq!(ends.len(), 2);
    }
    pair.input(A, Input::WithdrawOriginatedIpv6 { prefix: net6("2001:db8:a::/48") });
    pair.run(pair.now + Duration::from_secs(1));
    assert!(best6(&pair.ends[B], "2001:db8:a::/48").is_none());
    assert_eq!(pair.ends[B].routes().len(), 1);
    let last = pair.log.iter().rev().find_map(|(_, _, o)| if let Output::Ipv6Route(c) = o { Some(c) } else { None });
    let last = last.unwrap();
    assert_eq!((last.prefix, last.to, last.reason), (net6("2001:db8:a::/48"), None, Reason::Withdrawn));
    // With the session goes what came over it.
    pair.input(A, Input::Stop { peer: PEER, subcode: 2, communication: "" });
    pair.run(pair.now + Duration::from_secs(1));
    assert!(pair.ends[A].ipv6_routes().unwrap().keys().eq([]));
}

/// RFC 4760 section 8: a family is exchanged if both ends said so. A session may be for IPv6 alone; one without a word of a
/// family is for IPv4; without a common one there is none.
#[test]
fn what_is_negotiated() {
    let said = |ipv4_unicast, ipv6_unicast| Capabilities { ipv4_unicast, ipv6_unicast, ..Capabilities::USUAL };
    let cases = [
        (said(true, true), said(true, true), Some([true, true])),
        (said(true, true), said(true, false), Some([true, false])),
        (said(true, true), said(false, true), Some([false, true])),
        (said(false, true), said(true, true), Some([false, true])),
        (said(true, true), said(false, false), Some([true, false])),
        (said(true, false), said(true, true), Some([true, false])),
        (said(false, true), said(true, false), None),
        (said(true, false), said(false, true), None),
    ];
    for (ours, theirs, expected) in cases {
        let end = |capabilities: Capabilities, local_as, remote_as, host| {
            let mut config = config(local_as, remote_as, host);
            config.peers[0].capabilities = Capabilities { ipv6_unicast: false, ..capabilities };
            config.peers[0].ipv6 = capabilities.ipv6_unicast.then(|| Box::new(ipv6(host)));
            config.networks.push((net(&format!("10.{host}.0.0/16")), Originated::default()));
            config.ipv6_networks.push((net6(&format!("2001:db8:{host}::/48")), Originated::default()));
            config
        };
        let mut pair = Pair::new(end(ours, 65000, 64512, 2), end(theirs, 64512, 65000, 1));
        pair.start();
        pair.run(secs(3));
        let exchanged = |end: usize| {
            let speaker = &pair.ends[end];
            [speaker.routes().len() == 2, speaker.ipv6_routes().unwrap().len() == 2]
        };
        match expected {
            Some(families) => assert_eq!([exchanged(A), exchanged(B)], [families; 2], "{ours:?} {theirs:?}"),
            None => {
                let [a, b] = [A, B].map(|end| pair.notifications(end));
                assert!(a.iter().chain(&b).any(|(code, subcode, _)| (*code, *subcode) == (2, 7)), "{}", pair.ladder());
                assert_ne!(pair.states(), [State::Established; 2]);
            }
        }
    }
}

/// A speaker that nobody told of IPv6 has no tables for it.
#[test]
fn without_ipv6_there_are_no_tables() {
    let pair = {
        let mut pair = Pair::usual();
        pair.establish();
        pair
    };
    assert!(pair.ends.iter().all(|speaker| speaker.ipv6_routes().is_none()));
    assert!(pair.ends[A].ipv6_adj_rib_in(PEER).is_none() && pair.ends[A].ipv6_adj_rib_out(PEER).is_none());
}

/// Section 9.1.2 by IPv6: our AS in the path, our own address as next hop, one that is not on the shared subnet unless the peer
/// is farther away. A refused route takes the place of a good one.
#[test]
fn unusable_routes_are_refused() {
    // 64512 65000: the route has been here.
    let looped: &[u8] = &[0x40, 2, 10, 2, 2, 0, 0, 0xfc, 0x00, 0, 0, 0xfd, 0xe8];
    let elsewhere = "2001:db8:9::1".parse().unwrap();
    let cases = [
        (reach(address6(1), &[0xa]), looped, false, Some(Reason::AsPathLoop)),
        (reach(address6(2), &[0xa]), AS_PATH, false, Some(Reason::NextHopUnusable)),
        (reach(elsewhere, &[0xa]), AS_PATH, false, Some(Reason::NextHopUnusable)),
        (reach(elsewhere, &[0xa]), AS_PATH, true, None),
        (reach(address6(9), &[0xa]), AS_PATH, false, None),
    ];
    for (attribute, path, multihop, expected) in cases {
        let mut solo = established(|config| config.peers[0].multihop = multihop);
        announce6(&mut solo, &[0xa]);
        solo.drain();
        solo.receive(&update(&[&attribute, ORIGIN, path], &[]));
        let refused = solo.drain().into_iter().find_map(|output| match output {
            Output::Refused { prefix, reason, .. } => Some((prefix, reason)),
            _ => None,
        });
        assert_eq!(refused, expected.map(|reason| (net6("2001:db8:a::/48").into(), reason)));
        assert_eq!(best6(&solo.speaker, "2001:db8:a::/48").is_none(), expected.is_some());
        let heard = solo.speaker.ipv6_adj_rib_in(PEER).unwrap();
        assert!((heard.len(), heard.contains_key(&net6("2001:db8:a::/48"))) == (1, true));
    }
}

/// A prefix list with ge and le, on the way in: of 2001:db8::/32 what is no longer than 48 bits and no shorter than 40; those that
/// come by 2001:db8::1 get LOCAL_PREF 200. Another policy judges again what was heard.
#[test]
fn import_policies() {
    let within = PrefixMatch { within: net6("2001:db8::/32"), at_least: 40, at_most: 48 };
    let policy = Policy {
        rules: vec![Rule {
            prefixes: vec![within],
            conditions: vec![Condition::NextHop(net6("2001:db8::1/128"))],
            changes: vec![Change::LocalPref(200)],
            verdict: Some(Verdict::Accept),
        }],
        otherwise: Verdict::Reject,
    };
    let mut solo = established(|config| config.peers[0].ipv6.as_mut().unwrap().import = policy);
    // 2001:db8::/32, 2001:db8::/40, 2001:db8:a::/48, 2001:db8:a::/49 and 2001:db9::/48.
    #[rustfmt::skip]
    let nlri = [
        32, 0x20, 0x01, 0x0d, 0xb8,
        40, 0x20, 0x01, 0x0d, 0xb8, 0,
        48, 0x20, 0x01, 0x0d, 0xb8, 0, 0x0a,
        49, 0x20, 0x01, 0x0d, 0xb8, 0, 0x0a, 0,
        48, 0x20, 0x01, 0x0d, 0xb9, 0, 0,
    ];
    let value = [&[0, 2, 1, 16], &address6(1).octets()[..], &[0], &nlri].concat();
    let attribute = [&[0x80, 14, value.len() as u8], &value[..]].concat();
    // IPv4 in the same message has a policy of its own.
    solo.receive(&update(&[&attribute, ORIGIN, AS_PATH, NEXT_HOP], &[8, 10]));
    let taken = ["2001:db8::/40", "2001:db8:a::/48"].map(net6);
    assert!(solo.speaker.ipv6_routes().unwrap().keys().eq(taken));
    assert_eq!(best6(&solo.speaker, "2001:db8:a::/48").unwrap().local_pref, 200);
    assert_eq!(solo.speaker.routes().get(&net("10.0.0.0/8")).unwrap().best().local_pref, 100);
    assert_eq!(solo.speaker.ipv6_adj_rib_in(PEER).unwrap().len(), 5);
    solo.give(Input::SetIpv6Import { peer: PEER, policy: Policy::accept_all() });
    assert_eq!(solo.speaker.ipv6_routes().unwrap().len(), 5);
    assert_eq!(best6(&solo.speaker, "2001:db8:a::/48").unwrap().local_pref, 100);
}

/// On the way out: what the policy sets, and what a change of it withdraws.
#[test]
fn export_policies() {
    let (mut a, b) = (config6(65000, 64512, 2), config6(64512, 65000, 1));
    let third: Ipv6NextHop = address6(7).into();
    let changes = vec![Change::Med(5), Change::Prepend(2), Change::NextHop(third)];
    a.peers[0].ipv6.as_mut().unwrap().export = Policy::change_all(changes);
    a.ipv6_networks.push((net6("2001:db8:a::/48"), Originated::default()));
    a.ipv6_networks.push((net6("2001:db8:b::/64"), Originated::default()));
    let mut pair = Pair::new(a, b);
    pair.establish();
    let told = route6(&pair.ends[B], "2001:db8:a::/48");
    assert_eq!((told.med, told.as_path.to_string(), told.next_hop), (Some(5), "65000 65000 65000".to_owned(), third));
    let exact = Rule { prefixes: vec![PrefixMatch::exact(net6("2001:db8:b::/64"))], ..Rule::default() };
    let policy = Policy { rules: vec![exact], otherwise: Verdict::Reject };
    pair.input(A, Input::SetIpv6Export { peer: PEER, policy });
    pair.run(pair.now + Duration::from_secs(1));
    assert!(pair.ends[B].ipv6_routes().unwrap().keys().eq([net6("2001:db8:b::/64")]));
    assert_eq!(route6(&pair.ends[B], "2001:db8:b::/64").med, None);
}

/// A plan in which every session carries IPv6; the address of a speaker ends with its number and one.
fn with_ipv6(asns: &[u32], sessions: &[(usize, usize)]) -> Plan {
    let mut plan = Plan::new(asns, sessions);
    for &(from, to) in sessions {
        for (at, other) in [(from, to), (to, from)] {
            plan.peer(at, other).ipv6 = Some(Box::new(ipv6(at as u8 + 1)));
        }
    }
    plan
}

const PREFIX: &str = "2001:db8:a::/48";

fn knowing(mesh: &Mesh) -> Vec<usize> {
    (0..mesh.speakers.len()).filter(|&speaker| best6(&mesh.speakers[speaker], PREFIX).is_some()).collect()
}

/// RFC 4456 by IPv6: a reflector (0) with a client (1), two other internal peers (2, 3) and an external one (4). What it reflects
/// has the originator and the cluster, and the global next hop of the client without its link-local address, which is told
/// on its own link only (RFC 2545 section 3).
#[test]
fn reflection() {
    let plan = || {
        let mut plan = with_ipv6(&[65000, 65000, 65000, 65000, 65100], &[(0, 1), (0, 2), (0, 3), (0, 4)]);
        plan.peer(0, 1).route_reflector_client = true;
        plan
    };
    let mut mesh = plan().establish();
    mesh.input(1, originate6(PREFIX));
    assert_eq!(knowing(&mesh), [0, 1, 2, 3, 4]);
    let direct = route6(&mesh.speakers[0], PREFIX);
    assert_eq!(direct.next_hop, Ipv6NextHop { global: address6(2), link_local: Some(link_local(2)) });
    let told = route6(&mesh.speakers[2], PREFIX);
    assert_eq!(told.originator_id(), Some(super::mesh::address(1)));
    assert_eq!(told.cluster_list(), [super::mesh::address(0)]);
    assert_eq!(told.next_hop, address6(2).into());
    let outside = route6(&mesh.speakers[4], PREFIX);
    assert_eq!((outside.reflection, outside.next_hop.global), (None, address6(1)));
    // From another internal peer to the client and outside only.
    mesh.input(1, Input::WithdrawOriginatedIpv6 { prefix: net6(PREFIX) });
    mesh.input(2, originate6(PREFIX));
    assert_eq!(knowing(&mesh), [0, 1, 2, 4]);
    // next-hop-self is for what comes from outside.
    let mut plan = plan();
    plan.peer(0, 2).next_hop_self = true;
    let mut mesh = plan.establish();
    mesh.input(4, originate6(PREFIX));
    assert_eq!(route6(&mesh.speakers[2], PREFIX).next_hop.global, address6(1));
    assert_eq!(route6(&mesh.speakers[3], PREFIX).next_hop, address6(5).into());
}

/// The decision process by IPv6, and the interior cost of next hops of its own: of two exits (1, 2) the nearer; the other when
/// costs change; none when no next hop can be reached.
#[test]
fn decisions_and_interior_costs() {
    let mut plan = with_ipv6(&[65000, 65000, 65000, 65100], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    for exit in [1, 2] {
        plan.peer(exit, 0).next_hop_self = true;
    }
    let costs = |first, second| {
        let of = |host: u8, cost| (Ipv6Net::from(address6(host)), cost);
        InteriorCosts { costs: vec![of(2, first), of(3, second)], otherwise: None }
    };
    plan.speaker(0).ipv6_interior = costs(10, 20);
    let mut mesh = plan.establish();
    mesh.input(3, originate6(PREFIX));
    let best = |mesh: &Mesh| best6(&mesh.speakers[0], PREFIX).map(|best| (best.next_hop.global, best.decided_by));
    assert_eq!(best(&mesh), Some((address6(2), DecidedBy::InteriorCost)));
    let (step, judged) = mesh.speakers[0].explain_ipv6(net6(PREFIX)).unwrap();
    assert_eq!(step, DecidedBy::InteriorCost);
    assert_eq!(judged.iter().filter_map(|route| route.lost_at).collect::<Vec<_>>(), [DecidedBy::InteriorCost]);
    mesh.input(0, Input::SetIpv6Interior(costs(30, 20)));
    assert_eq!(best(&mesh), Some((address6(3), DecidedBy::InteriorCost)));
    mesh.input(0, Input::SetIpv6Interior(InteriorCosts { costs: vec![], otherwise: None }));
    assert_eq!(best(&mesh), None);
    // That of IPv4 says nothing of it.
    mesh.input(0, Input::SetIpv6Interior(InteriorCosts::default()));
    mesh.input(0, Input::SetInterior(InteriorCosts { costs: vec![], otherwise: None }));
    assert!(best(&mesh).is_some());
}

/// RFC 4486 section 4: each family has a limit of its own, and its AFI in the data of the Cease.
#[test]
fn too_many_prefixes() {
    let limit = |config: &mut SpeakerConfig| {
        config.peers[0].max_prefixes = Some(MaxPrefixes::new(2));
        config.peers[0].ipv6.as_mut().unwrap().max_prefixes =
            Some(MaxPrefixes { then: AfterLimit::StayDown, ..MaxPrefixes::new(3) });
    };
    let mut solo = established(limit);
    announce6(&mut solo, &[1, 2, 3]);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10, 8, 11]));
    let warned: Vec<_> = solo
        .drain()
        .into_iter()
        .filter_map(|o| if let Output::NearLimit { afi, prefixes, .. } = o { Some((afi, prefixes)) } else { None })
        .collect();
    assert_eq!(warned, [(Afi::Ipv6, 3), (Afi::Ipv4, 2)]);
    announce6(&mut solo, &[4]);
    assert_eq!(solo.notification(), Some((6, 1, vec![0, 2, 1, 0, 0, 0, 3])));
    assert!(solo.speaker.routes().is_empty() && solo.speaker.ipv6_routes().unwrap().is_empty());
    // What follows is said by the limit that was passed.
    assert_eq!(solo.speaker.wake(), None);
    let mut solo = established(limit);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10, 8, 11, 8, 12]));
    assert_eq!(solo.notification(), Some((6, 1, vec![0, 1, 1, 0, 0, 0, 2])));
    assert!(solo.speaker.wake().is_some());
}

/// A message that breaks the limit of one family is not read on for the other.
#[test]
fn a_session_that_ended_takes_no_more() {
    let mut solo = established(|config| config.peers[0].max_prefixes = Some(MaxPrefixes::new(1)));
    solo.receive(&update(&[&reach(address6(1), &[1]), ORIGIN, AS_PATH, NEXT_HOP], &[8, 10, 8, 11]));
    assert_eq!(solo.notification().unwrap().0, 6);
    assert!(solo.speaker.ipv6_routes().unwrap().is_empty());
}

/// MinRouteAdvertisementIntervalTimer is one for the peer (section 9.2.1.1): what of IPv4 starts it lets IPv6 of the same moment
/// pass, and holds back both after that.
#[test]
fn one_interval_for_both_families() {
    let mut solo = established(|config| {
        config.peers[0].route_advertisement = Duration::from_secs(5);
        config.networks.push((net("10.1.0.0/16"), Originated::default()));
        config.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    });
    let told = |solo: &Solo| (solo.speaker.adj_rib_out(PEER).len(), solo.speaker.ipv6_adj_rib_out(PEER).unwrap().len());
    assert_eq!(told(&solo), (1, 1));
    solo.give(originate6("2001:db8:c::/48"));
    solo.give(Input::Originate { prefix: net("10.2.0.0/16"), route: Originated::default() });
    assert_eq!(told(&solo), (1, 1));
    solo.now += Duration::from_secs(5);
    solo.speaker.handle_timeout(solo.now);
    assert_eq!(told(&solo), (2, 2));
}

/// A large table goes in as few messages as hold it, none longer than 4,096 octets, and all of it arrives.
#[test]
fn a_large_table_is_sent_whole() {
    let (mut a, b) = (config6(65000, 64512, 2), config6(64512, 65000, 1));
    let networks = (0..5_000_u16).map(|n| Ipv6Net::new(Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 0), 48).unwrap());
    a.ipv6_networks = networks.map(|network| (network, Originated::default())).collect();
    let mut pair = Pair::new(a, b);
    pair.establish();
    assert_eq!(pair.ends[B].ipv6_routes().unwrap().len(), 5_000);
    let lengths: Vec<usize> = pair.sent(A).filter(|(_, b)| b[18] == 2 && b.len() > 100).map(|(_, b)| b.len()).collect();
    // 35,000 octets of NLRI; of 4,096 octets the rest is header 19 + 4, MP_REACH_NLRI 4 + 3 + 1 + 32 + 1, ORIGIN 4, AS_PATH 9.
    assert_eq!(lengths.len(), 35_000_usize.div_ceil((4_096 - 23 - 41 - 13) / 7 * 7));
    assert!(lengths.iter().all(|length| *length <= 4_096));
}

/// Power is lost: nothing is left of either family.
#[test]
fn a_reset_forgets_both() {
    let mut solo = established(|config| {
        config.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    });
    announce6(&mut solo, &[1]);
    solo.give(Input::Reset);
    assert!(solo.speaker.ipv6_routes().unwrap().is_empty());
    let gone =
        solo.drain().into_iter().filter(|o| matches!(o, Output::Ipv6Route(change) if change.to.is_none())).count();
    assert_eq!(gone, 2);
}
