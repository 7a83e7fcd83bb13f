//! The report as data: what `--format json` and `report.json` hold.
//!
//! Its keys are a public contract, versioned by [`SCHEMA`]: a key is never renamed, removed or given another meaning
//! within a version. New keys and new values of the enumerations (kinds, events, reasons, states) may come at any
//! time, so a reader ignores what it does not know. The document depends on the scenario, the seed and the version
//! alone; all lists have a stable order.
//!
//! Times are seconds since the start of the world, as JSON numbers made from whole nanoseconds. Up to 10^6 s (11 days)
//! a double holds every nanosecond, and the shortest decimal that identifies the double, which is what is printed, has
//! at most nine digits after the point; beyond that the last digits round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sim_core::time::{Duration, Instant};

/// Name and version of this document's format.
pub const SCHEMA: &str = "vpnsim-report/1";

/// The answer to one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Name and version of this document's format.
    pub schema: String,
    /// Version of the program that ran it.
    pub vpnsim: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of the whole trace, as hexadecimal digits: equal behaviour gives equal digests.
    pub digest: String,
    /// How long the world lived.
    pub simulated_s: Seconds,
    /// Probe streams, one entry per direction.
    pub probes: Vec<Probe>,
    /// Times in which a direction of a stream was dark, in order of stream, direction and time.
    pub outages: Vec<Outage>,
    /// Faults and healings in order of time.
    pub faults: Vec<Fault>,
    /// Protocol sessions as each end sees them.
    pub sessions: Vec<Session>,
    /// How long routes kept changing because of a fault.
    pub convergence: Vec<Convergence>,
    /// Dropped packets by place and reason.
    pub drops: Vec<Drop>,
    /// What the flows of applications came to; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<Application>,
    /// Which ways flows took through devices with a firewall or with equal routes, by device and way out; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ecmp: Vec<Ecmp>,
    /// Settings of a tunnel's two ends that do not fit, with what came of it.
    #[serde(default)]
    pub misconfigurations: Vec<Misconfiguration>,
    /// What the profiles of devices set, where the scenario said nothing; left out if all are generic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// What alarms did, by time; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<AlarmChange>,
    /// What the scenario expected, and whether it held.
    pub expectations: Vec<Expectation>,
    /// Parameters without a documented value that a critical path used.
    pub assumptions: Vec<Assumption>,
}

/// A change of an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmChange {
    /// Its name.
    pub alarm: String,
    /// At which evaluation.
    pub at_s: Seconds,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub from: String,
    /// The same.
    pub to: String,
    /// Why, in CloudWatch's form.
    pub reason: String,
}

/// What the flows of an application came to. At the end of the run each flow that began is one of `done`, `alive`, `stalled`, `reset` and
/// `timed_out`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// `tcp` or `udp`.
    pub kind: String,
    /// Flows that began.
    pub flows: u64,
    /// Those whose connection was open once.
    pub connected: u64,
    /// Those that were answered all that they asked, and closed.
    pub done: u64,
    /// Those that were open at the end and had not waited for longer than the application's patience.
    pub alive: u64,
    /// Those that were open, or opening, at the end and had.
    pub stalled: u64,
    /// Those that were reset.
    pub reset: u64,
    /// Those whose TCP gave up.
    pub timed_out: u64,
    /// Questions asked.
    pub questions: u64,
    /// Answers that came whole.
    pub answers: u64,
    /// The longest wait that ended; null if nothing ever came.
    pub outage: Option<ApplicationOutage>,
    /// How the host's TCP counts; null for UDP.
    pub host: Option<String>,
}

/// The longest time that a flow of an application waited for an octet that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplicationOutage {
    /// The last octet before; null if it was the first that was waited for.
    pub last_byte_s: Option<Seconds>,
    /// Since when it was waited for.
    pub asked_s: Seconds,
    /// The first octet after.
    pub first_byte_s: Seconds,
    /// From `asked_s` to `first_byte_s`.
    pub waited_s: Seconds,
}

/// The flows that a device first sent out by one tunnel or interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ecmp {
    /// The device.
    pub group: String,
    /// The tunnel or interface.
    pub member: String,
    /// How many flows.
    pub flows: u64,
    /// Their packets that came to the device, in both directions, those included that it dropped for want of state.
    pub packets: u64,
    /// Flows of which answers came in by another way than one by which they went out.
    pub asymmetric_flows: u64,
    /// Flows of which the last answer was dropped for want of state, or which were dropped before there was one.
    pub failed_flows: u64,
    /// Packets dropped for want of state.
    pub dropped: u64,
    /// `dropped` of `packets`, from 0 to 1.
    pub drop_share: f64,
    /// Why most of them were dropped; null if none was.
    pub reason: Option<String>,
}

