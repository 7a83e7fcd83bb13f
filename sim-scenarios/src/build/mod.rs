//! From a plan to a world.
//!
//! Ids are kept: node, link, fault and stream `n` of the plan are `n` of the world. AWS's inner links follow the plan's.

mod aws;
mod client_vpn;
mod dns;
mod dx;
pub(crate) mod external;
mod faults;
mod firewall;
pub(crate) mod ike;
mod index;
mod ipv6;
mod lan;
mod links;
mod routers;
mod tgw;
pub(crate) mod vpc;

use std::net::IpAddr;
use std::sync::Arc;

pub use external::Reality;
use ipnet::{IpNet, Ipv4Net};
pub use routers::RouterSessions;
pub(crate) use routers::forwarding;
use sim_core::id::{NodeId, Port, SessionId, StreamId};
use sim_core::net::fib::{RouteSource, distance};
use sim_core::net::nat::Nat;
use sim_core::node::Node;
use sim_core::node::cgw::Cgw;
use sim_core::node::client_vpn::association;
use sim_core::node::endpoint::{self, VpnEndpoint};
use sim_core::node::gateway::Gateway;
use sim_core::node::host::{self, Host, ProbeConfig};
use sim_core::node::igw;
use sim_core::node::ip::Ip;
use sim_core::node::natbox::{self, NatBox};
use sim_core::node::router::Router;
use sim_core::node::routing::{Routing, RoutingConfig};
use sim_core::node::tunnel::{Tunnel, TunnelConfig};
use sim_core::node::vif;
use sim_core::proto::bgp::decision::Multipath;
use sim_core::proto::bgp::policy::{Change, Policy, Rule};
use sim_core::proto::bgp::{Damping, Jitter as BgpJitter, Originated, PeerConfig, SpeakerConfig};
use sim_core::proto::tcp::{Md5Key, Profile, TcpConfig};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Instant;
use sim_core::trace::{SessionInfo, SessionKind, StreamInfo};
use sim_core::world::World;
pub(crate) use vpc::attached;

use crate::plan::{
    BgpEnd, Connection, CustomerGateway, EndpointIcmp, Forwarding, NamedPolicy, NodeKind, Plan, ProbeKind, Side,
    TcpProfile, Tunnel as PlannedTunnel, TunnelId,
};
use index::Index;
use routers::{Ports, connect};

/// MTU inside AWS, between endpoint, gateway and VPC (guide: a VGW carries 1,500 octets).
const AWS_MTU: u32 = 1500;

/// A world and where to find in it what a plan names.
pub struct Built {
    /// The world, not started.
    pub world: World,
    /// The sessions of each tunnel, by connection and tunnel.
    pub sessions: Vec<Vec<TunnelSessions>>,
    /// The sessions of each node beyond those of its tunnels, by node.
    pub routers: Vec<RouterSessions>,
}

/// The sessions of one tunnel: `[AWS's end, the customer gateway's end]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TunnelSessions {
    /// IKE.
    pub ike: [SessionId; 2],
    /// ESP.
    pub child: [SessionId; 2],
    /// BGP, if the connection has it.
    pub bgp: Option<[SessionId; 2]>,
}

impl Built {
    /// The sessions of a tunnel.
    pub fn tunnel(&self, id: TunnelId) -> &TunnelSessions {
        &self.sessions[id.connection][id.tunnel]
    }
}

/// Makes the world of a plan.
pub fn build(plan: &Plan) -> Built {
    build_with(plan, &Reality::default())
}

