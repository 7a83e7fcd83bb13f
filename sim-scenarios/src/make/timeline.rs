//! What is sent and what happens: probes, groups that share a fate, faults.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use sim_core::id::{LinkId, NodeId};
use sim_core::net::nat::Mode;
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};

use crate::leaf::{Name, Size, When};
use crate::place::At;
use crate::plan::{
    ApplianceKind, Directions, Fault, FaultKind, Group, Link, NodeKind, Plan, Probe, ProbeKind, Side, TunnelId,
};
use crate::schema;

use super::judge::{Judge, Verdict, between, did_you_mean, positive};
use super::links::conditions;
use super::nodes::usable;
use super::vpc::interface;
use super::{Names, gateway_routes, interface_update, maintenance, vpc_routes};

/// How long a failover test lasts, if nothing else is said, and at most.
const USUAL_TEST: Duration = Duration::from_secs(180 * 60);
const LONGEST_TEST: Duration = Duration::from_secs(4_320 * 60);
/// Tunnels and their routes are up by then.
const PROBES_START: Duration = Duration::from_secs(60);

pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    for (name, (_, schema)) in names.probes.iter().zip(&scenario.probes.0) {
        let (kind, stream) = match schema {
            schema::Probe::UdpEcho(stream) => (ProbeKind::UdpEcho, stream),
            schema::Probe::IcmpEcho(stream) => (ProbeKind::IcmpEcho, stream),
            schema::Probe::UdpOneWay(stream) => (ProbeKind::UdpOneWay, stream),
            schema::Probe::TcpEcho(stream) => (ProbeKind::TcpEcho, stream),
        };
        let probe = probe(name, kind, stream, plan, j);
        plan.probes.push(probe);
    }
    for (name, (at, schema)) in names.groups.iter().zip(&scenario.groups.0) {
        let group = group(name, at, schema, names, plan, j);
        plan.groups.push(group);
    }
    plan.groups.extend(zones(plan));
    plan.groups.extend(super::dx::locations(plan));
    for (name, (_, schema)) in names.faults.iter().zip(&scenario.faults.named.0) {
        let mut fault = fault(name, schema, scenario, names, plan, j);
        maintenance::settle(schema, &mut fault, plan, j);
        if let FaultKind::NatRenumber { node, address } = fault.what
            && let Some(NodeKind::Nat(nat)) = plan.nodes.get_mut(node.index()).map(|node| &mut node.kind)
        {
            nat.later.push(address);
        }
        if let FaultKind::AddressChange { node, interface, to } = fault.what
            && let Some(NodeKind::CustomerGateway(gateway)) =
                plan.nodes.get_mut(node.index()).map(|node| &mut node.kind)
        {
            let later = (interface, to.addr());
            if !gateway.later.contains(&later) {
                gateway.later.push(later);
            }
        }
        plan.faults.push(fault);
    }
    maintenance::uncontrolled(scenario, plan, j);
    interface_update::settle(scenario, plan, j);
}

/// A moment as long after the start as that.
pub(super) fn moment(since_start: Duration) -> Instant {
    Instant::START + since_start
}

/// Not after the scenario's end.
pub(super) fn before_end(moment: Duration, plan: &Plan) -> Verdict {
    if moment <= plan.duration {
        Ok(())
    } else {
        Err(format!("the scenario ends at {}, before {moment}", plan.duration))
    }
}

/// The hosts and instances, and their names.
pub(super) fn hosts(plan: &Plan) -> (Vec<NodeId>, Vec<String>) {
    let hosts = plan.nodes.iter().enumerate();
    let hosts = hosts.filter(|(_, node)| matches!(node.kind, NodeKind::Host(_) | NodeKind::Instance(_)));
    hosts.map(|(i, node)| (NodeId(i as u32), node.name.clone())).unzip()
}

