//! A packet: owned bytes with room to grow at both ends, and what is known about it beside the bytes.
//!
//! Layout: `[meta | headroom | bytes | tailroom]` in one block. Fresh packets have [`HEADROOM`] octets in front and
//! [`TAILROOM`] behind, enough for ESP padding, trailer and ICV, a UDP header, an outer IP header and one level of
//! nesting, so that a hop never reallocates. The [`Meta`] travels beside the bytes and is never on the wire.

use core::cell::RefCell;
use core::ops::{Deref, DerefMut};

use prefetch_index::prefetch_index;

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

/// An owned packet: one block of memory that holds what is known about it and its bytes, so that handing it on moves two
/// words and looking at it touches neighbouring cache lines. See the module header for its layout.
#[derive(Debug)]
pub struct Packet {
    /// Always there, except while the packet is dropped.
    block: Option<Box<Block<[u8]>>>,
}

/// Sizes of buffers: for a small message, an Ethernet packet, a jumbo frame, and the largest packet that IP allows with
/// room for a nested one.
const SIZES: [usize; 4] = [320, 1_792, 9_216, 0x1_0400];
/// How many octets of each size wait to be used again.
const SPARE: usize = 1 << 20;

/// Blocks of dropped packets, by size.
type Spares = [Vec<Box<Block<[u8]>>>; SIZES.len()];

thread_local! {
    /// The block that was dropped last is used again first: it is still in the caches. What it held is never seen.
    static SPARES: RefCell<Spares> = const { RefCell::new([const { Vec::new() }; SIZES.len()]) };
}

/// What a [`Packet`] points at. `B` is `[u8; N]` where one is made and `[u8]` ever after.
#[derive(Debug)]
pub struct Block<B: ?Sized> {
    /// What is known beside the bytes.
    pub meta: Meta,
    /// Where the bytes begin in the buffer.
    start: u32,
    /// Where they end.
    end: u32,
    buffer: B,
}

impl Deref for Packet {
    type Target = Block<[u8]>;

    fn deref(&self) -> &Block<[u8]> {
        self.block.as_ref().expect("only a dropped packet has none")
    }
}

impl DerefMut for Packet {
    fn deref_mut(&mut self) -> &mut Block<[u8]> {
        self.block.as_mut().expect("only a dropped packet has none")
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        // A thread that ends may have dropped its spares before its packets.
        let _ = SPARES.try_with(|spares| {
            let spares = &mut spares.borrow_mut()[size_for(block.buffer.len())];
            if spares.len() < SPARE / block.buffer.len() {
                spares.push(block);
            }
        });
    }
}

impl Clone for Packet {
    fn clone(&self) -> Self {
        Self::from_bytes(self.bytes(), self.meta)
    }
}

impl Packet {
    /// A packet of `len` zero octets with full headroom and room behind.
    pub fn zeroed(len: usize, meta: Meta) -> Self {
        let mut packet = Self::with_room(HEADROOM, len, meta);
        packet.bytes_mut().fill(0);
        packet
    }

    /// A packet with these bytes, full headroom and room behind.
    pub fn from_bytes(bytes: &[u8], meta: Meta) -> Self {
        let mut packet = Self::with_room(HEADROOM, bytes.len(), meta);
        packet.bytes_mut().copy_from_slice(bytes);
        packet
    }

    /// Notes a record that the packet's journey depended on: it keeps the latest.
    #[inline]
    pub fn needs(&mut self, record: RecordId) {
        self.meta.enabler = self.meta.enabler.max(record);
    }

