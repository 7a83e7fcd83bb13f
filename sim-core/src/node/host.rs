//! A computer: sends probes, answers UDP and TCP echo (RFC 862) and ICMP echo (RFC 792), may be a name server, refuses what nobody listens
//! for.

mod dns;
mod flows;
mod six;
mod tcp;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use smallvec::SmallVec;

use self::dns::HostDns;
pub use self::dns::{RESOLV_CONF, ResolverConfig};
use self::flows::{Act, Flows};
pub use self::flows::{FlowEnd, FlowKind, FlowLog, FlowsConfig, Wait};
use self::six::Six;
use self::tcp::{HostTcp, ends_of};
use super::ip::{Inbound, Ip};
use super::lan::{Lan, StationConfig};
use super::{Cx, Device, fetch};
use crate::id::{Port, RecordId, StreamId};
use crate::net::fib::{RouteSource, distance};
use crate::packet::{Meta, Packet, ProbeTag};
use crate::reason::{DropReason, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::wire::icmp::{Echo, IcmpKind, IcmpMessage, Quoted, echo_around, echo_reply};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::ipv6::is_ipv6;
use crate::wire::udp::{self, UdpDatagram};

/// The only port of a host.
pub const PORT: Port = Port(0);

/// Port of the echo service, UDP and TCP (RFC 862).
const ECHO_PORT: u16 = 7;
/// UDP port of the discard service (RFC 863), where one-way probes go.
const DISCARD_PORT: u16 = 9;
/// First of the UDP ports that probes are sent from; the stream's number is added.
const PROBE_PORT: u16 = 40_000;

/// What a probe is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// A UDP datagram to the echo service; it comes back.
    UdpEcho,
    /// An ICMP echo request; the reply comes back.
    IcmpEcho,
    /// A UDP datagram to the discard service; nothing comes back.
    UdpOneWay,
    /// A TCP connection to the echo service, over which so many octets go there and back.
    TcpEcho,
}

/// A stream of probes to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeConfig<A = Ipv4Addr> {
    /// Where its log is.
    pub stream: StreamId,
    /// What is sent.
    pub kind: ProbeKind,
    /// To whom.
    pub to: A,
    /// How often.
    pub every: Duration,
    /// Length of the whole IP packet in octets, at least 36; of the data, if it goes by TCP.
    pub size: u16,
    /// True if it must not be cut on the way, as hosts send that discover the path's MTU (RFC 1191).
    pub dont_fragment: bool,
    /// First probe.
    pub start: Instant,
    /// No probe at or after this instant.
    pub stop: Instant,
}

impl<A> ProbeConfig<A> {
    /// When the first probe is due that is not missed by now.
    fn first_due(&self, now: Instant) -> Instant {
        let missed = now.since(self.start).as_nanos().div_ceil(self.every.as_nanos().max(1));
        self.start + self.every * missed
    }
}

/// Headers (IPv4 and UDP or ICMP: 28) and an 8-octet sequence number fit in the smallest probe.
pub const PROBE_SIZE_MIN: u16 = 36;

/// A computer with one interface. What a probe needs of it comes first, in two cache lines: thousands of hosts are touched
/// in turn.
#[repr(C, align(64))]
pub struct Host {
    /// Each stream and when its next probe is due.
    probes: SmallVec<[(ProbeConfig, Instant); 1]>,
    address: Ipv4Addr,
    mtu: u32,
    tcp: Option<Box<HostTcp>>,
    more: Option<Box<More>>,
    ip: Ip,
}

/// What few hosts have.
#[derive(Default)]
struct More {
    /// Networks that are behind another port than [`PORT`].
    doors: Vec<(Ipv4Net, Port)>,
    /// Applications that ask by UDP.
    calls: Vec<Flows>,
    /// IPv6, beside IPv4.
    six: Option<Six>,
    /// The name server that it is, and whom it asks for names.
    dns: Option<Box<HostDns>>,
}

