//! Ladders: the handshake and its end, loss, silence, and what a Linux host does then.

use super::*;
use crate::proto::tcp::{Profile, SendRefused};

/// A BGP KEEPALIVE is 19 octets, a NOTIFICATION without data 21 (RFC 4271 sections 4.4 and 4.5).
const KEEPALIVE: [u8; 19] = [b'K'; 19];
const NOTIFICATION: [u8; 21] = [b'N'; 21];

fn rfc() -> TcpConfig {
    TcpConfig { profile: Profile::Rfc, ..TcpConfig::default() }
}

fn millis(sent: &[(Instant, Seen)]) -> Vec<u64> {
    sent.iter().map(|(t, _)| t.as_nanos() / 1_000_000).collect()
}

#[test]
fn three_segments_open_and_four_close() {
    let now = Instant::START;
    let mut a = Connection::connect(TcpConfig::default(), A, B, &mut rng("a"), now);
    let (syn, events) = drain(&mut a);
    assert_eq!((see(syn[0].bytes()).flags.as_str(), events), ("S", vec![]));
    let mut b = Connection::accept(TcpConfig::default(), syn[0].bytes(), &mut rng("b"), now).expect("a SYN");
    let (syn_ack, events) = drain(&mut b);
    assert_eq!(see(syn_ack[0].bytes()).flags, "S.");
    assert_eq!(events, []);
    a.handle(now, syn_ack[0].bytes());
    let (ack, events) = drain(&mut a);
    assert_eq!(see(ack[0].bytes()).flags, ".");
    assert_eq!(events, [Event::Connected]);
    b.handle(now, ack[0].bytes());
    assert_eq!(drain(&mut b).1, [Event::Connected]);

    a.close(now);
    let (fin, _) = drain(&mut a);
    assert_eq!(see(fin[0].bytes()).flags, "F.");
    b.handle(now, fin[0].bytes());
    let (ack, events) = drain(&mut b);
    assert_eq!(events, [Event::PeerClosed]);
    a.handle(now, ack[0].bytes());
    b.close(now);
    let (fin, _) = drain(&mut b);
    a.handle(now, fin[0].bytes());
    let (ack, events) = drain(&mut a);
    assert_eq!(events, [Event::PeerClosed, Event::Closed]);
    b.handle(now, ack[0].bytes());
    assert_eq!(drain(&mut b).1, [Event::Closed]);
    assert!(b.is_closed() && !a.is_closed(), "the first to close waits in TIME-WAIT");
    let end = a.wake().expect("TIME-WAIT ends");
    assert_eq!(end, Instant::from_secs(10));
    a.handle_timeout(end);
    assert!(a.is_closed());
    assert_eq!(a.wake(), None);
}

#[test]
fn a_half_closed_connection_still_carries_the_other_half() {
    let mut p = Pair::established(TcpConfig::default());
    p.a.send(p.now, b"last words").expect("open");
    p.a.close(p.now);
    assert_eq!(p.a.send(p.now, b"x"), Err(SendRefused::Closed));
    p.settle();
    assert_eq!(p.events_b, [Event::Received(b"last words".to_vec()), Event::PeerClosed]);
    p.b.send(p.now, b"answer").expect("this half is open");
    p.settle();
    assert_eq!(received(&p.events_a), b"answer");
}

#[test]
fn fin_wait_2_does_not_wait_for_ever() {
    let mut p = Pair::established(TcpConfig::default());
    p.a.close(p.now);
    p.run_until(Instant::from_secs(59));
    assert!(!p.a.is_closed());
    p.run_until(Instant::from_secs(60));
    assert!(p.a.is_closed());
    assert_eq!(p.events_a, [Event::Closed]);
}

/// RFC 9293 figure 8 (MUST-10). smoltcp reaches ESTABLISHED by one ACK more than the figure.
#[test]
fn both_ends_may_open_at_once() {
    let now = Instant::START;
    let mut a = Connection::connect(TcpConfig::default(), A, B, &mut rng("a"), now);
    let mut b = Connection::connect(TcpConfig::default(), B, A, &mut rng("b"), now);
    let (syn_a, _) = drain(&mut a);
    let (syn_b, _) = drain(&mut b);
    a.handle(now, syn_b[0].bytes());
    b.handle(now, syn_a[0].bytes());
    let (mut events_a, mut events_b) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (from_a, events) = drain(&mut a);
        events_a.extend(events);
        let (from_b, events) = drain(&mut b);
        events_b.extend(events);
        from_a.iter().for_each(|p| b.handle(now, p.bytes()));
        from_b.iter().for_each(|p| a.handle(now, p.bytes()));
    }
    assert_eq!((events_a, events_b), (vec![Event::Connected], vec![Event::Connected]));
    a.send(now, b"hello").expect("open");
    drain(&mut a).0.iter().for_each(|p| b.handle(now, p.bytes()));
    assert_eq!(received(&drain(&mut b).1), b"hello");
}

