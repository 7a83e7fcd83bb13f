//! What is attached to transit gateways beside VPCs, VPN connections and Direct Connect, and what stands in an inspection VPC.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Asn, Count, Flag, Name, Prefix, Span};
use crate::place::{At, Named};

use super::BgpTimers;

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

/// A Connect attachment: up to four GRE tunnels with BGP inside, over another attachment of the same transit gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// The transit gateway.
    pub gateway: At<Name>,
    /// The attachment that transports the tunnels: a Direct Connect gateway or VPC that is attached to the gateway.
    pub transport: At<Name>,
    /// Its Connect peers, which are nodes called "CONNECT.PEER".
    pub peers: Named<ConnectPeer>,
}

/// A Connect peer: a GRE tunnel with two BGP sessions, which are called "CONNECT.PEER.PEER1.bgp" and "CONNECT.PEER.PEER2.bgp". The appliance at the other end has an interface with `gre`, and two neighbors.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ConnectPeer {
    /// AWS's outer address, out of the transit gateway's `cidr_blocks`.
    pub transit_gateway_address: At<Address>,
    /// The appliance's outer address.
    pub peer_address: At<Address>,
    /// A /29 of 169.254.0.0/16: the appliance has its first host, AWS its second and third.
    pub inside_cidr: At<Prefix>,
    /// The appliance's autonomous system; the transit gateway's own if not given, as AWS: the sessions are internal then.
    pub asn: Option<At<Asn>>,
    /// AWS's timers: hold time 30s and keepalive 10s if not given, as AWS.
    #[serde(default)]
    pub timers: BgpTimers,
}

/// A GRE tunnel (RFC 2784) that an interface is.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Gre {
    /// This end's outer address: that of another interface of the device.
    pub source: At<Address>,
    /// The other end's.
    pub destination: At<Address>,
    /// Key (RFC 2890), which both ends must have; none if not given. AWS has none.
    pub key: Option<At<Count>>,
}
