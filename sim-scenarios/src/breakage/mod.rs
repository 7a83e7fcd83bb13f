//! Break everything: each component of a drawing fails in turn, or each two at once, and what that does to the probes stands in
//! one table.
//!
//! The scenario is run again for each, without the faults that it has itself but with its probes, and with all its random
//! choices: random streams belong to devices and links by name, so that two runs differ by the component that fails and by nothing
//! else. What fails, fails from one moment to another ([`Window`]), long enough for every timer to notice, and comes back.
//!
//! A component is a link (its carrier goes), a path (it discards silently), a device or tunnel endpoint (it loses power), an
//! availability zone or another group (all members at once). Whatever a drawing may hold as a node, a link or a group is broken
//! with them. Not broken are the ends of probes, without which there is nothing to measure, and VPCs, which no power keeps.
//!
//! Expectations are not judged: they were written for the faults of the scenario.

pub mod report;

use std::collections::BTreeMap;

use sim_core::id::{FaultId, LinkId, NodeId};
use sim_core::time::Instant;
use sim_core::world::Verdict;

use crate::build::Reality;
use crate::detect;
use crate::measure::Observed;
use crate::measure::outage::{self, Direction, Fate, Outage};
use crate::observe::Observation;
pub use crate::plan::Depth;
use crate::plan::{Directions, Fault, FaultKind, NodeKind, Plan};
use crate::pool;
use crate::report::model::Seconds;
use crate::run::Simulation;

use report::{Breakage, Component as Named, Detected, Dropped, Entry, ProbeEntry};

/// From when until when a component is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// When it fails.
    pub strike: Instant,
    /// When it is repaired.
    pub heal: Instant,
}

impl Window {
    /// The middle third of the time in which all probes are sent, or of the whole scenario if there is no such time.
    pub fn of(plan: &Plan) -> Self {
        let end = Instant::START + plan.duration;
        let start = plan.probes.iter().map(|probe| probe.start).max().unwrap_or(Instant::START);
        let stop = plan.probes.iter().map(|probe| probe.stop).min().unwrap_or(end).min(end);
        let (start, stop) = if start < stop { (start, stop) } else { (Instant::START, end) };
        let lived = stop.since(start);
        Self { strike: start + lived.scale(1, 3), heal: start + lived.scale(2, 3) }
    }
}

/// Something that can fail.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name in the scenario.
    pub name: String,
    /// `link`, `path`, `node`, `endpoint`, `availability_zone` or `group`.
    pub kind: &'static str,
    /// How it fails.
    pub what: FaultKind,
    /// The devices that lose power with it.
    pub nodes: Vec<NodeId>,
}

/// What can fail in a drawing: links and paths, devices, tunnel endpoints, groups, each in the scenario's order.
pub fn components(plan: &Plan) -> Vec<Component> {
    let links = plan.links.iter().zip(0u32..).map(|(link, number)| {
        let (link_id, direction) = (LinkId(number), Directions::Both);
        let (kind, what) = if link.carrier {
            ("link", FaultKind::LinkDown { link: link_id })
        } else {
            ("path", FaultKind::Blackhole { link: link_id, direction })
        };
        Component { name: link.name.clone(), kind, what, nodes: Vec::new() }
    });
    let measures = |id: NodeId| plan.probes.iter().any(|probe| probe.from == id || probe.to == id);
    let nodes = plan.nodes.iter().zip(0u32..).filter_map(|(node, number)| {
        let id = NodeId(number);
        let kind = match node.kind {
            // They have no power of their own to lose.
            NodeKind::Vpc(_)
            | NodeKind::InternetGateway(_)
            | NodeKind::VpcPeering(_)
            | NodeKind::TransitGatewayPeering(_)
            | NodeKind::GatewayEndpoint(_)
            | NodeKind::Resolver(_) => return None,
            NodeKind::VpnEndpoint(_) => "endpoint",
            _ => "node",
        };
        let what = FaultKind::PowerLoss { node: id };
        (!measures(id)).then(|| Component { name: node.name.clone(), kind, what, nodes: vec![id] })
    });
    let groups = plan.groups.iter().enumerate().map(|(number, group)| {
        let (kind, name) = match group.name.strip_prefix("az:") {
            Some(zone) => ("availability_zone", zone),
            None => ("group", group.name.as_str()),
        };
        let what = FaultKind::GroupFailure { group: number };
        Component { name: name.to_owned(), kind, what, nodes: group.nodes.clone() }
    });
    links.chain(nodes).chain(groups).collect()
}

