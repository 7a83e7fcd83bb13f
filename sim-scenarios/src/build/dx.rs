//! Direct Connect: AWS's ends of virtual interfaces, and Direct Connect gateways.

use sim_core::id::{LinkId, NodeId, Port};
use sim_core::net::multipath::{FlowFields, Multipath};
use sim_core::node::Command;
use sim_core::node::dxgw::{self, DxGateway, DxGatewayConfig};
use sim_core::node::endpoint;
use sim_core::node::gateway::Gateway;
use sim_core::node::ip::Ip;
use sim_core::node::lag::{LagConfig, Lags};
use sim_core::node::router::Router;
use sim_core::node::tgw;
use sim_core::node::vgw::{self, Direct};
use sim_core::node::vif::{self, VirtualInterface};
use sim_core::proto::lacp;
use sim_core::world::Action;

use super::Builder;
use super::routers::{Ports, connect};
use crate::make::dx::ends;
use crate::plan::{self, FaultKind, InterfaceKind, InterfaceUpdate, NodeKind, Plan, TunnelId};

/// Between virtual interfaces and gateways: what the widest of them carries. Each end has its own MTU.
pub(super) const MTU: u32 = 9001;

/// The virtual interfaces of a Direct Connect gateway in order: the position of each is its number there.
pub(super) fn interfaces(plan: &Plan, gateway: NodeId) -> impl Iterator<Item = (NodeId, &plan::VirtualInterface)> {
    plan.nodes.iter().enumerate().filter_map(move |(i, node)| match &node.kind {
        NodeKind::VirtualInterface(end) if end.gateway == gateway => Some((NodeId(i as u32), &**end)),
        _ => None,
    })
}

/// The name and the ends of a link inside of AWS.
pub(super) type InnerLink = (String, (NodeId, Port), (NodeId, Port));

/// True if anything in AWS has jumbo frames, or will have.
pub(super) fn is_jumbo(plan: &Plan) -> bool {
    let later = |fault: &plan::Fault| match fault.what {
        FaultKind::UpdateVirtualInterface(update) => update.mtu.is_some_and(|mtu| mtu > 1500),
        _ => false,
    };
    let of_node = |node: &plan::Node| match &node.kind {
        NodeKind::Instance(instance) => instance.mtu > 1500,
        NodeKind::VirtualInterface(end) => end.mtu > 1500,
        _ => false,
    };
    plan.nodes.iter().any(of_node) || plan.faults.iter().any(later)
}

/// The LAG that a link's end is at, if it is at one.
pub(super) fn lag_at(kind: &NodeKind, interface: Option<usize>) -> Option<plan::Lag> {
    let number = match kind {
        NodeKind::VirtualInterface(_) => 0,
        _ => interface?,
    };
    super::forwarding(kind)?.1.get(number)?.lag
}

/// The first port of a device for members of LAGs: after its interfaces and tunnels, or the two ports of a virtual interface.
pub(super) fn first_member(plan: &Plan, id: NodeId) -> u16 {
    match &plan.nodes[id.index()].kind {
        NodeKind::VirtualInterface(_) => vif::INSIDE_PORT.0 + 1,
        kind => {
            let interfaces = super::forwarding(kind).map_or(0, |(_, interfaces)| interfaces.len());
            (interfaces + plan.tunnels_of(id).len()) as u16
        }
    }
}

