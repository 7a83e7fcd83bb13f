//! X.509 certificates (RFC 5280) as IKE uses them (RFC 4945): whose key it is, who says so, and until when.
//!
//! `x509-cert` reads and writes them, `rustls-webpki` follows the path to a trusted CA, at the time that it is given.
//!
//! Left out: revocation, by CRL or OCSP (RFC 4945 section 4.2, RFC 4806), and policies.

use core::net::IpAddr;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use sha1::{Digest as _, Sha1};
use webpki::aws_lc_rs as algorithm;
use webpki::{EndEntityCert, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::signature::{KeyType, Scheme, SignatureHash, verify_hash, verify_rsa_sha1};
use crate::time::Duration;

pub mod authority;

#[cfg(test)]
mod tests;

/// A certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl core::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Certificate({})", self.subject())
    }
}

/// Why a text or octets are no certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no X.509 certificate")]
pub struct NoCertificate;

/// Why a name is no distinguished name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is no distinguished name like \"CN=cgw, O=Example\"")]
pub struct NoName;

/// A name that a certificate may bear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubjectName<'a> {
    /// The DER of its subject.
    Distinguished(&'a [u8]),
    /// A dNSName among its subject's alternative names.
    Dns(&'a str),
    /// An iPAddress among them.
    Ip(IpAddr),
    /// An rfc822Name among them.
    Mail(&'a str),
}

/// The DER of a name that is written as RFC 4514 has it, but first to last: "C=NL, O=Example, CN=cgw".
///
/// # Errors
/// If it is none.
pub fn distinguished_name(text: &str) -> Result<Vec<u8>, NoName> {
    // RFC 4514 section 2.1 writes the last part first.
    let parts: Vec<&str> = text.split(',').map(str::trim).rev().collect();
    let name: Name = parts.join(",").parse().map_err(|_| NoName)?;
    if name.is_empty() { Err(NoName) } else { name.to_der().map_err(|_| NoName) }
}

/// The same for people, first to last; empty if it is none.
pub fn name_text(der: &[u8]) -> String {
    Name::from_der(der).map(|name| text_of(&name)).unwrap_or_default()
}

fn text_of(name: &Name) -> String {
    name.iter_rdn().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_der(der: &[u8]) -> Result<Self, NoCertificate> {
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| NoCertificate)?;
        Ok(Self { der: der.to_vec(), parsed })
    }

    /// Reads all certificates of a PEM text, in order; at least one.
    ///
    /// # Errors
    /// If there is none, or something else among them.
    pub fn from_pem(text: &str) -> Result<Vec<Self>, NoCertificate> {
        let parsed = x509_cert::Certificate::load_pem_chain(text.trim().as_bytes()).map_err(|_| NoCertificate)?;
        if parsed.is_empty() {
            return Err(NoCertificate);
        }
        parsed.iter().map(|one| Self::from_der(&one.to_der().map_err(|_| NoCertificate)?)).collect()
    }

    /// Its DER, as CERT carries it (RFC 7296 section 3.6).
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The DER of its subject, as ID_DER_ASN1_DN carries it (RFC 7296 section 3.5).
    pub fn subject_der(&self) -> Vec<u8> {
        self.parsed.tbs_certificate().subject().to_der().unwrap_or_default()
    }

    /// Its subject for people.
    pub fn subject(&self) -> String {
        text_of(self.parsed.tbs_certificate().subject())
    }

    /// Its issuer for people.
    pub fn issuer(&self) -> String {
        text_of(self.parsed.tbs_certificate().issuer())
    }

    /// When it expires, counted from 1970-01-01 00:00:00 UTC.
    pub fn not_after(&self) -> Duration {
        Duration::from_secs(self.parsed.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
    }

    /// The DER of its SubjectPublicKeyInfo.
    pub fn public_key(&self) -> Vec<u8> {
        self.parsed.tbs_certificate().subject_public_key_info().to_der().unwrap_or_default()
    }

    /// The hash by which CERTREQ names a CA (RFC 7296 section 3.7): SHA-1 of its SubjectPublicKeyInfo.
    pub fn authority(&self) -> [u8; 20] {
        Sha1::digest(self.public_key()).into()
    }

    /// What kind of key it is about.
    pub fn key_type(&self) -> Option<KeyType> {
        const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
        const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        let algorithm = &self.parsed.tbs_certificate().subject_public_key_info().algorithm;
        let curve = || algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        match algorithm.oid {
            EC if curve() == Some(P256) => Some(KeyType::EcdsaP256),
            EC if curve() == Some(P384) => Some(KeyType::EcdsaP384),
            RSA => Some(KeyType::Rsa),
            _ => None,
        }
    }

    /// True if the key of this certificate has signed the message so.
    pub fn verify(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        let der = CertificateDer::from(&self.der[..]);
        let Ok(cert) = EndEntityCert::try_from(&der) else { return false };
        let by = |algorithms: &[&dyn SignatureVerificationAlgorithm]| {
            algorithms.iter().any(|algorithm| cert.verify_signature(*algorithm, message, signature).is_ok())
        };
        use SignatureHash::{Sha1, Sha2_256, Sha2_384, Sha2_512};
        match scheme {
            Scheme::Ecdsa(Sha2_256) => by(&[algorithm::ECDSA_P256_SHA256, algorithm::ECDSA_P384_SHA256]),
            Scheme::Ecdsa(Sha2_384) => by(&[algorithm::ECDSA_P256_SHA384, algorithm::ECDSA_P384_SHA384]),
            Scheme::Ecdsa(Sha2_512) => by(&[algorithm::ECDSA_P256_SHA512, algorithm::ECDSA_P384_SHA512]),
            Scheme::RsaPkcs1(Sha2_256) => by(&[algorithm::RSA_PKCS1_2048_8192_SHA256]),
            Scheme::RsaPkcs1(Sha2_384) => by(&[algorithm::RSA_PKCS1_2048_8192_SHA384]),
            Scheme::RsaPkcs1(Sha2_512) => by(&[algorithm::RSA_PKCS1_2048_8192_SHA512]),
            Scheme::RsaPss(Sha2_256) => by(&[algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
            Scheme::RsaPss(Sha2_384) => by(&[algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
            Scheme::RsaPss(Sha2_512) => by(&[algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
            Scheme::RsaPkcs1(Sha1) => verify_rsa_sha1(&self.public_key(), message, signature),
            Scheme::Ecdsa(Sha1) | Scheme::RsaPss(Sha1) => false,
        }
    }

    /// True if the key of this certificate has signed the hash as it is: see
    /// [`PrivateKey::sign_hash`](super::signature::PrivateKey::sign_hash).
    pub fn verify_hash(&self, hash: &[u8], signature: &[u8]) -> bool {
        self.key_type().is_some_and(|kind| verify_hash(kind, &self.public_key(), hash, signature))
    }

    /// True if it bears this name (RFC 7296 section 4, RFC 4945 section 3.1): as its subject, or among the alternative names.
    pub fn bears(&self, name: SubjectName<'_>) -> bool {
        let tbs = self.parsed.tbs_certificate();
        let names = tbs.get_extension::<pkix::SubjectAltName>().ok().flatten();
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        match name {
            SubjectName::Distinguished(der) => {
                Name::from_der(der).is_ok_and(|name| is_same(&name, tbs.subject()))
                    || names.iter().any(|own| match own {
                        GeneralName::DirectoryName(own) => Name::from_der(der).is_ok_and(|name| is_same(&name, own)),
                        _ => false,
                    })
            }
            SubjectName::Dns(name) => names.iter().any(|own| match own {
                GeneralName::DnsName(own) => own.as_str().eq_ignore_ascii_case(name),
                _ => false,
            }),
            SubjectName::Ip(address) => names.iter().any(|own| match own {
                GeneralName::IpAddress(own) => match address {
                    IpAddr::V4(address) => own.as_bytes() == address.octets(),
                    IpAddr::V6(address) => own.as_bytes() == address.octets(),
                },
                _ => false,
            }),
            SubjectName::Mail(name) => names.iter().any(|own| match own {
                GeneralName::Rfc822Name(own) => own.as_str() == name,
                _ => false,
            }),
        }
    }

    fn has<T: AssociatedOid>(&self) -> bool {
        let extensions = self.parsed.tbs_certificate().extensions().into_iter().flatten();
        extensions.into_iter().any(|extension| extension.extn_id == T::OID)
    }

    /// RFC 4945 section 5.1.3.2: a key usage, if there is one, must include signatures.
    fn may_sign(&self) -> bool {
        match self.parsed.tbs_certificate().get_extension::<pkix::KeyUsage>() {
            Ok(usage) => usage.is_none_or(|(_, usage)| usage.digital_signature() || usage.non_repudiation()),
            Err(_) => false,
        }
    }
}

/// Names are the same if they say the same, in whatever kind of string (RFC 5280 section 7.1).
fn is_same(a: &Name, b: &Name) -> bool {
    let parts = |name: &Name| -> Vec<Vec<(ObjectIdentifier, Vec<u8>)>> {
        let rdns = name.iter_rdn();
        rdns.map(|rdn| rdn.iter().map(|part| (part.oid, part.value.value().to_ascii_lowercase())).collect()).collect()
    };
    a.len() == b.len() && parts(a) == parts(b)
}

/// Whom an end trusts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trust {
    /// CAs whose word is taken.
    pub authorities: Vec<Certificate>,
    /// True if a peer's certificate must have authority key identifier, subject key identifier and basic constraints, as AWS
    /// demands of a customer gateway's (guide: tunnel authentication options).
    pub wants_identifiers: bool,
}

/// Why a peer's certificate is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untrusted {
    /// It, or one above it, is expired or not yet valid.
    Expired,
    /// No trusted CA has issued it.
    UnknownAuthority,
    /// It is malformed, or not for this use.
    Unfit,
}

impl Trust {
    /// Follows the path from the first certificate over the others to a trusted CA, at a time counted from 1970-01-01 00:00:00
    /// UTC.
    ///
    /// # Errors
    /// Why there is none.
    pub fn verify(&self, chain: &[&[u8]], time: Duration) -> Result<Certificate, Untrusted> {
        let (first, others) = chain.split_first().ok_or(Untrusted::Unfit)?;
        let certificate = Certificate::from_der(first).map_err(|_| Untrusted::Unfit)?;
        let der = CertificateDer::from(*first);
        let end_entity = EndEntityCert::try_from(&der).map_err(|_| Untrusted::Unfit)?;
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(*der)).collect();
        let authorities: Vec<_> = self.authorities.iter().map(|own| CertificateDer::from(own.der())).collect();
        let anchors: Vec<_> = authorities.iter().filter_map(|own| webpki::anchor_from_trusted_cert(own).ok()).collect();
        let time = UnixTime::since_unix_epoch(core::time::Duration::from_nanos(time.as_nanos()));
        let all = webpki::ALL_VERIFICATION_ALGS;
        let path = end_entity.verify_for_usage(all, &anchors, &others, time, Purposes, None, None);
        path.map_err(|error| match error {
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Untrusted::Expired,
            // A CA of the same name with another key is another CA.
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => Untrusted::UnknownAuthority,
            _ => Untrusted::Unfit,
        })?;
        let identified = certificate.has::<pkix::AuthorityKeyIdentifier>()
            && certificate.has::<pkix::SubjectKeyIdentifier>()
            && certificate.has::<pkix::BasicConstraints>();
        if certificate.may_sign() && (identified || !self.wants_identifiers) {
            Ok(certificate)
        } else {
            Err(Untrusted::Unfit)
        }
    }

    /// The body of CERTREQ behind its encoding (RFC 7296 section 3.7).
    pub fn request(&self) -> Vec<u8> {
        self.authorities.iter().flat_map(Certificate::authority).collect()
    }
}

/// Extended key usages that a certificate for IKE may have, if it has any: ipsecIKE and any (RFC 4945 section 5.1.3.12), what was
/// used before it, and those of TLS, which a certificate of AWS Private CA has.
struct Purposes;

const PURPOSES: [&[usize]; 5] = [
    &[1, 3, 6, 1, 5, 5, 7, 3, 17],
    &[2, 5, 29, 37, 0],
    &[1, 3, 6, 1, 5, 5, 8, 2, 2],
    KeyUsage::SERVER_AUTH_REPR,
    KeyUsage::CLIENT_AUTH_REPR,
];

impl webpki::ExtendedKeyUsageValidator for Purposes {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            present.push(purpose?.to_decoded_oid());
        }
        if present.is_empty() || present.iter().any(|purpose| PURPOSES.contains(&&purpose[..])) {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}
