//! What is wrong with a message, and the NOTIFICATION that RFC 4271 section 6 prescribes for it, data included.

use std::net::Ipv4Addr;

use super::super::message::{keepalive, notification};
use super::super::notification::Notification;
use super::super::open::{Capabilities, Open};
use super::*;

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (19 + body.len()) as u16;
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

/// Section 6.1. The third octet of each case is what is wrong: marker, length, type.
#[test]
fn header_errors() {
    let mut bad_marker = keepalive();
    bad_marker[7] = 0xfe;
    let header = |length: u16, kind| {
        let mut bytes = keepalive();
        bytes[16..18].copy_from_slice(&length.to_be_bytes());
        bytes[18] = kind;
        bytes
    };
    let cases = [
        (bad_marker, (1, 1, vec![])),
        (header(18, 4), (1, 2, vec![0, 18])),
        (header(4097, 2), (1, 2, vec![0x10, 0x01])),
        (header(20, 4), (1, 2, vec![0, 20])),
        (header(22, 2), (1, 2, vec![0, 22])),
        (header(28, 1), (1, 2, vec![0, 28])),
        (header(20, 3), (1, 2, vec![0, 20])),
        (message(5, &[0, 1, 0, 1, 0]), (1, 2, vec![0, 24])),
        (header(19, 6), (1, 3, vec![6])),
        (header(19, 0), (1, 3, vec![0])),
    ];
    for (bytes, expected) in cases {
        let mut solo = Solo::established();
        solo.receive(&bytes);
        assert_eq!(solo.notification(), Some(expected), "{bytes:?}");
    }
}

/// Section 6.2; where it prescribes no data there is none. Body: version, AS (2), hold time (2), identifier (4), length.
#[test]
fn open_errors() {
    let good = [4, 0xfc, 0x00, 0, 30, 169, 254, 10, 1, 0];
    let with = |place: usize, octets: &[u8]| {
        let mut body = good.to_vec();
        body[place..place + octets.len()].copy_from_slice(octets);
        body
    };
    let and = |parameters: &[u8]| [&with(9, &[parameters.len() as u8])[..], parameters].concat();
    let cases = [
        ("version 3", with(0, &[3]), (2, 1, vec![0, 4])),
        ("AS 64513", with(1, &[0xfc, 0x01]), (2, 2, vec![])),
        ("identifier 0.0.0.0", with(5, &[0; 4]), (2, 3, vec![])),
        ("identifier 224.0.0.1", with(5, &[224, 0, 0, 1]), (2, 3, vec![])),
        ("hold time 1", with(3, &[0, 1]), (2, 6, vec![])),
        ("hold time 2", with(3, &[0, 2]), (2, 6, vec![])),
        ("parameter 1", and(&[1, 2, 0, 0]), (2, 4, vec![])),
        ("parameter too long", and(&[2, 9, 2, 0]), (2, 0, vec![])),
        ("capability too long", and(&[2, 2, 2, 1]), (2, 0, vec![])),
        ("AS of 3 octets", and(&[2, 5, 65, 3, 0, 0, 0]), (2, 0, vec![])),
        ("length of parameters", with(9, &[1]), (2, 0, vec![])),
        ("AS 0 of 4 octets", and(&[2, 6, 65, 4, 0, 0, 0, 0]), (2, 2, vec![])),
        // RFC 5492 section 5: the data is the capability we miss, here IPv4 unicast.
        ("IPv6 only", and(&[2, 6, 1, 4, 0, 2, 0, 1]), (2, 7, vec![1, 4, 0, 1, 0, 1])),
    ];
    for (what, body, expected) in cases {
        let mut solo = Solo::open_sent(config(65000, 64512, 2));
        solo.receive(&message(1, &body));
        assert_eq!(solo.notification(), Some(expected), "{what}");
        assert_eq!(solo.speaker.state(PEER), State::Idle, "{what}");
    }
    let mut solo = Solo::open_sent(config(65000, 64512, 2));
    solo.receive(&message(1, &good));
    assert_eq!(solo.speaker.state(PEER), State::OpenConfirm);
}

/// RFC 6286 section 2.2: equal identifiers are an error within one AS, and none between two.
#[test]
fn equal_identifiers_within_an_as() {
    for (remote_as, expected) in [(65000, Some((2, 3, vec![]))), (64512, None)] {
        let mut solo = Solo::open_sent(config(65000, remote_as, 2));
        let open = Open {
            asn: remote_as,
            hold_time: 30,
            identifier: Ipv4Addr::new(169, 254, 10, 2),
            capabilities: Capabilities::USUAL,
        };
        solo.receive(&open.emit());
        assert_eq!(solo.notification(), expected);
    }
}

pub(super) const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
pub(super) const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00];
pub(super) const NEXT_HOP: &[u8] = &[0x40, 3, 4, 169, 254, 10, 1];

pub(super) fn update(attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = (attributes.len() as u16).to_be_bytes();
    message(2, &[&[0, 0], &length[..], &attributes, nlri].concat())
}

