//! What a flow is, how it lives and dies, and what is no part of it. States and timers are netfilter's as documented; the windows
//! follow from RFC 9293 and RFC 7323 by the arithmetic that is written beside each case.

use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Ipv4Address, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::*;
use crate::net::icmp::Trouble;
use crate::packet::{Meta, Packet};
use crate::wire::icmp::{self, Echo, IcmpKind};
use crate::wire::ipv4::Ipv4Header;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 2);
const LAN: Zone = Zone(1);
const ONE: Zone = Zone(2);
const TWO: Zone = Zone(3);

const STRICT: TrackConfig = TrackConfig { loose: false, ..TrackConfig::NETFILTER };
const BOUND: TrackConfig = TrackConfig { bound: true, ..STRICT };

fn at(seconds: u64) -> Instant {
    Instant::START + Duration::from_secs(seconds)
}

/// A TCP segment, to be said in one line.
#[derive(Clone, Copy)]
struct Tcp {
    flags: TcpControl,
    seq: u32,
    ack: Option<u32>,
    len: usize,
    window: u16,
    scale: Option<u8>,
}

const SYN: Tcp = Tcp { flags: TcpControl::Syn, seq: 1_000, ack: None, len: 0, window: 1_000, scale: None };
const SYN_ACK: Tcp = Tcp { flags: TcpControl::Syn, seq: 5_000, ack: Some(1_001), ..SYN };
const ACK: Tcp = Tcp { flags: TcpControl::None, seq: 1_001, ack: Some(5_001), ..SYN };
const REPLY: Tcp = Tcp { flags: TcpControl::None, seq: 5_001, ack: Some(1_001), ..SYN };

