//! Protection of one IKEv2 message: the Encrypted payload (RFC 7296 section 3.14, RFC 5282).
//!
//! ```text
//! | IKE header, payloads in clear, generic header of SK | IV | inner payloads | padding | pad length | ICV |
//! ```
//!
//! The fragment fields of an SKF payload (RFC 7383) are simply part of the header.

use core::ops::Range;

use rand_core::CryptoRng;

use super::Secret;
use super::suite::{Encryption, Integrity, OpenError, Protection, Suite};

/// Why an Encrypted payload was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SkError {
    /// It did not decrypt.
    #[error("SK payload: {0}")]
    Open(#[from] OpenError),
    /// Pad Length reaches beyond the payload.
    #[error("SK payload: pad length beyond the payload")]
    PadLength,
}

/// The keys of one direction of an IKE_SA: SK_e and SK_a, as bytes. Cipher contexts are built per message, because an
/// IKE_SA lives for hours and speaks for milliseconds.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SkKeys {
    suite: Suite,
    encryption: Secret,
    integrity: Secret,
    /// The next IV of AES-GCM: a counter never repeats (RFC 5282 section 3.1 with RFC 4106 section 3.1).
    next_iv: u64,
}

impl SkKeys {
    /// Octets of SK_ei (and SK_er), salt included.
    pub const fn encryption_key_len(suite: Suite) -> usize {
        Encryption::keymat_len(suite.encryption())
    }

    /// Octets of SK_ai (and SK_ar); 0 with an AEAD (RFC 5282 section 7.1).
    pub const fn integrity_key_len(suite: Suite) -> usize {
        Integrity::key_len(suite.integrity())
    }

