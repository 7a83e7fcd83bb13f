//! What is attached to transit gateways beside VPCs, VPN connections and Direct Connect.

use sim_core::id::NodeId;
use sim_core::time::Duration;

/// A peering attachment of two transit gateways.
#[derive(Clone, Debug)]
pub struct TransitGatewayPeering {
    /// The gateways.
    pub gateways: [NodeId; 2],
    /// One-way delay between them.
    pub delay: Duration,
}
