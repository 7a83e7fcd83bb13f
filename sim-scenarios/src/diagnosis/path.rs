//! What a path does to a tunnel: nothing comes back, ESP is filtered, a NAT is in the way of AH.

use core::ops::RangeInclusive;

use sim_core::id::SessionId;
use sim_core::reason::{DropReason, State, Step};
use sim_core::time::Instant;
use sim_core::trace::{Place, TaggedDrop, Trace, What};

use super::{AWS, Kind, Symptom};
use crate::build::{Built, TunnelSessions};
use crate::plan::Tunnel;

/// What a filter drops of a tunnel is ESP, if both ends have a CHILD_SA and the IKE session goes on.
pub(super) fn esp_blocked(trace: &Trace, sessions: &TunnelSessions) -> Option<Symptom> {
    let went = |session, state: State| {
        let mut records = trace.session_records(session).map(|(_, record)| record);
        records.find(|r| matches!(r.what, What::State { to, .. } if to == state)).map(|r| r.at)
    };
    let up = went(sessions.child[0], State::Up)?.max(went(sessions.child[1], State::Up)?);
    if sessions.ike.iter().any(|ike| went(*ike, State::Down).is_some()) {
        return None;
    }
    let dropped = sessions.ike.iter().flat_map(|ike| trace.drops_of(*ike));
    let filtered = dropped.filter(|drop| drop.reason == DropReason::FilterRule && drop.at >= up);
    let first = filtered.min_by_key(|drop| drop.at)?;
    match first.place {
        Place::Node(filter) => Some(Symptom { at: first.at, kind: Kind::Esp(filter) }),
        Place::Link(..) => None,
    }
}

/// An ICV of AH that does not verify at a peer that has the keys.
pub(super) fn ah_translated(trace: &Trace, sessions: &TunnelSessions) -> Option<Symptom> {
    let dropped = sessions.ike.iter().flat_map(|ike| trace.drops_of(*ike));
    let first = dropped.filter(|drop| drop.reason == DropReason::BadAhIcv).min_by_key(|drop| drop.at)?;
    match first.place {
        Place::Node(end) => Some(Symptom { at: first.at, kind: Kind::Ah(end) }),
        Place::Link(..) => None,
    }
}

/// Why an attempt of `end` that failed at `until` had no answer; `None` if the path worked before, which makes it a matter of
/// faults and not of settings.
pub(super) fn silence(
    built: &Built,
    tunnel: &Tunnel,
    sessions: &TunnelSessions,
    end: usize,
    until: Instant,
) -> Option<String> {
    let trace = &built.world.trace;
    let (own, other) = (sessions.ike[end], sessions.ike[1 - end]);
    let names = if end == AWS { ["AWS", "the customer gateway"] } else { ["the customer gateway", "AWS"] };
    let attempt = Attempt { trace, own, other, when: attempt(trace, own, until)?..=until };
    let [from, to] = names;
    let v1 = attempt.count(own, Step::MainModeSent, false) > 0;
    let (first, reached) = if v1 {
        ("Main Mode", attempt.count(other, Step::MainModeReceived, false) > 0)
    } else {
        ("IKE_SA_INIT", attempt.count(other, Step::IkeSaInitReceived, false) > 0)
    };
    let answers = attempt.answers(v1);
    Some(if let Some(text) = fragments(built, &attempt, v1, names) {
        text
    } else if !reached {
        format!("no {first} of {from} reached {to}: UDP 500 is blocked on the way, or the path is dead.")
    } else if answers == 0 {
        format!(
            "{first} of {from} reached {to}, but no answer came back: UDP 500 is blocked on the way back, or the path is dead \
             that way."
        )
    } else if !v1 && attempt.saw_nat() {
        format!("IKE_SA_INIT succeeded and showed a NAT, but IKE_AUTH of {from} got no answer: UDP 4500 is blocked.")
    } else if !v1 {
        format!("IKE_SA_INIT succeeded, but IKE_AUTH of {from} got no answer: the path died in between.")
    } else if answers == 1 {
        format!("Main Mode of {from} got no answer to its third message: the path died in between.")
    } else if attempt.saw_nat() {
        format!("Main Mode showed a NAT, but its fifth message, of {from}, got no answer: UDP 4500 is blocked.")
    } else if tunnel.aws.credentials.is_none() && tunnel.customer.credentials.is_none() {
        format!(
            "Main Mode of {from} got no answer to its fifth message: the path died in between, or {to} has another pre-shared \
             key, cannot read the message and says nothing."
        )
    } else {
        format!("Main Mode of {from} got no answer to its fifth message: the path died in between.")
    })
}

