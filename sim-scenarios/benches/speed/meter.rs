//! Measuring: CPU time, alternating rounds, and the lines that are printed.
//!
//! What else a machine does only ever adds to a cost, so the cost that counts is the lower decile of the rounds: what
//! the work takes when it is left alone, without trusting a single lucky round.

use std::mem;
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};

/// What a ratio must keep.
#[derive(Clone, Copy)]
pub enum Limit {
    /// Our rate is at least so many times the reference's.
    Rate(f64),
    /// Our cost is at most so many times the reference's.
    Cost(f64),
}

/// One thing to measure: does some work and answers how many operations that was.
pub type Work<'a> = &'a mut dyn FnMut() -> u64;

/// Collects and prints lines.
pub struct Report {
    /// True if few samples must do.
    pub short: bool,
    chosen: Vec<String>,
    missed: Vec<String>,
    /// The lines that were missed before and are measured once more.
    again: Option<Vec<String>>,
    tries: u32,
}

/// How often a line may miss its limit. A busy neighbour spoils one measurement and, minutes later, not the next; a simulator that is
/// too slow misses each time.
const TRIES: u32 = 3;

impl Report {
    /// A report that prints its head. Reads the environment and the command line.
    pub fn new() -> Self {
        let short = std::env::var_os("VPNSIM_BENCH_SHORT").is_some_and(|v| !v.is_empty());
        let chosen = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
        println!("{:<52} {:>12} {:>12} {:>7}  {:<10}", "CPU time", "ours", "reference", "ratio", "limit");
        Self { short, chosen, missed: Vec::new(), again: None, tries: 1 }
    }

    /// Whether a line is wanted.
    pub fn wants(&self, line: &str) -> bool {
        if let Some(again) = &self.again {
            return again.iter().any(|missed| missed == line);
        }
        self.chosen.is_empty() || self.chosen.iter().any(|word| line.contains(word.as_str()))
    }

    /// One of two numbers of samples.
    pub fn samples(&self, long: usize, short: usize) -> usize {
        if self.short { short } else { long }
    }

    /// How many rounds, of which the least disturbed counts: more with each try, as a neighbour may stay for all of a few.
    #[allow(dead_code, reason = "sim-cli's bench has no line that can be missed")]
    pub fn rounds(&self, long: usize, short: usize) -> usize {
        self.samples(long, short) * self.tries as usize
    }

    /// Measures our work and the reference's in alternating rounds, and prints both costs and their ratio.
    pub fn compare(&mut self, line: &str, limit: Limit, rounds: usize, ours: Work, reference: Work) {
        let [ours, reference] = alternate(rounds, [ours, reference]);
        self.ratio(line, limit, undisturbed(ours), undisturbed(reference));
    }

    /// The same for a line that stands at its limit: see [`Report::narrow`].
    pub fn compare_narrowly(&mut self, line: &str, limit: Limit, rounds: usize, ours: Work, reference: Work) {
        let [ours, reference] = alternate(rounds, [ours, reference]);
        self.narrow(line, limit, undisturbed(ours), undisturbed(reference));
    }

    /// Prints our cost of an operation and the reference's, in nanoseconds, and their ratio.
    pub fn ratio(&mut self, line: &str, limit: Limit, ours: f64, reference: f64) {
        if !self.look(line, limit, ours, reference, "TOO SLOW") {
            self.missed.push(line.into());
        }
    }

    /// The same for a line that stands so near its limit that what else the machine does decides about it: to miss the limit is
    /// said, and to miss it by more than a tenth is a failure.
    pub fn narrow(&mut self, line: &str, limit: Limit, ours: f64, reference: f64) {
        if !self.look(line, limit, ours, reference, "missed") && !within_a_tenth(limit, ours, reference) {
            self.missed.push(line.into());
        }
    }

    fn look(&self, line: &str, limit: Limit, ours: f64, reference: f64, missed: &str) -> bool {
        let ratio = match limit {
            Limit::Rate(_) => reference / ours,
            Limit::Cost(_) => ours / reference,
        };
        let (limit, kept) = match limit {
            Limit::Rate(least) => (format!(">= {least:.2}"), ratio >= least),
            Limit::Cost(most) => (format!("<= {most:.2}"), ratio <= most),
        };
        let (ours, reference) = (duration(ours), duration(reference));
        let verdict = if kept { "ok" } else { missed };
        println!("{line:<52} {ours:>12} {reference:>12} {ratio:>7.2}  {limit:<10} {verdict}");
        kept
    }

