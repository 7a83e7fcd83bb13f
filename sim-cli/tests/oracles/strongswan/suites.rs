//! The life of a tunnel with one suite after the other: up, pings both ways, a rekey with perfect forward secrecy, pings, a
//! DELETE.

use super::pair::{Initiator, Pair};
use super::suite::{Phase, Suite};
use crate::network::isolated;
use crate::process::{Outcome, expect};

/// Every cipher and hash of AWS, and groups of each kind: MODP, MODP with a subgroup, ECP.
pub(super) const IKEV2: [Suite; 7] = [
    Suite::AWS_DEFAULT,
    Suite::of("AES256", "SHA2-256", 14),
    Suite::of("AES128-GCM-16", "SHA2-256", 19),
    Suite::AES256_GCM_ECP384,
    Suite::of("AES256", "SHA2-512", 21),
    Suite::of("AES128", "SHA2-384", 15),
    Suite::of("AES256", "SHA1", 24),
];

/// IKEv1 knows AES-GCM in phase 2 only. A key longer than its hash has to be drawn out (RFC 2409 appendix B).
pub(super) const IKEV1: [Suite; 7] = [
    Suite::AWS_DEFAULT,
    Suite::of("AES256", "SHA2-256", 14),
    Suite { phase1: Phase("AES128", "SHA2-256", 19), phase2: Phase("AES128-GCM-16", "SHA2-256", 19) },
    Suite { phase1: Phase("AES256", "SHA2-384", 20), phase2: Phase("AES256-GCM-16", "SHA2-384", 20) },
    Suite::of("AES256", "SHA2-512", 21),
    Suite::of("AES128", "SHA2-384", 15),
    Suite::of("AES256", "SHA1", 24),
];

const PINGS: u16 = 20;

#[test]
fn we_initiate_with_each_suite() {
    each("strongswan::suites::we_initiate_with_each_suite", "ikev2", &IKEV2, Initiator::We);
}

#[test]
fn strongswan_initiates_with_each_suite() {
    each("strongswan::suites::strongswan_initiates_with_each_suite", "ikev2", &IKEV2, Initiator::StrongSwan);
}

#[test]
fn we_initiate_ikev1_with_each_suite() {
    each("strongswan::suites::we_initiate_ikev1_with_each_suite", "ikev1", &IKEV1, Initiator::We);
}

#[test]
fn strongswan_initiates_ikev1_with_each_suite() {
    each("strongswan::suites::strongswan_initiates_ikev1_with_each_suite", "ikev1", &IKEV1, Initiator::StrongSwan);
}

fn each(test: &str, ike: &str, suites: &[Suite], initiator: Initiator) {
    isolated(test, || {
        let mut pair = Pair::start()?;
        for suite in suites {
            let changes =
                [suite.changes(), vec![format!("connections.vpn.tunnels.a.ike_versions=[\"{ike}\"]")]].concat();
            pair.configure(&changes, initiator, |_| ())?;
            let lived = live(&mut pair, ike, suite, initiator);
            lived.map_err(|e| pair.explain(format!("{}: {e}", suite.ike_report())))?;
        }
        Ok(())
    });
}

/// Who began ends it, too.
fn live(pair: &mut Pair, ike: &str, suite: &Suite, initiator: Initiator) -> Outcome {
    let version = if ike == "ikev1" { "IKEv1" } else { "IKEv2" };
    pair.come_up(&[&format!("ESTABLISHED, {version}"), &suite.ike_report(), &suite.esp_report(ike)])?;
    pair.pings(PINGS)?;
    let report = pair.ask("strongSwan's counters", |s| s.children(1))?;
    if report.matches(&format!(" {PINGS} packets")).count() != 2 {
        return Err(format!("not {PINGS} packets each way:\n{report}"));
    }
    // strongSwan keeps the old CHILD_SA for a while.
    let before = pair.gateway.spi();
    pair.swanctl("--rekey --child vpn-a")?;
    pair.run("the CHILD_SA that strongSwan rekeyed", |g| g.carries() && g.spi() != before)?;
    pair.ask("the rekeyed CHILD_SA's suite", |s| expect(&s.sas()?, &[&suite.rekeyed_report()]))?;
    pair.pings(PINGS / 2)?;
    match initiator {
        Initiator::We => pair.we_delete(),
        Initiator::StrongSwan => pair.they_delete(),
    }
}

/// Neither end restricts anything: all that AWS lists is offered by our export, and AWS takes its lowest (user guide).
#[test]
fn everything_is_offered_and_the_lowest_is_taken() {
    isolated("strongswan::suites::everything_is_offered_and_the_lowest_is_taken", || {
        let mut pair = Pair::start()?;
        pair.configure(&[], Initiator::StrongSwan, |_| ())?;
        let lowest = Suite::AWS_DEFAULT;
        let lived = live(&mut pair, "ikev2", &lowest, Initiator::StrongSwan);
        lived.map_err(|e| pair.explain(e))
    });
}
