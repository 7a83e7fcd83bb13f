//! What a speaker remembers of a peer and of its connections.

use std::net::Ipv4Addr;

use super::attributes::Dialect;
use super::config::{AfterLimit, PeerConfig};
use super::fsm::FsmState;
use super::message::Framer;
use super::open::{Capabilities, Open, RestartCapability};
use super::timer::Timer;
use crate::fetch::fetch;
use crate::reason::TimerKind;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// The timers of a peer and of its machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PeerTimer {
    Hold,
    ConnectRetry,
    DelayOpen,
    Keepalive,
    IdleHold,
    RouteAdvertisement,
    Restart,
    StalePath,
}

impl PeerTimer {
    /// As the trace names it.
    pub const fn kind(self) -> TimerKind {
        match self {
            Self::Hold => TimerKind::HoldTimer,
            Self::ConnectRetry => TimerKind::ConnectRetryTimer,
            Self::DelayOpen => TimerKind::DelayOpenTimer,
            Self::Keepalive => TimerKind::KeepaliveTimer,
            Self::IdleHold => TimerKind::IdleHoldTimer,
            Self::RouteAdvertisement => TimerKind::MinRouteAdvertisement,
            Self::Restart => TimerKind::RestartTimer,
            Self::StalePath => TimerKind::StalePathTimer,
        }
    }
}

/// A TCP connection. The two kinds are numbered apart, so that both ends of the contract can give out numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConnId {
    /// We asked for it; the speaker numbers these.
    Initiated(u32),
    /// The peer asked for it; the owner of the listening socket numbers these.
    Accepted(u32),
}

impl ConnId {
    pub(super) const fn is_initiated(self) -> bool {
        matches!(self, Self::Initiated(_))
    }
}

/// A connection that a state machine holds.
#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub id: ConnId,
    /// False while our SYN is unanswered.
    pub up: bool,
    pub framer: Framer,
}

/// What the two OPENs agreed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// Zero: neither HoldTimer nor KeepaliveTimer runs.
    pub hold: Duration,
    pub keepalive: Duration,
    pub identifier: Ipv4Addr,
    pub dialect: Dialect,
    /// The peer answers to ROUTE-REFRESH.
    pub refresh: bool,
    /// Both ends mark the beginning and the end of that answer (RFC 7313).
    pub enhanced_refresh: bool,
    /// What the peer said about graceful restart, if we speak it too.
    pub graceful: Option<RestartCapability>,
}

impl Session {
    /// Section 4.2: the smaller hold time counts; section 4.4: a KEEPALIVE at least every third of it.
    pub fn negotiate(local_as: u32, config: &PeerConfig, open: &Open) -> Self {
        let ours = Capabilities { ipv6_unicast: config.ipv6.is_some(), ..config.capabilities }.families();
        let theirs = open.capabilities.families();
        let both = |family: usize| ours[family] && theirs[family];
        let hold = config.hold_time.min(Duration::from_secs(u64::from(open.hold_time)));
        Self {
            hold,
            keepalive: config.keepalive.map_or(hold / 3, |own| own.min(hold / 3)),
            identifier: open.identifier,
            dialect: Dialect {
                ipv4_unicast: both(0),
                ipv6_unicast: both(1),
                four_octet_as: config.capabilities.four_octet_as && open.capabilities.four_octet_as,
                remote_as: config.remote_as,
                local_as,
                enforce_first_as: config.enforce_first_as,
            },
            refresh: config.capabilities.route_refresh && open.capabilities.route_refresh,
            enhanced_refresh: config.capabilities.enhanced_refresh && open.capabilities.enhanced_refresh,
            graceful: config.graceful_restart.and_then(|ours| {
                let theirs = open.capabilities.graceful_restart?;
                Some(RestartCapability {
                    notification: ours.notification && theirs.notification,
                    // A family that the session is without has no routes to keep.
                    forwarding: theirs.forwarding.filter(|_| both(0)),
                    ipv6_forwarding: theirs.ipv6_forwarding.filter(|_| both(1)),
                    ..theirs
                })
            }),
        }
    }

