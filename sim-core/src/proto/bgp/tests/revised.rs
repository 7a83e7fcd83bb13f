//! Revised handling of malformed UPDATEs (RFC 7606): attribute by attribute, fault by fault.

use super::errors::{AS_PATH, NEXT_HOP, ORIGIN, update};
use super::*;
use crate::reason::Step;

/// What the RFC says is done.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Done {
    /// Nothing is wrong.
    Accepted,
    Discarded,
    Withdrawn,
    Reset,
}
use Done::*;

/// Who the peer is.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Who {
    External,
    /// The same AS, where AS_PATH is empty and LOCAL_PREF is mandatory.
    Internal,
    /// External, and counts in two octets.
    Old,
}
use Who::*;

fn solo(who: Who) -> Solo {
    let local_as = if who == Internal { 64512 } else { 65000 };
    let mut solo = Solo::open_sent(config(local_as, 64512, 2));
    let capabilities = open::Capabilities { four_octet_as: who != Old, ..open::Capabilities::USUAL };
    let identifier = Ipv4Addr::new(169, 254, 10, 1);
    solo.receive(&open::Open { asn: 64512, hold_time: 30, identifier, capabilities }.emit());
    solo.receive(&message::keepalive());
    assert_eq!(solo.speaker.state(PEER), State::Established);
    solo.drain();
    solo
}

const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 200];
const OLD_PATH: &[u8] = &[0x40, 2, 4, 2, 1, 0xfc, 0x00];
const EMPTY_PATH: &[u8] = &[0x40, 2, 0];

/// The mandatory attributes of a route from such a peer, the one of the same type code as `special` replaced by it; if
/// there is none, it follows.
fn attributes(who: Who, special: &[u8]) -> Vec<&[u8]> {
    let mut all: Vec<&[u8]> = match who {
        External => vec![ORIGIN, AS_PATH, NEXT_HOP],
        Internal => vec![ORIGIN, EMPTY_PATH, NEXT_HOP, LOCAL_PREF],
        Old => vec![ORIGIN, OLD_PATH, NEXT_HOP],
    };
    match all.iter_mut().find(|attribute| attribute[1] == special[1]) {
        Some(same) => *same = special,
        None => all.push(special),
    }
    all
}

/// Sends a good route to 10.0.0.0/8 and 11.0.0.0/8, then `bytes`, which are about 10.0.0.0/8: what became of it.
fn judge(what: &str, who: Who, bytes: &[u8]) -> (Done, Option<(u8, u8)>) {
    let mut solo = solo(who);
    let good: Vec<&[u8]> = match who {
        External => vec![ORIGIN, AS_PATH, NEXT_HOP],
        Internal => vec![ORIGIN, EMPTY_PATH, NEXT_HOP, LOCAL_PREF],
        Old => vec![ORIGIN, OLD_PATH, NEXT_HOP],
    };
    solo.receive(&update(&good, &[8, 10, 8, 11]));
    assert_eq!(solo.speaker.routes().len(), 2, "{what}");
    solo.drain();
    solo.receive(bytes);
    let outputs = solo.drain();
    let noted = outputs.iter().find_map(|output| match output {
        Output::Step { step: Step::AttributeDiscarded | Step::TreatedAsWithdraw, codes, .. } => *codes,
        _ => None,
    });
    let done = if solo.speaker.state(PEER) != State::Established {
        Reset
    } else if solo.speaker.routes().get(&net("10.0.0.0/8")).is_none() {
        let refused =
            Output::Refused { peer: PEER, prefix: net("10.0.0.0/8").into(), reason: Reason::TreatedAsWithdraw };
        assert!(outputs.contains(&refused), "{what}");
        assert!(solo.speaker.adj_rib_in(PEER).get(&net("10.0.0.0/8")).is_none(), "{what}");
        Withdrawn
    } else if noted.is_some() {
        Discarded
    } else {
        Accepted
    };
    // Whatever became of the one, the other route stands as long as the session does.
    let other = solo.speaker.routes().get(&net("11.0.0.0/8")).is_some();
    assert_eq!(other, done != Reset, "{what}");
    (done, noted)
}

