//! IPv6 (RFC 8200): a view over the header's bytes, the header as a value, and the Fragment header.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Traffic Class |           Flow Label                  |
//! |         Payload Length        |  Next Header  |   Hop Limit   |
//! |                         Source Address (16)                   |
//! |                      Destination Address (16)                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!
//! |  Next Header  |   Reserved    |      Fragment Offset    |Res|M|     Fragment header (section 4.5)
//! |                         Identification                        |
//! ```
//!
//! The header has no checksum, so a hop changes one octet and mends nothing.
//!
//! Left out: Hop-by-Hop Options, Routing and Destination Options headers (sections 4.3, 4.4 and 4.6): nobody here sends one, and a
//! packet that has one is for nobody at its destination. Jumbograms (RFC 2675). Flow labels are 0 where packets begin here (RFC
//! 6437 section 3 allows it), and are kept as they are on the way.

use std::net::Ipv6Addr;

use super::WireError;
use crate::packet::{Meta, Packet};

/// Octets of the header.
pub const HEADER_LEN: usize = 40;
/// The hop limit of what begins here (the default of Linux and of RFC 4861's routers).
pub const DEFAULT_HOP_LIMIT: u8 = 64;
/// What every link must carry whole (section 5).
pub const MIN_MTU: u16 = 1280;
/// What every destination can put together (section 5).
pub const MIN_REASSEMBLY: usize = 1500;

/// Values of Next Header that are not [`super::ipv4::protocol`]'s, too.
pub mod next_header {
    /// A Fragment header follows (RFC 8200 section 4.5).
    pub const FRAGMENT: u8 = 44;
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
}

mod field {
    pub const PAYLOAD_LENGTH: usize = 4;
    pub const NEXT_HEADER: usize = 6;
    pub const HOP_LIMIT: usize = 7;
    pub const SOURCE: usize = 8;
    pub const DESTINATION: usize = 24;
}

/// True if the first four bits say that this is IPv6.
pub fn is_ipv6(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 6)
}

/// A view of an IPv6 packet over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6Packet<T>(T);

impl<T: AsRef<[u8]>> Ipv6Packet<T> {
    /// A view over bytes that are known to be an IPv6 packet; panics later if they are not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over bytes whose version and length are consistent. Octets behind the payload length are allowed and ignored.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "IPv6", field, problem };
        let b = buffer.as_ref();
        if b.len() < HEADER_LEN {
            return Err(err("header", "shorter than 40 octets"));
        }
        if !is_ipv6(b) {
            return Err(err("Version", "not 6"));
        }
        if HEADER_LEN + usize::from(Ipv6Packet(b).payload_len()) > b.len() {
            return Err(err("Payload Length", "more octets than arrived"));
        }
        Ok(Self(buffer))
    }

    fn first_word(&self) -> u32 {
        let b = self.0.as_ref();
        u32::from_be_bytes([b[0], b[1], b[2], b[3]])
    }

    fn address(&self, at: usize) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.0.as_ref()[at..at + 16]);
        octets.into()
    }

    /// DSCP in the upper six bits, ECN in the lower two (RFC 2474, RFC 3168).
    pub fn traffic_class(&self) -> u8 {
        (self.first_word() >> 20) as u8
    }

    /// The flow label, 20 bits.
    pub fn flow_label(&self) -> u32 {
        self.first_word() & 0xf_ffff
    }

    /// Octets of what follows the header.
    pub fn payload_len(&self) -> u16 {
        let b = self.0.as_ref();
        u16::from_be_bytes([b[field::PAYLOAD_LENGTH], b[field::PAYLOAD_LENGTH + 1]])
    }

    /// Octets of header and payload.
    pub fn total_len(&self) -> usize {
        HEADER_LEN + usize::from(self.payload_len())
    }

    /// What follows the header: a protocol or an extension header.
    pub fn next_header(&self) -> u8 {
        self.0.as_ref()[field::NEXT_HEADER]
    }

    /// Hops that are left.
    pub fn hop_limit(&self) -> u8 {
        self.0.as_ref()[field::HOP_LIMIT]
    }

    /// Source address.
    pub fn src(&self) -> Ipv6Addr {
        self.address(field::SOURCE)
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv6Addr {
        self.address(field::DESTINATION)
    }

    /// True if this is a part of a packet, first or not.
    pub fn is_fragment(&self) -> bool {
        self.next_header() == next_header::FRAGMENT
    }

    /// Header and payload, without what lies behind.
    pub fn datagram(&self) -> &[u8] {
        &self.0.as_ref()[..self.total_len()]
    }

    /// What follows the header.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..self.total_len()]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv6Packet<T> {
    /// Sets DSCP and ECN.
    pub fn set_traffic_class(&mut self, class: u8) {
        let word = self.first_word() & 0xf00f_ffff | u32::from(class) << 20;
        self.0.as_mut()[..4].copy_from_slice(&word.to_be_bytes());
    }

    /// Sets the octets of what follows the header.
    pub fn set_payload_len(&mut self, octets: u16) {
        self.0.as_mut()[field::PAYLOAD_LENGTH..field::PAYLOAD_LENGTH + 2].copy_from_slice(&octets.to_be_bytes());
    }

    /// Sets the hops that are left.
    pub fn set_hop_limit(&mut self, hops: u8) {
        self.0.as_mut()[field::HOP_LIMIT] = hops;
    }

    /// Takes one hop (section 3). False, and no change, if the limit is 0 or 1: the packet must not be forwarded.
    pub fn decrement_hop_limit(&mut self) -> bool {
        let hops = self.hop_limit();
        if hops <= 1 {
            return false;
        }
        self.set_hop_limit(hops - 1);
        true
    }

    /// The payload, to change in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.total_len();
        &mut self.0.as_mut()[HEADER_LEN..end]
    }
}

