//! The address families (RFC 4760): all that differs between IPv4 and IPv6 unicast. What else a speaker does is written
//! once, for either, and compiled for each, so that a table of IPv4 is no larger for the other.
//!
//! A family goes by the type of its prefixes. Both are spoken on one session, whose transport is either. The next hop of IPv6
//! is the global address and, between neighbours on one link, the link-local one beside it (RFC 2545 section 3).

use core::fmt;
use core::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netgauze_bgp_pkt::path_attribute as wire;
use prefix_trie::Prefix;

use super::config::{MaxPrefixes, PeerConfig};
use super::contract::{Output, RouteChange};
use super::multiprotocol;
use super::open::RestartCapability;
use super::peer::Session;
use super::policy::{Policy, Verdict};
use super::tables::{Both, Tables};
use super::update::{self, Prefixes, Told};

/// Address Family Identifier; the SAFI is 1, unicast (RFC 4760 section 6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u16)]
pub enum Afi {
    /// IP.
    #[default]
    Ipv4 = 1,
    /// IP6.
    Ipv6 = 2,
}

/// Subsequent Address Family Identifier of unicast.
pub(super) const UNICAST: u8 = 1;

impl Afi {
    /// The family of these two fields on the wire, if it is one of ours.
    pub(super) const fn of(afi: [u8; 2], safi: u8) -> Option<Self> {
        match (u16::from_be_bytes(afi), safi) {
            (1, UNICAST) => Some(Self::Ipv4),
            (2, UNICAST) => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// As it is on the wire.
    pub(super) const fn octets(self) -> [u8; 2] {
        (self as u16).to_be_bytes()
    }
}

/// A family, by its prefixes.
pub trait Family: Prefix + Copy + Ord + Hash + fmt::Debug + fmt::Display + Into<IpNet> + 'static {
    /// What a route of it names as its next hop.
    type NextHop: Copy + Ord + Hash + fmt::Debug;
    /// Its number.
    const AFI: Afi;
    /// The next hop of a route of our own, before it is announced.
    const HERE: Self::NextHop;

    /// True if a next hop is in this network.
    fn holds(&self, next_hop: &Self::NextHop) -> bool;

    /// True if it may be routed to: no multicast, and nothing that has a meaning on one link only.
    fn is_unicast(&self) -> bool;
}

/// The next hop of an IPv6 route (RFC 2545 section 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ipv6NextHop {
    /// The global address.
    pub global: Ipv6Addr,
    /// The link-local address of the same interface, between neighbours on one link.
    pub link_local: Option<Ipv6Addr>,
}

impl From<Ipv6Addr> for Ipv6NextHop {
    fn from(global: Ipv6Addr) -> Self {
        Self { global, link_local: None }
    }
}

/// As routers write it: the global address.
impl fmt::Display for Ipv6NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.global.fmt(f)
    }
}

impl Family for Ipv4Net {
    type NextHop = Ipv4Addr;
    const AFI: Afi = Afi::Ipv4;
    const HERE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn holds(&self, next_hop: &Ipv4Addr) -> bool {
        self.contains(next_hop)
    }

    /// Neither multicast nor class E.
    fn is_unicast(&self) -> bool {
        self.network().octets()[0] < 224
    }
}

impl Family for Ipv6Net {
    type NextHop = Ipv6NextHop;
    const AFI: Afi = Afi::Ipv6;
    const HERE: Ipv6NextHop = Ipv6NextHop { global: Ipv6Addr::UNSPECIFIED, link_local: None };

    fn holds(&self, next_hop: &Ipv6NextHop) -> bool {
        self.contains(&next_hop.global)
    }

    /// Neither multicast (ff00::/8) nor link-local (fe80::/10), of which RFC 4291 section 2.5.6 says that routers must not
    /// forward it.
    fn is_unicast(&self) -> bool {
        let network = self.network();
        !network.is_multicast() && !network.is_unicast_link_local()
    }
}

