//! The plan: a scenario after every check, as plain resolved data that a world can be built from.
//!
//! Names have become ids, texts have become numbers, defaults are filled in. Ids are indices into the vectors of [`Plan`],
//! in the order in which the scenario writes things: `NodeId(3)` is `plan.nodes[3]`, and likewise [`LinkId`] for links,
//! [`FaultId`] for faults and [`StreamId`] for probes. The tunnel endpoints on AWS's side are nodes like any other and
//! follow the nodes that the scenario names, called `CONNECTION.TUNNEL`.
//!
//! Nothing here can be wrong any more: whoever reads a plan may index without asking.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::{FaultId, LinkId, NodeId, StreamId};
use sim_core::reason::{DropReason, Reason, TimerKind};
use sim_core::rng::Chance;
use sim_core::time::{Duration, Instant};

use crate::leaf::{Encryption, Integrity, Psk};

/// A validated scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The question it answers, for people.
    pub question: String,
    /// How long the world runs.
    pub duration: Duration,
    /// The seed of every random stream.
    pub seed: u64,
    /// Devices, then the tunnel endpoints of all connections.
    pub nodes: Vec<Node>,
    /// Links and internet paths.
    pub links: Vec<Link>,
    /// VPN connections.
    pub connections: Vec<Connection>,
    /// Streams of probes.
    pub probes: Vec<Probe>,
    /// The timeline, in the scenario's order (not sorted by time).
    pub faults: Vec<Fault>,
    /// Things that share a fate.
    pub groups: Vec<Group>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// Changes under which a named expectation must fail.
    pub controls: Vec<Control>,
    /// Behaviour of AWS that no document states, as numbers the world uses.
    pub assume: Assume,
    /// The same numbers, and every other unverified one, with their sources, for the report.
    pub assumptions: Vec<Assumption>,
}

impl Plan {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        position(self.nodes.iter().map(|n| &n.name), name).map(|i| NodeId(i as u32))
    }

    /// The link of that name.
    pub fn link(&self, name: &str) -> Option<LinkId> {
        position(self.links.iter().map(|l| &l.name), name).map(|i| LinkId(i as u32))
    }

    /// The probe of that name.
    pub fn probe(&self, name: &str) -> Option<StreamId> {
        position(self.probes.iter().map(|p| &p.name), name).map(|i| StreamId(i as u16))
    }

    /// The fault of that name.
    pub fn fault(&self, name: &str) -> Option<FaultId> {
        position(self.faults.iter().map(|f| &f.name), name).map(|i| FaultId(i as u16))
    }

    /// A tunnel by its id.
    pub fn tunnel(&self, id: TunnelId) -> &Tunnel {
        &self.connections[id.connection].tunnels[id.tunnel]
    }
}

fn position<'a>(mut names: impl Iterator<Item = &'a String>, name: &str) -> Option<usize> {
    names.position(|n| n == name)
}

/// A tunnel: which connection, and which of its (at most two) tunnels. Both are indices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TunnelId {
    /// Index into [`Plan::connections`].
    pub connection: usize,
    /// Index into [`Connection::tunnels`].
    pub tunnel: usize,
}

/// One of the two ends of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// AWS's VPN endpoint.
    Aws,
    /// The customer gateway.
    Customer,
}

/// A device.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, unique among nodes.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
}

/// What a device is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A host on premises.
    Host(Host),
    /// A router of the underlay. It knows the way (fewest links, then the scenario's order) to every address outside the
    /// tunnels: interfaces of hosts, customer gateways and tunnel endpoints.
    Router(Router),
    /// A customer gateway.
    CustomerGateway(CustomerGateway),
    /// A virtual private gateway.
    VirtualPrivateGateway(VirtualPrivateGateway),
    /// A VPC: the implicit router between its instances and its gateway.
    Vpc(Vpc),
    /// A host inside a VPC.
    Instance(Instance),
    /// AWS's end of one tunnel. Linked to its gateway inside AWS, without loss or delay.
    VpnEndpoint(VpnEndpoint),
}

/// A host on premises.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address and the length of its subnet's prefix.
    pub address: Ipv4Net,
    /// Its default gateway.
    pub gateway: Ipv4Addr,
}

/// A router of the underlay.
#[derive(Clone, Debug)]
pub struct Router {
    /// The source of its ICMP errors; none are sent without one.
    pub address: Option<Ipv4Addr>,
}

