//! Named firewall profiles: where stateful firewalls differ, as data with sources.
//!
//! A profile gives the defaults of a firewall; what a scenario states itself is stronger. A setting for which no source is
//! named here is the generic one, and the report says so. Sources are the vendors' public documents; a default can differ
//! between releases.
//!
//! Left out: what the products do beyond state (applications, inspection, NAT), and how their pairs share it, which is each
//! vendor's own.

use sim_core::net::conntrack::Timeouts;
use sim_core::net::firewall::OnMiss;
use sim_core::time::Duration;

use crate::plan::StateMatch;

/// How a firewall behaves where nothing else is said.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FirewallProfile {
    /// What a scenario calls it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// To what the state of a flow is bound.
    pub state_match: StateMatch,
    /// True if TCP that belongs to no flow goes on all the same.
    pub asymmetric_routing: bool,
    /// True if segments outside the windows of their connection are dropped.
    pub strict_sequence: bool,
    /// True if a segment from the midst of a connection may begin a flow.
    pub loose_pickup: bool,
    /// What TCP that is dropped hears.
    pub on_miss: OnMiss,
    /// How long an idle flow is remembered.
    pub timeouts: Timeouts,
    /// Where each setting comes from: its name in the language, and the source.
    pub sources: &'static [(&'static str, &'static str)],
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What is said of a setting that no document of the product that is known here states.
pub const UNSOURCED: &str = "no document of this product is known here that says: the generic one";

/// A firewall as the field warns of it: AWS asks that a customer gateway device with both tunnels up have asymmetric routing
/// enabled (Site-to-Site VPN User Guide, VPN tunnels), so the one that is warned of binds a flow to the interface by which it
/// went out. Timeouts are netfilter's, which is the one model whose whole table is public.
pub const GENERIC: FirewallProfile = FirewallProfile {
    name: "generic",
    about: "strict per interface; timeouts of netfilter",
    state_match: StateMatch::Interface,
    asymmetric_routing: false,
    strict_sequence: false,
    loose_pickup: false,
    on_miss: OnMiss::Drop,
    timeouts: Timeouts::NETFILTER,
    sources: &[],
};

const ASA_TIMEOUTS: &str = "Cisco ASA Series Firewall CLI Configuration Guide, Connection Settings, global timeouts and set connection timeout";

/// Cisco ASA.
pub const CISCO_ASA: FirewallProfile = FirewallProfile {
    name: "cisco_asa",
    about: "Cisco ASA 9.x, no traffic zones, TCP state bypass off",
    strict_sequence: true,
    timeouts: Timeouts {
        tcp_syn_sent: s(30),
        tcp_syn_received: s(30),
        tcp_established: s(3_600),
        tcp_fin_wait: s(600),
        tcp_close_wait: s(600),
        tcp_last_ack: s(60),
        tcp_time_wait: s(60),
        tcp_closed: s(60),
        udp_single: s(120),
        udp_stream: s(120),
        icmp: s(2),
        ..Timeouts::NETFILTER
    },
    sources: &[
        (
            "state_match",
            "Cisco FTD REST API reference, ECMPZone: interfaces must be put into one traffic zone for equal paths and asymmetric routing over them",
        ),
        (
            "strict_sequence",
            "Cisco ASA Series Firewall CLI Configuration Guide, TCP state bypass: the fast path checks TCP sequence numbers",
        ),
        (
            "loose_pickup",
            "Cisco ASA Series Firewall CLI Configuration Guide, TCP state bypass: without it a packet with no entry that is no SYN is dropped",
        ),
        ("asymmetric_routing", "Cisco document 118995: TCP state bypass is disabled by default"),
        ("timeouts.tcp_opening", ASA_TIMEOUTS),
        ("timeouts.tcp_established", ASA_TIMEOUTS),
        ("timeouts.tcp_closing", ASA_TIMEOUTS),
        (
            "timeouts.tcp_closed",
            "Cisco ASA Series Firewall CLI Configuration Guide: slots are freed about 60 s after a normal close",
        ),
        ("timeouts.udp_single", ASA_TIMEOUTS),
        ("timeouts.udp_stream", ASA_TIMEOUTS),
        ("timeouts.icmp", ASA_TIMEOUTS),
    ],
    ..GENERIC
};

