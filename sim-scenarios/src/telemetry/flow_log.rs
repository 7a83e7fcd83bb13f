//! Flow logs, as they are delivered to S3 in plain text: a line with the names of the fields, then a record a line.
//!
//! Sources: VPC user guide, "Flow log records", "Flow log record examples" and "Flow log limitations"; transit gateway guide, "Transit
//! Gateway Flow Log records". A record is of one flow at one network interface in one aggregation interval. ACCEPT and REJECT are
//! what the security groups of the interface and the network ACL of its subnet say, and nothing else: what is lost beyond, at a router, in
//! a tunnel or on the premises, is an ACCEPT without a record the other way. TCP flags are OR-ed over the interval; sequence numbers,
//! and so retransmissions, are not seen. What is not known stands as `-`.
//!
//! Ids are the names of the scenario. Intervals begin with the world; one that is not over is not published. When an interface has more
//! flows in an interval than [`crate::plan::FlowLog::capacity`], the later ones are one record with SKIPDATA.
//!
//! Left out: the network interfaces of transit gateways in a VPC, which have no address here; where an address of an AWS service is
//! (`pkt-src-aws-service`); fields of version 9 and later. ECS (version 7) and VPC Block Public Access (`reject-reason`, version 8) are
//! nowhere in a scenario, so these fields are always `-`. A transit gateway here takes nothing from a packet's TTL, so none is lost to
//! it. UNVERIFIED: AWS does not say whether `packets` of a transit gateway counts those that are lost: here it does not.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use sim_core::id::{NodeId, Port};
use sim_core::net::flow_meter::{Entry, FlowCount, FlowKey, WINDOW};
use sim_core::node::Node;
use sim_core::node::vpc::{GATEWAY_PORT, Role};
use sim_core::time::{Duration, Instant};

use super::{ACCOUNT, REGION};
use crate::build::Built;
use crate::build::vpc::attached;
use crate::make::transit::attachments;
use crate::plan::{self, Attachment, Field, Logged, NodeKind, Plan, TrafficType};

/// Bits of `tcp-flags` that a VPC's records have; ACK beside SYN only.
const VPC_FLAGS: u8 = 0x07;
const ACK: u8 = 0x10;

/// A flow log of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowLog {
    /// Its name.
    pub name: String,
    /// The fields.
    pub fields: Vec<Field>,
    /// The records, by interval.
    pub records: Vec<Record>,
}

/// A record.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// When its interval begins.
    pub interval: Instant,
    /// The flow; `None` of NODATA and SKIPDATA.
    pub flow: Option<FlowKey>,
    /// The values of the fields.
    pub values: Vec<String>,
}

impl FlowLog {
    /// Extension of the file of a flow log.
    pub const FILE: &'static str = ".flow.log";

    /// As it is delivered.
    pub fn text(&self) -> String {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        let records = self.records.iter().map(|record| record.values.join(" ") + "\n");
        [names.join(" ") + "\n"].into_iter().chain(records).collect()
    }

    /// Whether it has an accepted record of a flow the other way.
    pub fn answers(&self, flow: &FlowKey) -> bool {
        let ends = (flow.source, flow.source_port, flow.destination, flow.destination_port);
        self.records.iter().filter_map(|record| record.flow.as_ref()).any(|other| {
            other.accepted
                && other.protocol == flow.protocol
                && (other.destination, other.destination_port, other.source, other.source_port) == ends
        })
    }
}

/// All flow logs of a run.
pub fn logs(plan: &Plan, built: &Built) -> Vec<FlowLog> {
    plan.flow_logs.iter().map(|log| read(plan, built, log)).collect()
}

/// A place where flows are logged.
struct Interface {
    /// Its number at its device.
    number: u16,
    /// What stands in its records whatever the flow.
    fixed: BTreeMap<&'static str, String>,
    /// Its address, if it is a network interface.
    address: Option<Ipv4Addr>,
}

