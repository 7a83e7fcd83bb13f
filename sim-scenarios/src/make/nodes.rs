//! Devices: hosts, routers, gateways, VPCs and what is in them.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use sim_core::id::NodeId;

use crate::leaf::Asn;
use crate::place::{At, Place};
use crate::plan::{
    Assumed, Assumption, CustomerGateway, External, Host, Node, NodeKind, Plan, Router, VirtualPrivateGateway,
};
use crate::schema;

use super::judge::Judge;
use super::routers::{self, Given, Ways};
use super::vpc::Vpcs;
use super::{Names, appliances, judge, profiles};

pub(super) const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// All devices but the ends of virtual interfaces and tunnels.
pub(super) fn make(scenario: &schema::Scenario, names: &Names, j: &mut Judge) -> Vec<Node> {
    let nodes = &scenario.nodes.0;
    let vpcs = Vpcs::of(scenario, names, j);
    names
        .nodes
        .iter()
        .zip(nodes)
        .map(|(name, (at, node))| Node {
            name: name.clone(),
            kind: match node {
                schema::Node::Host(it) => NodeKind::Host(host(it, j)),
                schema::Node::Router(it) => {
                    NodeKind::Router(Router { address: it.address.as_ref().and_then(|at| j.read(at)) })
                }
                schema::Node::BgpRouter(it) => NodeKind::BgpRouter(Box::new(routers::bgp_router(it, j))),
                schema::Node::Nat(it) => NodeKind::Nat(Box::new(super::nats::make(it, j))),
                schema::Node::CustomerGateway(it) => {
                    NodeKind::CustomerGateway(Box::new(customer_gateway(it, &vpcs, names, j)))
                }
                schema::Node::VirtualPrivateGateway(it) => {
                    NodeKind::VirtualPrivateGateway(virtual_private_gateway(it, &vpcs, j))
                }
                schema::Node::TransitGateway(it) => {
                    NodeKind::TransitGateway(super::transit::make(it, at, &vpcs, scenario, names, j))
                }
                schema::Node::DirectConnectGateway(it) => {
                    NodeKind::DirectConnectGateway(super::dx::gateway(it, scenario, names, j))
                }
                schema::Node::Vpc(it) => NodeKind::Vpc(super::vpc::vpc(it, at, scenario, names, j)),
                schema::Node::Instance(it) => NodeKind::Instance(super::vpc::instance(it, &vpcs, j)),
                schema::Node::InternetGateway(it) => {
                    NodeKind::InternetGateway(super::vpc::internet_gateway(it, &vpcs, j))
                }
                schema::Node::NatGateway(it) => NodeKind::Appliance(Box::new(appliances::nat_gateway(it, &vpcs, j))),
                schema::Node::NatInstance(it) => NodeKind::Appliance(Box::new(appliances::nat_instance(it, &vpcs, j))),
                schema::Node::LoadBalancer(it) => {
                    NodeKind::Appliance(Box::new(appliances::load_balancer(it, &vpcs, scenario, names, j)))
                }
                schema::Node::InterfaceEndpoint(it) => {
                    NodeKind::Appliance(Box::new(appliances::interface_endpoint(it, &vpcs, scenario, names, j)))
                }
                schema::Node::Route53Resolver(it) => NodeKind::Resolver(super::dns::resolver(it, at, &vpcs, j)),
                schema::Node::ResolverEndpoint(it) => {
                    NodeKind::Appliance(Box::new(super::dns::endpoint(it, &vpcs, scenario, names, j)))
                }
                schema::Node::FirewallInstance(it) => {
                    NodeKind::Appliance(Box::new(appliances::firewall_instance(it, &vpcs, j)))
                }
                schema::Node::TransitGatewayPeering(it) => {
                    NodeKind::TransitGatewayPeering(super::transit::peering(it, scenario, names, j))
                }
                schema::Node::ClientVpnAssociation(it) => {
                    NodeKind::ClientVpnAssociation(Box::new(super::client_vpn::association(it, &vpcs, names, j)))
                }
                schema::Node::VpnClient(it) => NodeKind::VpnClient(Box::new(super::client_vpn::client(it, names, j))),
                schema::Node::Switch(it) => NodeKind::Switch(super::lan::switch(it, j)),
                schema::Node::VpcPeering(it) => NodeKind::VpcPeering(appliances::peering(it, &vpcs, j)),
                schema::Node::GatewayEndpoint(it) => {
                    NodeKind::GatewayEndpoint(appliances::gateway_endpoint(it, &vpcs, scenario, names, j))
                }
            },
        })
        .collect()
}

