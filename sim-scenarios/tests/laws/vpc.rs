//! Laws of VPCs: quotas, security groups, NAT gateways and network load balancers. Where packets get is in `reach.rs`.

use sim_core::id::{NodeId, Port};
use sim_core::net::link::DirectionConfig;
use sim_core::net::multipath::{FlowFields, Multipath};
use sim_core::node::Node;
use sim_core::node::external::{Carries, External};
use sim_core::node::ip::Ip;
use sim_core::node::translator::{
    BalancerConfig, HealthCheck, INTERFACE_PORT, Kind, NAT_GATEWAY_FLOWS, NatGatewayConfig, Translator,
};
use sim_core::packet::{Meta, Packet};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{SessionInfo, SessionKind};
use sim_core::wire::checksum;
use sim_core::wire::icmp::{Echo, IcmpKind, echo_around};
use sim_core::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};
use sim_core::wire::udp;
use sim_core::world::World;

use crate::bare::{Bare, answered, dropped_at, library, with_nodes};

const IPV6: Bare = Bare::without_faults(library!("ipv6_inside_tgw"));
const GROUPS: Bare = Bare::new(library!("sg_untracked_flow"));
const EC2: Bare = Bare::without_faults(library!("ec2_as_customer_gateway"));

/// What is said of a plan that is allowed and exceeds a quota of AWS.
fn warnings(drawing: Bare, changes: &[&str]) -> String {
    let scenario = drawing.taken(changes);
    scenario.plan().warnings.iter().map(|it| format!("{}: {}\n", it.parameter, it.text)).collect()
}

// Sections 2.1 and 2.3: quotas.

/// amazon-vpc-limits.html: 100 propagated routes in a route table, not adjustable. That the one too many is the one that comes last is
/// assumed; the document gives the number only.
#[test]
fn a_route_table_takes_a_hundred_propagated_routes() {
    let drawing = Bare::new(library!("vpc_100_propagated_routes"));
    let report = drawing.answer(&[]);
    assert_eq!((answered(&report, "a"), answered(&report, "b")), (1.0, 0.0));
    assert!(dropped_at(&report, "vpc", "vpc_no_route") > 800);
    let report = drawing.answer(&["nodes.site-a.advertise=[\"10.1.0.0/16\"]"]);
    assert_eq!((answered(&report, "a"), answered(&report, "b")), (1.0, 1.0));
}

/// The same page: 50 routes that are not propagated in a route table, up to 1,000 on request.
#[test]
fn fifty_routes_in_a_table_and_up_to_a_thousand_on_request() {
    let routes = |count: usize| {
        let all = (0..count)
            .map(|i| format!("(destination: \"10.{}.{}.0/24\", target: \"blackhole\")", 16 + i / 256, i % 256));
        format!("nodes.vpc.route_tables.isolated.routes=[{}]", all.collect::<Vec<_>>().join(", "))
    };
    let tables = Bare::new(library!("subnet_route_tables"));
    assert_eq!(warnings(tables, &[&routes(50)]), "");
    assert!(warnings(tables, &[&routes(51)]).contains("51 routes: AWS allows 50 in a route table"));
    tables.refused(&[&routes(1001)], "at most 1000 routes");
}

