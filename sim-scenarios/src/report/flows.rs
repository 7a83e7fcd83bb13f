//! What the flows of applications came to, and which ways flows took through a device that had several.

use std::collections::BTreeMap;

use sim_core::id::NodeId;
use sim_core::net::census::FlowTrip;
use sim_core::node::Node;
use sim_core::node::host::{FlowEnd, FlowKind, FlowLog, Wait};
use sim_core::reason::DropReason;
use sim_core::time::{Duration, Instant};
use sim_core::world::World;

use super::model::{self, Seconds};
use crate::plan::{self, Plan};

/// How hosts' TCP counts, which decides how long a flow outlives a silent path ([`sim_core::proto::tcp`]).
const TCP: &str = "linux: RTO 0.2 s to 120 s, given up at the first RTO 924.6 s after the oldest octet that nobody acknowledged (15 retries); a SYN is sent 7 times in 127 s";

/// One entry for each application.
pub(crate) fn applications(plan: &Plan, world: &World) -> Vec<model::Application> {
    plan.applications.iter().enumerate().map(|(number, it)| application(number, it, world)).collect()
}

/// What became of each flow of an application.
pub(crate) fn logs(number: usize, it: &plan::Application, world: &World) -> Vec<FlowLog> {
    let Node::Host(host) = world.node(it.from) else { return Vec::new() };
    let own = host.flow_logs().filter(|(application, _)| usize::from(*application) == number);
    own.flat_map(|(_, logs)| logs.iter().copied()).collect()
}

/// True if a flow that is open has waited for longer than its application's patience.
fn is_stalled(log: &FlowLog, it: &plan::Application, now: Instant) -> bool {
    log.end.is_none() && log.waits_since.is_some_and(|since| now.since(since) > it.patience)
}

fn application(number: usize, it: &plan::Application, world: &World) -> model::Application {
    let (logs, now) = (logs(number, it, world), world.now());
    let count = |of: &dyn Fn(&FlowLog) -> bool| logs.iter().filter(|log| of(log)).count() as u64;
    let ended = |how: FlowEnd| count(&|log| log.end.is_some_and(|(_, end)| end == how));
    let stalled = count(&|log| is_stalled(log, it, now));
    let length = |wait: &Wait| wait.first_byte.map(|first| first.since(wait.asked));
    let longest =
        logs.iter().filter_map(|log| log.longest).max_by_key(|wait| (length(wait), std::cmp::Reverse(wait.asked)));
    model::Application {
        name: it.name.clone(),
        kind: match it.kind {
            FlowKind::Tcp => "tcp".into(),
            FlowKind::Udp => "udp".into(),
            FlowKind::Lookup => "dns".into(),
        },
        flows: count(&|log| log.began.is_some()),
        connected: count(&|log| log.connected.is_some()),
        done: ended(FlowEnd::Done),
        alive: count(&|log| log.began.is_some() && log.end.is_none()) - stalled,
        stalled,
        reset: ended(FlowEnd::Reset),
        timed_out: ended(FlowEnd::TimedOut),
        questions: logs.iter().map(|log| u64::from(log.asked)).sum(),
        answers: logs.iter().map(|log| u64::from(log.answered)).sum(),
        outage: longest.and_then(|wait| {
            let first = wait.first_byte?;
            Some(model::ApplicationOutage {
                last_byte_s: wait.last_byte.map(Seconds::from),
                asked_s: wait.asked.into(),
                first_byte_s: first.into(),
                waited_s: first.since(wait.asked).into(),
            })
        }),
        host: (it.kind == FlowKind::Tcp).then(|| TCP.to_owned()),
    }
}

/// A device's members: what flows went out by each, and what became of them.
pub(crate) fn ecmp(world: &World, nodes: usize) -> Vec<model::Ecmp> {
    (0..nodes).map(|node| NodeId(node as u32)).flat_map(|node| of_device(world, node)).collect()
}

fn of_device(world: &World, node: NodeId) -> Vec<model::Ecmp> {
    let Node::Cgw(cgw) = world.node(node) else { return Vec::new() };
    let Some(inspection) = &cgw.gateway().inspection else { return Vec::new() };
    let mut members = BTreeMap::new();
    for (_, trip) in inspection.census.flows() {
        if let Some((port, _)) = trip.out.first() {
            members.entry(*port).or_insert_with(Vec::new).push(trip);
        }
    }
    let (group, name) = (world.node_name(node), |port| world.port_name(node, port).to_owned());
    members.into_iter().map(|(port, trips)| member(group, name(port), &trips)).collect()
}

fn member(group: &str, member: String, trips: &[&FlowTrip]) -> model::Ecmp {
    let passed = |ways: &[(sim_core::id::Port, u64)]| ways.iter().map(|(_, packets)| packets).sum::<u64>();
    let asymmetric = |trip: &FlowTrip| trip.back.iter().any(|(port, _)| !trip.out.iter().any(|(out, _)| out == port));
    let failed = |trip: &FlowTrip| trip.cut_off || (trip.answered == 0 && !trip.refused.is_empty());
    let mut reasons: BTreeMap<DropReason, u64> = BTreeMap::new();
    for (reason, packets) in trips.iter().flat_map(|trip| &trip.refused) {
        *reasons.entry(*reason).or_default() += packets;
    }
    let packets = trips.iter().map(|trip| passed(&trip.out) + passed(&trip.back)).sum();
    let dropped: u64 = reasons.values().sum();
    // Of two reasons that are as frequent, the one that stands first in the vocabulary.
    let reason = reasons.iter().max_by_key(|(reason, packets)| (**packets, std::cmp::Reverse(**reason)));
    model::Ecmp {
        group: group.to_owned(),
        member,
        flows: trips.len() as u64,
        packets,
        asymmetric_flows: trips.iter().filter(|trip| asymmetric(trip)).count() as u64,
        failed_flows: trips.iter().filter(|trip| failed(trip)).count() as u64,
        dropped,
        drop_share: if packets == 0 { 0.0 } else { dropped as f64 / packets as f64 },
        reason: reason.map(|(reason, _)| reason.code().to_owned()),
    }
}

/// The longest wait of a flow that came through, of an application in a report.
pub(crate) fn outage(entry: &model::Application) -> Duration {
    entry.outage.as_ref().map_or(Duration::ZERO, |outage| outage.waited_s.0)
}
