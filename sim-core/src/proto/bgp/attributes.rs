//! Path attributes (RFC 4271 sections 4.3 and 5): the values a route carries, the walk that judges them
//! (section 6.3) and the way back to the wire.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |O|T|P|E|0 0 0 0| Attr. Type    | Length (1 or, if E, 2 octets) | value ...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Every attribute is framed and judged here, because a NOTIFICATION returns the offending attribute as it came; the
//! codec library then reads the value of one attribute at a time. Attributes that we do not interpret stay octets.
//!
//! What is wrong is a [`Fault`] with the approach that RFC 7606 prescribes. Left out: confederations (RFC 5065: their
//! segments are malformed from anybody else), and multiprotocol NLRI, whose family we do not negotiate.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use netgauze_bgp_pkt::community::{Community, LargeCommunity};
use netgauze_bgp_pkt::path_attribute as wire;
use netgauze_bgp_pkt::path_attribute::PathAttributeValue as Value;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;

use super::as_path::{AsPath, merge_as4};
use super::communities::{Communities, Read};
use super::faults::{Approach, Fault, code, strongest};
use super::notification::Notification;
use super::open::{AS_TRANS, is_unicast_host};

const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const PARTIAL: u8 = 0x20;
const EXTENDED: u8 = 0x10;

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
pub struct Attributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH, already merged with AS4_PATH if the peer counts in two octets.
    pub as_path: AsPath,
    /// NEXT_HOP.
    pub next_hop: Ipv4Addr,
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