/// Measured on Linux 6.18 with the return path cut: a KEEPALIVE sent at 0 is repeated after 0.21, 0.42, 0.85, 1.68, 3.34 and
/// 6.64 s (the first is the tail loss probe; its jiffies are 4 ms long), alone; a NOTIFICATION written 1.5 s later is not sent at all
/// until the path heals, and then at once on the ACK.
#[test]
fn linux_keeps_a_notification_behind_a_lost_ack() {
    let mut p = Pair::established(TcpConfig::default());
    p.cut_ba = true;
    p.a.send(p.now, &KEEPALIVE).expect("open");
    p.run_until(at_ms(1_500));
    p.a.send(p.now, &NOTIFICATION).expect("open");
    p.a.close(p.now);
    p.run_until(at_ms(6_300));
    assert_eq!(millis(&p.from_a), [0, 200, 400, 800, 1_600, 3_200]);
    let first = p.from_a[0].1.clone();
    assert!(p.from_a.iter().all(|(_, s)| *s == first && s.len == KEEPALIVE.len()));
    assert_eq!(p.received_by_b(), KEEPALIVE, "delivered once, and nothing behind it");

    p.cut_ba = false;
    p.clear();
    p.run_until(at_ms(6_500));
    assert_eq!(millis(&p.from_a), [6_400, 6_400]);
    let lens: Vec<_> = p.from_a.iter().map(|(_, s)| (s.flags.as_str(), s.len)).collect();
    assert_eq!(lens, [("P.", KEEPALIVE.len()), ("F.", NOTIFICATION.len())]);
    assert_eq!(p.events_b, [Event::Received(NOTIFICATION.to_vec()), Event::PeerClosed]);
}

#[test]
fn the_rfc_profile_sends_the_notification() {
    let mut p = Pair::established(rfc());
    p.cut_ba = true;
    p.a.send(p.now, &KEEPALIVE).expect("open");
    p.run_until(at_ms(1_500));
    p.a.send(p.now, &NOTIFICATION).expect("open");
    p.run_until(at_ms(2_000));
    // RFC 6298 section 2.4: the first RTO is a second.
    assert_eq!(millis(&p.from_a), [0, 1_000, 1_500]);
    assert_eq!(p.received_by_b(), [&KEEPALIVE[..], &NOTIFICATION[..]].concat());
}

/// Measured on Linux 6.18: two short segments in flight are repeated as one (79 octets for 19 and 60), and what is written after
/// the RTO stays behind.
#[test]
fn linux_merges_what_was_already_sent() {
    let mut p = Pair::established(TcpConfig::default());
    p.cut_ba = true;
    p.a.send(p.now, &KEEPALIVE).expect("open");
    p.settle();
    p.a.send(p.now, &[b'U'; 60]).expect("open");
    p.run_until(at_ms(1_500));
    p.a.send(p.now, &NOTIFICATION).expect("open");
    p.run_until(at_ms(5_000));
    let lens: Vec<_> = p.from_a.iter().map(|(_, s)| s.len).collect();
    assert_eq!(lens[..2], [19, 60]);
    assert!(lens[2..].iter().all(|&len| len == 79) && lens.len() > 4);
}

