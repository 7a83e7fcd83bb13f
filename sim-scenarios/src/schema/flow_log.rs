//! Flow logs.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Count, Flag, Name, Span, Text};
use crate::place::At;
use crate::plan::TrafficType;

/// A flow log, with the words of the API (CreateFlowLogs).
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FlowLog {
    /// A VPC, a subnet like "vpc.app", an instance, NAT gateway, NAT instance or interface endpoint; or a transit gateway, or an
    /// attachment of one like "tgw.vpn".
    pub of: At<Name>,
    /// "ALL" (if not given), "ACCEPT" or "REJECT"; a transit gateway logs all.
    pub traffic: Option<At<TrafficType>>,
    /// 60s or 600s (if not given); a transit gateway has 60s.
    pub max_aggregation_interval: Option<At<Span>>,
    /// The fields of a record, like "${srcaddr} ${dstaddr} ${action}"; the default format if not given: that of version 2, or all fields
    /// of a transit gateway.
    pub format: Option<At<Text>>,
    /// How many flows of an interface fit an interval: what is more is skipped (SKIPDATA). AWS publishes no figure; any number fits if
    /// not given.
    pub capacity: Option<At<Count>>,
}

/// Records of a flow log.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FlowRecordsBetween {
    /// The flow log.
    pub log: At<Name>,
    /// What they say, like ["action=REJECT", "dstport=7"]; each field one of the log's. All records if not given.
    #[serde(default)]
    pub fields: Vec<At<Text>>,
    /// True: only if the log also has an accepted record of the same flow the other way; false: only if it has none.
    pub answered: Option<At<Flag>>,
    /// Of intervals that begin from here on; the start if not given.
    pub from: Option<At<Span>>,
    /// Of intervals that begin before; the end if not given.
    pub until: Option<At<Span>>,
    /// Fewest.
    pub min: At<Count>,
    /// Most.
    pub max: At<Count>,
}
