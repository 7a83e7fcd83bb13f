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

use ipnet::Ipv4Net;
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu as _;

use super::attributes::{Attributes, Dialect};
use super::faults::{Approach, Fault, strongest};
use super::message::{HEADER, MAX_MESSAGE, MessageType, emit};
use super::notification::Notification;

/// Room for withdrawn routes, attributes and NLRI together.
const ROOM: usize = MAX_MESSAGE - HEADER - 4;

/// What an UPDATE says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Update {
    /// Routes that are no more.
    pub withdrawn: Vec<Ipv4Net>,
    /// Routes that now have [`Update::attributes`].
    pub reachable: Vec<Ipv4Net>,
    /// Always there if anything is reachable.
    pub attributes: Option<Attributes>,
    /// Those in their place, once a speaker has a copy that it shares.
    pub shared: Option<Arc<Attributes>>,
    /// Routes that are treated as withdrawn, because something is wrong with their attributes (RFC 7606).
    pub treated_as_withdrawn: Vec<Ipv4Net>,
    /// What is wrong with the attributes, in the order in which it was found.
    pub faults: Vec<Fault>,
    /// Prefixes that are no unicast networks: section 6.3 wants them ignored.
    pub ignored: Vec<Ipv4Net>,
    /// True if it says nothing at all, which is the End-of-RIB of IPv4 unicast (RFC 4724 section 2).
    pub end_of_rib: bool,
}

/// The prefixes of one UPDATE message, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefixes {
    /// Those in Withdrawn Routes.
    pub withdrawn: Vec<Ipv4Net>,
    /// Those in Network Layer Reachability Information.
    pub announced: Vec<Ipv4Net>,
    /// What a message that arrived says of those.
    pub attributes: Option<Arc<Attributes>>,
}

impl Update {
    /// The prefixes that it is about, but for those that are ignored.
    pub fn prefixes(&self) -> Prefixes {
        let announced = [&self.reachable[..], &self.treated_as_withdrawn].concat();
        Prefixes { withdrawn: self.withdrawn.clone(), announced, attributes: self.shared.clone() }
    }

    /// Reads the body of an UPDATE.
    ///
    /// # Errors
    /// The NOTIFICATION that section 6.3 prescribes, if nothing milder will do (RFC 7606).
    pub fn parse(body: &[u8], dialect: &Dialect) -> Result<Self, Notification> {
        let malformed = || Notification::new(Notification::MALFORMED_ATTRIBUTES, []);
        let (withdrawn, rest) = counted(body).ok_or_else(malformed)?;
        let (attributes, reachable) = counted(rest).ok_or_else(malformed)?;
        let mut update = Self {
            end_of_rib: withdrawn.is_empty() && attributes.is_empty() && reachable.is_empty(),
            ..Self::default()
        };
        read_prefixes(withdrawn, &mut update.withdrawn, None)?;
        update.attributes = Attributes::parse(attributes, dialect, !reachable.is_empty(), &mut update.faults);
        read_prefixes(reachable, &mut update.reachable, Some(&mut update.ignored))?;
        match strongest(&update.faults) {
            Some(fault) if fault.approach == Approach::SessionReset => return Err(fault.notification.clone()),
            // RFC 7606 section 5.2: where nothing is reachable, the NLRI may be what was misread.
            Some(fault) if fault.approach == Approach::TreatAsWithdraw && reachable.is_empty() => {
                return Err(fault.notification.clone());
            }
            Some(fault) if fault.approach == Approach::TreatAsWithdraw => {
                update.treated_as_withdrawn = core::mem::take(&mut update.reachable);
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

fn read_prefixes(
    bytes: &[u8],
    unicast: &mut Vec<Ipv4Net>,
    mut others: Option<&mut Vec<Ipv4Net>>,
) -> Result<(), Notification> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (prefix, after) = split_prefix(rest).ok_or_else(|| Notification::new(Notification::BAD_NETWORK, []))?;
        rest = after;
        match is_unicast(prefix) {
            true => unicast.push(prefix),
            false => others.iter_mut().for_each(|others| others.push(prefix)),
        }
    }
    Ok(())
}

/// The first prefix of NLRI, its length in bits and then as few octets as hold them, and what follows.
fn split_prefix(bytes: &[u8]) -> Option<(Ipv4Net, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (octets, rest) = rest.split_at_checked(usize::from(length.div_ceil(8)))?;
    let mut address = [0; 4];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    // Section 4.3: the bits after the prefix are irrelevant.
    Some((Ipv4Net::new(address.into(), length).ok()?.trunc(), rest))
}

/// Neither multicast nor class E.
pub(super) fn is_unicast(prefix: Ipv4Net) -> bool {
    prefix.network().octets()[0] < 224
}

/// Octets that a prefix takes in NLRI.
fn nlri_length(prefix: Ipv4Net) -> usize {
    1 + usize::from(prefix.prefix_len().div_ceil(8))
}

fn nlri(prefixes: &[Ipv4Net]) -> Box<[Ipv4UnicastAddress]> {
    let address = |&prefix| {
        let network = Ipv4Unicast::from_net(prefix).ok()?;
        Some(Ipv4UnicastAddress::new_no_path_id(network))
    };
    prefixes.iter().filter_map(address).collect()
}

fn emit_update(update: &BgpUpdateMessage) -> Vec<u8> {
    emit(MessageType::Update, |out| {
        update.write(out).expect("writing to memory cannot fail");
    })
}

/// The UPDATEs that announce `prefixes` with these attributes, as few as fit. None if the attributes alone are too
/// long for a message, as section 9.2 has it.
pub(super) fn announce(
    attributes: &Attributes,
    dialect: &Dialect,
    prefixes: &[Ipv4Net],
    mut send: impl FnMut(Vec<u8>, Prefixes),
) {
    let attributes = attributes.to_wire(dialect);
    let length: usize = attributes.iter().map(|attribute| attribute.len()).sum();
    let Some(room) = ROOM.checked_sub(length) else {
        return;
    };
    for part in parts(prefixes, room) {
        let bytes = emit_update(&BgpUpdateMessage::new([], attributes.clone(), nlri(part)));
        send(bytes, Prefixes { announced: part.to_vec(), ..Prefixes::default() });
    }
}

/// The UPDATEs that withdraw `prefixes`, as few as fit.
pub(super) fn withdraw(prefixes: &[Ipv4Net], mut send: impl FnMut(Vec<u8>, Prefixes)) {
    for part in parts(prefixes, ROOM) {
        let bytes = emit_update(&BgpUpdateMessage::new(nlri(part), [], []));
        send(bytes, Prefixes { withdrawn: part.to_vec(), ..Prefixes::default() });
    }
}

/// End-of-RIB: the UPDATE that says nothing.
pub(super) fn end_of_rib() -> Vec<u8> {
    emit_update(&BgpUpdateMessage::new([], [], []))
}

/// Cuts `prefixes` into parts whose NLRI is at most `room` octets; nothing if not even one fits.
fn parts(mut prefixes: &[Ipv4Net], room: usize) -> impl Iterator<Item = &[Ipv4Net]> {
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
