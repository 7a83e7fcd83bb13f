//! A BGP speaker on top of a TCP stack: the two machines of a routing device, and the wires between them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use litemap::LiteMap;

use super::Cx;
use crate::fetch::{fetch, fetch_first};
use crate::id::{Port, RecordId, SessionId};
use crate::packet::Packet;
use crate::proto::bgp::{self, InteriorCosts, PeerConfig, PeerId, RouteChange, Speaker, SpeakerConfig};
use crate::proto::tcp::{self, Event, Stack, StackOutput, TcpConfig};
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::rng::{Purpose, Rng};
use crate::time::Instant;
use crate::trace::{self, Prefixes, Trace};
use crate::wire::ipv4::Ipv4Packet;
use crate::wire::ipv6::{Ipv6Packet, is_ipv6};

/// TCP port of BGP (RFC 4271 section 8).
const BGP_PORT: u16 = 179;

/// What a device's routing is made from.
#[derive(Clone, Debug)]
pub struct RoutingConfig {
    /// Stable name: it chooses the random streams.
    pub name: String,
    /// The seed of the world.
    pub seed: u64,
    /// The speaker.
    pub speaker: SpeakerConfig,
    /// The session of each peer in records, in the speaker's order.
    pub sessions: Vec<SessionId>,
    /// The port behind which each peer is, in the speaker's order: a tunnel's, or an interface. `None`: it is where the
    /// forwarding table says, by whichever port.
    pub ports: Vec<Option<Port>>,
    /// The number of the BFD session on which each peer depends, in the speaker's order, if it depends on one.
    pub bfd: Vec<Option<usize>>,
    /// How the TCP connections of each peer behave, in the same order.
    pub tcp: Vec<TcpConfig>,
    /// The addresses of this end and the other between which the session of each peer runs, in the same order, if it runs over
    /// IPv6; those of the speaker's configuration are then only what decisions compare (RFC 4271 section 9.1.2.2 g).
    pub over_ipv6: Vec<Option<[Ipv6Addr; 2]>>,
    /// What the ways to next hops cost, by network, as an IGP would say: of several that hold a next hop the longest counts, and
    /// any other way costs nothing. Whether there is a way, the forwarding table says.
    pub igp_costs: Vec<(Ipv4Net, u32)>,
}

/// What routing wants of its device, in order.
#[derive(Debug)]
pub(super) enum RoutingEvent {
    /// Send this packet: by this port if it is for a peer behind one.
    Send(Packet, Option<Port>),
    /// The best route to a prefix changed because of that record.
    Route(RouteChange, RecordId),
    /// The same of IPv6.
    Ipv6Route(Box<RouteChange<Ipv6Net>>, RecordId),
    /// A session was established, or is no longer, because of that record.
    Session(RecordId),
}

/// A connection that the stack knows, as the speaker names it.
#[derive(Clone, Copy, Debug)]
struct Line {
    peer: PeerId,
    speaker: bgp::ConnId,
    /// False until the handshake is complete.
    up: bool,
}

/// A speaker with its TCP.
pub struct Routing {
    config: RoutingConfig,
    speaker: Speaker,
    stack: Stack,
    /// Whose address is whose.
    by_address: LiteMap<IpAddr, PeerId>,
    /// Who is behind which port.
    by_port: LiteMap<Port, Vec<PeerId>>,
    /// Who depends on which BFD session.
    by_bfd: LiteMap<usize, Vec<PeerId>>,
    /// What the speaker was told of the ways to next hops; `None`: all are on the links to the peers, at no cost.
    interior: Option<InteriorCosts>,
    lines: LiteMap<tcp::ConnId, Line>,
    /// The other name of each line.
    by_speaker: LiteMap<bgp::ConnId, tcp::ConnId>,
    accepted: u32,
    /// The latest record of this drain that is not about something sent: what route changes follow from.
    anchor: RecordId,
    /// Why the stack has no use for the packet that it was given.
    ignored: Option<DropReason>,
}

