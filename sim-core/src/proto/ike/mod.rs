//! IKE without IO: one [`Peer`] per tunnel owns the IKE_SAs and CHILD_SAs between two addresses and speaks IKEv2 and IKEv1.
//!
//! ```text
//!            Initiate, Close, Reset       wake() -> handle_timeout(now)
//!                        |                        |
//!  UDP 500/4500 --> Datagram --> [ Peer ] --poll()--> Transmit --> UDP 500/4500
//!  ESP SAD ----> InboundTraffic      |
//!                                    +--> ChildUp, ChildRekeyed, ChildDown --> ESP SAD
//!                                    +--> State, Step, Expired, Ignored ----> trace
//! ```
//!
//! [`v2`] and [`v1`] are a machine each; what is configured ([`config`]), what goes in and what comes out is the same for both. An
//! ISAKMP SA of IKEv1 is called IKE_SA here, and what its Quick Mode makes a CHILD_SA.
//!
//! Datagrams of port 4500 are handed in and out *without* the non-ESP marker (RFC 3948 section 2.2): the owner tells IKE
//! from ESP by those four zero octets anyway, so it takes them off, and puts them in front of what it sends from port 4500.
//! NAT keepalives (RFC 3948 section 4) are the owner's too, which alone sees all outbound traffic.

use core::net::IpAddr;

use crate::crypto::Secret;
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::time::Instant;
use crate::wire::ike::TrafficSelector;

mod attempt;
pub mod config;
mod env;
pub mod keys;
mod look;
mod mobility;
#[cfg(test)]
mod pair;
mod path;
mod peer;
pub mod proposal;
pub mod psk;
mod series;
mod trust;
pub mod v1;
pub mod v2;

pub use config::Config;
pub use keys::DirectionKeys;
pub use look::{ChildSaSeen, IkeSaSeen};
pub use peer::Peer;
pub use proposal::{EspSuite, IkeSuite};

/// The port of IKE (RFC 7296 section 2).
pub const PORT: u16 = 500;
/// The port of IKE and ESP across NATs (RFC 7296 section 2.23).
pub const NAT_PORT: u16 = 4500;

/// What happens to a [`Peer`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Bring the tunnel up. With [`Reason::TrafficNeedsSa`] one attempt is made, and only if the configuration lets traffic
    /// initiate; with any other reason (startup, operator) attempts go on until one succeeds. With startup action *start* they
    /// also begin anew after a DELETE by the peer.
    Initiate(Reason),
    /// Traffic of one of the policies ([`config::Policy`]), counted from 0, has no CHILD_SA.
    Demand {
        /// Which.
        policy: u8,
    },
    /// A datagram for this tunnel, without non-ESP marker.
    Datagram(Datagram),
    /// An ESP packet was authenticated on the SA with this inbound SPI: a sign of life. Costs a store and a compare.
    InboundTraffic {
        /// The SA.
        spi_in: u32,
    },
    /// The ESP packet of that SA came in UDP, and from elsewhere than ESP is sent to: the peer's NAT has made another mapping.
    TrafficFrom {
        /// The SA.
        spi_in: u32,
        /// Address and port that it came from.
        remote: (IpAddr, u16),
    },
    /// An ESP packet from the peer has an SPI that no SA has: the peer is told by INVALID_SPI (RFC 7296 section 1.5).
    UnknownSpi {
        /// The SPI.
        spi: u32,
    },
    /// The SA with this inbound SPI has few sequence numbers left to send with: a successor is wanted (RFC 4303 section 3.3.3).
    RekeyChild {
        /// The SA.
        spi_in: u32,
    },
    /// These are the addresses of this end from now on, the first is to be used. With MOBIKE the SAs move to it (RFC 4555);
    /// without, they are of no use any more. An empty list changes nothing.
    Addresses(Vec<IpAddr>),
    /// Take the tunnel down: DELETE the IKE_SA, initiate no more.
    Close,
    /// Power loss: all state is forgotten, nothing is sent or reported.
    Reset,
}

/// A UDP datagram that carries IKE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// Address and port it was sent to.
    pub local: (IpAddr, u16),
    /// Address and port it came from.
    pub remote: (IpAddr, u16),
    /// The message, without non-ESP marker.
    pub bytes: Vec<u8>,
}

