//! Which way each flow took through a device, there and back, and which of its packets the device refused: what is needed to say
//! how many flows went out by one member of a set of equal routes and came back by another, and what that cost.
//!
//! It observes and decides nothing: a device with a census sends the same packets as one without. It is exact up to a number of
//! flows; those that come later are counted together and not told apart.

use std::collections::BTreeMap;

use super::conntrack::{FlowId, flow_of};
use crate::id::Port;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::wire::ipv4::Ipv4Packet;

/// Flows that are told apart.
const FLOWS: usize = 1 << 17;

/// What became of a flow at a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowTrip {
    /// The ports by which its originator's packets went out, each with how many; in order of the first.
    pub out: Vec<(Port, u64)>,
    /// The ports by which answers came in, likewise, those included that were refused.
    pub back: Vec<(Port, u64)>,
    /// Packets that were refused, by reason; either way.
    pub refused: BTreeMap<DropReason, u64>,
    /// True if the last answer that came was refused.
    pub cut_off: bool,
    /// Answers that went on.
    pub answered: u64,
}

/// A census.
#[derive(Clone, Debug, Default)]
pub struct Census {
    flows: BTreeMap<FlowId, FlowTrip>,
    /// Packets of flows that were too many.
    beyond: u64,
}

impl Census {
    /// A packet in transit came in by a port, goes out by another unless it is refused, and that is why.
    pub fn count(&mut self, packet: &Packet, from: Port, to: Port, refused: Option<DropReason>) {
        let Some(id) = flow_of(&Ipv4Packet::new_unchecked(packet.bytes())) else { return };
        let back = FlowId { protocol: id.protocol, originator: id.responder, responder: id.originator };
        let is_answer = self.flows.contains_key(&back);
        if !is_answer && !self.flows.contains_key(&id) && self.flows.len() >= FLOWS {
            self.beyond += 1;
            return;
        }
        let trip = self.flows.entry(if is_answer { back } else { id }).or_default();
        let (ways, port) = if is_answer { (&mut trip.back, from) } else { (&mut trip.out, to) };
        match ways.iter_mut().find(|(way, _)| *way == port) {
            Some((_, packets)) => *packets += 1,
            None => ways.push((port, 1)),
        }
        if is_answer {
            trip.cut_off = refused.is_some();
            trip.answered += u64::from(refused.is_none());
        }
        if let Some(reason) = refused {
            *trip.refused.entry(reason).or_default() += 1;
        }
    }

    /// The flows, by protocol and ends.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = (&FlowId, &FlowTrip)> {
        self.flows.iter()
    }

    /// Packets of flows that were too many to be told apart.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Meta;
    use crate::wire::udp;

    /// One flow, out by a port, with an answer by it and two by another, of which the last is refused.
    #[test]
    fn a_flow_is_one_in_both_directions() {
        let ends = [(Ipv4Addr::new(10, 0, 0, 1), 5_000), (Ipv4Addr::new(10, 0, 1, 1), 53)];
        let packet = |from: usize| udp::packet(ends[from], ends[1 - from], &[0; 8], Meta::default());
        let (lan, one, two) = (Port(0), Port(1), Port(2));
        let mut census = Census::default();
        census.count(&packet(0), lan, one, None);
        census.count(&packet(1), one, lan, None);
        census.count(&packet(1), two, lan, None);
        census.count(&packet(1), two, lan, Some(DropReason::FirewallOtherZone));
        let (id, trip) = census.flows().next().expect("it is counted");
        assert_eq!((id.originator, id.responder), ((ends[0].0, Some(5_000)), (ends[1].0, Some(53))));
        let refused = BTreeMap::from([(DropReason::FirewallOtherZone, 1)]);
        let expected =
            FlowTrip { out: vec![(one, 1)], back: vec![(one, 1), (two, 2)], refused, cut_off: true, answered: 2 };
        assert_eq!((census.flows().len(), trip, census.beyond()), (1, &expected, 0));
    }
}
