//! A VPC: its implicit router, with the route tables and network ACLs of its subnets, and what is behind its network interfaces.
//!
//! A packet that comes from an interface is looked up in the table of the interface's subnet; one that comes by a gateway in the
//! gateway's edge table, or if it has none among the VPC's own addresses. The tables follow [`crate::net::aws::vpc`]. Network ACLs are
//! asked where a packet crosses the border of a subnet, and nowhere else (VPC user guide, page vpc-network-acls.html); security groups
//! where it leaves an interface or comes to one.
//!
//! ```text
//!  instance --.  groups, source check                      .-- groups, instance
//!  NAT gw ----+-- route table of the subnet -- ACLs -------+-- VGW, TGW, IGW, peering, endpoint
//!  gateway ---'-- edge table, or local                     '
//! ```
//!
//! What may not be reached from where ("transit") is for [`Role`] to say. Between two gateways a packet loses one from
//! its TTL, so that routes that point at each other end; AWS does not say where it counts.
//!
//! Jumbo frames go to the virtual private gateway by propagated routes alone: a static route to it carries 1,500 octets (Direct Connect
//! user guide, set-jumbo-frames-vif.html). A longer packet is cut, or if it has DF dropped in silence, as by AWS's other gateways.
//!
//! IPv6 goes to and from transit gateways (`six`).
//!
//! Left out: several CIDR blocks, and prefix lists that overlap.

mod guard;
mod quota;
mod six;
mod table;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use self::guard::Guard;
use self::quota::ResolverQuota;
use self::table::RouteTable;
use super::ip::{Inbound, Ip, Miss};
use super::{Command, Cx, Device, Notice, Weighing, link_reason};
use crate::id::{Port, RecordId};
use crate::net::acl::{NetworkAcl, Traffic};
use crate::net::conntrack::TrackConfig;
use crate::net::fib::{RouteSource, distance};
use crate::net::flow_meter::{FlowMeter, Glimpse};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, TimerKind};
use crate::time::{Duration, Instant};
use crate::wire::ipv4::Ipv4Packet;

pub use self::guard::GroupRule;
pub use self::quota::RESOLVER_PACKETS_PER_SECOND;
pub use self::six::Ipv6Config;
pub use self::table::Static;

/// The port towards the virtual private gateway.
pub const GATEWAY_PORT: Port = Port(0);

/// What a static route to the virtual private gateway carries, in octets (Direct Connect user guide, set-jumbo-frames-vif.html).
const BY_HAND_MTU: u32 = 1500;

/// The port towards network interface `number` of transit gateways' attachments, of so many instances. What else there is follows.
pub const fn transit_port(instances: u16, number: u16) -> Port {
    Port(instances + 1 + number)
}

/// The port towards instance `number`.
pub const fn instance_port(number: u16) -> Port {
    Port(number + 1)
}

/// What is behind a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The virtual private gateway.
    VirtualPrivateGateway,
    /// A transit gateway.
    TransitGateway,
    /// The internet gateway.
    InternetGateway,
    /// A VPC peering connection.
    Peering,
    /// A gateway endpoint.
    GatewayEndpoint,
    /// The network interface of an instance.
    Instance,
    /// That of a NAT gateway.
    NatGateway,
    /// That of a NAT instance.
    NatInstance,
    /// That of an interface endpoint, a network load balancer, or an endpoint of the resolver.
    InterfaceEndpoint,
    /// The Route 53 Resolver, at the address that is the VPC's first plus two and at a link-local one. It serves what is in the VPC and
    /// nobody else, and takes no more than [`RESOLVER_PACKETS_PER_SECOND`] of one network interface; neither network ACLs nor security
    /// groups are asked (VPC user guide, pages AmazonDNS-concepts.html, security-group-rules.html).
    Resolver,
}

impl Role {
    /// True if it is a network interface in a subnet, with an address.
    pub const fn is_interface(self) -> bool {
        match self {
            Self::Instance | Self::NatGateway | Self::NatInstance | Self::InterfaceEndpoint => true,
            Self::VirtualPrivateGateway
            | Self::TransitGateway
            | Self::InternetGateway
            | Self::Peering
            | Self::GatewayEndpoint
            | Self::Resolver => false,
        }
    }