fn probe(name: &str, kind: ProbeKind, schema: &schema::Stream, plan: &Plan, j: &mut Judge) -> Probe {
    let (ids, hosts) = hosts(plan);
    let from = j.find(&schema.from, "host or instance", &hosts).map(|i| ids[i]);
    let (to, address) = receiver(&schema.to, plan, j);
    if from.is_some() && from == to {
        j.wrong(schema.to.place, "a probe goes from one host to another, not to itself", None);
    }
    let start = j.lawful_or(&schema.start, PROBES_START.min(plan.duration / 10), |t| before_end(*t, plan));
    let stop = j.lawful_or(&schema.stop, plan.duration, |stop| {
        before_end(*stop, plan)?;
        if *stop > start { Ok(()) } else { Err(format!("the probe stops before it starts at {start}")) }
    });
    let every = j.lawful(&schema.every, |t| {
        between(*t, Duration::from_micros(1), Duration::from_secs(3600), "the interval of a probe")
    });
    // The smallest holds IPv4 and UDP headers and the probe's own stamp.
    let Size(size) = j.lawful_or(&schema.size, Size(100), |Size(octets)| {
        between(*octets, 48, 65_535, "the length of a probe's IP packet in octets")
    });
    Probe {
        name: name.to_owned(),
        kind,
        from: from.unwrap_or_default(),
        to: to.unwrap_or_default(),
        address,
        every: every.unwrap_or(plan.duration),
        size: u16::try_from(size).unwrap_or(u16::MAX),
        dont_fragment: j.or(&schema.dont_fragment, false),
        start: moment(start),
        stop: moment(stop),
        min_lost: j.number(&schema.min_lost, 3, 1, 1_000_000, "min_lost"),
    }
}

/// Who answers probes, and by which address.
fn receiver(at: &At<Name>, plan: &Plan, j: &mut Judge) -> (Option<NodeId>, Ipv4Addr) {
    let mut all: Vec<(String, NodeId, Ipv4Addr)> = Vec::new();
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        match &node.kind {
            NodeKind::Host(host) => all.push((node.name.clone(), id, host.address.addr())),
            kind => {
                let Some((_, _, address, elastic_ip)) = interface(kind) else { continue };
                let is_gateway = match kind {
                    NodeKind::Appliance(it) => matches!(it.kind, ApplianceKind::NatGateway { .. }),
                    NodeKind::ClientVpnAssociation(_) => true,
                    _ => false,
                };
                if !is_gateway {
                    all.push((node.name.clone(), id, address));
                    all.extend(elastic_ip.map(|address| (format!("{}.elastic_ip", node.name), id, address)));
                }
            }
        }
    }
    let names: Vec<String> = all.iter().map(|(name, ..)| name.clone()).collect();
    let found = j.find(at, "host or instance", &names).map(|i| &all[i]);
    (found.map(|(_, id, _)| *id), found.map_or(Ipv4Addr::UNSPECIFIED, |(.., address)| *address))
}

fn group(name: &str, at: &At<Name>, schema: &schema::Group, names: &Names, plan: &Plan, j: &mut Judge) -> Group {
    let mut group = Group { name: name.to_owned(), nodes: Vec::new(), links: Vec::new() };
    if schema.members.is_empty() {
        j.wrong(at.place, "this group has no members", None);
    }
    for at in &schema.members {
        let Some(Name(member)) = j.read(at) else {
            continue;
        };
        let node = names.nodes.iter().position(|node| *node == member);
        let link = names.links.iter().position(|link| *link == member);
        match (node, link) {
            (Some(_), Some(_)) => {
                let message = format!("`{member}` is both a node and a link: rename one of them");
                j.wrong(at.place, message, None);
            }
            (Some(node), None) => {
                powered(NodeId(node as u32), at, plan, j);
                group.nodes.push(NodeId(node as u32));
            }
            (None, Some(link)) => group.links.push(LinkId(link as u32)),
            (None, None) => {
                let all = names.nodes.iter().chain(&names.links).map(String::as_str);
                let help = did_you_mean(&member, all);
                j.wrong(at.place, format!("no node, link or path is called `{member}`"), help);
            }
        }
    }
    group
}

