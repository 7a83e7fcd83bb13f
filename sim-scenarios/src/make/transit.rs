//! Transit gateways: what is attached, which tables there are, and who is associated with them and propagates into them.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::net::multipath::FlowFields;
use sim_core::time::Duration;

use crate::leaf::{Name, Rate};
use crate::place::At;
use crate::plan::{
    Assume, Assumed, Assumption, Attachment, Concentrator, Node, NodeKind, Plan, Routing, TransitGateway,
    TransitGatewayPeering, TransitRouteTable, TunnelBandwidth, TunnelId, Warning,
};
use crate::schema;

use super::Names;
use super::judge::{Judge, between, did_you_mean};
use super::nodes::{amazon_asn, overlap, whole};
use super::vpc::Vpcs;

/// Route tables of one transit gateway, unless AWS raises that, and what this program numbers.
const ROUTE_TABLES: [usize; 2] = [20, 255];
/// Attachments of one transit gateway, unless AWS raises that.
const ATTACHMENTS: usize = 5_000;
/// Transit gateways of an account in a Region, unless AWS raises that.
const GATEWAYS: usize = 5;
/// Transit gateways that a VPC is attached to: a quota that AWS does not raise.
const OF_A_VPC: usize = 5;
/// Direct Connect gateways of one transit gateway: a quota that AWS does not raise.
const DIRECT_CONNECT_GATEWAYS: usize = 20;
/// Peering attachments of one transit gateway, unless AWS raises that (quota).
const PEERINGS: usize = 50;

/// The attachments of a gateway with their names.
struct Attachments {
    names: Vec<String>,
    all: Vec<Attachment>,
}

impl Attachments {
    fn push(&mut self, name: &str, attachment: Attachment) {
        self.names.push(name.to_owned());
        self.all.push(attachment);
    }

    /// Those whose routes go into a table that names none: peering propagates nothing.
    fn propagating(&self) -> Vec<Attachment> {
        self.all.iter().filter(|it| !matches!(it, Attachment::Peering(_))).copied().collect()
    }

    fn find(&self, at: &At<Name>, j: &mut Judge) -> Option<Attachment> {
        j.find(at, "attachment of this transit gateway", &self.names).map(|i| self.all[i])
    }
}

