//! CHILD_SA rekeying: no packet is lost, whatever is lost, and whoever else begins.

use super::pair::{A, B, Fate, Pair, configs};
use crate::proto::ike::config::Config;
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Rekeying at 3,060 s to 3,330 s of 3,600 (margin 270 s, fuzz 100 %), by the given ends.
fn rekeying(ends: &[usize]) -> [Config; 2] {
    let mut configs = configs();
    for &end in ends {
        configs[end].rekey.initiates = true;
        configs[end].rekey.fuzz_percent = 0;
    }
    configs
}

const DUE: Instant = Instant::from_secs(3_330);

/// Runs both ends with steady traffic over the rekeying time.
fn over_rekey(pair: &mut Pair) {
    pair.traffic(secs(5), Instant::from_secs(3_325));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair.traffic(Duration::from_millis(1), Instant::from_secs(3_332));
}

#[test]
fn a_rekey_loses_no_packet() {
    let mut pair = Pair::up(rekeying(&[A]));
    over_rekey(&mut pair);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.esp_lost, 0);
    assert!(pair.esp_delivered > 10_000);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
    assert!(DUE < pair.now);
}

/// RFC 4303 section 3.3.3: when sequence numbers run low, a successor comes long before its time, and no packet is lost. Asking
/// again while that is under way, or for what is gone, does nothing; an end that leaves rekeying to its peer does nothing either.
#[test]
fn a_rekey_can_be_asked_for() {
    let mut pair = Pair::up(rekeying(&[A]));
    pair.traffic(secs(1), pair.now + secs(60));
    let first = pair.ends[A].sending.unwrap();
    pair.datagrams = 0;
    for spi_in in [first, first, 0x0bad_c0de] {
        pair.input(A, Input::RekeyChild { spi_in });
    }
    pair.traffic(Duration::from_millis(1), pair.now + secs(2));
    assert!(pair.is_up());
    assert_ne!(pair.ends[A].sending, Some(first));
    assert_eq!((pair.datagrams, pair.esp_lost), (4, 0), "CREATE_CHILD_SA and DELETE, each with its answer");
    pair.input(A, Input::RekeyChild { spi_in: first });
    let of_b = pair.ends[B].sending.unwrap();
    pair.input(B, Input::RekeyChild { spi_in: of_b });
    pair.traffic(Duration::from_millis(1), pair.now + secs(2));
    assert_eq!(pair.datagrams, 4);
}

/// Extended sequence numbers, NULL encryption and AH each last over a rekey, and their SAs go by a DELETE that names the
/// right protocol.
#[test]
fn what_is_beyond_the_common_is_rekeyed_too() {
    use crate::crypto::suite::{Encryption, Integrity};
    use crate::proto::ike::config::{ChildProtocol, Esn};
    fn extended(config: Config) -> Config {
        Config { esn: vec![Esn::Yes], ..config }
    }
    fn null(mut config: Config) -> Config {
        for offer in &mut config.esp_offers {
            offer.encryption = vec![Encryption::Null];
            offer.integrity = vec![Integrity::HmacSha2_256_128];
        }
        config
    }
    fn ah(config: Config) -> Config {
        Config { child_protocol: ChildProtocol::Ah, ..null(config) }
    }
    for (change, protocol, esn) in [
        (extended as fn(Config) -> Config, ChildProtocol::Esp, Esn::Yes),
        (null, ChildProtocol::Esp, Esn::No),
        (ah, ChildProtocol::Ah, Esn::No),
    ] {
        let mut pair = Pair::up(rekeying(&[A]).map(change));
        let before = pair.ends[A].sending;
        over_rekey(&mut pair);
        assert!(pair.is_up(), "{}", pair.ladder);
        assert_ne!(pair.ends[A].sending, before);
        assert_eq!(pair.esp_lost, 0);
        for end in &pair.ends {
            let suites: Vec<_> = end.installed.values().map(|child| (child.suite.protocol, child.suite.esn)).collect();
            assert_eq!(suites, [(protocol, esn)]);
        }
    }
}

