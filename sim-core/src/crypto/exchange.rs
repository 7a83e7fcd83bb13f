//! Key exchange methods of either kind behind one face: the initiator offers, the responder answers, the initiator finishes.
//! Diffie-Hellman is the special case in which both do the same.

use rand_core::CryptoRng;

use super::Secret;
use super::dh::{DhGroup, DhPrivate};
use super::kem::{KemPrivate, MlKem};

/// A key exchange method (IANA "Transform Type 4", which RFC 9370 section 4 also has for the types 6 to 12).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// Diffie-Hellman.
    Dh(DhGroup),
    /// Key encapsulation.
    Kem(MlKem),
}

impl Method {
    /// The transform ID.
    pub const fn id(self) -> u16 {
        match self {
            Self::Dh(group) => group.id(),
            Self::Kem(set) => set.id(),
        }
    }

    /// The method with this transform ID, if we have it.
    pub fn from_id(id: u16) -> Option<Self> {
        let kem = MlKem::ALL.into_iter().find(|set| set.id() == id);
        DhGroup::from_id(id).map(Self::Dh).or(kem.map(Self::Kem))
    }

    /// The responder's part: what it sends, and the secret. `None` if the initiator's Key Exchange Data is invalid.
    pub fn answer(self, data: &[u8], rng: &mut impl CryptoRng) -> Option<(Vec<u8>, Secret)> {
        match self {
            Self::Dh(group) => {
                let private = DhPrivate::generate(group, rng);
                let secret = private.agree(data).ok()?;
                Some((private.public().to_vec(), secret))
            }
            Self::Kem(set) => set.encapsulate(data, rng),
        }
    }
}

/// What the initiator keeps until the answer comes.
#[derive(Clone, Hash, Debug)]
pub enum Offer {
    /// A private value.
    Dh(DhPrivate),
    /// A key pair.
    Kem(KemPrivate),
}

impl Offer {
    /// A fresh private value or key pair.
    pub fn generate(method: Method, rng: &mut impl CryptoRng) -> Self {
        match method {
            Method::Dh(group) => Self::Dh(DhPrivate::generate(group, rng)),
            Method::Kem(set) => Self::Kem(KemPrivate::generate(set, rng)),
        }
    }

    /// The method.
    pub fn method(&self) -> Method {
        match self {
            Self::Dh(private) => Method::Dh(private.group()),
            Self::Kem(private) => Method::Kem(private.set()),
        }
    }

    /// The Key Exchange Data to send.
    pub fn public(&self) -> &[u8] {
        match self {
            Self::Dh(private) => private.public(),
            Self::Kem(private) => private.public(),
        }
    }

    /// The secret, from the responder's Key Exchange Data. `None` if that is invalid.
    pub fn finish(&self, data: &[u8]) -> Option<Secret> {
        match self {
            Self::Dh(private) => private.agree(data).ok(),
            Self::Kem(private) => private.decapsulate(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn methods_are_known_by_their_numbers() {
        for id in 0..64 {
            assert!(Method::from_id(id).is_none_or(|method| method.id() == id));
        }
        assert_eq!(Method::from_id(36), Some(Method::Kem(MlKem::MlKem768)));
        assert_eq!(Method::from_id(20), Some(Method::Dh(DhGroup::Ecp384)));
        // "NONE" is a transform ID and no method.
        assert_eq!(Method::from_id(0), None);
    }

    #[test]
    fn both_ends_get_the_same_secret_by_every_method() {
        let mut rngs = [1, 2].map(|seed| Rng::stream(seed, "exchange", Purpose::Test));
        for method in
            [DhGroup::Ecp256, DhGroup::Modp1024].map(Method::Dh).into_iter().chain(MlKem::ALL.map(Method::Kem))
        {
            let offer = Offer::generate(method, &mut rngs[0]);
            assert_eq!(offer.method(), method);
            let (data, secret) = method.answer(offer.public(), &mut rngs[1]).unwrap();
            assert_eq!(offer.finish(&data), Some(secret));
            assert_eq!(method.answer(&[], &mut rngs[1]), None);
            assert_eq!(offer.finish(&[]), None);
        }
    }
}
