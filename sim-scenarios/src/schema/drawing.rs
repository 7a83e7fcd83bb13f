//! The drawing: devices, links and paths.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::leaf::{Address, Asn, Count, Flag, Ipv6Address, Ipv6Prefix, Name, Percent, Prefix, Rate, Size, Span};
use crate::place::{At, Named};
use crate::plan::TcpProfile;
use sim_core::node::ip::ReversePath;

use super::{
    AccessRule, BgpRouter, ClientVpnAssociation, Concentrator, Decision, DirectConnectGateway, Ecmp, Firewall,
    FirewallInstance, GatewayEndpoint, GatewayInstance, Gre, IgpCost, Instance, InterfaceEndpoint, InternetGateway,
    Lag, LoadBalancer, NameServer, Nat, NatGateway, NatInstance, Neighbor, Policy, PolicyRoute, ResolverEndpoint,
    Route53Resolver, Switch, Track, TransitGatewayPeering, TunnelNat, VirtualRouter, Vpc, VpcPeering, VpnClient,
};

/// A device.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Node {
    /// A host on premises.
    Host(Host),
    /// A router of the underlay: the internet service provider, for example.
    Router(Router),
    /// A router that speaks BGP.
    BgpRouter(Box<BgpRouter>),
    /// A NAT, or a filter.
    Nat(Box<Nat>),
    /// The customer's end of VPN connections.
    CustomerGateway(Box<CustomerGateway>),
    /// AWS's end of VPN connections to one VPC.
    VirtualPrivateGateway(VirtualPrivateGateway),
    /// AWS's end of VPN connections to several VPCs and sites.
    TransitGateway(TransitGateway),
    /// What joins virtual interfaces of Direct Connect to gateways.
    DirectConnectGateway(DirectConnectGateway),
    /// A virtual private cloud.
    Vpc(Vpc),
    /// A host in a VPC.
    Instance(Instance),
    /// A switch of a LAN.
    Switch(Switch),
    /// An association of a Client VPN endpoint with a subnet.
    ClientVpnAssociation(ClientVpnAssociation),
    /// A client of Client VPN.
    VpnClient(VpnClient),
    /// The way between a VPC and the internet.
    InternetGateway(InternetGateway),
    /// What shows private addresses by one of its own, managed by AWS.
    NatGateway(NatGateway),
    /// An instance that shows others by its own address.
    NatInstance(NatInstance),
    /// An instance that is a stateful firewall.
    FirewallInstance(FirewallInstance),
    /// What joins two transit gateways.
    TransitGatewayPeering(TransitGatewayPeering),
    /// What joins two VPCs.
    VpcPeering(VpcPeering),
    /// The way from route tables of a VPC to S3 or DynamoDB.
    GatewayEndpoint(GatewayEndpoint),
    /// A network interface in a VPC behind which there is a service (AWS PrivateLink).
    InterfaceEndpoint(InterfaceEndpoint),
    /// The node of an internal network load balancer in one subnet.
    LoadBalancer(Box<LoadBalancer>),
    /// What answers DNS in VPCs.
    Route53Resolver(Route53Resolver),
    /// One address of an endpoint of a Route 53 Resolver.
    ResolverEndpoint(ResolverEndpoint),
}

/// A host on premises.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Address and subnet, like "10.1.0.10/24".
    pub address: At<Prefix>,
    /// Default gateway; if not given, the address of the customer gateway's or NAT's interface at the other end of its link.
    pub gateway: Option<At<Address>>,
    /// IPv6 address and subnet beside that, like "2001:db8:1::10/64", of a host at a customer gateway's interface; none if not given.
    pub ipv6_address: Option<At<Ipv6Prefix>>,
    /// Its name servers, in the order in which it asks them, at most three; none if not given.
    #[serde(default)]
    pub resolver: Vec<At<Address>>,
    /// The name server that it is itself; none if not given.
    pub name_server: Option<Box<NameServer>>,
}

/// A router of the underlay. It knows the way to every address outside the tunnels.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// The source of its ICMP errors; without it, it sends none.
    pub address: Option<At<Address>>,
    /// The source of its ICMPv6 errors; without it, it sends none.
    pub ipv6_address: Option<At<Ipv6Address>>,
}