/// Makes the world of a plan, with places for those who are real.
pub fn build_with(plan: &Plan, reality: &Reality) -> Built {
    let mut world = World::new(plan.seed);
    let sessions = add_sessions(plan, &mut world);
    let routers = routers::add_sessions(plan, &mut world);
    let (ports, index) = (ports(plan), Index::of(plan));
    let mut builder = Builder { plan, world, sessions, routers, ports, index, reality };
    builder.add_streams();
    for index in 0..plan.nodes.len() {
        let node = builder.node(NodeId(index as u32));
        let name = &plan.nodes[index].name;
        builder.world.add_node(name, node);
    }
    builder.name_ports();
    builder.add_links();
    builder.add_inner_links();
    builder.add_faults();
    Built { world: builder.world, sessions: builder.sessions, routers: builder.routers }
}

struct Builder<'p> {
    plan: &'p Plan,
    world: World,
    sessions: Vec<Vec<TunnelSessions>>,
    routers: Vec<RouterSessions>,
    /// The port at each end of each link.
    ports: Vec<[Port; 2]>,
    index: Index,
    reality: &'p Reality,
}

fn add_sessions(plan: &Plan, world: &mut World) -> Vec<Vec<TunnelSessions>> {
    let mut pair = |connection: &Connection, tunnel: &PlannedTunnel, kind| {
        let ends = [tunnel.endpoint, connection.customer_gateway].map(|node| {
            let name = format!("{}@{}", tunnel.name, plan.nodes[node.index()].name);
            let name = if node == tunnel.endpoint { format!("{}@aws", tunnel.name) } else { name };
            world.trace.add_session(SessionInfo { kind, node, name, peer: None })
        });
        world.trace.pair_sessions(ends[0], ends[1]);
        ends
    };
    let of_connection = |connection: &Connection| {
        let of_tunnel = |tunnel: &PlannedTunnel| TunnelSessions {
            ike: pair(connection, tunnel, SessionKind::Ike),
            child: pair(connection, tunnel, SessionKind::Child),
            bgp: tunnel.bgp.as_ref().map(|_| pair(connection, tunnel, SessionKind::Bgp)),
        };
        connection.tunnels.iter().map(of_tunnel).collect()
    };
    plan.connections.iter().map(of_connection).collect()
}

/// The ports at the ends of the plan's links: an interface's number on a customer gateway or NAT, the outside port on an
/// endpoint, the only port of a host, and on a router one port after another.
fn ports(plan: &Plan) -> Vec<[Port; 2]> {
    let mut used = vec![0u16; plan.nodes.len()];
    let mut members = vec![0u16; plan.nodes.len()];
    let mut port = |end: crate::plan::End| match (&plan.nodes[end.node.index()].kind, end.interface) {
        // Members of a LAG come after everything else; the interface's own port is the logical one.
        (kind, _) if dx::lag_at(kind, end.interface).is_some() => {
            members[end.node.index()] += 1;
            Port(dx::first_member(plan, end.node) + members[end.node.index()] - 1)
        }
        (NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_), Some(interface)) => Port(interface as u16),
        (NodeKind::Switch(_) | NodeKind::VpnClient(_), Some(number)) => Port(number as u16),
        (NodeKind::ClientVpnAssociation(_), _) => association::OUTSIDE_PORT,
        (NodeKind::Nat(_), Some(crate::plan::Nat::INSIDE)) => natbox::INSIDE_PORT,
        (NodeKind::Nat(_), _) => natbox::OUTSIDE_PORT,
        (NodeKind::VpnEndpoint(_), _) => endpoint::OUTSIDE_PORT,
        (NodeKind::VirtualInterface(_), _) => vif::OUTSIDE_PORT,
        (NodeKind::InternetGateway(_), _) => igw::INTERNET_PORT,
        (NodeKind::Host(_) | NodeKind::Instance(_), _) => host::PORT,
        _ => {
            used[end.node.index()] += 1;
            Port(used[end.node.index()] - 1)
        }
    };
    plan.links.iter().map(|link| link.ends.map(&mut port)).collect()
}

