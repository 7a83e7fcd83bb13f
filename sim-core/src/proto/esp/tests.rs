mod ipv6;

use super::*;
use crate::crypto::testing::hex;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::rng::{Purpose, Seldom};
use crate::wire::ipv4::{self, Ipv4Header, Ipv4Packet, protocol};
use crate::wire::udp::UdpDatagram;
use proptest::prelude::*;

const SPI: u32 = 0xc0ff_ee01;

fn suites() -> impl Iterator<Item = Suite> {
    let ciphers = Encryption::ALL.into_iter().chain([Encryption::Null]);
    ciphers.flat_map(|e| Integrity::ALL.into_iter().filter_map(move |i| Suite::new(e, i)))
}

fn gcm() -> Suite {
    Suite::new(Encryption::AesGcm16_256, Integrity::None).unwrap()
}

/// Keys that count up from 0 (encryption), from f0 (salt) and from 40 (integrity), in hexadecimal.
fn keys(suite: Suite) -> SaKeys {
    let encryption: Vec<u8> =
        (0..suite.encryption().key_len() as u8).chain(0xf0..0xf0 + suite.encryption().salt_len() as u8).collect();
    let integrity: Vec<u8> = (0x40..0x40 + suite.integrity().key_len() as u8).collect();
    SaKeys { encryption: encryption.into(), integrity: integrity.into() }
}

fn outer(udp: Option<(u16, u16)>, df: DfBit) -> Outer {
    let (src, dst) = (Ipv4Addr::new(203, 0, 113, 1).into(), Ipv4Addr::new(198, 51, 100, 2).into());
    Outer { src, dst, udp, ttl: 64, df }
}

fn outbound(suite: Suite, outer: Outer) -> OutboundSa {
    let rng = Seldom::stream(1, "esp", Purpose::Test);
    OutboundSa::new(SPI, suite, &keys(suite), outer, None, rng)
}

fn inbound(suite: Suite) -> InboundSa {
    InboundSa::new(SPI, suite, &keys(suite), ReplayWindow::new(64), None)
}

fn pair(suite: Suite) -> (OutboundSa, InboundSa) {
    (outbound(suite, outer(None, DfBit::Copy)), inbound(suite))
}

/// A UDP datagram "hello" from 192.168.0.10 to 10.0.0.20: DSCP EF, ECT(0), DF.
fn inner() -> Packet {
    let bytes = hex("45ba0021123440003f115e18c0a8000a0a00001400070009000d000068656c6c6f");
    Packet::from_bytes(&bytes, Meta::default())
}

fn inner_of(len: usize) -> Packet {
    let (src, dst) = (Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(10, 0, 0, 1));
    let payload = vec![0x5a; len - ipv4::HEADER_LEN];
    Ipv4Header::new(src, dst, protocol::UDP).packet(&payload, Meta::default())
}

fn sealed(sa: &mut OutboundSa) -> Packet {
    let mut packet = inner();
    sa.seal(&mut packet).unwrap();
    packet
}

/// Changes the outer header and corrects its checksum, as a router does.
fn on_path(packet: &mut Packet, change: impl FnOnce(&mut Ipv4Packet<&mut [u8]>)) {
    let mut outer = Ipv4Packet::new_unchecked(packet.bytes_mut());
    change(&mut outer);
    outer.fill_checksum();
}

