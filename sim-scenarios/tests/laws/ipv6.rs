//! Laws of IPv6 inside of VPN tunnels (Site-to-Site VPN User Guide, "IPv4 and IPv6 traffic", page cgw-best-practice.html, and the EC2 API).

use crate::bare::{Bare, dropped, library};
use crate::tap::clamped;

const BARE: Bare = Bare { text: library!("ipv6_inside_tgw"), changes: &["faults={}", "probes={}", "duration=60s"] };

/// A transfer from the VPC, whose sender hears of no MTU: what the clamp said, and how many packets were too long for AWS's end.
fn download(changes: &[String]) -> (Vec<u16>, u64) {
    let probe = "probes={\"web\": TcpEcho(from: \"app\", to: \"office\", ip_version: \"ipv6\", every: \"5s\", size: \"20kB\", start: \"50s\")}";
    let all: Vec<&str> = core::iter::once(probe).chain(changes.iter().map(String::as_str)).collect();
    let (clamps, report) = clamped(&BARE.taken(&all));
    (clamps, dropped(&report, "packet_too_big"))
}

/// Page cgw-best-practice.html, the column "MSS (IPv6-in-IPv4)", all eight rows, end to end: with the MSS that the table has every segment
/// of a transfer passes both ways, and with one octet more full segments do not.
///
/// DERIVED: the tunnel's MTU less 40 octets of IPv6 and 20 of TCP. A gateway that clamps by itself arrives at the same.
#[test]
fn the_ipv6_mss_column_end_to_end() {
    for (encryption, integrity, nat, mtu, mss) in [
        ("AES128-GCM-16", "SHA2-256", false, 1446, 1386),
        ("AES256-GCM-16", "SHA2-256", true, 1438, 1378),
        ("AES128", "SHA1", false, 1438, 1378),
        ("AES256", "SHA2-256", true, 1422, 1362),
        ("AES128", "SHA2-384", false, 1422, 1362),
        ("AES128", "SHA2-384", true, 1422, 1362),
        ("AES256", "SHA2-512", false, 1422, 1362),
        ("AES256", "SHA2-512", true, 1406, 1346),
    ] {
        let row = format!("{encryption} {integrity} {nat}");
        assert_eq!(mtu - 40 - 20, mss, "{row}");
        let run = |clamp: &str| {
            let tunnel = |name: &str| {
                let tunnel = format!("connections.vpn.tunnels.{name}");
                vec![
                    format!("{tunnel}.phase2.encryption=[\"{encryption}\"]"),
                    format!("{tunnel}.phase2.integrity=[\"{integrity}\"]"),
                    format!("{tunnel}.customer.nat_traversal={}", if nat { "force" } else { "detect" }),
                    format!("{tunnel}.customer.mss_clamping={clamp}"),
                ]
            };
            download(&[tunnel("a"), tunnel("b")].concat())
        };
        assert_eq!(run("auto"), (vec![mss], 0), "{row}");
        let (clamped, too_long) = run(&(mss + 1).to_string());
        assert_eq!(clamped, [mss + 1], "{row}");
        assert!(too_long > 0, "{row}: segments of {mtu} + 1 octets");
    }
}

/// Tunnel options and API `TunnelInsideIpv6Cidr`: a /126 out of fd00::/8. AWS has the first host and the customer gateway the second.
#[test]
fn an_inside_ipv6_cidr_is_a_126_out_of_fd00() {
    let change = |cidr: &str| format!("connections.vpn.tunnels.a.inside_ipv6_cidr={cidr}");
    for cidr in ["fd00:a::/127", "fd00:a::/64", "fc00:a::/126", "2001:db8:a::/126"] {
        BARE.refused(&[&change(cidr)], "a /126 out of fd00::/8");
    }
    BARE.refused(&[&change("fd00:a::1/126")], "bits beyond its prefix length");
    BARE.refused(&[&change("fd00:b::/126")], "already the inside IPv6 CIDR of another tunnel");
    let scenario = BARE.taken(&[&change("fdff:1::4/126")]);
    let inside = scenario.plan().connections[0].tunnels[0].inside_ipv6.expect("it is for IPv6");
    assert_eq!([inside.aws.to_string(), inside.customer.to_string()], ["fdff:1::5", "fdff:1::6"]);
    assert_eq!(inside.selectors.map(|net| net.to_string()), ["::/0", "::/0"], "if nothing else is said");
}

