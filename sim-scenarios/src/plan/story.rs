//! The story: what is sent, what happens, what must hold.

use core::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use sim_core::crypto::dh::DhGroup;
use sim_core::id::{FaultId, LinkId, NodeId, StreamId};
pub use sim_core::node::host::ProbeKind;
use sim_core::reason::{DropReason, Reason, Rule, TimerKind};
use sim_core::rng::Chance;
use sim_core::time::{Duration, Instant};

use crate::leaf::{Encryption, Integrity};

use super::{AlarmState, Attachment, CameTo, Conditions, EcmpShare, Metered, Metric, Side, Statistic, TunnelId};

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
    /// Its address, as the sender has it.
    pub address: Ipv4Addr,
    /// Interval.
    pub every: Duration,
    /// Length of the IP packet, in octets.
    pub size: u16,
    /// True if it may not be cut on the way.
    pub dont_fragment: bool,
    /// When the first is sent.
    pub start: Instant,
    /// None is sent at or after this moment.
    pub stop: Instant,
    /// An outage is a run of at least so many unanswered probes.
    pub min_lost: u32,
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
        forward: Box<Conditions>,
        /// Conditions from the second end to the first.
        reverse: Box<Conditions>,
    },
    /// A device loses power and forgets everything that is not configuration.
    PowerLoss {
        /// The device.
        node: NodeId,
    },
    /// A NAT forgets all its mappings.
    NatFlush {
        /// The NAT.
        node: NodeId,
    },
    /// A NAT shows inside hosts by another outside address from now on.
    NatRenumber {
        /// The NAT.
        node: NodeId,
        /// The address.
        address: Ipv4Addr,
    },
    /// A customer gateway's interface has another address until healed.
    AddressChange {
        /// The customer gateway.
        node: NodeId,
        /// Index into [`super::CustomerGateway::interfaces`].
        interface: usize,
        /// The address and its subnet.
        to: Ipv4Net,
    },
    /// One end deletes the tunnel's IKE_SA and stays quiet until healed.
    IkeDelete {
        /// The tunnel.
        tunnel: TunnelId,
        /// Who deletes.
        by: Side,
    },
    /// AWS replaces the endpoint of a tunnel: before it goes, the other tunnel of the connection has the lower MED and AWS's traffic;
    /// when the fault heals, a new endpoint is in its place.
    ReplaceTunnelEndpoint {
        /// The tunnel.
        tunnel: TunnelId,
        /// How long before AWS moves the traffic.
        lead: Duration,
        /// True if the customer applied pending maintenance (lifecycle control).
        applied_by_customer: bool,
    },
    /// The customer changes options of a tunnel at AWS's end, which is gone while it is provided with them.
    ModifyTunnelOptions {
        /// The tunnel.
        tunnel: TunnelId,
        /// Index into AWS's [`super::Tunnel::prepared`].
        to: usize,
        /// When the customer gateway gets the settings with this index, if it does.
        customer: Option<(Instant, usize)>,
        /// What becomes of tunnel endpoint lifecycle control, if it is turned on or off.
        lifecycle_control: Option<bool>,
        /// Whether the endpoint stays (SkipTunnelReplacement).
        skip_replacement: bool,
    },
    /// One end shuts its BGP session down (Cease, Administrative Shutdown) until healed.
    BgpShutdown {
        /// The tunnel.
        tunnel: TunnelId,
        /// Who shuts down.
        by: Side,
    },
    /// AWS holds the session of a virtual interface down until healed.
    FailoverTest {
        /// AWS's end of the virtual interface.
        node: NodeId,
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
    /// The virtual routers of an interface are stopped until healed.
    VrrpShutdown {
        /// The device.
        node: NodeId,
        /// The interface (index).
        interface: usize,
    },
    /// A VLAN is taken out of a switch until healed.
    VlanRemoved {
        /// The switch.
        node: NodeId,
        /// The VLAN.
        vlan: u16,
    },
    /// A rule of a security group is revoked until healed.
    RevokeSecurityGroupRule {
        /// The VPC.
        vpc: NodeId,
        /// The group and its rule, for people.
        name: String,
        /// The rule's number in the VPC.
        rule: u16,
    },
    /// The customer changes options of a connection at AWS's end, until healed: its endpoints are gone meanwhile.
    ModifyConnectionOptions {
        /// Index into [`super::Plan::connections`].
        connection: usize,
        /// For each tunnel, index into AWS's [`super::Tunnel::prepared`].
        to: Vec<usize>,
    },
    /// An operator changes a route of a VPC until healed.
    VpcRoute(RouteChange),
    /// An operator changes a static route of a transit gateway until healed.
    TransitRoute(RouteChange<Attachment>),
    /// An operator changes the static routes of a connection to a virtual private gateway until healed.
    ConnectionRoute(ConnectionRoute),
    /// Attributes of a virtual interface change, for good; until the fault heals its connection carries nothing.
    UpdateVirtualInterface(InterfaceUpdate),
    /// All members of a group fail at once: devices lose power, links lose their carrier, paths discard both ways.
    GroupFailure {
        /// Index into [`super::Plan::groups`].
        group: usize,
    },
}

