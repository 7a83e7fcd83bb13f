//! Differences of what was measured: darkness, waits, routes, drops, flows, loss and delay.

use std::collections::BTreeMap;

use sim_core::time::Duration;

use super::change::{About, Amount, Changes};
use super::{pairs, words};
use crate::measure::StepKind;
use crate::report::model::{Application, Convergence, Drop, Ecmp, Fault, Outage, PathStep, Probe, Quantiles, Seconds};

/// Who is dark because of what.
type Darkened<'r> = (&'r String, &'r String, &'r Option<String>);

/// Outages by stream, direction and fault.
pub(super) fn outages(was: &[Outage], is: &[Outage], changes: &mut Changes) {
    let mut groups: BTreeMap<Darkened<'_>, [Vec<&Outage>; 2]> = BTreeMap::new();
    for (side, all) in [was, is].into_iter().enumerate() {
        for outage in all {
            groups.entry((&outage.probe, &outage.direction, &outage.fault)).or_default()[side].push(outage);
        }
    }
    let (one_sided, two_sided): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|(_, [was, is])| was.is_empty() || is.is_empty());
    for (key, [was, is]) in two_sided {
        outages_of(key, &was, &is, changes);
    }
    for (key, [was, is]) in owned_otherwise(one_sided, changes) {
        let whole = |all: &[&Outage]| match all {
            [] => None,
            [one] => Some(Amount::Time(one.duration_s)),
            many => Some(format!("{} outages, {} in all", many.len(), in_all(many)).into()),
        };
        changes.note(About::Outage, named(key), whole(&was), whole(&is));
    }
}

/// Outages of the same stream at the same time that other faults own. What has no such counterpart is left.
fn owned_otherwise<'r>(
    mut groups: Vec<(Darkened<'r>, [Vec<&'r Outage>; 2])>,
    changes: &mut Changes,
) -> Vec<(Darkened<'r>, [Vec<&'r Outage>; 2])> {
    let of_side = |side: usize| {
        let mut all: Vec<&Outage> = groups.iter().flat_map(|(_, sides)| sides[side].iter().copied()).collect();
        all.sort_by_key(|outage| (outage.start_s, &outage.fault));
        all
    };
    let (gone, mut new) = (of_side(0), of_side(1));
    let mut matched: Vec<&Outage> = Vec::new();
    for was in gone {
        let same = |is: &&Outage| {
            let ends = |outage: &Outage| outage.start_s.0 + outage.duration_s.0;
            let overlap = was.start_s.0 < ends(is) && is.start_s.0 < ends(was);
            (&was.probe, &was.direction) == (&is.probe, &is.direction) && overlap
        };
        let Some(place) = new.iter().position(same) else { continue };
        let is = new.remove(place);
        let stream = stream(&was.probe, &was.direction);
        let cause = |outage: &Outage| outage.fault.clone().unwrap_or_else(|| "no fault".into());
        // The earlier start names it, whichever side it is of.
        let start = was.start_s.min(is.start_s);
        changes.both(About::Outage, format!("{stream}: cause of the outage from {start}"), cause(was), cause(is));
        outage(&format!("{stream}: outage from {start}"), was, is, changes);
        matched.extend([was, is]);
    }
    for (_, sides) in &mut groups {
        for side in sides {
            side.retain(|outage| !matched.iter().any(|other| std::ptr::eq(*other, *outage)));
        }
    }
    groups
}

fn outages_of(key: Darkened<'_>, was: &[&Outage], is: &[&Outage], changes: &mut Changes) {
    let name = named(key);
    if was.len() == is.len() {
        for (n, (a, b)) in was.iter().zip(is).enumerate() {
            let name = if was.len() == 1 { name.clone() } else { format!("{name}, {} of {}", n + 1, was.len()) };
            outage(&name, a, b, changes);
        }
        return;
    }
    changes.both(About::Outage, format!("{name}: how often"), was.len() as u64, is.len() as u64);
    changes.both(About::Outage, format!("{name}: in all"), in_all(was), in_all(is));
    let longest = |all: &[&Outage]| all.iter().map(|outage| outage.duration_s).max().unwrap_or_default();
    changes.both(About::Outage, format!("{name}: the longest"), longest(was), longest(is));
}

