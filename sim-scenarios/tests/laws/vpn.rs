//! Laws of VPN tunnels: AWS's options with their ranges and defaults, addresses, autonomous systems, quotas and the arithmetic of MTU and
//! MSS (Site-to-Site VPN User Guide, and the EC2 API where it says more).

use std::collections::BTreeSet;

use sim_core::time::Duration;
use sim_scenarios::plan::{DpdTimeoutAction, StartupAction};

use crate::bare::{Bare, library};

const SITE: Bare = Bare::without_faults(library!("active_passive"));
const TUNNEL: &str = "connections.vpn.tunnels.a";

/// Whether AWS's end of a tunnel may have a setting.
fn takes(setting: &str, value: &str) -> bool {
    SITE.with(&[&format!("{TUNNEL}.{setting}={value}")]).is_ok()
}

/// Tunnel options, page VPNTunnels.html and EC2 API `ModifyVpnTunnelOptionsSpecification`: the ends of each range are taken, what is beyond
/// them is not. The rekey margin's upper end is half of the phase 2 lifetime; a DPD timeout has no upper end.
#[test]
fn tunnel_options_have_their_ranges() {
    for (setting, below, lowest, highest, above) in [
        ("phase1.lifetime", "899s", "3601s", "28800s", "28801s"),
        ("phase2.lifetime", "899s", "900s", "3600s", "3601s"),
        ("rekey_margin", "59s", "60s", "1800s", "1801s"),
        ("replay_window", "63", "64", "2048", "2049"),
    ] {
        assert!(!takes(setting, below) && !takes(setting, above), "{setting}");
        assert!(takes(setting, lowest) && takes(setting, highest), "{setting}");
    }
    assert!(takes("rekey_fuzz", "0%") && takes("rekey_fuzz", "100%") && !takes("rekey_fuzz", "101%"));
    assert!(!takes("dpd_timeout", "29s") && takes("dpd_timeout", "30s") && takes("dpd_timeout", "86400s"));
    assert!(!takes("dpd_timeout_action", "hold") && takes("dpd_timeout_action", "none"));
    assert!(!takes("startup_action", "route") && takes("startup_action", "start"));
    // A phase 1 lifetime of 900 s needs a phase 2 lifetime below it, and a margin that fits.
    let short = |phase2: &str| {
        SITE.with(&[
            &format!("{TUNNEL}.phase1.lifetime=900s"),
            &format!("{TUNNEL}.phase2.lifetime={phase2}"),
            &format!("{TUNNEL}.rekey_margin=60s"),
        ])
    };
    assert!(short("900s").is_err(), "less than phase 1, not as much");
}

/// The same: what a tunnel has that is given nothing. The DPD timeout is that of the guide and of `ModifyVpnTunnelOptions`, 40 s;
/// `CreateVpnConnection` says 30.
#[test]
fn what_is_not_given_is_as_aws_has_it() {
    let scenario = SITE.taken(&[]);
    let aws = &scenario.plan().connections[0].tunnels[0].aws;
    let seconds = Duration::from_secs;
    assert_eq!((aws.phase1.lifetime, aws.phase2.lifetime), (seconds(28_800), seconds(3_600)));
    assert_eq!((aws.rekey_margin, aws.rekey_fuzz_percent, aws.replay_window), (seconds(270), 100, 1024));
    assert_eq!((aws.dpd.delay, aws.dpd.timeout), (seconds(10), Some(seconds(40))));
    assert_eq!((aws.dpd.action, aws.startup), (DpdTimeoutAction::Clear, StartupAction::Add));
    assert_eq!((aws.phase1.encryption.len(), aws.phase1.integrity.len()), (4, 4), "all");
    assert_eq!(aws.ike_versions.len(), 2, "IKEv1 and IKEv2");
    let (local, remote) = (aws.local_cidr.to_string(), aws.remote_cidr.to_string());
    assert_eq!((local.as_str(), remote.as_str()), ("0.0.0.0/0", "0.0.0.0/0"));
    let groups = |phase: &sim_scenarios::plan::Phase| phase.dh_groups.iter().map(|g| g.id()).collect::<Vec<u16>>();
    let modern: Vec<u16> = (14..=24).collect();
    assert_eq!(groups(&aws.phase1), [&[2], &modern[..]].concat());
    assert_eq!(groups(&aws.phase2), [&[2, 5], &modern[..]].concat());
}

