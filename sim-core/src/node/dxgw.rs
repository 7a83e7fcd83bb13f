//! A Direct Connect gateway: what joins virtual interfaces to virtual private gateways or to transit gateways of any Region (Direct
//! Connect user guide, "Direct Connect gateways").
//!
//! It is no hub. A packet passes from a virtual interface to a gateway that is associated with it, and back; not from one virtual
//! interface to another unless both have SiteLink, and not from one gateway to another (page direct-connect-gateways-intro.html). What is
//! refused names which of these it was.
//!
//! What comes from a virtual interface must be for the *allowed prefixes* of a gateway (page allowed-to-prefixes.html): of a virtual private
//! gateway they filter, and a VPC's block is announced only if one of them is as wide or wider; of a transit gateway they are announced as
//! they stand. What a virtual interface announces at its start is its own configuration; here are the ways.
//!
//! ```text
//!  customer --- virtual interface --.                        .-- association --- VGW or TGW
//!                                    >-- table per gateway --<
//!  customer --- virtual interface --'     and of SiteLink     '-- association --- VGW or TGW
//! ```
//!
//! Each gateway has a table of its own, as paths of another Region's locations stand behind those of its own. The order is that of
//! [`crate::net::aws::dx`], and equal ways are balanced. AWS's gateway is no box on the way; that packets pass it here, at no cost of time,
//! is how the model knows who may talk to whom.
//!
//! Left out: Cloud WAN, and the exception for a supernet that the premises announce over one virtual interface, by which VPCs on virtual
//! private gateways reach each other (virtualgateways.html): those packets are refused.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use smallvec::SmallVec;

use super::ends::Ends;
use super::ip::{Inbound, Ip};
use super::{Announced, Command, Cx, Device, Notice, Weighed, Weighing};
use crate::id::{NodeId, Port, RecordId};
use crate::net::aws::dx::{Path, Route as Offer, SiteLink, evaluate};
use crate::net::aws::{BgpPath, Evaluation};
use crate::net::fib::{Fib, Route, RouteSource, Target, distance};
use crate::net::multipath::Multipath;
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::{HopStep, Table, What};

/// The port towards virtual interface `number`. Those towards gateways follow.
pub const fn interface_port(number: u16) -> Port {
    Port(number)
}

/// The port towards associated gateway `number`, beside so many virtual interfaces.
pub const fn association_port(interfaces: u16, number: u16) -> Port {
    Port(interfaces + number)
}

/// What a Direct Connect gateway is made from.
#[derive(Clone, Debug)]
pub struct DxGatewayConfig {
    /// Its virtual interfaces.
    pub interfaces: Vec<Interface>,
    /// The gateways that are associated with it.
    pub associations: Vec<Association>,
    /// How flows are spread over equal ways.
    pub multipath: Multipath,
    /// From the death of an interface's hardware to the gateway holding it unhealthy.
    pub health_delay: Duration,
}

/// A virtual interface on it.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// AWS's end.
    pub node: NodeId,
    /// Whether it has SiteLink.
    pub site_link: bool,
}

/// A gateway that is associated with it.
#[derive(Clone, Debug)]
pub struct Association {
    /// The gateway.
    pub gateway: NodeId,
    /// The number there of the way to this one.
    pub number: u16,
    /// Destinations for which packets from virtual interfaces pass.
    pub passes: Vec<Ipv4Net>,
    /// The virtual interfaces at locations of another Region than the gateway's.
    pub elsewhere: Vec<u16>,
}

/// What a table does with packets to a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Chosen {
    /// The virtual interfaces, never none.
    ways: SmallVec<[u16; 2]>,
    rule: Rule,
    path: BgpPath,
}

#[derive(Clone, Debug, Default)]
struct State {
    chosen: BTreeMap<Ipv4Net, Chosen>,
    /// What packets follow.
    fib: Fib,
    /// The record of the table's last change: to blame when there is no route.
    changed: RecordId,
}

/// A Direct Connect gateway.
#[derive(Clone, Debug)]
pub struct DxGateway {
    config: DxGatewayConfig,
    ip: Ip,
    /// The virtual interfaces and what they have learned.
    ends: Ends,
    /// The way to what passes from virtual interfaces.
    towards: Fib,
    /// A table for each associated gateway, and that of SiteLink.
    tables: Vec<State>,
}

