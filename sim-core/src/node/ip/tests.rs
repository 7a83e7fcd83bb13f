//! Filters, policy and what routes depend on.

mod six;

use super::*;
use crate::id::NodeId;
use crate::net::multipath::FlowFields;
use crate::node::Emit;
use crate::packet::Meta;
use crate::trace::Trace;
use crate::wire::icmp::{IcmpMessage, Quoted};
use crate::wire::ipv4::protocol;
use crate::wire::udp;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// The IPv4 of a router alone on a table: 10.1/16 is behind port 0, 10.2/16 behind port 1, 10.66/16 is discarded, and everything
/// else is behind port 2.
struct Bench {
    ip: Ip,
    trace: Trace,
    out: Vec<Emit>,
    packets: u64,
}

impl Bench {
    fn new() -> Self {
        let mut ip = Ip::new(vec![OWN]);
        (0..3).for_each(|port| ip.add_port(Port(port), 1500));
        for (prefix, port) in [("10.1.0.0/16", 0), ("10.2.0.0/16", 1), ("0.0.0.0/0", 2)] {
            ip.add_route(prefix.parse().unwrap(), RouteSource::Static, distance::STATIC, Port(port));
        }
        ip.add_blackhole("10.66.0.0/16".parse().unwrap(), distance::STATIC);
        Self { ip, trace: Trace::default(), out: Vec::new(), packets: 0 }
    }

    fn with<T>(&mut self, input: impl FnOnce(&mut Ip, &mut Cx) -> T) -> T {
        let mut cx = Cx {
            now: Instant::from_secs(1),
            node: NodeId(0),
            cause: RecordId::GENESIS,
            enabler: RecordId::GENESIS,
            trace: &mut self.trace,
            out: &mut self.out,
            packets: &mut self.packets,
            rearm: false,
        };
        input(&mut self.ip, &mut cx)
    }

    /// Whether a packet from there that comes in at a port is let in.
    fn admits(&mut self, source: [u8; 4], port: u16) -> bool {
        let packet = from(source);
        !matches!(self.with(|ip, cx| ip.inbound(cx, Port(port), packet)), Inbound::Nothing)
    }

    /// By which port a packet in transit leaves.
    fn leaves_by(&mut self, packet: Packet, ingress: u16) -> Option<u16> {
        self.with(|ip, cx| ip.forward(cx, Port(ingress), packet)).map(|(port, _)| port.0)
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.trace.drops().iter().filter(|(key, _)| key.reason == reason).map(|(_, count)| count.packets).sum()
    }

    fn best(&self, prefix: &str) -> Option<Target> {
        self.ip.fib().best(prefix.parse().unwrap()).map(|route| route.target)
    }
}

fn from(source: [u8; 4]) -> Packet {
    udp::packet((source.into(), 4000), (SERVER, 9), b"data", Meta::default())
}

/// RFC 3704: what each kind of check says of each kind of source, at port 0.
#[test]
fn a_source_must_lead_back_as_far_as_the_port_asks() {
    let sources = [
        ("behind this port", [10, 1, 0, 5]),
        ("behind another", [10, 2, 0, 5]),
        ("behind the default route, another port's", [198, 51, 100, 1]),
        ("discarded", [10, 66, 0, 1]),
    ];
    for (mode, admitted) in [
        (ReversePath::Off, [true, true, true, true]),
        // Section 2.4: any route will do, the default route, too; one on which packets are dropped is no way back.
        (ReversePath::Loose, [true, true, true, false]),
        (ReversePath::Strict, [true, false, false, false]),
    ] {
        let mut bench = Bench::new();
        bench.ip.filter_reverse_path(Port(0), mode);
        for ((what, source), admitted) in sources.into_iter().zip(admitted) {
            assert_eq!(bench.admits(source, 0), admitted, "{mode:?}: {what}");
            assert!(bench.admits(source, 1), "port 1 asks nothing");
        }
        let refused = admitted.iter().filter(|admitted| !**admitted).count() as u64;
        assert_eq!(bench.drops(DropReason::ReversePath), refused);
        assert!(bench.out.is_empty(), "nobody is told: whoever forged the source is not at it");
    }
    let mut bench = Bench::new();
    bench.ip.filter_reverse_path(Port(0), ReversePath::Loose);
    bench.with(|ip, cx| ip.carrier(cx, Port(2), false, Reason::LinkLost));
    assert!(!bench.admits([198, 51, 100, 1], 0), "no route at all");
    bench.ip.filter_reverse_path(Port(2), ReversePath::Strict);
    bench.with(|ip, cx| ip.carrier(cx, Port(2), true, Reason::LinkRestored));
    assert!(bench.admits([198, 51, 100, 1], 2), "the default route is a way back by its own port");
}

