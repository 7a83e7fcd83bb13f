//! IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): rekeys with additional key exchanges, with losses and collisions.

use super::intermediate::{KEM_512, KEM_768, KEM_1024, both, hybrid, required};
use super::pair::{A, B, Fate, Pair, Undertaking};
use crate::crypto::exchange::Method;
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn quiet(mut configs: [Config; 2]) -> [Config; 2] {
    for config in &mut configs {
        config.startup = Startup::Start;
        config.child_lifetime = secs(100_000);
        config.ike_lifetime = secs(100_000);
    }
    configs
}

/// A tunnel with traffic, of which nothing is rekeyed by itself.
fn up(configs: [Config; 2], seed: u64) -> Pair {
    let mut pair = Pair::seeded(quiet(configs), seed);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    pair.traffic(secs(1), Instant::from_secs(5));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair
}

fn two_rounds() -> [Config; 2] {
    let rounds = [required(1, &[KEM_768]), required(2, &[KEM_512])];
    hybrid([&rounds, &rounds])
}

/// Traffic flows over the old CHILD_SA until the new one is whole, and no packet is lost.
#[test]
fn a_child_rekey_with_two_rounds() {
    let mut pair = up(two_rounds(), 1);
    pair.undertake(A, Undertaking::RekeyChild);
    pair.traffic(Duration::from_millis(1), pair.now + secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.esp_lost, 0);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
}

/// The responder of the IKE_SA can rekey it, too.
#[test]
fn an_ike_rekey_with_two_rounds() {
    let mut pair = up(two_rounds(), 1);
    pair.undertake(B, Undertaking::RekeyIke);
    pair.traffic(Duration::from_millis(1), pair.now + secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
    // The heir works: its SK_d makes the next CHILD_SA, and it can be rekeyed in turn.
    for what in [Undertaking::RekeyChild, Undertaking::RekeyIke, Undertaking::RekeyChild] {
        pair.traffic(secs(1), pair.now + secs(3));
        pair.undertake(A, what);
        pair.traffic(Duration::from_millis(10), pair.now + secs(1));
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    }
    assert_eq!(pair.esp_lost, 0);
}

/// The values of the largest parameter set travel in fragments here as well.
#[test]
fn a_follow_up_in_fragments() {
    let mut pair = up(both(KEM_1024), 1);
    pair.undertake(A, Undertaking::RekeyChild);
    pair.run_for(secs(1));
    assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    assert_eq!(pair.ladder.matches("IkeFollowupKe request 4 SKF").count(), 2, "{}", pair.ladder);
}

/// RFC 7296 section 2.1 holds for each exchange.
#[test]
fn the_loss_of_each_message_of_a_child_rekey() {
    let mut ladders = String::new();
    for lost in 0..6 {
        let mut pair = up(both(KEM_512), 1);
        pair.fates.insert(lost, Fate::Drop);
        pair.undertake(A, Undertaking::RekeyChild);
        pair.traffic(Duration::from_millis(50), pair.now + secs(6));
        ladders.push_str(&format!("datagram {lost} is lost\n{}\n", pair.ladder));
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
        assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
    }
    insta::assert_snapshot!(ladders);
}

/// The same for every fate, every message and either kind of rekey.
#[test]
fn a_bad_path_changes_nothing() {
    let late = Duration::from_millis(4_500);
    for what in [Undertaking::RekeyChild, Undertaking::RekeyIke, Undertaking::CreateChild] {
        for fate in [Fate::Drop, Fate::Duplicate, Fate::Late(late)] {
            for number in 0..8 {
                for end in [A, B] {
                    let mut pair = up(two_rounds(), 1);
                    pair.fates.insert(number, fate);
                    pair.undertake(end, what);
                    pair.traffic(Duration::from_millis(50), pair.now + secs(30));
                    assert!(pair.is_up() && pair.is_symmetric(), "{what:?} {fate:?} {number}\n{}", pair.ladder);
                    assert_eq!(pair.esp_lost, 0, "{what:?} {fate:?} {number}\n{}", pair.ladder);
                }
            }
        }
    }
}

/// What the ladders must show: with both rekeys begun, both CREATE_CHILD_SA are answered as usual, the one with the lowest nonce is
/// not followed up, and the other is.
#[test]
fn simultaneous_rekeys() {
    for what in [Undertaking::RekeyChild, Undertaking::RekeyIke] {
        // Seeds differ in who has the lowest nonce.
        let mut losers = Vec::new();
        for seed in 1..6 {
            let mut pair = up(both(KEM_512), seed);
            pair.undertake(A, what);
            pair.undertake(B, what);
            pair.traffic(Duration::from_millis(1), pair.now + Duration::from_millis(500));
            let followed = [A, B].map(|end| {
                let arrow = ["A -> B", "B -> A"][end];
                pair.ladder.lines().filter(|l| l.contains(arrow) && l.contains("IkeFollowupKe request")).count()
            });
            assert!(followed == [1, 0] || followed == [0, 1], "{}", pair.ladder);
            losers.push(followed[A]);
            if seed == 1 {
                insta::assert_snapshot!(format!("{what:?}_twice"), pair.ladder);
            }
            pair.traffic(secs(1), pair.now + secs(100));
            assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
            assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
            assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
        }
        assert!(losers.contains(&0) && losers.contains(&1), "{losers:?}");
    }
}

/// RFC 9370 section 2.2.4: A's request is late, and reaches B when B follows up its own already.
#[test]
fn a_request_that_comes_during_the_follow_up_is_refused() {
    for what in [Undertaking::RekeyChild, Undertaking::RekeyIke] {
        let mut pair = up(both(KEM_512), 1);
        pair.fates.insert(0, Fate::Late(Duration::from_millis(15)));
        pair.undertake(A, what);
        pair.undertake(B, what);
        pair.run_for(Duration::from_millis(200));
        assert!(pair.ladder.contains("response 3 SK {N(TemporaryFailure)}"), "{}", pair.ladder);
        pair.traffic(secs(1), pair.now + secs(100));
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    }
}

fn followup(link: &[u8], data: &'static [u8]) -> [Payload<'static>; 2] {
    let link: &'static [u8] = link.to_vec().leak();
    [Payload::Ke { group: 36, data }, Payload::Notify(Notify::new(NotifyType::AdditionalKeyExchange, link))]
}

/// RFC 9370 section 2.2.4: a link that the responder does not know, or not any more.
#[test]
fn an_unknown_link_is_not_found() {
    let mut pair = Pair::up(both(KEM_768));
    let (_, answer) = pair.forge(B, ExchangeType::IkeFollowupKe, 3, &followup(&[1, 2, 3, 4], &[0; 1184]));
    assert_eq!(answer, "IkeFollowupKe response 3 SK {N(StateNotFound)}");
    assert!(pair.is_up(), "the IKE_SA goes on");
    // Without link it makes no sense.
    let (_, answer) = pair.forge(B, ExchangeType::IkeFollowupKe, 4, &followup(&[], &[])[..1]);
    assert_eq!(answer, "IkeFollowupKe response 4 SK {N(InvalidSyntax)}");
    assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Down);
}

