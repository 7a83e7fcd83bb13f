//! ICMP for IPv4 (RFC 792, RFC 1191, RFC 1812): a view over the bytes, the kinds in use, and helpers that build messages.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Type      |     Code      |          Checksum             |
//! |  Identifier (echo), unused    | Sequence (echo), Next-Hop MTU |
//! |  echo data, or the header and first octets of the datagram    |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! Left out: redirects, source quench (RFC 6633), timestamps, router discovery and extensions (RFC 4884); such messages
//! parse as [`IcmpKind::Other`].

use std::net::Ipv4Addr;

use super::ipv4::{self, Ipv4Header, Ipv4Packet, protocol};
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
    pub const NEXT_HOP_MTU: usize = 6;
}

/// What an ICMP message says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IcmpKind {
    /// Type 0.
    EchoReply,
    /// Type 8.
    EchoRequest,
    /// Type 3 code 0: no route to the destination's network.
    NetUnreachable,
    /// Type 3 code 1: the last router cannot reach the host.
    HostUnreachable,
    /// Type 3 code 2: the host does not speak the protocol.
    ProtocolUnreachable,
    /// Type 3 code 3: nobody listens on the port.
    PortUnreachable,
    /// Type 3 code 4: too big for the next hop and DF is set; the next hop's MTU is in the header (RFC 1191).
    FragmentationNeeded,
    /// Type 3 code 13: a filter refused it (RFC 1812 section 5.2.7.1).
    AdministrativelyProhibited,
    /// Type 11 code 0: TTL exceeded in transit.
    TtlExceeded,
    /// Type 11 code 1: reassembly time exceeded.
    ReassemblyTimeExceeded,
    /// Type 12 code 0: parameter problem, the pointer names the octet.
    ParameterProblem,
    /// Any other type and code.
    Other(u8, u8),
}

impl IcmpKind {
    /// The kind with this type and code.
    pub const fn from_type_code(ty: u8, code: u8) -> Self {
        match (ty, code) {
            (0, 0) => Self::EchoReply,
            (8, 0) => Self::EchoRequest,
            (3, 0) => Self::NetUnreachable,
            (3, 1) => Self::HostUnreachable,
            (3, 2) => Self::ProtocolUnreachable,
            (3, 3) => Self::PortUnreachable,
            (3, 4) => Self::FragmentationNeeded,
            (3, 13) => Self::AdministrativelyProhibited,
            (11, 0) => Self::TtlExceeded,
            (11, 1) => Self::ReassemblyTimeExceeded,
            (12, 0) => Self::ParameterProblem,
            (ty, code) => Self::Other(ty, code),
        }
    }

    /// Type and code on the wire.
    pub const fn type_code(self) -> (u8, u8) {
        match self {
            Self::EchoReply => (0, 0),
            Self::EchoRequest => (8, 0),
            Self::NetUnreachable => (3, 0),
            Self::HostUnreachable => (3, 1),
            Self::ProtocolUnreachable => (3, 2),
            Self::PortUnreachable => (3, 3),
            Self::FragmentationNeeded => (3, 4),
            Self::AdministrativelyProhibited => (3, 13),
            Self::TtlExceeded => (11, 0),
            Self::ReassemblyTimeExceeded => (11, 1),
            Self::ParameterProblem => (12, 0),
            Self::Other(ty, code) => (ty, code),
        }
    }

    /// True for messages about another datagram, which they quote. Types that nobody knows count as errors, so that
    /// nothing answers them (RFC 1122 section 3.2.2).
    pub const fn is_error(self) -> bool {
        !matches!(self.type_code().0, 0 | 8 | 9 | 10 | 13..=18)
    }
}

/// A view of an ICMP message over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct IcmpMessage<T>(T);

