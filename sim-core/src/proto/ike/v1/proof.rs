//! Who an end is, and its proof, in Main Mode's last two messages: HASH under a pre-shared key (RFC 2409 section 5.4), or SIG with
//! certificates (section 5.1, RFC 4754, RFC 4945).
//!
//! What is signed is HASH_I or HASH_R, as it is: a signature of IKEv1 names no hash function, so RSA is PKCS #1's padding alone, and
//! ECDSA's methods bring the hash of their own curve along, whatever phase 1 has negotiated. A proof that fails is answered with
//! AUTHENTICATION-FAILED, whatever is wrong with it, but for the identity beside a pre-shared key, which is
//! INVALID-ID-INFORMATION.
//!
//! Certificates make these messages longer than a packet: IKEv1 has no fragments but IP's.

use super::keys::Keys;
use super::main_mode::clear_header;
use super::proposal::{self, Phase as Which};
use super::sa::Cookies;
use crate::crypto::Secret;
use crate::crypto::cbc::BLOCK;
use crate::crypto::certificate::Certificate;
use crate::crypto::prf::Prf;
use crate::crypto::signature::KeyType;
use crate::proto::ike::config::{Config, Credentials, Identity};
use crate::proto::ike::env::Env;
use crate::proto::ike::trust;
use crate::reason::Reason;
use crate::time::Duration;
use crate::wire::ike::HEADER_LEN;
use crate::wire::ike::v1::{
    Builder, CertEncoding, Flags, Header, Id, IdType, Notify, NotifyType, Payload, parse_attributes, parse_chain,
};

/// The keys are there; what is left is that the other end proves who it is.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub keys: Keys,
    pub sa_body: Vec<u8>,
    /// g^xi and g^xr.
    pub publics: (Vec<u8>, Vec<u8>),
    /// The lifetime that was offered to this end.
    pub offered: Option<Duration>,
}

/// What came along with a proof.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub initial_contact: bool,
    pub lifetime: Option<Duration>,
}

/// Why a proof is none.
pub(super) enum Failure {
    /// It does not decrypt to a message.
    Unreadable,
    /// It is one; this is the answer, and why.
    Refused(NotifyType, Reason),
}

/// The DER of the names of the CAs that this end trusts; none without certificates.
pub(super) fn authorities(config: &Config) -> Vec<Vec<u8>> {
    let trusted = config.credentials.iter().flat_map(|credentials| &credentials.trust.authorities);
    trusted.map(Certificate::subject_der).collect()
}

/// Asks for a certificate of a CA.
pub(super) fn request(name: &[u8]) -> Payload<'_> {
    Payload::CertReq { encoding: CertEncoding::X509Signature, authority: name }
}

/// What the peer's proof consists of.
#[derive(Default)]
struct Claim<'a> {
    id: Option<Id<'a>>,
    hash: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    /// Certificates in DER, in order.
    certificates: Vec<&'a [u8]>,
}

impl Proof {
    /// HASH_I or HASH_R, over the body of that end's identification.
    fn hash(&self, config: &Config, cookies: Cookies, initiator: bool, id_body: &[u8]) -> Secret {
        let prf = match config.credentials.as_ref().map(|credentials| credentials.key.kind()) {
            Some(KeyType::EcdsaP256) => Prf::HmacSha2_256,
            Some(KeyType::EcdsaP384) => Prf::HmacSha2_384,
            Some(KeyType::Rsa) | None => self.keys.suite.prf,
        };
        let publics = (&self.publics.0[..], &self.publics.1[..]);
        self.keys.authentication(prf, initiator, publics, cookies.pair(), &self.sa_body, id_body)
    }

    /// The fifth or the sixth message: who this end is, and the proof.
    pub fn message(&mut self, env: &mut Env, cookies: Cookies, notify: Option<Notify<'_>>) -> Vec<u8> {
        let config = env.config.clone();
        let hash = self.hash(&config, cookies, cookies.initiator, &id_body(&config.local_id));
        let flags = Flags { encryption: true, ..Flags::default() };
        let mut builder = Builder::new(&Header { flags, ..clear_header(cookies) });
        with_id(&config.local_id, |id| {
            builder.push(&Payload::Id(id));
        });
        match &config.credentials {
            None => {
                builder.push(&Payload::Hash(&hash));
            }
            Some(credentials) => {
                for data in trust::certificates(&config) {
                    builder.push(&Payload::Cert { encoding: CertEncoding::X509Signature, data });
                }
                // A key that cannot sign it signs nothing, and the peer refuses.
                let signature = credentials.key.sign_hash(&hash, &mut env.secrets).unwrap_or_default();
                builder.push(&Payload::Sig(&signature));
                // A responder has asked in its fourth message.
                for name in authorities(&config).iter().filter(|_| cookies.initiator) {
                    builder.push(&request(name));
                }
            }
        }
        if let Some(notify) = notify {
            builder.push(&Payload::Notify(notify));
        }
        builder.pad(BLOCK);
        let mut bytes = builder.finish();
        let mut chain = self.keys.chain;
        self.keys.encrypt(&mut chain, &mut bytes);
        self.keys.chain = chain;
        bytes
    }

