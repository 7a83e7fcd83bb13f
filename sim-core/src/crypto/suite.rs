//! Encryption and integrity of a message in place, as IKEv2 and ESP both want it:
//!
//! ```text
//! | header | IV | text (encrypted) | ICV |
//! |<-- authenticated ------------->|
//! ```
//!
//! With AES-CBC the ICV is an HMAC over everything before it, computed after encryption (RFC 4303 section 3.3.2,
//! RFC 7296 section 3.14). With AES-GCM the header is the associated data and the nonce is `salt | IV` (RFC 4106
//! section 4, RFC 5282 section 4). The two protocols differ in what the header is, not in what is done.
//!
//! ESP with extended sequence numbers authenticates 32 bits that it does not send: behind the message with an HMAC
//! (RFC 4303 section 2.2.1), between SPI and Sequence Number with AES-GCM (RFC 4106 section 5).

use core::ops::Range;
use std::sync::{Arc, OnceLock};

use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit,
    consts::U16,
};
use aes::{Aes128, Aes256};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::Secret;
use super::mac::KeyedMac;
use crate::fetch::fetch;

/// A negotiable encryption algorithm with its key length (IANA "Transform Type 1").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encryption {
    /// ENCR_AES_CBC, 128-bit key (RFC 3602).
    AesCbc128,
    /// ENCR_AES_CBC, 256-bit key (RFC 3602).
    AesCbc256,
    /// ENCR_AES_GCM_16, 128-bit key (RFC 4106).
    AesGcm16_128,
    /// ENCR_AES_GCM_16, 256-bit key (RFC 4106).
    AesGcm16_256,
    /// ENCR_NULL: the text is in clear (RFC 2410). For ESP only, to look into packets.
    Null,
}

impl Encryption {
    /// Every algorithm that encrypts.
    pub const ALL: [Self; 4] = [Self::AesCbc128, Self::AesCbc256, Self::AesGcm16_128, Self::AesGcm16_256];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        match self {
            Self::AesCbc128 | Self::AesCbc256 => 12,
            Self::AesGcm16_128 | Self::AesGcm16_256 => 20,
            Self::Null => 11,
        }
    }

    /// The Key Length attribute, in bits; 0 for an algorithm that has none (RFC 7296 section 3.3.5).
    pub const fn key_bits(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::AesCbc128 | Self::AesGcm16_128 => 128,
            Self::AesCbc256 | Self::AesGcm16_256 => 256,
        }
    }

    /// The algorithm with this transform ID and Key Length attribute (0 without one), if we have it.
    pub fn from_id(id: u16, key_bits: u16) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Null]).find(|e| e.id() == id && e.key_bits() == key_bits)
    }

    /// True if it protects integrity as well.
    pub const fn is_aead(self) -> bool {
        match self {
            Self::AesCbc128 | Self::AesCbc256 | Self::Null => false,
            Self::AesGcm16_128 | Self::AesGcm16_256 => true,
        }
    }

    /// Octets of the cipher key, without salt.
    pub const fn key_len(self) -> usize {
        self.key_bits() as usize / 8
    }

    /// Octets of salt behind the key in the keying material (RFC 4106 section 8.1).
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 4 } else { 0 }
    }

    /// Octets of keying material: key and salt.
    pub const fn keymat_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// Octets of IV in each message.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::AesCbc128 | Self::AesCbc256 => 16,
            Self::AesGcm16_128 | Self::AesGcm16_256 => 8,
            Self::Null => 0,
        }
    }

    /// The length of a text must be a multiple of this.
    pub const fn block_len(self) -> usize {
        match self {
            Self::AesCbc128 | Self::AesCbc256 => 16,
            Self::AesGcm16_128 | Self::AesGcm16_256 | Self::Null => 1,
        }
    }
}

/// A negotiable integrity algorithm (IANA "Transform Type 3").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum Integrity {
    /// None: the encryption is an AEAD.
    None = 0,
    /// AUTH_HMAC_SHA1_96 (RFC 2404).
    HmacSha1_96 = 2,
    /// AUTH_HMAC_SHA2_256_128 (RFC 4868).
    HmacSha2_256_128 = 12,
    /// AUTH_HMAC_SHA2_384_192 (RFC 4868).
    HmacSha2_384_192 = 13,
    /// AUTH_HMAC_SHA2_512_256 (RFC 4868).
    HmacSha2_512_256 = 14,
}

