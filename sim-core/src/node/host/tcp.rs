//! TCP of a host: probes that connect, send and want everything back, and the echo service that does so (RFC 862).
//!
//! A caller sends all it has and closes its half; the service sends everything back and closes the other. So a probe has
//! arrived when the service has seen the end of it, and is answered when the caller has. Segments carry DF and hosts follow
//! ICMP that says that they are too long (RFC 1191, RFC 8201), as every TCP does today. Flows of applications ([`super::flows`]) use the same
//! service, question by question.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::flows::{Act, FlowEnd, Flows, FlowsConfig};
use super::{Cx, ECHO_PORT};
use crate::id::RecordId;
use crate::packet::{Meta, Packet, ProbeTag};
use crate::proto::tcp::{ConnId, Event, Stack, StackOutput, TcpConfig};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::ipv4;

/// The ends of a segment between these addresses of which an ICMP error quotes so much; `None` if that is too little.
pub(super) fn ends_of((src, dst): (IpAddr, IpAddr), quoted: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let &[a, b, c, d] = quoted.first_chunk()?;
    Some((SocketAddr::new(src, u16::from_be_bytes([a, b])), SocketAddr::new(dst, u16::from_be_bytes([c, d]))))
}

/// A connection that this host began.
struct Call {
    conn: ConnId,
    tag: ProbeTag,
    octets: usize,
    /// Octets that have not come back.
    left: usize,
}

/// A connection that was begun by somebody else, and the probe whose it is.
struct Served {
    conn: ConnId,
    tag: Option<ProbeTag>,
}

pub(super) struct HostTcp {
    address: Ipv4Addr,
    ipv6: Option<Ipv6Addr>,
    stack: Stack,
    config: TcpConfig,
    calls: Vec<Call>,
    served: Vec<Served>,
    /// Applications that ask by TCP.
    pub flows: Vec<Flows>,
    /// Their connections: the application's place in `flows`, and the flow. Both ways.
    conns: BTreeMap<ConnId, (usize, u32)>,
    by_flow: BTreeMap<(usize, u32), ConnId>,
    /// Flows that have to find out an address before they connect.
    wanted: Vec<(usize, u32)>,
}

impl HostTcp {
    pub fn new(address: Ipv4Addr, ipv6: Option<Ipv6Addr>, mtu: u16, rng: Rng) -> Self {
        let config = TcpConfig { ttl: ipv4::DEFAULT_TTL, dscp: 0, mtu, ..TcpConfig::default() };
        let addresses = [IpAddr::V4(address)].into_iter().chain(ipv6.map(IpAddr::V6));
        let mut stack = Stack::new(addresses, rng);
        stack.listen(ECHO_PORT, None, config.clone());
        let (calls, served, flows, conns, by_flow, wanted) = Default::default();
        Self { address, ipv6, stack, config, calls, served, flows, conns, by_flow, wanted }
    }

    /// Opens a connection to the echo service of `to`, from the address of that family; `None` if there is none.
    fn connect(&mut self, now: Instant, to: IpAddr) -> Option<ConnId> {
        let from = match to {
            IpAddr::V4(_) => IpAddr::V4(self.address),
            IpAddr::V6(_) => IpAddr::V6(self.ipv6?),
        };
        Some(self.stack.connect(now, self.config.clone(), from, SocketAddr::new(to, ECHO_PORT)))
    }

    /// Connects to the echo service of `to` and sends it `octets` octets. Answers the packets to send.
    pub fn call(&mut self, cx: &mut Cx, to: IpAddr, octets: usize, tag: ProbeTag) -> Vec<Packet> {
        if let Some(conn) = self.connect(cx.now, to) {
            self.calls.push(Call { conn, tag, octets, left: octets });
        }
        self.drain(cx, None)
    }

    /// Takes a segment.
    pub fn packet(&mut self, cx: &mut Cx, packet: &Packet) -> Vec<Packet> {
        self.stack.handle(cx.now, packet.bytes());
        self.drain(cx, Some(&packet.meta))
    }

    /// ICMP says that a segment between these ends was too long for the path (RFC 1191 section 3, RFC 8201 section 4).
    pub fn too_long(&mut self, cx: &mut Cx, ends: (SocketAddr, SocketAddr), mtu: u16) -> Vec<Packet> {
        if let Some(conn) = self.stack.find(ends.0, ends.1).filter(|_| mtu < self.config.mtu) {
            self.stack.set_mtu(cx.now, conn, mtu);
        }
        self.drain(cx, None)
    }

    pub fn timeout(&mut self, cx: &mut Cx) -> Vec<Packet> {
        self.stack.handle_timeout(cx.now);
        let mut packets = self.drain(cx, None);
        for application in 0..self.flows.len() {
            while let Some((flow, act)) = self.flows[application].next(cx.now) {
                self.act(cx.now, (application, flow), act);
                packets.extend(self.drain(cx, None));
            }
        }
        packets
    }

    pub fn wake(&self) -> Option<Instant> {
        self.stack.wake().into_iter().chain(self.flows.iter().filter_map(Flows::wake)).min()
    }

