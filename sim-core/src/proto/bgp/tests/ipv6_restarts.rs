//! Route refresh (RFC 2918, RFC 7313) and graceful restart (RFC 4724) of two families on one session: each by itself.

use super::super::message::{Refresh, route_refresh};
use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, message, update};
use super::ipv6::{announce6, best6, come_up, config6, net6};
use super::*;
use crate::proto::bgp::open::{Capabilities, RestartCapability};

/// End-of-RIB of IPv6 unicast: MP_UNREACH_NLRI with AFI 2 and SAFI 1 and no more.
pub(super) const END_OF_IPV6: &[u8] = &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1];

fn sent(solo: &mut Solo) -> Vec<Vec<u8>> {
    let bytes = |output| if let Output::Send { bytes, .. } = output { Some(bytes) } else { None };
    solo.drain().into_iter().filter_map(bytes).collect()
}

/// Each family is asked for, and answered to, with its own ROUTE-REFRESH and marks (RFC 2918, RFC 7313).
#[test]
fn refreshes_are_by_family() {
    let enhanced = Capabilities { ipv6_unicast: true, enhanced_refresh: true, ..Capabilities::USUAL };
    let mut ours = config6(65000, 64512, 2);
    ours.peers[0].capabilities = enhanced;
    ours.networks.push((net("10.1.0.0/16"), Originated::default()));
    ours.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    let mut solo = Solo::open_sent(ours);
    come_up(&mut solo, enhanced);
    announce6(&mut solo, &[1, 2]);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 12]));
    solo.drain();
    solo.give(Input::Refresh { peer: PEER });
    assert_eq!(sent(&mut solo), [message(5, &[0, 1, 0, 1]), message(5, &[0, 2, 0, 1])]);
    // BoRR, the one network of IPv6, EoRR.
    solo.receive(&message(5, &[0, 2, 0, 1]));
    let answer = sent(&mut solo);
    assert_eq!(answer.len(), 3);
    assert_eq!([&answer[0], &answer[2]], [&message(5, &[0, 2, 1, 1]), &message(5, &[0, 2, 2, 1])]);
    assert_eq!(answer[1][23..28], [0x80, 14, 28 + 16, 0, 2]);
    // What the peer does not say again between its marks goes, of that family only.
    solo.receive(&route_refresh(Afi::Ipv6, Refresh::Beginning));
    announce6(&mut solo, &[2]);
    solo.receive(&route_refresh(Afi::Ipv4, Refresh::End));
    assert_eq!((solo.speaker.routes().len(), solo.speaker.ipv6_routes().unwrap().len()), (2, 3));
    solo.receive(&route_refresh(Afi::Ipv6, Refresh::End));
    let left = ["2001:db8:2::/48", "2001:db8:b::/48"].map(net6);
    assert!(solo.speaker.ipv6_routes().unwrap().keys().eq(left));
    assert_eq!(solo.speaker.routes().len(), 2);
}

fn restart_capability(restarted: bool, forwarding: [Option<bool>; 2]) -> Capabilities {
    let [forwarding, ipv6_forwarding] = forwarding;
    let restart = RestartCapability { restarted, notification: false, restart_time: 120, forwarding, ipv6_forwarding };
    Capabilities { ipv6_unicast: true, graceful_restart: Some(restart), ..Capabilities::USUAL }
}

fn restartable(forwarding: [Option<bool>; 2]) -> Solo {
    let mut ours = config6(65000, 64512, 2);
    ours.peers[0].graceful_restart = Some(GracefulRestart::default());
    let mut solo = Solo::open_sent(ours);
    come_up(&mut solo, restart_capability(false, forwarding));
    announce6(&mut solo, &[1, 2]);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10]));
    solo.drain();
    solo
}

fn lose_and_come_back(solo: &mut Solo, forwarding: [Option<bool>; 2]) {
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    solo.now += Duration::from_secs(5);
    solo.speaker.handle_timeout(solo.now);
    solo.conn = ConnId::Accepted(7);
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    come_up(solo, restart_capability(true, forwarding));
}

fn held(solo: &Solo) -> (usize, usize) {
    (solo.speaker.routes().len(), solo.speaker.ipv6_routes().unwrap().len())
}

