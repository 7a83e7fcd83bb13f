//! Changes that are tried: each is made in the scenario, run on the same seed, and judged by what the same outage is then.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::document::{Change, Explained};
use super::parameter::Candidate;
use super::{counterpart, understand};
use crate::report::model::Seconds;
use crate::report::story;
use crate::run::Simulation;
use crate::scenario::{Scenario, Secrets};

/// Most changes that are tried: they are of the longest waits, which come first.
const MOST: usize = 24;

/// Tries the changes and adds what came of them, the best first. One that cannot be made in this scenario becomes a remark.
pub fn try_changes(scenario: &Scenario, secrets: &dyn Secrets, explained: &mut Explained, candidates: &[Candidate]) {
    let mut made = Vec::new();
    for (text, edits) in candidates.iter().take(MOST) {
        match scenario.with(edits, secrets) {
            Ok(changed) => made.push((text, edits, changed)),
            Err(mistakes) => {
                let why = mistakes.iter().next().map_or_else(String::new, |mistake| format!(": {}", mistake.message));
                explained.remarks.push(format!("{} cannot be set here{why}.", edits.join(" with ")));
            }
        }
    }
    let told: &Explained = explained;
    let mut changes: Vec<Change> =
        made.into_par_iter().map(|(text, edits, changed)| run(&changed, told, text, edits)).collect();
    changes.sort_by_key(|change| core::cmp::Reverse(change.saved_nanos()));
    explained.changes = changes;
}

fn run(changed: &Scenario, before: &Explained, text: &str, edits: &[String]) -> Change {
    let mut simulation = Simulation::new(changed);
    simulation.run_until(simulation.end());
    let subject = counterpart(&simulation.observe(), before);
    let understood = understand(changed, &simulation, subject.as_ref(), None);
    let after = understood.why.outage.as_ref();
    let longest = after.and_then(|after| {
        let waits = after.path.iter().filter(|row| row.wait.is_some());
        waits.rev().max_by_key(|row| row.step.waited_s)
    });
    Change {
        set: edits.to_vec(),
        text: text.to_owned(),
        before_s: before.outage.duration_s,
        after_s: match after {
            None => Some(Seconds::default()),
            Some(after) => after.outage.end_s.map(|_| after.outage.duration_s),
        },
        waits_for: longest
            .map(|row| format!("{}: {} ({})", row.step.node, story::step_text(&row.step), row.step.waited_s))
            .unwrap_or_default(),
        digest: understood.why.digest,
    }
}
