//! What is watched: metrics as CloudWatch has them, and alarms on them.

use sim_core::id::{LinkId, NodeId};
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
    /// `AWS/DX`: 1 while a link of the connection is up, 0 while none is.
    ConnectionState,
    /// `AWS/DX`: bits per second out of AWS, over all its virtual interfaces.
    ConnectionBpsEgress,
    /// `AWS/DX`: bits per second into AWS, over all its virtual interfaces.
    ConnectionBpsIngress,
    /// `AWS/DX`: packets per second out of AWS, over all its virtual interfaces.
    ConnectionPpsEgress,
    /// `AWS/DX`: packets per second into AWS, over all its virtual interfaces.
    ConnectionPpsIngress,
    /// `AWS/DX`: bits per second out of AWS.
    VirtualInterfaceBpsEgress,
    /// `AWS/DX`: bits per second into AWS.
    VirtualInterfaceBpsIngress,
    /// `AWS/DX`: packets per second out of AWS.
    VirtualInterfacePpsEgress,
    /// `AWS/DX`: packets per second into AWS.
    VirtualInterfacePpsIngress,
    /// `AWS/DX`: 1 while the session is ESTABLISHED, 0 while it is not.
    VirtualInterfaceBgpStatus,
    /// `AWS/DX`: prefixes that AWS has accepted from the customer.
    VirtualInterfaceBgpPrefixesAccepted,
    /// `AWS/DX`: prefixes that AWS announces.
    VirtualInterfaceBgpPrefixesAdvertised,
}

/// Namespace of AWS's metrics of VPN connections.
pub const VPN: &str = "AWS/VPN";
/// Namespace of AWS's metrics of transit gateways.
pub const TRANSIT_GATEWAY: &str = "AWS/TransitGateway";
/// Namespace of AWS's metrics of Direct Connect.
pub const DIRECT_CONNECT: &str = "AWS/DX";
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

    /// Those of a connection of Direct Connect.
    pub const OF_LINES: [Self; 5] = [
        Self::ConnectionState,
        Self::ConnectionBpsEgress,
        Self::ConnectionBpsIngress,
        Self::ConnectionPpsEgress,
        Self::ConnectionPpsIngress,
    ];
    /// Those of a virtual interface.
    pub const OF_INTERFACES: [Self; 7] = [
        Self::VirtualInterfaceBpsEgress,
        Self::VirtualInterfaceBpsIngress,
        Self::VirtualInterfacePpsEgress,
        Self::VirtualInterfacePpsIngress,
        Self::VirtualInterfaceBgpStatus,
        Self::VirtualInterfaceBgpPrefixesAccepted,
        Self::VirtualInterfaceBgpPrefixesAdvertised,
    ];

    /// All metrics.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_aws = Self::OF_TUNNELS.into_iter().chain(Self::OF_GATEWAYS);
        of_aws.chain(Self::OF_LINES).chain(Self::OF_INTERFACES)
    }

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
            Self::ConnectionState => "ConnectionState",
            Self::ConnectionBpsEgress => "ConnectionBpsEgress",
            Self::ConnectionBpsIngress => "ConnectionBpsIngress",
            Self::ConnectionPpsEgress => "ConnectionPpsEgress",
            Self::ConnectionPpsIngress => "ConnectionPpsIngress",
            Self::VirtualInterfaceBpsEgress => "VirtualInterfaceBpsEgress",
            Self::VirtualInterfaceBpsIngress => "VirtualInterfaceBpsIngress",
            Self::VirtualInterfacePpsEgress => "VirtualInterfacePpsEgress",
            Self::VirtualInterfacePpsIngress => "VirtualInterfacePpsIngress",
            Self::VirtualInterfaceBgpStatus => "VirtualInterfaceBgpStatus",
            Self::VirtualInterfaceBgpPrefixesAccepted => "VirtualInterfaceBgpPrefixesAccepted",
            Self::VirtualInterfaceBgpPrefixesAdvertised => "VirtualInterfaceBgpPrefixesAdvertised",
        }
    }

    /// Its namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::TunnelState | Self::TunnelDataIn | Self::TunnelDataOut => VPN,
            Self::PacketLoss | Self::TunnelLatency => OURS,
            metric if Self::OF_GATEWAYS.contains(&metric) => TRANSIT_GATEWAY,
            _ => DIRECT_CONNECT,
        }
    }

    /// Its unit, in CloudWatch's words.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::TunnelState | Self::ConnectionState | Self::VirtualInterfaceBgpStatus => "None",
            Self::TunnelDataIn
            | Self::TunnelDataOut
            | Self::BytesIn
            | Self::BytesOut
            | Self::BytesDropCountBlackhole
            | Self::BytesDropCountNoRoute => "Bytes",
            Self::PacketsIn
            | Self::PacketsOut
            | Self::PacketDropCountBlackhole
            | Self::PacketDropCountNoRoute
            | Self::VirtualInterfaceBgpPrefixesAccepted
            | Self::VirtualInterfaceBgpPrefixesAdvertised => "Count",
            Self::ConnectionBpsEgress
            | Self::ConnectionBpsIngress
            | Self::VirtualInterfaceBpsEgress
            | Self::VirtualInterfaceBpsIngress => "Bits/Second",
            Self::ConnectionPpsEgress
            | Self::ConnectionPpsIngress
            | Self::VirtualInterfacePpsEgress
            | Self::VirtualInterfacePpsIngress => "Count/Second",
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
    /// A connection of Direct Connect (index into [`super::Plan::direct_connects`]).
    Line(usize),
    /// A connection of Direct Connect that is a member of a LAG.
    Member(LinkId),
    /// A virtual interface.
    Interface(NodeId),
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
