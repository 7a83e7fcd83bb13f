//! Two speakers, one session: who says what, when.

use super::*;
use crate::proto::bgp::policy::{Change, Policy};

/// When something that `matches` happened at an end first.
pub(super) fn first(pair: &Pair, end: usize, matches: impl Fn(&Output) -> bool) -> Option<Instant> {
    pair.log.iter().find(|(_, who, output)| *who == end && matches(output)).map(|(at, _, _)| *at)
}

fn is_established(output: &Output) -> bool {
    matches!(output, Output::State { to: State::Established, .. })
}

fn is_down(output: &Output) -> bool {
    matches!(output, Output::State { to: State::Idle, .. })
}

/// One connects, the other waits: SYN, accept, both OPENs, both KEEPALIVEs, both End-of-RIBs. At 10 ms one way B
/// accepts at 10 ms and its OPEN arrives at 20; A's OPEN leaves at 20 and arrives at 30; KEEPALIVEs cross: A
/// is established at 40 (OPEN of A at 30 makes B send its KEEPALIVE), B at 30, when A's KEEPALIVE of 20 arrives.
#[test]
fn setting_up() {
    let mut pair = Pair::new(config(65000, 64512, 2), config(64512, 65000, 1));
    let mut passive = config(64512, 65000, 1);
    passive.peers[0].passive = true;
    passive.networks = vec![(net("10.0.0.0/16"), Originated::default())];
    pair.ends[B] = speaker(passive);
    pair.start();
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Established; 2]);
    insta::assert_snapshot!(pair.ladder());
    let millis = |n| Some(Instant::START + Duration::from_millis(n));
    assert_eq!(first(&pair, B, is_established), millis(30));
    assert_eq!(first(&pair, A, is_established), millis(40));
}

/// Both connect at once, so both connections reach OpenSent at both ends, and section 6.8 decides: the connection that the end
/// with the higher identifier opened stays. 169.254.10.2 (A) against .1, then the other way round.
#[test]
fn collision_both_ways() {
    for (a_host, winner) in [(2, A), (1, B)] {
        let mut pair = Pair::new(config(65000, 64512, a_host), config(64512, 65000, 3 - a_host));
        pair.start();
        pair.run(secs(1));
        assert_eq!(pair.states(), [State::Established; 2]);
        assert_eq!(pair.conns.len(), 2, "two connections, one from each end");
        for (end, conns) in [A, B].map(|end| (end, pair.conns.iter().map(move |ids| ids[end]))) {
            let open: Vec<_> = conns.flatten().collect();
            assert_eq!(open.len(), 1, "end {end} keeps one\n{}", pair.ladder());
            assert_eq!(open[0].is_initiated(), end == winner);
        }
        // Cease 6/7 goes out on the connection that loses, and the session never falls back to Idle.
        let ceased: Vec<_> = [A, B].map(|end| pair.notifications(end)).concat();
        assert!(!ceased.is_empty());
        assert!(ceased.iter().all(|said| *said == (6, 7, vec![])), "{ceased:?}");
        for end in [A, B] {
            assert_eq!(first(&pair, end, is_down), None, "{}", pair.ladder());
        }
        // It lasts.
        pair.run(secs(300));
        assert_eq!(pair.states(), [State::Established; 2]);
    }
}

/// The two connections of a collision, message by message.
#[test]
fn collision_ladder() {
    let mut pair = Pair::usual();
    pair.start();
    pair.run(secs(1));
    insta::assert_snapshot!(pair.ladder());
}

/// Section 6.8: an established connection stays, whoever opened the new one. B lost its state, A does not know yet.
#[test]
fn an_established_connection_wins() {
    let mut pair = Pair::usual();
    pair.establish();
    let before = pair.log.len();
    // B restarts and reconnects while A still believes in the old connection: its RST got lost.
    pair.ends[B] = speaker(config(64512, 65000, 1));
    for ids in &mut pair.conns {
        ids[B] = None;
    }
    let peer = PEER;
    pair.input(B, Input::Start { peer });
    pair.run(secs(2));
    let said: Vec<_> = pair.log[before..]
        .iter()
        .filter_map(|(_, end, output)| match output {
            Output::Step { codes, step: Step::NotificationMessageSent, .. } => Some((*end, *codes)),
            _ => None,
        })
        .collect();
    assert_eq!(said, [(A, Some((6, 7)))], "{}", pair.ladder());
    assert_eq!(pair.states(), [State::Established, State::Idle]);
    // Once A's HoldTimer gave the old connection up, they find each other again.
    pair.run(secs(200));
    assert_eq!(pair.states(), [State::Established; 2], "{}", pair.ladder());
}

