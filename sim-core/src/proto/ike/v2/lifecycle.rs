//! What time brings, and what becomes of an IKE_SA: established, replaced, over; and what is reported of it.

use super::child::{self, ChildPhase};
use super::liveness::{self, Timer, What};
use super::rekey::Succession;
use super::sa::{Ids, Phase, Sa};
use super::task::{Job, Task};
use super::transition::{Action, Event, SaState, transition};
use super::window::Due;
use super::{Attempt, Peer, informational, mobike};
use crate::proto::ike::Output;
use crate::proto::ike::attempt::Revival;
use crate::reason::{Reason, State, Step};
use crate::time::{Duration, Instant};

impl Peer {
    pub(super) fn due(&self, now: Instant) -> Option<(usize, Timer)> {
        let timers = self.sas.iter().enumerate();
        timers
            .filter_map(|(i, sa)| Some((i, sa.next_timer(&self.env)?)))
            .filter(|(_, timer)| timer.due <= now)
            .min_by_key(|(_, timer)| timer.due)
    }

    pub(super) fn expire(&mut self, i: usize, timer: Timer) {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Timer { what, armed_at, .. } = timer;
        // A lingering SA is over already; that it is forgotten at last is no news.
        if sa.state() != SaState::Lingering {
            let timer = what.kind();
            env.out.push_back(Output::Expired { timer, armed_at });
        }
        let event = match what {
            What::Retransmission => match self.retransmission(i) {
                Due::SendAgain => Event::RetransmitDue,
                Due::Exhausted => Event::RetransmitExhausted,
            },
            What::DpdTimeout => Event::PeerSilent,
            What::HalfOpen => Event::HalfOpenExpired,
            What::IkeLifetime => Event::LifetimeExpired,
            What::Reauthentication => return self.reauthenticate(i),
            What::DpdIdle => return self.enqueue(i, Job::Liveness),
            What::IkeRekey => {
                if let Some(established) = sa.established_mut() {
                    established.rekey = None;
                }
                return self.enqueue(i, Job::RekeyIke);
            }
            What::ChildRekey(spi_in) => {
                if let Some(child) = child::find(sa, spi_in) {
                    child.rekey = None;
                }
                return self.enqueue(i, Job::RekeyChild { spi_in });
            }
            What::ChildLifetime(spi_in) => {
                informational::close(sa, env, spi_in, Reason::LifetimeExpired);
                return self.pump(i);
            }
            What::ChildRetry => {
                if let Some(established) = sa.established_mut() {
                    established.retry_child = None;
                }
                child::recreate(sa, env);
                return self.pump(i);
            }
        };
        let sa = &mut self.sas[i];
        match transition(sa.state(), event) {
            Action::SendAgain => self.send_again(i),
            Action::Fail => self.bury(i, Reason::RetransmitExhausted, false),
            Action::PeerDead => self.bury(i, Reason::PeerDead, false),
            Action::Remove => {
                let reason = match event {
                    Event::HalfOpenExpired => Reason::HalfOpenTimeout,
                    _ => Reason::Deleted,
                };
                self.bury(i, reason, false);
            }
            // What the peer should have deleted, and did not.
            Action::Delete if sa.state() == SaState::Replaced => self.delete(i, Reason::Rekeyed),
            Action::Delete => self.delete(i, Reason::LifetimeExpired),
            action => debug_assert_eq!(action, Action::Ignore),
        }
    }

    /// Rekeys a CHILD_SA before its time, unless that is under way or left to the peer.
    pub(super) fn rekey_child(&mut self, spi_in: u32) {
        let job = Job::RekeyChild { spi_in };
        let here = self.sas.iter_mut().position(|sa| child::find(sa, spi_in).is_some());
        let Some(i) = here.filter(|i| !self.sas[*i].window.queue.contains(&job)) else { return };
        if let Some(child) = child::find(&mut self.sas[i], spi_in)
            && child.phase == ChildPhase::Up
            && self.env.config.rekey.initiates
        {
            child.rekey = None;
            self.enqueue(i, job);
        }
    }

