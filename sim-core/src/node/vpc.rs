//! A VPC: its implicit router with one route table, and the instances behind it.
//!
//! The table follows "Route table priority" of the VPC user guide: the local route beats any propagated route, also a
//! more specific one; then the longest prefix; then static before propagated. Left out for now: several tables,
//! security groups, network ACLs, and the limit of 100 propagated routes.

use ipnet::{IpNet, Ipv4Net};

use super::ip::{Inbound, Ip};
use super::{Cx, Device, Notice, link_reason};
use crate::id::{Port, RecordId};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::Table;

/// The port towards the virtual private gateway.
pub const GATEWAY_PORT: Port = Port(0);

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
    ip: Ip,
}

impl Vpc {
    /// A VPC with these CIDR blocks. `statics` are routes to the gateway; `propagation` lets it add its own, which take
    /// that long to get here ([`super::vgw::VgwConfig::propagation_delay`]).
    pub fn new(cidrs: Vec<Ipv4Net>, statics: &[Ipv4Net], propagation: Option<Duration>, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Vpc, DropReason::VpcNoRoute);
        ip.add_port(GATEWAY_PORT, mtu);
        for prefix in statics {
            ip.add_route(*prefix, RouteSource::Static, distance::STATIC, GATEWAY_PORT);
        }
        let propagation_delay = propagation.unwrap_or_default();
        Self { cidrs, propagation: propagation.is_some(), propagation_delay, ip }
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
}

impl Device for Vpc {
    fn start(&mut self, cx: &mut Cx) {
        self.ip.announce(cx);
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
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
        if offered {
            let route = Route {
                prefix,
                source: RouteSource::Propagated,
                distance: distance::EBGP,
                metric: 0,
                target: Target::port(GATEWAY_PORT),
                since: RecordId::GENESIS,
            };
            self.ip.install(cx, route, Reason::Propagated);
        } else {
            self.ip.withdraw(cx, prefix, RouteSource::Propagated, Reason::Withdrawn);
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}
