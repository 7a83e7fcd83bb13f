//! Carries out what the table of [`super::fsm`] says: connections, timers, and what is sent.

use ipnet::{Ipv4Net, Ipv6Net};

use super::config::PeerId;
use super::family::Afi;
use super::fsm::{Action, Event, FsmState, transition};
use super::message::{self, Framer};
use super::notification::Notification;
use super::open::{Capabilities, Open};
use super::peer::{Conn, ConnId, Fsm, PeerTimer, Slot};
use super::update::{Told, Update};
use super::{Output, Speaker};
use crate::reason::{Reason, Step};
use crate::time::{Duration, Instant};

/// What an event brings along.
#[derive(Default)]
pub(super) struct Cause {
    /// Replaces the event's own reason.
    pub reason: Option<Reason>,
    /// What [`Action::Notify`] sends.
    pub notification: Option<Notification>,
    /// What [`Action::TakeUpdate`] takes.
    pub update: Option<Update>,
    /// What [`Action::ResendRoutes`] sends again.
    pub afi: Afi,
    /// Graceful restart does not survive it: an operator's or the system's stop, or a Hard Reset (RFC 8538).
    pub hard: bool,
}

impl Cause {
    pub fn because(reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    pub fn notify(codes: (u8, u8), data: impl Into<Vec<u8>>) -> Self {
        Self::notification(Notification::new(codes, data))
    }

    pub fn notification(notification: Notification) -> Self {
        Self { notification: Some(notification), ..Self::default() }
    }
}

impl Speaker {
    /// Raises an event in one machine of a peer: the only way that a state changes.
    pub(super) fn raise(&mut self, now: Instant, peer: PeerId, slot: Slot, event: Event, mut cause: Cause) {
        let Some(fsm) = self.peers[peer.index()].fsm_mut(slot) else {
            return;
        };
        let before = fsm.state;
        let entry = transition(before, event);
        fsm.state = entry.next;
        let retained = self.retains(peer, slot, event, &cause);
        let Some(fsm) = self.peers[peer.index()].fsm_mut(slot) else {
            return;
        };
        if entry.next == FsmState::Idle {
            fsm.stop_timers();
        }
        self.report_state(peer, cause.reason.unwrap_or(event.reason()));
        for &action in entry.actions {
            match (action, retained) {
                // RFC 4724 section 5: what the table says of a session that nothing may be kept of.
                (Action::EndRoutes, Some(session)) => self.retain_routes(now, peer, session),
                _ => self.act(now, peer, slot, before, action, &mut cause),
            }
        }
        self.settle(now, peer);
        self.rearm(peer);
    }

    fn report_state(&mut self, id: PeerId, reason: Reason) {
        let peer = &mut self.peers[id.index()];
        let (from, to) = (peer.reported, peer.state());
        if from != to {
            peer.reported = to;
            match self.established.binary_search(&id) {
                Ok(place) if from == FsmState::Established => drop(self.established.remove(place)),
                Err(place) if to == FsmState::Established => self.established.insert(place, id),
                Ok(_) | Err(_) => {}
            }
            self.out.push_back(Output::State { peer: id, from: from.state(), to: to.state(), reason });
        }
    }

    fn act(&mut self, now: Instant, id: PeerId, slot: Slot, before: FsmState, action: Action, cause: &mut Cause) {
        match action {
            Action::Connect => return self.connect(id, slot),
            Action::Drop => return self.drop_connection(id, slot),
            Action::SendOpen => return self.send_open(id, slot),
            Action::SendKeepalive => {
                self.send(id, slot, Step::KeepaliveMessageSent, message::keepalive());
                return self.restart_keepalive(now, id, slot);
            }
            Action::Notify => {
                let unspecific = || Notification::new(Notification::CEASE, []);
                let notification = cause.notification.take().unwrap_or_else(unspecific);
                let session = self.peers[id.index()].fsm(slot).and_then(|fsm| fsm.session);
                return match cause.hard && session.is_some_and(|session| session.notification_restarts()) {
                    true => self.notify(id, slot, &notification.hard_reset()),
                    false => self.notify(id, slot, &notification),
                };
            }
            Action::NotifyFsmError => {
                let unspecific = || Notification::new(before.unexpected_message(), []);
                let notification = cause.notification.take().unwrap_or_else(unspecific);
                return self.notify(id, slot, &notification);
            }
            Action::BeginRoutes => return self.begin_routes(now, id),
            Action::EndRoutes => return self.end_routes(id, Reason::SessionDown),
            Action::TakeUpdate => {
                return self.take_update(now, id, slot, cause.update.take().unwrap_or_default());
            }
            Action::ResendRoutes => {
                return match cause.afi {
                    Afi::Ipv4 => self.resend_routes::<Ipv4Net>(now, id),
                    Afi::Ipv6 => self.resend_routes::<Ipv6Net>(now, id),
                };
            }
            Action::ResetCounter
            | Action::CountRetry
            | Action::StartConnectRetry
            | Action::StopConnectRetry
            | Action::StartDelayOpen
            | Action::StopDelayOpen
            | Action::StartLargeHold
            | Action::StartNegotiated
            | Action::RestartHold => {}
        }
        self.act_on_timers(now, id, slot, action);
    }

