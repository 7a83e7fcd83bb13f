//! The drawing as a graph, in which devices and links are vertices alike, so that either may be taken out.
//!
//! What lies between a site and a gateway of AWS is either a tunnel, which starts at a customer gateway, crosses the underlay and ends at
//! an endpoint of that gateway, or a virtual interface of Direct Connect. Gateways, VPCs and Direct Connect gateways themselves are
//! AWS's, which has them several times over: they are taken for granted.

use std::collections::BTreeMap;

use petgraph::algo::astar;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::unionfind::UnionFind;
use petgraph::visit::NodeFiltered;
use sim_core::id::{LinkId, NodeId};

use crate::plan::{End, InterfaceKind, NodeKind, Plan, TunnelId};

/// A device or a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    Node(NodeId),
    Link(LinkId),
}

/// The graph.
pub(super) struct Drawing<'p> {
    plan: &'p Plan,
    graph: UnGraph<Part, ()>,
    /// The site of each node of the premises.
    sites: BTreeMap<NodeId, usize>,
}

/// What a site has between itself and one gateway of AWS.
pub(super) struct Between {
    /// The site's first host.
    pub host: NodeId,
    /// The gateway.
    pub gateway: NodeId,
    /// Tunnels and lines.
    pub exits: Vec<Exit>,
}

/// A way from a site to AWS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exit {
    /// A tunnel.
    Tunnel(TunnelId),
    /// A link to a virtual interface, and the device that it leaves from.
    Line { from: NodeId, link: LinkId, interface: NodeId },
}

impl<'p> Drawing<'p> {
    pub(super) fn of(plan: &'p Plan) -> Self {
        let mut graph = UnGraph::default();
        for node in 0..plan.nodes.len() {
            graph.add_node(Part::Node(NodeId(node as u32)));
        }
        for (i, link) in plan.links.iter().enumerate() {
            let at = graph.add_node(Part::Link(LinkId(i as u32)));
            for end in link.ends {
                graph.add_edge(at, NodeIndex::new(end.node.index()), ());
            }
        }
        let mut drawing = Self { plan, graph, sites: BTreeMap::new() };
        drawing.join_what_no_link_joins();
        drawing.sites = sites(plan);
        drawing
    }

    /// Endpoints of private-IP VPN are behind the transport's virtual interfaces, and public ones are part of the underlay.
    fn join_what_no_link_joins(&mut self) {
        let interfaces: Vec<(NodeId, NodeId, InterfaceKind)> = interfaces(self.plan).collect();
        for (id, gateway, kind) in &interfaces {
            if *kind == InterfaceKind::Public {
                self.graph.add_edge(NodeIndex::new(id.index()), NodeIndex::new(gateway.index()), ());
            }
        }
        for connection in &self.plan.connections {
            let over = interfaces.iter().filter(|(_, gateway, _)| Some(*gateway) == connection.transport);
            for (id, ..) in over {
                for tunnel in &connection.tunnels {
                    self.graph.add_edge(NodeIndex::new(id.index()), NodeIndex::new(tunnel.endpoint.index()), ());
                }
            }
        }
    }

    fn index(&self, part: Part) -> NodeIndex {
        match part {
            Part::Node(node) => NodeIndex::new(node.index()),
            Part::Link(link) => NodeIndex::new(self.plan.nodes.len() + link.index()),
        }
    }

