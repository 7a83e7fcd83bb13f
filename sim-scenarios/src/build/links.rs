//! Ports get their names, and links join them: those of the drawing, then AWS's inner ones.

use sim_core::id::{NodeId, Port};
use sim_core::net::link::{DirectionConfig, Duplicate, Jitter, Loss, QueueLimit, Reorder};
use sim_core::node::client_vpn::{association, client};
use sim_core::node::natbox;
use sim_core::node::vpc as vpc_node;
use sim_core::node::{endpoint, joint, tgw as tgw_node, vgw, vif};
use sim_core::time::Duration;

use super::{Builder, dx, lan, vgws, vpc};
use crate::plan::{self, Conditions, NodeKind};

impl Builder<'_> {
    pub(super) fn name_ports(&mut self) {
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let id = NodeId(index as u32);
            match &node.kind {
                NodeKind::CustomerGateway(cgw) => {
                    let interfaces = cgw.interfaces.iter().map(|i| i.name.clone());
                    let tunnels = self.index.tunnels(id).iter();
                    let names: Vec<String> =
                        interfaces.chain(tunnels.map(|t| self.plan.tunnel(*t).name.clone())).collect();
                    names.iter().enumerate().for_each(|(p, name)| self.world.name_port(id, Port(p as u16), name));
                }
                NodeKind::BgpRouter(router) => {
                    for (p, interface) in router.interfaces.iter().enumerate() {
                        self.world.name_port(id, Port(p as u16), &interface.name);
                    }
                }
                NodeKind::VirtualPrivateGateway(vgw) => {
                    if let Some(vpc) = vgw.vpc {
                        self.world.name_port(id, vgw::VPC_PORT, &self.plan.nodes[vpc.index()].name);
                    }
                    for (number, tunnel) in self.index.tunnels(id).iter().enumerate() {
                        let name = &self.plan.tunnel(*tunnel).name;
                        self.world.name_port(id, vgw::tunnel_port(number as u16), name);
                    }
                    let first = self.index.tunnels(id).len() as u16;
                    for (end, number) in crate::make::dx::ends(self.plan, id).zip(first..) {
                        self.world.name_port(id, vgw::tunnel_port(number), &self.plan.nodes[end.index()].name);
                    }
                }
                NodeKind::TransitGateway(tgw) => {
                    let names = self.transit_port_names(id, tgw);
                    names.iter().enumerate().for_each(|(p, name)| self.world.name_port(id, Port(p as u16), name));
                }
                NodeKind::Vpc(_) => {
                    for (gateway, _) in vgws(self.plan).filter(|(_, vgw)| vgw.vpc == Some(id)) {
                        self.world.name_port(id, vpc_node::GATEWAY_PORT, &self.plan.nodes[gateway.index()].name);
                    }
                    for (gateway, _, port) in vpc::transit_ports(self.plan, id) {
                        self.world.name_port(id, port, &self.plan.nodes[gateway.index()].name);
                    }
                    self.name_vpc_ports(id);
                }
                NodeKind::DirectConnectGateway(gateway) => {
                    for (port, name) in self.direct_ports(id, gateway).iter().enumerate() {
                        self.world.name_port(id, Port(port as u16), name);
                    }
                }
                NodeKind::VirtualInterface(end) => {
                    self.world.name_port(id, vif::OUTSIDE_PORT, "customer");
                    self.world.name_port(id, vif::INSIDE_PORT, &self.plan.nodes[end.gateway.index()].name);
                }
                NodeKind::InternetGateway(_)
                | NodeKind::Appliance(_)
                | NodeKind::VpcPeering(_)
                | NodeKind::GatewayEndpoint(_)
                | NodeKind::Resolver(_) => self.name_vpc_ports(id),
                NodeKind::ConnectPeer(peer) => {
                    self.world.name_port(id, endpoint::OUTSIDE_PORT, "outside");
                    self.world.name_port(id, endpoint::INSIDE_PORT, "inside");
                    let name = &self.plan.connects[peer.connect].name;
                    self.world.name_port(id, endpoint::TUNNEL_PORT, name);
                }
                NodeKind::TransitGatewayPeering(peering) => {
                    for (gateway, port) in peering.gateways.iter().zip(joint::PORTS) {
                        self.world.name_port(id, port, &self.plan.nodes[gateway.index()].name);
                    }
                }
                NodeKind::VpnEndpoint(e) => {
                    self.world.name_port(id, endpoint::OUTSIDE_PORT, "outside");
                    self.world.name_port(id, endpoint::INSIDE_PORT, "inside");
                    self.world.name_port(id, endpoint::TUNNEL_PORT, &self.plan.tunnel(e.tunnel).name);
                }
                NodeKind::VpnClient(_) => {
                    self.world.name_port(id, client::INSIDE_PORT, "inside");
                    self.world.name_port(id, client::OUTSIDE_PORT, "outside");
                }
                NodeKind::ClientVpnAssociation(it) => {
                    self.world.name_port(id, association::OUTSIDE_PORT, "outside");
                    self.world.name_port(id, association::INTERFACE_PORT, &self.plan.nodes[it.vpc.index()].name);
                }
                NodeKind::Nat(_) => {
                    self.world.name_port(id, natbox::INSIDE_PORT, "inside");
                    self.world.name_port(id, natbox::OUTSIDE_PORT, "outside");
                }
                NodeKind::Switch(switch) => {
                    for (p, port) in switch.ports.iter().enumerate() {
                        self.world.name_port(id, Port(p as u16), &port.name);
                    }
                }
                NodeKind::Host(_) | NodeKind::Instance(_) | NodeKind::Router(_) => {}
            }
        }
        for (link, ports) in self.plan.links.iter().zip(&self.ports) {
            for (end, port) in link.ends.iter().zip(ports) {
                if self.world.port_name(end.node, *port).is_empty() {
                    self.world.name_port(end.node, *port, &link.name);
                }
            }
        }
    }

    pub(super) fn add_links(&mut self) {
        for (link, ports) in self.plan.links.iter().zip(&self.ports) {
            let ends = [(link.ends[0].node, ports[0]), (link.ends[1].node, ports[1])];
            let mut directions = [direction(&link.forward), direction(&link.reverse)];
            if self.plan.is_framed(link) {
                directions.iter_mut().for_each(|way| way.mtu += lan::FRAME);
            }
            self.world.add_link(&link.name, ends, directions, link.carrier);
        }
    }

    /// AWS's inner links: without delay or loss, but an end whose other end loses power notices.
    pub(super) fn add_inner_links(&mut self) {
        let (direct, outsides, peerings) = (self.direct_links(), self.outside_links(), self.peering_links());
        let connects = self.connect_links();
        let mut perfect = [DirectionConfig::default(); 2];
        if dx::is_jumbo(self.plan) {
            perfect.iter_mut().for_each(|way| way.mtu = dx::MTU);
        }
        let mut add = |name: String, a: (NodeId, Port), b: (NodeId, Port)| {
            self.world.add_link(&name, [a, b], perfect, true);
        };
        let name = |id: NodeId| &self.plan.nodes[id.index()].name;
        for (id, vgw) in vgws(self.plan) {
            if let Some(vpc) = vgw.vpc {
                add(format!("{}--{}", name(vpc), name(id)), (vpc, vpc_node::GATEWAY_PORT), (id, vgw::VPC_PORT));
            }
            for (number, tunnel) in self.index.tunnels(id).iter().enumerate() {
                let end = self.plan.tunnel(*tunnel).endpoint;
                let port = vgw::tunnel_port(number as u16);
                add(format!("{}--{}", name(id), name(end)), (id, port), (end, endpoint::INSIDE_PORT));
            }
        }
        for (index, node) in self.plan.nodes.iter().enumerate() {
            if let NodeKind::TransitGateway(tgw) = &node.kind {
                let id = NodeId(index as u32);
                let tunnels = self.index.tunnels(id);
                for (number, tunnel) in tunnels.iter().enumerate() {
                    let end = self.plan.tunnel(*tunnel).endpoint;
                    let port = tgw_node::tunnel_port(number as u16);
                    add(format!("{}--{}", node.name, name(end)), (id, port), (end, endpoint::INSIDE_PORT));
                }
                let peers = crate::make::connect::peers_of(self.plan, id).count();
                let ends = (tunnels.len() + crate::make::dx::ends(self.plan, id).count() + peers) as u16;
                let mut numbers = 0..;
                for vpc in &tgw.vpcs {
                    for (_, _, there) in vpc::transit_ports(self.plan, *vpc).filter(|(gateway, ..)| *gateway == id) {
                        let here = tgw_node::vpc_port(ends, numbers.next().unwrap_or_default());
                        add(format!("{}--{}", name(*vpc), node.name), (*vpc, there), (id, here));
                    }
                }
            }
            let id = NodeId(index as u32);
            for (other, a, b) in vpc::links(self.plan, id) {
                add(format!("{}--{}", node.name, name(other)), a, b);
            }
        }
        direct.into_iter().chain(outsides).chain(connects).for_each(|(name, a, b)| add(name, a, b));
        for (name, a, b, delay) in peerings {
            let far = perfect.map(|way| DirectionConfig { delay, ..way });
            self.world.add_link(&name, [a, b], far, true);
        }
    }
}

