//! A route table of a VPC: what is entered by hand, what gateways propagate, and what of it packets follow.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use thin_vec::ThinVec;

use super::GATEWAY_PORT;
use crate::id::{Port, RecordId};
use crate::net::aws::vpc::{Admission, Origin, Propagated, Route as Offer, admit, evaluate};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::node::ip::Ip;
use crate::node::{Cx, Weighed, Weighing};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, Rule};
use crate::trace::{Table, What};
use crate::wire::ipv4::Ipv4Packet;

/// A route that is entered by hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Static {
    /// Destinations.
    pub prefix: Ipv4Net,
    /// The way out; `None` for a blackhole.
    pub to: Option<Port>,
    /// True if it stands there for a member of a prefix list.
    pub prefix_list: bool,
}

/// What becomes of a route that a gateway offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    /// It is in the table.
    Taken,
    /// The table had no room for it.
    Waiting,
    /// The local route covers it.
    Covered,
}

/// The distance of a route for a prefix list: behind what is entered for the same destination, before what is propagated.
const PREFIX_LIST: u8 = distance::STATIC + 1;
/// That of the blackhole that a route by hand becomes while there is nothing at its target.
const TARGET_GONE: u8 = PREFIX_LIST + 1;

/// What stands for a route by hand: its distance and target, and what it becomes while there is nothing at its target.
fn by_hand(to: Option<Port>, distance: u8, falls: bool) -> impl Iterator<Item = (u8, Target)> {
    let fallen = falls.then_some((TARGET_GONE, Target::Blackhole));
    core::iter::once((distance, to.map_or(Target::Blackhole, Target::port))).chain(fallen)
}

/// A route table.
#[derive(Clone, Debug)]
pub(super) struct RouteTable {
    number: u8,
    /// Whether routes of the gateway are propagated into it.
    pub propagation: bool,
    cidrs: Vec<Ipv4Net>,
    statics: Vec<Static>,
    /// What gateways offer.
    offered: BTreeMap<Ipv4Net, (Propagated, Standing)>,
    /// What packets follow.
    pub ip: Ip,
}

impl RouteTable {
    /// A table of a VPC with these blocks. Routes to the ports for which `falls` is true are blackholes while nothing is there, as the
    /// console shows them; others go.
    pub fn new(
        number: u8,
        cidrs: &[Ipv4Net],
        statics: &[Static],
        propagation: bool,
        falls: impl Fn(Port) -> bool,
    ) -> Self {
        let mut ip = Ip::silent(Table::Vpc(number), DropReason::VpcNoRoute);
        // What is local and nobody's.
        for cidr in cidrs {
            let (source, distance, target) = (RouteSource::Connected, distance::CONNECTED, Target::Blackhole);
            ip.configure(Route { prefix: *cidr, source, distance, metric: 0, target, since: RecordId::GENESIS }, None);
        }
        for it in statics {
            let distance = if it.prefix_list { PREFIX_LIST } else { distance::STATIC };
            for (distance, target) in by_hand(it.to, distance, it.to.is_some_and(&falls)) {
                let (prefix, source, since) = (it.prefix, RouteSource::Static, RecordId::GENESIS);
                ip.configure(Route { prefix, source, distance, metric: 0, target, since }, None);
            }
        }
        let (cidrs, statics, offered) = (cidrs.to_vec(), statics.to_vec(), BTreeMap::new());
        Self { number, propagation, cidrs, statics, offered, ip }
    }

    /// Whether packets to an address of the VPC go straight to whoever has it: a static route to a part of the VPC comes before.
    pub fn is_straight(&self, address: std::net::Ipv4Addr) -> bool {
        let inner = |it: &&Static| self.cidrs.iter().any(|cidr| cidr.contains(&it.prefix) && *cidr != it.prefix);
        !self.statics.iter().filter(inner).any(|it| it.prefix.contains(&address))
    }

    /// Forgets what was learned.
    pub fn reset(&mut self) {
        self.ip.reset();
        self.offered.clear();
    }

    const fn table(&self) -> Table {
        Table::Vpc(self.number)
    }

    /// Whether a prefix is of the VPC's own addresses.
    pub fn is_local(&self, prefix: Ipv4Net) -> bool {
        self.local(prefix).is_some()
    }

    fn local(&self, prefix: Ipv4Net) -> Option<Ipv4Net> {
        self.cidrs.iter().find(|cidr| cidr.contains(&prefix)).copied()
    }

    /// The routes to exactly this prefix, and where they go. The local route covers the VPC's own addresses whatever is propagated.
    fn offers(&self, prefix: Ipv4Net) -> (Vec<Offer>, Vec<Option<Port>>) {
        let offer = |origin, preference| Offer { prefix, origin, preference };
        let local = self.local(prefix).map(|cidr| (Offer { prefix: cidr, ..offer(Origin::Local, 0) }, None));
        let statics = self.statics.iter().filter(|it| it.prefix == prefix);
        let statics = statics
            .enumerate()
            .map(|(i, it)| (offer(if it.prefix_list { Origin::PrefixList } else { Origin::Static }, i), it.to));
        let propagated = self.offered.get(&prefix).filter(|(_, standing)| *standing != Standing::Waiting);
        let propagated = propagated.map(|(from, _)| (offer(Origin::Propagated(*from), 0), Some(GATEWAY_PORT)));
        local.into_iter().chain(statics).chain(propagated).unzip()
    }

    /// True if a route to exactly this prefix was entered by hand.
    pub fn has_static(&self, prefix: Ipv4Net) -> bool {
        self.statics.iter().any(|it| it.prefix == prefix && !it.prefix_list)
    }

