//! A session that depends on BFD (RFC 5882 section 10.2, RFC 9384).

use super::ladder::first;
use super::*;

/// BFD says that the peer is not reached: the session is down at once for its own reason, the peer is told with Cease 6/10 if it hears,
/// and both try again as after any failure.
#[test]
fn what_bfd_says_ends_the_session_at_once() {
    let mut pair = Pair::usual();
    pair.establish();
    pair.log.clear();
    pair.input(A, Input::BfdDown { peer: PEER });
    let down = |output: &Output| matches!(output, Output::State { to: State::Idle, reason: Reason::BfdDown, .. });
    assert!(first(&pair, A, down).is_some(), "{}", pair.ladder());
    let told = |step| move |output: &Output| matches!(output, Output::Step { step: s, codes: Some((6, 10)), .. } if *s == step);
    assert!(first(&pair, A, told(Step::NotificationMessageSent)).is_some());
    pair.run(secs(100));
    assert!(first(&pair, B, told(Step::NotificationMessageReceived)).is_some(), "{}", pair.ladder());
    assert_eq!(pair.states(), [State::Established; 2], "it does not wait for BFD: {}", pair.ladder());
}

/// A daemon that looks at its timers now and then acts on an expired HoldTimer late, by up to its granularity.
#[test]
fn an_event_loop_is_late_by_no_more_than_its_granularity() {
    let expiry = |poll: Duration, host: u8| {
        let mut a = config(65000, 64512, 2);
        a.peers[0].poll = poll;
        a.peers[0].name = format!("peer-{host}");
        let mut speaker = speaker(a);
        speaker.handle(secs(0), Input::Start { peer: PEER });
        let conn = ConnId::Initiated(0);
        speaker.handle(secs(0), Input::TcpConnected { peer: PEER, conn });
        let open = open::Open {
            asn: 64512,
            hold_time: 30,
            identifier: Ipv4Addr::new(169, 254, 10, 1),
            capabilities: open::Capabilities::USUAL,
        };
        speaker.handle(secs(0), Input::Received { conn, bytes: &open.emit() });
        speaker.handle(secs(0), Input::Received { conn, bytes: &message::keepalive() });
        assert_eq!(speaker.state(PEER), State::Established);
        while let Some((at, _)) = speaker.wake() {
            speaker.handle_timeout(at);
            if speaker.state(PEER) != State::Established {
                return at.since(secs(0));
            }
        }
        unreachable!("the hold timer runs");
    };
    assert_eq!(expiry(Duration::ZERO, 0), Duration::from_secs(30));
    let three = Duration::from_secs(3);
    let late: Vec<Duration> = (0..20).map(|host| expiry(three, host)).collect();
    assert!(late.iter().all(|at| (Duration::from_secs(30)..=Duration::from_secs(33)).contains(at)), "{late:?}");
    let (first, last) = (late.iter().min().unwrap(), late.iter().max().unwrap());
    assert!(last.saturating_sub(*first) > Duration::from_secs(1), "drawn anew: {late:?}");
}
