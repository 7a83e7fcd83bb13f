//! Octets written out by hand from the RFCs' drawings, in both directions.

use std::net::Ipv4Addr;

use super::super::as_path::{AsPath, Segment};
use super::super::attributes::{Attributes, Carried, Dialect, Origin, Reflection};
use super::super::communities::{AnyCommunity, Communities, Community, ExtendedCommunity, LargeCommunity};
use super::super::message::{Framer, MessageType, keepalive};
use super::super::open::{Capabilities, Expected, Open, RestartCapability};
use super::super::update::{Update, announce, end_of_rib, withdraw};
use super::{Ipv4Net, net};

const MARKER: [u8; 16] = [0xff; 16];

fn with_header(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (19 + body.len()) as u16;
    [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
}

const WIDE: Dialect = Dialect::new(64512, 65000);
const NARROW: Dialect = Dialect { four_octet_as: false, ..WIDE };

/// OPEN, RFC 4271 section 4.2: version 4; AS 65000 = 0xfde8; hold time 30; identifier 10.0.0.1; 16 octets of
/// parameters: one capabilities parameter (RFC 5492: type 2) of 14 octets holding multiprotocol (RFC 4760: code 1,
/// AFI 1, reserved 0, SAFI 1), route refresh (RFC 2918: code 2, empty) and 4-octet AS (RFC 6793: code 65).
#[rustfmt::skip]
const OPEN: [u8; 26] = [
    4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1, 16,
    2, 14,
        1, 4, 0, 1, 0, 1,
        2, 0,
        65, 4, 0, 0, 0xfd, 0xe8,
];

fn open() -> Open {
    Open { asn: 65000, hold_time: 30, identifier: Ipv4Addr::new(10, 0, 0, 1), capabilities: Capabilities::USUAL }
}

fn expecting(remote_as: u32) -> Expected {
    Expected { local_as: 64512, router_id: Ipv4Addr::new(10, 0, 0, 2), remote_as, capabilities: Capabilities::USUAL }
}

#[test]
fn open_both_ways() {
    assert_eq!(open().emit(), with_header(1, &OPEN));
    assert_eq!(Open::parse(&OPEN, expecting(65000)), Ok(open()));
}

/// RFC 6793 section 4.1: an AS that does not fit goes as AS_TRANS (23456 = 0x5ba0) and in full in the capability.
/// 4200000000 = 0xfa56ea00.
#[test]
fn open_of_a_wide_as() {
    let open = Open { asn: 4_200_000_000, ..open() };
    let bytes = open.emit();
    assert_eq!(bytes[20..22], [0x5b, 0xa0]);
    assert_eq!(bytes[bytes.len() - 6..], [65, 4, 0xfa, 0x56, 0xea, 0]);
    assert_eq!(Open::parse(&bytes[19..], expecting(4_200_000_000)), Ok(open));
}

/// RFC 5492 section 4 allows one parameter per capability, and section 3 wants unknown ones ignored. Here: graceful
/// restart (64), a private one (200) and 4-octet AS, each in a parameter of its own.
#[test]
fn capabilities_may_come_apart_and_unknown() {
    #[rustfmt::skip]
    let body = [
        4, 0xfd, 0xe8, 0, 90, 10, 0, 0, 1, 19,
        2, 4, 64, 2, 0, 120,
        2, 3, 200, 1, 7,
        2, 6, 65, 4, 0, 0, 0xfd, 0xe8,
    ];
    let open = Open::parse(&body, expecting(65000)).unwrap();
    assert_eq!(open.hold_time, 90);
    // Without a family it says only: I wait for you (RFC 4724 section 3).
    let restart = RestartCapability {
        restarted: false,
        notification: false,
        restart_time: 120,
        forwarding: None,
        ipv6_forwarding: None,
    };
    let graceful_restart = Some(restart);
    assert_eq!(open.capabilities, Capabilities { route_refresh: false, graceful_restart, ..Capabilities::USUAL });
}

/// RFC 4724 section 3 and RFC 8538 section 2: R is 0x8, N is 0x4 of the first four bits, the rest of the 16 are the restart
/// time (4095 = 0xfff); then AFI 1, SAFI 1 and F = 0x80. RFC 7313 section 3.1: code 70, empty.
#[test]
fn capabilities_of_a_restart_and_of_marked_refreshes() {
    let with = |restarted, notification, restart_time, forwarding| {
        let restart = RestartCapability { restarted, notification, restart_time, forwarding, ipv6_forwarding: None };
        Capabilities { graceful_restart: Some(restart), enhanced_refresh: true, ..Capabilities::USUAL }
    };
    let cases: [(_, &[u8]); 4] = [
        (with(false, false, 120, Some(true)), &[64, 6, 0x00, 120, 0, 1, 1, 0x80]),
        (with(true, true, 4095, Some(false)), &[64, 6, 0xcf, 0xff, 0, 1, 1, 0x00]),
        (with(true, false, 0, Some(true)), &[64, 6, 0x80, 0, 0, 1, 1, 0x80]),
        (with(false, true, 300, None), &[64, 2, 0x41, 0x2c]),
    ];
    for (capabilities, octets) in cases {
        let open = Open { capabilities, ..open() };
        let bytes = open.emit();
        assert!(bytes.ends_with(&[octets, &[70, 0]].concat()), "{bytes:?}");
        assert_eq!(Open::parse(&bytes[19..], expecting(65000)), Ok(open));
    }
}

/// The same with another family before ours, and with octets that make no whole family.
#[test]
fn families_of_a_restart() {
    let open = |value: &[u8]| {
        let capability = [&[2, value.len() as u8 + 2, 64, value.len() as u8], value].concat();
        let fixed = [4, 0xfd, 0xe8, 0, 90, 10, 0, 0, 1, capability.len() as u8];
        Open::parse(&[&fixed[..], &capability].concat(), expecting(65000))
    };
    let restart = open(&[0, 120, 0, 2, 1, 0, 0, 1, 1, 0x80]).unwrap().capabilities.graceful_restart.unwrap();
    assert_eq!(restart.forwarding, Some(true));
    assert_eq!(open(&[0, 120, 0, 1, 1]).unwrap_err().codes(), (2, 0));
    assert_eq!(open(&[0]).unwrap_err().codes(), (2, 0));
}

/// An OPEN without parameters, as RFC 4271 alone has it: 29 octets.
#[test]
fn open_without_capabilities() {
    let none = Capabilities { ipv4_unicast: false, route_refresh: false, four_octet_as: false, ..Capabilities::USUAL };
    let bytes = Open { capabilities: none, ..open() }.emit();
    assert_eq!(bytes, with_header(1, &[4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1, 0]));
    let parsed = Open::parse(&bytes[19..], expecting(65000)).unwrap();
    assert!(parsed.capabilities.ipv4_unicast && !parsed.capabilities.four_octet_as);
}

#[test]
fn keepalive_is_a_header() {
    assert_eq!(keepalive(), with_header(4, &[]));
    let mut framer = Framer::default();
    framer.push(&keepalive());
    let frame = framer.next().unwrap().unwrap();
    assert_eq!((frame.kind, frame.body), (MessageType::Keepalive, &[][..]));
}

/// UPDATE, RFC 4271 section 4.3. Withdrawn: 192.0.2.0/24, four octets. Attributes, in order of type code: ORIGIN IGP
/// (well-known transitive 0x40); AS_PATH: sequence (2) of 2 ASes of four octets; NEXT_HOP 169.254.10.2; MED 100
/// (optional 0x80): 4 + 13 + 7 + 7 = 31 octets. NLRI: 10.0.0.0/8 in two octets, 10.128.0.0/9 in three, and
/// the default route in one.
#[rustfmt::skip]
const UPDATE: [u8; 45] = [
    0, 4, 24, 192, 0, 2,
    0, 31,
        0x40, 1, 1, 0,
        0x40, 2, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9,
        0x40, 3, 4, 169, 254, 10, 2,
        0x80, 4, 4, 0, 0, 0, 100,
    8, 10,
    9, 10, 128,
    0,
];

fn attributes() -> Attributes {
    Attributes {
        as_path: AsPath::sequence([65000, 65001]),
        med: Some(100),
        ..Attributes::new(Ipv4Addr::new(169, 254, 10, 2))
    }
}

#[test]
fn update_is_read() {
    let update = Update::parse(&UPDATE, &WIDE).unwrap();
    assert_eq!(update.ipv4.withdrawn, [net("192.0.2.0/24")]);
    let reachable = ["10.0.0.0/8", "10.128.0.0/9", "0.0.0.0/0"].map(net);
    assert_eq!(update.ipv4.reachable, reachable);
    assert_eq!(update.ipv4.attributes.as_ref(), Some(&attributes()));
    assert!(!update.ipv4.end_of_rib && update.ipv4.ignored.is_empty());
}

#[test]
fn update_is_written() {
    let mut messages = Vec::new();
    let prefixes = ["10.0.0.0/8", "10.128.0.0/9", "0.0.0.0/0"].map(net);
    announce(&attributes(), &WIDE, &prefixes, |bytes, _| messages.push(bytes));
    let body = [&[0, 0], &UPDATE[6..]].concat();
    assert_eq!(messages, [with_header(2, &body)]);
    messages.clear();
    withdraw(&[net("192.0.2.0/24")], |bytes, _| messages.push(bytes));
    assert_eq!(messages, [with_header(2, &[0, 4, 24, 192, 0, 2, 0, 0])]);
}

/// RFC 4724 section 2: for IPv4 unicast "an UPDATE message with the minimum length", 23 octets.
#[test]
fn end_of_rib_is_the_shortest_update() {
    assert_eq!(end_of_rib::<Ipv4Net>(), with_header(2, &[0, 0, 0, 0]));
    assert!(Update::parse(&[0, 0, 0, 0], &WIDE).unwrap().ipv4.end_of_rib);
}

/// Section 4.3: trailing bits of a prefix are irrelevant; section 6.3: multicast prefixes are ignored.
#[test]
fn prefixes_are_cleaned() {
    let body = [&[0, 0], &UPDATE[6..39], &[9, 10, 255, 8, 224]].concat();
    let update = Update::parse(&body, &WIDE).unwrap();
    assert_eq!(update.ipv4.reachable, [net("10.128.0.0/9")]);
    assert_eq!(update.ipv4.ignored, [net("224.0.0.0/8")]);
}

/// Every attribute we keep survives a round trip; AGGREGATOR has 8 octets between new speakers (RFC 6793 section 3),
/// and an attribute we do not know comes out with Partial set (RFC 4271 section 5).
#[test]
fn attributes_survive_a_round_trip() {
    let mut given = attributes();
    given.origin = Origin::Incomplete;
    given.as_path = AsPath::sequence((0..600).map(|n| 100_000 + n));
    given.as_path.prepend(65000, 3);
    given.atomic_aggregate = true;
    given.aggregator = Some((70_000, Ipv4Addr::new(10, 9, 8, 7)));
    given.communities = communities();
    given.carried = vec![Carried { code: 99, partial: true, value: vec![5; 300] }];
    for dialect in [WIDE, NARROW] {
        let mut messages = Vec::new();
        announce(&given, &dialect, &[net("10.0.0.0/8")], |b, _| messages.push(b));
        let update = Update::parse(&messages[0][19..], &dialect).unwrap();
        assert_eq!(update.ipv4.attributes.as_ref(), Some(&given));
    }
}

fn communities() -> Communities {
    let standard = |asn, value| AnyCommunity::Standard(Community::new(asn, value));
    let large = |asn, first, second| AnyCommunity::Large(LargeCommunity { asn, first, second });
    [standard(65000, 7), standard(65535, 0xff01), large(4_200_000_000, 1, 2)].into_iter().collect()
}

/// COMMUNITIES (RFC 1997: optional transitive, code 8, four octets each), EXTENDED_COMMUNITIES (RFC 4360: code 16, eight
/// octets each; here the route target 65000:1, type 0x00 0x02) and LARGE_COMMUNITY (RFC 8092: code 32, twelve octets each),
/// in order of code, each a set in ascending order. 65000 = 0xfde8, 4200000000 = 0xfa56ea00, NO_EXPORT = 0xffffff01. What
/// comes twice or unordered is taken once and goes out in order, and a Partial bit stays (RFC 4271 section 5).
#[test]
fn communities_both_ways() {
    #[rustfmt::skip]
    let body = |partial: u8, standard: &[u8]| [
        &[0, 0, 0, 57][..],
        &[0x40, 1, 1, 0],
        &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8],
        &[0x40, 3, 4, 169, 254, 10, 2],
        &[0xc0 | partial, 8, standard.len() as u8], standard,
        &[0xc0, 16, 8, 0, 2, 0xfd, 0xe8, 0, 0, 0, 1],
        &[0xc0, 32, 12, 0xfa, 0x56, 0xea, 0, 0, 0, 0, 1, 0, 0, 0, 2],
        &[8, 10],
    ].concat();
    let (one, no_export) = ([0xfd, 0xe8, 0, 7], [0xff, 0xff, 0xff, 1]);
    let unordered = [no_export, one, no_export].concat();
    let mut received = body(0x20, &unordered);
    received[3] = 61;
    let route = Update::parse(&received, &WIDE).unwrap().ipv4.attributes.unwrap();
    assert_eq!(route.communities.standard(), communities().standard());
    assert_eq!(route.communities.large(), communities().large());
    assert_eq!(route.communities.extended(), [ExtendedCommunity([0, 2, 0xfd, 0xe8, 0, 0, 0, 1])]);
    assert_eq!(route.communities.partial(), [true, false, false]);
    let mut messages = Vec::new();
    announce(&route, &WIDE, &[net("10.0.0.0/8")], |b, _| messages.push(b));
    assert_eq!(messages, [with_header(2, &body(0x20, &[one, no_export].concat()))]);
}

/// ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 section 8: optional non-transitive, codes 9 and 10), the latest cluster first. An
/// external peer has no business to send them: they are not heard.
#[test]
fn reflection_both_ways() {
    let inside = Dialect { remote_as: 64512, ..WIDE };
    #[rustfmt::skip]
    let attributes = [
        0x40, 1, 1, 0,
        0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8,
        0x40, 3, 4, 169, 254, 10, 2,
        0x40, 5, 4, 0, 0, 0, 100,
        0x80, 9, 4, 10, 0, 0, 1,
        0x80, 10, 8, 10, 0, 0, 3, 10, 0, 0, 2,
    ];
    let body = [&[0, 0, 0, 45][..], &attributes, &[8, 10]].concat();
    let route = Update::parse(&body, &inside).unwrap().ipv4.attributes.unwrap();
    let address = |host| Ipv4Addr::new(10, 0, 0, host);
    let reflection = Reflection { originator_id: Some(address(1)), cluster_list: vec![address(3), address(2)] };
    assert_eq!(route.reflection.as_deref(), Some(&reflection));
    let mut messages = Vec::new();
    announce(&route, &inside, &[net("10.0.0.0/8")], |b, _| messages.push(b));
    assert_eq!(messages, [with_header(2, &body)]);
    assert_eq!(Update::parse(&body, &WIDE).unwrap().ipv4.attributes.unwrap().reflection, None);
}