/// What a [`Peer`] wants done, or has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send a datagram from this end's address. From port 4500 it gets the non-ESP marker in front.
    Transmit {
        /// UDP source port.
        local_port: u16,
        /// UDP destination port.
        remote_port: u16,
        /// Destination address.
        remote: IpAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The same from an address of this end that need not be the one that ESP uses (RFC 4555).
    TransmitFrom(Box<Departure>),
    /// A timer expired. What it caused follows.
    Expired {
        /// Which.
        timer: TimerKind,
        /// When it was last armed.
        armed_at: Instant,
    },
    /// The tunnel's IKE session or its CHILD_SA lineage changed state. A lineage lives on through rekeys.
    State {
        /// Of which.
        sa: SaKind,
        /// From here.
        from: State,
        /// To here.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// A line for the ladder: a message was sent or arrived, after it proved authentic if it is protected.
    Step {
        /// Which.
        step: Step,
        /// Its Message ID; the SPI in it, if the step is about the DELETE of a CHILD_SA.
        message_id: u32,
        /// True for a response.
        response: bool,
        /// What an error notification in it says.
        notice: Option<Reason>,
    },
    /// Keys of an IKE_SA were derived. Only the owner decides whether a key log gets them.
    IkeKeys(Box<IkeKeyLog>),
    /// The same of IKEv1.
    IsakmpKeys(Box<IsakmpKeyLog>),
    /// Install a CHILD_SA: inbound at once, outbound as [`ChildSa::send_now`] says.
    ChildUp(Box<ChildSa>),
    /// From now on send on the new SA. The old one still receives.
    ChildRekeyed {
        /// Inbound SPI of the old SA.
        old_spi_in: u32,
        /// Inbound SPI of the new SA.
        new_spi_in: u32,
    },
    /// Remove a CHILD_SA, both directions.
    ChildDown {
        /// Its inbound SPI.
        spi_in: u32,
        /// Why.
        reason: Reason,
    },
    /// The peer behind a NAT now shows another address or port (RFC 7296 section 2.23): encapsulated ESP goes there too.
    PeerMoved {
        /// Where to.
        remote: (IpAddr, u16),
    },
    /// What is sent on the tunnel's CHILD_SAs goes between these addresses from now on (RFC 4555 section 3.5).
    Moved(Box<Moved>),
    /// A datagram had no effect.
    Ignored {
        /// Why.
        reason: DropReason,
    },
}

/// A datagram that leaves from a certain address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Source address and UDP port. From port 4500 it gets the non-ESP marker in front.
    pub local: (IpAddr, u16),
    /// Destination address and UDP port.
    pub remote: (IpAddr, u16),
    /// The message.
    pub bytes: Vec<u8>,
}

/// Between which addresses the SAs of a tunnel go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The address of this end.
    pub local: IpAddr,
    /// The address of the peer.
    pub remote: IpAddr,
    /// UDP encapsulation (RFC 3948), if there is a NAT between them.
    pub encapsulation: Option<Encapsulation>,
}

/// Which kind of SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SaKind {
    /// The IKE_SA.
    Ike,
    /// The CHILD_SA (ESP).
    Child,
}

/// What Wireshark's `ikev2_decryption_table` wants of an IKE_SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IkeKeyLog {
    /// Initiator's SPI.
    pub spi_i: u64,
    /// Responder's SPI.
    pub spi_r: u64,
    /// The suite.
    pub suite: IkeSuite,
    /// Encryption key of the initiator's messages; for an AEAD the salt ends it.
    pub sk_ei: Secret,
    /// Encryption key of the responder's messages.
    pub sk_er: Secret,
    /// Integrity key of the initiator's messages, empty for an AEAD.
    pub sk_ai: Secret,
    /// Integrity key of the responder's messages.
    pub sk_ar: Secret,
}

/// What Wireshark's `ikev1_decryption_table` wants of an ISAKMP SA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IsakmpKeyLog {
    /// Initiator's cookie.
    pub cookie_i: u64,
    /// The suite; IKEv1's messages use its cipher and PRF.
    pub suite: IkeSuite,
    /// Encryption key of both directions (RFC 2409 appendix B).
    pub encryption: Secret,
}

/// A pair of ESP SAs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildSa {
    /// SPI of what arrives; chosen by this end.
    pub spi_in: u32,
    /// SPI of what is sent; chosen by the peer.
    pub spi_out: u32,
    /// The suite.
    pub suite: EspSuite,
    /// Keys of what arrives.
    pub inbound: DirectionKeys,
    /// Keys of what is sent.
    pub outbound: DirectionKeys,
    /// The policy of this end that it is for; 0 for a route-based device.
    pub policy: u8,
    /// Addresses behind this end.
    pub local_ts: Vec<TrafficSelector>,
    /// Addresses behind the peer.
    pub remote_ts: Vec<TrafficSelector>,
    /// UDP encapsulation (RFC 3948), if a NAT was detected or is pretended.
    pub encapsulation: Option<Encapsulation>,
    /// Where it goes without encapsulation, if the peer may have moved (RFC 4555); `None`: where the tunnel is configured to go.
    pub remote: Option<IpAddr>,
    /// The inbound SPI of the SA that it replaces.
    pub rekeys: Option<u32>,
    /// True if it may send at once. Otherwise the peer may not have installed it: wait for [`Output::ChildRekeyed`].
    pub send_now: bool,
}

/// Ports and address of ESP in UDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encapsulation {
    /// UDP source port of what is sent.
    pub local_port: u16,
    /// Where it is sent.
    pub remote: (IpAddr, u16),
    /// True if this end is behind a NAT, whose mapping it must keep alive (RFC 3948 section 4).
    pub behind_nat: bool,
}
