//! What every device does with IPv4 (RFC 791, RFC 1812): is a packet for me, which way does it go, does it fit, and what
//! does its sender hear if it does not. IPv6 is beside it, in few devices (`six`).
//!
//! A port may ask of what comes in that there is a way back (RFC 3704, [`ReversePath`]). Packets in transit may be sent another
//! way than the table's by rules of the operator ([`PolicyRoute`]); what the device sends itself always follows the table. A port
//! may have an access list, for what comes in and goes out, whoever it is for.

mod errors;
mod ethernet;
mod filter;
mod next_hops;
mod six;

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use smallvec::SmallVec;
use thin_vec::ThinVec;

use super::Cx;
use super::lan::Lan;
use crate::fetch::fetch;
use crate::id::{Port, RecordId};
use crate::net::fib::{Change, Fib, Prefix, Route, RouteSource, Target, distance};
use crate::net::filter::Rule as AccessRule;
use crate::net::fragment::{Reassembler, Reassembly, ReassemblyConfig, fragment};
use crate::net::icmp::{Reporter, ReporterConfig, Trouble};
use crate::net::multipath::Multipath;
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::Instant;
use crate::trace::{HopStep, Table, What};
use crate::wire::checksum;
use crate::wire::icmp::IcmpKind;
use crate::wire::ipv4::Ipv4Packet;
use crate::wire::ipv6::is_ipv6;

/// A packet that arrived, sorted.
#[derive(Debug)]
pub enum Inbound {
    /// For an address of this device, whole.
    Local(Packet),
    /// For somebody else.
    Transit(Packet),
    /// Dropped, or a fragment that waits for the others.
    Nothing,
    /// Of IPv6, for an address of this device, whole; only of a device that has IPv6.
    Ipv6Local(Packet),
    /// Of IPv6, for somebody else; only of a device that has IPv6.
    Ipv6Transit(Packet),
}

/// Why there is no way for a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss<R = Route> {
    /// The best route drops it.
    Blackhole(R),
    /// There is none.
    NoRoute,
}

/// What a port asks of the source of a packet that comes in (RFC 3704 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReversePath {
    /// Nothing.
    #[default]
    Off,
    /// That there is a route to it, whichever way; the default route is one, too (section 2.4).
    Loose,
    /// That packets to it would go out of this port (section 2.2), as one of the ways if flows to it are spread.
    Strict,
}

/// A rule by which packets in transit go another way than the table's, or nowhere. What is `None` does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyRoute {
    /// Where they come from.
    pub source: Option<Ipv4Net>,
    /// The port by which they came in.
    pub ingress: Option<Port>,
    /// Their IP protocol.
    pub protocol: Option<u8>,
    /// Where they go. While that port has no carrier the rule does not hold.
    pub target: Target,
}

impl PolicyRoute {
    fn holds(&self, ip: &Ipv4Packet<&[u8]>, ingress: Port) -> bool {
        self.source.is_none_or(|source| source.contains(&ip.src()))
            && self.ingress.is_none_or(|port| port == ingress)
            && self.protocol.is_none_or(|protocol| protocol == ip.protocol())
    }
}

/// Something that is watched, and on whose state configured routes depend, by its number on the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrackId(pub u8);

#[derive(Clone, Copy, Debug)]
struct Interface {
    mtu: u32,
    up: bool,
    reverse_path: ReversePath,
    /// It has rules among [`Ip::access`].
    filtered: bool,
    /// The device seals what goes out of it.
    tunnel: bool,
}

/// A route of the configuration, in force while its port has a carrier and what it depends on is up.
#[derive(Clone, Copy, Debug)]
struct Configured {
    route: Route,
    track: Option<TrackId>,
}

/// Several links that are one port.
#[derive(Clone, Debug)]
struct Bundle {
    port: Port,
    /// Which of them a packet takes.
    multipath: Multipath,
    /// Those that carry its traffic.
    members: Vec<Port>,
    /// The record because of which they do.
    since: RecordId,
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
    /// True if a port has ever asked for a way back or has an access list, so that all others need not be asked about each
    /// packet.
    filters: bool,
    /// True if there may be something in `unsealed`, which is then looked at.
    owes: bool,
    /// True if a port is several links or carries frames, so that others need not look for it with each packet.
    composite: bool,
    /// What a drop for want of a route is called.
    no_route: DropReason,
    fib: Fib,
    /// The record of the table's last change: to blame when there is no route.
    changed: RecordId,
    configured: Vec<Configured>,
    /// What is watched and down.
    down: SmallVec<[TrackId; 2]>,
    policy: Vec<PolicyRoute>,
    access: Vec<(Port, AccessRule)>,
    interfaces: Vec<Option<Interface>>,
    /// By which port errors go whatever the table says, while it is known from where what they are about came.
    answers: Option<Port>,
    /// Errors that the device has to seal, with the ports by which they go.
    unsealed: Vec<(Port, Packet)>,
    /// Ports that are several links, with those that carry their traffic.
    bundles: Vec<Bundle>,
    /// Its stations on Ethernet.
    lan: Option<Box<Lan>>,
    reporter: Reporter,
    fragments: Reassembler,
    six: Option<Box<six::Six>>,
}