/// A customer gateway.
#[derive(Clone, Debug)]
pub struct CustomerGateway {
    /// Its autonomous system.
    pub asn: u32,
    /// Its interfaces, in the scenario's order.
    pub interfaces: Vec<Interface>,
    /// Prefixes that it originates into BGP.
    pub advertise: Vec<Ipv4Net>,
    /// Static routes.
    pub static_routes: Vec<StaticRoute>,
    /// True if a tunnel's routes leave the FIB while it has no CHILD_SA (interface tracking). If false, only BGP removes them.
    pub routes_follow_sa: bool,
    /// How its TCP behaves.
    pub tcp: TcpProfile,
}

/// An interface of a customer gateway.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name, unique in the device.
    pub name: String,
    /// Its address and the length of its subnet's prefix.
    pub address: Ipv4Net,
}

/// A static route of a customer gateway.
#[derive(Clone, Debug)]
pub struct StaticRoute {
    /// Destination.
    pub prefix: Ipv4Net,
    /// Where to.
    pub via: Via,
    /// Administrative distance: the lowest usable one is used. BGP's is 20.
    pub distance: u32,
}

/// Where a static route points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// Into a tunnel.
    Tunnel(TunnelId),
    /// Out of an interface (index into [`CustomerGateway::interfaces`]).
    Interface(usize),
    /// Nowhere: matching packets are dropped.
    Blackhole,
}

/// How a device's TCP differs from the RFCs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpProfile {
    /// As Linux: after a retransmission timeout only the first unacknowledged segment is sent until an ACK advances.
    Linux,
    /// As the RFCs allow.
    Rfc,
}

/// A virtual private gateway.
#[derive(Clone, Debug)]
pub struct VirtualPrivateGateway {
    /// The Amazon side's autonomous system.
    pub asn: u32,
    /// The VPC it is attached to.
    pub vpc: NodeId,
    /// Which tunnel AWS prefers while everything else is equal; `None`: drawn from the seed, as AWS does not say.
    pub preferred_tunnel: Option<TunnelId>,
}

/// A VPC.
#[derive(Clone, Debug)]
pub struct Vpc {
    /// Its address block.
    pub cidr: Ipv4Net,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its route tables.
    pub route_tables: Vec<RouteTable>,
}

/// A subnet of a VPC.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Its name, unique in the VPC.
    pub name: String,
    /// Its address block.
    pub cidr: Ipv4Net,
    /// Its availability zone.
    pub availability_zone: String,
    /// Its route table (index into [`Vpc::route_tables`]).
    pub route_table: usize,
}

/// A route table of a VPC. The route `local` to the VPC's own block is implied.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Its name, unique in the VPC.
    pub name: String,
    /// Gateways whose routes are propagated into it.
    pub propagation: Vec<NodeId>,
    /// Static routes: destination and target (a gateway), `None` for a blackhole.
    pub routes: Vec<(Ipv4Net, Option<NodeId>)>,
}

/// A host inside a VPC.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its VPC.
    pub vpc: NodeId,
    /// Its subnet (index into [`Vpc::subnets`]).
    pub subnet: usize,
    /// Its private address.
    pub address: Ipv4Addr,
}

/// AWS's end of one tunnel.
#[derive(Clone, Debug)]
pub struct VpnEndpoint {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The gateway it belongs to.
    pub gateway: NodeId,
    /// Its outside address.
    pub address: Ipv4Addr,
    /// Its availability zone.
    pub availability_zone: String,
}

/// A link or an internet path.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name, unique among links.
    pub name: String,
    /// True for a link whose ends see the carrier go; false for an internet path, which fails silently.
    pub carrier: bool,
    /// Its two ends.
    pub ends: [End; 2],
    /// From the first end to the second.
    pub forward: Conditions,
    /// From the second end to the first.
    pub reverse: Conditions,
}

/// Where a link is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// The device.
    pub node: NodeId,
    /// Which interface, for a customer gateway (index into [`CustomerGateway::interfaces`]).
    pub interface: Option<usize>,
}

