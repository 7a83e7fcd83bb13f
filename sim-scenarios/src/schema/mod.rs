//! The scenario language, version 1, as the shapes that a file may have.
//!
//! A file is one RON value. `Capital(...)` is a kind of thing, `(...)` a group of settings, `{ "name": ... }` named things,
//! `"..."` a name or a value with its unit. Everything that is [`Option`]al has a default, AWS's own where AWS has one;
//! unknown fields are refused. The language grows by new kinds and new optional settings, so that a file of this version
//! stays valid.
//!
//! Shapes only: whether a value is sensible and a name exists is judged in [`crate::plan`]'s making, for the whole file at
//! once. What is optional has its default there too, beside the rule that checks it.

mod client_vpn;
mod dns;
mod drawing;
mod dx;
mod faults;
mod firewall;
mod flow_log;
mod lan;
mod nat;
mod policy;
pub mod reference;
mod router;
mod session;
mod story;
mod telemetry;
mod tgw;
mod vpc;
mod vpn;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use sim_core::net::multipath::FlowFields;
use sim_core::net::policer::Counted;
use sim_core::proto::ike::config::{RekeyLaw, SecondChild};

use crate::leaf::{Calendar, Count, Span, Text};
use crate::place::{At, Named};
use crate::plan::{EndpointIcmp, TcpProfile};

pub use client_vpn::*;
pub use dns::*;
pub use drawing::*;
pub use dx::*;
pub use faults::*;
pub use firewall::*;
pub use flow_log::*;
pub use lan::*;
pub use nat::*;
pub use policy::*;
pub use router::*;
pub use session::*;
pub use story::*;
pub use telemetry::*;
pub use tgw::*;
pub use vpc::*;
pub use vpn::*;

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
    /// The date on which it begins, like "2026-11-25T10:00:00Z", for certificates, AWS's tunnel logs and
    /// captures; "1970-01-01T00:00:00Z" if not given.
    pub begins: Option<At<Calendar>>,
    /// The seed of every random choice; 1 if not given.
    pub seed: Option<At<Count>>,
    /// Things of which there are many alike, and how many: `"site": 5000`. A named thing whose name has `{site}`, or an item of a list that
    /// has it, stands there so often, with 0, 1, 2 and so on in its place; `{site: 100.64.0.10 + 256}` counts on from an address or number.
    #[serde(default)]
    pub copies: Named<At<Count>>,
    /// Devices.
    pub nodes: Named<Node>,
    /// Links and internet paths.
    pub links: Named<Link>,
    /// Connections between gateways.
    #[serde(default)]
    pub connections: Named<Connection>,
    /// Connections of Direct Connect with their virtual interfaces.
    #[serde(default)]
    pub direct_connect: Named<DirectConnect>,
    /// Client VPN endpoints.
    #[serde(default)]
    pub client_vpn: Named<ClientVpn>,
    /// Connect attachments of transit gateways.
    #[serde(default)]
    pub connect: Named<Connect>,
    /// Traffic that measures.
    #[serde(default)]
    pub probes: Named<Probe>,
    /// Applications, whose flows measure what theirs would see.
    #[serde(default)]
    pub applications: Named<Application>,
    /// Things that share a fate.
    #[serde(default)]
    pub groups: Named<Group>,
    /// What happens to the world.
    #[serde(default)]
    pub faults: Faults,
    /// Alarms of CloudWatch.
    #[serde(default)]
    pub alarms: Named<Alarm>,
    /// Flow logs of VPCs and transit gateways.
    #[serde(default)]
    pub flow_logs: Named<FlowLog>,
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

/// Behaviour of AWS that no document states. Each value enters the report's assumptions.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Assume {
    /// From a route change at a gateway to its use there; none if not given.
    pub vgw_programming_delay: Option<At<Span>>,
    /// From a route change at a gateway to its use in VPC route tables; none if not given.
    pub vpc_propagation_delay: Option<At<Span>>,
    /// From the death of an endpoint's hardware to its gateway holding it unhealthy; 1 s if not given.
    pub endpoint_health_delay: Option<At<Span>>,
    /// For how long more than AWS's limit may go through a tunnel at once; 10ms if not given.
    pub tunnel_burst: Option<At<Span>>,
    /// MED that AWS sends through the primary tunnel of a connection: the one that its gateway prefers. AWS publishes no value;
    /// 100 if not given.
    pub preferred_med: Option<At<Count>>,
    /// MED that AWS sends through the other tunnel; 200 if not given. Where a transit gateway balances over the tunnels, none is
    /// another's second, and `preferred_med` goes through all.
    pub other_med: Option<At<Count>>,
    /// How TCP at AWS's end behaves: "linux" (if not given) or "rfc".
    pub aws_tcp: Option<At<TcpProfile>>,
    /// How often CloudWatch has a datapoint of `AWS/VPN`, whole minutes; 300s if not given.
    pub vpn_metric_period: Option<At<Span>>,
    /// How long before it replaces an endpoint AWS moves traffic to the other tunnel; 60s if not given.
    pub replacement_lead: Option<At<Span>>,
    /// How long an endpoint is gone while AWS replaces it or changes its options; 180s if not given.
    pub replacement_duration: Option<At<Span>>,
    /// How AWS combines rekey margin and fuzz: "before_margin" (if not given, as strongSwan: the margin and up to its fuzz before the end of the
    /// lifetime) or "within_margin" (up to the fuzz after the margin has begun).
    pub rekey_law: Option<At<RekeyLaw>>,
    /// Packets a second that a large tunnel carries each way; 400000 if not given, from digests of AWS's texts.
    pub large_packet_rate: Option<At<Count>>,
    /// Whether AWS's rates of a tunnel or attachment are for "each_way" (if not given) or for both ways "together".
    pub rates_count: Option<At<Counted>>,
    /// What a transit gateway tells flows apart by where it spreads them over equal tunnels: "five_tuple" (if not given) or "three_tuple".
    pub flow_hash: Option<At<FlowFields>>,
    /// What AWS does where a customer gateway makes a second pair of SAs in a tunnel, of which it keeps one: the new one "displaces" the
    /// other (if not given), is "refused" (of IKEv2 only), or both are "kept", which contradicts AWS's guide.
    pub second_sa_pair: Option<At<SecondChild>>,
    /// Whether AWS's ends of tunnels send ICMP errors, such as Fragmentation Needed for a packet that does not fit the tunnel: they are
    /// "silent" (if not given, as AWS's transit gateways are) or send "errors".
    pub endpoint_icmp: Option<At<EndpointIcmp>>,
    /// Over how many equal tunnels a transit gateway spreads flows at most, from 1 on; all if not given.
    pub ecmp_paths: Option<At<Count>>,
}

/// The language as JSON Schema (2020-12), made from these very types.
///
/// RON follows it like this: an object with fixed properties is `(property: ...)`, without quotes around the property; an
/// object with one property whose name is capitalised is a kind, `Kind(...)`; an object with any properties is
/// `{ "name": ... }`; a pair is `(a, b)`; the rest is as in JSON.
pub fn json_schema() -> Schema {
    schemars::schema_for!(Scenario)
}
