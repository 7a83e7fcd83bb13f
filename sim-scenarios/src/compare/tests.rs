//! Each sentence against a pair of reports whose difference is made by hand; and laws that hold of all pairs.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;
use sim_core::time::Duration;

use super::diff::{Diff, Seeds, Side};
use super::inputs::{Input, inputs};
use super::*;
use crate::report::fixture;
use crate::report::model::{
    AlarmChange, Application, ApplicationOutage, Assumption, AssumptionEnd, Darkness, Drop, Ecmp, Misconfiguration,
    Outage, Profile, ProfileSetting, Range, Seconds,
};
use crate::scenario::{NoSecrets, Scenario};

/// The fixture's report with something in every list.
fn full() -> Report {
    static FULL: OnceLock<Report> = OnceLock::new();
    FULL.get_or_init(make_full).clone()
}

fn make_full() -> Report {
    let mut report = fixture::failover().report;
    let at = |seconds| Seconds(Duration::from_secs(seconds));
    report.applications = vec![Application {
        name: "web".into(),
        kind: "tcp".into(),
        flows: 20,
        connected: 19,
        done: 18,
        alive: 1,
        stalled: 0,
        reset: 0,
        timed_out: 1,
        questions: 100,
        answers: 98,
        outage: Some(ApplicationOutage {
            last_byte_s: Some(at(59)),
            asked_s: at(60),
            first_byte_s: at(91),
            waited_s: at(31),
        }),
        host: Some("Linux 6".into()),
    }];
    report.ecmp = vec![Ecmp {
        group: "cgw".into(),
        member: "vpn.a".into(),
        flows: 10,
        packets: 1_000,
        asymmetric_flows: 4,
        failed_flows: 3,
        dropped: 40,
        drop_share: 0.04,
        reason: Some("no_state".into()),
    }];
    report.misconfigurations = vec![Misconfiguration {
        tunnel: "vpn.a".into(),
        at_s: at(1),
        setting: "phase2".into(),
        aws: "AES128".into(),
        customer: "AES256".into(),
        text: "no proposal of phase 2 is common".into(),
        log: Some("AWS tunnel: no proposal chosen".into()),
    }];
    report.alarms = vec![AlarmChange {
        alarm: "down".into(),
        at_s: at(120),
        from: "OK".into(),
        to: "ALARM".into(),
        reason: "Threshold crossed".into(),
    }];
    report.profiles = vec![Profile {
        device: "cgw".into(),
        profile: "strongswan_bird".into(),
        about: "strongSwan with BIRD".into(),
        settings: vec![ProfileSetting {
            parameter: "nodes.cgw.dpd".into(),
            value: "30s".into(),
            source: "seen there".into(),
        }],
    }];
    report.assumptions[0] = Assumption {
        range: Some(Range {
            source: "a guess".into(),
            ends: vec![AssumptionEnd {
                value: "0s".into(),
                digest: "00".into(),
                expectations: Vec::new(),
                darkness: vec![Darkness {
                    probe: "office-to-app".into(),
                    direction: "forward".into(),
                    fault: Some("path-a-dark".into()),
                    longest_s: at(26),
                }],
            }],
        }),
        ..report.assumptions[0].clone()
    };
    report
}

/// The sentences about a change to the full report, made by `change`, and nothing else.
fn said(change: impl FnOnce(&mut Report)) -> Vec<String> {
    let (was, mut is) = (full(), full());
    change(&mut is);
    is.digest = "another".into();
    compare(&was, &is).sentences()
}

fn seconds(millis: u64) -> Seconds {
    Seconds(Duration::from_millis(millis))
}

#[test]
fn the_same_is_the_same() {
    let comparison = compare(&full(), &full());
    assert_eq!((comparison.verdict, comparison.changes.len()), (Verdict::Same, 0));
    assert_eq!(comparison.counts(), "nothing changed");
}