fn read(plan: &Plan, built: &Built, log: &plan::FlowLog) -> FlowLog {
    let device = device(plan, log.of);
    let flows: Vec<(u64, Entry)> = match built.world.node(device) {
        Node::Vpc(vpc) => vpc.flows().map(|meter| meter.flows().collect()).unwrap_or_default(),
        Node::Tgw(gateway) => gateway.flows().map(|meter| meter.flows().collect()).unwrap_or_default(),
        _ => Vec::new(),
    };
    let others = Others::of(plan, device);
    let mut records = Vec::new();
    let whole = built.world.now().as_nanos() / log.interval.as_nanos();
    let windows = log.interval.as_nanos() / WINDOW.as_nanos();
    for interval in 0..whole {
        let begins = Instant::START + log.interval * interval;
        for interface in interfaces(plan, log.of) {
            let mut seen: BTreeMap<FlowKey, FlowCount> = BTreeMap::new();
            let within = |(window, (key, _)): &&(u64, Entry)| {
                window / windows == interval && key.interface == interface.number && wanted(log.traffic, key)
            };
            for (_, (key, count)) in flows.iter().filter(within) {
                seen.entry(*key).and_modify(|sum| add(sum, count)).or_insert(*count);
            }
            let (mut flows, skipped) = by_first(seen, log.capacity);
            flows.sort_by_key(|(key, count)| (count.first, *key));
            let record = |flow: Option<&Entry>, status: &'static str| {
                let span = (begins, begins + log.interval);
                let value = |(field, _): &Field| value(plan, log, &interface, &others, field, flow, (span, status));
                Record {
                    interval: begins,
                    flow: flow.map(|(key, _)| *key),
                    values: log.fields.iter().map(value).collect(),
                }
            };
            if flows.is_empty() && !skipped {
                records.push(record(None, "NODATA"));
            }
            records.extend(flows.iter().map(|flow| record(Some(flow), "OK")));
            if skipped {
                records.push(record(None, "SKIPDATA"));
            }
        }
    }
    FlowLog { name: log.name.clone(), fields: log.fields.clone(), records }
}

fn wanted(traffic: TrafficType, key: &FlowKey) -> bool {
    match traffic {
        TrafficType::All => true,
        TrafficType::Accept => key.accepted,
        TrafficType::Reject => !key.accepted,
    }
}

fn add(sum: &mut FlowCount, more: &FlowCount) {
    sum.packets += more.packets;
    sum.octets += more.octets;
    sum.lost.iter_mut().zip(more.lost).for_each(|(sum, more)| *sum += more);
    sum.tcp_flags |= more.tcp_flags;
    sum.syn_ack |= more.syn_ack;
    sum.first = sum.first.min(more.first);
    sum.last = sum.last.max(more.last);
}

/// The flows that fit, and whether there were more.
fn by_first(seen: BTreeMap<FlowKey, FlowCount>, capacity: Option<usize>) -> (Vec<Entry>, bool) {
    let mut flows: Vec<Entry> = seen.into_iter().collect();
    flows.sort_by_key(|(key, count)| (count.first, *key));
    let skipped = capacity.is_some_and(|capacity| flows.len() > capacity);
    flows.truncate(capacity.unwrap_or(usize::MAX));
    (flows, skipped)
}

/// The VPC or transit gateway that counts.
fn device(plan: &Plan, of: Logged) -> NodeId {
    match of {
        Logged::Vpc(id) | Logged::Subnet(id, _) | Logged::TransitGateway(id) | Logged::Attachment(id, _) => id,
        Logged::Interface(id) => place(plan, id).map_or(id, |(vpc, ..)| vpc),
    }
}

/// VPC, subnet and address of what has a network interface.
fn place(plan: &Plan, id: NodeId) -> Option<(NodeId, usize, Ipv4Addr)> {
    match &plan.nodes[id.index()].kind {
        NodeKind::Instance(it) => Some((it.vpc, it.subnet, it.address)),
        NodeKind::Appliance(it) => Some((it.vpc, it.subnet, it.address)),
        _ => None,
    }
}

/// True if a flow log of the plan needs the flows of this device.
pub fn is_metered(plan: &Plan, id: NodeId) -> bool {
    plan.flow_logs.iter().any(|log| device(plan, log.of) == id)
}

