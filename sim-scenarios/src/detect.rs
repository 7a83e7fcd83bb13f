//! What first noticed a fault.

use sim_core::id::{NodeId, RecordId};
use sim_core::reason::{Reason, State, TimerKind};
use sim_core::trace::path::fault_behind;
use sim_core::trace::{Record, Trace, What};

use crate::plan::Detector;

/// The first record by which a strike was noticed, at this device or anywhere: a session left its working state, or AWS held
/// an endpoint dead.
pub fn first_notice(trace: &Trace, strike: RecordId, node: Option<NodeId>) -> Option<(RecordId, &Record)> {
    let noticed = |record: &Record| match record.what {
        // A backup notices that its master is gone by taking its place.
        What::State { reason: Reason::VrrpMasterDown, .. } => true,
        What::State { from, to, .. } => works(from) && !works(to),
        What::Expired { timer, .. } => timer == TimerKind::EndpointHealth,
        _ => false,
    };
    trace.records().find(|(id, record)| {
        *id > strike
            && node.is_none_or(|node| node == record.node)
            && noticed(record)
            && fault_behind(trace, *id) == Some(strike)
    })
}

/// The reason of a noticing record, and the timer right before it if one expired.
pub fn detectors(trace: &Trace, id: RecordId) -> Vec<Detector> {
    let of = |id: RecordId| match trace.kept(id).what {
        What::State { reason, .. } => Some(Detector::Reason(reason)),
        What::Expired { timer, .. } => Some(Detector::Timer(timer)),
        _ => None,
    };
    let before = trace.kept(id).cause;
    let timer = of(before).filter(|d| matches!(d, Detector::Timer(_)));
    of(id).into_iter().chain(timer).collect()
}

/// The stable code of a detector.
pub const fn code(detector: Detector) -> &'static str {
    match detector {
        Detector::Timer(timer) => timer.code(),
        Detector::Reason(reason) => reason.code(),
    }
}

/// True for the states in which a session does its work.
pub const fn works(state: State) -> bool {
    matches!(state, State::Up | State::Rekeying | State::Established | State::Master)
}
