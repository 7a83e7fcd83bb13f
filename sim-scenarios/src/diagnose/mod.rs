//! Diagnosis as an operator makes it: what is wrong, by what it shows, and the smallest edit that cures it.
//!
//! What an operator sees, and nothing else, is [`observe`]'s to collect:
//!
//! - from AWS: the status of each tunnel, the tunnel activity and BGP logs, flow logs of the VPCs (which are turned on for this), route
//!   tables of VPCs and transit gateways, what a virtual private gateway has (its static routes are listed, and what BGP learns is
//!   logged), and the settings of the VPN connection as the console and the configuration file for the device show
//!   them, keys included;
//! - from his own device: its settings, its route table, whether it has SAs, its own log of IKE (whether it calls at all), and its
//!   counters: of access lists, of TCP MD5, and the firewall's of flows;
//! - from those who complain: which of the scenario's probes and flows work, and what they send.
//!
//! He does not see the path, nor the records of the simulator: its trace scores a diagnosis in tests and enters none. [`classify`] goes
//! by symptoms. Settings of the two ends are compared only where a symptom asks for it: two ends that differ and work are healthy.
//! [`fix`] makes edits of the scenario, the smallest first, and runs each: only one that takes the symptom away is suggested. What has
//! been cured stays cured while the next is looked for, so the edits together are the whole cure.
//!
//! The field's troubleshooting table is covered: pre-shared key, IKE parameters and PFS; a missing static or BGP prefix; a tunnel that
//! was never configured; MTU, fragments and the limits of a tunnel; ASN, port 179 and TCP MD5; flows that a stateful firewall drops
//! because answers come by the other tunnel. What shows and is none of these is said to be so, without a fix.
//!
//! Left out: Direct Connect, several customer gateways behind one another, certificates, identities and traffic selectors, NATs that keep
//! state for each tunnel. A connection that is drawn with one tunnel is taken for what it is. [`crate::diagnosis`] is another thing: it
//! tells in every report which settings do not fit, from the records of both ends.

pub mod classify;
pub mod fix;
pub mod observe;
pub mod report;

use core::fmt;

use serde::Serialize;

use crate::plan::Plan;
use crate::scenario::{Scenario, Secrets};

pub use classify::Class;
use classify::Finding;
use fix::Fix;
use observe::Seen;

/// How many causes are looked for, one behind the other.
const MOST: usize = 12;

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The scenario.
    pub scenario: String,
    /// True if nothing is wrong.
    pub healthy: bool,
    /// What is, in the order in which it can be cured.
    pub causes: Vec<Cause>,
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// Its row of the troubleshooting table.
    pub class: Class,
    /// What it is about: a tunnel, a way, traffic.
    pub subject: String,
    /// In a sentence.
    pub text: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// What cures it; `None`: nothing that was tried.
    pub fix: Option<Fix>,
}

impl Diagnosis {
    /// As JSON, with a line end behind it.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |text| text + "\n")
    }

    /// All edits that are suggested, in order. They hold keys.
    pub fn edits(&self) -> impl Iterator<Item = &str> {
        self.causes.iter().filter_map(|cause| cause.fix.as_ref()).flat_map(|fix| &fix.edits).map(|edit| edit.0.as_str())
    }
}

/// An edit in the grammar of [`crate::set`]. It may hold a key, so it is shown with the key blotted out.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit(pub(crate) String);

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::source::blot(&self.0))
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Edit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Looks at a scenario as an operator does, and tries what would help. It is run once for that, and once for each edit that is tried.
pub fn diagnose(scenario: &Scenario, secrets: &dyn Secrets) -> Diagnosis {
    let mut causes = Vec::new();
    // What a scenario expects of itself as it is does not bind what is tried.
    let free = scenario.with(&["expect={}", "control=[]"], secrets);
    let mut state = free.unwrap_or_else(|_| scenario.clone());
    let mut open = findings(state.plan());
    let healthy = open.is_empty();
    // What nothing cured is put aside, and the next is looked at.
    let mut aside: Vec<Finding> = Vec::new();
    while let Some(finding) = open.iter().find(|finding| !aside.iter().any(|other| other.is_same(finding))).cloned() {
        if causes.len() == MOST {
            break;
        }
        let cured = fix::search(&state, secrets, &finding);
        let fix = match cured {
            Some((fix, cured, left)) => {
                (state, open) = (cured, left);
                Some(fix)
            }
            None => {
                aside.push(finding.clone());
                None
            }
        };
        let Finding { class, name, text, evidence, .. } = finding;
        causes.push(Cause { class, subject: name, text, evidence, fix });
    }
    Diagnosis { scenario: scenario.plan().name.clone(), healthy, causes }
}

/// What shows in a run of a plan.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    classify::classify(&Seen::of(plan))
}
