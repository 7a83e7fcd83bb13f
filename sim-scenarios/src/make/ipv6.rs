//! IPv6: addresses beside those of IPv4, connections that are for it, and probes that go by it.
//!
//! What AWS asks: a connection is for IPv4 or for IPv6 inside, never both, and for IPv6 only to a transit gateway (Site-to-Site VPN
//! user guide, "IPv4 and IPv6 traffic"); each of its tunnels has an inside /126 out of fd00::/8, of which AWS has the first host.
//! What this program does not carry by IPv6 is refused here: firewalls, network ACLs and security groups of IPv6, AH, static
//! routing, and routes of a VPC to anything but a transit gateway.

use core::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use sim_core::id::NodeId;
use sim_core::proto::ike::config::ChildProtocol;

use crate::leaf::Name;
use crate::place::At;
use crate::plan::{IkeEnd, InsideIpv6, IpVersion, NodeKind, Plan, VpcIpv6, Warning};
use crate::schema;

use super::Names;
use super::judge::{Judge, Verdict, between};

/// A prefix without octets beyond its length.
pub(super) fn whole(net: &IpNet) -> Verdict {
    if net.addr() == net.network() {
        Ok(())
    } else {
        Err(format!("{net} has bits beyond its prefix length: it would be {}", net.trunc()))
    }
}

fn whole_v6(net: &Ipv6Net) -> Verdict {
    whole(&IpNet::V6(*net))
}

/// An address that a device may have.
fn usable(address: Ipv6Addr) -> Verdict {
    let special = address.is_loopback() || address.is_multicast() || address.is_unspecified();
    if special || address.is_unicast_link_local() {
        Err(format!("{address} is no device's address here: give a global or unique local one"))
    } else {
        Ok(())
    }
}

/// A /126 out of fd00::/8 (API: `TunnelInsideIpv6Cidr`).
fn inside_rules(net: &Ipv6Net) -> Verdict {
    if net.prefix_len() != 126 || net.addr().octets()[0] != 0xfd {
        return Err(format!("an inside IPv6 CIDR is a /126 out of fd00::/8, not {net}"));
    }
    whole_v6(net)
}

/// Whether a connection is for IPv6, and what its tunnels have in common: the traffic selectors of AWS's side and the customer's.
pub(super) fn of_connection(schema: &schema::Vpn, transit: bool, j: &mut Judge) -> Option<[Ipv6Net; 2]> {
    let version = j.or(&schema.tunnel_inside_ip_version, IpVersion::V4);
    let cidrs = [&schema.remote_ipv6_network_cidr, &schema.local_ipv6_network_cidr];
    let of_ipv4 = [&schema.remote_ipv4_network_cidr, &schema.local_ipv4_network_cidr];
    let selectors = cidrs.map(|at| j.lawful_or(at, Ipv6Net::default(), whole_v6));
    let (Some(at), IpVersion::V6) = (&schema.tunnel_inside_ip_version, version) else {
        for at in cidrs.into_iter().flatten() {
            let help = "give the connection `tunnel_inside_ip_version: \"ipv6\"`";
            j.wrong(at.place, "this connection is for IPv4: it carries no IPv6", Some(help.into()));
        }
        return None;
    };
    for at in of_ipv4.into_iter().flatten() {
        j.wrong(at.place, "this connection is for IPv6: it carries no IPv4", None);
    }
    if !transit {
        let help = "end the connection at a transit gateway, or leave `tunnel_inside_ip_version` out";
        j.wrong(at.place, "a virtual private gateway carries no IPv6", Some(help.into()));
    }
    if matches!(schema.routing, schema::Routing::Static(_)) {
        j.wrong(at.place, "IPv6 inside is for connections with BGP here: static routes are of IPv4", None);
    }
    Some(selectors)
}

/// The inside of a tunnel, if its connection is for IPv6.
pub(super) fn inside(
    schema: &schema::Tunnel,
    selectors: Option<[Ipv6Net; 2]>,
    ends: [&IkeEnd; 2],
    j: &mut Judge,
) -> Option<InsideIpv6> {
    let cidr = schema.inside_ipv6_cidr.as_ref().and_then(|at| j.lawful(at, inside_rules));
    let selectors = selectors?;
    if schema.inside_ipv6_cidr.is_none() {
        let help = "add `inside_ipv6_cidr:`, a /126 out of fd00::/8";
        j.wrong(
            schema.inside_cidr.place,
            "the connection is for IPv6, and this tunnel has no inside IPv6 CIDR",
            Some(help.into()),
        );
    }
    if ends.iter().any(|end| end.child_protocol != ChildProtocol::Esp) {
        j.wrong(schema.inside_cidr.place, "AH carries IPv4 only here", None);
    }
    let cidr = cidr.unwrap_or_default();
    let host = |number: u128| Ipv6Addr::from(u128::from(cidr.network()).wrapping_add(number));
    Some(InsideIpv6 { cidr, aws: host(1), customer: host(2), selectors })
}

