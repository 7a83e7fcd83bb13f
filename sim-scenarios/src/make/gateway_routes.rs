//! Static routes that an operator changes at a transit gateway or of a connection to a virtual private gateway.
//!
//! Source: EC2 API, `CreateTransitGatewayRoute`, `ReplaceTransitGatewayRoute`, `DeleteTransitGatewayRoute`,
//! `CreateVpnConnectionRoute` ("between an existing virtual private gateway and a VPN customer gateway") and
//! `DeleteVpnConnectionRoute`.

use ipnet::Ipv4Net;

use super::connections::STATIC_ROUTES;
use super::judge::Judge;
use super::nodes::whole;
use super::{Names, transit};
use crate::leaf::{Name, Prefix};
use crate::place::At;
use crate::plan::{
    Attachment, ConnectionRoute, FaultKind, NodeKind, Plan, RouteChange, RouteTarget, Routing, TransitGateway,
};
use crate::schema;

/// What an operator does to a route of a transit gateway or connection; `None` if it is something else, or cannot be done, which is noted.
pub(super) fn change(what: &schema::What, names: &Names, plan: &Plan, j: &mut Judge) -> Option<FaultKind> {
    match what {
        schema::What::CreateTransitGatewayRoute(it) => {
            of_transit_gateway([&it.table, &it.target], &it.destination, true, plan, j)
        }
        schema::What::ReplaceTransitGatewayRoute(it) => {
            of_transit_gateway([&it.table, &it.target], &it.destination, false, plan, j)
        }
        schema::What::DeleteTransitGatewayRoute(it) => deleted(&it.table, &it.destination, plan, j),
        schema::What::CreateVpnConnectionRoute(it) => of_connection(it, true, names, plan, j),
        schema::What::DeleteVpnConnectionRoute(it) => of_connection(it, false, names, plan, j),
        _ => None,
    }
}

fn of_transit_gateway(
    [table, target]: [&At<Name>; 2],
    destination: &At<Prefix>,
    creates: bool,
    plan: &Plan,
    j: &mut Judge,
) -> Option<FaultKind> {
    let (mut change, gateway) = found(table, destination, plan, j)?;
    let attachments = transit::attachments(plan, change.node, gateway);
    let to = match &target.value {
        Ok(Name(name)) if name == "blackhole" => None,
        Ok(_) | Err(_) => {
            let known: Vec<String> = attachments.iter().map(|it| plan.attachment_name(*it).to_owned()).collect();
            let to = j.find(target, "attachment of this transit gateway", &known).map(|i| attachments[i])?;
            if let Attachment::Connect(_) = to {
                j.wrong(target.place, "a Connect attachment takes no static routes: it has BGP", None);
            }
            Some(to)
        }
    };
    change.to = Some(to);
    match change.from {
        None if !creates => missing(destination, &change, Some("CreateTransitGatewayRoute enters one"), j),
        Some(_) if creates => {
            let message = format!("this table has a static route to {} already", change.destination);
            j.wrong(destination.place, message, Some("ReplaceTransitGatewayRoute leads it elsewhere".into()));
        }
        Some(from) if from == to => {
            j.wrong(target.place, format!("the route to {} leads there already", change.destination), None);
        }
        None | Some(_) => {}
    }
    Some(FaultKind::TransitRoute(change))
}

fn deleted(table: &At<Name>, destination: &At<Prefix>, plan: &Plan, j: &mut Judge) -> Option<FaultKind> {
    let (change, _) = found(table, destination, plan, j)?;
    if change.from.is_none() {
        missing(destination, &change, None, j);
    }
    Some(FaultKind::TransitRoute(change))
}

fn missing(at: &At<Prefix>, change: &RouteChange<Attachment>, help: Option<&str>, j: &mut Judge) {
    let message = format!("this table has no static route to {}", change.destination);
    j.wrong(at.place, message, help.map(Into::into));
}