/// The initiator whose link is not found lets the old SA go on and tries again. A responder that has lost power would have lost the
/// IKE_SA, so the state is taken away by another request of the same end here.
#[test]
fn a_rekey_whose_link_is_not_found_is_tried_again() {
    let mut pair = up(both(KEM_768), 1);
    pair.undertake(A, Undertaking::RekeyChild);
    pair.run_for(Duration::from_millis(15));
    pair.ends[B].peer.v2.forget_pending();
    pair.traffic(Duration::from_millis(50), pair.now + secs(2));
    assert!(pair.ladder.contains("N(StateNotFound)"), "{}", pair.ladder);
    assert!(pair.is_up());
    pair.traffic(secs(1), pair.now + secs(100));
    assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    assert_eq!(pair.ladder.matches("child up, replaces one").count(), 2, "{}", pair.ladder);
    assert_eq!(pair.esp_lost, 0);
}

/// A tunnel without additional key exchanges has no follow-up, even if the IKE_SA had some.
#[test]
fn phases_are_independent() {
    let mut configs = both(KEM_768);
    for config in &mut configs {
        config.esp_offers[0].additional.clear();
    }
    let mut pair = up(configs, 1);
    pair.undertake(A, Undertaking::RekeyChild);
    pair.traffic(Duration::from_millis(10), pair.now + secs(1));
    assert!(pair.is_up() && !pair.ladder.contains("IkeFollowupKe"), "{}", pair.ladder);
    let mut configs = both(KEM_768);
    for config in &mut configs {
        config.ike_offers[0].additional.clear();
        // Without a group of its own the additional exchange is the only one.
        config.esp_offers[0].groups.clear();
    }
    let mut pair = up(configs, 1);
    assert_eq!(pair.ladder, "");
    pair.undertake(A, Undertaking::RekeyChild);
    pair.traffic(Duration::from_millis(10), pair.now + secs(1));
    assert!(pair.is_up() && pair.ladder.contains("IkeFollowupKe"), "{}", pair.ladder);
}

/// Keys of both ends come from what was on the wire: ends that agree on another method have another key, which [`Pair::is_symmetric`]
/// would not let pass.
#[test]
fn every_method_makes_its_own_keys() {
    let mut seen = Vec::new();
    for method in [KEM_512, KEM_768, KEM_1024, Method::Dh(crate::crypto::dh::DhGroup::Ecp256)] {
        let mut pair = up(both(method), 7);
        pair.undertake(B, Undertaking::RekeyChild);
        pair.traffic(Duration::from_millis(10), pair.now + secs(1));
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
        seen.push(pair.ends[A].installed.values().next().unwrap().inbound.clone());
    }
    assert!((1..seen.len()).all(|i| !seen[..i].contains(&seen[i])));
}