impl Routing {
    /// A speaker with all peers stopped.
    pub fn new(config: RoutingConfig) -> Self {
        let mut for_speaker = config.speaker.clone();
        let farther = config.speaker.peers.iter().any(|peer| is_farther(peer, config.speaker.local_as));
        let interior =
            (farther || !config.igp_costs.is_empty()).then(|| InteriorCosts { costs: Vec::new(), otherwise: None });
        for_speaker.interior.clone_from(interior.as_ref().unwrap_or(&config.speaker.interior));
        let speaker = Speaker::new(for_speaker, |peer| {
            Rng::stream(config.seed, &format!("{}/{peer}", config.name), Purpose::BgpTimers)
        });
        let peers = &config.speaker.peers;
        let ends: Vec<[IpAddr; 2]> = (0..peers.len()).map(|place| ends(&config, place)).collect();
        let addresses = ends.iter().map(|[local, _]| *local);
        let mut stack = Stack::new(addresses, Rng::stream(config.seed, &config.name, Purpose::Tcp));
        for ([_, remote], tcp) in ends.iter().zip(&config.tcp) {
            stack.listen(BGP_PORT, Some(*remote), tcp.clone());
        }
        let mut by_address = LiteMap::new();
        for (place, [_, remote]) in ends.iter().enumerate() {
            by_address.entry(*remote).or_insert(PeerId(place as u16));
        }
        let (mut by_port, mut by_bfd): (LiteMap<_, Vec<_>>, LiteMap<_, Vec<_>>) = Default::default();
        for (place, (port, bfd)) in config.ports.iter().zip(&config.bfd).enumerate() {
            if let Some(port) = port {
                by_port.entry(*port).or_default().push(PeerId(place as u16));
            }
            if let Some(bfd) = bfd {
                by_bfd.entry(*bfd).or_default().push(PeerId(place as u16));
            }
        }
        Self {
            config,
            speaker,
            stack,
            by_address,
            by_port,
            by_bfd,
            interior,
            lines: LiteMap::new(),
            by_speaker: LiteMap::new(),
            accepted: 0,
            anchor: RecordId::GENESIS,
            ignored: None,
        }
    }

    /// Fetches what a packet or a timer will touch, so many steps behind the device.
    pub(super) fn foresee(&self, depth: usize, trace: &Trace) {
        match depth {
            1 => {
                fetch(&self.config.sessions);
                fetch(&self.config.ports);
                fetch(&self.by_address);
                fetch(&self.by_speaker);
                fetch(&self.anchor);
            }
            2 => {
                fetch_first(self.by_address.as_slice());
                fetch_first(self.by_speaker.as_slice());
                fetch_first(self.lines.as_slice());
                fetch_first(&self.config.sessions);
                fetch_first(&self.config.ports);
            }
            _ => self.config.sessions.iter().take(2).for_each(|session| trace.foresee_session(*session, depth)),
        }
        self.speaker.foresee(depth);
        self.stack.foresee(depth);
    }

    /// The speaker, to look at.
    pub fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// A peer's session in records.
    pub fn session(&self, peer: PeerId) -> SessionId {
        self.config.sessions[peer.index()]
    }

    /// True if every session is established.
    pub fn established(&self) -> bool {
        self.speaker.established() == self.config.speaker.peers.len()
    }

