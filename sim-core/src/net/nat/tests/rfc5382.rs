//! RFC 5382 section 8.

use super::*;

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