fn host(schema: &schema::Host, j: &mut Judge) -> Host {
    let address = j.lawful(&schema.address, |net| usable(*net)).unwrap_or_default();
    let gateway = schema.gateway.as_ref().and_then(|at| {
        j.lawful(at, |gateway| {
            if !address.contains(gateway) {
                Err(format!("the gateway is not in the host's subnet {}", address.trunc()))
            } else if *gateway == address.addr() {
                Err("the gateway is the host itself".into())
            } else {
                Ok(())
            }
        })
    });
    // A gateway that is not given is known when links are.
    Host { address, gateway: gateway.unwrap_or(ANY) }
}

/// An address that a device may have in its subnet.
pub(super) fn usable(net: Ipv4Net) -> judge::Verdict {
    let special = net.prefix_len() < 31 && (net.addr() == net.network() || net.addr() == net.broadcast());
    if special {
        Err(format!("{} is no device's address: it names the subnet or its broadcast", net.addr()))
    } else if net.addr().is_loopback() || net.addr().is_multicast() || net.addr().is_unspecified() {
        Err(format!("{} is no device's address", net.addr()))
    } else {
        Ok(())
    }
}

/// A prefix without octets beyond its length.
pub(super) fn whole(net: &Ipv4Net) -> judge::Verdict {
    if net.addr() == net.network() {
        Ok(())
    } else {
        Err(format!("{net} has bits beyond its prefix length: it would be {}", net.trunc()))
    }
}

/// AWS refuses its own public autonomous systems: 7224 in every Region, the others in one each (guide, "Customer gateway options").
pub(super) fn customer_asn(Asn(asn): &Asn) -> judge::Verdict {
    let region = match asn {
        7224 => return Err("AWS does not accept 7224, its own, for a customer gateway".into()),
        9059 => "eu-west-1",
        10_124 => "ap-northeast-1",
        17_943 => "ap-southeast-1",
        _ => return Ok(()),
    };
    Err(format!("AWS does not accept {asn}, its own in {region}, for a customer gateway"))
}

fn customer_gateway(schema: &schema::CustomerGateway, vpcs: &Vpcs, names: &Names, j: &mut Judge) -> CustomerGateway {
    let mut interfaces = routers::interfaces(&schema.interfaces, j);
    super::lan::virtual_routers(&mut interfaces, &schema.interfaces, &schema.tracks, j);
    let asn = j.lawful_or(&schema.asn, Asn(65_000), customer_asn);
    let ways = Ways { interfaces: &interfaces, tunnels: Some(names) };
    let static_routes = routers::static_routes(&schema.static_routes, &schema.tracks, &ways, j);
    let policies = super::policies::make(&schema.policies, j);
    let given = Given {
        neighbors: &schema.neighbors,
        tracks: &schema.tracks,
        policy_routes: &schema.policy_routes,
        ecmp: schema.ecmp.as_ref(),
        firewall: schema.firewall.as_deref(),
        tunnel_nat: schema.tunnel_nat.as_ref(),
        cluster_id: schema.cluster_id.as_ref(),
        igp_costs: &schema.igp_costs,
        policies: &policies,
    };
    let forwarding = routers::forwarding(&given, asn.0, &ways, j);
    let profile = profiles::named(&schema.profile, j);
    CustomerGateway {
        asn: asn.0,
        later: Vec::new(),
        advertise: schema.advertise.iter().filter_map(|at| j.lawful(at, whole)).collect(),
        policies,
        decision: super::policies::decision(&schema.decision, j),
        static_routes,
        routes_follow_sa: j.or(&schema.routes_follow_sa, profile.routes_follow_sa),
        forwarding,
        profile,
        tcp: j.or(&schema.tcp, profile.tcp),
        external: schema.external.as_ref().map(|it| external(it, j)),
        instance: schema.instance.as_ref().map(|it| Box::new(super::instances::make(it, schema, &interfaces, vpcs, j))),
        interfaces,
    }
}

