//! IPv6 fragments: only who sends a packet cuts it, and only who receives it puts it together again (RFC 8200 section 4.5).
//!
//! Where fragments overlap, nothing of the packet is kept (RFC 5722); an exact repetition is ignored, as section 4.5 allows. A packet
//! that is its only fragment is whole (RFC 6946).
//!
//! Left out: extension headers beside the Fragment header, before it and behind it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::fragment::{Reassembly, ReassemblyConfig};
use crate::id::PacketId;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::time::Instant;
use crate::wire::ipv6::{FragmentHeader, HEADER_LEN, Ipv6Header, Ipv6Packet, next_header};

/// Octets in front of what a fragment carries.
const HEADERS: usize = HEADER_LEN + FragmentHeader::LEN;

/// Cuts a packet of this host into fragments of at most `mtu` octets, in order, which bear `ident`. A fragment is named by `new_id`
/// and has the packet as its parent. A packet that fits comes back as it is.
///
/// # Errors
/// [`DropReason::Malformed`] if the bytes are not IPv6 or a fragment already, [`DropReason::TooBigForLink`] if the MTU has no room
/// for eight octets.
pub fn fragment(
    packet: &Packet,
    mtu: usize,
    ident: u32,
    mut new_id: impl FnMut() -> PacketId,
) -> Result<Vec<Packet>, DropReason> {
    let ip = Ipv6Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
    if ip.total_len() <= mtu {
        return Ok(vec![packet.clone()]);
    }
    if ip.is_fragment() {
        return Err(DropReason::Malformed);
    }
    let room = mtu.saturating_sub(HEADERS) / 8 * 8;
    if room == 0 {
        return Err(DropReason::TooBigForLink);
    }
    let header = Ipv6Header { next_header: next_header::FRAGMENT, ..Ipv6Header::parse(&ip) };
    let pieces = ip.payload().chunks(room).enumerate().map(|(number, piece)| {
        let offset = number * room;
        let more = offset + piece.len() < ip.payload().len();
        let fragment = FragmentHeader { next_header: ip.next_header(), offset, more, ident };
        let meta = Meta { id: new_id(), parent: packet.meta.id, ..packet.meta };
        header.packet(&[&fragment.octets(), piece].concat(), meta)
    });
    Ok(pieces.collect())
}

/// What fragments of one packet have in common.
type Key = (Ipv6Addr, Ipv6Addr, u32);

/// Puts the fragments that a host receives together.
#[derive(Clone, Debug)]
pub struct Reassembler {
    config: ReassemblyConfig,
    partial: BTreeMap<Key, Partial>,
    octets: usize,
}

/// A packet of which something is missing.
#[derive(Clone, Debug)]
struct Partial {
    deadline: Instant,
    /// In order of offset, without overlaps.
    fragments: Vec<(FragmentHeader, Packet)>,
}

impl Reassembler {
    /// A reassembler that keeps nothing yet.
    pub fn new(config: ReassemblyConfig) -> Self {
        Self { config, partial: BTreeMap::new(), octets: 0 }
    }

    /// Takes a packet that is addressed to this host.
    pub fn handle(&mut self, now: Instant, packet: Packet) -> Reassembly {
        let drop_it = |reason, packet| Reassembly::Dropped(reason, vec![packet]);
        let Ok(ip) = Ipv6Packet::new_checked(packet.bytes()) else {
            return drop_it(DropReason::Malformed, packet);
        };
        if !ip.is_fragment() {
            return Reassembly::Whole(packet);
        }
        let Ok((fragment, piece)) = FragmentHeader::parse(ip.payload()) else {
            return drop_it(DropReason::Malformed, packet);
        };
        let end = fragment.offset + piece.len();
        let ragged = fragment.more && !piece.len().is_multiple_of(8);
        if piece.is_empty() || ragged || end > usize::from(u16::MAX) {
            return drop_it(DropReason::Malformed, packet);
        }
        let key = (ip.src(), ip.dst(), fragment.ident);
        if fragment.offset == 0 && !fragment.more {
            return Partial { deadline: now, fragments: vec![(fragment, packet)] }.into_joined();
        }
        let new = !self.partial.contains_key(&key);
        if self.octets + packet.len() > self.config.octets || (new && self.partial.len() >= self.config.datagrams) {
            return drop_it(DropReason::ReassemblyFull, packet);
        }
        let deadline = now + self.config.timeout;
        let partial = self.partial.entry(key).or_insert_with(|| Partial { deadline, fragments: Vec::new() });
        if partial.repeats(&fragment, end) {
            return drop_it(DropReason::FragmentOverlap, packet);
        }
        let sound = partial.admits(&fragment, end);
        let at = partial.fragments.partition_point(|(other, _)| other.offset < fragment.offset);
        self.octets += packet.len();
        partial.fragments.insert(at, (fragment, packet));
        if !sound {
            let all = self.forget(&key).fragments.into_iter().map(|(_, packet)| packet).collect();
            return Reassembly::Dropped(DropReason::FragmentOverlap, all);
        }
        if partial.is_whole() { self.forget(&key).into_joined() } else { Reassembly::Waiting }
    }