fn outage(name: &str, was: &Outage, is: &Outage, changes: &mut Changes) {
    // Who and why are the key.
    let Outage { probe: _, direction: _, fault: _, start_s, end_s, duration_s, lost } = was;
    let end = |end: &Option<Seconds>| Amount::or(*end, "still dark when the run ended");
    let length = changes.both(About::Outage, name, *duration_s, is.duration_s);
    let end_name = format!("{name}: end");
    if end_s.is_some() != is.end_s.is_some() {
        changes.both(About::Outage, end_name, end(end_s), end(&is.end_s));
    } else if !length {
        changes.first(
            About::Outage,
            [
                (format!("{name}: start"), (*start_s).into(), is.start_s.into()),
                (end_name, end(end_s), end(&is.end_s)),
                (format!("{name}: probes lost"), (*lost).into(), is.lost.into()),
            ],
        );
    }
}

fn in_all(all: &[&Outage]) -> Seconds {
    Seconds(all.iter().fold(Duration::ZERO, |sum, outage| sum + outage.duration_s.0))
}

fn stream(probe: &str, direction: &str) -> String {
    format!("{probe} {}", words(direction))
}

fn named((probe, direction, fault): Darkened<'_>) -> String {
    let stream = stream(probe, direction);
    match fault {
        Some(fault) => format!("{stream}: outage of {fault}"),
        None => format!("{stream}: outage behind no fault"),
    }
}

/// Faults, and what the way to recovery waited for.
pub(super) fn faults(was: &[Fault], is: &[Fault], changes: &mut Changes) {
    for pair in pairs(was, is, |fault| &fault.id) {
        match pair {
            (Some(was), Some(is)) => {
                let Fault { id, at_s, what, target, heals, critical_path } = was;
                let healed = |heals: &Option<String>| Amount::from(heals.as_deref().unwrap_or("nothing"));
                changes.first(
                    About::Fault,
                    [
                        (format!("{id}: instant"), (*at_s).into(), is.at_s.into()),
                        (format!("{id}: what happens"), words(what).into(), words(&is.what).into()),
                        (format!("{id}: what it strikes"), target.into(), (&is.target).into()),
                        (format!("{id}: what it heals"), healed(heals), healed(&is.heals)),
                    ],
                );
                path(id, critical_path, &is.critical_path, changes);
            }
            (was, is) => {
                let id = was.or(is).map_or("", |fault| &fault.id);
                let told = |fault: &Fault| {
                    Amount::from(format!("{} of {} at {}", words(&fault.what), fault.target, fault.at_s))
                };
                changes.note(About::Fault, id, was.map(told), is.map(told));
            }
        }
    }
}

fn path(id: &str, was: &[PathStep], is: &[PathStep], changes: &mut Changes) {
    let total = |path: &[PathStep]| {
        let (first, last) = (path.first()?, path.last()?);
        Some(Amount::from(Seconds(last.at_s.0.saturating_sub(first.at_s.0))))
    };
    let mut noted =
        changes.note(About::Wait, format!("{id}: from the fault to recovered traffic"), total(was), total(is));
    let waits = |path: &[PathStep]| path.iter().filter(|step| !step.waited_s.0.is_zero()).cloned().collect::<Vec<_>>();
    let (waited, waits) = (waits(was), waits(is));
    for (was, is) in pairs(&waited, &waits, |step| (&step.node, &step.event, &step.subject, &step.reason)) {
        let Some(step) = was.or(is) else { continue };
        let length = |step: &PathStep| Amount::from(step.waited_s);
        noted |= changes.note(About::Wait, format!("{id}: {}", wait(step)), was.map(length), is.map(length));
    }
    if noted {
        return;
    }
    let way = |path: &[PathStep]| {
        let step = |step: &PathStep| format!("{} {} {} {}", step.node, step.subject, words(&step.event), step.reason);
        Amount::from(path.iter().map(step).collect::<Vec<_>>().join(" > "))
    };
    if !changes.both(About::Wait, format!("{id}: way to recovery"), way(was), way(is)) {
        let steps = was.iter().zip(is).enumerate();
        changes.first(
            About::Wait,
            steps.map(|(n, (a, b))| {
                (format!("{id}: step {} of the way to recovery", n + 1), a.at_s.into(), b.at_s.into())
            }),
        );
    }
}

