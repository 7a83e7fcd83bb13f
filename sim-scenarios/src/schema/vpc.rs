//! A VPC and what is in it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{
    AclAction, Address, Count, Flag, IpProtocol, Ipv6Address, Ipv6Prefix, Name, PortRange, Prefix, Rate, Span,
};
use crate::place::{At, Named};

/// A VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Vpc {
    /// Its address block, /16 to /28.
    pub cidr: At<Prefix>,
    /// Its IPv6 block, /44 to /60 in steps of four; none if not given.
    pub ipv6_cidr: Option<At<Ipv6Prefix>>,
    /// Its Region; if not given, that of everything that names none.
    pub region: Option<At<Name>>,
    /// Its subnets.
    pub subnets: Named<Subnet>,
    /// Its route tables; if not given, one called "main" into which the attached gateway propagates.
    #[serde(default)]
    pub route_tables: Named<RouteTable>,
    /// Its network ACLs, beside the default one, which allows all.
    #[serde(default)]
    pub network_acls: Named<NetworkAcl>,
    /// Its security groups.
    #[serde(default)]
    pub security_groups: Named<SecurityGroup>,
}

/// A subnet of a VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Its address block, inside the VPC's.
    pub cidr: At<Prefix>,
    /// Its IPv6 block, inside the VPC's; none if not given.
    pub ipv6_cidr: Option<At<Ipv6Prefix>>,
    /// Its availability zone.
    pub availability_zone: At<Name>,
    /// Its route table; "main" if not given.
    pub route_table: Option<At<Name>>,
    /// Its network ACL; the default one, which allows all, if not given.
    pub network_acl: Option<At<Name>>,
}

/// A route table of a VPC. The route "local" is implied.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Gateways whose routes are propagated into it; none if not given.
    #[serde(default)]
    pub propagation: Vec<At<Name>>,
    /// Static routes.
    #[serde(default)]
    pub routes: Vec<VpcRoute>,
    /// Static routes of IPv6.
    #[serde(default)]
    pub ipv6_routes: Vec<VpcIpv6Route>,
}

/// A static IPv6 route of a VPC route table.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VpcIpv6Route {
    /// Destination.
    pub destination: At<Ipv6Prefix>,
    /// A transit gateway that is attached to the VPC, or "blackhole".
    pub target: At<Name>,
}

/// A static route of a VPC route table.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VpcRoute {
    /// Destination.
    pub destination: At<Prefix>,
    /// A virtual private gateway, transit gateway, internet gateway or VPC peering connection that is attached to the VPC, a NAT gateway,
    /// NAT instance or instance in it, "local", or "blackhole". To a virtual private gateway a static route carries 1500 octets, a
    /// propagated one also jumbo frames.
    pub target: At<Name>,
}

/// A network ACL. It has no memory: an answer needs a rule of its own. What no rule is about is denied.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NetworkAcl {
    /// Rules for what comes into a subnet.
    #[serde(default)]
    pub inbound: Vec<AclRule>,
    /// Rules for what leaves it.
    #[serde(default)]
    pub outbound: Vec<AclRule>,
}

/// A rule of a network ACL.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct AclRule {
    /// Its number, 1 to 32766: the lowest that fits decides.
    pub rule: At<Count>,
    /// "udp", "tcp", "icmp", "gre", "esp", "ah" or a number; any if not given.
    pub protocol: Option<At<IpProtocol>>,
    /// UDP or TCP destination ports, like 443 or "1024-65535"; any if not given.
    pub ports: Option<At<PortRange>>,
    /// Where inbound packets come from, or where outbound ones go.
    pub cidr: At<Prefix>,
    /// "allow" or "deny".
    pub action: At<AclAction>,
}

/// A security group. It allows only, and remembers: what belongs to a flow that it has let begin needs no rule.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// What may come in.
    #[serde(default)]
    pub inbound: Named<GroupRule>,
    /// What may go out; everything to everybody if not given, as AWS makes it.
    pub outbound: Option<Named<GroupRule>>,
}

