//! Laws of AWS VPN CloudHub (Site-to-Site VPN user guide, page VPN_CloudHub.html), a virtual private gateway as the hub of sites; of EC2
//! instances as customer gateways; of network load balancers; and of what a VPN connection does not carry.

use ipnet::Ipv4Net;
use sim_core::node::Node;
use sim_core::reason::Reason;
use sim_core::time::Instant;
use sim_scenarios::Simulation;

use crate::bare::{Bare, answered, library};

const SITES: Bare = Bare::new(library!("cloudhub"));
const DUPLICATE: Bare = Bare::new(library!("cloudhub_duplicate_asn"));
const LINE: Bare = Bare::new(library!("cloudhub_dx"));
const STATIC: Bare = Bare::new(library!("dx_primary_vpn_backup_vgw"));
const EC2: Bare = Bare::new(library!("ec2_as_customer_gateway"));
const SOFTWARE: Bare = Bare::new(library!("software_vpn_ha"));
const EGRESS: Bare = Bare::new(library!("third_party_private_egress"));

/// A scenario with changes, at this second.
fn at(drawing: Bare, changes: &[&str], seconds: u64) -> Simulation {
    let mut simulation = Simulation::new(&drawing.taken(changes));
    simulation.run_until(Instant::from_secs(seconds));
    simulation
}