/// Name, seed and version say of what the answer is.
#[test]
fn a_digest_alone_is_no_behaviour() {
    let report = full();
    let other = Report { seed: 8, vpnsim: "9.9.9".into(), scenario: "x".into(), digest: "ff".into(), ..full() };
    let comparison = compare(&report, &other);
    assert_eq!(comparison.verdict, Verdict::TraceOnly);
    assert_eq!(comparison.sentences(), ["The trace differs, what is reported does not."]);
}

/// Forward it was dark from 60.000 s to 86.300 s: 26.300 s. If it comes back at 69.120 s, that is 9.120 s: 17.180 s less.
#[test]
fn a_shorter_outage_is_said_with_the_difference() {
    let said = said(|report| {
        report.outages[0].end_s = Some(seconds(69_120));
        report.outages[0].duration_s = seconds(9_120);
        report.outages[0].lost = 456;
    });
    assert_eq!(said, ["office-to-app forward: outage of path-a-dark was 26.300 s, is 9.120 s (-17.180 s)."]);
}

#[test]
fn an_outage_comes_goes_stays_or_is_another_s() {
    assert_eq!(
        said(|report| drop(report.outages.remove(1))),
        ["office-to-app reverse: outage of path-a-dark is gone: it was 28.920 s."]
    );
    let another = |fault: Option<&str>, start: u64, length: u64| Outage {
        probe: "office-to-app".into(),
        direction: "forward".into(),
        fault: fault.map(Into::into),
        start_s: seconds(start),
        end_s: Some(seconds(start + length)),
        duration_s: seconds(length),
        lost: 10,
    };
    assert_eq!(
        said(|report| report.outages.push(another(None, 200_000, 1_500))),
        ["office-to-app forward: outage behind no fault is new: 1.500 s."]
    );
    // Until the end of the run, at 240 s: 180 s, which is 153.700 s more.
    assert_eq!(
        said(|report| {
            report.outages[0].end_s = None;
            report.outages[0].duration_s = seconds(180_000);
        }),
        [
            "office-to-app forward: outage of path-a-dark was 26.300 s, is 180.000 s (+153.700 s).",
            "office-to-app forward: outage of path-a-dark: end was 86.300 s, is still dark when the run ended.",
        ]
    );
    // At the same time, but because of something else.
    assert_eq!(
        said(|report| report.outages[0].fault = Some("flood".into())),
        ["office-to-app forward: cause of the outage from 60.000 s was path-a-dark, is flood."]
    );
    // Twice instead of once: 26.300 s and 1.500 s are 27.800 s.
    assert_eq!(
        said(|report| report.outages.push(another(Some("path-a-dark"), 200_000, 1_500))),
        [
            "office-to-app forward: outage of path-a-dark: how often was 1, is 2 (+1).",
            "office-to-app forward: outage of path-a-dark: in all was 26.300 s, is 27.800 s (+1.500 s).",
        ]
    );
}

/// The hold timer of vpn-a cost 27.900 s, the programming of the route 1 s after it, and the answer to the probe that was sent then took
/// 31 ms. With a hold timer that costs 9 s, traffic is
/// back 18.900 s earlier, and the way is as it was.
#[test]
fn the_wait_that_changed_is_named() {
    let said = said(|report| {
        let path = &mut report.faults[0].critical_path;
        path[2].waited_s = seconds(9_000);
        for step in &mut path[2..] {
            step.at_s = Seconds(step.at_s.0 - Duration::from_millis(18_900));
        }
    });
    let total = "path-a-dark: from the fault to recovered traffic was 28.931 s, is 10.031 s (-18.900 s).";
    let wait = "path-a-dark: wait for the hold timer of vpn-a (bgp tunnel-a) was 27.900 s, is 9.000 s (-18.900 s).";
    assert_eq!(said, [total, wait]);
}