/// The same page: 20 rules each way in a network ACL and 60 in a security group, of which an interface has 5; 5 NAT gateways in an
/// availability zone; 50 active peering connections of a VPC.
#[test]
fn other_quotas_of_a_vpc_are_warnings() {
    let rules = |count: usize| {
        let all = (1..=count).map(|i| format!("(rule: {i}, cidr: \"10.1.0.0/16\", action: \"allow\")"));
        format!("nodes.vpc.network_acls.complete.inbound=[{}]", all.collect::<Vec<_>>().join(", "))
    };
    let acls = Bare::new(library!("nacl_ephemeral"));
    assert_eq!(warnings(acls, &[&rules(20)]), "");
    assert!(warnings(acls, &[&rules(21)]).contains("21 rules: AWS allows 20 each way"));
    let rules = |count: usize| {
        let all = (0..count).map(|i| format!("\"r{i}\": (cidr: \"10.1.0.0/16\")"));
        format!("nodes.vpc.security_groups.open.outbound={{ {} }}", all.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(warnings(GROUPS, &[&rules(60)]), "");
    assert!(warnings(GROUPS, &[&rules(61)]).contains("61 rules: AWS allows 60 each way"));
    let groups = |count: usize| {
        let all: String = (0..count).map(|i| format!("\"g{i}\": (),")).collect();
        let text = GROUPS.text.replacen("security_groups: {", &format!("security_groups: {{ {all}"), 1);
        let names: Vec<String> = (0..count).map(|i| format!("\"g{i}\"")).collect();
        warnings(Bare::new(&text), &[&format!("nodes.open.security_groups=[{}]", names.join(", "))])
    };
    assert_eq!(groups(5), "");
    assert!(groups(6).contains("6 security groups: AWS allows 5 for a network interface"));
    let gateway = |i: usize| format!("\"nat{i}\": NatGateway(subnet: \"vpc.public\", address: \"10.0.0.{}\"),", 30 + i);
    let gateways: Vec<String> = (0..5).map(gateway).collect();
    let further = |text: &str, nodes: &[String]| warnings(Bare::new(&with_nodes(text, &nodes.concat())), &[]);
    let nat_gateway = library!("transit_nat_gateway");
    assert_eq!(further(nat_gateway, &gateways[..4]), "");
    assert!(further(nat_gateway, &gateways).contains("6 NAT gateways in `az1`"));
    let peer = |i: usize| {
        let cidr = format!("10.{}.0.0/16", 20 + i);
        format!(
            "\"peer{i}\": Vpc(cidr: \"{cidr}\", subnets: {{ \"app\": (cidr: \"{cidr}\", availability_zone: \"az1\") }}), \
             \"pcx{i}\": VpcPeering(requester: \"vpc\", accepter: \"peer{i}\"),"
        )
    };
    let peers: Vec<String> = (0..50).map(peer).collect();
    let peering = library!("transit_peering");
    assert_eq!(further(peering, &peers[..49]), "");
    assert!(further(peering, &peers).contains("51 peering connections: AWS allows 50"));
}

/// Page vpn-limits.html: one virtual private gateway is attached to a VPC at a time, not adjustable.
#[test]
fn a_vpc_has_one_virtual_private_gateway() {
    let nodes = "\"second\": VirtualPrivateGateway(asn: 64513, vpc: \"other\"), \
                 \"other\": Vpc(cidr: \"10.9.0.0/16\", subnets: { \"app\": (cidr: \"10.9.1.0/24\", availability_zone: \"az1\") }),";
    // A gateway at which no connection ends is wrong for that, so the second site's ends at it. What is asked is about the first one.
    let (drawing, _) = library!("vpc_100_propagated_routes").split_once("    expect: {").expect("it asks something");
    let text = with_nodes(&format!("{drawing})"), nodes).replace(
        "customer_gateway: \"site-b\",\n            gateway: \"vgw\",",
        "customer_gateway: \"site-b\",\n            gateway: \"second\",",
    );
    let each_has_one = Bare { text: &text, changes: &["probes={}"] };
    each_has_one.taken(&[]);
    each_has_one.refused(&["nodes.second.vpc=vpc"], "another gateway is attached to this VPC: AWS attaches one");
}

/// Page amazon-vpc-limits.html: 200 route tables in a VPC, the main one among them.
#[test]
fn a_vpc_has_two_hundred_route_tables() {
    let tables = |count: usize| {
        let others: String = (1..count).map(|n| format!("\"t{n}\": (), ")).collect();
        format!("nodes.vpc.route_tables={{ {others}\"main\": () }}")
    };
    let drawing = Bare::without_faults(library!("active_passive"));
    drawing.taken(&[&tables(200)]);
    drawing.refused(&[&tables(201)], "a VPC has at most 200 route tables");
}

/// What is said of quotas of route tables.
fn too_many_routes(changes: &[&str]) -> Vec<String> {
    let scenario = IPV6.taken(changes);
    let texts = scenario.plan().warnings.iter().map(|warning| warning.text.clone());
    texts.filter(|text| text.contains("in a route table")).collect()
}

/// Page amazon-vpc-limits.html: 50 routes in a route table that are not propagated, those of IPv4 and IPv6 counted separately. So 50 of
/// each are within the quota, and 51 of either are not.
#[test]
fn routes_of_ipv4_and_ipv6_are_counted_separately() {
    let routes = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|n| format!("(destination: \"10.1.{n}.0/24\", target: \"tgw\")")).collect();
        format!("nodes.vpc.route_tables.main.routes=[{}]", all.join(", "))
    };
    let of_ipv6 = |count: usize| {
        let all: Vec<String> =
            (1..=count).map(|n| format!("(destination: \"2001:db8:1{n:03}::/48\", target: \"tgw\")")).collect();
        format!("nodes.vpc.route_tables.main.ipv6_routes=[{}]", all.join(", "))
    };
    assert_eq!(too_many_routes(&[&routes(50), &of_ipv6(50)]), Vec::<String>::new());
    for (ipv4, ipv6) in [(51, 50), (50, 51)] {
        let told = too_many_routes(&[&routes(ipv4), &of_ipv6(ipv6)]);
        assert!(told.len() == 1 && told[0].contains("51 routes: AWS allows 50"), "{told:?}");
    }
}

