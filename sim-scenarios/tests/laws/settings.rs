//! Laws of settings and of what follows from them: tunnel options, autonomous systems, zones, and who calls (fact sheet, sections 1, 3.2, 5
//! and 9). What passes a link is looked at on the link.

use std::collections::BTreeSet;

use sim_core::wire::ipv4::protocol;
use sim_scenarios::plan::NodeKind;
use sim_scenarios::{Scenario, Simulation};

use crate::bare::{Bare, answered, dropped, kind, library, round_trip};
use crate::tap::{protocol_and_ports, tapped};

const BY_BGP: Bare = Bare::without_faults(library!("active_passive"));
const STATIC: Bare = Bare::without_faults(library!("static_active_passive"));
const TWO_SITES: Bare = Bare::without_faults(library!("vpc_100_propagated_routes"));
const TWO_ON_TRANSIT: Bare = Bare::without_faults(library!("ecmp_conditions"));
const ACCELERATED: Bare = Bare::without_faults(library!("accelerated_vs_internet"));

// Sections 1.2, 1.3, 1.7 and 1.11: tunnel options.

/// Page VPNTunnels.html: an inside CIDR is unique on a virtual private gateway, whoever is at the other end. On a transit gateway
/// duplicates are accepted, and both tunnels work; only a customer gateway that has both could not tell them apart.
#[test]
fn a_transit_gateway_takes_one_inside_cidr_of_two_customer_gateways() {
    let words = "already the inside CIDR of another tunnel";
    let same = "connections.two.tunnels.a.inside_cidr=\"169.254.10.0/30\"";
    let up = "\"one\": EstablishedWithin(session: \"one.a.bgp\", within: \"30s\"), \
              \"two\": EstablishedWithin(session: \"two.a.bgp\", within: \"30s\")";
    TWO_ON_TRANSIT.holds(&[same, "duration=40s", "probes={}"], up);
    let one = "connections.two.customer_gateway=cgw1";
    TWO_ON_TRANSIT.refused(&[one, same], words);
    let apart = TWO_ON_TRANSIT.with(&[one]).err().unwrap_or_default();
    assert!(!apart.contains(words), "CIDRs of their own: {apart}");
    TWO_SITES.refused(&["connections.b.tunnels.t.inside_cidr=\"169.254.10.0/30\""], words);
}

/// Page VPNTunnels.html and EC2 API `VpnTunnelOptionsSpecification`: lifetimes of both phases are in seconds, and no option counts octets.
#[test]
fn no_lifetime_counts_octets() {
    for phase in ["phase1", "phase2"] {
        let option = |name: &str, value: &str| format!("connections.vpn.tunnels.a.{phase}.{name}={value}");
        for name in ["lifetime_bytes", "lifetime_kilobytes", "lifetime_packets"] {
            BY_BGP.refused(&[&option(name, "1000000")], &format!("`{name}` is no setting of"));
        }
    }
    // It counts seconds.
    BY_BGP.taken(&["connections.vpn.tunnels.a.phase2.lifetime=3600s"]);
}

/// Page VPNTunnels.html: local and remote network CIDR are the selectors that are proposed in phase 2, and filter no traffic. The site is
/// 10.7.0.0/24 here, which static routes lead into a tunnel whose selectors are 10.1.0.0/16 and 10.0.0.0/16.
#[test]
fn network_cidrs_are_negotiated_and_filter_nothing() {
    let elsewhere = [
        "duration=30s",
        "nodes.office.address=\"10.7.0.10/24\"",
        "nodes.cgw.interfaces.lan.address=\"10.7.0.1/24\"",
        "connections.vpn.routing=Static(prefixes: [\"10.7.0.0/16\"])",
        "connections.vpn.local_ipv4_network_cidr=\"10.1.0.0/16\"",
        "connections.vpn.remote_ipv4_network_cidr=\"10.0.0.0/16\"",
        "probes={\"app\": UdpEcho(from: \"office\", to: \"app\", every: \"100ms\", start: \"10s\")}",
    ];
    let scenario = STATIC.taken(&elsewhere);
    let aws = &scenario.plan().connections[0].tunnels[0].aws;
    assert_eq!([aws.local_cidr.to_string(), aws.remote_cidr.to_string()], ["10.0.0.0/16", "10.1.0.0/16"]);
    let report = Simulation::new(&scenario).finish().report;
    let app = round_trip(&report, "app");
    assert_eq!((app.sent, app.loss), (200, 0.0));
    assert_eq!(dropped(&report, "selector_mismatch"), 0);
    // They are not idle: ends whose selectors do not meet have no tunnel.
    let apart = [
        "connections.vpn.tunnels.a.customer.local_cidr=\"10.9.0.0/16\"",
        "connections.vpn.tunnels.b.customer.local_cidr=\"10.9.0.0/16\"",
    ];
    assert_eq!(answered(&STATIC.answer(&[&elsewhere[..], &apart].concat()), "app"), 0.0);
}

