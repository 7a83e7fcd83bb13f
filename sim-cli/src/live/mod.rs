//! Live mode: a scenario opposite those who are real, through sockets and TUN devices and in real time; and the same again
//! from the journal, in virtual time and without them.
//!
//! Real may be a customer gateway (AWS is simulated), a virtual private gateway (the customer's side is simulated, and calls),
//! and hosts (programs of this machine). [`cast`] says who is, [`pace`] moves the world with the clock, [`doors`] are the
//! sockets and devices, [`translation`] says who is who on both sides of the sockets, [`site`] is the world in between,
//! [`journal`] what is needed to do it all again.

mod cast;
mod doors;
mod journal;
mod pace;
mod site;
mod translation;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sim_core::time::{Duration, Instant};
use sim_core::trace::Sink;
use sim_core::world::{Verdict, World};
use sim_scenarios::build::Reality;
use sim_scenarios::report::Outcome;
use sim_scenarios::{Scenario, Simulation};

use crate::engine::{self, Question};
use crate::failure::Failure;
use crate::screen;

pub use cast::{Cast, Listening, Peer, RealHost, marked};
use doors::{Doors, Openings};
pub use journal::Journal;
use journal::{Head, Writer};
use pace::Clock;
use site::{LiveSite, Places};

/// What a live run is told beside the scenario.
#[derive(Debug)]
pub struct Live<'a> {
    /// Real gateways; those that the scenario marks, if there are none.
    pub devices: &'a [String],
    /// Real hosts.
    pub hosts: &'a [RealHost],
    pub native_esp: bool,
    pub listening: &'a Listening,
    /// When to end, if the scenario does not end before.
    pub duration: Option<Duration>,
    pub journal: Option<&'a Path>,
    /// Whether to say what is open.
    pub remarks: bool,
}

impl Live<'_> {
    fn cast(&self, scenario: &Scenario) -> Cast {
        let marked = marked(scenario.plan()).into_iter().map(str::to_owned);
        Cast {
            devices: if self.devices.is_empty() { marked.collect() } else { self.devices.to_vec() },
            hosts: self.hosts.iter().map(|typed| typed.host.clone()).collect(),
            native_esp: self.native_esp,
        }
    }
}

/// Runs a scenario with some of it real, until it ends or somebody ends it by SIGINT or SIGTERM.
///
/// # Errors
/// If nobody is real, a socket cannot be had, or a file cannot be written.
pub fn run(
    question: &Question,
    scenario: &Scenario,
    live: &Live<'_>,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
) -> Result<Outcome, Failure> {
    let (plan, cast) = (scenario.plan(), live.cast(scenario));
    let reality = cast.find(plan)?;
    let places = Places::of(plan, &reality);
    let (openings, translations) = cast::openings(plan, &reality, &places.gates, live.listening, live.hosts)?;
    let (mut doors, senders, waker) = Doors::open(&openings)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stopped);
    let handler = move || {
        told.store(true, Ordering::Relaxed);
        // If the loop cannot be woken it sees the flag at its next wake.
        let _ = waker.wake();
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::NoSignals { reason: error.to_string() })?;
    let head = Head::of(question, scenario, &cast);
    let journal = live.journal.map(|path| Writer::create(path, &head)).transpose()?;

    let simulation = engine::prepare(scenario, &reality, listeners)?;
    let end = live.duration.map_or(simulation.end(), |duration| simulation.end().min(Instant::START + duration));
    if live.remarks {
        announce(&places, &openings, &reality, &senders.tun_names());
    }
    let mut site = LiveSite::new(simulation, places, translations, senders, journal);
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
            "{unsent} packets could not be sent: nobody was known to send them to, or the socket refused"
        ));
    }
    Ok(outcome)
}

/// Says what is open, in whose place.
fn announce(places: &Places, openings: &Openings, reality: &Reality, tuns: &[String]) {
    let native = if reality.native_esp { ", and ESP without UDP" } else { "" };
    for (gate, door) in places.gates.iter().zip(&openings.tunnels) {
        let at = format!("on {}, UDP {} and {}{native}", door.address, door.ike_port, door.nat_port);
        screen::remark(match gate.dials {
            true => format!("{} calls {at}, as {}; AWS's end is {}", gate.tunnel, gate.here, gate.there),
            false => {
                format!("{} listens {at}, as {}; its customer gateway is {}", gate.tunnel, gate.here, gate.there)
            }
        });
    }
    for ((_, host), (tun, name)) in places.hosts.iter().zip(openings.tuns.iter().zip(tuns)) {
        screen::remark(format_args!("{host} is this machine, by TUN device {name} with {}", tun.address));
    }
}

/// Runs a scenario with what once came in, and takes the world apart no further. `progress` hears now and then how far it is.
///
/// # Errors
/// If the journal is of another question, or the run takes another course than the one that wrote it.
pub fn replay(
    question: &Question,
    scenario: &Scenario,
    journal: &Journal,
    listeners: impl FnOnce(&World) -> Result<Vec<Box<dyn Sink>>, Failure>,
    progress: &mut dyn FnMut(Instant),
) -> Result<Simulation, Failure> {
    journal.belongs_to(&Head::of(question, scenario, journal.cast()))?;
    let reality = journal.cast().find(scenario.plan())?;
    let places = Places::of(scenario.plan(), &reality);
    let mut simulation = engine::prepare(scenario, &reality, listeners)?;
    let mut run_until = |simulation: &mut Simulation, at: u64| {
        let verdict = simulation.run_until(Instant::from_nanos(at));
        while places.leave(simulation).is_some() {}
        progress(simulation.world().now());
        verdict == Verdict::Reached
    };
    for entry in &journal.entries {
        if !run_until(&mut simulation, entry.at) {
            break;
        }
        if !places.enter(&mut simulation, &entry.arrived) {
            return Err(journal.names_nobody(&entry.arrived));
        }
    }
    run_until(&mut simulation, journal.tail.end);
    drop(simulation.world_mut().trace.take_sinks());
    let found = format!("{:032x}", simulation.world().trace.digest());
    if found != journal.tail.digest {
        return Err(Failure::Diverged { expected: journal.tail.digest.clone(), found });
    }
    Ok(simulation)
}
