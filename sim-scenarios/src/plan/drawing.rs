//! The drawing: devices, links and paths.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use sim_core::id::NodeId;
use sim_core::net::filter::Rule;
use sim_core::node::ip::ReversePath;
use sim_core::proto::bgp::decision::Rules;
use sim_core::rng::Chance;
use sim_core::time::Duration;

use super::{
    Appliance, BgpRouter, ClientVpnAssociation, Concentrator, ConnectPeer, DirectConnectGateway, Forwarding,
    GatewayEndpoint, GatewayInstance, Gre, Instance, InternetGateway, NamedPolicy, Nat, Resolver, Switch,
    TransitGatewayPeering, TunnelId, VirtualInterface, VirtualRouter, Vpc, VpcPeering, VpnClient,
};
use crate::profile::Profile;

/// A device.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, unique among nodes.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
}

/// What a device is.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A host on premises.
    Host(Host),
    /// A router of the underlay. It knows the way (fewest links, then the scenario's order) to every address outside the
    /// tunnels: interfaces of hosts, customer gateways and tunnel endpoints.
    Router(Router),
    /// A router that speaks BGP, and knows nothing of the underlay.
    BgpRouter(Box<BgpRouter>),
    /// A NAT, or a filter. What it does not translate for is not shown to the outside.
    Nat(Box<Nat>),
    /// A customer gateway.
    CustomerGateway(Box<CustomerGateway>),
    /// A virtual private gateway.
    VirtualPrivateGateway(VirtualPrivateGateway),
    /// A transit gateway.
    TransitGateway(TransitGateway),
    /// A VPC: the implicit router between its instances and its gateway.
    Vpc(Vpc),
    /// A host inside a VPC.
    Instance(Instance),
    /// An internet gateway.
    InternetGateway(InternetGateway),
    /// A NAT gateway, NAT instance, interface endpoint or firewall.
    Appliance(Box<Appliance>),
    /// A peering attachment of transit gateways.
    TransitGatewayPeering(TransitGatewayPeering),
    /// A switch of a LAN.
    Switch(Switch),
    /// An association of a Client VPN endpoint with a subnet.
    ClientVpnAssociation(Box<ClientVpnAssociation>),
    /// A client of Client VPN.
    VpnClient(Box<VpnClient>),
    /// A VPC peering connection.
    VpcPeering(VpcPeering),
    /// A gateway endpoint.
    GatewayEndpoint(GatewayEndpoint),
    /// The Route 53 Resolver of VPCs.
    Resolver(Resolver),
    /// A Direct Connect gateway.
    DirectConnectGateway(DirectConnectGateway),
    /// AWS's end of a virtual interface of Direct Connect.
    VirtualInterface(Box<VirtualInterface>),
    /// AWS's end of a Connect peer.
    ConnectPeer(Box<ConnectPeer>),
    /// AWS's end of one tunnel. Linked to its gateway inside AWS, without loss or delay.
    VpnEndpoint(VpnEndpoint),
}

/// A host on premises.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address and the length of its subnet's prefix.
    pub address: Ipv4Net,
    /// Its default gateway.
    pub gateway: Ipv4Addr,
}

/// A router of the underlay.
#[derive(Clone, Debug)]
pub struct Router {
    /// The source of its ICMP errors; none are sent without one.
    pub address: Option<Ipv4Addr>,
}

/// A customer gateway.
#[derive(Clone, Debug)]
pub struct CustomerGateway {
    /// Its autonomous system.
    pub asn: u32,
    /// Its interfaces, in the scenario's order.
    pub interfaces: Vec<Interface>,
    /// Addresses that an interface (index) will have later.
    pub later: Vec<(usize, Ipv4Addr)>,
    /// Prefixes that it originates into BGP.
    pub advertise: Vec<Ipv4Net>,
    /// Its BGP policies; tunnels have copies of those that they name.
    pub policies: Vec<NamedPolicy>,
    /// How it decides among routes.
    pub decision: Rules,
    /// Static routes.
    pub static_routes: Vec<StaticRoute>,
    /// True if a tunnel's routes leave the FIB while it has no CHILD_SA (interface tracking). If false, only BGP removes them.
    pub routes_follow_sa: bool,
    /// Its neighbours and how it forwards.
    pub forwarding: Forwarding,
    /// What gave its defaults.
    pub profile: &'static Profile,
    /// How its TCP behaves.
    pub tcp: TcpProfile,
    /// The EC2 instance that it is, if it is one.
    pub instance: Option<Box<GatewayInstance>>,
    /// How a real device takes its place, if one may.
    pub external: Option<External>,
}