/// A VPN connection has two tunnels at most.
const LOOPBACK: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];

fn external(schema: &schema::External, j: &mut Judge) -> External {
    let single = |address: &Ipv4Addr| match address.is_multicast() || address.is_broadcast() {
        true => Err(format!("{address} is no device's address")),
        false => Ok(()),
    };
    let listen: Vec<Ipv4Addr> = schema.listen.iter().filter_map(|at| j.lawful(at, single)).collect();
    let ports = [&schema.ike_port, &schema.nat_port];
    let [ike_port, nat_port] = [0, 1].map(|i| j.number(ports[i], PORTS[i], 1, 65_535, "a UDP port"));
    if ike_port == nat_port
        && let Some(at) = ports.into_iter().flatten().next()
    {
        j.wrong(at.place, "IKE and ESP behind a NAT need a port of their own, beside that of IKE", None);
    }
    External {
        listen: if listen.is_empty() { LOOPBACK.to_vec() } else { listen },
        ike_port,
        nat_port,
        peer: schema.peer.as_ref().and_then(|at| j.lawful(at, single)),
    }
}

/// IKE's (RFC 7296 section 2), and that of NAT traversal (RFC 3948).
const PORTS: [u16; 2] = [500, 4500];

pub(super) fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn virtual_private_gateway(
    schema: &schema::VirtualPrivateGateway,
    vpcs: &Vpcs,
    j: &mut Judge,
) -> VirtualPrivateGateway {
    // Also those that AWS gave to gateways made before 2018-06-30.
    let asn = amazon_asn(&schema.asn, &[7224, 9059, 10_124, 17_493], j);
    let vpc = schema.vpc.as_ref().and_then(|at| vpcs.find(at, j));
    if let (None, Some(at)) = (&schema.vpc, &schema.route_table) {
        j.wrong(at.place, "a gateway that is attached to no VPC has no route table there", None);
    }
    let route_table = vpc.zip(schema.route_table.as_ref()).and_then(|(vpc, at)| vpcs.table(vpc, at, j));
    VirtualPrivateGateway { asn, vpc, route_table, preferred_tunnel: None }
}

/// The Amazon side's ASN.
pub(super) fn amazon_asn(schema: &Option<At<Asn>>, besides: &[u32], j: &mut Judge) -> u32 {
    let asn = j.lawful_or(schema, Asn(64_512), |Asn(asn)| match asn {
        64_512..=65_534 | 4_200_000_000..=4_294_967_294 => Ok(()),
        other if besides.contains(other) => Ok(()),
        _ => Err("the Amazon side's ASN is private: 64512 to 65534 or 4200000000 to 4294967294".into()),
    });
    asn.0
}

