//! Path attributes (RFC 4271 sections 4.3 and 5): the values a route carries, and their way to the wire. The way from there
//! is in `walk`.
//!
//! Attributes that we do not interpret stay octets.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::community::{Community, LargeCommunity};
use netgauze_bgp_pkt::path_attribute as wire;
use netgauze_bgp_pkt::path_attribute::PathAttributeValue as Value;

use super::as_path::AsPath;
use super::communities::Communities;
use super::family::{Family, Spoken};
use super::faults::code;
use super::open::AS_TRANS;

pub(super) const OPTIONAL: u8 = 0x80;
pub(super) const TRANSITIVE: u8 = 0x40;
pub(super) const PARTIAL: u8 = 0x20;
pub(super) const EXTENDED: u8 = 0x10;

/// Where a route comes from, best first (RFC 4271 section 5.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Origin {
    /// Interior to the originating AS.
    #[default]
    Igp = 0,
    /// Learned by the EGP protocol.
    Egp = 1,
    /// Learned by some other means.
    Incomplete = 2,
}

/// What a route carries besides its prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attributes<F: Family = Ipv4Net> {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH, already merged with AS4_PATH if the peer counts in two octets.
    pub as_path: AsPath,
    /// NEXT_HOP, or what MP_REACH_NLRI has in its place.
    pub next_hop: F::NextHop,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF: sent and believed inside an AS only.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR: the AS and router that formed the aggregate.
    pub aggregator: Option<(u32, Ipv4Addr)>,
    /// COMMUNITIES, EXTENDED_COMMUNITIES and LARGE_COMMUNITY.
    pub communities: Communities,
    /// ORIGINATOR_ID and CLUSTER_LIST, if the route was reflected: within an AS only. Few are, so they take no room otherwise.
    pub reflection: Option<Box<Reflection>>,
    /// Optional transitive attributes that we carry without interpreting them.
    pub carried: Vec<Carried>,
}

/// What route reflectors leave on a route (RFC 4456 section 8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Reflection {
    /// ORIGINATOR_ID: the BGP Identifier of the router in our AS that the route entered by.
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST: the clusters that the route was reflected by, the latest first.
    pub cluster_list: Vec<Ipv4Addr>,
}

/// An attribute that is passed on as it came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Carried {
    /// Type code.
    pub code: u8,
    /// True if some speaker on the way, we included, did not know it.
    pub partial: bool,
    /// Its value.
    pub value: Vec<u8>,
}

impl<F: Family> Attributes<F> {
    /// A route with the mandatory attributes and nothing else.
    pub fn new(next_hop: F::NextHop) -> Self {
        Self {
            origin: Origin::Igp,
            as_path: AsPath::default(),
            next_hop,
            med: None,
            local_pref: None,
            atomic_aggregate: false,
            aggregator: None,
            communities: Communities::default(),
            reflection: None,
            carried: Vec::new(),
        }
    }

    /// ORIGINATOR_ID, if there is one.
    pub fn originator_id(&self) -> Option<Ipv4Addr> {
        self.reflection.as_ref()?.originator_id
    }

    /// CLUSTER_LIST; empty if there is none.
    pub fn cluster_list(&self) -> &[Ipv4Addr] {
        self.reflection.as_ref().map_or(&[], |reflection| &reflection.cluster_list)
    }

    /// The attributes as they go to a peer, in ascending order of type code (section 5), but for MP_REACH_NLRI.
    pub(super) fn to_wire(&self, dialect: &Dialect) -> Box<[wire::PathAttribute]>
    where
        F: Spoken,
    {
        let mut out = Vec::with_capacity(8);
        let origin = match self.origin {
            Origin::Igp => wire::Origin::IGP,
            Origin::Egp => wire::Origin::EGP,
            Origin::Incomplete => wire::Origin::Incomplete,
        };
        out.push(well_known(Value::Origin(origin), false));
        let (path, long) = self.as_path.to_wire(dialect.four_octet_as);
        out.push(well_known(Value::AsPath(path), long));
        if let Some(next_hop) = F::next_hop_attribute(self.next_hop) {
            out.push(well_known(Value::NextHop(next_hop), false));
        }
        if let Some(med) = self.med {
            let value = Value::MultiExitDiscriminator(wire::MultiExitDiscriminator::new(med));
            out.push(attribute(OPTIONAL, false, value));
        }
        if let Some(preference) = self.local_pref {
            let value = wire::LocalPreference::new(preference);
            out.push(well_known(Value::LocalPreference(value), false));
        }
        if self.atomic_aggregate {
            let value = Value::AtomicAggregate(wire::AtomicAggregate);
            out.push(well_known(value, false));
        }
        let narrow = !dialect.four_octet_as;
        if let Some((asn, router)) = self.aggregator {
            let value = match narrow {
                true => wire::Aggregator::As2Aggregator(wire::As2Aggregator::new(
                    u16::try_from(asn).unwrap_or(AS_TRANS),
                    router,
                )),
                false => wire::Aggregator::As4Aggregator(wire::As4Aggregator::new(asn, router)),
            };
            out.push(attribute(OPTIONAL | TRANSITIVE, false, Value::Aggregator(value)));
        }
        self.communities_to_wire(&mut out);
        self.reflection_to_wire(&mut out);
        for carried in &self.carried {
            let partial = if carried.partial { PARTIAL } else { 0 };
            let value = wire::UnknownAttribute::new(carried.code, carried.value.as_slice());
            out.push(attribute(
                OPTIONAL | TRANSITIVE | partial,
                carried.value.len() > 255,
                Value::UnknownAttribute(value),
            ));
        }
        if narrow && self.as_path.is_wide() {
            let (path, long) = self.as_path.to_as4_wire();
            out.push(attribute(OPTIONAL | TRANSITIVE, long, Value::As4Path(path)));
        }
        if let Some((asn, router)) = self.aggregator
            && narrow
            && u16::try_from(asn).is_err()
        {
            // The library has no writer of AS4_AGGREGATOR apart from AGGREGATOR; its value is AS and router.
            let value = [asn.to_be_bytes(), router.octets()].concat();
            let value = wire::UnknownAttribute::new(code::AS4_AGGREGATOR, value);
            out.push(attribute(OPTIONAL | TRANSITIVE, false, Value::UnknownAttribute(value)));
        }
        out.sort_by_key(|attribute| match attribute.path_attribute_type() {
            Ok(known) => u8::from(known),
            Err(code) => code,
        });
        out.into()
    }

