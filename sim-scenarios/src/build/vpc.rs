//! VPCs and what is in them or attached to them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::{NodeId, Port};
use sim_core::net::acl::Match;
use sim_core::net::conntrack::TrackConfig;
use sim_core::net::multipath::{FlowFields, Multipath};
use sim_core::net::policer::Limit;
use sim_core::node::client_vpn::association;
use sim_core::node::igw::{self, InternetGateway};
use sim_core::node::ip::TrackId;
use sim_core::node::joint::{self, Joint};
use sim_core::node::middlebox::{Middlebox, MiddleboxConfig};
use sim_core::node::track::Takeover;
use sim_core::node::translator::{self, BalancerConfig, Kind, NatGatewayConfig, Translator};
use sim_core::node::vpc::{self, Door, GroupRule, Role, Static, TableConfig, Vpc, VpcConfig};
use sim_core::node::{Command, Node, host};
use sim_core::reason::DropReason;
use sim_core::rng::{Purpose, Rng};

use super::{AWS_MTU, Builder, dns, instances};
use crate::make::dns::LINK_LOCAL_RESOLVER;
use crate::plan::{self, Appliance, ApplianceKind, GroupPeer, NodeKind, Plan};
use crate::telemetry::flow_log::is_metered;

/// What is behind a port of a VPC.
pub(crate) struct Attached {
    /// The device.
    pub node: NodeId,
    /// The VPC's port.
    pub port: Port,
    /// What it is there.
    pub role: Role,
    /// The device's own port.
    pub there: Port,
}

/// What is behind the ports of a VPC, beside the virtual private gateway and transit gateways: instances first.
pub(crate) fn attached(plan: &Plan, vpc: NodeId) -> Vec<Attached> {
    let mut all: Vec<Attached> = instances(plan, vpc)
        .zip(0u16..)
        .map(|((node, _), number)| Attached {
            node,
            port: vpc::instance_port(number),
            role: Role::Instance,
            there: host::PORT,
        })
        .collect();
    let transit = transit_ports(plan, vpc).count() as u16;
    let mut next = vpc::transit_port(all.len() as u16, transit).0;
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        let (role, there) = match &node.kind {
            NodeKind::Appliance(it) if it.vpc == vpc => (role(it), translator::INTERFACE_PORT),
            NodeKind::CustomerGateway(it) => match &it.instance {
                Some(instance) if instance.vpc == vpc => (Role::Instance, Port(instance.interface as u16)),
                _ => continue,
            },
            NodeKind::InternetGateway(it) if it.vpc == vpc => (Role::InternetGateway, igw::VPC_PORT),
            NodeKind::VpcPeering(it) => match it.vpcs.iter().position(|side| *side == vpc) {
                Some(side) => (Role::Peering, joint::PORTS[side]),
                None => continue,
            },
            NodeKind::GatewayEndpoint(it) if it.vpc == vpc => (Role::GatewayEndpoint, joint::PORTS[0]),
            NodeKind::Resolver(it) => match dns::port_of(it, vpc) {
                Some(there) => (Role::Resolver, there),
                None => continue,
            },
            NodeKind::ClientVpnAssociation(it) if it.vpc == vpc => (Role::Instance, association::INTERFACE_PORT),
            _ => continue,
        };
        all.push(Attached { node: id, port: Port(next), role, there });
        next += 1;
    }
    all
}

const fn role(appliance: &Appliance) -> Role {
    match appliance.kind {
        ApplianceKind::NatGateway { .. } => Role::NatGateway,
        ApplianceKind::NatInstance { .. } | ApplianceKind::Firewall { .. } => Role::NatInstance,
        ApplianceKind::InterfaceEndpoint { .. }
        | ApplianceKind::LoadBalancer { .. }
        | ApplianceKind::ResolverEndpoint { .. } => Role::InterfaceEndpoint,
    }
}

/// The secondary addresses of an interface.
fn secondary(kind: &ApplianceKind) -> Vec<Ipv4Addr> {
    match kind {
        ApplianceKind::NatGateway { secondary, .. } => secondary.iter().map(|(address, _)| *address).collect(),
        _ => Vec::new(),
    }
}

