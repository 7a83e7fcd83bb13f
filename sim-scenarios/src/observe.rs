//! From a finished world to what the measures read.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::id::{FaultId, NodeId, Port, RecordId};
use sim_core::node::Node;
use sim_core::reason::{self, DropReason, Rule, TimerKind};
use sim_core::time::Duration;
use sim_core::trace::path::{critical_path, fault_behind};
use sim_core::trace::{self, Phase, Place, Table, What};
use sim_core::world::World;

use crate::build::external::is_real;
use crate::measure::outage::{Fate, Probe, StreamLog};
use crate::measure::{
    self, Assumption, Causes, DropCount, FaultIndex, FaultLog, Observed, RouteChange, SessionLog, Step, StepKind,
    Transition,
};
use crate::plan::{self, Assumed, NodeKind, Plan};

/// A finished world, ready to be measured.
pub struct Observation<'w> {
    world: &'w World,
    /// What was observed.
    pub observed: Observed,
    /// For each entry of [`Observed::faults`]: its record, its fault, and whether it struck or healed.
    struck: Vec<(RecordId, FaultId, Phase)>,
    plan: &'w Plan,
}

impl<'w> Observation<'w> {
    /// Looks at the world of a plan.
    pub fn of(plan: &'w Plan, world: &'w World) -> Self {
        let (faults, struck) = faults(world);
        let trace = &world.trace;
        let streams = trace.probes().iter().zip(&plan.probes);
        let is_door = |node| matches!(world.node(node), Node::External(_));
        let real = |node| is_real(plan, node, is_door);
        let observed = Observed {
            streams: streams.map(|(log, probe)| stream(world, log, probe.min_lost, real(probe.to))).collect(),
            faults,
            sessions: sessions(world),
            routes: routes(plan, world),
            drops: drops(world),
            end: world.now(),
        };
        Self { world, observed, struck, plan }
    }

    /// The entries of [`Observed::faults`] at which this fault struck or healed.
    pub fn occasions(&self, fault: FaultId, phase: Phase) -> impl Iterator<Item = FaultIndex> {
        let matches = move |(i, (_, f, p)): (usize, &(RecordId, FaultId, Phase))| {
            (*f == fault && *p == phase).then_some(FaultIndex(i))
        };
        self.struck.iter().enumerate().filter_map(matches)
    }

    /// The record of a fault's first strike.
    pub fn strike_record(&self, fault: FaultId) -> Option<RecordId> {
        self.struck.iter().find(|(_, f, phase)| *f == fault && *phase == Phase::Strike).map(|(id, _, _)| *id)
    }

    /// The record of an entry of [`Observed::faults`].
    pub(crate) fn struck(&self, fault: FaultIndex) -> Option<RecordId> {
        self.struck.get(fault.0).map(|(record, ..)| *record)
    }

