//! Graceful restart (RFC 4724, RFC 8538), and the stale routes that it shares with enhanced route refresh (RFC 7313).
//!
//! ```text
//!  helper:      session lost -> routes stale -> session back -> each said again is fresh -> End-of-RIB: the rest goes
//!                                    |               |                                        |
//!                             Restart Time over   F not set                            stale-path time over
//!                                    +---------------+------------- all that are stale go ----+
//!
//!  restarting:  everything forgotten but what is forwarded -> sessions with R set -> End-of-RIB of all, or the
//!               Selection_Deferral_Timer -> decisions -> whole tables and End-of-RIB to all
//! ```
//!
//! A stale route is used like any other (section 4.2). A NOTIFICATION ends it, unless both ends said N (RFC 8538) and it
//! is no Hard Reset; so does an operator's or the system's stop, which goes out as a Hard Reset where both said N. What
//! the table of [`super::fsm`] has for these endings stays as it is: here is only decided what its `EndRoutes` means.
//!
//! Each family has stale routes and an End-of-RIB of its own, and is decided about as soon as its own is complete. Left out:
//! long-lived graceful restart (RFC 9494).

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};

use super::Speaker;
use super::adj_in::AdjRibIn;
use super::adj_out::AdjRibOut;
use super::config::{PeerId, STALE_PATH_TIME};
use super::contract::{Output, RouteChange};
use super::exchange::origin;
use super::family::Spoken;
use super::fsm::{Event, FsmState};
use super::open::{MAX_RESTART_TIME, RestartCapability};
use super::peer::{Session, Slot};
use super::rib::{Best, Route};
use super::session::Cause;
use super::tables::Tables;
use crate::reason::Reason;
use crate::time::{Duration, Instant};

impl Speaker {
    /// What we say of graceful restart in an OPEN.
    pub(super) fn restart_capability(&self, id: PeerId) -> Option<RestartCapability> {
        let config = &self.peers[id.index()].config;
        let ours = config.graceful_restart?;
        // Whoever has not restarted has lost nothing (RFC 8538 section 4: F is set after a NOTIFICATION, too).
        let ipv4 = ours.restarts.then(|| self.tables.ipv4.has_forwarded());
        let ipv6 = self.tables.ipv6.as_ref().filter(|_| ours.restarts && config.ipv6.is_some());
        let seconds = ours.restart_time.as_nanos() / 1_000_000_000;
        Some(RestartCapability {
            restarted: self.tables.any_deferring(),
            notification: ours.notification,
            restart_time: u16::try_from(seconds).unwrap_or(u16::MAX).min(MAX_RESTART_TIME),
            forwarding: ipv4.filter(|_| Ipv4Net::is_wanted(config)),
            ipv6_forwarding: ipv6.map(|tables| tables.has_forwarded()),
        })
    }

    /// The session of a machine whose routes outlive this event (RFC 4724 section 4.2, RFC 8538 section 4).
    pub(super) fn retains(&self, id: PeerId, slot: Slot, event: Event, cause: &Cause) -> Option<Session> {
        let session = self.peers[id.index()].fsm(slot)?.session?;
        // The peer forwards on while it restarts only what it named.
        session.graceful.filter(|graceful| graceful.names_a_family())?;
        let retained = match event {
            Event::TcpFails | Event::TcpFailsListening => true,
            Event::Notification
            | Event::NotificationVersionError
            | Event::NotificationVersionErrorDelayOpen
            | Event::HoldTimerExpires
            | Event::HeaderError
            | Event::OpenError
            | Event::UpdateError => session.notification_restarts() && !cause.hard,
            Event::ManualStart
            | Event::ManualStop
            | Event::ManualStartPassive
            | Event::AutomaticStart
            | Event::AutomaticStartPassive
            | Event::AutomaticStop
            | Event::ConnectRetryTimerExpires
            | Event::KeepaliveTimerExpires
            | Event::DelayOpenTimerExpires
            | Event::TcpConnected
            | Event::TcpConnectedDelayOpen
            | Event::Open
            | Event::OpenDelayOpen
            | Event::CollisionDump
            | Event::Keepalive
            | Event::Update
            | Event::RouteRefresh => false,
        };
        retained.then_some(session)
    }

    /// The machine whose established session a new connection of the peer replaces: one with graceful restart (section 4.2).
    pub(super) fn restarted(&self, id: PeerId, slot: Slot) -> Option<Slot> {
        let fsm = self.peers[id.index()].fsm(slot)?;
        (fsm.state == FsmState::Established && fsm.session?.graceful.is_some()).then_some(slot)
    }