/// Inside CIDRs are unique on a customer gateway, and without effect on a connection for IPv4.
fn connections(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let mut warnings = Vec::new();
    let mut taken: Vec<(NodeId, Ipv6Net)> = Vec::new();
    for ((_, schema::Connection::Vpn(schema)), connection) in scenario.connections.0.iter().zip(&plan.connections) {
        for ((_, schema), tunnel) in schema.tunnels.0.iter().zip(&connection.tunnels) {
            let Some(at) = &schema.inside_ipv6_cidr else { continue };
            let Some(inside) = &tunnel.inside_ipv6 else {
                let own = tunnel.name.rsplit('.').next().unwrap_or_default();
                let parameter = format!("connections.{}.tunnels.{own}.inside_ipv6_cidr", connection.name);
                let text = "the connection is for IPv4 (`tunnel_inside_ip_version`): this has no effect".to_owned();
                warnings.push(Warning { parameter, text });
                continue;
            };
            let own = (connection.customer_gateway, inside.cidr);
            if taken.contains(&own) {
                let message =
                    format!("{} is already the inside IPv6 CIDR of another tunnel of this gateway", inside.cidr);
                j.wrong(at.place, message, None);
            }
            taken.push(own);
        }
    }
    plan.warnings.extend(warnings);
}

/// The addresses of devices, when devices and links are known.
pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    for (number, (_, node)) in scenario.nodes.0.iter().enumerate() {
        let id = NodeId(number as u32);
        match node {
            schema::Node::CustomerGateway(it) => gateway(it, id, plan, j),
            schema::Node::Vpc(it) => vpc(it, id, names, plan, j),
            schema::Node::Router(schema::Router { ipv6_address: Some(at), .. }) => {
                let address = j.lawful(at, |address| usable(*address));
                plan.ipv6.routers.extend(address.map(|address| (id, address)));
            }
            schema::Node::BgpRouter(it) => {
                for at in it.interfaces.0.iter().filter_map(|(_, interface)| interface.ipv6_address.as_ref()) {
                    j.wrong(at.place, "a BGP router forwards IPv4 only", None);
                }
            }
            _ => {}
        }
    }
    for (number, (_, node)) in scenario.nodes.0.iter().enumerate() {
        let id = NodeId(number as u32);
        match node {
            schema::Node::Host(schema::Host { ipv6_address: Some(at), .. }) => host(at, id, plan, j),
            schema::Node::Instance(it) => instance(it, id, plan, j),
            _ => {}
        }
    }
    unique(scenario, plan, j);
    connections(scenario, plan, j);
}

fn gateway(schema: &schema::CustomerGateway, id: NodeId, plan: &mut Plan, j: &mut Judge) {
    let mut has_any = plan
        .connections
        .iter()
        .any(|it| it.customer_gateway == id && it.tunnels.iter().any(|t| t.inside_ipv6.is_some()));
    for (number, (_, interface)) in schema.interfaces.0.iter().enumerate() {
        let Some(at) = &interface.ipv6_address else { continue };
        has_any = true;
        if let Some(net) = j.lawful(at, |net| usable(net.addr())) {
            plan.ipv6.interfaces.insert((id, number), net);
        }
    }
    let advertised = schema.advertise_ipv6.iter().filter_map(|at| j.lawful(at, whole_v6)).collect();
    plan.ipv6.advertised.insert(id, advertised);
    let first = schema.interfaces.0.first().map(|(_, interface)| interface.address.place);
    if let (true, true, Some(place)) = (has_any, schema.firewall.is_some(), first) {
        j.wrong(place, "a firewall sees IPv4 only here: its gateway can have no IPv6", None);
    }
}

