//! The HMACs whose heads are ICVs (RFC 2404, RFC 4868), keyed and ready for any number of messages.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::suite::Integrity;

/// An integrity algorithm with its key.
#[derive(Clone)]
pub struct KeyedMac(Keyed);

#[derive(Clone)]
enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl KeyedMac {
    /// Prepares the key.
    ///
    /// # Panics
    /// With [`Integrity::None`], which has no HMAC.
    pub fn new(integrity: Integrity, key: &[u8]) -> Self {
        const ANY_KEY: &str = "HMAC takes keys of any length";
        Self(match integrity {
            Integrity::None => unreachable!("what has no HMAC is not keyed"),
            Integrity::HmacSha1_96 => Keyed::Sha1(Hmac::new_from_slice(key).expect(ANY_KEY)),
            Integrity::HmacSha2_256_128 => Keyed::Sha256(Hmac::new_from_slice(key).expect(ANY_KEY)),
            Integrity::HmacSha2_384_192 => Keyed::Sha384(Hmac::new_from_slice(key).expect(ANY_KEY)),
            Integrity::HmacSha2_512_256 => Keyed::Sha512(Hmac::new_from_slice(key).expect(ANY_KEY)),
        })
    }

    /// Fills `icv` with the head of the HMAC over `message` and, behind it, the high part of an extended sequence number
    /// (RFC 4303 section 2.2.1, RFC 4302 section 2.5.1).
    ///
    /// # Panics
    /// If the HMAC is shorter than `icv`.
    pub fn sign(&self, message: &[u8], high: Option<u32>, icv: &mut [u8]) {
        icv.copy_from_slice(&self.tag(message, high)[..icv.len()]);
    }

    /// True if `icv` is what [`KeyedMac::sign`] makes of the same message. Takes the same time wherever they differ.
    pub fn verifies(&self, message: &[u8], high: Option<u32>, icv: &[u8]) -> bool {
        self.tag(message, high)[..icv.len()].ct_eq(icv).into()
    }

    /// The whole HMAC, left-aligned.
    fn tag(&self, message: &[u8], high: Option<u32>) -> [u8; 64] {
        fn finish<M: Mac + Clone>(keyed: &M, message: &[u8], high: Option<u32>) -> [u8; 64] {
            let mut mac = keyed.clone();
            mac.update(message);
            if let Some(high) = high {
                mac.update(&high.to_be_bytes());
            }
            let mut tag = [0; 64];
            tag[..M::output_size()].copy_from_slice(&mac.finalize().into_bytes());
            tag
        }
        match &self.0 {
            Keyed::Sha1(keyed) => finish(keyed, message, high),
            Keyed::Sha256(keyed) => finish(keyed, message, high),
            Keyed::Sha384(keyed) => finish(keyed, message, high),
            Keyed::Sha512(keyed) => finish(keyed, message, high),
        }
    }
}

impl core::fmt::Debug for KeyedMac {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KeyedMac").finish_non_exhaustive()
    }
}
