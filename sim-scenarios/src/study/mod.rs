//! Studies: one scenario asked many times, over a grid of values, random draws and seeds.
//!
//! ```text
//!   point      one combination of variant and grid values
//!   replicate  the n-th run of a point: its seed and its draws are those of the n-th run of every other point
//!   run        point * runs + replicate
//! ```
//!
//! So two points are compared on common random numbers, and neither a further parameter nor a further value re-rolls what was there.
//! A [`Row`] is a function of the study, its scenarios, this program's version and the number of the run alone; [`Study::next`] says
//! which runs are wanted, given those that are there. Whoever asks for them, on how many threads or machines, in which order and
//! after how many interruptions, gets the same [`Results`].
//!
//! Nothing here touches a file: `sim-cli` keeps the runs ([`log`]) and writes the tables ([`table`]).

pub mod availability;
mod draw;
pub mod findings;
pub mod log;
mod make;
pub mod metric;
pub mod plot;
mod quantity;
pub mod results;
mod run;
pub mod schema;
pub mod shard;
pub mod statistics;
mod stop;
pub mod summary;
pub mod table;
mod traffic;
pub(crate) mod word;

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::diagnostic::Diagnostics;
use crate::place::Place;
use crate::scenario::{Scenario, Secrets};
use draw::Distribution;
use metric::Metric;
use quantity::Unit;
use results::{Results, Row, Value};
use shard::Shard;
use stop::Stop;

pub use run::carry_out;

/// Where the scenarios of a study and their keys are found. This crate opens nothing by itself.
pub trait Library {
    /// A scenario's name for messages, and its text; `path` is as the study writes it.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn scenario(&self, path: &str) -> Result<(String, String), String>;

    /// The keys of that scenario.
    fn secrets(&self, path: &str) -> Box<dyn Secrets + Send + Sync>;
}

/// A study that makes sense.
pub struct Study {
    name: String,
    question: String,
    text: Arc<str>,
    identity: u128,
    /// Whether the variants have names.
    named: bool,
    variants: Vec<Variant>,
    axes: Vec<Axis>,
    draws: Vec<Parameter>,
    runs: u64,
    seed: u64,
    metrics: Vec<Metric>,
    stop: Option<Stop>,
    /// Points that were made ready lately.
    prepared: Mutex<Vec<(u64, run::Prepared)>>,
}

impl fmt::Debug for Study {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Study").field("name", &self.name).field("points", &self.points()).finish_non_exhaustive()
    }
}

/// A variant: a scenario with its changes.
struct Variant {
    /// Its name; empty if it is the only one and has none.
    name: String,
    /// The scenario's file as the study writes it.
    file: String,
    text: String,
    scenario: Scenario,
    secrets: Box<dyn Secrets + Send + Sync>,
}

/// A parameter of the grid.
struct Axis {
    name: String,
    levels: Vec<Level>,
    unit: Option<Unit>,
}

/// One of its values.
struct Level {
    /// Where it stands.
    place: Place,
    value: Value,
    changes: Vec<String>,
    /// Where each change, or its path, stands.
    places: Vec<Place>,
}

/// A parameter that is drawn.
struct Parameter {
    place: Place,
    name: String,
    paths: Vec<String>,
    distribution: Distribution,
}

/// Whether a column was chosen or drawn.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The variant.
    Variant,
    /// Fixed by the grid.
    Grid,
    /// Drawn anew for each run.
    Draw,
}

/// What a column of a table of runs holds.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Of a parameter, where its values come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What its numbers count; none if it holds texts.
    pub unit: Option<&'static str>,
}

/// What a study asks, as `study.json` has it.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct Asked {
    /// Name and version of this document's format.
    pub schema: &'static str,
    /// Version of the program.
    pub vpnsim: &'static str,
    /// Name of the study.
    pub study: String,
    /// Its question.
    pub question: String,
    /// Digest of the study, its scenarios and the program's version, as hexadecimal digits.
    pub identity: String,
    /// The seed of all seeds and draws.
    pub seed: u64,
    /// Combinations of variant and grid values.
    pub points: u64,
    /// The most runs of each.
    pub runs_of_a_point: u64,
    /// Runs that were made.
    pub runs: u64,
    /// Those that failed.
    pub failures: u64,
    /// Points that were run less often, because the interval was narrow before.
    pub stopped_early: u64,
    /// Files of the scenarios, as the study writes them.
    pub scenarios: Vec<String>,
    /// Columns of parameters.
    pub parameters: Vec<Column>,
    /// Columns of metrics.
    pub metrics: Vec<Column>,
    /// The text of the study, keys blotted out.
    pub text: Arc<str>,
}

impl Study {
    /// Name and version of `study.json`'s format.
    pub const SCHEMA: &str = "vpnsim-study/1";

