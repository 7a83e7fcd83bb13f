//! IPv4 fragments: cutting a datagram for a small MTU (RFC 791 section 3.2) and putting one together again (RFC 791
//! section 3.2, RFC 815, RFC 1122 section 3.3.2).
//!
//! Where fragments overlap, RFC 791 lets the later one win, which lets an attacker rewrite what a filter has seen. Here,
//! as in Linux since 4.19, an exact repetition is ignored and any other overlap gives up the whole datagram.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::id::PacketId;
use crate::packet::{Meta, Packet};
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::wire::ipv4::{HEADER_LEN, Ipv4Header, Ipv4Packet};

/// Cuts a datagram into fragments of at most `mtu` octets, in order. A fragment is named by `new_id` and has the
/// datagram as its parent. A datagram that fits comes back as one fragment.
///
/// # Errors
/// [`DropReason::FragmentationNeeded`] if DF is set, [`DropReason::TooBigForLink`] if the MTU has no room for eight
/// octets, [`DropReason::Malformed`] if the bytes are not IPv4 or the options cannot be told apart.
pub fn fragment(packet: &Packet, mtu: usize, mut new_id: impl FnMut() -> PacketId) -> Result<Vec<Packet>, DropReason> {
    let ip = Ipv4Packet::new_checked(packet.bytes()).map_err(|_| DropReason::Malformed)?;
    if ip.datagram().len() > mtu && ip.dont_fragment() {
        return Err(DropReason::FragmentationNeeded);
    }
    let mut meta = || Meta { id: new_id(), parent: packet.meta.id, ..packet.meta };
    let header = Ipv4Header::parse(&ip);
    let copied = copied_options(ip.options()).ok_or(DropReason::Malformed)?;
    let mut rest = ip.payload();
    let mut offset = header.fragment_offset;
    let mut pieces = Vec::with_capacity(rest.len() / mtu.max(1) + 1);
    loop {
        let options = if pieces.is_empty() { ip.options() } else { &copied };
        let room = mtu.saturating_sub(HEADER_LEN + options.len());
        let take = if rest.len() <= room { rest.len() } else { room / 8 * 8 };
        if take == 0 && !rest.is_empty() {
            return Err(DropReason::TooBigForLink);
        }
        let (piece, later) = rest.split_at(take);
        let header = Ipv4Header {
            more_fragments: header.more_fragments || !later.is_empty(),
            fragment_offset: offset,
            ..header
        };
        pieces.push(assemble(&header, options, piece.len(), [piece], meta()));
        if later.is_empty() {
            return Ok(pieces);
        }
        (rest, offset) = (later, offset + take);
    }
}

/// The options that every fragment carries, padded to a multiple of four; `None` if they cannot be told apart.
/// The copied flag is the first bit of an option's type (RFC 791 section 3.1).
fn copied_options(mut options: &[u8]) -> Option<Vec<u8>> {
    let mut copied = Vec::new();
    while let [kind, rest @ ..] = options {
        let length = match kind {
            0 => break,
            1 => 1,
            _ => usize::from(*rest.first()?),
        };
        if length == 0 || length > options.len() || (*kind != 1 && length < 2) {
            return None;
        }
        let (option, later) = options.split_at(length);
        if kind & 0x80 != 0 {
            copied.extend_from_slice(option);
        }
        options = later;
    }
    copied.resize(copied.len().next_multiple_of(4), 0);
    Some(copied)
}

/// A packet of this header, these options and pieces of payload that have `octets` together.
fn assemble<'a>(
    header: &Ipv4Header,
    options: &[u8],
    octets: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    meta: Meta,
) -> Packet {
    let header_len = HEADER_LEN + options.len();
    let mut packet = Packet::zeroed(header_len + octets, meta);
    let total = packet.len() as u16;
    let bytes = packet.bytes_mut();
    header.emit(bytes, total);
    bytes[HEADER_LEN..header_len].copy_from_slice(options);
    let mut at = header_len;
    for piece in pieces {
        bytes[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    let mut ip = Ipv4Packet::new_unchecked(bytes);
    ip.set_header_len(header_len);
    ip.fill_checksum();
    packet
}

/// How long and how much a reassembler keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReassemblyConfig {
    /// How long fragments wait, counted from the first that came, wherever it belongs.
    pub timeout: Duration,
    /// Datagrams under way at most.
    pub datagrams: usize,
    /// Octets kept at most, headers included.
    pub octets: usize,
}

impl Default for ReassemblyConfig {
    /// 60 s, the lower end of what RFC 1122 section 3.3.2 recommends; 4 MiB as in Linux (ipfrag_high_thresh).
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), datagrams: 1024, octets: 4 << 20 }
    }
}