/// The same: Diffie-Hellman group 5 is for phase 2 alone.
#[test]
fn group_5_is_for_phase_2_only() {
    assert!(!takes("phase1.dh_groups", "[5]") && takes("phase2.dh_groups", "[5]"));
    for group in [2].into_iter().chain(14..=24) {
        assert!(takes("phase1.dh_groups", &format!("[{group}]")) && takes("phase2.dh_groups", &format!("[{group}]")));
    }
    for group in [1, 13, 25, 31] {
        assert!(!takes("phase1.dh_groups", &format!("[{group}]")) && !takes("phase2.dh_groups", &format!("[{group}]")));
    }
}

/// Page VPNTunnels.html: AWS goes through its configured values from the lowest up and ignores the peer's order, which with its
/// defaults ends at AES128, SHA1 and group 2. What it may not choose is not chosen.
#[test]
fn aws_negotiates_its_lowest_value() {
    let strong = "SuiteAtLeast(tunnel: \"vpn.a\", encryption: \"AES256\", integrity: \"SHA2-256\", dh_group: 14)";
    let weak = "SuiteAtLeast(tunnel: \"vpn.a\", encryption: \"AES128\", integrity: \"SHA1\", dh_group: 2)";
    let held = |further: &[&str]| {
        let expect = format!("expect={{\"strong\": {strong}, \"weak\": {weak}}}");
        let report = SITE.answer(&[&["duration=100s", expect.as_str()], further].concat());
        [report.expectations[0].held, report.expectations[1].held]
    };
    // The customer gateway proposes the strongest first.
    let first = format!("{TUNNEL}.customer.phase1.encryption=[\"AES256\", \"AES128\"]");
    assert_eq!(held(&[&first]), [false, true]);
    let restricted = [
        format!("{TUNNEL}.phase1.encryption=[\"AES256\"]"),
        format!("{TUNNEL}.phase1.integrity=[\"SHA2-256\"]"),
        format!("{TUNNEL}.phase1.dh_groups=[14]"),
        format!("{TUNNEL}.phase2.encryption=[\"AES256\"]"),
        format!("{TUNNEL}.phase2.integrity=[\"SHA2-256\"]"),
        format!("{TUNNEL}.phase2.dh_groups=[14]"),
    ];
    assert_eq!(held(&restricted.each_ref().map(String::as_str)), [true, true]);
}

/// The same: 8 to 64 of [A-Za-z0-9._], and the first is no 0.
#[test]
fn a_pre_shared_key_has_8_to_64_characters_of_aws_s_own() {
    let key = |text: &str| takes("pre_shared_key", &format!("\"{text}\""));
    assert!(!key("abc.ef_") && key("abc.ef_8"));
    assert!(key(&"x".repeat(64)) && !key(&"x".repeat(65)));
    assert!(!key("0bcdefgh") && key("a0cdefgh"));
    assert!(!key("abc-efgh") && !key("abc efgh"));
}

/// The same: a key that is not given is random, of 32 characters, letters and digits; each tunnel has one of its own. The customer gateway
/// has got it. Of the 1,280 characters of 40 keys any one of 62 is missing with a probability of 62 * (61 / 62)^1280, which is 6e-8.
#[test]
fn a_pre_shared_key_that_is_not_given_is_random() {
    let keys = |changes: &[&str]| -> Vec<Vec<u8>> {
        let scenario = SITE.taken(changes);
        let tunnels = &scenario.plan().connections[0].tunnels;
        assert!(tunnels.iter().all(|tunnel| tunnel.aws.psk == tunnel.customer.psk));
        tunnels.iter().map(|tunnel| tunnel.aws.psk.expose().to_vec()).collect()
    };
    let drawn: Vec<Vec<u8>> = (1..=20).flat_map(|seed| keys(&[&format!("seed={seed}")])).collect();
    // A key is not printed, so nothing says here which one is wrong.
    assert!(drawn.iter().all(|key| key.len() == 32 && key[0] != b'0'));
    assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 40);
    let characters: BTreeSet<u8> = drawn.concat().into_iter().collect();
    assert!(characters.into_iter().eq((0..=u8::MAX).filter(u8::is_ascii_alphanumeric)));
    let given = keys(&[&format!("{TUNNEL}.pre_shared_key=given.to_tunnel_a")]);
    assert!(given[0] == b"given.to_tunnel_a" && given[1] == drawn[1]);
}