    /// The fragments that wait.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        self.partial.values().flat_map(|partial| &partial.fragments).map(|(_, packet)| packet)
    }

    /// When the next packet is given up.
    pub fn wake(&self) -> Option<Instant> {
        self.partial.values().map(|partial| partial.deadline).min()
    }

    /// Gives up the packets whose time is over: each with its fragments in order. If the first has offset zero, its sender is told
    /// so (RFC 8200 section 4.5).
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Vec<Packet>> {
        let due = |(key, partial): (&Key, &Partial)| (partial.deadline <= now).then_some((partial.deadline, *key));
        let mut due: Vec<_> = self.partial.iter().filter_map(due).collect();
        due.sort_unstable();
        due.iter().map(|(_, key)| self.forget(key).fragments.into_iter().map(|(_, packet)| packet).collect()).collect()
    }

    fn forget(&mut self, key: &Key) -> Partial {
        let partial = self.partial.remove(key).expect("a packet under way is in the table");
        self.octets -= partial.fragments.iter().map(|(_, packet)| packet.len()).sum::<usize>();
        partial
    }
}

impl Partial {
    fn spans(&self) -> impl Iterator<Item = (FragmentHeader, usize)> {
        self.fragments.iter().map(|(fragment, packet)| (*fragment, fragment.offset + piece(packet).len()))
    }

    /// True if there is the same fragment already.
    fn repeats(&self, fragment: &FragmentHeader, end: usize) -> bool {
        self.spans().any(|known| known == (*fragment, end))
    }

    /// True if a fragment lies beside all others, and none behind the last one.
    fn admits(&self, fragment: &FragmentHeader, end: usize) -> bool {
        self.spans().all(|(other, other_end)| {
            let apart = end <= other.offset || other_end <= fragment.offset;
            let behind =
                (!other.more && fragment.offset > other.offset) || (!fragment.more && other.offset > fragment.offset);
            apart && !behind && (other.more || fragment.more)
        })
    }

    fn is_whole(&self) -> bool {
        let mut reached = 0;
        let mut last = false;
        for (fragment, end) in self.spans() {
            if fragment.offset != reached {
                return false;
            }
            (reached, last) = (end, !fragment.more);
        }
        last
    }

    fn into_joined(self) -> Reassembly {
        let parts = self.fragments.iter().map(|(_, packet)| packet.meta.id).collect();
        Reassembly::Joined(self.into_packet(), parts)
    }

    /// The packet, with the header of its first fragment.
    fn into_packet(self) -> Packet {
        let (fragment, first) = &self.fragments[0];
        let header = Ipv6Header {
            next_header: fragment.next_header,
            ..Ipv6Header::parse(&Ipv6Packet::new_unchecked(first.bytes()))
        };
        let enabler = self.fragments.iter().map(|(_, packet)| packet.meta.enabler).max().unwrap_or_default();
        let meta = Meta { id: first.meta.parent, enabler, ..first.meta };
        let pieces: Vec<&[u8]> = self.fragments.iter().map(|(_, packet)| piece(packet)).collect();
        header.packet(&pieces.concat(), meta)
    }
}

