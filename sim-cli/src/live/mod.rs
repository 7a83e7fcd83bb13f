//! Live mode: a scenario's AWS opposite real customer gateways, through UDP sockets and in real time; and the same again
//! from the journal, in virtual time and without peers.
//!
//! [`pace`] moves the world with the clock, [`doors`] are the sockets, [`translation`] says who is who on both sides of
//! them, [`site`] is the world in between, [`journal`] what is needed to do it all again.

mod doors;
mod journal;
mod pace;
mod site;
mod translation;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sim_core::time::{Duration, Instant};
use sim_core::trace::Sink;
use sim_core::world::{Verdict, World};
use sim_scenarios::build::Sites;
use sim_scenarios::plan::{Door, External, NodeKind, Plan};
use sim_scenarios::report::Outcome;
use sim_scenarios::{Scenario, Simulation};

use crate::engine::{self, Question};
use crate::failure::Failure;
use crate::screen;

use doors::Doors;
pub use journal::Journal;
use journal::{Head, Writer};
use pace::Clock;
use site::{Gate, LiveSite, enter, gates};
use translation::Translation;

/// Where the sockets are, where that differs from the scenario.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    pub addresses: Vec<Ipv4Addr>,
    pub ike_port: Option<u16>,
    pub nat_port: Option<u16>,
    pub peer: Option<Ipv4Addr>,
}

impl Listening {
    /// What the scenario says, and what was typed over it.
    pub fn over(&self, external: &External) -> External {
        External {
            listen: if self.addresses.is_empty() { external.listen.clone() } else { self.addresses.clone() },
            ike_port: self.ike_port.unwrap_or(external.ike_port),
            nat_port: self.nat_port.unwrap_or(external.nat_port),
            peer: self.peer.or(external.peer),
        }
    }
}

/// What a live run is told beside the scenario.
#[derive(Debug)]
pub struct Live<'a> {
    pub listening: &'a Listening,
    /// When to end, if the scenario does not end before.
    pub duration: Option<Duration>,
    pub journal: Option<&'a Path>,
    /// Whether to say where the sockets are.
    pub remarks: bool,
}

/// The names of the gateways in whose place a real device may be.
pub fn externals(plan: &Plan) -> Vec<&str> {
    let external = |kind: &NodeKind| matches!(kind, NodeKind::CustomerGateway(gateway) if gateway.external.is_some());
    plan.nodes.iter().filter(|node| external(&node.kind)).map(|node| node.name.as_str()).collect()
}

/// Runs a scenario with its external gateways real, until it ends or somebody ends it by SIGINT or SIGTERM.
///
/// # Errors
/// If no gateway is external, a socket cannot be had, or a file cannot be written.
pub fn run(
    question: &Question,
    scenario: &Scenario,
    live: &Live<'_>,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
) -> Result<Outcome, Failure> {
    let gates = external_gates(scenario)?;
    let stations = stations(scenario.plan(), &gates, live.listening)?;
    let addresses: Vec<Door> = stations.iter().map(|(door, _)| *door).collect();
    let (mut doors, senders, waker) = Doors::open(&addresses)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    let handler = move || {
        told.store(true, Ordering::Relaxed);
        // If the loop cannot be woken it sees the flag at its next wake.
        let _ = waker.wake();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::NoSignals { reason: error.to_string() })?;
    let journal = live.journal.map(|path| Writer::create(path, &Head::of(question, scenario))).transpose()?;

    let simulation = engine::prepare(scenario, Sites::External, listeners)?;
    let end = live.duration.map_or(simulation.end(), |duration| simulation.end().min(Instant::START + duration));
    if live.remarks {
        for (gate, door) in gates.iter().zip(&addresses) {
            let Door { address, ike_port, nat_port } = door;
            screen::remark(format_args!(
                "{} listens on {address}, UDP {ike_port} and {nat_port}, as {}; its customer gateway is {}",
                gate.tunnel, gate.endpoint, gate.outside
            ));
        }
    }
    let gates = gates.into_iter().zip(stations).map(|(gate, (_, peer))| (gate, Translation::new(peer))).collect();
    let mut site = LiveSite::new(simulation, gates, senders, journal);
    let clock = Clock::start();
    while !stopped.load(Ordering::Relaxed) && !site.storm() && clock.now() < end {
        clock.step(&mut site, &mut doors, end)?;
    }
    let end = clock.now().min(end);
    let (mut simulation, journal, unsent) = site.finish(end);
    drop(simulation.world_mut().trace.take_sinks());
    let outcome = simulation.answer();
    if let Some(journal) = journal {
        journal.close(simulation.world().now().as_nanos(), &outcome.report.digest)?;
    }
    if live.remarks && unsent > 0 {
        screen::remark(format_args!(
            "{unsent} datagrams could not be sent: nobody was known to send them to, or the socket refused"
        ));
    }
    Ok(outcome)
}

/// Runs a scenario with what its external gateways once sent. `progress` hears now and then how far it is.
///
/// # Errors
/// If the journal is of another question, or the run takes another course than the one that wrote it.
pub fn replay(
    question: &Question,
    scenario: &Scenario,
    journal: &Journal,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
    progress: &mut dyn FnMut(Instant),
) -> Result<Outcome, Failure> {
    journal.belongs_to(&Head::of(question, scenario))?;
    let gates = external_gates(scenario)?;
    let mut simulation = engine::prepare(scenario, Sites::External, listeners)?;
    let mut run_until = |simulation: &mut Simulation, at: u64| {
        let verdict = simulation.run_until(Instant::from_nanos(at));
        for gate in &gates {
            while simulation.world_mut().leave(gate.node).is_some() {}
        }
        progress(simulation.world().now());
        verdict == Verdict::Reached
    };
    for entry in &journal.entries {
        if !run_until(&mut simulation, entry.at) {
            break;
        }
        let gate = gates.iter().find(|gate| gate.tunnel == entry.tunnel);
        let gate = gate.ok_or_else(|| journal.names_no_tunnel(&entry.tunnel))?;
        enter(&mut simulation, gate, entry);
    }
    run_until(&mut simulation, journal.tail.end);
    drop(simulation.world_mut().trace.take_sinks());
    let outcome = simulation.answer();
    if outcome.report.digest != journal.tail.digest {
        return Err(Failure::Diverged { expected: journal.tail.digest.clone(), found: outcome.report.digest });
    }
    Ok(outcome)
}

fn external_gates(scenario: &Scenario) -> Result<Vec<Gate>, Failure> {
    let gates = gates(scenario.plan());
    if gates.is_empty() { Err(Failure::NothingExternal) } else { Ok(gates) }
}

/// The door of each gate, and its device's address if that is known.
fn stations(plan: &Plan, gates: &[Gate], listening: &Listening) -> Result<Vec<(Door, Option<Ipv4Addr>)>, Failure> {
    let mut stations = Vec::new();
    for (node, of_node) in gates.chunk_by(|a, b| a.node == b.node).map(|gates| (gates[0].node, gates)) {
        let NodeKind::CustomerGateway(gateway) = &plan.nodes[node.index()].kind else { continue };
        let Some(external) = gateway.external.as_ref().map(|external| listening.over(external)) else { continue };
        let doors = external.doors(of_node.len()).ok_or(Failure::NoPortsLeft)?;
        stations.extend(doors.into_iter().map(|door| (door, external.peer)));
    }
    Ok(stations)
}