/// How one direction of a link treats packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    /// Bits per second; `None`: no limit, so no queue either.
    pub rate: Option<u64>,
    /// Octets that may wait for transmission.
    pub queue: u64,
    /// Propagation delay.
    pub delay: Duration,
    /// Added to the delay of each packet, uniform in `0..=jitter`.
    pub jitter: Duration,
    /// Random loss.
    pub loss: Loss,
    /// Chance that a packet is held back by `reorder_by`.
    pub reorder: Chance,
    /// How long a packet is held back.
    pub reorder_by: Duration,
    /// Chance that a packet arrives twice.
    pub duplicate: Chance,
    /// Chance that one bit of a packet is flipped.
    pub corrupt: Chance,
    /// Longest IP packet, in octets.
    pub mtu: u16,
}

/// Random loss.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Loss {
    /// Each packet alike.
    Independent(Chance),
    /// Bursts: a two-state chain that moves before each packet.
    GilbertElliott {
        /// Chance to go from good to bad.
        enter: Chance,
        /// Chance to go from bad to good.
        leave: Chance,
        /// Chance of loss while good.
        good: Chance,
        /// Chance of loss while bad.
        bad: Chance,
    },
}

/// A Site-to-Site VPN connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name, unique among connections.
    pub name: String,
    /// The customer gateway.
    pub customer_gateway: NodeId,
    /// The interface of the customer gateway that the tunnels start from.
    pub customer_interface: usize,
    /// The gateway on AWS's side.
    pub gateway: NodeId,
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
    pub aws_outside: Ipv4Addr,
    /// The customer gateway's outside address.
    pub customer_outside: Ipv4Addr,
    /// The inside /30.
    pub inside: Ipv4Net,
    /// AWS's inside address: the first host.
    pub aws_inside: Ipv4Addr,
    /// The customer gateway's inside address: the second host.
    pub customer_inside: Ipv4Addr,
    /// IKE and ESP at AWS's end.
    pub aws: IkeEnd,
    /// IKE and ESP at the customer gateway's end.
    pub customer: IkeEnd,
    /// Both ends' BGP: AWS's, then the customer gateway's; `None` on a static connection.
    pub bgp: Option<(BgpEnd, BgpEnd)>,
}

/// One end's IKE and ESP settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IkeEnd {
    /// The pre-shared key.
    pub psk: Psk,
    /// The IKE_SA: what is allowed, and its lifetime.
    pub phase1: Phase,
    /// The CHILD_SA: what is allowed, and its lifetime.
    pub phase2: Phase,
    /// Rekeying starts at `lifetime - margin * (1 + u)`, u uniform in 0..fuzz.
    pub rekey_margin: Duration,
    /// The fuzz, in percent of the margin.
    pub rekey_fuzz_percent: u32,
    /// Anti-replay window, in packets.
    pub replay_window: u32,
    /// Liveness.
    pub dpd: Dpd,
    /// Whether this end initiates.
    pub startup: StartupAction,
    /// Waits after each sending of a request (but liveness checks, which follow [`Dpd`]); after the last, it has failed.
    pub retransmission: Vec<Duration>,
    /// A responder forgets an IKE_SA that is not established by then.
    pub half_open_timeout: Duration,
    /// Wait before an initiator whose attempt failed tries again.
    pub retry: Duration,
}

/// What one phase allows, in the scenario's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phase {
    /// Encryption algorithms.
    pub encryption: Vec<Encryption>,
    /// Integrity algorithms (and PRFs, in phase 1).
    pub integrity: Vec<Integrity>,
    /// Diffie-Hellman groups by IANA number; in phase 2 they are for PFS.
    pub dh_groups: Vec<u16>,
    /// Lifetime.
    pub lifetime: Duration,
}

/// Dead peer detection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dpd {
    /// Silence after which a liveness check is sent; it is sent again after each further such time.
    pub delay: Duration,
    /// Silence after which the peer is dead; `None`: no dead peer detection.
    pub timeout: Option<Duration>,
    /// What follows.
    pub action: DpdTimeoutAction,
}

/// What an end does when its peer is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DpdTimeoutAction {
    /// End the IKE session and clear the routes.
    Clear,
    /// Nothing.
    None,
    /// End the IKE session and initiate a new one.
    Restart,
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
    /// How many times its own autonomous system is prepended to what it sends.
    pub prepend: u32,
    /// MED on what it sends.
    pub med: Option<u32>,
    /// LOCAL_PREF of what it receives.
    pub local_preference: u32,
}

