use super::*;
use crate::crypto::certificate::Certificate;
use crate::crypto::certificate::authority::{Authority, Request};
use crate::crypto::testing::hex;
use crate::rng::Purpose;
use crate::rng::Rng;
use crate::time::Duration;

fn rng() -> Rng {
    Rng::stream(1, "signatures", Purpose::Test)
}

fn p256(scalar: &str) -> PrivateKey {
    PrivateKey(Inner::P256(::p256::SecretKey::from_slice(&hex(scalar)).unwrap().into()))
}

fn p384(scalar: &str) -> PrivateKey {
    PrivateKey(Inner::P384(::p384::SecretKey::from_slice(&hex(scalar)).unwrap().into()))
}

fn certified(key: &PrivateKey) -> Certificate {
    let authority = Authority::drawn("test", KeyType::EcdsaP256, Duration::ZERO, &mut rng()).unwrap();
    let request = Request {
        subject: "CN=test".into(),
        dns: Vec::new(),
        addresses: Vec::new(),
        not_before: Duration::ZERO,
        not_after: Duration::from_secs(3600),
    };
    authority.issue(&request, key, &mut rng()).unwrap()
}

/// RFC 6979 sections A.2.5 (P-256 with SHA-256) and A.2.6 (P-384 with SHA-384): r and s.
#[test]
fn ecdsa_is_deterministic_as_rfc_6979_has_it() {
    let a = p256("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    let b = p384(
        "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8
         96D5724E4C70A825F872C9EA60D2EDF5",
    );
    let cases = [
        (
            &a,
            SignatureHash::Sha2_256,
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
             F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            &a,
            SignatureHash::Sha2_256,
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367
             019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
        (
            &b,
            SignatureHash::Sha2_384,
            "sample",
            "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46
             99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
        ),
        (
            &b,
            SignatureHash::Sha2_384,
            "test",
            "8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB0542A7F0812998DA8F1DD3CA3CF023DB
             DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E06A739F040649A667BF3B828246BAA5A5",
        ),
    ];
    for (key, hash, message, expected) in cases {
        let der = key.sign(Scheme::Ecdsa(hash), message.as_bytes(), &mut rng()).unwrap();
        assert_eq!(ecdsa_from_der(key.kind(), &der).unwrap(), hex(expected), "{message}");
    }
}

/// RFC 4754 sections 8.1 and 8.2, without the payload's header: signatures of "abc" that somebody else made, with another k than
/// RFC 6979's.
#[test]
fn ecdsa_of_rfc_4754_verifies() {
    let a = p256("DC51D3866A15BACDE33D96F992FCA99DA7E6EF0934E7097559C27F1614C88A7F");
    let b = p384("0BEB646634BA87735D77AE4809A0EBEA865535DE4C1E1DCB692E84708E81A5AF62E528C38B2A81B35309668D73524D9F");
    let cases = [
        (
            a,
            SignatureHash::Sha2_256,
            "CB28E0999B9C7715FD0A80D8E47A77079716CBBF917DD72E97566EA1C066957C
             86FA3BB4E26CAD5BF90B7F81899256CE7594BB1EA0C89212748BFF3B3D5B0315",
        ),
        (
            b,
            SignatureHash::Sha2_384,
            "FB017B914E29149432D8BAC29A514640B46F53DDAB2C69948084E2930F1C8F7E08E07C9C63F2D21A07DCB56A6AF56EB3
             B263A1305E057F984D38726A1B46874109F417BCA112674C528262A40A629AF1CBB9F516CE0FA7D2FF630863A00E8B9F",
        ),
    ];
    for (key, hash, signature) in cases {
        let certificate = certified(&key);
        assert_eq!(certificate.key_type(), Some(key.kind()));
        let der = ecdsa_to_der(key.kind(), &hex(signature)).unwrap();
        assert!(certificate.verify(Scheme::Ecdsa(hash), b"abc", &der));
        assert!(!certificate.verify(Scheme::Ecdsa(hash), b"abd", &der));
        assert_eq!(ecdsa_from_der(key.kind(), &der).unwrap(), hex(signature));
        assert_eq!(ecdsa_to_der(key.kind(), &hex(signature)[1..]), None, "too short");
    }
}

/// RFC 7427 appendix A: the DER of each AlgorithmIdentifier.
#[test]
fn algorithm_identifiers_of_rfc_7427() {
    use SignatureHash::{Sha2_256, Sha2_384, Sha2_512};
    let cases = [
        (Scheme::RsaPkcs1(Sha2_256), "300d06092a864886f70d01010b0500"),
        (Scheme::RsaPkcs1(Sha2_384), "300d06092a864886f70d01010c0500"),
        (Scheme::RsaPkcs1(Sha2_512), "300d06092a864886f70d01010d0500"),
        (Scheme::Ecdsa(Sha2_256), "300a06082a8648ce3d040302"),
        (Scheme::Ecdsa(Sha2_384), "300a06082a8648ce3d040303"),
        (Scheme::Ecdsa(Sha2_512), "300a06082a8648ce3d040304"),
        (
            Scheme::RsaPss(Sha2_256),
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500
             a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
        ),
    ];
    for (scheme, der) in cases {
        assert_eq!(scheme.algorithm_identifier().unwrap(), hex(der), "{scheme:?}");
        assert_eq!(Scheme::from_algorithm_identifier(&hex(der)), Some(scheme));
    }
    assert_eq!(Scheme::RsaPkcs1(SignatureHash::Sha1).algorithm_identifier(), None);
    // ecdsa-with-SHA1, RFC 7427 section A.3.1.
    assert_eq!(Scheme::from_algorithm_identifier(&hex("300906072a8648ce3d0401")), None);
}

/// The certificate's side is another implementation: AWS-LC behind webpki, but for SHA-1.
#[test]
fn rsa_signs_what_another_implementation_verifies() {
    let key = PrivateKey::drawn(KeyType::Rsa, &mut rng());
    let certificate = certified(&key);
    assert_eq!(certificate.key_type(), Some(KeyType::Rsa));
    for hash in SignatureHash::OFFERED {
        for scheme in [Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash)] {
            let signature = key.sign(scheme, b"octets", &mut rng()).unwrap();
            assert!(certificate.verify(scheme, b"octets", &signature), "{scheme:?}");
            assert!(!certificate.verify(scheme, b"others", &signature), "{scheme:?}");
            assert_eq!(key.sign(scheme, b"octets", &mut rng()).unwrap(), signature, "the stream decides");
        }
    }
    let old = Scheme::RsaPkcs1(SignatureHash::Sha1);
    let signature = key.sign(old, b"octets", &mut rng()).unwrap();
    assert!(certificate.verify(old, b"octets", &signature));
    assert!(!certificate.verify(old, b"others", &signature));
    assert!(!certificate.verify(Scheme::RsaPkcs1(SignatureHash::Sha2_256), b"octets", &signature));
    // Blinding does not show.
    let mut other = Rng::stream(2, "other", Purpose::Test);
    assert_eq!(key.sign(old, b"octets", &mut other).unwrap(), signature);
}