// Section 7.5: security groups.

/// security-group-connection-tracking.html: an untracked flow ends with its rule, a tracked one goes on, and what begins needs a rule.
/// The states and timers of the table behind it have tests of their own, in `net/conntrack` and `node/vpc/guard`.
#[test]
fn an_untracked_flow_ends_with_its_rule_and_a_tracked_one_goes_on() {
    let report = GROUPS.answer(&[]);
    assert!((0.55..0.65).contains(&answered(&report, "to-open")), "40 s of 100 s are dark");
    assert_eq!((answered(&report, "to-narrow"), answered(&report, "late")), (1.0, 0.0));
    // The page: the reverse rule must let all ports of everybody pass, or the flow is tracked.
    let some = "nodes.vpc.security_groups.open.outbound={ \"some\": (protocol: \"udp\", ports: \"1024-65535\", cidr: \"0.0.0.0/0\") }";
    assert_eq!(answered(&GROUPS.answer(&[some]), "to-open"), 1.0);
}

/// The same page and ConnectionTrackingSpecificationRequest: TCP established 60 to 432,000 s, UDP 30 to 60 s, UDP streams 60 to 180 s.
#[test]
fn timers_of_connection_tracking_have_ranges() {
    for wrong in [
        "tcp_established_timeout: \"59s\"",
        "tcp_established_timeout: \"432001s\"",
        "udp_timeout: \"61s\"",
        "udp_stream_timeout: \"181s\"",
    ] {
        GROUPS.refused(&[&format!("nodes.open.connection_tracking=({wrong})")], "this timeout is");
    }
}

