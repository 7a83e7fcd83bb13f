//! The ways of the underlay: how routers and customer gateways reach the addresses outside the tunnels.
//!
//! Computed once from the topology, fewest links first and then the scenario's order, because what happens between
//! ISPs is not what a scenario asks about. Only routers carry the traffic of others.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef as _;
use sim_core::id::{LinkId, NodeId};

use crate::plan::{NodeKind, Plan};

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

/// All ways of routers and customer gateways.
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
                ways.extend(spread(plan, &graph, end.node, first).map(|(node, link)| Way { node, prefix, link }));
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
            if !outside {
                prefixes.push(Ipv4Net::default());
            }
            prefixes
        }
        NodeKind::Router(router) => router.address.map(host).unwrap_or_default(),
        NodeKind::VirtualPrivateGateway(_) | NodeKind::Vpc(_) | NodeKind::Instance(_) => Vec::new(),
    }
}

/// From a node outwards over one of its links: every router and customer gateway, with its link back.
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
            if matches!(plan.nodes[next.index()].kind, NodeKind::Router(_)) {
                queue.push_back((next, None));
            }
        }
    }
    back.into_iter().enumerate().filter_map(|(i, link)| Some((NodeId(i as u32), link?)))
}
