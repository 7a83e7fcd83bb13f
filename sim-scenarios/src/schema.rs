//! The scenario language, version 1, as the shapes that a file may have.
//!
//! A file is one RON value. `Capital(...)` is a kind of thing, `(...)` a group of settings, `{ "name": ... }` named things,
//! `"..."` a name or a value with its unit. Everything that is [`Option`]al has a default, AWS's own where AWS has one;
//! unknown fields are refused. The language grows by new kinds and new optional settings, so that a file of this version
//! stays valid.
//!
//! Shapes only: whether a value is sensible and a name exists is judged in [`crate::plan`]'s making, for the whole file at
//! once. What is optional has its default there too, beside the rule that checks it.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use sim_core::reason::DropReason;

use crate::leaf::{
    Address, Asn, Count, Encryption, Flag, Integrity, Name, Percent, Prefix, PskSource, Rate, Size,
    Span, Text, When,
};
use crate::place::{At, List, Named};
use crate::plan::{
    Detector, Directions, DpdTimeoutAction, Judged, Side, StartupAction, TcpProfile,
};

/// A scenario.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the language: 1.
    pub version: At<Count>,
    /// Its name.
    pub name: At<Text>,
    /// The question it answers.
    pub question: At<Text>,
    /// How long the world runs.
    pub duration: At<Span>,
    /// The seed of every random choice; 1 if not given.
    pub seed: Option<At<Count>>,
    /// Devices.
    pub nodes: Named<Node>,
    /// Links and internet paths.
    pub links: Named<Link>,
    /// Connections between gateways.
    #[serde(default)]
    pub connections: Named<Connection>,
    /// Traffic that measures.
    #[serde(default)]
    pub probes: Named<Probe>,
    /// Things that share a fate.
    #[serde(default)]
    pub groups: Named<Group>,
    /// What happens to the world.
    #[serde(default)]
    pub faults: Named<Fault>,
    /// What must hold.
    #[serde(default)]
    pub expect: Named<Expect>,
    /// Changes under which a named expectation must fail, so that it is known to be able to.
    #[serde(default)]
    pub control: Vec<Control>,
    /// Behaviour of AWS that no document states.
    #[serde(default)]
    pub assume: Assume,
}

/// A device.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Node {
    /// A host on premises.
    Host(Host),
    /// A router of the underlay: the internet service provider, for example.
    Router(Router),
    /// The customer's end of VPN connections.
    CustomerGateway(CustomerGateway),
    /// AWS's end of VPN connections to one VPC.
    VirtualPrivateGateway(VirtualPrivateGateway),
    /// A virtual private cloud.
    Vpc(Vpc),
    /// A host in a VPC.
    Instance(Instance),
}

/// A host on premises.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Address and subnet, like "10.1.0.10/24".
    pub address: At<Prefix>,
    /// Default gateway; if not given, the address of the customer gateway's interface at the other end of its link.
    pub gateway: Option<At<Address>>,
}

/// A router of the underlay. It knows the way to every address outside the tunnels.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// The source of its ICMP errors; without it, it sends none.
    pub address: Option<At<Address>>,
}

/// A customer gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct CustomerGateway {
    /// BGP autonomous system; 65000 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// Its interfaces; a link's end is then "NODE.INTERFACE".
    pub interfaces: Named<Interface>,
    /// Prefixes that it advertises by BGP.
    #[serde(default)]
    pub advertise: Vec<At<Prefix>>,
    /// Static routes.
    #[serde(default)]
    pub static_routes: Vec<StaticRoute>,
    /// Whether a tunnel's routes vanish while it has no CHILD_SA; true if not given.
    pub routes_follow_sa: Option<At<Flag>>,
    /// How its TCP behaves: "linux" (if not given) or "rfc".
    pub tcp: Option<At<TcpProfile>>,
}

/// An interface of a customer gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Address and subnet, like "203.0.113.10/24".
    pub address: At<Prefix>,
}

/// A static route of a customer gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StaticRoute {
    /// Destination.
    pub prefix: At<Prefix>,
    /// A tunnel, like "vpn.a", or an interface of this device, or "blackhole".
    pub via: At<Name>,
    /// Administrative distance: the route with the lowest one is used; 1 if not given. BGP's is 20.
    pub distance: Option<At<Count>>,
}