impl DxGateway {
    /// A gateway with a port for each virtual interface and then one for each association.
    pub fn new(config: DxGatewayConfig, mtu: u32) -> Self {
        let (interfaces, associations) = (config.interfaces.len() as u16, config.associations.len() as u16);
        let mut ip = Ip::silent(Table::DxGateway(0), DropReason::DxgwNoRoute);
        (0..interfaces + associations).for_each(|port| ip.add_port(Port(port), mtu));
        let mut towards = Fib::new();
        for (association, number) in config.associations.iter().zip(0..) {
            for prefix in &association.passes {
                towards.insert(route(*prefix, association_port(interfaces, number)));
            }
        }
        let mut state = State::default();
        state.fib.spread_flows(config.multipath);
        let tables = vec![state; config.associations.len() + 1];
        let ends = Ends::new(config.interfaces.len(), config.health_delay);
        Self { config, ip, ends, towards, tables }
    }

    /// The number of the table that packets between virtual interfaces with SiteLink are looked up in.
    fn site_link_table(&self) -> u8 {
        self.config.associations.len() as u8
    }

    /// The prefixes of a table.
    pub fn prefixes(&self, table: u8) -> impl Iterator<Item = Ipv4Net> {
        self.tables.get(usize::from(table)).into_iter().flat_map(|table| table.chosen.keys().copied())
    }

    /// The routes to a prefix that a table is offered, and whose they are. With SiteLink, Regions look at AS_PATH irrespective of the
    /// location (page WorkingWithVirtualInterfaces.html).
    fn offers(&self, table: u8, prefix: Ipv4Net) -> (Vec<Offer>, Vec<u16>, SiteLink) {
        let association = self.config.associations.get(usize::from(table));
        let mut site_link = SiteLink::Off;
        let of_interface = |(number, interface): (u16, &Interface)| {
            let end = self.ends.of(number);
            let path = end.routes.get(&prefix).filter(|_| end.healthy)?.clone();
            if association.is_none() && !interface.site_link {
                return None;
            }
            if interface.site_link {
                site_link = SiteLink::On;
            }
            let elsewhere = association.is_some_and(|association| association.elsewhere.contains(&number));
            Some((Offer { prefix, path: Path { path, elsewhere } }, number))
        };
        let (offers, numbers) = (0..).zip(&self.config.interfaces).filter_map(of_interface).unzip();
        (offers, numbers, site_link)
    }

    fn evaluate(&self, table: u8, prefix: Ipv4Net) -> (Vec<Offer>, Vec<u16>, Option<Evaluation>) {
        let (offers, numbers, site_link) = self.offers(table, prefix);
        let evaluation = evaluate(&offers, prefix.addr(), site_link);
        (offers, numbers, evaluation)
    }

    /// All routes to a prefix that a table is offered, and how it chooses among them.
    pub fn weigh(&self, table: u8, prefix: Ipv4Net) -> Weighing {
        let (offers, numbers, evaluation) = self.evaluate(table, prefix);
        let gone_at = |i: usize| evaluation.as_ref().and_then(|e| e.gone_at[i]);
        let weighed = offers.iter().zip(numbers).enumerate().map(|(i, (offer, number))| Weighed {
            via: Some(interface_port(number)),
            kind: if offer.path.elsewhere { "Direct Connect BGP, another Region" } else { "Direct Connect BGP" },
            healthy: true,
            path: Some(offer.path.path.clone()),
            preference: 0,
            gone_at: gone_at(i),
        });
        Weighing { routes: weighed.collect(), rule: evaluation.as_ref().map(|e| e.rule) }
    }

    fn choose(&mut self, cx: &mut Cx, table: u8, prefix: Ipv4Net, reason: Reason) {
        let (offers, numbers, evaluation) = self.evaluate(table, prefix);
        let best = evaluation.map(|evaluation| Chosen {
            ways: evaluation.chosen.iter().map(|&i| numbers[i]).collect(),
            rule: evaluation.rule,
            path: offers[evaluation.best()].path.path.clone(),
        });
        let state = &mut self.tables[usize::from(table)];
        let before = match &best {
            Some(best) => state.chosen.insert(prefix, best.clone()),
            None => state.chosen.remove(&prefix),
        };
        if before == best {
            return;
        }
        let ways = |chosen: &Option<Chosen>| chosen.as_ref().map(|chosen| chosen.ways.clone()).unwrap_or_default();
        let (from, to) = (ways(&before), ways(&best));
        let stays = from == to;
        if !stays {
            let routes: Vec<Route> = to.iter().map(|number| route(prefix, interface_port(*number))).collect();
            state.fib.set_all(prefix, RouteSource::Propagated, &routes);
        }
        let port = |ways: &[u16]| ways.first().map(|number| interface_port(*number));
        let beside = to.iter().skip(1).map(|number| interface_port(*number)).collect();
        let what = What::Route {
            table: Table::DxGateway(table),
            prefix: IpNet::V4(prefix),
            from: port(&from),
            to: port(&to),
            reason,
            rule: best.as_ref().map(|best| best.rule),
            beside,
            stays,
        };
        if stays {
            cx.remark(what);
        } else {
            state.changed = cx.record(what);
            state.fib.stamp(prefix, state.changed);
        }
        self.tell(cx, table, prefix);
    }