/// "wait for the hold timer of cgw (bgp vpn.a@cgw)".
fn wait(step: &PathStep) -> String {
    let PathStep { at_s: _, node, event, subject, reason, waited_s: _ } = step;
    if *event == StepKind::TimerExpired.code() {
        return format!("wait for the {} of {node} ({subject})", words(reason));
    }
    if *event == StepKind::Fault.code() {
        let what = if reason == "heal" { "healing" } else { "failure" };
        return format!("wait for the {what} of {node}");
    }
    let why = if reason.is_empty() { words(event) } else { format!("{}: {}", words(event), words(reason)) };
    format!("wait for {subject} at {node} ({why})")
}

/// How long routes kept changing.
pub(super) fn convergence(was: &[Convergence], is: &[Convergence], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| (&it.fault, &it.node, &it.prefix)) {
        let Some(Convergence { fault, node, prefix, settled_s: _, changes: _ }) = was.or(is) else { continue };
        let name = format!("{fault}: {node}'s route to {prefix} settled after");
        let settled = |it: &Convergence| Amount::from(it.settled_s);
        if !changes.note(About::Route, name, was.map(settled), is.map(settled)) {
            let moves = |it: &Convergence| Amount::from(it.changes);
            let name = format!("{fault}: changes of {node}'s route to {prefix}");
            changes.note(About::Route, name, was.map(moves), is.map(moves));
        }
    }
}

/// Dropped packets by place and reason.
pub(super) fn drops(was: &[Drop], is: &[Drop], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |drop| (place(drop), &drop.reason)) {
        let Some(any) = was.or(is) else { continue };
        let what = format!("packets dropped by {} for {}", place(any), any.reason);
        let packets = |drop: &Drop| Amount::from(drop.packets);
        if changes.note(About::Drop, what.as_str(), was.map(packets), is.map(packets)) {
            continue;
        }
        let (Some(was), Some(is)) = (was, is) else { continue };
        let Drop { node: _, link: _, direction: _, reason: _, packets: _, bytes, first_s, last_s } = was;
        changes.first(
            About::Drop,
            [
                (format!("octets of {what}"), (*bytes).into(), is.bytes.into()),
                (format!("the first of {what}"), (*first_s).into(), is.first_s.into()),
                (format!("the last of {what}"), (*last_s).into(), is.last_s.into()),
            ],
        );
    }
}

fn place(drop: &Drop) -> String {
    [&drop.node, &drop.link, &drop.direction].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// What flows of applications came to.
pub(super) fn applications(was: &[Application], is: &[Application], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| &it.name) {
        let Some(name) = was.or(is).map(|it| format!("application {}", it.name)) else { continue };
        let (Some(was), Some(is)) = (was, is) else {
            let flows = |it: &Application| Amount::from(format!("{} flows, {} done", it.flows, it.done));
            changes.note(About::Application, name, was.map(flows), is.map(flows));
            continue;
        };
        let Application {
            name: _,
            kind,
            flows,
            connected,
            done,
            alive,
            stalled,
            reset,
            timed_out,
            questions,
            answers,
            outage,
            host,
        } = was;
        for (what, a, b) in [
            ("flows", flows, &is.flows),
            ("flows connected", connected, &is.connected),
            ("flows done", done, &is.done),
            ("flows alive at the end", alive, &is.alive),
            ("flows stalled", stalled, &is.stalled),
            ("flows reset", reset, &is.reset),
            ("flows timed out", timed_out, &is.timed_out),
            ("questions", questions, &is.questions),
            ("answers", answers, &is.answers),
        ] {
            changes.both(About::Application, format!("{name}: {what}"), *a, *b);
        }
        let waited = |it: &Application| it.outage.as_ref().map(|outage| outage.waited_s.into());
        changes.note(About::Application, format!("{name}: longest wait"), waited(was), waited(is));
        let text = |host: &Option<String>| Amount::from(host.as_deref().unwrap_or("none"));
        changes.both(About::Application, format!("{name}: transport"), kind, &is.kind);
        changes.both(About::Application, format!("{name}: TCP of its host"), text(host), text(&is.host));
        if let (Some(a), Some(b)) = (outage, &is.outage)
            && a.waited_s == b.waited_s
        {
            let last = |at| Amount::or(at, "none");
            changes.first(
                About::Application,
                [
                    (format!("{name}: start of the longest wait"), a.asked_s.into(), b.asked_s.into()),
                    (format!("{name}: end of the longest wait"), a.first_byte_s.into(), b.first_byte_s.into()),
                    (format!("{name}: last octet before it"), last(a.last_byte_s), last(b.last_byte_s)),
                ],
            );
        }
    }
}

