//! Laws of the length of packets: what is too long and who says so, fragments, and the MSS that fits (fact sheet, section 2.4). Who tells
//! nobody is held against who tells.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use sim_core::wire::ipv4::{Ipv4Packet, protocol};

use crate::bare::{Bare, dropped, dropped_at, library};
use crate::tap::{clamped, tapped};

const PEERING: Bare = Bare::without_faults(library!("tgw_intra_and_inter_region_peering"));
const IPV6: Bare = Bare::without_faults(library!("ipv6_inside_tgw"));
const PATH_MTU: Bare = Bare::without_faults(library!("path_mtu"));
const CLAMPED: Bare = Bare::without_faults(library!("mtu_blackhole_and_clamp"));

const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
const APP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

/// Protocol, type and code of ICMP that says that a packet was too long: "fragmentation needed and DF set" (RFC 792), which is type 3, code
/// 4, or Packet Too Big (RFC 4443 section 3.2), type 2.
fn says_too_long(bytes: &[u8]) -> Option<(u8, u8, u8)> {
    let said = match Ipv4Packet::new_checked(bytes) {
        Ok(ip) if ip.protocol() == protocol::ICMP => (protocol::ICMP, ip.payload()[0], ip.payload()[1]),
        Err(_) if bytes.len() > 41 && bytes[0] >> 4 == 6 && bytes[6] == 58 => (58, bytes[40], bytes[41]),
        _ => return None,
    };
    [(protocol::ICMP, 3, 4), (58, 2, 0)].contains(&said).then_some(said)
}

/// Of a UDP packet: source, octets, and whether it is a fragment.
fn udp_whole(bytes: &[u8]) -> Option<(Ipv4Addr, u16, bool)> {
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    (ip.protocol() == protocol::UDP).then(|| (ip.src(), ip.total_len(), ip.is_fragment()))
}

/// Page transit-gateway-quotas.html: a transit gateway sends neither ICMPv4 "fragmentation needed" nor ICMPv6 Packet Too Big for what is
/// longer than it carries, 8,500 octets to a peer and 1,500 to a VPN. A customer gateway sends them (RFC 1191, RFC 8201).
#[test]
fn a_transit_gateway_tells_nobody_that_a_packet_is_too_long() {
    let probe = |from: &str, to: &str, size: u32, further: &str| {
        format!(
            "probes={{\"long\": UdpOneWay(from: \"{from}\", to: \"{to}\", every: \"1s\", size: {size}, dont_fragment: true, {further})}}"
        )
    };
    let peering = PEERING.taken(&["duration=6s", &probe("web", "copy", 8501, "start: \"1s\"")]);
    let (said, report) = tapped(&peering, None, says_too_long);
    assert_eq!((said, dropped_at(&report, "virginia", "fragmentation_needed")), (BTreeSet::new(), 5));
    let late = "ip_version: \"ipv6\", start: \"40s\"";
    let jumbo = IPV6.taken(&["duration=46s", "nodes.app.mtu=9001", &probe("app", "office", 1501, late)]);
    let (said, report) = tapped(&jumbo, None, says_too_long);
    assert_eq!((said, dropped_at(&report, "tgw", "packet_too_big")), (BTreeSet::new(), 6));
    // Who does tell is heard.
    let site = PATH_MTU.taken(&["duration=12s", &probe("office", "app", 1500, "start: \"10s\"")]);
    assert_eq!(tapped(&site, None, says_too_long).0, BTreeSet::from([(protocol::ICMP, 3, 4)]));
    let site = IPV6.taken(&["duration=46s", &probe("office", "app", 1500, late)]);
    assert_eq!(tapped(&site, None, says_too_long).0, BTreeSet::from([(58, 2, 0)]));
}

/// UNVERIFIED: pages vpn-limits.html ("Path MTU discovery is not supported") and cgw-best-practice.html (a gateway sends "Path MTU exceeded") do
/// not say whether AWS's ends send it. They are silent unless the scenario says otherwise: then the instance hears of it.
#[test]
fn whether_aws_ends_tell_that_a_packet_is_too_long_is_a_parameter() {
    let probe = "probes={\"long\": UdpOneWay(from: \"app\", to: \"office\", every: \"1s\", size: 1500, dont_fragment: true, start: \"10s\")}";
    let heard = |changes: &[&str]| {
        let scenario = PATH_MTU.taken(&[&["duration=15s", probe], changes].concat());
        let (said, report) = tapped(&scenario, Some("vgw--vpn.a"), says_too_long);
        let assumed = report.assumptions.iter().any(|it| it.parameter == "assume.endpoint_icmp");
        (said, dropped(&report, "fragmentation_needed"), assumed)
    };
    assert_eq!(heard(&[]), (BTreeSet::new(), 5, true));
    // A probe goes on all the same.
    let told = BTreeSet::from([(protocol::ICMP, 3, 4)]);
    assert_eq!(heard(&["assume.endpoint_icmp=errors"]), (told, 5, true));
}

