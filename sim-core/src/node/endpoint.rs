//! A VPN endpoint: AWS's end of one tunnel, in one availability zone.
//!
//! It terminates IKE, ESP and BGP and knows two ways only: what comes out of the tunnel goes to the gateway, what comes
//! from the gateway goes into the tunnel. Which tunnel the gateway uses is the gateway's choice ([`super::vgw`]); the
//! endpoint tells it what it has learned and whether it can carry traffic. How AWS carries that from one to the other
//! is not published: the notices arrive at once, and delays are parameters of the gateway.
//!
//! A peer of Transit Gateway Connect is such an end, too, of a GRE tunnel in place of IPsec (VPC guide "Transit gateways", page
//! tgw-connect.html): it is healthy while one of its BGP sessions is established.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::gateway::{Gateway, Upcall};
use super::routing::Routing;
use super::{Announced, Command, Cx, Device, Notice};
use crate::id::{NodeId, Port, RecordId};
use crate::net::aws::{BgpPath, Community};
use crate::net::policer::{Excess, Limit, TwoWay};
use crate::packet::Packet;
use crate::proto::bgp::as_path::{AsPath, Segment};
use crate::proto::bgp::attributes::Attributes;
use crate::proto::bgp::{self, Family, Originated, RouteChange};
use crate::reason::{DropReason, TimerKind};
use crate::time::{Duration, Instant};

/// The port towards the internet.
pub const OUTSIDE_PORT: Port = Port(0);
/// The port towards the gateway.
pub const INSIDE_PORT: Port = Port(1);
/// The tunnel interface.
pub const TUNNEL_PORT: Port = Port(2);

/// A VPN endpoint with one tunnel.
pub struct VpnEndpoint {
    gateway: Gateway,
    /// The gateway it belongs to.
    owner: NodeId,
    /// The tunnel's number there.
    number: u16,
    /// The last notice of health.
    healthy: bool,
    /// What it carries at most, out of the tunnel and into it.
    limits: TwoWay,
}

impl VpnEndpoint {
    /// An endpoint from its parts; tunnel `number` of the gateway `owner`. It carries what `limit` says.
    pub fn new(gateway: Gateway, owner: NodeId, number: u16, limit: Limit) -> Self {
        Self { gateway, owner, number, healthy: false, limits: TwoWay::new(limit) }
    }

    /// Its parts, to look at.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// True if CloudWatch's TunnelState of it is 1: with BGP if the session is established, else if the tunnel is up.
    pub fn is_up(&self) -> bool {
        self.gateway
            .routing
            .as_deref()
            .map_or_else(|| self.gateway.tunnels[0].is_up(), super::routing::Routing::established)
    }

    /// Its parts, when it is out of use.
    pub fn into_gateway(self) -> Gateway {
        self.gateway
    }

    fn settle(&mut self, cx: &mut Cx) {
        while let Some(upcall) = self.gateway.poll(cx) {
            match upcall {
                Upcall::Transit(packet, TUNNEL_PORT) | Upcall::Ipv6Transit(packet, TUNNEL_PORT) => {
                    if let Some(packet) = self.within_limits(cx, 0, packet) {
                        self.gateway.ip.output(cx, INSIDE_PORT, packet);
                    }
                }
                Upcall::Transit(packet, _) | Upcall::Ipv6Transit(packet, _) => {
                    self.gateway.output(cx, TUNNEL_PORT, packet);
                }
                Upcall::Route(change, cause) => {
                    cx.cause = cause;
                    self.route(cx, &change);
                }
                Upcall::Ipv6Route(change, cause) => {
                    cx.cause = cause;
                    self.ipv6_route(cx, &change);
                }
                Upcall::Tunnel(cause) | Upcall::Session(cause) => {
                    cx.cause = cause;
                    self.health(cx);
                }
                // Its only peer is at the other end of the tunnel.
                Upcall::NextHops(_) => {}
            }
        }
    }

    /// A packet, unless it is one too many for that way.
    fn within_limits(&mut self, cx: &mut Cx, way: usize, packet: Packet) -> Option<Packet> {
        let reason = match self.limits.admit(cx.now, way, packet.len()) {
            Ok(()) => return Some(packet),
            Err(Excess::Octets) => DropReason::TunnelBandwidth,
            Err(Excess::Packets) => DropReason::TunnelPacketRate,
        };
        cx.drop(&packet, reason, RecordId::GENESIS);
        None
    }

    /// It can carry traffic if the tunnel is up and, with BGP, a session is established.
    fn health(&mut self, cx: &mut Cx) {
        let routed = self.gateway.routing.as_deref().is_none_or(Routing::any_established);
        let healthy = routed && self.gateway.tunnels.iter().all(super::tunnel::Tunnel::is_up);
        if core::mem::replace(&mut self.healthy, healthy) != healthy {
            cx.notify(self.owner, Duration::ZERO, Notice::Health { tunnel: self.number, healthy });
        }
    }

    fn route(&self, cx: &mut Cx, change: &RouteChange) {
        if let Some(path) = best_path(self.gateway.routing.as_deref(), change) {
            let notice = Notice::Route { tunnel: self.number, prefix: IpNet::V4(change.prefix), path };
            cx.notify(self.owner, Duration::ZERO, notice);
        }
    }

