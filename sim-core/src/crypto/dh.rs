//! Diffie-Hellman groups of IKEv2: MODP (RFC 2409, RFC 3526) and ECP (RFC 5903).
//!
//! Each end computes its own shared secret from what arrived on the wire, so a wrong peer yields a wrong key.
//!
//! Left out: the other groups that AWS lists (5, 15 to 18 and 21 to 24), and the q-order test of RFC 6989 section 2.2,
//! which concerns groups with small subgroups (22 to 24).

use std::sync::Arc;

use aws_lc_rs::agreement;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Encoding, U256, U1024, U2048, Uint};

use super::Secret;
use crate::rng::Rng;

/// A negotiable group (IANA "Transform Type 4").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum DhGroup {
    /// 1024-bit MODP (RFC 7296 appendix B.2).
    Modp1024 = 2,
    /// 2048-bit MODP (RFC 3526 section 3).
    Modp2048 = 14,
    /// 256-bit random ECP, NIST P-256 (RFC 5903 section 3.1).
    Ecp256 = 19,
    /// 384-bit random ECP, NIST P-384 (RFC 5903 section 3.2).
    Ecp384 = 20,
}

impl DhGroup {
    /// Every group, in the order of their transform IDs.
    pub const ALL: [Self; 4] = [Self::Modp1024, Self::Modp2048, Self::Ecp256, Self::Ecp384];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The group with this transform ID, if we have it.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.id() == id)
    }

    /// Security strength in bits (NIST SP 800-57 part 1, table 2).
    pub const fn strength_bits(self) -> u16 {
        match self {
            Self::Modp1024 => 80,
            Self::Modp2048 => 112,
            Self::Ecp256 => 128,
            Self::Ecp384 => 192,
        }
    }

    /// Octets of Key Exchange Data: the modulus (RFC 7296 section 3.4), or both coordinates (RFC 5903 section 7).
    pub const fn public_len(self) -> usize {
        match self {
            Self::Modp1024 => 128,
            Self::Modp2048 => 256,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
        }
    }

    /// Octets of the shared secret g^ir: the modulus (RFC 7296 section 2.14), or the x coordinate (RFC 5903 section 7).
    pub const fn shared_len(self) -> usize {
        match self {
            Self::Modp1024 => 128,
            Self::Modp2048 => 256,
            Self::Ecp256 => 32,
            Self::Ecp384 => 48,
        }
    }

    /// Octets of a private value. A MODP exponent of twice the group's strength loses nothing: group 14 is worth
    /// about 112 bits (SP 800-57 part 1 table 2), 224 bits of exponent (RFC 7919 appendix A.1 asks for 225, RFC 3526
    /// section 8 for 220 to 320); 256 covers it, and an exponent as long as the modulus would cost eight times as
    /// much.
    const fn private_len(self) -> usize {
        match self {
            Self::Modp1024 | Self::Modp2048 | Self::Ecp256 => 32,
            Self::Ecp384 => 48,
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
    /// Coordinates that are no point of the curve (RFC 6989 section 2.3).
    #[error("KE payload: key exchange data is not a point of the curve")]
    NotOnCurve,
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
    Modp(Box<U256>),
    /// A key with its curve context, built once.
    Ecp(Arc<agreement::PrivateKey>),
}

impl DhPrivate {
    /// A fresh private value.
    pub fn generate(group: DhGroup, rng: &mut Rng) -> Self {
        let mut bytes = [0; 48];
        let bytes = &mut bytes[..group.private_len()];
        // Rejection keeps the value uniform (FIPS 186-5 appendix A.2.2); a second draw is needed about once in 2^32.
        loop {
            rng.fill(bytes);
            if let Some(private) = Self::from_bytes(group, bytes) {
                return private;
            }
        }
    }

    /// The private value with these big-endian octets: 32, or 48 for [`DhGroup::Ecp384`]. `None` for another length,
    /// for zero, and for a scalar that is not below the order of the curve.
    pub fn from_bytes(group: DhGroup, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != group.private_len() || bytes.iter().all(|&b| b == 0) {
            return None;
        }
        let modp = || Private::Modp(Box::new(U256::from_be_slice(bytes)));
        let (private, public) = match group {
            DhGroup::Modp1024 => (modp(), GROUP2.public(&U256::from_be_slice(bytes))),
            DhGroup::Modp2048 => (modp(), GROUP14.public(&U256::from_be_slice(bytes))),
            DhGroup::Ecp256 => ecp(&agreement::ECDH_P256, bytes)?,
            DhGroup::Ecp384 => ecp(&agreement::ECDH_P384, bytes)?,
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
        match (&self.private, self.group) {
            (Private::Modp(exponent), DhGroup::Modp1024) => GROUP2.agree(exponent, peer_public),
            (Private::Modp(exponent), _) => GROUP14.agree(exponent, peer_public),
            (Private::Ecp(key), _) => {
                let mut point = [UNCOMPRESSED; 1 + 96];
                let point = &mut point[..1 + peer_public.len()];
                point[1..].copy_from_slice(peer_public);
                let peer = agreement::UnparsedPublicKey::new(key.algorithm(), &*point);
                agreement::agree(key, peer, DhError::NotOnCurve, |shared| Ok(Secret::from(shared)))
            }
        }
    }
}

impl core::fmt::Debug for DhPrivate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DhPrivate").field("group", &self.group).finish_non_exhaustive()
    }
}

/// The tag of an uncompressed point (SEC 1 section 2.3.3), which RFC 5903 leaves out and the library wants.
const UNCOMPRESSED: u8 = 4;

fn ecp(algorithm: &'static agreement::Algorithm, bytes: &[u8]) -> Option<(Private, Vec<u8>)> {
    let key = agreement::PrivateKey::from_private_key(algorithm, bytes).ok()?;
    let public = key.compute_public_key().ok()?;
    let coordinates = public.as_ref()[1..].to_vec();
    Some((Private::Ecp(Arc::new(key)), coordinates))
}

/// A MODP group with generator 2: what Montgomery multiplication needs, computed when this is compiled.
struct Modp<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    generator: FixedMontyForm<LIMBS>,
}

impl<const LIMBS: usize> Modp<LIMBS> {
    const fn new(prime: Uint<LIMBS>) -> Self {
        let prime = prime.to_odd().expect_copied("a prime above 2 is odd");
        let params = FixedMontyParams::new_vartime(prime);
        Self { generator: FixedMontyForm::new(&Uint::from_u8(2), &params), params }
    }
}

impl<const LIMBS: usize> Modp<LIMBS>
where
    Uint<LIMBS>: Encoding,
{
    fn public(&self, exponent: &U256) -> Vec<u8> {
        octets(&self.generator.pow(exponent))
    }

    fn agree(&self, exponent: &U256, peer_public: &[u8]) -> Result<Secret, DhError> {
        let peer = Uint::from_be_slice(peer_public);
        let last = self.params.modulus().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= last {
            return Err(DhError::Range);
        }
        let shared = FixedMontyForm::new(&peer, &self.params).pow(exponent);
        Ok(Secret(octets(&shared)))
    }
}

/// Big-endian octets, as many as the modulus has.
fn octets<const LIMBS: usize>(value: &FixedMontyForm<LIMBS>) -> Vec<u8>
where
    Uint<LIMBS>: Encoding,
{
    value.retrieve().to_be_bytes().as_ref().to_vec()
}

static GROUP2: Modp<{ U1024::LIMBS }> = Modp::new(U1024::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
)));

static GROUP14: Modp<{ U2048::LIMBS }> = Modp::new(U2048::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
)));

#[cfg(test)]
mod tests;
