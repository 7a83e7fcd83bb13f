//! A customer gateway: a router on the customer's premises with tunnels to AWS. Without tunnels it is any BGP router.
//!
//! Its forwarding table holds everything: connected networks, the ways to the outside addresses, static routes, and what
//! BGP learns through the tunnels. A route of a peer that is behind no port of its own, as one by loopback addresses, goes by the
//! way to its NEXT_HOP, and moves with it (RFC 4271 section 9.1.2.1); a route of BGP itself is no such way here.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::gateway::{Gateway, Upcall};
use super::{Command, Cx, Device};
use crate::id::{Port, RecordId};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::proto::bgp::RouteChange;
use crate::reason::{Reason, TimerKind};
use crate::time::Instant;

/// A customer gateway.
pub struct Cgw {
    gateway: Gateway,
    /// BGP's routes of peers that are behind no port, as they came.
    recursive: BTreeMap<Ipv4Net, RouteChange>,
    /// The change of the forwarding table after which their next hops were looked up last.
    resolved: RecordId,
}

impl Cgw {
    /// A customer gateway from its parts.
    pub fn new(gateway: Gateway) -> Self {
        Self { gateway, recursive: BTreeMap::new(), resolved: RecordId::GENESIS }
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
                    self.remember(change);
                }
                Upcall::Tunnel(_) | Upcall::Session(_) => {}
            }
        }
        self.resolve(cx);
    }

    /// Keeps a route that must follow the way to its next hop.
    fn remember(&mut self, change: RouteChange) {
        let peers = change.to.and_then(|best| best.peer).into_iter().chain(change.also.iter().map(|hop| hop.peer));
        let routing = self.gateway.routing.as_ref();
        if routing.is_some_and(|routing| peers.into_iter().any(|peer| routing.port(peer).is_none())) {
            self.recursive.insert(change.prefix, change);
        } else if !self.recursive.is_empty() {
            self.recursive.remove(&change.prefix);
        }
    }

    /// Looks for the next hops again, if the table has changed.
    fn resolve(&mut self, cx: &mut Cx) {
        if self.recursive.is_empty() || self.gateway.ip.changed() == self.resolved {
            return;
        }
        let cause = self.gateway.ip.changed();
        for change in core::mem::take(&mut self.recursive).into_values() {
            let change = RouteChange { reason: Reason::NextHopMoved, ..change };
            cx.cause = cause;
            self.route(cx, &change);
            self.recursive.insert(change.prefix, change);
        }
        self.resolved = self.gateway.ip.changed();
    }

    /// BGP's best route goes into the forwarding table with those that are used beside it, or all of them go out.
    fn route(&mut self, cx: &mut Cx, change: &RouteChange) {
        let (prefix, source): (Ipv4Net, _) = (change.prefix, RouteSource::Bgp);
        let Some((best, peer)) = change.to.and_then(|best| best.peer.map(|peer| (best, peer))) else {
            self.gateway.ip.withdraw(cx, prefix, source, change.reason);
            return;
        };
        let (Some(routing), ip) = (self.gateway.routing.as_ref(), &self.gateway.ip) else { return };
        let distance = if routing.is_internal(peer) { distance::IBGP } else { distance::EBGP };
        let route = |peer, next_hop| {
            let port = routing.port(peer).or_else(|| ip.egress(next_hop))?;
            let (metric, target) = (best.med.unwrap_or(0), Target::via(port, next_hop));
            Some(Route { prefix, source, distance, metric, target, since: RecordId::GENESIS })
        };
        let first = route(peer, best.next_hop);
        if let (Some(first), true) = (first, change.also.is_empty()) {
            self.gateway.ip.install(cx, first, change.reason);
            return;
        }
        let beside = change.also.iter().map(|hop| route(hop.peer, hop.next_hop));
        let routes: Vec<Route> = core::iter::once(first).chain(beside).flatten().collect();
        if routes.is_empty() {
            self.gateway.ip.withdraw(cx, prefix, source, Reason::NextHopUnusable);
            return;
        }
        self.gateway.ip.install_all(cx, prefix, source, &routes, change.reason);
    }
}

impl Device for Cgw {
    fn start(&mut self, cx: &mut Cx) {
        self.gateway.start(cx);
        self.settle(cx);
    }

    fn stop(&mut self) {
        (self.recursive, self.resolved) = Default::default();
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
