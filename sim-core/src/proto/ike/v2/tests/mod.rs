//! Two peers, one message at a time.

mod certificates;
mod collisions;
mod cookies;
mod dpd;
mod explore;
mod followup;
mod fragments;
mod handshake;
mod hints;
mod hostile;
mod ike_rekey;
mod inside;
mod intermediate;
mod laws;
mod mobike;
mod notifies;
mod policies;
mod reauth;
mod rekey;
mod suites;

use super::{Action, Event, SaState, transition};
use crate::proto::ike::pair;

/// The whole machine on one page: what every state does with every event.
#[test]
fn every_state_has_an_answer_to_every_event() {
    let mut table = String::new();
    for event in Event::ALL {
        table.push_str(&format!("{event:?}\n"));
        for state in SaState::ALL {
            let action = transition(state, event);
            if action != Action::Ignore {
                table.push_str(&format!("    {:26} {action:?}\n", format!("{state:?}")));
            }
        }
    }
    insta::assert_snapshot!(table);
}
