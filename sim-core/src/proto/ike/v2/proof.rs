//! AUTH (RFC 7296 section 2.15): who an end is, proved by a pre-shared key or by a signature and certificates (sections 3.6 to
//! 3.8).
//!
//! A peer that says which hash functions it takes gets a signature with its algorithm named (RFC 7427 section 3), any other the
//! older methods: 1 for RSA, 9 and 10 for ECDSA (RFC 4754). A peer cannot ask for RSASSA-PSS; a responder answers with it an
//! initiator that has used it (RFC 7427 section 5 leaves the choice open).
//!
//! Left out: raw public keys (RFC 7670), hash and URL of a certificate (RFC 7296 section 3.6), several rounds of authentication
//! (RFC 4739).

use subtle::ConstantTimeEq as _;

use super::env::Env;
use crate::crypto::certificate::Certificate;
use crate::crypto::signature::{KeyType, Scheme, SignatureHash, ecdsa_from_der, ecdsa_to_der};
use crate::proto::ike::config::{Config, Credentials, Identity};
use crate::proto::ike::keys::{IkeKeys, id_body};
use crate::proto::ike::trust;
use crate::reason::Reason;
use crate::wire::ike::{AuthMethod, Builder, CertEncoding, Id, Notify, NotifyType, Payload};

/// Signatures that the peer takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Taste {
    /// Hash functions, in its order; none if it does not know RFC 7427.
    hashes: Vec<SignatureHash>,
    /// It has signed with RSASSA-PSS itself.
    pub pss: bool,
}

impl Taste {
    /// What its IKE_SA_INIT message says.
    pub fn of(payloads: &[Payload<'_>]) -> Self {
        let mut hashes = Vec::new();
        for payload in payloads {
            if let Payload::Notify(n) = payload
                && n.kind == NotifyType::SignatureHashAlgorithms
            {
                let ids = n.data.as_chunks::<2>().0.iter().map(|octets| u16::from_be_bytes(*octets));
                hashes.extend(ids.filter_map(SignatureHash::from_id));
            }
        }
        Self { hashes, pss: false }
    }
}

/// What an IKE_SA_INIT message says of certificates, if there are to be any: SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4), and a
/// responder's CERTREQ.
pub(super) fn announce(config: &Config, responder: bool, builder: &mut Builder) {
    let Some(credentials) = &config.credentials else { return };
    let hashes: Vec<u8> = credentials.hashes.iter().flat_map(|hash| hash.id().to_be_bytes()).collect();
    if !hashes.is_empty() {
        builder.push(&Payload::Notify(Notify::new(NotifyType::SignatureHashAlgorithms, &hashes)));
    }
    if responder {
        let authorities = credentials.trust.request();
        builder.push(&Payload::CertReq { encoding: CertEncoding::X509Signature, authorities: &authorities });
    }
}

/// The CERT payloads of this end, its own certificate first.
pub(super) fn certificates(config: &Config) -> impl Iterator<Item = Payload<'_>> {
    trust::certificates(config).map(|data| Payload::Cert { encoding: CertEncoding::X509Signature, data })
}

/// AUTH of this end.
#[derive(Debug)]
pub(super) struct Proof {
    method: AuthMethod,
    data: Vec<u8>,
    /// The CAs that this end trusts; empty without certificates.
    authorities: Vec<u8>,
}

impl Proof {
    pub fn payload(&self) -> Payload<'_> {
        Payload::Auth { method: self.method, data: &self.data }
    }

    /// An initiator's CERTREQ.
    pub fn request(&self) -> Option<Payload<'_>> {
        let authorities = &self.authorities[..];
        let request = Payload::CertReq { encoding: CertEncoding::X509Signature, authorities };
        (!authorities.is_empty()).then_some(request)
    }
}

