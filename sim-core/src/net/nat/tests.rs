use std::net::Ipv4Addr;

use proptest::prelude::*;

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

// RFC 4787

#[test]
fn req_1_mapping_tells_remote_ends_apart_as_configured() {
    let remotes = [(REMOTE, 1), (REMOTE, 2), (OTHER, 1)];
    let expected = [
        (Behaviour::EndpointIndependent, 1),
        (Behaviour::AddressDependent, 2),
        (Behaviour::AddressAndPortDependent, 3),
    ];
    for (mapping, count) in expected {
        let mut nat = nat(|c| c.mapping = mapping);
        let mut seen: Vec<End> = remotes.iter().map(|remote| send(&mut nat, 0, (A, 5000), *remote)).collect();
        assert_eq!(seen[0], (OUT, 5000), "the first keeps its port");
        seen.dedup();
        assert_eq!((seen.len(), nat.mappings()), (count, count), "{mapping:?}");
        for remote in remotes {
            assert_eq!(send(&mut nat, 0, (A, 5000), remote), send(&mut nat, 0, (A, 5000), remote));
        }
    }
    assert_eq!(NatConfig::default().mapping, Behaviour::EndpointIndependent);
}

/// An inside host keeps to one address of the pool; hosts are spread over it.
#[test]
fn req_2_pooling_is_paired() {
    let mut nat = nat(|c| c.pool = vec![OUT, OUT2]);
    for port in 5000..5010 {
        assert_eq!(send(&mut nat, 0, (A, port), (REMOTE, 1)).0, OUT);
        assert_eq!(send(&mut nat, 0, (B, port), (REMOTE, 1)).0, OUT2);
    }
}

