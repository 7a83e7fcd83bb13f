//! The critical path: from a record back to the fault that it answers, with what was waited for at every step.
//!
//! A record leads back to its trigger. An expired timer leads back to what armed it and, where that came before the
//! fault and explains nothing, through its first *starver* (the first lost packet that would have re-armed it) to the
//! fault itself; so what was waited counts from the later of arming and fault.

use super::Trace;
use super::record::What;
use crate::id::{NodeId, RecordId};
use crate::time::{Duration, Instant};

/// One step of a critical path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The record.
    pub record: RecordId,
    /// When it happened.
    pub at: Instant,
    /// Where.
    pub node: NodeId,
    /// How long was waited for it since the previous step.
    pub waited: Duration,
}

/// The steps from a fault to a record that ended its outage, in order of time; the first is the fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CriticalPath {
    /// The steps.
    pub waits: Vec<Wait>,
}

/// Walks back from a record to the records that it waited for, one after another.
///
/// Each step goes to the trigger, unless something later was needed too. A record that a packet triggered needed
/// whatever that packet's journey depended on; an expired timer needed that the packets which would have re-armed it
/// were lost. Where the chain of triggers would step past such a need into the time before it, the walk goes to the
/// need: a retry that was scheduled before a path healed succeeded because the path healed.
pub struct Walk<'t> {
    trace: &'t Trace,
    at: RecordId,
    needed: RecordId,
}

impl<'t> Walk<'t> {
    /// A walk that begins at `id` and has not left it.
    pub fn from(trace: &'t Trace, id: RecordId) -> Self {
        Self { trace, at: id, needed: needs(trace, id) }
    }
}

impl Iterator for Walk<'_> {
    type Item = RecordId;

    fn next(&mut self) -> Option<RecordId> {
        if self.at == RecordId::GENESIS {
            return None;
        }
        self.at = self.trace.kept(self.at).cause.max(self.needed);
        let needs = needs(self.trace, self.at);
        self.needed = if self.needed < self.at { self.needed.max(needs) } else { needs };
        Some(self.at)
    }
}

/// What a record needed besides its trigger; always earlier than itself.
fn needs(trace: &Trace, id: RecordId) -> RecordId {
    let record = trace.kept(id);
    match record.what {
        What::Expired { starver: Some(blame), .. } => record.enabler.max(blame),
        _ => record.enabler,
    }
}

/// What a record waited for: its trigger (for an expired timer, what armed it) and what it needed besides.
pub fn inputs(trace: &Trace, id: RecordId) -> impl Iterator<Item = RecordId> {
    let record = trace.kept(id);
    let starver = match record.what {
        What::Expired { starver, .. } => starver,
        _ => None,
    };
    let all = [Some(record.cause), Some(record.enabler), starver];
    all.into_iter().flatten().filter(|input| *input != RecordId::GENESIS)
}

/// True if `id`, which follows `before` on a walk, would have happened at the same instant if `before` had been a little
/// earlier: a fault of the timeline, a timer that was armed before, a packet that was sent before. It is tied to an
/// absolute instant, as far as what comes before it on the walk goes.
pub fn is_tied(trace: &Trace, before: RecordId, id: RecordId) -> bool {
    let (earlier, record) = (trace.kept(before), trace.kept(id));
    match record.what {
        What::Fault { .. } => true,
        What::Expired { armed_at, .. } => armed_at < earlier.at,
        _ => record.cause != before && trace.kept(record.cause).at < earlier.at,
    }
}

/// The record of the fault to which `id` leads back, if it leads to one.
pub fn fault_behind(trace: &Trace, id: RecordId) -> Option<RecordId> {
    let is_fault = |id: &RecordId| matches!(trace.kept(*id).what, What::Fault { .. });
    core::iter::once(id).chain(Walk::from(trace, id)).find(is_fault)
}

/// The path from the fault record `fault` to `end`, or `None` if `end` does not lead back to it.
pub fn critical_path(trace: &Trace, fault: RecordId, end: RecordId) -> Option<CriticalPath> {
    let mut ids: Vec<RecordId> =
        core::iter::once(end).chain(Walk::from(trace, end)).take_while(|id| *id >= fault).collect();
    if ids.last() != Some(&fault) {
        return None;
    }
    ids.reverse();
    let mut since = trace.kept(fault).at;
    let waits = ids
        .into_iter()
        .map(|record| {
            let kept = trace.kept(record);
            let waited = kept.at.since(since);
            since = kept.at;
            Wait { record, at: kept.at, node: kept.node, waited }
        })
        .collect();
    Some(CriticalPath { waits })
}