/// Each availability zone is a group of the endpoints and instances in it.
fn zones(plan: &Plan) -> Vec<Group> {
    let mut zones: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for (i, node) in plan.nodes.iter().enumerate() {
        let zone = match &node.kind {
            NodeKind::VpnEndpoint(endpoint) => endpoint.availability_zone.as_str(),
            kind => {
                let Some((vpc, subnet, ..)) = interface(kind) else { continue };
                match plan.nodes.get(vpc.index()).map(|n| &n.kind) {
                    Some(NodeKind::Vpc(vpc)) => match vpc.subnets.get(subnet) {
                        Some(subnet) => subnet.availability_zone.as_str(),
                        None => continue,
                    },
                    _ => continue,
                }
            }
        };
        zones.entry(zone).or_default().push(NodeId(i as u32));
    }
    let group = |(zone, nodes)| Group { name: format!("az:{zone}"), nodes, links: Vec::new() };
    zones.into_iter().map(group).collect()
}

/// What fails in place of what is no device.
const ZONE: &str = "fail an availability zone: GroupFailure(group: \"az:NAME\")";
const LOCATION: &str = "fail a location: GroupFailure(group: \"location:NAME\")";

/// Whether a device can lose power.
fn powered(id: NodeId, at: &At<Name>, plan: &Plan, j: &mut Judge) {
    let (what, help) = match plan.nodes.get(id.index()).map(|node| &node.kind) {
        Some(NodeKind::Vpc(_)) => ("a VPC", ZONE),
        Some(NodeKind::InternetGateway(_)) => ("an internet gateway", ZONE),
        Some(NodeKind::VpcPeering(_)) => ("a peering connection", ZONE),
        Some(NodeKind::TransitGatewayPeering(_)) => ("a peering attachment", ZONE),
        Some(NodeKind::GatewayEndpoint(_)) => ("a gateway endpoint", ZONE),
        Some(NodeKind::Resolver(_)) => ("a resolver", ZONE),
        Some(NodeKind::DirectConnectGateway(_)) => ("a Direct Connect gateway", LOCATION),
        _ => return,
    };
    j.wrong(at.place, format!("{what} is no device that could lose power"), Some(help.into()));
}

fn fault(
    name: &str,
    schema: &schema::Fault,
    scenario: &schema::Scenario,
    names: &Names,
    plan: &Plan,
    j: &mut Judge,
) -> Fault {
    let when = j.lawful(&schema.at, |when| before_end(when.latest, plan));
    let When { earliest, latest } = when.unwrap_or(When { earliest: Duration::ZERO, latest: Duration::ZERO });
    let mut rng = Rng::stream(plan.seed, &format!("fault {name}"), Purpose::Fault);
    let at = moment(rng.between(earliest, latest));
    let heal = j.lawful_or(&schema.heal, Duration::ZERO, |heal| {
        before_end(*heal, plan)?;
        if *heal > latest { Ok(()) } else { Err(format!("it heals before it happens, at {latest}")) }
    });
    let after = j.lawful_or(&schema.heal_after, Duration::ZERO, |after| {
        positive(*after, "the time to heal")?;
        before_end(latest + *after, plan)
    });
    let healing = schema.heal.as_ref().or(schema.heal_after.as_ref());
    if let (Some(heal), Some(_)) = (&schema.heal, &schema.heal_after) {
        j.wrong(heal.place, "`heal` and `heal_after` exclude each other", None);
    }
    if let (schema::What::NatRenumber(_), Some(at)) = (&schema.what, healing) {
        j.wrong(at.place, "an address does not come back by itself: write another fault", None);
    }
    if let (schema::What::NatFlush(_), Some(at)) = (&schema.what, healing) {
        j.wrong(at.place, "a flush is over at once: nothing is left to heal", None);
    }
    // A failover test ends by itself (Direct Connect user guide, resiliency_failover.html).
    let test = matches!(schema.what, schema::What::StartBgpFailoverTest(_));
    let lasts = if schema.heal_after.is_some() { after } else { heal.saturating_sub(latest) };
    if let Some(at) = healing.filter(|_| test && lasts > LONGEST_TEST) {
        j.wrong(at.place, format!("a failover test lasts {LONGEST_TEST} at most"), None);
    }
    if let (schema::What::Flap(_), Some(at)) = (&schema.what, healing) {
        j.wrong(at.place, "a flap heals by itself: `times` says when", None);
    }
    Fault {
        name: name.to_owned(),
        enabled: j.or(&schema.enabled, true),
        at,
        heal: match (&schema.heal, &schema.heal_after) {
            (Some(_), _) => Some(moment(heal)),
            (None, Some(_)) => Some(at + after),
            (None, None) => (test && latest + USUAL_TEST <= plan.duration).then_some(at + USUAL_TEST),
        },
        what: vpc_routes::change(&schema.what, scenario, names, plan, j)
            .unwrap_or_else(|| what(&schema.what, latest, names, plan, j)),
    }
}

