//! The places of what is real: a customer gateway or a tunnel endpoint without its tunnel and routing, a host without its
//! programs.

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::net::fib::{RouteSource, distance};
use sim_core::node::external::{Carries, External};
use sim_core::node::ip::Ip;
use sim_core::node::{Node, endpoint, host};

use crate::plan::{CustomerGateway, NodeKind, Plan};

use super::{AWS_MTU, Builder};

/// Who is not simulated. The default is nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reality {
    /// Customer gateways, and virtual private gateways: for them the endpoints of their tunnels.
    pub devices: Vec<NodeId>,
    /// Hosts and instances. Whatever arrives on their links leaves the world, for whom it may be.
    pub hosts: Vec<NodeId>,
    /// Whether ESP comes and goes without UDP, too.
    pub native_esp: bool,
}

/// True if a host is on the premises of a real device, or real itself: `is_door` says so of a node.
pub(crate) fn is_real(plan: &Plan, id: NodeId, is_door: impl Fn(NodeId) -> bool) -> bool {
    let door = |node: NodeId| match plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(_) => is_door(node),
        _ => false,
    };
    let here = plan.links.iter().filter(|link| link.ends.iter().any(|end| end.node == id));
    let behind_gateway = here.flat_map(|link| link.ends).any(|end| door(end.node));
    let behind_endpoint = match &plan.nodes[id.index()].kind {
        NodeKind::Instance(instance) => plan.connections.iter().any(|connection| {
            let of_vpc = match &plan.nodes[connection.gateway.index()].kind {
                NodeKind::VirtualPrivateGateway(gateway) => gateway.vpc == Some(instance.vpc),
                NodeKind::TransitGateway(gateway) => gateway.vpcs.contains(&instance.vpc),
                _ => false,
            };
            of_vpc && connection.tunnels.iter().any(|tunnel| is_door(tunnel.endpoint))
        }),
        _ => false,
    };
    is_door(id) || behind_gateway || behind_endpoint
}

impl Builder<'_> {
    /// True if somebody real has this place.
    pub(super) fn is_door(&self, id: NodeId) -> bool {
        let device = match &self.plan.nodes[id.index()].kind {
            NodeKind::VpnEndpoint(endpoint) => endpoint.gateway,
            _ => id,
        };
        self.reality.devices.contains(&device) || self.reality.hosts.contains(&id)
    }

    /// True for a host that is real, or on the premises of a real device: its traffic is real, too.
    pub(super) fn is_real(&self, id: NodeId) -> bool {
        is_real(self.plan, id, |id| self.is_door(id))
    }

    /// The place of a real customer gateway.
    pub(super) fn external_gateway(&self, id: NodeId, cgw: &CustomerGateway) -> Node {
        let mut ip = Ip::new(cgw.interfaces.iter().map(|i| i.address.addr()).collect());
        // What the real device would say to whom is not known here.
        ip.mute();
        self.ports_of(id).for_each(|(port, mtu)| ip.add_port(port, mtu));
        for (i, interface) in cgw.interfaces.iter().enumerate() {
            let net: Ipv4Net = interface.address.trunc();
            ip.add_route(net, RouteSource::Connected, distance::CONNECTED, Port(i as u16));
        }
        for (prefix, port) in self.ways_of(id) {
            ip.add_route(prefix, RouteSource::Underlay, distance::UNDERLAY, port);
        }
        Node::External(Box::new(External::new(ip, self.outside())))
    }

    /// The place of a real end of a tunnel at AWS.
    pub(super) fn external_endpoint(&self, id: NodeId, address: std::net::IpAddr) -> Node {
        let own = match address {
            std::net::IpAddr::V4(address) => vec![address],
            // Refused before: a real end is reached by IPv4 only.
            std::net::IpAddr::V6(_) => Vec::new(),
        };
        let mut ip = Ip::new(own);
        ip.mute();
        self.ports_of(id).for_each(|(port, mtu)| ip.add_port(port, mtu));
        ip.add_route(Ipv4Net::default(), RouteSource::Underlay, distance::UNDERLAY, endpoint::OUTSIDE_PORT);
        Node::External(Box::new(External::new(ip, self.outside())))
    }

    /// The place of a host whose programs are real.
    pub(super) fn external_host(&self, id: NodeId, address: std::net::Ipv4Addr) -> Node {
        let mut ip = Ip::new(vec![address]);
        ip.mute();
        let mtu = self.ports_of(id).map(|(_, mtu)| mtu).next().unwrap_or(AWS_MTU);
        ip.add_port(host::PORT, mtu);
        ip.default_route(host::PORT);
        Node::External(Box::new(External::new(ip, Carries::Everything)))
    }

    fn outside(&self) -> Carries {
        if self.reality.native_esp { Carries::UdpAndEsp } else { Carries::Udp }
    }
}
