//! Malformed MP_REACH_NLRI and MP_UNREACH_NLRI: what RFC 7606 says of them, which is what we do, and what BIRD and FRR do with the
//! same octets.

use sim_core::reason::State;

use super::Kind;
use super::ipv6::{established, has_route, saw_notification};
use crate::network::isolated;
use crate::process::Outcome;

/// What became of the route that the UPDATE was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Done {
    There,
    /// It is gone, and the session stands.
    Withdrawn,
    /// The session is over.
    Reset,
}
use Done::*;

/// 2001:db8:ff::1, our address on the link.
const NEXT_HOP: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// 2001:db8:d::/48, the route in question.
const ROUTE: &str = "2001:db8:d::/48";
const NLRI: [u8; 7] = [48, 0x20, 0x01, 0x0d, 0xb8, 0, 0x0d];
const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const ORIGIN_3: &[u8] = &[0x40, 1, 1, 3];
/// 64512 = 0xfc00.
const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0];

/// An attribute of AFI 2, SAFI 1.
fn attribute(flags: u8, code: u8, rest: &[&[u8]]) -> Vec<u8> {
    let value = [&[0, 2, 1][..], &rest.concat()].concat();
    [&[flags, code, value.len() as u8], &value[..]].concat()
}

fn reach(next_hop: &[u8], nlri: &[u8]) -> Vec<u8> {
    attribute(0x80, 14, &[&[next_hop.len() as u8], next_hop, &[0], nlri])
}

fn update(attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    let header = [&[0xff; 16][..], &(23 + attributes.len() as u16).to_be_bytes(), &[2, 0, 0]].concat();
    [&header, &(attributes.len() as u16).to_be_bytes()[..], &attributes].concat()
}

/// What it is, the UPDATE, what RFC 7606 says and we do (`tests/ipv6_codec.rs` of the speaker holds the same against it), and what
/// BIRD and FRR do.
fn cases() -> Vec<(&'static str, Vec<u8>, Done, [Done; 2])> {
    let good = reach(&NEXT_HOP, &NLRI);
    let gone = attribute(0x80, 15, &[&NLRI]);
    let transitive = attribute(0xc0, 14, &[&[16], &NEXT_HOP, &[0], &NLRI]);
    let of = |attribute: &[u8]| update(&[attribute, ORIGIN, AS_PATH]);
    let long = [&[129][..], &[0x20; 17]].concat();
    vec![
        ("5.1 MP_REACH_NLRI last", update(&[ORIGIN, AS_PATH, &good]), There, [There; 2]),
        ("7.11 next hop of 15", of(&reach(&NEXT_HOP[..15], &NLRI)), Reset, [Reset; 2]),
        ("7.11 next hop of 0", of(&reach(&[], &NLRI)), Reset, [Reset; 2]),
        ("5.3 NLRI of 129 bits", of(&reach(&NEXT_HOP, &long)), Reset, [Reset; 2]),
        ("5.3 NLRI runs over", of(&reach(&NEXT_HOP, &NLRI[..4])), Reset, [Reset; 2]),
        ("5.3 withdrawn runs over", of(&attribute(0x80, 15, &[&NLRI[..4]])), Reset, [Reset; 2]),
        ("5.3 MP_REACH_NLRI transitive", of(&transitive), Reset, [Reset; 2]),
        ("3g MP_REACH_NLRI twice", update(&[&good, &good, ORIGIN, AS_PATH]), Reset, [Reset; 2]),
        // FRR 8.4 reads no further than the malformed attribute, then misses the NEXT_HOP that is not needed (3/8).
        ("7.1 ORIGIN 3", update(&[&good, ORIGIN_3, AS_PATH]), Withdrawn, [Withdrawn, Reset]),
        ("3d no ORIGIN", update(&[&good, AS_PATH]), Withdrawn, [Withdrawn; 2]),
        // Here it takes the attributes that it has not read for NLRI (3/10).
        ("5.2 ORIGIN 3 with nothing reachable", update(&[&gone, ORIGIN_3, AS_PATH]), Reset, [Reset; 2]),
    ]
}

#[test]
fn bird_treats_malformed_ipv6() {
    isolated("bgp::ipv6_malformed::bird_treats_malformed_ipv6", || judge(Kind::Bird, |[bird, _]| bird));
}

#[test]
fn frr_treats_malformed_ipv6() {
    isolated("bgp::ipv6_malformed::frr_treats_malformed_ipv6", || judge(Kind::Frr, |[_, frr]| frr));
}

fn judge(kind: Kind, expected: impl Fn([Done; 2]) -> Done) -> Outcome {
    let mut ends = established(kind)?;
    let mut wrong = Vec::new();
    for (what, bytes, rfc, theirs) in cases() {
        ends.until("Established", |router| router.state() == State::Established)?;
        ends.ask("Established there", |program| program.established())?;
        ends.router.inject(ends.clock.now(), &update(&[&reach(&NEXT_HOP, &NLRI), ORIGIN, AS_PATH]))?;
        ends.ask("a good route", |program| has_route(program, ROUTE))?;
        ends.router.reports.clear();
        ends.router.inject(ends.clock.now(), &bytes)?;
        ends.serve(2)?;
        let done = match (saw_notification(&ends.router), has_route(&ends.program, ROUTE)) {
            (true, _) => Reset,
            (false, Ok(())) => There,
            (false, Err(_)) => Withdrawn,
        };
        if done != expected(theirs) {
            wrong.push(format!("{what}: {done:?}, not {:?} (RFC 7606: {rfc:?})", expected(theirs)));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ends.explain(wrong.join("\n"))) }
}
