//! `vpnsim test`: runs scenarios and holds them against what they expect, against their controls and against golden answers.
//!
//! A golden answer is the report of an earlier run, kept in `golden/` beside the scenario. Where the digest is as it was, so is the
//! behaviour; else the reports are compared and what changed is said. Everything runs on a pool of threads, and is printed and
//! written in the order of the files, so that no output depends on who was done first. Files are written whole or not at all, golden
//! answers only when all runs are done.

mod find;
mod golden;
mod judge;
mod junit;
mod say;

use std::path::PathBuf;

use clap::Args as ClapArgs;
use sim_scenarios::pool;
use sim_scenarios::report::story::{Block, Section};
use sim_scenarios::report::text;

use crate::args::Loudness;
use crate::failure::Failure;
use crate::whole::Place;
use crate::{Verdict, job, screen};

use find::Found;
use judge::{Came, Done, Standing, Tried, Trouble};

/// Arguments of `test`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = TEST)]
pub struct Test {
    /// Scenarios, or directories in which all scenarios are meant, also in directories below
    #[arg(required = true, value_name = "DIR|FILE")]
    pub paths: Vec<PathBuf>,
    /// Also write the result as JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How many scenarios to run at once; as many as this machine has cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Make today's answers the golden ones, and remove those whose scenario is gone
    #[arg(long)]
    pub update: bool,
    /// Where golden answers are; in `golden` beside each scenario if not given
    #[arg(long, value_name = "DIR")]
    pub golden: Option<PathBuf>,
    /// Do not run the scenarios' controls
    #[arg(long)]
    pub no_controls: bool,
    #[command(flatten)]
    pub loudness: Loudness,
}

const TEST: &str = "\
A scenario fails if an expectation does not hold, if a control does not break what it names, or if its behaviour is not that of \
its golden answer. One without a golden answer is judged by its expectations alone. Studies are passed over. \
A malformed scenario (exit code 2) or a bug of vpnsim (3) does not keep the others from running.";

/// Tests what was typed.
pub fn test(typed: &Test) -> Result<Verdict, Failure> {
    let found = find::find(&typed.paths, typed.golden.as_deref())?;
    let junit = typed.junit.as_deref().map(Place::prepare).transpose()?;
    let verbose = typed.loudness.verbose;
    if verbose {
        for file in &found.passed_over {
            screen::remark(format_args!("{} is no scenario", file.display()));
        }
    }
    let (tried, printed) = run(typed, &found);
    printed?;
    let layout = job::layout();
    let mut sections: Vec<Section> = tried.iter().filter_map(|tried| say::details(tried, verbose)).collect();
    let verdict = tried.iter().map(|tried| tried.verdict(typed.update)).fold(Verdict::Held, worse);
    let stale = golden::stale(&found, &typed.paths, typed.golden.as_deref())?;
    if typed.update {
        let lines = golden::update(&tried, &stale)?;
        if !lines.is_empty() {
            let blocks = lines.into_iter().map(Block::Say).collect();
            sections.push(Section { title: "Golden answers".into(), blocks });
        }
    } else {
        for file in &stale {
            screen::remark(format_args!("{} is the golden answer of no scenario; --update removes it", file.display()));
        }
    }
    if let Some(place) = junit {
        let path = place.write(junit::text(&tried, typed.update).as_bytes())?;
        if !typed.loudness.quiet {
            screen::remark(format_args!("wrote {}", path.display()));
        }
    }
    sections.push(Section { title: "In all".into(), blocks: vec![Block::Say(say::summary(&tried, typed.update))] });
    screen::answer(&format!("\n{}", text::render_sections(&sections, layout)))?;
    Ok(verdict)
}

