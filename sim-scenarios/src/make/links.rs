//! Links and paths: their ends and conditions, and whether the underlay joins what must be joined.

use std::collections::BTreeMap;

use petgraph::unionfind::UnionFind;
use sim_core::id::NodeId;
use sim_core::rng::Chance;
use sim_core::time::Duration;

use crate::build::forwarding;
use crate::leaf::{Name, Rate, Size};
use crate::place::At;
use crate::plan::{Conditions, End, Link, Loss, Nat, Node, NodeKind, Plan};
use crate::schema;

use super::Names;
use super::judge::{Judge, between, did_you_mean};

pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &Plan, j: &mut Judge) -> Vec<Link> {
    let (nodes, direct_connects) = (&plan.nodes[..], &plan.direct_connects[..]);
    let mut sockets = Sockets::of(nodes);
    let mut links: Vec<Link> = Vec::new();
    for (name, (_, schema)) in names.links.iter().zip(&scenario.links.0) {
        let (carrier, line) = match schema {
            schema::Link::Link(line) => (true, line),
            schema::Link::Path(line) => (false, line),
        };
        let (first, second) = (&line.between.0, &line.between.1);
        let mut ends = [sockets.end(first, j), sockets.end(second, j)];
        if let [Some(a), Some(b)] = ends
            && a.node == b.node
        {
            j.wrong(second.place, "both ends are at the same node", None);
            ends = [None, None];
        }
        let usual = if carrier { LINK } else { PATH };
        let usual = match super::dx::carried(&ends, nodes, direct_connects) {
            Some((rate, mtu)) => Conditions { rate: Some(rate), mtu, ..usual },
            None => usual,
        };
        let both = common(line, usual, j);
        let apart = |direction: &Option<schema::Conditions>, j: &mut Judge| {
            direction.as_ref().map_or(both, |differing| conditions(differing, both, j))
        };
        let (mut forward, mut reverse) = (apart(&line.forward, j), apart(&line.reverse, j));
        // Guide, "Accelerated Site-to-Site VPN connections": Global Accelerator carries no fragments.
        let is_accelerated = |end: &Option<End>| {
            let kind = end.and_then(|end| nodes.get(end.node.index())).map(|node| &node.kind);
            matches!(kind, Some(NodeKind::VpnEndpoint(endpoint)) if endpoint.accelerated)
        };
        if ends.iter().any(is_accelerated) {
            (forward.drops_fragments, reverse.drops_fragments) = (true, true);
        }
        for end in ends.iter().flatten() {
            sockets.taken.entry(*end).or_insert_with(|| name.clone());
        }
        links.push(Link {
            name: name.clone(),
            carrier,
            ends: ends.map(|end| end.unwrap_or(End { node: NOWHERE, interface: None })),
            forward,
            reverse,
        });
    }
    links
}

/// Stands for an end that was mistaken.
pub(super) const NOWHERE: NodeId = NodeId(u32::MAX);

/// A cable, if nothing else is said.
const LINK: Conditions = Conditions {
    rate: None,
    queue: 256 << 10,
    delay: Duration::from_micros(100),
    jitter: Duration::ZERO,
    loss: Loss::Independent(Chance::NEVER),
    reorder: Chance::NEVER,
    reorder_by: Duration::ZERO,
    duplicate: Chance::NEVER,
    corrupt: Chance::NEVER,
    drops_fragments: false,
    mtu: 1500,
};

/// A stretch of internet, if nothing else is said.
const PATH: Conditions = Conditions { delay: Duration::from_millis(10), ..LINK };

/// What links can end at, and what is taken.
struct Sockets<'p> {
    nodes: &'p [Node],
    by_name: BTreeMap<&'p str, usize>,
    /// By which link.
    taken: BTreeMap<End, String>,
}

impl<'p> Sockets<'p> {
    fn of(nodes: &'p [Node]) -> Self {
        let mut by_name = BTreeMap::new();
        for (number, node) in nodes.iter().enumerate() {
            by_name.entry(node.name.as_str()).or_insert(number);
        }
        Self { nodes, by_name, taken: BTreeMap::new() }
    }