/// A virtual private gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VirtualPrivateGateway {
    /// The Amazon side's autonomous system; 64512 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// The VPC it is attached to.
    pub vpc: At<Name>,
    /// The tunnel that AWS prefers while all else is equal, like "vpn.a"; if not given, drawn from the seed.
    pub preferred_tunnel: Option<At<Name>>,
}

/// A VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// Its address block, /16 to /28.
    pub cidr: At<Prefix>,
    /// Its subnets.
    pub subnets: Named<Subnet>,
    /// Its route tables; if not given, one called "main" into which the attached gateway propagates.
    #[serde(default)]
    pub route_tables: Named<RouteTable>,
}

/// A subnet of a VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its address block, inside the VPC's.
    pub cidr: At<Prefix>,
    /// Its availability zone.
    pub availability_zone: At<Name>,
    /// Its route table; "main" if not given.
    pub route_table: Option<At<Name>>,
}

/// A route table of a VPC. The route "local" is implied.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Gateways whose routes are propagated into it; none if not given.
    #[serde(default)]
    pub propagation: Vec<At<Name>>,
    /// Static routes.
    #[serde(default)]
    pub routes: Vec<VpcRoute>,
}

/// A static route of a VPC route table.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VpcRoute {
    /// Destination.
    pub destination: At<Prefix>,
    /// A virtual private gateway, or "blackhole".
    pub target: At<Name>,
}

/// A host in a VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its subnet, like "vpc.app".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
}

/// What joins two devices.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Link {
    /// A cable or a provider's circuit: both ends see its carrier.
    Link(Line),
    /// A stretch of internet: its failure is seen by nobody.
    Path(Line),
}

/// Ends and conditions of a link or path.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its two ends: a node, "NODE.INTERFACE" of a customer gateway, or a tunnel endpoint "CONNECTION.TUNNEL".
    /// Forward is from the first to the second.
    pub between: (At<Name>, At<Name>),
    /// Bandwidth, each way; no limit if not given.
    pub rate: Option<At<Rate>>,
    /// What may wait for transmission, in octets; 256KiB if not given.
    pub queue: Option<At<Size>>,
    /// One-way delay; 100us for a link and 10ms for a path if not given.
    pub delay: Option<At<Span>>,
    /// Added to the delay, uniform from none to this.
    pub jitter: Option<At<Span>>,
    /// Share of packets lost, each alike.
    pub loss: Option<At<Percent>>,
    /// Loss in bursts, in place of `loss`.
    pub bursts: Option<Bursts>,
    /// Packets that are held back.
    pub reorder: Option<Reorder>,
    /// Share of packets that arrive twice.
    pub duplicate: Option<At<Percent>>,
    /// Share of packets of which one bit is flipped.
    pub corrupt: Option<At<Percent>>,
    /// Longest IP packet, in octets; 1500 if not given.
    pub mtu: Option<At<Count>>,
    /// What differs from the above in the direction from the first end to the second.
    pub forward: Option<Conditions>,
    /// What differs from the above in the direction from the second end to the first.
    pub reverse: Option<Conditions>,
}

/// Conditions of one direction, where they differ from those of the link.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Bandwidth.
    pub rate: Option<At<Rate>>,
    /// What may wait for transmission, in octets.
    pub queue: Option<At<Size>>,
    /// Delay.
    pub delay: Option<At<Span>>,
    /// Added to the delay, uniform from none to this.
    pub jitter: Option<At<Span>>,
    /// Share of packets lost, each alike.
    pub loss: Option<At<Percent>>,
    /// Loss in bursts, in place of `loss`.
    pub bursts: Option<Bursts>,
    /// Packets that are held back.
    pub reorder: Option<Reorder>,
    /// Share of packets that arrive twice.
    pub duplicate: Option<At<Percent>>,
    /// Share of packets of which one bit is flipped.
    pub corrupt: Option<At<Percent>>,
    /// Longest IP packet, in octets.
    pub mtu: Option<At<Count>>,
}