    /// Reads a study; `file` names it in error messages.
    ///
    /// # Errors
    /// The first mistake of syntax or shape; or else all mistaken values, names, ranges and changes.
    pub fn parse(file: &str, text: &str, library: &dyn Library) -> Result<Self, Diagnostics> {
        make::parse(file, text, library)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The question it answers.
    pub fn question(&self) -> &str {
        &self.question
    }

    /// Digest of the study, its scenarios and this program's version: equal for equal results.
    pub fn identity(&self) -> u128 {
        self.identity
    }

    /// How many combinations of variant and grid values there are.
    pub fn points(&self) -> u64 {
        self.axes.iter().map(|axis| axis.levels.len() as u64).product::<u64>() * self.variants.len() as u64
    }

    /// The most runs of each point.
    pub fn runs_of_a_point(&self) -> u64 {
        self.runs
    }

    /// Whether a point may be run less often than that.
    pub fn stops_early(&self) -> bool {
        self.stop.is_some()
    }

    /// Columns of parameters: the variant, if variants have names, then the grid's, then those that are drawn.
    pub fn parameters(&self) -> Vec<Column> {
        let column = |name: &str, origin, unit: Option<Unit>| Column {
            name: name.to_owned(),
            origin: Some(origin),
            unit: unit.map(Unit::shown),
        };
        let variant = self.named.then(|| column("variant", Origin::Variant, None));
        let grid = self.axes.iter().map(|axis| column(&axis.name, Origin::Grid, axis.unit));
        let draws = self.draws.iter().map(|it| column(&it.name, Origin::Draw, it.distribution.unit()));
        variant.into_iter().chain(grid).chain(draws).collect()
    }

    /// How many of [`Self::parameters`] make a point: those that are not drawn.
    pub fn fixed(&self) -> usize {
        self.axes.len() + usize::from(self.named)
    }

    /// Columns of metrics.
    pub fn metrics(&self) -> Vec<Column> {
        let column =
            |metric: &Metric| Column { name: metric.name.clone(), origin: None, unit: Some(metric.kind.unit()) };
        self.metrics.iter().map(column).collect()
    }

    /// The values of variant and grid at a point, in the order of [`Self::parameters`].
    pub fn point(&self, point: u64) -> Vec<Value> {
        let (variant, levels) = self.combination(point);
        let variant = self.named.then(|| Value::Text(variant.name.clone()));
        variant.into_iter().chain(levels.into_iter().map(|level| level.value.clone())).collect()
    }

    /// The last axis goes fastest.
    fn combination(&self, point: u64) -> (&Variant, Vec<&Level>) {
        let mut rest = point as usize;
        let mut levels = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            levels.push(&axis.levels[rest % axis.levels.len()]);
            rest /= axis.levels.len();
        }
        levels.reverse();
        (&self.variants[rest % self.variants.len()], levels)
    }

    /// The runs that are wanted next, in order: those of this shard that are not done yet, or, if the study may stop early, of the
    /// next batch of each point. None if all is done.
    pub fn next(&self, done: &BTreeMap<u64, Row>, shard: Shard) -> Vec<u64> {
        let wanted = (0..self.points()).flat_map(|point| {
            let first = point * self.runs;
            first..first + self.wanted(point, done)
        });
        wanted.filter(|run| shard.has(*run) && !done.contains_key(run)).collect()
    }

    /// How many runs of a point are wanted.
    fn wanted(&self, point: u64, done: &BTreeMap<u64, Row>) -> u64 {
        let Some(stop) = &self.stop else { return self.runs };
        let first = point * self.runs;
        stop.wanted(self.runs, |n| {
            let rows: Option<Vec<&Row>> = (first..first + n).map(|run| done.get(&run)).collect();
            rows.map(|rows| rows.into_iter().filter_map(|row| row.metrics[stop.metric]).collect())
        })
    }

    /// All rows as the results of this study.
    pub fn results(&self, rows: BTreeMap<u64, Row>) -> Results {
        Results {
            study: self.name.clone(),
            parameters: self.parameters().into_iter().map(|column| column.name).collect(),
            metrics: self.metrics.iter().map(|metric| metric.name.clone()).collect(),
            rows: rows.into_values().collect(),
        }
    }

    /// What was asked, and how often.
    pub fn asked(&self, results: &Results) -> Asked {
        let failures = results.rows.iter().filter(|row| row.failure.is_some()).count();
        let mut runs = vec![0u64; self.points() as usize];
        for row in &results.rows {
            runs[(row.run / self.runs) as usize] += 1;
        }
        Asked {
            schema: Self::SCHEMA,
            vpnsim: env!("CARGO_PKG_VERSION"),
            study: self.name.clone(),
            question: self.question.clone(),
            identity: format!("{:032x}", self.identity),
            seed: self.seed,
            points: self.points(),
            runs_of_a_point: self.runs,
            runs: results.rows.len() as u64,
            failures: failures as u64,
            stopped_early: runs.iter().filter(|n| **n < self.runs).count() as u64,
            scenarios: self.variants.iter().map(|variant| variant.file.clone()).collect(),
            parameters: self.parameters(),
            metrics: self.metrics(),
            text: Arc::clone(&self.text),
        }
    }
}

impl Asked {
    /// The document: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it has string keys and finite numbers");
        text.push('\n');
        text
    }
}