/// Page accelerated-vpn.html: an accelerated connection must have NAT traversal, so ESP goes in UDP from port 4500 to port 4500 (RFC 3948)
/// though there is no NAT, and protocol 50 is never seen. The other connection of the same drawing has IKE on port 500 and ESP itself.
#[test]
fn an_accelerated_connection_is_udp_only() {
    let scenario = ACCELERATED.taken(&["duration=20s", "probes={}"]);
    let (accelerated, _) = tapped(&scenario, Some("last-mile"), protocol_and_ports);
    assert_eq!(accelerated, BTreeSet::from([(protocol::UDP, 500, 500), (protocol::UDP, 4500, 4500)]));
    let (plain, _) = tapped(&scenario, Some("internet"), protocol_and_ports);
    assert_eq!(plain, BTreeSet::from([(protocol::UDP, 500, 500), (protocol::ESP, 0, 0)]));
    let off = |connection: &str| format!("connections.{connection}.tunnels.a.customer.nat_traversal=off");
    ACCELERATED.refused(&[&off("fast")], "needs NAT traversal");
    ACCELERATED.taken(&[&off("plain")]);
}

// Section 3.2: autonomous systems.

/// Page how_it_works.html: virtual private gateways that were made before 2018-06-30 have 17493, 10124, 9059 or 7224, by their Region.
/// Transit gateways came after that (2018-11) and have private ones only.
#[test]
fn old_virtual_private_gateways_have_these_public_autonomous_systems() {
    for asn in ["17493", "10124", "9059", "7224"] {
        BY_BGP.taken(&[&format!("nodes.vgw.asn={asn}")]);
        TWO_ON_TRANSIT.refused(&[&format!("nodes.tgw.asn={asn}")], "the Amazon side's ASN is private");
    }
    // One beside it is nobody's.
    BY_BGP.refused(&["nodes.vgw.asn=17492"], "the Amazon side's ASN is private");
}

/// The autonomous system of a gateway.
fn asn(scenario: &Scenario, name: &str) -> u32 {
    match kind(scenario, name) {
        NodeKind::VirtualPrivateGateway(gateway) => gateway.asn,
        NodeKind::TransitGateway(gateway) => gateway.asn,
        NodeKind::CustomerGateway(gateway) => gateway.asn,
        _ => panic!("{name} has no autonomous system"),
    }
}

/// EC2 API, `CreateVpnGateway`, `CreateTransitGateway` and `CreateCustomerGateway`: who says nothing gets 64512 on Amazon's side and 65000
/// on the customer's. The sessions come up with them.
#[test]
fn autonomous_systems_that_are_not_given_are_64512_and_65000() {
    let up = "\"up\": EstablishedWithin(session: \"vpn.a.bgp\", within: \"30s\")";
    let silent = |drawing: Bare| drawing.text.replace("asn: 65010,", "").replace("asn: 64512, ", "");
    let text = silent(BY_BGP);
    assert!(!text.contains("asn:"), "none is given");
    let drawing = Bare { text: &text, ..BY_BGP };
    let scenario = drawing.taken(&[]);
    assert_eq!((asn(&scenario, "vgw"), asn(&scenario, "cgw")), (64_512, 65_000));
    drawing.holds(&["duration=40s", "probes={}"], up);
    let scenario = Bare { text: &silent(TWO_ON_TRANSIT), ..TWO_ON_TRANSIT }.taken(&[]);
    assert_eq!((asn(&scenario, "tgw"), asn(&scenario, "cgw1"), asn(&scenario, "cgw2")), (64_512, 65_000, 65_000));
    // Given ones are taken as they are.
    let given = BY_BGP.taken(&["nodes.vgw.asn=64513"]);
    assert_eq!((asn(&given, "vgw"), asn(&given, "cgw")), (64_513, 65_010));
}

