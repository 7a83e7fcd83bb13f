//! Nothing below layer 4 panics on what a path can do to a packet: every prefix of it, with every single bit flipped.

use std::net::Ipv4Addr;

use sim_core::id::PacketId;
use sim_core::net::fragment::{Reassembler, ReassemblyConfig, fragment};
use sim_core::net::icmp::{Reporter, ReporterConfig, Trouble, answer_echo};
use sim_core::net::nat::{Fragments, Mode, Nat, NatConfig, Outcome, Passthrough};
use sim_core::packet::{Meta, Packet};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Instant;
use sim_core::wire::icmp::{self, Echo, IcmpKind, IcmpMessage, Quoted};
use sim_core::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};
use sim_core::wire::udp::{self, UdpDatagram};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const C: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// One packet of each kind: UDP, echo, an error that quotes, a fragment, and one with options (record route, end).
fn specimens() -> Vec<Packet> {
    let meta = Meta::default();
    let datagram = udp::packet((A, 1000), (B, 2000), b"specimen", meta);
    let mut reporter = Reporter::new(ReporterConfig::default());
    let trouble = Trouble::fragmentation_needed(1400);
    let error = reporter.report(Instant::START, datagram.bytes(), trouble, B, &[], meta).unwrap();
    let piece = Ipv4Header { more_fragments: true, ..Ipv4Header::new(A, B, protocol::UDP) };
    let mut optional = Ipv4Header::new(A, B, protocol::UDP).packet(&[7, 7, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4], meta);
    let mut view = Ipv4Packet::new_unchecked(optional.bytes_mut());
    view.set_header_len(28);
    view.fill_checksum();
    let echo = icmp::echo_request(A, B, Echo { ident: 1, seq: 2 }, b"data", meta);
    vec![datagram, echo, error, piece.packet(&[9; 16], meta), optional]
}

/// NATs of every mode and with every treatment of fragments. The first address is inside; the second is outside of one half
/// of them and a remote host to the other.
fn nats() -> Vec<Nat> {
    let mut nats = Vec::new();
    for fragments in [Fragments::Reassemble, Fragments::FollowFirst, Fragments::Drop] {
        for mode in [Mode::Napt, Mode::OneToOne(vec![(A, C)]), Mode::OneToOne(vec![(C, B)])] {
            for pool in [vec![B], vec![C]] {
                let ah = Passthrough::OneClient;
                let config = NatConfig { mode: mode.clone(), pool, fragments, ah, table: 64, ..NatConfig::default() };
                nats.push(Nat::new(config, Rng::stream(1, "hostile", Purpose::Test)));
            }
        }
    }
    nats
}

/// Hands a packet to NATs from both sides. A device has checked its header before.
fn translate_all(bytes: &[u8], nats: &mut [Nat]) {
    let Ok(ip) = Ipv4Packet::new_checked(bytes) else { return };
    if !ip.verify_checksum() {
        return;
    }
    let packet = || Packet::from_bytes(ip.datagram(), Meta::default());
    for nat in nats {
        for outcome in [nat.outbound(Instant::START, packet()), nat.inbound(Instant::START, packet())] {
            if let Outcome::Forward(packet) = outcome {
                let ip =
                    Ipv4Packet::new_checked(packet.bytes()).expect("a NAT makes no malformed packet of a good one");
                assert!(ip.verify_checksum());
            }
        }
    }
}

/// Hands the bytes to everything that reads packets. Answers how many readers took them for well-formed.
fn read_all(bytes: &[u8], reassembler: &mut Reassembler) -> usize {
    let packet = || Packet::from_bytes(bytes, Meta::default());
    let mut taken = 0;
    if let Ok(ip) = Ipv4Packet::new_checked(bytes) {
        taken += 1;
        let _ = (ip.verify_checksum(), ip.options(), Ipv4Header::parse(&ip));
        if let Ok(udp) = UdpDatagram::new_checked(ip.payload()) {
            taken += usize::from(udp.verify_checksum(ip.src(), ip.dst()));
        }
        if let Ok(message) = IcmpMessage::new_checked(ip.payload()) {
            taken += usize::from(message.verify_checksum() && message.kind().is_error());
            taken += usize::from(Quoted::parse(message.payload()).is_ok());
        }
    }
    taken += usize::from(answer_echo(&mut packet()));
    let mut reporter = Reporter::new(ReporterConfig::default());
    let trouble = IcmpKind::PortUnreachable.into();
    let report = reporter.report(Instant::START, bytes, trouble, B, &[], Meta::default());
    taken += usize::from(report.is_ok());
    taken += usize::from(fragment(&packet(), 36, || PacketId(1)).is_ok());
    reassembler.handle(Instant::START, packet());
    taken
}

#[test]
fn every_prefix_and_every_bit_flip() {
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    for specimen in specimens() {
        let whole = specimen.bytes();
        assert!(read_all(whole, &mut reassembler) >= 3, "the specimen itself is well-formed");
        for length in 0..=whole.len() {
            let mut bytes = whole[..length].to_vec();
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                read_all(&bytes, &mut reassembler);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let taken = read_all(&bytes, &mut reassembler);
            assert!(length == whole.len() || taken == 0, "a datagram cut to {length} octets was taken");
        }
    }
    reassembler.handle_timeout(Instant::NEVER);
    assert_eq!(reassembler.wake(), None);
}

/// The same for NATs. A flipped bit in the header is repaired in its checksum, or no NAT would look further.
#[test]
fn every_prefix_and_every_bit_flip_through_nats() {
    let mut nats = nats();
    let esp = Ipv4Header::new(A, B, protocol::ESP).packet(&[1; 24], Meta::default());
    let ah = Ipv4Header::new(A, B, protocol::AH).packet(&[1; 24], Meta::default());
    let tcp = Ipv4Header::new(A, B, protocol::TCP).packet(&[0x50; 24], Meta::default());
    for specimen in specimens().into_iter().chain([esp, ah, tcp]) {
        let whole = specimen.bytes();
        for length in 20..=whole.len() {
            let mut bytes = whole[..length].to_vec();
            for bit in 0..=length * 8 {
                let flip = |bytes: &mut Vec<u8>| {
                    if let Some(octet) = bytes.get_mut(bit / 8) {
                        *octet ^= 1 << (bit % 8);
                    }
                };
                flip(&mut bytes);
                let mut repaired = bytes.clone();
                if length < whole.len() {
                    repaired[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                }
                if Ipv4Packet::new_checked(&repaired[..]).is_ok() {
                    Ipv4Packet::new_unchecked(&mut repaired[..]).fill_checksum();
                }
                translate_all(&repaired, &mut nats);
                flip(&mut bytes);
            }
        }
    }
    for nat in &mut nats {
        nat.handle_timeout(Instant::NEVER);
        assert!(nat.mappings() <= 64 && nat.wake().is_none());
    }
}
