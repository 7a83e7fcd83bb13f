//! A virtual private gateway: chooses the tunnel for each prefix, and never more than one (AWS, "Route tables and VPN
//! route priority", user guide page vpn-route-priority).
//!
//! Order of choice: healthy endpoints only, then longest prefix, then static before BGP, then the shortest AS_PATH, then
//! the lowest MED where the first AS is the same, then AWS's own choice, which it does not publish: here the order of
//! [`VgwConfig::preference`]. Direct Connect, which comes before static routes, is not modelled yet.
//!
//! How long AWS takes to notice a dead endpoint and to program a new route is not published either; both are parameters.

use std::collections::{BTreeMap, VecDeque};

use ipnet::{IpNet, Ipv4Net};

use super::ip::{Inbound, Ip};
use super::{Cx, Device, Notice, Path, link_reason};
use crate::id::{NodeId, Port, RecordId};
use crate::net::fib::{Route, RouteSource, Target, distance};
use crate::packet::Packet;
use crate::reason::{DropReason, Reason, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::Table;

/// The port towards the VPC.
pub const VPC_PORT: Port = Port(0);

/// The port towards tunnel endpoint `tunnel`.
pub const fn tunnel_port(tunnel: u16) -> Port {
    Port(tunnel + 1)
}

/// What a gateway is made from.
#[derive(Clone, Debug)]
pub struct VgwConfig {
    /// The VPC it is attached to.
    pub vpc: NodeId,
    /// The CIDR blocks of that VPC.
    pub cidrs: Vec<Ipv4Net>,
    /// Static routes of each tunnel's connection, by the tunnel's number.
    pub statics: Vec<Vec<Ipv4Net>>,
    /// Tunnel numbers, the one that AWS prefers when nothing else decides first.
    pub preference: Vec<u16>,
    /// From a choice to packets following it.
    pub programming_delay: Duration,
    /// From the gateway's table to the VPC's route tables.
    pub propagation_delay: Duration,
    /// From the death of an endpoint's hardware to the gateway holding it unhealthy.
    pub health_delay: Duration,
}

#[derive(Clone, Debug, Default)]
struct Tunnel {
    healthy: bool,
    /// When it will be held unhealthy, and what began that.
    doubt: Option<(Instant, RecordId)>,
    routes: BTreeMap<Ipv4Net, Path>,
}

/// A choice that packets do not follow yet.
#[derive(Clone, Debug)]
struct Pending {
    due: Instant,
    cause: RecordId,
    prefix: Ipv4Net,
    to: Option<u16>,
    reason: Reason,
}

/// A virtual private gateway.
#[derive(Clone, Debug)]
pub struct Vgw {
    config: VgwConfig,
    ip: Ip,
    tunnels: Vec<Tunnel>,
    /// The tunnel chosen for each prefix, perhaps not programmed yet.
    chosen: BTreeMap<Ipv4Net, u16>,
    pending: VecDeque<Pending>,
}

impl Vgw {
    /// A gateway with one tunnel endpoint for each entry of [`VgwConfig::statics`].
    pub fn new(config: VgwConfig, mtu: u32) -> Self {
        let mut ip = Ip::silent(Table::Vgw, DropReason::NotEgress);
        ip.add_port(VPC_PORT, mtu);
        for cidr in &config.cidrs {
            ip.add_route(*cidr, RouteSource::Connected, distance::CONNECTED, VPC_PORT);
        }
        for tunnel in 0..config.statics.len() {
            ip.add_port(tunnel_port(tunnel as u16), mtu);
        }
        let tunnels = vec![Tunnel::default(); config.statics.len()];
        Self { config, ip, tunnels, chosen: BTreeMap::new(), pending: VecDeque::new() }
    }

    /// Its forwarding table: what packets follow now.
    pub fn ip(&self) -> &Ip {
        &self.ip
    }

    /// The candidates for a prefix, best first.
    fn ranked(&self, prefix: Ipv4Net) -> Vec<u16> {
        let of_tunnel = |(number, tunnel): (usize, &Tunnel)| {
            let is_static = self.config.statics[number].contains(&prefix);
            let path = tunnel.routes.get(&prefix);
            (tunnel.healthy && (is_static || path.is_some())).then(|| Candidate {
                tunnel: number as u16,
                path: path.filter(|_| !is_static).cloned(),
                preference: self.config.preference.iter().position(|&t| usize::from(t) == number),
            })
        };
        let mut candidates: Vec<Candidate> = self.tunnels.iter().enumerate().filter_map(of_tunnel).collect();
        rank(&mut candidates);
        candidates.into_iter().map(|c| c.tunnel).collect()
    }

    fn choose(&mut self, cx: &mut Cx, prefix: Ipv4Net, reason: Reason) {
        let best = self.ranked(prefix).first().copied();
        let before = match best {
            Some(tunnel) => self.chosen.insert(prefix, tunnel),
            None => self.chosen.remove(&prefix),
        };
        if before == best {
            return;
        }
        let due = cx.now + self.config.programming_delay;
        self.pending.push_back(Pending { due, cause: cx.cause, prefix, to: best, reason });
        self.program(cx);
    }

    /// Carries out the choices that are due.
    fn program(&mut self, cx: &mut Cx) {
        while self.pending.front().is_some_and(|p| p.due <= cx.now) {
            let Some(Pending { cause, prefix, to, reason, .. }) = self.pending.pop_front() else { return };
            cx.cause = cause;
            if !self.config.programming_delay.is_zero() {
                cx.waited(TimerKind::ProgrammingDelay, self.config.programming_delay);
            }
            let had = self.ip.fib().best(prefix).is_some();
            match to {
                Some(tunnel) => {
                    let route = Route {
                        prefix,
                        source: RouteSource::Propagated,
                        distance: distance::EBGP,
                        metric: 0,
                        target: Target::port(tunnel_port(tunnel)),
                        since: RecordId::GENESIS,
                    };
                    self.ip.install(cx, route, reason);
                }
                None => {
                    self.ip.withdraw(cx, prefix, RouteSource::Propagated, reason);
                }
            }
            if had != to.is_some() {
                let notice = Notice::Propagate { prefix: IpNet::V4(prefix), offered: to.is_some() };
                cx.notify(self.config.vpc, self.config.propagation_delay, notice);
            }
        }
    }

    fn set_health(&mut self, cx: &mut Cx, tunnel: u16, healthy: bool) {
        let state = &mut self.tunnels[usize::from(tunnel)];
        state.doubt = None;
        if state.healthy == healthy {
            return;
        }
        state.healthy = healthy;
        let mut prefixes = self.config.statics[usize::from(tunnel)].clone();
        prefixes.extend(state.routes.keys());
        let cause = cx.cause;
        for prefix in prefixes {
            cx.cause = cause;
            self.choose(cx, prefix, Reason::EndpointHealth);
        }
    }
}

/// A healthy tunnel that has a route to the prefix in question.
#[derive(Clone, Debug)]
struct Candidate {
    tunnel: u16,
    /// `None` for a static route.
    path: Option<Path>,
    preference: Option<usize>,
}

/// Best first. MED is compared between candidates of the same neighbouring AS only, so it is not a total order: as in
/// RFC 4271 section 9.1.2.2 c, a candidate that another of its neighbour AS beats by MED is put behind all others.
fn rank(candidates: &mut [Candidate]) {
    let first_as = |c: &Candidate| c.path.as_ref().and_then(|p| p.neighbour);
    let length = |c: &Candidate| c.path.as_ref().map_or(0, |p| p.length);
    let med = |c: &Candidate| c.path.as_ref().and_then(|p| p.med).unwrap_or(0);
    let beaten: Vec<u16> = candidates
        .iter()
        .filter(|c| {
            c.path.is_some()
                && candidates.iter().any(|o| {
                    o.path.is_some() && length(o) == length(c) && first_as(o) == first_as(c) && med(o) < med(c)
                })
        })
        .map(|c| c.tunnel)
        .collect();
    candidates.sort_by_key(|c| {
        (c.path.is_some(), length(c), beaten.contains(&c.tunnel), c.preference.unwrap_or(usize::MAX), c.tunnel)
    });
}

impl Device for Vgw {
    fn start(&mut self, cx: &mut Cx) {
        cx.rearm();
    }

    fn stop(&mut self) {
        self.ip.reset();
        self.tunnels.fill(Tunnel::default());
        self.chosen.clear();
        self.pending.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if let Inbound::Transit(packet) = self.ip.inbound(cx, port, packet)
            && let Some((port, packet)) = self.ip.route(cx, packet)
        {
            self.ip.output(cx, port, packet);
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        for tunnel in 0..self.tunnels.len() {
            let Some((due, cause)) = self.tunnels[tunnel].doubt else { continue };
            if due <= cx.now {
                cx.cause = cause;
                cx.waited(TimerKind::EndpointHealth, self.config.health_delay);
                self.set_health(cx, tunnel as u16, false);
            }
        }
        self.program(cx);
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let doubt = self.tunnels.iter().filter_map(|t| t.doubt).map(|(at, _)| (at, TimerKind::EndpointHealth));
        let pending = self.pending.front().map(|p| (p.due, TimerKind::ProgrammingDelay));
        doubt.chain(pending).min_by_key(|(at, _)| *at)
    }

    fn notice(&mut self, cx: &mut Cx, notice: Notice) {
        match notice {
            Notice::Route { tunnel, prefix: IpNet::V4(prefix), path } => {
                let routes = &mut self.tunnels[usize::from(tunnel)].routes;
                let reason = if path.is_some() { Reason::Learned } else { Reason::Withdrawn };
                match path {
                    Some(path) => routes.insert(prefix, path),
                    None => routes.remove(&prefix),
                };
                self.choose(cx, prefix, reason);
            }
            // A VGW carries no IPv6 (AWS, "IPv4 and IPv6 traffic in AWS Site-to-Site VPN").
            Notice::Route { prefix: IpNet::V6(_), .. } | Notice::Propagate { .. } => {}
            Notice::Health { tunnel, healthy } => self.set_health(cx, tunnel, healthy),
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        if port == VPC_PORT {
            return self.ip.carrier(cx, port, up, link_reason(up));
        }
        let number = port.0 - 1;
        if up {
            // An endpoint that comes back knows nothing, and so nothing is known through it, however short it was gone.
            self.set_health(cx, number, false);
            self.tunnels[usize::from(number)].routes.clear();
        } else {
            self.tunnels[usize::from(number)].doubt = Some((cx.now + self.config.health_delay, cx.cause));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(tunnel: u16, path: Option<(&[u32], u32)>, preference: usize) -> Candidate {
        let path = path.map(|(as_path, med)| Path {
            length: as_path.len(),
            neighbour: as_path.first().copied(),
            med: Some(med),
        });
        Candidate { tunnel, path, preference: Some(preference) }
    }

    fn best(mut candidates: Vec<Candidate>) -> u16 {
        rank(&mut candidates);
        candidates[0].tunnel
    }

    #[test]
    fn static_beats_bgp() {
        assert_eq!(best(vec![candidate(0, Some((&[65010], 0)), 0), candidate(1, None, 1)]), 1);
    }

    #[test]
    fn the_shorter_as_path_wins_before_med() {
        let prepended = candidate(0, Some((&[65010, 65010], 0)), 0);
        assert_eq!(best(vec![prepended, candidate(1, Some((&[65010], 500)), 1)]), 1);
    }

    #[test]
    fn med_counts_only_behind_the_same_neighbour() {
        let cheap = candidate(1, Some((&[65010], 100)), 1);
        assert_eq!(best(vec![candidate(0, Some((&[65010], 200)), 0), cheap.clone()]), 1);
        assert_eq!(best(vec![candidate(0, Some((&[65020], 200)), 0), cheap]), 0);
    }
}
