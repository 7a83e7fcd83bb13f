//! The stack of a host: demultiplexing, listeners, resets.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Repr, TcpControl, TcpRepr, TcpSeqNumber};

use super::*;
use crate::proto::tcp::{ConnId, Stack, StackOutput};
use crate::reason::DropReason;

fn stack(address: SocketAddrV4, name: &str) -> Stack {
    Stack::new([*address.ip()], rng(name))
}

fn drain(s: &mut Stack) -> Vec<StackOutput> {
    core::iter::from_fn(|| s.poll()).collect()
}

fn packets(outputs: &[StackOutput]) -> Vec<Packet> {
    let mut all = Vec::new();
    for o in outputs {
        if let StackOutput::Transmit { packet, .. } = o {
            all.push(packet.clone());
        }
    }
    all
}

fn happened(outputs: &[StackOutput]) -> Vec<(ConnId, Event)> {
    let mut all = Vec::new();
    for o in outputs {
        if let StackOutput::Event { conn, event } = o {
            all.push((*conn, event.clone()));
        }
    }
    all
}

/// Carries packets both ways until silence; returns what happened at each end.
fn settle(now: Instant, a: &mut Stack, b: &mut Stack) -> (Vec<StackOutput>, Vec<StackOutput>) {
    let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
    loop {
        let (from_a, from_b) = (drain(a), drain(b));
        if from_a.is_empty() && from_b.is_empty() {
            return (all_a, all_b);
        }
        packets(&from_a).iter().for_each(|p| b.handle(now, p.bytes()));
        packets(&from_b).iter().for_each(|p| a.handle(now, p.bytes()));
        all_a.extend(from_a);
        all_b.extend(from_b);
    }
}

fn segment(control: TcpControl, seq: u32, ack: Option<u32>, payload: &[u8]) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: A.port(),
        dst_port: B.port(),
        control,
        seq_number: TcpSeqNumber(seq as i32),
        ack_number: ack.map(|a| TcpSeqNumber(a as i32)),
        window_len: 1_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let ip = Ipv4Repr {
        src_addr: *A.ip(),
        dst_addr: *B.ip(),
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 1,
    };
    let mut bytes = vec![0; ip.buffer_len() + tcp.buffer_len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    tcp.emit(
        &mut TcpPacket::new_unchecked(packet.payload_mut()),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        &ChecksumCapabilities::default(),
    );
    bytes
}