/// What a speaker needs of a family besides.
pub(super) trait Spoken: Family {
    /// Its tables, if there are any.
    fn of(tables: &Both) -> Option<&Tables<Self>>;
    /// Its tables, empty ones if there were none.
    fn of_mut(tables: &mut Both) -> &mut Tables<Self>;

    /// Import and export policy of a peer.
    fn policies(config: &PeerConfig) -> [&Policy<Self>; 2];
    /// How many prefixes a peer may announce.
    fn limit(config: &PeerConfig) -> Option<MaxPrefixes>;
    /// What we announce to a peer as next hop when it is us.
    fn next_hop_self(config: &PeerConfig) -> Self::NextHop;
    /// The next hop that a peer is told when it is somebody else.
    fn third_party(next_hop: Self::NextHop) -> Self::NextHop;
    /// True if a next hop is our own address on the session.
    fn is_own(config: &PeerConfig, next_hop: &Self::NextHop) -> bool;
    /// True if a next hop is the peer or in the subnet that it shares with us.
    fn is_connected(config: &PeerConfig, next_hop: &Self::NextHop) -> bool;
    /// True if the session with a peer is meant to carry it.
    fn is_wanted(config: &PeerConfig) -> bool;
    /// True if a session carries it.
    fn is_spoken(session: &Session) -> bool;
    /// What the sender of a capability says of its forwarding (RFC 4724 section 3, F); `None` if it does not name the family.
    fn forwarding(restart: &RestartCapability) -> Option<bool>;

    /// What the owner hears of a change.
    fn changed(change: RouteChange<Self>) -> Output;

    /// A prefix of so many bits that begins with these octets.
    fn from_octets(length: u8, octets: &[u8]) -> Option<Self>;
    /// NEXT_HOP, if that is where the next hop is.
    fn next_hop_attribute(next_hop: Self::NextHop) -> Option<wire::NextHop>;
    /// Octets of a message that the family's own attribute takes, but for its NLRI.
    fn overhead(next_hop: Option<Self::NextHop>) -> usize;
    /// The UPDATE that announces prefixes.
    fn announcement(attributes: &[wire::PathAttribute], next_hop: Self::NextHop, prefixes: &[Self]) -> Vec<u8>;
    /// The UPDATE that withdraws prefixes; of none, it is End-of-RIB (RFC 4724 section 2).
    fn withdrawal(prefixes: &[Self]) -> Vec<u8>;
    /// What a step says of prefixes.
    fn told(prefixes: Prefixes<Self>) -> Told;
}

impl Spoken for Ipv4Net {
    fn of(tables: &Both) -> Option<&Tables<Self>> {
        Some(&tables.ipv4)
    }

    fn of_mut(tables: &mut Both) -> &mut Tables<Self> {
        &mut tables.ipv4
    }

    fn policies(config: &PeerConfig) -> [&Policy<Self>; 2] {
        [&config.import, &config.export]
    }

    fn limit(config: &PeerConfig) -> Option<MaxPrefixes> {
        config.max_prefixes
    }

    fn next_hop_self(config: &PeerConfig) -> Ipv4Addr {
        config.local_address
    }

    fn third_party(next_hop: Ipv4Addr) -> Ipv4Addr {
        next_hop
    }

    fn is_own(config: &PeerConfig, next_hop: &Ipv4Addr) -> bool {
        *next_hop == config.local_address
    }

    fn is_connected(config: &PeerConfig, next_hop: &Ipv4Addr) -> bool {
        *next_hop == config.remote_address || config.subnet.contains(next_hop)
    }

    /// Without a word of any family a session is for IPv4 unicast (RFC 4760 section 8).
    fn is_wanted(config: &PeerConfig) -> bool {
        config.capabilities.ipv4_unicast || config.ipv6.is_none()
    }

    fn is_spoken(session: &Session) -> bool {
        session.dialect.ipv4_unicast
    }

    fn forwarding(restart: &RestartCapability) -> Option<bool> {
        restart.forwarding
    }

    fn changed(change: RouteChange<Self>) -> Output {
        Output::Route(change)
    }