/// RFC 6793 section 4.2.2: to an old speaker AS_PATH goes in two octets with AS_TRANS for what does not fit, and AS4_PATH
/// (optional transitive 0xc0, code 17) tells all. 70000 = 0x00011170.
#[test]
fn an_old_speaker_gets_as4_path() {
    let mut route = Attributes::new(Ipv4Addr::new(169, 254, 10, 2));
    route.as_path = AsPath::sequence([65000, 70_000]);
    let mut messages = Vec::new();
    announce(&route, &NARROW, &[net("10.0.0.0/8")], |b, _| messages.push(b));
    #[rustfmt::skip]
    let body = [
        0, 0, 0, 33,
        0x40, 1, 1, 0,
        0x40, 2, 6, 2, 2, 0xfd, 0xe8, 0x5b, 0xa0,
        0x40, 3, 4, 169, 254, 10, 2,
        0xc0, 17, 10, 2, 2, 0, 0, 0xfd, 0xe8, 0, 1, 0x11, 0x70,
        8, 10,
    ];
    assert_eq!(messages, [with_header(2, &body)]);
    let update = Update::parse(&body, &NARROW).unwrap();
    assert_eq!(update.ipv4.attributes.as_ref(), Some(&route));

    // Everything fits: no AS4_PATH ("SHOULD NOT" in section 4.2.2).
    route.as_path = AsPath::sequence([65000, 65001]);
    messages.clear();
    announce(&route, &NARROW, &[net("10.0.0.0/8")], |b, _| messages.push(b));
    assert!(!messages[0].contains(&17));
}