/// A header as a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv6Header {
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
    /// What follows: a protocol or an extension header.
    pub next_header: u8,
    /// Hops that are left.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
}

impl Ipv6Header {
    /// A header with the default hop limit and nothing else.
    pub const fn new(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8) -> Self {
        Self { src, dst, next_header, hop_limit: DEFAULT_HOP_LIMIT, traffic_class: 0, flow_label: 0 }
    }

    /// The header of a packet.
    pub fn parse<T: AsRef<[u8]>>(packet: &Ipv6Packet<T>) -> Self {
        Self {
            src: packet.src(),
            dst: packet.dst(),
            next_header: packet.next_header(),
            hop_limit: packet.hop_limit(),
            traffic_class: packet.traffic_class(),
            flow_label: packet.flow_label(),
        }
    }

    /// Writes the header into the first 40 octets of a packet with a payload of so many.
    pub fn emit(&self, buffer: &mut [u8], payload_len: u16) {
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        buffer[..4].copy_from_slice(&word.to_be_bytes());
        buffer[field::PAYLOAD_LENGTH..field::NEXT_HEADER].copy_from_slice(&payload_len.to_be_bytes());
        buffer[field::NEXT_HEADER] = self.next_header;
        buffer[field::HOP_LIMIT] = self.hop_limit;
        buffer[field::SOURCE..field::DESTINATION].copy_from_slice(&self.src.octets());
        buffer[field::DESTINATION..HEADER_LEN].copy_from_slice(&self.dst.octets());
    }

    /// Puts the header in front of `packet`, whose bytes become its payload. Allocates nothing while headroom lasts.
    ///
    /// # Panics
    /// If the payload is longer than 65,535 octets.
    pub fn push(&self, packet: &mut Packet) {
        let octets = u16::try_from(packet.len()).expect("the payload of an IPv6 packet fits 65,535 octets");
        self.emit(packet.push_front(HEADER_LEN), octets);
    }

    /// A packet of this header and `payload`.
    pub fn packet(&self, payload: &[u8], meta: Meta) -> Packet {
        let mut packet = Packet::from_bytes(payload, meta);
        self.push(&mut packet);
        packet
    }
}

/// A Fragment header as a value (section 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentHeader {
    /// What the whole packet has in this header's place.
    pub next_header: u8,
    /// Where the fragment belongs in what was cut, in octets, a multiple of eight.
    pub offset: usize,
    /// True if others follow behind it.
    pub more: bool,
    /// Of the whole: all its fragments have it.
    pub ident: u32,
}

impl FragmentHeader {
    /// Octets of the header.
    pub const LEN: usize = 8;

