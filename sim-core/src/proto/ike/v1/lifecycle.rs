//! What time brings, and what becomes of an ISAKMP SA: established, replaced, over; and what is reported of it.

use super::child::ChildPhase;
use super::sa::{Phase, Sa};
use super::transition::{Action, Event, SaState, transition};
use super::{Peer, informational, quick_mode};
use crate::proto::ike::Output;
use crate::proto::ike::attempt::{Attempt, Revival};
use crate::proto::ike::config::{DpdAction, Startup};
use crate::proto::ike::series::{Due, Series};
use crate::reason::{Reason, State, Step, TimerKind};
use crate::time::{Duration, Instant};

/// A timer of the tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timer {
    pub due: Instant,
    pub what: What,
    pub armed_at: Instant,
}

/// What a timer is for: ISAKMP SAs by place, Quick Modes by place in their SA, CHILD_SAs by inbound SPI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    DpdTimeout(usize),
    HalfOpen(usize),
    IkeLifetime(usize),
    IkeRekey(usize),
    DpdIdle(usize),
    Probe(usize),
    MainMode(usize),
    QuickMode(usize, usize),
    ChildLifetime(u32),
    ChildRekey(u32),
    ChildSwitch(u32),
    ChildRetry,
}

/// How long an ISAKMP SA goes on after its successor is up, until the end that made the successor deletes it. A peer that ties
/// CHILD_SAs to the ISAKMP SA must have the time to move them, or they go with it (strongSwan, which itself waits 10 s).
const LINGER: Duration = Duration::from_secs(10);

impl What {
    /// The name in the trace.
    pub fn kind(self) -> TimerKind {
        match self {
            Self::DpdTimeout(_) => TimerKind::DpdTimeout,
            Self::HalfOpen(_) => TimerKind::HalfOpen,
            Self::IkeLifetime(_) => TimerKind::IkeLifetime,
            Self::IkeRekey(_) => TimerKind::IkeRekey,
            Self::DpdIdle(_) => TimerKind::DpdIdle,
            Self::Probe(_) | Self::MainMode(_) | Self::QuickMode(..) => TimerKind::Retransmission,
            Self::ChildLifetime(_) => TimerKind::ChildLifetime,
            Self::ChildRekey(_) => TimerKind::ChildRekey,
            Self::ChildSwitch(_) => TimerKind::ChildSwitch,
            Self::ChildRetry => TimerKind::IkeRetry,
        }
    }
}

impl Peer {
    /// The timer that is due first. Of several due at once, the one that ends more comes first.
    pub(super) fn next_timer(&self) -> Option<Timer> {
        let mut first: Option<Timer> = None;
        let mut with = |what, armed_at, due| {
            if first.is_none_or(|f| due < f.due) {
                first = Some(Timer { due, what, armed_at });
            }
        };
        for (i, sa) in self.sas.iter().enumerate() {
            self.timers_of(i, sa, &mut with);
        }
        for child in &self.children.all {
            with(What::ChildLifetime(child.spi_in), child.born, child.expires);
            if let (ChildPhase::Up, Some(due)) = (child.phase, child.rekey) {
                with(What::ChildRekey(child.spi_in), child.born, due);
            }
            if let Some(due) = child.switch {
                with(What::ChildSwitch(child.spi_in), child.born, due);
            }
        }
        if let Some((armed_at, due)) = self.children.retry {
            with(What::ChildRetry, armed_at, due);
        }
        first
    }

    fn timers_of(&self, i: usize, sa: &Sa, with: &mut impl FnMut(What, Instant, Instant)) {
        match &sa.phase {
            Phase::ExpectMessage2(_) | Phase::ExpectMessage4(_) | Phase::ExpectMessage6(_) => {}
            Phase::ExpectMessage3(_) | Phase::ExpectMessage5(_) | Phase::Over => {
                with(What::HalfOpen(i), sa.begun, sa.begun + self.env.config.half_open);
            }
            Phase::Established(e) => {
                self.liveness(i, sa, with);
                with(What::IkeLifetime(i), e.since, e.expires);
                if let Some(due) = e.rekey {
                    with(What::IkeRekey(i), e.since, due);
                }
            }
            Phase::Replaced(e) => with(What::IkeLifetime(i), e.since, e.expires),
        }
        if let Some(outstanding) = &sa.outstanding {
            with(What::MainMode(i), outstanding.series.sent, outstanding.series.due);
        }
        for (at, quick) in sa.quick.iter().enumerate() {
            if let Some(series) = quick.series {
                with(What::QuickMode(i, at), series.sent, series.due);
            }
        }
    }

