use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipsec_parser::{IkeV2PayloadContent as Theirs, parse_ikev2_message};
use proptest::prelude::*;

use super::*;

/// An IKE_SA_INIT request assembled by hand from the drawings of RFC 7296 sections 3.1 to 3.10: AES-CBC-128,
/// PRF_HMAC_SHA1, AUTH_HMAC_SHA1_96, group 2 (a public value cut to four octets), a 16-octet nonce.
fn init_by_hand() -> Vec<u8> {
    let mut bytes = vec![
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, // initiator's SPI
        0, 0, 0, 0, 0, 0, 0, 0, // responder's SPI
        33, 0x20, 34, 0x08, // SA next, version 2.0, IKE_SA_INIT, flag I
        0, 0, 0, 0, // message id
        0, 0, 0, 124, // length
        34, 0, 0, 48, // SA payload, KE next
        0, 0, 0, 44, 1, 1, 0, 4, // last proposal, number 1, IKE, no SPI, 4 transforms
        3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 0, 128, // ENCR_AES_CBC, Key Length 128
        3, 0, 0, 8, 2, 0, 0, 2, // PRF_HMAC_SHA1
        3, 0, 0, 8, 3, 0, 0, 2, // AUTH_HMAC_SHA1_96
        0, 0, 0, 8, 4, 0, 0, 2, // group 2
        40, 0, 0, 12, 0, 2, 0, 0, 0xde, 0xad, 0xbe, 0xef, // KE, Nonce next
        41, 0, 0, 20, // Nonce, Notify next
    ];
    bytes.extend([0xaa; 16]);
    // NAT_DETECTION_SOURCE_IP with its data cut to eight octets
    bytes.extend([0, 0, 0, 16, 0, 0, 0x40, 0x04, 1, 2, 3, 4, 5, 6, 7, 8]);
    bytes
}

fn init_parsed(nonce: &[u8]) -> Message<'_> {
    let mut header =
        Header::v2(0x1122_3344_5566_7788, 0, ExchangeType::IkeSaInit, Flags { initiator: true, ..Flags::default() }, 0);
    header.next_payload = PayloadType::SecurityAssociation;
    header.length = 124;
    let transforms = vec![
        Transform { key_length: Some(128), ..Transform::new(TransformType::Encryption, 12) },
        Transform::new(TransformType::Prf, 2),
        Transform::new(TransformType::Integrity, 2),
        Transform::new(TransformType::DhGroup, 2),
    ];
    Message {
        header,
        payloads: vec![
            Payload::Sa(vec![Proposal { number: 1, protocol: Protocol::Ike, spi: Spi::EMPTY, transforms }]),
            Payload::Ke { group: 2, data: &[0xde, 0xad, 0xbe, 0xef] },
            Payload::Nonce(nonce),
            Payload::Notify(Notify::new(NotifyType::NatDetectionSourceIp, &[1, 2, 3, 4, 5, 6, 7, 8])),
        ],
    }
}

#[test]
fn a_message_assembled_by_hand_is_read_and_written() {
    let bytes = init_by_hand();
    let nonce = [0xaa; 16];
    assert_eq!(Message::parse(&bytes), Ok(init_parsed(&nonce)));
    assert_eq!(init_parsed(&nonce).emit(), bytes);
}

#[test]
fn errors_name_layer_and_field() {
    let text = |bytes: &[u8]| Message::parse(bytes).unwrap_err().to_string();
    let good = init_by_hand();
    let with = |at: usize, octet: u8| {
        let mut bytes = good.clone();
        bytes[at] = octet;
        bytes
    };
    assert_eq!(text(&good[..27]), "IKE header: 27 octets, need 28");
    assert_eq!(text(&good[..60]), "IKE header: Length says 124, the datagram has 60");
    assert_eq!(text(&with(17, 0x30)), "IKE header: major version 3");
    assert_eq!(text(&[0; 28]), "IKE header: initiator's SPI is zero");
    // SA payload length 3 cannot hold its own header.
    assert_eq!(text(&with(31, 3)), "IKE SecurityAssociation payload: Payload Length 3 where 96 octets are left");
    // The proposal claims five transforms and has four.
    assert_eq!(text(&with(39, 5)), "IKE SecurityAssociation payload: Last Substruc is 0");
    // A Notify SPI of nine octets.
    assert_eq!(text(&with(113, 9)), "IKE Notify payload: SPI cut short");
    // The Nonce payload names another payload behind the last one.
    assert_eq!(text(&with(108, 43)), "IKE VendorId payload: header cut short");
}

