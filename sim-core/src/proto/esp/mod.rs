//! ESP in tunnel mode: IPv4 or IPv6 in either, plain or in UDP (RFC 4303, RFC 4301, RFC 3948).
//!
//! An SA carries one family, the one of its traffic selectors: what is of the other is outside of them (RFC 4301 section 5).
//!
//! ```text
//! |  outer IP  | UDP, behind a NAT | SPI, Seq | IV | inner packet      | padding, trailer | ICV |
//!                                                  |<------------ encrypted ------------->|
//!                                  |<------------------ authenticated ------------------->|
//! ```
//!
//! An SA is one direction. [`OutboundSa::seal`] wraps a packet in place in its head- and tailroom,
//! [`InboundSa::open`] takes everything off again; neither allocates. An SA has no timers: IKE makes, rekeys
//! and deletes it.
//!
//! [`ah`] is the other protocol of RFC 4301: it authenticates the outer header too, and encrypts nothing.
//!
//! Left out, with the section that describes it: transport mode (RFC 4303 section 3.1.1), re-synchronisation after more
//! than 2^32 packets were lost (appendix A3), lifetimes in octets (RFC 4301 section 4.4.2.1), multiple or port selectors
//! in the SA (4.4.1.1), and the drop of packets that met congestion without being ECN-capable (RFC 6040 section 4.2; they
//! pass unmarked, RFC 4301 note 6).

pub mod ah;
mod inbound;
mod mtu;
mod outbound;
mod replay;
mod sa;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

pub use crate::crypto::suite::{Encryption, Integrity, Suite};
pub use inbound::{InboundSa, Opened};
pub use mtu::{tunnel_mss, tunnel_mss_v6, tunnel_mtu};
pub use outbound::{DfBit, OutboundSa, Outer};
pub use replay::ReplayWindow;
pub use sa::{Inbound, Outbound, SaProtocol};

use crate::crypto::Secret;

/// How many packets an SA sends. A sender never lets its counter wrap (RFC 4303 section 3.3.3), so a successor must be there
/// before the last number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// After so many packets IKE is asked for a successor; 0: never.
    pub rekey: u64,
    /// After so many packets the SA sends no more; the end of the number space, if that comes first.
    pub last: u64,
}

impl Default for Limits {
    /// Rekeying after three quarters of 2^32 packets (assumed; hours at the greatest rate of a tunnel), and no end before that of
    /// the number space. An SA with extended sequence numbers has its whole number space by [`Limits::extended`].
    fn default() -> Self {
        Self { rekey: 3 << 30, last: u64::MAX }
    }
}

impl Limits {
    /// Of an SA with extended sequence numbers: rekeying after three quarters of 2^64 packets.
    pub const fn extended() -> Self {
        Self { rekey: 3 << 62, last: u64::MAX }
    }

    fn last(self, extended: bool) -> u64 {
        if extended { self.last } else { self.last.min(u32::MAX as u64) }
    }
}

/// The keys of one SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaKeys {
    /// The cipher's key, with its salt behind it (RFC 4106 section 8.1).
    pub encryption: Secret,
    /// The integrity algorithm's key; empty with an AEAD.
    pub integrity: Secret,
}

/// The keys of both SAs of a CHILD_SA, as both ends cut them from KEYMAT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildKeys {
    /// From the initiator of the exchange that made the CHILD_SA to its responder.
    pub initiator_to_responder: SaKeys,
    /// The other way.
    pub responder_to_initiator: SaKeys,
}

impl ChildKeys {
    /// Octets of KEYMAT that a CHILD_SA with this suite takes.
    pub const fn keymat_len(suite: Suite) -> usize {
        2 * (suite.encryption().keymat_len() + suite.integrity().key_len())
    }

    /// Cuts KEYMAT: all keys of the initiator's direction first, and in a direction the encryption key before the
    /// integrity key (RFC 7296 section 2.17).
    ///
    /// # Panics
    /// If `keymat` has not [`ChildKeys::keymat_len`] octets.
    pub fn split(suite: Suite, keymat: &[u8]) -> Self {
        assert_eq!(keymat.len(), Self::keymat_len(suite));
        let direction = |keymat: &[u8]| {
            let (encryption, integrity) = keymat.split_at(suite.encryption().keymat_len());
            SaKeys { encryption: encryption.into(), integrity: integrity.into() }
        };
        let (initiator, responder) = keymat.split_at(keymat.len() / 2);
        Self { initiator_to_responder: direction(initiator), responder_to_initiator: direction(responder) }
    }
}

/// Which inner packets an SA of IPv4 carries: its traffic selectors, as far as addresses go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selectors {
    /// Source addresses of inner packets.
    pub src: RangeInclusive<Ipv4Addr>,
    /// Destination addresses of inner packets.
    pub dst: RangeInclusive<Ipv4Addr>,
}

impl Selectors {
    /// True if a packet between these addresses belongs to the SA.
    pub fn contain(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        self.src.contains(&src) && self.dst.contains(&dst)
    }
}
