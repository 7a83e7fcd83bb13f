//! IPv6 unicast on the wire (RFC 4760, RFC 2545), octets written out by hand from the drawings, and what becomes of those that
//! are wrong (RFC 7606).

use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::super::as_path::AsPath;
use super::super::attributes::{Attributes, Dialect};
use super::super::message::{Refresh, route_refresh};
use super::super::open::{Capabilities, Expected, Open, RestartCapability};
use super::super::update::{Update, announce, end_of_rib, withdraw};
use super::errors::{message, update};
use super::ipv6::{established, net6};
use super::*;

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
/// 64512 = 0xfc00.
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 169, 254, 10, 1];
const BOTH: Dialect = Dialect { ipv6_unicast: true, ..Dialect::new(65000, 64512) };
/// 2001:db8::1.
const GLOBAL: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// fe80::1.
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// 2001:db8:a::/48 as NLRI: 48 bits in 6 octets.
const A48: [u8; 7] = [48, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x0a];

/// MP_REACH_NLRI (type 14, optional non-transitive 0x80) of AFI 2, SAFI 1: length of the next hop, next hop, reserved, NLRI.
fn reach(next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    framed(0x80, 14, &[&[0, 2, 1, next_hop.len() as u8], next_hop, &[0], nlri].concat())
}

/// MP_UNREACH_NLRI (type 15) of AFI 2, SAFI 1.
fn unreach(nlri: &[u8]) -> Vec<u8> {
    framed(0x80, 15, &[&[0, 2, 1], nlri].concat())
}

fn framed(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    [&[flags, code, value.len() as u8], value].concat()
}

fn route(next_hop: Ipv6NextHop) -> Attributes<Ipv6Net> {
    Attributes { as_path: AsPath::sequence([64512]), ..Attributes::new(next_hop) }
}

fn global() -> Ipv6NextHop {
    Ipv6Addr::from(GLOBAL).into()
}

/// RFC 7606 section 5.1: MP_REACH_NLRI comes first. RFC 4760 section 3: 28 octets of AFI, SAFI, length, next hop, reserved and
/// one prefix; ORIGIN and AS_PATH follow, and no NEXT_HOP.
#[test]
fn an_announcement_both_ways() {
    let expected = update(&[&reach(&GLOBAL, &A48), ORIGIN, AS_PATH], &[]);
    assert_eq!(expected[19..26], [0, 0, 0, 31 + 4 + 9, 0x80, 14, 28]);
    let mut sent = Vec::new();
    announce(&route(global()), &BOTH, &[net6("2001:db8:a::/48")], |bytes, told| sent.push((bytes, told)));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, expected);
    assert_eq!(sent[0].1.announced, [net6("2001:db8:a::/48")]);
    let read = Update::parse(&expected[19..], &BOTH).unwrap();
    let said = read.ipv6.unwrap();
    assert_eq!((said.attributes, said.reachable), (Some(route(global())), vec![net6("2001:db8:a::/48")]));
    assert_eq!((read.ipv4.attributes, read.ipv4.reachable, read.faults), (None, vec![], vec![]));
    assert!(!said.end_of_rib);
}

/// RFC 2545 section 3: 32 octets, the global address and then the link-local one.
#[test]
fn a_next_hop_with_a_link_local_address() {
    let next_hop = Ipv6NextHop { link_local: Some(LINK_LOCAL.into()), ..global() };
    let expected = update(&[&reach(&[GLOBAL, LINK_LOCAL].concat(), &A48), ORIGIN, AS_PATH], &[]);
    announce(&route(next_hop), &BOTH, &[net6("2001:db8:a::/48")], |bytes, _| assert_eq!(bytes, expected));
    let said = Update::parse(&expected[19..], &BOTH).unwrap().ipv6.unwrap();
    assert_eq!(said.attributes.unwrap().next_hop, next_hop);
    // In the place of the second one an address that is not link-local is of no use.
    let other = update(&[&reach(&[GLOBAL, GLOBAL].concat(), &A48), ORIGIN, AS_PATH], &[]);
    let said = Update::parse(&other[19..], &BOTH).unwrap().ipv6.unwrap();
    assert_eq!(said.attributes.unwrap().next_hop, global());
}

