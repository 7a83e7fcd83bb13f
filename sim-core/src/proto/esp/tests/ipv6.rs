//! IPv6 inside.

use super::*;
use crate::wire::ipv6::{Ipv6Header, Ipv6Packet};

/// A UDP datagram "hello" from 2001:db8:1::a to 2001:db8:2::14, DSCP EF, ECT(0).
fn inner_v6() -> Packet {
    let bytes = hex("6ba00000000d113f20010db800010000000000000000000a20010db80002000000000000000000140007
         0009000d605f68656c6c6f");
    Packet::from_bytes(&bytes, Meta::default())
}

fn pair_v6() -> (OutboundSa, InboundSa) {
    let (from, into) = pair(gcm());
    (from.with_ipv6(true), into.with_ipv6(true))
}

/// As [`seals_what_another_implementation_seals`], by the same implementation; Next Header is 41 (RFC 4303 section 2.6).
#[test]
fn seals_what_another_implementation_seals_of_ipv6() {
    let mut from = outbound(gcm(), outer(None, DfBit::Copy)).with_ipv6(true);
    from.first_ident = u16::MAX;
    let mut packet = inner_v6();
    from.seal(&mut packet).unwrap();
    assert_eq!(
        packet.bytes(),
        hex("45ba006c000000004032136fcb007101c6336402c0ffee01000000010000000000000001a54f50cfa1bea99dee32ac7af5add6526e9cae36
             3df42431def601ff8effbe1de94fd3963f87d581d28b3f025571dd6b7e0d3cbe66ffd651b3b725287f24084daf64d2cc37e173cb")
    );
    let (_, mut into) = pair_v6();
    into.open(&mut packet).unwrap();
    assert_eq!(packet.bytes(), inner_v6().bytes());
}

/// RFC 4301 section 5: what is not of the SA's selectors is not carried, and not taken.
#[test]
fn an_sa_carries_one_family() {
    let (mut of_v4, mut into_v4) = pair(gcm());
    let (mut of_v6, mut into_v6) = pair_v6();
    assert_eq!(of_v4.seal(&mut inner_v6()), Err(DropReason::SelectorMismatch));
    assert_eq!(of_v6.seal(&mut inner()), Err(DropReason::SelectorMismatch));
    assert_eq!((of_v4.sequence(), of_v6.sequence()), (0, 0), "nothing was sent");
    let (mut v4, mut v6) = (inner(), inner_v6());
    of_v4.seal(&mut v4).unwrap();
    of_v6.seal(&mut v6).unwrap();
    assert_eq!(into_v6.open(&mut v4), Err(DropReason::SelectorMismatch));
    assert_eq!(into_v4.open(&mut v6), Err(DropReason::SelectorMismatch));
    let mut noise = Packet::from_bytes(&[0x60; 39], Meta::default());
    assert_eq!(of_v6.seal(&mut noise), Err(DropReason::Malformed));
}

/// RFC 8200 section 5 and RFC 4213 section 3.2.2: what every IPv6 link carries may be cut outside; anything longer may not, if the bit
/// follows the inside.
#[test]
fn the_outer_df_bit_around_ipv6() {
    for (octets, policy, df) in [
        (1_280, DfBit::Copy, false),
        (1_281, DfBit::Copy, true),
        (1_281, DfBit::Clear, false),
        (1_280, DfBit::Set, true),
    ] {
        let mut from = outbound(gcm(), outer(None, policy)).with_ipv6(true);
        let (a, b) = (std::net::Ipv6Addr::LOCALHOST, std::net::Ipv6Addr::LOCALHOST);
        let mut packet = Ipv6Header::new(a, b, 17).packet(&vec![0; octets - 40], Meta::default());
        from.seal(&mut packet).unwrap();
        assert_eq!(Ipv4Packet::new_unchecked(packet.bytes()).dont_fragment(), df, "{octets} {policy:?}");
    }
}

/// RFC 4301 section 5.1.2.2: congestion outside is told inside, where the inside can say it.
#[test]
fn congestion_is_marked_in_the_traffic_class() {
    for (class, marked) in [(0xba, 0xbb), (0xb9, 0xbb), (0xb8, 0xb8)] {
        let (mut from, mut into) = pair_v6();
        let mut packet = inner_v6();
        Ipv6Packet::new_unchecked(packet.bytes_mut()).set_traffic_class(class);
        from.seal(&mut packet).unwrap();
        on_path(&mut packet, |outer| outer.set_tos(outer.tos() | 3));
        into.open(&mut packet).unwrap();
        let inner = Ipv6Packet::new_checked(packet.bytes()).unwrap();
        assert_eq!((inner.traffic_class(), packet.len()), (marked, inner_v6().len()));
    }
}