/// A stream of probes.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its name, unique among probes.
    pub name: String,
    /// What is sent.
    pub kind: ProbeKind,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// Interval.
    pub every: Duration,
    /// Length of the IP packet, in octets.
    pub size: u16,
    /// When the first is sent.
    pub start: Instant,
    /// None is sent at or after this moment.
    pub stop: Instant,
    /// An outage is a run of at least so many unanswered probes.
    pub min_lost: u32,
}

/// What a probe is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// UDP, answered by the receiver.
    UdpEcho,
    /// ICMP Echo.
    IcmpEcho,
    /// UDP, judged at the receiver.
    UdpOneWay,
}

/// Which direction of a link, or of a probe's path from its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directions {
    /// From the first end to the second.
    Forward,
    /// From the second end to the first.
    Reverse,
    /// Both.
    Both,
}

/// Which direction of a probe is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    /// From sender to receiver.
    Forward,
    /// From receiver back to sender.
    Reverse,
    /// There and back.
    RoundTrip,
}

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its name, unique among faults.
    pub name: String,
    /// False: it does not happen.
    pub enabled: bool,
    /// When, already drawn if the scenario gives a range.
    pub at: Instant,
    /// When it is undone.
    pub heal: Option<Instant>,
    /// What.
    pub what: FaultKind,
}

/// What a fault does.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// A link silently discards.
    Blackhole {
        /// The link.
        link: LinkId,
        /// Which way.
        direction: Directions,
    },
    /// A link loses its carrier.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// A link's conditions change; healing restores those of the plan.
    Impair {
        /// The link.
        link: LinkId,
        /// Conditions from the first end to the second while the fault lasts.
        forward: Conditions,
        /// Conditions from the second end to the first.
        reverse: Conditions,
    },
    /// A device loses power and forgets everything that is not configuration.
    PowerLoss {
        /// The device.
        node: NodeId,
    },
    /// One end deletes the tunnel's IKE_SA and stays quiet until healed.
    IkeDelete {
        /// The tunnel.
        tunnel: TunnelId,
        /// Who deletes.
        by: Side,
    },
    /// One end shuts its BGP session down (Cease, Administrative Shutdown) until healed.
    BgpShutdown {
        /// The tunnel.
        tunnel: TunnelId,
        /// Who shuts down.
        by: Side,
    },
    /// A link goes down and up again, `times` times, beginning with down.
    Flap {
        /// The link.
        link: LinkId,
        /// How long it is down each time.
        down: Duration,
        /// How long it is up in between.
        up: Duration,
        /// How often.
        times: u32,
    },
    /// All members of a group fail at once: devices lose power, links lose their carrier, paths discard both ways.
    GroupFailure {
        /// Index into [`Plan::groups`].
        group: usize,
    },
}

/// Things that share a fate.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, unique among groups. Availability zones are groups called `az:NAME`.
    pub name: String,
    /// Devices.
    pub nodes: Vec<NodeId>,
    /// Links and paths.
    pub links: Vec<LinkId>,
}

/// Something that must hold.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its name, unique among expectations.
    pub name: String,
    /// It in words.
    pub text: String,
    /// It for the machine.
    pub kind: ExpectationKind,
}

