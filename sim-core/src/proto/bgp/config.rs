//! What a speaker and its peers are told.

use std::net::Ipv4Addr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::as_path::AsPath;
use super::attributes::Origin;
use super::decision::Rules;
use super::family::{Family, Ipv6NextHop};
use super::open::Capabilities;
use super::policy::Policy;
use super::timer::Jitter;
use crate::time::Duration;

/// Hold time of AWS VPN tunnels, on both ends of the customer gateway configuration file (documented there).
pub const AWS_HOLD_TIME: Duration = Duration::from_secs(30);
/// ConnectRetryTime (RFC 4271 section 10: suggested).
pub const CONNECT_RETRY: Duration = Duration::from_secs(120);
/// HoldTimer while the peer's OPEN is awaited (RFC 4271 section 8.2.2: "a HoldTimer value of 4 minutes is suggested").
pub const LARGE_HOLD: Duration = Duration::from_secs(240);
/// First wait in Idle after a failure. Assumed: FRR's initial start timer; neither the RFC nor AWS gives a value.
pub const IDLE_HOLD: Duration = Duration::from_secs(1);
/// How long a restarted speaker waits for its peers' End-of-RIB before it decides without them (RFC 4724 section 4.1,
/// Selection_Deferral_Timer). Assumed: FRR's default; the RFC gives none.
pub const SELECTION_DEFERRAL: Duration = Duration::from_secs(360);
/// Restart Time of a speaker that is told nothing else. Assumed: that of FRR and BIRD; the RFC gives only its upper bound.
pub const RESTART_TIME: Duration = Duration::from_secs(120);
/// How long stale routes are kept at most, from the end of the session. Assumed: FRR's default.
pub const STALE_PATH_TIME: Duration = Duration::from_secs(360);
/// LOCAL_PREF of a route that no policy gave another. Documented by AWS (route status of a VPN tunnel), as by every
/// vendor.
pub const DEFAULT_LOCAL_PREF: u32 = 100;

/// A router that speaks BGP.
#[derive(Clone, Debug)]
pub struct SpeakerConfig {
    /// Our AS.
    pub local_as: u32,
    /// Our BGP Identifier.
    pub router_id: Ipv4Addr,
    /// The peers; [`PeerId`] counts them from zero.
    pub peers: Vec<PeerConfig>,
    /// What we originate ourselves from the first start on.
    pub networks: Vec<(Ipv4Net, Originated)>,
    /// True of one end of a router whose table is elsewhere and hears what each end learns: what that table has it originate is told
    /// to a peer also in place of the peer's own route, which this end would otherwise use and tell nothing (section 9.2).
    pub end_of_router: bool,
    /// MinASOriginationInterval; zero switches it off. RFC 4271 section 10 suggests 15 s, current routers use none.
    pub min_as_origination: Duration,
    /// How long a restarted speaker defers its decisions at most (RFC 4724 section 4.1).
    pub selection_deferral: Duration,
    /// How it decides where the RFC leaves a choice.
    pub rules: Rules,
    /// What the ways to next hops within our AS cost.
    pub interior: InteriorCosts,
    /// What we originate of IPv6 from the first start on.
    pub ipv6_networks: Vec<(Ipv6Net, Originated)>,
    /// What the ways to next hops of IPv6 within our AS cost.
    pub ipv6_interior: InteriorCosts<Ipv6Net>,
    /// CLUSTER_ID of a route reflector; its BGP Identifier if not given (RFC 4456 section 7).
    pub cluster_id: Option<Ipv4Addr>,
}

impl SpeakerConfig {
    /// A speaker without networks that decides by the RFC and to which every next hop is equally near.
    pub fn new(local_as: u32, router_id: Ipv4Addr, peers: Vec<PeerConfig>) -> Self {
        Self {
            local_as,
            router_id,
            peers,
            networks: Vec::new(),
            end_of_router: false,
            min_as_origination: Duration::ZERO,
            selection_deferral: SELECTION_DEFERRAL,
            rules: Rules::default(),
            interior: InteriorCosts::default(),
            ipv6_networks: Vec::new(),
            ipv6_interior: InteriorCosts::default(),
            cluster_id: None,
        }
    }
}

/// What an IGP would tell: the cost of the way to each next hop (RFC 4271 section 9.1.2.2 e).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InteriorCosts<F: Family = Ipv4Net> {
    /// Costs by network; of several that hold a next hop the longest counts.
    pub costs: Vec<(F, u32)>,
    /// The cost of the way to any other next hop of the route of a peer that is internal or several hops away; `None`: there is
    /// none, and the route cannot be used (section 9.1.2.1).
    pub otherwise: Option<u32>,
}

/// Every next hop is reachable at no cost.
impl<F: Family> Default for InteriorCosts<F> {
    fn default() -> Self {
        Self { costs: Vec::new(), otherwise: Some(0) }
    }
}