/// A customer gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct CustomerGateway {
    /// BGP autonomous system; 65000 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// Its interfaces; a link's end is then "NODE.INTERFACE".
    pub interfaces: Named<Interface>,
    /// Prefixes that it advertises by BGP.
    #[serde(default)]
    pub advertise: Vec<At<Prefix>>,
    /// IPv6 prefixes that it advertises by BGP, through tunnels of connections for IPv6.
    #[serde(default)]
    pub advertise_ipv6: Vec<At<Ipv6Prefix>>,
    /// BGP policies, for the `import_policy` and `export_policy` of tunnels and neighbors.
    #[serde(default)]
    pub policies: Named<Policy>,
    /// How it decides among routes that it hears by BGP.
    #[serde(default)]
    pub decision: Decision,
    /// Static routes.
    #[serde(default)]
    pub static_routes: Vec<StaticRoute>,
    /// Whether a tunnel's routes vanish while it has no CHILD_SA; true if not given.
    pub routes_follow_sa: Option<At<Flag>>,
    /// BGP sessions over interfaces, beside those through tunnels. The other end needs one, too.
    #[serde(default)]
    pub neighbors: Named<Neighbor>,
    /// What it watches, so that static routes can depend on it.
    #[serde(default)]
    pub tracks: Named<Track>,
    /// Rules by which packets in transit go another way than the table's; the first that fits decides.
    #[serde(default)]
    pub policy_routes: Vec<PolicyRoute>,
    /// How it spreads flows over routes of equal cost; not at all if not given.
    pub ecmp: Option<Ecmp>,
    /// A stateful firewall that judges what passes through; none if not given.
    pub firewall: Option<Box<Firewall>>,
    /// A NAT for what goes through its tunnels; none if not given.
    pub tunnel_nat: Option<TunnelNat>,
    /// CLUSTER_ID of a route reflector; its router id if not given (RFC 4456 section 7).
    pub cluster_id: Option<At<Address>>,
    /// What the ways to next hops within the AS cost.
    #[serde(default)]
    pub igp_costs: Vec<IgpCost>,
    /// What gives its defaults: "generic" (if not given: the RFCs), "strongswan_bird",
    /// "strongswan_frr", "libreswan", "azure" (Azure VPN Gateway) or "gcp" (Google Cloud HA VPN).
    pub profile: Option<At<Name>>,
    /// How its TCP behaves: "linux" (if not given) or "rfc".
    pub tcp: Option<At<TcpProfile>>,
    /// The EC2 instance that it is; none if not given: it is on the premises.
    pub instance: Option<Box<GatewayInstance>>,
    /// In `vpnsim live` a real device takes its place. `vpnsim run` simulates it like any other.
    pub external: Option<Box<External>>,
}

/// Where a real device meets the simulated AWS: UDP sockets of this machine stand for the outside addresses of the
/// gateway's tunnels. Addresses are translated on the way, so both ends find a NAT between them, as RFC 3948 foresees.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Addresses of this machine, one for each tunnel in order; 127.0.0.1 and 127.0.0.2 if not given. If there are too few,
    /// the tunnels that are left share the last one, each with ports one higher than the tunnel before it.
    #[serde(default)]
    pub listen: Vec<At<Address>>,
    /// UDP port for IKE; 500 if not given.
    pub ike_port: Option<At<Count>>,
    /// UDP port for IKE and ESP behind a NAT; 4500 if not given.
    pub nat_port: Option<At<Count>>,
    /// The device's address, for an AWS that speaks first; if not given, who sends is answered, and nobody else is spoken to.
    pub peer: Option<At<Address>>,
}

