//! What a network load balancer adds to a translator (Network Load Balancer guide: pages introduction.html, target-group-health-checks.html,
//! load-balancer-target-groups.html): its node in one subnet. It sends each flow to one target in its own name, as target groups by IP
//! address do, and asks its targets by TCP whether they are there: a real handshake, by its own stack.
//!
//! A flow keeps its target until it was idle for 350 s (UDP: 120 s) or the target is not healthy any more; a segment in the middle of a
//! connection that it does not know is answered with RST. Without a healthy target it uses all ("fail open").
//!
//! Left out: the TCP sequence number in AWS's flow hash, for which flows with the same ports would be needed; deregistration delay, proxy
//! protocol, TLS and HTTP health checks, and client IP preservation.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::{NAT_GATEWAY_IDLE, NLB_UDP_IDLE, ports};
use crate::id::{RecordId, SessionId};
use crate::net::multipath::Multipath;
use crate::net::reset::is_midstream;
use crate::node::Cx;
use crate::packet::{Meta, Packet};
use crate::proto::tcp::{ConnId, Event, Stack, StackOutput, TcpConfig};
use crate::reason::{Reason, State, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::ipv4::{self, Ipv4Packet, protocol};

/// Ports that its stack may take begin here; translated flows have those below.
pub(super) const FIRST_OF_CHECKS: u16 = 32_768;

/// How targets are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthCheck {
    /// How often.
    pub interval: Duration,
    /// How long a handshake is waited for.
    pub timeout: Duration,
    /// How many answers in a row make a target healthy again.
    pub healthy: u32,
    /// How many times in a row without one make it unhealthy.
    pub unhealthy: u32,
}

/// What a load balancer's node is made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BalancerConfig {
    /// The port that it listens to, by TCP and UDP.
    pub port: u16,
    /// Its targets, and in which session their health is recorded.
    pub targets: Vec<((Ipv4Addr, u16), SessionId)>,
    /// How they are asked.
    pub check: HealthCheck,
    /// How flows are spread over them.
    pub spread: Multipath,
    /// Longest packet, in octets.
    pub mtu: u16,
    /// The addresses by which it sees the endpoints whose service it is, in the order of their ports.
    pub consumers: Vec<Ipv4Addr>,
}

/// Where a packet leads.
pub(super) enum Choice {
    /// To this target.
    Target((Ipv4Addr, u16)),
    /// It is in the middle of a connection that is not known.
    Unknown,
    /// It is not for a listener.
    Nowhere,
}

struct Target {
    /// `None`: it was not asked yet ("initial").
    healthy: Option<bool>,
    /// How many answers in a row were alike.
    run: u32,
    answered: bool,
    next: Instant,
    /// The handshake that is waited for, until when, and since when.
    pending: Option<(ConnId, Instant, Instant)>,
}

/// Protocol, and source of a flow.
type Flow = (u8, Ipv4Addr, u16);

/// A load balancer's node.
pub(super) struct Balancer {
    config: BalancerConfig,
    address: Ipv4Addr,
    stack: Stack,
    targets: Vec<Target>,
    /// The target of each flow, and when it was last used.
    flows: BTreeMap<Flow, (usize, Instant)>,
}

impl Balancer {
    pub fn new(config: BalancerConfig, address: Ipv4Addr, rng: Rng) -> Self {
        let target = |_: &_| Target { healthy: None, run: 0, answered: false, next: Instant::NEVER, pending: None };
        let targets = config.targets.iter().map(target).collect();
        Self { config, address, stack: Stack::new([address], rng), targets, flows: BTreeMap::new() }
    }

    pub fn start(&mut self, now: Instant) {
        self.targets.iter_mut().for_each(|target| target.next = now);
    }

    pub fn reset(&mut self) {
        self.stack.reset_all();
        self.flows.clear();
        for target in &mut self.targets {
            *target = Target { healthy: None, run: 0, answered: false, next: Instant::NEVER, pending: None };
        }
    }

