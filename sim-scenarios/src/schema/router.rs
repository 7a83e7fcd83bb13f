//! Routers that speak BGP, and what customer gateways have in common with them.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::net::multipath::FlowFields;

use crate::leaf::{Address, Asn, Count, Flag, IpProtocol, Md5KeySource, Name, Prefix, Span};
use crate::place::{At, Named};
use crate::plan::TcpProfile;

use super::{BgpTimers, Firewall, GracefulRestart, Interface, MaxPrefixes, StaticRoute};

/// A router that speaks BGP to its neighbours. It knows what is connected, configured and learned, and nothing of the underlay.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct BgpRouter {
    /// BGP autonomous system.
    pub asn: At<Asn>,
    /// Its interfaces; a link's end is then "NODE.INTERFACE".
    pub interfaces: Named<Interface>,
    /// BGP sessions. The other end needs one, too.
    #[serde(default)]
    pub neighbors: Named<Neighbor>,
    /// Prefixes that it advertises by BGP.
    #[serde(default)]
    pub advertise: Vec<At<Prefix>>,
    /// Static routes.
    #[serde(default)]
    pub static_routes: Vec<StaticRoute>,
    /// What it watches, so that static routes can depend on it.
    #[serde(default)]
    pub tracks: Named<Track>,
    /// Rules by which packets in transit go another way than the table's; the first that fits decides.
    #[serde(default)]
    pub policy_routes: Vec<PolicyRoute>,
    /// How it spreads flows over routes of equal cost; not at all if not given.
    pub ecmp: Option<Ecmp>,
    /// A stateful firewall that judges what passes through; none if not given. A router with one is a firewall by itself.
    pub firewall: Option<Box<Firewall>>,
    /// CLUSTER_ID of a route reflector; its router id if not given (RFC 4456 section 7).
    pub cluster_id: Option<At<Address>>,
    /// What the ways to next hops within the AS cost.
    #[serde(default)]
    pub igp_costs: Vec<IgpCost>,
    /// How its TCP behaves: "linux" (if not given) or "rfc".
    pub tcp: Option<At<TcpProfile>>,
}

/// A BGP session over an interface, with whoever has the address there.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Neighbor {
    /// The interface whose address is this end's. A loopback address is an interface with a /32 and without a link.
    pub interface: At<Name>,
    /// The other end's address: in the interface's subnet, unless `multihop` or `ttl_security` lets it be farther away or this end is
    /// a loopback address. What is in no subnet is found by the forwarding table.
    pub address: At<Address>,
    /// The other end's autonomous system.
    pub asn: At<Asn>,
    /// Timers of this end.
    #[serde(default)]
    pub timers: BgpTimers,
    /// How often it prepends its autonomous system to what it advertises here; 0 if not given.
    pub prepend: Option<At<Count>>,
    /// MED on what it advertises here; none if not given.
    pub med: Option<At<Count>>,
    /// LOCAL_PREF of what it hears here: higher wins; if not given 100, and what it says itself if it is in the same AS.
    pub local_preference: Option<At<Count>>,
    /// One of the device's `policies`, for what it hears here, after `local_preference`; none if not given.
    pub import_policy: Option<At<Name>>,
    /// One of the device's `policies`, for what it says here, after `prepend` and `med`; none if not given.
    pub export_policy: Option<At<Name>>,
    /// The BFD session on which this one depends; none if not given.
    pub bfd: Option<Bfd>,
    /// Whether it is a client of this route reflector (RFC 4456); false if not given. For a neighbor in the same AS.
    pub route_reflector_client: Option<At<Flag>>,
    /// Whether NEXT_HOP is this end's own address on routes from other autonomous systems; false if not given: then the other end
    /// needs a way to the next hop that came with them. For a neighbor in the same AS.
    pub next_hop_self: Option<At<Flag>>,
    /// Graceful restart (RFC 4724): the other end's routes are used on while it restarts; not if not given. Both ends must have it.
    pub graceful_restart: Option<GracefulRestart>,
    /// The key of TCP MD5 (RFC 2385): the key itself, "file:PATH", or "env:VARIABLE"; no segment is signed if not given. Both ends
    /// must have the same.
    pub md5_key: Option<At<Md5KeySource>>,
    /// How many hops away the other end may be: what this end sends has that TTL. If not given an external neighbor must be in a
    /// connected subnet (otherwise the session stays down), and the TTL is 1.
    pub multihop: Option<At<Count>>,
    /// How many hops away the other end is at most, by TTL security (RFC 5082): this end sends with TTL 255, and hears nothing that
    /// came from farther away. In place of `multihop`; both ends must have it.
    pub ttl_security: Option<At<Count>>,
    /// How many prefixes the other end may announce; any number if not given.
    pub max_prefixes: Option<MaxPrefixes>,
}

