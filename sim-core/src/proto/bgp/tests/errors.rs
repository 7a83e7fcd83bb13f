//! What is wrong with a message, and the NOTIFICATION that RFC 4271 section 6 prescribes for it, data included.

use std::net::Ipv4Addr;

use super::super::message::{keepalive, notification};
use super::super::notification::Notification;
use super::super::open::{Capabilities, Open};
use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
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
        (header(24, 5), (1, 2, vec![0, 24])),
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
            capabilities: Capabilities::ALL,
        };
        solo.receive(&open.emit());
        assert_eq!(solo.notification(), expected);
    }
}

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 169, 254, 10, 1];

fn update(attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = (attributes.len() as u16).to_be_bytes();
    message(2, &[&[0, 0], &length[..], &attributes, nlri].concat())
}

/// Section 6.3. Data is the whole attribute, its type code (3/3) or nothing.
#[test]
fn update_errors() {
    let net10: &[u8] = &[8, 10];
    let whole = |attribute: &[u8], code: u8| (3, code, attribute.to_vec());
    let flags: &[u8] = &[0xc0, 1, 1, 0];
    let partial: &[u8] = &[0x60, 3, 4, 169, 254, 10, 1];
    let unknown: &[u8] = &[0x40, 200, 1, 7];
    let long_origin: &[u8] = &[0x40, 1, 2, 0, 0];
    let short_hop: &[u8] = &[0x40, 3, 3, 1, 2, 3];
    let extended_med: &[u8] = &[0x90, 4, 0, 3, 0, 0, 1];
    let origin_3: &[u8] = &[0x40, 1, 1, 3];
    let hop_0: &[u8] = &[0x40, 3, 4, 0, 0, 0, 0];
    let hop_multicast: &[u8] = &[0x40, 3, 4, 224, 0, 0, 1];
    let communities: &[u8] = &[0xc0, 8, 3, 0, 0, 0];
    let cases = vec![
        ("withdrawn too long", message(2, &[0, 9, 0, 0]), (3, 1, vec![])),
        ("attributes too long", message(2, &[0, 0, 0, 9]), (3, 1, vec![])),
        ("attribute cut", update(&[&[0x40, 1, 9, 0]], &[]), (3, 1, vec![])),
        ("twice", update(&[ORIGIN, ORIGIN], &[]), (3, 1, vec![])),
        ("unknown well-known", update(&[unknown], &[]), whole(unknown, 2)),
        ("no ORIGIN", update(&[AS_PATH, NEXT_HOP], net10), (3, 3, vec![1])),
        ("no AS_PATH", update(&[ORIGIN, NEXT_HOP], net10), (3, 3, vec![2])),
        ("no NEXT_HOP", update(&[ORIGIN, AS_PATH], net10), (3, 3, vec![3])),
        ("optional ORIGIN", update(&[flags], &[]), whole(flags, 4)),
        ("partial NEXT_HOP", update(&[partial], &[]), whole(partial, 4)),
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

/// Section 6.3 and RFC 7606 section 7.2 on what a malformed AS_PATH is: all 3/11 without data.
#[test]
fn as_path_errors() {
    let cases: [(&str, &[u8]); 7] = [
        ("segment type 5", &[0x40, 2, 6, 5, 1, 0, 0, 0xfc, 0]),
        ("confederation", &[0x40, 2, 6, 3, 1, 0, 0, 0xfc, 0]),
        ("empty segment", &[0x40, 2, 8, 2, 0, 2, 1, 0, 0, 0xfc, 0]),
        ("segment cut", &[0x40, 2, 6, 2, 2, 0, 0, 0xfc, 0]),
        ("one octet left", &[0x40, 2, 7, 2, 1, 0, 0, 0xfc, 0, 2]),
        ("another AS first", &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1]),
        ("AS 0 (RFC 7607)", &[0x40, 2, 10, 2, 2, 0, 0, 0xfc, 0, 0, 0, 0, 0]),
    ];
    for (what, as_path) in cases {
        let mut solo = Solo::established();
        solo.receive(&update(&[ORIGIN, as_path, NEXT_HOP], &[8, 10]));
        assert_eq!(solo.notification(), Some((3, 11, vec![])), "{what}");
    }
}

/// RFC 4271 sections 5.1.2 and 6.3: an empty AS_PATH is fine within an AS; LOCAL_PREF is mandatory there (5.1.5).
#[test]
fn internal_peers_have_their_own_rules() {
    let local_pref: &[u8] = &[0x40, 5, 4, 0, 0, 0, 200];
    let empty: &[u8] = &[0x40, 2, 0];
    let cases = [
        (update(&[ORIGIN, empty, NEXT_HOP, local_pref], &[8, 10]), None),
        (update(&[ORIGIN, empty, NEXT_HOP], &[8, 10]), Some((3, 3, vec![5]))),
    ];
    for (bytes, expected) in cases {
        let mut solo = Solo::open_sent(config(64512, 64512, 2));
        solo.receive(&usual_open());
        solo.receive(&keepalive());
        solo.drain();
        solo.receive(&bytes);
        assert_eq!(solo.notification(), expected);
        if let Some(entry) = solo.speaker.routes().get(&net("10.0.0.0/8")) {
            assert_eq!(entry.best().local_pref, 200);
        }
    }
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

/// RFC 4486 section 4: AFI 1, SAFI 1 and the bound.
#[test]
fn too_many_prefixes() {
    let mut limited = config(65000, 64512, 2);
    limited.peers[0].max_prefixes = Some(2);
    let mut solo = Solo::open_sent(limited);
    solo.receive(&usual_open());
    solo.receive(&keepalive());
    solo.drain();
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP];
    solo.receive(&update(&attributes, &[8, 10, 8, 11]));
    assert_eq!(solo.notification(), None);
    solo.receive(&update(&attributes, &[8, 12]));
    assert_eq!(solo.notification(), Some((6, 1, vec![0, 1, 1, 0, 0, 0, 2])));
    assert!(solo.speaker.routes().is_empty());
}
