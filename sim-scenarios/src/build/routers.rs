//! What customer gateways and BGP routers have in common: neighbours, BFD, what is watched, policy routing and how flows are
//! spread.

use ipnet::Ipv4Net;
use sim_core::id::RecordId;
use sim_core::id::{LinkId, NodeId, Port, SessionId};
use sim_core::net::fib::{Route, RouteSource, Target, distance};
use sim_core::net::multipath::Multipath;
use sim_core::node::bfd::{Bfd, BfdConfig};
use sim_core::node::gateway::Gateway;
use sim_core::node::gre::GreTunnel;
use sim_core::node::ip::{Ip, PolicyRoute, TrackId};
use sim_core::node::track::{EchoConfig, Tracks, Watched as Watch};
use sim_core::proto::bfd;
use sim_core::proto::bgp::PeerConfig;
use sim_core::proto::bgp::policy::Policy;
use sim_core::trace::{SessionInfo, SessionKind};
use sim_core::world::World;

use super::{AWS_MTU, Builder};
use crate::plan::{
    self, BgpRouter, Forwarding, Interface, Internal, Neighbor, NodeKind, Plan, StaticRoute, TunnelId, Via, Watched,
};

/// The sessions of a device beyond those of its tunnels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterSessions {
    /// BGP, by neighbour.
    pub bgp: Vec<SessionId>,
    /// BFD, by neighbour, if it has it.
    pub bfd: Vec<Option<SessionId>>,
    /// What is watched, and the BFD session of its own that a track has.
    pub tracks: Vec<(SessionId, Option<SessionId>)>,
    /// LACP, by link and for each member of a LAG.
    pub lacp: Vec<(LinkId, SessionId)>,
    /// VRRP: interface, number of the virtual router there, session.
    pub vrrp: Vec<(usize, usize, SessionId)>,
    /// That of a client of Client VPN.
    pub client: Option<SessionId>,
}

/// What a node is told beyond its tunnels, if it is a device that may be told.
pub(crate) fn forwarding(kind: &NodeKind) -> Option<(&Forwarding, &[Interface])> {
    match kind {
        NodeKind::CustomerGateway(gateway) => Some((&gateway.forwarding, &gateway.interfaces)),
        NodeKind::BgpRouter(router) => Some((&router.forwarding, &router.interfaces)),
        NodeKind::VirtualInterface(end) => Some((&end.forwarding, &end.interfaces)),
        NodeKind::ConnectPeer(peer) => Some((&peer.forwarding, &peer.interfaces)),
        _ => None,
    }
}

/// Names the sessions of all routers, those between the same two addresses as pairs.
pub(super) fn add_sessions(plan: &Plan, world: &mut World) -> Vec<RouterSessions> {
    let mut ends: Vec<(SessionKind, std::net::Ipv4Addr, std::net::Ipv4Addr, SessionId)> = Vec::new();
    let mut add = |kind, node: usize, name: &str, between: Option<(std::net::Ipv4Addr, std::net::Ipv4Addr)>| {
        let device = &plan.nodes[node].name;
        let info = SessionInfo { kind, node: NodeId(node as u32), name: format!("{name}@{device}"), peer: None };
        let id = world.trace.add_session(info);
        if let Some((local, remote)) = between {
            let other = ends.iter().find(|end| (end.0, end.1, end.2) == (kind, remote, local));
            if let Some((.., other)) = other {
                world.trace.pair_sessions(*other, id);
            }
            ends.push((kind, local, remote, id));
        }
        id
    };
    let mut all: Vec<RouterSessions> = Vec::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        let mut sessions = RouterSessions::default();
        let Some((forwarding, interfaces)) = forwarding(&node.kind) else {
            all.push(sessions);
            continue;
        };
        for neighbor in &forwarding.neighbors {
            let between = (interfaces[neighbor.interface].address.addr(), neighbor.address);
            sessions.bgp.push(add(SessionKind::Bgp, index, &neighbor.name, Some(between)));
            let bfd = neighbor.bfd.map(|_| add(SessionKind::Bfd, index, &neighbor.name, Some(between)));
            sessions.bfd.push(bfd);
        }
        for track in &forwarding.tracks {
            let own = match track.watched {
                Watched::Bfd { interface, address, .. } => {
                    let between = (interfaces[interface].address.addr(), address);
                    Some(add(SessionKind::Bfd, index, &track.name, Some(between)))
                }
                Watched::Tunnel(_) | Watched::Interface(_) | Watched::Neighbor(_) | Watched::Ping { .. } => None,
            };
            sessions.tracks.push((add(SessionKind::Track, index, &track.name, None), own));
        }
        let here =
            |end: &plan::End| end.node.index() == index && super::dx::lag_at(&node.kind, end.interface).is_some();
        for (number, link) in plan.links.iter().enumerate().filter(|(_, link)| link.ends.iter().any(here)) {
            sessions.lacp.push((LinkId(number as u32), add(SessionKind::Lacp, index, &link.name, None)));
        }
        all.push(sessions);
    }
    for (node, sessions) in all.iter_mut().enumerate() {
        sessions.vrrp = super::lan::add_sessions(plan, NodeId(node as u32), world);
        sessions.client = super::client_vpn::add_session(plan, NodeId(node as u32), world);
    }
    super::lan::pair_sessions(plan, &all, world);
    // The two ends of a member of a LAG hear each other.
    let members: Vec<(LinkId, SessionId)> = all.iter().flat_map(|of| of.lacp.iter().copied()).collect();
    for (place, (link, end)) in members.iter().enumerate() {
        if let Some((_, other)) = members[..place].iter().find(|(of, _)| of == link) {
            world.trace.pair_sessions(*other, *end);
        }
    }
    all
}

