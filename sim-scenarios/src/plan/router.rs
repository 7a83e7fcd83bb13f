//! Routers that speak BGP, and what customer gateways have in common with them.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::net::multipath::FlowFields;
use sim_core::time::Duration;

use super::{BgpEnd, Firewall, Interface, StaticRoute, TcpProfile, TunnelId, Via};

/// A router that speaks BGP to its neighbours.
#[derive(Clone, Debug)]
pub struct BgpRouter {
    /// Its autonomous system.
    pub asn: u32,
    /// Its interfaces, in the scenario's order.
    pub interfaces: Vec<Interface>,
    /// Prefixes that it originates into BGP.
    pub advertise: Vec<Ipv4Net>,
    /// Static routes.
    pub static_routes: Vec<StaticRoute>,
    /// Its neighbours and how it forwards.
    pub forwarding: Forwarding,
    /// How its TCP behaves.
    pub tcp: TcpProfile,
}

/// What a device does beyond its static routes and tunnels.
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// BGP sessions over interfaces.
    pub neighbors: Vec<Neighbor>,
    /// What it watches.
    pub tracks: Vec<Track>,
    /// Rules of policy routing, in order.
    pub policy_routes: Vec<PolicyRoute>,
    /// How it spreads flows; `None`: not at all.
    pub ecmp: Option<Ecmp>,
    /// A stateful firewall.
    pub firewall: Option<Firewall>,
    /// By which address it shows what is behind it in its tunnels, and whether each tunnel has a table of its own.
    pub tunnel_nat: Option<(Ipv4Addr, bool)>,
    /// CLUSTER_ID as a route reflector, if it is not the router id.
    pub cluster_id: Option<Ipv4Addr>,
    /// What the ways to next hops cost, by network.
    pub igp_costs: Vec<(Ipv4Net, u32)>,
}

/// A BGP session over an interface.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// Its name, unique in the device.
    pub name: String,
    /// The interface (index).
    pub interface: usize,
    /// The other end's address.
    pub address: Ipv4Addr,
    /// The other end's autonomous system.
    pub asn: u32,
    /// This end.
    pub end: BgpEnd,
    /// The BFD session on which it depends.
    pub bfd: Option<Bfd>,
    /// True if the other end is behind the interface; otherwise it is where the forwarding table says.
    pub attached: bool,
    /// What is said of it if it is in the same autonomous system.
    pub internal: Option<Internal>,
}

/// A BGP session within an autonomous system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Internal {
    /// True if it is a client of this route reflector.
    pub route_reflector_client: bool,
    /// True if NEXT_HOP of what comes from other autonomous systems is this end's own address.
    pub next_hop_self: bool,
    /// True if LOCAL_PREF is what the other end says, and not that of [`BgpEnd`].
    pub keeps_local_preference: bool,
}

/// Intervals of a BFD session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bfd {
    /// How often this end would like to send.
    pub min_tx: Duration,
    /// How often it can receive.
    pub min_rx: Duration,
    /// How many packets in a row the other end may miss.
    pub multiplier: u8,
    /// True if the other end may be several hops away.
    pub multihop: bool,
    /// True if this end does not speak before it is spoken to.
    pub passive: bool,
}

/// Something that is watched.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its name, unique in the device.
    pub name: String,
    /// What.
    pub watched: Watched,
}

/// What is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    /// A tunnel.
    Tunnel(TunnelId),
    /// The carrier of an interface (index).
    Interface(usize),
    /// The BFD session of a neighbour (index into [`Forwarding::neighbors`]).
    Neighbor(usize),
    /// A BFD session of its own.
    Bfd {
        /// The interface (index).
        interface: usize,
        /// The other end.
        address: Ipv4Addr,
        /// Intervals.
        bfd: Bfd,
    },
    /// An address that is asked by ICMP echo requests.
    Ping {
        /// Whom.
        to: Ipv4Addr,
        /// By which way.
        via: Via,
        /// How often.
        every: Duration,
        /// How long an answer is waited for.
        timeout: Duration,
        /// How many unanswered ones in a row mean that it is down.
        lost: u32,
        /// How many answered ones in a row mean that it is up.
        answered: u32,
    },
}

/// A rule of policy routing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyRoute {
    /// Where packets come from.
    pub from: Option<Ipv4Net>,
    /// By which way they came in.
    pub ingress: Option<Via>,
    /// Their IP protocol.
    pub protocol: Option<u8>,
    /// Where they go.
    pub via: Via,
}

/// How flows are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ecmp {
    /// What a flow is.
    pub flow: FlowFields,
    /// How many routes are used at once.
    pub max_paths: u8,
    /// Buckets of resilient hashing; `None`: hash threshold.
    pub buckets: Option<u8>,
}

/// What a device's profile set, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileUse {
    /// The device.
    pub device: String,
    /// The profile.
    pub profile: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Each setting that the scenario left to it: where it stands, its value and its source.
    pub settings: Vec<(String, String, &'static str)>,
}
