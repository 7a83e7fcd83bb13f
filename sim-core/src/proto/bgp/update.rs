//! The UPDATE message (RFC 4271 section 4.3): reading it, and packing many prefixes that share their attributes.
//!
//! ```text
//! +-----------------------------------------------------+
//! |   Withdrawn Routes Length (2 octets)                |
//! +-----------------------------------------------------+
//! |   Withdrawn Routes (variable)                       |
//! +-----------------------------------------------------+
//! |   Total Path Attribute Length (2 octets)            |
//! +-----------------------------------------------------+
//! |   Path Attributes (variable)                        |
//! +-----------------------------------------------------+
//! |   Network Layer Reachability Information (variable) |
//! +-----------------------------------------------------+
//! ```

use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress};
use netgauze_bgp_pkt::path_attribute::PathAttribute;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu as _;

use super::attributes::{Attributes, Dialect};
use super::family::{Family, Spoken};
use super::faults::{Approach, Fault, strongest};
use super::message::{HEADER, MAX_MESSAGE, MessageType, emit};
use super::notification::Notification;
use super::walk::Found;

/// Room for withdrawn routes, attributes and NLRI together.
const ROOM: usize = MAX_MESSAGE - HEADER - 4;

/// What an UPDATE says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// Of IPv4 unicast, in the fields of the message.
    pub ipv4: Said<Ipv4Net>,
    /// Of IPv6 unicast, in MP_REACH_NLRI and MP_UNREACH_NLRI, if it has one of them.
    pub ipv6: Option<Box<Said<Ipv6Net>>>,
    /// What is wrong with the attributes, in the order in which it was found.
    pub faults: Vec<Fault>,
}

/// What an UPDATE says of one family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said<F: Family> {
    /// Routes that are no more.
    pub withdrawn: Vec<F>,
    /// Routes that now have [`Said::attributes`].
    pub reachable: Vec<F>,
    /// Always there if anything is reachable.
    pub attributes: Option<Attributes<F>>,
    /// Those in their place, once a speaker has a copy that it shares.
    pub shared: Option<Arc<Attributes<F>>>,
    /// Routes that are treated as withdrawn, because something is wrong with their attributes (RFC 7606).
    pub treated_as_withdrawn: Vec<F>,
    /// Prefixes that are no unicast networks: section 6.3 wants them ignored.
    pub ignored: Vec<F>,
    /// True if it says nothing at all, which is the End-of-RIB of the family (RFC 4724 section 2).
    pub end_of_rib: bool,
}

impl<F: Family> Default for Said<F> {
    fn default() -> Self {
        Self {
            withdrawn: Vec::new(),
            reachable: Vec::new(),
            attributes: None,
            shared: None,
            treated_as_withdrawn: Vec::new(),
            ignored: Vec::new(),
            end_of_rib: false,
        }
    }
}

/// The prefixes of one family in one UPDATE message, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prefixes<F: Family = Ipv4Net> {
    /// Those in Withdrawn Routes.
    pub withdrawn: Vec<F>,
    /// Those in Network Layer Reachability Information.
    pub announced: Vec<F>,
    /// What a message that arrived says of those.
    pub attributes: Option<Arc<Attributes<F>>>,
}

/// The prefixes of both families in one UPDATE.
pub(super) type Told = (Option<Box<Prefixes>>, Option<Box<Prefixes<Ipv6Net>>>);

impl<F: Family> Default for Prefixes<F> {
    fn default() -> Self {
        Self { withdrawn: Vec::new(), announced: Vec::new(), attributes: None }
    }
}

impl<F: Family> Said<F> {
    /// The prefixes that it is about, but for those that are ignored.
    pub fn prefixes(&self) -> Prefixes<F> {
        let announced = [&self.reachable[..], &self.treated_as_withdrawn].concat();
        Prefixes { withdrawn: self.withdrawn.clone(), announced, attributes: self.shared.clone() }
    }

    /// True if it says of any route what its attributes are.
    fn names_routes(&self) -> bool {
        !self.reachable.is_empty() || !self.ignored.is_empty()
    }