impl Host {
    /// A host with this address and probes to send; `mtu` of its interface in octets.
    pub fn new(address: Ipv4Addr, mtu: u32, probes: Vec<ProbeConfig>) -> Self {
        let mut ip = Ip::new(vec![address]);
        ip.add_port(PORT, mtu);
        ip.default_route(PORT);
        Self {
            probes: probes.into_iter().map(|p| (p, Instant::NEVER)).collect(),
            address,
            ip,
            mtu,
            tcp: None,
            more: None,
        }
    }

    /// The same host with another port, behind which these networks are.
    pub fn with_door(mut self, port: Port, networks: &[Ipv4Net]) -> Self {
        self.ip.add_port(port, self.mtu);
        for network in networks {
            self.ip.add_route(*network, RouteSource::Static, distance::STATIC, port);
            self.more.get_or_insert_default().doors.push((*network, port));
        }
        self
    }

    /// The same host on Ethernet.
    pub fn with_station(mut self, station: StationConfig) -> Self {
        self.ip.add_station(station);
        self
    }

    /// The port by which a packet leaves.
    fn way(&self, packet: &Packet) -> Port {
        let Some(more) = self.more.as_ref().filter(|_| !is_ipv6(packet.bytes())) else { return PORT };
        let to = Ipv4Packet::new_unchecked(packet.bytes()).dst();
        more.doors.iter().find(|(network, _)| network.contains(&to)).map_or(PORT, |(_, port)| *port)
    }

    /// The same host with a TCP, whose numbers come from `rng`.
    pub fn with_tcp(mut self, rng: Rng) -> Self {
        let mtu = u16::try_from(self.mtu).unwrap_or(u16::MAX);
        let ipv6 = self.more.as_ref().and_then(|more| more.six.as_ref()).map(Six::address);
        self.tcp = Some(Box::new(HostTcp::new(self.address, ipv6, mtu, rng)));
        self
    }

    /// The same host with applications. Those that ask by TCP need [`Host::with_tcp`] before.
    pub fn with_flows(mut self, configs: Vec<FlowsConfig>) -> Self {
        for config in configs {
            match (config.kind, &mut self.tcp) {
                (FlowKind::Tcp, Some(tcp)) => tcp.flows.push(Flows::new(config)),
                (FlowKind::Tcp, None) => {}
                (FlowKind::Udp, _) => self.more.get_or_insert_default().calls.push(Flows::new(config)),
                (FlowKind::Lookup, _) => self.dns_box().lookups.push(Flows::new(config)),
            }
        }
        self
    }

    /// What the flows of its applications have come to: the application's number, and its flows in order.
    pub fn flow_logs(&self) -> impl Iterator<Item = (u16, &[FlowLog])> {
        let by_tcp = self.tcp.iter().flat_map(|tcp| &tcp.flows);
        let lookups = self.more.iter().filter_map(|more| more.dns.as_ref()).flat_map(|dns| &dns.lookups);
        let by_udp = self.more.iter().flat_map(|more| &more.calls).chain(lookups);
        by_tcp.chain(by_udp).map(|it| (it.config.application, it.logs()))
    }

    /// Fetches what any event at it touches.
    pub(super) fn foresee(&self) {
        fetch(&self.probes);
        fetch(&self.ip);
    }