    /// Why what came by another gateway does not leave by this.
    const fn refusal(self) -> DropReason {
        match self {
            Self::InternetGateway => DropReason::TransitInternetGateway,
            Self::NatGateway => DropReason::TransitNatGateway,
            Self::NatInstance | Self::Instance => DropReason::TransitNatInstance,
            Self::Peering => DropReason::TransitPeering,
            Self::GatewayEndpoint => DropReason::TransitGatewayEndpoint,
            Self::VirtualPrivateGateway => DropReason::TransitVirtualPrivateGateway,
            Self::Resolver => DropReason::TransitResolver,
            Self::TransitGateway | Self::InterfaceEndpoint => DropReason::VpcNoRoute,
        }
    }
}

/// A port and what is behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// The port.
    pub port: Port,
    /// What is there.
    pub role: Role,
    /// The subnet that it is in, of an interface or a transit gateway's attachment.
    pub subnet: Option<u16>,
    /// The table that what comes in is looked up in; `None`: only what is local is found. Of an interface it is its subnet's.
    pub table: Option<u8>,
    /// The address of an interface.
    pub address: Option<Ipv4Addr>,
    /// Its secondary addresses, of a NAT gateway's or the resolver's.
    pub secondary: Vec<Ipv4Addr>,
    /// Whether an interface neither sends from nor receives for other addresses (EC2's source/destination check).
    pub source_destination_check: bool,
    /// From which sources a NAT gateway takes what comes by a transit gateway; `None`: from all.
    pub transit_sources: Option<Vec<Ipv4Net>>,
    /// The rules of an interface's security groups, and how it tracks flows; `None`: everything passes.
    pub groups: Option<(Vec<GroupRule>, TrackConfig)>,
}

/// A route table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableConfig {
    /// What is entered by hand.
    pub statics: Vec<Static>,
    /// Whether the virtual private gateway propagates into it.
    pub propagation: bool,
}

/// What a VPC is made from.
#[derive(Clone, Debug, Default)]
pub struct VpcConfig {
    /// Its CIDR blocks.
    pub cidrs: Vec<Ipv4Net>,
    /// Its route tables. At least one.
    pub tables: Vec<TableConfig>,
    /// The network ACL of each subnet; `None`: the default one, which allows all.
    pub acls: Vec<Option<NetworkAcl>>,
    /// What is behind its ports, beside the virtual private gateway, for which there is always one.
    pub doors: Vec<Door>,
    /// The availability zone of each subnet. Of attachments of a transit gateway only those are reached that are in the sender's own.
    pub zones: Vec<u8>,
    /// The network interfaces of each transit gateway's attachment, of which routes lead to the first.
    pub attachments: Vec<Vec<Port>>,
    /// IPv6, if it has any.
    pub ipv6: Option<Ipv6Config>,
    /// The edge table of the virtual private gateway.
    pub gateway_table: Option<u8>,
    /// How long ago the virtual private gateway sent a notice that arrives now ([`super::vgw::VgwConfig::propagation_delay`]).
    pub propagation_delay: Duration,
    /// MTU of all ports, in octets.
    pub mtu: u32,
    /// Whether flows are counted at network interfaces, for flow logs.
    pub metered: bool,
}

/// What every packet asks of the port that it comes in by or goes out of.
#[derive(Clone, Copy, Debug)]
struct Entrance {
    role: Role,
    table: u8,
    subnet: Option<u16>,
    /// The only address that it may send from and receive for.
    checked: Option<Ipv4Addr>,
}

/// Why a packet is refused, and the record to blame for it.
type Refusal = (DropReason, RecordId);

/// A VPC with what is in it.
#[derive(Clone, Debug)]
pub struct Vpc {
    tables: Vec<RouteTable>,
    /// By port.
    entrances: Vec<Entrance>,
    acls: Vec<Option<NetworkAcl>>,
    /// True if a subnet has an ACL.
    filters: bool,
    /// Where routes by hand lead, and why what comes by a gateway does not get there.
    beyond: Vec<(Ipv4Net, DropReason)>,
    /// From which sources NAT gateways take what comes by a transit gateway.
    transit_sources: Vec<(Port, Vec<Ipv4Net>)>,
    /// The availability zone of each subnet.
    zones: Vec<u8>,
    /// The network interfaces of transit gateways' attachments.
    attachments: Vec<Vec<Port>>,
    /// The security groups of interfaces.
    guards: Vec<(Port, Guard)>,
    /// What network interfaces have sent to the resolver.
    resolver: ResolverQuota,
    /// The IPv6 addresses of instances.
    ipv6_interfaces: Vec<(Port, Ipv6Addr)>,
    propagation_delay: Duration,
    /// The flows at network interfaces, by port.
    flows: Option<Box<FlowMeter>>,
}