/// What still ends the session: lengths and prefixes that leave no way to tell which routes are meant (RFC 7606 sections
/// 3 b, i and j, 5.3), a well-known attribute that nobody knows, and any error but those to discard where no NLRI is seen
/// (section 5.2). Data is the whole attribute or nothing, as RFC 4271 section 6.3 says.
#[test]
fn update_errors_that_end_the_session() {
    let whole = |attribute: &[u8], code: u8| (3, code, attribute.to_vec());
    let flags: &[u8] = &[0xc0, 1, 1, 0];
    let unknown: &[u8] = &[0x40, 200, 1, 7];
    let long_origin: &[u8] = &[0x40, 1, 2, 0, 0];
    let short_hop: &[u8] = &[0x40, 3, 3, 1, 2, 3];
    let extended_med: &[u8] = &[0x90, 4, 0, 3, 0, 0, 1];
    let origin_3: &[u8] = &[0x40, 1, 1, 3];
    let hop_0: &[u8] = &[0x40, 3, 4, 0, 0, 0, 0];
    let hop_multicast: &[u8] = &[0x40, 3, 4, 224, 0, 0, 1];
    let communities: &[u8] = &[0xc0, 8, 3, 0, 0, 0];
    let multiprotocol: &[u8] = &[0x80, 15, 3, 0, 2, 1];
    let cases = vec![
        ("withdrawn too long", message(2, &[0, 9, 0, 0]), (3, 1, vec![])),
        ("attributes too long", message(2, &[0, 0, 0, 9]), (3, 1, vec![])),
        ("attribute cut", update(&[&[0x40, 1, 9, 0]], &[]), (3, 1, vec![])),
        ("multiprotocol NLRI twice", update(&[multiprotocol, multiprotocol], &[]), (3, 1, vec![])),
        ("unknown well-known", update(&[unknown], &[]), whole(unknown, 2)),
        ("unknown well-known, NLRI", update(&[ORIGIN, AS_PATH, NEXT_HOP, unknown], &[8, 10]), whole(unknown, 2)),
        ("optional ORIGIN", update(&[flags], &[]), whole(flags, 4)),
        ("ORIGIN of 2", update(&[long_origin], &[]), whole(long_origin, 5)),
        ("NEXT_HOP of 3", update(&[short_hop], &[]), whole(short_hop, 5)),
        ("MED of 3, extended", update(&[extended_med], &[]), whole(extended_med, 5)),
        ("ORIGIN 3", update(&[origin_3], &[]), whole(origin_3, 6)),
        ("NEXT_HOP 0.0.0.0", update(&[hop_0], &[]), whole(hop_0, 8)),
        ("NEXT_HOP multicast", update(&[hop_multicast], &[]), whole(hop_multicast, 8)),
        ("COMMUNITIES of 3", update(&[communities], &[]), whole(communities, 9)),
        ("prefix of 33", update(&[ORIGIN, AS_PATH, NEXT_HOP], &[33, 1, 2, 3, 4, 5]), (3, 10, vec![])),
        ("prefix cut", update(&[ORIGIN, AS_PATH, NEXT_HOP], &[24, 1, 2]), (3, 10, vec![])),
        ("withdrawn prefix of 40", message(2, &[0, 6, 40, 1, 2, 3, 4, 5, 0, 0]), (3, 10, vec![])),
    ];
    for (what, bytes, expected) in cases {
        let mut solo = Solo::established();
        solo.receive(&bytes);
        assert_eq!(solo.notification(), Some(expected), "{what}");
    }
}

/// RFC 4271 sections 5.1.2 and 6.3: an empty AS_PATH is fine within an AS; LOCAL_PREF is mandatory there (5.1.5).
#[test]
fn internal_peers_have_their_own_rules() {
    let local_pref: &[u8] = &[0x40, 5, 4, 0, 0, 0, 200];
    let empty: &[u8] = &[0x40, 2, 0];
    let mut solo = Solo::open_sent(config(64512, 64512, 2));
    solo.receive(&usual_open());
    solo.receive(&keepalive());
    solo.receive(&update(&[ORIGIN, empty, NEXT_HOP, local_pref], &[8, 10]));
    let best = solo.speaker.routes().get(&net("10.0.0.0/8")).map(|entry| entry.best().local_pref);
    assert_eq!(best, Some(200));
    solo.receive(&update(&[ORIGIN, empty, NEXT_HOP], &[8, 10]));
    assert!(solo.speaker.routes().is_empty(), "treated as a withdrawal (RFC 7606 section 3 d)");
    assert_eq!(solo.notification(), None);
}

/// RFC 6608: what a state does not expect is an FSM error that names the state and the message.
#[test]
fn unexpected_messages() {
    let open_sent = || Solo::open_sent(config(65000, 64512, 2));
    let open_confirm = || {
        let mut solo = open_sent();
        solo.receive(&usual_open());
        solo.drain();
        solo
    };
    let end_of_rib = message(2, &[0, 0, 0, 0]);
    let refresh = message(5, &[0, 1, 0, 1]);
    let cases = [
        ("KEEPALIVE for OPEN", open_sent(), keepalive(), (5, 1, vec![4])),
        ("UPDATE for OPEN", open_sent(), end_of_rib.clone(), (5, 1, vec![2])),
        ("UPDATE for KEEPALIVE", open_confirm(), end_of_rib, (5, 2, vec![2])),
        ("REFRESH for KEEPALIVE", open_confirm(), refresh, (5, 2, vec![5])),
        ("second OPEN", open_confirm(), usual_open(), (5, 2, vec![1])),
        ("late OPEN", Solo::established(), usual_open(), (5, 3, vec![1])),
    ];
    for (what, mut solo, bytes, expected) in cases {
        solo.receive(&bytes);
        assert_eq!(solo.notification(), Some(expected), "{what}");
    }
}

/// Section 6.4: a NOTIFICATION is not answered, whatever the state, and ends the connection.
#[test]
fn a_notification_is_not_answered() {
    for mut solo in [Solo::open_sent(config(65000, 64512, 2)), Solo::established()] {
        solo.receive(&notification(&Notification::new((6, 99), [1, 2, 3])));
        let outputs = solo.drain();
        assert!(!outputs.iter().any(|o| matches!(o, Output::Send { .. })));
        let close = Output::Close { conn: solo.conn, abortive: false };
        assert!(outputs.contains(&close));
        assert_eq!(solo.speaker.state(PEER), State::Idle);
    }
}
