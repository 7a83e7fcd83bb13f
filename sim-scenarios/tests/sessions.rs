//! What scenarios say of BGP sessions beside their timers: at the ends where they are allowed, and against AWS's end.

use sim_core::time::{Duration, Instant};
use sim_scenarios::plan::Plan;
use sim_scenarios::report::model::Report;
use sim_scenarios::report::{markdown, text};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

const TUNNELS: &str = include_str!("../../scenarios/active_passive.ron");
const ROUTERS: &str = include_str!("../../scenarios/graceful_restart_vs_bfd.ron");
const TRANSIT: &str = include_str!("../../scenarios/ecmp_conditions.ron");
const LOOPBACKS: &str = include_str!("../../scenarios/loopback_multihop_never_establishes.ron");

/// A scenario of the library with changes and nothing expected.
fn scenario(text: &str, changes: &[&str]) -> Scenario {
    let all = [&["expect={}", "control=[]", "faults={}"], changes].concat();
    let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    scenario.with(&all, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn until(seconds: u64, text: &str, changes: &[&str]) -> Report {
    let mut simulation = Simulation::new(&scenario(text, changes));
    simulation.run_until(Instant::from_secs(seconds));
    simulation.answer().report
}

/// Whether a session is up at the end.
fn up(report: &Report, name: &str) -> bool {
    let session = report.sessions.iter().find(|s| s.kind == "bgp" && s.name == name).expect("there is that session");
    session.transitions.last().is_some_and(|t| t.to == "established")
}

fn dropped(report: &Report, reason: &str) -> u64 {
    report.drops.iter().filter(|d| d.reason == reason).map(|d| d.packets).sum()
}

fn warned(plan: &Plan, of: &str) -> bool {
    plan.warnings.iter().any(|warning| warning.parameter == format!("connections.vpn.tunnels.a.{of}"))
}

/// The key of one end is the other's, too, if that says nothing; AWS has none, so that it is named as an extra.
#[test]
fn a_key_at_both_ends_of_a_tunnel_signs_and_a_key_at_one_end_silences() {
    let tunnel = |setting: &str| format!("connections.vpn.tunnels.a.{setting}");
    let both = [tunnel("md5_key=of.both.ends")];
    let both = both.each_ref().map(String::as_str);
    let report = until(20, TUNNELS, &both);
    assert!(up(&report, "vpn.a@aws") && up(&report, "vpn.a@cgw"));
    assert!(warned(scenario(TUNNELS, &both).plan(), "md5_key"));

    let one = [tunnel("customer.md5_key=of.one.end")];
    let one = one.each_ref().map(String::as_str);
    let report = until(20, TUNNELS, &one);
    assert!(!up(&report, "vpn.a@aws") && up(&report, "vpn.b@aws"));
    assert!(dropped(&report, "md5_missing") > 0 && dropped(&report, "md5_unexpected") > 0, "{:?}", report.drops);
    assert!(warned(scenario(TUNNELS, &one).plan(), "customer.md5_key"));
}

/// RFC 5082: who asks for 255 hears nothing of who sends 1, as AWS's end does here; both ends with it are content.
#[test]
fn ttl_security_is_for_both_ends() {
    let tunnel = |setting: &str| format!("connections.vpn.tunnels.a.{setting}");
    let one = tunnel("customer.ttl_security=1");
    let report = until(20, TUNNELS, &[&one]);
    assert!(!up(&report, "vpn.a@cgw"));
    assert!(dropped(&report, "ttl_too_low") > 0, "{:?}", report.drops);
    assert!(warned(scenario(TUNNELS, &[&one]).plan(), "customer.ttl_security"));
    let both = tunnel("ttl_security=1");
    assert!(up(&until(20, TUNNELS, &[&both]), "vpn.a@cgw"), "the customer's end has it, too");
    // What goes out with a TTL of 64 arrives as well as with 1: the tunnel is one hop.
    let report = until(20, TUNNELS, &[&tunnel("customer.multihop=64")]);
    assert!(up(&report, "vpn.a@cgw"));
}

/// Through a router between them: two hops, so of 255 there are 254 left (RFC 5082 section 3).
#[test]
fn ttl_security_counts_hops() {
    let with = |hops: u8| {
        let ends = [("left", "right"), ("right", "left")];
        let changes = ends.map(|(node, peer)| {
            let address = if peer == "right" { "10.255.3.2" } else { "10.255.3.1" };
            let asn = if peer == "right" { 65_060 } else { 65_050 };
            let neighbor = format!("(interface: \"lo\", address: \"{address}\", asn: {asn}, ttl_security: {hops})");
            format!("nodes.{node}.neighbors={{\"{peer}\": {neighbor}}}")
        });
        until(20, LOOPBACKS, &changes.each_ref().map(String::as_str))
    };
    assert!(up(&with(2), "right@left"));
    let near = with(1);
    assert!(!up(&near, "right@left"), "which is for the next hop, and so wants a connected network");
    assert_eq!(dropped(&near, "ttl_too_low"), 0, "nothing is sent");
}

/// Graceful restart of a tunnel's session, by RFC 8538 also through an expired hold timer: routes are used on as stale ones while the
/// path is silent, and are gone without.
#[test]
fn a_tunnel_may_have_graceful_restart() {
    let told = [
        "connections.vpn.tunnels.a.graceful_restart=(restart_time: \"120s\", notification: true)",
        "faults={\"cut\": (at: \"60s\", heal: \"400s\", what: Blackhole(link: \"path-a\"))}",
        // The tunnel's own end would take the routes with it.
        "connections.vpn.tunnels.a.dpd_timeout_action=none",
        "connections.vpn.tunnels.a.customer.dpd_timeout_action=none",
    ];
    let ways = |changes: &[&str]| {
        let mut simulation = Simulation::new(&scenario(TUNNELS, changes));
        simulation.run_until(Instant::from_secs(100));
        simulation.answer().detail.routes.into_iter().rfind(|r| r.node == "cgw" && r.prefix == "10.0.0.0/16")
    };
    let via = |changes: &[&str]| ways(changes).and_then(|route| route.via).unwrap_or_default();
    assert_eq!(via(&told), "vpn.a");
    assert_eq!(via(&told[1..]), "vpn.b");
}

/// A limit at the customer gateway's end: one VPC is one prefix, and a transit gateway that tells of another site has one too many.
#[test]
fn a_customer_gateway_may_limit_what_it_takes() {
    let most =
        |most: u32| format!("connections.one.tunnels.a.customer.max_prefixes=(most: {most}, then: \"stay_down\")");
    let apart = ["nodes.cgw2.asn=65020", "nodes.cgw2.advertise=[\"10.2.0.0/16\"]"];
    let report = |most: &str, more: &[&str]| until(60, TRANSIT, &[&[most], more].concat());
    assert!(up(&report(&most(1), &[]), "one.a@cgw1"));
    assert!(up(&report(&most(2), &apart), "one.a@cgw1"));
    let over = report(&most(1), &apart);
    let session = over.sessions.iter().find(|s| s.kind == "bgp" && s.name == "one.a@cgw1").expect("it is there");
    assert_eq!(session.transitions.last().map(|t| t.reason.as_str()), Some("prefix_limit"));
    assert_eq!(session.transitions.iter().filter(|t| t.to == "established").count(), 1, "it stays down");
}

/// A limit with a time: the neighbour is taken again after just that.
#[test]
fn a_session_over_its_limit_comes_back_when_it_is_told() {
    let changes = [
        "nodes.west.neighbors.east-a.max_prefixes=(most: 1, then: \"30s\")",
        "nodes.east.advertise=[\"10.1.0.0/24\", \"10.9.0.0/24\"]",
    ];
    let report = until(100, ROUTERS, &changes);
    let session = report.sessions.iter().find(|s| s.name == "east-a@west" && s.kind == "bgp").expect("it is there");
    let over: Vec<_> = session.transitions.iter().filter(|t| t.reason == "prefix_limit").map(|t| t.at_s.0).collect();
    assert!(over.len() >= 3, "{:?}", session.transitions);
    for pair in over.windows(2) {
        let apart = pair[1].saturating_sub(pair[0]);
        // 30 s, and the round trips of a new session.
        assert!(apart > Duration::from_secs(30) && apart < Duration::from_millis(30_200), "{apart}");
    }
}

/// No report, plan or diagnostic has a key in it.
#[test]
fn a_key_is_never_seen() {
    let key = "correct.horse.battery";
    let changes = [
        format!("connections.vpn.tunnels.a.md5_key={key}"),
        format!("connections.vpn.tunnels.b.customer.md5_key={key}"),
    ];
    let changes = changes.each_ref().map(String::as_str);
    let scenario = scenario(TUNNELS, &changes);
    let mut simulation = Simulation::new(&scenario);
    simulation.run_until(Instant::from_secs(20));
    let outcome = simulation.answer();
    let all = [
        text::render(&outcome, text::Layout::default()),
        markdown::render(&outcome),
        outcome.report.to_json(),
        format!("{:?}", scenario.plan()),
    ];
    assert!(all.iter().all(|text| !text.contains(key)));
    let wrong = scenario.with(&[&format!("connections.vpn.tunnels.a.md5_key={key} {key}")], &NoSecrets);
    assert!(wrong.is_err_and(|mistakes| !mistakes.to_string().contains(key)));
}
