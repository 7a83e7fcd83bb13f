//! IKE_INTERMEDIATE with additional key exchanges (RFC 9242, RFC 9370), on a good path and a bad one.

use super::pair::{A, B, Fate, Pair, configs};
use crate::crypto::dh::DhGroup;
use crate::crypto::exchange::Method;
use crate::crypto::kem::{KemPrivate, MlKem};
use crate::proto::ike::config::{Config, NatTraversal, Round, suite_aes256gcm_group20};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::rng::{Purpose, Rng};
use crate::time::Duration;
use crate::wire::ike::{ExchangeType, Payload};

pub const KEM_512: Method = Method::Kem(MlKem::MlKem512);
pub const KEM_768: Method = Method::Kem(MlKem::MlKem768);
pub const KEM_1024: Method = Method::Kem(MlKem::MlKem1024);

pub fn required(number: u8, methods: &[Method]) -> Round {
    Round { number, methods: methods.to_vec(), optional: false }
}

fn optional(number: u8, methods: &[Method]) -> Round {
    Round { number, methods: methods.to_vec(), optional: true }
}

/// Group 20 at both ends, with these rounds in both phases.
pub fn hybrid(rounds: [&[Round]; 2]) -> [Config; 2] {
    let mut configs = configs();
    for (config, rounds) in configs.iter_mut().zip(rounds) {
        let (mut ike, mut esp) = suite_aes256gcm_group20();
        ike.additional = rounds.to_vec();
        esp.additional = rounds.to_vec();
        config.ike_offers = vec![ike];
        config.esp_offers = vec![esp];
    }
    configs
}

/// As AWS names it: one required round.
pub fn both(method: Method) -> [Config; 2] {
    hybrid([&[required(1, &[method])], &[required(1, &[method])]])
}

fn start(configs: [Config; 2]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair
}

/// RFC 9370 section 2.2.2. The ML-KEM-768 key of 1,184 octets just fits into a packet.
#[test]
fn a_set_up_with_ml_kem_768() {
    let mut pair = start(both(KEM_768));
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// What IKE_INTERMEDIATE is for: 1,568 octets both ways, in fragments (RFC 7383), which AUTH covers as one message.
#[test]
fn a_set_up_with_ml_kem_1024_in_fragments() {
    let mut pair = start(both(KEM_1024));
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert!(pair.ends.iter().flat_map(|end| &end.sent).all(|sent| sent.len() + 28 <= 1280));
    // Whole or in fragments, it is the same message to AUTH.
    let mut whole = both(KEM_1024);
    whole[A].fragment_size = None;
    let mut pair = start(whole);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up() && !pair.ladder.contains("SKF"), "{}", pair.ladder);
}

/// Rounds are made in the order of their numbers, whatever their gaps, and of either kind.
#[test]
fn seven_rounds_and_two_with_a_gap() {
    let dh = [DhGroup::Ecp256, DhGroup::Ecp521, DhGroup::Modp1024, DhGroup::Curve25519].map(Method::Dh);
    let all: Vec<Method> = [KEM_1024, dh[0], KEM_512, dh[1], dh[2], KEM_768, dh[3]].into();
    let rounds: Vec<Round> = all.iter().zip(1..).map(|(method, number)| required(number, &[*method])).collect();
    let mut pair = start(hybrid([&rounds, &rounds]));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    let ids: Vec<usize> =
        all.iter().map(|method| pair.ladder.find(&format!("SK {{KE({})}}", method.id())).unwrap_or(0)).collect();
    // Both of ML-KEM-1024's messages are in fragments.
    assert!(ids[1..].is_sorted() && ids[1] > pair.ladder.find("IkeIntermediate request 1").unwrap());
    let two = [required(2, &[KEM_512]), required(7, &[KEM_768])];
    let mut pair = start(hybrid([&two, &two]));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    assert_eq!(pair.datagrams, 8);
}

/// RFC 9370 section 2.2.1: what one end does not offer there can be only if it may be missing.
#[test]
fn a_round_that_one_end_has_alone() {
    let none: &[Round] = &[];
    let (must, may) = ([required(1, &[KEM_768])], [optional(1, &[KEM_768])]);
    let other = [optional(1, &[KEM_512])];
    let rounds = |configs: [&[Round]; 2]| {
        let mut pair = start(hybrid(configs));
        pair.run_for(Duration::from_millis(500));
        let (up, rounds) = (pair.is_up(), pair.ladder.matches("IkeIntermediate request").count());
        if !up {
            let down = pair.entered(A, SaKind::Ike, State::Down).unwrap().1;
            assert_eq!(down, Reason::NoProposalChosen, "{}", pair.ladder);
        }
        up.then_some(rounds)
    };
    assert_eq!(rounds([&must, &must]), Some(1));
    assert_eq!(rounds([&must, &may]), Some(1));
    assert_eq!(rounds([&may, &must]), Some(1));
    assert_eq!(rounds([&may, &may]), Some(1));
    assert_eq!(rounds([&may, none]), Some(0));
    assert_eq!(rounds([none, &may]), Some(0));
    assert_eq!(rounds([&may, &other]), Some(0));
    assert_eq!(rounds([&must, none]), None);
    assert_eq!(rounds([none, &must]), None);
    assert_eq!(rounds([&must, &other]), None);
    assert_eq!(rounds([&other, &must]), None);
}

