//! Main Mode with signatures and certificates (RFC 2409 section 5.1): the regular way with each kind of key, and each refusal.

use super::pair::certified::{BEGAN, HOUR, credentials, reasons, start, with};
use super::pair::{A, B, Pair, address};
use super::{configs, fast_configs};
use crate::crypto::certificate::distinguished_name;
use crate::crypto::prf::Prf;
use crate::crypto::signature::{KeyType, PrivateKey};
use crate::proto::ike::config::{Identity, IkeOffer};
use crate::proto::ike::v1::keys::integrity_of;
use crate::proto::ike::{Config, SaKind};
use crate::reason::{Reason, State};
use crate::rng::{Purpose, Rng};
use crate::time::{Duration, Instant};

fn certified(configs: [Config; 2], kinds: [KeyType; 2]) -> [Config; 2] {
    with(configs, [A, B].map(|end| credentials(end, kinds[end], "ca", "ca", HOUR)))
}

/// CERT and SIG in the place of HASH; the responder asks for a certificate in its fourth message, the initiator in its fifth.
#[test]
fn regular_set_up_with_certificates() {
    let pair = start(certified(configs(), [KeyType::EcdsaP256; 2]));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// RSA signs what the negotiated PRF makes, 20 to 64 octets; ECDSA what the PRF of its curve makes, whatever is negotiated.
#[test]
fn every_kind_of_key_with_every_prf() {
    for kind in [KeyType::Rsa, KeyType::EcdsaP256, KeyType::EcdsaP384] {
        for prf in Prf::ALL {
            let offer =
                |offer: &IkeOffer| IkeOffer { prf: vec![prf], integrity: vec![integrity_of(prf)], ..offer.clone() };
            let configs =
                fast_configs().map(|config| Config { ike_offers: vec![offer(&config.ike_offers[0])], ..config });
            let pair = start(certified(configs, [kind; 2]));
            assert!(pair.is_up(), "{kind:?} {prf:?}\n{}", pair.ladder);
        }
    }
}

/// A certificate of RSA, that of its CA and a signature: with the headers of IP and UDP more than Ethernet's 1,500 octets. Nothing but IP
/// can fragment it.
#[test]
fn rsa_makes_messages_longer_than_a_packet() {
    let pair = start(certified(fast_configs(), [KeyType::Rsa; 2]));
    let longest = pair.ends[A].sent.iter().map(Vec::len).max().unwrap();
    assert!(longest + 20 + 8 > 1_500, "{longest}");
}

#[test]
fn two_runs_send_the_same_octets() {
    let sent = || start(certified(fast_configs(), [KeyType::Rsa; 2])).ends.map(|end| end.sent);
    assert_eq!(sent(), sent());
}

/// The method is negotiated for both ends (RFC 2409 section 5): keys of two kinds have none in common, and a pre-shared key has none
/// with a certificate.
#[test]
fn two_kinds_of_proof_have_no_method_in_common() {
    let mixed = certified(fast_configs(), [KeyType::Rsa, KeyType::EcdsaP256]);
    let mut no_certificate = certified(fast_configs(), [KeyType::Rsa; 2]);
    no_certificate[A].credentials = None;
    let mut no_key = certified(fast_configs(), [KeyType::Rsa; 2]);
    no_key[B].credentials = None;
    for configs in [mixed, no_certificate, no_key] {
        let pair = start(configs);
        assert!(pair.ladder.contains("N(NoProposalChosen)"), "{}", pair.ladder);
        assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::NoProposalChosen);
    }
}

/// AUTHENTICATION-FAILED, under the keys that both ends have: with signatures the fifth message can be read whoever has sent it.
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

/// The responder believes in an ISAKMP SA when it has sent its sixth message, so the initiator deletes it.
#[test]
fn an_expired_certificate_of_the_responder_is_refused() {
    let mut own = [
        credentials(A, KeyType::EcdsaP256, "ca", "ca", HOUR.scale(9, 1)),
        credentials(B, KeyType::EcdsaP256, "ca", "ca", HOUR),
    ];
    own[A].began = BEGAN + HOUR.scale(2, 1);
    let pair = start(with(configs(), own));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(reasons(&pair), [Reason::CertificateExpired, Reason::PeerDeleted]);
}

#[test]
fn a_certificate_of_another_ca_is_refused() {
    let own = |end, issuer| credentials(end, KeyType::EcdsaP256, issuer, "ca", HOUR);
    let pair = start(with(fast_configs(), [own(A, "other"), own(B, "ca")]));
    assert_eq!(reasons(&pair), [Reason::AuthenticationFailed, Reason::CertificateUnknownCa]);
    let pair = start(with(fast_configs(), [own(A, "ca"), own(B, "other")]));
    assert_eq!(reasons(&pair), [Reason::CertificateUnknownCa, Reason::PeerDeleted]);
}

/// RFC 4945 section 3.1: a subject, a dNSName and an iPAddress will do.
#[test]
fn an_identity_must_stand_in_the_certificate() {
    let claim = |id: Identity| {
        let mut configs = certified(fast_configs(), [KeyType::EcdsaP256; 2]);
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

#[test]
fn another_peer_of_the_same_ca_is_refused_unless_any_will_do() {
    let mut configs = certified(fast_configs(), [KeyType::EcdsaP256; 2]);
    let somebody = Identity::Fqdn("somebody".into());
    configs[B].remote_id = somebody.clone();
    assert!(start(configs.clone()).is_up(), "AWS takes any");
    configs[A].remote_id = somebody;
    assert_eq!(reasons(&start(configs)), [Reason::IdMismatch, Reason::PeerDeleted]);
}

/// The key is not the certificate's: everything else fits.
#[test]
fn a_signature_with_another_key_is_refused() {
    for kind in [KeyType::EcdsaP256, KeyType::Rsa] {
        let mut configs = certified(fast_configs(), [kind; 2]);
        let mut rng = Rng::stream(1, "thief", Purpose::Test);
        configs[A].credentials.as_mut().unwrap().key = PrivateKey::drawn(kind, &mut rng);
        assert_eq!(reasons(&start(configs)), [Reason::AuthenticationFailed, Reason::SignatureMismatch]);
    }
}

/// Rekeying phase 1 is another Main Mode, so it proves who the ends are: what has expired since is refused, and the tunnel ends with
/// its old ISAKMP SA. (IKEv2 rekeys without.)
#[test]
fn a_certificate_that_expires_later_shows_at_the_next_rekey_of_phase_1() {
    let own = [A, B].map(|end| credentials(end, KeyType::EcdsaP256, "ca", "ca", Duration::from_secs(600)));
    let mut configs = with(fast_configs(), own);
    for config in &mut configs {
        config.ike_lifetime = Duration::from_secs(900);
    }
    configs[A].rekey.initiates = true;
    configs[A].rekey.fuzz_percent = 0;
    let mut pair = Pair::up(configs);
    pair.traffic(Duration::from_secs(1), Instant::from_secs(640));
    assert!(pair.is_up() && pair.ladder.contains("N(AuthenticationFailed)"), "{}", pair.ladder);
    pair.traffic(Duration::from_secs(1), Instant::from_secs(905));
    assert!(!pair.is_up(), "{}", pair.ladder);
    // B has made the SA 10 ms before A.
    let lost = |(_, sa, to, reason): &(_, SaKind, State, Reason)| {
        (*sa, *to, *reason) == (SaKind::Ike, State::Down, Reason::LifetimeExpired)
    };
    assert!(pair.ends[B].states.iter().any(lost), "{}", pair.ladder);
}
