//! What a table of flows is told.

use crate::time::Duration;

/// How long a flow is remembered after its last packet, by what it has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP: a SYN, or two that crossed, and no answer.
    pub tcp_syn_sent: Duration,
    /// TCP: a SYN and its SYN+ACK.
    pub tcp_syn_received: Duration,
    /// TCP: open.
    pub tcp_established: Duration,
    /// TCP: one end has sent a FIN.
    pub tcp_fin_wait: Duration,
    /// TCP: that FIN is acknowledged.
    pub tcp_close_wait: Duration,
    /// TCP: both ends have sent one.
    pub tcp_last_ack: Duration,
    /// TCP: both are acknowledged.
    pub tcp_time_wait: Duration,
    /// TCP: reset.
    pub tcp_closed: Duration,
    /// UDP: at most one request and one answer.
    pub udp_single: Duration,
    /// UDP: more.
    pub udp_stream: Duration,
    /// ICMP queries.
    pub icmp: Duration,
    /// Everything else.
    pub other: Duration,
}

impl Timeouts {
    /// netfilter's defaults (kernel documentation, `nf_conntrack-sysctl`: the `nf_conntrack_tcp_timeout_*`, `udp_timeout`,
    /// `udp_timeout_stream`, `icmp_timeout` and `generic_timeout` variables).
    pub const NETFILTER: Self = Self {
        tcp_syn_sent: Duration::from_secs(120),
        tcp_syn_received: Duration::from_secs(60),
        tcp_established: Duration::from_secs(432_000),
        tcp_fin_wait: Duration::from_secs(120),
        tcp_close_wait: Duration::from_secs(60),
        tcp_last_ack: Duration::from_secs(30),
        tcp_time_wait: Duration::from_secs(120),
        tcp_closed: Duration::from_secs(10),
        udp_single: Duration::from_secs(30),
        udp_stream: Duration::from_secs(120),
        icmp: Duration::from_secs(30),
        other: Duration::from_secs(600),
    };

    /// EC2's defaults (EC2 User Guide, security group connection tracking: TCP established 432,000 s, UDP 30 and 180 s, other
    /// protocols 600 s). The others are not published: netfilter's.
    pub const EC2: Self = Self { udp_stream: Duration::from_secs(180), ..Self::NETFILTER };

    /// EC2's defaults on instance types of Nitro v6: TCP established 350 s (EC2 User Guide, as above).
    pub const EC2_NITRO_V6: Self = Self { tcp_established: Duration::from_secs(350), ..Self::EC2 };
}

/// All that a table of flows is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackConfig {
    /// Timeouts.
    pub timeouts: Timeouts,
    /// True if the places by which packets come and go belong to what a flow is.
    pub bound: bool,
    /// True if a TCP segment outside the windows of its connection is a stray.
    pub strict_sequence: bool,
    /// True if a TCP segment from the midst of an unknown connection may begin a flow, as netfilter's `nf_conntrack_tcp_loose`
    /// does by default.
    pub loose: bool,
    /// Most flows that are remembered.
    pub limit: usize,
}

impl TrackConfig {
    /// netfilter as it comes: flows float, windows are checked (`nf_conntrack_tcp_be_liberal` is off), and connections are taken
    /// up from their midst. Its limit depends on the machine's memory; this is that of one with 1 GiB or more before kernel 5.15.
    pub const NETFILTER: Self =
        Self { timeouts: Timeouts::NETFILTER, bound: false, strict_sequence: true, loose: true, limit: 65_536 };

    /// A security group's: EC2's timers and nothing bound. How EC2 treats sequence numbers and segments from the midst of a
    /// connection is not published; an established flow whose entry is gone is dropped until it begins anew, so nothing is taken up.
    pub const EC2: Self =
        Self { timeouts: Timeouts::EC2, bound: false, strict_sequence: false, loose: false, limit: usize::MAX };
}
