//! Liveness, power loss, DELETE of the IKE_SA.

use super::pair::{A, B, Pair, configs};
use crate::proto::ike::config::{DpdAction, DpdBase, DpdModel};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State, TimerKind};
use crate::time::{Duration, Instant};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// AWS: 10 s of silence, three probes 10 s apart, dead 40 s after the last packet.
#[test]
fn a_silent_peer_is_dead_forty_seconds_after_its_last_packet() {
    let mut pair = Pair::up(configs());
    // The last packet from A reaches B at a round number.
    pair.run_until(Instant::from_nanos(4_990_000_000));
    pair.send_esp(A);
    pair.run_until(Instant::from_secs(5));
    pair.dark = [true, true];
    pair.run_until(Instant::from_secs(44));
    assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Up);
    pair.run_until(Instant::from_secs(60));
    let at = |s| Instant::from_secs(s);
    assert_eq!(pair.entered(B, SaKind::Ike, State::Down), Some((at(45), Reason::PeerDead)));
    let expired: Vec<_> = pair.ends[B].expired.iter().map(|(now, timer, armed_at)| (*now, *timer, *armed_at)).collect();
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

/// The API's sentence: 30 s after the first failed keepalive.
#[test]
fn the_dpd_timeout_may_count_from_the_first_probe() {
    let mut configs = configs();
    configs[B].dpd.model = DpdModel::Timeout { interval: secs(10), timeout: secs(30), base: DpdBase::FirstFailedProbe };
    let mut pair = Pair::up(configs);
    pair.dark = [true, true];
    let last = pair.ends[B].states.last().unwrap().0;
    pair.run_for(secs(60));
    let (dead, reason) = pair.entered(B, SaKind::Ike, State::Down).unwrap();
    assert_eq!((dead, reason), (last + secs(40), Reason::PeerDead));
}

/// strongSwan: the idle delay, then the whole series of 4 s x 1.8^n with five retransmissions.
#[test]
fn a_retransmission_series_may_decide() {
    let mut configs = configs();
    configs[B].dpd.model = DpdModel::RetransmissionSeries;
    let mut pair = Pair::up(configs);
    pair.dark = [true, true];
    let last = pair.ends[B].states.last().unwrap().0;
    pair.run_for(secs(200));
    let (dead, reason) = pair.entered(B, SaKind::Ike, State::Down).unwrap();
    let series: u64 = (0..6).map(|n| 4_000_000_000 * 9u64.pow(n) / 5u64.pow(n)).sum();
    let exact = last + secs(10) + Duration::from_nanos(series);
    assert!(exact.since(dead) < Duration::from_nanos(100), "rounded down each time");
    assert_eq!(reason, Reason::PeerDead);
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

/// AWS checks a peer behind a NAT every 10 s, whatever arrives from it (AWS Knowledge Center); the peer itself, which is on
/// demand, keeps silent while AWS sends. 29 checks from 1 s to 299 s with their answers: the first comes 10 s after IKE_AUTH,
/// each other 10 s and a round trip after the one before.
#[test]
fn a_busy_peer_behind_a_nat_is_asked_all_the_same() {
    let mut pair = Pair::new(configs());
    pair.nat = Some(("192.0.2.77".parse().unwrap(), 40_000));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_until(Instant::from_secs(1));
    let before = pair.datagrams;
    pair.traffic(secs(1), Instant::from_secs(299));
    assert_eq!(pair.datagrams - before, 2 * 29);
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

/// One way only: B hears A and answers into the void. A must notice alone, and what it has lost is replaced at B.
#[test]
fn a_one_way_blackhole_is_noticed_by_the_deaf_end() {
    let mut pair = Pair::up(configs());
    pair.dark[B] = true;
    pair.run_for(secs(50));
    assert!(pair.entered(A, SaKind::Ike, State::Connecting).unwrap().1 == Reason::DpdRestart);
    pair.dark[B] = false;
    pair.run_for(secs(60));
    assert!(pair.is_up(), "{}", pair.ladder);
    assert_eq!(pair.ends[B].installed.len(), 1, "{}", pair.ladder);
}

/// RFC 7296 section 2.4: a rebooted peer says INITIAL_CONTACT, and what it has forgotten goes at once.
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
    assert!(pair.is_up(), "{}", pair.ladder);
}

#[test]
fn deletes_that_cross_end_alike_on_both_sides() {
    let mut pair = Pair::up(configs());
    pair.input(A, Input::Close);
    pair.input(B, Input::Close);
    pair.run_for(secs(100));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.ends.iter().all(|end| end.peer.wake().is_none()));
}

/// A lost response to DELETE is asked for again and given again.
#[test]
fn a_lost_response_to_delete_is_repeated() {
    let mut pair = Pair::up(configs());
    pair.fates.insert(1, super::pair::Fate::Drop);
    pair.input(A, Input::Close);
    pair.run_for(secs(10));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::AdminDown);
}

/// Without IKE rekeying the IKE_SA ends with its lifetime, and the end that is to keep the tunnel up makes a new one.
#[test]
fn an_ike_sa_at_the_end_of_its_life_is_made_anew() {
    let mut configs = configs();
    configs[B].ike_lifetime = secs(900);
    let mut pair = Pair::up(configs);
    pair.traffic(secs(1), Instant::from_secs(902));
    assert!(pair.is_up(), "{}", pair.ladder);
    let downs = pair.ends[B].states.iter();
    let down: Vec<_> = downs.filter(|(_, sa, to, _)| (*sa, *to) == (SaKind::Ike, State::Down)).collect();
    assert_eq!(down.len(), 1, "{}", pair.ladder);
    assert_eq!(down[0].3, Reason::LifetimeExpired);
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