    /// Whether the route that a packet takes was entered by hand.
    #[cold]
    pub fn is_by_hand(&self, packet: &Packet) -> bool {
        let destination = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        self.ip.fib().lookup(destination).is_some_and(|route| route.source == RouteSource::Static)
    }

    /// Has the route by hand to a prefix lead there, or nowhere if it is a blackhole, or deletes it. A route that `falls` is a blackhole
    /// while nothing is at its port.
    pub fn enter(&mut self, cx: &mut Cx, prefix: Ipv4Net, to: Option<Option<Port>>, falls: bool) {
        let is_it = |it: &Static| it.prefix == prefix && !it.prefix_list;
        let place = self.statics.iter().position(is_it);
        let reason = match (place, to) {
            (None, _) => Reason::RouteCreated,
            (Some(_), Some(_)) => Reason::RouteReplaced,
            (Some(_), None) => Reason::RouteDeleted,
        };
        match (place, to) {
            (Some(place), Some(to)) => self.statics[place].to = to,
            (Some(place), None) => drop(self.statics.remove(place)),
            (None, Some(to)) => self.statics.push(Static { prefix, to, prefix_list: false }),
            (None, None) => return,
        }
        let entries = to.map(|to| by_hand(to, distance::STATIC, falls)).into_iter().flatten();
        let rule = self.rule(prefix);
        self.ip.enter(cx, prefix, &[distance::STATIC, TARGET_GONE], entries, (reason, rule));
    }

    /// All routes to a prefix, and how the table chooses among them.
    pub fn weigh(&self, prefix: Ipv4Net) -> Weighing {
        let (offers, ports) = self.offers(prefix);
        let evaluation = evaluate(&offers, prefix.addr());
        let weighed = offers.iter().zip(ports).enumerate().map(|(i, (offer, via))| Weighed {
            via,
            kind: match offer.origin {
                Origin::Local => "local",
                Origin::Static => "static",
                Origin::PrefixList => "prefix list",
                Origin::Propagated(Propagated::DirectConnect) => "propagated (Direct Connect BGP)",
                Origin::Propagated(Propagated::VpnStatic) => "propagated (VPN static)",
                Origin::Propagated(Propagated::VpnBgp) => "propagated (VPN BGP)",
            },
            healthy: true,
            path: None,
            preference: offer.preference,
            gone_at: evaluation.as_ref().and_then(|e| e.gone_at[i]),
        });
        Weighing { routes: weighed.collect(), rule: evaluation.as_ref().map(|e| e.rule) }
    }

    /// The way to a prefix.
    fn way(&self, prefix: Ipv4Net) -> Option<Port> {
        match self.ip.fib().best(prefix)?.target {
            Target::Out { port, .. } => Some(port),
            Target::Blackhole => None,
        }
    }

    /// The step that decides about a prefix.
    fn rule(&self, prefix: Ipv4Net) -> Option<Rule> {
        evaluate(&self.offers(prefix).0, prefix.addr()).map(|evaluation| evaluation.rule)
    }

    /// Takes up a route that the gateway offers, if there is room for it. One that it has already, and that the gateway has from
    /// elsewhere, keeps its place. One to the VPC's own addresses is never in the table.
    pub fn take(&mut self, cx: &mut Cx, prefix: Ipv4Net, from: Propagated, reason: Reason) {
        if self.local(prefix).is_some() {
            if self.offered.insert(prefix, (from, Standing::Covered)).is_none() {
                self.note_stay(cx, prefix, None, reason);
            }
            return;
        }
        let others =
            self.offered.iter().filter(|(of, (_, standing))| *standing == Standing::Taken && **of != prefix).count();
        let standing = if admit(others) == Admission::Taken { Standing::Taken } else { Standing::Waiting };
        let before = self.offered.insert(prefix, (from, standing));
        if before.is_some_and(|(_, had)| had == standing) {
            if standing == Standing::Taken {
                self.note_stay(cx, prefix, self.way(prefix), reason);
            }
            return;
        }
        if standing == Standing::Waiting {
            let (table, prefix, reason) = (self.table(), IpNet::V4(prefix), Reason::TableFull);
            let (beside, stays) = (ThinVec::new(), false);
            cx.record(What::Route { table, prefix, from: None, to: None, reason, rule: None, beside, stays });
            return;
        }
        let route = Route {
            prefix,
            source: RouteSource::Propagated,
            distance: distance::EBGP,
            metric: 0,
            target: Target::port(GATEWAY_PORT),
            since: RecordId::GENESIS,
        };
        let rule = self.rule(prefix);
        self.ip.install_by(cx, route, reason, rule);
    }

    /// The way to a prefix stays, for a reason that may be another.
    fn note_stay(&self, cx: &mut Cx, prefix: Ipv4Net, way: Option<Port>, reason: Reason) {
        let (table, rule, beside) = (self.table(), self.rule(prefix), ThinVec::new());
        let prefix = IpNet::V4(prefix);
        cx.remark(What::Route { table, prefix, from: way, to: way, reason, rule, beside, stays: true });
    }

    /// Gives up a route that the gateway offers no longer, and takes up the first that had no room.
    pub fn give_up(&mut self, cx: &mut Cx, prefix: Ipv4Net) {
        if self.offered.remove(&prefix).is_none_or(|(_, standing)| standing != Standing::Taken) {
            return;
        }
        self.ip.withdraw(cx, prefix, RouteSource::Propagated, Reason::Withdrawn);
        let mut all = self.offered.iter();
        let waiting = all.find(|(_, (_, standing))| *standing == Standing::Waiting);
        if let Some((prefix, from)) = waiting.map(|(prefix, (from, _))| (*prefix, *from)) {
            self.take(cx, prefix, from, Reason::Propagated);
        }
    }
}