/// What a fragment that was checked when it came carries of the whole.
fn piece(packet: &Packet) -> &[u8] {
    let end = Ipv6Packet::new_unchecked(packet.bytes()).total_len();
    &packet.bytes()[HEADERS..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;
    use crate::wire::udp;
    use proptest::prelude::*;

    const A: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    fn datagram(octets: usize) -> Packet {
        let payload: Vec<u8> = (0..octets).map(|i| (i * 31) as u8).collect();
        udp::around_v6(Packet::from_bytes(&payload, Meta::default()), (A, 1000), (B, 2000))
    }

    fn cut(packet: &Packet, mtu: usize) -> Vec<Packet> {
        let mut next = 100;
        fragment(packet, mtu, 7, || {
            next += 1;
            PacketId(next)
        })
        .unwrap()
    }

    fn reassembler() -> Reassembler {
        Reassembler::new(ReassemblyConfig::default())
    }

    /// 1,408 octets of payload at 1,280: 1,232 fit behind both headers, and the rest is 176.
    #[test]
    fn the_arithmetic_of_the_smallest_mtu() {
        let pieces = cut(&datagram(1_400), 1_280);
        let shape = |packet: &Packet| {
            let ip = Ipv6Packet::new_checked(packet.bytes()).unwrap();
            let (fragment, rest) = FragmentHeader::parse(ip.payload()).unwrap();
            assert_eq!((fragment.next_header, fragment.ident), (17, 7));
            (ip.total_len(), fragment.offset, fragment.more, rest.len())
        };
        let shapes: Vec<_> = pieces.iter().map(shape).collect();
        assert_eq!(shapes, [(1_280, 0, true, 1_232), (224, 1_232, false, 176)]);
        assert_eq!(fragment(&pieces[0], 600, 1, || PacketId(1)).unwrap_err(), DropReason::Malformed);
        assert_eq!(fragment(&datagram(1_400), 55, 1, || PacketId(1)).unwrap_err(), DropReason::TooBigForLink);
    }

    /// RFC 5722 section 4: an overlap gives up the whole, and what comes later of it is not put together with what was.
    #[test]
    fn an_overlap_gives_up_the_whole() {
        let pieces = cut(&datagram(3_000), 1_280);
        let mut into = reassembler();
        assert!(matches!(into.handle(Instant::START, pieces[0].clone()), Reassembly::Waiting));
        let again = into.handle(Instant::START, pieces[0].clone());
        assert!(
            matches!(again, Reassembly::Dropped(DropReason::FragmentOverlap, all) if all.len() == 1),
            "a repetition"
        );
        let shifted = FragmentHeader { next_header: 17, offset: 1_224, more: true, ident: 7 };
        let shifted = Ipv6Header::new(A, B, next_header::FRAGMENT)
            .packet(&[&shifted.octets()[..], &[0; 16]].concat(), Meta::default());
        let dropped = into.handle(Instant::START, shifted);
        assert!(matches!(dropped, Reassembly::Dropped(DropReason::FragmentOverlap, all) if all.len() == 2));
        assert_eq!(into.octets, 0);
    }

    /// RFC 6946: a packet that is its only fragment waits for nobody.
    #[test]
    fn an_atomic_fragment_is_whole() {
        let whole = datagram(20);
        let ip = Ipv6Packet::new_checked(whole.bytes()).unwrap();
        let fragment = FragmentHeader { next_header: 17, offset: 0, more: false, ident: 9 };
        let header = Ipv6Header { next_header: next_header::FRAGMENT, ..Ipv6Header::parse(&ip) };
        let atomic = header.packet(&[&fragment.octets(), ip.payload()].concat(), Meta::default());
        let Reassembly::Joined(made, _) = reassembler().handle(Instant::START, atomic) else { panic!("it is whole") };
        assert_eq!(made.bytes(), whole.bytes());
    }

    #[test]
    fn what_does_not_come_is_waited_for_no_longer() {
        let pieces = cut(&datagram(2_000), 1_280);
        let mut into = reassembler();
        assert!(matches!(into.handle(Instant::START, pieces[0].clone()), Reassembly::Waiting));
        let end = Instant::START + Duration::from_secs(60);
        assert_eq!(into.wake(), Some(end));
        assert_eq!(into.handle_timeout(end).concat().len(), 1);
        assert_eq!((into.wake(), into.octets), (None, 0));
    }

    proptest! {
        #[test]
        fn in_any_order_it_is_whole_again(octets in 0..6_000usize, mtu in 1_280..1_500usize, turn in 0..8usize) {
            let whole = datagram(octets);
            let mut pieces = cut(&whole, mtu);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu));
            let turn = turn % pieces.len();
            pieces.rotate_left(turn);
            let mut into = reassembler();
            let last = pieces.pop().unwrap();
            for piece in pieces {
                prop_assert!(matches!(into.handle(Instant::START, piece), Reassembly::Waiting));
            }
            let Reassembly::Joined(made, _) = into.handle(Instant::START, last) else { panic!("nothing is missing") };
            prop_assert_eq!(made.bytes(), whole.bytes());
            prop_assert_eq!(into.octets, 0);
        }

        #[test]
        fn nothing_panics(heads in proptest::collection::vec((0..40usize, any::<bool>(), 0..40usize), 0..20)) {
            let mut into = reassembler();
            for (offset, more, octets) in heads {
                let head = FragmentHeader { next_header: 17, offset: offset * 8, more, ident: 1 };
                let header = Ipv6Header::new(A, B, next_header::FRAGMENT);
                let _ = into.handle(Instant::START, header.packet(&[&head.octets()[..], &vec![0; octets]].concat(), Meta::default()));
            }
        }
    }
}