/// What AUTH covers beside the identity: the first message of who proves itself, the other's nonce, and IntAuth (RFC 9242 section
/// 3.3.2; empty without IKE_INTERMEDIATE).
type Covered<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Proves who this end is.
pub(super) fn prove(env: &mut Env, keys: &IkeKeys, initiator: bool, covered: Covered<'_>, peer: &Taste) -> Proof {
    let config = env.config.clone();
    let id = id_body(&config.local_id);
    let (first_message, nonce, int_auth) = covered;
    let Some(credentials) = &config.credentials else {
        let data = keys.auth(initiator, &config.psk, first_message, nonce, &id, int_auth).to_vec();
        return Proof { method: AuthMethod::SharedKey, data, authorities: Vec::new() };
    };
    let octets = keys.signed_octets(initiator, first_message, nonce, &id, int_auth);
    let signed = sign(env, credentials, &octets, peer);
    // A key that fits no method signs nothing, and the peer refuses.
    let (method, data) = signed.unwrap_or((AuthMethod::DigitalSignature, Vec::new()));
    Proof { method, data, authorities: credentials.trust.request() }
}

fn sign(env: &mut Env, credentials: &Credentials, octets: &[u8], peer: &Taste) -> Option<(AuthMethod, Vec<u8>)> {
    let key = &credentials.key;
    if let Some(scheme) = key.scheme(&peer.hashes, peer.pss) {
        let name = scheme.algorithm_identifier()?;
        let signature = key.sign(scheme, octets, &mut env.secrets)?;
        let length = u8::try_from(name.len()).ok()?;
        return Some((AuthMethod::DigitalSignature, [&[length], &name[..], &signature].concat()));
    }
    let (method, scheme) = match key.kind() {
        KeyType::Rsa => (AuthMethod::RsaSignature, Scheme::RsaPkcs1(SignatureHash::Sha1)),
        KeyType::EcdsaP256 => (AuthMethod::EcdsaSha256, Scheme::Ecdsa(SignatureHash::Sha2_256)),
        KeyType::EcdsaP384 => (AuthMethod::EcdsaSha384, Scheme::Ecdsa(SignatureHash::Sha2_384)),
    };
    let signature = key.sign(scheme, octets, &mut env.secrets)?;
    match key.kind() {
        KeyType::Rsa => Some((method, signature)),
        KeyType::EcdsaP256 | KeyType::EcdsaP384 => Some((method, ecdsa_from_der(key.kind(), &signature)?)),
    }
}

/// Who the peer says it is, and its proof.
#[derive(Default)]
pub(super) struct Claim<'a> {
    id: Option<Id<'a>>,
    pub auth: Option<(AuthMethod, &'a [u8])>,
    /// Certificates in DER, in order.
    certificates: Vec<&'a [u8]>,
}

