//! The finite state machine of one connection as a table (RFC 4271 section 8.2.2): what every event does in every
//! state. It is pure; the `session` module carries the actions out.
//!
//! RFC 4271 gives every connection a machine of its own, and so do we: a peer has one, and a second one while an
//! incoming connection competes with it (section 6.8).
//!
//! What the RFC decides by a flag or a running timer is two events here, so that the table has no hidden input.
//! Entering Idle always stops the machine's timers, so the table does not repeat it.
//!
//! Where we differ from the letter of section 8.2.2 stands cell by cell in `tests/fsm_matrix.rs`, which holds the RFC's own
//! words as a second table beside this one. The differences that a peer can see: a NOTIFICATION is never answered with a
//! NOTIFICATION (section 6.4 forbids it in spirit), a header or OPEN error in Established is reported by its own code (as
//! sections 6.1 and 6.2 demand), and a second OPEN on one connection is an FSM error: whether another *connection* collides
//! is settled before the event is raised. FSM errors carry the subcodes of RFC 6608. What `EndRoutes` leaves as stale routes
//! is a matter of graceful restart (RFC 4724 section 5).
//!
//! Events 3 and 5 are 6 and 7 without damping, and 13 (IdleHoldTimer) is the automatic start that it leads to, so each
//! pair is one event here.
//!
//! Left out: events 14 and 15 (a connection from an unknown address never reaches the speaker), and
//! SendNOTIFICATIONwithoutOPEN, which is off.

use super::notification::Notification;
use crate::reason::{Reason, State};

/// The six states (section 8.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FsmState {
    /// Refuses connections.
    Idle,
    /// Waits for a connection from the peer.
    Active,
    /// Waits for its own connection to be established.
    Connect,
    /// Has sent an OPEN and waits for one.
    OpenSent,
    /// Waits for a KEEPALIVE.
    OpenConfirm,
    /// Exchanges UPDATEs.
    Established,
}

impl FsmState {
    /// All states, in the order of progress.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Active, Self::Connect, Self::OpenSent, Self::OpenConfirm, Self::Established];

    /// As the trace names it.
    pub const fn state(self) -> State {
        match self {
            Self::Idle => State::Idle,
            Self::Active => State::Active,
            Self::Connect => State::Connect,
            Self::OpenSent => State::OpenSent,
            Self::OpenConfirm => State::OpenConfirm,
            Self::Established => State::Established,
        }
    }

    /// The NOTIFICATION for a message that this state does not expect (RFC 6608).
    pub const fn unexpected_message(self) -> (u8, u8) {
        match self {
            Self::OpenSent => Notification::FSM_OPEN_SENT,
            Self::OpenConfirm => Notification::FSM_OPEN_CONFIRM,
            Self::Established => Notification::FSM_ESTABLISHED,
            Self::Idle | Self::Active | Self::Connect => Notification::FSM,
        }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident $rfc:literal $reason:ident;)*) => {
        /// What can happen to a connection (section 8.1), with the number of the event in the RFC.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// All events.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number in section 8.1; 0 for ROUTE-REFRESH, which is younger.
            pub const fn number(self) -> u8 {
                match self { $(Self::$name => $rfc,)* }
            }

            /// Why a state is left because of it, in the trace's words.
            pub const fn reason(self) -> Reason {
                match self { $(Self::$name => Reason::$reason,)* }
            }
        }
    };
}