/// The same page: an instance tracks so many flows at most, and what would begin another is dropped. ICMP is always tracked, and forgotten
/// 30 s after its last packet; UDP that everybody may send is not tracked here. Two pings take an allowance of two from 20 s to 60 s, so
/// that a third one, of 30 packets from 30 s on, is dropped whole. A fourth one from 95 s on finds room, as both are forgotten by 90 s. UDP
/// passes throughout. With an allowance of three, or without one, everything does.
#[test]
fn an_instance_tracks_no_more_flows_than_its_allowance() {
    let group = "nodes.vpc.security_groups.open.inbound={ \"echo\": (ports: 7, protocol: \"udp\", cidr: \"0.0.0.0/0\"), \
                 \"ping\": (protocol: \"icmp\", cidr: \"0.0.0.0/0\") }";
    let ping = |name: &str, start: &str, stop: &str| {
        format!(
            "\"{name}\": IcmpEcho(from: \"office\", to: \"open\", every: \"1s\", start: \"{start}\", stop: \"{stop}\"), "
        )
    };
    let probes = [
        ping("first", "20s", "60s"),
        ping("second", "20.5s", "60s"),
        ping("third", "30s", "60s"),
        ping("fourth", "95s", "110s"),
        "\"udp\": UdpEcho(from: \"office\", to: \"open\", every: \"100ms\", start: \"20s\", stop: \"110s\")".to_owned(),
    ];
    let probes = format!("probes={{ {} }}", probes.concat());
    for (tracking, third, dropped) in [("(limit: 2)", 0.0, 30), ("(limit: 3)", 1.0, 0), ("()", 1.0, 0)] {
        let tracking = format!("nodes.open.connection_tracking={tracking}");
        let report = GROUPS.answer(&["faults={}", group, &probes, &tracking]);
        let of = ["first", "second", "third", "fourth", "udp"].map(|probe| answered(&report, probe));
        assert_eq!(of, [1.0, 1.0, third, 1.0, 1.0], "{tracking}");
        assert_eq!(dropped_at(&report, "vpc", "conntrack_allowance_exceeded"), dropped, "{tracking}");
    }
}

/// The same page, of an instance that is a customer gateway. IKE takes four flows of the allowance at first, UDP 500 and 4500 of two tunnels,
/// and two from 181 s on at the latest, as nothing goes by UDP 500 any more. So of three flows that the instance forwards from 250 s on the
/// third, of 29 packets, is dropped.
#[test]
fn a_gateway_on_an_instance_has_an_allowance_too() {
    let ask = |name: &str, start: &str, stop: &str| {
        format!(
            "\"{name}\": UdpEcho(from: \"till\", to: \"app\", every: \"1s\", start: \"{start}\", stop: \"{stop}\"), "
        )
    };
    let probes = [ask("first", "250s", "290s"), ask("second", "250s", "290s"), ask("third", "251s", "280s")].concat();
    let probes = format!("probes={{ {probes} }}");
    for (tracking, third, dropped) in [("(limit: 4)", 0.0, 29), ("()", 1.0, 0)] {
        let tracking = format!("nodes.cgw.instance.connection_tracking={tracking}");
        let report = EC2.answer(&[&probes, &tracking]);
        let of = ["first", "second", "third"].map(|probe| answered(&report, probe));
        assert_eq!(of, [1.0, 1.0, third], "{tracking}");
        assert_eq!(dropped_at(&report, "shop", "conntrack_allowance_exceeded"), dropped, "{tracking}");
    }
}

/// AWS publishes no figure, so any allowance is taken that bounds something. An interface without a security group tracks nothing.
#[test]
fn an_allowance_is_of_an_interface_that_tracks() {
    let tracking = |limit: u64| format!("nodes.open.connection_tracking=(limit: {limit})");
    GROUPS.taken(&[&tracking(1)]);
    GROUPS.refused(&[&tracking(0)], "the number of flows that an interface tracks is 1 to 100000000, not 0");
    GROUPS.refused(&["nodes.open.security_groups=[]", &tracking(1)], "without a security group no flow is tracked");
}

/// A rule may name a group, and is then about its members.
#[test]
fn a_rule_may_be_about_the_members_of_a_group() {
    let rule =
        |group: &str| format!("nodes.vpc.security_groups.narrow.inbound={{ \"echo\": (security_group: \"{group}\") }}");
    let from = ["faults={}", "probes.to-narrow.from=open"];
    let report = GROUPS.answer(&[from[0], from[1], &rule("open")]);
    assert_eq!((answered(&report, "to-narrow"), answered(&report, "late")), (1.0, 0.0));
    assert_eq!(answered(&GROUPS.answer(&[from[0], from[1], &rule("narrow")]), "to-narrow"), 0.0);
}

