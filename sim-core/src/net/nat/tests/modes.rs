//! IPsec, the modes, and what happens at the limits.

use super::*;

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
    let mut off = super::nat(|c| c.esp = Passthrough::Drop);
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

/// An AWS NAT gateway with two addresses and room for two flows from each to a remote end: flows of one host are spread over the addresses,
/// the fifth has no room, and another remote end has room of its own. A flow keeps its address while it is remembered.
#[test]
fn flows_to_a_remote_end_are_spread_over_a_pool_that_is_not_paired() {
    let gateway = |pool: &[Ipv4Addr], pooling| {
        nat(|c| {
            (c.mapping, c.filtering) = (Behaviour::AddressAndPortDependent, Behaviour::AddressAndPortDependent);
            (c.pool, c.pooling, c.overload, c.per_remote) = (pool.to_vec(), pooling, true, Some(2));
        })
    };
    let mut two = gateway(&[OUT, OUT2], Pooling::Arbitrary);
    let mut shown = |seconds, port, to| send(&mut two, seconds, (A, port), (to, 53));
    assert_eq!([1, 2, 3, 4].map(|port| shown(port.into(), 5000 + port, REMOTE).0), [OUT, OUT2, OUT, OUT2]);
    assert_eq!(shown(5, 5005, OTHER).0, OUT, "none goes there yet");
    assert_eq!([1, 2, 3, 4].map(|port| shown(10, 5000 + port, REMOTE).0), [OUT, OUT2, OUT, OUT2], "as before");
    assert_eq!(shown(200, 5002, REMOTE), (OUT2, 5002));
    assert_eq!(refused(two.outbound(at(200), datagram((A, 5005), (REMOTE, 53)))), DropReason::NatExhausted);
    assert!(receives(&mut two, 200, (REMOTE, 53), (OUT2, 5002)), "the answer comes back by the address");
    assert!(!receives(&mut two, 200, (REMOTE, 53), (OUT, 5002)), "and not by the other");
    // All but the second are idle for 300 s at 310 s: the first address has none, the other one.
    assert_eq!([5006, 5007].map(|port| send(&mut two, 310, (A, port), (REMOTE, 53)).0), [OUT, OUT]);
    let mut one = gateway(&[OUT], Pooling::Arbitrary);
    for port in [5001, 5002] {
        assert_eq!(send(&mut one, 0, (A, port), (REMOTE, 53)), (OUT, port));
    }
    assert_eq!(refused(one.outbound(at(0), datagram((A, 5003), (REMOTE, 53)))), DropReason::NatExhausted);
    // Paired (REQ-2), a host has what its one address has.
    let mut paired = gateway(&[OUT, OUT2], Pooling::Paired);
    assert_eq!([1, 2].map(|port| send(&mut paired, 0, (A, 5000 + port), (REMOTE, 53)).0), [OUT, OUT]);
    assert_eq!(refused(paired.outbound(at(0), datagram((A, 5003), (REMOTE, 53)))), DropReason::NatExhausted);
    assert_eq!(send(&mut paired, 0, (B, 5001), (REMOTE, 53)).0, OUT2);
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
    let mut sequential = super::nat(|c| c.assignment = Assignment::Sequential);
    let ports = [1, 2, 3].map(|port| send(&mut sequential, 0, (A, 5000 + port), (REMOTE, 1)).1);
    sequential.flush();
    assert_eq!((ports, send(&mut sequential, 0, (A, 1), (REMOTE, 1)).1), ([1024, 1025, 1026], 1));
}