events! {
    /// An operator starts the peer.
    ManualStart 1 AdminUp;
    /// An operator stops the peer.
    ManualStop 2 AdminDown;
    /// An operator starts the peer, which shall wait for the other end to connect.
    ManualStartPassive 4 AdminUp;
    /// The idle-hold time is over.
    AutomaticStart 6 IdleHoldExpired;
    /// The idle-hold time is over and the peer shall wait for the other end.
    AutomaticStartPassive 7 IdleHoldExpired;
    /// The system stops the peer: its link is down, or it sent too many prefixes.
    AutomaticStop 8 AdminDown;
    /// ConnectRetryTimer_Expires.
    ConnectRetryTimerExpires 9 ConnectRetry;
    /// HoldTimer_Expires.
    HoldTimerExpires 10 HoldTimerExpired;
    /// KeepaliveTimer_Expires.
    KeepaliveTimerExpires 11 KeepaliveDue;
    /// DelayOpenTimer_Expires.
    DelayOpenTimerExpires 12 DelayOpenExpired;
    /// A connection is up: ours was acknowledged (event 16) or the peer's was accepted (17).
    TcpConnected 16 TcpConnected;
    /// The same with DelayOpen set.
    TcpConnectedDelayOpen 17 TcpConnected;
    /// TcpConnectionFails: reset, closed or never established.
    TcpFails 18 TcpFailed;
    /// The same while DelayOpenTimer runs, or with a peer that listens on after a failed attempt.
    TcpFailsListening 18 TcpFailed;
    /// A valid OPEN.
    Open 19 OpenReceived;
    /// A valid OPEN while DelayOpenTimer runs.
    OpenDelayOpen 20 OpenReceived;
    /// A message header is wrong.
    HeaderError 21 MessageError;
    /// An OPEN is wrong.
    OpenError 22 OpenError;
    /// OpenCollisionDump: the other connection won.
    CollisionDump 23 CollisionLost;
    /// NotifMsgVerErr: a NOTIFICATION with Unsupported Version Number.
    NotificationVersionError 24 NotificationReceived;
    /// The same while DelayOpenTimer runs.
    NotificationVersionErrorDelayOpen 24 NotificationReceived;
    /// Any other NOTIFICATION.
    Notification 25 NotificationReceived;
    /// A KEEPALIVE.
    Keepalive 26 KeepaliveReceived;
    /// A well-formed UPDATE.
    Update 27 UpdateReceived;
    /// An UPDATE is wrong.
    UpdateError 28 UpdateError;
    /// A ROUTE-REFRESH (RFC 2918).
    RouteRefresh 0 RefreshReceived;
}

/// What a transition does besides changing the state, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Zeroes ConnectRetryCounter.
    ResetCounter,
    /// Adds one to ConnectRetryCounter.
    CountRetry,
    /// Starts ConnectRetryTimer anew.
    StartConnectRetry,
    /// Stops ConnectRetryTimer.
    StopConnectRetry,
    /// Starts DelayOpenTimer.
    StartDelayOpen,
    /// Stops DelayOpenTimer.
    StopDelayOpen,
    /// Sets HoldTimer to the large value, four minutes by default.
    StartLargeHold,
    /// Sets HoldTimer and KeepaliveTimer as negotiated, or stops both if the hold time is zero.
    StartNegotiated,
    /// Restarts HoldTimer, unless the hold time is zero.
    RestartHold,
    /// Asks for a TCP connection to the peer.
    Connect,
    /// Lets go of the TCP connection.
    Drop,
    /// Sends our OPEN.
    SendOpen,
    /// Sends a KEEPALIVE and restarts KeepaliveTimer.
    SendKeepalive,
    /// Sends the NOTIFICATION that the event carries.
    Notify,
    /// Sends an FSM error for what the state does not expect.
    NotifyFsmError,
    /// Sends the whole table to the peer and from now on its changes.
    BeginRoutes,
    /// Deletes all routes of the peer.
    EndRoutes,
    /// Works the UPDATE into the tables.
    TakeUpdate,
    /// Sends the whole table again.
    ResendRoutes,
}

/// An entry of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// The state after the event.
    pub next: FsmState,
    /// What else to do, in order.
    pub actions: &'static [Action],
}

const fn go(next: FsmState, actions: &'static [Action]) -> Transition {
    Transition { next, actions }
}

/// What `event` does in `state`.
pub const fn transition(state: FsmState, event: Event) -> Transition {
    match state {
        FsmState::Idle => idle(event),
        FsmState::Active => active(event),
        FsmState::Connect => connect(event),
        FsmState::OpenSent => open_sent(event),
        FsmState::OpenConfirm => open_confirm(event),
        FsmState::Established => established(event),
    }
}

use Action::*;
use Event as E;
use FsmState as S;

