//! AES-CBC alone, with an IV that the caller has: how IKEv1 encrypts its messages (RFC 2409 appendix B).
//!
//! Integrity is not part of it. IKEv1's messages carry a hash inside, and where they do not, nothing is authentic yet.

use super::suite::{Aes, Encryption};

/// Octets of a block, and of the IV.
pub const BLOCK: usize = 16;

/// Encrypts a text of whole blocks in place.
///
/// # Panics
/// If the cipher is an AEAD, the key has not its length, or the text is no multiple of [`BLOCK`].
pub fn encrypt(cipher: Encryption, key: &[u8], iv: &[u8; BLOCK], text: &mut [u8]) {
    assert!(text.len().is_multiple_of(BLOCK));
    aes(cipher, key).encrypt(iv, text);
}

/// Decrypts a text of whole blocks in place.
///
/// # Panics
/// As [`encrypt`].
pub fn decrypt(cipher: Encryption, key: &[u8], iv: &[u8; BLOCK], text: &mut [u8]) {
    assert!(text.len().is_multiple_of(BLOCK));
    aes(cipher, key).decrypt(iv, text);
}

fn aes(cipher: Encryption, key: &[u8]) -> Aes {
    assert!(!cipher.is_aead());
    Aes::new(cipher, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;

    fn both_ways(cipher: Encryption, key: &str, iv: &str, plain: &str, sealed: &str) {
        let iv: [u8; BLOCK] = hex(iv).try_into().unwrap();
        let mut text = hex(plain);
        encrypt(cipher, &hex(key), &iv, &mut text);
        assert_eq!(text, hex(sealed));
        decrypt(cipher, &hex(key), &iv, &mut text);
        assert_eq!(text, hex(plain));
    }

    /// RFC 3602 section 4, case 2: two blocks, 128-bit key.
    #[test]
    fn rfc_3602_case_2() {
        both_ways(
            Encryption::AesCbc128,
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        );
    }

    /// NIST SP 800-38A appendix F.2.5, the first two blocks: 256-bit key.
    #[test]
    fn sp_800_38a_f_2_5() {
        both_ways(
            Encryption::AesCbc256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        );
    }
}