/// The number of the BFD session of each neighbour: they come before those of tracks.
pub(super) fn bfd_numbers(forwarding: &Forwarding) -> Vec<Option<usize>> {
    let mut next = 0..;
    forwarding.neighbors.iter().map(|neighbor| neighbor.bfd.and_then(|_| next.next())).collect()
}

/// A peer with what is said of it if it is in the same autonomous system.
pub(super) fn inside(mut peer: PeerConfig, internal: Option<Internal>) -> PeerConfig {
    let Some(internal) = internal else { return peer };
    peer.route_reflector_client = internal.route_reflector_client;
    peer.next_hop_self = internal.next_hop_self;
    if internal.keeps_local_preference {
        peer.import = Policy::accept_all();
    }
    peer
}

/// The ports of a device: its interfaces, then its tunnels.
pub(super) struct Ports<'a> {
    pub interfaces: &'a [Interface],
    pub tunnels: &'a [TunnelId],
}

impl Ports<'_> {
    pub fn tunnel(&self, number: usize) -> Port {
        Port((self.interfaces.len() + number) as u16)
    }

    /// Where a way begins; `None`: nowhere.
    pub fn of(&self, via: Via) -> Option<Port> {
        match via {
            Via::Tunnel(id) => {
                Some(self.tunnel(self.tunnels.iter().position(|tunnel| *tunnel == id).unwrap_or_default()))
            }
            Via::Interface(interface) => Some(Port(interface as u16)),
            Via::Blackhole => None,
        }
    }

    fn target(&self, via: Via) -> Target {
        self.of(via).map_or(Target::Blackhole, Target::port)
    }
}