impl Vpc {
    /// A VPC.
    pub fn new(config: VpcConfig) -> Self {
        // The last table knows what is local, for those who may reach nothing else.
        let local = config.tables.len() as u8;
        let gateway = Entrance {
            role: Role::VirtualPrivateGateway,
            table: config.gateway_table.unwrap_or(local),
            subnet: None,
            checked: None,
        };
        let mut entrances = vec![gateway];
        for door in &config.doors {
            let checked = door.address.filter(|_| door.source_destination_check);
            let (role, subnet) = (door.role, door.subnet);
            let entrance = Entrance { role, table: door.table.unwrap_or(local), subnet, checked };
            if entrances.len() <= door.port.index() {
                entrances.resize(door.port.index() + 1, gateway);
            }
            entrances[door.port.index()] = entrance;
        }
        let is_interface = |port: Port| entrances[port.index()].role.is_interface();
        let with_local = config.tables.iter().cloned().chain([TableConfig::default()]);
        let tables = with_local.zip(0u8..).map(|(it, number)| {
            let mut table = RouteTable::new(number, &config.cidrs, &it.statics, it.propagation, is_interface);
            table.ip.add_port(GATEWAY_PORT, config.mtu);
            config.doors.iter().for_each(|door| table.ip.add_port(door.port, config.mtu));
            config.ipv6.iter().for_each(|ipv6| ipv6.enter(number.into(), &mut table.ip));
            for door in &config.doors {
                for address in door.address.iter().chain(&door.secondary) {
                    if table.is_straight(*address) {
                        table.ip.add_route((*address).into(), RouteSource::Connected, distance::CONNECTED, door.port);
                    }
                }
            }
            table
        });
        let tables = tables.collect();
        let beyond = beyond(&config);
        let transit_sources =
            config.doors.iter().filter_map(|door| Some((door.port, door.transit_sources.clone()?))).collect();
        let filters = config.acls.iter().any(Option::is_some);
        let guards = config.doors.iter().filter_map(|door| {
            let (rules, tracking) = door.groups.clone()?;
            Some((door.port, Guard::new(rules, tracking)))
        });
        let guards = guards.collect();
        let VpcConfig { acls, propagation_delay, zones, attachments, .. } = config;
        let ipv6_interfaces = config.ipv6.map(|ipv6| ipv6.interfaces).unwrap_or_default();
        let flows = config.metered.then(Box::default);
        Self {
            tables,
            entrances,
            acls,
            filters,
            beyond,
            transit_sources,
            zones,
            attachments,
            guards,
            resolver: ResolverQuota::default(),
            ipv6_interfaces,
            propagation_delay,
            flows,
        }
    }

    /// The flows at its network interfaces, if they are counted. Of two interfaces each counts a packet; the other place of a flow is
    /// the port by which it comes or goes.
    pub fn flows(&self) -> Option<&FlowMeter> {
        self.flows.as_deref()
    }

    /// Counts a packet at the interfaces that it comes from and goes to. What a security group or network ACL refuses, the interface
    /// rejects that it is the group or the ACL of; what is lost by routing has been accepted.
    #[cold]
    fn meter(&mut self, now: Instant, seen: &Glimpse, from: Port, to: Option<Port>, refused: Option<DropReason>) {
        let Some(flows) = &mut self.flows else { return };
        let is_interface = |port: Port| self.entrances[port.index()].role.is_interface();
        let rejected_outbound =
            matches!(refused, Some(DropReason::SecurityGroupOutbound | DropReason::NetworkAclOutbound));
        if is_interface(from) {
            flows.count(now, (from.0, false, to.map(|to| to.0)), seen, Ok(()), !rejected_outbound);
        }
        let rejected = matches!(refused, Some(DropReason::SecurityGroupInbound | DropReason::NetworkAclInbound));
        if let Some(to) = to.filter(|to| is_interface(*to) && (refused.is_none() || rejected)) {
            flows.count(now, (to.0, true, Some(from.0)), seen, Ok(()), !rejected);
        }
    }