/// RFC 8017 section 9.2: what RSASSA-PKCS1-v1_5 pads is the hash behind the DER that names its function. With that DER in front, the
/// bare form of RFC 2409 is the same signature, and without it another one.
#[test]
fn a_bare_hash_is_signed_without_a_name() {
    let message = b"octets";
    let hash = SignatureHash::Sha2_256.digest(message);
    let named = [hex("3031300d060960864801650304020105000420"), hash.clone()].concat();
    let key = PrivateKey::drawn(KeyType::Rsa, &mut rng());
    let usual = key.sign(Scheme::RsaPkcs1(SignatureHash::Sha2_256), message, &mut rng()).unwrap();
    assert_eq!(key.sign_hash(&named, &mut rng()).unwrap(), usual);
    assert_ne!(key.sign_hash(&hash, &mut rng()).unwrap(), usual);

    for kind in [KeyType::Rsa, KeyType::EcdsaP256, KeyType::EcdsaP384] {
        let key = PrivateKey::drawn(kind, &mut rng());
        let certificate = certified(&key);
        let signature = key.sign_hash(&hash, &mut rng()).unwrap();
        assert!(certificate.verify_hash(&hash, &signature), "{kind:?}");
        assert!(!certificate.verify_hash(&hash[1..], &signature), "{kind:?}");
        assert!(!certificate.verify_hash(&hash, &signature[1..]), "{kind:?}");
        assert!(
            !certified(&PrivateKey::drawn(kind, &mut Rng::stream(2, "other", Purpose::Test)))
                .verify_hash(&hash, &signature)
        );
    }
    // AWS-LC verifies ECDSA of the hash as ECDSA of the message.
    let key = PrivateKey::drawn(KeyType::EcdsaP256, &mut rng());
    let signature = ecdsa_to_der(key.kind(), &key.sign_hash(&hash, &mut rng()).unwrap()).unwrap();
    assert!(certified(&key).verify(Scheme::Ecdsa(SignatureHash::Sha2_256), message, &signature));
}

#[test]
fn a_key_signs_with_what_fits_its_strength_and_the_peer() {
    let (a, b) = (PrivateKey::drawn(KeyType::EcdsaP256, &mut rng()), PrivateKey::drawn(KeyType::EcdsaP384, &mut rng()));
    let all = SignatureHash::OFFERED;
    assert_eq!(a.scheme(&all, true), Some(Scheme::Ecdsa(SignatureHash::Sha2_256)));
    assert_eq!(b.scheme(&all, false), Some(Scheme::Ecdsa(SignatureHash::Sha2_384)));
    assert_eq!(a.scheme(&all[2..], false), Some(Scheme::Ecdsa(SignatureHash::Sha2_512)));
    assert_eq!(a.scheme(&[], false), None);
    assert_eq!(a.sign(Scheme::RsaPkcs1(SignatureHash::Sha2_256), b"", &mut rng()), None);
    // A curve and a hash that are not of one strength go together all the same (RFC 7427 section 3).
    let der = a.sign(Scheme::Ecdsa(SignatureHash::Sha2_512), b"octets", &mut rng()).unwrap();
    assert!(certified(&a).verify(Scheme::Ecdsa(SignatureHash::Sha2_512), b"octets", &der));
}

#[test]
fn what_is_no_key_is_refused_and_no_key_is_shown() {
    assert_eq!(PrivateKey::from_pem("hello"), Err(KeyError::Pem));
    let text = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(PrivateKey::from_pem(text), Err(KeyError::Algorithm));
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(PrivateKey::from_pem(text), Err(KeyError::Pem));
    let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(PrivateKey::from_pem(text), Err(KeyError::Encrypted));
    let key = PrivateKey::drawn(KeyType::EcdsaP256, &mut rng());
    assert_eq!(format!("{key:?}"), "PrivateKey(EcdsaP256)");
}
