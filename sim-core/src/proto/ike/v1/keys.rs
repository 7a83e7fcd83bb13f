//! Keys of IKEv1 with a pre-shared key or signatures: SKEYID and its children, the authenticating hashes, IVs and the encryption key of
//! phase 1, KEYMAT of phase 2 (RFC 2409 sections 5, 5.5 and appendix B).

use crate::crypto::cbc::{self, BLOCK};
use crate::crypto::prf::Prf;
use crate::crypto::sk::SkKeys;
use crate::crypto::{Secret, suite};
use crate::proto::ike::{DirectionKeys, EspSuite, IkeSuite};
use crate::wire::ike::HEADER_LEN;

/// The Protocol-Id of ESP, which is part of KEYMAT (RFC 2407 section 4.4.1).
const PROTO_IPSEC_ESP: u8 = 3;

/// An IV, and with it a place in a chain of messages.
pub(super) type Iv = [u8; BLOCK];

/// The keys of an ISAKMP SA.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub suite: IkeSuite,
    skeyid: Secret,
    skeyid_d: Secret,
    skeyid_a: Secret,
    /// The key of the cipher, cut or drawn out from SKEYID_e.
    pub encryption: Secret,
    /// The last ciphertext block of phase 1 so far; before the first, what appendix B starts with.
    pub chain: Iv,
}

/// What the keys are made of, the initiator's first in each pair.
pub(super) struct Ingredients<'a> {
    /// The pre-shared key; `None` with signatures.
    pub psk: Option<&'a [u8]>,
    pub nonces: (&'a [u8], &'a [u8]),
    pub publics: (&'a [u8], &'a [u8]),
    pub shared: &'a [u8],
    pub cookies: (u64, u64),
}

impl Keys {
    pub fn derive(suite: IkeSuite, from: &Ingredients<'_>) -> Self {
        let prf = suite.prf;
        let cookies = [from.cookies.0.to_be_bytes(), from.cookies.1.to_be_bytes()].concat();
        let skeyid = match from.psk {
            Some(psk) => prf.prf(psk, &[from.nonces.0, from.nonces.1]),
            None => prf.prf(&[from.nonces.0, from.nonces.1].concat(), &[from.shared]),
        };
        let skeyid_d = prf.prf(&skeyid, &[from.shared, &cookies, &[0]]);
        let skeyid_a = prf.prf(&skeyid, &[&skeyid_d, from.shared, &cookies, &[1]]);
        let skeyid_e = prf.prf(&skeyid, &[&skeyid_a, from.shared, &cookies, &[2]]);
        let len = suite.protection.encryption().key_len();
        let hash = prf.hash(&[from.publics.0, from.publics.1]);
        Self {
            suite,
            skeyid,
            skeyid_d,
            skeyid_a,
            encryption: drawn_out(prf, &skeyid_e, len),
            chain: first_block(&hash),
        }
    }

    /// HASH_I if `initiator`, else HASH_R, by the negotiated PRF or by that of a method of signing that is tied to one (RFC 2409
    /// section 5.1).
    pub fn authentication(
        &self,
        prf: Prf,
        initiator: bool,
        publics: (&[u8], &[u8]),
        cookies: (u64, u64),
        sa_body: &[u8],
        id_body: &[u8],
    ) -> Secret {
        let cookies = (cookies.0.to_be_bytes(), cookies.1.to_be_bytes());
        let [own, other] = if initiator { [publics.0, publics.1] } else { [publics.1, publics.0] };
        let (cky, cky_other) = if initiator { cookies } else { (cookies.1, cookies.0) };
        prf.prf(&self.skeyid, &[own, other, &cky, &cky_other, sa_body, id_body])
    }

    /// `prf(SKEYID_a, ...)`: HASH(1), HASH(2) and HASH(3) of phase 2 and Informational exchanges.
    pub fn hash(&self, parts: &[&[u8]]) -> Secret {
        self.suite.prf.prf(&self.skeyid_a, parts)
    }

    /// The IV of an exchange that follows phase 1 (appendix B).
    pub fn iv(&self, message_id: u32) -> Iv {
        first_block(&self.suite.prf.hash(&[&self.chain, &message_id.to_be_bytes()]))
    }

    /// Encrypts what is behind the header; `iv` becomes that of the next message.
    pub fn encrypt(&self, iv: &mut Iv, message: &mut [u8]) {
        let text = &mut message[HEADER_LEN..];
        cbc::encrypt(self.suite.protection.encryption(), &self.encryption, iv, text);
        *iv = last_block(text, iv);
    }

    /// Decrypts what is behind the header; `iv` becomes that of the next message. False if the text is not made of whole blocks.
    pub fn decrypt(&self, iv: &mut Iv, message: &mut [u8]) -> bool {
        let text = &mut message[HEADER_LEN..];
        if text.is_empty() || !text.len().is_multiple_of(BLOCK) {
            return false;
        }
        let next = last_block(text, iv);
        cbc::decrypt(self.suite.protection.encryption(), &self.encryption, iv, text);
        *iv = next;
        true
    }

    /// The keys of the ESP SA with this SPI, which is its receiver's; `shared` is the secret of Quick Mode's own key exchange.
    pub fn child(&self, suite: EspSuite, spi: u32, nonces: (&[u8], &[u8]), shared: Option<&[u8]>) -> DirectionKeys {
        let (e, a) = (SkKeys::encryption_key_len(suite.protection), SkKeys::integrity_key_len(suite.protection));
        let seed: [&[u8]; 5] = [shared.unwrap_or_default(), &[PROTO_IPSEC_ESP], &spi.to_be_bytes(), nonces.0, nonces.1];
        let mut material: Vec<u8> = Vec::new();
        let mut last = Secret::default();
        while material.len() < e + a {
            let parts: Vec<&[u8]> = core::iter::once(&last[..]).chain(seed).collect();
            last = self.suite.prf.prf(&self.skeyid_d, &parts);
            material.extend_from_slice(&last);
        }
        DirectionKeys { encryption: material[..e].into(), integrity: material[e..e + a].into() }
    }
}

