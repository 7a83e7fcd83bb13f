//! Traffic selectors (RFC 7296 section 3.13).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   TS Type     |IP Protocol ID |       Selector Length         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           Start Port          |           End Port            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                         Starting Address                      ~
//! ~                         Ending Address                        ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Error, Reader};

const TS_IPV4_ADDR_RANGE: u8 = 7;
const TS_IPV6_ADDR_RANGE: u8 = 8;

/// Addresses from the first to the second, both included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AddressRange {
    /// TS_IPV4_ADDR_RANGE.
    V4(Ipv4Addr, Ipv4Addr),
    /// TS_IPV6_ADDR_RANGE.
    V6(Ipv6Addr, Ipv6Addr),
}

/// Which packets an SA carries, at one of its ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrafficSelector {
    /// IP protocol number, 0 for any.
    pub protocol: u8,
    /// First and last port; 0 and 65,535 for any. ICMP puts type and code here (section 3.13.1).
    pub ports: (u16, u16),
    /// Addresses.
    pub addresses: AddressRange,
}

impl TrafficSelector {
    /// Any protocol and port of a prefix.
    pub fn prefix(net: IpNet) -> Self {
        let addresses = match net {
            IpNet::V4(net) => AddressRange::V4(net.network(), net.broadcast()),
            IpNet::V6(net) => AddressRange::V6(net.network(), net.broadcast()),
        };
        Self { protocol: 0, ports: (0, u16::MAX), addresses }
    }

    /// Any IPv4 packet: 0.0.0.0/0.
    pub const ANY_V4: Self = Self {
        protocol: 0,
        ports: (0, u16::MAX),
        addresses: AddressRange::V4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST),
    };

    /// True if the address is in the range (protocol and ports are not looked at).
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.addresses, address) {
            (AddressRange::V4(low, high), IpAddr::V4(a)) => (low..=high).contains(&a),
            (AddressRange::V6(low, high), IpAddr::V6(a)) => (low..=high).contains(&a),
            (AddressRange::V4(..), IpAddr::V6(_)) | (AddressRange::V6(..), IpAddr::V4(_)) => false,
        }
    }

    /// What both cover; `None` if that is nothing.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let protocol = match (self.protocol, other.protocol) {
            (a, b) if a == b => a,
            (0, p) | (p, 0) => p,
            _ => return None,
        };
        let ports = (self.ports.0.max(other.ports.0), self.ports.1.min(other.ports.1));
        let (addresses, some) = match (self.addresses, other.addresses) {
            (AddressRange::V4(a, b), AddressRange::V4(c, d)) => {
                let (low, high) = (a.max(c), b.min(d));
                (AddressRange::V4(low, high), low <= high)
            }
            (AddressRange::V6(a, b), AddressRange::V6(c, d)) => {
                let (low, high) = (a.max(c), b.min(d));
                (AddressRange::V6(low, high), low <= high)
            }
            (AddressRange::V4(..), AddressRange::V6(..)) | (AddressRange::V6(..), AddressRange::V4(..)) => return None,
        };
        (some && ports.0 <= ports.1).then_some(Self { protocol, ports, addresses })
    }
}

/// `10.0.0.0-10.0.255.255`, with protocol and ports only if they are not any.
impl fmt::Display for TrafficSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addresses {
            AddressRange::V4(low, high) => write!(f, "{low}-{high}")?,
            AddressRange::V6(low, high) => write!(f, "{low}-{high}")?,
        }
        if self.protocol != 0 || self.ports != (0, u16::MAX) {
            write!(f, "[{}/{}-{}]", self.protocol, self.ports.0, self.ports.1)?;
        }
        Ok(())
    }
}

/// Selectors of a type not known here are left out, as nothing can match them.
pub(super) fn parse(r: &mut Reader<'_>) -> Result<Vec<TrafficSelector>, Error> {
    let count = r.u8("Number of TSs")?;
    r.array::<3>("RESERVED")?;
    let mut selectors = Vec::with_capacity(usize::from(count).min(8));
    for _ in 0..count {
        let kind = r.u8("TS Type")?;
        let protocol = r.u8("IP Protocol ID")?;
        let length = r.u16("Selector Length")?;
        let Some(n) = usize::from(length).checked_sub(4) else {
            return r.value("Selector Length", u32::from(length));
        };
        let rest = r.take(n, "Selector Length")?;
        let payload = r.payload;
        let mut inner = Reader { rest, payload };
        if !matches!(kind, TS_IPV4_ADDR_RANGE | TS_IPV6_ADDR_RANGE) {
            continue;
        }
        let ports = (inner.u16("Start Port")?, inner.u16("End Port")?);
        let addresses = if kind == TS_IPV4_ADDR_RANGE {
            AddressRange::V4(inner.array::<4>("Starting Address")?.into(), inner.array::<4>("Ending Address")?.into())
        } else {
            AddressRange::V6(inner.array::<16>("Starting Address")?.into(), inner.array::<16>("Ending Address")?.into())
        };
        if !inner.rest.is_empty() {
            return r.value("Selector Length", u32::from(length));
        }
        selectors.push(TrafficSelector { protocol, ports, addresses });
    }
    if r.rest.is_empty() { Ok(selectors) } else { r.value("Number of TSs", u32::from(count)) }
}

pub(super) fn emit(selectors: &[TrafficSelector], out: &mut Vec<u8>) {
    out.extend_from_slice(&[selectors.len() as u8, 0, 0, 0]);
    for ts in selectors {
        let (kind, length) = match ts.addresses {
            AddressRange::V4(..) => (TS_IPV4_ADDR_RANGE, 16u16),
            AddressRange::V6(..) => (TS_IPV6_ADDR_RANGE, 40),
        };
        out.extend_from_slice(&[kind, ts.protocol]);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&ts.ports.0.to_be_bytes());
        out.extend_from_slice(&ts.ports.1.to_be_bytes());
        match ts.addresses {
            AddressRange::V4(low, high) => {
                out.extend_from_slice(&low.octets());
                out.extend_from_slice(&high.octets());
            }
            AddressRange::V6(low, high) => {
                out.extend_from_slice(&low.octets());
                out.extend_from_slice(&high.octets());
            }
        }
    }
}