/// A rule of a security group. It is about a network or about another group: one of `cidr` and `security_group`.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// "udp", "tcp", "icmp", "gre", "esp", "ah" or a number; any if not given.
    pub protocol: Option<At<IpProtocol>>,
    /// UDP or TCP destination ports, like 443 or "1024-65535"; any if not given.
    pub ports: Option<At<PortRange>>,
    /// Where inbound packets come from, or where outbound ones go.
    pub cidr: Option<At<Prefix>>,
    /// Or the group of this VPC whose members they come from or go to.
    pub security_group: Option<At<Name>>,
}

/// How a network interface with security groups tracks flows.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct ConnectionTracking {
    /// An established TCP connection, 60s to 432000s; 432000s if not given, as EC2 (350s on Nitro v6).
    pub tcp_established_timeout: Option<At<Span>>,
    /// UDP with at most one answer, 30s to 60s; 30s if not given.
    pub udp_timeout: Option<At<Span>>,
    /// UDP that has gone to and fro, 60s to 180s; 180s if not given.
    pub udp_stream_timeout: Option<At<Span>>,
    /// Most flows that it tracks at once (the instance's connection tracking allowance), 1 to 100000000: what would begin another is
    /// dropped, as `conntrack_allowance_exceeded`. No limit if not given: AWS publishes the allowance of no instance type.
    pub limit: Option<At<Count>>,
}

/// A host in a VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Its subnet, like "vpc.app".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// Its IPv6 address; none if not given.
    pub ipv6_address: Option<At<Ipv6Address>>,
    /// Its Elastic IP address: how the internet gateway shows it outside; none if not given. A probe to it goes to "NODE.elastic_ip".
    pub elastic_ip: Option<At<Address>>,
    /// Its security groups; without one everything passes.
    #[serde(default)]
    pub security_groups: Vec<At<Name>>,
    /// How its network interface tracks flows.
    #[serde(default)]
    pub connection_tracking: ConnectionTracking,
    /// Its name servers, in the order in which it asks them, at most three; if not given, the VPC's `Route53Resolver`.
    #[serde(default)]
    pub resolver: Vec<At<Address>>,
    /// MTU of its interface: 1500 if not given, up to 9001.
    pub mtu: Option<At<Count>>,
}

/// An EC2 instance that is a customer gateway: the network interface by which it is in a VPC.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct GatewayInstance {
    /// Which of its interfaces that is; "wan" if not given. No link ends there: what it sends goes to the VPC's router.
    pub interface: Option<At<Name>>,
    /// Its subnet, like "vpc.public".
    pub subnet: At<Name>,
    /// Its Elastic IP address, which AWS has registered as the customer gateway's.
    pub elastic_ip: At<Address>,
    /// Whether its network interface refuses what is neither from nor for its own address; true if not given, as in EC2. A gateway that
    /// shall forward others' packets has false.
    pub source_destination_check: Option<At<Flag>>,
    /// Its security groups; without one everything passes.
    #[serde(default)]
    pub security_groups: Vec<At<Name>>,
    /// How its network interface tracks flows.
    #[serde(default)]
    pub connection_tracking: ConnectionTracking,
    /// Routes of the VPC that a program on it has AWS lead to it (`ReplaceRoute`) when what it watches is down.
    #[serde(default)]
    pub takeovers: Vec<Takeover>,
}

/// A route that an instance takes over. The program that does it is a model.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Takeover {
    /// The one of its `tracks` that tells it.
    pub track: At<Name>,
    /// The route tables of the VPC.
    pub route_tables: Vec<At<Name>>,
    /// The destination of the route, which the tables have.
    pub destination: At<Prefix>,
    /// From the track's change to AWS having replaced the route: the program, the call of the API and AWS; 2s if not given (assumed).
    pub delay: Option<At<Span>>,
    /// Whether it gives the route back when the track is up again; false if not given.
    pub gives_back: Option<At<Flag>>,
}

/// An internet gateway. A link to a router of the underlay is its way to the internet.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct InternetGateway {
    /// The VPC it is attached to.
    pub vpc: At<Name>,
    /// The VPC's route table for what comes from the gateway (an edge association): its targets are "local" or network interfaces;
    /// if not given, packets go to the VPC's own addresses.
    pub route_table: Option<At<Name>>,
}

