//! The ways of the underlay: how routers and customer gateways reach the addresses outside the tunnels.
//!
//! Computed once from the topology, fewest links first and then the scenario's order, because what happens between
//! ISPs is not what a scenario asks about. Only routers and NATs carry the traffic of others; what is inside of a NAT that
//! translates is not seen outside of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use ipnet::IpNet;
use sim_core::id::{LinkId, NodeId};
use sim_core::net::nat::Mode;

use crate::plan::{Connection, End, Nat, NodeKind, Plan};

/// A way: at this node, packets to this prefix leave by this link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Where.
    pub node: NodeId,
    /// To where.
    pub prefix: IpNet,
    /// By which link.
    pub link: LinkId,
}

/// All ways of routers, NATs and customer gateways.
pub fn ways(plan: &Plan) -> Vec<Way> {
    let mut map = Map::of(plan);
    let mut ways = Vec::new();
    for (i, link) in plan.links.iter().enumerate() {
        for end in link.ends {
            let prefixes = reached_at(plan, &map, end);
            if prefixes.is_empty() {
                continue;
            }
            let first = LinkId(i as u32);
            let back = map.outwards(end.node, first);
            for (node, is_carrier) in map.told(plan, end) {
                let Some(by) = back.link(node, first).filter(|_| node != end.node) else { continue };
                // Another gateway is told its way to everywhere else by its operator, or by BGP: two that stand behind each
                // other would send packets to and fro.
                let takes = |prefix: &&IpNet| is_carrier || prefix.prefix_len() > 0;
                ways.extend(prefixes.iter().filter(takes).map(|prefix| Way { node, prefix: *prefix, link: by }));
            }
        }
    }
    ways
}

/// The topology, as it is asked for ways.
struct Map {
    /// The links that end at each node in the scenario's order, and the nodes at their other ends.
    links: Vec<Vec<(LinkId, NodeId)>>,
    /// Routers, and clients of Client VPN, through which everything passes.
    is_router: Vec<bool>,
    /// By which link of a NAT goes out what comes in by the other one.
    beyond: BTreeMap<(NodeId, LinkId), LinkId>,
    /// The interfaces at which connections begin.
    outsides: BTreeSet<End>,
    /// Who carries the traffic of others: routers and NATs.
    carriers: Vec<NodeId>,
    /// Customer gateways that may have to do with anybody: they have neighbours, or watch something.
    curious: Vec<NodeId>,
    /// All other customer gateways.
    others: Vec<NodeId>,
    /// What was found from each router.
    found: BTreeMap<NodeId, Rc<Back>>,
}

/// From everywhere back to a link's end.
struct Back {
    /// The router that the link leads to; none if the search began at the end itself.
    root: Option<NodeId>,
    links: Vec<Option<LinkId>>,
}

impl Back {
    fn link(&self, node: NodeId, first: LinkId) -> Option<LinkId> {
        if self.root == Some(node) { Some(first) } else { self.links[node.index()] }
    }
}