    /// Dead peer detection (RFC 3706), on demand: none while anything authentic arrives, and none with a peer that cannot answer. With a peer
    /// behind a NAT only messages of IKE count, where the configuration says so.
    fn liveness(&self, i: usize, sa: &Sa, with: &mut impl FnMut(What, Instant, Instant)) {
        let (config, Some(established)) = (&self.env.config, sa.established()) else {
            return;
        };
        if config.dpd.action == DpdAction::None || !sa.peer.dpd {
            return;
        }
        let is_periodic = config.dpd.periodic_for_nat && sa.path.remote_nat;
        let life = if is_periodic { self.env.last_message } else { self.env.last_inbound }.max(established.since);
        // A sign of life since the check was sent answers it as well as R-U-THERE-ACK does.
        let Some(series) = established.probe.map(|probe| probe.series).filter(|series| life <= series.first_sent)
        else {
            return with(What::DpdIdle(i), life, life + config.dpd.idle);
        };
        if let Some((from, due)) = config.silence(self.env.last_inbound.max(established.since), series.first_sent) {
            with(What::DpdTimeout(i), from, due);
        }
        with(What::Probe(i), series.sent, series.due);
    }

    pub(super) fn expire(&mut self, timer: Timer) {
        let Timer { what, armed_at, .. } = timer;
        self.env.out.push_back(Output::Expired { timer: what.kind(), armed_at });
        let (i, event) = match what {
            What::DpdTimeout(i) => (i, Event::PeerSilent),
            What::HalfOpen(i) => (i, Event::HalfOpenExpired),
            What::IkeLifetime(i) => (i, Event::LifetimeExpired),
            What::IkeRekey(i) => (i, Event::RekeyDue),
            What::DpdIdle(i) => return self.probe(i),
            What::Probe(i) => match self.probe_again(i) {
                Due::SendAgain => return,
                Due::Exhausted => (i, Event::PeerSilent),
            },
            What::MainMode(i) => return self.repeat_main_mode(i),
            What::QuickMode(i, at) => return self.repeat_quick_mode(i, at),
            What::ChildLifetime(spi_in) => return self.child_expired(spi_in),
            What::ChildRekey(spi_in) => return self.rekey_child(spi_in),
            What::ChildSwitch(spi_in) => return self.children.heard(&mut self.env, spi_in),
            What::ChildRetry => {
                self.children.retry = None;
                return self.make_child();
            }
        };
        self.act(i, event);
    }

    /// What an event means that is no message.
    fn act(&mut self, i: usize, event: Event) {
        match transition(self.sas[i].state(), event) {
            Action::Fail => self.bury(i, Reason::RetransmitExhausted),
            Action::PeerDead => self.peer_dead(i),
            Action::Rekey => {
                if let Some(established) = self.sas[i].established_mut() {
                    established.rekey = None;
                }
                self.begin(Reason::RekeyDue);
            }
            Action::Remove => {
                let reason = match event {
                    Event::HalfOpenExpired => Reason::HalfOpenTimeout,
                    _ => Reason::RetransmitExhausted,
                };
                self.bury(i, reason);
            }
            Action::Delete => self.delete(i, Reason::LifetimeExpired),
            action => debug_assert_eq!(action, Action::Ignore),
        }
    }

    pub(super) fn probe(&mut self, i: usize) {
        if let Some(established) = self.sas[i].established_mut() {
            established.probe = None;
        }
        let series = Series::new(self.env.now, &self.env.config.probes(), &mut self.env.timers);
        informational::probe(&mut self.sas[i], &mut self.env, series);
    }

    fn probe_again(&mut self, i: usize) -> Due {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Some(mut series) = sa.established().and_then(|established| established.probe).map(|probe| probe.series)
        else {
            return Due::Exhausted;
        };
        let due = series.expire(env.now, &env.config.probes(), &mut env.timers);
        if due == Due::SendAgain {
            informational::probe(sa, env, series);
        }
        due
    }

