//! ML-KEM (FIPS 203) as a key exchange of IKE (draft-ietf-ipsecme-ikev2-mlkem): the initiator sends an encapsulation key, the
//! responder the ciphertext of a secret that it has drawn.
//!
//! The two ends do different things, unlike in a Diffie-Hellman group. The initiator gets the secret from what arrived and from
//! its own key alone; a ciphertext that was made for another key yields a wrong secret, not an error (FIPS 203 section 6.3).

use ml_kem::array::Array;
use ml_kem::{
    Ciphertext, Decapsulate as _, DecapsulationKey, EncapsulationKey, KeyExport as _, MlKem512, MlKem768, MlKem1024,
};
use rand_core::CryptoRng;

use super::Secret;

/// Octets of the seed of a key pair, d and z (FIPS 203 section 7.1).
const SEED_LEN: usize = 64;
/// Octets of the randomness of an encapsulation, m (FIPS 203 section 7.2).
const RANDOM_LEN: usize = 32;

/// A parameter set (FIPS 203 section 8), with its number among IANA's "Transform Type 4".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
pub enum MlKem {
    /// ML-KEM-512.
    MlKem512 = 35,
    /// ML-KEM-768.
    MlKem768 = 36,
    /// ML-KEM-1024.
    MlKem1024 = 37,
}

impl MlKem {
    /// Every parameter set, in the order of their transform IDs.
    pub const ALL: [Self; 3] = [Self::MlKem512, Self::MlKem768, Self::MlKem1024];

    /// The transform ID.
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Octets of what the initiator sends, an encapsulation key (FIPS 203 table 3).
    pub const fn encapsulation_key_len(self) -> usize {
        match self {
            Self::MlKem512 => 800,
            Self::MlKem768 => 1184,
            Self::MlKem1024 => 1568,
        }
    }

    /// Octets of what the responder sends, a ciphertext (FIPS 203 table 3).
    pub const fn ciphertext_len(self) -> usize {
        match self {
            Self::MlKem512 => 768,
            Self::MlKem768 => 1088,
            Self::MlKem1024 => 1568,
        }
    }

    /// The responder's part: a fresh secret and its ciphertext. `None` if the key has another length or fails the modulus check
    /// (FIPS 203 section 7.2).
    pub fn encapsulate(self, key: &[u8], rng: &mut impl CryptoRng) -> Option<(Vec<u8>, Secret)> {
        let mut random = [0; RANDOM_LEN];
        rng.fill_bytes(&mut random);
        self.encapsulate_with(key, &random)
    }

    /// As [`MlKem::encapsulate`], with the randomness m.
    pub fn encapsulate_with(self, key: &[u8], random: &[u8; RANDOM_LEN]) -> Option<(Vec<u8>, Secret)> {
        macro_rules! with {
            ($set:ty) => {{
                let key = EncapsulationKey::<$set>::new(&Array::try_from(key).ok()?).ok()?;
                let (ciphertext, secret) = key.encapsulate_deterministic(&Array::from(*random));
                Some((ciphertext.to_vec(), Secret::from(&secret[..])))
            }};
        }
        match self {
            Self::MlKem512 => with!(MlKem512),
            Self::MlKem768 => with!(MlKem768),
            Self::MlKem1024 => with!(MlKem1024),
        }
    }
}

/// The initiator's key pair. It is kept as its seed: the expanded key has thousands of octets, and is wanted once.
#[derive(Clone)]
pub struct KemPrivate {
    set: MlKem,
    seed: [u8; SEED_LEN],
    public: Vec<u8>,
}

impl KemPrivate {
    /// A fresh key pair.
    pub fn generate(set: MlKem, rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; SEED_LEN];
        rng.fill_bytes(&mut seed);
        Self::from_seed(set, seed)
    }

    /// The key pair of the seed d and z.
    pub fn from_seed(set: MlKem, seed: [u8; SEED_LEN]) -> Self {
        macro_rules! with {
            ($set:ty) => {
                DecapsulationKey::<$set>::from_seed(seed.into()).encapsulation_key().to_bytes().to_vec()
            };
        }
        let public = match set {
            MlKem::MlKem512 => with!(MlKem512),
            MlKem::MlKem768 => with!(MlKem768),
            MlKem::MlKem1024 => with!(MlKem1024),
        };
        Self { set, seed, public }
    }

    /// The parameter set.
    pub fn set(&self) -> MlKem {
        self.set
    }

    /// The encapsulation key, to be sent.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The secret in a ciphertext. `None` if it has another length.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        macro_rules! with {
            ($set:ty) => {{
                let ciphertext = Ciphertext::<$set>::try_from(ciphertext).ok()?;
                let secret = DecapsulationKey::<$set>::from_seed(self.seed.into()).decapsulate(&ciphertext);
                Some(Secret::from(&secret[..]))
            }};
        }
        match self.set {
            MlKem::MlKem512 => with!(MlKem512),
            MlKem::MlKem768 => with!(MlKem768),
            MlKem::MlKem1024 => with!(MlKem1024),
        }
    }
}

/// A key pair is known by its public half.
impl core::hash::Hash for KemPrivate {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.set.hash(state);
        self.public.hash(state);
    }
}

