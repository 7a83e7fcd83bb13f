//! The OPEN message (RFC 4271 section 4.2), its capabilities (RFC 5492) and its errors (section 6.2).
//!
//! ```text
//! +---------------+
//! |    Version    |
//! +---------------+---------------+
//! |     My Autonomous System      |
//! +-------------------------------+
//! |           Hold Time           |
//! +-------------------------------+-------------------------------+
//! |                         BGP Identifier                        |
//! +---------------+-----------------------------------------------+
//! | Opt Parm Len  |  Optional Parameters (variable)
//! +---------------+-----------------------------------------------
//! ```
//!
//! Parameters and capabilities are walked here, so that one we do not know is stepped over at its own length and one
//! we know is judged alone; the values come from the codec library.
//!
//! Left out: the extended parameter length of RFC 9072 (answered with 2/4) and every capability but those of
//! [`Capabilities`]. A BGP Identifier must be a unicast address (RFC 4271); RFC 6286 contributes only its rule that
//! equal identifiers are an error within one AS.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, FourOctetAsCapability, MultiProtocolExtensionsCapability, UnrecognizedCapability,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFrom as _;

use super::family::{Afi, UNICAST};
use super::notification::Notification;

/// The protocol version we speak.
const VERSION: u8 = 4;
/// Stands in for an AS number that does not fit in two octets (RFC 6793 section 9).
pub const AS_TRANS: u16 = 23456;
/// The optional parameter that carries capabilities (RFC 5492 section 4).
const PARAMETER_CAPABILITIES: u8 = 2;
/// Capability codes that are read and written here.
const GRACEFUL_RESTART: u8 = 64;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
/// Bits of Restart Flags (RFC 4724 section 3, RFC 8538 section 2) and of Flags for Address Family.
const RESTART_STATE: u8 = 0x80;
const RESTART_NOTIFICATION: u8 = 0x40;
const FORWARDING_STATE: u8 = 0x80;
/// The most that the 12 bits of Restart Time can say, in seconds.
pub const MAX_RESTART_TIME: u16 = 4095;
/// The capability "multiprotocol" of a family as it goes on the wire (RFC 4760 section 8).
const fn multiprotocol(afi: Afi) -> [u8; 6] {
    let [high, low] = afi.octets();
    [1, 4, high, low, 0, UNICAST]
}

/// What an OPEN says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    /// The sender's AS: from the 4-octet capability if there is one.
    pub asn: u32,
    /// Proposed hold time in seconds: 0 or at least 3.
    pub hold_time: u16,
    /// BGP Identifier.
    pub identifier: Ipv4Addr,
    /// What the sender can do.
    pub capabilities: Capabilities,
}

/// The capabilities that this speaker knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Multiprotocol extensions for IPv4 unicast (RFC 4760).
    pub ipv4_unicast: bool,
    /// Multiprotocol extensions for IPv6 unicast.
    pub ipv6_unicast: bool,
    /// ROUTE-REFRESH (RFC 2918).
    pub route_refresh: bool,
    /// AS numbers of four octets (RFC 6793).
    pub four_octet_as: bool,
    /// Marks around the answer to a ROUTE-REFRESH (RFC 7313).
    pub enhanced_refresh: bool,
    /// Graceful restart (RFC 4724).
    pub graceful_restart: Option<RestartCapability>,
}

impl Capabilities {
    /// What every current speaker announces without being told to.
    pub const USUAL: Self = Self {
        ipv4_unicast: true,
        ipv6_unicast: false,
        route_refresh: true,
        four_octet_as: true,
        enhanced_refresh: false,
        graceful_restart: None,
    };

    /// The families of a session, IPv4 and IPv6: without a word of any it is for IPv4 unicast (RFC 4760 section 8).
    pub(super) const fn families(&self) -> [bool; 2] {
        [self.ipv4_unicast || !self.ipv6_unicast, self.ipv6_unicast]
    }
}

/// The Graceful Restart Capability (RFC 4724 section 3), as far as it is about our families.
///
/// ```text
/// +----------------------+------------------------+---------+----------+------------+--------
/// | R N 0 0 (4 bits)     | Restart Time (12 bits) | AFI (2) | SAFI (1) | F 0 .. (1) | ...
/// +----------------------+------------------------+---------+----------+------------+--------
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestartCapability {
    /// R: the sender has restarted, so nobody must wait for its End-of-RIB.
    pub restarted: bool,
    /// N: NOTIFICATIONs and the hold timer do not end what is retained (RFC 8538).
    pub notification: bool,
    /// How long the sender asks to be waited for, in seconds, at most [`MAX_RESTART_TIME`].
    pub restart_time: u16,
    /// F of IPv4 unicast: the sender's forwarding survived. `None` if the sender does not name the family: it helps others
    /// and cannot restart itself.
    pub forwarding: Option<bool>,
    /// The same of IPv6 unicast.
    pub ipv6_forwarding: Option<bool>,
}

impl RestartCapability {
    /// True if the sender can restart in one of our families.
    pub(super) fn names_a_family(&self) -> bool {
        self.forwarding.is_some() || self.ipv6_forwarding.is_some()
    }

