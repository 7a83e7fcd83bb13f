//! AWS's end of one virtual interface of Direct Connect (user guide, "Virtual interfaces and hosted virtual interfaces"): BGP and BFD
//! over the link to the customer's router, in real bytes.
//!
//! It knows two ways only: what comes from the customer goes to the gateway that the virtual interface is on, what comes from the
//! gateway goes to the customer. It tells the gateway what it has learned and whether its session stands, as a VPN endpoint does
//! ([`super::endpoint`]), and its neighbours learn from it what the gateway announces.
//!
//! AWS has BFD on every virtual interface, and it takes effect when the customer configures it (page bgp-specific-settings.html): the
//! passive role of RFC 5880 section 6.1, which does not speak before it is spoken to.
//!
//! A connection carries several virtual interfaces as VLANs (IEEE 802.1Q). Each is a link of its own here: no Ethernet header is sent, so
//! tags need no bytes, and what shares a connection shares its fate as a group does. Left out: the rate that virtual interfaces of one
//! connection share, IPv6, the hop that AWS's router takes from a TTL, and how far a public one carries what the customer announces
//! ([`crate::net::aws::dx`]).
//!
//! `UpdateVirtualInterfaceAttributes` gives it another MTU, which its session survives, or switches SiteLink, for which AWS resets the
//! session (page WorkingWithVirtualInterfaces.html). Both are configuration, and outlast a loss of power.

use ipnet::IpNet;

use super::counters::Traffic;
use super::endpoint::{announcement, best_path, tell_again};
use super::gateway::{Gateway, Upcall};
use super::{Command, Cx, Device, Notice};
use crate::id::{NodeId, Port};
use crate::packet::Packet;
use crate::proto::bgp::{self, PeerId, RouteChange};
use crate::reason::TimerKind;
use crate::time::{Duration, Instant};

/// The port towards the customer.
pub const OUTSIDE_PORT: Port = Port(0);
/// The port towards the gateway.
pub const INSIDE_PORT: Port = Port(1);

/// Its only neighbour: the customer's router.
pub const CUSTOMER: PeerId = PeerId(0);

/// AWS's end of a virtual interface.
pub struct VirtualInterface {
    gateway: Gateway,
    /// The gateway that it is on, and its number there; `None` for a public one.
    owner: Option<(NodeId, u16)>,
    /// The last notice of health.
    healthy: bool,
    /// A failover test holds its session down.
    testing: bool,
    /// What it has forwarded.
    traffic: Traffic,
}

/// The state of a virtual interface, as the API shows it (`VirtualInterfaceState`, those of an interface that is in use).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InterfaceState {
    /// Its session is established.
    Available,
    /// It is not.
    Down,
    /// A failover test holds it down.
    Testing,
}

impl VirtualInterface {
    /// One from its parts; end `number` of the gateway `owner`, if it is on one.
    pub fn new(gateway: Gateway, owner: Option<(NodeId, u16)>) -> Self {
        Self { gateway, owner, healthy: false, testing: false, traffic: Traffic::default() }
    }

    /// Its state.
    pub const fn state(&self) -> InterfaceState {
        match (self.testing, self.healthy) {
            (true, _) => InterfaceState::Testing,
            (false, true) => InterfaceState::Available,
            (false, false) => InterfaceState::Down,
        }
    }

