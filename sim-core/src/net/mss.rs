//! Clamping of TCP's maximum segment size: a router that knows a narrow path lowers what two hosts tell each other in their
//! SYNs (RFC 9293 section 3.7.1), so that no segment has to be cut and path MTU discovery is not needed.
//!
//! ```text
//! | IPv4 | TCP: ... flags ... checksum | options: ... 2, 4, MSS ... |
//! ```
//!
//! The same is done above IPv6 ([`clamp_v6`]), whose header has no checksum to mend.
//!
//! Left out: adding the option where there is none (its default of 536 octets, and of 1,220 above IPv6, fits every tunnel).

use crate::packet::Packet;
use crate::wire::checksum;
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::Ipv6Packet;

mod field {
    pub const DATA_OFFSET: usize = 12;
    pub const FLAGS: usize = 13;
    pub const CHECKSUM: usize = 16;
    pub const OPTIONS: usize = 20;
}

const SYN: u8 = 0x02;

/// Option kinds (RFC 9293 section 3.1).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: u8 = 4;

/// Lowers the MSS option of a SYN to `most` octets and mends the TCP checksum. False, and no change, if the packet is
/// something else or its MSS is low enough.
pub fn clamp(packet: &mut Packet, most: u16) -> bool {
    let Ok(mut ip) = Ipv4Packet::new_checked(packet.bytes_mut()) else { return false };
    if ip.protocol() != protocol::TCP || ip.fragment_offset() != 0 {
        return false;
    }
    lower(ip.payload_mut(), most)
}

/// The same of an IPv6 packet without extension headers.
pub fn clamp_v6(packet: &mut Packet, most: u16) -> bool {
    let Ok(mut ip) = Ipv6Packet::new_checked(packet.bytes_mut()) else { return false };
    ip.next_header() == protocol::TCP && lower(ip.payload_mut(), most)
}