impl Attributes {
    /// A route with the mandatory attributes and nothing else.
    pub fn new(next_hop: Ipv4Addr) -> Self {
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

    /// Reads the path attributes of an UPDATE, and notes what is wrong with them. `reachable` says that NLRI follows,
    /// which makes some mandatory. The result is `None` if they are missing, or if the faults are more than attributes
    /// to discard.
    pub(super) fn parse(bytes: &[u8], session: &Dialect, reachable: bool, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut found = Found::default();
        let mut rest = bytes;
        let mut seen = [false; 256];
        while !rest.is_empty() {
            // RFC 7606 section 4: the attributes end where Total Path Attribute Length says, whatever the last one claims.
            let Some((attribute, after)) = Raw::split(rest) else {
                faults.push(Fault::of_list(Approach::TreatAsWithdraw));
                break;
            };
            rest = after;
            let twice = core::mem::replace(&mut seen[usize::from(attribute.code)], true);
            let judged = match twice {
                true => Err(attribute.duplicate()),
                false => attribute.check_flags(session).and_then(|()| attribute.read(session, &mut found)),
            };
            faults.extend(judged.err());
        }
        match strongest(faults) {
            Some(Fault { approach: Approach::TreatAsWithdraw | Approach::SessionReset, .. }) => None,
            Some(Fault { approach: Approach::AttributeDiscard, .. }) | None => {
                found.finish(session, reachable).unwrap_or_else(|fault| {
                    faults.push(fault);
                    None
                })
            }
        }
    }

    /// The attributes as they go to a peer, in ascending order of type code (section 5).
    pub(super) fn to_wire(&self, dialect: &Dialect) -> Box<[wire::PathAttribute]> {
        let mut out = Vec::with_capacity(8);
        let origin = match self.origin {
            Origin::Igp => wire::Origin::IGP,
            Origin::Egp => wire::Origin::EGP,
            Origin::Incomplete => wire::Origin::Incomplete,
        };
        out.push(well_known(Value::Origin(origin), false));
        let (path, long) = self.as_path.to_wire(dialect.four_octet_as);
        out.push(well_known(Value::AsPath(path), long));
        let next_hop = wire::NextHop::new(self.next_hop);
        out.push(well_known(Value::NextHop(next_hop), false));
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
    /// True if the peer is in another AS.
    pub fn is_external(&self) -> bool {
        self.local_as != self.remote_as
    }
}

fn well_known(value: Value, long: bool) -> wire::PathAttribute {
    attribute(TRANSITIVE, long, value)
}

fn attribute(flags: u8, long: bool, value: Value) -> wire::PathAttribute {
    let is = |bit| flags & bit != 0;
    wire::PathAttribute::from(is(OPTIONAL), is(TRANSITIVE), is(PARTIAL), long, value)
        .expect("flags that fit the attribute")
}

/// One attribute as it came.
#[derive(Clone, Copy)]
struct Raw<'a> {
    flags: u8,
    code: u8,
    value: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Raw<'a> {
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [flags, code, rest @ ..] = bytes else {
            return None;
        };
        let (length, rest) = match rest {
            [high, low, rest @ ..] if flags & EXTENDED != 0 => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            [length, rest @ ..] if flags & EXTENDED == 0 => (usize::from(*length), rest),
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        let raw = Self { flags: *flags, code: *code, value, whole: &bytes[..bytes.len() - after.len()] };
        Some((raw, after))
    }

    /// The attribute is malformed: what RFC 4271 calls it, and what RFC 7606 does about it.
    fn malformed(&self, session: &Dialect, codes: (u8, u8)) -> Fault {
        let approach = Approach::for_malformed(self.code, session.is_external());
        Fault::new(self.code, approach, Notification::new(codes, self.whole))
    }

    /// Section 3 g: the first of several counts, but of multiprotocol NLRI there must be one.
    fn duplicate(&self) -> Fault {
        let approach = match self.code {
            code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => Approach::SessionReset,
            _ => Approach::AttributeDiscard,
        };
        Fault { attribute: self.code, ..Fault::of_list(approach) }
    }

    /// RFC 4271 section 6.3: flags that conflict with the type code, and a well-known attribute that we do not know, of
    /// which RFC 7606 says nothing. Section 3 c: only the Optional and Transitive bits count.
    fn check_flags(&self, session: &Dialect) -> Result<(), Fault> {
        let expected = match self.code {
            code::ORIGIN..=code::NEXT_HOP | code::LOCAL_PREF | code::ATOMIC_AGGREGATE => TRANSITIVE,
            code::MED | code::ORIGINATOR_ID | code::CLUSTER_LIST => OPTIONAL,
            code::AGGREGATOR
            | code::COMMUNITIES
            | code::EXTENDED_COMMUNITIES
            | code::LARGE_COMMUNITY
            | code::AS4_PATH
            | code::AS4_AGGREGATOR => OPTIONAL | TRANSITIVE,
            _ if self.flags & OPTIONAL == 0 => {
                let notification = Notification::new(Notification::UNKNOWN_WELL_KNOWN, self.whole);
                return Err(Fault::new(self.code, Approach::SessionReset, notification));
            }
            _ => return Ok(()),
        };
        match self.flags & (OPTIONAL | TRANSITIVE) == expected {
            true => Ok(()),
            false => Err(self.malformed(session, Notification::ATTRIBUTE_FLAGS)),
        }
    }

    fn check_length(&self, session: &Dialect, length: usize) -> Result<(), Fault> {
        match length == self.value.len() {
            true => Ok(()),
            false => Err(self.malformed(session, Notification::ATTRIBUTE_LENGTH)),
        }
    }

    /// An attribute that is a list of values of this many octets. RFC 7606 sections 7.8, 7.10 and 7.14: at least one.
    fn check_multiple(&self, session: &Dialect, octets: usize) -> Result<(), Fault> {
        match !self.value.is_empty() && self.value.len().is_multiple_of(octets) {
            true => Ok(()),
            false => Err(self.malformed(session, Notification::OPTIONAL_ATTRIBUTE)),
        }
    }

    fn is_partial(&self) -> bool {
        self.flags & PARTIAL != 0
    }

    /// Judges length and value, and keeps what was read.
    fn read(&self, session: &Dialect, found: &mut Found) -> Result<(), Fault> {
        let aggregator_length = if session.four_octet_as { 8 } else { 6 };
        match self.code {
            code::ORIGIN => self.check_length(session, 1)?,
            code::NEXT_HOP | code::MED | code::LOCAL_PREF => self.check_length(session, 4)?,
            code::ATOMIC_AGGREGATE => self.check_length(session, 0)?,
            code::AGGREGATOR => self.check_length(session, aggregator_length)?,
            code::AS_PATH | code::AS4_PATH => {}
            // RFC 4456 section 8 keeps both within an AS: from outside they mean nothing.
            code::ORIGINATOR_ID | code::CLUSTER_LIST if session.is_external() => return Ok(()),
            code::ORIGINATOR_ID => self.check_length(session, 4)?,
            code::CLUSTER_LIST | code::COMMUNITIES => self.check_multiple(session, 4)?,
            code::LARGE_COMMUNITY => self.check_multiple(session, 12)?,
            code::EXTENDED_COMMUNITIES => {
                self.check_multiple(session, 8)?;
                found.communities.take(Read::Extended(self.value), self.is_partial());
                return Ok(());
            }
            code::AS4_AGGREGATOR => {
                if let &[a, b, c, d, e, f, g, h] = self.value {
                    let asn = u32::from_be_bytes([a, b, c, d]);
                    found.as4_aggregator = Some((asn, Ipv4Addr::new(e, f, g, h)));
                    return Ok(());
                }
                return Err(self.malformed(session, Notification::OPTIONAL_ATTRIBUTE));
            }
            _ => {
                self.carry(found);
                return Ok(());
            }
        }
        let mut context = BgpParsingContext::default();
        context.set_asn4(session.four_octet_as);
        // The library would refuse the Partial bit where section 3 c does not look at it.
        let whole = match self.flags & PARTIAL {
            0 => Cow::Borrowed(self.whole),
            _ => Cow::Owned([&[self.flags & !PARTIAL], &self.whole[1..]].concat()),
        };
        let parsed = wire::PathAttribute::parse(&mut SliceReader::new(&whole), &mut context);
        match (parsed.as_ref().map(wire::PathAttribute::value), self.code) {
            (Ok(value), _) => self.keep(session, value, found),
            (Err(_), code::ORIGIN) => Err(self.malformed(session, Notification::BAD_ORIGIN)),
            (Err(_), code::AS_PATH) => Err(malformed_path(code::AS_PATH)),
            (Err(_), _) => Err(self.malformed(session, Notification::OPTIONAL_ATTRIBUTE)),
        }
    }

    fn keep(&self, session: &Dialect, value: &Value, found: &mut Found) -> Result<(), Fault> {
        match value {
            Value::Origin(origin) => {
                found.origin = Some(match origin {
                    wire::Origin::IGP => Origin::Igp,
                    wire::Origin::EGP => Origin::Egp,
                    wire::Origin::Incomplete => Origin::Incomplete,
                });
            }
            Value::AsPath(path) => {
                let path = AsPath::from_wire(path);
                // RFC 7607: AS 0 makes it malformed.
                if path.contains(0) {
                    return Err(malformed_path(code::AS_PATH));
                }
                found.as_path = Some(path);
            }
            Value::As4Path(path) => {
                let path = AsPath::from_segments(path.segments());
                if path.contains(0) {
                    return Err(malformed_path(code::AS4_PATH));
                }
                found.as4_path = Some(path);
            }
            Value::NextHop(next_hop) if is_unicast_host(next_hop.next_hop()) => {
                found.next_hop = Some(next_hop.next_hop());
            }
            Value::NextHop(_) => return Err(self.malformed(session, Notification::BAD_NEXT_HOP)),
            Value::MultiExitDiscriminator(med) => found.med = Some(med.metric()),
            Value::LocalPreference(preference) => found.local_pref = Some(preference.metric()),
            Value::AtomicAggregate(_) => found.atomic_aggregate = true,
            Value::Aggregator(aggregator) => {
                let by = match aggregator {
                    wire::Aggregator::As2Aggregator(by) => (u32::from(*by.asn()), by.origin()),
                    wire::Aggregator::As4Aggregator(by) => (*by.asn(), by.origin()),
                };
                // RFC 7607 section 2.
                if by.0 == 0 {
                    return Err(self.malformed(session, Notification::OPTIONAL_ATTRIBUTE));
                }
                found.aggregator = Some(by);
            }
            Value::Communities(all) => found.communities.take(Read::Standard(all.communities()), self.is_partial()),
            Value::LargeCommunities(all) => found.communities.take(Read::Large(all.communities()), self.is_partial()),
            Value::Originator(originator) => {
                found.reflection.get_or_insert_default().originator_id = Some(originator.id());
            }
            Value::ClusterList(list) => {
                let clusters = list.cluster_list().iter().map(wire::ClusterId::id).collect();
                found.reflection.get_or_insert_default().cluster_list = clusters;
            }
            // `read` gives the library no other type code.
            _ => {}
        }
        Ok(())
    }

    /// Sections 5 and 9: transitive ones are passed on, marked Partial if we do not know them; others end here.
    fn carry(&self, found: &mut Found) {
        if self.flags & TRANSITIVE == 0 {
            return;
        }
        found.carried.push(Carried { code: self.code, partial: true, value: self.value.to_vec() });
    }
}

/// Malformed AS_PATH, which RFC 4271 reports without data; AS4_PATH has no code of its own.
fn malformed_path(attribute: u8) -> Fault {
    let approach = Approach::for_malformed(attribute, true);
    Fault::new(attribute, approach, Notification::new(Notification::MALFORMED_AS_PATH, []))
}

/// The attributes of one UPDATE, while they are being read.
#[derive(Default)]
struct Found {
    origin: Option<Origin>,
    as_path: Option<AsPath>,
    as4_path: Option<AsPath>,
    next_hop: Option<Ipv4Addr>,
    med: Option<u32>,
    local_pref: Option<u32>,
    atomic_aggregate: bool,
    aggregator: Option<(u32, Ipv4Addr)>,
    as4_aggregator: Option<(u32, Ipv4Addr)>,
    communities: Communities,
    reflection: Option<Box<Reflection>>,
    carried: Vec<Carried>,
}

impl Found {
    fn finish(mut self, session: &Dialect, reachable: bool) -> Result<Option<Attributes>, Fault> {
        let (origin, as_path, next_hop) = match (self.origin, self.as_path.take(), self.next_hop) {
            (Some(origin), Some(as_path), Some(next_hop)) => (origin, as_path, next_hop),
            _ if !reachable => return Ok(None),
            (None, _, _) => return Err(Fault::missing(code::ORIGIN)),
            (_, None, _) => return Err(Fault::missing(code::AS_PATH)),
            (_, _, None) => return Err(Fault::missing(code::NEXT_HOP)),
        };
        let external = session.is_external();
        if !external && reachable && self.local_pref.is_none() {
            return Err(Fault::missing(code::LOCAL_PREF));
        }
        // Every current speaker makes this check unless told otherwise, as a route server's peers are.
        if external && session.enforce_first_as && as_path.first() != Some(session.remote_as) {
            let two_octet_trans = !session.four_octet_as && session.remote_as > 0xffff;
            if !(two_octet_trans && as_path.first() == Some(u32::from(AS_TRANS))) {
                return Err(malformed_path(code::AS_PATH));
            }
        }
        let (as_path, aggregator) = match session.four_octet_as {
            // RFC 6793 section 4.1: between new speakers the AS4 attributes are discarded.
            true => (as_path, self.aggregator),
            false => self.widen(as_path),
        };
        Ok(Some(Attributes {
            origin,
            as_path,
            next_hop,
            med: self.med,
            // Section 5.1.5: ignored if it comes from an external peer.
            local_pref: self.local_pref.filter(|_| !external),
            atomic_aggregate: self.atomic_aggregate,
            aggregator,
            communities: self.communities,
            reflection: self.reflection,
            carried: self.carried,
        }))
    }

    /// RFC 6793 section 4.2.3: what an old speaker's two octets hid.
    fn widen(&mut self, as_path: AsPath) -> (AsPath, Option<(u32, Ipv4Addr)>) {
        match (self.aggregator, self.as4_aggregator) {
            // An old speaker aggregated after the AS4 attributes were made: both are stale.
            (Some((asn, _)), Some(_)) if asn != u32::from(AS_TRANS) => (as_path, self.aggregator),
            (aggregator, as4) => {
                let aggregator = aggregator.map(|narrow| as4.unwrap_or(narrow));
                (merge_as4(as_path, self.as4_path.take()), aggregator)
            }
        }
    }
}