/// A responder that hears nothing on the new SA waits for the DELETE.
#[test]
fn without_traffic_the_delete_moves_the_responder() {
    let mut pair = Pair::up(rekeying(&[A]));
    pair.run_until(Instant::from_secs(3_329));
    pair.ladder.clear();
    pair.run_until(Instant::from_secs(3_331));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

#[test]
fn the_loss_of_each_message_of_a_rekey_loses_no_packet() {
    for lost in 0..4 {
        let mut pair = Pair::up(rekeying(&[B]));
        pair.traffic(secs(5), Instant::from_secs(3_325));
        pair.datagrams = 0;
        pair.fates.insert(lost, Fate::Drop);
        pair.traffic(Duration::from_millis(1), Instant::from_secs(3_340));
        assert!(pair.is_up(), "{}", pair.ladder);
        assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
        assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
    }
}

/// RFC 7296 section 2.8.1. Which of the two SAs goes depends on the nonces, so several seeds.
#[test]
fn both_ends_at_once_end_with_one_sa() {
    let mut ladder = String::new();
    for seed in 1..=8 {
        let mut pair = Pair::seeded(rekeying(&[A, B]), seed);
        // The same birth at both ends makes the same rekey time.
        pair.delay = Duration::ZERO;
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(secs(1));
        pair.delay = Duration::from_millis(10);
        over_rekey(&mut pair);
        assert!(pair.is_up(), "{}", pair.ladder);
        assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
        assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{}", pair.ladder);
        if seed == 1 {
            ladder = pair.ladder;
        }
    }
    insta::assert_snapshot!(ladder);
}

/// The requests cross, and one of the two sides' messages is lost or late.
#[test]
fn both_ends_at_once_on_a_bad_path() {
    for fate in [Fate::Drop, Fate::Duplicate, Fate::Late(secs(5))] {
        for hit in 0..8 {
            let mut pair = Pair::seeded(rekeying(&[A, B]), 3);
            pair.delay = Duration::ZERO;
            pair.input(A, Input::Initiate(Reason::Startup));
            pair.run_for(secs(1));
            pair.delay = Duration::from_millis(10);
            pair.traffic(secs(5), Instant::from_secs(3_325));
            pair.ladder.clear();
            pair.datagrams = 0;
            pair.fates.insert(hit, fate);
            pair.traffic(Duration::from_millis(10), Instant::from_secs(3_400));
            assert!(pair.is_up(), "{fate:?} {hit}\n{}", pair.ladder);
            assert_eq!(pair.esp_lost, 0, "{fate:?} {hit}\n{}", pair.ladder);
            assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{fate:?} {hit}\n{}", pair.ladder);
        }
    }
}

/// The responder wants another group for PFS: INVALID_KE_PAYLOAD, and the request again.
#[test]
fn a_rekey_is_repeated_with_the_right_group() {
    use crate::crypto::dh::DhGroup;
    let mut configs = rekeying(&[A]);
    configs[A].esp_offers[0].groups = vec![DhGroup::Ecp256, DhGroup::Ecp384];
    configs[B].esp_offers[0].groups = vec![DhGroup::Ecp384];
    let mut pair = Pair::up(configs);
    over_rekey(&mut pair);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    let sa = pair.ends[A].installed.values().next().unwrap();
    assert_eq!(sa.suite.group, Some(DhGroup::Ecp384));
}

/// PFS is demanded here and not offered there: the first CHILD_SA has none anyway, so the mistake shows an hour later.
#[test]
fn a_refused_rekey_leaves_the_old_sa_until_its_lifetime() {
    let mut configs = rekeying(&[A]);
    configs[A].esp_offers[0].groups = Vec::new();
    let mut pair = Pair::up(configs);
    pair.traffic(secs(1), Instant::from_secs(3_590));
    assert!(pair.is_up(), "{}", pair.ladder);
    assert!(pair.ladder.contains("N(NoProposalChosen)"));
    pair.traffic(secs(1), Instant::from_secs(3_603));
    let down = |end: usize| pair.entered(end, SaKind::Child, State::Down).unwrap();
    // B was born first, so its lifetime ends first; A hears of it 10 ms later.
    assert_eq!(down(B).1, Reason::LifetimeExpired, "{}", pair.ladder);
    assert_eq!(down(A).1, Reason::PeerDeleted, "{}", pair.ladder);
    assert!(down(A).0 >= Instant::from_secs(3_600));
}

/// Fuzz draws from the timers' stream alone: 3,060 s to 3,330 s with AWS's defaults.
#[test]
fn rekey_times_follow_margin_and_fuzz() {
    use crate::proto::ike::config::{AWS_CHILD_LIFETIME, RekeyLaw};
    use crate::rng::{Purpose, Seldom};
    let mut rekey = super::pair::configs()[B].rekey;
    let mut rng = Seldom::stream(1, "rekey", Purpose::Test);
    let mut range = |rekey: crate::proto::ike::config::Rekey| {
        let draws: Vec<_> = (0..2_000).map(|_| rekey.after(AWS_CHILD_LIFETIME, &mut rng)).collect();
        (*draws.iter().min().unwrap(), *draws.iter().max().unwrap())
    };
    let (low, high) = range(rekey);
    assert!(low >= secs(3_060) && low < secs(3_062), "{low}");
    assert!(high <= secs(3_330) && high > secs(3_328), "{high}");
    rekey.law = RekeyLaw::WithinMargin;
    let (low, high) = range(rekey);
    assert!(low >= secs(3_330) && low < secs(3_332), "{low}");
    assert!(high <= secs(3_600) && high > secs(3_598), "{high}");
}