/// Nothing arrives any more. Without jitter both ends sent their last KEEPALIVE on whole tens of seconds after their
/// session came up, and each gives up exactly 30 s after the last one that arrived; then 4/0 and an orderly close.
#[test]
fn hold_timers_expire_to_the_nanosecond() {
    let mut pair = Pair::usual();
    pair.establish();
    pair.run(secs(35));
    pair.dark = true;
    let last = |end: usize| {
        let heard = |output: &Output| {
            matches!(output, Output::Step { step: Step::KeepaliveMessageReceived | Step::EndOfRibReceived, .. })
        };
        let all = pair.log.iter().rev();
        all.clone().find(|(_, who, output)| *who == end && heard(output)).map(|(at, _, _)| *at).unwrap()
    };
    let expected = [last(A), last(B)].map(|at| at + Duration::from_secs(30));
    pair.run(secs(70));
    for end in [A, B] {
        assert_eq!(first(&pair, end, is_down), Some(expected[end]), "{}", pair.ladder());
        let told = Output::Expired {
            peer: Some(PEER),
            timer: TimerKind::HoldTimer,
            armed_at: Instant::from_nanos(expected[end].as_nanos() - 30_000_000_000),
        };
        assert!(pair.log.contains(&(expected[end], end, told)));
        assert_eq!(pair.notifications(end).last(), Some(&(4, 0, vec![])));
    }
}

/// Section 4.2: the smaller of the two hold times counts, and KEEPALIVEs come at a third of it (section 4.4).
#[test]
fn the_smaller_hold_time_counts() {
    let mut a = config(65000, 64512, 2);
    a.peers[0].hold_time = Duration::from_secs(180);
    let mut pair = Pair::new(a, config(64512, 65000, 1));
    pair.establish();
    pair.run(secs(65));
    for end in [A, B] {
        let times: Vec<_> = pair.sent(end).filter(|(_, bytes)| bytes.len() == 19).map(|(at, _)| at).collect();
        let late = times.windows(2).map(|w| w[1].since(w[0]));
        let late: Vec<_> = late.filter(|gap| *gap > Duration::from_secs(1)).collect();
        assert!(late.len() >= 4 && late.iter().all(|gap| *gap == Duration::from_secs(10)));
    }
}

/// Section 4.2: a hold time of zero switches both timers off. A dead path goes unnoticed.
#[test]
fn without_hold_time_nothing_expires() {
    let mut a = config(65000, 64512, 2);
    a.peers[0].hold_time = Duration::ZERO;
    let mut pair = Pair::new(a, config(64512, 65000, 1));
    pair.establish();
    pair.dark = true;
    pair.run(secs(100_000));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.ends[A].wake(), None);
}

/// The wrong AS at one end: 2/2, and after the idle-hold time another attempt.
#[test]
fn a_wrong_as_keeps_the_session_down() {
    let mut pair = Pair::new(config(65000, 64999, 2), config(64512, 65000, 1));
    pair.start();
    pair.run(secs(100));
    assert!(pair.notifications(A).contains(&(2, 2, vec![])));
    for end in [A, B] {
        assert_eq!(first(&pair, end, is_established), None);
    }
    let attempts = |pair: &Pair| {
        let connects =
            |(_, end, output): &&(Instant, usize, Output)| *end == A && matches!(output, Output::Connect { .. });
        pair.log.iter().filter(connects).count()
    };
    assert!(attempts(&pair) > 10, "{}", attempts(&pair));
}

/// An operator's stop: Cease 6/2 with the subcode as given, routes gone at both ends, and no return before a start.
#[test]
fn administrative_shutdown() {
    let mut a = config(65000, 64512, 2);
    a.networks = vec![(net("192.168.0.0/16"), Originated::default())];
    let mut pair = Pair::new(a, config(64512, 65000, 1));
    pair.establish();
    assert_eq!(pair.ends[B].routes().len(), 1);
    pair.log.clear();
    let (peer, subcode) = (PEER, 2);
    pair.input(A, Input::Stop { peer, subcode, communication: "" });
    pair.run(secs(2));
    assert_eq!(pair.notifications(A), [(6, 2, vec![])]);
    assert!(pair.ends[B].routes().is_empty());
    assert_eq!(pair.ends[A].routes().len(), 1, "our own stay");
    pair.run(secs(500));
    assert_eq!(pair.ends[A].state(PEER), State::Idle);
    pair.input(A, Input::Start { peer });
    pair.run(secs(800));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.ends[B].routes().len(), 1);
}

