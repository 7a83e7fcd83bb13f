//! Cease: its subcodes (RFC 4486), its texts (RFC 9003), and the limit of prefixes.

use super::super::notification::{CommunicationError, MAX_COMMUNICATION};
use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, update};
use super::*;

fn limited(limit: MaxPrefixes) -> Solo {
    let mut limited = config(65000, 64512, 2);
    limited.peers[0].max_prefixes = Some(limit);
    let mut solo = Solo::open_sent(limited);
    solo.receive(&usual_open());
    solo.receive(&message::keepalive());
    solo.drain();
    solo
}

/// So many prefixes of eight bits, from 10.0.0.0/8 on.
fn announce(solo: &mut Solo, prefixes: core::ops::Range<u8>) {
    let nlri: Vec<u8> = prefixes.flat_map(|n| [8, 10 + n]).collect();
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &nlri));
}

/// RFC 4486 section 4: AFI 1, SAFI 1 and the bound. Prefixes that are announced again do not count twice.
#[test]
fn too_many_prefixes() {
    let mut solo = limited(MaxPrefixes::new(2));
    announce(&mut solo, 0..2);
    announce(&mut solo, 0..2);
    assert_eq!(solo.notification(), None);
    announce(&mut solo, 2..3);
    assert_eq!(solo.notification(), Some((6, 1, vec![0, 1, 1, 0, 0, 0, 2])));
    assert!(solo.speaker.routes().is_empty());
}

/// The operator is warned once a session, at the share that is configured: 75 of 100 here.
#[test]
fn a_warning_near_the_limit() {
    let mut solo = limited(MaxPrefixes::new(100));
    let warned = |solo: &mut Solo| {
        let of = |output: Output| if let Output::NearLimit { prefixes, .. } = output { Some(prefixes) } else { None };
        solo.drain().into_iter().filter_map(of).collect::<Vec<_>>()
    };
    announce(&mut solo, 0..74);
    assert_eq!(warned(&mut solo), []);
    announce(&mut solo, 74..75);
    assert_eq!(warned(&mut solo), [75]);
    announce(&mut solo, 75..100);
    assert_eq!(warned(&mut solo), []);
    assert_eq!(solo.speaker.state(PEER), State::Established);
}

/// What follows the Cease: the wait in Idle after any failure (1 s here), a wait of its own, or an operator.
#[test]
fn after_the_limit() {
    let waits = [
        (AfterLimit::Retry, Some(Duration::from_secs(1))),
        (AfterLimit::Restart(Duration::from_secs(900)), Some(Duration::from_secs(900))),
        (AfterLimit::StayDown, None),
    ];
    for (then, wait) in waits {
        let mut solo = limited(MaxPrefixes { then, ..MaxPrefixes::new(1) });
        announce(&mut solo, 0..2);
        assert_eq!(solo.speaker.wake(), wait.map(|wait| (solo.now + wait, TimerKind::IdleHoldTimer)), "{then:?}");
        // An operator is obeyed in any case.
        solo.give(Input::Start { peer: PEER });
        assert_eq!(solo.speaker.state(PEER), State::Connect);
    }
}

/// A bound of what we announce, which AWS has beside that of what it hears: what comes later stays behind, until something else is
/// withdrawn, in the same breath. What the peer knows may change.
#[test]
fn no_more_prefixes_are_announced_than_the_quota_allows() {
    let mut bound = config(65000, 64512, 2);
    bound.peers[0].most_announced = Some(2);
    let mut solo = Solo::open_sent(bound);
    solo.receive(&usual_open());
    solo.receive(&message::keepalive());
    solo.drain();
    let prefix = |n: u8| net(&format!("10.{n}.0.0/16"));
    let originate = |solo: &mut Solo, n: u8| {
        solo.give(Input::Originate { prefix: prefix(n), route: Originated::default() });
    };
    let told = |solo: &Solo| solo.speaker.adj_rib_out(PEER).keys().collect::<Vec<_>>();
    let withheld = |solo: &mut Solo| {
        let of = |output: Output| if let Output::Withheld { prefixes, .. } = output { Some(prefixes) } else { None };
        solo.drain().into_iter().filter_map(of).collect::<Vec<_>>()
    };
    originate(&mut solo, 3);
    originate(&mut solo, 1);
    assert_eq!(withheld(&mut solo), []);
    originate(&mut solo, 2);
    originate(&mut solo, 4);
    assert_eq!(withheld(&mut solo), [1], "told when it begins");
    assert_eq!(told(&solo), [prefix(1), prefix(3)]);
    solo.give(Input::Originate { prefix: prefix(1), route: Originated { med: Some(5), ..Originated::default() } });
    assert_eq!(solo.speaker.adj_rib_out(PEER).get(&prefix(1)).unwrap().med, Some(5));
    solo.give(Input::WithdrawOriginated { prefix: prefix(3) });
    assert_eq!(told(&solo), [prefix(1), prefix(2)]);
    solo.give(Input::WithdrawOriginated { prefix: prefix(4) });
    solo.give(Input::WithdrawOriginated { prefix: prefix(1) });
    assert_eq!(told(&solo), [prefix(2)], "nobody announces what is gone");
}

