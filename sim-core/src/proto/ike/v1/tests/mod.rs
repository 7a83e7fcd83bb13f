//! Two peers that speak IKEv1, one message at a time.

mod certificates;
mod handshake;
mod hints;
mod hostile;
mod laws;
mod life;
mod policies;

use super::{Action, Event, SaState, transition};
use crate::crypto::dh::DhGroup;
use crate::proto::ike::Config;
use crate::proto::ike::config::{EspOffer, IkeOffer, IkeVersion, suite_aes128_sha1_group2};
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
                table.push_str(&format!("    {:20} {action:?}\n", format!("{state:?}")));
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// A customer gateway (A) and an AWS endpoint (B) that speak IKEv1 only, with AWS's default outcome.
fn configs() -> [Config; 2] {
    pair::default_configs().map(|config| Config { versions: [IkeVersion::V1][..].into(), ..config })
}

/// As [`configs`], with a suite whose key exchange is quick. AES-GCM cannot be said in phase 1.
fn fast_configs() -> [Config; 2] {
    let (ike, esp) = suite_aes128_sha1_group2();
    let groups = vec![DhGroup::Ecp256];
    configs().map(|config| Config {
        ike_offers: vec![IkeOffer { groups: groups.clone(), ..ike.clone() }],
        esp_offers: vec![EspOffer { groups: groups.clone(), ..esp.clone() }],
        ..config
    })
}
