//! The report as a page: one file that needs no network, in light and dark, on screen and on paper.
//!
//! The answer comes first, in the sentences of [`super::story`]; then the drawing with what struck it, the timeline, where the time
//! went, and the evidence. Everything that a scenario may name is escaped by the template, and what the script reads is JSON in which
//! no tag can end. Without scripts, and on paper, the timeline is a still one.
//!
//! The page is a function of the outcome and of how it was asked: no clock, no random names.

mod chart;
mod graph;
mod layout;
mod topology;

use askama::Template;
use serde::Serialize;

use self::chart::Still;
use super::model::{Assumption, Ecmp, Fault, Report};
use super::story::{self, Block, Section};
use super::{Outcome, timeline};
use crate::plan::Plan;

/// How an outcome came about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What the scenario came to.
    pub plan: &'a Plan,
    /// Its text, without its keys ([`crate::Scenario::text`]).
    pub text: &'a str,
    /// The command that gives the same answer again; empty if there is none.
    pub command: &'a str,
}

/// The whole page.
pub fn render(outcome: &Outcome, asked: &Asked<'_>) -> String {
    let report = &outcome.report;
    let rows = chart::rows(outcome, asked.plan);
    let (still, unseen) = chart::still(outcome, &rows);
    let answer = story::answer(outcome);
    let sentences = answer.blocks.iter().filter_map(|block| match block {
        Block::Say(text) => Some(story::plain(text)),
        Block::Judge { .. } | Block::Table(_) => None,
    });
    let held = report.expectations.iter().filter(|expectation| expectation.held).count();
    let page = Page {
        title: story::plain(&report.scenario),
        question: story::plain(&asked.plan.question),
        report,
        sentences: sentences.collect(),
        failed: report.expectations.len() - held,
        topology: topology::draw(asked.plan),
        faults: graph::happening(asked.plan).map(|(number, fault)| Struck::new(number, &fault.name, report)).collect(),
        hops: super::lanes::hops(&outcome.detail).into_iter().take(chart::HOPS).map(story::plain).collect(),
        chart: json(&chart::chart(outcome, &rows)),
        lanes: rows.len(),
        still,
        unseen,
        ticks: ticks(report.simulated_s.0.as_secs_f64()),
        waterfalls: report.faults.iter().filter_map(Waterfall::of).collect(),
        outages: story::outages(report),
        drops: drops(report, asked.plan),
        ecmp: ecmp(&report.ecmp),
        applications: story::applications(report),
        logs: vec![story::logs(outcome), story::bgp_logs(outcome)],
        evidence: vec![
            story::timeline(outcome),
            story::probes(report),
            story::sessions(report),
            story::routes(outcome),
            story::alarms(report),
            story::profiles(report),
        ],
        assumptions: assumptions(outcome, asked.plan),
        at_the_ends: story::at_the_ends(report),
        text: asked.text,
        command: asked.command,
    };
    page.render().expect("a template writes into a string, which does not fail")
}

const CSS: &str = include_str!("../../../templates/report.css");
const THEME: &str = include_str!("../../../templates/theme.js");
const LANES: &str = include_str!("../../../templates/lanes.js");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    question: String,
    report: &'a Report,
    sentences: Vec<String>,
    failed: usize,
    topology: topology::Topology,
    faults: Vec<Struck>,
    hops: Vec<String>,
    chart: String,
    lanes: usize,
    still: Vec<Still>,
    unseen: usize,
    ticks: Vec<Tick>,
    waterfalls: Vec<Waterfall>,
    outages: Section,
    drops: Vec<DropRow>,
    ecmp: Vec<EcmpRow<'a>>,
    applications: Section,
    logs: Vec<Section>,
    evidence: Vec<Section>,
    assumptions: Vec<Assumed>,
    at_the_ends: Section,
    text: &'a str,
    command: &'a str,
}

/// What the template says of texts.
mod filters {
    use crate::report::story;