/// The network interfaces of transit gateways' attachments in a VPC: whose, in which subnet, and the VPC's port.
pub(crate) fn transit_ports(plan: &Plan, vpc: NodeId) -> impl Iterator<Item = (NodeId, usize, Port)> {
    let count = instances(plan, vpc).count() as u16;
    let attached = plan.nodes.iter().zip((0..).map(NodeId)).filter_map(move |(node, id)| match &node.kind {
        NodeKind::TransitGateway(tgw) => {
            let place = tgw.vpcs.iter().position(|attached| *attached == vpc)?;
            Some(tgw.subnets.get(place)?.iter().map(move |subnet| (id, *subnet)))
        }
        _ => None,
    });
    let numbered = attached.flatten().zip(0u16..);
    numbered.map(move |((id, subnet), number)| (id, subnet, vpc::transit_port(count, number)))
}

/// The endpoints of a service: what is there, its port towards the service, and the networks that the service answers by it.
pub(super) fn endpoints(plan: &Plan, service: NodeId) -> Vec<(NodeId, Port, Ipv4Net)> {
    let block = |vpc: NodeId| match &plan.nodes[vpc.index()].kind {
        NodeKind::Vpc(vpc) => vpc.cidr,
        _ => Ipv4Net::default(),
    };
    let of = |(node, id): (&plan::Node, NodeId)| match &node.kind {
        NodeKind::GatewayEndpoint(it) if it.service == service => Some((id, joint::PORTS[1], block(it.vpc))),
        NodeKind::Appliance(it) => match it.kind {
            ApplianceKind::InterfaceEndpoint { service: of } if of == service => {
                Some((id, translator::SERVICE_PORT, it.address.into()))
            }
            ApplianceKind::ResolverEndpoint { resolver, .. } if resolver == service => {
                Some((id, joint::PORTS[1], it.address.into()))
            }
            _ => None,
        },
        _ => None,
    };
    plan.nodes.iter().zip((0..).map(NodeId)).filter_map(of).collect()
}

/// The address by which a load balancer sees the endpoint of this number. It is on no link but theirs; of the block that RFC 2544 keeps for
/// tests of devices, which no network has.
fn shown_as(number: usize) -> Ipv4Addr {
    const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
    Ipv4Addr::from(u32::from(FIRST) + number as u32)
}

/// The port of a service towards its endpoint of this number.
pub(super) fn service_port(plan: &Plan, service: NodeId, number: usize) -> Port {
    Port(dns::ports_before_endpoints(&plan.nodes[service.index()].kind) + number as u16)
}

/// Where the routes of a VPC lead beyond it, for its virtual private gateway.
pub(super) fn beyond(builder: &Builder<'_>, id: NodeId) -> Vec<(Ipv4Net, DropReason)> {
    match &builder.plan.nodes[id.index()].kind {
        NodeKind::Vpc(vpc) => vpc::beyond(&builder.vpc_config(id, vpc)),
        _ => Vec::new(),
    }
}

/// A link inside AWS: whose the far end is, and both ends.
pub(super) type Inner = (NodeId, (NodeId, Port), (NodeId, Port));

/// The links of a VPC to what is in it and attached to it, or of a service to its endpoints.
pub(super) fn links(plan: &Plan, id: NodeId) -> Vec<Inner> {
    match &plan.nodes[id.index()].kind {
        NodeKind::Vpc(_) => {
            attached(plan, id).into_iter().map(|it| (it.node, (id, it.port), (it.node, it.there))).collect()
        }
        NodeKind::Host(_) | NodeKind::Appliance(_) | NodeKind::Resolver(_) => {
            let all = endpoints(plan, id).into_iter().enumerate();
            all.map(|(number, (node, there, _))| (node, (node, there), (id, service_port(plan, id, number)))).collect()
        }
        _ => Vec::new(),
    }
}

