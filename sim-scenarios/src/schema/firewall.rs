//! Stateful firewalls, applications, and what is expected of them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Count, DnsName, Flag, Name, Percent, Size, Span};
use crate::place::{At, Named};

use super::DnsLookups;

/// A stateful firewall of a customer gateway or router. It judges what passes through the device, not what the device itself sends
/// and receives.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// What gives its defaults: "generic" (if not given), "cisco_asa", "palo_alto", "fortigate", "pfsense" or "netfilter" (that of
    /// Libreswan on Linux).
    pub profile: Option<At<Name>>,
    /// Interfaces and tunnels from which flows may begin.
    pub inside: Vec<At<Name>>,
    /// Interfaces and tunnels that are one zone each; what no zone names is a zone by itself.
    #[serde(default)]
    pub zones: Named<Zone>,
    /// To what the state of a flow is bound: "interface", "zone" or "any" (to nothing).
    pub state_match: Option<At<Name>>,
    /// Whether TCP that belongs to no flow goes on all the same, by the routing table alone.
    pub asymmetric_routing: Option<At<Flag>>,
    /// Whether a TCP segment outside the windows of its connection is dropped.
    pub strict_sequence: Option<At<Flag>>,
    /// Whether a TCP segment from the midst of an unknown connection may begin a flow.
    pub loose_pickup: Option<At<Flag>>,
    /// What TCP that is dropped hears: "drop" (nothing) or "reset".
    pub on_miss: Option<At<Name>>,
    /// Most flows that are remembered.
    pub sessions: Option<At<Count>>,
    /// How long an idle flow is remembered.
    #[serde(default)]
    pub timeouts: FirewallTimeouts,
    /// The other firewall of a pair, which is told of its flows; none if not given.
    pub sync: Option<StateSync>,
}

/// How a gateway shows what is behind it in its tunnels: by one address, which it must announce.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TunnelNat {
    /// The address.
    pub address: At<Address>,
    /// Whether a translation belongs to the tunnel that its flow went out of, and an answer by another tunnel finds none; true if not
    /// given.
    pub per_tunnel: Option<At<Flag>>,
}

/// How a firewall tells another of its flows. The protocols of vendors' pairs are not published: this is a model, as if over a
/// link of their own that never fails. States and windows of TCP are not judged then.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StateSync {
    /// The other one: a customer gateway or router with a firewall, its interfaces and tunnels in the same order.
    pub partner: At<Name>,
    /// How long it takes until the other one knows; 10ms if not given.
    pub delay: Option<At<Span>>,
}

/// A zone of a firewall.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Interfaces and tunnels.
    pub members: Vec<At<Name>>,
}

/// How long a firewall remembers an idle flow.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct FirewallTimeouts {
    /// TCP that is opening.
    pub tcp_opening: Option<At<Span>>,
    /// TCP that is open.
    pub tcp_established: Option<At<Span>>,
    /// TCP of which an end has sent a FIN.
    pub tcp_closing: Option<At<Span>>,
    /// TCP that is closed.
    pub tcp_closed: Option<At<Span>>,
    /// UDP, up to one answer.
    pub udp_single: Option<At<Span>>,
    /// UDP, after that.
    pub udp_stream: Option<At<Span>>,
    /// ICMP queries.
    pub icmp: Option<At<Span>>,
    /// Other protocols.
    pub other: Option<At<Span>>,
}

/// An application: many flows, each with a five-tuple of its own.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Application {
    /// TCP connections: `size` octets are asked, the same come back, and the next question waits for them.
    TcpFlows(Flows),
    /// UDP between two ports: `size` octets every so often, answered or not, as a call.
    UdpFlows(Flows),
    /// Questions of DNS, each of which is a flow by itself.
    DnsLookups(DnsLookups),
}

/// The flows of an application.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Flows {
    /// Who begins: a host or instance.
    pub from: At<Name>,
    /// With whom: a host or instance.
    pub to: At<Name>,
    /// A name that each flow of TCP looks up before it connects, to the address that it finds; none if not given.
    pub by_name: Option<At<DnsName>>,
    /// How many flows.
    pub flows: At<Count>,
    /// How long after one flow the next begins: the inverse of the connect rate; 10ms if not given.
    pub spacing: Option<At<Span>>,
    /// How often each flow asks; until `stop` if not given.
    pub questions: Option<At<Count>>,
    /// From one question of a flow to its next; 1s if not given.
    pub every: Option<At<Span>>,
    /// Octets of a question and of its answer; 100 if not given.
    pub size: Option<At<Size>>,
    /// When the first flow begins; 60s if not given, when tunnels and routes are up.
    pub start: Option<At<Span>>,
    /// No question then or later, and idle flows close; if not given, flows last until the end of the scenario.
    pub stop: Option<At<Span>>,
    /// A flow that has waited for longer when the scenario ends has stalled; 5s if not given.
    pub patience: Option<At<Span>>,
}

/// A share of what a device with a firewall, or with flows spread over equal routes, has seen.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct EcmpBetween {
    /// The device.
    pub node: At<Name>,
    /// Only flows that went out by this tunnel or interface; all if not given.
    pub member: Option<At<Name>>,
    /// Share of what: "failed_flows", "asymmetric_flows" or "dropped" (packets).
    pub share: At<Name>,
    /// Smallest; none if not given.
    pub min: Option<At<Percent>>,
    /// Largest.
    pub max: At<Percent>,
}

/// How many flows of an application came to something.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FlowsBetween {
    /// The application.
    pub application: At<Name>,
    /// To what: "connected", "done", "alive", "stalled", "reset", "timed_out", or "failed" (any of the last three).
    pub came_to: At<Name>,
    /// Fewest; 0 if not given.
    pub min: Option<At<Count>>,
    /// Most; no limit if not given.
    pub max: Option<At<Count>>,
}

/// How long the flow that waited longest of those that came through waited for its next octet.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ApplicationOutageBetween {
    /// The application.
    pub application: At<Name>,
    /// Shortest.
    pub min: At<Span>,
    /// Longest.
    pub max: At<Span>,
}
