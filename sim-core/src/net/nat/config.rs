//! What a NAT is, in the words of RFC 4787.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::time::Duration;

/// How far a mapping or a filter tells remote ends apart (RFC 4787 sections 4.1 and 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Not at all: one mapping, or one open door, for everybody.
    EndpointIndependent,
    /// By address.
    AddressDependent,
    /// By address and port.
    AddressAndPortDependent,
}

/// Which outside port a mapping gets (RFC 4787 section 4.2). Two inside hosts never share one: there is no port
/// overloading (REQ-3). Contiguity is not kept (section 4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assignment {
    /// The port of the inside host, while it is free; a random one otherwise.
    Preserve,
    /// The next free one after the last that was given out.
    Sequential,
    /// A random free one (RFC 6056 section 3.3.1).
    Random,
}

/// Which of several outside addresses a mapping gets (RFC 4787 section 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// The one that the inside host has while it has mappings (REQ-2).
    Paired,
    /// The one with the fewest mappings to the remote end, as far as the mapping behaviour tells remote ends apart; of several such, the
    /// first. Not with port blocks, which are of one address.
    Arbitrary,
}

/// Packets in which direction keep a mapping alive (RFC 4787 section 4.3). TCP does so in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresh {
    /// From inside to outside.
    Outbound,
    /// From outside to inside.
    Inbound,
    /// Either.
    Both,
}

/// How long something idle is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// UDP (RFC 4787 REQ-5).
    pub udp: Duration,
    /// An established TCP connection (RFC 5382 REQ-5).
    pub tcp_established: Duration,
    /// A TCP connection that is half open or closing (RFC 5382 REQ-5).
    pub tcp_transitory: Duration,
    /// An ICMP query (RFC 5508 REQ-2).
    pub icmp: Duration,
    /// ESP and AH that pass by address. No RFC names a time.
    pub ipsec: Duration,
}

impl Default for Timers {
    /// The RFCs' least or recommended values; for IPsec, what Linux gives protocols it does not know (600 s).
    fn default() -> Self {
        Self {
            udp: Duration::from_secs(300),
            tcp_established: Duration::from_secs(7_440),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
            ipsec: Duration::from_secs(600),
        }
    }
}

/// What becomes of a protocol without ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passthrough {
    /// It is dropped.
    Drop,
    /// One inside host at a time may use it with a remote address: "IPsec pass-through".
    OneClient,
    /// One inside host at a time, whoever it talks to: the others wait until its mapping is forgotten.
    OneHost,
}

/// What becomes of fragments (RFC 4787 section 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragments {
    /// They are put together before they are translated, whatever their order (REQ-14), as Linux does.
    Reassemble,
    /// Later fragments go where the first went; those that come before it are dropped.
    FollowFirst,
    /// They are dropped.
    Drop,
}

/// What is translated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Addresses and ports (RFC 3022 section 2.2).
    Napt,
    /// Each inside address has an outside address of its own, as an AWS Elastic IP address: pairs of (inside, outside).
    OneToOne(Vec<(Ipv4Addr, Ipv4Addr)>),
    /// Nothing.
    Routed,
}

/// All that a NAT is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NatConfig {
    /// What is translated.
    pub mode: Mode,
    /// Outside addresses to share, for [`Mode::Napt`].
    pub pool: Vec<Ipv4Addr>,
    /// Who gets which of them.
    pub pooling: Pooling,
    /// Mapping behaviour.
    pub mapping: Behaviour,
    /// Filtering behaviour.
    pub filtering: Behaviour,
    /// Port assignment.
    pub assignment: Assignment,
    /// True if ports are told apart for each remote end, so that flows to different ones may share an outside port, as at an AWS NAT
    /// gateway. Only with [`Behaviour::AddressAndPortDependent`] mappings; no NAT by RFC 4787 does so (REQ-3).
    pub overload: bool,
    /// Mappings of each outside address to each remote end at most, if ports are told apart so; `None`: as many as there are ports.
    pub per_remote: Option<usize>,
    /// True if an even port gets an even one and an odd port an odd one (RFC 4787 REQ-4).
    pub parity: bool,
    /// Outside ports to give out.
    pub ports: RangeInclusive<u16>,
    /// Ports that an inside host has to itself, as at a carrier-grade NAT; `None`: all hosts share all ports.
    pub block: Option<u16>,
    /// Pairs of an inside and a remote end that are remembered at most.
    pub table: usize,
    /// Timers.
    pub timers: Timers,
    /// What refreshes a mapping.
    pub refresh: Refresh,
    /// True if inside hosts reach each other by their outside addresses, and see outside addresses (RFC 4787 REQ-9).
    pub hairpin: bool,
    /// ESP, IP protocol 50.
    pub esp: Passthrough,
    /// AH, IP protocol 51. It authenticates the addresses, so what passes is refused at the other end.
    pub ah: Passthrough,
    /// Fragments.
    pub fragments: Fragments,
}

impl Default for NatConfig {
    /// A NAT that keeps to the RFCs where they demand, with the stricter of the two filters that RFC 4787 REQ-8
    /// recommends.
    fn default() -> Self {
        Self {
            mode: Mode::Napt,
            pool: Vec::new(),
            pooling: Pooling::Paired,
            mapping: Behaviour::EndpointIndependent,
            filtering: Behaviour::AddressDependent,
            assignment: Assignment::Preserve,
            overload: false,
            per_remote: None,
            parity: false,
            ports: 1..=u16::MAX,
            block: None,
            table: 65_536,
            timers: Timers::default(),
            refresh: Refresh::Both,
            hairpin: true,
            esp: Passthrough::OneClient,
            ah: Passthrough::Drop,
            fragments: Fragments::Reassemble,
        }
    }
}