fn interfaces(plan: &Plan, of: Logged) -> Vec<Interface> {
    let id = device(plan, of);
    let name = |id: NodeId| plan.nodes[id.index()].name.clone();
    match &plan.nodes[id.index()].kind {
        NodeKind::Vpc(vpc) => {
            let inside = attached(plan, id).into_iter().filter(|it| it.role.is_interface());
            let of_log = |node: NodeId, subnet: usize| match of {
                Logged::Subnet(_, wanted) => subnet == wanted,
                Logged::Interface(wanted) => node == wanted,
                _ => true,
            };
            let made = inside.filter_map(|it| {
                let (_, subnet, address) = place(plan, it.node).filter(|(_, subnet, _)| of_log(it.node, *subnet))?;
                let owned = matches!(it.role, Role::Instance | Role::NatInstance);
                let mut fixed = BTreeMap::from([("interface-id", name(it.node)), ("vpc-id", name(id))]);
                fixed.extend(owned.then(|| ("instance-id", name(it.node))));
                if let Some(subnet) = vpc.subnets.get(subnet) {
                    fixed.extend([("subnet-id", subnet.name.clone()), ("az-id", subnet.availability_zone.clone())]);
                }
                Some(Interface { number: it.port.0, fixed, address: Some(address) })
            });
            made.collect()
        }
        NodeKind::TransitGateway(gateway) => {
            let all = attachments(plan, id, gateway).into_iter().zip(0u16..);
            let own = all.filter(|(attachment, _)| match of {
                Logged::Attachment(_, wanted) => *attachment == wanted,
                _ => true,
            });
            let kind = match of {
                Logged::Attachment(..) => "TransitGatewayAttachment",
                _ => "TransitGateway",
            };
            let made = own.map(|(attachment, number)| {
                let attachment = plan.attachment_name(attachment).to_owned();
                let fixed =
                    [("resource-type", kind.to_owned()), ("tgw-id", name(id)), ("tgw-attachment-id", attachment)];
                Interface { number, fixed: BTreeMap::from(fixed), address: None }
            });
            made.collect()
        }
        _ => Vec::new(),
    }
}

/// What is at the other place of a flow.
enum Others {
    /// By the port of a VPC.
    Vpc(BTreeMap<u16, Role>),
    /// By the number of an attachment, with the name of each and what is known of those that are VPCs.
    Transit(Vec<(String, Option<InVpc>)>),
}

/// Where a transit gateway is attached to a VPC.
#[derive(Clone)]
struct InVpc {
    vpc: String,
    subnet: String,
    zone: String,
}

impl Others {
    fn of(plan: &Plan, id: NodeId) -> Self {
        let NodeKind::TransitGateway(gateway) = &plan.nodes[id.index()].kind else {
            let roles = attached(plan, id).into_iter().map(|it| (it.port.0, it.role));
            return Self::Vpc(roles.chain([(GATEWAY_PORT.0, Role::VirtualPrivateGateway)]).collect());
        };
        let in_vpc = |attachment: Attachment| {
            let Attachment::Vpc(id) = attachment else { return None };
            let node = &plan.nodes[id.index()];
            let NodeKind::Vpc(vpc) = &node.kind else { return None };
            let place = gateway.vpcs.iter().position(|other| *other == id)?;
            let subnet = vpc.subnets.get(*gateway.subnets.get(place)?.first()?)?;
            let (subnet, zone) = (subnet.name.clone(), subnet.availability_zone.clone());
            Some(InVpc { vpc: node.name.clone(), subnet, zone })
        };
        let all = attachments(plan, id, gateway).into_iter();
        Self::Transit(all.map(|a| (plan.attachment_name(a).to_owned(), in_vpc(a))).collect())
    }

    /// By which way a packet leaves a network interface; none of the numbers is about a transit gateway but 1, its own interface.
    fn traffic_path(&self, port: Port) -> u8 {
        let Self::Vpc(roles) = self else { return 0 };
        match roles.get(&port.0) {
            Some(Role::InternetGateway) => 8,
            Some(Role::GatewayEndpoint) => 7,
            Some(Role::VirtualPrivateGateway) => 3,
            Some(Role::Peering) => 4,
            Some(
                Role::Instance
                | Role::NatGateway
                | Role::NatInstance
                | Role::InterfaceEndpoint
                | Role::TransitGateway
                | Role::Resolver,
            )
            | None => 1,
        }
    }

    fn attachment(&self, number: Option<u16>) -> Option<&(String, Option<InVpc>)> {
        match self {
            Self::Transit(all) => all.get(usize::from(number?)),
            Self::Vpc(_) => None,
        }
    }
}