/// What must hold. All bounds are inclusive.
#[derive(Clone, Debug)]
pub enum ExpectationKind {
    /// The probe's longest outage owned by `fault` (any outage, if `None`) lasts between `min` and `max`.
    OutageBetween {
        /// The probe.
        probe: StreamId,
        /// Judged in this direction.
        direction: Judged,
        /// Owner of the outage: the latest fault or healing before it begins.
        fault: Option<Cause>,
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// The probe has no outage that begins within `from..until`.
    NoOutage {
        /// The probe.
        probe: StreamId,
        /// Judged in this direction.
        direction: Judged,
        /// Beginning of the time that is judged.
        from: Instant,
        /// End of the time that is judged.
        until: Instant,
    },
    /// What first noticed the fault.
    DetectedBy {
        /// The fault.
        fault: FaultId,
        /// At this device; anywhere, if `None`.
        node: Option<NodeId>,
        /// The detector.
        detector: Detector,
        /// At most so long after the fault.
        within: Option<Duration>,
    },
    /// So many packets were dropped for this reason.
    DropsBetween {
        /// The reason.
        reason: DropReason,
        /// Counted at this device only.
        node: Option<NodeId>,
        /// Counted on this link only.
        link: Option<LinkId>,
        /// Fewest packets.
        min: u64,
        /// Most packets.
        max: u64,
    },
    /// The session is established at both ends at most `within` after `after`.
    EstablishedWithin {
        /// The session.
        session: SessionRef,
        /// Counted from here.
        after: Instant,
        /// At most.
        within: Duration,
    },
    /// Every suite that was negotiated for the tunnel is at least as strong in each part.
    SuiteAtLeast {
        /// The tunnel.
        tunnel: TunnelId,
        /// Encryption.
        encryption: Encryption,
        /// Integrity (an AEAD satisfies any).
        integrity: Integrity,
        /// Diffie-Hellman group.
        dh_group: u16,
    },
    /// At this moment the device's table has (or has not) this route as its best.
    RoutePresent {
        /// The device.
        node: NodeId,
        /// Destination.
        prefix: Ipv4Net,
        /// Through this tunnel; through anything, if `None`.
        via: Option<TunnelId>,
        /// When.
        at: Instant,
        /// False: it must not be there.
        present: bool,
    },
    /// No route anywhere changes later than `within` after the fault, until the next fault or healing.
    ConvergedWithin {
        /// The fault or healing.
        fault: Cause,
        /// At most.
        within: Duration,
    },
    /// Share of the probe's packets that are lost in this direction, over its whole life.
    LossBetween {
        /// The probe.
        probe: StreamId,
        /// Judged in this direction.
        direction: Judged,
        /// Smallest share.
        min: Chance,
        /// Largest share.
        max: Chance,
    },
    /// CHILD_SAs of the tunnel were replaced so many times.
    RekeysBetween {
        /// The tunnel.
        tunnel: TunnelId,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
}

/// A fault, or its healing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The fault strikes.
    Fault(FaultId),
    /// The fault is undone.
    Healing(FaultId),
}

/// What notices a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detector {
    /// A timer that expires.
    Timer(TimerKind),
    /// A state change for this reason.
    Reason(Reason),
}

/// A session of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionRef {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Which of its sessions.
    pub kind: SessionKind,
}

/// Which session of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionKind {
    /// The IKE_SA.
    Ike,
    /// The CHILD_SA.
    Child,
    /// The BGP session.
    Bgp,
}

/// A change of the scenario under which an expectation must fail.
#[derive(Clone, Debug)]
pub struct Control {
    /// Changes in the grammar of [`crate::set`].
    pub change: Vec<String>,
    /// The expectation that must fail (index into [`Plan::expectations`]).
    pub fails: usize,
}

/// Behaviour of AWS that no document states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assume {
    /// From a route change at a VGW to its use for forwarding.
    pub vgw_programming_delay: Duration,
    /// From a route change at a VGW to its use in the VPC route tables it propagates to.
    pub vpc_propagation_delay: Duration,
    /// MED that AWS sends over the tunnel it prefers.
    pub preferred_med: u32,
    /// MED that AWS sends over the other tunnel.
    pub other_med: u32,
    /// How TCP at AWS's end behaves.
    pub aws_tcp: TcpProfile,
}

/// A number that the world uses and no document states.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assumption {
    /// What is assumed.
    pub what: Assumed,
    /// The node or tunnel that it is about; `None`: all.
    pub owner: Option<String>,
    /// Where to change it, as a path for `--set`.
    pub parameter: String,
    /// Its value in this plan.
    pub value: String,
    /// Why this value.
    pub source: String,
}

/// What an assumption is about, so that a report can pick those that a critical path used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assumed {
    /// Time for a route change to take effect inside a gateway.
    VgwProgrammingDelay,
    /// Time for a gateway's route to reach VPC route tables.
    VpcPropagationDelay,
    /// MED values that AWS sends.
    Med,
    /// TCP of AWS's endpoints.
    AwsTcp,
    /// Which tunnel AWS prefers.
    PreferredTunnel,
    /// From where AWS counts the DPD timeout.
    DpdBase,
    /// When AWS repeats an IKE request.
    Retransmission,
    /// When AWS forgets a half-open IKE_SA.
    HalfOpen,
    /// How AWS draws the moment of rekeying.
    RekeyFormula,
    /// BGP timers of AWS's end that are not documented.
    BgpTimers,
}
