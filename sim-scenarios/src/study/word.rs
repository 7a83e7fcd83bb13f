//! Words of the study language: choices that have a name each.

use sim_core::trace::SessionKind;

/// Which of several outages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// The longest.
    Longest,
    /// All together.
    Sum,
}

/// A quantile by nearest rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quantile {
    /// The smallest.
    Min,
    /// The median.
    P50,
    /// Nine of ten are no larger.
    P90,
    /// 99 of 100 are no larger.
    P99,
    /// The largest.
    Max,
}

/// Whose sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sessions {
    /// All but those that only watch: BGP, BFD, IKE and its CHILD_SAs, LACP, VRRP.
    Any,
    /// Of one protocol.
    Of(SessionKind),
}

/// How traffic is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// Packets.
    Packets,
    /// Octets of IP packets.
    Octets,
}

impl Sessions {
    /// Whether a session of this kind is meant.
    pub fn include(self, kind: SessionKind) -> bool {
        match self {
            Self::Any => kind != SessionKind::Track,
            Self::Of(one) => one == kind,
        }
    }
}
