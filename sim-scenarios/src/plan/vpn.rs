//! VPN connections, as each of their ends is configured.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use sim_core::crypto::certificate::name_text;
use sim_core::crypto::dh::DhGroup;
use sim_core::id::NodeId;
use sim_core::net::filter::Rule;
use sim_core::node::ip::ReversePath;
use sim_core::node::tunnel::Options;
use sim_core::proto::bgp::policy::Policy;
use sim_core::proto::bgp::{GracefulRestart, MaxPrefixes};
use sim_core::proto::ike::config::{
    ChildProtocol, Credentials, Esn, IkeVersion, NatTraversal, Reauthentication, RekeyLaw, Round, SecondChild,
};
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use super::InsideIpv6;
use crate::leaf::{Encryption, Integrity, Md5Key, Psk};

/// What AWS carries through a tunnel (EC2 API, `TunnelBandwidth`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelBandwidth {
    /// 1.25 Gbit/s.
    Standard,
    /// 5 Gbit/s.
    Large,
}

/// A Site-to-Site VPN connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What AWS carries through each of its tunnels.
    pub bandwidth: TunnelBandwidth,
    /// Its name, unique among connections.
    pub name: String,
    /// The customer gateway.
    pub customer_gateway: NodeId,
    /// The interface of the customer gateway that the tunnels start from.
    pub customer_interface: usize,
    /// The gateway on AWS's side.
    pub gateway: NodeId,
    /// The Direct Connect gateway that transports its tunnels between private addresses, if one does.
    pub transport: Option<NodeId>,
    /// The VPN Concentrator that it is on (index into [`super::TransitGateway::concentrators`]), if it is on one.
    pub concentrator: Option<usize>,
    /// How routes get to AWS.
    pub routing: Routing,
    /// One or two tunnels.
    pub tunnels: Vec<Tunnel>,
}

/// How AWS learns what is behind the customer gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Routing {
    /// By BGP; see [`Tunnel::bgp`].
    Bgp,
    /// These prefixes, entered by hand.
    Static(Vec<Ipv4Net>),
}

/// A tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// `CONNECTION.TUNNEL`.
    pub name: String,
    /// The node of AWS's end.
    pub endpoint: NodeId,
    /// AWS's outside address.
    pub aws_outside: IpAddr,
    /// The customer gateway's outside address, of the same family.
    pub customer_outside: IpAddr,
    /// What AWS has registered as the customer gateway's address: another one, if it is behind a NAT.
    pub customer_registered: IpAddr,
    /// True if AWS has no address registered: it knows the customer gateway by its certificate, wherever it is. Then
    /// `customer_registered` is where it is in the beginning.
    pub customer_anywhere: bool,
    /// The inside /30.
    pub inside: Ipv4Net,
    /// AWS's inside address: the first host.
    pub aws_inside: Ipv4Addr,
    /// The customer gateway's inside address: the second host.
    pub customer_inside: Ipv4Addr,
    /// The inside of IPv6, if the connection is for that.
    pub inside_ipv6: Option<InsideIpv6>,
    /// IKE and ESP at AWS's end.
    pub aws: IkeEnd,
    /// IKE and ESP at the customer gateway's end.
    pub customer: IkeEnd,
    /// What the customer gateway asks of sources of what comes out of it.
    pub customer_reverse_path: ReversePath,
    /// What the customer gateway does not let into it or out of it.
    pub customer_access_list: Vec<Rule>,
    /// The customer gateway's autonomous system as AWS has it registered.
    pub customer_asn: u32,
    /// Form of AWS's log of it.
    pub log_output_format: LogOutputFormat,
    /// Whether the customer chooses when maintenance is applied, from the start on, if that is said.
    pub lifecycle_control: Option<bool>,
    /// Form of AWS's log of its BGP session.
    pub bgp_log_output_format: LogOutputFormat,
    /// Other settings that its ends get during the run, AWS's and the customer gateway's.
    pub prepared: [Vec<IkeEnd>; 2],
    /// Both ends' BGP: AWS's, then the customer gateway's; `None` on a static connection.
    pub bgp: Option<(BgpEnd, BgpEnd)>,
}