/// What can be said of gateways and addresses when everything else is known.
pub(super) fn gateways(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let mut vpcs: BTreeSet<NodeId> = BTreeSet::new();
    let mut assumptions = Vec::new();
    for (i, (at, schema)) in scenario.nodes.0.iter().enumerate() {
        let schema::Node::VirtualPrivateGateway(schema) = schema else {
            continue;
        };
        let Some(Node { name, kind: NodeKind::VirtualPrivateGateway(gateway) }) = plan.nodes.get(i) else {
            continue;
        };
        let name = name.clone();
        if let (Some(at), Some(vpc)) = (&schema.vpc, gateway.vpc)
            && !vpcs.insert(vpc)
        {
            j.wrong(at.place, "another gateway is attached to this VPC: AWS attaches one", None);
        }
        let id = NodeId(i as u32);
        let mine = plan.connections.iter().enumerate().filter(|(_, c)| c.gateway == id);
        let tunnels: Vec<(String, _)> = mine
            .flat_map(|(connection, c)| {
                c.tunnels
                    .iter()
                    .enumerate()
                    .map(move |(tunnel, t)| (t.name.clone(), crate::plan::TunnelId { connection, tunnel }))
            })
            .collect();
        if tunnels.is_empty() && super::dx::ends(plan, id).next().is_none() {
            j.wrong(at.place, "no connection ends at this gateway", None);
        }
        let sites: BTreeSet<NodeId> =
            tunnels.iter().map(|(_, id)| plan.connections[id.connection].customer_gateway).collect();
        if schema.vpc.is_none() && sites.len() + super::dx::ends(plan, id).count() == 1 {
            let message = "this gateway is attached to no VPC and joins one site with nobody";
            j.wrong(at.place, message, Some("add `vpc: ...`, or another site".into()));
        }
        let tunnel_names: Vec<String> = tunnels.iter().map(|(name, _)| name.clone()).collect();
        let preferred = schema
            .preferred_tunnel
            .as_ref()
            .and_then(|at| j.find(at, "tunnel of this gateway", &tunnel_names))
            .map(|i| tunnels[i].1);
        if tunnels.is_empty() {
            continue;
        }
        assumptions.push(Assumption {
            what: Assumed::PreferredTunnel,
            owner: Some(name.clone()),
            parameter: format!("nodes.{name}.preferred_tunnel"),
            value: preferred.map_or("drawn from the seed".into(), |id| plan.tunnel(id).name.clone()),
            source: "UNVERIFIED: AWS chooses one tunnel by a rule that it does not publish".into(),
            range: super::choice(&tunnel_names),
        });
        if let Some(Node { kind: NodeKind::VirtualPrivateGateway(gateway), .. }) = plan.nodes.get_mut(i) {
            gateway.preferred_tunnel = preferred;
        }
    }
    plan.assumptions.extend(assumptions);
    unique_addresses(scenario, plan, j);
}

/// No two devices have the same address (inside addresses and different VPCs aside).
fn unique_addresses(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let mut owners: BTreeMap<IpAddr, String> = BTreeMap::new();
    let mut claim = |address: IpAddr, owner: String, place: Place, j: &mut Judge| {
        if address == ANY {
            return;
        }
        if let Some(other) = owners.get(&address) {
            j.wrong(place, format!("{address} is already the address of `{other}`"), None);
        } else {
            owners.insert(address, owner);
        }
    };
    for ((_, schema), node) in scenario.nodes.0.iter().zip(&plan.nodes) {
        let name = node.name.clone();
        match (schema, &node.kind) {
            (schema::Node::Host(it), NodeKind::Host(host)) => {
                claim(host.address.addr().into(), name, it.address.place, j);
            }
            (schema::Node::Router(it), NodeKind::Router(router)) => {
                if let (Some(at), Some(address)) = (&it.address, router.address) {
                    claim(address.into(), name, at.place, j);
                }
            }
            (schema::Node::Nat(it), NodeKind::Nat(nat)) => {
                claim(nat.inside.addr().into(), format!("{name}.inside"), it.inside.place, j);
                for address in nat.outside_addresses() {
                    claim(address.into(), format!("{name}.outside"), it.outside.place, j);
                }
            }
            (schema::Node::CustomerGateway(it), NodeKind::CustomerGateway(gateway)) => {
                for ((_, schema), interface) in it.interfaces.0.iter().zip(&gateway.interfaces) {
                    let owner = format!("{name}.{}", interface.name);
                    claim(interface.address.addr().into(), owner, schema.address.place, j);
                }
                if let (Some(at), Some(instance)) = (&it.instance, &gateway.instance) {
                    claim(instance.elastic_ip.into(), format!("{name}.elastic_ip"), at.elastic_ip.place, j);
                }
            }
            (schema::Node::BgpRouter(it), NodeKind::BgpRouter(router)) => {
                for ((_, schema), interface) in it.interfaces.0.iter().zip(&router.interfaces) {
                    let owner = format!("{name}.{}", interface.name);
                    claim(interface.address.addr().into(), owner, schema.address.place, j);
                }
            }
            (_, kind) => {
                for (address, owner, place) in super::vpc::addresses(schema, kind, &name) {
                    claim(address.into(), owner, place, j);
                }
            }
        }
    }
    for ((_, schema), connection) in scenario.connections.0.iter().zip(&plan.connections) {
        let schema::Connection::Vpn(schema) = schema;
        for ((_, schema), tunnel) in schema.tunnels.0.iter().zip(&connection.tunnels) {
            claim(tunnel.aws_outside, tunnel.name.clone(), schema.outside_address.place, j);
        }
    }
}
