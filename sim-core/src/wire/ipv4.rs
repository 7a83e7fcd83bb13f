//! IPv4 (RFC 791): a view over the bytes, and the header as a value.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version|  IHL  |     TOS       |          Total Length         |
//! |         Identification        |Flags|      Fragment Offset    |
//! |      TTL      |    Protocol   |         Header Checksum       |
//! |                         Source Address                        |
//! |                      Destination Address                      |
//! |                    Options                    |    Padding    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Left out: options are carried and skipped, never acted on or emitted (RFC 791 section 3.1); routers on the Internet
//! drop or ignore them.

use std::net::Ipv4Addr;

use super::{WireError, checksum};
use crate::packet::{Meta, Packet};

/// Protocol numbers, as IANA assigned them.
pub mod protocol {
    /// ICMP (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// GRE (RFC 2784).
    pub const GRE: u8 = 47;
    /// ESP (RFC 4303).
    pub const ESP: u8 = 50;
    /// AH (RFC 4302).
    pub const AH: u8 = 51;
}

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// TTL of what hosts and routers send (RFC 1700's default, as Linux does).
pub const DEFAULT_TTL: u8 = 64;
/// Every host can receive a datagram of this many octets, whole or in fragments (RFC 791 section 3.1).
pub const MIN_REASSEMBLY: usize = 576;

mod field {
    use core::ops::Range;
    pub const VERSION_IHL: usize = 0;
    pub const TOS: usize = 1;
    pub const TOTAL_LENGTH: usize = 2;
    pub const IDENTIFICATION: usize = 4;
    pub const FLAGS_OFFSET: usize = 6;
    pub const TTL: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const CHECKSUM: usize = 10;
    pub const SOURCE: Range<usize> = 12..16;
    pub const DESTINATION: Range<usize> = 16..20;
}

const DF: u16 = 0x4000;
const MF: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// A view of a datagram over any buffer.
///
/// A view from [`Ipv4Packet::new_checked`] never panics; one from [`Ipv4Packet::new_unchecked`] panics on bytes that
/// the check would refuse.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4Packet<T>(T);