/// What became of a packet given to a reassembler.
#[derive(Debug)]
pub enum Reassembly {
    /// The packet itself: it was no fragment.
    Whole(Packet),
    /// What this fragment completed, and the fragments that it is made of. It has the name of the datagram that the first of them was
    /// cut from.
    Joined(Packet, Vec<PacketId>),
    /// Kept until the rest comes.
    Waiting,
    /// These are dropped: the packet alone, or with the fragments that it contradicts.
    Dropped(DropReason, Vec<Packet>),
}

/// What fragments of one datagram have in common (RFC 791 section 3.2).
type Key = (Ipv4Addr, Ipv4Addr, u8, u16);

/// Puts the fragments that a host receives together.
#[derive(Clone, Debug)]
pub struct Reassembler {
    config: ReassemblyConfig,
    partial: BTreeMap<Key, Partial>,
    octets: usize,
}

/// A datagram of which something is missing.
#[derive(Clone, Debug)]
struct Partial {
    deadline: Instant,
    /// In order of offset, without overlaps.
    fragments: Vec<Packet>,
    /// Octets of payload in `fragments`.
    have: usize,
    /// Octets of payload of the whole, known once the last fragment is here.
    total: Option<usize>,
}

impl Reassembler {
    /// A reassembler that keeps nothing yet.
    pub fn new(config: ReassemblyConfig) -> Self {
        Self { config, partial: BTreeMap::new(), octets: 0 }
    }

    /// Takes a packet that is addressed to this host.
    pub fn handle(&mut self, now: Instant, packet: Packet) -> Reassembly {
        let drop_it = |reason, packet| Reassembly::Dropped(reason, vec![packet]);
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            return drop_it(DropReason::Malformed, packet);
        };
        if !ip.is_fragment() {
            return Reassembly::Whole(packet);
        }
        let span = Span::of(&packet);
        // All but the last carry whole units of eight octets, and no datagram ends behind the largest total length.
        let ragged = ip.more_fragments() && !span.len().is_multiple_of(8);
        if span.len() == 0 || ragged || span.end + ip.header_len() > usize::from(u16::MAX) {
            return drop_it(DropReason::Malformed, packet);
        }
        let key = (ip.src(), ip.dst(), ip.protocol(), ip.ident());
        let new = !self.partial.contains_key(&key);
        if self.octets + packet.len() > self.config.octets || (new && self.partial.len() >= self.config.datagrams) {
            return drop_it(DropReason::ReassemblyFull, packet);
        }
        let deadline = now + self.config.timeout;
        let partial = self.partial.entry(key).or_insert_with(|| Partial::new(deadline));
        self.octets += packet.len();
        match partial.add(span, packet) {
            Added::Kept if !partial.is_whole() => Reassembly::Waiting,
            Added::Kept => {
                let whole = self.forget(&key);
                if whole.total_len() > usize::from(u16::MAX) {
                    return Reassembly::Dropped(DropReason::Malformed, whole.fragments);
                }
                let parts = whole.fragments.iter().map(|part| part.meta.id).collect();
                Reassembly::Joined(whole.into_datagram(), parts)
            }
            Added::Repeated(packet) => {
                self.octets -= packet.len();
                drop_it(DropReason::FragmentOverlap, packet)
            }
            Added::Contradicts(packet) => {
                self.octets -= packet.len();
                let mut all = self.forget(&key).fragments;
                all.push(packet);
                Reassembly::Dropped(DropReason::FragmentOverlap, all)
            }
        }
    }

    /// When the next datagram is given up.
    pub fn wake(&self) -> Option<Instant> {
        self.partial.values().map(|p| p.deadline).min()
    }

    /// Gives up the datagrams whose time is over: each with its fragments in order, dropped for
    /// [`DropReason::ReassemblyTimeout`]. If the first has offset zero, its sender is told so (RFC 792: time exceeded
    /// code 1; without fragment zero nothing is sent).
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Vec<Packet>> {
        let due = |(key, p): (&Key, &Partial)| (p.deadline <= now).then_some((p.deadline, *key));
        let mut due: Vec<_> = self.partial.iter().filter_map(due).collect();
        due.sort_unstable();
        due.iter().map(|(_, key)| self.forget(key).fragments).collect()
    }

    /// The fragments that wait.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        self.partial.values().flat_map(|partial| &partial.fragments)
    }

    fn forget(&mut self, key: &Key) -> Partial {
        let partial = self.partial.remove(key).expect("a datagram under way is in the table");
        self.octets -= partial.fragments.iter().map(|fragment| fragment.len()).sum::<usize>();
        partial
    }
}

