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
//! Left out: families other than IPv4 unicast, and long-lived graceful restart (RFC 9494).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;

use super::config::{PeerId, STALE_PATH_TIME};
use super::fsm::{Event, FsmState};
use super::open::{MAX_RESTART_TIME, RestartCapability};
use super::peer::{Peer, Session, Slot};
use super::rib::{AdjRibOut, Best};
use super::session::Cause;
use super::{Output, RouteChange, Speaker};
use crate::reason::Reason;
use crate::time::{Duration, Instant};

/// What a speaker forwarded by when it restarted: the best routes of then, which nobody has told to go.
pub(super) type Preserved = BTreeMap<Ipv4Net, Best>;

impl Peer {
    /// Nothing is stale any more, and nothing is waited for.
    pub fn forget_stale(&mut self) {
        self.stale.clear();
        self.retained = None;
        self.restart.stop();
        self.stale_path.stop();
    }
}

impl Speaker {
    /// What we say of graceful restart in an OPEN.
    pub(super) fn restart_capability(&self, id: PeerId) -> Option<RestartCapability> {
        let ours = self.peers[id.index()].config.graceful_restart?;
        let seconds = ours.restart_time.as_nanos() / 1_000_000_000;
        Some(RestartCapability {
            restarted: self.restarting,
            notification: ours.notification,
            restart_time: u16::try_from(seconds).unwrap_or(u16::MAX).min(MAX_RESTART_TIME),
            // Whoever has not restarted has lost nothing (RFC 8538 section 4: F is set after a NOTIFICATION, too).
            forwarding: ours.restarts.then_some(!self.restarting || self.preserved.is_some()),
        })
    }

    /// The session of a machine whose routes outlive this event (RFC 4724 section 4.2, RFC 8538 section 4).
    pub(super) fn retains(&self, id: PeerId, slot: Slot, event: Event, cause: &Cause) -> Option<Session> {
        let session = self.peers[id.index()].fsm(slot)?.session?;
        // The peer forwards on while it restarts only if it named the family.
        session.graceful?.forwarding?;
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
            self.sweep_stale(id, Reason::StaleExpired);
        }
        let known = self.adj_rib_in(id).prefixes().into_iter().collect();
        let peer = &mut self.peers[id.index()];
        peer.adj_out = AdjRibOut::default();
        peer.route_advertisement.stop();
        peer.stale = known;
        peer.retained = Some(session);
        let waited = session.graceful.map_or(0, |graceful| graceful.restart_time);
        peer.restart.start(now, Duration::from_secs(waited.into()));
        let limit = peer.config.graceful_restart.map_or(STALE_PATH_TIME, |ours| ours.stale_path_time);
        if !peer.stale_path.is_running() {
            peer.stale_path.start(now, limit);
        }
        self.out.push_back(Output::Retained { peer: id, routes: self.peers[id.index()].stale.len() });
        self.rearm(id);
    }

    /// A session is established: what is stale of the one before is waited for, if the peer has forwarded meanwhile.
    pub(super) fn resume_stale(&mut self, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        peer.restart.stop();
        peer.retained = None;
        let forwarded = peer.session().and_then(|session| session.graceful?.forwarding);
        if forwarded != Some(true) {
            self.sweep_stale(id, Reason::ForwardingLost);
        }
        self.rearm(id);
    }

    /// What is stale goes.
    pub(super) fn sweep_stale(&mut self, id: PeerId, reason: Reason) {
        let peer = &mut self.peers[id.index()];
        let stale = core::mem::take(&mut peer.stale);
        peer.restart.stop();
        peer.stale_path.stop();
        for prefix in stale {
            self.withdrawn(id, prefix, reason);
        }
        self.rearm(id);
    }

    /// BoRR: what the peer does not say again until EoRR goes then (RFC 7313 section 4).
    pub(super) fn refresh_begins(&mut self, now: Instant, id: PeerId) {
        let known = self.adj_rib_in(id).prefixes().into_iter().collect();
        let peer = &mut self.peers[id.index()];
        peer.stale = known;
        let limit = peer.config.graceful_restart.map_or(STALE_PATH_TIME, |ours| ours.stale_path_time);
        peer.stale_path.start(now, limit);
        self.rearm(id);
    }

    /// End-of-RIB.
    pub(super) fn peer_has_sent_all(&mut self, now: Instant, id: PeerId) {
        self.peers[id.index()].has_sent_all = true;
        self.sweep_stale(id, Reason::NotRefreshed);
        self.decide_if_complete(now);
    }

    /// The speaker's program ends without a word and begins again, as by `kill -9`: its connections are closed by the
    /// system, its tables are gone. `forwarding` says that the forwarding table stays as it is until the new decisions.
    pub(super) fn restart(&mut self, now: Instant, forwarding: bool) {
        let best = self.rib.loc().iter().map(|(prefix, entry)| (prefix, entry.best()));
        let preserved: Option<Preserved> = forwarding.then(|| best.collect());
        for peer in &self.peers {
            for conn in
                [Some(&peer.main), peer.rival.as_ref()].into_iter().flatten().filter_map(|fsm| fsm.conn.as_ref())
            {
                self.out.push_back(Output::Close { conn: conn.id, abortive: !conn.up });
            }
        }
        self.restarting = forwarding;
        self.forget(now, Reason::Restarted);
        self.restarting = true;
        self.preserved = preserved;
    }

    /// The peers come up again: decisions wait from here.
    pub(super) fn begin_deferral(&mut self, now: Instant) {
        if self.restarting && !self.deferral.is_running() {
            self.deferral.start(now, self.selection_deferral);
        }
    }

    /// Decides if every peer that is to be waited for has sent its table: not those that are stopped, have restarted too,
    /// or have no graceful restart (section 4.1).
    pub(super) fn decide_if_complete(&mut self, now: Instant) {
        if !self.restarting {
            return;
        }
        let complete = self.peers.iter().filter(|peer| peer.running).all(|peer| match peer.session() {
            Some(session) => peer.has_sent_all || session.graceful.is_none_or(|graceful| graceful.restarted),
            None => false,
        });
        if complete {
            self.decide_now(now);
        }
    }

    /// The restart is over: what was decided is told, first to the forwarding table and then to the peers.
    pub(super) fn decide_now(&mut self, now: Instant) {
        self.deferral.stop();
        self.restarting = false;
        let before = self.preserved.take().unwrap_or_default();
        let after: Preserved = self.rib.loc().iter().map(|(prefix, entry)| (prefix, entry.best())).collect();
        let prefixes: BTreeSet<Ipv4Net> = before.keys().chain(after.keys()).copied().collect();
        for prefix in prefixes {
            let (from, to) = (before.get(&prefix).copied(), after.get(&prefix).copied());
            // How it was decided is not what is forwarded by.
            let same = from.zip(to).is_some_and(|(from, to)| Best { decided_by: to.decided_by, ..from } == to);
            if !same {
                let reason = if to.is_some() { Reason::Learned } else { Reason::NotRefreshed };
                let also = self.rib.also(&prefix, &self.rules, |route| self.origin(route));
                self.out.push_back(Output::Route(RouteChange { prefix, from, to, also, reason }));
            }
        }
        for id in (0..self.peers.len() as u16).map(PeerId) {
            if self.peers[id.index()].session().is_some() {
                self.send_all(now, id);
            }
        }
    }
}
