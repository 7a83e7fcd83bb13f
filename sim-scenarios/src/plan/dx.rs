//! Direct Connect: connections with their virtual interfaces, and Direct Connect gateways.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;

use super::{Forwarding, Interface};

/// A connection of Direct Connect.
#[derive(Clone, Debug)]
pub struct DirectConnect {
    /// Its name, unique among them.
    pub name: String,
    /// The location.
    pub location: String,
    /// The Region that the location is associated with; `None`: that of every gateway.
    pub region: Option<String>,
    /// Bits per second.
    pub bandwidth: u64,
    /// Its virtual interfaces, which are nodes called `CONNECTION.INTERFACE`.
    pub virtual_interfaces: Vec<NodeId>,
}

/// What a virtual interface leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterfaceKind {
    /// VPCs, by virtual private gateways.
    Private,
    /// VPCs and what else is attached to transit gateways.
    Transit,
    /// AWS's public addresses.
    Public,
}

/// AWS's end of a virtual interface.
#[derive(Clone, Debug)]
pub struct VirtualInterface {
    /// Its connection (index into [`super::Plan::direct_connects`]).
    pub connection: usize,
    /// What it leads to.
    pub kind: InterfaceKind,
    /// The gateway that it is on; of a public one, a router of the underlay.
    pub gateway: NodeId,
    /// The Amazon side's autonomous system: the gateway's.
    pub asn: u32,
    /// VLAN on the connection.
    pub vlan: u16,
    /// Longest IP packet, in octets.
    pub mtu: u16,
    /// Whether it has SiteLink.
    pub site_link: bool,
    /// Its one interface, towards the customer.
    pub interfaces: Vec<Interface>,
    /// What it announces from the start.
    pub advertise: Vec<Ipv4Net>,
    /// Its one neighbour, the customer's router.
    pub forwarding: Forwarding,
}

impl VirtualInterface {
    /// AWS's address on it.
    pub fn amazon_address(&self) -> Ipv4Addr {
        self.interfaces[0].address.addr()
    }
}

/// A Direct Connect gateway.
#[derive(Clone, Debug)]
pub struct DirectConnectGateway {
    /// The Amazon side's autonomous system.
    pub asn: u32,
    /// The gateways that are associated with it.
    pub associations: Vec<Association>,
}

impl DirectConnectGateway {
    /// What its tables are called: one for each association by the gateway's name, and "sitelink".
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.associations.iter().map(|association| association.name.as_str()).chain(["sitelink"])
    }
}

/// A gateway that is associated with a Direct Connect gateway.
#[derive(Clone, Debug)]
pub struct Association {
    /// The gateway.
    pub gateway: NodeId,
    /// Its name.
    pub name: String,
    /// Its Region; `None`: that of every location.
    pub region: Option<String>,
    /// What virtual interfaces announce of it.
    pub announced: Vec<Ipv4Net>,
    /// Destinations for which packets of virtual interfaces pass to it.
    pub passes: Vec<Ipv4Net>,
}