impl<T: AsRef<[u8]>> Ipv4Packet<T> {
    /// A view over bytes that are known to be a datagram.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over bytes whose version and lengths are consistent. The checksum is not verified.
    ///
    /// # Errors
    /// Names the first field that does not fit. Octets behind the total length are allowed and ignored.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "IPv4", field, problem };
        let b = buffer.as_ref();
        if b.len() < HEADER_LEN {
            return Err(err("header", "shorter than 20 octets"));
        }
        if b[field::VERSION_IHL] >> 4 != 4 {
            return Err(err("Version", "not 4"));
        }
        let packet = Ipv4Packet(b);
        let (header, total) = (packet.header_len(), usize::from(packet.total_len()));
        if header < HEADER_LEN {
            return Err(err("IHL", "less than 5 words"));
        }
        if total < header {
            return Err(err("Total Length", "less than the header"));
        }
        if total > b.len() {
            return Err(err("Total Length", "more octets than arrived"));
        }
        Ok(Self(buffer))
    }

    fn u16_at(&self, at: usize) -> u16 {
        let b = self.0.as_ref();
        u16::from_be_bytes([b[at], b[at + 1]])
    }

    /// Octets of the header, options included.
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[field::VERSION_IHL] & 0x0f) * 4
    }

    /// Type of service: DSCP in the upper six bits, ECN in the lower two (RFC 2474, RFC 3168).
    pub fn tos(&self) -> u8 {
        self.0.as_ref()[field::TOS]
    }

    /// Octets of header and payload.
    pub fn total_len(&self) -> u16 {
        self.u16_at(field::TOTAL_LENGTH)
    }

    /// Identification, which fragments of one datagram share.
    pub fn ident(&self) -> u16 {
        self.u16_at(field::IDENTIFICATION)
    }

    /// The DF bit.
    pub fn dont_fragment(&self) -> bool {
        self.u16_at(field::FLAGS_OFFSET) & DF != 0
    }

    /// The MF bit.
    pub fn more_fragments(&self) -> bool {
        self.u16_at(field::FLAGS_OFFSET) & MF != 0
    }

    /// Where the payload belongs in the whole datagram's payload, in octets (the field counts units of eight).
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.u16_at(field::FLAGS_OFFSET) & OFFSET_MASK) * 8
    }

    /// True if this is a part of a datagram, first or not.
    pub fn is_fragment(&self) -> bool {
        self.u16_at(field::FLAGS_OFFSET) & (MF | OFFSET_MASK) != 0
    }

    /// Time to live, in hops.
    pub fn ttl(&self) -> u8 {
        self.0.as_ref()[field::TTL]
    }

    /// The protocol above, see [`protocol`].
    pub fn protocol(&self) -> u8 {
        self.0.as_ref()[field::PROTOCOL]
    }

    /// The header checksum as it stands.
    pub fn checksum(&self) -> u16 {
        self.u16_at(field::CHECKSUM)
    }

    /// The options, padding included; empty in most headers.
    pub fn options(&self) -> &[u8] {
        &self.header()[HEADER_LEN..]
    }

    /// True if the header checksum is right.
    pub fn verify_checksum(&self) -> bool {
        checksum::sum(self.header()) == 0xffff
    }

    /// Source address.
    pub fn src(&self) -> Ipv4Addr {
        address(&self.0.as_ref()[field::SOURCE])
    }

    /// Destination address.
    pub fn dst(&self) -> Ipv4Addr {
        address(&self.0.as_ref()[field::DESTINATION])
    }

    /// The header, options included.
    pub fn header(&self) -> &[u8] {
        &self.0.as_ref()[..self.header_len()]
    }

    /// Header and payload, without what lies behind the total length.
    pub fn datagram(&self) -> &[u8] {
        &self.0.as_ref()[..usize::from(self.total_len())]
    }

    /// What follows the header, up to the total length.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[self.header_len()..usize::from(self.total_len())]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Ipv4Packet<T> {
    fn put_u16(&mut self, at: usize, value: u16) {
        self.0.as_mut()[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Sets version 4 and the header's length in octets, a multiple of four up to 60.
    pub fn set_header_len(&mut self, octets: usize) {
        self.0.as_mut()[field::VERSION_IHL] = 0x40 | (octets / 4) as u8;
    }

    /// Sets DSCP and ECN.
    pub fn set_tos(&mut self, tos: u8) {
        self.0.as_mut()[field::TOS] = tos;
    }

    /// Sets the total length in octets.
    pub fn set_total_len(&mut self, octets: u16) {
        self.put_u16(field::TOTAL_LENGTH, octets);
    }

    /// Sets the identification.
    pub fn set_ident(&mut self, ident: u16) {
        self.put_u16(field::IDENTIFICATION, ident);
    }

    /// Sets DF, MF and the fragment offset in octets (a multiple of eight).
    pub fn set_fragment(&mut self, dont_fragment: bool, more_fragments: bool, offset: usize) {
        let flags = if dont_fragment { DF } else { 0 } | if more_fragments { MF } else { 0 };
        self.put_u16(field::FLAGS_OFFSET, flags | (offset / 8) as u16 & OFFSET_MASK);
    }

    /// Sets the time to live.
    pub fn set_ttl(&mut self, ttl: u8) {
        self.0.as_mut()[field::TTL] = ttl;
    }

    /// Sets the protocol above.
    pub fn set_protocol(&mut self, protocol: u8) {
        self.0.as_mut()[field::PROTOCOL] = protocol;
    }

    /// Sets the header checksum to a known value.
    pub fn set_checksum(&mut self, checksum: u16) {
        self.put_u16(field::CHECKSUM, checksum);
    }

    /// Sets the source address.
    pub fn set_src(&mut self, address: Ipv4Addr) {
        self.0.as_mut()[field::SOURCE].copy_from_slice(&address.octets());
    }

    /// Sets the destination address.
    pub fn set_dst(&mut self, address: Ipv4Addr) {
        self.0.as_mut()[field::DESTINATION].copy_from_slice(&address.octets());
    }

    /// Computes the header checksum.
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let sum = checksum::sum(self.header());
        self.set_checksum(!sum);
    }

    /// Takes one hop off the TTL and updates the checksum in place (RFC 1812 section 5.3.1, RFC 1624).
    /// False, and no change, if the TTL is 0 or 1: the packet must not be forwarded.
    pub fn decrement_ttl(&mut self) -> bool {
        let ttl = self.ttl();
        if ttl <= 1 {
            return false;
        }
        let low = u16::from(self.protocol());
        let word = |ttl: u8| u16::from(ttl) << 8 | low;
        let updated = checksum::adjust(self.checksum(), word(ttl), word(ttl - 1));
        self.set_ttl(ttl - 1);
        self.set_checksum(updated);
        true
    }

    /// The payload, to change in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let range = self.header_len()..usize::from(self.total_len());
        &mut self.0.as_mut()[range]
    }
}

