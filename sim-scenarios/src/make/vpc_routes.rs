//! Route tables of VPCs: what they begin with, and what an operator changes.

use ipnet::Ipv4Net;
use sim_core::id::NodeId;

use crate::leaf::{Name, Prefix};
use crate::place::At;
use crate::plan::{FaultKind, NodeKind, Plan, RouteChange, RouteTable, RouteTarget};
use crate::schema;

use super::Names;
use super::judge::Judge;
use super::nodes::whole;
use super::vpc::named;

/// Route tables of one VPC (quota, and what this program numbers).
const ROUTE_TABLES: usize = 200;
/// Static routes of a route table, unless AWS raises that, and to what (page amazon-vpc-limits.html).
pub(super) const ROUTES: [usize; 2] = [50, 1_000];

/// What routes of a VPC can lead to.
pub(super) struct Attached {
    pub(super) virtual_private: Vec<NodeId>,
    transit: Vec<NodeId>,
    /// All of it, in the scenario's order.
    all: Vec<NodeId>,
}

impl Attached {
    /// To the VPC of this name.
    pub(super) fn to(vpc: &At<Name>, scenario: &schema::Scenario, names: &Names) -> Self {
        let mut attached = Self { virtual_private: Vec::new(), transit: Vec::new(), all: Vec::new() };
        let inside = |subnet: &At<Name>| {
            let there = named(subnet).and_then(|name| Some(name.split_once('.')?.0.to_owned()));
            there.is_some() && there == named(vpc)
        };
        for (i, (_, node)) in scenario.nodes.0.iter().take(names.nodes.len()).enumerate() {
            let id = NodeId(i as u32);
            let here = match node {
                schema::Node::VirtualPrivateGateway(it) => it.vpc.as_ref().is_some_and(|at| at.value == vpc.value),
                schema::Node::TransitGateway(it) => it.vpcs.iter().any(|at| at.value == vpc.value),
                schema::Node::InternetGateway(it) => it.vpc.value == vpc.value,
                schema::Node::VpcPeering(it) => [&it.requester, &it.accepter].iter().any(|at| at.value == vpc.value),
                schema::Node::Instance(it) => inside(&it.subnet),
                schema::Node::NatGateway(it) => inside(&it.subnet),
                schema::Node::NatInstance(it) => inside(&it.subnet),
                schema::Node::FirewallInstance(it) => inside(&it.subnet),
                schema::Node::CustomerGateway(it) => it.instance.as_ref().is_some_and(|it| inside(&it.subnet)),
                _ => false,
            };
            if here {
                attached.all.push(id);
                match node {
                    schema::Node::VirtualPrivateGateway(_) => attached.virtual_private.push(id),
                    schema::Node::TransitGateway(_) => attached.transit.push(id),
                    _ => {}
                }
            }
        }
        attached
    }

    fn names(of: &[NodeId], names: &Names) -> Vec<String> {
        of.iter().map(|id| names.nodes[id.index()].clone()).collect()
    }
}

pub(super) fn tables(
    schema: &schema::Vpc,
    cidr: Ipv4Net,
    attached: &Attached,
    names: &Names,
    j: &mut Judge,
) -> Vec<RouteTable> {
    let tables = &schema.route_tables;
    if let Some((extra, _)) = tables.0.get(ROUTE_TABLES) {
        j.wrong(extra.place, format!("a VPC has at most {ROUTE_TABLES} route tables"), None);
    }
    let gateways: Vec<NodeId> = attached.virtual_private.iter().chain(&attached.transit).copied().collect();
    let gateway_names = Attached::names(&gateways, names);
    let table_names = j.names(tables, "route table");
    let mut made = Vec::new();
    for (name, (_, table)) in table_names.into_iter().zip(&tables.0) {
        let mut propagation = Vec::new();
        for at in &table.propagation {
            let Some(id) = j.find(at, "gateway attached to this VPC", &gateway_names).map(|i| gateways[i]) else {
                continue;
            };
            if attached.transit.contains(&id) {
                let message = "a transit gateway propagates nothing into a VPC's route table";
                j.wrong(at.place, message, Some("give the table a route to it under `routes`".into()));
            } else {
                propagation.push(id);
            }
        }
        made.push(RouteTable { name, propagation, routes: routes(schema, table, cidr, attached, names, j) });
    }
    made
}

fn routes(
    schema: &schema::Vpc,
    table: &schema::RouteTable,
    cidr: Ipv4Net,
    attached: &Attached,
    names: &Names,
    j: &mut Judge,
) -> Vec<(Ipv4Net, Option<NodeId>)> {
    let mut routes: Vec<(Ipv4Net, Option<NodeId>)> = Vec::new();
    if let Some(extra) = table.routes.get(ROUTES[1]) {
        let message = format!("a route table has at most {} routes, if AWS has raised its quota", ROUTES[1]);
        j.wrong(extra.destination.place, message, None);
    }
    for route in &table.routes {
        let Some(destination) = j.lawful(&route.destination, whole) else { continue };
        let target = match target(&route.target, attached, names, j) {
            Some(Towards::Target(target)) => target,
            Some(Towards::Local) => {
                if !cidr.contains(&destination) {
                    let message = format!("{destination} is not local: the VPC is {cidr}");
                    j.wrong(route.target.place, message, None);
                }
                // The route is implied.
                continue;
            }
            None => continue,
        };
        if routes.iter().any(|(other, _)| *other == destination) {
            let message = format!("this table has a static route to {destination} already");
            j.wrong(route.destination.place, message, None);
        }
        let whole_subnet = schema.subnets.0.iter().any(|(_, it)| it.cidr.value.as_ref() == Ok(&destination));
        if cidr.contains(&destination) && !whole_subnet && target.is_some() {
            let message = format!("{destination} is inside of the VPC and no whole subnet");
            let help = "a route more specific than the local one is to a whole subnet";
            j.wrong(route.destination.place, message, Some(help.into()));
        }
        routes.push((destination, target));
    }
    routes
}

