//! Ends that cannot agree: both give the reason, nothing comes up, and no log has a pre-shared key in it (RFC 7296 sections
//! 2.7 and 2.21).
//!
//! With IKEv1 a wrong pre-shared key shows in Main Mode's fifth message, which the responder cannot read. strongSwan says so under
//! the key that the initiator does not have, we say so in clear, and neither believes the other: the initiator goes on
//! repeating itself.

use super::pair::{Initiator, Pair};
use super::suite::{Phase, Suite};
use crate::network::isolated;
use crate::process::expect;

const PSK: &str = "correct.horse.battery";
const OTHER_PSK: &str = "another.secret.altogether";

#[test]
fn a_wrong_psk_is_refused_by_strongswan() {
    let test = "strongswan::refusals::a_wrong_psk_is_refused_by_strongswan";
    let ours = "to: Down, reason: AuthenticationFailed";
    let theirs = ["MAC mismatched", "generating IKE_AUTH response 1 [ N(AUTH_FAILED) ]"];
    refused(test, Initiator::We, &wrong_psk(), ours, &theirs);
}

#[test]
fn a_wrong_psk_is_refused_by_us() {
    let test = "strongswan::refusals::a_wrong_psk_is_refused_by_us";
    let ours = "to: Down, reason: PskMismatch";
    let theirs = ["received AUTHENTICATION_FAILED notify error"];
    refused(test, Initiator::StrongSwan, &wrong_psk(), ours, &theirs);
}

#[test]
fn a_foreign_suite_is_refused_by_strongswan() {
    let test = "strongswan::refusals::a_foreign_suite_is_refused_by_strongswan";
    let ours = "to: Down, reason: NoProposalChosen";
    let theirs = ["received proposals unacceptable", "generating IKE_SA_INIT response 0 [ N(NO_PROP) ]"];
    refused(test, Initiator::We, &foreign_suite(), ours, &theirs);
}

/// Here our end has no session that could go down: it refuses the first message and keeps nothing of it.
#[test]
fn a_foreign_suite_is_refused_by_us() {
    let test = "strongswan::refusals::a_foreign_suite_is_refused_by_us";
    let ours = "step: IkeSaInitSent, message_id: 0, response: true, notice: Some(NoProposalChosen)";
    let theirs = ["received NO_PROPOSAL_CHOSEN notify error"];
    refused(test, Initiator::StrongSwan, &foreign_suite(), ours, &theirs);
}

#[test]
fn a_foreign_suite_is_refused_by_strongswan_with_ikev1() {
    let test = "strongswan::refusals::a_foreign_suite_is_refused_by_strongswan_with_ikev1";
    let ours = "to: Down, reason: NoProposalChosen";
    refused(test, Initiator::We, &foreign_suite_of_ikev1(), ours, &["[ N(NO_PROP) ]"]);
}

#[test]
fn a_foreign_suite_is_refused_by_us_with_ikev1() {
    let test = "strongswan::refusals::a_foreign_suite_is_refused_by_us_with_ikev1";
    let ours = "response: false, notice: Some(NoProposalChosen)";
    let theirs = ["received NO_PROPOSAL_CHOSEN error notify"];
    refused(test, Initiator::StrongSwan, &foreign_suite_of_ikev1(), ours, &theirs);
}

/// strongSwan's complaint is as unreadable for us as our message was for it. That it complained is all that we can tell.
#[test]
fn a_wrong_psk_is_refused_by_strongswan_with_ikev1() {
    let test = "strongswan::refusals::a_wrong_psk_is_refused_by_strongswan_with_ikev1";
    let ours = "notice: Some(Undecipherable)";
    let theirs = ["could not decrypt payloads", "[ HASH N(PLD_MAL) ]"];
    unbelieved(test, Initiator::We, &wrong_psk_of_ikev1(), ours, &theirs);
}

#[test]
fn a_wrong_psk_is_refused_by_us_with_ikev1() {
    let test = "strongswan::refusals::a_wrong_psk_is_refused_by_us_with_ikev1";
    let ours = "notice: Some(PayloadMalformed)";
    let theirs = ["[ N(PLD_MAL) ]", "ignoring unprotected INFORMATIONAL"];
    unbelieved(test, Initiator::StrongSwan, &wrong_psk_of_ikev1(), ours, &theirs);
}