/// One end's IKE and ESP settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IkeEnd {
    /// The pre-shared key.
    pub psk: Psk,
    /// The certificate that this end has in its place.
    pub credentials: Option<Credentials>,
    /// Versions of IKE; it begins with the highest.
    pub ike_versions: Vec<IkeVersion>,
    /// Who this end says it is; `None`: its outside address.
    pub id: Option<IkeIdentity>,
    /// Who this end expects the other to be; `None`: the other's outside address.
    pub expected_id: Option<IkeIdentity>,
    /// Traffic selectors: what lies behind this end.
    pub local_cidr: Ipv4Net,
    /// Traffic selectors: what lies behind the other end.
    pub remote_cidr: Ipv4Net,
    /// In their place, of a policy-based device: what lies behind this end and behind the other, for each CHILD_SA.
    pub selectors: Vec<(Ipv4Net, Ipv4Net)>,
    /// What it does about a second CHILD_SA of the other end's.
    pub second_child: SecondChild,
    /// The IKE_SA: what is allowed, and its lifetime.
    pub phase1: Phase,
    /// The CHILD_SA: what is allowed, and its lifetime.
    pub phase2: Phase,
    /// Rekeying starts at `lifetime - margin * (1 + u)`, u uniform in 0..fuzz.
    pub rekey_margin: Duration,
    /// The fuzz, in percent of the margin.
    pub rekey_fuzz_percent: u32,
    /// How the two are combined.
    pub rekey_law: RekeyLaw,
    /// Anti-replay window, in packets.
    pub replay_window: u32,
    /// Liveness.
    pub dpd: Dpd,
    /// Whether this end initiates.
    pub startup: StartupAction,
    /// Waits after each sending of a request (but liveness checks, which follow [`Dpd::timeout`] if there is one); after the last,
    /// it has failed.
    pub retransmission: Vec<Duration>,
    /// A responder forgets an IKE_SA that is not established by then.
    pub half_open_timeout: Duration,
    /// Wait before an initiator whose attempt failed tries again.
    pub retry: Duration,
    /// The longest IP packet with an IKEv2 message before it is sent in fragments (RFC 7383), in octets; `None`: never.
    pub fragment_size: Option<u16>,
    /// When and how this end authenticates anew; `None`: it does not.
    pub reauthentication: Option<Reauthentication>,
    /// True if it says that addresses may change, and does what follows if the other end says so, too (RFC 4555).
    pub mobike: bool,
    /// Whether it says INVALID-COOKIE (RFC 2408 section 5.2).
    pub invalid_cookie: bool,
    /// True if each combination of algorithms is a proposal of its own.
    pub one_by_one: bool,
    /// False if it leaves rekeying to the other end.
    pub initiates_rekeying: bool,
    /// What it does about NATs.
    pub nat_traversal: NatTraversal,
    /// How long nothing is sent, while this end is behind a NAT, until a NAT keepalive is; `None`: none is ever sent.
    pub nat_keepalive: Option<Duration>,
    /// ESP or AH.
    pub child_protocol: ChildProtocol,
    /// How packets are numbered.
    pub extended_sequence_numbers: ExtendedSequenceNumbers,
    /// What this end does with packets that IKE does not negotiate.
    pub packets: Options,
}

/// Which sequence numbers an end wants (RFC 4303 section 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtendedSequenceNumbers {
    /// 32 bits.
    No,
    /// 64 bits.
    Yes,
    /// 64 bits, or 32 if the other end has no more.
    Preferred,
}

impl ExtendedSequenceNumbers {
    /// What is proposed, preferred first.
    pub const fn offered(self) -> &'static [Esn] {
        match self {
            Self::No => &[Esn::No],
            Self::Yes => &[Esn::Yes],
            Self::Preferred => &[Esn::Yes, Esn::No],
        }
    }
}

impl core::fmt::Display for ExtendedSequenceNumbers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Preferred => "preferred",
        })
    }
}

/// Who an end of a tunnel is to IKE (RFC 7296 section 3.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IkeIdentity {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR.
    Address(IpAddr),
    /// ID_FQDN.
    Name(String),
    /// ID_DER_ASN1_DN: the DER of a name.
    DistinguishedName(Vec<u8>),
}

impl core::fmt::Display for IkeIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::DistinguishedName(der) => f.write_str(&name_text(der)),
        }
    }
}

