use super::*;
use crate::id::NodeId;
use crate::net::filter::{PortOf, RuleDirection};
use crate::net::fragment::{Reassembler, Reassembly, ReassemblyConfig};
use crate::net::nat::{Mode, NatConfig};
use crate::node::Emit;
use crate::packet::Meta;
use crate::rng::{Purpose, Rng};
use crate::trace::Trace;
use crate::wire::icmp::{Echo, IcmpMessage, echo_reply, echo_request};
use crate::wire::ipv4::{Ipv4Header, protocol};
use crate::wire::udp::{self, UdpChecksum, UdpDatagram};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
/// MTU of both ports.
const MTU: u32 = 1400;

/// A box alone on a table.
struct Bench {
    node: NatBox,
    trace: Trace,
    packets: u64,
}

impl Bench {
    fn new(change: impl FnOnce(&mut NatConfig), filter: Vec<Rule>) -> Self {
        let mut config = NatConfig { pool: vec![OUTSIDE], ..NatConfig::default() };
        change(&mut config);
        let nat = Nat::new(config, Rng::stream(1, "box", Purpose::NatPorts));
        let mut node = NatBox::new(vec![OUTSIDE, INSIDE], nat, filter);
        for port in [INSIDE_PORT, OUTSIDE_PORT] {
            node.add_port(port, MTU);
        }
        node.add_route("10.0.0.0/24".parse().unwrap(), INSIDE_PORT);
        node.add_route("0.0.0.0/0".parse().unwrap(), OUTSIDE_PORT);
        Self { node, trace: Trace::default(), packets: 0 }
    }

    fn touch(&mut self, input: impl FnOnce(&mut NatBox, &mut Cx)) -> Vec<(Port, Packet)> {
        let mut out = Vec::new();
        let mut cx = Cx {
            now: Instant::from_secs(1),
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            trace: &mut self.trace,
            out: &mut out,
            packets: &mut self.packets,
            rearm: false,
        };
        input(&mut self.node, &mut cx);
        out.into_iter()
            .filter_map(|emit| match emit {
                Emit::Packet(port, packet) => Some((port, packet)),
                Emit::Notice(..) => None,
            })
            .collect()
    }

    /// Gives it a packet and answers what leaves it.
    fn give(&mut self, port: Port, packet: Packet) -> Vec<(Port, Packet)> {
        self.touch(|node, cx| node.receive(cx, port, packet))
    }

    /// The only packet that leaves, and by which port.
    #[track_caller]
    fn one(&mut self, port: Port, packet: Packet) -> (Port, Packet) {
        let mut out = self.give(port, packet);
        assert_eq!(out.len(), 1, "{out:?}");
        out.remove(0)
    }

    /// Packets dropped for a reason so far.
    fn drops(&self, reason: DropReason) -> u64 {
        self.trace.drops().iter().filter(|(key, _)| key.reason == reason).map(|(_, count)| count.packets).sum()
    }
}

fn datagram(header: Ipv4Header, ports: (u16, u16), octets: usize) -> Packet {
    let mut packet = Packet::from_bytes(&vec![7; octets], Meta::default());
    udp::push(&mut packet, (header.src, ports.0), (header.dst, ports.1), UdpChecksum::Computed);
    header.push(&mut packet);
    packet
}

fn out(ports: (u16, u16)) -> Packet {
    datagram(Ipv4Header::new(A, REMOTE, protocol::UDP), ports, 100)
}

/// Who speaks to whom in an ICMP error, what it says, and the quotation.
#[track_caller]
fn error(packet: &Packet) -> (Ipv4Addr, Ipv4Addr, IcmpKind, u16, Vec<u8>) {
    let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
    assert_eq!(ip.protocol(), protocol::ICMP);
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(message.verify_checksum());
    (ip.src(), ip.dst(), message.kind(), message.next_hop_mtu(), message.payload().to_vec())
}

/// RFC 4787 REQ-13: DF set and too long: the host hears of it, by what it sent itself. Item a: DF clear: fragments in order.
#[test]
fn req_13_what_does_not_fit_is_cut_or_complained_of() {
    let mut bench = Bench::new(|_| {}, Vec::new());
    let header = Ipv4Header::new(A, REMOTE, protocol::UDP);
    let stuck = datagram(header.dont_fragment(), (1, 2), 1400);
    let (port, complaint) = bench.one(INSIDE_PORT, stuck.clone());
    let (_, to, kind, mtu, quoted) = error(&complaint);
    assert_eq!((port, to, kind, mtu), (INSIDE_PORT, A, IcmpKind::FragmentationNeeded, MTU as u16));
    assert_eq!((&quoted[12..20], &quoted[20..28]), (&stuck.bytes()[12..20], &stuck.bytes()[20..28]));
    assert_eq!(bench.drops(DropReason::FragmentationNeeded), 1);
    assert_eq!(bench.node.nat().mappings(), 0, "what goes nowhere makes no mapping");

    let parts = bench.give(INSIDE_PORT, datagram(header, (1, 2), 2000));
    let mut reassembler = Reassembler::new(ReassemblyConfig::default());
    let mut offset = 0;
    let mut whole = None;
    for (port, part) in parts {
        let ip = Ipv4Packet::new_checked(part.bytes()).unwrap();
        assert_eq!((port, ip.src(), ip.fragment_offset()), (OUTSIDE_PORT, OUTSIDE, offset));
        offset += ip.payload().len();
        if let Reassembly::Joined(packet, _) = reassembler.handle(Instant::START, part) {
            whole = Some(packet);
        }
    }
    let whole = whole.expect("all parts are there");
    let ip = Ipv4Packet::new_checked(whole.bytes()).unwrap();
    assert!(UdpDatagram::new_checked(ip.payload()).unwrap().verify_checksum(OUTSIDE, REMOTE));
}

