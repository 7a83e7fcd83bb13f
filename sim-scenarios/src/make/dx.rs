//! Direct Connect: connections with their virtual interfaces, and Direct Connect gateways (Direct Connect user guide; its quotas are on
//! page limits.html).

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::node::ip::ReversePath;
use sim_core::proto::bgp::communities::{AnyCommunity, Community};
use sim_core::proto::bgp::policy::{Change, Policy};
use sim_core::proto::bgp::{AfterLimit, GracefulRestart, MaxPrefixes};
use sim_core::time::Duration;

use crate::leaf::{Asn, Flag, Md5Key, Md5KeySource, Name, Rate};
use crate::place::At;
use crate::plan::{
    Association, Assumed, Assumption, Bfd, BgpEnd, DirectConnect, DirectConnectGateway, End, Forwarding, Group,
    Interface, InterfaceKind, Lag, NamedPolicy, Neighbor, Node, NodeKind, Plan, VirtualInterface, Warning,
};
use crate::profile;
use crate::schema;

use super::Names;
use super::connections::bgp;
use super::judge::{Judge, Verdict, between};
use super::links::other_end;
use super::nodes::{amazon_asn, overlap, usable, whole};
use super::sessions;

/// Virtual interfaces of a connection: private (and public) ones, and transit ones.
const PRIVATE_INTERFACES: usize = 50;
const TRANSIT_INTERFACES: usize = 4;
/// And of all kinds together.
const ALL_INTERFACES: usize = 51;
/// Associations of a Direct Connect gateway with virtual private gateways, and with transit gateways (an older guide has 3).
const VIRTUAL_PRIVATE_GATEWAYS: usize = 20;
const TRANSIT_GATEWAYS: usize = 6;
/// Virtual interfaces of a Direct Connect gateway, which AWS raises if it is asked.
const INTERFACES: usize = 30;
/// Prefixes that are announced of one transit gateway.
const ALLOWED: usize = 200;
/// Prefixes that AWS takes from a customer on one session, and with prefix controls.
const PREFIXES: u64 = 100;
const CONTROLLED_PREFIXES: u64 = 1_000;
/// Members of a LAG, and of one with 100 Gbps or more (page lags.html).
const MEMBERS: usize = 4;
const FAST_MEMBERS: usize = 2;
/// Bandwidths in Mbps: of dedicated connections (page dedicated_connection.html) and of hosted ones (page hosted_connection.html).
const DEDICATED: [u64; 4] = [1_000, 10_000, 100_000, 400_000];
const HOSTED: [u64; 11] = [50, 100, 200, 300, 400, 500, 1_000, 2_000, 5_000, 10_000, 25_000];

/// The names of all virtual interfaces, connection by connection.
pub(super) fn names(
    scenario: &schema::Scenario,
    direct_connects: &[String],
    vpns: &[String],
    j: &mut Judge,
) -> Vec<String> {
    let mut all = Vec::new();
    for (name, (at, schema)) in direct_connects.iter().zip(&scenario.direct_connect.0) {
        if vpns.contains(name) {
            j.wrong(at.place, format!("there is already a VPN connection called `{name}`"), None);
        }
        let own = j.names(&schema.virtual_interfaces, "virtual interface");
        all.extend(own.into_iter().map(|interface| format!("{name}.{interface}")));
    }
    all
}