    /// The device and interface that an end names.
    fn end(&self, at: &At<Name>, j: &mut Judge) -> Option<End> {
        let nodes = self.nodes;
        let Name(name) = j.read(at)?;
        let whole = self.by_name.get(name.as_str()).copied();
        let (node, interface) = match whole {
            Some(node) => (node, None),
            None => match self.interface(&name) {
                Some(found) => found,
                None => {
                    let all = plugs(nodes);
                    let help = did_you_mean(&name, all.iter().map(String::as_str));
                    let help = help.unwrap_or_else(|| format!("a link can end at {}", all.join(", ")));
                    j.wrong(at.place, format!("a link cannot end at `{name}`: there is no such thing"), Some(help));
                    return None;
                }
            },
        };
        let refused = match (&nodes[node].kind, interface) {
            (
                NodeKind::CustomerGateway(_)
                | NodeKind::BgpRouter(_)
                | NodeKind::Nat(_)
                | NodeKind::Switch(_)
                | NodeKind::VpnClient(_),
                None,
            ) => Some((
                format!("`{name}` has several interfaces"),
                Some(format!("name one: {}", interfaces(&nodes[node]).join(", "))),
            )),
            (
                NodeKind::Vpc(_)
                | NodeKind::Instance(_)
                | NodeKind::Appliance(_)
                | NodeKind::VpcPeering(_)
                | NodeKind::TransitGatewayPeering(_)
                | NodeKind::ConnectPeer(_)
                | NodeKind::GatewayEndpoint(_)
                | NodeKind::Resolver(_)
                | NodeKind::VirtualPrivateGateway(_)
                | NodeKind::TransitGateway(_)
                | NodeKind::DirectConnectGateway(_),
                _,
            ) => Some((
                format!("no link ends at `{name}`: AWS joins what is inside of it"),
                Some("end it at a tunnel endpoint, like \"vpn.a\"".into()),
            )),
            (NodeKind::CustomerGateway(gateway), Some(number))
                if gateway.instance.as_ref().is_some_and(|it| it.interface == number) =>
            {
                Some((format!("no link ends at `{name}`: AWS joins it to its VPC"), None))
            }
            (NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_), Some(number))
                if forwarding(&nodes[node].kind).is_some_and(|(_, all)| all[number].gre.is_some()) =>
            {
                Some((format!("no link ends at `{name}`: it is a GRE tunnel"), None))
            }
            (NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_), Some(number))
                if forwarding(&nodes[node].kind).is_some_and(|(_, all)| all[number].is_loopback()) =>
            {
                let help = "give the interface a subnet, like \"192.0.2.1/30\"";
                Some((format!("no link ends at `{name}`: a /32 is a loopback address"), Some(help.into())))
            }
            (NodeKind::Router(_), _) => None,
            (
                NodeKind::CustomerGateway(_)
                | NodeKind::BgpRouter(_)
                | NodeKind::Nat(_)
                | NodeKind::Switch(_)
                | NodeKind::VpnClient(_)
                | NodeKind::ClientVpnAssociation(_)
                | NodeKind::Host(_)
                | NodeKind::VirtualInterface(_)
                | NodeKind::InternetGateway(_)
                | NodeKind::VpnEndpoint(_),
                _,
            ) if !is_lag(&nodes[node], interface) => self
                .taken
                .get(&End { node: NodeId(node as u32), interface })
                .map(|link| (format!("link `{link}` already ends at `{name}`"), None)),
            // Every link that ends at a LAG is a member of it.
            (_, _) => None,
        };
        if let Some((message, help)) = refused {
            j.wrong(at.place, message, help);
            return None;
        }
        Some(End { node: NodeId(node as u32), interface })
    }

    /// `NODE.INTERFACE`.
    fn interface(&self, name: &str) -> Option<(usize, Option<usize>)> {
        let (device, _) = name.split_once('.')?;
        let node = *self.by_name.get(device)?;
        let interface = interfaces(&self.nodes[node]).iter().position(|interface| interface == name)?;
        Some((node, Some(interface)))
    }
}