/// Made with another implementation: AES-GCM by OpenSSL through Python's `cryptography`, headers by `struct`.
#[test]
fn seals_what_another_implementation_seals() {
    let mut plain = outbound(gcm(), outer(None, DfBit::Copy));
    let packet = sealed(&mut plain);
    assert_eq!(
        packet.bytes(),
        hex("45ba0058000040004032d382cb007101c6336402c0ffee010000000100000000
             000000018b5550eeb387f8a2f122ffda3504d658649cae223df32432fefa0c47
             e698d271864ed29253144c5c6515f9e60df956757686dd07")
    );
    assert_eq!(plain.icv(&packet), hex("53144c5c6515f9e60df956757686dd07"));

    let mut behind_nat = outbound(gcm(), outer(Some((4500, 4501)), DfBit::Clear));
    behind_nat.first_ident = u16::MAX; // and 1, the sequence number, makes Identification 0
    assert_eq!(
        sealed(&mut behind_nat).bytes(),
        hex("45ba0060000000004011139ccb007101c633640211941195004c0000c0ffee01
             0000000100000000000000018b5550eeb387f8a2f122ffda3504d658649cae22
             3df32432fefa0c47e698d271864ed29253144c5c6515f9e60df956757686dd07")
    );
}

/// The same between addresses of IPv6. What is sealed does not depend on what is around it: the header of RFC 8200 section 3 by hand, with
/// the DSCP and ECN of the packet inside (ba) and 68 octets behind it, next header 50, or 76 and 17 with UDP, whose checksum is zero
/// (RFC 6935 section 5).
#[test]
fn the_same_is_sealed_between_addresses_of_ipv6() {
    let sealed_text = "c0ffee010000000100000000000000018b5550eeb387f8a2f122ffda3504d658649cae223df32432fefa0c47
         e698d271864ed29253144c5c6515f9e60df956757686dd07";
    let ends = "20010db8000c0000000000000000001020010db8000a00000000000000000010";
    for (udp, header, between) in
        [(None, "6ba0000000443240", ""), (Some((4500, 4501)), "6ba00000004c1140", "11941195004c0000")]
    {
        let (src, dst) = ("2001:db8:c::10".parse().unwrap(), "2001:db8:a::10".parse().unwrap());
        let mut sa = outbound(gcm(), Outer { src, dst, ..outer(udp, DfBit::Copy) });
        let mut packet = sealed(&mut sa);
        assert_eq!(packet.bytes(), hex(&[header, ends, between, sealed_text].concat()));
        let opened = inbound(gcm()).open(&mut packet).unwrap();
        assert_eq!((opened.src, opened.src_port), (src, udp.map(|(port, _)| port)));
        assert_eq!(packet.bytes(), inner().bytes());
    }
    // Between two families nothing goes, and nothing is counted.
    let mut sa = outbound(gcm(), Outer { dst: "2001:db8:a::10".parse().unwrap(), ..outer(None, DfBit::Copy) });
    let mut packet = inner();
    assert_eq!(sa.seal(&mut packet), Err(DropReason::Malformed));
    assert_eq!((sa.sequence(), packet.bytes()), (0, inner().bytes()));
}

/// A mark of congestion on the way, and a fragment that was not put together.
#[test]
fn an_outer_header_of_ipv6_carries_congestion_and_no_fragments() {
    let (src, dst) = ("2001:db8:c::10".parse().unwrap(), "2001:db8:a::10".parse().unwrap());
    let mut sa = outbound(gcm(), Outer { src, dst, ..outer(None, DfBit::Copy) });
    let mut packet = sealed(&mut sa);
    crate::wire::ipv6::Ipv6Packet::new_unchecked(packet.bytes_mut()).set_traffic_class(0xbb);
    inbound(gcm()).open(&mut packet).unwrap();
    assert_eq!(Ipv4Packet::new_unchecked(packet.bytes()).tos() & 0b11, 0b11, "CE");
    let mut fragment = sealed(&mut sa);
    fragment.bytes_mut()[6] = crate::wire::ipv6::next_header::FRAGMENT;
    assert_eq!(inbound(gcm()).open(&mut fragment), Err(DropReason::Malformed));
}

/// Same source: AES-128-CBC with HMAC-SHA1-96 in UDP, whose source port a NAT has changed to 61234.
#[test]
fn opens_what_another_implementation_seals() {
    let suite = Suite::new(Encryption::AesCbc128, Integrity::HmacSha1_96).unwrap();
    let bytes = hex("450000700005000040111441cb007101c6336402ef321194005c0000c0ffee01
         00000007808182838485868788898a8b8c8d8e8fc401a4dd93189e9d581a109d
         ce97ca05a0383c4773e0a28805a2e5acabba11492338aeeec04d5a2d1329f7f9
         9f5ac3832682e7e5f3b4825a5fa988ce");
    let mut packet = Packet::from_bytes(&bytes, Meta::default());
    assert_eq!(
        inbound(suite).open(&mut packet),
        Ok(Opened { sequence: 7, src: Ipv4Addr::new(203, 0, 113, 1).into(), src_port: Some(61234), dummy: false })
    );
    assert_eq!(packet.bytes(), inner().bytes());
}

/// RFC 7296 section 2.17: initiator's direction first, encryption (with its salt, RFC 4106 section 8.1) before
/// integrity.
#[test]
fn keymat_is_cut_in_the_order_of_the_rfc() {
    let gcm_keymat: Vec<u8> = (0..72).collect();
    assert_eq!(ChildKeys::keymat_len(gcm()), gcm_keymat.len());
    let keys = ChildKeys::split(gcm(), &gcm_keymat);
    assert_eq!(*keys.initiator_to_responder.encryption, gcm_keymat[..36]);
    assert!(keys.initiator_to_responder.integrity.is_empty());
    assert_eq!(*keys.responder_to_initiator.encryption, gcm_keymat[36..]);

    let cbc = Suite::new(Encryption::AesCbc128, Integrity::HmacSha1_96).unwrap();
    let cbc_keymat: Vec<u8> = (0..72).collect();
    assert_eq!(ChildKeys::keymat_len(cbc), cbc_keymat.len());
    let keys = ChildKeys::split(cbc, &cbc_keymat);
    assert_eq!(*keys.initiator_to_responder.encryption, cbc_keymat[..16]);
    assert_eq!(*keys.initiator_to_responder.integrity, cbc_keymat[16..36]);
    assert_eq!(*keys.responder_to_initiator.encryption, cbc_keymat[36..52]);
    assert_eq!(*keys.responder_to_initiator.integrity, cbc_keymat[52..]);
}

/// The longest packet that the tunnel MTU allows fills the path exactly or leaves less than a block; one octet more
/// does not fit.
#[test]
fn the_tunnel_mtu_is_what_seal_makes_of_it() {
    for suite in suites() {
        for udp in [None, Some((4500, 4500))] {
            let mut sa = outbound(suite, outer(udp, DfBit::Copy));
            let mtu = usize::from(tunnel_mtu(1500, suite, udp.is_some()).unwrap());
            let mut seal = |len| {
                let mut packet = inner_of(len);
                sa.seal(&mut packet).unwrap();
                packet.len()
            };
            assert!(seal(mtu) <= 1500, "{suite:?} {udp:?}");
            assert!(seal(mtu + 1) > 1500, "{suite:?} {udp:?}");
        }
    }
}

#[test]
fn every_suite_and_length_comes_back() {
    for suite in suites() {
        let (mut out, mut into) = pair(suite);
        out.outer_mut().udp = Some((4500, 4500));
        for (sent, len) in (20..90).chain([1400]).enumerate() {
            let original = inner_of(len);
            let mut packet = original.clone();
            out.seal(&mut packet).unwrap();
            assert_ne!(packet.bytes(), original.bytes());
            let opened = into.open(&mut packet).unwrap();
            assert_eq!(opened.sequence as usize, sent + 1);
            assert_eq!(packet.bytes(), original.bytes(), "{suite:?} {len}");
        }
    }
}

/// Tunnels nest once without leaving the head- and tailroom of a fresh packet: its buffer does not move.
#[test]
fn two_levels_of_nesting_do_not_reallocate() {
    let suite = Suite::new(Encryption::AesCbc256, Integrity::HmacSha1_96).unwrap();
    let (mut first, _) = pair(suite);
    let (mut second, _) = pair(gcm());
    second.outer_mut().udp = Some((4500, 4500));
    let mut packet = inner_of(100);
    let before = packet.bytes().as_ptr() as usize;
    first.seal(&mut packet).unwrap();
    second.seal(&mut packet).unwrap();
    let headers = (20 + 8 + 16) + (20 + 8 + 8 + 8);
    assert_eq!(packet.bytes().as_ptr() as usize + headers, before);
}

/// RFC 4301 section 8.1 (DF) and section 5.1.2.1 (DSCP, ECN, TTL), RFC 6864 section 4 (Identification).
#[test]
fn the_outer_header_follows_the_policy() {
    for (df, inner_df, expected) in
        [(DfBit::Copy, true, true), (DfBit::Copy, false, false), (DfBit::Clear, true, false), (DfBit::Set, false, true)]
    {
        let mut sa = outbound(gcm(), outer(Some((4500, 4500)), df));
        sa.outer_mut().ttl = 17;
        let mut idents = Vec::new();
        for _ in 0..2 {
            let mut packet = inner();
            on_path(&mut packet, |inner| inner.set_fragment(inner_df, false, 0));
            sa.seal(&mut packet).unwrap();
            let outer = Ipv4Packet::new_checked(packet.bytes()).unwrap();
            assert!(outer.verify_checksum());
            assert_eq!(outer.dont_fragment(), expected);
            assert_eq!((outer.tos(), outer.ttl()), (0xba, 17));
            assert_eq!(usize::from(outer.total_len()), packet.len());
            let udp = UdpDatagram::new_checked(outer.payload()).unwrap();
            assert_eq!(udp.checksum(), 0);
            assert_eq!(usize::from(udp.length()), outer.payload().len());
            idents.push(outer.ident());
        }
        assert_eq!(idents[0] == idents[1], expected);
    }
}

/// RFC 3602 section 3: an IV of CBC is not predictable, so it is no counter. RFC 4106 section 3.1: GCM's never repeats.
#[test]
fn initialisation_vectors() {
    let cbc = Suite::new(Encryption::AesCbc128, Integrity::HmacSha1_96).unwrap();
    let mut sa = pair(cbc).0;
    let ivs: Vec<Vec<u8>> = (0..3).map(|_| sealed(&mut sa).bytes()[28..44].to_vec()).collect();
    for pair in ivs.windows(2) {
        let same = pair[0].iter().zip(&pair[1]).filter(|(a, b)| a == b).count();
        assert!(same < 8, "two random IVs share {same} of 16 octets");
    }

    let mut sa = pair(gcm()).0;
    for expected in 1..4_u64 {
        assert_eq!(sealed(&mut sa).bytes()[28..36], expected.to_be_bytes());
    }
}

#[test]
fn the_sequence_number_never_wraps() {
    let (mut out, mut into) = pair(gcm());
    out.sequence = u64::from(u32::MAX) - 1;
    let mut last = sealed(&mut out);
    assert_eq!(into.open(&mut last).unwrap().sequence, u32::MAX.into());
    let mut refused = inner();
    assert_eq!(out.seal(&mut refused), Err(DropReason::SequenceExhausted));
    assert_eq!(refused.bytes(), inner().bytes());
    assert_eq!(out.sequence(), u32::MAX.into());
}

/// RFC 4303 section 2.2.1: with 64 bits the low half may wrap, and the receiver follows into the next subspace and back.
#[test]
fn an_extended_sequence_number_goes_on() {
    for suite in suites() {
        let (out, into) = pair(suite);
        let (mut out, mut into) = (out.with_esn(true), into.with_esn(true));
        out.sequence = (5 << 32) - 3;
        let mut first = sealed(&mut out);
        assert_eq!(first.bytes()[24..28], [0xff, 0xff, 0xff, 0xfe]);
        // A window that knows nothing can only take it for one from before the first.
        assert_eq!(into.open(&mut first.clone()), Err(DropReason::Replayed), "{suite:?}");
        into.window.commit((5 << 32) - 3);
        let second = sealed(&mut out);
        let mut third = sealed(&mut out);
        assert_eq!(third.bytes()[24..28], [0, 0, 0, 0]);
        assert_eq!(into.open(&mut third).unwrap().sequence, 5 << 32);
        assert_eq!(into.open(&mut first).unwrap().sequence, (5 << 32) - 2);
        assert_eq!(into.open(&mut second.clone()).unwrap().sequence, (5 << 32) - 1);
        assert_eq!(into.open(&mut second.clone()), Err(DropReason::Replayed));
        assert_eq!(first.bytes(), inner().bytes());
        // An end without extended sequence numbers does not understand it.
        let mut short = inbound(suite);
        assert_eq!(short.open(&mut second.clone()), Err(DropReason::BadIcv));
    }
}

/// RFC 4303 section 3.3.3: also 2^64 packets have an end.
#[test]
fn an_extended_sequence_number_never_wraps() {
    let mut out = outbound(gcm(), outer(None, DfBit::Copy)).with_esn(true);
    out.sequence = u64::MAX - 1;
    sealed(&mut out);
    assert_eq!(out.seal(&mut inner()), Err(DropReason::SequenceExhausted));
}

/// AES-256-GCM and AES-128-CBC with HMAC-SHA2-256, computed by Python's `cryptography`: associated data SPI | 7 | 5
/// (RFC 4106 section 5), and an HMAC over all that is sent and then 7 (RFC 4303 section 2.2.1).
#[test]
fn another_implementation_agrees_on_extended_sequence_numbers() {
    let mut out = outbound(gcm(), outer(None, DfBit::Copy)).with_esn(true);
    out.sequence = (7 << 32) + 4;
    let packet = sealed(&mut out);
    assert_eq!(
        packet.bytes()[20..],
        hex("c0ffee01000000050000000700000005d47fe9d587ff08321bcc6cb1035863c9
             d8fc6f63916a440d40ee8b49a4fde50f37ebf37b64ec967d0edc1d9d424a0b93
             964bdd51")
    );

    let suite = Suite::new(Encryption::AesCbc128, Integrity::HmacSha2_256_128).unwrap();
    let mut into = inbound(suite).with_esn(true);
    into.window.commit((7 << 32) + 1);
    let message = hex("c0ffee0100000005808182838485868788898a8b8c8d8e8fc401a4dd93189e9d
             581a109dce97ca05a0383c4773e0a28805a2e5acabba11492338aeeec04d5a2d
             1329f7f99f5ac383f526fc3e66e5b5a061ac2ea4d90c3a7b");
    let header = Ipv4Header::new([203, 0, 113, 1].into(), [198, 51, 100, 2].into(), protocol::ESP);
    let mut packet = header.packet(&message, Meta::default());
    assert_eq!(into.open(&mut packet).unwrap().sequence, (7 << 32) + 5);
    assert_eq!(packet.bytes(), inner().bytes());
}

/// RFC 2410: what is inside stands there in clear, at once behind the header, and the ICV is the HMAC of it all.
#[test]
fn null_encryption_hides_nothing() {
    use hmac::{Hmac, KeyInit, Mac};
    let suite = Suite::new(Encryption::Null, Integrity::HmacSha2_256_128).unwrap();
    let (mut out, mut into) = pair(suite);
    let mut packet = sealed(&mut out);
    // 33 octets, one of padding, Pad Length and Next Header.
    let text = [inner().bytes(), &[1, 1, 4]].concat();
    let signed = [&hex("c0ffee0100000001")[..], &text].concat();
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&keys(suite).integrity).unwrap();
    mac.update(&signed);
    let icv = mac.finalize().into_bytes();
    assert_eq!(packet.bytes()[20..], [&signed[..], &icv[..16]].concat());
    assert!(into.open(&mut packet).is_ok());
    assert_eq!(packet.bytes(), inner().bytes());
}

/// A limit below the number space stands for it, and the successor is asked for once, before.
#[test]
fn limits_end_an_sa_early() {
    let limits = Limits { rekey: 3, last: 5 };
    let mut out = outbound(gcm(), outer(None, DfBit::Copy)).with_limits(limits);
    let asked: Vec<bool> = (0..5)
        .map(|_| {
            sealed(&mut out);
            out.wants_successor()
        })
        .collect();
    assert_eq!(asked, [false, false, true, false, false]);
    assert_eq!(out.seal(&mut inner()), Err(DropReason::SequenceExhausted));
    assert!(Limits::default().rekey < u32::MAX.into(), "well before the end");
}

/// RFC 4303 section 2.7: all packets up to the length look alike from outside, and the padding goes with the header.
#[test]
fn traffic_flow_confidentiality_padding_hides_lengths() {
    for suite in suites() {
        let (out, mut into) = pair(suite);
        let mut out = out.with_tfc_padding(200);
        let lengths: Vec<usize> = [20, 21, 100, 199, 200, 201]
            .into_iter()
            .map(|len| {
                let original = inner_of(len);
                let mut packet = original.clone();
                out.seal(&mut packet).unwrap();
                let sealed_len = packet.len();
                into.open(&mut packet).unwrap();
                assert_eq!(packet.bytes(), original.bytes(), "{suite:?}, {len}");
                sealed_len
            })
            .collect();
        assert!(lengths[..5].iter().all(|len| *len == lengths[0]), "{suite:?}: {lengths:?}");
        let mut plain = outbound(suite, outer(None, DfBit::Copy));
        let mut packet = inner_of(200);
        plain.seal(&mut packet).unwrap();
        assert_eq!(packet.len(), lengths[0]);
    }
}

/// RFC 4303 section 2.6: next header 59 is thrown away without a word, but it is authentic and moves the window.
#[test]
fn a_dummy_packet_has_no_inside() {
    for suite in suites() {
        let (mut out, mut into) = pair(suite);
        let mut inside = Vec::new();
        let mut packet = out.seal_dummy(64, Meta::default(), |packet| inside = packet.bytes().to_vec()).unwrap();
        let mut usual = inner_of(64);
        out.seal(&mut usual).unwrap();
        assert_eq!((inside.len(), packet.len()), (64, usual.len()), "{suite:?}");
        let mut again = packet.clone();
        let opened = into.open(&mut packet).unwrap();
        assert!(opened.dummy);
        assert_eq!((opened.sequence, into.window().highest()), (1, 1));
        assert_eq!(into.open(&mut again), Err(DropReason::Replayed));
        assert!(!into.open(&mut usual).unwrap().dummy);
    }
}

/// RFC 4303 section 2.4: a sender may pad more than alignment asks for, up to 255 octets, to hide lengths.
#[test]
fn any_amount_of_padding_is_taken_off() {
    for padding in [0, 3, 7, 127, 251, 255_u8] {
        let mut into = inbound(gcm());
        let protection = crate::crypto::suite::Protection::new(gcm(), &keys(gcm()).encryption, &[]);
        let mut message = hex("c0ffee0100000009 0000000000000009");
        message.extend_from_slice(inner().bytes());
        message.extend(1..=padding);
        message.extend_from_slice(&[padding, 4]);
        message.extend_from_slice(&[0; 16]);
        protection.seal(&mut message, 8);
        let header = Ipv4Header::new([203, 0, 113, 1].into(), [198, 51, 100, 2].into(), 50);
        let mut packet = header.packet(&message, Meta::default());
        assert!(into.open(&mut packet).is_ok(), "{padding}");
        assert_eq!(packet.bytes(), inner().bytes());
    }
}

#[test]
fn what_cannot_be_sealed_is_left_alone() {
    let (mut out, _) = pair(gcm());
    let mut not_ip = Packet::from_bytes(b"not an IPv4 packet at all", Meta::default());
    assert_eq!(out.seal(&mut not_ip), Err(DropReason::Malformed));
    let mut too_long = inner_of(65_535);
    assert_eq!(out.seal(&mut too_long), Err(DropReason::TooBigForLink));
    assert_eq!(too_long.len(), 65_535);
    assert_eq!(out.sequence(), 0);
}

#[test]
fn a_packet_opens_once() {
    let (mut out, mut into) = pair(gcm());
    let first = sealed(&mut out);
    let second = sealed(&mut out);
    // Reordered, then both again.
    assert!(into.open(&mut second.clone()).is_ok());
    assert!(into.open(&mut first.clone()).is_ok());
    for packet in [first, second] {
        assert_eq!(into.open(&mut packet.clone()), Err(DropReason::Replayed));
    }
}

/// RFC 4303 section 3.4.3: the window moves after the ICV verifies. A forged number far ahead must not shut out the
/// rest.
#[test]
fn no_changed_bit_opens_or_moves_the_window() {
    for suite in suites() {
        let (mut out, mut into) = pair(suite);
        let packet = sealed(&mut out);
        let before = into.window().clone();
        for bit in 0..(packet.len() - ipv4::HEADER_LEN) * 8 {
            let mut tampered = packet.clone();
            tampered.bytes_mut()[ipv4::HEADER_LEN + bit / 8] ^= 0x80 >> (bit % 8);
            let expected = match bit {
                0..32 => DropReason::UnknownSpi,
                // The one bit that makes sequence number 1 into 0.
                63 => DropReason::Replayed,
                _ => DropReason::BadIcv,
            };
            assert_eq!(into.open(&mut tampered), Err(expected), "{suite:?} {bit}");
            assert_eq!(*into.window(), before);
        }
        assert!(into.open(&mut packet.clone()).is_ok());
    }
}

/// What holds the keys can still send nonsense: the packet authenticates, so the window moves, but it goes no further.
#[test]
fn authentic_nonsense_is_refused() {
    let text = |payload: &[u8], tail: &[u8]| [payload, tail].concat();
    let whole = inner();
    let whole = whole.bytes();
    for (text, expected) in [
        (vec![], DropReason::BadPadding),
        (text(whole, &[1, 3, 2, 4]), DropReason::BadPadding),
        (text(whole, &[1, 200, 4]), DropReason::BadPadding),
        (text(whole, &[1, 1, 41]), DropReason::SelectorMismatch), // IPv6
        (text(whole, &[1, 1, 6]), DropReason::BadPadding),        // TCP: transport mode
        (text(&whole[..32], &[0, 4]), DropReason::Malformed),     // cut short
        (text(b"no packet", &[1, 1, 4]), DropReason::Malformed),
    ] {
        let mut into = inbound(gcm());
        let protection = crate::crypto::suite::Protection::new(gcm(), &keys(gcm()).encryption, &[]);
        let mut message = hex("c0ffee0100000009 0000000000000009");
        message.extend_from_slice(&text);
        message.extend_from_slice(&[0; 16]);
        protection.seal(&mut message, 8);
        let header = Ipv4Header::new([203, 0, 113, 1].into(), [198, 51, 100, 2].into(), 50);
        let mut packet = header.packet(&message, Meta::default());
        assert_eq!(into.open(&mut packet), Err(expected), "{text:02x?}");
        assert_eq!(into.window().highest(), 9);
    }
}

/// RFC 4303 section 2.7: octets between the inner packet and the padding are to be thrown away.
#[test]
fn traffic_flow_confidentiality_padding_is_taken_off() {
    let (mut out, mut into) = pair(gcm());
    let mut packet = inner();
    packet.push_back(100);
    out.seal(&mut packet).unwrap();
    into.open(&mut packet).unwrap();
    assert_eq!(packet.bytes(), inner().bytes());
}

/// RFC 4301 section 5.1.2.1 note 6: the outer CE mark goes to an inner packet that is ECN-capable, and to no other.
#[test]
fn congestion_marks_reach_the_inner_packet() {
    const DSCP_EF: u8 = 0xb8;
    for (inner_ecn, outer_ecn, expected) in [
        (0b10, 0b11, 0b11),
        (0b01, 0b11, 0b11),
        (0b11, 0b11, 0b11),
        (0b00, 0b11, 0b00),
        (0b10, 0b10, 0b10),
        (0b10, 0b00, 0b10),
    ] {
        let (mut out, mut into) = pair(gcm());
        let mut packet = inner();
        on_path(&mut packet, |inner| inner.set_tos(DSCP_EF | inner_ecn));
        out.seal(&mut packet).unwrap();
        // A router on the way may change the outer DSCP too; that stays outside.
        on_path(&mut packet, |outer| outer.set_tos(outer_ecn));
        into.open(&mut packet).unwrap();
        let opened = Ipv4Packet::new_checked(packet.bytes()).unwrap();
        assert_eq!(opened.tos(), DSCP_EF | expected);
        assert!(opened.verify_checksum());
    }
}

#[test]
fn packets_outside_the_selectors_are_refused() {
    let any = Ipv4Addr::UNSPECIFIED..=Ipv4Addr::BROADCAST;
    let own = Ipv4Addr::new(192, 168, 0, 0)..=Ipv4Addr::new(192, 168, 0, 255);
    let last_but_one = Ipv4Addr::new(10, 0, 0, 0)..=Ipv4Addr::new(10, 0, 0, 19);
    let fits = Selectors { src: own.clone(), dst: any.clone() };
    let misses = Selectors { src: own, dst: last_but_one };

    let suite = gcm();
    let rng = Seldom::stream(1, "esp", Purpose::Test);
    let make = |selectors| {
        let outer = outer(None, DfBit::Copy);
        OutboundSa::new(SPI, suite, &keys(suite), outer, Some(selectors), rng.clone())
    };
    let mut packet = inner(); // to 10.0.0.20
    assert_eq!(make(misses.clone()).seal(&mut packet), Err(DropReason::SelectorMismatch));
    make(fits.clone()).seal(&mut packet).unwrap();

    let open = |selectors| {
        let window = ReplayWindow::new(64);
        InboundSa::new(SPI, suite, &keys(suite), window, Some(selectors)).open(&mut packet.clone())
    };
    assert_eq!(open(misses), Err(DropReason::SelectorMismatch));
    assert!(open(fits).is_ok());
}

#[test]
fn what_is_not_esp_for_this_sa_is_refused() {
    let (mut out, mut into) = pair(gcm());
    let good = sealed(&mut out);
    let mut refused = |change: fn(&mut Packet)| {
        let mut packet = good.clone();
        change(&mut packet);
        into.open(&mut packet).unwrap_err()
    };
    let malformed = DropReason::Malformed;
    assert_eq!(refused(|p| p.truncate(19)), malformed);
    assert_eq!(refused(|p| p.truncate(60)), malformed);
    assert_eq!(refused(|p| on_path(p, |ip| ip.set_protocol(47))), malformed);
    // First and later fragments (RFC 4303 section 3.4.1).
    assert_eq!(refused(|p| on_path(p, |ip| ip.set_fragment(false, true, 0))), malformed);
    assert_eq!(refused(|p| on_path(p, |ip| ip.set_fragment(false, false, 8))), malformed);
    // Too short for header, IV and ICV.
    for total in 20..20 + 8 + 8 + 16 {
        let mut packet = good.clone();
        on_path(&mut packet, |ip| ip.set_total_len(total));
        assert_eq!(into.open(&mut packet), Err(malformed), "{total}");
    }
    assert_eq!(into.window().highest(), 0);
}

#[test]
fn a_cloned_sa_goes_on_alike() {
    for suite in suites() {
        let (mut out, mut into) = pair(suite);
        sealed(&mut out);
        let (mut out_2, mut into_2) = (out.clone(), into.clone());
        let (a, b) = (sealed(&mut out), sealed(&mut out_2));
        assert_eq!(a.bytes(), b.bytes());
        assert!(into.open(&mut a.clone()).is_ok());
        assert!(into_2.open(&mut b.clone()).is_ok());
    }
}

proptest! {
    /// Arbitrary octets behind a correct outer header and SPI: never a panic, never an inner packet, never a moved
    /// window.
    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), in_udp: bool, with_spi: bool) {
        let mut bytes = if with_spi { SPI.to_be_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&octets);
        let protocol = if in_udp { protocol::UDP } else { protocol::ESP };
        let header = Ipv4Header::new([203, 0, 113, 1].into(), [198, 51, 100, 2].into(), protocol);
        for suite in suites() {
            let mut sa = inbound(suite);
            prop_assert!(sa.open(&mut header.packet(&bytes, Meta::default())).is_err());
            prop_assert!(sa.open(&mut Packet::from_bytes(&bytes, Meta::default())).is_err());
            prop_assert_eq!(sa.window().highest(), 0);
        }
    }
}