/// A device's profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The device.
    pub device: String,
    /// Name of the profile.
    pub profile: String,
    /// What it is.
    pub about: String,
    /// What it set.
    pub settings: Vec<ProfileSetting>,
}

/// A setting that a profile gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileSetting {
    /// Where it stands, as a path for `--set`.
    pub parameter: String,
    /// Its value.
    pub value: String,
    /// Where that is from.
    pub source: String,
}

/// A setting that does not fit between the ends of a tunnel, as it showed. No secret stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Misconfiguration {
    /// The tunnel.
    pub tunnel: String,
    /// When it showed first.
    pub at_s: Seconds,
    /// `pre_shared_key`, `id`, `phase1`, `phase2`, `pfs_group`, `traffic_selectors`, `phase1_lifetime`, `phase2_lifetime` or
    /// `path`.
    pub setting: String,
    /// What AWS's end has.
    pub aws: String,
    /// What the customer gateway has.
    pub customer: String,
    /// What is wrong, and what came of it.
    pub text: String,
    /// The line of AWS's log that shows it, if there is one.
    pub log: Option<String>,
}

/// One direction of a stream of probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Name of the stream.
    pub name: String,
    /// `forward`, `reverse` or `round_trip`.
    pub direction: String,
    /// Time between two probes: the resolution of every outage of this stream.
    pub interval_s: Seconds,
    /// Probes that entered this direction; for `reverse`, requests that arrived.
    pub sent: u64,
    /// Probes that left it.
    pub received: u64,
    /// Share that was lost, from 0 to 1, of those that were not in flight when the run ended.
    pub loss: f64,
    /// Round-trip time, for `round_trip`; otherwise null.
    pub rtt_ms: Option<Quantiles>,
    /// Delay variation (RFC 3393) between neighbours that both arrived.
    pub jitter_ms: Option<Quantiles>,
}

/// Quantiles by nearest rank, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// The smallest.
    pub min: Milliseconds,
    /// The median.
    pub p50: Milliseconds,
    /// Nine of ten are no larger.
    pub p90: Milliseconds,
    /// 99 of 100 are no larger.
    pub p99: Milliseconds,
    /// The largest.
    pub max: Milliseconds,
}

/// A run of consecutive unanswered probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outage {
    /// Name of the stream.
    pub probe: String,
    /// `forward`, `reverse` or `round_trip`.
    pub direction: String,
    /// The fault or healing that owns it, null if none does.
    pub fault: Option<String>,
    /// When the first lost probe was sent.
    pub start_s: Seconds,
    /// When the next probe that arrived was sent; null while dark.
    pub end_s: Option<Seconds>,
    /// From start to end; while dark, to the end of the run.
    pub duration_s: Seconds,
    /// Number of probes lost.
    pub lost: u64,
}

/// A fault or a healing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The scenario's name of it.
    pub id: String,
    /// When it struck.
    pub at_s: Seconds,
    /// What happened: `blackhole`, `link_down`, ...
    pub what: String,
    /// What it struck.
    pub target: String,
    /// The fault that this one ends, if it is a healing; otherwise null.
    pub heals: Option<String>,
    /// From here to recovered traffic, in order of time. Empty if it darkened no probe or no probe recovered.
    pub critical_path: Vec<PathStep>,
}

/// One step of a critical path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PathStep {
    /// When it happened.
    pub at_s: Seconds,
    /// Where.
    pub node: String,
    /// `fault`, `packet_dropped`, `timer_expired`, `session_changed`, `message_sent`, `message_received`,
    /// `route_changed` or `probe_arrived`.
    pub event: String,
    /// The session, route, link or probe it happened to.
    pub subject: String,
    /// Which timer, why the session changed, which message, why dropped.
    pub reason: String,
    /// How long the path stood still before it. A timer counts from its arming or the fault, whichever is later.
    pub waited_s: Seconds,
}

/// A protocol session as one end sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// `ike`, `child`, `bgp`, ...
    pub kind: String,
    /// Node and session.
    pub name: String,
    /// When it was established first; null if never.
    pub established_s: Option<Seconds>,
    /// Its state changes in order of time.
    pub transitions: Vec<Transition>,
}

/// One state change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// When.
    pub at_s: Seconds,
    /// The state it left.
    pub from: String,
    /// The state it entered.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// How long a node's route to a prefix kept changing because of a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Convergence {
    /// The fault or healing.
    pub fault: String,
    /// Whose route.
    pub node: String,
    /// To where.
    pub prefix: String,
    /// From the fault to the last change.
    pub settled_s: Seconds,
    /// Number of changes.
    pub changes: u64,
}