    /// Both ends said N: a NOTIFICATION leaves routes stale, unless it is a Hard Reset (RFC 8538 section 4).
    pub fn notification_restarts(&self) -> bool {
        self.graceful.is_some_and(|graceful| graceful.notification)
    }
}

/// The state machine of one connection.
#[derive(Clone, Debug)]
pub(super) struct Fsm {
    pub state: FsmState,
    pub conn: Option<Conn>,
    pub session: Option<Session>,
    pub hold: Timer,
    pub keepalive: Timer,
    pub connect_retry: Timer,
    pub delay_open: Timer,
}

impl Fsm {
    pub fn new(state: FsmState) -> Self {
        Self {
            state,
            conn: None,
            session: None,
            hold: Timer::STOPPED,
            keepalive: Timer::STOPPED,
            connect_retry: Timer::STOPPED,
            delay_open: Timer::STOPPED,
        }
    }

    /// For a connection that the peer opened.
    pub fn accepting(conn: ConnId) -> Self {
        let mut fsm = Self::new(FsmState::Active);
        fsm.accept(conn);
        fsm
    }

    pub fn accept(&mut self, id: ConnId) {
        self.conn = Some(Conn { id, up: true, framer: Framer::default() });
    }

    pub fn holds(&self, conn: ConnId) -> bool {
        self.conn.as_ref().is_some_and(|held| held.id == conn)
    }

    pub fn stop_timers(&mut self) {
        for timer in [&mut self.hold, &mut self.keepalive, &mut self.connect_retry, &mut self.delay_open] {
            timer.stop();
        }
    }

    fn timers(&self) -> [(PeerTimer, Timer); 4] {
        [
            (PeerTimer::Hold, self.hold),
            (PeerTimer::ConnectRetry, self.connect_retry),
            (PeerTimer::DelayOpen, self.delay_open),
            (PeerTimer::Keepalive, self.keepalive),
        ]
    }
}

/// Which of a peer's two machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    /// The one that is always there.
    Main,
    /// The one of an incoming connection that competes with the main one.
    Rival,
}

impl Slot {
    pub const fn other(self) -> Self {
        match self {
            Self::Main => Self::Rival,
            Self::Rival => Self::Main,
        }
    }
}

#[derive(Clone)]
pub(super) struct Peer {
    pub config: PeerConfig,
    pub rng: Rng,
    /// An operator wants it.
    pub running: bool,
    /// The interface below is up.
    pub link_up: bool,
    pub main: Fsm,
    pub rival: Option<Fsm>,
    /// The state that was last reported: that of the machine which is farthest.
    pub reported: FsmState,
    pub idle_hold: Timer,
    pub route_advertisement: Timer,
    /// ConnectRetryCounter.
    pub retries: u32,
    pub last_failure: Instant,
    /// When its first timer expires, as the speaker has it noted.
    pub wake: Instant,
    /// The session that the stale routes are of, while there is no other.
    pub retained: Option<Session>,
    pub restart: Timer,
    pub stale_path: Timer,
    /// The last session ended for having too many prefixes, and this follows.
    pub over_limit: Option<AfterLimit>,
}

impl Peer {
    /// Fetches what a message or a timer will touch.
    pub fn foresee(&self) {
        fetch(&self.main.conn);
        fetch(&self.main.session);
        fetch(&self.main.hold);
        fetch(&self.main.delay_open);
        fetch(&self.rival);
        fetch(&self.wake);
        fetch(&self.idle_hold);
        fetch(&self.restart);
        fetch(&self.rng);
    }

