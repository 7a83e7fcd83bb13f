//! Inside AWS: gateways, VPCs and what is in them, by AWS's documents.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::net::acl::NetworkAcl;
use sim_core::wire::ipv4::protocol;
use sim_scenarios::plan::{
    ApplianceKind, Association, Attachment, Connection, GroupPeer, Instance, NodeKind, Routing, TransitGateway, Vpc,
};

use super::routes::{block, interfaces};
use super::{Entry, Oracle, Packet, Place, Rewrites, Rewritten};

impl Oracle<'_> {
    pub(super) fn inside_aws(
        &self,
        node: NodeId,
        from: Entry,
        packet: Packet,
        rewrites: &mut Rewrites,
    ) -> Vec<(Place, Packet)> {
        let to = packet.destination;
        let one = |place: Place| vec![(place, packet)];
        let came_from = match from {
            Entry::Node(other) => Some(other),
            Entry::Itself | Entry::Link(_) | Entry::Tunnel(_) => None,
        };
        match self.kind(node) {
            NodeKind::Instance(instance) => one(Place::At(instance.vpc, Entry::Node(node))),
            NodeKind::VirtualPrivateGateway(gateway) => {
                let known = self.known_at_vgw(node);
                let vpc = gateway.vpc.and_then(|vpc| block(self.plan, vpc));
                let longest = known
                    .iter()
                    .map(|(prefix, ..)| *prefix)
                    .chain(vpc)
                    .filter(|it| it.contains(&to))
                    .max_by_key(|it| it.prefix_len());
                let Some(longest) = longest else { return one(Place::Lost("a VGW without a route")) };
                if let Some(attached) = gateway.vpc.filter(|_| vpc == Some(longest)) {
                    return one(Place::At(attached, Entry::Node(node)));
                }
                let best = known.iter().filter(|(prefix, ..)| *prefix == longest).map(|(_, rank, _)| *rank).min();
                let best = known.iter().filter(|(prefix, rank, _)| *prefix == longest && Some(*rank) == best);
                let is_dxgw = |id: NodeId| matches!(self.kind(id), NodeKind::DirectConnectGateway(_));
                let across = |id: NodeId| {
                    // Direct Connect gateways are no transit (page direct-connect-gateways-intro.html).
                    let barred =
                        came_from.is_some_and(|from| Some(from) != gateway.vpc && (is_dxgw(from) || is_dxgw(id)));
                    if barred {
                        Place::Lost("a Direct Connect gateway is no transit")
                    } else {
                        Place::At(id, Entry::Node(node))
                    }
                };
                best.map(|(.., id)| (across(*id), packet)).collect()
            }
            NodeKind::TransitGateway(gateway) => self.at_tgw(node, gateway, came_from, packet),
            NodeKind::DirectConnectGateway(gateway) => {
                let from_interface = came_from.is_some_and(|it| matches!(self.kind(it), NodeKind::VirtualInterface(_)));
                let longest = |all: Vec<(Ipv4Net, NodeId)>| {
                    let fits: Vec<_> = all.into_iter().filter(|(prefix, _)| prefix.contains(&to)).collect();
                    let most = fits.iter().map(|(prefix, _)| prefix.prefix_len()).max();
                    fits.into_iter()
                        .filter(move |(prefix, _)| Some(prefix.prefix_len()) == most)
                        .map(|(_, id)| id)
                        .collect::<BTreeSet<_>>()
                };
                let passing =
                    gateway.associations.iter().flat_map(|it| it.passes.iter().map(|prefix| (*prefix, it.gateway)));
                let learned = |site_link: bool| {
                    interfaces(self.plan, node)
                        .filter(move |id| {
                            !site_link || matches!(self.kind(*id), NodeKind::VirtualInterface(vif) if vif.site_link)
                        })
                        .flat_map(|id| self.routes.at(id).map(move |prefix| (prefix, id)).collect::<Vec<_>>())
                };
                // It joins interfaces to gateways, and no two gateways (page direct-connect-gateways-intro.html).
                let of_another = |it: &Association| {
                    Some(it.gateway) != came_from && it.passes.iter().any(|prefix| prefix.contains(&to))
                };
                if !from_interface && gateway.associations.iter().any(of_another) {
                    return one(Place::Lost("a Direct Connect gateway is no transit"));
                }
                let ways = if from_interface {
                    let ways = longest(passing.collect());
                    let linked = came_from
                        .is_some_and(|it| matches!(self.kind(it), NodeKind::VirtualInterface(vif) if vif.site_link));
                    if ways.is_empty() && linked { longest(learned(true).collect()) } else { ways }
                } else {
                    longest(learned(false).collect())
                };
                if ways.is_empty() {
                    return one(Place::Lost("a Direct Connect gateway without a way"));
                }
                ways.into_iter().map(|id| (Place::At(id, Entry::Node(node)), packet)).collect()
            }
            NodeKind::Vpc(vpc) => {
                // By which of an attachment's subnets a packet comes in is not followed: all are possible.
                let subnets = match came_from.map(|from| self.kind(from)) {
                    Some(NodeKind::TransitGateway(gateway)) => self.attached_subnets(gateway, node),
                    Some(NodeKind::Instance(it)) => vec![it.subnet],
                    Some(NodeKind::Appliance(it)) => vec![it.subnet],
                    _ => Vec::new(),
                };
                if subnets.is_empty() {
                    return one(self.through_vpc(node, vpc, (came_from, None), packet));
                }
                let all = subnets.into_iter().map(|it| self.through_vpc(node, vpc, (came_from, Some(it)), packet));
                all.map(|place| (place, packet)).collect()
            }
            NodeKind::TransitGatewayPeering(peering) => {
                let far = peering.gateways.iter().find(|gateway| Some(**gateway) != came_from);
                one(far.map_or(Place::Lost("nowhere"), |gateway| Place::At(*gateway, Entry::Node(node))))
            }
            NodeKind::VpcPeering(peering) => {
                let side = usize::from(came_from == Some(peering.vpcs[0]));
                let blocks = peering.vpcs.map(|vpc| block(self.plan, vpc));
                // What is neither from the one VPC nor for the other does not pass (page vpc-peering-basics.html).
                let fits =
                    |block: Option<Ipv4Net>, address: Ipv4Addr| block.is_some_and(|block| block.contains(&address));
                let passes = fits(blocks[1 - side], packet.source) && fits(blocks[side], to);
                one(if passes {
                    Place::At(peering.vpcs[side], Entry::Node(node))
                } else {
                    Place::Lost("peering is no transit")
                })
            }
            NodeKind::GatewayEndpoint(endpoint) if came_from == Some(endpoint.vpc) => {
                let inside = block(self.plan, endpoint.vpc).is_some_and(|block| block.contains(&packet.source));
                one(if inside {
                    Place::At(endpoint.service, Entry::Node(node))
                } else {
                    Place::Lost("a gateway endpoint is no transit")
                })
            }
            NodeKind::GatewayEndpoint(endpoint) => one(Place::At(endpoint.vpc, Entry::Node(node))),
            NodeKind::InternetGateway(gateway) => {
                let mut after = packet;
                if came_from == Some(gateway.vpc) {
                    let Some((_, elastic)) = gateway.addresses.iter().find(|(private, _)| *private == packet.source)
                    else {
                        return one(Place::Lost("no Elastic IP address"));
                    };
                    after.source = *elastic;
                    return match self.links_of(node).next() {
                        Some((link, ..)) => vec![(self.over(link, node), after)],
                        None => one(Place::Lost("an internet gateway without an internet")),
                    };
                }
                match gateway.addresses.iter().find(|(_, elastic)| *elastic == to) {
                    Some((private, _)) => after.destination = *private,
                    None => return one(Place::Lost("an internet gateway of other addresses")),
                }
                vec![(Place::At(gateway.vpc, Entry::Node(node)), after)]
            }
            NodeKind::Appliance(appliance) => {
                if let ApplianceKind::Firewall { inside, .. } = &appliance.kind {
                    let begins = inside.is_empty() || inside.iter().any(|it| it.contains(&packet.source));
                    return one(match (to == appliance.address, begins || packet.answer) {
                        (true, _) if packet.protocol == protocol::ICMP => Place::Delivered(node),
                        (true, _) => Place::Lost("a firewall takes nothing for itself"),
                        (false, true) => Place::At(appliance.vpc, Entry::Node(node)),
                        (false, false) => Place::Lost("a firewall"),
                    });
                }
                let mut after = packet;
                let known = rewrites.get(&node).filter(|it| (it.after.1, it.after.0) == (packet.source, to));
                if let Some(it) = known {
                    // The answer to what it sent in somebody's name.
                    (after.source, after.destination) = (it.before.1, it.before.0);
                } else {
                    match &appliance.kind {
                        ApplianceKind::NatGateway { .. } if to == appliance.address => {
                            return one(Place::Lost("a NAT gateway takes nothing by itself"));
                        }
                        ApplianceKind::NatInstance { forwards } if to == appliance.address => {
                            match forwards
                                .iter()
                                .find(|it| it.port == packet.ports.1 && packet.protocol != protocol::ICMP)
                            {
                                Some(it) => (after.destination, after.ports.1) = it.to,
                                None if packet.protocol == protocol::ICMP => return one(Place::Delivered(node)),
                                None => return one(Place::Lost("a NAT instance takes nothing by itself")),
                            }
                        }
                        // It carries TCP and UDP (AWS PrivateLink guide).
                        ApplianceKind::InterfaceEndpoint { .. } if packet.protocol == protocol::ICMP => {
                            return one(Place::Lost("an endpoint carries no ICMP"));
                        }
                        ApplianceKind::InterfaceEndpoint { service } if to == appliance.address => {
                            after.destination = self.address(*service);
                        }
                        ApplianceKind::InterfaceEndpoint { .. } => {
                            return one(Place::Lost("an endpoint forwards nothing"));
                        }
                        ApplianceKind::ResolverEndpoint { .. } => {
                            return one(Place::Lost("a resolver answers DNS and nothing else"));
                        }
                        ApplianceKind::LoadBalancer { .. } => {
                            return one(Place::Lost("a load balancer, whose choice this oracle does not know"));
                        }
                        ApplianceKind::NatGateway { .. }
                        | ApplianceKind::NatInstance { .. }
                        | ApplianceKind::Firewall { .. } => {}
                    }
                    after.source = appliance.address;
                    let ends = |it: Packet| (it.source, it.destination);
                    rewrites.insert(node, Rewritten { before: ends(packet), after: ends(after) });
                }
                let next = match &appliance.kind {
                    ApplianceKind::InterfaceEndpoint { service } if known_service(self, *service, after) => *service,
                    _ => appliance.vpc,
                };
                vec![(Place::At(next, Entry::Node(node)), after)]
            }
            _ => one(Place::Lost("nowhere")),
        }
    }

    /// The endpoint by which a service answers a VPC.
    pub(super) fn door(&self, host: NodeId, to: Ipv4Addr) -> Option<Place> {
        let behind = |kind: &NodeKind| match kind {
            NodeKind::GatewayEndpoint(it) => {
                it.service == host && block(self.plan, it.vpc).is_some_and(|block| block.contains(&to))
            }
            NodeKind::Appliance(it) => match it.kind {
                ApplianceKind::InterfaceEndpoint { service } => service == host && it.address == to,
                ApplianceKind::NatGateway { .. }
                | ApplianceKind::NatInstance { .. }
                | ApplianceKind::LoadBalancer { .. }
                | ApplianceKind::ResolverEndpoint { .. }
                | ApplianceKind::Firewall { .. } => false,
            },
            _ => false,
        };
        let found = self.plan.nodes.iter().zip((0..).map(NodeId)).find(|(node, _)| behind(&node.kind));
        found.map(|(_, id)| Place::At(id, Entry::Node(host)))
    }

    /// What a virtual private gateway routes to beyond its VPC: prefix, rank by source, and the device that leads there.
    fn known_at_vgw(&self, vgw: NodeId) -> Vec<(Ipv4Net, u8, NodeId)> {
        let mut all = Vec::new();
        for (number, connection) in self.plan.connections.iter().enumerate().filter(|(_, it)| it.gateway == vgw) {
            for (place, tunnel) in connection.tunnels.iter().enumerate() {
                let up = self.routes.up.contains(&sim_scenarios::plan::TunnelId { connection: number, tunnel: place });
                match &connection.routing {
                    Routing::Static(prefixes) if up => all.extend(prefixes.iter().map(|it| (*it, 1, tunnel.endpoint))),
                    Routing::Static(_) => {}
                    Routing::Bgp => all.extend(self.routes.at(tunnel.endpoint).map(|it| (it, 2, tunnel.endpoint))),
                }
            }
        }
        for id in interfaces(self.plan, vgw) {
            all.extend(self.routes.at(id).map(|it| (it, 0, id)));
        }
        for (node, id) in self.plan.nodes.iter().zip((0..).map(NodeId)) {
            if let NodeKind::DirectConnectGateway(gateway) = &node.kind
                && gateway.associations.iter().any(|it| it.gateway == vgw)
            {
                let learned = interfaces(self.plan, id).flat_map(|it| self.routes.at(it).collect::<Vec<_>>());
                all.extend(learned.map(|it| (it, 0, id)));
            }
        }
        all
    }

    fn at_tgw(
        &self,
        node: NodeId,
        gateway: &TransitGateway,
        came_from: Option<NodeId>,
        packet: Packet,
    ) -> Vec<(Place, Packet)> {
        let to = packet.destination;
        let one = |place: Place| vec![(place, packet)];
        let attachment = |id: NodeId| match self.kind(id) {
            NodeKind::Vpc(_) => Some(Attachment::Vpc(id)),
            NodeKind::DirectConnectGateway(_) => Some(Attachment::DirectConnectGateway(id)),
            NodeKind::TransitGatewayPeering(_) => Some(Attachment::Peering(id)),
            NodeKind::VpnEndpoint(endpoint) => {
                let connection = &self.plan.connections[endpoint.tunnel.connection];
                // The outside of a private-IP tunnel belongs to what transports it.
                match connection.transport.filter(|_| packet.source == endpoint.address) {
                    Some(transport) => Some(Attachment::DirectConnectGateway(transport)),
                    None if connection.concentrator.is_some() => {
                        connection.concentrator.map(|it| Attachment::Concentrator(node, it))
                    }
                    None => Some(Attachment::Connection(endpoint.tunnel.connection)),
                }
            }
            _ => None,
        };
        let outside = self.plan.nodes.iter().zip((0..).map(NodeId)).find(|(other, _)| match &other.kind {
            NodeKind::VpnEndpoint(endpoint) => {
                endpoint.gateway == node
                    && endpoint.address == to
                    && self.plan.connections[endpoint.tunnel.connection].transport.is_some()
            }
            _ => false,
        });
        if let Some((_, id)) = outside {
            return one(Place::Delivered(id));
        }
        let source = came_from.and_then(attachment);
        // What leaves a private-IP tunnel's outside follows the virtual interfaces of its transport.
        let private =
            came_from.filter(|id| matches!(self.kind(*id), NodeKind::VpnEndpoint(it) if it.address == packet.source));
        if let (Some(_), Some(Attachment::DirectConnectGateway(id))) = (private, source) {
            return one(Place::At(id, Entry::Node(node)));
        }
        let table =
            source.and_then(|source| gateway.route_tables.iter().find(|table| table.associations.contains(&source)));
        let Some(table) = table else { return one(Place::Lost("an attachment without an association")) };
        let rank = |it: Attachment| match it {
            Attachment::Vpc(_) => 1,
            Attachment::DirectConnectGateway(_) => 2,
            Attachment::Peering(_) => 5,
            Attachment::Connection(number) => match &self.plan.connections[number] {
                Connection { routing: Routing::Static(_), .. } => 0,
                Connection { transport: Some(_), .. } => 3,
                Connection { transport: None, .. } => 4,
            },
            Attachment::Concentrator(..) => 5,
            Attachment::Connect(_) => u8::MAX,
        };
        let statics = table.routes.iter().map(|(prefix, to)| (*prefix, 0, *to));
        let propagated = table.propagations.iter().flat_map(|from| {
            self.routes
                .behind(self.plan, *from)
                .into_keys()
                .map(|prefix| (prefix, rank(*from), Some(*from)))
                .collect::<Vec<_>>()
        });
        let known: Vec<(Ipv4Net, u8, Option<Attachment>)> =
            statics.chain(propagated).filter(|(it, ..)| it.contains(&to)).collect();
        let Some((length, best)) = known
            .iter()
            .map(|(prefix, rank, _)| (prefix.prefix_len(), *rank))
            .max_by_key(|(length, rank)| (*length, 255 - rank))
        else {
            return one(Place::Lost("a transit gateway without a route"));
        };
        let chosen = known.iter().filter(|(prefix, rank, _)| (prefix.prefix_len(), *rank) == (length, best));
        let mut ways = Vec::new();
        for (prefix, _, attachment) in chosen {
            match attachment {
                None => ways.push(Place::Lost("a blackhole")),
                Some(Attachment::Vpc(id) | Attachment::DirectConnectGateway(id) | Attachment::Peering(id)) => {
                    ways.push(Place::At(*id, Entry::Node(node)))
                }
                Some(Attachment::Concentrator(_, number)) => {
                    let on_it = self
                        .plan
                        .connections
                        .iter()
                        .filter(|it| it.gateway == node && it.concentrator == Some(*number));
                    let tunnels = on_it.flat_map(|it| &it.tunnels);
                    let learned = tunnels.filter(|it| self.routes.at(it.endpoint).any(|known| known == *prefix));
                    ways.extend(learned.map(|it| Place::At(it.endpoint, Entry::Node(node))));
                }
                Some(Attachment::Connect(_)) => ways.push(Place::Lost("GRE, of which nothing is known here")),
                Some(Attachment::Connection(number)) => {
                    let connection = &self.plan.connections[*number];
                    let usable = |(place, tunnel): &(usize, &sim_scenarios::plan::Tunnel)| {
                        let up = self
                            .routes
                            .up
                            .contains(&sim_scenarios::plan::TunnelId { connection: *number, tunnel: *place });
                        let learned = best == 0 || self.routes.at(tunnel.endpoint).any(|it| it == *prefix);
                        up && learned
                    };
                    let tunnels = connection.tunnels.iter().enumerate().filter(usable);
                    ways.extend(tunnels.map(|(_, tunnel)| Place::At(tunnel.endpoint, Entry::Node(node))));
                }
            }
        }
        if ways.is_empty() {
            ways.push(Place::Lost("a connection without a tunnel"));
        }
        ways.into_iter().map(|place| (place, packet)).collect()
    }

    /// A VPC: the table of where a packet comes from, network ACLs, security groups, and what may not be reached from where.
    fn through_vpc(
        &self,
        id: NodeId,
        vpc: &Vpc,
        (came_from, subnet): (Option<NodeId>, Option<usize>),
        packet: Packet,
    ) -> Place {
        let to = packet.destination;
        let Some(from) = came_from else { return Place::Lost("nowhere") };
        let zone = |subnet: usize| &vpc.subnets[subnet].availability_zone;
        let subnet_of = |node: NodeId| match self.kind(node) {
            NodeKind::Instance(it) => Some(it.subnet),
            NodeKind::Appliance(it) => Some(it.subnet),
            // It is left by the attachment's subnet in the same zone (page tgw-vpc-attachments.html).
            NodeKind::TransitGateway(it) => {
                let all = self.attached_subnets(it, id);
                let same = subnet.and_then(|own| all.iter().find(|other| zone(**other) == zone(own)));
                same.or_else(|| all.first().filter(|_| subnet.is_none())).copied()
            }
            _ => None,
        };
        if self.checks(from).is_some_and(|own| own != packet.source) {
            return Place::Lost("the source/destination check");
        }
        let table = match self.kind(from) {
            NodeKind::VirtualPrivateGateway(it) => it.route_table,
            NodeKind::InternetGateway(it) => it.route_table,
            _ => subnet.map(|subnet| vpc.subnets[subnet].route_table),
        };
        let Some(next) = self.looked_up(id, vpc, table, to) else { return Place::Lost("a VPC table without a route") };
        let next = match next {
            Target::Local => {
                let holds = |it: &NodeKind| match it {
                    NodeKind::Instance(it) => it.vpc == id && it.address == to,
                    NodeKind::Appliance(it) => it.vpc == id && it.address == to,
                    _ => false,
                };
                match self.plan.nodes.iter().position(|node| holds(&node.kind)) {
                    Some(index) => NodeId(index as u32),
                    None => return Place::Lost("nobody has that address"),
                }
            }
            Target::Node(node) => node,
            Target::Blackhole => return Place::Lost("a blackhole"),
        };
        // Without a subnet in its zone an instance does not reach the attachment.
        if let (NodeKind::TransitGateway(it), Some(subnet)) = (self.kind(next), subnet_of(from)) {
            let zone = |subnet: usize| &vpc.subnets[subnet].availability_zone;
            let place = it.vpcs.iter().position(|other| *other == id);
            let attached = place.and_then(|place| it.subnets.get(place));
            if !attached.is_some_and(|all| all.iter().any(|other| zone(*other) == zone(subnet))) {
                return Place::Lost("no attachment in its zone");
            }
        }
        if let Some(why) = self.barred(from, next, packet) {
            return Place::Lost(why);
        }
        if self.checks(next).is_some_and(|own| own != to) {
            return Place::Lost("the source/destination check");
        }
        let (leaves, enters) = (subnet, subnet_of(next));
        if enters.is_none() && matches!(self.kind(next), NodeKind::TransitGateway(_)) {
            return Place::Lost("a zone without an attachment");
        }
        let same = leaves.is_some() && leaves == enters;
        let to_transit = matches!(self.kind(next), NodeKind::TransitGateway(_));
        let acl = |subnet: Option<usize>| vpc.subnets[subnet?].network_acl.map(|acl| &vpc.network_acls[acl].1);
        if (!same || to_transit) && acl(leaves).is_some_and(|acl| !allows(acl, &packet, true)) {
            return Place::Lost("a network ACL");
        }
        if (!same || to_transit) && acl(enters).is_some_and(|acl| !allows(acl, &packet, false)) {
            return Place::Lost("a network ACL");
        }
        for (node, outbound) in [(from, true), (next, false)] {
            if let NodeKind::Instance(it) = self.kind(node)
                && !self.authorized(id, vpc, it, packet, outbound)
            {
                return Place::Lost("a security group");
            }
        }
        Place::At(next, Entry::Node(id))
    }

    /// The subnets of a transit gateway's attachment in a VPC.
    fn attached_subnets(&self, gateway: &TransitGateway, vpc: NodeId) -> Vec<usize> {
        let place = gateway.vpcs.iter().position(|other| *other == vpc);
        place.and_then(|place| gateway.subnets.get(place).cloned()).unwrap_or_default()
    }

    /// The only address that an interface sends from and receives for, if it is checked.
    fn checks(&self, node: NodeId) -> Option<Ipv4Addr> {
        match self.kind(node) {
            NodeKind::Instance(it) => Some(it.address),
            NodeKind::Appliance(it) => it.source_destination_check.then_some(it.address),
            _ => None,
        }
    }

    /// What may not be reached from where, whatever the tables say (fact sheet, section 7.1).
    fn barred(&self, from: NodeId, to: NodeId, packet: Packet) -> Option<&'static str> {
        let by_transit = matches!(self.kind(from), NodeKind::TransitGateway(_));
        match self.kind(to) {
            NodeKind::VpcPeering(_) | NodeKind::GatewayEndpoint(_) if by_transit => Some("no transit"),
            NodeKind::Appliance(it) if by_transit => match it.kind {
                ApplianceKind::NatGateway { from_transit_gateway: false, .. } => {
                    let inside = |node: &sim_scenarios::plan::Node| matches!(&node.kind, NodeKind::Vpc(vpc) if vpc.cidr.contains(&packet.source));
                    (!packet.answer && !self.plan.nodes.iter().any(inside))
                        .then_some("a NAT gateway does not serve sites")
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The target of the route that a table has for an address; the VPC's own addresses only without one.
    fn looked_up(&self, id: NodeId, vpc: &Vpc, table: Option<usize>, to: Ipv4Addr) -> Option<Target> {
        let local = vpc.cidr.contains(&to);
        let Some(number) = table else { return local.then_some(Target::Local) };
        let table = &vpc.route_tables[number];
        // Prefix, rank among equals, target.
        let mut all: Vec<(Ipv4Net, u8, Target)> = Vec::new();
        if local {
            all.push((vpc.cidr, 0, Target::Local));
        }
        all.extend(table.routes.iter().map(|(prefix, to)| (*prefix, 1, to.map_or(Target::Blackhole, Target::Node))));
        for (node, at) in self.plan.nodes.iter().zip((0..).map(NodeId)) {
            if let NodeKind::GatewayEndpoint(it) = &node.kind
                && it.vpc == id
                && it.route_tables.contains(&number)
            {
                all.extend(it.prefix_list.iter().map(|prefix| (*prefix, 2, Target::Node(at))));
            }
        }
        // The VPC's own addresses are local whatever is propagated.
        for gateway in table.propagation.iter().filter(|_| !local) {
            let known = self.known_at_vgw(*gateway);
            all.extend(known.into_iter().map(|(prefix, rank, _)| (prefix, 3 + rank, Target::Node(*gateway))));
        }
        let fits = all.into_iter().filter(|(prefix, ..)| prefix.contains(&to));
        fits.max_by_key(|(prefix, rank, _)| (prefix.prefix_len(), 255 - rank)).map(|(.., target)| target)
    }

    /// Whether the security groups of an instance let a packet pass; what answers a packet that passed does.
    fn authorized(&self, id: NodeId, vpc: &Vpc, instance: &Instance, packet: Packet, outbound: bool) -> bool {
        if instance.security_groups.is_empty() || packet.answer {
            return true;
        }
        let other = if outbound { packet.destination } else { packet.source };
        let member = |group: usize| {
            self.plan.nodes.iter().any(|node| {
                matches!(&node.kind, NodeKind::Instance(it) if it.vpc == id && it.address == other && it.security_groups.contains(&group))
            })
        };
        let rules = instance.security_groups.iter().flat_map(|group| &vpc.security_groups[*group].rules);
        rules.filter(|rule| rule.outbound == outbound).any(|rule| {
            let peer = match rule.other {
                GroupPeer::Network(network) => network.contains(&other),
                GroupPeer::Group(group) => member(group),
            };
            peer && rule.protocol.is_none_or(|it| it == packet.protocol)
                && rule
                    .ports
                    .as_ref()
                    .is_none_or(|ports| packet.protocol != protocol::ICMP && ports.contains(&packet.ports.1))
        })
    }
}

/// Where a route of a VPC leads.
#[derive(Clone, Copy)]
enum Target {
    Local,
    Node(NodeId),
    Blackhole,
}

/// True if a packet is for the service behind an interface endpoint.
fn known_service(oracle: &Oracle<'_>, service: NodeId, packet: Packet) -> bool {
    oracle.address(service) == packet.destination
}

/// What a network ACL says: the lowest number that fits, and no to the rest.
fn allows(acl: &NetworkAcl, packet: &Packet, outbound: bool) -> bool {
    let other = if outbound { packet.destination } else { packet.source };
    let fits = acl.entries(outbound).find(|entry| {
        let rule = &entry.matches;
        rule.protocol.is_none_or(|it| it == packet.protocol)
            && rule.other.contains(&other)
            && rule
                .ports
                .as_ref()
                .is_none_or(|ports| packet.protocol != protocol::ICMP && ports.contains(&packet.ports.1))
    });
    fits.is_some_and(|entry| entry.allow)
}
