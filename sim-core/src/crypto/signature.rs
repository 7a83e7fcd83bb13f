//! Signatures of IKEv2's AUTH (RFC 7296 section 2.15, RFC 7427, RFC 4754), of IKEv1's SIG (RFC 2409 section 5.1) and of
//! certificates.
//!
//! What is signed is a function of the key and the message: ECDSA by RFC 6979, RSASSA-PKCS1-v1_5 as it is. RSASSA-PSS has a salt,
//! which the caller's stream gives.
//!
//! Left out: ECDSA with P-521 (RFC 4754 section 7), EdDSA (RFC 8420), DSS.

use core::fmt;

use p256::ecdsa::signature::RandomizedSigner as _;
use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePublicKey as _};
use rand_core::CryptoRng;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rustls_pki_types::{AlgorithmIdentifier, alg_id};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::der::{Encode as _, Tag, asn1::AnyRef, pem};

/// A hash function for signatures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SignatureHash {
    /// SHA-1: only what RFC 7296 section 3.8 wants of method 1, where the peer knows nothing better.
    Sha1,
    /// SHA2-256.
    Sha2_256,
    /// SHA2-384.
    Sha2_384,
    /// SHA2-512.
    Sha2_512,
}

impl SignatureHash {
    /// Those that this end takes and says so (RFC 7427 section 4).
    pub const OFFERED: [Self; 3] = [Self::Sha2_256, Self::Sha2_384, Self::Sha2_512];

    /// Its number in IANA's registry of IKEv2 hash algorithms (RFC 7427 section 7).
    pub const fn id(self) -> u16 {
        match self {
            Self::Sha1 => 1,
            Self::Sha2_256 => 2,
            Self::Sha2_384 => 3,
            Self::Sha2_512 => 4,
        }
    }

    /// The hash function with this number, but SHA-1, which nobody should sign with any more (RFC 8247 section 4.2).
    pub fn from_id(id: u16) -> Option<Self> {
        Self::OFFERED.into_iter().find(|hash| hash.id() == id)
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha2_256 => Sha256::digest(message).to_vec(),
            Self::Sha2_384 => Sha384::digest(message).to_vec(),
            Self::Sha2_512 => Sha512::digest(message).to_vec(),
        }
    }
}

/// How something is signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(SignatureHash),
    /// RSASSA-PSS, with MGF1 of the same hash and a salt of its length.
    RsaPss(SignatureHash),
    /// ECDSA; the signature is in DER, as certificates and RFC 7427 have it.
    Ecdsa(SignatureHash),
}

impl Scheme {
    /// Every scheme that has an AlgorithmIdentifier here.
    const NAMED: [Self; 9] = {
        use SignatureHash::{Sha2_256 as A, Sha2_384 as B, Sha2_512 as C};
        [
            Self::RsaPkcs1(A),
            Self::RsaPkcs1(B),
            Self::RsaPkcs1(C),
            Self::RsaPss(A),
            Self::RsaPss(B),
            Self::RsaPss(C),
            Self::Ecdsa(A),
            Self::Ecdsa(B),
            Self::Ecdsa(C),
        ]
    };

    /// The DER of its AlgorithmIdentifier (RFC 7427 appendix A); `None` with SHA-1.
    pub fn algorithm_identifier(self) -> Option<Vec<u8>> {
        use SignatureHash::{Sha1, Sha2_256, Sha2_384, Sha2_512};
        let content: AlgorithmIdentifier = match self {
            Self::RsaPkcs1(Sha2_256) => alg_id::RSA_PKCS1_SHA256,
            Self::RsaPkcs1(Sha2_384) => alg_id::RSA_PKCS1_SHA384,
            Self::RsaPkcs1(Sha2_512) => alg_id::RSA_PKCS1_SHA512,
            Self::RsaPss(Sha2_256) => alg_id::RSA_PSS_SHA256,
            Self::RsaPss(Sha2_384) => alg_id::RSA_PSS_SHA384,
            Self::RsaPss(Sha2_512) => alg_id::RSA_PSS_SHA512,
            Self::Ecdsa(Sha2_256) => alg_id::ECDSA_SHA256,
            Self::Ecdsa(Sha2_384) => alg_id::ECDSA_SHA384,
            Self::Ecdsa(Sha2_512) => alg_id::ECDSA_SHA512,
            Self::RsaPkcs1(Sha1) | Self::RsaPss(Sha1) | Self::Ecdsa(Sha1) => return None,
        };
        AnyRef::new(Tag::Sequence, content.as_ref()).and_then(|sequence| sequence.to_der()).ok()
    }

    /// The scheme with this AlgorithmIdentifier.
    pub fn from_algorithm_identifier(der: &[u8]) -> Option<Self> {
        Self::NAMED.into_iter().find(|scheme| scheme.algorithm_identifier().is_some_and(|own| own == der))
    }
}

/// What kind of key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyType {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA with 2048 bits or more.
    Rsa,
}

/// Bits of an RSA key that is drawn, and the fewest that one may have.
const RSA_BITS: usize = 2048;

