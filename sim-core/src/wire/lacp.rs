//! LACPDUs in their Ethernet frames (IEEE 802.1AX-2020 section 6.4.2).
//!
//! ```text
//!  destination 01-80-C2-00-00-02, source, type 88-09
//!  subtype 1, version 1
//!  1, 20: actor    system priority, system, key, port priority, port, state, 3 octets reserved
//!  2, 20: partner  the same
//!  3, 16: collector max delay, 12 octets reserved
//!  0, 0, 50 octets reserved
//! ```
//!
//! Left out: version 2 and its longer TLVs (section 6.4.2.4), and what [`super::ethernet`] leaves out. A frame of a later version is read as
//! one of version 1, as section 6.4.2.3 asks.

use super::WireError;
use super::ethernet::{HEADER_LEN, Header, Mac, ethertype};

/// Octets of a frame.
pub const LEN: usize = 124;
/// Where LACPDUs go (Slow_Protocols_Multicast).
pub const DESTINATION: Mac = [0x01, 0x80, 0xc2, 0, 0, 2];

/// Bits of the state of a port.
pub mod state {
    /// It speaks without being spoken to.
    pub const ACTIVITY: u8 = 0x01;
    /// It wants to hear every second.
    pub const TIMEOUT: u8 = 0x02;
    /// It may be aggregated.
    pub const AGGREGATION: u8 = 0x04;
    /// It is in its aggregator.
    pub const SYNCHRONIZATION: u8 = 0x08;
    /// It takes frames.
    pub const COLLECTING: u8 = 0x10;
    /// It sends frames.
    pub const DISTRIBUTING: u8 = 0x20;
    /// It knows nothing of its partner and uses what is configured.
    pub const DEFAULTED: u8 = 0x40;
    /// It has not heard its partner in time.
    pub const EXPIRED: u8 = 0x80;
}

/// What a frame says of one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct End {
    /// System priority and address: together the system's name.
    pub system: (u16, [u8; 6]),
    /// Ports with the same key may be aggregated.
    pub key: u16,
    /// Port priority and number: together the port's name.
    pub port: (u16, u16),
    /// Bits of [`state`].
    pub state: u8,
}

impl End {
    /// True if a bit of the state is set.
    pub const fn is(&self, bit: u8) -> bool {
        self.state & bit != 0
    }

    fn emit(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(&self.system.0.to_be_bytes());
        out[2..8].copy_from_slice(&self.system.1);
        out[8..10].copy_from_slice(&self.key.to_be_bytes());
        out[10..12].copy_from_slice(&self.port.0.to_be_bytes());
        out[12..14].copy_from_slice(&self.port.1.to_be_bytes());
        out[14] = self.state;
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        let two = |at: usize| Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?));
        Some(Self {
            system: (two(0)?, octets.get(2..8)?.try_into().ok()?),
            key: two(8)?,
            port: (two(10)?, two(12)?),
            state: *octets.get(14)?,
        })
    }
}

/// An LACPDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lacpdu {
    /// The sender.
    pub actor: End,
    /// What the sender knows of the receiver.
    pub partner: End,
}

impl Lacpdu {
    /// The whole frame.
    pub fn emit(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        let header = Header { dst: DESTINATION, src: self.actor.system.1, vlan: None, ethertype: ethertype::SLOW };
        header.emit(&mut out[..HEADER_LEN]);
        out[14..18].copy_from_slice(&[1, 1, 1, 20]);
        self.actor.emit(&mut out[18..36]);
        out[36..38].copy_from_slice(&[2, 20]);
        self.partner.emit(&mut out[38..56]);
        out[56..58].copy_from_slice(&[3, 16]);
        out
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// If it is none, or is cut short.
    pub fn parse(frame: &[u8]) -> Result<Self, WireError> {
        let malformed = |field| WireError { layer: "LACP", field, problem: "not that of an LACPDU, or cut short" };
        let header = Header::parse(frame)?;
        if (header.dst, header.vlan, header.ethertype) != (DESTINATION, None, ethertype::SLOW) {
            return Err(malformed("destination or type"));
        }
        let (subtype, version) = (frame.get(14), frame.get(15));
        if subtype != Some(&1) || version.is_none_or(|version| *version == 0) {
            return Err(malformed("subtype or version"));
        }
        let end = |at: usize, kind: u8| {
            let header = frame.get(at..at + 2)?;
            (header == [kind, 20]).then(|| End::parse(frame.get(at + 2..at + 20)?)).flatten()
        };
        let actor = end(16, 1).ok_or(malformed("actor"))?;
        let partner = end(36, 2).ok_or(malformed("partner"))?;
        if frame.get(56..58) != Some(&[3, 16][..]) || frame.len() < LEN {
            return Err(malformed("collector"));
        }
        Ok(Self { actor, partner })
    }
}

/// True if a frame is for a slow protocol: no IPv4 packet begins like this.
pub fn is_slow(frame: &[u8]) -> bool {
    frame.starts_with(&DESTINATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out by hand after IEEE 802.1AX-2020 figure 6-7: an active end with long timeout, all bits of a link that carries, that has
    /// heard a partner of key 13.
    #[test]
    fn a_frame_is_laid_out_as_the_standard_has_it() {
        let actor = End { system: (0x8000, [2, 0, 0, 0, 0, 1]), key: 10, port: (0x8000, 1), state: 0x3d };
        let partner = End { system: (0x8000, [2, 0, 0, 0, 0, 2]), key: 13, port: (0x8000, 2), state: 0x3f };
        let frame = Lacpdu { actor, partner }.emit();
        let head: [u8; 58] = [
            0x01, 0x80, 0xc2, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x88, 0x09, // Ethernet
            0x01, 0x01, // LACP, version 1
            0x01, 0x14, 0x80, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x0a, 0x80, 0x00, 0x00, 0x01, 0x3d, 0, 0,
            0, 0x02, 0x14, 0x80, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x0d, 0x80, 0x00, 0x00, 0x02, 0x3f, 0,
            0, 0, 0x03, 0x10, // collector
        ];
        assert_eq!(frame[..58], head);
        assert_eq!(frame[58..], [0; 66], "no delay, and what is reserved");
        assert_eq!(Lacpdu::parse(&frame).unwrap(), Lacpdu { actor, partner });
        assert!(is_slow(&frame) && !is_slow(&[0x45, 0]));
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_panics() {
        let frame = Lacpdu { actor: End::default(), partner: End::default() }.emit();
        for length in 0..LEN {
            assert!(Lacpdu::parse(&frame[..length]).is_err(), "{length}");
        }
        for bit in 0..LEN * 8 {
            let mut other = frame;
            other[bit / 8] ^= 1 << (bit % 8);
            let _ = Lacpdu::parse(&other);
        }
    }
}