    /// Decrypts and reads the other end's proof: what is wrong with it, or which notifications came along.
    pub fn verify(&mut self, env: &Env, cookies: Cookies, header: &Header, bytes: &mut [u8]) -> Result<Told, Failure> {
        let mut chain = self.keys.chain;
        if !self.keys.decrypt(&mut chain, bytes) {
            return Err(Failure::Unreadable);
        }
        let (payloads, _) = parse_chain(header.next_payload, &bytes[HEADER_LEN..]).map_err(|_| Failure::Unreadable)?;
        let (mut claim, mut told) = (Claim::default(), Told::default());
        for payload in &payloads {
            match payload {
                Payload::Id(it) => claim.id = Some(*it),
                Payload::Hash(it) => claim.hash = Some(*it),
                Payload::Sig(it) => claim.signature = Some(*it),
                Payload::Cert { encoding: CertEncoding::X509Signature, data } => claim.certificates.push(data),
                Payload::Notify(n) if n.kind == NotifyType::InitialContact => told.initial_contact = true,
                Payload::Notify(n) if n.kind == NotifyType::ResponderLifetime => {
                    let attributes = parse_attributes(n.data).unwrap_or_default();
                    told.lifetime = proposal::read_lifetime(Which::One, &attributes);
                }
                _ => {}
            }
        }
        let Some(id) = claim.id else {
            return Err(Failure::Unreadable);
        };
        let mut body = Vec::new();
        id.emit(&mut body);
        let expected = self.hash(&env.config, cookies, !cookies.initiator, &body);
        match (&env.config.credentials, claim.hash, claim.signature) {
            (None, Some(hash), _) => {
                self.keys.chain = chain;
                if *expected != *hash {
                    return Err(refused(NotifyType::AuthenticationFailed, Reason::AuthenticationFailed));
                }
                if !is(&env.config.remote_id, id) {
                    return Err(refused(NotifyType::InvalidIdInformation, Reason::InvalidIdInformation));
                }
            }
            (Some(credentials), _, Some(signature)) => {
                self.keys.chain = chain;
                signed(env, credentials, &claim.certificates, id, (&expected, signature))
                    .map_err(|reason| refused(NotifyType::AuthenticationFailed, reason))?;
            }
            (None, None, _) | (Some(_), _, None) => return Err(Failure::Unreadable),
        }
        Ok(told)
    }
}

const fn refused(kind: NotifyType, reason: Reason) -> Failure {
    Failure::Refused(kind, reason)
}

/// Whether the key of the first certificate has signed the hash, and the peer is who it must be. The method was agreed for both ends, so
/// a key of another kind is none.
fn signed(
    env: &Env,
    credentials: &Credentials,
    certificates: &[&[u8]],
    id: Id<'_>,
    (hash, signature): (&[u8], &[u8]),
) -> Result<(), Reason> {
    let kind = credentials.key.kind();
    // The types that an identity can have are numbered alike in both versions; the others stand in no certificate.
    let id = crate::wire::ike::Id { kind: crate::wire::ike::IdType::from_wire(id.kind.to_wire()), data: id.data };
    trust::believe(env, credentials, certificates, id, |own| {
        own.key_type() == Some(kind) && own.verify_hash(hash, signature)
    })
}

/// Protocol and port are not part of who somebody is (RFC 2407 section 4.6.2).
fn is(identity: &Identity, id: Id<'_>) -> bool {
    with_id(identity, |own| (own.kind, own.data) == (id.kind, id.data))
}

/// An identity as phase 1 says it.
fn with_id<T>(identity: &Identity, f: impl FnOnce(Id<'_>) -> T) -> T {
    identity.with_id(|id| f(Id { kind: IdType::from_wire(id.kind.to_wire()), protocol: 0, port: 0, data: id.data }))
}

fn id_body(identity: &Identity) -> Vec<u8> {
    let mut body = Vec::with_capacity(16);
    with_id(identity, |id| id.emit(&mut body));
    body
}