#[test]
fn a_verdict_comes_first() {
    let said = said(|report| {
        report.drops[0].packets = 1_000;
        report.expectations[0].held = false;
        report.expectations[0].detail = "40.000 s".into();
    });
    assert_eq!(
        said,
        [
            "expectation expectation was held (28.920 s), is failed (40.000 s).",
            "packets dropped by internet-a cgw to vpn-a for blackhole was 1326, is 1000 (-326).",
        ]
    );
}

/// Of three expectations with one name, as of any things with one name, the first is held against the first.
#[test]
fn things_are_paired_by_name_and_order() {
    let found = pairs(&["a", "b", "a", "c"], &["a", "d", "a", "a", "b"], |it| *it);
    let both = |it: &'static &'static str| (Some(it), Some(it));
    assert_eq!(found, [both(&"a"), both(&"b"), both(&"a"), (Some(&"c"), None), (None, Some(&"d")), (None, Some(&"a"))]);
}

#[test]
fn a_session_is_told_by_how_it_came_up_fell_and_ended() {
    // bgp of cgw tunnel-a: established at 0.187 s, hold_timer_expired at 86.300 s, established again.
    let place = full().sessions.iter().position(|it| it.kind == "bgp" && it.name == "cgw tunnel-a").unwrap();
    assert_eq!(
        said(|report| {
            report.sessions[place].transitions[4].reason = "bfd_down".into();
            report.sessions[place].transitions.pop();
        }),
        [
            "bgp cgw tunnel-a: taken down by was hold_timer_expired, is bfd_down.",
            "bgp cgw tunnel-a: at the end was established (keepalive_received), is open_sent (tcp_connected).",
            "bgp cgw tunnel-a: state changes was 7, is 6 (-1).",
        ]
    );
    assert_eq!(
        said(|report| report.sessions[place].transitions[4].at_s = seconds(66_300)),
        [
            "bgp cgw tunnel-a: state change 5 (established -> idle, hold_timer_expired) was 86.300 s, is 66.300 s (-20.000 s)."
        ]
    );
    assert_eq!(
        said(|report| {
            report.sessions[place].established_s = None;
            report.sessions[place].transitions.clear();
        })[0],
        "bgp cgw tunnel-a: first established was 0.187 s, is never."
    );
}

#[test]
fn counts_shares_and_texts_are_told_in_their_units() {
    assert_eq!(
        said(|report| report.drops.push(Drop { reason: "no_route".into(), packets: 7, ..report.drops[0].clone() })),
        ["packets dropped by internet-a cgw to vpn-a for no_route is new: 7."]
    );
    assert_eq!(
        said(|report| report.probes[0].loss = 0.25).last().unwrap().split(" was ").next(),
        Some("office-to-app forward: loss")
    );
    assert_eq!(
        said(|report| report.applications[0].timed_out = 5),
        ["application web: flows timed out was 1, is 5 (+4)."]
    );
    assert_eq!(
        said(|report| report.misconfigurations.clear()),
        ["phase2 of vpn.a does not fit is gone: it was no proposal of phase 2 is common."]
    );
    assert_eq!(
        said(|report| report.alarms[0].at_s = seconds(180_000)),
        ["alarm down: OK -> ALARM was 120.000 s, is 180.000 s (+60.000 s)."]
    );
}

/// What rounds to the same is not the same: it is said in as many decimals as it takes.
#[test]
fn a_nanosecond_is_a_difference() {
    let said = said(|report| report.outages[0].duration_s = Seconds(Duration::from_nanos(26_300_000_001)));
    assert_eq!(
        said,
        ["office-to-app forward: outage of path-a-dark was 26.300000000 s, is 26.300000001 s (+0.000000001 s)."]
    );
}

#[test]
fn how_many_of_what_is_counted() {
    let mut is = full();
    is.expectations[0].held = false;
    is.expectations[1].held = false;
    is.outages.remove(0);
    let comparison = compare(&full(), &is);
    assert_eq!(comparison.counts(), "2 expectations and 1 outage changed");
}