impl Builder<'_> {
    fn node(&self, id: NodeId) -> Node {
        match &self.plan.nodes[id.index()].kind {
            NodeKind::Host(h) if self.is_door(id) => self.external_host(id, h.address.addr()),
            NodeKind::Host(h) => self.host(id, h.address.addr()),
            NodeKind::Instance(i) if self.is_door(id) => self.external_host(id, i.address),
            NodeKind::Instance(i) => self.host(id, i.address),
            NodeKind::Router(router) => {
                let mut made = Router::new(router.address.into_iter().collect());
                self.ports_of(id).for_each(|(port, mtu)| made.add_port(port, mtu));
                self.ways_of(id).for_each(|(prefix, port)| made.add_route(prefix, port));
                self.ipv6_of_router(id, &mut made);
                self.public_interfaces(id, &mut made);
                Node::Router(Box::new(made))
            }
            NodeKind::BgpRouter(router) => Node::Cgw(Box::new(Cgw::new(self.bgp_router(id, router)))),
            NodeKind::Nat(nat) => Node::NatBox(Box::new(self.nat(id, nat))),
            NodeKind::CustomerGateway(cgw) if self.is_door(id) => self.external_gateway(id, cgw),
            NodeKind::CustomerGateway(cgw) => Node::Cgw(Box::new(Cgw::new(self.customer_gateway(id, cgw)))),
            NodeKind::VpnEndpoint(e) if self.is_door(id) => self.external_endpoint(id, e.address),
            NodeKind::VpnEndpoint(e) => {
                let number = self.index.number(e.gateway, e.tunnel);
                Node::VpnEndpoint(Box::new(VpnEndpoint::new(
                    self.endpoint(e.tunnel),
                    e.gateway,
                    number,
                    self.tunnel_limit(e.tunnel),
                )))
            }
            NodeKind::VirtualPrivateGateway(v) => Node::Vgw(Box::new(self.vgw(id, v))),
            NodeKind::TransitGateway(t) => Node::Tgw(Box::new(self.tgw(id, t))),
            NodeKind::Vpc(v) => Node::Vpc(Box::new(self.vpc(id, v))),
            NodeKind::InternetGateway(it) => Node::InternetGateway(Box::new(self.internet_gateway(id, it))),
            NodeKind::ClientVpnAssociation(it) => {
                Node::ClientVpnAssociation(Box::new(self.client_vpn_association(id, it)))
            }
            NodeKind::VpnClient(it) => Node::VpnClient(Box::new(self.vpn_client(id, it))),
            NodeKind::Switch(it) => Node::Switch(Box::new(lan::switch(it))),
            NodeKind::Appliance(it) => self.appliance(id, it),
            NodeKind::ConnectPeer(it) => Node::VpnEndpoint(Box::new(self.connect_peer(id, it))),
            NodeKind::TransitGatewayPeering(_) => Node::Joint(Box::new(self.transit_peering())),
            NodeKind::VpcPeering(it) => Node::Joint(Box::new(self.peering(it))),
            NodeKind::GatewayEndpoint(it) => Node::Joint(Box::new(self.gateway_endpoint(it))),
            NodeKind::Resolver(it) => self.resolver(id, it),
            NodeKind::DirectConnectGateway(d) => Node::DxGateway(Box::new(self.direct_connect_gateway(id, d))),
            NodeKind::VirtualInterface(v) => Node::VirtualInterface(Box::new(self.virtual_interface(id, v))),
        }
    }

    fn nat(&self, id: NodeId, nat: &crate::plan::Nat) -> NatBox {
        let mut own = vec![nat.outside, nat.inside.addr()];
        own.extend(nat.config.pool.iter().filter(|address| **address != nat.outside));
        let rng = Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::NatPorts);
        let mut made = NatBox::new(own, Nat::new(nat.config.clone(), rng), nat.filter.clone());
        self.ports_of(id).for_each(|(port, mtu)| made.add_port(port, mtu));
        self.ways_of(id).for_each(|(prefix, port)| made.add_route(prefix, port));
        made
    }

    /// The connected ports of a node with their links' MTUs.
    fn ports_of(&self, id: NodeId) -> impl Iterator<Item = (Port, u32)> {
        self.index.links(id).iter().map(|&(link, end)| {
            let planned = &self.plan.links[link.index()];
            (self.ports[link.index()][end], u32::from([planned.forward.mtu, planned.reverse.mtu][end]))
        })
    }

    fn ways_of(&self, id: NodeId) -> impl Iterator<Item = (Ipv4Net, Port)> {
        self.all_ways_of(id).filter_map(|(prefix, port)| match prefix {
            IpNet::V4(prefix) => Some((prefix, port)),
            IpNet::V6(_) => None,
        })
    }

    /// The ways of the underlay from a node, of both families.
    fn all_ways_of(&self, id: NodeId) -> impl Iterator<Item = (IpNet, Port)> {
        self.index.ways(id).iter().map(move |&(prefix, by)| {
            let (link, ports) = (&self.plan.links[by.index()], self.ports[by.index()]);
            let side = usize::from(link.ends[0].node != id);
            (prefix, self.logical(link.ends[side], ports[side]))
        })
    }

    fn host(&self, id: NodeId, address: std::net::Ipv4Addr) -> Node {
        let simulated = !self.is_real(id);
        let probes = self.plan.probes.iter().enumerate().filter(|(_, probe)| simulated && probe.from == id);
        let probes = probes.filter(|(i, _)| !self.plan.ipv6.probes.contains_key(i));
        let probes = probes.map(|(i, probe)| ProbeConfig {
            stream: StreamId(i as u16),
            kind: probe.kind,
            to: probe.address,
            every: probe.every,
            size: probe.size,
            dont_fragment: probe.dont_fragment,
            start: probe.start,
            stop: probe.stop,
        });
        let own = match &self.plan.nodes[id.index()].kind {
            NodeKind::Instance(instance) => instance.mtu.into(),
            _ => AWS_MTU,
        };
        let mtu = self.ports_of(id).map(|(_, mtu)| mtu).next().unwrap_or(own);
        let host = self.with_ipv6(id, Host::new(address, mtu, probes.collect()));
        let mut tcp = self.plan.probes.iter().filter(|probe| probe.kind == ProbeKind::TcpEcho);
        // What is sent to an appliance, another host answers.
        let serves = |probe: &crate::plan::Probe| match self.plan.nodes[probe.to.index()].kind {
            NodeKind::Appliance(_) => true,
            _ => probe.to == id,
        };
        let host = if tcp.any(|probe| probe.from == id || serves(probe)) || self.has_tcp_flows(id) {
            host.with_tcp(Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::Tcp))
        } else {
            host
        };
        let flows = if simulated { self.flows(id) } else { Vec::new() };
        let host = match self.host_station(id) {
            Some(station) => host.with_station(station),
            None => host,
        };
        self.with_endpoints(id, self.with_dns(id, address, host).with_flows(flows))
    }

    fn customer_gateway(&self, id: NodeId, cgw: &CustomerGateway) -> Gateway {
        let tunnels = self.index.tunnels(id);
        let ports = Ports { interfaces: &cgw.interfaces, tunnels };
        let mut own: Vec<_> = cgw.interfaces.iter().map(|i| i.address.addr()).collect();
        own.extend(tunnels.iter().map(|t| self.plan.tunnel(*t).customer_inside));
        let mut ip = Ip::new(own);
        self.ports_of(id).for_each(|(port, mtu)| ip.add_port(port, mtu));
        routers::gre_ports(&mut ip, &cgw.interfaces);
        if let Some(instance) = &cgw.instance {
            // The VPC's router is behind it, and by that everything outside of the tunnels.
            let port = Port(instance.interface as u16);
            ip.add_port(port, AWS_MTU);
            ip.add_route(Ipv4Net::default(), RouteSource::Underlay, distance::UNDERLAY, port);
        }
        for (i, interface) in cgw.interfaces.iter().enumerate() {
            connect(&mut ip, interface.address, Port(i as u16));
        }
        for (i, tunnel) in tunnels.iter().map(|tunnel| self.plan.tunnel(*tunnel)).enumerate() {
            ip.add_port(ports.tunnel(i), AWS_MTU);
            ip.filter_reverse_path(ports.tunnel(i), tunnel.customer_reverse_path);
            tunnel.customer_access_list.iter().for_each(|rule| ip.filter(ports.tunnel(i), *rule));
            connect(&mut ip, tunnel.inside, ports.tunnel(i));
        }
        self.ipv6_of_gateway(id, &mut ip, &ports);
        for (prefix, port) in self.ways_of(id) {
            ip.add_route(prefix, RouteSource::Underlay, distance::UNDERLAY, port);
        }
        self.direct(id, &mut ip, &ports, &cgw.static_routes, &cgw.forwarding);
        let ends = tunnels.iter().enumerate().map(|(i, t)| self.tunnel(*t, Side::Customer, ports.tunnel(i))).collect();
        let peers = tunnels.iter().enumerate().filter_map(|(i, t)| self.peer(*t, Side::Customer, ports.tunnel(i)));
        let routing = self.speak(id, cgw.asn, peers.collect(), &cgw.forwarding, &cgw.advertise, cgw.tcp);
        let mut gateway = Gateway::new(ip, ends, routing, cgw.routes_follow_sa);
        self.watch(id, &mut gateway, &ports, &cgw.forwarding);
        self.inspect(id, &mut gateway, &ports, &cgw.forwarding);
        self.aggregate(id, &mut gateway, &cgw.interfaces);
        self.on_lan(id, &mut gateway, &cgw.interfaces);
        gateway.gre = routers::gre_tunnels(&cgw.interfaces).collect();
        gateway
    }

    fn endpoint(&self, id: TunnelId) -> Gateway {
        let tunnel = self.plan.tunnel(id);
        let connection = &self.plan.connections[id.connection];
        let outside = match tunnel.aws_outside {
            IpAddr::V4(outside) => Some(outside),
            IpAddr::V6(_) => None,
        };
        let mut ip = Ip::new(outside.into_iter().chain([tunnel.aws_inside]).collect());
        if self.plan.assume.endpoint_icmp == EndpointIcmp::Silent {
            ip.mute();
        }
        let outer_mtu = self.ports_of(tunnel.endpoint).map(|(_, mtu)| mtu).next().unwrap_or(AWS_MTU);
        ip.add_port(endpoint::OUTSIDE_PORT, outer_mtu);
        ip.add_port(endpoint::INSIDE_PORT, AWS_MTU);
        ip.add_port(endpoint::TUNNEL_PORT, AWS_MTU);
        let everywhere = Ipv4Net::default();
        ip.add_route(everywhere, RouteSource::Underlay, distance::UNDERLAY, endpoint::OUTSIDE_PORT);
        let inside = tunnel.inside.trunc();
        ip.add_route(inside, RouteSource::Connected, distance::CONNECTED, endpoint::TUNNEL_PORT);
        ipv6::endpoint(tunnel, &mut ip);
        let end = self.tunnel(id, Side::Aws, endpoint::TUNNEL_PORT);
        let (asn, cidrs) = match &self.plan.nodes[connection.gateway.index()].kind {
            NodeKind::VirtualPrivateGateway(vgw) => (vgw.asn, vgw.vpc.map_or_else(Vec::new, |vpc| self.cidrs(vpc))),
            // What a transit gateway announces, its route tables say.
            NodeKind::TransitGateway(tgw) => (tgw.asn, Vec::new()),
            _ => (0, Vec::new()),
        };
        let tcp = self.plan.assume.aws_tcp;
        let peers = self.peer(id, Side::Aws, endpoint::TUNNEL_PORT).into_iter().collect();
        let routing = self.speak(tunnel.endpoint, asn, peers, &Forwarding::default(), &cidrs, tcp);
        let mut gateway = Gateway::new(ip, vec![end], routing, true);
        // Guide, best practices for a customer gateway device: it puts fragments together before it forwards them.
        gateway.reassembles = true;
        gateway
    }

    fn cidrs(&self, vpc: NodeId) -> Vec<Ipv4Net> {
        match &self.plan.nodes[vpc.index()].kind {
            NodeKind::Vpc(vpc) => vec![vpc.cidr],
            _ => Vec::new(),
        }
    }

    fn tunnel(&self, id: TunnelId, side: Side, port: Port) -> Tunnel {
        let tunnel = self.plan.tunnel(id);
        let sessions = &self.sessions[id.connection][id.tunnel];
        let index = side_index(side);
        let (end, local, remote) = match side {
            Side::Aws => (&tunnel.aws, tunnel.aws_outside, tunnel.customer_registered),
            Side::Customer => (&tunnel.customer, tunnel.customer_outside, tunnel.aws_outside),
        };
        // Each end knows its own interface.
        let outer_mtu = match side {
            Side::Aws => self.ports_of(tunnel.endpoint).map(|(_, mtu)| mtu).next(),
            Side::Customer => {
                let connection = &self.plan.connections[id.connection];
                let outside = Port(connection.customer_interface as u16);
                let mut ports = self.ports_of(connection.customer_gateway);
                ports.find(|(port, _)| *port == outside).map(|(_, mtu)| mtu)
            }
        };
        let outer_mtu = outer_mtu.unwrap_or(AWS_MTU);
        Tunnel::new(TunnelConfig {
            name: self.world.trace.sessions()[sessions.ike[index].index()].name.clone(),
            seed: self.plan.seed,
            port,
            local,
            remote,
            any_remote: side == Side::Aws && tunnel.customer_anywhere,
            outer_mtu: outer_mtu as u16,
            ike: Arc::new(ike_config(tunnel, side)),
            prepared: tunnel.prepared[index].iter().map(|end| Arc::new(ike_end(tunnel, end, side))).collect(),
            replay_window: end.replay_window as u16,
            options: end.packets,
            nat_keepalive: end.nat_keepalive,
            ike_session: sessions.ike[index],
            child_session: sessions.child[index],
        })
    }

    /// The BGP session of a tunnel at one end, if it has one.
    fn peer(&self, id: TunnelId, side: Side, port: Port) -> Option<Peer> {
        let tunnel = self.plan.tunnel(id);
        let (index, (aws, customer)) = (side_index(side), tunnel.bgp.as_ref()?);
        let ends = [(aws, aws.asn, tunnel.aws_inside), (customer, tunnel.customer_asn, tunnel.customer_inside)];
        let ((end, _, local), (_, asn, remote)) = (ends[index], ends[1 - index]);
        let config = PeerConfig::new(&tunnel.name, asn, local, remote, tunnel.inside.trunc());
        let session = self.sessions[id.connection][id.tunnel].bgp?[index];
        let med = end.med.or_else(|| (side == Side::Aws).then(|| self.aws_med(id)));
        let end = BgpEnd { med, ..end.clone() };
        let (mut config, over_ipv6) = (told(config, &end), self.over_ipv6(id, side));
        if let (Some(ends), Some(inside)) = (over_ipv6, &tunnel.inside_ipv6) {
            config = ipv6::told(config, &end, ends, inside.cidr);
        }
        Some(Peer { config, tcp: below(&end), session, port: Some(port), bfd: None, over_ipv6 })
    }

    /// The BGP of a device: the sessions of its tunnels, then those of its neighbours.
    fn speak(
        &self,
        node: NodeId,
        asn: u32,
        mut peers: Vec<Peer>,
        forwarding: &Forwarding,
        networks: &[Ipv4Net],
        tcp: TcpProfile,
    ) -> Option<Routing> {
        let interfaces = routers::forwarding(&self.plan.nodes[node.index()].kind).map_or(&[][..], |(_, all)| all);
        let numbers = routers::bfd_numbers(forwarding);
        for ((neighbor, session), bfd) in forwarding.neighbors.iter().zip(&self.routers[node.index()].bgp).zip(numbers)
        {
            let here = interfaces[neighbor.interface].address;
            let config = PeerConfig::new(&neighbor.name, neighbor.asn, here.addr(), neighbor.address, here.trunc());
            let port = neighbor.attached.then_some(Port(neighbor.interface as u16));
            let config = routers::inside(told(config, &neighbor.end), neighbor.internal);
            peers.push(Peer { config, tcp: below(&neighbor.end), session: *session, port, bfd, over_ipv6: None });
        }
        let first = peers.first()?.config.local_address;
        let sessions = peers.iter().map(|peer| peer.session).collect();
        let ports = peers.iter().map(|peer| peer.port).collect();
        let bfd = peers.iter().map(|peer| peer.bfd).collect();
        let over_ipv6 = peers.iter().map(|peer| peer.over_ipv6).collect();
        let profile = match tcp {
            TcpProfile::Linux => Profile::Linux,
            TcpProfile::Rfc => Profile::Rfc,
        };
        let tcp = peers.iter().map(|peer| TcpConfig { profile, ..peer.tcp.clone() }).collect();
        let mut speaker = SpeakerConfig::new(asn, first, peers.into_iter().map(|peer| peer.config).collect());
        if let NodeKind::CustomerGateway(gateway) = &self.plan.nodes[node.index()].kind {
            speaker.rules = gateway.decision;
        }
        if let Some(ecmp) = &forwarding.ecmp {
            speaker.rules.multipath = Multipath { external: ecmp.max_paths, internal: ecmp.max_paths, relaxed: false };
        }
        speaker.networks = networks.iter().map(|prefix| (*prefix, Originated::default())).collect();
        speaker.ipv6_networks = self.ipv6_networks(node);
        let kind = &self.plan.nodes[node.index()].kind;
        speaker.end_of_router =
            matches!(kind, NodeKind::VpnEndpoint(_) | NodeKind::ConnectPeer(_) | NodeKind::VirtualInterface(_));
        speaker.cluster_id = forwarding.cluster_id;
        let igp_costs = forwarding.igp_costs.clone();
        let name = self.plan.nodes[node.index()].name.clone();
        let seed = self.plan.seed;
        Some(Routing::new(RoutingConfig { name, seed, speaker, sessions, ports, bfd, tcp, over_ipv6, igp_costs }))
    }

    /// The MED by which AWS's end of a tunnel says whether it is the primary one of its connection (guide, "Site-to-Site VPN
    /// tunnel endpoint updates"). Where a transit gateway balances over all tunnels, each is.
    pub(super) fn aws_med(&self, id: TunnelId) -> u32 {
        let [preferred, other] = self.plan.assume.meds;
        if self.primary(id) { preferred } else { other }
    }

    fn add_streams(&mut self) {
        for probe in &self.plan.probes {
            self.world.trace.add_stream(StreamInfo {
                name: probe.name.clone(),
                from: probe.from,
                to: probe.to,
                interval: probe.every,
                round_trip: probe.kind != ProbeKind::UdpOneWay,
            });
        }
    }
}