/// RFC 5508 section 7: whoever hears of a packet's end finds the packet that he knows, from either side.
#[test]
fn an_expired_ttl_is_told_by_what_its_sender_knows() {
    let mut bench = Bench::new(|_| {}, Vec::new());
    let last_hop = Ipv4Header { ttl: 1, ..Ipv4Header::new(A, REMOTE, protocol::UDP) };
    let packet = datagram(last_hop, (5000, 2), 10);
    let (port, complaint) = bench.one(INSIDE_PORT, packet.clone());
    let (_, to, kind, _, quoted) = error(&complaint);
    assert_eq!((port, to, kind), (INSIDE_PORT, A, IcmpKind::TtlExceeded));
    assert_eq!(quoted, packet.bytes());

    bench.one(INSIDE_PORT, out((5000, 2)));
    let last_hop = Ipv4Header { ttl: 1, ..Ipv4Header::new(REMOTE, OUTSIDE, protocol::UDP) };
    let packet = datagram(last_hop, (2, 5000), 10);
    let (port, complaint) = bench.one(OUTSIDE_PORT, packet.clone());
    let (from, to, kind, _, quoted) = error(&complaint);
    assert_eq!((port, from, to, kind), (OUTSIDE_PORT, OUTSIDE, REMOTE, IcmpKind::TtlExceeded));
    assert_eq!(quoted, packet.bytes(), "the outside learns no inside address");
    let answer = bench.one(OUTSIDE_PORT, datagram(Ipv4Header::new(REMOTE, OUTSIDE, protocol::UDP), (2, 5000), 10));
    assert_eq!(answer.0, INSIDE_PORT);
}

#[test]
fn it_answers_pings_of_all_its_addresses() {
    let mut bench = Bench::new(|_| {}, Vec::new());
    let echo = Echo { ident: 9, seq: 1 };
    let cases = [(INSIDE_PORT, A, INSIDE), (INSIDE_PORT, A, OUTSIDE), (OUTSIDE_PORT, REMOTE, OUTSIDE)];
    for (port, from, to) in cases {
        let (back, reply) = bench.one(port, echo_request(from, to, echo, b"data", Meta::default()));
        assert_eq!(back, port);
        assert_eq!(reply.bytes(), echo_reply(to, from, echo, b"data", Meta::default()).bytes());
    }
    let hidden = bench.give(OUTSIDE_PORT, echo_request(REMOTE, A, echo, b"", Meta::default()));
    assert!(hidden.is_empty());
    assert_eq!(bench.drops(DropReason::NatNoMapping), 1);
}

fn rule(protocol: u8, port: Option<u16>, direction: RuleDirection, action: RuleAction) -> Rule {
    Rule { protocol: Some(protocol), port: port.map(|port| (PortOf::Outside, port)), contents: None, direction, action }
}

/// The first rule that fits decides; a port is the remote one.
#[test]
fn rules_are_asked_in_order() {
    use RuleAction::{Drop, Pass, Reject};
    use RuleDirection::{Both, Inbound, Outbound};
    let filter = vec![
        rule(protocol::UDP, Some(500), Both, Pass),
        rule(protocol::UDP, Some(4500), Both, Drop),
        rule(protocol::UDP, Some(501), Outbound, Reject),
        rule(protocol::UDP, Some(502), Inbound, Drop),
        rule(protocol::ESP, None, Both, Drop),
        Rule { protocol: None, port: Some((PortOf::Outside, 500)), contents: None, direction: Both, action: Drop },
    ];
    let mut bench = Bench::new(|_| {}, filter);
    assert_eq!(bench.one(INSIDE_PORT, out((4500, 500))).0, OUTSIDE_PORT);
    assert!(bench.give(INSIDE_PORT, out((500, 4500))).is_empty());
    let (port, complaint) = bench.one(INSIDE_PORT, out((7, 501)));
    assert_eq!((port, error(&complaint).2), (INSIDE_PORT, IcmpKind::AdministrativelyProhibited));
    assert_eq!(bench.one(INSIDE_PORT, out((502, 502))).0, OUTSIDE_PORT);
    let answer = datagram(Ipv4Header::new(REMOTE, OUTSIDE, protocol::UDP), (502, 502), 10);
    assert!(bench.give(OUTSIDE_PORT, answer).is_empty());
    let esp = Ipv4Header::new(A, REMOTE, protocol::ESP).packet(&[1; 20], Meta::default());
    assert!(bench.give(INSIDE_PORT, esp).is_empty());
    assert_eq!(bench.drops(DropReason::FilterRule), 4);
}