    pub fn new(config: PeerConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            running: false,
            link_up: true,
            main: Fsm::new(FsmState::Idle),
            rival: None,
            reported: FsmState::Idle,
            idle_hold: Timer::STOPPED,
            route_advertisement: Timer::STOPPED,
            retries: 0,
            last_failure: Instant::START,
            wake: Instant::NEVER,
            retained: None,
            restart: Timer::STOPPED,
            stale_path: Timer::STOPPED,
            over_limit: None,
        }
    }

    pub fn fsm(&self, slot: Slot) -> Option<&Fsm> {
        match slot {
            Slot::Main => Some(&self.main),
            Slot::Rival => self.rival.as_ref(),
        }
    }

    pub fn fsm_mut(&mut self, slot: Slot) -> Option<&mut Fsm> {
        match slot {
            Slot::Main => Some(&mut self.main),
            Slot::Rival => self.rival.as_mut(),
        }
    }

    /// The machine that holds this connection.
    pub fn slot_of(&self, conn: ConnId) -> Option<Slot> {
        [Slot::Main, Slot::Rival].into_iter().find(|&slot| self.fsm(slot).is_some_and(|fsm| fsm.holds(conn)))
    }

    /// The state that a session's observer sees: that of the machine which is farthest.
    pub fn state(&self) -> FsmState {
        let rival = self.rival.as_ref().map_or(FsmState::Idle, |fsm| fsm.state);
        self.main.state.max(rival)
    }

    /// The agreement of the established connection.
    pub fn session(&self) -> Option<&Session> {
        let established = |fsm: &&Fsm| fsm.state == FsmState::Established;
        [Some(&self.main), self.rival.as_ref()].into_iter().flatten().find(established)?.session.as_ref()
    }

    /// The established connection.
    pub fn established(&self) -> Option<(Slot, ConnId)> {
        [Slot::Main, Slot::Rival].into_iter().find_map(|slot| {
            let fsm = self.fsm(slot)?;
            let conn = fsm.conn.as_ref()?;
            (fsm.state == FsmState::Established).then_some((slot, conn.id))
        })
    }

    /// Its timer that expires first. At the same instant the order is the one written here.
    pub fn next_timer(&self) -> (Slot, PeerTimer, Timer) {
        let mut first = (Slot::Main, PeerTimer::IdleHold, self.idle_hold);
        let mut consider = |slot, kind, timer: Timer| {
            if timer.at() < first.2.at() {
                first = (slot, kind, timer);
            }
        };
        for slot in [Slot::Main, Slot::Rival] {
            for (kind, timer) in self.fsm(slot).map(Fsm::timers).into_iter().flatten() {
                consider(slot, kind, timer);
            }
        }
        consider(Slot::Main, PeerTimer::RouteAdvertisement, self.route_advertisement);
        consider(Slot::Main, PeerTimer::Restart, self.restart);
        consider(Slot::Main, PeerTimer::StalePath, self.stale_path);
        first
    }

    /// Those of its timers that run, to look at.
    pub fn running_timers(&self) -> impl Iterator<Item = (PeerTimer, Timer)> {
        let machines = [Slot::Main, Slot::Rival].into_iter().filter_map(|slot| self.fsm(slot));
        let own = [
            (PeerTimer::IdleHold, self.idle_hold),
            (PeerTimer::RouteAdvertisement, self.route_advertisement),
            (PeerTimer::Restart, self.restart),
            (PeerTimer::StalePath, self.stale_path),
        ];
        machines.flat_map(Fsm::timers).chain(own).filter(|(_, timer)| timer.is_running())
    }

    /// How long the next stay in Idle lasts (section 8.1.1, DampPeerOscillations); `None` if only an operator ends it.
    pub fn idle_time(&self) -> Option<Duration> {
        match (self.over_limit, self.config.damping) {
            (Some(AfterLimit::StayDown), _) => None,
            (Some(AfterLimit::Restart(time)), _) => Some(time),
            (Some(AfterLimit::Retry) | None, Some(damping)) => {
                let doublings = self.retries.saturating_sub(1).min(20);
                Some((self.config.idle_hold * (1 << doublings)).min(damping.limit))
            }
            (Some(AfterLimit::Retry) | None, None) => Some(self.config.idle_hold),
        }
    }
}