/// NLRI of every kind of length (RFC 4271 section 4.3, by RFC 4760 section 5): the default route in one octet, 3 and 61 bits in
/// as few octets as hold them with whatever follows them in the last one, and 128 bits.
#[test]
fn prefixes_of_any_length() {
    let cases: [(&[u8], &str); 5] = [
        (&[0], "::/0"),
        (&[3, 0x3f], "2000::/3"),
        (&[32, 0x20, 0x01, 0x0d, 0xb8], "2001:db8::/32"),
        (&[61, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0x1f], "2001:db8:1:18::/61"),
        (&[&[128][..], &GLOBAL].concat(), "2001:db8::1/128"),
    ];
    for (octets, prefix) in cases {
        let body = update(&[&reach(&GLOBAL, octets), ORIGIN, AS_PATH], &[]);
        let said = Update::parse(&body[19..], &BOTH).unwrap().ipv6.unwrap();
        assert_eq!(said.reachable, [net6(prefix)]);
    }
}

/// RFC 4760 section 4, alone and with nothing in it, which is End-of-RIB (RFC 4724 section 2).
#[test]
fn withdrawals_and_end_of_rib() {
    let expected = update(&[&unreach(&A48)], &[]);
    withdraw(&[net6("2001:db8:a::/48")], |bytes, told| {
        assert_eq!((bytes, told.withdrawn), (expected.clone(), vec![net6("2001:db8:a::/48")]));
    });
    let read = Update::parse(&expected[19..], &BOTH).unwrap();
    assert!(!read.ends_a_rib());
    assert_eq!(read.ipv6.unwrap().withdrawn, [net6("2001:db8:a::/48")]);

    assert_eq!(end_of_rib::<Ipv6Net>(), message(2, &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]));
    let ends = |body: &[u8]| {
        let update = Update::parse(body, &BOTH).unwrap();
        (update.ipv4.end_of_rib, update.ipv6.is_some_and(|said| said.end_of_rib))
    };
    assert_eq!(ends(&[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]), (false, true));
    assert_eq!(ends(&[0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1]), (false, true));
    assert_eq!(ends(&[0, 0, 0, 0]), (true, false));
    // Beside anything else it is only an attribute without routes.
    assert_eq!(ends(&[0, 2, 8, 10, 0, 6, 0x80, 15, 3, 0, 2, 1]), (false, false));
    assert_eq!(ends(&update(&[&unreach(&[]), ORIGIN], &[])[19..]), (false, false));
    assert_eq!(ends(&update(&[&unreach(&[]), &reach(&GLOBAL, &A48), ORIGIN, AS_PATH], &[])[19..]), (false, false));
}