impl<T: AsRef<[u8]>> IcmpMessage<T> {
    /// A view over bytes that are known to be an ICMP message; panics later if they are not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over at least the eight octets that every message has. The checksum is not verified.
    ///
    /// # Errors
    /// If the message is shorter.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        if buffer.as_ref().len() < HEADER_LEN {
            return Err(WireError { layer: "ICMP", field: "header", problem: "shorter than 8 octets" });
        }
        Ok(Self(buffer))
    }

    fn u16_at(&self, at: usize) -> u16 {
        let b = self.0.as_ref();
        u16::from_be_bytes([b[at], b[at + 1]])
    }

    /// What it says.
    pub fn kind(&self) -> IcmpKind {
        let b = self.0.as_ref();
        IcmpKind::from_type_code(b[field::TYPE], b[field::CODE])
    }

    /// Identifier of an echo.
    pub fn echo_ident(&self) -> u16 {
        self.u16_at(field::IDENTIFIER)
    }

    /// Sequence number of an echo.
    pub fn echo_seq(&self) -> u16 {
        self.u16_at(field::SEQUENCE)
    }

    /// The next hop's MTU in [`IcmpKind::FragmentationNeeded`]; zero from routers older than RFC 1191.
    pub fn next_hop_mtu(&self) -> u16 {
        self.u16_at(field::NEXT_HOP_MTU)
    }

    /// The checksum as it stands.
    pub fn checksum(&self) -> u16 {
        self.u16_at(field::CHECKSUM)
    }

    /// True if the checksum is right.
    pub fn verify_checksum(&self) -> bool {
        checksum::sum(self.0.as_ref()) == 0xffff
    }

    /// Echo data, or the quoted datagram of an error.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> IcmpMessage<T> {
    fn put_u16(&mut self, at: usize, value: u16) {
        self.0.as_mut()[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Sets type and code.
    pub fn set_kind(&mut self, kind: IcmpKind) {
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
    pub fn set_next_hop_mtu(&mut self, mtu: u16) {
        self.put_u16(field::NEXT_HOP_MTU, mtu);
    }

    /// Sets the checksum to a known value.
    pub fn set_checksum(&mut self, checksum: u16) {
        self.put_u16(field::CHECKSUM, checksum);
    }

    /// Echo data, or the quoted datagram of an error, to change in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.0.as_mut()[HEADER_LEN..]
    }

    /// Computes the checksum.
    pub fn fill_checksum(&mut self) {
        self.put_u16(field::CHECKSUM, 0);
        let sum = checksum::sum(self.0.as_ref());
        self.put_u16(field::CHECKSUM, !sum);
    }
}

/// The beginning of a datagram, as an ICMP error quotes it: at least its header and, usually, the first octets after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted<'a> {
    /// The header of the datagram that the error is about.
    pub header: Ipv4Header,
    /// What is quoted of its payload: at least 8 octets from a router that obeys RFC 792, if the payload had them.
    pub payload: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// The datagram quoted in an error's payload, which is allowed to be cut short.
    ///
    /// # Errors
    /// If the quotation does not even hold a header.
    pub fn parse(quotation: &'a [u8]) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "quoted IPv4", field, problem };
        if quotation.len() < ipv4::HEADER_LEN {
            return Err(err("header", "shorter than 20 octets"));
        }
        if quotation[0] >> 4 != 4 {
            return Err(err("Version", "not 4"));
        }
        let packet = Ipv4Packet::new_unchecked(quotation);
        let header_len = packet.header_len();
        if header_len < ipv4::HEADER_LEN {
            return Err(err("IHL", "less than 5 words"));
        }
        if quotation.len() < header_len {
            return Err(err("IHL", "more octets than quoted"));
        }
        Ok(Self { header: Ipv4Header::parse(&packet), payload: &quotation[header_len..] })
    }
}

/// An echo request or reply: who it is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Echo {
    /// Identifier.
    pub ident: u16,
    /// Sequence number.
    pub seq: u16,
}

/// An IPv4 packet with an echo request: default TTL, DF clear.
pub fn echo_request(src: Ipv4Addr, dst: Ipv4Addr, echo: Echo, data: &[u8], meta: Meta) -> Packet {
    echo_around(IcmpKind::EchoRequest, src, dst, echo, Packet::from_bytes(data, meta))
}

/// An IPv4 packet with an echo reply: default TTL, DF clear.
pub fn echo_reply(src: Ipv4Addr, dst: Ipv4Addr, echo: Echo, data: &[u8], meta: Meta) -> Packet {
    echo_around(IcmpKind::EchoReply, src, dst, echo, Packet::from_bytes(data, meta))
}

