//! Timers: their lengths, their jitter, and what re-arms them.

use super::*;
use crate::proto::bgp::message::{self, keepalive};

/// Section 10: KeepaliveTimer lasts 0.75 to 1 times its value, uniformly. 4,000 draws of 10 s: none outside 7.5 to
/// 10 s, and the empirical distribution nowhere farther from the uniform one than the Kolmogorov-Smirnov bound for
/// p = 0.001, 1.949 / sqrt(n) = 0.0308 (Smirnov's asymptotic law, 2 exp(-2 n d^2) = 0.001).
#[test]
fn keepalives_are_jittered_uniformly() {
    let mut ours = config(65000, 64512, 2);
    ours.peers[0].jitter = Jitter::Rfc4271;
    let mut solo = Solo::open_sent(ours);
    solo.receive(&usual_open());
    solo.receive(&keepalive());
    solo.drain();
    let mut gaps = Vec::new();
    let mut last = solo.now;
    while gaps.len() < 4_000 {
        let (at, timer) = solo.speaker.wake().unwrap();
        assert_eq!(timer, TimerKind::KeepaliveTimer, "the peer's KEEPALIVEs keep the rest quiet");
        solo.now = at;
        solo.speaker.handle_timeout(at);
        gaps.push(at.since(last).as_nanos());
        last = at;
        solo.receive(&keepalive());
        solo.drain();
    }
    gaps.sort_unstable();
    assert!(gaps[0] >= 7_500_000_000 && gaps[3_999] <= 10_000_000_000);
    let farthest = gaps
        .iter()
        .enumerate()
        .map(|(rank, &gap)| {
            let law = (gap as f64 - 7.5e9) / 2.5e9;
            let (below, above) = (rank as f64 / 4e3, (rank + 1) as f64 / 4e3);
            (law - below).abs().max((above - law).abs())
        })
        .fold(0.0, f64::max);
    assert!(farthest < 0.0308, "{farthest}");
    // And not suspiciously close either: p = 0.001 on that side is 0.0056 (KS quantile 0.354 / sqrt(n)).
    assert!(farthest > 0.0056, "{farthest}");
}

/// Section 10 exempts HoldTimer; BIRD does not.
#[test]
fn hold_timer_is_exact_unless_bird_is_played() {
    let lengths = |jitter| {
        let mut ours = config(65000, 64512, 2);
        ours.peers[0].jitter = jitter;
        let mut solo = Solo::open_sent(ours);
        solo.receive(&usual_open());
        solo.receive(&keepalive());
        (0..50)
            .map(|_| {
                solo.now += Duration::from_secs(1);
                solo.receive(&keepalive());
                solo.speaker.peers[0].main.hold.at().since(solo.now)
            })
            .collect::<Vec<_>>()
    };
    let exact = Duration::from_secs(30);
    assert!(lengths(Jitter::Rfc4271).iter().all(|&hold| hold == exact));
    let bird = lengths(Jitter::Bird);
    assert!(bird.iter().all(|&hold| hold <= exact && hold >= Duration::from_millis(22_500)));
    assert!(bird.iter().any(|&hold| hold < Duration::from_secs(25)));
}

/// Section 8.2.2, events 26 and 27: KEEPALIVE and UPDATE re-arm HoldTimer; ROUTE-REFRESH does not.
#[test]
fn what_rearms_the_hold_timer() {
    let refresh = message::emit(message::MessageType::RouteRefresh, |out| {
        out.extend_from_slice(&[0, 1, 0, 1]);
    });
    let cases = [(keepalive(), true), (update::end_of_rib::<Ipv4Net>(), true), (refresh, false)];
    for (bytes, rearms) in cases {
        let mut solo = Solo::established();
        let before = solo.speaker.peers[0].main.hold.at();
        solo.now += Duration::from_secs(3);
        solo.receive(&bytes);
        let after = solo.speaker.peers[0].main.hold.at();
        assert_eq!(after.since(before), Duration::from_secs(if rearms { 3 } else { 0 }));
    }
}

/// Section 8.2.2: four minutes for the peer's OPEN, then 4/0.
#[test]
fn the_large_hold_time() {
    let mut solo = Solo::open_sent(config(65000, 64512, 2));
    assert_eq!(solo.speaker.wake(), Some((secs(241), TimerKind::HoldTimer)));
    solo.now = secs(241);
    solo.speaker.handle_timeout(solo.now);
    assert_eq!(solo.notification(), Some((4, 0, vec![])));
}

/// A connection that does not come up is given up and tried again every ConnectRetryTime; a failed one leads to Active and
/// from there, with the same timer, to the next attempt (or to Idle, as the RFC has it).
#[test]
fn connect_retry() {
    let mut solo = speaker(config(65000, 64512, 2));
    solo.handle(secs(0), Input::Start { peer: PEER });
    assert_eq!(solo.wake(), Some((secs(120), TimerKind::ConnectRetryTimer)));
    solo.handle_timeout(secs(120));
    let outputs: Vec<_> = core::iter::from_fn(|| solo.poll()).collect();
    let abandoned = Output::Close { conn: ConnId::Initiated(0), abortive: true };
    let again = Output::Connect { peer: PEER, conn: ConnId::Initiated(1) };
    let place = |wanted: &Output| outputs.iter().position(|output| output == wanted);
    assert!(place(&abandoned).unwrap() < place(&again).unwrap());

    let (peer, conn) = (PEER, ConnId::Initiated(1));
    let mut strict = solo.clone();
    solo.handle(secs(121), Input::TcpFailed { peer, conn });
    assert_eq!(solo.state(PEER), State::Active);
    assert_eq!(solo.wake(), Some((secs(241), TimerKind::ConnectRetryTimer)));
    strict.peers[0].config.listen_after_failure = false;
    strict.handle(secs(121), Input::TcpFailed { peer, conn });
    assert_eq!(strict.state(PEER), State::Idle);
    assert_eq!(strict.wake(), Some((secs(122), TimerKind::IdleHoldTimer)));
}