    /// What it has forwarded: from the customer, and to the customer.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Its parts, to look at.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    fn settle(&mut self, cx: &mut Cx) {
        while let Some(upcall) = self.gateway.poll(cx) {
            match upcall {
                Upcall::Transit(packet, OUTSIDE_PORT) => {
                    self.traffic.received.add(packet.bytes().len());
                    self.gateway.output(cx, INSIDE_PORT, packet);
                }
                Upcall::Transit(packet, _) => self.send(cx, packet),
                Upcall::Route(change, cause) => {
                    cx.cause = cause;
                    self.route(cx, &change);
                }
                Upcall::Session(cause) => {
                    cx.cause = cause;
                    self.health(cx);
                }
                // It has no IPv6, no tunnel, and its only neighbour is at the other end of the link.
                Upcall::Tunnel(_) | Upcall::NextHops(_) | Upcall::Ipv6Transit(..) | Upcall::Ipv6Route(..) => {}
            }
        }
    }

    /// Sends a packet to the customer.
    fn send(&mut self, cx: &mut Cx, packet: Packet) {
        self.traffic.sent.add(packet.bytes().len());
        self.gateway.output(cx, OUTSIDE_PORT, packet);
    }

    /// It is up while its session is established.
    fn health(&mut self, cx: &mut Cx) {
        let healthy = self.gateway.routing.as_deref().is_some_and(super::routing::Routing::established);
        let news = core::mem::replace(&mut self.healthy, healthy) != healthy;
        if let Some((owner, number)) = self.owner.filter(|_| news) {
            cx.notify(owner, Duration::ZERO, Notice::Health { tunnel: number, healthy });
        }
    }

    fn route(&self, cx: &mut Cx, change: &RouteChange) {
        let (Some((owner, number)), Some(path)) = (self.owner, best_path(self.gateway.routing.as_deref(), change))
        else {
            return;
        };
        cx.notify(owner, Duration::ZERO, Notice::Route { tunnel: number, prefix: IpNet::V4(change.prefix), path });
    }
}

impl Device for VirtualInterface {
    fn start(&mut self, cx: &mut Cx) {
        self.gateway.start(cx);
        self.settle(cx);
    }

    fn stop(&mut self) {
        self.gateway.stop();
        self.healthy = false;
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if port == INSIDE_PORT {
            self.send(cx, packet);
        } else {
            self.gateway.receive(cx, port, packet);
        }
        self.settle(cx);
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.gateway.timeout(cx);
        self.settle(cx);
    }

    fn held(&self) -> Vec<&Packet> {
        self.gateway.ip.held().collect()
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.gateway.wake()
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Announce(routes) => {
                for route in routes.iter().filter(|route| matches!(route.prefix, IpNet::V4(_))) {
                    cx.cause = route.cause;
                    self.gateway.bgp(cx, announcement(route));
                    self.settle(cx);
                }
            }
            Notice::Route { .. }
            | Notice::Health { .. }
            | Notice::ReplaceRoute { .. }
            | Notice::Flow(_)
            | Notice::WantFlows
            | Notice::Propagate { .. } => {}
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if port == INSIDE_PORT {
            if let (true, Some(owner)) = (up, self.owner) {
                tell_again(cx, owner, self.gateway.routing.as_deref(), self.healthy);
            }
            return;
        }
        self.gateway.carrier(cx, port, up);
        self.settle(cx);
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        match command {
            // Cease, Administrative Shutdown (RFC 4486): AWS does not say how a failover test ends the session.
            Command::BgpShutdown { .. } => {
                self.testing = true;
                self.gateway.bgp(cx, bgp::Input::Stop { peer: CUSTOMER, subcode: 2, communication: "" });
            }
            Command::BgpStart { .. } => {
                self.testing = false;
                self.gateway.bgp(cx, bgp::Input::Start { peer: CUSTOMER });
            }
            // Cease, Other Configuration Change (RFC 4486): AWS does not say how it ends a session to change it. A failover test keeps it
            // down.
            Command::BgpReset { .. } if !self.testing => {
                self.gateway.bgp(cx, bgp::Input::Stop { peer: CUSTOMER, subcode: 6, communication: "" });
                self.settle(cx);
                self.gateway.bgp(cx, bgp::Input::Start { peer: CUSTOMER });
            }
            Command::Mtu { mtu } => self.gateway.ip.set_mtu(OUTSIDE_PORT, mtu),
            Command::BgpReset { .. }
            | Command::SiteLink { .. }
            | Command::IkeDelete { .. }
            | Command::Vrrp { .. }
            | Command::Vlan { .. }
            | Command::IkeInitiate { .. }
            | Command::Readdress { .. }
            | Command::NatFlush
            | Command::SecurityGroupRule { .. }
            | Command::VpcRoute { .. }
            | Command::TgwRoute { .. }
            | Command::VpnRoute { .. }
            | Command::Reconfigure { .. }
            | Command::Med { .. }
            | Command::Drain { .. }
            | Command::NatRenumber { .. } => {}
        }
        self.settle(cx);
    }
}