/// An interface of a customer gateway or BGP router.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// Address and subnet, like "203.0.113.10/24". With "/32" it is a loopback address, at which no link ends.
    pub address: At<Prefix>,
    /// IPv6 address and subnet beside that, like "2001:db8:1::1/64"; none if not given.
    pub ipv6_address: Option<At<Ipv6Prefix>>,
    /// What it asks of the source of a packet that comes in: "off" (if not given), "loose" (that there is a route to it) or
    /// "strict" (that this is the way to it) (RFC 3704).
    pub reverse_path: Option<At<ReversePath>>,
    /// Several links as one; not if not given.
    pub lag: Option<Lag>,
    /// The VLAN with which its frames are tagged; without a tag if not given. A link leads from it to a switch.
    pub vlan: Option<At<Count>>,
    /// The virtual routers that it is part of (VRRP). A link leads from it to a switch.
    #[serde(default)]
    pub vrrp: Named<VirtualRouter>,
    /// A GRE tunnel, at which no link ends; not if not given.
    pub gre: Option<Gre>,
    /// What it does not let in or out, also of the device's own: rules in order, the first that fits decides, what none fits passes.
    #[serde(default)]
    pub access_list: Named<AccessRule>,
}

/// A static route of a customer gateway or BGP router.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct StaticRoute {
    /// Destination.
    pub prefix: At<Prefix>,
    /// A tunnel, like "vpn.a", or an interface of this device, or "blackhole".
    pub via: At<Name>,
    /// The device on the interface's link that it leads to; if not given, whoever has the destination.
    pub next_hop: Option<At<Address>>,
    /// Administrative distance: the route with the lowest one is used; 1 if not given. BGP's is 20, and 200 within an autonomous
    /// system: a route that stands in for one of those has more.
    pub distance: Option<At<Count>>,
    /// What must be up for it to be used: one of the device's `tracks`.
    pub track: Option<At<Name>>,
}

/// A virtual private gateway.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct VirtualPrivateGateway {
    /// The Amazon side's autonomous system; 64512 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// The VPC it is attached to; if not given, none: it joins sites only (AWS VPN CloudHub).
    pub vpc: Option<At<Name>>,
    /// The VPC's route table for what comes from the gateway (an edge association): its targets are "local" or network interfaces;
    /// if not given, packets go to the VPC's own addresses.
    pub route_table: Option<At<Name>>,
    /// The tunnel that AWS prefers while all else is equal, like "vpn.a"; if not given, drawn from the seed.
    pub preferred_tunnel: Option<At<Name>>,
}

/// A transit gateway. Its attachments are the VPCs that it names, the connections that end at it, the Direct Connect gateways that name it,
/// and its peerings.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TransitGateway {
    /// The Amazon side's autonomous system; 64512 if not given, as AWS.
    pub asn: Option<At<Asn>>,
    /// Its Region; if not given, that of everything that names none.
    pub region: Option<At<Name>>,
    /// The VPCs that are attached to it, of its own Region.
    #[serde(default)]
    pub vpcs: Vec<At<Name>>,
    /// Those of them in which a flow keeps to one availability zone, both ways (appliance mode).
    #[serde(default)]
    pub appliance_mode: Vec<At<Name>>,
    /// Address blocks of its own, /24 or wider, out of which come the outside addresses of private-IP VPN.
    #[serde(default)]
    pub cidr_blocks: Vec<At<Prefix>>,
    /// In which subnets the attachments are, like "vpc.transit", one in each availability zone: what comes from the gateway follows the
    /// subnet's route table, and what is in another zone does not reach the gateway. Of a VPC that is not named it is the first subnet of
    /// each zone.
    #[serde(default)]
    pub subnets: Vec<At<Name>>,
    /// Its route tables; if not given, one called "default" with which every attachment is associated and into which every one
    /// propagates, as AWS makes it.
    #[serde(default)]
    pub route_tables: Named<TransitRouteTable>,
    /// VPN Concentrators: attachments that the connections of many sites share.
    #[serde(default)]
    pub concentrators: Named<Concentrator>,
    /// VPN ECMP support: whether traffic is balanced over equal VPN tunnels; true if not given, as AWS.
    pub vpn_ecmp: Option<At<Flag>>,
    /// The tunnel that AWS prefers while all else is equal, like "vpn.a"; if not given, drawn from the seed.
    pub preferred_tunnel: Option<At<Name>>,
}

/// A route table of a transit gateway. Attachments are called like their VPC, connection, Direct Connect gateway or peering.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TransitRouteTable {
    /// Attachments whose traffic is looked up in it; if not given, all that no other table names.
    pub associations: Option<Vec<At<Name>>>,
    /// Attachments whose routes go into it; if not given, all but peerings, of which only static routes are known.
    pub propagations: Option<Vec<At<Name>>>,
    /// Static routes.
    #[serde(default)]
    pub routes: Vec<TransitRoute>,
}