/// RFC 3704 section 2.2 speaks of the best path; where flows use several, an answer may have come by any of them.
#[test]
fn each_way_of_a_spread_route_leads_back() {
    let mut bench = Bench::new();
    bench.ip.add_route("10.1.0.0/16".parse().unwrap(), RouteSource::Static, distance::STATIC, Port(1));
    for port in [0, 1] {
        bench.ip.filter_reverse_path(Port(port), ReversePath::Strict);
    }
    assert_eq!([0, 1].map(|port| bench.admits([10, 1, 0, 5], port)), [true, false], "one way is used");
    bench.ip.spread_flows(Multipath::new(FlowFields::FiveTuple, 1, "r"));
    assert_eq!([0, 1].map(|port| bench.admits([10, 1, 0, 5], port)), [true, true]);
}

#[test]
fn the_first_rule_that_fits_sends_a_packet_its_way() {
    let mut bench = Bench::new();
    let rule = PolicyRoute { source: None, ingress: None, protocol: None, target: Target::port(Port(1)) };
    bench.ip.add_policy(PolicyRoute { protocol: Some(protocol::TCP), ..rule });
    let discard = PolicyRoute { source: Some("10.1.7.0/24".parse().unwrap()), target: Target::Blackhole, ..rule };
    bench.ip.add_policy(discard);
    bench.ip.add_policy(PolicyRoute { source: Some("10.1.0.0/16".parse().unwrap()), ingress: Some(Port(0)), ..rule });
    assert_eq!(
        bench.leaves_by(from([10, 1, 0, 5]), 0),
        Some(1),
        "source and ingress fit, the protocol of the first does not"
    );
    assert_eq!(bench.leaves_by(from([10, 1, 0, 5]), 2), Some(2), "another ingress: the table decides");
    assert_eq!(bench.leaves_by(from([10, 2, 0, 5]), 0), Some(2), "another source");
    assert_eq!(bench.leaves_by(from([10, 1, 7, 5]), 0), None);
    assert_eq!(
        (bench.drops(DropReason::PolicyRoute), bench.out.len()),
        (1, 1),
        "its sender hears that it is unreachable"
    );
    // A rule whose way is down does not fit.
    bench.with(|ip, cx| ip.carrier(cx, Port(1), false, Reason::LinkLost));
    assert_eq!(bench.leaves_by(from([10, 1, 0, 5]), 0), Some(2));
    let own = from(OWN.octets());
    assert_eq!(bench.with(|ip, cx| ip.route(cx, own)).map(|(port, _)| port), Some(Port(2)), "the table's, for its own");
}

