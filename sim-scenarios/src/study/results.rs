//! What a study found: one row a run.
//!
//! This is the hand-over between running a study and everything that speaks about it: files, statistics, plots.

use serde::{Deserialize, Serialize};

/// A value of a parameter at a point of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number in its base unit: seconds for times, percent for shares, else as it was written.
    Number(f64),
    /// Anything else, as it was written.
    Text(String),
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its number in the study, from 0.
    pub run: u64,
    /// The values of the parameters, in the order of [`Results::parameters`].
    pub point: Vec<Value>,
    /// The seed of the simulation.
    pub seed: u64,
    /// The digest of its trace, if it came to an end.
    pub digest: Option<String>,
    /// Why it did not.
    pub failure: Option<String>,
    /// What was measured, in the order of [`Results::metrics`]; `None` if there was nothing to measure.
    pub metrics: Vec<Option<f64>>,
}

/// All runs of a study, in order of [`Row::run`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The study's name.
    pub study: String,
    /// Names of the parameters: fixed by the grid first, then drawn.
    pub parameters: Vec<String>,
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// The runs.
    pub rows: Vec<Row>,
}
