//! Client VPN.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::node::client_vpn::EndpointConfig;
use sim_core::node::client_vpn::transport::Hello;
use sim_core::time::Duration;

/// A Client VPN endpoint.
#[derive(Clone, Debug)]
pub struct ClientVpn {
    /// Its name, unique among endpoints.
    pub name: String,
    /// What its associations have in common.
    pub config: EndpointConfig,
}

/// An association of an endpoint with a subnet.
#[derive(Clone, Debug)]
pub struct ClientVpnAssociation {
    /// The endpoint (index into [`super::Plan::client_vpns`]).
    pub endpoint: usize,
    /// The VPC.
    pub vpc: NodeId,
    /// The subnet (index into [`super::Vpc::subnets`]).
    pub subnet: usize,
    /// The address of its network interface.
    pub address: Ipv4Addr,
    /// The address to which clients send.
    pub outside: Ipv4Addr,
    /// Where its routes lead beside the VPC.
    pub routes: Vec<Ipv4Net>,
}

/// A client.
#[derive(Clone, Debug)]
pub struct VpnClient {
    /// The endpoint (index into [`super::Plan::client_vpns`]).
    pub endpoint: usize,
    /// Who it is.
    pub hello: Hello,
    /// When it connects, after its start.
    pub connect_at: Duration,
    /// How long it waits for an answer.
    pub connect_timeout: Duration,
}

impl VpnClient {
    /// The interface towards the computer.
    pub const INSIDE: usize = 0;
    /// The interface towards the network.
    pub const OUTSIDE: usize = 1;
}