impl Ip {
    /// Fetches what each packet touches.
    pub(super) fn foresee(&self) {
        fetch(&self.own);
        fetch(&self.interfaces);
        fetch(&self.fragments);
        fetch(&self.six);
        self.fib.foresee();
    }

    /// With these addresses, and neither ports nor routes.
    pub fn new(own: Vec<Ipv4Addr>) -> Self {
        Self {
            own: own.into(),
            ident: 0,
            table: Table::Fib,
            talks: true,
            filters: false,
            owes: false,
            composite: false,
            no_route: DropReason::NoRoute,
            fib: Fib::new(),
            changed: RecordId::GENESIS,
            configured: Vec::new(),
            down: SmallVec::new(),
            policy: Vec::new(),
            access: Vec::new(),
            interfaces: Vec::new(),
            answers: None,
            unsealed: Vec::new(),
            bundles: Vec::new(),
            lan: None,
            reporter: Reporter::new(ReporterConfig::default()),
            fragments: Reassembler::new(ReassemblyConfig::default()),
            six: None,
        }
    }

    /// The routing of one of AWS's gateways: it has no address and says nothing.
    pub fn silent(table: Table, no_route: DropReason) -> Self {
        Self { table, no_route, talks: false, ..Self::new(Vec::new()) }
    }

    /// Sends no ICMP errors from here on.
    pub fn mute(&mut self) {
        self.talks = false;
    }

    /// Adds an interface with an MTU in octets. Tunnel interfaces have ports too; their device sends for them.
    pub fn add_port(&mut self, port: Port, mtu: u32) {
        if self.interfaces.len() <= port.index() {
            self.interfaces.resize(port.index() + 1, None);
        }
        self.interfaces[port.index()] =
            Some(Interface { mtu, up: true, reverse_path: ReversePath::Off, filtered: false, tunnel: false });
    }

    /// Asks for a way back to the sources of what comes in at a port.
    pub fn filter_reverse_path(&mut self, port: Port, mode: ReversePath) {
        if let Some(Some(interface)) = self.interfaces.get_mut(port.index()) {
            interface.reverse_path = mode;
            self.filters |= mode != ReversePath::Off;
        }
    }

    /// Adds a rule for packets in transit; the first that holds decides.
    pub fn add_policy(&mut self, rule: PolicyRoute) {
        self.policy.push(rule);
    }

    /// Spreads flows over routes of equal cost.
    pub fn spread_flows(&mut self, multipath: Multipath) {
        self.fib.spread_flows(multipath);
    }

    /// The ports that have a carrier, in order.
    pub fn ports_up(&self) -> impl Iterator<Item = Port> {
        let up =
            |(index, interface): (usize, &Option<Interface>)| interface.filter(|i| i.up).map(|_| Port(index as u16));
        self.interfaces.iter().enumerate().filter_map(up)
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
        self.configure(Route { prefix, source, distance, metric: 0, target: Target::port(port), since }, None);
    }

    /// Adds a configured route on which packets are dropped.
    pub fn add_blackhole(&mut self, prefix: Ipv4Net, distance: u8) {
        let (source, target, since) = (RouteSource::Static, Target::Blackhole, RecordId::GENESIS);
        self.configure(Route { prefix, source, distance, metric: 0, target, since }, None);
    }

    /// Adds a configured route, which may depend on something that is watched; that is down until [`Ip::track`] says otherwise.
    pub fn configure(&mut self, route: Route, track: Option<TrackId>) {
        self.configured.push(Configured { route, track });
        match track {
            None => drop(self.fib.insert(route)),
            Some(track) if self.down.contains(&track) => {}
            Some(track) => self.down.push(track),
        }
    }

    /// Adds a configured route to everywhere.
    pub fn default_route(&mut self, port: Port) {
        self.add_route(Ipv4Net::default(), RouteSource::Static, distance::STATIC, port);
    }

