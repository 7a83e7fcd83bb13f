//! Filters without memory: what a firewall, or the access list of an interface, lets pass.

use crate::packet::Packet;
use crate::wire::ike;
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// Which packets a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleDirection {
    /// From inside to outside; at an interface, out of it.
    Outbound,
    /// From outside to inside; at an interface, in by it.
    Inbound,
    /// Both.
    Both,
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleAction {
    /// The packet passes; later rules are not asked.
    Pass,
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender hears that it is administratively prohibited (RFC 1812 section 5.2.7.1).
    Reject,
}

/// Which port of UDP or TCP a rule names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortOf {
    /// That of the outside end: where an outbound packet goes to, where an inbound one comes from.
    Outside,
    /// That of either end, so that it does not matter who began.
    Either,
}

/// What a rule looks for behind the ports, as deep packet inspection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// A message of IKE in UDP, at whatever port: its header is in clear (RFC 7296 section 3.1, RFC 2408 section 3.1), behind the
    /// non-ESP marker or without it (RFC 3948 section 2.2).
    Ike,
    /// ESP in UDP: what is long enough for it and begins with an SPI above those that are reserved (RFC 3948 section 2.1, RFC 4303
    /// section 2.1), if a port is 4500. Nothing else tells it from noise.
    EspInUdp,
}

impl Contents {
    /// Whether a sound packet holds it. A later fragment shows nothing.
    fn is_in(self, ip: &Ipv4Packet<&[u8]>) -> bool {
        if ip.protocol() != protocol::UDP || ip.fragment_offset() != 0 {
            return false;
        }
        let Some((header, data)) = ip.payload().split_first_chunk::<8>() else { return false };
        match self {
            Self::Ike => is_ike(data) || data.strip_prefix(&[0; 4]).is_some_and(is_ike),
            Self::EspInUdp => {
                let at_4500 = header[..4].chunks_exact(2).any(|port| port == 4500_u16.to_be_bytes());
                let spi = data.first_chunk::<4>().map(|spi| u32::from_be_bytes(*spi));
                at_4500 && data.len() > 8 && spi.is_some_and(|spi| spi > 255) && !is_ike(data)
            }
        }
    }
}

/// A header of IKE that is as long as it says, of version 1 or 2, with an initiator's SPI.
fn is_ike(data: &[u8]) -> bool {
    ike::Header::parse(data)
        .is_ok_and(|header| header.spi_i != 0 && matches!(header.major, 1 | 2) && header.length as usize == data.len())
}

/// A rule. The first that fits decides; what none fits passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// IP protocol number; `None`: any.
    pub protocol: Option<u8>,
    /// UDP or TCP port. A later fragment has no port and fits no rule that names one.
    pub port: Option<(PortOf, u16)>,
    /// What must be in it; `None`: whatever it is.
    pub contents: Option<Contents>,
    /// Direction.
    pub direction: RuleDirection,
    /// What becomes of it.
    pub action: RuleAction,
}

impl Rule {
    /// Whether the rule is about a packet, which must be sound IPv4.
    pub fn fits(&self, packet: &Packet, outbound: bool) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let way = match self.direction {
            RuleDirection::Outbound => outbound,
            RuleDirection::Inbound => !outbound,
            RuleDirection::Both => true,
        };
        way && self.protocol.is_none_or(|p| p == ip.protocol())
            && self.port.is_none_or(|(of, port)| named(&ip, outbound, of, port))
            && self.contents.is_none_or(|contents| contents.is_in(&ip))
    }
}

/// Whether the port that a rule speaks of is this one.
fn named(ip: &Ipv4Packet<&[u8]>, outbound: bool, of: PortOf, port: u16) -> bool {
    let has_ports = matches!(ip.protocol(), protocol::UDP | protocol::TCP) && ip.fragment_offset() == 0;
    let Some([a, b, c, d]) = ip.payload().first_chunk::<4>().filter(|_| has_ports) else { return false };
    let (source, destination) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    match of {
        PortOf::Outside => port == if outbound { destination } else { source },
        PortOf::Either => port == source || port == destination,
    }
}

/// What rules in order do with a packet.
pub fn verdict(rules: &[Rule], packet: &Packet, outbound: bool) -> RuleAction {
    rules.iter().find(|rule| rule.fits(packet, outbound)).map_or(RuleAction::Pass, |rule| rule.action)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::packet::Meta;
    use crate::wire::ipv4::Ipv4Header;

    /// The first octets of a TCP segment between these ports.
    fn segment(source: u16, destination: u16) -> Packet {
        let header = Ipv4Header::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), protocol::TCP);
        let payload = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        header.packet(&payload, Meta::default())
    }

    /// A rule for TCP 179 at the outside end leaves open what the other end begins; one for either end does not.
    #[test]
    fn a_port_of_either_end_stops_both_beginnings() {
        let rule = |of| Rule {
            protocol: Some(protocol::TCP),
            port: Some((of, 179)),
            contents: None,
            direction: RuleDirection::Both,
            action: RuleAction::Drop,
        };
        let (ours, theirs) = (segment(40_000, 179), segment(41_000, 179));
        let answer = segment(179, 41_000);
        for (packet, outbound, outside) in [(&ours, true, true), (&theirs, false, false), (&answer, true, false)] {
            assert_eq!(rule(PortOf::Outside).fits(packet, outbound), outside);
            assert!(rule(PortOf::Either).fits(packet, outbound));
        }
        let rules = [Rule { action: RuleAction::Pass, ..rule(PortOf::Outside) }, rule(PortOf::Either)];
        assert_eq!(verdict(&rules, &ours, true), RuleAction::Pass, "the first that fits");
        assert_eq!(verdict(&rules, &theirs, false), RuleAction::Drop);
        assert_eq!(verdict(&rules, &segment(40_000, 80), true), RuleAction::Pass, "none fits");
    }
}
