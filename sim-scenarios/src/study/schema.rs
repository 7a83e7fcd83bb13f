//! The study language, version 1, as the shapes that a file may have.
//!
//! It is written like the scenario language ([`crate::schema`]): one RON value, unknown fields refused, names in quotes.
//!
//! ```text
//! (
//!     version: 1,
//!     name: "hold_and_loss",
//!     question: "How long is a failover, by hold time and loss?",
//!     scenario: "active_passive.ron",
//!     grid: { "hold": Values(paths: ["connections.vpn.routing.aws.hold_time"], values: ["10s", "30s"]) },
//!     draw: { "cut_at": Uniform(paths: ["faults.cut.at"], min: "300s", max: "310s") },
//!     runs: 100,
//!     metrics: { "dark": Outage(probe: "app", fault: "cut") },
//! )
//! ```

use schemars::JsonSchema;
use serde::Deserialize;

use super::quantity::{Quantity, Setting};
use super::word::{Count as Unit, Extent, Quantile, Sessions};
use crate::leaf::{Count, Name, Number, Percent, Span, Text};
use crate::place::{At, Named};
use crate::plan::Judged;
use sim_core::reason::DropReason;

/// A study.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Version of the language: 1.
    pub version: At<Count>,
    /// Its name.
    pub name: At<Text>,
    /// The question it answers.
    pub question: At<Text>,
    /// The file of the scenario, counted from the study's; may be left out if each variant has its own.
    pub scenario: Option<At<Text>>,
    /// Variants that are compared: other scenarios, or other changes to the same one; one without a name if not given.
    #[serde(default)]
    pub variants: Named<Variant>,
    /// Changes made to every variant, as for `--set`.
    #[serde(default)]
    pub set: Vec<At<Text>>,
    /// Parameters of which every combination is run.
    #[serde(default)]
    pub grid: Named<Axis>,
    /// Parameters that are drawn anew for each run. The n-th run of every point draws the same.
    #[serde(default)]
    pub draw: Named<Draw>,
    /// Runs of each point, each with a seed of its own. The n-th run of every point has the same seed.
    pub runs: At<Count>,
    /// The seed of all draws and seeds; 1 if not given.
    pub seed: Option<At<Count>>,
    /// What is measured in each run.
    pub metrics: Named<Metric>,
    /// Fewer runs of a point if its interval is narrow before.
    pub stop: Option<Stop>,
}

/// A variant.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The file of its scenario; the study's if not given.
    pub scenario: Option<At<Text>>,
    /// Changes made to it, as for `--set`.
    #[serde(default)]
    pub set: Vec<At<Text>>,
}

/// A parameter of the grid.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub enum Axis {
    /// One setting, or several that are always equal, take these values.
    Values(Values),
    /// Named levels, each with its changes, as for `--set`: `Levels({ "default": [], "fast": ["a=1s", "b=3s"] })`.
    Levels(Named<Vec<At<Text>>>),
}

/// Values of a setting.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The settings, as paths for `--set`.
    pub paths: Vec<At<Text>>,
    /// Their values; lists and kinds stand in quotes, as for `--set`.
    pub values: Vec<At<Setting>>,
}

/// A parameter that is drawn. Each draw is one number between 0 and 1, and the value that quantile of the distribution.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub enum Draw {
    /// Every value between two is as likely.
    Uniform(Between),
    /// Every ratio is as likely: as many draws from 1 to 10 as from 10 to 100.
    LogUniform(Between),
    /// A normal distribution, cut off at `min` and `max`.
    Normal(Normal),
    /// An exponential distribution that begins at `min`, cut off at `max`.
    Exponential(Exponential),
    /// One of several values.
    Choice(Choice),
}

/// Two ends.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The settings, as paths for `--set`; all take the value that was drawn.
    pub paths: Vec<At<Text>>,
    /// The smallest value.
    pub min: At<Quantity>,
    /// The largest value.
    pub max: At<Quantity>,
    /// Values are so far apart, counted from `min`; as fine as the unit allows if not given.
    pub step: Option<At<Quantity>>,
}

/// A normal distribution.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Normal {
    /// The settings, as paths for `--set`; all take the value that was drawn.
    pub paths: Vec<At<Text>>,
    /// Its mean before it is cut off.
    pub mean: At<Quantity>,
    /// Its standard deviation before it is cut off.
    pub deviation: At<Quantity>,
    /// Cut off below; zero if not given.
    pub min: Option<At<Quantity>>,
    /// Cut off above; nowhere if not given.
    pub max: Option<At<Quantity>>,
    /// Values are so far apart, counted from `min`; as fine as the unit allows if not given.
    pub step: Option<At<Quantity>>,
}

/// An exponential distribution.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// The settings, as paths for `--set`; all take the value that was drawn.
    pub paths: Vec<At<Text>>,
    /// Its mean above `min`, before it is cut off.
    pub mean: At<Quantity>,
    /// Where it begins; zero if not given.
    pub min: Option<At<Quantity>>,
    /// Cut off above; nowhere if not given.
    pub max: Option<At<Quantity>>,
    /// Values are so far apart, counted from `min`; as fine as the unit allows if not given.
    pub step: Option<At<Quantity>>,
}

/// One of several values.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The settings, as paths for `--set`; all take the value that was drawn.
    pub paths: Vec<At<Text>>,
    /// The values.
    pub of: Vec<At<Setting>>,
    /// How likely each is, as whole numbers of which the sum is the whole; all alike if not given.
    pub weights: Option<Vec<At<Count>>>,
}

