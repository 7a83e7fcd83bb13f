//! What a device does with IPv6 (RFC 8200, RFC 4443), if it has it: beside IPv4, on the same ports, with a table of its own.
//!
//! A router does not cut a packet: its sender hears how much the next hop takes (RFC 8200 section 5). What the device sends itself
//! is cut by it, if at all. A packet for nobody on the point-to-point link by which it came does not go back (RFC 4443 section 3.1,
//! code 3); without neighbour discovery that is what keeps the unused addresses of a tunnel's /126 from going to and fro.
//!
//! Left out: reverse path filters, access lists and policy routes, which are of IPv4 here and do not see IPv6, and tracked routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;
use smallvec::SmallVec;

use super::{Inbound, Ip, Miss, record_of};
use crate::id::{Port, RecordId};
use crate::net::fib::{Change, Fib, Route, RouteSource, Target, distance};
use crate::net::fragment::{Reassembly, ReassemblyConfig};
use crate::net::fragment_v6::{Reassembler, fragment};
use crate::net::icmp::ReporterConfig;
use crate::net::icmpv6::{Reporter, Trouble};
use crate::node::Cx;
use crate::packet::Packet;
use crate::reason::{DropReason, Reason};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::icmpv6::Icmpv6Kind;
use crate::wire::ipv6::{Ipv6Packet, is_ipv6};

/// A next hop of IPv6 as hops show it: the trace tells next hops of IPv4 only.
const UNTOLD: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Why there is no way for an IPv6 packet.
pub type Ipv6Miss = Miss<Route<Ipv6Net>>;

/// The IPv6 part of a device.
#[derive(Clone, Debug)]
pub(in crate::node) struct Six {
    own: SmallVec<[Ipv6Addr; 2]>,
    fib: Fib<Ipv6Net>,
    /// The record of the table's last change: to blame when there is no route.
    changed: RecordId,
    configured: Vec<Route<Ipv6Net>>,
    /// Identification of what was cut last.
    ident: u32,
    reporter: Reporter,
    fragments: Reassembler,
}

impl Six {
    fn new(own: SmallVec<[Ipv6Addr; 2]>) -> Self {
        Self {
            own,
            fib: Fib::new(),
            changed: RecordId::GENESIS,
            configured: Vec::new(),
            ident: 0,
            reporter: Reporter::new(ReporterConfig::default()),
            fragments: Reassembler::new(ReassemblyConfig::default()),
        }
    }

    /// The fragments that wait for others.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        self.fragments.held()
    }

    /// Forgets everything that was learned.
    pub fn reset(&mut self) {
        let mut fresh = Self {
            fib: self.fib.emptied(),
            configured: core::mem::take(&mut self.configured),
            ..Self::new(self.own.clone())
        };
        for route in &fresh.configured {
            fresh.fib.insert(*route);
        }
        *self = fresh;
    }

    pub fn wake(&self) -> Option<Instant> {
        self.fragments.wake()
    }

    fn configured_on(&self, port: Port) -> Vec<Route<Ipv6Net>> {
        let by = |route: &&Route<Ipv6Net>| matches!(route.target, Target::Out { port: out, .. } if out == port);
        self.configured.iter().filter(by).copied().collect()
    }
}

impl Ip {
    /// Gives the device IPv6, with these addresses and no routes.
    pub fn add_ipv6(&mut self, own: impl IntoIterator<Item = Ipv6Addr>) {
        self.six = Some(Box::new(Six::new(own.into_iter().collect())));
    }

