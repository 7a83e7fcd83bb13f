//! The same TCP above IPv6.

use core::net::{Ipv6Addr, SocketAddrV6};

use smoltcp::wire::Ipv6Packet;

use super::super::segment::Segment;
use super::super::signature::{Md5Key, SIGNATURE, sign};
use super::*;
use crate::packet::Meta;
use crate::proto::tcp::{Stack, StackOutput};
use crate::reason::DropReason;

const A6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 2), 40_000, 0, 0);
const B6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 1), 179, 0, 0);

/// The longest packet and the MSS that a SYN tells, after sending so much.
fn transfer(a: &mut Connection, b: &mut Connection, now: Instant, text: &[u8]) -> (Vec<u8>, usize) {
    let (mut heard, mut longest) = (Vec::new(), 0);
    a.send(now, text).unwrap();
    loop {
        let (from_a, _) = drain(a);
        let (from_b, events) = drain(b);
        heard.extend(
            events.into_iter().flat_map(|event| if let Event::Received(octets) = event { octets } else { vec![] }),
        );
        if from_a.is_empty() && from_b.is_empty() {
            return (heard, longest);
        }
        for packet in &from_a {
            let ip = Ipv6Packet::new_checked(packet.bytes()).expect("IPv6");
            assert!(
                TcpPacket::new_checked(ip.payload())
                    .unwrap()
                    .verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into())
            );
            assert_eq!((ip.hop_limit(), ip.traffic_class()), (1, 48 << 2), "a single hop, CS6");
            longest = longest.max(packet.len());
        }
        from_a.iter().for_each(|packet| b.handle(now, packet.bytes()));
        from_b.iter().for_each(|packet| a.handle(now, packet.bytes()));
    }
}

/// RFC 9293 section 3.7.1: an MSS of the MTU less 60. RFC 8201: what a router says of a narrower path is followed, down to 1,280.
#[test]
fn a_transfer_fills_the_path() {
    let now = Instant::START;
    let mut a = Connection::connect(TcpConfig::default(), A6, B6, &mut rng("a"), now);
    let (syn, _) = drain(&mut a);
    let ip = Ipv6Packet::new_checked(syn[0].bytes()).unwrap();
    assert_eq!(ip.payload()[20..24], [2, 4, 0x05, 0xa0], "an MSS of 1,440");
    let mut b = Connection::accept(TcpConfig::default(), syn[0].bytes(), &mut rng("b"), now).expect("a SYN");
    let text: Vec<u8> = (0..30_000_u32).map(|n| n as u8).collect();
    let (from_b, _) = drain(&mut b);
    from_b.iter().for_each(|packet| a.handle(now, packet.bytes()));
    assert_eq!(transfer(&mut a, &mut b, now, &text), (text.clone(), 1_500));
    for (told, longest) in [(1_446, 1_446), (1_000, 1_280)] {
        a.set_mtu(now, told);
        assert_eq!(transfer(&mut a, &mut b, now, &text), (text.clone(), longest), "told {told}");
    }
}

/// A stack has addresses of both families, and a listener is for the peer that it names.
#[test]
fn a_stack_has_both_families() {
    let now = Instant::START;
    let mut a = Stack::new([core::net::IpAddr::V6(*A6.ip()), (*A.ip()).into()], rng("a"));
    let mut b = Stack::new([*B6.ip()], rng("b"));
    b.listen(179, Some((*A6.ip()).into()), TcpConfig::default());
    let conn = a.connect(now, TcpConfig::default(), *A6.ip(), B6);
    let local = a.connection(conn).expect("it was made").local();
    assert_eq!(a.find(local, B6), Some(conn));
    let Some(StackOutput::Transmit { packet: syn, .. }) = a.poll() else { panic!("a SYN") };
    b.handle(now, syn.bytes());
    assert!(matches!(b.poll(), Some(StackOutput::Accepted { remote, .. }) if remote == local));
    let mut closed = Stack::new([*B6.ip()], rng("c"));
    closed.handle(now, syn.bytes());
    assert!(matches!(closed.poll(), Some(StackOutput::Ignored(DropReason::PortUnreachable))));
    let Some(StackOutput::Transmit { packet: reset, .. }) = closed.poll() else { panic!("a reset") };
    let ip = Ipv6Packet::new_checked(reset.bytes()).unwrap();
    assert!(TcpPacket::new_checked(ip.payload()).unwrap().rst());
    a.handle(now, reset.bytes());
    assert!(matches!(a.poll(), Some(StackOutput::Event { event: Event::Reset, .. })));
}

/// From Python's hashlib over the octets of RFC 2385 section 2.0 with the pseudo-header of RFC 8200 section 8.1: 2001:db8::1:40000 to
/// 2001:db8::2:179, key "opensesame", five octets of data.
#[test]
fn a_digest_from_elsewhere_verifies_and_is_made() {
    let text = "60000000002d064020010db800000000000000000000000120010db80000000000000000000000029c4000b30102030405060708a0181000\
                d8cf000001011312ea2e1745c76f2b98123207602220e65368656c6c6f";
    let whole = crate::crypto::testing::hex(text);
    let key = Md5Key::new(b"opensesame");
    let segment = Segment::parse(&whole).unwrap();
    assert_eq!(segment.verify(Some(&key)), Ok(()));
    assert_eq!(segment.verify(Some(&Md5Key::new(b"opensesam"))), Err(DropReason::Md5Mismatch));
    let mut bytes = [&whole[..60], &whole[60 + SIGNATURE..]].concat();
    let mut ip = Ipv6Packet::new_unchecked(&mut bytes[..]);
    ip.set_payload_len(ip.payload_len() - SIGNATURE as u16);
    let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
    tcp.set_header_len(tcp.header_len() - SIGNATURE as u8);
    let packet = Packet::from_bytes(&bytes, Meta::default());
    assert_eq!(sign(&packet, &key).bytes(), whole);
}
