//! Modular exponentiation: groups modulo a safe prime (RFC 2409, RFC 3526), and those with a subgroup of prime order
//! (RFC 5114).

use std::sync::LazyLock;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Encoding, U448, U1024, U1536, U2048, U3072, U4096, U6144, U8192, Uint};

use super::primes::*;
use super::{DhError, DhGroup, Secret};

/// A group whose size is forgotten, so that all share one way in.
pub(super) trait Exponentiate: Send + Sync {
    /// True if it may be a private value here: not zero, and below the order of a subgroup.
    fn is_private(&self, exponent: &U448) -> bool;

    /// g^exponent, where the exponent has at most so many bits.
    fn public(&self, exponent: &U448, bits: u32) -> Vec<u8>;

    /// peer^exponent, after the peer's value was checked.
    fn agree(&self, exponent: &U448, bits: u32, peer_public: &[u8]) -> Result<Secret, DhError>;
}

/// The group, if it is one of modular exponentiation.
pub(super) fn group(group: DhGroup) -> Option<&'static dyn Exponentiate> {
    let group: &'static dyn Exponentiate = match group {
        DhGroup::Modp1024 => &*GROUP2,
        DhGroup::Modp1536 => &*GROUP5,
        DhGroup::Modp2048 => &*GROUP14,
        DhGroup::Modp3072 => &*GROUP15,
        DhGroup::Modp4096 => &*GROUP16,
        DhGroup::Modp6144 => &*GROUP17,
        DhGroup::Modp8192 => &*GROUP18,
        DhGroup::Modp1024Sub160 => &*GROUP22,
        DhGroup::Modp2048Sub224 => &*GROUP23,
        DhGroup::Modp2048Sub256 => &*GROUP24,
        DhGroup::Ecp256 | DhGroup::Ecp384 | DhGroup::Ecp521 | DhGroup::Curve25519 => return None,
    };
    Some(group)
}

static GROUP2: LazyLock<Modp<{ U1024::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_1024));
static GROUP5: LazyLock<Modp<{ U1536::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_1536));
static GROUP14: LazyLock<Modp<{ U2048::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_2048));
static GROUP15: LazyLock<Modp<{ U3072::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_3072));
static GROUP16: LazyLock<Modp<{ U4096::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_4096));
static GROUP17: LazyLock<Modp<{ U6144::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_6144));
static GROUP18: LazyLock<Modp<{ U8192::LIMBS }>> = LazyLock::new(|| Modp::safe(PRIME_8192));
static GROUP22: LazyLock<Modp<{ U1024::LIMBS }>> =
    LazyLock::new(|| Modp::with_subgroup(PRIME_1024_160, GENERATOR_1024_160, ORDER_1024_160));
static GROUP23: LazyLock<Modp<{ U2048::LIMBS }>> =
    LazyLock::new(|| Modp::with_subgroup(PRIME_2048_224, GENERATOR_2048_224, ORDER_2048_224));
static GROUP24: LazyLock<Modp<{ U2048::LIMBS }>> =
    LazyLock::new(|| Modp::with_subgroup(PRIME_2048_256, GENERATOR_2048_256, ORDER_2048_256));

/// What Montgomery multiplication modulo a prime needs, computed once.
struct Modp<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    generator: FixedMontyForm<LIMBS>,
    /// The order of the subgroup that the generator makes, with its bits. A safe prime has none to speak of: half of all
    /// values are in its large subgroup, and the others give one bit away.
    order: Option<(U448, u32)>,
}

impl<const LIMBS: usize> Modp<LIMBS> {
    fn safe(prime: &str) -> Self {
        Self::new(Uint::from_be_hex(prime), &Uint::from_u8(2), None)
    }

    fn with_subgroup(prime: &str, generator: &str, order: &str) -> Self {
        let bits = 4 * order.len() as u32;
        let order = U448::from_be_hex(&format!("{order:0>width$}", width = U448::BYTES * 2));
        Self::new(Uint::from_be_hex(prime), &Uint::from_be_hex(generator), Some((order, bits)))
    }

    fn new(prime: Uint<LIMBS>, generator: &Uint<LIMBS>, order: Option<(U448, u32)>) -> Self {
        let prime = prime.to_odd().expect_copied("a prime above 2 is odd");
        let params = FixedMontyParams::new_vartime(prime);
        Self { generator: FixedMontyForm::new(generator, &params), params, order }
    }
}

impl<const LIMBS: usize> Exponentiate for Modp<LIMBS>
where
    Uint<LIMBS>: Encoding,
{
    fn is_private(&self, exponent: &U448) -> bool {
        *exponent != U448::ZERO && self.order.is_none_or(|(order, _)| *exponent < order)
    }

    fn public(&self, exponent: &U448, bits: u32) -> Vec<u8> {
        octets(&self.generator.pow_bounded_exp(exponent, bits))
    }

    fn agree(&self, exponent: &U448, bits: u32, peer_public: &[u8]) -> Result<Secret, DhError> {
        let peer = Uint::from_be_slice(peer_public);
        let last = self.params.modulus().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= last {
            return Err(DhError::Range);
        }
        let peer = FixedMontyForm::new(&peer, &self.params);
        if let Some((order, order_bits)) = &self.order
            && peer.pow_bounded_exp(order, *order_bits).retrieve() != Uint::ONE
        {
            return Err(DhError::Subgroup);
        }
        Ok(octets(&peer.pow_bounded_exp(exponent, bits)).into())
    }
}

/// Big-endian octets, as many as the modulus has.
fn octets<const LIMBS: usize>(value: &FixedMontyForm<LIMBS>) -> Vec<u8>
where
    Uint<LIMBS>: Encoding,
{
    value.retrieve().to_be_bytes().as_ref().to_vec()
}