/// A transit gateway.
pub(super) fn make(
    schema: &schema::TransitGateway,
    at: &At<Name>,
    vpcs: &Vpcs,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> TransitGateway {
    let mut attached: Vec<NodeId> = Vec::new();
    let region = named(schema.region.as_ref(), j);
    for vpc in &schema.vpcs {
        let Some(id) = vpcs.find(vpc, j) else { continue };
        let theirs = vpcs.schema(id).and_then(|vpc| vpc.region.as_ref()).and_then(super::vpc::named);
        if let (Some(own), Some(theirs)) = (&region, &theirs)
            && own != theirs
        {
            let message =
                format!("this VPC is in {theirs}, the transit gateway in {own}: it attaches VPCs of its own Region");
            let help = "give the VPC's Region a transit gateway, and peer the two (TransitGatewayPeering)";
            j.wrong(vpc.place, message, Some(help.into()));
        }
        if attached.contains(&id) {
            j.wrong(vpc.place, "this VPC is attached already", None);
        } else {
            attached.push(id);
        }
    }
    let mut attachments = Attachments { names: Vec::new(), all: Vec::new() };
    for id in &attached {
        attachments.push(&names.nodes[id.index()], Attachment::Vpc(*id));
    }
    for (i, (name, (_, schema::Connection::Vpn(vpn)))) in
        names.connections.iter().zip(&scenario.connections.0).enumerate()
    {
        if vpn.gateway.value == at.value && vpn.concentrator.is_none() {
            attachments.push(name, Attachment::Connection(i));
        }
    }
    for (i, (name, (_, connect))) in names.connects.iter().zip(&scenario.connect.0).enumerate() {
        if connect.gateway.value == at.value {
            attachments.push(name, Attachment::Connect(i));
        }
    }
    for (i, (other, node)) in scenario.nodes.0.iter().enumerate() {
        if let schema::Node::DirectConnectGateway(gateway) = node
            && gateway.associations.0.iter().any(|(name, _)| name.value == at.value)
            && let Ok(Name(name)) = &other.value
        {
            attachments.push(name, Attachment::DirectConnectGateway(NodeId(i as u32)));
        }
        if let schema::Node::TransitGatewayPeering(peering) = node
            && [&peering.requester, &peering.accepter].iter().any(|name| name.value == at.value)
            && let Ok(Name(name)) = &other.value
        {
            attachments.push(name, Attachment::Peering(NodeId(i as u32)));
        }
    }
    let concentrators = j.names(&schema.concentrators, "VPN Concentrator");
    for (i, name) in concentrators.iter().enumerate() {
        let own = scenario.nodes.0.iter().position(|(other, _)| other.value == at.value).unwrap_or_default();
        attachments.push(name, Attachment::Concentrator(NodeId(own as u32), i));
    }
    let mut appliance_mode = Vec::new();
    for at in &schema.appliance_mode {
        let Some(id) = vpcs.find(at, j) else { continue };
        if !attached.contains(&id) {
            j.wrong(at.place, "this VPC is not attached to the transit gateway", None);
        }
        appliance_mode.push(id);
    }
    TransitGateway {
        asn: amazon_asn(&schema.asn, &[], j),
        region,
        concentrators: concentrators
            .into_iter()
            .zip(&schema.concentrators.0)
            .map(|(name, (_, schema))| concentrator(name, schema, j))
            .collect(),
        appliance_mode,
        subnets: subnets(schema, &attached, vpcs, j),
        cidr_blocks: schema.cidr_blocks.iter().filter_map(|at| j.lawful(at, block)).collect(),
        vpcs: attached,
        route_tables: tables(schema, &attachments, j),
        vpn_ecmp: j.or(&schema.vpn_ecmp, true),
        preferred_tunnel: None,
    }
}

/// The subnets of each attached VPC in which the attachment is: those that are named, or the first of each availability zone.
fn subnets(schema: &schema::TransitGateway, attached: &[NodeId], vpcs: &Vpcs, j: &mut Judge) -> Vec<Vec<usize>> {
    let zone = |vpc: NodeId, subnet: usize| {
        vpcs.schema(vpc)
            .and_then(|vpc| vpc.subnets.0.get(subnet))
            .map(|(_, subnet)| subnet.availability_zone.value.clone())
    };
    let mut subnets: Vec<Vec<usize>> = vec![Vec::new(); attached.len()];
    for at in &schema.subnets {
        let Some((vpc, subnet)) = vpcs.subnet(at, j) else { continue };
        let Some(place) = attached.iter().position(|other| *other == vpc) else {
            j.wrong(at.place, "this subnet's VPC is not attached to the transit gateway", None);
            continue;
        };
        if subnets[place].iter().any(|other| zone(vpc, *other) == zone(vpc, subnet)) {
            let help = "an attachment has one subnet in each availability zone";
            let message = "the attachment has a subnet of this VPC in the same availability zone already";
            j.wrong(at.place, message, Some(help.into()));
        }
        subnets[place].push(subnet);
    }
    for (vpc, subnets) in attached.iter().zip(&mut subnets).filter(|(_, subnets)| subnets.is_empty()) {
        for subnet in 0..vpcs.schema(*vpc).map_or(0, |vpc| vpc.subnets.0.len()) {
            if !subnets.iter().any(|other| zone(*vpc, *other) == zone(*vpc, subnet)) {
                subnets.push(subnet);
            }
        }
    }
    subnets
}

fn named(at: Option<&At<Name>>, j: &mut Judge) -> Option<String> {
    at.and_then(|at| j.read(at)).map(|Name(name)| name)
}

/// A peering attachment.
pub(super) fn peering(
    schema: &schema::TransitGatewayPeering,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> TransitGatewayPeering {
    let gateways =
        names.nodes.iter().zip(&scenario.nodes.0).zip(0..).filter_map(|((name, (_, node)), id)| match node {
            schema::Node::TransitGateway(gateway) => Some((name.clone(), (NodeId(id), gateway))),
            _ => None,
        });
    let (known, gateways): (Vec<String>, Vec<_>) = gateways.unzip();
    let ends = [&schema.requester, &schema.accepter];
    let found = ends.map(|at| j.find(at, "transit gateway", &known).map(|i| &gateways[i]));
    let region = |end: Option<&(NodeId, &schema::TransitGateway)>| {
        end.and_then(|(_, gateway)| gateway.region.as_ref()).and_then(super::vpc::named)
    };
    let regions = found.map(region);
    if let [Some((a, _)), Some((b, _))] = found
        && a == b
    {
        j.wrong(schema.accepter.place, "a transit gateway does not peer with itself", None);
    }
    let apart = matches!(&regions, [Some(a), Some(b)] if a != b);
    if apart && schema.delay.is_none() {
        let help = "AWS publishes no delay between Regions: give it `delay:`, one way";
        j.wrong(schema.accepter.place, "how far are these two Regions from each other?", Some(help.into()));
    }
    let delay = j.lawful_or(&schema.delay, Duration::ZERO, |delay| {
        between(*delay, Duration::ZERO, Duration::from_secs(10), "the delay of a peering attachment")
    });
    TransitGatewayPeering { gateways: found.map(|end| end.map_or(NodeId(u32::MAX), |(id, _)| *id)), delay }
}

/// What a site has of a VPN Concentrator, as digests of AWS's texts have it.
const SITE_BANDWIDTH: u64 = 100_000_000;
const SITE_PACKETS: u64 = 10_000;
/// Sites of a VPN Concentrator, from the same.
const SITES: usize = 100;

fn concentrator(name: String, schema: &schema::Concentrator, j: &mut Judge) -> Concentrator {
    let Rate(site_bandwidth) = j.or(&schema.site_bandwidth, Rate(SITE_BANDWIDTH));
    let packets = "the packets a second of a site";
    let site_packet_rate = j.number(&schema.site_packet_rate, SITE_PACKETS, 1, 10_000_000, packets);
    Concentrator { name, site_bandwidth, site_packet_rate }
}

/// The VPN Concentrator that a connection is on, and whether it can be: by BGP, with standard tunnels over the internet.
pub(super) fn on_concentrator(schema: &schema::Vpn, gateway: NodeId, plan: &Plan, j: &mut Judge) -> Option<usize> {
    let at = schema.concentrator.as_ref()?;
    let names: Vec<String> = match plan.nodes.get(gateway.index()).map(|node| &node.kind) {
        Some(NodeKind::TransitGateway(gateway)) => gateway.concentrators.iter().map(|it| it.name.clone()).collect(),
        _ => Vec::new(),
    };
    if matches!(schema.routing, schema::Routing::Static(_)) {
        j.wrong(at.place, "connections on a VPN Concentrator have BGP, not static routing", None);
    }
    if schema.transport.is_some() {
        j.wrong(at.place, "a VPN Concentrator takes no private-IP VPN", None);
    }
    if schema.tunnel_bandwidth.as_ref().is_some_and(|at| at.value == Ok(TunnelBandwidth::Large)) {
        j.wrong(at.place, "a VPN Concentrator takes no large tunnels", None);
    }
    j.find(at, "VPN Concentrator of this gateway", &names)
}

/// The attachments of a transit gateway, in the order of their numbers there.
pub(crate) fn attachments(plan: &Plan, id: NodeId, gateway: &TransitGateway) -> Vec<Attachment> {
    let own = |c: &crate::plan::Connection| c.gateway == id && c.concentrator.is_none();
    let connections = plan.connections.iter().enumerate().filter(|(_, c)| own(c));
    let vpcs = gateway.vpcs.iter().map(|vpc| Attachment::Vpc(*vpc));
    let connections = connections.map(|(connection, _)| Attachment::Connection(connection));
    let direct = super::dx::ends(plan, id).map(Attachment::DirectConnectGateway);
    let peerings = peerings(plan, id).map(|(peering, _)| Attachment::Peering(peering));
    let connects = plan.connects.iter().enumerate().filter(|(_, connect)| connect.gateway == id);
    let connects = connects.map(|(connect, _)| Attachment::Connect(connect));
    let concentrators = (0..gateway.concentrators.len()).map(|place| Attachment::Concentrator(id, place));
    vpcs.chain(connections).chain(direct).chain(peerings).chain(connects).chain(concentrators).collect()
}

/// The static routes of a table: its own, and those that stand in for what a VPN connection with static routing would propagate if it
/// could.
pub(crate) fn statics(plan: &Plan, table: &TransitRouteTable) -> Vec<(ipnet::Ipv4Net, Option<Attachment>)> {
    let by_hand = table.propagations.iter().filter_map(|of| {
        let Attachment::Connection(connection) = of else { return None };
        let Routing::Static(prefixes) = &plan.connections[*connection].routing else { return None };
        Some(prefixes.iter().map(|prefix| (*prefix, Some(*of))))
    });
    table.routes.iter().copied().chain(by_hand.flatten()).collect()
}

/// The peering attachments of a transit gateway.
pub(crate) fn peerings(plan: &Plan, gateway: NodeId) -> impl Iterator<Item = (NodeId, &TransitGatewayPeering)> {
    plan.nodes.iter().zip((0..).map(NodeId)).filter_map(move |(node, id)| match &node.kind {
        NodeKind::TransitGatewayPeering(peering) if peering.gateways.contains(&gateway) => Some((id, peering)),
        _ => None,
    })
}

/// The ways out of a transit gateway that are neither tunnels nor of Direct Connect, by name.
pub(super) fn ways(plan: &Plan, node: NodeId) -> Vec<String> {
    let Some(Node { kind: NodeKind::TransitGateway(gateway), .. }) = plan.nodes.get(node.index()) else {
        return Vec::new();
    };
    let peers = plan.connects.iter().filter(|connect| connect.gateway == node).flat_map(|connect| &connect.peers);
    let nodes = gateway.vpcs.iter().chain(peers).copied().chain(peerings(plan, node).map(|(peering, _)| peering));
    nodes.filter_map(|id| Some(plan.nodes.get(id.index())?.name.clone())).collect()
}

/// A block of a transit gateway's own is /24 or wider.
fn block(net: &ipnet::Ipv4Net) -> super::judge::Verdict {
    whole(net)?;
    between(net.prefix_len(), 8, 24, "the prefix length of a transit gateway's own block")
}

fn tables(schema: &schema::TransitGateway, attachments: &Attachments, j: &mut Judge) -> Vec<TransitRouteTable> {
    if schema.route_tables.0.is_empty() {
        let (associations, propagations) = (attachments.all.clone(), attachments.propagating());
        let name = "default".to_owned();
        return vec![TransitRouteTable { name, associations, propagations, routes: Vec::new() }];
    }
    if let Some((extra, _)) = schema.route_tables.0.get(ROUTE_TABLES[1]) {
        j.wrong(extra.place, format!("this program knows {} route tables of a transit gateway", ROUTE_TABLES[1]), None);
    }
    let mut taken: Vec<Attachment> = Vec::new();
    let mut made = Vec::new();
    for (name, (_, table)) in j.names(&schema.route_tables, "route table").into_iter().zip(&schema.route_tables.0) {
        let mut associations = Vec::new();
        for at in table.associations.iter().flatten() {
            let Some(attachment) = attachments.find(at, j) else { continue };
            if taken.contains(&attachment) {
                j.wrong(at.place, "an attachment is associated with one route table only", None);
            }
            taken.push(attachment);
            associations.push(attachment);
        }
        let propagations = match &table.propagations {
            Some(list) => list.iter().filter_map(|at| propagation(attachments.find(at, j)?, at, j)).collect(),
            None => attachments.propagating(),
        };
        let routes = routes(table, attachments, j);
        made.push(TransitRouteTable { name, associations, propagations, routes });
    }
    let rest: Vec<Attachment> = attachments.all.iter().filter(|a| !taken.contains(a)).copied().collect();
    let mut open = made.iter_mut().zip(&schema.route_tables.0).filter(|(_, (_, table))| table.associations.is_none());
    if let Some((table, _)) = open.next() {
        table.associations = rest;
    }
    if let Some((_, (at, _))) = open.next() {
        let message = "two route tables name no associations: it is not clear which attachments are whose";
        j.wrong(at.place, message, None);
    }
    made
}

/// An attachment that propagates.
fn propagation(attachment: Attachment, at: &At<Name>, j: &mut Judge) -> Option<Attachment> {
    if matches!(attachment, Attachment::Peering(_)) {
        let help = "give the table static routes to it under `routes`";
        j.wrong(at.place, "a peering attachment propagates no routes", Some(help.into()));
        return None;
    }
    Some(attachment)
}

fn routes(
    table: &schema::TransitRouteTable,
    attachments: &Attachments,
    j: &mut Judge,
) -> Vec<(ipnet::Ipv4Net, Option<Attachment>)> {
    let mut routes: Vec<(ipnet::Ipv4Net, Option<Attachment>)> = Vec::new();
    for route in &table.routes {
        let Some(destination) = j.lawful(&route.destination, whole) else { continue };
        let target = match &route.target.value {
            Ok(Name(target)) if target == "blackhole" => None,
            Ok(_) | Err(_) => match attachments.find(&route.target, j) {
                Some(attachment) => {
                    if matches!(attachment, Attachment::Connect(_)) {
                        j.wrong(route.target.place, "a Connect attachment takes no static routes: it has BGP", None);
                    }
                    Some(attachment)
                }
                None => continue,
            },
        };
        if routes.iter().any(|(other, _)| *other == destination) {
            let message = format!("this table has a static route to {destination} already");
            j.wrong(route.destination.place, message, None);
        }
        routes.push((destination, target));
    }
    routes
}

/// Of VPCs with the same CIDR block a transit gateway propagates the first one's alone (page tgw-route-tables.html).
fn overlaps(plan: &Plan, name: &str, gateway: &TransitGateway) -> Vec<Warning> {
    let mut known: BTreeMap<ipnet::Ipv4Net, &str> = BTreeMap::new();
    let mut warnings = Vec::new();
    for node in gateway.vpcs.iter().filter_map(|vpc| plan.nodes.get(vpc.index())) {
        let NodeKind::Vpc(vpc) = &node.kind else { continue };
        let first = *known.entry(vpc.cidr).or_insert(&node.name);
        if first != node.name {
            let text = format!("`{}` has the CIDR block of `{first}`: its route is not propagated", node.name);
            warnings.push(Warning { parameter: format!("nodes.{name}.vpcs"), text });
        }
    }
    warnings
}

/// Page tgw-peering.html: for propagation over peering that is to come, AWS recommends an ASN of its own for each gateway.
fn advise(plan: &mut Plan) {
    let asn = |id: NodeId| match plan.nodes.get(id.index()).map(|node| &node.kind) {
        Some(NodeKind::TransitGateway(gateway)) => Some(gateway.asn),
        _ => None,
    };
    let alike = plan.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::TransitGatewayPeering(peering) => {
            let [a, b] = peering.gateways.map(asn);
            (a == b).then_some((node.name.clone(), a?))
        }
        _ => None,
    });
    let warning = |(name, asn)| Warning {
        parameter: format!("nodes.{name}"),
        text: format!("both transit gateways have ASN {asn}: AWS recommends one of its own for each that peers"),
    };
    let mut warnings: Vec<Warning> = alike.map(warning).collect();
    let mut regions: BTreeMap<Option<&String>, usize> = BTreeMap::new();
    for node in &plan.nodes {
        if let NodeKind::TransitGateway(gateway) = &node.kind {
            warnings.extend(overlaps(plan, &node.name, gateway));
            let count = regions.entry(gateway.region.as_ref()).or_default();
            *count += 1;
            if *count == GATEWAYS + 1 {
                let text = format!(
                    "the sixth transit gateway of its Region: AWS allows {GATEWAYS} for an account, and more on request"
                );
                warnings.push(Warning { parameter: format!("nodes.{}", node.name), text });
            }
        }
    }
    plan.warnings.extend(warnings);
}

