//! What building asks of a plan for each of its nodes, found in one pass over the plan, so that a drawing of ten thousand
//! tunnels is built in the time of ten thousand and not of their square.

use ipnet::IpNet;
use sim_core::id::{LinkId, NodeId};

use crate::plan::{Plan, TunnelId};
use crate::underlay;

/// Links, ways and tunnels by node.
pub(super) struct Index {
    nodes: Vec<OfNode>,
}

#[derive(Clone, Default)]
struct OfNode {
    /// The links that end here, and with which of their ends.
    links: Vec<(LinkId, usize)>,
    /// The ways of the underlay from here.
    ways: Vec<(IpNet, LinkId)>,
    /// The tunnels of a gateway, be it the customer's or AWS's.
    tunnels: Vec<TunnelId>,
}

impl Index {
    pub fn of(plan: &Plan) -> Self {
        let mut nodes = vec![OfNode::default(); plan.nodes.len()];
        for (link, id) in plan.links.iter().zip(0..) {
            for (end, place) in link.ends.iter().enumerate() {
                nodes[place.node.index()].links.push((LinkId(id), end));
            }
        }
        for way in underlay::ways(plan) {
            nodes[way.node.index()].ways.push((way.prefix, way.link));
        }
        for (connection, c) in plan.connections.iter().enumerate() {
            for tunnel in 0..c.tunnels.len() {
                for gateway in [c.customer_gateway, c.gateway] {
                    nodes[gateway.index()].tunnels.push(TunnelId { connection, tunnel });
                }
            }
        }
        Self { nodes }
    }

    /// The links that end at a node, and with which of their ends.
    pub fn links(&self, node: NodeId) -> &[(LinkId, usize)] {
        &self.nodes[node.index()].links
    }

    /// The ways of the underlay from a node.
    pub fn ways(&self, node: NodeId) -> &[(IpNet, LinkId)] {
        &self.nodes[node.index()].ways
    }

    /// The tunnels of a gateway in order: the position of each is its number there.
    pub fn tunnels(&self, gateway: NodeId) -> &[TunnelId] {
        &self.nodes[gateway.index()].tunnels
    }

    /// The number of a tunnel on a gateway.
    pub fn number(&self, gateway: NodeId, tunnel: TunnelId) -> u16 {
        self.tunnels(gateway).binary_search(&tunnel).unwrap_or_default() as u16
    }
}
