use super::*;
use crate::crypto::prf::Prf;
use crate::crypto::testing::hex;
use proptest::prelude::*;

fn suites() -> impl Iterator<Item = Suite> {
    let ciphers = Encryption::ALL.into_iter().chain([Encryption::Null]);
    ciphers.flat_map(|e| Integrity::ALL.into_iter().filter_map(move |i| Suite::new(e, i)))
}

/// A context with keys that count up, and those keys.
fn keyed(suite: Suite) -> (Protection, Vec<u8>) {
    let encryption: Vec<u8> = (0..suite.encryption().keymat_len() as u8).collect();
    let integrity: Vec<u8> = (100..100 + suite.integrity().key_len() as u8).collect();
    (Protection::new(suite, &encryption, &integrity), integrity)
}

/// Lays out a message, seals it, and opens it again.
fn seal(protection: &Protection, header: &[u8], iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut message = [header, iv, text].concat();
    message.resize(message.len() + protection.suite().icv_len(), 0);
    protection.seal(&mut message, header.len());

    let mut opened = message.clone();
    let at = protection.open(&mut opened, header.len()).unwrap();
    assert_eq!(opened[at], *text);
    message
}

/// draft-mcgrew-gcm-test-01 section 4 (RFC 4106 publishes no vectors): key, salt, SPI | sequence number, IV, text and
/// what must come out of it.
#[test]
fn aes_gcm_esp_vectors() {
    for (encryption, key_and_salt, header, iv, text, sealed) in [
        (
            Encryption::AesGcm16_128,
            "4c80cdefbb5d10da906ac73c3613a6342e443b68",
            "000043218765432100000000", // with an extended sequence number
            "4956ed7e3b244cfe",
            "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000
             00000000045f736970045f756470037369700963796265726369747902646b00
             0021000101020201",
            "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34
             cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce
             61bc17d768fd9732459018148f6cbe722fd04796562dfdb4",
        ),
        (
            Encryption::AesGcm16_256,
            "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344",
            "4a2cbfe300000002",
            "0102030405060708",
            "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000
             7002400020bf0000020405b40101040201020201",
            "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763
             748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c49
             15956c96",
        ),
    ] {
        let suite = Suite::new(encryption, Integrity::None).unwrap();
        let protection = Protection::new(suite, &hex(key_and_salt), &[]);
        let message = seal(&protection, &hex(header), &hex(iv), &hex(text));
        assert_eq!(message, hex(&[header, iv, sealed].concat()));
    }
}

/// The same draft's message with an extended sequence number, as ESP has it: 87654321 is authenticated in its place and not
/// sent (RFC 4106 section 5).
#[test]
fn the_high_half_of_a_sequence_number_is_authenticated_and_not_sent() {
    let suite = Suite::new(Encryption::AesGcm16_128, Integrity::None).unwrap();
    let protection = Protection::new(suite, &hex("4c80cdefbb5d10da906ac73c3613a6342e443b68"), &[]);
    let text = "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000
                00000000045f736970045f756470037369700963796265726369747902646b00
                0021000101020201";
    let (header, iv) = ("0000432100000000", "4956ed7e3b244cfe");
    let mut message = hex(&[header, iv, text].concat());
    message.resize(message.len() + 16, 0);
    protection.seal_extended(&mut message, 8, Some(0x8765_4321));
    let sealed = "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34
                  cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce
                  61bc17d768fd9732459018148f6cbe722fd04796562dfdb4";
    assert_eq!(message, hex(&[header, iv, sealed].concat()));
    assert_eq!(protection.open_extended(&mut message.clone(), 8, Some(0x8765_4322)), Err(OpenError::BadIcv));
    assert_eq!(protection.open_extended(&mut message.clone(), 8, None), Err(OpenError::BadIcv));
    let at = protection.open_extended(&mut message, 8, Some(0x8765_4321)).unwrap();
    assert_eq!(message[at], hex(text));
}

