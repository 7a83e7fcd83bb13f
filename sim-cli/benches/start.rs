//! How long a user waits: from starting the program to the end of what it prints, beside what it takes to print its version.
//!
//! Wall time, because a user waits for the dynamic linker, too. `VPNSIM_BENCH_SHORT=1` takes fewer samples.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads a clock and prints; neither reaches the simulator"
)]

#[allow(dead_code, reason = "lines of other benches need the rest")]
#[path = "../../sim-scenarios/benches/speed/bare.rs"]
mod bare;
#[allow(dead_code, reason = "lines of other benches need the rest")]
#[path = "../../sim-scenarios/benches/speed/meter.rs"]
mod meter;

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use meter::{Report, duration, undisturbed};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let report = Report::new();
    let line = "vpnsim run active_passive.ron, wall time";
    if report.wants(line) {
        let machine = bare::machine(&report);
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/active_passive.ron");
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..=report.samples(41, 11) {
            ours.push(wall(&["run", scenario]));
            reference.push(wall(&["--version"]));
        }
        // The first of each finds a cold cache.
        let [ours, reference] = [ours, reference].map(|costs| undisturbed(costs[1..].to_vec()));
        report.within(line, 150e6, 10.0, ours, reference);
        // A floor is for a machine like CI's.
        report.note("  as if that took 0.37 us", &duration(ours * 370.0 / machine));
    }
    report.finish()
}

/// Nanoseconds from start to end of a call of the program.
fn wall(arguments: &[&str]) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpnsim"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    assert!(command.status().expect("the program is built").success());
    began.elapsed().as_nanos() as f64
}
