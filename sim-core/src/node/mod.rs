//! Devices: the only place where protocols meet.
//!
//! A [`Node`] is one of a closed set of boxed devices; a new device is one file and one variant here. The world touches
//! a device through [`Device`]; everything that a device does goes through [`Cx`].

mod allowance;
pub mod bfd;
pub mod cgw;
pub mod client_vpn;
pub mod counters;
mod cx;
pub mod dxgw;
pub mod endpoint;
mod ends;
pub mod external;
pub mod gateway;
pub mod gre;
pub mod host;
pub mod igw;
pub mod inspection;
pub mod ip;
pub mod joint;
pub mod lag;
pub mod lan;
pub mod middlebox;
pub mod natbox;
pub mod router;
pub mod routing;
pub mod switch;
pub mod tgw;
pub mod track;
pub mod translator;
pub mod tunnel;
pub mod tunnel_nat;
pub mod tunnels;
pub mod vgw;
pub mod vif;
pub mod vpc;
pub mod vrrp;

use std::net::Ipv4Addr;
use std::sync::Arc;

pub use cx::Cx;
pub(crate) use cx::Emit;
use ipnet::{IpNet, Ipv4Net};

use crate::fetch::fetch;
use crate::id::{Port, RecordId};
use crate::net::aws::BgpPath;
use crate::net::aws::vpc::Propagated;
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::Trace;

/// What one device of AWS tells another; never on a wire, because AWS publishes none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A tunnel endpoint's best BGP route to a prefix, or `None` if it has none any more.
    Route {
        /// The tunnel, by its number on the gateway.
        tunnel: u16,
        /// The destination.
        prefix: IpNet,
        /// What the peer said of it.
        path: Option<BgpPath>,
    },
    /// A tunnel endpoint can, or can no longer, carry traffic.
    Health {
        /// The tunnel, by its number on the gateway.
        tunnel: u16,
        /// True if it can.
        healthy: bool,
    },
    /// A gateway offers, or takes back, a route for propagation into VPC route tables.
    Propagate {
        /// The destination.
        prefix: IpNet,
        /// From where the gateway has it; `None` takes it back.
        offered: Option<Propagated>,
    },
    /// A gateway has an endpoint announce routes to its customer gateway, or no longer, in this order.
    Announce(Arc<[Announced]>),
    /// A program of the customer's asks AWS to have a route of a VPC lead elsewhere (`ReplaceRoute` of the EC2 API).
    ReplaceRoute {
        /// The route table.
        table: u8,
        /// The destination.
        prefix: Ipv4Net,
        /// The VPC's port that it leads to from then on.
        to: Port,
        /// How long ago it asked.
        after: Duration,
    },
    /// A firewall tells its partner of a flow: a model ([`inspection::StateSyncModel`]), of two devices of a customer.
    Flow(Box<crate::net::conntrack::Flow>),
    /// A firewall that has lost its memory asks its partner for all flows: the same model.
    WantFlows,
}

/// A route that an endpoint shall announce, or no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The destination.
    pub prefix: IpNet,
    /// The ASes it has come through so far, nearest first; `None`: it is announced no longer.
    pub as_path: Option<Vec<u32>>,
    /// The record that this follows from.
    pub cause: RecordId,
}

/// A route that a device of AWS weighed, for those who ask why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The way out; `None` for a blackhole.
    pub via: Option<Port>,
    /// What kind of route it is, in AWS's words.
    pub kind: &'static str,
    /// Whether the endpoint that it leads to is healthy.
    pub healthy: bool,
    /// What BGP says of it, if it is learned.
    pub path: Option<BgpPath>,
    /// AWS's choice among equals: the lowest is used.
    pub preference: usize,
    /// The step at which it went; `None` if it is used.
    pub gone_at: Option<Rule>,
}

/// All routes to one prefix that a device of AWS weighed, and the step that decided.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Weighing {
    /// The routes, in no order of merit.
    pub routes: Vec<Weighed>,
    /// The step; `None` if no route can be used.
    pub rule: Option<Rule>,
}