    fn act_on_timers(&mut self, now: Instant, id: PeerId, slot: Slot, action: Action) {
        let peer = &mut self.peers[id.index()];
        // Each connection has its own machine and counter (section 8.2.1); ours is that of the one that goes on, so that a lost
        // collision is no failure of the peer.
        let goes_on = peer.fsm(slot.other()).is_some_and(|other| other.state > FsmState::Connect);
        let (config, rng) = (&peer.config, &mut peer.rng);
        let fsm = match slot {
            Slot::Main => &mut peer.main,
            Slot::Rival => match &mut peer.rival {
                Some(rival) => rival,
                None => return,
            },
        };
        match action {
            Action::ResetCounter => peer.retries = 0,
            Action::CountRetry if goes_on => {}
            Action::CountRetry => {
                if let Some(damping) = config.damping
                    && now.since(peer.last_failure) >= damping.forget_after
                {
                    peer.retries = 0;
                }
                peer.retries = peer.retries.saturating_add(1);
                peer.last_failure = now;
            }
            Action::StartConnectRetry if config.passive => {}
            Action::StartConnectRetry => {
                let time = config.jitter.draw(config.connect_retry, rng);
                fsm.connect_retry.start(now, time);
            }
            Action::StopConnectRetry => fsm.connect_retry.stop(),
            Action::StartDelayOpen => {
                let time = config.delay_open.unwrap_or(Duration::ZERO);
                fsm.delay_open.start(now, time);
            }
            Action::StopDelayOpen => fsm.delay_open.stop(),
            Action::StartLargeHold => fsm.hold.start(now, super::config::LARGE_HOLD),
            Action::StartNegotiated | Action::RestartHold => {
                let hold = fsm.session.map_or(Duration::ZERO, |session| session.hold);
                match hold.is_zero() {
                    true => fsm.hold.stop(),
                    false => {
                        let late = if config.poll.is_zero() {
                            Duration::ZERO
                        } else {
                            rng.between(Duration::ZERO, config.poll)
                        };
                        fsm.hold.start(now, config.jitter.draw_hold(hold, rng) + late);
                    }
                }
            }
            Action::Connect
            | Action::Drop
            | Action::SendOpen
            | Action::SendKeepalive
            | Action::Notify
            | Action::NotifyFsmError
            | Action::BeginRoutes
            | Action::EndRoutes
            | Action::TakeUpdate
            | Action::ResendRoutes => {}
        }
    }

    /// After a KEEPALIVE or UPDATE was sent (section 8.2.2, Established): the next KEEPALIVE counts from here.
    pub(super) fn restart_keepalive(&mut self, now: Instant, id: PeerId, slot: Slot) {
        let peer = &mut self.peers[id.index()];
        let interval = peer.fsm(slot).and_then(|fsm| fsm.session);
        let interval = interval.map_or(Duration::ZERO, |session| session.keepalive);
        if interval.is_zero() {
            return;
        }
        let time = peer.config.jitter.draw(interval, &mut peer.rng);
        if let Some(fsm) = peer.fsm_mut(slot) {
            fsm.keepalive.start(now, time);
        }
    }

    fn connect(&mut self, id: PeerId, slot: Slot) {
        let conn = ConnId::Initiated(self.next_conn);
        self.next_conn += 1;
        if let Some(fsm) = self.peers[id.index()].fsm_mut(slot) {
            fsm.conn = Some(Conn { id: conn, up: false, framer: Framer::default() });
            self.conns.insert(conn, id);
            self.step(id, conn, Step::TcpConnecting, None);
            self.out.push_back(Output::Connect { peer: id, conn });
        }
    }

    fn drop_connection(&mut self, id: PeerId, slot: Slot) {
        let Some(fsm) = self.peers[id.index()].fsm_mut(slot) else {
            return;
        };
        fsm.session = None;
        if let Some(conn) = fsm.conn.take() {
            self.conns.remove(&conn.id);
            self.out.push_back(Output::Close { conn: conn.id, abortive: !conn.up });
        }
    }

