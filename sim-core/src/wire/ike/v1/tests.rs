use proptest::prelude::*;

use super::*;

/// The first message of Main Mode, assembled by hand from the drawings of RFC 2408 section 3 and the numbers of RFC 2409
/// appendix A: AES-CBC (7, IANA) with 128-bit keys, SHA-1, pre-shared key, group 2, 28,800 seconds as a long attribute.
fn main_mode_by_hand() -> Vec<u8> {
    vec![
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, // initiator's cookie
        0, 0, 0, 0, 0, 0, 0, 0, // responder's cookie
        1, 0x10, 2, 0, // SA next, version 1.0, Identity Protection, no flags
        0, 0, 0, 0, // message id
        0, 0, 0, 96, // length
        13, 0, 0, 60, // SA payload, VID next
        0, 0, 0, 1, 0, 0, 0, 1, // DOI IPsec, SIT_IDENTITY_ONLY
        0, 0, 0, 48, 1, 1, 0, 1, // last proposal, number 1, PROTO_ISAKMP, no SPI, 1 transform
        0, 0, 0, 40, 1, 1, 0, 0, // last transform, number 1, KEY_IKE
        0x80, 1, 0, 7, // Encryption Algorithm: AES-CBC
        0x80, 14, 0, 128, // Key Length
        0x80, 2, 0, 2, // Hash Algorithm: SHA
        0x80, 3, 0, 1, // Authentication Method: pre-shared key
        0x80, 4, 0, 2, // Group Description: 1024-bit MODP
        0x80, 11, 0, 1, // Life Type: seconds
        0, 12, 0, 4, 0, 0, 0x70, 0x80, // Life Duration: 28,800
        0, 0, 0, 8, 0xde, 0xad, 0xbe, 0xef, // VID
    ]
}

fn main_mode_parsed() -> Message<'static> {
    let mut header = Header::new((0x1122_3344_5566_7788, 0), ExchangeType::MainMode, Flags::default(), 0);
    header.next_payload = PayloadType::SecurityAssociation;
    header.length = 96;
    let attributes = vec![
        Attribute::Short(1, 7),
        Attribute::Short(14, 128),
        Attribute::Short(2, 2),
        Attribute::Short(3, 1),
        Attribute::Short(4, 2),
        Attribute::Short(11, 1),
        Attribute::Long(12, vec![0, 0, 0x70, 0x80]),
    ];
    let transforms = vec![Transform { number: 1, id: 1, attributes }];
    let proposal = Proposal { number: 1, protocol: Protocol::Isakmp, spi: Spi::EMPTY, transforms };
    Message { header, payloads: vec![Payload::Sa(vec![proposal]), Payload::VendorId(&[0xde, 0xad, 0xbe, 0xef])] }
}

#[test]
fn a_message_assembled_by_hand_is_read_and_written() {
    let bytes = main_mode_by_hand();
    assert_eq!(Message::parse(&bytes), Ok(main_mode_parsed()));
    assert_eq!(main_mode_parsed().emit(), bytes);
}

#[test]
fn an_attribute_is_read_short_or_long() {
    let attributes =
        vec![Attribute::Short(11, 1), Attribute::Long(12, vec![0, 1, 0, 0]), Attribute::Long(13, vec![1; 9])];
    let transform = Transform { number: 1, id: 1, attributes };
    assert_eq!([11, 12, 13, 14].map(|kind| transform.value(kind)), [Some(1), Some(65_536), None, None]);
}

#[test]
fn errors_name_layer_and_field() {
    let text = |bytes: &[u8]| Message::parse(bytes).unwrap_err().to_string();
    let good = main_mode_by_hand();
    let with = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        bytes
    };
    assert_eq!(text(&good[..27]), "IKE header: 27 octets, need 28");
    assert_eq!(text(&good[..60]), "IKE header: Length says 96, the datagram has 60");
    assert_eq!(text(&with(17, 0x20)), "IKE header: major version 2");
    // SA payload length 3 cannot hold its own header.
    assert_eq!(text(&with(31, 3)), "IKE SecurityAssociation payload: Payload Length 3 where 68 octets are left");
    assert_eq!(text(&with(35, 2)), "IKE SecurityAssociation payload: DOI is 2");
    assert_eq!(text(&with(39, 4)), "IKE SecurityAssociation payload: Situation is 4");
    // The proposal claims two transforms and has one.
    assert_eq!(text(&with(47, 2)), "IKE SecurityAssociation payload: Next Payload of a transform is 0");
    // The Vendor ID names another payload behind the last one.
    assert_eq!(text(&with(88, 12)), "IKE Delete payload: header cut short");
}

