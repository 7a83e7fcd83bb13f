//! Graceful restart (RFC 4724, RFC 8538): the end that restarts, and the end that waits for it.

use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, update};
use super::*;

const KEPT: &str = "10.0.0.0/16";
const LOST: &str = "10.9.0.0/16";

/// A helper A, a restarting B with one network in its configuration and one that an operator typed, and a network of A.
fn pair(adjust: impl Fn(&mut GracefulRestart)) -> Pair {
    let mut graceful = GracefulRestart::default();
    adjust(&mut graceful);
    let (mut a, mut b) = (config(65000, 64512, 2), config(64512, 65000, 1));
    for end in [&mut a, &mut b] {
        end.peers[0].graceful_restart = Some(graceful);
    }
    a.networks.push((net("10.1.0.0/16"), Originated::default()));
    b.networks.push((net(KEPT), Originated::default()));
    let mut pair = Pair::new(a, b);
    pair.establish();
    let (prefix, route) = (net(LOST), Originated::default());
    pair.input(B, Input::Originate { prefix, route });
    pair.run(pair.now + Duration::from_secs(5));
    assert_eq!(prefixes(&pair, A), ["10.0.0.0/16", "10.1.0.0/16", "10.9.0.0/16"]);
    pair.log.clear();
    pair
}

fn prefixes(pair: &Pair, end: usize) -> Vec<String> {
    pair.ends[end].routes().iter().map(|(prefix, _)| prefix.to_string()).collect()
}

/// The route changes of an end: when, to what, whether it is there then, and why.
fn changes(pair: &Pair, end: usize) -> Vec<(Instant, String, bool, Reason)> {
    let of = |(at, who, output): &(Instant, usize, Output)| match output {
        Output::Route(change) if *who == end => {
            Some((*at, change.prefix.to_string(), change.to.is_some(), change.reason))
        }
        _ => None,
    };
    pair.log.iter().filter_map(of).collect()
}

fn expired(pair: &Pair, end: usize, kind: TimerKind) -> Option<(Instant, Instant)> {
    pair.log.iter().find_map(|(at, who, output)| match output {
        Output::Expired { timer, armed_at, .. } if (*who, *timer) == (end, kind) => Some((*at, *armed_at)),
        _ => None,
    })
}

fn run(pair: &mut Pair, seconds: u64) {
    pair.run(pair.now + Duration::from_secs(seconds));
}

/// The whole of it. A keeps both routes without a change while B is away, B says R and F, and at B's End-of-RIB only what B
/// did not say again goes. B keeps forwarding by A's route, and sends its table when it has A's.
#[test]
fn a_restart_that_nobody_notices() {
    let mut pair = pair(|_| {});
    pair.input(B, Input::Restart { forwarding: true });
    let down = pair.now;
    run(&mut pair, 3);
    assert_ne!(pair.states()[A], State::Established);
    assert!(pair.log.iter().any(|(_, end, o)| *end == A && *o == Output::Retained { peer: PEER, routes: 2 }));
    assert_eq!(prefixes(&pair, A), ["10.0.0.0/16", "10.1.0.0/16", "10.9.0.0/16"]);
    assert_eq!((changes(&pair, A), changes(&pair, B)), (vec![], vec![]));

    pair.input(B, Input::Start { peer: PEER });
    run(&mut pair, 5);
    assert_eq!(pair.states(), [State::Established; 2], "{}", pair.ladder());
    let open = pair.sent(B).find(|(at, bytes)| *at > down && bytes[18] == 1).unwrap().1;
    // R, 120 s, IPv4 unicast, F.
    assert!(open.ends_with(&[64, 6, 0x80, 120, 0, 1, 1, 0x80]), "{open:?}");
    let gone = changes(&pair, A);
    assert_eq!(gone.iter().map(|c| (&c.1[..], c.2, c.3)).collect::<Vec<_>>(), [(LOST, false, Reason::NotRefreshed)]);
    // B's typed network is its own loss; A's route never moved.
    let own: Vec<_> = changes(&pair, B).into_iter().map(|c| (c.1, c.2)).collect();
    assert_eq!(own, [(LOST.to_owned(), false)]);

    // Section 4.1: B's table and End-of-RIB follow A's End-of-RIB.
    let place = |end: usize, wanted: Step| {
        let is = |(_, who, output): &(Instant, usize, Output)| {
            *who == end && matches!(output, Output::Step { step, .. } if *step == wanted)
        };
        pair.log.iter().position(is).unwrap()
    };
    assert!(place(B, Step::EndOfRibReceived) < place(B, Step::UpdateSent), "{}", pair.ladder());
    assert!(place(B, Step::UpdateSent) < place(B, Step::EndOfRibSent));
    // The next OPEN is an ordinary one.
    pair.log.clear();
    pair.input(A, Input::Stop { peer: PEER, subcode: 4, communication: "" });
    pair.input(A, Input::Start { peer: PEER });
    run(&mut pair, 5);
    let open = pair.sent(B).find(|(_, bytes)| bytes[18] == 1).unwrap().1;
    assert!(open.ends_with(&[64, 6, 0x00, 120, 0, 1, 1, 0x80]), "{open:?}");
}