/// What IKE is told at one end of a tunnel. Who names no identity is its outside address, as AWS has it registered.
pub fn ike_config(tunnel: &crate::plan::Tunnel, side: Side) -> sim_core::proto::ike::Config {
    let end = match side {
        Side::Aws => &tunnel.aws,
        Side::Customer => &tunnel.customer,
    };
    ike_end(tunnel, end, side)
}

/// The same with these settings of the end.
fn ike_end(tunnel: &crate::plan::Tunnel, end: &crate::plan::IkeEnd, side: Side) -> sim_core::proto::ike::Config {
    let (names, index) = ([tunnel.aws_outside, tunnel.customer_registered], side_index(side));
    let mut config = ike::ike_end(end, names[index], names[1 - index], side);
    ipv6::selectors(tunnel, side, &mut config);
    config
}

/// A BGP session of a device.
struct Peer {
    config: PeerConfig,
    tcp: TcpConfig,
    session: SessionId,
    /// Behind which it is; `None`: the forwarding table says.
    port: Option<Port>,
    /// The number of the BFD session on which it depends.
    bfd: Option<usize>,
    /// The addresses between which it runs, if that is over IPv6.
    over_ipv6: Option<[std::net::Ipv6Addr; 2]>,
}

/// A peer with the timers and the policy of an end.
fn told(mut peer: PeerConfig, end: &BgpEnd) -> PeerConfig {
    peer.hold_time = end.hold_time;
    peer.keepalive = Some(end.keepalive);
    peer.connect_retry = end.connect_retry;
    peer.idle_hold = end.idle_hold;
    peer.damping = end.idle_hold_limit.map(|limit| Damping { limit, forget_after: limit });
    peer.route_advertisement = end.advertisement_interval;
    peer.poll = end.poll;
    peer.jitter = match (end.jitter, end.hold_jitter) {
        (true, true) => BgpJitter::Bird,
        (true, false) => BgpJitter::Rfc4271,
        (false, _) => BgpJitter::None,
    };
    peer.multihop = end.reach.is_far();
    peer.max_prefixes = end.max_prefixes;
    peer.most_announced = end.most_announced;
    peer.graceful_restart = end.graceful_restart;
    peer.import = policy(vec![Change::LocalPref(end.local_preference)], end.import.as_ref());
    let prepend = u8::try_from(end.prepend).ok().filter(|n| *n > 0).map(Change::Prepend);
    let changes = prepend.into_iter().chain(end.med.map(Change::Med)).collect();
    peer.export = policy(changes, end.export.as_ref());
    peer
}

