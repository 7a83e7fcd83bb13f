//! Laws, for any behaviour.

use proptest::prelude::*;

use super::*;
use crate::rng::Rng;

const SYN: u8 = 2;

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
