//! The story of one protocol session, for `vpnsim explain FILE session NAME`: why it is in its state, and its transitions,
//! expired timers and repetitions, each with what it follows from.
//!
//! A timer that expires time and again, with nothing in between, is one row. Messages are left out unless they refuse something or are sent again: `events.jsonl` and captures have them all.

use sim_core::id::{RecordId, SessionId};
use sim_core::reason::Step;
use sim_core::trace::path::Walk;
use sim_core::trace::{Phase, Record, SessionInfo, What};
use sim_core::world::World;

use super::model::Seconds;
use super::route_story::{Unknown, because};
use super::story::{Block, Section, Table};
use crate::diagnostic::proposal;
use crate::plan::Plan;

/// Longest list that is shown: the latest rows.
const LONGEST: usize = 60;
/// As many expiries of one timer in a row are shown one by one.
const MOST_ALIKE: usize = 3;
/// Longest chain of causes that is shown.
const CHAIN: usize = 12;

/// The story of a session as the world stands. `name` is as in expectations, `vpn.a.bgp` or `site.dx.bfd`, which is both ends of a
/// tunnel's; or as reports have it, `bgp vpn.a@cgw`, which is one end.
///
/// # Errors
/// If there is no such session.
pub fn session(plan: &Plan, world: &World, name: &str) -> Result<Vec<Section>, Unknown> {
    let sessions = world.trace.sessions();
    let name = name.trim();
    let asked: Vec<SessionId> = (0..sessions.len())
        .filter(|place| names(world, &sessions[*place]).iter().any(|known| known == name))
        .map(|place| SessionId(place as u32))
        .collect();
    if asked.is_empty() {
        let all: Vec<Vec<String>> = sessions.iter().map(|info| names(world, info)).collect();
        // What is near in the form that was typed is what was meant; the list shows the form of expectations.
        let place = usize::from(name.contains('@') || name.contains(' '));
        let mut known: Vec<&str> = all.iter().map(|names| names[place].as_str()).collect();
        known.sort_unstable();
        known.dedup();
        return Err(Unknown { what: format!("no session is called `{name}`"), help: proposal(name, &known) });
    }
    Ok(asked.into_iter().flat_map(|id| story(plan, world, id)).collect())
}

/// How a session may be called: by both ends, and by this one.
fn names(world: &World, info: &SessionInfo) -> Vec<String> {
    let kind = info.kind.code();
    let own = format!("{kind} {}", info.name);
    let both = match info.name.rsplit_once('@') {
        // A tunnel is called CONNECTION.TUNNEL, and one of a router's by the router.
        Some((tunnel, _)) if tunnel.contains('.') => format!("{tunnel}.{kind}"),
        Some((name, _)) => format!("{}.{name}.{kind}", world.node_name(info.node)),
        None => format!("{}.{kind}", info.name),
    };
    vec![both, own]
}

fn title(info: &SessionInfo) -> String {
    format!("{} {}", info.kind.code(), info.name)
}

fn story(plan: &Plan, world: &World, id: SessionId) -> Vec<Section> {
    let trace = &world.trace;
    let info = &trace.sessions()[id.index()];
    let records: Vec<(RecordId, &Record)> = trace.session_records(id).filter(|(_, record)| shown(record)).collect();
    let mut sections = vec![Section { title: title(info), blocks: vec![Block::Say(now(world, id))] }];
    let last = records.iter().rev().find(|(_, record)| matches!(record.what, What::State { .. }));
    if let Some((last, _)) = last {
        let rows = chain(plan, world, *last);
        if rows.len() > 1 {
            let head = vec![">at", "node", "what led there"];
            let table = Block::Table(Table { head, rows });
            sections.push(Section { title: format!("Why {} is so", title(info)), blocks: vec![table] });
        }
    }
    if !records.is_empty() {
        let groups: Vec<&[(RecordId, &Record)]> = records.chunk_by(|(_, a), (_, b)| is_same_timer(a, b)).collect();
        let mut rows: Vec<Vec<String>> = groups.into_iter().flat_map(|group| folded(plan, world, group)).collect();
        let hidden = rows.len().saturating_sub(LONGEST);
        let rows = rows.split_off(hidden);
        let head = vec![">at", "what", "because of", "fault"];
        let mut blocks = vec![Block::Table(Table { head, rows })];
        if hidden > 0 {
            blocks.push(Block::Say(format!("{hidden} earlier ones are in events.jsonl.")));
        }
        sections.push(Section { title: format!("What happened to {}", title(info)), blocks });
    }
    sections
}

