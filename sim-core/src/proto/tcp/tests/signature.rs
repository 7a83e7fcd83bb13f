//! Signed segments (RFC 2385).

use super::super::segment::Segment;
use super::super::signature::{Md5Key, SIGNATURE, sign};
use super::*;
use crate::packet::Meta;
use crate::proto::tcp::{Reach, Stack, StackOutput};
use crate::reason::DropReason;

fn key(text: &str) -> Option<Md5Key> {
    Some(Md5Key::new(text.as_bytes()))
}

fn signed(text: &str) -> TcpConfig {
    TcpConfig { md5: key(text), ..TcpConfig::default() }
}

/// Two packets whose digests were computed outside of this program, by Python's hashlib over the octets that section 2.0
/// names: 192.0.2.1:40000 to 192.0.2.2:179, key "opensesame"; five octets of data, and a SYN with an MSS of 1,460.
#[rustfmt::skip]
const DATA: [u8; 65] = [
    0x45, 0x00, 0x00, 0x41, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0xb6, 0xb2, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x02,
    0x9c, 0x40, 0x00, 0xb3, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xa0, 0x18, 0x10, 0x00, 0x59, 0x05, 0x00, 0x00,
    0x01, 0x01, 0x13, 0x12, 0x4f, 0x86, 0x15, 0x90, 0xa9, 0xc9, 0xab, 0xc0, 0xde, 0xdb, 0x63, 0xe9, 0x08, 0xad, 0x67, 0xaa,
    0x68, 0x65, 0x6c, 0x6c, 0x6f,
];
#[rustfmt::skip]
const SYN: [u8; 64] = [
    0x45, 0x00, 0x00, 0x40, 0x00, 0x01, 0x40, 0x00, 0x40, 0x06, 0xb6, 0xb3, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x02,
    0x9c, 0x40, 0x00, 0xb3, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0xb0, 0x02, 0x10, 0x00, 0x04, 0xb6, 0x00, 0x00,
    0x01, 0x01, 0x13, 0x12, 0x3f, 0x45, 0x1d, 0x3c, 0x5c, 0x11, 0xc8, 0xaa, 0xf2, 0x71, 0x4f, 0x0d, 0x77, 0x03, 0xc0, 0x8b,
    0x02, 0x04, 0x05, 0xb4,
];

#[test]
fn digests_from_elsewhere_verify() {
    for packet in [&DATA[..], &SYN] {
        let segment = Segment::parse(packet).unwrap();
        assert_eq!(segment.verify(key("opensesame").as_ref()), Ok(()));
        assert_eq!(segment.verify(key("opensesam").as_ref()), Err(DropReason::Md5Mismatch));
        assert_eq!(segment.verify(None), Err(DropReason::Md5Unexpected));
    }
}

/// Signing what is left when the option is cut out gives the same octets; the MSS was that of segments 20 octets shorter.
#[test]
fn signing_gives_the_octets_from_elsewhere() {
    for whole in [&DATA[..], &SYN] {
        let mut bytes = [&whole[..40], &whole[40 + SIGNATURE..]].concat();
        let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.set_total_len(ip.total_len() - SIGNATURE as u16);
        let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
        tcp.set_header_len(tcp.header_len() - SIGNATURE as u8);
        if tcp.syn() {
            bytes[42..44].copy_from_slice(&1440_u16.to_be_bytes());
        }
        let packet = Packet::from_bytes(&bytes, Meta::default());
        assert_eq!(sign(&packet, &key("opensesame").unwrap()).bytes(), whole);
    }
}

