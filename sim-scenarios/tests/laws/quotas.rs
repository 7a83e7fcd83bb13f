//! Laws of quotas and of figures that AWS publishes of its gateways: fact sheet sections 1.9, 2.2, 7.3, 10.1, 10.3 and 10.4. Pages are
//! those of the Direct Connect user guide and of the VPC guide "Transit gateways".

use sim_core::id::NodeId;
use sim_core::node::Node;
use sim_core::proto::bgp::communities::Community;
use sim_core::time::{Duration, Instant};
use sim_scenarios::plan::{BgpEnd, NodeKind};
use sim_scenarios::{Scenario, Simulation};

use crate::bare::{Bare, kind, library};

const PEERING: Bare = Bare::without_faults(library!("tgw_intra_and_inter_region_peering"));
const CONNECT: Bare = Bare::without_faults(library!("tgw_connect_gre"));
const CONCENTRATOR: Bare = Bare::without_faults(library!("vpn_concentrator"));
const PRIVATE_IP: Bare = Bare::without_faults(library!("private_ip_vpn"));
const BFD: Bare = Bare::without_faults(library!("dx_bfd"));
const HUB: Bare = Bare::without_faults(library!("cloudhub"));
const PUBLIC: Bare = Bare::without_faults(library!("vpn_over_public_vif"));

/// One Direct Connect gateway with so many virtual private gateways, each with a VPC of its own.
const VIRTUAL_PRIVATE_GATEWAYS: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "virtual_private_gateways",
    question: "How many virtual private gateways has a Direct Connect gateway?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "site": CustomerGateway(
            asn: 65010,
            interfaces: { "dx": (address: "169.254.101.2/30") },
            neighbors: { "dx": (interface: "dx", address: "169.254.101.1", asn: 64513) },
            advertise: ["172.16.0.0/16"],
        ),
        "dxgw": DirectConnectGateway(asn: 64513, associations: { "vgw{n}": () }),
        "vgw{n}": VirtualPrivateGateway(vpc: "vpc{n}"),
        "vpc{n}": Vpc(
            cidr: "{n: 10.0.0.0 + 65536}/16",
            subnets: { "app": (cidr: "{n: 10.0.1.0 + 65536}/24", availability_zone: "az1") },
        ),
    },
    links: { "line": Link(between: ("site.dx", "dx.v")) },
    direct_connect: {
        "dx": (
            location: "EqDC2", bandwidth: "10Gbps",
            virtual_interfaces: { "v": Private(gateway: "dxgw", amazon_address: "169.254.101.1/30") },
        ),
    },
)"#,
);

/// One Direct Connect gateway with so many transit gateways. What is announced of them does not overlap.
const TRANSIT_GATEWAYS: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "transit_gateways",
    question: "How many transit gateways has a Direct Connect gateway?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "site": CustomerGateway(
            asn: 65010,
            interfaces: { "dx": (address: "169.254.101.2/30") },
            neighbors: { "dx": (interface: "dx", address: "169.254.101.1", asn: 64513) },
            advertise: ["172.16.0.0/16"],
        ),
        "dxgw": DirectConnectGateway(
            asn: 64513,
            associations: { "tgw{n}": (allowed_prefixes: ["{n: 10.0.0.0 + 65536}/16"]) },
        ),
        "tgw{n}": TransitGateway(asn: "{n: 64600 + 1}"),
    },
    links: { "line": Link(between: ("site.dx", "dx.t")) },
    direct_connect: {
        "dx": (
            location: "EqDC2", bandwidth: "10Gbps",
            virtual_interfaces: { "t": Transit(gateway: "dxgw", amazon_address: "169.254.101.1/30") },
        ),
    },
)"#,
);