const PAN_TIMEOUTS: &str = "Palo Alto Networks, PAN-OS web interface help, Device > Setup > Session, Session Timeouts";

/// Palo Alto Networks.
pub const PALO_ALTO: FirewallProfile = FirewallProfile {
    name: "palo_alto",
    about: "Palo Alto Networks PAN-OS, no zone protection profile",
    state_match: StateMatch::Zone,
    timeouts: Timeouts {
        tcp_syn_sent: s(5),
        tcp_syn_received: s(10),
        tcp_established: s(3_600),
        tcp_fin_wait: s(120),
        tcp_close_wait: s(120),
        tcp_last_ack: s(15),
        tcp_time_wait: s(15),
        tcp_closed: s(15),
        udp_single: s(30),
        udp_stream: s(30),
        icmp: s(6),
        other: s(30),
    },
    sources: &[
        (
            "state_match",
            "DISA STIG PANW-AG-000052: a session is found by a 6-tuple of addresses, ports, protocol and security zone",
        ),
        (
            "loose_pickup",
            "PAN-OS web interface help, Zone Protection, TCP Drop: Reject Non-SYN TCP is the global setting, which is on",
        ),
        ("timeouts.tcp_opening", PAN_TIMEOUTS),
        ("timeouts.tcp_established", PAN_TIMEOUTS),
        ("timeouts.tcp_closing", PAN_TIMEOUTS),
        ("timeouts.tcp_closed", PAN_TIMEOUTS),
        ("timeouts.udp_single", PAN_TIMEOUTS),
        ("timeouts.udp_stream", PAN_TIMEOUTS),
        ("timeouts.icmp", PAN_TIMEOUTS),
        ("timeouts.other", PAN_TIMEOUTS),
    ],
    ..GENERIC
};

const FORTI_TIMERS: &str = "Fortinet, Session-Aware Load Balancing Cluster Guide 5.2.10, changing session timers: config system global of the FortiGate";

/// FortiGate.
pub const FORTIGATE: FirewallProfile = FirewallProfile {
    name: "fortigate",
    about: "FortiGate, FortiOS 6.2.3 or later, auxiliary sessions and asymmetric routing off",
    state_match: StateMatch::Any,
    timeouts: Timeouts {
        tcp_established: s(3_600),
        tcp_fin_wait: s(120),
        tcp_close_wait: s(120),
        tcp_last_ack: s(120),
        tcp_time_wait: s(1),
        tcp_closed: s(1),
        udp_single: s(180),
        udp_stream: s(180),
        ..Timeouts::NETFILTER
    },
    sources: &[
        (
            "state_match",
            "FortiOS 7.4 Administration Guide, Controlling return path with auxiliary session: one session, whose interfaces follow the traffic",
        ),
        ("asymmetric_routing", "Fortinet community article 198575: asymroute is off unless it is enabled"),
        ("loose_pickup", "Fortinet community article 191772: tcp-session-without-syn is disabled by default"),
        ("timeouts.tcp_established", "Fortinet community article 191772: the default inactivity timer is 3600 s"),
        ("timeouts.tcp_closing", FORTI_TIMERS),
        ("timeouts.tcp_closed", FORTI_TIMERS),
        ("timeouts.udp_single", FORTI_TIMERS),
        ("timeouts.udp_stream", FORTI_TIMERS),
    ],
    ..GENERIC
};

const PF_TIMEOUTS: &str = "FreeBSD pf.conf(5), set timeout, as pfSense's normal firewall optimization has it";