/// Paths of all numbers, texts and truths of a document.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, it)| leaves(it, &format!("{path}/{key}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, it)| leaves(it, &format!("{path}/{n}"), found)),
        Value::Null => {}
        _ => found.push(path.to_owned()),
    }
}

/// Another value of the same kind.
fn moved(value: &Value) -> Value {
    match value {
        Value::Bool(truth) => Value::Bool(!truth),
        Value::String(text) => Value::String(format!("{text}x")),
        Value::Number(number) if number.is_u64() => (number.as_u64().unwrap() + 1).into(),
        Value::Number(number) => (number.as_f64().unwrap() + 0.25).into(),
        other => other.clone(),
    }
}

/// What identifies a run and is no behaviour.
const IDENTITY: [&str; 4] = ["/scenario", "/seed", "/vpnsim", "/digest"];

#[test]
fn whatever_leaf_differs_something_is_said() {
    let was = full();
    let document = serde_json::to_value(&was).unwrap();
    let mut all = Vec::new();
    leaves(&document, "", &mut all);
    assert!(all.len() > 300, "{}", all.len());
    let mut tried = 0;
    for path in all.iter().filter(|path| !IDENTITY.contains(&path.as_str())) {
        for new in [moved(document.pointer(path).unwrap()), Value::Null] {
            let mut changed = document.clone();
            *changed.pointer_mut(path).unwrap() = new;
            // What cannot be null does not read back.
            let Ok(is) = serde_json::from_value::<Report>(changed) else { continue };
            assert_eq!(compare(&was, &is).verdict, Verdict::Different, "{path}");
            tried += 1;
        }
    }
    assert!(tried >= all.len() - IDENTITY.len(), "{tried} of {}", all.len());
}

proptest! {
    /// What a report says of another, that one says of it, the other way around.
    #[test]
    fn a_difference_has_two_sides(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>()), 1..12),
    ) {
        let document = serde_json::to_value(full()).unwrap();
        let mut all = Vec::new();
        leaves(&document, "", &mut all);
        let mut changed = document.clone();
        for (place, removed) in places {
            let path = place.get(&all);
            let (list, _) = path.rsplit_once('/').unwrap();
            let list = list.rsplit_once('/').map_or("", |(list, _)| list);
            match changed.pointer_mut(list) {
                Some(Value::Array(items)) if removed => drop(items.pop()),
                _ => if let Some(leaf) = changed.pointer_mut(path) { *leaf = moved(leaf) },
            }
        }
        let is: Report = serde_json::from_value(changed).unwrap();
        let sorted = |changes: &mut dyn Iterator<Item = Change>| {
            let mut all: Vec<String> = changes.map(|change| format!("{change:?}")).collect();
            all.sort();
            all
        };
        let there = compare(&full(), &is);
        let back = compare(&is, &full());
        prop_assert_eq!(there.verdict, back.verdict);
        prop_assert_eq!(
            sorted(&mut there.changes.iter().map(Change::mirrored)),
            sorted(&mut back.changes.into_iter())
        );
        prop_assert_eq!(compare(&is, &is).changes, []);
    }
}

fn scenario(changes: &[&str]) -> Scenario {
    let text = include_str!("../../../scenarios/active_passive.ron");
    let scenario = Scenario::parse("active_passive.ron", text, &NoSecrets).unwrap();
    scenario.with(changes, &NoSecrets).unwrap()
}

