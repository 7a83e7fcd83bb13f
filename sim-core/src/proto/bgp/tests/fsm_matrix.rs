//! The whole table of states and events.

use std::fmt::Write as _;

use super::super::fsm::*;

/// Every cell, state by state.
#[test]
fn every_event_in_every_state() {
    let mut text = String::new();
    for state in FsmState::ALL {
        writeln!(text, "{state:?}").unwrap();
        for &event in Event::ALL {
            let Transition { next, actions } = transition(state, event);
            let number = event.number();
            writeln!(text, "  {number:>2} {event:?} -> {next:?} {actions:?}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

/// What no cell may break, whatever the table says.
#[test]
fn every_cell_keeps_the_invariants() {
    for state in FsmState::ALL {
        for &event in Event::ALL {
            let Transition { next, actions } = transition(state, event);
            let has = |action| actions.contains(&action);
            let place = |action| actions.iter().position(|&a| a == action);
            let cell = format!("{state:?} {event:?}");
            // A connection is let go whenever a machine that may have one ends up in Idle.
            if state != FsmState::Idle && next == FsmState::Idle {
                assert!(has(Action::Drop), "{cell}");
            }
            // What is said at the end is said before the connection is closed.
            for last_word in [Action::Notify, Action::NotifyFsmError] {
                if let Some(said) = place(last_word) {
                    assert!(said < place(Action::Drop).unwrap(), "{cell}");
                    assert!(state >= FsmState::OpenSent, "{cell}: no OPEN was sent yet");
                }
            }
            // Routes live exactly as long as Established.
            assert_eq!(has(Action::BeginRoutes), next > state && next == FsmState::Established);
            assert_eq!(has(Action::EndRoutes), next < state && state == FsmState::Established);
            // Only KEEPALIVE and UPDATE re-arm a HoldTimer that runs (section 8.2.2, events 26 and 27).
            if has(Action::RestartHold) {
                assert!(matches!(event, Event::Keepalive | Event::Update), "{cell}");
            }
            // Only an operator's stop or start forgives failures.
            if has(Action::ResetCounter) {
                assert!(matches!(event.number(), 1 | 2 | 4), "{cell}");
            }
        }
    }
}

/// What RFC 4271 section 8.2.2 says, state by state in its own order. Actions are in the words of our table; that the timers
/// stop on the way to Idle goes without saying in both. ROUTE-REFRESH, which the RFC does not know, is "any other event".
fn rfc(state: FsmState, event: Event) -> (FsmState, &'static [Action]) {
    use Action::*;
    use Event as E;
    use FsmState as S;
    const STARTS: [E; 4] = [E::ManualStart, E::ManualStartPassive, E::AutomaticStart, E::AutomaticStartPassive];
    const TCP: [E; 2] = [E::TcpConnected, E::TcpConnectedDelayOpen];
    if state != S::Idle && STARTS.contains(&event) {
        return (state, &[]);
    }
    if state >= S::OpenSent && TCP.contains(&event) {
        return (state, &[]);
    }
    match (state, event) {
        (S::Idle, E::ManualStart | E::AutomaticStart) => (S::Connect, &[ResetCounter, StartConnectRetry, Connect]),
        (S::Idle, E::ManualStartPassive | E::AutomaticStartPassive) => (S::Active, &[ResetCounter, StartConnectRetry]),
        (S::Idle, _) => (S::Idle, &[]),

        (S::Connect, E::ManualStop) => (S::Idle, &[Drop, ResetCounter]),
        (S::Connect, E::ConnectRetryTimerExpires) => (S::Connect, &[Drop, StartConnectRetry, StopDelayOpen, Connect]),
        (S::Connect, E::DelayOpenTimerExpires) => (S::OpenSent, &[SendOpen, StartLargeHold]),
        (S::Connect, E::TcpConnectedDelayOpen) => (S::Connect, &[StopConnectRetry, StartDelayOpen]),
        (S::Connect, E::TcpConnected) => (S::OpenSent, &[StopConnectRetry, SendOpen, StartLargeHold]),
        (S::Connect, E::TcpFailsListening) => (S::Active, &[StartConnectRetry, StopDelayOpen]),
        (S::Connect, E::TcpFails) => (S::Idle, &[Drop]),
        (S::Connect | S::Active, E::OpenDelayOpen) => {
            (S::OpenConfirm, &[StopConnectRetry, StopDelayOpen, SendOpen, SendKeepalive, StartNegotiated])
        }
        (S::Connect | S::Active, E::NotificationVersionErrorDelayOpen) => (S::Idle, &[Drop]),

        (S::Active, E::ManualStop) => (S::Idle, &[Drop, ResetCounter]),
        (S::Active, E::ConnectRetryTimerExpires) => (S::Connect, &[StartConnectRetry, Connect]),
        (S::Active, E::DelayOpenTimerExpires) => {
            (S::OpenSent, &[StopConnectRetry, StopDelayOpen, SendOpen, StartLargeHold])
        }
        (S::Active, E::TcpConnectedDelayOpen) => (S::Active, &[StopConnectRetry, StartDelayOpen]),
        (S::Active, E::TcpConnected) => (S::OpenSent, &[StopConnectRetry, SendOpen, StartLargeHold]),
        (S::Active, E::TcpFails | E::TcpFailsListening) => (S::Idle, &[StartConnectRetry, StopDelayOpen, CountRetry]),
        // 21, 22, 24 without DelayOpenTimer, and "any other": 8, 10, 11, 13, 19, 23, 25 to 28.
        (S::Connect | S::Active, _) => (S::Idle, &[Drop, CountRetry]),

        (S::OpenSent | S::OpenConfirm, E::ManualStop) => (S::Idle, &[Notify, Drop, ResetCounter]),
        (
            S::OpenSent | S::OpenConfirm,
            E::AutomaticStop | E::HoldTimerExpires | E::HeaderError | E::OpenError | E::CollisionDump,
        ) => (S::Idle, &[Notify, Drop, CountRetry]),
        (S::OpenSent | S::OpenConfirm, E::NotificationVersionError | E::NotificationVersionErrorDelayOpen) => {
            (S::Idle, &[Drop])
        }
        (S::OpenSent, E::TcpFails | E::TcpFailsListening) => (S::Active, &[Drop, StartConnectRetry]),
        (S::OpenSent, E::Open) => (S::OpenConfirm, &[StopDelayOpen, StopConnectRetry, SendKeepalive, StartNegotiated]),
        (S::OpenConfirm, E::KeepaliveTimerExpires) => (S::OpenConfirm, &[SendKeepalive]),
        (S::OpenConfirm, E::TcpFails | E::TcpFailsListening | E::Notification) => (S::Idle, &[Drop, CountRetry]),
        // Of an OPEN that is valid and collides with nothing it says nothing.
        (S::OpenConfirm, E::Open) => (S::OpenConfirm, &[]),
        (S::OpenConfirm, E::Keepalive) => (S::Established, &[RestartHold]),
        // "Any other": 9, 11 to 13, 20, 25 to 28 in OpenSent; 9, 12, 13, 20, 27, 28 in OpenConfirm.
        (S::OpenSent | S::OpenConfirm, _) => (S::Idle, &[NotifyFsmError, Drop, CountRetry]),

        (S::Established, E::ManualStop) => (S::Idle, &[Notify, EndRoutes, Drop, ResetCounter]),
        (S::Established, E::AutomaticStop | E::CollisionDump | E::UpdateError) => {
            (S::Idle, &[Notify, EndRoutes, Drop, CountRetry])
        }
        (S::Established, E::HoldTimerExpires) => (S::Idle, &[Notify, Drop, CountRetry]),
        (S::Established, E::KeepaliveTimerExpires) => (S::Established, &[SendKeepalive]),
        (S::Established, E::Open) => (S::Established, &[]),
        (
            S::Established,
            E::Notification
            | E::NotificationVersionError
            | E::NotificationVersionErrorDelayOpen
            | E::TcpFails
            | E::TcpFailsListening,
        ) => (S::Idle, &[EndRoutes, Drop, CountRetry]),
        (S::Established, E::Keepalive) => (S::Established, &[RestartHold]),
        (S::Established, E::Update) => (S::Established, &[TakeUpdate, RestartHold]),
        // "Any other": 9, 12, 13, 20 to 22.
        (S::Established, _) => (S::Idle, &[NotifyFsmError, EndRoutes, Drop, CountRetry]),
    }
}

/// Where our table differs from the RFC's, each cell with its argument. A cell that differs and is not here fails the test,
/// and so does one that is here and does not differ.
#[test]
fn every_difference_from_the_rfc_is_argued() {
    use Event as E;
    use FsmState as S;
    let argued: &[(S, E, &str)] = &[
        (S::Idle, E::AutomaticStart, "it is 6 too, which must not forget the failures that damping counts"),
        (S::Idle, E::AutomaticStartPassive, "it is 7 too"),
        (S::Active, E::TcpConnected, "DelayOpenTimer is stopped that does not run: no effect"),
        (
            S::Active,
            E::TcpFails,
            "in Idle event 9 does nothing, so ConnectRetryTimer does not run there; the connection is let go",
        ),
        (S::Active, E::TcpFailsListening, "the same"),
        (S::Connect, E::DelayOpenTimerExpires, "both timers are stopped that do not run any more: no effect"),
        (S::Connect, E::TcpConnected, "DelayOpenTimer is stopped that does not run: no effect"),
        (S::Connect, E::TcpFailsListening, "the failed connection is let go"),
        (S::OpenSent, E::Notification, "section 6.4: no NOTIFICATION about a NOTIFICATION"),
        (S::OpenConfirm, E::Open, "a second OPEN on one connection is no collision but an error (RFC 6608 section 4)"),
        (S::OpenConfirm, E::Keepalive, "section 9.2: the table is sent when the session is established"),
        (S::Established, E::HoldTimerExpires, "section 3.2: what the peer said is not used when its session is over"),
        (S::Established, E::Open, "a second OPEN on one connection is an error (RFC 6608 section 4)"),
        (S::Established, E::HeaderError, "section 6.1 gives header errors their own code in every state"),
        (S::Established, E::OpenError, "section 6.2 gives OPEN errors their own code in every state"),
        (S::Established, E::RouteRefresh, "RFC 2918"),
    ];
    let set = |actions: &[Action]| {
        let mut all: Vec<_> = actions.iter().map(|action| format!("{action:?}")).collect();
        all.sort_unstable();
        all
    };
    let mut differing = Vec::new();
    for state in S::ALL {
        for &event in E::ALL {
            let ours = transition(state, event);
            let (next, actions) = rfc(state, event);
            if (ours.next, set(ours.actions)) != (next, set(actions)) {
                differing.push((state, event));
            }
        }
    }
    let known: Vec<_> = argued.iter().map(|(state, event, _)| (*state, *event)).collect();
    assert_eq!(differing, known);
}
