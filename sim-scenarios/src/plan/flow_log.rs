//! Flow logs: what is logged, and which fields a record has.
//!
//! Sources: VPC user guide, "Flow log records" (available fields with the version that brought each, default format, aggregation
//! interval) and transit gateway guide, "Transit Gateway Flow Log records".

use sim_core::id::NodeId;
use sim_core::time::Duration;

use super::Attachment;

/// A flow log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowLog {
    /// Its name, unique among flow logs.
    pub name: String,
    /// Of what.
    pub of: Logged,
    /// Which traffic.
    pub traffic: TrafficType,
    /// Longest time that a record is about.
    pub interval: Duration,
    /// The fields of a record, in order: of [`VPC_FIELDS`] or [`TGW_FIELDS`].
    pub fields: Vec<Field>,
    /// How many flows of an interface fit an interval before AWS skips records; `None`: any number.
    pub capacity: Option<usize>,
}

/// What a flow log is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logged {
    /// All network interfaces of a VPC.
    Vpc(NodeId),
    /// Those of a subnet (index into [`super::Vpc::subnets`]).
    Subnet(NodeId, usize),
    /// The network interface of an instance or of another device in a subnet.
    Interface(NodeId),
    /// All attachments of a transit gateway.
    TransitGateway(NodeId),
    /// One of them.
    Attachment(NodeId, Attachment),
}

impl Logged {
    /// True for what a transit gateway logs.
    pub const fn is_transit(self) -> bool {
        matches!(self, Self::TransitGateway(_) | Self::Attachment(..))
    }
}

/// Which traffic a flow log is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrafficType {
    /// All.
    All,
    /// What security groups and network ACLs let pass.
    Accept,
    /// What they do not.
    Reject,
}

/// A field of a record: its name and the version of flow logs that brought it.
pub type Field = (&'static str, u8);

/// The fields of VPC flow logs, in the order of the guide's table. The default format has those of version 2.
pub const VPC_FIELDS: &[Field] = &[
    ("version", 2),
    ("account-id", 2),
    ("interface-id", 2),
    ("srcaddr", 2),
    ("dstaddr", 2),
    ("srcport", 2),
    ("dstport", 2),
    ("protocol", 2),
    ("packets", 2),
    ("bytes", 2),
    ("start", 2),
    ("end", 2),
    ("action", 2),
    ("log-status", 2),
    ("vpc-id", 3),
    ("subnet-id", 3),
    ("instance-id", 3),
    ("tcp-flags", 3),
    ("type", 3),
    ("pkt-srcaddr", 3),
    ("pkt-dstaddr", 3),
    ("region", 4),
    ("az-id", 4),
    ("sublocation-type", 4),
    ("sublocation-id", 4),
    ("pkt-src-aws-service", 5),
    ("pkt-dst-aws-service", 5),
    ("flow-direction", 5),
    ("traffic-path", 5),
    ("ecs-cluster-arn", 7),
    ("ecs-cluster-name", 7),
    ("ecs-container-instance-arn", 7),
    ("ecs-container-instance-id", 7),
    ("ecs-container-id", 7),
    ("ecs-second-container-id", 7),
    ("ecs-service-name", 7),
    ("ecs-task-definition-arn", 7),
    ("ecs-task-arn", 7),
    ("ecs-task-id", 7),
    ("reject-reason", 8),
];

/// The fields of transit gateway flow logs, likewise. The default format has all of them.
pub const TGW_FIELDS: &[Field] = &[
    ("version", 2),
    ("resource-type", 6),
    ("account-id", 2),
    ("tgw-id", 6),
    ("tgw-attachment-id", 6),
    ("tgw-src-vpc-account-id", 6),
    ("tgw-dst-vpc-account-id", 6),
    ("tgw-src-vpc-id", 6),
    ("tgw-dst-vpc-id", 6),
    ("tgw-src-subnet-id", 6),
    ("tgw-dst-subnet-id", 6),
    ("tgw-src-eni", 6),
    ("tgw-dst-eni", 6),
    ("tgw-src-az-id", 6),
    ("tgw-dst-az-id", 6),
    ("tgw-pair-attachment-id", 6),
    ("srcaddr", 2),
    ("dstaddr", 2),
    ("srcport", 2),
    ("dstport", 2),
    ("protocol", 2),
    ("packets", 2),
    ("bytes", 2),
    ("start", 2),
    ("end", 2),
    ("log-status", 2),
    ("type", 3),
    ("packets-lost-no-route", 6),
    ("packets-lost-blackhole", 6),
    ("packets-lost-mtu-exceeded", 6),
    ("packets-lost-ttl-expired", 6),
    ("tcp-flags", 3),
    ("region", 4),
    ("flow-direction", 5),
    ("pkt-src-aws-service", 5),
    ("pkt-dst-aws-service", 5),
];

/// The fields of the default format.
pub fn default_fields(is_transit: bool) -> Vec<Field> {
    match is_transit {
        true => TGW_FIELDS.to_vec(),
        false => VPC_FIELDS.iter().copied().filter(|(_, version)| *version == 2).collect(),
    }
}
