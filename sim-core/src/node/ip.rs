//! What every device does with IPv4 (RFC 791, RFC 1812): is a packet for me, which way does it go, does it fit, and what
//! does its sender hear if it does not.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use smallvec::SmallVec;

use super::Cx;
use crate::id::{Port, RecordId};
use crate::net::fib::{Change, Fib, Route, RouteSource, Target, distance};
use crate::net::fragment::{Reassembler, Reassembly, ReassemblyConfig, fragment};
use crate::net::icmp::{Reporter, ReporterConfig, Trouble};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::Instant;
use crate::trace::{HopStep, Table, What};
use crate::wire::checksum;
use crate::wire::icmp::IcmpKind;
use crate::wire::ipv4::Ipv4Packet;

/// A packet that arrived, sorted.
#[derive(Debug)]
pub enum Inbound {
    /// For an address of this device, whole.
    Local(Packet),
    /// For somebody else.
    Transit(Packet),
    /// Dropped, or a fragment that waits for the others.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    mtu: u32,
    up: bool,
}

/// The IPv4 part of a device. What every packet needs of it comes first, in one cache line.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Ip {
    own: SmallVec<[Ipv4Addr; 4]>,
    ident: u16,
    /// What the table is called in records.
    table: Table,
    /// False on AWS's own devices, which send no ICMP errors.
    talks: bool,
    /// What a drop for want of a route is called.
    no_route: DropReason,
    fib: Fib,
    /// The record of the table's last change: to blame when there is no route.
    changed: RecordId,
    /// Configured routes, in force while their port has a carrier.
    configured: Vec<Route>,
    interfaces: Vec<Option<Interface>>,
    reporter: Reporter,
    fragments: Reassembler,
}

impl Ip {
    /// With these addresses, and neither ports nor routes.
    pub fn new(own: Vec<Ipv4Addr>) -> Self {
        Self {
            own: own.into(),
            ident: 0,
            table: Table::Fib,
            talks: true,
            no_route: DropReason::NoRoute,
            fib: Fib::new(),
            changed: RecordId::GENESIS,
            configured: Vec::new(),
            interfaces: Vec::new(),
            reporter: Reporter::new(ReporterConfig::default()),
            fragments: Reassembler::new(ReassemblyConfig::default()),
        }
    }

    /// The routing of one of AWS's gateways: it has no address and says nothing.
    pub fn silent(table: Table, no_route: DropReason) -> Self {
        Self { table, no_route, talks: false, ..Self::new(Vec::new()) }
    }

    /// Sends no ICMP errors from here on. Whether AWS's endpoints send any is not published; its path MTU advice suggests
    /// that they do not.
    pub fn mute(&mut self) {
        self.talks = false;
    }

    /// Adds an interface with an MTU in octets. Tunnel interfaces have ports too; their device sends for them.
    pub fn add_port(&mut self, port: Port, mtu: u32) {
        if self.interfaces.len() <= port.index() {
            self.interfaces.resize(port.index() + 1, None);
        }
        self.interfaces[port.index()] = Some(Interface { mtu, up: true });
    }

    /// Changes the MTU of an interface, as a tunnel does when its suite is known.
    pub fn set_mtu(&mut self, port: Port, mtu: u32) {
        if let Some(Some(interface)) = self.interfaces.get_mut(port.index()) {
            interface.mtu = mtu;
        }
    }

    /// Adds a configured route.
    pub fn add_route(&mut self, prefix: Ipv4Net, source: RouteSource, distance: u8, port: Port) {
        let since = RecordId::GENESIS;
        let route = Route { prefix, source, distance, metric: 0, target: Target::port(port), since };
        self.configured.push(route);
        self.fib.insert(route);
    }

