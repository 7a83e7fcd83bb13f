//! What a finished run means, measured: pure functions from what the engine observed to numbers.
//!
//! [`Observed`] is the hand-over between the engine and everything that speaks about a run. It holds kept records only,
//! never packets, and every number of a report is computed from it here or in a submodule, so that a number can always
//! be traced to records.

pub mod delay;
pub mod outage;

use sim_core::id::RecordId;
use sim_core::time::{Duration, Instant};

use outage::StreamLog;

/// What the engine observed in one run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Probe streams, in the scenario's order.
    pub streams: Vec<StreamLog>,
    /// Faults and their healings, in order of time. [`FaultIndex`] points into it.
    pub faults: Vec<FaultLog>,
    /// Sessions, in the order in which they first changed state.
    pub sessions: Vec<SessionLog>,
    /// Every change of a best route, in order of time.
    pub routes: Vec<RouteChange>,
    /// Packets dropped, added up by place and reason, in the engine's stable order.
    pub drops: Vec<DropCount>,
    /// When the run ended.
    pub end: Instant,
}

/// A position in [`Observed::faults`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultIndex(pub usize);

/// A fault or a healing that struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultLog {
    /// The scenario's name of it. A healing is a fault of its own with a name of its own.
    pub id: String,
    /// When it struck.
    pub at: Instant,
    /// What happened, as a code: `blackhole`, `link_down`, ...
    pub what: String,
    /// The link, node or session it struck.
    pub target: String,
    /// For a healing, the fault it ends.
    pub heals: Option<FaultIndex>,
}

/// A session as one end sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLog {
    /// The layer: `ike`, `child`, `bgp`, ...
    pub kind: String,
    /// The node and the session's name on it.
    pub name: String,
    /// Its state changes in order of time.
    pub transitions: Vec<Transition>,
}

/// One state change of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Instant,
    /// Code of the state it left (see [`sim_core::reason::State`]).
    pub from: &'static str,
    /// Code of the state it entered.
    pub to: &'static str,
    /// Code of the reason (see [`sim_core::reason::Reason`]).
    pub reason: &'static str,
}

/// One change of the best route of a node to a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// When.
    pub at: Instant,
    /// Whose route.
    pub node: String,
    /// To where.
    pub prefix: String,
    /// The tunnel, interface or next hop it now uses, `None` if there is no route any more.
    pub via: Option<String>,
    /// Code of the reason.
    pub reason: &'static str,
    /// The record of the change, to ask which fault is behind it.
    pub record: RecordId,
}

/// Packets dropped at one place for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The node that dropped them, if a node did.
    pub node: Option<String>,
    /// The link that dropped them, if a link did.
    pub link: Option<String>,
    /// The direction on the link, if a link did.
    pub direction: Option<String>,
    /// Code of the reason (see [`sim_core::reason::DropReason`]).
    pub reason: &'static str,
    /// How many.
    pub packets: u64,
    /// Their IP octets.
    pub bytes: u64,
    /// The first drop.
    pub first: Instant,
    /// The last drop.
    pub last: Instant,
}

/// One step of the critical path from a fault to recovered traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it happened.
    pub at: Instant,
    /// Where.
    pub node: String,
    /// What kind of thing happened.
    pub event: StepKind,
    /// The session, route, link or probe it happened to.
    pub subject: String,
    /// Code of the timer that expired, the state change's reason, the drop's reason or the message.
    pub reason: &'static str,
    /// How long the path stood still before it: for a timer, from the later of its arming and the fault.
    pub waited: Duration,
    /// The parameter that set the wait, if it is an assumption and not a documented figure.
    pub assumption: Option<Assumption>,
}

/// What kind of thing a [`Step`] of a critical path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The fault or healing struck.
    Fault,
    /// A packet was dropped that would have kept a timer from expiring.
    PacketDropped,
    /// A timer expired.
    TimerExpired,
    /// A session changed its state.
    SessionChanged,
    /// A control message was sent.
    MessageSent,
    /// A control message arrived.
    MessageReceived,
    /// A best route changed.
    RouteChanged,
    /// The first probe of the recovered stream arrived.
    ProbeArrived,
}

impl StepKind {
    /// The stable code that reports print.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::PacketDropped => "packet_dropped",
            Self::TimerExpired => "timer_expired",
            Self::SessionChanged => "session_changed",
            Self::MessageSent => "message_sent",
            Self::MessageReceived => "message_received",
            Self::RouteChanged => "route_changed",
            Self::ProbeArrived => "probe_arrived",
        }
    }
}

/// A parameter whose value no public document gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assumption {
    /// Its path in the scenario language.
    pub parameter: String,
    /// The value the run used.
    pub value: String,
    /// Why that value.
    pub source: String,
}

/// The trace's answers about causes. The engine's trace is one; a test may bring its own.
pub trait Causes {
    /// The latest fault or healing from which a chain of causes leads to this record.
    fn fault_behind(&self, record: RecordId) -> Option<FaultIndex>;

    /// The critical path from the fault to the record, both included, in order of time.
    /// Empty if no chain of causes connects them.
    fn critical_path(&self, fault: FaultIndex, to: RecordId) -> Vec<Step>;
}

/// How long a node's route to a prefix kept changing because of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convergence {
    /// The fault.
    pub fault: FaultIndex,
    /// Whose route.
    pub node: String,
    /// To where.
    pub prefix: String,
    /// From the fault to the last change.
    pub settled: Duration,
    /// Number of changes.
    pub changes: u64,
}

/// Route changes grouped by the fault behind them, then by node and prefix. Changes behind which there is no fault
/// (the start of the world) belong to nobody and are left out.
pub fn convergence(observed: &Observed, causes: &dyn Causes) -> Vec<Convergence> {
    let mut groups = std::collections::BTreeMap::<_, (Duration, u64)>::new();
    for change in &observed.routes {
        let Some(fault) = causes.fault_behind(change.record) else {
            continue;
        };
        let Some(struck) = observed.faults.get(fault.0) else {
            continue;
        };
        let (settled, changes) = groups.entry((fault, change.node.clone(), change.prefix.clone())).or_default();
        *settled = (*settled).max(change.at.since(struck.at));
        *changes += 1;
    }
    groups
        .into_iter()
        .map(|((fault, node, prefix), (settled, changes))| Convergence { fault, node, prefix, settled, changes })
        .collect()
}
