//! An address that answers, and one that does not.

use super::*;
use crate::id::NodeId;
use crate::node::router::pong;
use crate::trace::{SessionInfo, SessionKind, Trace};

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Asks every 5 s, waits 1 s; three unanswered mean down and two answered mean up. Which requests are answered is said by number,
/// from 1. Answers when it changed, in seconds.
fn changes(answered: impl Fn(u32) -> bool, seconds: u64) -> Vec<(f64, bool)> {
    let mut trace = Trace::default();
    let info = SessionInfo { kind: SessionKind::Track, node: NodeId(0), name: "t".into(), peer: None };
    let session = trace.add_session(info);
    let second = Duration::from_secs(1);
    let (every, timeout) = (second * 5, second);
    let echo = EchoConfig { to: THERE, from: HERE, port: Port(3), every, timeout, lost: 3, answered: 2 };
    let mut tracks = Tracks::new([(Watched::Echo(echo), session)]);
    let (mut packets, mut asked, mut found) = (0, 0, Vec::new());
    let mut now = Instant::START;
    let mut started = false;
    while now <= Instant::from_secs(seconds) {
        let mut out = Vec::new();
        let mut cx = Cx {
            now,
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            trace: &mut trace,
            out: &mut out,
            packets: &mut packets,
            rearm: false,
        };
        if !core::mem::replace(&mut started, true) {
            tracks.start(&mut cx);
        }
        let mut events = Vec::new();
        tracks.timeout(&mut cx, &mut events);
        let mut answers = Vec::new();
        for event in &events {
            if let TrackEvent::Send(packet, port) = event {
                assert_eq!(*port, Port(3));
                asked += 1;
                if answered(asked) {
                    answers.push(pong(&mut cx, packet).expect("an echo request"));
                }
            }
        }
        for answer in &answers {
            assert!(tracks.packet(&mut cx, answer, &mut events));
            assert!(!tracks.packet(&mut cx, answer, &mut events), "the same answer again is none");
        }
        found.extend(events.iter().filter_map(|event| match event {
            TrackEvent::Changed(_, up, _) => Some((now.as_nanos() as f64 / 1e9, *up)),
            TrackEvent::Send(..) => None,
        }));
        now = tracks.wake().expect("it goes on asking").0;
    }
    found
}

#[test]
fn so_many_in_a_row_decide() {
    // Up with the second answer, at 5 s. Requests 5 to 7, sent at 20, 25 and 30 s, are lost: down at 31 s. Two of 8 to 10 are
    // answered, but not in a row; 11 follows 10, at 50 s.
    let lost = [5, 6, 7, 9];
    assert_eq!(changes(|n| !lost.contains(&n), 60), [(5.0, true), (31.0, false), (50.0, true)]);
}

#[test]
fn whatever_is_watched_begins_down() {
    assert_eq!(changes(|_| false, 60), []);
    assert_eq!(changes(|n| n % 3 == 0, 120), [], "one of three is not two in a row, and it never was up");
}

/// Two lost requests between answered ones do nothing, however often that happens.
#[test]
fn a_loss_now_and_then_is_no_loss() {
    assert_eq!(
        changes(|n| n % 4 < 2, 300),
        [(20.0, true)],
        "requests 4 and 5 are answered, then two are lost, and so on"
    );
}
