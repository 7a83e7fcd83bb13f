//! Pseudorandom functions of IKE: HMAC, the hash under it, and prf+ for as much keying material as is wanted (RFC 7296
//! section 2.13).

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use super::Secret;

/// A negotiable PRF (IANA "Transform Type 2").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum Prf {
    /// PRF_HMAC_SHA1 (RFC 2104).
    HmacSha1 = 2,
    /// PRF_HMAC_SHA2_256 (RFC 4868).
    HmacSha2_256 = 5,
    /// PRF_HMAC_SHA2_384 (RFC 4868).
    HmacSha2_384 = 6,
    /// PRF_HMAC_SHA2_512 (RFC 4868).
    HmacSha2_512 = 7,
}

impl Prf {
    /// Every PRF, in the order of their transform IDs.
    pub const ALL: [Self; 4] = [Self::HmacSha1, Self::HmacSha2_256, Self::HmacSha2_384, Self::HmacSha2_512];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// The PRF with this transform ID, if we have it.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|prf| prf.id() == id)
    }

    /// Octets of output.
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha2_256 => 32,
            Self::HmacSha2_384 => 48,
            Self::HmacSha2_512 => 64,
        }
    }

    /// Octets of its preferred key, hence of SK_d, SK_pi and SK_pr. For HMAC that is the length of the output
    /// (RFC 7296 section 2.13, RFC 4868 section 2.1.2); any other length works as well.
    pub const fn key_len(self) -> usize {
        self.output_len()
    }

    /// `prf(key, parts[0] | parts[1] | ...)`.
    pub fn prf(self, key: &[u8], parts: &[&[u8]]) -> Secret {
        match self {
            Self::HmacSha1 => prf::<Hmac<Sha1>>(key, parts),
            Self::HmacSha2_256 => prf::<Hmac<Sha256>>(key, parts),
            Self::HmacSha2_384 => prf::<Hmac<Sha384>>(key, parts),
            Self::HmacSha2_512 => prf::<Hmac<Sha512>>(key, parts),
        }
    }

    /// The hash function under the HMAC, over `parts[0] | parts[1] | ...`. IKEv1 negotiates that, and its PRF is the HMAC of
    /// it (RFC 2409 section 4).
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::HmacSha1 => hash::<Sha1>(parts),
            Self::HmacSha2_256 => hash::<Sha256>(parts),
            Self::HmacSha2_384 => hash::<Sha384>(parts),
            Self::HmacSha2_512 => hash::<Sha512>(parts),
        }
    }

    /// The first `len` octets of `prf+(key, seed[0] | seed[1] | ...)`.
    ///
    /// # Panics
    /// If `len` exceeds 255 outputs, beyond which RFC 7296 section 2.13 leaves prf+ undefined.
    pub fn prf_plus(self, key: &[u8], seed: &[&[u8]], len: usize) -> Secret {
        match self {
            Self::HmacSha1 => prf_plus::<Hmac<Sha1>>(key, seed, len),
            Self::HmacSha2_256 => prf_plus::<Hmac<Sha256>>(key, seed, len),
            Self::HmacSha2_384 => prf_plus::<Hmac<Sha384>>(key, seed, len),
            Self::HmacSha2_512 => prf_plus::<Hmac<Sha512>>(key, seed, len),
        }
    }
}

/// HMAC takes a key of any length (RFC 2104 section 2).
fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect("HMAC accepts every key length")
}

fn prf<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Secret {
    let mut mac: M = keyed(key);
    for part in parts {
        mac.update(part);
    }
    Secret::from(&mac.finalize().into_bytes()[..])
}

fn hash<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