    fn treat_as_withdrawn(&mut self) {
        self.treated_as_withdrawn = core::mem::take(&mut self.reachable);
    }
}

impl Update {
    /// True if it is the End-of-RIB of a family.
    pub fn ends_a_rib(&self) -> bool {
        self.ipv4.end_of_rib || self.ipv6.as_ref().is_some_and(|said| said.end_of_rib)
    }

    /// The prefixes that it is about. Of IPv4 there is something to say unless it is all about IPv6.
    pub(super) fn told(&self) -> Told {
        let ipv4 = self.ipv4.prefixes();
        let empty = ipv4.withdrawn.is_empty() && ipv4.announced.is_empty();
        let ipv6 = self.ipv6.as_ref().map(|said| Box::new(said.prefixes()));
        ((!empty || ipv6.is_none()).then(|| Box::new(ipv4)), ipv6)
    }

    /// Reads the body of an UPDATE.
    ///
    /// # Errors
    /// The NOTIFICATION that section 6.3 prescribes, if nothing milder will do (RFC 7606).
    pub fn parse(body: &[u8], dialect: &Dialect) -> Result<Self, Notification> {
        let malformed = || Notification::new(Notification::MALFORMED_ATTRIBUTES, []);
        let (withdrawn, rest) = counted(body).ok_or_else(malformed)?;
        let (attributes, reachable) = counted(rest).ok_or_else(malformed)?;
        let mut update = Self::default();
        update.ipv4.end_of_rib = withdrawn.is_empty() && attributes.is_empty() && reachable.is_empty();
        read_prefixes(withdrawn, &mut update.ipv4.withdrawn, None)?;
        let mut found = Found::read(attributes, dialect, &mut update.faults);
        if let Some(mut multiprotocol) = found.multiprotocol.take() {
            // End-of-RIB is MP_UNREACH_NLRI alone: six octets, or seven with the long form of its length, and no two
            // attributes are as short as that.
            multiprotocol.said.end_of_rib &= withdrawn.is_empty() && reachable.is_empty() && attributes.len() <= 7;
            if let Some(next_hop) = multiprotocol.next_hop {
                let common = match reachable.is_empty() {
                    true => core::mem::take(&mut found),
                    false => found.clone(),
                };
                multiprotocol.said.attributes =
                    common.finish(dialect, Some(next_hop), multiprotocol.said.names_routes(), &mut update.faults);
            }
            update.ipv6 = Some(Box::new(multiprotocol.said));
        }
        let next_hop = found.next_hop;
        update.ipv4.attributes = found.finish(dialect, next_hop, !reachable.is_empty(), &mut update.faults);
        read_prefixes(reachable, &mut update.ipv4.reachable, Some(&mut update.ipv4.ignored))?;
        let nothing_reachable = reachable.is_empty() && !update.ipv6.as_ref().is_some_and(|said| said.names_routes());
        match strongest(&update.faults) {
            Some(fault) if fault.approach == Approach::SessionReset => return Err(fault.notification.clone()),
            // RFC 7606 section 5.2: where nothing is reachable, the NLRI may be what was misread.
            Some(fault) if fault.approach == Approach::TreatAsWithdraw && nothing_reachable => {
                return Err(fault.notification.clone());
            }
            Some(fault) if fault.approach == Approach::TreatAsWithdraw => {
                update.ipv4.treat_as_withdrawn();
                update.ipv6.iter_mut().for_each(|said| said.treat_as_withdrawn());
            }
            Some(_) | None => {}
        }
        Ok(update)
    }
}

/// A field behind its length of two octets, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

pub(super) fn read_prefixes<F: Spoken>(
    bytes: &[u8],
    unicast: &mut Vec<F>,
    mut others: Option<&mut Vec<F>>,
) -> Result<(), Notification> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (prefix, after) =
            split_prefix::<F>(rest).ok_or_else(|| Notification::new(Notification::BAD_NETWORK, []))?;
        rest = after;
        match prefix.is_unicast() {
            true => unicast.push(prefix),
            false => others.iter_mut().for_each(|others| others.push(prefix)),
        }
    }
    Ok(())
}

