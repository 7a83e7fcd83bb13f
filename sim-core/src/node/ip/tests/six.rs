//! IPv6 of a router alone on a table: 2001:db8:1::/48 is behind port 0, a tunnel's fd00:a::/126 on port 1, 2001:db8:66::/48 is discarded.

use std::net::Ipv6Addr;

use super::*;
use crate::wire::icmpv6::{Icmpv6Kind, Icmpv6Message};
use crate::wire::ipv6::{Ipv6Header, Ipv6Packet};

const SENDER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 10);
const INSIDE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, 2);
const LAN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);

fn bench() -> Bench {
    let mut bench = Bench::new();
    let net = |text: &str| text.parse().unwrap();
    bench.ip.add_ipv6([INSIDE, LAN]);
    bench.ip.connect_ipv6(net("2001:db8:1::/48"), Port(0));
    bench.ip.connect_ipv6(net("fd00:a::/126"), Port(1));
    bench.ip.set_tunnel(Port(1));
    bench.ip.add_ipv6_route(net("2001:db8:2::/48"), RouteSource::Static, distance::STATIC, Target::port(Port(2)));
    bench.ip.add_ipv6_route(net("2001:db8:66::/48"), RouteSource::Static, distance::STATIC, Target::Blackhole);
    bench
}

fn packet(to: &str, hop_limit: u8, octets: usize) -> Packet {
    let header = Ipv6Header { hop_limit, ..Ipv6Header::new(SENDER, to.parse().unwrap(), 17) };
    header.packet(&vec![0; octets - 40], Meta::default())
}

impl Bench {
    fn forwards(&mut self, packet: Packet, ingress: u16) -> Option<(u16, u8)> {
        let (port, packet) = self.with(|ip, cx| ip.forward_ipv6(cx, Port(ingress), packet))?;
        Some((port.0, Ipv6Packet::new_checked(packet.bytes()).unwrap().hop_limit()))
    }

    /// The ICMPv6 error that was sent, by which port, and from where.
    fn said(&mut self) -> Option<(u16, Icmpv6Kind, u32, Ipv6Addr)> {
        let (port, packet) = match self.out.pop()? {
            Emit::Packet(port, packet) => (port, packet),
            Emit::Notice(..) => panic!("a router tells nobody anything"),
        };
        let ip = Ipv6Packet::new_checked(packet.bytes()).unwrap();
        let message = Icmpv6Message::new_checked(ip.payload()).unwrap();
        assert!(message.verify_checksum(ip.src(), ip.dst()) && ip.dst() == SENDER);
        Some((port.0, message.kind(), message.mtu(), ip.src()))
    }
}

#[test]
fn a_packet_goes_on_one_hop_older_or_its_sender_hears_why_not() {
    let mut bench = bench();
    assert_eq!(bench.forwards(packet("2001:db8:2::1", 64, 100), 0), Some((2, 63)));
    assert!(bench.out.is_empty());
    assert_eq!(bench.forwards(packet("2001:db8:2::1", 1, 100), 0), None);
    assert_eq!(bench.said(), Some((0, Icmpv6Kind::HopLimitExceeded, 0, LAN)), "from the address at that port");
    assert_eq!(bench.forwards(packet("2001:db8:3::1", 64, 100), 0), None);
    assert_eq!(bench.said(), Some((0, Icmpv6Kind::NoRoute, 0, LAN)));
    assert_eq!(bench.forwards(packet("2001:db8:66::1", 64, 100), 0), None);
    assert_eq!(bench.drops(DropReason::BlackholeRoute), 1);
}

/// RFC 8200 section 5: a router cuts nothing, whatever its sender would like. RFC 4443 section 3.2: it says how much fits.
#[test]
fn what_is_too_big_is_not_cut() {
    let mut bench = bench();
    bench.ip.set_mtu(Port(2), 1_400);
    bench.with(|ip, cx| ip.output(cx, Port(2), packet("2001:db8:2::1", 64, 1_400)));
    assert!(matches!(bench.out.pop(), Some(Emit::Packet(Port(2), whole)) if whole.len() == 1_400));
    bench.with(|ip, cx| ip.output(cx, Port(2), packet("2001:db8:2::1", 64, 1_401)));
    assert_eq!(bench.said(), Some((0, Icmpv6Kind::PacketTooBig, 1_400, LAN)));
    assert!(bench.out.is_empty() && bench.drops(DropReason::PacketTooBig) == 1);
    bench.ip.mute();
    bench.with(|ip, cx| ip.output(cx, Port(2), packet("2001:db8:2::1", 64, 1_401)));
    assert!(bench.out.is_empty(), "AWS's devices say nothing");
}

/// RFC 4443 section 3.1: the unused addresses of a tunnel's /126 do not send packets to and fro.
#[test]
fn a_packet_for_nobody_on_its_link_does_not_go_back() {
    let mut bench = bench();
    assert_eq!(bench.forwards(packet("fd00:a::3", 64, 100), 0), Some((1, 63)));
    assert_eq!(bench.forwards(packet("fd00:a::3", 64, 100), 1), None);
    assert_eq!(bench.said(), Some((0, Icmpv6Kind::AddressUnreachable, 0, LAN)));
    assert_eq!(bench.drops(DropReason::AddressUnreachable), 1);
}

#[test]
fn a_device_without_ipv6_takes_none_and_one_that_has_it_sorts_it() {
    let mut plain = Bench::new();
    let arrives = |bench: &mut Bench, to: &str| bench.with(|ip, cx| ip.inbound(cx, Port(0), packet(to, 64, 100)));
    assert!(matches!(arrives(&mut plain, "fd00:a::2"), Inbound::Nothing));
    assert_eq!(plain.drops(DropReason::Malformed), 1);
    let mut bench = bench();
    assert!(matches!(arrives(&mut bench, "fd00:a::2"), Inbound::Ipv6Local(_)));
    assert!(matches!(arrives(&mut bench, "2001:db8:2::1"), Inbound::Ipv6Transit(_)));
}

/// Routes of a port leave with its carrier and come back with it, in both families.
#[test]
fn ipv6_routes_follow_their_port() {
    let mut bench = bench();
    bench.with(|ip, cx| ip.carrier(cx, Port(2), false, Reason::LinkLost));
    assert_eq!(bench.forwards(packet("2001:db8:2::1", 64, 100), 0), None);
    bench.with(|ip, cx| ip.carrier(cx, Port(2), true, Reason::LinkRestored));
    assert_eq!(bench.forwards(packet("2001:db8:2::1", 64, 100), 0), Some((2, 63)));
}