/// True if several links may end there.
fn is_lag(node: &Node, interface: Option<usize>) -> bool {
    match &node.kind {
        NodeKind::VirtualInterface(end) => end.interfaces[0].lag.is_some(),
        kind => interface
            .and_then(|number| forwarding(kind)?.1.get(number))
            .is_some_and(|interface| interface.lag.is_some()),
    }
}

/// `NODE.INTERFACE` of each interface, in the order of their numbers.
fn interfaces(node: &Node) -> Vec<String> {
    let names: Vec<&str> = match &node.kind {
        NodeKind::CustomerGateway(gateway) => gateway.interfaces.iter().map(|i| i.name.as_str()).collect(),
        NodeKind::BgpRouter(router) => router.interfaces.iter().map(|i| i.name.as_str()).collect(),
        NodeKind::Nat(_) | NodeKind::VpnClient(_) => vec!["inside", "outside"],
        NodeKind::Switch(switch) => switch.ports.iter().map(|port| port.name.as_str()).collect(),
        _ => Vec::new(),
    };
    names.into_iter().map(|interface| format!("{}.{interface}", node.name)).collect()
}

/// Everything that a link can end at.
fn plugs(nodes: &[Node]) -> Vec<String> {
    nodes
        .iter()
        .flat_map(|node| match &node.kind {
            NodeKind::Host(_)
            | NodeKind::Router(_)
            | NodeKind::VirtualInterface(_)
            | NodeKind::VpnEndpoint(_)
            | NodeKind::ClientVpnAssociation(_)
            | NodeKind::InternetGateway(_) => {
                vec![node.name.clone()]
            }
            NodeKind::CustomerGateway(_)
            | NodeKind::BgpRouter(_)
            | NodeKind::Nat(_)
            | NodeKind::Switch(_)
            | NodeKind::VpnClient(_) => interfaces(node),
            NodeKind::Vpc(_)
            | NodeKind::Instance(_)
            | NodeKind::Appliance(_)
            | NodeKind::VpcPeering(_)
            | NodeKind::TransitGatewayPeering(_)
            | NodeKind::ConnectPeer(_)
            | NodeKind::GatewayEndpoint(_)
            | NodeKind::Resolver(_)
            | NodeKind::VirtualPrivateGateway(_)
            | NodeKind::TransitGateway(_)
            | NodeKind::DirectConnectGateway(_) => Vec::new(),
        })
        .collect()
}

/// The conditions that a line states for both directions.
fn common(line: &schema::Line, default: Conditions, j: &mut Judge) -> Conditions {
    let fields = Fields {
        rate: &line.rate,
        queue: &line.queue,
        delay: &line.delay,
        jitter: &line.jitter,
        loss: &line.loss,
        bursts: &line.bursts,
        reorder: &line.reorder,
        duplicate: &line.duplicate,
        corrupt: &line.corrupt,
        drops_fragments: &line.drops_fragments,
        mtu: &line.mtu,
    };
    fields.over(default, j)
}

/// Conditions that differ from others in what is given.
pub(super) fn conditions(schema: &schema::Conditions, others: Conditions, j: &mut Judge) -> Conditions {
    let fields = Fields {
        rate: &schema.rate,
        queue: &schema.queue,
        delay: &schema.delay,
        jitter: &schema.jitter,
        loss: &schema.loss,
        bursts: &schema.bursts,
        reorder: &schema.reorder,
        duplicate: &schema.duplicate,
        corrupt: &schema.corrupt,
        drops_fragments: &schema.drops_fragments,
        mtu: &schema.mtu,
    };
    fields.over(others, j)
}

/// The settings that a line and its directions have in common.
struct Fields<'s> {
    rate: &'s Option<At<Rate>>,
    queue: &'s Option<At<Size>>,
    delay: &'s Option<At<Duration>>,
    jitter: &'s Option<At<Duration>>,
    loss: &'s Option<At<crate::leaf::Percent>>,
    bursts: &'s Option<schema::Bursts>,
    reorder: &'s Option<schema::Reorder>,
    duplicate: &'s Option<At<crate::leaf::Percent>>,
    corrupt: &'s Option<At<crate::leaf::Percent>>,
    drops_fragments: &'s Option<At<bool>>,
    mtu: &'s Option<At<u64>>,
}