    /// Without control characters.
    #[askama::filter_fn]
    pub(super) fn plain(text: &str, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(story::plain(text))
    }

    /// A code as words.
    #[askama::filter_fn]
    pub(super) fn words(code: &str, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(story::plain(code).replace('_', " "))
    }
}

/// JSON for a `script` element: without the characters by which one could end, or a comment begin.
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("it has string keys and finite numbers");
    // They stand only within strings, where an escape means the same.
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A fault of the drawing.
struct Struck {
    number: usize,
    text: String,
}

impl Struck {
    fn new(number: usize, name: &str, report: &Report) -> Self {
        let times: Vec<&Fault> = report.faults.iter().filter(|fault| is_of(fault, name)).collect();
        let text = match &times[..] {
            [] => format!("{name}: not within this run"),
            [first, rest @ ..] => {
                let what = first.what.replace('_', " ");
                let healed = rest.iter().rev().find(|fault| fault.heals.is_some());
                let until = healed.map_or_else(String::new, |heal| format!(", healed at {}", heal.at_s));
                let again = rest.iter().filter(|fault| fault.heals.is_none()).count();
                let again = if again > 0 { format!(", {} times", again + 1) } else { String::new() };
                format!("{name}: {what} of {} at {}{again}{until}", first.target, first.at_s)
            }
        };
        Self { number, text: story::plain(&text) }
    }
}

/// Whether an entry of the report is of the fault with this name: `cut`, `cut#2`, `cut.heal`, `cut.heal#2`.
fn is_of(fault: &Fault, name: &str) -> bool {
    let rest = fault.id.strip_prefix(name).map(|rest| rest.strip_prefix(".heal").unwrap_or(rest));
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('#').is_some_and(|n| n.parse::<u32>().is_ok()))
}

/// A label under the still timeline.
struct Tick {
    percent: f64,
    label: String,
}

fn ticks(end: f64) -> Vec<Tick> {
    let step = timeline::step(end);
    let count = if step > 0.0 { (end / step) as usize } else { 0 };
    let tick = |number: usize| {
        let at = number as f64 * step;
        Tick { percent: (at / end.max(1e-9) * 1e4).round() / 1e2, label: format!("{} s", (at * 1e9).round() / 1e9) }
    };
    (0..=count).map(tick).collect()
}

/// Where the time between a fault and its end went.
struct Waterfall {
    title: String,
    steps: Vec<Step>,
    phases: String,
}

struct Step {
    at: String,
    node: String,
    text: String,
    waited: String,
    /// Of 1000 units: where the bar begins, and how wide it is.
    from: f64,
    width: f64,
    /// Whether a timer made it wait.
    timer: bool,
}

impl Waterfall {
    fn of(fault: &Fault) -> Option<Self> {
        let (first, last) = (fault.critical_path.first()?, fault.critical_path.last()?);
        let (start, total) = (first.at_s.0, last.at_s.0.saturating_sub(first.at_s.0));
        let place = |at: sim_core::time::Duration| {
            let share = at.saturating_sub(start).as_secs_f64() / total.as_secs_f64().max(1e-9);
            (share.min(1.0) * 1e4).round() / 10.0
        };
        let steps = fault.critical_path.iter().map(|step| {
            let (from, to) = (place(step.at_s.0.saturating_sub(step.waited_s.0)), place(step.at_s.0));
            let from = from.min(to);
            // A step that took no time is a stroke, and stays within the box.
            let width = ((to - from).max(4.0) * 10.0).round() / 10.0;
            Step {
                at: step.at_s.to_string(),
                node: story::plain(&step.node),
                text: story::plain(&story::step_text(step)),
                waited: if step.waited_s.0.is_zero() { String::new() } else { step.waited_s.to_string() },
                from: from.min(1_000.0 - width),
                width,
                timer: step.event == crate::measure::StepKind::TimerExpired.code(),
            }
        });
        let steps = steps.collect();
        Some(Self { title: story::plain(&fault.id), steps, phases: story::phases(fault, total) })
    }
}

