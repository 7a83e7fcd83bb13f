//! An established tunnel: rekeying of both phases, liveness, DELETE, restart, lifetimes.

use std::sync::Arc;

use super::pair::{A, B, Fate, Pair};
use super::{configs, fast_configs};
use crate::proto::ike::config::*;
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State, TimerKind};
use crate::time::{Duration, Instant};
use crate::wire::ike::TrafficSelector;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Rekeying 270 s before the end of a lifetime, by the given ends.
fn rekeying(mut configs: [Config; 2], ends: &[usize]) -> [Config; 2] {
    for &end in ends {
        configs[end].rekey.initiates = true;
        configs[end].rekey.fuzz_percent = 0;
    }
    configs
}

/// Runs with steady traffic until 5 s before `due`, then with a packet each millisecond until 2 s after it.
fn over(pair: &mut Pair, due: u64) {
    pair.traffic(secs(5), Instant::from_secs(due - 5));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair.traffic(Duration::from_millis(1), Instant::from_secs(due + 2));
}

#[test]
fn a_rekey_of_phase_2_loses_no_packet() {
    let mut pair = Pair::up(rekeying(configs(), &[A]));
    over(&mut pair, 3_330);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.esp_lost, 0);
    // The old pair receives until its lifetime ends.
    assert!(pair.ends.iter().all(|end| end.installed.len() == 2));
    pair.ladder.clear();
    pair.traffic(secs(5), Instant::from_secs(3_605));
    insta::assert_snapshot!("the_old_pair_ends_with_its_lifetime", pair.ladder);
    assert_eq!(pair.esp_lost, 0);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
}

/// RFC 4303 section 3.3.3: when sequence numbers run low, a successor comes before its time. RFC 4304: extended ones are an
/// attribute of both Quick Modes.
#[test]
fn a_rekey_can_be_asked_for() {
    let extended = fast_configs().map(|config| Config { esn: vec![Esn::Yes], ..config });
    let mut pair = Pair::up(rekeying(extended, &[A]));
    pair.traffic(secs(1), pair.now + secs(60));
    let first = pair.ends[A].sending.unwrap();
    pair.input(A, Input::RekeyChild { spi_in: first });
    pair.traffic(Duration::from_millis(1), pair.now + secs(2));
    assert!(pair.is_up());
    assert_ne!(pair.ends[A].sending, Some(first));
    assert_eq!(pair.esp_lost, 0);
    for end in &pair.ends {
        assert_eq!(end.installed.len(), 2);
        assert!(end.installed.values().all(|child| child.suite.esn == Esn::Yes));
    }
}

/// AWS has one pair of SAs for a tunnel (guide, "Your customer gateway device"): a Quick Mode for other networks takes it over, where
/// one for the same ones leaves the old pair to its lifetime.
#[test]
fn a_pair_for_other_networks_displaces_the_one_that_there_is() {
    let net = |text: &str| vec![TrafficSelector::prefix(text.parse().unwrap())];
    let of = |network: &str| {
        let [a, b] = rekeying(fast_configs(), &[A]);
        [Config { local_ts: net(network), ..a }, b]
    };
    for (second, left) in [(SecondChild::Displaces, 1), (SecondChild::Refused, 1), (SecondChild::Kept, 2)] {
        let [a, b] = of("10.1.0.0/24");
        let mut pair = Pair::up([a, Config { second_child: second, ..b }]);
        let spi_in = pair.ends[A].sending.unwrap();
        let [other, _] = of("10.2.0.0/24");
        pair.ends[A].peer.reconfigure(&Arc::new(other));
        pair.input(A, Input::RekeyChild { spi_in });
        // Long enough for the initiator to turn to it.
        pair.traffic(Duration::from_millis(10), pair.now + Duration::from_millis(700));
        for end in [A, B] {
            let installed = &pair.ends[end].installed;
            assert_eq!(installed.len(), left, "{second:?}\n{}", pair.ladder);
            let sends = &installed[&pair.ends[end].sending.unwrap()];
            let own = if end == A { &sends.local_ts } else { &sends.remote_ts };
            assert_eq!(*own, net("10.2.0.0/24"), "{second:?}\n{}", pair.ladder);
        }
    }
}