/// One transit gateway with so many Direct Connect gateways, each with a connection of its own.
const DIRECT_CONNECT_GATEWAYS: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "direct_connect_gateways",
    question: "How many Direct Connect gateways has a transit gateway?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "site": CustomerGateway(
            asn: 65010,
            interfaces: { "dx{n}": (address: "{n: 169.254.101.2 + 4}/30") },
            neighbors: { "dx{n}": (interface: "dx{n}", address: "{n: 169.254.101.1 + 4}", asn: "{n: 64600 + 1}") },
            advertise: ["172.16.0.0/16"],
        ),
        "dxgw{n}": DirectConnectGateway(
            asn: "{n: 64600 + 1}",
            associations: { "tgw": (allowed_prefixes: ["10.0.0.0/8"]) },
        ),
        "tgw": TransitGateway(asn: 64512),
    },
    links: { "line{n}": Link(between: ("site.dx{n}", "dx{n}.t")) },
    direct_connect: {
        "dx{n}": (
            location: "EqDC2", bandwidth: "10Gbps",
            virtual_interfaces: { "t": Transit(gateway: "dxgw{n}", amazon_address: "{n: 169.254.101.1 + 4}/30") },
        ),
    },
)"#,
);

/// One connection with so many private virtual interfaces, all on one Direct Connect gateway.
const VIRTUAL_INTERFACES: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "virtual_interfaces",
    question: "How many virtual interfaces has a connection, and a Direct Connect gateway?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "site": CustomerGateway(
            asn: 65010,
            interfaces: { "dx{n}": (address: "{n: 169.254.101.2 + 4}/30") },
            neighbors: { "dx{n}": (interface: "dx{n}", address: "{n: 169.254.101.1 + 4}", asn: 64513) },
            advertise: ["172.16.0.0/16"],
        ),
        "dxgw": DirectConnectGateway(asn: 64513, associations: { "vgw": () }),
        "vgw": VirtualPrivateGateway(vpc: "vpc"),
        "vpc": Vpc(cidr: "10.0.0.0/16", subnets: { "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }),
    },
    links: { "line{n}": Link(between: ("site.dx{n}", "dx.v{n}")) },
    direct_connect: {
        "dx": (
            location: "EqDC2", bandwidth: "10Gbps",
            virtual_interfaces: { "v{n}": Private(gateway: "dxgw", amazon_address: "{n: 169.254.101.1 + 4}/30") },
        ),
    },
)"#,
);

/// One LAG with so many members.
const LAG: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "lag_members",
    question: "How many members has a LAG?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "site": CustomerGateway(
            asn: 65010,
            interfaces: { "dx": (address: "169.254.101.2/30", lag: (fast: true)) },
            neighbors: { "dx": (interface: "dx", address: "169.254.101.1", asn: 64512) },
            advertise: ["172.16.0.0/16"],
        ),
        "vgw": VirtualPrivateGateway(asn: 64512, vpc: "vpc"),
        "vpc": Vpc(cidr: "10.0.0.0/16", subnets: { "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }),
    },
    links: { "member{n}": Link(between: ("site.dx", "lag.v")) },
    direct_connect: {
        "lag": (
            location: "EqDC2", bandwidth: "10Gbps", lag: (fast: true),
            virtual_interfaces: { "v": Private(gateway: "vgw", amazon_address: "169.254.101.1/30") },
        ),
    },
)"#,
);

/// One VPN Concentrator with so many sites, each with a customer gateway and a connection of its own.
const SITES: Bare = Bare::without_faults(
    r#"(
    version: 1,
    name: "concentrator_sites",
    question: "How many sites has a VPN Concentrator?",
    duration: "1s",
    copies: { "n": 1 },
    nodes: {
        "isp": Router(address: "203.0.113.1"),
        "cgw{n}": CustomerGateway(
            asn: "{n: 4200000000 + 1}",
            interfaces: { "wan": (address: "{n: 100.64.0.10 + 256}/24") },
            advertise: ["{n: 172.16.0.0 + 256}/24"],
        ),
        "tgw": TransitGateway(asn: 64512, concentrators: { "shops": () }),
    },
    links: {
        "up{n}": Link(between: ("cgw{n}.wan", "isp"), delay: "2ms"),
        "path{n}": Path(between: ("isp", "vpn{n}.a"), delay: "10ms"),
    },
    connections: {
        "vpn{n}": Vpn(
            customer_gateway: "cgw{n}",
            gateway: "tgw",
            concentrator: "shops",
            routing: Bgp(),
            tunnels: { "a": (outside_address: "{n: 198.18.0.1 + 1}", inside_cidr: "{n: 169.254.6.0 + 4}/30") },
        ),
    },
)"#,
);