/// RFC 4724 section 4.2: what the peer named is kept, and each family waits for an End-of-RIB of its own.
#[test]
fn stale_routes_are_by_family() {
    let mut solo = restartable([Some(true); 2]);
    lose_and_come_back(&mut solo, [Some(true); 2]);
    assert_eq!(held(&solo), (1, 2));
    announce6(&mut solo, &[2]);
    // The End-of-RIB of IPv4 is no word about IPv6.
    solo.receive(&message(2, &[0, 0, 0, 0]));
    assert_eq!(held(&solo), (0, 2));
    solo.receive(&message(2, END_OF_IPV6));
    assert_eq!(held(&solo), (0, 1));
    assert!(best6(&solo.speaker, "2001:db8:2::/48").is_some());

    // Only IPv6 is named: IPv4 ends with the session.
    let mut solo = restartable([None, Some(true)]);
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    assert_eq!(held(&solo), (0, 2));
    assert!(solo.drain().contains(&Output::Retained { peer: PEER, routes: 2 }));

    // Only the forwarding of IPv4 survived: IPv6 goes when the peer is back.
    let mut solo = restartable([Some(true); 2]);
    lose_and_come_back(&mut solo, [Some(true), Some(false)]);
    assert_eq!(held(&solo), (1, 0));

    // Whatever is stale of either goes when the peer does not come back in its time.
    let mut solo = restartable([Some(true); 2]);
    solo.give(Input::TcpClosed { peer: PEER, conn: solo.conn, reset: true });
    solo.now += Duration::from_secs(120);
    solo.speaker.handle_timeout(solo.now);
    assert_eq!(held(&solo), (0, 0));
}

/// A restart of our own: R, and F of both families in the OPEN; forwarding does not change meanwhile; each family is decided
/// about, and told, after the End-of-RIB of its own.
#[test]
fn a_restart_of_our_own() {
    let (mut a, mut b) = (config6(65000, 64512, 2), config6(64512, 65000, 1));
    for end in [&mut a, &mut b] {
        end.peers[0].graceful_restart = Some(GracefulRestart::default());
    }
    a.ipv6_networks.push((net6("2001:db8:a::/48"), Originated::default()));
    b.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    let mut pair = Pair::new(a, b);
    pair.establish();
    pair.log.clear();
    pair.input(B, Input::Restart { forwarding: true });
    pair.run(pair.now + Duration::from_secs(3));
    let retained = Output::Retained { peer: PEER, routes: 1 };
    assert!(pair.log.iter().any(|(_, end, o)| (*end, o) == (A, &retained)), "{}", pair.ladder());
    pair.input(B, Input::Start { peer: PEER });
    pair.run(pair.now + Duration::from_secs(5));
    assert_eq!(pair.states(), [State::Established; 2]);
    let open = pair.sent(B).find(|(_, bytes)| bytes[18] == 1).unwrap().1;
    assert!(open.ends_with(&[64, 10, 0x80, 120, 0, 1, 1, 0x80, 0, 2, 1, 0x80]), "{open:?}");
    // Nobody noticed, and both have both.
    assert!(!pair.log.iter().any(|(_, _, o)| matches!(o, Output::Ipv6Route(_))), "{}", pair.ladder());
    assert!(pair.ends.iter().all(|speaker| speaker.ipv6_routes().unwrap().len() == 2));

    // A peer that ends only its IPv4: that is told, and IPv6 waits.
    let mut ours = config6(65000, 64512, 2);
    ours.peers[0].graceful_restart = Some(GracefulRestart::default());
    ours.networks.push((net("10.1.0.0/16"), Originated::default()));
    ours.ipv6_networks.push((net6("2001:db8:b::/48"), Originated::default()));
    let mut solo = Solo::open_sent(ours);
    come_up(&mut solo, restart_capability(false, [Some(true); 2]));
    solo.give(Input::Restart { forwarding: true });
    solo.give(Input::Start { peer: PEER });
    solo.conn = ConnId::Accepted(7);
    solo.give(Input::TcpConnected { peer: PEER, conn: solo.conn });
    come_up(&mut solo, restart_capability(false, [Some(true); 2]));
    solo.receive(&message(2, &[0, 0, 0, 0]));
    let said = sent(&mut solo);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1][19..], [0, 0, 0, 0]);
    solo.receive(&message(2, END_OF_IPV6));
    let said = sent(&mut solo);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1][19..], *END_OF_IPV6);
}
