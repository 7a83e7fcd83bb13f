//! RFC 5508 section 9.

use super::*;

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
