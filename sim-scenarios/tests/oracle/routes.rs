//! What devices come to know: which ends of tunnels agree, and which prefixes BGP has carried where once all is said.
//!
//! A fixed point over sets of prefixes. Of several routes to a prefix by one session the shortest AS_PATH stands for all, because only
//! loops ask for it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use sim_core::id::{LinkId, NodeId};
use sim_core::net::filter::RuleAction;
use sim_core::proto::bgp::policy::{Policy, Verdict};
use sim_core::wire::ipv4::protocol;
use sim_scenarios::plan::{Attachment, BgpEnd, Connection, InterfaceKind, NodeKind, Plan, Routing, Tunnel, TunnelId};

use super::Out;

/// What is learned by one session: the AS_PATH to each prefix.
type Learned = BTreeMap<Ipv4Net, Vec<u32>>;

/// What everybody knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Routes {
    /// The tunnels that are up.
    pub up: BTreeSet<TunnelId>,
    /// By device: what each of its sessions has taught it, by which way, and whether by another autonomous system.
    learned: BTreeMap<(NodeId, usize), (Out, bool, Learned)>,
}

/// A BGP session that stands.
struct Session<'p> {
    /// Both ends: the device, its way to the other, its autonomous system and its side of the session.
    ends: [(NodeId, Out, u32, &'p BgpEnd); 2],
}

/// Whether the two ends of a tunnel have something in common in all that they must agree on.
pub(super) fn agree(tunnel: &Tunnel) -> bool {
    let (aws, customer) = (&tunnel.aws, &tunnel.customer);
    fn common<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        one.is_empty() && other.is_empty() || one.iter().any(|it| other.contains(it))
    }
    let phase = |one: &sim_scenarios::plan::Phase, other: &sim_scenarios::plan::Phase| {
        common(&one.encryption, &other.encryption) && common(&one.integrity, &other.integrity)
    };
    let meets = |one: Ipv4Net, other: Ipv4Net| one.contains(&other) || other.contains(&one);
    let numbers = |end: &sim_scenarios::plan::IkeEnd| end.extended_sequence_numbers.offered();
    common(&aws.ike_versions, &customer.ike_versions)
        && (aws.credentials.is_some() || aws.psk == customer.psk)
        && aws.credentials.is_some() == customer.credentials.is_some()
        && phase(&aws.phase1, &customer.phase1)
        && phase(&aws.phase2, &customer.phase2)
        && common(&aws.phase1.dh_groups, &customer.phase1.dh_groups)
        && meets(aws.local_cidr, customer.remote_cidr)
        && meets(aws.remote_cidr, customer.local_cidr)
        && aws.child_protocol == customer.child_protocol
        && common(numbers(aws), numbers(customer))
}

/// Whether a policy lets a prefix pass. Rules that ask for attributes are taken to do nothing.
fn passes(policy: Option<&Policy>, prefix: Ipv4Net) -> bool {
    let Some(policy) = policy else { return true };
    let within = |rule: &&sim_core::proto::bgp::policy::Rule| {
        rule.prefixes.is_empty()
            || rule
                .prefixes
                .iter()
                .any(|of| of.within.contains(&prefix) && (of.at_least..=of.at_most).contains(&prefix.prefix_len()))
    };
    let decides = policy.rules.iter().filter(|rule| rule.conditions.is_empty()).filter(within);
    decides.filter_map(|rule| rule.verdict).next().unwrap_or(policy.otherwise) == Verdict::Accept
}

impl Routes {
    /// Nobody knows anything.
    pub fn none(plan: &Plan) -> Self {
        Self::with(plan, BTreeSet::new())
    }

