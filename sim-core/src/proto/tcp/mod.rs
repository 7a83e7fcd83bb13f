//! TCP (RFC 9293) for BGP: real IPv4 or IPv6 and TCP octets from smoltcp, shaped into the host the scenario names.
//!
//! - [`Connection`] is one byte stream, sans IO: packets and time in, packets and events out.
//! - [`Stack`] is the TCP of one host: it finds the connection of a packet by its 4-tuple, makes one per SYN to a listening
//!   port, and answers what belongs to nobody with RST (RFC 9293 section 3.10.7.1).
//!
//! smoltcp gives each connection the RFC 9293 state machine, retransmission (RFC 6298), Reno (RFC 5681), fast retransmit,
//! reassembly (32 gaps), window scaling, zero-window probes and challenge ACKs (RFC 5961). This module adds what the outside
//! sees of a *host*, in [`Profile`]:
//!
//! | | [`Profile::Linux`] | [`Profile::Rfc`] |
//! |---|---|---|
//! | RTO (RFC 6298) | SRTT + max(4 RTTVAR, 200 ms), at most 120 s | max(SRTT + 4 RTTVAR, 1 s), at most 60 s |
//! | lone segment without ACK | first expiry is a tail loss probe (RFC 8985 section 7) and does not back off | backs off at once |
//! | after an RTO | only octets that were sent before are sent again; what the application writes waits until all of them are acknowledged | new octets go out as the window allows |
//!
//! The last row decides how long a BGP session outlives a one-way blackhole: the NOTIFICATION of the side that gives up
//! first waits behind a segment whose ACKs are lost. What a Linux host sends was measured on kernel 6.18 with a veth
//! pair and a dropped return path; the tests quote those figures. Segments sent before the RTO are merged in its retransmission up to
//! one MSS, as `net.ipv4.tcp_retrans_collapse` (default on) does, and so is a FIN that waits behind them.
//!
//! Equal to Linux besides: DSCP CS6 (what BGP daemons ask for), TTL as configured, DF with a counting IP identification,
//! immediate ACKs (quickack, in which slow conversations such as BGP stay), no Nagle, no keep-alive, SYN at 1, 2, 4 ... s with six
//! retries (127 s; kernels from 6.5 on repeat the first four a second apart), `tcp_retries2` as its documented equivalent of
//! 924.6 s, and FIN-WAIT-2 of 60 s.
//!
//! Not equal to Linux, and where a capture will show it:
//! - options: MSS, window scale and SACK permitted; no timestamps (smoltcp's clock for them is a bare function pointer, which
//!   could only be fed by global state), so RTT samples follow Karn's rule and there is no PAWS (RFC 7323);
//! - SACK blocks are sent (one per ACK) but the sender does not use them (RFC 6675); no RACK, no F-RTO, no tail loss probe when
//!   several segments are in flight, no ECN (RFC 3168), no TCP-AO (RFC 5925), no urgent data;
//! - Reno from an initial window of 2,048 octets instead of CUBIC from ten segments (RFC 6928): a first burst of UPDATEs takes
//!   one or two round trips more;
//! - TIME-WAIT lasts 10 s (Linux 60 s, RFC 9293: 2 MSL), and a SYN for a 4-tuple in it gets a
//!   challenge ACK, never a new connection; no SYN cookies and no limit on half-open connections;
//! - a lowered path MTU (RFC 1191) shapes the next transmission, and the oversized segment is repeated by its RTO, not at once;
//! - a SYN that comes again does not draw the SYN,ACK at once, only its own timer repeats it; a peer that closes its window while
//!   data is in flight is probed only after its next segment (smoltcp);
//! - [`Connection::close`] ends the sending half only (as `shutdown(SHUT_WR)`): data that still arrives is delivered, not reset.
//!
//! Time in smoltcp is whole microseconds. Instants are rounded down on the way in and every wake is a whole multiple of
//! 1,000 ns; otherwise a wake between two microseconds would be served early, find nothing to do and ask for the same instant again.
//!
//! A [`Connection`] is *not* `Clone`, although a machine should be: smoltcp's `Interface` and `Socket` are not.

mod buffered;
mod connection;
mod device;
mod flight;
mod segment;
mod signature;
mod stack;
#[cfg(test)]
mod tests;

use core::net::IpAddr;

use crate::packet::Packet;
use crate::reason::DropReason;
use crate::time::Duration;

pub use connection::{Connection, SendRefused};
pub use signature::Md5Key;
pub use stack::{ConnId, Stack, StackOutput};