fn copies(count: usize) -> String {
    format!("copies.n={count}")
}

/// AWS's ends of the sessions of a virtual interface or Connect peer.
fn ends(scenario: &Scenario, name: &str) -> Vec<BgpEnd> {
    let forwarding = match kind(scenario, name) {
        NodeKind::VirtualInterface(end) => &end.forwarding,
        NodeKind::ConnectPeer(peer) => &peer.forwarding,
        _ => panic!("{name} is no end of AWS's"),
    };
    forwarding.neighbors.iter().map(|neighbor| neighbor.end.clone()).collect()
}

/// So many packets of this reason are dropped, and no more.
fn drops(reason: &str, min: u64, max: u64) -> String {
    format!("\"drops\": DropsBetween(reason: \"{reason}\", min: {min}, max: {max})")
}

/// 10.4 (limits.html, "Virtual private gateways per Direct Connect gateway"): 20. AWS does not raise it, so the next is refused.
#[test]
fn a_direct_connect_gateway_has_twenty_virtual_private_gateways() {
    VIRTUAL_PRIVATE_GATEWAYS.taken(&[&copies(20)]);
    VIRTUAL_PRIVATE_GATEWAYS.refused(&[&copies(21)], "at most 20 virtual private gateways");
}

/// 10.4 (limits.html, "Transit gateways per Direct Connect gateway"): 6. The guide of transit gateways of 2023 has 3, which is older.
#[test]
fn a_direct_connect_gateway_has_six_transit_gateways() {
    TRANSIT_GATEWAYS.taken(&[&copies(6)]);
    TRANSIT_GATEWAYS.refused(&[&copies(7)], "at most 6 transit gateways");
}

/// 10.4 (limits.html, "Virtual interfaces per Direct Connect gateway"): 30, and more on request: a warning.
#[test]
fn a_direct_connect_gateway_has_thirty_virtual_interfaces_and_more_on_request() {
    let words = "a Direct Connect gateway has 30 virtual interfaces";
    assert!(!VIRTUAL_INTERFACES.warned(&[&copies(30)], words));
    assert!(VIRTUAL_INTERFACES.warned(&[&copies(31)], words));
}

/// 2.2 (transit-gateway-quotas.html, "Direct Connect gateways per transit gateway"): 20. AWS does not raise it, so the next is refused.
#[test]
fn a_transit_gateway_has_twenty_direct_connect_gateways() {
    DIRECT_CONNECT_GATEWAYS.taken(&[&copies(20)]);
    DIRECT_CONNECT_GATEWAYS.refused(&[&copies(21)], "at most 20 Direct Connect gateways, not 21");
}

/// 10.1 (limits.html): 50 private or public virtual interfaces of a dedicated connection. The transit ones are in `dx.rs`.
#[test]
fn a_connection_has_fifty_private_virtual_interfaces() {
    VIRTUAL_INTERFACES.taken(&[&copies(50)]);
    VIRTUAL_INTERFACES.refused(&[&copies(51)], "at most 50 virtual interfaces of this kind");
}

