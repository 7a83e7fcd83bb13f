//! ICMP errors that a device originates (RFC 1812 section 4.3.2): of which address they are, and which way they go.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Ip;
use crate::id::Port;
use crate::net::fib::{Route, RouteSource, Target};
use crate::net::icmp::Trouble;
use crate::node::Cx;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::trace::HopStep;
use crate::wire::ipv4::Ipv4Packet;

impl Ip {
    /// Tells the sender of `packet` why it goes no further, if the rules allow: never about an ICMP error, and no more than so
    /// many a second ([`crate::net::icmp`]). The error is routed as any packet of the device; one that goes into a tunnel is
    /// left for the device to seal ([`Ip::unsealed`]).
    pub fn refuse(&mut self, cx: &mut Cx, packet: &Packet, trouble: impl Into<Trouble>) {
        let Some(&first) = self.own.first().filter(|_| self.talks) else { return };
        let sender = Ipv4Packet::new_unchecked(packet.bytes()).src();
        // What the device sends itself it need not be told of, least of all by way of a link.
        if self.own.contains(&sender) {
            return;
        }
        let way = self.fib.lookup(sender);
        let port = self.answers.or_else(|| match way?.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        });
        let from = port.and_then(|port| self.address_at(port)).unwrap_or(first);
        let (networks, meta) = (self.networks(), cx.meta());
        let report = self.reporter.report(cx.now, packet.bytes(), trouble.into(), from, &networks, meta);
        let Ok(mut error) = report else { return };
        self.identify(&mut error);
        cx.created(&error);
        if let Some(port) = self.answers {
            cx.hop(error.meta.id, HopStep::Forwarded(port, Ipv4Addr::UNSPECIFIED));
            return self.output(cx, port, error);
        }
        match way {
            Some(Route { target: Target::Out { port, next_hop }, since, .. }) => {
                error.needs(since);
                cx.hop(error.meta.id, HopStep::Forwarded(port, next_hop.unwrap_or(Ipv4Addr::UNSPECIFIED)));
                if self.interfaces.get(port.index()).copied().flatten().is_some_and(|i| i.tunnel) {
                    self.unsealed.push((port, error));
                    self.owes = true;
                } else {
                    self.output(cx, port, error);
                }
            }
            Some(route) => cx.drop(&error, DropReason::BlackholeRoute, route.since),
            None => cx.drop(&error, self.no_route, self.changed),
        }
    }

    /// Sends errors by this port, from which what they will be about comes, or by the table again. A device that forwards by ports, as
    /// an end of AWS's does, has no route to the sender.
    pub fn answer_by(&mut self, port: Option<Port>) {
        self.answers = port;
    }

    /// Makes a port a tunnel's, into which only the device can send.
    pub fn set_tunnel(&mut self, port: Port) {
        if let Some(Some(interface)) = self.interfaces.get_mut(port.index()) {
            interface.tunnel = true;
        }
    }

    /// The oldest error that the device has to seal, and by which port it goes.
    pub fn unsealed(&mut self) -> Option<(Port, Packet)> {
        if !self.owes {
            return None;
        }
        self.owes = self.unsealed.len() > 1;
        if self.unsealed.is_empty() { None } else { Some(self.unsealed.remove(0)) }
    }

    /// The address of an interface: errors that it sends are from there (section 4.3.2.4).
    fn address_at(&self, port: Port) -> Option<Ipv4Addr> {
        let network = self.configured_on(port).find(|c| c.route.source == RouteSource::Connected)?.route.prefix;
        self.own.iter().copied().find(|own| network.contains(own))
    }

    /// The networks of all interfaces, whose broadcast addresses are nobody's.
    fn networks(&self) -> Vec<Ipv4Net> {
        let connected = self.configured.iter().filter(|c| c.route.source == RouteSource::Connected);
        connected.map(|c| c.route.prefix).collect()
    }
}