    /// What packets follow in a route table.
    pub fn ip(&self, table: u8) -> &Ip {
        &self.tables[usize::from(table).min(self.tables.len() - 1)].ip
    }

    /// All routes of a table to a prefix, and how it chooses among them.
    pub fn weigh(&self, table: u8, prefix: Ipv4Net) -> Weighing {
        self.tables.get(usize::from(table)).map(|table| table.weigh(prefix)).unwrap_or_default()
    }

    /// Has a table's route by hand to a prefix be this one from now on, or none.
    fn enter(&mut self, cx: &mut Cx, table: u8, prefix: Ipv4Net, to: Option<Option<Port>>) {
        let is_interface = |port: Port| self.entrances.get(port.index()).is_some_and(|it| it.role.is_interface());
        let falls = to.flatten().is_some_and(is_interface);
        if let Some(table) = self.tables.get_mut(usize::from(table)) {
            table.enter(cx, prefix, to, falls);
        }
    }

    /// Looks a packet up that came in by a port, and says by which it goes out.
    fn route(&mut self, cx: &mut Cx, from: Entrance, packet: Packet) -> Option<(Port, Packet)> {
        let table = &mut self.tables[usize::from(from.table)];
        let changed = table.ip.changed();
        let (packet, miss) = match table.ip.way(cx, packet) {
            Ok(way) => return Some(way),
            Err(missed) => missed,
        };
        let destination = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        let (reason, blame) = match miss {
            Miss::Blackhole(route) if route.source == RouteSource::Connected => (DropReason::VpcNoInterface, changed),
            Miss::Blackhole(route) => (DropReason::BlackholeRoute, route.since),
            Miss::NoRoute if from.role.is_interface() || from.role == Role::TransitGateway => {
                (DropReason::VpcNoRoute, changed)
            }
            Miss::NoRoute => (refusal(&self.beyond, destination).unwrap_or(DropReason::VpcNoRoute), RecordId::GENESIS),
        };
        cx.drop(&packet, reason, blame);
        None
    }

    /// The network interface of the transit gateway behind port `to` by which what comes from a subnet leaves: the one in its availability
    /// zone, if there is one (page tgw-vpc-attachments.html).
    fn attachment(&self, from: Entrance, to: Port) -> Option<Port> {
        let Some(interfaces) = self.attachments.iter().find(|all| all.first() == Some(&to)) else { return Some(to) };
        let zone = |subnet: Option<u16>| subnet.and_then(|subnet| self.zones.get(usize::from(subnet)));
        let Some(own) = zone(from.subnet) else { return Some(to) };
        interfaces.iter().find(|port| zone(self.entrances[port.index()].subnet) == Some(own)).copied()
    }

    /// Why the security groups of the interface at `port` do not let a packet out to `other`, or in from it, and since which record.
    #[inline]
    fn unauthorized(&mut self, cx: &Cx, port: Port, other: Role, packet: &Packet, outbound: bool) -> Option<Refusal> {
        if self.guards.is_empty() { None } else { self.ask_guard(cx, port, other, packet, outbound) }
    }

    #[cold]
    fn ask_guard(&mut self, cx: &Cx, port: Port, other: Role, packet: &Packet, outbound: bool) -> Option<Refusal> {
        let (_, guard) = self.guards.iter_mut().find(|(at, _)| *at == port)?;
        let always = matches!(other, Role::NatGateway | Role::InterfaceEndpoint | Role::GatewayEndpoint);
        guard.refusal(cx.now, packet.bytes(), outbound, always)
    }