/// DampPeerOscillations: 1, 2, 4, 8, 8 s with a limit of 8 s, and 1 s again after a quiet spell.
#[test]
fn oscillations_are_damped() {
    let mut ours = config(65000, 64512, 2);
    ours.peers[0].damping = Some(Damping { limit: Duration::from_secs(8), forget_after: Duration::from_secs(300) });
    let mut solo = speaker(ours);
    let mut now = secs(0);
    solo.handle(now, Input::Start { peer: PEER });
    let mut waits = Vec::new();
    for round in 0..6 {
        let conn = ConnId::Initiated(round);
        solo.handle(now, Input::TcpConnected { peer: PEER, conn });
        if round == 5 {
            now += Duration::from_secs(300);
        }
        let bytes = &[0; 19];
        solo.handle(now, Input::Received { conn, bytes });
        let (at, timer) = solo.wake().unwrap();
        assert_eq!(timer, TimerKind::IdleHoldTimer);
        waits.push(at.since(now).as_nanos() / 1_000_000_000);
        now = at;
        solo.handle_timeout(now);
    }
    assert_eq!(waits, [1, 2, 4, 8, 8, 1]);
}

/// A session that began with a collision of connections (section 6.8) has not failed yet: its first failure is the first.
#[test]
fn a_lost_collision_is_not_damped() {
    let damped = |mut config: SpeakerConfig| {
        config.peers[0].damping =
            Some(Damping { limit: Duration::from_secs(8), forget_after: Duration::from_secs(300) });
        config
    };
    let mut pair = Pair::new(damped(config(65000, 64512, 2)), damped(config(64512, 65000, 1)));
    pair.establish();
    assert!(pair.ladder().contains("notification_sent 6/7"), "both connected: {}", pair.ladder());
    pair.dark = true;
    pair.run(secs(40));
    for end in [A, B] {
        let idle = |output: &Output| matches!(output, Output::State { from: State::Established, .. });
        let again = |output: &Output| matches!(output, Output::State { from: State::Idle, to: State::Connect, .. });
        let mut log = pair.log.iter().filter(|(_, who, _)| *who == end);
        let failed = log.find(|(_, _, output)| idle(output)).expect("the hold timer expired").0;
        let tried = log.find(|(_, _, output)| again(output)).expect("it tries again").0;
        assert_eq!(tried.since(failed), Duration::from_secs(1), "idle_hold, not doubled");
    }
}

/// Section 9.2.1.1: after an UPDATE, what changes within MinRouteAdvertisementInterval goes together at its end, and what
/// changed back not at all.
#[test]
fn route_advertisements_are_spaced() {
    let mut ours = config(65000, 64512, 2);
    ours.peers[0].route_advertisement = Duration::from_secs(5);
    let mut solo = Solo::open_sent(ours);
    solo.receive(&usual_open());
    solo.receive(&keepalive());
    solo.drain();
    let route = Originated::default();
    let originate = |solo: &mut Solo, prefix| {
        let route = route.clone();
        solo.give(Input::Originate { prefix: net(prefix), route });
        updates(&solo.drain())
    };
    assert_eq!(originate(&mut solo, "10.0.0.0/16"), 1, "at once");
    assert_eq!(originate(&mut solo, "10.1.0.0/16"), 0);
    assert_eq!(originate(&mut solo, "10.2.0.0/16"), 0);
    let prefix = net("10.2.0.0/16");
    solo.give(Input::WithdrawOriginated { prefix });
    assert_eq!(solo.speaker.wake(), Some((secs(6), TimerKind::MinRouteAdvertisement)));
    solo.now = secs(6);
    solo.speaker.handle_timeout(solo.now);
    assert_eq!(updates(&solo.drain()), 1);
    assert_eq!(solo.speaker.adj_rib_out(PEER).len(), 2);
}

/// Section 9.2.1.2: the same for our own routes as a whole.
#[test]
fn originations_are_spaced() {
    let mut ours = config(65000, 64512, 2);
    ours.min_as_origination = Duration::from_secs(15);
    let mut solo = speaker(ours);
    for prefix in ["10.0.0.0/16", "10.1.0.0/16"] {
        let route = Originated::default();
        solo.handle(secs(1), Input::Originate { prefix: net(prefix), route });
    }
    assert_eq!(solo.routes().len(), 1);
    assert_eq!(solo.wake(), Some((secs(16), TimerKind::MinAsOrigination)));
    solo.handle_timeout(secs(16));
    assert_eq!(solo.routes().len(), 2);
}

/// A timeout that comes without need, or twice, changes nothing.
#[test]
fn spurious_timeouts_are_harmless() {
    let mut solo = Solo::established();
    let before = solo.speaker.wake();
    solo.speaker.handle_timeout(solo.now);
    assert_eq!((solo.speaker.poll(), solo.speaker.wake()), (None, before));
}

fn updates(outputs: &[Output]) -> usize {
    let is_update = |output: &&Output| matches!(output, Output::Send { bytes, .. } if bytes[18] == 2);
    outputs.iter().filter(is_update).count()
}
