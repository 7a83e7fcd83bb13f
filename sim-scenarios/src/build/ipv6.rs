//! IPv6 of devices: what is added to those that have it.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use sim_core::id::{NodeId, Port, StreamId};
use sim_core::net::fib::{RouteSource, Target, distance};
use sim_core::node::endpoint;
use sim_core::node::host::{Host, ProbeConfig};
use sim_core::node::ip::Ip;
use sim_core::node::router::Router;
use sim_core::node::vpc::Ipv6Config as VpcIpv6;
use sim_core::proto::bgp::open::Capabilities;
use sim_core::proto::bgp::policy::{Change, Policy};
use sim_core::proto::bgp::{Ipv6Config, Originated, PeerConfig};
use sim_core::proto::ike;
use sim_core::wire::ike::TrafficSelector;

use super::Builder;
use super::routers::Ports;
use super::vpc::{attached, transit_ports};
use crate::plan::{BgpEnd, Side, Tunnel, TunnelId};

impl Builder<'_> {
    /// A host with its IPv6 address, if it has one, and with the probes that go by IPv6.
    pub(super) fn with_ipv6(&self, id: NodeId, host: Host) -> Host {
        let Some(address) = self.plan.ipv6.hosts.get(&id) else { return host };
        let own = self.plan.ipv6.probes.iter().filter(|(number, _)| self.plan.probes[**number].from == id);
        let probes = own.filter(|_| !self.is_real(id)).map(|(number, to)| {
            let probe = &self.plan.probes[*number];
            ProbeConfig {
                stream: StreamId(*number as u16),
                kind: probe.kind,
                to: *to,
                every: probe.every,
                size: probe.size,
                dont_fragment: probe.dont_fragment,
                start: probe.start,
                stop: probe.stop,
            }
        });
        host.with_ipv6(*address, probes.collect())
    }

    /// The IPv6 of a customer gateway: of its interfaces, and of the insides of its tunnels.
    pub(super) fn ipv6_of_gateway(&self, id: NodeId, ip: &mut Ip, ports: &Ports<'_>) {
        let interfaces = self.plan.ipv6.interfaces.range((id, 0)..=(id, usize::MAX));
        let mut networks: Vec<(Ipv6Net, Port)> =
            interfaces.map(|((_, number), net)| (*net, Port(*number as u16))).collect();
        let mut own: Vec<Ipv6Addr> = networks.iter().map(|(net, _)| net.addr()).collect();
        for (number, tunnel) in ports.tunnels.iter().enumerate() {
            if let Some(inside) = &self.plan.tunnel(*tunnel).inside_ipv6 {
                own.push(inside.customer);
                networks.push((inside.cidr, ports.tunnel(number)));
            }
        }
        if !own.is_empty() {
            ip.add_ipv6(own);
            networks.into_iter().for_each(|(net, port)| ip.connect_ipv6(net, port));
            for (prefix, port) in self.ipv6_ways_of(id) {
                ip.add_ipv6_route(prefix, RouteSource::Underlay, distance::UNDERLAY, Target::port(port));
            }
        }
    }

    /// That of a router of the underlay, if there is anything for it to carry.
    pub(super) fn ipv6_of_router(&self, id: NodeId, router: &mut Router) {
        let address = self.plan.ipv6.routers.get(&id).copied();
        let ways: Vec<(Ipv6Net, Port)> = self.ipv6_ways_of(id).collect();
        if address.is_some() || !ways.is_empty() {
            router.add_ipv6(address);
            ways.into_iter().for_each(|(prefix, port)| router.add_ipv6_route(prefix, port));
        }
    }

    fn ipv6_ways_of(&self, id: NodeId) -> impl Iterator<Item = (Ipv6Net, Port)> {
        self.all_ways_of(id).filter_map(|(prefix, port)| match prefix {
            IpNet::V6(prefix) => Some((prefix, port)),
            IpNet::V4(_) => None,
        })
    }

    /// What a customer gateway originates of IPv6.
    pub(super) fn ipv6_networks(&self, node: NodeId) -> Vec<(Ipv6Net, Originated)> {
        let all = self.plan.ipv6.advertised.get(&node).into_iter().flatten();
        all.map(|prefix| (*prefix, Originated::default())).collect()
    }

    /// The IPv6 of a VPC, if it has any.
    pub(super) fn ipv6_of_vpc(&self, id: NodeId) -> Option<VpcIpv6> {
        let vpc = self.plan.ipv6.vpcs.get(&id)?;
        let interfaces = attached(self.plan, id);
        let interfaces = interfaces.iter().filter_map(|it| Some((it.port, *self.plan.ipv6.hosts.get(&it.node)?)));
        let port = |to: NodeId| transit_ports(self.plan, id).find(|(of, ..)| *of == to).map(|(.., port)| port);
        let table = |routes: &Vec<(Ipv6Net, Option<NodeId>)>| {
            routes.iter().map(|(prefix, to)| (*prefix, to.and_then(port))).collect()
        };
        Some(VpcIpv6 {
            block: vpc.block,
            interfaces: interfaces.collect(),
            routes: vpc.routes.iter().map(table).collect(),
        })
    }

    /// The addresses between which the session of a tunnel runs at one end, if its connection is for IPv6.
    pub(super) fn over_ipv6(&self, id: TunnelId, side: Side) -> Option<[Ipv6Addr; 2]> {
        let inside = self.plan.tunnel(id).inside_ipv6.as_ref()?;
        Some(match side {
            Side::Aws => [inside.aws, inside.customer],
            Side::Customer => [inside.customer, inside.aws],
        })
    }
}

