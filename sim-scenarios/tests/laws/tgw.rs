//! Laws of transit gateways: fact sheet sections 2.2, 6.1 and 7.3. Pages are those of the VPC guide "Transit gateways", if no other is named.

use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;
use sim_scenarios::plan::{Attachment, ConnectPeer, Metric, NodeKind, TransitGateway};
use sim_scenarios::report::Outcome;
use sim_scenarios::{Scenario, Simulation};

use crate::bare::{Bare, kind, library, with_nodes};
use crate::tap::clamped;

const PEERING: Bare = Bare::new(library!("tgw_intra_and_inter_region_peering"));
const CONNECT: Bare = Bare::new(library!("tgw_connect_gre"));
const PINNED: Bare = Bare::new(library!("dx_pinned_overlay"));
const UNPINNED: Bare = Bare::new(library!("dx_unpinned_overlay"));
const CONCENTRATOR: Bare = Bare::new(library!("vpn_concentrator"));
const APPLIANCE: Bare = Bare::new(library!("appliance_mode"));

fn gateway(scenario: &Scenario, name: &str) -> TransitGateway {
    match kind(scenario, name) {
        NodeKind::TransitGateway(gateway) => gateway.clone(),
        _ => panic!("{name} is no transit gateway"),
    }
}

/// 7.3 (tgw-peering.html): static routes only. The default table of a gateway has its peerings associated and nothing of them propagated,
/// and a table that asks for it is refused.
#[test]
fn peering_propagates_no_routes() {
    let scenario = PEERING.taken(&["nodes.virginia.route_tables={}"]);
    let virginia = gateway(&scenario, "virginia");
    let is_peering = |it: &Attachment| matches!(it, Attachment::Peering(_));
    assert_eq!(virginia.route_tables[0].associations.iter().filter(|it| is_peering(it)).count(), 2);
    assert_eq!(virginia.route_tables[0].propagations.iter().filter(|it| is_peering(it)).count(), 0);
    PEERING.refused(&["nodes.virginia.route_tables.all.propagations=[\"far\"]"], "propagates no routes");
    let told = "\"at\": RouteAbsent(node: \"merged\", prefix: \"10.30.0.0/16\", at: \"30s\")";
    PEERING.holds(&[], told);
}

/// 7.3 (tgw-peering.html): AWS recommends an ASN of its own for each of two gateways that peer. It is advice: the scenario runs.
#[test]
fn gateways_that_peer_are_advised_to_have_asns_of_their_own() {
    assert!(!PEERING.warned(&[], "recommends"));
    assert!(PEERING.warned(&["nodes.ireland.asn=64512"], "both transit gateways have ASN 64512"));
}

/// A gateway attaches VPCs of its own Region; between Regions there is peering, and how far that is, AWS does not say. A gateway does not
/// peer with itself.
#[test]
fn a_gateway_attaches_vpcs_of_its_own_region() {
    PEERING.refused(&["nodes.virginia.vpcs=[\"app\", \"euro\"]"], "it attaches VPCs of its own Region");
    let both = ["nodes.virginia.vpcs=[\"app\", \"data\"]", "nodes.merged.vpcs=[]", "nodes.data.route_tables={}"];
    PEERING.taken(&both);
    let far = |setting: &str| format!("nodes.far=TransitGatewayPeering({setting})");
    let apart = far("requester: \"virginia\", accepter: \"ireland\"");
    PEERING.refused(&[&apart], "how far are these two Regions");
    let itself = far("requester: \"virginia\", accepter: \"virginia\"");
    PEERING.refused(&[&itself], "does not peer with itself");
}

/// 2.2 (transit-gateway-quotas.html): 50 peering attachments, and more on request: a warning.
#[test]
fn fifty_peering_attachments_and_more_on_request() {
    let with_peers = |count: usize| {
        let nodes = (0..count).map(|n| {
            format!(
                "\"t{n}\": TransitGateway(asn: {}), \"p{n}\": TransitGatewayPeering(requester: \"hub\", accepter: \"t{n}\"),",
                65_000 - n
            )
        });
        let text = format!(
            "(version: 1, name: \"hub\", question: \"?\", duration: \"1s\", links: {{}}, nodes: {{ \"hub\": TransitGateway(), {} }})",
            nodes.collect::<String>()
        );
        Bare::new(&text).warned(&[], "AWS allows 50 for a transit gateway")
    };
    assert!(!with_peers(50));
    assert!(with_peers(51));
}