    /// The world that it looks at.
    pub(crate) fn world(&self) -> &'w World {
        self.world
    }

    /// The plan of that world.
    pub(crate) fn plan(&self) -> &'w Plan {
        self.plan
    }

    /// The parameter behind a wait that AWS does not publish.
    fn timer_assumption(&self, timer: TimerKind, node: &str) -> Option<Assumption> {
        let what = match timer {
            TimerKind::ProgrammingDelay => Assumed::VgwProgrammingDelay,
            TimerKind::PropagationDelay => Assumed::VpcPropagationDelay,
            TimerKind::EndpointHealth => Assumed::EndpointHealthDelay,
            TimerKind::DpdTimeout => Assumed::DpdBase,
            TimerKind::Retransmission => Assumed::Retransmission,
            TimerKind::HalfOpen => Assumed::HalfOpen,
            TimerKind::ChildRekey | TimerKind::IkeRekey => Assumed::RekeyFormula,
            TimerKind::IkeRetry => Assumed::IkeRetry,
            TimerKind::KeepaliveTimer => Assumed::Keepalive,
            TimerKind::ConnectRetryTimer => Assumed::ConnectRetry,
            TimerKind::IdleHoldTimer => Assumed::IdleHold,
            _ => return None,
        };
        self.assumption(what, node)
    }

    /// What AWS chose by no published rule in this run, and so is assumed: ties, and the spreading of flows.
    pub fn choices(&self) -> Vec<Assumption> {
        let chosen = |(_, record): (RecordId, &trace::Record)| {
            let what: &[Assumed] = match record.what {
                What::Route { rule: Some(Rule::AwsChoice), .. } => &[Assumed::PreferredTunnel],
                What::Route { rule: Some(Rule::EqualCost), .. } => &[Assumed::FlowHash, Assumed::EcmpPaths],
                What::State { reason: reason::Reason::PrefixLimit, .. }
                | What::Step { step: reason::Step::PrefixLimitNear, .. } => &[Assumed::PrefixLimit],
                _ => &[],
            };
            let node = self.world.node_name(record.node);
            what.iter().filter_map(move |what| self.assumption(*what, node))
        };
        // Whether a site's packets reach a NAT gateway leaves no record, and what takes a tunnel from whom leaves none of its own.
        let drops = || self.world.trace.drops().keys();
        let untold = drops().any(|key| {
            let Place::Node(node) = key.place else { return false };
            let too_long = [DropReason::FragmentationNeeded, DropReason::PacketTooBig].contains(&key.reason);
            too_long && matches!(self.plan.nodes[node.index()].kind, NodeKind::VpnEndpoint(_))
        });
        let limited = drops().any(|key| key.reason.is_beyond_rate());
        let silent = |what| match what {
            Assumed::NatGatewayForSites | Assumed::SecondSaPair => true,
            Assumed::EndpointIcmp => untold,
            Assumed::TunnelBurst | Assumed::RatesCount => limited,
            _ => false,
        };
        let silent = self.plan.assumptions.iter().filter(|it| silent(it.what));
        let silent = silent.filter_map(|it| self.assumption(it.what, it.owner.as_deref().unwrap_or_default()));
        let all: BTreeSet<Assumption> = self.world.trace.records().flat_map(chosen).chain(silent).collect();
        all.into_iter().collect()
    }

    fn assumption(&self, what: Assumed, node: &str) -> Option<Assumption> {
        let concerns = |a: &&plan::Assumption| a.what == what && a.owner.as_deref().is_none_or(|owner| owner == node);
        self.plan.assumptions.iter().find(concerns).map(|a| Assumption {
            parameter: a.parameter.clone(),
            value: a.value.clone(),
            source: a.source.clone(),
        })
    }

    /// A step of a critical path in the words of reports. `None` of what only belongs to the step before: power.
    pub(crate) fn step(&self, wait: &trace::Wait) -> Option<Step> {
        let trace = &self.world.trace;
        let record = trace.kept(wait.record);
        let session = |id: sim_core::id::SessionId| {
            let info = &trace.sessions()[id.index()];
            format!("{} {}", info.kind.code(), info.name)
        };
        let (event, subject, reason, assumption) = match &record.what {
            What::Genesis | What::Power { .. } => return None,
            What::Fault { fault, phase } => {
                let fault = self.world.fault(*fault);
                let what = if *phase == Phase::Strike { "strike" } else { "heal" };
                (StepKind::Fault, format!("{} on {}", fault.what, fault.target), what, None)
            }
            What::State { session: id, reason, .. } => (StepKind::SessionChanged, session(*id), reason.code(), None),
            What::Expired { session: id, timer, .. } => {
                let assumption = self.timer_assumption(*timer, self.world.node_name(record.node));
                (StepKind::TimerExpired, id.map(session).unwrap_or_default(), timer.code(), assumption)
            }
            What::Step { session: id, step, .. } => {
                let kind = if step.is_sent() { StepKind::MessageSent } else { StepKind::MessageReceived };
                (kind, session(*id), step.code(), None)
            }
            What::Route { table, prefix, to, beside, reason, .. } => {
                let to = ways(self.world, record.node, *to, beside);
                let to = to.as_deref().unwrap_or("withdrawn");
                // A delay of zero leaves no record of its own, and is assumed all the same.
                let assumed = match table {
                    Table::Fib | Table::DxGateway(_) => None,
                    Table::Vgw | Table::Tgw(_) => Some(Assumed::VgwProgrammingDelay),
                    Table::Vpc(_) => Some(Assumed::VpcPropagationDelay),
                };
                let assumption = assumed.and_then(|what| self.assumption(what, self.world.node_name(record.node)));
                (StepKind::RouteChanged, format!("{prefix} via {to}"), reason.code(), assumption)
            }
        };
        // A fault has no node of its own unless it struck one: it happened to its target.
        let node = match (self.world.node_name(wait.node), &record.what) {
            ("", What::Fault { fault, .. }) => self.world.fault(*fault).target.clone(),
            (node, _) => node.to_owned(),
        };
        Some(Step { at: wait.at, node, event, subject, reason, waited: wait.waited, assumption })
    }
}

impl Causes for Observation<'_> {
    fn fault_behind(&self, record: RecordId) -> Option<FaultIndex> {
        let fault = fault_behind(&self.world.trace, record)?;
        self.struck.iter().position(|(id, _, _)| *id == fault).map(FaultIndex)
    }

    fn critical_path(&self, fault: FaultIndex, to: RecordId) -> Vec<Step> {
        let Some((record, _, _)) = self.struck.get(fault.0) else { return Vec::new() };
        let path = critical_path(&self.world.trace, *record, to);
        path.map(|path| path.waits.iter().filter_map(|wait| self.step(wait)).collect()).unwrap_or_default()
    }
}