    /// What everybody knows while these tunnels are up.
    pub fn with(plan: &Plan, up: BTreeSet<TunnelId>) -> Self {
        let sessions = sessions(plan, &up);
        let mut routes = Self { up, learned: BTreeMap::new() };
        loop {
            let mut next = BTreeMap::new();
            for (number, session) in sessions.iter().enumerate() {
                for side in 0..2 {
                    let (to, out, own, end) = session.ends[side];
                    let (from, _, asn, other) = session.ends[1 - side];
                    let told = routes.told(plan, (from, number), (asn, own), other);
                    let import = end.import.as_ref().map(|named| &named.policy);
                    let heard: Learned = told
                        .into_iter()
                        .filter(|(prefix, path)| !path.contains(&own) && passes(import, *prefix))
                        .collect();
                    let most = end.max_prefixes.as_ref().map_or(usize::MAX, |limit| limit.most as usize);
                    let heard = if heard.len() > most { Learned::new() } else { heard };
                    next.insert((to, number), (out, own != asn, heard));
                }
            }
            if next == routes.learned {
                return routes;
            }
            routes.learned = next;
        }
    }

    /// What a device knows by BGP: prefix, whether from another autonomous system, and the way.
    pub fn known(&self, node: NodeId) -> impl Iterator<Item = (Ipv4Net, bool, Out)> {
        let of = self.learned.range((node, 0)..=(node, usize::MAX));
        of.flat_map(|(_, (out, external, learned))| learned.keys().map(|prefix| (*prefix, *external, *out)))
    }

    /// The prefixes that a device of AWS has learned from its one neighbour.
    pub fn at(&self, node: NodeId) -> impl Iterator<Item = Ipv4Net> {
        self.known(node).map(|(prefix, ..)| prefix)
    }

