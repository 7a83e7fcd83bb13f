//! DNS: zones, rules and endpoints, and whom hosts ask.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::proto::dns::{AskerConfig, Zone};
use sim_core::time::Duration;
use sim_core::wire::dns::{ADDRESSES_MAX, DnsName};

use crate::leaf::{Name, ResolverDirection};
use crate::place::{At, Named, Place};
use crate::plan::{Appliance, ApplianceKind, Assumed, Assumption, Forward, NameServer, NodeKind, Plan, Resolver};
use crate::schema;

use super::Names;
use super::judge::{Judge, between};
use super::nodes::{overlap, usable};
use super::vpc::Vpcs;

/// How many name servers a host asks (resolv.conf(5): `MAXNS`).
const SERVERS_MAX: usize = 3;

/// The address of the resolver that is the same in every VPC, and reached from inside of it only (VPC user guide, page
/// AmazonDNS-concepts.html).
pub(crate) const LINK_LOCAL_RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

/// The address of the resolver in a VPC (VPC user guide, page AmazonDNS-concepts.html).
pub(crate) fn resolver_address(block: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(block.network()) + 2)
}

pub(super) fn resolver(schema: &schema::Route53Resolver, at: &At<Name>, vpcs: &Vpcs, j: &mut Judge) -> Resolver {
    let mut made: Vec<(NodeId, Ipv4Addr, Ipv4Net)> = Vec::new();
    for name in &schema.vpcs {
        let Some((vpc, block)) = vpcs.find(name, j).and_then(|vpc| Some((vpc, vpcs.cidr(vpc)?))) else { continue };
        if made.iter().any(|(.., other)| overlap(other, &block)) {
            j.wrong(name.place, "the VPCs of one resolver may not overlap here", None);
        }
        made.push((vpc, resolver_address(block), block));
    }
    if schema.vpcs.is_empty() {
        j.wrong(at.place, "this resolver is of no VPC", None);
    }
    Resolver { vpcs: made.into_iter().map(|(vpc, address, _)| (vpc, address)).collect() }
}