    fn retransmission(&mut self, i: usize) -> Due {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let request = sa.window.outstanding.as_mut();
        request.map_or(Due::Exhausted, |request| {
            let schedule = liveness::schedule(&env.config, &request.task);
            request.series.expire(env.now, &schedule, &mut env.timers)
        })
    }

    fn enqueue(&mut self, i: usize, job: Job) {
        self.sas[i].window.queue.push_back(job);
        self.pump(i);
    }

    fn pump(&mut self, i: usize) {
        self.sas[i].pump(&mut self.env);
        self.settle();
    }

    fn send_again(&mut self, i: usize) {
        let (env, sa) = (&mut self.env, &self.sas[i]);
        if let Some(request) = &sa.window.outstanding {
            env.step(Step::Retransmitted, request.id, false, None);
            request.message.send(env, &sa.path);
            mobike::send_elsewhere(sa, env, &request.message);
        }
    }

    // What becomes of an IKE_SA.

    /// An IKE_SA is up: the others have to justify themselves.
    pub(super) fn established(&mut self, i: usize) {
        self.failures = 0;
        self.retry = None;
        self.sas[i].up = true;
        let (begun, spi_i) = (self.sas[i].begun, self.sas[i].ids.spi_i);
        for j in 0..self.sas.len() {
            let other = &self.sas[j];
            let Some(established) = other.established().filter(|_| j != i && !other.is_deleting()) else {
                continue;
            };
            if established.authenticated <= begun {
                // An older one that the peer may still have; this one takes its place.
                if let Some(older) = self.sas[j].established_mut() {
                    older.superseded = true;
                }
                if self.sas[i].ids.initiator {
                    self.delete(j, Reason::Rekeyed);
                } else {
                    self.await_delete(j);
                }
            } else {
                let loser = if other.ids.spi_i < spi_i { j } else { i };
                if self.sas[loser].ids.initiator {
                    self.delete(loser, Reason::Rekeyed);
                }
            }
        }
        self.sas[i].pump(&mut self.env);
        self.settle();
    }

    /// The initiator of the new one may not have read yet that it is established, and uses the old one until it has; then it
    /// deletes it (RFC 7296 section 2.8.3). If it does not, this end does.
    fn await_delete(&mut self, j: usize) {
        let until = self.env.now + self.env.config.half_open;
        self.replaced(j);
        if let Some(established) = self.sas[j].established_mut() {
            established.expires = established.expires.min(until);
        }
    }

    /// An IKE_SA is over, with all its CHILD_SAs.
    pub(super) fn bury(&mut self, i: usize, reason: Reason, linger: bool) {
        let reason = self.own_reason(i).unwrap_or(reason);
        self.bequeath(i);
        self.disinherit(self.sas[i].ids);
        self.children_down(i, reason);
        let sa = &mut self.sas[i];
        let (was_up, initiator, purpose) = (sa.up, sa.ids.initiator, sa.purpose);
        let was_over = sa.state() == SaState::Lingering && !matches!(sa.phase, Phase::Over);
        let lived = sa.established().map(|e| self.env.now.since(e.since));
        sa.window.stop();
        match core::mem::replace(&mut sa.phase, Phase::Over) {
            Phase::Established(e) | Phase::Replaced(e) | Phase::Deleting(e) if linger => {
                sa.phase = Phase::Lingering(Box::new(e.keys));
                sa.begun = self.env.now;
                sa.up = false;
            }
            _ => drop(self.sas.remove(i)),
        }
        if was_over {
            return;
        }
        self.env.because = reason;
        self.settle();
        if was_up {
            self.after_loss(reason, lived.unwrap_or_default());
        } else if initiator && purpose != Reason::TrafficNeedsSa {
            self.put_off(purpose);
        }
    }

