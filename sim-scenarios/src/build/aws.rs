//! AWS's own gateways: virtual private gateways and transit gateways.

use std::net::IpAddr;

use sim_core::id::NodeId;
use sim_core::net::aws::tgw::Kind;
use sim_core::net::multipath::{FlowFields, Multipath};
use sim_core::net::policer::Limit;
use sim_core::node::Command;
use sim_core::node::gre::GreTunnel;
use sim_core::node::tgw::{Attached, Attachment as TgwAttachment, RouteTable, Tgw, TgwConfig};
use sim_core::node::vgw::{Vgw, VgwConfig};
use sim_core::rng::{Purpose, Rng};

use super::vpc::beyond;
use super::{AWS_MTU, Builder};
use crate::make::connect::peers_of;
use crate::plan::{self, Attachment, NodeKind, Routing, TunnelBandwidth, TunnelId};
use crate::telemetry::flow_log::is_metered;

/// What a transit gateway carries through an attachment of a VPC, a Direct Connect gateway or a peer (page transit-gateway-quotas.html).
const ATTACHMENT: Limit = Limit { bits_per_second: 50_000_000_000, packets_per_second: 5_000_000, ..Limit::NONE };
/// And through a VPN Concentrator (announced 2025-11-19); a packet rate is not known.
const CONCENTRATOR: Limit = Limit { bits_per_second: 5_000_000_000, ..Limit::NONE };

