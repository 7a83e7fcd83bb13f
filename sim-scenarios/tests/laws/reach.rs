//! Laws of where packets get in a VPC and beyond it: route tables, what is reached from where, and network ACLs.

use core::net::Ipv4Addr;

use sim_core::wire::ipv4::{Ipv4Packet, protocol};

use crate::bare::{Bare, answered, dropped_at, library, round_trip, with_nodes};
use crate::tap::tapped;

const TABLES: Bare = Bare::new(library!("subnet_route_tables"));
const INTERNET_GATEWAY: Bare = Bare::new(library!("transit_igw"));
const NAT_GATEWAY: Bare = Bare::new(library!("transit_nat_gateway"));
const NAT_INSTANCE: Bare = Bare::new(library!("transit_nat_instance"));
const PEERING: Bare = Bare::new(library!("transit_peering"));
const GATEWAY_ENDPOINT: Bare = Bare::new(library!("transit_gateway_endpoint"));
const EGRESS: Bare = Bare::new(library!("transit_tgw_nat_gateway"));
const ACLS: Bare = Bare::new(library!("nacl_ephemeral"));
const IPV6: Bare = Bare::without_faults(library!("ipv6_inside_tgw"));

// Section 4.1: the order of a VPC route table.

/// route-tables-priority.html: the local route comes before a propagated one that is more specific.
#[test]
fn local_comes_before_a_more_specific_propagated_route() {
    let report = Bare::new(library!("overlapping_vpc_and_site")).answer(&[]);
    assert_eq!((answered(&report, "from-desk"), answered(&report, "from-office")), (0.0, 1.0));
    assert!(dropped_at(&report, "vpc", "vpc_no_interface") > 1_900);
}

/// The same page: a static route more specific than the local one is to a whole subnet, and packets follow it. Here it leads to an
/// instance, whose source/destination check refuses what is not for its own address (EC2 user guide, source/destination check).
#[test]
fn a_static_route_to_a_whole_subnet_comes_before_local() {
    let route = |to: &str| format!("nodes.vpc.route_tables.main.routes=[(destination: \"{to}\", target: \"suspect\")]");
    let report = TABLES.answer(&[&route("10.0.2.0/24")]);
    assert_eq!(answered(&report, "inside"), 0.0);
    assert!(dropped_at(&report, "vpc", "source_destination_check") > 1_000);
    assert_eq!(answered(&TABLES.answer(&[]), "inside"), 1.0);
    TABLES.refused(&[&route("10.0.2.0/25")], "no whole subnet");
}

/// The same page: for one destination a static route comes before a propagated one; of two the longer prefix comes first, whichever is
/// static.
#[test]
fn static_comes_before_propagated_for_the_same_destination_only() {
    let report = TABLES.answer(&[]);
    assert_eq!(answered(&report, "to-suspect"), 0.0);
    let broader = "nodes.vpc.route_tables.quarantine.routes=[(destination: \"10.0.0.0/8\", target: \"blackhole\")]";
    assert!(answered(&TABLES.answer(&[broader]), "to-suspect") > 0.99, "the propagated /16 is longer");
}

/// The same page: a static route comes before one to a prefix list, and that before a propagated one.
#[test]
fn prefix_lists_stand_between_static_and_propagated_routes() {
    let propagated = "connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\", \"192.0.2.0/24\"])";
    assert_eq!(answered(&GATEWAY_ENDPOINT.answer(&[propagated]), "app-to-s3"), 1.0);
    let fixed = "nodes.vpc.route_tables.main.routes=[(destination: \"192.0.2.0/24\", target: \"blackhole\")]";
    let report = GATEWAY_ENDPOINT.answer(&[fixed]);
    assert_eq!(answered(&report, "app-to-s3"), 0.0);
    assert!(dropped_at(&report, "vpc", "blackhole_route") > 0);
}

