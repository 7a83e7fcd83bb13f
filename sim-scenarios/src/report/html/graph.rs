//! The drawing of a scenario as a graph: what is linked to what, and what a fault strikes.
//!
//! Beside the links that a scenario writes there are those that AWS has: attachments of VPCs, gateways, tunnel endpoints and
//! virtual interfaces. Tunnels lie over them, from customer gateway to endpoint.
//!
//! A drawing of many devices is summarised: devices that nothing but their names tells apart (of one kind, struck by the same faults,
//! linked in the same way to the same) are drawn as one, `40 × host`. If that leaves more than can be drawn, so are all of a kind.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::id::{LinkId, NodeId};

use crate::plan::{ApplianceKind, FaultKind, NodeKind, Plan, RouteChange};

/// Most devices of a drawing that shows each.
const EACH: usize = 40;
/// Most devices of a drawing whose like ones are one.
const ALIKE: usize = 60;

/// Devices, and what is between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub shapes: Vec<Shape>,
    pub edges: Vec<Edge>,
}

/// A device, or several that are alike.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Their names.
    pub names: Vec<String>,
    /// What they are.
    pub kind: &'static str,
    /// Whose they are.
    pub zone: Zone,
    /// An address or number of a single one.
    pub detail: String,
    /// Numbers of the faults that strike any of them.
    pub faults: BTreeSet<usize>,
}

/// Whose a device is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Zone {
    Customer,
    Between,
    Aws,
}

/// A connection of two shapes, or several that are alike.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub ends: [usize; 2],
    pub line: Line,
    /// Empty for AWS's own links.
    pub names: Vec<String>,
    pub faults: BTreeSet<usize>,
}

/// What connects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Line {
    Tunnel,
    Attachment,
    Link,
    Path,
}

/// The graph of a plan, summarised if it is large.
pub(super) fn graph(plan: &Plan) -> Graph {
    let whole = whole(plan);
    if whole.shapes.len() <= EACH {
        return whole;
    }
    let alike = merged(&whole, &classes(&whole));
    if alike.shapes.len() <= ALIKE {
        return alike;
    }
    let kinds: Vec<_> = whole.shapes.iter().map(|shape| (shape.kind, shape.zone)).collect();
    merged(&whole, &numbered(&kinds))
}

fn whole(plan: &Plan) -> Graph {
    let mut struck = Struck::of(plan);
    let shape = |(index, node): (usize, &crate::plan::Node)| {
        let (kind, zone, detail) = described(&node.kind);
        let faults = struck.nodes.remove(&NodeId(index as u32)).unwrap_or_default();
        Shape { names: vec![node.name.clone()], kind, zone, detail, faults }
    };
    let shapes = plan.nodes.iter().enumerate().map(shape).collect();
    let link = |(index, link): (usize, &crate::plan::Link)| Edge {
        ends: [link.ends[0].node.index(), link.ends[1].node.index()],
        line: if link.carrier { Line::Link } else { Line::Path },
        names: vec![link.name.clone()],
        faults: struck.links.remove(&LinkId(index as u32)).unwrap_or_default(),
    };
    let mut edges: Vec<Edge> = plan.links.iter().enumerate().map(link).collect();
    for (index, node) in plan.nodes.iter().enumerate() {
        let to = attached(plan, &node.kind).into_iter().map(|other| [index, other.index()]);
        edges.extend(to.map(|ends| Edge { ends, line: Line::Attachment, names: Vec::new(), faults: BTreeSet::new() }));
    }
    for (c, connection) in plan.connections.iter().enumerate() {
        for (t, tunnel) in connection.tunnels.iter().enumerate() {
            edges.push(Edge {
                ends: [connection.customer_gateway.index(), tunnel.endpoint.index()],
                line: Line::Tunnel,
                names: vec![tunnel.name.clone()],
                faults: struck.tunnels.remove(&(c, t)).unwrap_or_default(),
            });
        }
    }
    Graph { shapes, edges }
}