/// The same: a /30 in 169.254.0.0/16, but for seven that AWS keeps; AWS has the first host and the customer gateway the second.
#[test]
fn inside_addresses_are_a_30_of_169_254_but_for_seven() {
    let cidr = |text: &str| takes("inside_cidr", &format!("\"{text}\""));
    for third in 0..6 {
        assert!(!cidr(&format!("169.254.{third}.0/30")) && cidr(&format!("169.254.{third}.4/30")));
    }
    assert!(!cidr("169.254.169.252/30") && cidr("169.254.169.248/30"));
    assert!(!cidr("169.254.10.0/29") && !cidr("169.254.10.0/31") && !cidr("10.0.0.0/30"));
    let scenario = SITE.taken(&[&format!("{TUNNEL}.inside_cidr=\"169.254.15.192/30\"")]);
    let tunnel = &scenario.plan().connections[0].tunnels[0];
    let (aws, customer) = (tunnel.aws_inside.to_string(), tunnel.customer_inside.to_string());
    assert_eq!((aws.as_str(), customer.as_str()), ("169.254.15.193", "169.254.15.194"));
}

/// Page VPNTunnels.html: inside CIDRs are unique on a virtual private gateway.
#[test]
fn inside_addresses_are_unique_on_a_virtual_private_gateway() {
    assert!(!takes("inside_cidr", "\"169.254.20.0/30\""), "tunnel b has it");
}

/// EC2 API, `CreateVpnGateway` and `CreateCustomerGateway`: the Amazon side has a private autonomous system; the customer gateway's is
/// another one, and never 7224. What they are without a word: `settings.rs`.
#[test]
fn autonomous_systems_are_private_at_aws_and_differ() {
    let aws = |asn: &str| SITE.with(&[&format!("nodes.vgw.asn={asn}")]).is_ok();
    assert!(aws("64512") && aws("65534") && aws("4200000000") && aws("4294967294"));
    assert!(!aws("64511") && !aws("65535") && !aws("4199999999") && !aws("4294967295"));
    let customer = |asn: &str| SITE.with(&[&format!("nodes.cgw.asn={asn}")]).is_ok();
    assert!(customer("1") && customer("65535") && customer("4294967294"));
    assert!(!customer("7224") && !customer("64512") && !customer("0"));
}

/// Page accelerated-vpn.html: on a transit gateway only.
#[test]
fn acceleration_is_for_transit_gateways() {
    SITE.refused(&["connections.vpn.enable_acceleration=true"], "transit gateway");
}