/// A private key. Its `Debug` shows only its kind.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(Inner);

#[derive(Clone, PartialEq, Eq)]
enum Inner {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Rsa(Box<rsa::PrivateKey>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.kind())
    }
}

/// Why a text is no private key that can be used. It does not quote the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// No PEM.
    #[error("this is no PEM text that begins with a private key")]
    Pem,
    /// A password is needed.
    #[error("the private key is encrypted: store it without a password")]
    Encrypted,
    /// Another algorithm or a broken key.
    #[error("the private key is neither ECDSA on P-256 or P-384 nor RSA")]
    Algorithm,
    /// Too short a key.
    #[error("the RSA key has {0} bits: 2048 is the least")]
    TooShort(
        /// Its bits.
        u32,
    ),
}

impl PrivateKey {
    /// Draws a key.
    ///
    /// # Panics
    /// Never: RSA keys of this size can be drawn.
    pub fn drawn(kind: KeyType, rng: &mut impl CryptoRng) -> Self {
        Self(match kind {
            KeyType::EcdsaP256 => Inner::P256(p256::ecdsa::SigningKey::generate_from_rng(rng)),
            KeyType::EcdsaP384 => Inner::P384(p384::ecdsa::SigningKey::generate_from_rng(rng)),
            KeyType::Rsa => {
                let key = rsa::PrivateKey::new(rng, RSA_BITS);
                Inner::Rsa(Box::new(key.expect("2048 bits are a size that RSA keys have")))
            }
        })
    }

    /// Reads a PEM text: PKCS#8, or what OpenSSL wrote before it (`EC PRIVATE KEY`, `RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode_vec(text.trim().as_bytes()).map_err(|_| KeyError::Pem)?;
        let ecdsa = || {
            let p256 = p256::SecretKey::from_der(&der).map(|key| Inner::P256(key.into()));
            p256.or_else(|_| p384::SecretKey::from_der(&der).map(|key| Inner::P384(key.into()))).ok()
        };
        let rsa = |key: Option<rsa::PrivateKey>| key.map(|key| Inner::Rsa(Box::new(key)));
        let inner = match label {
            "PRIVATE KEY" => ecdsa().or_else(|| rsa(rsa::PrivateKey::from_pkcs8_der(&der).ok())),
            "EC PRIVATE KEY" => ecdsa(),
            "RSA PRIVATE KEY" => rsa(rsa::PrivateKey::from_pkcs1_der(&der).ok()),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            _ => return Err(KeyError::Pem),
        };
        match inner.ok_or(KeyError::Algorithm)? {
            Inner::Rsa(key) if key.n().bit_width() < RSA_BITS as u32 => Err(KeyError::TooShort(key.n().bit_width())),
            inner => Ok(Self(inner)),
        }
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyType {
        match &self.0 {
            Inner::P256(_) => KeyType::EcdsaP256,
            Inner::P384(_) => KeyType::EcdsaP384,
            Inner::Rsa(_) => KeyType::Rsa,
        }
    }

    /// The DER of the SubjectPublicKeyInfo that belongs to it (RFC 5280 section 4.1).
    ///
    /// # Panics
    /// Never: every public key has such a form.
    pub fn public_key(&self) -> Vec<u8> {
        let document = match &self.0 {
            Inner::P256(key) => key.verifying_key().to_public_key_der(),
            Inner::P384(key) => key.verifying_key().to_public_key_der(),
            Inner::Rsa(key) => key.to_public_key().to_public_key_der(),
        };
        document.expect("a public key can be written").into_vec()
    }

    /// How this key signs for a peer that takes these hash functions: with the one that fits its strength, or else the first of
    /// the peer's. `None` if the peer takes none.
    pub fn scheme(&self, hashes: &[SignatureHash], pss: bool) -> Option<Scheme> {
        let fitting = match self.kind() {
            KeyType::EcdsaP384 => SignatureHash::Sha2_384,
            KeyType::EcdsaP256 | KeyType::Rsa => SignatureHash::Sha2_256,
        };
        let hash = hashes.iter().copied().find(|hash| *hash == fitting).or(hashes.first().copied())?;
        Some(match self.kind() {
            KeyType::EcdsaP256 | KeyType::EcdsaP384 => Scheme::Ecdsa(hash),
            KeyType::Rsa if pss => Scheme::RsaPss(hash),
            KeyType::Rsa => Scheme::RsaPkcs1(hash),
        })
    }