    /// Adds a configured route on which packets are dropped.
    pub fn add_blackhole(&mut self, prefix: Ipv4Net, distance: u8) {
        let (source, target, since) = (RouteSource::Static, Target::Blackhole, RecordId::GENESIS);
        let route = Route { prefix, source, distance, metric: 0, target, since };
        self.configured.push(route);
        self.fib.insert(route);
    }

    /// Adds a configured route to everywhere.
    pub fn default_route(&mut self, port: Port) {
        self.add_route(Ipv4Net::default(), RouteSource::Static, distance::STATIC, port);
    }

    /// Notes the static routes in the trace, as the device starts with them.
    pub fn announce(&mut self, cx: &mut Cx) {
        let genesis = cx.cause;
        let in_force = |r: &&Route| {
            r.source == RouteSource::Static && self.fib.best(r.prefix).is_some_and(|b| b.target == r.target)
        };
        let routes: Vec<Route> = self.configured.iter().filter(in_force).copied().collect();
        for route in routes {
            let Target::Out { port, .. } = route.target else { continue };
            let (prefix, reason) = (IpNet::V4(route.prefix), Reason::Configured);
            let (table, to, rule, beside, stays) = (self.table, Some(port), None, Box::default(), false);
            let since = cx.record(What::Route { table, prefix, from: None, to, reason, rule, beside, stays });
            self.fib.stamp(route.prefix, since);
            cx.cause = genesis;
        }
    }

    /// The addresses of the device.
    pub fn own(&self) -> &[Ipv4Addr] {
        &self.own
    }

    /// The forwarding table.
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    /// Gives an interface another address and its network, which a loss of power does not undo. Answers which it had, if it had
    /// one.
    pub fn readdress(&mut self, cx: &mut Cx, port: Port, to: Ipv4Net) -> Option<Ipv4Addr> {
        let is_network = |r: &&mut Route| r.source == RouteSource::Connected && r.target == Target::port(port);
        let route = self.configured.iter_mut().find(is_network)?;
        let own = self.own.iter_mut().find(|own| route.prefix.contains(&**own))?;
        let before = core::mem::replace(own, to.addr());
        let (network, after) = (*route, Route { prefix: to.trunc(), ..*route });
        *route = after;
        if self.interfaces.get(port.index()).copied().flatten().is_some_and(|interface| interface.up) {
            self.fib.remove_target(network.prefix, network.source, network.target);
            self.fib.insert(after);
            self.changed = cx.cause;
            self.fib.stamp(after.prefix, cx.cause);
        }
        // Nobody on the link answers for the address that is gone.
        let gone = |address: Ipv4Addr| Route {
            prefix: address.into(),
            source: RouteSource::Underlay,
            distance: distance::UNDERLAY,
            target: Target::Blackhole,
            since: cx.cause,
            ..after
        };
        let returned = gone(to.addr());
        self.configured.retain(|route| (route.prefix, route.target) != (returned.prefix, Target::Blackhole));
        self.fib.remove_target(returned.prefix, returned.source, returned.target);
        self.configured.push(gone(before));
        self.fib.insert(gone(before));
        Some(before)
    }

    /// Forgets everything that was learned.
    pub fn reset(&mut self) {
        self.fib = Fib::new();
        for route in &self.configured {
            self.fib.insert(*route);
        }
        self.interfaces.iter_mut().flatten().for_each(|i| i.up = true);
        self.fragments = Reassembler::new(ReassemblyConfig::default());
        self.reporter = Reporter::new(ReporterConfig::default());
    }