/// RFC 4304 section 2: who does not say it wants 32 bits, and a responder that has only the others refuses.
#[test]
fn extended_sequence_numbers_are_agreed_on_or_nothing_is() {
    for (a, b, agreed) in [
        (&[Esn::Yes, Esn::No][..], &[Esn::No][..], Some(Esn::No)),
        (&[Esn::Yes, Esn::No], &[Esn::Yes], Some(Esn::Yes)),
        (&[Esn::Yes], &[Esn::No], None),
        (&[Esn::No], &[Esn::Yes], None),
    ] {
        let mut configs = fast_configs();
        (configs[A].esn, configs[B].esn) = (a.to_vec(), b.to_vec());
        let mut pair = Pair::new(configs);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(secs(1));
        let suites: Vec<_> = pair.ends[B].installed.values().map(|child| child.suite.esn).collect();
        assert_eq!(suites, agreed.into_iter().collect::<Vec<_>>(), "{a:?} {b:?}\n{}", pair.ladder);
    }
}

/// Nothing answers the third message, and a responder may install the pair when it arrives: until the initiator hears it on the
/// new pair, or for half a second, it sends on the old one.
#[test]
fn nothing_overtakes_the_third_message_of_a_rekey() {
    let mut pair = Pair::up(rekeying(configs(), &[A]));
    pair.traffic(secs(5), Instant::from_secs(3_325));
    let old = pair.ends[A].sending;
    // The second message arrives at 3330.1 s, as in the ladder above; nobody sends.
    pair.run_until(Instant::from_nanos(3_330_590_000_000));
    assert_eq!((pair.ends[A].installed.len(), pair.ends[A].sending), (2, old));
    pair.run_until(Instant::from_nanos(3_330_610_000_000));
    assert_ne!(pair.ends[A].sending, old);
    pair.traffic(secs(1), Instant::from_secs(3_340));
    assert_eq!(pair.esp_lost, 0);
}

#[test]
fn the_loss_of_each_message_of_a_rekey_loses_no_packet() {
    for by in [A, B] {
        for lost in 0..3 {
            let mut pair = Pair::up(rekeying(fast_configs(), &[by]));
            pair.traffic(secs(5), Instant::from_secs(3_325));
            pair.datagrams = 0;
            pair.fates.insert(lost, Fate::Drop);
            pair.traffic(Duration::from_millis(10), Instant::from_secs(3_340));
            assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
            assert!(pair.is_up() && pair.ends.iter().all(|end| end.installed.len() == 2), "{}", pair.ladder);
        }
    }
}

/// Both ends rekey at once: two pairs are made, each end sends on the youngest that it knows, and both hear everything.
#[test]
fn rekeys_that_cross_lose_no_packet() {
    let mut pair = Pair::up(rekeying(fast_configs(), &[A, B]));
    over(&mut pair, 3_330);
    assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
    assert!(pair.is_up(), "{}", pair.ladder);
    pair.traffic(secs(5), Instant::from_secs(20_000));
    assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
    assert!(pair.ends.iter().all(|end| end.installed.len() <= 4), "pairs do not multiply");
}

/// A second Main Mode takes over the CHILD_SAs; who began it deletes the old ISAKMP SA.
#[test]
fn a_rekey_of_phase_1_keeps_the_child_sa() {
    let mut configs = rekeying(configs(), &[B]);
    configs[B].ike_lifetime = secs(1_200);
    let mut pair = Pair::up(configs);
    let before = pair.ends[A].sending;
    over(&mut pair, 930);
    // The peer has had time to give the CHILD_SA to the new ISAKMP SA when the old one is deleted.
    pair.traffic(secs(1), Instant::from_secs(945));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.esp_lost, 0);
    assert_eq!(pair.ends[A].sending, before);
    assert!(!pair.ends.iter().flat_map(|end| &end.states).any(|(_, _, to, _)| *to == State::Down));
}

#[test]
fn a_rekey_of_phase_1_survives_the_loss_of_each_message() {
    for by in [A, B] {
        for lost in 0..7 {
            let mut configs = rekeying(fast_configs(), &[by]);
            configs[by].ike_lifetime = secs(1_200);
            let mut pair = Pair::up(configs);
            pair.traffic(secs(5), Instant::from_secs(925));
            pair.datagrams = 0;
            pair.fates.insert(lost, Fate::Drop);
            pair.traffic(secs(1), Instant::from_secs(1_500));
            assert!(pair.is_up(), "{by} {lost}\n{}", pair.ladder);
            assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
        }
    }
}

