//! Many runs at once: what a pool of threads reaches, against processes that know nothing of each other.
//!
//! Whatever threads of one process meet at (an allocator, a counter, a lock) costs the pool and not the processes. Unlike the other
//! lines this one is of the wall clock, because who waits uses no CPU time.

use std::process::Command;
use std::time::Instant;

use sim_scenarios::{NoSecrets, Scenario, Simulation, pool};

use crate::meter::{Limit, Report, undisturbed};

/// The first argument of a process that runs its share.
const MARK: &str = "--crowd";
/// As many as the promise is about.
const THREADS: usize = 2;

fn scenario() -> Scenario {
    let text = include_str!("../../../scenarios/active_passive.ron");
    Scenario::parse("active_passive.ron", text, &NoSecrets).expect("it is right")
}

/// Runs it once, with a report.
fn run(scenario: &Scenario) {
    assert!(Simulation::new(scenario).finish().report.all_held());
}

/// True if this process is one that runs its share, which it has then done.
pub fn ran() -> bool {
    let mut words = std::env::args().skip_while(|word| word != MARK).skip(1);
    let Some(runs) = words.next().and_then(|word| word.parse::<usize>().ok()) else { return false };
    let scenario = scenario();
    (0..runs).for_each(|_| run(&scenario));
    true
}

/// 1,000 runs of `active_passive` by two threads (a few of them in a short bench), against two processes that share them.
pub fn pool(report: &mut Report) {
    let line = "active_passive on 2 threads, wall time";
    if !report.wants(line) {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < THREADS {
        return report.lacking(line, "this machine has one core");
    }
    let runs = report.samples(1_000, 16);
    let rounds = report.samples(2, 4);
    let scenario = scenario();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(wall(|| pool::each(THREADS, runs, |_| run(&scenario), |_, ()| {})) / runs as f64);
        theirs.push(wall(|| in_processes(runs / THREADS)) / runs as f64);
    }
    report.narrow(line, Limit::Rate(0.95), undisturbed(ours), undisturbed(theirs));
}

/// Nanoseconds that it takes.
fn wall(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64
}

fn in_processes(share: usize) {
    let program = std::env::current_exe().expect("this program has a place");
    let start = |_| Command::new(&program).args([MARK, &share.to_string()]).spawn().expect("it starts once more");
    let children: Vec<_> = (0..THREADS).map(start).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
}
