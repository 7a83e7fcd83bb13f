//! Spreading flows over routes of equal cost (RFC 2991, RFC 2992): which packets belong together, and which way each flow goes.
//!
//! A flow is hashed with a salt that is the device's own: with the same one everywhere, the routers behind the first would see
//! only flows that have hashed alike, and would use one way each. The hash then chooses
//!
//! - by *hash threshold* (RFC 2992): its range is cut into as many equal regions as there are ways, as Linux does. When a way
//!   comes or goes, regions are cut anew, and between a quarter and a half of all flows move; or
//! - by *resilient hashing*: it chooses one of many buckets, and each bucket keeps its way while that exists. When a way goes,
//!   only the flows of its buckets move; one that comes takes buckets from the fullest.
//!
//! Fragments have no ports, or only the first has: all fragments of a datagram are hashed by addresses and protocol, so that
//! they go one way. That may be another than that of the flow's whole datagrams.
//!
//! Left out: weights (unequal cost), the flow of the packet that an ICMP error quotes, and resilient hashing that waits for a
//! bucket to be idle.

use std::net::Ipv4Addr;

use twox_hash::XxHash3_64;

use super::fib::Target;
use crate::rng::{Purpose, Rng};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::Ipv6Packet;

/// What makes two packets belong to one flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowFields {
    /// Addresses and protocol.
    ThreeTuple,
    /// Addresses, protocol and, of TCP and UDP, ports.
    FiveTuple,
}

/// How a device spreads flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Multipath {
    /// What a flow is.
    pub fields: FlowFields,
    /// Makes the hash the device's own.
    pub salt: u64,
    /// Most ways that are used at once; the best ones are.
    pub max_ways: u8,
    /// Buckets of resilient hashing, a multiple of the ways for an even spread; `None`: hash threshold.
    pub buckets: Option<u8>,
}

impl Multipath {
    /// Hash threshold over all ways, with the salt of the device of that name.
    pub fn new(fields: FlowFields, seed: u64, device: &str) -> Self {
        let salt = Rng::stream(seed, device, Purpose::FlowHash).u64();
        Self { fields, salt, max_ways: u8::MAX, buckets: None }
    }

    /// The hash of a packet's flow.
    pub fn hash(&self, packet: &[u8]) -> u32 {
        self.hash_of(&Flow::of(packet, self.fields))
    }

    /// The same, of the flow and of its answers alike.
    pub fn hash_both_ways(&self, packet: &[u8]) -> u32 {
        let mut flow = Flow::of(packet, self.fields);
        if (flow.addresses[1], flow.ports[1]) < (flow.addresses[0], flow.ports[0]) {
            flow.addresses.swap(0, 1);
            flow.ports.swap(0, 1);
        }
        self.hash_of(&flow)
    }

    fn hash_of(&self, flow: &Flow) -> u32 {
        (XxHash3_64::oneshot_with_seed(self.salt, &flow.octets()) >> 32) as u32
    }

    /// The hash of the flow of an IPv6 packet whose header has been checked. The flow label is not looked at.
    pub fn hash_v6(&self, packet: &[u8]) -> u32 {
        let ip = Ipv6Packet::new_unchecked(packet);
        let mut octets = [0; 37];
        octets[..16].copy_from_slice(&ip.src().octets());
        octets[16..32].copy_from_slice(&ip.dst().octets());
        octets[32] = ip.next_header();
        if let (FlowFields::FiveTuple, protocol::TCP | protocol::UDP, Some(ports)) =
            (self.fields, ip.next_header(), ip.payload().first_chunk::<4>())
        {
            octets[33..].copy_from_slice(ports);
        }
        (XxHash3_64::oneshot_with_seed(self.salt, &octets) >> 32) as u32
    }
}

/// What a packet's flow is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// Source and destination.
    pub addresses: [Ipv4Addr; 2],
    /// IP protocol.
    pub protocol: u8,
    /// Source and destination port; zero if they are not looked at.
    pub ports: [u16; 2],
}

impl Flow {
    /// That of a packet whose IPv4 header has been checked.
    pub fn of(packet: &[u8], fields: FlowFields) -> Self {
        let ip = Ipv4Packet::new_unchecked(packet);
        let kind = ip.protocol();
        let whole = !ip.is_fragment();
        let ports = match ip.payload().first_chunk() {
            Some(&[a, b, c, d])
                if fields == FlowFields::FiveTuple && whole && matches!(kind, protocol::TCP | protocol::UDP) =>
            {
                [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
            }
            Some(_) | None => [0, 0],
        };
        Self { addresses: [ip.src(), ip.dst()], protocol: kind, ports }
    }

    fn octets(&self) -> [u8; 13] {
        let mut octets = [0; 13];
        octets[..4].copy_from_slice(&self.addresses[0].octets());
        octets[4..8].copy_from_slice(&self.addresses[1].octets());
        octets[8] = self.protocol;
        octets[9..11].copy_from_slice(&self.ports[0].to_be_bytes());
        octets[11..].copy_from_slice(&self.ports[1].to_be_bytes());
        octets
    }
}

/// Which of so many ways a hash chooses by threshold (RFC 2992 section 2); there is at least one.
pub(crate) fn by_threshold(hash: u32, ways: usize) -> usize {
    ((u64::from(hash) * ways as u64) >> 32) as usize
}

/// The buckets of resilient hashing: for each, the place of its way among the ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Buckets(Box<[u8]>);

impl Buckets {
    /// Which way a hash chooses.
    pub fn choose(&self, hash: u32) -> usize {
        self.0[by_threshold(hash, self.0.len())].into()
    }

    /// Buckets that all choose the first way, as a table with one way does.
    pub fn only(count: u8) -> Self {
        Self(vec![0; count.into()].into())
    }

    /// Buckets for `ways`, of which as few as possible choose otherwise than those `before` did for theirs.
    pub fn over<A: PartialEq>(ways: &[Target<A>], count: u8, before: Option<(&Self, &[Target<A>])>) -> Self {
        let most = usize::from(count).div_ceil(ways.len().max(1));
        let fewest = usize::from(count) / ways.len().max(1);
        let mut held = vec![0; ways.len()];
        let mut places: Vec<Option<usize>> = vec![None; usize::from(count)];
        if let Some((old, old_ways)) = before {
            for (place, &way) in places.iter_mut().zip(&*old.0) {
                let still = ways.iter().position(|target| old_ways.get(usize::from(way)) == Some(target));
                *place = still.filter(|&way| held[way] < most).inspect(|&way| held[way] += 1);
            }
        }
        for place in places.iter_mut().filter(|place| place.is_none()) {
            let emptiest = emptiest(&held);
            held[emptiest] += 1;
            *place = Some(emptiest);
        }
        // What a way that came is still short of, it takes from the fullest.
        loop {
            let (to, from) = (emptiest(&held), fullest(&held));
            if held[to] >= fewest {
                break;
            }
            let taken = places.iter().rposition(|place| *place == Some(from)).expect("the fullest holds a bucket");
            places[taken] = Some(to);
            held[from] -= 1;
            held[to] += 1;
        }
        Self(places.into_iter().map(|place| place.expect("every bucket has a way") as u8).collect())
    }
}

/// The first of the ways that hold fewest buckets.
fn emptiest(held: &[usize]) -> usize {
    (0..held.len()).min_by_key(|&way| held[way]).expect("there is a way")
}

/// The last of the ways that hold most.
fn fullest(held: &[usize]) -> usize {
    (0..held.len()).max_by_key(|&way| held[way]).expect("there is a way")
}

#[cfg(test)]
mod tests;
