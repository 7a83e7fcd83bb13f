//! Direct Connect: connections with their virtual interfaces, and Direct Connect gateways.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Asn, Count, Flag, Md5KeySource, Name, Prefix, Rate, Span};
use crate::place::{At, Named};

use super::BgpTimers;

/// A connection of Direct Connect: a port of AWS's router at a location. Its virtual interfaces are plugged in one by one, by links
/// that end at "CONNECTION.INTERFACE" and have the connection's bandwidth and the interface's MTU unless they say otherwise.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DirectConnect {
    /// The location, as AWS or its operator calls it. Connections at one location have a group of this name, "location:NAME".
    pub location: At<Name>,
    /// The Region that the location is associated with; if not given, that of every gateway.
    pub region: Option<At<Name>>,
    /// 1, 10, 100 or 400 Gbps, or of a hosted connection 50 Mbps to 25 Gbps.
    pub bandwidth: At<Rate>,
    /// Whether a partner provides it: it carries one virtual interface then; false if not given.
    pub hosted: Option<At<Flag>>,
    /// Several such connections as one: every link that ends at one of the virtual interfaces is a member then; not if not given.
    pub lag: Option<Lag>,
    /// Its virtual interfaces.
    pub virtual_interfaces: Named<VirtualInterface>,
}

/// Links that are one: a LAG, with LACP. Each link that ends there is a member.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Lag {
    /// Fewest links with which any carries traffic; 0 if not given, as AWS: one is enough.
    pub minimum_links: Option<At<Count>>,
    /// Whether it wants to hear the other end every second and misses it after 3 s, in place of 30 and 90 s; false if not given.
    pub fast: Option<At<Flag>>,
}

/// A virtual interface.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum VirtualInterface {
    /// To a virtual private gateway, or to several by a Direct Connect gateway.
    Private(Box<InterfaceOptions>),
    /// To transit gateways by a Direct Connect gateway.
    Transit(Box<InterfaceOptions>),
    /// To AWS's public addresses.
    Public(Box<InterfaceOptions>),
}

/// What a virtual interface is told. The customer's router at the other end of its link is a neighbor of AWS's, and needs one.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct InterfaceOptions {
    /// The gateway that it is on; of a public one, the router that stands for AWS's public network.
    pub gateway: At<Name>,
    /// Of a public one, what AWS announces: its prefixes of the Region, tagged 7224:8100 and NO_EXPORT. There is no other
    /// Region, whose prefixes it would announce, or to which 7224:9100 or 7224:9200 would keep the customer's from getting.
    #[serde(default)]
    pub public_prefixes: Vec<At<Prefix>>,
    /// AWS's address and its subnet, like "169.254.100.1/30".
    pub amazon_address: At<Prefix>,
    /// The customer's address; if not given, that of the interface at the other end of the link.
    pub customer_address: Option<At<Address>>,
    /// The customer's autonomous system; if not given, that of the router at the other end of the link.
    pub asn: Option<At<Asn>>,
    /// VLAN, 1 to 4094; if not given, the first that no other virtual interface of the connection has.
    pub vlan: Option<At<Count>>,
    /// The key of TCP MD5, as of a neighbor; no segment is signed if not given.
    pub md5_key: Option<At<Md5KeySource>>,
    /// MTU: 1500 (if not given), or with jumbo frames 9001 of a private one and 8500 of a transit one. To a virtual private gateway jumbo
    /// frames take propagated routes only.
    pub mtu: Option<At<Count>>,
    /// SiteLink: whether it exchanges routes and traffic with the others on its Direct Connect gateway that have it; false if not given.
    pub site_link: Option<At<Flag>>,
    /// How many prefixes the customer may announce before the session goes down and stays so; 100 if not given, as AWS, and up to 1000
    /// with prefix controls; of a public one 1000.
    pub prefix_limit: Option<At<Count>>,
    /// AWS's timers: hold time 90s and keepalive 30s if not given, as AWS.
    #[serde(default)]
    pub timers: BgpTimers,
}

/// Attributes of a virtual interface that change: at least one.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct InterfaceAttributes {
    /// The virtual interface, like "dx.private".
    pub virtual_interface: At<Name>,
    /// Another MTU: 1500, or with jumbo frames 9001 of a private and 8500 of a transit one. Its links must carry it.
    pub mtu: Option<At<Count>>,
    /// Whether it has SiteLink from then on.
    pub site_link: Option<At<Flag>>,
    /// How long another MTU keeps all virtual interfaces of the connection from carrying anything, 30s at most as AWS says; 30s
    /// if not given, and 0s of a connection that needs no update. The carrier stays.
    pub disruption: Option<At<Span>>,
}

/// A Direct Connect gateway: private virtual interfaces and virtual private gateways, or transit ones and transit gateways.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct DirectConnectGateway {
    /// The Amazon side's autonomous system; 64512 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// The gateways that are associated with it, by name.
    #[serde(default)]
    pub associations: Named<Association>,
}

/// A gateway that is associated with a Direct Connect gateway.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Association {
    /// Of a virtual private gateway, a filter: its VPC's block is announced if one of these is as wide or wider; everything if not given.
    /// Of a transit gateway, what is announced.
    pub allowed_prefixes: Vec<At<Prefix>>,
    /// The Region of the gateway; if not given, that of every location.
    pub region: Option<At<Name>>,
}