/// RFC 6793 section 4.2.3: an old speaker (65010) in between put its AS in front of AS_PATH only; the surplus goes in
/// front of AS4_PATH. If AS4_PATH is longer than AS_PATH it is ignored.
#[test]
fn as4_path_is_merged() {
    let old = Dialect { remote_as: 65010, ..NARROW };
    #[rustfmt::skip]
    let body = |as4_count: u8, as4: &[u8]| {
        let attributes = [
            &[0x40, 1, 1, 0][..],
            &[0x40, 2, 8, 2, 3, 0xfd, 0xf2, 0xfd, 0xe8, 0x5b, 0xa0],
            &[0x40, 3, 4, 169, 254, 10, 2],
            &[0xe0, 17, 2 + 4 * as4_count, 2, as4_count], as4,
        ].concat();
        [&[0, 0, 0, attributes.len() as u8], &attributes[..], &[8, 10]].concat()
    };
    let path = |body: &[u8]| Update::parse(body, &old).unwrap().ipv4.attributes.unwrap().as_path;
    let as4 = [0, 0, 0xfd, 0xe8, 0, 1, 0x11, 0x70];
    assert_eq!(path(&body(2, &as4)), AsPath::sequence([65010, 65000, 70_000]));
    let longer = [as4, as4].concat();
    assert_eq!(path(&body(4, &longer)), AsPath::sequence([65010, 65000, 23456]));
}