/// "IPv4 and IPv6 traffic": a connection carries one or the other. Its SAs have selectors of IPv6 alone, so an IPv4 packet that a route
/// of the customer gateway leads into the tunnel is none of theirs (RFC 4301 section 5.1), whichever end sends it.
#[test]
fn a_connection_carries_one_family() {
    let route = "nodes.cgw.static_routes=[(prefix: \"10.0.0.0/16\", via: \"vpn.a\")]";
    let probe = "probes={\"v4\": IcmpEcho(from: \"office\", to: \"app\", every: \"1s\", start: \"50s\"), \
                 \"v6\": IcmpEcho(from: \"office\", to: \"app\", ip_version: \"ipv6\", every: \"1s\", start: \"50s\")}";
    let expect = "expect={\"it\": DropsBetween(reason: \"selector_mismatch\", node: \"cgw\", min: 10, max: 10)}";
    let report = BARE.answer(&[route, probe, expect]);
    assert!(report.expectations[0].held, "{}", report.expectations[0].detail);
    let loss: Vec<f64> = report.probes.iter().filter(|p| p.direction == "round_trip").map(|p| p.loss).collect();
    assert_eq!(loss, [1.0, 0.0]);
    let other = BARE.answer(&[probe, "connections.vpn.tunnel_inside_ip_version=ipv4"]);
    let loss: Vec<f64> = other.probes.iter().filter(|p| p.direction == "round_trip").map(|p| p.loss).collect();
    assert_eq!(loss, [0.0, 1.0], "the same tunnels for IPv4");
    BARE.refused(&["connections.vpn.local_ipv4_network_cidr=10.1.0.0/16"], "it carries no IPv4");
    BARE.refused(
        &["connections.vpn.tunnel_inside_ip_version=ipv4", "connections.vpn.local_ipv6_network_cidr=2001:db8:1::/48"],
        "it carries no IPv6",
    );
}

/// The same: IPv6 is for connections to a transit gateway, and never for a virtual private gateway.
#[test]
fn a_virtual_private_gateway_carries_no_ipv6() {
    let vgw = [
        "nodes.tgw=VirtualPrivateGateway(asn: 64512, vpc: \"vpc\")",
        "nodes.vpc.route_tables={\"main\": (propagation: [\"tgw\"])}",
    ];
    BARE.refused(&vgw, "a virtual private gateway carries no IPv6");
    BARE.taken(&[&vgw[..], &["connections.vpn.tunnel_inside_ip_version=ipv4"]].concat());
    let route = [
        "nodes.vpc.route_tables={\"main\": (propagation: [\"tgw\"], ipv6_routes: [(destination: \"::/0\", target: \"tgw\")])}",
    ];
    BARE.refused(&[&vgw[..1], &route].concat(), "no transit gateway that is attached to the VPC");
}

/// API `LocalIpv6NetworkCidr` and `RemoteIpv6NetworkCidr`: they are the CHILD_SA's selectors. A customer gateway's own are the
/// connection's, so these meet in either version of IKE.
#[test]
fn either_version_of_ike_negotiates_selectors_of_ipv6() {
    let up = "expect={\"up\": EstablishedWithin(session: \"vpn.a.bgp\", within: \"30s\")}";
    for version in ["ikev1", "ikev2"] {
        let version = format!("connections.vpn.tunnels.a.ike_versions=[\"{version}\"]");
        // IKEv1 has no AES-GCM in phase 1 (RFC 4106 is of ESP), which is not asked for here.
        let report = BARE.answer(&[up, &version]);
        assert!(report.expectations[0].held, "{version}: {}", report.expectations[0].detail);
    }
}

/// VPC user guide, pages vpc-cidr-blocks.html and subnet-sizing.html: a VPC's block is a /44 to /60 and a subnet's a /44 to /64, in steps of
/// four; AWS keeps the first four addresses of a subnet and the last.
#[test]
fn a_vpc_and_its_subnets_have_blocks_of_their_sizes() {
    BARE.refused(&["nodes.vpc.ipv6_cidr=2001:db8:2::/62"], "44 to 60");
    BARE.refused(&["nodes.vpc.ipv6_cidr=2001:db8:2::/50"], "a multiple of 4");
    BARE.refused(&["nodes.vpc.subnets.app.ipv6_cidr=2001:db8:2:1::/68"], "44 to 64");
    BARE.refused(&["nodes.vpc.subnets.app.ipv6_cidr=2001:db8:3:1::/64"], "not inside the VPC's block");
    for address in ["2001:db8:2:1::", "2001:db8:2:1::3", "2001:db8:2:1:ffff:ffff:ffff:ffff"] {
        BARE.refused(&[&format!("nodes.app.ipv6_address={address}")], "that AWS keeps");
    }
    BARE.taken(&["nodes.app.ipv6_address=2001:db8:2:1::4"]);
}
