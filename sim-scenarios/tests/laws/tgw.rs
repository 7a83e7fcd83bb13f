//! Laws of transit gateways: fact sheet sections 2.2 and 7.3. Pages are those of the VPC guide "Transit gateways", if no other is named.

use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;
use sim_scenarios::plan::{Attachment, ConnectPeer, NodeKind, TransitGateway};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

macro_rules! library {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/", $name, ".ron"))
    };
}

const PEERING: &str = library!("tgw_intra_and_inter_region_peering");
const CONNECT: &str = library!("tgw_connect_gre");
const PINNED: &str = library!("dx_pinned_overlay");
const UNPINNED: &str = library!("dx_unpinned_overlay");
const APPLIANCE: &str = library!("appliance_mode");

/// A scenario with changes and this expected, or what is wrong with it.
fn with(text: &str, changes: &[&str], expect: &str) -> Result<Scenario, String> {
    let first = ["control=[]".to_owned(), format!("expect={{{expect}}}")];
    let changes: Vec<String> = first.into_iter().chain(changes.iter().map(|it| (*it).to_owned())).collect();
    let parsed = Scenario::parse("library.ron", text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    parsed.with(&changes, &NoSecrets).map_err(|mistakes| mistakes.to_string())
}

/// Everything that is expected holds.
fn holds(text: &str, changes: &[&str], expect: &str) {
    let scenario = with(text, changes, expect).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let report = Simulation::new(&scenario).finish().report;
    assert!(!report.expectations.is_empty());
    for expectation in &report.expectations {
        assert!(expectation.held, "{changes:?}: {}: {}", expectation.text, expectation.detail);
    }
}

/// The scenario is refused, with these words.
fn refused(text: &str, changes: &[&str], words: &str) {
    match with(text, changes, "") {
        Ok(_) => panic!("{changes:?} is taken"),
        Err(mistakes) => assert!(mistakes.contains(words), "{changes:?}: {mistakes}"),
    }
}

fn taken(text: &str, changes: &[&str]) -> Scenario {
    with(text, changes, "").unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn gateway(scenario: &Scenario, name: &str) -> TransitGateway {
    let id = scenario.plan().node(name).expect("it is there");
    match &scenario.plan().nodes[id.index()].kind {
        NodeKind::TransitGateway(gateway) => gateway.clone(),
        _ => panic!("{name} is no transit gateway"),
    }
}

/// What `check` says beside mistakes.
fn warned(text: &str, changes: &[&str], words: &str) -> bool {
    taken(text, changes).plan().warnings.iter().any(|warning| warning.text.contains(words))
}

/// 7.3 (tgw-peering.html): static routes only. The default table of a gateway has its peerings associated and nothing of them propagated,
/// and a table that asks for it is refused.
#[test]
fn peering_propagates_no_routes() {
    let scenario = taken(PEERING, &["nodes.virginia.route_tables={}"]);
    let virginia = gateway(&scenario, "virginia");
    let is_peering = |it: &Attachment| matches!(it, Attachment::Peering(_));
    assert_eq!(virginia.route_tables[0].associations.iter().filter(|it| is_peering(it)).count(), 2);
    assert_eq!(virginia.route_tables[0].propagations.iter().filter(|it| is_peering(it)).count(), 0);
    refused(PEERING, &["nodes.virginia.route_tables.all.propagations=[\"far\"]"], "propagates no routes");
    let told = "\"at\": RouteAbsent(node: \"merged\", prefix: \"10.30.0.0/16\", at: \"30s\")";
    holds(PEERING, &[], told);
}

/// 7.3 (tgw-peering.html): AWS recommends an ASN of its own for each of two gateways that peer. It is advice: the scenario runs.
#[test]
fn gateways_that_peer_are_advised_to_have_asns_of_their_own() {
    assert!(!warned(PEERING, &[], "recommends"));
    assert!(warned(PEERING, &["nodes.ireland.asn=64512"], "both transit gateways have ASN 64512"));
}

/// A gateway attaches VPCs of its own Region; between Regions there is peering, and how far that is, AWS does not say. A gateway does not
/// peer with itself.
#[test]
fn a_gateway_attaches_vpcs_of_its_own_region() {
    refused(PEERING, &["nodes.virginia.vpcs=[\"app\", \"euro\"]"], "it attaches VPCs of its own Region");
    let both = ["nodes.virginia.vpcs=[\"app\", \"data\"]", "nodes.merged.vpcs=[]", "nodes.data.route_tables={}"];
    taken(PEERING, &both);
    let far = |setting: &str| format!("nodes.far=TransitGatewayPeering({setting})");
    let apart = far("requester: \"virginia\", accepter: \"ireland\"");
    refused(PEERING, &[&apart], "how far are these two Regions");
    let itself = far("requester: \"virginia\", accepter: \"virginia\"");
    refused(PEERING, &[&itself], "does not peer with itself");
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
        warned(&text, &[], "AWS allows 50 for a transit gateway")
    };
    assert!(!with_peers(50));
    assert!(with_peers(51));
}

/// 2.4 (transit-gateway-quotas.html): 8,500 octets pass, 8,501 do not, and the gateway tells nobody.
#[test]
fn eight_thousand_five_hundred_octets_pass_peering() {
    let lost = |probe: &str, share: &str| {
        format!(
            "\"{probe}\": LossBetween(probe: \"{probe}\", direction: \"forward\", min: \"{share}\", max: \"{share}\"),"
        )
    };
    let all = [lost("jumbo-near", "0%"), lost("jumbo-far", "0%"), lost("too-long", "100%")].concat();
    holds(PEERING, &[], &all);
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
    holds(PEERING, &loops, "\"ends\": DropsBetween(reason: \"ttl_exceeded\", min: 50, max: 60)");
}

/// 7.3 (tgw-vpc-attachments.html): one subnet in each availability zone; what is in another zone does not reach the gateway.
#[test]
fn an_attachment_has_one_subnet_in_each_zone() {
    let twice = "nodes.tgw.subnets=[\"plain.in-a\", \"plain.firewall-a\"]";
    refused(APPLIANCE, &[twice], "in the same availability zone already");
    let none = "\"none\": DropsBetween(reason: \"attachment_zone\", min: 60, max: 60)";
    holds(APPLIANCE, &["applications={}"], none);
    let all = gateway(&taken(APPLIANCE, &["nodes.tgw.subnets=[]"]), "tgw");
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
    holds(APPLIANCE, &[], applications);
    let with_mode = "\"across\": FlowsBetween(application: \"plain-across\", came_to: \"done\", min: 40)";
    holds(APPLIANCE, &["nodes.tgw.appliance_mode=[\"plain\"]"], with_mode);
}

/// The same page: the hash spreads flows over the zones. With the firewall of one zone dead, flows of the other go on: of 40, by the binomial
/// distribution, 10 to 30 with a probability of 99.9 %.
#[test]
fn appliance_mode_spreads_flows_over_zones() {
    let dead = ["faults={\"dead\": (at: \"1s\", what: PowerLoss(node: \"mode-a\"))}"];
    holds(
        APPLIANCE,
        &dead,
        "\"half\": FlowsBetween(application: \"mode-across\", came_to: \"done\", min: 10, max: 30)",
    );
}

fn peer(scenario: &Scenario, name: &str) -> ConnectPeer {
    let id = scenario.plan().node(name).expect("it is there");
    match &scenario.plan().nodes[id.index()].kind {
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
    taken(CONNECT, &[&peers(4), "faults={}"]);
    refused(CONNECT, &[&peers(5), "faults={}"], "at most 4 peers");
}

/// 7.3 (tgw-connect.html): the inside CIDR is a /29 of 169.254.0.0/16, some are reserved, and each stands once on a gateway; AWS's outer
/// address is out of the gateway's own blocks; the transport is an attachment of the same gateway, and no Connect attachment.
#[test]
fn a_connect_peer_has_these_addresses() {
    let of = |setting: &str| format!("connect.overlay.peers.a.{setting}");
    refused(CONNECT, &[&of("inside_cidr=169.254.6.0/30")], "a /29 of 169.254.0.0/16");
    refused(CONNECT, &[&of("inside_cidr=10.6.0.0/29")], "a /29 of 169.254.0.0/16");
    refused(CONNECT, &[&of("inside_cidr=169.254.5.0/29")], "AWS reserves 169.254.5.0/29");
    refused(CONNECT, &[&of("inside_cidr=169.254.7.0/29")], "already the inside CIDR of another peer");
    refused(CONNECT, &[&of("transit_gateway_address=10.98.0.1")], "in none of the transit gateway's own");
    refused(CONNECT, &["connect.overlay.transport=overlay"], "attached to this transit gateway");
    let made = peer(&taken(CONNECT, &[]), "overlay.a");
    let inside: Vec<String> = made.interfaces.iter().map(|it| it.address.addr().to_string()).collect();
    assert_eq!(inside, ["169.254.6.2", "169.254.6.3"], "the first host is the appliance's");
}

/// The same page: two BGP sessions a peer, eBGP multihop with a TTL of 2, or iBGP if no ASN is given; keepalive 10 s, hold time 30 s, graceful
/// restart, no BFD.
#[test]
fn a_connect_peer_has_two_sessions_with_these_timers() {
    let made = peer(&taken(CONNECT, &[]), "overlay.a");
    assert_eq!(made.forwarding.neighbors.len(), 2);
    for neighbor in &made.forwarding.neighbors {
        assert_eq!(neighbor.end.hold_time, Duration::from_secs(30));
        assert_eq!(neighbor.end.keepalive, Duration::from_secs(10));
        assert_eq!(neighbor.end.reach, Reach::Multihop(2));
        assert!(neighbor.end.graceful_restart.is_some() && neighbor.bfd.is_none() && neighbor.internal.is_none());
    }
    let own = "connect.overlay.peers.a=(transit_gateway_address: \"10.99.0.1\", peer_address: \"10.250.0.1\", inside_cidr: \"169.254.6.0/29\")";
    let internal = peer(&taken(CONNECT, &[own]), "overlay.a");
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
    holds(CONNECT, &internal, expect);
}

/// The same page: Connect takes no static routes, and its routes are propagated unless a table says otherwise.
#[test]
fn connect_takes_no_static_routes() {
    let by_hand = "nodes.tgw.route_tables={\"all\": (routes: [(destination: \"10.1.0.0/16\", target: \"overlay\")])}";
    refused(CONNECT, &[by_hand], "takes no static routes");
    let propagated =
        gateway(&taken(CONNECT, &[]), "tgw").route_tables[0].propagations.contains(&Attachment::Connect(0));
    assert!(propagated);
}

/// The same page: ECMP over peers of one attachment, with the same AS_PATH; not over the two sessions of one peer.
#[test]
fn connect_balances_over_peers_and_not_over_sessions() {
    let balanced =
        "\"balanced\": RouteDecidedBy(node: \"tgw\", prefix: \"10.1.0.0/16\", rule: \"equal_cost\", at: \"100s\")";
    holds(CONNECT, &["duration=120s", "faults={}", "probes={}"], balanced);
    let one = ["duration=120s", "faults={}", "probes={}", "nodes.site.interfaces.gre-b.gre.key=7"];
    let alone = "\"alone\": RouteDecidedBy(node: \"tgw\", prefix: \"10.1.0.0/16\", rule: \"only_route\", at: \"100s\")";
    holds(CONNECT, &one, alone);
}

/// Who has two sessions loses nothing with one of them: the redundancy that the page speaks of.
#[test]
fn one_session_of_a_connect_peer_carries_it() {
    let deaf = "nodes.site.neighbors.a2.md5_key=another-key";
    let expect = "\"first\": EstablishedWithin(session: \"overlay.a.a1.bgp\", within: \"60s\"),
        \"never\": EstablishedTimes(session: \"overlay.a.a2.bgp\", min: 0, max: 0),
        \"over_a\": RoutePresent(node: \"tgw\", prefix: \"10.1.0.0/16\", via: \"overlay.a\", at: \"100s\"),";
    holds(CONNECT, &["duration=120s", "faults={}", "probes={}", deaf], expect);
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
    holds(PINNED, &[], &dark("20s", "30.2s"));
    holds(UNPINNED, &[], &dark("60s", "213s"));
    holds(PINNED, &bfd, &dark("20s", "30.2s"));
    holds(UNPINNED, &bfd, &dark("600ms", "950ms"));
}
