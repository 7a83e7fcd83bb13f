//! Cryptographic suites of IKE and ESP: thin compositions of libraries, no primitive of our own.
//!
//! | what | where | from |
//! |---|---|---|
//! | Diffie-Hellman groups | [`dh`] | `crypto-bigint` (MODP), `aws-lc-rs` (ECP, Curve25519) |
//! | key encapsulation | [`kem`] | `ml-kem` |
//! | a key exchange of either kind | [`exchange`] | [`dh`], [`kem`] |
//! | PRF and prf+ | [`prf`] | `hmac`, `sha1`, `sha2` |
//! | encryption and integrity of a message in place | [`suite`] | `aws-lc-rs` (AES-GCM), `aes`, `cbc`, [`mac`] |
//! | ICVs without encryption | [`mac`] | `hmac`, `sha1`, `sha2` |
//! | the Encrypted payload of IKEv2 | [`sk`] | [`suite`] |
//! | the encryption of IKEv1's messages | [`cbc`] | `aes`, `cbc` |
//! | signatures that are a function of key and message | [`signature`] | `p256`, `p384`, `rsa` |
//! | X.509 certificates | [`certificate`] | `x509-cert`, `rustls-webpki` |
//!
//! Randomness is always an argument, so that a world is a function of its seed. Keys live in [`Secret`], which prints
//! nothing. Secrets are not wiped from memory: they belong to a simulated world and a key log writes them out on
//! purpose.
//!
//! Left out: AES-192, AES-GCM with 8 and 12 octet ICVs, ChaCha20-Poly1305, AES-GMAC.

pub mod cbc;
pub mod certificate;
pub mod dh;
pub mod exchange;
pub mod kem;
pub mod mac;
pub mod prf;
pub mod signature;
pub mod sk;
pub mod suite;

use smallvec::SmallVec;

/// Octets of the longest key that is kept in place: a PRF-HMAC-SHA2-384 key. An IKE_SA has seven keys.
const IN_PLACE: usize = 48;

/// Key bytes. Reads as a byte slice; its `Debug` shows only the length.
#[derive(PartialEq, Eq, Default, Hash)]
pub struct Secret(SmallVec<[u8; IN_PLACE]>);

/// At once, where a [`SmallVec`] clones octet by octet.
impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::from(&self[..])
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= IN_PLACE { Self::from(&bytes[..]) } else { Self(bytes.into()) }
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

impl Secret {
    /// Two keys as one.
    fn joined(keys: [&[u8]; 2]) -> Self {
        let mut joined = Self::from(keys[0]);
        joined.0.extend_from_slice(keys[1]);
        joined
    }
}

impl core::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Secret({} octets)", self.0.len())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    /// The octets of a hexadecimal test vector; white space is skipped.
    pub fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16).expect("hexadecimal digit") as u8)
            .collect();
        assert!(digits.len().is_multiple_of(2));
        digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let shown = format!("{:?}", Secret::from(vec![0xAB, 0xCD, 0xEF]));
        assert_eq!(shown, "Secret(3 octets)");
    }
}