/// Lowers the option in a segment.
fn lower(segment: &mut [u8], most: u16) -> bool {
    if segment.len() < field::OPTIONS || segment[field::FLAGS] & SYN == 0 {
        return false;
    }
    let header_len = usize::from(segment[field::DATA_OFFSET] >> 4) * 4;
    let Some(at) = segment.get(..header_len).and_then(find) else { return false };
    let told = u16::from_be_bytes([segment[at], segment[at + 1]]);
    if told <= most {
        return false;
    }
    segment[at..at + 2].copy_from_slice(&most.to_be_bytes());
    // An option may begin anywhere: at an odd place, its octets belong to two words of the checksum, swapped.
    let (before, after) = if at % 2 == 0 { (told, most) } else { (told.swap_bytes(), most.swap_bytes()) };
    let sum = u16::from_be_bytes([segment[field::CHECKSUM], segment[field::CHECKSUM + 1]]);
    let sum = checksum::adjust(sum, before, after);
    segment[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

/// Where the value of the MSS option is in a TCP header.
fn find(header: &[u8]) -> Option<usize> {
    let mut at = field::OPTIONS;
    loop {
        match *header.get(at)? {
            END => return None,
            NO_OPERATION => at += 1,
            kind => {
                let len = *header.get(at + 1)?;
                if kind == MSS {
                    return (len == MSS_LEN && at + usize::from(len) <= header.len()).then_some(at + 2);
                }
                if len < 2 {
                    return None;
                }
                at += usize::from(len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Meta;
    use crate::wire::ipv4::Ipv4Header;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    const A: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
    const B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

    /// A SYN or other segment with these options, padded, and a right checksum.
    fn segment(flags: u8, options: &[u8]) -> Packet {
        let mut tcp = vec![0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0, flags, 0xff, 0xff, 0, 0, 0, 0];
        tcp.extend_from_slice(options);
        tcp.resize(tcp.len().next_multiple_of(4), 0);
        tcp[field::DATA_OFFSET] = ((tcp.len() / 4) << 4) as u8;
        let sum = !sum(&tcp);
        tcp[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        Ipv4Header::new(A, B, protocol::TCP).dont_fragment().packet(&tcp, Meta::default())
    }

    fn sum(tcp: &[u8]) -> u16 {
        let pseudo = checksum::pseudo_header(A, B, protocol::TCP, tcp.len() as u16);
        checksum::add(pseudo, checksum::sum(tcp))
    }

    /// Above IPv6 the same segment is changed in the same way, and its checksum holds between IPv6 addresses.
    #[test]
    fn above_ipv6_too() {
        let (src, dst) = (A.to_ipv6_mapped(), B.to_ipv6_mapped());
        let mut tcp = vec![
            0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, SYN, 0xff, 0xff, 0, 0, 0, 0, MSS, MSS_LEN, 0x05, 0xa0,
        ];
        let pseudo = checksum::pseudo_header_v6(src, dst, protocol::TCP, tcp.len() as u32);
        let sum = !checksum::add(pseudo, checksum::sum(&tcp));
        tcp[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        let header = crate::wire::ipv6::Ipv6Header::new(src, dst, protocol::TCP);
        let mut packet = header.packet(&tcp, Meta::default());
        assert!(clamp_v6(&mut packet, 1_386) && !clamp_v6(&mut packet, 1_386) && !clamp(&mut packet, 536));
        let ip = Ipv6Packet::new_checked(packet.bytes()).unwrap();
        assert_eq!(ip.payload()[22..24], 1_386_u16.to_be_bytes());
        assert_eq!(checksum::add(pseudo, checksum::sum(ip.payload())), 0xffff, "the checksum was mended");
    }

    fn told(packet: &Packet) -> u16 {
        let ip = Ipv4Packet::new_checked(packet.bytes()).unwrap();
        assert!(ip.verify_checksum());
        assert_eq!(sum(ip.payload()), 0xffff, "the checksum was mended");
        let at = find(ip.payload()).unwrap();
        u16::from_be_bytes([ip.payload()[at], ip.payload()[at + 1]])
    }

    /// What Linux sends: MSS 1460, SACK permitted, timestamps, no-operation, window scale; and the same with the option at an
    /// odd place.
    #[test]
    fn a_syn_tells_no_more_than_fits() {
        let linux = [2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        let odd = [1, 2, 4, 0x05, 0xb4];
        for options in [&linux[..], &odd] {
            for flags in [SYN, SYN | 0x10] {
                let mut syn = segment(flags, options);
                assert!(clamp(&mut syn, 1406));
                assert_eq!(told(&syn), 1406);
                assert!(!clamp(&mut syn, 1406), "it is low enough");
                assert!(clamp(&mut syn, 1366));
                assert_eq!(told(&syn), 1366);
            }
        }
    }

    #[test]
    fn what_is_no_syn_with_an_mss_is_left_alone() {
        let mss = [2, 4, 0x05, 0xb4];
        let mut others = vec![
            segment(0x10, &mss),
            segment(SYN, &[]),
            segment(SYN, &[0, 2, 4, 5, 0xb4]),
            segment(SYN, &[2, 3, 5, 0xb4]),
            segment(SYN, &[8, 0, 2, 4]),
            segment(SYN, &[1, 1, 2, 4]),
        ];
        let mut later = segment(SYN, &mss);
        let mut ip = Ipv4Packet::new_unchecked(later.bytes_mut());
        ip.set_fragment(false, true, 8);
        ip.fill_checksum();
        others.push(later);
        others.push(Ipv4Header::new(A, B, protocol::UDP).packet(&[0xff; 40], Meta::default()));
        for mut packet in others {
            let before = packet.bytes().to_vec();
            assert!(!clamp(&mut packet, 536));
            assert_eq!(packet.bytes(), before);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(tcp in prop::collection::vec(any::<u8>(), 0..80), most: u16) {
            let mut packet = Ipv4Header::new(A, B, protocol::TCP).packet(&tcp, Meta::default());
            clamp(&mut packet, most);
        }
    }
}