/// 10.1 (lags.html): four members of less than 100 Gbps, two of 100 Gbps and more.
#[test]
fn a_lag_has_four_members_or_two_fast_ones() {
    LAG.taken(&[&copies(4)]);
    LAG.refused(&[&copies(5)], "at most 4 members, not 5");
    for speed in ["100Gbps", "400Gbps"] {
        let fast = format!("direct_connect.lag.bandwidth={speed}");
        LAG.taken(&[&fast, &copies(2)]);
        LAG.refused(&[&fast, &copies(3)], "at most 2 members, not 3");
    }
}

/// 10.3 (bgp-specific-settings.html): AWS's timer of graceful restart is 120 s, on virtual interfaces of each kind.
#[test]
fn the_graceful_restart_timer_of_a_virtual_interface_is_120_seconds() {
    for (drawing, name) in [(BFD, "dx.private"), (PRIVATE_IP, "dx.transit"), (PUBLIC, "dx.public")] {
        let end = ends(&drawing.taken(&[]), name).remove(0);
        let restart = end.graceful_restart.expect("AWS has graceful restart");
        assert_eq!(restart.restart_time, Duration::from_secs(120), "{name}");
    }
}

/// The communities of all routes to a prefix that a customer gateway has at 50 s.
fn communities(scenario: &Scenario, name: &str, prefix: &str) -> Vec<Community> {
    let mut simulation = Simulation::new(scenario);
    simulation.run_until(Instant::from_secs(50));
    let id = simulation.plan().node(name).expect("it is there");
    let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("{name} is no customer gateway") };
    let routes = cgw.gateway().routing.as_ref().expect("it speaks BGP").speaker().routes();
    let entry = routes.get(&prefix.parse().expect("a prefix")).expect("a route");
    entry.routes().flat_map(|route| route.attributes.communities.standard().to_vec()).collect()
}

/// 10.3 (routing-and-bgp.html): what AWS announces of its own Region on a public virtual interface has 7224:8100 and NO_EXPORT.
#[test]
fn what_aws_announces_on_a_public_virtual_interface_is_tagged() {
    let scenario = PUBLIC.taken(&["probes={}", "duration=60s"]);
    let tags = communities(&scenario, "site", "198.51.100.0/24");
    assert_eq!(tags, [Community::new(7224, 8100), Community::NO_EXPORT]);
}

/// The same page, and RFC 1997: with NO_EXPORT the customer's router tells no other autonomous system of AWS's prefixes, although it tells
/// of its own. A router that strips the community on import tells of both.
#[test]
fn what_aws_announces_on_a_public_virtual_interface_goes_no_further() {
    let partner = [
        "nodes.desk=BgpRouter(asn: 65020, interfaces: {\"up\": (address: \"10.1.0.10/24\")}, \
         neighbors: {\"site\": (interface: \"up\", address: \"10.1.0.1\", asn: 65010)})",
        "links.lan.between=(\"desk.up\", \"site.lan\")",
        "nodes.site.policies={\"strip\": (rules: [(set: (remove_communities: [\"no_export\"]))])}",
        "nodes.site.neighbors={\"dx\": (interface: \"dx\", address: \"203.0.113.1\", asn: 7224, timers: (hold_time: \"90s\")), \
         \"desk\": (interface: \"lan\", address: \"10.1.0.10\", asn: 65020)}",
        "probes={}",
        "duration=60s",
    ];
    let route = |kind: &str, node: &str, prefix: &str, via: &str| {
        format!("{kind}(node: \"{node}\", prefix: \"{prefix}\", via: \"{via}\", at: \"50s\")")
    };
    let heard = route("RoutePresent", "site", "198.51.100.0/24", "dx");
    let own = route("RoutePresent", "desk", "10.1.0.0/16", "up");
    let kept = route("RouteAbsent", "desk", "198.51.100.0/24", "up");
    PUBLIC.holds(&partner, &format!("\"heard\": {heard}, \"own\": {own}, \"kept\": {kept}"));
    let stripped = [&partner[..], &["nodes.site.neighbors.dx.import_policy=strip"]].concat();
    let told = route("RoutePresent", "desk", "198.51.100.0/24", "up");
    PUBLIC.holds(&stripped, &format!("\"heard\": {heard}, \"own\": {own}, \"told\": {told}"));
}