/// 2.4 (transit-gateway-quotas.html): 8,500 octets pass, 8,501 do not; the gateway tells nobody (`lengths.rs`).
#[test]
fn eight_thousand_five_hundred_octets_pass_peering() {
    let lost = |probe: &str, share: &str| {
        format!(
            "\"{probe}\": LossBetween(probe: \"{probe}\", direction: \"forward\", min: \"{share}\", max: \"{share}\"),"
        )
    };
    let all = [lost("jumbo-near", "0%"), lost("jumbo-far", "0%"), lost("too-long", "100%")].concat();
    PEERING.holds(&[], &all);
}

/// Gateways whose static routes point at each other pass a packet to and fro until its TTL is used up (RFC 1812 section 5.3.1).
#[test]
fn a_loop_over_peering_ends() {
    let loops = [
        "nodes.merged.route_tables.all.routes=[(destination: \"10.0.0.0/8\", target: \"near\")]",
        "nodes.virginia.route_tables.all.routes=[(destination: \"10.99.0.0/16\", target: \"near\")]",
        "probes={\"lost\": UdpOneWay(from: \"web\", to: \"db\", every: \"1s\")}",
        "nodes.data.cidr=10.99.0.0/16",
        "nodes.data.subnets.a.cidr=10.99.1.0/24",
        "nodes.db.address=10.99.1.10",
        "nodes.merged.vpcs=[]",
        "nodes.data.route_tables={}",
    ];
    PEERING.holds(&loops, "\"ends\": DropsBetween(reason: \"ttl_exceeded\", min: 50, max: 60)");
}

/// 7.3 (tgw-vpc-attachments.html): one subnet in each availability zone; what is in another zone does not reach the gateway.
#[test]
fn an_attachment_has_one_subnet_in_each_zone() {
    let twice = "nodes.tgw.subnets=[\"plain.in-a\", \"plain.firewall-a\"]";
    APPLIANCE.refused(&[twice], "in the same availability zone already");
    let none = "\"none\": DropsBetween(reason: \"attachment_zone\", min: 60, max: 60)";
    APPLIANCE.holds(&["applications={}"], none);
    let all = gateway(&APPLIANCE.taken(&["nodes.tgw.subnets=[]"]), "tgw");
    assert_eq!(all.subnets[0], [0, 1, 2], "if nothing is said, the first subnet of each zone");
    assert_eq!(all.subnets[4], [0, 1]);
}

/// 7.3 (transit-gateway-appliance-scenario.html): without appliance mode traffic keeps to the zone of its source, so that a stateful appliance
/// sees one direction; with it, one interface serves a flow both ways.
#[test]
fn appliance_mode_keeps_a_flow_in_one_zone_both_ways() {
    let applications = "\"across\": FlowsBetween(application: \"plain-across\", came_to: \"connected\", max: 0),
        \"within\": FlowsBetween(application: \"plain-within\", came_to: \"done\", min: 40),
        \"mode\": FlowsBetween(application: \"mode-across\", came_to: \"done\", min: 40),";
    APPLIANCE.holds(&[], applications);
    let with_mode = "\"across\": FlowsBetween(application: \"plain-across\", came_to: \"done\", min: 40)";
    APPLIANCE.holds(&["nodes.tgw.appliance_mode=[\"plain\"]"], with_mode);
}

/// The same page: the hash spreads flows over the zones. With the firewall of one zone dead, flows of the other go on: of 40, by the binomial
/// distribution, 10 to 30 with a probability of 99.9 %.
#[test]
fn appliance_mode_spreads_flows_over_zones() {
    let dead = ["faults={\"dead\": (at: \"1s\", what: PowerLoss(node: \"mode-a\"))}"];
    APPLIANCE.holds(&dead, "\"half\": FlowsBetween(application: \"mode-across\", came_to: \"done\", min: 10, max: 30)");
}