impl core::fmt::Debug for KemPrivate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KemPrivate").field("set", &self.set).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::kem::{self, ML_KEM_512, ML_KEM_768, ML_KEM_1024};

    use super::*;
    use crate::crypto::testing::hex;
    use crate::rng::{Purpose, Rng};

    fn theirs(set: MlKem) -> &'static kem::Algorithm {
        match set {
            MlKem::MlKem512 => &ML_KEM_512,
            MlKem::MlKem768 => &ML_KEM_768,
            MlKem::MlKem1024 => &ML_KEM_1024,
        }
    }

    /// kyber-py 1.2.0, a third implementation, on the seed 00 to 3f and the randomness 40 to 5f: SHA-256 of the encapsulation key
    /// and of the ciphertext, and the secret.
    #[test]
    fn keys_ciphertexts_and_secrets_of_another_implementation() {
        let octets: Vec<u8> = (0..0x60).collect();
        let (seed, random) = octets.split_first_chunk::<64>().unwrap();
        for (set, key, ciphertext, secret) in [
            (
                MlKem::MlKem512,
                "3ae268dccc5456ac0d0f9b39257dc48fe081383b97c400512d712b739762daee",
                "81efe667826848514dcae46fc10cfd34f7b95ed6900e094f727c9e7cccc34df2",
                "14cace3e48771b316676afad2cfcfe8488daaa4fad954e57236caa3f24a42cf7",
            ),
            (
                MlKem::MlKem768,
                "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9",
                "dbf4e9aa48b078ad46ec1c9c47bda8c2d2fec9d0e7a21bd48d2238a2abedb856",
                "9cddd089ffe70e3996e76f7c8d06746df34d07e8657bc0fcf2bb0e1c3084aea1",
            ),
            (
                MlKem::MlKem1024,
                "c7b8fa0aa471d5ae18922d6ccad5b31e1d84f92ae723abfd13747018740a8530",
                "7c89743960f7c3d17bb69572e49de14fe0990c9113a0706963a8f4c7b39afcdf",
                "0ad8d1ea1b8dd788979b4379581218df9321bdce5567eca42ae6be7d395f1a54",
            ),
        ] {
            let sha256 = |data: &[u8]| digest(&SHA256, data).as_ref().to_vec();
            let private = KemPrivate::from_seed(set, *seed);
            assert_eq!(sha256(private.public()), hex(key), "{set:?}");
            let (sent, agreed) = set.encapsulate_with(private.public(), random.try_into().unwrap()).unwrap();
            assert_eq!((sha256(&sent), &agreed[..]), (hex(ciphertext), &hex(secret)[..]), "{set:?}");
            assert_eq!(private.decapsulate(&sent), Some(agreed));
        }
    }

    /// AWS-LC makes the key pair and opens what we encapsulate.
    #[test]
    fn another_implementation_opens_our_ciphertexts() {
        let mut rng = Rng::stream(1, "kem", Purpose::Test);
        for set in MlKem::ALL {
            let private = kem::DecapsulationKey::generate(theirs(set)).unwrap();
            let public = private.encapsulation_key().unwrap().key_bytes().unwrap();
            assert_eq!(public.as_ref().len(), set.encapsulation_key_len());
            let (ciphertext, secret) = set.encapsulate(public.as_ref(), &mut rng).unwrap();
            assert_eq!(ciphertext.len(), set.ciphertext_len());
            let opened = private.decapsulate(ciphertext[..].into()).unwrap();
            assert_eq!(opened.as_ref(), &secret[..]);
        }
    }

    /// AWS-LC encapsulates to our key, which passes its checks.
    #[test]
    fn we_open_the_ciphertexts_of_another_implementation() {
        let mut rng = Rng::stream(2, "kem", Purpose::Test);
        for set in MlKem::ALL {
            let private = KemPrivate::generate(set, &mut rng);
            let public = kem::EncapsulationKey::new(theirs(set), private.public()).unwrap();
            let (ciphertext, secret) = public.encapsulate().unwrap();
            assert_eq!(private.decapsulate(ciphertext.as_ref()).unwrap()[..], *secret.as_ref());
            // FIPS 203 section 6.3: another ciphertext is another secret, and no error.
            let mut other = ciphertext.as_ref().to_vec();
            other[0] ^= 1;
            assert_ne!(private.decapsulate(&other).unwrap()[..], *secret.as_ref());
            assert_eq!(private.decapsulate(&other[1..]), None);
        }
    }

    /// FIPS 203 section 7.2: a coefficient that is not below q = 3329 is refused.
    #[test]
    fn a_key_with_a_coefficient_above_the_modulus_is_refused() {
        let mut rng = Rng::stream(3, "kem", Purpose::Test);
        for set in MlKem::ALL {
            let good = KemPrivate::generate(set, &mut rng).public().to_vec();
            let mut bad = good.clone();
            // The first coefficient is the first octet and the lower half of the second: 0xfff.
            bad[0] = 0xff;
            bad[1] |= 0x0f;
            assert!(set.encapsulate(&good, &mut rng).is_some());
            assert_eq!(set.encapsulate(&bad, &mut rng), None);
            let theirs = kem::EncapsulationKey::new(theirs(set), &bad);
            assert!(!theirs.is_ok_and(|key| key.encapsulate().is_ok()));
            assert_eq!(set.encapsulate(&good[1..], &mut rng), None);
        }
    }
}