/// When a point has been run often enough.
///
/// It is asked after `min_runs` runs of a point and after each `batch` more, whichever run ended first, so that the answer depends on
/// nothing but the runs. An interval that is looked at until it is narrow covers a little less often than its confidence says.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Of this metric.
    pub metric: At<Name>,
    /// The mean is known to within so much, in the metric's unit.
    pub half_width: At<Number>,
    /// With this confidence, by Student's t; 95% if not given.
    pub confidence: Option<At<Percent>>,
    /// Not before so many runs; 20 if not given.
    pub min_runs: Option<At<Count>>,
    /// Asked again after so many more; as `min_runs` if not given.
    pub batch: Option<At<Count>>,
}

/// Something measured in a run: a number, or nothing where there is nothing to measure.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub enum Metric {
    /// Length of outages of a probe, in seconds; 0 without one. While dark, it counts to the end of the run.
    Outage(Outage),
    /// Time in which a probe was dark by outages of any cause, in minutes.
    MinutesDark(Stream),
    /// Probes lost, in outages or not.
    LostProbes(Stream),
    /// Share of a probe's packets that were lost, in percent; nothing if none was sent.
    LossShare(Stream),
    /// A quantile of the round-trip time of a probe, in milliseconds; nothing if no echo came back.
    RoundTripTime(RoundTripTime),
    /// Packets dropped.
    Drops(Drops),
    /// From a fault's first strike until something first notices it, in seconds; nothing if nothing does.
    Detection(Detection),
    /// From a fault to the last change of a best route because of it, in seconds; nothing if none changed.
    Convergence(Convergence),
    /// How often sessions were lost without a fault behind it; of the two ends of a session, the one that lost it more often counts.
    FalseFailovers(FalseFailovers),
    /// Changes of best routes without a fault behind them.
    UnprovokedRouteChanges(UnprovokedRouteChanges),
    /// Packets or octets of control protocols, each packet counted once, as it enters its first link: inside a tunnel with ESP's
    /// octets. IKE's include DPD and NAT keepalives, BGP's the acknowledgements of TCP.
    ControlTraffic(ControlTraffic),
    /// Octets that came back whole to the flows of an application, in bits per second, from the first flow's beginning to the last
    /// octet that came; nothing if none came.
    Goodput(OfApplication),
    /// Flows of an application that were reset, timed out or stalled.
    ApplicationFailures(OfApplication),
    /// The longest wait of an application's flows that ended, in seconds; 0 if none waited.
    ApplicationOutage(OfApplication),
    /// 1 if an expectation of the scenario held, or all did, else 0.
    Held(Held),
}

/// Length of outages.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The probe.
    pub probe: At<Name>,
    /// "forward", "reverse" or "round_trip"; "round_trip" if not given, or "forward" of a probe that is not answered.
    pub direction: Option<At<Judged>>,
    /// The fault that it belongs to, as "cut", or its healing, as "cut.heal"; any or none if not given.
    pub fault: Option<At<Name>>,
    /// The "longest" (if not given) or the "sum".
    pub of: Option<At<Extent>>,
}

/// A direction of a probe.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The probe.
    pub probe: At<Name>,
    /// "forward", "reverse" or "round_trip"; "round_trip" if not given, or "forward" of a probe that is not answered.
    pub direction: Option<At<Judged>>,
}

/// Round-trip time.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RoundTripTime {
    /// The probe.
    pub probe: At<Name>,
    /// "min", "p50" (if not given), "p90", "p99" or "max".
    pub quantile: Option<At<Quantile>>,
}

/// Number of drops.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Drops {
    /// The reason by its code: "blackhole", "replayed", "queue_full" ...; any if not given.
    pub reason: Option<At<DropReason>>,
    /// Only at this device or tunnel endpoint.
    pub node: Option<At<Name>>,
    /// Only on this link or path.
    pub link: Option<At<Name>>,
}

/// Time to notice.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The fault.
    pub fault: At<Name>,
    /// At this device or tunnel endpoint; anywhere if not given.
    pub node: Option<At<Name>>,
}

/// Time until routes have settled.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Convergence {
    /// The fault, as "cut", or its healing, as "cut.heal".
    pub fault: At<Name>,
}

/// Sessions lost for no good reason.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FalseFailovers {
    /// Which sessions: "ike", "bgp", "bfd", or "any" (if not given).
    pub of: Option<At<Sessions>>,
}

/// Routes changed for no good reason.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct UnprovokedRouteChanges {
    /// Only of this device; of any if not given.
    pub node: Option<At<Name>>,
    /// After this moment, by which the world has come up.
    pub after: At<Span>,
}

/// Control traffic.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ControlTraffic {
    /// Whose: "ike", "bgp", "bfd", or "any" (if not given), which includes all other sessions.
    pub of: Option<At<Sessions>>,
    /// "packets" (if not given) or "octets".
    pub count: Option<At<Unit>>,
}

/// An application.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OfApplication {
    /// Its name.
    pub application: At<Name>,
}

/// Whether the scenario's expectations hold.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its name; all of them if not given.
    pub expectation: Option<At<Name>>,
}

/// The language as JSON Schema (2020-12); [`crate::schema::json_schema`] says how RON follows it.
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Study)
}
