use std::net::Ipv4Addr;

use super::authority::{Authority, IssueError, Request};
use super::*;
use crate::crypto::signature::PrivateKey;
use crate::crypto::testing::hex;
use crate::rng::{Purpose, Rng};

const HOUR: Duration = Duration::from_secs(3600);
/// 2026-11-25 00:00:00 UTC.
const BEGIN: Duration = Duration::from_secs(1_795_564_800);

fn authority(name: &str) -> Authority {
    let mut rng = Rng::stream(1, name, Purpose::Test);
    Authority::drawn(name, KeyType::EcdsaP256, BEGIN, &mut rng).unwrap()
}

fn request() -> Request {
    Request {
        subject: "O=Example, CN=cgw".into(),
        dns: vec!["cgw.example".into()],
        addresses: vec![Ipv4Addr::new(203, 0, 113, 10)],
        not_before: BEGIN,
        not_after: BEGIN + HOUR,
    }
}

fn issued(authority: &Authority) -> Certificate {
    let mut rng = Rng::stream(1, "end", Purpose::Test);
    let key = PrivateKey::drawn(KeyType::EcdsaP256, &mut rng);
    authority.issue(&request(), &key, &mut rng).unwrap()
}

fn trust(authority: &Authority) -> Trust {
    Trust { authorities: vec![authority.root.clone()], wants_identifiers: true }
}

#[test]
fn a_path_leads_over_the_subordinate_to_the_root() {
    let authority = authority("a");
    let end = issued(&authority);
    let path = [end.der(), authority.subordinate.der()];
    assert_eq!(trust(&authority).verify(&path, BEGIN), Ok(end.clone()));
    // Whoever trusts the subordinate CA needs no more.
    let direct = Trust { authorities: vec![authority.subordinate.clone()], wants_identifiers: true };
    assert_eq!(direct.verify(&[end.der()], BEGIN), Ok(end.clone()));
    assert_eq!(trust(&authority).verify(&[end.der()], BEGIN), Err(Untrusted::UnknownAuthority));
}

/// RFC 5280 section 4.1.2.5: the last second belongs to the validity.
#[test]
fn a_certificate_is_good_between_its_two_dates() {
    let authority = authority("a");
    let end = issued(&authority);
    let at = |time| trust(&authority).verify(&[end.der(), authority.subordinate.der()], time).map(drop);
    let nanosecond = Duration::from_nanos(1);
    assert_eq!(at(BEGIN.saturating_sub(nanosecond)), Err(Untrusted::Expired));
    assert_eq!(at(BEGIN + HOUR), Ok(()));
    assert_eq!(at(BEGIN + HOUR + Duration::from_secs(1)), Err(Untrusted::Expired));
    assert_eq!(end.not_after(), BEGIN + HOUR);
    // The CAs outlive it, but not for ever: ten years.
    let decade = Duration::from_secs(10 * 365 * 86_400);
    let root_time = authority.root.not_after();
    assert_eq!(root_time, BEGIN + decade);
}

#[test]
fn another_ca_is_not_trusted_even_under_the_same_name() {
    let (a, b) = (authority("a"), authority("b"));
    let end = issued(&a);
    let path = [end.der(), a.subordinate.der()];
    assert_eq!(trust(&b).verify(&path, BEGIN), Err(Untrusted::UnknownAuthority));
    let mut rng = Rng::stream(2, "a", Purpose::Test);
    let impostor = Authority::drawn("a", KeyType::EcdsaP256, BEGIN, &mut rng).unwrap();
    assert_eq!(impostor.root.subject(), a.root.subject());
    assert_eq!(trust(&impostor).verify(&path, BEGIN), Err(Untrusted::UnknownAuthority));
}

