//! ARP for IPv4 over Ethernet (RFC 826), and what it says of an address without being asked (RFC 5227).
//!
//! ```text
//!  hardware 1 (2)  protocol 08-00 (2)  lengths 6, 4 (2)  operation (2)
//!  sender's station (6)  sender's address (4)  target's station (6)  target's address (4)
//! ```
//!
//! Left out: other hardware and protocols, and operations beyond request and reply (RFC 903, RFC 2390).

use std::net::Ipv4Addr;

use super::WireError;
use super::ethernet::{Mac, ethertype};

/// Octets of a message.
pub const LEN: usize = 28;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Who has the target's address?
    Request,
    /// The sender has.
    Reply,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    /// Question or answer.
    pub operation: Operation,
    /// The sender's station and address.
    pub sender: (Mac, Ipv4Addr),
    /// The target's; the station of a request is zero.
    pub target: (Mac, Ipv4Addr),
}

impl Arp {
    /// A station asks for an address.
    pub const fn request(sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Self {
        Self { operation: Operation::Request, sender, target: ([0; 6], target) }
    }

    /// The sender has the address that it was asked for.
    pub const fn reply(sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Self {
        Self { operation: Operation::Reply, sender, target }
    }

    /// A gratuitous ARP: an ARP Announcement (RFC 5227 section 2.3), by which all others learn where an address is. Sender and
    /// target are the same address.
    pub const fn announcement(station: Mac, address: Ipv4Addr) -> Self {
        Self::request((station, address), address)
    }

    /// The octets.
    pub fn emit(&self) -> [u8; LEN] {
        let mut out = [0; LEN];
        out[..2].copy_from_slice(&1u16.to_be_bytes());
        out[2..4].copy_from_slice(&ethertype::IPV4.to_be_bytes());
        out[4..6].copy_from_slice(&[6, 4]);
        out[7] = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        for (at, (station, address)) in [(8, self.sender), (18, self.target)] {
            out[at..at + 6].copy_from_slice(&station);
            out[at + 6..at + 10].copy_from_slice(&address.octets());
        }
        out
    }

    /// Reads a message; octets behind it are padding.
    ///
    /// # Errors
    /// If it is cut short, or not about IPv4 over Ethernet.
    pub fn parse(octets: &[u8]) -> Result<Self, WireError> {
        let err = |field, problem| WireError { layer: "ARP", field, problem };
        let octets: &[u8; LEN] = octets.first_chunk().ok_or(err("message", "cut short"))?;
        if octets[..6] != [0, 1, 0x08, 0x00, 6, 4] {
            return Err(err("hardware and protocol", "not IPv4 over Ethernet"));
        }
        let operation = match octets[6..8] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return Err(err("operation", "neither request nor reply")),
        };
        let end = |at: usize| {
            let mut station = Mac::default();
            station.copy_from_slice(&octets[at..at + 6]);
            let address = [octets[at + 6], octets[at + 7], octets[at + 8], octets[at + 9]];
            (station, Ipv4Addr::from(address))
        };
        Ok(Self { operation, sender: end(8), target: end(18) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out by hand after RFC 826, "Packet format".
    #[test]
    fn a_request_is_laid_out_as_the_rfc_has_it() {
        let asker = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 1, 0, 10));
        let request = Arp::request(asker, Ipv4Addr::new(10, 1, 0, 1));
        let octets: [u8; LEN] = [
            0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
            2, 0, 0, 0, 0, 1, 10, 1, 0, 10, // who asks
            0, 0, 0, 0, 0, 0, 10, 1, 0, 1, // for what
        ];
        assert_eq!(request.emit(), octets);
        assert_eq!(Arp::parse(&octets).unwrap(), request);
        let reply = Arp::reply(([2, 0, 0, 0, 0, 9], Ipv4Addr::new(10, 1, 0, 1)), asker);
        assert_eq!((reply.emit()[7], Arp::parse(&reply.emit()).unwrap()), (2, reply));
    }

    /// RFC 5227 section 2.3: an announcement has its own address as that of sender and target.
    #[test]
    fn an_announcement_asks_for_its_own_address() {
        let octets = Arp::announcement([0, 0, 0x5e, 0, 1, 10], Ipv4Addr::new(10, 1, 0, 1)).emit();
        assert_eq!((octets[7], &octets[14..18], &octets[24..28]), (1, &[10, 1, 0, 1][..], &[10, 1, 0, 1][..]));
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_panics() {
        let octets = Arp::announcement([2; 6], Ipv4Addr::LOCALHOST).emit();
        for length in 0..LEN {
            assert!(Arp::parse(&octets[..length]).is_err(), "{length}");
        }
        for bit in 0..LEN * 8 {
            let mut other = octets;
            other[bit / 8] ^= 1 << (bit % 8);
            let parsed = Arp::parse(&other);
            assert!(parsed.is_err() || parsed != Arp::parse(&octets), "bit {bit} says something");
        }
    }
}
