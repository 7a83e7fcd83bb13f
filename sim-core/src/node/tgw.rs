//! A transit gateway: attachments, route tables, and what is propagated between them (VPC guide, "How AWS Transit Gateway
//! works").
//!
//! An attachment is associated with one route table, which its traffic is looked up in, and propagates its routes into any
//! number of them. Which route of a table is used, and when several are, is [`crate::net::aws::tgw`]'s to say. A customer gateway is
//! told what is in the table that its attachment is associated with, but for blackholes (Site-to-Site VPN quotas and user guide page
//! vpn-route-priority.html), with the AS_PATH that the route came with, in which the ASes of a set have become a sequence. Who announces
//! a prefix himself is not told of it (the documents do not say).
//!
//! ```text
//!  VPC ---- attachment --.   propagation   .-- route table --.
//!                         >---------------<                   >-- lookup by the source's association
//!  tunnels - attachment -+                 '-- route table --'
//!  DX gateway attachment -+
//!  peering - attachment --' (no propagation)
//! ```
//!
//! Peering knows static routes only, in both gateways' tables (page tgw-peering.html). What goes out by it loses one from its TTL, so that
//! routes of two gateways that point at each other end.
//!
//! A VPC's attachment has a network interface in one subnet of each availability zone that it is in; which of them a packet goes out by is
//! for `zones` to say. What an attachment carries at most, `limits` holds (page transit-gateway-quotas.html).
//!
//! Connect peers and VPN Concentrators are attachments of tunnels, too: their ends are devices of their own ([`super::endpoint`]), which
//! tell what they have learned and hear what they shall announce.
//!
//! Which of several ways a flow takes is a hash that AWS does not publish: here that of [`crate::net::multipath`], over the five
//! numbers of a flow.
//!
//! Packets of 8,500 octets pass between VPCs, Direct Connect and peering if the scenario has any ([`Tgw::widen`]); tunnels have 1,500.
//! Who opens a TCP connection through it hears of no segments that are longer (MSS clamping, page transit-gateway-quotas.html).
//!
//! IPv6 has the same attachments and tables: the IPv6 blocks of VPCs and what VPN connections learn of IPv6 are propagated. It has no
//! static routes here, so that it is not carried by peering, nor over Direct Connect.
//!
//! Left out: multicast, policy tables, and that an attachment leaves an availability zone that has failed.

mod announce;
mod limits;
mod state;
mod zones;

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thin_vec::ThinVec;

use self::announce::News;
use self::limits::Limits;
use self::state::{Chosen, State};
use self::zones::Zones;
use super::counters::AttachmentTraffic;
use super::ends::Ends;
use super::gateway::{clamp, six};
use super::ip::{Inbound, Ip};
use super::{Command, Cx, Device, Notice, Weighed, Weighing};
use crate::id::{NodeId, Port, RecordId};
use crate::net::aws::tgw::{Kind, Route as Offer, evaluate};
use crate::net::flow_meter::{FlowMeter, Glimpse, Lost};
use crate::net::multipath::Multipath;
use crate::net::policer::Limit;
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::{HopStep, Table, What};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::is_ipv6;

/// Octets of the headers of IP and TCP without options, which an MSS leaves out (RFC 9293 section 3.7.1): of IPv4, of IPv6.
const TCP_HEADERS: [usize; 2] = [40, 60];

/// The port towards tunnel endpoint `tunnel`. Those towards Direct Connect gateways follow, and then those towards VPCs.
pub const fn tunnel_port(tunnel: u16) -> Port {
    Port(tunnel)
}

/// The port towards the outside of private-IP tunnel `number`, of a gateway with so many other ports.
pub const fn outside_port(others: u16, number: u16) -> Port {
    Port(others + number)
}

/// The port towards network interface `number` of its VPC attachments, of a gateway with so many tunnels and Direct Connect gateways. Those
/// towards peering attachments follow.
pub const fn vpc_port(ends: u16, number: u16) -> Port {
    Port(ends + number)
}

