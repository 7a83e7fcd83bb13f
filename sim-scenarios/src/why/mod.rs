//! Why an outage lasted as long as it did, for `vpnsim why`: its critical path with the owner, the parameter, the slack and
//! the runner-up of every wait, and which single change shortens it most, found out by running it again.
//!
//! [`subject`] picks the outage, [`journey`] learns what the probe that ended it needed, [`slack`] weighs it, [`parameter`]
//! knows the settings (`below` those below routing), [`trial`] tries them; [`tell`] and [`draw`] say and show it.
//!
//! What is not seen: a need of a *control* message that came before the latest need of the same message, since a packet
//! carries one record only; and what a retransmission of TCP waited for, since the engine keeps no record of it. Slack is
//! of what the records say. A change is judged by its run, whatever the slack says.

mod below;
pub mod document;
pub mod draw;
#[cfg(test)]
mod fixture;
pub mod journey;
pub mod parameter;
mod row;
pub mod slack;
pub mod tell;
pub mod trial;

use std::collections::BTreeMap;

use sim_core::id::{RecordId, StreamId};
use sim_core::time::{Duration, Instant};

use crate::measure::FaultIndex;
use crate::measure::outage::{Fate, Outage};
use crate::observe::Observation;
use crate::report::model::{self, Seconds};
use crate::report::route_story::Unknown;
use crate::report::stream_outages;
use crate::run::Simulation;
use crate::scenario::{Scenario, Secrets};

use document::{Explained, Why};
use journey::{Journey, Need};
use parameter::Candidate;
use slack::Link;

/// An outage to explain.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its number in the report, from 1.
    pub number: usize,
    /// Whose it is.
    pub stream: StreamId,
    /// The outage.
    pub outage: Outage,
    /// The probe that ended it, and when it was sent.
    pub ended_by: Option<(u32, Instant)>,
}

impl Subject {
    /// What a second run has to listen to, and how far it has to go. `None` if the outage did not end.
    pub fn journey(&self) -> Option<(Journey, Instant)> {
        let ((seq, sent), until) = (self.ended_by?, self.outage.recovered_at?);
        Some((Journey::of(self.stream, seq, sent, self.outage.direction), until))
    }
}

/// All outages, in the report's order.
pub fn outages(observation: &Observation) -> Vec<(StreamId, Outage)> {
    let streams = observation.observed.streams.iter().zip(0..);
    let of = |(log, number): (_, u16)| {
        stream_outages(log, observation).into_iter().map(move |outage| (StreamId(number), outage))
    };
    streams.flat_map(of).collect()
}

/// The outage with this number in the report, from 1; the longest, if none is given. `None` if there is no outage at all and
/// none was asked for.
///
/// # Errors
/// If there are not so many.
pub fn subject(observation: &Observation, number: Option<usize>) -> Result<Option<Subject>, Unknown> {
    let all = outages(observation);
    let end = observation.observed.end;
    let place = match number {
        Some(number) if (1..=all.len()).contains(&number) => number - 1,
        Some(number) => {
            let help = match all.len() {
                0 => "no probe stream went dark".into(),
                1 => "the report has one outage".into(),
                n => format!("the report has outages 1 to {n}"),
            };
            return Err(Unknown { what: format!("there is no outage {number}"), help: Some(help) });
        }
        // Of equal ones there and back, which needs most, and of those the first.
        None => match (0..all.len()).rev().max_by_key(|place| (all[*place].1.duration(end), all[*place].1.direction)) {
            Some(place) => place,
            None => return Ok(None),
        },
    };
    Ok(Some(made(observation, &all, place)))
}

fn made(observation: &Observation, all: &[(StreamId, Outage)], place: usize) -> Subject {
    let (stream, outage) = all[place].clone();
    let log = &observation.observed.streams[stream.index()];
    let ended = |sent: Instant| log.probes.iter().position(|probe| probe.sent_at == sent);
    let ended_by = outage.end.and_then(|sent| Some((ended(sent)? as u32, sent)));
    Subject { number: place + 1, stream, outage, ended_by }
}