/// RFC 3602 section 4 cases 1 and 2 (128-bit key), SP 800-38A appendix F.2.5 (256-bit key). The ICV of a message is by
/// definition the head of a PRF over all of it, and [`Prf`] has vectors of its own.
#[test]
fn aes_cbc_vectors_under_every_hmac() {
    let two_blocks: String = (0..32).map(|octet| format!("{octet:02x}")).collect();
    for (encryption, key, iv, text, ciphertext) in [
        (
            Encryption::AesCbc128,
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            "53696e676c6520626c6f636b206d7367", // "Single block msg"
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            Encryption::AesCbc128,
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            &two_blocks,
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
        (
            Encryption::AesCbc256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        ),
    ] {
        for (integrity, prf, icv_len) in [
            (Integrity::HmacSha1_96, Prf::HmacSha1, 12),
            (Integrity::HmacSha2_256_128, Prf::HmacSha2_256, 16),
            (Integrity::HmacSha2_384_192, Prf::HmacSha2_384, 24),
            (Integrity::HmacSha2_512_256, Prf::HmacSha2_512, 32),
        ] {
            let suite = Suite::new(encryption, integrity).unwrap();
            let integrity_key = vec![0x0b; integrity.key_len()];
            let protection = Protection::new(suite, &hex(key), &integrity_key);
            let header = hex("0000876500000001");
            let message = seal(&protection, &header, &hex(iv), &hex(text));
            let (authenticated, icv) = message.split_at(message.len() - icv_len);
            assert_eq!(authenticated, [header, hex(iv), hex(ciphertext)].concat());
            assert_eq!(*icv, prf.prf(&integrity_key, &[authenticated])[..icv_len]);
        }
    }
}

#[test]
fn no_bit_can_be_changed() {
    for suite in suites() {
        let (protection, _) = keyed(suite);
        let iv = vec![0x55; suite.encryption().iv_len()];
        let message = seal(&protection, b"header", &iv, &[0x33; 32]);
        for bit in 0..message.len() * 8 {
            let mut tampered = message.clone();
            tampered[bit / 8] ^= 1 << (bit % 8);
            let opened = protection.open(&mut tampered, 6);
            assert_eq!(opened, Err(OpenError::BadIcv), "{suite:?}, bit {bit}");
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for suite in suites() {
        let (protection, _) = keyed(suite);
        let least = 8 + suite.encryption().iv_len() + suite.icv_len();
        for len in 0..least {
            let opened = protection.open(&mut vec![0; len], 8);
            assert_eq!(opened, Err(OpenError::Length), "{suite:?}, {len} octets");
        }
        if suite.encryption().block_len() > 1 {
            let opened = protection.open(&mut vec![0; least + 15], 8);
            assert_eq!(opened, Err(OpenError::Length));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_octets_never_open(octets in prop::collection::vec(any::<u8>(), 0..200), header in 0usize..220) {
        for suite in suites() {
            prop_assert!(keyed(suite).0.open(&mut octets.clone(), header).is_err());
        }
    }
}

#[test]
fn integrity_is_given_once() {
    assert!(Suite::new(Encryption::AesGcm16_256, Integrity::HmacSha1_96).is_none());
    assert!(Suite::new(Encryption::AesCbc256, Integrity::None).is_none());
    assert!(Suite::new(Encryption::Null, Integrity::None).is_none());
    assert_eq!(suites().count(), 3 * 4 + 2);
}

#[test]
fn transform_ids_are_ianas() {
    assert_eq!(Encryption::from_id(12, 128), Some(Encryption::AesCbc128));
    assert_eq!(Encryption::from_id(12, 256), Some(Encryption::AesCbc256));
    assert_eq!(Encryption::from_id(20, 128), Some(Encryption::AesGcm16_128));
    assert_eq!(Encryption::from_id(20, 256), Some(Encryption::AesGcm16_256));
    assert_eq!(Encryption::from_id(20, 192), None);
    assert_eq!(Encryption::from_id(11, 0), Some(Encryption::Null));
    assert_eq!(Integrity::from_id(2), Some(Integrity::HmacSha1_96));
    assert_eq!(Integrity::from_id(12), Some(Integrity::HmacSha2_256_128));
    assert_eq!(Integrity::from_id(13), Some(Integrity::HmacSha2_384_192));
    assert_eq!(Integrity::from_id(14), Some(Integrity::HmacSha2_512_256));
    assert_eq!(Integrity::from_id(1), None); // AUTH_HMAC_MD5_96
}

#[test]
fn a_context_does_not_print_its_keys() {
    for suite in suites() {
        let shown = format!("{:?}", keyed(suite).0);
        assert_eq!(shown, format!("Protection {{ suite: {suite:?}, .. }}"));
    }
}