    /// What one end of a session tells the other.
    fn told(&self, plan: &Plan, (from, session): (NodeId, usize), (asn, to): (u32, u32), end: &BgpEnd) -> Learned {
        let mut all = self.originated(plan, from);
        let reflects = matches!(plan.nodes[from.index()].kind, NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_));
        if reflects {
            for ((_, number), (_, external, learned)) in self.learned.range((from, 0)..=(from, usize::MAX)) {
                // What was learned within the autonomous system stays with whoever learned it (RFC 4271 section 9.2).
                if *number == session || (!external && asn == to) {
                    continue;
                }
                for (prefix, path) in learned {
                    let known = all.entry(*prefix).or_insert_with(|| path.clone());
                    if path.len() < known.len() {
                        known.clone_from(path);
                    }
                }
            }
        }
        let export = end.export.as_ref().map(|named| &named.policy);
        let first = if asn == to { 0 } else { 1 + end.prepend as usize };
        let leaving = all.into_iter().filter(|(prefix, _)| passes(export, *prefix));
        leaving.map(|(prefix, path)| (prefix, std::iter::repeat_n(asn, first).chain(path).collect())).collect()
    }

    /// What a device says of its own, or in the name of its gateway: the ASes that each prefix came through.
    fn originated(&self, plan: &Plan, node: NodeId) -> Learned {
        let own = |prefixes: &[Ipv4Net]| prefixes.iter().map(|prefix| (*prefix, Vec::new())).collect();
        match &plan.nodes[node.index()].kind {
            NodeKind::CustomerGateway(it) => own(&it.advertise),
            NodeKind::BgpRouter(it) => own(&it.advertise),
            NodeKind::VpnEndpoint(endpoint) => self.announced(plan, endpoint.tunnel),
            NodeKind::VirtualInterface(vif) => {
                let mut all: Learned = own(&vif.advertise);
                let other = |it: &NodeKind| match it {
                    NodeKind::VirtualInterface(other) => other.gateway == vif.gateway && other.site_link,
                    _ => false,
                };
                if vif.site_link {
                    let others = plan.nodes.iter().zip((0..).map(NodeId));
                    let others = others.filter(|(it, id)| *id != node && other(&it.kind));
                    others.for_each(|(_, id)| all.extend(self.paths(id)));
                }
                if matches!(plan.nodes[vif.gateway.index()].kind, NodeKind::VirtualPrivateGateway(_)) {
                    all.extend(self.hub(plan, vif.gateway, node));
                }
                all
            }
            _ => Learned::new(),
        }
    }

    /// What one device of AWS has learned, with the ASes that it came through.
    fn paths(&self, node: NodeId) -> Learned {
        let of = self.learned.range((node, 0)..=(node, usize::MAX));
        of.flat_map(|(_, (.., learned))| learned.clone()).collect()
    }

    /// What a virtual private gateway tells one of its ends of the others (AWS VPN CloudHub): what it has by BGP. An end that hears of a
    /// prefix itself is told of no other way.
    fn hub(&self, plan: &Plan, gateway: NodeId, to: NodeId) -> Learned {
        let own = self.paths(to);
        let here = |connection: &&Connection| {
            connection.gateway == gateway && connection.tunnels.iter().all(|tunnel| tunnel.endpoint != to)
        };
        let endpoints = plan.connections.iter().filter(here).flat_map(|it| it.tunnels.iter().map(|it| it.endpoint));
        let others = endpoints.chain(interfaces(plan, gateway).filter(|id| *id != to));
        others.flat_map(|id| self.paths(id)).filter(|(prefix, _)| !own.contains_key(prefix)).collect()
    }

    /// What AWS announces over a tunnel: the VPC and other sites, or what is in the table that the attachment is associated with.
    fn announced(&self, plan: &Plan, tunnel: TunnelId) -> Learned {
        let connection = &plan.connections[tunnel.connection];
        let endpoint = connection.tunnels[tunnel.tunnel].endpoint;
        match &plan.nodes[connection.gateway.index()].kind {
            NodeKind::VirtualPrivateGateway(gateway) => {
                let mut all = self.hub(plan, connection.gateway, endpoint);
                all.extend(gateway.vpc.and_then(|vpc| block(plan, vpc)).map(|block| (block, Vec::new())));
                all
            }
            NodeKind::TransitGateway(gateway) => {
                let here = connection.concentrator.map_or(Attachment::Connection(tunnel.connection), |it| {
                    Attachment::Concentrator(connection.gateway, it)
                });
                let table = gateway.route_tables.iter().find(|table| table.associations.contains(&here));
                let Some(table) = table else { return Learned::new() };
                let own = self.paths(endpoint);
                let statics =
                    table.routes.iter().filter(|(_, to)| to.is_some()).map(|(prefix, _)| (*prefix, Vec::new()));
                let others = table.propagations.iter().filter(|from| **from != here);
                let propagated = others.flat_map(|from| self.behind(plan, *from));
                propagated.chain(statics).filter(|(prefix, _)| !own.contains_key(prefix)).collect()
            }
            _ => Learned::new(),
        }
    }

    /// What an attachment of a transit gateway propagates.
    pub fn behind(&self, plan: &Plan, attachment: Attachment) -> Learned {
        match attachment {
            Attachment::Vpc(vpc) => block(plan, vpc).into_iter().map(|block| (block, Vec::new())).collect(),
            Attachment::Connection(number) => {
                let connection = &plan.connections[number];
                match &connection.routing {
                    // Entered in the table by hand (page tgw-vpn-attachments.html).
                    Routing::Static(prefixes) => prefixes.iter().map(|prefix| (*prefix, Vec::new())).collect(),
                    Routing::Bgp => connection.tunnels.iter().flat_map(|it| self.paths(it.endpoint)).collect(),
                }
            }
            Attachment::DirectConnectGateway(gateway) => {
                interfaces(plan, gateway).flat_map(|it| self.paths(it)).collect()
            }
            // Peering propagates nothing (page tgw-peering.html); Connect is not known here.
            Attachment::Peering(_) | Attachment::Connect(_) => Learned::new(),
            Attachment::Concentrator(gateway, number) => {
                let on_it =
                    plan.connections.iter().filter(|it| it.gateway == gateway && it.concentrator == Some(number));
                on_it.flat_map(|it| &it.tunnels).flat_map(|it| self.paths(it.endpoint)).collect()
            }
        }
    }
}