/// Bursts of loss: the Gilbert-Elliott model, a good and a bad state that may change before each packet.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Chance, per packet, that a burst begins.
    pub enter: At<Percent>,
    /// Chance, per packet, that it ends: bursts last 1/leave packets on average.
    pub leave: At<Percent>,
    /// Loss outside bursts; none if not given.
    pub good: Option<At<Percent>>,
    /// Loss inside bursts; 100% if not given.
    pub bad: Option<At<Percent>>,
}

/// Reordering.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Share of packets that are held back.
    pub chance: At<Percent>,
    /// For how long.
    pub by: At<Span>,
}

/// A connection between gateways.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Connection {
    /// An AWS Site-to-Site VPN connection.
    Vpn(Vpn),
}

/// An AWS Site-to-Site VPN connection.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Vpn {
    /// The customer gateway.
    pub customer_gateway: At<Name>,
    /// The interface of the customer gateway that the tunnels start from; "wan" if not given.
    pub customer_interface: Option<At<Name>>,
    /// The virtual private gateway.
    pub gateway: At<Name>,
    /// How AWS learns the customer's routes.
    pub routing: Routing,
    /// One or two tunnels; their endpoints are called "CONNECTION.TUNNEL".
    pub tunnels: Named<Tunnel>,
}

/// How AWS learns the customer's routes.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Routing {
    /// By BGP.
    Bgp(Bgp),
    /// By hand.
    Static(StaticRouting),
}

/// BGP of both ends, where the tunnel does not say otherwise.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Bgp {
    /// Timers at AWS's end.
    pub aws: BgpTimers,
    /// Timers at the customer gateway's end.
    pub customer: BgpTimers,
}

/// BGP timers of one end.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct BgpTimers {
    /// Hold time that is proposed; 30s if not given. "0s" turns keepalives off.
    pub hold_time: Option<At<Span>>,
    /// Keepalive interval; a third of the hold time if not given.
    pub keepalive: Option<At<Span>>,
    /// Wait before a new TCP connection is tried; 120s if not given (RFC 4271 section 10).
    pub connect_retry: Option<At<Span>>,
    /// Wait after a session failed; 10s if not given.
    pub idle_hold: Option<At<Span>>,
    /// MinRouteAdvertisementInterval; none if not given.
    pub advertisement_interval: Option<At<Span>>,
    /// Whether timers are shortened by a random factor of 0.75 to 1 (RFC 4271 section 10); true if not given.
    pub jitter: Option<At<Flag>>,
}

/// Routes that are entered by hand at AWS.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StaticRouting {
    /// What is behind the customer gateway.
    pub prefixes: Vec<At<Prefix>>,
}

/// A tunnel: AWS's tunnel options, and under `customer` the customer gateway's own settings.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// AWS's outside address.
    pub outside_address: At<Address>,
    /// The inside /30 of 169.254.0.0/16: AWS takes the first host, the customer gateway the second.
    pub inside_cidr: At<Prefix>,
    /// Availability zone of AWS's endpoint; if not given, "az1" for the first tunnel and "az2" for the second.
    pub availability_zone: Option<At<Name>>,
    /// Pre-shared key: the key itself, "file:PATH", or "env:VARIABLE"; if not given, one is drawn from the seed.
    pub pre_shared_key: Option<At<PskSource>>,
    /// What AWS allows for the IKE_SA.
    #[serde(default)]
    pub phase1: Phase,
    /// What AWS allows for the CHILD_SA.
    #[serde(default)]
    pub phase2: Phase,
    /// How long before the end of a lifetime rekeying begins at the latest; 270s if not given.
    pub rekey_margin: Option<At<Span>>,
    /// By how much the margin is enlarged at random, 0% to 100%; 100% if not given.
    pub rekey_fuzz: Option<At<Percent>>,
    /// Anti-replay window in packets, 64 to 2048; 1024 if not given.
    pub replay_window: Option<At<Count>>,
    /// Silence after which AWS checks whether the customer gateway lives; 10s if not given.
    pub dpd_delay: Option<At<Span>>,
    /// Silence after which AWS holds the customer gateway for dead, 30s or more; 40s if not given.
    pub dpd_timeout: Option<At<Span>>,
    /// What AWS does then: "clear" (if not given), "none" or "restart".
    pub dpd_timeout_action: Option<At<DpdTimeoutAction>>,
    /// Who begins: "add" (if not given: the customer gateway) or "start" (AWS too).
    pub startup_action: Option<At<StartupAction>>,
    /// Waits between retransmissions of AWS's IKE requests.
    pub retransmission: Option<List<Span>>,
    /// When AWS forgets an IKE_SA that nobody completes; 30s if not given.
    pub half_open_timeout: Option<At<Span>>,
    /// Wait before AWS tries again, if it begins; 10s if not given.
    pub retry: Option<At<Span>>,
    /// What the customer gateway has configured for this tunnel.
    #[serde(default)]
    pub customer: CustomerEnd,
}

