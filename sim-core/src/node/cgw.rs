//! A customer gateway: a router on the customer's premises with tunnels to AWS. Without tunnels it is any BGP router.
//!
//! Its forwarding table holds everything: connected networks, the ways to the outside addresses, static routes, and what
//! BGP learns through the tunnels. A route of a peer in the same AS, or of one several hops away, goes by the way to its NEXT_HOP,
//! and moves with it (RFC 4271 section 9.1.2.1).

use ipnet::{Ipv4Net, Ipv6Net};

use super::gateway::{Gateway, Upcall};
use super::ip::Ip;
use super::{Command, Cx, Device, Notice};
use crate::id::{Port, RecordId};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::proto::bgp::{Hop, RouteChange};
use crate::reason::{Reason, TimerKind};
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
                Upcall::Ipv6Transit(packet, ingress) => self.gateway.forward_ipv6(cx, packet, ingress),
                Upcall::Route(change, cause) => {
                    cx.cause = cause;
                    self.route(cx, &change);
                }
                Upcall::Ipv6Route(change, cause) => {
                    cx.cause = cause;
                    self.ipv6_route(cx, &change);
                }
                Upcall::NextHops(cause) => {
                    cx.cause = cause;
                    self.resolve_again(cx);
                }
                Upcall::Tunnel(_) | Upcall::Session(_) => {}
            }
        }
    }

    /// BGP's best route goes into the forwarding table with those that are used beside it, or all of them go out.
    fn route(&mut self, cx: &mut Cx, change: &RouteChange) {
        let best = change.to.and_then(|best| Some((Hop { peer: best.peer?, next_hop: best.next_hop }, best.med)));
        self.enter(cx, change.prefix, best, &change.also, change.reason);
    }

    /// What BGP uses for a prefix, as far as there is a way to its next hops, is all that the forwarding table has of it.
    fn enter(
        &mut self,
        cx: &mut Cx,
        prefix: Ipv4Net,
        best: Option<(Hop, Option<u32>)>,
        beside: &[Hop],
        reason: Reason,
    ) {
        let (source, Gateway { ip, routing, .. }) = (RouteSource::Bgp, &mut self.gateway);
        let Some(((best, med), routing)) = best.zip(routing.as_ref()) else {
            ip.withdraw(cx, prefix, source, reason);
            return;
        };
        let distance = if routing.is_internal(best.peer) { distance::IBGP } else { distance::EBGP };
        let route = |ip: &Ip, hop: Hop| {
            let target = match routing.port(hop.peer).filter(|_| !routing.is_farther(hop.peer)) {
                Some(port) => Target::via(port, hop.next_hop),
                None => ip.way_to(hop.next_hop)?,
            };
            Some(Route { prefix, source, distance, metric: med.unwrap_or(0), target, since: RecordId::GENESIS })
        };
        match (route(ip, best), beside) {
            (Some(route), []) => ip.install(cx, route, reason),
            (None, []) => ip.withdraw(cx, prefix, source, Reason::NextHopUnusable),
            (best, beside) => {
                let beside = beside.iter().filter_map(|hop| route(ip, *hop));
                let routes: Vec<Route> = best.into_iter().chain(beside).collect();
                ip.install_all(cx, prefix, source, &routes, reason)
            }
        };
    }

    /// The same of IPv6, of which sessions run through tunnels alone: a route goes by the port behind which its peer is.
    fn ipv6_route(&mut self, cx: &mut Cx, change: &RouteChange<Ipv6Net>) {
        let Gateway { ip, routing, .. } = &mut self.gateway;
        let Some(routing) = routing.as_ref() else { return };
        let best = change.to.and_then(|best| Some((Hop { peer: best.peer?, next_hop: best.next_hop }, best.med)));
        let hops = best.iter().map(|(hop, _)| hop).chain(best.iter().flat_map(|_| &change.also));
        let med = best.and_then(|(_, med)| med).unwrap_or(0);
        let route = |hop: &Hop<Ipv6Net>| {
            let distance = if routing.is_internal(hop.peer) { distance::IBGP } else { distance::EBGP };
            let target = Target::via(routing.port(hop.peer)?, hop.next_hop.global);
            let (prefix, source, since) = (change.prefix, RouteSource::Bgp, RecordId::GENESIS);
            Some(Route { prefix, source, distance, metric: med, target, since })
        };
        let routes: Vec<Route<Ipv6Net>> = hops.filter_map(route).collect();
        ip.install_ipv6(cx, change.prefix, &routes, change.reason);
    }

    /// The ways to next hops that are no neighbours may be others: what leads to them is entered again.
    fn resolve_again(&mut self, cx: &mut Cx) {
        let Some(routing) = self.gateway.routing.as_ref() else { return };
        let speaker = routing.speaker();
        let mut again = Vec::new();
        for (prefix, entry) in speaker.routes().iter() {
            let best = entry.best();
            let Some(peer) = best.peer.filter(|peer| routing.is_farther(*peer)) else { continue };
            let hop = Hop { peer, next_hop: best.next_hop };
            again.push((prefix, (hop, best.med), speaker.used_beside(prefix)));
        }
        let cause = cx.cause;
        for (prefix, best, beside) in again {
            cx.cause = cause;
            self.enter(cx, prefix, Some(best), &beside, Reason::NextHopMoved);
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

    fn held(&self) -> Vec<&Packet> {
        self.gateway.ip.held().collect()
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.gateway.wake()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.gateway.carrier(cx, port, up);
        self.settle(cx);
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Flow(flow) => self.gateway.adopt(&flow),
            Notice::Route { .. }
            | Notice::Health { .. }
            | Notice::Propagate { .. }
            | Notice::Announce(_)
            | Notice::ReplaceRoute { .. } => {}
            Notice::WantFlows => self.gateway.tell_all(cx),
        }
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        self.gateway.command(cx, command);
        self.settle(cx);
    }
}
