//! What a report says to people, before it is dressed as text or Markdown: titled sections of sentences and tables.
//!
//! The answer comes first, then what happened in order, then where the time went, then the evidence.

use std::fmt::Write as _;
use std::iter::repeat;

use sim_core::reason::{Reason, State};
use sim_core::time::Duration;
use sim_core::trace::SessionKind;

use super::bgp_log::{self, BgpLog};
use super::model::{
    AssumptionEnd, Darkness, Fault, Misconfiguration, Outage, PathStep, Quantiles, Report, Seconds, Session,
};
use super::tunnel_log::{Line, TunnelLog};
use super::{Outcome, is_established};
use crate::ends;
use crate::measure::outage::Direction;
use crate::measure::{RouteChange, StepKind};

/// Characters in the bar of a waterfall.
const BAR: usize = 24;
/// Longest list that is shown whole; `report.json` has the rest.
const LONGEST: usize = 60;

/// A titled part of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its heading; empty for the answer at the top.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A sentence or several.
    Say(String),
    /// A judged expectation.
    Judge {
        /// Whether it held.
        held: bool,
        /// What was expected and found.
        text: String,
    },
    /// A table.
    Table(Table),
}

/// A table of short texts.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Table {
    /// Column heads. One that starts with `>` is aligned right (and printed without the sign).
    pub head: Vec<&'static str>,
    /// Rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

/// Tells the whole report.
pub fn tell(outcome: &Outcome) -> Vec<Section> {
    let report = &outcome.report;
    let mut sections = vec![answer(outcome), timeline(outcome)];
    sections.extend(report.faults.iter().filter_map(waterfall));
    sections.extend([
        outages(report),
        probes(report),
        applications(report),
        ecmp(report),
        drops(report),
        sessions(report),
        routes(outcome),
        logs(outcome),
        bgp_logs(outcome),
        alarms(report),
        expectations(report),
        profiles(report),
        assumptions(report),
        at_the_ends(report),
        identity(report),
    ]);
    sections.retain(|section| !section.blocks.is_empty());
    sections
}

pub(super) fn alarms(report: &Report) -> Section {
    let row = |change: &super::model::AlarmChange| {
        let states = format!("{} -> {}", change.from, change.to);
        vec![change.at_s.to_string(), change.alarm.clone(), states, change.reason.clone()]
    };
    tabled("Alarms", &[">at", "alarm", "from -> to", "reason"], report.alarms.iter().map(row).collect())
}

fn section(title: impl Into<String>, blocks: Vec<Block>) -> Section {
    Section { title: title.into(), blocks }
}

