//! What devices make of trouble that no scenario of the library has.

use sim_core::time::{Duration, Instant};
use sim_scenarios::report::{Outcome, markdown, text};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// A scenario of the library with changes, until that second.
fn until(seconds: u64, text: &str, changes: &[&str]) -> Outcome {
    let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    let changed = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut simulation = Simulation::new(&changed);
    simulation.run_until(Instant::from_secs(seconds));
    simulation.answer()
}

/// The provider's router sees that the customer's line is down and answers what AWS sends there with ICMP errors. Those
/// prove nothing (RFC 7296 section 2.4): they are counted under their own name, and the tunnels stand until DPD has
/// waited its 40 s.
#[test]
fn icmp_errors_bring_no_tunnel_down() {
    let text = include_str!("../../scenarios/active_passive.ron");
    let line_cut = "faults.cut.what=LinkDown(link: \"uplink\")";
    let report = until(330, text, &[line_cut]).report;
    let at_endpoints = |reason: &str| {
        let counts = report.drops.iter().filter(|d| d.node.as_deref().is_some_and(|node| node.starts_with("vpn.")));
        counts.filter(|d| d.reason == reason).map(|d| d.packets).sum::<u64>()
    };
    assert!(at_endpoints("icmp_ignored") > 0, "{:?}", report.drops);
    assert_eq!(at_endpoints("not_for_me"), 0);
    let fallen = report.sessions.iter().filter(|s| s.kind == "ike" && s.name.ends_with("@aws"));
    assert!(fallen.flat_map(|s| &s.transitions).all(|t| t.to != "down"), "no SA goes within 30 s");
}

/// An endpoint that loses power for less time than AWS needs to notice has lost its SAs and routes all the same: when it
/// is back, the gateway holds it unhealthy and has nothing through it before it has learned that again.
#[test]
fn a_short_loss_of_power_is_no_secret() {
    let text = include_str!("../../scenarios/endpoint_power_loss.ron");
    let outcome = until(400, text, &["faults.power.heal_after=500ms"]);
    let healed = outcome.report.faults.iter().find(|fault| fault.id == "power.heal").expect("it heals").at_s.0;
    let of_vgw = outcome.detail.routes.iter().filter(|change| change.node == "vgw");
    let after: Vec<_> = of_vgw.filter(|change| change.at.since_start() >= healed).collect();
    let first = after.first().expect("the gateway moves");
    assert_eq!((first.at.since_start(), first.via.as_deref()), (healed, Some("vpn.b")));
    let again = after.iter().find(|change| change.via.as_deref() == Some("vpn.a")).expect("it comes back");
    assert_eq!(again.reason, "learned");
    assert!(again.at.since_start() > healed + Duration::from_secs(1), "after IKE and BGP");
}

/// A tunnel that never came up explains all that does not work afterwards, so the answer says why it did not; and no
/// report shows the pre-shared keys that differ.
#[test]
fn a_tunnel_that_never_came_up_is_part_of_the_answer() {
    let scenario = include_str!("../../scenarios/active_passive.ron");
    let key = "abcdefgh12345";
    let outcome = until(60, scenario, &[&format!("connections.vpn.tunnels.a.customer.pre_shared_key={key}")]);
    let wide = text::Layout { width: 200, ..text::Layout::default() };
    let answer = text::render_answer(&outcome, wide);
    let why = "ike vpn.a@aws (psk_mismatch) and ike vpn.a@cgw (authentication_failed)";
    assert!(answer.contains(&format!("Never established: {why}.")), "{answer}");
    let reports = [answer, text::render(&outcome, wide), markdown::render(&outcome), outcome.report.to_json()];
    assert!(reports.iter().all(|report| !report.contains(key)));
}