/// RFC 4760 section 8: code 1, four octets: AFI 2, reserved, SAFI 1. RFC 4724 section 3: AFI, SAFI and F of each family.
#[test]
fn capabilities() {
    let restart = RestartCapability {
        restarted: false,
        notification: false,
        restart_time: 120,
        forwarding: Some(true),
        ipv6_forwarding: Some(true),
    };
    let ours = Capabilities { ipv6_unicast: true, graceful_restart: Some(restart), ..Capabilities::USUAL };
    let identifier = Ipv4Addr::new(10, 0, 0, 1);
    let open = Open { asn: 65000, hold_time: 30, identifier, capabilities: ours };
    #[rustfmt::skip]
    let expected = message(1, &[
        4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1, 34,
        2, 32,
            1, 4, 0, 1, 0, 1,
            1, 4, 0, 2, 0, 1,
            2, 0,
            65, 4, 0, 0, 0xfd, 0xe8,
            64, 10, 0, 120, 0, 1, 1, 0x80, 0, 2, 1, 0x80,
    ]);
    assert_eq!(open.emit(), expected);
    let judged = |capabilities, body: &[u8]| {
        let router_id = Ipv4Addr::new(10, 0, 0, 2);
        Open::parse(body, Expected { local_as: 64512, router_id, remote_as: 65000, capabilities })
    };
    assert_eq!(judged(ours, &expected[19..]), Ok(open));
    // IPv6 alone is for those who speak it; another family alone for nobody here (RFC 5492 section 5).
    let only = |safi| [4, 0xfd, 0xe8, 0, 30, 10, 0, 0, 1, 8, 2, 6, 1, 4, 0, 2, 0, safi];
    let alone = judged(ours, &only(1)).unwrap().capabilities;
    assert_eq!((alone.ipv4_unicast, alone.ipv6_unicast), (false, true));
    let refused = |capabilities, safi| judged(capabilities, &only(safi)).map_err(|error| (error.codes(), error.data));
    let missing = |afi| Err(((2, 7), vec![1, 4, 0, afi, 0, 1]));
    assert_eq!(refused(Capabilities::USUAL, 1), missing(1));
    assert_eq!(refused(ours, 128), missing(1));
    assert_eq!(refused(Capabilities { ipv4_unicast: false, ..ours }, 128), missing(2));
}

/// RFC 2918 section 3, with AFI 2.
#[test]
fn a_route_refresh() {
    assert_eq!(route_refresh(Afi::Ipv6, Refresh::Request), message(5, &[0, 2, 0, 1]));
    assert_eq!(route_refresh(Afi::Ipv6, Refresh::Beginning), message(5, &[0, 2, 1, 1]));
}

/// What the RFC says is done.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Done {
    Accepted,
    Withdrawn,
    /// The session ends with this code and subcode.
    Reset(u8, u8),
}
use Done::*;

/// Sends a good route to 2001:db8:a::/48 and 2001:db8:b::/48, then `bytes`, which are about the first: what became of it.
fn judge(what: &str, bytes: &[u8]) -> Done {
    let mut solo = established(|_| {});
    let b48 = [48, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x0b];
    let egp: &[u8] = &[0x40, 1, 1, 1];
    solo.receive(&update(&[&reach(&GLOBAL, &[A48, b48].concat()), egp, AS_PATH], &[]));
    let routes = |solo: &Solo| solo.speaker.ipv6_routes().unwrap().len();
    assert_eq!(routes(&solo), 2, "{what}");
    solo.drain();
    solo.receive(bytes);
    if solo.speaker.state(PEER) != State::Established {
        assert_eq!(routes(&solo), 0, "{what}");
        let (code, subcode, _) = solo.notification().expect("a NOTIFICATION");
        return Reset(code, subcode);
    }
    let table = solo.speaker.ipv6_routes().unwrap();
    assert!(table.get(&net6("2001:db8:b::/48")).is_some(), "{what}");
    match table.get(&net6("2001:db8:a::/48")) {
        None => Withdrawn,
        Some(entry) => {
            // The later route took the place of the first.
            assert_eq!(entry.best_route().attributes.origin, attributes::Origin::Igp, "{what}");
            Accepted
        }
    }
}

