//! UDP (RFC 768): a view over the bytes, and helpers that build datagrams.
//!
//! ```text
//!  0      7 8     15 16    23 24    31
//! +--------+--------+--------+--------+
//! |   Source Port   | Destination Port|
//! |     Length      |    Checksum     |
//! +--------+--------+--------+--------+
//! ```

use std::net::Ipv4Addr;

use super::ipv4::{Ipv4Header, protocol};
use super::{WireError, checksum};
use crate::packet::{Meta, Packet};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

mod field {
    pub const SOURCE: usize = 0;
    pub const DESTINATION: usize = 2;
    pub const LENGTH: usize = 4;
    pub const CHECKSUM: usize = 6;
}

/// A view of a UDP datagram over any buffer.
#[derive(Clone, Copy, Debug)]
pub struct UdpDatagram<T>(T);

impl<T: AsRef<[u8]>> UdpDatagram<T> {
    /// A view over bytes that are known to be a UDP datagram; panics later if they are not.
    pub fn new_unchecked(buffer: T) -> Self {
        Self(buffer)
    }

    /// A view over bytes whose length field fits. The checksum is not verified.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn new_checked(buffer: T) -> Result<Self, WireError> {
        let err = |field, problem| WireError {
            layer: "UDP",
            field,
            problem,
        };
        let b = buffer.as_ref();
        if b.len() < HEADER_LEN {
            return Err(err("header", "shorter than 8 octets"));
        }
        let length = usize::from(UdpDatagram(b).length());
        if length < HEADER_LEN {
            return Err(err("Length", "less than 8 octets"));
        }
        if length > b.len() {
            return Err(err("Length", "more octets than arrived"));
        }
        Ok(Self(buffer))
    }

    fn u16_at(&self, at: usize) -> u16 {
        let b = self.0.as_ref();
        u16::from_be_bytes([b[at], b[at + 1]])
    }

    /// Source port.
    pub fn src_port(&self) -> u16 {
        self.u16_at(field::SOURCE)
    }

    /// Destination port.
    pub fn dst_port(&self) -> u16 {
        self.u16_at(field::DESTINATION)
    }

    /// Octets of header and payload.
    pub fn length(&self) -> u16 {
        self.u16_at(field::LENGTH)
    }

    /// The checksum as it stands; zero means that the sender computed none.
    pub fn checksum(&self) -> u16 {
        self.u16_at(field::CHECKSUM)
    }

    /// True if the checksum is right between these addresses, or was not computed.
    pub fn verify_checksum(&self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        self.checksum() == 0 || self.sum(src, dst) == 0xffff
    }

    /// What follows the header, up to the length field.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..usize::from(self.length())]
    }

    fn sum(&self, src: Ipv4Addr, dst: Ipv4Addr) -> u16 {
        let pseudo = checksum::pseudo_header(src, dst, protocol::UDP, self.length());
        checksum::add(
            pseudo,
            checksum::sum(&self.0.as_ref()[..usize::from(self.length())]),
        )
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> UdpDatagram<T> {
    fn put_u16(&mut self, at: usize, value: u16) {
        self.0.as_mut()[at..at + 2].copy_from_slice(&value.to_be_bytes());
    }

    /// Sets the source port.
    pub fn set_src_port(&mut self, port: u16) {
        self.put_u16(field::SOURCE, port);
    }

    /// Sets the destination port.
    pub fn set_dst_port(&mut self, port: u16) {
        self.put_u16(field::DESTINATION, port);
    }

    /// Sets the length of header and payload.
    pub fn set_length(&mut self, octets: u16) {
        self.put_u16(field::LENGTH, octets);
    }

    /// Sets the checksum to a known value; zero says that none was computed.
    pub fn set_checksum(&mut self, checksum: u16) {
        self.put_u16(field::CHECKSUM, checksum);
    }

    /// Computes the checksum between these addresses. A computed zero is sent as all ones (RFC 768).
    pub fn fill_checksum(&mut self, src: Ipv4Addr, dst: Ipv4Addr) {
        self.set_checksum(0);
        let computed = !self.sum(src, dst);
        self.set_checksum(if computed == 0 { 0xffff } else { computed });
    }

    /// Updates the checksum in place after an address under it changed, as a NAT does; zero stays zero.
    pub fn adjust_checksum_address(&mut self, old: Ipv4Addr, new: Ipv4Addr) {
        let before = self.checksum();
        if before != 0 {
            let updated = checksum::adjust_address(before, old, new);
            self.set_checksum(if updated == 0 { 0xffff } else { updated });
        }
    }

    /// Updates the checksum in place after a port or another 16-bit word under it changed; zero stays zero.
    pub fn adjust_checksum_word(&mut self, old: u16, new: u16) {
        let before = self.checksum();
        if before != 0 {
            let updated = checksum::adjust(before, old, new);
            self.set_checksum(if updated == 0 { 0xffff } else { updated });
        }
    }
}

/// Whether a UDP checksum is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpChecksum {
    /// As every ordinary sender does.
    Computed,
    /// Sent as zero: ESP in UDP should do so (RFC 3948 section 2.1).
    Zero,
}

/// Puts a UDP header in front of `packet`, whose bytes become its payload. Allocates nothing while headroom lasts.
///
/// # Panics
/// If the datagram would be longer than 65,535 octets.
pub fn push(
    packet: &mut Packet,
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    checksum: UdpChecksum,
) {
    let length =
        u16::try_from(packet.len() + HEADER_LEN).expect("a UDP datagram fits 65,535 octets");
    let mut udp = UdpDatagram::new_unchecked(packet.push_front(HEADER_LEN));
    udp.set_src_port(from.1);
    udp.set_dst_port(to.1);
    udp.set_length(length);
    match checksum {
        UdpChecksum::Computed => udp.fill_checksum(from.0, to.0),
        UdpChecksum::Zero => udp.set_checksum(0),
    }
}

/// An IPv4 packet with a UDP datagram: default TTL, DF clear, checksums computed.
pub fn packet(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8], meta: Meta) -> Packet {
    let mut packet = Packet::from_bytes(payload, meta);
    push(&mut packet, from, to, UdpChecksum::Computed);
    Ipv4Header::new(from.0, to.0, protocol::UDP).push(&mut packet);
    packet
}
