//! The whole story of one packet, for `vpnsim explain`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sim_core::id::{NodeId, PacketId};
use sim_core::trace::{Hop, HopStep, Place, Sink};
use sim_core::world::World;

use super::events::Names;
use super::model::Seconds;
use super::story::{Block, Section, Table};

/// Listens for the hops of one packet and of its kin: what it was cut or copied from, and what was cut or copied from
/// it. A packet's parent comes before it, so a first run learns the family and a second one hears all of it.
#[derive(Clone, Default)]
pub struct PacketStory {
    parents: Rc<RefCell<BTreeMap<PacketId, PacketId>>>,
    family: Rc<BTreeSet<PacketId>>,
    hops: Rc<RefCell<Vec<Hop>>>,
}

impl PacketStory {
    /// Listens for this family only; an empty one hears no hop and learns who descends from whom.
    pub fn of(family: BTreeSet<PacketId>) -> Self {
        Self { family: Rc::new(family), ..Self::default() }
    }

    /// The packet, its ancestors and their descendants.
    pub fn family_of(&self, packet: PacketId) -> BTreeSet<PacketId> {
        let parents = self.parents.borrow();
        let mut eldest = packet;
        while let Some(parent) = parents.get(&eldest) {
            eldest = *parent;
        }
        let mut family = BTreeSet::from([eldest]);
        // Ids grow with time, so a parent is met before its children.
        for (child, parent) in parents.iter() {
            if family.contains(parent) {
                family.insert(*child);
            }
        }
        family
    }

    /// What was heard, as a table. `None` if nothing was: there is no such packet.
    pub fn tell(&self, world: &World, packet: PacketId) -> Option<Vec<Section>> {
        let hops = self.hops.borrow();
        if hops.is_empty() {
            return None;
        }
        let names = Names::of(world);
        let rows = hops.iter().map(|hop| {
            vec![
                Seconds::from(hop.at).to_string(),
                format!("{:?}", hop.packet),
                names.node(hop.node).unwrap_or_default().to_owned(),
                step(&names, hop.node, hop.step),
            ]
        });
        let table = Table { head: vec![">at", "packet", "node", "what"], rows: rows.collect() };
        Some(vec![Section { title: format!("Packet {packet:?}"), blocks: vec![Block::Table(table)] }])
    }
}

impl Sink for PacketStory {
    fn hop(&mut self, hop: &Hop) {
        if let HopStep::CutFrom(parent) = hop.step {
            self.parents.borrow_mut().insert(hop.packet, parent);
        }
        if self.family.contains(&hop.packet) {
            self.hops.borrow_mut().push(*hop);
        }
    }
}

fn step(names: &Names, node: NodeId, step: HopStep) -> String {
    match step {
        HopStep::Created(_) => "comes into being".into(),
        HopStep::CutFrom(parent) => format!("is cut or copied from {parent:?}"),
        HopStep::Sent(link, way) => format!("enters {} ({})", names.link(link), way.code()),
        HopStep::Arrived(port) => format!("arrives at {}", names.port(node, port)),
        HopStep::Forwarded(port, next) if next.is_unspecified() => {
            format!("is routed out of {}, to its destination", names.port(node, port))
        }
        HopStep::Forwarded(port, next) => format!("is routed out of {}, to {next}", names.port(node, port)),
        HopStep::Translated(_) => "is translated by the NAT".into(),
        HopStep::MssClamped(mss, _) => format!("tells an MSS of {mss} octets from here on"),
        HopStep::Encapsulated(_) => "is put into a packet of GRE".into(),
        HopStep::Decapsulated(_) => "is taken out of its packet of GRE".into(),
        HopStep::Sealed(spi, seq, _) => format!("is sealed in ESP: SPI {spi:08x}, sequence number {seq}"),
        HopStep::Opened(spi, seq) => format!("is opened: SPI {spi:08x}, sequence number {seq}"),
        HopStep::Delivered => "is delivered".into(),
        HopStep::Dropped(reason, Place::Node(_)) => format!("is dropped: {}", reason.text()),
        HopStep::Dropped(reason, Place::Link(link, way)) => {
            format!("is dropped on {} ({}): {}", names.link(link), way.code(), reason.text())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::time::Instant;

    #[test]
    fn a_family_is_everybody_who_descends_from_the_eldest() {
        let mut story = PacketStory::default();
        for (child, parent) in [(2, 1), (5, 4), (6, 2), (7, 5), (8, 6)] {
            let step = HopStep::CutFrom(PacketId(parent));
            story.hop(&Hop { at: Instant::START, node: NodeId(0), packet: PacketId(child), step });
        }
        let ids = |of| story.family_of(PacketId(of)).iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids(6), [1, 2, 6, 8]);
        assert_eq!(ids(4), [4, 5, 7]);
        assert_eq!(ids(99), [99], "a packet without kin");
    }
}