/// Breaks everything, on so many threads. The answer does not depend on how many those are.
pub fn run(plan: &Plan, depth: Depth, window: Window, threads: usize) -> Breakage {
    let all = components(plan);
    let mut sets: Vec<Vec<usize>> = (0..all.len()).map(|one| vec![one]).collect();
    if depth == Depth::Pair {
        sets.extend((0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |other| vec![one, other])));
    }
    let sets: Vec<Vec<&Component>> = sets.iter().map(|set| set.iter().map(|i| &all[*i]).collect()).collect();
    let (untouched, mut entries) = each(plan, &sets, window, threads);
    let single_points = points(&entries[..all.len()], &[]);
    let double_points = points(&entries[all.len()..], &single_points);
    entries.sort_by_key(Entry::badness);
    Breakage {
        schema: report::SCHEMA.into(),
        vpnsim: env!("CARGO_PKG_VERSION").into(),
        scenario: plan.name.clone(),
        seed: plan.seed,
        strike_s: window.strike.into(),
        heal_s: window.heal.into(),
        untouched,
        single_points: single_points.into_iter().flatten().collect(),
        double_points,
        entries,
    }
}

/// What comes of nothing broken, and of each of these sets of components, in their order. The answer does not depend on how many
/// threads there are.
pub fn each(plan: &Plan, sets: &[Vec<&Component>], window: Window, threads: usize) -> (Entry, Vec<Entry>) {
    let (untouched, weather) = broken(plan, &[], window, &[]);
    let broken = |n: usize| {
        let (mut entry, _) = broken(plan, &sets[n], window, &weather);
        entry.drops = beyond(&entry.drops, &untouched.drops);
        entry
    };
    let mut entries = Vec::with_capacity(sets.len());
    pool::in_order(threads, sets.len(), broken, |_, entry| entries.push(entry));
    (untouched, entries)
}

/// Those that some probe does not survive while they are broken; without those that hold one that is known.
fn points(entries: &[Entry], known: &[Vec<Named>]) -> Vec<Vec<Named>> {
    let dark = entries.iter().filter(|entry| entry.probes.iter().any(|probe| probe.until_repair));
    let sets = dark.map(|entry| entry.components.clone());
    sets.filter(|set| !known.iter().flatten().any(|one| set.contains(one))).collect()
}

/// The packets of each reason that exceed what is dropped without a fault.
fn beyond(drops: &[Dropped], before: &[Dropped]) -> Vec<Dropped> {
    let known = |reason: &str| before.iter().find(|drop| drop.reason == reason).map_or(0, |drop| drop.packets);
    let more =
        drops.iter().map(|drop| Dropped { packets: drop.packets.saturating_sub(known(&drop.reason)), ..drop.clone() });
    more.filter(|drop| drop.packets > 0).collect()
}

/// What a stream loses of itself.
struct Weather {
    outages: Vec<Outage>,
    lost: u64,
}