    /// Tells who is behind a table what it holds: the gateway has a route, or virtual interfaces with SiteLink announce one.
    fn tell(&self, cx: &mut Cx, table: u8, prefix: Ipv4Net) {
        let chosen = self.tables[usize::from(table)].chosen.get(&prefix);
        if let Some(association) = self.config.associations.get(usize::from(table)) {
            let path = chosen.map(|chosen| chosen.path.clone());
            let notice = Notice::Route { tunnel: association.number, prefix: IpNet::V4(prefix), path };
            return cx.notify(association.gateway, Duration::ZERO, notice);
        }
        for (number, interface) in (0..).zip(&self.config.interfaces).filter(|(_, interface)| interface.site_link) {
            self.announce_to(cx, number, interface.node, prefix);
        }
    }

    /// Who announces a prefix is not told of it.
    fn announce_to(&self, cx: &mut Cx, number: u16, node: NodeId, prefix: Ipv4Net) {
        let chosen = self.tables[usize::from(self.site_link_table())].chosen.get(&prefix);
        let told = chosen.filter(|_| !self.ends.of(number).routes.contains_key(&prefix));
        let as_path = told.map(|chosen| chosen.path.as_path.clone());
        let route = Announced { prefix: IpNet::V4(prefix), as_path, cause: cx.cause };
        cx.notify(node, Duration::ZERO, Notice::Announce([route].into()));
    }

    /// Gives a virtual interface SiteLink, or takes it. The others are told of its routes, and it of theirs, or no longer.
    fn set_site_link(&mut self, cx: &mut Cx, number: u16, on: bool) {
        let Some(interface) = self.config.interfaces.get_mut(usize::from(number)).filter(|it| it.site_link != on)
        else {
            return;
        };
        interface.site_link = on;
        let (node, cause) = (interface.node, cx.cause);
        let own: Vec<Ipv4Net> = self.ends.of(number).routes.keys().copied().collect();
        let others: Vec<Ipv4Net> =
            self.prefixes(self.site_link_table()).filter(|prefix| !own.contains(prefix)).collect();
        for prefix in own {
            self.choose_everywhere(cx, prefix, Reason::Configured);
        }
        for prefix in others {
            if on {
                self.announce_to(cx, number, node, prefix);
            } else {
                let withdrawn = Announced { prefix: IpNet::V4(prefix), as_path: None, cause };
                cx.notify(node, Duration::ZERO, Notice::Announce([withdrawn].into()));
            }
        }
    }

    /// Chooses anew in every table.
    fn choose_everywhere(&mut self, cx: &mut Cx, prefix: Ipv4Net, reason: Reason) {
        let cause = cx.cause;
        for table in 0..self.tables.len() as u8 {
            cx.cause = cause;
            self.choose(cx, table, prefix, reason);
        }
        cx.cause = cause;
    }

    fn set_health(&mut self, cx: &mut Cx, number: u16, healthy: bool) {
        if !self.ends.judge(number, healthy) {
            return;
        }
        let prefixes: Vec<Ipv4Net> = self.ends.of(number).routes.keys().copied().collect();
        for prefix in prefixes {
            self.choose_everywhere(cx, prefix, Reason::EndpointHealth);
        }
    }

    /// The way of a packet from a virtual interface: to a gateway, or by SiteLink to another virtual interface.
    fn towards_gateway(&mut self, number: u16, packet: &Packet) -> Result<Route, (DropReason, RecordId)> {
        let to_gateway = self.towards.choose(packet.bytes());
        let site_link = self.site_link_table();
        let table = &mut self.tables[usize::from(site_link)];
        let to_site = table.fib.choose(packet.bytes());
        let blame = table.changed;
        let longer =
            |site: &Route| to_gateway.is_none_or(|gateway| site.prefix.prefix_len() > gateway.prefix.prefix_len());
        match (to_site.filter(longer), to_gateway) {
            (Some(site), _) if self.config.interfaces[usize::from(number)].site_link => {
                if site.target == Target::port(interface_port(number)) {
                    Err((DropReason::DxgwInterfaceToInterface, site.since))
                } else {
                    Ok(site)
                }
            }
            (_, Some(gateway)) => Ok(gateway),
            (_, None) => {
                let known = |table: &mut State| table.fib.choose(packet.bytes()).is_some();
                match self.tables.iter_mut().any(known) {
                    true => Err((DropReason::DxgwInterfaceToInterface, blame)),
                    false => Err((DropReason::DxgwNotAllowed, blame)),
                }
            }
        }
    }