/// One attempt of `own` at an IKE_SA with `other`.
struct Attempt<'a> {
    trace: &'a Trace,
    own: SessionId,
    other: SessionId,
    when: RangeInclusive<Instant>,
}

impl Attempt<'_> {
    /// How often a step was taken.
    fn count(&self, session: SessionId, wanted: Step, as_response: bool) -> usize {
        let records = self.trace.session_records(session).filter(|(_, record)| self.when.contains(&record.at));
        let is = |what: &What| matches!(what, What::Step { step, response, .. } if (*step, *response) == (wanted, as_response));
        records.filter(|(_, record)| is(&record.what)).count()
    }

    /// Answers that arrived.
    fn answers(&self, v1: bool) -> usize {
        self.count(self.own, if v1 { Step::MainModeReceived } else { Step::IkeSaInitReceived }, true)
    }

    fn saw_nat(&self) -> bool {
        self.count(self.own, Step::NatDetected, true) > 0
    }

    /// The first fragment of a session's messages that was dropped.
    fn fragment(&self, session: SessionId) -> Option<&TaggedDrop> {
        let mut drops = self.trace.drops_of(session).iter().filter(|drop| self.when.contains(&drop.at));
        drops.find(|drop| matches!(drop.reason, DropReason::FragmentDropped | DropReason::NatFragment))
    }
}

/// What is said of an attempt of which fragments were dropped: whose message it was, where it died, and what helps.
fn fragments(built: &Built, attempt: &Attempt<'_>, v1: bool, [from, to]: [&str; 2]) -> Option<String> {
    let (drop, whose) = match (attempt.fragment(attempt.own), attempt.fragment(attempt.other)) {
        (Some(drop), _) => (drop, from),
        (None, Some(drop)) => (drop, to),
        (None, None) => return None,
    };
    let place = match drop.place {
        Place::Node(node) => built.world.node_name(node),
        Place::Link(link, _) => built.world.link_name(link),
    };
    // An initiator that has heard an answer has gone on to the message in which it proves who it is.
    let (message, help) = match (v1, attempt.answers(v1) == 0) {
        (false, true) => {
            ("IKE_SA_INIT", "IKE fragmentation (RFC 7383) cannot help before there are keys: propose less.")
        }
        (false, false) => ("IKE_AUTH", "IKE fragmentation (RFC 7383) at both ends would avoid IP fragments."),
        (true, true) => {
            ("Main Mode's first message", "IKEv1 writes out every combination of the proposals: propose less.")
        }
        (true, false) => ("Main Mode's proof of identity", "IKEv1 has no fragments of its own; IKEv2 has (RFC 7383)."),
    };
    Some(format!("{message} of {whose} is too long for one packet, and {place} drops IP fragments. {help}"))
}

/// True if the last handshake of a session until then was IKEv1's.
pub(super) fn speaks_v1(trace: &Trace, session: SessionId, until: Instant) -> bool {
    let records = trace.session_records(session).take_while(|(_, record)| record.at <= until);
    let v1 = |what: &What| match what {
        What::Step { step: Step::MainModeSent | Step::MainModeReceived, .. } => Some(true),
        What::Step { step: Step::IkeSaInitSent | Step::IkeSaInitReceived, .. } => Some(false),
        _ => None,
    };
    records.filter_map(|(_, record)| v1(&record.what)).last().unwrap_or(false)
}

/// When the attempt began that failed at `until`; `None` if the session was up before.
fn attempt(trace: &Trace, session: SessionId, until: Instant) -> Option<Instant> {
    let mut began = None;
    for (_, record) in trace.session_records(session).take_while(|(_, record)| record.at <= until) {
        match record.what {
            What::State { to: State::Up, .. } => return None,
            What::State { to: State::Connecting, .. } => began = Some(record.at),
            _ => {}
        }
    }
    began
}
