//! Diffie-Hellman groups of IKE, all that AWS lists: MODP (RFC 2409, RFC 3526), MODP with a subgroup of prime order
//! (RFC 5114), ECP (RFC 5903); and Curve25519 (RFC 8031) besides.
//!
//! Each end computes its own shared secret from what arrived on the wire, so a wrong peer yields a wrong key. The peer's
//! value is checked as RFC 6989 asks before it is used.
//!
//! Left out: MODP-768 (group 1), ECP-192 and ECP-224 (groups 25 and 26), Brainpool curves (27 to 30), Curve448 (32), none of
//! which AWS offers.

use std::sync::Arc;

use aws_lc_rs::agreement;
use crypto_bigint::U448;
use rand_core::CryptoRng;

use self::modp::Exponentiate;
use super::Secret;

mod modp;
mod primes;

/// A negotiable group (IANA "Transform Type 4").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum DhGroup {
    /// 1024-bit MODP (RFC 7296 appendix B.2).
    Modp1024 = 2,
    /// 1536-bit MODP (RFC 3526 section 2).
    Modp1536 = 5,
    /// 2048-bit MODP (RFC 3526 section 3).
    Modp2048 = 14,
    /// 3072-bit MODP (RFC 3526 section 4).
    Modp3072 = 15,
    /// 4096-bit MODP (RFC 3526 section 5).
    Modp4096 = 16,
    /// 6144-bit MODP (RFC 3526 section 6).
    Modp6144 = 17,
    /// 8192-bit MODP (RFC 3526 section 7).
    Modp8192 = 18,
    /// 256-bit random ECP, NIST P-256 (RFC 5903 section 3.1).
    Ecp256 = 19,
    /// 384-bit random ECP, NIST P-384 (RFC 5903 section 3.2).
    Ecp384 = 20,
    /// 521-bit random ECP, NIST P-521 (RFC 5903 section 3.3).
    Ecp521 = 21,
    /// 1024-bit MODP with a subgroup of 160-bit prime order (RFC 5114 section 2.1).
    Modp1024Sub160 = 22,
    /// 2048-bit MODP with a subgroup of 224-bit prime order (RFC 5114 section 2.2).
    Modp2048Sub224 = 23,
    /// 2048-bit MODP with a subgroup of 256-bit prime order (RFC 5114 section 2.3).
    Modp2048Sub256 = 24,
    /// Curve25519 (RFC 8031).
    Curve25519 = 31,
}