/// RFC 5508 REQ-8: who finds no room is told that it is prohibited.
#[test]
fn want_of_room_is_told() {
    let mut bench = Bench::new(|c| c.table = 1, Vec::new());
    bench.one(INSIDE_PORT, out((1, 2)));
    let (port, complaint) = bench.one(INSIDE_PORT, out((3, 4)));
    let (_, to, kind, ..) = error(&complaint);
    assert_eq!((port, to, kind), (INSIDE_PORT, A, IcmpKind::AdministrativelyProhibited));
    assert_eq!(bench.drops(DropReason::NatExhausted), 1);
}

#[test]
fn a_flush_and_a_loss_of_power_empty_the_table() {
    let empties: [fn(&mut NatBox, &mut Cx); 2] =
        [|node, cx| node.command(cx, Command::NatFlush), |node, cx| (node.stop(), node.start(cx)).1];
    for (n, empty) in empties.into_iter().enumerate() {
        let mut bench = Bench::new(|_| {}, Vec::new());
        bench.one(INSIDE_PORT, out((5000, 2)));
        let answer = || datagram(Ipv4Header::new(REMOTE, OUTSIDE, protocol::UDP), (2, 5000), 10);
        assert_eq!(bench.one(OUTSIDE_PORT, answer()).0, INSIDE_PORT);
        bench.touch(empty);
        assert!(bench.give(OUTSIDE_PORT, answer()).is_empty(), "case {n}");
        assert_eq!(bench.drops(DropReason::NatNoMapping), 1);
    }
}

/// What goes out shows the other address, which answers reach; the old one is nobody's.
#[test]
fn another_address_takes_the_place_of_the_old_one() {
    let other = Ipv4Addr::new(198, 51, 100, 9);
    let mut bench = Bench::new(|c| c.pool = vec![OUTSIDE, other], Vec::new());
    bench.touch(|node, cx| node.command(cx, Command::NatRenumber { address: OUTSIDE }));
    let source = |packet: &Packet| Ipv4Packet::new_unchecked(packet.bytes()).src();
    assert_eq!(source(&bench.one(INSIDE_PORT, out((5000, 2))).1), OUTSIDE);
    bench.touch(|node, cx| node.command(cx, Command::NatRenumber { address: other }));
    let answer = |to| datagram(Ipv4Header::new(REMOTE, to, protocol::UDP), (2, 5000), 10);
    assert!(bench.give(OUTSIDE_PORT, answer(other)).is_empty(), "its table is empty");
    assert_eq!(source(&bench.one(INSIDE_PORT, out((5000, 2))).1), other);
    assert_eq!(bench.one(OUTSIDE_PORT, answer(other)).0, INSIDE_PORT);
    assert!(bench.give(OUTSIDE_PORT, answer(OUTSIDE)).is_empty());
}

/// With nothing to translate it is a router, one hop.
#[test]
fn routed_it_changes_the_ttl_only() {
    let mut bench = Bench::new(|c| c.mode = Mode::Routed, Vec::new());
    for (port, other, packet) in [
        (INSIDE_PORT, OUTSIDE_PORT, out((1, 2))),
        (OUTSIDE_PORT, INSIDE_PORT, datagram(Ipv4Header::new(REMOTE, A, protocol::UDP), (2, 1), 10)),
    ] {
        let mut expected = packet.clone();
        assert!(Ipv4Packet::new_unchecked(expected.bytes_mut()).decrement_ttl());
        let (way, passed) = bench.one(port, packet);
        assert_eq!((way, passed.bytes()), (other, expected.bytes()));
    }
}

/// Nothing that can arrive makes it panic: every prefix of some packets, with every bit flipped, at both ports.
#[test]
fn every_prefix_and_every_bit_flip() {
    let filter = vec![rule(protocol::UDP, Some(4500), RuleDirection::Both, RuleAction::Reject)];
    let mut bench = Bench::new(|_| {}, filter);
    let known = bench.one(INSIDE_PORT, out((5000, 2))).1;
    let complaint = {
        let mut reporter = crate::net::icmp::Reporter::new(crate::net::icmp::ReporterConfig::default());
        let trouble = IcmpKind::PortUnreachable.into();
        reporter.report(Instant::START, known.bytes(), trouble, REMOTE, &[], Meta::default()).unwrap()
    };
    let ping = echo_request(REMOTE, OUTSIDE, Echo { ident: 1, seq: 1 }, b"data", Meta::default());
    for specimen in [out((5000, 4500)), complaint, ping] {
        for length in 0..=specimen.len().min(90) {
            let mut bytes = specimen.bytes()[..length].to_vec();
            for bit in 0..length * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                for port in [INSIDE_PORT, OUTSIDE_PORT] {
                    let _ = bench.give(port, Packet::from_bytes(&bytes, Meta::default()));
                }
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
    bench.touch(|node, cx| node.timeout(cx));
}