    fn from_octets(length: u8, octets: &[u8]) -> Option<Self> {
        let mut address = [0; 4];
        address.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self::new(address.into(), length).ok()?.trunc())
    }

    fn next_hop_attribute(next_hop: Ipv4Addr) -> Option<wire::NextHop> {
        Some(wire::NextHop::new(next_hop))
    }

    fn overhead(_: Option<Ipv4Addr>) -> usize {
        0
    }

    fn announcement(attributes: &[wire::PathAttribute], _: Ipv4Addr, prefixes: &[Self]) -> Vec<u8> {
        update::announcement(attributes, prefixes)
    }

    fn withdrawal(prefixes: &[Self]) -> Vec<u8> {
        update::withdrawal(prefixes)
    }

    fn told(prefixes: Prefixes) -> Told {
        (Some(Box::new(prefixes)), None)
    }
}

/// What a session without IPv6 would do with it.
static NOTHING: Policy<Ipv6Net> = Policy { rules: Vec::new(), otherwise: Verdict::Reject };

impl Spoken for Ipv6Net {
    fn of(tables: &Both) -> Option<&Tables<Self>> {
        tables.ipv6.as_deref()
    }

    fn of_mut(tables: &mut Both) -> &mut Tables<Self> {
        let peers = tables.ipv4.peers.len();
        tables.ipv6.get_or_insert_with(|| Box::new(Tables::new(peers)))
    }

    fn policies(config: &PeerConfig) -> [&Policy<Self>; 2] {
        config.ipv6.as_ref().map_or([&NOTHING, &NOTHING], |ipv6| [&ipv6.import, &ipv6.export])
    }

    fn limit(config: &PeerConfig) -> Option<MaxPrefixes> {
        config.ipv6.as_ref()?.max_prefixes
    }

    fn next_hop_self(config: &PeerConfig) -> Ipv6NextHop {
        config.ipv6.as_ref().map_or(Self::HERE, |ipv6| ipv6.local_address)
    }

    /// RFC 2545 section 3: the link-local address is told only where it can be used, which is on its own link.
    fn third_party(next_hop: Ipv6NextHop) -> Ipv6NextHop {
        next_hop.global.into()
    }

    fn is_own(config: &PeerConfig, next_hop: &Ipv6NextHop) -> bool {
        config.ipv6.as_ref().is_some_and(|ipv6| ipv6.local_address.global == next_hop.global)
    }

    fn is_connected(config: &PeerConfig, next_hop: &Ipv6NextHop) -> bool {
        config.ipv6.as_ref().is_some_and(|ipv6| ipv6.subnet.contains(&next_hop.global))
    }

    fn is_wanted(config: &PeerConfig) -> bool {
        config.ipv6.is_some()
    }

    fn is_spoken(session: &Session) -> bool {
        session.dialect.ipv6_unicast
    }

    fn forwarding(restart: &RestartCapability) -> Option<bool> {
        restart.ipv6_forwarding
    }

    fn changed(change: RouteChange<Self>) -> Output {
        Output::Ipv6Route(Box::new(change))
    }

    fn from_octets(length: u8, octets: &[u8]) -> Option<Self> {
        let mut address = [0; 16];
        address.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self::new(address.into(), length).ok()?.trunc())
    }

    /// RFC 4760 section 3: it is in MP_REACH_NLRI, and NEXT_HOP should not be there.
    fn next_hop_attribute(_: Ipv6NextHop) -> Option<wire::NextHop> {
        None
    }

    fn overhead(next_hop: Option<Ipv6NextHop>) -> usize {
        multiprotocol::overhead(next_hop)
    }

    fn announcement(attributes: &[wire::PathAttribute], next_hop: Ipv6NextHop, prefixes: &[Self]) -> Vec<u8> {
        multiprotocol::announcement(attributes, next_hop, prefixes)
    }

    fn withdrawal(prefixes: &[Self]) -> Vec<u8> {
        multiprotocol::withdrawal(prefixes)
    }

    fn told(prefixes: Prefixes<Self>) -> Told {
        (None, Some(Box::new(prefixes)))
    }
}