/// Power loss sends nothing; the other end notices by its HoldTimer and both come back after a start.
#[test]
fn power_loss_is_silent() {
    let mut a = config(65000, 64512, 2);
    a.networks = vec![(net("192.168.0.0/16"), Originated::default())];
    let mut pair = Pair::new(a, config(64512, 65000, 1));
    pair.establish();
    pair.log.clear();
    pair.input(A, Input::Reset);
    for ids in &mut pair.conns {
        ids[A] = None;
    }
    pair.run(secs(20));
    assert_eq!(pair.sent(A).count(), 0);
    assert!(pair.ends[A].routes().is_empty());
    assert_eq!(pair.states(), [State::Idle, State::Established]);
    pair.run(secs(40));
    assert!(first(&pair, B, is_down).is_some());
    pair.input(A, Input::Start { peer: PEER });
    pair.run(secs(300));
    assert_eq!(pair.states(), [State::Established; 2]);
    assert_eq!(pair.ends[B].routes().len(), 1);
}

/// The tunnel below goes down: the session at once, and back without waiting once it is up.
#[test]
fn the_lower_layer_rules() {
    let mut pair = Pair::usual();
    pair.establish();
    pair.log.clear();
    let peer = PEER;
    pair.input(A, Input::LowerLayerDown { peer, reason: Reason::TunnelDown });
    pair.run(secs(100));
    let down = Output::State { peer, from: State::Established, to: State::Idle, reason: Reason::TunnelDown };
    assert_eq!(first(&pair, A, |output| *output == down), Some(secs(1)));
    assert_eq!(pair.ends[A].state(PEER), State::Idle);
    pair.input(A, Input::LowerLayerUp { peer, reason: Reason::TunnelUp });
    let up =
        first(&pair, A, |output| matches!(output, Output::State { reason: Reason::TunnelUp, to: State::Connect, .. }));
    assert_eq!(up, Some(secs(100)));
    pair.run(secs(101));
    assert_eq!(pair.states(), [State::Established; 2], "{}", pair.ladder());
}

/// DelayOpen (section 8.1.1): the OPEN waits, unless the other end's comes first.
#[test]
fn delayed_open() {
    let mut a = config(65000, 64512, 2);
    a.peers[0].delay_open = Some(Duration::from_secs(5));
    let mut b = config(64512, 65000, 1);
    b.peers[0].passive = true;
    let mut pair = Pair::new(a.clone(), b.clone());
    pair.start();
    pair.run(secs(4));
    assert_eq!(pair.states(), [State::Established; 2], "B's OPEN ended the wait");

    b.peers[0].delay_open = Some(Duration::from_secs(7));
    let mut pair = Pair::new(a, b);
    pair.start();
    pair.run(secs(20));
    let opened = pair.sent(A).next().unwrap().0;
    // A is connected after a round trip of 20 ms.
    assert_eq!(opened, secs(5) + Duration::from_millis(20));
    assert_eq!(pair.states(), [State::Established; 2]);
}

/// A peer that cannot count beyond 65535 (RFC 6793): a wide AS goes to it as AS_TRANS and with AS4_PATH beside it, and
/// comes through it whole; the session itself is with AS_TRANS.
#[test]
fn a_two_octet_peer() {
    let mut wide = config(4_200_000_000, 64512, 2);
    wide.networks = vec![(net("192.168.0.0/16"), Originated::default())];
    wide.peers[0].export = Policy::change_all(vec![Change::Prepend(1)]);
    let mut old = config(64512, u32::from(open::AS_TRANS), 1);
    old.peers[0].capabilities.four_octet_as = false;
    // An old speaker sees no 4-octet capability, so it takes the peer for AS 23456.
    let mut pair = Pair::new(wide, old);
    pair.start();
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Established; 2], "{}", pair.ladder());
    let open = pair.sent(A).find(|(_, bytes)| bytes[18] == 1).unwrap().1;
    assert_eq!(open[20..22], open::AS_TRANS.to_be_bytes());
    let entry = pair.ends[B].routes().get(&net("192.168.0.0/16")).unwrap();
    let path = &entry.best_route().attributes.as_path;
    assert_eq!(*path, as_path::AsPath::sequence([4_200_000_000; 2]));
}
