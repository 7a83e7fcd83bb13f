//! VRRP version 3 advertisements for IPv4 (RFC 5798 section 5).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    |Count IPvX Addr|
//! |(rsvd) |     Max Adver Int     |          Checksum             |
//! |                       IPv4 addresses ...                      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The checksum covers a pseudo-header of the IP addresses (section 5.2.8). RFC 9568, which came later, leaves it out for IPv4; this
//! sends and takes it as RFC 5798 has it.
//!
//! Left out: IPv6, and version 2 (RFC 3768).

use std::net::Ipv4Addr;

use super::ethernet::Mac;
use super::{WireError, checksum};

/// IP protocol number (section 5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// Where advertisements go (section 5.1.1.2).
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Their TTL, which says that they come from the same link (section 5.1.1.3).
pub const TTL: u8 = 255;
/// The longest interval that fits, in centiseconds.
pub const LONGEST_INTERVAL: u16 = 0x0fff;
const HEADER_LEN: usize = 8;
/// Version 3, type 1: ADVERTISEMENT.
const VERSION_TYPE: u8 = 0x31;

/// What a master says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// The virtual router.
    pub vrid: u8,
    /// The sender's priority; 255 if it owns the addresses, 0 if it is no longer there.
    pub priority: u8,
    /// The time between advertisements, in centiseconds, at most [`LONGEST_INTERVAL`].
    pub interval: u16,
    /// The addresses of the virtual router.
    pub addresses: Vec<Ipv4Addr>,
}

impl Advertisement {
    /// The octets of a message from this address.
    pub fn emit(&self, source: Ipv4Addr) -> Vec<u8> {
        let addresses = &self.addresses[..self.addresses.len().min(usize::from(u8::MAX))];
        let mut out = vec![VERSION_TYPE, self.vrid, self.priority, addresses.len() as u8];
        out.extend_from_slice(&(self.interval & LONGEST_INTERVAL).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        addresses.iter().for_each(|address| out.extend_from_slice(&address.octets()));
        let sum = !sum(source, &out);
        out[6..8].copy_from_slice(&sum.to_be_bytes());
        out
    }

    /// Reads a message that came from this address. Octets behind it are ignored.
    ///
    /// # Errors
    /// If it is no advertisement of version 3, is cut short or has a wrong checksum.
    pub fn parse(source: Ipv4Addr, octets: &[u8]) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "VRRP", field, problem };
        let head: &[u8; HEADER_LEN] = octets.first_chunk().ok_or(err("header", "cut short"))?;
        if head[0] != VERSION_TYPE {
            return Err(err("version and type", "not an advertisement of version 3"));
        }
        let end = HEADER_LEN + 4 * usize::from(head[3]);
        let message = octets.get(..end).ok_or(err("addresses", "cut short"))?;
        if sum(source, message) != 0xffff {
            return Err(err(CHECKSUM, "wrong"));
        }
        let address = |four: &[u8; 4]| Ipv4Addr::from(*four);
        Ok(Self {
            vrid: head[1],
            priority: head[2],
            interval: u16::from_be_bytes([head[4], head[5]]) & LONGEST_INTERVAL,
            addresses: message[HEADER_LEN..].as_chunks().0.iter().map(address).collect(),
        })
    }
}

/// The field that a damaged message is refused for.
pub const CHECKSUM: &str = "checksum";

fn sum(source: Ipv4Addr, message: &[u8]) -> u16 {
    checksum::add(checksum::pseudo_header(source, GROUP, PROTOCOL, message.len() as u16), checksum::sum(message))
}

/// The station of a virtual router (section 7.3).
pub const fn virtual_mac(vrid: u8) -> Mac {
    [0x00, 0x00, 0x5e, 0x00, 0x01, vrid]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);

    fn advertisement() -> Advertisement {
        Advertisement { vrid: 10, priority: 200, interval: 100, addresses: vec![Ipv4Addr::new(10, 1, 0, 1)] }
    }

    /// Written out by hand after section 5.2. The sum of the pseudo-header: 0a01 + 0002 + e000 + 0012 + 0070 + 000c = ea91; of the
    /// message: 310a + c801 + 0064 + 0a01 + 0001 = 1 0371 = 0372; both: ee03, whose complement is 11fc.
    #[test]
    fn an_advertisement_is_laid_out_as_the_rfc_has_it() {
        let octets = advertisement().emit(SOURCE);
        assert_eq!(octets, [0x31, 10, 200, 1, 0, 100, 0x11, 0xfc, 10, 1, 0, 1]);
        assert_eq!(Advertisement::parse(SOURCE, &octets).unwrap(), advertisement());
        assert_eq!(virtual_mac(10), [0, 0, 0x5e, 0, 1, 10]);
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_passes() {
        let octets = advertisement().emit(SOURCE);
        for length in 0..octets.len() {
            assert!(Advertisement::parse(SOURCE, &octets[..length]).is_err(), "{length}");
        }
        for bit in 0..octets.len() * 8 {
            let mut other = octets.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(Advertisement::parse(SOURCE, &other).is_err(), "bit {bit}");
        }
        assert!(Advertisement::parse(Ipv4Addr::new(10, 1, 0, 3), &octets).is_err(), "the pseudo-header counts");
    }
}
