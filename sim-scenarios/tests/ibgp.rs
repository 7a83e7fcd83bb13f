//! BGP within an autonomous system between devices: which next hops can be used, which exit is nearest, who reflects what.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::net::fib::{Route, RouteSource, Target};
use sim_core::node::Node;
use sim_core::node::gateway::Gateway;
use sim_core::proto::bgp::Best;
use sim_core::proto::bgp::decision::DecidedBy;
use sim_core::reason::Reason;
use sim_core::time::Instant;
use sim_scenarios::report::{route_story, text};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

const EDGES: &str = include_str!("../../scenarios/ibgp_between_edge_routers.ron");

/// A reflector with a client and two exits, of AS 65000, and a neighbour outside that both exits hear. The reflector has two links
/// to the second exit, of which the session uses one.
const EXITS: &str = r#"(
    version: 1,
    name: "exits",
    question: "Which exit?",
    duration: "300s",
    nodes: {
        "client": BgpRouter(
            asn: 65000,
            interfaces: { "rr": (address: "10.9.0.2/30") },
            neighbors: { "rr": (interface: "rr", address: "10.9.0.1", asn: 65000) },
            static_routes: [(prefix: "10.9.0.0/16", via: "rr")],
        ),
        "rr": BgpRouter(
            asn: 65000,
            interfaces: {
                "client": (address: "10.9.0.1/30"),
                "e1": (address: "10.9.1.1/30"),
                "e2": (address: "10.9.2.1/30"),
                "alt": (address: "10.9.3.1/30"),
            },
            neighbors: {
                "client": (interface: "client", address: "10.9.0.2", asn: 65000, route_reflector_client: true),
                "exit-1": (interface: "e1", address: "10.9.1.2", asn: 65000),
                "exit-2": (interface: "e2", address: "10.9.2.2", asn: 65000),
            },
            cluster_id: "0.0.0.7",
            igp_costs: [(prefix: "10.9.1.0/24", cost: 20), (prefix: "10.9.2.0/24", cost: 10)],
        ),
        "exit-1": BgpRouter(
            asn: 65000,
            interfaces: { "rr": (address: "10.9.1.2/30"), "out": (address: "198.18.1.1/30") },
            neighbors: {
                "rr": (interface: "rr", address: "10.9.1.1", asn: 65000, next_hop_self: true),
                "peer": (interface: "out", address: "198.18.1.2", asn: 65100),
            },
        ),
        "exit-2": BgpRouter(
            asn: 65000,
            interfaces: {
                "rr": (address: "10.9.2.2/30"), "alt": (address: "10.9.3.2/30"), "out": (address: "198.18.2.1/30"),
            },
            neighbors: {
                "rr": (interface: "rr", address: "10.9.2.1", asn: 65000, next_hop_self: true),
                "peer": (interface: "out", address: "198.18.2.2", asn: 65100),
            },
        ),
        "peer": BgpRouter(
            asn: 65100,
            interfaces: { "one": (address: "198.18.1.2/30"), "two": (address: "198.18.2.2/30") },
            neighbors: {
                "exit-1": (interface: "one", address: "198.18.1.1", asn: 65000),
                "exit-2": (interface: "two", address: "198.18.2.1", asn: 65000),
            },
            advertise: ["203.0.113.0/24"],
        ),
    },
    links: {
        "l0": Link(between: ("client.rr", "rr.client")),
        "l1": Link(between: ("rr.e1", "exit-1.rr")),
        "l2": Link(between: ("rr.e2", "exit-2.rr")),
        "l3": Link(between: ("rr.alt", "exit-2.alt")),
        "o1": Link(between: ("exit-1.out", "peer.one")),
        "o2": Link(between: ("exit-2.out", "peer.two")),
    },
    faults: {
        "gone": (at: "100s", heal: "200s", what: LinkDown(link: "l3")),
    },
)"#;

/// A scenario with changes.
fn begin(text: &str, changes: &[&str]) -> Simulation {
    let scenario = Scenario::parse("ibgp.ron", text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let scenario = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Simulation::new(&scenario)
}

fn gateway<'a>(simulation: &'a Simulation, name: &str) -> &'a Gateway {
    let id = simulation.plan().node(name).expect("it is there");
    let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("{name} is no gateway") };
    cgw.gateway()
}

fn prefix(text: &str) -> Ipv4Net {
    text.parse().expect("a prefix")
}