/// Section 7, with the flags of section 3 c and the lengths of section 4.
#[test]
fn every_attribute_and_every_fault() {
    let cases: &[(&str, Who, &[u8], Done)] = &[
        // 7.1 ORIGIN: its length is not 1, or its value is none of three.
        ("7.1 ORIGIN of 2 octets", External, &[0x40, 1, 2, 0, 0], Withdrawn),
        ("7.1 ORIGIN of none", External, &[0x40, 1, 0], Withdrawn),
        ("7.1 ORIGIN 3", External, &[0x40, 1, 1, 3], Withdrawn),
        ("3c ORIGIN optional", External, &[0xc0, 1, 1, 0], Withdrawn),
        ("3c ORIGIN not transitive", External, &[0x00, 1, 1, 0], Withdrawn),
        ("3c ORIGIN with Partial, which does not count", External, &[0x60, 1, 1, 0], Accepted),
        ("4271 4.3 ORIGIN with extended length", External, &[0x50, 1, 0, 1, 0], Accepted),
        // 7.2 AS_PATH: unknown segment, overrun, underrun, empty segment.
        ("7.2 AS_PATH segment type 5", External, &[0x40, 2, 6, 5, 1, 0, 0, 0xfc, 0], Withdrawn),
        ("7.2 AS_PATH overrun", External, &[0x40, 2, 6, 2, 2, 0, 0, 0xfc, 0], Withdrawn),
        ("7.2 AS_PATH underrun", External, &[0x40, 2, 7, 2, 1, 0, 0, 0xfc, 0, 2], Withdrawn),
        ("7.2 AS_PATH empty segment", External, &[0x40, 2, 8, 2, 0, 2, 1, 0, 0, 0xfc, 0], Withdrawn),
        ("5065 AS_PATH confederation", External, &[0x40, 2, 6, 3, 1, 0, 0, 0xfc, 0], Withdrawn),
        ("4271 6.3 AS_PATH begins elsewhere", External, &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 1], Withdrawn),
        ("7607 AS_PATH with AS 0", External, &[0x40, 2, 10, 2, 2, 0, 0, 0xfc, 0, 0, 0, 0, 0], Withdrawn),
        ("3c AS_PATH optional", External, &[0xc0, 2, 6, 2, 1, 0, 0, 0xfc, 0], Withdrawn),
        ("7.2 AS_PATH of none, internal", Internal, EMPTY_PATH, Accepted),
        // 7.3 NEXT_HOP: its length is not 4.
        ("7.3 NEXT_HOP of 3 octets", External, &[0x40, 3, 3, 1, 2, 3], Withdrawn),
        ("7.3 NEXT_HOP of 5 octets", External, &[0x40, 3, 5, 1, 2, 3, 4, 5], Withdrawn),
        ("4271 6.3 NEXT_HOP 0.0.0.0", External, &[0x40, 3, 4, 0, 0, 0, 0], Withdrawn),
        ("4271 6.3 NEXT_HOP multicast", External, &[0x40, 3, 4, 224, 0, 0, 1], Withdrawn),
        // 7.4 MULTI_EXIT_DISC: its length is not 4.
        ("7.4 MED of 3 octets", External, &[0x80, 4, 3, 0, 0, 1], Withdrawn),
        ("7.4 MED of none", External, &[0x80, 4, 0], Withdrawn),
        ("3c MED transitive", External, &[0xc0, 4, 4, 0, 0, 0, 1], Withdrawn),
        ("7.4 MED of 4 octets", External, &[0x80, 4, 4, 0, 0, 0, 1], Accepted),
        // 7.5 LOCAL_PREF: from outside it goes, from inside its length must be 4.
        ("7.5 LOCAL_PREF of 3 octets from outside", External, &[0x40, 5, 3, 0, 0, 1], Discarded),
        ("7.5 LOCAL_PREF of 3 octets from inside", Internal, &[0x40, 5, 3, 0, 0, 1], Withdrawn),
        ("3c LOCAL_PREF optional, from inside", Internal, &[0xc0, 5, 4, 0, 0, 0, 1], Withdrawn),
        // 7.6 ATOMIC_AGGREGATE: its length is not 0.
        ("7.6 ATOMIC_AGGREGATE of 1 octet", External, &[0x40, 6, 1, 0], Discarded),
        ("7.6 ATOMIC_AGGREGATE optional", External, &[0xc0, 6, 0], Discarded),
        ("7.6 ATOMIC_AGGREGATE", External, &[0x40, 6, 0], Accepted),
        // 7.7 AGGREGATOR: its length is not 8, or not 6 between speakers one of which is old.
        ("7.7 AGGREGATOR of 6 octets, new", External, &[0xc0, 7, 6, 0xfc, 0, 10, 0, 0, 1], Discarded),
        ("7.7 AGGREGATOR of 8 octets, old", Old, &[0xc0, 7, 8, 0, 0, 0xfc, 0, 10, 0, 0, 1], Discarded),
        ("7.7 AGGREGATOR of 6 octets, old", Old, &[0xc0, 7, 6, 0xfc, 0, 10, 0, 0, 1], Accepted),
        ("7607 AGGREGATOR with AS 0", External, &[0xc0, 7, 8, 0, 0, 0, 0, 10, 0, 0, 1], Discarded),
        ("7.7 AGGREGATOR well-known", External, &[0x40, 7, 8, 0, 0, 0xfc, 0, 10, 0, 0, 1], Discarded),
        // 7.8 COMMUNITIES: its length is no multiple of 4, or 0.
        ("7.8 COMMUNITIES of 3 octets", External, &[0xc0, 8, 3, 0, 0, 0], Withdrawn),
        ("7.8 COMMUNITIES of none", External, &[0xc0, 8, 0], Withdrawn),
        ("7.8 COMMUNITIES with Partial", External, &[0xe0, 8, 4, 0, 0, 0, 1], Accepted),
        // 7.9 and 7.10: from inside, as nobody outside has a business with them.
        ("7.9 ORIGINATOR_ID of 3 octets", Internal, &[0x80, 9, 3, 10, 0, 0], Withdrawn),
        ("7.9 ORIGINATOR_ID", Internal, &[0x80, 9, 4, 10, 0, 0, 7], Accepted),
        ("7.9 ORIGINATOR_ID from outside", External, &[0x80, 9, 4, 10, 0, 0, 7], Accepted),
        ("7.10 CLUSTER_LIST of none", Internal, &[0x80, 10, 0], Withdrawn),
        ("7.10 CLUSTER_LIST of 6 octets", Internal, &[0x80, 10, 6, 10, 0, 0, 7, 10, 0], Withdrawn),
        ("7.10 CLUSTER_LIST", Internal, &[0x80, 10, 4, 10, 0, 0, 7], Accepted),
        // 7.14, and RFC 8092 section 6: no multiple of 8 or 12, or none.
        ("7.14 EXTENDED_COMMUNITIES of 4 octets", External, &[0xc0, 16, 4, 0, 2, 0, 1], Withdrawn),
        ("7.14 EXTENDED_COMMUNITIES of none", External, &[0xc0, 16, 0], Withdrawn),
        ("8092 6 LARGE_COMMUNITY of 4 octets", External, &[0xc0, 32, 4, 0, 0, 0, 1], Withdrawn),
        ("8092 6 LARGE_COMMUNITY of none", External, &[0xc0, 32, 0], Withdrawn),
        // 7.11 and 7.12 leave it to RFC 4760: a family that was not negotiated is ignored.
        ("4760 8 MP_REACH_NLRI of a family that nobody negotiated", External, &[0x80, 14, 3, 0, 2, 1], Accepted),
        // RFC 6793 section 6.
        ("6793 AS4_PATH malformed", Old, &[0xc0, 17, 5, 2, 2, 0, 0, 0], Discarded),
        ("6793 AS4_AGGREGATOR of 6 octets", Old, &[0xc0, 18, 6, 0, 0, 0, 1, 10, 0], Discarded),
        // RFC 4271 section 9: what nobody here knows goes on.
        ("optional transitive, unknown", External, &[0xc0, 99, 2, 1, 2], Accepted),
        ("optional, unknown", External, &[0x80, 99, 0], Accepted),
        ("4271 6.3 well-known, unknown", External, &[0x40, 99, 0], Reset),
    ];
    for &(what, who, attribute, expected) in cases {
        let (done, noted) = judge(what, who, &update(&attributes(who, attribute), &[8, 10]));
        assert_eq!(done, expected, "{what}");
        // The record names the attribute.
        if matches!(done, Discarded | Withdrawn) {
            assert_eq!(noted.map(|(code, _)| code), Some(attribute[1]), "{what}");
        }
    }
}