    /// An IKE_SA has got an heir.
    pub(super) fn succeed(&mut self, i: usize, heir: Sa, how: Succession) {
        let ids = heir.ids;
        let superseded = heir.established().is_some_and(|e| e.superseded);
        self.sas.push(heir);
        self.env.because = Reason::Rekeyed;
        if superseded {
            // A later IKE_SA has taken the place of both. Who began that one deletes them.
            match self.find(ids) {
                Some(own) if self.sas[i].state() == SaState::Replaced => self.await_delete(own),
                Some(own) => self.delete(own, Reason::Rekeyed),
                None => {}
            }
            return self.settle();
        }
        match how {
            Succession::ByPeer => {
                self.name_heir(i, ids);
                self.yield_to_heir(i);
            }
            Succession::Contested => self.name_heir(i, ids),
            Succession::Won(rival) => {
                self.name_heir(i, ids);
                self.bequeath(i);
                if let Some(rival) = rival.and_then(|rival| self.find(rival)) {
                    self.replaced(rival);
                }
                self.delete(i, Reason::Rekeyed);
            }
            Succession::Lost => {
                self.yield_to_heir(i);
                if let Some(own) = self.find(ids) {
                    self.delete(own, Reason::Rekeyed);
                }
            }
        }
        self.settle();
    }

    fn find(&self, ids: Ids) -> Option<usize> {
        self.sas.iter().position(|sa| sa.ids == ids)
    }

    fn name_heir(&mut self, i: usize, ids: Ids) {
        if let Some(established) = self.sas[i].established_mut() {
            established.heir = Some(ids);
        }
    }

    /// The IKE_SA whose heir this one may become, while that is open.
    pub(super) fn contested(&self, i: usize) -> Option<usize> {
        let ids = self.sas[i].ids;
        let named =
            |sa: &Sa| sa.state() == SaState::Established && sa.established().is_some_and(|e| e.heir == Some(ids));
        self.sas.iter().position(named)
    }

    /// The peer's heir takes over. The peer deletes the old IKE_SA.
    pub(super) fn yield_to_heir(&mut self, i: usize) {
        self.env.because = Reason::Rekeyed;
        self.bequeath(i);
        self.replaced(i);
        self.settle();
    }

    fn replaced(&mut self, i: usize) {
        let sa = &mut self.sas[i];
        sa.phase = match core::mem::replace(&mut sa.phase, Phase::Over) {
            Phase::Established(established) => Phase::Replaced(established),
            other => other,
        };
    }

    /// Hands CHILD_SAs, and what waits to be done about them, to the heir (RFC 7296 section 2.8).
    fn bequeath(&mut self, i: usize) {
        let Some(heir) = self.sas[i].established().and_then(|e| e.heir).and_then(|heir| self.find(heir)) else {
            return;
        };
        let old = &mut self.sas[i];
        let jobs: Vec<Job> = old.window.queue.iter().copied().filter(Job::is_about_a_child).collect();
        old.window.queue.retain(|job| !job.is_about_a_child());
        let Some(established) = old.established_mut() else { return };
        let (children, retry) = (core::mem::take(&mut established.children), established.retry_child.take());
        let heir = &mut self.sas[heir];
        heir.window.queue.extend(jobs);
        if let Some(established) = heir.established_mut() {
            established.children.extend(children);
            established.retry_child = established.retry_child.or(retry);
        }
        heir.pump(&mut self.env);
    }

    /// An IKE_SA that is over takes over no more.
    fn disinherit(&mut self, ids: Ids) {
        for sa in &mut self.sas {
            if let Some(established) = sa.established_mut().filter(|e| e.heir == Some(ids)) {
                established.heir = None;
            }
            if let Some(Task::RekeyIke(own)) = sa.window.outstanding.as_mut().map(|r| &mut r.task)
                && own.rival.as_ref().is_some_and(|rival| rival.ids == ids)
            {
                own.rival = None;
            }
        }
    }

    /// Why this end was deleting the IKE_SA, if it was.
    fn own_reason(&self, i: usize) -> Option<Reason> {
        let sa = &self.sas[i];
        match (&sa.phase, &sa.window.outstanding) {
            (Phase::Deleting(_), Some(request)) => match request.task {
                Task::DeleteIke(reason) => Some(reason),
                Task::Handshake
                | Task::CreateChild(_)
                | Task::RekeyIke(_)
                | Task::DeleteChild { .. }
                | Task::Liveness
                | Task::Mobike(_)
                | Task::Notice => None,
            },
            _ => None,
        }
    }

