//! Rekeying of the IKE_SA: its CHILD_SAs go on under the new one, whatever is lost, and whoever else begins.

use super::pair::{A, B, Fate, Pair, configs};
use crate::crypto::dh::DhGroup;
use crate::proto::ike::config::Config;
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State, TimerKind};
use crate::time::{Duration, Instant};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// IKE_SAs that live 800 s and are rekeyed after 90 s by the given ends; CHILD_SAs outlive the test.
fn rekeying(ends: &[usize]) -> [Config; 2] {
    let mut configs = configs();
    for (end, config) in configs.iter_mut().enumerate() {
        config.ike_lifetime = secs(800);
        config.child_lifetime = secs(100_000);
        config.rekey.initiates = ends.contains(&end);
        config.rekey.margin = secs(710);
        config.rekey.fuzz_percent = 0;
    }
    configs
}

/// A tunnel whose ends were established at the same instant, so that their rekeys meet.
fn at_once(seed: u64) -> Pair {
    let mut pair = Pair::seeded(rekeying(&[A, B]), seed);
    pair.delay = Duration::ZERO;
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    pair.delay = Duration::from_millis(10);
    pair
}

/// Runs with a packet each 10 ms over the rekey at 90 s, with these fates of the datagrams from there on.
fn over_rekey(pair: &mut Pair, fates: &[(usize, Fate)], until: u64) {
    pair.traffic(secs(1), Instant::from_secs(89));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair.fates.extend(fates.iter().copied());
    pair.traffic(Duration::from_millis(10), Instant::from_secs(until));
}

/// One IKE_SA with one CHILD_SA at each end, the same, and no packet lost.
fn whole(pair: &Pair, what: &str) {
    assert!(pair.is_up(), "{what}\n{}", pair.ladder);
    assert_eq!(pair.esp_lost, 0, "{what}\n{}", pair.ladder);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{what}\n{}", pair.ladder);
    let live = pair.ends.each_ref().map(|end| end.peer.v2.established_spis());
    assert_eq!(live[A], live[B], "{what}\n{}", pair.ladder);
    assert_eq!(live[A].len(), 1, "{what}\n{}", pair.ladder);
}

#[test]
fn the_initiator_rekeys() {
    let mut pair = Pair::up(rekeying(&[A]));
    over_rekey(&mut pair, &[], 95);
    insta::assert_snapshot!(pair.ladder);
    whole(&pair, "");
}

#[test]
fn the_responder_rekeys_and_is_the_initiator_from_then_on() {
    let mut pair = Pair::up(rekeying(&[B]));
    over_rekey(&mut pair, &[], 95);
    insta::assert_snapshot!(pair.ladder);
    whole(&pair, "");
    // And again, with the roles that came of it.
    pair.traffic(secs(1), Instant::from_secs(500));
    whole(&pair, "");
    assert_eq!(pair.ike_suites().len(), 2 * (1 + 5));
}

/// AWS's phase 1: rekeyed 28,260 s to 28,530 s after its birth, of 28,800 s (margin 270 s, fuzz 100 %).
#[test]
fn aws_rekeys_phase_1_before_its_lifetime_ends() {
    let mut configs = configs();
    configs[B].rekey.initiates = true;
    let mut pair = Pair::up(configs);
    pair.traffic(secs(9), Instant::from_secs(29_000));
    assert!(pair.is_up());
    let due: Vec<Instant> = pair.ends[B].expired.iter().filter(|e| e.1 == TimerKind::IkeRekey).map(|e| e.0).collect();
    assert_eq!(due.len(), 1);
    assert!(due[0] >= Instant::from_secs(28_260) && due[0] <= Instant::from_secs(28_531), "{}", due[0]);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down), None);
}

/// CHILD_SAs that are rekeyed under the new IKE_SA take their keys from its SK_d: both ends agree on them.
#[test]
fn a_child_is_rekeyed_under_the_new_ike_sa() {
    let mut configs = rekeying(&[A]);
    for config in &mut configs {
        // With that margin a tenth of a lifetime is the least, 60 s.
        config.child_lifetime = secs(600);
    }
    let mut pair = Pair::up(configs);
    pair.traffic(Duration::from_millis(50), Instant::from_secs(400));
    whole(&pair, "");
    assert!(pair.ladder.contains("N(RekeySa)"));
}