/// The form of a tunnel's log (`LogOutputFormat` of AWS's log options).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogOutputFormat {
    /// One JSON object a line.
    Json,
    /// The values of each entry in one line.
    Text,
}

/// Whether an additional key exchange may be left out (`Requirement` of AWS's tunnel options).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Requirement {
    /// Without it there is no tunnel.
    Required,
    /// It is made if the peer offers it.
    Optional,
}

/// What one phase allows, in the scenario's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phase {
    /// Encryption algorithms.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms (and PRFs, in phase 1).
    pub integrity: Vec<Integrity>,
    /// Diffie-Hellman groups; in phase 2 they are for PFS.
    pub dh_groups: Vec<DhGroup>,
    /// Additional key exchanges, by ascending round; in phase 2 they are made on rekey.
    pub additional: Vec<Round>,
    /// Lifetime.
    pub lifetime: Duration,
}

/// Dead peer detection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dpd {
    /// Silence after which a liveness check is sent; it is sent again after each further such time.
    pub delay: Duration,
    /// Silence after which the peer is dead; `None`: it is dead when the repetitions of a check have ended.
    pub timeout: Option<Duration>,
    /// What follows.
    pub action: DpdTimeoutAction,
}

/// What an end does when its peer is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DpdTimeoutAction {
    /// End the IKE session and clear the routes.
    Clear,
    /// Nothing: it does not check.
    None,
    /// End the IKE session and initiate a new one.
    Restart,
}

/// How an end authenticates anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reauthenticates {
    /// It does not.
    Off,
    /// It deletes the IKE_SA with its CHILD_SA and makes another.
    BreakBeforeMake,
    /// It makes another and then deletes the old one.
    MakeBeforeBreak,
}

/// How an end writes its proposals down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proposals {
    /// Lists of algorithms in as few proposals as possible.
    Combined,
    /// A proposal for each combination.
    OneByOne,
}

/// Whether an end initiates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartupAction {
    /// It waits for the peer.
    Add,
    /// It initiates, at the start and whenever the tunnel is gone.
    Start,
}

/// One end's BGP session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BgpEnd {
    /// Its autonomous system.
    pub asn: u32,
    /// The hold time it proposes.
    pub hold_time: Duration,
    /// The interval of its keepalives (a third of the negotiated hold time, if that is shorter).
    pub keepalive: Duration,
    /// ConnectRetryTime.
    pub connect_retry: Duration,
    /// IdleHoldTime: wait before a new start after a session has failed.
    pub idle_hold: Duration,
    /// MinRouteAdvertisementInterval.
    pub advertisement_interval: Duration,
    /// True if timers are multiplied by a factor in 0.75 to 1 (RFC 4271 section 10).
    pub jitter: bool,
    /// True if that is so for the hold timer, too, as with BIRD.
    pub hold_jitter: bool,
    /// How late it acts on an expired hold timer at most.
    pub poll: Duration,
    /// Up to this, `idle_hold` doubles with each failure.
    pub idle_hold_limit: Option<Duration>,
    /// How many times its own autonomous system is prepended to what it sends.
    pub prepend: u32,
    /// MED on what it sends.
    pub med: Option<u32>,
    /// LOCAL_PREF of what it receives.
    pub local_preference: u32,
    /// The key that its segments are signed with; `None`: they are not.
    pub md5_key: Option<Md5Key>,
    /// How far away the other end may be.
    pub reach: Reach,
    /// How many prefixes it takes; `None`: any number.
    pub max_prefixes: Option<MaxPrefixes>,
    /// How many prefixes of each family it announces; `None`: all.
    pub most_announced: Option<u32>,
    /// Graceful restart, if it has it.
    pub graceful_restart: Option<GracefulRestart>,
    /// What becomes of what it receives, after that.
    pub import: Option<NamedPolicy>,
    /// What becomes of what it sends, after prepending and MED.
    pub export: Option<NamedPolicy>,
}

/// A policy of a customer gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedPolicy {
    /// As the scenario calls it.
    pub name: String,
    /// Its rules.
    pub policy: Policy,
}

/// What a rule of a policy leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// The route passes.
    Accept,
    /// It does not.
    Reject,
    /// The next rule goes on with it.
    Continue,
}

/// What happens to a route that no rule decides about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Otherwise {
    /// It passes.
    Accept,
    /// It does not.
    Reject,
}