/// What one phase allows.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// "AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"; all if not given.
    pub encryption: Option<List<Encryption>>,
    /// "SHA1", "SHA2-256", "SHA2-384", "SHA2-512"; all if not given.
    pub integrity: Option<List<Integrity>>,
    /// 2, 14 to 24, and 5 in phase 2 only; all if not given.
    pub dh_groups: Option<List<Count>>,
    /// Lifetime; 28800s for phase 1 and 3600s for phase 2 if not given.
    pub lifetime: Option<At<Span>>,
}

/// The customer gateway's settings of one tunnel. What is not given is as at AWS's end, unless said otherwise.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct CustomerEnd {
    /// Pre-shared key, if it differs from AWS's.
    pub pre_shared_key: Option<At<PskSource>>,
    /// What it proposes for the IKE_SA.
    #[serde(default)]
    pub phase1: Phase,
    /// What it proposes for the CHILD_SA.
    #[serde(default)]
    pub phase2: Phase,
    /// How long before the end of a lifetime rekeying begins at the latest.
    pub rekey_margin: Option<At<Span>>,
    /// By how much the margin is enlarged at random.
    pub rekey_fuzz: Option<At<Percent>>,
    /// Anti-replay window in packets.
    pub replay_window: Option<At<Count>>,
    /// Silence after which it checks whether AWS lives.
    pub dpd_delay: Option<At<Span>>,
    /// Silence after which it holds AWS for dead; "0s": never.
    pub dpd_timeout: Option<At<Span>>,
    /// What it does then: "clear", "none" or "restart" (if not given).
    pub dpd_timeout_action: Option<At<DpdTimeoutAction>>,
    /// Who begins: "start" (if not given) or "add".
    pub startup_action: Option<At<StartupAction>>,
    /// Waits between retransmissions of its IKE requests.
    pub retransmission: Option<List<Span>>,
    /// When it forgets an IKE_SA that nobody completes.
    pub half_open_timeout: Option<At<Span>>,
    /// Wait before it tries again; 10s if not given.
    pub retry: Option<At<Span>>,
    /// How often it prepends its autonomous system to what it advertises through this tunnel; 0 if not given.
    pub prepend: Option<At<Count>>,
    /// MED on what it advertises through this tunnel; none if not given.
    pub med: Option<At<Count>>,
    /// LOCAL_PREF of what it hears through this tunnel: higher wins; 100 if not given.
    pub local_preference: Option<At<Count>>,
}

/// Traffic that measures.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Probe {
    /// UDP datagrams that the receiver sends back.
    UdpEcho(Stream),
    /// ICMP Echo: ping.
    IcmpEcho(Stream),
    /// UDP datagrams that are counted at the receiver.
    UdpOneWay(Stream),
}

/// A stream of probes.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The sender: a host or instance.
    pub from: At<Name>,
    /// The receiver: a host or instance.
    pub to: At<Name>,
    /// Interval: the resolution of every outage that it measures.
    pub every: At<Span>,
    /// Length of the IP packet; 100 octets if not given.
    pub size: Option<At<Size>>,
    /// When it begins; 60s if not given, when tunnels and routes are up.
    pub start: Option<At<Span>>,
    /// When it ends; at the end of the scenario if not given.
    pub stop: Option<At<Span>>,
    /// An outage is a run of at least so many unanswered probes; 3 if not given.
    pub min_lost: Option<At<Count>>,
}

/// Things that share a fate.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Nodes, tunnel endpoints, links and paths.
    pub members: Vec<At<Name>>,
}