/// What an operator types at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Delete the IKE SA of a tunnel gracefully.
    IkeDelete {
        /// The tunnel, by its number on the device.
        tunnel: u16,
    },
    /// Initiate the IKE SA of a tunnel.
    IkeInitiate {
        /// The tunnel, by its number on the device.
        tunnel: u16,
    },
    /// Shut the BGP session of a tunnel down (Cease, Administrative Shutdown).
    BgpShutdown {
        /// The tunnel, by its number on the device.
        tunnel: u16,
    },
    /// Start the BGP session of a tunnel.
    BgpStart {
        /// The tunnel, by its number on the device.
        tunnel: u16,
    },
    /// Give an interface of a customer gateway another address, as its provider does.
    Readdress {
        /// The interface.
        port: Port,
        /// Its address, and the length of its network's prefix.
        to: Ipv4Net,
    },
    /// Give the IKE of a tunnel another of the configurations that were prepared for it. What is up stays up.
    Reconfigure {
        /// The tunnel, by its number on the device.
        tunnel: u16,
        /// Index into [`tunnel::TunnelConfig::prepared`].
        to: u8,
    },
    /// Have AWS's end of a tunnel announce its routes with this MED.
    Med {
        /// The value.
        med: u32,
    },
    /// Have a gateway of AWS send nothing into a tunnel as if its endpoint were not healthy, or do so no longer.
    Drain {
        /// The tunnel, by its number on the gateway.
        tunnel: u16,
        /// Whether it is out of use.
        drained: bool,
    },
    /// Empty the table of a NAT.
    NatFlush,
    /// Give a NAT another outside address to show inside hosts by, which empties its table.
    NatRenumber {
        /// The address, one of the NAT's own.
        address: Ipv4Addr,
    },
    /// Stop the virtual routers of a port, or start them again.
    Vrrp {
        /// The port.
        port: Port,
        /// True to stop them.
        stop: bool,
    },
    /// Take a VLAN out of a switch, or put it back.
    Vlan {
        /// Its identifier.
        vlan: u16,
        /// True to take it out.
        removed: bool,
    },
    /// Revoke a rule of a security group of a VPC, or authorize it again.
    SecurityGroupRule {
        /// Its number in the VPC.
        rule: u16,
        /// True to revoke it.
        revoked: bool,
    },
    /// Enter a static route in a table of a VPC, have it lead elsewhere, or delete it.
    VpcRoute {
        /// The table, by its number in the VPC.
        table: u8,
        /// Its destination.
        prefix: Ipv4Net,
        /// The way out, `None` inside for a blackhole; `None` to delete it.
        to: Option<Option<Port>>,
    },
    /// Enter a static route in a table of a transit gateway, have it lead elsewhere, or delete it.
    TgwRoute {
        /// The table, by its number on the gateway.
        table: u8,
        /// Its destination.
        prefix: Ipv4Net,
        /// The attachment, by its number on the gateway, `None` inside for a blackhole; `None` to delete it.
        to: Option<Option<u16>>,
    },
    /// Enter a static route of a VPN connection at its virtual private gateway, or delete it.
    VpnRoute {
        /// The tunnels of the connection, by their numbers on the gateway: one of them twice if it has one.
        tunnels: [u16; 2],
        /// Its destination.
        prefix: Ipv4Net,
        /// True to enter it.
        entered: bool,
    },
    /// Reset the BGP session of a tunnel or virtual interface: it ends, and may begin again at once (Cease, Other Configuration Change).
    BgpReset {
        /// The tunnel, by its number on the device.
        tunnel: u16,
    },
    /// Give the customer's side of a virtual interface another MTU.
    Mtu {
        /// In octets.
        mtu: u32,
    },
    /// Give a virtual interface of a Direct Connect gateway SiteLink, or take it.
    SiteLink {
        /// The virtual interface, by its number on the gateway.
        interface: u16,
        /// True to give it.
        on: bool,
    },
}

/// Why a port's routes come or go when its link does.
const fn link_reason(up: bool) -> Reason {
    if up { Reason::LinkRestored } else { Reason::LinkLost }
}

/// What the world asks of a device. Whatever touches a machine calls [`Cx::rearm`].
pub trait Device {
    /// The world begins, or power is back: start with the configuration and nothing else.
    fn start(&mut self, cx: &mut Cx);
    /// Power is gone: forget all state.
    fn stop(&mut self);
    /// A packet arrived at a port.
    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet);
    /// The instant of [`Device::wake`] has come. A spurious call does nothing.
    fn timeout(&mut self, cx: &mut Cx);
    /// When [`Device::timeout`] must be called next, and for which timer.
    fn wake(&self) -> Option<(Instant, TimerKind)>;
    /// Another device of AWS tells something.
    fn notice(&mut self, _cx: &mut Cx, _notice: Notice) {}
    /// The packets that it holds: fragments that wait for others of their datagram.
    fn held(&self) -> Vec<&Packet> {
        Vec::new()
    }
    /// The link behind a port lost or regained its carrier.
    fn carrier(&mut self, _cx: &mut Cx, _port: Port, _up: bool) {}
    /// A packet comes in from outside the world.
    fn enter(&mut self, cx: &mut Cx, packet: Packet) {
        cx.created(&packet);
        cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
    }
    /// An operator types a command.
    fn command(&mut self, _cx: &mut Cx, _command: Command) {}
}