    /// The session is over, and the peer may come back: its routes are used on, as stale ones.
    pub(super) fn retain_routes(&mut self, now: Instant, id: PeerId, session: Session) {
        // Section 4.2: what was stale before and was not said again goes. RFC 8538 section 4.1 takes that back.
        if !session.notification_restarts() {
            self.sweep_all(id, Reason::StaleExpired);
        }
        let mut routes = self.retain_family::<Ipv4Net>(id, &session);
        if self.speaks_ipv6() {
            routes += self.retain_family::<Ipv6Net>(id, &session);
        }
        let peer = &mut self.peers[id.index()];
        peer.route_advertisement.stop();
        peer.retained = Some(session);
        let waited = session.graceful.map_or(0, |graceful| graceful.restart_time);
        peer.restart.start(now, Duration::from_secs(waited.into()));
        let limit = peer.config.graceful_restart.map_or(STALE_PATH_TIME, |ours| ours.stale_path_time);
        if !peer.stale_path.is_running() {
            peer.stale_path.start(now, limit);
        }
        self.out.push_back(Output::Retained { peer: id, routes });
        self.rearm(id);
    }

    /// The routes of one family become stale, or end with the session if the peer did not name it. Says how many are kept.
    fn retain_family<F: Spoken>(&mut self, id: PeerId, session: &Session) -> usize {
        if session.graceful.as_ref().and_then(F::forwarding).is_none() {
            self.end_family::<F>(id, Reason::SessionDown);
            return 0;
        }
        let tables = F::of_mut(&mut self.tables);
        let known: BTreeSet<F> = AdjRibIn::of(tables, id).prefixes().into_iter().collect();
        let tables = &mut tables.peers[id.index()];
        tables.adj_out = AdjRibOut::default();
        tables.stale = known;
        tables.stale.len()
    }

    /// A session is established: what is stale of the one before is waited for, if the peer has forwarded meanwhile.
    pub(super) fn resume_stale(&mut self, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        peer.restart.stop();
        peer.retained = None;
        let graceful = peer.session().and_then(|session| session.graceful);
        let lost =
            |forwarding: fn(&RestartCapability) -> Option<bool>| graceful.as_ref().and_then(forwarding) != Some(true);
        if lost(Ipv4Net::forwarding) {
            self.sweep_stale::<Ipv4Net>(id, Reason::ForwardingLost);
        }
        if self.speaks_ipv6() && lost(Ipv6Net::forwarding) {
            self.sweep_stale::<Ipv6Net>(id, Reason::ForwardingLost);
        }
        self.rearm(id);
    }

    /// What is stale of either family goes.
    pub(super) fn sweep_all(&mut self, id: PeerId, reason: Reason) {
        self.sweep_stale::<Ipv4Net>(id, reason);
        if self.speaks_ipv6() {
            self.sweep_stale::<Ipv6Net>(id, reason);
        }
    }

    /// What is stale of one family goes. The timers run on for the other.
    pub(super) fn sweep_stale<F: Spoken>(&mut self, id: PeerId, reason: Reason) {
        let stale = core::mem::take(&mut F::of_mut(&mut self.tables).peers[id.index()].stale);
        if !self.has_stale(id) {
            let peer = &mut self.peers[id.index()];
            peer.restart.stop();
            peer.stale_path.stop();
        }
        for prefix in stale {
            self.withdrawn(id, prefix, reason);
        }
        self.rearm(id);
    }

    fn has_stale(&self, id: PeerId) -> bool {
        let ipv6 = self.tables.ipv6.as_ref();
        !self.tables.ipv4.peers[id.index()].stale.is_empty()
            || ipv6.is_some_and(|tables| !tables.peers[id.index()].stale.is_empty())
    }

    /// Nothing is stale any more, and nothing is waited for.
    pub(super) fn forget_stale(&mut self, id: PeerId) {
        self.tables.ipv4.peers[id.index()].stale.clear();
        if let Some(tables) = &mut self.tables.ipv6 {
            tables.peers[id.index()].stale.clear();
        }
        let peer = &mut self.peers[id.index()];
        peer.retained = None;
        peer.restart.stop();
        peer.stale_path.stop();
    }

