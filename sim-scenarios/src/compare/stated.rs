//! Differences of what is stated: verdicts, sessions, alarms, misconfigurations, assumptions, profiles.

use std::collections::BTreeMap;

use super::change::{About, Amount, Changes};
use super::pairs;
use crate::report::is_established;
use crate::report::model::{
    AlarmChange, Assumption, Expectation, Misconfiguration, Profile, ProfileSetting, Range, Session, Transition,
};

/// Verdicts, and what was found where they are as they were.
pub(super) fn expectations(was: &[Expectation], is: &[Expectation], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| &it.name) {
        let Some(name) = was.or(is).map(|it| &it.name) else { continue };
        let judged = |it: &Expectation| {
            let verdict = if it.held { "held" } else { "failed" };
            Amount::from(if it.detail.is_empty() { verdict.to_owned() } else { format!("{verdict} ({})", it.detail) })
        };
        let (Some(was), Some(is)) = (was, is) else {
            changes.note(About::Expectation, format!("expectation {name}"), was.map(judged), is.map(judged));
            continue;
        };
        let Expectation { name: _, text, held, detail } = was;
        if *held != is.held {
            changes.both(About::Expectation, format!("expectation {name}"), judged(was), judged(is));
        } else {
            changes.first(
                About::Finding,
                [
                    (format!("text of expectation {name}"), text.into(), (&is.text).into()),
                    (format!("found for expectation {name}"), detail.into(), (&is.detail).into()),
                ],
            );
        }
    }
}

/// When each session came up, what took it down, and where it ended.
pub(super) fn sessions(was: &[Session], is: &[Session], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |session| (&session.kind, &session.name)) {
        let Some(name) = was.or(is).map(|session| format!("{} {}", session.kind, session.name)) else { continue };
        let (Some(was), Some(is)) = (was, is) else {
            changes.note(About::Session, format!("session {name}"), was.map(end), is.map(end));
            continue;
        };
        let Session { kind: _, name: _, established_s, transitions } = was;
        let up = |at| Amount::or(at, "never");
        let about = About::Session;
        let mut noted =
            changes.both(about, format!("{name}: first established"), up(*established_s), up(is.established_s));
        noted |= changes.both(about, format!("{name}: taken down by"), falls(was), falls(is));
        noted |= changes.both(about, format!("{name}: at the end"), end(was), end(is));
        let number = |session: &Session| session.transitions.len() as u64;
        noted |= changes.both(about, format!("{name}: state changes"), number(was), number(is));
        if noted {
            continue;
        }
        let steps = transitions.iter().zip(&is.transitions).enumerate();
        changes.first(
            about,
            steps.flat_map(|(n, (a, b))| {
                let what = format!("{name}: state change {}", n + 1);
                let at = format!("{what} ({})", step(a));
                [(what, step(a).into(), step(b).into()), (at, a.at_s.into(), b.at_s.into())]
            }),
        );
    }
}

fn step(Transition { at_s: _, from, to, reason }: &Transition) -> String {
    format!("{from} -> {to}, {reason}")
}

fn end(session: &Session) -> Amount {
    session.transitions.last().map_or_else(|| "as it began".into(), |t| format!("{} ({})", t.to, t.reason).into())
}

/// Why it left the states in which it carries traffic, in order.
fn falls(session: &Session) -> Amount {
    let falls = session.transitions.iter().filter(|t| is_established(&t.from) && !is_established(&t.to));
    let reasons: Vec<&str> = falls.map(|t| t.reason.as_str()).collect();
    if reasons.is_empty() { "nothing".into() } else { reasons.join(", ").into() }
}