    fn value(self) -> Vec<u8> {
        let bit = |is, bit| if is { bit } else { 0 };
        let flags = bit(self.restarted, RESTART_STATE) | bit(self.notification, RESTART_NOTIFICATION);
        let [high, low] = self.restart_time.min(MAX_RESTART_TIME).to_be_bytes();
        let mut value = vec![flags | high, low];
        for (afi, forwarding) in [(Afi::Ipv4, self.forwarding), (Afi::Ipv6, self.ipv6_forwarding)] {
            if let Some(preserved) = forwarding {
                let [high, low] = afi.octets();
                value.extend_from_slice(&[high, low, UNICAST, bit(preserved, FORWARDING_STATE)]);
            }
        }
        value
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (&[high, low], families) = value.split_first_chunk::<2>()?;
        if !families.len().is_multiple_of(4) {
            return None;
        }
        let forwarding = |afi| {
            let mut families = families.chunks_exact(4);
            let family = families.find(|family| Afi::of([family[0], family[1]], family[2]) == Some(afi))?;
            Some(family[3] & FORWARDING_STATE != 0)
        };
        Some(Self {
            restarted: high & RESTART_STATE != 0,
            notification: high & RESTART_NOTIFICATION != 0,
            restart_time: u16::from_be_bytes([high & 0x0f, low]),
            forwarding: forwarding(Afi::Ipv4),
            ipv6_forwarding: forwarding(Afi::Ipv6),
        })
    }
}

/// What an OPEN is judged against.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Our own AS.
    pub local_as: u32,
    /// Our own BGP Identifier.
    pub router_id: Ipv4Addr,
    /// The AS that the configuration names for the peer.
    pub remote_as: u32,
    /// What we said that we can do. Without AS numbers of four octets the peer's AS is what its two octets say.
    pub capabilities: Capabilities,
}

impl Open {
    /// The whole message, header included. Every capability in one parameter, as most speakers do.
    pub fn emit(&self) -> Vec<u8> {
        let mut capabilities = Vec::with_capacity(6);
        let families = [
            (self.capabilities.ipv4_unicast, AddressType::Ipv4Unicast),
            (self.capabilities.ipv6_unicast, AddressType::Ipv6Unicast),
        ];
        for (_, family) in families.into_iter().filter(|(spoken, _)| *spoken) {
            let capability = MultiProtocolExtensionsCapability::new(family);
            capabilities.push(BgpCapability::MultiProtocolExtensions(capability));
        }
        if self.capabilities.route_refresh {
            capabilities.push(BgpCapability::RouteRefresh);
        }
        if self.capabilities.four_octet_as {
            let capability = FourOctetAsCapability::new(self.asn);
            capabilities.push(BgpCapability::FourOctetAs(capability));
        }
        if let Some(restart) = self.capabilities.graceful_restart {
            let value = UnrecognizedCapability::new(GRACEFUL_RESTART, restart.value());
            capabilities.push(BgpCapability::Unrecognized(value));
        }
        if self.capabilities.enhanced_refresh {
            capabilities.push(BgpCapability::EnhancedRouteRefresh);
        }
        let parameters = match capabilities.is_empty() {
            true => vec![],
            false => vec![BgpOpenMessageParameter::new_capabilities(capabilities)],
        };
        let two_octets = u16::try_from(self.asn).unwrap_or(AS_TRANS);
        let open = BgpOpenMessage::new(two_octets, self.hold_time, self.identifier, parameters);
        let mut message = Vec::with_capacity(64);
        BgpMessage::Open(open).write(&mut message).expect("an OPEN of six capabilities fits in a message");
        message
    }

    /// Reads the body of an OPEN, whatever it says.
    ///
    /// # Errors
    /// The NOTIFICATION that section 6.2 prescribes for one that cannot be read.
    pub fn read(body: &[u8]) -> Result<Self, Notification> {
        let (open, ..) = Self::taken_apart(body)?;
        Ok(open)
    }

    /// Reads the body of an OPEN and judges it.
    ///
    /// # Errors
    /// The NOTIFICATION that section 6.2 prescribes. Where it prescribes no data the data field is empty.
    pub fn parse(body: &[u8], expected: Expected) -> Result<Self, Notification> {
        let error = |codes| Notification::new(codes, []);
        let (mut open, two_octets, parameters) = Self::taken_apart(body)?;
        if !expected.capabilities.four_octet_as {
            open.asn = two_octets.into();
        }
        // RFC 6793 section 4.2.1: AS 0 in the capability is as wrong as any other mismatch.
        if open.asn != expected.remote_as || open.asn == 0 {
            return Err(error(Notification::BAD_PEER_AS));
        }
        let same_twice = open.identifier == expected.router_id && open.asn == expected.local_as;
        if !is_unicast_host(open.identifier) || same_twice {
            return Err(error(Notification::BAD_IDENTIFIER));
        }
        if matches!(open.hold_time, 1 | 2) {
            return Err(error(Notification::BAD_HOLD_TIME));
        }
        // RFC 5492 section 5: no family is spoken by both, so the capability is missing that we offered.
        let [ours, theirs] = [expected.capabilities, open.capabilities].map(|capabilities| capabilities.families());
        let theirs = [theirs[0] && (parameters.ipv4_unicast || !parameters.other_families), theirs[1]];
        if !(ours[0] && theirs[0] || ours[1] && theirs[1]) {
            let afi = if ours[0] { Afi::Ipv4 } else { Afi::Ipv6 };
            return Err(Notification::new(Notification::MISSING_CAPABILITY, multiprotocol(afi)));
        }
        Ok(open)
    }