fn tcp(from_client: bool, it: Tcp) -> Packet {
    let (src, dst, src_port, dst_port) =
        if from_client { (CLIENT, SERVER, 40_000, 443) } else { (SERVER, CLIENT, 443, 40_000) };
    let payload = vec![7; it.len];
    let repr = TcpRepr {
        src_port,
        dst_port,
        control: it.flags,
        seq_number: TcpSeqNumber(it.seq as i32),
        ack_number: it.ack.map(|ack| TcpSeqNumber(ack as i32)),
        window_len: it.window,
        window_scale: it.scale,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &payload,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    let address = |it: Ipv4Addr| Ipv4Address::from_octets(it.octets()).into();
    let mut segment = TcpPacket::new_unchecked(&mut bytes[..]);
    repr.emit(&mut segment, &address(src), &address(dst), &ChecksumCapabilities::default());
    Ipv4Header::new(src, dst, protocol::TCP).packet(&bytes, Meta::default())
}

fn udp(from_client: bool) -> Packet {
    let (src, dst, ports) = if from_client { (CLIENT, SERVER, [5_060u16, 53]) } else { (SERVER, CLIENT, [53, 5_060]) };
    let octets = [ports[0].to_be_bytes(), ports[1].to_be_bytes(), [0, 8], [0, 0]].concat();
    Ipv4Header::new(src, dst, protocol::UDP).packet(&octets, Meta::default())
}

fn echo(from_client: bool, kind: IcmpKind, ident: u16) -> Packet {
    let (src, dst) = if from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    icmp::echo_around(kind, src, dst, Echo { ident, seq: 1 }, Packet::zeroed(8, Meta::default()))
}

/// An error of a router on the way about a packet, to its sender.
fn error(about: &Packet) -> Packet {
    let mut reporter = crate::net::icmp::Reporter::new(crate::net::icmp::ReporterConfig::default());
    let router = Ipv4Addr::new(192, 0, 2, 1);
    let trouble = Trouble::from(IcmpKind::HostUnreachable);
    reporter.report(at(0), about.bytes(), trouble, router, &[], Meta::default()).expect("about a plain packet")
}

struct Table(Tracker);

impl Table {
    fn new(config: TrackConfig) -> Self {
        Self(Tracker::new(config))
    }

    /// Looks, and lets begin whatever may.
    fn pass(&mut self, now: Instant, packet: &Packet, from: Zone, to: Zone) -> Verdict {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let verdict = self.0.look(now, &ip, from, to);
        if let Verdict::New { .. } = verdict {
            assert!(self.0.admit(now, &ip, from, to), "the table is full");
        }
        verdict
    }

    fn out(&mut self, now: Instant, it: Tcp) -> Verdict {
        self.pass(now, &tcp(true, it), LAN, ONE)
    }

    fn back(&mut self, now: Instant, it: Tcp) -> Verdict {
        self.pass(now, &tcp(false, it), ONE, LAN)
    }

    fn state(&self) -> Option<FlowState> {
        self.0.flows().next().map(|flow| flow.state)
    }

    fn open(config: TrackConfig) -> Self {
        let mut table = Self::new(config);
        assert_eq!(table.out(at(0), SYN), NEW);
        assert_eq!(table.back(at(0), SYN_ACK), Verdict::Flow(By::Responder));
        assert_eq!(table.out(at(0), ACK), Verdict::Flow(By::Originator));
        assert_eq!(table.state(), Some(FlowState::Tcp(TcpState::Established)));
        table
    }
}

const NEW: Verdict = Verdict::New { elsewhere: false };

/// The states of a connection that opens, closes from the client and ends, each with netfilter's time.
#[test]
fn a_connection_goes_through_its_states() {
    let mut table = Table::new(STRICT);
    let fin = |from: Tcp, seq, ack| Tcp { flags: TcpControl::Fin, seq, ack: Some(ack), ..from };
    let steps = [
        (true, SYN, TcpState::SynSent, 120),
        (false, SYN_ACK, TcpState::SynReceived, 60),
        (true, ACK, TcpState::Established, 432_000),
        (true, fin(ACK, 1_001, 5_001), TcpState::FinWait, 120),
        (false, Tcp { ack: Some(1_002), ..REPLY }, TcpState::CloseWait, 60),
        (false, fin(REPLY, 5_001, 1_002), TcpState::LastAck, 30),
        (true, Tcp { seq: 1_002, ack: Some(5_002), ..ACK }, TcpState::TimeWait, 120),
    ];
    for (step, (by_client, segment, state, timeout)) in steps.into_iter().enumerate() {
        let now = at(step as u64);
        if by_client {
            table.out(now, segment)
        } else {
            table.back(now, segment)
        };
        let flow = table.0.flows().next().expect("remembered");
        assert_eq!((flow.state, flow.expires), (FlowState::Tcp(state), now + Duration::from_secs(timeout)));
    }
    // Another SYN between the same ends begins another connection, which the owner's rules are asked about.
    assert_eq!(table.out(at(10), Tcp { seq: 90_000, ..SYN }), NEW);
    assert_eq!(table.state(), Some(FlowState::Tcp(TcpState::SynSent)));
}

/// A flow is forgotten at the very instant of its timeout, and not before.
#[test]
fn what_is_idle_is_forgotten_on_time() {
    let mut table = Table::open(TrackConfig { timeouts: Timeouts::EC2_NITRO_V6, ..TrackConfig::EC2 });
    assert_eq!(table.back(at(349), REPLY), Verdict::Flow(By::Responder));
    assert_eq!(table.out(at(349 + 350), ACK), Verdict::Stray(Stray::NoConnection));
    assert_eq!(table.0.flows().len(), 0);
}

/// EC2 User Guide: UDP is a stream after more than one request and response, 180 s; before it 30 s.
#[test]
fn udp_becomes_a_stream_after_more_than_one_exchange() {
    let mut table = Table::new(TrackConfig::EC2);
    assert_eq!(table.pass(at(0), &udp(true), LAN, ONE), NEW);
    assert_eq!(table.pass(at(1), &udp(false), ONE, LAN), Verdict::Flow(By::Responder));
    assert_eq!(table.0.flows().next().expect("remembered").expires, at(31));
    assert_eq!(table.pass(at(2), &udp(true), LAN, ONE), Verdict::Flow(By::Originator));
    assert_eq!(table.0.flows().next().expect("remembered").expires, at(182));
    assert_eq!(table.pass(at(182), &udp(false), ONE, LAN), NEW, "it could begin a flow of its own");
}

/// Where flows are bound, the same five-tuple at another place is another flow: a SYN+ACK belongs to nothing there, and a UDP
/// answer would have to begin.
#[test]
fn a_bound_flow_is_unknown_elsewhere() {
    let mut table = Table::new(BOUND);
    assert_eq!(table.out(at(0), SYN), NEW);
    let answer = tcp(false, SYN_ACK);
    assert_eq!(table.pass(at(0), &answer, TWO, LAN), Verdict::Stray(Stray::OtherZone));
    assert_eq!(table.pass(at(0), &answer, ONE, LAN), Verdict::Flow(By::Responder));
    // The same of the way out, as after a change of route.
    assert_eq!(table.pass(at(0), &tcp(true, ACK), LAN, TWO), Verdict::Stray(Stray::OtherZone));

    assert_eq!(table.pass(at(0), &udp(true), LAN, ONE), NEW);
    assert_eq!(table.pass(at(0), &udp(false), TWO, LAN), Verdict::New { elsewhere: true });

    let request = echo(true, IcmpKind::EchoRequest, 9);
    assert_eq!(table.pass(at(0), &request, LAN, ONE), NEW);
    assert_eq!(table.pass(at(0), &echo(false, IcmpKind::EchoReply, 9), TWO, LAN), Verdict::Stray(Stray::OtherZone));
    assert_eq!(table.pass(at(0), &error(&request), TWO, LAN), Verdict::Stray(Stray::OtherZone));
    assert_eq!(table.pass(at(0), &error(&request), ONE, LAN), Verdict::Related);

    let mut floating = Table::new(STRICT);
    assert_eq!(floating.out(at(0), SYN), NEW);
    assert_eq!(floating.pass(at(0), &answer, TWO, LAN), Verdict::Flow(By::Responder));
}

/// From the midst of an unknown connection: taken up if the table is loose, and then without a check of windows, since the scales
/// are not known. What is no plain segment is never taken up.
#[test]
fn the_midst_of_a_connection() {
    let far = Tcp { seq: 3_000_000, len: 1_000, ..ACK };
    assert_eq!(Table::new(STRICT).out(at(0), far), Verdict::Stray(Stray::NoConnection));
    let mut loose = Table::new(TrackConfig::NETFILTER);
    assert_eq!(loose.out(at(0), far), NEW);
    assert_eq!(loose.state(), Some(FlowState::Tcp(TcpState::Established)));
    assert_eq!(loose.back(at(1), Tcp { seq: 9_000_000, ack: Some(1), ..REPLY }), Verdict::Flow(By::Responder));
    for flags in [TcpControl::Rst, TcpControl::Fin] {
        let segment = Tcp { flags, ..far };
        assert_eq!(Table::new(TrackConfig::NETFILTER).out(at(0), segment), Verdict::Stray(Stray::NoConnection));
    }
    let answer = Table::new(TrackConfig::NETFILTER).back(at(0), SYN_ACK);
    assert_eq!(answer, Verdict::Stray(Stray::NoConnection), "an answer is no beginning");
}

/// A device that sees only one way of a connection does not see the handshake end: the client's ACK is of no known state.
#[test]
fn one_way_alone_is_no_handshake() {
    let mut table = Table::new(STRICT);
    assert_eq!(table.out(at(0), SYN), NEW);
    assert_eq!(table.out(at(1), SYN), Verdict::Flow(By::Originator), "retransmitted");
    assert_eq!(table.out(at(1), ACK), Verdict::Stray(Stray::BadState));
}

/// Windows of 1,000 octets on both sides, nothing scaled: the server has acknowledged up to 1,001, so the client may send up to
/// 2,001 and not an octet more; what it repeats may lie a window back; nobody acknowledges what was not sent.
#[test]
fn windows_without_scaling() {
    let data = |seq, len| Tcp { seq, len, ..ACK };
    let last = Table::open(STRICT).out(at(1), data(1_501, 500));
    assert_eq!(last, Verdict::Flow(By::Originator), "up to 2,001");
    assert_eq!(Table::open(STRICT).out(at(1), data(1_501, 501)), Verdict::Stray(Stray::OutOfWindow));
    assert_eq!(Table::open(STRICT).out(at(1), data(1_000, 0)), Verdict::Flow(By::Originator), "a keepalive");
    assert_eq!(Table::open(STRICT).out(at(1), data(0, 0)), Verdict::Stray(Stray::OutOfWindow), "1,001 back");
    let unsent = Tcp { ack: Some(1_002), ..REPLY };
    assert_eq!(Table::open(STRICT).back(at(1), unsent), Verdict::Stray(Stray::OutOfWindow));
    let forged = Tcp { flags: TcpControl::Rst, seq: 900_000, ..REPLY };
    assert_eq!(Table::open(STRICT).back(at(1), forged), Verdict::Stray(Stray::OutOfWindow), "a blind reset");
    let liberal = TrackConfig { strict_sequence: false, ..STRICT };
    assert_eq!(Table::open(liberal).out(at(1), data(1_501, 501)), Verdict::Flow(By::Originator));
}

/// A scale of 2 makes 1,000 octets 4,000 after the handshake if both offer one (RFC 7323 section 2.2); numbers wrap.
#[test]
fn windows_are_scaled_if_both_ends_offer_it() {
    for (both, seq, fits) in [(true, 0u32, true), (false, 0, false), (true, u32::MAX - 1_500, true)] {
        let mut table = Table::new(STRICT);
        let syn = Tcp { seq, scale: Some(2), ..SYN };
        let syn_ack = Tcp { ack: Some(seq.wrapping_add(1)), scale: both.then_some(2), ..SYN_ACK };
        let ack = Tcp { seq: seq.wrapping_add(1), ..ACK };
        assert_eq!(table.out(at(0), syn), NEW);
        table.back(at(0), syn_ack);
        table.out(at(0), ack);
        // The server's next segment tells its scaled window.
        table.back(at(0), Tcp { ack: Some(seq.wrapping_add(1)), ..REPLY });
        let verdict = table.out(at(1), Tcp { len: 3_500, ..ack });
        assert_eq!(verdict == Verdict::Flow(By::Originator), fits, "{both} {seq}");
    }
}

#[test]
fn a_full_table_admits_nothing_until_something_expires() {
    let mut table = Tracker::new(TrackConfig { limit: 1, ..STRICT });
    let (first, second) = (udp(true), tcp(true, SYN));
    let ip = |packet: &'static Packet| Ipv4Packet::new_unchecked(packet.bytes());
    let (first, second) = (ip(Box::leak(Box::new(first))), ip(Box::leak(Box::new(second))));
    assert_eq!(table.look(at(0), &first, LAN, ONE), NEW);
    assert!(table.admit(at(0), &first, LAN, ONE));
    assert_eq!(table.look(at(29), &second, LAN, ONE), NEW);
    assert!(!table.admit(at(29), &second, LAN, ONE));
    assert_eq!(table.look(at(30), &second, LAN, ONE), NEW);
    assert!(table.admit(at(30), &second, LAN, ONE), "UDP without an answer lasts 30 s");
}

/// An error belongs to the flow that it quotes, moves no timer, and may come to either end.
#[test]
fn an_error_belongs_to_the_flow_that_it_quotes() {
    let mut table = Table::new(STRICT);
    assert_eq!(table.pass(at(0), &error(&udp(true)), ONE, LAN), Verdict::Stray(Stray::Unrelated));
    table.pass(at(0), &udp(true), LAN, ONE);
    assert_eq!(table.pass(at(20), &error(&udp(true)), ONE, LAN), Verdict::Related);
    assert_eq!(table.pass(at(20), &error(&udp(false)), LAN, ONE), Verdict::Related);
    assert_eq!(
        table.pass(at(30), &error(&udp(true)), ONE, LAN),
        Verdict::Stray(Stray::Unrelated),
        "forgotten after 30 s"
    );
}

/// Echoes are told apart by identifier and by who asks.
#[test]
fn an_echo_reply_needs_its_request() {
    let mut table = Table::new(STRICT);
    let reply = echo(false, IcmpKind::EchoReply, 7);
    assert_eq!(table.pass(at(0), &reply, ONE, LAN), Verdict::Stray(Stray::NoQuery));
    assert_eq!(table.pass(at(0), &echo(true, IcmpKind::EchoRequest, 7), LAN, ONE), NEW);
    assert_eq!(table.pass(at(0), &reply, ONE, LAN), Verdict::Flow(By::Responder));
    assert_eq!(table.pass(at(0), &echo(false, IcmpKind::EchoRequest, 7), ONE, LAN), NEW, "the server's own");
}

/// Protocols without ports are one flow between two addresses (EC2 User Guide), 600 s.
#[test]
fn protocols_without_ports_go_by_address() {
    let mut table = Table::new(TrackConfig::EC2);
    let gre = |src, dst| Ipv4Header::new(src, dst, 47).packet(&[0; 8], Meta::default());
    assert_eq!(table.pass(at(0), &gre(CLIENT, SERVER), LAN, LAN), NEW);
    assert_eq!(table.pass(at(599), &gre(SERVER, CLIENT), LAN, LAN), Verdict::Flow(By::Responder));
    assert_eq!(table.pass(at(599 + 600), &gre(SERVER, CLIENT), LAN, LAN), NEW);
}

/// What the partner of a pair has taken over goes on there, bound as it was.
#[test]
fn a_partner_goes_on_with_what_it_adopted() {
    let first = Table::open(BOUND);
    let mut second = Table::new(BOUND);
    second.0.adopt(first.0.flows());
    assert_eq!(second.back(at(1), REPLY), Verdict::Flow(By::Responder));
    assert_eq!(Table::new(BOUND).back(at(1), REPLY), Verdict::Stray(Stray::NoConnection));
    second.0.forget(|flow| flow.id.responder.1 == Some(443));
    assert_eq!(second.0.flows().len(), 0);
}

proptest! {
    /// Nothing that comes from outside upsets a table, and it never holds more than its limit.
    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..80), number in prop::sample::select(vec![1u8, 6, 17, 50, 47]), zone in 0u16..3) {
        let mut table = Tracker::new(TrackConfig { limit: 2, ..BOUND });
        for (step, (src, dst)) in [(CLIENT, SERVER), (SERVER, CLIENT), (CLIENT, SERVER)].into_iter().enumerate() {
            let packet = Ipv4Header::new(src, dst, number).packet(&bytes, Meta::default());
            let ip = Ipv4Packet::new_unchecked(packet.bytes());
            if let Verdict::New { .. } = table.look(at(step as u64), &ip, Zone(zone), LAN) {
                table.admit(at(step as u64), &ip, Zone(zone), LAN);
            }
            prop_assert!(table.flows().len() <= 2);
        }
    }
}