/// gateway-route-tables.html: the targets of a gateway's route table are `local` and network interfaces, its destinations the VPC's block
/// or whole subnets, and nothing is propagated into it.
#[test]
fn a_gateway_s_route_table_leads_to_network_interfaces_in_the_vpc_only() {
    let refused = |table: &str, words: &str| {
        let tables = format!(
            "nodes.vpc.route_tables={{ \"main\": (propagation: [\"vgw\"]), \"public\": (), \"edge\": {table} }}"
        );
        NAT_INSTANCE.refused(&[&tables, "nodes.vgw.route_table=edge"], words);
    };
    let route = |to: &str, target: &str| format!("(routes: [(destination: \"{to}\", target: \"{target}\")])");
    refused(&route("0.0.0.0/0", "nat"), "never for 0.0.0.0/0");
    refused(&route("10.0.1.0/24", "igw"), "neither local nor to a network interface");
    refused("(propagation: [\"vgw\"])", "nothing is propagated into the route table of a gateway");
    NAT_INSTANCE.refused(&["nodes.vgw.route_table=main"], "is the route table of subnet `app`");
}

/// The same page: with such a table, what comes from the gateway for a subnet goes to the network interface first.
#[test]
fn a_gateway_s_route_table_sends_a_subnet_s_traffic_through_an_interface() {
    let tables = "nodes.vpc.route_tables={ \"main\": (propagation: [\"vgw\"]), \"public\": (propagation: [\"vgw\"]), \
                  \"edge\": (routes: [(destination: \"10.0.1.0/24\", target: \"nat\")]) }";
    let changes = [tables, "nodes.vgw.route_table=edge"];
    let report = NAT_INSTANCE.answer(&changes);
    assert!(answered(&report, "office-to-app") > 0.99);
    // The instance is in the way: with its check on, nothing passes.
    let checked = [changes[0], changes[1], "nodes.nat.source_destination_check=true"];
    assert_eq!(answered(&NAT_INSTANCE.answer(&checked), "office-to-app"), 0.0);
}

/// Page route-tables-priority.html: routes of IPv4 and of IPv6 are independent of each other. A default route of one family is none of the
/// other: packets of that family end in the VPC, and never come to the gateway. Ten of each are sent.
#[test]
fn a_default_route_of_one_family_is_none_of_the_other() {
    let probes = "probes={ \"v4\": IcmpEcho(from: \"app\", to: \"office\", every: \"1s\", start: \"50s\"), \
                  \"v6\": IcmpEcho(from: \"app\", to: \"office\", ip_version: \"ipv6\", every: \"1s\", start: \"50s\") }";
    let lost = |table: &str| {
        let table = format!("nodes.vpc.route_tables={{ \"main\": ({table}) }}");
        let report = IPV6.answer(&["duration=60s", probes, &table]);
        [("vpc", "vpc_no_route"), ("tgw", "tgw_no_route")].map(|(node, reason)| dropped_at(&report, node, reason))
    };
    // The connection carries IPv6 alone, so what is for the site by IPv4 ends at the transit gateway, if it gets there.
    assert_eq!(lost("ipv6_routes: [(destination: \"::/0\", target: \"tgw\")]"), [10, 0]);
    assert_eq!(lost("routes: [(destination: \"0.0.0.0/0\", target: \"tgw\")]"), [10, 10]);
}

// Section 7.1: what comes from a virtual private gateway.

/// What a site behind a virtual private gateway does not reach: the probe that tries it, and why it fails.
const OUT_OF_REACH: [(Bare, &str, &str); 5] = [
    (INTERNET_GATEWAY, "office-to-internet", "transit_internet_gateway"),
    (NAT_GATEWAY, "office-to-internet", "transit_nat_gateway"),
    (NAT_INSTANCE, "office-to-internet", "transit_nat_instance"),
    (PEERING, "office-to-peer", "transit_peering"),
    (GATEWAY_ENDPOINT, "office-to-s3", "transit_gateway_endpoint"),
];

/// vpn-route-priority.html: a virtual private gateway routes to what it has learned and to the VPC's block, and vpc-nat-gateway.html,
/// vpc-peering-basics.html, gateway-endpoints.html say the same of their things. DERIVED for the NAT instance, from the destinations
/// that a gateway's route table takes: never 0.0.0.0/0.
#[test]
fn what_comes_from_a_virtual_private_gateway_leaves_the_vpc_nowhere() {
    for (drawing, probe, reason) in OUT_OF_REACH {
        let report = drawing.answer(&[]);
        let sent = round_trip(&report, probe).sent;
        assert_eq!(answered(&report, probe), 0.0, "{reason}");
        let refused = dropped_at(&report, "vgw", reason);
        assert!(refused > 1_000 && refused <= sent, "{reason}: {refused} of {sent}");
        assert!(answered(&report, "office-to-app") > 0.99, "{reason}: the VPC itself is reached");
    }
}