    fn repeat_main_mode(&mut self, i: usize) {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Some(outstanding) = &mut sa.outstanding else {
            return;
        };
        let event = match outstanding.series.expire(env.now, &env.config.retransmission, &mut env.timers) {
            Due::SendAgain => Event::RetransmitDue,
            Due::Exhausted => Event::RetransmitExhausted,
        };
        let bytes = outstanding.bytes.clone();
        match transition(sa.state(), event) {
            Action::SendAgain => {
                env.step(Step::Retransmitted, 0, false, None);
                env.transmit(&sa.path, bytes);
            }
            _ => self.act(i, event),
        }
    }

    fn repeat_quick_mode(&mut self, i: usize, at: usize) {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let quick = &mut sa.quick[at];
        let own = quick.begun().is_some();
        let due = quick
            .series
            .as_mut()
            .map_or(Due::Exhausted, |series| series.expire(env.now, &env.config.retransmission, &mut env.timers));
        let event = match (due, own) {
            (Due::SendAgain, _) => Event::RetransmitDue,
            (Due::Exhausted, true) => Event::RetransmitExhausted,
            (Due::Exhausted, false) => Event::AnswerExhausted,
        };
        let (message_id, bytes) = (quick.message_id, quick.sent.clone());
        match transition(sa.state(), event) {
            Action::SendAgain => {
                env.step(Step::Retransmitted, message_id, !own, None);
                env.transmit(&sa.path, bytes);
            }
            Action::Abandon => {
                quick_mode::abandon(sa, env, &mut self.children, at);
                self.settle();
            }
            _ => self.act(i, event),
        }
    }

    /// The place of the ISAKMP SA that protects what this end begins: the youngest.
    fn current(&self) -> Option<usize> {
        self.sas.iter().rposition(|sa| sa.state() == SaState::Established)
    }

    /// Rekeys a CHILD_SA, unless that is under way or left to the peer.
    pub(super) fn wants_successor(&mut self, spi_in: u32) {
        let up = self.children.find(spi_in).is_some_and(|child| child.phase == ChildPhase::Up);
        if up && self.env.config.rekey.initiates {
            self.rekey_child(spi_in);
        }
    }

    fn rekey_child(&mut self, spi_in: u32) {
        let current = self.current();
        if let Some(child) = self.children.find(spi_in) {
            child.rekey = None;
            if let Some(i) = current {
                child.phase = ChildPhase::Rekeying;
                self.env.because = Reason::RekeyDue;
                quick_mode::begin(&mut self.sas[i], &mut self.env, quick_mode::Purpose::Successor(child));
            }
        }
        self.settle();
    }

    fn child_expired(&mut self, spi_in: u32) {
        if let Some(i) = self.current() {
            informational::delete_children(&self.sas[i], &mut self.env, &[spi_in]);
        }
        self.children.down(&mut self.env, spi_in, Reason::LifetimeExpired);
        if self.wants_child() {
            self.make_child();
        }
        self.settle();
    }

    pub(super) fn make_child(&mut self) {
        if let Some(i) = self.current() {
            let policy = self.env.demanded;
            informational::want_child(&mut self.sas[i], &mut self.env, &self.children, policy);
        }
    }

    /// True if this end keeps the tunnel up on its own.
    pub(super) fn wants_child(&self) -> bool {
        self.wanted && self.env.config.startup == Startup::Start
    }

    // What becomes of an ISAKMP SA.

