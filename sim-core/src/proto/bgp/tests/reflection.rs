//! Inside an AS: route reflection (RFC 4456), interior cost, next-hop-self; and what makes a route unusable at its border.

use super::mesh::{Mesh, Plan, address};
use super::*;
use crate::proto::bgp::as_path::AsPath;
use crate::proto::bgp::attributes::Attributes;
use crate::proto::bgp::decision::Multipath;
use crate::proto::bgp::message::keepalive;

const PREFIX: &str = "192.0.2.0/24";

/// A reflector (0) with two clients (1, 2), two other internal peers (3, 4) and an external one (5). Nobody else talks.
fn reflector() -> Plan {
    let mut plan = Plan::new(&[65000, 65000, 65000, 65000, 65000, 65100], &[(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]);
    for client in [1, 2] {
        plan.peer(0, client).route_reflector_client = true;
    }
    plan
}

/// RFC 4456 section 6: from a client to all; from another internal peer to clients and outside only; from outside to all.
#[test]
fn whom_a_route_is_reflected_to() {
    let mut mesh = reflector().establish();
    let cases = [(1, vec![0, 1, 2, 3, 4, 5]), (3, vec![0, 1, 2, 3, 5]), (5, vec![0, 1, 2, 3, 4, 5])];
    for (origin, hearing) in cases {
        mesh.originate(origin, PREFIX);
        assert_eq!(mesh.knowing(PREFIX), hearing, "from {origin}");
        mesh.withdraw(origin, PREFIX);
        assert!(mesh.knowing(PREFIX).is_empty());
    }
    // Without clients it is plain iBGP (RFC 4271 section 9.2).
    let mut mesh = Plan::new(&[65000; 3], &[(0, 1), (0, 2)]).establish();
    mesh.originate(1, PREFIX);
    assert_eq!(mesh.knowing(PREFIX), [0, 1]);
}

/// RFC 4456 sections 8 and 10: the reflector names the originator and its cluster and changes nothing else; neither leaves the
/// AS, and what is not reflected has neither.
#[test]
fn what_a_reflector_leaves_on_a_route() {
    let mut mesh = reflector().establish();
    mesh.originate(1, PREFIX);
    let told = mesh.route(3, PREFIX);
    assert_eq!(told.originator_id(), Some(address(1)));
    assert_eq!(told.cluster_list(), [address(0)]);
    assert_eq!((told.next_hop, told.local_pref, told.as_path.length()), (address(1), Some(100), 0));
    let outside = mesh.route(5, PREFIX);
    assert_eq!((outside.reflection, outside.next_hop), (None, address(0)));
    mesh.withdraw(1, PREFIX);
    mesh.originate(5, PREFIX);
    let told = mesh.route(3, PREFIX);
    assert_eq!((told.reflection, told.next_hop), (None, address(5)));
}

/// Two reflectors in a row: the originator stays the first, the nearer cluster comes first.
#[test]
fn reflectors_in_a_row() {
    // 1 is a client of 0, and 0 is a client of 2, whose cluster has a number of its own; 3 is another client of 2.
    let mut plan = Plan::new(&[65000; 4], &[(0, 1), (2, 0), (2, 3)]);
    plan.peer(0, 1).route_reflector_client = true;
    plan.peer(2, 0).route_reflector_client = true;
    plan.peer(2, 3).route_reflector_client = true;
    plan.speaker(2).cluster_id = Some(Ipv4Addr::new(0, 0, 0, 7));
    let mut mesh = plan.establish();
    mesh.originate(1, PREFIX);
    let told = mesh.route(3, PREFIX);
    assert_eq!(told.originator_id(), Some(address(1)));
    assert_eq!(told.cluster_list(), [Ipv4Addr::new(0, 0, 0, 7), address(0)]);
}

/// Three reflectors in a circle, all clients of each other, and a client (3) of the first ones.
fn circle(clients_of: &[usize]) -> Mesh {
    let mut sessions = vec![(0, 1), (1, 2), (2, 0)];
    sessions.extend(clients_of.iter().map(|&reflector| (3, reflector)));
    let mut plan = Plan::new(&[65000; 4], &sessions);
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        plan.peer(a, b).route_reflector_client = true;
        plan.peer(b, a).route_reflector_client = true;
    }
    for &reflector in clients_of {
        plan.peer(reflector, 3).route_reflector_client = true;
    }
    let mut mesh = plan.establish();
    mesh.originate(3, PREFIX);
    assert_eq!(mesh.knowing(PREFIX), [0, 1, 2, 3]);
    mesh
}