/// A stream of packets within a second, as a probe of this name.
fn stream(name: &str, ends: [&str; 2], every: &str, size: u16, within: [&str; 2]) -> String {
    let ([from, to], [start, stop]) = (ends, within);
    format!(
        "\"{name}\": UdpOneWay(from: \"{from}\", to: \"{to}\", every: \"{every}\", size: {size}, start: \"{start}\", stop: \"{stop}\"),"
    )
}

/// 2.2 (transit-gateway-quotas.html): 50 Gbit/s through an attachment. A packet of 8,500 octets each microsecond is 68 Gbit/s: in a
/// millisecond and the 10 us of the burst 50.5 Mbit pass, 742 packets of 68,000 bits, so that 258 of 1,000 are dropped. With 6,000 octets
/// it is 48 Gbit/s, and none is.
#[test]
fn an_attachment_carries_fifty_gigabits_a_second() {
    let carried = |size: u16, expect: &str| {
        let probes = format!("probes={{{}}}", stream("s", ["web", "db"], "1us", size, ["10s", "10.001s"]));
        PEERING.holds(&["assume.tunnel_burst=10us", "duration=11s", &probes], expect);
    };
    carried(8_500, &drops("attachment_bandwidth", 255, 261));
    carried(6_000, &drops("attachment_bandwidth", 0, 0));
}

/// 2.2 (transit-gateway-quotas.html): 300,000 packets a second through a Connect peer. A flow is on one peer. Of 400,000 a second, that is
/// 8,000 in 20 ms, 6,000 pass and the 30 of a burst of 100 us, so that 1,970 are dropped. Of 250,000 a second none is. (The other figure,
/// 5 Gbit/s, no packets of at most 1,476 octets reach: 300,000 of them a second are 3.5 Gbit/s.)
#[test]
fn a_connect_peer_carries_three_hundred_thousand_packets_a_second() {
    let carried = |every: &str, expect: &str| {
        let probes = format!("probes={{{}}}", stream("s", ["app", "desk"], every, 60, ["100s", "100.02s"]));
        CONNECT.holds(&["assume.tunnel_burst=100us", "duration=101s", &probes], expect);
    };
    carried("2.5us", &drops("tunnel_packet_rate", 1_965, 1_975));
    carried("4us", &drops("tunnel_packet_rate", 0, 0));
}

/// 2.2 (vpn-limits.html): 140,000 packets a second through a tunnel. Whether that is for each way the page does not say, so it is a parameter.
/// 100,000 a second each way are none too many, or of the 4,000 in 20 ms 2,800 pass and the 14 of a burst of 100 us. (The office is 12 ms
/// away from AWS's end, so it begins so much earlier.)
#[test]
fn the_rates_of_a_tunnel_are_for_each_way_or_for_both_together() {
    let drawing = Bare::without_faults(library!("active_passive"));
    let there = stream("there", ["office", "app"], "10us", 60, ["99.988s", "100.008s"]);
    let back = stream("back", ["app", "office"], "10us", 60, ["100s", "100.02s"]);
    let probes = format!("probes={{{there}{back}}}");
    let carried = |counted: &str, expect: &str| {
        drawing.holds(&["assume.tunnel_burst=100us", counted, "duration=101s", &probes], expect);
    };
    carried("assume.rates_count=each_way", &drops("tunnel_packet_rate", 0, 0));
    carried("assume.rates_count=together", &drops("tunnel_packet_rate", 1_170, 1_190));
}

