//! Keys of IKEv2: SKEYSEED and SK_* (RFC 7296 section 2.14), those of a rekeyed IKE_SA (section 2.18), AUTH from a pre-shared
//! key (section 2.15), keying material of CHILD_SAs (section 2.17). IKEv1 derives its own in another way.

use super::config::Identity;
use super::proposal::{EspSuite, IkeSuite};
use super::psk::Psk;
use crate::crypto::Secret;
use crate::crypto::sk::SkKeys;
use crate::crypto::suite::Suite;

/// The keys of an IKE_SA.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IkeKeys {
    /// The suite they belong to.
    pub suite: IkeSuite,
    /// SK_d, from which CHILD_SAs take theirs.
    pub sk_d: Secret,
    /// SK_ei and SK_ai: what the original initiator sends.
    pub initiator: SkKeys,
    /// SK_er and SK_ar: what the responder sends.
    pub responder: SkKeys,
    /// SK_pi, for the initiator's AUTH.
    pub sk_pi: Secret,
    /// SK_pr, for the responder's AUTH.
    pub sk_pr: Secret,
}

impl IkeKeys {
    /// Derives all keys from both nonces, the shared secret and both SPIs.
    pub fn derive(suite: IkeSuite, nonces: (&[u8], &[u8]), shared: &[u8], spis: (u64, u64)) -> Self {
        Self::from_seed(suite, &skeyseed(suite, nonces, shared), nonces, spis)
    }

    /// The keys of the IKE_SA that replaces this one (RFC 7296 section 2.18): SKEYSEED comes from this one's SK_d and PRF, the
    /// rest is derived with the new suite's. Of the secrets the first is SK(0), the second those of additional key exchanges, one
    /// after the other (RFC 9370 section 2.2.4).
    pub fn rekeyed(&self, suite: IkeSuite, nonces: (&[u8], &[u8]), secrets: (&[u8], &[u8]), spis: (u64, u64)) -> Self {
        let seed = self.suite.prf.prf(&self.sk_d, &[secrets.0, nonces.0, nonces.1, secrets.1]);
        Self::from_seed(suite, &seed, nonces, spis)
    }

    fn from_seed(suite: IkeSuite, seed: &[u8], nonces: (&[u8], &[u8]), spis: (u64, u64)) -> Self {
        let (e, a) = (SkKeys::encryption_key_len(suite.protection), SkKeys::integrity_key_len(suite.protection));
        let p = suite.prf.key_len();
        let (spi_i, spi_r) = (spis.0.to_be_bytes(), spis.1.to_be_bytes());
        let material = suite.prf.prf_plus(seed, &[nonces.0, nonces.1, &spi_i, &spi_r], 3 * p + 2 * a + 2 * e);
        let mut rest = &material[..];
        let mut cut = |n| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            Secret::from(head)
        };
        // {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr}
        let sk_d = cut(p);
        let (sk_ai, sk_ar) = (cut(a), cut(a));
        let (sk_ei, sk_er) = (cut(e), cut(e));
        Self {
            suite,
            sk_d,
            initiator: SkKeys::new(suite.protection, sk_ei, sk_ai),
            responder: SkKeys::new(suite.protection, sk_er, sk_ar),
            sk_pi: cut(p),
            sk_pr: cut(p),
        }
    }

    /// Derives the keys of a CHILD_SA; `shared` is the secret of its own key exchange, if it had one, and `additional` those of
    /// additional ones, one after the other (RFC 9370 section 2.2.4).
    pub fn child(
        &self,
        suite: EspSuite,
        nonces: (&[u8], &[u8]),
        shared: Option<&[u8]>,
        additional: &[u8],
    ) -> ChildKeys {
        let protection = suite.protection;
        let (e, a) = (SkKeys::encryption_key_len(protection), SkKeys::integrity_key_len(protection));
        let seed = [shared.unwrap_or_default(), nonces.0, nonces.1, additional];
        let material = self.suite.prf.prf_plus(&self.sk_d, &seed, 2 * (e + a));
        // RFC 7296 section 2.17: initiator to responder first, encryption before integrity.
        let direction = |from: usize| DirectionKeys {
            encryption: material[from..from + e].into(),
            integrity: material[from + e..from + e + a].into(),
        };
        ChildKeys { suite: protection, from_initiator: direction(0), from_responder: direction(e + a) }
    }

    /// IntAuth of one end's next IKE_INTERMEDIATE message (RFC 9242 section 3.3.2): over its IntAuth so far and the message.
    pub fn int_auth(&self, initiator: bool, before: &[u8], message: &[u8]) -> Secret {
        let sk_p = if initiator { &self.sk_pi } else { &self.sk_pr };
        self.suite.prf.prf(sk_p, &[before, message])
    }

    /// The AUTH data of one end: over the first message it sent, the other's nonce, its own identity, and IntAuth of both ends
    /// (RFC 9242 section 3.3.2), which is empty without IKE_INTERMEDIATE.
    pub fn auth(
        &self,
        initiator: bool,
        psk: &Psk,
        first_message: &[u8],
        other_nonce: &[u8],
        id_body: &[u8],
        int_auth: &[u8],
    ) -> Secret {
        let prf = self.suite.prf;
        prf.prf(&psk.padded(prf), &[first_message, other_nonce, &self.maced_id(initiator, id_body), int_auth])
    }

    /// What one end signs, if it proves itself by a signature: the same octets.
    pub fn signed_octets(
        &self,
        initiator: bool,
        first_message: &[u8],
        other_nonce: &[u8],
        id_body: &[u8],
        int_auth: &[u8],
    ) -> Vec<u8> {
        [first_message, other_nonce, &self.maced_id(initiator, id_body), int_auth].concat()
    }

    fn maced_id(&self, initiator: bool, id_body: &[u8]) -> Secret {
        let sk_p = if initiator { &self.sk_pi } else { &self.sk_pr };
        self.suite.prf.prf(sk_p, &[id_body])
    }
}