    /// The streams of its probes.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.probes.iter().map(|(probe, _)| probe.stream)
    }

    fn send_probe(&mut self, cx: &mut Cx, probe: &ProbeConfig) {
        let seq = cx.trace.probe(probe.stream).send(cx.now);
        cx.cause = RecordId::GENESIS;
        let tag = ProbeTag { stream: probe.stream, seq, reply: false };
        let meta = Meta { probe: Some(tag), ..cx.meta() };
        let octets = usize::from(probe.size.max(PROBE_SIZE_MIN)) - 28;
        // What it carries: its number, and zeros.
        let mut data = Packet::zeroed(octets, meta);
        data.bytes_mut()[..8].copy_from_slice(&u64::from(seq).to_be_bytes());
        let source = (self.address, PROBE_PORT + probe.stream.0);
        let mut packet = match probe.kind {
            ProbeKind::UdpEcho => udp::around(data, source, (probe.to, ECHO_PORT)),
            ProbeKind::UdpOneWay => udp::around(data, source, (probe.to, DISCARD_PORT)),
            ProbeKind::TcpEcho => {
                let octets = probe.size.into();
                return self.with_tcp_of(cx, |tcp, cx| tcp.call(cx, probe.to.into(), octets, tag));
            }
            ProbeKind::IcmpEcho => {
                let echo = Echo { ident: probe.stream.0, seq: seq as u16 };
                echo_around(IcmpKind::EchoRequest, self.address, probe.to, echo, data)
            }
        };
        self.ip.identify(&mut packet);
        if probe.dont_fragment {
            let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
            ip.set_fragment(true, false, 0);
            ip.fill_checksum();
        }
        cx.created(&packet);
        self.send(cx, packet);
    }

    /// Sends a packet, which nearly always fits.
    fn send(&mut self, cx: &mut Cx, packet: Packet) {
        let port = self.way(&packet);
        if packet.len() <= self.mtu as usize && !self.ip.is_on_ethernet() {
            cx.send(port, packet);
        } else {
            self.ip.output(cx, port, packet);
        }
    }

    /// Touches TCP, if there is one, and sends what it wants sent.
    fn with_tcp_of(&mut self, cx: &mut Cx, touch: impl FnOnce(&mut HostTcp, &mut Cx) -> Vec<Packet>) {
        let Some(tcp) = &mut self.tcp else { return };
        for packet in touch(tcp, cx) {
            let port = self.way(&packet);
            self.ip.output(cx, port, packet);
        }
    }

    /// Asks what applications ask by UDP.
    fn ask(&mut self, cx: &mut Cx) {
        let due = |calls: &mut [Flows], now| {
            calls.iter_mut().find_map(|flows| flows.next(now).map(|(flow, act)| (flows.config, flow, act)))
        };
        while let Some((config, flow, act)) = self.more.as_mut().and_then(|more| due(&mut more.calls, cx.now)) {
            cx.cause = RecordId::GENESIS;
            cx.rearm();
            let port = config.first_port.saturating_add(flow as u16);
            match (act, config.to) {
                (Act::Ask, IpAddr::V4(to)) => {
                    let data = Packet::zeroed(config.size as usize, cx.meta());
                    let mut packet = udp::around(data, (self.address, port), (to, ECHO_PORT));
                    self.ip.identify(&mut packet);
                    cx.created(&packet);
                    self.send(cx, packet);
                }
                (Act::Ask, IpAddr::V6(to)) => self.ask_ipv6(cx, config.size, port, to),
                (Act::Resolve | Act::Connect | Act::Close, _) => {}
            }
        }
    }

    fn deliver(&mut self, cx: &mut Cx, by: Port, packet: Packet) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (peer, kind) = (ip.src(), ip.protocol());
        let reply = match kind {
            protocol::UDP => match UdpDatagram::new_checked(ip.payload()) {
                Err(_) => return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS),
                Ok(udp) if !udp.verify_checksum(peer, ip.dst()) => {
                    return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
                }
                Ok(udp) if self.is_dns(&udp) && self.deliver_dns(cx, by, &packet) => return,
                Ok(udp) => match (udp.src_port(), udp.dst_port()) {
                    (port, ECHO_PORT) => {
                        let meta = reply_meta(cx, &packet);
                        Some(udp::packet((self.address, ECHO_PORT), (peer, port), udp.payload(), meta))
                    }
                    (ECHO_PORT, port) => {
                        let octets = udp.payload().len();
                        if let Some(more) = &mut self.more {
                            heard(&mut more.calls, cx.now, port, octets);
                        }
                        None
                    }
                    (_, DISCARD_PORT) => None,
                    _ => {
                        self.ip.refuse(cx, &packet, IcmpKind::PortUnreachable);
                        return cx.drop(&packet, DropReason::PortUnreachable, RecordId::GENESIS);
                    }
                },
            },
            protocol::ICMP => match IcmpMessage::new_checked(ip.payload()) {
                Err(_) => return cx.drop(&packet, DropReason::Malformed, RecordId::GENESIS),
                Ok(icmp) if !icmp.verify_checksum() => {
                    return cx.drop(&packet, DropReason::BadChecksum, RecordId::GENESIS);
                }
                Ok(icmp) if icmp.kind() == IcmpKind::EchoRequest => {
                    let echo = Echo { ident: icmp.echo_ident(), seq: icmp.echo_seq() };
                    let meta = reply_meta(cx, &packet);
                    Some(echo_reply(self.address, peer, echo, icmp.payload(), meta))
                }
                Ok(icmp) => {
                    if let (IcmpKind::FragmentationNeeded, Ok(quoted)) = (icmp.kind(), Quoted::parse(icmp.payload()))
                        && quoted.header.protocol == protocol::TCP
                        && let Some(ends) =
                            ends_of((quoted.header.src.into(), quoted.header.dst.into()), quoted.payload)
                    {
                        let mtu = icmp.next_hop_mtu();
                        self.with_tcp_of(cx, |tcp, cx| tcp.too_long(cx, ends, mtu));
                    }
                    None
                }
            },
            protocol::TCP if self.tcp.is_some() => {
                cx.hop(packet.meta.id, HopStep::Delivered);
                return self.with_tcp_of(cx, |tcp, cx| tcp.packet(cx, &packet));
            }
            _ => return cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        };
        cx.hop(packet.meta.id, HopStep::Delivered);
        if let Some(tag) = packet.meta.probe.or_else(|| self.answered(&packet)) {
            cx.trace.probe(tag.stream).arrived(tag, cx.now, packet.meta.enabler);
        }
        if let Some(mut reply) = reply {
            self.ip.identify(&mut reply);
            cx.created(&reply);
            self.send(cx, reply);
        }
    }

    /// Which of its own probes a packet answers. A simulated answer is known by its tag; that of a real host by what is in
    /// it: the identifier or port, and the number with which the probe's data began.
    fn answered(&self, packet: &Packet) -> Option<ProbeTag> {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let (kind, number, data) = match ip.protocol() {
            protocol::UDP => {
                let udp = UdpDatagram::new_checked(ip.payload()).ok().filter(|udp| udp.src_port() == ECHO_PORT)?;
                (ProbeKind::UdpEcho, udp.dst_port().checked_sub(PROBE_PORT)?, udp.payload().first_chunk().copied())
            }
            protocol::ICMP => {
                let icmp = IcmpMessage::new_checked(ip.payload()).ok()?;
                let reply = icmp.kind() == IcmpKind::EchoReply;
                (ProbeKind::IcmpEcho, reply.then(|| icmp.echo_ident())?, icmp.payload().first_chunk().copied())
            }
            _ => return None,
        };
        let asked =
            |(probe, _): &&(ProbeConfig, Instant)| (probe.kind, probe.stream.0, probe.to) == (kind, number, ip.src());
        let (probe, _) = self.probes.iter().find(asked)?;
        let seq = u32::try_from(u64::from_be_bytes(data?)).ok()?;
        Some(ProbeTag { stream: probe.stream, seq, reply: true })
    }
}