    fn communities_to_wire(&self, out: &mut Vec<wire::PathAttribute>) {
        let (standard, extended, large) =
            (self.communities.standard(), self.communities.extended(), self.communities.large());
        let partial = self.communities.partial().map(|partial| if partial { PARTIAL } else { 0 });
        let mut add = |kind: usize, octets: usize, value| {
            out.push(attribute(OPTIONAL | TRANSITIVE | partial[kind], octets > 255, value));
        };
        if !standard.is_empty() {
            let all: Vec<_> = standard.iter().map(|it| Community::new(it.0)).collect();
            add(0, 4 * all.len(), Value::Communities(wire::Communities::new(all)));
        }
        if !extended.is_empty() {
            // Octets, because the library's enumeration of their types need not know the one that passes through us.
            let octets = extended.iter().flat_map(|it| it.0).collect::<Vec<u8>>();
            let value = wire::UnknownAttribute::new(code::EXTENDED_COMMUNITIES, octets);
            add(1, 8 * extended.len(), Value::UnknownAttribute(value));
        }
        if !large.is_empty() {
            let all: Vec<_> = large.iter().map(|it| LargeCommunity::new(it.asn, it.first, it.second)).collect();
            add(2, 12 * all.len(), Value::LargeCommunities(wire::LargeCommunities::new(all)));
        }
    }

    fn reflection_to_wire(&self, out: &mut Vec<wire::PathAttribute>) {
        if let Some(originator) = self.originator_id() {
            out.push(attribute(OPTIONAL, false, Value::Originator(wire::Originator::new(originator))));
        }
        let clusters: Vec<_> = self.cluster_list().iter().copied().map(wire::ClusterId::new).collect();
        if !clusters.is_empty() {
            let long = 4 * clusters.len() > 255;
            out.push(attribute(OPTIONAL, long, Value::ClusterList(wire::ClusterList::new(clusters))));
        }
    }
}

/// What the two ends agreed on, as far as attributes look different for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// The session carries IPv4 unicast.
    pub ipv4_unicast: bool,
    /// The session carries IPv6 unicast, in attributes of its own (RFC 4760 section 8).
    pub ipv6_unicast: bool,
    /// AS numbers have four octets (RFC 6793 section 4.1).
    pub four_octet_as: bool,
    /// The peer's AS.
    pub remote_as: u32,
    /// Ours.
    pub local_as: u32,
    /// An external peer's AS must come first in AS_PATH (section 6.3: a check that a speaker may make).
    pub enforce_first_as: bool,
}

impl Dialect {
    /// What two current speakers agree on that are told nothing else: IPv4 unicast and AS numbers of four octets.
    pub const fn new(local_as: u32, remote_as: u32) -> Self {
        Self {
            ipv4_unicast: true,
            ipv6_unicast: false,
            four_octet_as: true,
            remote_as,
            local_as,
            enforce_first_as: true,
        }
    }

    /// True if the peer is in another AS.
    pub fn is_external(&self) -> bool {
        self.local_as != self.remote_as
    }
}

fn well_known(value: Value, long: bool) -> wire::PathAttribute {
    attribute(TRANSITIVE, long, value)
}

pub(super) fn attribute(flags: u8, long: bool, value: Value) -> wire::PathAttribute {
    let is = |bit| flags & bit != 0;
    wire::PathAttribute::from(is(OPTIONAL), is(TRANSITIVE), is(PARTIAL), long, value)
        .expect("flags that fit the attribute")
}
