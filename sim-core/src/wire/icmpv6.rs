//! ICMP for IPv6 (RFC 4443): a view over the bytes, the kinds in use, and helpers that build messages.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Type      |     Code      |          Checksum             |
//! |  Identifier and Sequence (echo), MTU (too big), else unused   |
//! |  echo data, or as much of the packet as fits 1,280 octets     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The checksum covers a pseudo-header, too (section 2.3), so a message is verified between its addresses.
//!
//! Left out: neighbour discovery (RFC 4861). Every link of a world has two ends and no link-layer addresses, so there is nothing to
//! resolve (section 7.2), as there is nothing to resolve inside a tunnel in layer 3: in the /126 of a tunnel AWS's end and the
//! customer gateway's are the only neighbours. With it are left out router advertisements and autoconfiguration (RFC 4862):
//! addresses and routes come from the scenario and from BGP. Also left out: multicast listeners (RFC 3810), redirects and extensions (RFC
//! 4884). Such messages parse as [`Icmpv6Kind::Other`].

use std::net::Ipv6Addr;

use super::ipv6::{self, Ipv6Header, Ipv6Packet, next_header};
use super::{WireError, checksum};
use crate::packet::{Meta, Packet};

/// Octets before the data of every message.
pub const HEADER_LEN: usize = 8;

mod field {
    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: usize = 2;
    pub const IDENTIFIER: usize = 4;
    pub const SEQUENCE: usize = 6;
}

/// What a message says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Icmpv6Kind {
    /// Type 1 code 0: there is no route to the destination.
    NoRoute,
    /// Type 1 code 1: a filter refused it.
    AdministrativelyProhibited,
    /// Type 1 code 3: the link to it has nobody with that address.
    AddressUnreachable,
    /// Type 1 code 4: nobody listens on the port.
    PortUnreachable,
    /// Type 2: too big for the next hop, whose MTU is in the header.
    PacketTooBig,
    /// Type 3 code 0: no hops are left.
    HopLimitExceeded,
    /// Type 3 code 1: fragments are missing.
    ReassemblyTimeExceeded,
    /// Type 128.
    EchoRequest,
    /// Type 129.
    EchoReply,
    /// Any other type and code.
    Other(u8, u8),
}

impl Icmpv6Kind {
    /// The kind with this type and code. The code of a Packet Too Big is ignored by its receiver (section 3.2).
    pub const fn from_type_code(ty: u8, code: u8) -> Self {
        match (ty, code) {
            (1, 0) => Self::NoRoute,
            (1, 1) => Self::AdministrativelyProhibited,
            (1, 3) => Self::AddressUnreachable,
            (1, 4) => Self::PortUnreachable,
            (2, _) => Self::PacketTooBig,
            (3, 0) => Self::HopLimitExceeded,
            (3, 1) => Self::ReassemblyTimeExceeded,
            (128, 0) => Self::EchoRequest,
            (129, 0) => Self::EchoReply,
            (ty, code) => Self::Other(ty, code),
        }
    }

    /// Type and code on the wire.
    pub const fn type_code(self) -> (u8, u8) {
        match self {
            Self::NoRoute => (1, 0),
            Self::AdministrativelyProhibited => (1, 1),
            Self::AddressUnreachable => (1, 3),
            Self::PortUnreachable => (1, 4),
            Self::PacketTooBig => (2, 0),
            Self::HopLimitExceeded => (3, 0),
            Self::ReassemblyTimeExceeded => (3, 1),
            Self::EchoRequest => (128, 0),
            Self::EchoReply => (129, 0),
            Self::Other(ty, code) => (ty, code),
        }
    }

    /// True for messages about another packet, which they quote: their types have a zero in the highest bit (section 2.1).
    pub const fn is_error(self) -> bool {
        self.type_code().0 < 128
    }
}

/// A view of a message over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6Message<T>(T);

