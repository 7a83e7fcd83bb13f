//! Selectors, which IKEv1 spells as identifications: IDci and IDcr of Quick Mode (RFC 2407 section 4.6.2, RFC 2409 section 5.5).

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::wire::ike::v1::{Id, IdType};
use crate::wire::ike::{AddressRange, TrafficSelector};

/// True if a selector is within one of this end's own.
pub(super) fn inside(asked: &TrafficSelector, own: &[TrafficSelector]) -> bool {
    own.iter().any(|own| own.intersection(asked) == Some(*asked))
}

/// An identification's octets, as long as it is needed.
pub(super) struct Identification {
    kind: IdType,
    protocol: u8,
    port: u16,
    data: Vec<u8>,
}

impl Identification {
    pub fn id(&self) -> Id<'_> {
        Id { kind: self.kind, protocol: self.protocol, port: self.port, data: &self.data }
    }
}

/// A selector as an identification (RFC 2407 section 4.6.2): a subnet if it is one, else a range. A range of ports cannot be said
/// and becomes any port.
pub(super) fn identification(ts: &TrafficSelector) -> Identification {
    let (kind, data) = match ts.addresses {
        AddressRange::V4(low, high) => {
            let subnet = (0..=32).filter_map(|len| Ipv4Net::new(low, len).ok());
            match subnet.into_iter().find(|net| (net.network(), net.broadcast()) == (low, high)) {
                Some(net) => (IdType::Ipv4AddrSubnet, [low.octets(), net.netmask().octets()].concat()),
                None => (IdType::Ipv4AddrRange, [low.octets(), high.octets()].concat()),
            }
        }
        AddressRange::V6(low, high) => {
            let subnet = (0..=128).filter_map(|len| Ipv6Net::new(low, len).ok());
            match subnet.into_iter().find(|net| (net.network(), net.broadcast()) == (low, high)) {
                Some(net) => (IdType::Ipv6AddrSubnet, [low.octets(), net.netmask().octets()].concat()),
                None => (IdType::Ipv6AddrRange, [low.octets(), high.octets()].concat()),
            }
        }
    };
    let port = if ts.ports.0 == ts.ports.1 { ts.ports.0 } else { 0 };
    Identification { kind, protocol: ts.protocol, port, data }
}

/// The selector that an identification stands for; `None` if it is not about addresses.
pub(super) fn selector(id: &Id<'_>) -> Option<TrafficSelector> {
    let v4 = |at: usize| Some(Ipv4Addr::from(*id.data.get(at..)?.first_chunk::<4>()?));
    let v6 = |at: usize| Some(Ipv6Addr::from(*id.data.get(at..)?.first_chunk::<16>()?));
    let prefix = |net: IpNet| TrafficSelector::prefix(net);
    let whole = |len: usize| (id.data.len() == len).then_some(());
    let addresses = match id.kind {
        IdType::Ipv4Addr => {
            whole(4)?;
            AddressRange::V4(v4(0)?, v4(0)?)
        }
        IdType::Ipv4AddrSubnet => {
            whole(8)?;
            prefix(Ipv4Net::with_netmask(v4(0)?, v4(4)?).ok()?.into()).addresses
        }
        IdType::Ipv4AddrRange => {
            whole(8)?;
            AddressRange::V4(v4(0)?, v4(4)?)
        }
        IdType::Ipv6Addr => {
            whole(16)?;
            AddressRange::V6(v6(0)?, v6(0)?)
        }
        IdType::Ipv6AddrSubnet => {
            whole(32)?;
            prefix(Ipv6Net::with_netmask(v6(0)?, v6(16)?).ok()?.into()).addresses
        }
        IdType::Ipv6AddrRange => {
            whole(32)?;
            AddressRange::V6(v6(0)?, v6(16)?)
        }
        IdType::Fqdn | IdType::UserFqdn | IdType::DerAsn1Dn | IdType::DerAsn1Gn | IdType::KeyId | IdType::Other(_) => {
            return None;
        }
    };
    let ports = if id.port == 0 { (0, u16::MAX) } else { (id.port, id.port) };
    Some(TrafficSelector { protocol: id.protocol, ports, addresses })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(ts: TrafficSelector) -> (IdType, Option<TrafficSelector>) {
        let identification = identification(&ts);
        (identification.kind, selector(&identification.id()))
    }

    #[test]
    fn a_selector_is_said_as_a_subnet_or_as_a_range() {
        let net = |text: &str| TrafficSelector::prefix(text.parse().unwrap());
        let subnets = ["0.0.0.0/0", "10.1.0.0/16", "192.0.2.7/32"].map(net);
        for ts in subnets {
            assert_eq!(there_and_back(ts), (IdType::Ipv4AddrSubnet, Some(ts)));
        }
        let v6 = net("fd00:1::/64");
        assert_eq!(there_and_back(v6), (IdType::Ipv6AddrSubnet, Some(v6)));
        let addresses = AddressRange::V4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 6));
        let range = TrafficSelector { addresses, protocol: 17, ports: (53, 53) };
        assert_eq!(there_and_back(range), (IdType::Ipv4AddrRange, Some(range)));
    }

    /// What a peer may write there, and what is no selector.
    #[test]
    fn an_odd_identification_is_no_selector() {
        let id = |kind, data| selector(&Id { kind, protocol: 0, port: 0, data });
        assert_eq!(
            id(IdType::Ipv4Addr, &[192, 0, 2, 7]),
            Some(TrafficSelector::prefix("192.0.2.7/32".parse().unwrap()))
        );
        assert_eq!(id(IdType::Ipv4Addr, &[192, 0, 2]), None);
        assert_eq!(id(IdType::Ipv4AddrSubnet, &[10, 0, 0, 0, 255, 0, 255, 0]), None, "a mask with a hole");
        assert_eq!(id(IdType::Fqdn, b"example.net"), None);
    }
}