    /// Whether a packet for the node's own address comes from a target: it is an answer.
    pub fn is_answer(&self, packet: &Packet) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let from = ports(&ip).map(|(from, _)| (ip.src(), from));
        self.config.targets.iter().any(|(target, _)| Some(*target) == from)
    }

    /// Whether it is a segment of a health check.
    pub fn is_check(&self, packet: &Packet) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Some((from, to)) = ports(&ip).filter(|_| ip.protocol() == protocol::TCP) else { return false };
        let ends = (SocketAddr::from((self.address, to)), SocketAddr::from((ip.src(), from)));
        self.stack.find(ends.0, ends.1).is_some()
    }

    /// The target of a packet.
    pub fn choose(&mut self, now: Instant, packet: &Packet) -> Choice {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Some((from, _)) = ports(&ip).filter(|(_, to)| *to == self.config.port) else { return Choice::Nowhere };
        let flow = (ip.protocol(), ip.src(), from);
        let known = self.flows.get_mut(&flow).filter(|(_, used)| now < *used + idle(flow.0));
        let number = match known {
            Some((number, used)) => {
                *used = now;
                *number
            }
            None if is_midstream(packet.bytes()) => return Choice::Unknown,
            None => {
                let healthy = |(_, target): &(usize, &Target)| target.healthy == Some(true);
                let mut all: Vec<usize> = self.targets.iter().enumerate().filter(healthy).map(|(i, _)| i).collect();
                if all.is_empty() {
                    all = (0..self.targets.len()).collect();
                }
                let hash = u64::from(self.config.spread.hash(packet.bytes()));
                let Some(&number) = all.get(((hash * all.len() as u64) >> 32) as usize) else { return Choice::Nowhere };
                self.flows.insert(flow, (number, now));
                number
            }
        };
        Choice::Target(self.config.targets[number].0)
    }

    /// Takes a segment of a health check. Answers what to send.
    pub fn packet(&mut self, cx: &mut Cx, packet: &Packet) -> Vec<Packet> {
        self.stack.handle(cx.now, packet.bytes());
        self.drain(cx)
    }

    pub fn timeout(&mut self, cx: &mut Cx) -> Vec<Packet> {
        self.stack.handle_timeout(cx.now);
        self.flows.retain(|flow, (_, used)| cx.now < *used + idle(flow.0));
        for number in 0..self.targets.len() {
            let target = &mut self.targets[number];
            if let Some((conn, _, since)) = target.pending.take_if(|(_, due, _)| *due <= cx.now) {
                self.stack.abort(cx.now, conn);
                cx.cause = RecordId::GENESIS;
                cx.expired(Some(self.config.targets[number].1), TimerKind::TrackTimeout, since);
                self.count(cx, number, false);
            }
            let target = &mut self.targets[number];
            if target.next <= cx.now {
                target.next = cx.now + self.config.check.interval;
                let tcp = TcpConfig { ttl: ipv4::DEFAULT_TTL, dscp: 0, mtu: self.config.mtu, ..TcpConfig::default() };
                let conn = self.stack.connect(cx.now, tcp, self.address, self.config.targets[number].0);
                target.pending = Some((conn, cx.now + self.config.check.timeout, cx.now));
            }
        }
        self.drain(cx)
    }

    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let pending = self.targets.iter().filter_map(|target| target.pending);
        let pending = pending.map(|(_, due, _)| (due, TimerKind::TrackTimeout));
        let next = self.targets.iter().map(|target| target.next).filter(|next| *next < Instant::NEVER);
        let tcp = self.stack.wake().map(|at| (at, TimerKind::TcpTimer));
        pending.chain(next.map(|at| (at, TimerKind::TrackInterval))).chain(tcp).min_by_key(|(at, _)| *at)
    }

    fn drain(&mut self, cx: &mut Cx) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(output) = self.stack.poll() {
            match output {
                StackOutput::Transmit { conn, mut packet } => {
                    let of = |target: &Target| target.pending.map(|(id, ..)| id) == conn;
                    let number = self.targets.iter().position(of).filter(|_| conn.is_some());
                    packet.meta = Meta { session: number.map(|it| self.config.targets[it].1), ..cx.meta() };
                    cx.created(&packet);
                    packets.push(packet);
                }
                StackOutput::Event { conn, event } => {
                    let of = |target: &Target| target.pending.is_some_and(|(id, ..)| id == conn);
                    let Some(number) = self.targets.iter().position(of) else { continue };
                    match event {
                        Event::Connected => {
                            self.targets[number].pending = None;
                            self.stack.close(cx.now, conn);
                            self.count(cx, number, true);
                        }
                        Event::Reset | Event::TimedOut => {
                            self.targets[number].pending = None;
                            self.count(cx, number, false);
                        }
                        Event::Received(_) | Event::PeerClosed | Event::Closed | Event::Ignored(_) => {}
                    }
                }
                StackOutput::Accepted { .. } | StackOutput::Ignored(_) => {}
            }
        }
        packets
    }

    /// Counts a check that was answered, or was not. The first one decides by itself.
    fn count(&mut self, cx: &mut Cx, number: usize, answered: bool) {
        let check = self.config.check;
        let target = &mut self.targets[number];
        target.run = if target.answered == answered { target.run.saturating_add(1) } else { 1 };
        target.answered = answered;
        let enough = if answered { check.healthy } else { check.unhealthy };
        if target.healthy == Some(answered) || (target.healthy.is_some() && target.run < enough) {
            return;
        }
        target.healthy = Some(answered);
        let (from, to, reason) = match answered {
            true => (State::Down, State::Up, Reason::TrackUp),
            false => (State::Up, State::Down, Reason::TrackDown),
        };
        cx.state(self.config.targets[number].1, from, to, reason);
        if !answered {
            self.flows.retain(|_, (target, _)| *target != number);
        }
    }
}

/// How long a flow of this protocol may be idle.
const fn idle(of: u8) -> Duration {
    if of == protocol::TCP { NAT_GATEWAY_IDLE } else { NLB_UDP_IDLE }
}