/// The first prefix of NLRI, its length in bits and then as few octets as hold them, and what follows. Section 4.3: the bits
/// after the prefix are irrelevant.
fn split_prefix<F: Spoken>(bytes: &[u8]) -> Option<(F, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (octets, rest) = rest.split_at_checked(usize::from(length.div_ceil(8)))?;
    Some((F::from_octets(length, octets)?, rest))
}

/// Octets that a prefix takes in NLRI.
pub(super) fn nlri_length<F: Family>(prefix: F) -> usize {
    1 + usize::from(prefix.prefix_len().div_ceil(8))
}

fn nlri(prefixes: &[Ipv4Net]) -> Box<[Ipv4UnicastAddress]> {
    let address = |&prefix| {
        let network = Ipv4Unicast::from_net(prefix).ok()?;
        Some(Ipv4UnicastAddress::new_no_path_id(network))
    };
    prefixes.iter().filter_map(address).collect()
}

pub(super) fn emit_update(update: &BgpUpdateMessage) -> Vec<u8> {
    emit(MessageType::Update, |out| {
        update.write(out).expect("writing to memory cannot fail");
    })
}

/// The UPDATE that announces prefixes of IPv4.
pub(super) fn announcement(attributes: &[PathAttribute], prefixes: &[Ipv4Net]) -> Vec<u8> {
    emit_update(&BgpUpdateMessage::new([], attributes, nlri(prefixes)))
}

/// The UPDATE that withdraws prefixes of IPv4; of none, it says nothing and is the End-of-RIB of IPv4 unicast.
pub(super) fn withdrawal(prefixes: &[Ipv4Net]) -> Vec<u8> {
    emit_update(&BgpUpdateMessage::new(nlri(prefixes), [], []))
}

/// The UPDATEs that announce `prefixes` with these attributes, as few as fit. None if the attributes alone are too
/// long for a message, as section 9.2 has it.
pub(super) fn announce<F: Spoken>(
    attributes: &Attributes<F>,
    dialect: &Dialect,
    prefixes: &[F],
    mut send: impl FnMut(Vec<u8>, Prefixes<F>),
) {
    let next_hop = attributes.next_hop;
    let attributes = attributes.to_wire(dialect);
    let length: usize = attributes.iter().map(|attribute| attribute.len()).sum();
    let Some(room) = ROOM.checked_sub(length + F::overhead(Some(next_hop))) else {
        return;
    };
    for part in parts(prefixes, room) {
        let bytes = F::announcement(&attributes, next_hop, part);
        send(bytes, Prefixes { announced: part.to_vec(), ..Prefixes::default() });
    }
}

/// The UPDATEs that withdraw `prefixes`, as few as fit.
pub(super) fn withdraw<F: Spoken>(prefixes: &[F], mut send: impl FnMut(Vec<u8>, Prefixes<F>)) {
    for part in parts(prefixes, ROOM - F::overhead(None)) {
        send(F::withdrawal(part), Prefixes { withdrawn: part.to_vec(), ..Prefixes::default() });
    }
}

/// End-of-RIB: the UPDATE that withdraws nothing.
pub(super) fn end_of_rib<F: Spoken>() -> Vec<u8> {
    F::withdrawal(&[])
}

/// Cuts `prefixes` into parts whose NLRI is at most `room` octets; nothing if not even one fits.
fn parts<F: Family>(mut prefixes: &[F], room: usize) -> impl Iterator<Item = &[F]> {
    core::iter::from_fn(move || {
        let mut used = 0;
        let fitting = prefixes
            .iter()
            .take_while(|&&prefix| {
                used += nlri_length(prefix);
                used <= room
            })
            .count();
        let (part, rest) = prefixes.split_at(fitting);
        prefixes = rest;
        (!part.is_empty()).then_some(part)
    })
}
