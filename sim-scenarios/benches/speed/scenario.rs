//! Whole scenarios: simulated seconds per CPU second.

use sim_core::time::{Duration, Instant};
use sim_scenarios::report::html::{self, Asked};
use sim_scenarios::report::{markdown, text, timeline};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::meter::{Limit, Report, cpu_ns, undisturbed};

/// When everything is up.
const SET_UP: Instant = Instant::from_secs(60);

/// `scenarios/active_passive.ron` with its 100-octet echo every 20 ms in ESP, and again as a control plane alone. The
/// stream that watches the way back is left out of both.
pub fn active_passive(report: &mut Report) {
    let text = include_str!("../../../scenarios/active_passive.ron");
    let scenario = Scenario::parse("active_passive.ron", text, &NoSecrets).expect("it is right");
    let scenario = scenario.with(&["probes.back.every=1h"], &NoSecrets).expect("it is right");
    let line = "active_passive, 900 s";
    if report.wants(line) {
        assert!(scenario.plan().probes.iter().any(|p| p.size == 100 && p.every == Duration::from_millis(20)));
        report.floor(line, simulated_per_second(&scenario, Instant::START, report.samples(9, 3)), 5_000.0);
    }
    let line = "its control plane alone, 3600 s after set-up";
    if report.wants(line) {
        let changes = ["duration=3660s", "faults.cut.enabled=false", "probes.app.every=1h"];
        let alone = scenario.with(&changes, &NoSecrets).expect("it is right");
        report.floor(line, simulated_per_second(&alone, SET_UP, report.samples(31, 7)), 50_000.0);
    }
}

/// What it takes to say what a run found, in all forms of it that this crate makes, beside the run itself.
pub fn told(report: &mut Report) {
    let line = "report of active_passive in five forms, beside run";
    if !report.wants(line) {
        return;
    }
    let text = include_str!("../../../scenarios/active_passive.ron");
    let scenario = Scenario::parse("active_passive.ron", text, &NoSecrets).expect("it is right");
    let (mut telling, mut running) = (Vec::new(), Vec::new());
    for _ in 0..report.samples(15, 5) {
        let began = cpu_ns();
        let mut simulation = Simulation::new(&scenario);
        simulation.run_until(simulation.end());
        let ran = cpu_ns();
        let outcome = simulation.finish();
        let asked = Asked { plan: scenario.plan(), text: &scenario.text(), command: "vpnsim run active_passive.ron" };
        let forms = [
            text::render(&outcome, text::Layout::default()),
            outcome.report.to_json(),
            markdown::render(&outcome),
            html::render(&outcome, &asked),
            timeline::render(&outcome),
        ];
        telling.push((cpu_ns() - ran) as f64);
        running.push((ran - began) as f64);
        assert!(forms.iter().all(|form| form.len() > 1_000), "each says something");
    }
    report.ratio(line, Limit::Cost(0.10), undisturbed(telling), undisturbed(running));
}

/// From `start` to the end of the scenario; what happens before is not counted.
fn simulated_per_second(scenario: &Scenario, start: Instant, runs: usize) -> f64 {
    let cost = |_| {
        let mut simulation = Simulation::new(scenario);
        simulation.run_until(start);
        let end = simulation.end();
        let began = cpu_ns();
        simulation.run_until(end);
        (cpu_ns() - began) as f64 / (end.as_nanos() - start.as_nanos()) as f64
    };
    1.0 / undisturbed((0..runs).map(cost).collect())
}
