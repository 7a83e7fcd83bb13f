//! The story: what is sent, what happens, what must hold.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::reason::{DropReason, Rule};

use crate::leaf::{
    Address, AnyPrefix, Count, Encryption, Flag, Integrity, Name, Percent, Prefix, PskSource, Size, Span, Text, When,
};
use crate::place::At;
use crate::plan::{Detector, Directions, DpdTimeoutAction, IpVersion, Judged, Side, StartupAction};

use super::{
    AlarmTimes, AlarmWithin, ApplicationOutageBetween, Conditions, EcmpBetween, FlowRecordsBetween, FlowsBetween,
    InterfaceAttributes, MetricBetween, RemovedVlan, StoppedVrrp,
};

/// Traffic that measures.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Probe {
    /// UDP datagrams that the receiver sends back.
    UdpEcho(Stream),
    /// ICMP Echo: ping.
    IcmpEcho(Stream),
    /// UDP datagrams that are counted at the receiver.
    UdpOneWay(Stream),
    /// TCP connections over which `size` octets go to the receiver and come back.
    TcpEcho(Stream),
}

/// A stream of probes.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The sender: a host or instance.
    pub from: At<Name>,
    /// The receiver: a host or instance, a NAT instance or interface endpoint, or an Elastic IP address as "NODE.elastic_ip".
    pub to: At<Name>,
    /// "ipv4" (if not given), or "ipv6" between their IPv6 addresses.
    pub ip_version: Option<At<IpVersion>>,
    /// Interval: the resolution of every outage that it measures.
    pub every: At<Span>,
    /// Length of the IP packet, or of the data that goes by TCP; 100 octets if not given.
    pub size: Option<At<Size>>,
    /// Whether it may not be cut on the way (DF), as TCP segments may not; false if not given.
    pub dont_fragment: Option<At<Flag>>,
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
    Impair(Box<Impair>),
    /// A device or tunnel endpoint loses power and forgets all but its configuration.
    PowerLoss(OneNode),
    /// A NAT forgets all its mappings.
    NatFlush(OneNat),
    /// A NAT gets another outside address, as a subscriber's line does whose provider hands out addresses for a while only.
    NatRenumber(Renumbered),
    /// An interface of a customer gateway gets another address, and the old one back when healed.
    AddressChange(Readdressed),
    /// One end deletes a tunnel's IKE_SA, and does not come back until healed.
    IkeDelete(OneEnd),
    /// One end shuts a tunnel's BGP session down until healed.
    BgpShutdown(OneEnd),
    /// AWS holds the session of a virtual interface down, as its customer asked it to: for 180 minutes if nothing is said of healing, and
    /// 4320 at most.
    StartBgpFailoverTest(OneInterface),
    /// AWS replaces the endpoint of a tunnel. It first moves traffic to the other tunnel.
    ReplaceTunnelEndpoint(Replacement),
    /// The customer changes options of a tunnel at AWS's end. That tunnel is down meanwhile.
    ModifyTunnelOptions(Box<Modification>),
    /// The customer changes options of a connection at AWS's end. Both its tunnels are down meanwhile.
    ModifyVpnConnectionOptions(ConnectionModification),
    /// Both ends of a tunnel get another pre-shared key, one after the other.
    PskRotation(Rotation),
    /// A link or path goes down and up, again and again.
    Flap(Flap),
    /// All members of a group fail at once.
    GroupFailure(OneGroup),
    /// An operator stops the virtual routers of an interface until healed.
    VrrpShutdown(StoppedVrrp),
    /// An operator takes a VLAN out of a switch until healed.
    VlanRemoved(RemovedVlan),
    /// A rule of a security group is revoked, and authorized again when healed.
    RevokeSecurityGroupRule(RevokedRule),
    /// A static route is entered in a route table of a VPC, and deleted again when healed.
    CreateRoute(ChangedRoute),
    /// A static route of a route table of a VPC leads elsewhere, and where it led before when healed.
    ReplaceRoute(ChangedRoute),
    /// A static route is deleted from a route table of a VPC, and entered again when healed.
    DeleteRoute(DeletedRoute),
    /// A static route is entered in a route table of a transit gateway, and deleted again when healed.
    CreateTransitGatewayRoute(ChangedRoute),
    /// A static route of a route table of a transit gateway leads elsewhere, and where it led before when healed.
    ReplaceTransitGatewayRoute(ChangedRoute),
    /// A static route is deleted from a route table of a transit gateway, and entered again when healed.
    DeleteTransitGatewayRoute(DeletedRoute),
    /// A connection with static routing to a virtual private gateway gets one more route, and loses it again when healed.
    CreateVpnConnectionRoute(ConnectionRoute),
    /// A connection with static routing to a virtual private gateway loses a route, and gets it again when healed.
    DeleteVpnConnectionRoute(ConnectionRoute),
    /// A virtual interface gets another MTU, which may disrupt its connection, or gets or loses SiteLink, for which AWS resets its
    /// session. For good: another fault changes it back.
    UpdateVirtualInterfaceAttributes(InterfaceAttributes),
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