    /// A packet of `len` octets of unspecified content behind so much headroom, with room behind.
    fn with_room(headroom: usize, len: usize, meta: Meta) -> Self {
        let (start, end) = (headroom as u32, (headroom + len) as u32);
        fn block<const N: usize>(meta: Meta) -> Box<Block<[u8]>> {
            Box::new(Block { meta, start: 0, end: 0, buffer: [0; N] })
        }
        let size = size_for(headroom + len + TAILROOM);
        let spare = SPARES.try_with(|spares| spares.borrow_mut().get_mut(size).and_then(Vec::pop)).ok().flatten();
        let mut block = spare.unwrap_or_else(|| match size {
            0 => block::<{ SIZES[0] }>(meta),
            1 => block::<{ SIZES[1] }>(meta),
            2 => block::<{ SIZES[2] }>(meta),
            3 => block::<{ SIZES[3] }>(meta),
            _ => panic!("a packet of {len} octets is longer than IP allows"),
        });
        (block.meta, block.start, block.end) = (meta, start, end);
        Self { block: Some(block) }
    }

    /// Fetches what a device looks at first: what is known beside the bytes, and the headers.
    pub(crate) fn foresee(&self) {
        prefetch_index(core::slice::from_ref(&self.meta), 0);
        (0..3).for_each(|line| prefetch_index(&self.buffer, HEADROOM - 28 + 64 * line));
    }

    /// Adds `n` octets of unspecified content in front and returns the whole.
    pub fn push_front(&mut self, n: usize) -> &mut [u8] {
        if n > self.start as usize {
            self.move_to(n + HEADROOM, TAILROOM);
        }
        self.start -= n as u32;
        self.bytes_mut()
    }

    /// Takes `n` octets off the front (all, if there are fewer).
    pub fn pop_front(&mut self, n: usize) {
        self.start = self.end.min(self.start + n.min(self.len()) as u32);
    }

    /// Adds `n` zero octets behind and returns the whole.
    pub fn push_back(&mut self, n: usize) -> &mut [u8] {
        if self.end as usize + n > self.buffer.len() {
            self.move_to(HEADROOM, n + TAILROOM);
        }
        let end = self.end as usize;
        self.buffer[end..end + n].fill(0);
        self.end += n as u32;
        self.bytes_mut()
    }

    /// Shortens the packet to its first `len` octets (no effect if it has no more).
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len.min(self.len()) as u32);
    }

    /// Moves to a block with at least so much room at both ends.
    #[cold]
    fn move_to(&mut self, front: usize, behind: usize) {
        let mut roomy = Self::with_room(front, self.len() + behind, self.meta);
        roomy.truncate(self.len());
        roomy.bytes_mut().copy_from_slice(self.bytes());
        *self = roomy;
    }
}

/// The number of the smallest size that holds so many octets.
const fn size_for(octets: usize) -> usize {
    let mut size = 0;
    while size < SIZES.len() && SIZES[size] < octets {
        size += 1;
    }
    size
}

impl Block<[u8]> {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start as usize..self.end as usize]
    }

    /// The bytes, to change in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start as usize..self.end as usize]
    }

    /// Number of octets.
    #[allow(clippy::len_without_is_empty, reason = "an IP packet is never empty")]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_and_unwrapping_keeps_the_inside() {
        let mut p = Packet::from_bytes(b"inside", Meta::default());
        let block: *const Meta = &p.meta;
        p.push_front(20)[..20].fill(0xaa);
        p.push_back(16);
        assert_eq!(p.len(), 42);
        assert!(core::ptr::eq(block, &p.meta), "a hop must not reallocate");
        p.pop_front(20);
        p.truncate(6);
        assert_eq!(p.bytes(), b"inside");
    }

    #[test]
    fn nothing_of_a_dropped_packet_is_seen_again() {
        drop(Packet::from_bytes(&[0xaa; 200], Meta::default()));
        let mut p = Packet::zeroed(10, Meta::default());
        assert_eq!(p.push_back(100), [0; 110]);
        p.truncate(5);
        assert_eq!(p.push_back(5), [0; 10]);
    }

    #[test]
    fn more_than_the_headroom_still_works() {
        let mut p = Packet::from_bytes(b"x", Meta::default());
        p.push_front(HEADROOM + 5)[0] = 1;
        assert_eq!(p.len(), HEADROOM + 6);
        assert_eq!((p.bytes()[0], p.bytes()[HEADROOM + 5]), (1, b'x'));
    }
}
