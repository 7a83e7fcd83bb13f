//! Tunnels through NATs: keepalives, NATs in a row, and one that lets AWS begin.

use std::net::Ipv4Addr;

use sim_core::reason::{State, TimerKind};
use sim_core::time::{Duration, Instant};
use sim_core::trace::What;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

mod shared;

fn text(name: &str) -> String {
    shared::texts().into_iter().find(|(other, _)| other == name).expect("it is in the library").1
}

/// Runs a scenario to its end.
fn run(scenario: &Scenario) -> Simulation {
    let mut run = Simulation::new(scenario);
    run.run_until(run.end());
    run
}

/// When NAT keepalives were sent, at which device, and since when nothing had been.
fn keepalives(run: &Simulation) -> Vec<(String, Instant, Instant)> {
    let world = run.world();
    let records = world.trace.records();
    records
        .filter_map(|(_, record)| match record.what {
            What::Expired { timer: TimerKind::NatKeepalive, armed_at, .. } => {
                Some((world.node_name(record.node).to_owned(), record.at, armed_at))
            }
            _ => None,
        })
        .collect()
}

/// When the IKE session of the tunnel was up first, at both ends.
fn up_since(run: &Simulation) -> Option<Instant> {
    let trace = &run.world().trace;
    let up = |name: &str| {
        let mine = |record: &sim_core::trace::Record| match record.what {
            What::State { session, to: State::Up, .. } => trace.sessions()[session.index()].name == name,
            _ => false,
        };
        trace.records().find(|(_, record)| mine(record)).map(|(_, record)| record.at)
    };
    up("vpn.a@aws").max(up("vpn.a@cgw")).filter(|_| up("vpn.a@aws").is_some() && up("vpn.a@cgw").is_some())
}

/// RFC 3948 section 4: every 20 s while nothing else is sent, and only by the end that is behind the NAT. In 600 s that is 29
/// times, since the first waits for 20 s from the set-up.
#[test]
fn an_idle_tunnel_is_kept_alive_from_behind_the_nat() {
    let scenario = shared::parse("nat_timeout_idle", &text("nat_timeout_idle"));
    assert_eq!(keepalives(&run(&scenario)), [], "they are off");
    let change = ["connections.vpn.tunnels.a.customer.nat_keepalive=20s".to_owned()];
    let scenario = scenario.with(&change, &NoSecrets).unwrap();
    let sent = keepalives(&run(&scenario));
    assert_eq!(sent.len(), 29);
    for (node, at, since) in sent {
        assert_eq!((node.as_str(), at.since(since)), ("cgw", Duration::from_secs(20)));
    }
}

/// BGP and the answers to AWS's checks leave more often than every 20 s: nothing is to be kept alive.
#[test]
fn a_busy_tunnel_needs_no_keepalives() {
    let run = run(&shared::parse("cgw_behind_nat", &text("cgw_behind_nat")));
    assert!(up_since(&run).is_some());
    assert_eq!(keepalives(&run), []);
}

/// A home NAT behind a carrier-grade NAT: AWS has the carrier's address registered, and the tunnel comes up through both.
#[test]
fn nats_in_a_row() {
    let cgn = "\"cgn\": Nat(inside: \"100.64.0.1/10\", outside: \"203.0.113.77\", first_port: 1024, port_block: 512),\n        \"isp\"";
    let links = "\"carrier\": Link(between: (\"home.outside\", \"cgn.inside\")),\n        \"uplink\": Link(between: (\"cgn.outside\"";
    let text = text("cgw_behind_nat")
        .replacen("\"isp\"", cgn, 1)
        .replace("outside: \"203.0.113.10\"", "outside: \"100.64.0.9\"")
        .replace("\"uplink\": Link(between: (\"home.outside\"", links);
    let scenario = shared::parse("cgn", &text);
    let tunnel = &scenario.plan().connections[0].tunnels[0];
    assert_eq!(tunnel.customer_outside, Ipv4Addr::new(192, 168, 1, 2));
    assert_eq!(tunnel.customer_registered, Ipv4Addr::new(203, 0, 113, 77));
    assert!(up_since(&run(&scenario)).is_some());
}

/// An Elastic IP address belongs to one host, so AWS can begin. Through a NAT that shares its address it cannot.
#[test]
fn aws_begins_through_a_one_to_one_nat_only() {
    let begins = text("nat_timeout_idle")
        .replace("dpd_timeout_action: \"none\",\n", "dpd_timeout_action: \"none\", startup_action: \"start\",\n");
    let begins = begins.replace("nat_keepalive: \"0s\"", "startup_action: \"add\"");
    let shared_address = shared::parse("napt", &begins);
    assert_eq!(up_since(&run(&shared_address)), None);
    let pair = "mode: \"one_to_one\", pairs: [(inside: \"192.168.1.2\", outside: \"203.0.113.11\")]";
    let scenario = shared::parse("one_to_one", &begins.replace("udp_timeout: \"30s\"", pair));
    let tunnel = &scenario.plan().connections[0].tunnels[0];
    assert_eq!(tunnel.customer_registered, Ipv4Addr::new(203, 0, 113, 11));
    assert!(up_since(&run(&scenario)).is_some());
}

/// The NAT's other address, in either version of IKE: without being followed, AWS's checks would go unanswered and the tunnel would
/// die 40 s after the move. AWS keeps asking every 10 s.
#[test]
fn a_renumbered_nat_is_followed_in_either_version() {
    for version in ["ikev1", "ikev2"] {
        let changes = [
            "duration=500s".to_owned(),
            format!("connections.vpn.tunnels.a.customer.ike_versions=[\"{version}\"]"),
            "faults.reboot.at=400s".to_owned(),
            "faults.reboot.enabled=false".to_owned(),
            "expect={}".to_owned(),
            "control=[]".to_owned(),
        ];
        let scenario = shared::parse("nat_renumbered", &text("nat_renumbered")).with(&changes, &NoSecrets);
        let run = run(&scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")));
        assert!(up_since(&run).is_some(), "{version}");
        let mut records = run.world().trace.records();
        let down = records.any(|(_, record)| matches!(record.what, What::State { to: State::Down, .. }));
        assert!(!down, "{version}");
        let moved =
            run.world().trace.records().filter(|(_, record)| {
                matches!(record.what, What::Step { step: sim_core::reason::Step::PeerMoved, .. })
            });
        assert_eq!(moved.count(), 1, "{version}");
    }
}