/// security-group-connection-tracking.html: flows through a NAT gateway, PrivateLink or a gateway endpoint are tracked whatever the rules, so
/// they go on when the rule is gone that has let them out. By the same rule the instance speaks to the site, which is not tracked and ends
/// with it: 40 of 80 s are dark.
#[test]
fn what_leaves_by_these_services_is_always_tracked() {
    let group = "nodes.vpc.security_groups={ \"open\": (inbound: { \"in\": (cidr: \"0.0.0.0/0\") }, \
                 outbound: { \"out\": (cidr: \"0.0.0.0/0\") }) }";
    let revoked = "faults={ \"revoke\": (at: \"60s\", \
                   what: RevokeSecurityGroupRule(group: \"vpc.open\", rule: \"out\", outbound: true)) }";
    for (text, to) in [
        (library!("transit_nat_gateway"), "website"),
        (library!("transit_interface_endpoint"), "endpoint"),
        (library!("transit_gateway_endpoint"), "s3"),
    ] {
        let ask = |to: &str| format!("UdpEcho(from: \"app\", to: \"{to}\", every: \"100ms\", start: \"20s\")");
        let probes = format!("probes={{ \"service\": {}, \"site\": {} }}", ask(to), ask("office"));
        let grouped = [group, "nodes.app.security_groups=[\"open\"]", revoked, probes.as_str(), "duration=100s"];
        let report = Bare::new(text).answer(&grouped);
        assert_eq!(answered(&report, "service"), 1.0, "{to}");
        assert!((0.495..0.505).contains(&answered(&report, "site")), "{to}: {}", answered(&report, "site"));
    }
}

/// The same page: so is what comes by a network load balancer, whose target is an instance of the group "open". Of 100 s 40 are dark for who
/// asks the instance itself.
#[test]
fn what_comes_by_a_load_balancer_is_always_tracked() {
    let ask = |to: &str| format!("UdpEcho(from: \"office\", to: \"{to}\", every: \"100ms\", start: \"20s\")");
    let report = GROUPS.answer(&[
        "nodes.narrow=LoadBalancer(subnet: \"vpc.app\", address: \"10.0.1.11\", targets: [\"open\"])",
        "faults={ \"revoke\": (at: \"60s\", heal: \"100s\", what: RevokeSecurityGroupRule(group: \"vpc.open\", rule: \"echo\")) }",
        &format!("probes={{ \"balanced\": {}, \"itself\": {} }}", ask("narrow"), ask("open")),
    ]);
    assert_eq!(answered(&report, "balanced"), 1.0);
    assert!((0.595..0.605).contains(&answered(&report, "itself")), "{}", answered(&report, "itself"));
}

const CLIENT: [u8; 4] = [10, 0, 1, 10];
const GATEWAY: [u8; 4] = [10, 0, 0, 20];
const REMOTE: [u8; 4] = [192, 0, 2, 80];

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The place of the VPC, where packets come from and go to.
const VPC: NodeId = NodeId(0);

/// A translator with the VPC opposite.
struct Opposite {
    world: World,
}

impl Opposite {
    fn new(translator: impl FnOnce(&mut World) -> Translator) -> Self {
        let mut world = World::new(1);
        let mut ip = Ip::new(vec![[10, 0, 0, 1].into()]);
        ip.mute();
        ip.add_port(Port(0), 1500);
        ip.default_route(Port(0));
        let vpc = world.add_node("vpc", Node::External(Box::new(External::new(ip, Carries::Everything))));
        let translator = translator(&mut world);
        let it = world.add_node("it", Node::Translator(Box::new(translator)));
        world.add_link("inner", [(vpc, Port(0)), (it, INTERFACE_PORT)], [DirectionConfig::default(); 2], true);
        world.start();
        Self { world }
    }

    fn nat_gateway() -> Self {
        Self::nat_gateway_with(NatGatewayConfig::default())
    }

