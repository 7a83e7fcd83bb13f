//! Malformed UPDATEs: what RFC 7606 says of them, and what our speaker, BIRD and FRR do with the same octets. Each test
//! prints that as a table.

use std::io::Write as _;

use sim_core::proto::bgp::{ConnId, Input, PeerConfig, Speaker, SpeakerConfig};
use sim_core::reason::State;
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};

use super::octets::{IGP, as_path, hello, next_hop, update};
use super::{Ends, Kind, LIMIT, Theirs};
use crate::network::isolated;
use crate::process::Outcome;
use crate::router::{OUR_AS, OURS, PEER, THEIR_AS, THEIRS, parse};

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
    change: Change,
    /// What RFC 7606 says, and what our speaker does.
    rfc: Done,
    bird: Done,
    frr: Done,
}

/// How the UPDATE differs from a good one.
#[derive(Clone, Copy)]
enum Change {
    /// This attribute takes the place of the mandatory one of its type, or follows them.
    Attribute(&'static [u8]),
    /// This one follows the mandatory ones, and that of its type is missing.
    Last(&'static [u8]),
    /// The mandatory attribute of this type is missing.
    Without(u8),
    /// A prefix of so many bits follows the good one.
    Bits(u8),
}
use Change::*;

impl Case {
    const fn new(what: &'static str, change: Change, rfc: Done) -> Self {
        Self { what, change, rfc, bird: rfc, frr: rfc }
    }

    /// BIRD 2.0.12 does something else.
    const fn bird(self, bird: Done) -> Self {
        Self { bird, ..self }
    }

    /// FRR 8.4.4 does something else.
    const fn frr(self, frr: Done) -> Self {
        Self { frr, ..self }
    }
}

/// By section of RFC 7606, unless another RFC is named. `tests/revised.rs` of our speaker holds more of it against the RFC.
///
/// Where the daemons differ from the RFC, and so from us:
///
/// | what | RFC | BIRD 2.0.12 | FRR 8.4.4 |
/// |---|---|---|---|
/// | an attribute that others follow | withdrawn | withdrawn | reset: it reads the others as prefixes |
/// | ORIGINATOR_ID and CLUSTER_LIST from outside | discarded | discarded | withdrawn |
/// | ORIGIN twice | the first counts | the first counts | reset |
/// | an attribute that runs over | withdrawn | withdrawn | reset |
/// | an unknown well-known attribute | reset | withdrawn | reset |
///
/// FRR stops at the first attribute that makes a withdrawal, and takes what follows it for the NLRI (`bgp_update_receive` of its
/// bgpd): the withdrawal is one only if that attribute is the last.
const CASES: [Case; 24] = [
    Case::new("7.1 ORIGIN 3", Attribute(&[0x40, 1, 1, 3]), Withdrawn).frr(Reset),
    Case::new("7.1 ORIGIN 3, the last attribute", Last(&[0x40, 1, 1, 3]), Withdrawn),
    Case::new("7.1 ORIGIN of 2", Attribute(&[0x40, 1, 2, 0, 0]), Withdrawn).frr(Reset),
    Case::new("3c ORIGIN optional", Attribute(&[0xc0, 1, 1, 0]), Withdrawn).frr(Reset),
    Case::new("7.2 segment type 5", Attribute(&[0x40, 2, 6, 5, 1, 0, 0, 0xfc, 0]), Withdrawn).frr(Reset),
    Case::new("7.2 segment overrun", Attribute(&[0x40, 2, 6, 2, 2, 0, 0, 0xfc, 0]), Withdrawn).frr(Reset),
    Case::new("7.2 empty segment", Attribute(&[0x40, 2, 8, 2, 0, 2, 1, 0, 0, 0xfc, 0]), Withdrawn).frr(Reset),
    Case::new("7.3 NEXT_HOP of 3", Attribute(&[0x40, 3, 3, 1, 2, 3]), Withdrawn),
    Case::new("7.4 MED of 3", Attribute(&[0x80, 4, 3, 0, 0, 1]), Withdrawn),
    Case::new("7.4 MED of 3, and COMMUNITIES", Attribute(&[0x80, 4, 3, 0, 0, 1, 0xc0, 8, 4, 0xfc, 0, 0, 1]), Withdrawn)
        .frr(Reset),
    Case::new("7.5 LOCAL_PREF of 3 from outside", Attribute(&[0x40, 5, 3, 0, 0, 1]), There),
    Case::new("7.6 ATOMIC_AGGREGATE of 1", Attribute(&[0x40, 6, 1, 0]), There),
    Case::new("7.7 AGGREGATOR of 6", Attribute(&[0xc0, 7, 6, 0xfc, 0, 10, 0, 0, 1]), There),
    Case::new("7.8 COMMUNITIES of 3", Attribute(&[0xc0, 8, 3, 0, 0, 0]), Withdrawn),
    Case::new("7.9 ORIGINATOR_ID of 3 from outside", Attribute(&[0x80, 9, 3, 10, 0, 0]), There).frr(Withdrawn),
    Case::new("7.10 CLUSTER_LIST of 3 from outside", Attribute(&[0x80, 10, 3, 10, 0, 0]), There).frr(Withdrawn),
    Case::new("7.14 EXTENDED COMMUNITIES of 7", Attribute(&[0xc0, 16, 7, 0, 2, 0, 1, 0, 0, 0]), Withdrawn),
    Case::new("RFC 8092 6 LARGE_COMMUNITY of 4", Attribute(&[0xc0, 32, 4, 0, 0, 0, 1]), Withdrawn),
    Case::new("3d no AS_PATH", Without(2), Withdrawn),
    Case::new("3d no NEXT_HOP", Without(3), Withdrawn),
    Case::new("3g ORIGIN twice", Attribute(&[0x40, 1, 1, 0, 0x40, 1, 1, 1]), There).frr(Reset),
    Case::new("4 the last attribute runs over", Attribute(&[0xc0, 8, 200, 0, 0, 0, 1]), Withdrawn).frr(Reset),
    Case::new("RFC 4271 6.3 an unknown well-known attribute", Attribute(&[0x40, 99, 1, 0]), Reset).bird(Withdrawn),
    Case::new("5.3 a prefix of 33 bits", Bits(33), Reset),
];

#[test]
fn bird_treats_malformed_updates() {
    isolated("bgp::malformed::bird_treats_malformed_updates", || judge(Kind::Bird, |case| case.bird));
}

#[test]
fn frr_treats_malformed_updates() {
    isolated("bgp::malformed::frr_treats_malformed_updates", || judge(Kind::Frr, |case| case.frr));
}

/// Each case has prefixes of its own: one that a good UPDATE announces and the malformed one is about, and one that a good UPDATE
/// announces afterwards, so that the malformed one has been read when that one is there.
fn judge(kind: Kind, expected: impl Fn(&Case) -> Done) -> Outcome {
    let mut ends = Ends::established(kind, &Theirs::default(), 1, |peer| peer.idle_hold = Duration::from_secs(1))?;
    let mut wrong = Vec::new();
    let mut table = format!("{:<46}{:<11}{:<11}{kind:?}\n", "", "RFC", "ours");
    for (n, case) in (0..).zip(&CASES) {
        ends.until("Established", |router| router.state() == State::Established)?;
        ends.ask("Established there", |program| program.established())?;
        let octets = [good([24, 30, 0, n]), malformed(case.change, [24, 30, 0, n])];
        let ours = ours(&octets, [30, 0, n, 0])?;
        ends.router.inject(ends.clock.now(), &[octets.concat(), good([24, 31, 0, n])].concat())?;
        let after = format!("31.0.{n}.0/24");
        let mut done = ends.ask_until_over(&after, &format!("30.0.{n}.0/24"))?;
        if done == There && expected(case) == Withdrawn {
            // A busy machine.
            ends.serve(2)?;
            done = ends.done(&format!("30.0.{n}.0/24"));
        }
        let [rfc, ours_too] = [case.rfc, ours].map(|done| format!("{done:?}"));
        table += &format!("{:<46}{rfc:<11}{ours_too:<11}{done:?}\n", case.what);
        if (done, ours) != (expected(case), case.rfc) {
            wrong.push(case.what);
        }
    }
    let _ = std::io::stderr().write_all(table.as_bytes());
    if wrong.is_empty() { Ok(()) } else { Err(ends.explain(wrong.join("\n"))) }
}

impl Ends {
    /// Waits until the other end has a route to `after`, or the session is over, and a moment for what it does in the
    /// background: what became of `prefix`.
    fn ask_until_over(&mut self, after: &str, prefix: &str) -> Outcome<Done> {
        let deadline = self.clock.now() + LIMIT;
        while self.router.state() == State::Established && self.program.route(after).is_err() {
            if self.clock.now() >= deadline {
                return Err(self.explain(format!("no route to {after}")));
            }
            self.clock.serve(Duration::from_millis(50), &mut self.router, &self.inbox)?;
        }
        self.clock.serve(Duration::from_millis(200), &mut self.router, &self.inbox)?;
        Ok(self.done(prefix))
    }

    fn done(&self, prefix: &str) -> Done {
        match (self.router.state(), self.program.route(prefix)) {
            (State::Established, Ok(_)) => There,
            (State::Established, Err(_)) => Withdrawn,
            _ => Reset,
        }
    }
}

/// What our speaker does in the other end's place with the same octets, which are about this prefix of 24 bits.
fn ours(octets: &[Vec<u8>; 2], [a, b, c, d]: [u8; 4]) -> Outcome<Done> {
    let (now, conn) = (Instant::START, ConnId::Accepted(0));
    let mut peer = PeerConfig::new("sender", OUR_AS, parse(THEIRS)?, parse(OURS)?, parse(&format!("{OURS}/30"))?);
    peer.passive = true;
    let config = SpeakerConfig::new(THEIR_AS, parse(THEIRS)?, vec![peer]);
    let mut speaker = Speaker::new(config, |name| Rng::stream(1, name, Purpose::BgpTimers));
    speaker.handle(now, Input::Start { peer: PEER });
    speaker.handle(now, Input::TcpConnected { peer: PEER, conn });
    let prefix = parse(&format!("{a}.{b}.{c}.{d}/24"))?;
    let [good, malformed] = octets;
    speaker.handle(now, Input::Received { conn, bytes: &[hello(OUR_AS, parse(OURS)?), good.clone()].concat() });
    if !speaker.adj_rib_in(PEER).contains_key(&prefix) {
        return Err("our speaker takes no good route".into());
    }
    speaker.handle(now, Input::Received { conn, bytes: malformed });
    Ok(match (speaker.state(PEER), speaker.adj_rib_in(PEER).contains_key(&prefix)) {
        (State::Established, true) => There,
        (State::Established, false) => Withdrawn,
        _ => Reset,
    })
}

fn good(nlri: [u8; 4]) -> Vec<u8> {
    malformed(Attribute(&[0x40, 1, 1, 0]), nlri)
}

/// An UPDATE about this prefix with the mandatory attributes and this change.
fn malformed(change: Change, nlri: [u8; 4]) -> Vec<u8> {
    let next_hop = next_hop(parse(OURS).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED));
    let mut all = vec![IGP.to_vec(), as_path(&[OUR_AS]), next_hop];
    let mut nlri = nlri.to_vec();
    match change {
        Attribute(special) => match all.iter_mut().find(|attribute| attribute[1] == special[1]) {
            Some(same) => *same = special.to_vec(),
            None => all.push(special.to_vec()),
        },
        Last(special) => {
            all.retain(|attribute| attribute[1] != special[1]);
            all.push(special.to_vec());
        }
        Without(code) => all.retain(|attribute| attribute[1] != code),
        Bits(bits) => nlri.extend([&[bits][..], &[0; 5][..usize::from(bits.div_ceil(8))]].concat()),
    }
    update(&all.iter().map(Vec::as_slice).collect::<Vec<_>>(), &nlri)
}
