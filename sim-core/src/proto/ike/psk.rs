//! A pre-shared key, and what IKEv2 makes of it before it is used.

use std::sync::OnceLock;

use crate::crypto::Secret;
use crate::crypto::prf::Prf;

/// What mixes into AUTH so that a pre-shared key is never used as it is (RFC 7296 section 2.15).
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// A pre-shared key. Reads as a byte slice.
#[derive(Clone)]
pub struct Psk {
    octets: Secret,
    /// An end keeps what it uses with every handshake and for both ends' AUTH, for the first PRF that it met.
    padded: OnceLock<(Prf, Secret)>,
}

impl Psk {
    /// prf(PSK, "Key Pad for IKEv2"), the key of AUTH (RFC 7296 section 2.15).
    pub fn padded(&self, prf: Prf) -> Secret {
        let pad = || prf.prf(&self.octets, &[KEY_PAD]);
        let (of, padded) = self.padded.get_or_init(|| (prf, pad()));
        if *of == prf { padded.clone() } else { pad() }
    }
}

impl From<&[u8]> for Psk {
    fn from(octets: &[u8]) -> Self {
        Self { octets: octets.into(), padded: OnceLock::new() }
    }
}

impl core::ops::Deref for Psk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets
    }
}

impl PartialEq for Psk {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Psk {}

impl core::fmt::Debug for Psk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.octets.fmt(f)
    }
}