impl<'a> Claim<'a> {
    pub fn of(payloads: &'a [Payload<'a>], from_initiator: bool) -> Self {
        let mut claim = Self::default();
        for payload in payloads {
            match payload {
                Payload::IdI(id) if from_initiator => claim.id = Some(*id),
                Payload::IdR(id) if !from_initiator => claim.id = Some(*id),
                Payload::Auth { method, data } => claim.auth = Some((*method, data)),
                Payload::Cert { encoding: CertEncoding::X509Signature, data } => claim.certificates.push(data),
                _ => {}
            }
        }
        claim
    }

    /// True if the proof is a signature by RSASSA-PSS.
    pub fn is_pss(&self) -> bool {
        matches!(self.auth, Some((AuthMethod::DigitalSignature, data)) if matches!(named(data), Some((Scheme::RsaPss(_), _))))
    }

    /// Whether the peer is who it must be and proves it, and if not, what failed.
    pub fn verify(&self, env: &Env, keys: &IkeKeys, from_initiator: bool, covered: Covered<'_>) -> Result<(), Reason> {
        let (Some(id), Some((method, data))) = (self.id, self.auth) else {
            return Err(Reason::AuthenticationFailed);
        };
        let mut body = Vec::with_capacity(4 + id.data.len());
        id.emit(&mut body);
        let (first_message, nonce, int_auth) = covered;
        let config = &env.config;
        match (&config.credentials, method) {
            (None, AuthMethod::SharedKey) => {
                let expected = keys.auth(from_initiator, &config.psk, first_message, nonce, &body, int_auth);
                // AUTH covers the identity that was sent, so it tells the key apart from the identity.
                if !bool::from(expected.ct_eq(data)) {
                    Err(Reason::PskMismatch)
                } else if !is(&config.remote_id, id) {
                    Err(Reason::IdMismatch)
                } else {
                    Ok(())
                }
            }
            (Some(credentials), _) if is_signature(method) => {
                let octets = keys.signed_octets(from_initiator, first_message, nonce, &body, int_auth);
                self.verify_signature(env, credentials, &octets)
            }
            (Some(_), AuthMethod::SharedKey) => Err(Reason::AuthMethodMismatch),
            (None, method) if is_signature(method) => Err(Reason::AuthMethodMismatch),
            (Some(_) | None, _) => Err(Reason::AuthenticationFailed),
        }
    }

    fn verify_signature(&self, env: &Env, credentials: &Credentials, octets: &[u8]) -> Result<(), Reason> {
        let (Some(id), Some((method, data))) = (self.id, self.auth) else {
            return Err(Reason::AuthenticationFailed);
        };
        trust::believe(env, credentials, &self.certificates, id, |own| signed(own, method, data, octets))
    }
}

/// True for the methods that come with certificates (RFC 7296 section 3.8, RFC 4754, RFC 7427).
fn is_signature(method: AuthMethod) -> bool {
    match method {
        AuthMethod::RsaSignature
        | AuthMethod::DssSignature
        | AuthMethod::EcdsaSha256
        | AuthMethod::EcdsaSha384
        | AuthMethod::EcdsaSha512
        | AuthMethod::DigitalSignature => true,
        AuthMethod::SharedKey | AuthMethod::Null | AuthMethod::Other(_) => false,
    }
}

/// The scheme and the signature in the data of method 14 (RFC 7427 section 3): length and AlgorithmIdentifier come first.
fn named(data: &[u8]) -> Option<(Scheme, &[u8])> {
    let (length, rest) = data.split_first()?;
    let (name, signature) = rest.split_at_checked(usize::from(*length))?;
    Some((Scheme::from_algorithm_identifier(name)?, signature))
}

fn signed(certificate: &Certificate, method: AuthMethod, data: &[u8], octets: &[u8]) -> bool {
    let ecdsa = |kind, hash| {
        let der = ecdsa_to_der(kind, data).filter(|_| certificate.key_type() == Some(kind));
        der.is_some_and(|der| certificate.verify(Scheme::Ecdsa(hash), octets, &der))
    };
    match method {
        AuthMethod::DigitalSignature => {
            named(data).is_some_and(|(scheme, signature)| certificate.verify(scheme, octets, signature))
        }
        // RFC 7296 section 3.8: SHA-1 unless the sender has reason to believe that the other takes better.
        AuthMethod::RsaSignature => {
            let mut hashes = [SignatureHash::Sha1].into_iter().chain(SignatureHash::OFFERED);
            hashes.any(|hash| certificate.verify(Scheme::RsaPkcs1(hash), octets, data))
        }
        AuthMethod::EcdsaSha256 => ecdsa(KeyType::EcdsaP256, SignatureHash::Sha2_256),
        AuthMethod::EcdsaSha384 => ecdsa(KeyType::EcdsaP384, SignatureHash::Sha2_384),
        AuthMethod::SharedKey
        | AuthMethod::DssSignature
        | AuthMethod::EcdsaSha512
        | AuthMethod::Null
        | AuthMethod::Other(_) => false,
    }
}

fn is(identity: &Identity, id: Id<'_>) -> bool {
    identity.with_id(|own| own == id)
}
