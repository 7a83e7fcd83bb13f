//! Every suite that AWS lists, and group 31: phase 1 by an IKE_SA, phase 2 by a CHILD_SA rekey with perfect forward secrecy
//! (the first CHILD_SA has no key exchange of its own, RFC 7296 section 1.2).

use super::pair::{A, B, Pair, configs};
use crate::crypto::dh::DhGroup;
use crate::crypto::prf::Prf;
use crate::crypto::suite::{Encryption, Integrity, Suite};
use crate::proto::ike::config::{AWS_CHILD_GROUPS, AWS_IKE_GROUPS, EspOffer, IkeOffer, Selection, aws_default_offers};
use crate::proto::ike::{EspSuite, IkeSuite, Input};
use crate::reason::Reason;
use crate::time::Duration;

/// AWS's options of one phase. Its integrity option names the PRF of phase 1, too, also beside an AEAD.
#[derive(Clone, Copy, Debug)]
struct Options {
    encryption: usize,
    integrity: usize,
    group: DhGroup,
}

impl Options {
    fn protection(self) -> Suite {
        let encryption = Encryption::ALL[self.encryption];
        let integrity = if encryption.is_aead() { Integrity::None } else { Integrity::ALL[1 + self.integrity] };
        Suite::new(encryption, integrity).unwrap()
    }

    fn ike(self) -> (IkeSuite, IkeOffer) {
        let suite = IkeSuite { protection: self.protection(), prf: Prf::ALL[self.integrity], group: self.group };
        let (encryption, integrity) = self.lists();
        (
            suite,
            IkeOffer { encryption, integrity, prf: vec![suite.prf], groups: vec![self.group], additional: Vec::new() },
        )
    }

    fn esp(self) -> (EspSuite, EspOffer) {
        let suite = EspSuite::new(self.protection(), Some(self.group));
        let (encryption, integrity) = self.lists();
        (suite, EspOffer { encryption, integrity, groups: vec![self.group], additional: Vec::new() })
    }

    fn lists(self) -> (Vec<Encryption>, Vec<Integrity>) {
        let protection = self.protection();
        let integrity = Some(protection.integrity()).filter(|i| *i != Integrity::None);
        (vec![protection.encryption()], integrity.into_iter().collect())
    }
}

/// The groups of both phases, 31 last.
fn groups() -> [Vec<DhGroup>; 2] {
    [&AWS_IKE_GROUPS[..], &AWS_CHILD_GROUPS[..]].map(|aws| [aws, &[DhGroup::Curve25519]].concat())
}

/// Sets up a tunnel with these options of phase 1, and rekeys its CHILD_SA with these of phase 2.
fn comes_up(phase1: Options, phase2: Options) {
    let mut configs = configs();
    let (ike, ike_offer) = phase1.ike();
    let (esp, esp_offer) = phase2.esp();
    configs[A].ike_offers = vec![ike_offer];
    configs[A].esp_offers = vec![esp_offer];
    configs[A].rekey.initiates = true;
    configs[A].rekey.margin = Duration::from_secs(10);
    configs[A].child_lifetime = Duration::from_secs(25);
    // AWS's end has all its defaults, and finds the one suite that is offered to it.
    (configs[B].ike_offers, configs[B].esp_offers) = aws_default_offers();
    configs[B].selection = Selection::LowestConfigured;
    for offer in &mut configs[B].ike_offers {
        offer.groups.push(DhGroup::Curve25519);
    }
    for offer in &mut configs[B].esp_offers {
        offer.groups.push(DhGroup::Curve25519);
    }
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(1));
    let what = format!("{phase1:?} {phase2:?}\n{}", pair.ladder);
    assert!(pair.is_up(), "{what}");
    assert!(pair.ike_suites().iter().all(|suite| *suite == ike), "{what}");
    for end in &pair.ends {
        let first = end.installed.values().next().unwrap();
        assert_eq!(first.suite, EspSuite { group: None, ..esp }, "{what}");
    }
    let before = pair.ends.each_ref().map(|end| end.sending);
    pair.run_for(Duration::from_secs(15));
    let what = format!("{phase1:?} {phase2:?}\n{}", pair.ladder);
    assert!(pair.is_up(), "{what}");
    for (end, before) in pair.ends.iter().zip(before) {
        assert_ne!(end.sending, before, "{what}");
        let now = end.installed.values().next().unwrap();
        assert_eq!((end.installed.len(), now.suite), (1, esp), "{what}");
    }
}

/// Every two values of two options of a phase meet in some suite: encryption and integrity go round against each other, shifted
/// by one with each group. Each suite of phase 1 comes with one of phase 2.
#[test]
fn every_pair_of_options_of_each_phase_comes_up() {
    let [phase1, phase2] = groups();
    for (shift, child_group) in phase2.iter().enumerate() {
        for encryption in 0..4 {
            let integrity = (encryption + shift) % 4;
            let options = |group: DhGroup| Options { encryption, integrity, group };
            // From the other end, so that two large groups do not meet.
            let ike_group = phase1[phase1.len() - 1 - shift % phase1.len()];
            comes_up(options(ike_group), options(*child_group));
        }
    }
}

/// All suites of phase 1, all of phase 2, and every two groups. `VPNSIM_FULL=1` runs it.
#[test]
fn every_suite_of_each_phase_comes_up() {
    if std::env::var_os("VPNSIM_FULL").is_none() {
        return;
    }
    let [phase1, phase2] = groups();
    let mut set_ups = 0;
    for (shift, ike_group) in phase1.iter().enumerate() {
        for child_group in &phase2 {
            for encryption in 0..4 {
                for integrity in 0..4 {
                    let first = Options { encryption, integrity, group: *ike_group };
                    let second = Options { encryption: (encryption + shift) % 4, integrity, group: *child_group };
                    comes_up(first, second);
                    set_ups += 1;
                }
            }
        }
    }
    assert_eq!(set_ups, 13 * 14 * 16);
}
