//! Outside the tunnels: routers, NATs and what they see of each other.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use sim_core::id::{LinkId, NodeId};
use sim_core::net::filter::{PortOf, Rule, RuleAction, RuleDirection};
use sim_core::net::nat::Mode;
use sim_core::wire::ipv4::protocol;
use sim_scenarios::plan::{Connection, End, Nat, NodeKind};

use super::{Entry, Oracle, Packet, Place, Rewrites, Rewritten};

impl Oracle<'_> {
    /// What of the underlay a link's end shows to the other end: the length of the prefix by which an address is found there.
    fn shows(&self, end: End, address: Ipv4Addr) -> Option<u8> {
        let is = |shown: bool| shown.then_some(32);
        match self.kind(end.node) {
            NodeKind::Host(host) => is(host.address.addr() == address),
            NodeKind::VpnEndpoint(endpoint) => is(endpoint.address == address),
            NodeKind::Router(router) => is(router.address == Some(address)),
            NodeKind::InternetGateway(gateway) => is(gateway.addresses.iter().any(|(_, elastic)| *elastic == address)),
            NodeKind::BgpRouter(router) => is(router.interfaces[end.interface?].address.addr() == address),
            NodeKind::CustomerGateway(gateway) => {
                let number = end.interface?;
                let begins = |it: &Connection| it.customer_gateway == end.node && it.customer_interface == number;
                let own = gateway.interfaces[number].address.addr() == address;
                let outside = self.plan.connections.iter().any(begins);
                if own { Some(32) } else { (!outside).then_some(0) }
            }
            NodeKind::Nat(nat) => {
                let inside = end.interface == Some(Nat::INSIDE) && nat.inside.addr() == address;
                is(inside || nat.outside_addresses().contains(&address))
            }
            _ => None,
        }
    }

    /// By which links a device of the underlay reaches an address, and the length of the prefix: the fewest links.
    pub(super) fn underlay(&self, node: NodeId, address: Ipv4Addr) -> Vec<(LinkId, u8)> {
        let carries = |node: NodeId| matches!(self.kind(node), NodeKind::Router(_) | NodeKind::Nat(_));
        for length in [32, 0] {
            // From each end that shows the address outwards, one link after another.
            let mut found: Vec<(u32, LinkId)> = Vec::new();
            for (link, planned) in (0..).map(LinkId).zip(&self.plan.links) {
                for (end, other) in [(planned.ends[0], planned.ends[1]), (planned.ends[1], planned.ends[0])] {
                    let takes = length > 0 || carries(node);
                    if end.node == node || self.shows(end, address) != Some(length) || !takes {
                        continue;
                    }
                    found.extend(self.distances(node, end.node, other, link));
                }
            }
            if let Some(least) = found.iter().map(|(distance, _)| *distance).min() {
                let best = found.into_iter().filter(|(distance, _)| *distance == least);
                return best.map(|(_, link)| (link, length)).collect();
            }
        }
        Vec::new()
    }

    /// How many links a device is away from `owner`, which is behind `link` from `first` on, and by which of its links.
    fn distances(&self, node: NodeId, owner: NodeId, first: End, link: LinkId) -> Vec<(u32, LinkId)> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([owner]);
        let mut queue = VecDeque::from([(first, link, 1)]);
        while let Some((at, by, distance)) = queue.pop_front() {
            if at.node == node {
                found.push((distance, by));
                continue;
            }
            // The inside of a NAT sees what is outside of it, and is itself not seen there unless nothing is translated.
            let beyond = match self.kind(at.node) {
                NodeKind::Router(_) => true,
                NodeKind::Nat(nat) => at.interface == Some(Nat::OUTSIDE) || nat.config.mode == Mode::Routed,
                _ => false,
            };
            if !beyond || !seen.insert(at.node) {
                continue;
            }
            queue.extend(
                self.links_of(at.node)
                    .filter(|(next, ..)| *next != by)
                    .map(|(next, _, other)| (other, next, distance + 1)),
            );
        }
        found
    }

    /// A router: by the underlay, or to AWS's ends of public virtual interfaces.
    pub(super) fn by_underlay(&self, node: NodeId, packet: Packet) -> Vec<(Place, Packet)> {
        let to = packet.destination;
        let public = self.plan.nodes.iter().zip((0..).map(NodeId)).find(|(other, _)| match &other.kind {
            NodeKind::VirtualInterface(vif) => vif.gateway == node && vif.interfaces[0].address.trunc().contains(&to),
            _ => false,
        });
        if let Some((_, vif)) = public {
            return vec![(Place::At(vif, Entry::Node(node)), packet)];
        }
        let ways = self.underlay(node, to);
        if ways.is_empty() {
            return vec![(Place::Lost("a router without a route"), packet)];
        }
        // Of equal ways a router takes the first of the drawing.
        ways.iter().take(1).map(|(link, _)| (self.over(*link, node), packet)).collect()
    }

    pub(super) fn through_nat(
        &self,
        node: NodeId,
        nat: &Nat,
        from: Entry,
        packet: Packet,
        rewrites: &mut Rewrites,
    ) -> Vec<(Place, Packet)> {
        let inside =
            |link: LinkId| self.links_of(node).any(|(of, end, _)| of == link && end.interface == Some(Nat::INSIDE));
        let outbound = matches!(from, Entry::Link(link) if inside(link));
        if filtered(&nat.filter, &packet, outbound) {
            return vec![(Place::Lost("a filter"), packet)];
        }
        let mut after = packet;
        if nat.config.mode != Mode::Routed {
            if outbound {
                let Some(shown) = nat.shows(packet.source) else { return vec![(Place::Lost("a NAT"), packet)] };
                after.source = shown;
                let ends = |it: Packet| (it.source, it.destination);
                rewrites.insert(node, Rewritten { before: ends(packet), after: ends(after) });
            } else if let Mode::OneToOne(pairs) = &nat.config.mode {
                match pairs.iter().find(|(_, outside)| *outside == packet.destination) {
                    Some((inside, _)) => after.destination = *inside,
                    None => return vec![(Place::Lost("a NAT"), packet)],
                }
            } else {
                match rewrites.get(&node).filter(|it| it.after.0 == packet.destination) {
                    Some(it) => after.destination = it.before.0,
                    None => return vec![(Place::Lost("a NAT"), packet)],
                }
            }
        }
        let ways = self.underlay(node, after.destination);
        let out = ways.iter().find(|(link, _)| inside(*link) != outbound);
        vec![(out.map_or(Place::Lost("a NAT without a route"), |(link, _)| self.over(*link, node)), after)]
    }
}

/// Whether the first rule that fits drops a packet.
fn filtered(rules: &[Rule], packet: &Packet, outbound: bool) -> bool {
    let fits = |rule: &&Rule| {
        let way = match rule.direction {
            RuleDirection::Outbound => outbound,
            RuleDirection::Inbound => !outbound,
            RuleDirection::Both => true,
        };
        let port = rule.port.is_none_or(|(of, port)| match of {
            PortOf::Outside => port == if outbound { packet.ports.1 } else { packet.ports.0 },
            PortOf::Either => port == packet.ports.0 || port == packet.ports.1,
        });
        // Between the ends of a tunnel: the first message is IKE's, and what follows at 4500 is ESP or again IKE.
        let contents = rule.contents.is_none_or(|_| packet.protocol == protocol::UDP);
        way && port && contents && rule.protocol.is_none_or(|protocol| protocol == packet.protocol)
    };
    rules.iter().find(fits).is_some_and(|rule| rule.action != RuleAction::Pass)
}