/// What a gateway is made from.
#[derive(Clone, Debug)]
pub struct TgwConfig {
    /// What is attached.
    pub attachments: Vec<Attachment>,
    /// The route tables.
    pub tables: Vec<RouteTable>,
    /// Its ends: the endpoint of each tunnel, then Direct Connect gateways, then Connect peers.
    pub endpoints: Vec<NodeId>,
    /// Endpoints of private-IP VPN and Connect peers: the outside address of each, out of the gateway's own CIDR blocks, and the attachment that transports
    /// its tunnel.
    pub outside: Vec<(Ipv4Addr, u16)>,
    /// Tunnel numbers, the one that AWS prefers when nothing else decides first.
    pub preference: Vec<u16>,
    /// VPN ECMP support.
    pub vpn_ecmp: bool,
    /// How flows are spread over several ways.
    pub multipath: Multipath,
    /// How flows are spread over the availability zones of an attachment.
    pub zone_multipath: Multipath,
    /// What the sites of a VPN Concentrator have each: the tunnels of one, and what they carry together.
    pub sites: Vec<(Vec<u16>, Limit)>,
    /// The IPv6 blocks of VPCs, with their attachments.
    pub ipv6_blocks: Vec<(u16, Ipv6Net)>,
    /// From a choice to packets following it.
    pub programming_delay: Duration,
    /// From the death of an endpoint's hardware to the gateway holding it unhealthy.
    pub health_delay: Duration,
}

/// An attachment.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// What is attached.
    pub to: Attached,
    /// The route table that its traffic is looked up in; without one it is dropped.
    pub association: Option<u8>,
    /// The route tables that its routes go into.
    pub propagation: Vec<u8>,
    /// What it carries at most, each way; `None`: its tunnels see to it.
    pub limit: Option<Limit>,
}

/// What is attached.
#[derive(Clone, Debug)]
pub enum Attached {
    /// A VPC.
    Vpc {
        /// Its CIDR block.
        cidr: Ipv4Net,
        /// The availability zone of each network interface of the attachment. At least one.
        zones: Vec<u8>,
        /// Whether a flow keeps to one of them, both ways (appliance mode).
        appliance_mode: bool,
    },
    /// Tunnels: of a VPN connection or VPN Concentrator, or GRE of a Connect attachment.
    Tunnels {
        /// By their numbers on the gateway.
        tunnels: Vec<u16>,
        /// What their routes are.
        kind: Kind,
    },
    /// A Direct Connect gateway.
    DirectConnectGateway {
        /// Its number among the gateway's ends, after those of all tunnels.
        end: u16,
    },
    /// Another transit gateway.
    Peering,
}

/// A route table.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Static routes: to an attachment, or a blackhole.
    pub statics: Vec<(Ipv4Net, Option<u16>)>,
}

/// A choice that packets do not follow yet.
#[derive(Clone, Debug)]
struct Pending {
    due: Instant,
    cause: RecordId,
    table: u8,
    prefix: IpNet,
    to: Option<Chosen>,
    reason: Reason,
}

/// A transit gateway.
#[derive(Clone, Debug)]
pub struct Tgw {
    config: TgwConfig,
    ip: Ip,
    /// The attachment behind each port.
    attached: Vec<u16>,
    /// The CIDR blocks of VPCs and their attachments, in order.
    blocks: Vec<(IpNet, u16)>,
    /// The place of each tunnel in AWS's preference.
    rank: Vec<usize>,
    zones: Zones,
    limits: Limits,
    ends: Ends,
    tables: Vec<State>,
    pending: VecDeque<Pending>,
    /// What changed in tables, by their numbers, and endpoints were not told of yet.
    news: Vec<(u8, News)>,
    /// By attachment.
    traffic: Vec<AttachmentTraffic>,
    /// The flows at attachments, by their numbers.
    flows: Option<Box<FlowMeter>>,
}