    fn nat_gateway_with(config: NatGatewayConfig) -> Self {
        let rng = Rng::stream(1, "nat", Purpose::NatPorts);
        Self::new(|_| Translator::new(Kind::NatGateway(config), GATEWAY.into(), 1500, rng))
    }

    /// Its only target answers no health check.
    fn load_balancer() -> Self {
        Self::new(|world| {
            let (kind, node, name) = (SessionKind::Track, world.next_node(), "target@nlb".to_owned());
            let session = world.trace.add_session(SessionInfo { kind, node, name, peer: None });
            let seconds = Duration::from_secs;
            let config = BalancerConfig {
                port: 443,
                targets: vec![((REMOTE.into(), 443), session)],
                check: HealthCheck { interval: seconds(300), timeout: seconds(10), healthy: 2, unhealthy: 2 },
                spread: Multipath::new(FlowFields::FiveTuple, 1, "nlb"),
                mtu: 1500,
                consumers: Vec::new(),
            };
            let (ports, tcp) = (Rng::stream(1, "nlb", Purpose::NatPorts), Rng::stream(1, "nlb", Purpose::Tcp));
            Translator::balancing(config, GATEWAY.into(), 1500, ports, tcp)
        })
    }

    /// What comes back into the VPC when this packet goes there at that second.
    fn send(&mut self, at: u64, packet: Packet) -> Option<Packet> {
        self.world.run_until(Instant::from_secs(at));
        // What a load balancer has asked its target meanwhile is nobody's answer.
        while self.world.leave(VPC).is_some() {}
        self.world.enter(VPC, packet);
        self.world.run_until(Instant::from_secs(at));
        self.world.leave(VPC)
    }

    fn drops(&self, reason: &str) -> u64 {
        let all = self.world.trace.drops().iter().filter(|(key, _)| key.reason.code() == reason);
        all.map(|(_, count)| count.packets).sum()
    }
}

fn segment(source: ([u8; 4], u16), destination: ([u8; 4], u16), flags: u8) -> Packet {
    let mut bytes = [0; 20];
    bytes[..2].copy_from_slice(&source.1.to_be_bytes());
    bytes[2..4].copy_from_slice(&destination.1.to_be_bytes());
    (bytes[12], bytes[13]) = (5 << 4, flags);
    let pseudo = checksum::pseudo_header(source.0.into(), destination.0.into(), protocol::TCP, 20);
    let sum = checksum::add(pseudo, checksum::sum(&bytes));
    bytes[16..18].copy_from_slice(&(!sum).to_be_bytes());
    Ipv4Header::new(source.0.into(), destination.0.into(), protocol::TCP).packet(&bytes, Meta::default())
}

/// Source, source port and TCP flags of what comes back.
fn seen(packet: &Packet) -> ([u8; 4], u16, u8) {
    let ip = Ipv4Packet::new_checked(packet.bytes()).expect("it is sound");
    let tcp = ip.payload();
    (ip.src().octets(), u16::from_be_bytes([tcp[0], tcp[1]]), tcp[13])
}

// Section 7.7: the NAT gateway.

/// vpc-nat-gateway.html: a connection that is idle for 350 s is forgotten, and its next segment is answered by a RST, not a FIN
/// (vpc-nat-comparison.html).
#[test]
fn a_nat_gateway_forgets_after_350_s_and_answers_with_a_rst() {
    let mut gateway = Opposite::nat_gateway();
    let ours = |flags| segment((CLIENT, 40_000), (REMOTE, 443), flags);
    let opened = gateway.send(1, ours(SYN)).expect("it is translated");
    let (source, port, _) = seen(&opened);
    assert_eq!(source, GATEWAY);
    assert!(gateway.send(1, segment((REMOTE, 443), (GATEWAY, port), SYN | ACK)).is_some());
    assert!(gateway.send(1, ours(ACK)).is_some());
    let (source, again, flags) = seen(&gateway.send(350, ours(ACK)).expect("349 s later"));
    assert_eq!((source, again, flags), (GATEWAY, port, ACK), "it is remembered");
    let answer = gateway.send(701, ours(ACK)).expect("351 s later");
    assert_eq!(seen(&answer), (REMOTE, 443, RST), "in the name of the other end");
    assert_eq!(gateway.drops("nat_idle"), 1);
    // Who begins anew is served.
    assert_eq!(seen(&gateway.send(702, ours(SYN)).expect("a new connection")).0, GATEWAY);
}

