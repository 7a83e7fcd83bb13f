//! Scenarios of thousands of devices: a sample of each, with its controls and its golden report. `VPNSIM_FULL=1` runs them as they are, which
//! the suite of `.ci/run` does with an optimised build.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::report::markdown;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// So many of what there is thousands of.
const SAMPLE: &str = "copies.site=60";

fn repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

/// The scenario as it stands in its file.
fn whole(name: &str) -> Scenario {
    let file = format!("{name}.ron");
    let text = fs::read_to_string(repository("scenarios/large").join(&file)).expect("a scenario is text");
    Scenario::parse(&file, &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn scenario(name: &str) -> Scenario {
    let whole = whole(name);
    assert_eq!(whole.plan().name, name, "a scenario is called like its file");
    if env::var_os("VPNSIM_FULL").is_some() { whole } else { whole.with(&[SAMPLE], &NoSecrets).expect("it is right") }
}

#[test]
fn tgw_5000_attachments() {
    let scenario = scenario("tgw_5000_attachments");
    let outcome = Simulation::new(&scenario).finish();
    for it in &outcome.report.expectations {
        assert!(it.held, "{}: {}", it.text, it.detail);
    }
    let plan = scenario.plan();
    for control in &plan.controls {
        let changed = scenario.with(&control.change, &NoSecrets).expect("it is right");
        let report = Simulation::new(&changed).finish().report;
        let name = &plan.expectations[control.fails].name;
        let named = report.expectations.iter().find(|it| it.name == *name).expect("it is judged");
        assert!(!named.held, "{}: `{name}` still holds: {}", control.change.join(", "), named.detail);
    }
    if env::var_os("VPNSIM_FULL").is_none() {
        let golden = repository("reports/large/tgw_5000_attachments_60_sites.md");
        let today = markdown::render(&outcome);
        if env::var_os("UPDATE").is_some() && env::var_os("CI").is_none() {
            fs::write(&golden, &today).expect("it can be written");
        }
        let golden = fs::read_to_string(&golden).unwrap_or_default();
        let first = golden.lines().zip(today.lines()).find(|(then, now)| then != now);
        assert!(golden == today, "reports/large is not today's answer (UPDATE=1 rewrites it): {first:?}");
    }
}

/// AWS's quota: 5,000 attachments of a transit gateway (page transit-gateway-quotas.html). As it stands the drawing has just so many, and
/// with one more site it is warned of.
#[test]
fn five_thousand_attachments_and_more_on_request() {
    let whole = whole("tgw_5000_attachments");
    let warned = |scenario: &Scenario| {
        let said = |it: &&sim_scenarios::plan::Warning| it.text.contains("attachments: AWS allows 5000");
        scenario.plan().warnings.iter().filter(said).count()
    };
    assert_eq!(whole.plan().connections.len(), 4_950);
    assert_eq!(warned(&whole), 0);
    let more = whole.with(&["copies.site=4951", "control=[]"], &NoSecrets).expect("it is right");
    assert_eq!(warned(&more), 1);
}
