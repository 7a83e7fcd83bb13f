//! Who reaches whom, computed from the plan alone: an oracle beside the world, which shares no line with the devices.
//!
//! It asks what a careful reader of the drawing would: which tunnels come up, what BGP tells whom, and where each device may hand a packet
//! on, by its tables, its rules and AWS's documents. All ways that a packet may take make a directed graph of (place, packet). If every way
//! ends at the destination the packet arrives; if none does, it is lost, and the graph's leaves say where; if some do, the oracle
//! leaves it open. Choices among equal routes are not followed: all of them are in the graph.
//!
//! It knows the steady state without faults, and no time: rates, losses, sizes, timers, lifetimes and NAT's memory are not its matter. It
//! knows IPv4 between routers, and neither Ethernet, GRE, Client VPN nor a customer gateway inside of a VPC.

mod aws;
mod routes;
mod underlay;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use petgraph::algo::is_cyclic_directed;
use petgraph::graphmap::DiGraphMap;
use petgraph::visit::Bfs;
use sim_core::id::{LinkId, NodeId};
use sim_core::time::Duration;
use sim_core::trace::{Fate, ProbeLog};
use sim_core::wire::ipv4::protocol;
use sim_scenarios::Simulation;
use sim_scenarios::plan::{End, Fault, FaultKind, NodeKind, Plan, Probe, ProbeKind, StaticRoute, TunnelId, Via};

use routes::Routes;

/// What the oracle says of a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Its question arrives and, if it asks for one, so does the answer.
    Answered,
    /// It is lost, there.
    Lost(BTreeSet<&'static str>),
    /// Some of its ways lead there.
    Open,
}

/// A packet, as far as tables and rules look at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Packet {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    /// Source and destination port; zeros if it has none.
    ports: (u16, u16),
    /// True if it answers another.
    answer: bool,
}

/// How a packet came to a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Entry {
    /// It is the device's own.
    Itself,
    /// By a link of the drawing.
    Link(LinkId),
    /// Out of a tunnel.
    Tunnel(TunnelId),
    /// From another device of AWS.
    Node(NodeId),
}

/// Where a packet is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Place {
    At(NodeId, Entry),
    Delivered(NodeId),
    Lost(&'static str),
}

/// The way out of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Out {
    Link(LinkId),
    Tunnel(TunnelId),
    Node(NodeId),
    Nowhere,
}

/// What a device rewrote: whose packet it was, and to whom it went.
#[derive(Clone, Copy, Debug)]
struct Rewritten {
    before: (Ipv4Addr, Ipv4Addr),
    after: (Ipv4Addr, Ipv4Addr),
}

/// What became of a packet.
enum Trip {
    Arrives(NodeId, Packet),
    Lost(BTreeSet<&'static str>),
    Open,
}

type Rewrites = BTreeMap<NodeId, Rewritten>;

/// What packets of a probe did while nothing had happened yet and everything had converged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// More than half of them were answered, or arrived if nothing answers them: losses are not the oracle's matter.
    Answered,
    /// None was.
    Lost,
    /// Some were.
    Some,
}

/// What the probes of a run did between the middle of the time before its first fault and a little before it. `None`: there were
/// too few of them.
pub fn seen(simulation: &Simulation) -> Vec<Option<Seen>> {
    let plan = simulation.plan();
    let first = |fault: &Fault| match fault.what {
        FaultKind::ReplaceTunnelEndpoint { lead, .. } => fault.at.since_start().saturating_sub(lead),
        _ => fault.at.since_start(),
    };
    let calm = plan.faults.iter().filter(|fault| fault.enabled).map(first).min().unwrap_or(plan.duration);
    let calm = calm.min(plan.duration);
    let window = calm / 2..calm.saturating_sub(Duration::from_secs(5));
    let fate = |(log, planned): (&ProbeLog, &Probe)| {
        let inside = log.iter().filter(|probe| window.contains(&probe.sent.since_start()));
        let one_way = planned.kind == ProbeKind::UdpOneWay;
        let fates = inside.map(|probe| if one_way { probe.forward } else { probe.reverse });
        let arrived: Vec<bool> = fates.map(|fate| matches!(fate, Fate::Arrived(..))).collect();
        let number = arrived.iter().filter(|arrived| **arrived).count();
        (arrived.len() >= 3).then_some(match number {
            0 => Seen::Lost,
            _ if number * 2 > arrived.len() => Seen::Answered,
            _ => Seen::Some,
        })
    };
    simulation.world().trace.probes().iter().zip(&plan.probes).map(fate).collect()
}

