//! DNS: name servers on hosts, the resolvers of VPCs and their endpoints.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::node::Node;
use sim_core::node::host::{self, Host, RESOLV_CONF, ResolverConfig};
use sim_core::node::joint::Joint;
use sim_core::proto::dns::{Forward, ServerConfig, Upstream, WAITING_MAX};
use sim_core::reason::DropReason;
use sim_core::rng::{Purpose, Rng};
use sim_core::wire::dns::{DnsName, ResponseCode};

use super::vpc::{endpoints, service_port};
use super::{AWS_MTU, Builder};
use crate::make::dns::LINK_LOCAL_RESOLVER;
use crate::plan::{self, ApplianceKind, NodeKind, Resolver};

/// How many queries wait at once for others at a Route 53 Resolver: as many as one address of an endpoint takes in a second (Route 53
/// developer guide, page DNSLimitations.html). How many may wait AWS does not say.
const RESOLVER_WAITING_MAX: usize = 10_000;

impl Builder<'_> {
    fn dns_stream(&self, id: NodeId, of: &str) -> Rng {
        Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::Dns).sibling(of)
    }

    /// The names that applications of a host look up, in their order.
    pub(super) fn names_of(&self, id: NodeId) -> Vec<DnsName> {
        let own = self.plan.applications.iter().filter(|it| it.from == id);
        let mut names: Vec<DnsName> = Vec::new();
        for name in own.filter_map(|it| it.lookup.as_ref()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The same host with its name server, and with whom it asks for names.
    pub(super) fn with_dns(&self, id: NodeId, address: Ipv4Addr, mut made: Host) -> Host {
        if let Some(server) = self.plan.dns.servers.get(&id) {
            let upstreams = |forward: &plan::Forward| {
                let to = forward.targets.iter().map(|to| Upstream { by: host::PORT, from: address, to: *to });
                to.collect()
            };
            let (addresses, room) = (vec![address], WAITING_MAX);
            let config = server_config(server, addresses, (ResponseCode::Refused, room), upstreams);
            made = made.with_name_server(config, self.dns_stream(id, "server"));
        }
        let names = self.names_of(id);
        match self.plan.dns.resolvers.get(&id) {
            Some(servers) if !names.is_empty() => {
                let config = ResolverConfig { servers: servers.clone(), asks: RESOLV_CONF, names };
                made.with_resolver(config, self.dns_stream(id, "resolver"))
            }
            _ => made,
        }
    }

    /// The resolver of VPCs, with a port towards each of them and towards each of its endpoints.
    pub(super) fn resolver(&self, id: NodeId, resolver: &Resolver) -> Node {
        let address = resolver.vpcs[0].1;
        let mut made = Host::new(address, AWS_MTU, Vec::new());
        for number in 1..resolver.vpcs.len() {
            made = made.with_door(Port(number as u16), &[]);
        }
        let all = endpoints(self.plan, id);
        let mut addresses: Vec<_> = resolver.vpcs.iter().map(|(_, address)| *address).collect();
        addresses.push(LINK_LOCAL_RESOLVER);
        for (number, (endpoint, _, network)) in all.iter().enumerate() {
            made = made.with_door(service_port(self.plan, id, number), &[]);
            let inbound = |kind: &NodeKind| match kind {
                NodeKind::Appliance(it) => matches!(it.kind, ApplianceKind::ResolverEndpoint { outbound: false, .. }),
                _ => false,
            };
            if inbound(&self.plan.nodes[endpoint.index()].kind) {
                addresses.push(network.addr());
            }
        }
        let upstreams = |forward: &plan::Forward| {
            let by = all.iter().enumerate().filter(|(_, (endpoint, ..))| forward.endpoints.contains(endpoint));
            let by: Vec<_> =
                by.map(|(number, (.., network))| (service_port(self.plan, id, number), *network)).collect();
            // Each target by one address of the endpoint before any by the next.
            let every = by.iter().flat_map(|(by, network)| {
                forward.targets.iter().map(|to| Upstream { by: *by, from: network.addr(), to: *to })
            });
            every.collect()
        };
        if let Some(server) = self.plan.dns.servers.get(&id) {
            // What no zone and no rule is about it would ask the public DNS, which has no such name.
            let config = server_config(server, addresses, (ResponseCode::NameError, RESOLVER_WAITING_MAX), upstreams);
            made = made.with_name_server(config, self.dns_stream(id, "server"));
        }
        Node::Host(Box::new(made))
    }
}

/// An endpoint's network interface: between everybody and the resolver, for its own address.
pub(super) fn endpoint(address: Ipv4Addr) -> Node {
    let sides = [vec![Ipv4Net::default()], vec![address.into()]];
    Node::Joint(Box::new(Joint::new(sides, DropReason::NotForMe, AWS_MTU)))
}

fn server_config(
    server: &plan::NameServer,
    addresses: Vec<Ipv4Addr>,
    (otherwise, waiting_max): (ResponseCode, usize),
    upstreams: impl Fn(&plan::Forward) -> Vec<Upstream>,
) -> ServerConfig {
    let forward = |it: &plan::Forward| Forward { domain: it.domain.clone(), to: upstreams(it) };
    ServerConfig {
        addresses,
        zones: server.zones.clone(),
        forwards: server.forwards.iter().map(forward).collect(),
        asks: server.asks,
        otherwise,
        waiting_max,
    }
}

/// Where a resolver's VPC is behind it.
pub(super) fn port_of(resolver: &Resolver, vpc: NodeId) -> Option<Port> {
    resolver.vpcs.iter().position(|(other, _)| *other == vpc).map(|number| Port(number as u16))
}

/// How many ports a service has before those towards its endpoints.
pub(super) fn ports_before_endpoints(kind: &NodeKind) -> u16 {
    match kind {
        NodeKind::Resolver(resolver) => resolver.vpcs.len() as u16,
        _ => host::PORT.0 + 1,
    }
}
