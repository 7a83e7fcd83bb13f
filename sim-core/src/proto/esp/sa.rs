//! An SA of either protocol. A tunnel is one pair of them; which protocol it is was negotiated once for all.

use super::ah::{self, InboundAh, OutboundAh};
use super::{InboundSa, Opened, OutboundSa, Outer, ReplayWindow, Suite, tunnel_mtu};
use crate::packet::Packet;
use crate::reason::DropReason;

/// The two protocols of RFC 4301.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SaProtocol {
    /// Encryption and integrity (RFC 4303).
    Esp,
    /// Integrity, of the outer header too (RFC 4302).
    Ah,
}

impl SaProtocol {
    /// The longest inner packet whose sealed form fits `outer_mtu` octets; `None` if the path is too narrow for any.
    pub fn tunnel_mtu(self, outer_mtu: u16, suite: Suite, nat_t: bool) -> Option<u16> {
        match self {
            Self::Esp => tunnel_mtu(outer_mtu, suite, nat_t),
            Self::Ah => ah::tunnel_mtu(outer_mtu, suite.integrity()),
        }
    }
}

/// The sending side of an SA.
#[allow(clippy::large_enum_variant, reason = "nearly all are of ESP, and a packet reaches them without another fetch")]
#[derive(Clone, Debug)]
pub enum Outbound {
    /// Of ESP.
    Esp(OutboundSa),
    /// Of AH.
    Ah(Box<OutboundAh>),
}

impl Outbound {
    /// The Security Parameters Index.
    pub fn spi(&self) -> u32 {
        match self {
            Self::Esp(sa) => sa.spi(),
            Self::Ah(sa) => sa.spi(),
        }
    }

    /// The sequence number sent last; 0 before the first.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Esp(sa) => sa.sequence(),
            Self::Ah(sa) => sa.sequence(),
        }
    }

    /// True when the packet that was sealed last is the one after which the SA wants a successor.
    pub fn wants_successor(&self) -> bool {
        match self {
            Self::Esp(sa) => sa.wants_successor(),
            Self::Ah(sa) => sa.wants_successor(),
        }
    }

    /// The headers around sealed packets.
    pub fn outer(&self) -> &Outer {
        match self {
            Self::Esp(sa) => sa.outer(),
            Self::Ah(sa) => sa.outer(),
        }
    }

    /// The headers around sealed packets, to change.
    pub fn outer_mut(&mut self) -> &mut Outer {
        match self {
            Self::Esp(sa) => sa.outer_mut(),
            Self::Ah(sa) => sa.outer_mut(),
        }
    }

    /// The ICV of a packet that this SA sealed.
    pub fn icv<'p>(&self, sealed: &'p Packet) -> &'p [u8] {
        match self {
            Self::Esp(sa) => sa.icv(sealed),
            Self::Ah(sa) => sa.icv(sealed),
        }
    }

    /// Seals an IPv4 packet in place.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`] and [`OutboundAh::seal`].
    pub fn seal(&mut self, packet: &mut Packet) -> Result<(), DropReason> {
        match self {
            Self::Esp(sa) => sa.seal(packet),
            Self::Ah(sa) => sa.seal(packet),
        }
    }
}

/// The receiving side of an SA.
#[allow(clippy::large_enum_variant, reason = "as of the sending side")]
#[derive(Clone, Debug)]
pub enum Inbound {
    /// Of ESP.
    Esp(InboundSa),
    /// Of AH.
    Ah(Box<InboundAh>),
}

impl Inbound {
    /// Opens a sealed packet in place.
    ///
    /// # Errors
    /// Those of [`InboundSa::open`] and [`InboundAh::open`].
    pub fn open(&mut self, packet: &mut Packet) -> Result<Opened, DropReason> {
        match self {
            Self::Esp(sa) => sa.open(packet),
            Self::Ah(sa) => sa.open(packet),
        }
    }

    /// The window against replays.
    pub fn window(&self) -> &ReplayWindow {
        match self {
            Self::Esp(sa) => sa.window(),
            Self::Ah(sa) => sa.window(),
        }
    }

    /// Its protocol.
    pub fn protocol(&self) -> SaProtocol {
        match self {
            Self::Esp(_) => SaProtocol::Esp,
            Self::Ah(_) => SaProtocol::Ah,
        }
    }
}