/// RFC 4456 section 8: a client of two reflectors hears its own route from one of them, and knows it by the identifier.
#[test]
fn an_originator_refuses_its_own_route() {
    let mesh = circle(&[0, 1]);
    let refusals = mesh.refusals(3, PREFIX);
    assert!(!refusals.is_empty() && refusals.iter().all(|reason| *reason == Reason::OriginatorLoop), "{refusals:?}");
}

/// RFC 4456 section 8: when the client withdraws its route, 1 turns to what 2 had from the first reflector and tells it that; it
/// refuses, as the route has been in its cluster, and so no route keeps itself alive in the circle.
#[test]
fn a_cluster_refuses_what_it_has_reflected() {
    let mut mesh = circle(&[0]);
    assert_eq!(mesh.refusals(0, PREFIX), []);
    mesh.withdraw(3, PREFIX);
    let refusals = mesh.refusals(0, PREFIX);
    assert!(!refusals.is_empty() && refusals.iter().all(|reason| *reason == Reason::ClusterLoop), "{refusals:?}");
    assert!(mesh.knowing(PREFIX).is_empty());
}

/// To an internal peer with next-hop-self a route from outside has our address; a reflected one keeps its own (RFC 4456
/// section 10).
#[test]
fn next_hop_self() {
    let mut plan = reflector();
    plan.peer(0, 3).next_hop_self = true;
    let mut mesh = plan.establish();
    mesh.originate(5, PREFIX);
    assert_eq!(mesh.best(3, PREFIX).unwrap().next_hop, address(0));
    assert_eq!(mesh.best(4, PREFIX).unwrap().next_hop, address(5));
    mesh.originate(1, "198.51.100.0/24");
    assert_eq!(mesh.best(3, "198.51.100.0/24").unwrap().next_hop, address(1));
}