// Section 5: failures.

/// Page disaster-recovery-resiliency.html: the two tunnels of a connection end in different availability zones.
#[test]
fn the_tunnels_of_a_connection_end_in_two_zones() {
    let scenario = BY_BGP.taken(&[]);
    let zones = scenario.plan().nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::VpnEndpoint(endpoint) => Some(endpoint.availability_zone.as_str()),
        _ => None,
    });
    let zones: Vec<&str> = zones.collect();
    assert_eq!(zones.len(), 2);
    assert_ne!(zones[0], zones[1]);
}

/// The same page: so the loss of a zone leaves a tunnel. The instance is in a third zone here. DERIVED: of the zone of the tunnel in use
/// the customer gateway hears no more, and its hold timer of 30 s began with the last keepalive, which was at most 10 s ago: 20 to 30 s.
/// AWS notices at once. The other zone carries nothing, so nobody is dark.
#[test]
fn the_loss_of_a_zone_costs_the_hold_time_or_nothing() {
    let lost = |zone: &str, expect: &str| {
        let fault = format!("faults={{\"zone\": (at: \"90s\", what: GroupFailure(group: \"az:{zone}\"))}}");
        let probe = "probes={\"app\": UdpEcho(from: \"office\", to: \"app\", every: \"100ms\", start: \"60s\")}";
        let changes = ["duration=130s", "nodes.vpc.subnets.app.availability_zone=az3", probe, fault.as_str()];
        BY_BGP.holds(&changes, &format!("\"it\": {expect}"));
    };
    lost("az1", "OutageBetween(probe: \"app\", fault: \"zone\", min: \"19.9s\", max: \"30.2s\")");
    lost("az2", "NoOutage(probe: \"app\")");
}

// Section 9: who calls.

/// AWS begins to a customer gateway behind a NAT that has an address of its own there. Who the customer gateway says that it is, if it says
/// so: what AWS's IKE_SAs did, and the setting at fault with what either end has of it.
fn called(id: Option<&str>) -> (bool, Vec<(String, String, String)>) {
    let id = id.map(|id| format!("connections.vpn.tunnels.a.customer.id={id}"));
    let changes = [
        "duration=30s",
        "probes={}",
        "nodes.home=Nat(inside: \"192.168.1.1/24\", outside: \"203.0.113.10\", mode: \"one_to_one\", \
         pairs: [(inside: \"192.168.1.2\", outside: \"203.0.113.11\")])",
        "connections.vpn.tunnels.a.startup_action=start",
        "connections.vpn.tunnels.a.customer.startup_action=add",
    ];
    let all: Vec<&str> = changes.into_iter().chain(id.as_deref()).collect();
    let report = Bare::without_faults(library!("nat_timeout_idle")).answer(&all);
    let mut of_aws = report.sessions.iter().filter(|it| it.kind == "ike" && it.name == "vpn.a@aws");
    let up = of_aws.any(|it| it.transitions.iter().any(|change| change.to == "up"));
    let at_fault = report.misconfigurations.iter().map(|it| (it.setting.clone(), it.aws.clone(), it.customer.clone()));
    (up, at_fault.collect())
}

/// Page initiate-vpn-tunnels.html: where AWS begins and the customer gateway is behind a NAT, its responder identity (IDr) must be
/// configured, for AWS expects the address that it has registered, which is the NAT's (RFC 7296 section 3.5: an address as an identity).
#[test]
fn behind_a_nat_a_customer_gateway_says_that_it_is_its_registered_address() {
    let (up, at_fault) = called(Some("192.168.1.2"));
    let expected = ("id".to_owned(), "203.0.113.11".to_owned(), "192.168.1.2".to_owned());
    assert!(!up && at_fault.contains(&expected), "its own address is the inside one: {at_fault:?}");
    assert_eq!(called(Some("203.0.113.11")), (true, Vec::new()));
    assert_eq!(called(None), (true, Vec::new()), "what is not given is the registered address");
}