/// Runs everything; a scenario's line is printed when all of it and all before it are done.
fn run(typed: &Test, found: &Found) -> (Vec<Tried>, Result<(), Failure>) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = typed.jobs.map_or(cores, usize::from);
    let mut read = Vec::new();
    pool::in_order(threads, found.cases.len(), |n| judge::read(&found.cases[n]), |_, it| read.push(it));
    let mut tasks = Vec::new();
    for (case, read) in read.iter().enumerate() {
        tasks.push((case, None));
        if let (Ok(scenario), false) = (read, typed.no_controls) {
            tasks.extend((0..scenario.plan().controls.len()).map(|n| (case, Some(n))));
        }
    }
    let work = |n: usize| {
        let (case, control) = tasks[n];
        let Ok(scenario) = &read[case] else { return Done::Nothing };
        match control {
            None => Done::Answer(judge::answer(scenario)),
            Some(control) => Done::Control(judge::control(&found.cases[case], scenario, control)),
        }
    };
    // The results of a scenario come one after another; the last of them closes it.
    let (mut of_case, mut tried, mut printed) = (Vec::new(), Vec::new(), Ok(()));
    pool::in_order(threads, tasks.len(), work, |n, done| {
        let case = tasks[n].0;
        of_case.push(done);
        if tasks.get(n + 1).is_some_and(|(next, _)| *next == case) {
            return;
        }
        let closed = judge::close(&found.cases[case], &read[case], core::mem::take(&mut of_case));
        if printed.is_ok() {
            printed = print(typed, &closed);
        }
        tried.push(closed);
    });
    (tried, printed)
}

fn print(typed: &Test, tried: &Tried) -> Result<(), Failure> {
    if let Came::Trouble(trouble) = &tried.came {
        match &**trouble {
            Trouble::Malformed(failure) => screen::complain(failure),
            Trouble::Bug(bug) => screen::confess(bug),
        }
    }
    if let Came::Answered(answered) = &tried.came
        && let (Standing::Unreadable(failure), false) = (&answered.standing, typed.update)
    {
        screen::complain(failure);
    }
    let held = tried.verdict(typed.update) == Verdict::Held;
    if held && typed.loudness.quiet {
        return Ok(());
    }
    let text = say::line(tried, typed.loudness.verbose);
    let line = Section { title: String::new(), blocks: vec![Block::Judge { held, text }] };
    screen::answer(&text::render_sections(&[line], job::layout()))
}

/// The worse of two.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    let badness = |verdict: Verdict| match verdict {
        Verdict::Held => 0,
        Verdict::Failed => 1,
        Verdict::Unanswered => 2,
        Verdict::Bug => 3,
        Verdict::Interrupted(_) => 4,
    };
    if badness(other) > badness(one) { other } else { one }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sim_scenarios::{NoSecrets, Scenario};

    use super::find::Case;
    use super::*;
    use crate::bug;

    /// A bug of the simulator in one run: the others come to their ends, and it is the worst that was found.
    #[test]
    fn a_bug_stops_nothing_and_decides_the_verdict() {
        let mut ran = Vec::new();
        let work = |n: usize| bug::guard(|| assert_ne!(n, 1, "the invariant"));
        pool::in_order(2, 4, work, |n, done| ran.push((n, done.is_ok())));
        assert_eq!(ran, [(0, true), (1, false), (2, true), (3, true)]);

        let text = include_str!("../../../scenarios/active_passive.ron");
        let scenario = Ok::<_, Arc<Trouble>>(Scenario::parse("x.ron", text, &NoSecrets).unwrap());
        let case = Case { file: "s/x.ron".into(), golden: "s/golden/x.json".into() };
        let bug = bug::guard(|| -> () { panic!("the hold timer fired twice") }).unwrap_err();
        let tried = judge::close(&case, &scenario, vec![Done::Answer(Err(Trouble::Bug(bug)))]);
        assert_eq!(tried.verdict(false), Verdict::Bug);
        assert_eq!(say::line(&tried, false), "s/x.ron: vpnsim found a bug in itself");
        assert!(say::summary(&[tried], false).starts_with("1 scenario: 1 with a bug of vpnsim."));
        for (one, other) in [(Verdict::Unanswered, Verdict::Bug), (Verdict::Bug, Verdict::Unanswered)] {
            assert_eq!(worse(one, other), Verdict::Bug);
        }
        assert_eq!(worse(Verdict::Failed, Verdict::Unanswered), Verdict::Unanswered);
        assert_eq!(worse(Verdict::Failed, Verdict::Held), Verdict::Failed);
    }
}