/// Something that happens to the world at a moment.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When: "300s", or "300s..310s" to draw the moment from the seed.
    pub at: At<When>,
    /// When it is undone; never if not given.
    pub heal: Option<At<Span>>,
    /// How long after it began it is undone, in place of `heal`.
    pub heal_after: Option<At<Span>>,
    /// False: it does not happen; true if not given.
    pub enabled: Option<At<Flag>>,
    /// What happens.
    pub what: What,
}

/// What a fault does.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum What {
    /// A link or path silently discards packets.
    Blackhole(Blackhole),
    /// A link loses its carrier, and both ends see it.
    LinkDown(OneLink),
    /// A link's or path's conditions change.
    Impair(Impair),
    /// A device or tunnel endpoint loses power and forgets all but its configuration.
    PowerLoss(OneNode),
    /// One end deletes a tunnel's IKE_SA, and does not come back until healed.
    IkeDelete(OneEnd),
    /// One end shuts a tunnel's BGP session down until healed.
    BgpShutdown(OneEnd),
    /// A link or path goes down and up, again and again.
    Flap(Flap),
    /// All members of a group fail at once.
    GroupFailure(OneGroup),
}

/// A silent discard.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Blackhole {
    /// The link or path.
    pub link: At<Name>,
    /// "forward", "reverse" or "both" (if not given).
    pub direction: Option<At<Directions>>,
}

/// A link or path.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneLink {
    /// The link.
    pub link: At<Name>,
}

/// Other conditions for a while.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Impair {
    /// The link or path.
    pub link: At<Name>,
    /// "forward", "reverse" or "both" (if not given).
    pub direction: Option<At<Directions>>,
    /// The conditions that change.
    pub to: Conditions,
}

/// A device.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneNode {
    /// A node, or a tunnel endpoint like "vpn.a".
    pub node: At<Name>,
}

/// One end of a tunnel.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneEnd {
    /// The tunnel, like "vpn.a".
    pub tunnel: At<Name>,
    /// Who does it: "aws" or "customer".
    pub by: At<Side>,
}

/// Down and up.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Flap {
    /// The link (its carrier goes) or path (it discards).
    pub link: At<Name>,
    /// How long it is down each time.
    pub down: At<Span>,
    /// How long it is up in between.
    pub up: At<Span>,
    /// How often it goes down.
    pub times: At<Count>,
}

/// A group.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneGroup {
    /// The group, or an availability zone as "az:NAME".
    pub group: At<Name>,
}

/// What must hold. Bounds are inclusive.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Expect {
    /// The longest outage that a fault or its healing causes lasts so long.
    OutageBetween(OutageBetween),
    /// No outage begins in a stretch of time.
    NoOutage(NoOutage),
    /// What first noticed a fault.
    DetectedBy(DetectedBy),
    /// How many packets were dropped for a reason.
    DropsBetween(DropsBetween),
    /// A session comes up in time.
    EstablishedWithin(EstablishedWithin),
    /// What was negotiated is strong enough.
    SuiteAtLeast(SuiteAtLeast),
    /// A device's table has a route.
    RoutePresent(Route),
    /// A device's table does not have a route.
    RouteAbsent(Route),
    /// Routes have settled in time.
    ConvergedWithin(ConvergedWithin),
    /// Share of a probe's packets that are lost.
    LossBetween(LossBetween),
    /// How often a tunnel's CHILD_SA was replaced.
    RekeysBetween(RekeysBetween),
}

/// Length of an outage.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OutageBetween {
    /// The probe.
    pub probe: At<Name>,
    /// "forward", "reverse" or "round_trip" (if not given).
    pub direction: Option<At<Judged>>,
    /// The fault that it belongs to, as "cut", or its healing, as "cut.heal"; any if not given.
    pub fault: Option<At<Name>>,
    /// Shortest.
    pub min: At<Span>,
    /// Longest.
    pub max: At<Span>,
}

/// Absence of outages.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NoOutage {
    /// The probe.
    pub probe: At<Name>,
    /// "forward", "reverse" or "round_trip" (if not given).
    pub direction: Option<At<Judged>>,
    /// From when; the beginning if not given.
    pub from: Option<At<Span>>,
    /// Until when; the end if not given.
    pub until: Option<At<Span>>,
}

