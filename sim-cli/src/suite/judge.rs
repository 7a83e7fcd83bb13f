//! One scenario: read, run, held against its expectations, its controls and its golden answer. Nothing is printed here.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sim_scenarios::compare::{self, Comparison};
use sim_scenarios::report::model::{Expectation, Report};
use sim_scenarios::{Scenario, Simulation};

use super::find::Case;
use super::golden;
use crate::bug::{self, Bug};
use crate::failure::Failure;
use crate::secrets::Keys;
use crate::{Verdict, engine, job};

/// Why there is no verdict.
#[derive(Debug)]
pub enum Trouble {
    /// The scenario does not read.
    Malformed(Failure),
    /// A run of it found a bug of the simulator.
    Bug(Bug),
}

/// A scenario that was tried.
#[derive(Debug)]
pub struct Tried {
    /// Which.
    pub case: Case,
    /// What came of it.
    pub came: Came,
}

/// What came of a scenario.
#[derive(Debug)]
pub enum Came {
    /// No verdict.
    Trouble(Arc<Trouble>),
    /// An answer.
    Answered(Box<Answered>),
}

/// A scenario's answer, judged.
#[derive(Debug)]
pub struct Answered {
    /// The report.
    pub report: Report,
    /// How long the run took.
    pub took: Duration,
    /// What became of its controls, if they were run.
    pub controls: Vec<Control>,
    /// How it stands to its golden answer.
    pub standing: Standing,
}

/// How an answer stands to the golden one.
#[derive(Debug)]
pub enum Standing {
    /// There is none.
    Unknown,
    /// The digest is as it was, and so is the behaviour.
    Same,
    /// It is not.
    Differs {
        /// What is otherwise.
        comparison: Comparison,
        /// The version of vpnsim whose answer the golden one is.
        version: String,
    },
    /// It cannot be read.
    Unreadable(Failure),
}

/// A control that was run.
#[derive(Debug)]
pub struct Control {
    /// The changes, keys blotted out.
    pub changes: String,
    /// The expectation that must fail, as it was judged.
    pub named: Expectation,
    /// How long the run took.
    pub took: Duration,
}

/// A piece of work that is done.
pub enum Done {
    /// There was nothing to do.
    Nothing,
    /// The scenario was run.
    Answer(Result<(Box<Report>, Duration), Trouble>),
    /// A control of it was.
    Control(Result<Control, Trouble>),
}

/// Reads a scenario.
pub fn read(case: &Case) -> Result<Scenario, Arc<Trouble>> {
    let read = bug::guard(|| job::read(&case.file).and_then(|question| engine::understand(&question)));
    read.map_err(Trouble::Bug).and_then(|read| read.map_err(Trouble::Malformed)).map_err(Arc::new)
}

/// Runs a scenario.
pub fn answer(scenario: &Scenario) -> Result<(Box<Report>, Duration), Trouble> {
    let began = now();
    let report = bug::guard(|| run(scenario)).map_err(Trouble::Bug)?;
    Ok((Box::new(report), began.elapsed()))
}

/// Runs a control of a scenario.
pub fn control(case: &Case, scenario: &Scenario, number: usize) -> Result<Control, Trouble> {
    let began = now();
    let control = &scenario.plan().controls[number];
    let keys = Keys::beside(case.file.parent().unwrap_or(Path::new("")));
    let ran = bug::guard(|| {
        let changed = scenario.with(&control.change, &keys)?;
        let changes: Vec<String> = changed.changes().map(|change| change.to_string()).collect();
        let mut report = run(&changed);
        Ok((changes.join(", "), report.expectations.swap_remove(control.fails)))
    });
    let (changes, named) = ran.map_err(Trouble::Bug)?.map_err(|wrong| Trouble::Malformed(Failure::Malformed(wrong)))?;
    Ok(Control { changes, named, took: began.elapsed() })
}

fn run(scenario: &Scenario) -> Report {
    engine::spare_memory(scenario);
    Simulation::new(scenario).finish().report
}

/// Puts together what was done for a scenario.
pub fn close(case: &Case, read: &Result<Scenario, Arc<Trouble>>, done: Vec<Done>) -> Tried {
    let came = match read {
        Err(trouble) => Came::Trouble(Arc::clone(trouble)),
        Ok(_) => judged(case, done).map_or_else(|trouble| Came::Trouble(Arc::new(trouble)), Came::Answered),
    };
    Tried { case: case.clone(), came }
}

fn judged(case: &Case, done: Vec<Done>) -> Result<Box<Answered>, Trouble> {
    let (mut answer, mut controls) = (None, Vec::new());
    for done in done {
        match done {
            Done::Nothing => {}
            Done::Answer(it) => answer = Some(it?),
            Done::Control(it) => controls.push(it?),
        }
    }
    let Some((report, took)) = answer else {
        return Err(Trouble::Bug(Bug::default()));
    };
    let standing = match golden::read(&case.golden) {
        Ok(None) => Standing::Unknown,
        Ok(Some(golden)) if golden.digest == report.digest => Standing::Same,
        Ok(Some(golden)) => {
            let version = golden.report.vpnsim.clone();
            Standing::Differs { comparison: compare::compare(&golden.report, &report), version }
        }
        Err(failure) => Standing::Unreadable(failure),
    };
    Ok(Box::new(Answered { report: *report, took, controls, standing }))
}

impl Answered {
    /// Expectations that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Expectation> {
        self.report.expectations.iter().filter(|expectation| !expectation.held)
    }

    /// Controls that do not break what they name.
    pub fn idle(&self) -> impl Iterator<Item = &Control> {
        self.controls.iter().filter(|control| control.named.held)
    }
}

impl Tried {
    /// The verdict. With `--update` the behaviour may be another than it was.
    pub fn verdict(&self, update: bool) -> Verdict {
        let answered = match &self.came {
            Came::Trouble(trouble) => {
                return match **trouble {
                    Trouble::Malformed(_) => Verdict::Unanswered,
                    Trouble::Bug(_) => Verdict::Bug,
                };
            }
            Came::Answered(answered) => answered,
        };
        let failed = answered.failed().next().is_some() || answered.idle().next().is_some();
        match answered.standing {
            _ if failed => Verdict::Failed,
            Standing::Differs { .. } if !update => Verdict::Failed,
            Standing::Unreadable(_) if !update => Verdict::Unanswered,
            _ => Verdict::Held,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock measures the simulator, never the world")]
fn now() -> Instant {
    Instant::now()
}