    /// The way of a packet from an associated gateway to a virtual interface.
    fn towards_interface(&mut self, number: usize, packet: &Packet) -> Result<Route, (DropReason, RecordId)> {
        let table = &mut self.tables[number];
        let length = |route: Option<Route>| route.map(|route| route.prefix.prefix_len());
        let (way, gateway) = (table.fib.choose(packet.bytes()), self.towards.choose(packet.bytes()));
        match way {
            // Also if the premises announce a supernet: see the header.
            _ if length(gateway) > length(way) => Err((DropReason::DxgwGatewayToGateway, table.changed)),
            Some(route) => Ok(route),
            None => Err((DropReason::DxgwNoRoute, table.changed)),
        }
    }
}

fn route(prefix: Ipv4Net, port: Port) -> Route {
    Route {
        prefix,
        source: RouteSource::Propagated,
        distance: distance::EBGP,
        metric: 0,
        target: Target::port(port),
        since: RecordId::GENESIS,
    }
}

impl Device for DxGateway {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
        // An association has no health of its own: its routes come and go with virtual interfaces.
        for association in &self.config.associations {
            let notice = Notice::Health { tunnel: association.number, healthy: true };
            cx.notify(association.gateway, Duration::ZERO, notice);
        }
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.ends.reset();
        for table in &mut self.tables {
            *table = State { fib: table.fib.emptied(), ..State::default() };
        }
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let Inbound::Transit(mut packet) = self.ip.inbound(cx, port, packet) else { return };
        let interfaces = self.config.interfaces.len();
        let way = match port.index().checked_sub(interfaces) {
            None => self.towards_gateway(port.0, &packet),
            Some(association) => self.towards_interface(association, &packet),
        };
        match way {
            Ok(Route { target: Target::Out { port, .. }, since, .. }) => {
                packet.needs(since);
                cx.hop(packet.meta.id, HopStep::Forwarded(port, std::net::Ipv4Addr::UNSPECIFIED));
                self.ip.output(cx, port, packet);
            }
            Ok(Route { target: Target::Blackhole, since, .. }) => cx.drop(&packet, DropReason::BlackholeRoute, since),
            Err((reason, blame)) => cx.drop(&packet, reason, blame),
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        while let Some((number, cause)) = self.ends.overdue(cx.now) {
            cx.cause = cause;
            cx.waited(TimerKind::EndpointHealth, self.ends.health_delay);
            self.set_health(cx, number, false);
        }
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ends.wake()
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Route { tunnel, prefix: IpNet::V4(prefix), path } => {
                let reason = self.ends.learn(tunnel, prefix, path);
                self.choose_everywhere(cx, prefix, reason);
                // Whether it has a route of its own says whether it is told of others'.
                if let Some(Interface { node, site_link: true }) =
                    self.config.interfaces.get(usize::from(tunnel)).copied()
                {
                    self.announce_to(cx, tunnel, node, prefix);
                }
            }
            Notice::Health { tunnel, healthy } => self.set_health(cx, tunnel, healthy),
            Notice::Route { prefix: IpNet::V6(_), .. }
            | Notice::Propagate { .. }
            | Notice::Announce(_)
            | Notice::ReplaceRoute { .. }
            | Notice::Flow(_)
            | Notice::WantFlows => {}
        }
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        if let Command::SiteLink { interface, on } = command {
            self.set_site_link(cx, interface, on);
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        let Some(Interface { node, site_link }) = self.config.interfaces.get(port.index()).copied() else {
            let number = (port.index() - self.config.interfaces.len()) as u8;
            if let Some(association) = self.config.associations.get(usize::from(number)).filter(|_| up) {
                // A gateway that lost power hears again what it has forgotten.
                let notice = Notice::Health { tunnel: association.number, healthy: true };
                cx.notify(association.gateway, Duration::ZERO, notice);
                let prefixes: Vec<Ipv4Net> = self.prefixes(number).collect();
                prefixes.into_iter().for_each(|prefix| self.tell(cx, number, prefix));
            }
            return;
        };
        if !up {
            return self.ends.doubt(port.0, cx.now, cx.cause);
        }
        // AWS's end of an interface that comes back knows nothing, and so nothing is known through it.
        self.set_health(cx, port.0, false);
        self.ends.forget(port.0);
        if site_link {
            let told: Vec<Ipv4Net> = self.prefixes(self.site_link_table()).collect();
            told.into_iter().for_each(|prefix| self.announce_to(cx, port.0, node, prefix));
        }
    }
}