impl<T: AsRef<[u8]>> Icmpv6Message<T> {
    /// A view over bytes that are known to be a message; panics later if they are not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over at least the eight octets that every message here has. The checksum is not verified.
    ///
    /// # Errors
    /// If the message is shorter.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        if buffer.as_ref().len() < HEADER_LEN {
            return Err(WireError { layer: "ICMPv6", field: "header", problem: "shorter than 8 octets" });
        }
        Ok(Self(buffer))
    }

    fn u16_at(&self, at: usize) -> u16 {
        let b = self.0.as_ref();
        u16::from_be_bytes([b[at], b[at + 1]])
    }

    /// What it says.
    pub fn kind(&self) -> Icmpv6Kind {
        let b = self.0.as_ref();
        Icmpv6Kind::from_type_code(b[field::TYPE], b[field::CODE])
    }

    /// Identifier of an echo.
    pub fn echo_ident(&self) -> u16 {
        self.u16_at(field::IDENTIFIER)
    }

    /// Sequence number of an echo.
    pub fn echo_seq(&self) -> u16 {
        self.u16_at(field::SEQUENCE)
    }

    /// The next hop's MTU in [`Icmpv6Kind::PacketTooBig`].
    pub fn mtu(&self) -> u32 {
        u32::from(self.u16_at(field::IDENTIFIER)) << 16 | u32::from(self.u16_at(field::SEQUENCE))
    }

    /// True if the checksum is right between these addresses.
    pub fn verify_checksum(&self, src: Ipv6Addr, dst: Ipv6Addr) -> bool {
        self.sum(src, dst) == 0xffff
    }

    /// Echo data, or the packet that an error quotes.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }

    fn sum(&self, src: Ipv6Addr, dst: Ipv6Addr) -> u16 {
        let octets = self.0.as_ref();
        let pseudo = checksum::pseudo_header_v6(src, dst, next_header::ICMPV6, octets.len() as u32);
        checksum::add(pseudo, checksum::sum(octets))
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Icmpv6Message<T> {
    fn put_u16(&mut self, at: usize, value: u16) {
        self.0.as_mut()[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Sets type and code.
    pub fn set_kind(&mut self, kind: Icmpv6Kind) {
        let (ty, code) = kind.type_code();
        self.0.as_mut()[field::TYPE] = ty;
        self.0.as_mut()[field::CODE] = code;
    }

    /// Sets the identifier of an echo.
    pub fn set_echo_ident(&mut self, ident: u16) {
        self.put_u16(field::IDENTIFIER, ident);
    }

    /// Sets the sequence number of an echo.
    pub fn set_echo_seq(&mut self, seq: u16) {
        self.put_u16(field::SEQUENCE, seq);
    }

    /// Sets the next hop's MTU.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.0.as_mut()[field::IDENTIFIER..HEADER_LEN].copy_from_slice(&mtu.to_be_bytes());
    }

    /// Computes the checksum between these addresses.
    pub fn fill_checksum(&mut self, src: Ipv6Addr, dst: Ipv6Addr) {
        self.put_u16(field::CHECKSUM, 0);
        let sum = self.sum(src, dst);
        self.put_u16(field::CHECKSUM, !sum);
    }
}

/// The beginning of a packet, as an error quotes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted<'a> {
    /// The header of the packet that the error is about.
    pub header: Ipv6Header,
    /// What is quoted of its payload.
    pub payload: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// The packet quoted in an error's payload, which is allowed to be cut short.
    ///
    /// # Errors
    /// If the quotation does not even hold a header.
    pub fn parse(quotation: &'a [u8]) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "quoted IPv6", field, problem };
        let Some((header, payload)) = quotation.split_at_checked(ipv6::HEADER_LEN) else {
            return Err(err("header", "shorter than 40 octets"));
        };
        if !ipv6::is_ipv6(header) {
            return Err(err("Version", "not 6"));
        }
        Ok(Self { header: Ipv6Header::parse(&Ipv6Packet::new_unchecked(header)), payload })
    }
}

/// An IPv6 packet with an echo message around data that is in its packet already: default hop limit.
pub fn echo_around(
    kind: Icmpv6Kind,
    src: Ipv6Addr,
    dst: Ipv6Addr,
    echo: super::icmp::Echo,
    mut packet: Packet,
) -> Packet {
    let mut message = Icmpv6Message::new_unchecked(packet.push_front(HEADER_LEN));
    message.set_kind(kind);
    message.set_echo_ident(echo.ident);
    message.set_echo_seq(echo.seq);
    message.fill_checksum(src, dst);
    Ipv6Header::new(src, dst, next_header::ICMPV6).push(&mut packet);
    packet
}

/// An IPv6 packet with an error of this kind, quoting so much of `about`; `mtu` is that of a Packet Too Big, and zero otherwise
/// (sections 3.1 to 3.3).
pub fn error(kind: Icmpv6Kind, mtu: u32, (src, dst): (Ipv6Addr, Ipv6Addr), about: &[u8], meta: Meta) -> Packet {
    let mut packet = Packet::from_bytes(about, meta);
    packet.push_front(HEADER_LEN)[..HEADER_LEN].fill(0);
    let mut message = Icmpv6Message::new_unchecked(packet.bytes_mut());
    message.set_kind(kind);
    message.set_mtu(mtu);
    message.fill_checksum(src, dst);
    Ipv6Header::new(src, dst, next_header::ICMPV6).push(&mut packet);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::icmp::Echo;
    use etherparse::Icmpv6Slice;
    use proptest::prelude::*;

    const A: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

    /// Sections 3 and 4: each message's type and code, as the RFC numbers them.
    #[test]
    fn the_numbers_of_the_rfc() {
        for (kind, numbers, error) in [
            (Icmpv6Kind::NoRoute, (1, 0), true),
            (Icmpv6Kind::AdministrativelyProhibited, (1, 1), true),
            (Icmpv6Kind::AddressUnreachable, (1, 3), true),
            (Icmpv6Kind::PortUnreachable, (1, 4), true),
            (Icmpv6Kind::PacketTooBig, (2, 0), true),
            (Icmpv6Kind::HopLimitExceeded, (3, 0), true),
            (Icmpv6Kind::ReassemblyTimeExceeded, (3, 1), true),
            (Icmpv6Kind::EchoRequest, (128, 0), false),
            (Icmpv6Kind::EchoReply, (129, 0), false),
            (Icmpv6Kind::Other(4, 1), (4, 1), true),
            (Icmpv6Kind::Other(135, 0), (135, 0), false),
        ] {
            assert_eq!((kind.type_code(), kind.is_error()), (numbers, error), "{kind:?}");
            assert_eq!(Icmpv6Kind::from_type_code(numbers.0, numbers.1), kind);
        }
    }

    /// Section 2.3, by hand: the addresses fd00+1+fd00+2, length 000c, next header 003a, type and code 8000, ident 1234, seq 0007
    /// and data 6f64+6421 are 3 6009; folded that is 600c, and its complement 9ff3.
    #[test]
    fn a_checksum_by_hand() {
        let echo = Echo { ident: 0x1234, seq: 7 };
        let data = Packet::from_bytes(b"odd!", Meta::default());
        let packet = echo_around(Icmpv6Kind::EchoRequest, A, B, echo, data);
        let ip = Ipv6Packet::new_checked(packet.bytes()).unwrap();
        assert_eq!(ip.payload()[2..4], [0x9f, 0xf3]);
        let message = Icmpv6Message::new_checked(ip.payload()).unwrap();
        assert!(message.verify_checksum(A, B) && !message.verify_checksum(A, A));
    }

    #[test]
    fn an_error_quotes_and_tells_the_mtu() {
        let about = Ipv6Header::new(A, B, 17).packet(&[0x13, 0x88, 0, 53, 0, 8, 0, 0], Meta::default());
        let error = error(Icmpv6Kind::PacketTooBig, 1_400, (B, A), about.bytes(), Meta::default());
        let ip = Ipv6Packet::new_checked(error.bytes()).unwrap();
        let message = Icmpv6Message::new_checked(ip.payload()).unwrap();
        assert_eq!((message.kind(), message.mtu()), (Icmpv6Kind::PacketTooBig, 1_400));
        assert!(message.verify_checksum(B, A));
        let quoted = Quoted::parse(message.payload()).unwrap();
        assert_eq!((quoted.header.src, quoted.header.dst, quoted.payload), (A, B, &about.bytes()[40..]));
        let short = Quoted::parse(&about.bytes()[..39]).unwrap_err().to_string();
        assert_eq!(short, "quoted IPv6: header: shorter than 40 octets");
    }

    proptest! {
        #[test]
        fn etherparse_agrees_on_the_checksum(
            src: Ipv6Addr,
            dst: Ipv6Addr,
            ident: u16,
            seq: u16,
            data in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let data = Packet::from_bytes(&data, Meta::default());
            let packet = echo_around(Icmpv6Kind::EchoReply, src, dst, Echo { ident, seq }, data);
            let ip = Ipv6Packet::new_checked(packet.bytes()).unwrap();
            let message = Icmpv6Message::new_checked(ip.payload()).unwrap();
            prop_assert_eq!((message.echo_ident(), message.echo_seq()), (ident, seq));
            prop_assert!(message.verify_checksum(src, dst));
            let other = Icmpv6Slice::from_slice(ip.payload()).unwrap();
            prop_assert!(other.is_checksum_valid(src.octets(), dst.octets()));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Quoted::parse(&bytes);
            if let Ok(mut message) = Icmpv6Message::new_checked(bytes) {
                let _ = (message.kind(), message.mtu(), message.verify_checksum(A, B), message.payload().len());
                message.fill_checksum(A, B);
                prop_assert!(message.verify_checksum(A, B));
            }
        }
    }
}