pub(super) fn loss(loss: plan::Loss) -> Loss {
    match loss {
        plan::Loss::Independent(chance) if chance.is_never() => Loss::None,
        plan::Loss::Independent(chance) => Loss::Independent(chance),
        plan::Loss::GilbertElliott { enter, leave, good, bad } => {
            Loss::GilbertElliott { good_to_bad: enter, bad_to_good: leave, loss_good: good, loss_bad: bad }
        }
    }
}

pub(super) fn jitter(jitter: Duration) -> Jitter {
    if jitter.is_zero() { Jitter::None } else { Jitter::Uniform { max: jitter } }
}

fn direction(conditions: &Conditions) -> DirectionConfig {
    DirectionConfig {
        rate: conditions.rate,
        queue: QueueLimit { bytes: Some(conditions.queue), packets: None },
        delay: conditions.delay,
        jitter: jitter(conditions.jitter),
        loss: loss(conditions.loss),
        reorder: Reorder { chance: conditions.reorder, hold: conditions.reorder_by },
        duplicate: Duplicate { chance: conditions.duplicate, ..Duplicate::default() },
        corrupt: conditions.corrupt,
        drops_fragments: conditions.drops_fragments,
        mtu: conditions.mtu.into(),
        ..DirectionConfig::default()
    }
}