    /// True if any session is established.
    pub fn any_established(&self) -> bool {
        self.speaker.established() > 0
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + use<> {
        (0..self.config.speaker.peers.len() as u16).map(PeerId)
    }

    /// The port behind which a peer is; `None`: the forwarding table says.
    pub fn port(&self, peer: PeerId) -> Option<Port> {
        self.config.ports[peer.index()]
    }

    /// True if an external peer is on no network of ours and may not be farther away: its session stays down. Vendors call it the
    /// connected check; without it a session by loopback addresses would come up with a TTL of 1 as long as the peer is the next
    /// router, whose own addresses cost no TTL, and not any more when there is a router between.
    fn is_off_link(&self, peer: PeerId) -> bool {
        let config = &self.config.speaker.peers[peer.index()];
        !self.is_internal(peer) && !config.multihop && !config.subnet.contains(&config.remote_address)
    }

    /// True if a peer is in our own autonomous system.
    pub(super) fn is_internal(&self, peer: PeerId) -> bool {
        self.config.speaker.peers[peer.index()].remote_as == self.config.speaker.local_as
    }

    /// True if next hops of a peer's routes may be anywhere: it is in our own autonomous system, or several hops away.
    pub(super) fn is_farther(&self, peer: PeerId) -> bool {
        is_farther(&self.config.speaker.peers[peer.index()], self.config.speaker.local_as)
    }

    /// True if the speaker has to be told of ways to next hops.
    pub(super) fn resolves(&self) -> bool {
        self.interior.is_some()
    }

    /// What the speaker has to be told, if there are ways to these networks and no others; `None` if it knows.
    pub(super) fn news_of_ways(&mut self, reached: &[Ipv4Net]) -> Option<InteriorCosts> {
        let known = self.interior.as_mut()?;
        let configured = &self.config.igp_costs;
        let cost = |network: &Ipv4Net| {
            let holding = configured.iter().filter(|(of, _)| of.contains(network));
            holding.max_by_key(|(of, _)| of.prefix_len()).map_or(0, |(_, cost)| *cost)
        };
        let mut networks: BTreeSet<Ipv4Net> = reached.iter().copied().collect();
        let within = |of: &Ipv4Net| reached.iter().any(|network| network.contains(of));
        networks.extend(configured.iter().map(|(of, _)| *of).filter(within));
        let costs = networks.into_iter().map(|network| (network, cost(&network))).collect();
        let news = InteriorCosts { costs, otherwise: None };
        if *known == news {
            return None;
        }
        known.clone_from(&news);
        Some(news)
    }

    /// The peers behind a port.
    pub(super) fn behind(&self, port: Port) -> Vec<PeerId> {
        self.by_port.get(&port).cloned().unwrap_or_default()
    }

    /// The peers that depend on a BFD session.
    pub(super) fn watched_by(&self, bfd: usize) -> Vec<PeerId> {
        self.by_bfd.get(&bfd).cloned().unwrap_or_default()
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        self.speaker.handle(Instant::START, bgp::Input::Reset);
        while self.speaker.poll().is_some() {}
        self.stack.reset_all();
        while self.stack.poll().is_some() {}
        self.lines.clear();
        self.by_speaker.clear();
    }

    /// Gives the speaker an input and carries out what follows.
    pub(super) fn input(&mut self, cx: &mut Cx, input: bgp::Input<'_>, events: &mut Vec<RoutingEvent>) {
        cx.rearm();
        self.speaker.handle(cx.now, input);
        self.drain(cx, events);
    }

    /// Gives the stack a packet for one of its addresses.
    pub(super) fn packet(&mut self, cx: &mut Cx, packet: &Packet, events: &mut Vec<RoutingEvent>) {
        cx.rearm();
        self.stack.handle(cx.now, packet.bytes());
        self.drain(cx, events);
        if let Some(reason) = self.ignored.take() {
            cx.drop(packet, reason, RecordId::GENESIS);
        }
    }

    /// Tells both machines the time.
    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<RoutingEvent>) {
        self.speaker.handle_timeout(cx.now);
        self.drain(cx, events);
        self.stack.handle_timeout(cx.now);
        self.drain(cx, events);
    }