fn prf_plus<M: Mac + KeyInit + Clone>(key: &[u8], seed: &[&[u8]], len: usize) -> Secret {
    let keyed: M = keyed(key);
    let mut out = Vec::with_capacity(len.next_multiple_of(M::output_size()));
    let mut previous = 0..0;
    for number in 1..=len.div_ceil(M::output_size()) {
        let mut mac = keyed.clone();
        mac.update(&out[previous]);
        for part in seed {
            mac.update(part);
        }
        mac.update(&[u8::try_from(number).expect("prf+ has at most 255 blocks")]);
        previous = out.len()..out.len() + M::output_size();
        out.extend_from_slice(&mac.finalize().into_bytes());
    }
    out.truncate(len);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::hex;

    /// RFC 4231 section 4.3 (SHA-2) and RFC 2202 section 3 (SHA-1), test case 2: a key shorter than the output.
    #[test]
    fn hmac_with_a_short_key() {
        for (prf, expected) in [
            (Prf::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Prf::HmacSha2_256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Prf::HmacSha2_384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e
                 8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Prf::HmacSha2_512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
            assert_eq!(*prf.prf(b"Jefe", &parts), *hex(expected), "{prf:?}");
            assert_eq!(prf.output_len(), hex(expected).len());
        }
    }

    /// RFC 4231 section 4.7, test case 6: a 131-octet key, longer than any block, is hashed first.
    #[test]
    fn hmac_with_a_key_longer_than_a_block() {
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        for (prf, expected) in [
            (Prf::HmacSha2_256, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
            (
                Prf::HmacSha2_384,
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6
                 0c2ef6ab4030fe8296248df163f44952",
            ),
            (
                Prf::HmacSha2_512,
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            assert_eq!(*prf.prf(&[0xaa; 131], &[message]), *hex(expected));
        }
        // RFC 2202 section 3, test case 6 is the same idea with an 80-octet key.
        assert_eq!(*Prf::HmacSha1.prf(&[0xaa; 80], &[message]), *hex("aa4ae5e15272d00e95705637ce8a3b55ed402112"));
    }

    /// NIST CAVP, SP 800-135 KDF validation, IKEv2 with SHA-1: SKEYSEED, the 132 octets of SK_*, KEYMAT of a CHILD_SA, and
    /// the SKEYSEED of a rekeyed IKE_SA (RFC 7296 sections 2.14, 2.17 and 2.18).
    #[test]
    fn ikev2_key_derivation_cavp() {
        let (ni, nr) = (hex("32b50d5f4a3763f3"), hex("9206a04b26564cb1"));
        let (spi_i, spi_r) = (hex("34c9e7c188868785"), hex("3ff77d760d2b2199"));
        let shared = hex("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52");
        let prf = Prf::HmacSha1;

        let skeyseed = prf.prf(&[ni.clone(), nr.clone()].concat(), &[&shared]);
        assert_eq!(*skeyseed, *hex("a9a7b222b59f8f48645f28a1db5b5f5d7479cba7"));

        let keys = prf.prf_plus(&skeyseed, &[&ni, &nr, &spi_i, &spi_r], 132);
        assert_eq!(
            *keys,
            *hex("a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002
                 a2a63080e514a062768b76606f9fa5e992204fc5a670bde3f10d6b027113936a
                 5c55b648a194ae587b0088d52204b702c979fa280870d2ed41efa9c549fd1119
                 8af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435
                 a7a56cc4")
        );

        // KEYMAT of the first CHILD_SA (RFC 7296 section 2.17).
        assert_eq!(
            *prf.prf_plus(&keys[..20], &[&ni, &nr], 132),
            *hex("8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c581
                 1a8e7b5d1cdabd9560b2d5e092d1f24e2d4b85eccdf0ad0dc9abd94b51ee7181
                 4ca6dbc8bb51b6309f5b9545c7eb35cf5580b1e521a8fe20754a2d883ba0c2cf
                 285f524aea6545b33106bc03e614296d319d41d4b50b3f510b1c0a22f3e66499
                 4d234cb4")
        );

        let shared_new = hex("863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330");
        assert_eq!(*prf.prf(&keys[..20], &[&shared_new, &ni, &nr]), *hex("63e81194946ebd05df7df5ebf5d8750056bf1f1d"));
    }

    /// prf+ has the recurrence of HKDF-Expand, T(n) = HMAC(K, T(n-1) | S | n), so RFC 5869 appendix A tests it: A.1
    /// ends inside the second block, A.2 inside the third.
    #[test]
    fn prf_plus_is_hkdf_expand() {
        let prf = Prf::HmacSha2_256;
        let short = prf.prf_plus(
            &hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"),
            &[&hex("f0f1f2f3"), &hex("f4f5f6f7f8f9")],
            42,
        );
        assert_eq!(
            *short,
            *hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf
                 34007208d5b887185865")
        );
        let info: Vec<u8> = (0xb0..=0xff).collect();
        let long = prf.prf_plus(&hex("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"), &[&info], 82);
        assert_eq!(
            *long,
            *hex("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c
                 59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71
                 cc30c58179ec3e87c14c01d5c1f3434f1d87")
        );
    }

    /// FIPS 180-2 appendices A.1 to D.1: "abc".
    #[test]
    fn the_hash_under_the_hmac() {
        for (prf, start) in [
            (Prf::HmacSha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Prf::HmacSha2_256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Prf::HmacSha2_384, "cb00753f45a35e8bb5a03d699ac65007"),
            (Prf::HmacSha2_512, "ddaf35a193617abacc417349ae204131"),
        ] {
            let hash = prf.hash(&[b"a", b"bc"]);
            assert_eq!(hash.len(), prf.output_len());
            assert!(hash.starts_with(&hex(start)), "{prf:?}");
        }
    }

    #[test]
    fn transform_ids_are_ianas() {
        assert_eq!(Prf::from_id(2), Some(Prf::HmacSha1));
        assert_eq!(Prf::from_id(5), Some(Prf::HmacSha2_256));
        assert_eq!(Prf::from_id(6), Some(Prf::HmacSha2_384));
        assert_eq!(Prf::from_id(7), Some(Prf::HmacSha2_512));
        assert_eq!(Prf::from_id(1), None); // PRF_HMAC_MD5
    }
}
