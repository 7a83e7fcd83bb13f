//! What is otherwise between two answers, in behaviour and not in bytes.
//!
//! [`compare`] reads two reports side by side: outages that came, went, grew or shrank, the waits on the way to recovery, routes,
//! sessions, drops, applications, alarms, verdicts. Each difference is a [`Change`] that can be said as a sentence; nothing is
//! tolerated, because a run is deterministic. Of each thing the difference is kept that explains the others (of an outage its
//! length, not its last probe as well), but whatever leaf of a report differs, something is said.
//!
//! Beside it: [`inputs`] says which settings differ between two questions, [`paired`] what remains of a difference over many
//! seeds, and [`diff`] puts all of that into one document.

mod change;
pub mod diff;
pub mod inputs;
mod measured;
pub mod paired;
mod stated;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::model::Report;
pub use change::{About, Amount, Change};

use change::Changes;

/// What two answers come to, side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// In one word.
    pub verdict: Verdict,
    /// Every difference, the most telling first.
    pub changes: Vec<Change>,
}

/// Whether two answers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The traces have one digest, and the reports say the same.
    Same,
    /// The traces differ, and nothing that is reported does.
    TraceOnly,
    /// What is reported differs.
    Different,
}

impl Comparison {
    /// One sentence for each difference, or the one that says that there is none.
    pub fn sentences(&self) -> Vec<String> {
        match self.verdict {
            Verdict::Same => vec!["The behaviour is the same, to the last packet.".into()],
            Verdict::TraceOnly => vec!["The trace differs, what is reported does not.".into()],
            Verdict::Different => self.changes.iter().map(|change| format!("{change}.")).collect(),
        }
    }

    /// How many of what changed: "1 expectation, 3 outages and 1 wait changed".
    pub fn counts(&self) -> String {
        let mut counts: BTreeMap<About, usize> = BTreeMap::new();
        self.changes.iter().for_each(|change| *counts.entry(change.about).or_default() += 1);
        let parts: Vec<String> = counts.into_iter().map(|(about, n)| format!("{n} {}", about.words(n > 1))).collect();
        match &parts[..] {
            [] => "nothing changed".into(),
            [one] => format!("{one} changed"),
            [head @ .., last] => format!("{} and {last} changed", head.join(", ")),
        }
    }
}

/// Compares two answers. Names of scenarios, seeds and versions are what the answers are of, not what they say.
pub fn compare(was: &Report, is: &Report) -> Comparison {
    // A new part of the report that nobody compares would not compile.
    let Report {
        schema,
        vpnsim: _,
        scenario: _,
        seed: _,
        digest,
        simulated_s,
        probes,
        outages,
        faults,
        sessions,
        convergence,
        drops,
        applications,
        ecmp,
        misconfigurations,
        profiles,
        alarms,
        expectations,
        assumptions,
    } = was;
    let mut found = Changes::default();
    stated::expectations(expectations, &is.expectations, &mut found);
    measured::outages(outages, &is.outages, &mut found);
    measured::faults(faults, &is.faults, &mut found);
    measured::convergence(convergence, &is.convergence, &mut found);
    stated::sessions(sessions, &is.sessions, &mut found);
    measured::drops(drops, &is.drops, &mut found);
    measured::applications(applications, &is.applications, &mut found);
    measured::ecmp(ecmp, &is.ecmp, &mut found);
    stated::alarms(alarms, &is.alarms, &mut found);
    stated::misconfigurations(misconfigurations, &is.misconfigurations, &mut found);
    measured::probes(probes, &is.probes, &mut found);
    stated::assumptions(assumptions, &is.assumptions, &mut found);
    stated::profiles(profiles, &is.profiles, &mut found);
    found.both(About::World, "the length of the run", *simulated_s, is.simulated_s);
    found.both(About::World, "the format of the report", schema, &is.schema);
    let mut changes = found.0;
    changes.sort_by_key(|change| change.about);
    let verdict = match (changes.is_empty(), *digest == is.digest) {
        (true, true) => Verdict::Same,
        (true, false) => Verdict::TraceOnly,
        (false, _) => Verdict::Different,
    };
    Comparison { verdict, changes }
}

/// Each thing with its counterpart of the same key, the n-th with the n-th, in the order of the first list; then what only the
/// second has.
fn pairs<'r, T, K: Ord>(was: &'r [T], is: &'r [T], key: impl Fn(&'r T) -> K) -> Vec<(Option<&'r T>, Option<&'r T>)> {
    fn numbered<'r, T, K: Ord>(all: &'r [T], key: impl Fn(&'r T) -> K) -> BTreeMap<K, Vec<(usize, &'r T)>> {
        let mut found: BTreeMap<K, Vec<(usize, &'r T)>> = BTreeMap::new();
        for (place, it) in all.iter().enumerate() {
            found.entry(key(it)).or_default().push((place, it));
        }
        found
    }
    let others = numbered(is, &key);
    let mut ours = numbered(was, &key);
    let mut paired = Vec::new();
    for (key, others) in others {
        let own = ours.remove(&key).unwrap_or_default();
        for n in 0..own.len().max(others.len()) {
            let (a, b) = (own.get(n), others.get(n));
            // Those of the first list come first, each list in its order.
            let place = a.map_or((1, b.map_or(0, |(place, _)| *place)), |(place, _)| (0, *place));
            paired.push((place, a.map(|(_, it)| *it), b.map(|(_, it)| *it)));
        }
    }
    paired.extend(ours.into_values().flatten().map(|(place, it)| ((0, place), Some(it), None)));
    paired.sort_by_key(|(place, ..)| *place);
    paired.into_iter().map(|(_, a, b)| (a, b)).collect()
}

/// A code in words.
fn words(code: &str) -> String {
    code.replace('_', " ")
}
