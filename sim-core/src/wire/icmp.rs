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

use super::ipv4::{Ipv4Header, protocol};
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
            return Err(WireError {
                layer: "ICMP",
                field: "header",
                problem: "shorter than 8 octets",
            });
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

    /// Computes the checksum.
    pub fn fill_checksum(&mut self) {
        self.put_u16(field::CHECKSUM, 0);
        let sum = checksum::sum(self.0.as_ref());
        self.put_u16(field::CHECKSUM, !sum);
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
    echo_packet(IcmpKind::EchoRequest, src, dst, echo, data, meta)
}

/// An IPv4 packet with an echo reply: default TTL, DF clear.
pub fn echo_reply(src: Ipv4Addr, dst: Ipv4Addr, echo: Echo, data: &[u8], meta: Meta) -> Packet {
    echo_packet(IcmpKind::EchoReply, src, dst, echo, data, meta)
}

fn echo_packet(
    kind: IcmpKind,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    echo: Echo,
    data: &[u8],
    meta: Meta,
) -> Packet {
    let mut packet = Packet::from_bytes(data, meta);
    let mut icmp = IcmpMessage::new_unchecked(packet.push_front(HEADER_LEN));
    icmp.set_kind(kind);
    icmp.set_echo_ident(echo.ident);
    icmp.set_echo_seq(echo.seq);
    icmp.fill_checksum();
    Ipv4Header::new(src, dst, protocol::ICMP).push(&mut packet);
    packet
}
