//! Transit gateways: which table holds what, what blackholes do, and what customer gateways are told.

use ipnet::Ipv4Net;
use sim_core::id::Port;
use sim_core::node::Node;
use sim_core::reason::DropReason;
use sim_core::time::Instant;
use sim_scenarios::{NoSecrets, Simulation};

mod shared;

/// The library's scenario with these changes and nothing expected, at 100 s.
fn run(changes: &[&str]) -> Simulation {
    let (name, text) = shared::texts().into_iter().find(|(name, _)| name == "ecmp_conditions").expect("it is there");
    let all = ["expect={}", "control=[]"].iter().chain(changes);
    let scenario =
        shared::parse(&name, &text).with(&all.map(|change| (*change).to_owned()).collect::<Vec<_>>(), &NoSecrets);
    let mut simulation = Simulation::new(&scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")));
    simulation.run_until(Instant::from_secs(100));
    simulation
}

fn net(text: &str) -> Ipv4Net {
    text.parse().expect("a prefix")
}

/// The names of the ways that a table of the gateway has to a prefix.
fn ways(simulation: &Simulation, table: u8, prefix: &str) -> Option<Vec<String>> {
    let id = simulation.plan().node("tgw").expect("it is there");
    let Node::Tgw(tgw) = simulation.world().node(id) else { panic!("it is a transit gateway") };
    let name = |port: &Port| simulation.world().port_name(id, *port).to_owned();
    tgw.ways(table, net(prefix)).map(|ways| ways.iter().map(name).collect())
}

/// True if the customer gateway's table has the prefix.
fn told(simulation: &Simulation, gateway: &str, prefix: &str) -> bool {
    let id = simulation.plan().node(gateway).expect("it is there");
    let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("it is a customer gateway") };
    cgw.gateway().ip.fib().best(net(prefix)).is_some()
}

/// how-transit-gateways-work.html: an attachment is associated with one table and propagates into any number; a static blackhole
/// drops what it matches, and vpn-route-priority.html: it is not announced to a customer gateway.
#[test]
fn tables_hold_what_is_propagated_into_them_and_entered_by_hand() {
    let simulation = run(&["nodes.tgw.route_tables={
        \"sites\": (associations: [\"one\", \"two\"], propagations: [\"vpc\"], routes: [(destination: \"10.0.2.0/24\", target: \"blackhole\")]),
        \"cloud\": (associations: [\"vpc\"], propagations: [\"two\"]),
    }"]);
    let one = |way: &str| Some(vec![way.to_owned()]);
    assert_eq!(ways(&simulation, 0, "10.0.0.0/16"), one("vpc"));
    assert_eq!(ways(&simulation, 0, "10.0.2.0/24"), Some(Vec::new()), "a blackhole");
    assert_eq!(ways(&simulation, 0, "10.1.0.0/16"), None, "no site propagates into the sites' table");
    assert_eq!(
        ways(&simulation, 1, "10.1.0.0/16"),
        one("two.a"),
        "one does not propagate here, so nothing is balanced"
    );
    assert_eq!(ways(&simulation, 1, "10.0.0.0/16"), None);
    for gateway in ["cgw1", "cgw2"] {
        assert!(told(&simulation, gateway, "10.0.0.0/16"));
        assert!(!told(&simulation, gateway, "10.0.2.0/24"), "blackholes are not announced");
    }
}

/// The same pages: the longest prefix is looked for in the table of the attachment that the packet comes from.
#[test]
fn a_blackhole_takes_its_part_of_a_broader_route() {
    let simulation =
        run(&["nodes.tgw.route_tables={ \"all\": (routes: [(destination: \"10.1.0.0/24\", target: \"blackhole\")]) }"]);
    let tgw = simulation.plan().node("tgw").expect("it is there");
    let drops = simulation.world().trace.drops().iter();
    let dropped: u64 = drops
        .filter(|(key, _)| key.reason == DropReason::BlackholeRoute && key.place == sim_core::trace::Place::Node(tgw))
        .map(|(_, count)| count.packets)
        .sum();
    // Everything that the four flows sent; the last packets of each may be under way.
    let sent: u64 = simulation.world().trace.probes().iter().map(|log| log.sent() as u64).sum();
    assert!(sent > 8_000 && (sent - 4..=sent).contains(&dropped), "{dropped} of {sent}");
}

/// Sites with networks of their own hear of each other through the gateway, with both ASes in the path, and lose that with the table.
#[test]
fn sites_are_told_of_each_other_if_their_table_knows_them() {
    let apart = ["nodes.cgw2.asn=65020", "nodes.cgw2.advertise=[\"10.2.0.0/16\"]"];
    let simulation = run(&apart);
    assert!(told(&simulation, "cgw1", "10.2.0.0/16") && told(&simulation, "cgw2", "10.1.0.0/16"));
    let id = simulation.plan().node("cgw1").expect("it is there");
    let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("it is a customer gateway") };
    let routing = cgw.gateway().routing.as_ref().expect("it speaks BGP");
    let (_, judged) = routing.speaker().explain(net("10.2.0.0/16")).expect("it has the route");
    assert_eq!(judged[0].route.attributes.as_path.to_string(), "64512 65020");

    let alone = "nodes.tgw.route_tables={ \"sites\": (associations: [\"one\", \"two\"], propagations: [\"vpc\"]), \"cloud\": () }";
    let simulation = run(&[apart[0], apart[1], alone]);
    assert!(!told(&simulation, "cgw1", "10.2.0.0/16") && told(&simulation, "cgw1", "10.0.0.0/16"));
}
