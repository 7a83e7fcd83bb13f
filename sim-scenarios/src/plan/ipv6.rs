//! IPv6: who has which addresses, beside those of IPv4 that everybody has.

use core::net::Ipv6Addr;
use std::collections::BTreeMap;

use ipnet::Ipv6Net;
use sim_core::id::NodeId;

/// A version of IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The IPv6 of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Ipv6 {
    /// Addresses of hosts and instances.
    pub hosts: BTreeMap<NodeId, Ipv6Addr>,
    /// Addresses of interfaces of customer gateways (index into [`super::CustomerGateway::interfaces`]), with the lengths of their
    /// subnets' prefixes.
    pub interfaces: BTreeMap<(NodeId, usize), Ipv6Net>,
    /// Addresses of routers of the underlay.
    pub routers: BTreeMap<NodeId, Ipv6Addr>,
    /// What customer gateways originate into BGP.
    pub advertised: BTreeMap<NodeId, Vec<Ipv6Net>>,
    /// VPCs that have it.
    pub vpcs: BTreeMap<NodeId, VpcIpv6>,
    /// The receivers of probes (index into [`super::Plan::probes`]) that go by IPv6.
    pub probes: BTreeMap<usize, Ipv6Addr>,
}

/// The IPv6 of a VPC.
#[derive(Clone, Debug)]
pub struct VpcIpv6 {
    /// Its block.
    pub block: Ipv6Net,
    /// The blocks of its subnets that have one.
    pub subnets: Vec<Option<Ipv6Net>>,
    /// Static routes of each of its route tables: destination and transit gateway, `None` for a blackhole.
    pub routes: Vec<Vec<(Ipv6Net, Option<NodeId>)>>,
}

/// The inside of a tunnel whose connection is for IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsideIpv6 {
    /// The inside /126.
    pub cidr: Ipv6Net,
    /// AWS's inside address: the first host.
    pub aws: Ipv6Addr,
    /// The customer gateway's inside address: the second host.
    pub customer: Ipv6Addr,
    /// Traffic selectors: AWS's side and the customer's.
    pub selectors: [Ipv6Net; 2],
}