    /// BoRR: what the peer does not say again until EoRR goes then (RFC 7313 section 4).
    pub(super) fn refresh_begins<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        let tables = F::of_mut(&mut self.tables);
        tables.peers[id.index()].stale = AdjRibIn::of(tables, id).prefixes().into_iter().collect();
        let peer = &mut self.peers[id.index()];
        let limit = peer.config.graceful_restart.map_or(STALE_PATH_TIME, |ours| ours.stale_path_time);
        peer.stale_path.start(now, limit);
        self.rearm(id);
    }

    /// End-of-RIB.
    pub(super) fn peer_has_sent_all<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        F::of_mut(&mut self.tables).peers[id.index()].has_sent_all = true;
        self.sweep_stale::<F>(id, Reason::NotRefreshed);
        self.decide_if_complete_of::<F>(now);
    }

    /// The speaker's program ends without a word and begins again, as by `kill -9`: its connections are closed by the
    /// system, its tables are gone. `forwarding` says that the forwarding table stays as it is until the new decisions.
    pub(super) fn restart(&mut self, now: Instant, forwarding: bool) {
        for peer in &self.peers {
            for conn in
                [Some(&peer.main), peer.rival.as_ref()].into_iter().flatten().filter_map(|fsm| fsm.conn.as_ref())
            {
                self.out.push_back(Output::Close { conn: conn.id, abortive: !conn.up });
            }
        }
        let ipv4 = forwarding.then(|| self.tables.ipv4.best());
        let ipv6 = self.tables.ipv6.as_ref().filter(|_| forwarding).map(|tables| tables.best());
        self.set_deferring(forwarding);
        self.forget(now, Reason::Restarted);
        self.set_deferring(true);
        self.tables.ipv4.preserved = ipv4;
        if let Some(tables) = &mut self.tables.ipv6 {
            tables.preserved = ipv6;
        }
    }

    /// Whether what changes is kept back until the decisions.
    pub(super) fn set_deferring(&mut self, deferring: bool) {
        self.tables.ipv4.deferring = deferring;
        if let Some(tables) = &mut self.tables.ipv6 {
            tables.deferring = deferring;
        }
    }

    /// The peers come up again: decisions wait from here.
    pub(super) fn begin_deferral(&mut self, now: Instant) {
        if self.tables.any_deferring() && !self.deferral.is_running() {
            self.deferral.start(now, self.selection_deferral);
        }
    }

    /// Decides in either family that is complete.
    pub(super) fn decide_if_complete(&mut self, now: Instant) {
        self.decide_if_complete_of::<Ipv4Net>(now);
        if self.speaks_ipv6() {
            self.decide_if_complete_of::<Ipv6Net>(now);
        }
    }

    /// Decides if every peer that is to be waited for has sent its table: not those that are stopped, have restarted too,
    /// or have no graceful restart (section 4.1), and none that the family is not exchanged with.
    pub(super) fn decide_if_complete_of<F: Spoken>(&mut self, now: Instant) {
        let tables = F::of_mut(&mut self.tables);
        if !tables.deferring {
            return;
        }
        let mut concerned =
            self.peers.iter().zip(&tables.peers).filter(|(peer, _)| peer.running && F::is_wanted(&peer.config));
        let complete = concerned.all(|(peer, tables)| match peer.session() {
            Some(session) => {
                let waited = session.graceful.is_some_and(|graceful| !graceful.restarted) && F::is_spoken(session);
                tables.has_sent_all || !waited
            }
            None => false,
        });
        if complete {
            self.decide_of::<F>(now);
        }
    }

    /// The restart is over in both families.
    pub(super) fn decide_now(&mut self, now: Instant) {
        if self.tables.ipv4.deferring {
            self.decide_of::<Ipv4Net>(now);
        }
        if self.tables.ipv6.as_ref().is_some_and(|tables| tables.deferring) {
            self.decide_of::<Ipv6Net>(now);
        }
    }

    /// The restart is over in one family: what was decided is told, first to the forwarding table and then to the peers.
    fn decide_of<F: Spoken>(&mut self, now: Instant) {
        let tables = F::of_mut(&mut self.tables);
        tables.deferring = false;
        let before = tables.preserved.take().unwrap_or_default();
        let after = tables.best();
        if !self.tables.any_deferring() {
            self.deferral.stop();
        }
        let prefixes: BTreeSet<F> = before.keys().chain(after.keys()).copied().collect();
        for prefix in prefixes {
            let (from, to) = (before.get(&prefix).copied(), after.get(&prefix).copied());
            // How it was decided is not what is forwarded by.
            let same = from.zip(to).is_some_and(|(from, to)| Best { decided_by: to.decided_by, ..from } == to);
            if !same {
                let reason = if to.is_some() { Reason::Learned } else { Reason::NotRefreshed };
                let Tables { rib, interior, .. } = F::of_mut(&mut self.tables);
                let origin = |route: Route<'_, F>| origin(route, &self.peers, self.local_as, interior);
                let also = rib.also(&prefix, &self.rules, origin);
                self.out.push_back(F::changed(RouteChange { prefix, from, to, also, reason }));
            }
        }
        for id in (0..self.peers.len() as u16).map(PeerId) {
            self.send_all::<F>(now, id);
        }
    }
}