    /// True if the device has IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.six.is_some()
    }

    /// Adds a configured route. No effect without IPv6.
    pub fn add_ipv6_route(&mut self, prefix: Ipv6Net, source: RouteSource, distance: u8, target: Target<Ipv6Addr>) {
        let Some(six) = &mut self.six else { return };
        let route = Route { prefix, source, distance, metric: 0, target, since: RecordId::GENESIS };
        six.configured.push(route);
        six.fib.insert(route);
    }

    /// Adds a network with an address of the device on a port. No effect without IPv6.
    pub fn connect_ipv6(&mut self, network: Ipv6Net, port: Port) {
        self.add_ipv6_route(network.trunc(), RouteSource::Connected, distance::CONNECTED, Target::port(port));
    }

    /// The IPv6 addresses of the device.
    pub fn ipv6_own(&self) -> &[Ipv6Addr] {
        self.six.as_ref().map_or(&[], |six| &six.own)
    }

    /// The forwarding table of IPv6; `None` without it.
    pub fn ipv6_fib(&self) -> Option<&Fib<Ipv6Net>> {
        self.six.as_ref().map(|six| &six.fib)
    }

    /// The static routes that the device starts with.
    pub(super) fn announce_ipv6(&mut self, cx: &mut Cx) {
        let Some(six) = &mut self.six else { return };
        let genesis = cx.cause;
        let routes: Vec<_> =
            six.configured.iter().filter(|route| route.source == RouteSource::Static).copied().collect();
        for route in routes {
            if six.fib.best(route.prefix).is_some_and(|best| best.target == route.target) {
                let change = Change { prefix: route.prefix, before: None, after: Some(route) };
                let since = record_of(cx, self.table, &change, Reason::Configured, None);
                six.fib.stamp(route.prefix, since);
                cx.cause = genesis;
            }
        }
    }

    /// Sorts what is no IPv4.
    #[cold]
    pub(super) fn inbound_ipv6(&mut self, cx: &mut Cx, mut packet: Packet) -> Inbound {
        let Some(six) = self.six.as_mut().filter(|_| is_ipv6(packet.bytes())) else {
            cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
            return Inbound::Nothing;
        };
        let Ok(ip) = Ipv6Packet::new_checked(packet.bytes()) else {
            cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
            return Inbound::Nothing;
        };
        let (length, local, fragment) = (ip.total_len(), six.own.contains(&ip.dst()), ip.is_fragment());
        packet.truncate(length);
        match (local, fragment) {
            (false, _) => Inbound::Ipv6Transit(packet),
            (true, false) => Inbound::Ipv6Local(packet),
            (true, true) => {
                cx.rearm();
                match six.fragments.handle(cx.now, packet) {
                    Reassembly::Whole(whole) => Inbound::Ipv6Local(whole),
                    Reassembly::Joined(whole, parts) => {
                        cx.joined(&parts, whole.meta.id);
                        Inbound::Ipv6Local(whole)
                    }
                    Reassembly::Waiting => Inbound::Nothing,
                    Reassembly::Dropped(reason, packets) => {
                        packets.iter().for_each(|p| cx.drop(p, reason, RecordId::GENESIS));
                        Inbound::Nothing
                    }
                }
            }
        }
    }

    /// Chooses the way of an IPv6 packet in transit that came in by `ingress`, one hop older. Its sender hears why if there is none.
    pub fn forward_ipv6(&mut self, cx: &mut Cx, ingress: Port, mut packet: Packet) -> Option<(Port, Packet)> {
        if !Ipv6Packet::new_unchecked(packet.bytes_mut()).decrement_hop_limit() {
            self.refuse_ipv6(cx, &packet, Icmpv6Kind::HopLimitExceeded);
            cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
            return None;
        }
        let to = Ipv6Packet::new_unchecked(packet.bytes()).dst();
        let way = self.six.as_ref().and_then(|six| six.fib.lookup(to));
        let is_tunnel = self.interfaces.get(ingress.index()).copied().flatten().is_some_and(|i| i.tunnel);
        if way.is_some_and(|way| way.source == RouteSource::Connected && way.target == Target::port(ingress))
            && is_tunnel
        {
            self.refuse_ipv6(cx, &packet, Icmpv6Kind::AddressUnreachable);
            cx.drop(&packet, DropReason::AddressUnreachable, RecordId::GENESIS);
            return None;
        }
        self.route_ipv6(cx, packet)
    }

    /// Chooses the way of an IPv6 packet; drops it if there is none.
    pub fn route_ipv6(&mut self, cx: &mut Cx, packet: Packet) -> Option<(Port, Packet)> {
        let (packet, miss) = match self.way_ipv6(cx, packet) {
            Ok(way) => return Some(way),
            Err(missed) => missed,
        };
        let (reason, blame) = match miss {
            Miss::Blackhole(route) => (DropReason::BlackholeRoute, route.since),
            Miss::NoRoute => (self.no_route, self.ipv6_changed()),
        };
        self.refuse_ipv6(cx, &packet, Icmpv6Kind::NoRoute);
        cx.drop(&packet, reason, blame);
        None
    }

    /// Chooses the way of an IPv6 packet.
    ///
    /// # Errors
    /// The packet, and why there is none.
    pub fn way_ipv6(&mut self, cx: &mut Cx, mut packet: Packet) -> Result<(Port, Packet), (Packet, Ipv6Miss)> {
        match self.six.as_mut().and_then(|six| six.fib.choose(packet.bytes())) {
            Some(Route { target: Target::Out { port, .. }, since, .. }) => {
                packet.needs(since);
                cx.hop(packet.meta.id, HopStep::Forwarded(port, UNTOLD));
                Ok((port, packet))
            }
            Some(route) => Err((packet, Miss::Blackhole(route))),
            None => Err((packet, Miss::NoRoute)),
        }
    }

    /// The record of the IPv6 table's last change: to blame when there is no route.
    pub fn ipv6_changed(&self) -> RecordId {
        self.six.as_ref().map_or(RecordId::GENESIS, |six| six.changed)
    }

    /// Drops an IPv6 packet that is longer than a port takes, and tells its sender how much that is.
    pub(super) fn too_big(&mut self, cx: &mut Cx, packet: &Packet, mtu: u32) {
        self.refuse_ipv6(cx, packet, Trouble::too_big(mtu));
        cx.drop(packet, DropReason::PacketTooBig, RecordId::GENESIS);
    }

    /// Cuts an IPv6 packet of the device itself for a path that takes so many octets (RFC 8200 section 4.5).
    pub fn cut_ipv6(&mut self, cx: &mut Cx, mtu: usize, packet: Packet) -> Vec<Packet> {
        let Some(six) = &mut self.six else { return Vec::new() };
        six.ident = six.ident.wrapping_add(1);
        match fragment(&packet, mtu, six.ident, || cx.meta().id) {
            Ok(parts) => {
                let cut = parts.iter().filter(|part| part.meta.id != packet.meta.id);
                cut.for_each(|part| cx.hop(part.meta.id, HopStep::CutFrom(packet.meta.id)));
                if parts.len() > 1 {
                    cx.cut(packet.meta.id);
                }
                parts
            }
            Err(reason) => {
                cx.drop(&packet, reason, RecordId::GENESIS);
                Vec::new()
            }
        }
    }

    /// Tells the sender of an IPv6 packet why it goes no further, if the rules allow ([`crate::net::icmpv6`]). One that goes into
    /// a tunnel is left for the device to seal ([`Ip::unsealed`]).
    pub fn refuse_ipv6(&mut self, cx: &mut Cx, packet: &Packet, trouble: impl Into<Trouble>) {
        if !self.talks {
            return;
        }
        let sender = Ipv6Packet::new_unchecked(packet.bytes()).src();
        let Some(six) = self.six.as_mut().filter(|six| !six.own.contains(&sender)) else { return };
        let way = six.fib.lookup(sender);
        let port = self.answers.or_else(|| match way?.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        });
        let of_port = |route: &&Route<Ipv6Net>| {
            route.source == RouteSource::Connected && port.is_some_and(|port| route.target == Target::port(port))
        };
        let network = six.configured.iter().find(of_port).map(|route| route.prefix);
        let at_port = six.own.iter().find(|own| network.is_some_and(|network| network.contains(*own)));
        let Some(&from) = at_port.or(six.own.first()) else { return };
        let meta = cx.meta();
        let Ok(mut error) = six.reporter.report(cx.now, packet.bytes(), trouble.into(), from, meta) else { return };
        cx.created(&error);
        if let Some(port) = self.answers {
            cx.hop(error.meta.id, HopStep::Forwarded(port, UNTOLD));
            return self.output(cx, port, error);
        }
        match way {
            Some(Route { target: Target::Out { port, .. }, since, .. }) => {
                error.needs(since);
                cx.hop(error.meta.id, HopStep::Forwarded(port, UNTOLD));
                if self.interfaces.get(port.index()).copied().flatten().is_some_and(|i| i.tunnel) {
                    self.unsealed.push((port, error));
                    self.owes = true;
                } else {
                    self.output(cx, port, error);
                }
            }
            Some(route) => cx.drop(&error, DropReason::BlackholeRoute, route.since),
            None => cx.drop(&error, self.no_route, six.changed),
        }
    }

    /// Takes the configured routes of a port out of the IPv6 table or puts them back, because of `reason`.
    pub(super) fn carrier_ipv6(&mut self, cx: &mut Cx, port: Port, up: bool, reason: Reason) {
        let Some(six) = &mut self.six else { return };
        let cause = cx.cause;
        for route in six.configured_on(port) {
            let change = match up {
                true => six.fib.insert(route),
                false => six.fib.remove_target(route.prefix, route.source, route.target),
            };
            // A connected network comes and goes with its port, of which there is a record already.
            six.changed = match change.filter(|_| route.source != RouteSource::Connected) {
                Some(change) => record_of(cx, self.table, &change, reason, None),
                None => cause,
            };
            six.fib.stamp(route.prefix, six.changed);
            cx.cause = cause;
        }
    }

    /// Begins with a port down.
    pub(super) fn begin_down_ipv6(&mut self, port: Port) {
        let Some(six) = &mut self.six else { return };
        for route in six.configured_on(port) {
            six.fib.remove_target(route.prefix, route.source, route.target);
        }
    }

    /// Makes `routes` all that BGP has for a prefix. Answers whether the ways to it changed. No effect without IPv6.
    pub fn install_ipv6(&mut self, cx: &mut Cx, prefix: Ipv6Net, routes: &[Route<Ipv6Net>], reason: Reason) -> bool {
        let Some(six) = &mut self.six else { return false };
        let change = six.fib.set_all(prefix, RouteSource::Bgp, routes);
        let Some(change) = change else { return false };
        six.changed = record_of(cx, self.table, &change, reason, None);
        six.fib.stamp(prefix, six.changed);
        true
    }

    /// Gives up on fragments that waited too long.
    pub(super) fn timeout_ipv6(&mut self, cx: &mut Cx) {
        let Some(six) = &mut self.six else { return };
        for fragments in six.fragments.handle_timeout(cx.now) {
            if let Some(first) = fragments.first() {
                self.refuse_ipv6(cx, first, Icmpv6Kind::ReassemblyTimeExceeded);
            }
            fragments.iter().for_each(|p| cx.drop(p, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
    }
}