/// What answers a segment: flags, sequence number, acknowledgment number.
type Answer = Option<(&'static str, u32, u32)>;

fn answers(listening: bool) -> Vec<(&'static str, Vec<u8>, Answer)> {
    use TcpControl::{Fin, None as Plain, Rst, Syn};
    let reset = |seq, ack| Some((if ack == 0 { "R" } else { "R." }, seq, ack));
    // RFC 9293 section 3.10.7.1: <SEQ=SEG.ACK><CTL=RST> if ACK is set, else <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; a
    // reset is never answered. Section 3.10.7.2: a listener resets what acknowledges, and drops the rest that is no SYN.
    let mut all = vec![
        ("RST", segment(Rst, 100, None, b""), None),
        ("RST,ACK", segment(Rst, 100, Some(7), b""), None),
        ("ACK", segment(Plain, 100, Some(7), b""), reset(7, 0)),
        ("ACK with data", segment(Plain, 100, Some(7), b"abc"), reset(7, 0)),
        ("FIN,ACK", segment(Fin, 100, Some(7), b""), reset(7, 0)),
        ("SYN,ACK", segment(Syn, 100, Some(7), b""), reset(7, 0)),
        ("ACK of zero", segment(Plain, 100, Some(0), b""), reset(0, 0)),
    ];
    let unacknowledged = [
        ("data without ACK", segment(Plain, 100, None, b"abc"), reset(0, 103)),
        ("FIN without ACK", segment(Fin, 100, None, b"abc"), reset(0, 104)),
    ];
    if listening {
        all.extend(unacknowledged.map(|(name, bytes, _)| (name, bytes, None)));
    } else {
        all.extend(unacknowledged);
        all.push(("SYN", segment(Syn, 100, None, b""), reset(0, 101)));
        all.push(("SYN at the end", segment(Syn, u32::MAX, None, b"a"), Some(("R.", 0, 1))));
    }
    all
}

#[test]
fn resets_are_those_of_rfc_9293() {
    for listening in [false, true] {
        for (name, bytes, answer) in answers(listening) {
            let mut s = stack(B, "b");
            if listening {
                s.listen(B.port(), Some((*A.ip()).into()), TcpConfig::default());
            }
            s.handle(Instant::START, &bytes);
            let out = drain(&mut s);
            let sent: Vec<_> = packets(&out).iter().map(|p| see(p.bytes())).collect();
            let expected: Vec<_> =
                answer.map(|(flags, seq, ack)| Seen { flags: flags.into(), seq, ack, len: 0 }).into_iter().collect();
            assert_eq!(sent, expected, "{name}, listening: {listening}");
        }
    }
}

#[test]
fn only_the_named_peer_may_connect() {
    let now = Instant::START;
    for (peer, welcome) in
        [(Some((*A.ip()).into()), true), (None, true), (Some(Ipv4Addr::new(9, 9, 9, 9).into()), false)]
    {
        let (mut a, mut b) = (stack(A, "a"), stack(B, "b"));
        b.listen(179, peer, TcpConfig::default());
        let id = a.connect(now, TcpConfig::default(), *A.ip(), B);
        let (at_a, at_b) = settle(now, &mut a, &mut b);
        let expected = if welcome { Event::Connected } else { Event::Reset };
        assert_eq!(happened(&at_a), [(id, expected)]);
        assert_eq!(matches!(at_b[0], StackOutput::Accepted { .. }), welcome);
        assert_eq!(a.connection(id).is_some(), welcome, "a refused connection is reaped");
    }
}

/// RFC 4271 section 6.8: both speakers connect, and both connections come up beside each other.
#[test]
fn a_listener_and_a_connector_live_side_by_side() {
    let now = Instant::START;
    let (mut a, mut b) = (stack(A, "a"), stack(B, "b"));
    a.listen(179, Some((*B.ip()).into()), TcpConfig::default());
    b.listen(179, Some((*A.ip()).into()), TcpConfig::default());
    let of_a = a.connect(now, TcpConfig::default(), *A.ip(), SocketAddrV4::new(*B.ip(), 179));
    let of_b = b.connect(now, TcpConfig::default(), *B.ip(), SocketAddrV4::new(*A.ip(), 179));
    let (at_a, at_b) = settle(now, &mut a, &mut b);
    assert_eq!(happened(&at_a).len(), 2);
    assert_eq!(happened(&at_b).len(), 2);
    a.send(now, of_a, b"mine").expect("connected");
    b.send(now, of_b, b"yours").expect("connected");
    let (at_a, at_b) = settle(now, &mut a, &mut b);
    assert!(matches!(&happened(&at_a)[..], [(id, Event::Received(d))] if *id != of_a && d == b"yours"));
    assert!(matches!(&happened(&at_b)[..], [(id, Event::Received(d))] if *id != of_b && d == b"mine"));
}

#[test]
fn power_loss_is_silent_and_the_peer_learns_by_reset() {
    let now = Instant::START;
    let (mut a, mut b) = (stack(A, "a"), stack(B, "b"));
    b.listen(179, None, TcpConfig::default());
    let id = a.connect(now, TcpConfig::default(), *A.ip(), B);
    settle(now, &mut a, &mut b);
    b.reset_all();
    assert!(drain(&mut b).is_empty() && b.wake().is_none());
    a.send(now, id, b"still there?").expect("A knows nothing");
    let (at_a, _) = settle(now, &mut a, &mut b);
    assert_eq!(happened(&at_a), [(id, Event::Reset)]);
    assert!(a.connection(id).is_none());
}

#[test]
fn damaged_and_foreign_packets_are_ignored_with_a_reason() {
    let good = segment(TcpControl::Syn, 1, None, b"");
    let damaged = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let mut udp = good.clone();
    udp[9] = 17;
    Ipv4Packet::new_unchecked(&mut udp[..]).fill_checksum();
    for (bytes, reason) in [
        (good[..30].to_vec(), DropReason::Malformed),
        (damaged(8), DropReason::BadChecksum),
        (damaged(25), DropReason::BadChecksum),
        (udp, DropReason::NotForMe),
    ] {
        let mut s = stack(B, "b");
        s.listen(179, None, TcpConfig::default());
        s.handle(Instant::START, &bytes);
        assert!(matches!(&drain(&mut s)[..], [StackOutput::Ignored(r)] if *r == reason));
    }
    let mut elsewhere = stack(A, "a");
    elsewhere.handle(Instant::START, &good);
    assert!(matches!(&drain(&mut elsewhere)[..], [StackOutput::Ignored(DropReason::NotForMe)]));
}

/// RFC 5082 section 3: a packet that has crossed a router is not from the neighbour.
#[test]
fn gtsm_ignores_low_ttls() {
    let mut s = stack(B, "b");
    s.listen(179, None, TcpConfig { ttl: 255, min_ttl: 255, ..TcpConfig::default() });
    s.handle(Instant::START, &segment(TcpControl::Syn, 1, None, b""));
    assert!(matches!(&drain(&mut s)[..], [StackOutput::Ignored(DropReason::TtlTooLow)]));
}