/// What each alarm did.
pub(super) fn alarms(was: &[AlarmChange], is: &[AlarmChange], changes: &mut Changes) {
    let mut groups: BTreeMap<&String, [Vec<&AlarmChange>; 2]> = BTreeMap::new();
    for (side, all) in [was, is].into_iter().enumerate() {
        all.iter().for_each(|change| groups.entry(&change.alarm).or_default()[side].push(change));
    }
    for (name, [was, is]) in groups {
        let name = format!("alarm {name}");
        let about = About::Alarm;
        let mut noted = changes.both(about, format!("{name}: changes"), was.len() as u64, is.len() as u64);
        let last = |all: &[&AlarmChange]| Amount::from(all.last().map_or("as it began", |change| &change.to));
        noted |= changes.both(about, format!("{name}: at the end"), last(&was), last(&is));
        if noted {
            continue;
        }
        let steps = was.iter().zip(&is).enumerate();
        changes.first(
            about,
            steps.flat_map(|(n, (a, b))| {
                let AlarmChange { alarm: _, at_s, from, to, reason } = *a;
                let states = |it: &AlarmChange| Amount::from(format!("{} -> {}", it.from, it.to));
                [
                    (format!("{name}: change {}", n + 1), states(a), states(b)),
                    (format!("{name}: {from} -> {to}"), (*at_s).into(), b.at_s.into()),
                    (format!("{name}: reason of {from} -> {to}"), reason.into(), (&b.reason).into()),
                ]
            }),
        );
    }
}

/// Settings that do not fit.
pub(super) fn misconfigurations(was: &[Misconfiguration], is: &[Misconfiguration], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| (&it.tunnel, &it.setting)) {
        let Some(name) = was.or(is).map(|it| format!("{} of {} does not fit", it.setting, it.tunnel)) else { continue };
        let (Some(was), Some(is)) = (was, is) else {
            let text = |it: &Misconfiguration| Amount::from(&it.text);
            changes.note(About::Misconfiguration, name, was.map(text), is.map(text));
            continue;
        };
        let Misconfiguration { tunnel: _, at_s, setting: _, aws, customer, text, log } = was;
        let logged = |log: &Option<String>| Amount::from(log.as_deref().unwrap_or("nothing"));
        changes.first(
            About::Misconfiguration,
            [
                (format!("{name}: AWS's end"), aws.into(), (&is.aws).into()),
                (format!("{name}: the customer's end"), customer.into(), (&is.customer).into()),
                (format!("{name}: what came of it"), text.into(), (&is.text).into()),
                (format!("{name}: what AWS logs"), logged(log), logged(&is.log)),
                (format!("{name}: first shown"), (*at_s).into(), is.at_s.into()),
            ],
        );
    }
}

/// What the answer assumes.
pub(super) fn assumptions(was: &[Assumption], is: &[Assumption], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| &it.parameter) {
        let Some(name) = was.or(is).map(|it| format!("assumption {}", it.parameter)) else { continue };
        let value = |it: &Assumption| Amount::from(&it.value);
        if changes.note(About::Assumption, name.as_str(), was.map(value), is.map(value)) {
            continue;
        }
        let (Some(was), Some(is)) = (was, is) else { continue };
        let Assumption { parameter: _, value: _, source, range } = was;
        // Nobody reads a whole range in a sentence; that it is another one is what matters.
        let ends = |range: &Option<Range>| match range {
            None => Amount::from("not asked"),
            Some(Range { source, ends }) => {
                let ends: Vec<String> = ends.iter().map(|end| format!("{}: {end:?}", end.value)).collect();
                format!("{source}; {}", ends.join("; ")).into()
            }
        };
        changes.first(
            About::Assumption,
            [
                (format!("source of {name}"), source.into(), (&is.source).into()),
                (format!("ends of {name}"), ends(range), ends(&is.range)),
            ],
        );
    }
}

/// What profiles set.
pub(super) fn profiles(was: &[Profile], is: &[Profile], changes: &mut Changes) {
    for (was, is) in pairs(was, is, |it| &it.device) {
        let Some(name) = was.or(is).map(|it| format!("profile of {}", it.device)) else { continue };
        let profile = |it: &Profile| Amount::from(&it.profile);
        if changes.note(About::Profile, name.as_str(), was.map(profile), is.map(profile)) {
            continue;
        }
        let (Some(was), Some(is)) = (was, is) else { continue };
        let Profile { device: _, profile: _, about, settings } = was;
        changes.both(About::Profile, format!("{name}: what it is"), about, &is.about);
        for (was, is) in pairs(settings, &is.settings, |it| &it.parameter) {
            let Some(name) = was.or(is).map(|it| &it.parameter) else { continue };
            let set = |it: &ProfileSetting| Amount::from(format!("{} ({})", it.value, it.source));
            changes.note(About::Profile, name, was.map(set), is.map(set));
        }
    }
}
