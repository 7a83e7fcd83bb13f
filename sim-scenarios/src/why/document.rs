//! The answer of `vpnsim why` as a document for programs. Its text and its picture are made from it alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::report::model::{Outage, PathStep, Seconds};

/// Name and version of the document's shape.
pub const SCHEMA: &str = "vpnsim/why/1";

/// Why an outage lasted as long as it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// Shape of this document.
    pub schema: String,
    /// Version of vpnsim.
    pub vpnsim: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Digest of its trace.
    pub digest: String,
    /// How many outages the report has.
    pub outages: usize,
    /// The outage that is explained; null if there is none.
    pub outage: Option<Explained>,
}

/// An outage and what it waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// Its number in the report, from 1.
    pub number: usize,
    /// What the report says of it.
    pub outage: Outage,
    /// Time between two probes.
    pub interval_s: Seconds,
    /// The critical path: from the fault to the probe that came through. Empty if the outage did not end, or has no fault.
    pub path: Vec<Row>,
    /// What the probe or the path needed besides, and had earlier. The one that would decide next comes first.
    pub beside: Vec<Branch>,
    /// Single changes, each tried by another run; those that shorten the outage most come first.
    pub changes: Vec<Change>,
    /// What is to be said of waits that nobody can change, and of changes that cannot be made.
    pub remarks: Vec<String>,
}

/// A step of a critical path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// What happened, and how long the path stood still before it.
    #[serde(flatten)]
    pub step: PathStep,
    /// The wait before it; null if there was none.
    pub wait: Option<Wait>,
}

/// A wait of a critical path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Whose it is: a timer's code, or `flight` (a packet on its way), `tcp_retransmission` (a segment that was lost), `repair` (the
    /// healing of a fault) or `probe_grid` (the next probe).
    pub owner: String,
    /// The same in words.
    pub text: String,
    /// When a timer was armed; of the probe, since when it could have been sent.
    pub armed_s: Option<Seconds>,
    /// What armed it, if a record says so.
    pub armed_by: Option<String>,
    /// The parameter behind it.
    pub parameter: Option<Parameter>,
    /// By less than this it may shrink, and what follows comes earlier by as much; null for what no setting shortens.
    pub slack_s: Option<Seconds>,
    /// What would decide then; null if nothing would: the wait is over then.
    pub runner_up: Option<Event>,
    /// The later step that is tied to an absolute instant and comes no earlier when this wait shrinks; null if all move with it.
    pub tied: Option<Event>,
    /// A step that is tied and whose instant it set: a change of this wait moves that step, perhaps by a whole period. Null if there is
    /// none.
    pub drives: Option<Event>,
    /// Had it been longer, this would have ended the wait.
    pub backstop: Option<Event>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When.
    pub at_s: Seconds,
    /// Where and what.
    pub text: String,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Its path, as `--set` takes it.
    pub path: String,
    /// Its value in this run.
    pub value: String,
    /// `scenario` (written there), `documented` (AWS's, by its documents), `assumed` (AWS's, which no document states) or `default`
    /// (vpnsim's for a customer's device).
    pub origin: String,
    /// Where the value is from.
    pub source: Option<String>,
}

/// Something that was needed and came earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Branch {
    /// What was needed.
    pub needed: Event,
    /// How much later it might have come without any effect.
    pub slack_s: Seconds,
    /// Its own path, from the fault.
    pub path: Vec<Row>,
}

/// A change that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The settings, as `--set` takes them.
    pub set: Vec<String>,
    /// What they mean.
    pub text: String,
    /// How long the outage was.
    pub before_s: Seconds,
    /// How long it is then: zero if there is none, null if it does not end.
    pub after_s: Option<Seconds>,
    /// What the outage waits for then longest; empty if there is none.
    pub waits_for: String,
    /// Digest of that run.
    pub digest: String,
}

impl Change {
    /// How much it saves, in nanoseconds: negative if it makes the outage longer, and the least there is if it then never ends.
    pub fn saved_nanos(&self) -> i128 {
        let nanos = |seconds: Seconds| i128::from(seconds.0.as_nanos());
        self.after_s.map_or(i128::MIN, |after| nanos(self.before_s) - nanos(after))
    }
}

impl Why {
    /// The document: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it has string keys and finite numbers");
        text.push('\n');
        text
    }
}
