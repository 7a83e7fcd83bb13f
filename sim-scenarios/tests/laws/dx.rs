//! Laws of Direct Connect. Pages are those of the Direct Connect user guide, if no other guide is named.

use sim_core::node::Node;
use sim_core::node::vif::InterfaceState;
use sim_core::proto::bgp::AfterLimit;
use sim_core::time::{Duration, Instant};
use sim_scenarios::plan::{FaultKind, NodeKind, VirtualInterface};
use sim_scenarios::{Scenario, Simulation};

use crate::bare::{Bare, kind, library, with_nodes};

const VGW: Bare = Bare::new(library!("dx_primary_vpn_backup_vgw"));
const TGW: Bare = Bare::new(library!("dx_primary_vpn_backup_tgw"));
const BFD: Bare = Bare::new(library!("dx_bfd"));
const NO_TRANSIT: Bare = Bare::new(library!("dxgw_no_transit"));
const ALLOWED: Bare = Bare::new(library!("dxgw_allowed_prefixes"));
const SITE_LINK: Bare = Bare::new(library!("sitelink"));
const TEST: Bare = Bare::new(library!("dx_failover_test"));
const LAG: Bare = Bare::new(library!("dx_lag_member_loss"));
const PRIVATE: Bare = Bare::new(library!("private_ip_vpn"));
const PUBLIC: Bare = Bare::new(library!("vpn_over_public_vif"));

/// Two routers of one autonomous system announce the same prefix at two locations of one Region.
const TWO_WAYS: Bare = Bare::new(
    r#"(
    version: 1,
    name: "two_ways",
    question: "Which of two ways over Direct Connect does AWS take?",
    duration: "100s",
    nodes: {
        "one": CustomerGateway(
            asn: 65010,
            interfaces: { "dx": (address: "169.254.101.2/30") },
            policies: {
                "tag": (rules: [(set: (add_communities: ["7224:7300"]))]),
            },
            neighbors: { "dx": (interface: "dx", address: "169.254.101.1", asn: 64513) },
            advertise: ["10.1.0.0/16"],
        ),
        "two": CustomerGateway(
            asn: 65010,
            interfaces: { "dx": (address: "169.254.102.2/30") },
            policies: {
                "tag": (rules: [(set: (add_communities: ["7224:7200"]))]),
            },
            neighbors: { "dx": (interface: "dx", address: "169.254.102.1", asn: 64513) },
            advertise: ["10.1.0.0/16"],
        ),
        "dxgw": DirectConnectGateway(asn: 64513, associations: { "vgw": (region: "us-east-1") }),
        "vgw": VirtualPrivateGateway(vpc: "vpc"),
        "vpc": Vpc(cidr: "10.0.0.0/16", subnets: { "app": (cidr: "10.0.1.0/24", availability_zone: "az1") }),
    },
    links: {
        "one": Link(between: ("one.dx", "ashburn.v")),
        "two": Link(between: ("two.dx", "chicago.v")),
    },
    direct_connect: {
        "ashburn": (
            location: "EqDC2", region: "us-east-1", bandwidth: "10Gbps",
            virtual_interfaces: { "v": Private(gateway: "dxgw", amazon_address: "169.254.101.1/30") },
        ),
        "chicago": (
            location: "EqCH2", region: "us-east-1", bandwidth: "10Gbps",
            virtual_interfaces: { "v": Private(gateway: "dxgw", amazon_address: "169.254.102.1/30") },
        ),
    },
)"#,
);

fn interface(scenario: &Scenario, name: &str) -> VirtualInterface {
    match kind(scenario, name) {
        NodeKind::VirtualInterface(end) => (**end).clone(),
        _ => panic!("{name} is no virtual interface"),
    }
}