/// What TCP is told of a session at one end.
fn below(end: &BgpEnd) -> TcpConfig {
    let md5 = end.md5_key.as_ref().map(|key| Md5Key::new(key.expose().as_bytes()));
    TcpConfig { md5, ..TcpConfig::default() }.reaching(end.reach)
}

fn side_index(side: Side) -> usize {
    match side {
        Side::Aws => 0,
        Side::Customer => 1,
    }
}

fn vgws(plan: &Plan) -> impl Iterator<Item = (NodeId, &crate::plan::VirtualPrivateGateway)> {
    plan.nodes.iter().enumerate().filter_map(|(i, node)| match &node.kind {
        NodeKind::VirtualPrivateGateway(vgw) => Some((NodeId(i as u32), vgw)),
        _ => None,
    })
}

fn instances(plan: &Plan, vpc: NodeId) -> impl Iterator<Item = (NodeId, std::net::Ipv4Addr)> {
    plan.nodes.iter().enumerate().filter_map(move |(i, node)| match &node.kind {
        NodeKind::Instance(instance) if instance.vpc == vpc => Some((NodeId(i as u32), instance.address)),
        _ => None,
    })
}

/// When a plan's world ends.
pub fn end(plan: &Plan) -> Instant {
    Instant::START + plan.duration
}

/// The settings of a tunnel, and then the policy that it names, which goes on with what they changed.
fn policy(changes: Vec<Change>, named: Option<&NamedPolicy>) -> Policy {
    let Some(NamedPolicy { policy, .. }) = named else {
        return Policy::change_all(changes);
    };
    let settings = Rule { changes, verdict: None, ..Rule::default() };
    Policy { rules: core::iter::once(settings).chain(policy.rules.iter().cloned()).collect(), ..policy.clone() }
}
