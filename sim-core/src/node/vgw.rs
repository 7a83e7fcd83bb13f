//! A virtual private gateway: chooses the tunnel for each prefix, and never more than one, in the order of
//! [`crate::net::aws::vgw`]. The longest prefix is the forwarding table's: a route through an endpoint that is not healthy is not
//! in it. What AWS chooses by no published rule is [`VgwConfig::preference`].
//!
//! Its ends are those of its tunnels and, numbered after them, those of Direct Connect: virtual interfaces on it, and Direct Connect
//! gateways that it is associated with. Between one of the latter and anything but the VPC nothing passes (Direct Connect user guide,
//! direct-connect-gateways-intro.html).
//!
//! What it has chosen and heard by BGP is announced to the ends of all other connections, with the AS_PATH that it came with, so that
//! sites reach each other through it (Site-to-Site VPN User Guide, "AWS VPN CloudHub"); a site with the same ASN finds itself in the path
//! and refuses. A static route is announced to nobody: no ASN would say whose it is, and a site would hear of its own network over its other
//! connection. Who wants to be reached through static routes tells the other sites by hand. An end that hears of a prefix itself tells its
//! customer of no other way to it.
//!
//! How long AWS takes to notice a dead endpoint and to program a new route is not published either; both are parameters.

use std::collections::{BTreeMap, VecDeque};

use ipnet::{IpNet, Ipv4Net};
use thin_vec::ThinVec;

use super::ends::{End, Ends};
use super::ip::{Inbound, Ip, Miss};
use super::vpc::refusal;
use super::{Announced, Command, Cx, Device, Notice, Weighed, Weighing, link_reason};
use crate::id::{NodeId, Port, RecordId};
use crate::net::aws::dx;
use crate::net::aws::vgw::{Route as Offer, Source, evaluate};
use crate::net::aws::vpc::Propagated;
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::{Table, What};
use crate::wire::ipv4::Ipv4Packet;

/// What a gateway carries where a VPN has the same route.
const NARROW: u32 = 1500;

/// The port towards the VPC.
pub const VPC_PORT: Port = Port(0);

/// The port towards tunnel endpoint `tunnel`, or an end of Direct Connect that has this number.
pub const fn tunnel_port(tunnel: u16) -> Port {
    Port(tunnel + 1)
}

/// What a gateway is made from.
#[derive(Clone, Debug)]
pub struct VgwConfig {
    /// The VPC it is attached to; `None`: it joins sites only.
    pub vpc: Option<NodeId>,
    /// The CIDR blocks of that VPC.
    pub cidrs: Vec<Ipv4Net>,
    /// Where the routes of that VPC lead beyond it, and why nothing gets there that comes through a tunnel
    /// ([`super::vpc::beyond`]).
    pub beyond: Vec<(Ipv4Net, DropReason)>,
    /// Static routes of each tunnel's connection, by the tunnel's number.
    pub statics: Vec<Vec<Ipv4Net>>,
    /// The ends of Direct Connect, numbered after the tunnels.
    pub direct: Vec<Direct>,
    /// Who is told at each end, be it of a tunnel or of Direct Connect, and what it shares with the ends of the same connection.
    pub ends: Vec<(NodeId, u16)>,
    /// Tunnel numbers, the one that AWS prefers when nothing else decides first.
    pub preference: Vec<u16>,
    /// From a choice to packets following it.
    pub programming_delay: Duration,
    /// From the gateway's table to the VPC's route tables.
    pub propagation_delay: Duration,
    /// From the death of an endpoint's hardware to the gateway holding it unhealthy.
    pub health_delay: Duration,
}

/// An end of Direct Connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direct {
    /// A virtual interface on the gateway.
    Interface,
    /// A Direct Connect gateway that it is associated with.
    Gateway,
}

/// A choice that packets do not follow yet.
#[derive(Clone, Debug)]
struct Pending {
    due: Instant,
    cause: RecordId,
    prefix: Ipv4Net,
    to: Option<Chosen>,
    reason: Reason,
}