/// Where a real device meets the simulated AWS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct External {
    /// Addresses of this machine for the gateway's tunnels in order; at least one.
    pub listen: Vec<Ipv4Addr>,
    /// UDP port for IKE.
    pub ike_port: u16,
    /// UDP port for IKE and ESP behind a NAT.
    pub nat_port: u16,
    /// The device's address, if it is known before it speaks.
    pub peer: Option<Ipv4Addr>,
}

/// Where one tunnel of an external gateway is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Door {
    /// The address of this machine.
    pub address: Ipv4Addr,
    /// UDP port for IKE.
    pub ike_port: u16,
    /// UDP port for IKE and ESP behind a NAT.
    pub nat_port: u16,
}

impl External {
    /// The doors of so many tunnels, in order; `None` if a shared address runs out of ports.
    pub fn doors(&self, tunnels: usize) -> Option<Vec<Door>> {
        let last = self.listen.len().saturating_sub(1);
        let door = |tunnel: usize| {
            let shift = u16::try_from(tunnel.saturating_sub(last)).ok()?;
            let port = |first: u16| first.checked_add(shift);
            let address = *self.listen.get(tunnel.min(last))?;
            Some(Door { address, ike_port: port(self.ike_port)?, nat_port: port(self.nat_port)? })
        };
        (0..tunnels).map(door).collect()
    }
}

/// An interface of a customer gateway or BGP router.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name, unique in the device.
    pub name: String,
    /// Its address and the length of its subnet's prefix.
    pub address: Ipv4Net,
    /// What it asks of sources.
    pub reverse_path: ReversePath,
    /// What it does not let in or out: the first rule that fits decides.
    pub access_list: Vec<Rule>,
    /// Several links as one, if it is that.
    pub lag: Option<Lag>,
    /// The VLAN with which its frames are tagged.
    pub vlan: Option<u16>,
    /// The virtual routers that it is part of.
    pub virtual_routers: Vec<VirtualRouter>,
    /// A GRE tunnel, if it is that.
    pub gre: Option<Gre>,
}

impl Interface {
    /// True if it is an address of the device alone, behind which there is nothing.
    pub fn is_loopback(&self) -> bool {
        self.address.prefix_len() == 32 && self.gre.is_none()
    }
}

/// Links that are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lag {
    /// Fewest links with which any carries traffic.
    pub minimum_links: usize,
    /// Whether LACP misses the other end after 3 s and not after 90.
    pub fast: bool,
}

/// A static route of a customer gateway or BGP router.
#[derive(Clone, Debug)]
pub struct StaticRoute {
    /// Destination.
    pub prefix: Ipv4Net,
    /// Where to.
    pub via: Via,
    /// To which device there.
    pub next_hop: Option<Ipv4Addr>,
    /// Administrative distance: the lowest usable one is used. BGP's is 20.
    pub distance: u32,
    /// What must be up (index into [`Forwarding::tracks`]).
    pub track: Option<usize>,
}

/// Where a static route points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// Into a tunnel.
    Tunnel(TunnelId),
    /// Out of an interface (index into [`CustomerGateway::interfaces`]).
    Interface(usize),
    /// Nowhere: matching packets are dropped.
    Blackhole,
}

/// How a device's TCP differs from the RFCs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpProfile {
    /// As Linux: after a retransmission timeout only the first unacknowledged segment is sent until an ACK advances.
    Linux,
    /// As the RFCs allow.
    Rfc,
}

/// A virtual private gateway.
#[derive(Clone, Debug)]
pub struct VirtualPrivateGateway {
    /// The Amazon side's autonomous system.
    pub asn: u32,
    /// The VPC it is attached to; `None`: it joins sites only.
    pub vpc: Option<NodeId>,
    /// The VPC's route table for what comes from it (index into [`super::Vpc::route_tables`]); `None`: only what is local is reached.
    pub route_table: Option<usize>,
    /// Which tunnel AWS prefers while everything else is equal; `None`: drawn from the seed, as AWS does not say.
    pub preferred_tunnel: Option<TunnelId>,
}

/// A transit gateway.
#[derive(Clone, Debug)]
pub struct TransitGateway {
    /// The Amazon side's autonomous system.
    pub asn: u32,
    /// The VPCs that are attached to it.
    pub vpcs: Vec<NodeId>,
    /// Address blocks of its own.
    pub cidr_blocks: Vec<Ipv4Net>,
    /// Its Region, if it is said.
    pub region: Option<String>,
    /// The subnets of each of those attachments (indices into [`super::Vpc::subnets`]), one in each of its availability zones.
    pub subnets: Vec<Vec<usize>>,
    /// Its VPN Concentrators.
    pub concentrators: Vec<Concentrator>,
    /// Those of the attached VPCs that are in appliance mode.
    pub appliance_mode: Vec<NodeId>,
    /// Its route tables.
    pub route_tables: Vec<TransitRouteTable>,
    /// VPN ECMP support.
    pub vpn_ecmp: bool,
    /// Which tunnel AWS prefers while everything else is equal; `None`: drawn from the seed, as AWS does not say.
    pub preferred_tunnel: Option<TunnelId>,
}