    /// One is up: the others have to justify themselves.
    pub(super) fn established(&mut self, i: usize) {
        self.failures = 0;
        self.retry = None;
        self.sas[i].up = true;
        let (begun, cookies) = (self.sas[i].begun, self.sas[i].cookies);
        for j in (0..self.sas.len()).rev() {
            let other = &self.sas[j];
            let Some(since) = other.established().map(|e| e.since).filter(|_| other.state() == SaState::Established)
            else {
                continue;
            };
            if other.cookies == cookies {
                continue;
            }
            if since <= begun {
                // An older one: this one takes its place, and who began this one deletes it.
                self.sas[j].replace();
                if cookies.initiator {
                    let until = self.env.now + LINGER;
                    self.sas[j].established_mut().into_iter().for_each(|e| e.expires = e.expires.min(until));
                }
            } else if other.cookies.i < cookies.i {
                // Two were begun at once. The one with the lower initiator's cookie goes, by who began it.
                if other.cookies.initiator { self.retire(j) } else { self.sas[j].replace() }
            } else if cookies.initiator {
                let loser = self.sas.iter().position(|sa| sa.cookies == cookies);
                loser.into_iter().for_each(|i| self.retire(i));
            } else if let Some(sa) = self.sas.iter_mut().find(|sa| sa.cookies == cookies) {
                sa.replace();
            }
        }
        self.env.because = Reason::Authenticated;
        self.settle();
        // If it has just lost to another, that one's initiator makes the CHILD_SA.
        if cookies.initiator && self.sas.iter().any(|sa| sa.cookies == cookies) {
            self.make_child();
        }
    }

    /// Deletes one of two that were begun at once.
    fn retire(&mut self, i: usize) {
        informational::delete_isakmp(&self.sas[i], &mut self.env);
        self.bury(i, Reason::Rekeyed);
    }

    /// Sends DELETEs and removes an SA. If it is the last one, the CHILD_SAs go with it.
    pub(super) fn delete(&mut self, i: usize, reason: Reason) {
        let last = self.sas.iter().filter(|sa| sa.established().is_some()).count() == 1;
        if last && !self.children.all.is_empty() {
            let spis: Vec<u32> = self.children.all.iter().map(|child| child.spi_in).collect();
            informational::delete_children(&self.sas[i], &mut self.env, &spis);
        }
        informational::delete_isakmp(&self.sas[i], &mut self.env);
        self.bury(i, reason);
    }

    fn peer_dead(&mut self, i: usize) {
        let cookies = self.sas[i].cookies;
        self.sas.retain(|sa| sa.cookies == cookies || sa.state() != SaState::Replaced);
        if let Some(i) = self.sas.iter().position(|sa| sa.cookies == cookies) {
            self.bury(i, Reason::PeerDead);
        }
    }

    /// An ISAKMP SA is over; the last one takes all CHILD_SAs with it.
    pub(super) fn bury(&mut self, i: usize, reason: Reason) {
        let sa = self.sas.remove(i);
        let lived = sa.established().map(|e| self.env.now.since(e.since));
        let heir = self.sas.iter().any(|sa| sa.established().is_some());
        for replaces in sa.quick.iter().filter_map(|quick| quick.begun()) {
            self.children.failed(&mut self.env, replaces, reason);
        }
        if sa.up && !heir {
            self.children.all_down(&mut self.env, reason);
        }
        self.env.because = reason;
        self.settle();
        if sa.up && !heir {
            self.after_loss(reason, lived.unwrap_or_default());
        } else if !sa.up && sa.cookies.initiator && sa.purpose != Reason::TrafficNeedsSa && reason != Reason::AdminDown
        {
            self.put_off(sa.purpose);
        }
    }

    /// The tunnel has lost its last ISAKMP SA: bring it up again, if that is wanted.
    fn after_loss(&mut self, reason: Reason, lived: Duration) {
        let connecting = self.sas.iter().any(|sa| sa.cookies.initiator && !sa.up);
        if connecting || reason == Reason::AdminDown {
            return;
        }
        match Revival::after(&self.env.config, self.wanted, reason, lived) {
            Some(Revival::AtOnce(purpose)) => self.begin(purpose),
            Some(Revival::Later(purpose)) => self.put_off(purpose),
            None => {}
        }
    }

    fn put_off(&mut self, purpose: Reason) {
        self.retry = Some(Attempt::after(self.failures, self.env.config.retry, self.env.now, purpose));
        self.failures += 1;
    }

    /// Brings what is reported into line with what is there.
    pub(super) fn settle(&mut self) {
        let because = self.env.because;
        let ike = if self.sas.iter().any(|sa| sa.established().is_some()) {
            State::Up
        } else if self.sas.is_empty() {
            State::Down
        } else {
            State::Connecting
        };
        let child = self.children.state();
        self.env.enter_both(ike, child, because);
    }
}
