//! DNS: name servers, the Route 53 Resolver of VPCs and its endpoints.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Count, DnsName, Name, ResolverDirection, Span};
use crate::place::{At, Named};

use super::ConnectionTracking;

/// A name server on a host.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NameServer {
    /// Its zones.
    #[serde(default)]
    pub zones: Named<DnsZone>,
    /// The domains that it asks others about.
    #[serde(default)]
    pub forwards: Named<DnsForward>,
    /// How it asks.
    #[serde(default)]
    pub asks: DnsAsks,
}

/// A zone of DNS.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DnsZone {
    /// Its domain, like "corp.example".
    pub domain: At<DnsName>,
    /// The addresses of its names. A name without the zone's at its end is one below it, as in a zone file; "@" is the zone's own.
    pub records: Named<Vec<At<Address>>>,
    /// How long who has asked may remember an answer, in whole seconds; 300s if not given, as Route 53.
    pub ttl: Option<At<Span>>,
}

/// A domain that a name server asks others about.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DnsForward {
    /// The domain, like "aws.example"; "." is every name.
    pub domain: At<DnsName>,
    /// Whom it asks.
    pub targets: Vec<At<Address>>,
}

/// How a name server asks others.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct DnsAsks {
    /// How long each is waited for, 100ms to 30s; 2s if not given (assumed).
    pub timeout: Option<At<Span>>,
    /// How often each is asked, 1 to 10; twice if not given (assumed).
    pub rounds: Option<At<Count>>,
}

/// The Route 53 Resolver of VPCs that have the same private hosted zones and rules. In each it is at the block's first address plus two
/// and at 169.254.169.253, for what is inside, and takes 1,024 packets a second of each network interface. Names of the public DNS it does not know: there is no such name.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Route53Resolver {
    /// The VPCs.
    pub vpcs: Vec<At<Name>>,
    /// The private hosted zones that are associated with the VPCs.
    #[serde(default)]
    pub private_zones: Named<DnsZone>,
    /// The forwarding rules that are associated with the VPCs.
    #[serde(default)]
    pub rules: Named<ResolverRule>,
    /// How it asks.
    #[serde(default)]
    pub asks: DnsAsks,
}

/// A forwarding rule of a Route 53 Resolver.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ResolverRule {
    /// The domain, like "corp.example"; "." is every name.
    pub domain: At<DnsName>,
    /// The addresses of the outbound endpoint by which it asks.
    pub endpoints: Vec<At<Name>>,
    /// Whom it asks.
    pub targets: Vec<At<Address>>,
}

/// One address of an endpoint of a Route 53 Resolver: a network interface by which others ask it, or by which it asks others. AWS has at
/// least two for each endpoint.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct ResolverEndpoint {
    /// Its subnet, like "vpc.app", of a VPC that has a `Route53Resolver`.
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// "inbound": others ask it; "outbound": it asks others.
    pub direction: At<ResolverDirection>,
    /// Its security groups; without one everything passes.
    #[serde(default)]
    pub security_groups: Vec<At<Name>>,
    /// How its network interface tracks flows.
    #[serde(default)]
    pub connection_tracking: ConnectionTracking,
}

/// Lookups of a name, one after the other, by the host's own way (resolv.conf of Linux): each of its name servers for 5 s, twice, and
/// nothing is remembered.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DnsLookups {
    /// Who asks: a host with a `resolver`, or an instance.
    pub from: At<Name>,
    /// The name.
    pub name: At<DnsName>,
    /// How many times.
    pub lookups: At<Count>,
    /// How long after one the next begins; 1s if not given.
    pub spacing: Option<At<Span>>,
    /// When the first begins; 60s if not given, when tunnels and routes are up.
    pub start: Option<At<Span>>,
}