/// State changes, expired timers, repetitions, and messages that refuse or end something.
fn shown(record: &Record) -> bool {
    match &record.what {
        What::State { .. } | What::Expired { .. } => true,
        What::Step { step, notice, .. } => {
            notice.is_some()
                || matches!(
                    step,
                    Step::Retransmitted
                        | Step::NotificationMessageSent
                        | Step::NotificationMessageReceived
                        | Step::MessageIgnored
                        | Step::TreatedAsWithdraw
                        | Step::PeerMoved
                        | Step::NatDetected
                )
        }
        What::Genesis | What::Fault { .. } | What::Power { .. } | What::Route { .. } => false,
    }
}

/// Whether both records are of one timer that expired: what happens at every interval and changes nothing.
fn is_same_timer(one: &Record, other: &Record) -> bool {
    match (&one.what, &other.what) {
        (What::Expired { timer: one, .. }, What::Expired { timer: other, .. }) => one == other,
        _ => false,
    }
}

/// The rows of records: one for each, or one for all of a timer that expired time and again.
fn folded(plan: &Plan, world: &World, group: &[(RecordId, &Record)]) -> Vec<Vec<String>> {
    if let [(first, record), .., (_, last)] = group
        && group.len() > MOST_ALIKE
        && let What::Expired { timer, .. } = &record.what
    {
        let mut row = row(plan, world, *first, record);
        row[1] = format!("{timer} expired {} times, the last at {}", group.len(), Seconds::from(last.at));
        return vec![row];
    }
    group.iter().map(|(id, record)| row(plan, world, *id, record)).collect()
}

/// In which state it is, since when, and why.
fn now(world: &World, id: SessionId) -> String {
    let trace = &world.trace;
    let states = trace.session_records(id).filter_map(|(_, record)| match record.what {
        What::State { to, reason, .. } => Some((record.at, to, reason)),
        _ => None,
    });
    let now = Seconds::from(world.now());
    match states.last() {
        Some((at, to, reason)) => {
            format!("At {now} it is {to} ({}) since {}: {}.", to.text(), Seconds::from(at), reason.text())
        }
        None => format!("Until {now} it has done nothing."),
    }
}

/// From the beginning of the chain of causes to the last state: each record that is not only the message in between.
fn chain(plan: &Plan, world: &World, last: RecordId) -> Vec<Vec<String>> {
    let trace = &world.trace;
    let mut ids: Vec<RecordId> = Vec::new();
    for id in core::iter::once(last).chain(Walk::from(trace, last)) {
        ids.push(id);
        if ids.len() == CHAIN || matches!(trace.kept(id).what, What::Fault { .. }) {
            break;
        }
    }
    ids.reverse();
    let told = |id: RecordId| {
        let record = trace.kept(id);
        let text = match &record.what {
            What::Fault { fault, phase } => {
                let fault = &plan.faults[fault.index()];
                format!("fault {}{}", fault.name, if *phase == Phase::Heal { ": healed" } else { "" })
            }
            _ => because(world, id),
        };
        let node = match record.what {
            What::Genesis | What::Fault { .. } => String::new(),
            _ => world.node_name(record.node).to_owned(),
        };
        vec![Seconds::from(record.at).to_string(), node, text + &armed(record)]
    };
    ids.into_iter().map(told).collect()
}

/// When an expired timer was armed.
fn armed(record: &Record) -> String {
    match record.what {
        What::Expired { armed_at, .. } => format!(", armed at {}", Seconds::from(armed_at)),
        _ => String::new(),
    }
}

fn row(plan: &Plan, world: &World, id: RecordId, record: &Record) -> Vec<String> {
    let what = match &record.what {
        What::State { from, to, reason, .. } => format!("{from} -> {to} ({reason})"),
        What::Expired { timer, .. } => format!("{timer} expired{}", armed(record)),
        What::Step { step, notice: Some(notice), .. } => format!("{}: {notice}", step.text()),
        What::Step { step, .. } => step.text().to_owned(),
        What::Genesis | What::Fault { .. } | What::Power { .. } | What::Route { .. } => String::new(),
    };
    let cause = match &record.what {
        // What armed a timer is rarely kept: mostly a message that was heard.
        What::Expired { .. } if record.cause == RecordId::GENESIS => String::new(),
        _ => because(world, record.cause),
    };
    let fault = world.trace.fault_behind(id).map(|(fault, phase)| {
        let healed = if phase == Phase::Heal { ".heal" } else { "" };
        format!("{}{healed}", plan.faults[fault.index()].name)
    });
    vec![Seconds::from(record.at).to_string(), what, cause, fault.unwrap_or_default()]
}
