//! Security groups: their rules, whose they are, and what an operator revokes.

use sim_core::id::NodeId;
use sim_core::net::conntrack::{Timeouts, TrackConfig};
use sim_core::time::Duration;

use crate::leaf::{IpProtocol, Name, PortRange};
use crate::place::{At, Named};
use crate::plan::{FaultKind, GroupPeer, NodeKind, Plan, SecurityGroup, SecurityGroupRule};
use crate::schema;

use super::judge::{Judge, between};
use super::nodes::whole;

/// Security groups of a network interface, when AWS has raised its quota as far as it goes (page amazon-vpc-limits.html).
const OF_INTERFACE: usize = 16;
/// Rules of a group, each way, and the most that AWS raises it to: 1,000 divided by the groups of an interface, five by default.
const RULES: usize = 200;
/// An allowance above this bounds no run.
const MOST_TRACKED: u64 = 100_000_000;

pub(super) fn make(schema: &Named<schema::SecurityGroup>, j: &mut Judge) -> Vec<SecurityGroup> {
    let names = j.names(schema, "security group");
    let mut number = 0;
    let mut made = Vec::new();
    for (name, (_, group)) in names.iter().zip(&schema.0) {
        let mut rules = Vec::new();
        for (outbound, all) in [(false, Some(&group.inbound)), (true, group.outbound.as_ref())] {
            let Some(all) = all else {
                // As AWS makes a group.
                let other = GroupPeer::Network(Default::default());
                let name = "all".to_owned();
                rules.push(SecurityGroupRule { name, number, outbound, protocol: None, ports: None, other });
                number += 1;
                continue;
            };
            if let Some((extra, _)) = all.0.get(RULES) {
                j.wrong(extra.place, format!("a security group has at most {RULES} rules each way"), None);
            }
            for (name, (at, it)) in j.names(all, "rule").into_iter().zip(&all.0) {
                let (protocol, ports, other) = rule(it, at, &names, j);
                rules.push(SecurityGroupRule { name, number, outbound, protocol, ports, other });
                number += 1;
            }
        }
        made.push(SecurityGroup { name: name.clone(), rules });
    }
    made
}

type Read = (Option<u8>, Option<core::ops::RangeInclusive<u16>>, GroupPeer);

fn rule(schema: &schema::GroupRule, at: &At<Name>, groups: &[String], j: &mut Judge) -> Read {
    let protocol = schema.protocol.as_ref().and_then(|at| j.read(at)).map(|IpProtocol(number)| number);
    if let (Some(at), false) = (&schema.ports, matches!(protocol, Some(6 | 17))) {
        let help = "give it `protocol: \"udp\"` or `protocol: \"tcp\"`";
        j.wrong(at.place, "only UDP and TCP have ports", Some(help.into()));
    }
    let ports = schema.ports.as_ref().and_then(|at| j.read(at)).map(|PortRange(ports)| ports);
    let other = match (&schema.cidr, &schema.security_group) {
        (Some(cidr), None) => GroupPeer::Network(j.lawful(cidr, whole).unwrap_or_default()),
        (None, Some(group)) => {
            GroupPeer::Group(j.find(group, "security group of this VPC", groups).unwrap_or_default())
        }
        (None, None) | (Some(_), Some(_)) => {
            j.wrong(at.place, "a rule is about one of `cidr` and `security_group`", None);
            GroupPeer::Network(Default::default())
        }
    };
    (protocol, ports, other)
}

/// The groups of an interface, of those of its VPC.
pub(super) fn of_interface(
    named: &[At<Name>],
    groups: Option<&Named<schema::SecurityGroup>>,
    j: &mut Judge,
) -> Vec<usize> {
    if let Some(extra) = named.get(OF_INTERFACE) {
        j.wrong(extra.place, format!("a network interface has at most {OF_INTERFACE} security groups"), None);
    }
    let Some(groups) = groups else { return Vec::new() };
    let names: Vec<String> = groups.0.iter().filter_map(|(at, _)| super::vpc::named(at)).collect();
    named.iter().filter_map(|at| j.find(at, "security group of this VPC", &names)).collect()
}

/// How an interface with these security groups tracks flows: EC2's timers, within the ranges that it lets them have
/// (ConnectionTrackingSpecificationRequest), and an allowance, of which it publishes no figure.
pub(super) fn tracking(schema: &schema::ConnectionTracking, groups: &[At<Name>], j: &mut Judge) -> TrackConfig {
    let ec2 = TrackConfig::EC2;
    if let (Some(at), true) = (&schema.limit, groups.is_empty()) {
        let help = "give it `security_groups:`";
        j.wrong(at.place, "without a security group no flow is tracked, so none is too many", Some(help.into()));
    }
    let limit = j.number(&schema.limit, ec2.limit, 1, MOST_TRACKED, "the number of flows that an interface tracks");
    let mut within = |at: &Option<At<Duration>>, default: Duration, low: u64, high: u64| {
        let (low, high) = (Duration::from_secs(low), Duration::from_secs(high));
        j.lawful_or(at, default, |span| between(*span, low, high, "this timeout"))
    };
    let timeouts = Timeouts {
        tcp_established: within(&schema.tcp_established_timeout, ec2.timeouts.tcp_established, 60, 432_000),
        udp_single: within(&schema.udp_timeout, ec2.timeouts.udp_single, 30, 60),
        udp_stream: within(&schema.udp_stream_timeout, ec2.timeouts.udp_stream, 60, 180),
        ..ec2.timeouts
    };
    TrackConfig { timeouts, limit, ..ec2 }
}

/// A rule that an operator revokes.
pub(super) fn revoked(schema: &schema::RevokedRule, plan: &Plan, j: &mut Judge) -> FaultKind {
    let mut groups: Vec<(String, NodeId, &SecurityGroup)> = Vec::new();
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        if let NodeKind::Vpc(vpc) = &node.kind {
            groups.extend(vpc.security_groups.iter().map(|group| (format!("{}.{}", node.name, group.name), id, group)));
        }
    }
    let names: Vec<String> = groups.iter().map(|(name, ..)| name.clone()).collect();
    let outbound = j.or(&schema.outbound, false);
    let found = j.find(&schema.group, "security group", &names).map(|i| &groups[i]);
    let Some((name, vpc, group)) = found else {
        return FaultKind::RevokeSecurityGroupRule { vpc: NodeId::default(), name: String::new(), rule: 0 };
    };
    let rules: Vec<&SecurityGroupRule> = group.rules.iter().filter(|rule| rule.outbound == outbound).collect();
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let rule = j.find(&schema.rule, "rule of this group", &names).map(|i| rules[i]);
    let named = rule.map(|rule| rule.name.as_str()).unwrap_or_default();
    let name = format!("{name} {} {named}", if outbound { "outbound" } else { "inbound" });
    FaultKind::RevokeSecurityGroupRule { vpc: *vpc, name, rule: rule.map(|rule| rule.number).unwrap_or_default() }
}