/// Where a route leads: `None` if there is none, and `None` inside for a blackhole.
pub type RouteTarget<To = NodeId> = Option<Option<To>>;

/// What an operator does to a static route of a VPC, or with attachments as targets of a transit gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteChange<To = NodeId> {
    /// The VPC or transit gateway.
    pub node: NodeId,
    /// Index into [`super::Vpc::route_tables`] or [`super::TransitGateway::route_tables`].
    pub table: usize,
    /// The route's destination.
    pub destination: Ipv4Net,
    /// Where it leads before.
    pub from: RouteTarget<To>,
    /// Where it leads from then on.
    pub to: RouteTarget<To>,
}

/// What is done to a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteCall {
    /// It is entered.
    Create,
    /// It leads elsewhere.
    Replace,
    /// It is deleted.
    Delete,
}

impl<To: Copy> RouteChange<To> {
    /// What is done.
    pub const fn call(&self) -> RouteCall {
        match (self.from, self.to) {
            (None, _) => RouteCall::Create,
            (_, Some(_)) => RouteCall::Replace,
            (_, None) => RouteCall::Delete,
        }
    }

    /// What undoes it.
    pub const fn back(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }
}

/// What an operator does to a static route of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionRoute {
    /// Index into [`super::Plan::connections`].
    pub connection: usize,
    /// The route's destination.
    pub destination: Ipv4Net,
    /// True if it is entered, false if it is deleted.
    pub enters: bool,
}

impl ConnectionRoute {
    /// What undoes it.
    pub const fn back(self) -> Self {
        Self { enters: !self.enters, ..self }
    }
}

/// What changes of a virtual interface. What is `None` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceUpdate {
    /// AWS's end of the virtual interface.
    pub node: NodeId,
    /// Its MTU from then on, in octets.
    pub mtu: Option<u16>,
    /// Whether it has SiteLink from then on.
    pub site_link: Option<bool>,
    /// How long all virtual interfaces of the connection carry nothing.
    pub disruption: Duration,
}

/// How many components of a drawing fail at once when each is broken in turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Each alone.
    Single,
    /// Each alone, then each two.
    Pair,
}