/// A shutdown with a text: the octets of RFC 9003 section 2, and what the other end makes of them.
#[test]
fn a_shutdown_communication_crosses() {
    let text = "[TICKET-1-1438367390] Wartung, zur\u{fc}ck um 5";
    for subcode in [2, 4] {
        let mut pair = Pair::usual();
        pair.establish();
        let peer = PEER;
        pair.input(A, Input::Stop { peer, subcode, communication: text });
        let octets = [&[text.len() as u8], text.as_bytes()].concat();
        // There may be one of a collision before.
        assert_eq!(pair.notifications(A).pop(), Some((6, subcode, octets)));
        pair.run(pair.now + Duration::from_secs(1));
        let heard = Output::Communication { peer, text: Ok(text.to_owned()) };
        assert!(pair.log.iter().any(|(_, end, output)| *end == B && *output == heard), "{}", pair.ladder());
    }
}

/// RFC 9003 section 2: only Administrative Shutdown and Reset carry a text, of at most 255 octets; a character is not cut.
#[test]
fn what_a_communication_may_be() {
    for subcode in [1, 3, 5, 6, 7, 8] {
        assert_eq!(Notification::cease(subcode, "no").data, []);
    }
    assert_eq!(Notification::cease(2, "").data, []);
    let long = Notification::cease(2, &"\u{fc}".repeat(200));
    assert_eq!(long.data[0], 254);
    assert_eq!(long.data.len(), 255);
    assert_eq!(long.communication(), Ok(Some("\u{fc}".repeat(127))));
    assert_eq!(Notification::cease(2, &"x".repeat(300)).data.len(), 1 + MAX_COMMUNICATION);
}

/// Section 4 there: octets that make no sense change nothing but what is shown.
#[test]
fn communications_that_cannot_be_shown() {
    let read = |data: &[u8]| Notification::new(Notification::ADMIN_SHUTDOWN, data).communication();
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[0]), Ok(None));
    assert_eq!(read(&[2, b'o', b'k']), Ok(Some("ok".to_owned())));
    assert_eq!(read(&[3, b'o', b'k']), Err(CommunicationError::Length));
    assert_eq!(read(&[1, b'o', b'k']), Err(CommunicationError::Length));
    assert_eq!(read(&[2, 0xc3, 0x28]), Err(CommunicationError::NotUtf8));
    assert_eq!(Notification::new(Notification::COLLISION, [2, b'o', b'k']).communication(), Ok(None));
    let mut solo = Solo::established();
    solo.receive(&message::notification(&Notification::new(Notification::ADMIN_SHUTDOWN, [9, b'x'])));
    assert_eq!(solo.speaker.state(PEER), State::Idle);
}

/// RFC 8538 section 3.1: the octets of a Hard Reset are those of the NOTIFICATION that is meant, code first.
#[test]
fn a_hard_reset_carries_another_notification() {
    let shutdown = Notification::cease(2, "bye");
    let hard = shutdown.hard_reset();
    assert_eq!((hard.codes(), &hard.data[..]), ((6, 9), &[6, 2, 3, b'b', b'y', b'e'][..]));
    assert_eq!(hard.meant(), shutdown);
    assert_eq!(hard.communication(), Ok(Some("bye".to_owned())));
    assert_eq!(Notification::new(Notification::HARD_RESET, [6]).meant().codes(), (6, 9));
}