    /// The tunnel has lost an established IKE_SA: bring it up again, if that is wanted.
    fn after_loss(&mut self, reason: Reason, lived: Duration) {
        let busy = |sa: &Sa| sa.state() == SaState::Established || (sa.ids.initiator && !sa.up);
        let busy = self.sas.iter().any(|sa| sa.state() != SaState::Lingering && busy(sa));
        if busy || reason == Reason::AdminDown {
            return;
        }
        if reason == Reason::Reauthentication {
            return self.begin(reason);
        }
        match Revival::after(&self.env.config, self.wanted, reason, lived) {
            Some(Revival::AtOnce(purpose)) => self.begin(purpose),
            Some(Revival::Later(purpose)) => self.put_off(purpose),
            None => {}
        }
    }

    /// Another attempt, later and later.
    fn put_off(&mut self, purpose: Reason) {
        self.retry = Some(Attempt::after(self.failures, self.env.config.retry, self.env.now, purpose));
        self.failures += 1;
    }

    pub(super) fn children_down(&mut self, i: usize, reason: Reason) {
        let children = self.sas[i].established_mut().map(|e| e.children.split_off(0)).unwrap_or_default();
        if let Some(old) = children.iter().find(|child| child.carries()) {
            self.take_over(old.spi_in);
        }
        for child in children {
            let spi_in = child.spi_in;
            self.env.out.push_back(Output::ChildDown { spi_in, reason });
        }
    }

    /// If nothing is left that sends, what is there and has not been sent on takes over from a CHILD_SA that goes.
    fn take_over(&mut self, old_spi_in: u32) {
        let mut children = self.sas.iter_mut().filter_map(Sa::established_mut).flat_map(|e| &mut e.children);
        if children.any(|child| child.carries()) {
            return;
        }
        let mut children = self.sas.iter_mut().filter_map(Sa::established_mut).flat_map(|e| &mut e.children);
        if let Some(heir) = children.find(|child| child.phase == ChildPhase::Up) {
            heir.sending = true;
            let new_spi_in = heir.spi_in;
            self.env.out.push_back(Output::ChildRekeyed { old_spi_in, new_spi_in });
        }
    }

    /// Brings what is reported into line with what is there.
    pub(super) fn settle(&mut self) {
        let because = self.env.because;
        let rekeying = |sa: &Sa| {
            let request = sa.window.outstanding.as_ref();
            request.is_some_and(|request| matches!(request.task, Task::RekeyIke(_)))
        };
        let rank = |sa: &Sa| match &sa.phase {
            Phase::Established(_) if rekeying(sa) => 3,
            Phase::Established(_) => 4,
            Phase::ExpectInitResponse(_)
            | Phase::ExpectIntermediateResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::ExpectIntermediateRequest(_)
            | Phase::ExpectAuthRequest(_) => 2,
            // Between two steps of the handshake.
            Phase::Over => 2,
            Phase::Deleting(_) => 1,
            Phase::Replaced(_) | Phase::Lingering(_) => 0,
        };
        let ike = match self.sas.iter().map(rank).max() {
            Some(4) => State::Up,
            Some(3) => State::Rekeying,
            Some(2) => State::Connecting,
            Some(1) => State::Deleting,
            Some(_) | None => State::Down,
        };
        let children = || self.sas.iter().filter_map(Sa::established).flat_map(|e| &e.children);
        let child = if children().any(|c| c.phase == ChildPhase::Up) {
            State::Up
        } else if children().any(|c| c.phase == ChildPhase::Rekeying) {
            State::Rekeying
        } else if children().next().is_some() {
            State::Deleting
        } else {
            State::Down
        };
        // What goes with an IKE_SA that is being deleted takes over from nobody.
        let lasting = self.sas.iter().filter(|sa| sa.state() == SaState::Established).filter_map(Sa::established);
        let mut lasting = lasting.flat_map(|e| &e.children);
        self.awaited = lasting.find(|c| !(c.sending && c.taken_up) && c.phase == ChildPhase::Up).map(|c| c.spi_in);
        self.env.enter_both(ike, child, because);
    }
}
