//! Main Mode and Quick Mode: fair weather, loss, repetition, refusal, NAT.

use core::net::{IpAddr, Ipv4Addr};

use super::configs;
use super::pair::{A, B, Fate, Pair};
use crate::crypto::dh::DhGroup;
use crate::crypto::suite::{Encryption, Integrity};
use crate::proto::ike::config::{EspOffer, Identity, IkeVersion, NatTraversal};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::time::Duration;

fn started(configs: [crate::proto::ike::Config; 2]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair
}

/// Six messages and three.
#[test]
fn regular_set_up() {
    let mut pair = started(configs());
    pair.run_for(Duration::from_secs(5));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.datagrams, 9);
}