    fn send_open(&mut self, id: PeerId, slot: Slot) {
        let config = &self.peers[id.index()].config;
        let seconds = config.hold_time.as_nanos() / 1_000_000_000;
        let open = Open {
            asn: self.local_as,
            hold_time: u16::try_from(seconds).unwrap_or(u16::MAX),
            identifier: self.router_id,
            capabilities: Capabilities {
                graceful_restart: self.restart_capability(id),
                ipv6_unicast: config.ipv6.is_some(),
                ..config.capabilities
            },
        };
        let conn = self.peers[id.index()].fsm(slot).and_then(|fsm| fsm.conn.as_ref());
        if let Some(conn) = conn.map(|conn| conn.id) {
            self.open_step(id, conn, Step::OpenMessageSent, Some(open));
            self.out.push_back(Output::Send { conn, bytes: open.emit() });
        }
    }

    fn notify(&mut self, id: PeerId, slot: Slot, notification: &Notification) {
        let conn = self.peers[id.index()].fsm(slot).and_then(|fsm| fsm.conn.as_ref());
        if let Some(conn) = conn.map(|conn| conn.id) {
            let codes = Some(notification.codes());
            self.step(id, conn, Step::NotificationMessageSent, codes);
            let bytes = message::notification(notification);
            self.out.push_back(Output::Send { conn, bytes });
        }
    }

    /// Sends a message on a machine's connection, if it still has one.
    pub(super) fn send(&mut self, id: PeerId, slot: Slot, step: Step, bytes: Vec<u8>) {
        let conn = self.peers[id.index()].fsm(slot).and_then(|fsm| fsm.conn.as_ref());
        if let Some(conn) = conn.map(|conn| conn.id) {
            self.step(id, conn, step, None);
            self.out.push_back(Output::Send { conn, bytes });
        }
    }

    pub(super) fn step(&mut self, peer: PeerId, conn: ConnId, step: Step, codes: Option<(u8, u8)>) {
        let (prefixes, ipv6_prefixes) = (None, None);
        self.out.push_back(Output::Step { peer, conn, step, codes, prefixes, ipv6_prefixes, open: None });
    }

    /// The step of an OPEN.
    pub(super) fn open_step(&mut self, peer: PeerId, conn: ConnId, step: Step, open: Option<Open>) {
        let (prefixes, ipv6_prefixes) = (None, None);
        self.out.push_back(Output::Step { peer, conn, step, codes: None, prefixes, ipv6_prefixes, open });
    }

    /// The step of an UPDATE that says something, of one family or of both.
    pub(super) fn update_step(&mut self, peer: PeerId, conn: ConnId, step: Step, (prefixes, ipv6_prefixes): Told) {
        self.out.push_back(Output::Step { peer, conn, step, codes: None, prefixes, ipv6_prefixes, open: None });
    }

    /// Puts a peer's machines in order after an event: a finished rival goes, the one that is farthest becomes the
    /// main one, and a peer that is Idle against the operator's will gets its idle-hold time.
    fn settle(&mut self, now: Instant, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        if let Some(rival) = peer.rival.take_if(|rival| rival.state != FsmState::Idle) {
            // Connect is kept as it is: its connection may yet collide with the rival's.
            if peer.main.conn.is_none() {
                peer.main = rival;
            } else if rival.state > peer.main.state {
                peer.rival = Some(core::mem::replace(&mut peer.main, rival));
            } else {
                peer.rival = Some(rival);
            }
        }
        peer.rival.take_if(|rival| rival.state == FsmState::Idle);
        let trying = |fsm: &Fsm| matches!(fsm.state, FsmState::Active | FsmState::Connect);
        if peer.main.state == FsmState::Established && peer.rival.as_ref().is_some_and(trying) {
            return self.raise(now, id, Slot::Rival, Event::CollisionDump, Cause::default());
        }
        let idle = peer.main.state == FsmState::Idle;
        if idle
            && peer.running
            && peer.link_up
            && !peer.idle_hold.is_running()
            && let Some(time) = peer.idle_time()
        {
            peer.idle_hold.start(now, time);
        }
    }

