//! What happened, kept up with as a run goes on: read once, from where it was left off.
//!
//! A [`Kind::Timer`] expires thousands of times in a run and mostly means that all is well, so it is kept apart from what changes
//! something. What becomes of probes is judged as [`crate::measure::outage`] does it, in the direction that says most: there and back if
//! the receiver answers.

use sim_core::id::{NodeId, RecordId, SessionId, StreamId};
use sim_core::reason::{Reason, State};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Fate, Phase, Probe, ProbeLog, Record, What};
use sim_core::world::World;

use crate::observe::{table_name, ways};
use crate::plan::Plan;
use crate::report::is_established;
use crate::report::model::Seconds;
use crate::report::route_story::because;

use super::Health;

/// A probe that is under way for so long while later ones have arrived or were lost is judged no more (assumed: it is held somewhere).
const PATIENCE: Duration = Duration::from_secs(5);

/// What kind of thing happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A fault struck or healed, or a device's power went or came back.
    Fault,
    /// A session changed its state.
    State,
    /// A route changed.
    Route,
    /// A stream of probes went dark or came back.
    Probe,
    /// A timer expired.
    Timer,
}

/// Something that happened, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Happening {
    /// When.
    pub at: Instant,
    /// What kind of thing.
    pub kind: Kind,
    /// Whether it is good news.
    pub health: Health,
    /// What, in the words of the report's timeline.
    pub text: String,
    /// What it follows from, and the fault behind that; empty for a fault.
    pub because: String,
}

/// The state of one end of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// The state.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Instant,
}

/// Where something stands in the trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    Record(RecordId),
    /// A stream has been dark since that instant.
    Dark(StreamId, Instant),
    /// It is back: the first probe to come through was sent then, and the first lost one then.
    Back(StreamId, Instant, Instant),
}

/// How far a stream of probes has been judged.
#[derive(Clone, Copy, Default, Debug)]
struct Judged {
    /// Number of the probe that is judged next.
    next: usize,
    /// Lost in a row, and when the first of them was sent.
    lost: Option<(u32, Instant)>,
}

/// What happened in a run so far. It belongs to one world and only goes forward with it.
#[derive(Clone, Default, Debug)]
pub struct Chronicle {
    read: usize,
    sessions: Vec<Option<Now>>,
    by_node: Vec<Vec<SessionId>>,
    /// What changed something, in order of time.
    changes: Vec<(Instant, Entry)>,
    /// Timers, in order of time.
    timers: Vec<(Instant, Entry)>,
    streams: Vec<Judged>,
}

impl Chronicle {
    /// Nothing has happened in this world yet.
    pub fn new(world: &World) -> Self {
        let mut chronicle = Self {
            sessions: vec![None; world.trace.sessions().len()],
            streams: vec![Judged::default(); world.trace.probes().len()],
            ..Self::default()
        };
        for (info, id) in world.trace.sessions().iter().zip((0..).map(SessionId)) {
            if chronicle.by_node.len() <= info.node.index() {
                chronicle.by_node.resize(info.node.index() + 1, Vec::new());
            }
            chronicle.by_node[info.node.index()].push(id);
        }
        chronicle
    }

    /// Takes in what has happened since it was last told.
    pub fn follow(&mut self, plan: &Plan, world: &World) {
        for (id, record) in world.trace.records_from(self.read) {
            self.read = id.index() + 1;
            if let What::State { session, to, reason, .. } = record.what {
                self.sessions[session.index()] = Some(Now { state: to, reason, since: record.at });
            }
            match kind(record) {
                Some(Kind::Timer) => self.timers.push((record.at, Entry::Record(id))),
                Some(_) => self.changes.push((record.at, Entry::Record(id))),
                None => {}
            }
        }
        for (stream, log) in world.trace.probes().iter().enumerate() {
            let least = plan.probes.get(stream).map_or(1, |probe| probe.min_lost).max(1);
            self.judge(StreamId(stream as u16), log, least);
        }
    }

    fn judge(&mut self, stream: StreamId, log: &ProbeLog, least: u32) {
        let judged = &mut self.streams[stream.index()];
        while let Some(probe) = log.get(judged.next) {
            let verdict = verdict(log, &probe);
            if verdict.is_none() && !is_given_up(log, judged.next, &probe) {
                break;
            }
            judged.next += 1;
            let entry = match (verdict, judged.lost) {
                (Some(false), lost) => {
                    let (count, since) = lost.unwrap_or((0, probe.sent));
                    judged.lost = Some((count.saturating_add(1), since));
                    (count + 1 == least).then_some((since, Entry::Dark(stream, since)))
                }
                (Some(true), lost) => {
                    judged.lost = None;
                    let dark = lost.filter(|(count, _)| *count >= least);
                    dark.map(|(_, since)| (probe.sent, Entry::Back(stream, probe.sent, since)))
                }
                (None, _) => None,
            };
            if let Some((at, entry)) = entry {
                let place = self.changes.partition_point(|(other, _)| *other <= at);
                self.changes.insert(place, (at, entry));
            }
        }
    }

