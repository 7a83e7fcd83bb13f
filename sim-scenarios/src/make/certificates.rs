//! Certificates of both ends of a tunnel: from files, or issued by a CA that is drawn from the seed.
//!
//! A drawn CA is known by its name alone: the same name is the same CA, in every tunnel and at both ends. It is a root with a
//! subordinate CA below it, as AWS wants its certificates issued (guide: tunnel authentication options).

use sim_core::crypto::certificate::authority::{Authority, Request};
use sim_core::crypto::certificate::{Certificate, Trust};
use sim_core::crypto::signature::{KeyType, PrivateKey, SignatureHash};
use sim_core::proto::ike::config::Credentials;
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Duration;

use super::judge::{Judge, between};
use crate::leaf::{KeySource, Name, PemSource};
use crate::place::{At, Place};
use crate::schema;

/// AWS Private CA's certificates for AWS services are valid for 13 months (ACM: managed renewal of private certificates).
const VALIDITY: Duration = Duration::from_secs(395 * 86_400);
/// A drawn certificate does not outlive its CA.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The CA that issues where no other is named.
const PRIVATE_CA: &str = "private-ca";

/// What certificates of one world have in common.
#[derive(Clone, Copy)]
pub(super) struct Pki {
    /// The seed.
    pub seed: u64,
    /// When the world began, counted from 1970-01-01 00:00:00 UTC.
    pub began: Duration,
}

/// What an end has, and what the other end needs of it.
#[derive(Clone)]
pub(super) struct Made {
    pub credentials: Credentials,
    /// Names of the drawn CAs that issued its certificate and that it trusts; `None` for files.
    issuer: Option<String>,
    ca: Option<String>,
}

impl Made {
    /// True if it trusts a CA from a file, so that no certificate can be drawn for the other end.
    pub fn is_from_files(&self) -> bool {
        self.ca.is_none()
    }
}

impl Pki {
    /// AWS's certificate. Any certificate of a CA that it trusts will do, whose identity is in it.
    pub fn aws(self, schema: &schema::Certificate, subject: &str, j: &mut Judge) -> Option<Made> {
        let mut made = self.end(schema, subject, (PRIVATE_CA, None), j)?;
        made.credentials.any_identity = true;
        made.credentials.trust.wants_identifiers = true;
        Some(made)
    }

    /// The customer gateway's: what is not given fits AWS's.
    pub fn customer(self, schema: &schema::Certificate, subject: &str, aws: &Made, j: &mut Judge) -> Option<Made> {
        let issuer = aws.ca.as_deref().unwrap_or(PRIVATE_CA);
        self.end(schema, subject, (issuer, aws.issuer.as_deref()), j)
    }

    fn end(
        self,
        schema: &schema::Certificate,
        subject: &str,
        (issuer, ca): (&str, Option<&str>),
        j: &mut Judge,
    ) -> Option<Made> {
        let key = match &schema.key {
            None => KeySource::Drawn(KeyType::EcdsaP256),
            Some(at) => j.read(at)?,
        };
        let (chain, key, issuer) = match key {
            KeySource::Drawn(kind) => {
                if let Some(at) = &schema.certificate {
                    let help = "add `key: \"file:PATH\"`, or leave `certificate` out to have one issued";
                    j.wrong(at.place, "this certificate has no private key beside it", Some(help.into()));
                }
                let issuer = schema.issuer.as_ref().map_or_else(|| Some(issuer.to_owned()), |at| ca_name(at, j))?;
                let expires = j.lawful_or(&schema.expires, VALIDITY, |t| {
                    between(*t, Duration::from_secs(1), LONGEST, "the validity of a certificate")
                });
                let (chain, key) = self.issued(&issuer, subject, kind, expires)?;
                (chain, key, Some(issuer))
            }
            KeySource::File(_) | KeySource::Environment(_) => {
                let places = [schema.issuer.as_ref().map(|at| at.place), schema.expires.as_ref().map(|at| at.place)];
                for place in places.into_iter().flatten() {
                    j.wrong(place, "this is said in the certificate's file", None);
                }
                let (chain, key) = filed(schema, &key, j)?;
                (chain, key, None)
            }
        };
        let (authorities, ca) = match &schema.ca {
            Some(at) => match j.read(at)? {
                PemSource::Name(Name(name)) if is_ca_name(&name) => (vec![self.authority(&name)?.root], Some(name)),
                PemSource::Name(_) => return wrong_name(at.place, j),
                source => (certificates(&source, at.place, j)?, None),
            },
            None => match ca.map(str::to_owned).or_else(|| issuer.clone()) {
                Some(name) => (vec![self.authority(&name)?.root], Some(name)),
                None => {
                    let place = schema.certificate.as_ref().map(|at| at.place)?;
                    j.wrong(place, "beside a certificate from a file stands no `ca:` that is trusted", None);
                    return None;
                }
            },
        };
        let trust = Trust { authorities, wants_identifiers: false };
        let hashes = SignatureHash::OFFERED.to_vec();
        let credentials = Credentials { chain, key, trust, hashes, any_identity: false, began: self.began };
        Some(Made { credentials, issuer, ca })
    }