#[test]
fn an_unknown_payload_keeps_its_critical_bit_and_a_known_one_drops_it() {
    let header = Header::v2(1, 2, ExchangeType::Informational, Flags::default(), 9);
    let unknown = Payload::Opaque { kind: PayloadType::Other(200), critical: true, body: b"future" };
    let mut builder = Builder::new(&header);
    builder.push(&unknown).push(&Payload::VendorId(b"v"));
    let mut bytes = builder.finish();
    assert_eq!(bytes[HEADER_LEN + 1], 0x80);
    let vendor_header = HEADER_LEN + 4 + 6;
    bytes[vendor_header + 1] = 0x80;
    let parsed = Message::parse(&bytes).unwrap();
    assert_eq!(parsed.payloads, [unknown, Payload::VendorId(b"v")]);
}

#[test]
fn an_encrypted_payload_has_final_lengths_before_it_is_sealed() {
    let header = Header::v2(1, 2, ExchangeType::IkeAuth, Flags::default(), 1);
    let mut builder = Builder::new(&header);
    builder.push(&Payload::VendorId(b"clear"));
    builder.begin_sk().push(&Payload::VendorId(b"abc"));
    // AES-CBC with HMAC-SHA1-96: IV 16, one block of 7 inner octets, padding and Pad Length, ICV 12.
    let Unsealed { mut message, inner } = builder.finish_sk(|inner| {
        assert_eq!(inner, 4 + 3);
        16 + 16 + 12
    });
    let prefix = message.len();
    assert_eq!(prefix, 28 + 9 + 4);
    message.extend([0x5a; 44]);
    let parsed = Message::parse(&message).unwrap();
    let (at, first) = sk::header_len(message.len(), &parsed.payloads).unwrap();
    assert_eq!((at, first), (prefix, PayloadType::VendorId));
    assert_eq!(parse_chain(first, &inner), Ok(vec![Payload::VendorId(b"abc")]));
}

/// RFC 7383 section 2.5: header, SKF with its two numbers, Next Payload in the first alone, each with final lengths.
#[test]
fn fragments_assembled_by_hand_are_read_and_written() {
    let header = Header::v2(0x0102_0304_0506_0708, 0x1112_1314_1516_1718, ExchangeType::IkeAuth, Flags::default(), 1);
    let mut builder = Builder::new(&header);
    builder.begin_sk().push(&Payload::VendorId(b"abcdefghijkl"));
    // AES-GCM with a 16-octet ICV: IV 8, the piece, Pad Length 1, ICV 16. 70 octets leave room for a piece of 9.
    let parts = builder.finish_within(70, |piece| 8 + piece + 1 + 16);
    let by_hand = |first: u8, number: u8, len: u8, piece: &[u8]| {
        let mut message = vec![1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18];
        message.extend([53, 0x20, 35, 0, 0, 0, 0, 1, 0, 0, 0, len]); // SKF next, version 2.0, IKE_AUTH, ID 1, length
        message.extend([first, 0, 0, len - 28, 0, number, 0, 2]); // SKF, fragment `number` of 2
        Unsealed { message, inner: piece.to_vec() }
    };
    let expected = [by_hand(43, 1, 70, &[0, 0, 0, 16, b'a', b'b', b'c', b'd', b'e']), by_hand(0, 2, 68, b"fghijkl")];
    assert_eq!(parts, expected);
    for (part, number) in parts.into_iter().zip(1..) {
        let mut message = part.message;
        message.resize(message.len() + 25 + part.inner.len(), 0x5a);
        let first = if number == 1 { PayloadType::VendorId } else { PayloadType::None };
        assert_eq!(Fragment::parse(&message), Ok(Fragment { number, total: 2, first, header_len: 36 }));
    }
}

#[test]
fn a_message_that_fits_is_not_fragmented() {
    let header = Header::v2(1, 2, ExchangeType::IkeAuth, Flags::default(), 1);
    let builder = || {
        let mut builder = Builder::new(&header);
        builder.begin_sk().push(&Payload::VendorId(b"abcdefgh"));
        builder
    };
    // 28 + 4 + 12 octets inside.
    assert_eq!(builder().finish_within(44, |inner| inner), [builder().finish_sk(|inner| inner)]);
    assert_eq!(builder().finish_within(43, |inner| inner).len(), 2);
    // A limit without room for anything still comes to an end.
    assert_eq!(builder().finish_within(0, |inner| inner).len(), 12);
}