pub(super) fn endpoint(
    schema: &schema::ResolverEndpoint,
    vpcs: &Vpcs,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> Appliance {
    let place = vpcs.subnet(&schema.subnet, j);
    let address = vpcs.address(place, &schema.address, j);
    let outbound = j.need(&schema.direction, ResolverDirection::Inbound) == ResolverDirection::Outbound;
    let name = place.and_then(|(vpc, _)| names.nodes.get(vpc.index()));
    let of_vpc = |node: &schema::Node| match node {
        schema::Node::Route53Resolver(it) => {
            it.vpcs.iter().any(|at| matches!(&at.value, Ok(Name(vpc)) if Some(vpc) == name))
        }
        _ => false,
    };
    let resolver = scenario.nodes.0.iter().position(|(_, node)| of_vpc(node));
    if place.is_some() && resolver.is_none() {
        let help = "add a node Route53Resolver with this VPC";
        j.wrong(schema.subnet.place, "the VPC of this subnet has no resolver", Some(help.into()));
    }
    let groups = place.and_then(|(vpc, _)| vpcs.schema(vpc)).map(|vpc| &vpc.security_groups);
    let security_groups = super::groups::of_interface(&schema.security_groups, groups, j);
    let tracking = super::groups::tracking(&schema.connection_tracking, &schema.security_groups, j);
    let resolver = NodeId(resolver.unwrap_or_default() as u32);
    let (vpc, subnet) = place.unwrap_or_default();
    let kind = ApplianceKind::ResolverEndpoint { resolver, outbound, security_groups, tracking };
    Appliance { vpc, subnet, address, elastic_ip: None, source_destination_check: true, kind }
}

/// Who is a name server, and who asks whom.
pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    let mut of_vpc: BTreeMap<NodeId, (Ipv4Addr, String)> = BTreeMap::new();
    for ((at, schema), id) in scenario.nodes.0.iter().zip((0..).map(NodeId)) {
        let node = &plan.nodes[id.index()];
        if let (schema::Node::Route53Resolver(it), NodeKind::Resolver(made)) = (schema, &node.kind) {
            for (vpc, address) in &made.vpcs {
                if let Some((_, other)) = of_vpc.insert(*vpc, (*address, node.name.clone())) {
                    let vpc = &plan.nodes[vpc.index()].name;
                    j.wrong(at.place, format!("`{vpc}` has a resolver already: `{other}`"), None);
                }
            }
            let forwards = it.rules.0.iter().map(|(_, rule)| resolver_rule(rule, id, names, plan, j)).collect();
            j.names(&it.rules, "rule of this resolver");
            let server = NameServer { zones: zones(&it.private_zones, j), forwards, asks: asks(&it.asks, j) };
            assume(&node.name.clone(), &server, it.asks.timeout.is_some(), it.asks.rounds.is_some(), plan);
            plan.dns.servers.insert(id, server);
        } else if let schema::Node::Host(schema::Host { name_server: Some(it), .. }) = schema {
            let forward = |(_, forward): &(At<Name>, schema::DnsForward)| Forward {
                domain: j.need(&forward.domain, root()),
                endpoints: Vec::new(),
                targets: targets(&forward.targets, forward.domain.place, j),
            };
            let forwards = it.forwards.0.iter().map(forward).collect();
            j.names(&it.forwards, "forward of this name server");
            let server = NameServer { zones: zones(&it.zones, j), forwards, asks: asks(&it.asks, j) };
            plan.dns.servers.insert(id, server);
        }
    }
    for ((_, schema), id) in scenario.nodes.0.iter().zip((0..).map(NodeId)) {
        let (given, usual) = match (schema, &plan.nodes[id.index()].kind) {
            (schema::Node::Host(it), _) => (&it.resolver, None),
            (schema::Node::Instance(it), NodeKind::Instance(made)) => (&it.resolver, of_vpc.get(&made.vpc)),
            _ => continue,
        };
        let mut servers: Vec<Ipv4Addr> = given.iter().filter_map(|at| j.lawful(at, is_address)).collect();
        if let Some(at) = given.get(SERVERS_MAX) {
            j.wrong(at.place, format!("a host asks at most {SERVERS_MAX} name servers"), None);
        }
        if given.is_empty() {
            servers.extend(usual.map(|(address, _)| *address));
        }
        if !servers.is_empty() {
            plan.dns.resolvers.insert(id, servers);
        }
    }
}

fn root() -> DnsName {
    ".".parse().unwrap_or_else(|_| unreachable!("the root is a name"))
}

fn is_address(address: &Ipv4Addr) -> super::judge::Verdict {
    usable((*address).into())
}

fn targets(targets: &[At<Ipv4Addr>], place: Place, j: &mut Judge) -> Vec<Ipv4Addr> {
    if targets.is_empty() {
        j.wrong(place, "nobody is asked about this domain: it has no targets", None);
    }
    targets.iter().filter_map(|at| j.lawful(at, is_address)).collect()
}

fn resolver_rule(rule: &schema::ResolverRule, of: NodeId, names: &Names, plan: &Plan, j: &mut Judge) -> Forward {
    let domain = j.need(&rule.domain, root());
    let outbound = |id: &usize| {
        matches!(plan.nodes.get(*id).map(|node| &node.kind), Some(NodeKind::Appliance(it))
            if matches!(it.kind, ApplianceKind::ResolverEndpoint { resolver, outbound: true, .. } if resolver == of))
    };
    let ids: Vec<usize> = (0..names.nodes.len()).filter(outbound).collect();
    let known: Vec<String> = ids.iter().map(|id| names.nodes[*id].clone()).collect();
    let found = rule.endpoints.iter().filter_map(|at| j.find(at, "outbound endpoint of this resolver", &known));
    let endpoints: Vec<NodeId> = found.map(|i| NodeId(ids[i] as u32)).collect();
    if rule.endpoints.is_empty() {
        j.wrong(rule.domain.place, "a rule asks by an outbound endpoint, and this one names none", None);
    }
    Forward { domain, endpoints, targets: targets(&rule.targets, rule.domain.place, j) }
}