/// An answer, and what is worth a try.
#[derive(Clone, Debug)]
pub struct Understood {
    /// The answer, without changes that were tried.
    pub why: Why,
    /// Changes to try.
    pub candidates: Vec<Candidate>,
}

/// Explains an outage of a run. Without a journey, only the last need of each direction is known.
pub fn understand(
    scenario: &Scenario,
    simulation: &Simulation,
    subject: Option<&Subject>,
    journey: Option<&Journey>,
) -> Understood {
    let observation = simulation.observe();
    let plan = observation.plan();
    let mut understood = Understood {
        why: Why {
            schema: document::SCHEMA.into(),
            vpnsim: env!("CARGO_PKG_VERSION").into(),
            scenario: plan.name.clone(),
            seed: plan.seed,
            digest: format!("{:032x}", simulation.world().trace.digest()),
            outages: outages(&observation).len(),
            outage: None,
        },
        candidates: Vec::new(),
    };
    if let Some(subject) = subject {
        let (explained, candidates) = explain(scenario, &observation, subject, journey);
        understood.why.outage = Some(explained);
        understood.candidates = candidates;
    }
    understood
}

/// Runs a scenario, explains an outage of it, and tries what might shorten it. Results do not depend on the number of threads.
///
/// # Errors
/// If there is no such outage.
pub fn ask(scenario: &Scenario, secrets: &dyn Secrets, number: Option<usize>) -> Result<Why, Unknown> {
    let mut simulation = Simulation::new(scenario);
    simulation.run_until(simulation.end());
    let subject = subject(&simulation.observe(), number)?;
    let heard = subject.as_ref().and_then(Subject::journey).map(|(journey, until)| {
        let listener = Box::new(journey.clone());
        Simulation::prepare(scenario, |world| world.trace.add_sink(listener)).run_until(until);
        journey
    });
    let Understood { mut why, candidates } = understand(scenario, &simulation, subject.as_ref(), heard.as_ref());
    drop(simulation);
    if let Some(explained) = &mut why.outage {
        trial::try_changes(scenario, secrets, explained, &candidates);
    }
    Ok(why)
}

fn explain(
    scenario: &Scenario,
    observation: &Observation,
    subject: &Subject,
    journey: Option<&Journey>,
) -> (Explained, Vec<Candidate>) {
    let (observed, outage) = (&observation.observed, &subject.outage);
    let log = &observed.streams[subject.stream.index()];
    let mut explained = Explained {
        number: subject.number,
        outage: model::Outage {
            probe: log.name.clone(),
            direction: outage.direction.code().into(),
            fault: outage.fault.and_then(|fault| observed.faults.get(fault.0)).map(|fault| fault.id.clone()),
            start_s: outage.start.into(),
            end_s: outage.end.map(Into::into),
            duration_s: outage.duration(observed.end).into(),
            lost: outage.lost,
        },
        interval_s: Seconds(log.interval),
        path: Vec::new(),
        beside: Vec::new(),
        changes: Vec::new(),
        remarks: Vec::new(),
    };
    let Some(weighed) = weigh(observation, subject, journey) else {
        return (explained, Vec::new());
    };
    let telling = row::Telling { scenario, observation, stream: subject.stream, direction: outage.direction };
    let mut behind = Vec::new();
    explained.path = telling.path(&weighed, &mut behind);
    explained.beside = weighed.branches.iter().map(|branch| telling.branch(branch, &weighed.drivers)).collect();
    let mut candidates: Vec<Candidate> = Vec::new();
    for it in behind {
        explained.remarks.extend(it.remark.filter(|remark| !explained.remarks.contains(remark)));
        let new: Vec<Candidate> =
            it.candidates.into_iter().filter(|(_, edits)| candidates.iter().all(|(_, known)| known != edits)).collect();
        candidates.extend(new);
    }
    (explained, candidates)
}