#[test]
fn selectors_intersect_by_address_protocol_and_port() {
    let net = |text: &str| TrafficSelector::prefix(text.parse().unwrap());
    let both = net("10.0.0.0/8").intersection(&net("10.1.0.0/16"));
    assert_eq!(both, Some(net("10.1.0.0/16")));
    assert_eq!(net("10.0.0.0/8").intersection(&net("11.0.0.0/8")), None);
    assert_eq!(net("10.0.0.0/8").intersection(&net("fd00::/8")), None);
    let tcp = TrafficSelector { protocol: 6, ports: (100, 200), ..net("10.0.0.0/8") };
    assert_eq!(tcp.intersection(&TrafficSelector::ANY_V4), Some(tcp));
    let udp = TrafficSelector { protocol: 17, ..tcp };
    assert_eq!(tcp.intersection(&udp), None);
}

/// Owned parts from which a message with every kind of payload is put together.
#[derive(Clone, Debug)]
struct Parts {
    header: Header,
    proposals: Vec<Proposal>,
    selectors: Vec<TrafficSelector>,
    octets: Vec<u8>,
    nonce: Vec<u8>,
    word: u16,
    kind: u8,
    sealed: bool,
}

impl Parts {
    fn payloads(&self) -> Vec<Payload<'_>> {
        let data = &self.octets[..];
        let whole_spis = &data[..data.len() / 4 * 4];
        let id = Id { kind: IdType::from_wire(self.kind), data };
        let mut payloads = vec![
            Payload::Sa(self.proposals.clone()),
            Payload::Ke { group: self.word, data },
            Payload::IdI(id),
            Payload::IdR(id),
            Payload::Cert { encoding: CertEncoding::from_wire(self.kind), data },
            Payload::CertReq { encoding: CertEncoding::from_wire(self.kind), authorities: data },
            Payload::Auth { method: AuthMethod::from_wire(self.kind), data },
            Payload::Nonce(&self.nonce),
            Payload::Notify(Notify {
                protocol: Protocol::from_wire(self.kind),
                spi: Spi::new(&data[..data.len().min(8)]).unwrap(),
                kind: NotifyType::from_wire(self.word),
                data,
            }),
            Payload::Delete(Delete { protocol: Protocol::Esp, spi_size: 4, spis: whole_spis }),
            Payload::VendorId(data),
            Payload::TsI(self.selectors.clone()),
            Payload::TsR(self.selectors.clone()),
            Payload::Opaque { kind: PayloadType::Eap, critical: false, body: data },
            Payload::Opaque { kind: PayloadType::Other(200), critical: self.sealed, body: data },
        ];
        if self.sealed {
            payloads.push(Payload::Sealed {
                kind: PayloadType::Encrypted,
                first: PayloadType::from_wire(self.kind),
                body: data,
            });
        }
        payloads
    }
}

