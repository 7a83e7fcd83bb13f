//! VPCs: subnets, route tables, network ACLs, instances, the gateways that are attached to them.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::net::acl::{self, Entry, Match};

use crate::leaf::{AclAction, IpProtocol, Name, PortRange};
use crate::place::{At, Place};
use crate::plan::{
    Appliance, ApplianceKind, Assumed, Assumption, Instance, InternetGateway, Node, NodeKind, Plan, RouteTable, Subnet,
    Vpc,
};
use crate::schema;

use super::judge::Judge;
use super::nodes::{ANY, overlap, usable, whole};
use super::vpc_routes::{self, Attached};
use super::{Names, judge};

/// The VPCs of a scenario and the names of what is in them, for those who refer to them.
pub(super) struct Vpcs<'s> {
    names: Vec<String>,
    nodes: Vec<NodeId>,
    schemas: Vec<&'s schema::Vpc>,
    /// `VPC.SUBNET`
    subnets: Vec<String>,
    places: Vec<(NodeId, usize)>,
}

impl<'s> Vpcs<'s> {
    pub(super) fn of(scenario: &'s schema::Scenario, names: &Names, j: &mut Judge) -> Self {
        let mut all = Self { names: vec![], nodes: vec![], schemas: vec![], subnets: vec![], places: vec![] };
        for (i, (name, (_, node))) in names.nodes.iter().zip(&scenario.nodes.0).enumerate() {
            if let schema::Node::Vpc(vpc) = node {
                let id = NodeId(i as u32);
                all.names.push(name.clone());
                all.nodes.push(id);
                all.schemas.push(vpc);
                for (subnet, end) in j.names(&vpc.subnets, "subnet").iter().enumerate() {
                    all.subnets.push(format!("{name}.{end}"));
                    all.places.push((id, subnet));
                }
            }
        }
        all
    }

    pub(super) fn find(&self, at: &At<Name>, j: &mut Judge) -> Option<NodeId> {
        j.find(at, "VPC", &self.names).map(|i| self.nodes[i])
    }

    /// A subnet, as `VPC.SUBNET`.
    pub(super) fn subnet(&self, at: &At<Name>, j: &mut Judge) -> Option<(NodeId, usize)> {
        j.find(at, "subnet", &self.subnets).map(|i| self.places[i])
    }

    /// The VPC and subnet of a name like "vpc.app".
    pub(super) fn place(&self, name: &str) -> Option<(NodeId, usize)> {
        self.subnets.iter().position(|subnet| subnet == name).map(|i| self.places[i])
    }

    /// What is written of a VPC.
    pub(super) fn schema(&self, vpc: NodeId) -> Option<&'s schema::Vpc> {
        self.nodes.iter().position(|node| *node == vpc).map(|i| self.schemas[i])
    }

    /// A route table of a VPC.
    pub(super) fn table(&self, vpc: NodeId, at: &At<Name>, j: &mut Judge) -> Option<usize> {
        let tables = &self.schema(vpc)?.route_tables.0;
        let names: Vec<String> = match tables.is_empty() {
            true => vec!["main".to_owned()],
            false => tables.iter().filter_map(|(at, _)| named(at)).collect(),
        };
        j.find(at, "route table of this VPC", &names)
    }

    /// The block of a VPC, if it reads as one.
    pub(super) fn cidr(&self, vpc: NodeId) -> Option<Ipv4Net> {
        self.schema(vpc)?.cidr.value.clone().ok()
    }

    /// The address of a network interface in a subnet.
    pub(super) fn address(&self, place: Option<(NodeId, usize)>, at: &At<Ipv4Addr>, j: &mut Judge) -> Ipv4Addr {
        let block = place.and_then(|(vpc, subnet)| self.schema(vpc)?.subnets.0.get(subnet)?.1.cidr.value.clone().ok());
        let address = j.lawful(at, |address| match block {
            None => Ok(()),
            Some(block) if !block.contains(address) => Err(format!("{address} is not in subnet {block}")),
            Some(block) => not_reserved(block, *address),
        });
        address.unwrap_or(ANY)
    }

    /// An Elastic IP address.
    pub(super) fn elastic_ip(&self, vpc: Option<NodeId>, at: Option<&At<Ipv4Addr>>, j: &mut Judge) -> Option<Ipv4Addr> {
        let block = vpc.and_then(|vpc| self.cidr(vpc));
        j.lawful(at?, |address| {
            usable((*address).into())?;
            match block {
                Some(block) if block.contains(address) => {
                    Err(format!("{address} is a private address of the VPC, not an Elastic IP address"))
                }
                _ => Ok(()),
            }
        })
    }
}