    /// The keys of one direction.
    ///
    /// # Panics
    /// If a key has not its length.
    pub fn new(suite: Suite, encryption: Secret, integrity: Secret) -> Self {
        assert_eq!(encryption.len(), Self::encryption_key_len(suite));
        assert_eq!(integrity.len(), Self::integrity_key_len(suite));
        Self { suite, encryption, integrity, next_iv: 0 }
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// SK_e, for a key log.
    pub fn encryption_key(&self) -> &Secret {
        &self.encryption
    }

    /// SK_a, for a key log.
    pub fn integrity_key(&self) -> &Secret {
        &self.integrity
    }

    /// Octets from IV to ICV for `inner_len` octets of inner payloads: what the payload's length field counts besides
    /// its generic header.
    pub fn sealed_len(&self, inner_len: usize) -> usize {
        let encryption = self.suite.encryption();
        // Minimal padding: at least the Pad Length octet, up to the cipher's block.
        let text = (inner_len + 1).next_multiple_of(encryption.block_len());
        encryption.iv_len() + text + self.suite.icv_len()
    }

    /// Appends the sealed `inner` payloads to `message`, which holds everything up to and including the SK generic
    /// header, with all its length fields final (see [`SkKeys::sealed_len`]): they are authenticated.
    pub fn seal(&mut self, message: &mut Vec<u8>, inner: &[u8], rng: &mut impl CryptoRng) {
        let header_len = message.len();
        let iv_len = self.suite.encryption().iv_len();
        let end = header_len + self.sealed_len(inner.len());
        let text_end = end - self.suite.icv_len();
        message.resize(header_len + iv_len, 0);
        if self.suite.encryption().is_aead() {
            message[header_len..].copy_from_slice(&self.next_iv.to_be_bytes());
            self.next_iv += 1;
        } else {
            rng.fill_bytes(&mut message[header_len..]);
        }
        message.extend_from_slice(inner);
        let padding = text_end - message.len() - 1;
        message.resize(end, 0);
        message[text_end - 1] = padding as u8; // below the block length
        self.protection().seal(message, header_len);
    }

    /// Opens `message` in place and returns where its inner payloads are. `header_len` counts everything up to and
    /// including the SK generic header; the ICV ends the message (SK is always last, RFC 7296 section 3.14).
    pub fn open(&self, message: &mut [u8], header_len: usize) -> Result<Range<usize>, SkError> {
        let text = self.protection().open(message, header_len)?;
        let pad_length = *message[text.clone()].last().ok_or(SkError::PadLength)?;
        let inner_len = text.len().checked_sub(1 + usize::from(pad_length)).ok_or(SkError::PadLength)?;
        Ok(text.start..text.start + inner_len)
    }

    fn protection(&self) -> Protection {
        Protection::new(self.suite, &self.encryption, &self.integrity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;
    use crate::rng::{Purpose, Rng};

    /// A Delete payload for one ESP SPI.
    const INNER: &str = "0000000c03040001c0ffee00";

    fn keys(encryption: Encryption, integrity: Integrity) -> SkKeys {
        let suite = Suite::new(encryption, integrity).unwrap();
        let sk_e: Vec<u8> = (0..encryption.key_len() as u8).chain(0xf0..0xf0 + encryption.salt_len() as u8).collect();
        let sk_a: Vec<u8> = (0x40..0x40 + integrity.key_len() as u8).collect();
        SkKeys::new(suite, sk_e.into(), sk_a.into())
    }

    /// An INFORMATIONAL request whose SK payload has these octets after its generic header.
    fn header(sealed_len: usize) -> Vec<u8> {
        let mut header = hex("0102030405060708a1a2a3a4a5a6a7a82e20250800000002");
        header.extend_from_slice(&(32 + sealed_len as u32).to_be_bytes());
        header.extend_from_slice(&[42, 0]);
        header.extend_from_slice(&(4 + sealed_len as u16).to_be_bytes());
        header
    }

    /// The message was made with another implementation (OpenSSL through Python's `cryptography`): salt f0f1f2f3, IV 0,
    /// AAD the first 32 octets, text the payload and a Pad Length of 0.
    #[test]
    fn aes_gcm_message_of_another_implementation() {
        let mut rng = Rng::stream(1, "sk", Purpose::Test);
        let mut keys = keys(Encryption::AesGcm16_256, Integrity::None);
        let inner = hex(INNER);
        let mut message = header(keys.sealed_len(inner.len()));
        keys.seal(&mut message, &inner, &mut rng);
        assert_eq!(
            message,
            hex("0102030405060708a1a2a3a4a5a6a7a82e20250800000002000000452a000029
                 000000000000000091fc58143bad81d930e747b214906b85b0f31e92fb9aa5b9
                 954ce7c0fc")
        );
        let at = keys.open(&mut message, 32).unwrap();
        assert_eq!(message[at], inner);

        // The next message must not reuse the nonce.
        let mut next = header(keys.sealed_len(inner.len()));
        keys.seal(&mut next, &inner, &mut rng);
        assert_eq!(next[32..40], 1_u64.to_be_bytes());
    }

    /// Same source: AES-128-CBC with HMAC-SHA1-96, and one more block of padding than needed, which RFC 7296 section
    /// 3.14 tells a recipient to accept.
    #[test]
    fn aes_cbc_message_of_another_implementation() {
        let keys = keys(Encryption::AesCbc128, Integrity::HmacSha1_96);
        let mut message = hex("0102030405060708a1a2a3a4a5a6a7a82e202508000000020000005c2a000040
             808182838485868788898a8b8c8d8e8f4a21145ae6d3f713617fa5ac74b10ffc
             fe3fdca30e191d6927ace55920fa68608c246e9f8e7fb0775c73d0a9");
        let at = keys.open(&mut message, 32).unwrap();
        assert_eq!(message[at], hex(INNER));
    }

    #[test]
    fn inner_payloads_of_any_length_come_back() {
        let mut rng = Rng::stream(1, "sk", Purpose::Test);
        for (encryption, integrity) in [
            (Encryption::AesCbc256, Integrity::HmacSha2_256_128),
            (Encryption::AesCbc128, Integrity::HmacSha2_512_256),
            (Encryption::AesGcm16_128, Integrity::None),
        ] {
            let mut keys = keys(encryption, integrity);
            for len in 0..50 {
                let inner: Vec<u8> = (0..len).collect();
                let sealed_len = keys.sealed_len(inner.len());
                let mut message = header(sealed_len);
                keys.seal(&mut message, &inner, &mut rng);
                assert_eq!(message.len(), 32 + sealed_len);
                let at = keys.open(&mut message, 32).unwrap();
                assert_eq!(message[at], inner);
            }
        }
    }

    /// A peer that holds the keys can still send nonsense: a Pad Length longer than the text, or no text at all.
    #[test]
    fn padding_beyond_the_payload_is_refused() {
        let keys = keys(Encryption::AesGcm16_256, Integrity::None);
        for text in [&[][..], &[1], &[9; 9]] {
            let mut message = header(8 + text.len() + 16);
            message.extend_from_slice(&[0; 8]);
            message.extend_from_slice(text);
            message.extend_from_slice(&[0; 16]);
            keys.protection().seal(&mut message, 32);
            assert_eq!(keys.open(&mut message, 32), Err(SkError::PadLength));
        }
    }

    #[test]
    fn a_damaged_or_short_message_is_refused() {
        let keys = keys(Encryption::AesGcm16_256, Integrity::None);
        let mut message = header(8 + 1 + 16);
        message.extend_from_slice(&[0; 25]);
        keys.protection().seal(&mut message, 32);
        let cut = message.len() - 2;
        assert_eq!(keys.open(&mut message.clone()[..cut], 32), Err(SkError::Open(OpenError::Length)));
        message[17] ^= 1; // the IKE header is authenticated
        assert_eq!(keys.open(&mut message, 32), Err(SkError::Open(OpenError::BadIcv)));
    }
}
