//! VPCs and what is in them.

use core::net::Ipv4Addr;
use core::ops::RangeInclusive;

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::net::acl;
use sim_core::net::conntrack::TrackConfig;
use sim_core::net::firewall::OnMiss;
use sim_core::node::translator::{Forward, HealthCheck};
use sim_core::time::Duration;

/// A VPC.
#[derive(Clone, Debug)]
pub struct Vpc {
    /// Its address block.
    pub cidr: Ipv4Net,
    /// Its Region, if it is said.
    pub region: Option<String>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its route tables.
    pub route_tables: Vec<RouteTable>,
    /// Its network ACLs, with their names.
    pub network_acls: Vec<(String, acl::NetworkAcl)>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroup>,
}

/// A security group.
#[derive(Clone, Debug)]
pub struct SecurityGroup {
    /// Its name, unique in the VPC.
    pub name: String,
    /// Its rules.
    pub rules: Vec<SecurityGroupRule>,
}

/// A rule of a security group.
#[derive(Clone, Debug)]
pub struct SecurityGroupRule {
    /// Its name, unique among those of its direction.
    pub name: String,
    /// Its number, unique in the VPC.
    pub number: u16,
    /// Whether it is about what goes out.
    pub outbound: bool,
    /// IP protocol number; `None`: any.
    pub protocol: Option<u8>,
    /// Destination ports; `None`: any.
    pub ports: Option<RangeInclusive<u16>>,
    /// Who is at the other end.
    pub other: GroupPeer,
}

/// Whom a rule of a security group is about.
#[derive(Clone, Debug)]
pub enum GroupPeer {
    /// A network.
    Network(Ipv4Net),
    /// The members of a group (index into [`Vpc::security_groups`]).
    Group(usize),
}

impl Vpc {
    /// What a table of it is called where nodes are named: the VPC's name, and the table's if it has several.
    pub fn table_name(&self, vpc: &str, table: u8) -> String {
        match self.route_tables.get(usize::from(table)) {
            Some(named) if self.route_tables.len() > 1 => format!("{vpc}.{}", named.name),
            Some(_) | None => vpc.to_owned(),
        }
    }
}

/// A subnet of a VPC.
#[derive(Clone, Debug)]
pub struct Subnet {
    /// Its name, unique in the VPC.
    pub name: String,
    /// Its address block.
    pub cidr: Ipv4Net,
    /// Its availability zone.
    pub availability_zone: String,
    /// Its route table (index into [`Vpc::route_tables`]).
    pub route_table: usize,
    /// Its network ACL (index into [`Vpc::network_acls`]); `None`: the default one, which allows all.
    pub network_acl: Option<usize>,
}

/// A route table of a VPC. The route `local` to the VPC's own block is implied.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Its name, unique in the VPC.
    pub name: String,
    /// Gateways whose routes are propagated into it.
    pub propagation: Vec<NodeId>,
    /// Static routes: destination and target (a gateway, or what has a network interface), `None` for a blackhole.
    pub routes: Vec<(Ipv4Net, Option<NodeId>)>,
}

/// A host inside a VPC.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its VPC.
    pub vpc: NodeId,
    /// Its subnet (index into [`Vpc::subnets`]).
    pub subnet: usize,
    /// Its private address.
    pub address: Ipv4Addr,
    /// Its Elastic IP address.
    pub elastic_ip: Option<Ipv4Addr>,
    /// Its security groups (indices into [`Vpc::security_groups`]); without one everything passes.
    pub security_groups: Vec<usize>,
    /// How its network interface tracks flows.
    pub tracking: TrackConfig,
    /// Longest IP packet of its interface, in octets.
    pub mtu: u16,
}

/// An EC2 instance that is a customer gateway.
#[derive(Clone, Debug)]
pub struct GatewayInstance {
    /// Which of the gateway's interfaces is in the VPC.
    pub interface: usize,
    /// Its VPC.
    pub vpc: NodeId,
    /// Its subnet (index into [`Vpc::subnets`]).
    pub subnet: usize,
    /// Its private address.
    pub address: Ipv4Addr,
    /// Its Elastic IP address.
    pub elastic_ip: Ipv4Addr,
    /// Whether its interface refuses what is neither from nor for its own address.
    pub source_destination_check: bool,
    /// Its security groups (indices into [`Vpc::security_groups`]); without one everything passes.
    pub security_groups: Vec<usize>,
    /// How its network interface tracks flows.
    pub tracking: TrackConfig,
    /// Routes that it takes over.
    pub takeovers: Vec<Takeover>,
}

