//! What is watched.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Count, Name, Number, Span};
use crate::place::At;
use crate::plan::{AlarmState, Comparison, Metric, MissingData, Statistic};

/// An alarm of CloudWatch, with the words of its API.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// "TunnelState", "TunnelDataIn", "TunnelDataOut" (AWS/VPN); "BytesIn", "BytesOut", "PacketsIn", "PacketsOut",
    /// "PacketDropCountBlackhole", "PacketDropCountNoRoute" and their forms in bytes (AWS/TransitGateway); "ConnectionState",
    /// "ConnectionBpsEgress", "ConnectionBpsIngress", the same in Pps, "VirtualInterfaceBpsEgress" and so on, "VirtualInterfaceBgpStatus",
    /// "VirtualInterfaceBgpPrefixesAccepted" and "VirtualInterfaceBgpPrefixesAdvertised" (AWS/DX); "PacketLoss" and "TunnelLatency",
    /// which AWS does not have.
    pub metric: At<Metric>,
    /// A tunnel like "vpn.a", a VPN connection, a transit gateway, an attachment of one like "tgw.vpn" or "tgw.vpc", a connection of
    /// Direct Connect, or a virtual interface like "dx.private".
    pub of: At<Name>,
    /// "SampleCount", "Average" (if not given), "Sum", "Minimum" or "Maximum".
    pub statistic: Option<At<Statistic>>,
    /// Whole minutes; 300s if not given.
    pub period: Option<At<Span>>,
    /// How many of the latest periods are looked at; 1 if not given.
    pub evaluation_periods: Option<At<Count>>,
    /// How many of them must breach; all if not given.
    pub datapoints_to_alarm: Option<At<Count>>,
    /// A number like 1 or "0.5".
    pub threshold: At<Number>,
    /// "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold" or "LessThanOrEqualToThreshold".
    pub comparison: At<Comparison>,
    /// "breaching", "notBreaching", "ignore" or "missing" (if not given).
    pub treat_missing_data: Option<At<MissingData>>,
    /// The topic of SNS that hears when it goes to ALARM.
    pub alarm_topic: Option<At<Name>>,
    /// The topic of SNS that hears when it goes to OK.
    pub ok_topic: Option<At<Name>>,
}

/// An alarm's state.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AlarmWithin {
    /// The alarm.
    pub alarm: At<Name>,
    /// "OK", "ALARM" (if not given) or "INSUFFICIENT_DATA".
    pub state: Option<At<AlarmState>>,
    /// Counted from this moment; the beginning if not given.
    pub after: Option<At<Span>>,
    /// It gets there not earlier than this after it; "0s" if not given.
    pub not_before: Option<At<Span>>,
    /// At most so long after it.
    pub within: At<Span>,
}

/// An alarm that stays as it is.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AlarmTimes {
    /// The alarm.
    pub alarm: At<Name>,
    /// "OK", "ALARM" (if not given) or "INSUFFICIENT_DATA".
    pub state: Option<At<AlarmState>>,
    /// Fewest times that it gets there.
    pub min: At<Count>,
    /// Most times.
    pub max: At<Count>,
}

/// A datapoint.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct MetricBetween {
    /// As of an alarm.
    pub metric: At<Metric>,
    /// As of an alarm.
    pub of: At<Name>,
    /// As of an alarm.
    pub statistic: Option<At<Statistic>>,
    /// As of an alarm.
    pub period: Option<At<Span>>,
    /// When the period ends: a multiple of it.
    pub at: At<Span>,
    /// Smallest.
    pub min: At<Number>,
    /// Largest.
    pub max: At<Number>,
}