#[test]
fn req_3_ports_are_never_shared() {
    for assignment in [Assignment::Preserve, Assignment::Sequential, Assignment::Random] {
        let mut nat = nat(|c| (c.assignment, c.ports) = (assignment, 2000..=2049));
        let mut seen: Vec<End> = (0..25u16)
            .flat_map(|n| [(A, 2000 + n), (B, 2000 + n)])
            .map(|from| send(&mut nat, 0, from, (REMOTE, 1)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 50, "{assignment:?}");
        let more = nat.outbound(at(0), datagram((A, 9000), (REMOTE, 1)));
        assert_eq!(refused(more), DropReason::NatExhausted);
    }
}

#[test]
fn req_3a_well_known_ports_stay_well_known() {
    let mut nat = nat(|_| {});
    assert_eq!(send(&mut nat, 0, (A, 500), (REMOTE, 500)), (OUT, 500));
    let second = send(&mut nat, 0, (B, 500), (REMOTE, 500)).1;
    assert!((1..1024).contains(&second) && second != 500, "{second}");
    assert_eq!(send(&mut nat, 0, (A, 4500), (REMOTE, 500)).1, 4500);
    assert!(send(&mut nat, 0, (B, 4500), (REMOTE, 500)).1 >= 1024);
}

#[test]
fn req_4_parity_is_kept_if_so_configured() {
    let mut nat = nat(|c| (c.assignment, c.parity) = (Assignment::Random, true));
    for port in 6000..6050 {
        assert_eq!(send(&mut nat, 0, (A, port), (REMOTE, 1)).1 % 2, port % 2);
    }
}

/// The default is the five minutes that are recommended; at the very instant of its expiry a mapping is gone.
#[test]
fn req_5_a_mapping_lives_as_long_as_its_timer() {
    let mut nat = nat(|_| {});
    let outside = send(&mut nat, 0, (A, 5000), (REMOTE, 1));
    let almost = Instant::from_nanos(at(300).as_nanos() - 1);
    let answer = || datagram((REMOTE, 1), outside);
    let mut fork = nat.clone();
    assert!(matches!(fork.inbound(almost, answer()), Outcome::Forward(_)));
    assert_eq!(refused(nat.inbound(at(300), answer())), DropReason::NatNoMapping);
    assert_eq!(nat.mappings(), 0);
}

#[test]
fn req_6_the_refresh_direction_is_as_configured() {
    let cases = [(Refresh::Outbound, [true, false]), (Refresh::Inbound, [false, true]), (Refresh::Both, [true, true])];
    for (refresh, lives) in cases {
        for outbound in [true, false] {
            let mut nat = nat(|c| c.refresh = refresh);
            let outside = send(&mut nat, 0, (A, 5000), (REMOTE, 1));
            if outbound {
                send(&mut nat, 200, (A, 5000), (REMOTE, 1));
            } else {
                assert!(receives(&mut nat, 200, (REMOTE, 1), outside));
            }
            let lived = receives(&mut nat, 400, (REMOTE, 1), outside);
            assert_eq!(lived, lives[usize::from(!outbound)], "{refresh:?}, outbound {outbound}");
        }
    }
}

/// With the same addresses on both sides nothing could be told apart: what is not for an outside address of the NAT is
/// not taken for a translated packet.
#[test]
fn req_7_a_packet_to_an_inside_address_is_not_translated() {
    let mut nat = nat(|_| {});
    send(&mut nat, 0, (A, 5000), (REMOTE, 1));
    assert!(matches!(nat.inbound(at(0), datagram((REMOTE, 1), (A, 5000))), Outcome::Own(_)));
}

#[test]
fn req_8_filtering_is_as_configured() {
    let cases = [
        (Behaviour::EndpointIndependent, [true, true, true]),
        (Behaviour::AddressDependent, [true, true, false]),
        (Behaviour::AddressAndPortDependent, [true, false, false]),
    ];
    for (filtering, admitted) in cases {
        let mut nat = nat(|c| c.filtering = filtering);
        let outside = send(&mut nat, 0, (A, 5000), (REMOTE, 1));
        for (from, admitted) in [(REMOTE, 1), (REMOTE, 2), (OTHER, 1)].into_iter().zip(admitted) {
            assert_eq!(receives(&mut nat, 1, from, outside), admitted, "{filtering:?} {from:?}");
        }
        if filtering != Behaviour::EndpointIndependent {
            let stranger = nat.inbound(at(1), datagram((OTHER, 1), outside));
            assert_eq!(refused(stranger), DropReason::NatFiltered);
        }
    }
}

/// A sends to B's outside end; B sees A's outside end, and its answer goes the same way back.
#[test]
fn req_9_hairpinning_shows_the_external_source() {
    let mut nat = nat(|c| c.filtering = Behaviour::EndpointIndependent);
    let b = send(&mut nat, 0, (B, 6000), (REMOTE, 1));
    let there = ends(&forwarded(nat.outbound(at(0), datagram((A, 5000), b))));
    assert_eq!(there, ((OUT, 5000), (B, 6000)));
    let back = ends(&forwarded(nat.outbound(at(0), datagram((B, 6000), there.0))));
    assert_eq!(back, (b, (A, 5000)));
    let mut off = self::nat(|c| c.hairpin = false);
    let b = send(&mut off, 0, (B, 6000), (REMOTE, 1));
    assert_eq!(refused(off.outbound(at(0), datagram((A, 5000), b))), DropReason::NatNoMapping);
}

/// No ALG: an address inside a payload stays as it is.
#[test]
fn req_10_payloads_are_not_touched() {
    let mut nat = nat(|_| {});
    let payload = [A.octets(), [0x13, 0x88, 0, 0]].concat();
    let packet = udp::packet((A, 5000), (REMOTE, 5060), &payload, Meta::default());
    let packet = forwarded(nat.outbound(at(0), packet));
    assert_eq!(packet.bytes()[28..], payload);
}

/// Behaviour does not change under load: the hosts that were there first are treated as those that come last.
#[test]
fn req_11_behaviour_is_the_same_at_any_load() {
    let mut nat = nat(|c| c.assignment = Assignment::Random);
    let first: Vec<End> = (1..=200).map(|port| send(&mut nat, 0, (A, port), (REMOTE, 1))).collect();
    for n in 0..2000 {
        send(&mut nat, 1, (B, 10_000 + n), (REMOTE, 1));
    }
    let again: Vec<End> = (1..=200).map(|port| send(&mut nat, 2, (A, port), (OTHER, 1))).collect();
    assert_eq!(first, again);
    let same = |seed: u64| {
        let config = NatConfig { pool: vec![OUT], assignment: Assignment::Random, ..NatConfig::default() };
        let mut nat = Nat::new(config, Rng::stream(seed, "nat", Purpose::NatPorts));
        (1000..1050).map(|port| send(&mut nat, 0, (A, port), (REMOTE, 1)).1).collect::<Vec<_>>()
    };
    assert_eq!(same(7), same(7));
    assert_ne!(same(7), same(8));
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

/// Any router may speak (a), the inside host understands (b), and nothing ends or lives longer for it.
#[test]
fn req_12_icmp_errors_pass_and_end_no_mapping() {
    for trouble in [
        IcmpKind::TtlExceeded.into(),
        IcmpKind::PortUnreachable.into(),
        IcmpKind::HostUnreachable.into(),
        Trouble::fragmentation_needed(1400),
    ] {
        let mut nat = nat(|c| c.assignment = Assignment::Random);
        let sent = forwarded(nat.outbound(at(0), datagram((A, 5000), (REMOTE, 1))));
        let outside = ends(&sent).0;
        let arrived = forwarded(nat.inbound(at(250), error_from(ROUTER, &sent, trouble)));
        assert_eq!(error_ends(&arrived), (ROUTER, A, (A, 5000), (REMOTE, 1)));
        let message = Ipv4Packet::new_unchecked(arrived.bytes()).payload().to_vec();
        assert_eq!(IcmpMessage::new_unchecked(&message[..]).next_hop_mtu(), trouble.next_hop_mtu);
        assert!(receives(&mut nat.clone(), 299, (REMOTE, 1), outside), "{trouble:?} ended it");
        assert!(!receives(&mut nat, 300, (REMOTE, 1), outside), "{trouble:?} refreshed it (RFC 5508 REQ-6)");
    }
}

/// Which packets are too long is the device's business ([`crate::node::natbox`]): the translator changes no length.
#[test]
fn req_13_lengths_and_df_stay() {
    let mut nat = nat(|_| {});
    let header = Ipv4Header::new(A, REMOTE, protocol::UDP).dont_fragment();
    let before = {
        let mut packet = Packet::from_bytes(&[7; 1400], Meta::default());
        udp::push(&mut packet, (A, 1), (REMOTE, 2), udp::UdpChecksum::Computed);
        header.push(&mut packet);
        packet
    };
    let after = forwarded(nat.outbound(at(0), before.clone()));
    assert_eq!(after.len(), before.len());
    assert!(Ipv4Packet::new_unchecked(after.bytes()).dont_fragment());
}

fn fragments(from: End, to: End) -> Vec<Packet> {
    let mut packet = udp::packet(from, to, &[7; 3000], Meta::default());
    let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
    ip.set_ident(77);
    ip.fill_checksum();
    let mut id = 0;
    fragment(&packet, 1500, || {
        id += 1;
        crate::id::PacketId(id)
    })
    .unwrap()
}

#[test]
fn req_14_fragments_in_any_order_become_the_datagram() {
    let mut nat = nat(|_| {});
    let mut parts = fragments((A, 5000), (REMOTE, 1));
    parts.rotate_left(1);
    let last = parts.pop().unwrap();
    for part in parts {
        assert!(matches!(nat.outbound(at(0), part), Outcome::Waiting));
    }
    let whole = forwarded(nat.outbound(at(0), last));
    assert_eq!(ends(&whole), ((OUT, 5000), (REMOTE, 1)));
    assert_eq!(whole.len(), 3028);
}

/// 14 a: a flood of first fragments fills a bounded memory, and whole packets pass as before.
#[test]
fn req_14a_a_flood_of_fragments_stops_nothing_else() {
    for policy in [Fragments::Reassemble, Fragments::FollowFirst] {
        let mut nat = nat(|c| c.fragments = policy);
        for ident in 0..5000 {
            let first = Ipv4Header { more_fragments: true, ident, ..Ipv4Header::new(A, REMOTE, protocol::UDP) };
            nat.outbound(at(0), first.packet(&[0; 64], Meta::default()));
        }
        assert!(nat.followed.len() <= FOLLOWED);
        assert_eq!(send(&mut nat, 0, (A, 5000), (REMOTE, 1)), (OUT, 5000));
        let given_up = nat.handle_timeout(at(60));
        assert_eq!(given_up.len(), if policy == Fragments::Reassemble { 1024 } else { 0 });
    }
}

#[test]
fn later_fragments_follow_the_first_or_are_dropped() {
    let mut nat = nat(|c| (c.fragments, c.assignment) = (Fragments::FollowFirst, Assignment::Random));
    let parts = fragments((A, 5000), (REMOTE, 1));
    let early = nat.outbound(at(0), parts[1].clone());
    assert_eq!(refused(early), DropReason::NatFragment);
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let mut whole = None;
    for part in parts {
        let part = forwarded(nat.outbound(at(0), part));
        if let Reassembly::Whole(packet) = reassembler.handle(at(0), part) {
            whole = Some(packet);
        }
    }
    let (source, destination) = ends(&whole.expect("all are there"));
    assert_eq!((source.0, destination), (OUT, (REMOTE, 1)));
    let mut off = self::nat(|c| c.fragments = Fragments::Drop);
    let dropped = off.outbound(at(0), fragments((A, 1), (REMOTE, 1)).remove(0));
    assert_eq!(refused(dropped), DropReason::NatFragment);
}

// RFC 5382

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;

/// Three-way handshake, then silence for two hours and almost four minutes (REQ-5), then both FINs and four minutes.
#[test]
fn tcp_req_5_an_open_connection_is_remembered_longer_than_a_closing_one() {
    let mut nat = nat(|_| {});
    let (a, remote) = ((A, 5000), (REMOTE, 179));
    let out = |nat: &mut Nat, s, flags| ends(&forwarded(nat.outbound(at(s), segment(a, remote, flags)))).0;
    let outside = out(&mut nat, 0, SYN);
    let back =
        |nat: &mut Nat, s, flags| matches!(nat.inbound(at(s), segment(remote, outside, flags)), Outcome::Forward(_));
    let half_open = nat.clone();
    assert!(back(&mut half_open.clone(), 239, SYN | ACK) && !back(&mut half_open.clone(), 240, SYN | ACK));
    assert!(back(&mut nat, 1, SYN | ACK));
    out(&mut nat, 2, ACK);
    assert!(back(&mut nat.clone(), 2 + 7_439, ACK) && !back(&mut nat.clone(), 2 + 7_440, ACK));
    assert!(back(&mut nat, 3, FIN | ACK));
    out(&mut nat, 4, FIN | ACK);
    assert!(back(&mut nat.clone(), 243, ACK) && !back(&mut nat.clone(), 244, ACK));
}

/// REQ-2 a: both ends send a SYN, and each answers the other's.
#[test]
fn tcp_req_2_simultaneous_open_opens() {
    let mut nat = nat(|_| {});
    let (a, remote) = ((A, 5000), (REMOTE, 179));
    let outside = ends(&forwarded(nat.outbound(at(0), segment(a, remote, SYN)))).0;
    assert_eq!(ends(&forwarded(nat.inbound(at(0), segment(remote, outside, SYN)))), (remote, a));
    forwarded(nat.outbound(at(0), segment(a, remote, SYN | ACK)));
    forwarded(nat.inbound(at(0), segment(remote, outside, SYN | ACK)));
    forwarded(nat.inbound(at(0), segment(remote, outside, ACK)));
    forwarded(nat.inbound(at(7_000), segment(remote, outside, ACK)));
}

#[test]
fn tcp_req_4_an_unsolicited_syn_gets_no_answer() {
    let mut nat = nat(|_| {});
    let syn = nat.inbound(at(0), segment((REMOTE, 179), (OUT, 5000), SYN));
    assert_eq!(refused(syn), DropReason::NatNoMapping);
}

// RFC 5508

fn ping(from: Ipv4Addr, to: Ipv4Addr, ident: u16) -> Packet {
    echo_request(from, to, Echo { ident, seq: 1 }, b"data", Meta::default())
}

fn echo_ident(packet: &Packet) -> u16 {
    let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(ip.verify_checksum() && message.verify_checksum());
    message.echo_ident()
}

/// REQ-1 and REQ-2: two hosts with one identifier are told apart by another, for 60 s.
#[test]
fn icmp_req_1_and_2_queries_are_told_apart_by_identifier() {
    let mut nat = nat(|_| {});
    let idents: Vec<u16> = [A, B].map(|host| echo_ident(&forwarded(nat.outbound(at(0), ping(host, REMOTE, 9))))).into();
    assert_eq!(idents[0], 9);
    assert_ne!(idents[1], 9);
    let reply = |ident| echo_reply(REMOTE, OUT, Echo { ident, seq: 1 }, b"data", Meta::default());
    for (host, ident) in [A, B].into_iter().zip(idents) {
        let arrived = forwarded(nat.clone().inbound(at(59), reply(ident)));
        assert_eq!((Ipv4Packet::new_unchecked(arrived.bytes()).dst(), echo_ident(&arrived)), (host, 9));
        assert_eq!(refused(nat.clone().inbound(at(60), reply(ident))), DropReason::NatNoMapping);
    }
    assert!(matches!(nat.inbound(at(0), ping(REMOTE, OUT, 1)), Outcome::Own(_)), "the device answers for itself");
}

#[test]
fn icmp_req_3_damaged_errors_are_dropped() {
    let mut nat = nat(|_| {});
    let sent = forwarded(nat.outbound(at(0), datagram((A, 5000), (REMOTE, 1))));
    let error = error_from(ROUTER, &sent, IcmpKind::TtlExceeded);
    let mut damaged = error.clone();
    damaged.bytes_mut()[50] ^= 1;
    assert_eq!(refused(nat.inbound(at(0), damaged)), DropReason::BadChecksum);
    // 3 a: the quoted header is damaged, the message is not.
    let mut quoted = error;
    quoted.bytes_mut()[28 + 9] ^= 1;
    IcmpMessage::new_unchecked(&mut quoted.bytes_mut()[20..]).fill_checksum();
    assert_eq!(refused(nat.inbound(at(0), quoted)), DropReason::BadChecksum);
}

#[test]
fn icmp_req_4_an_error_about_nothing_known_is_dropped() {
    let mut nat = nat(|_| {});
    let never_sent = datagram((OUT, 5000), (REMOTE, 1));
    let error = error_from(ROUTER, &never_sent, IcmpKind::TtlExceeded);
    assert_eq!(refused(nat.inbound(at(0), error)), DropReason::NatNoMapping);
}

/// REQ-5: the inside host refuses what came to it, and the remote hears it of the outside end.
#[test]
fn icmp_req_5_an_error_from_inside_shows_the_outside() {
    let mut nat = nat(|c| c.assignment = Assignment::Random);
    let outside = send(&mut nat, 0, (A, 5000), (REMOTE, 1));
    let arrived = forwarded(nat.inbound(at(1), datagram((REMOTE, 1), outside)));
    for speaker in [A, B] {
        let error = error_from(speaker, &arrived, IcmpKind::PortUnreachable);
        let error = forwarded(nat.outbound(at(1), error));
        assert_eq!(error_ends(&error), (OUT, REMOTE, (REMOTE, 1), outside), "as told by {speaker}");
    }
}

/// REQ-7: an error about a hairpinned packet finds its way back.
#[test]
fn icmp_req_7_errors_are_hairpinned() {
    let mut nat = nat(|c| (c.filtering, c.assignment) = (Behaviour::EndpointIndependent, Assignment::Random));
    let b = send(&mut nat, 0, (B, 6000), (REMOTE, 1));
    let arrived = forwarded(nat.outbound(at(0), datagram((A, 5000), b)));
    let error = error_from(B, &arrived, IcmpKind::PortUnreachable);
    let error = forwarded(nat.outbound(at(0), error));
    assert_eq!(error_ends(&error), (OUT, A, (A, 5000), b));
}

#[test]
fn an_error_about_a_ping_finds_who_pinged() {
    let mut nat = nat(|_| {});
    forwarded(nat.outbound(at(0), ping(A, REMOTE, 9)));
    let sent = forwarded(nat.outbound(at(0), ping(B, REMOTE, 9)));
    let error = forwarded(nat.inbound(at(0), error_from(ROUTER, &sent, IcmpKind::TtlExceeded)));
    let ip = Ipv4Packet::new_checked(error.bytes()).unwrap();
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(message.verify_checksum());
    assert_eq!((ip.dst(), message.payload()), (B, ping(B, REMOTE, 9).bytes()));
}

// IPsec, modes, limits

fn esp(from: Ipv4Addr, to: Ipv4Addr) -> Packet {
    Ipv4Header::new(from, to, protocol::ESP).packet(&[1, 2, 3, 4, 0, 0, 0, 1], Meta::default())
}

/// Nothing but addresses tells ESP apart: one inside host for each remote address.
#[test]
fn esp_passes_for_one_client_or_not_at_all() {
    let mut nat = nat(|_| {});
    assert_eq!(refused(nat.inbound(at(0), esp(REMOTE, OUT))), DropReason::NatNoMapping);
    let sent = forwarded(nat.outbound(at(0), esp(A, REMOTE)));
    assert_eq!(sent.bytes(), esp(OUT, REMOTE).bytes());
    assert_eq!(refused(nat.outbound(at(0), esp(B, REMOTE))), DropReason::NatConflict);
    forwarded(nat.outbound(at(0), esp(B, OTHER)));
    for (remote, inside) in [(REMOTE, A), (OTHER, B)] {
        let arrived = forwarded(nat.inbound(at(1), esp(remote, OUT)));
        assert_eq!(arrived.bytes(), esp(remote, inside).bytes());
    }
    forwarded(nat.outbound(at(601), esp(B, REMOTE)));
    let mut off = self::nat(|c| c.esp = Passthrough::Drop);
    assert_eq!(refused(off.outbound(at(0), esp(A, REMOTE))), DropReason::NatUnsupported);
    let ah = Ipv4Header::new(A, REMOTE, protocol::AH).packet(&[0; 24], Meta::default());
    assert_eq!(refused(off.outbound(at(0), ah)), DropReason::NatUnsupported);
}

#[test]
fn one_to_one_translates_addresses_only() {
    let pairs = vec![(A, OUT), (B, OUT2)];
    let mut nat = nat(|c| (c.mode, c.pool) = (Mode::OneToOne(pairs), Vec::new()));
    assert_eq!(send(&mut nat, 0, (A, 5000), (REMOTE, 1)), (OUT, 5000));
    let unasked = forwarded(nat.inbound(at(0), datagram((REMOTE, 9), (OUT2, 22))));
    assert_eq!(ends(&unasked), ((REMOTE, 9), (B, 22)), "anybody may begin");
    let hairpin = forwarded(nat.outbound(at(0), datagram((A, 1), (OUT2, 2))));
    assert_eq!(ends(&hairpin), ((OUT, 1), (B, 2)));
    let stranger = datagram((Ipv4Addr::new(10, 0, 0, 9), 1), (REMOTE, 1));
    assert_eq!(refused(nat.outbound(at(0), stranger)), DropReason::NatNoMapping);
    let pinged = forwarded(nat.inbound(at(0), ping(REMOTE, OUT, 5)));
    assert_eq!(pinged.bytes(), ping(REMOTE, A, 5).bytes(), "the inside host answers");
    let arrived = datagram((REMOTE, 9), (B, 22));
    let error = forwarded(nat.outbound(at(0), error_from(B, &arrived, IcmpKind::PortUnreachable)));
    assert_eq!(error_ends(&error), (OUT2, REMOTE, (REMOTE, 9), (OUT2, 22)));
    assert_eq!(nat.mappings(), 0);
}

/// A carrier-grade NAT: each host has 100 ports of one address to itself, and its block is free again when it is idle.
#[test]
fn a_port_block_is_a_host_s_own() {
    let mut nat = nat(|c| (c.block, c.ports, c.pool) = (Some(100), 1024..=1250, vec![OUT, OUT2]));
    let host = |n: u8| Ipv4Addr::new(100, 64, 0, n);
    let block = |end: End| (end.0, (end.1 - 1024) / 100);
    let mut blocks: Vec<_> = (0..4).map(|n| block(send(&mut nat, 0, (host(n), 500), (REMOTE, 500)))).collect();
    blocks.sort_unstable();
    assert_eq!(blocks, [(OUT, 0), (OUT, 1), (OUT2, 0), (OUT2, 1)], "1224 to 1250 is no whole block");
    let fifth = || datagram((host(9), 500), (REMOTE, 500));
    assert_eq!(refused(nat.outbound(at(0), fifth())), DropReason::NatExhausted);
    let own = (1..100).map(|n| block(send(&mut nat, 10, (host(0), 5000 + n), (REMOTE, 500))));
    assert!(own.collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]));
    let more = nat.outbound(at(10), datagram((host(0), 9000), (REMOTE, 500)));
    assert_eq!(refused(more), DropReason::NatExhausted, "its block is full");
    forwarded(nat.outbound(at(300), fifth()));
}

