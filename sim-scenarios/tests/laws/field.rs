//! What the field claims of AWS VPN and no scenario shows by itself: its troubleshooting table and its rules of thumb.

use sim_core::time::{Duration, Instant};
use sim_core::trace::{Table, What};
use sim_scenarios::Simulation;
use sim_scenarios::report::model::Report;

use crate::bare::{Bare, dropped, library, round_trip};

const BY_BGP: Bare = Bare::new(library!("active_passive"));
const STATIC: Bare = Bare::new(library!("static_active_passive"));
const FOUR: Bare = Bare::new(library!("tgw_ecmp_four_tunnels"));

/// A minute of probes, once everything that comes up has.
fn minute(drawing: Bare, changes: &[&str]) -> Report {
    let probe = "probes={\"app\": UdpEcho(from: \"office\", to: \"app\", every: \"1s\", start: \"60s\")}";
    let short = ["faults={}", "duration=120s", probe];
    drawing.answer(&[&short[..], changes].concat())
}

fn is_answered(report: &Report) -> bool {
    let loss = round_trip(report, "app").loss;
    assert!(loss == 0.0 || loss == 1.0, "{loss}");
    loss == 0.0
}

/// "No route: a missing static route or BGP prefix." The request arrives, and the VPC has no way for the answer.
#[test]
fn without_a_route_the_answer_is_lost_in_the_vpc() {
    for (drawing, missing) in
        [(BY_BGP, "nodes.cgw.advertise=[]"), (STATIC, "connections.vpn.routing=Static(prefixes: [\"10.9.0.0/16\"])")]
    {
        assert!(is_answered(&minute(drawing, &[])));
        let report = minute(drawing, &[missing]);
        assert!(!is_answered(&report), "{missing}");
        assert_eq!(dropped(&report, "vpc_no_route"), 60, "{missing}: the tunnel works, requests arrive");
    }
}

/// "With static routes a new network needs a route by hand on both sides; nothing propagates." Either one alone is not enough.
#[test]
fn a_new_network_needs_a_static_route_on_both_sides() {
    let aws = "connections.vpn.routing=Static(prefixes: [\"10.9.0.0/16\"])";
    let site = "nodes.cgw.static_routes=[(prefix: \"10.99.0.0/16\", via: \"vpn.a\")]";
    let without_aws = minute(STATIC, &[aws]);
    assert!(!is_answered(&without_aws) && dropped(&without_aws, "vpc_no_route") == 60);
    let without_site = minute(STATIC, &[site]);
    assert!(!is_answered(&without_site) && dropped(&without_site, "no_route") == 60);
    assert!(is_answered(&minute(STATIC, &[])));
}

/// "One tunnel only: the second was never configured." Nothing is wrong until the first one goes: then nothing takes over, and the dark
/// time is that of the fault. With the second one it is a hold time.
#[test]
fn a_tunnel_that_was_never_configured_takes_nothing_over() {
    let dark = |changes: &[&str]| {
        let cut = ["duration=500s", "faults.cut.at=300s", "faults.cut.heal=480s"];
        let report = BY_BGP.answer(&[&cut[..], changes].concat());
        let outages = report.outages.iter().filter(|outage| outage.probe == "app");
        outages.map(|outage| outage.duration_s.0).max().unwrap_or_default()
    };
    let both = dark(&[]);
    assert!(Duration::from_secs(20) <= both && both <= Duration::from_secs(31), "{both}");
    let one = dark(&["connections.vpn.tunnels.b.customer.startup_action=add"]);
    assert!(one >= Duration::from_secs(179), "{one}");
}

/// "A flapping tunnel is taken out of the set": for as long as it is down, each time, and it comes back each time. AWS documents no damping.
#[test]
fn a_flapping_tunnel_leaves_the_set_and_comes_back() {
    let flap =
        "faults={\"flap\": (at: \"200s\", what: Flap(link: \"path-2a\", down: \"60s\", up: \"180s\", times: 2))}";
    let mut simulation = Simulation::new(&FOUR.taken(&["duration=700s", flap]));
    simulation.run_until(Instant::from_secs(700));
    let world = simulation.world();
    let tgw = simulation.plan().node("tgw").expect("it is there");
    let mut sizes: Vec<usize> = Vec::new();
    for (_, record) in world.trace.records() {
        if let What::Route { table: Table::Tgw(_), prefix, to, beside, .. } = &record.what
            && record.node == tgw
            && prefix.to_string() == "10.1.0.0/16"
        {
            let size = usize::from(to.is_some()) + beside.len();
            if sizes.last() != Some(&size) {
                sizes.push(size);
            }
        }
    }
    assert!(sizes.ends_with(&[4, 3, 4, 3, 4]), "{sizes:?}");
}