    fn kind(&self, node: NodeId) -> &'p NodeKind {
        &self.plan.nodes[node.index()].kind
    }

    /// The fewest parts from one to another, both included, over parts that `passes` lets by.
    fn way(&self, from: Part, to: Part, passes: impl Fn(Part) -> bool) -> Option<Vec<Part>> {
        let open = |at: NodeIndex| {
            let part = self.graph[at];
            part == from || part == to || passes(part)
        };
        let open = NodeFiltered::from_fn(&self.graph, open);
        let (_, way) = astar(&open, self.index(from), |at| at == self.index(to), |_| 1u32, |_| 0)?;
        Some(way.into_iter().map(|at| self.graph[at]).collect())
    }

    /// The way of a tunnel over the underlay, from its customer gateway to its endpoint, without one part.
    pub(super) fn of_tunnel(&self, id: TunnelId, without: Option<Part>) -> Option<Vec<Part>> {
        let connection = &self.plan.connections[id.connection];
        let (customer, endpoint) = (connection.customer_gateway, connection.tunnels[id.tunnel].endpoint);
        let NodeKind::CustomerGateway(cgw) = self.kind(customer) else { return None };
        let outside = End { node: customer, interface: Some(connection.customer_interface) };
        let loopback = cgw.interfaces[connection.customer_interface].is_loopback();
        // A tunnel leaves by the link of its address, or by any if that is a loopback address.
        let leaves = |link: LinkId| {
            let ends = &self.plan.links[link.index()].ends;
            loopback || ends.contains(&outside) || ends.iter().all(|end| end.node != customer)
        };
        let passes = |part| {
            Some(part) != without
                && match part {
                    Part::Link(link) => leaves(link),
                    Part::Node(node) => matches!(
                        self.kind(node),
                        NodeKind::Router(_)
                            | NodeKind::Nat(_)
                            | NodeKind::Switch(_)
                            | NodeKind::BgpRouter(_)
                            | NodeKind::VirtualInterface(_)
                            | NodeKind::InternetGateway(_)
                    ),
                }
        };
        let ends = [Part::Node(customer), Part::Node(endpoint)];
        if without.is_some_and(|without| ends.contains(&without)) {
            return None;
        }
        self.way(ends[0], ends[1], passes)
    }

    /// What each site has towards each gateway, in the scenario's order. Sites without a host are not looked at: nobody is there.
    pub(super) fn between(&self) -> Vec<Between> {
        let mut all: Vec<Between> = Vec::new();
        let mut add = |site: usize, gateway: NodeId, exit: Exit| {
            let is_host = |node: &NodeId| matches!(self.kind(*node), NodeKind::Host(_));
            let of_site = self.sites.iter().filter(|(_, at)| **at == site).map(|(node, _)| *node);
            let Some(host) = of_site.filter(is_host).min() else { return };
            match all.iter_mut().find(|it| it.host == host && it.gateway == gateway) {
                Some(there) => there.exits.push(exit),
                None => all.push(Between { host, gateway, exits: vec![exit] }),
            }
        };
        for (connection, c) in self.plan.connections.iter().enumerate() {
            let Some(site) = self.sites.get(&c.customer_gateway) else { continue };
            for tunnel in 0..c.tunnels.len() {
                add(*site, c.gateway, Exit::Tunnel(TunnelId { connection, tunnel }));
            }
        }
        for line in self.lines() {
            let Exit::Line { from, interface, .. } = line else { continue };
            let Some(site) = self.sites.get(&from) else { continue };
            for gateway in self.behind(interface) {
                add(*site, gateway, line);
            }
        }
        all
    }

    /// Links between a device of the premises and a virtual interface that leads to VPCs.
    pub(super) fn lines(&self) -> impl Iterator<Item = Exit> + '_ {
        let line = |(i, link): (usize, &crate::plan::Link)| {
            let [a, b] = link.ends.map(|end| end.node);
            let is_interface = |node| matches!(self.kind(node), NodeKind::VirtualInterface(_));
            let (from, interface) = match (is_interface(a), is_interface(b)) {
                (false, true) => (a, b),
                (true, false) => (b, a),
                _ => return None,
            };
            Some(Exit::Line { from, link: LinkId(i as u32), interface })
        };
        self.plan.links.iter().enumerate().filter_map(line)
    }

    /// The gateways of VPCs that a virtual interface leads to.
    pub(super) fn behind(&self, interface: NodeId) -> Vec<NodeId> {
        let NodeKind::VirtualInterface(it) = self.kind(interface) else { return Vec::new() };
        match self.kind(it.gateway) {
            NodeKind::DirectConnectGateway(gateway) => gateway.associations.iter().map(|to| to.gateway).collect(),
            NodeKind::VirtualPrivateGateway(_) => vec![it.gateway],
            _ => Vec::new(),
        }
    }

    /// A way from a site's host to a gateway, without one part.
    pub(super) fn across(&self, between: &Between, without: Option<Part>) -> Option<Vec<Part>> {
        let inside = |part| {
            Some(part) != without
                && match part {
                    Part::Link(_) => true,
                    Part::Node(node) => !matches!(self.kind(node), NodeKind::Host(_)) && self.sites.contains_key(&node),
                }
        };
        between.exits.iter().find_map(|exit| {
            let (leaves, beyond) = match *exit {
                Exit::Tunnel(id) => {
                    let customer = self.plan.connections[id.connection].customer_gateway;
                    (customer, self.of_tunnel(id, without)?.split_off(1))
                }
                Exit::Line { from, link, interface } => (from, vec![Part::Link(link), Part::Node(interface)]),
            };
            if without.is_some_and(|without| without == Part::Node(leaves) || beyond.contains(&without)) {
                return None;
            }
            let mut way = self.way(Part::Node(between.host), Part::Node(leaves), inside)?;
            way.extend(beyond);
            Some(way)
        })
    }

    /// What no way between a site and a gateway does without: of one way, all that cannot be left out, in its order.
    pub(super) fn single_points(&self, between: &Between) -> Vec<Part> {
        let way = self.across(between, None).unwrap_or_default();
        way.into_iter().filter(|part| self.counts(*part) && self.across(between, Some(*part)).is_none()).collect()
    }

    /// Not a host and its own link; nor an endpoint and its path, of which a connection has two.
    fn counts(&self, part: Part) -> bool {
        match part {
            Part::Link(link) => {
                let ends = self.plan.links[link.index()].ends.map(|end| self.kind(end.node));
                !ends.iter().any(|kind| matches!(kind, NodeKind::Host(_) | NodeKind::VpnEndpoint(_)))
            }
            Part::Node(node) => !matches!(self.kind(node), NodeKind::Host(_) | NodeKind::VpnEndpoint(_)),
        }
    }

    /// Whether two devices are of one site, or instances of one VPC.
    pub(super) fn same_site(&self, a: NodeId, b: NodeId) -> bool {
        let vpc = |node| match self.kind(node) {
            NodeKind::CustomerGateway(cgw) => cgw.instance.as_ref().map(|instance| instance.vpc),
            _ => None,
        };
        a == b
            || vpc(a).is_some_and(|of_a| vpc(b) == Some(of_a))
            || self.sites.get(&a).is_some_and(|site| self.sites.get(&b) == Some(site))
    }
}

