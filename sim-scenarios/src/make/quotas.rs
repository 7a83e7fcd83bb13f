//! Quotas that AWS raises on request: whoever exceeds one is warned. Those of a VPC are on page amazon-vpc-limits.html, those of VPN in the
//! Site-to-Site VPN guide, "Site-to-Site VPN quotas".

use std::collections::{BTreeMap, BTreeSet};

use sim_core::id::NodeId;

use crate::plan::{ApplianceKind, Node, NodeKind, Plan, Warning};

use super::vpc_routes::ROUTES;

/// Rules of a network ACL, each way, unless AWS raises that, and to what.
const ACL_RULES: [usize; 2] = [20, 40];
/// Rules of a security group, each way, unless AWS raises that.
const GROUP_RULES: usize = 60;
/// Security groups of a network interface, unless AWS raises that, and to what.
const GROUPS: [usize; 2] = [5, 16];
/// NAT gateways in an availability zone, unless AWS raises that.
const NAT_GATEWAYS: usize = 5;
/// Elastic IP addresses of a public NAT gateway, unless AWS raises that.
const ELASTIC_IPS: usize = 2;
/// Active peering connections of a VPC, unless AWS raises that, and to what.
const PEERINGS: [usize; 2] = [50, 125];

/// VPN connections of a virtual private gateway, and of a Region.
const OF_A_GATEWAY: usize = 10;
const CONNECTIONS: usize = 50;
/// Customer gateways and virtual private gateways of a Region, and accelerated connections.
const CUSTOMER_GATEWAYS: usize = 50;
const PRIVATE_GATEWAYS: usize = 5;
const ACCELERATED: usize = 10;

/// The quotas of VPN, by Region.
fn of_vpn(plan: &Plan, warn: &mut impl FnMut(String, String)) {
    let region = |id: NodeId| match plan.nodes.get(id.index()).map(|node| &node.kind) {
        Some(NodeKind::TransitGateway(gateway)) => gateway.region.clone(),
        Some(NodeKind::VirtualPrivateGateway(gateway)) => {
            match gateway.vpc.and_then(|vpc| plan.nodes.get(vpc.index())).map(|n| &n.kind) {
                Some(NodeKind::Vpc(vpc)) => vpc.region.clone(),
                _ => None,
            }
        }
        _ => None,
    };
    let mut regions: BTreeMap<Option<String>, [BTreeSet<usize>; 4]> = BTreeMap::new();
    for (id, node) in plan.nodes.iter().enumerate() {
        let NodeKind::VirtualPrivateGateway(_) = node.kind else { continue };
        let gateway = NodeId(id as u32);
        regions.entry(region(gateway)).or_default()[2].insert(id);
        let count = plan.connections.iter().filter(|connection| connection.gateway == gateway).count();
        if count > OF_A_GATEWAY {
            let text = format!(
                "{count} VPN connections: AWS allows {OF_A_GATEWAY} for a virtual private gateway, and more on request"
            );
            warn(format!("nodes.{}", node.name), text);
        }
    }
    for (number, connection) in plan.connections.iter().enumerate() {
        let counts = regions.entry(region(connection.gateway)).or_default();
        counts[0].insert(number);
        counts[1].insert(connection.customer_gateway.index());
        let accelerated = connection.tunnels.iter().any(|tunnel| match &plan.nodes[tunnel.endpoint.index()].kind {
            NodeKind::VpnEndpoint(endpoint) => endpoint.accelerated,
            _ => false,
        });
        counts[3].extend(accelerated.then_some(number));
    }
    let kinds = [
        ("VPN connections", CONNECTIONS, "connections"),
        ("customer gateways", CUSTOMER_GATEWAYS, "nodes"),
        ("virtual private gateways", PRIVATE_GATEWAYS, "nodes"),
        ("accelerated VPN connections", ACCELERATED, "connections"),
    ];
    for (region, counts) in &regions {
        for ((what, most, parameter), count) in kinds.iter().zip(counts.iter().map(BTreeSet::len)) {
            if count > *most {
                let region = region.as_deref().map_or_else(String::new, |region| format!(" in {region}"));
                let text = format!("{count} {what}{region}: AWS allows {most} in a Region, and more on request");
                warn((*parameter).into(), text);
            }
        }
    }
}