/// What a device is called, whose it is, and the number that identifies it best.
fn described(kind: &NodeKind) -> (&'static str, Zone, String) {
    use Zone::{Aws, Between, Customer};
    let asn = |asn: u32| format!("AS {asn}");
    match kind {
        NodeKind::Host(host) => ("host", Customer, host.address.addr().to_string()),
        NodeKind::Router(router) => {
            ("router", Between, router.address.map_or_else(String::new, |address| address.to_string()))
        }
        NodeKind::BgpRouter(router) => ("BGP router", Customer, asn(router.asn)),
        NodeKind::Nat(_) => ("NAT or filter", Between, String::new()),
        NodeKind::CustomerGateway(gateway) => ("customer gateway", Customer, asn(gateway.asn)),
        NodeKind::VirtualPrivateGateway(gateway) => ("virtual private gateway", Aws, asn(gateway.asn)),
        NodeKind::TransitGateway(gateway) => ("transit gateway", Aws, asn(gateway.asn)),
        NodeKind::Vpc(vpc) => ("VPC", Aws, vpc.cidr.to_string()),
        NodeKind::Instance(instance) => ("instance", Aws, instance.address.to_string()),
        NodeKind::InternetGateway(_) => ("internet gateway", Aws, String::new()),
        NodeKind::Appliance(appliance) => {
            let kind = match appliance.kind {
                ApplianceKind::NatGateway { .. } => "NAT gateway",
                ApplianceKind::NatInstance { .. } => "NAT instance",
                ApplianceKind::LoadBalancer { .. } => "load balancer",
                ApplianceKind::InterfaceEndpoint { .. } => "interface endpoint",
                ApplianceKind::Firewall { .. } => "firewall",
                ApplianceKind::ResolverEndpoint { outbound: false, .. } => "inbound endpoint",
                ApplianceKind::ResolverEndpoint { outbound: true, .. } => "outbound endpoint",
            };
            (kind, Aws, appliance.address.to_string())
        }
        NodeKind::TransitGatewayPeering(_) => ("peering attachment", Aws, String::new()),
        NodeKind::Switch(_) => ("switch", Customer, String::new()),
        NodeKind::ClientVpnAssociation(of) => ("Client VPN endpoint", Aws, of.outside.to_string()),
        NodeKind::VpnClient(_) => ("VPN client", Customer, String::new()),
        NodeKind::VpcPeering(_) => ("VPC peering", Aws, String::new()),
        NodeKind::GatewayEndpoint(_) => ("gateway endpoint", Aws, String::new()),
        NodeKind::Resolver(_) => ("Route 53 Resolver", Aws, String::new()),
        NodeKind::DirectConnectGateway(gateway) => ("Direct Connect gateway", Aws, asn(gateway.asn)),
        NodeKind::VirtualInterface(interface) => ("virtual interface", Aws, format!("VLAN {}", interface.vlan)),
        NodeKind::ConnectPeer(peer) => ("Connect peer", Aws, peer.address.to_string()),
        NodeKind::VpnEndpoint(endpoint) => ("VPN endpoint", Aws, endpoint.address.to_string()),
    }
}

/// To what AWS attaches a device of its own.
fn attached(plan: &Plan, kind: &NodeKind) -> Vec<NodeId> {
    match kind {
        NodeKind::Host(_)
        | NodeKind::Router(_)
        | NodeKind::BgpRouter(_)
        | NodeKind::Nat(_)
        | NodeKind::Switch(_)
        | NodeKind::VpnClient(_)
        | NodeKind::Vpc(_) => Vec::new(),
        NodeKind::CustomerGateway(gateway) => gateway.instance.iter().map(|instance| instance.vpc).collect(),
        NodeKind::VirtualPrivateGateway(gateway) => gateway.vpc.into_iter().collect(),
        NodeKind::TransitGateway(gateway) => gateway.vpcs.clone(),
        NodeKind::Instance(instance) => vec![instance.vpc],
        NodeKind::InternetGateway(gateway) => vec![gateway.vpc],
        NodeKind::Appliance(appliance) => match appliance.kind {
            ApplianceKind::InterfaceEndpoint { service } => vec![appliance.vpc, service],
            ApplianceKind::ResolverEndpoint { resolver, .. } => vec![appliance.vpc, resolver],
            _ => vec![appliance.vpc],
        },
        NodeKind::TransitGatewayPeering(peering) => peering.gateways.to_vec(),
        NodeKind::ClientVpnAssociation(association) => vec![association.vpc],
        NodeKind::VpcPeering(peering) => peering.vpcs.to_vec(),
        NodeKind::GatewayEndpoint(endpoint) => vec![endpoint.vpc, endpoint.service],
        NodeKind::Resolver(resolver) => resolver.vpcs.iter().map(|(vpc, _)| *vpc).collect(),
        NodeKind::DirectConnectGateway(gateway) => gateway.associations.iter().map(|of| of.gateway).collect(),
        NodeKind::VirtualInterface(interface) => vec![interface.gateway],
        NodeKind::ConnectPeer(peer) => vec![plan.connects[peer.connect].gateway],
        NodeKind::VpnEndpoint(endpoint) => vec![endpoint.gateway],
    }
}

/// What each fault strikes. Faults are numbered from 1 in the plan's order; those that do not happen strike nothing.
#[derive(Default)]
struct Struck {
    nodes: BTreeMap<NodeId, BTreeSet<usize>>,
    links: BTreeMap<LinkId, BTreeSet<usize>>,
    tunnels: BTreeMap<(usize, usize), BTreeSet<usize>>,
}