impl Builder<'_> {
    /// The port that a link's end belongs to: of a member that of its LAG.
    pub(super) fn logical(&self, end: plan::End, port: Port) -> Port {
        let kind = &self.plan.nodes[end.node.index()].kind;
        lag_at(kind, end.interface).map_or(port, |_| Port(end.interface.unwrap_or_default() as u16))
    }

    /// The tunnels of a transit gateway that run over Direct Connect, and over which Direct Connect gateway.
    pub(super) fn private_tunnels(&self, gateway: NodeId) -> impl Iterator<Item = (TunnelId, NodeId)> {
        let all = self.index.tunnels(gateway).iter();
        all.filter_map(|tunnel| Some((*tunnel, self.plan.connections[tunnel.connection].transport?)))
    }

    /// What joins the endpoints of those tunnels, by their outside, to the transit gateway.
    pub(super) fn outside_links(&self) -> Vec<InnerLink> {
        let mut all = Vec::new();
        for (i, node) in self.plan.nodes.iter().enumerate() {
            let id = NodeId(i as u32);
            let NodeKind::TransitGateway(gateway) = &node.kind else { continue };
            let others = self.first_peering(id, gateway) + crate::make::transit::peerings(self.plan, id).count();
            for ((tunnel, _), number) in self.private_tunnels(id).zip(0..) {
                let tunnel = self.plan.tunnel(tunnel);
                let here = tgw::outside_port(others as u16, number);
                all.push((
                    format!("{}--{} outside", node.name, tunnel.name),
                    (id, here),
                    (tunnel.endpoint, endpoint::OUTSIDE_PORT),
                ));
            }
        }
        all
    }

    /// The LAGs of a device.
    pub(super) fn aggregate(&self, id: NodeId, gateway: &mut Gateway, interfaces: &[plan::Interface]) {
        let mut all = Vec::new();
        for (number, interface) in interfaces.iter().enumerate() {
            let Some(lag) = interface.lag else { continue };
            let port = Port(number as u16);
            let (mut members, mut sessions, mut mtu) = (Vec::new(), Vec::new(), u32::MAX);
            for (i, link) in self.plan.links.iter().enumerate() {
                let side = (0..2)
                    .find(|side| link.ends[*side].node == id && self.logical(link.ends[*side], Port(u16::MAX)) == port);
                let session = self.routers[id.index()].lacp.iter().find(|(of, _)| of.index() == i);
                let (Some(side), Some((_, session))) = (side, session) else { continue };
                members.push(self.ports[i][side]);
                sessions.push(*session);
                mtu = mtu.min(u32::from(link.forward.mtu.min(link.reverse.mtu)));
            }
            if !matches!(self.plan.nodes[id.index()].kind, NodeKind::VirtualInterface(_)) {
                gateway.ip.add_port(port, mtu);
            }
            let [a, b] = (id.0 as u16).to_be_bytes();
            let machine = lacp::Config {
                // A locally administered address (IEEE 802-2014 section 8.2.2): AWS's and the customer's are their own.
                system: [2, 0, 0, 0, a, b],
                key: number as u16 + 1,
                ports: members.len(),
                short_timeout: lag.fast,
                minimum_links: lag.minimum_links,
            };
            let name = format!("{}.{}", self.plan.nodes[id.index()].name, interface.name);
            let multipath = Multipath::new(FlowFields::FiveTuple, self.plan.seed, &name);
            all.push(LagConfig { port, members, sessions, machine, multipath });
        }
        gateway.lags = Lags::new(all);
    }

    pub(super) fn virtual_interface(&self, id: NodeId, end: &plan::VirtualInterface) -> VirtualInterface {
        let ports = Ports { interfaces: &end.interfaces, tunnels: &[] };
        let mut ip = Ip::new(vec![end.amazon_address()]);
        ip.mute();
        ip.add_port(vif::OUTSIDE_PORT, end.mtu.into());
        ip.add_port(vif::INSIDE_PORT, MTU);
        connect(&mut ip, end.interfaces[0].address, vif::OUTSIDE_PORT);
        let tcp = self.plan.assume.aws_tcp;
        let routing = self.speak(id, end.asn, Vec::new(), &end.forwarding, &end.advertise, tcp);
        let mut gateway = Gateway::new(ip, Vec::new(), routing, false);
        self.watch(id, &mut gateway, &ports, &end.forwarding);
        self.aggregate(id, &mut gateway, &end.interfaces);
        let owner = (end.gateway, self.number(end.gateway, id));
        VirtualInterface::new(gateway, (end.kind != InterfaceKind::Public).then_some(owner))
    }

    /// The way of a router of the underlay to public virtual interfaces: what the customer has on each of them.
    pub(super) fn public_interfaces(&self, id: NodeId, router: &mut Router) {
        for (number, (_, end)) in interfaces(self.plan, id).enumerate() {
            let port = self.public_port(id, number as u16);
            router.add_port(port, end.mtu.into());
            router.add_route(end.interfaces[0].address.trunc(), port);
        }
    }

    /// The port of a router towards its public virtual interface of this number: after those of its links.
    fn public_port(&self, router: NodeId, number: u16) -> Port {
        Port(self.index.links(router).len() as u16 + number)
    }

    /// What an update of a virtual interface does: its connection carries nothing, if it is disrupted; a session that SiteLink is
    /// switched of is reset.
    pub(super) fn interface_update(&self, update: &InterfaceUpdate) -> Vec<Action> {
        let node = update.node;
        let NodeKind::VirtualInterface(end) = &self.plan.nodes[node.index()].kind else { return Vec::new() };
        let typed = |node, strike| Action::Operator { node, strike, heal: None };
        let mut actions = Vec::new();
        if !update.disruption.is_zero() {
            let shares = &self.plan.direct_connects[end.connection].virtual_interfaces;
            let lines = self.plan.links.iter().zip((0..).map(LinkId));
            let lines = lines.filter(|(link, _)| link.ends.iter().any(|end| shares.contains(&end.node)));
            actions.extend(lines.map(|(_, link)| Action::Blackhole { link, ways: [true; 2] }));
        }
        if let Some(mtu) = update.mtu {
            actions.push(typed(node, Command::Mtu { mtu: mtu.into() }));
        }
        if let Some(on) = update.site_link {
            let interface = self.number(end.gateway, node);
            actions.push(typed(end.gateway, Command::SiteLink { interface, on }));
            actions.push(typed(node, Command::BgpReset { tunnel: 0 }));
        }
        actions
    }

    /// The number of an end of Direct Connect on its gateway.
    fn number(&self, gateway: NodeId, end: NodeId) -> u16 {
        let place =
            |mut all: Box<dyn Iterator<Item = NodeId> + '_>| all.position(|other| other == end).unwrap_or_default();
        match &self.plan.nodes[gateway.index()].kind {
            NodeKind::DirectConnectGateway(_) => {
                place(Box::new(interfaces(self.plan, gateway).map(|(id, _)| id))) as u16
            }
            _ => {
                let first = self.index.tunnels(gateway).len();
                (first + place(Box::new(ends(self.plan, gateway)))) as u16
            }
        }
    }

    pub(super) fn direct_connect_gateway(&self, id: NodeId, gateway: &plan::DirectConnectGateway) -> DxGateway {
        let here: Vec<(NodeId, &plan::VirtualInterface)> = interfaces(self.plan, id).collect();
        let region = |end: &plan::VirtualInterface| self.plan.direct_connects[end.connection].region.as_ref();
        let association = |of: &plan::Association| dxgw::Association {
            gateway: of.gateway,
            number: self.number(of.gateway, id),
            passes: of.passes.clone(),
            elsewhere: (0..)
                .zip(&here)
                .filter(|(_, (_, end))| region(end).zip(of.region.as_ref()).is_some_and(|(a, b)| a != b))
                .map(|(number, _)| number)
                .collect(),
        };
        let config = DxGatewayConfig {
            interfaces: here
                .iter()
                .map(|(node, end)| dxgw::Interface { node: *node, site_link: end.site_link })
                .collect(),
            associations: gateway.associations.iter().map(association).collect(),
            multipath: Multipath::new(FlowFields::FiveTuple, self.plan.seed, &self.plan.nodes[id.index()].name),
            health_delay: self.plan.assume.endpoint_health_delay,
        };
        DxGateway::new(config, MTU)
    }

    /// The ends of Direct Connect of a virtual private gateway.
    pub(super) fn direct_ends(&self, gateway: NodeId) -> Vec<Direct> {
        let kind = |id: NodeId| match self.plan.nodes[id.index()].kind {
            NodeKind::DirectConnectGateway(_) => Direct::Gateway,
            _ => Direct::Interface,
        };
        ends(self.plan, gateway).map(kind).collect()
    }

    /// The names of the ports of a Direct Connect gateway, in order.
    pub(super) fn direct_ports(&self, id: NodeId, gateway: &plan::DirectConnectGateway) -> Vec<String> {
        let here = interfaces(self.plan, id).map(|(id, _)| self.plan.nodes[id.index()].name.clone());
        here.chain(gateway.associations.iter().map(|of| of.name.clone())).collect()
    }

    /// What joins virtual interfaces to their gateways, and those to each other.
    pub(super) fn direct_links(&self) -> Vec<InnerLink> {
        let name = |id: NodeId| &self.plan.nodes[id.index()].name;
        let mut all = Vec::new();
        for (i, node) in self.plan.nodes.iter().enumerate() {
            let id = NodeId(i as u32);
            match &node.kind {
                NodeKind::VirtualInterface(end) => {
                    let number = self.number(end.gateway, id);
                    let there = match self.plan.nodes[end.gateway.index()].kind {
                        NodeKind::DirectConnectGateway(_) => dxgw::interface_port(number),
                        NodeKind::Router(_) => self.public_port(end.gateway, number),
                        _ => vgw::tunnel_port(number),
                    };
                    all.push((
                        format!("{}--{}", name(end.gateway), node.name),
                        (end.gateway, there),
                        (id, vif::INSIDE_PORT),
                    ));
                }
                NodeKind::DirectConnectGateway(gateway) => {
                    let interfaces = interfaces(self.plan, id).count() as u16;
                    for (of, place) in gateway.associations.iter().zip(0..) {
                        let number = self.number(of.gateway, id);
                        let there = match self.plan.nodes[of.gateway.index()].kind {
                            NodeKind::TransitGateway(_) => Port(number),
                            _ => vgw::tunnel_port(number),
                        };
                        let here = dxgw::association_port(interfaces, place);
                        all.push((format!("{}--{}", of.name, node.name), (of.gateway, there), (id, here)));
                    }
                }
                _ => {}
            }
        }
        all
    }
}
