//! What stands behind a network interface of a VPC and shows others by its own address: a NAT gateway (VPC user guide, page
//! vpc-nat-gateway.html), a NAT instance (page VPC_NAT_Instance.html), an interface endpoint (AWS PrivateLink guide) and a network load
//! balancer (`balancer`).
//!
//! | | NAT gateway | NAT instance | interface endpoint |
//! |---|---|---|---|
//! | carries | TCP, UDP, ICMP | what Linux's NAT carries | TCP, UDP |
//! | forgets | after 350 s idle; a later segment of TCP is answered by a RST | as netfilter | after 350 s, UDP 120 s |
//! | to one remote end | 55,000 flows of each of its addresses | as many as there are ports | the same |
//! | fragments | only of UDP | reassembled | reassembled |
//!
//! A packet for somebody else comes back into the VPC from the interface's own address; an internet gateway then puts the Elastic IP
//! address in its place. What is for the interface itself goes to whom it stands for: the owner of the flow, the target of a forwarded
//! port (a NAT instance's `DNAT` rule), or the endpoint's service.
//!
//! A load balancer may be the service of interface endpoints of other VPCs (an endpoint service). What it has from there it sends to its
//! targets in its own name, as all of its flows, so that neither side meets the other's addresses.
//!
//! A NAT gateway has up to eight addresses. Which of them a flow gets AWS does not say; here it is the one that has the fewest flows to the
//! flow's destination, the earlier first, so that all of them can be used up, and a flow keeps it while it is remembered. What is more than
//! the rates that it is told is dropped before it is looked at; AWS's scale with the traffic, and it does not say how fast, so these stay.
//!
//! Left out: ICMP errors are translated and none is originated but by a NAT instance; how a NAT instance ends a connection with FIN (page
//! vpc-nat-comparison.html).

mod balancer;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use self::balancer::{Balancer, Choice, FIRST_OF_CHECKS};
pub use self::balancer::{BalancerConfig, HealthCheck};

use super::ip::{Inbound, Ip};
use super::natbox::note_joined;
use super::router::pong;
use super::{Cx, Device, link_reason};
use crate::id::{Port, RecordId};
use crate::net::fib::{RouteSource, Target, distance};
use crate::net::nat::{
    Assignment, Behaviour, Fragments, Nat, NatConfig, Outcome, Passthrough, Pooling, Timers, answer_from, redirect,
};
use crate::net::policer::{Excess, Limit, TwoWay};
use crate::net::reset::{is_midstream, reset};
use crate::packet::Packet;
use crate::reason::{DropReason, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::trace::{Digest, HopStep};
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// The port of the network interface.
pub const INTERFACE_PORT: Port = Port(0);
/// The port of an interface endpoint towards its service, and the first of a load balancer towards endpoints whose service it is.
pub const SERVICE_PORT: Port = Port(1);

/// How long a NAT gateway remembers what is idle (page vpc-nat-gateway.html).
pub const NAT_GATEWAY_IDLE: Duration = Duration::from_secs(350);
/// How many flows a NAT gateway has to one remote address, port and protocol, from one address (the same page).
pub const NAT_GATEWAY_FLOWS: usize = 55_000;
/// How long a network load balancer, which is behind an interface endpoint, remembers idle UDP (Network Load Balancer guide).
const NLB_UDP_IDLE: Duration = Duration::from_secs(120);

/// A port of a NAT instance that leads elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The port, of UDP and TCP.
    pub port: u16,
    /// Where it leads.
    pub to: (Ipv4Addr, u16),
}

/// What a NAT gateway is told beside its primary address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NatGatewayConfig {
    /// Its secondary addresses.
    pub secondary: Vec<Ipv4Addr>,
    /// What it carries at most, out and back; `None`: everything.
    pub limit: Option<Limit>,
}

/// What it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A NAT gateway.
    NatGateway(NatGatewayConfig),
    /// A NAT instance, with its forwarded ports.
    NatInstance(Vec<Forward>),
    /// An interface endpoint.
    InterfaceEndpoint {
        /// The address of its service.
        service: Ipv4Addr,
        /// The address that the service sees it by: its own, or one of AWS's where the networks of both sides may overlap.
        shown: Ipv4Addr,
    },
    /// A network load balancer's node.
    LoadBalancer(BalancerConfig),
}