    /// What it says, its AS in two octets, and its parameters.
    fn taken_apart(body: &[u8]) -> Result<(Self, u16, Parameters), Notification> {
        let error = |codes| Notification::new(codes, []);
        let [version, a0, a1, h0, h1, i0, i1, i2, i3, length, rest @ ..] = body else {
            return Err(error(Notification::OPEN_UNSPECIFIC));
        };
        if *version != VERSION {
            return Err(Notification::new(Notification::BAD_VERSION, [0, VERSION]));
        }
        let parameters = match rest.len() == usize::from(*length) {
            true => walk_parameters(rest)?,
            false => return Err(error(Notification::OPEN_UNSPECIFIC)),
        };
        let two_octets = u16::from_be_bytes([*a0, *a1]);
        let open = Self {
            asn: parameters.asn.unwrap_or(u32::from(two_octets)),
            hold_time: u16::from_be_bytes([*h0, *h1]),
            identifier: Ipv4Addr::new(*i0, *i1, *i2, *i3),
            capabilities: Capabilities {
                // Without a multiprotocol capability a session is for IPv4 unicast (RFC 4760 section 8).
                ipv4_unicast: parameters.ipv4_unicast || !parameters.ipv6_unicast,
                ipv6_unicast: parameters.ipv6_unicast,
                route_refresh: parameters.route_refresh,
                four_octet_as: parameters.asn.is_some(),
                enhanced_refresh: parameters.enhanced_refresh,
                graceful_restart: parameters.graceful_restart,
            },
        };
        Ok((open, two_octets, parameters))
    }
}

/// A "valid unicast IP host address" (sections 6.2 and 6.3): neither zero, nor class D or E, nor broadcast.
pub(super) fn is_unicast_host(address: Ipv4Addr) -> bool {
    (1..224).contains(&address.octets()[0])
}

#[derive(Default)]
struct Parameters {
    ipv4_unicast: bool,
    ipv6_unicast: bool,
    other_families: bool,
    route_refresh: bool,
    asn: Option<u32>,
    enhanced_refresh: bool,
    graceful_restart: Option<RestartCapability>,
}

fn walk_parameters(mut rest: &[u8]) -> Result<Parameters, Notification> {
    let mut found = Parameters::default();
    while !rest.is_empty() {
        let (kind, value, after) = type_length_value(rest).ok_or_else(malformed)?;
        if kind != PARAMETER_CAPABILITIES {
            return Err(Notification::new(Notification::BAD_PARAMETER, []));
        }
        walk_capabilities(value, &mut found)?;
        rest = after;
    }
    Ok(found)
}

fn walk_capabilities(mut rest: &[u8], found: &mut Parameters) -> Result<(), Notification> {
    while !rest.is_empty() {
        let (code, value, after) = type_length_value(rest).ok_or_else(malformed)?;
        let whole = &rest[..rest.len() - after.len()];
        rest = after;
        match code {
            ENHANCED_ROUTE_REFRESH if value.is_empty() => found.enhanced_refresh = true,
            // RFC 4724 section 3: of several the last one counts.
            GRACEFUL_RESTART => {
                found.graceful_restart = Some(RestartCapability::parse(value).ok_or_else(malformed)?);
            }
            _ => {}
        }
        // Only these three are given to the library: what we do not know must not be able to fail.
        if !matches!(code, 1 | 2 | 65) {
            continue;
        }
        match BgpCapability::parse(&mut SliceReader::new(whole)) {
            Ok(BgpCapability::MultiProtocolExtensions(family)) => match family.address_type() {
                AddressType::Ipv4Unicast => found.ipv4_unicast = true,
                AddressType::Ipv6Unicast => found.ipv6_unicast = true,
                _ => found.other_families = true,
            },
            Ok(BgpCapability::RouteRefresh) => found.route_refresh = true,
            Ok(BgpCapability::FourOctetAs(asn)) => found.asn = Some(asn.asn4()),
            // A family that the library has no name for is still another family.
            Err(_) if code == 1 && value.len() == 4 => found.other_families = true,
            Ok(_) | Err(_) => return Err(malformed()),
        }
    }
    Ok(())
}

fn malformed() -> Notification {
    Notification::new(Notification::OPEN_UNSPECIFIC, [])
}

/// One (type, length, value) of one octet each for type and length, and what follows it.
fn type_length_value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [kind, length, rest @ ..] = bytes else {
        return None;
    };
    let (value, after) = rest.split_at_checked(usize::from(*length))?;
    Some((*kind, value, after))
}
