//! Flow hashes against what chance would do, and resilient hashing against its promise.

use std::collections::BTreeSet;

use proptest::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::*;
use crate::id::Port;
use crate::packet::{Meta, Packet};
use crate::wire::ipv4::Ipv4Header;
use crate::wire::udp;

fn datagram(source: (u32, u16), destination: (u32, u16)) -> Packet {
    udp::packet((source.0.into(), source.1), (destination.0.into(), destination.1), b"data", Meta::default())
}

/// The flows of a subnet's clients to one server: neighbouring addresses and ports, as real ones are.
fn flows() -> impl Iterator<Item = Packet> {
    (0..10_000_u32).map(|n| datagram((0x0a01_0000 + n / 100, 40_000 + (n % 100) as u16), (0x0a00_0005, 443)))
}

fn multipath(device: &str) -> Multipath {
    Multipath::new(FlowFields::FiveTuple, 7, device)
}

/// How likely chance alone spreads as unevenly as this (Pearson's chi-square, one degree of freedom less than ways).
fn likelihood(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let statistic: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    ChiSquared::new((counts.len() - 1) as f64).expect("more than one way").sf(statistic)
}

fn spread(ways: usize, choose: impl Fn(&Packet) -> usize) -> Vec<u64> {
    let mut counts = vec![0; ways];
    flows().for_each(|packet| counts[choose(&packet)] += 1);
    counts
}

#[test]
fn flows_spread_as_chance_would() {
    for ways in [2, 3, 5, 8] {
        for device in ["cgw", "core-1", "core-2"] {
            let multipath = multipath(device);
            let counts = spread(ways, |packet| by_threshold(multipath.hash(packet.bytes()), ways));
            assert!(likelihood(&counts) > 1e-4, "{device}: {counts:?}");
            let buckets = Buckets::over(&targets(0..ways as u16), 240, None);
            let counts = spread(ways, |packet| buckets.choose(multipath.hash(packet.bytes())));
            assert!(likelihood(&counts) > 1e-4, "{device}, 240 buckets: {counts:?}");
        }
    }
    // The test can tell: a sum of the addresses' octets is no hash.
    let sum = |packet: &Packet| packet.bytes()[12..20].iter().map(|&octet| usize::from(octet)).sum::<usize>() % 64;
    assert!(likelihood(&spread(8, |packet| sum(packet) / 8)) < 1e-4);
}

/// Behind a router that has sent one half of the flows this way, a router that hashes alike has nothing left to spread.
#[test]
fn a_salt_of_its_own_keeps_the_second_router_from_hashing_like_the_first() {
    let first = multipath("core-1");
    let second_half = || flows().filter(|packet| by_threshold(first.hash(packet.bytes()), 2) == 1);
    let ways = |device: &str| {
        let multipath = multipath(device);
        let mut counts = [0; 2];
        second_half().for_each(|packet| counts[by_threshold(multipath.hash(packet.bytes()), 2)] += 1);
        counts
    };
    assert_eq!(ways("core-1")[0], 0, "the same salt: polarised");
    assert!(likelihood(&ways("core-2")) > 1e-4);
}

#[test]
fn what_a_flow_is() {
    let three = |packet: &Packet| Flow::of(packet.bytes(), FlowFields::ThreeTuple);
    let five = |packet: &Packet| Flow::of(packet.bytes(), FlowFields::FiveTuple);
    let (a, b) = (datagram((1, 5000), (2, 53)), datagram((1, 5001), (2, 53)));
    assert_eq!(three(&a), three(&b));
    assert_ne!(five(&a), five(&b));
    assert_eq!((five(&a).ports, five(&a).protocol), ([5000, 53], protocol::UDP));
    // First, middle and last fragment of one datagram: only the first has ports, so none is asked for them.
    for (offset, more) in [(0, true), (8, true), (16, false)] {
        let mut fragment = a.clone();
        Ipv4Packet::new_unchecked(fragment.bytes_mut()).set_fragment(false, more, offset);
        assert_eq!(five(&fragment), three(&a));
    }
    let mut sealed = a.clone();
    Ipv4Packet::new_unchecked(sealed.bytes_mut()).set_protocol(protocol::ESP);
    assert_eq!(five(&sealed).ports, [0, 0], "an SPI is no pair of ports");
    let mut short = Packet::from_bytes(b"ab", Meta::default());
    Ipv4Header::new(1.into(), 2.into(), protocol::UDP).push(&mut short);
    assert_eq!(five(&short).ports, [0, 0]);
}