/// The block of a VPC.
pub(super) fn block(plan: &Plan, vpc: NodeId) -> Option<Ipv4Net> {
    match &plan.nodes[vpc.index()].kind {
        NodeKind::Vpc(vpc) => Some(vpc.cidr),
        _ => None,
    }
}

/// The virtual interfaces on a gateway.
pub(super) fn interfaces(plan: &Plan, gateway: NodeId) -> impl Iterator<Item = NodeId> {
    let on = move |(node, id): (&sim_scenarios::plan::Node, u32)| match &node.kind {
        NodeKind::VirtualInterface(vif) => {
            (vif.gateway == gateway && vif.kind != InterfaceKind::Public).then_some(NodeId(id))
        }
        _ => None,
    };
    plan.nodes.iter().zip(0..).filter_map(on)
}

/// The sessions that stand.
fn sessions<'p>(plan: &'p Plan, up: &BTreeSet<TunnelId>) -> Vec<Session<'p>> {
    let mut all = Vec::new();
    for tunnel in up {
        let Connection { customer_gateway, tunnels, .. } = &plan.connections[tunnel.connection];
        let planned = &tunnels[tunnel.tunnel];
        let Some((aws, customer)) = &planned.bgp else { continue };
        let closed = planned.customer_access_list.iter().any(|rule| {
            rule.action != RuleAction::Pass
                && rule.protocol.is_none_or(|it| it == protocol::TCP)
                && rule.port.is_none_or(|(_, port)| port == 179)
        });
        if customer.asn == planned.customer_asn && aws.md5_key == customer.md5_key && !closed {
            let ends = [
                (planned.endpoint, Out::Node(*customer_gateway), aws.asn, aws),
                (*customer_gateway, Out::Tunnel(*tunnel), customer.asn, customer),
            ];
            all.push(Session { ends });
        }
    }
    let speakers: Vec<_> = plan
        .nodes
        .iter()
        .zip((0..).map(NodeId))
        .filter_map(|(node, id)| {
            let (asn, interfaces, forwarding) = match &node.kind {
                NodeKind::CustomerGateway(it) => (it.asn, &it.interfaces, &it.forwarding),
                NodeKind::BgpRouter(it) => (it.asn, &it.interfaces, &it.forwarding),
                NodeKind::VirtualInterface(it) => (it.asn, &it.interfaces, &it.forwarding),
                _ => return None,
            };
            Some((id, asn, interfaces, forwarding))
        })
        .collect();
    let link = |node: NodeId, interface: usize| {
        let here = |(it, _): &(&sim_scenarios::plan::Link, u32)| {
            it.ends.iter().any(|end| end.node == node && end.interface.unwrap_or_default() == interface)
        };
        plan.links.iter().zip(0..).find(here).map_or(Out::Nowhere, |(_, id)| Out::Link(LinkId(id)))
    };
    for (place, (a, asn, interfaces, forwarding)) in speakers.iter().enumerate() {
        for neighbor in &forwarding.neighbors {
            let local = interfaces[neighbor.interface].address.addr();
            for (b, other_asn, others, other) in &speakers[place + 1..] {
                let back = other
                    .neighbors
                    .iter()
                    .find(|it| others[it.interface].address.addr() == neighbor.address && it.address == local);
                let Some(back) = back else { continue };
                let agreed = neighbor.asn == *other_asn && back.asn == *asn && neighbor.end.md5_key == back.end.md5_key;
                if agreed && neighbor.attached && back.attached {
                    let ends = [
                        (*a, link(*a, neighbor.interface), *asn, &neighbor.end),
                        (*b, link(*b, back.interface), *other_asn, &back.end),
                    ];
                    all.push(Session { ends });
                }
            }
        }
    }
    all
}