impl Map {
    fn of(plan: &Plan) -> Self {
        let outside = |c: &Connection| End { node: c.customer_gateway, interface: Some(c.customer_interface) };
        let mut map = Self {
            links: vec![Vec::new(); plan.nodes.len()],
            is_router: plan
                .nodes
                .iter()
                .map(|node| matches!(node.kind, NodeKind::Router(_) | NodeKind::VpnClient(_)))
                .collect(),
            beyond: BTreeMap::new(),
            outsides: plan.connections.iter().map(outside).collect(),
            carriers: Vec::new(),
            curious: Vec::new(),
            others: Vec::new(),
            found: BTreeMap::new(),
        };
        for (link, id) in plan.links.iter().zip(0..) {
            let [a, b] = link.ends.map(|end| end.node);
            map.links[a.index()].push((LinkId(id), b));
            map.links[b.index()].push((LinkId(id), a));
        }
        for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
            match &node.kind {
                NodeKind::Router(_) => map.carriers.push(id),
                NodeKind::Nat(nat) => {
                    map.carriers.push(id);
                    for &(link, _) in &map.links[id.index()] {
                        map.beyond.extend(beyond(plan, nat, id, link).map(|other| ((id, link), other)));
                    }
                }
                NodeKind::CustomerGateway(cgw) => {
                    let forwarding = &cgw.forwarding;
                    let is_curious = !forwarding.neighbors.is_empty() || !forwarding.tracks.is_empty();
                    if is_curious { &mut map.curious } else { &mut map.others }.push(id);
                }
                _ => {}
            }
        }
        map
    }

    /// Who is told the way to an end, and whether it carries the traffic of others. A customer gateway that has neither
    /// neighbours nor tracks sends nothing to the outside of another one, nor to the endpoints of another one's tunnels.
    fn told(&self, plan: &Plan, end: End) -> impl Iterator<Item = (NodeId, bool)> + use<> {
        let mut gateways = self.curious.clone();
        match &plan.nodes[end.node.index()].kind {
            NodeKind::VpnEndpoint(endpoint) => {
                let owner = plan.connections[endpoint.tunnel.connection].customer_gateway;
                gateways.extend(self.others.binary_search(&owner).is_ok().then_some(owner));
            }
            NodeKind::CustomerGateway(_) if self.outsides.contains(&end) => {}
            _ => gateways.extend_from_slice(&self.others),
        }
        let carriers = self.carriers.clone().into_iter().map(|node| (node, true));
        carriers.chain(gateways.into_iter().map(|node| (node, false)))
    }

    /// The ways back to a node over one of its links. They are the same for all that are plugged into one router.
    fn outwards(&mut self, from: NodeId, first: LinkId) -> Rc<Back> {
        let next = self.links[from.index()].iter().find(|(link, _)| *link == first).map(|(_, next)| *next);
        let carries = self.carriers.binary_search(&from).is_ok();
        match next.filter(|next| self.is_router[next.index()] && !carries) {
            Some(router) => {
                if let Some(found) = self.found.get(&router) {
                    return found.clone();
                }
                let back = Rc::new(Back { root: Some(router), links: self.spread(router, None) });
                self.found.insert(router, back.clone());
                back
            }
            None => Rc::new(Back { root: None, links: self.spread(from, Some(first)) }),
        }
    }

    /// From a node outwards, over one of its links or all: every node, with its link back.
    fn spread(&self, from: NodeId, first: Option<LinkId>) -> Vec<Option<LinkId>> {
        let mut back: Vec<Option<LinkId>> = vec![None; self.links.len()];
        let mut queue = VecDeque::from([(from, first)]);
        while let Some((node, only)) = queue.pop_front() {
            for &(link, next) in &self.links[node.index()] {
                if only.is_some_and(|only| only != link) || next == from || back[next.index()].is_some() {
                    continue;
                }
                back[next.index()] = Some(link);
                if self.is_router[next.index()] {
                    queue.push_back((next, None));
                } else if let Some(other) = self.beyond.get(&(next, link)) {
                    queue.push_back((next, Some(*other)));
                }
            }
        }
        back
    }
}

/// What is found behind a link's end: the address there, and everything if it is the inside of a customer gateway.
fn reached_at(plan: &Plan, map: &Map, end: End) -> Vec<IpNet> {
    let End { node, interface } = end;
    let host = |address: Ipv4Addr| vec![IpNet::from(IpAddr::V4(address))];
    match &plan.nodes[node.index()].kind {
        NodeKind::Host(h) => host(h.address.addr()),
        NodeKind::VpnEndpoint(endpoint) => vec![endpoint.address.into()],
        NodeKind::ClientVpnAssociation(it) => host(it.outside),
        NodeKind::CustomerGateway(cgw) => {
            let Some(index) = interface else { return Vec::new() };
            let outside = map.outsides.contains(&end);
            let mut prefixes = host(cgw.interfaces[index].address.addr());
            let later = cgw.later.iter().filter(|(interface, _)| *interface == index);
            prefixes.extend(later.map(|(_, address)| IpNet::from(IpAddr::V4(*address))));
            if outside {
                let own = plan.ipv6.interfaces.get(&(node, index));
                prefixes.extend(own.map(|net| IpNet::from(IpAddr::V6(net.addr()))));
            } else {
                prefixes.push(IpNet::default());
            }
            prefixes
        }
        NodeKind::Nat(nat) => {
            let outside = nat.outside_addresses().into_iter();
            let mut all: Vec<IpNet> = outside.map(|address| IpAddr::V4(address).into()).collect();
            if interface == Some(Nat::INSIDE) {
                // Inside, it is reached by all its addresses: hairpinning.
                all.push(IpAddr::V4(nat.inside.addr()).into());
            }
            all
        }
        NodeKind::BgpRouter(router) => interface.map(|i| host(router.interfaces[i].address.addr())).unwrap_or_default(),
        NodeKind::Router(router) => {
            let ipv6 = plan.ipv6.routers.get(&node).map(|address| IpNet::from(IpAddr::V6(*address)));
            router.address.map(host).unwrap_or_default().into_iter().chain(ipv6).collect()
        }
        NodeKind::InternetGateway(gateway) => {
            gateway.addresses.iter().map(|(_, elastic)| IpAddr::V4(*elastic).into()).collect()
        }
        NodeKind::VirtualPrivateGateway(_)
        | NodeKind::TransitGateway(_)
        | NodeKind::DirectConnectGateway(_)
        | NodeKind::VirtualInterface(_)
        | NodeKind::Switch(_)
        | NodeKind::VpnClient(_)
        | NodeKind::Vpc(_)
        | NodeKind::Instance(_)
        | NodeKind::Appliance(_)
        | NodeKind::VpcPeering(_)
        | NodeKind::TransitGatewayPeering(_)
        | NodeKind::ConnectPeer(_)
        | NodeKind::GatewayEndpoint(_)
        | NodeKind::Resolver(_) => Vec::new(),
    }
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