/// A Direct Connect gateway, with the gateways that it is associated with.
pub(super) fn gateway(
    schema: &schema::DirectConnectGateway,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> DirectConnectGateway {
    let asn = amazon_asn(&schema.asn, &[], j);
    let is_gateway =
        |node: &schema::Node| matches!(node, schema::Node::VirtualPrivateGateway(_) | schema::Node::TransitGateway(_));
    let nodes = names.nodes.iter().zip(&scenario.nodes.0).zip(0..).filter(|((_, (_, node)), _)| is_gateway(node));
    let (known, found): (Vec<_>, Vec<_>) =
        nodes.map(|((name, (_, node)), id)| (name.clone(), (NodeId(id), node))).unzip();
    let mut associations: Vec<Association> = Vec::new();
    let mut asns: Vec<u32> = vec![asn];
    let mut first_is_transit = None;
    for (at, association) in &schema.associations.0 {
        let Some(found) = j.find(at, "virtual private or transit gateway", &known).map(|i| &found[i]) else { continue };
        let allowed: Vec<Ipv4Net> = association.allowed_prefixes.iter().filter_map(|at| j.lawful(at, whole)).collect();
        let transit = match found.1 {
            schema::Node::TransitGateway(gateway) => Some(gateway),
            _ => None,
        };
        if *first_is_transit.get_or_insert(transit.is_some()) != transit.is_some() {
            let message = "a Direct Connect gateway is associated with virtual private gateways or with transit gateways, not with both";
            j.wrong(at.place, message, Some("give one of them a Direct Connect gateway of its own".into()));
        }
        if let Some(gateway) = transit {
            let asn = gateway.asn.as_ref().and_then(|at| at.value.clone().ok()).map_or(64_512, |Asn(asn)| asn);
            if asns.contains(&asn) {
                let message = format!(
                    "{asn} is the ASN of this Direct Connect gateway, or of another transit gateway on it: each needs its own"
                );
                let place = gateway.asn.as_ref().map_or(at.place, |at| at.place);
                j.wrong(place, message, None);
            }
            asns.push(asn);
            if let Some(extra) = association.allowed_prefixes.get(ALLOWED) {
                j.wrong(extra.place, format!("at most {ALLOWED} prefixes are announced of a transit gateway"), None);
            }
            for (prefix, at) in allowed.iter().zip(&association.allowed_prefixes) {
                let other = associations.iter().find(|other| other.announced.iter().any(|of| overlap(of, prefix)));
                if let Some(other) = other {
                    let message = format!("{prefix} overlaps what is announced of `{}`", other.name);
                    j.wrong(at.place, message, None);
                }
            }
        }
        let (most, what) = match transit {
            Some(_) => (TRANSIT_GATEWAYS, "transit gateways"),
            None => (VIRTUAL_PRIVATE_GATEWAYS, "virtual private gateways"),
        };
        if associations.len() == most {
            j.wrong(at.place, format!("a Direct Connect gateway is associated with at most {most} {what}"), None);
        }
        let region = association.region.as_ref().and_then(|at| j.read(at)).map(|Name(name)| name);
        let name = names.nodes[found.0.index()].clone();
        associations.push(Association { gateway: found.0, name, region, announced: allowed.clone(), passes: allowed });
    }
    DirectConnectGateway { asn, associations }
}

/// All connections, and the nodes of their virtual interfaces.
pub(super) fn interfaces(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    let first = names.nodes.len() - names.tunnels.len() - names.connect_peers - names.interfaces;
    let mut own = names.nodes[first..].iter();
    for (connection, (name, (at, schema))) in names.direct_connects.iter().zip(&scenario.direct_connect.0).enumerate() {
        let hosted = j.or(&schema.hosted, false);
        let bandwidth = j.lawful(&schema.bandwidth, |Rate(bits)| speed(*bits, hosted)).map_or(0, |Rate(bits)| bits);
        let mut made = DirectConnect {
            name: name.clone(),
            location: j.need(&schema.location, Name(String::new())).0,
            region: schema.region.as_ref().and_then(|at| j.read(at)).map(|Name(name)| name),
            bandwidth,
            virtual_interfaces: Vec::new(),
        };
        let lag = schema.lag.as_ref().map(|schema| lag(schema, j));
        let mut vlans: Vec<u16> = Vec::new();
        let mut counts = [0; 2];
        for (at, schema) in &schema.virtual_interfaces.0 {
            let (kind, schema, most) = match schema {
                schema::VirtualInterface::Private(it) => (InterfaceKind::Private, it, PRIVATE_INTERFACES),
                schema::VirtualInterface::Transit(it) => (InterfaceKind::Transit, it, TRANSIT_INTERFACES),
                schema::VirtualInterface::Public(it) => (InterfaceKind::Public, it, PRIVATE_INTERFACES),
            };
            let count = &mut counts[usize::from(kind == InterfaceKind::Transit)];
            *count += 1;
            if *count > most {
                let message = format!("a connection has at most {most} virtual interfaces of this kind");
                j.wrong(at.place, message, None);
            } else if counts.iter().sum::<usize>() > ALL_INTERFACES {
                let message =
                    format!("a connection has at most {ALL_INTERFACES} virtual interfaces of all kinds together");
                j.wrong(at.place, message, None);
            }
            if hosted && made.virtual_interfaces.len() == 1 {
                j.wrong(at.place, "a hosted connection carries one virtual interface", None);
            }
            made.virtual_interfaces.push(NodeId(plan.nodes.len() as u32));
            let interface = interface(schema, kind, connection, (&vlans, lag), &plan.nodes, j);
            vlans.push(interface.vlan);
            let name = own.next().cloned().unwrap_or_default();
            plan.nodes.push(Node { name, kind: NodeKind::VirtualInterface(Box::new(interface)) });
        }
        if made.virtual_interfaces.is_empty() {
            j.wrong(at.place, "this connection has no virtual interface", None);
        }
        plan.direct_connects.push(made);
    }
}

fn speed(bits: u64, hosted: bool) -> Result<(), String> {
    let known: &[u64] = if hosted { &HOSTED } else { &DEDICATED };
    if known.iter().any(|mbps| mbps * 1_000_000 == bits) {
        return Ok(());
    }
    Err(match hosted {
        true => "a hosted connection has 50 to 500 Mbps, or 1, 2, 5, 10 or 25 Gbps".into(),
        false => "a dedicated connection has 1, 10, 100 or 400 Gbps; a hosted one says `hosted: true`".into(),
    })
}

fn interface(
    schema: &schema::InterfaceOptions,
    kind: InterfaceKind,
    connection: usize,
    (vlans, lag): (&[u16], Option<Lag>),
    nodes: &[Node],
    j: &mut Judge,
) -> VirtualInterface {
    let fits = |kind_of: &NodeKind| match (kind, kind_of) {
        (InterfaceKind::Private | InterfaceKind::Transit, NodeKind::DirectConnectGateway(_))
        | (InterfaceKind::Private, NodeKind::VirtualPrivateGateway(_))
        | (InterfaceKind::Public, NodeKind::Router(_)) => true,
        (_, _) => false,
    };
    let gateways = nodes.iter().enumerate().filter(|(_, node)| fits(&node.kind));
    let (ids, known): (Vec<_>, Vec<_>) = gateways.map(|(i, node)| (i, node.name.clone())).unzip();
    let what = match kind {
        InterfaceKind::Private => "virtual private or Direct Connect gateway",
        InterfaceKind::Transit => "Direct Connect gateway",
        InterfaceKind::Public => "router of the underlay",
    };
    let gateway = j.find(&schema.gateway, what, &known).map(|i| ids[i]);
    let asn = match gateway.map(|i| &nodes[i].kind) {
        Some(NodeKind::VirtualPrivateGateway(gateway)) => gateway.asn,
        Some(NodeKind::DirectConnectGateway(gateway)) => gateway.asn,
        // Amazon's public autonomous system.
        Some(NodeKind::Router(_)) => 7224,
        _ => 0,
    };
    let mtu = schema.mtu.as_ref().and_then(|at| j.lawful(at, |mtu| offers_mtu(kind, *mtu)));
    let vlan = match &schema.vlan {
        None => (1..).find(|vlan| !vlans.contains(vlan)).unwrap_or(1),
        Some(at) => j
            .lawful(at, |vlan| {
                between(*vlan, 1, 4094, "a VLAN")?;
                match u16::try_from(*vlan).is_ok_and(|vlan| vlans.contains(&vlan)) {
                    true => Err(format!("another virtual interface of this connection has VLAN {vlan}")),
                    false => Ok(()),
                }
            })
            .and_then(|vlan| u16::try_from(vlan).ok())
            .unwrap_or(1),
    };
    let site_link = j.or(&schema.site_link, false);
    if let Some(at) = schema.public_prefixes.first().filter(|_| kind != InterfaceKind::Public) {
        j.wrong(at.place, "public prefixes are announced on a public virtual interface", None);
    }
    if let Some(at) = schema.site_link.as_ref().filter(|_| site_link) {
        needs_a_gateway(at, gateway.map(|i| &nodes[i].kind), j);
    }
    let address = j.lawful(&schema.amazon_address, |net| {
        usable(*net)?;
        between(net.prefix_len(), 8, 31, "the prefix length of a virtual interface's subnet")
    });
    let towards = Interface {
        name: "customer".into(),
        address: address.unwrap_or_default(),
        reverse_path: ReversePath::Off,
        access_list: Vec::new(),
        lag,
        vlan: None,
        virtual_routers: Vec::new(),
        gre: None,
    };
    VirtualInterface {
        connection,
        kind,
        gateway: NodeId(gateway.map_or(u32::MAX, |i| i as u32)),
        asn,
        vlan,
        mtu: mtu.and_then(|mtu| u16::try_from(mtu).ok()).unwrap_or(1500),
        site_link,
        interfaces: vec![towards],
        advertise: Vec::new(),
        forwarding: Forwarding::default(),
    }
}

/// Whether a virtual interface of a kind may have an MTU (page set-jumbo-frames-vif.html).
pub(super) fn offers_mtu(kind: InterfaceKind, mtu: u64) -> Verdict {
    let jumbo = match kind {
        InterfaceKind::Private => 9001,
        InterfaceKind::Transit => 8500,
        InterfaceKind::Public => 1500,
    };
    match mtu {
        1500 => Ok(()),
        mtu if mtu == jumbo => Ok(()),
        mtu => Err(format!("the MTU of this kind of virtual interface is 1500 or {jumbo}, not {mtu}")),
    }
}

/// Notes it if a virtual interface with SiteLink is on something else than a Direct Connect gateway.
pub(super) fn needs_a_gateway(at: &At<Flag>, gateway: Option<&NodeKind>, j: &mut Judge) {
    if let Some(NodeKind::VirtualPrivateGateway(_) | NodeKind::Router(_)) = gateway {
        let help = "put the virtual interface on a Direct Connect gateway";
        j.wrong(at.place, "SiteLink is for virtual interfaces on a Direct Connect gateway", Some(help.into()));
    }
}

/// The key of TCP MD5 of a virtual interface: 6 to 80 characters (API of Direct Connect, `BGPAuthKey`).
fn authentication_key(at: &At<Md5KeySource>, j: &mut Judge) -> Option<Md5Key> {
    let key = sessions::md5_key(at, j)?;
    let length = key.expose().len();
    if length < 6 {
        j.wrong(at.place, format!("the key of a virtual interface has 6 to 80 characters, not {length}"), None);
    }
    Some(key)
}

/// AWS's end of the session, before who is at the other end is known.
fn session(schema: &schema::InterfaceOptions, kind: InterfaceKind, asn: u32, j: &mut Judge) -> BgpEnd {
    let end = bgp(&schema.timers, asn, &profile::AWS, j);
    let hold_time = if schema.timers.hold_time.is_some() { end.hold_time } else { Duration::from_secs(90) };
    let keepalive = if schema.timers.keepalive.is_some() { end.keepalive } else { hold_time / 3 };
    supported(schema.timers.hold_time.as_ref(), j);
    let public = kind == InterfaceKind::Public;
    let usual = if public { CONTROLLED_PREFIXES } else { PREFIXES };
    let limit =
        j.number(&schema.prefix_limit, usual, 1, CONTROLLED_PREFIXES, "the prefix limit of a virtual interface");
    // What virtual interfaces with SiteLink announce must not outdo what they hear.
    BgpEnd {
        hold_time,
        keepalive,
        local_preference: 101,
        md5_key: schema.md5_key.as_ref().and_then(|at| authentication_key(at, j)),
        export: public.then(of_the_region),
        max_prefixes: Some(MaxPrefixes {
            then: AfterLimit::StayDown,
            ..MaxPrefixes::new(u32::try_from(limit).unwrap_or(u32::MAX))
        }),
        graceful_restart: Some(GracefulRestart {
            restart_time: Duration::from_secs(120),
            ..GracefulRestart::default()
        }),
        ..end
    }
}

/// What AWS says of its public prefixes of the same Region (page routing-and-bgp.html).
fn of_the_region() -> NamedPolicy {
    let tags = [Community::new(7224, 8100), Community::NO_EXPORT];
    let changes = tags.map(|tag| Change::AddCommunity(AnyCommunity::Standard(tag))).to_vec();
    NamedPolicy { name: "region".into(), policy: Policy::change_all(changes) }
}

/// AWS takes no session without a hold time (page bgp-specific-settings.html).
fn supported(hold_time: Option<&At<Duration>>, j: &mut Judge) {
    if let Some(at) = hold_time.filter(|at| at.value.as_ref().is_ok_and(|time| time.is_zero())) {
        let help = "the least is 3s, and the lower one of both ends' counts";
        j.wrong(
            at.place,
            "a virtual interface of Direct Connect needs a hold time: 0s is not supported",
            Some(help.into()),
        );
    }
}

/// Who is at the other end of each virtual interface, and what it announces.
pub(super) fn join(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    associations(scenario, plan, j);
    let mut id = plan.nodes.iter().position(|node| matches!(node.kind, NodeKind::VirtualInterface(_))).unwrap_or(0);
    for (_, connection) in &scenario.direct_connect.0 {
        for (at, schema) in &connection.virtual_interfaces.0 {
            let (schema::VirtualInterface::Private(schema)
            | schema::VirtualInterface::Transit(schema)
            | schema::VirtualInterface::Public(schema)) = schema;
            customer(NodeId(id as u32), at, schema, scenario, plan, j);
            id += 1;
        }
    }
}

/// What is announced of each associated gateway, and what passes to it.
fn associations(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    for (i, (at, schema)) in scenario.nodes.0.iter().enumerate() {
        let (schema::Node::DirectConnectGateway(schema), Some(NodeKind::DirectConnectGateway(gateway))) =
            (schema, plan.nodes.get(i).map(|node| &node.kind))
        else {
            continue;
        };
        let name = plan.nodes[i].name.clone();
        let mut made = gateway.associations.clone();
        let mut blocks: Vec<(Ipv4Net, String)> = Vec::new();
        for association in &mut made {
            let place = schema
                .associations
                .0
                .iter()
                .find(|(at, _)| at.value.as_ref().is_ok_and(|Name(name)| *name == association.name));
            let vpc = match &plan.nodes[association.gateway.index()].kind {
                NodeKind::VirtualPrivateGateway(gateway) => {
                    gateway.vpc.and_then(|vpc| plan.nodes.get(vpc.index())).map(|node| &node.kind)
                }
                _ => None,
            };
            let Some(NodeKind::Vpc(vpc)) = vpc else {
                if association.announced.is_empty() {
                    plan.warnings.push(Warning {
                        parameter: format!("nodes.{name}.associations.{}.allowed_prefixes", association.name),
                        text: "of a transit gateway nothing but its allowed prefixes is announced, and there are none"
                            .into(),
                    });
                }
                continue;
            };
            let filter = core::mem::take(&mut association.announced);
            if filter.is_empty() || filter.iter().any(|allowed| allowed.contains(&vpc.cidr)) {
                association.announced = vec![vpc.cidr];
            }
            association.passes.retain(|allowed| allowed.contains(&vpc.cidr));
            if filter.is_empty() {
                association.passes = vec![vpc.cidr];
            }
            if let Some((_, other)) = blocks.iter().find(|(block, _)| overlap(block, &vpc.cidr)) {
                let message = format!(
                    "the VPC of `{}` overlaps that of `{other}`: behind one Direct Connect gateway none may",
                    association.name
                );
                j.wrong(place.map_or(at.place, |(at, _)| at.place), message, None);
            }
            blocks.push((vpc.cidr, association.name.clone()));
        }
        let here = plan.nodes.iter().filter(|node| match &node.kind {
            NodeKind::VirtualInterface(end) => end.gateway == NodeId(i as u32),
            _ => false,
        });
        let here = here.count();
        if here == 0 {
            j.wrong(at.place, "no virtual interface is on this Direct Connect gateway", None);
        }
        if here > INTERFACES {
            plan.warnings.push(Warning {
                parameter: format!("nodes.{name}"),
                text: format!("a Direct Connect gateway has {INTERFACES} virtual interfaces unless AWS raises that quota, this has {here}"),
            });
        }
        if let Some(NodeKind::DirectConnectGateway(gateway)) = plan.nodes.get_mut(i).map(|node| &mut node.kind) {
            gateway.associations = made;
        }
    }
}

/// The router at the other end of a link: its autonomous system, and its address there.
fn beyond(plan: &Plan, id: NodeId) -> Option<(NodeId, u32, Ipv4Net, Option<Lag>)> {
    let here = End { node: id, interface: None };
    let other = plan.links.iter().find_map(|link| other_end(link, here))?;
    let interface = other.interface?;
    let (asn, interfaces) = match &plan.nodes.get(other.node.index())?.kind {
        NodeKind::CustomerGateway(gateway) => (gateway.asn, &gateway.interfaces),
        NodeKind::BgpRouter(router) => (router.asn, &router.interfaces),
        _ => return None,
    };
    let interface = interfaces.get(interface)?;
    Some((other.node, asn, interface.address, interface.lag))
}

fn customer(
    id: NodeId,
    at: &At<Name>,
    schema: &schema::InterfaceOptions,
    scenario: &schema::Scenario,
    plan: &mut Plan,
    j: &mut Judge,
) {
    let Some(Node { name, kind: NodeKind::VirtualInterface(made) }) = plan.nodes.get(id.index()) else { return };
    let (name, mut made) = (name.clone(), made.clone());
    let end = session(schema, made.kind, made.asn, j);
    let other = beyond(plan, id);
    let link = plan.links.iter().find(|link| link.ends.contains(&End { node: id, interface: None }));
    match link {
        None => {
            let help = format!("for example: \"cross-connect\": Link(between: (\"site.dx\", \"{name}\"))");
            j.wrong(at.place, "no link ends at this virtual interface", Some(help));
        }
        Some(link) => {
            let least = link.forward.mtu.min(link.reverse.mtu);
            if let Some(at) = schema.mtu.as_ref().filter(|_| least < made.mtu) {
                let message = format!("its link `{}` carries {least} octets at most", link.name);
                j.wrong(at.place, message, None);
            }
        }
    }
    let theirs = other.as_ref().and_then(|(.., lag)| *lag);
    members(id, at, made.interfaces[0].lag, theirs, plan, j);
    let amazon = made.interfaces[0].address;
    let address = match (&schema.customer_address, &other) {
        (Some(at), _) => j.read(at),
        (None, Some((_, _, interface, _))) => Some(interface.addr()),
        (None, None) => None,
    };
    let asn = match (&schema.asn, &other) {
        (Some(at), _) => j.read(at).map(|Asn(asn)| asn),
        (None, Some((_, asn, ..))) => Some(*asn),
        (None, None) => None,
    };
    let (Some(address), Some(asn)) = (address, asn) else {
        if link.is_some() && schema.customer_address.is_none() | schema.asn.is_none() {
            let message = "no customer gateway or BGP router is at the other end of this virtual interface's link";
            j.wrong(at.place, message, Some("give it `customer_address:` and `asn:`".into()));
        }
        return;
    };
    let place = schema.customer_address.as_ref().map_or(schema.amazon_address.place, |at| at.place);
    if schema.amazon_address.value.is_ok() && (!amazon.contains(&address) || address == amazon.addr()) {
        let message = format!("the customer's address {address} is no other address of {}", amazon.trunc());
        j.wrong(place, message, None);
    }
    if asn == made.asn {
        let place = schema.asn.as_ref().map_or(schema.gateway.place, |at| at.place);
        let message = format!("both ends have ASN {asn}: a virtual interface is between two autonomous systems");
        j.wrong(place, message, None);
    }
    // AWS's end does not speak before it is spoken to: with a customer who has none it is silent, and left out.
    let theirs = other.as_ref().and_then(|(router, ..)| neighbor(scenario, *router, amazon.addr()));
    let spoken_to = other.is_none() || theirs.is_some_and(|theirs| theirs.bfd.is_some());
    let bfd = Bfd {
        min_tx: Duration::from_millis(300),
        min_rx: Duration::from_millis(300),
        multiplier: 3,
        multihop: false,
        passive: true,
    };
    made.forwarding.neighbors = vec![Neighbor {
        name: "customer".into(),
        interface: 0,
        address,
        asn,
        end: end.clone(),
        bfd: spoken_to.then_some(bfd),
        attached: true,
        internal: None,
    }];
    made.advertise = announced(plan, &made, schema, j);
    if let Some((router, ..)) = other {
        told(plan, scenario, router, &made, &name, j);
    }
    plan.assumptions.extend(assumptions(&name, &end));
    plan.nodes[id.index()].kind = NodeKind::VirtualInterface(made);
}

/// What a virtual interface announces from the start: the VPC's block, or what is announced of each associated gateway.
fn announced(plan: &Plan, made: &VirtualInterface, schema: &schema::InterfaceOptions, j: &mut Judge) -> Vec<Ipv4Net> {
    let block = |vpc: NodeId| match plan.nodes.get(vpc.index()).map(|node| &node.kind) {
        Some(NodeKind::Vpc(vpc)) => vec![vpc.cidr],
        _ => Vec::new(),
    };
    let gateway = match plan.nodes.get(made.gateway.index()).map(|node| &node.kind) {
        Some(NodeKind::VirtualPrivateGateway(gateway)) => return gateway.vpc.map_or_else(Vec::new, block),
        Some(NodeKind::DirectConnectGateway(gateway)) => gateway,
        Some(NodeKind::Router(_)) => {
            return schema.public_prefixes.iter().filter_map(|at| j.lawful(at, whole)).collect();
        }
        _ => return Vec::new(),
    };
    let is_transit = |of: &Association| matches!(plan.nodes[of.gateway.index()].kind, NodeKind::TransitGateway(_));
    if gateway.associations.iter().any(|of| is_transit(of) != (made.kind == InterfaceKind::Transit)) {
        let (what, needed) = match made.kind {
            InterfaceKind::Private => ("a transit gateway", "a transit virtual interface"),
            InterfaceKind::Transit | InterfaceKind::Public => {
                ("a virtual private gateway", "a private virtual interface")
            }
        };
        let message = format!("this Direct Connect gateway is associated with {what}: it needs {needed}");
        j.wrong(schema.gateway.place, message, None);
    }
    let mut all: Vec<Ipv4Net> = gateway.associations.iter().flat_map(|of| of.announced.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The neighbor of a router that has this address.
fn neighbor(scenario: &schema::Scenario, router: NodeId, address: Ipv4Addr) -> Option<&schema::Neighbor> {
    let neighbors = match &scenario.nodes.0.get(router.index())?.1 {
        schema::Node::CustomerGateway(gateway) => &gateway.neighbors,
        schema::Node::BgpRouter(router) => &router.neighbors,
        _ => return None,
    };
    neighbors.0.iter().map(|(_, neighbor)| neighbor).find(|neighbor| neighbor.address.value == Ok(address))
}

/// What the customer's router is told of the session.
fn told(
    plan: &mut Plan,
    scenario: &schema::Scenario,
    router: NodeId,
    made: &VirtualInterface,
    name: &str,
    j: &mut Judge,
) {
    let Some(neighbor) = neighbor(scenario, router, made.amazon_address()) else {
        let device = plan.nodes[router.index()].name.clone();
        plan.warnings.push(Warning {
            parameter: format!("nodes.{device}.neighbors"),
            text: format!(
                "no neighbor has {}, AWS's address on `{name}`: its session never comes up",
                made.amazon_address()
            ),
        });
        return;
    };
    supported(neighbor.timers.hold_time.as_ref(), j);
    for at in [&neighbor.multihop, &neighbor.ttl_security].into_iter().flatten() {
        j.wrong(at.place, "AWS sends to a virtual interface with a TTL of 1: it supports no multihop", None);
    }
}

/// What AWS publishes of neither Direct Connect nor VPN.
fn assumptions(name: &str, end: &BgpEnd) -> Vec<Assumption> {
    let (connection, own) = name.split_once('.').unwrap_or((name, ""));
    let assume = |what, setting: &str, value: Duration| Assumption {
        what,
        owner: Some(name.to_owned()),
        parameter: format!("direct_connect.{connection}.virtual_interfaces.{own}.timers.{setting}"),
        value: value.to_string(),
        source:
            "UNVERIFIED: AWS documents hold time and keepalive of a virtual interface; the rest is RFC 4271 section 10"
                .into(),
        range: None,
    };
    vec![
        assume(Assumed::ConnectRetry, "connect_retry", end.connect_retry),
        assume(Assumed::IdleHold, "idle_hold", end.idle_hold),
    ]
}

/// True if an interface of a customer's router leads to AWS's public addresses over Direct Connect.
pub(super) fn is_public(plan: &Plan, end: End) -> bool {
    let public = |other: End| match plan.nodes.get(other.node.index()).map(|node| &node.kind) {
        Some(NodeKind::VirtualInterface(made)) => made.kind == InterfaceKind::Public,
        _ => false,
    };
    // Of thousands of sites without Direct Connect none is worth a look at all links.
    !plan.direct_connects.is_empty() && plan.links.iter().filter_map(|link| other_end(link, end)).any(public)
}

/// The ends of Direct Connect that a gateway has: virtual interfaces on it, and Direct Connect gateways that it is associated with.
/// The position of each is its number there, after those of the gateway's tunnels.
pub(crate) fn ends(plan: &Plan, gateway: NodeId) -> impl Iterator<Item = NodeId> {
    let leads = move |kind: &NodeKind| match kind {
        NodeKind::VirtualInterface(end) => end.gateway == gateway,
        NodeKind::DirectConnectGateway(direct) => direct.associations.iter().any(|of| of.gateway == gateway),
        _ => false,
    };
    plan.nodes.iter().enumerate().filter(move |(_, node)| leads(&node.kind)).map(|(i, _)| NodeId(i as u32))
}

/// The ways out of a gateway that are of Direct Connect, by name.
pub(super) fn ways(plan: &Plan, node: NodeId) -> Vec<String> {
    let name = |id: NodeId| plan.nodes[id.index()].name.clone();
    match plan.nodes.get(node.index()).map(|node| &node.kind) {
        Some(NodeKind::VirtualPrivateGateway(_) | NodeKind::TransitGateway(_)) => ends(plan, node).map(name).collect(),
        Some(NodeKind::DirectConnectGateway(gateway)) => {
            let on_it = ends(plan, node).map(name);
            on_it.chain(gateway.associations.iter().map(|of| of.name.clone())).collect()
        }
        _ => Vec::new(),
    }
}

/// The Direct Connect gateway that transports a private-IP VPN, and whether it can (Site-to-Site VPN user guide, private-ip-dx.html).
pub(super) fn transport(schema: &schema::Vpn, gateway: NodeId, plan: &Plan, j: &mut Judge) -> Option<NodeId> {
    let at = schema.transport.as_ref()?;
    let is_direct = |node: &&Node| matches!(node.kind, NodeKind::DirectConnectGateway(_));
    let known: Vec<String> = plan.nodes.iter().filter(is_direct).map(|node| node.name.clone()).collect();
    let transport = plan.node(&known[j.find(at, "Direct Connect gateway", &known)?])?;
    let Some(NodeKind::TransitGateway(transit)) = plan.nodes.get(gateway.index()).map(|node| &node.kind) else {
        j.wrong(at.place, "private-IP VPN is for transit gateways", None);
        return None;
    };
    if let Some(accelerated) = schema.enable_acceleration.as_ref().filter(|at| at.value == Ok(true)) {
        j.wrong(accelerated.place, "acceleration is for VPN over the internet, not for private-IP VPN", None);
    }
    if !ends(plan, gateway).any(|end| end == transport) {
        j.wrong(at.place, "this Direct Connect gateway is not associated with the connection's transit gateway", None);
    }
    for (_, tunnel) in &schema.tunnels.0 {
        let Ok(address) = &tunnel.outside_address.value else { continue };
        let is_own = |address: &IpAddr| match address {
            IpAddr::V4(address) => transit.cidr_blocks.iter().any(|block| block.contains(address)),
            IpAddr::V6(_) => false,
        };
        if !is_own(address) {
            let help = "give the transit gateway `cidr_blocks:`, and the tunnel an address out of them";
            let message = format!("{address} is in no block of the transit gateway's own");
            j.wrong(tunnel.outside_address.place, message, Some(help.into()));
        }
    }
    Some(transport)
}

/// Links that are one.
pub(super) fn lag(schema: &schema::Lag, j: &mut Judge) -> Lag {
    Lag {
        minimum_links: j.number(&schema.minimum_links, 0, 0, MEMBERS as u64, "the least number of links of a LAG"),
        fast: j.or(&schema.fast, false),
    }
}

/// What is wrong with the members of a LAG, and with one end of a link that has no other.
fn members(id: NodeId, at: &At<Name>, lag: Option<Lag>, theirs: Option<Lag>, plan: &Plan, j: &mut Judge) {
    let links: Vec<_> = plan.links.iter().filter(|link| link.ends.iter().any(|end| end.node == id)).collect();
    let Some(lag) = lag else {
        if theirs.is_some() {
            let help = "give the connection `lag: ()`";
            j.wrong(at.place, "the router at the other end has a LAG here, AWS has none", Some(help.into()));
        }
        return;
    };
    if theirs.is_none() && !links.is_empty() {
        let help = "give the interface at the other end `lag: ()`";
        j.wrong(at.place, "AWS has a LAG here, the router at the other end has none", Some(help.into()));
    }
    let rate = links.first().map(|link| link.forward.rate);
    if links.iter().any(|link| Some(link.forward.rate) != rate || Some(link.reverse.rate) != rate) {
        j.wrong(at.place, "all members of a LAG have the same speed", None);
    }
    let most = if rate.flatten().is_some_and(|bits| bits >= 100_000_000_000) { FAST_MEMBERS } else { MEMBERS };
    if links.len() > most {
        let message = format!("a LAG of this speed has at most {most} members, not {}", links.len());
        j.wrong(at.place, message, None);
    }
    if lag.minimum_links > links.len() {
        let message = format!("with {} links this LAG never has its least number, {}", links.len(), lag.minimum_links);
        j.wrong(at.place, message, None);
    }
}

/// The bandwidth and MTU that a link has by the virtual interface that it ends at.
pub(super) fn carried(ends: &[Option<End>; 2], nodes: &[Node], connections: &[DirectConnect]) -> Option<(u64, u16)> {
    ends.iter().flatten().find_map(|end| match &nodes.get(end.node.index())?.kind {
        NodeKind::VirtualInterface(made) => Some((connections.get(made.connection)?.bandwidth, made.mtu)),
        _ => None,
    })
}

/// Each location is a group of what AWS has there.
pub(super) fn locations(plan: &Plan) -> Vec<Group> {
    let mut all: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for connection in &plan.direct_connects {
        all.entry(&connection.location).or_default().extend(&connection.virtual_interfaces);
    }
    let group = |(location, nodes)| Group { name: format!("location:{location}"), nodes, links: Vec::new() };
    all.into_iter().map(group).collect()
}