    /// The sessions whose end is on a device.
    pub fn sessions_of(&self, node: NodeId) -> &[SessionId] {
        self.by_node.get(node.index()).map_or(&[], Vec::as_slice)
    }

    /// The state of one end of a session; `None` if it never had another than its first.
    pub fn state(&self, session: SessionId) -> Option<Now> {
        self.sessions[session.index()]
    }

    /// Since when a stream has been dark, if it is.
    pub fn dark_since(&self, plan: &Plan, stream: StreamId) -> Option<Instant> {
        let least = plan.probes.get(stream.index())?.min_lost.max(1);
        let (count, since) = self.streams[stream.index()].lost?;
        (count >= least).then_some(since)
    }

    /// How many things are told of: with timers or without.
    pub fn len(&self, timers: bool) -> usize {
        self.changes.len() + if timers { self.timers.len() } else { 0 }
    }

    /// True if nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.len(true) == 0
    }

    /// The latest things that happened, the last one first, after so many that are passed over.
    pub fn latest<'a>(
        &'a self,
        plan: &'a Plan,
        world: &'a World,
        timers: bool,
        skip: usize,
    ) -> impl Iterator<Item = Happening> + 'a {
        let (mut changes, mut expired) = (self.changes.iter().rev().peekable(), self.timers.iter().rev().peekable());
        let merged = std::iter::from_fn(move || {
            let timer = expired.peek().filter(|_| timers).map(|(at, _)| *at);
            let change = changes.peek().map(|(at, _)| *at);
            // What a timer led to happened after it.
            if timer > change { expired.next() } else { changes.next() }
        });
        merged.skip(skip).map(move |(at, entry)| tell(plan, world, *at, *entry))
    }

    /// Until before when nothing more will be added, timers left out: whether a stream is dark is known a little later.
    pub fn settled(&self, plan: &Plan, world: &World) -> Instant {
        let open = |(stream, log): (usize, &ProbeLog)| {
            let (judged, probe) = (self.streams[stream], plan.probes.get(stream)?);
            let next = log.get(judged.next);
            if next.is_none() && world.now() >= probe.stop {
                return None;
            }
            let undecided = judged.lost.filter(|(count, _)| *count < probe.min_lost.max(1)).map(|(_, since)| since);
            undecided.or(next.map(|next| next.sent))
        };
        world.trace.probes().iter().enumerate().filter_map(open).chain([world.now()]).min().unwrap_or(world.now())
    }

    /// What happened before an instant, timers left out, from the `first`th thing on.
    pub fn until<'a>(
        &'a self,
        plan: &'a Plan,
        world: &'a World,
        first: usize,
        before: Instant,
    ) -> impl Iterator<Item = Happening> + 'a {
        let within = self.changes.iter().skip(first).take_while(move |(at, _)| *at < before);
        within.map(move |(at, entry)| tell(plan, world, *at, *entry))
    }

    /// The last instant before `now` at which a record was kept: of any kind, or timers left out.
    pub fn before(&self, now: Instant, timers: bool) -> Option<Instant> {
        let last = |all: &[(Instant, Entry)]| {
            let earlier = &all[..all.partition_point(|(at, _)| *at < now)];
            earlier.iter().rev().find(|(_, entry)| matches!(entry, Entry::Record(_))).map(|(at, _)| *at)
        };
        last(&self.changes).max(if timers { last(&self.timers) } else { None })
    }
}

/// What kind of thing a record tells of; `None` for messages, of which there are too many, and routes of which only the reason changed.
pub const fn kind(record: &Record) -> Option<Kind> {
    match &record.what {
        What::Genesis | What::Step { .. } | What::Route { stays: true, .. } => None,
        What::Fault { .. } | What::Power { .. } => Some(Kind::Fault),
        What::State { .. } => Some(Kind::State),
        What::Expired { .. } => Some(Kind::Timer),
        What::Route { stays: false, .. } => Some(Kind::Route),
    }
}