#[test]
fn padding_is_behind_the_chain() {
    let flags = Flags { encryption: true, ..Flags::default() };
    let header = Header::new((1, 2), ExchangeType::Informational, flags, 9);
    let mut builder = Builder::new(&header);
    builder.push(&Payload::Hash(&[7; 20])).pad(16);
    let bytes = builder.finish();
    assert_eq!(bytes.len(), HEADER_LEN + 32);
    let header = Header::parse(&bytes).unwrap();
    let (payloads, end) = parse_chain(header.next_payload, &bytes[HEADER_LEN..]).unwrap();
    assert_eq!((payloads, end), (vec![Payload::Hash(&[7; 20])], 24));
    assert!(bytes[HEADER_LEN + end..].iter().all(|octet| *octet == 0));
}

/// Owned parts from which a message with every kind of payload is put together.
#[derive(Clone, Debug)]
struct Parts {
    header: Header,
    proposals: Vec<Proposal>,
    octets: Vec<u8>,
    nonce: Vec<u8>,
    word: u16,
    kind: u8,
}

impl Parts {
    fn message(&self) -> Message<'_> {
        let data = &self.octets[..];
        let payloads = vec![
            Payload::Sa(self.proposals.clone()),
            Payload::Ke(data),
            Payload::Id(Id { kind: IdType::from_wire(self.kind), protocol: self.kind, port: self.word, data }),
            Payload::Hash(data),
            Payload::Nonce(&self.nonce),
            Payload::Notify(Notify {
                protocol: Protocol::from_wire(self.kind),
                spi: &data[..data.len().min(16)],
                kind: NotifyType::from_wire(self.word),
                data,
            }),
            Payload::Delete(Delete { protocol: Protocol::Esp, spi_size: 4, spis: &data[..data.len() / 4 * 4] }),
            Payload::VendorId(data),
            Payload::NatD(data),
            Payload::Cert { encoding: CertEncoding::from_wire(self.kind), data },
            Payload::CertReq { encoding: CertEncoding::from_wire(self.kind), authority: data },
            Payload::Sig(data),
            Payload::Opaque { kind: PayloadType::NatOriginalAddress, body: data },
            Payload::Opaque { kind: PayloadType::Other(200), body: data },
        ];
        Message { header: self.header, payloads }
    }
}

fn transform() -> impl Strategy<Value = Transform> {
    let attribute = prop_oneof![
        (0u16..0x8000, any::<u16>()).prop_map(|(t, v)| Attribute::Short(t, v)),
        (0u16..0x8000, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(t, v)| Attribute::Long(t, v)),
    ];
    (any::<u8>(), any::<u8>(), prop::collection::vec(attribute, 0..5)).prop_map(|(number, id, attributes)| Transform {
        number,
        id,
        attributes,
    })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=8), prop::collection::vec(transform(), 0..5))
        .prop_map(|(number, protocol, spi, transforms)| Proposal {
            number,
            protocol: Protocol::from_wire(protocol),
            spi: Spi::new(&spi).unwrap(),
            transforms,
        })
}

fn parts() -> impl Strategy<Value = Parts> {
    (
        (1u64.., any::<u64>(), any::<u8>(), any::<[bool; 3]>(), any::<u32>()),
        prop::collection::vec(proposal(), 1..4),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 8..=64),
        any::<(u16, u8)>(),
    )
        .prop_map(|(h, proposals, octets, nonce, (word, kind))| {
            let [encryption, commit, authentication_only] = h.3;
            let flags = Flags { encryption, commit, authentication_only };
            let header = Header::new((h.0, h.1), ExchangeType::from_wire(h.2), flags, h.4);
            Parts { header, proposals, octets, nonce, word, kind }
        })
}

proptest! {
    #[test]
    fn parse_after_emit_is_identity(parts in parts()) {
        let mut message = parts.message();
        let bytes = message.emit();
        message.header.next_payload = PayloadType::SecurityAssociation;
        message.header.length = bytes.len() as u32;
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }

    #[test]
    fn what_is_parsed_is_written_back_alike(parts in parts(), at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let mut bytes = parts.message().emit();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        // A flip in a reserved field is forgotten, and then the bytes differ; what they mean must not.
        if let Ok(parsed) = Message::parse(&bytes) {
            let again = parsed.emit();
            prop_assert_eq!(Message::parse(&again).map(|m| m.payloads), Ok(parsed.payloads));
        }
    }

    #[test]
    fn no_prefix_and_no_garbage_panics(parts in parts(), cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = parts.message().emit();
        let cut = cut.index(bytes.len());
        prop_assert!(Message::parse(&bytes[..cut]).is_err());
        let _ = Message::parse(&noise);
        for first in 0..=22 {
            let _ = parse_chain(PayloadType::from_wire(first), &noise);
        }
    }
}
