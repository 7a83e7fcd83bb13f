//! What the lanes of a timeline show: probes, best routes and sessions, each as stretches of time. The picture
//! ([`super::timeline`]) and the page ([`super::html`]) draw these.

use std::collections::BTreeMap;

use sim_core::time::Instant;

use super::model::Session;
use super::{Detail, Losses, Outcome, is_established};

/// A row of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lane {
    /// What the row is about: `probe`, `route`, or the kind of a session.
    pub kind: String,
    /// Its name.
    pub label: String,
    /// Its stretches by time. In a probe's lane the first is the time in which it was sent, and the others lie over it.
    pub spans: Vec<Span>,
}

/// A stretch of a lane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// When it begins.
    pub from: Instant,
    /// When it ends.
    pub to: Instant,
    /// How it is.
    pub shade: Shade,
    /// What is written into it.
    pub text: String,
    /// Why it began, as a code; empty if there is nothing to say.
    pub reason: String,
}

/// How a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shade {
    /// Probes are answered, a session is established.
    Good,
    /// The best route is by the next hop with this number, in order of first use.
    Hop(usize),
    /// The session is down, there is no route.
    Absent,
    /// The session is coming up.
    Between,
    /// Probes are lost.
    Bad,
}

/// All lanes: probes, routes, sessions.
pub(super) fn lanes(outcome: &Outcome) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = outcome.detail.losses.iter().map(probe_lane).collect();
    lanes.extend(route_lanes(outcome));
    lanes.extend(outcome.report.sessions.iter().map(|session| session_lane(session, end(outcome))));
    lanes
}

/// When the run ended.
pub(super) fn end(outcome: &Outcome) -> Instant {
    Instant::START + outcome.report.simulated_s.0
}

/// When a direction of a stream lost probes.
pub(super) fn probe_lane(losses: &Losses) -> Lane {
    let span = |from, to, shade, text| Span { from, to, shade, text, reason: String::new() };
    let mut spans = vec![span(losses.lived.0, losses.lived.1, Shade::Good, String::new())];
    spans.extend(losses.spans.iter().map(|(from, to)| {
        let length = to.since_start().as_secs_f64() - from.since_start().as_secs_f64();
        span(*from, *to, Shade::Bad, format!("{length:.1} s"))
    }));
    let label = format!("{} {}", losses.probe, losses.direction.code().replace('_', " "));
    Lane { kind: "probe".into(), label, spans }
}

/// Next hops in order of first use: [`Shade::Hop`] counts them.
pub(super) fn hops(detail: &Detail) -> Vec<&str> {
    let mut hops: Vec<&str> = Vec::new();
    for via in detail.routes.iter().filter_map(|change| change.via.as_deref()) {
        if !hops.contains(&via) {
            hops.push(via);
        }
    }
    hops
}

/// The best route of each node to each prefix, in order of first appearance.
pub(super) fn route_lanes(outcome: &Outcome) -> Vec<Lane> {
    let (detail, end) = (&outcome.detail, end(outcome));
    let hops: BTreeMap<&str, usize> = hops(detail).into_iter().zip(0..).collect();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut lanes: Vec<Lane> = Vec::new();
    for change in &detail.routes {
        let (node, prefix) = (change.node.as_str(), change.prefix.as_str());
        let number = *known.entry((node, prefix)).or_insert(lanes.len());
        if number == lanes.len() {
            let label = format!("route {node} to {prefix}");
            lanes.push(Lane { kind: "route".into(), label, spans: Vec::new() });
        }
        let lane = &mut lanes[number];
        if let Some(before) = lane.spans.last_mut() {
            before.to = change.at;
        }
        let hop = change.via.as_deref().and_then(|via| hops.get(via));
        lane.spans.push(Span {
            from: change.at,
            to: end,
            shade: hop.map_or(Shade::Absent, |hop| Shade::Hop(*hop)),
            text: change.via.clone().unwrap_or_default(),
            reason: change.reason.into(),
        });
    }
    lanes
}

/// The states of a session.
pub(super) fn session_lane(session: &Session, end: Instant) -> Lane {
    let untils = session.transitions.iter().skip(1).map(|t| Instant::START + t.at_s.0).chain([end]);
    let spans = session.transitions.iter().zip(untils).map(|(t, to)| Span {
        from: Instant::START + t.at_s.0,
        to,
        shade: match t.to.as_str() {
            state if is_established(state) => Shade::Good,
            "down" | "idle" => Shade::Absent,
            _ => Shade::Between,
        },
        text: t.to.replace('_', " "),
        reason: t.reason.clone(),
    });
    Lane { kind: session.kind.clone(), label: format!("{} {}", session.kind, session.name), spans: spans.collect() }
}
