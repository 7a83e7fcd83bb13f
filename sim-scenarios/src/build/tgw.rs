//! Transit gateways: peering and Connect attachments.

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::net::fib::{RouteSource, distance};
use sim_core::net::policer::Limit;
use sim_core::node::endpoint::{self, VpnEndpoint};
use sim_core::node::gateway::Gateway;
use sim_core::node::gre::GreTunnel;
use sim_core::node::ip::Ip;
use sim_core::node::joint::{self, Joint};
use sim_core::node::tgw;
use sim_core::reason::DropReason;
use sim_core::time::Duration;

use super::routers::connect;
use super::{AWS_MTU, Builder, dx};
use crate::make::connect::peers_of;
use crate::make::dx::ends;
use crate::make::transit::peerings;
use crate::plan::{self, NodeKind};

/// The name, the ends and the delay of a link of a peering attachment.
type PeeringLink = (String, (NodeId, Port), (NodeId, Port), Duration);

impl Builder<'_> {
    /// A peering attachment lets everything pass: the tables of its gateways say what that is.
    pub(super) fn transit_peering(&self) -> Joint {
        let mtu = if dx::is_jumbo(self.plan) { dx::MTU } else { AWS_MTU };
        let everywhere = || vec![Ipv4Net::default()];
        Joint::new([everywhere(), everywhere()], DropReason::TransitPeering, mtu)
    }

    /// How many ports a transit gateway has before those of its peering attachments.
    pub(super) fn first_peering(&self, id: NodeId, gateway: &plan::TransitGateway) -> usize {
        let interfaces: usize = gateway.subnets.iter().map(Vec::len).sum();
        self.ends(id) + interfaces
    }

    /// How many ends a transit gateway has: tunnels, Direct Connect gateways and Connect peers, which come first among its ports.
    pub(super) fn ends(&self, id: NodeId) -> usize {
        self.index.tunnels(id).len() + ends(self.plan, id).count() + peers_of(self.plan, id).count()
    }

    /// The names of a transit gateway's ports, in order.
    pub(super) fn transit_port_names(&self, id: NodeId, gateway: &plan::TransitGateway) -> Vec<String> {
        let tunnels = self.index.tunnels(id).iter().map(|tunnel| self.plan.tunnel(*tunnel).name.clone());
        let interfaces =
            gateway.vpcs.iter().zip(&gateway.subnets).flat_map(|(vpc, subnets)| subnets.iter().map(|_| *vpc));
        let nodes = ends(self.plan, id).chain(peers_of(self.plan, id).map(|(node, ..)| node)).chain(interfaces);
        let nodes = nodes.chain(peerings(self.plan, id).map(|(node, _)| node));
        tunnels.chain(nodes.map(|node| self.plan.nodes[node.index()].name.clone())).collect()
    }

    /// The Connect peers of a transit gateway, with their numbers there.
    pub(super) fn connect_ends(&self, id: NodeId) -> impl Iterator<Item = (u16, NodeId, &plan::ConnectPeer)> {
        let first = (self.index.tunnels(id).len() + ends(self.plan, id).count()) as u16;
        peers_of(self.plan, id).zip(first..).map(|((node, peer, _), number)| (number, node, peer))
    }

    /// AWS's end of a Connect peer. It carries 5 Gbit/s and 300,000 packets a second (page transit-gateway-quotas.html).
    pub(super) fn connect_peer(&self, id: NodeId, peer: &plan::ConnectPeer) -> VpnEndpoint {
        let limit =
            self.as_assumed(Limit { bits_per_second: 5_000_000_000, packets_per_second: 300_000, ..Limit::NONE });
        let inside = peer.interfaces.iter().map(|interface| interface.address.addr());
        let mut ip = Ip::new([peer.address].into_iter().chain(inside).collect());
        ip.mute();
        ip.add_port(endpoint::OUTSIDE_PORT, AWS_MTU);
        ip.add_port(endpoint::INSIDE_PORT, AWS_MTU);
        ip.add_port(endpoint::TUNNEL_PORT, GreTunnel::mtu(None, AWS_MTU));
        ip.set_tunnel(endpoint::TUNNEL_PORT);
        ip.add_route(Ipv4Net::default(), RouteSource::Underlay, distance::UNDERLAY, endpoint::OUTSIDE_PORT);
        connect(&mut ip, peer.interfaces[0].address, endpoint::TUNNEL_PORT);
        let routing = self.speak(id, peer.asn, Vec::new(), &peer.forwarding, &[], self.plan.assume.aws_tcp);
        let mut gateway = Gateway::new(ip, Vec::new(), routing, false);
        let (port, local, remote) = (endpoint::TUNNEL_PORT, peer.address, peer.peer_address);
        gateway.gre = vec![GreTunnel { port, local, remote, key: None }];
        let owner = self.plan.connects[peer.connect].gateway;
        let number = self.connect_ends(owner).find(|(_, node, _)| *node == id).map_or(0, |(number, ..)| number);
        VpnEndpoint::new(gateway, owner, number, limit)
    }

    /// What joins Connect peers to their gateways: one link for what is inside of the tunnel, and one for the tunnel.
    pub(super) fn connect_links(&self) -> Vec<dx::InnerLink> {
        let mut all = Vec::new();
        for (node, id) in self.plan.nodes.iter().zip((0..).map(NodeId)) {
            let NodeKind::TransitGateway(gateway) = &node.kind else { continue };
            let others = self.first_peering(id, gateway) + peerings(self.plan, id).count();
            let mut numbers = self.private_tunnels(id).count() as u16..;
            for (end, peer, _) in self.connect_ends(id) {
                let name = &self.plan.nodes[peer.index()].name;
                all.push((format!("{}--{name}", node.name), (id, Port(end)), (peer, endpoint::INSIDE_PORT)));
                let outside = tgw::outside_port(others as u16, numbers.next().unwrap_or_default());
                all.push((format!("{}--{name} outside", node.name), (id, outside), (peer, endpoint::OUTSIDE_PORT)));
            }
        }
        all
    }

    /// What joins transit gateways that peer: the distance is on the side of the accepter.
    pub(super) fn peering_links(&self) -> Vec<PeeringLink> {
        let mut all = Vec::new();
        for (node, id) in self.plan.nodes.iter().zip((0..).map(NodeId)) {
            let NodeKind::TransitGatewayPeering(peering) = &node.kind else { continue };
            for (side, gateway) in peering.gateways.into_iter().enumerate() {
                let NodeKind::TransitGateway(made) = &self.plan.nodes[gateway.index()].kind else { continue };
                let place = peerings(self.plan, gateway).position(|(other, _)| other == id).unwrap_or_default();
                let there = Port((self.first_peering(gateway, made) + place) as u16);
                let name = format!("{}--{}", self.plan.nodes[gateway.index()].name, node.name);
                let delay = if side == 1 { peering.delay } else { Duration::ZERO };
                all.push((name, (gateway, there), (id, joint::PORTS[side]), delay));
            }
        }
        all
    }
}