/// A NAT.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneNat {
    /// The NAT.
    pub node: At<Name>,
}

/// A NAT and its address.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Renumbered {
    /// The NAT.
    pub node: At<Name>,
    /// Its address from then on.
    pub to: At<Address>,
}

/// An interface and its address.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Readdressed {
    /// The customer gateway and its interface, like "cgw.wan".
    pub interface: At<Name>,
    /// Its address from then on and the subnet, like "203.0.113.10/24".
    pub to: At<Prefix>,
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

/// A virtual interface.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OneInterface {
    /// The virtual interface, like "dx.private".
    pub virtual_interface: At<Name>,
}

/// Maintenance of an endpoint, as AWS begins it. `heal` or `heal_after` say when the new endpoint is in its place;
/// `assume.replacement_duration` if neither is given. The outside address stays.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// The tunnel, like "vpn.a".
    pub tunnel: At<Name>,
    /// How long before the endpoint goes AWS moves traffic; `assume.replacement_lead` if not given.
    pub lead: Option<At<Span>>,
    /// With tunnel endpoint lifecycle control: `at` is when maintenance is announced, this the moment at which AWS applies it
    /// (MaintenanceAutoAppliedAfter).
    pub auto_applied_after: Option<At<Span>>,
    /// With tunnel endpoint lifecycle control: the moment, not later than that, at which the customer applies it (ReplaceVpnTunnel).
    pub applied: Option<At<Span>>,
}

/// Tunnel options that change. `heal` or `heal_after` say when the tunnel can be used again; `assume.replacement_duration` if neither
/// is given.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Modification {
    /// The tunnel, like "vpn.a".
    pub tunnel: At<Name>,
    /// Another pre-shared key at AWS's end.
    pub pre_shared_key: Option<At<PskSource>>,
    /// Another DPD timeout.
    pub dpd_timeout: Option<At<Span>>,
    /// Another DPD timeout action.
    pub dpd_timeout_action: Option<At<DpdTimeoutAction>>,
    /// Another startup action.
    pub startup_action: Option<At<StartupAction>>,
    /// Tunnel endpoint lifecycle control, turned on or off.
    pub tunnel_endpoint_lifecycle_control: Option<At<Flag>>,
    /// Whether the endpoint stays as it is; false if not given, as AWS, which then replaces it. It goes with lifecycle control alone.
    pub skip_tunnel_replacement: Option<At<Flag>>,
}

/// Options of a connection that change: its traffic selectors at AWS's end, of which the customer gateway's must be in agreement. `heal` or
/// `heal_after` say when the tunnels can be used again; `assume.replacement_duration` if neither is given.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ConnectionModification {
    /// The connection.
    pub connection: At<Name>,
    /// Another network of the customer's side.
    pub local_ipv4_network_cidr: Option<At<Prefix>>,
    /// Another network of AWS's side.
    pub remote_ipv4_network_cidr: Option<At<Prefix>>,
}

/// A new pre-shared key. The end that is first gets it at the fault's moment. AWS's end is gone while it is provided with it, until
/// `heal`, `heal_after` or `assume.replacement_duration`; the customer gateway keeps what is up, and uses it from then on.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The tunnel, like "vpn.a".
    pub tunnel: At<Name>,
    /// The new key.
    pub pre_shared_key: At<PskSource>,
    /// Which end gets it first: "aws" (if not given) or "customer".
    pub first: Option<At<Side>>,
    /// How long after it the other end gets it; "0s" if not given.
    pub gap: Option<At<Span>>,
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

/// A rule of a security group.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RevokedRule {
    /// The security group, like "vpc.web".
    pub group: At<Name>,
    /// Its rule.
    pub rule: At<Name>,
    /// Whether it is an outbound rule; false if not given.
    pub outbound: Option<At<Flag>>,
}

/// A static route of a VPC or transit gateway and its target.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ChangedRoute {
    /// The route table, like "vpc.main" or "tgw.default".
    pub table: At<Name>,
    /// Destination.
    pub destination: At<Prefix>,
    /// Where it leads from then on: what a route of the table can lead to, or "blackhole".
    pub target: At<Name>,
}

/// A static route of a VPC or transit gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DeletedRoute {
    /// The route table, like "vpc.main" or "tgw.default".
    pub table: At<Name>,
    /// Destination.
    pub destination: At<Prefix>,
}