/// Section 4.2: a peer that does not come back is waited for as long as it asked, counted from the end of the session.
#[test]
fn a_peer_that_does_not_come_back() {
    let mut pair = pair(|graceful| graceful.restart_time = Duration::from_secs(90));
    let down = pair.now + pair.delay;
    pair.input(B, Input::Restart { forwarding: true });
    run(&mut pair, 200);
    let over = down + Duration::from_secs(90);
    assert_eq!(expired(&pair, A, TimerKind::RestartTimer), Some((over, down)));
    let expected = [KEPT, LOST].map(|prefix| (over, prefix.to_owned(), false, Reason::StaleExpired));
    assert_eq!(changes(&pair, A), expected);
}

/// Section 4.2, last paragraph: stale routes have an end of their own. B comes back with a session that says nothing more.
#[test]
fn a_peer_that_never_ends_its_table() {
    let mut limited = config(65000, 64512, 2);
    let stale_path_time = Duration::from_secs(200);
    limited.peers[0].graceful_restart = Some(GracefulRestart { stale_path_time, ..GracefulRestart::default() });
    let mut solo = restartable(limited, true);
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    let down = solo.now;
    assert_eq!(solo.speaker.routes().len(), 1);
    come_back(&mut solo, true);
    let wake_of = |solo: &Solo| solo.speaker.wake().unwrap();
    while wake_of(&solo).1 != TimerKind::StalePathTimer {
        solo.now = wake_of(&solo).0;
        solo.speaker.handle_timeout(solo.now);
        solo.receive(&message::keepalive());
    }
    assert_eq!(wake_of(&solo).0, down + stale_path_time);
    assert_eq!(solo.speaker.routes().len(), 1);
    solo.now = wake_of(&solo).0;
    solo.speaker.handle_timeout(solo.now);
    assert!(solo.speaker.routes().is_empty());
}

/// An established session with graceful restart at both ends and one route, whose peer is the test.
fn restartable(config: SpeakerConfig, forwarding: bool) -> Solo {
    let mut solo = Solo::open_sent(config);
    solo.receive(&restart_open(false, Some(forwarding)));
    solo.receive(&message::keepalive());
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10]));
    assert!(solo.speaker.routes().get(&net("10.0.0.0/8")).is_some());
    solo.drain();
    solo
}

fn restart_open(restarted: bool, forwarding: Option<bool>) -> Vec<u8> {
    let restart = open::RestartCapability {
        restarted,
        notification: false,
        restart_time: 120,
        forwarding,
        ipv6_forwarding: None,
    };
    let capabilities = open::Capabilities { graceful_restart: Some(restart), ..open::Capabilities::USUAL };
    open::Open { asn: 64512, hold_time: 30, identifier: Ipv4Addr::new(169, 254, 10, 1), capabilities }.emit()
}

