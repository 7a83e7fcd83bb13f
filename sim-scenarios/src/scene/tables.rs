//! The forwarding and route tables of a device, whole, as `show ip route` and the console show them.

use ipnet::IpNet;
use sim_core::id::{NodeId, Port};
use sim_core::net::fib::{Fib, Prefix, Route, RouteSource, Target};
use sim_core::node::{Node, Weighing};
use sim_core::world::World;

use super::device::{gateway, table};
use crate::build::Built;
use crate::plan::Plan;
use crate::report::route_story::{Asked, fib, prefixes, source, tables};
use crate::report::story::Section;

/// More routes than these are counted and not listed.
const LONGEST: usize = 500;

/// Every table of a device, one section each.
pub(super) fn sections(plan: &Plan, built: &Built, node: NodeId) -> Vec<Section> {
    let world = &built.world;
    let device = world.node(node);
    let mut sections = Vec::new();
    if let Some(fib) = fib(device) {
        sections.extend(forwarding(world, node, "Forwarding table", fib));
    }
    if let Some(fib) = gateway(device).and_then(|gateway| gateway.ip.ipv6_fib()) {
        sections.extend(forwarding(world, node, "Forwarding table of IPv6", fib));
    }
    let named = tables(plan, world);
    let own = named.iter().filter(|asked| asked.node == node);
    sections.extend(own.filter_map(|asked| of_aws(world, device, asked)));
    sections
}

fn port(world: &World, node: NodeId, port: Port) -> String {
    match world.port_name(node, port) {
        "" => format!("{port:?}"),
        name => name.to_owned(),
    }
}

fn forwarding<P: Prefix>(world: &World, node: NodeId, title: &str, fib: &Fib<P>) -> Option<Section>
where
    P::Address: std::fmt::Display,
{
    let row = |route: Route<P>| {
        let (via, next_hop) = match route.target {
            Target::Out { port: out, next_hop } => (port(world, node, out), next_hop),
            Target::Blackhole => ("blackhole".to_owned(), None),
        };
        let prefix: IpNet = route.prefix.into();
        vec![
            prefix.to_string(),
            via,
            next_hop.map(|address| address.to_string()).unwrap_or_default(),
            source(route.source).to_owned(),
            route.distance.to_string(),
            route.metric.to_string(),
        ]
    };
    // The ways to everybody's outside addresses are what a provider knows: they come last.
    let mut routes: Vec<Route<P>> = fib.iter().collect();
    routes.sort_by_key(|route| route.source == RouteSource::Underlay);
    let rows = routes.into_iter().take(LONGEST).map(row).collect();
    let head = ["prefix", "via", "next hop", "source", ">distance", ">metric"];
    table(&counted(title, fib.len()), &head, rows)
}

fn counted(title: &str, routes: usize) -> String {
    if routes > LONGEST { format!("{title}: the first {LONGEST} of {routes} routes") } else { title.to_owned() }
}

/// A table of one of AWS's gateways, with all routes that were weighed.
fn of_aws(world: &World, device: &Node, asked: &Asked) -> Option<Section> {
    let weigh = |prefix: IpNet| -> Option<Weighing> {
        match (device, prefix) {
            (Node::Tgw(tgw), prefix) => Some(tgw.weigh(asked.table, prefix)),
            (Node::DxGateway(gateway), IpNet::V4(prefix)) => Some(gateway.weigh(asked.table, prefix)),
            (Node::Vgw(vgw), IpNet::V4(prefix)) => Some(vgw.weigh(prefix)),
            (Node::Vpc(vpc), IpNet::V4(prefix)) => Some(vpc.weigh(asked.table, prefix)),
            _ => None,
        }
    };
    let all: Vec<IpNet> = match device {
        Node::Tgw(tgw) => tgw.prefixes(asked.table).collect(),
        _ => prefixes(world, asked).into_iter().map(IpNet::V4).collect(),
    };
    let mut rows = Vec::new();
    for prefix in all.iter().take(LONGEST) {
        let Some(weighing) = weigh(*prefix) else { continue };
        for (place, route) in weighing.routes.iter().enumerate() {
            let way = if route.kind == "local" { "local" } else { "blackhole" };
            let verdict = route.gone_at.map_or("used".to_owned(), |rule| format!("no: {rule}"));
            rows.push(vec![
                if place == 0 { prefix.to_string() } else { String::new() },
                route.via.map_or(way.to_owned(), |via| port(world, asked.node, via)),
                route.kind.to_owned(),
                if route.healthy { "yes" } else { "no" }.to_owned(),
                verdict,
            ]);
        }
    }
    let head = ["prefix", "via", "route", "healthy", "verdict"];
    table(&counted(&format!("Route table {}", asked.name), all.len()), &head, rows)
}
