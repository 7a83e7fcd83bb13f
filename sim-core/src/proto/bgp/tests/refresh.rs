//! Route refresh (RFC 2918) and its marks (RFC 7313).

use super::super::message::{Refresh, route_refresh};
use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, message, update};
use super::*;

fn established(enhanced_refresh: bool) -> Solo {
    let capabilities = open::Capabilities { enhanced_refresh, ..open::Capabilities::USUAL };
    let mut ours = config(65000, 64512, 2);
    ours.peers[0].capabilities = capabilities;
    ours.networks.push((net("10.1.0.0/16"), Originated::default()));
    let mut solo = Solo::open_sent(ours);
    let identifier = Ipv4Addr::new(169, 254, 10, 1);
    solo.receive(&open::Open { asn: 64512, hold_time: 30, identifier, capabilities }.emit());
    solo.receive(&message::keepalive());
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 12, 8, 13]));
    solo.drain();
    solo
}

fn sent(solo: &mut Solo) -> Vec<Vec<u8>> {
    let bytes = |output| if let Output::Send { bytes, .. } = output { Some(bytes) } else { None };
    solo.drain().into_iter().filter_map(bytes).collect()
}

/// The octets of RFC 2918 section 3: AFI 1, reserved, SAFI 1.
#[test]
fn we_ask() {
    let mut solo = established(false);
    solo.give(Input::Refresh { peer: PEER });
    assert_eq!(sent(&mut solo), [message(5, &[0, 1, 0, 1])]);
    // A peer that did not say that it can is not asked.
    let mut unable = Solo::open_sent(config(65000, 64512, 2));
    let capabilities = open::Capabilities { route_refresh: false, ..open::Capabilities::USUAL };
    let identifier = Ipv4Addr::new(169, 254, 10, 1);
    unable.receive(&open::Open { asn: 64512, hold_time: 30, identifier, capabilities }.emit());
    unable.receive(&message::keepalive());
    unable.drain();
    unable.give(Input::Refresh { peer: PEER });
    assert_eq!(sent(&mut unable), Vec::<Vec<u8>>::new());
}

/// The whole table comes again; between BoRR (1) and EoRR (2) if both ends speak RFC 7313. The third octet counts only then.
#[test]
fn we_answer() {
    for enhanced in [false, true] {
        let mut solo = established(enhanced);
        solo.receive(&message(5, &[0, 1, 0, 1]));
        let kinds: Vec<u8> =
            sent(&mut solo).iter().map(|bytes| if bytes[18] == 5 { bytes[21] } else { bytes[18] + 10 }).collect();
        assert_eq!(kinds, if enhanced { vec![1, 12, 2] } else { vec![12] });
        // Another family, and a kind that nobody has assigned.
        solo.receive(&message(5, &[0, 2, 0, 1]));
        assert_eq!(sent(&mut solo).len(), 0);
        solo.receive(&message(5, &[0, 1, 9, 1]));
        assert_eq!(sent(&mut solo).len(), if enhanced { 0 } else { 1 });
        assert_eq!(solo.speaker.state(PEER), State::Established);
    }
}

/// RFC 7313 section 4: what is not said between the marks goes at the second one.
#[test]
fn what_is_not_refreshed_goes() {
    let mut solo = established(true);
    solo.receive(&route_refresh(Afi::Ipv4, Refresh::Beginning));
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 12]));
    assert_eq!(solo.speaker.routes().len(), 3);
    solo.drain();
    solo.receive(&route_refresh(Afi::Ipv4, Refresh::End));
    let changes: Vec<_> = solo
        .drain()
        .into_iter()
        .filter_map(
            |o| if let Output::Route(change) = o { Some((change.prefix, change.to, change.reason)) } else { None },
        )
        .collect();
    assert_eq!(changes, [(net("13.0.0.0/8"), None, Reason::NotRefreshed)]);
}

/// RFC 7313 section 5: a mark of a wrong length is 7/1 with the whole message; without the capability it is a header error.
#[test]
fn marks_of_a_wrong_length() {
    let long = message(5, &[0, 1, 1, 1, 0]);
    let mut solo = established(true);
    solo.receive(&long);
    assert_eq!(solo.notification(), Some((7, 1, long.clone())));
    let mut solo = established(false);
    solo.receive(&long);
    assert_eq!(solo.notification(), Some((1, 2, vec![0, 24])));
}
