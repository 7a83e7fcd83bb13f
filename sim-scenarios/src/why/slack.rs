//! How much each wait of a critical path may change before something else decides.
//!
//! A path is a chain of records from a fault to what let the first probe through. It is one of several: the probe needed
//! other records too, and so did records on the path. All of them had come earlier; the latest of those is the runner-up.
//! A wait on the path may shrink until the runner-up decides, and what follows it comes earlier by as much, unless a later
//! link is *tied* to an absolute instant. A wait beside the path may grow until it decides itself.
//!
//! This is PERT with one difference: a link that is tied passes nothing on.

use std::collections::BTreeMap;

use sim_core::id::RecordId;
use sim_core::time::{Duration, Instant};
use sim_core::trace::Trace;
use sim_core::trace::path::{self, Walk};

use super::journey::Need;

/// One record of a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The record.
    pub record: RecordId,
    /// When it happened.
    pub at: Instant,
    /// Since the link before.
    pub waited: Duration,
    /// True if it would have come at the same instant, had the link before come a little earlier.
    pub tied: bool,
}

/// The chain of records from a fault to `end`. If nothing that the fault set off led there, what did (a healing, as a rule)
/// follows the fault. Empty if no fault did.
pub fn chain(trace: &Trace, strike: RecordId, end: RecordId) -> Vec<Link> {
    let back = core::iter::once(end).chain(Walk::from(trace, end));
    let mut ids: Vec<RecordId> = back.take_while(|id| *id >= strike).collect();
    if ids.last() != Some(&strike) {
        match path::fault_behind(trace, end) {
            Some(other) if other > strike => ids.retain(|id| *id >= other),
            _ => return Vec::new(),
        }
        ids.push(strike);
    }
    ids.reverse();
    let mut before = strike;
    let link = |record: RecordId| {
        let (at, since) = (trace.kept(record).at, trace.kept(before).at);
        let tied = record != strike && path::is_tied(trace, before, record);
        before = record;
        Link { record, at, waited: at.since(since), tied }
    };
    ids.into_iter().map(link).collect()
}

/// What decides when a wait has shrunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunnerUp {
    /// Nothing: it may shrink to no time at all.
    Nothing,
    /// This record, which the probe or a record of the path needed too.
    Record(RecordId),
}

/// How much a wait may shrink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slack {
    /// By less than this, and what follows comes earlier by as much.
    pub shrinks_by: Duration,
    /// What decides from there on.
    pub runner_up: RunnerUp,
    /// The place in the chain of the first later link that is tied to an absolute instant: it comes no earlier.
    pub tied_at: Option<usize>,
}

/// The need that decided: the one for which the probe had to be sent latest, of equal ones the later record.
pub fn decisive(trace: &Trace, needs: &[Need]) -> Option<usize> {
    (0..needs.len()).max_by_key(|place| (needs[*place].ready(trace), needs[*place].record))
}

/// The slack of the wait before each link of the chain that leads to the need that decided; of the first, which is the
/// fault, and of links without a wait it means nothing.
pub fn slacks(trace: &Trace, chain: &[Link], needs: &[Need], decisive: usize) -> Vec<Slack> {
    let strike = chain[0].record;
    let ready = needs[decisive].ready(trace);
    let of = |place: usize| {
        let mut slack = Slack { shrinks_by: chain[place].waited, runner_up: RunnerUp::Nothing, tied_at: None };
        let mut limit = |other: RecordId, gap: Duration| {
            // What comes with it does not hold it back.
            if gap < slack.shrinks_by && !comes_with(trace, strike, other, chain[place].record) {
                slack.shrinks_by = gap;
                slack.runner_up = RunnerUp::Record(other);
            }
        };
        for later in place + 1..chain.len() {
            if chain[later].tied {
                slack.tied_at = Some(later);
                return slack;
            }
            let sent = chain[later - 1].at;
            for other in path::inputs(trace, chain[later].record) {
                let known = chain.iter().any(|link| link.record == other) || other <= strike;
                if !known {
                    limit(other, since(sent, trace.kept(other).at));
                }
            }
        }
        for (number, need) in needs.iter().enumerate() {
            if number != decisive {
                limit(need.record, since(ready, need.ready(trace)));
            }
        }
        slack
    };
    (0..chain.len()).map(of).collect()
}

/// What set the instants of the tied links of a chain: the records that led to the arming of their timers or the sending of
/// their packets, each with the link. A wait before one of them moves that link, and perhaps by a whole period: an attempt that
/// comes earlier may come too early.
pub fn drivers(trace: &Trace, strike: RecordId, links: &[Link]) -> BTreeMap<RecordId, RecordId> {
    let mut all = BTreeMap::new();
    for link in links.iter().filter(|link| link.tied) {
        let cause = trace.kept(link.record).cause;
        let own = if cause > strike { chain(trace, strike, cause) } else { Vec::new() };
        for driver in own.iter().skip(1) {
            all.entry(driver.record).or_insert(link.record);
        }
    }
    all
}