/// What can be said of transit gateways when connections are known.
pub(super) fn gateways(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    advise(plan);
    for (i, (at, schema)) in scenario.nodes.0.iter().enumerate() {
        let schema::Node::TransitGateway(schema) = schema else { continue };
        let Some(Node { name, kind: NodeKind::TransitGateway(gateway) }) = plan.nodes.get(i) else { continue };
        let (name, vpn_ecmp) = (name.clone(), gateway.vpn_ecmp);
        let mine = plan.connections.iter().enumerate().filter(|(_, c)| c.gateway == NodeId(i as u32));
        let tunnels: Vec<(String, TunnelId)> = mine
            .flat_map(|(connection, c)| {
                let all = c.tunnels.iter().enumerate();
                all.map(move |(tunnel, t)| (t.name.clone(), TunnelId { connection, tunnel }))
            })
            .collect();
        let attached = attachments(plan, NodeId(i as u32), gateway).len();
        let gateway_tables = gateway.route_tables.len();
        let direct = super::dx::ends(plan, NodeId(i as u32)).count();
        let gateway = gateway.clone();
        for vpc in &schema.vpcs {
            let others = scenario.nodes.0.iter().take(i + 1).filter(|(_, node)| match node {
                schema::Node::TransitGateway(other) => other.vpcs.iter().any(|at| at.value == vpc.value),
                _ => false,
            });
            if others.count() == OF_A_VPC + 1 {
                j.wrong(vpc.place, format!("a VPC is attached to at most {OF_A_VPC} transit gateways"), None);
            }
        }
        if attached == 0 {
            j.wrong(at.place, "nothing is attached to this transit gateway", None);
        }
        let id = NodeId(i as u32);
        let mut most = |setting: &str, found: usize, most: usize, what: &str| {
            if found > most {
                let parameter = format!("nodes.{name}{setting}");
                let text = format!("{found} {what}: AWS allows {most} for a transit gateway, and more on request");
                plan.warnings.push(Warning { parameter, text });
            }
        };
        most("", attached, ATTACHMENTS, "attachments");
        most(".route_tables", gateway_tables, ROUTE_TABLES[0], "route tables");
        if direct > DIRECT_CONNECT_GATEWAYS {
            let message = format!(
                "a transit gateway has at most {DIRECT_CONNECT_GATEWAYS} Direct Connect gateways, not {direct}"
            );
            j.wrong(at.place, message, None);
        }
        for (number, concentrator) in gateway.concentrators.iter().enumerate() {
            let on_it = |c: &&crate::plan::Connection| c.gateway == id && c.concentrator == Some(number);
            let sites = plan.connections.iter().filter(on_it).count();
            let parameter = format!("nodes.{name}.concentrators.{}", concentrator.name);
            let shared = shared_prefix(plan, plan.connections.iter().filter(on_it).map(|it| it.customer_gateway));
            plan.warnings.extend(shared.map(|text| Warning { parameter: parameter.clone(), text }));
            if sites > SITES {
                let text = format!("{sites} sites: a VPN Concentrator has {SITES}, as digests of AWS's texts have it");
                plan.warnings.push(Warning { parameter, text });
            }
        }
        let peers = peerings(plan, id).count();
        if peers > PEERINGS {
            let text = format!(
                "{peers} peering attachments: AWS allows {PEERINGS} for a transit gateway, and more on request"
            );
            plan.warnings.push(Warning { parameter: format!("nodes.{name}"), text });
        }
        let names: Vec<String> = tunnels.iter().map(|(name, _)| name.clone()).collect();
        let preferred = schema.preferred_tunnel.as_ref().and_then(|at| j.find(at, "tunnel of this gateway", &names));
        let preferred = preferred.map(|i| tunnels[i].1);
        let mut assume = |what, setting: &str, value: String, source: &str| {
            plan.assumptions.push(Assumption {
                what,
                owner: Some(name.clone()),
                parameter: format!("nodes.{name}.{setting}"),
                value,
                source: format!("UNVERIFIED: {source}"),
                range: if what == Assumed::PreferredTunnel { super::choice(&names) } else { None },
            });
        };
        let value = preferred.map_or("drawn from the seed".into(), |id: TunnelId| {
            plan.connections[id.connection].tunnels[id.tunnel].name.clone()
        });
        if tunnels.is_empty() {
            continue;
        }
        assume(
            Assumed::PreferredTunnel,
            "preferred_tunnel",
            value,
            "AWS chooses among equal routes by a rule that it does not publish, and promises no consistency",
        );
        if vpn_ecmp {
            plan.assumptions.extend(spreading(&name, &plan.assume));
        }
        if let Some(Node { kind: NodeKind::TransitGateway(gateway), .. }) = plan.nodes.get_mut(i) {
            gateway.preferred_tunnel = preferred;
        }
    }
}