const fn idle(event: Event) -> Transition {
    match event {
        E::ManualStart => go(S::Connect, &[ResetCounter, StartConnectRetry, Connect]),
        E::ManualStartPassive => go(S::Active, &[ResetCounter, StartConnectRetry]),
        E::AutomaticStart => go(S::Connect, &[StartConnectRetry, Connect]),
        E::AutomaticStartPassive => go(S::Active, &[StartConnectRetry]),
        E::ManualStop
        | E::AutomaticStop
        | E::ConnectRetryTimerExpires
        | E::HoldTimerExpires
        | E::KeepaliveTimerExpires
        | E::DelayOpenTimerExpires
        | E::TcpConnected
        | E::TcpConnectedDelayOpen
        | E::TcpFails
        | E::TcpFailsListening
        | E::Open
        | E::OpenDelayOpen
        | E::HeaderError
        | E::OpenError
        | E::CollisionDump
        | E::NotificationVersionError
        | E::NotificationVersionErrorDelayOpen
        | E::Notification
        | E::Keepalive
        | E::Update
        | E::UpdateError
        | E::RouteRefresh => go(S::Idle, &[]),
    }
}

const fn active(event: Event) -> Transition {
    match event {
        E::ManualStart | E::ManualStartPassive | E::AutomaticStart | E::AutomaticStartPassive => go(S::Active, &[]),
        E::ManualStop => go(S::Idle, &[Drop, ResetCounter]),
        E::ConnectRetryTimerExpires => go(S::Connect, &[StartConnectRetry, Connect]),
        E::DelayOpenTimerExpires | E::TcpConnected => {
            go(S::OpenSent, &[StopConnectRetry, StopDelayOpen, SendOpen, StartLargeHold])
        }
        E::TcpConnectedDelayOpen => go(S::Active, &[StopConnectRetry, StartDelayOpen]),
        E::NotificationVersionErrorDelayOpen => go(S::Idle, &[Drop]),
        E::OpenDelayOpen => {
            go(S::OpenConfirm, &[StopConnectRetry, StopDelayOpen, SendOpen, SendKeepalive, StartNegotiated])
        }
        E::AutomaticStop
        | E::HoldTimerExpires
        | E::KeepaliveTimerExpires
        | E::TcpFails
        | E::TcpFailsListening
        | E::Open
        | E::HeaderError
        | E::OpenError
        | E::CollisionDump
        | E::NotificationVersionError
        | E::Notification
        | E::Keepalive
        | E::Update
        | E::UpdateError
        | E::RouteRefresh => go(S::Idle, &[Drop, CountRetry]),
    }
}

const fn connect(event: Event) -> Transition {
    match event {
        E::ManualStart | E::ManualStartPassive | E::AutomaticStart | E::AutomaticStartPassive => go(S::Connect, &[]),
        E::ManualStop => go(S::Idle, &[Drop, ResetCounter]),
        E::ConnectRetryTimerExpires => go(S::Connect, &[Drop, StartConnectRetry, StopDelayOpen, Connect]),
        E::DelayOpenTimerExpires | E::TcpConnected => {
            go(S::OpenSent, &[StopConnectRetry, StopDelayOpen, SendOpen, StartLargeHold])
        }
        E::TcpConnectedDelayOpen => go(S::Connect, &[StopConnectRetry, StartDelayOpen]),
        E::TcpFailsListening => go(S::Active, &[Drop, StartConnectRetry, StopDelayOpen]),
        E::TcpFails | E::NotificationVersionErrorDelayOpen => go(S::Idle, &[Drop]),
        E::OpenDelayOpen => {
            go(S::OpenConfirm, &[StopConnectRetry, StopDelayOpen, SendOpen, SendKeepalive, StartNegotiated])
        }
        E::AutomaticStop
        | E::HoldTimerExpires
        | E::KeepaliveTimerExpires
        | E::Open
        | E::HeaderError
        | E::OpenError
        | E::CollisionDump
        | E::NotificationVersionError
        | E::Notification
        | E::Keepalive
        | E::Update
        | E::UpdateError
        | E::RouteRefresh => go(S::Idle, &[Drop, CountRetry]),
    }
}