/// An IPv4 packet with an echo message around data that is in its packet already: default TTL, DF clear.
pub fn echo_around(kind: IcmpKind, src: Ipv4Addr, dst: Ipv4Addr, echo: Echo, mut packet: Packet) -> Packet {
    let mut icmp = IcmpMessage::new_unchecked(packet.push_front(HEADER_LEN));
    icmp.set_kind(kind);
    icmp.set_echo_ident(echo.ident);
    icmp.set_echo_seq(echo.seq);
    icmp.fill_checksum();
    Ipv4Header::new(src, dst, protocol::ICMP).push(&mut packet);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{Icmpv4Slice, Icmpv4Type, icmpv4::DestUnreachableHeader};
    use proptest::prelude::*;

    #[test]
    fn every_type_and_code_survives() {
        for ty in 0..=255 {
            for code in 0..=255 {
                assert_eq!(IcmpKind::from_type_code(ty, code).type_code(), (ty, code));
            }
        }
    }

    /// RFC 1122 section 3.2.2 divides the messages: errors are 3, 4, 5, 11 and 12; queries 0, 8, 13 to 18. RFC 1256 adds
    /// the queries 9 and 10.
    #[test]
    fn errors_and_queries() {
        let errors: Vec<u8> = (0..=18).filter(|&ty| IcmpKind::from_type_code(ty, 0).is_error()).collect();
        assert_eq!(errors, [1, 2, 3, 4, 5, 6, 7, 11, 12], "1, 2, 6 and 7 are unassigned and count as errors");
    }

    #[test]
    fn a_fragmentation_needed_is_what_etherparse_reads() {
        let mut bytes = [0; 36];
        let mut message = IcmpMessage::new_checked(&mut bytes[..]).unwrap();
        message.set_kind(IcmpKind::FragmentationNeeded);
        message.set_next_hop_mtu(1436);
        message.fill_checksum();
        let other = Icmpv4Slice::from_slice(&bytes).unwrap();
        let expected = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1436 };
        assert_eq!(other.header().icmp_type, Icmpv4Type::DestinationUnreachable(expected));
        assert!(IcmpMessage::new_checked(&bytes[..]).unwrap().verify_checksum());
    }

    #[test]
    fn errors_name_the_field() {
        let short = IcmpMessage::new_checked([0; 7]).map(|_| ()).unwrap_err();
        assert_eq!(short.to_string(), "ICMP: header: shorter than 8 octets");
        let quoted = |bytes: &[u8]| Quoted::parse(bytes).unwrap_err().to_string();
        assert_eq!(quoted(&[0x45; 19]), "quoted IPv4: header: shorter than 20 octets");
        assert_eq!(quoted(&[0x60; 40]), "quoted IPv4: Version: not 4");
        assert_eq!(quoted(&[0x44; 40]), "quoted IPv4: IHL: less than 5 words");
        assert_eq!(quoted(&[0x46; 20]), "quoted IPv4: IHL: more octets than quoted");
    }

    proptest! {
        #[test]
        fn an_echo_is_what_etherparse_reads(ident: u16, seq: u16, data in proptest::collection::vec(any::<u8>(), 0..100)) {
            let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            let packet = echo_request(src, dst, Echo { ident, seq }, &data, Meta::default());
            let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
            let message = IcmpMessage::new_checked(ip.payload()).unwrap();
            prop_assert!(message.verify_checksum());
            prop_assert_eq!((message.kind(), message.echo_ident(), message.echo_seq()), (IcmpKind::EchoRequest, ident, seq));
            prop_assert_eq!(message.payload(), &data[..]);
            let other = Icmpv4Slice::from_slice(ip.payload()).unwrap();
            let expected = Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id: ident, seq });
            prop_assert_eq!(other.header().icmp_type, expected);
            prop_assert_eq!(other.icmp_type().calc_checksum(&data), message.checksum());
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), looks_like_ip: bool) {
            let mut bytes = bytes;
            if looks_like_ip && !bytes.is_empty() {
                bytes[0] = 0x40 | bytes[0] & 0x0f;
            }
            if let Ok(quoted) = Quoted::parse(&bytes) {
                prop_assert!(quoted.payload.len() + 20 <= bytes.len());
            }
            if let Ok(mut message) = IcmpMessage::new_checked(bytes) {
                let _ = (message.kind(), message.payload().len());
                message.fill_checksum();
                prop_assert!(message.verify_checksum());
            }
        }
    }
}