fn faults(world: &World) -> (Vec<FaultLog>, Vec<(RecordId, FaultId, Phase)>) {
    let mut logs: Vec<FaultLog> = Vec::new();
    let mut struck = Vec::new();
    let mut times: BTreeMap<(FaultId, Phase), u32> = BTreeMap::new();
    let mut latest: BTreeMap<FaultId, FaultIndex> = BTreeMap::new();
    for (id, record) in world.trace.records() {
        let What::Fault { fault, phase } = record.what else { continue };
        let described = world.fault(fault);
        let time = times.entry((fault, phase)).or_default();
        *time += 1;
        let number = if *time == 1 { String::new() } else { format!("#{time}") };
        let (suffix, heals) = match phase {
            Phase::Strike => ("", None),
            Phase::Heal => (".heal", latest.get(&fault).copied()),
        };
        if phase == Phase::Strike {
            latest.insert(fault, FaultIndex(logs.len()));
        }
        logs.push(FaultLog {
            id: format!("{}{suffix}{number}", described.name),
            at: record.at,
            what: described.what.clone(),
            target: described.target.clone(),
            heals,
        });
        struck.push((id, fault, phase));
    }
    (logs, struck)
}

/// How long a real receiver's answer is waited for. Where a packet was lost that is not in this world, nobody can say here
/// (assumed).
const PATIENCE: Duration = Duration::from_secs(5);

fn stream(world: &World, log: &trace::ProbeLog, min_lost: u32, real: bool) -> StreamLog {
    let given_up = |probe: &trace::Probe| real && world.now().since(probe.sent) > PATIENCE;
    let fate = |fate: trace::Fate| match fate {
        trace::Fate::Pending => Fate::Pending,
        trace::Fate::Arrived(at, enabler) => Fate::Arrived { at, enabler },
        trace::Fate::Lost(cause) => Fate::Lost { cause },
    };
    let probe = |probe: trace::Probe| {
        let reply = match (probe.forward, probe.reverse) {
            (trace::Fate::Arrived(..), trace::Fate::Pending) if given_up(&probe) => {
                Fate::Lost { cause: RecordId::GENESIS }
            }
            (_, reply) => fate(reply),
        };
        Probe { sent_at: probe.sent, request: fate(probe.forward), reply }
    };
    StreamLog {
        name: log.info.name.clone(),
        ends: [log.info.from, log.info.to].map(|node| world.node_name(node).to_owned()),
        interval: log.info.interval,
        echo: log.info.round_trip,
        min_lost,
        probes: log.iter().map(probe).collect(),
    }
}

/// All session ends but those at real devices, which keep no records here.
fn sessions(world: &World) -> Vec<SessionLog> {
    let trace = &world.trace;
    let log = |(index, info): (usize, &trace::SessionInfo)| {
        let records = trace.session_records(sim_core::id::SessionId(index as u32));
        let transitions = records.filter_map(|(_, record)| match record.what {
            What::State { from, to, reason, .. } => {
                Some(Transition { at: record.at, from: from.code(), to: to.code(), reason: reason.code() })
            }
            _ => None,
        });
        SessionLog { kind: info.kind.code().into(), name: info.name.clone(), transitions: transitions.collect() }
    };
    let here = |(_, info): &(usize, &trace::SessionInfo)| !matches!(world.node(info.node), Node::External(_));
    trace.sessions().iter().enumerate().filter(here).map(log).collect()
}

/// The name of a table: its device's, and its own if the device has several.
pub(crate) fn table_name(plan: &Plan, node: NodeId, table: Table) -> String {
    let named = &plan.nodes[node.index()];
    match (&named.kind, table.number()) {
        (NodeKind::TransitGateway(gateway), Some(number)) => gateway.table_name(&named.name, number),
        (NodeKind::DirectConnectGateway(gateway), Some(number)) => {
            let table = gateway.tables().nth(usize::from(number)).unwrap_or_default();
            format!("{}.{table}", named.name)
        }
        (NodeKind::Vpc(vpc), Some(number)) => vpc.table_name(&named.name, number),
        _ => named.name.clone(),
    }
}

/// The ways out of a route: several with ECMP. `None` if there is none.
pub(crate) fn ways(world: &World, node: NodeId, to: Option<Port>, beside: &[Port]) -> Option<String> {
    let all: Vec<&str> = to.iter().chain(beside).map(|port| world.port_name(node, *port)).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn routes(plan: &Plan, world: &World) -> Vec<RouteChange> {
    let change = |(id, record): (RecordId, &trace::Record)| match &record.what {
        What::Route { table, prefix, to, beside, reason, stays: false, .. } => Some(RouteChange {
            at: record.at,
            node: table_name(plan, record.node, *table),
            prefix: prefix.to_string(),
            via: ways(world, record.node, *to, beside),
            reason: reason.code(),
            record: id,
        }),
        _ => None,
    };
    world.trace.records().filter_map(change).collect()
}

fn drops(world: &World) -> Vec<measure::DropCount> {
    let count = |(key, count): (&trace::DropKey, &trace::DropCount)| {
        let (node, link, direction) = match key.place {
            Place::Node(node) => (Some(world.node_name(node).to_owned()), None, None),
            Place::Link(link, way) => (None, Some(world.link_name(link).to_owned()), Some(way.code().to_owned())),
        };
        let (packets, bytes) = (count.packets, count.bytes);
        DropCount {
            node,
            link,
            direction,
            reason: key.reason.code(),
            packets,
            bytes,
            first: count.first,
            last: count.last,
        }
    };
    world.trace.drops().iter().map(count).collect()
}