#[test]
fn the_loss_duplication_or_delay_of_each_message_loses_no_packet() {
    for end in [A, B] {
        for fate in [Fate::Drop, Fate::Duplicate, Fate::Late(secs(6))] {
            for hit in 0..4 {
                let mut pair = Pair::up(rekeying(&[end]));
                over_rekey(&mut pair, &[(hit, fate)], 130);
                whole(&pair, &format!("{end} {fate:?} {hit}"));
            }
        }
    }
}

/// The group that was agreed on at first is tried first; the peer has another one since.
#[test]
fn a_rekey_is_repeated_with_the_right_group() {
    let mut configs = rekeying(&[B]);
    configs[B].ike_offers[0].groups = vec![DhGroup::Ecp256, DhGroup::Ecp384];
    let mut pair = Pair::up(configs);
    pair.ends[A].peer.v2.reconfigure(|config| config.ike_offers[0].groups = vec![DhGroup::Ecp384]);
    over_rekey(&mut pair, &[], 95);
    insta::assert_snapshot!(pair.ladder);
    whole(&pair, "");
}

/// A peer that refuses is asked again; when the lifetime ends, the IKE_SA is deleted and made anew (RFC 7296 section 2.8).
#[test]
fn a_refused_rekey_ends_with_the_lifetime() {
    let configs = rekeying(&[B]);
    let mut pair = Pair::up(configs);
    pair.traffic(secs(1), Instant::from_secs(89));
    // From here on the peer answers with NO_PROPOSAL_CHOSEN.
    pair.ends[A].peer.v2.reconfigure(|config| config.ike_offers[0].groups = vec![DhGroup::Ecp521]);
    pair.ladder.clear();
    pair.traffic(secs(1), Instant::from_secs(99));
    assert!(pair.ladder.contains("N(NoProposalChosen)"), "{}", pair.ladder);
    assert!(pair.is_up());
    pair.traffic(secs(1), Instant::from_secs(803));
    assert_eq!(pair.entered(B, SaKind::Ike, State::Deleting).unwrap().1, Reason::LifetimeExpired);
}

/// RFC 7296 section 2.8.2: both requests cross. Which heir goes depends on the nonces, so several seeds; the ladders of one in
/// which A's wins and one in which B's does.
#[test]
fn both_ends_at_once_end_with_one_ike_sa() {
    let mut ladders = std::collections::BTreeMap::new();
    for seed in 1..=8 {
        let mut pair = at_once(seed);
        over_rekey(&mut pair, &[], 97);
        whole(&pair, &format!("seed {seed}"));
        ladders.insert(pair.ends[A].peer.v2.is_initiator(), pair.ladder);
    }
    assert_eq!(ladders.len(), 2, "eight seeds show both outcomes");
    insta::assert_snapshot!("both_ends_at_once_the_responders_ike_sa_wins", ladders[&false]);
    insta::assert_snapshot!("both_ends_at_once_the_initiators_ike_sa_wins", ladders[&true]);
}

/// The requests cross, and one or two messages are lost, repeated or late.
#[test]
fn both_ends_at_once_on_a_bad_path() {
    let fates = [Fate::Drop, Fate::Duplicate, Fate::Late(Duration::from_millis(25)), Fate::Late(secs(5))];
    for seed in [1, 2, 3] {
        for first in fates {
            for second in fates {
                for (i, j) in (0..8).flat_map(|i| (i..8).map(move |j| (i, j))) {
                    let mut pair = at_once(seed);
                    over_rekey(&mut pair, &[(i, first), (j, second)], 98);
                    pair.traffic(Duration::from_millis(100), Instant::from_secs(150));
                    let what = format!("seed {seed}: {i} {first:?}, {j} {second:?}");
                    assert!(pair.is_up(), "{what}\n{}", pair.ladder);
                    assert_eq!(pair.esp_lost, 0, "{what}\n{}", pair.ladder);
                }
            }
        }
    }
}