impl Fields<'_> {
    fn over(&self, others: Conditions, j: &mut Judge) -> Conditions {
        let chance = |at: &Option<At<crate::leaf::Percent>>, default: Chance, j: &mut Judge| {
            at.as_ref().and_then(|at| j.read(at)).map_or(default, |share| share.chance())
        };
        let (reorder, reorder_by) = match self.reorder {
            None => (others.reorder, others.reorder_by),
            Some(it) => {
                (j.read(&it.chance).map_or(Chance::NEVER, |share| share.chance()), j.need(&it.by, Duration::ZERO))
            }
        };
        // An hour is longer than any packet lives.
        let hour = Duration::from_secs(3600);
        let short = |d: &Duration| between(*d, Duration::ZERO, hour, "the delay of a packet");
        Conditions {
            rate: self.rate.as_ref().and_then(|at| j.read(at)).map(|Rate(bits)| bits).or(others.rate),
            queue: j.or(self.queue, Size(others.queue)).0,
            delay: j.lawful_or(self.delay, others.delay, short),
            jitter: j.lawful_or(self.jitter, others.jitter, short),
            loss: self.loss(others.loss, j),
            reorder,
            reorder_by,
            duplicate: chance(self.duplicate, others.duplicate, j),
            corrupt: chance(self.corrupt, others.corrupt, j),
            drops_fragments: j.or(self.drops_fragments, others.drops_fragments),
            mtu: j.number(self.mtu, others.mtu, 576, 9216, "an MTU"),
        }
    }

    fn loss(&self, others: Loss, j: &mut Judge) -> Loss {
        match (self.loss, self.bursts) {
            (None, None) => others,
            (Some(at), None) => j.read(at).map_or(others, |share| Loss::Independent(share.chance())),
            (loss, Some(bursts)) => {
                if let Some(at) = loss {
                    let help = "loss outside bursts is `bursts: (good: ...)`";
                    j.wrong(at.place, "`loss` and `bursts` exclude each other", Some(help.into()));
                }
                let mut share = |at: Option<&At<crate::leaf::Percent>>, default: Chance| {
                    at.and_then(|at| j.read(at)).map_or(default, |share| share.chance())
                };
                Loss::GilbertElliott {
                    enter: share(Some(&bursts.enter), Chance::NEVER),
                    leave: share(Some(&bursts.leave), Chance::ALWAYS),
                    good: share(bursts.good.as_ref(), Chance::NEVER),
                    bad: share(bursts.bad.as_ref(), Chance::ALWAYS),
                }
            }
        }
    }
}

/// Fills in hosts' gateways, and sees that nothing is left unplugged and every tunnel has a way.
pub(super) fn underlay(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    // What follows from a mistaken end is no mistake of its own.
    if plan.links.iter().any(|link| link.ends.iter().any(|end| end.node == NOWHERE)) {
        return;
    }
    for (i, (at, schema)) in scenario.nodes.0.iter().enumerate() {
        if let schema::Node::Host(schema) = schema {
            host(NodeId(i as u32), at, schema, plan, j);
        }
        let here = End { node: NodeId(i as u32), interface: None };
        if matches!(schema, schema::Node::InternetGateway(_))
            && !plan.links.iter().any(|link| link.ends.contains(&here))
        {
            let help = "for example: \"internet\": Path(between: (\"igw\", \"isp\"))";
            j.wrong(at.place, "no link or path leads from this internet gateway to the internet", Some(help.into()));
        }
    }
    let joined = Joined::of(plan);
    for ((_, schema), connection) in scenario.connections.0.iter().zip(&plan.connections) {
        let schema::Connection::Vpn(schema) = schema;
        let wan = End { node: connection.customer_gateway, interface: Some(connection.customer_interface) };
        let wan = super::instances::internet_gateway(plan, wan).unwrap_or(wan);
        for ((at, _), tunnel) in schema.tunnels.0.iter().zip(&connection.tunnels) {
            let endpoint = End { node: tunnel.endpoint, interface: None };
            // What Direct Connect transports needs no path.
            if connection.transport.is_none()
                && !super::dx::is_public(plan, wan)
                && known(connection.customer_gateway, plan)
                && !joined.holds(endpoint, wan)
            {
                let message = format!(
                    "no link or path leads from endpoint `{}` to the customer gateway's interface",
                    tunnel.name
                );
                let help = format!("for example: \"path\": Path(between: (\"isp\", \"{}\"))", tunnel.name);
                j.wrong(at.place, message, Some(help));
            }
        }
    }
}