impl TransitGateway {
    /// What a table of it is called where nodes are named: the gateway's name, and the table's if it has several.
    pub fn table_name(&self, gateway: &str, table: u8) -> String {
        match self.route_tables.get(usize::from(table)) {
            Some(named) if self.route_tables.len() > 1 => format!("{gateway}.{}", named.name),
            Some(_) | None => gateway.to_owned(),
        }
    }
}

/// A route table of a transit gateway.
#[derive(Clone, Debug)]
pub struct TransitRouteTable {
    /// Its name, unique on the gateway.
    pub name: String,
    /// Attachments whose traffic is looked up in it.
    pub associations: Vec<Attachment>,
    /// Attachments whose routes go into it.
    pub propagations: Vec<Attachment>,
    /// Static routes: destination and target, `None` for a blackhole.
    pub routes: Vec<(Ipv4Net, Option<Attachment>)>,
}

/// An attachment of a transit gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Attachment {
    /// A VPC.
    Vpc(NodeId),
    /// A VPN connection, by its place among all.
    Connection(usize),
    /// A Direct Connect gateway.
    DirectConnectGateway(NodeId),
    /// A peering attachment.
    Peering(NodeId),
    /// A Connect attachment, by its place among all.
    Connect(usize),
    /// A VPN Concentrator: the gateway, and its place among those of it.
    Concentrator(NodeId, usize),
}

/// AWS's end of one tunnel.
#[derive(Clone, Debug)]
pub struct VpnEndpoint {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The gateway it belongs to.
    pub gateway: NodeId,
    /// Its outside address.
    pub address: IpAddr,
    /// Its availability zone.
    pub availability_zone: String,
    /// True behind an edge of Global Accelerator, which drops fragments.
    pub accelerated: bool,
}

/// A link or an internet path.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its name, unique among links.
    pub name: String,
    /// True for a link whose ends see the carrier go; false for an internet path, which fails silently.
    pub carrier: bool,
    /// Its two ends.
    pub ends: [End; 2],
    /// From the first end to the second.
    pub forward: Conditions,
    /// From the second end to the first.
    pub reverse: Conditions,
}

/// Where a link is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct End {
    /// The device.
    pub node: NodeId,
    /// Which interface, for a customer gateway (index into [`CustomerGateway::interfaces`]) or NAT ([`Nat::INSIDE`],
    /// [`Nat::OUTSIDE`]).
    pub interface: Option<usize>,
}

/// How one direction of a link treats packets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    /// Bits per second; `None`: no limit, so no queue either.
    pub rate: Option<u64>,
    /// Octets that may wait for transmission.
    pub queue: u64,
    /// Propagation delay.
    pub delay: Duration,
    /// Added to the delay of each packet, uniform in `0..=jitter`.
    pub jitter: Duration,
    /// Random loss.
    pub loss: Loss,
    /// Chance that a packet is held back by `reorder_by`.
    pub reorder: Chance,
    /// How long a packet is held back.
    pub reorder_by: Duration,
    /// Chance that a packet arrives twice.
    pub duplicate: Chance,
    /// Chance that one bit of a packet is flipped.
    pub corrupt: Chance,
    /// Whether IP fragments are dropped.
    pub drops_fragments: bool,
    /// Longest IP packet, in octets.
    pub mtu: u16,
}

/// Random loss.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Loss {
    /// Each packet alike.
    Independent(Chance),
    /// Bursts: a two-state chain that moves before each packet.
    GilbertElliott {
        /// Chance to go from good to bad.
        enter: Chance,
        /// Chance to go from bad to good.
        leave: Chance,
        /// Chance of loss while good.
        good: Chance,
        /// Chance of loss while bad.
        bad: Chance,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_without_an_address_of_their_own_share_the_last_one() {
        let address = |host| Ipv4Addr::new(192, 0, 2, host);
        let external =
            |listen: &[Ipv4Addr], nat_port| External { listen: listen.to_vec(), ike_port: 500, nat_port, peer: None };
        let door = |host, ike_port, nat_port| Door { address: address(host), ike_port, nat_port };
        let two = external(&[address(1), address(2)], 4500);
        assert_eq!(two.doors(1), Some(vec![door(1, 500, 4500)]));
        assert_eq!(
            two.doors(4),
            Some(vec![door(1, 500, 4500), door(2, 500, 4500), door(2, 501, 4501), door(2, 502, 4502)])
        );
        assert_eq!(external(&[address(1)], 65_535).doors(2), None, "there is no port 65536");
        assert_eq!(external(&[], 4500).doors(1), None);
    }
}
