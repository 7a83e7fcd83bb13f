//! The RST with which a device in the middle ends a TCP connection that it does not know (RFC 9293 section 3.10.7.1, as the closed
//! state of the other end would).

use crate::packet::{Meta, Packet};
use crate::wire::checksum;
use crate::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};

/// Octets of a TCP header without options.
const HEADER_LEN: usize = 20;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The flags of a TCP segment that begins its datagram.
fn flags(ip: &Ipv4Packet<&[u8]>) -> Option<u8> {
    (ip.protocol() == protocol::TCP && ip.fragment_offset() == 0).then(|| ip.payload().get(13).copied()).flatten()
}

/// Whether a packet is a TCP segment in the middle of a connection: it opens none and resets none.
pub fn is_midstream(packet: &[u8]) -> bool {
    flags(&Ipv4Packet::new_unchecked(packet)).is_some_and(|flags| flags & (SYN | RST) == 0)
}

/// The RST to the sender of a segment, in the name of whom it was for. `None` if that is no whole TCP header, or a RST itself.
pub fn reset(packet: &[u8], meta: Meta) -> Option<Packet> {
    let ip = Ipv4Packet::new_unchecked(packet);
    let flags = flags(&ip).filter(|flags| flags & RST == 0)?;
    let segment = ip.payload();
    let header = segment.first_chunk::<HEADER_LEN>()?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let data = segment.len().saturating_sub(usize::from(header[12] >> 4) * 4) as u32;
    // What it acknowledged is what comes next; what acknowledges nothing is acknowledged.
    let (sequence, acknowledgment, answer) = if flags & ACK != 0 {
        (word(8), 0, RST)
    } else {
        let length = data + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        (0, word(4).wrapping_add(length), RST | ACK)
    };
    let mut bytes = [0; HEADER_LEN];
    bytes[..2].copy_from_slice(&header[2..4]);
    bytes[2..4].copy_from_slice(&header[..2]);
    bytes[4..8].copy_from_slice(&u32::to_be_bytes(sequence));
    bytes[8..12].copy_from_slice(&u32::to_be_bytes(acknowledgment));
    bytes[12] = (HEADER_LEN as u8 / 4) << 4;
    bytes[13] = answer;
    let pseudo = checksum::pseudo_header(ip.dst(), ip.src(), protocol::TCP, HEADER_LEN as u16);
    let sum = checksum::add(pseudo, checksum::sum(&bytes));
    bytes[16..18].copy_from_slice(&(!sum).to_be_bytes());
    Some(Ipv4Header::new(ip.dst(), ip.src(), protocol::TCP).packet(&bytes, meta))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
    const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

    /// A segment from port 40000 to port 7 with sequence number 1000, that acknowledges 5000 if it acknowledges.
    fn segment(flags: u8, data: &[u8]) -> Packet {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[..2].copy_from_slice(&40_000_u16.to_be_bytes());
        bytes[2..4].copy_from_slice(&7_u16.to_be_bytes());
        bytes[4..8].copy_from_slice(&1_000_u32.to_be_bytes());
        bytes[8..12].copy_from_slice(&5_000_u32.to_be_bytes());
        (bytes[12], bytes[13]) = (5 << 4, flags);
        bytes.extend_from_slice(data);
        Ipv4Header::new(HERE, THERE, protocol::TCP).packet(&bytes, Meta::default())
    }

    /// Ports, sequence number, acknowledgment number and flags of what is sent back; its checksum is right.
    fn answer(segment: &Packet) -> Option<(u16, u16, u32, u32, u8)> {
        let answer = reset(segment.bytes(), Meta::default())?;
        let ip = Ipv4Packet::new_checked(answer.bytes()).unwrap();
        assert_eq!((ip.src(), ip.dst(), ip.verify_checksum()), (THERE, HERE, true));
        let tcp = ip.payload();
        let pseudo = checksum::pseudo_header(THERE, HERE, protocol::TCP, tcp.len() as u16);
        assert_eq!(checksum::add(pseudo, checksum::sum(tcp)), 0xffff);
        let short = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        let word = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        Some((short(0), short(2), word(4), word(8), tcp[13]))
    }

    /// RFC 9293 section 3.10.7.1: "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>"; otherwise
    /// "<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>", where a SYN counts as one octet; a RST is answered by nothing.
    #[test]
    fn a_segment_is_reset_as_the_closed_state_does() {
        assert_eq!(answer(&segment(ACK, b"hello")), Some((7, 40_000, 5_000, 0, RST)));
        assert_eq!(answer(&segment(SYN, b"")), Some((7, 40_000, 0, 1_001, RST | ACK)));
        assert_eq!(answer(&segment(RST, b"")), None);
        assert!(is_midstream(segment(ACK, b"").bytes()));
        assert!(!is_midstream(segment(SYN, b"").bytes()) && !is_midstream(segment(SYN | ACK, b"").bytes()));
    }
}
