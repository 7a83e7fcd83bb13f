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