/// Direct Connect user guide, and the pages vpn-route-priority.html, vpc-nat-gateway.html, vpc-peering-basics.html and
/// gateway-endpoints.html: what is out of reach over VPN is so over a private virtual interface, too. The site of the VPN drawings has one
/// on the same gateway in place of its tunnel; its BGP session is with the gateway's default ASN.
#[test]
fn what_comes_by_a_private_virtual_interface_leaves_the_vpc_nowhere() {
    let on_line = [
        "duration=70s",
        "connections={}",
        "direct_connect={\"dx\": (location: \"EqDC2\", bandwidth: \"1Gbps\", virtual_interfaces: { \
         \"a\": Private(gateway: \"vgw\", amazon_address: \"169.254.101.1/30\") })}",
        "links.path-a=Path(between: (\"cgw.dx\", \"dx.a\"), delay: \"2ms\")",
        "nodes.cgw.interfaces={ \"lan\": (address: \"10.1.0.1/24\"), \"wan\": (address: \"203.0.113.10/24\"), \
         \"dx\": (address: \"169.254.101.2/30\") }",
        "nodes.cgw.neighbors={\"dx\": (interface: \"dx\", address: \"169.254.101.1\", asn: 64512)}",
        "nodes.cgw.advertise=[\"10.1.0.0/16\"]",
        "nodes.cgw.static_routes=[(prefix: \"10.0.0.0/8\", via: \"dx\", next_hop: \"169.254.101.1\"), \
         (prefix: \"192.0.2.80/32\", via: \"dx\", next_hop: \"169.254.101.1\")]",
    ];
    for (drawing, probe, reason) in OUT_OF_REACH {
        let starts = [probe, "office-to-app"].map(|probe| format!("probes.{probe}.start=60s"));
        let changes: Vec<&str> = on_line.into_iter().chain(starts.iter().map(String::as_str)).collect();
        let report = drawing.answer(&changes);
        // From 60 s to 70 s, one each 100 ms; the last may be under way.
        assert_eq!((round_trip(&report, probe).sent, answered(&report, probe)), (100, 0.0), "{reason}");
        assert!((99..=100).contains(&dropped_at(&report, "vgw", reason)), "{reason}: {:?}", report.drops);
        assert_eq!(answered(&report, "office-to-app"), 1.0, "{reason}: the VPC itself is reached");
    }
}

/// S3 guide, privatelink-interface-endpoints.html: an interface endpoint is reached from on premises over VPN.
#[test]
fn an_interface_endpoint_is_reached_through_a_virtual_private_gateway() {
    let report = Bare::new(library!("transit_interface_endpoint")).answer(&[]);
    assert!(answered(&report, "office-to-s3") > 0.99);
    assert_eq!(answered(&report, "office-pings"), 0.0);
}

/// Claim 29, with the three cases that the documents leave: by routing through a virtual private gateway no, addressed itself yes, through a
/// transit gateway's egress VPC yes.
#[test]
fn a_nat_instance_is_reached_when_it_is_addressed_or_by_a_transit_gateway() {
    assert_eq!(answered(&NAT_INSTANCE.answer(&[]), "office-to-internet"), 0.0);
    assert!(answered(&Bare::new(library!("onprem_to_internet_via_nat_instance")).answer(&[]), "by-udp") > 0.99);
    assert!(answered(&Bare::new(library!("transit_tgw_egress_vpc")).answer(&[]), "by-tcp") > 0.99);
}

/// Claim 30: a VPC reaches the internet, and other networks of the site, through the customer gateway.
#[test]
fn a_vpc_reaches_the_internet_through_the_customer_gateway() {
    let report = Bare::new(library!("aws_to_internet_via_onprem")).answer(&["faults.cut.enabled=false"]);
    assert_eq!((answered(&report, "to-internet"), answered(&report, "to-server")), (1.0, 1.0));
}

const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
const APP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

/// Source and destination of a UDP packet.
fn udp_ends(bytes: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    (ip.protocol() == protocol::UDP).then(|| (ip.src(), ip.dst()))
}

