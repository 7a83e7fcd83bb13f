//! Laws of VPCs: route tables, network ACLs, NAT gateways and what may be reached from where.

use sim_core::id::Port;
use sim_core::net::link::DirectionConfig;
use sim_core::node::Node;
use sim_core::node::external::{Carries, External};
use sim_core::node::ip::Ip;
use sim_core::node::translator::{INTERFACE_PORT, Kind, NAT_GATEWAY_FLOWS, Translator};
use sim_core::packet::{Meta, Packet};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Instant;
use sim_core::wire::checksum;
use sim_core::wire::icmp::{Echo, IcmpKind, echo_around};
use sim_core::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};
use sim_core::wire::udp;
use sim_core::world::World;
use sim_scenarios::report::model::Report;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

macro_rules! library {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/", $name, ".ron"))
    };
}

/// A scenario of the library with changes and nothing expected.
fn scenario(text: &str, changes: &[&str]) -> Scenario {
    let changes: Vec<&str> = ["expect={}", "control=[]"].into_iter().chain(changes.iter().copied()).collect();
    let parsed = Scenario::parse("library.ron", text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    parsed.with(&changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The text of a scenario with further nodes.
fn with_nodes(text: &str, nodes: &[String]) -> String {
    text.replacen("nodes: {", &format!("nodes: {{ {}", nodes.concat()), 1)
}

/// What it answers.
fn answer(text: &str, changes: &[&str]) -> Report {
    Simulation::new(&scenario(text, changes)).finish().report
}

fn drops(report: &Report, node: &str, reason: &str) -> u64 {
    let counts = report.drops.iter().filter(|it| it.node.as_deref() == Some(node) && it.reason == reason);
    counts.map(|it| it.packets).sum()
}

/// The share of a probe that was answered.
fn answered(report: &Report, probe: &str) -> f64 {
    let entry = report.probes.iter().find(|it| it.name == probe && it.direction == "round_trip");
    1.0 - entry.expect("it is there").loss
}

/// What is said of a plan that is allowed and exceeds a quota of AWS.
fn warnings(text: &str, changes: &[&str]) -> String {
    let scenario = scenario(text, changes);
    scenario.plan().warnings.iter().map(|it| format!("{}: {}\n", it.parameter, it.text)).collect()
}

/// What is wrong with a scenario.
fn mistakes(text: &str, changes: &[&str]) -> String {
    let parsed = Scenario::parse("library.ron", text, &NoSecrets).expect("it makes sense");
    parsed.with(changes, &NoSecrets).expect_err("it is refused").to_string()
}

// Section 2.3: quotas.

/// amazon-vpc-limits.html: 100 propagated routes in a route table, not adjustable. That the one too many is the one that comes last is
/// assumed; the document gives the number only.
#[test]
fn a_route_table_takes_a_hundred_propagated_routes() {
    let text = library!("vpc_100_propagated_routes");
    let report = answer(text, &[]);
    assert_eq!((answered(&report, "a"), answered(&report, "b")), (1.0, 0.0));
    assert!(drops(&report, "vpc", "vpc_no_route") > 800);
    let report = answer(text, &["nodes.site-a.advertise=[\"10.1.0.0/16\"]"]);
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
    let text = library!("subnet_route_tables");
    assert_eq!(warnings(text, &[&routes(50)]), "");
    assert!(warnings(text, &[&routes(51)]).contains("51 routes: AWS allows 50 in a route table"));
    assert!(mistakes(text, &[&routes(1001)]).contains("at most 1000 routes"));
}

/// The same page: 20 rules each way in a network ACL and 60 in a security group, of which an interface has 5; 5 NAT gateways in an availability zone; 50 active peering
/// connections of a VPC.
#[test]
fn other_quotas_of_a_vpc_are_warnings() {
    let rules = |count: usize| {
        let all = (1..=count).map(|i| format!("(rule: {i}, cidr: \"10.1.0.0/16\", action: \"allow\")"));
        format!("nodes.vpc.network_acls.complete.inbound=[{}]", all.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(warnings(library!("nacl_ephemeral"), &[&rules(20)]), "");
    assert!(warnings(library!("nacl_ephemeral"), &[&rules(21)]).contains("21 rules: AWS allows 20 each way"));
    let rules = |count: usize| {
        let all = (0..count).map(|i| format!("\"r{i}\": (cidr: \"10.1.0.0/16\")"));
        format!("nodes.vpc.security_groups.open.outbound={{ {} }}", all.collect::<Vec<_>>().join(", "))
    };
    assert_eq!(warnings(library!("sg_untracked_flow"), &[&rules(60)]), "");
    assert!(warnings(library!("sg_untracked_flow"), &[&rules(61)]).contains("61 rules: AWS allows 60 each way"));
    let groups = |count: usize| {
        let all: String = (0..count).map(|i| format!("\"g{i}\": (),")).collect();
        let text =
            library!("sg_untracked_flow").replacen("security_groups: {", &format!("security_groups: {{ {all}"), 1);
        let names: Vec<String> = (0..count).map(|i| format!("\"g{i}\"")).collect();
        warnings(&text, &[&format!("nodes.open.security_groups=[{}]", names.join(", "))])
    };
    assert_eq!(groups(5), "");
    assert!(groups(6).contains("6 security groups: AWS allows 5 for a network interface"));
    let gateway = |i: usize| format!("\"nat{i}\": NatGateway(subnet: \"vpc.public\", address: \"10.0.0.{}\"),", 30 + i);
    let gateways: Vec<String> = (0..5).map(gateway).collect();
    let with = |count: usize| warnings(&with_nodes(library!("transit_nat_gateway"), &gateways[..count]), &[]);
    assert_eq!(with(4), "");
    assert!(with(5).contains("6 NAT gateways in `az1`"));
    let peer = |i: usize| {
        let cidr = format!("10.{}.0.0/16", 20 + i);
        format!(
            "\"peer{i}\": Vpc(cidr: \"{cidr}\", subnets: {{ \"app\": (cidr: \"{cidr}\", availability_zone: \"az1\") }}), \
             \"pcx{i}\": VpcPeering(requester: \"vpc\", accepter: \"peer{i}\"),"
        )
    };
    let peers: Vec<String> = (0..50).map(peer).collect();
    let with = |count: usize| warnings(&with_nodes(library!("transit_peering"), &peers[..count]), &[]);
    assert_eq!(with(49), "");
    assert!(with(50).contains("51 peering connections: AWS allows 50"));
}

// Section 4.1: the order of a VPC route table.

/// route-tables-priority.html: the local route comes before a propagated one that is more specific.
#[test]
fn local_comes_before_a_more_specific_propagated_route() {
    let report = answer(library!("overlapping_vpc_and_site"), &[]);
    assert_eq!((answered(&report, "from-desk"), answered(&report, "from-office")), (0.0, 1.0));
    assert!(drops(&report, "vpc", "vpc_no_interface") > 1_900);
}

/// The same page: a static route more specific than the local one is to a whole subnet, and packets follow it. Here it leads to an
/// instance, whose source/destination check refuses what is not for its own address (EC2 user guide, source/destination check).
#[test]
fn a_static_route_to_a_whole_subnet_comes_before_local() {
    let route = |to: &str| format!("nodes.vpc.route_tables.main.routes=[(destination: \"{to}\", target: \"suspect\")]");
    let text = library!("subnet_route_tables");
    let report = answer(text, &[&route("10.0.2.0/24")]);
    assert_eq!(answered(&report, "inside"), 0.0);
    assert!(drops(&report, "vpc", "source_destination_check") > 1_000);
    assert_eq!(answered(&answer(text, &[]), "inside"), 1.0);
    assert!(mistakes(text, &[&route("10.0.2.0/25")]).contains("no whole subnet"));
}

/// The same page: for one destination a static route comes before a propagated one; of two the longer prefix comes first, whichever is
/// static.
#[test]
fn static_comes_before_propagated_for_the_same_destination_only() {
    let text = library!("subnet_route_tables");
    let report = answer(text, &[]);
    assert_eq!(answered(&report, "to-suspect"), 0.0);
    let broader = "nodes.vpc.route_tables.quarantine.routes=[(destination: \"10.0.0.0/8\", target: \"blackhole\")]";
    assert!(answered(&answer(text, &[broader]), "to-suspect") > 0.99, "the propagated /16 is longer");
}

/// The same page: a static route comes before one to a prefix list, and that before a propagated one.
#[test]
fn prefix_lists_stand_between_static_and_propagated_routes() {
    let text = library!("transit_gateway_endpoint");
    let propagated = "connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\", \"192.0.2.0/24\"])";
    assert_eq!(answered(&answer(text, &[propagated]), "app-to-s3"), 1.0);
    let fixed = "nodes.vpc.route_tables.main.routes=[(destination: \"192.0.2.0/24\", target: \"blackhole\")]";
    let report = answer(text, &[fixed]);
    assert_eq!(answered(&report, "app-to-s3"), 0.0);
    assert!(drops(&report, "vpc", "blackhole_route") > 0);
}

/// gateway-route-tables.html: the targets of a gateway's route table are `local` and network interfaces, its destinations the VPC's block
/// or whole subnets, and nothing is propagated into it.
#[test]
fn a_gateway_s_route_table_leads_to_network_interfaces_in_the_vpc_only() {
    let text = library!("transit_nat_instance");
    let with = |table: &str| {
        let tables = format!(
            "nodes.vpc.route_tables={{ \"main\": (propagation: [\"vgw\"]), \"public\": (), \"edge\": {table} }}"
        );
        mistakes(text, &[&tables, "nodes.vgw.route_table=edge"])
    };
    let route = |to: &str, target: &str| format!("(routes: [(destination: \"{to}\", target: \"{target}\")])");
    assert!(with(&route("0.0.0.0/0", "nat")).contains("never for 0.0.0.0/0"));
    assert!(with(&route("10.0.1.0/24", "igw")).contains("neither local nor to a network interface"));
    assert!(with("(propagation: [\"vgw\"])").contains("nothing is propagated into the route table of a gateway"));
    let shared = mistakes(text, &["nodes.vgw.route_table=main"]);
    assert!(shared.contains("is the route table of subnet `app`"), "{shared}");
}

/// The same page: with such a table, what comes from the gateway for a subnet goes to the network interface first.
#[test]
fn a_gateway_s_route_table_sends_a_subnet_s_traffic_through_an_interface() {
    let tables = "nodes.vpc.route_tables={ \"main\": (propagation: [\"vgw\"]), \"public\": (propagation: [\"vgw\"]), \
                  \"edge\": (routes: [(destination: \"10.0.1.0/24\", target: \"nat\")]) }";
    let changes = [tables, "nodes.vgw.route_table=edge"];
    let report = answer(library!("transit_nat_instance"), &changes);
    assert!(answered(&report, "office-to-app") > 0.99);
    // The instance is in the way: with its check on, nothing passes.
    let checked = [changes[0], changes[1], "nodes.nat.source_destination_check=true"];
    assert_eq!(answered(&answer(library!("transit_nat_instance"), &checked), "office-to-app"), 0.0);
}

// Section 7.1: what comes from a virtual private gateway.

/// vpn-route-priority.html: a virtual private gateway routes to what it has learned and to the VPC's block, and vpc-nat-gateway.html,
/// vpc-peering-basics.html, gateway-endpoints.html say the same of their things. DERIVED for the NAT instance, from the destinations
/// that a gateway's route table takes: never 0.0.0.0/0.
#[test]
fn what_comes_from_a_virtual_private_gateway_leaves_the_vpc_nowhere() {
    let refused = [
        (library!("transit_igw"), "office-to-internet", "transit_internet_gateway"),
        (library!("transit_nat_gateway"), "office-to-internet", "transit_nat_gateway"),
        (library!("transit_nat_instance"), "office-to-internet", "transit_nat_instance"),
        (library!("transit_peering"), "office-to-peer", "transit_peering"),
        (library!("transit_gateway_endpoint"), "office-to-s3", "transit_gateway_endpoint"),
    ];
    for (text, probe, reason) in refused {
        let report = answer(text, &[]);
        let sent = report.probes.iter().find(|it| it.name == probe).expect("it is there").sent;
        assert_eq!(answered(&report, probe), 0.0, "{reason}");
        let refused = drops(&report, "vgw", reason);
        assert!(refused > 1_000 && refused <= sent, "{reason}: {refused} of {sent}");
        assert!(answered(&report, "office-to-app") > 0.99, "{reason}: the VPC itself is reached");
    }
}

/// S3 guide, privatelink-interface-endpoints.html: an interface endpoint is reached from on premises over VPN.
#[test]
fn an_interface_endpoint_is_reached_through_a_virtual_private_gateway() {
    let report = answer(library!("transit_interface_endpoint"), &[]);
    assert!(answered(&report, "office-to-s3") > 0.99);
    assert_eq!(answered(&report, "office-pings"), 0.0);
}

/// Claim 29, with the three cases that the documents leave: by routing through a virtual private gateway no, addressed itself yes, through a
/// transit gateway's egress VPC yes.
#[test]
fn a_nat_instance_is_reached_when_it_is_addressed_or_by_a_transit_gateway() {
    assert_eq!(answered(&answer(library!("transit_nat_instance"), &[]), "office-to-internet"), 0.0);
    assert!(answered(&answer(library!("onprem_to_internet_via_nat_instance"), &[]), "by-udp") > 0.99);
    assert!(answered(&answer(library!("transit_tgw_egress_vpc"), &[]), "by-tcp") > 0.99);
}

/// Claim 30: a VPC reaches the internet, and other networks of the site, through the customer gateway.
#[test]
fn a_vpc_reaches_the_internet_through_the_customer_gateway() {
    let report = answer(library!("aws_to_internet_via_onprem"), &["faults.cut.enabled=false"]);
    assert_eq!((answered(&report, "to-internet"), answered(&report, "to-server")), (1.0, 1.0));
}

/// VPC_Internet_Gateway.html: what has no public address is not translated.
#[test]
fn an_internet_gateway_serves_elastic_ip_addresses_only() {
    let text = library!("transit_igw");
    let report = answer(text, &[]);
    assert_eq!(answered(&report, "app-to-internet"), 1.0);
    assert_eq!(answered(&report, "twin-to-internet"), 0.0);
    assert!(drops(&report, "igw", "no_public_address") > 1_000);
    let alone = mistakes(library!("subnet_route_tables"), &["nodes.app.elastic_ip=198.51.100.77"]);
    assert!(alone.contains("no internet gateway is attached to this VPC"), "{alone}");
}

/// vpc-peering-basics.html: no edge-to-edge routing by a peer's gateways, whatever the route tables say.
#[test]
fn peering_leads_no_farther_than_the_peer() {
    let report = answer(library!("transit_peering"), &[]);
    assert_eq!((answered(&report, "peer-to-app"), answered(&report, "peer-to-office")), (1.0, 0.0));
    let overlapping =
        ["nodes.peer.cidr=10.0.0.0/16", "nodes.peer.subnets.app.cidr=10.0.8.0/24", "nodes.peer-app.address=10.0.8.10"];
    assert!(
        mistakes(library!("transit_peering"), &overlapping).contains("AWS makes no peering connection between them")
    );
}

// Section 7.5: security groups.

/// security-group-connection-tracking.html: an untracked flow ends with its rule, a tracked one goes on, and what begins needs a rule.
/// The states and timers of the table behind it have tests of their own, in `net/conntrack` and `node/vpc/guard`.
#[test]
fn an_untracked_flow_ends_with_its_rule_and_a_tracked_one_goes_on() {
    let text = library!("sg_untracked_flow");
    let report = answer(text, &[]);
    assert!((0.55..0.65).contains(&answered(&report, "to-open")), "40 s of 100 s are dark");
    assert_eq!((answered(&report, "to-narrow"), answered(&report, "late")), (1.0, 0.0));
    // The page: the reverse rule must let all ports of everybody pass, or the flow is tracked.
    let some = "nodes.vpc.security_groups.open.outbound={ \"some\": (protocol: \"udp\", ports: \"1024-65535\", cidr: \"0.0.0.0/0\") }";
    assert_eq!(answered(&answer(text, &[some]), "to-open"), 1.0);
}

/// The same page and ConnectionTrackingSpecificationRequest: TCP established 60 to 432,000 s, UDP 30 to 60 s, UDP streams 60 to 180 s.
#[test]
fn timers_of_connection_tracking_have_ranges() {
    let text = library!("sg_untracked_flow");
    let with = |setting: &str| mistakes(text, &[&format!("nodes.open.connection_tracking=({setting})")]);
    for wrong in [
        "tcp_established_timeout: \"59s\"",
        "tcp_established_timeout: \"432001s\"",
        "udp_timeout: \"61s\"",
        "udp_stream_timeout: \"181s\"",
    ] {
        assert!(with(wrong).contains("this timeout is"), "{wrong}");
    }
}

/// A rule may name a group, and is then about its members.
#[test]
fn a_rule_may_be_about_the_members_of_a_group() {
    let text = library!("sg_untracked_flow");
    let rule =
        |group: &str| format!("nodes.vpc.security_groups.narrow.inbound={{ \"echo\": (security_group: \"{group}\") }}");
    let from = ["faults={}", "probes.to-narrow.from=open"];
    let report = answer(text, &[from[0], from[1], &rule("open")]);
    assert_eq!((answered(&report, "to-narrow"), answered(&report, "late")), (1.0, 0.0));
    assert_eq!(answered(&answer(text, &[from[0], from[1], &rule("narrow")]), "to-narrow"), 0.0);
}

// Section 7.6: network ACLs.

/// vpc-network-acls.html: no memory, so an answer to an ephemeral port needs a rule; the lowest number that fits decides; no ACL is asked
/// within a subnet; the default ACL allows all.
#[test]
fn a_network_acl_has_no_memory_and_stands_at_the_border_of_a_subnet() {
    let text = library!("nacl_ephemeral");
    let report = answer(text, &[]);
    assert_eq!((answered(&report, "to-broken"), answered(&report, "within")), (0.0, 1.0));
    assert!(drops(&report, "vpc", "network_acl_outbound") > 100);
    let denied_first = "nodes.vpc.network_acls.complete.inbound=[\
        (rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\"), (rule: 99, cidr: \"10.1.0.0/16\", action: \"deny\")]";
    assert_eq!(answered(&answer(text, &[denied_first]), "to-sound"), 0.0);
    let by_default = ["nodes.vpc.subnets.forgetful=(cidr: \"10.0.1.0/24\", availability_zone: \"az1\")"];
    assert!(answered(&answer(text, &by_default), "to-broken") > 0.99);
    let twice = "nodes.vpc.network_acls.complete.inbound=[\
        (rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\"), (rule: 100, cidr: \"10.1.0.0/16\", action: \"deny\")]";
    assert!(mistakes(text, &[twice]).contains("there is a rule 100 already"));
    let last = "nodes.vpc.network_acls.complete.inbound=[(rule: 32767, cidr: \"0.0.0.0/0\", action: \"allow\")]";
    assert!(mistakes(text, &[last]).contains("1 to 32766"));
}

/// tgw-nacls.html: of an attachment in a subnet of its own, inbound rules see what instances send to the gateway, and outbound rules what
/// the gateway sends to them.
#[test]
fn a_network_acl_of_an_attachment_s_subnet_sees_both_ways() {
    let text = library!("transit_tgw_nat_gateway");
    let only = |way: &str| {
        let acl = format!(
            "nodes.egress.network_acls={{ \"half\": ({way}: [(rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\")]) }}"
        );
        answer(text, &[&acl, "nodes.egress.subnets.transit.network_acl=half"])
    };
    let (inbound, outbound) = (only("inbound"), only("outbound"));
    // What the gateway sends on leaves the subnet.
    assert_eq!((answered(&inbound, "by-udp"), drops(&inbound, "egress", "network_acl_inbound")), (0.0, 0));
    assert!(drops(&inbound, "egress", "network_acl_outbound") > 1_000);
    // And what comes back for it enters the subnet.
    assert_eq!((answered(&outbound, "by-udp"), drops(&outbound, "egress", "network_acl_outbound")), (0.0, 0));
    assert!(drops(&outbound, "egress", "network_acl_inbound") > 1_000);
}

/// gateway-route-tables.html and route-tables.html: a route whose target is gone is a blackhole, and nothing shorter takes its place.
#[test]
fn a_route_whose_target_is_gone_is_a_blackhole() {
    let report = answer(library!("vgw_edge_middlebox"), &[]);
    assert_eq!(answered(&report, "beside"), 1.0);
    assert!((290..=310).contains(&drops(&report, "vpc", "blackhole_route")));
}

// Section 7.7: the NAT gateway.

const CLIENT: [u8; 4] = [10, 0, 1, 10];
const GATEWAY: [u8; 4] = [10, 0, 0, 20];
const REMOTE: [u8; 4] = [192, 0, 2, 80];

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// A NAT gateway, opposite the VPC that packets come from and go to.
struct Gateway {
    world: World,
}

impl Gateway {
    fn new() -> Self {
        let mut world = World::new(1);
        let mut ip = Ip::new(vec![[10, 0, 0, 1].into()]);
        ip.mute();
        ip.add_port(Port(0), 1500);
        ip.default_route(Port(0));
        let vpc = world.add_node("vpc", Node::External(Box::new(External::new(ip, Carries::Everything))));
        let rng = Rng::stream(1, "nat", Purpose::NatPorts);
        let nat = Translator::new(Kind::NatGateway, GATEWAY.into(), 1500, rng);
        let nat = world.add_node("nat", Node::Translator(Box::new(nat)));
        world.add_link("inner", [(vpc, Port(0)), (nat, INTERFACE_PORT)], [DirectionConfig::default(); 2], true);
        world.start();
        Self { world }
    }

    /// What comes back into the VPC when this packet goes to the gateway at that second.
    fn send(&mut self, at: u64, packet: Packet) -> Option<Packet> {
        let vpc = sim_core::id::NodeId(0);
        self.world.run_until(Instant::from_secs(at));
        self.world.enter(vpc, packet);
        self.world.run_until(Instant::from_secs(at));
        self.world.leave(vpc)
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

/// vpc-nat-gateway.html: a connection that is idle for 350 s is forgotten, and its next segment is answered by a RST, not a FIN
/// (vpc-nat-comparison.html).
#[test]
fn a_nat_gateway_forgets_after_350_s_and_answers_with_a_rst() {
    let mut gateway = Gateway::new();
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
    let mut gateway = Gateway::new();
    let datagram = |client: usize, remote: u16| {
        let source = ([10, 0, 1, 4 + (client / 60_000) as u8].into(), 1024 + (client % 60_000) as u16);
        udp::packet(source, (REMOTE.into(), remote), b"data", Meta::default())
    };
    let mut ports = std::collections::BTreeSet::new();
    for client in 0..NAT_GATEWAY_FLOWS {
        let packet = gateway.send(1, datagram(client, 53)).expect("there is room");
        ports.insert(seen_port(&packet));
    }
    assert_eq!(ports.len(), 55_000, "each has a port of its own");
    assert!(ports.iter().all(|port| *port >= 1024));
    assert!(gateway.send(1, datagram(55_000, 53)).is_none());
    assert_eq!(gateway.drops("nat_exhausted"), 1);
    assert!(gateway.send(1, datagram(55_000, 54)).is_some(), "another destination has room of its own");
}

fn seen_port(packet: &Packet) -> u16 {
    let ip = Ipv4Packet::new_checked(packet.bytes()).expect("it is sound");
    u16::from_be_bytes([ip.payload()[0], ip.payload()[1]])
}

/// The same page: TCP, UDP and ICMP. nat-gateway-troubleshooting.html: fragments of UDP are forwarded, those of TCP and ICMP dropped.
#[test]
fn a_nat_gateway_carries_tcp_udp_and_icmp_and_fragments_of_udp() {
    let mut gateway = Gateway::new();
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
