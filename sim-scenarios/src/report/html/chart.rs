//! The lanes of the page: as data for the script that draws them, and as still pictures for paper and for readers without scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use sim_core::time::Instant;
use sim_core::trace::SessionKind;

use crate::plan::{Plan, Routing};
use crate::report::lanes::{self, Lane, Shade, Span};
use crate::report::model::Session;
use crate::report::story::plain;
use crate::report::{Outcome, is_established};

/// Colours of next hops.
pub(super) const HOPS: usize = 6;
/// Width of a still picture in units: a stretch shorter than one is as wide as one.
const WIDTH: f64 = 1_000.0;
/// Most still lanes: beyond that paper does not help.
const STILL: usize = 150;

/// What the script draws. Lanes hold columns of equal length: a number for each stretch.
#[derive(Serialize)]
pub(super) struct Chart {
    /// When the run ended, in seconds.
    end: f64,
    /// Texts, to which `text` and `why` of lanes point.
    words: Vec<String>,
    lanes: Vec<Row>,
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: String,
    /// Seconds.
    from: Vec<f64>,
    to: Vec<f64>,
    /// 0 good, 1 to 6 a next hop, 7 absent, 8 between, 9 bad: of several in one pixel the greatest is drawn.
    shade: Vec<u8>,
    text: Vec<usize>,
    why: Vec<usize>,
}

/// A fault or a healing.
#[derive(Serialize)]
struct Mark {
    at: f64,
    name: String,
    what: String,
    heals: bool,
}

/// A lane as it is printed.
pub(super) struct Still {
    pub label: String,
    /// `rect` elements in a box of 1000 by 10.
    pub bars: String,
}

/// The lanes of a page in their order: probes, each tunnel with its sessions, other sessions, routes. None overlaps itself.
pub(super) fn rows(outcome: &Outcome, plan: &Plan) -> Vec<Lane> {
    let end = lanes::end(outcome);
    let mut all: Vec<Lane> = outcome.detail.losses.iter().map(|losses| cut(lanes::probe_lane(losses))).collect();
    let mut of_tunnel: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
    let tunnels = || plan.connections.iter().flat_map(|c| c.tunnels.iter().map(move |tunnel| (c, tunnel)));
    for (_, tunnel) in tunnels() {
        of_tunnel.insert(&tunnel.name, Vec::new());
    }
    let mut others = Vec::new();
    for session in &outcome.report.sessions {
        let tunnel = session.name.split('@').next().unwrap_or_default();
        match of_tunnel.get_mut(tunnel) {
            Some(sessions) => sessions.push(session),
            None => others.push(session),
        }
    }
    for (connection, tunnel) in tunnels() {
        let sessions = of_tunnel.remove(tunnel.name.as_str()).unwrap_or_default();
        let bgp = connection.routing == Routing::Bgp;
        all.extend(tunnel_lane(&tunnel.name, bgp, &sessions, end));
        all.extend(sessions.into_iter().map(|session| lanes::session_lane(session, end)));
    }
    all.extend(others.into_iter().map(|session| lanes::session_lane(session, end)));
    all.extend(lanes::route_lanes(outcome));
    all
}

/// The lane with what lies over its first stretch cut out of it.
fn cut(mut lane: Lane) -> Lane {
    let Some((base, over)) = lane.spans.split_first() else { return lane };
    let mut spans = Vec::new();
    let mut from = base.from;
    for span in over {
        if from < span.from {
            spans.push(Span { from, to: span.from, ..base.clone() });
        }
        from = span.to;
        spans.push(span.clone());
    }
    if from < base.to {
        spans.push(Span { from, ..base.clone() });
    }
    lane.spans = spans;
    lane
}

/// A tunnel as a whole: up while its CHILD_SAs are, and its BGP sessions if it has those.
fn tunnel_lane(name: &str, bgp: bool, sessions: &[&Session], end: Instant) -> Option<Lane> {
    let needed = [Some(SessionKind::Child.code()), bgp.then_some(SessionKind::Bgp.code())];
    let counted: Vec<&&Session> = sessions.iter().filter(|s| needed.contains(&Some(s.kind.as_str()))).collect();
    let mut changes: Vec<(Instant, usize, bool)> = Vec::new();
    for (number, session) in counted.iter().enumerate() {
        let change = |t: &crate::report::model::Transition| (Instant::START + t.at_s.0, number, is_established(&t.to));
        changes.extend(session.transitions.iter().map(change));
    }
    changes.sort_by_key(|(at, ..)| *at);
    let mut up = vec![false; counted.len()];
    let mut spans: Vec<Span> = Vec::new();
    for (at, number, established) in changes {
        up[number] = established;
        let all_up = |kind: &str| counted.iter().zip(&up).all(|(session, up)| *up || session.kind != kind);
        let (shade, text) = if up.iter().all(|up| *up) {
            (Shade::Good, "up")
        } else if bgp && all_up(SessionKind::Child.code()) {
            (Shade::Between, "no BGP")
        } else if up.iter().any(|up| *up) {
            (Shade::Between, "one end only")
        } else {
            (Shade::Absent, "down")
        };
        if let Some(last) = spans.last_mut() {
            if last.text == text {
                continue;
            }
            last.to = at;
            if last.from == at {
                spans.pop();
            }
        }
        spans.push(Span { from: at, to: end, shade, text: text.into(), reason: String::new() });
    }
    let label = format!("tunnel {name}");
    (!spans.is_empty()).then(|| Lane { kind: "tunnel".into(), label, spans })
}

