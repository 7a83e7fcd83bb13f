//! Ethernet frames (IEEE 802.3-2022 clause 3) with the tag of a VLAN (IEEE 802.1Q-2022 clause 9).
//!
//! ```text
//!  destination (6)  source (6)  [ 81-00  priority, DEI, VLAN identifier (2) ]  type (2)  data  padding to 46 octets
//! ```
//!
//! Only links of a LAN carry frames; others carry IP packets, as most of what is asked about is not below IP. The two are told apart by
//! their first octet: an IP packet begins with its version, 4 or 6, and no station here has an address that does.
//!
//! Left out: the frame check sequence, as links say themselves what they damage; length in place of type (802.2 LLC); priority and DEI of a
//! tag, which are sent as zero and read over; tags inside of tags (IEEE 802.1Q-2022 clause 15).

use std::net::Ipv4Addr;

use super::WireError;
use crate::packet::Packet;

/// The address of a station.
pub type Mac = [u8; 6];

/// All stations.
pub const BROADCAST: Mac = [0xff; 6];
/// Octets in front of the data of a frame without a tag.
pub const HEADER_LEN: usize = 14;
/// Octets of a tag.
pub const TAG_LEN: usize = 4;
/// Octets of a frame that is as short as one may be, without its check sequence (IEEE 802.3-2022 section 4A.4.2: minFrameSize, 64).
pub const SHORTEST: usize = 60;

/// What a frame carries, as IANA and IEEE have it.
pub mod ethertype {
    /// IPv4 (RFC 894).
    pub const IPV4: u16 = 0x0800;
    /// ARP (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// A tag of a VLAN.
    pub const VLAN: u16 = 0x8100;
    /// Slow protocols, as LACP (IEEE 802.3-2022 annex 57A).
    pub const SLOW: u16 = 0x8809;
}

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// For whom.
    pub dst: Mac,
    /// From whom.
    pub src: Mac,
    /// The identifier of its VLAN, 1 to 4094, if it has a tag; of a tag with priority only, 0.
    pub vlan: Option<u16>,
    /// What it carries, see [`ethertype`].
    pub ethertype: u16,
}

impl Header {
    /// Octets of it.
    pub const fn len(&self) -> usize {
        HEADER_LEN + if self.vlan.is_some() { TAG_LEN } else { 0 }
    }

    /// Puts it in front of what a packet holds, and octets behind that if the frame would be too short.
    pub fn frame(&self, packet: &mut Packet) {
        let shortage = SHORTEST.saturating_sub(packet.len() + self.len());
        if shortage > 0 {
            packet.push_back(shortage);
        }
        self.emit(packet.push_front(self.len()));
    }

    /// Writes it at the beginning of `out`, which must have room for it.
    pub fn emit(&self, out: &mut [u8]) {
        out[..6].copy_from_slice(&self.dst);
        out[6..12].copy_from_slice(&self.src);
        let mut at = 12;
        if let Some(vlan) = self.vlan {
            out[12..14].copy_from_slice(&ethertype::VLAN.to_be_bytes());
            out[14..16].copy_from_slice(&(vlan & 0x0fff).to_be_bytes());
            at = 16;
        }
        out[at..at + 2].copy_from_slice(&self.ethertype.to_be_bytes());
    }

    /// Reads it; what follows it is the data, and perhaps padding.
    ///
    /// # Errors
    /// If the frame is cut short.
    pub fn parse(frame: &[u8]) -> Result<Self, WireError> {
        let short = WireError { layer: "Ethernet", field: "header", problem: "cut short" };
        let two = |at: usize| frame.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(short);
        let station = |at: usize| -> Result<Mac, WireError> {
            frame.get(at..at + 6).and_then(|b| b.try_into().ok()).ok_or(short)
        };
        let (dst, src, first) = (station(0)?, station(6)?, two(12)?);
        let (vlan, ethertype) = match first {
            ethertype::VLAN => (Some(two(14)? & 0x0fff), two(16)?),
            other => (None, other),
        };
        Ok(Self { dst, src, vlan, ethertype })
    }
}

/// True if a link carries a frame, and not an IP packet.
pub fn is_frame(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| !matches!(first >> 4, 4 | 6))
}

/// True if an address is that of several stations.
pub const fn is_group(mac: &Mac) -> bool {
    mac[0] & 1 == 1
}

/// True if no bridge passes what goes to an address on (IEEE 802.1Q-2022 table 8-1).
pub fn is_reserved(mac: &Mac) -> bool {
    mac[..5] == [0x01, 0x80, 0xc2, 0, 0] && mac[5] < 0x10
}

/// Where packets to a multicast group go (RFC 1112 section 6.4).
pub const fn multicast(group: Ipv4Addr) -> Mac {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Meta;

    /// Written out by hand after IEEE 802.1Q-2022 figure 9-1: a tag of VLAN 20 between source and type.
    #[test]
    fn a_tag_stands_between_source_and_type() {
        let header = Header { dst: BROADCAST, src: [2, 0, 0, 0, 0, 1], vlan: Some(20), ethertype: ethertype::ARP };
        let mut packet = Packet::from_bytes(&[7; 28], Meta::default());
        header.frame(&mut packet);
        let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 20, 0x08, 0x06, 7];
        assert_eq!(packet.bytes()[..19], head);
        assert_eq!((packet.len(), packet.bytes()[46..].iter().all(|b| *b == 0)), (SHORTEST, true), "padded");
        assert_eq!(Header::parse(packet.bytes()).unwrap(), header);
        assert!(is_frame(packet.bytes()) && !is_frame(&[0x45, 0]));
    }

    #[test]
    fn a_frame_without_a_tag_is_fourteen_octets_longer() {
        let header =
            Header { dst: [2, 0, 0, 0, 0, 9], src: [2, 0, 0, 0, 0, 1], vlan: None, ethertype: ethertype::IPV4 };
        let mut packet = Packet::from_bytes(&[0x45; 100], Meta::default());
        header.frame(&mut packet);
        assert_eq!((packet.len(), Header::parse(packet.bytes()).unwrap()), (114, header));
        for length in 0..HEADER_LEN {
            assert!(Header::parse(&packet.bytes()[..length]).is_err(), "{length}");
        }
    }

    /// RFC 1112 section 6.4: the low 23 bits. 224.0.0.18 is VRRP's group (RFC 5798 section 5.1.1.2).
    #[test]
    fn a_group_has_the_low_bits_of_its_address() {
        assert_eq!(multicast(Ipv4Addr::new(224, 0, 0, 18)), [0x01, 0x00, 0x5e, 0, 0, 18]);
        assert_eq!(multicast(Ipv4Addr::new(239, 129, 2, 3)), [0x01, 0x00, 0x5e, 1, 2, 3]);
        assert!(is_group(&BROADCAST) && is_group(&multicast(Ipv4Addr::new(224, 0, 0, 18))) && !is_group(&[2; 6]));
        assert!(is_reserved(&super::super::lacp::DESTINATION) && !is_reserved(&BROADCAST));
    }
}
