//! Client VPN: associations and clients.

use std::sync::Arc;

use sim_core::id::NodeId;
use sim_core::node::client_vpn::association::{Association, AssociationConfig};
use sim_core::node::client_vpn::client::{Client, ClientConfig};
use sim_core::rng::{Purpose, Rng};
use sim_core::trace::{SessionInfo, SessionKind};
use sim_core::world::World;

use super::{AWS_MTU, Builder};
use crate::plan::{self, NodeKind, Plan, VpnClient};

/// The associations of an endpoint, in the scenario's order.
fn associations(plan: &Plan, endpoint: usize) -> impl Iterator<Item = (NodeId, &plan::ClientVpnAssociation)> {
    plan.nodes.iter().zip((0..).map(NodeId)).filter_map(move |(node, id)| match &node.kind {
        NodeKind::ClientVpnAssociation(it) if it.endpoint == endpoint => Some((id, &**it)),
        _ => None,
    })
}

/// Names the session of a client.
pub(super) fn add_session(plan: &Plan, node: NodeId, world: &mut World) -> Option<sim_core::id::SessionId> {
    let NodeKind::VpnClient(client) = &plan.nodes[node.index()].kind else { return None };
    let name = format!("{}@{}", plan.client_vpns[client.endpoint].name, plan.nodes[node.index()].name);
    Some(world.trace.add_session(SessionInfo { kind: SessionKind::ClientVpn, node, name, peer: None }))
}

impl Builder<'_> {
    pub(super) fn client_vpn_association(&self, id: NodeId, it: &plan::ClientVpnAssociation) -> Association {
        let (all, endpoint) = (associations(self.plan, it.endpoint), &self.plan.client_vpns[it.endpoint]);
        let order: Vec<NodeId> = all.map(|(node, _)| node).collect();
        let place = order.iter().position(|node| *node == id).unwrap_or_default();
        let mut routes = self.cidrs(it.vpc);
        routes.extend(&it.routes);
        let outer = self.ports_of(id).map(|(_, mtu)| mtu).next().unwrap_or(AWS_MTU);
        let config = AssociationConfig {
            endpoint: Arc::new(endpoint.config.clone()),
            place: (place as u32, order.len() as u32),
            outside: it.outside,
            address: it.address,
            routes,
            mtus: [outer, AWS_MTU],
        };
        Association::new(config, self.rng_of(id))
    }

    pub(super) fn vpn_client(&self, id: NodeId, it: &VpnClient) -> Client {
        let beyond = |side| {
            let end = plan::End { node: id, interface: Some(side) };
            self.plan.links.iter().find(|link| link.ends.contains(&end)).map(|link| {
                let other = link.ends.iter().find(|other| **other != end).map_or(id, |other| other.node);
                (other, u32::from(link.forward.mtu.min(link.reverse.mtu)))
            })
        };
        let address = match beyond(VpnClient::INSIDE).map(|(host, _)| &self.plan.nodes[host.index()].kind) {
            Some(NodeKind::Host(host)) => host.address.addr(),
            _ => std::net::Ipv4Addr::UNSPECIFIED,
        };
        let config = ClientConfig {
            address,
            associations: associations(self.plan, it.endpoint).map(|(_, it)| it.outside).collect(),
            port: self.plan.client_vpns[it.endpoint].config.port,
            hello: it.hello.clone(),
            connect_timeout: it.connect_timeout,
            delay: it.connect_at,
            session: self.routers[id.index()].client.unwrap_or_default(),
            mtu: beyond(VpnClient::OUTSIDE).map_or(AWS_MTU, |(_, mtu)| mtu),
        };
        Client::new(config, self.rng_of(id))
    }

    fn rng_of(&self, id: NodeId) -> Rng {
        Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::NatPorts)
    }
}