impl Kind {
    fn nat(&self, address: Ipv4Addr) -> NatConfig {
        let all = |idle| Timers { udp: idle, tcp_established: idle, tcp_transitory: idle, icmp: idle, ipsec: idle };
        let shown = if let Self::InterfaceEndpoint { shown, .. } = self { *shown } else { address };
        let base = NatConfig { pool: vec![shown], hairpin: false, ..NatConfig::default() };
        match self {
            Self::NatGateway(gateway) => NatConfig {
                pool: [address].iter().chain(&gateway.secondary).copied().collect(),
                pooling: Pooling::Arbitrary,
                mapping: Behaviour::AddressAndPortDependent,
                filtering: Behaviour::AddressAndPortDependent,
                overload: true,
                per_remote: Some(NAT_GATEWAY_FLOWS),
                assignment: Assignment::Random,
                ports: 1024..=u16::MAX,
                // There are so many ports to each of the remote ends.
                table: usize::MAX,
                timers: all(NAT_GATEWAY_IDLE),
                esp: Passthrough::Drop,
                fragments: Fragments::FollowFirst,
                ..base
            },
            // As Linux is: RFC 5382's times, of which AWS says nothing.
            Self::NatInstance(_) => NatConfig {
                mapping: Behaviour::AddressAndPortDependent,
                filtering: Behaviour::AddressAndPortDependent,
                ports: 1024..=u16::MAX,
                ..base
            },
            Self::InterfaceEndpoint { .. } | Self::LoadBalancer(_) => NatConfig {
                mapping: Behaviour::AddressAndPortDependent,
                filtering: Behaviour::AddressAndPortDependent,
                ports: 1024..=if matches!(self, Self::LoadBalancer(_)) { FIRST_OF_CHECKS - 1 } else { u16::MAX },
                timers: Timers { udp: NLB_UDP_IDLE, ..all(NAT_GATEWAY_IDLE) },
                esp: Passthrough::Drop,
                ..base
            },
        }
    }
}

/// A flow that came by a forwarded port: its protocol, its remote end and the port that it is shown by there.
type Forwarded = (u8, (Ipv4Addr, u16), u16);

/// A translator.
pub struct Translator {
    kind: Kind,
    address: Ipv4Addr,
    ip: Ip,
    nat: Nat,
    /// By which port of its own each forwarded flow came.
    forwarded: BTreeMap<Forwarded, u16>,
    /// What a NAT gateway carries at most, out and back.
    limits: Option<TwoWay>,
    balancer: Option<Box<Balancer>>,
}

impl Translator {
    /// One with this address. Ports are drawn from `rng`.
    pub fn new(kind: Kind, address: Ipv4Addr, mtu: u32, rng: Rng) -> Self {
        let further = match &kind {
            Kind::InterfaceEndpoint { shown, .. } if *shown != address => vec![*shown],
            Kind::NatGateway(gateway) => gateway.secondary.clone(),
            _ => Vec::new(),
        };
        let mut ip = Ip::new([address].into_iter().chain(further).collect());
        if !matches!(kind, Kind::NatInstance(_)) {
            ip.mute();
        }
        ip.add_port(INTERFACE_PORT, mtu);
        ip.default_route(INTERFACE_PORT);
        if let Kind::InterfaceEndpoint { service, .. } = kind {
            ip.add_port(SERVICE_PORT, mtu);
            ip.add_route(service.into(), RouteSource::Static, distance::STATIC, SERVICE_PORT);
        }
        let nat = Nat::new(kind.nat(address), rng);
        let limit = if let Kind::NatGateway(gateway) = &kind { gateway.limit } else { None };
        let limits = limit.map(TwoWay::new);
        Self { kind, address, ip, nat, forwarded: BTreeMap::new(), limits, balancer: None }
    }

    /// A network load balancer's node with this address. Sequence numbers and ports of its health checks are drawn from `tcp`.
    pub fn balancing(config: BalancerConfig, address: Ipv4Addr, mtu: u32, rng: Rng, tcp: Rng) -> Self {
        let balancer = Some(Box::new(Balancer::new(config.clone(), address, tcp)));
        let mut made = Self { balancer, ..Self::new(Kind::LoadBalancer(config.clone()), address, mtu, rng) };
        for (consumer, number) in config.consumers.iter().zip(SERVICE_PORT.0..) {
            made.ip.add_port(Port(number), mtu);
            made.ip.add_route((*consumer).into(), RouteSource::Static, distance::STATIC, Port(number));
        }
        made
    }

