//! NATs and filters, by the vocabulary of RFC 4787.

use schemars::JsonSchema;
use serde::Deserialize;
use sim_core::net::filter::{Contents, RuleAction, RuleDirection};
use sim_core::net::nat::{Assignment, Behaviour, Fragments, Passthrough, Refresh};

use crate::leaf::{Address, Count, Flag, IpProtocol, Prefix, Span};
use crate::place::{At, Named};
use crate::plan::NatMode;

/// A box between an inside and an outside network: a NAT, a carrier-grade NAT, or with `mode: "routed"` a filter. A link's end
/// is "NODE.inside" or "NODE.outside".
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Nat {
    /// Its inside address and subnet, like "192.168.1.1/24".
    pub inside: At<Prefix>,
    /// Its outside address.
    pub outside: At<Address>,
    /// What it translates: "napt" (if not given: addresses and ports), "one_to_one" (addresses, each by its own, as AWS Elastic
    /// IP addresses) or "routed" (nothing).
    pub mode: Option<At<NatMode>>,
    /// Further outside addresses that inside hosts are spread over; a host keeps to one (RFC 4787 section 4.1).
    #[serde(default)]
    pub pool: Vec<At<Address>>,
    /// Which inside address has which outside address, for "one_to_one".
    #[serde(default)]
    pub pairs: Vec<NatPair>,
    /// How far a mapping tells remote ends apart: "endpoint_independent" (if not given), "address_dependent" or
    /// "address_and_port_dependent" (RFC 4787 section 4.1).
    pub mapping: Option<At<Behaviour>>,
    /// Who may send to a mapping: everybody, "endpoint_independent", or only those that the inside host has sent to,
    /// "address_dependent" (if not given) or "address_and_port_dependent" (RFC 4787 section 5).
    pub filtering: Option<At<Behaviour>>,
    /// Which outside port a mapping gets: "preserve" (if not given: the inside port while it is free), "sequential" or "random"
    /// (RFC 4787 section 4.2.1).
    pub port_assignment: Option<At<Assignment>>,
    /// Whether even ports become even ones and odd ports odd ones; false if not given (RFC 4787 section 4.2.2).
    pub port_parity: Option<At<Flag>>,
    /// Lowest outside port; 1 if not given.
    pub first_port: Option<At<Count>>,
    /// Highest outside port; 65535 if not given.
    pub last_port: Option<At<Count>>,
    /// Ports that each inside host has to itself, as at a carrier-grade NAT; if not given, all share all (RFC 6888).
    pub port_block: Option<At<Count>>,
    /// Flows that it remembers at most; 65536 if not given.
    pub table: Option<At<Count>>,
    /// When it forgets idle UDP; 300s if not given (RFC 4787 section 4.3).
    pub udp_timeout: Option<At<Span>>,
    /// When it forgets an idle TCP connection; 7440s if not given (RFC 5382 section 5).
    pub tcp_timeout: Option<At<Span>>,
    /// When it forgets a TCP connection that is half open or closing; 240s if not given (RFC 5382 section 5).
    pub tcp_transitory_timeout: Option<At<Span>>,
    /// When it forgets an ICMP query; 60s if not given (RFC 5508 section 3.2).
    pub icmp_timeout: Option<At<Span>>,
    /// When it forgets idle ESP; 600s if not given.
    pub ipsec_timeout: Option<At<Span>>,
    /// Which packets keep a mapping alive: "outbound", "inbound" or "both" (if not given; RFC 4787 section 4.3).
    pub refresh: Option<At<Refresh>>,
    /// Whether inside hosts reach each other by their outside addresses; true if not given (RFC 4787 section 6).
    pub hairpin: Option<At<Flag>>,
    /// ESP without UDP: "one_client" (if not given: one inside host for each remote address), "one_host" (one inside host, whoever
    /// it talks to, as simple routers have it) or "drop".
    pub esp: Option<At<Passthrough>>,
    /// AH: "drop" (if not given) or "one_client", which its receiver refuses all the same.
    pub ah: Option<At<Passthrough>>,
    /// Fragments: "reassemble" (if not given), "follow_first" or "drop" (RFC 4787 section 11).
    pub fragments: Option<At<Fragments>>,
    /// What does not pass: rules in order, the first that fits decides, what none fits passes.
    #[serde(default)]
    pub filter: Named<FilterRule>,
}

/// An inside address and its outside address.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NatPair {
    /// Inside.
    pub inside: At<Address>,
    /// Outside.
    pub outside: At<Address>,
}

/// A rule of a filter.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct FilterRule {
    /// "udp", "tcp", "icmp", "gre", "esp", "ah" or a number; any if not given.
    pub protocol: Option<At<IpProtocol>>,
    /// UDP or TCP port at the outside end; any if not given.
    pub port: Option<At<Count>>,
    /// What must be in it, as deep packet inspection finds out: "ike" (at whatever port) or "esp_in_udp"; whatever it is if not given.
    pub contents: Option<At<Contents>>,
    /// "outbound", "inbound" or "both" (if not given).
    pub direction: Option<At<RuleDirection>>,
    /// "drop" (if not given), "reject" (the sender hears of it) or "pass".
    pub action: Option<At<RuleAction>>,
    /// False: it is passed over; true if not given.
    pub enabled: Option<At<Flag>>,
}

/// A rule of an interface's or tunnel's access list.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// "udp", "tcp", "icmp", "gre", "esp", "ah" or a number; any if not given.
    pub protocol: Option<At<IpProtocol>>,
    /// UDP or TCP port of either end, whoever began; any if not given.
    pub port: Option<At<Count>>,
    /// "outbound" (out of the interface), "inbound" (in by it) or "both" (if not given).
    pub direction: Option<At<RuleDirection>>,
    /// "drop" (if not given), "reject" (the sender hears of it) or "pass".
    pub action: Option<At<RuleAction>>,
    /// False: it is passed over; true if not given.
    pub enabled: Option<At<Flag>>,
}