impl Depth {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Single, Self::Pair];

    /// `every_single` or `every_pair`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Single => "every_single",
            Self::Pair => "every_pair",
        }
    }
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
    /// The probe's longest outage owned by `fault` (any outage, if `None`) lasts between `min` and `max`; if there is none, it
    /// counts as zero.
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
    /// So many packets came to the internet gateway.
    InternetGatewaySees {
        /// The gateway.
        node: NodeId,
        /// Fewest.
        min: u64,
        /// Most.
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
        dh_group: DhGroup,
    },
    /// At this moment the device's table has (or has not) this route as its best.
    RoutePresent {
        /// The device.
        node: NodeId,
        /// Destination.
        prefix: IpNet,
        /// Through the tunnel or interface of this name; through anything, if `None`.
        via: Option<String>,
        /// In this table of a transit gateway or VPC.
        table: u8,
        /// When.
        at: Instant,
        /// False: it must not be there.
        present: bool,
    },
    /// This step of AWS's order decided about a route, as it stood at this moment.
    RouteDecidedBy {
        /// The device.
        node: NodeId,
        /// Destination.
        prefix: IpNet,
        /// The step.
        rule: Rule,
        /// In this table of a transit gateway or VPC.
        table: u8,
        /// When.
        at: Instant,
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
    /// So many lines of AWS's log of the tunnel begin like this.
    LogLinesBetween {
        /// The tunnel.
        tunnel: TunnelId,
        /// How their `details` begin.
        details: String,
        /// From when on.
        from: Instant,
        /// Until when.
        until: Instant,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
    /// An alarm gets to this state within a time after `after`.
    AlarmWithin {
        /// Index into [`super::Plan::alarms`].
        alarm: usize,
        /// The state.
        state: AlarmState,
        /// Counted from here.
        after: Instant,
        /// At the earliest.
        not_before: Duration,
        /// At the latest.
        within: Duration,
    },
    /// An alarm gets to this state so many times.
    AlarmTimes {
        /// Index into [`super::Plan::alarms`].
        alarm: usize,
        /// The state.
        state: AlarmState,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A statistic of a metric over a period lies in a range.
    MetricBetween {
        /// Which metric.
        metric: Metric,
        /// Of what.
        of: Metered,
        /// How samples become a number.
        statistic: Statistic,
        /// When the period begins, and when it ends.
        period: (Instant, Instant),
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// So many records of a flow log say something.
    FlowRecordsBetween {
        /// Index into [`super::Plan::flow_logs`].
        log: usize,
        /// Places of fields in a record, and their values.
        fields: Vec<(usize, String)>,
        /// Whether the log has an accepted record of the same flow the other way.
        answered: Option<bool>,
        /// Of intervals that begin from here on.
        from: Instant,
        /// Of intervals that begin before.
        until: Instant,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
    /// The session came up so many times.
    EstablishedTimes {
        /// The session.
        session: SessionRef,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
    /// A share of what a device has seen.
    EcmpBetween {
        /// The device.
        node: NodeId,
        /// Only flows that went out by the tunnel or interface of this name.
        member: Option<String>,
        /// Share of what.
        share: EcmpShare,
        /// Smallest.
        min: Chance,
        /// Largest.
        max: Chance,
    },
    /// So many flows of an application (index into [`super::Plan::applications`]) came to something.
    FlowsBetween {
        /// The application.
        application: usize,
        /// To what.
        came_to: CameTo,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
    /// How long the flow waited that waited longest and came through.
    ApplicationOutageBetween {
        /// The application (index).
        application: usize,
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// CHILD_SAs of the tunnel were replaced so many times.
    RekeysBetween {
        /// The tunnel.
        tunnel: TunnelId,
        /// 1 for the IKE_SA, 2 for the CHILD_SA.
        phase: u8,
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

/// A session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionRef {
    /// Of a tunnel.
    Tunnel {
        /// The tunnel.
        tunnel: TunnelId,
        /// Which of its sessions.
        kind: SessionKind,
    },
    /// With a neighbour.
    Neighbor {
        /// The device.
        node: NodeId,
        /// Index into [`super::Forwarding::neighbors`].
        neighbor: usize,
        /// True for BFD, false for BGP.
        bfd: bool,
    },
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
    /// The expectation that must fail (index into [`super::Plan::expectations`]).
    pub fails: usize,
}