fn what(schema: &schema::What, at: Duration, names: &Names, plan: &Plan, j: &mut Judge) -> FaultKind {
    match schema {
        schema::What::Blackhole(it) => {
            FaultKind::Blackhole { link: link(&it.link, names, j), direction: j.or(&it.direction, Directions::Both) }
        }
        schema::What::LinkDown(it) => {
            let link = link(&it.link, names, j);
            if let Some(Link { carrier: false, name, .. }) = plan.links.get(link.index()) {
                let message = format!("`{name}` is a path: it has no carrier whose loss anybody could see");
                let help = Some(format!("use Blackhole(link: \"{name}\")"));
                j.wrong(it.link.place, message, help);
            }
            FaultKind::LinkDown { link }
        }
        schema::What::Impair(it) => impair(it, names, plan, j),
        schema::What::PowerLoss(it) => {
            let node = j.find(&it.node, "node", &names.nodes).map(|i| NodeId(i as u32));
            if let Some(node) = node {
                powered(node, &it.node, plan, j);
            }
            FaultKind::PowerLoss { node: node.unwrap_or_default() }
        }
        schema::What::NatFlush(it) => FaultKind::NatFlush { node: nat(&it.node, plan, j).unwrap_or_default() },
        schema::What::NatRenumber(it) => renumbered(it, plan, j),
        schema::What::AddressChange(it) => readdressed(it, plan, j),
        schema::What::IkeDelete(it) => {
            FaultKind::IkeDelete { tunnel: tunnel(&it.tunnel, names, j), by: j.need(&it.by, Side::Aws) }
        }
        schema::What::BgpShutdown(it) => {
            let tunnel = tunnel(&it.tunnel, names, j);
            speaks_bgp(tunnel, &it.tunnel, plan, j);
            FaultKind::BgpShutdown { tunnel, by: j.need(&it.by, Side::Aws) }
        }
        schema::What::StartBgpFailoverTest(it) => {
            let is_interface = |node: &&crate::plan::Node| matches!(node.kind, NodeKind::VirtualInterface(_));
            let known: Vec<String> = plan.nodes.iter().filter(is_interface).map(|node| node.name.clone()).collect();
            let found = j.find(&it.virtual_interface, "virtual interface", &known);
            FaultKind::FailoverTest { node: found.and_then(|i| plan.node(&known[i])).unwrap_or_default() }
        }
        schema::What::ReplaceTunnelEndpoint(_)
        | schema::What::ModifyTunnelOptions(_)
        | schema::What::ModifyVpnConnectionOptions(_)
        | schema::What::PskRotation(_)
        | schema::What::CreateRoute(_)
        | schema::What::ReplaceRoute(_)
        | schema::What::DeleteRoute(_) => {
            let nothing = FaultKind::GroupFailure { group: 0 };
            maintenance::kind(schema, names, plan, j).unwrap_or(nothing)
        }
        schema::What::CreateTransitGatewayRoute(_)
        | schema::What::ReplaceTransitGatewayRoute(_)
        | schema::What::DeleteTransitGatewayRoute(_)
        | schema::What::CreateVpnConnectionRoute(_)
        | schema::What::DeleteVpnConnectionRoute(_) => {
            gateway_routes::change(schema, names, plan, j).unwrap_or_else(gateway_routes::nothing)
        }
        schema::What::UpdateVirtualInterfaceAttributes(it) => {
            interface_update::kind(it, plan, j).unwrap_or_else(interface_update::nothing)
        }
        schema::What::VrrpShutdown(_) | schema::What::VlanRemoved(_) => {
            super::lan::fault(schema, plan, j).unwrap_or(FaultKind::GroupFailure { group: 0 })
        }
        schema::What::Flap(it) => flap(it, at, names, plan, j),
        schema::What::RevokeSecurityGroupRule(it) => super::groups::revoked(it, plan, j),
        schema::What::GroupFailure(it) => {
            let groups: Vec<String> = plan.groups.iter().map(|group| group.name.clone()).collect();
            FaultKind::GroupFailure { group: j.find(&it.group, "group", &groups).unwrap_or(0) }
        }
    }
}

