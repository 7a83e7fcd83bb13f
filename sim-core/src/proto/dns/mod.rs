//! DNS: a name server that has zones and forwards what others know, and the resolver of a host, which asks such servers (RFC 1034
//! section 5, RFC 1035 section 7).
//!
//! ```text
//!   client -- Asker --- query ---> NameServer: zone, or cache, or forwards
//!                                      '-- Asker --- query ---> NameServer ...
//! ```
//!
//! Both ask in the same way: the servers in turn, each for a time, for a number of rounds ([`Asker`]). Ids and ports are drawn anew for
//! each question (RFC 5452 section 9).
//!
//! Left out, beside what [`crate::wire::dns`] leaves out: recursion from the root (RFC 1034 section 5.3.3): a name server forwards to servers
//! that it is told; negative caching (RFC 2308); zone transfer and updates (RFC 1995, RFC 5936, RFC 2136); DNSSEC (RFC 4033).

mod asker;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddrV4;

pub use self::asker::{Asker, AskerConfig, Outcome, Upstream};
pub use self::server::{Forward, Heard, NameServer, ServerConfig, WAITING_MAX, Zone};
use crate::id::Port;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// The port of the device by which it came or goes.
    pub by: Port,
    /// From whom.
    pub from: SocketAddrV4,
    /// To whom.
    pub to: SocketAddrV4,
    /// The message.
    pub octets: Vec<u8>,
}