impl Builder<'_> {
    /// What AWS carries through a tunnel (page vpn-limits.html).
    pub(super) fn tunnel_limit(&self, id: TunnelId) -> Limit {
        let (bits_per_second, packets_per_second) = match self.plan.connections[id.connection].bandwidth {
            TunnelBandwidth::Standard => (1_250_000_000, 140_000),
            TunnelBandwidth::Large => (5_000_000_000, self.plan.assume.large_packet_rate),
        };
        self.as_assumed(Limit { bits_per_second, packets_per_second, ..Limit::NONE })
    }

    /// A limit of AWS's, with what is not published of it.
    pub(super) fn as_assumed(&self, limit: Limit) -> Limit {
        Limit { depth: self.plan.assume.tunnel_burst, counted: self.plan.assume.rates_count, ..limit }
    }

    pub(super) fn vgw(&self, id: NodeId, vgw: &plan::VirtualPrivateGateway) -> Vgw {
        let tunnels = self.index.tunnels(id);
        let statics = tunnels.iter().map(|t| match &self.plan.connections[t.connection].routing {
            Routing::Static(prefixes) => prefixes.clone(),
            Routing::Bgp => Vec::new(),
        });
        let mut rng = self.aws_choice(id);
        let assume = &self.plan.assume;
        let config = VgwConfig {
            vpc: vgw.vpc,
            cidrs: vgw.vpc.map_or_else(Vec::new, |vpc| self.cidrs(vpc)),
            beyond: vgw.vpc.map_or_else(Vec::new, |vpc| beyond(self, vpc)),
            statics: statics.collect(),
            direct: self.direct_ends(id),
            ends: self.told_ends(id),
            preference: preference(tunnels, vgw.preferred_tunnel, &mut rng),
            programming_delay: assume.vgw_programming_delay,
            propagation_delay: assume.vpc_propagation_delay,
            health_delay: assume.endpoint_health_delay,
        };
        let mut made = Vgw::new(config, AWS_MTU);
        if super::dx::is_jumbo(self.plan) {
            made.widen(super::dx::MTU);
        }
        made
    }

    /// What an operator has a transit gateway do to a static route.
    pub(super) fn transit_route(&self, change: &plan::RouteChange<Attachment>) -> Command {
        let NodeKind::TransitGateway(gateway) = &self.plan.nodes[change.node.index()].kind else {
            unreachable!("a plan changes transit gateway routes at transit gateways")
        };
        let attachments = crate::make::transit::attachments(self.plan, change.node, gateway);
        let number = |of: Attachment| attachments.iter().position(|a| *a == of).unwrap_or_default() as u16;
        let to = change.to.map(|target| target.map(number));
        Command::TgwRoute { table: change.table as u8, prefix: change.destination, to }
    }

    /// What an operator has a virtual private gateway do to a static route of a connection.
    pub(super) fn connection_route(&self, change: &plan::ConnectionRoute) -> Command {
        let gateway = self.plan.connections[change.connection].gateway;
        let all = self.index.tunnels(gateway).iter().zip(0u16..);
        let mine: Vec<u16> = all.filter(|(it, _)| it.connection == change.connection).map(|(_, n)| n).collect();
        let [first, last] = [mine.first(), mine.last()].map(|tunnel| tunnel.copied().unwrap_or_default());
        Command::VpnRoute { tunnels: [first, last], prefix: change.destination, entered: change.enters }
    }

    /// The ends of a virtual private gateway, and the connections that they are of; each end of Direct Connect is one by itself.
    fn told_ends(&self, id: NodeId) -> Vec<(NodeId, u16)> {
        let of_tunnel = |tunnel: &TunnelId| (self.plan.tunnel(*tunnel).endpoint, tunnel.connection as u16);
        let first = self.plan.connections.len() as u16;
        let direct = crate::make::dx::ends(self.plan, id).zip(first..);
        self.index.tunnels(id).iter().map(of_tunnel).chain(direct).collect()
    }

    fn aws_choice(&self, id: NodeId) -> Rng {
        Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::AwsChoice)
    }

    pub(super) fn tgw(&self, id: NodeId, tgw: &plan::TransitGateway) -> Tgw {
        let tunnels = self.index.tunnels(id);
        let direct: Vec<NodeId> = crate::make::dx::ends(self.plan, id).collect();
        let attachments = crate::make::transit::attachments(self.plan, id, tgw);
        let number = |of: Attachment| attachments.iter().position(|a| *a == of).unwrap_or_default() as u16;
        let named_in = |of: Attachment, lists: fn(&plan::TransitRouteTable) -> &[Attachment]| {
            let tables = tgw.route_tables.iter().zip(0u8..);
            tables.filter(move |(table, _)| lists(table).contains(&of)).map(|(_, number)| number).collect::<Vec<u8>>()
        };
        let table = |table: &plan::TransitRouteTable| {
            let statics = crate::make::transit::statics(self.plan, table);
            RouteTable { statics: statics.into_iter().map(|(prefix, to)| (prefix, to.map(number))).collect() }
        };
        let attachment = |of: &Attachment| TgwAttachment {
            to: match of {
                Attachment::Vpc(vpc) => Attached::Vpc {
                    cidr: self.cidrs(*vpc).first().copied().unwrap_or_default(),
                    zones: self.attachment_zones(tgw, *vpc),
                    appliance_mode: tgw.appliance_mode.contains(vpc),
                },
                Attachment::Connection(connection) => {
                    let mine = tunnels.iter().zip(0u16..).filter(|(tunnel, _)| tunnel.connection == *connection);
                    let private = self.plan.connections[*connection].transport.is_some();
                    let kind = if private { Kind::PrivateVpn } else { Kind::Vpn };
                    Attached::Tunnels { tunnels: mine.map(|(_, number)| number).collect(), kind }
                }
                Attachment::DirectConnectGateway(gateway) => {
                    let place = direct.iter().position(|other| other == gateway).unwrap_or_default();
                    Attached::DirectConnectGateway { end: (tunnels.len() + place) as u16 }
                }
                Attachment::Peering(_) => Attached::Peering,
                Attachment::Concentrator(_, concentrator) => {
                    let on_it =
                        |id: &TunnelId| self.plan.connections[id.connection].concentrator == Some(*concentrator);
                    let mine = tunnels.iter().zip(0u16..).filter(|(tunnel, _)| on_it(tunnel));
                    Attached::Tunnels { tunnels: mine.map(|(_, number)| number).collect(), kind: Kind::VpnConcentrator }
                }
                Attachment::Connect(connect) => {
                    let mine = self.connect_ends(id).filter(|(_, _, peer)| peer.connect == *connect);
                    Attached::Tunnels { tunnels: mine.map(|(number, ..)| number).collect(), kind: Kind::Connect }
                }
            },
            association: named_in(*of, |table| &table.associations).first().copied(),
            propagation: named_in(*of, |table| &table.propagations),
            limit: match of {
                Attachment::Connection(_) | Attachment::Connect(_) => None,
                Attachment::Concentrator(..) => Some(self.as_assumed(CONCENTRATOR)),
                Attachment::Vpc(_) | Attachment::DirectConnectGateway(_) | Attachment::Peering(_) => {
                    Some(self.as_assumed(ATTACHMENT))
                }
            },
        };
        let mut rng = self.aws_choice(id);
        let (assume, name) = (&self.plan.assume, &self.plan.nodes[id.index()].name);
        let config = TgwConfig {
            attachments: attachments.iter().map(attachment).collect(),
            tables: tgw.route_tables.iter().map(table).collect(),
            endpoints: tunnels
                .iter()
                .map(|tunnel| self.plan.tunnel(*tunnel).endpoint)
                .chain(direct.iter().copied())
                .chain(self.connect_ends(id).map(|(_, node, _)| node))
                .collect(),
            outside: self
                .private_tunnels(id)
                .filter_map(|(tunnel, transport)| match self.plan.tunnel(tunnel).aws_outside {
                    IpAddr::V4(outside) => Some((outside, number(Attachment::DirectConnectGateway(transport)))),
                    IpAddr::V6(_) => None,
                })
                .chain(peers_of(self.plan, id).map(|(_, peer, transport)| (peer.address, number(transport))))
                .collect(),
            preference: preference(tunnels, tgw.preferred_tunnel, &mut rng),
            vpn_ecmp: tgw.vpn_ecmp,
            multipath: Multipath {
                max_ways: self.plan.assume.ecmp_paths,
                ..Multipath::new(self.plan.assume.flow_hash, self.plan.seed, name)
            },
            ipv6_blocks: tgw
                .vpcs
                .iter()
                .filter_map(|vpc| Some((number(Attachment::Vpc(*vpc)), self.plan.ipv6.vpcs.get(vpc)?.block)))
                .collect(),
            zone_multipath: Multipath::new(FlowFields::FiveTuple, self.plan.seed, &format!("{name} zones")),
            sites: self.sites(id, tgw),
            programming_delay: assume.vgw_programming_delay,
            health_delay: assume.endpoint_health_delay,
        };
        let mut made = Tgw::new(config, AWS_MTU);
        for (end, ..) in self.connect_ends(id) {
            made.narrow(end, GreTunnel::mtu(None, AWS_MTU));
        }
        if super::dx::is_jumbo(self.plan) {
            // TGW quotas: 8,500 octets between VPCs, Direct Connect and peering.
            made.widen(8500);
        }
        if is_metered(self.plan, id) { made.metered() } else { made }
    }
}

