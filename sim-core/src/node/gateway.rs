//! What a customer gateway, a plain BGP router and a VPN endpoint of AWS have in common: IPv4, tunnels, routing, BFD and what is
//! watched, and how packets pass between them. What differs, where a packet in transit goes, is theirs: [`super::cgw`] and
//! [`super::endpoint`].

pub(super) mod six;

use std::collections::VecDeque;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::bfd::{Bfd, BfdEvent};
use super::gre::GreTunnel;
use super::inspection::Inspection;
use super::ip::{Inbound, Ip};
use super::lag::{LagEvent, Lags};
use super::router::{pong, useless};
use super::routing::{Routing, RoutingEvent};
use super::track::{TrackEvent, Tracks, Watched};
use super::tunnel::{Fragmentation, OuterPacket, Outside, Tunnel, TunnelEvent, classify, quoted_spi};
use super::tunnels::Tunnels;
use super::vrrp::Vrrps;
use super::{Cx, link_reason};
use crate::fetch::fetch;
use crate::id::{Port, RecordId};
use crate::net::mss;
use crate::packet::Packet;
use crate::proto::bgp::policy::{Change, Policy};
use crate::proto::bgp::{self, PeerId, RouteChange};
use crate::proto::ike;
use crate::reason::{DropReason, Reason, TimerKind};
use crate::time::Instant;
use crate::trace::{Digest, HopStep, Trace};
use crate::wire::checksum;
use crate::wire::icmp::{IcmpKind, IcmpMessage, Quoted};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::is_ipv6;
use crate::wire::vrrp;

/// For how many events room is kept between touches.
const KEPT_EVENTS: usize = 16;

/// What a gateway leaves to the device it is part of.
#[derive(Debug)]
pub(super) enum Upcall {
    /// A packet for somebody else arrived at a port: a tunnel's, if it came out of one.
    Transit(Packet, Port),
    /// The same of IPv6.
    Ipv6Transit(Packet, Port),
    /// A tunnel can, or can no longer, carry packets because of that record.
    Tunnel(RecordId),
    /// The best BGP route to a prefix changed because of that record.
    Route(RouteChange, RecordId),
    /// The same of IPv6.
    Ipv6Route(Box<RouteChange<Ipv6Net>>, RecordId),
    /// A BGP session was established, or is no longer, because of that record.
    Session(RecordId),
    /// The ways to BGP's next hops may be others because of that record.
    NextHops(RecordId),
}

/// Lowers the MSS that a SYN tells, and says so.
pub(super) fn clamp(cx: &mut Cx, packet: &mut Packet, most: u16) {
    if mss::clamp(packet, most) {
        cx.hop(packet.meta.id, HopStep::MssClamped(most, Digest::of_bytes(packet.bytes())));
    }
}

/// IPv4, tunnels and routing of one device.
pub struct Gateway {
    /// Addresses, ports and the forwarding table.
    pub ip: Ip,
    /// The tunnels that end here.
    pub tunnels: Tunnels,
    /// BGP, if the device speaks it.
    pub routing: Option<Box<Routing>>,
    /// BFD sessions, on which BGP sessions and what is watched may depend.
    pub bfd: Bfd,
    /// What is watched, and on which static routes may depend.
    pub tracks: Tracks,
    /// Ports that are several links.
    pub lags: Lags,
    /// Virtual routers, if it is part of any.
    pub vrrps: Option<Box<Vrrps>>,
    /// True if a tunnel interface's state follows its CHILD_SA, and BGP and static routes follow the interface.
    pub follow_sa: bool,
    /// True if fragments that come out of a tunnel are put together before they are forwarded, as AWS does (guide: best
    /// practices for a customer gateway device).
    pub reassembles: bool,
    /// What packets in transit are asked beyond their way, if anything is.
    pub inspection: Option<Box<Inspection>>,
    /// The GRE tunnels that end here.
    pub gre: Vec<GreTunnel>,
    upcalls: VecDeque<Upcall>,
    /// Kept between touches for its memory only.
    tunnel_events: Vec<TunnelEvent>,
    routing_events: Vec<RoutingEvent>,
}