#[test]
fn a_route_that_depends_on_something_needs_it_and_its_port() {
    let mut bench = Bench::new();
    let prefix = "172.16.0.0/12";
    let (source, target, since) = (RouteSource::Static, Target::port(Port(0)), RecordId::GENESIS);
    let route = Route { prefix: prefix.parse().unwrap(), source, distance: 1, metric: 0, target, since };
    bench.ip.configure(route, Some(TrackId(0)));
    bench.ip.configure(Route { distance: 250, target: Target::port(Port(1)), ..route }, None);
    let floating = Some(Target::port(Port(1)));
    assert_eq!(bench.best(prefix), floating, "it is not known to be up");
    let watch = |bench: &mut Bench, up| bench.with(|ip, cx| ip.track(cx, TrackId(0), up, Reason::TrackUp));
    let carrier = |bench: &mut Bench, up| bench.with(|ip, cx| ip.carrier(cx, Port(0), up, Reason::LinkLost));
    watch(&mut bench, true);
    assert_eq!(bench.best(prefix), Some(target));
    carrier(&mut bench, false);
    assert_eq!(bench.best(prefix), floating);
    watch(&mut bench, false);
    carrier(&mut bench, true);
    assert_eq!(bench.best(prefix), floating, "the port is back, what is watched is not");
    carrier(&mut bench, false);
    watch(&mut bench, true);
    assert_eq!(bench.best(prefix), floating, "and the other way round");
    carrier(&mut bench, true);
    assert_eq!(bench.best(prefix), Some(target));
    watch(&mut bench, true);
    let changes = bench.trace.records().filter(|(_, record)| matches!(record.what, What::Route { .. })).count();
    // 172.16/12 moved up, away, up; 10.1/16, behind the same port, went and came twice.
    assert_eq!(changes, 3 + 4, "each move once");
    bench.ip.reset();
    assert_eq!(bench.best(prefix), floating, "after a loss of power nothing is known");
}

/// What an ICMP error says: from whom, to whom, what, and the source of the packet that it is about.
fn said(error: &Packet) -> (Ipv4Addr, Ipv4Addr, IcmpKind, Ipv4Addr) {
    let ip = Ipv4Packet::new_checked(error.bytes()).unwrap();
    assert!(ip.verify_checksum() && ip.protocol() == protocol::ICMP && ip.ident() != 0, "it may be cut (RFC 6864)");
    let message = IcmpMessage::new_checked(ip.payload()).unwrap();
    assert!(message.verify_checksum());
    (ip.src(), ip.dst(), message.kind(), Quoted::parse(message.payload()).unwrap().header.src)
}

/// A bench whose port 2, that of the default route, is a tunnel with 169.254.10.2 at this end.
fn with_tunnel() -> Bench {
    let mut bench = Bench::new();
    bench.ip.own.push([169, 254, 10, 2].into());
    bench.ip.add_route("169.254.10.0/30".parse().unwrap(), RouteSource::Connected, distance::CONNECTED, Port(2));
    bench.ip.add_route("192.0.2.0/24".parse().unwrap(), RouteSource::Connected, distance::CONNECTED, Port(1));
    bench.ip.set_tunnel(Port(2));
    bench
}

/// A packet from there to the network that is discarded.
fn discarded(source: [u8; 4]) -> Packet {
    udp::packet((source.into(), 4000), (Ipv4Addr::new(10, 66, 0, 1), 9), b"data", Meta::default())
}

/// RFC 1812 section 4.3.2.4: an error is from an address of the interface by which it goes, or of the router if that has none. By
/// a tunnel's port nothing goes in clear: the device seals it first.
#[test]
fn an_error_goes_the_way_of_any_packet() {
    let mut bench = with_tunnel();
    for (source, from, port) in
        [([10, 1, 0, 5], OWN, 0), ([192, 0, 2, 7], OWN, 1), ([198, 51, 100, 1], [169, 254, 10, 2].into(), 2)]
    {
        assert_eq!(bench.leaves_by(discarded(source), 1), None);
        let error = match (bench.out.pop(), bench.ip.unsealed()) {
            (Some(Emit::Packet(out, error)), None) if port < 2 => (out, error),
            (None, Some(error)) if port == 2 => error,
            other => panic!("{source:?}: {other:?}"),
        };
        assert_eq!(error.0, Port(port));
        assert_eq!(said(&error.1), (from, source.into(), IcmpKind::NetUnreachable, source.into()));
    }
    assert_eq!(bench.drops(DropReason::BlackholeRoute), 3, "those that the errors are about, and no error");
}

/// An error that has no way is dropped with a reason, as any packet.
#[test]
fn an_error_without_a_way_is_dropped_and_counted() {
    let mut bench = with_tunnel();
    assert_eq!(bench.leaves_by(discarded([10, 66, 0, 9]), 1), None);
    assert_eq!(bench.drops(DropReason::BlackholeRoute), 2, "the packet, and the error about it");
    bench.with(|ip, cx| ip.carrier(cx, Port(2), false, Reason::TunnelDown));
    assert_eq!(bench.leaves_by(discarded([198, 51, 100, 1]), 1), None);
    assert_eq!((bench.drops(DropReason::BlackholeRoute), bench.drops(DropReason::NoRoute)), (3, 1));
    assert!(bench.out.is_empty() && bench.ip.unsealed().is_none());
}

