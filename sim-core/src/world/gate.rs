//! Where packets come into the world and leave it: at the place of a device that is not simulated.

use super::World;
use crate::id::{NodeId, PacketId, RecordId};
use crate::node::Node;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::trace::Place;

impl World {
    /// Lets a packet in at a device, at the present instant. It gets a name of its own; what its meta said is forgotten.
    pub fn enter(&mut self, node: NodeId, mut packet: Packet) {
        self.packets += 1;
        let id = PacketId(self.packets);
        packet.meta = Meta { id, parent: id, ..Meta::default() };
        let slot = &self.slots[node.index()];
        if slot.up {
            self.touch(node, RecordId::GENESIS, |device, cx| device.enter(cx, packet));
        } else {
            let blame = slot.power_by;
            self.trace.created(self.now, node, &packet);
            self.trace.dropped(self.now, Place::Node(node), DropReason::NodeDown, blame, &packet);
        }
    }

    /// The next packet that has left the world at an external device.
    pub fn leave(&mut self, node: NodeId) -> Option<Packet> {
        match &mut self.slots[node.index()].node {
            Node::External(device) => device.leave(),
            Node::Host(_)
            | Node::Router(_)
            | Node::Cgw(_)
            | Node::VpnEndpoint(_)
            | Node::Vgw(_)
            | Node::Tgw(_)
            | Node::Vpc(_)
            | Node::InternetGateway(_)
            | Node::Translator(_)
            | Node::Middlebox(_)
            | Node::Joint(_)
            | Node::VirtualInterface(_)
            | Node::DxGateway(_)
            | Node::Switch(_)
            | Node::ClientVpnAssociation(_)
            | Node::VpnClient(_)
            | Node::NatBox(_) => None,
        }
    }
}