/// 2.2: AWS publishes no limit to the tunnels over which a transit gateway spreads flows, nor what it tells them apart by. With one path all
/// flows are in one tunnel; by three numbers those between two hosts are one flow.
#[test]
fn how_a_transit_gateway_spreads_flows_is_a_parameter() {
    let drawing = Bare::without_faults(library!("tgw_ecmp_four_tunnels"));
    let used = |changes: &[&str]| {
        let scenario = drawing.taken(changes);
        let mut simulation = Simulation::new(&scenario);
        simulation.run_until(Instant::from_secs(100));
        let nodes = (0..scenario.plan().nodes.len() as u32).map(|node| simulation.world().node(NodeId(node)));
        // Eight flows of 20 packets a second; of keepalives and their likes there are some dozens.
        let carries = |node: &Node| match node {
            Node::VpnEndpoint(end) => end.gateway().tunnels.iter().any(|it| it.traffic().sent.packets > 1_000),
            _ => false,
        };
        nodes.filter(|node| carries(node)).count()
    };
    assert_eq!(used(&[]), 4);
    assert_eq!(used(&["assume.ecmp_paths=2"]), 2);
    assert_eq!(used(&["assume.ecmp_paths=1"]), 1);
    assert_eq!(used(&["assume.flow_hash=three_tuple"]), 1);
}

/// 2.2 (transit-gateway-quotas.html): 1,000 routes from a Connect peer, on each of its two sessions.
#[test]
fn a_connect_peer_takes_a_thousand_routes() {
    let ends = ends(&CONNECT.taken(&["probes={}"]), "overlay.a");
    let most = |end: &BgpEnd| end.max_prefixes.as_ref().expect("AWS limits them").most;
    assert_eq!(ends.iter().map(most).collect::<Vec<_>>(), [1_000, 1_000]);
}

/// 2.1 (vpn-limits.html) and 2.2 (transit-gateway-quotas.html): 1,000 routes from a virtual private gateway to a customer gateway, 5,000 from
/// a transit gateway to a customer gateway or a Connect peer. Hard quotas. What stays behind the pages do not say.
#[test]
fn what_aws_announces_to_a_customer_gateway_is_bound() {
    let of_tunnel = |scenario: &Scenario| {
        let tunnels = scenario.plan().connections.iter().flat_map(|connection| &connection.tunnels);
        tunnels.filter_map(|tunnel| tunnel.bgp.as_ref()?.0.most_announced).collect::<Vec<_>>()
    };
    assert_eq!(of_tunnel(&HUB.taken(&[])), [1_000; 4]);
    assert_eq!(of_tunnel(&CONCENTRATOR.taken(&[])).first(), Some(&5_000));
    let ends = ends(&CONNECT.taken(&["probes={}"]), "overlay.a");
    assert_eq!(ends.iter().map(|end| end.most_announced).collect::<Vec<_>>(), [Some(5_000); 2]);
}

/// The same: with room for one prefix the first site hears of the VPC, which is announced as soon as the session is there, and not of the
/// other sites; they hear of it and of each other.
#[test]
fn beyond_the_quota_routes_stay_behind() {
    let route = |kind: &str, node: &str, prefix: &str| {
        let name = format!("{node}-{}", &prefix[..4].replace('.', "-"));
        format!("\"{name}\": {kind}(node: \"{node}\", prefix: \"{prefix}\", at: \"100s\"),")
    };
    let heard = |first: &str| {
        let first = ["10.2.0.0/16", "10.3.0.0/16"].map(|prefix| route(first, "cgw1", prefix)).concat();
        let rest = [("cgw1", "10.0.0.0/16"), ("cgw2", "10.1.0.0/16"), ("cgw2", "10.3.0.0/16")];
        first + &rest.map(|(node, prefix)| route("RoutePresent", node, prefix)).concat()
    };
    HUB.holds(&["probes={}", "duration=101s"], &heard("RoutePresent"));
    let bound = ["connections.one.tunnels.a.most_announced=1", "probes={}", "duration=101s"];
    HUB.holds(&bound, &heard("RouteAbsent"));
}