/// The same method twice adds nothing, and must not be agreed on (RFC 9370 section 2.2.1): with two choices for the first round
/// the one that leaves the other to the second is taken.
#[test]
fn every_round_has_a_method_of_its_own() {
    let rounds = [required(1, &[KEM_512, KEM_768]), required(2, &[KEM_512])];
    let mut pair = start(hybrid([&rounds, &rounds]));
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    let (first, second) = (pair.ladder.find("KE(36)").unwrap(), pair.ladder.find("KE(35)").unwrap());
    assert!(first < second, "{}", pair.ladder);
    let twice = [required(1, &[KEM_512]), required(2, &[KEM_512])];
    let mut pair = start(hybrid([&twice, &twice]));
    pair.run_for(Duration::from_millis(500));
    assert!(!pair.is_up());
    // Nor the group of the first exchange.
    let same = [required(1, &[Method::Dh(DhGroup::Ecp384)])];
    let mut pair = start(hybrid([&same, &same]));
    pair.run_for(Duration::from_millis(500));
    assert!(!pair.is_up());
}

/// RFC 7296 section 2.1 holds for IKE_INTERMEDIATE: the request is sent again, and answered again with the keys of then.
#[test]
fn the_loss_of_each_message_is_repaired_by_the_initiator() {
    let mut ladders = String::new();
    for lost in 0..6 {
        let mut pair = Pair::new(both(KEM_768)).with_fate(lost, Fate::Drop);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(6));
        assert!(pair.is_up(), "{}", pair.ladder);
        ladders.push_str(&format!("datagram {lost} is lost\n{}\n", pair.ladder));
    }
    insta::assert_snapshot!(ladders);
}

/// The same with fragments, and behind a NAT that makes both ends float to port 4500.
#[test]
fn a_bad_path_changes_nothing() {
    let late = Duration::from_millis(4_500);
    for fate in [Fate::Drop, Fate::Duplicate, Fate::Late(late)] {
        for method in [KEM_768, KEM_1024] {
            for number in 0..8 {
                let mut configs = both(method);
                configs[A].nat = NatTraversal::Force;
                let mut pair = Pair::new(configs).with_fate(number, fate);
                pair.input(A, Input::Initiate(Reason::Startup));
                pair.run_for(Duration::from_secs(60));
                assert!(pair.is_up() && pair.is_symmetric(), "{fate:?} {number}\n{}", pair.ladder);
                assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{}", pair.ladder);
            }
        }
    }
}

/// Nobody answers IKE_INTERMEDIATE: the initiator gives up after its last retransmission, the responder earlier.
#[test]
fn a_path_that_breaks_after_ike_sa_init() {
    let mut pair = start(both(KEM_768));
    pair.run_for(Duration::from_millis(15));
    pair.dark = [true; 2];
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.ends[B].states.last().map(|s| s.3), Some(Reason::HalfOpenTimeout));
    let (_, reason) = pair.entered(A, SaKind::Ike, State::Down).unwrap();
    assert_eq!(reason, Reason::RetransmitExhausted);
}

/// Until the first request has come.
fn half_way(configs: [Config; 2]) -> Pair {
    let mut pair = start(configs);
    pair.run_for(Duration::from_millis(25));
    assert!(pair.ladder.contains("IkeIntermediate request 1"), "{}", pair.ladder);
    assert_eq!(pair.ends[B].sent.len(), 1);
    pair
}

const INTERMEDIATE: ExchangeType = ExchangeType::IkeIntermediate;

/// A request that is authentic and no use is refused, and the attempt is over.
#[test]
fn a_request_without_the_right_key_exchange_data_is_refused() {
    let mut rng = Rng::stream(1, "key", Purpose::Test);
    let good = KemPrivate::generate(MlKem::MlKem768, &mut rng).public().to_vec();
    let mut above_modulus = good.clone();
    above_modulus[..2].copy_from_slice(&[0xff, 0xff]);
    let ke = |group, data| Payload::Ke { group, data };
    let cases: [(ExchangeType, Vec<Payload<'_>>); 5] = [
        (INTERMEDIATE, Vec::new()),
        (INTERMEDIATE, vec![ke(35, &good)]),
        (INTERMEDIATE, vec![ke(36, &good[1..])]),
        (INTERMEDIATE, vec![ke(36, &above_modulus)]),
        (ExchangeType::IkeAuth, vec![ke(36, &good)]),
    ];
    for (exchange, payloads) in cases {
        let mut pair = half_way(both(KEM_768));
        let (_, answer) = pair.forge(B, exchange, 1, &payloads);
        assert_eq!(answer, format!("{exchange:?} response 1 SK {{N(InvalidSyntax)}}"));
        assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Down);
        // The answer is there to be asked for again.
        assert_eq!(pair.forge(B, exchange, 1, &payloads).1, answer);
    }
    let mut pair = half_way(both(KEM_768));
    assert_eq!(pair.forge(B, INTERMEDIATE, 1, &[ke(36, &good)]).1, "IkeIntermediate response 1 SK {KE(36)}");
}

/// A forged message has no effect, and an unknown critical payload is named.
#[test]
fn what_is_not_authentic_has_no_effect() {
    let mut pair = half_way(both(KEM_768));
    let header = pair.forged_header(B, INTERMEDIATE, 1);
    let mut bytes = pair.forged(B, &header, &[], usize::MAX).remove(0);
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(pair.hand(B, &bytes).1, "");
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
}

/// An end that did not agree to the exchange has none.
#[test]
fn without_agreement_there_is_no_exchange() {
    let mut pair = Pair::up(configs());
    let (_, answer) = pair.forge(B, INTERMEDIATE, 2, &[]);
    assert_eq!(answer, "IkeIntermediate response 2 SK {N(InvalidSyntax)}");
    let mut pair = start(configs());
    pair.run_for(Duration::from_millis(25));
    assert_eq!(pair.forge(B, INTERMEDIATE, 1, &[]).1, "");
}