/// What stands in a field.
fn value(
    plan: &Plan,
    log: &plan::FlowLog,
    interface: &Interface,
    others: &Others,
    field: &str,
    flow: Option<&Entry>,
    ((from, until), status): ((Instant, Instant), &str),
) -> String {
    let seconds = |at: Instant| (plan.begins + at.since_start()).as_nanos() / Duration::from_secs(1).as_nanos();
    let none = || "-".to_owned();
    match field {
        "version" => return log.fields.iter().map(|(_, version)| *version).max().unwrap_or(2).to_string(),
        "account-id" => return ACCOUNT.to_owned(),
        "log-status" => return status.to_owned(),
        "interface-id" | "resource-type" | "tgw-id" | "tgw-attachment-id" => {
            return interface.fixed.get(field).cloned().unwrap_or_else(none);
        }
        "start" if flow.is_none() => return seconds(from).to_string(),
        "end" if flow.is_none() => return seconds(until).to_string(),
        _ => {}
    }
    let Some((key, count)) = flow else { return none() };
    let own = |of_packet: Ipv4Addr| interface.address.unwrap_or(of_packet).to_string();
    let is_transit = log.of.is_transit();
    // A packet goes from the place where it came in to the other.
    let (from, to) = match key.ingress {
        true => (Some(key.interface), key.other),
        false => (key.other, Some(key.interface)),
    };
    let in_vpc = |number: Option<u16>, what: fn(&InVpc) -> String| {
        others.attachment(number).and_then(|(_, vpc)| vpc.as_ref()).map_or_else(none, what)
    };
    match field {
        "srcaddr" if !is_transit && !key.ingress => own(key.source),
        "dstaddr" if !is_transit && key.ingress => own(key.destination),
        "srcaddr" | "pkt-srcaddr" => key.source.to_string(),
        "dstaddr" | "pkt-dstaddr" => key.destination.to_string(),
        "srcport" => key.source_port.to_string(),
        "dstport" => key.destination_port.to_string(),
        "protocol" => key.protocol.to_string(),
        "packets" => count.packets.to_string(),
        "bytes" => count.octets.to_string(),
        "start" => seconds(count.first).to_string(),
        "end" => seconds(count.last).to_string(),
        "action" => if key.accepted { "ACCEPT" } else { "REJECT" }.to_owned(),
        "tcp-flags" => tcp_flags(count, is_transit).to_string(),
        "type" => "IPv4".to_owned(),
        "region" => REGION.to_owned(),
        "flow-direction" => if key.ingress { "ingress" } else { "egress" }.to_owned(),
        "traffic-path" => match key.other.filter(|_| !key.ingress) {
            Some(port) => others.traffic_path(Port(port)).to_string(),
            None => none(),
        },
        "tgw-pair-attachment-id" => others.attachment(key.other).map_or_else(none, |(name, _)| name.clone()),
        "tgw-src-vpc-account-id" => in_vpc(from, |_| ACCOUNT.to_owned()),
        "tgw-dst-vpc-account-id" => in_vpc(to, |_| ACCOUNT.to_owned()),
        "tgw-src-vpc-id" => in_vpc(from, |it| it.vpc.clone()),
        "tgw-dst-vpc-id" => in_vpc(to, |it| it.vpc.clone()),
        "tgw-src-subnet-id" => in_vpc(from, |it| it.subnet.clone()),
        "tgw-dst-subnet-id" => in_vpc(to, |it| it.subnet.clone()),
        "tgw-src-az-id" => in_vpc(from, |it| it.zone.clone()),
        "tgw-dst-az-id" => in_vpc(to, |it| it.zone.clone()),
        "packets-lost-no-route" => count.lost[0].to_string(),
        "packets-lost-blackhole" => count.lost[1].to_string(),
        "packets-lost-mtu-exceeded" => count.lost[2].to_string(),
        "packets-lost-ttl-expired" => "0".to_owned(),
        other => interface.fixed.get(other).cloned().unwrap_or_else(none),
    }
}

/// FIN, SYN and RST, and ACK beside SYN; a transit gateway has all flags, but for a flow of nothing but ACKs.
fn tcp_flags(count: &FlowCount, is_transit: bool) -> u8 {
    match is_transit {
        true if count.tcp_flags == ACK => 0,
        true => count.tcp_flags,
        false => count.tcp_flags & VPC_FLAGS | if count.syn_ack { ACK } else { 0 },
    }
}