/// RFC 2407 section 4.5.4: a responder that wants less says so, in both phases, and the initiator obeys.
#[test]
fn the_shorter_lifetime_counts_at_both_ends() {
    let mut configs = fast_configs();
    configs[B].ike_lifetime = secs(2_000);
    configs[B].child_lifetime = secs(1_000);
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    assert_eq!(pair.ladder.matches("N(ResponderLifetime)").count(), 2, "{}", pair.ladder);
    pair.traffic(secs(5), Instant::from_secs(990));
    assert!(pair.ends.iter().all(|end| end.expired.iter().all(|(_, timer, _)| *timer != TimerKind::ChildLifetime)));
    pair.traffic(secs(5), Instant::from_secs(1_010));
    let ended = |end: usize| pair.ends[end].expired.iter().any(|(_, timer, _)| *timer == TimerKind::ChildLifetime);
    assert!(ended(A) || ended(B), "{}", pair.ladder);
    assert!(pair.is_up(), "the initiator makes a new one\n{}", pair.ladder);
}

/// AWS: 10 s of silence, three checks 10 s apart, dead 40 s after the last packet; the same as with IKEv2.
#[test]
fn a_silent_peer_is_dead_forty_seconds_after_its_last_packet() {
    let mut pair = Pair::up(configs());
    pair.run_until(Instant::from_nanos(4_990_000_000));
    pair.send_esp(A);
    pair.run_until(Instant::from_secs(5));
    pair.dark = [true, true];
    pair.run_until(Instant::from_secs(44));
    assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Up);
    pair.run_until(Instant::from_secs(60));
    let at = |s| Instant::from_secs(s);
    assert_eq!(pair.entered(B, SaKind::Ike, State::Down), Some((at(45), Reason::PeerDead)));
    let expired: Vec<_> = pair.ends[B].expired.clone();
    assert_eq!(
        expired,
        [
            (at(15), TimerKind::DpdIdle, at(5)),
            (at(25), TimerKind::Retransmission, at(15)),
            (at(35), TimerKind::Retransmission, at(25)),
            (at(45), TimerKind::DpdTimeout, at(5)),
        ]
    );
    assert!(pair.ends[B].installed.is_empty());
    assert_eq!(pair.ends[B].peer.wake(), None, "clear: it stays down");
}

#[test]
fn an_idle_peer_is_asked_and_a_busy_one_is_not() {
    let mut pair = Pair::up(configs());
    pair.run_until(Instant::from_secs(12));
    insta::assert_snapshot!(pair.ladder);
    pair.run_until(Instant::from_secs(300));
    assert!(pair.is_up());
    let before = pair.datagrams;
    pair.traffic(secs(1), Instant::from_secs(600));
    assert_eq!(pair.datagrams, before, "on demand only");
}

/// Two checks are lost; the answer to the third is enough.
#[test]
fn one_answer_in_time_is_enough() {
    let mut pair = Pair::up(configs());
    pair.dark[A] = true;
    pair.run_until(Instant::from_secs(25));
    pair.dark[A] = false;
    pair.run_until(Instant::from_secs(300));
    assert!(pair.is_up(), "{}", pair.ladder);
    assert!(pair.ends.iter().all(|end| end.states.iter().all(|(_, _, to, _)| *to != State::Down)), "{}", pair.ladder);
}

#[test]
fn with_action_none_nobody_asks() {
    let mut configs = configs();
    for config in &mut configs {
        config.dpd.action = DpdAction::None;
    }
    let mut pair = Pair::up(configs);
    pair.dark = [true, true];
    pair.run_for(secs(3_000));
    assert_eq!(pair.datagrams, 0);
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
}

#[test]
fn restart_brings_the_tunnel_back_after_a_blackhole() {
    let mut pair = Pair::up(configs());
    pair.dark = [true, true];
    pair.run_for(secs(60));
    pair.dark = [false, false];
    pair.run_for(secs(60));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// RFC 2407 section 4.6.3.3: a rebooted peer says INITIAL-CONTACT, and what it has forgotten goes at once.
#[test]
fn a_rebooted_peer_replaces_its_old_sas() {
    let mut pair = Pair::up(configs());
    pair.input(A, Input::Reset);
    pair.ends[A].installed.clear();
    pair.run_for(secs(2));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.ends[B].installed.len(), 1);
}

