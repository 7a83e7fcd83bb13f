//! A VPC: its implicit router with one route table, and the instances behind it.
//!
//! The table follows [`crate::net::aws::vpc`]: a propagated route to the VPC's own addresses is never in it, and a propagated one
//! stands behind a static one for the same destination. Left out for now: several tables, prefix lists, security groups and
//! network ACLs.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};

use super::ip::{Inbound, Ip};
use super::{Cx, Device, Notice, Weighed, Weighing, link_reason};
use crate::id::{Port, RecordId};
use crate::net::aws::vpc::{Admission, Origin, Propagated, Route as Offer, admit, evaluate};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::{Table, What};

/// The port towards the virtual private gateway.
pub const GATEWAY_PORT: Port = Port(0);

/// The port towards transit gateway `number`, of so many instances.
pub const fn transit_port(instances: u16, number: u16) -> Port {
    Port(instances + 1 + number)
}

/// The port towards instance `number`.
pub const fn instance_port(number: u16) -> Port {
    Port(number + 1)
}

/// A VPC with its instances.
#[derive(Clone, Debug)]
pub struct Vpc {
    cidrs: Vec<Ipv4Net>,
    /// Whether routes of the gateway are propagated into the table.
    propagation: bool,
    /// How long ago the gateway sent a notice that arrives now.
    propagation_delay: Duration,
    statics: Vec<(Ipv4Net, Port)>,
    /// What gateways offer; the second is false for what the table had no room for.
    offered: BTreeMap<Ipv4Net, (Propagated, bool)>,
    ip: Ip,
}