/// Packets that died in one place for one reason.
struct DropRow {
    place: String,
    way: String,
    reason: String,
    packets: u64,
    bytes: u64,
    first: String,
    last: String,
    /// Of the row with most packets.
    percent: f64,
}

/// By packets, most first.
fn drops(report: &Report, plan: &Plan) -> Vec<DropRow> {
    let most = report.drops.iter().map(|drop| drop.packets).max().unwrap_or(1).max(1);
    let node = |id: sim_core::id::NodeId| plan.nodes[id.index()].name.as_str();
    let mut rows: Vec<DropRow> = report
        .drops
        .iter()
        .map(|drop| {
            let link = drop.link.as_ref().and_then(|name| plan.link(name)).map(|id| &plan.links[id.index()]);
            let way = match (link, drop.direction.as_deref()) {
                (Some(link), Some("reverse")) => {
                    format!("{} \u{2192} {}", node(link.ends[1].node), node(link.ends[0].node))
                }
                (Some(link), Some(_)) => format!("{} \u{2192} {}", node(link.ends[0].node), node(link.ends[1].node)),
                (Some(link), None) => format!("{} \u{2194} {}", node(link.ends[0].node), node(link.ends[1].node)),
                (None, _) if drop.link.is_some() => drop.direction.clone().unwrap_or_default(),
                (None, _) => "in the device".into(),
            };
            DropRow {
                place: story::plain(drop.link.as_ref().or(drop.node.as_ref()).map_or("", String::as_str)),
                way: story::plain(&way),
                reason: drop.reason.replace('_', " "),
                packets: drop.packets,
                bytes: drop.bytes,
                first: drop.first_s.to_string(),
                last: drop.last_s.to_string(),
                percent: (drop.packets as f64 / most as f64 * 1e3).round() / 10.0,
            }
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.packets));
    rows
}

/// The flows of a device that went out by one way.
struct EcmpRow<'a> {
    it: &'a Ecmp,
    /// Of all flows of the device.
    percent: f64,
    /// Of those, the failed.
    failed: f64,
    dropped: String,
}

fn ecmp(all: &[Ecmp]) -> Vec<EcmpRow<'_>> {
    let row = |it: &'_ Ecmp| -> (f64, f64) {
        let flows: u64 = all.iter().filter(|other| other.group == it.group).map(|other| other.flows).sum();
        let share = |count: u64| (count as f64 / flows.max(1) as f64 * 1e3).round() / 10.0;
        (share(it.flows), share(it.failed_flows))
    };
    let made = all.iter().map(|it| {
        let (percent, failed) = row(it);
        EcmpRow { it, percent, failed, dropped: format!("{:.1} %", it.drop_share * 100.0) }
    });
    made.collect()
}

/// Something assumed, with its range.
struct Assumed {
    parameter: String,
    value: String,
    range: String,
    source: String,
}

/// What the last outage of all rests on, and then what others do.
fn assumptions(outcome: &Outcome, plan: &Plan) -> Vec<Assumed> {
    let all = outcome.report.assumptions.iter().chain(&outcome.detail.assumed);
    let one = |it: &Assumption| {
        let range =
            plan.assumptions.iter().find(|known| known.parameter == it.parameter).and_then(|a| a.range.as_ref());
        let range = range.map_or_else(String::new, |range| {
            let ends = match &range.ends[..] {
                [low, high] => format!("{low} to {high}"),
                many => many.join(", "),
            };
            format!("{ends}: {}", range.source)
        });
        Assumed {
            parameter: story::plain(&it.parameter),
            value: story::plain(&it.value),
            range: story::plain(&range),
            source: story::plain(&it.source),
        }
    };
    all.map(one).collect()
}

#[cfg(test)]
mod tests;