fn peer(scenario: &Scenario, name: &str) -> ConnectPeer {
    match kind(scenario, name) {
        NodeKind::ConnectPeer(peer) => (**peer).clone(),
        _ => panic!("{name} is no Connect peer"),
    }
}

/// 2.2 (transit-gateway-quotas.html): four peers of a Connect attachment.
#[test]
fn a_connect_attachment_has_four_peers() {
    let peers = |count: u8| {
        let one = |n: u8| {
            format!(
                "\"p{n}\": (transit_gateway_address: \"10.99.0.{n}\", peer_address: \"10.250.0.1\", inside_cidr: \"169.254.1{n}.0/29\", asn: 65010)"
            )
        };
        format!("connect.overlay.peers={{{}}}", (1..=count).map(one).collect::<Vec<_>>().join(", "))
    };
    CONNECT.taken(&[&peers(4), "faults={}"]);
    CONNECT.refused(&[&peers(5), "faults={}"], "at most 4 peers");
}

/// 7.3 (tgw-connect.html): the inside CIDR is a /29 of 169.254.0.0/16, some are reserved, and each stands once on a gateway; AWS's outer
/// address is out of the gateway's own blocks; the transport is an attachment of the same gateway, and no Connect attachment.
#[test]
fn a_connect_peer_has_these_addresses() {
    let of = |setting: &str| format!("connect.overlay.peers.a.{setting}");
    CONNECT.refused(&[&of("inside_cidr=169.254.6.0/30")], "a /29 of 169.254.0.0/16");
    CONNECT.refused(&[&of("inside_cidr=10.6.0.0/29")], "a /29 of 169.254.0.0/16");
    CONNECT.refused(&[&of("inside_cidr=169.254.5.0/29")], "AWS reserves 169.254.5.0/29");
    CONNECT.refused(&[&of("inside_cidr=169.254.7.0/29")], "already the inside CIDR of another peer");
    CONNECT.refused(&[&of("transit_gateway_address=10.98.0.1")], "in none of the transit gateway's own");
    CONNECT.refused(&["connect.overlay.transport=overlay"], "attached to this transit gateway");
    let made = peer(&CONNECT.taken(&[]), "overlay.a");
    let inside: Vec<String> = made.interfaces.iter().map(|it| it.address.addr().to_string()).collect();
    assert_eq!(inside, ["169.254.6.2", "169.254.6.3"], "the first host is the appliance's");
}

/// The same page: two BGP sessions a peer, eBGP multihop with a TTL of 2, or iBGP if no ASN is given; keepalive 10 s, hold time 30 s, graceful
/// restart, no BFD.
#[test]
fn a_connect_peer_has_two_sessions_with_these_timers() {
    let made = peer(&CONNECT.taken(&[]), "overlay.a");
    assert_eq!(made.forwarding.neighbors.len(), 2);
    for neighbor in &made.forwarding.neighbors {
        assert_eq!(neighbor.end.hold_time, Duration::from_secs(30));
        assert_eq!(neighbor.end.keepalive, Duration::from_secs(10));
        assert_eq!(neighbor.end.reach, Reach::Multihop(2));
        assert!(neighbor.end.graceful_restart.is_some() && neighbor.bfd.is_none() && neighbor.internal.is_none());
    }
    let own = "connect.overlay.peers.a=(transit_gateway_address: \"10.99.0.1\", peer_address: \"10.250.0.1\", inside_cidr: \"169.254.6.0/29\")";
    let internal = peer(&CONNECT.taken(&[own]), "overlay.a");
    assert!(internal.forwarding.neighbors.iter().all(|neighbor| neighbor.asn == 64_512 && neighbor.internal.is_some()));
}

/// The same page: of an internal peer the gateway installs no route that no external peer has originated. The sessions come up all the same.
#[test]
fn what_an_internal_peer_originates_is_not_installed() {
    let internal = [
        "connect.overlay.peers.a=(transit_gateway_address: \"10.99.0.1\", peer_address: \"10.250.0.1\", inside_cidr: \"169.254.6.0/29\")",
        "nodes.site.asn=64512",
        "connect.overlay.peers.b.asn=64512",
        "faults={}",
        "probes={}",
        "duration=60s",
    ];
    let expect = "\"up\": EstablishedWithin(session: \"overlay.a.a1.bgp\", within: \"30s\"),
        \"not_installed\": RouteAbsent(node: \"tgw\", prefix: \"10.1.0.0/16\", at: \"50s\"),";
    CONNECT.holds(&internal, expect);
}