impl Tgw {
    /// A gateway with a port for each tunnel, then for each network interface of its VPC attachments, then for each peering, in the order of
    /// its attachments.
    pub fn new(config: TgwConfig, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Tgw(0), DropReason::TgwNoRoute);
        let ends = config.endpoints.len();
        ip.add_ipv6([]);
        let mut attached = vec![0; ends];
        for (number, attachment) in config.attachments.iter().enumerate() {
            match &attachment.to {
                Attached::Tunnels { tunnels, .. } => {
                    tunnels.iter().for_each(|t| attached[usize::from(*t)] = number as u16);
                }
                Attached::DirectConnectGateway { end } => attached[usize::from(*end)] = number as u16,
                Attached::Vpc { zones, .. } => attached.extend(zones.iter().map(|_| number as u16)),
                Attached::Peering => {}
            }
        }
        let peerings = config.attachments.iter().enumerate().filter(|(_, it)| matches!(it.to, Attached::Peering));
        attached.extend(peerings.map(|(number, _)| number as u16));
        attached.extend(config.outside.iter().map(|(_, transport)| *transport));
        (0..attached.len()).for_each(|port| ip.add_port(Port(port as u16), mtu));
        let zones = Zones::new(&config.attachments, ends, config.zone_multipath);
        let limits = Limits::new(&config.attachments, &attached, &config.sites);
        let ends = Ends::new(ends, config.health_delay);
        let tables = vec![State::spreading(config.multipath); config.tables.len()];
        let traffic = vec![AttachmentTraffic::default(); config.attachments.len()];
        let (pending, news) = Default::default();
        let vpcs = (0..).zip(&config.attachments).filter_map(|(number, attachment)| match &attachment.to {
            Attached::Vpc { cidr, .. } => Some((IpNet::V4(*cidr), number)),
            Attached::Tunnels { .. } | Attached::DirectConnectGateway { .. } | Attached::Peering => None,
        });
        let ipv6 = config.ipv6_blocks.iter().map(|(of, block)| (IpNet::V6(*block), *of));
        let mut blocks: Vec<(IpNet, u16)> = vpcs.chain(ipv6).collect();
        blocks.sort_unstable();
        let mut rank = vec![usize::MAX; config.endpoints.len()];
        config.preference.iter().enumerate().for_each(|(place, tunnel)| rank[usize::from(*tunnel)] = place);
        Self { config, ip, attached, blocks, rank, zones, limits, ends, tables, pending, news, traffic, flows: None }
    }

    /// What went through each attachment so far, in their order.
    pub fn traffic(&self) -> &[AttachmentTraffic] {
        &self.traffic
    }

    /// The same gateway counts the flows at its attachments, for flow logs.
    pub fn metered(mut self) -> Self {
        self.flows = Some(Box::default());
        self
    }

    /// The flows at its attachments, if they are counted; the other place of a flow is the other attachment. What is lost is counted
    /// where it came in.
    pub fn flows(&self) -> Option<&FlowMeter> {
        self.flows.as_deref()
    }

    /// Counts a packet at the attachment that it comes from, and at the one that it goes to unless it is lost.
    #[cold]
    fn meter(&mut self, now: Instant, seen: &Glimpse, from: Port, to: Result<Port, Lost>) {
        let Some(flows) = &mut self.flows else { return };
        let (from, to) = (self.attached[from.index()], to.map(|to| self.attached[to.index()]));
        flows.count(now, (from, true, to.ok()), seen, to.map(|_| ()), true);
        if let Ok(to) = to {
            flows.count(now, (to, false, Some(from)), seen, Ok(()), true);
        }
    }

    /// The ways out that packets to exactly this prefix take now: several with ECMP, none of a blackhole.
    pub fn ways(&self, table: u8, prefix: impl Into<IpNet>) -> Option<&[Port]> {
        self.tables.get(usize::from(table))?.in_force.get(&prefix.into()).map(|chosen| &chosen.ways[..])
    }

    /// The prefixes of a table.
    pub fn prefixes(&self, table: u8) -> impl Iterator<Item = IpNet> {
        self.tables.get(usize::from(table)).into_iter().flat_map(|table| table.in_force.keys().copied())
    }

    fn attachment(&self, port: Port) -> &Attachment {
        &self.config.attachments[usize::from(self.attached[port.index()])]
    }

    /// The port of an attachment that is a VPC or peering, of a VPC the first.
    fn port_of(&self, attachment: u16) -> Port {
        let first = self.ends.len();
        let place = self.attached[first..].iter().position(|a| *a == attachment);
        Port((first + place.unwrap_or_default()) as u16)
    }

    /// The routes to a prefix that a table is offered, and where they go.
    fn offers(&self, table: u8, prefix: IpNet) -> (Vec<Offer>, Vec<Option<Port>>) {
        let mut found = Vec::new();
        let base = Offer { prefix, kind: Kind::Static, healthy: true, path: None, preference: 0 };
        let of_tunnel = |tunnel: u16, kind, path| {
            let healthy = self.ends.of(tunnel).healthy;
            let preference = self.rank.get(usize::from(tunnel)).copied().unwrap_or(usize::MAX);
            (Offer { kind, healthy, path, preference, ..base.clone() }, Some(tunnel_port(tunnel)))
        };
        for (_, to) in self.config.tables[usize::from(table)].statics.iter().filter(|(of, _)| IpNet::V4(*of) == prefix)
        {
            match to.map(|to| (to, &self.config.attachments[usize::from(to)].to)) {
                None => found.push((base.clone(), None)),
                Some((to, Attached::Vpc { .. } | Attached::Peering)) => {
                    found.push((base.clone(), Some(self.port_of(to))));
                }
                Some((_, Attached::Tunnels { tunnels, .. })) => {
                    found.extend(tunnels.iter().map(|tunnel| of_tunnel(*tunnel, Kind::Static, None)));
                }
                Some((_, Attached::DirectConnectGateway { end })) => found.push(of_tunnel(*end, Kind::Static, None)),
            }
        }
        for number in self.that_have(prefix) {
            let attachment = &self.config.attachments[usize::from(number)];
            if !attachment.propagation.contains(&table) {
                continue;
            }
            match &attachment.to {
                Attached::Vpc { .. } => {
                    // Of VPCs with the same CIDR block the first one's is propagated and no other (page tgw-route-tables.html).
                    if found.iter().all(|(offer, _)| offer.kind != Kind::Vpc) {
                        found.push((Offer { kind: Kind::Vpc, ..base.clone() }, Some(self.port_of(number))));
                    }
                }
                Attached::Peering => {}
                Attached::DirectConnectGateway { end } => {
                    let path = self.ends.of(*end).path(prefix);
                    found.extend(path.map(|path| of_tunnel(*end, Kind::DirectConnectGateway, Some(path.clone()))));
                }
                Attached::Tunnels { tunnels, kind } => found.extend(tunnels.iter().filter_map(|tunnel| {
                    let path = self.ends.of(*tunnel).path(prefix)?;
                    Some(of_tunnel(*tunnel, *kind, Some(path.clone())))
                })),
            }
        }
        found.into_iter().unzip()
    }

    /// The attachments that have a prefix to propagate, in their order.
    fn that_have(&self, prefix: IpNet) -> Vec<u16> {
        let ends = self.ends.that_know(prefix).iter().map(|end| self.attached[usize::from(*end)]);
        let first = self.blocks.partition_point(|(block, _)| *block < prefix);
        let vpcs = self.blocks[first..].iter().take_while(|(block, _)| *block == prefix);
        let mut all: Vec<u16> = ends.chain(vpcs.map(|(_, attachment)| *attachment)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// All routes to a prefix that a table is offered, and how it chooses among them.
    pub fn weigh(&self, table: u8, prefix: impl Into<IpNet>) -> Weighing {
        let prefix = prefix.into();
        let (offers, ways) = self.offers(table, prefix);
        let evaluation = evaluate(&offers, prefix.addr(), self.config.vpn_ecmp);
        let gone_at = |i: usize| evaluation.as_ref().map_or(Some(Rule::EndpointHealth), |e| e.gone_at[i]);
        let weighed = offers.iter().zip(ways).enumerate().map(|(i, (offer, via))| Weighed {
            via,
            kind: offer.kind.text(),
            healthy: offer.healthy,
            path: offer.path.clone(),
            preference: offer.preference,
            gone_at: gone_at(i),
        });
        Weighing { routes: weighed.collect(), rule: evaluation.as_ref().map(|e| e.rule) }
    }

    fn choose(&mut self, cx: &mut Cx, table: u8, prefix: IpNet, reason: Reason) {
        let (offers, ways) = self.offers(table, prefix);
        let best = evaluate(&offers, prefix.addr(), self.config.vpn_ecmp).map(|evaluation| Chosen {
            ways: evaluation.chosen.iter().filter_map(|&i| ways[i]).collect(),
            rule: evaluation.rule,
            as_path: offers[evaluation.best()].path.as_ref().map(|path| path.as_path.clone()).unwrap_or_default(),
        });
        let chosen = &mut self.tables[usize::from(table)].chosen;
        let before = match &best {
            Some(best) => chosen.insert(prefix, best.clone()),
            None => chosen.remove(&prefix),
        };
        match (&before, &best) {
            (None, None) => return,
            (Some(a), Some(b)) if a.ways == b.ways && a.as_path == b.as_path => {
                if a.rule != b.rule {
                    let (way, table) = (a.ways.first().copied(), Table::Tgw(table));
                    let (rule, beside) = (Some(b.rule), a.ways.iter().skip(1).copied().collect());
                    cx.remark(What::Route { table, prefix, from: way, to: way, reason, rule, beside, stays: true });
                }
                return;
            }
            (None, Some(_)) | (Some(_), None | Some(_)) => {}
        }
        let due = cx.now + self.config.programming_delay;
        self.pending.push_back(Pending { due, cause: cx.cause, table, prefix, to: best, reason });
        self.program(cx);
    }

    /// Has the static route of a table to a prefix lead to this attachment, or nowhere if it is a blackhole, or deletes it.
    fn enter(&mut self, cx: &mut Cx, table: u8, prefix: Ipv4Net, to: Option<Option<u16>>) {
        let Some(RouteTable { statics }) = self.config.tables.get_mut(usize::from(table)) else { return };
        let known = statics.len();
        statics.retain(|(of, _)| *of != prefix);
        let reason = match (statics.len() < known, to) {
            (false, _) => Reason::RouteCreated,
            (true, Some(_)) => Reason::RouteReplaced,
            (true, None) => Reason::RouteDeleted,
        };
        statics.extend(to.map(|to| (prefix, to)));
        self.choose(cx, table, IpNet::V4(prefix), reason);
    }

    /// Chooses anew in every table that may hold a prefix.
    fn choose_everywhere(&mut self, cx: &mut Cx, prefix: IpNet, reason: Reason) {
        let cause = cx.cause;
        for table in 0..self.tables.len() as u8 {
            cx.cause = cause;
            self.choose(cx, table, prefix, reason);
        }
    }

    /// Carries out the choices that are due.
    fn program(&mut self, cx: &mut Cx) {
        while self.pending.front().is_some_and(|p| p.due <= cx.now) {
            let Some(Pending { cause, table: number, prefix, to, reason, .. }) = self.pending.pop_front() else {
                return;
            };
            cx.cause = cause;
            if !self.config.programming_delay.is_zero() {
                cx.waited(TimerKind::ProgrammingDelay, self.config.programming_delay);
            }
            let state = &mut self.tables[usize::from(number)];
            let before = match to.clone() {
                Some(chosen) => state.in_force.insert(prefix, chosen),
                None => state.in_force.remove(&prefix),
            };
            let first = |chosen: &Option<Chosen>| chosen.as_ref().and_then(|chosen| chosen.ways.first().copied());
            let beside = |chosen: &Option<Chosen>| -> ThinVec<Port> {
                chosen.iter().flat_map(|chosen| chosen.ways.iter().skip(1).copied()).collect()
            };
            let ways = |chosen: &Option<Chosen>| chosen.as_ref().map(|chosen| chosen.ways.clone());
            if ways(&before) != ways(&to) {
                state.follow(prefix, to.as_ref());
                let (from, rule, beside) = (first(&before), to.as_ref().map(|to| to.rule), beside(&to));
                let (table, to, stays) = (Table::Tgw(number), first(&to), false);
                state.changed = cx.record(What::Route { table, prefix, from, to, reason, rule, beside, stays });
                state.stamp(prefix);
            }
            self.news.push((number, News { prefix, cause: cx.cause }));
        }
    }

    /// Lowers the MSS of a SYN to what both attachments carry (page transit-gateway-quotas.html: "enforces Maximum Segment Size (MSS) clamping
    /// for all packets").
    fn clamp(&self, cx: &mut Cx, [from, to]: [Port; 2], packet: &mut Packet, ipv6: bool) {
        let longest = self.ip.mtu(from).min(self.ip.mtu(to)).saturating_sub(TCP_HEADERS[usize::from(ipv6)]);
        let most = u16::try_from(longest).unwrap_or(u16::MAX);
        if ipv6 {
            six::clamp(cx, packet, most);
        } else if Ipv4Packet::new_unchecked(packet.bytes()).protocol() == protocol::TCP {
            clamp(cx, packet, most);
        }
    }

    fn set_health(&mut self, cx: &mut Cx, tunnel: u16, healthy: bool) {
        if self.ends.judge(tunnel, healthy) {
            self.health_changed(cx, tunnel);
        }
    }

    fn health_changed(&mut self, cx: &mut Cx, tunnel: u16) {
        let mut prefixes: Vec<IpNet> = self.ends.of(tunnel).prefixes().collect();
        let attachment = self.attached[usize::from(tunnel)];
        let statics = self.config.tables.iter().flat_map(|table| &table.statics);
        prefixes.extend(statics.filter(|(_, to)| *to == Some(attachment)).map(|(prefix, _)| IpNet::V4(*prefix)));
        prefixes.sort_unstable();
        prefixes.dedup();
        let cause = cx.cause;
        for prefix in prefixes {
            cx.cause = cause;
            self.choose_everywhere(cx, prefix, Reason::EndpointHealth);
        }
    }

    /// Lets packets of so many octets through to VPCs, Direct Connect gateways and peers; tunnels keep what they have.
    pub fn widen(&mut self, mtu: u32) {
        for port in (0..self.attached.len() - self.config.outside.len()).map(|port| Port(port as u16)) {
            if !matches!(self.attachment(port).to, Attached::Tunnels { .. }) {
                self.ip.set_mtu(port, mtu);
            }
        }
    }

    /// Lets packets of so many octets through to an end that takes no longer ones.
    pub fn narrow(&mut self, end: u16, mtu: u32) {
        self.ip.set_mtu(Port(end), mtu);
    }

    /// The port of an endpoint of private-IP VPN or Connect peer that has this outside address; of several the one that is spoken to over
    /// this attachment.
    fn outside(&self, address: Ipv4Addr, over: u16) -> Option<Port> {
        let all = &self.config.outside;
        let number = all.iter().position(|it| *it == (address, over));
        let number = number.or_else(|| all.iter().position(|(other, _)| *other == address))?;
        Some(Port((self.attached.len() - self.config.outside.len() + number) as u16))
    }

    /// The table that an attachment's traffic is looked up in, and the way of a packet there. An address out of the gateway's own CIDR
    /// blocks is the gateway's to deliver.
    fn route(&mut self, cx: &mut Cx, from: Port, mut packet: Packet) -> Result<(Port, Packet), Lost> {
        let attachment = usize::from(self.attached[from.index()]);
        self.traffic[attachment].received.add(packet.len());
        if !self.config.outside.is_empty()
            && !is_ipv6(packet.bytes())
            && let Some(port) = self.outside(Ipv4Packet::new_unchecked(packet.bytes()).dst(), attachment as u16)
        {
            cx.hop(packet.meta.id, HopStep::Forwarded(port, Ipv4Addr::UNSPECIFIED));
            return Ok((port, packet));
        }
        let association = self.config.attachments[attachment].association;
        let table = association.map(|table| &mut self.tables[usize::from(table)]);
        let blame = table.as_ref().map_or(RecordId::GENESIS, |table| table.changed);
        let (reason, blame) = match table.and_then(|table| table.way(packet.bytes())) {
            Some((Some(port), since)) => {
                packet.needs(since);
                cx.hop(packet.meta.id, HopStep::Forwarded(port, Ipv4Addr::UNSPECIFIED));
                return Ok((port, packet));
            }
            Some((None, since)) => (DropReason::BlackholeRoute, since),
            None => (DropReason::TgwNoRoute, blame),
        };
        let traffic = &mut self.traffic[attachment];
        let (dropped, lost) = match reason {
            DropReason::TgwNoRoute => (&mut traffic.no_route, Lost::NoRoute),
            _ => (&mut traffic.blackhole, Lost::Blackhole),
        };
        dropped.add(packet.len());
        cx.drop(&packet, reason, blame);
        Err(lost)
    }

    /// Where a packet that has a way gets to, unless it does not fit and may not be cut.
    fn fate(&self, (port, packet): &(Port, Packet)) -> Result<Port, Lost> {
        let whole = Ipv4Packet::new_unchecked(packet.bytes()).dont_fragment();
        if whole && !self.ip.fits(*port, packet) { Err(Lost::MtuExceeded) } else { Ok(*port) }
    }
}

impl Device for Tgw {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
        let blocks = self.blocks.iter().map(|(block, _)| *block);
        let statics =
            self.config.tables.iter().flat_map(|table| table.statics.iter().map(|(prefix, _)| IpNet::V4(*prefix)));
        let mut prefixes: Vec<IpNet> = blocks.chain(statics).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let genesis = cx.cause;
        for prefix in prefixes {
            cx.cause = genesis;
            self.choose_everywhere(cx, prefix, Reason::Configured);
        }
        self.tell(cx);
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.ends.reset();
        self.tables.fill(State::spreading(self.config.multipath));
        self.pending.clear();
        self.news.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let (Inbound::Transit(packet) | Inbound::Ipv6Transit(packet)) = self.ip.inbound(cx, port, packet) else {
            return;
        };
        let Some(packet) = self.limits.admit(cx, port, false, packet) else { return };
        let ipv6 = is_ipv6(packet.bytes());
        let seen = self.flows.as_ref().filter(|_| !ipv6).map(|_| Glimpse::of(&packet));
        let way = self.route(cx, port, packet);
        if let Some(seen) = seen {
            self.meter(cx.now, &seen, port, way.as_ref().map_err(|lost| *lost).and_then(|way| self.fate(way)));
        }
        let Ok((to, packet)) = way else { return };
        let of_tunnel = matches!(self.attachment(port).to, Attached::Tunnels { .. });
        let to = self.zones.choose(port, of_tunnel, to, &packet);
        let Some(mut packet) = self.limits.admit(cx, to, true, packet) else { return };
        if !ipv6
            && matches!(self.attachment(to).to, Attached::Peering)
            && !Ipv4Packet::new_unchecked(packet.bytes_mut()).decrement_ttl()
        {
            return cx.drop(&packet, DropReason::TtlExceeded, RecordId::GENESIS);
        }
        self.clamp(cx, [port, to], &mut packet, ipv6);
        self.traffic[usize::from(self.attached[to.index()])].sent.add(packet.len());
        self.ip.output(cx, to, packet);
    }

    fn timeout(&mut self, cx: &mut Cx) {
        while let Some((tunnel, cause)) = self.ends.overdue(cx.now) {
            cx.cause = cause;
            cx.waited(TimerKind::EndpointHealth, self.ends.health_delay);
            self.set_health(cx, tunnel, false);
        }
        self.program(cx);
        self.tell(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let pending = self.pending.front().map(|p| (p.due, TimerKind::ProgrammingDelay));
        self.ends.wake().into_iter().chain(pending).min_by_key(|(at, _)| *at)
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Route { tunnel, prefix, path } => {
                let reason = self.ends.learn(tunnel, prefix, path);
                self.choose_everywhere(cx, prefix, reason);
            }
            Notice::Health { tunnel, healthy } => self.set_health(cx, tunnel, healthy),
            Notice::Propagate { .. }
            | Notice::Announce(_)
            | Notice::ReplaceRoute { .. }
            | Notice::Flow(_)
            | Notice::WantFlows => {}
        }
        self.tell(cx);
    }

    fn command(&mut self, cx: &mut Cx, command: Command) {
        match command {
            Command::Drain { tunnel, drained } if self.ends.drain(tunnel, drained) => self.health_changed(cx, tunnel),
            Command::TgwRoute { table, prefix, to } => self.enter(cx, table, prefix, to),
            _ => {}
        }
        self.tell(cx);
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        // A VPC's attachment has no health of its own.
        if port.index() >= self.ends.len() {
            return;
        }
        if !up {
            return self.ends.doubt(port.0, cx.now, cx.cause);
        }
        // An endpoint that comes back knows nothing, and so nothing is known through it, however short it was gone.
        self.set_health(cx, port.0, false);
        self.tell(cx);
        self.ends.forget(port.0);
        self.tell_again(cx, port);
    }
}