/// Two sites of a VPN Concentrator that announce one prefix, or one within the other's (announced 2025-11-19: "a unique CIDR per site").
fn shared_prefix(plan: &Plan, sites: impl Iterator<Item = NodeId>) -> Option<String> {
    // A name that is a mistake has no node.
    let announced = |site: NodeId| match plan.nodes.get(site.index()).map(|node| &node.kind) {
        Some(NodeKind::CustomerGateway(it)) => it.advertise.as_slice(),
        _ => &[],
    };
    let sites: BTreeSet<NodeId> = sites.collect();
    let all: Vec<(NodeId, Ipv4Net)> =
        sites.into_iter().flat_map(|site| announced(site).iter().map(move |net| (site, *net))).collect();
    let clash = |(n, (site, net)): (usize, &(NodeId, Ipv4Net))| {
        let before = all[..n].iter().find(|(other, its)| other != site && overlap(its, net))?;
        Some([before.0, *site].map(|id| plan.nodes[id.index()].name.as_str())).zip(Some(*net))
    };
    let ([one, other], net) = all.iter().enumerate().find_map(clash)?;
    Some(format!(
        "{net} is announced by `{one}` and `{other}`: each site of a VPN Concentrator has CIDR blocks of its own"
    ))
}

/// What is assumed of how a transit gateway spreads flows over equal tunnels.
fn spreading(name: &str, assume: &Assume) -> [Assumption; 2] {
    let one = |what, setting: &str, value: String, ends: [&str; 2], source: &str| Assumption {
        what,
        owner: Some(name.to_owned()),
        parameter: format!("assume.{setting}"),
        value,
        source: format!("UNVERIFIED: {source}"),
        range: super::range(ends, "assumed"),
    };
    let fields = match assume.flow_hash {
        FlowFields::FiveTuple => "five_tuple",
        FlowFields::ThreeTuple => "three_tuple",
    };
    let hash = "AWS does not publish how flows are spread over equal tunnels; a hash of these numbers of a flow, salted with the scenario's seed";
    let paths = match assume.ecmp_paths {
        u8::MAX => "all".to_owned(),
        paths => paths.to_string(),
    };
    [
        one(Assumed::FlowHash, "flow_hash", fields.to_owned(), ["five_tuple", "three_tuple"], hash),
        one(
            Assumed::EcmpPaths,
            "ecmp_paths",
            paths,
            ["1", "50"],
            "AWS publishes no limit to the number of equal tunnels",
        ),
    ]
}