impl Integrity {
    /// Every algorithm, in the order of their transform IDs.
    pub const ALL: [Self; 5] =
        [Self::None, Self::HmacSha1_96, Self::HmacSha2_256_128, Self::HmacSha2_384_192, Self::HmacSha2_512_256];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The algorithm with this transform ID, if we have it.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|i| i.id() == id)
    }

    /// Octets of the key: the length of the hash (RFC 2404 section 3, RFC 4868 section 2.1.1).
    pub const fn key_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1_96 => 20,
            Self::HmacSha2_256_128 => 32,
            Self::HmacSha2_384_192 => 48,
            Self::HmacSha2_512_256 => 64,
        }
    }

    /// Octets of the ICV; 0 where the encryption has one of its own.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacSha1_96 => 12,
            Self::HmacSha2_256_128 => 16,
            Self::HmacSha2_384_192 => 24,
            Self::HmacSha2_512_256 => 32,
        }
    }
}

/// An encryption and an integrity algorithm that go together: an AEAD stands alone (RFC 5282 section 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Suite {
    encryption: Encryption,
    integrity: Integrity,
}

impl Suite {
    /// The pair, unless it lacks integrity or has it twice.
    pub fn new(encryption: Encryption, integrity: Integrity) -> Option<Self> {
        (encryption.is_aead() == (integrity == Integrity::None)).then_some(Self { encryption, integrity })
    }

    /// The encryption algorithm.
    pub const fn encryption(self) -> Encryption {
        self.encryption
    }

    /// The integrity algorithm.
    pub const fn integrity(self) -> Integrity {
        self.integrity
    }

    /// Octets of ICV in each message.
    pub const fn icv_len(self) -> usize {
        if self.encryption.is_aead() { 16 } else { self.integrity.icv_len() }
    }
}

/// Why a message was not opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Too short for IV and ICV, or the text is no multiple of the cipher's block.
    #[error("encrypted text: the length does not fit the cipher")]
    Length,
    /// The ICV did not verify.
    #[error("ICV: did not verify")]
    BadIcv,
}

/// A suite with its keys, ready for any number of messages. Cloning shares the key schedules, which are made when the first
/// message wants them: many an SA is replaced before it has carried a packet.
#[derive(Clone)]
pub struct Protection(Arc<Inner>);

struct Inner {
    suite: Suite,
    /// Of encryption, with its salt, and of integrity.
    keys: Secret,
    cipher: OnceLock<Cipher>,
}

enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; 4] },
    Cbc(Box<Cbc>),
    Null(Box<KeyedMac>),
}

struct Cbc {
    aes: Aes,
    mac: KeyedMac,
}

pub(super) enum Aes {
    Aes128(Aes128),
    Aes256(Aes256),
}

impl Inner {
    fn cipher(&self) -> &Cipher {
        self.cipher.get_or_init(|| self.prepared())
    }

    #[cold]
    fn prepared(&self) -> Cipher {
        let (encryption, integrity) = (self.suite.encryption, self.suite.integrity);
        let (encryption_key, integrity_key) = self.keys.split_at(encryption.keymat_len());
        let (key, salt) = encryption_key.split_at(encryption.key_len());
        let gcm = |algorithm| Cipher::Gcm {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).expect(KEY_LENGTH)),
            salt: salt.try_into().expect(KEY_LENGTH),
        };
        let mac = || KeyedMac::new(integrity, integrity_key);
        match encryption {
            Encryption::AesGcm16_128 => gcm(&AES_128_GCM),
            Encryption::AesGcm16_256 => gcm(&AES_256_GCM),
            Encryption::AesCbc128 | Encryption::AesCbc256 => {
                Cipher::Cbc(Box::new(Cbc { aes: Aes::new(encryption, key), mac: mac() }))
            }
            Encryption::Null => Cipher::Null(Box::new(mac())),
        }
    }
}

