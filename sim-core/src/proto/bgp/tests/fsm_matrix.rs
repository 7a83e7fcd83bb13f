//! The whole table of states and events.

use std::fmt::Write as _;

use super::super::fsm::*;

/// Every cell, state by state. Reviewed against RFC 4271 section 8.2.2, paragraph by paragraph.
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