/// The number of a route table; 0 if none is named. Transit and Direct Connect gateways and VPCs have several that can be named.
pub(super) fn table(at: Option<&At<Name>>, node: Option<NodeId>, plan: &Plan, j: &mut Judge) -> u8 {
    let Some(at) = at else { return 0 };
    let Some(Name(name)) = j.read(at) else { return 0 };
    let (owner, tables): (_, Vec<&str>) = match node
        .and_then(|node| plan.nodes.get(node.index()))
        .map(|node| &node.kind)
    {
        Some(NodeKind::TransitGateway(gateway)) => {
            ("transit gateway", gateway.route_tables.iter().map(|table| table.name.as_str()).collect())
        }
        Some(NodeKind::Vpc(vpc)) => ("VPC", vpc.route_tables.iter().map(|table| table.name.as_str()).collect()),
        Some(NodeKind::DirectConnectGateway(gateway)) => ("Direct Connect gateway", gateway.tables().collect()),
        Some(_) => {
            j.wrong(at.place, "route tables are told apart on a transit or Direct Connect gateway or VPC only", None);
            return 0;
        }
        None => return 0,
    };
    tables.iter().position(|table| *table == name).map_or_else(
        || {
            let help = did_you_mean(&name, tables.iter().copied());
            j.wrong(at.place, format!("no route table of this {owner} is called `{name}`"), help);
            0
        },
        |i| i as u8,
    )
}