/// True if a probe came through, false if it was lost; `None` if it is under way.
pub(super) fn verdict(log: &ProbeLog, probe: &Probe) -> Option<bool> {
    match (probe.forward, probe.reverse) {
        (Fate::Lost(_), _) => Some(false),
        (Fate::Pending, _) => None,
        (Fate::Arrived(..), _) if !log.info.round_trip => Some(true),
        (Fate::Arrived(..), Fate::Arrived(..)) => Some(true),
        (Fate::Arrived(..), Fate::Lost(_)) => Some(false),
        (Fate::Arrived(..), Fate::Pending) => None,
    }
}

/// True if a probe that was sent long after this one has arrived or was lost.
fn is_given_up(log: &ProbeLog, number: usize, probe: &Probe) -> bool {
    let later = PATIENCE.as_nanos() / log.info.interval.as_nanos().max(1) + 1;
    let later = log.get(number.saturating_add(later as usize));
    later.is_some_and(|later| later.sent.since(probe.sent) >= PATIENCE && verdict(log, &later).is_some())
}

fn tell(plan: &Plan, world: &World, at: Instant, entry: Entry) -> Happening {
    match entry {
        Entry::Record(id) => of_record(plan, world, id),
        Entry::Dark(stream, _) => {
            let text = format!("{}: dark", stream_title(world, stream));
            Happening { at, kind: Kind::Probe, health: Health::Bad, text, because: String::new() }
        }
        Entry::Back(stream, back, since) => {
            let text = format!("{}: back after {}", stream_title(world, stream), Seconds(back.since(since)));
            Happening { at, kind: Kind::Probe, health: Health::Good, text, because: String::new() }
        }
    }
}

/// A stream and the direction in which it is judged.
pub fn stream_title(world: &World, stream: StreamId) -> String {
    let info = &world.trace.probes()[stream.index()].info;
    format!("{} {}", info.name, if info.round_trip { "round trip" } else { "forward" })
}

fn of_record(plan: &Plan, world: &World, id: RecordId) -> Happening {
    let trace = &world.trace;
    let record = trace.kept(id);
    let session = |session: SessionId| {
        let info = &trace.sessions()[session.index()];
        format!("{} {}", info.kind.code(), info.name)
    };
    let node = || world.node_name(record.node);
    let (health, text) = match &record.what {
        What::Fault { fault, phase } => {
            let fault = world.fault(*fault);
            match phase {
                Phase::Strike => {
                    (Health::Bad, format!("{} ({} of {})", fault.name, fault.what.replace('_', " "), fault.target))
                }
                Phase::Heal => (Health::Good, format!("Healing of {} ({})", fault.name, fault.target)),
            }
        }
        What::Power { on: true } => (Health::Good, format!("{}: power is back", node())),
        What::Power { on: false } => (Health::Bad, format!("{}: power is gone", node())),
        What::State { session: id, from, to, reason } => {
            let health = match (is_established(from.code()), is_established(to.code())) {
                (_, true) => Health::Good,
                (true, false) => Health::Bad,
                (false, false) => Health::Partly,
            };
            (health, format!("{}: {to} ({reason})", session(*id)))
        }
        What::Expired { session: Some(id), timer, .. } => {
            (Health::Partly, format!("{}: {timer} expired", session(*id)))
        }
        What::Expired { session: None, timer, .. } => (Health::Partly, format!("{}: {timer} expired", node())),
        What::Route { table, prefix, to, beside, reason, .. } => {
            let name = table_name(plan, record.node, *table);
            match ways(world, record.node, *to, beside) {
                Some(way) => (Health::Good, format!("{name}: {prefix} via {way} ({reason})")),
                None => (Health::Bad, format!("{name}: {prefix} unreachable ({reason})")),
            }
        }
        What::Step { session: id, step, .. } => (Health::Partly, format!("{}: {step}", session(*id))),
        What::Genesis => (Health::Good, "the world begins".into()),
    };
    let kind = kind(record).unwrap_or(Kind::State);
    let because = if matches!(record.what, What::Fault { .. }) { String::new() } else { cause(world, id, record) };
    Happening { at: record.at, kind, health, text, because }
}

/// The record that this one follows from, and the fault behind it.
fn cause(world: &World, id: RecordId, record: &Record) -> String {
    let trigger = match record.what {
        What::Expired { armed_at, .. } => format!("armed at {}", Seconds::from(armed_at)),
        _ => because(world, record.cause),
    };
    let fault = world.trace.fault_behind(id).map(|(fault, phase)| {
        let healed = if phase == Phase::Heal { ".heal" } else { "" };
        format!("{}{healed}", world.fault(fault).name)
    });
    match fault {
        // Which is what the trigger says already if it is the fault itself.
        Some(fault) if !trigger.ends_with(&format!("fault {fault}")) => format!("{trigger}; fault {fault}"),
        _ => trigger,
    }
}
