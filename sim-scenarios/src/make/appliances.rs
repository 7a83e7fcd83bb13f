//! What stands behind network interfaces of VPCs and between VPCs: NAT gateways and instances, endpoints, peering connections.

use core::net::Ipv4Addr;

use sim_core::id::NodeId;
use sim_core::node::translator::{Forward, HealthCheck};

use crate::leaf::{Name, Rate};
use crate::place::At;
use crate::plan::{Appliance, ApplianceKind, GatewayEndpoint, Node, NodeKind, Plan, VpcPeering};
use crate::schema;

use super::Names;
use super::judge::{Judge, between};
use super::nodes::{overlap, usable, whole};
use super::vpc::Vpcs;

/// Secondary addresses of a NAT gateway, beside its primary one (page nat-gateway-basics.html: eight in all).
const SECONDARY: usize = 7;
/// Bits a second that a NAT gateway carries at first, and at most (the same page).
const BANDWIDTH: [u64; 2] = [5_000_000_000, 100_000_000_000];
/// And packets a second.
const PACKETS: [u64; 2] = [1_000_000, 10_000_000];

pub(super) fn nat_gateway(schema: &schema::NatGateway, vpcs: &Vpcs, j: &mut Judge) -> Appliance {
    let from_transit_gateway = j.or(&schema.from_transit_gateway, true);
    if let Some(extra) = schema.secondary_addresses.get(SECONDARY) {
        let message = format!("a NAT gateway has at most {} addresses, its primary one among them", SECONDARY + 1);
        j.wrong(extra.address.place, message, None);
    }
    let place = schema.subnet.value.as_ref().ok().and_then(|Name(subnet)| vpcs.place(subnet));
    let mut secondary = Vec::new();
    for it in &schema.secondary_addresses {
        match (&schema.elastic_ip, &it.elastic_ip) {
            (Some(_), None) => {
                let help = "give it `elastic_ip:`";
                j.wrong(
                    it.address.place,
                    "each address of a public NAT gateway has an Elastic IP address",
                    Some(help.into()),
                );
            }
            (None, Some(at)) => {
                let help = "a public one has `elastic_ip:` for its primary address, too";
                j.wrong(at.place, "a private NAT gateway has no Elastic IP address", Some(help.into()));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let address = vpcs.address(place, &it.address, j);
        secondary.push((address, vpcs.elastic_ip(place.map(|(vpc, _)| vpc), it.elastic_ip.as_ref(), j)));
    }
    let [first, most] = BANDWIDTH;
    let Rate(bandwidth) = j.lawful_or(&schema.bandwidth, Rate(first), |Rate(bits)| match *bits <= most {
        true => Ok(()),
        false => Err("a NAT gateway carries at most 100Gbps".into()),
    });
    let packets = "the packets a second of a NAT gateway";
    let packets_per_second = j.number(&schema.packets_per_second, PACKETS[0], 1, PACKETS[1], packets);
    let kind = ApplianceKind::NatGateway { from_transit_gateway, secondary, bandwidth, packets_per_second };
    appliance((&schema.subnet, &schema.address, schema.elastic_ip.as_ref()), false, kind, vpcs, j)
}

pub(super) fn nat_instance(schema: &schema::NatInstance, vpcs: &Vpcs, j: &mut Judge) -> Appliance {
    let check = j.or(&schema.source_destination_check, true);
    let mut forwards: Vec<Forward> = Vec::new();
    for it in &schema.forwards {
        let port = j.lawful(&it.port, |port| {
            between(*port, 1, 1023, "a port that leads elsewhere (higher ones are for flows that are translated)")?;
            match forwards.iter().any(|other| u64::from(other.port) == *port) {
                true => Err(format!("port {port} leads elsewhere already")),
                false => Ok(()),
            }
        });
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        let to = j.lawful(&it.to, |to| usable((*to).into())).unwrap_or(Ipv4Addr::UNSPECIFIED);
        forwards.push(Forward { port, to: (to, j.number(&it.to_port, port, 1, 65_535, "a port")) });
    }
    let kind = ApplianceKind::NatInstance { forwards };
    appliance((&schema.subnet, &schema.address, schema.elastic_ip.as_ref()), check, kind, vpcs, j)
}

pub(super) fn firewall_instance(schema: &schema::FirewallInstance, vpcs: &Vpcs, j: &mut Judge) -> Appliance {
    let check = j.or(&schema.source_destination_check, true);
    let inside = schema.inside.iter().filter_map(|at| j.lawful(at, whole)).collect();
    let (track, on_miss) = super::firewall::strangers(&schema.profile, j);
    let kind = ApplianceKind::Firewall { inside, track, on_miss };
    appliance((&schema.subnet, &schema.address, None), check, kind, vpcs, j)
}

pub(super) fn interface_endpoint(
    schema: &schema::InterfaceEndpoint,
    vpcs: &Vpcs,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> Appliance {
    let is_service = |node: &schema::Node| matches!(node, schema::Node::Host(_) | schema::Node::LoadBalancer(_));
    let service = service(&schema.service, ("host or load balancer", is_service), scenario, names, j);
    let service = service.unwrap_or_default();
    appliance((&schema.subnet, &schema.address, None), true, ApplianceKind::InterfaceEndpoint { service }, vpcs, j)
}

/// The node of a network load balancer. Its limits are those of page target-group-health-checks.html.
pub(super) fn load_balancer(
    schema: &schema::LoadBalancer,
    vpcs: &Vpcs,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> Appliance {
    let zone = |(vpc, subnet): (NodeId, usize)| {
        vpcs.schema(vpc)?.subnets.0.get(subnet)?.1.availability_zone.value.as_ref().ok().map(|Name(zone)| zone.clone())
    };
    let here = vpcs.subnet(&schema.subnet, j);
    let mut candidates: Vec<(String, (NodeId, usize), Ipv4Addr)> = Vec::new();
    for (name, (_, node)) in names.nodes.iter().zip(&scenario.nodes.0) {
        let (subnet, address) = match node {
            schema::Node::Instance(it) => (&it.subnet, &it.address),
            schema::Node::NatInstance(it) => (&it.subnet, &it.address),
            _ => continue,
        };
        let place = subnet.value.as_ref().ok().and_then(|Name(subnet)| vpcs.place(subnet));
        let same = place.filter(|(vpc, _)| here.is_none_or(|(own, _)| own == *vpc));
        if let (Some(place), Ok(address)) = (same, &address.value) {
            candidates.push((name.clone(), place, *address));
        }
    }
    let known: Vec<String> = candidates.iter().map(|(name, ..)| name.clone()).collect();
    let cross_zone = j.or(&schema.cross_zone, false);
    let mut targets = Vec::new();
    for at in &schema.targets {
        let Some((name, place, address)) = j.find(at, "instance of this VPC", &known).map(|i| &candidates[i]) else {
            continue;
        };
        if cross_zone || here.and_then(zone) == zone(*place) {
            targets.push((*address, name.clone()));
        }
    }
    if let (Some(first), true) = (schema.targets.first(), schema.targets.is_empty() || targets.is_empty()) {
        let help = "give it `cross_zone: true`, or a target in its own zone";
        j.wrong(first.place, "no target is in the availability zone of this node", Some(help.into()));
    }
    let seconds = sim_core::time::Duration::from_secs;
    let it = &schema.health_check;
    let interval = j.lawful_or(&it.interval, seconds(30), |t| between(*t, seconds(5), seconds(300), "the interval"));
    let check = HealthCheck {
        interval,
        timeout: j.lawful_or(&it.timeout, seconds(10).min(interval), |t| {
            between(*t, seconds(2), seconds(120).min(interval), "the timeout of a health check")
        }),
        healthy: j.number(&it.healthy, 5, 2, 10, "the number of answers"),
        unhealthy: j.number(&it.unhealthy, 2, 2, 10, "the number of failures"),
    };
    let port =
        j.number(&schema.port, 7, 1, 1023, "the port of a listener (higher ones are for flows that are translated)");
    let kind = ApplianceKind::LoadBalancer { port, targets, check };
    appliance((&schema.subnet, &schema.address, None), true, kind, vpcs, j)
}

fn appliance(
    (subnet, address, elastic_ip): (&At<Name>, &At<Ipv4Addr>, Option<&At<Ipv4Addr>>),
    source_destination_check: bool,
    kind: ApplianceKind,
    vpcs: &Vpcs,
    j: &mut Judge,
) -> Appliance {
    let place = vpcs.subnet(subnet, j);
    let address = vpcs.address(place, address, j);
    let elastic_ip = vpcs.elastic_ip(place.map(|(vpc, _)| vpc), elastic_ip, j);
    let (vpc, subnet) = place.unwrap_or_default();
    Appliance { vpc, subnet, address, elastic_ip, source_destination_check, kind }
}

/// The node that is a service.
fn service(
    at: &At<Name>,
    (what, is_service): (&str, fn(&schema::Node) -> bool),
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> Option<NodeId> {
    let all = names.nodes.iter().zip(&scenario.nodes.0).zip(0u32..);
    let all = all.filter(|((_, (_, node)), _)| is_service(node));
    let (known, ids): (Vec<String>, Vec<NodeId>) = all.map(|((name, _), id)| (name.clone(), NodeId(id))).unzip();
    j.find(at, what, &known).map(|i| ids[i])
}

pub(super) fn peering(schema: &schema::VpcPeering, vpcs: &Vpcs, j: &mut Judge) -> VpcPeering {
    let ends = [&schema.requester, &schema.accepter].map(|at| vpcs.find(at, j));
    if let [Some(a), Some(b)] = ends {
        if a == b {
            j.wrong(schema.accepter.place, "a VPC does not peer with itself", None);
        } else if let (Some(one), Some(other)) = (vpcs.cidr(a), vpcs.cidr(b))
            && overlap(&one, &other)
        {
            let message = format!("{one} and {other} overlap: AWS makes no peering connection between them");
            j.wrong(schema.accepter.place, message, None);
        }
    }
    VpcPeering { vpcs: ends.map(Option::unwrap_or_default) }
}

pub(super) fn gateway_endpoint(
    schema: &schema::GatewayEndpoint,
    vpcs: &Vpcs,
    scenario: &schema::Scenario,
    names: &Names,
    j: &mut Judge,
) -> GatewayEndpoint {
    let vpc = vpcs.find(&schema.vpc, j);
    let is_host = |node: &schema::Node| matches!(node, schema::Node::Host(_));
    let service = service(&schema.service, ("host", is_host), scenario, names, j);
    let prefix_list: Vec<_> = schema.prefix_list.iter().filter_map(|at| j.lawful(at, whole)).collect();
    let address = service.and_then(|id| match &scenario.nodes.0.get(id.index())?.1 {
        schema::Node::Host(host) => host.address.value.clone().ok(),
        _ => None,
    });
    if let Some(address) = address.filter(|address| !prefix_list.iter().any(|net| net.contains(&address.addr()))) {
        let message = format!("{}, the service's address, is not in the prefix list", address.addr());
        j.wrong(schema.service.place, message, None);
    }
    let route_tables = schema.route_tables.iter();
    let route_tables = route_tables.filter_map(|at| vpc.and_then(|vpc| vpcs.table(vpc, at, j))).collect();
    GatewayEndpoint { vpc: vpc.unwrap_or_default(), service: service.unwrap_or_default(), prefix_list, route_tables }
}

/// A service answers each network by one endpoint only.
pub(super) fn endpoints(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let mut seen: Vec<(NodeId, ipnet::Ipv4Net, &str)> = Vec::new();
    for ((_, schema), node) in scenario.nodes.0.iter().zip(&plan.nodes) {
        let (service, net, at) = match (schema, &node.kind) {
            (schema::Node::GatewayEndpoint(it), NodeKind::GatewayEndpoint(made)) => {
                let Some(Node { kind: NodeKind::Vpc(vpc), .. }) = plan.nodes.get(made.vpc.index()) else { continue };
                (made.service, vpc.cidr, &it.service)
            }
            _ => continue,
        };
        if let Some((.., other)) = seen.iter().find(|(of, known, _)| *of == service && overlap(known, &net)) {
            let message = format!("the service answers {net} by `{other}` already");
            j.wrong(at.place, message, Some("the VPCs of its endpoints may not overlap here".into()));
        }
        seen.push((service, net, &node.name));
    }
}