/// The oracle of a plan.
pub struct Oracle<'p> {
    plan: &'p Plan,
    routes: Routes,
}

impl<'p> Oracle<'p> {
    /// Learns what all devices of a plan come to know.
    pub fn of(plan: &'p Plan) -> Self {
        let mut oracle = Self { plan, routes: Routes::none(plan) };
        // A tunnel may run over what BGP learns on Direct Connect, and BGP over tunnels.
        loop {
            let up = oracle.tunnels_up();
            let routes = Routes::with(plan, up);
            if routes == oracle.routes {
                return oracle;
            }
            oracle.routes = routes;
        }
    }

    /// What becomes of a probe.
    pub fn ask(&self, probe: &Probe) -> Verdict {
        let (kind, ports) = match probe.kind {
            ProbeKind::UdpEcho => (protocol::UDP, (40_000, 7)),
            ProbeKind::UdpOneWay => (protocol::UDP, (40_000, 9)),
            ProbeKind::TcpEcho => (protocol::TCP, (50_000, 7)),
            ProbeKind::IcmpEcho => (protocol::ICMP, (0, 0)),
        };
        let source = self.address(probe.from);
        let packet = Packet { source, destination: probe.address, protocol: kind, ports, answer: false };
        let one_way = probe.kind == ProbeKind::UdpOneWay;
        match self.round_trip(probe.from, packet, !one_way) {
            Ok(_) => Verdict::Answered,
            Err(None) => Verdict::Open,
            Err(Some(places)) => Verdict::Lost(places),
        }
    }

