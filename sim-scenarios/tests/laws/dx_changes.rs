//! Laws of `UpdateVirtualInterfaceAttributes` (fact sheet, sections 10.2 and 10.5). Pages are those of the Direct Connect user guide.

use serde_json::Value;
use sim_scenarios::Simulation;

use crate::bare::{Bare, library};

const SITE_LINK: Bare = Bare::without_faults(library!("sitelink"));
const VGW: Bare = Bare::new(library!("dx_primary_vpn_backup_vgw"));

/// Two virtual interfaces on one connection, a third one on another. All links carry jumbo frames, no virtual interface does yet.
const THREE: Bare = Bare::new(
    r#"(
    version: 1,
    name: "three_interfaces",
    question: "Whom does an update of a virtual interface disturb?",
    duration: "250s",
    nodes: {
        "desk-1": Host(address: "10.1.0.10/24"),
        "desk-2": Host(address: "10.2.0.10/24"),
        "desk-3": Host(address: "10.3.0.10/24"),
        "site-1": CustomerGateway(
            asn: 65001,
            interfaces: { "lan": (address: "10.1.0.1/24"), "dx": (address: "169.254.101.2/30") },
            neighbors: { "dx": (interface: "dx", address: "169.254.101.1", asn: 64513, timers: (hold_time: "90s")) },
            advertise: ["10.1.0.0/16"],
        ),
        "site-2": CustomerGateway(
            asn: 65002,
            interfaces: { "lan": (address: "10.2.0.1/24"), "dx": (address: "169.254.102.2/30") },
            neighbors: { "dx": (interface: "dx", address: "169.254.102.1", asn: 64513, timers: (hold_time: "90s")) },
            advertise: ["10.2.0.0/16"],
        ),
        "site-3": CustomerGateway(
            asn: 65003,
            interfaces: { "lan": (address: "10.3.0.1/24"), "dx": (address: "169.254.103.2/30") },
            neighbors: { "dx": (interface: "dx", address: "169.254.103.1", asn: 64513, timers: (hold_time: "90s")) },
            advertise: ["10.3.0.0/16"],
        ),
        "dxgw": DirectConnectGateway(asn: 64513, associations: { "vgw": () }),
        "vgw": VirtualPrivateGateway(vpc: "vpc"),
        "vpc": Vpc(cidr: "10.0.0.0/16", subnets: { "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }),
        "app": Instance(subnet: "vpc.app", address: "10.0.1.10", mtu: 9001),
    },
    links: {
        "lan-1": Link(between: ("desk-1", "site-1.lan"), mtu: 9001),
        "lan-2": Link(between: ("desk-2", "site-2.lan"), mtu: 9001),
        "lan-3": Link(between: ("desk-3", "site-3.lan"), mtu: 9001),
        "line-1": Link(between: ("site-1.dx", "ashburn.a"), mtu: 9001, delay: "2ms"),
        "line-2": Link(between: ("site-2.dx", "ashburn.b"), delay: "2ms"),
        "line-3": Link(between: ("site-3.dx", "chicago.c"), mtu: 9001, delay: "2ms"),
    },
    direct_connect: {
        "ashburn": (
            location: "EqDC2", bandwidth: "10Gbps",
            virtual_interfaces: {
                "a": Private(gateway: "dxgw", amazon_address: "169.254.101.1/30"),
                "b": Private(gateway: "dxgw", amazon_address: "169.254.102.1/30"),
            },
        ),
        "chicago": (
            location: "EqCH2", bandwidth: "10Gbps",
            virtual_interfaces: { "c": Private(gateway: "dxgw", amazon_address: "169.254.103.1/30") },
        ),
    },
    probes: {
        "one": UdpEcho(from: "app", to: "desk-1", every: "20ms"),
        "two": UdpEcho(from: "app", to: "desk-2", every: "20ms"),
        "three": UdpEcho(from: "app", to: "desk-3", every: "20ms"),
        "before": UdpOneWay(from: "app", to: "desk-1", every: "1s", size: 9001, dont_fragment: true, stop: "115s"),
        "after": UdpOneWay(
            from: "app", to: "desk-1", every: "1s", size: 9001, dont_fragment: true, start: "160s", stop: "195s",
        ),
    },
)"#,
);

/// One fault of this name: an update with these arguments at 120.01 s, between two probes of a stream.
fn update(arguments: &str) -> String {
    format!("faults={{\"update\": (at: \"120.01s\", what: UpdateVirtualInterfaceAttributes({arguments}))}}")
}

/// How long a probe is dark because of it, in seconds.
fn dark(probe: &str, min: f64, max: f64) -> String {
    format!(r#""{probe}": OutageBetween(probe: "{probe}", fault: "update", min: "{min}s", max: "{max}s")"#)
}

/// Page set-jumbo-frames-vif.html: another MTU can stop all virtual interfaces of its connection for half a minute, which
/// is what happens if nothing is said. Each session has a hold time of 90 s, and was heard of 30 s before at most, so none of them
/// ends. The virtual interface of another connection is not touched. From then on it carries what it did not carry before.
#[test]
fn another_mtu_disrupts_all_virtual_interfaces_of_the_connection() {
    let jumbo = r#"virtual_interface: "ashburn.a", mtu: 9001"#;
    let all = |disruption: &str, min: f64, max: f64| {
        let expect = [
            dark("one", min, max),
            dark("two", min, max),
            dark("three", 0.0, 0.0),
            r#""before": LossBetween(probe: "before", direction: "forward", min: "100%", max: "100%")"#.into(),
            r#""after": LossBetween(probe: "after", direction: "forward", max: "0%")"#.into(),
            r#""session_1": EstablishedTimes(session: "site-1.dx.bgp", min: 1, max: 1)"#.into(),
            r#""session_2": EstablishedTimes(session: "site-2.dx.bgp", min: 1, max: 1)"#.into(),
        ];
        THREE.holds(&[&update(&format!("{jumbo}{disruption}"))], &expect.join(", "));
    };
    all("", 29.9, 30.1);
    all(r#", disruption: "10s""#, 9.9, 10.1);
    all(r#", disruption: "0s""#, 0.0, 0.0);
}

/// API of Direct Connect, `UpdateVirtualInterfaceAttributes`, and what the rules of a drawing are: one of two MTUs, links that carry it, SiteLink
/// on a Direct Connect gateway. What changes nothing is a mistake, also after an update before it; what is changed may be changed back.
#[test]
fn an_update_changes_something_that_the_virtual_interface_can_have() {
    let said = |arguments: &str, words: &str| THREE.refused(&[&update(arguments)], words);
    said(r#"virtual_interface: "ashburn.d", mtu: 9001"#, "no virtual interface is called `ashburn.d`");
    said(r#"virtual_interface: "ashburn.a", mtu: 8500"#, "1500 or 9001");
    said(r#"virtual_interface: "ashburn.b", mtu: 9001"#, "its link `line-2` carries 1500 octets at most");
    said(r#"virtual_interface: "ashburn.a", mtu: 1500"#, "this changes nothing");
    said(r#"virtual_interface: "ashburn.a", site_link: false"#, "this changes nothing");
    said(r#"virtual_interface: "ashburn.a", mtu: 9001, disruption: "31s""#, "the disruption by another MTU");
    said(r#"virtual_interface: "ashburn.a", site_link: true, disruption: "5s""#, "only another MTU disrupts");
    let what = r#"what: UpdateVirtualInterfaceAttributes(virtual_interface: "ashburn.a", mtu: 9001)"#;
    THREE.refused(&[&format!("faults={{\"update\": (at: \"100s\", heal: \"200s\", {what})}}")], "write another fault");
    THREE.refused(&[&format!("faults={{\"update\": (at: \"230s\", {what})}}")], "too long");
    let twice = |second: &str| {
        let change = format!(r#"UpdateVirtualInterfaceAttributes(virtual_interface: "ashburn.a", mtu: {second})"#);
        format!("faults={{\"back\": (at: \"200s\", what: {change}), \"update\": (at: \"100s\", {what})}}")
    };
    THREE.taken(&[&twice("1500")]);
    THREE.refused(&[&twice("9001")], "this changes nothing");
    let on_vgw = r#"virtual_interface: "dx.a", site_link: true"#;
    VGW.refused(&[&update(on_vgw)], "SiteLink is for virtual interfaces on a Direct Connect gateway");
}

/// 10.5 (WorkingWithVirtualInterfaces.html): switching SiteLink resets the session of that virtual interface, and of no other; from then on its
/// routes are shared, or no longer. It comes back after the idle hold time of 10 s or, if an attempt fails, the connect-retry time of
/// 120 s (RFC 4271), so by 250 s or so.
#[test]
fn site_link_is_switched_by_a_session_that_is_reset() {
    let route = |name: &str, what: &str, node: &str, prefix: &str, at: u16| {
        format!(r#""{name}": {what}(node: "{node}", prefix: "{prefix}", at: "{at}s")"#)
    };
    let routes = |when: &str, what: &str, at: u16| {
        [
            route(&format!("a_{when}"), what, "site-a", "10.12.0.0/16", at),
            route(&format!("b_{when}"), what, "site-b", "10.11.0.0/16", at),
        ]
        .join(", ")
    };
    let sessions = r#""reset": EstablishedTimes(session: "site-b.dx.bgp", min: 2, max: 2),
        "untouched": EstablishedTimes(session: "site-a.dx.bgp", min: 1, max: 1),
        "back": EstablishedWithin(session: "site-b.dx.bgp", after: "121s", within: "160s")"#;
    let switched = |on: bool| {
        let change = update(&format!(r#"virtual_interface: "frankfurt.b", site_link: {on}"#));
        let (first, then) = if on { ("RouteAbsent", "RoutePresent") } else { ("RoutePresent", "RouteAbsent") };
        let path = if on {
            r#""path": NoOutage(probe: "a-to-b", from: "290s")"#
        } else {
            r#""path": NoOutage(probe: "a-to-b", until: "119s")"#
        };
        let expect = [&*routes("first", first, 119), &*routes("then", then, 290), sessions, path].join(", ");
        let start = format!("direct_connect.frankfurt.virtual_interfaces.b.site_link={}", !on);
        SITE_LINK.holds(&[&start, &change], &expect);
    };
    switched(true);
    switched(false);
}

/// API of Direct Connect, `UpdateVirtualInterfaceAttributes`: names of the request's parameters. CloudTrail has a call of it.
#[test]
fn an_update_is_a_call_in_cloudtrail() {
    let call = |drawing: Bare, arguments: &str| -> Value {
        let seen = Simulation::new(&drawing.taken(&[&update(arguments), "probes={}"])).finish();
        serde_json::from_str(seen.detail.telemetry.cloudtrail.trim()).expect("one call")
    };
    let mtu = call(THREE, r#"virtual_interface: "ashburn.a", mtu: 9001"#);
    assert_eq!(mtu["eventName"], "UpdateVirtualInterfaceAttributes");
    assert_eq!(mtu["eventSource"], "directconnect.amazonaws.com");
    assert_eq!(mtu["requestParameters"], serde_json::json!({ "virtualInterfaceId": "ashburn.a", "mtu": 9001 }));
    let site_link = call(SITE_LINK, r#"virtual_interface: "frankfurt.b", site_link: false"#);
    let expected = serde_json::json!({ "virtualInterfaceId": "frankfurt.b", "enableSiteLink": false });
    assert_eq!(site_link["requestParameters"], expected);
}