/// Runs the plan with these components broken, and nothing else. What streams lose without that is not counted.
fn broken(plan: &Plan, components: &[&Component], window: Window, weather: &[Weather]) -> (Entry, Vec<Weather>) {
    let fault = |component: &&Component| Fault {
        name: component.name.clone(),
        enabled: true,
        at: window.strike,
        heal: Some(window.heal),
        what: component.what.clone(),
    };
    let faults: Vec<Fault> = components.iter().map(fault).collect();
    let plan = Plan { faults, expectations: Vec::new(), controls: Vec::new(), ..plan.clone() };
    let mut simulation = Simulation::of_plan(plan, &Reality::default(), |_| {});
    simulation.run_until(simulation.end());
    let observation = simulation.observe();
    let (plan, observed) = (simulation.plan(), &observation.observed);
    let dead = |id: NodeId| components.iter().any(|component| component.nodes.contains(&id));
    let (mut probes, mut streams) = (Vec::new(), Vec::new());
    for (number, (log, planned)) in observed.streams.iter().zip(&plan.probes).enumerate() {
        let direction = if log.echo { Direction::RoundTrip } else { Direction::Forward };
        let lost = log.probes.iter().filter(|probe| matches!(direction.judge(probe), Fate::Lost { .. })).count() as u64;
        let seen = Weather { outages: outage::outages(log, direction, &observation), lost };
        let own_end = dead(planned.from) || dead(planned.to);
        let entry = probe(&seen, weather.get(number), own_end, window, observed.end);
        probes.push(ProbeEntry { probe: log.name.clone(), direction: direction.code().into(), ..entry });
        streams.push(seen);
    }
    let entry = Entry {
        components: components.iter().map(|c| Named { kind: c.kind.into(), name: c.name.clone() }).collect(),
        probes,
        detected: detected(&simulation, &observation),
        drops: dropped(observed),
        storm: simulation.verdict() != Verdict::Reached,
        digest: format!("{:032x}", simulation.world().trace.digest()),
    };
    (entry, streams)
}

/// What a stream, judged there and back if it is echoed, went through beyond its own weather. Packets may also be lost in ways
/// that no cause leads from to the fault, in a loop of routes for one; so an outage counts unless it began within one that is
/// there without the fault.
fn probe(seen: &Weather, weather: Option<&Weather>, own_end: bool, window: Window, run_end: Instant) -> ProbeEntry {
    let known = |outage: &Outage| {
        let within = |other: &Outage| other.start <= outage.start && other.end.is_none_or(|end| outage.start < end);
        outage.fault.is_none() && weather.is_some_and(|weather| weather.outages.iter().any(within))
    };
    let mut entry = ProbeEntry { own_end, lost: seen.lost, ..ProbeEntry::default() };
    entry.lost = entry.lost.saturating_sub(weather.map_or(0, |weather| weather.lost));
    for outage in seen.outages.iter().filter(|outage| !known(outage)) {
        let length = Seconds::from(outage.duration(run_end));
        if outage.start >= window.heal {
            entry.after_repair_s = entry.after_repair_s.max(length);
            continue;
        }
        entry.outage_s = entry.outage_s.max(length);
        // What ended it may have been sent before the repair, and arrived after it.
        if !own_end && outage.recovered_at.is_none_or(|at| at >= window.heal) {
            entry.until_repair = true;
            entry.back_s = outage.end.map(|end| end.since(window.heal).into());
        }
    }
    entry
}

/// What first noticed any of the faults.
fn detected(simulation: &Simulation, observation: &Observation<'_>) -> Option<Detected> {
    let trace = &simulation.world().trace;
    let strikes = (0..simulation.plan().faults.len()).filter_map(|n| observation.strike_record(FaultId(n as u16)));
    let notices = strikes.filter_map(|strike| Some((strike, detect::first_notice(trace, strike, None)?)));
    let (strike, (id, record)) = notices.min_by_key(|(_, (id, _))| *id)?;
    let by = detect::detectors(trace, id);
    Some(Detected {
        node: simulation.world().node_name(record.node).to_owned(),
        after_s: record.at.since(trace.kept(strike).at).into(),
        by: by.last().map(|detector| detect::code(*detector).to_owned()).unwrap_or_default(),
    })
}

/// Packets dropped anywhere, by reason.
fn dropped(observed: &Observed) -> Vec<Dropped> {
    let mut packets: BTreeMap<&str, u64> = BTreeMap::new();
    for drop in &observed.drops {
        *packets.entry(drop.reason).or_default() += drop.packets;
    }
    packets.into_iter().map(|(reason, packets)| Dropped { reason: reason.into(), packets }).collect()
}