/// What first noticed a fault.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DetectedBy {
    /// The fault.
    pub fault: At<Name>,
    /// At this device or tunnel endpoint; anywhere if not given.
    pub node: Option<At<Name>>,
    /// The timer or reason, by its code: "hold_timer", "dpd_idle", "peer_deleted", "notification_received" ...
    pub detector: At<Detector>,
    /// At most so long after the fault.
    pub within: Option<At<Span>>,
}

/// Number of drops.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DropsBetween {
    /// The reason by its code: "blackhole", "replayed", "queue_full" ...
    pub reason: At<DropReason>,
    /// Only at this device or tunnel endpoint.
    pub node: Option<At<Name>>,
    /// Only on this link or path.
    pub link: Option<At<Name>>,
    /// Fewest packets; 0 if not given.
    pub min: Option<At<Count>>,
    /// Most packets; no limit if not given.
    pub max: Option<At<Count>>,
}

/// A session comes up.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct EstablishedWithin {
    /// "CONNECTION.TUNNEL.ike", "CONNECTION.TUNNEL.child" or "CONNECTION.TUNNEL.bgp".
    pub session: At<Name>,
    /// Counted from this moment; the beginning if not given.
    pub after: Option<At<Span>>,
    /// At most.
    pub within: At<Span>,
}

/// Strength of what was negotiated.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct SuiteAtLeast {
    /// The tunnel.
    pub tunnel: At<Name>,
    /// Encryption.
    pub encryption: At<Encryption>,
    /// Integrity; GCM satisfies any.
    pub integrity: At<Integrity>,
    /// Diffie-Hellman group.
    pub dh_group: At<Count>,
}

/// A route at a moment.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The device.
    pub node: At<Name>,
    /// Destination.
    pub prefix: At<Prefix>,
    /// Through this tunnel; through anything if not given.
    pub via: Option<At<Name>>,
    /// When.
    pub at: At<Span>,
}

/// Settled routes.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ConvergedWithin {
    /// The fault, as "cut", or its healing, as "cut.heal".
    pub fault: At<Name>,
    /// At most so long after it.
    pub within: At<Span>,
}

/// Share of lost probes.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct LossBetween {
    /// The probe.
    pub probe: At<Name>,
    /// "forward", "reverse" or "round_trip" (if not given).
    pub direction: Option<At<Judged>>,
    /// Smallest share; none if not given.
    pub min: Option<At<Percent>>,
    /// Largest share.
    pub max: At<Percent>,
}

/// Number of rekeys.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RekeysBetween {
    /// The tunnel.
    pub tunnel: At<Name>,
    /// Fewest.
    pub min: At<Count>,
    /// Most.
    pub max: At<Count>,
}

/// A change under which an expectation must fail.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Changes as for `--set`: "faults.cut.enabled=false".
    pub change: Vec<At<Text>>,
    /// The name of the expectation that must fail.
    pub fails: At<Name>,
}

/// Behaviour of AWS that no document states. Each value enters the report's assumptions.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Assume {
    /// From a route change at a gateway to its use there; none if not given.
    pub vgw_programming_delay: Option<At<Span>>,
    /// From a route change at a gateway to its use in VPC route tables; none if not given.
    pub vpc_propagation_delay: Option<At<Span>>,
    /// MED that AWS sends through the tunnel it prefers; 100 if not given.
    pub preferred_med: Option<At<Count>>,
    /// MED that AWS sends through the other tunnel; 200 if not given.
    pub other_med: Option<At<Count>>,
    /// How TCP at AWS's end behaves: "linux" (if not given) or "rfc".
    pub aws_tcp: Option<At<TcpProfile>>,
}

/// The language as JSON Schema (2020-12), made from these very types.
///
/// RON follows it like this: an object with fixed properties is `(property: ...)`, without quotes around the property; an
/// object with one property whose name is capitalised is a kind, `Kind(...)`; an object with any properties is
/// `{ "name": ... }`; a pair is `(a, b)`; the rest is as in JSON.
pub fn json_schema() -> Schema {
    schemars::schema_for!(Scenario)
}