pub(super) fn named(at: &At<Name>) -> Option<String> {
    at.value.as_ref().ok().map(|Name(name)| name.clone())
}

pub(super) fn vpc(
    schema: &schema::Vpc,
    at: &At<Name>,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> Vpc {
    let cidr = j.lawful(&schema.cidr, vpc_sized).unwrap_or_default();
    let attached = Attached::to(at, scenario, names);
    let route_tables = if schema.route_tables.0.is_empty() {
        vec![RouteTable { name: "main".into(), propagation: attached.virtual_private.clone(), routes: Vec::new() }]
    } else {
        vpc_routes::tables(schema, cidr, &attached, names, j)
    };
    let tables: Vec<String> = route_tables.iter().map(|table| table.name.clone()).collect();
    let acls = j.names(&schema.network_acls, "network ACL");
    let mut subnets: Vec<Subnet> = Vec::new();
    if schema.subnets.0.is_empty() {
        j.wrong(at.place, "this VPC has no subnet", None);
    }
    for (at, subnet) in &schema.subnets.0 {
        let block = j.lawful(&subnet.cidr, |net| {
            vpc_sized(net)?;
            if !cidr.contains(net) {
                return Err(format!("{net} is not inside the VPC's block {cidr}"));
            }
            match subnets.iter().find(|other| overlap(&other.cidr, net)) {
                Some(other) => Err(format!("{net} overlaps subnet `{}`", other.name)),
                None => Ok(()),
            }
        });
        subnets.push(Subnet {
            name: named(at).unwrap_or_default(),
            cidr: block.unwrap_or_default(),
            availability_zone: j.need(&subnet.availability_zone, Name(String::new())).0,
            route_table: match &subnet.route_table {
                Some(table) => j.find(table, "route table", &tables).unwrap_or(0),
                None => main_table(&tables, at.place, j),
            },
            network_acl: subnet.network_acl.as_ref().and_then(|at| j.find(at, "network ACL of this VPC", &acls)),
        });
    }
    let network_acls = acls.into_iter().zip(&schema.network_acls.0);
    let network_acls = network_acls.map(|(name, (_, acl))| (name, network_acl(acl, j))).collect();
    let security_groups = super::groups::make(&schema.security_groups, j);
    let region = schema.region.as_ref().and_then(|at| j.read(at)).map(|Name(name)| name);
    Vpc { cidr, region, subnets, route_tables, network_acls, security_groups }
}

/// VPC and subnet blocks are /16 to /28.
fn vpc_sized(net: &Ipv4Net) -> judge::Verdict {
    whole(net)?;
    judge::between(net.prefix_len(), 16, 28, "the prefix length of a VPC or subnet")
}

fn main_table(tables: &[String], place: Place, j: &mut Judge) -> usize {
    tables.iter().position(|table| table == "main").unwrap_or_else(|| {
        let help = "give it `route_table:`, or call one of the VPC's tables \"main\"";
        j.wrong(place, "this subnet has no route table", Some(help.into()));
        0
    })
}

fn network_acl(schema: &schema::NetworkAcl, j: &mut Judge) -> acl::NetworkAcl {
    let mut entries = |rules: &[schema::AclRule]| {
        let mut numbers: BTreeSet<u64> = BTreeSet::new();
        let mut made = Vec::new();
        for rule in rules {
            let number = j.lawful(&rule.rule, |number| {
                judge::between(*number, 1, 32_766, "the number of a rule")?;
                if numbers.insert(*number) { Ok(()) } else { Err(format!("there is a rule {number} already")) }
            });
            let protocol = rule.protocol.as_ref().and_then(|at| j.read(at)).map(|IpProtocol(number)| number);
            if let (Some(at), false) = (&rule.ports, matches!(protocol, Some(6 | 17))) {
                let help = "give it `protocol: \"udp\"` or `protocol: \"tcp\"`";
                j.wrong(at.place, "only UDP and TCP have ports", Some(help.into()));
            }
            let ports = rule.ports.as_ref().and_then(|at| j.read(at)).map(|PortRange(ports)| ports);
            let other = j.lawful(&rule.cidr, whole).unwrap_or_default();
            let allow = j.need(&rule.action, AclAction::Deny) == AclAction::Allow;
            let number = number.and_then(|number| u16::try_from(number).ok()).unwrap_or_default();
            made.push(Entry { number, matches: Match { protocol, ports, other }, allow });
        }
        made
    };
    acl::NetworkAcl::new(entries(&schema.inbound), entries(&schema.outbound))
}

pub(super) fn instance(schema: &schema::Instance, vpcs: &Vpcs, j: &mut Judge) -> Instance {
    let place = vpcs.subnet(&schema.subnet, j);
    let (vpc, subnet) = place.unwrap_or_default();
    let address = vpcs.address(place, &schema.address, j);
    let elastic_ip = vpcs.elastic_ip(place.map(|(vpc, _)| vpc), schema.elastic_ip.as_ref(), j);
    let mtu = j.number(&schema.mtu, 1500, 576, 9001, "the MTU of an instance");
    let groups = place.and_then(|(vpc, _)| vpcs.schema(vpc)).map(|vpc| &vpc.security_groups);
    let security_groups = super::groups::of_interface(&schema.security_groups, groups, j);
    let tracking = super::groups::tracking(&schema.connection_tracking, &schema.security_groups, j);
    Instance { vpc, subnet, address, elastic_ip, mtu, security_groups, tracking }
}

/// AWS keeps the first four addresses of a subnet and its last.
pub(super) fn not_reserved(block: Ipv4Net, address: Ipv4Addr) -> judge::Verdict {
    let first = u32::from(block.network());
    let offset = u32::from(address) - first;
    if offset < 4 || address == block.broadcast() {
        Err(format!("AWS keeps the first four addresses of {block} and its last for itself"))
    } else {
        Ok(())
    }
}

pub(super) fn internet_gateway(schema: &schema::InternetGateway, vpcs: &Vpcs, j: &mut Judge) -> InternetGateway {
    let vpc = vpcs.find(&schema.vpc, j);
    let route_table = vpc.zip(schema.route_table.as_ref()).and_then(|(vpc, at)| vpcs.table(vpc, at, j));
    // Which addresses have one is known when everything in the VPC is.
    InternetGateway { vpc: vpc.unwrap_or_default(), route_table, addresses: Vec::new() }
}

/// The addresses of what is in a VPC, with whose and where they stand.
pub(super) fn addresses(schema: &schema::Node, kind: &NodeKind, name: &str) -> Vec<(Ipv4Addr, String, Place)> {
    let mut further = Vec::new();
    let (address, at, elastic, elastic_at) = match (schema, kind) {
        (schema::Node::Instance(it), NodeKind::Instance(made)) => {
            (made.address, &it.address, made.elastic_ip, &it.elastic_ip)
        }
        (schema::Node::NatGateway(it), NodeKind::Appliance(made)) => {
            further = secondary(it, made, name);
            (made.address, &it.address, made.elastic_ip, &it.elastic_ip)
        }
        (schema::Node::NatInstance(it), NodeKind::Appliance(made)) => {
            (made.address, &it.address, made.elastic_ip, &it.elastic_ip)
        }
        (schema::Node::InterfaceEndpoint(it), NodeKind::Appliance(made)) => (made.address, &it.address, None, &None),
        (schema::Node::LoadBalancer(it), NodeKind::Appliance(made)) => (made.address, &it.address, None, &None),
        (schema::Node::FirewallInstance(it), NodeKind::Appliance(made)) => (made.address, &it.address, None, &None),
        (schema::Node::ResolverEndpoint(it), NodeKind::Appliance(made)) => (made.address, &it.address, None, &None),
        (schema::Node::ClientVpnAssociation(it), NodeKind::ClientVpnAssociation(made)) => {
            let outside = (made.outside, format!("{name}.outside_address"), it.outside_address.place);
            return vec![(made.address, name.to_owned(), it.address.place), outside];
        }
        _ => return Vec::new(),
    };
    let elastic =
        elastic.zip(elastic_at.as_ref()).map(|(address, at)| (address, format!("{name}.elastic_ip"), at.place));
    core::iter::once((address, name.to_owned(), at.place)).chain(elastic).chain(further).collect()
}

/// Those of a NAT gateway beside its first.
fn secondary(schema: &schema::NatGateway, made: &Appliance, name: &str) -> Vec<(Ipv4Addr, String, Place)> {
    let ApplianceKind::NatGateway { secondary, .. } = &made.kind else { return Vec::new() };
    let mut all = Vec::new();
    for (it, (address, elastic)) in schema.secondary_addresses.iter().zip(secondary) {
        let elastic = elastic.zip(it.elastic_ip.as_ref()).map(|(elastic, at)| (elastic, at.place));
        let both = core::iter::once((*address, it.address.place)).chain(elastic);
        all.extend(both.map(|(address, place)| (address, format!("{name}.secondary_addresses"), place)));
    }
    all
}

/// The network interface of a device in a VPC: the VPC, its subnet there, its private and its Elastic IP address.
pub(crate) fn interface(kind: &NodeKind) -> Option<(NodeId, usize, Ipv4Addr, Option<Ipv4Addr>)> {
    match kind {
        NodeKind::Instance(it) => Some((it.vpc, it.subnet, it.address, it.elastic_ip)),
        NodeKind::Appliance(it) => Some((it.vpc, it.subnet, it.address, it.elastic_ip)),
        NodeKind::CustomerGateway(it) => {
            it.instance.as_ref().map(|it| (it.vpc, it.subnet, it.address, Some(it.elastic_ip)))
        }
        NodeKind::ClientVpnAssociation(it) => Some((it.vpc, it.subnet, it.address, None)),
        _ => None,
    }
}

/// What can be said of what is attached to VPCs when everything else is known.
pub(super) fn attached(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    edges(scenario, plan, j);
    elastic_ips(scenario, plan, j);
    super::appliances::endpoints(scenario, plan, j);
    super::quotas::warn(plan);
    let transit = |vpc: NodeId| {
        plan.nodes.iter().any(|node| matches!(&node.kind, NodeKind::TransitGateway(tgw) if tgw.vpcs.contains(&vpc)))
    };
    for (name, node) in names.nodes.iter().zip(&plan.nodes) {
        if let NodeKind::Appliance(appliance) = &node.kind
            && transit(appliance.vpc)
            && let Appliance { kind: ApplianceKind::NatGateway { from_transit_gateway, .. }, .. } = **appliance
        {
            plan.assumptions.push(Assumption {
                what: Assumed::NatGatewayForSites,
                owner: Some(name.clone()),
                parameter: format!("nodes.{name}.from_transit_gateway"),
                value: from_transit_gateway.to_string(),
                source: "UNVERIFIED: AWS says that a NAT gateway serves no VPN connection; behind a transit gateway it is reported to"
                    .into(),
                range: super::range(["true", "false"], "both are said"),
            });
        }
    }
}

/// The edge tables of gateways hold what AWS lets them hold (page gateway-route-tables.html).
fn edges(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let mut internet: BTreeSet<NodeId> = BTreeSet::new();
    for ((_, schema), node) in scenario.nodes.0.iter().zip(&plan.nodes) {
        let (vpc, number, at) = match (schema, &node.kind) {
            (schema::Node::VirtualPrivateGateway(it), NodeKind::VirtualPrivateGateway(made)) => {
                let Some(vpc) = made.vpc else { continue };
                (vpc, made.route_table, &it.route_table)
            }
            (schema::Node::InternetGateway(it), NodeKind::InternetGateway(made)) => {
                if it.vpc.value.is_ok() && !internet.insert(made.vpc) {
                    j.wrong(it.vpc.place, "another internet gateway is attached to this VPC: AWS attaches one", None);
                }
                (made.vpc, made.route_table, &it.route_table)
            }
            _ => continue,
        };
        let (Some(number), Some(at)) = (number, at) else { continue };
        let Some(Node { kind: NodeKind::Vpc(vpc), .. }) = plan.nodes.get(vpc.index()) else { continue };
        let Some(table) = vpc.route_tables.get(number) else { continue };
        if let Some(subnet) = vpc.subnets.iter().find(|subnet| subnet.route_table == number) {
            let message = format!("`{}` is the route table of subnet `{}`, not of a gateway", table.name, subnet.name);
            j.wrong(at.place, message, None);
        }
        if !table.propagation.is_empty() {
            j.wrong(
                at.place,
                format!("nothing is propagated into the route table of a gateway: `{}`", table.name),
                None,
            );
        }
        for (destination, target) in &table.routes {
            let is_interface = |id: NodeId| plan.nodes.get(id.index()).is_some_and(|it| interface(&it.kind).is_some());
            if !target.is_some_and(is_interface) {
                let message = format!(
                    "the route to {destination} in `{}` is neither local nor to a network interface",
                    table.name
                );
                j.wrong(at.place, message, Some("a gateway's route table leads nowhere else".into()));
            } else if !vpc.cidr.contains(destination) {
                let message = format!("{destination} in `{}` is not in the VPC", table.name);
                let help = "a gateway's route table is for the VPC's block or whole subnets of it: never for 0.0.0.0/0";
                j.wrong(at.place, message, Some(help.into()));
            }
        }
    }
}

/// Elastic IP addresses belong to the internet gateway of their VPC.
fn elastic_ips(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let mut found: Vec<(NodeId, Ipv4Addr, Ipv4Addr)> = Vec::new();
    for ((_, schema), node) in scenario.nodes.0.iter().zip(&plan.nodes) {
        let Some((vpc, _, private, Some(elastic))) = interface(&node.kind) else { continue };
        found.push((vpc, private, elastic));
        if let NodeKind::Appliance(appliance) = &node.kind
            && let ApplianceKind::NatGateway { secondary, .. } = &appliance.kind
        {
            found.extend(secondary.iter().filter_map(|(private, elastic)| Some((vpc, *private, (*elastic)?))));
        }
        let at = match schema {
            schema::Node::Instance(it) => it.elastic_ip.as_ref(),
            schema::Node::NatGateway(it) => it.elastic_ip.as_ref(),
            schema::Node::NatInstance(it) => it.elastic_ip.as_ref(),
            schema::Node::CustomerGateway(it) => it.instance.as_ref().map(|it| &it.elastic_ip),
            _ => continue,
        };
        let attached = |node: &Node| matches!(&node.kind, NodeKind::InternetGateway(gateway) if gateway.vpc == vpc);
        if let (Some(at), false) = (at, plan.nodes.iter().any(attached)) {
            let help = "attach an internet gateway to it: \"igw\": InternetGateway(vpc: \"...\")";
            let message = "no internet gateway is attached to this VPC, so an Elastic IP address leads nowhere";
            j.wrong(at.place, message, Some(help.into()));
        }
    }
    for node in &mut plan.nodes {
        if let NodeKind::InternetGateway(gateway) = &mut node.kind {
            let mine = found.iter().filter(|(vpc, ..)| *vpc == gateway.vpc);
            gateway.addresses = mine.map(|(_, private, elastic)| (*private, *elastic)).collect();
        }
    }
}