    /// Prints a cost beside its floor in nanoseconds, which a cost of at most `times` the reference's keeps as well.
    #[allow(dead_code, reason = "sim-cli's bench has this line")]
    pub fn within(&self, line: &str, floor: f64, times: f64, ours: f64, reference: f64) {
        let ratio = ours / reference;
        let kept = ours <= floor || ratio <= times;
        let limit = format!("<= {times:.0} or {}", duration(floor));
        let verdict = if kept { "ok" } else { "above the floor: is the machine as fast as CI's?" };
        println!("{line:<52} {:>12} {:>12} {ratio:>7.2}  {limit:<10} {verdict}", duration(ours), duration(reference));
    }

    /// Prints a figure that stands for itself.
    pub fn note(&self, line: &str, figure: &str) {
        println!("{line:<52} {figure:>12}");
    }

    /// Says that a reference could not be had. In CI that is a failure.
    pub fn lacking(&mut self, line: &str, why: &str) {
        println!("{line:<52} {why}");
        if std::env::var_os("CI").is_some_and(|v| !v.is_empty()) {
            self.missed.push(line.into());
        }
    }

    /// Prints a rate in simulated seconds per CPU second beside its floor.
    pub fn floor(&self, line: &str, rate: f64, floor: f64) {
        let verdict = if rate >= floor { "ok" } else { "below the floor: is the machine as fast as CI's?" };
        let (rate, floor) = (format!("{rate:.0} x"), format!(">= {floor:.0}"));
        println!("{line:<52} {rate:>12} {:>12} {:>7}  {floor:<10} {verdict}", "", "");
    }

    /// The same for a line that has yet to reach its limit, which is said and no failure.
    pub fn aim(&self, line: &str, limit: Limit, ours: f64, reference: f64) {
        self.look(line, limit, ours, reference, "missed");
    }

    /// Prints how many octets something takes beside the most that it is to take, which is an aim, too.
    pub fn octets(&self, line: &str, octets: f64, most: f64) {
        let (kept, mib) = (octets <= most, 1024.0 * 1024.0);
        let (figure, limit) = (format!("{:.0} MiB", octets / mib), format!("<= {:.0}", most / mib));
        println!("{line:<52} {figure:>12} {:>12} {:>7}  {limit:<10} {}", "", "", if kept { "ok" } else { "missed" });
    }

    /// Turns to the lines that were missed, and says whether there are any that have a try left.
    #[allow(dead_code, reason = "sim-cli's bench has no line that can be missed")]
    pub fn once_more(&mut self) -> bool {
        if self.missed.is_empty() || self.tries == TRIES {
            return false;
        }
        self.tries += 1;
        println!("missed, and measured again:");
        self.again = Some(mem::take(&mut self.missed));
        true
    }

    /// Says what was missed.
    pub fn finish(self) -> ExitCode {
        for line in &self.missed {
            println!("missed: {line}");
        }
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn within_a_tenth(limit: Limit, ours: f64, reference: f64) -> bool {
    match limit {
        Limit::Rate(least) => reference / ours >= 0.9 * least,
        Limit::Cost(most) => ours / reference <= 1.1 * most,
    }
}

/// Nanoseconds per operation of each work in each round. A first round warms up and does not count.
pub fn alternate<const N: usize>(rounds: usize, mut works: [Work; N]) -> [Vec<f64>; N] {
    let mut costs = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for (work, costs) in works.iter_mut().zip(&mut costs) {
            let began = cpu_ns();
            let operations = work();
            let cost = (cpu_ns() - began) as f64 / operations as f64;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs
}

/// CPU time that this thread has used, in nanoseconds.
pub fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// User time of this thread in nanoseconds, in ticks of the kernel's clock: what another process can be compared with.
pub fn user_ns() -> u64 {
    times_of("/proc/thread-self").map_or(0, |(user, _)| user)
}

/// User and system time of a process or thread, in nanoseconds and in ticks of the kernel's clock.
///
/// # Errors
/// A sentence if there is no such process.
pub fn times_of(path: &str) -> Result<(u64, u64), String> {
    const TICK: u64 = 10_000_000; // USER_HZ is 100 on every architecture that this is built for
    let stat = std::fs::read_to_string(format!("{path}/stat")).map_err(|e| format!("{path}: {e}"))?;
    // Behind the name, which is in parentheses and may hold anything, utime and stime are fields 12 and 13.
    let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let times = next().zip(next()).ok_or_else(|| format!("{path}: {stat}"))?;
    Ok((times.0 * TICK, times.1 * TICK))
}

/// The lower decile.
pub fn undisturbed(mut costs: Vec<f64>) -> f64 {
    costs.sort_by(f64::total_cmp);
    costs[costs.len() / 10]
}

/// A cost with a readable unit.
pub fn duration(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.1} ns"),
        1e3..1e6 => format!("{:.2} us", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}
