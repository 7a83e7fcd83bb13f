//! What one failure takes away, and whether anybody hears of it.

use sim_core::id::NodeId;

use super::drawing::{Drawing, Exit, Part};
use super::rule::{MISSED_ZONE, NO_ALARM, ONE_CUSTOMER_GATEWAY, ONE_TUNNEL, SINGLE_POINT};
use super::{Desk, listed, some};
use crate::plan::{Metered, Metric, NodeKind};

pub(super) fn look(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    one_tunnel(desk);
    single_points(desk, drawing);
    zones(desk);
    alarms(desk);
}

/// AWS replaces endpoints one at a time, so a connection with one tunnel is dark whenever that one is.
fn one_tunnel(desk: &mut Desk<'_>) {
    let alone: Vec<&str> =
        desk.connections().filter(|(_, c)| c.tunnels.len() == 1).map(|(_, c)| c.name.as_str()).collect();
    let Some(first) = alone.first() else { return };
    let text = format!(
        "Of the two tunnels of {}{} only one is in use. AWS replaces endpoints when it likes, one at a time: each replacement, and each \
         failure of a zone, takes such a connection away.",
        if alone.len() == 1 { "" } else { "each of " },
        some(&alone)
    );
    let change = "configure the second tunnel: AWS ends it in another availability zone";
    desk.say(ONE_TUNNEL, format!("connections.{first}.tunnels"), text, change);
}

fn single_points(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    // What is the same towards several gateways is said once.
    let mut all: Vec<(NodeId, Vec<Part>, Vec<NodeId>, usize)> = Vec::new();
    let mut gateways: Vec<(NodeId, NodeId, Vec<NodeId>)> = Vec::new();
    for between in drawing.between() {
        // A router of the site may be drawn as a customer gateway without a connection.
        let is_gateway = |node: NodeId| {
            between.exits.iter().any(|exit| match exit {
                Exit::Tunnel(id) => desk.plan.connections[id.connection].customer_gateway == node,
                Exit::Line { from, .. } => *from == node,
            })
        };
        let mut others = Vec::new();
        for point in drawing.single_points(&between) {
            match point {
                Part::Node(node) if is_gateway(node) => {
                    match gateways.iter_mut().find(|(host, it, _)| (*host, *it) == (between.host, node)) {
                        Some((.., towards)) => towards.push(between.gateway),
                        None => gateways.push((between.host, node, vec![between.gateway])),
                    }
                }
                other => others.push(other),
            }
        }
        if others.is_empty() {
            continue;
        }
        match all.iter_mut().find(|(host, points, ..)| *host == between.host && *points == others) {
            Some((.., towards, ways)) => {
                towards.push(between.gateway);
                *ways = between.exits.len().max(*ways);
            }
            None => all.push((between.host, others, vec![between.gateway], between.exits.len())),
        }
    }
    for (host, gateway, towards) in gateways {
        let towards: Vec<&str> = towards.iter().map(|node| desk.name(*node)).collect();
        let (host, gateway, towards) = (desk.name(host), desk.name(gateway), some(&towards));
        let text = format!(
            "All that goes from {host} to {towards} passes one customer gateway, {gateway}. Tunnels and connections beside it do not \
             help when it is down, or restarted for an update."
        );
        let change = format!("a second customer gateway with a connection of its own to {towards}");
        desk.say(ONE_CUSTOMER_GATEWAY, format!("nodes.{gateway}"), text, change);
    }
    for (host, points, towards, ways) in all {
        let names: Vec<&str> = points.iter().map(|part| named(desk, *part).1).collect();
        let towards: Vec<&str> = towards.iter().map(|node| desk.name(*node)).collect();
        let ways = match ways {
            1 => "the one way".to_owned(),
            n => format!("each of the {n} ways"),
        };
        let text = format!(
            "Between {} and {}, {ways} leads over {}: the drawing has nothing beside {}.",
            desk.name(host),
            some(&towards),
            listed(&names),
            if names.len() == 1 { "it" } else { "them" }
        );
        let change = "a second provider, line or device for one of the ways; `vpnsim run --faults every_single` says what each failure costs";
        desk.say(SINGLE_POINT, named(desk, points[0]).0, text, change);
    }
}

/// The path and the name of a part. AWS's end of a virtual interface is written under its connection.
fn named<'p>(desk: &Desk<'p>, part: Part) -> (String, &'p str) {
    match part {
        Part::Node(node) => {
            let name = desk.name(node);
            match (&desk.plan.nodes[node.index()].kind, name.split_once('.')) {
                (NodeKind::VirtualInterface(_), Some((connection, interface))) => {
                    (format!("direct_connect.{connection}.virtual_interfaces.{interface}"), name)
                }
                _ => (format!("nodes.{name}"), name),
            }
        }
        Part::Link(link) => {
            let name = desk.plan.links[link.index()].name.as_str();
            (format!("links.{name}"), name)
        }
    }
}

/// An attachment serves the zones in which it has a subnet.
fn zones(desk: &mut Desk<'_>) {
    for (at, node) in desk.plan.nodes.iter().enumerate() {
        let NodeKind::TransitGateway(gateway) = &node.kind else { continue };
        for (vpc, subnets) in gateway.vpcs.iter().zip(&gateway.subnets) {
            let NodeKind::Vpc(it) = &desk.plan.nodes[vpc.index()].kind else { continue };
            let zone = |subnet: &usize| it.subnets[*subnet].availability_zone.as_str();
            let mut zones: Vec<&str> = (0..it.subnets.len()).map(|subnet| zone(&subnet)).collect();
            zones.sort_unstable();
            zones.dedup();
            let attached: Vec<&str> = subnets.iter().map(zone).collect();
            let left: Vec<&str> = zones.into_iter().filter(|zone| !attached.contains(zone)).collect();
            if left.is_empty() {
                continue;
            }
            let vpc = desk.name(*vpc);
            let text = format!(
                "The attachment of {vpc} to {} has a subnet in {}, and the VPC has subnets in {} as well: what is there does not \
                 reach the transit gateway, and nothing of the VPC does without {}.",
                desk.name(NodeId(at as u32)),
                listed(&attached),
                listed(&left),
                listed(&attached)
            );
            let change = format!("name a subnet of {} in `subnets` as well", listed(&left));
            desk.say(MISSED_ZONE, format!("nodes.{}.subnets", node.name), text, change);
        }
    }
}

/// A tunnel that is down beside one that is up is seen by nobody who does not look.
fn alarms(desk: &mut Desk<'_>) {
    let watched = |connection: usize| {
        desk.plan.alarms.iter().filter(|alarm| alarm.metric == Metric::TunnelState).any(|alarm| match alarm.of {
            Metered::Connection(of) => of == connection,
            Metered::Tunnel(of) => of.connection == connection,
            Metered::Gateway(_)
            | Metered::Attachment(..)
            | Metered::Line(_)
            | Metered::Member(_)
            | Metered::Interface(_) => false,
        })
    };
    let silent: Vec<&str> = desk.connections().filter(|(i, _)| !watched(*i)).map(|(_, c)| c.name.as_str()).collect();
    let Some(first) = silent.first() else { return };
    let text = format!(
        "No alarm looks at TunnelState of {}. While one of two tunnels is down the other carries on, and AWS's own notice of a \
         single tunnel comes after more than an hour.",
        some(&silent)
    );
    let change = "an alarm on TunnelState of each connection, below 1";
    desk.say(NO_ALARM, format!("connections.{first}"), text, change);
}