fn wrong_psk_of_ikev1() -> Vec<String> {
    [wrong_psk(), vec!["connections.vpn.tunnels.a.ike_versions=[\"ikev1\"]".to_owned()]].concat()
}

fn wrong_psk() -> Vec<String> {
    let other = format!("connections.vpn.tunnels.a.customer.pre_shared_key={OTHER_PSK}");
    [Suite::AWS_DEFAULT.changes(), vec![other]].concat()
}

fn foreign_suite_of_ikev1() -> Vec<String> {
    let version = "connections.vpn.tunnels.a.ike_versions=[\"ikev1\"]".to_owned();
    let ours = Suite { phase1: Phase("AES256", "SHA2-384", 20), ..Suite::AWS_DEFAULT };
    [vec![version], foreign(ours)].concat()
}

fn foreign_suite() -> Vec<String> {
    foreign(Suite::AES256_GCM_ECP384)
}

/// AWS's end wants this suite, the customer's has the default alone for phase 1.
fn foreign(suite: Suite) -> Vec<String> {
    let Phase(encryption, integrity, group) = Suite::AWS_DEFAULT.phase1;
    let at = "connections.vpn.tunnels.a.customer.phase1";
    let theirs = vec![
        format!("{at}.encryption=[\"{encryption}\"]"),
        format!("{at}.integrity=[\"{integrity}\"]"),
        format!("{at}.dh_groups=[{group}]"),
    ];
    [suite.changes(), theirs].concat()
}

/// Both ends say why, and strongSwan has nothing left.
fn refused(test: &str, initiator: Initiator, changes: &[String], ours: &str, theirs: &[&str]) {
    disagreement(test, initiator, changes, (ours, theirs), |sas| sas.trim().is_empty());
}

/// Both ends say why, and strongSwan goes on trying.
fn unbelieved(test: &str, initiator: Initiator, changes: &[String], ours: &str, theirs: &[&str]) {
    disagreement(test, initiator, changes, (ours, theirs), |sas| sas.contains("CONNECTING, IKEv1"));
}

fn disagreement(
    test: &str,
    initiator: Initiator,
    changes: &[String],
    (ours, theirs): (&str, &[&str]),
    left: impl Fn(&str) -> bool,
) {
    isolated(test, || {
        let mut pair = Pair::start()?;
        let shown = format!("{:?}", pair.configure(changes, initiator, |_| ())?);
        let outcome = pair.run("our refusal", |g| g.log().contains(ours));
        let outcome = outcome.and_then(|()| {
            pair.ask("strongSwan's refusal", |strongswan| {
                expect(&strongswan.log(), theirs)?;
                let sas = strongswan.sas()?;
                if left(&sas) { Ok(()) } else { Err(format!("strongSwan has\n{sas}")) }
            })
        });
        let (our_log, their_log) = (pair.gateway.log(), pair.strongswan.log());
        let outcome = outcome.and_then(|()| {
            let up = ["to: Up", "is removed"].iter().find(|up| our_log.contains(**up));
            let up = up.or(their_log.contains("ESTABLISHED").then_some(&"ESTABLISHED"));
            match up {
                _ if pair.gateway.carries() => Err("our end has a CHILD_SA".to_owned()),
                Some(up) => Err(format!("{up:?} where nothing comes up")),
                None => Ok(()),
            }
        });
        outcome.map_err(|e| pair.explain(e))?;
        let leaks = |text: &String| [PSK, OTHER_PSK].iter().any(|psk| reveals(text, psk));
        match [our_log, shown, their_log].iter().position(leaks) {
            None => Ok(()),
            Some(place) => {
                Err(format!("{} shows a pre-shared key", ["our log", "our configuration", "strongSwan's log"][place]))
            }
        }
    });
}

/// True if the text has the key in it, as it is or as a list of octets.
fn reveals(text: &str, psk: &str) -> bool {
    let octets = format!("{:?}", psk.as_bytes());
    let hex: String = psk.bytes().map(|octet| format!("{octet:02x}")).collect();
    [psk, &octets, &hex].iter().any(|secret| text.contains(*secret))
}
