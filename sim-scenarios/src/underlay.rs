//! The ways of the underlay: how routers and customer gateways reach the addresses outside the tunnels.
//!
//! Computed once from the topology, fewest links first and then the scenario's order, because what happens between
//! ISPs is not what a scenario asks about. Only routers and NATs carry the traffic of others; what is inside of a NAT that
//! translates is not seen outside of it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef as _;
use sim_core::id::{LinkId, NodeId};
use sim_core::net::nat::Mode;

use crate::plan::{End, Nat, NodeKind, Plan};

/// A way: at this node, packets to this prefix leave by this link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Where.
    pub node: NodeId,
    /// To where.
    pub prefix: Ipv4Net,
    /// By which link.
    pub link: LinkId,
}

/// All ways of routers, NATs and customer gateways.
pub fn ways(plan: &Plan) -> Vec<Way> {
    let mut graph: UnGraph<NodeId, LinkId> = UnGraph::new_undirected();
    let nodes: Vec<NodeIndex> = (0..plan.nodes.len()).map(|i| graph.add_node(NodeId(i as u32))).collect();
    for (i, link) in plan.links.iter().enumerate() {
        let [a, b] = link.ends.map(|end| nodes[end.node.index()]);
        graph.add_edge(a, b, LinkId(i as u32));
    }
    let mut ways = Vec::new();
    for (i, link) in plan.links.iter().enumerate() {
        for end in link.ends {
            let prefixes = reached_at(plan, end.node, end.interface);
            for prefix in prefixes {
                let first = LinkId(i as u32);
                // Another gateway is told its way to everywhere else by its operator, or by BGP: two that stand behind each
                // other would send packets to and fro.
                let takes = |node: NodeId| {
                    prefix.prefix_len() > 0 || !matches!(plan.nodes[node.index()].kind, NodeKind::CustomerGateway(_))
                };
                let spread = spread(plan, &graph, end.node, first).filter(|(node, _)| takes(*node));
                ways.extend(spread.map(|(node, link)| Way { node, prefix, link }));
            }
        }
    }
    ways
}

/// What is found behind a link's end: the address there, and everything if it is the inside of a customer gateway.
fn reached_at(plan: &Plan, node: NodeId, interface: Option<usize>) -> Vec<Ipv4Net> {
    let host = |address: Ipv4Addr| vec![Ipv4Net::from(address)];
    match &plan.nodes[node.index()].kind {
        NodeKind::Host(h) => host(h.address.addr()),
        NodeKind::VpnEndpoint(endpoint) => host(endpoint.address),
        NodeKind::CustomerGateway(cgw) => {
            let Some(index) = interface else { return Vec::new() };
            let outside = plan.connections.iter().any(|c| c.customer_gateway == node && c.customer_interface == index);
            let mut prefixes = host(cgw.interfaces[index].address.addr());
            let later = cgw.later.iter().filter(|(interface, _)| *interface == index);
            prefixes.extend(later.map(|(_, address)| Ipv4Net::from(*address)));
            if !outside {
                prefixes.push(Ipv4Net::default());
            }
            prefixes
        }
        NodeKind::Nat(nat) => {
            let mut all: Vec<Ipv4Net> = nat.outside_addresses().into_iter().map(Ipv4Net::from).collect();
            if interface == Some(Nat::INSIDE) {
                // Inside, it is reached by all its addresses: hairpinning.
                all.push(Ipv4Net::from(nat.inside.addr()));
            }
            all
        }
        NodeKind::BgpRouter(router) => interface.map(|i| host(router.interfaces[i].address.addr())).unwrap_or_default(),
        NodeKind::Router(router) => router.address.map(host).unwrap_or_default(),
        NodeKind::InternetGateway(gateway) => {
            gateway.addresses.iter().map(|(_, elastic)| Ipv4Net::from(*elastic)).collect()
        }
        NodeKind::VirtualPrivateGateway(_)
        | NodeKind::TransitGateway(_)
        | NodeKind::Vpc(_)
        | NodeKind::Instance(_)
        | NodeKind::Appliance(_)
        | NodeKind::VpcPeering(_)
        | NodeKind::GatewayEndpoint(_) => Vec::new(),
    }
}

/// From a node outwards over one of its links: every router, NAT and customer gateway, with its link back.
fn spread(
    plan: &Plan,
    graph: &UnGraph<NodeId, LinkId>,
    from: NodeId,
    first: LinkId,
) -> impl Iterator<Item = (NodeId, LinkId)> + use<> {
    let mut back: Vec<Option<LinkId>> = vec![None; plan.nodes.len()];
    let mut queue = VecDeque::from([(from, Some(first))]);
    while let Some((node, only)) = queue.pop_front() {
        let index = NodeIndex::new(node.index());
        let mut edges: Vec<_> = graph.edges(index).map(|e| (*e.weight(), e.source(), e.target())).collect();
        edges.sort_unstable();
        for (link, a, b) in edges {
            let next = graph[if a == index { b } else { a }];
            if only.is_some_and(|only| only != link) || next == from || back[next.index()].is_some() {
                continue;
            }
            back[next.index()] = Some(link);
            match &plan.nodes[next.index()].kind {
                NodeKind::Router(_) => queue.push_back((next, None)),
                NodeKind::Nat(nat) => queue.extend(beyond(plan, nat, next, link).map(|other| (next, Some(other)))),
                _ => {}
            }
        }
    }
    back.into_iter().enumerate().filter_map(|(i, link)| Some((NodeId(i as u32), link?)))
}

/// The other link of a NAT that `link` leads to, if what lies behind `link` is seen there: the outside is seen inside, the
/// inside is seen outside only if nothing is translated.
fn beyond(plan: &Plan, nat: &Nat, node: NodeId, link: LinkId) -> Option<LinkId> {
    let [inside, outside] = [Nat::INSIDE, Nat::OUTSIDE].map(|interface| {
        let end = End { node, interface: Some(interface) };
        plan.links.iter().position(|link| link.ends.contains(&end)).map(|i| LinkId(i as u32))
    });
    if outside == Some(link) { inside } else { outside.filter(|_| nat.config.mode == Mode::Routed) }
}