/// Section 9.1.2.2 a: a set counts one. Section 5.1.2 b: a full segment (255) is left alone and a new one begins.
#[test]
fn as_path_lengths_and_full_segments() {
    let mut path = AsPath::sequence(1..=255);
    path.prepend(9, 2);
    assert_eq!(path.length(), 257);
    assert_eq!(path.segments()[0], Segment::Sequence(vec![9, 9]));
    assert_eq!(path.first(), Some(9));
}

/// As many prefixes as fit in 4,096 octets share a message, and no more: 23 of overhead and 20 of attributes (4 + 9 + 7)
/// leave room for 1,013 prefixes of four octets (4,053 octets).
#[test]
fn prefixes_with_equal_attributes_are_packed() {
    let mut route = Attributes::new(Ipv4Addr::new(169, 254, 10, 2));
    route.as_path = AsPath::sequence([65000]);
    let prefix = |n: u32| format!("10.{}.{}.0/24", n >> 8, n & 255);
    let prefixes: Vec<_> = (0..2_500).map(|n| net(&prefix(n))).collect();
    let mut counts = Vec::new();
    let mut again = Vec::new();
    announce(&route, &WIDE, &prefixes, |bytes, told| {
        assert!(bytes.len() <= 4096);
        let update = Update::parse(&bytes[19..], &WIDE).unwrap();
        assert_eq!((&update.ipv4.withdrawn, &update.ipv4.reachable), (&told.withdrawn, &told.announced));
        counts.push(update.ipv4.reachable.len());
        again.extend(update.ipv4.reachable);
    });
    assert_eq!(counts, [1_013, 1_013, 474]);
    assert_eq!(again, prefixes);
}
