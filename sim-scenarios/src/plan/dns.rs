//! DNS: who is a name server, and who asks whom.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use sim_core::id::NodeId;
use sim_core::proto::dns::{AskerConfig, Zone};
use sim_core::wire::dns::DnsName;

/// The DNS of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Dns {
    /// Name servers: hosts, and the resolvers of VPCs.
    pub servers: BTreeMap<NodeId, NameServer>,
    /// Whom hosts and instances ask.
    pub resolvers: BTreeMap<NodeId, Vec<Ipv4Addr>>,
}

/// A name server.
#[derive(Clone, Debug)]
pub struct NameServer {
    /// Its zones.
    pub zones: Vec<Zone>,
    /// The domains that it asks others about.
    pub forwards: Vec<Forward>,
    /// How it asks.
    pub asks: AskerConfig,
}

/// A domain that a name server asks others about.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The domain.
    pub domain: DnsName,
    /// The outbound endpoints by which a resolver asks; a host has none.
    pub endpoints: Vec<NodeId>,
    /// Whom it asks.
    pub targets: Vec<Ipv4Addr>,
}

/// The Route 53 Resolver of VPCs.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The VPCs, and the resolver's address in each.
    pub vpcs: Vec<(NodeId, Ipv4Addr)>,
}