/// The tunnel for a prefix, and what spoke for it.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    tunnel: u16,
    rule: Rule,
    /// How a VPC's route tables call it.
    from: Propagated,
}

/// A virtual private gateway.
#[derive(Clone, Debug)]
pub struct Vgw {
    config: VgwConfig,
    ip: Ip,
    ends: Ends,
    /// The tunnel chosen for each prefix, perhaps not programmed yet.
    chosen: BTreeMap<Ipv4Net, Chosen>,
    pending: VecDeque<Pending>,
    /// From where the VPC was told that it has each prefix.
    offered: BTreeMap<Ipv4Net, Propagated>,
    /// The end that each prefix is announced from, and the ASes that it came through there.
    announced: BTreeMap<Ipv4Net, (u16, Vec<u32>)>,
    /// What the VPC and Direct Connect carry, if it is more than VPN does.
    wide: Option<u32>,
}

impl Vgw {
    /// A gateway with one tunnel endpoint for each entry of [`VgwConfig::statics`].
    pub fn new(config: VgwConfig, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Vgw, DropReason::NotEgress);
        ip.add_port(VPC_PORT, mtu);
        for cidr in &config.cidrs {
            ip.add_route(*cidr, RouteSource::Connected, distance::CONNECTED, VPC_PORT);
        }
        let ends = config.statics.len() + config.direct.len();
        for end in 0..ends {
            ip.add_port(tunnel_port(end as u16), mtu);
        }
        let ends = Ends::new(ends, config.health_delay);
        Self {
            config,
            ip,
            ends,
            chosen: BTreeMap::new(),
            pending: VecDeque::new(),
            offered: BTreeMap::new(),
            announced: BTreeMap::new(),
            wide: None,
        }
    }

    /// Lets packets of so many octets through to the VPC and to Direct Connect; VPN keeps what it has.
    pub fn widen(&mut self, mtu: u32) {
        let direct = (0..self.config.direct.len()).map(|end| tunnel_port((self.config.statics.len() + end) as u16));
        direct.chain([VPC_PORT]).for_each(|port| self.ip.set_mtu(port, mtu));
        self.wide = Some(mtu);
    }

    /// Sends a packet: one that is longer than VPN carries takes Direct Connect only if no VPN has the same route (Direct Connect user
    /// guide, set-jumbo-frames-vif.html).
    fn output(&mut self, cx: &mut Cx, out: Port, packet: Packet) {
        let Some(wide) = self.wide.filter(|_| self.direct(out).is_some() && packet.len() > NARROW as usize) else {
            return self.ip.output(cx, out, packet);
        };
        let destination = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        let prefix = self.ip.fib().lookup(destination).map(|route| route.prefix);
        let is_vpn = |offer: &Offer| !matches!(offer.source, Source::DirectConnect(_)) && offer.healthy;
        let narrow = prefix.is_some_and(|prefix| self.offers(prefix).0.iter().any(is_vpn));
        if narrow {
            self.ip.set_mtu(out, NARROW);
        }
        self.ip.output(cx, out, packet);
        self.ip.set_mtu(out, wide);
    }

    /// Its forwarding table: what packets follow now.
    pub fn ip(&self) -> &Ip {
        &self.ip
    }

    /// The routes to a prefix that tunnels have, and whose they are.
    fn offers(&self, prefix: Ipv4Net) -> (Vec<Offer>, Vec<u16>) {
        let of_tunnel = |(number, end): (usize, &End)| {
            let learned = || end.routes.get(&prefix).cloned();
            let source = match self.config.statics.get(number) {
                None => Source::DirectConnect(dx::Path { path: learned()?, elsewhere: false }),
                Some(statics) if statics.contains(&prefix) => Source::VpnStatic,
                Some(_) => Source::VpnBgp(learned()?),
            };
            let place = self.config.preference.iter().position(|&t| usize::from(t) == number);
            let preference = place.unwrap_or(usize::MAX);
            Some((Offer { prefix, healthy: end.healthy, source, preference }, number as u16))
        };
        self.ends.iter().enumerate().filter_map(of_tunnel).unzip()
    }

    /// What of Direct Connect is behind a port.
    fn direct(&self, port: Port) -> Option<Direct> {
        let end = port.index().checked_sub(1 + self.config.statics.len())?;
        self.config.direct.get(end).copied()
    }

    /// Why nothing passes between two ports, if it does not.
    fn forbids(&self, from: Port, to: Port) -> Option<DropReason> {
        match (self.direct(from), self.direct(to)) {
            _ if from == VPC_PORT || to == VPC_PORT => None,
            (Some(Direct::Gateway), Some(_)) | (Some(_), Some(Direct::Gateway)) => {
                Some(DropReason::DxgwInterfaceToInterface)
            }
            (Some(Direct::Gateway), None) | (None, Some(Direct::Gateway)) => Some(DropReason::DxgwInterfaceToVpn),
            (Some(Direct::Interface) | None, Some(Direct::Interface) | None) => None,
        }
    }

    /// Has the ends of all other connections announce a prefix as it came by the end that is used, or no longer.
    fn announce(&mut self, cx: &mut Cx, prefix: Ipv4Net, used: Option<u16>) {
        let used = used.filter(|end| self.direct(tunnel_port(*end)) != Some(Direct::Gateway));
        let now = used.and_then(|end| Some((end, self.ends.of(end).routes.get(&prefix)?.as_path.clone())));
        let before = match &now {
            Some(now) => self.announced.insert(prefix, now.clone()),
            None => self.announced.remove(&prefix),
        };
        if before == now {
            return;
        }
        for end in 0..self.config.ends.len() as u16 {
            let (told, news) = (self.said_at(end, before.as_ref()), self.said_at(end, now.as_ref()));
            if told != news {
                self.say(cx, end, prefix, news.map(<[u32]>::to_vec));
            }
        }
    }

    /// What is announced at an end of a prefix that is announced from somewhere.
    fn said_at<'r>(&self, end: u16, from: Option<&'r (u16, Vec<u32>)>) -> Option<&'r [u32]> {
        let connection = |end: u16| self.config.ends.get(usize::from(end)).map(|(_, connection)| *connection);
        let apart = self.direct(tunnel_port(end)) != Some(Direct::Gateway);
        from.filter(|(source, _)| apart && connection(*source) != connection(end)).map(|(_, path)| &path[..])
    }

    fn say(&self, cx: &mut Cx, end: u16, prefix: Ipv4Net, as_path: Option<Vec<u32>>) {
        if let Some((node, _)) = self.config.ends.get(usize::from(end)) {
            let route = Announced { prefix: IpNet::V4(prefix), as_path, cause: cx.cause };
            cx.notify(*node, Duration::ZERO, Notice::Announce([route].into()));
        }
    }

    /// All routes to a prefix, and how it chooses among them.
    pub fn weigh(&self, prefix: Ipv4Net) -> Weighing {
        let (offers, tunnels) = self.offers(prefix);
        let evaluation = evaluate(&offers, prefix.addr());
        let gone_at = |i: usize| evaluation.as_ref().map_or(Some(Rule::EndpointHealth), |e| e.gone_at[i]);
        let weighed = offers.iter().zip(&tunnels).enumerate().map(|(i, (offer, &tunnel))| {
            let (kind, path) = match &offer.source {
                Source::DirectConnect(path) => ("Direct Connect BGP", Some(path.path.clone())),
                Source::VpnStatic => ("VPN static", None),
                Source::VpnBgp(path) => ("VPN BGP", Some(path.clone())),
            };
            let (healthy, preference) = (offer.healthy, offer.preference);
            Weighed { via: Some(tunnel_port(tunnel)), kind, healthy, path, preference, gone_at: gone_at(i) }
        });
        Weighing { routes: weighed.collect(), rule: evaluation.as_ref().map(|e| e.rule) }
    }

    fn choose(&mut self, cx: &mut Cx, prefix: Ipv4Net, reason: Reason) {
        let (offers, tunnels) = self.offers(prefix);
        let best = evaluate(&offers, prefix.addr()).map(|evaluation| {
            let from = match offers[evaluation.best()].source {
                Source::DirectConnect(_) => Propagated::DirectConnect,
                Source::VpnStatic => Propagated::VpnStatic,
                Source::VpnBgp(_) => Propagated::VpnBgp,
            };
            Chosen { tunnel: tunnels[evaluation.best()], rule: evaluation.rule, from }
        });
        let before = match best {
            Some(chosen) => self.chosen.insert(prefix, chosen),
            None => self.chosen.remove(&prefix),
        };
        if before.map(|chosen| chosen.tunnel) == best.map(|chosen| chosen.tunnel) {
            if let (Some(before), Some(Chosen { tunnel, rule, .. })) = (before, best)
                && before.rule != rule
            {
                let way = Some(tunnel_port(tunnel));
                let (table, prefix, rule, beside) = (Table::Vgw, IpNet::V4(prefix), Some(rule), ThinVec::new());
                cx.remark(What::Route { table, prefix, from: way, to: way, reason, rule, beside, stays: true });
            }
            // Its path may be another one, unless its way is not programmed yet.
            if self.announced.contains_key(&prefix) && self.pending.iter().all(|pending| pending.prefix != prefix) {
                self.announce(cx, prefix, best.map(|chosen| chosen.tunnel));
            }
            return;
        }
        let due = cx.now + self.config.programming_delay;
        self.pending.push_back(Pending { due, cause: cx.cause, prefix, to: best, reason });
        self.program(cx);
    }

    /// Carries out the choices that are due.
    fn program(&mut self, cx: &mut Cx) {
        while self.pending.front().is_some_and(|p| p.due <= cx.now) {
            let Some(Pending { cause, prefix, to, reason, .. }) = self.pending.pop_front() else { return };
            cx.cause = cause;
            if !self.config.programming_delay.is_zero() {
                cx.waited(TimerKind::ProgrammingDelay, self.config.programming_delay);
            }
            match to {
                Some(Chosen { tunnel, rule, .. }) => {
                    let route = Route {
                        prefix,
                        source: RouteSource::Propagated,
                        distance: distance::EBGP,
                        metric: 0,
                        target: Target::port(tunnel_port(tunnel)),
                        since: RecordId::GENESIS,
                    };
                    self.ip.install_by(cx, route, reason, Some(rule));
                }
                None => {
                    self.ip.withdraw(cx, prefix, RouteSource::Propagated, reason);
                }
            }
            let offered = to.map(|chosen| chosen.from);
            let before = match offered {
                Some(from) => self.offered.insert(prefix, from),
                None => self.offered.remove(&prefix),
            };
            if before != offered {
                let notice = Notice::Propagate { prefix: IpNet::V4(prefix), offered };
                if let Some(vpc) = self.config.vpc {
                    cx.notify(vpc, self.config.propagation_delay, notice);
                }
            }
            self.announce(cx, prefix, to.map(|chosen| chosen.tunnel));
        }
    }

    /// Drops a packet for which there is no way. The gateway routes to what it has learned and to the VPC's own addresses, so what
    /// comes through a tunnel gets no farther than the VPC (guide, "Route tables and VPN route priority").
    #[cold]
    fn give_up(&self, cx: &mut Cx, from: Port, packet: &Packet, miss: Miss) {
        let destination = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        let (reason, blame) = match miss {
            Miss::Blackhole(route) => (DropReason::BlackholeRoute, route.since),
            Miss::NoRoute => {
                let beyond = (from != VPC_PORT).then(|| refusal(&self.config.beyond, destination)).flatten();
                (beyond.unwrap_or(DropReason::NotEgress), self.ip.changed())
            }
        };
        cx.drop(packet, reason, blame);
    }

    /// Gives the connection of these tunnels a static route, or takes it.
    fn enter(&mut self, cx: &mut Cx, tunnels: [u16; 2], prefix: Ipv4Net, entered: bool) {
        for tunnel in tunnels {
            let Some(statics) = self.config.statics.get_mut(usize::from(tunnel)) else { return };
            statics.retain(|of| *of != prefix);
            statics.extend(entered.then_some(prefix));
        }
        self.choose(cx, prefix, if entered { Reason::RouteCreated } else { Reason::RouteDeleted });
    }

    fn set_health(&mut self, cx: &mut Cx, tunnel: u16, healthy: bool) {
        if self.ends.judge(tunnel, healthy) {
            self.health_changed(cx, tunnel);
        }
    }

    fn health_changed(&mut self, cx: &mut Cx, tunnel: u16) {
        let mut prefixes = self.config.statics.get(usize::from(tunnel)).cloned().unwrap_or_default();
        prefixes.extend(self.ends.of(tunnel).routes.keys());
        let cause = cx.cause;
        for prefix in prefixes {
            cx.cause = cause;
            self.choose(cx, prefix, Reason::EndpointHealth);
        }
    }
}