/// The same page: Connect takes no static routes, and its routes are propagated unless a table says otherwise.
#[test]
fn connect_takes_no_static_routes() {
    let by_hand = "nodes.tgw.route_tables={\"all\": (routes: [(destination: \"10.1.0.0/16\", target: \"overlay\")])}";
    CONNECT.refused(&[by_hand], "takes no static routes");
    let propagated = gateway(&CONNECT.taken(&[]), "tgw").route_tables[0].propagations.contains(&Attachment::Connect(0));
    assert!(propagated);
}

/// The same page: ECMP over peers of one attachment, with the same AS_PATH; not over the two sessions of one peer.
#[test]
fn connect_balances_over_peers_and_not_over_sessions() {
    let balanced =
        "\"balanced\": RouteDecidedBy(node: \"tgw\", prefix: \"10.1.0.0/16\", rule: \"equal_cost\", at: \"100s\")";
    CONNECT.holds(&["duration=120s", "faults={}", "probes={}"], balanced);
    let one = ["duration=120s", "faults={}", "probes={}", "nodes.site.interfaces.gre-b.gre.key=7"];
    let alone = "\"alone\": RouteDecidedBy(node: \"tgw\", prefix: \"10.1.0.0/16\", rule: \"only_route\", at: \"100s\")";
    CONNECT.holds(&one, alone);
}

/// Who has two sessions loses nothing with one of them: the redundancy that the page speaks of.
#[test]
fn one_session_of_a_connect_peer_carries_it() {
    let deaf = "nodes.site.neighbors.a2.md5_key=another-key";
    let expect = "\"first\": EstablishedWithin(session: \"overlay.a.a1.bgp\", within: \"60s\"),
        \"never\": EstablishedTimes(session: \"overlay.a.a2.bgp\", min: 0, max: 0),
        \"over_a\": RoutePresent(node: \"tgw\", prefix: \"10.1.0.0/16\", via: \"overlay.a\", at: \"100s\"),";
    CONNECT.holds(&["duration=120s", "faults={}", "probes={}", deaf], expect);
}

/// Section 5, published figures: pinned overlay tunnels take over 33 % longer with default timers, which is hold time of the line and hold time
/// of the tunnel after one another, 90 s + 30 s, over 90 s. On a silent line machines run both at once: pinned tunnels move when the tunnel's
/// hold time is over, unpinned ones when the line's is, and with BFD on the line within 0.9 s and a probe.
#[test]
fn pinned_and_unpinned_overlays_beside_the_published_figure() {
    let [line, tunnel] = [90.0, 30.0];
    assert!(((line + tunnel) / line - 1.0_f64) > 0.33);
    let dark = |min: &str, max: &str| {
        format!("\"dark\": OutageBetween(probe: \"app\", fault: \"cut\", min: \"{min}\", max: \"{max}\")")
    };
    let bfd = ["nodes.site.neighbors.dx-1.bfd=()"];
    PINNED.holds(&[], &dark("20s", "30.2s"));
    UNPINNED.holds(&[], &dark("60s", "213s"));
    PINNED.holds(&bfd, &dark("20s", "30.2s"));
    UNPINNED.holds(&bfd, &dark("600ms", "950ms"));
}

/// 1.9: BGP only, CIDR blocks of each site's own, no large tunnels (and no private-IP VPN, `quotas.rs`). What is known from digests only, 100 Mbit/s and 10,000 packets a
/// second for each of 100 sites, is a parameter, and the number of sites a warning (`quotas.rs`).
#[test]
fn a_concentrator_takes_these_connections() {
    CONCENTRATOR.refused(&["connections.one.routing=Static(prefixes: [\"10.1.0.0/16\"])"], "not static routing");
    CONCENTRATOR.refused(&["connections.one.tunnel_bandwidth=large"], "takes no large tunnels");
    CONCENTRATOR.refused(&["connections.one.concentrator=malls"], "no VPN Concentrator of this gateway");
    let whose = "each site of a VPN Concentrator has CIDR blocks of its own";
    assert!(!CONCENTRATOR.warned(&[], whose));
    assert!(CONCENTRATOR.warned(&["nodes.cgw-2.advertise=[\"10.1.0.0/24\"]"], whose), "one within the other's");
    CONCENTRATOR.refused(&["connections.one.customer_gateway=cgw-9"], "`cgw-9`");
    let shops = gateway(&CONCENTRATOR.taken(&[]), "tgw").concentrators[0].clone();
    assert_eq!((shops.site_bandwidth, shops.site_packet_rate), (100_000_000, 10_000));
}

