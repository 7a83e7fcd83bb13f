//! From the octets of path attributes to their values: the walk that judges them (RFC 4271 section 6.3, RFC 7606).
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
//! codec library then reads the value of one attribute at a time.
//!
//! What is wrong is a [`Fault`] with the approach that RFC 7606 prescribes. Left out: confederations (RFC 5065: their
//! segments are malformed from anybody else).

use std::borrow::Cow;
use std::net::Ipv4Addr;

use netgauze_bgp_pkt::path_attribute as wire;
use netgauze_bgp_pkt::path_attribute::PathAttributeValue as Value;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;

use super::as_path::{AsPath, merge_as4};
use super::attributes::{Attributes, Carried, Dialect, EXTENDED, OPTIONAL, Origin, PARTIAL, Reflection, TRANSITIVE};
use super::communities::{Communities, Read};
use super::family::Family;
use super::faults::{Approach, Fault, code, strongest};
use super::multiprotocol::{self, Wrong};
use super::notification::Notification;
use super::open::{AS_TRANS, is_unicast_host};

/// The attributes of one UPDATE, while they are being read.
#[derive(Clone, Default)]
pub(super) struct Found {
    origin: Option<Origin>,
    as_path: Option<AsPath>,
    as4_path: Option<AsPath>,
    /// NEXT_HOP.
    pub next_hop: Option<Ipv4Addr>,
    /// MP_REACH_NLRI and MP_UNREACH_NLRI.
    pub multiprotocol: Option<Box<multiprotocol::Found>>,
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
    /// Reads the path attributes of an UPDATE, and notes what is wrong with them.
    pub fn read(bytes: &[u8], session: &Dialect, faults: &mut Vec<Fault>) -> Self {
        let mut found = Self::default();
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
        found
    }

    /// The attributes of a family's routes. `reachable` says that the UPDATE names some, which makes some attributes
    /// mandatory. The result is `None` if they are missing, or if the faults are more than attributes to discard.
    pub fn finish<F: Family>(
        self,
        session: &Dialect,
        next_hop: Option<F::NextHop>,
        reachable: bool,
        faults: &mut Vec<Fault>,
    ) -> Option<Attributes<F>> {
        match strongest(faults) {
            Some(Fault { approach: Approach::TreatAsWithdraw | Approach::SessionReset, .. }) => None,
            Some(Fault { approach: Approach::AttributeDiscard, .. }) | None => {
                self.complete::<F>(session, next_hop, reachable).unwrap_or_else(|fault| {
                    faults.push(fault);
                    None
                })
            }
        }
    }

    fn complete<F: Family>(
        mut self,
        session: &Dialect,
        next_hop: Option<F::NextHop>,
        reachable: bool,
    ) -> Result<Option<Attributes<F>>, Fault> {
        let (origin, as_path, next_hop) = match (self.origin, self.as_path.take(), next_hop) {
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
            // Of these RFC 7606 section 5.3 says that wrong flags make the NLRI incorrect.
            code::MP_REACH_NLRI | code::MP_UNREACH_NLRI if session.ipv6_unicast => OPTIONAL,
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
            code::MP_REACH_NLRI if session.ipv6_unicast => {
                let read = multiprotocol::read_reachable(self.value, &mut found.multiprotocol);
                return read.map_err(|wrong| self.multiprotocol(wrong));
            }
            code::MP_UNREACH_NLRI if session.ipv6_unicast => {
                let read = multiprotocol::read_unreachable(self.value, &mut found.multiprotocol);
                return read.map_err(|wrong| self.multiprotocol(wrong));
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

    /// RFC 4760 section 7 has one code for whatever is wrong with multiprotocol NLRI.
    fn multiprotocol(&self, wrong: Wrong) -> Fault {
        let approach = match wrong {
            Wrong::Syntax => Approach::SessionReset,
            Wrong::NextHop => Approach::TreatAsWithdraw,
        };
        Fault::new(self.code, approach, Notification::new(Notification::OPTIONAL_ATTRIBUTE, self.whole))
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