/// Page vpc-nat-gateway.html: nothing reaches the internet through a NAT gateway from a VPN, but a NAT gateway, public or private, sends to
/// the site. A subnet whose way to the site is the NAT gateway in another subnet is answered, and the site sees the NAT gateway's private
/// address.
#[test]
fn a_nat_gateway_sends_to_the_site_in_its_own_name() {
    let probe = "probes={\"app\": UdpEcho(from: \"app\", to: \"office\", every: \"100ms\", start: \"10s\")}";
    let through_nat = "nodes.vpc.route_tables={ \"main\": (routes: [(destination: \"10.1.0.0/16\", target: \"nat\")]), \
                       \"public\": (propagation: [\"vgw\"], routes: [(destination: \"0.0.0.0/0\", target: \"igw\")]) }";
    let direct = "nodes.vpc.route_tables={ \"main\": (propagation: [\"vgw\"]), \
                  \"public\": (routes: [(destination: \"0.0.0.0/0\", target: \"igw\")]) }";
    let private = "nodes.nat=NatGateway(subnet: \"vpc.public\", address: \"10.0.0.20\")";
    let seen = |changes: &[&str]| {
        let scenario = NAT_GATEWAY.taken(&[&["duration=15s", probe][..], changes].concat());
        let (ends, report) = tapped(&scenario, Some("lan"), udp_ends);
        let app = round_trip(&report, "app");
        assert_eq!((app.sent, app.loss), (50, 0.0), "{changes:?}");
        let sources = ends.into_iter().filter(|(_, to)| *to == OFFICE).map(|(from, _)| from);
        sources.collect::<Vec<Ipv4Addr>>()
    };
    let nat = Ipv4Addr::new(10, 0, 0, 20);
    assert_eq!(seen(&[through_nat]), [nat], "a public one");
    assert_eq!(seen(&[through_nat, private]), [nat], "a private one");
    assert_eq!(seen(&[direct]), [APP], "without it");
}

/// VPC_Internet_Gateway.html: what has no public address is not translated.
#[test]
fn an_internet_gateway_serves_elastic_ip_addresses_only() {
    let report = INTERNET_GATEWAY.answer(&[]);
    assert_eq!(answered(&report, "app-to-internet"), 1.0);
    assert_eq!(answered(&report, "twin-to-internet"), 0.0);
    assert!(dropped_at(&report, "igw", "no_public_address") > 1_000);
    TABLES.refused(&["nodes.app.elastic_ip=198.51.100.77"], "no internet gateway is attached to this VPC");
}

/// vpc-peering-basics.html: no edge-to-edge routing by a peer's gateways, whatever the route tables say.
#[test]
fn peering_leads_no_farther_than_the_peer() {
    let report = PEERING.answer(&[]);
    assert_eq!((answered(&report, "peer-to-app"), answered(&report, "peer-to-office")), (1.0, 0.0));
    let overlapping =
        ["nodes.peer.cidr=10.0.0.0/16", "nodes.peer.subnets.app.cidr=10.0.8.0/24", "nodes.peer-app.address=10.0.8.10"];
    PEERING.refused(&overlapping, "AWS makes no peering connection between them");
}

/// gateway-route-tables.html and route-tables.html: a route whose target is gone is a blackhole, and nothing shorter takes its place.
#[test]
fn a_route_whose_target_is_gone_is_a_blackhole() {
    let report = Bare::new(library!("vgw_edge_middlebox")).answer(&[]);
    assert_eq!(answered(&report, "beside"), 1.0);
    assert!((290..=310).contains(&dropped_at(&report, "vpc", "blackhole_route")));
}

// Section 7.6: network ACLs.

/// vpc-network-acls.html: no memory, so an answer to an ephemeral port needs a rule; the lowest number that fits decides; no ACL is asked
/// within a subnet; the default ACL allows all.
#[test]
fn a_network_acl_has_no_memory_and_stands_at_the_border_of_a_subnet() {
    let report = ACLS.answer(&[]);
    assert_eq!((answered(&report, "to-broken"), answered(&report, "within")), (0.0, 1.0));
    assert!(dropped_at(&report, "vpc", "network_acl_outbound") > 100);
    let denied_first = "nodes.vpc.network_acls.complete.inbound=[\
        (rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\"), (rule: 99, cidr: \"10.1.0.0/16\", action: \"deny\")]";
    assert_eq!(answered(&ACLS.answer(&[denied_first]), "to-sound"), 0.0);
    let by_default = ["nodes.vpc.subnets.forgetful=(cidr: \"10.0.1.0/24\", availability_zone: \"az1\")"];
    assert!(answered(&ACLS.answer(&by_default), "to-broken") > 0.99);
    let twice = "nodes.vpc.network_acls.complete.inbound=[\
        (rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\"), (rule: 100, cidr: \"10.1.0.0/16\", action: \"deny\")]";
    ACLS.refused(&[twice], "there is a rule 100 already");
    let last = "nodes.vpc.network_acls.complete.inbound=[(rule: 32767, cidr: \"0.0.0.0/0\", action: \"allow\")]";
    ACLS.refused(&[last], "1 to 32766");
}