/// Where a route leads.
enum Towards {
    /// What is local, as is implied.
    Local,
    /// A gateway or what has a network interface; `None` for a blackhole.
    Target(Option<NodeId>),
}

/// The target of a route. `None` if there is no such target, which is noted.
fn target(at: &At<Name>, attached: &Attached, names: &Names, j: &mut Judge) -> Option<Towards> {
    let targets = Attached::names(&attached.all, names);
    match &at.value {
        Ok(Name(target)) if target == "blackhole" => Some(Towards::Target(None)),
        Ok(Name(target)) if target == "local" => Some(Towards::Local),
        Ok(Name(target)) if !targets.contains(target) && names.nodes.contains(target) => {
            let message = format!("`{target}` is neither in this VPC nor attached to it");
            let help = "a route leads to a gateway or peering connection of the VPC, or to a network interface in it";
            j.wrong(at.place, message, Some(help.into()));
            None
        }
        Ok(_) | Err(_) => {
            let found = j.find(at, "target of routes in this VPC", &targets)?;
            Some(Towards::Target(Some(attached.all[found])))
        }
    }
}

/// What an operator does to a route of a VPC; `None` if it is something else.
pub(super) fn change(
    what: &schema::What,
    scenario: &schema::Scenario,
    names: &Names,
    plan: &Plan,
    j: &mut Judge,
) -> Option<FaultKind> {
    let (table, destination, to) = match what {
        schema::What::CreateRoute(it) | schema::What::ReplaceRoute(it) => {
            (&it.table, &it.destination, Some(&it.target))
        }
        schema::What::DeleteRoute(it) => (&it.table, &it.destination, None),
        _ => return None,
    };
    let nothing = || {
        let change =
            RouteChange { node: NodeId::default(), table: 0, destination: Ipv4Net::default(), from: None, to: None };
        Some(FaultKind::VpcRoute(change))
    };
    let mut tables: Vec<(String, NodeId, usize)> = Vec::new();
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        if let NodeKind::Vpc(vpc) = &node.kind {
            let of = vpc.route_tables.iter().zip(0..);
            tables.extend(of.map(|(table, number)| (format!("{}.{}", node.name, table.name), id, number)));
        }
    }
    let known: Vec<String> = tables.iter().map(|(name, ..)| name.clone()).collect();
    let found = j.find(table, "route table of a VPC", &known).map(|i| &tables[i]);
    let (Some((_, id, number)), Some(destination_net)) = (found, j.lawful(destination, whole)) else {
        return nothing();
    };
    let (Some((name, schema::Node::Vpc(_))), NodeKind::Vpc(vpc)) =
        (scenario.nodes.0.get(id.index()), &plan.nodes[id.index()].kind)
    else {
        return nothing();
    };
    let to = match to.map(|at| (at, target(at, &Attached::to(name, scenario, names), names, j))) {
        None => None,
        Some((_, Some(Towards::Target(target)))) => Some(target),
        Some((at, Some(Towards::Local))) => {
            j.wrong(at.place, "the local route is there already, and stays", None);
            return nothing();
        }
        Some((_, None)) => return nothing(),
    };
    let routes = &vpc.route_tables[*number].routes;
    let from = routes.iter().find(|(prefix, _)| *prefix == destination_net).map(|(_, target)| *target);
    let creates = matches!(what, schema::What::CreateRoute(_));
    settle(destination, destination_net, vpc.cidr, creates, (from, to), routes.len(), j);
    let same = |fault: &crate::plan::Fault| match &fault.what {
        FaultKind::VpcRoute(it) => it.node == *id && it.table == *number && it.destination == destination_net,
        _ => false,
    };
    if let Some(other) = plan.faults.iter().find(|fault| same(fault)) {
        let message = format!("`{}` changes this route, too", other.name);
        j.wrong(destination.place, message, Some("one fault does, and undoes it when it heals".into()));
    }
    Some(FaultKind::VpcRoute(RouteChange { node: *id, table: *number, destination: destination_net, from, to }))
}

/// Notes what AWS would refuse: what is in the table decides which of the calls can be made.
fn settle(
    at: &At<Prefix>,
    destination: Ipv4Net,
    cidr: Ipv4Net,
    creates: bool,
    (from, to): (RouteTarget, RouteTarget),
    routes: usize,
    j: &mut Judge,
) {
    if cidr.contains(&destination) {
        let message = format!("{destination} is inside of the VPC, whose own routes do not change");
        return j.wrong(at.place, message, None);
    }
    match from {
        None if !creates => {
            let help = to.map(|_| "CreateRoute enters one".to_owned());
            j.wrong(at.place, format!("this table has no static route to {destination}"), help);
        }
        Some(_) if creates => {
            let message = format!("this table has a static route to {destination} already");
            j.wrong(at.place, message, Some("ReplaceRoute leads it elsewhere".into()));
        }
        Some(_) if from == to => j.wrong(at.place, format!("the route to {destination} leads there already"), None),
        None if routes >= ROUTES[1] => {
            let message = format!("a route table has at most {} routes, if AWS has raised its quota", ROUTES[1]);
            j.wrong(at.place, message, None);
        }
        _ => {}
    }
}