/// The table and what it has to the destination, to be deleted.
fn found<'p>(
    table: &At<Name>,
    destination: &At<Prefix>,
    plan: &'p Plan,
    j: &mut Judge,
) -> Option<(RouteChange<Attachment>, &'p TransitGateway)> {
    let mut tables = Vec::new();
    for (node, id) in plan.nodes.iter().zip((0..).map(sim_core::id::NodeId)) {
        if let NodeKind::TransitGateway(gateway) = &node.kind {
            let of = gateway.route_tables.iter().enumerate();
            tables.extend(of.map(|(number, table)| (format!("{}.{}", node.name, table.name), id, gateway, number)));
        }
    }
    let known: Vec<String> = tables.iter().map(|(name, ..)| name.clone()).collect();
    let of = j.find(table, "route table of a transit gateway", &known);
    let to = j.lawful(destination, whole)?;
    let (_, node, gateway, number) = tables.swap_remove(of?);
    let from: RouteTarget<Attachment> = transit::statics(plan, &gateway.route_tables[number])
        .into_iter()
        .find(|(prefix, _)| *prefix == to)
        .map(|(_, target)| target);
    let same = |what: &FaultKind| match what {
        FaultKind::TransitRoute(it) => (it.node, it.table, it.destination) == (node, number, to),
        _ => false,
    };
    once(destination, same, plan, j);
    Some((RouteChange { node, table: number, destination: to, from, to: None }, gateway))
}

fn of_connection(
    it: &schema::ConnectionRoute,
    enters: bool,
    names: &Names,
    plan: &Plan,
    j: &mut Judge,
) -> Option<FaultKind> {
    let found = j.find(&it.connection, "connection", &names.connections);
    let destination = j.lawful(&it.destination, whole)?;
    let connection = found?;
    let planned = plan.connections.get(connection)?;
    if let Some(NodeKind::TransitGateway(_)) = plan.nodes.get(planned.gateway.index()).map(|node| &node.kind) {
        let message = format!("`{}` ends at a transit gateway, whose routes are in its tables", planned.name);
        let help = if enters { "CreateTransitGatewayRoute" } else { "DeleteTransitGatewayRoute" };
        j.wrong(it.connection.place, message, Some(help.into()));
        return None;
    }
    let Routing::Static(prefixes) = &planned.routing else {
        let message = format!("the routing of `{}` is BGP: it has no static routes", planned.name);
        j.wrong(it.connection.place, message, None);
        return None;
    };
    match (enters, prefixes.contains(&destination)) {
        (true, true) => j.wrong(it.destination.place, format!("it has a static route to {destination} already"), None),
        (false, false) => j.wrong(it.destination.place, format!("it has no static route to {destination}"), None),
        (true, false) if prefixes.len() >= STATIC_ROUTES => {
            let message = format!("it has {STATIC_ROUTES} static routes already, and AWS allows no more");
            j.wrong(it.destination.place, message, None);
        }
        (true, false) | (false, true) => {}
    }
    let same = |what: &FaultKind| match what {
        FaultKind::ConnectionRoute(it) => (it.connection, it.destination) == (connection, destination),
        _ => false,
    };
    once(&it.destination, same, plan, j);
    Some(FaultKind::ConnectionRoute(ConnectionRoute { connection, destination, enters }))
}

/// Notes that another fault changes the same route.
fn once(at: &At<Prefix>, same: impl Fn(&FaultKind) -> bool, plan: &Plan, j: &mut Judge) {
    if let Some(other) = plan.faults.iter().find(|fault| same(&fault.what)) {
        let message = format!("`{}` changes this route, too", other.name);
        j.wrong(at.place, message, Some("one fault does, and undoes it when it heals".into()));
    }
}

/// What stands for a change that cannot be made.
pub(super) fn nothing() -> FaultKind {
    FaultKind::ConnectionRoute(ConnectionRoute { connection: 0, destination: Ipv4Net::default(), enters: true })
}