/// A header without options, as a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Header {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// The protocol above, see [`protocol`].
    pub protocol: u8,
    /// Time to live, in hops.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Identification.
    pub ident: u16,
    /// The DF bit.
    pub dont_fragment: bool,
    /// The MF bit.
    pub more_fragments: bool,
    /// Fragment offset in octets, a multiple of eight.
    pub fragment_offset: usize,
}

impl Ipv4Header {
    /// A header for a whole datagram: default TTL, DF clear, identification 0.
    pub const fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> Self {
        Self {
            src,
            dst,
            protocol,
            ttl: DEFAULT_TTL,
            tos: 0,
            ident: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
        }
    }

    /// The same header with the DF bit set.
    pub const fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// The header of a datagram; its options are forgotten.
    pub fn parse<T: AsRef<[u8]>>(packet: &Ipv4Packet<T>) -> Self {
        Self {
            src: packet.src(),
            dst: packet.dst(),
            protocol: packet.protocol(),
            ttl: packet.ttl(),
            tos: packet.tos(),
            ident: packet.ident(),
            dont_fragment: packet.dont_fragment(),
            more_fragments: packet.more_fragments(),
            fragment_offset: packet.fragment_offset(),
        }
    }

    /// Writes the header, checksum included, into the first 20 octets of a datagram of `total_len` octets.
    pub fn emit(&self, buffer: &mut [u8], total_len: u16) {
        let mut p = Ipv4Packet::new_unchecked(buffer);
        p.set_header_len(HEADER_LEN);
        p.set_tos(self.tos);
        p.set_total_len(total_len);
        p.set_ident(self.ident);
        p.set_fragment(self.dont_fragment, self.more_fragments, self.fragment_offset);
        p.set_ttl(self.ttl);
        p.set_protocol(self.protocol);
        p.set_src(self.src);
        p.set_dst(self.dst);
        p.fill_checksum();
    }

    /// Puts the header in front of `packet`, whose bytes become its payload. Allocates nothing while headroom lasts.
    ///
    /// # Panics
    /// If the datagram would be longer than 65,535 octets.
    pub fn push(&self, packet: &mut Packet) {
        let total = u16::try_from(packet.len() + HEADER_LEN).expect("an IPv4 datagram fits 65,535 octets");
        self.emit(packet.push_front(HEADER_LEN), total);
    }

    /// A packet of this header and `payload`.
    pub fn packet(&self, payload: &[u8], meta: Meta) -> Packet {
        let mut packet = Packet::from_bytes(payload, meta);
        self.push(&mut packet);
        packet
    }
}