/// vpc-nat-gateway.html: 55,000 simultaneous connections to each unique destination (address, port, protocol), from ports 1024 to 65535.
#[test]
fn a_nat_gateway_has_55_000_flows_to_each_destination() {
    let mut gateway = Opposite::nat_gateway();
    let mut ports = std::collections::BTreeSet::new();
    for client in 0..NAT_GATEWAY_FLOWS {
        let packet = gateway.send(1, from_client(client, 53)).expect("there is room");
        ports.insert(seen_port(&packet));
    }
    assert_eq!(ports.len(), 55_000, "each has a port of its own");
    assert!(ports.iter().all(|port| *port >= 1024));
    assert!(gateway.send(1, from_client(55_000, 53)).is_none());
    assert_eq!(gateway.drops("nat_exhausted"), 1);
    assert!(gateway.send(1, from_client(55_000, 54)).is_some(), "another destination has room of its own");
}

/// The same page: so many from each of its addresses. With two there is room for 110,000, half of them from each, and no more.
#[test]
fn a_nat_gateway_has_55_000_flows_of_each_address() {
    const SECOND: [u8; 4] = [10, 0, 0, 21];
    let mut gateway = Opposite::nat_gateway_with(NatGatewayConfig { secondary: vec![SECOND.into()], limit: None });
    let mut shown: Vec<([u8; 4], u16)> = Vec::new();
    for client in 0..2 * NAT_GATEWAY_FLOWS {
        let packet = gateway.send(1, from_client(client, 53)).expect("there is room");
        let source = Ipv4Packet::new_checked(packet.bytes()).expect("it is sound").src().octets();
        shown.push((source, seen_port(&packet)));
    }
    let of = |address| shown.iter().filter(|(source, _)| *source == address).count();
    assert_eq!([GATEWAY, SECOND].map(of), [55_000, 55_000]);
    assert!(gateway.send(1, from_client(110_000, 53)).is_none());
    assert_eq!(gateway.drops("nat_exhausted"), 1);
    assert!(gateway.send(1, from_client(110_000, 54)).is_some(), "another destination has room of its own");
    // What is sent on goes by the same address and port, and the answer to it comes back to its client.
    let second = shown.iter().position(|(source, _)| *source == SECOND).expect("half of them are");
    let again = gateway.send(1, from_client(second, 53)).expect("its flow is remembered");
    assert_eq!((again.bytes()[12..16].to_vec(), seen_port(&again)), (SECOND.to_vec(), shown[second].1));
    let answer = udp::packet((REMOTE.into(), 53), (SECOND.into(), shown[second].1), b"data", Meta::default());
    let answer = gateway.send(1, answer).expect("it is of the flow");
    let client = from_client(second, 53);
    assert_eq!(answer.bytes()[16..20], client.bytes()[12..16]);
}

/// A datagram of the client of this number, to a port of the remote end.
fn from_client(client: usize, remote: u16) -> Packet {
    let source = ([10, 0, 1, 4 + (client / 60_000) as u8].into(), 1024 + (client % 60_000) as u16);
    udp::packet(source, (REMOTE.into(), remote), b"data", Meta::default())
}

fn seen_port(packet: &Packet) -> u16 {
    let ip = Ipv4Packet::new_checked(packet.bytes()).expect("it is sound");
    u16::from_be_bytes([ip.payload()[0], ip.payload()[1]])
}