/// RFC 7296 section 2.14: SKEYSEED = prf(Ni | Nr, g^ir).
fn skeyseed(suite: IkeSuite, (ni, nr): (&[u8], &[u8]), shared: &[u8]) -> Secret {
    suite.prf.prf(&[ni, nr].concat(), &[shared])
}

/// The body of an identification payload, which AUTH covers.
pub fn id_body(identity: &Identity) -> Vec<u8> {
    let mut body = Vec::with_capacity(16);
    identity.with_id(|id| id.emit(&mut body));
    body
}

/// Keys of one direction of a CHILD_SA. For an AEAD the salt ends `encryption`, and `integrity` is empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DirectionKeys {
    /// Cipher key.
    pub encryption: Secret,
    /// Integrity key.
    pub integrity: Secret,
}

/// Keys of a CHILD_SA, named after the initiator of the exchange that made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildKeys {
    /// Encryption and integrity.
    pub suite: Suite,
    /// What that initiator sends.
    pub from_initiator: DirectionKeys,
    /// What that responder sends.
    pub from_responder: DirectionKeys,
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::crypto::dh::DhGroup;
    use crate::crypto::prf::Prf;
    use crate::crypto::suite::{Encryption, Integrity};
    use crate::crypto::testing::hex;

    fn suite(prf: Prf) -> IkeSuite {
        IkeSuite {
            protection: Suite::new(Encryption::AesCbc128, Integrity::HmacSha1_96).unwrap(),
            prf,
            group: DhGroup::Modp1024,
        }
    }

    const NI: &str = "32b50d5f4a3763f3";
    const NR: &str = "9206a04b26564cb1";
    const GIR: &str = "4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52";
    const GIR_NEW: &str = "863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330";
    const SPIS: (u64, u64) = (0x34c9_e7c1_8886_8785, 0x3ff7_7d76_0d2b_2199);

    fn cavp_keys() -> IkeKeys {
        let (ni, nr) = (hex(NI), hex(NR));
        IkeKeys::derive(suite(Prf::HmacSha1), (&ni, &nr), &hex(GIR), SPIS)
    }

    /// NIST CAVP, SP 800-135 IKEv2 KDF vectors (ikev2.rsp), SHA-1, g^ir length 256, DKM length 1056, COUNT 0:
    /// SKEYSEED and DKM. 132 octets are exactly the keys of this suite (5 x 20 + 2 x 16).
    #[test]
    fn skeyseed_and_sk_keys_of_nist() {
        let (ni, nr) = (hex(NI), hex(NR));
        assert_eq!(
            skeyseed(suite(Prf::HmacSha1), (&ni, &nr), &hex(GIR))[..],
            hex("a9a7b222b59f8f48645f28a1db5b5f5d7479cba7")
        );
        let keys = cavp_keys();
        let dkm = [
            &keys.sk_d,
            keys.initiator.integrity_key(),
            keys.responder.integrity_key(),
            keys.initiator.encryption_key(),
            keys.responder.encryption_key(),
            &keys.sk_pi,
            &keys.sk_pr,
        ]
        .map(|secret| secret.to_vec())
        .concat();
        assert_eq!(
            dkm,
            hex("a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002
                 a2a63080e514a062768b76606f9fa5e992204fc5a670bde3f10d6b027113936a
                 5c55b648a194ae587b0088d52204b702c979fa280870d2ed41efa9c549fd1119
                 8af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435
                 a7a56cc4")
        );
    }

    /// The same vector's DKM(Child SA) and DKM(Child SA D-H), of which this suite takes the first 72 octets.
    #[test]
    fn child_keying_material_of_nist() {
        let (ni, nr) = (hex(NI), hex(NR));
        let keys = cavp_keys();
        let esp = EspSuite::new(suite(Prf::HmacSha1).protection, None);
        let material = |shared: Option<&[u8]>| {
            let child = keys.child(esp, (&ni, &nr), shared, &[]);
            let (i, r) = (child.from_initiator, child.from_responder);
            [i.encryption, i.integrity, r.encryption, r.integrity].map(|secret| secret.to_vec()).concat()
        };
        assert_eq!(
            material(None),
            hex("8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c581
                 1a8e7b5d1cdabd9560b2d5e092d1f24e2d4b85eccdf0ad0dc9abd94b51ee7181
                 4ca6dbc8bb51b630")
        );
        assert_eq!(
            material(Some(&hex(GIR_NEW))),
            hex("bb43244c1860ad65ee1e211ffe8bb3661750c8f89cb9f547df7f4fa61d373016
                 28190e38c66232eab4b3ab14c400a5197dd3730ed4820a8a10394d51e1c04000
                 52f63ebd36b0e7ef")
        );
    }

    /// The same source: SKEYSEED of a rekeyed IKE_SA, prf(SK_d, g^ir (new) | Ni | Nr). What follows from it is prf+ as before, so
    /// the keys must be those that the published SKEYSEED leads to.
    #[test]
    fn keys_of_a_rekeyed_ike_sa_of_nist() {
        let (ni, nr) = (hex(NI), hex(NR));
        let published = hex("63e81194946ebd05df7df5ebf5d8750056bf1f1d");
        let keys = cavp_keys();
        let new = keys.rekeyed(keys.suite, (&ni, &nr), (&hex(GIR_NEW), &[]), SPIS);
        assert_eq!(new, IkeKeys::from_seed(keys.suite, &published, (&ni, &nr), SPIS));
        // The PRF of SKEYSEED belongs to the old IKE_SA, prf+ to the new one.
        let other = suite(Prf::HmacSha2_512);
        let new = keys.rekeyed(other, (&ni, &nr), (&hex(GIR_NEW), &[]), SPIS);
        assert_eq!(new, IkeKeys::from_seed(other, &published, (&ni, &nr), SPIS));
    }

    /// Independent computation with Python's `hmac` and `hashlib` of
    /// prf(prf(PSK, "Key Pad for IKEv2"), message | nonce | prf(SK_p, ID body)), message 00..63, nonce 32 times ab.
    #[test]
    fn auth_of_another_implementation() {
        let mut keys = cavp_keys();
        keys.suite.prf = Prf::HmacSha2_256;
        keys.sk_pi = (0..32).collect::<Vec<u8>>().into();
        keys.sk_pr = keys.sk_pi[..20].into();
        let message: Vec<u8> = (0..100).collect();
        let id = id_body(&Identity::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(id, [1, 0, 0, 0, 192, 0, 2, 1]);
        let psk = &Psk::from(&b"vpnsim.Example_Key1"[..]);
        assert_eq!(
            keys.auth(true, psk, &message, &[0xab; 32], &id, &[])[..],
            hex("f4894ca27540a7de88e282ef146bff9c6fa98f8654bf87afd8a5b964cd5982ae")
        );
        keys.suite.prf = Prf::HmacSha1;
        assert_eq!(
            keys.auth(false, psk, &message, &[0xab; 32], &id, &[])[..],
            hex("3933c39b361e7f6e83602d65aecfd7d1ef52a2f7")
        );
    }

    /// Independent computation with Python's `hmac` and `hashlib` of the formulas of RFC 9242 section 3.3.2 and RFC 9370 sections
    /// 2.2.2 and 2.2.4, with PRF-HMAC-SHA2-256: SK_d 00..1f, SK_pi 20..3f, SK_pr 40..5f, Ni 32 times 11, Nr 32 times 22, SK(0) 48
    /// times 33, SK(1) 32 times 44, SK(2) 32 times 55.
    #[test]
    fn additional_key_exchanges_of_another_implementation() {
        let mut keys = cavp_keys();
        keys.suite.prf = Prf::HmacSha2_256;
        let octets = |from: u8| (from..from + 32).collect::<Vec<u8>>();
        (keys.sk_d, keys.sk_pi, keys.sk_pr) = (octets(0).into(), octets(32).into(), octets(64).into());
        let (ni, nr, sk0) = ([0x11; 32], [0x22; 32], [0x33; 48]);
        let (sk1, sk2) = ([0x44; 32], [0x55; 32]);
        let both = [sk1, sk2].concat();
        // IntAuth of a message of 32 times 66 and 40 times 77, of another one after it, and of the responder's.
        let first = keys.int_auth(true, &[], &[&[0x66; 32][..], &[0x77; 40]].concat());
        assert_eq!(first[..], hex("3d4c54471edd266af79ef4707c0efda965acf1128aa0c75e1f71667bd38163d8"));
        let second = keys.int_auth(true, &first, &[0x77; 40]);
        assert_eq!(second[..], hex("2cb9ed073c42a6f5c4d54cf68520d85fd2832aef5b1b21c79d51843d40014e17"));
        let other = keys.int_auth(false, &[], &[&[0x77; 40][..], &[0x66; 32]].concat());
        assert_eq!(other[..], hex("c927007b2b356b963f58ac8826dd66eb7adf5dd4df2e1b7c37a06d97ac72dbc1"));
        // SK_d after IKE_INTERMEDIATE, and of an IKE_SA that is rekeyed with two additional key exchanges.
        let stronger = keys.rekeyed(keys.suite, (&ni, &nr), (&sk1, &[]), SPIS);
        assert_eq!(stronger.sk_d[..], hex("efeaea59d1f42e205a163cc9e22001f8b3db3c859937cad9a752e368eaa96ecf"));
        let heir = keys.rekeyed(keys.suite, (&ni, &nr), (&sk0, &both), SPIS);
        assert_eq!(heir.sk_d[..], hex("7b03b5b8385b85c711413fd72d1316b83f53bb9088394a4193e13b7af2f3b098"));
        // KEYMAT with and without SK(0).
        let esp = EspSuite::new(keys.suite.protection, None);
        let material = |shared: Option<&[u8]>, additional: &[u8]| {
            let child = keys.child(esp, (&ni, &nr), shared, additional);
            let (i, r) = (child.from_initiator, child.from_responder);
            [i.encryption, i.integrity, r.encryption, r.integrity].map(|secret| secret.to_vec()).concat()
        };
        assert_eq!(
            material(Some(&sk0), &both),
            hex("84b21d9ffb383a3b8ba091f021b6e17096a65646003cb29c17e689e5d77a11e1
                 b97c067df079e70fc86a3b0af88715f4392e044ccbd16de8987971d2e4838f2f
                 d44f0c5705cd57ed")
        );
        assert_eq!(
            material(None, &sk1),
            hex("204e77b332b5f451b43bbfc6349e41a2e74f8d6557b72575e81bc374900913d4
                 97bd9ed80ad238f08d1b1d000827d1a2816e1511ff367ed84a495c35f4b0579f
                 c38dc65777b7ca1c")
        );
    }
}
