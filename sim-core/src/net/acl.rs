//! Network ACLs of subnets (VPC user guide, page vpc-network-acls.html): numbered rules without memory, for each direction. The
//! lowest number comes first, the first that fits decides, and what none fits is denied (the rule `*`).
//!
//! The port of a rule is the destination's, whichever way the packet goes: an ACL that lets a request in must let its answer out to
//! the client's ephemeral port by a rule of its own.
//!
//! Left out: types and codes of ICMP, and IPv6. A later fragment has no port and fits no rule that names one.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use crate::wire::ipv4::{Ipv4Packet, protocol};

/// What rules of network ACLs and security groups look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Where it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// IP protocol number.
    pub protocol: u8,
    /// Its destination port, if it is UDP or TCP and begins its datagram.
    pub port: Option<u16>,
    /// Its source port, likewise.
    pub source_port: Option<u16>,
}

impl Traffic {
    /// What a packet is, of which the IPv4 header has been checked.
    pub fn of(packet: &[u8]) -> Self {
        let ip = Ipv4Packet::new_unchecked(packet);
        let has_ports = matches!(ip.protocol(), protocol::UDP | protocol::TCP) && ip.fragment_offset() == 0;
        let ports = ip.payload().first_chunk::<4>().filter(|_| has_ports);
        let port = ports.map(|[_, _, high, low]| u16::from_be_bytes([*high, *low]));
        let source_port = ports.map(|[high, low, _, _]| u16::from_be_bytes([*high, *low]));
        Self { source: ip.src(), destination: ip.dst(), protocol: ip.protocol(), port, source_port }
    }

    /// What answers it.
    pub const fn reversed(&self) -> Self {
        let Self { source, destination, protocol, port, source_port } = *self;
        Self { source: destination, destination: source, protocol, port: source_port, source_port: port }
    }
}

/// Which traffic a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// IP protocol number; `None`: any.
    pub protocol: Option<u8>,
    /// Destination ports; `None`: any.
    pub ports: Option<RangeInclusive<u16>>,
    /// The other end: the source of what comes in, the destination of what goes out.
    pub other: Ipv4Net,
}

impl Match {
    /// Whether it is about this traffic, which goes out or comes in.
    pub fn fits(&self, traffic: &Traffic, outbound: bool) -> bool {
        let other = if outbound { traffic.destination } else { traffic.source };
        self.protocol.is_none_or(|protocol| protocol == traffic.protocol)
            && self.other.contains(&other)
            && self.ports.as_ref().is_none_or(|ports| traffic.port.is_some_and(|port| ports.contains(&port)))
    }
}

/// A rule of a network ACL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number: lower ones are asked first.
    pub number: u16,
    /// What it is about.
    pub matches: Match,
    /// Whether that is allowed.
    pub allow: bool,
}

/// A network ACL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkAcl {
    inbound: Vec<Entry>,
    outbound: Vec<Entry>,
}

impl NetworkAcl {
    /// With these rules, in whatever order they are written.
    pub fn new(mut inbound: Vec<Entry>, mut outbound: Vec<Entry>) -> Self {
        inbound.sort_by_key(|entry| entry.number);
        outbound.sort_by_key(|entry| entry.number);
        Self { inbound, outbound }
    }

    /// How many rules it has, of the two ways the one that has more.
    pub fn longest(&self) -> usize {
        self.inbound.len().max(self.outbound.len())
    }

    /// Its rules for what goes out of the subnet, or into it, in the order in which they are asked.
    pub fn entries(&self, outbound: bool) -> impl Iterator<Item = &Entry> {
        if outbound { self.outbound.iter() } else { self.inbound.iter() }
    }

    /// Whether traffic out of the subnet, or into it, is allowed.
    pub fn allows(&self, traffic: &Traffic, outbound: bool) -> bool {
        let entries = if outbound { &self.outbound } else { &self.inbound };
        entries.iter().find(|entry| entry.matches.fits(traffic, outbound)).is_some_and(|entry| entry.allow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(source: [u8; 4], destination: [u8; 4], port: u16) -> Traffic {
        Traffic {
            source: source.into(),
            destination: destination.into(),
            protocol: protocol::TCP,
            port: Some(port),
            source_port: None,
        }
    }

    fn entry(number: u16, ports: Option<RangeInclusive<u16>>, other: &str, allow: bool) -> Entry {
        let matches = Match { protocol: None, ports, other: other.parse().unwrap() };
        Entry { number, matches, allow }
    }

    /// vpc-network-acls.html: rules are evaluated from the lowest number, whatever stands first, and the first that fits is applied,
    /// regardless of a higher one that contradicts it; `*` denies the rest.
    #[test]
    fn the_lowest_number_that_fits_decides_and_the_rest_is_denied() {
        let all = vec![entry(200, None, "0.0.0.0/0", true), entry(100, None, "192.0.2.0/24", false)];
        let acl = NetworkAcl::new(all, vec![]);
        let from = |source| traffic(source, [10, 0, 1, 10], 443);
        assert!(!acl.allows(&from([192, 0, 2, 1]), false));
        assert!(acl.allows(&from([198, 51, 100, 1]), false));
        assert!(!acl.allows(&from([198, 51, 100, 1]), true), "no rule at all is `*`");
    }

    /// The same page, "Ephemeral ports": an answer goes to the client's port, which a rule of its own must allow.
    #[test]
    fn an_answer_needs_a_rule_of_its_own() {
        let inbound = vec![entry(100, Some(443..=443), "0.0.0.0/0", true)];
        let forgets = NetworkAcl::new(inbound.clone(), vec![entry(100, Some(443..=443), "0.0.0.0/0", true)]);
        let knows = NetworkAcl::new(inbound, vec![entry(100, Some(1024..=65_535), "0.0.0.0/0", true)]);
        let (request, answer) =
            (traffic([192, 0, 2, 1], [10, 0, 1, 10], 443), traffic([10, 0, 1, 10], [192, 0, 2, 1], 49_152));
        assert!(forgets.allows(&request, false) && !forgets.allows(&answer, true));
        assert!(knows.allows(&request, false) && knows.allows(&answer, true));
    }
}