    /// The header, and what follows it.
    ///
    /// # Errors
    /// If there are fewer than eight octets.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let Some((&[next_header, _, high, low, a, b, c, d], rest)) = bytes.split_first_chunk::<{ Self::LEN }>() else {
            return Err(WireError { layer: "IPv6", field: "Fragment header", problem: "shorter than 8 octets" });
        };
        let word = u16::from_be_bytes([high, low]);
        let ident = u32::from_be_bytes([a, b, c, d]);
        Ok((Self { next_header, offset: usize::from(word & !7), more: word & 1 != 0, ident }, rest))
    }

    /// The octets of the header.
    pub fn octets(&self) -> [u8; Self::LEN] {
        let [high, low] = (self.offset as u16 & !7 | u16::from(self.more)).to_be_bytes();
        let [a, b, c, d] = self.ident.to_be_bytes();
        [self.next_header, 0, high, low, a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Ipv6FragmentHeader, Ipv6HeaderSlice};
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = Ipv6Header> {
        let addresses = (any::<Ipv6Addr>(), any::<Ipv6Addr>());
        let others = (any::<u8>(), any::<u8>(), any::<u8>(), 0..(1u32 << 20));
        (addresses, others).prop_map(|((src, dst), (next_header, hop_limit, traffic_class, flow_label))| Ipv6Header {
            src,
            dst,
            next_header,
            hop_limit,
            traffic_class,
            flow_label,
        })
    }

    /// Written down from the drawing of section 3, field by field.
    #[test]
    fn a_header_written_by_hand() {
        let (src, dst): (Ipv6Addr, Ipv6Addr) = ("2001:db8::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let header = Ipv6Header {
            hop_limit: 0x40,
            traffic_class: 0xa5,
            flow_label: 0x1_2345,
            ..Ipv6Header::new(src, dst, next_header::ICMPV6)
        };
        let packet = header.packet(&[1, 2, 3], Meta::default());
        let first = [0x6a, 0x51, 0x23, 0x45, 0, 3, 58, 0x40];
        let expected = [&first[..], &src.octets(), &dst.octets(), &[1, 2, 3]].concat();
        assert_eq!(packet.bytes(), expected);
    }

    #[test]
    fn errors_name_the_field() {
        let whole = Ipv6Header::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, 17).packet(&[0; 4], Meta::default());
        let error = |change: fn(&mut Vec<u8>)| {
            let mut bytes = whole.bytes().to_vec();
            change(&mut bytes);
            Ipv6Packet::new_checked(bytes).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(error(|b| b.truncate(39)), "IPv6: header: shorter than 40 octets");
        assert_eq!(error(|b| b[0] = 0x45), "IPv6: Version: not 6");
        assert_eq!(error(|b| b.truncate(43)), "IPv6: Payload Length: more octets than arrived");
        let error = FragmentHeader::parse(&[0; 7]).unwrap_err().to_string();
        assert_eq!(error, "IPv6: Fragment header: shorter than 8 octets");
    }

    #[test]
    fn the_last_hop_is_not_taken() {
        let header = Ipv6Header { hop_limit: 3, ..Ipv6Header::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, 6) };
        let mut packet = header.packet(b"x", Meta::default());
        let mut view = Ipv6Packet::new_checked(packet.bytes_mut()).unwrap();
        assert!(view.decrement_hop_limit() && view.decrement_hop_limit());
        assert!(!view.decrement_hop_limit());
        assert_eq!(view.hop_limit(), 1);
    }

    proptest! {
        #[test]
        fn parse_after_emit_is_identity_and_etherparse_agrees(header in headers(), payload in 0..1400usize) {
            let packet = header.packet(&vec![0; payload], Meta::default());
            let view = Ipv6Packet::new_checked(packet.bytes()).unwrap();
            prop_assert_eq!(Ipv6Header::parse(&view), header);
            let other = Ipv6HeaderSlice::from_slice(packet.bytes()).unwrap().to_header();
            prop_assert_eq!((other.source, other.destination), (header.src.octets(), header.dst.octets()));
            prop_assert_eq!((other.next_header.0, other.hop_limit), (header.next_header, header.hop_limit));
            prop_assert_eq!((other.traffic_class, other.flow_label.value()), (header.traffic_class, header.flow_label));
            prop_assert_eq!((usize::from(other.payload_length), view.total_len()), (payload, packet.len()));
        }

        #[test]
        fn a_traffic_class_is_set_and_nothing_else(header in headers(), class: u8) {
            let mut packet = header.packet(b"", Meta::default());
            Ipv6Packet::new_unchecked(packet.bytes_mut()).set_traffic_class(class);
            let marked = Ipv6Header { traffic_class: class, ..header };
            prop_assert_eq!(Ipv6Header::parse(&Ipv6Packet::new_checked(packet.bytes()).unwrap()), marked);
        }

        #[test]
        fn etherparse_reads_a_fragment_header(next_header: u8, offset in 0..8192usize, more: bool, ident: u32) {
            let header = FragmentHeader { next_header, offset: offset * 8, more, ident };
            let octets = header.octets();
            prop_assert_eq!(FragmentHeader::parse(&octets).unwrap(), (header, &[][..]));
            let (other, _) = Ipv6FragmentHeader::from_slice(&octets).unwrap();
            prop_assert_eq!((other.next_header.0, other.more_fragments), (next_header, more));
            prop_assert_eq!((usize::from(other.fragment_offset.byte_offset()), other.identification), (header.offset, ident));
        }

        /// Whatever arrives: a checked view answers every question without a panic.
        #[test]
        fn nothing_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), plausible: bool) {
            if plausible && bytes.len() > 5 {
                bytes[0] = 0x60 | bytes[0] & 0x0f;
                bytes[4] = 0;
                bytes[5] %= 60;
            }
            if let Ok(mut view) = Ipv6Packet::new_checked(bytes) {
                let _ = (view.datagram().len(), Ipv6Header::parse(&view), FragmentHeader::parse(view.payload()).is_ok());
                view.decrement_hop_limit();
                view.payload_mut().fill(0);
            }
        }
    }
}
