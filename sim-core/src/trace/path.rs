//! The critical path: from a record back to the fault that it answers, with what was waited for at every step.
//!
//! A record leads back to its trigger. An expired timer leads back to its first *starver* (the first lost packet that
//! would have re-armed it) and through it to the fault, because the packet that armed it came before the fault and
//! explains nothing; what was waited then counts from the later of arming and fault.

use super::record::What;
use super::Trace;
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

/// The record that `id` waited for.
pub fn previous(trace: &Trace, id: RecordId) -> RecordId {
    let record = trace.kept(id);
    match record.what {
        What::Expired { starver: Some(blame), .. } if blame != RecordId::GENESIS => blame,
        _ => record.cause,
    }
}

/// The record of the fault to which `id` leads back, if it leads to one.
pub fn fault_behind(trace: &Trace, id: RecordId) -> Option<RecordId> {
    let mut at = id;
    while at != RecordId::GENESIS {
        if let What::Fault { .. } = trace.kept(at).what {
            return Some(at);
        }
        at = previous(trace, at);
    }
    None
}

/// The path from the fault record `fault` to `end`, or `None` if `end` does not lead back to it.
pub fn critical_path(trace: &Trace, fault: RecordId, end: RecordId) -> Option<CriticalPath> {
    let mut ids = vec![end];
    let mut at = end;
    while at > fault {
        at = previous(trace, at);
        ids.push(at);
    }
    if at != fault {
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
