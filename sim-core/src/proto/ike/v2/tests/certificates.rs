//! AUTH by signatures and certificates: the regular way with each kind of key, older methods, and each refusal.

use super::pair::certified::{BEGAN, HOUR, credentials, reasons, start, with};
use super::pair::{A, B, Pair, address, configs};
use crate::crypto::certificate::distinguished_name;
use crate::crypto::signature::{KeyType, PrivateKey, SignatureHash};
use crate::proto::ike::Config;
use crate::proto::ike::config::Identity;
use crate::reason::Reason;
use crate::rng::{Purpose, Rng};
use crate::time::Duration;
use crate::wire::ike::AuthMethod;

fn certified(kinds: [KeyType; 2]) -> [Config; 2] {
    with(configs(), [A, B].map(|end| credentials(end, kinds[end], "ca", "ca", HOUR)))
}

/// RFC 7296 section 1.2 with CERT and CERTREQ, RFC 7427 section 4; both send the subordinate CA along.
#[test]
fn regular_set_up_with_certificates() {
    let pair = start(certified([KeyType::EcdsaP256; 2]));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

#[test]
fn every_kind_of_key_proves_every_end() {
    for initiator in [KeyType::EcdsaP384, KeyType::Rsa] {
        for responder in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa] {
            let pair = start(certified([initiator, responder]));
            assert!(pair.is_up(), "{initiator:?} {responder:?}\n{}", pair.ladder);
        }
    }
}

#[test]
fn two_runs_send_the_same_octets() {
    let sent = || start(certified([KeyType::Rsa, KeyType::EcdsaP384])).ends.map(|end| end.sent);
    assert_eq!(sent(), sent());
}

/// RFC 7427 section 4: to a peer that does not say which hash functions it takes, the older methods are spoken (RFC 7296
/// section 3.8, RFC 4754); the other direction goes its own way.
#[test]
fn a_peer_of_before_rfc_7427_gets_the_older_methods() {
    for (kind, method) in [
        (KeyType::Rsa, AuthMethod::RsaSignature),
        (KeyType::EcdsaP256, AuthMethod::EcdsaSha256),
        (KeyType::EcdsaP384, AuthMethod::EcdsaSha384),
    ] {
        for old in [A, B] {
            let mut configs = certified([kind; 2]);
            configs[old].credentials.as_mut().unwrap().hashes.clear();
            // The ladder shows what is in a message that is whole.
            configs.iter_mut().for_each(|config| config.fragment_size = None);
            let pair = start(configs);
            assert!(pair.is_up(), "{}", pair.ladder);
            let methods = [AuthMethod::DigitalSignature, method];
            for (end, method) in [(old, methods[0]), (1 - old, methods[1])] {
                let arrow = ["A -> B", "B -> A"][end];
                let sent = |line: &str| line.contains(arrow) && line.contains(&format!("AUTH({method:?})"));
                assert!(pair.ladder.lines().any(sent), "{}", pair.ladder);
            }
        }
    }
}

/// A peer that takes SHA2-512 alone gets it, with any key.
#[test]
fn the_peer_says_which_hash_functions_it_takes() {
    for kind in [KeyType::Rsa, KeyType::EcdsaP256] {
        let mut configs = certified([kind; 2]);
        configs[B].credentials.as_mut().unwrap().hashes = vec![SignatureHash::Sha2_512];
        assert!(start(configs).is_up());
    }
}

#[test]
fn an_expired_certificate_of_the_initiator_is_refused() {
    let mut own = [
        credentials(A, KeyType::EcdsaP256, "ca", "ca", HOUR),
        credentials(B, KeyType::EcdsaP256, "ca", "ca", HOUR.scale(9, 1)),
    ];
    own[B].began = BEGAN + HOUR.scale(2, 1);
    let pair = start(with(configs(), own));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(reasons(&pair), [Reason::AuthenticationFailed, Reason::CertificateExpired]);
}