/// A critical path, weighed.
struct Weighed {
    /// From the fault to the record that let the probe through.
    chain: Vec<Link>,
    /// For each link of the chain.
    slacks: Vec<slack::Slack>,
    /// The earliest instant at which the probe could have been sent.
    ready: Instant,
    /// When it was.
    sent: Instant,
    /// When it arrived.
    arrived: Instant,
    /// What else was needed, the one that would decide next first.
    branches: Vec<Beside>,
    /// What set the instants of tied links, here and there.
    drivers: BTreeMap<RecordId, RecordId>,
}

/// A chain that did not decide.
struct Beside {
    chain: Vec<Link>,
    slack: Duration,
}

fn weigh(observation: &Observation, subject: &Subject, journey: Option<&Journey>) -> Option<Weighed> {
    let (outage, trace) = (&subject.outage, &observation.world().trace);
    let strike = observation.struck(outage.fault?)?;
    let (seq, sent) = subject.ended_by?;
    let arrived = outage.recovered_at?;
    let mut needs = journey.map(|journey| journey.needs(trace, strike)).unwrap_or_default();
    let log = &observation.observed.streams[subject.stream.index()];
    let probe = log.probes.get(seq as usize)?;
    for fate in [probe.request, probe.reply] {
        if let Fate::Arrived { at, enabler } = fate
            && enabler > strike
            && needs.iter().all(|need| need.record != enabler)
            && judged(observation, subject, fate)
        {
            // Where on its way it was needed is not known: wherever, not after it had arrived.
            let after = if journey.is_some() { at.since(sent) } else { Duration::ZERO };
            needs.push(Need { record: enabler, after });
        }
    }
    needs.retain(|need| !slack::chain(trace, strike, need.record).is_empty());
    let decisive = slack::decisive(trace, &needs)?;
    let chain = slack::chain(trace, strike, needs[decisive].record);
    let slacks = slack::slacks(trace, &chain, &needs, decisive);
    let ready = needs[decisive].ready(trace);
    let mut branches: Vec<Beside> = Vec::new();
    let others = needs.iter().map(|need| (need.record, need.ready(trace), ready));
    let joins = slack::joins(trace, &chain);
    for (record, at, then) in others.chain(joins) {
        let known = |links: &[Link]| links.iter().any(|link| link.record == record);
        if known(&chain) || branches.iter().any(|branch| known(&branch.chain)) {
            continue;
        }
        let slack = Duration::from_nanos(then.as_nanos().saturating_sub(at.as_nanos()));
        branches.push(Beside { chain: slack::chain(trace, strike, record), slack });
    }
    branches.retain(|branch| branch.chain.len() > 1);
    branches.sort_by_key(|branch| branch.slack);
    let mut drivers = slack::drivers(trace, strike, &chain);
    for branch in &branches {
        drivers.extend(slack::drivers(trace, strike, &branch.chain));
    }
    Some(Weighed { chain, slacks, ready, sent, arrived, branches, drivers })
}

/// True if the direction of the outage depends on this part of the probe's way.
fn judged(observation: &Observation, subject: &Subject, fate: Fate) -> bool {
    use crate::measure::outage::Direction;
    let log = &observation.observed.streams[subject.stream.index()];
    let Some(probe) = subject.ended_by.and_then(|(seq, _)| log.probes.get(seq as usize)) else { return false };
    match subject.outage.direction {
        Direction::Forward => fate == probe.request,
        Direction::Reverse => fate == probe.reply,
        Direction::RoundTrip => true,
    }
}

/// The same outage in another run: of the same direction of the same stream because of the same fault, the longest.
fn counterpart(observation: &Observation, explained: &Explained) -> Option<Subject> {
    let all = outages(observation);
    let name = |index: FaultIndex| observation.observed.faults.get(index.0).map(|fault| fault.id.clone());
    let end = observation.observed.end;
    let same = |place: &usize| {
        let (stream, outage) = &all[*place];
        observation.observed.streams[stream.index()].name == explained.outage.probe
            && outage.direction.code() == explained.outage.direction
            && outage.fault.and_then(name) == explained.outage.fault
    };
    let place = (0..all.len()).rev().filter(same).max_by_key(|place| all[*place].1.duration(end))?;
    Some(made(observation, &all, place))
}