fn asks(schema: &schema::DnsAsks, j: &mut Judge) -> AskerConfig {
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(30));
    let timeout =
        j.lawful_or(&schema.timeout, Duration::from_secs(2), |t| between(*t, least, most, "the time for an answer"));
    AskerConfig { timeout, rounds: j.number(&schema.rounds, 2, 1, 10, "the number of rounds"), sticky: true }
}

/// What of a resolver AWS does not publish.
fn assume(name: &str, server: &NameServer, timeout: bool, rounds: bool, plan: &mut Plan) {
    if server.forwards.is_empty() {
        return;
    }
    let mut one = |parameter: &str, given: bool, value: String, ends: [&str; 2]| {
        if given {
            return;
        }
        plan.assumptions.push(Assumption {
            what: Assumed::ResolverAsks,
            owner: Some(name.to_owned()),
            parameter: format!("nodes.{name}.asks.{parameter}"),
            value,
            source: "UNVERIFIED: AWS does not say how long Route 53 Resolver waits for a target, nor how often it asks"
                .into(),
            range: super::range(ends, "assumed: what name servers of today do"),
        });
    };
    one("timeout", timeout, server.asks.timeout.to_string(), ["800ms", "5s"]);
    one("rounds", rounds, server.asks.rounds.to_string(), ["1", "3"]);
}

fn zones(schema: &Named<schema::DnsZone>, j: &mut Judge) -> Vec<Zone> {
    j.names(schema, "zone");
    let mut made: Vec<Zone> = Vec::new();
    for (_, zone) in &schema.0 {
        let Some(origin) = j.read(&zone.domain) else { continue };
        if made.iter().any(|other| other.origin == origin) {
            j.wrong(zone.domain.place, format!("there is already a zone of `{origin}`"), None);
        }
        let (second, week) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
        let ttl = j.lawful_or(&zone.ttl, Duration::from_secs(300), |ttl| {
            between(*ttl, second, week, "the TTL of records")?;
            if ttl.as_nanos().is_multiple_of(second.as_nanos()) { Ok(()) } else { Err("a TTL is whole seconds".into()) }
        });
        let mut records: BTreeMap<DnsName, Vec<Ipv4Addr>> = BTreeMap::new();
        for (at, addresses) in &zone.records.0 {
            let Some(name) = name(at, &origin, j) else { continue };
            if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
                j.wrong(at.place, format!("a name has 1 to {ADDRESSES_MAX} addresses"), None);
            }
            let addresses = addresses.iter().filter_map(|at| j.read(at)).collect();
            if records.insert(name.clone(), addresses).is_some() {
                j.wrong(at.place, format!("`{name}` stands twice in this zone"), None);
            }
        }
        made.push(Zone { origin, records, ttl: ttl.as_secs_f64() as u32 });
    }
    made
}

/// A name in a zone.
fn name(at: &At<Name>, zone: &DnsName, j: &mut Judge) -> Option<DnsName> {
    let Name(text) = j.read(at)?;
    if text == "@" {
        return Some(zone.clone());
    }
    let name: DnsName = match text.parse() {
        Ok(name) => name,
        Err(error) => {
            j.wrong(at.place, format!("`{text}` is no domain name: {error}"), None);
            return None;
        }
    };
    if name.is_in(zone) {
        return Some(name);
    }
    let below = zone.below(&text);
    if below.is_none() {
        j.wrong(at.place, format!("`{text}` is too long for a name in `{zone}`"), None);
    }
    below
}