/// RFC 7606 sections 3 g, 5.1, 5.3, 7.11 and 7.12, and what RFC 4760 says of the fields.
#[test]
fn malformed_multiprotocol_attributes() {
    let with = |attribute: &[u8]| update(&[attribute, ORIGIN, AS_PATH], &[]);
    let next_hop = |octets: usize| with(&reach(&[0x20; 64][..octets], &A48));
    let raw = |code, value: &[u8]| with(&framed(0x80, code, value));
    let good = reach(&GLOBAL, &A48);
    let flagged = |flags: u8, attribute: &[u8]| with(&[&[flags], &attribute[1..]].concat());
    let reserved = framed(0x80, 14, &[&[0, 2, 1, 16], &GLOBAL[..], &[7], &A48].concat());
    let extended = [&[0x90, 14, 0, good.len() as u8 - 3], &good[3..]].concat();
    let to = |address: &str| with(&reach(&address.parse::<Ipv6Addr>().unwrap().octets(), &A48));
    let cases = [
        ("as it should be", with(&good), Accepted),
        ("5.1 MP_REACH_NLRI last", update(&[ORIGIN, AS_PATH, &good], &[]), Accepted),
        ("5.1 beside IPv4 NLRI", update(&[ORIGIN, AS_PATH, NEXT_HOP, &good], &[8, 10]), Accepted),
        ("4760 3 with a NEXT_HOP", update(&[&good, ORIGIN, AS_PATH, NEXT_HOP], &[]), Accepted),
        ("4760 3 reserved octet not zero", with(&reserved), Accepted),
        ("4271 4.3 extended length", with(&extended), Accepted),
        ("3c Partial does not count", flagged(0xa0, &good), Accepted),
        ("7.11 next hop of no octets", next_hop(0), Reset(3, 9)),
        ("7.11 next hop of 4 octets", next_hop(4), Reset(3, 9)),
        ("7.11 next hop of 15 octets", next_hop(15), Reset(3, 9)),
        ("7.11 next hop of 24 octets, as of a VPN", next_hop(24), Reset(3, 9)),
        ("7.11 next hop of 33 octets", next_hop(33), Reset(3, 9)),
        ("7.11 next hop of 48 octets", next_hop(48), Reset(3, 9)),
        ("7.11 next hop runs over", raw(14, &[&[0, 2, 1, 32], &GLOBAL[..], &[0]].concat()), Reset(3, 9)),
        ("7.11 no reserved octet", raw(14, &[&[0, 2, 1, 16], &GLOBAL[..]].concat()), Reset(3, 9)),
        ("5.3 MP_REACH_NLRI of 3 octets", raw(14, &[0, 2, 1]), Reset(3, 9)),
        ("5.3 MP_REACH_NLRI of 2 octets", raw(14, &[0, 2]), Reset(3, 9)),
        ("5.3 MP_REACH_NLRI of none", raw(14, &[]), Reset(3, 9)),
        ("5.3 MP_UNREACH_NLRI of 2 octets", raw(15, &[0, 2]), Reset(3, 9)),
        ("5.3 NLRI of 129 bits", with(&reach(&GLOBAL, &[&[129], &[0x20; 17][..]].concat())), Reset(3, 9)),
        ("5.3 NLRI of 255 bits", with(&reach(&GLOBAL, &[&[255], &[0x20; 32][..]].concat())), Reset(3, 9)),
        ("5.3 NLRI runs over", with(&reach(&GLOBAL, &[48, 0x20, 1])), Reset(3, 9)),
        ("5.3 withdrawn of 129 bits", with(&unreach(&[&[129], &[0x20; 17][..]].concat())), Reset(3, 9)),
        ("5.3 withdrawn runs over", with(&unreach(&[48, 0x20, 1])), Reset(3, 9)),
        ("5.3 MP_REACH_NLRI transitive", flagged(0xc0, &good), Reset(3, 4)),
        ("5.3 MP_REACH_NLRI well-known", flagged(0x40, &good), Reset(3, 4)),
        ("5.3 MP_UNREACH_NLRI transitive", flagged(0xc0, &unreach(&A48)), Reset(3, 4)),
        ("3g MP_REACH_NLRI twice", update(&[&good, &good, ORIGIN, AS_PATH], &[]), Reset(3, 1)),
        ("3g MP_UNREACH_NLRI twice", update(&[&unreach(&A48), &unreach(&A48)], &[]), Reset(3, 1)),
        ("4271 6.3 next hop ::", to("::"), Withdrawn),
        ("4271 6.3 next hop ::1", to("::1"), Withdrawn),
        ("4271 6.3 next hop ff02::1", to("ff02::1"), Withdrawn),
    ];
    for (what, bytes, done) in cases {
        assert_eq!(judge(what, &bytes), done, "{what}");
    }
}

