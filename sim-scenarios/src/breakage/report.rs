//! The answer of breaking everything, as data and as a table.
//!
//! Its keys are a public contract under the same rules as those of [`crate::report::model`].

use core::cmp::Reverse;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sim_core::time::Duration;

use crate::report::model::Seconds;
use crate::report::story::{Block, Section, Table};

/// How many reasons of drops a row of the table names; the document has all.
const MOST: usize = 2;

/// Name and version of this document's format.
pub const SCHEMA: &str = "vpnsim-faults/1";

/// What each component's failure does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Breakage {
    /// Name and version of this document's format.
    pub schema: String,
    /// Version of the program that ran it.
    pub vpnsim: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of all runs.
    pub seed: u64,
    /// When each component fails.
    pub strike_s: Seconds,
    /// When it is repaired.
    pub heal_s: Seconds,
    /// The run in which nothing is broken, with all that it drops.
    pub untouched: Entry,
    /// Components after whose failure a probe does not come back before they are repaired.
    pub single_points: Vec<Component>,
    /// Pairs of which that is true, though of neither alone.
    pub double_points: Vec<Vec<Component>>,
    /// Every failure, the worst first.
    pub entries: Vec<Entry>,
}

/// A component of the drawing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    /// `link`, `path`, `node`, `endpoint`, `availability_zone` or `group`.
    pub kind: String,
    /// Its name in the scenario.
    pub name: String,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What fails.
    pub components: Vec<Component>,
    /// Each stream of probes.
    pub probes: Vec<ProbeEntry>,
    /// What noticed it first; null if nothing did.
    pub detected: Option<Detected>,
    /// Packets dropped anywhere, by reason; of a failure, those beyond what the untouched run drops.
    pub drops: Vec<Dropped>,
    /// True if devices kept each other busy for ever, and the run was broken off.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub storm: bool,
    /// Digest of the run's trace.
    pub digest: String,
}

/// What a stream of probes went through.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ProbeEntry {
    /// Name of the stream.
    pub probe: String,
    /// `round_trip`, or `forward` for a stream that is not echoed.
    pub direction: String,
    /// Its longest outage that began while the component was broken.
    pub outage_s: Seconds,
    /// Its longest outage that began after the repair.
    pub after_repair_s: Seconds,
    /// True if it did not come back before the repair.
    pub until_repair: bool,
    /// How long after the repair it was back, if it had to wait for it; null if it never was.
    pub back_s: Option<Seconds>,
    /// Probes lost beyond those that are lost without the failure.
    pub lost: u64,
    /// True if the failure takes an end of the stream itself, so that nothing is said of the network.
    pub own_end: bool,
}

/// What first noticed a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detected {
    /// Where.
    pub node: String,
    /// How long after it.
    pub after_s: Seconds,
    /// The timer, or the reason for which a session went down.
    pub by: String,
}

/// Packets dropped for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// Why.
    pub reason: String,
    /// How many.
    pub packets: u64,
}

impl Entry {
    /// Orders the worst first: what waits for the repair, then by the longest outage, then by probes lost, then by name.
    pub fn badness(&self) -> impl Ord + use<> {
        let judged = || self.probes.iter().filter(|probe| !probe.own_end);
        let waiting = judged().filter(|probe| probe.until_repair).count();
        let longest = judged().map(|probe| probe.outage_s.max(probe.after_repair_s)).max();
        let lost: u64 = judged().map(|probe| probe.lost).sum();
        (Reverse((waiting, longest, lost)), self.components.len(), self.components.clone())
    }
}