    /// Sends a packet out of a port that its route in a table leads to.
    fn output(&mut self, cx: &mut Cx, table: u8, to: Port, packet: Packet) {
        let narrow = to == GATEWAY_PORT
            && packet.len() > BY_HAND_MTU as usize
            && self.tables[usize::from(table)].is_by_hand(&packet);
        let ip = &mut self.tables[0].ip;
        if !narrow {
            return ip.output(cx, to, packet);
        }
        let wide = u32::try_from(ip.mtu(to)).unwrap_or(u32::MAX);
        ip.set_mtu(to, wide.min(BY_HAND_MTU));
        ip.output(cx, to, packet);
        ip.set_mtu(to, wide);
    }

    /// Why a packet that has a way does not take it.
    fn refused(&mut self, cx: &Cx, (from, to): (Port, Port), packet: &Packet) -> Option<Refusal> {
        let (source, other) = (self.entrances[from.index()], self.entrances[to.index()].role);
        if other == Role::Resolver {
            if !source.role.is_interface() {
                return Some((other.refusal(), RecordId::GENESIS));
            }
            let beyond = !self.resolver.admit(cx.now, from);
            return beyond.then_some((DropReason::ResolverPacketRate, RecordId::GENESIS));
        }
        if source.role == Role::Resolver {
            return None;
        }
        if let Some(refusal) = self.unauthorized(cx, from, other, packet, true) {
            return Some(refusal);
        }
        match self.refusal(source, to, packet) {
            Some(reason) => Some((reason, RecordId::GENESIS)),
            None => self.unauthorized(cx, to, source.role, packet, false),
        }
    }

    /// Why a packet may not go from one port to another, whatever the table says.
    fn refusal(&self, from: Entrance, to: Port, packet: &Packet) -> Option<DropReason> {
        let entrance = self.entrances[to.index()];
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if entrance.checked.is_some_and(|address| address != ip.dst()) {
            return Some(DropReason::SourceDestinationCheck);
        }
        if from.role == Role::TransitGateway {
            // Peering is not transitive, and an endpoint is for the VPC alone (pages vpc-peering-basics.html, gateway-endpoints.html).
            if matches!(entrance.role, Role::Peering | Role::GatewayEndpoint) {
                return Some(entrance.role.refusal());
            }
            let admitted = self.transit_sources.iter().find(|(port, _)| *port == to);
            if admitted.is_some_and(|(_, sources)| !sources.iter().any(|net| net.contains(&ip.src()))) {
                return Some(entrance.role.refusal());
            }
        }
        if self.filters { self.at_borders(from, entrance, packet) } else { None }
    }

    /// What the network ACLs say to a packet that crosses the border of a subnet. Of an attachment's own subnet (page tgw-nacls.html):
    /// what an instance in it sends to the gateway is looked at both ways, what the gateway sends to it is not.
    #[cold]
    fn at_borders(&self, from: Entrance, to: Entrance, packet: &Packet) -> Option<DropReason> {
        let same = from.subnet.is_some() && from.subnet == to.subnet;
        if same && to.role != Role::TransitGateway {
            return None;
        }
        let traffic = Traffic::of(packet.bytes());
        let denies = |subnet: Option<u16>, outbound| {
            let acl = subnet.and_then(|subnet| self.acls.get(usize::from(subnet))?.as_ref());
            acl.is_some_and(|acl| !acl.allows(&traffic, outbound))
        };
        if denies(from.subnet, true) {
            Some(DropReason::NetworkAclOutbound)
        } else if denies(to.subnet, false) {
            Some(DropReason::NetworkAclInbound)
        } else {
            None
        }
    }
}

/// Where a VPC's routes by hand lead, table by table, and why nothing gets there that comes by a gateway.
pub fn beyond(config: &VpcConfig) -> Vec<(Ipv4Net, DropReason)> {
    let role = |port: Port| config.doors.iter().find(|door| door.port == port).map(|door| door.role);
    let all = config.tables.iter().flat_map(|table| &table.statics);
    let all = all.filter_map(|it| {
        let role = it.to.map(|port| role(port).unwrap_or(Role::VirtualPrivateGateway))?;
        Some((it.prefix, role.refusal()))
    });
    all.filter(|(_, reason)| *reason != DropReason::VpcNoRoute).collect()
}

/// Why there is no way to a destination, of the longest prefix the first.
pub fn refusal(beyond: &[(Ipv4Net, DropReason)], destination: Ipv4Addr) -> Option<DropReason> {
    let there = beyond.iter().rev().filter(|(prefix, _)| prefix.contains(&destination));
    there.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, reason)| *reason)
}

