//! Transit gateways: what is attached, which tables there are, and who is associated with them and propagates into them.

use sim_core::id::NodeId;

use crate::leaf::Name;
use crate::place::At;
use crate::plan::{Assumed, Assumption, Attachment, Node, NodeKind, Plan, TransitGateway, TransitRouteTable, TunnelId};
use crate::schema;

use super::Names;
use super::judge::{Judge, did_you_mean};
use super::nodes::{amazon_asn, whole};
use super::vpc::Vpcs;

/// Route tables of one transit gateway (quota).
const ROUTE_TABLES: usize = 20;

/// The attachments of a gateway with their names.
struct Attachments {
    names: Vec<String>,
    all: Vec<Attachment>,
}

impl Attachments {
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
    for vpc in &schema.vpcs {
        let Some(id) = vpcs.find(vpc, j) else { continue };
        if attached.contains(&id) {
            j.wrong(vpc.place, "this VPC is attached already", None);
        } else {
            attached.push(id);
        }
    }
    let mut attachments = Attachments { names: Vec::new(), all: Vec::new() };
    for id in &attached {
        attachments.names.push(names.nodes[id.index()].clone());
        attachments.all.push(Attachment::Vpc(*id));
    }
    for (i, (name, (_, schema::Connection::Vpn(vpn)))) in
        names.connections.iter().zip(&scenario.connections.0).enumerate()
    {
        if vpn.gateway.value == at.value {
            attachments.names.push(name.clone());
            attachments.all.push(Attachment::Connection(i));
        }
    }
    for (i, (other, node)) in scenario.nodes.0.iter().enumerate() {
        if let schema::Node::DirectConnectGateway(gateway) = node
            && gateway.associations.0.iter().any(|(name, _)| name.value == at.value)
            && let Ok(Name(name)) = &other.value
        {
            attachments.names.push(name.clone());
            attachments.all.push(Attachment::DirectConnectGateway(NodeId(i as u32)));
        }
    }
    TransitGateway {
        asn: amazon_asn(&schema.asn, &[], j),
        subnets: subnets(schema, &attached, vpcs, j),
        cidr_blocks: schema.cidr_blocks.iter().filter_map(|at| j.lawful(at, block)).collect(),
        vpcs: attached,
        route_tables: tables(schema, &attachments, j),
        vpn_ecmp: j.or(&schema.vpn_ecmp, true),
        preferred_tunnel: None,
    }
}

/// The subnet of each attached VPC in which the attachment is: the one that is named, or its first.
fn subnets(schema: &schema::TransitGateway, attached: &[NodeId], vpcs: &Vpcs, j: &mut Judge) -> Vec<usize> {
    let mut named: Vec<(NodeId, usize)> = Vec::new();
    for at in &schema.subnets {
        let Some((vpc, subnet)) = vpcs.subnet(at, j) else { continue };
        if !attached.contains(&vpc) {
            j.wrong(at.place, "this subnet's VPC is not attached to the transit gateway", None);
        } else if named.iter().any(|(other, _)| *other == vpc) {
            let help = "attachments in several availability zones of a VPC are not told apart here";
            j.wrong(at.place, "the attachment has a subnet of this VPC already", Some(help.into()));
        }
        named.push((vpc, subnet));
    }
    let of = |vpc: &NodeId| named.iter().find(|(other, _)| other == vpc).map_or(0, |(_, subnet)| *subnet);
    attached.iter().map(of).collect()
}

/// A block of a transit gateway's own is /24 or wider.
fn block(net: &ipnet::Ipv4Net) -> super::judge::Verdict {
    whole(net)?;
    super::judge::between(net.prefix_len(), 8, 24, "the prefix length of a transit gateway's own block")
}

fn tables(schema: &schema::TransitGateway, attachments: &Attachments, j: &mut Judge) -> Vec<TransitRouteTable> {
    if schema.route_tables.0.is_empty() {
        let all = || attachments.all.clone();
        let name = "default".to_owned();
        return vec![TransitRouteTable { name, associations: all(), propagations: all(), routes: Vec::new() }];
    }
    if let Some((extra, _)) = schema.route_tables.0.get(ROUTE_TABLES) {
        j.wrong(extra.place, format!("a transit gateway has at most {ROUTE_TABLES} route tables"), None);
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
            Some(list) => list.iter().filter_map(|at| attachments.find(at, j)).collect(),
            None => attachments.all.clone(),
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
                Some(attachment) => Some(attachment),
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

/// What can be said of transit gateways when connections are known.
pub(super) fn gateways(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
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
        if tunnels.is_empty() && gateway.vpcs.is_empty() && super::dx::ends(plan, NodeId(i as u32)).next().is_none() {
            j.wrong(at.place, "nothing is attached to this transit gateway", None);
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
            let why = "AWS does not publish how flows are spread over equal tunnels; a hash of the five numbers of a flow, salted \
                       with the scenario's seed";
            assume(Assumed::FlowHash, "vpn_ecmp", "true".into(), why);
        }
        if let Some(Node { kind: NodeKind::TransitGateway(gateway), .. }) = plan.nodes.get_mut(i) {
            gateway.preferred_tunnel = preferred;
        }
    }
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