/// Which devices of the premises are joined by links without leaving them. Those inside VPCs are no site.
fn sites(plan: &Plan) -> BTreeMap<NodeId, usize> {
    let on_premises = |node: NodeId| match &plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(cgw) => cgw.instance.is_none(),
        NodeKind::Host(_) | NodeKind::BgpRouter(_) | NodeKind::Switch(_) | NodeKind::Nat(_) => true,
        _ => false,
    };
    let mut joined = UnionFind::new(plan.nodes.len());
    for link in &plan.links {
        let [a, b] = link.ends.map(|end| end.node);
        // A path is a stretch of internet: what is at its ends are two places.
        if link.carrier && on_premises(a) && on_premises(b) {
            joined.union(a.index(), b.index());
        }
    }
    let all = (0..plan.nodes.len() as u32).map(NodeId).filter(|node| on_premises(*node));
    all.map(|node| (node, joined.find(node.index()))).collect()
}

/// Virtual interfaces, what they are on, and what they lead to.
fn interfaces(plan: &Plan) -> impl Iterator<Item = (NodeId, NodeId, InterfaceKind)> {
    plan.nodes.iter().enumerate().filter_map(|(i, node)| match &node.kind {
        NodeKind::VirtualInterface(it) => Some((NodeId(i as u32), it.gateway, it.kind)),
        _ => None,
    })
}
