//! Who a peer is by its certificates, in either version (RFC 4945): the path to a trusted CA, the proof that the peer has the key,
//! the name in the certificate, and whether that is the peer that is meant. How the proof is made is the version's: AUTH of
//! IKEv2, SIG of IKEv1.
//!
//! Certificates are always sent: CERTREQ is a hint (RFC 7296 section 3.7, RFC 4945 section 3.2). Left out: a choice among
//! several certificates by CERTREQ.

use core::net::IpAddr;

use super::config::{Config, Credentials, Identity};
use super::env::Env;
use crate::crypto::certificate::{Certificate, SubjectName, Untrusted};
use crate::reason::Reason;
use crate::time::Duration;
use crate::wire::ike::{Id, IdType};

/// The DER of this end's certificates, its own first.
pub(super) fn certificates(config: &Config) -> impl Iterator<Item = &[u8]> {
    config.credentials.iter().flat_map(|credentials| &credentials.chain).map(Certificate::der)
}

/// Whether a peer that says that it is `id` is the one that it must be, by certificates in DER of which the first is its own. `signed`
/// tells whether the key of that one has made the proof.
pub(super) fn believe(
    env: &Env,
    credentials: &Credentials,
    certificates: &[&[u8]],
    id: Id<'_>,
    signed: impl FnOnce(&Certificate) -> bool,
) -> Result<(), Reason> {
    let today = credentials.began + Duration::from_nanos(env.now.as_nanos());
    let trusted = credentials.trust.verify(certificates, today);
    let certificate = trusted.map_err(|why| match why {
        Untrusted::Expired => Reason::CertificateExpired,
        Untrusted::UnknownAuthority => Reason::CertificateUnknownCa,
        Untrusted::Unfit => Reason::CertificateUnfit,
    })?;
    if !signed(&certificate) {
        Err(Reason::SignatureMismatch)
    } else if !bears(&certificate, id) {
        Err(Reason::CertificateIdMismatch)
    } else if !credentials.any_identity && !is_peer(&env.config.remote_id, id, &certificate) {
        Err(Reason::IdMismatch)
    } else {
        Ok(())
    }
}

/// RFC 4945 section 3.1: a certificate proves the identities that stand in it.
fn bears(certificate: &Certificate, id: Id<'_>) -> bool {
    let text = || core::str::from_utf8(id.data).ok();
    match id.kind {
        IdType::DerAsn1Dn => certificate.bears(SubjectName::Distinguished(id.data)),
        IdType::Fqdn => text().is_some_and(|name| certificate.bears(SubjectName::Dns(name))),
        IdType::Rfc822Addr => text().is_some_and(|name| certificate.bears(SubjectName::Mail(name))),
        IdType::Ipv4Addr => {
            let octets = <[u8; 4]>::try_from(id.data);
            octets.is_ok_and(|octets| certificate.bears(SubjectName::Ip(IpAddr::from(octets))))
        }
        IdType::Ipv6Addr => {
            let octets = <[u8; 16]>::try_from(id.data);
            octets.is_ok_and(|octets| certificate.bears(SubjectName::Ip(IpAddr::from(octets))))
        }
        IdType::DerAsn1Gn | IdType::KeyId | IdType::Other(_) => false,
    }
}

/// Whether the peer is the configured one: it says so, or its certificate does.
fn is_peer(expected: &Identity, id: Id<'_>, certificate: &Certificate) -> bool {
    expected.with_id(|expected| expected == id || bears(certificate, expected))
}
