//! Small names for the things of a world. All are indices given out when the world is built, in the scenario's order.

use core::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($int:ty) $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// As an index into a vector.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// A device of the world.
    NodeId(u32) "n";
    /// An interface of a device; numbered per device.
    Port(u16) "p";
    /// A link or internet path between two ports.
    LinkId(u32) "l";
    /// A fault of the scenario's timeline.
    FaultId(u16) "f";
    /// A protocol session as one end sees it: an IKE SA, a CHILD_SA lineage, a BGP session.
    SessionId(u32) "s";
    /// A stream of probes.
    StreamId(u16) "stream";
    /// A packet, from creation to delivery or drop; encapsulation keeps it, fragments and duplicates get their own.
    PacketId(u64) "#";
    /// A kept record of the trace. Ids grow with time, so the later of two is the greater. 2^32 of them would take
    /// 256 GiB, so that no world comes to an end of them.
    RecordId(u32) "r";
}

impl RecordId {
    /// The record that nothing precedes: the world as the scenario describes it.
    pub const GENESIS: Self = Self(0);
}