impl<F: Family> InteriorCosts<F> {
    /// The cost of the way to a next hop, if there is one. What an external peer names is on the shared subnet and so costs
    /// nothing unless something is configured for it.
    pub fn to(&self, next_hop: F::NextHop, external: bool) -> Option<u32> {
        let holding = self.costs.iter().filter(|(network, _)| network.holds(&next_hop));
        let longest = holding.max_by_key(|(network, _)| network.prefix_len());
        longest.map(|(_, cost)| *cost).or(if external { Some(0) } else { self.otherwise })
    }
}

/// Attributes of a route that we originate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Originated {
    /// ORIGIN.
    pub origin: Origin,
    /// Usually empty; a gateway that re-advertises another attachment's routes keeps their ASes here.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC to announce it with.
    pub med: Option<u32>,
    /// LOCAL_PREF within the AS; 100 if not given.
    pub local_pref: Option<u32>,
}

/// A peer, by its place in [`SpeakerConfig::peers`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerId(pub u16);

impl PeerId {
    /// As an index into a vector.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A configured session.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Names the session's random stream; unique within the speaker.
    pub name: String,
    /// The peer's AS. Equal to ours means iBGP.
    pub remote_as: u32,
    /// Our address on the session, and the NEXT_HOP we announce to an external peer.
    pub local_address: Ipv4Addr,
    /// The peer's address.
    pub remote_address: Ipv4Addr,
    /// The subnet that both share: an external peer's NEXT_HOP must be in it (RFC 4271 section 5.1.3).
    pub subnet: Ipv4Net,
    /// The hold time we propose: zero or at least 3 s, in whole seconds.
    pub hold_time: Duration,
    /// KEEPALIVE interval; a third of the negotiated hold time if `None`, and never more than that.
    pub keepalive: Option<Duration>,
    /// ConnectRetryTime.
    pub connect_retry: Duration,
    /// DelayOpenTime; `None` switches DelayOpen off.
    pub delay_open: Option<Duration>,
    /// How long Idle lasts after a failure.
    pub idle_hold: Duration,
    /// DampPeerOscillations (section 8.1.1).
    pub damping: Option<Damping>,
    /// MinRouteAdvertisementInterval towards this peer; zero switches it off. RFC 4271 section 10 suggests 30 s for
    /// eBGP; FRR uses none, and what AWS uses is not published.
    pub route_advertisement: Duration,
    /// Never connects, only accepts. ConnectRetryTimer then never runs: section 8.2.2 would let it connect after all.
    pub passive: bool,
    /// What a failed attempt in Connect leads to. `true`: Active, as in FRR, BIRD and AWS's published log lines;
    /// `false`: Idle, as in section 8.2.2.
    pub listen_after_failure: bool,
    /// Which timers are jittered.
    pub jitter: Jitter,
    /// How late we act on an expired HoldTimer at most, uniform from none: a daemon looks at its timers now and then.
    pub poll: Duration,
    /// What we say we can do. IPv6 unicast is not told here but in [`PeerConfig::ipv6`]. Without `four_octet_as` we are an old speaker towards the peer, though one that still
    /// understands AS4_PATH. Graceful restart is not told here but in [`PeerConfig::graceful_restart`].
    pub capabilities: Capabilities,
    /// Most prefixes we take, and what becomes of a peer that sends more. AWS documents 100 from a customer gateway.
    pub max_prefixes: Option<MaxPrefixes>,
    /// Most prefixes of a family that we announce, like AWS's quota of 1,000 from a virtual private gateway; `None`: all. What
    /// comes later is withheld until something else is withdrawn.
    pub most_announced: Option<u32>,
    /// Graceful restart (RFC 4724): `None` announces nothing and keeps nothing.
    pub graceful_restart: Option<GracefulRestart>,
    /// The peer is not on the shared subnet but farther away: its NEXT_HOPs are judged by the forwarding table, and not
    /// by the subnet (RFC 4271 section 5.1.3, item 3).
    pub multihop: bool,
    /// It is our client: what other internal peers say is reflected to it, and what it says to them (RFC 4456 section 6).
    pub route_reflector_client: bool,
    /// To this internal peer NEXT_HOP is our own address for routes from outside; reflected ones keep theirs (RFC 4456
    /// section 10).
    pub next_hop_self: bool,
    /// How often our own AS may be in the AS_PATH of its routes before that is a loop; vendors call it allowas-in.
    pub allow_own_as: u8,
    /// An external peer's AS must come first in the AS_PATH of its routes (RFC 4271 section 6.3); a route server's does not.
    pub enforce_first_as: bool,
    /// Routes of this external peer with GRACEFUL_SHUTDOWN get LOCAL_PREF 0, whatever the import policy says (RFC 8326
    /// section 4.2).
    pub graceful_shutdown: bool,
    /// What becomes of routes from the peer.
    pub import: Policy,
    /// What becomes of routes to the peer.
    pub export: Policy,
    /// IPv6 unicast on the session (RFC 4760); `None`: the session is without it. What is said above of routes that bears no
    /// name of a family holds for both.
    pub ipv6: Option<Box<Ipv6Config>>,
}