/// What a device's forwarding table has of BGP for a prefix.
fn entered(simulation: &Simulation, name: &str, of: &str) -> Option<Route> {
    let fib = gateway(simulation, name).ip.fib();
    fib.candidates(prefix(of)).find(|route| route.source == RouteSource::Bgp)
}

/// A device's best route of BGP, and the reasons for which it refused others.
fn heard(simulation: &Simulation, name: &str, of: &str) -> (Option<Best>, Vec<Reason>) {
    let routes = gateway(simulation, name).routing.as_ref().expect("it speaks BGP").speaker().routes();
    let refused = routes.refused(&prefix(of)).map(|(_, reason)| reason).collect();
    (routes.get(&prefix(of)).map(|entry| entry.best()), refused)
}

fn leads_to(route: Option<Route>) -> Option<(u16, Ipv4Addr, u8)> {
    match route?.target {
        Target::Out { port, next_hop } => Some((port.0, next_hop?, route?.distance)),
        Target::Blackhole => None,
    }
}

const AWS: &str = "10.0.0.0/16";
const OUTSIDE: &str = "203.0.113.0/24";

/// The next hop is the other edge router, or AWS's end of its tunnel, to which there is a way only if the operator says which.
#[test]
fn a_route_from_inside_needs_a_way_to_its_next_hop() {
    let bare = "nodes.edge-2.neighbors.edge-1.next_hop_self=false";
    let way = "nodes.edge-1.static_routes=[(prefix: \"169.254.20.0/30\", via: \"core\")]";
    // Interface 2 is the link between the two, 3 is the tunnel.
    let (core, distance) = (2, 200);
    for (changes, at_200, at_400) in [
        (vec![], (1, None), Some((core, [10, 1, 255, 2], distance))),
        (vec![bare], (0, Some(Reason::NextHopUnusable)), None),
        (vec![bare, way], (1, None), Some((core, [169, 254, 20, 1], distance))),
    ] {
        let mut simulation = begin(EDGES, &changes);
        simulation.run_until(Instant::from_secs(200));
        assert_eq!(leads_to(entered(&simulation, "edge-1", AWS)), Some((3, [169, 254, 10, 1].into(), 20)));
        let routes = gateway(&simulation, "edge-1").routing.as_ref().expect("BGP").speaker().routes();
        let others = routes.get(&prefix(AWS)).expect("its own").routes().count() - 1;
        assert_eq!((others, heard(&simulation, "edge-1", AWS).1.first().copied()), at_200, "{changes:?}");
        simulation.run_until(Instant::from_secs(400));
        let expected = at_400.map(|(port, next_hop, distance)| (port, Ipv4Addr::from(next_hop), distance));
        assert_eq!(leads_to(entered(&simulation, "edge-1", AWS)), expected, "{changes:?}");
    }
}

/// RFC 4271 section 9.1.2.2 e: the exit that is nearer; RFC 4456 section 8: what the reflector leaves on the route. LOCAL_PREF is not
/// overwritten inside (section 5.1.5).
#[test]
fn the_nearest_exit_is_reflected() {
    let mut simulation = begin(EXITS, &[]);
    simulation.run_until(Instant::from_secs(60));
    let (best, refused) = heard(&simulation, "rr", OUTSIDE);
    let best = best.expect("two routes");
    assert_eq!((best.next_hop, best.decided_by), ([10, 9, 2, 2].into(), DecidedBy::InteriorCost));
    assert_eq!(refused, []);
    let client = gateway(&simulation, "client");
    let routes = client.routing.as_ref().expect("BGP").speaker().routes();
    let attributes = routes.get(&prefix(OUTSIDE)).expect("it is reflected").best_route().attributes;
    assert_eq!(attributes.next_hop, Ipv4Addr::new(10, 9, 2, 2), "as it was (RFC 4456 section 10)");
    assert_eq!(attributes.cluster_list(), [Ipv4Addr::new(0, 0, 0, 7)]);
    assert_eq!(attributes.originator_id(), Some(Ipv4Addr::new(10, 9, 2, 2)));
    assert_eq!(leads_to(entered(&simulation, "client", OUTSIDE)), Some((0, [10, 9, 2, 2].into(), 200)));
    // Other costs, another exit; and an exit that says 200 is preferred however far it is.
    let costs = "nodes.rr.igp_costs=[(prefix: \"10.9.2.0/24\", cost: 30)]";
    let preferred = "nodes.exit-1.neighbors.peer.local_preference=200";
    for (change, step) in [(costs, DecidedBy::InteriorCost), (preferred, DecidedBy::LocalPref)] {
        let mut simulation = begin(EXITS, &[change]);
        simulation.run_until(Instant::from_secs(60));
        let best = heard(&simulation, "rr", OUTSIDE).0.expect("two routes");
        assert_eq!((best.next_hop, best.decided_by), ([10, 9, 1, 2].into(), step), "{change}");
    }
    // Who is no client hears nothing of what another internal peer said (RFC 4271 section 9.2).
    let mut simulation = begin(EXITS, &["nodes.rr.neighbors.client.route_reflector_client=false"]);
    simulation.run_until(Instant::from_secs(60));
    assert_eq!(heard(&simulation, "client", OUTSIDE), (None, vec![]));
    // And who has no way to the exit cannot use it.
    let mut simulation = begin(EXITS, &["nodes.client.static_routes=[]"]);
    simulation.run_until(Instant::from_secs(60));
    assert_eq!(heard(&simulation, "client", OUTSIDE), (None, vec![Reason::NextHopUnusable]));
}

