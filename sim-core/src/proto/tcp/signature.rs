//! Signatures of segments by MD5 and a shared key (RFC 2385): the option, its digest, and what becomes of a segment without.
//!
//! ```text
//! +---------+---------+---------------------------------+
//! | Kind=19 | Len=18  | MD5 of what is below (16 octets)|      two NOPs before it keep the options a multiple of 4
//! +---------+---------+---------------------------------+
//!
//! pseudo-header (addresses, protocol, length of the segment) | TCP header without options, checksum zero | data | key
//! ```
//!
//! The option is in every segment, so each carries 20 octets less of data than the MSS says (RFC 6691 section 4; the MSS
//! that is announced does not count options, against RFC 2385 section 4.3, as Linux and RFC 6691 have it).

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TCP_HEADER_LEN, TcpOption, TcpPacket};

use super::segment::{addresses, ip_header_len, mss_offset};
use crate::packet::Packet;
use crate::reason::DropReason;

/// Kind and length of the option (RFC 2385 section 3).
const KIND: u8 = 19;
const LENGTH: usize = 18;
/// What the option takes with its two NOPs.
pub(super) const SIGNATURE: usize = LENGTH + 2;
const NOP: u8 = 1;

/// A key that both ends of a connection know: ASCII, at most 80 octets on every common system (RFC 2385 section 4.5).
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Key(Arc<[u8]>);

impl Md5Key {
    /// The key with these octets.
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.into())
    }
}

/// Says nothing of the key.
impl fmt::Debug for Md5Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Key(..)")
    }
}

/// TCP's protocol number.
const TCP: u8 = 6;

/// The digest of a whole packet with a TCP segment (section 2.0). The pseudo-header is that of the packet's IP (RFC 8200 section 8.1).
fn digest(packet: &[u8], key: &Md5Key) -> [u8; LENGTH - 2] {
    let (at, end) = (ip_header_len(packet), total_len(packet));
    let segment = &packet[at..end];
    let tcp = TcpPacket::new_unchecked(segment);
    let mut header = [0; TCP_HEADER_LEN];
    header.copy_from_slice(&segment[..TCP_HEADER_LEN]);
    header[16..18].fill(0);
    let mut md5 = Md5::new();
    match addresses(packet) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            md5.update([src.octets(), dst.octets()].concat());
            md5.update((segment.len() as u32).to_be_bytes());
            md5.update([0, 0, 0, TCP]);
        }
        (src, dst) => {
            for address in [src, dst] {
                if let IpAddr::V4(address) = address {
                    md5.update(address.octets());
                }
            }
            md5.update([0, TCP]);
            md5.update((segment.len() as u16).to_be_bytes());
        }
    }
    md5.update(header);
    md5.update(&segment[usize::from(tcp.header_len())..]);
    md5.update(&key.0);
    md5.finalize().into()
}

/// Octets of a packet whose header has been checked.
fn total_len(packet: &[u8]) -> usize {
    match packet[0] >> 4 {
        4 => usize::from(Ipv4Packet::new_unchecked(packet).total_len()),
        _ => Ipv6Packet::new_unchecked(packet).total_len(),
    }
}

/// The signature that a segment's options carry.
pub(super) fn find(options: &[u8]) -> Option<[u8; LENGTH - 2]> {
    let mut rest = options;
    while let Ok((next, option)) = TcpOption::parse(rest) {
        match option {
            TcpOption::Unknown { kind: KIND, data } => return data.try_into().ok(),
            TcpOption::EndOfList => return None,
            TcpOption::NoOperation
            | TcpOption::MaxSegmentSize(_)
            | TcpOption::WindowScale(_)
            | TcpOption::SackPermitted
            | TcpOption::SackRange(_)
            | TcpOption::TimeStamp { .. }
            | TcpOption::Unknown { .. } => rest = next,
        }
    }
    None
}

/// Judges a segment: with a key every segment must be signed by it, without one none may be signed (as Linux has it).
pub(super) fn verify(packet: &[u8], found: Option<[u8; LENGTH - 2]>, key: Option<&Md5Key>) -> Result<(), DropReason> {
    match (key, found) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(DropReason::Md5Unexpected),
        (Some(_), None) => Err(DropReason::Md5Missing),
        (Some(key), Some(found)) if found == digest(packet, key) => Ok(()),
        (Some(_), Some(_)) => Err(DropReason::Md5Mismatch),
    }
}

/// The same packet with a signature before its other options, and with the MSS that a SYN tells as high as without. The
/// packet is one that smoltcp made, or that [`super::segment`] did: an IP header without options and sound lengths.
///
/// # Panics
/// If the options do not fit: smoltcp's longest, those of a SYN and one SACK block, do.
pub(super) fn sign(packet: &Packet, key: &Md5Key) -> Packet {
    let ip_header = ip_header_len(packet.bytes());
    let at = ip_header + TCP_HEADER_LEN;
    let (headers, rest) = packet.bytes().split_at(at);
    let mut signed = Packet::zeroed(packet.len() + SIGNATURE, packet.meta);
    let bytes = signed.bytes_mut();
    bytes[..at].copy_from_slice(headers);
    bytes[at..at + 4].copy_from_slice(&[NOP, NOP, KIND, LENGTH as u8]);
    bytes[at + SIGNATURE..].copy_from_slice(rest);
    let (source, destination) = addresses(bytes);
    if source.is_ipv4() {
        let mut ip = Ipv4Packet::new_unchecked(&mut *bytes);
        ip.set_total_len(ip.total_len() + SIGNATURE as u16);
        ip.fill_checksum();
    } else {
        let mut ip = Ipv6Packet::new_unchecked(&mut *bytes);
        ip.set_payload_len(ip.payload_len() + SIGNATURE as u16);
    }
    let mut tcp = TcpPacket::new_unchecked(&mut bytes[ip_header..]);
    let header = tcp.header_len() + SIGNATURE as u8;
    assert!(header <= 60, "invariant: the options of a signed segment fit in its header");
    tcp.set_header_len(header);
    let tcp = TcpPacket::new_unchecked(&bytes[ip_header..]);
    if let Some(place) = mss_offset(tcp.options()).filter(|_| tcp.syn()).map(|mss| at + mss) {
        let value = u16::from_be_bytes([bytes[place], bytes[place + 1]]).saturating_add(SIGNATURE as u16);
        bytes[place..place + 2].copy_from_slice(&value.to_be_bytes());
    }
    let digest = digest(bytes, key);
    bytes[at + 4..at + SIGNATURE].copy_from_slice(&digest);
    TcpPacket::new_unchecked(&mut bytes[ip_header..]).fill_checksum(&source.into(), &destination.into());
    signed
}