impl Vpc {
    /// A VPC with these CIDR blocks. `statics` are routes to gateways; `propagation` lets the virtual private gateway add its
    /// own, which take that long to get here ([`super::vgw::VgwConfig::propagation_delay`]).
    pub fn new(cidrs: Vec<Ipv4Net>, statics: Vec<(Ipv4Net, Port)>, propagation: Option<Duration>, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Vpc, DropReason::VpcNoRoute);
        ip.add_port(GATEWAY_PORT, mtu);
        for (prefix, port) in &statics {
            ip.add_port(*port, mtu);
            ip.add_route(*prefix, RouteSource::Static, distance::STATIC, *port);
        }
        let propagation_delay = propagation.unwrap_or_default();
        Self { cidrs, propagation: propagation.is_some(), propagation_delay, statics, offered: BTreeMap::new(), ip }
    }

    /// Adds the port towards a transit gateway, for which there may be no route.
    pub fn add_transit_gateway(&mut self, port: Port, mtu: u32) {
        self.ip.add_port(port, mtu);
    }

    /// Adds an instance behind [`instance_port`].
    pub fn add_instance(&mut self, number: u16, address: std::net::Ipv4Addr, mtu: u32) {
        self.ip.add_port(instance_port(number), mtu);
        self.ip.add_route(address.into(), RouteSource::Connected, distance::CONNECTED, instance_port(number));
    }

    /// Its route table: what packets follow now.
    pub fn ip(&self) -> &Ip {
        &self.ip
    }

    /// The routes to exactly this prefix, and where they go. The local route covers the VPC's own addresses whatever is propagated.
    fn offers(&self, prefix: Ipv4Net) -> (Vec<Offer>, Vec<Option<Port>>) {
        let offer = |origin, preference| Offer { prefix, origin, preference };
        let local = self.cidrs.iter().find(|cidr| cidr.contains(&prefix));
        let local = local.map(|cidr| (Offer { prefix: *cidr, ..offer(Origin::Local, 0) }, None));
        let statics = self.statics.iter().filter(|(of, _)| *of == prefix);
        let statics = statics.enumerate().map(|(i, (_, port))| (offer(Origin::Static, i), Some(*port)));
        let propagated = self.offered.get(&prefix).filter(|(_, taken)| *taken);
        let propagated = propagated.map(|(from, _)| (offer(Origin::Propagated(*from), 0), Some(GATEWAY_PORT)));
        local.into_iter().chain(statics).chain(propagated).unzip()
    }

    /// All routes to a prefix, and how it chooses among them.
    pub fn weigh(&self, prefix: Ipv4Net) -> Weighing {
        let (offers, ports) = self.offers(prefix);
        let evaluation = evaluate(&offers, prefix.addr());
        let weighed = offers.iter().zip(ports).enumerate().map(|(i, (offer, via))| Weighed {
            via,
            kind: match offer.origin {
                Origin::Local => "local",
                Origin::Static => "static",
                Origin::PrefixList => "prefix list",
                Origin::Propagated(Propagated::DirectConnect) => "propagated (Direct Connect BGP)",
                Origin::Propagated(Propagated::VpnStatic) => "propagated (VPN static)",
                Origin::Propagated(Propagated::VpnBgp) => "propagated (VPN BGP)",
            },
            healthy: true,
            path: None,
            preference: offer.preference,
            gone_at: evaluation.as_ref().and_then(|e| e.gone_at[i]),
        });
        Weighing { routes: weighed.collect(), rule: evaluation.as_ref().map(|e| e.rule) }
    }

    /// The way to a prefix.
    fn way(&self, prefix: Ipv4Net) -> Option<Port> {
        match self.ip.fib().best(prefix)?.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        }
    }

    /// The step that decides about a prefix.
    fn rule(&self, prefix: Ipv4Net) -> Option<Rule> {
        evaluate(&self.offers(prefix).0, prefix.addr()).map(|evaluation| evaluation.rule)
    }

    /// Takes up a route that the gateway offers, if there is room for it. One that it has already, and that the gateway has from
    /// elsewhere, keeps its place.
    fn take(&mut self, cx: &mut Cx, prefix: Ipv4Net, from: Propagated, reason: Reason) {
        let others = self.offered.iter().filter(|(of, (_, taken))| *taken && **of != prefix).count();
        let taken = admit(others) == Admission::Taken;
        let before = self.offered.insert(prefix, (from, taken));
        if let Some((_, had)) = before.filter(|(_, had)| *had == taken) {
            if had {
                let (table, rule, beside, way) = (Table::Vpc, self.rule(prefix), Box::default(), self.way(prefix));
                let prefix = IpNet::V4(prefix);
                cx.remark(What::Route { table, prefix, from: way, to: way, reason, rule, beside, stays: true });
            }
            return;
        }
        if !taken {
            let (table, prefix, reason) = (Table::Vpc, IpNet::V4(prefix), Reason::TableFull);
            let (beside, stays) = (Box::default(), false);
            cx.record(What::Route { table, prefix, from: None, to: None, reason, rule: None, beside, stays });
            return;
        }
        let route = Route {
            prefix,
            source: RouteSource::Propagated,
            distance: distance::EBGP,
            metric: 0,
            target: Target::port(GATEWAY_PORT),
            since: RecordId::GENESIS,
        };
        let rule = self.rule(prefix);
        self.ip.install_by(cx, route, reason, rule);
    }

    /// Gives up a route that the gateway offers no longer, and takes up the first that had no room.
    fn give_up(&mut self, cx: &mut Cx, prefix: Ipv4Net) {
        let Some((_, taken)) = self.offered.remove(&prefix) else { return };
        if !taken {
            return;
        }
        self.ip.withdraw(cx, prefix, RouteSource::Propagated, Reason::Withdrawn);
        let waiting = self.offered.iter().find(|(_, (_, taken))| !taken).map(|(prefix, (from, _))| (*prefix, *from));
        if let Some((prefix, from)) = waiting {
            self.take(cx, prefix, from, Reason::Propagated);
        }
    }
}

impl Device for Vpc {
    fn start(&mut self, cx: &mut Cx) {
        self.ip.announce(cx);
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.offered.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if let Inbound::Transit(packet) = self.ip.inbound(cx, port, packet)
            && let Some((port, packet)) = self.ip.route(cx, packet)
        {
            self.ip.output(cx, port, packet);
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ip.wake()
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        let Notice::Propagate { prefix: IpNet::V4(prefix), offered } = notice else { return };
        // The local route covers the VPC's own addresses whatever is propagated.
        if !self.propagation || self.cidrs.iter().any(|cidr| cidr.contains(&prefix)) {
            return;
        }
        if !self.propagation_delay.is_zero() {
            cx.waited(TimerKind::PropagationDelay, self.propagation_delay);
        }
        match offered {
            Some(from) => self.take(cx, prefix, from, Reason::Propagated),
            None => self.give_up(cx, prefix),
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}

#[cfg(test)]
mod tests;