impl Struck {
    fn of(plan: &Plan) -> Self {
        let mut all = Self::default();
        for (number, fault) in happening(plan) {
            let mut node = |id: NodeId| all.nodes.entry(id).or_default().insert(number);
            match &fault.what {
                FaultKind::Blackhole { link, .. }
                | FaultKind::LinkDown { link }
                | FaultKind::Impair { link, .. }
                | FaultKind::Flap { link, .. } => {
                    all.links.entry(*link).or_default().insert(number);
                }
                FaultKind::PowerLoss { node: id }
                | FaultKind::NatFlush { node: id }
                | FaultKind::NatRenumber { node: id, .. }
                | FaultKind::AddressChange { node: id, .. }
                | FaultKind::FailoverTest { node: id }
                | FaultKind::VrrpShutdown { node: id, .. }
                | FaultKind::VlanRemoved { node: id, .. }
                | FaultKind::RevokeSecurityGroupRule { vpc: id, .. }
                | FaultKind::VpcRoute(RouteChange { node: id, .. })
                | FaultKind::TransitRoute(RouteChange { node: id, .. }) => {
                    node(*id);
                }
                FaultKind::UpdateVirtualInterface(update) => {
                    node(update.node);
                }
                FaultKind::ConnectionRoute(change) => {
                    node(plan.connections[change.connection].gateway);
                }
                FaultKind::ReplaceTunnelEndpoint { tunnel, .. } | FaultKind::ModifyTunnelOptions { tunnel, .. } => {
                    node(plan.tunnel(*tunnel).endpoint);
                }
                FaultKind::ModifyConnectionOptions { connection, .. } => {
                    plan.connections[*connection].tunnels.iter().for_each(|tunnel| {
                        node(tunnel.endpoint);
                    });
                }
                FaultKind::IkeDelete { tunnel, .. } | FaultKind::BgpShutdown { tunnel, .. } => {
                    all.tunnels.entry((tunnel.connection, tunnel.tunnel)).or_default().insert(number);
                }
                FaultKind::GroupFailure { group } => {
                    let group = &plan.groups[*group];
                    group.nodes.iter().for_each(|id| {
                        node(*id);
                    });
                    for link in &group.links {
                        all.links.entry(*link).or_default().insert(number);
                    }
                }
            }
        }
        all
    }
}

/// The faults that happen, with their numbers in a drawing, from 1.
pub(super) fn happening(plan: &Plan) -> impl Iterator<Item = (usize, &crate::plan::Fault)> {
    plan.faults.iter().filter(|fault| fault.enabled).zip(1..).map(|(fault, number)| (number, fault))
}

/// The class of each shape: those of a class cannot be told apart by what they are linked to, however far one follows it (colour
/// refinement).
fn classes(graph: &Graph) -> Vec<usize> {
    let own: Vec<_> = graph.shapes.iter().map(|shape| (shape.kind, shape.zone, &shape.faults)).collect();
    let mut class = numbered(&own);
    loop {
        let mut around = vec![BTreeSet::new(); class.len()];
        for edge in &graph.edges {
            let [a, b] = edge.ends;
            around[a].insert((edge.line, &edge.faults, class[b]));
            around[b].insert((edge.line, &edge.faults, class[a]));
        }
        let finer = numbered(&class.iter().zip(&around).collect::<Vec<_>>());
        if finer.iter().max() == class.iter().max() {
            return class;
        }
        class = finer;
    }
}

/// A number for each, the same for equal ones, in order of their first.
fn numbered<T: Ord>(all: &[T]) -> Vec<usize> {
    let mut known: BTreeMap<&T, usize> = BTreeMap::new();
    all.iter()
        .map(|one| {
            let next = known.len();
            *known.entry(one).or_insert(next)
        })
        .collect()
}

/// The graph with one shape for each class.
fn merged(graph: &Graph, class: &[usize]) -> Graph {
    let mut shapes: Vec<Shape> = Vec::new();
    for (shape, class) in graph.shapes.iter().zip(class) {
        match shapes.get_mut(*class) {
            None => shapes.push(shape.clone()),
            Some(first) => {
                first.names.extend(shape.names.iter().cloned());
                first.faults.extend(&shape.faults);
                first.detail.clear();
            }
        }
    }
    let mut edges: BTreeMap<([usize; 2], Line), Edge> = BTreeMap::new();
    for edge in &graph.edges {
        let mut ends = edge.ends.map(|end| class[end]);
        ends.sort_unstable();
        // What links two of a class has no place in the drawing.
        if ends[0] == ends[1] {
            continue;
        }
        let empty = Edge { ends, line: edge.line, names: Vec::new(), faults: BTreeSet::new() };
        let one = edges.entry((ends, edge.line)).or_insert(empty);
        one.names.extend(edge.names.iter().cloned());
        one.faults.extend(&edge.faults);
    }
    Graph { shapes, edges: edges.into_values().collect() }
}