    /// When either machine wants `timeout`.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let tcp = self.stack.wake().map(|at| (at, TimerKind::TcpTimer));
        self.speaker.wake().into_iter().chain(tcp).min_by_key(|(at, _)| *at)
    }

    fn drain(&mut self, cx: &mut Cx, events: &mut Vec<RoutingEvent>) {
        self.anchor = cx.cause;
        loop {
            if let Some(output) = self.speaker.poll() {
                self.obey(cx, output, events);
            } else if let Some(output) = self.stack.poll() {
                self.hear(cx, output, events);
            } else {
                return;
            }
        }
    }

    /// Carries out what the speaker wants.
    fn obey(&mut self, cx: &mut Cx, output: bgp::Output, events: &mut Vec<RoutingEvent>) {
        let session = |peer: PeerId| self.config.sessions[peer.index()];
        match output {
            bgp::Output::Connect { peer, .. } if self.is_off_link(peer) => {
                let reason = Reason::PeerOffLink;
                self.speaker.handle(cx.now, bgp::Input::LowerLayerDown { peer, reason });
            }
            bgp::Output::Connect { peer, conn } => {
                let [local, remote] = ends(&self.config, peer.index());
                let tcp = self.config.tcp[peer.index()].clone();
                let stack = self.stack.connect(cx.now, tcp, local, SocketAddr::new(remote, BGP_PORT));
                self.join(stack, peer, conn);
            }
            bgp::Output::Send { conn, bytes } => {
                if let Some(&stack) = self.by_speaker.get(&conn) {
                    // A refused octet means that the connection is gone, of which the stack tells in its own time.
                    let _ = self.stack.send(cx.now, stack, &bytes);
                }
            }
            bgp::Output::Close { conn, abortive } => {
                if let Some(stack) = self.by_speaker.remove(&conn) {
                    self.lines.remove(&stack);
                    if abortive {
                        self.stack.abort(cx.now, stack);
                    } else {
                        self.stack.close(cx.now, stack);
                    }
                }
            }
            bgp::Output::Expired { peer, timer, armed_at } => {
                self.anchor = cx.expired(peer.map(session), timer, armed_at);
            }
            bgp::Output::State { peer, from, to, reason } => {
                self.anchor = cx.state(session(peer), from, to, reason);
                if (from == State::Established) != (to == State::Established) {
                    events.push(RoutingEvent::Session(self.anchor));
                }
            }
            bgp::Output::Step { peer, step, codes, prefixes, ipv6_prefixes, open, .. } => {
                let (code, subcode) = codes.unwrap_or_default();
                let prefixes = for_the_trace(prefixes.as_deref(), ipv6_prefixes.as_deref());
                let record = match (prefixes, open) {
                    (Some(prefixes), _) => cx.update(session(peer), step, prefixes),
                    (None, Some(open)) => {
                        let bgp::Open { asn, hold_time, identifier, .. } = open;
                        cx.open(session(peer), step, trace::Open { asn, hold_time, identifier })
                    }
                    (None, None) => cx.step(session(peer), step, u32::from(code) << 8 | u32::from(subcode)),
                };
                if !step.is_sent() {
                    self.anchor = record;
                }
            }
            bgp::Output::Communication { peer, text } => {
                let octets = text.map_or(0, |text| text.len());
                self.anchor = cx.step(session(peer), Step::CommunicationReceived, octets as u32);
            }
            bgp::Output::NearLimit { peer, prefixes, .. } => {
                self.anchor = cx.step(session(peer), Step::PrefixLimitNear, prefixes as u32);
            }
            bgp::Output::Withheld { peer, prefixes, .. } => {
                self.anchor = cx.step(session(peer), Step::AnnouncementsWithheld, prefixes as u32);
            }
            bgp::Output::Retained { peer, routes } => {
                self.anchor = cx.step(session(peer), Step::RoutesRetained, routes as u32);
            }
            bgp::Output::Route(change) => events.push(RoutingEvent::Route(change, self.anchor)),
            bgp::Output::Ipv6Route(change) => events.push(RoutingEvent::Ipv6Route(change, self.anchor)),
            bgp::Output::Refused { .. } => {}
        }
    }

    /// Tells the speaker what the stack says.
    fn hear(&mut self, cx: &mut Cx, output: StackOutput, events: &mut Vec<RoutingEvent>) {
        match output {
            StackOutput::Transmit { mut packet, .. } => {
                let destination = destination(&packet);
                packet.meta = cx.meta();
                let peer = self.by_address.get(&destination).copied();
                packet.meta.session = peer.map(|peer| self.config.sessions[peer.index()]);
                cx.created(&packet);
                events.push(RoutingEvent::Send(packet, peer.and_then(|peer| self.port(peer))));
            }
            StackOutput::Accepted { conn, remote, .. } => {
                if let Some(&peer) = self.by_address.get(&remote.ip()) {
                    self.accepted += 1;
                    self.join(conn, peer, bgp::ConnId::Accepted(self.accepted));
                }
            }
            StackOutput::Event { conn, event } => self.event(cx, conn, event),
            StackOutput::Ignored(reason) => self.ignored = Some(reason),
        }
    }

    fn join(&mut self, stack: tcp::ConnId, peer: PeerId, speaker: bgp::ConnId) {
        self.lines.insert(stack, Line { peer, speaker, up: false });
        self.by_speaker.insert(speaker, stack);
    }

    fn part(&mut self, stack: tcp::ConnId) {
        if let Some(line) = self.lines.remove(&stack) {
            self.by_speaker.remove(&line.speaker);
        }
    }

    fn event(&mut self, cx: &Cx, stack: tcp::ConnId, event: Event) {
        let Some(line) = self.lines.get_mut(&stack) else {
            return;
        };
        let Line { peer, speaker: conn, up } = *line;
        let input = match event {
            Event::Connected => {
                line.up = true;
                bgp::Input::TcpConnected { peer, conn }
            }
            Event::Received(bytes) => {
                return self.speaker.handle(cx.now, bgp::Input::Received { conn, bytes: &bytes });
            }
            Event::PeerClosed if up => bgp::Input::TcpClosed { peer, conn, reset: false },
            Event::Reset if up => {
                self.part(stack);
                bgp::Input::TcpClosed { peer, conn, reset: true }
            }
            Event::PeerClosed | Event::Reset | Event::TimedOut => {
                self.part(stack);
                bgp::Input::TcpFailed { peer, conn }
            }
            Event::Closed | Event::Ignored(_) => return,
        };
        self.speaker.handle(cx.now, input);
    }
}

