//! UDP (RFC 768): a view over the bytes, and helpers that build datagrams.
//!
//! ```text
//!  0      7 8     15 16    23 24    31
//! +--------+--------+--------+--------+
//! |   Source Port   | Destination Port|
//! |     Length      |    Checksum     |
//! +--------+--------+--------+--------+
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ipv4::{Ipv4Header, protocol};
use super::ipv6::Ipv6Header;
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
        let err = |field, problem| WireError { layer: "UDP", field, problem };
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

    /// True if the checksum is right between these addresses. Above IPv6 there must be one (RFC 8200 section 8.1).
    pub fn verify_checksum_v6(&self, src: Ipv6Addr, dst: Ipv6Addr) -> bool {
        self.checksum() != 0 && self.sum_v6(src, dst) == 0xffff
    }

    /// What follows the header, up to the length field.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER_LEN..usize::from(self.length())]
    }

    fn sum(&self, src: Ipv4Addr, dst: Ipv4Addr) -> u16 {
        let pseudo = checksum::pseudo_header(src, dst, protocol::UDP, self.length());
        checksum::add(pseudo, checksum::sum(&self.0.as_ref()[..usize::from(self.length())]))
    }

    fn sum_v6(&self, src: Ipv6Addr, dst: Ipv6Addr) -> u16 {
        let pseudo = checksum::pseudo_header_v6(src, dst, protocol::UDP, self.length().into());
        checksum::add(pseudo, checksum::sum(&self.0.as_ref()[..usize::from(self.length())]))
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

    /// The same above IPv6.
    pub fn fill_checksum_v6(&mut self, src: Ipv6Addr, dst: Ipv6Addr) {
        self.set_checksum(0);
        let computed = !self.sum_v6(src, dst);
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
pub fn push(packet: &mut Packet, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), checksum: UdpChecksum) {
    let length = u16::try_from(packet.len() + HEADER_LEN).expect("a UDP datagram fits 65,535 octets");
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
    around(Packet::from_bytes(payload, meta), from, to)
}

/// The same around a payload that is in its packet already.
pub fn around(mut packet: Packet, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Packet {
    push(&mut packet, from, to, UdpChecksum::Computed);
    Ipv4Header::new(from.0, to.0, protocol::UDP).push(&mut packet);
    packet
}

/// An IPv6 packet with a UDP datagram around a payload that is in its packet already: default hop limit, checksum computed.
///
/// # Panics
/// If the datagram would be longer than 65,535 octets.
pub fn around_v6(mut packet: Packet, from: (Ipv6Addr, u16), to: (Ipv6Addr, u16)) -> Packet {
    let length = u16::try_from(packet.len() + HEADER_LEN).expect("a UDP datagram fits 65,535 octets");
    let mut udp = UdpDatagram::new_unchecked(packet.push_front(HEADER_LEN));
    udp.set_src_port(from.1);
    udp.set_dst_port(to.1);
    udp.set_length(length);
    udp.fill_checksum_v6(from.0, to.0);
    Ipv6Header::new(from.0, to.0, protocol::UDP).push(&mut packet);
    packet
}

/// An IP packet with a UDP datagram from one address to another of the same family; `None` if they are of two.
pub fn between(from: (IpAddr, u16), to: (IpAddr, u16), payload: &[u8], meta: Meta) -> Option<Packet> {
    let packet = Packet::from_bytes(payload, meta);
    match (from, to) {
        ((IpAddr::V4(src), src_port), (IpAddr::V4(dst), dst_port)) => {
            Some(around(packet, (src, src_port), (dst, dst_port)))
        }
        ((IpAddr::V6(src), src_port), (IpAddr::V6(dst), dst_port)) => {
            Some(around_v6(packet, (src, src_port), (dst, dst_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::Ipv4Packet;
    use etherparse::UdpHeader;
    use proptest::prelude::*;

    const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    #[test]
    fn errors_name_the_field() {
        let error = |bytes: &[u8]| UdpDatagram::new_checked(bytes).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error(&[0; 7]), "UDP: header: shorter than 8 octets");
        assert_eq!(error(&[0, 1, 0, 2, 0, 7, 0, 0]), "UDP: Length: less than 8 octets");
        assert_eq!(error(&[0, 1, 0, 2, 0, 9, 0, 0]), "UDP: Length: more octets than arrived");
    }

    /// RFC 768: no checksum is sent as zero, and a computed zero as all ones. The sum over addresses, protocol, length
    /// twice and ports is 0a00+0001+0a00+0002+0011+000a+000a+0001+0002 = 142b, so a payload of ebd4 makes it ffff.
    #[test]
    fn zero_means_no_checksum() {
        let mut packet = Packet::from_bytes(&[0xeb, 0xd4], Meta::default());
        push(&mut packet, (A, 1), (B, 2), UdpChecksum::Computed);
        let udp = UdpDatagram::new_checked(packet.bytes()).unwrap();
        assert_eq!(udp.checksum(), 0xffff);
        assert!(udp.verify_checksum(A, B));
        let mut packet = Packet::from_bytes(b"esp", Meta::default());
        push(&mut packet, (A, 4500), (B, 4500), UdpChecksum::Zero);
        let mut udp = UdpDatagram::new_checked(packet.bytes_mut()).unwrap();
        assert!(udp.checksum() == 0 && udp.verify_checksum(A, B));
        udp.adjust_checksum_word(4500, 9);
        udp.adjust_checksum_address(A, B);
        assert_eq!(udp.checksum(), 0, "a NAT does not make up a checksum");
    }

    proptest! {
        #[test]
        fn a_packet_is_what_etherparse_reads(
            from: (Ipv4Addr, u16),
            to: (Ipv4Addr, u16),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let packet = packet(from, to, &payload, Meta::default());
            let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
            let udp = UdpDatagram::new_checked(ip.payload()).unwrap();
            prop_assert_eq!((ip.src(), udp.src_port(), ip.dst(), udp.dst_port()), (from.0, from.1, to.0, to.1));
            prop_assert_eq!(udp.payload(), &payload[..]);
            prop_assert!(udp.verify_checksum(from.0, to.0));
            let (other, _) = UdpHeader::from_slice(ip.payload()).unwrap();
            let computed = other.calc_checksum_ipv4_raw(from.0.octets(), to.0.octets(), &payload).unwrap();
            prop_assert_eq!((other.source_port, other.destination_port), (from.1, to.1));
            prop_assert_eq!(computed, udp.checksum());
        }

        #[test]
        fn above_ipv6_too(
            from: (Ipv6Addr, u16),
            to: (Ipv6Addr, u16),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let packet = around_v6(Packet::from_bytes(&payload, Meta::default()), from, to);
            let ip = crate::wire::ipv6::Ipv6Packet::new_checked(packet.bytes()).unwrap();
            let mut udp = UdpDatagram::new_checked(ip.payload().to_vec()).unwrap();
            prop_assert!(udp.verify_checksum_v6(from.0, to.0));
            let (other, _) = UdpHeader::from_slice(ip.payload()).unwrap();
            let computed = other.calc_checksum_ipv6_raw(from.0.octets(), to.0.octets(), &payload).unwrap();
            prop_assert_eq!(computed, udp.checksum());
            udp.set_checksum(0);
            prop_assert!(!udp.verify_checksum_v6(from.0, to.0), "it is not optional there");
        }

        /// What a NAT does to addresses and ports leaves the checksum right.
        #[test]
        fn a_rewrite_keeps_the_checksum_right(from: (Ipv4Addr, u16), new: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) {
            let mut packet = Packet::from_bytes(b"payload", Meta::default());
            push(&mut packet, from, to, UdpChecksum::Computed);
            let mut udp = UdpDatagram::new_checked(packet.bytes_mut()).unwrap();
            udp.set_src_port(new.1);
            udp.adjust_checksum_word(from.1, new.1);
            udp.adjust_checksum_address(from.0, new.0);
            prop_assert!(udp.checksum() != 0 && udp.verify_checksum(new.0, to.0));
        }

        #[test]
        fn nothing_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), plausible: bool) {
            if plausible && bytes.len() > 5 {
                bytes[4] = 0;
                bytes[5] %= 60;
            }
            if let Ok(mut udp) = UdpDatagram::new_checked(bytes) {
                let _ = (udp.verify_checksum(A, B), udp.payload().len());
                udp.fill_checksum(A, B);
                prop_assert!(udp.verify_checksum(A, B));
            }
        }
    }
}