/// The peer connects again, and says whether it forwarded.
fn come_back(solo: &mut Solo, forwarded: bool) {
    solo.now += Duration::from_secs(5);
    solo.speaker.handle_timeout(solo.now);
    solo.conn = ConnId::Accepted(7);
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    solo.receive(&restart_open(true, Some(forwarded)));
    solo.receive(&message::keepalive());
    assert_eq!(solo.speaker.state(PEER), State::Established);
}

fn graceful() -> SpeakerConfig {
    let mut config = config(65000, 64512, 2);
    config.peers[0].graceful_restart = Some(GracefulRestart::default());
    config
}

/// Section 4.2: without F nothing that is stale is used on, from the new session's beginning.
#[test]
fn a_peer_whose_forwarding_did_not_survive() {
    for (forwarded, left) in [(true, 1), (false, 0)] {
        let mut solo = restartable(graceful(), true);
        solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
        come_back(&mut solo, forwarded);
        assert_eq!(solo.speaker.routes().len(), left, "{forwarded}");
    }
}

/// Section 4.2: a peer that may restart and opens a new connection has restarted: the old one is closed without a word, and
/// not the new one for a collision (RFC 4271 section 6.8).
#[test]
fn a_new_connection_ends_the_old_one() {
    let mut solo = restartable(graceful(), true);
    let old = solo.conn;
    solo.conn = ConnId::Accepted(7);
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    solo.drain();
    solo.receive(&restart_open(true, Some(true)));
    let outputs = solo.drain();
    assert!(outputs.contains(&Output::Close { conn: old, abortive: false }), "{outputs:?}");
    assert!(!outputs.iter().any(|o| matches!(o, Output::Send { bytes, .. } if bytes[18] == 3)));
    assert_eq!(solo.speaker.routes().len(), 1);
    solo.receive(&message::keepalive());
    assert_eq!(solo.speaker.state(PEER), State::Established);
    // And without graceful restart it is the collision that it looks like.
    let mut solo = Solo::established();
    solo.conn = ConnId::Accepted(7);
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    solo.receive(&usual_open());
    assert_eq!(solo.notification().map(|(code, subcode, _)| (code, subcode)), Some((6, 7)));
}

/// Who keeps routes over what: RFC 4724 over the loss of the connection only, RFC 8538 over NOTIFICATIONs and the hold timer
/// too, and nobody over an operator's stop, which says Hard Reset where both ends know it.
#[test]
fn what_routes_outlive() {
    let kept = |pair: &Pair| pair.ends[A].routes().get(&net(KEPT)).is_some();
    for notification in [false, true] {
        let bit = |graceful: &mut GracefulRestart| graceful.notification = notification;
        let mut stopped = pair(bit);
        stopped.input(B, Input::Stop { peer: PEER, subcode: 2, communication: "bye" });
        run(&mut stopped, 1);
        assert!(!kept(&stopped), "a stop, {notification}");
        let (code, subcode, data) = stopped.notifications(B).remove(0);
        match notification {
            true => assert_eq!((code, subcode, &data[..2]), (6, 9, &[6, 2][..])),
            false => assert_eq!((code, subcode, &data[..]), (6, 2, &b"\x03bye"[..])),
        }

        let mut dark = pair(bit);
        dark.dark = true;
        run(&mut dark, 31);
        assert_ne!(dark.states()[A], State::Established);
        assert_eq!(kept(&dark), notification, "the hold timer");

        let mut wrong = pair(bit);
        let conn = ConnId::Initiated(0);
        let cease = message::notification(&Notification::new(Notification::OUT_OF_RESOURCES, []));
        for conn in [conn, ConnId::Accepted(0), ConnId::Accepted(1)] {
            wrong.input(A, Input::Received { conn, bytes: &cease });
        }
        assert_ne!(wrong.states()[A], State::Established);
        assert_eq!(kept(&wrong), notification, "a NOTIFICATION");
    }
}

