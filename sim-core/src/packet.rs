//! A packet: owned bytes with room to grow at both ends, and what is known about it beside the bytes.
//!
//! Layout of the buffer: `[headroom | bytes | tailroom]`. Fresh packets have [`HEADROOM`] octets in front and
//! [`TAILROOM`] behind, enough for ESP padding, trailer and ICV, a UDP header, an outer IP header and one level of
//! nesting, so that a hop never reallocates. The [`Meta`] travels beside the bytes and is never on the wire.

use crate::id::{PacketId, RecordId, SessionId, StreamId};

/// Octets in front of a fresh packet.
pub const HEADROOM: usize = 128;
/// Octets behind a fresh packet.
pub const TAILROOM: usize = 64;

/// What the simulator knows about a packet and no wire carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its name in traces.
    pub id: PacketId,
    /// The packet it was cut or copied from, or itself.
    pub parent: PacketId,
    /// The record that made the sender send it.
    pub cause: RecordId,
    /// The latest record that its journey so far depended on: a route, an SA, a link's state.
    pub enabler: RecordId,
    /// The sender's session whose message this is, if it is a control message (BGP inside a tunnel, or IKE itself).
    pub session: Option<SessionId>,
    /// The sender's IKE session while the packet is sealed in one of its CHILD_SAs.
    pub tunnel: Option<SessionId>,
    /// The probe it is, if it is one.
    pub probe: Option<ProbeTag>,
}

/// Which probe a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeTag {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its number in the stream, from 0.
    pub seq: u32,
    /// True on the way back.
    pub reply: bool,
}

/// An owned packet. See the module header for its layout.
#[derive(Clone, Debug)]
pub struct Packet {
    buf: Vec<u8>,
    start: usize,
    /// What is known beside the bytes.
    pub meta: Meta,
}

impl Packet {
    /// A packet of `len` zero octets with full headroom and room behind.
    pub fn zeroed(len: usize, meta: Meta) -> Self {
        let mut buf = Vec::with_capacity(HEADROOM + len + TAILROOM);
        buf.resize(HEADROOM + len, 0);
        Self { buf, start: HEADROOM, meta }
    }

    /// A packet with these bytes, full headroom and room behind.
    pub fn from_bytes(bytes: &[u8], meta: Meta) -> Self {
        let mut buf = Vec::with_capacity(HEADROOM + bytes.len() + TAILROOM);
        buf.resize(HEADROOM, 0);
        buf.extend_from_slice(bytes);
        Self { buf, start: HEADROOM, meta }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// The bytes, to change in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..]
    }

    /// Number of octets.
    #[allow(clippy::len_without_is_empty, reason = "an IP packet is never empty")]
    pub fn len(&self) -> usize {
        self.buf.len() - self.start
    }

    /// Adds `n` octets of unspecified content in front and returns the whole.
    pub fn push_front(&mut self, n: usize) -> &mut [u8] {
        if n > self.start {
            let grow = n - self.start + HEADROOM;
            self.buf.splice(..0, core::iter::repeat_n(0, grow));
            self.start += grow;
        }
        self.start -= n;
        &mut self.buf[self.start..]
    }

    /// Takes `n` octets off the front (all, if there are fewer).
    pub fn pop_front(&mut self, n: usize) {
        self.start = (self.start + n).min(self.buf.len());
    }

    /// Adds `n` zero octets behind and returns the whole.
    pub fn push_back(&mut self, n: usize) -> &mut [u8] {
        let len = self.buf.len();
        self.buf.resize(len + n, 0);
        &mut self.buf[self.start..]
    }

    /// Shortens the packet to its first `len` octets (no effect if it is shorter).
    pub fn truncate(&mut self, len: usize) {
        self.buf.truncate(self.start + len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_and_unwrapping_keeps_the_inside() {
        let mut p = Packet::from_bytes(b"inside", Meta::default());
        let capacity = p.buf.capacity();
        p.push_front(20)[..20].fill(0xaa);
        p.push_back(16);
        assert_eq!(p.len(), 42);
        assert_eq!(p.buf.capacity(), capacity, "a hop must not reallocate");
        p.pop_front(20);
        p.truncate(6);
        assert_eq!(p.bytes(), b"inside");
    }

    #[test]
    fn more_than_the_headroom_still_works() {
        let mut p = Packet::from_bytes(b"x", Meta::default());
        p.push_front(HEADROOM + 5)[0] = 1;
        assert_eq!(p.len(), HEADROOM + 6);
        assert_eq!((p.bytes()[0], p.bytes()[HEADROOM + 5]), (1, b'x'));
    }
}