    /// Notes the static routes in the trace, as the device starts with them.
    pub fn announce(&mut self, cx: &mut Cx) {
        let genesis = cx.cause;
        let in_force = |r: &Route| {
            r.source == RouteSource::Static && self.fib.best(r.prefix).is_some_and(|b| b.target == r.target)
        };
        let routes: Vec<Route> = self.configured.iter().map(|c| c.route).filter(in_force).collect();
        for route in routes {
            let Target::Out { port, .. } = route.target else { continue };
            let (prefix, reason) = (IpNet::V4(route.prefix), Reason::Configured);
            let (table, to, rule, beside, stays) = (self.table, Some(port), None, ThinVec::new(), false);
            let since = cx.record(What::Route { table, prefix, from: None, to, reason, rule, beside, stays });
            self.fib.stamp(route.prefix, since);
            cx.cause = genesis;
        }
        self.announce_ipv6(cx);
    }

    /// The addresses of the device.
    pub fn own(&self) -> &[Ipv4Addr] {
        &self.own
    }

    /// Has the device answer to these addresses, too.
    pub fn also_own(&mut self, addresses: &[Ipv4Addr]) {
        let new = addresses.iter().filter(|address| !self.own.contains(address)).copied().collect::<Vec<_>>();
        self.own = self.own.iter().copied().chain(new).collect();
    }

    /// The forwarding table.
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    /// Gives an interface another address and its network, which a loss of power does not undo. Answers which it had, if it had
    /// one.
    pub fn readdress(&mut self, cx: &mut Cx, port: Port, to: Ipv4Net) -> Option<Ipv4Addr> {
        let is_network = |r: &&mut Route| r.source == RouteSource::Connected && r.target == Target::port(port);
        let route = self.configured.iter_mut().map(|c| &mut c.route).find(is_network)?;
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
        self.configured.retain(|c| (c.route.prefix, c.route.target) != (returned.prefix, Target::Blackhole));
        self.fib.remove_target(returned.prefix, returned.source, returned.target);
        self.configure(gone(before), None);
        Some(before)
    }

    /// Forgets everything that was learned.
    pub fn reset(&mut self) {
        self.fib = self.fib.emptied();
        self.down.clear();
        for Configured { route, track } in core::mem::take(&mut self.configured) {
            self.configure(route, track);
        }
        self.interfaces.iter_mut().flatten().for_each(|i| i.up = true);
        self.unsealed.clear();
        self.bundles.clear();
        self.lan.iter_mut().for_each(|lan| lan.reset());
        self.fragments = Reassembler::new(ReassemblyConfig::default());
        self.reporter = Reporter::new(ReporterConfig::default());
        self.six.iter_mut().for_each(|six| six.reset());
    }

    /// Sorts a packet that arrived at a port.
    pub fn inbound(&mut self, cx: &mut Cx, port: Port, mut packet: Packet) -> Inbound {
        let Ok(ip) = Ipv4Packet::new_checked(packet.bytes()) else {
            return self.inbound_ipv6(cx, packet);
        };
        if !ip.verify_checksum() {
            cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
            return Inbound::Nothing;
        }
        let (length, local, fragment) = (usize::from(ip.total_len()), self.own.contains(&ip.dst()), ip.is_fragment());
        if self.filters && !self.leads_back(ip.src(), port) {
            // RFC 3704 names no answer: whoever forged the source is not at it.
            cx.drop(&packet, DropReason::ReversePath, self.changed);
            return Inbound::Nothing;
        }
        if !self.passes(cx, port, &packet, false) {
            return Inbound::Nothing;
        }
        packet.truncate(length);
        match (local, fragment) {
            (false, _) => Inbound::Transit(packet),
            (true, false) => Inbound::Local(packet),
            (true, true) => self.reassemble(cx, packet).map_or(Inbound::Nothing, Inbound::Local),
        }
    }