impl Protection {
    /// Fetches what a packet will touch, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        if depth == 3 {
            return fetch(&*self.0);
        }
        match self.0.cipher.get() {
            Some(Cipher::Cbc(cbc)) => {
                fetch(&cbc.aes);
                fetch(&cbc.mac);
            }
            Some(Cipher::Gcm { key, .. }) => fetch(key),
            Some(Cipher::Null(mac)) => fetch(&**mac),
            None => {}
        }
    }

    /// Takes the keys. `encryption_key` is key and salt, as cut from the keying material.
    ///
    /// # Panics
    /// If a key has not the length that the suite asks for: keys are cut by [`Encryption::keymat_len`] and
    /// [`Integrity::key_len`], never taken from a peer.
    pub fn new(suite: Suite, encryption_key: &[u8], integrity_key: &[u8]) -> Self {
        assert_eq!(encryption_key.len(), suite.encryption.keymat_len());
        assert_eq!(integrity_key.len(), suite.integrity.key_len());
        let keys = Secret::joined([encryption_key, integrity_key]);
        Self(Arc::new(Inner { suite, keys, cipher: OnceLock::new() }))
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.0.suite
    }

    /// Encrypts the text of `message` and writes its ICV. The caller has laid out `header | IV | text | room for the
    /// ICV` with a header of `header_len` octets; the IV is never used twice with AES-GCM, unpredictable with
    /// AES-CBC.
    ///
    /// # Panics
    /// If the text is not a multiple of [`Encryption::block_len`] or there is no room.
    pub fn seal(&self, message: &mut [u8], header_len: usize) {
        self.seal_extended(message, header_len, None);
    }

    /// The same for ESP, whose header is SPI and Sequence Number; `high` is the part of an extended sequence number that is
    /// authenticated and not sent.
    ///
    /// # Panics
    /// As [`Protection::seal`].
    pub fn seal_extended(&self, message: &mut [u8], header_len: usize, high: Option<u32>) {
        let suite = self.0.suite;
        let icv_at = message.len() - suite.icv_len();
        let text_at = header_len + suite.encryption.iv_len();
        assert!((icv_at - text_at).is_multiple_of(suite.encryption.block_len()));
        match self.0.cipher() {
            Cipher::Gcm { key, salt } => {
                let (aad, rest) = message.split_at_mut(header_len);
                let (iv, rest) = rest.split_at_mut(8);
                let (text, icv) = rest.split_at_mut(icv_at - text_at);
                let mut extended = [0; 12];
                let tag = key
                    .seal_in_place_separate_tag(nonce(salt, iv), associated(aad, high, &mut extended), text)
                    .expect("AES-GCM seals every text below 64 GiB");
                icv.copy_from_slice(tag.as_ref());
            }
            Cipher::Cbc(cbc) => {
                let (iv, text) = message[header_len..icv_at].split_at_mut(16);
                cbc.aes.encrypt(iv, text);
                let (authenticated, icv) = message.split_at_mut(icv_at);
                cbc.mac.sign(authenticated, high, icv);
            }
            Cipher::Null(mac) => {
                let (authenticated, icv) = message.split_at_mut(icv_at);
                mac.sign(authenticated, high, icv);
            }
        }
    }

    /// Verifies the ICV of `message` and decrypts its text, whose place it returns. `message` is what
    /// [`Protection::seal`] makes. If it does not open, the text is unspecified.
    pub fn open(&self, message: &mut [u8], header_len: usize) -> Result<Range<usize>, OpenError> {
        self.open_extended(message, header_len, None)
    }

    /// The same for what [`Protection::seal_extended`] makes.
    pub fn open_extended(
        &self,
        message: &mut [u8],
        header_len: usize,
        high: Option<u32>,
    ) -> Result<Range<usize>, OpenError> {
        let suite = self.0.suite;
        let text_at = header_len + suite.encryption.iv_len();
        let icv_at = message
            .len()
            .checked_sub(suite.icv_len())
            .filter(|&icv_at| icv_at >= text_at)
            .filter(|&icv_at| (icv_at - text_at).is_multiple_of(suite.encryption.block_len()))
            .ok_or(OpenError::Length)?;
        match self.0.cipher() {
            Cipher::Gcm { key, salt } => {
                let (aad, rest) = message.split_at_mut(header_len);
                let (iv, sealed) = rest.split_at_mut(8);
                let mut extended = [0; 12];
                let aad = associated(aad, high, &mut extended);
                key.open_in_place(nonce(salt, iv), aad, sealed).map_err(|_| OpenError::BadIcv)?;
            }
            Cipher::Cbc(cbc) => {
                let (authenticated, icv) = message.split_at_mut(icv_at);
                if !cbc.mac.verifies(authenticated, high, icv) {
                    return Err(OpenError::BadIcv);
                }
                let (iv, text) = authenticated[header_len..].split_at_mut(16);
                cbc.aes.decrypt(iv, text);
            }
            Cipher::Null(mac) => {
                let (authenticated, icv) = message.split_at_mut(icv_at);
                if !mac.verifies(authenticated, high, icv) {
                    return Err(OpenError::BadIcv);
                }
            }
        }
        Ok(text_at..icv_at)
    }
}

