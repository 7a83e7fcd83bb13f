//! What a flow log is written from: packets counted by interface, direction, five-tuple and verdict, in windows of a minute.
//!
//! Source: VPC user guide, "Flow log records" (a flow is characterized by a five-tuple on a network interface), and transit gateway
//! guide, "Transit Gateway Flow Log records". It observes and decides nothing. Windows begin with the world; AWS aligns them to
//! nothing that it states. A later fragment and what has no ports is counted with ports 0, as ICMP is in the guide's examples.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::acl::Traffic;
use crate::packet::Packet;
use crate::time::{Duration, Instant};
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// The length of a window.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The bits of a TCP header that records have.
const FLAGS: u8 = 0x3f;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// What is counted apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FlowKey {
    /// The interface, in the numbers of its device.
    pub interface: u16,
    /// Whether packets come out of the network into what is behind the interface of a VPC, or from what is attached into a transit
    /// gateway.
    pub ingress: bool,
    /// Where they come from or go to besides, in the numbers of the device, if anywhere.
    pub other: Option<u16>,
    /// IP protocol number.
    pub protocol: u8,
    /// Where a packet says that it comes from.
    pub source: Ipv4Addr,
    /// Where it goes.
    pub destination: Ipv4Addr,
    /// Source port, 0 if there is none.
    pub source_port: u16,
    /// Destination port, likewise.
    pub destination_port: u16,
    /// Whether security groups and network ACLs let it pass.
    pub accepted: bool,
}

/// Why a transit gateway lost packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// There was no route.
    NoRoute,
    /// The route was a blackhole.
    Blackhole,
    /// They did not fit and may not be cut.
    MtuExceeded,
}

/// What was counted of a flow in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowCount {
    /// Packets that were not lost.
    pub packets: u64,
    /// The octets of these.
    pub octets: u64,
    /// Packets that were lost, by [`Lost`].
    pub lost: [u64; 3],
    /// The flags of all TCP headers (RFC 9293 section 3.1), the six lowest bits, OR-ed.
    pub tcp_flags: u8,
    /// Whether one of them was a SYN-ACK.
    pub syn_ack: bool,
    /// When the first packet came.
    pub first: Instant,
    /// When the last came.
    pub last: Instant,
}

/// What of a packet enters a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glimpse {
    traffic: Traffic,
    octets: usize,
    flags: u8,
}

impl Glimpse {
    /// Of a packet of which the IPv4 header has been checked.
    pub fn of(packet: &Packet) -> Self {
        let (traffic, ip) = (Traffic::of(packet.bytes()), Ipv4Packet::new_unchecked(packet.bytes()));
        let is_tcp = traffic.protocol == protocol::TCP && ip.fragment_offset() == 0;
        let flags = ip.payload().get(13).filter(|_| is_tcp).map_or(0, |octet| octet & FLAGS);
        Self { traffic, octets: packet.len(), flags }
    }
}

/// A flow of a window.
pub type Entry = (FlowKey, FlowCount);

/// The flows of a device.
#[derive(Clone, Debug, Default)]
pub struct FlowMeter {
    window: u64,
    open: BTreeMap<FlowKey, FlowCount>,
    closed: Vec<(u64, Entry)>,
}

impl FlowMeter {
    /// Counts a packet at an interface. `other`: the place beyond, if it gets there.
    pub fn count(
        &mut self,
        now: Instant,
        (interface, ingress, other): (u16, bool, Option<u16>),
        of: &Glimpse,
        verdict: Result<(), Lost>,
        accepted: bool,
    ) {
        let window = now.as_nanos() / WINDOW.as_nanos();
        if window != self.window {
            let before = core::mem::replace(&mut self.window, window);
            self.closed.extend(core::mem::take(&mut self.open).into_iter().map(|entry| (before, entry)));
        }
        let Traffic { source, destination, protocol, port, source_port } = of.traffic;
        let key = FlowKey {
            interface,
            ingress,
            other,
            protocol,
            source,
            destination,
            source_port: source_port.unwrap_or_default(),
            destination_port: port.unwrap_or_default(),
            accepted,
        };
        let count = self.open.entry(key).or_insert(FlowCount {
            packets: 0,
            octets: 0,
            lost: [0; 3],
            tcp_flags: 0,
            syn_ack: false,
            first: now,
            last: now,
        });
        count.last = now;
        count.tcp_flags |= of.flags;
        count.syn_ack |= of.flags & (SYN | ACK) == SYN | ACK;
        match verdict {
            Ok(()) => {
                count.packets += 1;
                count.octets += of.octets as u64;
            }
            Err(why) => count.lost[why as usize] += 1,
        }
    }

    /// All flows so far, each with the number of its window from 0; by window, and in each by [`FlowKey`].
    pub fn flows(&self) -> impl Iterator<Item = (u64, Entry)> {
        let open = self.open.iter().map(|(key, count)| (self.window, (*key, *count)));
        self.closed.iter().copied().chain(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Meta;
    use crate::wire::udp;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const THERE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    /// A TCP header without options, with these flags (RFC 9293 section 3.1).
    fn segment(flags: u8) -> Packet {
        let mut packet = udp::packet((THERE, 40_000), (HERE, 7), &[0; 12], Meta::default());
        packet.bytes_mut()[9] = protocol::TCP;
        packet.bytes_mut()[20 + 12] = 5 << 4;
        packet.bytes_mut()[20 + 13] = flags;
        packet
    }

    /// "Flow log records": flags are OR-ed over the interval, and a window ends the record.
    #[test]
    fn a_flow_is_counted_by_window() {
        let mut meter = FlowMeter::default();
        let place = (3, true, Some(0));
        for (at, flags) in [(1, 0x02), (2, 0x10), (59, 0x11), (60, 0x10)] {
            meter.count(Instant::from_secs(at), place, &Glimpse::of(&segment(flags)), Ok(()), true);
        }
        let flows: Vec<(u64, Entry)> = meter.flows().collect();
        assert_eq!(flows.len(), 2);
        let (window, (key, count)) = flows[0];
        assert_eq!((window, key.source_port, key.destination_port, key.interface), (0, 40_000, 7, 3));
        assert_eq!((count.packets, count.octets, count.tcp_flags, count.syn_ack), (3, 120, 0x13, false));
        assert_eq!((count.first, count.last), (Instant::from_secs(1), Instant::from_secs(59)));
        assert_eq!((flows[1].0, flows[1].1.1.packets), (1, 1));
    }

    #[test]
    fn a_syn_ack_is_one_segment() {
        let mut meter = FlowMeter::default();
        for flags in [0x02, 0x10] {
            meter.count(Instant::START, (0, false, None), &Glimpse::of(&segment(flags)), Ok(()), true);
        }
        assert!(!meter.flows().next().unwrap().1.1.syn_ack, "a SYN and an ACK are none");
        meter.count(Instant::START, (0, false, None), &Glimpse::of(&segment(0x12)), Err(Lost::NoRoute), true);
        let count = meter.flows().next().unwrap().1.1;
        assert!(count.syn_ack);
        assert_eq!((count.packets, count.lost), (2, [1, 0, 0]));
    }
}