/// A CA's certificate is none of an end; a damaged one is none at all.
#[test]
fn what_is_not_for_ike_is_unfit() {
    let authority = authority("a");
    let end = issued(&authority);
    let trust = trust(&authority);
    assert_eq!(trust.verify(&[authority.subordinate.der()], BEGIN), Err(Untrusted::Unfit));
    assert_eq!(trust.verify(&[], BEGIN), Err(Untrusted::Unfit));
    for cut in [0, 1, 10, end.der().len() - 1] {
        assert_eq!(trust.verify(&[&end.der()[..cut]], BEGIN), Err(Untrusted::Unfit));
    }
    for at in 0..end.der().len() {
        let mut damaged = end.der().to_vec();
        damaged[at] ^= 1;
        assert!(trust.verify(&[&damaged, authority.subordinate.der()], BEGIN).is_err(), "octet {at}");
    }
}

/// RFC 7296 section 4: an identity must stand in the certificate.
#[test]
fn a_certificate_bears_its_subject_and_its_alternative_names() {
    let end = issued(&authority("a"));
    let name = |text: &str| distinguished_name(text).unwrap();
    assert!(end.bears(SubjectName::Distinguished(&end.subject_der())));
    assert!(end.bears(SubjectName::Distinguished(&name("O=Example, CN=cgw"))));
    assert!(!end.bears(SubjectName::Distinguished(&name("CN=cgw, O=Example"))), "the order counts");
    assert!(!end.bears(SubjectName::Distinguished(&name("CN=cgw"))));
    assert!(!end.bears(SubjectName::Distinguished(b"nonsense")));
    assert!(end.bears(SubjectName::Dns("CGW.example")));
    assert!(!end.bears(SubjectName::Dns("cgw")));
    assert!(end.bears(SubjectName::Ip(Ipv4Addr::new(203, 0, 113, 10).into())));
    assert!(!end.bears(SubjectName::Ip(Ipv4Addr::new(203, 0, 113, 11).into())));
    assert!(!end.bears(SubjectName::Mail("cgw@example")));
    assert_eq!(end.subject(), "O=Example, CN=cgw");
}

/// `CN=cgw` by hand: X.690, a sequence of a set of a sequence of 2.5.4.3 and a string, once UTF8String (12), once PrintableString
/// (19). RFC 5280 section 7.1: both are the same name.
#[test]
fn the_kind_of_string_makes_no_other_name() {
    let written = distinguished_name("CN=cgw").unwrap();
    let by_hand = |tag: &str| hex(&format!("300e310c300a0603550403{tag}03636777"));
    assert!([by_hand("0c"), by_hand("13")].contains(&written), "{written:02x?}");
    let parse = |der: &[u8]| Name::from_der(der).unwrap();
    assert!(is_same(&parse(&by_hand("0c")), &parse(&by_hand("13"))));
    assert_eq!(name_text(&by_hand("13")), "CN=cgw");
    assert_eq!(distinguished_name("cgw"), Err(NoName));
    assert_eq!(distinguished_name(""), Err(NoName));
}

/// RFC 7296 section 3.7: SHA-1 of the SubjectPublicKeyInfo, one after the other.
#[test]
fn certreq_names_cas_by_the_hash_of_their_key() {
    let (a, b) = (authority("a"), authority("b"));
    let both = Trust { authorities: vec![a.root.clone(), b.root.clone()], wants_identifiers: false };
    let request = both.request();
    assert_eq!(request.len(), 40);
    assert_eq!(request[20..], Sha1::digest(b.root.public_key())[..]);
}

#[test]
fn a_certificate_is_a_function_of_its_stream_and_its_request() {
    assert_eq!(issued(&authority("a")).der(), issued(&authority("a")).der());
    assert_ne!(issued(&authority("a")).der(), issued(&authority("b")).der());
    let odd = Request { subject: "nobody".into(), ..request() };
    let mut rng = Rng::stream(1, "end", Purpose::Test);
    let key = PrivateKey::drawn(KeyType::EcdsaP256, &mut rng);
    let refused = authority("a").issue(&odd, &key, &mut rng).unwrap_err();
    assert_eq!(refused, IssueError::Name(NoName));
    assert!(Certificate::from_pem("no PEM").is_err());
}