/// What records of a chain needed besides the link before: the record, when it happened, and when it was needed. What set the
/// instant of a tied link is no such need: that link would have come later with it.
pub fn joins(trace: &Trace, chain: &[Link]) -> Vec<(RecordId, Instant, Instant)> {
    let mut all = Vec::new();
    for place in 1..chain.len() {
        let needed = chain[place - 1].at;
        let sets = chain[place].tied.then(|| trace.kept(chain[place].record).cause);
        let others = path::inputs(trace, chain[place].record);
        let others = others.filter(|other| *other > chain[0].record && Some(*other) != sets);
        all.extend(others.map(|other| (other, trace.kept(other).at, needed)));
    }
    all
}

/// True if `other` comes earlier by as much as `record` does: its own chain passes there, and nothing later in it is tied.
pub fn comes_with(trace: &Trace, strike: RecordId, other: RecordId, record: RecordId) -> bool {
    let links = chain(trace, strike, other);
    let place = links.iter().position(|link| link.record == record);
    place.is_some_and(|place| links[place + 1..].iter().all(|link| !link.tied))
}

fn since(later: Instant, earlier: Instant) -> Duration {
    later.since_start().saturating_sub(earlier.since_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::id::{FaultId, NodeId, SessionId};
    use sim_core::reason::{Reason, State, Step, TimerKind};
    use sim_core::trace::{Phase, Record, SessionInfo, SessionKind, What};

    const GENESIS: RecordId = RecordId::GENESIS;
    const CGW: SessionId = SessionId(0);
    const AWS: SessionId = SessionId(1);

    const fn ms(n: u64) -> Instant {
        Instant::from_nanos(n * 1_000_000)
    }

    const fn lasting(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A trace with the two ends of a BGP session in which nothing has happened.
    fn quiet() -> Trace {
        let mut trace = Trace::default();
        for (node, name) in [(1, "vpn.a@cgw"), (2, "vpn.a@aws")] {
            let (kind, node, name) = (SessionKind::Bgp, NodeId(node), name.to_owned());
            trace.add_session(SessionInfo { kind, node, name, peer: None });
        }
        trace.pair_sessions(CGW, AWS);
        trace
    }

    fn add(trace: &mut Trace, at: u64, cause: RecordId, what: What) -> RecordId {
        trace.record(Record { at: ms(at), node: NodeId(0), cause, enabler: GENESIS, what })
    }

    fn strike(trace: &mut Trace, at: u64, phase: Phase) -> RecordId {
        add(trace, at, GENESIS, What::Fault { fault: FaultId(0), phase })
    }

    fn expired(
        trace: &mut Trace,
        (at, armed_at): (u64, u64),
        session: Option<SessionId>,
        timer: TimerKind,
        (cause, starver): (RecordId, Option<RecordId>),
    ) -> RecordId {
        add(trace, at, cause, What::Expired { session, timer, armed_at: ms(armed_at), starver })
    }

    fn fell(trace: &mut Trace, at: u64, session: SessionId, cause: RecordId) -> RecordId {
        let reason = Reason::HoldTimerExpired;
        add(trace, at, cause, What::State { session, from: State::Established, to: State::Idle, reason })
    }

    fn message(trace: &mut Trace, at: u64, session: SessionId, step: Step, cause: RecordId) -> RecordId {
        let (detail, response, notice, prefixes, open) = (0, false, None, None, None);
        add(trace, at, cause, What::Step { session, step, detail, response, notice, prefixes, open })
    }

    fn need(record: RecordId, after: u64) -> Need {
        Need { record, after: lasting(after) }
    }

    /// The failover of the report's fixture: the path goes silent both ways at 60 s. The gateway's hold timer of 30 s was last
    /// armed at 56.3 s, AWS's at 57.9 s; the gateway of AWS needs `programming` to follow. The probe meets the customer gateway
    /// as it is sent and AWS's gateway 15 ms later.
    fn failover(programming: u64) -> (Trace, RecordId, [Need; 2]) {
        let mut trace = quiet();
        let cut = strike(&mut trace, 60_000, Phase::Strike);
        let ours = expired(&mut trace, (86_300, 56_300), Some(CGW), TimerKind::HoldTimer, (GENESIS, Some(cut)));
        let out = fell(&mut trace, 86_300, CGW, ours);
        let theirs = expired(&mut trace, (87_900, 57_900), Some(AWS), TimerKind::HoldTimer, (GENESIS, Some(cut)));
        let gone = fell(&mut trace, 87_900, AWS, theirs);
        let (timer, done) = (TimerKind::ProgrammingDelay, 87_900 + programming);
        let back = expired(&mut trace, (done, 87_900), None, timer, (gone, None));
        (trace, cut, [need(out, 0), need(back, 15)])
    }

    /// With 1 s of programming the probe can be sent from 88.900 - 0.015 = 88.885 s on, as far as AWS goes, and from 86.300 s
    /// on as far as the gateway does: AWS's hold timer may shrink by 2.585 s until the gateway decides. The second of programming
    /// is shorter than that: it may go.
    #[test]
    fn the_other_end_of_a_round_trip_is_the_runner_up() {
        let (trace, cut, needs) = failover(1_000);
        let last = decisive(&trace, &needs).unwrap();
        assert_eq!(last, 1);
        let links = chain(&trace, cut, needs[last].record);
        let waits: Vec<Duration> = links.iter().map(|link| link.waited).collect();
        assert_eq!(waits, [lasting(0), lasting(27_900), lasting(0), lasting(1_000)]);
        let found = slacks(&trace, &links, &needs, last);
        let runner_up = RunnerUp::Record(needs[0].record);
        assert_eq!(found[1], Slack { shrinks_by: lasting(2_585), runner_up, tied_at: None });
        assert_eq!(found[3], Slack { shrinks_by: lasting(1_000), runner_up: RunnerUp::Nothing, tied_at: None });
    }

    /// With 4 s of programming the gap is 91.885 - 86.300 = 5.585 s, and programming is the shorter again; with 1 ms it is
    /// 87.886 - 86.300 = 1.586 s.
    #[test]
    fn a_longer_delay_gives_the_timer_before_it_more_slack() {
        for (programming, slack) in [(4_000, 5_585), (1, 1_586)] {
            let (trace, cut, needs) = failover(programming);
            let links = chain(&trace, cut, needs[1].record);
            assert_eq!(slacks(&trace, &links, &needs, 1)[1].shrinks_by, lasting(slack));
        }
    }

    /// A one-way cut: AWS's timer expires, its NOTIFICATION reaches the gateway 12 ms later and moves the gateway's route, too.
    /// Both ends follow from the same timer, so neither holds it back: it may shrink to nothing. The message's own 12 ms are
    /// less than the 17 ms until AWS's route decides: for that the probe could be sent from 88.000 - 0.005 s on.
    #[test]
    fn what_comes_with_a_wait_does_not_hold_it_back() {
        let mut trace = quiet();
        let cut = strike(&mut trace, 60_000, Phase::Strike);
        let timer = expired(&mut trace, (88_000, 58_000), Some(AWS), TimerKind::HoldTimer, (GENESIS, Some(cut)));
        let gone = fell(&mut trace, 88_000, AWS, timer);
        let sent = message(&mut trace, 88_000, AWS, Step::NotificationMessageSent, gone);
        let heard = message(&mut trace, 88_012, CGW, Step::NotificationMessageReceived, sent);
        let out = fell(&mut trace, 88_012, CGW, heard);
        let needs = [need(gone, 5), need(out, 0)];
        let last = decisive(&trace, &needs).unwrap();
        let links = chain(&trace, cut, needs[last].record);
        assert_eq!(links.len(), 6);
        let found = slacks(&trace, &links, &needs, last);
        assert_eq!(found[1].shrinks_by, lasting(28_000), "from the cut to the expiry");
        assert_eq!(found[1].runner_up, RunnerUp::Nothing);
        assert_eq!(found[4].shrinks_by, lasting(12), "17 ms would be left until AWS's route decides");
    }

    /// The path heals at 90 s; a new attempt that was scheduled at 85 s for 95 s succeeds because of that. Had the path
    /// healed earlier the attempt would have come at 95 s all the same: it is tied, and what comes before it moves nothing.
    #[test]
    fn a_timer_armed_before_is_tied() {
        let mut trace = quiet();
        let cut = strike(&mut trace, 60_000, Phase::Strike);
        let failed = message(&mut trace, 85_000, CGW, Step::MessageIgnored, cut);
        let heal = strike(&mut trace, 90_000, Phase::Heal);
        let retry = expired(&mut trace, (95_000, 85_000), Some(CGW), TimerKind::IkeRetry, (failed, None));
        let up = trace.record(Record {
            at: ms(95_020),
            node: NodeId(0),
            cause: retry,
            enabler: heal,
            what: What::State { session: CGW, from: State::Down, to: State::Up, reason: Reason::Authenticated },
        });
        let needs = [need(up, 0)];
        let links = chain(&trace, cut, up);
        let told: Vec<(RecordId, Duration, bool)> =
            links.iter().map(|link| (link.record, link.waited, link.tied)).collect();
        let expected = [
            (cut, lasting(0), false),
            (heal, lasting(30_000), true),
            (retry, lasting(5_000), true),
            (up, lasting(20), false),
        ];
        assert_eq!(told, expected);
        let found = slacks(&trace, &links, &needs, 0);
        assert_eq!(found[1].tied_at, Some(2), "the healing may come earlier, the attempt does not");
        assert_eq!(found[2], Slack { shrinks_by: lasting(5_000), runner_up: RunnerUp::Nothing, tied_at: None });
        assert_eq!(found[3].shrinks_by, lasting(20));
        assert_eq!(
            drivers(&trace, cut, &links),
            BTreeMap::from([(failed, retry)]),
            "the attempt before set its instant"
        );
        assert!(joins(&trace, &links).iter().all(|(record, ..)| *record != failed), "it had no time to spare");
    }

    #[test]
    fn what_no_fault_caused_has_no_chain() {
        let (mut trace, cut, _) = failover(0);
        let alone = message(&mut trace, 99_000, CGW, Step::UpdateSent, GENESIS);
        assert!(chain(&trace, cut, alone).is_empty());
    }
}