    fn act(&mut self, now: Instant, of: (usize, u32), act: Act) {
        let config = self.flows[of.0].config;
        match (act, self.by_flow.get(&of).copied()) {
            (Act::Resolve, _) => self.wanted.push(of),
            (Act::Connect, _) => self.begin(now, of, config.to),
            // A send that is refused means that the connection is gone, of which the stack tells in its own time.
            (Act::Ask, Some(conn)) => drop(self.stack.send(now, conn, &vec![0; config.size as usize])),
            (Act::Close, Some(conn)) => self.stack.close(now, conn),
            (Act::Ask | Act::Close, None) => {}
        }
    }

    /// Connects a flow.
    fn begin(&mut self, now: Instant, of: (usize, u32), to: IpAddr) {
        let Some(conn) = self.connect(now, to) else { return };
        self.conns.insert(conn, of);
        self.by_flow.insert(of, conn);
    }

    /// Takes the flows whose names are to be looked up, with what they are.
    pub fn wanted_names(&mut self) -> Vec<((usize, u32), FlowsConfig)> {
        std::mem::take(&mut self.wanted).into_iter().map(|of| (of, self.flows[of.0].config)).collect()
    }

    /// The name of a flow came to this: it connects, or has ended.
    pub fn resolved(&mut self, cx: &mut Cx, of: (usize, u32), found: Result<Ipv4Addr, FlowEnd>) -> Vec<Packet> {
        self.flows[of.0].resolved(cx.now, of.1, found);
        if let Ok(address) = found {
            self.begin(cx.now, of, address.into());
        }
        self.drain(cx, None)
    }

    /// Something happened to the connection of an application's flow. False: it is no such connection.
    fn of_flow(&mut self, now: Instant, conn: ConnId, event: &Event) -> bool {
        let Some(&of) = self.conns.get(&conn) else { return false };
        let flows = &mut self.flows[of.0];
        let end = match event {
            Event::Connected => {
                return {
                    flows.connected(now, of.1);
                    true
                };
            }
            Event::Received(octets) => {
                return {
                    flows.heard(now, of.1, octets.len());
                    true
                };
            }
            Event::PeerClosed | Event::Ignored(_) => return true,
            Event::Reset => FlowEnd::Reset,
            Event::TimedOut => FlowEnd::TimedOut,
            Event::Closed => FlowEnd::Done,
        };
        flows.ended(now, of.1, end);
        self.conns.remove(&conn);
        self.by_flow.remove(&of);
        true
    }

    pub fn reset(&mut self) {
        self.stack.reset_all();
        self.calls.clear();
        self.served.clear();
        self.flows.iter_mut().for_each(Flows::halt);
        self.conns.clear();
        self.by_flow.clear();
        self.wanted.clear();
    }

    fn drain(&mut self, cx: &mut Cx, because: Option<&Meta>) -> Vec<Packet> {
        cx.rearm();
        let mut packets = Vec::new();
        while let Some(output) = self.stack.poll() {
            match output {
                StackOutput::Transmit { conn, mut packet } => {
                    packet.meta = Meta { probe: conn.and_then(|conn| self.tag(conn)), ..cx.meta() };
                    cx.created(&packet);
                    packets.push(packet);
                }
                StackOutput::Accepted { conn, .. } => {
                    let tag = because.and_then(|meta| meta.probe).map(|tag| ProbeTag { reply: true, ..tag });
                    self.served.push(Served { conn, tag });
                }
                StackOutput::Event { conn, event } => {
                    let enabler = because.map_or(RecordId::GENESIS, |meta| meta.enabler);
                    self.event(cx, conn, event, enabler);
                }
                StackOutput::Ignored(_) => {}
            }
        }
        packets
    }

    fn tag(&self, conn: ConnId) -> Option<ProbeTag> {
        let called = self.calls.iter().find(|call| call.conn == conn).map(|call| call.tag);
        called.or_else(|| self.served.iter().find(|served| served.conn == conn)?.tag)
    }

    fn event(&mut self, cx: &mut Cx, conn: ConnId, event: Event, enabler: RecordId) {
        if self.of_flow(cx.now, conn, &event) {
            return;
        }
        let call = self.calls.iter_mut().find(|call| call.conn == conn);
        // A send that is refused means that the connection is gone, of which the stack tells in its own time.
        match (event, call) {
            (Event::Connected, Some(call)) => {
                let data = vec![0; call.octets];
                let _ = self.stack.send(cx.now, conn, &data);
                self.stack.close(cx.now, conn);
            }
            (Event::Received(octets), Some(call)) => call.left = call.left.saturating_sub(octets.len()),
            (Event::PeerClosed, Some(call)) => {
                if call.left == 0 {
                    let tag = ProbeTag { reply: true, ..call.tag };
                    cx.trace.probe(tag.stream).arrived(tag, cx.now, enabler);
                }
            }
            (Event::Received(octets), None) => {
                let _ = self.stack.send(cx.now, conn, &octets);
            }
            (Event::PeerClosed, None) => {
                if let Some(tag) = self.tag(conn) {
                    let tag = ProbeTag { reply: false, ..tag };
                    cx.trace.probe(tag.stream).arrived(tag, cx.now, enabler);
                }
                self.stack.close(cx.now, conn);
            }
            (Event::Reset | Event::TimedOut | Event::Closed, _) => {
                self.calls.retain(|call| call.conn != conn);
                self.served.retain(|served| served.conn != conn);
            }
            (Event::Connected, None) | (Event::Ignored(_), _) => {}
        }
    }
}
