//! A customer gateway: a router on the customer's premises with tunnels to AWS. Without tunnels it is any BGP router.
//!
//! Its forwarding table holds everything: connected networks, the ways to the outside addresses, static routes, and what
//! BGP learns through the tunnels.

use ipnet::Ipv4Net;

use super::gateway::{Gateway, Upcall};
use super::{Command, Cx, Device};
use crate::id::{Port, RecordId};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::proto::bgp::RouteChange;
use crate::reason::TimerKind;
use crate::time::Instant;

/// A customer gateway.
pub struct Cgw {
    gateway: Gateway,
}

impl Cgw {
    /// A customer gateway from its parts.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway }
    }

    /// Its parts, to look at.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Its parts, when it is out of use.
    pub fn into_gateway(self) -> Gateway {
        self.gateway
    }

    fn settle(&mut self, cx: &mut Cx) {
        while let Some(upcall) = self.gateway.poll() {
            match upcall {
                Upcall::Transit(packet, ingress) => self.gateway.forward(cx, packet, ingress),
                Upcall::Route(change, cause) => {
                    cx.cause = cause;
                    self.route(cx, &change);
                }
                Upcall::Tunnel(_) | Upcall::Session(_) => {}
            }
        }
    }

    /// BGP's best route goes into the forwarding table, or out of it.
    fn route(&mut self, cx: &mut Cx, change: &RouteChange) {
        let prefix: Ipv4Net = change.prefix;
        match change.to.and_then(|best| best.peer.map(|peer| (best, peer))) {
            Some((best, peer)) => {
                let Some(routing) = self.gateway.routing.as_ref() else { return };
                let (port, internal) = (routing.port(peer), routing.is_internal(peer));
                let route = Route {
                    prefix,
                    source: RouteSource::Bgp,
                    distance: if internal { distance::IBGP } else { distance::EBGP },
                    metric: best.med.unwrap_or(0),
                    target: Target::via(port, best.next_hop),
                    since: RecordId::GENESIS,
                };
                self.gateway.ip.install(cx, route, change.reason);
            }
            None => {
                self.gateway.ip.withdraw(cx, prefix, RouteSource::Bgp, change.reason);
            }
        }
    }
}

impl Device for Cgw {
    fn start(&mut self, cx: &mut Cx) {
        self.gateway.start(cx);
        self.settle(cx);
    }

    fn stop(&mut self) {
        self.gateway.stop();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        self.gateway.receive(cx, port, packet);
        self.settle(cx);
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.gateway.timeout(cx);
        self.settle(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.gateway.wake()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.gateway.carrier(cx, port, up);
        self.settle(cx);
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        self.gateway.command(cx, command);
        self.settle(cx);
    }
}