/// Where a fragment's payload lies in the whole, in octets.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    last: bool,
}

impl Span {
    /// The span of a packet that was checked when it came.
    fn of(packet: &Packet) -> Self {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let start = ip.fragment_offset();
        Self { start, end: start + ip.payload().len(), last: !ip.more_fragments() }
    }

    fn len(self) -> usize {
        self.end - self.start
    }
}

/// The payload of a packet that was checked when it came.
fn payload(packet: &Packet) -> &[u8] {
    let ip = Ipv4Packet::new_unchecked(packet.bytes());
    let range = ip.header_len()..usize::from(ip.total_len());
    &packet.bytes()[range]
}

enum Added {
    Kept,
    Repeated(Packet),
    Contradicts(Packet),
}

impl Partial {
    fn new(deadline: Instant) -> Self {
        Self { deadline, fragments: Vec::new(), have: 0, total: None }
    }

    fn add(&mut self, span: Span, packet: Packet) -> Added {
        let at = self.fragments.partition_point(|f| Span::of(f).start < span.start);
        let before = at.checked_sub(1).map(|i| Span::of(&self.fragments[i]));
        let after = self.fragments.get(at).map(Span::of);
        if after == Some(span) {
            return Added::Repeated(packet);
        }
        let overlaps = before.is_some_and(|b| b.end > span.start) || after.is_some_and(|a| a.start < span.end);
        let behind_the_end = self.total.is_some_and(|total| span.last || span.end > total);
        let ends_too_early = span.last && self.fragments.last().is_some_and(|f| Span::of(f).end > span.end);
        if overlaps || behind_the_end || ends_too_early {
            return Added::Contradicts(packet);
        }
        self.fragments.insert(at, packet);
        self.have += span.len();
        if span.last {
            self.total = Some(span.end);
        }
        Added::Kept
    }

    fn is_whole(&self) -> bool {
        self.total == Some(self.have)
    }

    /// Octets of the datagram once it is whole; the first fragment may have more options than the others.
    fn total_len(&self) -> usize {
        Ipv4Packet::new_unchecked(self.fragments[0].bytes()).header_len() + self.have
    }

