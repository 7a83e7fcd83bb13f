//! Nothing of IPv6 panics on what a path can do to a packet: every prefix of it, with every single bit flipped.

use std::net::Ipv6Addr;

use sim_core::id::PacketId;
use sim_core::net::fragment::ReassemblyConfig;
use sim_core::net::fragment_v6::{Reassembler, fragment};
use sim_core::net::icmp::ReporterConfig;
use sim_core::net::icmpv6::{Reporter, Trouble, answer_echo};
use sim_core::net::mss;
use sim_core::packet::{Meta, Packet};
use sim_core::time::Instant;
use sim_core::wire::icmp::Echo;
use sim_core::wire::icmpv6::{Icmpv6Kind, Icmpv6Message, Quoted, echo_around};
use sim_core::wire::ipv4::protocol;
use sim_core::wire::ipv6::{FragmentHeader, Ipv6Header, Ipv6Packet, next_header};
use sim_core::wire::udp::{self, UdpDatagram};

const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// One packet of each kind: UDP, echo, an error that quotes, a fragment, and a SYN with an MSS.
fn specimens() -> Vec<Packet> {
    let meta = Meta::default();
    let data = |octets: &[u8]| Packet::from_bytes(octets, meta);
    let datagram = udp::around_v6(data(b"specimen"), (A, 1000), (B, 2000));
    let mut reporter = Reporter::new(ReporterConfig::default());
    let error = reporter.report(Instant::START, datagram.bytes(), Trouble::too_big(1400), B, meta).unwrap();
    let head = FragmentHeader { next_header: protocol::UDP, offset: 0, more: true, ident: 7 };
    let piece = Ipv6Header::new(A, B, next_header::FRAGMENT).packet(&[&head.octets()[..], &[9; 16]].concat(), meta);
    let mut syn = [0; 24];
    (syn[12], syn[13], syn[20], syn[21], syn[22]) = (0x60, 2, 2, 4, 5);
    let syn = Ipv6Header::new(A, B, protocol::TCP).packet(&syn, meta);
    let echo = echo_around(Icmpv6Kind::EchoRequest, A, B, Echo { ident: 1, seq: 2 }, data(b"data"));
    vec![datagram, echo, error, piece, syn]
}

/// Hands the bytes to everything that reads packets. Answers how many readers took them for well-formed.
fn read_all(bytes: &[u8], reassembler: &mut Reassembler) -> usize {
    let packet = || Packet::from_bytes(bytes, Meta::default());
    let mut taken = 0;
    if let Ok(ip) = Ipv6Packet::new_checked(bytes) {
        taken += 1;
        let _ = (Ipv6Header::parse(&ip), FragmentHeader::parse(ip.payload()).is_ok());
        if let Ok(udp) = UdpDatagram::new_checked(ip.payload()) {
            taken += usize::from(udp.verify_checksum_v6(ip.src(), ip.dst()));
        }
        if let Ok(message) = Icmpv6Message::new_checked(ip.payload()) {
            taken += usize::from(message.verify_checksum(ip.src(), ip.dst()));
            taken += usize::from(Quoted::parse(message.payload()).is_ok());
        }
    }
    taken += usize::from(answer_echo(&mut packet()));
    taken += usize::from(mss::clamp_v6(&mut packet(), 1_000));
    let mut reporter = Reporter::new(ReporterConfig::default());
    taken += usize::from(reporter.report(Instant::START, bytes, Trouble::too_big(1400), B, Meta::default()).is_ok());
    taken += usize::from(fragment(&packet(), 56, 1, || PacketId(1)).is_ok());
    reassembler.handle(Instant::START, packet());
    taken
}

#[test]
fn every_prefix_and_every_bit_flip() {
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    for specimen in specimens() {
        let whole = specimen.bytes();
        assert!(read_all(whole, &mut reassembler) >= 2, "the specimen itself is well-formed");
        for length in 0..=whole.len() {
            let mut bytes = whole[..length].to_vec();
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                read_all(&bytes, &mut reassembler);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let taken = read_all(&bytes, &mut reassembler);
            assert!(length == whole.len() || taken == 0, "a packet cut to {length} octets was taken");
        }
    }
    reassembler.handle_timeout(Instant::NEVER);
    assert_eq!(reassembler.wake(), None);
}
