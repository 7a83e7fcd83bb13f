//! Malformed UPDATEs: what RFC 7606 says of them, which is what we do, and what BIRD and FRR do with the same octets.

use sim_core::reason::State;

use super::{Ends, Kind, Theirs};
use crate::network::isolated;
use crate::process::Outcome;
use crate::router::{OUR_AS, OURS, parse};

/// What became of the route that the UPDATE was about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Done {
    /// It is there; the attribute may have been discarded.
    There,
    /// It is gone, and the session stands.
    Withdrawn,
    /// The session is over.
    Reset,
}
use Done::*;

struct Case {
    what: &'static str,
    /// The attribute: it takes the place of the mandatory one of its type, or follows them.
    attribute: &'static [u8],
    /// RFC 7606, and so do we: `tests/revised.rs` of the speaker holds the same table against it.
    rfc: Done,
    bird: Done,
    frr: Done,
}

const CASES: [Case; 14] = [
    Case { what: "7.1 ORIGIN 3", attribute: &[0x40, 1, 1, 3], rfc: Withdrawn, bird: Withdrawn, frr: Withdrawn },
    Case { what: "7.1 ORIGIN of 2", attribute: &[0x40, 1, 2, 0, 0], rfc: Withdrawn, bird: Withdrawn, frr: Withdrawn },
    Case { what: "3c ORIGIN optional", attribute: &[0xc0, 1, 1, 0], rfc: Withdrawn, bird: Withdrawn, frr: Withdrawn },
    Case {
        what: "7.2 segment type 5",
        attribute: &[0x40, 2, 6, 5, 1, 0, 0, 0xfc, 0],
        rfc: Withdrawn,
        bird: Withdrawn,
        frr: Withdrawn,
    },
    Case {
        what: "7.2 segment overrun",
        attribute: &[0x40, 2, 6, 2, 2, 0, 0, 0xfc, 0],
        rfc: Withdrawn,
        bird: Withdrawn,
        frr: Withdrawn,
    },
    Case {
        what: "7.3 NEXT_HOP of 3",
        attribute: &[0x40, 3, 3, 1, 2, 3],
        rfc: Withdrawn,
        bird: Withdrawn,
        frr: Withdrawn,
    },
    Case { what: "7.4 MED of 3", attribute: &[0x80, 4, 3, 0, 0, 1], rfc: Withdrawn, bird: Withdrawn, frr: Withdrawn },
    Case {
        what: "7.5 LOCAL_PREF of 3 from outside",
        attribute: &[0x40, 5, 3, 0, 0, 1],
        rfc: There,
        bird: There,
        frr: There,
    },
    Case { what: "7.6 ATOMIC_AGGREGATE of 1", attribute: &[0x40, 6, 1, 0], rfc: There, bird: There, frr: There },
    Case {
        what: "7.7 AGGREGATOR of 6",
        attribute: &[0xc0, 7, 6, 0xfc, 0, 10, 0, 0, 1],
        rfc: There,
        bird: There,
        frr: There,
    },
    Case {
        what: "7.8 COMMUNITIES of 3",
        attribute: &[0xc0, 8, 3, 0, 0, 0],
        rfc: Withdrawn,
        bird: Withdrawn,
        frr: Withdrawn,
    },
    Case {
        what: "3g ORIGIN twice",
        attribute: &[0x40, 1, 1, 0, 0x40, 1, 1, 1],
        rfc: There,
        bird: There,
        frr: Withdrawn,
    },
    Case {
        what: "4 the last attribute runs over",
        attribute: &[0xc0, 8, 200, 0, 0, 0, 1],
        rfc: Withdrawn,
        bird: Withdrawn,
        frr: Withdrawn,
    },
    Case {
        what: "6.3 an unknown well-known attribute",
        attribute: &[0x40, 99, 1, 0],
        rfc: Reset,
        // BIRD 2.0.12 and FRR 8.4 are milder than RFC 4271 section 6.3.
        bird: Withdrawn,
        frr: Withdrawn,
    },
];

#[test]
fn bird_treats_malformed_updates() {
    isolated("bgp::malformed::bird_treats_malformed_updates", || judge(Kind::Bird, |case| case.bird));
}

#[test]
fn frr_treats_malformed_updates() {
    isolated("bgp::malformed::frr_treats_malformed_updates", || judge(Kind::Frr, |case| case.frr));
}

fn judge(kind: Kind, expected: impl Fn(&Case) -> Done) -> Outcome {
    let mut ends = Ends::established(kind, &Theirs::default(), 1, |peer| {
        peer.idle_hold = sim_core::time::Duration::from_secs(1);
    })?;
    let mut wrong = Vec::new();
    for case in &CASES {
        ends.until("Established", |router| router.state() == State::Established)?;
        ends.ask("Established there", |program| program.established())?;
        let good = update(&[]);
        ends.router.inject(ends.clock.now(), &good)?;
        ends.ask("a good route", |program| program.route("30.0.0.0/24"))?;
        ends.router.inject(ends.clock.now(), &update(case.attribute))?;
        ends.serve(2)?;
        let done = if ends.router.state() != State::Established {
            Reset
        } else if ends.program.route("30.0.0.0/24").is_ok() {
            There
        } else {
            Withdrawn
        };
        if done != expected(case) {
            wrong.push(format!("{}: {done:?}, not {:?} (RFC 7606: {:?})", case.what, expected(case), case.rfc));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ends.explain(wrong.join("\n"))) }
}

/// An UPDATE about 30.0.0.0/24 with the mandatory attributes and this one.
fn update(special: &[u8]) -> Vec<u8> {
    let next_hop: std::net::Ipv4Addr = parse(OURS).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
    let [a, b, c, d] = OUR_AS.to_be_bytes();
    let mut all: Vec<Vec<u8>> =
        vec![vec![0x40, 1, 1, 0], vec![0x40, 2, 6, 2, 1, a, b, c, d], [&[0x40, 3, 4], &next_hop.octets()[..]].concat()];
    match all.iter_mut().find(|attribute| special.get(1) == Some(&attribute[1])) {
        Some(same) => *same = special.to_vec(),
        None => all.push(special.to_vec()),
    }
    let attributes = all.concat();
    let length = (attributes.len() as u16).to_be_bytes();
    let body = [&[0, 0], &length[..], &attributes, &[24, 30, 0, 0]].concat();
    let total = (19 + body.len() as u16).to_be_bytes();
    [&[0xff; 16][..], &total, &[2], &body].concat()
}