/// Which ways flows took.
pub(super) fn ecmp(was: &[Ecmp], is: &[Ecmp], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| (&it.group, &it.member)) {
        let Some(name) = was.or(is).map(|it| format!("{} by {}", it.group, it.member)) else { continue };
        let (Some(was), Some(is)) = (was, is) else {
            let flows = |it: &Ecmp| Amount::from(format!("{} flows", it.flows));
            changes.note(About::Ecmp, name, was.map(flows), is.map(flows));
            continue;
        };
        let Ecmp { group: _, member: _, flows, packets, asymmetric_flows, failed_flows, dropped, drop_share, reason } =
            was;
        let mut noted = false;
        for (what, a, b) in [
            ("flows", flows, &is.flows),
            ("asymmetric flows", asymmetric_flows, &is.asymmetric_flows),
            ("failed flows", failed_flows, &is.failed_flows),
            ("packets dropped for want of state", dropped, &is.dropped),
        ] {
            noted |= changes.both(About::Ecmp, format!("{name}: {what}"), *a, *b);
        }
        if !noted {
            let why = |reason: &Option<String>| Amount::from(reason.as_deref().unwrap_or("none"));
            changes.first(
                About::Ecmp,
                [
                    (format!("{name}: packets"), (*packets).into(), is.packets.into()),
                    (format!("{name}: share dropped"), Amount::Share(*drop_share), Amount::Share(is.drop_share)),
                    (format!("{name}: why most were dropped"), why(reason), why(&is.reason)),
                ],
            );
        }
    }
}

/// Loss and delay of probe streams.
pub(super) fn probes(was: &[Probe], is: &[Probe], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |probe| (&probe.name, &probe.direction)) {
        let Some(name) = was.or(is).map(|probe| stream(&probe.name, &probe.direction)) else { continue };
        let (Some(was), Some(is)) = (was, is) else {
            let told = |it: &Probe| Amount::from(format!("{} of {} probes arrived", it.received, it.sent));
            changes.note(About::Probe, format!("probe {name}"), was.map(told), is.map(told));
            continue;
        };
        let Probe { name: _, direction: _, interval_s, sent, received, loss, rtt_ms, jitter_ms } = was;
        changes.first(
            About::Probe,
            [
                (format!("{name}: loss"), Amount::Share(*loss), Amount::Share(is.loss)),
                (format!("{name}: probes sent"), (*sent).into(), is.sent.into()),
                (format!("{name}: probes that arrived"), (*received).into(), is.received.into()),
                (format!("{name}: time between probes"), (*interval_s).into(), is.interval_s.into()),
            ],
        );
        quantiles(&format!("{name}: round-trip time"), rtt_ms.as_ref(), is.rtt_ms.as_ref(), changes);
        quantiles(&format!("{name}: delay variation"), jitter_ms.as_ref(), is.jitter_ms.as_ref(), changes);
    }
}

fn quantiles(name: &str, was: Option<&Quantiles>, is: Option<&Quantiles>, changes: &mut Changes) {
    let (Some(was), Some(is)) = (was, is) else {
        let median = |it: &Quantiles| Amount::from(it.p50);
        changes.note(About::Probe, format!("{name}, median"), was.map(median), is.map(median));
        return;
    };
    let Quantiles { min, p50, p90, p99, max } = *was;
    changes.first(
        About::Probe,
        [
            (format!("{name}, median"), p50.into(), is.p50.into()),
            (format!("{name}, 99 of 100"), p99.into(), is.p99.into()),
            (format!("{name}, 9 of 10"), p90.into(), is.p90.into()),
            (format!("{name}, longest"), max.into(), is.max.into()),
            (format!("{name}, shortest"), min.into(), is.min.into()),
        ],
    );
}