impl Gateway {
    /// A gateway from its parts.
    pub fn new(mut ip: Ip, tunnels: Vec<Tunnel>, routing: Option<Routing>, follow_sa: bool) -> Self {
        tunnels.iter().for_each(|tunnel| ip.set_tunnel(tunnel.port()));
        let (upcalls, tunnel_events, routing_events) = Default::default();
        Self {
            ip,
            tunnels: Tunnels::new(tunnels),
            routing: routing.map(Box::new),
            bfd: Bfd::default(),
            tracks: Tracks::default(),
            lags: Lags::default(),
            vrrps: None,
            follow_sa,
            reassembles: false,
            inspection: None,
            gre: Vec::new(),
            upcalls,
            tunnel_events,
            routing_events,
        }
    }

    /// Fetches what a packet or a timer will touch, so many steps behind the device itself. Of its tunnels, sessions and connections these
    /// are the first two: with more there is no telling whose turn it is.
    pub(super) fn foresee(&self, depth: usize, trace: &Trace) {
        self.tunnels.foresee(depth);
        if depth > 0 {
            return self.routing.iter().for_each(|routing| routing.foresee(depth, trace));
        }
        self.ip.foresee();
        fetch(&self.routing);
        fetch(&self.tracks);
        fetch(&self.upcalls);
        fetch(&self.gre);
    }

    /// The next thing that the device must do itself, after the errors that the last one led to are on their way.
    pub(super) fn poll(&mut self, cx: &mut Cx) -> Option<Upcall> {
        while let Some((port, error)) = self.ip.unsealed() {
            let cause = core::mem::replace(&mut cx.cause, error.meta.cause);
            self.output(cx, port, error);
            cx.cause = cause;
        }
        let upcall = self.upcalls.pop_front();
        if upcall.is_none() {
            self.upcalls.shrink_to(KEPT_EVENTS);
        }
        upcall
    }