/// Other attributes beside these two: treat-as-withdraw takes the routes of MP_REACH_NLRI (RFC 7606 section 2), is not
/// enough where nothing is reachable (section 5.2), and NEXT_HOP is mandatory for IPv4 only (RFC 4760 section 3).
#[test]
fn malformed_attributes_beside_them() {
    let (good, gone) = (reach(&GLOBAL, &A48), unreach(&A48));
    let (good, gone): (&[u8], &[u8]) = (&good, &gone);
    let origin_3: &[u8] = &[0x40, 1, 1, 3];
    let short_med: &[u8] = &[0x80, 4, 3, 0, 0, 1];
    let atomic_1: &[u8] = &[0x40, 6, 1, 0];
    let cases = [
        ("7.1 ORIGIN 3", update(&[good, origin_3, AS_PATH], &[]), Withdrawn),
        ("7.4 MED of 3 octets", update(&[good, ORIGIN, AS_PATH, short_med], &[]), Withdrawn),
        ("7.6 ATOMIC_AGGREGATE of 1 octet", update(&[good, ORIGIN, AS_PATH, atomic_1], &[]), Accepted),
        ("3d no ORIGIN", update(&[good, AS_PATH], &[]), Withdrawn),
        ("3d no AS_PATH", update(&[good, ORIGIN], &[]), Withdrawn),
        ("4 attributes cut after it", update(&[good, ORIGIN, &AS_PATH[..5]], &[]), Withdrawn),
        ("4 attributes cut before it", update(&[ORIGIN, AS_PATH, &good[..9]], &[]), Reset(3, 1)),
        ("5.2 ORIGIN 3 beside what is withdrawn", update(&[gone, origin_3], &[]), Reset(3, 6)),
        ("5.2 ATOMIC_AGGREGATE of 1 octet there", update(&[gone, atomic_1], &[]), Withdrawn),
        ("withdrawn, with attributes", update(&[gone, ORIGIN, AS_PATH], &[]), Withdrawn),
    ];
    for (what, bytes, done) in cases {
        assert_eq!(judge(what, &bytes), done, "{what}");
    }
    // With both families in one message both are withdrawn.
    let mut solo = established(|_| {});
    let of = |origin| update(&[good, origin, AS_PATH, NEXT_HOP], &[8, 10]);
    solo.receive(&of(ORIGIN));
    assert_eq!((solo.speaker.routes().len(), solo.speaker.ipv6_routes().unwrap().len()), (1, 1));
    solo.receive(&of(origin_3));
    assert_eq!((solo.speaker.routes().len(), solo.speaker.ipv6_routes().unwrap().len()), (0, 0));
    assert_eq!(solo.speaker.state(PEER), State::Established);
}

/// What is no unicast network is ignored (RFC 4271 section 6.3), and so is a family that was not negotiated.
#[test]
fn what_is_ignored() {
    let mut solo = established(|_| {});
    // ff00::/8, fe80::/10 and 2001:db8:a::/48.
    let nlri = [&[8, 0xff, 10, 0xfe, 0x80][..], &A48].concat();
    solo.receive(&update(&[&reach(&GLOBAL, &nlri), ORIGIN, AS_PATH], &[]));
    let refused: Vec<_> = solo
        .drain()
        .into_iter()
        .filter_map(|o| if let Output::Refused { prefix, reason, .. } = o { Some((prefix, reason)) } else { None })
        .collect();
    let ignored = ["ff00::/8", "fe80::/10"].map(|prefix| (net6(prefix).into(), Reason::NotUnicast));
    assert_eq!(refused, ignored);
    assert!(solo.speaker.ipv6_routes().unwrap().keys().eq([net6("2001:db8:a::/48")]));

    // Multicast (SAFI 2), and IPv4 in this attribute, which is left out.
    for family in [[0, 2, 2], [0, 1, 1]] {
        let other = framed(0x80, 14, &[&family, &[16][..], &GLOBAL, &[0], &A48].concat());
        solo.receive(&update(&[&other, ORIGIN, AS_PATH], &[]));
    }
    assert_eq!(solo.speaker.state(PEER), State::Established);
    assert_eq!(solo.speaker.ipv6_routes().unwrap().len(), 1);
    let mut without = Solo::established();
    without.receive(&update(&[&reach(&GLOBAL, &A48), ORIGIN, AS_PATH], &[]));
    without.receive(&update(&[&reach(&[1, 2], &A48), ORIGIN, AS_PATH], &[]));
    assert_eq!(without.speaker.state(PEER), State::Established);
    assert!(without.speaker.ipv6_routes().is_none());
}