/// IPv6 unicast on a session, over whichever transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipv6Config {
    /// Our address, the next hop that we announce to an external peer: the global one, and the link-local one if the peer is
    /// on the same link (RFC 2545 section 3). Of an interface without a global address some routers announce the IPv4
    /// address as an IPv4-mapped one.
    pub local_address: Ipv6NextHop,
    /// The subnet that both share: an external peer's next hop must be in it, unless it is [`PeerConfig::multihop`].
    pub subnet: Ipv6Net,
    /// Most prefixes we take, and what becomes of a peer that sends more.
    pub max_prefixes: Option<MaxPrefixes>,
    /// What becomes of routes from the peer.
    pub import: Policy<Ipv6Net>,
    /// What becomes of routes to the peer.
    pub export: Policy<Ipv6Net>,
}

impl Ipv6Config {
    /// All routes both ways.
    pub fn new(local_address: impl Into<Ipv6NextHop>, subnet: Ipv6Net) -> Self {
        Self {
            local_address: local_address.into(),
            subnet,
            max_prefixes: None,
            import: Policy::accept_all(),
            export: Policy::accept_all(),
        }
    }
}

/// How many prefixes a peer may announce (RFC 4271 section 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxPrefixes {
    /// Most that are taken; one more ends the session with Cease 6/1 (RFC 4486).
    pub most: u32,
    /// From how many on the operator is warned, in percent of `most`.
    pub warn_at: u8,
    /// What follows the Cease.
    pub then: AfterLimit,
}

impl MaxPrefixes {
    /// So many, a warning from three quarters of them on (assumed: FRR's and Cisco's default; AWS publishes none), and
    /// another attempt as after any other failure.
    pub const fn new(most: u32) -> Self {
        Self { most, warn_at: 75, then: AfterLimit::Retry }
    }

    /// True if the operator is warned at so many.
    pub fn warns(&self, prefixes: usize) -> bool {
        prefixes as u64 * 100 >= u64::from(self.most) * u64::from(self.warn_at)
    }
}

/// What a session does that had too many prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterLimit {
    /// It starts again after the idle-hold time, as after any failure.
    Retry,
    /// It starts again after so long.
    Restart(Duration),
    /// It stays down until an operator starts it.
    StayDown,
}

/// Graceful restart with a peer (RFC 4724).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GracefulRestart {
    /// Restart Time: how long we ask the peer to wait for us, in whole seconds, at most 4,095.
    pub restart_time: Duration,
    /// How long the peer's stale routes are kept at most, however long its restart takes (section 4.2, last paragraph).
    pub stale_path_time: Duration,
    /// The N bit: NOTIFICATIONs and the hold timer, too, leave routes stale rather than gone (RFC 8538).
    pub notification: bool,
    /// We can restart ourselves and forward meanwhile; if not, we only help the peer.
    pub restarts: bool,
}

impl Default for GracefulRestart {
    fn default() -> Self {
        Self { restart_time: RESTART_TIME, stale_path_time: STALE_PATH_TIME, notification: false, restarts: true }
    }
}

/// Exponential growth of the wait in Idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damping {
    /// The wait doubles with every failure up to this.
    pub limit: Duration,
    /// A session that failed no sooner than this after the failure before it starts over.
    pub forget_after: Duration,
}

impl PeerConfig {
    /// An external or internal peer with the timers of an AWS VPN tunnel.
    pub fn new(
        name: impl Into<String>,
        remote_as: u32,
        local_address: Ipv4Addr,
        remote_address: Ipv4Addr,
        subnet: Ipv4Net,
    ) -> Self {
        Self {
            name: name.into(),
            remote_as,
            local_address,
            remote_address,
            subnet,
            hold_time: AWS_HOLD_TIME,
            keepalive: None,
            connect_retry: CONNECT_RETRY,
            delay_open: None,
            idle_hold: IDLE_HOLD,
            damping: None,
            route_advertisement: Duration::ZERO,
            passive: false,
            listen_after_failure: true,
            jitter: Jitter::Rfc4271,
            poll: Duration::ZERO,
            capabilities: Capabilities::USUAL,
            max_prefixes: None,
            most_announced: None,
            graceful_restart: None,
            multihop: false,
            route_reflector_client: false,
            next_hop_self: false,
            allow_own_as: 0,
            enforce_first_as: true,
            graceful_shutdown: true,
            import: Policy::accept_all(),
            export: Policy::accept_all(),
            ipv6: None,
        }
    }
}
