//! The tables when they are large, and what finds things in them and among many peers.

use super::*;
use crate::proto::bgp::as_path::AsPath;
use crate::proto::bgp::policy::{Change, Policy};

fn prefix(n: u32) -> Ipv4Net {
    Ipv4Net::new((0x1400_0000 + (n << 8)).into(), 24).unwrap()
}

/// UPDATEs of the usual peer that announce so many prefixes.
fn table(count: u32) -> Vec<u8> {
    let mut route = Attributes::new(Ipv4Addr::new(169, 254, 10, 1));
    route.as_path = AsPath::sequence([64512]);
    let prefixes: Vec<_> = (0..count).map(prefix).collect();
    let dialect = attributes::Dialect::new(64512, 65000);
    let mut bytes = Vec::new();
    update::announce(&route, &dialect, &prefixes, |message, _| bytes.extend(message));
    bytes
}

/// A peer's routes are listed up to a number and looked for beyond it: either way all of them go with the session, in order,
/// and those of others stay.
#[test]
fn a_session_s_routes_go_with_it_however_many() {
    for count in [1, 100, 5_000] {
        let mut solo = Solo::established();
        let own = net("10.0.0.0/8");
        solo.give(Input::Originate { prefix: own, route: Originated::default() });
        solo.receive(&table(count));
        assert_eq!(solo.speaker.adj_rib_in(PEER).len(), count as usize);
        assert!(solo.speaker.adj_rib_in(PEER).prefixes().into_iter().eq((0..count).map(prefix)));
        assert_eq!(solo.speaker.routes().len(), count as usize + 1);
        solo.drain();
        let conn = solo.conn;
        solo.give(Input::TcpClosed { peer: PEER, conn, reset: true });
        let gone = solo.drain().into_iter().filter_map(|output| match output {
            Output::Route(RouteChange { prefix, to: None, reason: Reason::SessionDown, .. }) => Some(prefix),
            _ => None,
        });
        assert!(gone.eq((0..count).map(prefix)), "{count}");
        assert!(solo.speaker.routes().keys().eq([own]));
        assert!(solo.speaker.adj_rib_in(PEER).is_empty());
    }
}

/// What import makes of a route is kept beside what was received: a policy that refuses all, changes all, and lets all pass again.
#[test]
fn policies_come_and_go() {
    let mut solo = Solo::established();
    solo.receive(&table(3));
    let best = |solo: &Solo| solo.speaker.routes().get(&prefix(1)).map(|entry| entry.best().local_pref);
    let reject = Policy { rules: Vec::new(), otherwise: policy::Verdict::Reject };
    let prefer = Policy::change_all(vec![Change::LocalPref(200)]);
    for (policy, expected) in [(reject, None), (prefer, Some(200)), (Policy::accept_all(), Some(100))] {
        solo.give(Input::SetImport { peer: PEER, policy });
        assert_eq!(best(&solo), expected);
        assert_eq!(solo.speaker.routes().len(), if expected.is_some() { 3 } else { 0 });
        let received = solo.speaker.adj_rib_in(PEER);
        assert_eq!((received.len(), received.get(&prefix(1)).unwrap().local_pref), (3, None));
    }
}

/// Section 9.2: a route is told if it is used, so a speaker that uses the peer's own route has nothing to tell it. One end of a router
/// that decides elsewhere tells what it was given to tell, whichever comes first, and only that.
#[test]
fn an_end_of_a_router_tells_beside_the_peer_s_own_route() {
    for (end_of_router, told_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let ours = SpeakerConfig { end_of_router, ..config(65000, 64512, 2) };
        let mut solo = Solo::open_sent(ours);
        solo.receive(&usual_open());
        solo.receive(&message::keepalive());
        let beneath = Originated { local_pref: Some(99), ..Originated::default() };
        let give = Input::Originate { prefix: prefix(0), route: beneath };
        let told = |solo: &Solo| solo.speaker.adj_rib_out(PEER).contains_key(&prefix(0));
        if told_first {
            solo.give(give);
            assert!(told(&solo), "nobody else has it yet");
            solo.receive(&table(1));
        } else {
            solo.receive(&table(1));
            solo.give(give);
        }
        assert_eq!(solo.speaker.routes().get(&prefix(0)).unwrap().best().peer, Some(PEER));
        assert_eq!(told(&solo), end_of_router);
        solo.give(Input::WithdrawOriginated { prefix: prefix(0) });
        assert!(!told(&solo), "the peer's own route is none to tell it");
        assert_eq!(solo.speaker.routes().get(&prefix(0)).unwrap().best().peer, Some(PEER));
    }
}

/// Whatever timers run in whichever of many peers, the speaker wants to be woken for the first of them: those of Idle, Connect
/// and Established sessions, as they start, expire and stop.
#[test]
fn the_first_timer_of_many_peers() {
    let peer = |n: u8| {
        let address = |host| Ipv4Addr::new(169, 254, n, host);
        let mut peer = PeerConfig::new(format!("p{n}"), 64512, address(2), address(1), net("169.254.0.0/16"));
        peer.connect_retry = Duration::from_secs(10 + u64::from(n) * 37 % 50);
        peer.listen_after_failure = n.is_multiple_of(2);
        peer
    };
    let mut speaker = speaker(SpeakerConfig::new(65000, Ipv4Addr::new(10, 0, 0, 1), (0..50).map(peer).collect()));
    let first = |speaker: &Speaker| speaker.peers.iter().map(|peer| peer.next_timer().2.at()).min().unwrap();
    let mut now = secs(1);
    for id in (0..50).map(PeerId) {
        speaker.handle(now, Input::Start { peer: id });
        assert_eq!(speaker.wake().map_or(Instant::NEVER, |(at, _)| at), first(&speaker));
    }
    for round in 0..300_u16 {
        while let Some(output) = speaker.poll() {
            if let Output::Connect { peer, conn } = output {
                match peer.0 % 3 {
                    0 => speaker.handle(now, Input::TcpFailed { peer, conn }),
                    1 => {
                        speaker.handle(now, Input::TcpConnected { peer, conn });
                        speaker.handle(now, Input::Received { conn, bytes: &usual_open() });
                        speaker.handle(now, Input::Received { conn, bytes: &message::keepalive() });
                    }
                    _ => {}
                }
            }
        }
        if round.is_multiple_of(7) {
            let peer = PeerId(round * 13 % 50);
            speaker.handle(now, Input::Stop { peer, subcode: 2, communication: "" });
            speaker.handle(now, Input::Start { peer: PeerId(round * 29 % 50) });
        }
        let (at, _) = speaker.wake().unwrap();
        assert_eq!(at, first(&speaker));
        assert!(at >= now, "nothing that is due is left");
        now = at;
        speaker.handle_timeout(now);
        assert_eq!(speaker.wake().unwrap().0, first(&speaker));
        let up = (0..50).filter(|&n| speaker.state(PeerId(n)) == State::Established).count();
        assert_eq!(speaker.established(), up);
    }
}