/// Page cgw-best-practice.html, table of MTU and MSS, all eight rows: a packet of the MTU passes, and one octet more does not.
///
/// DERIVED: the outer packet of 1,500 octets less IPv4 (20), UDP with NAT traversal (8), SPI and sequence number (8), IV and ICV, cut to
/// whole blocks, less pad length and next header (2): `floor((1500 - 20 - nat - 8 - iv - icv) / block) * block - 2`.
#[test]
fn packets_of_the_published_mtu_pass_and_no_longer_ones() {
    for (encryption, integrity, nat, mtu, [iv, icv, block]) in [
        ("AES128-GCM-16", "SHA2-256", false, 1446, [8, 16, 4]),
        ("AES256-GCM-16", "SHA2-256", true, 1438, [8, 16, 4]),
        ("AES128", "SHA1", false, 1438, [16, 12, 16]),
        ("AES256", "SHA2-256", true, 1422, [16, 16, 16]),
        ("AES128", "SHA2-384", false, 1422, [16, 24, 16]),
        ("AES128", "SHA2-384", true, 1422, [16, 24, 16]),
        ("AES256", "SHA2-512", false, 1422, [16, 32, 16]),
        ("AES256", "SHA2-512", true, 1406, [16, 32, 16]),
    ] {
        let udp = if nat { 8 } else { 0 };
        assert_eq!((1500 - 20 - udp - 8 - iv - icv) / block * block - 2, mtu, "{encryption} {integrity} {nat}");
        let probe = |size: u32| {
            format!("UdpOneWay(from: \"office\", to: \"app\", every: \"1s\", size: \"{size}B\", dont_fragment: true)")
        };
        let report = SITE.answer(&[
            "duration=80s",
            &format!("{TUNNEL}.phase2.encryption=[\"{encryption}\"]"),
            &format!("{TUNNEL}.phase2.integrity=[\"{integrity}\"]"),
            &format!("{TUNNEL}.customer.nat_traversal={}", if nat { "force" } else { "detect" }),
            &format!("probes={{\"fits\": {}, \"too-long\": {}}}", probe(mtu), probe(mtu + 1)),
        ]);
        let lost: Vec<f64> = report.probes.iter().map(|probe| probe.loss).collect();
        assert_eq!(lost, [0.0, 1.0], "{encryption} {integrity} {nat}: {mtu}");
    }
}

/// What of a stream of so long packets, one each so many microseconds for a fifth of a second, comes through. A millisecond of either rate may
/// come at once, so what passes in 200 ms is that of 201.
fn comes_through(size: u32, every: u32, further: &[&str]) -> f64 {
    let probe = format!(
        "probes={{\"load\": UdpOneWay(from: \"office\", to: \"app\", every: \"{every}us\", size: \"{size}B\", start: \"60s\", stop: \"60200ms\")}}"
    );
    let link = |link: &str| format!("links.{link}.rate=100Gbps");
    let changes: [&str; 5] = ["duration=70s", "assume.tunnel_burst=1ms", &probe, &link("lan"), &link("uplink")];
    1.0 - SITE.answer(&[&changes, further].concat()).probes[0].loss
}

/// Page vpn-limits.html: 1.25 Gbit/s and 140,000 packets a second through a tunnel. That each way has that much, and that nothing is queued,
/// is assumed; so is that octets are those of the packets inside.
#[test]
fn a_tunnel_carries_1_25_gbit_and_140_000_packets_a_second() {
    // 1,250 octets each 5 us are 2 Gbit/s, and 200,000 packets a second: both limits are beyond, and that of octets is narrower.
    let octets = comes_through(1_250, 5, &[]);
    assert!((octets - 1.25 / 2.0 * 201.0 / 200.0).abs() < 0.001, "{octets}");
    let packets = comes_through(100, 5, &[]);
    assert!((packets - 140_000.0 / 200_000.0 * 201.0 / 200.0).abs() < 0.001, "{packets}");
    assert_eq!(comes_through(1_250, 8, &[]), 1.0, "1.25 Gbit/s and 125,000 packets a second");
}

/// Page vpn-limits.html and EC2 API `TunnelBandwidth`: 5 Gbit/s through a large tunnel, at a transit gateway only, and not with acceleration. The
/// 400,000 packets a second are from digests of AWS's pages.
#[test]
fn a_large_tunnel_carries_5_gbit_and_ends_at_a_transit_gateway() {
    assert!(SITE.with(&["connections.vpn.tunnel_bandwidth=large"]).is_err());
    let transit = [
        "nodes.vgw=TransitGateway(asn: 64512, vpcs: [\"vpc\"])",
        "nodes.vpc.route_tables={\"main\": (routes: [(destination: \"10.1.0.0/16\", target: \"vgw\")])}",
        "connections.vpn.tunnel_bandwidth=large",
    ];
    let share = comes_through(1_250, 1, &transit);
    assert!((share - 0.4 * 201.0 / 200.0).abs() < 0.001, "400,000 of 1,000,000 packets, 4 Gbit/s: {share}");
    let accelerated = [&transit[..], &["connections.vpn.enable_acceleration=true"]].concat();
    assert!(SITE.with(&accelerated).is_err());
}
