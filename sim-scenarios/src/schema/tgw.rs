//! What is attached to transit gateways beside VPCs, VPN connections and Direct Connect, and what stands in an inspection VPC.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Flag, Name, Prefix, Span};
use crate::place::At;

/// A peering attachment of two transit gateways, of one Region or of two. What goes through it, static routes say, at both ends.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TransitGatewayPeering {
    /// A transit gateway.
    pub requester: At<Name>,
    /// The other.
    pub accepter: At<Name>,
    /// One-way delay: needed between two Regions, none if not given within one. AWS publishes none.
    pub delay: Option<At<Span>>,
}

/// An instance of a VPC that is a stateful firewall: what routes of the VPC lead to its network interface, and what it lets pass, goes on
/// by the route table of its own subnet.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FirewallInstance {
    /// Its subnet, like "inspection.a".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// Whether its network interface refuses what is neither from nor for its own address; true if not given, as in EC2. A firewall that
    /// shall do its work has false.
    pub source_destination_check: Option<At<Flag>>,
    /// Networks from which flows may begin; all if not given.
    #[serde(default)]
    pub inside: Vec<At<Prefix>>,
    /// What gives its timeouts and what becomes of strangers: the profile of a firewall; "generic" if not given.
    pub profile: Option<At<Name>>,
}