    /// Whether the way back to a source is what a port asks for (RFC 3704).
    fn leads_back(&self, source: Ipv4Addr, port: Port) -> bool {
        let mode = self.interfaces.get(port.index()).copied().flatten().map_or(ReversePath::Off, |i| i.reverse_path);
        let out = |route: Route| match route.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        };
        match mode {
            ReversePath::Off => true,
            ReversePath::Loose => self.fib.ways(source).any(|route| out(route).is_some()),
            ReversePath::Strict => self.fib.ways(source).any(|route| out(route) == Some(port)),
        }
    }

    /// Takes a fragment; the whole datagram, if it was the last one that was missing.
    pub fn reassemble(&mut self, cx: &mut Cx, packet: Packet) -> Option<Packet> {
        cx.rearm();
        match self.fragments.handle(cx.now, packet) {
            Reassembly::Whole(whole) => Some(whole),
            Reassembly::Joined(whole, parts) => {
                cx.joined(&parts, whole.meta.id);
                Some(whole)
            }
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

    /// Chooses the way of a packet in transit that came in by `ingress`, one hop older. Its sender hears why if there is none.
    pub fn forward(&mut self, cx: &mut Cx, ingress: Port, mut packet: Packet) -> Option<(Port, Packet)> {
        if !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl() {
            self.refuse(cx, &packet, IcmpKind::TtlExceeded);
            cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
            return None;
        }
        match self.by_policy(&packet, ingress) {
            None => self.route(cx, packet),
            Some(Target::Out { port, next_hop }) => {
                cx.hop(packet.meta.id, HopStep::Forwarded(port, next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED)));
                Some((port, packet))
            }
            Some(Target::Blackhole) => {
                self.refuse(cx, &packet, IcmpKind::NetUnreachable);
                cx.drop(&packet, DropReason::PolicyRoute, RecordId::GENESIS);
                None
            }
        }
    }

    /// Where the first rule that holds for a packet sends it.
    fn by_policy(&self, packet: &Packet, ingress: Port) -> Option<Target> {
        if self.policy.is_empty() {
            return None;
        }
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let usable = |target: Target| match target {
            Target::Out { port, .. } => self.interfaces.get(port.index()).copied().flatten().is_some_and(|i| i.up),
            Target::Blackhole => true,
        };
        self.policy.iter().find(|rule| rule.holds(&ip, ingress) && usable(rule.target)).map(|rule| rule.target)
    }

    /// Chooses the way of a packet; drops it if there is none.
    pub fn route(&mut self, cx: &mut Cx, packet: Packet) -> Option<(Port, Packet)> {
        let (packet, miss) = match self.way(cx, packet) {
            Ok(way) => return Some(way),
            Err(missed) => missed,
        };
        let (reason, blame) = match miss {
            Miss::Blackhole(route) => (DropReason::BlackholeRoute, route.since),
            Miss::NoRoute => (self.no_route, self.changed),
        };
        self.refuse(cx, &packet, IcmpKind::NetUnreachable);
        cx.drop(&packet, reason, blame);
        None
    }

    /// Chooses the way of a packet.
    ///
    /// # Errors
    /// The packet, and why there is none.
    #[inline]
    pub fn way(&mut self, cx: &mut Cx, mut packet: Packet) -> Result<(Port, Packet), (Packet, Miss)> {
        match self.fib.choose(packet.bytes()) {
            Some(Route { target: Target::Out { port, next_hop }, since, .. }) => {
                packet.needs(since);
                let next_hop = next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED);
                cx.hop(packet.meta.id, HopStep::Forwarded(port, next_hop));
                Ok((port, packet))
            }
            Some(route) => Err((packet, Miss::Blackhole(route))),
            None => Err((packet, Miss::NoRoute)),
        }
    }

    /// The record of the table's last change: to blame when there is no route.
    pub const fn changed(&self) -> RecordId {
        self.changed
    }

    /// True if a packet goes through a port whole.
    pub fn fits(&self, port: Port, packet: &Packet) -> bool {
        packet.len() <= self.mtu(port)
    }

    /// The longest packet that goes through a port whole, in octets.
    pub fn mtu(&self, port: Port) -> usize {
        self.interfaces.get(port.index()).copied().flatten().map_or(usize::MAX, |i| i.mtu as usize)
    }

    /// Cuts a packet that does not fit a port. If that is forbidden, its sender hears so and nothing is left.
    pub fn cut(&mut self, cx: &mut Cx, port: Port, packet: Packet) -> Vec<Packet> {
        let mtu = self.mtu(port);
        if is_ipv6(packet.bytes()) {
            self.too_big(cx, &packet, mtu as u32);
            return Vec::new();
        }
        match fragment(&packet, mtu, || cx.meta().id) {
            Ok(parts) => {
                parts.iter().for_each(|part| cx.hop(part.meta.id, HopStep::CutFrom(packet.meta.id)));
                cx.cut(packet.meta.id);
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

    /// Sends a packet out of a physical port, if its access list lets it pass, in fragments if it must.
    pub fn output(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if !self.passes(cx, port, &packet, true) {
            return;
        }
        if self.fits(port, &packet) {
            return self.transmit(cx, port, packet);
        }
        for part in self.cut(cx, port, packet) {
            self.transmit(cx, port, part);
        }
    }

    /// Sends a packet out of a port, or of one of the links that it is made of.
    fn transmit(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if !self.composite {
            return cx.send(port, packet);
        }
        let Some(mut packet) = self.on_link(cx, port, packet) else { return };
        let Some(bundle) = self.bundles.iter().find(|bundle| bundle.port == port) else {
            return cx.send(port, packet);
        };
        packet.needs(bundle.since);
        // Hash threshold (RFC 2992): the hash is 32 bits wide.
        let place = (u64::from(bundle.multipath.hash(packet.bytes())) * bundle.members.len() as u64) >> 32;
        match bundle.members.get(place as usize) {
            Some(member) => cx.send(*member, packet),
            None => cx.drop(&packet, DropReason::LinkDown, self.changed),
        }
    }

    /// Says that a port is several links, none of which carries anything yet.
    pub fn bundle(&mut self, port: Port, multipath: Multipath) {
        self.composite = true;
        self.bundles.push(Bundle { port, multipath, members: Vec::new(), since: RecordId::GENESIS });
        self.begin_down(port);
    }

    /// The links that carry the traffic of a port which is made of several, because of that record.
    pub fn set_members(&mut self, port: Port, to: Vec<Port>, since: RecordId) {
        if let Some(bundle) = self.bundles.iter_mut().find(|bundle| bundle.port == port) {
            (bundle.members, bundle.since) = (to, since);
        }
    }

    /// True if any link carries the traffic of a port which is made of several.
    pub fn has_members(&self, port: Port) -> bool {
        self.bundles.iter().any(|bundle| bundle.port == port && !bundle.members.is_empty())
    }

    /// Takes the configured routes of a port out of the table or puts them back, because of `reason`.
    pub fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool, reason: Reason) {
        let Some(Some(interface)) = self.interfaces.get_mut(port.index()) else { return };
        if core::mem::replace(&mut interface.up, up) == up {
            return;
        }
        if let Some(lan) = &mut self.lan {
            lan.carrier(cx, port);
        }
        let routes: Vec<Route> = self.configured_on(port).filter(|c| !self.is_held(c)).map(|c| c.route).collect();
        self.enforce(cx, &routes, up, reason);
        self.carrier_ipv6(cx, port, up, reason);
    }

    /// What configured routes depend on went up or down, because of `reason`.
    pub fn track(&mut self, cx: &mut Cx, track: TrackId, up: bool, reason: Reason) {
        if self.down.contains(&track) != up {
            return;
        }
        match up {
            true => self.down.retain(|down| *down != track),
            false => self.down.push(track),
        }
        let depend = |c: &&Configured| c.track == Some(track) && self.has_carrier(&c.route);
        let routes: Vec<Route> = self.configured.iter().filter(depend).map(|c| c.route).collect();
        self.enforce(cx, &routes, up, reason);
    }

    /// Has the routes by hand to a prefix that have one of these distances be others, because of `reason` and by that rule. Answers whether
    /// that changed anything.
    pub fn enter(
        &mut self,
        cx: &mut Cx,
        prefix: Ipv4Net,
        distances: &[u8],
        routes: impl Iterator<Item = (u8, Target)>,
        (reason, rule): (Reason, Option<Rule>),
    ) -> bool {
        let by_hand = |r: &Route| r.prefix == prefix && r.source == RouteSource::Static;
        self.configured.retain(|c| !by_hand(&c.route) || !distances.contains(&c.route.distance));
        let (source, since) = (RouteSource::Static, RecordId::GENESIS);
        let made = routes.map(|(distance, target)| Route { prefix, source, distance, metric: 0, target, since });
        self.configured.extend(made.map(|route| Configured { route, track: None }));
        let usable = |c: &&Configured| by_hand(&c.route) && self.has_carrier(&c.route) && !self.is_held(c);
        let routes: Vec<Route> = self.configured.iter().filter(usable).map(|c| c.route).collect();
        let change = self.fib.set_all(prefix, RouteSource::Static, &routes);
        self.changed_best(cx, change, reason, rule)
    }

    /// Puts configured routes into the table, or takes them out.
    fn enforce(&mut self, cx: &mut Cx, routes: &[Route], up: bool, reason: Reason) {
        let cause = cx.cause;
        for &route in routes {
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
        let routes: Vec<Route> = self.configured_on(port).map(|c| c.route).collect();
        for route in routes {
            self.fib.remove_target(route.prefix, route.source, route.target);
        }
        self.begin_down_ipv6(port);
    }

    fn configured_on(&self, port: Port) -> impl Iterator<Item = Configured> {
        let by = move |c: &&Configured| matches!(c.route.target, Target::Out { port: out, .. } if out == port);
        self.configured.iter().filter(by).copied()
    }

    /// True if what a route depends on is down.
    fn is_held(&self, configured: &Configured) -> bool {
        configured.track.is_some_and(|track| self.down.contains(&track))
    }

    fn has_carrier(&self, route: &Route) -> bool {
        match route.target {
            Target::Out { port, .. } => self.interfaces.get(port.index()).copied().flatten().is_none_or(|i| i.up),
            Target::Blackhole => true,
        }
    }

    /// Puts a route into the table. Answers whether the best route of its prefix changed.
    pub fn install(&mut self, cx: &mut Cx, route: Route, reason: Reason) -> bool {
        self.install_by(cx, route, reason, None)
    }

    /// The same, of a route that a step of AWS's order has chosen.
    pub fn install_by(&mut self, cx: &mut Cx, route: Route, reason: Reason, rule: Option<Rule>) -> bool {
        let (table, mut record) = (self.table, None);
        self.fib.set_since(route, |change| *record.insert(record_of(cx, table, change, reason, rule)));
        self.changed = record.unwrap_or(self.changed);
        record.is_some()
    }

    /// Makes `routes` all that a source has for a prefix, of which flows use those that cost least if the table spreads them.
    /// Answers whether the ways to the prefix changed.
    pub fn install_all(
        &mut self,
        cx: &mut Cx,
        prefix: Ipv4Net,
        source: RouteSource,
        routes: &[Route],
        reason: Reason,
    ) -> bool {
        let change = self.fib.set_all(prefix, source, routes);
        self.changed_best(cx, change, reason, None)
    }

    /// Takes a source's route out of the table. Answers whether the best route of its prefix changed.
    pub fn withdraw(&mut self, cx: &mut Cx, prefix: Ipv4Net, source: RouteSource, reason: Reason) -> bool {
        let change = self.fib.remove(prefix, source);
        self.changed_best(cx, change, reason, None)
    }

    fn changed_best(&mut self, cx: &mut Cx, change: Option<Change>, reason: Reason, rule: Option<Rule>) -> bool {
        let Some(change) = change else { return false };
        self.changed = record_of(cx, self.table, &change, reason, rule);
        self.fib.stamp(change.prefix, self.changed);
        true
    }

    /// The packets that it holds: fragments that wait for others, and what waits for the address of a station.
    pub fn held(&self) -> impl Iterator<Item = &Packet> {
        let ipv6 = self.six.iter().flat_map(|six| six.held());
        self.fragments.held().chain(ipv6).chain(self.lan.iter().flat_map(|lan| lan.held()))
    }

    /// When fragments wait no longer, or a next hop is asked for again.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let ipv6 = self.six.as_ref().and_then(|six| six.wake());
        let fragments = self.fragments.wake().into_iter().chain(ipv6).min().map(|at| (at, TimerKind::Reassembly));
        if !self.composite {
            return fragments;
        }
        fragments.into_iter().chain(self.lan_wake()).min_by_key(|(at, _)| *at)
    }

    /// Gives up on fragments that waited too long.
    pub fn timeout(&mut self, cx: &mut Cx) {
        if let Some(lan) = &mut self.lan {
            lan.timeout(cx);
        }
        for fragments in self.fragments.handle_timeout(cx.now) {
            if let Some(first) = fragments.first() {
                self.refuse(cx, first, IcmpKind::ReassemblyTimeExceeded);
            }
            fragments.iter().for_each(|p| cx.drop(p, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
        self.timeout_ipv6(cx);
    }
}

/// The record of a change in a table.
fn record_of<P: Prefix>(cx: &mut Cx, table: Table, change: &Change<P>, reason: Reason, rule: Option<Rule>) -> RecordId {
    let port = |route: Option<Route<P>>| match route?.target {
        Target::Out { port, .. } => Some(port),
        Target::Blackhole => None,
    };
    let (from, to) = (port(change.before), port(change.after));
    let prefix = change.prefix.into();
    cx.record(What::Route { table, prefix, from, to, reason, rule, beside: ThinVec::new(), stays: false })
}

#[cfg(test)]
mod tests;
