//! What is watched: metrics as CloudWatch has them, and alarms on them.

use sim_core::id::NodeId;
use sim_core::time::Duration;

use super::{Attachment, TunnelId};

/// A metric, by CloudWatch's name of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Metric {
    /// `AWS/VPN`: 1 while the tunnel is up, 0 while it is down.
    TunnelState,
    /// `AWS/VPN`: octets received, after decryption.
    TunnelDataIn,
    /// `AWS/VPN`: octets sent, before encryption.
    TunnelDataOut,
    /// Ours: the share of packets that one end of a tunnel sent and the other did not receive.
    PacketLoss,
    /// Ours: round-trip time of the IKE exchanges that AWS's end began.
    TunnelLatency,
    /// `AWS/TransitGateway`: octets received.
    BytesIn,
    /// `AWS/TransitGateway`: octets sent.
    BytesOut,
    /// `AWS/TransitGateway`: packets received.
    PacketsIn,
    /// `AWS/TransitGateway`: packets sent.
    PacketsOut,
    /// `AWS/TransitGateway`: packets dropped because their route is a blackhole.
    PacketDropCountBlackhole,
    /// `AWS/TransitGateway`: packets dropped because there is no route.
    PacketDropCountNoRoute,
    /// `AWS/TransitGateway`: octets dropped because their route is a blackhole.
    BytesDropCountBlackhole,
    /// `AWS/TransitGateway`: octets dropped because there is no route.
    BytesDropCountNoRoute,
}

/// Namespace of AWS's metrics of VPN connections.
pub const VPN: &str = "AWS/VPN";
/// Namespace of AWS's metrics of transit gateways.
pub const TRANSIT_GATEWAY: &str = "AWS/TransitGateway";
/// Namespace of metrics that AWS does not have.
pub const OURS: &str = "VPNSim/VPN";

impl Metric {
    /// Those of a tunnel or a connection.
    pub const OF_TUNNELS: [Self; 5] =
        [Self::TunnelState, Self::TunnelDataIn, Self::TunnelDataOut, Self::PacketLoss, Self::TunnelLatency];
    /// Those of a transit gateway or an attachment.
    pub const OF_GATEWAYS: [Self; 8] = [
        Self::BytesIn,
        Self::BytesOut,
        Self::PacketsIn,
        Self::PacketsOut,
        Self::PacketDropCountBlackhole,
        Self::PacketDropCountNoRoute,
        Self::BytesDropCountBlackhole,
        Self::BytesDropCountNoRoute,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TunnelState => "TunnelState",
            Self::TunnelDataIn => "TunnelDataIn",
            Self::TunnelDataOut => "TunnelDataOut",
            Self::PacketLoss => "PacketLoss",
            Self::TunnelLatency => "TunnelLatency",
            Self::BytesIn => "BytesIn",
            Self::BytesOut => "BytesOut",
            Self::PacketsIn => "PacketsIn",
            Self::PacketsOut => "PacketsOut",
            Self::PacketDropCountBlackhole => "PacketDropCountBlackhole",
            Self::PacketDropCountNoRoute => "PacketDropCountNoRoute",
            Self::BytesDropCountBlackhole => "BytesDropCountBlackhole",
            Self::BytesDropCountNoRoute => "BytesDropCountNoRoute",
        }
    }

    /// Its namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::TunnelState | Self::TunnelDataIn | Self::TunnelDataOut => VPN,
            Self::PacketLoss | Self::TunnelLatency => OURS,
            _ => TRANSIT_GATEWAY,
        }
    }

    /// Its unit, in CloudWatch's words.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::TunnelState => "None",
            Self::TunnelDataIn
            | Self::TunnelDataOut
            | Self::BytesIn
            | Self::BytesOut
            | Self::BytesDropCountBlackhole
            | Self::BytesDropCountNoRoute => "Bytes",
            Self::PacketsIn | Self::PacketsOut | Self::PacketDropCountBlackhole | Self::PacketDropCountNoRoute => {
                "Count"
            }
            Self::PacketLoss => "Percent",
            Self::TunnelLatency => "Milliseconds",
        }
    }
}

/// What a metric is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Metered {
    /// A tunnel.
    Tunnel(TunnelId),
    /// A VPN connection: both its tunnels.
    Connection(usize),
    /// A transit gateway.
    Gateway(NodeId),
    /// An attachment of a transit gateway.
    Attachment(NodeId, Attachment),
}

/// How the samples of a period become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistic {
    /// How many they are.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
}

/// How a datapoint breaches a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// It is as large, or larger.
    GreaterThanOrEqualToThreshold,
    /// It is larger.
    GreaterThanThreshold,
    /// It is smaller.
    LessThanThreshold,
    /// It is as small, or smaller.
    LessThanOrEqualToThreshold,
}

/// What a missing datapoint is to an alarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MissingData {
    /// One that breaches.
    Breaching,
    /// One that does not.
    NotBreaching,
    /// Nothing: the alarm stays as it is.
    Ignore,
    /// Missing: without any, there is not enough data.
    Missing,
}

/// The state of an alarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AlarmState {
    /// All is well.
    Ok,
    /// It is not.
    Alarm,
    /// Nobody knows.
    InsufficientData,
}

impl AlarmState {
    /// CloudWatch's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// An alarm on a metric.
#[derive(Clone, PartialEq, Debug)]
pub struct Alarm {
    /// Its name, unique among alarms.
    pub name: String,
    /// Of what.
    pub of: Metered,
    /// Which metric.
    pub metric: Metric,
    /// How a period becomes a datapoint.
    pub statistic: Statistic,
    /// The length of a period.
    pub period: Duration,
    /// How many of the latest periods are looked at.
    pub evaluation_periods: u32,
    /// How many of them must breach.
    pub datapoints_to_alarm: u32,
    /// What they breach.
    pub threshold: f64,
    /// How.
    pub comparison: Comparison,
    /// What a missing datapoint is.
    pub treat_missing_data: MissingData,
    /// Topics of SNS that hear when it goes to ALARM, and when it goes to OK.
    pub topics: [Option<String>; 2],
}