#[test]
fn inputs_are_paths_that_set_takes() {
    let input = |path: &str, was: Option<&str>, is: Option<&str>| Input {
        path: path.into(),
        was: was.map(Into::into),
        is: is.map(Into::into),
    };
    assert_eq!(inputs(&scenario(&[]), &scenario(&[])), []);
    let changes = [
        "connections.vpn.routing.customer.hold_time=9s",
        "links.path-a.delay=20ms",
        "faults.cut.what=LinkDown(link: \"uplink\")",
        "nodes.cgw.advertise=[\"10.1.0.0/16\", \"10.9.0.0/16\"]",
    ];
    assert_eq!(
        inputs(&scenario(&[]), &scenario(&changes)),
        [
            input("nodes.cgw.advertise", Some("[10.1.0.0/16]"), Some("[10.1.0.0/16, 10.9.0.0/16]")),
            input("links.path-a.delay", Some("10ms"), Some("20ms")),
            input("faults.cut.what", Some("Blackhole(...)"), Some("LinkDown(...)")),
            input("faults.cut.what.link", Some("path-a"), Some("uplink")),
            input("connections.vpn.routing.customer.hold_time", None, Some("9s")),
        ]
    );
    // Each is a path that --set takes, and setting it makes the questions the same.
    let back: Vec<String> = inputs(&scenario(&[]), &scenario(&["links.path-a.delay=20ms", "duration=950s"]))
        .into_iter()
        .map(|input| format!("{}={}", input.path, input.is.unwrap()))
        .collect();
    let back: Vec<&str> = back.iter().map(String::as_str).collect();
    assert_eq!(inputs(&scenario(&back), &scenario(&["links.path-a.delay=20ms", "duration=950s"])), []);
}

#[test]
fn a_key_that_differs_is_named_and_never_shown() {
    let with = |key: &str| scenario(&[&format!("connections.vpn.tunnels.a.pre_shared_key={key}")]);
    let found = inputs(&with("correct.horse"), &with("battery.staple"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "connections.vpn.tunnels.a.pre_shared_key");
    assert_eq!((found[0].was.as_deref(), found[0].is.as_deref()), (Some("***"), Some("***")));
    let control = "control.0.change=[\"connections.vpn.tunnels.a.pre_shared_key=battery.staple\"]";
    let told = format!("{:?}", inputs(&scenario(&[]), &scenario(&[control])));
    assert!(told.contains("pre_shared_key=") && !told.contains("battery"), "{told}");
}

#[test]
fn a_study_is_no_scenario() {
    assert!(Scenario::is_meant_by(include_str!("../../../scenarios/active_passive.ron")));
    assert!(Scenario::is_meant_by("(version: 1, links: {},"), "what does not read is judged, not passed over");
    assert!(Scenario::is_meant_by("(version: 1, nodes: {})"));
    assert!(!Scenario::is_meant_by("// A study\n(scenario: \"active_passive.ron\", seeds: 30)"));
}

/// A comment is read by people who know neither scenario: what is foremost is open, everything else folded, nothing secret.
#[test]
fn the_documents_read_well() {
    let was = fixture::failover().report;
    let mut is = was.clone();
    is.digest = "fe".repeat(16);
    is.outages[0].duration_s = seconds(9_120);
    is.outages[0].end_s = Some(seconds(69_120));
    is.drops[0].packets = 512;
    let comparison = compare(&was, &is);
    let changed = vec!["connections.vpn.routing.customer.hold_time=9s".to_owned()];
    let sides = [Side::new("active_passive.ron", Vec::new(), &was), Side::new("active_passive.ron", changed, &is)];
    let inputs =
        vec![Input { path: "connections.vpn.routing.customer.hold_time".into(), was: None, is: Some("9s".into()) }];
    let seeds = Seeds::of(vec![7, 8], &[[was.clone(), is.clone()], [was.clone(), is.clone()]]);
    let diff = Diff::new(sides, inputs, comparison, Some(seeds));
    insta::assert_snapshot!("diff_markdown", diff.markdown());
    let layout = crate::report::text::Layout::default();
    insta::assert_snapshot!("diff_text", crate::report::text::render_sections(&diff.sections(), layout));
    let json: Value = serde_json::from_str(&diff.to_json()).unwrap();
    assert_eq!(json["schema"], "vpnsim-diff/1");
    assert_eq!(json["changes"][0]["was"], 26.3);
    assert_eq!(json["changes"][0]["about"], "outage");
}