    fn authority(self, name: &str) -> Option<Authority> {
        let mut rng = Rng::stream(self.seed, &format!("certification authority {name}"), Purpose::IkeSecrets);
        Authority::drawn(name, KeyType::EcdsaP256, self.began, &mut rng).ok()
    }

    fn issued(
        self,
        issuer: &str,
        subject: &str,
        kind: KeyType,
        expires: Duration,
    ) -> Option<(Vec<Certificate>, PrivateKey)> {
        let authority = self.authority(issuer)?;
        let mut rng = Rng::stream(self.seed, &format!("certificate of {subject}"), Purpose::IkeSecrets);
        let key = PrivateKey::drawn(kind, &mut rng);
        let request = Request {
            subject: format!("CN={subject}"),
            dns: vec![subject.to_owned()],
            addresses: Vec::new(),
            not_before: self.began,
            not_after: self.began + expires,
        };
        let certificate = authority.issue(&request, &key, &mut rng).ok()?;
        Some((vec![certificate, authority.subordinate], key))
    }
}

/// A key and its certificates, from where they are kept.
fn filed(schema: &schema::Certificate, key: &KeySource, j: &mut Judge) -> Option<(Vec<Certificate>, PrivateKey)> {
    let place = schema.key.as_ref()?.place;
    let Some(at) = &schema.certificate else {
        j.wrong(place, "this private key has no `certificate:` beside it", None);
        return None;
    };
    let (kept, text) = match key {
        KeySource::Drawn(_) => return None,
        KeySource::File(path) => (format!("file `{path}`"), j.secrets.document(path)),
        KeySource::Environment(name) => (format!("environment variable `{name}`"), j.secrets.environment(name)),
    };
    let read = text.and_then(|text| PrivateKey::from_pem(&text).map_err(|why| why.to_string()));
    let key = match read {
        Ok(key) => key,
        Err(why) => {
            j.wrong(place, format!("no private key in {kept}: {why}"), None);
            return None;
        }
    };
    let source = j.read(at)?;
    let chain = certificates(&source, at.place, j)?;
    if chain[0].public_key() != key.public_key() {
        let message = format!("the first certificate, of {}, belongs to another private key", chain[0].subject());
        j.wrong(at.place, message, Some("its own certificate comes first in its file".into()));
        return None;
    }
    Some((chain, key))
}

/// The certificates of a file; at least one.
fn certificates(source: &PemSource, place: Place, j: &mut Judge) -> Option<Vec<Certificate>> {
    let PemSource::File(path) = source else {
        j.wrong(place, "here stands \"file:PATH\"", None);
        return None;
    };
    let text = j.secrets.document(path);
    match text.and_then(|text| Certificate::from_pem(&text).map_err(|why| why.to_string())) {
        Ok(chain) => Some(chain),
        Err(why) => {
            j.wrong(place, format!("no certificate in PEM in file `{path}`: {why}"), None);
            None
        }
    }
}

fn ca_name(at: &At<Name>, j: &mut Judge) -> Option<String> {
    let Name(name) = j.read(at)?;
    if is_ca_name(&name) { Some(name) } else { wrong_name(at.place, j) }
}

fn is_ca_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn wrong_name<T>(place: Place, j: &mut Judge) -> Option<T> {
    j.wrong(place, "the name of a CA has up to 32 letters, digits, `-` and `_`", None);
    None
}