/// tgw-nacls.html: of an attachment in a subnet of its own, inbound rules see what instances send to the gateway, and outbound rules what
/// the gateway sends to them.
#[test]
fn a_network_acl_of_an_attachment_s_subnet_sees_both_ways() {
    let only = |way: &str| {
        let acl = format!(
            "nodes.egress.network_acls={{ \"half\": ({way}: [(rule: 100, cidr: \"0.0.0.0/0\", action: \"allow\")]) }}"
        );
        EGRESS.answer(&[&acl, "nodes.egress.subnets.transit.network_acl=half"])
    };
    let (inbound, outbound) = (only("inbound"), only("outbound"));
    // What the gateway sends on leaves the subnet.
    assert_eq!((answered(&inbound, "by-udp"), dropped_at(&inbound, "egress", "network_acl_inbound")), (0.0, 0));
    assert!(dropped_at(&inbound, "egress", "network_acl_outbound") > 1_000);
    // And what comes back for it enters the subnet.
    assert_eq!((answered(&outbound, "by-udp"), dropped_at(&outbound, "egress", "network_acl_outbound")), (0.0, 0));
    assert!(dropped_at(&outbound, "egress", "network_acl_inbound") > 1_000);
}

/// The same page: in a subnet that instances share with the attachment, all rules see what an instance sends to the gateway, outbound ones by
/// its destination and inbound ones by its source. None sees what the gateway sends to an instance.
#[test]
fn a_network_acl_of_a_subnet_shared_with_an_attachment_sees_one_way() {
    let instance = "\"inside\": Instance(subnet: \"egress.transit\", address: \"10.9.1.10\"),";
    let text = with_nodes(EGRESS.text, instance);
    let ask = |from: &str, to: &str| {
        format!("UdpOneWay(from: \"{from}\", to: \"{to}\", every: \"100ms\", start: \"10s\", stop: \"20s\")")
    };
    let probes = format!("probes={{ \"in\": {}, \"out\": {} }}", ask("office", "inside"), ask("inside", "office"));
    let allow = |cidr: &str| match cidr {
        "" => "[]".to_owned(),
        _ => format!("[(rule: 100, cidr: \"{cidr}\", action: \"allow\")]"),
    };
    // Of a hundred each: what is lost on the way in and on the way out, and which rules have dropped it.
    let lost = |inbound: &str, outbound: &str| {
        let (inbound, outbound) = (allow(inbound), allow(outbound));
        let acl = format!("nodes.egress.network_acls={{ \"own\": (inbound: {inbound}, outbound: {outbound}) }}");
        let report = Bare::new(&text).answer(&[
            "duration=25s",
            "nodes.egress.route_tables.transit.routes=[(destination: \"10.1.0.0/16\", target: \"tgw\")]",
            "nodes.egress.subnets.transit.network_acl=own",
            &acl,
            &probes,
        ]);
        let lost = |name: &str| report.probes.iter().find(|it| it.name == name).map(|it| it.sent - it.received);
        let by = ["network_acl_inbound", "network_acl_outbound"].map(|reason| dropped_at(&report, "egress", reason));
        (lost("in"), lost("out"), by)
    };
    let (own, site) = ("10.9.1.0/24", "10.1.0.0/16");
    assert_eq!(lost(own, site), (Some(0), Some(0), [0, 0]), "no rule lets the site in");
    assert_eq!(lost("", site), (Some(0), Some(100), [100, 0]));
    assert_eq!(lost(own, ""), (Some(0), Some(100), [0, 100]));
    assert_eq!(lost(site, own), (Some(0), Some(100), [0, 100]), "source and destination are not the other way round");
}
