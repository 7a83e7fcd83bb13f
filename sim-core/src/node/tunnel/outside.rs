//! What arrives at a device's outside address, and which tunnel it may be for.

use std::net::IpAddr;

use super::{IKE_PORT, NATT_PORT, NON_ESP_MARKER};
use crate::packet::Packet;
use crate::proto::esp::SaProtocol;
use crate::wire::ah::AhPacket;
use crate::wire::esp::UdpEncapsulated;
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::{Ipv6Packet, is_ipv6};
use crate::wire::udp::{self, UdpDatagram};

/// Address and UDP port of the other end, as this end sees it.
pub(in crate::node) type Remote = (IpAddr, u16);

/// A packet between outside addresses, of either family.
#[derive(Clone, Copy, Debug)]
pub(in crate::node) struct OuterPacket<'p> {
    /// From where.
    pub src: IpAddr,
    /// To where.
    pub dst: IpAddr,
    /// The protocol of what is in it.
    pub protocol: u8,
    /// What is in it.
    pub payload: &'p [u8],
}

impl<'p> OuterPacket<'p> {
    /// What is around the payload of a packet that was found to be one.
    pub fn of(packet: &'p Packet) -> Self {
        let bytes = packet.bytes();
        if is_ipv6(bytes) {
            let ip = Ipv6Packet::new_unchecked(bytes);
            let (src, dst) = (ip.src().into(), ip.dst().into());
            let payload = &bytes[crate::wire::ipv6::HEADER_LEN..ip.total_len()];
            return Self { src, dst, protocol: ip.next_header(), payload };
        }
        let ip = Ipv4Packet::new_unchecked(bytes);
        let payload = &bytes[ip.header_len()..usize::from(ip.total_len())];
        Self { src: ip.src().into(), dst: ip.dst().into(), protocol: ip.protocol(), payload }
    }

    /// True if the checksum of its UDP is right, or was not computed where that is allowed.
    fn verifies(&self, udp: &UdpDatagram<&[u8]>) -> bool {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => udp.verify_checksum(src, dst),
            (IpAddr::V6(src), IpAddr::V6(dst)) => udp.verify_checksum_v6(src, dst),
            _ => false,
        }
    }
}

/// What arrived for a tunnel from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::node) enum Outside {
    /// An IKE message that begins this far into the UDP payload.
    Ike(usize),
    /// ESP or AH with this SPI.
    Sealed(SaProtocol, u32),
    /// A NAT keepalive (RFC 3948 section 2.3).
    Keepalive,
    /// Nothing that makes sense.
    Malformed,
}

/// What a packet for one of a device's outside addresses is, by protocol and port. The UDP checksum is verified where
/// there is one; ESP in UDP has none (RFC 3948 section 2.1).
pub(in crate::node) fn classify(packet: &Packet) -> Option<Outside> {
    let ip = OuterPacket::of(packet);
    let spi = |octets: &[u8]| match octets.first_chunk() {
        Some(spi) => Outside::Sealed(SaProtocol::Esp, u32::from_be_bytes(*spi)),
        None => Outside::Malformed,
    };
    match ip.protocol {
        protocol::ESP => Some(spi(ip.payload)),
        protocol::AH => Some(match AhPacket::new_checked(ip.payload) {
            Ok(ah) => Outside::Sealed(SaProtocol::Ah, ah.spi()),
            Err(_) => Outside::Malformed,
        }),
        protocol::UDP => {
            let Ok(udp) = UdpDatagram::new_checked(ip.payload) else { return Some(Outside::Malformed) };
            let outside = match (udp.dst_port(), udp.payload()) {
                (IKE_PORT, _) => Outside::Ike(0),
                (NATT_PORT, octets) => match UdpEncapsulated::parse(octets) {
                    Ok(UdpEncapsulated::Ike(_)) => Outside::Ike(NON_ESP_MARKER.len()),
                    Ok(UdpEncapsulated::Keepalive) => Outside::Keepalive,
                    Ok(UdpEncapsulated::Esp(esp)) => spi(esp),
                    Err(_) => Outside::Malformed,
                },
                _ => return None,
            };
            let whole = matches!(outside, Outside::Sealed(..)) || ip.verifies(&udp);
            Some(if whole { outside } else { Outside::Malformed })
        }
        _ => None,
    }
}

/// The outbound SPI of a sealed packet whose beginning, behind its IP header, an ICMP error quotes, if it shows so much of it: in UDP, 8
/// octets are not enough.
pub(in crate::node) fn quoted_spi(protocol: u8, quoted: &[u8]) -> Option<u32> {
    let at = match protocol {
        protocol::ESP => 0,
        protocol::AH => 4,
        protocol::UDP => udp::HEADER_LEN,
        _ => return None,
    };
    quoted.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}