/// The port of a VPC that routes to this target lead to.
fn port_of_target(transit: &[(NodeId, usize, Port)], attached: &[Attached], to: NodeId) -> Port {
    let transit = transit.iter().find(|(gateway, ..)| *gateway == to).map(|(.., port)| *port);
    transit.or_else(|| Some(attached.iter().find(|it| it.node == to)?.port)).unwrap_or(vpc::GATEWAY_PORT)
}

impl Builder<'_> {
    pub(super) fn vpc(&self, id: NodeId, vpc: &plan::Vpc) -> Vpc {
        Vpc::new(self.vpc_config(id, vpc))
    }

    fn vpc_config(&self, id: NodeId, vpc: &plan::Vpc) -> VpcConfig {
        let (attached, transit) = (attached(self.plan, id), transit_ports(self.plan, id).collect::<Vec<_>>());
        let mut gateway_table = None;
        let mut doors: Vec<Door> = Vec::new();
        let edge = |table: Option<usize>| table.map(|table| table as u8);
        for node in &self.plan.nodes {
            if let NodeKind::VirtualPrivateGateway(gateway) = &node.kind
                && gateway.vpc == Some(id)
            {
                gateway_table = edge(gateway.route_table);
            }
        }
        let mut attachments: Vec<(NodeId, Vec<Port>)> = Vec::new();
        for (gateway, subnet, port) in &transit {
            doors.push(self.door(*port, Role::TransitGateway, vpc, *subnet));
            match attachments.last_mut().filter(|(of, _)| of == gateway) {
                Some((_, ports)) => ports.push(*port),
                None => attachments.push((*gateway, vec![*port])),
            }
        }
        for it in &attached {
            doors.push(match &self.plan.nodes[it.node.index()].kind {
                NodeKind::Instance(instance) => Door {
                    address: Some(instance.address),
                    source_destination_check: true,
                    groups: self.groups(id, vpc, &instance.security_groups, instance.tracking),
                    ..self.door(it.port, it.role, vpc, instance.subnet)
                },
                NodeKind::CustomerGateway(gateway) => {
                    // Only one that is in a VPC is attached to it.
                    let Some(instance) = &gateway.instance else { continue };
                    Door {
                        address: Some(instance.address),
                        source_destination_check: instance.source_destination_check,
                        groups: self.groups(id, vpc, &instance.security_groups, instance.tracking),
                        ..self.door(it.port, it.role, vpc, instance.subnet)
                    }
                }
                NodeKind::Appliance(appliance) => Door {
                    address: Some(appliance.address),
                    secondary: secondary(&appliance.kind),
                    source_destination_check: appliance.source_destination_check,
                    groups: match &appliance.kind {
                        ApplianceKind::ResolverEndpoint { security_groups, tracking, .. } => {
                            self.groups(id, vpc, security_groups, *tracking)
                        }
                        _ => None,
                    },
                    transit_sources: self.transit_sources(appliance),
                    ..self.door(it.port, it.role, vpc, appliance.subnet)
                },
                NodeKind::ClientVpnAssociation(association) => Door {
                    address: Some(association.address),
                    source_destination_check: true,
                    ..self.door(it.port, it.role, vpc, association.subnet)
                },
                NodeKind::Resolver(resolver) => {
                    let own = resolver.vpcs.iter().find(|(of, _)| *of == id).map(|(_, address)| *address);
                    Door {
                        subnet: None,
                        table: None,
                        address: own,
                        secondary: vec![LINK_LOCAL_RESOLVER],
                        ..self.door(it.port, it.role, vpc, 0)
                    }
                }
                NodeKind::InternetGateway(gateway) => {
                    Door { subnet: None, table: edge(gateway.route_table), ..self.door(it.port, it.role, vpc, 0) }
                }
                _ => Door { subnet: None, table: None, ..self.door(it.port, it.role, vpc, 0) },
            });
        }
        let port = |to: NodeId| port_of_target(&transit, &attached, to);
        let table = |(table, number): (&plan::RouteTable, usize)| {
            let own = table.routes.iter();
            let own = own.map(|(prefix, to)| Static { prefix: *prefix, to: to.map(port), prefix_list: false });
            let lists = attached.iter().filter_map(|it| match &self.plan.nodes[it.node.index()].kind {
                NodeKind::GatewayEndpoint(endpoint) if endpoint.route_tables.contains(&number) => {
                    Some(endpoint.prefix_list.iter().map(|prefix| (*prefix, it.port)))
                }
                _ => None,
            });
            let lists = lists.flatten().map(|(prefix, port)| Static { prefix, to: Some(port), prefix_list: true });
            TableConfig { statics: own.chain(lists).collect(), propagation: !table.propagation.is_empty() }
        };
        let acls = vpc.subnets.iter().map(|subnet| Some(vpc.network_acls.get(subnet.network_acl?)?.1.clone()));
        VpcConfig {
            cidrs: vec![vpc.cidr],
            tables: vpc.route_tables.iter().zip(0..).map(table).collect(),
            acls: acls.collect(),
            doors,
            zones: vpc.subnets.iter().map(|subnet| self.zone(subnet)).collect(),
            attachments: attachments.into_iter().map(|(_, ports)| ports).collect(),
            gateway_table,
            ipv6: self.ipv6_of_vpc(id),
            propagation_delay: self.plan.assume.vpc_propagation_delay,
            mtu: if super::dx::is_jumbo(self.plan) { super::dx::MTU } else { AWS_MTU },
            metered: is_metered(self.plan, id),
        }
    }

    /// What an operator has a VPC do to its route.
    pub(super) fn route_command(&self, change: &plan::RouteChange) -> Command {
        let (attached, transit) =
            (attached(self.plan, change.node), transit_ports(self.plan, change.node).collect::<Vec<_>>());
        let to = change.to.map(|target| target.map(|target| port_of_target(&transit, &attached, target)));
        Command::VpcRoute { table: change.table as u8, prefix: change.destination, to }
    }

    /// The port of a VPC towards a device in it.
    fn port_towards(&self, vpc: NodeId, node: NodeId) -> Option<Port> {
        attached(self.plan, vpc).iter().find(|it| it.node == node).map(|it| it.port)
    }

    /// The routes that a customer gateway in a VPC takes over.
    pub(super) fn takeovers(&self, id: NodeId) -> Vec<Takeover> {
        let NodeKind::CustomerGateway(gateway) = &self.plan.nodes[id.index()].kind else { return Vec::new() };
        let Some(it) = &gateway.instance else { return Vec::new() };
        let NodeKind::Vpc(vpc) = &self.plan.nodes[it.vpc.index()].kind else { return Vec::new() };
        let to = self.port_towards(it.vpc, id).unwrap_or_default();
        let before = |takeover: &plan::Takeover| {
            let table = &vpc.route_tables[takeover.table];
            let route = table.routes.iter().find(|(destination, _)| *destination == takeover.destination);
            route.and_then(|(_, target)| self.port_towards(it.vpc, (*target)?))
        };
        let made = it.takeovers.iter().map(|takeover| Takeover {
            track: TrackId(takeover.track as u8),
            vpc: it.vpc,
            table: takeover.table as u8,
            prefix: takeover.destination,
            to,
            back: takeover.gives_back.then(|| before(takeover)).flatten(),
            after: takeover.delay,
        });
        made.collect()
    }

    /// A port in a subnet.
    fn door(&self, port: Port, role: Role, vpc: &plan::Vpc, subnet: usize) -> Door {
        let table = vpc.subnets.get(subnet).map(|subnet| subnet.route_table as u8);
        let subnet = Some(subnet as u16);
        Door {
            port,
            role,
            subnet,
            table,
            address: None,
            secondary: Vec::new(),
            source_destination_check: false,
            transit_sources: None,
            groups: None,
        }
    }

    /// The rules of an instance's security groups. One about a group stands there once for each member.
    fn groups(
        &self,
        id: NodeId,
        vpc: &plan::Vpc,
        groups: &[usize],
        tracking: TrackConfig,
    ) -> Option<(Vec<GroupRule>, TrackConfig)> {
        if groups.is_empty() {
            return None;
        }
        let members = |group: usize| {
            self.plan.nodes.iter().filter_map(move |node| match &node.kind {
                NodeKind::Instance(it) if it.vpc == id && it.security_groups.contains(&group) => {
                    Some(Ipv4Net::from(it.address))
                }
                NodeKind::CustomerGateway(it) => {
                    let it = it.instance.as_ref()?;
                    (it.vpc == id && it.security_groups.contains(&group)).then_some(it.address.into())
                }
                _ => None,
            })
        };
        let mut rules = Vec::new();
        for rule in groups.iter().flat_map(|group| &vpc.security_groups[*group].rules) {
            let others: Vec<Ipv4Net> = match rule.other {
                GroupPeer::Network(network) => vec![network],
                GroupPeer::Group(group) => members(group).collect(),
            };
            rules.extend(others.into_iter().map(|other| GroupRule {
                number: rule.number,
                outbound: rule.outbound,
                matches: Match { protocol: rule.protocol, ports: rule.ports.clone(), other },
            }));
        }
        Some((rules, tracking))
    }

    /// From where a NAT gateway takes what comes by a transit gateway, if not from everywhere: from VPCs.
    fn transit_sources(&self, appliance: &Appliance) -> Option<Vec<Ipv4Net>> {
        if !matches!(appliance.kind, ApplianceKind::NatGateway { from_transit_gateway: false, .. }) {
            return None;
        }
        let blocks = self.plan.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Vpc(vpc) => Some(vpc.cidr),
            _ => None,
        });
        Some(blocks.collect())
    }

    pub(super) fn internet_gateway(&self, id: NodeId, gateway: &plan::InternetGateway) -> InternetGateway {
        let rng = self.nat_ports(id);
        let mut made = InternetGateway::new(gateway.addresses.clone(), AWS_MTU, rng);
        self.ports_of(id).for_each(|(_, mtu)| made.set_mtu(mtu));
        made
    }

    pub(super) fn appliance(&self, id: NodeId, appliance: &Appliance) -> Node {
        let kind = match &appliance.kind {
            ApplianceKind::Firewall { inside, track, on_miss } => {
                return Node::Middlebox(Box::new(Middlebox::new(MiddleboxConfig {
                    address: appliance.address,
                    inside: inside.clone(),
                    track: *track,
                    on_miss: *on_miss,
                    mtu: AWS_MTU,
                })));
            }
            ApplianceKind::LoadBalancer { port, targets, check } => {
                let name = &self.plan.nodes[id.index()].name;
                let sessions = self.routers[id.index()].tracks.iter().map(|(session, _)| *session);
                let targets = targets.iter().map(|(address, _)| (*address, *port)).zip(sessions).collect();
                let spread = Multipath::new(FlowFields::FiveTuple, self.plan.seed, name);
                let consumers = (0..endpoints(self.plan, id).len()).map(shown_as).collect();
                let mtu = AWS_MTU as u16;
                let config = BalancerConfig { port: *port, targets, check: *check, spread, mtu, consumers };
                let tcp = Rng::stream(self.plan.seed, name, Purpose::Tcp);
                let made = Translator::balancing(config, appliance.address, AWS_MTU, self.nat_ports(id), tcp);
                return Node::Translator(Box::new(made));
            }
            kind @ ApplianceKind::NatGateway { bandwidth, packets_per_second, .. } => {
                let (bits_per_second, packets_per_second) = (*bandwidth, *packets_per_second);
                let limit = self.as_assumed(Limit { bits_per_second, packets_per_second, ..Limit::NONE });
                Kind::NatGateway(NatGatewayConfig { secondary: secondary(kind), limit: Some(limit) })
            }
            ApplianceKind::NatInstance { forwards } => Kind::NatInstance(forwards.clone()),
            ApplianceKind::InterfaceEndpoint { service } => self.interface_endpoint(id, appliance.address, *service),
            ApplianceKind::ResolverEndpoint { .. } => return dns::endpoint(appliance.address),
        };
        Node::Translator(Box::new(Translator::new(kind, appliance.address, AWS_MTU, self.nat_ports(id))))
    }

    fn nat_ports(&self, id: NodeId) -> Rng {
        Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::NatPorts)
    }

    /// An endpoint of a host, or of a load balancer in a VPC, which may have the same addresses as the endpoint's.
    fn interface_endpoint(&self, id: NodeId, address: Ipv4Addr, service: NodeId) -> Kind {
        match &self.plan.nodes[service.index()].kind {
            NodeKind::Host(host) => Kind::InterfaceEndpoint { service: host.address.addr(), shown: address },
            NodeKind::Appliance(balancer) => {
                let number = endpoints(self.plan, service).iter().position(|(other, ..)| *other == id);
                Kind::InterfaceEndpoint { service: balancer.address, shown: shown_as(number.unwrap_or_default()) }
            }
            _ => Kind::InterfaceEndpoint { service: Ipv4Addr::UNSPECIFIED, shown: address },
        }
    }

    pub(super) fn peering(&self, peering: &plan::VpcPeering) -> Joint {
        Joint::new(peering.vpcs.map(|vpc| self.cidrs(vpc)), DropReason::TransitPeering, AWS_MTU)
    }

    pub(super) fn gateway_endpoint(&self, endpoint: &plan::GatewayEndpoint) -> Joint {
        let sides = [self.cidrs(endpoint.vpc), endpoint.prefix_list.clone()];
        Joint::new(sides, DropReason::TransitGatewayEndpoint, AWS_MTU)
    }

    /// Names the ports of what is in a VPC or attached to it.
    pub(super) fn name_vpc_ports(&mut self, id: NodeId) {
        let name = |id: NodeId| self.plan.nodes[id.index()].name.as_str();
        match &self.plan.nodes[id.index()].kind {
            NodeKind::InternetGateway(gateway) => {
                self.world.name_port(id, igw::VPC_PORT, name(gateway.vpc));
                self.world.name_port(id, igw::INTERNET_PORT, "internet");
            }
            NodeKind::Appliance(it) => {
                self.world.name_port(id, translator::INTERFACE_PORT, name(it.vpc));
                if let ApplianceKind::InterfaceEndpoint { service } = it.kind {
                    self.world.name_port(id, translator::SERVICE_PORT, name(service));
                }
                if let ApplianceKind::ResolverEndpoint { resolver, .. } = it.kind {
                    self.world.name_port(id, joint::PORTS[1], name(resolver));
                }
                for (number, (endpoint, ..)) in endpoints(self.plan, id).into_iter().enumerate() {
                    self.world.name_port(id, service_port(self.plan, id, number), name(endpoint));
                }
            }
            NodeKind::Resolver(it) => {
                for (number, (vpc, _)) in it.vpcs.iter().enumerate() {
                    self.world.name_port(id, Port(number as u16), name(*vpc));
                }
                for (number, (endpoint, ..)) in endpoints(self.plan, id).into_iter().enumerate() {
                    self.world.name_port(id, service_port(self.plan, id, number), name(endpoint));
                }
            }
            NodeKind::VpcPeering(it) => {
                it.vpcs.iter().zip(joint::PORTS).for_each(|(vpc, port)| self.world.name_port(id, port, name(*vpc)));
            }
            NodeKind::GatewayEndpoint(it) => {
                self.world.name_port(id, joint::PORTS[0], name(it.vpc));
                self.world.name_port(id, joint::PORTS[1], name(it.service));
            }
            _ => {
                for it in attached(self.plan, id) {
                    self.world.name_port(id, it.port, name(it.node));
                }
            }
        }
    }

    /// A host that is a service, with a port towards each of its endpoints.
    pub(super) fn with_endpoints(&self, id: NodeId, mut made: host::Host) -> Node {
        for (number, (_, _, network)) in endpoints(self.plan, id).into_iter().enumerate() {
            made = made.with_door(service_port(self.plan, id, number), &[network]);
        }
        Node::Host(Box::new(made))
    }
}
