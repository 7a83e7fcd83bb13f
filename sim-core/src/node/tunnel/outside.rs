//! What arrives at a device's outside address, and which tunnel it may be for.

use std::net::Ipv4Addr;

use super::{IKE_PORT, NATT_PORT, NON_ESP_MARKER};
use crate::packet::Packet;
use crate::proto::esp::SaProtocol;
use crate::wire::ah::AhPacket;
use crate::wire::esp::UdpEncapsulated;
use crate::wire::icmp::Quoted;
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::udp::{self, UdpDatagram};

/// Address and UDP port of the other end, as this end sees it.
pub(in crate::node) type Remote = (Ipv4Addr, u16);

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
    let ip = Ipv4Packet::new_unchecked(packet.bytes());
    let spi = |octets: &[u8]| match octets.first_chunk() {
        Some(spi) => Outside::Sealed(SaProtocol::Esp, u32::from_be_bytes(*spi)),
        None => Outside::Malformed,
    };
    match ip.protocol() {
        protocol::ESP => Some(spi(ip.payload())),
        protocol::AH => Some(match AhPacket::new_checked(ip.payload()) {
            Ok(ah) => Outside::Sealed(SaProtocol::Ah, ah.spi()),
            Err(_) => Outside::Malformed,
        }),
        protocol::UDP => {
            let Ok(udp) = UdpDatagram::new_checked(ip.payload()) else { return Some(Outside::Malformed) };
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
            let whole = matches!(outside, Outside::Sealed(..)) || udp.verify_checksum(ip.src(), ip.dst());
            Some(if whole { outside } else { Outside::Malformed })
        }
        _ => None,
    }
}

/// The outbound SPI of the sealed packet that an ICMP error quotes, if it shows so much of it: in UDP, 8 octets are not
/// enough.
pub(in crate::node) fn quoted_spi(quoted: &Quoted<'_>) -> Option<u32> {
    let at = match quoted.header.protocol {
        protocol::ESP => 0,
        protocol::AH => 4,
        protocol::UDP => udp::HEADER_LEN,
        _ => return None,
    };
    quoted.payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}