/// The smallest MTU a path may have (RFC 791 section 3.2, RFC 8200 section 5); smaller values are raised to it.
pub const fn min_mtu(address: IpAddr) -> u16 {
    if address.is_ipv4() { 68 } else { 1280 }
}

/// The host whose TCP this is. See the table in the module header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// As a Linux kernel behaves.
    #[default]
    Linux,
    /// As the RFCs recommend, where Linux departs from them.
    Rfc,
}

/// How a connection behaves. The default is a single-hop eBGP session on a Linux host.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// The host whose habits it follows.
    pub profile: Profile,
    /// TTL of what is sent: 1 for single-hop eBGP, 255 with GTSM (RFC 5082), 64 for anything else.
    pub ttl: u8,
    /// Packets with a lower TTL are ignored (RFC 5082); 0 accepts all.
    pub min_ttl: u8,
    /// The key that every segment of both ends is signed with (RFC 2385); `None` takes and sends unsigned ones only.
    pub md5: Option<Md5Key>,
    /// Differentiated services code point: 48 (CS6, network control, RFC 4594 section 3.2) for BGP.
    pub dscp: u8,
    /// MTU of the interface in octets; it gives the MSS (RFC 9293 section 3.7.1).
    pub mtu: u16,
    /// How often an unanswered SYN is repeated (Linux `tcp_syn_retries`).
    pub syn_retries: u32,
    /// How often an unanswered SYN,ACK is repeated (Linux `tcp_synack_retries`).
    pub synack_retries: u32,
    /// The connection times out at the first RTO this long after its oldest unacknowledged octet was sent
    /// (RFC 9293 section 3.8.3 "R2", RFC 5482; 924.6 s is Linux's `tcp_retries2` of 15).
    pub user_timeout: Duration,
    /// How long FIN-WAIT-2 waits for the peer's FIN (Linux `tcp_fin_timeout`).
    pub fin_timeout: Duration,
    /// How long an ACK may wait for company (RFC 9293 section 3.8.6.3); `None` acknowledges at once.
    pub ack_delay: Option<Duration>,
    /// Receive buffer in octets: the largest window that is offered.
    pub receive_buffer: usize,
    /// Octets that may be on their way unacknowledged. The default is more than any window that is offered without scaling.
    pub send_buffer: usize,
    /// Octets that may be queued for sending before [`Connection::send`] refuses.
    pub send_limit: usize,
}

/// How far a BGP peer may be, which is what the TTL of both directions makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// The next hop: sent with TTL 1, so that no router passes it on. What arrives is not judged.
    #[default]
    SingleHop,
    /// So many hops away at most: sent with that TTL.
    Multihop(u8),
    /// So many hops away at most, and nobody farther is heard (GTSM, RFC 5082): sent with TTL 255.
    Security(u8),
}

impl Reach {
    /// True if the peer need not be the next hop.
    pub const fn is_far(self) -> bool {
        match self {
            Self::SingleHop => false,
            Self::Multihop(_) => true,
            Self::Security(hops) => hops > 1,
        }
    }
}

impl TcpConfig {
    /// The same for a peer in this reach.
    pub fn reaching(self, reach: Reach) -> Self {
        let (ttl, min_ttl) = match reach {
            Reach::SingleHop => (1, 0),
            Reach::Multihop(hops) => (hops, 0),
            // RFC 5082 section 3: of 255 at the sender, one less arrives for each router between.
            Reach::Security(hops) => (u8::MAX, u8::MAX - hops.saturating_sub(1)),
        };
        Self { ttl, min_ttl, ..self }
    }
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            profile: Profile::Linux,
            ttl: 1,
            min_ttl: 0,
            md5: None,
            dscp: 48,
            mtu: 1500,
            syn_retries: 6,
            synack_retries: 5,
            user_timeout: Duration::from_millis(924_600),
            fin_timeout: Duration::from_secs(60),
            ack_delay: None,
            receive_buffer: 65_535,
            send_buffer: 65_535,
            send_limit: 16 << 20,
        }
    }
}

/// What happened to a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The three-way handshake is complete.
    Connected,
    /// Octets of the stream, in order, each once.
    Received(Vec<u8>),
    /// The peer sends no more (its FIN arrived).
    PeerClosed,
    /// The peer refused or aborted the connection (RST).
    Reset,
    /// The peer did not answer: SYN retries or user timeout exhausted. Nothing is sent.
    TimedOut,
    /// Both ends have finished. The connection may linger in TIME-WAIT until [`Connection::is_closed`].
    Closed,
    /// A packet was not for this connection's TCP to act on.
    Ignored(DropReason),
}

/// What a connection wants.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send this whole IP packet.
    Transmit(Packet),
    /// Know that this happened.
    Event(Event),
}
