//! A certification authority of the simulated world, as AWS Private CA would run it: a root, and under it a subordinate CA that
//! issues the certificates of VPN endpoints (guide: tunnel authentication options). All that it makes is a function of its
//! stream: keys, serial numbers, signatures.

use core::net::Ipv4Addr;

use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder as _, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{BitString, Ia5String, OctetString};
use x509_cert::der::oid::db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH};
use x509_cert::der::{self, DateTime, Decode as _, Document, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{self, KeyUsages};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfoOwned,
    SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

use super::{Certificate, NoName, distinguished_name};
use crate::crypto::signature::{KeyType, PrivateKey, SignatureHash};
use crate::rng::Rng;
use crate::time::Duration;

/// How long the two CAs are valid: AWS Private CA proposes ten years for a root (console default).
const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A root CA and a subordinate one.
#[derive(Clone, Debug)]
pub struct Authority {
    /// What an end must trust.
    pub root: Certificate,
    /// What an end sends along with its own certificate.
    pub subordinate: Certificate,
    key: PrivateKey,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its subject, like "CN=cgw, O=Example".
    pub subject: String,
    /// dNSNames among its alternative names.
    pub dns: Vec<String>,
    /// iPAddresses among them.
    pub addresses: Vec<Ipv4Addr>,
    /// From when it is valid, counted from 1970-01-01 00:00:00 UTC; whole seconds.
    pub not_before: Duration,
    /// Its last second.
    pub not_after: Duration,
}

/// Why a certificate cannot be issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IssueError {
    /// Its subject is no name.
    #[error(transparent)]
    Name(#[from] NoName),
    /// A date beyond the year 9999, or a name that X.509 cannot hold.
    #[error("an X.509 certificate cannot say this")]
    Form,
}

impl Authority {
    /// Draws both CAs. They are valid for ten years from `begin`, counted from 1970-01-01 00:00:00 UTC.
    ///
    /// # Errors
    /// If the name cannot stand in a certificate.
    pub fn drawn(name: &str, kind: KeyType, begin: Duration, rng: &mut Rng) -> Result<Self, IssueError> {
        let root_key = PrivateKey::drawn(kind, rng);
        let key = PrivateKey::drawn(kind, rng);
        let validity = validity(begin, begin + CA_VALIDITY)?;
        let named = |what: &str| decoded(&format!("O={name}, CN={name} {what}"));
        let (root_name, name) = (named("root")?, named("subordinate")?);
        let profile = Profile::Ca { subject: root_name.clone(), issuer: root_name.clone(), below: 1 };
        let root = build(profile, &root_key.public_key(), validity, &root_key, rng)?;
        let profile = Profile::Ca { subject: name, issuer: root_name, below: 0 };
        let subordinate = build(profile, &key.public_key(), validity, &root_key, rng)?;
        Ok(Self { root, subordinate, key })
    }

    /// Issues a certificate for the public key of `key`.
    ///
    /// # Errors
    /// If a certificate cannot say what it is to say.
    pub fn issue(&self, request: &Request, key: &PrivateKey, rng: &mut Rng) -> Result<Certificate, IssueError> {
        let mut names = Vec::new();
        for name in &request.dns {
            names.push(GeneralName::DnsName(Ia5String::new(name).map_err(|_| IssueError::Form)?));
        }
        for address in &request.addresses {
            let octets = OctetString::new(address.octets()).map_err(|_| IssueError::Form)?;
            names.push(GeneralName::IpAddress(octets));
        }
        let issuer = Name::from_der(&self.subordinate.subject_der()).map_err(|_| IssueError::Form)?;
        let profile = Profile::EndEntity { subject: decoded(&request.subject)?, issuer, names };
        let validity = validity(request.not_before, request.not_after)?;
        build(profile, &key.public_key(), validity, &self.key, rng)
    }
}

fn decoded(name: &str) -> Result<Name, IssueError> {
    Name::from_der(&distinguished_name(name)?).map_err(|_| IssueError::Form)
}

fn validity(from: Duration, to: Duration) -> Result<Validity, IssueError> {
    let time = |t: Duration| {
        let seconds = core::time::Duration::from_secs(t.as_nanos() / 1_000_000_000);
        DateTime::from_unix_duration(seconds).map(Time::from).map_err(|_| IssueError::Form)
    };
    Ok(Validity::new(time(from)?, time(to)?))
}

fn build(
    profile: Profile,
    public_key: &[u8],
    validity: Validity,
    signer: &PrivateKey,
    rng: &mut Rng,
) -> Result<Certificate, IssueError> {
    // RFC 5280 section 4.1.2.2: positive and at most 20 octets.
    let mut serial = [0; 16];
    rng.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    let made = || -> builder::Result<Vec<u8>> {
        let key = SubjectPublicKeyInfoOwned::from_der(public_key)?;
        let mut builder = CertificateBuilder::new(profile, SerialNumber::new(&serial)?, validity, key)?;
        let issuer = Issuer(signer);
        let body = builder.finalize(&issuer)?;
        let scheme = signer.scheme(&SignatureHash::OFFERED, false).ok_or(builder::Error::MissingAttributes)?;
        let signature = signer.sign(scheme, &body, rng).ok_or(builder::Error::MissingAttributes)?;
        Ok(builder.assemble(BitString::from_bytes(&signature)?, &issuer)?.to_der()?)
    };
    let der = made().map_err(|_| IssueError::Form)?;
    Certificate::from_der(&der).map_err(|_| IssueError::Form)
}

/// The extensions of AWS Private CA's templates SubordinateCACertificate and EndEntityCertificate, without revocation.
enum Profile {
    Ca {
        subject: Name,
        issuer: Name,
        /// CAs that may follow.
        below: u8,
    },
    EndEntity {
        subject: Name,
        issuer: Name,
        names: Vec<GeneralName>,
    },
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _: &Name) -> Name {
        match self {
            Self::Ca { issuer, .. } | Self::EndEntity { issuer, .. } => issuer.clone(),
        }
    }

    fn get_subject(&self) -> Name {
        match self {
            Self::Ca { subject, .. } | Self::EndEntity { subject, .. } => subject.clone(),
        }
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let (ca, path_len_constraint, usage) = match self {
            Self::Ca { below, .. } => (true, Some(*below), KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Self::EndEntity { .. } => (false, None, KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment),
        };
        let subject = tbs.subject();
        let mut all = vec![
            (&pkix::BasicConstraints { ca, path_len_constraint }).to_extension(subject, &[])?,
            (&pkix::AuthorityKeyIdentifier::try_from(issuer_key)?).to_extension(subject, &[])?,
            (&pkix::SubjectKeyIdentifier::try_from(key)?).to_extension(subject, &[])?,
            (&pkix::KeyUsage(usage)).to_extension(subject, &[])?,
        ];
        if let Self::EndEntity { names, .. } = self {
            let purposes = pkix::ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH, ID_KP_CLIENT_AUTH]);
            all.push((&purposes).to_extension(subject, &[])?);
            if !names.is_empty() {
                all.push((&pkix::SubjectAltName(names.clone())).to_extension(subject, &[])?);
            }
        }
        Ok(all)
    }
}

/// A CA's key as the builder wants to see it.
struct Issuer<'a>(&'a PrivateKey);

#[derive(Clone)]
struct PublicKey(Vec<u8>);

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(&self.0[..])?)
    }
}

impl p256::ecdsa::signature::Keypair for Issuer<'_> {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }
}

impl DynSignatureAlgorithmIdentifier for Issuer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let scheme = self.0.scheme(&SignatureHash::OFFERED, false);
        let der = scheme.and_then(|scheme| scheme.algorithm_identifier()).unwrap_or_default();
        AlgorithmIdentifierOwned::from_der(&der).map_err(|error: der::Error| error.into())
    }
}