/// The lanes as data.
pub(super) fn chart(outcome: &Outcome, rows: &[Lane]) -> Chart {
    let mut words = Words::default();
    let lanes = rows.iter().map(|lane| Row {
        name: plain(&lane.label),
        kind: lane.kind.clone(),
        from: lane.spans.iter().map(|span| seconds(span.from)).collect(),
        to: lane.spans.iter().map(|span| seconds(span.to)).collect(),
        shade: lane.spans.iter().map(|span| code(span.shade)).collect(),
        text: lane.spans.iter().map(|span| words.number(&span.text)).collect(),
        why: lane.spans.iter().map(|span| words.number(&span.reason.replace('_', " "))).collect(),
    });
    let lanes = lanes.collect();
    let mark = |fault: &crate::report::model::Fault| Mark {
        at: fault.at_s.0.as_secs_f64(),
        name: plain(&fault.id),
        what: plain(&format!("{} of {}", fault.what.replace('_', " "), fault.target)),
        heals: fault.heals.is_some(),
    };
    let marks = outcome.report.faults.iter().map(mark).collect();
    Chart { end: seconds(lanes::end(outcome)), words: words.all, lanes, marks }
}

#[derive(Default)]
struct Words {
    all: Vec<String>,
    known: BTreeMap<String, usize>,
}

impl Words {
    fn number(&mut self, word: &str) -> usize {
        if let Some(number) = self.known.get(word) {
            return *number;
        }
        self.known.insert(word.to_owned(), self.all.len());
        self.all.push(plain(word));
        self.all.len() - 1
    }
}

fn code(shade: Shade) -> u8 {
    match shade {
        Shade::Good => 0,
        Shade::Hop(number) => 1 + (number % HOPS) as u8,
        Shade::Absent => 7,
        Shade::Between => 8,
        Shade::Bad => 9,
    }
}

fn seconds(at: Instant) -> f64 {
    at.since_start().as_secs_f64()
}

/// The lanes for paper, and how many are left out.
pub(super) fn still(outcome: &Outcome, rows: &[Lane]) -> (Vec<Still>, usize) {
    let end = seconds(lanes::end(outcome)).max(1e-9);
    // Tenths of a unit: no printer is finer.
    let x = |at: f64| (at / end * WIDTH * 10.0).round() / 10.0;
    let draw = |lane: &Lane| {
        let mut bars = String::new();
        let mut drawn = (f64::NEG_INFINITY, "");
        for span in &lane.spans {
            let (from, shade) = (x(seconds(span.from)), class(span.shade));
            let to = x(seconds(span.to)).max(from + 1.0);
            // What is no wider than the stroke that is there already, and of its kind, is that stroke.
            if to <= drawn.0 && shade == drawn.1 {
                continue;
            }
            let width = ((to - from) * 10.0).round() / 10.0;
            let (y, height) = if shade == "absent" { (3.5, 3.0) } else { (0.0, 10.0) };
            let _ =
                write!(bars, "<rect class=\"{shade}\" x=\"{from}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>");
            drawn = (to, shade);
        }
        for fault in &outcome.report.faults {
            let class = if fault.heals.is_some() { "heals" } else { "strikes" };
            let _ = write!(
                bars,
                "<rect class=\"{class}\" x=\"{}\" width=\"1.5\" height=\"10\"/>",
                x(fault.at_s.0.as_secs_f64())
            );
        }
        Still { label: plain(&lane.label), bars }
    };
    (rows.iter().take(STILL).map(draw).collect(), rows.len().saturating_sub(STILL))
}

fn class(shade: Shade) -> &'static str {
    match shade {
        Shade::Good => "good",
        Shade::Hop(number) => ["hop1", "hop2", "hop3", "hop4", "hop5", "hop6"][number % HOPS],
        Shade::Absent => "absent",
        Shade::Between => "between",
        Shade::Bad => "bad",
    }
}