/// Fact sheet 10.1 (pages WorkingWithConnections.html, hosted_connection.html, limits.html): a dedicated connection has 1, 10, 100 or
/// 400 Gbps, a hosted one less and one virtual interface; four transit virtual interfaces on a connection.
#[test]
fn a_connection_has_one_of_these_speeds_and_so_many_virtual_interfaces() {
    let speed = |bandwidth: &str| format!("direct_connect.dx.bandwidth={bandwidth}");
    for bandwidth in ["1Gbps", "10Gbps", "100Gbps", "400Gbps"] {
        BFD.taken(&[&speed(bandwidth)]);
    }
    BFD.refused(&[&speed("2Gbps")], "1, 10, 100 or 400 Gbps");
    for bandwidth in ["50Mbps", "500Mbps", "2Gbps", "25Gbps"] {
        BFD.taken(&[&speed(bandwidth), "direct_connect.dx.hosted=true"]);
    }
    BFD.refused(&[&speed("100Gbps"), "direct_connect.dx.hosted=true"], "50 to 500 Mbps");
    VGW.refused(&["direct_connect.dx.hosted=true"], "carries one virtual interface");
    let transit = |n: u8| format!("\"t{n}\": Transit(gateway: \"dxgw\", amazon_address: \"169.254.{n}.1/30\")");
    let five = (1..6).map(transit).collect::<Vec<_>>().join(", ");
    TGW.refused(&[&format!("direct_connect.dx.virtual_interfaces={{{five}}}")], "at most 4 virtual interfaces");
}

/// 10.2 (WorkingWithVirtualInterfaces.html, set-jumbo-frames-vif.html): VLAN 1 to 4094, each once on a connection; MTU 1500 or 9001 of a
/// private and 1500 or 8500 of a transit virtual interface.
#[test]
fn a_virtual_interface_has_a_vlan_and_one_of_two_mtus() {
    let of = |setting: &str| format!("direct_connect.dx.virtual_interfaces.{setting}");
    ALLOWED.taken(&[&of("private.vlan=4094")]);
    ALLOWED.refused(&[&of("private.vlan=4095")], "1 to 4094");
    ALLOWED.refused(&[&of("private.vlan=0")], "1 to 4094");
    ALLOWED.refused(&[&of("transit.vlan=101")], "another virtual interface of this connection has VLAN 101");
    let standing = interface(&VGW.taken(&[]), "dx.b");
    assert_eq!((standing.vlan, standing.mtu), (2, 1500), "the first VLAN that is free");
    assert_eq!(interface(&ALLOWED.taken(&[&of("private.mtu=9001")]), "dx.private").mtu, 9001);
    assert_eq!(interface(&ALLOWED.taken(&[&of("transit.mtu=8500")]), "dx.transit").mtu, 8500);
    ALLOWED.refused(&[&of("private.mtu=8500")], "1500 or 9001");
    ALLOWED.refused(&[&of("transit.mtu=9001")], "1500 or 8500");
}

/// 10.3 (bgp-specific-settings.html): AWS proposes 90 s and sends every 30 s; no less than 3 s, and none without a hold time; a TTL of 1.
#[test]
fn aws_has_a_hold_time_of_90_seconds_and_a_ttl_of_1() {
    let end = interface(&BFD.taken(&[]), "dx.private").forwarding.neighbors[0].end.clone();
    assert_eq!((end.hold_time, end.keepalive), (Duration::from_secs(90), Duration::from_secs(30)));
    assert!(!end.reach.is_far());
    BFD.refused(&["nodes.site.neighbors.dx.timers.hold_time=0s"], "0s is not supported");
    BFD.refused(&["nodes.site.neighbors.dx.timers.hold_time=2s"], "3s");
    BFD.refused(&["nodes.site.neighbors.dx.multihop=2"], "TTL of 1");
}

/// The same page: the lower hold time of both ends counts. DERIVED: with 9 s the last keepalive came 2.25 to 3 s before the cut at most
/// (jitter of RFC 4271 section 10), so it shows after 6 to 9 s, at either end within what the line had under way.
#[test]
fn the_lower_hold_time_counts() {
    let cut = ["nodes.site-a.neighbors.dx.timers.hold_time=9s"];
    let expect = r#""dark": OutageBetween(probe: "to-a", fault: "cut-a", min: "5.9s", max: "9.1s")"#;
    VGW.holds(&cut, expect);
}

/// The same page: BFD is there at AWS's end, 300 ms times 3, and takes effect when the customer configures it.
#[test]
fn bfd_takes_effect_when_the_customer_configures_it() {
    let of = |scenario: &Scenario, name: &str| interface(scenario, name).forwarding.neighbors[0].bfd;
    let bfd = of(&BFD.taken(&[]), "dx.private").expect("the customer has it, too");
    assert_eq!((bfd.min_tx, bfd.min_rx, bfd.multiplier), (Duration::from_millis(300), Duration::from_millis(300), 3));
    assert!(bfd.passive, "it does not speak first");
    assert!(of(&VGW.taken(&[]), "dx.a").is_none(), "and so it is never heard");
}