/// The same page: TCP, UDP and ICMP. nat-gateway-troubleshooting.html: fragments of UDP are forwarded, those of TCP and ICMP dropped.
#[test]
fn a_nat_gateway_carries_tcp_udp_and_icmp_and_fragments_of_udp() {
    let mut gateway = Opposite::nat_gateway();
    let of = |number| Ipv4Header::new(CLIENT.into(), REMOTE.into(), number).packet(&[0; 32], Meta::default());
    let echo = |data: Packet| {
        echo_around(IcmpKind::EchoRequest, CLIENT.into(), REMOTE.into(), Echo { ident: 7, seq: 1 }, data)
    };
    let datagram = || udp::packet((CLIENT.into(), 40_000), (REMOTE.into(), 53), &[0; 64], Meta::default());
    assert!(gateway.send(1, echo(Packet::zeroed(64, Meta::default()))).is_some());
    assert!(gateway.send(1, datagram()).is_some());
    assert!(gateway.send(1, of(protocol::ESP)).is_none() && gateway.send(1, of(protocol::GRE)).is_none());
    assert_eq!(gateway.drops("nat_unsupported"), 2);
    let first_of = |mut packet: Packet| {
        let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
        ip.set_fragment(false, true, 0);
        ip.fill_checksum();
        packet
    };
    assert!(gateway.send(1, first_of(datagram())).is_some());
    assert!(gateway.send(1, first_of(echo(Packet::zeroed(64, Meta::default())))).is_none());
    assert!(gateway.send(1, first_of(segment((CLIENT, 40_000), (REMOTE, 443), SYN))).is_none());
    assert_eq!(gateway.drops("nat_fragment"), 2);
}

// Section 7.5: the network load balancer.

/// EC2 user guide, security-group-connection-tracking.html: TCP that is idle for 350 s is forgotten by a network load balancer. Network Load
/// Balancer guide, network-load-balancers.html: what comes after that is answered by a RST.
#[test]
fn a_load_balancer_forgets_tcp_after_350_s_and_answers_with_a_rst() {
    let mut balancer = Opposite::load_balancer();
    let ours = |flags| segment((CLIENT, 40_000), (GATEWAY, 443), flags);
    let (source, port, _) = seen(&balancer.send(20, ours(SYN)).expect("it goes to the target"));
    assert_eq!(source, GATEWAY);
    let answer = balancer.send(20, segment((REMOTE, 443), (GATEWAY, port), SYN | ACK)).expect("it comes back");
    assert_eq!(seen(&answer), (GATEWAY, 443, SYN | ACK));
    assert!(balancer.send(20, ours(ACK)).is_some());
    let kept = balancer.send(369, ours(ACK)).expect("349 s later");
    assert_eq!(seen(&kept), (GATEWAY, port, ACK), "it is remembered");
    let reset = balancer.send(720, ours(ACK)).expect("351 s later");
    assert_eq!(seen(&reset), (GATEWAY, 443, RST), "the client hears that it is gone");
    assert_eq!(balancer.drops("nat_idle"), 1);
}

/// The first of these pages: UDP that is idle for 120 s is forgotten, so a late answer of the target goes to nobody.
#[test]
fn a_load_balancer_forgets_udp_after_120_s() {
    let mut balancer = Opposite::load_balancer();
    let datagram = |from: ([u8; 4], u16), to: ([u8; 4], u16)| {
        udp::packet((from.0.into(), from.1), (to.0.into(), to.1), b"data", Meta::default())
    };
    let asked = balancer.send(20, datagram((CLIENT, 40_000), (GATEWAY, 443))).expect("it goes to the target");
    let answer = || datagram((REMOTE, 443), (GATEWAY, seen_port(&asked)));
    let late = balancer.send(139, answer()).expect("119 s later");
    let ip = Ipv4Packet::new_checked(late.bytes()).expect("it is sound");
    assert_eq!((ip.src().octets(), ip.dst().octets()), (GATEWAY, CLIENT));
    assert!(balancer.send(260, answer()).is_none(), "121 s later");
    assert!(balancer.send(261, datagram((CLIENT, 40_000), (GATEWAY, 443))).is_some(), "who asks again is served");
}
