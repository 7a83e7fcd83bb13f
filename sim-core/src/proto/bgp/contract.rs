//! The contract of a speaker with its owner: what it is told, and what it does and reports.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::config::{InteriorCosts, Originated, PeerId};
use super::decision::DecidedBy;
use super::family::{Afi, Family};
use super::notification::CommunicationError;
use super::open::Open;
use super::peer::ConnId;
use super::policy::Policy;
use super::rib::{Best, Hop, Route};
use super::update::Prefixes;
use crate::reason::{Reason, State, Step, TimerKind};
use crate::time::Instant;

/// What a speaker is told.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// An operator starts a peer.
    Start {
        /// Which.
        peer: PeerId,
    },
    /// An operator stops a peer with a Cease.
    Stop {
        /// Which.
        peer: PeerId,
        /// The subcode of the Cease (RFC 4486): 2 is administrative shutdown.
        subcode: u8,
        /// What the peer's operator is told (RFC 9003); empty for nothing.
        communication: &'a str,
    },
    /// An operator asks a peer for its whole table again.
    Refresh {
        /// Which.
        peer: PeerId,
    },
    /// A connection is up: one that [`Output::Connect`] asked for, or one that the owner accepted from the peer's
    /// address and numbered.
    TcpConnected {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
    },
    /// A connection could not be established, or was given up by TCP.
    TcpFailed {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
    },
    /// The other end closed or reset a connection.
    TcpClosed {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
        /// RST rather than FIN: nothing is left to close.
        reset: bool,
    },
    /// Octets arrived, in order, cut anyhow.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The octets.
        bytes: &'a [u8],
    },
    /// Originate a route, or change its attributes.
    Originate {
        /// The prefix.
        prefix: Ipv4Net,
        /// Its attributes.
        route: Originated,
    },
    /// Originate a route no longer.
    WithdrawOriginated {
        /// The prefix.
        prefix: Ipv4Net,
    },
    /// The same of IPv6: originate a route, or change its attributes.
    OriginateIpv6 {
        /// The prefix.
        prefix: Ipv6Net,
        /// Its attributes.
        route: Originated,
    },
    /// Originate a route of IPv6 no longer.
    WithdrawOriginatedIpv6 {
        /// The prefix.
        prefix: Ipv6Net,
    },
    /// Replace a peer's import policy; routes that it already sent are judged again.
    SetImport {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy,
    },
    /// Replace a peer's export policy; what it changes is announced again.
    SetExport {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy,
    },
    /// Replace a peer's import policy for IPv6.
    SetIpv6Import {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy<Ipv6Net>,
    },
    /// Replace a peer's export policy for IPv6.
    SetIpv6Export {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy<Ipv6Net>,
    },
    /// Replace the interior costs, as an IGP does; every route is judged again.
    SetInterior(InteriorCosts),
    /// Replace the interior costs of next hops of IPv6.
    SetIpv6Interior(InteriorCosts<Ipv6Net>),
    /// The interface towards the peer went down, and the session with it.
    LowerLayerDown {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// The interface towards the peer is up again.
    LowerLayerUp {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// BFD says that the peer is not reached: the session goes down at once, with a Cease of its own (RFC 9384), and is tried
    /// again like any that failed. It does not wait for BFD: a peer may have none (RFC 5882 section 10).
    BfdDown {
        /// Whose.
        peer: PeerId,
    },
    /// Power is lost: everything is forgotten and nothing is sent. Peers stay stopped until they are started.
    Reset,
    /// The speaker's program ends without a word to anybody. Peers stay stopped until they are started, and then hear that it
    /// has restarted (RFC 4724).
    Restart {
        /// The forwarding table stays as it is: no route changes until the new decisions. Otherwise all routes are gone.
        forwarding: bool,
    },
}

/// What a speaker does and reports, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Open a connection to the peer's address, port 179, from ours.
    Connect {
        /// To whom.
        peer: PeerId,
        /// The new connection's number.
        conn: ConnId,
    },
    /// Send these octets.
    Send {
        /// On which connection.
        conn: ConnId,
        /// One whole message.
        bytes: Vec<u8>,
    },
    /// Close a connection, of which the speaker wants to hear no more.
    Close {
        /// Which.
        conn: ConnId,
        /// RST rather than FIN: it was not up yet, or is refused. Otherwise what was sent before must still go out.
        abortive: bool,
    },
    /// A timer expired.
    Expired {
        /// Whose; `None` for the speaker's own.
        peer: Option<PeerId>,
        /// Which.
        timer: TimerKind,
        /// When it was last armed.
        armed_at: Instant,
    },
    /// A session changed its state: that of its connection which is farthest.
    State {
        /// Which session.
        peer: PeerId,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// A message was sent or received, or a connection attempted.
    Step {
        /// Which session.
        peer: PeerId,
        /// On which connection.
        conn: ConnId,
        /// What.
        step: Step,
        /// Code and subcode of a NOTIFICATION; of a malformed attribute its type code, and the subcode of the UPDATE error
        /// that RFC 4271 has for it.
        codes: Option<(u8, u8)>,
        /// What an UPDATE is about.
        prefixes: Option<Box<Prefixes>>,
        /// What it is about of IPv6.
        ipv6_prefixes: Option<Box<Prefixes<Ipv6Net>>>,
        /// What an OPEN says, also one that is refused for it.
        open: Option<Open>,
    },
    /// The best route to a prefix changed.
    Route(RouteChange),
    /// The best route to a prefix of IPv6 changed.
    Ipv6Route(Box<RouteChange<Ipv6Net>>),
    /// A peer's operator says why the session ends (RFC 9003).
    Communication {
        /// Whose.
        peer: PeerId,
        /// What, or why that cannot be shown.
        text: Result<String, CommunicationError>,
    },
    /// A peer has announced so many prefixes of a family that it comes near its limit. Told once a session.
    NearLimit {
        /// Who.
        peer: PeerId,
        /// Of which family.
        afi: Afi,
        /// How many.
        prefixes: usize,
    },
    /// A peer is no longer told of everything: it was told of as many prefixes of a family as it may be.
    Withheld {
        /// Who.
        peer: PeerId,
        /// Of which family.
        afi: Afi,
        /// How many stay behind, when that begins.
        prefixes: usize,
    },
    /// A session is over whose routes are used on, as stale ones (RFC 4724 section 4.2).
    Retained {
        /// Whose.
        peer: PeerId,
        /// How many.
        routes: usize,
    },
    /// A route from a peer is not used.
    Refused {
        /// From whom.
        peer: PeerId,
        /// To what.
        prefix: IpNet,
        /// Why.
        reason: Reason,
    },
}

/// A change of the best route to a prefix, or of those that are used beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteChange<F: Family = Ipv4Net> {
    /// The prefix.
    pub prefix: F,
    /// The best route before; `None` if there was none.
    pub from: Option<Best<F>>,
    /// The best route now; `None` if there is none.
    pub to: Option<Best<F>>,
    /// What is used beside the best route now, with [`super::decision::Multipath`]; empty without.
    pub also: Vec<Hop<F>>,
    /// Why it changed.
    pub reason: Reason,
}

/// A usable route and how it fared in the decision process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged<'a, F: Family = Ipv4Net> {
    /// The route.
    pub route: Route<'a, F>,
    /// The step at which it fell out; `None` for the best.
    pub lost_at: Option<DecidedBy>,
    /// True for the best and for those that are used beside it.
    pub used: bool,
}
