//! What the answer would be at the ends of what is assumed.

use sim_core::time::Duration;
use sim_scenarios::report::Outcome;
use sim_scenarios::report::model::{AssumptionEnd, Report};
use sim_scenarios::report::{markdown, text};
use sim_scenarios::{NoSecrets, Scenario, Simulation, ends};

fn answered(text: &str, changes: &[&str]) -> (Scenario, Outcome) {
    let scenario = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    let scenario = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let outcome = Simulation::new(&scenario).finish();
    (scenario, outcome)
}

fn asked(text: &str, changes: &[&str]) -> Outcome {
    let (scenario, mut outcome) = answered(text, changes);
    ends::ask(&scenario, &NoSecrets, &mut outcome).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    outcome
}

fn ends_of<'a>(report: &'a Report, parameter: &str) -> &'a [AssumptionEnd] {
    let found = report.assumptions.iter().find(|assumption| assumption.parameter == parameter);
    let assumption = found.unwrap_or_else(|| panic!("{parameter} is not among {:?}", report.assumptions));
    &assumption.range.as_ref().expect("it has a range").ends
}

/// How long one direction of a stream is dark because of a fault.
fn dark(end: &AssumptionEnd, probe: &str, direction: &str, fault: &str) -> Duration {
    let is = |d: &&sim_scenarios::report::model::Darkness| {
        (d.probe.as_str(), d.direction.as_str(), d.fault.as_deref()) == (probe, direction, Some(fault))
    };
    end.darkness.iter().find(is).map_or(Duration::ZERO, |d| d.longest_s.0)
}

const ACTIVE_PASSIVE: &str = include_str!("../../scenarios/active_passive.ron");
const DELAY: &str = "assume.vgw_programming_delay";

/// AWS's own direction waits for the gateway's table: with ten seconds more there it is dark for ten seconds more, within what one
/// probe tells (100 ms), and what is expected of it no longer holds. At the low end nothing was run again: it is this run.
#[test]
fn a_delay_at_its_ends() {
    let outcome = asked(ACTIVE_PASSIVE, &[]);
    let [low, high] = ends_of(&outcome.report, DELAY) else { panic!("two ends") };
    assert_eq!((low.value.as_str(), high.value.as_str()), ("0s", "10s"));
    assert_eq!((&low.digest, &low.expectations), (&outcome.report.digest, &outcome.report.expectations));
    assert_ne!(high.digest, outcome.report.digest);
    let longer = dark(high, "back", "forward", "cut") - dark(low, "back", "forward", "cut");
    let (ten, probe) = (Duration::from_secs(10), Duration::from_millis(100));
    assert!(longer + probe >= ten && longer <= ten + probe, "{longer}");
    let told = text::render(&outcome, text::Layout::default());
    assert!(told.contains("At the ends of what is assumed"), "{told}");
    let told = markdown::render(&outcome);
    let line = told.lines().find(|line| line.contains(DELAY) && line.contains("| 10s |")).expect("it has a row");
    // README has 25.800 s of this direction.
    assert!(line.contains("cut: back forward dark for 35.800 s, not 25.800 s"), "{line}");
    assert!(line.contains("fails: 35.800 s from 306.500 s"), "{line}");
    assert!(told.lines().any(|line| line.contains(DELAY) && line.contains("| 0s | this run |")), "{told}");
    let json: Report = serde_json::from_str(&outcome.report.to_json()).expect("it reads back");
    assert_eq!(json, outcome.report);
}

/// The answer at an end is that of the scenario with that value, whatever its own value is, and whichever way it is set.
#[test]
fn the_answer_at_an_end_is_that_of_the_changed_scenario() {
    let outcome = asked(ACTIVE_PASSIVE, &["assume.vgw_programming_delay=3s", "seed=7"]);
    let [low, high] = ends_of(&outcome.report, DELAY) else { panic!("two ends") };
    for end in [low, high] {
        let (_, alone) = answered(ACTIVE_PASSIVE, &["seed=7", &format!("{DELAY}={}", end.value)]);
        assert_eq!((&end.digest, &end.expectations), (&alone.report.digest, &alone.report.expectations));
    }
    assert!(low.digest != outcome.report.digest && high.digest != outcome.report.digest);
}

/// A choice has no ends: each tunnel is asked about, and the one that the other choice prefers makes the difference.
#[test]
fn a_choice_of_aws_at_each_tunnel() {
    let text = include_str!("../../scenarios/vgw_never_balances.ron");
    let outcome = asked(text, &[]);
    let preferred = ends_of(&outcome.report, "nodes.vgw.preferred_tunnel");
    assert_eq!(preferred.len(), 2);
    let same: Vec<bool> = preferred.iter().map(|end| end.digest == outcome.report.digest).collect();
    assert_eq!(same.iter().filter(|same| **same).count(), 1, "one of them is this run: {preferred:?}");
}

/// Without being asked a report has no ends, and every range of every scenario of the library is one that can be set there.
#[test]
fn every_end_can_be_set() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    let (mut ends, mut kinds) = (0, std::collections::BTreeSet::new());
    for path in std::fs::read_dir(folder).expect("the library").map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_none_or(|extension| extension != "ron") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let scenario = Scenario::parse("library.ron", &text, &NoSecrets).expect("it makes sense");
        for assumption in &scenario.plan().assumptions {
            for value in assumption.range.iter().flat_map(|range| &range.ends) {
                let change = format!("{}={value}", assumption.parameter);
                let changed = scenario.with(&[&change, "control=[]"], &NoSecrets);
                changed.unwrap_or_else(|mistakes| panic!("{}: {change}: {mistakes}", path.display()));
                kinds.insert(assumption.what);
                ends += 1;
            }
        }
    }
    assert!(ends > 500 && kinds.len() >= 10, "{ends} ends of {kinds:?}");
    let (_, outcome) = answered(ACTIVE_PASSIVE, &[]);
    assert!(outcome.report.assumptions.iter().all(|assumption| assumption.range.is_none()));
    assert!(!outcome.report.to_json().contains("\"range\""));
}