/// A static route of a transit gateway route table.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct TransitRoute {
    /// Destination.
    pub destination: At<Prefix>,
    /// An attachment, or "blackhole".
    pub target: At<Name>,
}

/// What joins two devices.
#[derive(Deserialize, JsonSchema, Debug)]
pub enum Link {
    /// A cable or a provider's circuit: both ends see its carrier.
    Link(Line),
    /// A stretch of internet: its failure is seen by nobody.
    Path(Line),
}

/// Ends and conditions of a link or path.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its two ends: a node, "NODE.INTERFACE" of a customer gateway, "NODE.inside" or "NODE.outside" of a NAT, a tunnel
    /// endpoint "CONNECTION.TUNNEL", or a virtual interface "CONNECTION.INTERFACE".
    /// Forward is from the first to the second.
    pub between: (At<Name>, At<Name>),
    /// Bandwidth, each way; no limit if not given.
    pub rate: Option<At<Rate>>,
    /// What may wait for transmission, in octets; 256KiB if not given.
    pub queue: Option<At<Size>>,
    /// One-way delay; 100us for a link and 10ms for a path if not given.
    pub delay: Option<At<Span>>,
    /// Added to the delay, uniform from none to this.
    pub jitter: Option<At<Span>>,
    /// Share of packets lost, each alike.
    pub loss: Option<At<Percent>>,
    /// Loss in bursts, in place of `loss`.
    pub bursts: Option<Bursts>,
    /// Packets that are held back.
    pub reorder: Option<Reorder>,
    /// Share of packets that arrive twice.
    pub duplicate: Option<At<Percent>>,
    /// Share of packets of which one bit is flipped.
    pub corrupt: Option<At<Percent>>,
    /// Whether a firewall or load balancer on the way drops IP fragments, as the accelerators of AWS's accelerated VPN do; false if not given.
    pub drops_fragments: Option<At<Flag>>,
    /// Longest IP packet, in octets; 1500 if not given.
    pub mtu: Option<At<Count>>,
    /// What differs from the above in the direction from the first end to the second.
    pub forward: Option<Conditions>,
    /// What differs from the above in the direction from the second end to the first.
    pub reverse: Option<Conditions>,
}

/// Conditions of one direction, where they differ from those of the link.
#[derive(Deserialize, JsonSchema, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Bandwidth.
    pub rate: Option<At<Rate>>,
    /// What may wait for transmission, in octets.
    pub queue: Option<At<Size>>,
    /// Delay.
    pub delay: Option<At<Span>>,
    /// Added to the delay, uniform from none to this.
    pub jitter: Option<At<Span>>,
    /// Share of packets lost, each alike.
    pub loss: Option<At<Percent>>,
    /// Loss in bursts, in place of `loss`.
    pub bursts: Option<Bursts>,
    /// Packets that are held back.
    pub reorder: Option<Reorder>,
    /// Share of packets that arrive twice.
    pub duplicate: Option<At<Percent>>,
    /// Share of packets of which one bit is flipped.
    pub corrupt: Option<At<Percent>>,
    /// Whether a firewall or load balancer on the way drops IP fragments, as the accelerators of AWS's accelerated VPN do.
    pub drops_fragments: Option<At<Flag>>,
    /// Longest IP packet, in octets.
    pub mtu: Option<At<Count>>,
}

/// Bursts of loss: the Gilbert-Elliott model, a good and a bad state that may change before each packet.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Chance, per packet, that a burst begins.
    pub enter: At<Percent>,
    /// Chance, per packet, that it ends: bursts last 1/leave packets on average.
    pub leave: At<Percent>,
    /// Loss outside bursts; none if not given.
    pub good: Option<At<Percent>>,
    /// Loss inside bursts; 100% if not given.
    pub bad: Option<At<Percent>>,
}

/// Reordering.
#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields)]
pub struct Reorder {
    /// Share of packets that are held back.
    pub chance: At<Percent>,
    /// For how long.
    pub by: At<Span>,
}