/// pfSense.
pub const PFSENSE: FirewallProfile = FirewallProfile {
    name: "pfsense",
    about: "pfSense Plus 24.03 or later: states are bound to interfaces",
    strict_sequence: true,
    timeouts: Timeouts {
        tcp_syn_sent: s(120),
        tcp_syn_received: s(30),
        tcp_established: s(86_400),
        tcp_fin_wait: s(900),
        tcp_close_wait: s(900),
        tcp_last_ack: s(45),
        tcp_time_wait: s(45),
        tcp_closed: s(90),
        udp_single: s(60),
        udp_stream: s(60),
        icmp: s(20),
        other: s(60),
    },
    sources: &[
        (
            "state_match",
            "Netgate blog, State Policy Default Change, and pfSense issue 15173: interface-bound states by default",
        ),
        ("strict_sequence", "FreeBSD pf.conf(5): state is checked by sequence numbers unless it is sloppy"),
        ("loose_pickup", "FreeBSD pf.conf(5): a TCP rule that keeps state takes only packets with flags S/SA"),
        ("on_miss", "pf.conf(5), set block-policy: drop is the default"),
        ("timeouts.tcp_opening", PF_TIMEOUTS),
        ("timeouts.tcp_established", PF_TIMEOUTS),
        ("timeouts.tcp_closing", PF_TIMEOUTS),
        ("timeouts.tcp_closed", PF_TIMEOUTS),
        ("timeouts.udp_single", PF_TIMEOUTS),
        ("timeouts.udp_stream", PF_TIMEOUTS),
        ("timeouts.icmp", PF_TIMEOUTS),
        ("timeouts.other", PF_TIMEOUTS),
    ],
    ..GENERIC
};

const NETFILTER_TIMEOUTS: &str = "Linux kernel documentation, nf_conntrack-sysctl, nf_conntrack_*_timeout_*";

/// netfilter, as under Libreswan, Openswan or strongSwan on Linux.
pub const NETFILTER: FirewallProfile = FirewallProfile {
    name: "netfilter",
    about: "Linux netfilter with rules that accept established and related, and drop the rest",
    state_match: StateMatch::Any,
    strict_sequence: true,
    loose_pickup: true,
    sources: &[
        (
            "state_match",
            "Linux: a conntrack entry names no interface; flows float unless a conntrack zone is configured (iptables-extensions(8), CT)",
        ),
        ("strict_sequence", "Linux kernel documentation, nf_conntrack-sysctl: nf_conntrack_tcp_be_liberal is 0"),
        ("loose_pickup", "Linux kernel documentation, nf_conntrack-sysctl: nf_conntrack_tcp_loose is on"),
        ("timeouts.tcp_opening", NETFILTER_TIMEOUTS),
        ("timeouts.tcp_established", NETFILTER_TIMEOUTS),
        ("timeouts.tcp_closing", NETFILTER_TIMEOUTS),
        ("timeouts.tcp_closed", NETFILTER_TIMEOUTS),
        ("timeouts.udp_single", NETFILTER_TIMEOUTS),
        ("timeouts.udp_stream", NETFILTER_TIMEOUTS),
        ("timeouts.icmp", NETFILTER_TIMEOUTS),
        ("timeouts.other", NETFILTER_TIMEOUTS),
    ],
    ..GENERIC
};

/// All of them.
pub const ALL: [&FirewallProfile; 6] = [&GENERIC, &CISCO_ASA, &PALO_ALTO, &FORTIGATE, &PFSENSE, &NETFILTER];

impl FirewallProfile {
    /// Where a setting is from.
    pub fn source(&self, setting: &str) -> &'static str {
        self.sources.iter().find(|(name, _)| *name == setting).map_or(UNSOURCED, |(_, source)| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile that differs from the generic one in a setting says why, and none names a source for a setting that there is not.
    #[test]
    fn what_differs_has_a_source() {
        for profile in ALL {
            let differs = [
                ("state_match", profile.state_match != GENERIC.state_match),
                ("asymmetric_routing", profile.asymmetric_routing != GENERIC.asymmetric_routing),
                ("strict_sequence", profile.strict_sequence != GENERIC.strict_sequence),
                ("loose_pickup", profile.loose_pickup != GENERIC.loose_pickup),
                ("on_miss", profile.on_miss != GENERIC.on_miss),
            ];
            let timeouts = crate::make::firewall_timeouts(&profile.timeouts);
            let generic = crate::make::firewall_timeouts(&GENERIC.timeouts);
            let timeouts = timeouts.iter().zip(&generic).map(|(ours, generic)| (ours.0, ours.1 != generic.1));
            let all: Vec<(&str, bool)> = differs.into_iter().chain(timeouts).collect();
            for (setting, _) in all.iter().filter(|(_, differs)| *differs) {
                assert_ne!(profile.source(setting), UNSOURCED, "{}: {setting}", profile.name);
            }
            for (setting, _) in profile.sources {
                assert!(all.iter().any(|(name, _)| name == setting), "{}: {setting}", profile.name);
            }
        }
    }
}