/// The route stays, and the way to its next hop moves: the forwarding table follows, at once and back again.
#[test]
fn the_way_to_a_next_hop_moves() {
    let bare = "nodes.exit-2.neighbors.rr.next_hop_self=false";
    let ways = "nodes.rr.static_routes=[(prefix: \"198.18.2.0/30\", via: \"alt\"), \
                (prefix: \"198.18.2.0/30\", via: \"e2\", distance: 250)]";
    let next_hop = Ipv4Addr::new(198, 18, 2, 2);
    let mut simulation = begin(EXITS, &[bare, ways]);
    for (seconds, port) in [(90, 3), (101, 2), (190, 2), (201, 3)] {
        simulation.run_until(Instant::from_secs(seconds));
        let way = leads_to(entered(&simulation, "rr", OUTSIDE));
        assert_eq!(way, Some((port, next_hop, 200)), "at {seconds} s");
    }
    // Without the floating route there is no way meanwhile: the other exit is used, and then the first one again.
    let only = "nodes.rr.static_routes=[(prefix: \"198.18.2.0/30\", via: \"alt\")]";
    let mut simulation = begin(EXITS, &[bare, only]);
    let other = Ipv4Addr::new(10, 9, 1, 2);
    for (seconds, next_hop, refused) in
        [(90, next_hop, vec![]), (101, other, vec![Reason::NextHopUnusable]), (201, next_hop, vec![])]
    {
        simulation.run_until(Instant::from_secs(seconds));
        let (best, why) = heard(&simulation, "rr", OUTSIDE);
        assert_eq!((best.map(|best| best.next_hop), why), (Some(next_hop), refused), "at {seconds} s");
        let entered = leads_to(entered(&simulation, "rr", OUTSIDE)).map(|(_, next_hop, _)| next_hop);
        assert_eq!(entered, Some(next_hop), "at {seconds} s");
    }
}

/// What is for neighbours in the same autonomous system is refused of others, and the other way round.
#[test]
fn inside_and_outside_have_their_own_settings() {
    let scenario = Scenario::parse("ibgp.ron", EXITS, &NoSecrets).expect("it makes sense");
    for (change, says) in [
        ("nodes.exit-1.neighbors.peer.next_hop_self=true", "`next_hop_self` is for a neighbor in the same autonomous"),
        ("nodes.exit-1.neighbors.peer.route_reflector_client=true", "`route_reflector_client` is for a neighbor in"),
        ("nodes.exit-1.neighbors.rr.prepend=1", "nothing is prepended to what a neighbor in the same autonomous"),
        ("nodes.rr.igp_costs=[(prefix: \"10.9.1.1/24\", cost: 20)]", "has bits beyond its prefix length"),
        ("nodes.rr.cluster_id=seven", "seven"),
    ] {
        let Err(mistakes) = scenario.with(&[change], &NoSecrets) else { panic!("{change} is no mistake") };
        assert!(mistakes.to_string().contains(says), "{change}: {mistakes}");
    }
}

/// Who asks why a router does not use a route hears that it was refused, and why.
#[test]
fn a_refused_route_is_explained() {
    let mut simulation = begin(EDGES, &["nodes.edge-2.neighbors.edge-1.next_hop_self=false"]);
    simulation.run_until(Instant::from_secs(400));
    let told = route_story::route(simulation.plan(), simulation.built(), "edge-1", prefix(AWS)).expect("it had one");
    let told = text::render_sections(&told, text::Layout { width: 200, ..text::Layout::default() });
    let line = told.lines().find(|line| line.contains("169.254.20.1")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("refused: next_hop_unusable"), "{told}");
}