fn transform() -> impl Strategy<Value = Transform> {
    let attribute = prop_oneof![
        (0u16..14, any::<u16>()).prop_map(|(t, v)| Attribute::Short(t, v)),
        (0u16..0x8000, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(t, v)| Attribute::Long(t, v)),
    ];
    (any::<u8>(), any::<u16>(), any::<Option<u16>>(), prop::collection::vec(attribute, 0..3)).prop_map(
        |(kind, id, key_length, unknown)| Transform { kind: TransformType::from_wire(kind), id, key_length, unknown },
    )
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

fn selector() -> impl Strategy<Value = TrafficSelector> {
    let range = prop_oneof![
        any::<[u32; 2]>().prop_map(|[a, b]| AddressRange::V4(Ipv4Addr::from_bits(a), Ipv4Addr::from_bits(b))),
        any::<[u128; 2]>().prop_map(|[a, b]| AddressRange::V6(Ipv6Addr::from_bits(a), Ipv6Addr::from_bits(b))),
    ];
    (any::<u8>(), any::<(u16, u16)>(), range).prop_map(|(protocol, ports, addresses)| TrafficSelector {
        protocol,
        ports,
        addresses,
    })
}

fn parts() -> impl Strategy<Value = Parts> {
    let header = (1u64.., any::<u64>(), any::<u8>(), any::<[bool; 3]>(), any::<u32>());
    (
        header,
        prop::collection::vec(proposal(), 1..4),
        prop::collection::vec(selector(), 0..4),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(any::<u8>(), 16..=64),
        any::<(u16, u8, bool)>(),
    )
        .prop_map(|(h, proposals, selectors, octets, nonce, rest)| {
            let [initiator, version, response] = h.3;
            let flags = Flags { initiator, version, response };
            Parts {
                header: Header::v2(h.0, h.1, ExchangeType::from_wire(h.2), flags, h.4),
                proposals,
                selectors,
                octets,
                nonce,
                word: rest.0,
                kind: rest.1,
                sealed: rest.2,
            }
        })
}

fn same(ours: &Payload<'_>, theirs: &Theirs<'_>) -> bool {
    match (ours, theirs) {
        (Payload::Sa(ours), Theirs::SA(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(o, t)| {
                    o.number == t.proposal_num
                        && o.protocol.to_wire() == t.protocol_id.0
                        && o.spi.octets() == t.spi.unwrap_or_default()
                        && o.transforms.len() == t.transforms.len()
                        && o.transforms.iter().zip(&t.transforms).all(|(o, t)| {
                            let plain = o.key_length.is_none() && o.unknown.is_empty();
                            (o.kind.to_wire(), o.id) == (t.transform_type.0, t.transform_id)
                                && plain == t.attributes.unwrap_or_default().is_empty()
                        })
                })
        }
        (Payload::Ke { group, data }, Theirs::KE(t)) => (*group, *data) == (t.dh_group.0, t.kex_data),
        (Payload::IdI(id), Theirs::IDi(t)) | (Payload::IdR(id), Theirs::IDr(t)) => {
            (id.kind.to_wire(), id.data) == (t.id_type.0, t.ident_data)
        }
        (Payload::Nonce(data), Theirs::Nonce(t)) => *data == t.nonce_data,
        (Payload::TsI(ours), Theirs::TSi(t)) | (Payload::TsR(ours), Theirs::TSr(t)) => {
            ours.len() == t.ts.len()
                && ours.iter().zip(&t.ts).all(|(o, t)| {
                    let (low, high): (IpAddr, IpAddr) = match o.addresses {
                        AddressRange::V4(low, high) => (low.into(), high.into()),
                        AddressRange::V6(low, high) => (low.into(), high.into()),
                    };
                    (o.protocol, o.ports) == (t.ip_proto_id, (t.start_port, t.end_port))
                        && t.get_start_addr() == Some(low)
                        && t.get_end_addr() == Some(high)
                })
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn parse_after_emit_is_identity(parts in parts()) {
        let mut message = Message { header: parts.header, payloads: parts.payloads() };
        let bytes = message.emit();
        message.header.next_payload = PayloadType::SecurityAssociation;
        message.header.length = bytes.len() as u32;
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }

    /// Another implementation, the `ipsec-parser` crate, reads the same values from what is written here. Only header, SA, KE,
    /// ID, Nonce and TS: its version 0.7 cuts four octets off Notify, Delete and Vendor ID and leaves AUTH's reserved ones in.
    #[test]
    fn another_parser_reads_the_same(parts in parts()) {
        let mut message = Message { header: parts.header, payloads: parts.payloads() };
        message.payloads.retain(|payload| match payload {
            Payload::Sa(_) | Payload::Ke { .. } | Payload::IdI(_) | Payload::IdR(_) | Payload::Nonce(_) => true,
            Payload::TsI(selectors) | Payload::TsR(selectors) => !selectors.is_empty(),
            _ => false,
        });
        let bytes = message.emit();
        let (rest, (header, payloads)) = parse_ikev2_message(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!((header.init_spi, header.resp_spi), (parts.header.spi_i, parts.header.spi_r));
        prop_assert_eq!(header.exch_type.0, parts.header.exchange.to_wire());
        prop_assert_eq!((header.msg_id, header.length as usize), (parts.header.message_id, bytes.len()));
        // Its list begins with a placeholder.
        let theirs = &payloads.unwrap()[1..];
        prop_assert_eq!(theirs.len(), message.payloads.len());
        for (ours, theirs) in message.payloads.iter().zip(theirs) {
            prop_assert!(same(ours, &theirs.content), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn what_is_parsed_is_written_back_alike(parts in parts(), at in any::<prop::sample::Index>(), bit in 0u32..8) {
        let message = Message { header: parts.header, payloads: parts.payloads() };
        let mut bytes = message.emit();
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
        let bytes = Message { header: parts.header, payloads: parts.payloads() }.emit();
        let cut = cut.index(bytes.len());
        prop_assert!(Message::parse(&bytes[..cut]).is_err());
        let _ = Message::parse(&noise);
        for first in [33, 34, 35, 39, 40, 41, 42, 43, 44, 46, 47, 53, 99] {
            let _ = parse_chain(PayloadType::from_wire(first), &noise);
        }
    }
}