/// Appendix B: SKEYID_e is cut to the length of the key, or drawn out if it is too short.
fn drawn_out(prf: Prf, skeyid_e: &Secret, len: usize) -> Secret {
    if skeyid_e.len() >= len {
        return skeyid_e[..len].into();
    }
    let mut material: Vec<u8> = Vec::new();
    let mut last = Secret::from(&[0u8][..]);
    while material.len() < len {
        last = prf.prf(skeyid_e, &[&last]);
        material.extend_from_slice(&last);
    }
    material[..len].into()
}

fn first_block(hash: &[u8]) -> Iv {
    core::array::from_fn(|i| hash[i])
}

fn last_block(text: &[u8], before: &Iv) -> Iv {
    text.last_chunk().copied().unwrap_or(*before)
}

/// The suite as [`IkeSuite`] has it: IKEv1 negotiates one hash, and the PRF is its HMAC (RFC 2409 section 4).
pub(super) fn integrity_of(prf: Prf) -> suite::Integrity {
    match prf {
        Prf::HmacSha1 => suite::Integrity::HmacSha1_96,
        Prf::HmacSha2_256 => suite::Integrity::HmacSha2_256_128,
        Prf::HmacSha2_384 => suite::Integrity::HmacSha2_384_192,
        Prf::HmacSha2_512 => suite::Integrity::HmacSha2_512_256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::dh::DhGroup;
    use crate::crypto::suite::{Encryption, Suite};
    use crate::crypto::testing::hex;

    const PUBLICS: (&[u8], &[u8]) = (&[0xaa; 8], &[0xbb; 8]);
    const COOKIES: (u64, u64) = (0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00);

    /// What Python's `hmac` and `hashlib` make of the formulas of RFC 2409 sections 5 and 5.5 and appendix B, written down a second
    /// time: key, first IV, IV of Message ID 0x01020304, HASH_I, HASH_R, `prf(SKEYID_a, "x")`, KEYMAT with PFS.
    fn agrees(prf: Prf, cipher: Encryption, expected: [&str; 7]) {
        let suite =
            IkeSuite { protection: Suite::new(cipher, integrity_of(prf)).unwrap(), prf, group: DhGroup::Modp1024 };
        let (ni, nr): (Vec<u8>, Vec<u8>) = ((0..16).collect(), (16..40).collect());
        let from = Ingredients {
            psk: Some(b"an.example_key"),
            nonces: (&ni, &nr),
            publics: PUBLICS,
            shared: &[0xcc; 8],
            cookies: COOKIES,
        };
        let keys = Keys::derive(suite, &from);
        let child = EspSuite::new(suite.protection, Some(DhGroup::Modp1024));
        let child = keys.child(child, 0xcafe_0001, (&ni, &nr), Some(&[0x55; 4]));
        let proof = |initiator| keys.authentication(prf, initiator, PUBLICS, COOKIES, b"SA", b"ID").to_vec();
        let ours = [
            keys.encryption.to_vec(),
            keys.chain.to_vec(),
            keys.iv(0x0102_0304).to_vec(),
            proof(true),
            proof(false),
            keys.hash(&[b"x"]).to_vec(),
            [&child.encryption[..], &child.integrity[..]].concat(),
        ];
        assert_eq!(ours, expected.map(hex));
    }

    /// A key of 32 octets is drawn out of a SKEYID_e of 20, and KEYMAT takes three rounds.
    #[test]
    fn sha1_with_aes_256() {
        agrees(
            Prf::HmacSha1,
            Encryption::AesCbc256,
            [
                "d04b2d85df07c14486128ae2ed9753e62589a5e912d8c3696bb9c3cea39c55f9",
                "c07e48eb2a75b56485af03099fd20078",
                "96801d7993b2fa34e597431f0b29cb56",
                "6f093fc8a3635dbcc9acfebaf7f3b6c6edc3e5ce",
                "e75163f63a778d28e0252c7035e958e5cf969a01",
                "346a9b8b94091be5b32ec71871dd2d0c90998d19",
                "6f71b139473ba68b6a4d316754da4a4813839cece9ae6de2f8a71966becd3b15
                 d21b697d66edf50d58b9688d1820c12239739270",
            ],
        );
    }

    /// A key of 16 octets is cut from a SKEYID_e of 32.
    #[test]
    fn sha256_with_aes_128() {
        agrees(
            Prf::HmacSha2_256,
            Encryption::AesCbc128,
            [
                "4a981235841102bf6f8750c5f3f58cb4",
                "bb4ae3faa8fb038f2c99d6db20a2e861",
                "fb59e3f146cb76dc15372acf51fc78bd",
                "b46cf955878418a2066ecff698f3b16dfa1b1ec2e3fc63303ea896f566bbb3ba",
                "379f38faa6cab649cce244fc35a6bd0a54ea668610e685c2e30f856e53ed07f2",
                "e8c3e24de1de20dbe6cf00390ab89fd7229f0c579adfbf2d6bc3ae38746f7b92",
                "5436fd1d6dd06fb82a5ea2ce73b068f1cced87fb208b5f96f3f8c9075b66642c
                 ea282480f8b41a8af75e00323f133399",
            ],
        );
    }
}