/// The AS_PATHs that a customer gateway holds of a prefix, those that it refused with the reason, and in some order.
fn heard(simulation: &Simulation, gateway: &str, prefix: &str) -> Vec<(String, Option<Reason>)> {
    let prefix: Ipv4Net = prefix.parse().expect("a prefix");
    let id = simulation.plan().node(gateway).expect("it is there");
    let Node::Cgw(cgw) = simulation.world().node(id) else { panic!("{gateway} is a customer gateway") };
    let routes = cgw.gateway().routing.as_ref().expect("it speaks BGP").speaker().routes();
    let usable = routes.get(&prefix).into_iter().flat_map(|entry| entry.routes()).map(|route| (route, None));
    let refused = routes.refused(&prefix).map(|(route, why)| (route, Some(why)));
    let mut all: Vec<(String, Option<Reason>)> = usable
        .chain(refused)
        .filter(|(route, _)| route.peer.is_some())
        .map(|(route, why)| (route.attributes.as_path.to_string(), why))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn path(ases: &str) -> (String, Option<Reason>) {
    (ases.to_owned(), None)
}

/// "Routing advertisements are received and re-advertised to each BGP peer": with the AS of the gateway before that of the site, and over
/// each tunnel.
#[test]
fn each_site_hears_of_the_others_with_both_ases_in_the_path() {
    let simulation = at(SITES, &[], 100);
    assert_eq!(heard(&simulation, "cgw1", "10.2.0.0/16"), [path("64512 65002")]);
    assert_eq!(heard(&simulation, "cgw3", "10.1.0.0/16"), [path("64512 65001")]);
    assert_eq!(
        heard(&simulation, "cgw2", "10.3.0.0/16"),
        [path("64512 65003"), path("64512 65003")],
        "over both tunnels"
    );
    assert_eq!(heard(&simulation, "cgw2", "10.0.0.0/16"), [path("64512"), path("64512")], "and of the VPC");
}

/// The same page: the gateway may be attached to a VPC, or not. Then it joins the sites alone, and announces nothing of its own.
#[test]
fn a_hub_needs_no_vpc() {
    let alone = [
        "nodes.vgw=VirtualPrivateGateway(asn: 64512, preferred_tunnel: \"two.a\")",
        "nodes.vpc.route_tables={\"main\": ()}",
        "faults={}",
        "duration=100s",
        "probes={\"1-to-2\": UdpEcho(from: \"office1\", to: \"office2\", every: \"1s\", start: \"50s\")}",
    ];
    let simulation = at(SITES, &alone, 90);
    assert_eq!(heard(&simulation, "cgw1", "10.2.0.0/16"), [path("64512 65002")]);
    assert_eq!(heard(&simulation, "cgw2", "10.0.0.0/16"), [], "there is no VPC");
    assert_eq!(answered(&SITES.answer(&alone), "1-to-2"), 1.0);
    let table = "nodes.vgw=VirtualPrivateGateway(asn: 64512, route_table: \"main\")";
    SITES.refused(&[table], "attached to no VPC");
}

/// RFC 4271 section 9.1.2 asks the receiver to refuse what its own ASN is in; to send it none the less is allowed, but the gateway has
/// nothing to tell a site of its own networks.
#[test]
fn a_site_hears_nothing_of_its_own_networks() {
    let simulation = at(SITES, &[], 100);
    for (gateway, prefix) in [("cgw1", "10.1.0.0/16"), ("cgw2", "10.2.0.0/16"), ("cgw3", "10.3.0.0/16")] {
        assert_eq!(heard(&simulation, gateway, prefix), [], "{gateway}");
    }
}

/// "Each customer gateway must have a unique ASN". Why: the path of what it is told has its own in it (RFC 4271 section 9.1.2).
#[test]
fn a_site_refuses_what_came_from_its_own_asn() {
    let simulation = at(DUPLICATE, &[], 100);
    let looped = ("64512 65001".to_owned(), Some(Reason::AsPathLoop));
    assert_eq!(heard(&simulation, "cgw1", "10.3.0.0/16"), std::slice::from_ref(&looped));
    assert_eq!(heard(&simulation, "cgw3", "10.1.0.0/16"), [looped]);
    assert_eq!(heard(&simulation, "cgw1", "10.2.0.0/16"), [path("64512 65002")], "the third site is heard of");
}

/// What is announced follows the choice: of a prefix that two sites announce the chosen one is told to all but whom it came from (RFC 4271
/// section 9.2: the route of Loc-RIB), also to the site that announces it, too.
#[test]
fn the_chosen_way_is_announced() {
    let both = ["nodes.cgw3.advertise=[\"10.3.0.0/16\", \"10.2.0.0/16\"]", "nodes.vgw.preferred_tunnel=three.a"];
    let simulation = at(SITES, &both, 100);
    assert_eq!(
        heard(&simulation, "cgw1", "10.2.0.0/16"),
        [path("64512 65003")],
        "the preferred tunnel of two equal paths"
    );
    assert_eq!(heard(&simulation, "cgw3", "10.2.0.0/16"), [], "not to where it came from");
    assert_eq!(
        heard(&simulation, "cgw2", "10.2.0.0/16"),
        [path("64512 65003"), path("64512 65003")],
        "but to the other that announces it, over both tunnels"
    );
    let other = ["nodes.cgw3.advertise=[\"10.3.0.0/16\", \"10.2.0.0/16\"]", "nodes.vgw.preferred_tunnel=two.b"];
    assert_eq!(heard(&at(SITES, &other, 100), "cgw1", "10.2.0.0/16"), [path("64512 65002")]);
}

/// What is gone is withdrawn, as the longest hold time of 30 s has passed; and an endpoint that lost power is told all again.
#[test]
fn what_is_gone_is_withdrawn_and_who_comes_back_is_told_again() {
    let gone = "faults.cut=(at: \"100s\", what: Blackhole(link: \"path-3\"))";
    assert_eq!(heard(&at(SITES, &[gone], 135), "cgw1", "10.3.0.0/16"), []);
    let lost = "faults.cut=(at: \"100s\", heal: \"130s\", what: PowerLoss(node: \"one.a\"))";
    assert_eq!(heard(&at(SITES, &[lost], 125), "cgw3", "10.1.0.0/16"), []);
    let simulation = at(SITES, &[lost], 400);
    assert_eq!(heard(&simulation, "cgw1", "10.3.0.0/16"), [path("64512 65003")]);
    assert_eq!(heard(&simulation, "cgw3", "10.1.0.0/16"), [path("64512 65001")]);
}

/// "Sites that use AWS Direct Connect connections to the virtual private gateway can also be part of the AWS VPN CloudHub."
#[test]
fn a_virtual_interface_on_the_gateway_is_a_member() {
    let simulation = at(LINE, &[], 100);
    assert_eq!(heard(&simulation, "branch", "10.2.0.0/16"), [path("64512 65002")]);
    assert_eq!(
        heard(&simulation, "site", "10.1.0.0/16"),
        [path("64512 65001"), path("64512 65001")],
        "over both its ways"
    );
    let looped = ("64512 65002".to_owned(), Some(Reason::AsPathLoop));
    assert_eq!(
        heard(&simulation, "site", "10.2.0.0/16"),
        [looped],
        "its VPN is told what came by Direct Connect, and it refuses that"
    );
}

/// Direct Connect guide, virtualgateways.html: between a virtual interface on a Direct Connect gateway and a VPN connection of a virtual
/// private gateway that is associated with it nothing passes; so neither hears of the other.
#[test]
fn a_virtual_interface_on_a_direct_connect_gateway_is_none() {
    let gateway = "nodes: { \"dxgw\": DirectConnectGateway(asn: 64513, associations: { \"vgw\": () }),";
    let text =
        LINE.text.replacen("nodes: {", gateway, 1).replace("Private(gateway: \"vgw\"", "Private(gateway: \"dxgw\"");
    let behind = [
        "nodes.site.neighbors.dx.asn=64513",
        // The site's own VPN does not come up.
        "connections.two.tunnels.t.customer.pre_shared_key=mistyped.key",
    ];
    let simulation = at(Bare::new(&text), &behind, 100);
    assert_eq!(heard(&simulation, "branch", "10.2.0.0/16"), []);
    assert_eq!(heard(&simulation, "site", "10.1.0.0/16"), []);
    assert_eq!(heard(&simulation, "site", "10.0.0.0/16"), [path("64513")], "the VPC it hears of");
    assert_eq!(heard(&simulation, "branch", "10.0.0.0/16"), [path("64512")]);
}

/// The page speaks of what is advertised by BGP. A static route has no AS_PATH that would say whose it is: if the gateway announced it, a
/// site that prefers what it hears over Direct Connect would find its own network there and take its own announcement back, at which
/// the gateway would choose the static route again, and so on for ever. Site a has one, and its line is healed at 350 s.
#[test]
fn static_routes_are_announced_to_nobody() {
    let simulation = at(STATIC, &["faults.cut-a.heal=400s"], 340);
    for (gateway, prefix) in [("site-a", "10.1.0.0/16"), ("site-b", "10.1.0.0/16")] {
        assert_eq!(heard(&simulation, gateway, prefix), [], "{gateway}");
    }
    STATIC.holds(
        &[],
        r#""quiet": ConvergedWithin(fault: "cut-a.heal", within: "60s"),
        "over_dx": RoutePresent(node: "vgw", prefix: "10.1.0.0/16", via: "dx.a", at: "450s")"#,
    );
}

/// AWS VPN FAQ ("IPsec at layer 3"): what is offered as a service is IP in IPsec. There is no connection by GRE or DMVPN, and no link that
/// would stretch a LAN into a VPC.
#[test]
fn a_connection_carries_ip_and_no_other_service_is_offered() {
    for kind in ["Gre", "Dmvpn", "Layer2"] {
        let change = format!("connections.one={kind}(customer_gateway: \"cgw1\", gateway: \"vgw\")");
        SITES.refused(&[&change], &format!("`{kind}` is no kind of connection"));
    }
    for end in ["vpc", "vgw", "app"] {
        let change = format!("links.lan1=Link(between: (\"cgw1.lan\", \"{end}\"))");
        SITES.refused(&[&change], "AWS joins what is inside of it");
    }
}

/// EC2 user guide, "Elastic IP addresses", and RFC 7296 section 2.23: behind a 1:1 NAT both ends go on with UDP 4500, and AWS has the
/// Elastic IP address registered.
#[test]
fn an_instance_is_behind_its_elastic_ip_address() {
    let simulation = at(EC2, &[], 30);
    let tunnel = &simulation.plan().connections[0].tunnels[0];
    assert_eq!(tunnel.customer_outside.to_string(), "10.1.0.10");
    assert_eq!(tunnel.customer_registered.to_string(), "203.0.113.10");
    // A network ACL that lets UDP 500 and 4500 and nothing else through is enough.
    let acl = "nodes.shop.network_acls={ \"ipsec\": (\
        inbound: [(rule: 1, protocol: \"udp\", ports: 500, cidr: \"0.0.0.0/0\", action: \"allow\"), \
                  (rule: 2, protocol: \"udp\", ports: 4500, cidr: \"0.0.0.0/0\", action: \"allow\"), \
                  (rule: 3, cidr: \"10.0.0.0/8\", action: \"allow\")], \
        outbound: [(rule: 1, protocol: \"udp\", ports: 500, cidr: \"0.0.0.0/0\", action: \"allow\"), \
                   (rule: 2, protocol: \"udp\", ports: 4500, cidr: \"0.0.0.0/0\", action: \"allow\"), \
                   (rule: 3, cidr: \"10.0.0.0/8\", action: \"allow\")]) }";
    let text = EC2.text.replacen("security_groups: {", "network_acls: {}, security_groups: {", 1).replacen(
        "route_table: \"public\"),",
        "route_table: \"public\", network_acl: \"ipsec\"),",
        1,
    );
    let text = text.replacen("network_acls: {}", &acl["nodes.shop.".len()..].replacen('=', ": ", 1), 1);
    Bare::new(&text).holds(&["faults={}"], r#""all_passes": LossBetween(probe: "sale", max: "0%")"#);
}

/// Mistakes in the drawing of an instance are explained.
#[test]
fn an_instance_stands_in_a_subnet_with_a_way_out() {
    EC2.refused(&["nodes.cgw.interfaces.wan.address=10.1.7.10/24"], "is not in subnet 10.1.0.0/24");
    EC2.refused(&["nodes.cgw.interfaces.wan.address=10.1.0.3/24"], "AWS keeps the first four addresses");
    EC2.refused(&["links.out.between=(\"cgw.wan\", \"internet\")"], "AWS joins it to its VPC");
    SOFTWARE.refused(&["nodes.shop.route_tables.private.routes=[]"], "has no route to 10.0.0.0/16");
    SOFTWARE.refused(&["nodes.two.tracks={}"], "track");
}

/// Network Load Balancer guide, target-group-health-checks.html: without a healthy target it uses all of them ("fail open"), and the
/// limits of a health check.
#[test]
fn a_load_balancer_fails_open_and_its_checks_have_limits() {
    // Nobody answers checks for two of them, so both proxies are unhealthy, and tried none the less when the line is back.
    let gone = "faults={ \"gone\": (at: \"60s\", heal: \"100s\", what: PowerLoss(node: \"service\")) }";
    let expect = r#""again": NoOutage(probe: "quotes", from: "101s")"#;
    EGRESS.holds(&[gone], expect);
    EGRESS.refused(&["nodes.nlb.health_check.interval=4s"], "the interval");
    EGRESS.refused(&["nodes.nlb.health_check=(interval: \"5s\", timeout: \"6s\")"], "the timeout");
    EGRESS.refused(&["nodes.nlb.health_check=(unhealthy: 1)"], "failures");
    EGRESS.refused(
        &["nodes.nlb.targets=[\"proxy-2\"]", "nodes.nlb.cross_zone=false"],
        "no target is in the availability zone",
    );
}
