//! How much each wait of a critical path may change before something else decides.
//!
//! A path is a chain of records from a fault to what let the first probe through. It is one of several: the probe needed
//! other records too, and so did records on the path. All of them had come earlier; the latest of those is the runner-up.
//! A wait on the path may shrink until the runner-up decides, and what follows it comes earlier by as much, unless a later
//! link is *tied* to an absolute instant. A wait beside the path may grow until it decides itself.
//!
//! This is PERT with one difference: a link that is tied passes nothing on.

use sim_core::id::RecordId;
use sim_core::time::{Duration, Instant};
use sim_core::trace::Trace;
use sim_core::trace::path::{self, Walk};

use super::journey::Need;

/// One record of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The record.
    pub record: RecordId,
    /// When it happened.
    pub at: Instant,
    /// Since the link before.
    pub waited: Duration,
    /// True if it would have come at the same instant, had the link before come a little earlier.
    pub tied: bool,
}

/// The chain of records from a fault to `end`. If nothing that the fault set off led there, what did (a healing, as a rule)
/// follows the fault. Empty if no fault did.
pub fn chain(trace: &Trace, strike: RecordId, end: RecordId) -> Vec<Link> {
    let back = core::iter::once(end).chain(Walk::from(trace, end));
    let mut ids: Vec<RecordId> = back.take_while(|id| *id >= strike).collect();
    if ids.last() != Some(&strike) {
        match path::fault_behind(trace, end) {
            Some(other) if other > strike => ids.retain(|id| *id >= other),
            _ => return Vec::new(),
        }
        ids.push(strike);
    }
    ids.reverse();
    let mut before = strike;
    let link = |record: RecordId| {
        let (at, since) = (trace.kept(record).at, trace.kept(before).at);
        let tied = record != strike && path::is_tied(trace, before, record);
        before = record;
        Link { record, at, waited: at.since(since), tied }
    };
    ids.into_iter().map(link).collect()
}

/// What decides when a wait has shrunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunnerUp {
    /// Nothing: it may shrink to no time at all.
    Nothing,
    /// This record, which the probe or a record of the path needed too.
    Record(RecordId),
}

/// How much a wait may shrink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slack {
    /// By less than this, and what follows comes earlier by as much.
    pub shrinks_by: Duration,
    /// What decides from there on.
    pub runner_up: RunnerUp,
    /// The place in the chain of the first later link that is tied to an absolute instant: it comes no earlier.
    pub tied_at: Option<usize>,
}

/// The need that decided: the one for which the probe had to be sent latest, of equal ones the later record.
pub fn decisive(trace: &Trace, needs: &[Need]) -> Option<usize> {
    (0..needs.len()).max_by_key(|place| (needs[*place].ready(trace), needs[*place].record))
}

/// The slack of the wait before each link of the chain that leads to the need that decided; of the first, which is the
/// fault, and of links without a wait it means nothing.
pub fn slacks(trace: &Trace, chain: &[Link], needs: &[Need], decisive: usize) -> Vec<Slack> {
    let strike = chain[0].record;
    let ready = needs[decisive].ready(trace);
    let of = |place: usize| {
        let mut slack = Slack { shrinks_by: chain[place].waited, runner_up: RunnerUp::Nothing, tied_at: None };
        let mut limit = |other: RecordId, gap: Duration| {
            // What comes with it does not hold it back.
            if gap < slack.shrinks_by && !comes_with(trace, strike, other, chain[place].record) {
                slack.shrinks_by = gap;
                slack.runner_up = RunnerUp::Record(other);
            }
        };
        for later in place + 1..chain.len() {
            if chain[later].tied {
                slack.tied_at = Some(later);
                return slack;
            }
            let sent = chain[later - 1].at;
            for other in path::inputs(trace, chain[later].record) {
                let known = chain.iter().any(|link| link.record == other) || other <= strike;
                if !known {
                    limit(other, since(sent, trace.kept(other).at));
                }
            }
        }
        for (number, need) in needs.iter().enumerate() {
            if number != decisive {
                limit(need.record, since(ready, need.ready(trace)));
            }
        }
        slack
    };
    (0..chain.len()).map(of).collect()
}

/// What records of a chain needed besides the link before: the record, when it happened, and when it was needed.
pub fn joins(trace: &Trace, chain: &[Link]) -> Vec<(RecordId, Instant, Instant)> {
    let mut all = Vec::new();
    for place in 1..chain.len() {
        let needed = chain[place - 1].at;
        let others = path::inputs(trace, chain[place].record).filter(|other| *other > chain[0].record);
        all.extend(others.map(|other| (other, trace.kept(other).at, needed)));
    }
    all
}

/// True if `other` comes earlier by as much as `record` does: its own chain passes there, and nothing later in it is tied.
pub fn comes_with(trace: &Trace, strike: RecordId, other: RecordId, record: RecordId) -> bool {
    let links = chain(trace, strike, other);
    let place = links.iter().position(|link| link.record == record);
    place.is_some_and(|place| links[place + 1..].iter().all(|link| !link.tied))
}

fn since(later: Instant, earlier: Instant) -> Duration {
    later.since_start().saturating_sub(earlier.since_start())
}