/// Two exits, 1 and 2, towards the same neighbour; 0 hears both by iBGP.
fn two_exits(adjust: impl FnOnce(&mut Plan)) -> Mesh {
    let mut plan = Plan::new(&[65000, 65000, 65000, 65100], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    for exit in [1, 2] {
        plan.peer(exit, 0).next_hop_self = true;
    }
    adjust(&mut plan);
    let mut mesh = plan.establish();
    mesh.originate(3, PREFIX);
    mesh
}

fn costs(costs: [u32; 2], otherwise: Option<u32>) -> InteriorCosts {
    let of = |exit: usize| (Ipv4Net::from(address(exit)), costs[exit - 1]);
    InteriorCosts { costs: vec![of(1), of(2)], otherwise }
}

/// RFC 4271 section 9.1.2.2 e: the nearer exit, and when the IGP says otherwise the other (section 9.1.2.1), with the reason
/// that says so. An exit that cannot be reached is no exit.
#[test]
fn the_nearest_exit() {
    let mut mesh = two_exits(|plan| plan.speaker(0).interior = costs([20, 10], None));
    let best = mesh.best(0, PREFIX).unwrap();
    assert_eq!((best.next_hop, best.decided_by), (address(2), DecidedBy::InteriorCost));
    mesh.changes(0);
    mesh.input(0, Input::SetInterior(costs([20, 30], None)));
    let [change] = &mesh.changes(0)[..] else { panic!("one change") };
    assert_eq!(change.to.unwrap().next_hop, address(1));
    assert_eq!(change.reason, Reason::InteriorCost);
    mesh.input(0, Input::SetInterior(InteriorCosts { costs: vec![(Ipv4Net::from(address(2)), 9)], otherwise: None }));
    let best = mesh.best(0, PREFIX).unwrap();
    assert_eq!((best.next_hop, best.decided_by), (address(2), DecidedBy::OnlyRoute));
    assert_eq!(mesh.refusals(0, PREFIX), [Reason::NextHopUnusable]);
    mesh.input(0, Input::SetInterior(InteriorCosts::default()));
    assert_eq!(mesh.best(0, PREFIX).unwrap().decided_by, DecidedBy::Identifier, "both are there again, equally near");
}

/// With multipath both exits are used while they are equally near, and the owner hears of every change of the set, also when the
/// best stays; the explanation says the same.
#[test]
fn both_exits_at_once() {
    let multipath = Multipath { external: 1, internal: 2, relaxed: false };
    let mut mesh = two_exits(|plan| {
        plan.speaker(0).rules.multipath = multipath;
        plan.speaker(0).interior = costs([10, 10], None);
    });
    let via = |changes: &[RouteChange]| {
        let last = changes.last().expect("a change");
        (last.to.map(|best| best.next_hop), last.also.iter().map(|hop| hop.next_hop).collect::<Vec<_>>(), last.reason)
    };
    assert_eq!(via(&mesh.changes(0)), (Some(address(1)), vec![address(2)], Reason::Learned));
    let (decided_by, judged) = mesh.speakers[0].explain(net(PREFIX)).unwrap();
    assert_eq!(decided_by, DecidedBy::Identifier);
    let seen: Vec<_> = judged.iter().map(|judged| (judged.lost_at, judged.used)).collect();
    assert_eq!(seen, [(None, true), (Some(DecidedBy::Identifier), true)]);
    mesh.input(0, Input::SetInterior(costs([10, 11], None)));
    assert_eq!(via(&mesh.changes(0)), (Some(address(1)), vec![], Reason::InteriorCost));
    let (_, judged) = mesh.speakers[0].explain(net(PREFIX)).unwrap();
    assert_eq!((judged[1].lost_at, judged[1].used), (Some(DecidedBy::InteriorCost), false));
    mesh.input(0, Input::SetInterior(costs([10, 10], None)));
    assert_eq!(via(&mesh.changes(0)), (Some(address(1)), vec![address(2)], Reason::InteriorCost));
    let peer = mesh.peer(0, 2);
    mesh.input(0, Input::Stop { peer, subcode: 2, communication: "" });
    assert_eq!(via(&mesh.changes(0)), (Some(address(1)), vec![], Reason::SessionDown));
}

/// What the border lets in: our own AS in AS_PATH as often as allowed, another AS in front of a route server's routes, a NEXT_HOP
/// off the subnet if the peer may be several hops away. Each is refused as long as it is not allowed.
#[test]
fn what_the_border_lets_in() {
    type Allow = fn(&mut PeerConfig);
    let cases: [(Allow, &[u32], Ipv4Addr, Reason); 3] = [
        (|peer| peer.allow_own_as = 1, &[64512, 65000, 64512], Ipv4Addr::new(169, 254, 10, 1), Reason::AsPathLoop),
        (|peer| peer.allow_own_as = 2, &[64512, 65000, 65000], Ipv4Addr::new(169, 254, 10, 1), Reason::AsPathLoop),
        (|peer| peer.multihop = true, &[64512], Ipv4Addr::new(8, 8, 8, 8), Reason::NextHopUnusable),
    ];
    let prefix = net(PREFIX);
    for (allow, asns, next_hop, reason) in cases {
        for allowed in [false, true] {
            let mut config = config(65000, 64512, 2);
            if allowed {
                allow(&mut config.peers[0]);
            }
            let outputs = announced(config, asns, next_hop);
            let refused = outputs.contains(&Output::Refused { peer: PEER, prefix: prefix.into(), reason });
            assert_eq!(refused, !allowed, "{asns:?} {next_hop}");
        }
    }
    // One more than allowed is a loop still.
    let mut once = config(65000, 64512, 2);
    once.peers[0].allow_own_as = 1;
    let outputs = announced(once, &[64512, 65000, 65000], Ipv4Addr::new(169, 254, 10, 1));
    assert!(outputs.contains(&Output::Refused { peer: PEER, prefix: prefix.into(), reason: Reason::AsPathLoop }));
    let mut server = config(65000, 64512, 2);
    server.peers[0].enforce_first_as = false;
    let outputs = announced(server, &[65100, 65101], Ipv4Addr::new(169, 254, 10, 1));
    assert!(outputs.iter().any(|output| matches!(output, Output::Route(change) if change.prefix == prefix)));
}

/// What a speaker says to one announcement of [`PREFIX`] by its peer.
fn announced(config: SpeakerConfig, asns: &[u32], next_hop: Ipv4Addr) -> Vec<Output> {
    let mut solo = Solo::open_sent(config);
    solo.receive(&usual_open());
    solo.receive(&keepalive());
    solo.drain();
    let mut route = Attributes::new(next_hop);
    route.as_path = AsPath::sequence(asns.iter().copied());
    let dialect = attributes::Dialect::new(64512, 65000);
    let mut bytes = Vec::new();
    update::announce(&route, &dialect, &[net(PREFIX)], |message, _| bytes.extend(message));
    solo.receive(&bytes);
    solo.drain()
}
