//! Every scenario of the library holds what it expects, and under each of its controls, a change that must break it, the
//! expectation that the control names fails.

use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::report::model::Expectation;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

#[test]
fn expectations_hold() {
    for scenario in library() {
        let failed: Vec<_> = answers(&scenario).into_iter().filter(|e| !e.held).collect();
        assert!(failed.is_empty(), "{}: {failed:#?}", scenario.plan().name);
    }
}

#[test]
fn controls_break_what_they_name() {
    for scenario in library() {
        let plan = scenario.plan();
        for control in &plan.controls {
            let changed = scenario.with(&control.change, &NoSecrets);
            let changed = changed.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", plan.name));
            let named = &answers(&changed)[control.fails];
            assert!(!named.held, "{} with {:?} still holds {named:#?}", plan.name, control.change);
        }
    }
}

fn library() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the library")
        .map(|entry| entry.expect("an entry of the library").path())
        .filter(|path| path.extension().is_some_and(|end| end == "ron"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let parse = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a scenario");
        Scenario::parse(&file.to_string_lossy(), &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    files.iter().map(parse).collect()
}

/// What became of a scenario's expectations, in its own order.
fn answers(scenario: &Scenario) -> Vec<Expectation> {
    let mut simulation = Simulation::new(scenario);
    simulation.run_until(simulation.end());
    simulation.finish().report.expectations
}