    fn ipv6_route(&self, cx: &mut Cx, change: &RouteChange<Ipv6Net>) {
        let learned = |best: Option<bgp::Best<Ipv6Net>>| best.is_some_and(|best| best.peer.is_some());
        let routes = self.gateway.routing.as_deref().and_then(|routing| routing.speaker().ipv6_routes());
        let entry = routes.and_then(|routes| routes.get(&change.prefix)).filter(|_| learned(change.to));
        let path = entry.map(|entry| path(entry.best_route().attributes, false));
        if path.is_some() || learned(change.from) {
            let notice = Notice::Route { tunnel: self.number, prefix: IpNet::V6(change.prefix), path };
            cx.notify(self.owner, Duration::ZERO, notice);
        }
    }

    /// Tells a gateway that lost power all that it has forgotten.
    fn tell_again(&self, cx: &mut Cx) {
        tell_again(cx, (self.owner, self.number), self.gateway.routing.as_deref(), self.healthy);
    }
}

/// What the only peer says of a prefix, if its route is the best.
fn learned(routing: &Routing, prefix: Ipv4Net) -> Option<BgpPath> {
    let best = routing.speaker().routes().get(&prefix)?;
    let internal = routing.is_internal(best.best().peer?);
    let path = path(best.best_route().attributes, internal);
    // Page tgw-connect.html: of an internal peer a transit gateway installs what came from an external one only.
    (!internal || !path.as_path.is_empty()).then_some(path)
}

/// Tells a gateway that lost power all that it has forgotten of its end of this number.
pub(super) fn tell_again(cx: &mut Cx, (owner, tunnel): (NodeId, u16), routing: Option<&Routing>, healthy: bool) {
    for (routing, prefix) in
        routing.iter().flat_map(|routing| routing.speaker().routes().keys().map(move |p| (routing, p)))
    {
        if let Some(path) = learned(routing, prefix) {
            cx.notify(owner, Duration::ZERO, Notice::Route { tunnel, prefix: IpNet::V4(prefix), path: Some(path) });
        }
    }
    let ipv6 = routing.iter().filter_map(|routing| routing.speaker().ipv6_routes()).flat_map(|routes| routes.iter());
    for (prefix, entry) in ipv6.filter(|(_, entry)| entry.best().peer.is_some()) {
        let path = Some(path(entry.best_route().attributes, false));
        cx.notify(owner, Duration::ZERO, Notice::Route { tunnel, prefix: IpNet::V6(prefix), path });
    }
    if healthy {
        cx.notify(owner, Duration::ZERO, Notice::Health { tunnel, healthy });
    }
}

/// What a gateway has to hear of a change: the path that the peer's route has, `None` inside if it has none any more. `None`: nothing,
/// as neither route is the peer's.
pub(super) fn best_path(routing: Option<&Routing>, change: &RouteChange) -> Option<Option<BgpPath>> {
    let path = change.to.filter(|best| best.peer.is_some()).and_then(|_| learned(routing?, change.prefix));
    (path.is_some() || change.from.is_some_and(|best| best.peer.is_some())).then_some(path)
}

/// Below what an end hears by itself: its gateway chooses, and would hear nothing of that.
const ANNOUNCED: u32 = 99;

/// What a speaker is told when its gateway has it announce a prefix that came through these ASes, or no longer.
pub(super) fn announcement(announced: &Announced) -> bgp::Input<'static> {
    let route = announced.as_path.as_ref().map(|as_path| Originated {
        as_path: AsPath::sequence(as_path.iter().copied()),
        local_pref: Some(ANNOUNCED),
        ..Originated::default()
    });
    match (announced.prefix, route) {
        (IpNet::V4(prefix), Some(route)) => bgp::Input::Originate { prefix, route },
        (IpNet::V4(prefix), None) => bgp::Input::WithdrawOriginated { prefix },
        (IpNet::V6(prefix), Some(route)) => bgp::Input::OriginateIpv6 { prefix, route },
        (IpNet::V6(prefix), None) => bgp::Input::WithdrawOriginatedIpv6 { prefix },
    }
}

/// What AWS compares of a route. The peer of a VPN endpoint is external, that of Connect need not be.
fn path<F: Family>(attributes: &Attributes<F>, internal: bool) -> BgpPath {
    let as_path = &attributes.as_path;
    let asns = as_path.segments().iter().flat_map(|segment| match segment {
        Segment::Set(asns) | Segment::Sequence(asns) => asns.iter().copied(),
    });
    let communities = attributes.communities.standard().iter().map(|community| Community(community.0));
    BgpPath {
        as_path: asns.collect(),
        length: as_path.length(),
        neighbour: as_path.first(),
        med: attributes.med,
        communities: communities.collect(),
        internal,
    }
}

impl Device for VpnEndpoint {
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
            if let Some(packet) = self.within_limits(cx, 1, packet) {
                self.gateway.ip.answer_by(Some(INSIDE_PORT));
                self.gateway.output(cx, TUNNEL_PORT, packet);
                self.gateway.ip.answer_by(None);
            }
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
                for route in routes.iter() {
                    cx.cause = route.cause;
                    self.gateway.bgp(cx, announcement(route));
                    self.settle(cx);
                }
            }
            Notice::Route { .. }
            | Notice::ReplaceRoute { .. }
            | Notice::Flow(_)
            | Notice::WantFlows
            | Notice::Health { .. }
            | Notice::Propagate { .. } => {}
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if port == INSIDE_PORT && up {
            self.tell_again(cx);
        }
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        self.gateway.command(cx, command);
        self.settle(cx);
    }
}