/// A transfer between two signing ends: every octet arrives, every packet is signed and fits the MTU, and the longest has 20
/// octets less of data than the MSS that both announced (RFC 6691 section 4).
#[test]
fn a_signed_transfer() {
    let mut packets = Vec::new();
    let now = Instant::START;
    let mut a = Connection::connect(signed("k"), A, B, &mut rng("a"), now);
    let (syn, _) = drain(&mut a);
    let mut b = Connection::accept(signed("k"), syn[0].bytes(), &mut rng("b"), now).expect("a signed SYN");
    let text: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    packets.extend(syn);
    let (mut heard, mut sent) = (Vec::new(), false);
    loop {
        let (from_a, events) = drain(&mut a);
        if events.contains(&Event::Connected) {
            sent = true;
            a.send(now, &text).unwrap();
        }
        let (from_b, events) = drain(&mut b);
        heard.extend(received(&events));
        if from_a.is_empty() && from_b.is_empty() && sent && heard.len() == text.len() {
            break;
        }
        from_a.iter().for_each(|p| b.handle(now, p.bytes()));
        from_b.iter().for_each(|p| a.handle(now, p.bytes()));
        packets.extend(from_a);
        packets.extend(from_b);
    }
    assert_eq!(heard, text);
    for packet in &packets {
        let segment = Segment::parse(packet.bytes()).unwrap();
        assert_eq!(segment.verify(key("k").as_ref()), Ok(()));
        assert!(packet.len() <= 1500);
    }
    assert_eq!(Segment::parse(packets[0].bytes()).unwrap().mss, 1460);
    assert_eq!(packets.iter().map(|packet| see(packet.bytes()).len).max(), Some(1440));
}

/// What does not verify has no effect: no connection begins, none is reset, nothing is delivered.
#[test]
fn what_does_not_verify_is_dropped() {
    let now = Instant::START;
    let cases = [
        (TcpConfig::default(), signed("k"), DropReason::Md5Missing),
        (signed("k"), TcpConfig::default(), DropReason::Md5Unexpected),
        (signed("k"), signed("q"), DropReason::Md5Mismatch),
    ];
    for (ours, theirs, reason) in cases {
        let mut a = Connection::connect(ours, A, B, &mut rng("a"), now);
        let (syn, _) = drain(&mut a);
        let mut stack = Stack::new([*B.ip()], rng("b"));
        stack.listen(179, Some((*A.ip()).into()), theirs);
        stack.handle(now, syn[0].bytes());
        let outputs: Vec<_> = core::iter::from_fn(|| stack.poll()).collect();
        assert!(matches!(outputs[..], [StackOutput::Ignored(r)] if r == reason), "{outputs:?}");
    }
    // A forged reset of an established connection.
    let mut pair = Pair::established(signed("k"));
    pair.a.send(now, b"x").unwrap();
    let (data, _) = drain(&mut pair.a);
    let segment = Segment::parse(data[0].bytes()).unwrap();
    let mut forged = data[0].bytes().to_vec();
    let mut ip = Ipv4Packet::new_unchecked(&mut forged[..]);
    let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    tcp.set_rst(true);
    tcp.fill_checksum(&from, &to);
    assert_eq!(segment.verify(key("k").as_ref()), Ok(()));
    pair.b.handle(now, &forged);
    assert_eq!(drain(&mut pair.b).1, [Event::Ignored(DropReason::Md5Mismatch)]);
    assert!(!pair.b.is_closed());
}

/// A reset that belongs to no connection is signed for a peer that has a key, or it would not be believed.
#[test]
fn resets_are_signed() {
    let now = Instant::START;
    let mut a = Connection::connect(signed("k"), A, B, &mut rng("a"), now);
    let (syn, _) = drain(&mut a);
    let mut stack = Stack::new([*B.ip()], rng("b"));
    stack.listen(4242, Some((*A.ip()).into()), signed("k"));
    stack.handle(now, syn[0].bytes());
    let reset = core::iter::from_fn(|| stack.poll()).find_map(|output| match output {
        StackOutput::Transmit { packet, .. } => Some(packet),
        _ => None,
    });
    a.handle(now, reset.expect("a reset").bytes());
    assert_eq!(drain(&mut a).1, [Event::Reset]);
}

/// RFC 5082 section 3: the sender says 255, and each router takes one.
#[test]
fn reaches() {
    let of = |reach| {
        let config = TcpConfig::default().reaching(reach);
        (config.ttl, config.min_ttl)
    };
    assert_eq!(of(Reach::SingleHop), (1, 0));
    assert_eq!(of(Reach::Multihop(3)), (3, 0));
    assert_eq!(of(Reach::Security(1)), (255, 255));
    assert_eq!(of(Reach::Security(3)), (255, 253));
}
