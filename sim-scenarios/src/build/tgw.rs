//! Transit gateways: peering attachments.

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::node::joint::{self, Joint};
use sim_core::reason::DropReason;
use sim_core::time::Duration;

use super::{AWS_MTU, Builder, dx};
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
        self.index.tunnels(id).len() + ends(self.plan, id).count() + interfaces
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
