//! Quotas of a VPC that AWS raises on request (page amazon-vpc-limits.html): whoever exceeds one is warned.

use std::collections::BTreeSet;

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
/// Active peering connections of a VPC, unless AWS raises that, and to what.
const PEERINGS: [usize; 2] = [50, 125];

/// Quotas that AWS raises on request are warnings.
pub(super) fn warn(plan: &mut Plan) {
    let mut warnings = Vec::new();
    let mut warn = |parameter: String, text: String| warnings.push(Warning { parameter, text });
    for (index, node) in plan.nodes.iter().enumerate() {
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
        for table in vpc.route_tables.iter().filter(|table| table.routes.len() > ROUTES[0]) {
            let (count, [most, raised]) = (table.routes.len(), ROUTES);
            let text = format!("{count} routes: AWS allows {most} in a route table, and up to {raised} on request");
            warn(format!("nodes.{name}.route_tables.{}.routes", table.name), text);
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
