//! The requirements of the RFCs by their numbers, and the laws that hold for any behaviour.

mod laws;
mod modes;
mod rfc4787;
mod rfc5382;
mod rfc5508;

use std::net::Ipv4Addr;

use super::*;
use crate::net::fragment::fragment;
use crate::net::icmp::{Reporter, ReporterConfig, Trouble};
use crate::packet::Meta;
use crate::rng::{Purpose, Rng};
use crate::wire::checksum;
use crate::wire::icmp::{Echo, IcmpKind, IcmpMessage, Quoted, echo_reply, echo_request};
use crate::wire::ipv4::{Ipv4Header, protocol};
use crate::wire::udp::{self, UdpDatagram};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const OUT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUT2: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const REMOTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

type End = (Ipv4Addr, u16);

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

fn nat(change: impl FnOnce(&mut NatConfig)) -> Nat {
    let mut config = NatConfig { pool: vec![OUT], ..NatConfig::default() };
    change(&mut config);
    Nat::new(config, Rng::stream(1, "nat", Purpose::NatPorts))
}

fn datagram(from: End, to: End) -> Packet {
    udp::packet(from, to, b"payload", Meta::default())
}

/// A TCP segment without options or data.
fn segment(from: End, to: End, flags: u8) -> Packet {
    let mut header = [0; 20];
    header[..2].copy_from_slice(&from.1.to_be_bytes());
    header[2..4].copy_from_slice(&to.1.to_be_bytes());
    header[12] = 0x50;
    header[13] = flags;
    let sum = checksum::add(checksum::pseudo_header(from.0, to.0, protocol::TCP, 20), checksum::sum(&header));
    header[16..18].copy_from_slice(&(!sum).to_be_bytes());
    Ipv4Header::new(from.0, to.0, protocol::TCP).packet(&header, Meta::default())
}

/// Source and destination of a UDP or TCP packet whose checksums are right.
fn ends(packet: &Packet) -> (End, End) {
    let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
    assert!(ip.verify_checksum());
    let payload = ip.payload();
    let pseudo = checksum::pseudo_header(ip.src(), ip.dst(), ip.protocol(), payload.len() as u16);
    assert_eq!(checksum::add(pseudo, checksum::sum(payload)), 0xffff, "the transport checksum is right");
    let port = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    ((ip.src(), port(0)), (ip.dst(), port(2)))
}

#[track_caller]
fn forwarded(outcome: Outcome) -> Packet {
    match outcome {
        Outcome::Forward(packet) => packet,
        other => panic!("not forwarded: {other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> DropReason {
    match outcome {
        Outcome::Drop(reason, _) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}

/// Sends from inside and answers the outside end that the remote sees.
#[track_caller]
fn send(nat: &mut Nat, seconds: u64, from: End, to: End) -> End {
    ends(&forwarded(nat.outbound(at(seconds), datagram(from, to)))).0
}

fn receives(nat: &mut Nat, seconds: u64, from: End, to: End) -> bool {
    matches!(nat.inbound(at(seconds), datagram(from, to)), Outcome::Forward(_))
}

/// The error of a router on the way to `remote` about what the inside end sent.
fn error_from(router: Ipv4Addr, about: &Packet, trouble: impl Into<Trouble>) -> Packet {
    let mut reporter = Reporter::new(ReporterConfig::default());
    reporter.report(Instant::START, about.bytes(), trouble.into(), router, &[], Meta::default()).unwrap()
}

/// An ICMP error in full: source, destination, and the ends of the packet that it quotes. All checksums are verified.
fn error_ends(packet: &Packet) -> (Ipv4Addr, Ipv4Addr, End, End) {
    let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(ip.verify_checksum() && message.verify_checksum());
    let quoted = Quoted::parse(message.payload()).unwrap();
    assert!(Ipv4Packet::new_unchecked(message.payload()).verify_checksum());
    if quoted.header.protocol == protocol::UDP {
        let udp = UdpDatagram::new_checked(quoted.payload).unwrap();
        assert!(udp.verify_checksum(quoted.header.src, quoted.header.dst), "the quoted checksum is right");
    }
    let port = |at: usize| u16::from_be_bytes([quoted.payload[at], quoted.payload[at + 1]]);
    (ip.src(), ip.dst(), (quoted.header.src, port(0)), (quoted.header.dst, port(2)))
}

fn ping(from: Ipv4Addr, to: Ipv4Addr, ident: u16) -> Packet {
    echo_request(from, to, Echo { ident, seq: 1 }, b"data", Meta::default())
}

fn echo_ident(packet: &Packet) -> u16 {
    let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(ip.verify_checksum() && message.verify_checksum());
    message.echo_ident()
}
