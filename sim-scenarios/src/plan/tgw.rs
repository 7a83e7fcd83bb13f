//! What is attached to transit gateways beside VPCs, VPN connections and Direct Connect.

use core::net::Ipv4Addr;

use sim_core::id::NodeId;
use sim_core::time::Duration;

use super::{Attachment, Forwarding, Interface};

/// A peering attachment of two transit gateways.
#[derive(Clone, Debug)]
pub struct TransitGatewayPeering {
    /// The gateways.
    pub gateways: [NodeId; 2],
    /// One-way delay between them.
    pub delay: Duration,
}

/// A Connect attachment.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Its name, unique among them.
    pub name: String,
    /// The transit gateway.
    pub gateway: NodeId,
    /// The attachment that transports its tunnels.
    pub transport: Attachment,
    /// Its peers, which are nodes called `CONNECT.PEER`.
    pub peers: Vec<NodeId>,
}

/// AWS's end of a Connect peer.
#[derive(Clone, Debug)]
pub struct ConnectPeer {
    /// Its attachment (index into [`super::Plan::connects`]).
    pub connect: usize,
    /// AWS's outer address.
    pub address: Ipv4Addr,
    /// The appliance's.
    pub peer_address: Ipv4Addr,
    /// The Amazon side's autonomous system: the gateway's.
    pub asn: u32,
    /// AWS's two inside addresses, on the one tunnel.
    pub interfaces: Vec<Interface>,
    /// Its two sessions with the appliance.
    pub forwarding: Forwarding,
}

/// A GRE tunnel of a customer's device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gre {
    /// This end's outer address.
    pub source: Ipv4Addr,
    /// The other end's.
    pub destination: Ipv4Addr,
    /// Key, which both ends must have.
    pub key: Option<u32>,
}