/// The same page, "negotiated": each direction runs at the slower of what both say. DERIVED from RFC 5880 sections 6.8.4 and 6.8.7: a
/// customer who receives every 600 ms at most is sent to every 450 to 600 ms and misses AWS 1.8 s after the last packet, so 1.2 to 1.8 s
/// after the cut; AWS misses the customer after 0.6 to 0.9 s as before. Both ends are needed for an answer.
#[test]
fn bfd_runs_at_the_slower_of_both_ends() {
    let expect = r#""dark": OutageBetween(probe: "app", fault: "cut", min: "1.18s", max: "1.85s")"#;
    BFD.holds(&["nodes.site.neighbors.dx.bfd.min_rx=600ms"], expect);
}

/// `first` to `last` as prefixes of /24.
fn many(first: u16, last: u16) -> String {
    let prefix = |n: u16| format!("\"10.{}.{}.0/24\"", 64 + n / 256, n % 256);
    format!("[{}]", (first..=last).map(prefix).collect::<Vec<_>>().join(", "))
}

/// 10.3 (limits.html): 100 prefixes from the customer on a session; one more, and it goes to Idle. It stays there until the customer
/// announces fewer and it is reset (DERIVED from "goes down", as nothing is said of another attempt).
#[test]
fn one_prefix_too_many_ends_the_session() {
    let up = r#""once": EstablishedTimes(session: "site.dx.bgp", min: 1, max: 1),
        "hundred": RoutePresent(node: "vgw", prefix: "10.64.0.0/24", via: "dx.private", at: "100s")"#;
    BFD.holds(&[&format!("nodes.site.advertise={}", many(0, 99)), "faults.cut.enabled=false"], up);
    let down = r#""none": RouteAbsent(node: "vgw", prefix: "10.64.0.0/24", via: "dx.private", at: "100s"),
        "still_none": RouteAbsent(node: "vgw", prefix: "10.64.0.0/24", via: "dx.private", at: "399s")"#;
    let advertise = format!("nodes.site.advertise={}", many(0, 100));
    BFD.holds(&[&advertise, "faults.cut.enabled=false"], down);
    let limit =
        interface(&BFD.taken(&[]), "dx.private").forwarding.neighbors[0].end.max_prefixes.expect("there is one");
    assert_eq!((limit.most, limit.then), (100, AfterLimit::StayDown));
    // SECONDARY: with prefix controls up to 1,000.
    BFD.holds(
        &[&advertise, "faults.cut.enabled=false", "direct_connect.dx.virtual_interfaces.private.prefix_limit=1000"],
        r#""all": RoutePresent(node: "vgw", prefix: "10.64.0.0/24", via: "dx.private", at: "100s")"#,
    );
    BFD.refused(&["direct_connect.dx.virtual_interfaces.private.prefix_limit=1001"], "1 to 1000");
}

/// 10.3 (limits.html): 200 prefixes are announced of a transit gateway.
#[test]
fn two_hundred_prefixes_are_announced_of_a_transit_gateway() {
    let allowed = |last| format!("nodes.dxgw.associations.tgw.allowed_prefixes={}", many(0, last));
    TGW.taken(&[&allowed(199)]);
    TGW.refused(&[&allowed(200)], "at most 200 prefixes");
}