    /// There, and back if that is asked for. Answers the packet as it arrived, and whether a NAT rewrote it on its way.
    fn round_trip(
        &self,
        from: NodeId,
        packet: Packet,
        back: bool,
    ) -> Result<(Packet, bool), Option<BTreeSet<&'static str>>> {
        let mut rewrites = Rewrites::new();
        let (there, arrived) = match self.follow(from, packet, &mut rewrites) {
            Trip::Arrives(node, packet) => (node, packet),
            Trip::Lost(places) => return Err(Some(places)),
            Trip::Open => return Err(None),
        };
        let rewritten = !rewrites.is_empty();
        if !back {
            return Ok((arrived, rewritten));
        }
        let Packet { source, destination, protocol, ports, .. } = arrived;
        let answer =
            Packet { source: destination, destination: source, protocol, ports: (ports.1, ports.0), answer: true };
        match self.follow(there, answer, &mut rewrites) {
            Trip::Arrives(node, _) if node == from => Ok((arrived, rewritten)),
            Trip::Arrives(..) => Err(Some(BTreeSet::from(["an answer to somebody else"]))),
            Trip::Lost(places) => Err(Some(places)),
            Trip::Open => Err(None),
        }
    }

    /// All ways of a packet.
    fn follow(&self, from: NodeId, packet: Packet, rewrites: &mut Rewrites) -> Trip {
        let start = (Place::At(from, Entry::Itself), packet);
        let mut graph: DiGraphMap<(Place, Packet), ()> = DiGraphMap::new();
        let mut queue = VecDeque::from([start]);
        graph.add_node(start);
        while let Some(here) = queue.pop_front() {
            let (Place::At(node, from), packet) = here else { continue };
            for next in self.onwards(node, from, packet, rewrites) {
                if !graph.contains_node(next) {
                    queue.push_back(next);
                }
                graph.add_edge(here, next, ());
            }
        }
        let mut reached = Vec::new();
        let mut bfs = Bfs::new(&graph, start);
        while let Some((place, packet)) = bfs.next(&graph) {
            match place {
                Place::At(..) => {}
                Place::Delivered(node) => reached.push(Ok((node, packet))),
                Place::Lost(why) => reached.push(Err(why)),
            }
        }
        let lost: BTreeSet<_> = reached.iter().filter_map(|end| end.err()).collect();
        match (reached.iter().find_map(|end| end.ok()), lost.is_empty()) {
            (Some(_), true) if is_cyclic_directed(&graph) || reached.len() > 1 => Trip::Open,
            (Some((node, packet)), true) => Trip::Arrives(node, packet),
            (Some(_), false) => Trip::Open,
            (None, false) => Trip::Lost(lost),
            // It goes in circles until its TTL ends.
            (None, true) => Trip::Lost(BTreeSet::from(["a loop"])),
        }
    }

    fn kind(&self, node: NodeId) -> &'p NodeKind {
        &self.plan.nodes[node.index()].kind
    }

    fn address(&self, node: NodeId) -> Ipv4Addr {
        match self.kind(node) {
            NodeKind::Host(host) => host.address.addr(),
            NodeKind::Instance(instance) => instance.address,
            NodeKind::Appliance(appliance) => appliance.address,
            _ => Ipv4Addr::UNSPECIFIED,
        }
    }

    fn links_of(&self, node: NodeId) -> impl Iterator<Item = (LinkId, End, End)> {
        let ends = move |(link, id): (&sim_scenarios::plan::Link, u32)| {
            let [one, other] = link.ends;
            let here = [(one, other), (other, one)].into_iter().filter(move |(end, _)| end.node == node);
            here.map(move |(end, other)| (LinkId(id), end, other))
        };
        self.plan.links.iter().zip(0..).flat_map(ends)
    }

    /// Over a link to whoever is at its other end.
    fn over(&self, link: LinkId, from: NodeId) -> Place {
        let [one, other] = self.plan.links[link.index()].ends;
        Place::At(if one.node == from { other.node } else { one.node }, Entry::Link(link))
    }

    fn onwards(&self, node: NodeId, from: Entry, packet: Packet, rewrites: &mut Rewrites) -> Vec<(Place, Packet)> {
        let to = packet.destination;
        let one = |place: Place| vec![(place, packet)];
        match self.kind(node) {
            NodeKind::Host(_) | NodeKind::Instance(_) if from != Entry::Itself => one(if self.address(node) == to {
                Place::Delivered(node)
            } else {
                Place::Lost("a host of another address")
            }),
            NodeKind::Host(_) => one(self.door(node, to).unwrap_or_else(|| match self.links_of(node).next() {
                Some((link, ..)) => self.over(link, node),
                None => Place::Lost("a host without a link"),
            })),
            NodeKind::Router(_) => self.by_underlay(node, packet),
            NodeKind::Nat(nat) => self.through_nat(node, nat, from, packet, rewrites),
            NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_) => self.by_routes(node, from, packet),
            NodeKind::VpnEndpoint(endpoint) => match from {
                Entry::Link(_) if endpoint.address == to => one(Place::Delivered(node)),
                Entry::Link(_) => one(Place::Lost("an endpoint of another address")),
                Entry::Tunnel(_) => one(Place::At(endpoint.gateway, Entry::Node(node))),
                Entry::Itself => match self.plan.connections[endpoint.tunnel.connection].transport {
                    Some(_) => one(Place::At(endpoint.gateway, Entry::Node(node))),
                    None => match self.links_of(node).next() {
                        Some((link, ..)) => one(self.over(link, node)),
                        None => one(Place::Lost("an endpoint without a path")),
                    },
                },
                Entry::Node(_) => one(self.through_tunnel(endpoint.tunnel, packet, false)),
            },
            NodeKind::VirtualInterface(vif) => match from {
                Entry::Link(_) if vif.amazon_address() == to => one(Place::Delivered(node)),
                Entry::Link(_) => one(Place::At(vif.gateway, Entry::Node(node))),
                _ => self.links_of(node).map(|(link, ..)| (self.over(link, node), packet)).collect(),
            },
            NodeKind::VirtualPrivateGateway(_)
            | NodeKind::TransitGateway(_)
            | NodeKind::DirectConnectGateway(_)
            | NodeKind::Vpc(_)
            | NodeKind::Instance(_)
            | NodeKind::InternetGateway(_)
            | NodeKind::Appliance(_)
            | NodeKind::VpcPeering(_)
            | NodeKind::TransitGatewayPeering(_)
            | NodeKind::ConnectPeer(_)
            | NodeKind::GatewayEndpoint(_) => self.inside_aws(node, from, packet, rewrites),
            NodeKind::Switch(_)
            | NodeKind::ClientVpnAssociation(_)
            | NodeKind::VpnClient(_)
            | NodeKind::Resolver(_) => one(Place::Lost("a device that this oracle does not know")),
        }
    }

    /// Into a tunnel from one of its ends.
    fn through_tunnel(&self, tunnel: TunnelId, packet: Packet, from_customer: bool) -> Place {
        let planned = self.plan.tunnel(tunnel);
        if !self.routes.up.contains(&tunnel) {
            return Place::Lost("a tunnel that is down");
        }
        let (site, aws) =
            if from_customer { (packet.source, packet.destination) } else { (packet.destination, packet.source) };
        let within = |networks: [Ipv4Net; 2], address| networks.iter().all(|network| network.contains(&address));
        if !within([planned.customer.local_cidr, planned.aws.remote_cidr], site)
            || !within([planned.customer.remote_cidr, planned.aws.local_cidr], aws)
        {
            return Place::Lost("outside of the traffic selectors");
        }
        if from_customer {
            Place::At(planned.endpoint, Entry::Tunnel(tunnel))
        } else {
            Place::At(self.plan.connections[tunnel.connection].customer_gateway, Entry::Tunnel(tunnel))
        }
    }

    /// A customer gateway or BGP router: its own addresses, rules of policy routing, and the longest prefix of what it knows.
    fn by_routes(&self, node: NodeId, from: Entry, packet: Packet) -> Vec<(Place, Packet)> {
        let (interfaces, statics, forwarding) = match self.kind(node) {
            NodeKind::CustomerGateway(it) => (&it.interfaces, &it.static_routes, &it.forwarding),
            NodeKind::BgpRouter(it) => (&it.interfaces, &it.static_routes, &it.forwarding),
            _ => return Vec::new(),
        };
        let to = packet.destination;
        let inside = |tunnel: &TunnelId| self.plan.tunnel(*tunnel).customer_inside == to;
        if interfaces.iter().any(|interface| interface.address.addr() == to)
            || self.plan.tunnels_of(node).iter().any(inside)
        {
            return vec![(Place::Delivered(node), packet)];
        }
        let leave = |out: Out| match out {
            Out::Link(link) => self.over(link, node),
            Out::Tunnel(tunnel) => self.through_tunnel(tunnel, packet, true),
            Out::Node(_) | Out::Nowhere => Place::Lost("a route to nowhere"),
        };
        let came = |via: Via| match (via, from) {
            (Via::Tunnel(of), Entry::Tunnel(tunnel)) => of == tunnel,
            (Via::Interface(number), Entry::Link(link)) => {
                self.outs(node, Via::Interface(number)).contains(&Out::Link(link))
            }
            _ => false,
        };
        let rule = forwarding.policy_routes.iter().find(|rule| {
            rule.from.is_none_or(|network| network.contains(&packet.source))
                && rule.ingress.is_none_or(came)
                && rule.protocol.is_none_or(|protocol| protocol == packet.protocol)
        });
        if let Some(rule) = rule.filter(|_| from != Entry::Itself) {
            return self.outs(node, rule.via).into_iter().map(|out| (leave(out), packet)).collect();
        }
        let mut known: Vec<(Ipv4Net, u32, Out)> = Vec::new();
        for (number, interface) in interfaces.iter().enumerate() {
            let outs = self.outs(node, Via::Interface(number));
            known.extend(outs.into_iter().map(|out| (interface.address.trunc(), 0, out)));
        }
        for tunnel in self.plan.tunnels_of(node) {
            known.push((self.plan.tunnel(tunnel).inside.trunc(), 0, Out::Tunnel(tunnel)));
        }
        let usable = |route: &&StaticRoute| match (route.via, self.kind(node)) {
            (Via::Tunnel(tunnel), NodeKind::CustomerGateway(gateway)) => {
                !gateway.routes_follow_sa || self.routes.up.contains(&tunnel)
            }
            _ => true,
        };
        for route in statics.iter().filter(usable) {
            let outs = self.outs(node, route.via);
            known.extend(outs.into_iter().map(|out| (route.prefix, route.distance, out)));
        }
        known.extend(
            self.routes.known(node).map(|(prefix, external, out)| (prefix, if external { 20 } else { 200 }, out)),
        );
        if matches!(self.kind(node), NodeKind::CustomerGateway(_)) {
            known.extend(
                self.underlay(node, packet.destination)
                    .into_iter()
                    .map(|(link, length)| (Ipv4Net::new_assert(to, length).trunc(), 110, Out::Link(link))),
            );
        }
        let fits = |(prefix, ..): &&(Ipv4Net, u32, Out)| prefix.contains(&to);
        let Some(longest) = known.iter().filter(fits).map(|(prefix, ..)| prefix.prefix_len()).max() else {
            return vec![(Place::Lost("a gateway without a route"), packet)];
        };
        let at = |(prefix, ..): &&(Ipv4Net, u32, Out)| prefix.contains(&to) && prefix.prefix_len() == longest;
        let least = known.iter().filter(at).map(|(_, distance, _)| *distance).min();
        let best = known.iter().filter(at).filter(|(_, distance, _)| Some(*distance) == least);
        best.map(|(.., out)| (leave(*out), packet)).collect()
    }

    /// The ways out that a static route names.
    fn outs(&self, node: NodeId, via: Via) -> Vec<Out> {
        match via {
            Via::Tunnel(tunnel) => vec![Out::Tunnel(tunnel)],
            Via::Blackhole => vec![Out::Nowhere],
            Via::Interface(number) => {
                let links = self.links_of(node).filter(|(_, end, _)| end.interface == Some(number));
                links.map(|(link, ..)| Out::Link(link)).collect()
            }
        }
    }

    /// Which tunnels come up: both ends have something in common in everything that they must agree on, and IKE and what it protects
    /// come through between their outside addresses.
    fn tunnels_up(&self) -> BTreeSet<TunnelId> {
        let mut up = BTreeSet::new();
        for (connection, planned) in self.plan.connections.iter().enumerate() {
            for (number, tunnel) in planned.tunnels.iter().enumerate() {
                let id = TunnelId { connection, tunnel: number };
                if routes::agree(tunnel) && self.carries(planned.customer_gateway, tunnel) {
                    up.insert(id);
                }
            }
        }
        up
    }

    /// Whether IKE comes through between the ends of a tunnel, and then what it protects.
    fn carries(&self, gateway: NodeId, tunnel: &sim_scenarios::plan::Tunnel) -> bool {
        use sim_core::proto::ike::config::{ChildProtocol, NatTraversal};
        // The underlay is asked about IPv4 only.
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (tunnel.customer_outside, tunnel.aws_outside) else {
            return true;
        };
        let outer = |protocol, port| Packet { source, destination, protocol, ports: (port, port), answer: false };
        let Ok((seen, translated)) = self.round_trip(gateway, outer(protocol::UDP, 500), true) else { return false };
        if IpAddr::V4(seen.source) != tunnel.customer_registered && !tunnel.customer_anywhere {
            return false;
        }
        let ends = [tunnel.customer.nat_traversal, tunnel.aws.nat_traversal];
        let speaks = ends.iter().all(|end| *end != NatTraversal::Off);
        let in_udp = speaks && (translated || ends.contains(&NatTraversal::Force));
        match tunnel.customer.child_protocol {
            // AH covers the outer addresses (RFC 4302 section 3.3.3).
            ChildProtocol::Ah => !translated && self.round_trip(gateway, outer(protocol::AH, 0), true).is_ok(),
            ChildProtocol::Esp if in_udp => self.round_trip(gateway, outer(protocol::UDP, 4500), true).is_ok(),
            ChildProtocol::Esp => self.round_trip(gateway, outer(protocol::ESP, 0), true).is_ok(),
        }
    }
}