/// RFC 7296 section 2.21.2: the initiator tells the responder, which believes in an IKE_SA.
#[test]
fn an_expired_certificate_of_the_responder_is_refused() {
    let mut own = [
        credentials(A, KeyType::EcdsaP256, "ca", "ca", HOUR.scale(9, 1)),
        credentials(B, KeyType::EcdsaP256, "ca", "ca", HOUR),
    ];
    own[A].began = BEGAN + HOUR.scale(2, 1);
    let pair = start(with(configs(), own));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(reasons(&pair), [Reason::CertificateExpired, Reason::AuthenticationFailed]);
}

/// A certificate that expires while the tunnel is up is not missed: what is authenticated stays so.
#[test]
fn a_certificate_that_expires_later_does_no_harm_yet() {
    let own = [A, B].map(|end| credentials(end, KeyType::EcdsaP256, "ca", "ca", Duration::from_secs(60)));
    let mut pair = Pair::up(with(configs(), own));
    pair.run_for(Duration::from_secs(120));
    assert!(pair.is_up(), "{}", pair.ladder);
}

#[test]
fn a_certificate_of_another_ca_is_refused() {
    let own = |end, issuer| credentials(end, KeyType::EcdsaP256, issuer, "ca", HOUR);
    let pair = start(with(configs(), [own(A, "other"), own(B, "ca")]));
    assert_eq!(reasons(&pair), [Reason::AuthenticationFailed, Reason::CertificateUnknownCa]);
    let pair = start(with(configs(), [own(A, "ca"), own(B, "other")]));
    assert_eq!(reasons(&pair), [Reason::CertificateUnknownCa, Reason::AuthenticationFailed]);
}

/// RFC 7296 section 4: the identity must be the certificate's; a subject, a dNSName and an iPAddress will do.
#[test]
fn an_identity_must_stand_in_the_certificate() {
    let claim = |id: Identity| {
        let mut configs = certified([KeyType::EcdsaP256; 2]);
        configs[A].local_id = id;
        start(configs)
    };
    for id in [Identity::Fqdn("cgw".into()), Identity::Ipv4(address(A))] {
        assert!(claim(id).is_up());
    }
    let other = distinguished_name("CN=somebody").unwrap();
    for id in [Identity::DistinguishedName(other), Identity::Ipv4(address(B)), Identity::KeyId(b"cgw".to_vec())] {
        assert_eq!(reasons(&claim(id)), [Reason::AuthenticationFailed, Reason::CertificateIdMismatch]);
    }
}

/// The customer gateway expects somebody else of the same CA, as the guide lets AWS not do.
#[test]
fn another_peer_of_the_same_ca_is_refused_unless_any_will_do() {
    let mut configs = certified([KeyType::EcdsaP256; 2]);
    let somebody = Identity::Fqdn("somebody".into());
    configs[B].remote_id = somebody.clone();
    assert!(start(configs.clone()).is_up(), "AWS takes any");
    configs[A].remote_id = somebody;
    assert_eq!(reasons(&start(configs)), [Reason::IdMismatch, Reason::AuthenticationFailed]);
}

#[test]
fn a_pre_shared_key_is_no_answer_to_a_certificate() {
    let certificates = certified([KeyType::EcdsaP256; 2]);
    for (other, expected) in [
        (A, [Reason::AuthenticationFailed, Reason::AuthMethodMismatch]),
        (B, [Reason::AuthenticationFailed, Reason::AuthMethodMismatch]),
    ] {
        let mut configs = certificates.clone();
        configs[other].credentials = None;
        assert_eq!(reasons(&start(configs)), expected);
    }
}

/// The key is not the certificate's: everything else fits.
#[test]
fn a_signature_with_another_key_is_refused() {
    let mut configs = certified([KeyType::EcdsaP256; 2]);
    let mut rng = Rng::stream(1, "thief", Purpose::Test);
    configs[A].credentials.as_mut().unwrap().key = PrivateKey::drawn(KeyType::EcdsaP256, &mut rng);
    assert_eq!(reasons(&start(configs)), [Reason::AuthenticationFailed, Reason::SignatureMismatch]);
}