/// A host is on a link to an interface of a customer gateway, in the same subnet.
fn host(at: &At<Ipv6Net>, id: NodeId, plan: &mut Plan, j: &mut Judge) {
    let links = plan.links.iter().filter(|link| link.ends.iter().any(|end| end.node == id));
    let ends = links.flat_map(|link| link.ends).filter(|end| end.node != id);
    let subnets: Vec<Ipv6Net> =
        ends.filter_map(|end| plan.ipv6.interfaces.get(&(end.node, end.interface?))).copied().collect();
    let address = j.lawful(at, |net| {
        usable(net.addr())?;
        match subnets.iter().any(|subnet| subnet.trunc() == net.trunc()) {
            true => Ok(()),
            false => {
                Err(format!("no interface of a customer gateway at the other end of its link is in {}", net.trunc()))
            }
        }
    });
    plan.ipv6.hosts.extend(address.map(|net| (id, net.addr())));
}

fn instance(schema: &schema::Instance, id: NodeId, plan: &mut Plan, j: &mut Judge) {
    let (Some(at), Some(NodeKind::Instance(instance))) =
        (&schema.ipv6_address, plan.nodes.get(id.index()).map(|node| &node.kind))
    else {
        return;
    };
    let subnet = plan.ipv6.vpcs.get(&instance.vpc).and_then(|vpc| vpc.subnets.get(instance.subnet).copied().flatten());
    if let Some(group) = schema.security_groups.first() {
        j.wrong(
            group.place,
            "security groups have rules of IPv4 only here: this instance can have no IPv6 address",
            None,
        );
    }
    let address = j.lawful(at, |address| match subnet {
        None => Err("its subnet has no `ipv6_cidr`".into()),
        Some(block) if !block.contains(address) => Err(format!("{address} is not in subnet {block}")),
        Some(block) => not_reserved(block, *address),
    });
    plan.ipv6.hosts.extend(address.map(|address| (id, address)));
}

/// The first four addresses of a subnet and the last are AWS's (VPC user guide, page subnet-sizing.html).
fn not_reserved(block: Ipv6Net, address: Ipv6Addr) -> Verdict {
    let first = u128::from(address).wrapping_sub(u128::from(block.network()));
    if first < 4 || address == block.broadcast() {
        Err(format!("{address} is one of the five addresses of {block} that AWS keeps"))
    } else {
        Ok(())
    }
}

/// A block of a VPC or of one of its subnets (page vpc-cidr-blocks.html): /44 to /60, and to /64, in steps of four bits.
fn block(at: &At<Ipv6Net>, longest: u8, what: &str, j: &mut Judge) -> Option<Ipv6Net> {
    j.lawful(at, |net| {
        usable(net.addr())?;
        whole_v6(net)?;
        between(net.prefix_len(), 44, longest, what)?;
        if net.prefix_len() % 4 == 0 { Ok(()) } else { Err(format!("{what} is a multiple of 4")) }
    })
}

fn vpc(schema: &schema::Vpc, id: NodeId, names: &Names, plan: &mut Plan, j: &mut Judge) {
    let own = schema.ipv6_cidr.as_ref().and_then(|at| block(at, 60, "the prefix length of a VPC's IPv6 block", j));
    let mut subnets: Vec<Option<Ipv6Net>> = Vec::new();
    for (_, subnet) in &schema.subnets.0 {
        let Some(at) = &subnet.ipv6_cidr else {
            subnets.push(None);
            continue;
        };
        let block = block(at, 64, "the prefix length of a subnet's IPv6 block", j);
        match (own, block) {
            (None, _) => j.wrong(at.place, "the VPC has no `ipv6_cidr`", None),
            (Some(own), Some(block)) if !own.contains(&block) => {
                j.wrong(at.place, format!("{block} is not inside the VPC's block {own}"), None);
            }
            (Some(_), Some(block))
                if subnets.iter().flatten().any(|other| other.contains(&block) || block.contains(other)) =>
            {
                j.wrong(at.place, format!("{block} overlaps another subnet"), None);
            }
            (Some(_), _) => {}
        }
        if let Some(acl) = &subnet.network_acl {
            j.wrong(acl.place, "network ACLs have rules of IPv4 only here: this subnet can have no IPv6 block", None);
        }
        subnets.push(block);
    }
    let mut routes: Vec<Vec<(Ipv6Net, Option<NodeId>)>> = Vec::new();
    for (_, table) in &schema.route_tables.0 {
        let mut made: Vec<(Ipv6Net, Option<NodeId>)> = Vec::new();
        for route in &table.ipv6_routes {
            let (destination, target) =
                (j.lawful(&route.destination, whole_v6), target(&route.target, id, names, plan, j));
            let (Some(destination), Some(target)) = (destination, target) else { continue };
            if own.is_none() {
                j.wrong(route.destination.place, "the VPC has no `ipv6_cidr`", None);
            } else if own.is_some_and(|own| own.contains(&destination)) {
                j.wrong(route.destination.place, format!("{destination} is inside of the VPC"), None);
            } else if made.iter().any(|(other, _)| *other == destination) {
                j.wrong(route.destination.place, format!("this table has a route to {destination} already"), None);
            }
            made.push((destination, target));
        }
        routes.push(made);
    }
    plan.ipv6.vpcs.extend(own.map(|block| (id, VpcIpv6 { block, subnets, routes })));
}