proptest! {
    /// Parsing what was emitted gives back what was given.
    #[test]
    fn parse_after_emit_is_identity(
        link_local in any::<bool>(),
        med in any::<Option<u32>>(),
        asns in prop::collection::vec(1..=u32::MAX, 0..12),
        four_octet_as in any::<bool>(),
        prefixes in prop::collection::vec((any::<u128>(), 0..=128_u8), 1..600),
    ) {
        let dialect = Dialect { four_octet_as, ..BOTH };
        let mut given = route(Ipv6NextHop { link_local: link_local.then_some(LINK_LOCAL.into()), ..global() });
        given.med = med;
        given.as_path = AsPath::sequence([64512].into_iter().chain(asns));
        let prefixes: Vec<_> = prefixes
            .into_iter()
            .map(|(address, length)| Ipv6Net::new(address.into(), length).unwrap().trunc())
            .filter(|prefix| prefix.is_unicast())
            .collect();
        let (mut read, mut gone) = (Vec::new(), Vec::new());
        announce(&given, &dialect, &prefixes, |bytes, told| {
            assert!(bytes.len() <= message::MAX_MESSAGE);
            let said = Update::parse(&bytes[19..], &dialect).unwrap().ipv6.unwrap();
            assert_eq!(said.attributes.as_ref(), Some(&given));
            assert_eq!((&said.withdrawn, &said.reachable), (&told.withdrawn, &told.announced));
            read.extend(said.reachable);
        });
        withdraw(&prefixes, |bytes, _| {
            assert!(bytes.len() <= message::MAX_MESSAGE);
            gone.extend(Update::parse(&bytes[19..], &dialect).unwrap().ipv6.unwrap().withdrawn);
        });
        prop_assert_eq!((&read, &gone), (&prefixes, &prefixes));
    }

    /// Whatever is in these attributes, and whatever octet of a good UPDATE is changed: it is read or refused, and the session
    /// stands or ends with a NOTIFICATION about an UPDATE.
    #[test]
    fn any_multiprotocol_attribute(
        code in 14..=15_u8,
        flags in prop::sample::select(vec![0x80_u8, 0x90, 0xa0, 0xc0]),
        family in prop::sample::select(vec![[0_u8, 2, 1], [0, 1, 1], [0, 2, 2]]),
        next_hop in prop::sample::select(vec![0_u8, 4, 16, 24, 32, 255]),
        value in prop::collection::vec(any::<u8>(), 0..80),
        flip in prop::option::of((0..120_usize, any::<u8>())),
    ) {
        let value = match code {
            14 => [&family[..], &[next_hop], &value].concat(),
            _ => [&family[..], &value].concat(),
        };
        let mut bytes = update(&[&framed(flags, code, &value), ORIGIN, AS_PATH], &[]);
        if let Some((place, octet)) = flip {
            let place = 19 + place % (bytes.len() - 19);
            bytes[place] = octet;
        }
        let mut solo = established(|_| {});
        solo.receive(&bytes);
        let up = solo.speaker.state(PEER) == State::Established;
        let notification = solo.notification();
        prop_assert_eq!(up, notification.is_none());
        prop_assert!(notification.is_none_or(|(code, ..)| code == 3));
    }
}