fn nat(at: &At<Name>, plan: &Plan, j: &mut Judge) -> Option<NodeId> {
    let nats = plan.nodes.iter().enumerate().filter(|(_, node)| matches!(node.kind, NodeKind::Nat(_)));
    let (ids, names): (Vec<_>, Vec<_>) = nats.map(|(i, node)| (NodeId(i as u32), node.name.clone())).unzip();
    j.find(at, "NAT", &names).map(|i| ids[i])
}

/// Another address for a NAT that translates ports: one that nobody has.
fn renumbered(schema: &schema::Renumbered, plan: &Plan, j: &mut Judge) -> FaultKind {
    let node = nat(&schema.node, plan, j);
    let at = node.and_then(|node| plan.nodes.get(node.index())).map(|node| &node.kind);
    let inside = match at {
        Some(NodeKind::Nat(nat)) => {
            if nat.config.mode != Mode::Napt {
                j.wrong(schema.node.place, "only a NAT with `mode: \"napt\"` has one address for all", None);
            }
            Some(nat.inside)
        }
        _ => None,
    };
    let address = j.lawful(&schema.to, |address| {
        usable((*address).into())?;
        if inside.is_some_and(|net| net.contains(address)) {
            return Err(format!("{address} is inside of the NAT"));
        }
        Ok(())
    });
    FaultKind::NatRenumber { node: node.unwrap_or_default(), address: address.unwrap_or(Ipv4Addr::UNSPECIFIED) }
}

/// Another address for an interface of a customer gateway from which tunnels start.
fn readdressed(schema: &schema::Readdressed, plan: &Plan, j: &mut Judge) -> FaultKind {
    let mut all = Vec::new();
    for connection in &plan.connections {
        let (node, index) = (connection.customer_gateway, connection.customer_interface);
        if let Some(NodeKind::CustomerGateway(gateway)) = plan.nodes.get(node.index()).map(|node| &node.kind)
            && let Some(interface) = gateway.interfaces.get(index)
        {
            let name = format!("{}.{}", plan.nodes[node.index()].name, interface.name);
            all.push((name, node, index));
        }
    }
    all.dedup();
    let names: Vec<String> = all.iter().map(|(name, ..)| name.clone()).collect();
    let found = j.find(&schema.interface, "interface where tunnels start", &names).map(|i| &all[i]);
    let to = j.lawful(&schema.to, |to| {
        usable(*to)?;
        match plan.nodes.iter().find(|node| has(&node.kind, to.addr())) {
            Some(node) => Err(format!("{} is an address of `{}`", to.addr(), node.name)),
            None => Ok(()),
        }
    });
    let (node, interface) = found.map_or((NodeId::default(), usize::MAX), |(_, node, interface)| (*node, *interface));
    FaultKind::AddressChange { node, interface, to: to.unwrap_or_default() }
}