/// Page cgw-best-practice.html: packets are cut before they are encrypted, and AWS puts the fragments that it gets from a customer gateway
/// together before it forwards them, so 1,500 octets that may be cut are whole again behind the endpoint.
///
/// DERIVED: a customer gateway does not put together what AWS has cut. AES128 with SHA1 leaves 1,438 octets: of 1,480 behind the header, a
/// fragment takes the largest multiple of eight (RFC 791) up to 1,418, which is 1,416, and the other one the rest of 64; each has a header
/// of 20.
#[test]
fn aws_puts_fragments_together_and_a_customer_gateway_does_not() {
    let probes = "probes={ \"out\": UdpOneWay(from: \"office\", to: \"app\", every: \"1s\", size: 1500, start: \"10s\"), \
                  \"back\": UdpOneWay(from: \"app\", to: \"office\", every: \"1s\", size: 1500, start: \"10s\") }";
    let scenario = PATH_MTU.taken(&["duration=15s", probes]);
    let whole = (OFFICE, 1500, false);
    let (inside_aws, _) = tapped(&scenario, Some("vgw--vpn.a"), udp_whole);
    assert_eq!(inside_aws, BTreeSet::from([whole, (APP, 1500, false)]));
    let (on_premises, _) = tapped(&scenario, Some("lan"), udp_whole);
    assert_eq!((1438 - 20) / 8 * 8, 1416);
    assert_eq!(on_premises, BTreeSet::from([whole, (APP, 1416 + 20, true), (APP, 1480 - 1416 + 20, true)]));
}

/// Transfers of 20,000 octets there and back: what the clamp said, and how many packets were too long for an end of the tunnel.
fn transfers(changes: &[String]) -> (Vec<u16>, u64) {
    let short = [
        "duration=20s",
        "probes={\"web\": TcpEcho(from: \"app\", to: \"office\", every: \"4s\", size: \"20kB\", start: \"10s\")}",
    ];
    let all: Vec<&str> = short.into_iter().chain(changes.iter().map(String::as_str)).collect();
    let (clamps, report) = clamped(&CLAMPED.taken(&all));
    (clamps, dropped(&report, "fragmentation_needed"))
}

/// Page cgw-best-practice.html, the column "MSS (IPv4)", all eight rows, end to end: with the MSS that the table has every segment of a
/// transfer passes both ways, and with one octet more full segments, which may not be cut, do not.
///
/// DERIVED: the tunnel's MTU less 20 octets of IPv4 and 20 of TCP. A gateway that clamps by itself arrives at the same.
#[test]
fn the_ipv4_mss_column_end_to_end() {
    for (encryption, integrity, nat, mtu, mss) in [
        ("AES128-GCM-16", "SHA2-256", false, 1446, 1406),
        ("AES256-GCM-16", "SHA2-256", true, 1438, 1398),
        ("AES128", "SHA1", false, 1438, 1398),
        ("AES256", "SHA2-256", true, 1422, 1382),
        ("AES128", "SHA2-384", false, 1422, 1382),
        ("AES128", "SHA2-384", true, 1422, 1382),
        ("AES256", "SHA2-512", false, 1422, 1382),
        ("AES256", "SHA2-512", true, 1406, 1366),
    ] {
        let row = format!("{encryption} {integrity} {nat}");
        assert_eq!(mtu - 20 - 20, mss, "{row}");
        let run = |clamp: &str| {
            let tunnel = "connections.vpn.tunnels.a";
            transfers(&[
                format!("{tunnel}.phase2.encryption=[\"{encryption}\"]"),
                format!("{tunnel}.phase2.integrity=[\"{integrity}\"]"),
                format!("{tunnel}.customer.nat_traversal={}", if nat { "force" } else { "detect" }),
                format!("{tunnel}.customer.mss_clamping={clamp}"),
            ])
        };
        assert_eq!(run("auto"), (vec![mss], 0), "{row}");
        let (clamps, too_long) = run(&(mss + 1).to_string());
        assert_eq!(clamps, [mss + 1], "{row}");
        assert!(too_long > 0, "{row}: segments of {mtu} + 1 octets");
    }
}