/// An answer has come to the UDP port of a flow.
fn heard(calls: &mut [Flows], now: Instant, port: u16, octets: usize) {
    let flow = |flows: &Flows| {
        let flow = u32::from(port.checked_sub(flows.config.first_port)?);
        (flow < flows.config.count).then_some(flow)
    };
    if let Some((flows, flow)) = calls.iter_mut().find_map(|flows| flow(flows).map(|flow| (flows, flow))) {
        flows.heard(now, flow, octets);
    }
}

/// The meta of the answer to a packet: a probe's answer belongs to the same probe.
fn reply_meta(cx: &mut Cx, request: &Packet) -> Meta {
    let probe = request.meta.probe.map(|tag| ProbeTag { reply: true, ..tag });
    Meta { probe, session: request.meta.session, ..cx.meta() }
}

impl Device for Host {
    fn start(&mut self, cx: &mut Cx) {
        for (probe, next) in &mut self.probes {
            *next = probe.first_due(cx.now);
        }
        if let Some(six) = self.more.as_mut().and_then(|more| more.six.as_mut()) {
            six.start(cx.now);
        }
        cx.rearm();
    }

    fn stop(&mut self) {
        for (_, next) in &mut self.probes {
            *next = Instant::NEVER;
        }
        self.ip.reset();
        self.tcp.iter_mut().for_each(|tcp| tcp.reset());
        self.ip.with_lan(Lan::reset);
        self.more.iter_mut().flat_map(|more| &mut more.calls).for_each(Flows::halt);
        for more in self.more.iter_mut() {
            more.calls.iter_mut().for_each(Flows::halt);
            more.six.iter_mut().for_each(Six::stop);
            more.dns.iter_mut().for_each(|dns| dns.reset());
        }
    }