/// A static route of a VPN connection.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ConnectionRoute {
    /// The connection.
    pub connection: At<Name>,
    /// Destination.
    pub destination: At<Prefix>,
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
    /// The longest outage that a fault or its healing causes lasts so long; none counts as "0s".
    OutageBetween(OutageBetween),
    /// No outage begins in a stretch of time.
    NoOutage(NoOutage),
    /// What first noticed a fault.
    DetectedBy(DetectedBy),
    /// How many packets were dropped for a reason.
    DropsBetween(DropsBetween),
    /// Number of packets that came to an internet gateway, from either side.
    InternetGatewaySees(InternetGatewaySees),
    /// A session comes up in time.
    EstablishedWithin(EstablishedWithin),
    /// How often a session comes up.
    EstablishedTimes(EstablishedTimes),
    /// What was negotiated is strong enough.
    SuiteAtLeast(SuiteAtLeast),
    /// A device's table has a route.
    RoutePresent(Route),
    /// A device's table does not have a route.
    RouteAbsent(Route),
    /// The step of AWS's order that decided about a route.
    RouteDecidedBy(RouteDecidedBy),
    /// Routes have settled in time.
    ConvergedWithin(ConvergedWithin),
    /// Share of a probe's packets that are lost.
    LossBetween(LossBetween),
    /// How often a tunnel's CHILD_SA was replaced.
    RekeysBetween(RekeysBetween),
    /// How many lines of AWS's log of a tunnel begin like this.
    LogLinesBetween(LogLinesBetween),
    /// An alarm gets to a state in time.
    AlarmWithin(AlarmWithin),
    /// How often an alarm gets to a state.
    AlarmTimes(AlarmTimes),
    /// A datapoint of a metric lies in a range.
    MetricBetween(MetricBetween),
    /// How many records of a flow log say something.
    FlowRecordsBetween(FlowRecordsBetween),
    /// A share of the flows or packets that a device with a firewall, or with equal routes, has seen is within bounds.
    EcmpBetween(EcmpBetween),
    /// So many flows of an application came to something.
    FlowsBetween(FlowsBetween),
    /// The longest wait of an application's flows that came through lasts this long.
    ApplicationOutageBetween(ApplicationOutageBetween),
}

/// Length of an outage.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct OutageBetween {
    /// The probe.
    pub probe: At<Name>,
    /// "forward" (all that a one-way probe has), "reverse" or "round_trip" (if not given).
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
    /// "forward" (all that a one-way probe has), "reverse" or "round_trip" (if not given).
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

/// Packets at an internet gateway, those that it dropped among them.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct InternetGatewaySees {
    /// The internet gateway.
    pub node: At<Name>,
    /// Fewest packets; 0 if not given.
    pub min: Option<At<Count>>,
    /// Most packets.
    pub max: At<Count>,
}

/// A session comes up.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct EstablishedWithin {
    /// "CONNECTION.TUNNEL.ike", "CONNECTION.TUNNEL.child" or "CONNECTION.TUNNEL.bgp"; with a neighbour "NODE.NEIGHBOR.bgp" or
    /// "NODE.NEIGHBOR.bfd".
    pub session: At<Name>,
    /// Counted from this moment; the beginning if not given.
    pub after: Option<At<Span>>,
    /// At most.
    pub within: At<Span>,
}

/// How often a session comes up: of its two ends, the one at which it did so more often counts.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct EstablishedTimes {
    /// As of `EstablishedWithin`.
    pub session: At<Name>,
    /// Fewest.
    pub min: At<Count>,
    /// Most; 0: never.
    pub max: At<Count>,
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
    pub prefix: At<AnyPrefix>,
    /// Through this tunnel or interface of the device, be it beside others; through anything if not given.
    pub via: Option<At<Name>>,
    /// In this route table, of a transit gateway or VPC with several.
    pub route_table: Option<At<Name>>,
    /// When.
    pub at: At<Span>,
}

/// Why a route is used.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RouteDecidedBy {
    /// A virtual private gateway, transit gateway or VPC.
    pub node: At<Name>,
    /// Destination.
    pub prefix: At<AnyPrefix>,
    /// The step by its code: "as_path_length", "med", "vpn_static", "equal_cost", "aws_choice" ...
    pub rule: At<Rule>,
    /// In this route table, of a transit gateway or VPC with several.
    pub route_table: Option<At<Name>>,
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
    /// "forward" (all that a one-way probe has), "reverse" or "round_trip" (if not given).
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
    /// 1 for the IKE_SA, 2 for the CHILD_SA; 2 if not given.
    pub phase: Option<At<Count>>,
    /// Fewest.
    pub min: At<Count>,
    /// Most.
    pub max: At<Count>,
}

/// Number of lines in AWS's logs of a tunnel, that of IKE and that of BGP.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct LogLinesBetween {
    /// The tunnel.
    pub tunnel: At<Name>,
    /// How the lines' `details` begin.
    pub details: At<Text>,
    /// From when on; the start if not given.
    pub from: Option<At<Span>>,
    /// Until when; the end if not given.
    pub until: Option<At<Span>>,
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