#[test]
fn close_deletes_and_stays_down() {
    let mut pair = Pair::up(configs());
    pair.input(A, Input::Close);
    pair.run_for(secs(100));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.ends.iter().all(|end| end.installed.is_empty()));
    assert!(pair.ends.iter().all(|end| end.peer.wake().is_none()));
}

/// The peer deletes, but this end is configured to keep the tunnel up.
#[test]
fn startup_start_initiates_again_after_a_delete() {
    let mut pair = Pair::up(configs());
    pair.run_for(secs(5));
    pair.input(B, Input::Close);
    pair.run_for(secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up(), "{}", pair.ladder);
}

#[test]
fn deletes_that_cross_end_alike_on_both_sides() {
    let mut pair = Pair::up(fast_configs());
    pair.input(A, Input::Close);
    pair.input(B, Input::Close);
    pair.run_for(secs(100));
    assert!(pair.ends.iter().all(|end| end.installed.is_empty() && end.peer.wake().is_none()), "{}", pair.ladder);
}

/// Nothing answers a DELETE (RFC 2409 section 5.7), so the loss of it is found by DPD.
#[test]
fn a_lost_delete_is_found_by_dpd() {
    let mut pair = Pair::up(configs());
    pair.fates.extend([(0, Fate::Drop), (1, Fate::Drop)]);
    pair.input(B, Input::Close);
    pair.run_for(secs(39));
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
    pair.run_for(secs(3));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.ends[A].states.iter().any(|(_, sa, _, reason)| (*sa, *reason) == (SaKind::Ike, Reason::PeerDead)));
}

/// Without rekeying the ISAKMP SA ends with its lifetime, and the end that is to keep the tunnel up makes a new one.
#[test]
fn an_isakmp_sa_at_the_end_of_its_life_is_made_anew() {
    let mut configs = fast_configs();
    configs[B].ike_lifetime = secs(900);
    let mut pair = Pair::up(configs);
    pair.traffic(secs(1), Instant::from_secs(902));
    assert!(pair.is_up(), "{}", pair.ladder);
}

#[test]
fn an_unknown_spi_is_reported_to_the_peer() {
    let mut pair = Pair::up(configs());
    let forgotten = *pair.ends[B].installed.keys().next().unwrap();
    pair.input(B, Input::UnknownSpi { spi: forgotten });
    pair.run_for(secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up(), "A has made a new CHILD_SA\n{}", pair.ladder);
}

/// The third message is lost and the initiator sends at once: its packets wait for the repetition, and nobody gives the CHILD_SA up.
#[test]
fn traffic_ahead_of_the_third_message_is_no_unknown_spi() {
    let mut pair = Pair::new(fast_configs()).with_fate(8, Fate::Drop);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    let spi = pair.ends[A].installed.values().next().unwrap().spi_out;
    assert!(pair.ends[B].installed.is_empty());
    pair.input(B, Input::UnknownSpi { spi });
    pair.run_for(secs(5));
    assert!(pair.is_up() && !pair.ladder.contains("InvalidSpi"), "{}", pair.ladder);
}

/// Guide, "Tunnel options" (DPD): a peer behind a NAT is asked periodically, not only when nothing else is heard of it. Asked every 10 s from the
/// time at which the last message of IKE came, so 29 times in the 299 s that are left, with an answer each.
#[test]
fn a_busy_peer_behind_a_nat_is_asked_all_the_same() {
    let asked = |periodic_for_nat| {
        let mut configs = configs();
        configs[B].dpd.periodic_for_nat = periodic_for_nat;
        configs[A].dpd.periodic_for_nat = periodic_for_nat;
        let mut pair = Pair::new(configs);
        pair.nat = Some(("192.0.2.77".parse().unwrap(), 40_000));
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_until(Instant::from_secs(1));
        let before = pair.datagrams;
        pair.traffic(secs(1), Instant::from_secs(299));
        assert!(pair.is_up());
        pair.datagrams - before
    };
    assert_eq!(asked(true), 2 * 29);
    assert_eq!(asked(false), 0);
}
