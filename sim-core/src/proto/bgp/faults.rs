//! What becomes of an UPDATE in which something is wrong (RFC 7606): the milder ways than ending the session, and which
//! attribute takes which.
//!
//! ```text
//!  attribute discard < treat-as-withdraw < session reset      (section 2; the strongest of a message counts: 3 h)
//! ```
//!
//! Left out: "AFI/SAFI disable", of which section 2 says that it may be replaced by a session reset.

use super::notification::Notification;

/// Attribute type codes (RFC 4271 section 5 and the documents that added to it).
pub(super) mod code {
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const NEXT_HOP: u8 = 3;
    pub const MED: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const ATOMIC_AGGREGATE: u8 = 6;
    pub const AGGREGATOR: u8 = 7;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH_NLRI: u8 = 14;
    pub const MP_UNREACH_NLRI: u8 = 15;
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    pub const AS4_PATH: u8 = 17;
    pub const AS4_AGGREGATOR: u8 = 18;
    pub const LARGE_COMMUNITY: u8 = 32;
}

/// The ways, mildest first (RFC 7606 section 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Approach {
    /// The attribute is dropped and the UPDATE goes on.
    AttributeDiscard,
    /// The UPDATE's routes are taken for withdrawn, and the session stays.
    TreatAsWithdraw,
    /// The session ends with a NOTIFICATION.
    SessionReset,
}

impl Approach {
    /// What a malformed attribute of this type asks for (RFC 7606 section 7 unless said otherwise).
    pub const fn for_malformed(code: u8, external: bool) -> Self {
        match code {
            // 7.1 to 7.4, 7.8, 7.14; RFC 8092 section 6 says the same of large communities.
            code::ORIGIN
            | code::AS_PATH
            | code::NEXT_HOP
            | code::MED
            | code::COMMUNITIES
            | code::EXTENDED_COMMUNITIES
            | code::LARGE_COMMUNITY => Self::TreatAsWithdraw,
            // 7.5, 7.9 and 7.10: an external peer has no business with it.
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST if external => Self::AttributeDiscard,
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => Self::TreatAsWithdraw,
            // 7.6, 7.7; RFC 6793 section 6 says the same of the two others.
            code::ATOMIC_AGGREGATE | code::AGGREGATOR | code::AS4_PATH | code::AS4_AGGREGATOR => Self::AttributeDiscard,
            // 7.11, 7.12: what it is about cannot be told.
            code::MP_REACH_NLRI | code::MP_UNREACH_NLRI => Self::SessionReset,
            // Section 8: the default for an attribute of which nothing else is specified.
            0 | 11..=13 | 19..=31 | 33..=255 => Self::TreatAsWithdraw,
        }
    }
}

/// Something wrong in the attributes of an UPDATE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Type code of the attribute; 0 if the list itself is wrong.
    pub attribute: u8,
    /// What is done.
    pub approach: Approach,
    /// What RFC 4271 section 6.3 calls it. It is sent with a session reset only.
    pub notification: Notification,
}

impl Fault {
    /// A fault of an attribute that asks for this approach.
    pub(super) fn new(attribute: u8, approach: Approach, notification: Notification) -> Self {
        Self { attribute, approach, notification }
    }

    /// A fault of the list of attributes.
    pub(super) fn of_list(approach: Approach) -> Self {
        Self::new(0, approach, Notification::new(Notification::MALFORMED_ATTRIBUTES, []))
    }

    /// A mandatory attribute is missing (section 3 d).
    pub(super) fn missing(attribute: u8) -> Self {
        let notification = Notification::new(Notification::MISSING_ATTRIBUTE, [attribute]);
        Self::new(attribute, Approach::TreatAsWithdraw, notification)
    }
}

/// The strongest approach among faults (section 3 h).
pub(super) fn strongest(faults: &[Fault]) -> Option<&Fault> {
    // Of equal ones the first, whose NOTIFICATION is then the one that RFC 4271 would have sent.
    faults.iter().rev().max_by_key(|fault| fault.approach)
}
