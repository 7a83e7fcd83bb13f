//! One scenario and one seed give one trace: twice in a process, and on a thread of its own.
//!
//! All scenarios, in other processes, directories, environments and builds: `sim-cli/tests/determinism.rs`.

use std::thread;

use sim_scenarios::{NoSecrets, Simulation};

mod shared;

/// The whole answer, whose digest covers every packet.
fn answer(name: &str, text: &str) -> String {
    Simulation::new(&shared::parse(name, text)).finish().report.to_json()
}

/// One scenario of so many; with `VPNSIM_FULL=1` all.
const SAMPLE: usize = 4;

#[test]
#[allow(clippy::disallowed_methods, reason = "the short form and the long one of this test")]
fn a_scenario_gives_one_trace() {
    let step = if std::env::var_os("VPNSIM_FULL").is_some() { 1 } else { SAMPLE };
    for (name, text) in shared::texts().into_iter().step_by(step) {
        let elsewhere = thread::scope(|scope| {
            let other = scope.spawn(|| answer(&name, &text));
            let here = answer(&name, &text);
            (here, other.join().expect("it runs"))
        });
        let (here, there) = elsewhere;
        assert!(here == there, "{name}: two runs differ:\n{}", difference(&here, &there));
    }
}

/// The digest sees what happens: another seed gives another, and what is only measured or said does not.
#[test]
fn a_digest_is_of_the_trace_alone() {
    let texts = shared::texts();
    let (name, text) = texts.iter().find(|(name, _)| name == "graceful_delete").unwrap_or(&texts[0]);
    let scenario = shared::parse(name, text);
    let digest = |changes: &[&str]| {
        let changed = scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        Simulation::new(&changed).finish().report.digest
    };
    let plain = digest(&[]);
    assert_ne!(plain, digest(&["seed=2"]));
    assert_eq!(plain, digest(&["question=Something else?"]));
}

/// How a run is cut into steps changes nothing.
#[test]
fn stepping_and_running_are_the_same() {
    let texts = shared::texts();
    let (name, text) = texts.iter().find(|(name, _)| name == "graceful_delete").unwrap_or(&texts[0]);
    let scenario = shared::parse(name, text);
    let mut stepped = Simulation::new(&scenario);
    while stepped.step() {}
    let ran = Simulation::new(&scenario).finish();
    assert_eq!(format!("{:032x}", stepped.world().trace.digest()), ran.report.digest);
}

/// The first line in which two texts differ, of each.
fn difference(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines());
    lines.filter(|(a, b)| a != b).take(1).map(|(a, b)| format!("  {a}\n  {b}")).collect()
}