/// Section 4.3.2.7: nothing about an error, and nothing to the broadcast address of an interface's network or about a packet to it.
/// What the device sent itself comes back to it by no link.
#[test]
fn silence_where_an_error_would_be_wrong() {
    let mut bench = with_tunnel();
    assert_eq!(bench.leaves_by(discarded([10, 1, 0, 5]), 1), None);
    let Some(Emit::Packet(_, mut error)) = bench.out.pop() else { panic!("there is an error") };
    let mut ip = Ipv4Packet::new_unchecked(error.bytes_mut());
    ip.set_src([10, 1, 0, 5].into());
    ip.set_dst([10, 66, 0, 1].into());
    ip.fill_checksum();
    for packet in [error, discarded([192, 0, 2, 255]), discarded([169, 254, 10, 3]), discarded(OWN.octets())] {
        assert_eq!(bench.leaves_by(packet, 1), None);
        assert!(bench.out.is_empty() && bench.ip.unsealed().is_none());
    }
    assert_eq!(bench.drops(DropReason::BlackholeRoute), 5, "the packets themselves");
}

/// Section 4.3.2.8, as Linux has it: 50 at once, and then no more than 1,000 a second.
#[test]
fn errors_are_limited() {
    let mut bench = with_tunnel();
    for _ in 0..200 {
        assert_eq!(bench.leaves_by(discarded([198, 51, 100, 1]), 1), None);
    }
    assert_eq!(core::iter::from_fn(|| bench.ip.unsealed()).count(), 50);
}

/// RFC 4271 section 9.1.2.1: a route must say which way a next hop is. What BGP itself put into the table does not, and neither does
/// what is not in force.
#[test]
fn a_next_hop_is_resolved_by_what_bgp_did_not_say() {
    let mut bench = Bench::new();
    let next_hop = Ipv4Addr::new(10, 1, 7, 7);
    let way = |bench: &Bench| bench.ip.way_to(next_hop);
    assert_eq!(way(&bench), Some(Target::via(Port(0), next_hop)), "by 10.1/16");
    let route = |prefix: &str, source, target| Route {
        prefix: prefix.parse().unwrap(),
        source,
        distance: 1,
        metric: 0,
        target,
        since: RecordId::GENESIS,
    };
    let bgp = route("10.1.7.0/24", RouteSource::Bgp, Target::via(Port(1), SERVER));
    bench.with(|ip, cx| ip.install(cx, bgp, Reason::Learned));
    assert_eq!(bench.ip.fib().lookup(next_hop).map(|route| route.target), Some(bgp.target));
    assert_eq!(way(&bench), Some(Target::via(Port(0), next_hop)), "the longer prefix is BGP's");
    let nearer = Ipv4Addr::new(192, 0, 2, 9);
    bench.ip.configure(route("10.1.7.0/24", RouteSource::Static, Target::via(Port(1), nearer)), None);
    assert_eq!(way(&bench), Some(Target::via(Port(1), nearer)), "by way of another next hop");
    bench.with(|ip, cx| ip.carrier(cx, Port(1), false, Reason::LinkLost));
    assert_eq!(way(&bench), Some(Target::via(Port(0), next_hop)));
    bench.with(|ip, cx| ip.carrier(cx, Port(0), false, Reason::LinkLost));
    assert_eq!(way(&bench), Some(Target::via(Port(2), next_hop)), "by the default route");
    bench.with(|ip, cx| ip.carrier(cx, Port(2), false, Reason::LinkLost));
    assert_eq!(way(&bench), None);
    assert_eq!(bench.ip.way_to([10, 66, 0, 1].into()), Some(Target::Blackhole));
    let reached: Vec<String> = bench.ip.reached().map(|network| network.to_string()).collect();
    assert_eq!(reached, ["10.66.0.0/16"], "the only one in force");
}