    pub(super) fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
        if self.follow_sa {
            self.tunnels.iter().for_each(|tunnel| self.ip.begin_down(tunnel.port()));
        }
        self.lags.ports().for_each(|(port, multipath)| self.ip.bundle(port, multipath));
        self.ip.announce(cx);
        let genesis = cx.cause;
        for tunnel in 0..self.tunnels.len() {
            cx.cause = genesis;
            self.with_tunnel(cx, tunnel, |tunnel, cx, events| tunnel.start(cx, events));
        }
        cx.cause = genesis;
        self.resolve_next_hops(cx);
        let peers: Vec<(PeerId, Option<Port>)> =
            self.routing.iter().flat_map(|routing| routing.peers().map(|peer| (peer, routing.port(peer)))).collect();
        for (peer, port) in peers {
            cx.cause = genesis;
            let tunnel = port.and_then(|port| self.tunnels.at_port(port));
            if self.follow_sa && tunnel.is_some_and(|tunnel| !self.tunnels[tunnel].is_up()) {
                self.bgp(cx, bgp::Input::LowerLayerDown { peer, reason: Reason::TunnelDown });
            }
            if port.is_some_and(|port| self.lags.is_logical(port)) {
                self.bgp(cx, bgp::Input::LowerLayerDown { peer, reason: Reason::LagDown });
            }
            self.bgp(cx, bgp::Input::Start { peer });
        }
        cx.cause = genesis;
        self.with_lags(cx, Lags::start);
        cx.cause = genesis;
        self.with_bfd(cx, Bfd::start);
        for port in self.ip.ports_up().filter(|port| self.tunnels.at_port(*port).is_none()).collect::<Vec<_>>() {
            cx.cause = genesis;
            self.watch(cx, Watched::Carrier(port), true);
        }
        self.tracks.start(cx);
        cx.cause = genesis;
        self.remember(cx);
        self.with_vrrps(cx, Vrrps::start);
    }

    pub(super) fn stop(&mut self) {
        self.ip.reset();
        self.tunnels.reset();
        self.routing.as_deref_mut().into_iter().for_each(Routing::reset);
        self.bfd.reset();
        self.tracks.reset();
        self.inspection.iter_mut().for_each(|inspection| inspection.reset());
        self.lags.reset();
        self.vrrps.iter_mut().for_each(|vrrps| vrrps.reset());
        self.upcalls.clear();
    }

    pub(super) fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
        for tunnel in self.tunnels.due(cx.now) {
            cx.cause = RecordId::GENESIS;
            self.with_tunnel(cx, tunnel, Tunnel::timeout);
        }
        cx.cause = RecordId::GENESIS;
        if self.routing.as_deref().and_then(Routing::wake).is_some_and(|(at, _)| at <= cx.now) {
            self.with_routing(cx, Routing::timeout);
        }
        if !self.bfd.is_empty() {
            self.with_bfd(cx, Bfd::timeout);
        }
        self.with_tracks(cx, Tracks::timeout);
        if !self.lags.is_empty() {
            self.with_lags(cx, Lags::timeout);
        }
        self.with_vrrps(cx, Vrrps::timeout);
    }

    pub(super) fn wake(&self) -> Option<(Instant, TimerKind)> {
        let routing = self.routing.as_deref().and_then(Routing::wake);
        let others =
            self.ip.wake().into_iter().chain(self.bfd.wake()).chain(self.tracks.wake()).chain(self.lags.wake());
        let others = others.chain(self.vrrps.as_ref().and_then(|vrrps| vrrps.wake()));
        self.tunnels.wake().into_iter().chain(routing).chain(others).min_by_key(|(at, _)| *at)
    }

    /// A packet arrived at a port, or came out of the tunnel that has it.
    pub(super) fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if self.ip.is_on_ethernet() {
            let Some(packet) = self.framed(cx, port, packet) else { return };
            return self.received(cx, port, packet);
        }
        if !self.lags.is_empty() {
            let mut whole = None;
            self.with_lags(cx, |lags, cx, events| whole = lags.packet(cx, port, packet, events));
            let Some((port, packet)) = whole else { return };
            return self.received(cx, port, packet);
        }
        self.received(cx, port, packet);
    }

    /// Takes what arrived at a port that may carry frames. Answers with the packet, if it is not about virtual routers.
    #[cold]
    fn framed(&mut self, cx: &mut Cx, port: Port, packet: Packet) -> Option<Packet> {
        let packet = self.ip.unframe(cx, port, packet)?;
        let is_vrrp = Ipv4Packet::new_checked(packet.bytes()).is_ok_and(|ip| ip.dst() == vrrp::GROUP);
        if !is_vrrp || self.tunnels.at_port(port).is_some() {
            return Some(packet);
        }
        match &mut self.vrrps {
            Some(vrrps) => vrrps.packet(cx, &mut self.ip, port, &packet),
            None => cx.drop(&packet, DropReason::VrrpNotHeard, RecordId::GENESIS),
        }
        None
    }

    fn with_vrrps(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut Vrrps, &mut Cx, &mut Ip)) {
        if let Some(vrrps) = &mut self.vrrps {
            touch(vrrps, cx, &mut self.ip);
        }
    }

    /// The same, once members of LAGs are told apart no more.
    fn received(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        match self.ip.inbound(cx, port, packet) {
            Inbound::Local(packet) => self.local(cx, packet, port),
            Inbound::Transit(packet) => self.transit(cx, packet, port),
            Inbound::Nothing => {}
            Inbound::Ipv6Local(packet) => self.local_ipv6(cx, packet, port),
            Inbound::Ipv6Transit(packet) => self.transit_ipv6(cx, packet, port),
        }
    }

    /// A packet for somebody else: whole if it must be, and with an MSS that fits the tunnel that it came through.
    fn transit(&mut self, cx: &mut Cx, mut packet: Packet, port: Port) {
        if let Some(tunnel) = self.tunnels.at_port(port) {
            if let Some(most) = self.tunnels[tunnel].mss() {
                clamp(cx, &mut packet, most);
            }
            if self.reassembles && Ipv4Packet::new_unchecked(packet.bytes()).is_fragment() {
                let Some(whole) = self.ip.reassemble(cx, packet) else { return };
                packet = whole;
            }
        }
        self.clamp_for_gre(cx, port, &mut packet);
        // Only whole packets can be told apart.
        if self.inspection.is_some() && Ipv4Packet::new_unchecked(packet.bytes()).is_fragment() {
            let Some(whole) = self.ip.reassemble(cx, packet) else { return };
            packet = whole;
        }
        self.upcalls.push_back(Upcall::Transit(packet, port));
    }

    /// Chooses the way of a packet in transit that came in by `ingress` and sends it, with an MSS that fits the tunnel that it
    /// goes through.
    pub(super) fn forward(&mut self, cx: &mut Cx, mut packet: Packet, ingress: Port) {
        if self.inspection.is_some() {
            let Some(inner) = self.untranslated(cx, packet, ingress) else { return };
            packet = inner;
        }
        let Some((port, mut packet)) = self.ip.forward(cx, ingress, packet) else { return };
        if self.inspection.is_some() {
            if !self.inspects(cx, &packet, ingress, port) {
                return;
            }
            let Some(shown) = self.translated(cx, packet, ingress, port) else { return };
            packet = shown;
        }
        if let Some(most) = self.tunnels.at_port(port).and_then(|tunnel| self.tunnels[tunnel].mss()) {
            clamp(cx, &mut packet, most);
        }
        self.clamp_for_gre(cx, port, &mut packet);
        self.output(cx, port, packet);
    }

    /// Sends a packet out of a port, through a tunnel if the port is one, if the port's access list lets it pass.
    pub(super) fn output(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let Some(tunnel) = self.tunnels.at_port(port) else {
            return match self.gre_at(port) {
                None => self.ip.output(cx, port, packet),
                Some(tunnel) => self.wrap(cx, tunnel, packet),
            };
        };
        if !self.ip.passes(cx, port, &packet, true) {
            return;
        }
        if self.ip.fits(port, &packet) {
            return self.encapsulate(cx, tunnel, packet);
        }
        self.too_long(cx, tunnel, port, packet);
    }

    /// A packet that is longer than the tunnel's MTU is cut before or after it is sealed, or its sender hears that it may not
    /// be cut (RFC 4301 section 8.2.1).
    fn too_long(&mut self, cx: &mut Cx, tunnel: usize, port: Port, mut packet: Packet) {
        if is_ipv6(packet.bytes()) {
            return self.too_long_ipv6(cx, tunnel, port, packet);
        }
        let mut inner = Ipv4Packet::new_unchecked(packet.bytes_mut());
        let (df, options) = (inner.dont_fragment(), *self.tunnels[tunnel].options());
        if !df || options.clear_df {
            if options.fragmentation == Fragmentation::AfterEncryption && !self.tunnels[tunnel].sets_outer_df(df) {
                return self.encapsulate(cx, tunnel, packet);
            }
            let flags = u16::from_be_bytes([inner.header()[6], inner.header()[7]]);
            inner.set_fragment(false, inner.more_fragments(), inner.fragment_offset());
            let cleared = u16::from_be_bytes([inner.header()[6], inner.header()[7]]);
            let updated = checksum::adjust(inner.checksum(), flags, cleared);
            inner.set_checksum(updated);
        }
        for part in self.ip.cut(cx, port, packet) {
            self.encapsulate(cx, tunnel, part);
        }
    }

    fn encapsulate(&mut self, cx: &mut Cx, tunnel: usize, packet: Packet) {
        let mut events = core::mem::take(&mut self.tunnel_events);
        let sealed = self.tunnels[tunnel].seal(cx, packet, &mut events);
        self.tunnel_events = events;
        // A packet that is simply sealed moves no timer forward.
        if sealed.is_none() || !self.tunnel_events.is_empty() {
            self.tunnels.hasten(tunnel);
        }
        if let Some(packet) = sealed {
            self.send_outside(cx, tunnel, packet);
        }
        self.settle_tunnel(cx, tunnel);
    }

    /// Routes and sends a packet of a tunnel between outside addresses.
    fn send_outside(&mut self, cx: &mut Cx, tunnel: usize, packet: Packet) {
        if is_ipv6(packet.bytes()) {
            return self.send_outside_ipv6(cx, tunnel, packet);
        }
        if let Some((port, packet)) = self.ip.route(cx, packet) {
            self.ip.output(cx, port, packet);
        }
    }

    fn local(&mut self, cx: &mut Cx, packet: Packet, at: Port) {
        let outer = self.tunnels.at_port(at).is_none();
        if outer && let Some(outside) = classify(&packet) {
            return self.outside(cx, packet, outside);
        }
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if !self.gre.is_empty() && ip.protocol() == protocol::GRE {
            return self.unwrap_gre(cx, packet);
        }
        if ip.protocol() == protocol::TCP && self.routing.is_some() {
            cx.hop(packet.meta.id, HopStep::Delivered);
            return self.with_routing(cx, |routing, cx, events| routing.packet(cx, &packet, events));
        }
        let mut taken = false;
        if ip.protocol() == protocol::UDP {
            self.with_bfd(cx, |bfd, cx, events| taken = bfd.packet(cx, &packet, at, events));
        } else {
            self.with_tracks(cx, |tracks, cx, events| taken = tracks.packet(cx, &packet, events));
            if taken {
                cx.hop(packet.meta.id, HopStep::Delivered);
            }
        }
        if taken {
            return;
        }
        match pong(cx, &packet) {
            Some(reply) => {
                if let Some((port, reply)) = self.ip.route(cx, reply) {
                    self.output(cx, port, reply);
                }
            }
            None if outer && self.path_mtu(cx, &packet) => cx.hop(packet.meta.id, HopStep::Delivered),
            None => cx.drop(&packet, useless(&packet), RecordId::GENESIS),
        }
    }

    /// True if the packet is ICMP that says that a sealed packet was too long for the path, and a tunnel follows it
    /// (RFC 4301 section 8.2).
    fn path_mtu(&mut self, cx: &mut Cx, packet: &Packet) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Ok(message) = IcmpMessage::new_checked(ip.payload()) else { return false };
        if ip.protocol() != protocol::ICMP
            || message.kind() != IcmpKind::FragmentationNeeded
            || !message.verify_checksum()
        {
            return false;
        }
        let Ok(quoted) = Quoted::parse(message.payload()) else { return false };
        let ends = (quoted.header.src.into(), quoted.header.dst.into());
        self.narrowed(cx, ends, quoted_spi(quoted.header.protocol, quoted.payload), message.next_hop_mtu())
    }

    /// A packet of the tunnel between these ends, sealed with this SPI, was too long for the path. True if the tunnel follows that.
    fn narrowed(&mut self, cx: &mut Cx, ends: (IpAddr, IpAddr), spi: Option<u32>, mtu: u16) -> bool {
        let (Some(tunnel), Some(spi)) = (self.tunnels.between(ends), spi) else { return false };
        let mut followed = false;
        self.with_tunnel(cx, tunnel, |tunnel, cx, events| followed = tunnel.narrowed(cx, spi, mtu, events));
        followed
    }

    fn outside(&mut self, cx: &mut Cx, packet: Packet, outside: Outside) {
        let ip = OuterPacket::of(&packet);
        let of_peer = self.tunnels.between((ip.dst, ip.src));
        match outside {
            Outside::Sealed(kind, spi) => match self.tunnels.with_spi(kind, spi, of_peer) {
                Some(tunnel) => self.sealed(cx, tunnel, spi, packet),
                None => {
                    cx.drop(&packet, DropReason::UnknownSpi, of_peer.map_or(RecordId::GENESIS, |t| self.since(t)));
                    if let Some(tunnel) = of_peer {
                        let input = ike::Input::UnknownSpi { spi };
                        self.with_tunnel(cx, tunnel, |tunnel, cx, events| tunnel.input(cx, input, events));
                    }
                }
            },
            Outside::Ike(offset) => match self.for_ike(&packet, offset) {
                Some(tunnel) => {
                    cx.hop(packet.meta.id, HopStep::Delivered);
                    self.with_tunnel(cx, tunnel, |tunnel, cx, events| tunnel.message(cx, &packet, offset, events));
                }
                None => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
            },
            Outside::Keepalive => cx.hop(packet.meta.id, HopStep::Delivered),
            Outside::Malformed => cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS),
        }
    }

    /// The tunnel of an IKE message. From an address that no tunnel has it may be of an IKE_SA there is, as a peer behind a NAT may
    /// show another address (RFC 7296 section 2.23), or for a tunnel whose peer may be anywhere. Whether it is that peer is for
    /// IKE to verify.
    fn for_ike(&self, packet: &Packet, offset: usize) -> Option<usize> {
        let ip = OuterPacket::of(packet);
        let by_spis = || self.tunnels.iter().position(|tunnel| tunnel.knows_ike(packet, offset));
        let by_identity = || self.tunnels.iter().position(|tunnel| tunnel.takes_anybody_at(ip.dst));
        self.tunnels.between((ip.dst, ip.src)).or_else(by_spis).or_else(by_identity)
    }

    fn sealed(&mut self, cx: &mut Cx, tunnel: usize, spi: u32, packet: Packet) {
        let Some((inner, from)) = self.tunnels[tunnel].open(cx, spi, packet) else { return };
        let mut events = core::mem::take(&mut self.tunnel_events);
        self.tunnels[tunnel].alive(cx, spi, from, &mut events);
        self.tunnel_events = events;
        self.tunnels.hasten(tunnel);
        self.settle_tunnel(cx, tunnel);
        if let Some(inner) = inner {
            self.receive(cx, self.tunnels[tunnel].port(), inner);
        }
    }

    fn since(&self, tunnel: usize) -> RecordId {
        self.tunnels[tunnel].since()
    }

    /// Gives BGP an input, if the device speaks it.
    pub(super) fn bgp(&mut self, cx: &mut Cx, input: bgp::Input<'_>) {
        if self.routing.is_some() {
            self.with_routing(cx, |routing, cx, events| routing.input(cx, input, events));
        }
    }

    /// Touches a tunnel and carries out what it wants.
    pub(super) fn with_tunnel(
        &mut self,
        cx: &mut Cx,
        tunnel: usize,
        touch: impl FnOnce(&mut Tunnel, &mut Cx, &mut Vec<TunnelEvent>),
    ) {
        let mut events = core::mem::take(&mut self.tunnel_events);
        touch(&mut self.tunnels[tunnel], cx, &mut events);
        self.tunnel_events = events;
        self.tunnels.rearm(tunnel);
        self.settle_tunnel(cx, tunnel);
    }

    fn settle_tunnel(&mut self, cx: &mut Cx, tunnel: usize) {
        if self.tunnel_events.is_empty() {
            return;
        }
        // The message that makes the peer install an SA leaves before anything that is sealed with that SA.
        let mut change = None;
        for event in core::mem::take(&mut self.tunnel_events) {
            match event {
                TunnelEvent::Send(mut packet) => {
                    if !is_ipv6(packet.bytes()) {
                        self.ip.identify(&mut packet);
                    }
                    cx.created(&packet);
                    self.send_outside(cx, tunnel, packet);
                }
                TunnelEvent::SendSealed(packet) => self.send_outside(cx, tunnel, packet),
                TunnelEvent::Narrowed(mtu) => self.ip.set_mtu(self.tunnels[tunnel].port(), mtu.into()),
                TunnelEvent::Up(mtu) => {
                    self.ip.set_mtu(self.tunnels[tunnel].port(), mtu.into());
                    change = Some(true);
                }
                TunnelEvent::Down => change = Some(false),
                TunnelEvent::Installed(spi) => self.tunnels.installed(tunnel, spi),
                TunnelEvent::Removed(spi) => self.tunnels.removed(tunnel, spi),
                TunnelEvent::Readdressed(before) => self.tunnels.readdressed(tunnel, before),
            }
        }
        if let Some(up) = change {
            cx.cause = self.since(tunnel);
            self.interface(cx, tunnel, up);
        }
    }

    /// The state of a tunnel interface follows its CHILD_SA, if the device is one that does so.
    fn interface(&mut self, cx: &mut Cx, tunnel: usize, up: bool) {
        self.upcalls.push_back(Upcall::Tunnel(cx.cause));
        let cause = cx.cause;
        self.watch(cx, Watched::Tunnel(tunnel), up);
        cx.cause = cause;
        if self.follow_sa {
            let reason = if up { Reason::TunnelUp } else { Reason::TunnelDown };
            self.port_changed(cx, self.tunnels[tunnel].port(), up, reason);
            cx.cause = cause;
        }
    }

    /// Routes and BGP sessions follow a port that went up or down.
    fn port_changed(&mut self, cx: &mut Cx, port: Port, up: bool, reason: Reason) {
        let cause = cx.cause;
        self.ip.carrier(cx, port, up, reason);
        for peer in self.routing.as_ref().map(|routing| routing.behind(port)).unwrap_or_default() {
            let (down, restored) =
                (bgp::Input::LowerLayerDown { peer, reason }, bgp::Input::LowerLayerUp { peer, reason });
            self.bgp(cx, if up { restored } else { down });
            cx.cause = cause;
        }
        self.resolve_next_hops(cx);
        cx.cause = cause;
    }

    /// The forwarding table changed by another hand than BGP's, which hears to which next hops there is a way.
    fn resolve_next_hops(&mut self, cx: &mut Cx) {
        let Some(routing) = self.routing.as_mut().filter(|routing| routing.resolves()) else { return };
        let cause = cx.cause;
        let reached: Vec<Ipv4Net> = self.ip.reached().collect();
        if let Some(costs) = routing.news_of_ways(&reached) {
            self.bgp(cx, bgp::Input::SetInterior(costs));
        }
        self.upcalls.push_back(Upcall::NextHops(cause));
    }

    /// The link behind a port lost or regained its carrier.
    pub(super) fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if self.lags.is_member(port) {
            return self.with_lags(cx, |lags, cx, events| lags.carrier(cx, port, up, events));
        }
        let cause = cx.cause;
        self.watch(cx, Watched::Carrier(port), up);
        cx.cause = cause;
        self.port_changed(cx, port, up, link_reason(up));
        cx.cause = cause;
        self.with_vrrps(cx, |vrrps, cx, ip| vrrps.carrier(cx, ip, port, up));
    }

    fn with_lags(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut Lags, &mut Cx, &mut Vec<LagEvent>)) {
        let mut events = Vec::new();
        touch(&mut self.lags, cx, &mut events);
        for event in events {
            match event {
                LagEvent::Send(frame, member) => cx.send(member, frame),
                LagEvent::Members(port, members, record) => {
                    let (before, up) = (self.ip.has_members(port), !members.is_empty());
                    self.ip.set_members(port, members, record);
                    if before != up {
                        cx.cause = record;
                        self.watch(cx, Watched::Carrier(port), up);
                        cx.cause = record;
                        self.port_changed(cx, port, up, if up { Reason::LagUp } else { Reason::LagDown });
                    }
                }
            }
        }
    }

    /// Something that may be watched went up or down, because of the latest record.
    fn watch(&mut self, cx: &mut Cx, what: Watched, up: bool) {
        self.with_tracks(cx, |tracks, cx, events| tracks.state(cx, what, up, events));
    }

    fn with_tracks(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut Tracks, &mut Cx, &mut Vec<TrackEvent>)) {
        let mut events = Vec::new();
        touch(&mut self.tracks, cx, &mut events);
        for event in events {
            match event {
                TrackEvent::Send(mut packet, port) => {
                    self.ip.identify(&mut packet);
                    cx.created(&packet);
                    self.output(cx, port, packet);
                }
                TrackEvent::Changed(track, up, record) => {
                    cx.cause = record;
                    self.ip.track(cx, track, up, if up { Reason::TrackUp } else { Reason::TrackDown });
                    cx.cause = record;
                    self.resolve_next_hops(cx);
                    cx.cause = record;
                    self.with_vrrps(cx, |vrrps, cx, ip| vrrps.track(cx, ip, track, up));
                    cx.cause = record;
                    self.tracks.replace_routes(cx, track, up);
                }
            }
        }
    }

    fn with_bfd(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut Bfd, &mut Cx, &mut Vec<BfdEvent>)) {
        let mut events = Vec::new();
        touch(&mut self.bfd, cx, &mut events);
        for event in events {
            match event {
                BfdEvent::Send(mut packet, port) => {
                    self.ip.identify(&mut packet);
                    cx.created(&packet);
                    let way = match port {
                        Some(port) => Some((port, packet)),
                        None => self.ip.route(cx, packet),
                    };
                    if let Some((port, packet)) = way {
                        self.output(cx, port, packet);
                    }
                }
                BfdEvent::Changed(number, up, record) => {
                    cx.cause = record;
                    self.watch(cx, Watched::Bfd(number), up);
                    let peers = self.routing.as_ref().map(|routing| routing.watched_by(number));
                    for peer in peers.filter(|_| !up).unwrap_or_default() {
                        cx.cause = record;
                        self.bgp(cx, bgp::Input::BfdDown { peer });
                    }
                    cx.cause = record;
                }
            }
        }
    }

    fn with_routing(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut Routing, &mut Cx, &mut Vec<RoutingEvent>)) {
        let Some(routing) = &mut self.routing else { return };
        let mut events = core::mem::take(&mut self.routing_events);
        touch(routing, cx, &mut events);
        for event in events.drain(..) {
            match event {
                RoutingEvent::Send(packet, way) => {
                    let cause = core::mem::replace(&mut cx.cause, packet.meta.cause);
                    // A session is between the ends of its tunnel or link: its packets never take another way.
                    let routed = match way {
                        Some(port) => Some((port, packet)),
                        None if is_ipv6(packet.bytes()) => self.ip.route_ipv6(cx, packet),
                        None => self.ip.route(cx, packet),
                    };
                    if let Some((port, packet)) = routed {
                        self.output(cx, port, packet);
                    }
                    cx.cause = cause;
                }
                RoutingEvent::Route(change, cause) => self.upcalls.push_back(Upcall::Route(change, cause)),
                RoutingEvent::Ipv6Route(change, cause) => self.upcalls.push_back(Upcall::Ipv6Route(change, cause)),
                RoutingEvent::Session(cause) => self.upcalls.push_back(Upcall::Session(cause)),
            }
        }
        // What a whole table needed is not kept for the keepalives that follow.
        events.shrink_to(KEPT_EVENTS);
        self.routing_events = events;
    }

    /// An interface gets another address, and the tunnels that begin there with it.
    fn readdress(&mut self, cx: &mut Cx, port: Port, to: Ipv4Net) {
        let Some(before) = self.ip.readdress(cx, port, to) else { return };
        let cause = cx.cause;
        self.resolve_next_hops(cx);
        let here = |tunnel: &usize| self.tunnels[*tunnel].outside().0 == IpAddr::V4(before);
        let moved: Vec<usize> = (0..self.tunnels.len()).filter(here).collect();
        for tunnel in moved {
            cx.cause = cause;
            self.with_tunnel(cx, tunnel, |tunnel, cx, events| tunnel.readdress(cx, to.addr().into(), events));
        }
    }

    /// Gives BGP an input about the session that runs through a tunnel.
    fn of_tunnel(&mut self, cx: &mut Cx, tunnel: u16, input: impl Fn(PeerId) -> bgp::Input<'static>) {
        let port = self.tunnels[tunnel.into()].port();
        for peer in self.routing.as_ref().map(|routing| routing.behind(port)).unwrap_or_default() {
            self.bgp(cx, input(peer));
        }
    }

    /// Carries out what an operator typed.
    pub(super) fn command(&mut self, cx: &mut Cx, command: super::Command) {
        use super::Command;
        match command {
            Command::IkeDelete { tunnel } => self.with_tunnel(cx, tunnel.into(), |tunnel, cx, events| {
                tunnel.input(cx, ike::Input::Close, events);
            }),
            Command::IkeInitiate { tunnel } => self.with_tunnel(cx, tunnel.into(), |tunnel, cx, events| {
                tunnel.input(cx, ike::Input::Initiate(Reason::AdminUp), events);
            }),
            // Cease, Administrative Shutdown (RFC 4486).
            Command::BgpShutdown { tunnel } => {
                let communication = "";
                self.of_tunnel(cx, tunnel, |peer| bgp::Input::Stop { peer, subcode: 2, communication });
            }
            Command::BgpStart { tunnel } => self.of_tunnel(cx, tunnel, |peer| bgp::Input::Start { peer }),
            Command::Readdress { port, to } => self.readdress(cx, port, to),
            Command::Reconfigure { tunnel, to } => self.tunnels[tunnel.into()].reconfigure(to),
            Command::Med { med } => {
                let peers: Vec<PeerId> = self.routing.as_deref().into_iter().flat_map(Routing::peers).collect();
                for peer in peers {
                    let policy = Policy::change_all(vec![Change::Med(med)]);
                    self.bgp(cx, bgp::Input::SetExport { peer, policy });
                }
            }
            Command::Vrrp { port, stop } => self.with_vrrps(cx, |vrrps, cx, ip| vrrps.operate(cx, ip, port, stop)),
            Command::NatFlush
            | Command::Vlan { .. }
            | Command::NatRenumber { .. }
            | Command::Drain { .. }
            | Command::SecurityGroupRule { .. }
            | Command::VpcRoute { .. }
            | Command::TgwRoute { .. }
            | Command::BgpReset { .. }
            | Command::Mtu { .. }
            | Command::SiteLink { .. }
            | Command::VpnRoute { .. } => {}
        }
    }
}