    fn receive(&mut self, cx: &mut Cx, port: Port, packet: Packet) {
        let packet = if self.ip.is_on_ethernet() {
            match self.ip.unframe(cx, port, packet) {
                Some(packet) => packet,
                None => return,
            }
        } else {
            packet
        };
        match self.ip.inbound(cx, port, packet) {
            Inbound::Local(packet) => self.deliver(cx, port, packet),
            Inbound::Transit(packet) => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
            Inbound::Nothing => {}
            Inbound::Ipv6Local(packet) => self.deliver_ipv6(cx, packet),
            Inbound::Ipv6Transit(packet) => cx.drop(&packet, DropReason::NotForMe, RecordId::GENESIS),
        }
    }

    fn timeout(&mut self, cx: &mut Cx) {
        for i in 0..self.probes.len() {
            let (probe, next) = self.probes[i];
            // TCP, or another stream, may have woken the host after this one has stopped.
            if next <= cx.now && next < probe.stop {
                self.send_probe(cx, &probe);
                self.probes[i].1 = next + probe.every;
            }
        }
        if self.tcp.as_ref().and_then(|tcp| tcp.wake()).is_some_and(|at| at <= cx.now) {
            cx.cause = RecordId::GENESIS;
            self.with_tcp_of(cx, |tcp, cx| tcp.timeout(cx));
        }
        if self.more.is_some() {
            self.ipv6_probes(cx);
            self.ask(cx);
            self.dns_timeout(cx);
        }
        if self.ip.is_on_ethernet() {
            self.ip.timeout(cx);
        }
    }

    fn carrier(&mut self, cx: &mut Cx, port: Port, _up: bool) {
        self.ip.with_lan(|lan| lan.carrier(cx, port));
    }

    fn held(&self) -> Vec<&Packet> {
        self.ip.held().collect()
    }

    fn wake(&self) -> Option<(Instant, TimerKind)> {
        let due = self.probes.iter().filter(|(p, next)| *next < p.stop).map(|(_, next)| *next).min();
        let probes = due.map(|at| (at, TimerKind::ProbeInterval));
        let tcp = self.tcp.as_ref().and_then(|tcp| tcp.wake()).map(|at| (at, TimerKind::TcpTimer));
        let six = self.more.iter().filter_map(|more| more.six.as_ref()?.wake());
        let calls = self.more.iter().flat_map(|more| &more.calls).filter_map(Flows::wake).chain(six);
        let dns = self.more.as_ref().and_then(|more| more.dns.as_ref());
        let calls = calls.chain(dns.iter().flat_map(|dns| &dns.lookups).filter_map(Flows::wake));
        let calls = calls.min().map(|at| (at, TimerKind::ProbeInterval));
        let dns = dns.and_then(|dns| dns.wake()).map(|at| (at, TimerKind::DnsTimeout));
        let lan = if self.ip.is_on_ethernet() { self.ip.lan_wake() } else { None };
        probes.into_iter().chain(tcp).chain(calls).chain(dns).chain(lan).min_by_key(|(at, _)| *at)
    }
}
