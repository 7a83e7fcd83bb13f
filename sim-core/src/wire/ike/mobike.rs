//! The data of MOBIKE's notifications (RFC 4555 section 4.2), where there is any.
//!
//! ```text
//! ADDITIONAL_IP4_ADDRESS, ADDITIONAL_IP6_ADDRESS    4 or 16 octets: an address
//! COOKIE2                                           8 to 64 octets that nobody can foresee
//! NO_NATS_ALLOWED                                   12 or 36 octets:
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! !                       Source IP address                       !
//! !                    Destination IP address                     !
//! !          Source port          !       Destination port        !
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! MOBIKE_SUPPORTED, NO_ADDITIONAL_ADDRESSES, UPDATE_SA_ADDRESSES, UNACCEPTABLE_ADDRESSES and UNEXPECTED_NAT_DETECTED have none,
//! and what is there all the same is ignored.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use super::{Notify, NotifyType};

/// Octets of a COOKIE2 (RFC 4555 section 4.2.5).
pub const COOKIE2_LEN: RangeInclusive<usize> = 8..=64;

/// The notification that tells of a further address, and its data.
pub fn additional_address(address: IpAddr) -> (NotifyType, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (NotifyType::AdditionalIp4Address, address.octets().to_vec()),
        IpAddr::V6(address) => (NotifyType::AdditionalIp6Address, address.octets().to_vec()),
    }
}

/// The address that a notification tells of; `None` if it is another one, or its data has a wrong length.
pub fn told_address(notify: &Notify<'_>) -> Option<IpAddr> {
    match notify.kind {
        NotifyType::AdditionalIp4Address => v4(notify.data),
        NotifyType::AdditionalIp6Address => v6(notify.data),
        _ => None,
    }
}

/// What NO_NATS_ALLOWED says: the addresses and ports of its message before anybody could translate them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoNatsAllowed {
    /// Address and UDP port of the sender.
    pub source: (IpAddr, u16),
    /// Address and UDP port of the receiver, of the same family.
    pub destination: (IpAddr, u16),
}

impl NoNatsAllowed {
    /// The notification's data.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(12);
        for (address, _) in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => octets.extend(address.octets()),
                IpAddr::V6(address) => octets.extend(address.octets()),
            }
        }
        octets.extend(self.source.1.to_be_bytes());
        octets.extend(self.destination.1.to_be_bytes());
        octets
    }

    /// Reads the notification's data; `None` if it has a wrong length.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        const PORTS: usize = 4;
        let (addresses, ports) = octets.split_at_checked(octets.len().checked_sub(PORTS)?)?;
        let (source, destination) = addresses.split_at(addresses.len() / 2);
        let read = |octets| v4(octets).or_else(|| v6(octets));
        let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
        Some(Self { source: (read(source)?, port(0)), destination: (read(destination)?, port(2)) })
    }
}

fn v4(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn v6(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4555 section 4.2.6, octet by octet.
    #[test]
    fn no_nats_allowed_is_addresses_and_then_ports() {
        let said = NoNatsAllowed {
            source: ("192.0.2.1".parse().unwrap(), 500),
            destination: ("198.51.100.2".parse().unwrap(), 4500),
        };
        assert_eq!(said.octets(), [192, 0, 2, 1, 198, 51, 100, 2, 0x01, 0xf4, 0x11, 0x94]);
    }

    fn address(v6: bool) -> BoxedStrategy<IpAddr> {
        match v6 {
            true => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
            false => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_read_again(
            (a, b) in any::<bool>().prop_flat_map(|v6| (address(v6), address(v6))),
            p: u16,
            q: u16,
        ) {
            let said = NoNatsAllowed { source: (a, p), destination: (b, q) };
            prop_assert_eq!(NoNatsAllowed::parse(&said.octets()), Some(said));
            let (kind, data) = additional_address(a);
            prop_assert_eq!(told_address(&Notify::new(kind, &data)), Some(a));
        }

        #[test]
        fn a_wrong_length_is_nothing(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(NoNatsAllowed::parse(&octets).is_some(), [12, 36].contains(&octets.len()));
            for (kind, length) in [(NotifyType::AdditionalIp4Address, 4), (NotifyType::AdditionalIp6Address, 16)] {
                prop_assert_eq!(told_address(&Notify::new(kind, &octets)).is_some(), octets.len() == length);
            }
        }
    }

    /// The IANA registry "IKEv2 Notify Message Types" has RFC 4555's as 40, 41 and 16396 to 16402.
    #[test]
    fn types_are_those_of_the_registry() {
        use NotifyType::*;
        let all = [
            (UnacceptableAddresses, 40),
            (UnexpectedNatDetected, 41),
            (MobikeSupported, 16396),
            (AdditionalIp4Address, 16397),
            (AdditionalIp6Address, 16398),
            (NoAdditionalAddresses, 16399),
            (UpdateSaAddresses, 16400),
            (Cookie2, 16401),
            (NoNatsAllowed, 16402),
        ];
        for (kind, number) in all {
            assert_eq!((kind.to_wire(), NotifyType::from_wire(number)), (number, kind));
        }
    }
}
