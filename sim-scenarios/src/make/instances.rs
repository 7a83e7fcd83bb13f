//! EC2 instances that are customer gateways.

use sim_core::id::NodeId;
use sim_core::time::Duration;

use crate::leaf::Name;
use crate::plan::{End, GatewayInstance, Interface, NodeKind, Plan, Takeover};
use crate::schema;

use super::judge::{Judge, between};
use super::nodes::whole;
use super::vpc::{Vpcs, named, not_reserved};

/// The instance that a customer gateway is.
pub(super) fn make(
    schema: &schema::GatewayInstance,
    gateway: &schema::CustomerGateway,
    interfaces: &[Interface],
    vpcs: &Vpcs,
    j: &mut Judge,
) -> GatewayInstance {
    let names: Vec<String> = interfaces.iter().map(|it| it.name.clone()).collect();
    let interface = match &schema.interface {
        Some(at) => j.find(at, "interface of this gateway", &names),
        None => names.iter().position(|name| name == "wan").or_else(|| {
            let help = format!("add `interface:`, one of: {}", names.join(", "));
            j.wrong(schema.subnet.place, "the gateway has no interface called `wan` to be in the VPC", Some(help));
            None
        }),
    };
    let interface = interface.unwrap_or_default();
    let place = vpcs.subnet(&schema.subnet, j);
    let (vpc, subnet) = place.unwrap_or_default();
    let of = place.and_then(|(vpc, subnet)| Some((vpcs.schema(vpc)?, subnet)));
    if let (Some((of, subnet)), Some((_, it))) = (of, gateway.interfaces.0.get(interface))
        && let Some(block) = of.subnets.0.get(subnet).and_then(|(_, subnet)| subnet.cidr.value.clone().ok())
    {
        j.lawful(&it.address, |net| match net.trunc() == block {
            true => not_reserved(block, net.addr()),
            false => Err(format!("{} is not in subnet {block}", net)),
        });
    }
    let elastic_ip = vpcs.elastic_ip(place.map(|(vpc, _)| vpc), Some(&schema.elastic_ip), j);
    let tracks: Vec<String> = gateway.tracks.0.iter().filter_map(|(at, _)| named(at)).collect();
    let mut takeovers = Vec::new();
    for it in &schema.takeovers {
        let track = j.find(&it.track, "track of this device", &tracks);
        let destination = j.lawful(&it.destination, whole);
        let hour = Duration::from_secs(3600);
        let delay = j.lawful_or(&it.delay, Duration::from_secs(2), |delay| {
            between(*delay, Duration::ZERO, hour, "the time that a replacement takes")
        });
        let gives_back = j.or(&it.gives_back, false);
        for at in &it.route_tables {
            let table = place.and_then(|(vpc, _)| vpcs.table(vpc, at, j));
            let (Some(track), Some(destination), Some(table)) = (track, destination, table) else { continue };
            let has = |(_, route): &(_, &schema::VpcRoute)| route.destination.value == Ok(destination);
            let routes = of.and_then(|(of, _)| Some(&of.route_tables.0.get(table)?.1.routes));
            if !routes.is_some_and(|routes| routes.iter().enumerate().any(|it| has(&it))) {
                let Ok(Name(name)) = &at.value else { continue };
                let message = format!("`{name}` has no route to {destination} that could be replaced");
                j.wrong(it.destination.place, message, None);
            }
            takeovers.push(Takeover { track, table, destination, delay, gives_back });
        }
    }
    GatewayInstance {
        interface,
        vpc,
        subnet,
        address: interfaces.get(interface).map_or(super::nodes::ANY, |it| it.address.addr()),
        elastic_ip: elastic_ip.unwrap_or(super::nodes::ANY),
        source_destination_check: j.or(&schema.source_destination_check, true),
        security_groups: super::groups::of_interface(&schema.security_groups, of.map(|(of, _)| &of.security_groups), j),
        tracking: super::groups::tracking(&schema.connection_tracking, &schema.security_groups, j),
        takeovers,
    }
}

/// The instance whose interface an end is.
pub(super) fn at(plan: &Plan, end: End) -> Option<&GatewayInstance> {
    match &plan.nodes.get(end.node.index())?.kind {
        NodeKind::CustomerGateway(it) => it.instance.as_deref().filter(|it| end.interface == Some(it.interface)),
        _ => None,
    }
}

/// Where what such an interface sends to the internet leaves its VPC.
pub(super) fn internet_gateway(plan: &Plan, end: End) -> Option<End> {
    let vpc = at(plan, end)?.vpc;
    let of = |kind: &NodeKind| matches!(kind, NodeKind::InternetGateway(it) if it.vpc == vpc);
    let node = plan.nodes.iter().position(|node| of(&node.kind))?;
    Some(End { node: NodeId(node as u32), interface: None })
}