/// The addresses between which a peer's session runs, ours first.
fn ends(config: &RoutingConfig, peer: usize) -> [IpAddr; 2] {
    let addresses = &config.speaker.peers[peer];
    match config.over_ipv6.get(peer).copied().flatten() {
        Some(ends) => ends.map(IpAddr::V6),
        None => [addresses.local_address, addresses.remote_address].map(IpAddr::V4),
    }
}

/// Where a packet that TCP made goes.
fn destination(packet: &Packet) -> IpAddr {
    if is_ipv6(packet.bytes()) {
        IpAddr::V6(Ipv6Packet::new_unchecked(packet.bytes()).dst())
    } else {
        IpAddr::V4(Ipv4Packet::new_unchecked(packet.bytes()).dst())
    }
}

/// True if next hops of a peer's routes need not be on the link to it (RFC 4271 section 5.1.3).
fn is_farther(peer: &PeerConfig, local_as: u32) -> bool {
    peer.remote_as == local_as || peer.multihop
}

/// The prefixes of an UPDATE, those of IPv4 first; what it says of them is that of IPv4.
fn for_the_trace(ipv4: Option<&bgp::Prefixes>, ipv6: Option<&bgp::Prefixes<Ipv6Net>>) -> Option<Prefixes> {
    if ipv4.is_none() && ipv6.is_none() {
        return None;
    }
    let all = |ipv4: &[Ipv4Net], ipv6: &[Ipv6Net]| {
        let ipv4 = ipv4.iter().copied().map(IpNet::V4);
        ipv4.chain(ipv6.iter().copied().map(IpNet::V6)).collect()
    };
    let attributes = ipv4.and_then(|prefixes| prefixes.attributes.as_ref());
    let attributes = attributes.map(|attributes| trace::Attributes {
        as_path: attributes.as_path.to_string().into(),
        next_hop: attributes.next_hop,
        med: attributes.med,
    });
    Some(Prefixes {
        withdrawn: all(
            ipv4.map_or(&[], |prefixes| &prefixes.withdrawn),
            ipv6.map_or(&[], |prefixes| &prefixes.withdrawn),
        ),
        announced: all(
            ipv4.map_or(&[], |prefixes| &prefixes.announced),
            ipv6.map_or(&[], |prefixes| &prefixes.announced),
        ),
        attributes,
    })
}

#[cfg(test)]
mod tests;