/// A section with one table, empty if the table is.
fn tabled(title: &str, head: &[&'static str], rows: Vec<Vec<String>>) -> Section {
    let blocks = if rows.is_empty() { Vec::new() } else { shortened(head, rows) };
    section(title, blocks)
}

fn shortened(head: &[&'static str], mut rows: Vec<Vec<String>>) -> Vec<Block> {
    let hidden = rows.len().saturating_sub(LONGEST);
    rows.truncate(LONGEST);
    let mut blocks = vec![Block::Table(Table { head: head.to_vec(), rows })];
    if hidden > 0 {
        blocks.push(Block::Say(format!("{hidden} more rows are in the JSON report.")));
    }
    blocks
}

/// The first section alone.
pub fn answer(outcome: &Outcome) -> Section {
    let report = &outcome.report;
    let taken = outcome.detail.taken.iter().copied().chain(repeat(0));
    let mut sentences: Vec<String> =
        report.faults.iter().zip(taken).map(|(fault, taken)| fault_answer(report, fault, taken)).collect();
    let orphans: Vec<&Outage> = report.outages.iter().filter(|o| o.fault.is_none()).collect();
    if !orphans.is_empty() {
        sentences.push(format!("Behind no fault: {}.", darkness(report, &orphans)));
    } else if report.faults.is_empty() && !report.probes.is_empty() {
        sentences.push("No probe stream went dark.".into());
    }
    sentences.push(never_up(report));
    sentences.extend(report.misconfigurations.iter().map(misconfigured));
    sentences.push(verdict(report));
    sentences.retain(|s| !s.is_empty());
    section("", sentences.into_iter().map(Block::Say).collect())
}

/// "Never established: ike vpn.a@cgw (authentication_failed).", of the lowest session of each tunnel end, because those
/// above it had no chance.
fn never_up(report: &Report) -> String {
    let mut ends: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    // A backup that was never master did all that it is for.
    let never = |session: &&Session| session.established_s.is_none() && session.kind != SessionKind::Vrrp.code();
    for session in report.sessions.iter().filter(never) {
        if !ends.contains(&session.name.as_str()) {
            ends.push(&session.name);
            let last = |states: &[State]| {
                let mut back = session.transitions.iter().rev();
                back.find(|t| states.iter().any(|state| state.code() == t.to))
            };
            // A BGP session without an answer goes on to listen.
            let last = last(&[State::Down, State::Idle]).or_else(|| last(&[State::Active]));
            let why = last.map(|t| format!(" ({})", t.reason)).unwrap_or_default();
            parts.push(format!("{}{why}", title(session)));
        }
    }
    if parts.is_empty() { String::new() } else { format!("Never established: {}.", listed(&parts)) }
}

/// What does not fit, and what AWS's log says about it.
fn misconfigured(found: &Misconfiguration) -> String {
    let logged = found.log.as_ref().map_or_else(
        || " AWS's log does not show it.".to_owned(),
        |line| format!(" AWS logs: {line}{}", if line.ends_with('"') { "" } else { "." }),
    );
    format!("{}: {}{logged}", found.tunnel, found.text)
}

fn verdict(report: &Report) -> String {
    let (all, held) = (report.expectations.len(), report.expectations.iter().filter(|e| e.held).count());
    match all - held {
        _ if all == 0 => String::new(),
        0 if all == 1 => "The expectation held.".into(),
        0 => format!("All {all} expectations held."),
        failed => format!("{failed} of {all} expectations FAILED."),
    }
}

fn fault_answer(report: &Report, fault: &Fault, taken: u64) -> String {
    let mut text = format!("{} at {}: ", what(fault), fault.at_s);
    let owned: Vec<&Outage> = report.outages.iter().filter(|o| o.fault.as_ref() == Some(&fault.id)).collect();
    if owned.is_empty() {
        text.push_str("no probe stream went dark");
    } else {
        text.push_str(&darkness(report, &owned));
    }
    let _ = match taken {
        0 => write!(text, "; no probe was lost to it."),
        1 => write!(text, "; one probe was lost to it."),
        _ => write!(text, "; {taken} probes were lost to it."),
    };
    if let Some(step) = costliest(fault) {
        let _ = write!(
            text,
            " The {} of {} ({}) cost {} of it.",
            words(&step.reason),
            step.node,
            step.subject,
            step.waited_s
        );
    }
    let of_faults = fault.critical_path.iter().filter(|step| step.event == StepKind::Fault.code());
    match of_faults.skip(1).last() {
        // What an operator did about it is on the timeline, too.
        Some(step) if step.reason == "strike" => {
            let _ = write!(text, " Only this ended it: {}.", words(&step.subject));
        }
        Some(_) => text.push_str(" Only a healing ended it."),
        None => {}
    }
    if let Some(settled) = settled(report, fault) {
        let _ = write!(text, " Routes settled after {settled}.");
    }
    text
}

/// "`p` was dark for 27.340 s forward and 27.360 s round trip (one probe each 0.020 s)", for up to three streams.
fn darkness(report: &Report, outages: &[&Outage]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for outage in outages {
        if !names.contains(&outage.probe.as_str()) {
            names.push(&outage.probe);
        }
    }
    let mut parts: Vec<String> = names
        .iter()
        .take(3)
        .map(|name| {
            let own: Vec<_> = outages.iter().filter(|o| o.probe == *name).collect();
            let spans: Vec<_> = own.iter().map(|o| span(o)).collect();
            let resolution = report
                .probes
                .iter()
                .find(|p| p.name == *name)
                .map(|p| format!(" (one probe every {})", p.interval_s))
                .unwrap_or_default();
            format!("{name} was dark for {}{resolution}", listed(&spans))
        })
        .collect();
    if names.len() > 3 {
        parts.push(format!("{} more streams too", names.len() - 3));
    }
    parts.join("; ")
}

fn span(outage: &Outage) -> String {
    let direction = words(&outage.direction);
    match outage.end_s {
        Some(_) => format!("{} {direction}", outage.duration_s),
        None => format!("{} {direction} and still was at the end", outage.duration_s),
    }
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// "blackhole of internet-a", "healing of blackhole-a (internet-a)".
fn what(fault: &Fault) -> String {
    match &fault.heals {
        Some(healed) => format!("Healing of {healed} ({})", fault.target),
        None => format!("{} ({} of {})", fault.id, words(&fault.what), fault.target),
    }
}

fn words(code: &str) -> String {
    code.replace('_', " ")
}

/// The timer that made the path wait longest.
fn costliest(fault: &Fault) -> Option<&PathStep> {
    fault
        .critical_path
        .iter()
        .filter(|step| step.event == StepKind::TimerExpired.code() && step.waited_s.0 > Duration::ZERO)
        .max_by_key(|step| step.waited_s)
}

fn settled(report: &Report, fault: &Fault) -> Option<Seconds> {
    report.convergence.iter().filter(|c| c.fault == fault.id).map(|c| c.settled_s).max()
}

pub(super) fn timeline(outcome: &Outcome) -> Section {
    let report = &outcome.report;
    let first_fault = report.faults.first().map(|f| f.at_s);
    let mut rows: Vec<(Seconds, String)> = Vec::new();
    for fault in &report.faults {
        rows.push((fault.at_s, what(fault)));
    }
    for session in &report.sessions {
        // Before the first fault the way up is routine: being established says it all.
        rows.extend(session.transitions.iter().filter_map(|t| {
            let routine = first_fault.is_none_or(|at| t.at_s < at);
            let rekeyed = is_established(&t.to) && t.reason == Reason::Rekeyed.code();
            let shown = rekeyed
                || if routine {
                    is_established(&t.to) && session.established_s == Some(t.at_s)
                } else {
                    is_established(&t.to) != is_established(&t.from)
                };
            shown.then(|| {
                let text = format!("{}: {} ({})", title(session), t.to, t.reason);
                (t.at_s, text)
            })
        }));
    }
    let moved = |change: &&RouteChange| first_fault.is_some_and(|at| Seconds::from(change.at) >= at);
    for change in outcome.detail.routes.iter().filter(moved) {
        let text = format!("{}: {} {} ({})", change.node, change.prefix, hop(change), change.reason);
        rows.push((change.at.into(), text));
    }
    for outage in &report.outages {
        let name = format!("{} {}", outage.probe, words(&outage.direction));
        rows.push((outage.start_s, format!("{name}: dark")));
        if let Some(end) = outage.end_s {
            rows.push((end, format!("{name}: back after {}", outage.duration_s)));
        }
    }
    rows.sort_by_key(|(at, _)| *at);
    tabled("Timeline", &[">at", "what"], rows.into_iter().map(|(at, text)| vec![at.to_string(), text]).collect())
}

fn hop(change: &RouteChange) -> String {
    match &change.via {
        Some(via) => format!("via {via}"),
        None => "unreachable".into(),
    }
}

fn title(session: &Session) -> String {
    format!("{} {}", session.kind, session.name)
}

/// Where the time between the fault and recovered traffic went, row by row.
fn waterfall(fault: &Fault) -> Option<Section> {
    let (first, last) = (fault.critical_path.first()?, fault.critical_path.last()?);
    let (start, total) = (first.at_s.0, last.at_s.0.saturating_sub(first.at_s.0));
    let rows = fault
        .critical_path
        .iter()
        .map(|step| {
            vec![
                step.at_s.to_string(),
                step.node.clone(),
                step_text(step),
                if step.waited_s.0.is_zero() { String::new() } else { step.waited_s.to_string() },
                bar(step, start, total),
            ]
        })
        .collect();
    let mut blocks =
        vec![Block::Table(Table { head: vec![">when", "node", "event", ">waited", "where the time went"], rows })];
    blocks.push(Block::Say(phases(fault, total)));
    Some(section(format!("Waterfall: {}", fault.id), blocks))
}

/// What happened at a step, in words.
pub(crate) fn step_text(step: &PathStep) -> String {
    let event = words(&step.event);
    let event = match step.event.as_str() {
        "timer_expired" => return format!("{}: {} expired", step.subject, step.reason),
        "message_sent" | "message_received" => {
            return format!("{}: {}", step.subject, words(&step.reason));
        }
        _ => event,
    };
    if step.reason.is_empty() {
        format!("{}: {event}", step.subject)
    } else {
        format!("{}: {event} ({})", step.subject, step.reason)
    }
}

/// A bar that starts where the waiting did and ends at the step, in proportion to the whole path.
pub(crate) fn bar(step: &PathStep, start: Duration, total: Duration) -> String {
    let column = |at: Duration| {
        let offset = at.saturating_sub(start).as_nanos().min(total.as_nanos());
        (u128::from(offset) * BAR as u128 / u128::from(total.as_nanos().max(1))) as usize
    };
    let end = column(step.at_s.0);
    let begin = column(step.at_s.0.saturating_sub(step.waited_s.0)).min(end);
    if step.waited_s.0.is_zero() {
        return format!("{}▏", "·".repeat(end.min(BAR - 1)));
    }
    let begin = begin.min(BAR - 1);
    format!("{}{}", "·".repeat(begin), "█".repeat((end - begin).max(1)))
}

/// Detection ends when the first session falls, or else the first route moves; the rest is recovery.
pub(super) fn phases(fault: &Fault, total: Duration) -> String {
    let (before, after) = match fault.heals {
        Some(_) => ("until a machine reacted", "for the failback"),
        None => ("to detect", "to recover after that"),
    };
    let of_kind = |kind: StepKind| {
        let mut steps = fault.critical_path.iter();
        steps.find(|step| step.event == kind.code())
    };
    let whole = Seconds(total);
    match of_kind(StepKind::SessionChanged).or_else(|| of_kind(StepKind::RouteChanged)) {
        Some(noticed) => {
            let detection = Seconds(noticed.at_s.0.saturating_sub(fault.at_s.0));
            let recovery = Seconds(total.saturating_sub(detection.0));
            format!("{whole} in all: {detection} {before}, {recovery} {after}.")
        }
        None => format!("{whole} in all; no session or route had to change."),
    }
}

pub(super) fn outages(report: &Report) -> Section {
    let rows: Vec<_> = report
        .outages
        .iter()
        .map(|o| {
            vec![
                o.probe.clone(),
                words(&o.direction),
                o.fault.clone().unwrap_or_else(|| "none".into()),
                o.start_s.to_string(),
                o.end_s.map_or("still dark".into(), |end| end.to_string()),
                o.duration_s.to_string(),
                o.lost.to_string(),
            ]
        })
        .collect();
    let mut found =
        tabled("Outages", &["probe", "direction", "because of", ">start", ">end", ">duration", ">lost"], rows);
    let reverse = Direction::Reverse.code();
    if report.outages.iter().any(|o| o.direction != reverse) && report.probes.iter().any(|p| p.direction == reverse) {
        found.blocks.push(Block::Say("The reverse path is judged by replies, so only while requests arrive.".into()));
    }
    found
}

pub(super) fn probes(report: &Report) -> Section {
    let pick = |q: &Option<Quantiles>, f: fn(&Quantiles) -> String| q.as_ref().map_or_else(|| "-".into(), f);
    let rows = report
        .probes
        .iter()
        .map(|p| {
            vec![
                p.name.clone(),
                words(&p.direction),
                p.interval_s.to_string(),
                p.sent.to_string(),
                p.received.to_string(),
                format!("{:.3} %", p.loss * 100.0),
                pick(&p.rtt_ms, |q| q.p50.to_string()),
                pick(&p.rtt_ms, |q| q.p99.to_string()),
                pick(&p.jitter_ms, |q| q.p99.to_string()),
            ]
        })
        .collect();
    tabled(
        "Probes",
        &["probe", "direction", ">every", ">sent", ">received", ">loss", ">RTT p50 ms", ">p99", ">jitter p99 ms"],
        rows,
    )
}

pub(super) fn applications(report: &Report) -> Section {
    let row = |it: &super::model::Application| {
        let wait = it.outage.as_ref().map(|outage| outage.waited_s.to_string());
        let counts = [it.flows, it.connected, it.done, it.alive, it.stalled, it.reset, it.timed_out];
        let counts = counts.iter().map(u64::to_string);
        let head = [it.name.clone(), it.kind.clone()];
        head.into_iter().chain(counts).chain([wait.unwrap_or_else(|| "-".into())]).collect()
    };
    let mut found = tabled(
        "Applications",
        &[
            "application",
            "by",
            ">flows",
            ">connected",
            ">done",
            ">alive",
            ">stalled",
            ">reset",
            ">timed out",
            ">longest wait",
        ],
        report.applications.iter().map(row).collect(),
    );
    for it in &report.applications {
        let Some(outage) = it.outage.as_ref().filter(|outage| outage.waited_s.0 >= Duration::from_secs(1)) else {
            continue;
        };
        let last = outage.last_byte_s.map_or_else(|| "no octet came before".into(), |at| format!("last octet {at}"));
        let name = &it.name;
        found
            .blocks
            .push(Block::Say(format!("{name} waited longest so: {last}, first octet after {}.", outage.first_byte_s)));
    }
    if report.applications.iter().any(|it| it.kind == "dns") {
        let said = "A lookup is done when an address came, reset when a name server said that there is none or that it could not find \
                    out, and timed out when none answered.";
        found.blocks.push(Block::Say(said.into()));
    }
    if let Some(host) = report.applications.iter().find_map(|it| it.host.as_ref()) {
        found.blocks.push(Block::Say(format!("TCP of the hosts, {host}.")));
    }
    found
}

fn ecmp(report: &Report) -> Section {
    let row = |it: &super::model::Ecmp| {
        vec![
            it.group.clone(),
            it.member.clone(),
            it.flows.to_string(),
            it.packets.to_string(),
            it.asymmetric_flows.to_string(),
            it.failed_flows.to_string(),
            it.dropped.to_string(),
            format!("{:.1} %", it.drop_share * 100.0),
            it.reason.clone().unwrap_or_else(|| "-".into()),
        ]
    };
    tabled(
        "Flows by way out",
        &["device", "out by", ">flows", ">packets", ">asymmetric", ">failed", ">dropped", ">share", "reason"],
        report.ecmp.iter().map(row).collect(),
    )
}

fn drops(report: &Report) -> Section {
    let rows = report
        .drops
        .iter()
        .map(|d| {
            let place = match (&d.link, &d.node) {
                (Some(link), _) => match &d.direction {
                    Some(direction) => format!("{link} {direction}"),
                    None => link.clone(),
                },
                (None, node) => node.clone().unwrap_or_default(),
            };
            vec![
                place,
                d.reason.clone(),
                d.packets.to_string(),
                d.bytes.to_string(),
                d.first_s.to_string(),
                d.last_s.to_string(),
            ]
        })
        .collect();
    tabled("Drops", &["where", "reason", ">packets", ">octets", ">first", ">last"], rows)
}

pub(super) fn sessions(report: &Report) -> Section {
    let rows = report
        .sessions
        .iter()
        .map(|s| {
            let last = s.transitions.last();
            vec![
                s.kind.clone(),
                s.name.clone(),
                s.established_s.map_or("never".into(), |at| at.to_string()),
                s.transitions.len().to_string(),
                last.map(|t| format!("{} ({})", t.to, t.reason)).unwrap_or_default(),
            ]
        })
        .collect();
    tabled("Sessions", &["kind", "session", ">first established", ">changes", "at the end"], rows)
}

pub(super) fn routes(outcome: &Outcome) -> Section {
    let changes = &outcome.detail.routes;
    let rows = changes
        .iter()
        .map(|change| {
            vec![
                Seconds::from(change.at).to_string(),
                change.node.clone(),
                change.prefix.clone(),
                hop(change),
                change.reason.to_string(),
            ]
        })
        .collect();
    let head = [">at", "node", "prefix", "now", "reason"];
    let mut section = tabled("Routes", &head, rows);
    section.blocks.extend(settling(&outcome.report));
    section
}

fn settling(report: &Report) -> Vec<Block> {
    let rows = report
        .convergence
        .iter()
        .map(|c| {
            vec![c.fault.clone(), c.node.clone(), c.prefix.clone(), c.settled_s.to_string(), c.changes.to_string()]
        })
        .collect();
    let head = ["because of", "node", "prefix", ">settled after", ">changes"];
    tabled("", &head, rows).blocks
}

pub(super) fn logs(outcome: &Outcome) -> Section {
    let of = |log: &TunnelLog| {
        let row = |line: &Line| {
            let states = [line.ike_phase1_state, line.ike_phase2_state].map(str::to_owned);
            let [phase1, phase2] = states;
            vec![Seconds::from(line.at).to_string(), log.tunnel.clone(), phase1, phase2, line.details.clone()]
        };
        log.lines.iter().map(|line| (line.at, row(line))).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = outcome.detail.logs.iter().flat_map(of).collect();
    rows.sort_by_key(|(at, _)| *at);
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    tabled("AWS's tunnel logs", &[">at", "tunnel", "phase 1", "phase 2", "details"], rows)
}

/// Of AWS's BGP logs what tells of trouble; the whole of them is in their files.
pub(super) fn bgp_logs(outcome: &Outcome) -> Section {
    let row = |log: &BgpLog, line: &bgp_log::Line| {
        vec![Seconds::from(line.at).to_string(), log.tunnel.clone(), line.status.into(), line.message.details().into()]
    };
    let logs = outcome.detail.bgp_logs.iter();
    let lines = logs.flat_map(|log| log.lines.iter().filter(|line| line.trouble).map(move |line| (log, line)));
    let mut rows: Vec<_> = lines.map(|(log, line)| (line.at, row(log, line))).collect();
    rows.sort_by_key(|(at, _)| *at);
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    tabled("AWS's BGP logs", &[">at", "tunnel", "status", "details"], rows)
}

fn expectations(report: &Report) -> Section {
    let judged = report
        .expectations
        .iter()
        .map(|e| Block::Judge {
            held: e.held,
            text: if e.detail.is_empty() { e.text.clone() } else { format!("{}: {}", e.text, e.detail) },
        })
        .collect();
    section("Expectations", judged)
}

/// Which devices are of which make, and what that set.
pub(super) fn profiles(report: &Report) -> Section {
    let mut blocks = Vec::new();
    for device in &report.profiles {
        blocks.push(Block::Say(format!("{} has the profile {}: {}.", device.device, device.profile, device.about)));
    }
    let settings = report.profiles.iter().flat_map(|device| &device.settings);
    let rows: Vec<_> = settings.map(|s| vec![s.parameter.clone(), s.value.clone(), s.source.clone()]).collect();
    if !rows.is_empty() {
        blocks.extend(shortened(&["parameter", "value", "source"], rows));
    }
    section("Device profiles", blocks)
}

fn assumptions(report: &Report) -> Section {
    let rows =
        report.assumptions.iter().map(|a| vec![a.parameter.clone(), a.value.clone(), a.source.clone()]).collect();
    tabled("Assumptions on these paths", &["parameter", "value", "why"], rows)
}

/// What is otherwise at the ends of what is assumed.
pub(super) fn at_the_ends(report: &Report) -> Section {
    let mut rows = Vec::new();
    for (assumption, range) in report.assumptions.iter().filter_map(|a| a.range.as_ref().map(|range| (a, range))) {
        for end in &range.ends {
            let as_it_is = if end.value == assumption.value { "this run" } else { "nothing" };
            let differences = differences(report, end);
            let said = if differences.is_empty() { as_it_is.to_owned() } else { differences.join("; ") };
            rows.push(vec![assumption.parameter.clone(), end.value.clone(), said, range.source.clone()]);
        }
    }
    tabled("At the ends of what is assumed", &["parameter", "value", "what is otherwise", "why this end"], rows)
}

/// Of the expectations and of how long it is dark.
fn differences(report: &Report, end: &AssumptionEnd) -> Vec<String> {
    let mut all = Vec::new();
    for (here, there) in report.expectations.iter().zip(&end.expectations).filter(|(a, b)| a.held != b.held) {
        let verdict = if there.held { "holds" } else { "fails" };
        all.push(format!("expectation {} {verdict}: {}", here.name, there.detail));
    }
    let here = ends::darkness(report);
    let find = |all: &[Darkness], of: &Darkness| {
        let same = |d: &&Darkness| (&d.probe, &d.direction, &d.fault) == (&of.probe, &of.direction, &of.fault);
        all.iter().find(same).map_or(Seconds::default(), |d| d.longest_s)
    };
    let gone = here.iter().filter(|d| find(&end.darkness, d) == Seconds::default());
    for of in end.darkness.iter().chain(gone) {
        let (was, is) = (find(&here, of), find(&end.darkness, of));
        if was != is {
            let fault = of.fault.as_ref().map_or_else(String::new, |fault| format!("{fault}: "));
            let direction = of.direction.replace('_', " ");
            all.push(format!("{fault}{} {direction} dark for {is}, not {was}", of.probe));
        }
    }
    all
}

fn identity(report: &Report) -> Section {
    section(
        "This run",
        vec![Block::Say(format!(
            "Scenario {}, seed {}, {} simulated, vpnsim {}, digest {}.",
            report.scenario, report.seed, report.simulated_s, report.vpnsim, report.digest
        ))],
    )
}

/// The text without control characters: a name may not move the cursor or break a document.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(at: u64, waited: u64) -> PathStep {
        PathStep {
            at_s: Seconds(Duration::from_secs(at)),
            node: "n".into(),
            event: "timer_expired".into(),
            subject: "s".into(),
            reason: "hold_timer".into(),
            waited_s: Seconds(Duration::from_secs(waited)),
        }
    }

    #[test]
    fn bars_are_proportional_and_never_wider_than_their_column() {
        let (start, total) = (Duration::from_secs(60), Duration::from_secs(24));
        let drawn = |at, waited| bar(&step(at, waited), start, total);
        assert_eq!(drawn(84, 12), format!("{}{}", "·".repeat(12), "█".repeat(12)));
        assert_eq!(drawn(60, 0), "▏");
        assert_eq!(drawn(84, 0).chars().count(), BAR);
        assert_eq!(drawn(84, 100), "█".repeat(BAR), "a wait that began before the fault");
        let everything = bar(&step(60, 0), start, Duration::ZERO);
        assert_eq!(everything, "▏", "a path that took no time");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