impl Device for Vgw {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.ends.reset();
        self.chosen.clear();
        self.pending.clear();
        self.offered.clear();
        self.announced.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let Inbound::Transit(packet) = self.ip.inbound(cx, port, packet) else { return };
        match self.ip.way(cx, packet) {
            Ok((out, packet)) => match self.forbids(port, out) {
                Some(reason) => cx.drop(&packet, reason, packet.meta.enabler),
                None => self.output(cx, out, packet),
            },
            Err((packet, miss)) => self.give_up(cx, port, &packet, miss),
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        while let Some((tunnel, cause)) = self.ends.overdue(cx.now) {
            cx.cause = cause;
            cx.waited(TimerKind::EndpointHealth, self.ends.health_delay);
            self.set_health(cx, tunnel, false);
        }
        self.program(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let pending = self.pending.front().map(|p| (p.due, TimerKind::ProgrammingDelay));
        self.ends.wake().into_iter().chain(pending).min_by_key(|(at, _)| *at)
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Route { tunnel, prefix: IpNet::V4(prefix), path } => {
                let reason = self.ends.learn(tunnel, prefix, path);
                self.choose(cx, prefix, reason);
            }
            // A VGW carries no IPv6 (AWS, "IPv4 and IPv6 traffic in AWS Site-to-Site VPN").
            Notice::Route { prefix: IpNet::V6(_), .. }
            | Notice::Propagate { .. }
            | Notice::Announce(_)
            | Notice::ReplaceRoute { .. }
            | Notice::Flow(_)
            | Notice::WantFlows => {}
            Notice::Health { tunnel, healthy } => self.set_health(cx, tunnel, healthy),
        }
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        match command {
            Command::Drain { tunnel, drained } if self.ends.drain(tunnel, drained) => self.health_changed(cx, tunnel),
            Command::VpnRoute { tunnels, prefix, entered } => self.enter(cx, tunnels, prefix, entered),
            _ => {}
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if port == VPC_PORT {
            return self.ip.carrier(cx, port, up, link_reason(up));
        }
        let number = port.0 - 1;
        if up {
            // An endpoint that comes back knows nothing, and so nothing is known through it, however short it was gone.
            self.set_health(cx, number, false);
            self.ends.forget(number);
            for (prefix, from) in &self.announced {
                if let Some(path) = self.said_at(number, Some(from)) {
                    self.say(cx, number, *prefix, Some(path.to_vec()));
                }
            }
        } else {
            self.ends.doubt(number, cx.now, cx.cause);
        }
    }
}

#[cfg(test)]
mod tests;