/// 1.9, TGW25: no ECMP on a Concentrator, whatever the option says; the same tunnels balance as a connection of their own.
#[test]
fn a_concentrator_does_not_balance() {
    let short = ["duration=50s", "faults={}", "probes={}"];
    let one = "\"one\": RouteDecidedBy(node: \"tgw\", prefix: \"10.1.0.0/16\", rule: \"aws_choice\", at: \"45s\")";
    CONCENTRATOR.holds(&short, one);
}

/// 2.2 (transit-gateway-quotas.html): 5,000 attachments, 20 route tables and 5 gateways in a Region are raised on request: warnings that
/// name them. A VPC is attached to 5 gateways: refused, as 21 Direct Connect gateways are (`quotas.rs`).
#[test]
fn quotas_that_are_raised_warn_and_others_refuse() {
    let tables = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("\"t{n}\": (associations: [])")).collect();
        format!("nodes.merged.route_tables={{{}}}", all.join(", "))
    };
    let text = "21 route tables: AWS allows 20 for a transit gateway, and more on request";
    assert!(!PEERING.warned(&[&tables(20)], "route tables"));
    assert!(PEERING.warned(&[&tables(21)], text));
    let gateways = |count: usize, vpcs: &str| {
        let all = (0..count).map(|n| format!("\"t{n}\": TransitGateway(asn: {}, vpcs: [{vpcs}]),", 64_600 + n));
        format!(
            "(version: 1, name: \"many\", question: \"?\", duration: \"1s\", links: {{}}, nodes: {{ {} \"vpc\": Vpc(cidr: \"10.0.0.0/16\",
             subnets: {{ \"a\": (cidr: \"10.0.1.0/24\", availability_zone: \"az1\") }}), \"peer\": TransitGatewayPeering(requester: \"t0\", accepter: \"t1\") }})",
            all.collect::<String>()
        )
    };
    let sixth = "the sixth transit gateway of its Region";
    assert!(!Bare::new(&gateways(5, "\"vpc\"")).warned(&[], sixth));
    Bare::new(&gateways(6, "\"vpc\"")).refused(&[], "attached to at most 5 transit gateways");
}

/// 2.2: 5,000,000 packets a second through an attachment of a VPC (and 50 Gbit/s, `quotas.rs`): of ten million a second for a millisecond, which ten streams
/// make with a packet each microsecond, 5,000 pass, and the 50 of a burst of 10 us.
#[test]
fn an_attachment_carries_five_million_packets_a_second() {
    let stream = |n: u8| {
        format!(
            "\"s{n}\": UdpOneWay(from: \"web\", to: \"db\", every: \"1us\", size: 60, start: \"10s\", stop: \"10.001s\")"
        )
    };
    let probes = format!("probes={{{}}}", (0..10).map(stream).collect::<Vec<_>>().join(", "));
    let half = "\"half\": DropsBetween(reason: \"attachment_packet_rate\", min: 4940, max: 4960)";
    PEERING.holds(&["assume.tunnel_burst=10us", "duration=20s", &probes], half);
}

/// 7.3 (tgw-route-tables.html): of VPCs with the same CIDR block the first one's is propagated, whichever that is, and who draws two is
/// warned.
#[test]
fn of_vpcs_with_one_cidr_block_the_first_is_propagated() {
    let twin = "\"twin\": Vpc(cidr: \"10.10.0.0/16\", region: \"us-east-1\", \
                subnets: { \"a\": (cidr: \"10.10.1.0/24\", availability_zone: \"use1-az1\") }),";
    let text = with_nodes(PEERING.text, twin);
    let drawing = Bare::new(&text);
    for first in ["app", "twin"] {
        let second = if first == "app" { "twin" } else { "app" };
        let both = format!("nodes.virginia.vpcs=[\"{first}\", \"{second}\"]");
        let there =
            format!("\"at\": RoutePresent(node: \"virginia\", prefix: \"10.10.0.0/16\", via: \"{first}\", at: \"1s\")");
        drawing.holds(&[&both, "duration=2s", "probes={}"], &there);
        let words = format!("`{second}` has the CIDR block of `{first}`");
        assert!(drawing.warned(&[&both], &words) && !drawing.warned(&[], &words));
    }
}

/// 2.4 (transit-gateway-quotas.html): a transit gateway "enforces Maximum Segment Size (MSS) clamping for all packets" at its 8,500 octets, so
/// a SYN of a host with jumbo frames, which tells 9,001 less the headers of IPv4 and TCP, leaves it with 8,500 less 40.
#[test]
fn a_transit_gateway_clamps_the_mss() {
    let said = |mtu: u16| {
        let changes = [
            "probes={\"web\": TcpEcho(from: \"web\", to: \"db\", every: \"1s\", size: \"20kB\", start: \"100ms\")}"
                .to_owned(),
            format!("nodes.web.mtu={mtu}"),
            format!("nodes.db.mtu={mtu}"),
            "duration=1s".to_owned(),
        ];
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        clamped(&PEERING.taken(&changes)).0
    };
    assert_eq!(said(9001), [8460]);
    assert_eq!(said(8501), [8460]);
    assert!(said(8500).is_empty());
}

/// The sum of all datapoints of a metric of a transit gateway or its attachment, by CloudWatch's dimensions.
fn metered(seen: &Outcome, metric: Metric, gateway: &str, attachment: Option<&str>) -> f64 {
    let of_attachment = attachment.map(|name| ("TransitGatewayAttachment", name));
    let dimensions: Vec<(&str, &str)> = [("TransitGateway", gateway)].into_iter().chain(of_attachment).collect();
    let of = seen.detail.telemetry.series.iter().find(|series| {
        let own: Vec<(&str, &str)> = series.dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        series.metric == metric && own == dimensions
    });
    let series = of.unwrap_or_else(|| panic!("{metric:?} of {dimensions:?} is not metered"));
    assert_eq!(series.period, Duration::from_secs(60), "every minute");
    series.points.iter().map(|point| point.sum).sum()
}

/// Transit Gateway guide, "CloudWatch metrics": packets and octets that were dropped because no route matched, or because a blackhole route
/// did, by gateway and by the attachment that they came from. 30 packets of 200 octets have no route at one gateway, and 30 of 300 meet a
/// blackhole at another.
#[test]
fn a_transit_gateway_counts_what_it_drops_and_why() {
    let probes = "probes={ \"not-told\": UdpOneWay(from: \"db\", to: \"copy\", every: \"1s\", size: 200, start: \"5s\", stop: \"35s\"), \
                  \"quarantined\": UdpOneWay(from: \"web\", to: \"suspect\", every: \"1s\", size: 300, start: \"5s\", stop: \"35s\") }";
    let seen = Simulation::new(&PEERING.taken(&["duration=60s", probes])).finish();
    let lost = |gateway: &str, attachment: Option<&str>| {
        let metrics = [
            Metric::PacketDropCountNoRoute,
            Metric::BytesDropCountNoRoute,
            Metric::PacketDropCountBlackhole,
            Metric::BytesDropCountBlackhole,
        ];
        metrics.map(|metric| metered(&seen, metric, gateway, attachment))
    };
    let no_route = [30.0, 30.0 * 200.0, 0.0, 0.0];
    assert_eq!((lost("merged", None), lost("merged", Some("data"))), (no_route, no_route));
    let blackhole = [0.0, 0.0, 30.0, 30.0 * 300.0];
    assert_eq!((lost("virginia", None), lost("virginia", Some("app"))), (blackhole, blackhole));
    let nothing = [0.0; 4];
    assert_eq!((lost("ireland", None), lost("merged", Some("near"))), (nothing, nothing));
}