impl Builder<'_> {
    /// A plain BGP router: a gateway without tunnels.
    pub(super) fn bgp_router(&self, id: NodeId, router: &BgpRouter) -> Gateway {
        let ports = Ports { interfaces: &router.interfaces, tunnels: &[] };
        let mut ip = Ip::new(router.interfaces.iter().map(|i| i.address.addr()).collect());
        self.ports_of(id).for_each(|(port, mtu)| ip.add_port(port, mtu));
        gre_ports(&mut ip, &router.interfaces);
        for (i, interface) in router.interfaces.iter().enumerate() {
            connect(&mut ip, interface.address, Port(i as u16));
        }
        self.direct(id, &mut ip, &ports, &router.static_routes, &router.forwarding);
        let routing = self.speak(id, router.asn, Vec::new(), &router.forwarding, &router.advertise, router.tcp);
        let mut gateway = Gateway::new(ip, Vec::new(), routing, false);
        self.watch(id, &mut gateway, &ports, &router.forwarding);
        self.inspect(id, &mut gateway, &ports, &router.forwarding);
        self.aggregate(id, &mut gateway, &router.interfaces);
        self.on_lan(id, &mut gateway, &router.interfaces);
        gateway.gre = gre_tunnels(&router.interfaces).collect();
        gateway
    }

    /// Static routes, policy, filters and the spreading of flows.
    pub(super) fn direct(
        &self,
        id: NodeId,
        ip: &mut Ip,
        ports: &Ports<'_>,
        routes: &[StaticRoute],
        forwarding: &Forwarding,
    ) {
        for route in routes {
            let configured = Route {
                prefix: route.prefix,
                source: RouteSource::Static,
                distance: u8::try_from(route.distance).unwrap_or(u8::MAX),
                metric: 0,
                target: match (ports.target(route.via), route.next_hop) {
                    (Target::Out { port, .. }, Some(next_hop)) => Target::via(port, next_hop),
                    (target, _) => target,
                },
                since: RecordId::GENESIS,
            };
            ip.configure(configured, route.track.map(|track| TrackId(track as u8)));
        }
        for (i, interface) in ports.interfaces.iter().enumerate() {
            ip.filter_reverse_path(Port(i as u16), interface.reverse_path);
            interface.access_list.iter().for_each(|rule| ip.filter(Port(i as u16), *rule));
        }
        for rule in &forwarding.policy_routes {
            ip.add_policy(PolicyRoute {
                source: rule.from,
                ingress: rule.ingress.and_then(|via| ports.of(via)),
                protocol: rule.protocol,
                target: ports.target(rule.via),
            });
        }
        if let Some(ecmp) = forwarding.ecmp {
            let multipath = Multipath::new(ecmp.flow, self.plan.seed, &self.plan.nodes[id.index()].name);
            ip.spread_flows(Multipath { max_ways: ecmp.max_paths, buckets: ecmp.buckets, ..multipath });
        }
    }

    /// BFD sessions and what is watched.
    pub(super) fn watch(&self, id: NodeId, gateway: &mut Gateway, ports: &Ports<'_>, forwarding: &Forwarding) {
        let sessions = &self.routers[id.index()];
        let address = |interface: usize| ports.interfaces[interface].address.addr();
        let own = |session: SessionId| self.world.trace.sessions()[session.index()].name.clone();
        let config = |interface: usize, remote, session, bfd: plan::Bfd| {
            let machine = bfd::Config {
                desired_min_tx: bfd.min_tx,
                required_min_rx: bfd.min_rx,
                detect_multiplier: bfd.multiplier,
                passive: bfd.passive,
                multihop: bfd.multihop,
            };
            let port = Port(interface as u16);
            (own(session), BfdConfig { local: address(interface), remote, port, session, machine })
        };
        let of_neighbor = |(neighbor, session): (&Neighbor, &Option<SessionId>)| {
            Some(config(neighbor.interface, neighbor.address, (*session)?, neighbor.bfd?))
        };
        let mut all: Vec<_> = forwarding.neighbors.iter().zip(&sessions.bfd).filter_map(of_neighbor).collect();
        let numbers = bfd_numbers(forwarding);
        let mut tracks = Vec::new();
        for (track, (session, bfd_session)) in forwarding.tracks.iter().zip(&sessions.tracks) {
            let watched = match track.watched {
                Watched::Tunnel(id) => {
                    Watch::Tunnel(ports.tunnels.iter().position(|tunnel| *tunnel == id).unwrap_or_default())
                }
                Watched::Interface(interface) => Watch::Carrier(Port(interface as u16)),
                Watched::Neighbor(neighbor) => {
                    Watch::Bfd(numbers.get(neighbor).copied().flatten().unwrap_or(usize::MAX))
                }
                Watched::Bfd { interface, address, bfd } => {
                    all.extend(bfd_session.map(|session| config(interface, address, session, bfd)));
                    Watch::Bfd(all.len() - 1)
                }
                Watched::Ping { to, via, every, timeout, lost, answered } => {
                    let port = ports.of(via).unwrap_or_default();
                    let from = match via {
                        Via::Tunnel(id) => self.plan.tunnel(id).customer_inside,
                        Via::Interface(interface) => address(interface),
                        Via::Blackhole => std::net::Ipv4Addr::UNSPECIFIED,
                    };
                    Watch::Echo(EchoConfig { to, from, port, every, timeout, lost, answered })
                }
            };
            tracks.push((watched, *session));
        }
        gateway.bfd = Bfd::new(self.plan.seed, all);
        gateway.tracks = Tracks::new(tracks).taking_over(self.takeovers(id));
    }
}

/// The GRE tunnels among interfaces.
pub(super) fn gre_tunnels(interfaces: &[Interface]) -> impl Iterator<Item = GreTunnel> {
    interfaces.iter().zip((0..).map(Port)).filter_map(|(interface, port)| {
        let plan::Gre { source: local, destination: remote, key } = interface.gre?;
        Some(GreTunnel { port, local, remote, key })
    })
}

/// Their ports.
pub(super) fn gre_ports(ip: &mut Ip, interfaces: &[Interface]) {
    for tunnel in gre_tunnels(interfaces) {
        ip.add_port(tunnel.port, GreTunnel::mtu(tunnel.key, AWS_MTU));
        ip.set_tunnel(tunnel.port);
    }
}

/// A network that is connected to a port.
pub(super) fn connect(ip: &mut Ip, network: Ipv4Net, port: Port) {
    ip.add_route(network.trunc(), RouteSource::Connected, distance::CONNECTED, port);
}