/// What decides about the two ways.
fn decided(changes: &[&str], rule: &str, via: &[&str]) {
    let ways = via.iter().map(|via| {
        format!(
            r#""{}": RoutePresent(node: "dxgw", prefix: "10.1.0.0/16", via: "{via}", at: "50s")"#,
            via.replace('.', "-")
        )
    });
    let rule = format!(r#""rule": RouteDecidedBy(node: "dxgw", prefix: "10.1.0.0/16", rule: "{rule}", at: "50s")"#);
    let expect: Vec<String> = ways.chain([rule]).collect();
    TWO_WAYS.holds(changes, &expect.join(", "));
}

/// 4.5 and 10.3 (routing-and-bgp.html): the local preference community comes before AS_PATH: 7224:7300, 7224:7200, 7224:7100.
#[test]
fn the_local_preference_community_comes_before_as_path() {
    let tagged = ["nodes.one.neighbors.dx.export_policy=tag", "nodes.two.neighbors.dx.export_policy=tag"];
    let prepended: Vec<&str> = tagged.into_iter().chain(["nodes.one.neighbors.dx.prepend=4"]).collect();
    decided(&prepended, "local_preference_community", &["ashburn.v"]);
    let low = r#"nodes.one.policies.tag=(rules: [(set: (add_communities: ["7224:7100"]))])"#;
    let low: Vec<&str> = tagged.into_iter().chain([low, "nodes.two.neighbors.dx.prepend=4"]).collect();
    decided(&low, "local_preference_community", &["chicago.v"]);
}

/// The same page: without a community, locations of the associated Region first, and prepending does not work across Regions; there they
/// count as 7224:7200.
#[test]
fn a_location_of_the_region_comes_before_as_path() {
    let far = ["direct_connect.chicago.region=us-east-2", "nodes.one.neighbors.dx.prepend=4"];
    decided(&far, "associated_region", &["ashburn.v"]);
    // WorkingWithVirtualInterfaces.html: with SiteLink, Regions prefer the shortest AS_PATH whatever the location.
    let linked: Vec<&str> =
        far.into_iter().chain(["direct_connect.ashburn.virtual_interfaces.v.site_link=true"]).collect();
    decided(&linked, "as_path_length", &["chicago.v"]);
}

/// The same page and, for the last two, digests of AWS's texts (SECONDARY): then AS_PATH, then MED, and what is equal is balanced.
#[test]
fn then_as_path_then_med_then_both() {
    decided(&["nodes.one.neighbors.dx.prepend=1"], "as_path_length", &["chicago.v"]);
    decided(&["nodes.one.neighbors.dx.med=20", "nodes.two.neighbors.dx.med=30"], "med", &["ashburn.v"]);
    decided(&[], "equal_cost", &["ashburn.v", "chicago.v"]);
}

/// 10.4 (direct-connect-gateways-intro.html, associate-tgw-with-direct-connect-gateway.html): virtual private gateways or transit gateways,
/// and virtual interfaces of their kind.
#[test]
fn a_direct_connect_gateway_is_for_one_kind_of_gateway() {
    let both = r#"nodes.dxgw-transit.associations={"tgw": (allowed_prefixes: ["10.3.0.0/17"]), "vgw1": ()}"#;
    ALLOWED.refused(&[both], "not with both");
    let wrong = "direct_connect.dx.virtual_interfaces.private.gateway=dxgw-transit";
    ALLOWED.refused(&[wrong], "needs a transit virtual interface");
    let transit = r#"{"transit": Transit(gateway: "tgw", amazon_address: "169.254.101.1/30")}"#;
    let on_tgw = format!("direct_connect.dx.virtual_interfaces={transit}");
    TGW.refused(&[&on_tgw], "no Direct Connect gateway is called `tgw`");
}

/// 10.4 (allowed-to-prefixes.html): what is announced of several transit gateways does not overlap. (virtualgateways.html): nor do VPCs
/// behind one gateway. Each transit gateway and the gateway itself have ASNs of their own. How many there may be: `quotas.rs`.
#[test]
fn the_gateways_of_a_direct_connect_gateway_do_not_overlap() {
    let vpcs = r#"nodes.vpc2.cidr=10.1.0.0/16"#;
    NO_TRANSIT.refused(
        &[
            vpcs,
            "nodes.vpc2.subnets.app.cidr=10.1.1.0/24",
            "nodes.app2.address=10.1.1.20",
            "nodes.app2.subnet=vpc2.app",
        ],
        "overlaps that of `vgw1`",
    );
    TGW.refused(&["nodes.dxgw.asn=64512", "nodes.site.neighbors.dx.asn=64512"], "each needs its own");
}

/// 10.4 (direct-connect-gateways-intro.html): a packet that the gateway does not pass names the rule; the library shows all of them at
/// once, here each rule is switched off alone.
#[test]
fn each_refusal_is_a_rule_of_its_own() {
    let none =
        |reason: &str, node: &str| format!(r#""none": DropsBetween(reason: "{reason}", node: "{node}", max: 0)"#);
    let linked = [
        "direct_connect.dx.virtual_interfaces.a.site_link=true",
        "direct_connect.dx.virtual_interfaces.b.site_link=true",
    ];
    NO_TRANSIT.holds(&linked, &none("dxgw_interface_to_interface", "dxgw"));
    let narrow = ["nodes.site-a.advertise=[\"10.11.0.0/16\"]"];
    NO_TRANSIT.holds(&narrow, &none("dxgw_gateway_to_gateway", "dxgw"));
    let on_vgw = ["direct_connect.dx.virtual_interfaces.a.gateway=vgw1", "nodes.site-a.neighbors.dx.asn=64512"];
    NO_TRANSIT.holds(&on_vgw, &none("dxgw_interface_to_vpn", "vgw1"));
    let wide = ["nodes.dxgw-private.associations.vgw2.allowed_prefixes=[\"10.2.0.0/16\"]"];
    ALLOWED.holds(&wide, &none("dxgw_not_allowed", "dxgw-private"));
}

/// 10.5 (WorkingWithVirtualInterfaces.html): SiteLink is for virtual interfaces on a Direct Connect gateway; both ends need it.
#[test]
fn site_link_needs_a_direct_connect_gateway_and_both_ends() {
    VGW.refused(&["direct_connect.dx.virtual_interfaces.a.site_link=true"], "on a Direct Connect gateway");
    let expect = r#""none": RouteAbsent(node: "site-a", prefix: "10.12.0.0/16", at: "100s"),
        "nor": RouteAbsent(node: "site-b", prefix: "10.11.0.0/16", at: "100s")"#;
    for one in ["ashburn.virtual_interfaces.a", "frankfurt.virtual_interfaces.b"] {
        SITE_LINK.holds(&[&format!("direct_connect.{one}.site_link=false")], expect);
    }
}

/// 10.6 (resiliency_failover.html, API `StartBgpFailoverTest`): 180 minutes if nothing is said, 4,320 at most, and meanwhile the state
/// of the virtual interface is `testing`.
#[test]
fn a_failover_test_lasts_180_minutes_and_the_state_says_so() {
    let what = r#"what: StartBgpFailoverTest(virtual_interface: "dx.private")"#;
    let long = TEST.taken(&["duration=20000s", &format!("faults.test=(at: \"100s\", {what})")]);
    let test = long.plan().faults.iter().find(|fault| fault.name == "test").expect("it is there");
    assert!(matches!(test.what, FaultKind::FailoverTest { .. }));
    assert_eq!(test.heal, Some(test.at + Duration::from_secs(180 * 60)));
    TEST.taken(&["duration=300000s", "faults.test.heal_after=259200s"]);
    TEST.refused(&["duration=300000s", "faults.test.heal_after=259201s"], "a failover test lasts");

    let mut simulation = Simulation::new(&TEST.taken(&[]));
    let mut state = |at: u64| {
        simulation.run_until(Instant::from_secs(at));
        let id = simulation.plan().node("dx.private").expect("it is there");
        match simulation.world().node(id) {
            Node::VirtualInterface(end) => end.state(),
            _ => panic!("it is a virtual interface"),
        }
    };
    assert_eq!(
        [100, 200, 400].map(&mut state),
        [InterfaceState::Available, InterfaceState::Testing, InterfaceState::Available]
    );
}

/// 4.2 (Site-to-Site VPN user guide, vpn-route-priority.html): BGP over Direct Connect, then static routes of VPN connections, then BGP.
#[test]
fn on_a_virtual_private_gateway_direct_connect_comes_first() {
    let expect = r#""dx": RoutePresent(node: "vgw", prefix: "10.1.0.0/16", via: "dx.a", at: "100s"),
        "rule": RouteDecidedBy(node: "vgw", prefix: "10.1.0.0/16", rule: "direct_connect", at: "100s")"#;
    VGW.holds(&[], expect);
    // But the longest prefix comes before that.
    let longer = r#""vpn": RoutePresent(node: "vgw", prefix: "10.1.0.0/17", via: "a.t", at: "100s"),
        "dx": RoutePresent(node: "vgw", prefix: "10.1.0.0/16", via: "dx.a", at: "100s")"#;
    VGW.holds(&["connections.a.routing=Static(prefixes: [\"10.1.0.0/17\"])"], longer);
}

/// 4.3 (VPC guide, how-transit-gateways-work.html): static, then VPC, then Direct Connect gateway, then VPN, for the same destination.
#[test]
fn on_a_transit_gateway_static_comes_first_and_then_direct_connect() {
    let over = |via: &str| {
        format!(
            r#""way": RoutePresent(node: "tgw", prefix: "10.1.0.0/16", via: "{via}", at: "100s"),
            "rule": RouteDecidedBy(node: "tgw", prefix: "10.1.0.0/16", rule: "attachment_type", at: "100s")"#
        )
    };
    TGW.holds(&[], &over("dxgw"));
    TGW.holds(&["connections.vpn.routing=Static(prefixes: [\"10.1.0.0/16\"])"], &over("vpn.t"));
    let by_hand = r#"nodes.tgw.route_tables={"main": (routes: [(destination: "10.1.0.0/16", target: "dxgw")])}"#;
    TGW.holds(&[by_hand], &over("dxgw"));
}

/// 10.1 (lags.html): members of one speed, and no more than it needs; both ends are LAGs. What one member's loss costs, and the least
/// number of links, the library shows (`dx_lag_member_loss`).
#[test]
fn a_lag_has_members_of_one_speed_at_both_ends() {
    LAG.refused(&["links.line-a2.rate=1Gbps"], "all members of a LAG have the same speed");
    LAG.refused(&["direct_connect.lag-a.lag.minimum_links=3"], "never has its least number");
    LAG.refused(&["direct_connect.lag-a.lag.minimum_links=5"], "0 to 4");
    let without = r#"direct_connect.lag-a=(location: "EqDC2", bandwidth: "10Gbps", virtual_interfaces: {
        "private": Private(gateway: "vgw", amazon_address: "169.254.101.1/30") })"#;
    LAG.refused(&[without], "already ends at `lag-a.private`");
    let plain = LAG.taken(&[]);
    assert_eq!(
        interface(&plain, "lag-a.private").interfaces[0].lag.expect("it is one").minimum_links,
        0,
        "as AWS has it"
    );
}