/// A route that an instance takes over.
#[derive(Clone, Debug)]
pub struct Takeover {
    /// What is watched, by its number on the gateway.
    pub track: usize,
    /// The route table (index into [`Vpc::route_tables`]).
    pub table: usize,
    /// The destination.
    pub destination: Ipv4Net,
    /// From the change to AWS having replaced the route.
    pub delay: Duration,
    /// Whether it gives it back.
    pub gives_back: bool,
}

/// An internet gateway.
#[derive(Clone, Debug)]
pub struct InternetGateway {
    /// The VPC it is attached to.
    pub vpc: NodeId,
    /// The VPC's route table for what comes from it; `None`: only what is local is reached.
    pub route_table: Option<usize>,
    /// Private addresses of the VPC and the Elastic IP addresses that stand for them.
    pub addresses: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// What has a network interface in a subnet and shows others by its own address.
#[derive(Clone, Debug)]
pub struct Appliance {
    /// Its VPC.
    pub vpc: NodeId,
    /// Its subnet (index into [`Vpc::subnets`]).
    pub subnet: usize,
    /// Its private address.
    pub address: Ipv4Addr,
    /// Its Elastic IP address.
    pub elastic_ip: Option<Ipv4Addr>,
    /// Whether its interface refuses what is neither from nor for its own address.
    pub source_destination_check: bool,
    /// What it is.
    pub kind: ApplianceKind,
}

/// What has such an interface.
#[derive(Clone, Debug)]
pub enum ApplianceKind {
    /// A NAT gateway.
    NatGateway {
        /// Whether it takes what comes by a transit gateway from outside of any VPC.
        from_transit_gateway: bool,
        /// Its secondary addresses, each with its Elastic IP address if the gateway is a public one.
        secondary: Vec<(Ipv4Addr, Option<Ipv4Addr>)>,
        /// Bits a second that it carries.
        bandwidth: u64,
        /// Packets a second that it carries.
        packets_per_second: u64,
    },
    /// A NAT instance.
    NatInstance {
        /// Its ports that lead elsewhere.
        forwards: Vec<Forward>,
    },
    /// The node of a network load balancer.
    LoadBalancer {
        /// The port that it listens to, and that its targets do.
        port: u16,
        /// The addresses of its targets, and their names.
        targets: Vec<(Ipv4Addr, String)>,
        /// How they are asked.
        check: HealthCheck,
    },
    /// An interface endpoint.
    InterfaceEndpoint {
        /// The host or load balancer that is the service.
        service: NodeId,
    },
    /// One address of an endpoint of a Route 53 Resolver.
    ResolverEndpoint {
        /// The resolver.
        resolver: NodeId,
        /// Whether it is by this that the resolver asks others; if not, others ask the resolver by it.
        outbound: bool,
        /// Its security groups (indices into [`Vpc::security_groups`]); without one everything passes.
        security_groups: Vec<usize>,
        /// How its network interface tracks flows.
        tracking: TrackConfig,
    },
    /// An instance that is a stateful firewall.
    Firewall {
        /// From where flows may begin; from everywhere if it is empty.
        inside: Vec<Ipv4Net>,
        /// Its table of flows.
        track: TrackConfig,
        /// What a stranger hears.
        on_miss: OnMiss,
    },
}

/// A VPC peering connection.
#[derive(Clone, Debug)]
pub struct VpcPeering {
    /// The VPCs.
    pub vpcs: [NodeId; 2],
}

/// A gateway endpoint.
#[derive(Clone, Debug)]
pub struct GatewayEndpoint {
    /// Its VPC.
    pub vpc: NodeId,
    /// The host that is the service.
    pub service: NodeId,
    /// The addresses of the service.
    pub prefix_list: Vec<Ipv4Net>,
    /// Route tables of the VPC that lead to it.
    pub route_tables: Vec<usize>,
}
