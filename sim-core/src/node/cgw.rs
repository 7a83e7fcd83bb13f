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
        while let Some(upcall) = self.gateway.poll(cx) {
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

    /// BGP's best route goes into the forwarding table with those that are used beside it, or all of them go out.
    fn route(&mut self, cx: &mut Cx, change: &RouteChange) {
        let (prefix, source): (Ipv4Net, _) = (change.prefix, RouteSource::Bgp);
        let Some((best, peer)) = change.to.and_then(|best| best.peer.map(|peer| (best, peer))) else {
            self.gateway.ip.withdraw(cx, prefix, source, change.reason);
            return;
        };
        let Some(routing) = self.gateway.routing.as_ref() else { return };
        let distance = if routing.is_internal(peer) { distance::IBGP } else { distance::EBGP };
        let route = |peer, next_hop| Route {
            prefix,
            source,
            distance,
            metric: best.med.unwrap_or(0),
            target: Target::via(routing.port(peer), next_hop),
            since: RecordId::GENESIS,
        };
        let best = route(peer, best.next_hop);
        if change.also.is_empty() {
            self.gateway.ip.install(cx, best, change.reason);
            return;
        }
        let beside = change.also.iter().map(|hop| route(hop.peer, hop.next_hop));
        let routes: Vec<Route> = core::iter::once(best).chain(beside).collect();
        self.gateway.ip.install_all(cx, prefix, source, &routes, change.reason);
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