impl DhGroup {
    /// Every group, in the order of their transform IDs.
    pub const ALL: [Self; 14] = [
        Self::Modp1024,
        Self::Modp1536,
        Self::Modp2048,
        Self::Modp3072,
        Self::Modp4096,
        Self::Modp6144,
        Self::Modp8192,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
        Self::Modp1024Sub160,
        Self::Modp2048Sub224,
        Self::Modp2048Sub256,
        Self::Curve25519,
    ];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The group with this transform ID, if we have it.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.id() == id)
    }

    /// Security strength in bits (NIST SP 800-57 part 1 table 2; above 3,072 bits SP 800-56A revision 3 appendix D; for
    /// 1,536 bits the lower estimate of RFC 3526 section 8).
    pub const fn strength_bits(self) -> u16 {
        match self {
            Self::Modp1024 | Self::Modp1024Sub160 => 80,
            Self::Modp1536 => 90,
            Self::Modp2048 | Self::Modp2048Sub224 | Self::Modp2048Sub256 => 112,
            Self::Modp3072 | Self::Ecp256 | Self::Curve25519 => 128,
            Self::Modp4096 => 152,
            Self::Modp6144 => 176,
            Self::Ecp384 => 192,
            Self::Modp8192 => 200,
            Self::Ecp521 => 256,
        }
    }

    /// Octets of Key Exchange Data: the modulus (RFC 7296 section 3.4), both coordinates (RFC 5903 section 7), or the
    /// u-coordinate (RFC 8031 section 3.1).
    pub const fn public_len(self) -> usize {
        match self {
            Self::Curve25519 => 32,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Modp1024 | Self::Modp1024Sub160 => 128,
            Self::Ecp521 => 132,
            Self::Modp1536 => 192,
            Self::Modp2048 | Self::Modp2048Sub224 | Self::Modp2048Sub256 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Modp6144 => 768,
            Self::Modp8192 => 1024,
        }
    }

    /// Octets of the shared secret g^ir: the modulus (RFC 7296 section 2.14), or one coordinate (RFC 5903 section 7,
    /// RFC 8031 section 3.2).
    pub const fn shared_len(self) -> usize {
        match self {
            Self::Ecp256 => 32,
            Self::Ecp384 => 48,
            Self::Ecp521 => 66,
            Self::Curve25519
            | Self::Modp1024
            | Self::Modp1536
            | Self::Modp2048
            | Self::Modp3072
            | Self::Modp4096
            | Self::Modp6144
            | Self::Modp8192
            | Self::Modp1024Sub160
            | Self::Modp2048Sub224
            | Self::Modp2048Sub256 => self.public_len(),
        }
    }

    /// Octets of a private value. A MODP exponent of twice the group's strength loses nothing: group 14 is worth
    /// about 112 bits (SP 800-57 part 1 table 2), 224 bits of exponent (RFC 7919 appendix A.1 asks for 225, RFC 3526
    /// section 8 for 220 to 320); 256 covers it, and an exponent as long as the modulus would cost eight times as
    /// much. RFC 7919 asks for 325, 375 and 400 bits of the larger ones. In a subgroup it is below the order.
    const fn private_len(self) -> usize {
        match self {
            Self::Modp1024Sub160 => 20,
            Self::Modp2048Sub224 => 28,
            Self::Modp1024
            | Self::Modp1536
            | Self::Modp2048
            | Self::Modp3072
            | Self::Modp2048Sub256
            | Self::Ecp256
            | Self::Curve25519 => 32,
            Self::Modp4096 | Self::Modp6144 | Self::Ecp384 => 48,
            Self::Modp8192 => 56,
            Self::Ecp521 => 66,
        }
    }
}

/// Why a Key Exchange Data was refused. The peer's KE payload is invalid syntax (RFC 6989 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DhError {
    /// Not the length of the group's public values.
    #[error("KE payload: {actual} octets of key exchange data, the group has {expected}")]
    Length {
        /// What the group has.
        expected: usize,
        /// What came.
        actual: usize,
    },
    /// A MODP value that is not strictly between 1 and p-1 (RFC 6989 section 2.1).
    #[error("KE payload: key exchange data not between 2 and p-2")]
    Range,
    /// A value outside of the subgroup of prime order (RFC 6989 section 2.2).
    #[error("KE payload: key exchange data not in the subgroup of prime order")]
    Subgroup,
    /// Coordinates that are no point of the curve (RFC 6989 section 2.3).
    #[error("KE payload: key exchange data is not a point of the curve")]
    NotOnCurve,
    /// A point of small order, which makes a secret of zeros (RFC 8031 section 3.2).
    #[error("KE payload: key exchange data of small order")]
    ZeroSecret,
}

/// A private value with its public value, for any number of agreements.
#[derive(Clone)]
pub struct DhPrivate {
    group: DhGroup,
    private: Private,
    public: Vec<u8>,
}

#[derive(Clone)]
enum Private {
    /// A short exponent; see [`DhGroup::private_len`].
    Modp(&'static dyn Exponentiate, Box<U448>),
    /// A key with its curve context, built once.
    Curve(Arc<agreement::PrivateKey>),
}

impl DhPrivate {
    /// A fresh private value.
    pub fn generate(group: DhGroup, rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 66];
        let bytes = &mut bytes[..group.private_len()];
        // Rejection keeps the value uniform (FIPS 186-5 appendix A.2.2). A second draw is needed about once in 2^32 for the
        // curves and safe primes, and about every other time for the subgroups of groups 23 and 24.
        loop {
            rng.fill_bytes(bytes);
            if group == DhGroup::Ecp521 {
                // 66 octets are seven bits longer than the order.
                bytes[0] &= 1;
            }
            if let Some(private) = Self::from_bytes(group, bytes) {
                return private;
            }
        }
    }

