//! The place of a real device on the map: a customer gateway's addresses and ways, without its tunnels and routing.

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::net::fib::{RouteSource, distance};
use sim_core::node::Node;
use sim_core::node::external::External;
use sim_core::node::ip::Ip;

use crate::plan::{CustomerGateway, NodeKind};

use super::{Builder, Sites};

impl Builder<'_> {
    /// True if a real device stands for this gateway.
    pub(super) fn is_door(&self, cgw: &CustomerGateway) -> bool {
        self.sites == Sites::External && cgw.external.is_some()
    }

    /// True for a host on the premises of a real device, whose traffic is real, too.
    pub(super) fn is_behind_door(&self, id: NodeId) -> bool {
        let door = |id: NodeId| match &self.plan.nodes[id.index()].kind {
            NodeKind::CustomerGateway(cgw) => self.is_door(cgw),
            _ => false,
        };
        let here = self.plan.links.iter().filter(|link| link.ends.iter().any(|end| end.node == id));
        here.flat_map(|link| link.ends).any(|end| door(end.node))
    }

    pub(super) fn external(&self, id: NodeId, cgw: &CustomerGateway) -> Node {
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
        Node::External(Box::new(External::new(ip)))
    }
}
