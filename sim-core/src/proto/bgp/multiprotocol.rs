//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3 and 4) of IPv6 unicast (RFC 2545).
//!
//! ```text
//! +------------------------------------------+    +------------------------------------------+
//! | Address Family Identifier (2 octets)     |    | Address Family Identifier (2 octets)     |
//! | Subsequent AFI (1 octet)                 |    | Subsequent AFI (1 octet)                 |
//! | Length of Next Hop (1 octet): 16 or 32   |    | Withdrawn Routes (variable)              |
//! | Next Hop: global, perhaps link-local     |    +------------------------------------------+
//! | Reserved (1 octet)                       |
//! | NLRI (variable)                          |
//! +------------------------------------------+
//! ```
//!
//! Sent as the first attribute of an UPDATE that has nothing else to announce or withdraw (RFC 7606 section 5.1), but taken
//! in any place and company. An error that leaves it open which routes are meant ends the session (sections 5.3, 7.11 and
//! 7.12), with the code of RFC 4760 section 7.
//!
//! Left out: IPv4 unicast in these attributes, with a next hop of either family (RFC 4760, RFC 8950), and a link-local address
//! for the only next hop: it is read as a global one, and is on no subnet. Other families than IPv6 unicast are ignored.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use netgauze_bgp_pkt::nlri::{Ipv6Unicast, Ipv6UnicastAddress};
use netgauze_bgp_pkt::path_attribute::{MpReach, MpUnreach, PathAttribute, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;

use super::attributes::{OPTIONAL, attribute};
use super::family::{Afi, Ipv6NextHop};
use super::update::{Said, emit_update, read_prefixes};

/// Octets in front of the withdrawn routes: the head of the attribute with a length of two octets, AFI and SAFI.
const HEAD: usize = 4 + 3;

/// What these attributes of one UPDATE say of IPv6.
#[derive(Clone, Default)]
pub(super) struct Found {
    pub said: Said<Ipv6Net>,
    pub next_hop: Option<Ipv6NextHop>,
}

/// What is wrong with one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// Which routes it is about cannot be told.
    Syntax,
    /// The routes are known, but nobody can be reached at their next hop.
    NextHop,
}

/// What follows AFI and SAFI, if they are those of IPv6 unicast; `Ok(None)` if they are not.
fn of_ipv6(value: &[u8]) -> Result<Option<&[u8]>, Wrong> {
    let &[high, low, safi, ref rest @ ..] = value else {
        return Err(Wrong::Syntax);
    };
    Ok((Afi::of([high, low], safi) == Some(Afi::Ipv6)).then_some(rest))
}

/// Reads MP_REACH_NLRI.
pub(super) fn read_reachable(value: &[u8], found: &mut Option<Box<Found>>) -> Result<(), Wrong> {
    let Some(rest) = of_ipv6(value)? else {
        return Ok(());
    };
    let (&length, rest) = rest.split_first().ok_or(Wrong::Syntax)?;
    let (next_hop, rest) = rest.split_at_checked(usize::from(length)).ok_or(Wrong::Syntax)?;
    let next_hop = next_hop_of(next_hop).ok_or(Wrong::Syntax)?;
    // The reserved octet says nothing (RFC 4760 section 3), but it is there.
    let (_, nlri) = rest.split_first().ok_or(Wrong::Syntax)?;
    let found = found.get_or_insert_default();
    let said = &mut found.said;
    read_prefixes(nlri, &mut said.reachable, Some(&mut said.ignored)).map_err(|_| Wrong::Syntax)?;
    let global = next_hop.global;
    if global.is_unspecified() || global.is_loopback() || global.is_multicast() {
        return Err(Wrong::NextHop);
    }
    found.next_hop = Some(next_hop);
    Ok(())
}

/// Reads MP_UNREACH_NLRI.
pub(super) fn read_unreachable(value: &[u8], found: &mut Option<Box<Found>>) -> Result<(), Wrong> {
    let Some(routes) = of_ipv6(value)? else {
        return Ok(());
    };
    let said = &mut found.get_or_insert_default().said;
    said.end_of_rib = routes.is_empty();
    read_prefixes(routes, &mut said.withdrawn, None).map_err(|_| Wrong::Syntax)
}

/// RFC 2545 section 3: 16 octets, or 32 with a link-local address. What should be one and is none is of no use.
fn next_hop_of(octets: &[u8]) -> Option<Ipv6NextHop> {
    let (global, rest) = octets.split_first_chunk::<16>()?;
    let second = match rest {
        [] => None,
        rest => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?)),
    };
    let link_local = second.filter(Ipv6Addr::is_unicast_link_local);
    Some(Ipv6NextHop { global: Ipv6Addr::from(*global), link_local })
}

/// Octets of a message that go to the attribute, besides the prefixes that it names: with a next hop it is MP_REACH_NLRI.
pub(super) fn overhead(next_hop: Option<Ipv6NextHop>) -> usize {
    HEAD + next_hop.map_or(0, |next_hop| 2 + if next_hop.link_local.is_some() { 32 } else { 16 })
}

fn nlri(prefixes: &[Ipv6Net]) -> Box<[Ipv6UnicastAddress]> {
    let address = |&prefix| Some(Ipv6UnicastAddress::new(None, Ipv6Unicast::from_net(prefix).ok()?));
    prefixes.iter().filter_map(address).collect()
}

/// The UPDATE that announces prefixes, its attributes behind MP_REACH_NLRI.
pub(super) fn announcement(attributes: &[PathAttribute], next_hop: Ipv6NextHop, prefixes: &[Ipv6Net]) -> Vec<u8> {
    let reach = MpReach::Ipv6Unicast {
        next_hop_global: next_hop.global,
        next_hop_local: next_hop.link_local,
        nlri: nlri(prefixes),
    };
    let length = overhead(Some(next_hop)) - 4 + octets(prefixes);
    let reach = attribute(OPTIONAL, length > 255, PathAttributeValue::MpReach(reach));
    emit_update(&BgpUpdateMessage::new([], [&[reach], attributes].concat(), []))
}

/// The UPDATE that withdraws prefixes; of none, it is the End-of-RIB of IPv6 unicast (RFC 4724 section 2).
pub(super) fn withdrawal(prefixes: &[Ipv6Net]) -> Vec<u8> {
    let unreach = MpUnreach::Ipv6Unicast { nlri: nlri(prefixes) };
    let length = overhead(None) - 4 + octets(prefixes);
    let unreach = attribute(OPTIONAL, length > 255, PathAttributeValue::MpUnreach(unreach));
    emit_update(&BgpUpdateMessage::new([], [unreach], []))
}

fn octets(prefixes: &[Ipv6Net]) -> usize {
    prefixes.iter().copied().map(super::update::nlri_length).sum()
}