    /// Starts a peer that is Idle.
    pub(super) fn start(&mut self, now: Instant, id: PeerId, manual: bool, reason: Option<Reason>) {
        let peer = &mut self.peers[id.index()];
        peer.idle_hold.stop();
        peer.over_limit = None;
        let event = match (manual, peer.config.passive) {
            (true, false) => Event::ManualStart,
            (true, true) => Event::ManualStartPassive,
            (false, false) => Event::AutomaticStart,
            (false, true) => Event::AutomaticStartPassive,
        };
        let cause = Cause { reason, ..Cause::default() };
        self.raise(now, id, Slot::Main, event, cause);
    }

    /// Stops both machines of a peer; each that has sent an OPEN says why.
    pub(super) fn stop(&mut self, now: Instant, id: PeerId, event: Event, reason: Reason, notification: &Notification) {
        self.peers[id.index()].idle_hold.stop();
        for slot in [Slot::Rival, Slot::Main] {
            let (reason, notification) = (Some(reason), Some(notification.clone()));
            let cause = Cause { reason, notification, hard: true, ..Cause::default() };
            self.raise(now, id, slot, event, cause);
        }
    }

    pub(super) fn tcp_connected(&mut self, now: Instant, id: PeerId, conn: ConnId) {
        let peer = &mut self.peers[id.index()];
        let slot = match peer.slot_of(conn) {
            Some(slot) => slot,
            // Idle refuses connections (section 8.2.2), and one rival at a time is enough to find a collision.
            None if conn.is_initiated()
                || !peer.link_up
                || peer.main.state == FsmState::Idle
                || peer.rival.is_some() =>
            {
                let abortive = true;
                return self.out.push_back(Output::Close { conn, abortive });
            }
            None if peer.main.conn.is_none() => {
                peer.main.accept(conn);
                self.conns.insert(conn, id);
                Slot::Main
            }
            None => {
                peer.rival = Some(Fsm::accepting(conn));
                self.conns.insert(conn, id);
                Slot::Rival
            }
        };
        let delayed = peer.config.delay_open.is_some();
        if let Some(held) = peer.fsm_mut(slot).and_then(|fsm| fsm.conn.as_mut()) {
            held.up = true;
        }
        let event = match delayed {
            true => Event::TcpConnectedDelayOpen,
            false => Event::TcpConnected,
        };
        self.raise(now, id, slot, event, Cause::default());
    }

    /// A connection is over. `gone` says that there is nothing left to close.
    pub(super) fn tcp_over(&mut self, now: Instant, id: PeerId, conn: ConnId, gone: bool, reason: Reason) {
        let peer = &mut self.peers[id.index()];
        let listen = peer.config.listen_after_failure;
        let Some((slot, fsm)) = peer.slot_of(conn).and_then(|slot| Some((slot, peer.fsm_mut(slot)?))) else {
            return;
        };
        let listening = fsm.delay_open.is_running() || (fsm.state == FsmState::Connect && listen);
        if gone {
            fsm.conn = None;
            self.conns.remove(&conn);
        }
        let event = match listening {
            true => Event::TcpFailsListening,
            false => Event::TcpFails,
        };
        self.raise(now, id, slot, event, Cause::because(reason));
    }

    /// A timer of a peer expired.
    pub(super) fn expired(&mut self, now: Instant, id: PeerId, slot: Slot, timer: PeerTimer) {
        let peer = &mut self.peers[id.index()];
        let mut stop = |of: fn(&mut Fsm) -> &mut super::timer::Timer| {
            if let Some(fsm) = peer.fsm_mut(slot) {
                of(fsm).stop();
            }
        };
        let (event, cause) = match timer {
            PeerTimer::IdleHold => return self.start(now, id, false, None),
            PeerTimer::RouteAdvertisement => {
                peer.route_advertisement.stop();
                self.ready.insert(id);
                return;
            }
            PeerTimer::Restart | PeerTimer::StalePath => return self.sweep_all(id, Reason::StaleExpired),
            PeerTimer::ConnectRetry => {
                stop(|fsm| &mut fsm.connect_retry);
                (Event::ConnectRetryTimerExpires, Cause::default())
            }
            PeerTimer::DelayOpen => {
                stop(|fsm| &mut fsm.delay_open);
                (Event::DelayOpenTimerExpires, Cause::default())
            }
            PeerTimer::Keepalive => {
                stop(|fsm| &mut fsm.keepalive);
                (Event::KeepaliveTimerExpires, Cause::default())
            }
            PeerTimer::Hold => {
                stop(|fsm| &mut fsm.hold);
                let cause = Cause::notify(Notification::HOLD_TIMER_EXPIRED, []);
                (Event::HoldTimerExpires, cause)
            }
        };
        self.raise(now, id, slot, event, cause);
    }
}