impl Breakage {
    /// The document: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it has string keys and finite numbers");
        text.push('\n');
        text
    }

    /// It for people.
    pub fn sections(&self) -> Vec<Section> {
        let lasted = Seconds(self.heal_s.0.saturating_sub(self.strike_s.0));
        let many = if self.entries.iter().any(|entry| entry.components.len() > 1) {
            "Each component of the drawing alone, then each two at once,"
        } else {
            "Each component of the drawing"
        };
        let how = format!(
            "{many} is broken from {} to {}, for {lasted}; all else, and every random choice, is as it was. What takes longer \
             than that to be noticed looks here as if nothing could replace it.",
            self.strike_s, self.heal_s
        );
        let mut answer = vec![Block::Say(points(&self.single_points))];
        if !self.double_points.is_empty() {
            let pairs: Vec<String> = self.double_points.iter().map(|pair| named(pair)).collect();
            answer.push(Block::Say(format!("Pairs without a spare, though each alone has one: {}.", pairs.join("; "))));
        }
        answer.push(Block::Say(how));
        let restless = self.untouched.probes.iter().filter(|probe| probe.lost > 0).map(|probe| probe.probe.as_str());
        let restless: Vec<&str> = restless.collect();
        if !restless.is_empty() {
            answer.push(Block::Say(format!("Without any fault these lose probes, too: {}.", restless.join(", "))));
        }
        let head = vec!["broken", "kind", "dark", "noticed by", ">after", ">probes lost", "most drops"];
        let table = Table { head, rows: self.entries.iter().map(row).collect() };
        let run = format!("Scenario {}, seed {}, vpnsim {}.", self.scenario, self.seed, self.vpnsim);
        vec![
            Section { title: String::new(), blocks: answer },
            Section { title: "What each failure does".into(), blocks: vec![Block::Table(table)] },
            Section { title: "This run".into(), blocks: vec![Block::Say(run)] },
        ]
    }
}

fn points(single: &[Component]) -> String {
    match single {
        [] => "No single point of failure: every probe comes back while any one component is broken.".into(),
        [one] => format!("Single point of failure: {}. A probe is dark until it is repaired.", one.name),
        many => {
            format!("Single points of failure, after which a probe is dark until they are repaired: {}.", named(many))
        }
    }
}

fn named(components: &[Component]) -> String {
    let names: Vec<&str> = components.iter().map(|component| component.name.as_str()).collect();
    names.join(", ")
}

fn row(entry: &Entry) -> Vec<String> {
    let names: Vec<&str> = entry.components.iter().map(|component| component.name.as_str()).collect();
    let kinds: Vec<String> = entry.components.iter().map(|component| component.kind.replace('_', " ")).collect();
    let dark: Vec<String> = entry.probes.iter().filter_map(dark).collect();
    let mut drops: Vec<&Dropped> = entry.drops.iter().collect();
    drops.sort_by_key(|drop| Reverse(drop.packets));
    let dropped: Vec<String> =
        drops.iter().take(MOST).map(|drop| format!("{} {}", drop.packets, drop.reason)).collect();
    let lost: u64 = entry.probes.iter().map(|probe| probe.lost).sum();
    let (by, after) = match &entry.detected {
        Some(detected) => (format!("{} at {}", detected.by, detected.node), detected.after_s.to_string()),
        None => ("nobody".into(), "-".into()),
    };
    let dark = if dark.is_empty() { "nothing".into() } else { dark.join("; ") };
    let dark = if entry.storm { format!("{dark}; never at rest") } else { dark };
    vec![names.join(" + "), kinds.join(" + "), dark, by, after, lost.to_string(), dropped.join(", ")]
}

/// How dark a stream was; `None` if it was not.
fn dark(probe: &ProbeEntry) -> Option<String> {
    let name = &probe.probe;
    let after =
        (probe.after_repair_s.0 > Duration::ZERO).then(|| format!(" and {} after the repair", probe.after_repair_s));
    match probe {
        ProbeEntry { own_end: true, .. } => Some(format!("{name} loses its own end")),
        ProbeEntry { until_repair: true, back_s: Some(back), .. } => {
            Some(format!("{name} until the repair and {back} beyond"))
        }
        ProbeEntry { until_repair: true, back_s: None, .. } => Some(format!("{name} for good")),
        ProbeEntry { outage_s, .. } if outage_s.0.is_zero() => after.map(|after| format!("{name}{after}")),
        ProbeEntry { outage_s, .. } => Some(format!("{name} {outage_s}{}", after.unwrap_or_default())),
    }
}