#[test]
fn an_unanswered_syn_is_given_up_after_127_seconds() {
    let now = Instant::START;
    let mut a = Connection::connect(TcpConfig::default(), A, B, &mut rng("a"), now);
    let mut sent = Vec::new();
    let mut end = None;
    let mut t = now;
    while end.is_none() {
        let (packets, events) = drain(&mut a);
        sent.extend(packets.iter().map(|_| t.as_nanos() / 1_000_000_000));
        if events == [Event::TimedOut] {
            end = Some(t);
        } else {
            t = a.wake().expect("a SYN waits for its answer");
            a.handle_timeout(t);
        }
    }
    // Linux, ip-sysctl: "tcp_syn_retries ... 6 ... the final timeout for an active TCP connection attempt will happen after 127 seconds".
    assert_eq!(sent, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(end, Some(Instant::from_secs(127)));
    assert!(a.is_closed());
}

#[test]
fn the_user_timeout_ends_a_silent_connection_without_a_reset() {
    let mut p = Pair::established(TcpConfig { user_timeout: Duration::from_secs(20), ..TcpConfig::default() });
    p.cut_ba = true;
    p.a.send(p.now, &KEEPALIVE).expect("open");
    p.run_until(at_ms(25_599));
    assert_eq!(p.events_a, []);
    // The first RTO at or after 20 s: 0.2 s for the probe, then 0.2, 0.4 ... 12.8 s in all 25.6 s.
    p.run_until(at_ms(25_600));
    assert_eq!(p.events_a, [Event::TimedOut]);
    assert!(p.a.is_closed() && p.from_a.iter().all(|(_, s)| s.flags == "P."));
}

#[test]
fn a_reset_ends_the_peer_even_after_a_retransmission() {
    let mut p = Pair::established(TcpConfig::default());
    p.cut_ba = true;
    // More than one segment in flight: smoltcp winds its next sequence number back to the first on an RTO.
    p.a.send(p.now, &[1; 2_000]).expect("open");
    p.run_until(at_ms(700));
    p.a.abort(p.now);
    p.settle();
    assert_eq!(p.events_b.last(), Some(&Event::Reset));
    assert!(p.a.is_closed() && p.b.is_closed());
    let reset = &p.from_a.last().expect("a reset").1;
    assert_eq!(reset.seq, p.from_a[0].1.seq.wrapping_add(2_000), "SND.NXT");
}

/// After an RTO an ACK still carries SND.NXT; with an older number the peer would ignore it and repeat its data.
#[test]
fn data_from_the_peer_is_acknowledged_during_recovery() {
    let mut p = Pair::established(TcpConfig::default());
    p.b.send(p.now, b"on a slow path").expect("open");
    let (late, _) = drain(&mut p.b);
    p.cut_ba = true;
    p.a.send(p.now, &[1; 2_000]).expect("open");
    p.run_until(at_ms(700));
    let snd_nxt = p.from_a[0].1.seq.wrapping_add(2_000);
    p.clear();
    p.a.handle(p.now, late[0].bytes());
    p.settle();
    let (_, ack) = &p.from_a[0];
    assert_eq!((ack.flags.as_str(), ack.seq, ack.len), (".", snd_nxt, 0));
}

/// The wire repeats an old ACK while only a FIN is in flight: the FIN is still sent again (see `idle_duplicate`).
#[test]
fn duplicate_acks_do_not_lose_a_fin() {
    let mut p = Pair::established(TcpConfig::default());
    p.a.send(p.now, &KEEPALIVE).expect("open");
    drain(&mut p.a).0.iter().for_each(|data| p.b.handle(p.now, data.bytes()));
    let (ack, _) = drain(&mut p.b);
    p.a.handle(p.now, ack[0].bytes());
    p.cut_ab = true;
    p.a.close(p.now);
    p.settle();
    for _ in 0..5 {
        p.a.handle(p.now, ack[0].bytes());
    }
    p.cut_ab = false;
    p.run_until(Instant::from_secs(1));
    assert_eq!(p.events_b, [Event::PeerClosed]);
}

#[test]
fn segments_respect_the_smaller_mss_and_a_lowered_mtu() {
    let mut p = Pair::established(TcpConfig { mtu: 1_400, ..TcpConfig::default() });
    p.a.send(p.now, &[1; 20_000]).expect("open");
    p.run_until(at_ms(100));
    // RFC 9293 section 3.7.1: MTU less 40 octets.
    assert_eq!(p.from_a.iter().map(|(_, s)| s.len).max(), Some(1_360));
    p.clear();
    p.a.set_mtu(p.now, 1_000);
    p.a.send(p.now, &[2; 20_000]).expect("open");
    p.run_until(at_ms(200));
    assert_eq!(p.from_a.iter().map(|(_, s)| s.len).max(), Some(960));
    assert_eq!(p.received_by_b().len(), 20_000);
}

#[test]
fn after_an_rto_one_segment_goes_out_even_if_the_peer_would_take_longer_ones() {
    let now = Instant::START;
    let short = TcpConfig { mtu: 600, ..TcpConfig::default() };
    let mut a = Connection::connect(short, A, B, &mut rng("a"), now);
    let (syn, _) = drain(&mut a);
    let mut b = Connection::accept(TcpConfig::default(), syn[0].bytes(), &mut rng("b"), now).expect("a SYN");
    a.handle(now, drain(&mut b).0[0].bytes());
    drain(&mut a);
    a.send(now, &[1; 3_000]).expect("open");
    drain(&mut a);
    let t = a.wake().expect("data in flight");
    a.handle_timeout(t);
    let (again, _) = drain(&mut a);
    assert_eq!(again.len(), 1);
    assert_eq!(see(again[0].bytes()).len, 560);
}

#[test]
fn the_ip_header_is_what_the_configuration_says() {
    let mut a = Connection::connect(TcpConfig::default(), A, B, &mut rng("a"), Instant::START);
    let (syn, _) = drain(&mut a);
    let bytes = syn[0].bytes();
    let ip = Ipv4Packet::new_checked(bytes).expect("IPv4");
    assert_eq!((ip.dscp(), ip.ecn(), ip.hop_limit(), ip.dont_frag()), (48, 0, 1, true));
    assert_eq!((ip.src_addr(), ip.dst_addr()), (*A.ip(), *B.ip()));
    // MSS 1460 (kind 2, length 4), window scale 0 (3, 3), SACK permitted (4, 2): RFC 9293 section 3.2, RFC 7323, RFC 2018.
    assert_eq!(bytes[40..49], [2, 4, 0x05, 0xb4, 3, 3, 0, 4, 2]);
}
