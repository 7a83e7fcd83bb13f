//! What is said before a run: quotas that AWS raises on request, which are warned of, and combinations that it refuses.

use crate::bare::{Bare, library};

/// Nothing happens, and nothing is sent.
const QUIET: &[&str] = &["faults={}", "probes={}"];
const VPN: Bare = Bare { text: library!("active_passive"), changes: QUIET };
const PRIVATE: Bare = Bare { text: library!("private_ip_vpn"), changes: QUIET };
const LINE: Bare = Bare { text: library!("dx_bfd"), changes: QUIET };

/// Sites with a connection each: to a transit gateway, or to so many virtual private gateways, all to one or each to one of its own.
fn sites(count: usize, gateways: usize, transit: bool, accelerated: bool) -> String {
    let gateway = match gateways {
        _ if transit => "\"tgw\"",
        1 => "\"vgw0\"",
        _ => "\"vgw{site}\"",
    };
    let nodes = match transit {
        true => "\"tgw\": TransitGateway(asn: 64512, vpcs: []),".to_owned(),
        false => (0..gateways)
            .map(|n| {
                format!(
                    "\"vpc{n}\": Vpc(cidr: \"10.{n}.0.0/16\", subnets: {{ \"s\": (cidr: \"10.{n}.0.0/24\", availability_zone: \"az1\") }}),
                     \"vgw{n}\": VirtualPrivateGateway(asn: {}, vpc: \"vpc{n}\"),",
                    64_600 + n
                )
            })
            .collect(),
    };
    format!(
        "(
            version: 1, name: \"sites\", question: \"?\", duration: \"1s\",
            copies: {{ \"site\": {count} }},
            nodes: {{
                {nodes}
                \"isp\": Router(address: \"203.0.113.1\"),
                \"cgw{{site}}\": CustomerGateway(
                    asn: \"{{site: 4200000000 + 1}}\",
                    interfaces: {{ \"wan\": (address: \"{{site: 100.64.0.10 + 256}}/24\") }},
                ),
            }},
            links: {{
                \"up{{site}}\": Link(between: (\"cgw{{site}}.wan\", \"isp\")),
                \"path{{site}}\": Path(between: (\"isp\", \"vpn{{site}}.a\")),
            }},
            connections: {{
                \"vpn{{site}}\": Vpn(
                    customer_gateway: \"cgw{{site}}\", gateway: {gateway}, routing: Bgp(), enable_acceleration: {accelerated},
                    tunnels: {{
                        \"a\": (
                            outside_address: \"{{site: 198.18.0.1 + 1}}\", inside_cidr: \"{{site: 169.254.6.0 + 4}}/30\",
                        ),
                    }},
                ),
            }},
        )"
    )
}

/// Guide, "Site-to-Site VPN quotas": 10 connections of a virtual private gateway, 50 of a Region, 50 customer gateways, 5 virtual private
/// gateways and 10 accelerated connections; each is raised on request, so that more is a warning.
#[test]
fn quotas_of_vpn_are_foretold() {
    let says = |text: &str, words: &str| Bare::new(text).warned(&[], words);
    for (most, gateways, transit, accelerated, words) in [
        (10, 1, false, false, "11 VPN connections: AWS allows 10 for a virtual private gateway"),
        (50, 1, true, false, "51 VPN connections: AWS allows 50 in a Region"),
        (50, 1, true, false, "51 customer gateways: AWS allows 50 in a Region"),
        (10, 1, true, true, "11 accelerated VPN connections: AWS allows 10 in a Region"),
    ] {
        assert!(says(&sites(most + 1, gateways, transit, accelerated), words), "{words}");
        assert!(!says(&sites(most, gateways, transit, accelerated), "AWS allows"), "{words}");
    }
    let gateways = |count| sites(count, count, false, false);
    assert!(says(&gateways(6), "6 virtual private gateways: AWS allows 5 in a Region"));
    assert!(!says(&gateways(5), "AWS allows"));
}

/// EC2 API, CreateCustomerGateway: 7224 is reserved in every Region, 9059 in eu-west-1, 10124 in ap-northeast-1, 17943 in ap-southeast-1.
#[test]
fn a_customer_gateway_has_none_of_amazons_autonomous_systems() {
    for asn in [7224, 9059, 10_124, 17_943] {
        let words = format!("AWS does not accept {asn}");
        VPN.refused(&[&format!("nodes.cgw.asn={asn}")], &words);
        VPN.refused(&[&format!("connections.vpn.customer_asn={asn}")], &words);
        VPN.taken(&[&format!("nodes.cgw.asn={}", asn + 1)]);
    }
}

/// Guide, "Accelerated Site-to-Site VPN connections": for public VPN. "Large bandwidth tunnels": for a customer gateway with an address.
#[test]
fn what_does_not_go_together_is_refused() {
    PRIVATE.refused(&["connections.private.enable_acceleration=true"], "not for private-IP VPN");
    let large = ["nodes.vgw=TransitGateway(asn: 64512, vpcs: [\"vpc\"])", "connections.vpn.tunnel_bandwidth=large"];
    VPN.taken(&large);
    let nowhere = [&large[..], &["connections.vpn.customer_address=none"]].concat();
    VPN.refused(&nowhere, "an address that is known to AWS");
}

/// Guide, "How Site-to-Site VPN works": the tunnels of a connection end in different availability zones.
#[test]
fn both_tunnels_in_one_zone_are_warned_of() {
    let zone = |of: &str, zone: &str| format!("connections.vpn.tunnels.{of}.availability_zone={zone}");
    let says = |b: &str| VPN.warned(&[&zone("a", "az1"), &zone("b", b)], "both tunnels end in `az1`");
    assert!(says("az1") && !says("az2"));
}

/// Page limits.html of Direct Connect: a connection has 51 virtual interfaces, of which 4 are transit ones.
#[test]
fn a_connection_has_51_virtual_interfaces_of_all_kinds() {
    let interfaces = |private: usize, transit: usize| {
        let one = |kind: &str, gateway: &str, n: usize| {
            format!(
                "\"{}{n}\": {kind}(gateway: \"{gateway}\", vlan: {}, amazon_address: \"169.254.{}.1/30\", \
                 customer_address: \"169.254.{}.2/30\", asn: 65010)",
                kind.to_lowercase(),
                100 + n,
                n,
                n,
            )
        };
        let all = (0..private).map(|n| one("Private", "vgw", n)).chain((0..transit).map(|n| one("Transit", "dxgw", n)));
        format!("direct_connect.dx.virtual_interfaces={{{}}}", all.collect::<Vec<_>>().join(", "))
    };
    let said = |private, transit| LINE.with(&[&interfaces(private, transit)]).err().unwrap_or_default();
    let words = "at most 51 virtual interfaces of all kinds together";
    assert!(said(48, 4).contains(words), "{}", said(48, 4));
    assert!(!said(47, 4).contains(words) && !said(50, 1).contains(words));
    assert!(said(50, 2).contains(words));
}
