//! Laws of transit gateways: fact sheet sections 2.2 and 7.3. Pages are those of the VPC guide "Transit gateways", if no other is named.

use sim_scenarios::plan::{Attachment, NodeKind, TransitGateway};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

macro_rules! library {
    ($name:literal) => {
        include_str!(concat!("../../../scenarios/", $name, ".ron"))
    };
}

const PEERING: &str = library!("tgw_intra_and_inter_region_peering");
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