/// The quota of a public NAT gateway.
fn of_nat_gateway(node: &Node, warn: &mut impl FnMut(String, String)) {
    let NodeKind::Appliance(appliance) = &node.kind else { return };
    let ApplianceKind::NatGateway { secondary, .. } = &appliance.kind else { return };
    let further = secondary.iter().filter_map(|(_, elastic_ip)| *elastic_ip);
    let count = appliance.elastic_ip.into_iter().chain(further).count();
    if count > ELASTIC_IPS {
        let text =
            format!("{count} Elastic IP addresses: AWS allows {ELASTIC_IPS} for a NAT gateway, and more on request");
        warn(format!("nodes.{}.secondary_addresses", node.name), text);
    }
}

/// Quotas that AWS raises on request are warnings.
pub(super) fn warn(plan: &mut Plan) {
    let mut warnings = Vec::new();
    let mut warn = |parameter: String, text: String| warnings.push(Warning { parameter, text });
    of_vpn(plan, &mut warn);
    for (index, node) in plan.nodes.iter().enumerate() {
        of_nat_gateway(node, &mut warn);
        if let NodeKind::Instance(instance) = &node.kind
            && instance.security_groups.len() > GROUPS[0]
        {
            let (count, [most, raised]) = (instance.security_groups.len(), GROUPS);
            let text = format!(
                "{count} security groups: AWS allows {most} for a network interface, and up to {raised} on request"
            );
            warn(format!("nodes.{}.security_groups", node.name), text);
        }
        let NodeKind::Vpc(vpc) = &node.kind else { continue };
        let (id, name) = (NodeId(index as u32), &node.name);
        // Each family counts by itself.
        let of_ipv6 = plan.ipv6.vpcs.get(&id).map_or(&[][..], |it| &it.routes);
        for (number, table) in vpc.route_tables.iter().enumerate() {
            let counts = [("routes", table.routes.len()), ("ipv6_routes", of_ipv6.get(number).map_or(0, Vec::len))];
            for (setting, count) in counts.into_iter().filter(|(_, count)| *count > ROUTES[0]) {
                let [most, raised] = ROUTES;
                let text = format!("{count} routes: AWS allows {most} in a route table, and up to {raised} on request");
                warn(format!("nodes.{name}.route_tables.{}.{setting}", table.name), text);
            }
        }
        for (acl_name, acl) in &vpc.network_acls {
            let (count, [most, raised]) = (acl.longest(), ACL_RULES);
            if count > most {
                let text = format!("{count} rules: AWS allows {most} each way, and up to {raised} on request");
                warn(format!("nodes.{name}.network_acls.{acl_name}"), text);
            }
        }
        for group in &vpc.security_groups {
            for outbound in [false, true] {
                let count = group.rules.iter().filter(|rule| rule.outbound == outbound).count();
                if count > GROUP_RULES {
                    let text = format!(
                        "{count} rules: AWS allows {GROUP_RULES} each way in a security group, and more on request"
                    );
                    warn(format!("nodes.{name}.security_groups.{}", group.name), text);
                }
            }
        }
        let zones: BTreeSet<&str> = vpc.subnets.iter().map(|subnet| subnet.availability_zone.as_str()).collect();
        for zone in zones {
            let here = |node: &&Node| match &node.kind {
                NodeKind::Appliance(it) => {
                    let subnet = vpc.subnets.get(it.subnet).filter(|_| it.vpc == id);
                    matches!(it.kind, ApplianceKind::NatGateway { .. })
                        && subnet.is_some_and(|subnet| subnet.availability_zone == zone)
                }
                _ => false,
            };
            let count = plan.nodes.iter().filter(here).count();
            if count > NAT_GATEWAYS {
                let text = format!(
                    "{count} NAT gateways in `{zone}`: AWS allows {NAT_GATEWAYS} in a zone, and more on request"
                );
                warn(format!("nodes.{name}"), text);
            }
        }
        let peers = |node: &&Node| matches!(&node.kind, NodeKind::VpcPeering(it) if it.vpcs.contains(&id));
        let (count, [most, raised]) = (plan.nodes.iter().filter(peers).count(), PEERINGS);
        if count > most {
            let text =
                format!("{count} peering connections: AWS allows {most} for a VPC, and up to {raised} on request");
            warn(format!("nodes.{name}"), text);
        }
    }
    plan.warnings.extend(warnings);
}