#[test]
fn a_full_table_takes_nothing_more_until_something_expires() {
    let mut nat = nat(|c| c.table = 2);
    send(&mut nat, 0, (A, 1), (REMOTE, 1));
    send(&mut nat, 100, (A, 1), (REMOTE, 2));
    assert_eq!(refused(nat.outbound(at(100), datagram((A, 1), (REMOTE, 3)))), DropReason::NatExhausted);
    send(&mut nat, 100, (A, 1), (REMOTE, 2));
    send(&mut nat, 300, (A, 1), (REMOTE, 3));
}

#[test]
fn a_flushed_table_gives_other_ports() {
    let mut nat = nat(|c| c.assignment = Assignment::Random);
    let before = send(&mut nat, 0, (A, 4500), (REMOTE, 4500));
    nat.flush();
    assert!(!receives(&mut nat, 0, (REMOTE, 4500), before));
    assert_ne!(send(&mut nat, 0, (A, 4500), (REMOTE, 4500)), before);
    let mut sequential = self::nat(|c| c.assignment = Assignment::Sequential);
    let ports = [1, 2, 3].map(|port| send(&mut sequential, 0, (A, 5000 + port), (REMOTE, 1)).1);
    sequential.flush();
    assert_eq!((ports, send(&mut sequential, 0, (A, 1), (REMOTE, 1)).1), ([1024, 1025, 1026], 1));
}