/// A device of the world.
pub enum Node {
    /// A computer that sends and answers probes.
    Host(Box<host::Host>),
    /// A plain IPv4 router.
    Router(Box<router::Router>),
    /// A NAT, or a filter.
    NatBox(Box<natbox::NatBox>),
    /// A customer gateway.
    Cgw(Box<cgw::Cgw>),
    /// AWS's end of a VPN tunnel.
    VpnEndpoint(Box<endpoint::VpnEndpoint>),
    /// A virtual private gateway.
    Vgw(Box<vgw::Vgw>),
    /// A transit gateway.
    Tgw(Box<tgw::Tgw>),
    /// A VPC.
    Vpc(Box<vpc::Vpc>),
    /// An internet gateway.
    InternetGateway(Box<igw::InternetGateway>),
    /// A NAT gateway, NAT instance or interface endpoint.
    Translator(Box<translator::Translator>),
    /// A firewall on an instance of a VPC.
    Middlebox(Box<middlebox::Middlebox>),
    /// A VPC or transit gateway peering, or gateway endpoint.
    Joint(Box<joint::Joint>),
    /// AWS's end of a virtual interface of Direct Connect.
    VirtualInterface(Box<vif::VirtualInterface>),
    /// A Direct Connect gateway.
    DxGateway(Box<dxgw::DxGateway>),
    /// An association of a Client VPN endpoint.
    ClientVpnAssociation(Box<client_vpn::association::Association>),
    /// A client of Client VPN.
    VpnClient(Box<client_vpn::client::Client>),
    /// A switch of a LAN.
    Switch(Box<switch::Switch>),
    /// The place of somebody real.
    External(Box<external::External>),
}

impl Node {
    pub(crate) fn device(&mut self) -> &mut dyn Device {
        match self {
            Self::Host(d) => &mut **d,
            Self::Router(d) => &mut **d,
            Self::NatBox(d) => &mut **d,
            Self::Cgw(d) => &mut **d,
            Self::VpnEndpoint(d) => &mut **d,
            Self::Vgw(d) => &mut **d,
            Self::Tgw(d) => &mut **d,
            Self::Vpc(d) => &mut **d,
            Self::InternetGateway(d) => &mut **d,
            Self::Translator(d) => &mut **d,
            Self::Middlebox(d) => &mut **d,
            Self::Joint(d) => &mut **d,
            Self::VirtualInterface(d) => &mut **d,
            Self::DxGateway(d) => &mut **d,
            Self::ClientVpnAssociation(d) => &mut **d,
            Self::VpnClient(d) => &mut **d,
            Self::Switch(d) => &mut **d,
            Self::External(d) => &mut **d,
        }
    }

    /// The packets that it holds.
    pub(crate) fn held(&self) -> Vec<&Packet> {
        match self {
            Self::Host(d) => d.held(),
            Self::Router(d) => d.held(),
            Self::NatBox(d) => d.held(),
            Self::Cgw(d) => d.held(),
            Self::VpnEndpoint(d) => d.held(),
            Self::Vgw(d) => d.held(),
            Self::Tgw(d) => d.held(),
            Self::Vpc(d) => d.held(),
            Self::InternetGateway(d) => d.held(),
            Self::Translator(d) => d.held(),
            Self::Middlebox(d) => d.held(),
            Self::Switch(d) => d.held(),
            Self::ClientVpnAssociation(d) => d.held(),
            Self::VpnClient(d) => d.held(),
            Self::Joint(d) => d.held(),
            Self::VirtualInterface(d) => d.held(),
            Self::DxGateway(d) => d.held(),
            Self::External(d) => d.held(),
        }
    }

    /// Fetches what an event at the device will touch first.
    pub(crate) fn foresee(&self) {
        match self {
            Self::Host(d) => d.foresee(),
            Self::Router(d) => fetch(&**d),
            Self::Cgw(d) => fetch(&**d),
            Self::VpnEndpoint(d) => fetch(&**d),
            Self::Vgw(d) => fetch(&**d),
            Self::Tgw(d) => fetch(&**d),
            Self::Vpc(d) => fetch(&**d),
            Self::InternetGateway(d) => fetch(&**d),
            Self::Translator(d) => fetch(&**d),
            Self::Middlebox(d) => fetch(&**d),
            Self::Joint(d) => fetch(&**d),
            Self::VirtualInterface(d) => fetch(&**d),
            Self::DxGateway(d) => fetch(&**d),
            Self::NatBox(d) => fetch(&**d),
            Self::ClientVpnAssociation(d) => fetch(&**d),
            Self::VpnClient(d) => fetch(&**d),
            Self::Switch(d) => fetch(&**d),
            Self::External(d) => fetch(&**d),
        }
    }

    /// Fetches what an event at a gateway will touch behind that, one step of the way after the other: what a step has fetched tells
    /// the next one where to go on.
    pub(crate) fn foresee_behind(&self, depth: usize, trace: &Trace) {
        match self {
            Self::Cgw(d) => d.gateway().foresee(depth, trace),
            Self::VpnEndpoint(d) => d.gateway().foresee(depth, trace),
            _ => {}
        }
    }

    /// Fetches the heads of the logs that a wake of the device will write to.
    pub(crate) fn foresee_logs(&self, trace: &Trace) {
        if let Self::Host(host) = self {
            host.streams().for_each(|stream| trace.foresee_log(stream));
        }
    }

    /// Fetches the ends of those logs, once their heads tell where they are.
    pub(crate) fn foresee_entries(&self, trace: &Trace) {
        if let Self::Host(host) = self {
            host.streams().for_each(|stream| trace.foresee_sending(stream));
        }
    }
}