/// 1.9 (announced 2025-11-19): 5 Gbit/s for all sites of a VPN Concentrator together. What each site may have is set so high that it does
/// not matter. 1,250 octets each 2.5 us are 4 Gbit/s, which pass; to two sites 8 Gbit/s: of 4,000 packets in 5 ms 2,500 pass and the 50 of
/// a burst of 100 us, so that 1,450 are dropped. (A tunnel then carries 1.25 Gbit/s, and what it drops has another reason.)
#[test]
fn the_sites_of_a_concentrator_share_five_gigabits_a_second() {
    let shop = |name: &str| stream(name, ["app", name], "2.5us", 1_250, ["50s", "50.005s"]);
    let carried = |probes: &[String], expect: &str| {
        let probes = format!("probes={{{}}}", probes.concat());
        let changes = [
            "nodes.tgw.concentrators.shops.site_bandwidth=10Gbps",
            "nodes.tgw.concentrators.shops.site_packet_rate=10000000",
            "assume.tunnel_burst=100us",
            "duration=51s",
            probes.as_str(),
        ];
        CONCENTRATOR.holds(&changes, expect);
    };
    carried(&[shop("shop-1")], &drops("attachment_bandwidth", 0, 0));
    carried(&[shop("shop-1"), shop("shop-2")], &drops("attachment_bandwidth", 1_445, 1_455));
}

/// 1.9, SECONDARY (a digest of AWS's texts): no private-IP VPN on a VPN Concentrator. A connection over the internet to the same gateway
/// may be on it.
#[test]
fn a_concentrator_takes_no_private_ip_vpn() {
    let shops = "nodes.tgw.concentrators={\"shops\": ()}";
    PRIVATE_IP.taken(&[shops, "connections.internet.concentrator=shops"]);
    PRIVATE_IP.refused(&[shops, "connections.private.concentrator=shops"], "takes no private-IP VPN");
}

/// 1.9, SECONDARY (a digest of AWS's texts): 100 sites of a VPN Concentrator. One more is a warning, as the figure is not AWS's own text.
#[test]
fn a_concentrator_has_a_hundred_sites() {
    let words = "sites: a VPN Concentrator has 100";
    assert!(!SITES.warned(&[&copies(100)], words));
    assert!(SITES.warned(&[&copies(101)], &format!("101 {words}")));
}

/// 7.3 (tgw-route-tables.html): an attachment is associated with exactly one route table. Into how many it propagates is not limited.
#[test]
fn an_attachment_is_associated_with_one_route_table() {
    let tables = |second: &str| {
        let one = "\"one\": (associations: [\"data\"], propagations: [\"data\"])";
        let two = format!("\"two\": (associations: [{second}], propagations: [\"data\"])");
        format!("nodes.merged.route_tables={{{one}, {two}}}")
    };
    PEERING.taken(&[&tables("\"near\"")]);
    PEERING.refused(&[&tables("\"near\", \"data\"")], "associated with one route table only");
}

/// 2.2 (transit-gateway-quotas.html): one static route of a prefix in a route table. The same prefix may stand in another table, and a
/// longer one in the same.
#[test]
fn a_prefix_has_one_static_route_in_a_table() {
    let route = |prefix: &str, target: &str| format!("(destination: \"{prefix}\", target: \"{target}\")");
    let near = route("10.10.0.0/16", "near");
    let tables = |first: &str, second: &str| {
        let one = format!("\"one\": (associations: [\"data\"], routes: [{first}])");
        let two = format!("\"two\": (associations: [\"near\"], routes: [{second}])");
        format!("nodes.merged.route_tables={{{one}, {two}}}")
    };
    let longer = format!("{near}, {}", route("10.10.1.0/24", "blackhole"));
    PEERING.taken(&[&tables(&longer, &route("10.10.0.0/16", "blackhole"))]);
    let twice = format!("{near}, {}", route("10.10.0.0/16", "blackhole"));
    PEERING.refused(&[&tables(&twice, "")], "a static route to 10.10.0.0/16 already");
}
