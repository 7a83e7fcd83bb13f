//! The plan: a scenario after every check, as plain resolved data that a world can be built from.
//!
//! Names have become ids, texts have become numbers, defaults are filled in. Ids are indices into the vectors of [`Plan`],
//! in the order in which the scenario writes things: `NodeId(3)` is `plan.nodes[3]`, and likewise [`LinkId`] for links,
//! [`FaultId`] for faults and [`StreamId`] for probes. AWS's ends of virtual interfaces, called `CONNECTION.INTERFACE`, and the tunnel
//! endpoints, called `CONNECTION.TUNNEL`, are nodes like any other and follow the nodes that the scenario names.
//!
//! Nothing here can be wrong any more: whoever reads a plan may index without asking.

mod client_vpn;
mod dns;
mod drawing;
mod dx;
mod firewall;
mod flow_log;
mod ipv6;
mod lan;
mod nat;
mod router;
mod story;
mod telemetry;
mod tgw;
mod vpc;
mod vpn;

use sim_core::id::{FaultId, LinkId, NodeId, StreamId};
use sim_core::net::multipath::FlowFields;
use sim_core::net::policer::Counted;
use sim_core::proto::ike::config::{RekeyLaw, SecondChild};
use sim_core::time::Duration;

pub use client_vpn::*;
pub use dns::*;
pub use drawing::*;
pub use dx::*;
pub use firewall::*;
pub use flow_log::*;
pub use ipv6::*;
pub use lan::*;
pub use nat::*;
pub use router::*;
pub use story::*;
pub use telemetry::*;
pub use tgw::*;
pub use vpc::*;
pub use vpn::*;

/// A validated scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The question it answers, for people.
    pub question: String,
    /// How long the world runs.
    pub duration: Duration,
    /// When it begins, counted from 1970-01-01 00:00:00 UTC.
    pub begins: Duration,
    /// The seed of every random stream.
    pub seed: u64,
    /// Devices, then AWS's ends of all virtual interfaces, then those of Connect peers, then the tunnel endpoints of all connections.
    pub nodes: Vec<Node>,
    /// Links and internet paths.
    pub links: Vec<Link>,
    /// IPv6, beside all that.
    pub ipv6: Ipv6,
    /// DNS, beside all that.
    pub dns: Dns,
    /// VPN connections.
    pub connections: Vec<Connection>,
    /// Connections of Direct Connect.
    pub direct_connects: Vec<DirectConnect>,
    /// Client VPN endpoints.
    pub client_vpns: Vec<ClientVpn>,
    /// Connect attachments of transit gateways.
    pub connects: Vec<Connect>,
    /// Streams of probes.
    pub probes: Vec<Probe>,
    /// Applications.
    pub applications: Vec<Application>,
    /// The timeline, in the scenario's order (not sorted by time).
    pub faults: Vec<Fault>,
    /// Whether each component of the drawing is broken in turn, in place of a timeline.
    pub breaks: Option<Depth>,
    /// Things that share a fate.
    pub groups: Vec<Group>,
    /// Alarms on metrics.
    pub alarms: Vec<Alarm>,
    /// Flow logs.
    pub flow_logs: Vec<FlowLog>,
    /// What must hold.
    pub expectations: Vec<Expectation>,
    /// Changes under which a named expectation must fail.
    pub controls: Vec<Control>,
    /// Behaviour of AWS that no document states, as numbers the world uses.
    pub assume: Assume,
    /// The same numbers, and every other unverified one, with their sources, for the report.
    pub assumptions: Vec<Assumption>,
    /// What is allowed and is not as AWS has it, for people.
    pub warnings: Vec<Warning>,
    /// What device profiles set, where the scenario said nothing.
    pub profiles: Vec<ProfileUse>,
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

    /// The tunnels of a customer gateway, connection by connection.
    pub fn tunnels_of(&self, customer_gateway: NodeId) -> Vec<TunnelId> {
        let all = self.connections.iter().enumerate().filter(|(_, c)| c.customer_gateway == customer_gateway);
        all.flat_map(|(connection, c)| (0..c.tunnels.len()).map(move |tunnel| TunnelId { connection, tunnel }))
            .collect()
    }

    /// A tunnel by its id.
    pub fn tunnel(&self, id: TunnelId) -> &Tunnel {
        &self.connections[id.connection].tunnels[id.tunnel]
    }

    /// What a scenario calls an attachment.
    pub fn attachment_name(&self, attachment: Attachment) -> &str {
        match attachment {
            Attachment::Vpc(node) | Attachment::DirectConnectGateway(node) | Attachment::Peering(node) => {
                &self.nodes[node.index()].name
            }
            Attachment::Connection(connection) => &self.connections[connection].name,
            Attachment::Connect(connect) => &self.connects[connect].name,
            Attachment::Concentrator(gateway, place) => match &self.nodes[gateway.index()].kind {
                NodeKind::TransitGateway(gateway) => &gateway.concentrators[place].name,
                _ => "",
            },
        }
    }
}

