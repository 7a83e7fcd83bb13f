//! The answer at the ends of what is assumed: where AWS publishes nothing, a scenario is asked again with the parameter at either
//! end of its range, all else and the seed as they are, so that a reader sees whether the answer hangs on it.
//!
//! The assumptions that are asked about are those that the report names, and those on which the last outage of any other direction
//! hangs, which the report then names, too. That is up to two more runs for each (a choice among tunnels: one for each), so nobody
//! is made to wait for it: `vpnsim run --assumption-ends` asks. A value at which the run has been already is not run again.
//!
//! What no outage waited for is not asked about: a run in which nothing went dark assumes nothing.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostics;
use crate::report::Outcome;
use crate::report::model::{AssumptionEnd, Darkness, Range, Report};
use crate::run::Simulation;
use crate::scenario::{Scenario, Secrets};

/// Adds to each assumption of an answer what the answer would be at the ends of its range.
///
/// # Errors
/// If a value cannot be in this scenario.
pub fn ask(scenario: &Scenario, secrets: &dyn Secrets, outcome: &mut Outcome) -> Result<(), Diagnostics> {
    for assumption in core::mem::take(&mut outcome.detail.assumed) {
        if outcome.report.assumptions.iter().all(|known| known.parameter != assumption.parameter) {
            outcome.report.assumptions.push(assumption);
        }
    }
    let mut found = Vec::new();
    for assumption in &outcome.report.assumptions {
        let planned = scenario.plan().assumptions.iter().find(|planned| planned.parameter == assumption.parameter);
        let Some(range) = planned.and_then(|planned| planned.range.as_ref()) else {
            found.push(None);
            continue;
        };
        let mut ends = Vec::new();
        for value in &range.ends {
            if *value == assumption.value {
                ends.push(end(value, &outcome.report));
                continue;
            }
            let change = format!("{}={value}", assumption.parameter);
            let changed = scenario.with(&[change], secrets)?;
            ends.push(end(value, &Simulation::new(&changed).finish().report));
        }
        found.push(Some(Range { source: range.source.to_owned(), ends }));
    }
    for (assumption, range) in outcome.report.assumptions.iter_mut().zip(found) {
        assumption.range = range;
    }
    Ok(())
}

/// What a report answers, in short.
fn end(value: &str, report: &Report) -> AssumptionEnd {
    AssumptionEnd {
        value: value.to_owned(),
        digest: report.digest.clone(),
        expectations: report.expectations.clone(),
        darkness: darkness(report),
    }
}

/// The longest outage of each direction of a stream because of each fault, in the report's order.
pub fn darkness(report: &Report) -> Vec<Darkness> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Darkness> = Vec::new();
    for outage in &report.outages {
        let key = (&outage.probe, &outage.direction, &outage.fault);
        let place = *places.entry(key).or_insert_with(|| {
            all.push(Darkness {
                probe: outage.probe.clone(),
                direction: outage.direction.clone(),
                fault: outage.fault.clone(),
                longest_s: outage.duration_s,
            });
            all.len() - 1
        });
        all[place].longest_s = all[place].longest_s.max(outage.duration_s);
    }
    all
}
