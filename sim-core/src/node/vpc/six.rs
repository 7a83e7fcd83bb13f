//! IPv6 in a VPC: an IPv6 block, addresses of instances, and routes by hand in the same route tables (VPC user guide, page
//! vpc-cidr-blocks.html). The source/destination check is of both families.
//!
//! Left out: network ACLs and security groups with IPv6 rules, egress-only internet gateways, and every other gateway than a transit
//! gateway: a virtual private gateway carries no IPv6.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{Role, Vpc};
use crate::id::{Port, RecordId};
use crate::net::fib::{RouteSource, Target, distance};
use crate::node::Cx;
use crate::node::ip::{Ip, Miss};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::wire::ipv6::Ipv6Packet;

/// The IPv6 of a VPC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipv6Config {
    /// Its block, a /56 of AWS's or one's own.
    pub block: Ipv6Net,
    /// The addresses of instances, by their ports.
    pub interfaces: Vec<(Port, Ipv6Addr)>,
    /// The routes by hand of each route table; `None`: a blackhole.
    pub routes: Vec<Vec<(Ipv6Net, Option<Port>)>>,
}

impl Ipv6Config {
    /// Enters what it says into a route table, by its number.
    pub(super) fn enter(&self, number: usize, ip: &mut Ip) {
        ip.add_ipv6([]);
        // What is local and nobody's.
        ip.add_ipv6_route(self.block, RouteSource::Connected, distance::CONNECTED, Target::Blackhole);
        for (port, address) in &self.interfaces {
            ip.add_ipv6_route((*address).into(), RouteSource::Connected, distance::CONNECTED, Target::port(*port));
        }
        for (prefix, to) in self.routes.get(number).into_iter().flatten() {
            let target = to.map_or(Target::Blackhole, Target::port);
            ip.add_ipv6_route(*prefix, RouteSource::Static, distance::STATIC, target);
        }
    }
}

impl Vpc {
    /// A packet of IPv6 that came in by a port.
    pub(super) fn receive_ipv6(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let from = self.entrances[port.index()];
        let ip = Ipv6Packet::new_unchecked(packet.bytes());
        if self.refuses(port, ip.src()) {
            return cx.drop(&packet, DropReason::SourceDestinationCheck, RecordId::GENESIS);
        }
        let to = ip.dst();
        let table = &mut self.tables[usize::from(from.table)].ip;
        let changed = table.ipv6_changed();
        let (way, mut packet) = match table.way_ipv6(cx, packet) {
            Ok(way) => way,
            Err((packet, miss)) => {
                let (reason, blame) = match miss {
                    Miss::Blackhole(route) if route.source == RouteSource::Connected => {
                        (DropReason::VpcNoInterface, RecordId::GENESIS)
                    }
                    Miss::Blackhole(route) => (DropReason::BlackholeRoute, route.since),
                    Miss::NoRoute => (DropReason::VpcNoRoute, changed),
                };
                return cx.drop(&packet, reason, blame);
            }
        };
        let way = match self.entrances[way.index()].role {
            Role::TransitGateway => self.attachment(from, way),
            _ => Some(way),
        };
        let Some(way) = way else { return cx.drop(&packet, DropReason::AttachmentZone, RecordId::GENESIS) };
        let passes_through = !from.role.is_interface() && !self.entrances[way.index()].role.is_interface();
        if passes_through && !Ipv6Packet::new_unchecked(packet.bytes_mut()).decrement_hop_limit() {
            return cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
        }
        if self.refuses(way, to) {
            return cx.drop(&packet, DropReason::SourceDestinationCheck, RecordId::GENESIS);
        }
        self.tables[0].ip.output(cx, way, packet);
    }

    /// Whether an interface neither sends from nor receives for an address.
    fn refuses(&self, port: Port, address: Ipv6Addr) -> bool {
        let own = self.ipv6_interfaces.iter().find(|(of, _)| *of == port).map(|(_, own)| *own);
        let is_checked = self.entrances[port.index()].checked.is_some();
        is_checked && own != Some(address)
    }
}