    /// Sorts a packet that arrived.
    pub fn inbound(&mut self, cx: &mut Cx, mut packet: Packet) -> Inbound {
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS);
            return Inbound::Nothing;
        };
        if !ip.verify_checksum() {
            cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
            return Inbound::Nothing;
        }
        let (length, local, fragment) = (usize::from(ip.total_len()), self.own.contains(&ip.dst()), ip.is_fragment());
        packet.truncate(length);
        match (local, fragment) {
            (false, _) => Inbound::Transit(packet),
            (true, false) => Inbound::Local(packet),
            (true, true) => self.reassemble(cx, packet).map_or(Inbound::Nothing, Inbound::Local),
        }
    }

    /// Takes a fragment; the whole datagram, if it was the last one that was missing.
    pub fn reassemble(&mut self, cx: &mut Cx, packet: Packet) -> Option<Packet> {
        cx.rearm();
        match self.fragments.handle(cx.now, packet) {
            Reassembly::Whole(whole) => Some(whole),
            Reassembly::Waiting => None,
            Reassembly::Dropped(reason, packets) => {
                packets.iter().for_each(|p| cx.drop(p, reason, RecordId::GENESIS));
                None
            }
        }
    }

    /// Gives a packet that this device originates an identification of its own (RFC 6864 section 4.3: it may be cut).
    pub fn identify(&mut self, packet: &mut Packet) {
        self.ident = self.ident.wrapping_add(1);
        let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
        let checksum = checksum::adjust(ip.checksum(), ip.ident(), self.ident);
        ip.set_ident(self.ident);
        ip.set_checksum(checksum);
    }

    /// Chooses the way of a packet in transit, one hop older. Its sender hears why if there is none.
    pub fn forward(&mut self, cx: &mut Cx, mut packet: Packet) -> Option<(Port, Packet)> {
        if !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl() {
            self.refuse(cx, &packet, IcmpKind::TtlExceeded);
            cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
            return None;
        }
        self.route(cx, packet)
    }

    /// Chooses the way of a packet; drops it if there is none.
    pub fn route(&mut self, cx: &mut Cx, mut packet: Packet) -> Option<(Port, Packet)> {
        let destination = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        let (reason, blame) = match self.fib.look_up_again(destination) {
            Some(Route { target: Target::Out { port, next_hop }, since, .. }) => {
                packet.meta.enabler = packet.meta.enabler.max(since);
                let next_hop = next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED);
                cx.hop(packet.meta.id, HopStep::Forwarded(port, next_hop));
                return Some((port, packet));
            }
            Some(route) => (DropReason::BlackholeRoute, route.since),
            None => (self.no_route, self.changed),
        };
        self.refuse(cx, &packet, IcmpKind::NetUnreachable);
        cx.drop(&packet, reason, blame);
        None
    }

    /// True if a packet goes through a port whole.
    pub fn fits(&self, port: Port, packet: &Packet) -> bool {
        packet.len() <= self.mtu(port)
    }

    fn mtu(&self, port: Port) -> usize {
        self.interfaces.get(port.index()).copied().flatten().map_or(usize::MAX, |i| i.mtu as usize)
    }

    /// Cuts a packet that does not fit a port. If that is forbidden, its sender hears so and nothing is left.
    pub fn cut(&mut self, cx: &mut Cx, port: Port, packet: Packet) -> Vec<Packet> {
        let mtu = self.mtu(port);
        match fragment(&packet, mtu, || cx.meta().id) {
            Ok(parts) => {
                parts.iter().for_each(|part| cx.hop(part.meta.id, HopStep::CutFrom(packet.meta.id)));
                parts
            }
            Err(reason) => {
                if reason == DropReason::FragmentationNeeded {
                    self.refuse(cx, &packet, Trouble::fragmentation_needed(mtu as u32));
                }
                cx.drop(&packet, reason, RecordId::GENESIS);
                Vec::new()
            }
        }
    }

    /// Sends a packet out of a physical port, in fragments if it must.
    pub fn output(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if self.fits(port, &packet) {
            return cx.send(port, packet);
        }
        for part in self.cut(cx, port, packet) {
            cx.send(port, part);
        }
    }

    /// Tells the sender of `packet` why it goes no further, if the rules allow (RFC 1812 section 4.3.2).
    pub fn refuse(&mut self, cx: &mut Cx, packet: &Packet, trouble: impl Into<Trouble>) {
        let Some(&from) = self.own.first().filter(|_| self.talks) else { return };
        let meta = cx.meta();
        let Ok(reply) = self.reporter.report(cx.now, packet.bytes(), trouble.into(), from, &[], meta) else { return };
        cx.created(&reply);
        let destination = Ipv4Packet::new_unchecked(reply.bytes()).dst();
        if let Some(&Route { target: Target::Out { port, .. }, .. }) = self.fib.lookup(destination) {
            cx.send(port, reply);
        }
    }

    /// Takes the configured routes of a port out of the table or puts them back, because of `reason`.
    pub fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool, reason: Reason) {
        let Some(Some(interface)) = self.interfaces.get_mut(port.index()) else { return };
        if core::mem::replace(&mut interface.up, up) == up {
            return;
        }
        let (routes, cause): (Vec<Route>, _) = (self.configured_on(port).collect(), cx.cause);
        for route in routes {
            let change = if up {
                self.fib.insert(route)
            } else {
                self.fib.remove_target(route.prefix, route.source, route.target)
            };
            // A connected network comes and goes with its port, of which there is a record already.
            if route.source == RouteSource::Connected {
                self.changed = cause;
                self.fib.stamp(route.prefix, cause);
            } else {
                self.changed_best(cx, change, reason, None);
            }
            cx.cause = cause;
        }
    }

    /// Begins with a port down, before anything has happened that a record could tell of.
    pub fn begin_down(&mut self, port: Port) {
        if let Some(Some(interface)) = self.interfaces.get_mut(port.index()) {
            interface.up = false;
        }
        let routes: Vec<Route> = self.configured_on(port).collect();
        for route in routes {
            self.fib.remove_target(route.prefix, route.source, route.target);
        }
    }

    fn configured_on(&self, port: Port) -> impl Iterator<Item = Route> {
        self.configured.iter().filter(move |r| r.target == Target::port(port)).copied()
    }

    /// Puts a route into the table. Answers whether the best route of its prefix changed.
    pub fn install(&mut self, cx: &mut Cx, route: Route, reason: Reason) -> bool {
        self.install_by(cx, route, reason, None)
    }

    /// The same, of a route that a step of AWS's order has chosen.
    pub fn install_by(&mut self, cx: &mut Cx, route: Route, reason: Reason, rule: Option<Rule>) -> bool {
        let change = self.fib.set(route);
        self.changed_best(cx, change, reason, rule)
    }

    /// Takes a source's route out of the table. Answers whether the best route of its prefix changed.
    pub fn withdraw(&mut self, cx: &mut Cx, prefix: Ipv4Net, source: RouteSource, reason: Reason) -> bool {
        let change = self.fib.remove(prefix, source);
        self.changed_best(cx, change, reason, None)
    }

    fn changed_best(
        &mut self,
        cx: &mut Cx,
        change: Option<Change>,
        reason: Reason,
        rule: Option<Rule>,
    ) -> bool {
        let Some(change) = change else { return false };
        let port = |route: Option<Route>| match route?.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        };
        let (from, to) = (port(change.before), port(change.after));
        let prefix = IpNet::V4(change.prefix);
        let (table, beside, stays) = (self.table, Box::default(), false);
        self.changed = cx.record(What::Route { table, prefix, from, to, reason, rule, beside, stays });
        self.fib.stamp(change.prefix, self.changed);
        true
    }

    /// When fragments wait no longer.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.fragments.wake().map(|at| (at, TimerKind::Reassembly))
    }

    /// Gives up on fragments that waited too long.
    pub fn timeout(&mut self, cx: &mut Cx) {
        for fragments in self.fragments.handle_timeout(cx.now) {
            if let Some(first) = fragments.first() {
                self.refuse(cx, first, IcmpKind::ReassemblyTimeExceeded);
            }
            fragments.iter().for_each(|p| cx.drop(p, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
    }
}