impl core::fmt::Debug for Protection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Protection").field("suite", &self.0.suite).finish_non_exhaustive()
    }
}

const KEY_LENGTH: &str = "the keys have the lengths of their suite";

fn nonce(salt: &[u8; 4], iv: &[u8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..4].copy_from_slice(salt);
    nonce[4..].copy_from_slice(iv);
    Nonce::assume_unique_for_key(nonce)
}

/// The associated data: the header, with the high part of an extended sequence number in its place (RFC 4106 section 5).
fn associated<'a>(header: &'a [u8], high: Option<u32>, extended: &'a mut [u8; 12]) -> Aad<&'a [u8]> {
    let Some(high) = high else { return Aad::from(header) };
    extended[..4].copy_from_slice(&header[..4]);
    extended[4..8].copy_from_slice(&high.to_be_bytes());
    extended[8..].copy_from_slice(&header[4..]);
    Aad::from(&extended[..])
}

impl Aes {
    /// The block cipher under an algorithm, by the length of its key.
    pub(super) fn new(cipher: Encryption, key: &[u8]) -> Self {
        match cipher {
            Encryption::AesCbc128 | Encryption::AesGcm16_128 => {
                Self::Aes128(Aes128::new_from_slice(key).expect(KEY_LENGTH))
            }
            Encryption::AesCbc256 | Encryption::AesGcm16_256 => {
                Self::Aes256(Aes256::new_from_slice(key).expect(KEY_LENGTH))
            }
            Encryption::Null => unreachable!("NULL has no block cipher"),
        }
    }

    pub(super) fn encrypt(&self, iv: &[u8], text: &mut [u8]) {
        fn cbc<C: BlockCipherEncrypt<BlockSize = U16>>(aes: &C, iv: &[u8], text: &mut [u8]) {
            let iv = Array::try_from(iv).expect("an IV of one block");
            let (blocks, _) = Array::slice_as_chunks_mut(text);
            cbc::Encryptor::inner_iv_init(aes, &iv).encrypt_blocks(blocks);
        }
        match self {
            Self::Aes128(aes) => cbc(aes, iv, text),
            Self::Aes256(aes) => cbc(aes, iv, text),
        }
    }

    pub(super) fn decrypt(&self, iv: &[u8], text: &mut [u8]) {
        fn cbc<C: BlockCipherDecrypt<BlockSize = U16>>(aes: &C, iv: &[u8], text: &mut [u8]) {
            let iv = Array::try_from(iv).expect("an IV of one block");
            let (blocks, _) = Array::slice_as_chunks_mut(text);
            cbc::Decryptor::inner_iv_init(aes, &iv).decrypt_blocks(blocks);
        }
        match self {
            Self::Aes128(aes) => cbc(aes, iv, text),
            Self::Aes256(aes) => cbc(aes, iv, text),
        }
    }
}

#[cfg(test)]
mod tests;