    /// A packet for a load balancer's node: of a health check, an answer of a target, or of a flow.
    fn balance(&mut self, cx: &mut Cx, mut packet: Packet) {
        let Some(balancer) = &mut self.balancer else { return };
        if balancer.is_check(&packet) {
            cx.hop(packet.meta.id, HopStep::Delivered);
            let answers = balancer.packet(cx, &packet);
            return self.send_all(cx, answers);
        }
        if balancer.is_answer(&packet) {
            return self.inbound(cx, packet);
        }
        match balancer.choose(cx.now, &packet) {
            Choice::Target(to) => {
                let by = ports(&Ipv4Packet::new_unchecked(packet.bytes())).map(|(_, port)| port);
                redirect(&mut packet, to);
                self.outbound(cx, packet, by);
            }
            Choice::Unknown => self.refuse_midstream(cx, &packet),
            Choice::Nowhere => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        }
    }

    fn send_all(&mut self, cx: &mut Cx, packets: Vec<Packet>) {
        packets.into_iter().for_each(|packet| self.ip.output(cx, INTERFACE_PORT, packet));
    }

    /// Ends a connection that it does not know.
    fn refuse_midstream(&mut self, cx: &mut Cx, packet: &Packet) {
        if let Some(answer) = reset(packet.bytes(), cx.meta()) {
            cx.created(&answer);
            let way = self.ip.fib().lookup(Ipv4Packet::new_unchecked(answer.bytes()).dst());
            let port = match way.map(|way| way.target) {
                Some(Target::Out { port, .. }) => port,
                _ => INTERFACE_PORT,
            };
            self.ip.output(cx, port, answer);
        }
        cx.drop(packet, DropReason::NatIdle, RecordId::GENESIS);
    }

    const fn is_nat_gateway(&self) -> bool {
        matches!(self.kind, Kind::NatGateway(_))
    }

    /// Its translator, to look at.
    pub fn nat(&self) -> &Nat {
        &self.nat
    }

    /// What came in, or nothing if it is a packet too many for its way.
    fn within_limits(&mut self, cx: &mut Cx, inbound: Inbound) -> Inbound {
        let Some(limits) = &mut self.limits else { return inbound };
        let (way, packet) = match &inbound {
            Inbound::Transit(packet) => (0, packet),
            Inbound::Local(packet) => (1, packet),
            Inbound::Nothing | Inbound::Ipv6Local(_) | Inbound::Ipv6Transit(_) => return inbound,
        };
        let reason = match limits.admit(cx.now, way, packet.len()) {
            Ok(()) => return inbound,
            Err(Excess::Octets) => DropReason::NatGatewayBandwidth,
            Err(Excess::Packets) => DropReason::NatGatewayPacketRate,
        };
        cx.drop(packet, reason, RecordId::GENESIS);
        Inbound::Nothing
    }

    /// Where a packet for the interface itself leads, if its port is forwarded.
    fn target(&self, packet: &Packet) -> Option<(Ipv4Addr, u16)> {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (_, port) = ports(&ip)?;
        match &self.kind {
            Kind::NatGateway(_) | Kind::LoadBalancer(_) => None,
            Kind::NatInstance(forwards) => forwards.iter().find(|forward| forward.port == port).map(|it| it.to),
            Kind::InterfaceEndpoint { service, .. } => (ip.src() != *service).then_some((*service, port)),
        }
    }

    /// Sends a packet on in the interface's name. `by` is the port by which it was forwarded.
    fn outbound(&mut self, cx: &mut Cx, packet: Packet, by: Option<u16>) {
        if self.is_nat_gateway() && is_midstream(packet.bytes()) && !self.nat.knows(cx.now, &packet) {
            return self.refuse_midstream(cx, &packet);
        }
        let Some((port, packet)) = self.ip.forward(cx, INTERFACE_PORT, packet) else { return };
        let outcome = self.nat.outbound(cx.now, packet);
        note_joined(cx, &mut self.nat);
        match outcome {
            Outcome::Forward(packet) | Outcome::Own(packet) => {
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                self.remember(&packet, by);
                self.ip.output(cx, port, packet);
            }
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }

    fn remember(&mut self, packet: &Packet, by: Option<u16>) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Some((shown, remote)) = ports(&ip) else { return };
        let flow = (ip.protocol(), (ip.dst(), remote), shown);
        match by {
            Some(port) => drop(self.forwarded.insert(flow, port)),
            None => drop(self.forwarded.remove(&flow)),
        }
    }

