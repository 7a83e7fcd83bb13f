//! What clients and associations say to each other: the **model** of a transport, in UDP datagrams.
//!
//! ```text
//!  1 HELLO   flags (1)  user  [ issuer  serial  expires (8) ]     a text is its length (1) and its octets
//!  2 ACCEPT  address (4)  ping, dead after in ms (4, 4)  count (2)  prefixes (5 each)
//!  3 REFUSE  why (1)
//!  4 PING
//!  5 DATA    an IP packet
//! ```

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Denied;
use crate::packet::Packet;
use crate::time::{Duration, Instant};

const HELLO: u8 = 1;
const ACCEPT: u8 = 2;
const REFUSE: u8 = 3;
const PING: u8 = 4;
const DATA: u8 = 5;
const PASSWORD: u8 = 1;
const MFA: u8 = 2;
const CERTIFICATE: u8 = 4;

/// A certificate, as far as this model looks at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Its authority.
    pub issuer: String,
    /// Its serial number.
    pub serial: String,
    /// From when on it is over.
    pub expires: Instant,
}

/// Who asks to be let in. Of a password and a second factor it says whether they are right; those who judge that are not here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The user.
    pub user: String,
    /// True if the password is right, or the identity provider asserts who it is.
    pub password: bool,
    /// True if the second factor is right.
    pub mfa: bool,
    /// The certificate.
    pub certificate: Option<Certificate>,
}

/// Somebody is let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accept {
    /// The address that it has from here on.
    pub address: Ipv4Addr,
    /// How often it shows that it lives.
    pub ping: Duration,
    /// How long it waits for a sign of life.
    pub dead_after: Duration,
    /// What it sends by the tunnel.
    pub routes: Vec<Ipv4Net>,
}

/// A datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Who asks to be let in.
    Hello(Hello),
    /// Who is let in.
    Accept(Accept),
    /// Who is not.
    Refuse(Denied),
    /// A sign of life, and the answer to one.
    Ping,
    /// An IP packet: all octets after the first.
    Data,
}

/// Puts the first octet of [`Message::Data`] in front of an IP packet.
pub fn wrap(packet: &mut Packet) {
    packet.push_front(1)[0] = DATA;
}

impl Message {
    /// The octets, but those of the packet in [`Message::Data`].
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hello(hello) => {
                let flag = |is: bool, flag: u8| if is { flag } else { 0 };
                let certificate = flag(hello.certificate.is_some(), CERTIFICATE);
                out.extend([HELLO, flag(hello.password, PASSWORD) | flag(hello.mfa, MFA) | certificate]);
                put_text(&mut out, &hello.user);
                if let Some(certificate) = &hello.certificate {
                    put_text(&mut out, &certificate.issuer);
                    put_text(&mut out, &certificate.serial);
                    out.extend(certificate.expires.as_nanos().to_be_bytes());
                }
            }
            Self::Accept(accept) => {
                out.push(ACCEPT);
                out.extend(accept.address.octets());
                for duration in [accept.ping, accept.dead_after] {
                    let milliseconds = u32::try_from(duration.as_nanos() / 1_000_000).unwrap_or(u32::MAX);
                    out.extend(milliseconds.to_be_bytes());
                }
                let routes = &accept.routes[..accept.routes.len().min(usize::from(u16::MAX))];
                out.extend((routes.len() as u16).to_be_bytes());
                for route in routes {
                    out.extend(route.addr().octets());
                    out.push(route.prefix_len());
                }
            }
            Self::Refuse(denied) => {
                let place = Denied::ALL.iter().position(|other| other == denied).unwrap_or_default();
                out.extend([REFUSE, place as u8]);
            }
            Self::Ping => out.push(PING),
            Self::Data => out.push(DATA),
        }
        out
    }

    /// Reads a datagram; `None`: it is none of these.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let (kind, mut rest) = octets.split_first()?;
        let rest = &mut rest;
        Some(match *kind {
            HELLO => {
                let [flags] = take(rest)?;
                let user = text(rest)?;
                let certificate = match flags & CERTIFICATE {
                    0 => None,
                    _ => Some(Certificate {
                        issuer: text(rest)?,
                        serial: text(rest)?,
                        expires: Instant::from_nanos(u64::from_be_bytes(take(rest)?)),
                    }),
                };
                Self::Hello(Hello { user, password: flags & PASSWORD != 0, mfa: flags & MFA != 0, certificate })
            }
            ACCEPT => {
                let address = Ipv4Addr::from(take::<4>(rest)?);
                let mut duration = || Some(Duration::from_millis(u32::from_be_bytes(take(rest)?).into()));
                let (ping, dead_after) = (duration()?, duration()?);
                let count = u16::from_be_bytes(take(rest)?);
                let mut route = || {
                    let [a, b, c, d, length] = take(rest)?;
                    Ipv4Net::new(Ipv4Addr::new(a, b, c, d), length).ok()
                };
                let routes = (0..count).map(|_| route()).collect::<Option<_>>()?;
                Self::Accept(Accept { address, ping, dead_after, routes })
            }
            REFUSE => Self::Refuse(*Denied::ALL.get(usize::from(take::<1>(rest)?[0]))?),
            PING => Self::Ping,
            DATA => Self::Data,
            _ => return None,
        })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let octets = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    out.push(octets.len() as u8);
    out.extend_from_slice(octets);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let [length] = take(rest)?;
    let (text, after) = rest.split_at_checked(length.into())?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok()
}