/// Packets dropped at one place for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drop {
    /// The node that dropped them, null if a link did.
    pub node: Option<String>,
    /// The link that dropped them, null if a node did.
    pub link: Option<String>,
    /// The direction on the link.
    pub direction: Option<String>,
    /// Why.
    pub reason: String,
    /// How many.
    pub packets: u64,
    /// Their IP octets.
    pub bytes: u64,
    /// The first.
    pub first_s: Seconds,
    /// The last.
    pub last_s: Seconds,
}

/// One expectation of the scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// Its name in the scenario.
    pub name: String,
    /// What was expected.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What was found.
    pub detail: String,
}

/// A parameter whose value no public document gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assumption {
    /// Its path in the scenario language, as `--set` takes it.
    pub parameter: String,
    /// The value that was used.
    pub value: String,
    /// Why that value.
    pub source: String,
    /// The answer at the ends of its range, if that was asked and it has one; left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
}

/// The range of a parameter, and the answer at its ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// Why it reaches so far.
    pub source: String,
    /// Its ends, or all values of a choice.
    pub ends: Vec<AssumptionEnd>,
}

/// The answer with a parameter at an end of its range, all else as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssumptionEnd {
    /// The parameter's value there.
    pub value: String,
    /// Digest of that run's trace: equal to the report's if nothing at all is different.
    pub digest: String,
    /// The scenario's expectations, judged there.
    pub expectations: Vec<Expectation>,
    /// How long it is dark there.
    pub darkness: Vec<Darkness>,
}

/// The longest outage of one direction of a stream because of one fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Darkness {
    /// Name of the stream.
    pub probe: String,
    /// `forward`, `reverse` or `round_trip`.
    pub direction: String,
    /// The fault or healing that owns it, null if none does.
    pub fault: Option<String>,
    /// How long; while dark, to the end of the run.
    pub longest_s: Seconds,
}

impl Report {
    /// True if every expectation held (also if there are none).
    pub fn all_held(&self) -> bool {
        self.expectations.iter().all(|e| e.held)
    }

    /// The document: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report has string keys and finite numbers");
        text.push('\n');
        text
    }
}

/// A time or duration, in the document a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Seconds(pub Duration);

/// A duration, in the document a number of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Milliseconds(pub Duration);

macro_rules! number {
    ($($name:ident, $nanos:literal, $text:literal;)*) => {$(
        impl From<$name> for f64 {
            fn from(value: $name) -> Self {
                value.0.as_nanos() as f64 / $nanos
            }
        }

        impl From<f64> for $name {
            /// The nearest nanosecond; negative numbers become zero.
            fn from(number: f64) -> Self {
                Self(Duration::from_nanos((number * $nanos).round() as u64))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "number", "minimum": 0, "description": $text })
            }
        }
    )*};
}

number! {
    Seconds, 1e9, "Seconds, exact to the nanosecond.";
    Milliseconds, 1e6, "Milliseconds, exact to the nanosecond.";
}

impl From<Instant> for Seconds {
    fn from(at: Instant) -> Self {
        Self(at.since_start())
    }
}

impl From<Duration> for Seconds {
    fn from(d: Duration) -> Self {
        Self(d)
    }
}

/// Three decimals, rounded half up in integers, with the unit: `27.340 s`.
impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = (self.0.as_nanos() + 500_000) / 1_000_000;
        f.pad(&format!("{}.{:03} s", millis / 1_000, millis % 1_000))
    }
}

/// Three decimals, rounded half up in integers, without the unit: `21.004`.
impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = (self.0.as_nanos() + 500) / 1_000;
        f.pad(&format!("{}.{:03}", micros / 1_000, micros % 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_print_as_decimals_without_noise() {
        let json = |nanos| serde_json::to_string(&Seconds(Duration::from_nanos(nanos))).unwrap();
        assert_eq!(json(27_340_000_000), "27.34");
        assert_eq!(json(300_000_000_001), "300.000000001");
        assert_eq!(json(999_999_999_999_999), "999999.999999999");
        assert_eq!(json(60_000_000_000), "60.0");
        assert_eq!(Seconds(Duration::from_nanos(1_999_500_000)).to_string(), "2.000 s");
        assert_eq!(Milliseconds(Duration::from_nanos(21_003_500)).to_string(), "21.004");
    }

    proptest! {
        #[test]
        fn every_nanosecond_of_eleven_days_survives(nanos in 0u64..1_000_000_000_000_000) {
            let seconds = Seconds(Duration::from_nanos(nanos));
            let text = serde_json::to_string(&seconds).unwrap();
            prop_assert_eq!(serde_json::from_str::<Seconds>(&text).unwrap(), seconds);
            let decimals = text.split_once('.').map_or(0, |(_, d)| d.len());
            prop_assert!(text.contains('e') || decimals <= 9, "{}", text);
        }
    }
}