/// A NAT gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NatGateway {
    /// Its subnet, like "vpc.public".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// Its Elastic IP address; a private NAT gateway, which leads to other networks of one's own, has none.
    pub elastic_ip: Option<At<Address>>,
    /// Its secondary addresses, at most seven; none if not given. Each carries 55,000 simultaneous connections to a destination (address,
    /// port and protocol), as the first does. A connection gets the address that has the fewest to its destination (assumed: AWS does not say
    /// which).
    #[serde(default)]
    pub secondary_addresses: Vec<SecondaryAddress>,
    /// What it carries, at most 100Gbps; 5Gbps if not given, with which AWS's begin. As traffic grows they scale to 100Gbps; how fast AWS does
    /// not say, so here it is one rate for the whole run.
    pub bandwidth: Option<At<Rate>>,
    /// Packets a second that it carries, at most 10000000; 1000000 if not given, with which AWS's begin, and from which they scale likewise.
    pub packets_per_second: Option<At<Count>>,
    /// Whether it takes what comes by a transit gateway from outside of any VPC; true if not given. AWS says that it serves no
    /// VPN connection, and practice with a transit gateway in between says that it does.
    pub from_transit_gateway: Option<At<Flag>>,
}

/// A further address of a NAT gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct SecondaryAddress {
    /// Its private address, in the gateway's subnet.
    pub address: At<Address>,
    /// Its Elastic IP address, at a public NAT gateway only, where each address has one.
    pub elastic_ip: Option<At<Address>>,
}

/// A NAT instance: an instance whose operating system translates (Linux).
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct NatInstance {
    /// Its subnet, like "vpc.public".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// Its Elastic IP address.
    pub elastic_ip: Option<At<Address>>,
    /// Whether its network interface refuses what is neither from nor for its own address; true if not given, as in EC2. A NAT
    /// instance that shall do its work has false.
    pub source_destination_check: Option<At<Flag>>,
    /// Ports of its own that lead elsewhere: who addresses the instance itself is sent there, in its name.
    #[serde(default)]
    pub forwards: Vec<PortForward>,
}

/// A port that leads elsewhere.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct PortForward {
    /// The port, of UDP and TCP.
    pub port: At<Count>,
    /// The address that it leads to.
    pub to: At<Address>,
    /// The port there; the same if not given.
    pub to_port: Option<At<Count>>,
}

/// A VPC peering connection.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VpcPeering {
    /// A VPC.
    pub requester: At<Name>,
    /// The other.
    pub accepter: At<Name>,
}

/// A gateway endpoint. The routes to its service enter the route tables that it names.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct GatewayEndpoint {
    /// Its VPC.
    pub vpc: At<Name>,
    /// The service: a host of the internet, which AWS joins to it.
    pub service: At<Name>,
    /// The addresses of the service, its host's among them (an AWS-managed prefix list).
    pub prefix_list: Vec<At<Prefix>>,
    /// Route tables of the VPC that lead to it.
    pub route_tables: Vec<At<Name>>,
}

/// An interface endpoint.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct InterfaceEndpoint {
    /// Its subnet, like "vpc.app".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// The service: a host of the internet, or a load balancer (an endpoint service of AWS PrivateLink), which AWS joins to it.
    pub service: At<Name>,
}

/// The node of an internal network load balancer in one subnet. Its target group is by IP address: targets see the node's address.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// Its subnet, like "vpc.app".
    pub subnet: At<Name>,
    /// Its private address.
    pub address: At<Address>,
    /// The port that it listens to, of UDP and TCP; 7 if not given (echo).
    pub port: Option<At<Count>>,
    /// Its targets: instances or NAT instances of the VPC, which listen to the same port.
    pub targets: Vec<At<Name>>,
    /// Whether it uses targets of other availability zones; false if not given, as AWS.
    pub cross_zone: Option<At<Flag>>,
    /// How it asks by TCP whether targets are there.
    #[serde(default)]
    pub health_check: HealthCheck,
}

/// Health checks by TCP.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// How often, 5s to 300s; 30s if not given, as AWS.
    pub interval: Option<At<Span>>,
    /// How long a handshake is waited for, 2s to 120s and at most the interval; 10s if not given, as AWS.
    pub timeout: Option<At<Span>>,
    /// How many answers in a row make a target healthy, 2 to 10; 5 if not given, as AWS.
    pub healthy: Option<At<Count>>,
    /// How many without one make it unhealthy, 2 to 10; 2 if not given, as AWS.
    pub unhealthy: Option<At<Count>>,
}
