//! RFC 4787 section 12.

use super::*;

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
    let mut off = super::nat(|c| c.hairpin = false);
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
        if let Reassembly::Joined(packet, _) = reassembler.handle(at(0), part) {
            whole = Some(packet);
        }
    }
    let (source, destination) = ends(&whole.expect("all are there"));
    assert_eq!((source.0, destination), (OUT, (REMOTE, 1)));
    let mut off = super::nat(|c| c.fragments = Fragments::Drop);
    let dropped = off.outbound(at(0), fragments((A, 1), (REMOTE, 1)).remove(0));
    assert_eq!(refused(dropped), DropReason::NatFragment);
}
