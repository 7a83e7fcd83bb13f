//! Drops: counted by place and reason, and remembered one by one where a session waited for the packet.

use super::Way;
use crate::id::{LinkId, NodeId, PacketId, RecordId};
use crate::reason::DropReason;
use crate::time::Instant;

/// Where a packet died.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// In a device.
    Node(NodeId),
    /// On a link, in this direction.
    Link(LinkId, Way),
}

/// What drops are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DropKey {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: DropReason,
}

/// How many packets were dropped at one place for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DropCount {
    /// Packets.
    pub packets: u64,
    /// Octets, IP header included.
    pub bytes: u64,
    /// The first of them.
    pub first: Instant,
    /// The last of them.
    pub last: Instant,
}

impl DropCount {
    pub(super) const fn starting(at: Instant) -> Self {
        Self { packets: 0, bytes: 0, first: at, last: at }
    }
}

/// A dropped packet that a session's peer waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaggedDrop {
    /// When.
    pub at: Instant,
    /// The record that made the place drop, or [`RecordId::GENESIS`].
    pub blame: RecordId,
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: DropReason,
    /// Which packet.
    pub packet: PacketId,
}