/// What the way to next hops costs, as an IGP would say (RFC 4271 section 9.1.2.2 e). Whether there is a way is the forwarding
/// table's to say.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct IgpCost {
    /// The next hops; of several prefixes that hold one the longest counts.
    pub prefix: At<Prefix>,
    /// What the way costs; 0 for next hops of no prefix.
    pub cost: At<Count>,
}

/// A BFD session (RFC 5880): the slower of what both ends say is used in each direction.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Bfd {
    /// How often this end would like to send; 300ms if not given.
    pub min_tx: Option<At<Span>>,
    /// How often it can receive; 300ms if not given.
    pub min_rx: Option<At<Span>>,
    /// How many packets in a row the other end may miss; 3 if not given.
    pub multiplier: Option<At<Count>>,
    /// Whether the other end may be several hops away (RFC 5883: UDP port 4784); false if not given (RFC 5881: UDP port 3784, and
    /// a TTL of 255).
    pub multihop: Option<At<Flag>>,
}

/// Something that is watched: down until it is known to be up.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Track {
    /// Whether a tunnel has a CHILD_SA.
    Tunnel(TrackedTunnel),
    /// Whether an interface has a carrier.
    Interface(TrackedInterface),
    /// Whether the BFD session of a BGP neighbour is up.
    Neighbor(TrackedNeighbor),
    /// Whether a BFD session of its own is up.
    Bfd(TrackedBfd),
    /// Whether an address answers ICMP echo requests.
    Ping(TrackedPing),
}

/// A tunnel that is watched.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedTunnel {
    /// The tunnel, like "vpn.a".
    pub tunnel: At<Name>,
}

/// An interface that is watched.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedInterface {
    /// The interface.
    pub interface: At<Name>,
}

/// A BGP neighbour that is watched.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedNeighbor {
    /// The neighbour, which has `bfd`.
    pub neighbor: At<Name>,
}

/// A BFD session that is watched and that nothing else depends on.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedBfd {
    /// The interface.
    pub interface: At<Name>,
    /// The other end's address.
    pub address: At<Address>,
    /// Intervals.
    #[serde(default)]
    pub bfd: Bfd,
}

/// An address that is watched.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TrackedPing {
    /// Whom to ask.
    pub to: At<Address>,
    /// By which interface or tunnel, whatever the table says; its address is the source.
    pub via: At<Name>,
    /// How often; 5s if not given.
    pub every: Option<At<Span>>,
    /// How long an answer is waited for, at most `every`; 1s if not given.
    pub timeout: Option<At<Span>>,
    /// How many unanswered requests in a row mean that it is down; 3 if not given.
    pub lost: Option<At<Count>>,
    /// How many answered ones in a row mean that it is up; 1 if not given.
    pub answered: Option<At<Count>>,
}

/// A rule of policy routing. What is not given does not matter.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct PolicyRoute {
    /// Where packets come from.
    pub from: Option<At<Prefix>>,
    /// The interface or tunnel by which they came in.
    pub ingress: Option<At<Name>>,
    /// "icmp", "tcp", "udp", "gre", "esp", "ah" or a number.
    pub protocol: Option<At<IpProtocol>>,
    /// A tunnel, an interface of this device, or "blackhole". While it is down, the rule does not fit.
    pub via: At<Name>,
}

/// How flows are spread over routes of equal cost.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Ecmp {
    /// What a flow is: "five_tuple" (if not given) or "three_tuple".
    pub flow: Option<At<FlowFields>>,
    /// How many routes are used at once, also of BGP's if they are equal up to the interior cost; 8 if not given.
    pub max_paths: Option<At<Count>>,
    /// Whether only the flows of a route that goes are moved; false if not given.
    pub resilient: Option<At<Flag>>,
    /// Buckets of resilient hashing; 128 if not given.
    pub buckets: Option<At<Count>>,
}