    /// The private value with these big-endian octets (little-endian for Curve25519, RFC 7748 section 5), as many as a
    /// private value of the group has. `None` for another length, for zero, and for one that is not below the order of the
    /// curve or subgroup.
    pub fn from_bytes(group: DhGroup, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != group.private_len() || bytes.iter().all(|&b| b == 0) {
            return None;
        }
        let (private, public) = match group {
            DhGroup::Ecp256 => curve(&agreement::ECDH_P256, bytes)?,
            DhGroup::Ecp384 => curve(&agreement::ECDH_P384, bytes)?,
            DhGroup::Ecp521 => curve(&agreement::ECDH_P521, bytes)?,
            DhGroup::Curve25519 => curve(&agreement::X25519, bytes)?,
            DhGroup::Modp1024
            | DhGroup::Modp1536
            | DhGroup::Modp2048
            | DhGroup::Modp3072
            | DhGroup::Modp4096
            | DhGroup::Modp6144
            | DhGroup::Modp8192
            | DhGroup::Modp1024Sub160
            | DhGroup::Modp2048Sub224
            | DhGroup::Modp2048Sub256 => modular(modp::group(group)?, bytes)?,
        };
        debug_assert_eq!(public.len(), group.public_len());
        Some(Self { group, private, public })
    }

    /// The group.
    pub fn group(&self) -> DhGroup {
        self.group
    }

    /// The Key Exchange Data to send.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The shared secret g^ir with the peer whose Key Exchange Data this is.
    pub fn agree(&self, peer_public: &[u8]) -> Result<Secret, DhError> {
        if peer_public.len() != self.group.public_len() {
            return Err(DhError::Length { expected: self.group.public_len(), actual: peer_public.len() });
        }
        match &self.private {
            Private::Modp(group, exponent) => group.agree(exponent, self.exponent_bits(), peer_public),
            Private::Curve(key) => {
                let mut point = [UNCOMPRESSED; 1 + 132];
                let point = &mut point[..1 + peer_public.len()];
                point[1..].copy_from_slice(peer_public);
                let (point, error) = match self.group {
                    DhGroup::Curve25519 => (&point[1..], DhError::ZeroSecret),
                    _ => (&*point, DhError::NotOnCurve),
                };
                let peer = agreement::UnparsedPublicKey::new(key.algorithm(), point);
                agreement::agree(key, peer, error, |shared| Ok(Secret::from(shared)))
            }
        }
    }

    fn exponent_bits(&self) -> u32 {
        8 * self.group.private_len() as u32
    }
}

/// A private value is known by its public one.
impl core::hash::Hash for DhPrivate {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.group.hash(state);
        self.public.hash(state);
    }
}

impl core::fmt::Debug for DhPrivate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DhPrivate").field("group", &self.group).finish_non_exhaustive()
    }
}

/// The tag of an uncompressed point (SEC 1 section 2.3.3), which RFC 5903 leaves out and the library wants.
const UNCOMPRESSED: u8 = 4;

fn curve(algorithm: &'static agreement::Algorithm, bytes: &[u8]) -> Option<(Private, Vec<u8>)> {
    let key = agreement::PrivateKey::from_private_key(algorithm, bytes).ok()?;
    let public = key.compute_public_key().ok()?;
    let skipped = usize::from(*algorithm != agreement::X25519);
    let coordinates = public.as_ref()[skipped..].to_vec();
    Some((Private::Curve(Arc::new(key)), coordinates))
}

fn modular(group: &'static dyn Exponentiate, bytes: &[u8]) -> Option<(Private, Vec<u8>)> {
    let mut padded = [0; U448::BYTES];
    padded[U448::BYTES - bytes.len()..].copy_from_slice(bytes);
    let exponent = U448::from_be_slice(&padded);
    let bits = 8 * bytes.len() as u32;
    group.is_private(&exponent).then(|| (Private::Modp(group, Box::new(exponent)), group.public(&exponent, bits)))
}

#[cfg(test)]
mod tests;