    /// Signs; `None` if the scheme is not for this kind of key. `rng` gives the salt of PSS, and blinds RSA, which does not show
    /// in the signature.
    pub fn sign(&self, scheme: Scheme, message: &[u8], rng: &mut impl CryptoRng) -> Option<Vec<u8>> {
        match (&self.0, scheme) {
            (Inner::P256(key), Scheme::Ecdsa(hash)) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&hash.digest(message)).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            (Inner::P384(key), Scheme::Ecdsa(hash)) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(&hash.digest(message)).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            (Inner::Rsa(key), Scheme::RsaPkcs1(hash)) => {
                let padding = pkcs1(hash);
                key.sign_with_rng(rng, padding, &hash.digest(message)).ok()
            }
            (Inner::Rsa(key), Scheme::RsaPss(hash)) => {
                let key = (**key).clone();
                let signature = match hash {
                    SignatureHash::Sha1 => return None,
                    SignatureHash::Sha2_256 => rsa::pss::SigningKey::<Sha256>::new(key).try_sign_with_rng(rng, message),
                    SignatureHash::Sha2_384 => rsa::pss::SigningKey::<Sha384>::new(key).try_sign_with_rng(rng, message),
                    SignatureHash::Sha2_512 => rsa::pss::SigningKey::<Sha512>::new(key).try_sign_with_rng(rng, message),
                };
                signature.ok().map(|signature| Box::<[u8]>::from(signature).into_vec())
            }
            (Inner::P256(_) | Inner::P384(_), Scheme::RsaPkcs1(_) | Scheme::RsaPss(_))
            | (Inner::Rsa(_), Scheme::Ecdsa(_)) => None,
        }
    }

    /// Signs a hash that both ends can compute, as it is: RSA with the padding of PKCS #1 alone, which names no hash function (RFC
    /// 2409 section 5.1), ECDSA as `r | s` (RFC 4754 section 7). `None` if the key is too small for the hash. `rng` blinds RSA,
    /// which does not show in the signature.
    pub fn sign_hash(&self, hash: &[u8], rng: &mut impl CryptoRng) -> Option<Vec<u8>> {
        match &self.0 {
            Inner::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(hash).ok()?;
                Some(signature.to_bytes().to_vec())
            }
            Inner::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign_prehash(hash).ok()?;
                Some(signature.to_bytes().to_vec())
            }
            Inner::Rsa(key) => key.sign_with_rng(rng, rsa::Pkcs1v15Sign::new_unprefixed(), hash).ok(),
        }
    }
}

pub(super) fn pkcs1(hash: SignatureHash) -> rsa::Pkcs1v15Sign {
    match hash {
        SignatureHash::Sha1 => rsa::Pkcs1v15Sign::new::<Sha1>(),
        SignatureHash::Sha2_256 => rsa::Pkcs1v15Sign::new::<Sha256>(),
        SignatureHash::Sha2_384 => rsa::Pkcs1v15Sign::new::<Sha384>(),
        SignatureHash::Sha2_512 => rsa::Pkcs1v15Sign::new::<Sha512>(),
    }
}

/// Verifies RSASSA-PKCS1-v1_5 with SHA-1, given the DER of the SubjectPublicKeyInfo.
pub(super) fn verify_rsa_sha1(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = rsa::PublicKey::from_public_key_der(public_key);
    let digest = SignatureHash::Sha1.digest(message);
    key.is_ok_and(|key| key.verify(pkcs1(SignatureHash::Sha1), &digest, signature).is_ok())
}

/// Verifies what [`PrivateKey::sign_hash`] makes, given the DER of the SubjectPublicKeyInfo.
pub(super) fn verify_hash(kind: KeyType, public_key: &[u8], hash: &[u8], signature: &[u8]) -> bool {
    match kind {
        KeyType::EcdsaP256 => {
            let signature = p256::ecdsa::Signature::from_slice(signature);
            let key = p256::ecdsa::VerifyingKey::from_public_key_der(public_key);
            key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()))
        }
        KeyType::EcdsaP384 => {
            let signature = p384::ecdsa::Signature::from_slice(signature);
            let key = p384::ecdsa::VerifyingKey::from_public_key_der(public_key);
            key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()))
        }
        KeyType::Rsa => {
            let key = rsa::PublicKey::from_public_key_der(public_key);
            key.is_ok_and(|key| key.verify(rsa::Pkcs1v15Sign::new_unprefixed(), hash, signature).is_ok())
        }
    }
}

/// The DER of an ECDSA signature that RFC 4754 section 7 writes as `r | s`; `None` if it is none of this kind of key.
pub fn ecdsa_to_der(kind: KeyType, concatenated: &[u8]) -> Option<Vec<u8>> {
    match kind {
        KeyType::EcdsaP256 => {
            let signature = p256::ecdsa::Signature::from_slice(concatenated).ok()?;
            Some(signature.to_der().as_bytes().to_vec())
        }
        KeyType::EcdsaP384 => {
            let signature = p384::ecdsa::Signature::from_slice(concatenated).ok()?;
            Some(signature.to_der().as_bytes().to_vec())
        }
        KeyType::Rsa => None,
    }
}

/// The way back: `r | s` of a signature in DER.
pub fn ecdsa_from_der(kind: KeyType, der: &[u8]) -> Option<Vec<u8>> {
    match kind {
        KeyType::EcdsaP256 => Some(p256::ecdsa::Signature::from_der(der).ok()?.to_bytes().to_vec()),
        KeyType::EcdsaP384 => Some(p384::ecdsa::Signature::from_der(der).ok()?.to_bytes().to_vec()),
        KeyType::Rsa => None,
    }
}

#[cfg(test)]
mod tests;