fn address(octets: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::Ipv4HeaderSlice;
    use proptest::prelude::*;

    /// The header that the Wikipedia article "Internet checksum" works through: checksum b861.
    const KNOWN: [u8; 20] = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
        0x00, 0xc7,
    ];

    fn headers() -> impl Strategy<Value = Ipv4Header> {
        let addresses = (any::<Ipv4Addr>(), any::<Ipv4Addr>());
        let bytes = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u16>());
        let flags = (any::<bool>(), any::<bool>(), 0..8192usize);
        (addresses, bytes, flags).prop_map(|((src, dst), (protocol, ttl, tos, ident), (df, mf, offset))| Ipv4Header {
            src,
            dst,
            protocol,
            ttl,
            tos,
            ident,
            dont_fragment: df,
            more_fragments: mf,
            fragment_offset: offset * 8,
        })
    }

    #[test]
    fn a_known_header_parses_and_emits() {
        let mut bytes = [0; 0x73];
        bytes[..20].copy_from_slice(&KNOWN);
        let view = Ipv4Packet::new_checked(&bytes[..]).unwrap();
        assert!(view.verify_checksum());
        let header = Ipv4Header::parse(&view);
        let expected = Ipv4Header::new([192, 168, 0, 1].into(), [192, 168, 0, 199].into(), protocol::UDP);
        assert_eq!(header, expected.dont_fragment());
        let mut emitted = [0xff; 20];
        header.emit(&mut emitted, 0x73);
        assert_eq!(emitted, KNOWN);
    }

    #[test]
    fn errors_name_the_field() {
        let field_of = |change: fn(&mut Vec<u8>)| {
            let mut bytes = KNOWN.to_vec();
            bytes.resize(0x73, 0);
            change(&mut bytes);
            Ipv4Packet::new_checked(bytes).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(field_of(|b| b.truncate(19)), "IPv4: header: shorter than 20 octets");
        assert_eq!(field_of(|b| b[0] = 0x65), "IPv4: Version: not 4");
        assert_eq!(field_of(|b| b[0] = 0x44), "IPv4: IHL: less than 5 words");
        assert_eq!(field_of(|b| b[3] = 19), "IPv4: Total Length: less than the header");
        assert_eq!(field_of(|b| b.truncate(0x72)), "IPv4: Total Length: more octets than arrived");
    }

    #[test]
    fn the_last_hop_is_not_taken() {
        let header = Ipv4Header { ttl: 3, ..Ipv4Header::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 6) };
        let mut packet = header.packet(b"x", Meta::default());
        let mut view = Ipv4Packet::new_checked(packet.bytes_mut()).unwrap();
        assert!(view.decrement_ttl() && view.decrement_ttl());
        assert!(view.verify_checksum());
        assert!(!view.decrement_ttl());
        assert_eq!(view.ttl(), 1);
    }

    proptest! {
        #[test]
        fn parse_after_emit_is_identity_and_etherparse_agrees(header in headers(), payload in 0..1400usize) {
            let packet = header.packet(&vec![0; payload], Meta::default());
            let view = Ipv4Packet::new_checked(packet.bytes()).unwrap();
            prop_assert!(view.verify_checksum());
            prop_assert_eq!(Ipv4Header::parse(&view), header);
            let other = Ipv4HeaderSlice::from_slice(packet.bytes()).unwrap().to_header();
            prop_assert_eq!((other.source, other.destination), (header.src.octets(), header.dst.octets()));
            prop_assert_eq!((other.protocol.0, other.time_to_live), (header.protocol, header.ttl));
            prop_assert_eq!((other.dscp.value() << 2) | other.ecn.value(), header.tos);
            prop_assert_eq!((other.dont_fragment, other.more_fragments), (header.dont_fragment, header.more_fragments));
            prop_assert_eq!(usize::from(other.fragment_offset.byte_offset()), header.fragment_offset);
            prop_assert_eq!((other.identification, usize::from(other.total_len)), (header.ident, packet.len()));
            prop_assert_eq!(other.calc_header_checksum(), view.checksum());
        }

        #[test]
        fn a_hop_keeps_the_checksum_right(header in headers()) {
            let mut packet = header.packet(b"", Meta::default());
            let mut view = Ipv4Packet::new_unchecked(packet.bytes_mut());
            prop_assert_eq!(view.decrement_ttl(), header.ttl > 1);
            prop_assert!(view.verify_checksum());
        }

        /// Whatever arrives: a checked view answers every question without a panic.
        #[test]
        fn nothing_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), plausible: bool) {
            if plausible && bytes.len() > 3 {
                bytes[0] = 0x40 | bytes[0] & 0x0f;
                bytes[2] = 0;
                bytes[3] %= 80;
            }
            if let Ok(mut view) = Ipv4Packet::new_checked(bytes) {
                let _ = (view.verify_checksum(), view.options().len(), view.payload().len(), Ipv4Header::parse(&view));
                view.decrement_ttl();
                view.payload_mut().fill(0);
                view.fill_checksum();
                prop_assert!(view.verify_checksum());
            }
        }
    }
}