/// Section 3 d: each that is missing.
#[test]
fn missing_mandatory_attributes() {
    let all: [&[u8]; 3] = [ORIGIN, AS_PATH, NEXT_HOP];
    for (left_out, code) in [(0, 1), (1, 2), (2, 3)] {
        let rest: Vec<&[u8]> = all.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, a)| *a).collect();
        assert_eq!(judge("missing", External, &update(&rest, &[8, 10])), (Withdrawn, Some((code, 3))));
    }
}

/// Section 3 g: the first of two counts, known or not; but two of multiprotocol NLRI are a malformed list.
#[test]
fn duplicates() {
    let egp: &[u8] = &[0x40, 1, 1, 1];
    let bytes = update(&[ORIGIN, AS_PATH, NEXT_HOP, egp], &[8, 10]);
    assert_eq!(judge("ORIGIN twice", External, &bytes), (Discarded, Some((1, 1))));
    let mut solo = solo(External);
    solo.receive(&bytes);
    assert_eq!(
        solo.speaker.routes().get(&net("10.0.0.0/8")).unwrap().best_route().attributes.origin,
        attributes::Origin::Igp
    );

    let unknown: &[u8] = &[0xc0, 99, 1, 1];
    let bytes = update(&[ORIGIN, AS_PATH, NEXT_HOP, unknown, unknown], &[8, 10]);
    assert_eq!(judge("unknown twice", External, &bytes), (Discarded, Some((99, 1))));

    let unreachable: &[u8] = &[0x80, 15, 3, 0, 2, 1];
    let bytes = update(&[ORIGIN, AS_PATH, NEXT_HOP, unreachable, unreachable], &[8, 10]);
    assert_eq!(judge("MP_UNREACH_NLRI twice", External, &bytes).0, Reset);
}