const fn open_sent(event: Event) -> Transition {
    match event {
        E::ManualStart | E::ManualStartPassive | E::AutomaticStart | E::AutomaticStartPassive => go(S::OpenSent, &[]),
        E::TcpConnected | E::TcpConnectedDelayOpen => go(S::OpenSent, &[]),
        E::ManualStop => go(S::Idle, &[Notify, Drop, ResetCounter]),
        E::AutomaticStop | E::HoldTimerExpires | E::HeaderError | E::OpenError | E::CollisionDump => {
            go(S::Idle, &[Notify, Drop, CountRetry])
        }
        E::TcpFails | E::TcpFailsListening => go(S::Active, &[Drop, StartConnectRetry]),
        E::Open => go(S::OpenConfirm, &[StopDelayOpen, StopConnectRetry, SendKeepalive, StartNegotiated]),
        E::NotificationVersionError | E::NotificationVersionErrorDelayOpen => go(S::Idle, &[Drop]),
        E::Notification => go(S::Idle, &[Drop, CountRetry]),
        E::ConnectRetryTimerExpires
        | E::KeepaliveTimerExpires
        | E::DelayOpenTimerExpires
        | E::OpenDelayOpen
        | E::Keepalive
        | E::Update
        | E::UpdateError
        | E::RouteRefresh => go(S::Idle, &[NotifyFsmError, Drop, CountRetry]),
    }
}

const fn open_confirm(event: Event) -> Transition {
    match event {
        E::ManualStart | E::ManualStartPassive | E::AutomaticStart | E::AutomaticStartPassive => {
            go(S::OpenConfirm, &[])
        }
        E::TcpConnected | E::TcpConnectedDelayOpen => go(S::OpenConfirm, &[]),
        E::ManualStop => go(S::Idle, &[Notify, Drop, ResetCounter]),
        E::AutomaticStop | E::HoldTimerExpires | E::HeaderError | E::OpenError | E::CollisionDump => {
            go(S::Idle, &[Notify, Drop, CountRetry])
        }
        E::KeepaliveTimerExpires => go(S::OpenConfirm, &[SendKeepalive]),
        E::TcpFails | E::TcpFailsListening | E::Notification => go(S::Idle, &[Drop, CountRetry]),
        E::NotificationVersionError | E::NotificationVersionErrorDelayOpen => go(S::Idle, &[Drop]),
        E::Keepalive => go(S::Established, &[RestartHold, BeginRoutes]),
        E::ConnectRetryTimerExpires
        | E::DelayOpenTimerExpires
        | E::Open
        | E::OpenDelayOpen
        | E::Update
        | E::UpdateError
        | E::RouteRefresh => go(S::Idle, &[NotifyFsmError, Drop, CountRetry]),
    }
}

const fn established(event: Event) -> Transition {
    match event {
        E::ManualStart | E::ManualStartPassive | E::AutomaticStart | E::AutomaticStartPassive => {
            go(S::Established, &[])
        }
        E::TcpConnected | E::TcpConnectedDelayOpen => go(S::Established, &[]),
        E::ManualStop => go(S::Idle, &[Notify, Drop, EndRoutes, ResetCounter]),
        E::AutomaticStop | E::HoldTimerExpires | E::HeaderError | E::OpenError | E::CollisionDump | E::UpdateError => {
            go(S::Idle, &[Notify, Drop, EndRoutes, CountRetry])
        }
        E::KeepaliveTimerExpires => go(S::Established, &[SendKeepalive]),
        E::TcpFails
        | E::TcpFailsListening
        | E::NotificationVersionError
        | E::NotificationVersionErrorDelayOpen
        | E::Notification => go(S::Idle, &[Drop, EndRoutes, CountRetry]),
        E::Keepalive => go(S::Established, &[RestartHold]),
        E::Update => go(S::Established, &[RestartHold, TakeUpdate]),
        E::RouteRefresh => go(S::Established, &[ResendRoutes]),
        E::ConnectRetryTimerExpires | E::DelayOpenTimerExpires | E::Open | E::OpenDelayOpen => {
            go(S::Idle, &[NotifyFsmError, Drop, EndRoutes, CountRetry])
        }
    }
}