/// RFC 2992 section 3: without the first or the last of n ways, regions shift by i/(n(n-1)) at the i-th border, and half of all
/// flows go another way than before. 10,000 flows: five standard deviations are 0.025.
#[test]
fn a_threshold_moves_half_of_all_flows() {
    let multipath = multipath("cgw");
    for ways in [4, 8] {
        let moved = flows().filter(|packet| {
            let hash = multipath.hash(packet.bytes());
            // The first way goes: the others are called one less.
            by_threshold(hash, ways) != by_threshold(hash, ways - 1) + 1
        });
        let share = moved.count() as f64 / 10_000.0;
        assert!((share - 0.5).abs() < 0.025, "{ways} ways: {share}");
    }
}

fn targets(ports: impl IntoIterator<Item = u16>) -> Vec<Target> {
    ports.into_iter().map(|port| Target::port(Port(port))).collect()
}

proptest! {
    /// A walk of ways that come and go, in any order of rank: what must not move does not, and the spread stays even.
    #[test]
    fn resilient_hashing_moves_only_what_must_move(
        steps in prop::collection::vec(0_u16..8, 1..40),
        rotations in prop::collection::vec(0_usize..8, 40),
        count in 16_u8..,
    ) {
        let mut present: BTreeSet<u16> = [0, 1].into();
        let mut ways = targets(present.iter().copied());
        let mut buckets = Buckets::over(&ways, count, None);
        for (port, rotation) in steps.into_iter().zip(rotations) {
            let goes = present.contains(&port);
            if goes && present.len() == 2 {
                continue;
            }
            if goes { present.remove(&port) } else { present.insert(port) };
            let mut now = targets(present.iter().copied());
            now.rotate_left(rotation % present.len());
            let next = Buckets::over(&now, count, Some((&buckets, &ways)));
            let it = Target::port(Port(port));
            for (old, new) in buckets.0.iter().zip(&next.0) {
                let (old, new) = (ways[usize::from(*old)], now[usize::from(*new)]);
                let may = if goes { old == it } else { new == it };
                prop_assert!(old == new || may, "{:?} moved to {:?} as {:?} {}", old, new, it, goes);
                prop_assert!(!goes || new != it);
            }
            let mut held = vec![0; now.len()];
            next.0.iter().for_each(|way| held[usize::from(*way)] += 1);
            let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", held);
            (buckets, ways) = (next, now);
        }
    }
}

/// What appliance mode of a transit gateway needs: one choice for a flow and its answers, and still spread as chance would.
#[test]
fn one_hash_serves_both_directions() {
    let multipath = multipath("tgw zones");
    for n in 0..1_000_u16 {
        let (client, server) = ((0x0a01_0000 + u32::from(n), 40_000 + n), (0x0a00_0005, 443));
        let (there, back) = (datagram(client, server), datagram(server, client));
        assert_eq!(multipath.hash_both_ways(there.bytes()), multipath.hash_both_ways(back.bytes()));
        assert_ne!(multipath.hash(there.bytes()), multipath.hash(back.bytes()));
    }
    let counts = spread(3, |packet| by_threshold(multipath.hash_both_ways(packet.bytes()), 3));
    assert!(likelihood(&counts) > 0.001, "{counts:?}");
}