/// RFC 4724 section 4.2: what was stale and was not said again when the peer restarts a second time goes at once.
#[test]
fn a_second_restart() {
    let mut solo = restartable(graceful(), true);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 11]));
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    come_back(&mut solo, true);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 11]));
    assert_eq!(solo.speaker.routes().len(), 2);
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    let left: Vec<_> = solo.speaker.routes().iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(left, [net("11.0.0.0/8")]);
}

/// Section 4.1: a restarted speaker decides without a peer that never ends its table when Selection_Deferral_Timer expires,
/// and only then tells anybody anything.
#[test]
fn decisions_are_deferred() {
    let mut config = graceful();
    config.networks.push((net("10.1.0.0/16"), Originated::default()));
    let mut solo = restartable(config, true);
    solo.give(Input::Restart { forwarding: true });
    let outputs = solo.drain();
    assert!(outputs.contains(&Output::Close { conn: solo.conn, abortive: false }));
    assert!(!outputs.iter().any(|o| matches!(o, Output::Route(_) | Output::Send { .. })), "{outputs:?}");
    solo.now += Duration::from_secs(10);
    solo.give(Input::Start { peer: PEER });
    let begun = solo.now;
    solo.conn = ConnId::Accepted(7);
    // Its own attempt is still under way when the peer comes.
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    solo.receive(&restart_open(false, Some(true)));
    solo.receive(&message::keepalive());
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 12]));
    let said = |solo: &mut Solo| {
        let of = |output: &Output| match output {
            Output::Send { bytes, .. } => bytes[18] == 2,
            Output::Route(_) => true,
            _ => false,
        };
        solo.drain().iter().filter(|output| of(output)).count()
    };
    assert_eq!(said(&mut solo), 0);
    loop {
        let (at, timer) = solo.speaker.wake().unwrap();
        solo.now = at;
        if timer == TimerKind::SelectionDeferral {
            assert_eq!(at, begun + Duration::from_secs(360));
            break;
        }
        solo.speaker.handle_timeout(at);
        solo.receive(&message::keepalive());
        assert_eq!(said(&mut solo), 0);
    }
    solo.speaker.handle_timeout(solo.now);
    let outputs = solo.drain();
    let changes: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Route(change) => Some((change.prefix, change.to.is_some(), change.reason)),
            _ => None,
        })
        .collect();
    let expected = [(net("10.0.0.0/8"), false, Reason::NotRefreshed), (net("12.0.0.0/8"), true, Reason::Learned)];
    assert_eq!(changes, expected);
    assert!(outputs.iter().any(|o| matches!(o, Output::Step { step: Step::EndOfRibSent, .. })));
}

/// A speaker that lost its forwarding table says so: its routes are gone when it stops, and F is not set.
#[test]
fn a_restart_without_forwarding() {
    let mut solo = restartable(graceful(), true);
    solo.give(Input::Restart { forwarding: false });
    let gone =
        |output: &Output| matches!(output, Output::Route(RouteChange { to: None, reason: Reason::Restarted, .. }));
    assert!(solo.drain().iter().any(gone));
    solo.give(Input::Start { peer: PEER });
    let Some(Output::Connect { conn, .. }) = solo.drain().into_iter().find(|o| matches!(o, Output::Connect { .. }))
    else {
        panic!("a started peer connects");
    };
    solo.give(Input::TcpConnected { peer: PEER, conn });
    let open =
        solo.drain().into_iter().find_map(|o| if let Output::Send { bytes, .. } = o { Some(bytes) } else { None });
    assert!(open.unwrap().ends_with(&[64, 6, 0x80, 120, 0, 1, 1, 0x00]));
}

/// A helper that cannot restart names no family, and a peer that names none is not waited for.
#[test]
fn a_mere_helper() {
    let mut helper = graceful();
    let restarts = false;
    helper.peers[0].graceful_restart = Some(GracefulRestart { restarts, ..GracefulRestart::default() });
    let mut solo = Solo::open_sent(helper);
    assert_eq!(solo.speaker.restart_capability(PEER).unwrap().forwarding, None);
    solo.receive(&restart_open(false, None));
    solo.receive(&message::keepalive());
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10]));
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    assert!(solo.speaker.routes().is_empty());
}
