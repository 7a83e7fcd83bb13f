//! `vpnsim diff`: what changed between two scenarios, one scenario under two settings, or two revisions of a file.

mod revision;

use clap::{Args as ClapArgs, ValueEnum};
use sim_scenarios::compare::diff::{Diff as Document, Seeds, Side};
use sim_scenarios::compare::{compare, inputs};
use sim_scenarios::report::model::Report;
use sim_scenarios::report::text;
use sim_scenarios::{Scenario, Simulation, pool};

use crate::bug::{self, Bug};
use crate::engine::{self, Question};
use crate::failure::Failure;
use crate::{Verdict, job, screen};

/// Arguments of `diff`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = DIFF)]
pub struct Diff {
    /// A scenario: FILE, or REVISION:PATH as git names a file of a revision; or REVISION..REVISION, with the file behind it
    #[arg(value_name = "A")]
    pub first: String,
    /// The other scenario; the same under --set-b if not given
    #[arg(value_name = "B")]
    pub second: Option<String>,
    /// Change a value of both, as for `vpnsim run`; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub both: Vec<String>,
    /// Change a value of A; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set_a: Vec<String>,
    /// Change a value of B; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set_b: Vec<String>,
    /// Use this seed for both instead of the scenarios' own
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Ask both with N seeds, too, and say what remains of the difference
    ///
    /// The seeds count from that of A. Both sides draw the same (common random numbers); each measure is subtracted seed by seed, and
    /// the mean is given with Student's t interval, 95 %.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub seeds: Option<u32>,
    /// How many runs at once; as many as this machine has cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

const DIFF: &str = "\
For example:
  vpnsim diff a.ron b.ron
  vpnsim diff a.ron --set-b connections.vpn.tunnels.a.dpd_timeout=60s --seeds 30
  vpnsim diff main:scenarios/a.ron scenarios/a.ron --format markdown
  vpnsim diff v1..v2 scenarios/a.ron

A key file that a revision names is read from the working tree. Exit code 0 whether or not there is a difference: `vpnsim test` judges.";

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
}

/// Compares what was typed.
pub fn diff(typed: &Diff) -> Result<Verdict, Failure> {
    let [mut was, mut is] = sides(typed)?;
    was.changes.extend(typed.both.iter().chain(&typed.set_a).cloned());
    is.changes.extend(typed.both.iter().chain(&typed.set_b).cloned());
    for side in [&mut was, &mut is] {
        side.changes.extend(typed.seed.map(|seed| format!("seed={seed}")));
    }
    let scenarios = [engine::understand(&was)?, engine::understand(&is)?];
    let seeds = match typed.seeds {
        None => Vec::new(),
        Some(n) => (0..u64::from(n)).map(|n| scenarios[0].plan().seed.wrapping_add(n)).collect(),
    };
    let runs = match run(typed, [&was, &is], &scenarios, &seeds)? {
        Ok(runs) => runs,
        Err(bug) => {
            screen::confess(&bug);
            return Ok(Verdict::Bug);
        }
    };
    // The first pair is of the scenarios' own seeds.
    let ([was_report, is_report], pairs) = runs;
    let [was_scenario, is_scenario] = &scenarios;
    let side = |question: &Question, scenario: &Scenario, report: &Report| {
        Side::new(&question.name, scenario.changes().map(|change| change.to_string()).collect(), report)
    };
    let document = Document::new(
        [side(&was, was_scenario, &was_report), side(&is, is_scenario, &is_report)],
        inputs::inputs(was_scenario, is_scenario),
        compare(&was_report, &is_report),
        (!seeds.is_empty()).then(|| Seeds::of(seeds, &pairs)),
    );
    screen::answer(&match typed.format {
        Form::Text => text::render_sections(&document.sections(), job::layout()),
        Form::Markdown => document.markdown(),
        Form::Json => document.to_json(),
    })?;
    Ok(Verdict::Held)
}

/// The two questions as they are named, without the changes.
fn sides(typed: &Diff) -> Result<[Question; 2], Failure> {
    if let Some((first, second, path)) = revision::span(&typed.first, typed.second.as_deref())? {
        return Ok([revision::read_beside(first, path)?, revision::read_beside(second, path)?]);
    }
    let was = revision::read(&typed.first)?;
    match &typed.second {
        Some(second) => Ok([was, revision::read(second)?]),
        None if typed.set_a.is_empty() && typed.set_b.is_empty() => Err(Failure::CannotDiff {
            what: "there is nothing to compare with".into(),
            help: Some("name a second scenario, or give --set-b PATH=VALUE".into()),
        }),
        None => Ok([was.clone(), was]),
    }
}

/// The answers of both sides with their own seeds, and then in pairs with each of the others.
type Pairs = ([Report; 2], Vec<[Report; 2]>);

fn run(
    typed: &Diff,
    questions: [&Question; 2],
    scenarios: &[Scenario; 2],
    seeds: &[u64],
) -> Result<Result<Pairs, Bug>, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = typed.jobs.map_or(cores, usize::from);
    let work = |n: usize| {
        let (side, pair) = (n % 2, n / 2);
        bug::guard(|| match pair.checked_sub(1) {
            None => Ok(answer(&scenarios[side])),
            Some(pair) => {
                let changes = [questions[side].changes.clone(), vec![format!("seed={}", seeds[pair])]].concat();
                let seeded = Question { changes, ..questions[side].clone() };
                engine::understand(&seeded).map(|scenario| answer(&scenario))
            }
        })
    };
    let mut done = Vec::new();
    pool::in_order(threads, 2 * (1 + seeds.len()), work, |_, ran| done.push(ran));
    let (mut own, mut pairs) = (None, Vec::new());
    let mut done = done.into_iter();
    while let (Some(was), Some(is)) = (done.next(), done.next()) {
        let pair = match (was, is) {
            (Ok(was), Ok(is)) => [was?, is?],
            (Err(bug), _) | (_, Err(bug)) => return Ok(Err(bug)),
        };
        match own {
            None => own = Some(pair),
            Some(_) => pairs.push(pair),
        }
    }
    Ok(Ok((own.expect("both sides ran with their own seeds"), pairs)))
}

fn answer(scenario: &Scenario) -> Report {
    engine::spare_memory(scenario);
    Simulation::new(scenario).finish().report
}