    /// The datagram, with the header of its first fragment (RFC 815 section 7).
    fn into_datagram(self) -> Packet {
        let first = &self.fragments[0];
        let ip = Ipv4Packet::new_unchecked(first.bytes());
        let header = Ipv4Header { more_fragments: false, ..Ipv4Header::parse(&ip) };
        let enabler = self.fragments.iter().map(|f| f.meta.enabler).max().unwrap_or_default();
        let meta = Meta { id: first.meta.parent, enabler, ..first.meta };
        assemble(&header, ip.options(), self.have, self.fragments.iter().map(payload), meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RecordId;
    use crate::wire::ipv4::protocol;
    use crate::wire::udp;
    use proptest::prelude::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn datagram(octets: usize) -> Packet {
        let payload: Vec<u8> = (0..octets).map(|i| (i * 31) as u8).collect();
        let (id, parent) = (PacketId(1), PacketId(1));
        let meta = Meta { id, parent, ..Meta::default() };
        udp::packet((A, 1), (B, 2), &payload, meta)
    }

    fn cut(packet: &Packet, mtu: usize) -> Vec<Packet> {
        let mut next = 100;
        fragment(packet, mtu, || {
            next += 1;
            PacketId(next)
        })
        .unwrap()
    }

    /// A hand-made fragment of datagram 7: `octets` of payload at `start`.
    fn piece(start: usize, octets: usize, more: bool) -> Packet {
        let header = Ipv4Header {
            ident: 7,
            fragment_offset: start,
            more_fragments: more,
            ..Ipv4Header::new(A, B, protocol::UDP)
        };
        header.packet(&vec![start as u8; octets], Meta::default())
    }

    fn reassembler() -> Reassembler {
        Reassembler::new(ReassemblyConfig::default())
    }

    /// RFC 791 section 3.2's arithmetic: 4,008 octets of payload over an MTU of 1,500 are 1480 + 1480 + 1048.
    #[test]
    fn fragments_are_those_of_the_rfc() {
        let pieces = cut(&datagram(4000), 1500);
        let views: Vec<_> = pieces.iter().map(|p| Ipv4Packet::new_checked(p.bytes()).unwrap()).collect();
        let shape = |v: &Ipv4Packet<&[u8]>| (v.total_len(), v.fragment_offset(), v.more_fragments());
        let shapes: Vec<_> = views.iter().map(shape).collect();
        assert_eq!(shapes, [(1500, 0, true), (1500, 1480, true), (1068, 2960, false)]);
        assert!(views.iter().all(Ipv4Packet::verify_checksum));
        let lineage: Vec<_> = pieces.iter().map(|p| (p.meta.id.0, p.meta.parent.0)).collect();
        assert_eq!(lineage, [(101, 1), (102, 1), (103, 1)]);
    }

    #[test]
    fn what_may_not_be_cut() {
        let header = Ipv4Header::new(A, B, protocol::UDP).dont_fragment();
        let df = header.packet(&[3; 2008], Meta::default());
        let refused = |p: &Packet, mtu| fragment(p, mtu, || PacketId(9)).unwrap_err();
        assert_eq!(refused(&df, 1500), DropReason::FragmentationNeeded);
        assert_eq!(refused(&datagram(2000), 27), DropReason::TooBigForLink);
        let fits = fragment(&df, 2028, || PacketId(9)).unwrap();
        assert!(fits[0].bytes() == df.bytes());
    }

    /// RFC 791 section 3.1: record route (type 7) is not copied, strict source route (137) is.
    #[test]
    fn only_options_with_the_copied_flag_go_into_every_fragment() {
        let options = [7, 7, 4, 0, 0, 0, 0, 1, 137, 3, 4, 0];
        let header = Ipv4Header::new(A, B, protocol::UDP);
        let whole = assemble(&header, &options, 100, [&[9u8; 100][..]], Meta::default());
        let pieces = cut(&whole, 80);
        let options_of = |p: &Packet| Ipv4Packet::new_checked(p.bytes()).unwrap().options().to_vec();
        assert_eq!(options_of(&pieces[0]), options);
        assert_eq!(options_of(&pieces[1]), [137, 3, 4, 0]);
        for bad in [&[137, 0][..], &[137, 1], &[137, 9, 4, 0], &[137]] {
            assert_eq!(copied_options(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_missing_piece_is_waited_for_60_s() {
        let mut r = reassembler();
        let start = Instant::from_secs(5);
        assert!(matches!(r.handle(start, piece(0, 8, true)), Reassembly::Waiting));
        assert!(matches!(r.handle(Instant::from_secs(30), piece(16, 8, true)), Reassembly::Waiting));
        assert_eq!(r.wake(), Some(Instant::from_secs(65)), "counted from the first to come");
        assert!(r.handle_timeout(Instant::from_nanos(64_999_999_999)).is_empty());
        let given_up = r.handle_timeout(Instant::from_secs(65));
        let starts: Vec<_> = given_up[0].iter().map(|p| Span::of(p).start).collect();
        assert_eq!(starts, [0, 16]);
        assert_eq!((r.wake(), r.octets), (None, 0));
    }

    #[test]
    fn overlaps_give_up_the_datagram_and_repetitions_do_not() {
        // (start, octets, more) after 8..24 is there; RFC 5722 gives the reasons for refusing overlaps.
        for (start, octets, more) in [(0, 16, true), (16, 16, true), (8, 8, true), (0, 32, true), (8, 16, false)] {
            let mut r = reassembler();
            assert!(matches!(r.handle(Instant::START, piece(8, 16, true)), Reassembly::Waiting));
            let outcome = r.handle(Instant::START, piece(start, octets, more));
            let Reassembly::Dropped(reason, all) = outcome else { panic!("{start} {octets} {more}") };
            assert_eq!((reason, all.len(), r.octets), (DropReason::FragmentOverlap, 2, 0));
        }
        let mut r = reassembler();
        r.handle(Instant::START, piece(8, 16, true));
        let Reassembly::Dropped(_, one) = r.handle(Instant::START, piece(8, 16, true)) else { panic!() };
        assert_eq!(one.len(), 1);
        r.handle(Instant::START, piece(0, 8, true));
        assert!(matches!(r.handle(Instant::START, piece(24, 1, false)), Reassembly::Joined(p, _) if p.len() == 45));
    }

    #[test]
    fn nothing_lies_behind_the_end() {
        for (start, octets, more) in [(32, 8, true), (24, 8, false)] {
            let mut r = reassembler();
            r.handle(Instant::START, piece(16, 8, false));
            let outcome = r.handle(Instant::START, piece(start, octets, more));
            assert!(matches!(outcome, Reassembly::Dropped(DropReason::FragmentOverlap, all) if all.len() == 2));
        }
        let mut r = reassembler();
        r.handle(Instant::START, piece(16, 8, true));
        let early_end = r.handle(Instant::START, piece(8, 4, false));
        assert!(matches!(early_end, Reassembly::Dropped(DropReason::FragmentOverlap, _)));
    }

    #[test]
    fn fragments_that_cannot_be() {
        // Not a multiple of eight in the middle; nothing at all; behind octet 65,535 ("ping of death").
        for bad in [piece(0, 9, true), piece(8, 0, true), piece(65_528, 8, false)] {
            let outcome = reassembler().handle(Instant::START, bad);
            assert!(matches!(outcome, Reassembly::Dropped(DropReason::Malformed, _)));
        }
    }

    #[test]
    fn what_is_kept_is_limited() {
        let config = ReassemblyConfig { datagrams: 1, octets: 60, ..ReassemblyConfig::default() };
        let mut r = Reassembler::new(config);
        assert!(matches!(r.handle(Instant::START, piece(0, 8, true)), Reassembly::Waiting));
        let mut other = piece(0, 8, true);
        Ipv4Packet::new_unchecked(other.bytes_mut()).set_ident(8);
        for refused in [other, piece(8, 16, true)] {
            let outcome = r.handle(Instant::START, refused);
            assert!(matches!(outcome, Reassembly::Dropped(DropReason::ReassemblyFull, _)));
        }
    }

    proptest! {
        /// Cut, cut again, shuffled: it comes back as it was, under its own name, enabled by the latest of its parts.
        #[test]
        fn together_again(octets in 0..9000usize, mtu in 68..3000usize, second in 68..1500usize, seed: u64) {
            let whole = datagram(octets);
            let mut pieces = cut(&whole, mtu);
            for piece in &mut pieces {
                piece.meta.enabler = RecordId(piece.meta.id.0 as u32);
            }
            let middle = pieces.remove(pieces.len() / 2);
            let mut again = cut(&middle, second);
            again.iter_mut().for_each(|p| p.meta.parent = whole.meta.id);
            pieces.append(&mut again);
            let latest = pieces.iter().map(|p| p.meta.enabler).max().unwrap();
            pieces.sort_by_key(|p| twox_hash::XxHash3_64::oneshot_with_seed(seed, p.bytes()));
            let last = pieces.pop().unwrap();
            let mut r = reassembler();
            for piece in pieces {
                prop_assert!(matches!(r.handle(Instant::START, piece), Reassembly::Waiting));
            }
            // What was never cut comes back at once.
            let (Reassembly::Whole(back) | Reassembly::Joined(back, _)) = r.handle(Instant::START, last) else {
                panic!("all pieces are there")
            };
            prop_assert_eq!(back.bytes(), whole.bytes());
            prop_assert_eq!((back.meta.enabler, r.octets, r.wake()), (latest, 0, None));
        }

        /// Whatever arrives, in whatever order, nothing panics and the account of octets stays true.
        #[test]
        fn nothing_panics(arrivals in proptest::collection::vec((0..10usize, 0..40usize, any::<bool>(), 0..4u16), 0..40)) {
            let mut r = reassembler();
            for (unit, octets, more, ident) in arrivals {
                let mut packet = piece(unit * 8, octets, more);
                Ipv4Packet::new_unchecked(packet.bytes_mut()).set_ident(ident);
                r.handle(Instant::START, packet);
                let kept: usize = r.partial.values().flat_map(|p| &p.fragments).map(|p| p.len()).sum();
                prop_assert_eq!(kept, r.octets);
                prop_assert!(r.partial.values().all(|p| !p.fragments.is_empty()));
            }
        }
    }
}