/// Section 3 h: of several faults the strongest approach counts, in either order.
#[test]
fn the_strongest_fault_counts() {
    let discard: &[u8] = &[0x40, 6, 1, 0];
    let withdraw: &[u8] = &[0x80, 4, 3, 0, 0, 1];
    let reset: &[u8] = &[0x40, 99, 0];
    let with = |more: [&[u8]; 2]| update(&[&[ORIGIN, AS_PATH, NEXT_HOP], &more[..]].concat(), &[8, 10]);
    for (pair, expected) in [
        ([discard, withdraw], Withdrawn),
        ([withdraw, discard], Withdrawn),
        ([withdraw, reset], Reset),
        ([reset, withdraw], Reset),
    ] {
        assert_eq!(judge("two faults", External, &with(pair)).0, expected, "{pair:?}");
    }
}

/// Section 4: an attribute that claims more than there is ends the attributes, and the NLRI is still found.
#[test]
fn a_length_that_runs_over_leaves_the_nlri() {
    let overrun: &[u8] = &[0xc0, 8, 200, 0, 0, 0, 1];
    let bytes = update(&[ORIGIN, AS_PATH, NEXT_HOP, overrun], &[8, 10]);
    assert_eq!(judge("overrun", External, &bytes), (Withdrawn, Some((0, 1))));
    let rest: &[u8] = &[0xc0, 8];
    let bytes = update(&[ORIGIN, AS_PATH, NEXT_HOP, rest], &[8, 10]);
    assert_eq!(judge("two octets left", External, &bytes), (Withdrawn, Some((0, 1))));
}

/// What is withdrawn beside a malformed route is withdrawn, and a discarded attribute is not in the route.
#[test]
fn the_rest_of_the_message_counts() {
    let mut solo = solo(External);
    solo.receive(&update(&[ORIGIN, AS_PATH, NEXT_HOP], &[8, 10, 8, 11]));
    let attributes = [ORIGIN, AS_PATH, NEXT_HOP, &[0x40, 6, 1, 0]].concat();
    let length = (attributes.len() as u16).to_be_bytes();
    let body = [&[0, 2, 8, 11], &length[..], &attributes, &[8, 10]].concat();
    solo.receive(&super::errors::message(2, &body));
    let routes = solo.speaker.routes();
    assert_eq!(routes.len(), 1);
    assert!(!routes.get(&net("10.0.0.0/8")).unwrap().best_route().attributes.atomic_aggregate);
}