impl Builder<'_> {
    /// The availability zones of a VPC's attachment, in the order of its network interfaces.
    fn attachment_zones(&self, tgw: &plan::TransitGateway, vpc: NodeId) -> Vec<u8> {
        let place = tgw.vpcs.iter().position(|other| *other == vpc).unwrap_or_default();
        let NodeKind::Vpc(vpc) = &self.plan.nodes[vpc.index()].kind else { return vec![0] };
        tgw.subnets[place].iter().map(|subnet| self.zone(&vpc.subnets[*subnet])).collect()
    }

    fn on_concentrator(&self, id: TunnelId) -> bool {
        self.plan.connections[id.connection].concentrator.is_some()
    }

    /// The sites of a transit gateway's VPN Concentrators: the tunnels of each, and what they carry together.
    fn sites(&self, id: NodeId, tgw: &plan::TransitGateway) -> Vec<(Vec<u16>, Limit)> {
        let mut sites: Vec<(usize, (Vec<u16>, Limit))> = Vec::new();
        for (tunnel, number) in self.index.tunnels(id).iter().zip(0u16..) {
            let concentrator = self.plan.connections[tunnel.connection].concentrator;
            let Some(concentrator) = concentrator.and_then(|place| tgw.concentrators.get(place)) else { continue };
            match sites.last_mut().filter(|(connection, _)| *connection == tunnel.connection) {
                Some((_, (tunnels, _))) => tunnels.push(number),
                None => {
                    let limit = self.as_assumed(Limit {
                        bits_per_second: concentrator.site_bandwidth,
                        packets_per_second: concentrator.site_packet_rate,
                        ..Limit::NONE
                    });
                    sites.push((tunnel.connection, (vec![number], limit)));
                }
            }
        }
        sites.into_iter().map(|(_, site)| site).collect()
    }

    /// The number of a subnet's availability zone among those of all VPCs.
    pub(super) fn zone(&self, subnet: &plan::Subnet) -> u8 {
        let vpcs = self.plan.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Vpc(vpc) => Some(vpc),
            _ => None,
        });
        let zones = vpcs.flat_map(|vpc| &vpc.subnets).map(|subnet| &subnet.availability_zone);
        let first = zones.clone().position(|zone| *zone == subnet.availability_zone).unwrap_or_default();
        let mut before: Vec<&String> = zones.take(first).collect();
        before.sort_unstable();
        before.dedup();
        before.len() as u8
    }

    /// True if AWS prefers the tunnel to the other one of its connection.
    pub(super) fn primary(&self, id: TunnelId) -> bool {
        let gateway = self.plan.connections[id.connection].gateway;
        let preferred = match &self.plan.nodes[gateway.index()].kind {
            NodeKind::TransitGateway(tgw) if tgw.vpn_ecmp && !self.on_concentrator(id) => return true,
            NodeKind::TransitGateway(tgw) => tgw.preferred_tunnel,
            NodeKind::VirtualPrivateGateway(vgw) => vgw.preferred_tunnel,
            _ => None,
        };
        let tunnels = self.index.tunnels(gateway);
        let order = preference(tunnels, preferred, &mut self.aws_choice(gateway));
        let mut order = order.into_iter().map(|number| tunnels[usize::from(number)]);
        order.find(|tunnel| tunnel.connection == id.connection) == Some(id)
    }
}

/// The tunnels of a gateway by their numbers, the preferred one first.
fn preference(tunnels: &[TunnelId], preferred: Option<TunnelId>, rng: &mut Rng) -> Vec<u16> {
    let preferred = preferred.and_then(|p| tunnels.iter().position(|t| *t == p));
    let first = preferred.unwrap_or_else(|| rng.below(tunnels.len().max(1) as u64) as usize);
    let mut preference: Vec<u16> = (0..tunnels.len() as u16).collect();
    preference.sort_by_key(|&t| (usize::from(t) != first, t));
    preference
}