/// Whether a device begins with an address outside of tunnels.
fn has(kind: &NodeKind, address: Ipv4Addr) -> bool {
    match kind {
        NodeKind::Host(host) => host.address.addr() == address,
        NodeKind::Router(router) => router.address == Some(address),
        NodeKind::Nat(nat) => nat.inside.addr() == address || nat.outside_addresses().contains(&address),
        NodeKind::CustomerGateway(gateway) => gateway.interfaces.iter().any(|i| i.address.addr() == address),
        NodeKind::BgpRouter(router) => router.interfaces.iter().any(|i| i.address.addr() == address),
        NodeKind::VpnEndpoint(endpoint) => endpoint.address == IpAddr::V4(address),
        NodeKind::InternetGateway(gateway) => gateway.addresses.iter().any(|(_, elastic)| *elastic == address),
        NodeKind::VirtualInterface(end) => end.amazon_address() == address,
        NodeKind::ClientVpnAssociation(it) => it.outside == address,
        NodeKind::ConnectPeer(peer) => peer.address == address,
        NodeKind::VirtualPrivateGateway(_)
        | NodeKind::TransitGateway(_)
        | NodeKind::DirectConnectGateway(_)
        | NodeKind::Switch(_)
        | NodeKind::VpnClient(_)
        | NodeKind::Vpc(_)
        | NodeKind::Instance(_)
        | NodeKind::Appliance(_)
        | NodeKind::VpcPeering(_)
        | NodeKind::TransitGatewayPeering(_)
        | NodeKind::GatewayEndpoint(_)
        | NodeKind::Resolver(_) => false,
    }
}

pub(super) fn link(at: &At<Name>, names: &Names, j: &mut Judge) -> LinkId {
    LinkId(j.find(at, "link or path", &names.links).unwrap_or(usize::MAX) as u32)
}

pub(super) fn tunnel(at: &At<Name>, names: &Names, j: &mut Judge) -> TunnelId {
    let found = j.find(at, "tunnel", &names.tunnels);
    found.map_or(TunnelId { connection: usize::MAX, tunnel: 0 }, |i| names.tunnel_ids[i])
}

/// Notes it if a tunnel has no BGP session.
pub(super) fn speaks_bgp(id: TunnelId, at: &At<Name>, plan: &Plan, j: &mut Judge) {
    let connection = plan.connections.get(id.connection);
    if let Some(tunnel) = connection.and_then(|connection| connection.tunnels.get(id.tunnel))
        && tunnel.bgp.is_none()
    {
        j.wrong(at.place, format!("`{}` has no BGP session: its connection's routing is static", tunnel.name), None);
    }
}

fn impair(schema: &schema::Impair, names: &Names, plan: &Plan, j: &mut Judge) -> FaultKind {
    let link = link(&schema.link, names, j);
    let direction = j.or(&schema.direction, Directions::Both);
    let Some(before) = plan.links.get(link.index()) else {
        return FaultKind::Blackhole { link, direction };
    };
    let forward = conditions(&schema.to, before.forward, j);
    let reverse = conditions(&schema.to, before.reverse, j);
    let (forward, reverse) = match direction {
        Directions::Forward => (forward, before.reverse),
        Directions::Reverse => (before.forward, reverse),
        Directions::Both => (forward, reverse),
    };
    if (forward, reverse) == (before.forward, before.reverse) {
        j.wrong(schema.link.place, format!("this changes nothing about `{}`", before.name), None);
    }
    FaultKind::Impair { link, forward: Box::new(forward), reverse: Box::new(reverse) }
}

fn flap(schema: &schema::Flap, at: Duration, names: &Names, plan: &Plan, j: &mut Judge) -> FaultKind {
    let span = |t: &Duration| positive(*t, "a flap's time");
    let down = j.lawful(&schema.down, span).unwrap_or_default();
    let up = j.lawful(&schema.up, span).unwrap_or_default();
    let times = j.lawful(&schema.times, |times| {
        between(*times, 1, 1_000_000, "the number of flaps")?;
        let end = at + (down + up) * (*times - 1) + down;
        before_end(end, plan).map_err(|message| format!("the last flap ends too late: {message}"))
    });
    let times = times.and_then(|times| u32::try_from(times).ok()).unwrap_or(1);
    FaultKind::Flap { link: link(&schema.link, names, j), down, up, times }
}