impl Device for Vpc {
    fn start(&mut self, cx: &mut Cx) {
        let genesis = cx.cause;
        for table in &mut self.tables {
            cx.cause = genesis;
            table.ip.announce(cx);
        }
        cx.rearm();
    }

    fn stop(&mut self) {
        self.tables.iter_mut().for_each(RouteTable::reset);
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let packet = match self.tables[0].ip.inbound(cx, port, packet) {
            Inbound::Transit(packet) => packet,
            Inbound::Ipv6Transit(packet) => return self.receive_ipv6(cx, port, packet),
            Inbound::Local(_) | Inbound::Ipv6Local(_) | Inbound::Nothing => return,
        };
        let from = self.entrances[port.index()];
        if from.checked.is_some_and(|address| address != Ipv4Packet::new_unchecked(packet.bytes()).src()) {
            return cx.drop(&packet, DropReason::SourceDestinationCheck, RecordId::GENESIS);
        }
        // Flow logs have nothing that goes to or from the resolver (VPC user guide, page flow-logs-limitations.html).
        let of_resolver = |port: Port| self.entrances[port.index()].role == Role::Resolver;
        let seen = self.flows.as_ref().filter(|_| !of_resolver(port)).map(|_| Glimpse::of(&packet));
        let Some((to, mut packet)) = self.route(cx, from, packet) else {
            if let Some(seen) = seen {
                self.meter(cx.now, &seen, port, None, None);
            }
            return;
        };
        let to = match self.entrances[to.index()].role {
            Role::TransitGateway => self.attachment(from, to),
            _ => Some(to),
        };
        let Some(to) = to else { return cx.drop(&packet, DropReason::AttachmentZone, RecordId::GENESIS) };
        let passes_through = !from.role.is_interface() && !self.entrances[to.index()].role.is_interface();
        if passes_through && !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl() {
            return cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
        }
        let refused = self.refused(cx, (port, to), &packet);
        let of_resolver = self.entrances[to.index()].role == Role::Resolver;
        if let Some(seen) = seen.filter(|_| !of_resolver) {
            self.meter(cx.now, &seen, port, Some(to), refused.map(|(reason, _)| reason));
        }
        match refused {
            Some((reason, blame)) => cx.drop(&packet, reason, blame),
            None => {
                if !self.guards.is_empty() {
                    let there = self.guards.iter().filter(|(at, _)| *at == port || *at == to);
                    let restored = there.map(|(_, guard)| guard.restored()).max().unwrap_or(RecordId::GENESIS);
                    packet.needs(restored);
                }
                self.output(cx, from.table, to, packet);
            }
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.tables[0].ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.tables[0].ip.wake()
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        if let Notice::ReplaceRoute { table, prefix, to, after } = notice {
            let known = self.tables.get(usize::from(table)).is_some_and(|table| table.has_static(prefix));
            cx.waited(TimerKind::RouteReplacement, after);
            if known {
                self.enter(cx, table, prefix, Some(Some(to)));
            }
            return;
        }
        let Notice::Propagate { prefix: IpNet::V4(prefix), offered } = notice else { return };
        if !self.tables.iter().any(|table| table.propagation) {
            return;
        }
        // The local route covers the VPC's own addresses whatever is propagated, and whenever.
        if !self.propagation_delay.is_zero() && !self.tables[0].is_local(prefix) {
            cx.waited(TimerKind::PropagationDelay, self.propagation_delay);
        }
        let cause = cx.cause;
        for table in self.tables.iter_mut().filter(|table| table.propagation) {
            cx.cause = cause;
            match offered {
                Some(from) => table.take(cx, prefix, from, Reason::Propagated),
                None => table.give_up(cx, prefix),
            }
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        let cause = cx.cause;
        for table in &mut self.tables {
            cx.cause = cause;
            table.ip.carrier(cx, port, up, link_reason(up));
        }
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        match command {
            Command::SecurityGroupRule { rule, revoked } => {
                self.guards.iter_mut().for_each(|(_, guard)| guard.revoke(rule, revoked, cx.cause));
            }
            Command::VpcRoute { table, prefix, to } => self.enter(cx, table, prefix, to),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