    /// A packet for the interface itself that nothing forwards: the answer to what it sent in somebody's name.
    fn inbound(&mut self, cx: &mut Cx, packet: Packet) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let flow = ports(&ip).map(|(remote, shown)| (ip.protocol(), (ip.src(), remote), shown));
        let outcome = self.nat.inbound(cx.now, packet);
        note_joined(cx, &mut self.nat);
        match outcome {
            Outcome::Forward(mut packet) => {
                if let Some(port) = flow.and_then(|flow| self.forwarded.get(&flow)) {
                    answer_from(&mut packet, (self.address, *port));
                }
                cx.hop(packet.meta.id, HopStep::Translated(Digest::of_bytes(packet.bytes())));
                if let Some((port, packet)) = self.ip.forward(cx, INTERFACE_PORT, packet) {
                    self.ip.output(cx, port, packet);
                }
            }
            Outcome::Own(packet) => self.own(cx, packet),
            Outcome::Waiting => {}
            Outcome::Drop(reason, packets) => packets.iter().for_each(|it| cx.drop(it, reason, RecordId::GENESIS)),
        }
    }

    /// Only an instance has something to say itself.
    fn own(&mut self, cx: &mut Cx, packet: Packet) {
        let reply = if matches!(self.kind, Kind::NatInstance(_)) { pong(cx, &packet) } else { None };
        match reply {
            Some(reply) => {
                if let Some((port, reply)) = self.ip.route(cx, reply) {
                    self.ip.output(cx, port, reply);
                }
            }
            None => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        }
    }
}

/// Source and destination port of a packet that has any.
fn ports(ip: &Ipv4Packet<&[u8]>) -> Option<(u16, u16)> {
    let has_ports = matches!(ip.protocol(), protocol::UDP | protocol::TCP) && ip.fragment_offset() == 0;
    let [a, b, c, d] = *ip.payload().first_chunk::<4>().filter(|_| has_ports)?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

impl Device for Translator {
    fn start(&mut self, cx: &mut Cx) {
        if let Some(balancer) = &mut self.balancer {
            balancer.start(cx.now);
        }
        cx.rearm();
    }

    fn stop(&mut self) {
        if let Some(balancer) = &mut self.balancer {
            balancer.reset();
        }
        self.ip.reset();
        self.nat.flush();
        self.forwarded.clear();
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        if self.is_nat_gateway() && Ipv4Packet::new_checked(packet.bytes()).is_ok_and(|ip| is_refused_fragment(&ip)) {
            return cx.drop(&packet, DropReason::NatFragment, RecordId::GENESIS);
        }
        let inbound = self.ip.inbound(cx, port, packet);
        match self.within_limits(cx, inbound) {
            Inbound::Local(packet) if self.balancer.is_some() => self.balance(cx, packet),
            Inbound::Local(mut packet) => match self.target(&packet) {
                Some(to) => {
                    let by = ports(&Ipv4Packet::new_unchecked(packet.bytes())).map(|(_, port)| port);
                    redirect(&mut packet, to);
                    self.outbound(cx, packet, by);
                }
                None => self.inbound(cx, packet),
            },
            Inbound::Transit(packet) if matches!(self.kind, Kind::InterfaceEndpoint { .. } | Kind::LoadBalancer(_)) => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
            }
            Inbound::Transit(packet) => self.outbound(cx, packet, None),
            Inbound::Nothing => {}
            Inbound::Ipv6Local(packet) | Inbound::Ipv6Transit(packet) => {
                cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS);
            }
        }
        cx.rearm();
    }

    fn timeout(&mut self, cx: &mut Cx) {
        self.ip.timeout(cx);
        if let Some(balancer) = &mut self.balancer {
            let packets = balancer.timeout(cx);
            self.send_all(cx, packets);
            cx.rearm();
        }
        for fragments in self.nat.handle_timeout(cx.now) {
            fragments.iter().for_each(|it| cx.drop(it, DropReason::ReassemblyTimeout, RecordId::GENESIS));
        }
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let nat = self.nat.wake().map(|at| (at, TimerKind::Reassembly));
        let balancer = self.balancer.as_ref().and_then(|balancer| balancer.wake());
        self.ip.wake().into_iter().chain(nat).chain(balancer).min_by_key(|(at, _)| *at)
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().chain(self.nat.held()).collect()
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool) {
        self.ip.carrier(cx, port, up, link_reason(up));
    }
}

/// A NAT gateway forwards fragments of UDP, and drops those of TCP and ICMP (page nat-gateway-troubleshooting.html).
fn is_refused_fragment(ip: &Ipv4Packet<&[u8]>) -> bool {
    ip.is_fragment() && ip.protocol() != protocol::UDP
}