fn position<'a>(mut names: impl Iterator<Item = &'a String>, name: &str) -> Option<usize> {
    names.position(|n| n == name)
}

/// A tunnel: which connection, and which of its (at most two) tunnels. Both are indices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TunnelId {
    /// Index into [`Plan::connections`].
    pub connection: usize,
    /// Index into [`Connection::tunnels`].
    pub tunnel: usize,
}

/// Whether a device sends ICMP errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointIcmp {
    /// It says nothing.
    Silent,
    /// As a router does (RFC 1812 section 4.3.2, RFC 4443 section 2.4).
    Errors,
}

/// One of the two ends of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// AWS's VPN endpoint.
    Aws,
    /// The customer gateway.
    Customer,
}

/// Behaviour of AWS that no document states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assume {
    /// From a route change at a VGW to its use for forwarding.
    pub vgw_programming_delay: Duration,
    /// From a route change at a VGW to its use in the VPC route tables it propagates to.
    pub vpc_propagation_delay: Duration,
    /// From the death of an endpoint's hardware to its gateway holding it unhealthy.
    pub endpoint_health_delay: Duration,
    /// For how long the limits of a tunnel may be exceeded at once.
    pub tunnel_burst: Duration,
    /// MED that AWS sends over the primary tunnel of a connection, and over its other one.
    pub meds: [u32; 2],
    /// How TCP at AWS's end behaves.
    pub aws_tcp: TcpProfile,
    /// How often CloudWatch has a datapoint of `AWS/VPN`.
    pub vpn_metric_period: Duration,
    /// From the MED that tells of a replacement of an endpoint to the endpoint's going.
    pub replacement_lead: Duration,
    /// How long an endpoint is gone while it is replaced, or provided with other options.
    pub replacement_duration: Duration,
    /// When AWS rekeys.
    pub rekey_law: RekeyLaw,
    /// Packets a second through a large tunnel, each way.
    pub large_packet_rate: u64,
    /// Whether rates of tunnels and attachments are for each way.
    pub rates_count: Counted,
    /// By what transit gateways tell flows apart.
    pub flow_hash: FlowFields,
    /// What AWS does about a second pair of SAs in a tunnel.
    pub second_sa_pair: SecondChild,
    /// Whether AWS's ends of tunnels send ICMP errors.
    pub endpoint_icmp: EndpointIcmp,
    /// Over how many equal ways they spread them at most.
    pub ecmp_paths: u8,
}

/// A setting that makes sense, but not at AWS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// Where it stands, as a path for `--set`.
    pub parameter: String,
    /// What is to be said of it.
    pub text: String,
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
    /// Between what it may lie, if it has a range.
    pub range: Option<AssumedRange>,
}

/// The range of an assumption.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssumedRange {
    /// Its ends, or all values of a choice, as `--set` takes them.
    pub ends: Vec<String>,
    /// Why it reaches so far.
    pub source: &'static str,
}

/// What an assumption is about, so that a report can pick those that a critical path used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Assumed {
    /// Time for a route change to take effect inside a gateway.
    VgwProgrammingDelay,
    /// Time for a gateway's route to reach VPC route tables.
    VpcPropagationDelay,
    /// Time for a gateway to notice that an endpoint's hardware is gone.
    EndpointHealthDelay,
    /// How much may come at once through a tunnel.
    TunnelBurst,
    /// MED values that AWS sends.
    Med,
    /// TCP of AWS's endpoints.
    AwsTcp,
    /// Which tunnel AWS prefers.
    PreferredTunnel,
    /// How a transit gateway hashes flows.
    FlowHash,
    /// From where AWS counts the DPD timeout.
    DpdBase,
    /// When AWS repeats an IKE request.
    Retransmission,
    /// When AWS forgets a half-open IKE_SA.
    HalfOpen,
    /// How AWS draws the moment of rekeying.
    RekeyFormula,
    /// How soon AWS tries again to initiate an IKE_SA.
    IkeRetry,
    /// AWS's KEEPALIVE interval.
    Keepalive,
    /// AWS's ConnectRetryTimer.
    ConnectRetry,
    /// AWS's IdleHoldTimer.
    IdleHold,
    /// When AWS warns of a prefix limit, and what follows it.
    PrefixLimit,
    /// How often CloudWatch has a datapoint of `AWS/VPN`.
    VpnMetricPeriod,
    /// How long before a replacement AWS moves traffic away.
    ReplacementLead,
    /// How long a replacement takes.
    ReplacementDuration,
    /// Whether a NAT gateway serves sites behind a transit gateway.
    NatGatewayForSites,
    /// How many packets a second a large tunnel carries.
    LargePacketRate,
    /// Whether AWS's rates are for each way.
    RatesCount,
    /// What becomes of a second pair of SAs in a tunnel.
    SecondSaPair,
    /// How many equal tunnels a transit gateway uses.
    EcmpPaths,
    /// How long Route 53 Resolver waits for whom it asks, and how often it asks.
    ResolverAsks,
    /// Whether AWS's ends of tunnels send ICMP errors.
    EndpointIcmp,
}