/// 2.4 (set-jumbo-frames-vif.html): where a virtual interface with jumbo frames and a VPN have the same route, 1,500 octets are used.
#[test]
fn the_same_route_over_vpn_makes_direct_connect_narrow() {
    let jumbo = [
        "direct_connect.dx.virtual_interfaces.private.mtu=9001",
        "nodes.app.mtu=9001",
        "links.lan.mtu=9001",
        "faults={}",
        r#"probes={"large": UdpOneWay(from: "app", to: "desk", every: "1s", size: 8500, dont_fragment: true)}"#,
    ];
    let lost = r#""lost": LossBetween(probe: "large", direction: "forward", min: "100%", max: "100%")"#;
    BFD.holds(&jumbo, lost);
    let silent =
        [r#"nodes.site.policies={"none": (rules: [])}"#, "connections.vpn.tunnels.t.customer.export_policy=none"];
    let alone: Vec<&str> = jumbo.into_iter().chain(silent).collect();
    BFD.holds(&alone, r#""none": LossBetween(probe: "large", direction: "forward", max: "0%")"#);
}

/// 10.2 (set-jumbo-frames-vif.html): jumbo frames are for propagated routes; what takes a static route to a virtual private gateway is sent
/// with 1,500 octets. Of the same prefix the static route comes first, whether the propagated one is there or not. What is longer and has DF
/// gets no farther than the VPC, of 1,500 octets it arrives, and without DF in fragments. One of 8,500 octets is sent each second from 60 s
/// to 400 s, so 340 of them.
#[test]
fn a_static_route_to_a_virtual_private_gateway_carries_no_jumbo_frames() {
    let large = |options: &str| {
        format!(
            "probes={{\"large\": UdpOneWay(from: \"app\", to: \"desk\", every: \"1s\", start: \"60s\", {options})}}"
        )
    };
    let sent = |table: &str, options: &str, expect: &str| {
        let (table, probe) = (format!("nodes.vpc.route_tables={{\"main\": ({table})}}"), large(options));
        let changes = [
            "direct_connect.dx.virtual_interfaces.private.mtu=9001",
            "nodes.app.mtu=9001",
            "links.lan.mtu=9001",
            "faults={}",
            // A route by VPN makes Direct Connect narrow by itself.
            r#"nodes.site.policies={"none": (rules: [])}"#,
            "connections.vpn.tunnels.t.customer.export_policy=none",
            table.as_str(),
            probe.as_str(),
        ];
        BFD.holds(&changes, expect);
    };
    let arrives = r#""all": LossBetween(probe: "large", direction: "forward", max: "0%")"#;
    let lost = r#""none": LossBetween(probe: "large", direction: "forward", min: "100%", max: "100%"),
        "in_the_vpc": DropsBetween(reason: "fragmentation_needed", node: "vpc", min: 339, max: 341)"#;
    let by_hand = r#"routes: [(destination: "10.1.0.0/16", target: "vgw")]"#;
    let both = format!(r#"propagation: ["vgw"], {by_hand}"#);
    let jumbo = "size: 8500, dont_fragment: true";
    sent(r#"propagation: ["vgw"]"#, jumbo, arrives);
    sent(by_hand, jumbo, lost);
    sent(&both, jumbo, lost);
    sent(by_hand, "size: 1500, dont_fragment: true", arrives);
    sent(by_hand, "size: 8500", arrives);
}

/// 1.10 (Site-to-Site VPN user guide, private-ip-dx.html): private-IP VPN is for transit gateways, over a Direct Connect gateway that is
/// associated with it, and its outside addresses are out of the transit gateway's own blocks of /24 or wider.
#[test]
fn private_ip_vpn_takes_its_addresses_from_the_transit_gateway() {
    PRIVATE
        .refused(&["connections.private.tunnels.t.outside_address=10.98.0.10"], "in no block of the transit gateway");
    PRIVATE.refused(&["nodes.tgw.cidr_blocks=[\"10.99.0.0/25\"]"], "8 to 24");
    PRIVATE.refused(&["connections.private.transport=dxgv"], "no Direct Connect gateway is called `dxgv`");
}

/// The same page: a private-IP VPN may be associated with another route table than the Direct Connect gateway that transports it. Here the
/// one knows the site's network and the VPC, the other nothing but the address of the customer gateway's end, and traffic passes. What the
/// VPN propagates into the table of its transport alone helps nobody: the VPC is looked up in the other one.
#[test]
fn a_private_ip_vpn_and_its_transport_have_route_tables_of_their_own() {
    let tables = |vpn: &str, transport: &str| {
        let of = |name: &str, associated: &str, propagated: &str| {
            format!("\"{name}\": (associations: [{associated}], propagations: [{propagated}])")
        };
        let (vpn, transport) =
            (of("vpn", "\"private\", \"internet\", \"vpc\"", vpn), of("transport", "\"dxgw\"", transport));
        format!("nodes.tgw.route_tables={{{vpn}, {transport}}}")
    };
    let route = |kind: &str, table: &str, prefix: &str| {
        format!("{kind}(node: \"tgw\", route_table: \"{table}\", prefix: \"{prefix}\", at: \"100s\")")
    };
    let expect = |site: &str, transport: &str, loss: &str| {
        [
            "\"up\": EstablishedWithin(session: \"private.t.bgp\", within: \"60s\")".to_owned(),
            format!("\"end\": {}", route("RoutePresent", "transport", "10.250.0.1/32")),
            format!("\"no_end\": {}", route("RouteAbsent", "vpn", "10.250.0.1/32")),
            format!("\"no_vpc\": {}", route("RouteAbsent", "transport", "10.0.0.0/16")),
            format!("\"site\": {}", route(site, "vpn", "10.1.0.0/16")),
            format!("\"no_site\": {}", route(transport, "transport", "10.1.0.0/16")),
            format!("\"loss\": LossBetween(probe: \"app\", min: \"{loss}\", max: \"{loss}\")"),
        ]
        .join(", ")
    };
    let short = ["duration=120s", "faults={}", "probes.app.start=100s"];
    let apart = tables("\"private\", \"vpc\"", "\"dxgw\"");
    PRIVATE.holds(&[&short[..], &[apart.as_str()]].concat(), &expect("RoutePresent", "RouteAbsent", "0%"));
    let wrong = tables("\"vpc\"", "\"dxgw\", \"private\"");
    PRIVATE.holds(&[&short[..], &[wrong.as_str()]].concat(), &expect("RouteAbsent", "RoutePresent", "100%"));
}

/// 10.2 and 10.5 (WorkingWithVirtualInterfaces.html, routing-and-bgp.html): a public virtual interface has AWS's ASN 7224, 1,500 octets and no
/// SiteLink; 1,000 prefixes are taken.
#[test]
fn a_public_virtual_interface_is_amazons_own() {
    let end = interface(&PUBLIC.taken(&[]), "dx.public");
    assert_eq!((end.asn, end.mtu), (7224, 1500));
    assert_eq!(end.forwarding.neighbors[0].end.max_prefixes.expect("there is a limit").most, 1_000);
    PUBLIC.refused(&["direct_connect.dx.virtual_interfaces.public.site_link=true"], "on a Direct Connect gateway");
    PUBLIC.refused(&["direct_connect.dx.virtual_interfaces.public.mtu=9001"], "is 1500");
}

/// 1.11 (Site-to-Site VPN user guide, accelerated-vpn.html): no acceleration over a public virtual interface. The connection of the drawing
/// begins on one. With a line to the internet beside it, the customer gateway's routes say which way its endpoint is: the underlay has a
/// /32 by the internet, which is longer than AWS's /24 by BGP, so that the virtual interface would stand in for it; a /32 by BGP comes first
/// while its session is up (distance 20 before 110), and a /32 by hand always does.
#[test]
fn acceleration_is_not_for_public_virtual_interfaces() {
    let transit = "nodes.vgw=TransitGateway(asn: 64512, vpcs: [\"vpc\"])";
    let accelerated = "connections.vpn.enable_acceleration=true";
    PUBLIC.taken(&[transit]);
    let certain = "accelerated connection `vpn` reaches endpoint `vpn.t` over public virtual interface `dx.public`";
    PUBLIC.refused(&[transit, accelerated], certain);

    let text = with_nodes(PUBLIC.text, "\"isp\": Router(address: \"192.0.2.1\"),");
    let both = Bare::new(&text);
    let site = r#"nodes.site=CustomerGateway(
        asn: 65010,
        interfaces: {
            "lan": (address: "10.1.0.1/24"), "dx": (address: "203.0.113.2/30"), "wan": (address: "192.0.2.10/24"),
        },
        neighbors: { "dx": (interface: "dx", address: "203.0.113.1", asn: 7224, timers: (hold_time: "90s")) },
        advertise: ["10.1.0.0/16"],
    )"#;
    let links = r#"links={
        "lan": Link(between: ("desk", "site.lan")),
        "line": Path(between: ("site.dx", "dx.public")),
        "uplink": Link(between: ("site.wan", "isp")),
        "internet": Path(between: ("isp", "aws")),
        "region": Link(between: ("aws", "vpn.t")),
    }"#;
    let drawn = [transit, site, links, "connections.vpn.customer_interface=wan"];
    let with = |change: &[&'static str]| [&drawn[..], change].concat();
    let announced =
        |prefix: &str| format!("direct_connect.dx.virtual_interfaces.public.public_prefixes=[\"{prefix}\"]");
    let (word, instead) = ("where AWS has no acceleration", "if it lost its other way");
    assert!(!both.warned(&with(&[]), word));
    assert!(both.warned(&with(&[accelerated]), instead));
    let (elsewhere, exactly) = (announced("198.18.0.0/15"), announced("198.51.100.10/32"));
    let accelerated_and = |change: &str| -> Vec<String> {
        with(&[accelerated]).iter().copied().chain([change]).map(str::to_owned).collect()
    };
    let warned = |change: &str, words: &str| {
        let changes = accelerated_and(change);
        both.warned(&changes.iter().map(String::as_str).collect::<Vec<_>>(), words)
    };
    assert!(!warned(&elsewhere, word));
    assert!(warned(&exactly, "while that route is up"));
    let by_hand = accelerated_and("nodes.site.static_routes=[(prefix: \"198.51.100.10/32\", via: \"dx\")]");
    both.refused(&by_hand.iter().map(String::as_str).collect::<Vec<_>>(), certain);
}
