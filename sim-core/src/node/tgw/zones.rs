//! By which network interface of a VPC's attachment a packet goes out (VPC guide, pages tgw-vpc-attachments.html and
//! transit-gateway-appliance-scenario.html).
//!
//! - What comes from a VPC stays in its availability zone, if the attachment is there; else a zone is taken at random, here by a hash of the
//!   flow. The documents do not say what becomes of what comes from elsewhere: it is spread by the same hash.
//! - In *appliance mode* a hash of the flow that is the same in both directions chooses, for the life of the flow. A guide of 2023 has it that
//!   this is not so of what comes through a VPN: that is as without the mode.

use super::{Attached, Attachment};
use crate::id::Port;
use crate::net::multipath::{Multipath, by_threshold};
use crate::packet::Packet;

/// The interfaces of one attachment.
#[derive(Clone, Debug)]
struct Interfaces {
    /// The port of the first; the others follow.
    first: Port,
    zones: Vec<u8>,
    appliance_mode: bool,
}

/// The attachments with several interfaces.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    /// The zone of the interface behind each port, after those of the tunnels and Direct Connect gateways.
    of_port: Vec<u8>,
    /// How many of those come before.
    before: usize,
    several: Vec<Interfaces>,
    multipath: Multipath,
}

impl Zones {
    pub fn new(attachments: &[Attachment], before: usize, multipath: Multipath) -> Self {
        let (mut of_port, mut several) = (Vec::new(), Vec::new());
        for attachment in attachments {
            let Attached::Vpc { zones, appliance_mode, .. } = &attachment.to else { continue };
            let first = Port((before + of_port.len()) as u16);
            of_port.extend(zones);
            if zones.len() > 1 {
                several.push(Interfaces { first, zones: zones.clone(), appliance_mode: *appliance_mode });
            }
        }
        Self { of_port, before, several, multipath }
    }

    /// The port of the interface by which a packet goes that came in by `from`, out of a tunnel or not, and goes to the attachment with the
    /// port `to`.
    #[inline]
    pub fn choose(&self, from: Port, of_tunnel: bool, to: Port, packet: &Packet) -> Port {
        if self.several.is_empty() { to } else { self.among(from, of_tunnel, to, packet) }
    }

    fn among(&self, from: Port, of_tunnel: bool, to: Port, packet: &Packet) -> Port {
        let Some(interfaces) = self.several.iter().find(|it| it.first == to) else { return to };
        let from = from.index().checked_sub(self.before).and_then(|place| self.of_port.get(place));
        let same = from.and_then(|zone| interfaces.zones.iter().position(|other| other == zone));
        let place = match (interfaces.appliance_mode && !of_tunnel, same) {
            (true, _) => by_threshold(self.multipath.hash_both_ways(packet.bytes()), interfaces.zones.len()),
            (false, Some(same)) => same,
            (false, None) => by_threshold(self.multipath.hash(packet.bytes()), interfaces.zones.len()),
        };
        Port(to.0 + place as u16)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::net::multipath::FlowFields;
    use crate::packet::Meta;
    use crate::wire::udp;

    /// A tunnel, a VPC with an interface in each of some zones, and one in zones 0 and 1.
    fn zones(sources: &[u8], appliance_mode: bool) -> Zones {
        let vpc = |zones: &[u8], appliance_mode| Attachment {
            to: Attached::Vpc { cidr: "10.0.0.0/16".parse().unwrap(), zones: zones.to_vec(), appliance_mode },
            association: Some(0),
            propagation: vec![0],
            limit: None,
        };
        Zones::new(
            &[vpc(sources, false), vpc(&[0, 1], appliance_mode)],
            1,
            Multipath::new(FlowFields::FiveTuple, 1, "tgw"),
        )
    }

    /// A hundred flows there, or their answers.
    fn flows(answers: bool) -> impl Iterator<Item = Packet> {
        (0..100).map(move |n| {
            let ends = (([10, 1, 0, 1].into(), 40_000 + n), ([10, 0, 0, 1].into(), 443));
            let (from, to) = if answers { (ends.1, ends.0) } else { ends };
            udp::packet(from, to, b"data", Meta::default())
        })
    }

    const TUNNEL: Port = Port(0);
    const SOURCE: Port = Port(1);

    /// Page tgw-vpc-attachments.html: what comes from a zone stays in it; if the destination is not there, a zone of its attachment is
    /// taken at random.
    #[test]
    fn a_zone_that_the_destination_lacks_is_replaced_at_random() {
        let taken = |zone: u8| -> BTreeSet<Port> {
            let zones = zones(&[zone], false);
            flows(false).map(|packet| zones.choose(SOURCE, false, Port(2), &packet)).collect()
        };
        assert_eq!(taken(0), [Port(2)].into());
        assert_eq!(taken(1), [Port(3)].into());
        assert_eq!(taken(2), [Port(2), Port(3)].into());
    }

    /// Page transit-gateway-appliance-scenario.html: in appliance mode a flow and its answers meet the same zone, whatever zones they come from;
    /// the guide of 2023: not what comes through a VPN.
    #[test]
    fn appliance_mode_is_not_for_what_comes_through_a_vpn() {
        let zones = zones(&[0], true);
        let met = |from: Port, of_tunnel: bool, answers: bool| -> Vec<Port> {
            flows(answers).map(|packet| zones.choose(from, of_tunnel, Port(2), &packet)).collect()
        };
        assert_eq!(met(SOURCE, false, false), met(SOURCE, false, true));
        assert!(met(SOURCE, false, false).contains(&Port(3)), "though it comes from zone 0");
        assert_ne!(met(TUNNEL, true, false), met(TUNNEL, true, true));
    }
}
