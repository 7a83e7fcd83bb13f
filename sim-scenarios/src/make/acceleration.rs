//! Accelerated VPN is not available over a public virtual interface of Direct Connect (Site-to-Site VPN user guide,
//! accelerated-vpn.html). Whether a connection would run over one, the routes of its customer gateway say: which of those to its
//! endpoints is the longest and has the least administrative distance.
//!
//! A route by BGP or with a track comes and goes. Where another one takes its place the answer is not known before the run, and it is a
//! warning. Left out: routes that another router tells the customer gateway, and policy routes, which are for packets in transit.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use sim_core::id::NodeId;
use sim_core::net::fib::distance;

use crate::plan::{Connection, CustomerGateway, End, InterfaceKind, NodeKind, Plan, Tunnel, Via, Warning};
use crate::schema;
use crate::underlay::{Way, ways};

use super::judge::Judge;
use super::links::{NOWHERE, other_end};

/// A route of a customer gateway to an endpoint.
struct Route {
    prefix: Ipv4Net,
    distance: u32,
    /// The interface that it leads out of, if it is one.
    interface: Option<usize>,
    /// Whether it is there only while a session or a track is up.
    may_go: bool,
}

/// Accelerated connections that would run over a public virtual interface.
pub(super) fn check(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    // What follows from a mistaken end is no mistake of its own. Of thousands of sites without Direct Connect none is looked at.
    let mistaken = plan.links.iter().any(|link| link.ends.iter().any(|end| end.node == NOWHERE));
    if plan.direct_connects.is_empty() || mistaken {
        return;
    }
    let mut of_underlay = None;
    let mut warnings = Vec::new();
    for ((_, schema), connection) in scenario.connections.0.iter().zip(&plan.connections) {
        let schema::Connection::Vpn(schema) = schema;
        let Some(at) = schema.enable_acceleration.as_ref().filter(|at| at.value == Ok(true)) else { continue };
        let node = connection.customer_gateway;
        let Some(NodeKind::CustomerGateway(gateway)) = plan.nodes.get(node.index()).map(|node| &node.kind) else {
            continue;
        };
        let public: Vec<(usize, NodeId)> = (0..gateway.interfaces.len())
            .filter_map(|interface| {
                Some((interface, public_interface(plan, End { node, interface: Some(interface) })?))
            })
            .collect();
        if public.is_empty() {
            continue;
        }
        let of_underlay = of_underlay.get_or_insert_with(|| ways(plan));
        let verdicts = connection.tunnels.iter().filter_map(|it| judge(plan, connection, it, &public, of_underlay));
        // Of two tunnels the one that is wrong for certain.
        match verdicts.min_by_key(|(_, certain)| !certain) {
            Some((text, true)) => {
                let help = "lead the tunnels over the internet, or leave out `enable_acceleration`";
                j.wrong(at.place, text, Some(help.into()));
            }
            Some((text, false)) => {
                let parameter = format!("connections.{}.enable_acceleration", connection.name);
                warnings.push(Warning { parameter, text });
            }
            None => {}
        }
    }
    plan.warnings.extend(warnings);
}

/// The public virtual interface at the other end of an interface's link.
fn public_interface(plan: &Plan, end: End) -> Option<NodeId> {
    let is_public = |id: NodeId| match plan.nodes.get(id.index()).map(|node| &node.kind) {
        Some(NodeKind::VirtualInterface(made)) => made.kind == InterfaceKind::Public,
        _ => false,
    };
    plan.links.iter().filter_map(|link| other_end(link, end)).map(|other| other.node).find(|id| is_public(*id))
}

/// What is to be said of a tunnel, and whether it is wrong for certain.
fn judge(
    plan: &Plan,
    connection: &Connection,
    tunnel: &Tunnel,
    public: &[(usize, NodeId)],
    of_underlay: &[Way],
) -> Option<(String, bool)> {
    let IpAddr::V4(endpoint) = tunnel.aws_outside else { return None };
    let said = |verb: &str, interface: NodeId, when: &str| {
        let (connection, tunnel, interface) = (&connection.name, &tunnel.name, &plan.nodes[interface.index()].name);
        format!(
            "accelerated connection `{connection}` {verb} endpoint `{tunnel}` over public virtual interface `{interface}`{when}, \
             where AWS has no acceleration"
        )
    };
    // AWS sends to where the tunnel starts, whatever the way there.
    if let Some((_, interface)) = public.iter().find(|(number, _)| *number == connection.customer_interface) {
        return Some((said("reaches", *interface, ""), true));
    }
    let routes = routes(plan, connection.customer_gateway, public, of_underlay, endpoint);
    let over = |route: &Route| public.iter().find(|(number, _)| Some(*number) == route.interface).map(|(_, id)| *id);
    let best = routes.first()?;
    let only = routes.iter().all(|route| over(route).is_some());
    match over(best) {
        Some(interface) if only || !best.may_go => Some((said("reaches", interface, ""), true)),
        Some(interface) => Some((said("reaches", interface, " while that route is up"), false)),
        None => {
            let interface = routes.iter().find_map(over)?;
            Some((said("would reach", interface, " if it lost its other way"), false))
        }
    }
}

/// The routes of a customer gateway to an address, the best first.
fn routes(plan: &Plan, node: NodeId, public: &[(usize, NodeId)], of_underlay: &[Way], to: Ipv4Addr) -> Vec<Route> {
    let Some(NodeKind::CustomerGateway(gateway)) = plan.nodes.get(node.index()).map(|node| &node.kind) else {
        return Vec::new();
    };
    let underlay = of_underlay.iter().filter(|way| way.node == node).filter_map(|way| {
        let IpNet::V4(prefix) = way.prefix else { return None };
        let end = plan.links[way.link.index()].ends.iter().find(|end| end.node == node)?;
        Some(Route { prefix, distance: distance::UNDERLAY.into(), interface: end.interface, may_go: false })
    });
    let by_hand = gateway.static_routes.iter().map(|route| Route {
        prefix: route.prefix,
        distance: route.distance,
        interface: match route.via {
            Via::Interface(interface) => Some(interface),
            Via::Tunnel(_) | Via::Blackhole => None,
        },
        may_go: route.track.is_some(),
    });
    let learned = public.iter().flat_map(|(interface, id)| announced(plan, gateway, *interface, *id));
    let mut all: Vec<Route> =
        underlay.chain(by_hand).chain(learned).filter(|route| route.prefix.contains(&to)).collect();
    all.sort_by_key(|route| (Reverse(route.prefix.prefix_len()), route.distance));
    all
}

/// What a customer gateway hears on a public virtual interface, if it has a session there.
fn announced(
    plan: &Plan,
    gateway: &CustomerGateway,
    interface: usize,
    id: NodeId,
) -> impl Iterator<Item = Route> + use<> {
    let heard = match &plan.nodes[id.index()].kind {
        NodeKind::VirtualInterface(made) => {
            let amazon = made.amazon_address();
            let speaks = gateway.forwarding.neighbors.iter().any(|neighbor| neighbor.address == amazon);
            if speaks { made.advertise.clone() } else { Vec::new() }
        }
        _ => Vec::new(),
    };
    let of = move |prefix| Route { prefix, distance: distance::EBGP.into(), interface: Some(interface), may_go: true };
    heard.into_iter().map(of)
}