fn configs() -> impl Strategy<Value = NatConfig> {
    let behaviour = || {
        prop::sample::select(vec![
            Behaviour::EndpointIndependent,
            Behaviour::AddressDependent,
            Behaviour::AddressAndPortDependent,
        ])
    };
    let assignment = prop::sample::select(vec![Assignment::Preserve, Assignment::Sequential, Assignment::Random]);
    let fragments = prop::sample::select(vec![Fragments::Reassemble, Fragments::FollowFirst, Fragments::Drop]);
    let mode = prop::sample::select(vec![Mode::Napt, Mode::OneToOne(vec![(A, OUT), (B, OUT2)]), Mode::Routed]);
    (behaviour(), behaviour(), assignment, fragments, mode, any::<bool>(), prop::option::of(50..500u16)).prop_map(
        |(mapping, filtering, assignment, fragments, mode, parity, block)| NatConfig {
            mode,
            pool: vec![OUT, OUT2],
            mapping,
            filtering,
            assignment,
            parity,
            fragments,
            block,
            ..NatConfig::default()
        },
    )
}

proptest! {
    /// What goes out and is answered comes back to where it came from, whatever the behaviour; the remote's checksums are
    /// right by another library's reckoning.
    #[test]
    fn out_and_back_is_identity(config in configs(), host in prop::sample::select(vec![A, B]), port: u16, to: u16, tcp: bool) {
        let mut nat = Nat::new(config, Rng::stream(3, "nat", Purpose::NatPorts));
        let make = |from, to| if tcp { segment(from, to, SYN) } else { datagram(from, to) };
        let there = forwarded(nat.outbound(at(0), make((host, port), (REMOTE, to))));
        let (outside, remote) = ends(&there);
        prop_assert_eq!(remote, (REMOTE, to));
        let (header, payload) = etherparse::Ipv4Header::from_slice(there.bytes()).unwrap();
        prop_assert_eq!(header.calc_header_checksum(), header.header_checksum);
        if tcp {
            let slice = etherparse::TcpSlice::from_slice(payload).unwrap();
            let whole = checksum_or_its_other_zero(slice.calc_checksum_ipv4(header.source, header.destination).unwrap());
            prop_assert!(whole.contains(&slice.checksum()));
        } else {
            let (udp, data) = etherparse::UdpHeader::from_slice(payload).unwrap();
            let whole = udp.calc_checksum_ipv4_raw(header.source, header.destination, data).unwrap();
            prop_assert_eq!(udp.checksum, whole);
        }
        let back = ends(&forwarded(nat.inbound(at(1), make(remote, outside))));
        prop_assert_eq!(back, ((REMOTE, to), (host, port)));
    }

    /// The same for pings.
    #[test]
    fn a_ping_comes_back(config in configs(), host in prop::sample::select(vec![A, B]), ident: u16) {
        let mut nat = Nat::new(config, Rng::stream(3, "nat", Purpose::NatPorts));
        let there = forwarded(nat.outbound(at(0), ping(host, REMOTE, ident)));
        let outside = Ipv4Packet::new_unchecked(there.bytes()).src();
        let echo = Echo { ident: echo_ident(&there), seq: 1 };
        let back = forwarded(nat.inbound(at(0), echo_reply(REMOTE, outside, echo, b"data", Meta::default())));
        let expected = echo_reply(REMOTE, host, Echo { ident, seq: 1 }, b"data", Meta::default());
        prop_assert_eq!(back.bytes(), expected.bytes());
    }

    /// An error about a datagram quotes to its sender what that sender sent.
    #[test]
    fn an_error_quotes_what_was_sent(config in configs(), port: u16, to: u16, rfc792: bool) {
        let mut nat = Nat::new(config, Rng::stream(3, "nat", Purpose::NatPorts));
        let original = datagram((A, port), (REMOTE, to));
        let sent = forwarded(nat.outbound(at(0), original.clone()));
        let quote = if rfc792 { crate::net::icmp::Quote::Rfc792 } else { crate::net::icmp::Quote::Rfc1812 };
        let mut reporter = Reporter::new(ReporterConfig { quote, ..ReporterConfig::default() });
        let trouble = IcmpKind::TtlExceeded.into();
        let error = reporter.report(at(0), sent.bytes(), trouble, ROUTER, &[], Meta::default()).unwrap();
        let error = forwarded(nat.inbound(at(0), error));
        let ip = Ipv4Packet::new_checked(error.bytes()).unwrap();
        let message = IcmpMessage::new_checked(ip.payload()).unwrap();
        prop_assert!(message.verify_checksum());
        prop_assert_eq!(message.payload(), &original.bytes()[..message.payload().len()]);
    }

    /// Whatever arrives, in whatever order: no panic, and a header checksum that was right stays right.
    #[test]
    fn nothing_panics(
        config in configs(),
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0..6usize, any::<bool>(), 0..400u64), 1..20),
    ) {
        let mut nat = Nat::new(NatConfig { table: 8, ..config }, Rng::stream(3, "nat", Purpose::NatPorts));
        let mut now = 0;
        for (payload, kind, outbound, later) in packets {
            now += later;
            let protocol = [protocol::UDP, protocol::TCP, protocol::ICMP, protocol::ESP, protocol::AH, 99][kind];
            let (src, dst) = if outbound { (A, REMOTE) } else { (REMOTE, OUT) };
            let header = Ipv4Header {
                more_fragments: payload.len() % 16 == 8,
                fragment_offset: payload.first().map_or(0, |o| usize::from(*o) % 3 * 8),
                ..Ipv4Header::new(src, dst, protocol)
            };
            let packet = header.packet(&payload, Meta::default());
            let outcome = if outbound { nat.outbound(at(now), packet) } else { nat.inbound(at(now), packet) };
            if let Outcome::Forward(packet) = outcome {
                prop_assert!(Ipv4Packet::new_checked(packet.bytes()).unwrap().verify_checksum());
            }
            nat.handle_timeout(at(now));
        }
        prop_assert!(nat.mappings() <= 8);
    }
}

/// Ones' complement has two zeros, and TCP takes either.
fn checksum_or_its_other_zero(checksum: u16) -> [u16; 2] {
    if checksum == 0 || checksum == 0xffff { [0, 0xffff] } else { [checksum; 2] }
}