/// The IPv6 of AWS's end of a tunnel, inside and outside.
pub(super) fn endpoint(tunnel: &Tunnel, ip: &mut Ip) {
    let outside = match tunnel.aws_outside {
        IpAddr::V6(outside) => Some(outside),
        IpAddr::V4(_) => None,
    };
    let own: Vec<Ipv6Addr> = tunnel.inside_ipv6.map(|inside| inside.aws).into_iter().chain(outside).collect();
    if own.is_empty() {
        return;
    }
    ip.add_ipv6(own);
    if let Some(inside) = &tunnel.inside_ipv6 {
        ip.connect_ipv6(inside.cidr, endpoint::TUNNEL_PORT);
    }
    if outside.is_some() {
        let everywhere = (Ipv6Net::default(), Target::port(endpoint::OUTSIDE_PORT));
        ip.add_ipv6_route(everywhere.0, RouteSource::Underlay, distance::UNDERLAY, everywhere.1);
    }
}

/// A peer whose session carries IPv6 and nothing else, from this address: what the settings of its end do with routes is the same.
/// Named policies are of IPv4, and are not asked.
pub(super) fn told(peer: PeerConfig, end: &BgpEnd, [local, _]: [Ipv6Addr; 2], subnet: Ipv6Net) -> PeerConfig {
    let prepend = u8::try_from(end.prepend).ok().filter(|n| *n > 0).map(Change::Prepend);
    let changes = prepend.into_iter().chain(end.med.map(Change::Med)).collect();
    let ipv6 = Ipv6Config {
        max_prefixes: end.max_prefixes,
        import: Policy::change_all(vec![Change::LocalPref(end.local_preference)]),
        export: Policy::change_all(changes),
        ..Ipv6Config::new(local, subnet)
    };
    let capabilities = Capabilities { ipv4_unicast: false, ..peer.capabilities };
    PeerConfig { capabilities, ipv6: Some(Box::new(ipv6)), ..peer }
}

/// What IKE is told at one end of a tunnel whose connection is for IPv6: its selectors are of IPv6, ::/0 if nothing else is said.
pub(super) fn selectors(tunnel: &Tunnel, side: Side, config: &mut ike::Config) {
    let Some(inside) = &tunnel.inside_ipv6 else { return };
    let [aws, customer] = inside.selectors.map(|net| vec![TrafficSelector::prefix(net.into())]);
    (config.local_ts, config.remote_ts) = match side {
        Side::Aws => (aws, customer),
        Side::Customer => (customer, aws),
    };
}
