//! Who is who on both sides of a socket: real addresses and ports outside, ports of the external gateway's simulated
//! address inside.
//!
//! It behaves as a NAT with endpoint-independent mapping that keeps the port where it can (RFC 4787 sections 4.1 and
//! 4.2.1): an address and port from outside always have the same port inside, and never that of another. So a stranger
//! cannot take what is sent to somebody else, and a peer whose address moves is seen to move. Mappings are bounded: when
//! all are taken, one that was never answered goes first, and of those the one that was silent longest.
//!
//! Towards a peer that this end calls, it filters by address (RFC 4787 section 5): nobody else is heard.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use sim_core::node::tunnel::{IKE_PORT, NATT_PORT};
use sim_core::time::Instant;

use super::cast::Peer;

/// How many mappings are kept. One peer needs two.
const MOST: usize = 256;
/// First port for those whose own is taken (RFC 6335 section 6: dynamic ports).
const DYNAMIC: u16 = 49_152;

#[derive(Clone, Copy, Debug)]
struct Mapping {
    outside: SocketAddrV4,
    /// When something was sent there last.
    answered: Option<Instant>,
    heard: Instant,
}

/// The mappings of one tunnel.
#[derive(Debug)]
pub struct Translation {
    /// By port inside.
    inside: BTreeMap<u16, Mapping>,
    outside: BTreeMap<SocketAddrV4, u16>,
    /// Where ports without a mapping lead.
    peer: Option<Peer>,
    /// Whether nobody but the peer is heard.
    filters: bool,
}

impl Translation {
    /// No mappings. What is for a port without one goes to `peer`, if it is known.
    pub fn new(peer: Option<Peer>) -> Self {
        Self { inside: BTreeMap::new(), outside: BTreeMap::new(), peer, filters: false }
    }

    /// The same, but nobody else is heard.
    pub fn only(peer: Option<Peer>) -> Self {
        Self { filters: true, ..Self::new(peer) }
    }

    /// The port inside of what comes from there; `None` if it is not heard.
    pub fn inward(&mut self, from: SocketAddrV4, now: Instant) -> Option<u16> {
        if self.filters && self.peer.is_none_or(|peer| peer.address != *from.ip()) {
            return None;
        }
        if let Some(&port) = self.outside.get(&from) {
            if let Some(mapping) = self.inside.get_mut(&port) {
                mapping.heard = now;
            }
            return Some(port);
        }
        if self.inside.len() >= MOST {
            self.forget_one();
        }
        let own = self.peer.map_or(from.port(), |peer| match from {
            _ if *from.ip() != peer.address => from.port(),
            _ if from.port() == peer.ike_port => IKE_PORT,
            _ if from.port() == peer.nat_port => NATT_PORT,
            _ => from.port(),
        });
        let preserved = (own != 0 && !self.inside.contains_key(&own)).then_some(own);
        // There are far more ports than mappings.
        let port = preserved.or_else(|| (DYNAMIC..=u16::MAX).find(|port| !self.inside.contains_key(port)));
        let port = port.unwrap_or(DYNAMIC);
        self.inside.insert(port, Mapping { outside: from, answered: None, heard: now });
        self.outside.insert(from, port);
        Some(port)
    }

    /// Where what is for this port inside goes; `None` if nobody is known there.
    pub fn outward(&mut self, port: u16, now: Instant) -> Option<SocketAddrV4> {
        match self.inside.get_mut(&port) {
            Some(mapping) => {
                mapping.answered = Some(now);
                Some(mapping.outside)
            }
            None => self.peer.map(|peer| {
                let real = match port {
                    IKE_PORT => peer.ike_port,
                    NATT_PORT => peer.nat_port,
                    other => other,
                };
                SocketAddrV4::new(peer.address, real)
            }),
        }
    }

    fn forget_one(&mut self) {
        let oldest = self.inside.iter().min_by_key(|(_, mapping)| (mapping.answered, mapping.heard));
        if let Some((&port, &Mapping { outside, .. })) = oldest {
            self.inside.remove(&port);
            self.outside.remove(&outside);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(host: u8, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), port)
    }

    #[test]
    fn a_port_is_kept_where_it_can_and_shared_by_nobody() {
        let mut table = Translation::new(None);
        let now = Instant::START;
        assert_eq!(table.inward(at(1, 4500), now), Some(4500));
        assert_eq!(table.inward(at(1, 4500), now), Some(4500));
        let other = table.inward(at(2, 4500), now).unwrap();
        assert_ne!(other, 4500);
        assert_eq!(table.outward(4500, now), Some(at(1, 4500)));
        assert_eq!(table.outward(other, now), Some(at(2, 4500)));
        assert_eq!(table.outward(500, now), None);
        assert_ne!(table.inward(at(1, 0), now), Some(0), "port 0 is nobody's");
    }

    #[test]
    fn a_known_peer_is_spoken_to_first() {
        let mut table = Translation::new(Some(Peer::at(*at(9, 0).ip())));
        assert_eq!(table.outward(500, Instant::START), Some(at(9, 500)));
        assert_eq!(table.inward(at(1, 500), Instant::START), Some(500));
        assert_eq!(table.outward(500, Instant::START), Some(at(1, 500)), "who has spoken from that port is meant");
    }

    #[test]
    fn who_calls_a_peer_hears_nobody_else() {
        let peer = Peer { address: *at(9, 0).ip(), ike_port: 10_500, nat_port: 14_500 };
        let mut table = Translation::only(Some(peer));
        assert_eq!(table.inward(at(1, 500), Instant::START), None);
        assert_eq!(table.outward(500, Instant::START), Some(at(9, 10_500)));
        assert_eq!(table.outward(4500, Instant::START), Some(at(9, 14_500)));
        assert_eq!(table.inward(at(9, 14_500), Instant::START), Some(4500));
        assert_eq!(table.outward(4500, Instant::START), Some(at(9, 14_500)));
        assert!(table.inside.len() == 1, "who is not heard takes no mapping");
    }

    #[test]
    fn a_flood_of_strangers_takes_neither_memory_nor_the_mapping_of_a_peer() {
        let mut table = Translation::new(None);
        assert_eq!(table.inward(at(1, 4500), Instant::START), Some(4500));
        table.outward(4500, Instant::START);
        for n in 0..10_000 {
            table.inward(at(2, 1_024 + n), Instant::from_nanos(u64::from(n) + 1));
        }
        assert_eq!((table.inside.len(), table.outside.len()), (MOST, MOST));
        assert_eq!(table.inward(at(1, 4500), Instant::from_secs(1)), Some(4500));
        assert_eq!(table.outward(4500, Instant::from_secs(1)), Some(at(1, 4500)));
    }
}