/// Where an IPv6 route of a VPC leads; `Some(None)` for a blackhole.
fn target(at: &At<Name>, vpc: NodeId, names: &Names, plan: &Plan, j: &mut Judge) -> Option<Option<NodeId>> {
    if matches!(&at.value, Ok(Name(name)) if name == "blackhole") {
        return Some(None);
    }
    let id = j.find(at, "target of IPv6 routes in this VPC", &names.nodes).map(|i| NodeId(i as u32))?;
    match plan.nodes.get(id.index()).map(|node| &node.kind) {
        Some(NodeKind::TransitGateway(gateway)) if gateway.vpcs.contains(&vpc) => Some(Some(id)),
        _ => {
            let help = "only transit gateways carry a VPC's IPv6 here, and a virtual private gateway never does";
            j.wrong(at.place, "this is no transit gateway that is attached to the VPC", Some(help.into()));
            None
        }
    }
}

/// No two devices have the same address.
fn unique(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let mut owners: Vec<(Ipv6Addr, String)> = Vec::new();
    let mut claim = |address: Option<Ipv6Addr>, owner: String, place, j: &mut Judge| {
        let Some(address) = address else { return };
        match owners.iter().find(|(other, _)| *other == address) {
            Some((_, other)) => j.wrong(place, format!("{address} is already the address of `{other}`"), None),
            None => owners.push((address, owner)),
        }
    };
    for (number, (_, node)) in scenario.nodes.0.iter().enumerate() {
        let id = NodeId(number as u32);
        let name = plan.nodes[number].name.clone();
        let of_host = plan.ipv6.hosts.get(&id).copied();
        match node {
            schema::Node::Host(schema::Host { ipv6_address: Some(at), .. }) => claim(of_host, name, at.place, j),
            schema::Node::Instance(schema::Instance { ipv6_address: Some(at), .. }) => {
                claim(of_host, name, at.place, j)
            }
            schema::Node::CustomerGateway(it) => {
                for (interface, (_, schema)) in it.interfaces.0.iter().enumerate() {
                    let Some(at) = &schema.ipv6_address else { continue };
                    let own = plan.ipv6.interfaces.get(&(id, interface)).map(|net| net.addr());
                    claim(own, name.clone(), at.place, j);
                }
            }
            schema::Node::Router(schema::Router { ipv6_address: Some(at), .. }) => {
                claim(plan.ipv6.routers.get(&id).copied(), name, at.place, j);
            }
            _ => {}
        }
    }
    for ((_, schema::Connection::Vpn(schema)), connection) in scenario.connections.0.iter().zip(&plan.connections) {
        for ((_, schema), tunnel) in schema.tunnels.0.iter().zip(&connection.tunnels) {
            if let IpAddr::V6(address) = tunnel.aws_outside {
                claim(Some(address), tunnel.name.clone(), schema.outside_address.place, j);
            }
        }
    }
}

/// The probes that go by IPv6, when probes are known.
pub(super) fn probes(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    for (number, (_, probe)) in scenario.probes.0.iter().enumerate() {
        let (schema::Probe::UdpEcho(stream)
        | schema::Probe::IcmpEcho(stream)
        | schema::Probe::UdpOneWay(stream)
        | schema::Probe::TcpEcho(stream)) = probe;
        if j.or(&stream.ip_version, IpVersion::V4) == IpVersion::V4 {
            continue;
        }
        let Some(planned) = plan.probes.get(number) else { continue };
        for (end, at) in [(planned.from, &stream.from), (planned.to, &stream.to)] {
            if !plan.ipv6.hosts.contains_key(&end) {
                let help = "give it `ipv6_address:`";
                j.wrong(at.place, "the probe goes by IPv6, and this has no IPv6 address", Some(help.into()));
            }
        }
        if let Some(to) = plan.ipv6.hosts.get(&planned.to) {
            plan.ipv6.probes.insert(number, *to);
        }
    }
}