fn known(node: NodeId, plan: &Plan) -> bool {
    node.index() < plan.nodes.len()
}

/// A host has one link. Its gateway is what is at the other end, unless it is given.
fn host(id: NodeId, at: &At<Name>, schema: &schema::Host, plan: &mut Plan, j: &mut Judge) {
    let here = End { node: id, interface: None };
    let others: Vec<End> = plan.links.iter().filter_map(|link| other_end(link, here)).collect();
    let [other] = others[..] else {
        // Two links at one host are reported where the second one ends.
        if others.is_empty() {
            j.wrong(at.place, "no link ends at this host", None);
        }
        return;
    };
    // Software on the computer itself: what is behind it is the network's matter.
    if let Some(NodeKind::VpnClient(_)) = plan.nodes.get(other.node.index()).map(|node| &node.kind) {
        return;
    }
    let peer = match (plan.nodes.get(other.node.index()).map(|node| &node.kind), other.interface) {
        (Some(NodeKind::CustomerGateway(gateway)), Some(i)) => gateway.interfaces.get(i).map(|i| i.address),
        (Some(NodeKind::BgpRouter(router)), Some(i)) => router.interfaces.get(i).map(|i| i.address),
        (Some(NodeKind::Nat(nat)), Some(Nat::INSIDE)) => Some(nat.inside),
        // Two hosts on one wire need no gateway; each is the other's.
        (Some(NodeKind::Host(neighbour)), _) => Some(neighbour.address),
        _ => None,
    };
    let Some(Node { kind: NodeKind::Host(host), .. }) = plan.nodes.get_mut(id.index()) else {
        return;
    };
    match (peer, &schema.gateway) {
        (Some(peer), _) if !peer.contains(&host.address.addr()) && schema.address.value.is_ok() => {
            let message = format!("{} is not in the subnet {} of its link's other end", host.address, peer.trunc());
            j.wrong(schema.address.place, message, None);
        }
        (Some(peer), None) => host.gateway = peer.addr(),
        (None, None) => {
            let help = Some("give it `gateway:`".to_owned());
            j.wrong(at.place, "the default gateway of this host is not known", help);
        }
        (_, Some(_)) => {}
    }
}

pub(super) fn other_end(link: &Link, end: End) -> Option<End> {
    match link.ends {
        [a, b] if a == end => Some(b),
        [a, b] if b == end => Some(a),
        _ => None,
    }
}

/// Which ends links, routers and NATs join.
struct Joined {
    elements: BTreeMap<End, usize>,
    sets: UnionFind<usize>,
}

impl Joined {
    fn of(plan: &Plan) -> Self {
        let ends = plan.links.iter().flat_map(|link| link.ends);
        let mut elements = BTreeMap::new();
        for end in ends {
            let next = elements.len();
            elements.entry(end).or_insert(next);
        }
        let mut sets = UnionFind::new(elements.len());
        for link in &plan.links {
            let [a, b] = link.ends.map(|end| elements[&end]);
            sets.union(a, b);
        }
        // A device that carries the traffic of others joins all its own ends.
        let mut first: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (end, element) in &elements {
            let kind = plan.nodes.get(end.node.index()).map(|node| &node.kind);
            if let Some(NodeKind::Router(_) | NodeKind::Nat(_)) = kind {
                sets.union(*first.entry(end.node).or_insert(*element), *element);
            }
        }
        Self { elements, sets }
    }

    fn holds(&self, a: End, b: End) -> bool {
        match (self.elements.get(&a), self.elements.get(&b)) {
            (Some(a), Some(b)) => self.sets.equiv(*a, *b),
            _ => false,
        }
    }
}
