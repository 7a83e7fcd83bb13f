//! One IPsec tunnel as the device at its end sees it: an IKE machine, the SAs it made, and a virtual interface.
//!
//! The machine decides; this file carries its decisions out: datagrams become packets, CHILD_SAs become ESP SAs, events
//! become records. On a rekey the new inbound SA is there before the peer may use it, the new outbound one is used when
//! the machine says so, and the old inbound one stays until it is deleted, or for some time after
//! ([`Options::delete_rekeyed_delay`]), so that nothing under way is lost (RFC 7296 section 2.8).

mod moves;
mod options;
mod outside;
mod pairs;

use std::net::IpAddr;
use std::sync::Arc;

use super::Cx;
use super::allowance::Allowance;
use super::counters::Traffic;
use crate::fetch::fetch;
use crate::id::{Port, RecordId, SessionId};
use crate::packet::{Meta, Packet};
use crate::proto::esp::{Inbound, Outbound, SaProtocol, tunnel_mtu};
use crate::proto::ike::{self, Datagram, Input, Output, SaKind};
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::rng::{Purpose, Seldom};
use crate::time::{Duration, Instant};
use crate::trace::HopStep;
use crate::trace::pcap::SessionKeys;
use crate::wire::ike::Header;
use crate::wire::ipv4::{self, MIN_REASSEMBLY};
use crate::wire::ipv6;
use crate::wire::udp::{self, UdpDatagram};

pub use options::{Fragmentation, MssClamp, Options};
pub(super) use outside::{OuterPacket, Outside, Remote, classify, quoted_spi};
use pairs::sa_protocol;

/// UDP port of IKE (RFC 7296 section 2).
pub const IKE_PORT: u16 = 500;
/// UDP port of IKE and ESP behind a NAT (RFC 3948).
pub const NATT_PORT: u16 = 4500;
/// What precedes an IKE message on port 4500, where ESP has its SPI (RFC 3948 section 2.2).
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// A NAT keepalive (RFC 3948 section 2.3).
const KEEPALIVE: [u8; 1] = [0xff];
/// How long nothing is sent before a NAT keepalive is (RFC 3948 section 4).
pub const NAT_KEEPALIVE: Duration = Duration::from_secs(20);
/// TTL of outer headers and of IKE.
const OUTER_TTL: u8 = 64;

/// What a tunnel end is made from.
#[derive(Clone, Debug)]
pub struct TunnelConfig {
    /// Stable name: it chooses the random streams.
    pub name: String,
    /// The seed of the world.
    pub seed: u64,
    /// The virtual interface.
    pub port: Port,
    /// Outside address of this end.
    pub local: IpAddr,
    /// Outside address of the other end, of the same family.
    pub remote: IpAddr,
    /// True if the other end may be anywhere: it is whoever proves to be it, and `remote` only where it is expected.
    pub any_remote: bool,
    /// MTU of the path between the outside addresses, in octets.
    pub outer_mtu: u16,
    /// What IKE is told.
    pub ike: Arc<ike::Config>,
    /// What it may be told later ([`super::Command::Reconfigure`]).
    pub prepared: Vec<Arc<ike::Config>>,
    /// Anti-replay window in packets.
    pub replay_window: u16,
    /// What IKE does not negotiate.
    pub options: Options,
    /// How long nothing is sent, while this end is behind a NAT, until a keepalive is; `None`: none is ever sent.
    pub nat_keepalive: Option<Duration>,
    /// The IKE SA in records.
    pub ike_session: SessionId,
    /// The CHILD_SA in records.
    pub child_session: SessionId,
}

/// What a tunnel wants of its device, in order.
#[derive(Debug)]
pub(super) enum TunnelEvent {
    /// Finish, route and send this packet, which is between outside addresses and has no Identification yet.
    Send(Packet),
    /// Route and send this sealed packet.
    SendSealed(Packet),
    /// The tunnel can carry packets of up to this many octets.
    Up(u16),
    /// From now on it carries packets of up to this many.
    Narrowed(u16),
    /// The tunnel can carry nothing.
    Down,
    /// Packets with this SPI are for the tunnel from here on.
    Installed(u32),
    /// Packets with this SPI are for nobody.
    Removed(u32),
    /// The outside address of this end is another; the addresses of both ends were these.
    Readdressed((IpAddr, IpAddr)),
}

/// An installed pair of SAs. The outbound one may wait for its turn.
#[derive(Clone, Debug)]
struct Pair {
    spi_in: u32,
    /// The policy that it is for; 0 for a route-based device.
    policy: u8,
    /// Of a policy-based device: true once it may send.
    sends: bool,
    inbound: Inbound,
    outbound: Outbound,
}

/// What an operator sees of an installed pair of SAs. No keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PairSeen {
    /// ESP or AH.
    pub protocol: SaProtocol,
    /// The SPI of what arrives.
    pub spi_in: u32,
    /// The SPI of what is sent.
    pub spi_out: u32,
    /// The sequence number sent last: how many packets were sealed.
    pub sent: u64,
    /// The highest sequence number received.
    pub received: u64,
    /// True if what is sent goes by this pair.
    pub sends: bool,
}

/// What is left of a pair that was rekeyed and deleted: it opens what comes late.
#[derive(Clone, Debug)]
struct Late {
    deleted: Instant,
    spi_in: u32,
    inbound: Inbound,
}

/// One end of an IPsec tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel {
    config: TunnelConfig,
    ike: ike::Peer,
    pairs: Vec<Pair>,
    /// Those that were rekeyed and deleted, the oldest first; empty without [`Options::delete_rekeyed_delay`].
    late: Vec<Late>,
    /// Inbound SPI of the pair that sends.
    sending: Option<u32>,
    suite: Option<ike::EspSuite>,
    ike_suite: Option<ike::IkeSuite>,
    /// The record that brought the tunnel up or down, or to another port of the peer, last.
    since: RecordId,
    /// While this end is behind a NAT and the tunnel is there.
    binding: Option<Binding>,
    /// MTU of the path: as configured, or less, if ICMP has told so.
    path_mtu: u16,
    /// The greatest MSS that TCP may tell through it, if this end clamps that.
    mss: Option<u16>,
    /// The same over IPv6.
    mss_v6: Option<u16>,
    /// When the next dummy packet is due.
    dummy: Option<Instant>,
    /// For records of messages that anybody may have sent.
    strangers: Allowance,
    traffic: Traffic,
}

/// The NAT binding in front of this end, which must not be forgotten (RFC 3948 section 4).
#[derive(Clone, Copy, Debug)]
struct Binding {
    local_port: u16,
    remote: Remote,
    /// When something was sent through it last.
    used: Instant,
}

impl Tunnel {
    /// Fetches what a packet or a timer will touch, so many steps behind the device.
    pub(super) fn foresee(&self, depth: usize) {
        self.ike.foresee(depth);
        match depth {
            1 => {
                fetch(&self.pairs);
                fetch(&self.sending);
                fetch(&self.config);
                fetch(&self.config.options);
                fetch(&self.traffic);
            }
            2 => {
                if let Some(pair) = self.pairs.first() {
                    fetch(pair);
                    fetch(&pair.inbound);
                    fetch(&pair.outbound);
                }
            }
            _ => {
                if let Some(Pair { inbound: Inbound::Esp(inbound), outbound: Outbound::Esp(outbound), .. }) =
                    self.pairs.first()
                {
                    inbound.foresee(depth);
                    outbound.foresee(depth);
                }
            }
        }
    }

    /// A tunnel end that is down and initiates nothing before its device starts.
    pub fn new(config: TunnelConfig) -> Self {
        let stream = |purpose| Seldom::stream(config.seed, &config.name, purpose);
        let (local, remote) = (config.local, config.remote);
        let (secrets, timers) = (stream(Purpose::IkeSecrets), stream(Purpose::IkeTimers));
        let ike = ike::Peer::new(Arc::clone(&config.ike), local, remote, secrets, timers, Instant::START);
        let since = RecordId::GENESIS;
        let strangers = Allowance::new();
        Self {
            path_mtu: config.outer_mtu,
            config,
            ike,
            pairs: Vec::new(),
            late: Vec::new(),
            sending: None,
            suite: None,
            ike_suite: None,
            since,
            binding: None,
            mss: None,
            mss_v6: None,
            dummy: None,
            strangers,
            traffic: Traffic::default(),
        }
    }

    /// The virtual interface.
    pub fn port(&self) -> Port {
        self.config.port
    }

    /// What went through it so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// IKE has another of its prepared configurations from now on.
    pub(super) fn reconfigure(&mut self, to: u8) {
        if let Some(config) = self.config.prepared.get(usize::from(to)) {
            self.config.ike = Arc::clone(config);
            self.ike.reconfigure(config);
        }
    }

    /// Outside addresses: this end, other end.
    pub fn outside(&self) -> (IpAddr, IpAddr) {
        (self.config.local, self.config.remote)
    }

    /// True if an IKE message to this address is for it, wherever it comes from.
    pub(super) fn takes_anybody_at(&self, local: IpAddr) -> bool {
        self.config.any_remote && self.config.local == local
    }

    /// What this end does that IKE does not negotiate.
    pub fn options(&self) -> &Options {
        &self.config.options
    }

    /// True if a sealed packet around one with this DF bit may not be cut.
    pub(super) fn sets_outer_df(&self, inner_df: bool) -> bool {
        self.pairs.iter().any(|pair| pair.outbound.outer().dont_fragment(inner_df))
    }

    /// The greatest MSS that TCP may tell through it, if this end clamps that.
    pub(super) fn mss(&self) -> Option<u16> {
        self.mss
    }

    /// The same over IPv6.
    pub(super) fn mss_v6(&self) -> Option<u16> {
        self.mss_v6
    }

    /// True if packets can be sealed.
    pub fn is_up(&self) -> bool {
        self.sending.is_some()
    }

    /// What the ends agreed on for the IKE SA and for ESP, when the tunnel was up last.
    pub fn suites(&self) -> Option<(ike::IkeSuite, ike::EspSuite)> {
        self.ike_suite.zip(self.suite)
    }

    /// The record that brought the tunnel up or down, or to another port of the peer, last.
    pub fn since(&self) -> RecordId {
        self.since
    }

    /// IKE, to look at.
    pub fn ike(&self) -> &ike::Peer {
        &self.ike
    }

    /// Its sessions in records: of IKE, of the CHILD_SA.
    pub fn sessions(&self) -> (SessionId, SessionId) {
        (self.config.ike_session, self.config.child_session)
    }

    /// The installed pairs of SAs, to look at, in the order of their installation.
    pub fn pairs(&self) -> impl Iterator<Item = PairSeen> {
        self.pairs.iter().map(|pair| PairSeen {
            protocol: pair.inbound.protocol(),
            spi_in: pair.spi_in,
            spi_out: pair.outbound.spi(),
            sent: pair.outbound.sequence(),
            received: pair.inbound.window().highest(),
            sends: self.sending == Some(pair.spi_in),
        })
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        self.ike.handle(Instant::START, Input::Reset);
        while self.ike.poll().is_some() {}
        self.pairs.clear();
        self.late.clear();
        self.sending = None;
        self.binding = None;
        self.path_mtu = self.config.outer_mtu;
        self.dummy = None;
    }

    /// Initiates if the startup action says so.
    pub(super) fn start(&mut self, cx: &mut Cx, events: &mut Vec<TunnelEvent>) {
        self.since = cx.cause;
        if self.config.ike.startup == ike::config::Startup::Start {
            self.input(cx, Input::Initiate(Reason::Startup), events);
        }
    }

    /// Gives the IKE machine an input and carries out what follows.
    pub(super) fn input(&mut self, cx: &mut Cx, input: Input, events: &mut Vec<TunnelEvent>) {
        cx.rearm();
        self.ike.handle(cx.now, input);
        self.drain(cx, None, events);
    }

    /// Tells the IKE machine the time and carries out what follows; then sends a NAT keepalive, if one is still due.
    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<TunnelEvent>) {
        self.ike.handle_timeout(cx.now);
        self.drain(cx, None, events);
        if let (Some(binding), Some(due)) = (self.binding, self.keepalive_due())
            && due <= cx.now
        {
            cx.expired(Some(self.config.ike_session), TimerKind::NatKeepalive, binding.used);
            self.binding = Some(Binding { used: cx.now, ..binding });
            let from = (self.config.local, binding.local_port);
            let packet = udp::between(from, binding.remote, &KEEPALIVE, cx.meta());
            events.extend(packet.map(TunnelEvent::Send));
        }
        if self.dummy.is_some_and(|due| due <= cx.now) {
            self.send_dummy(cx, events);
        }
        while self.late_until().is_some_and(|due| due <= cx.now) {
            let late = self.late.remove(0);
            cx.expired(Some(self.config.child_session), TimerKind::DeleteRekeyedDelay, late.deleted);
            events.push(TunnelEvent::Removed(late.spi_in));
        }
    }

    /// Sends a dummy packet, if there is an SA to send it on.
    fn send_dummy(&mut self, cx: &mut Cx, events: &mut Vec<TunnelEvent>) {
        /// As long as what it hides among; a short packet where nothing is padded (assumed).
        const SHORT: u16 = 64;
        cx.rearm();
        self.dummy = self.config.options.dummy_every.map(|every| cx.now + every);
        let (sending, octets) = (self.sending, self.tfc_padding().max(SHORT));
        let Some(pair) = self.pairs.iter_mut().find(|pair| Some(pair.spi_in) == sending) else { return };
        let Outbound::Esp(sa) = &mut pair.outbound else { return };
        if let Ok(packet) = sa.seal_dummy(octets, cx.meta(), |packet| cx.created(packet)) {
            let icv = sa.icv(&packet).last_chunk().map_or(0, |icv| u32::from_be_bytes(*icv));
            cx.hop(packet.meta.id, HopStep::Sealed(sa.spi(), sa.sequence() as u32, icv));
            events.push(TunnelEvent::SendSealed(packet));
        }
    }

    /// When `timeout` is wanted. It may turn out that nothing is due: what is sent puts keepalives off without a word.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let keepalive = self.keepalive_due().map(|at| (at, TimerKind::NatKeepalive));
        let dummy = self.dummy.map(|at| (at, TimerKind::DummyPacket));
        let late = self.late_until().map(|at| (at, TimerKind::DeleteRekeyedDelay));
        self.ike.wake().into_iter().chain(keepalive).chain(dummy).chain(late).min_by_key(|(at, _)| *at)
    }

    fn late_until(&self) -> Option<Instant> {
        Some(self.late.first()?.deleted + self.config.options.delete_rekeyed_delay?)
    }

    fn keepalive_due(&self) -> Option<Instant> {
        Some(self.binding?.used + self.config.nat_keepalive?)
    }

    /// Seals a packet in place. Drops it, and perhaps initiates, if there is no SA.
    pub(super) fn seal(&mut self, cx: &mut Cx, mut packet: Packet, events: &mut Vec<TunnelEvent>) -> Option<Packet> {
        if !self.config.ike.policies.is_empty() {
            self.choose(cx, &packet, events)?;
        }
        let sending = self.sending;
        let Some(pair) = self.pairs.iter_mut().find(|pair| Some(pair.spi_in) == sending) else {
            cx.drop(&packet, DropReason::NoSa, self.since);
            self.input(cx, Input::Initiate(Reason::TrafficNeedsSa), events);
            return None;
        };
        let (sa, octets) = (&mut pair.outbound, packet.len());
        if let Err(reason) = sa.seal(&mut packet) {
            cx.drop(&packet, reason, RecordId::GENESIS);
            return None;
        }
        if let Some(binding) = &mut self.binding {
            binding.used = cx.now;
        }
        self.traffic.sent.add(octets);
        packet.meta.tunnel = Some(self.config.ike_session);
        packet.needs(self.since);
        let icv = sa.icv(&packet).last_chunk().map_or(0, |icv| u32::from_be_bytes(*icv));
        cx.hop(packet.meta.id, HopStep::Sealed(sa.spi(), sa.sequence() as u32, icv));
        if sa.wants_successor() {
            let (spi_in, spi_out) = (pair.spi_in, sa.spi());
            self.sequence_low(cx, spi_in, spi_out, events);
        }
        Some(packet)
    }

    /// True if the message in a UDP packet to this end, `offset` octets into its payload, has the SPIs of an IKE_SA of it.
    pub(super) fn knows_ike(&self, packet: &Packet, offset: usize) -> bool {
        let ip = OuterPacket::of(packet);
        let message = UdpDatagram::new_unchecked(ip.payload);
        let header = message.payload().get(offset..).and_then(|bytes| Header::parse(bytes).ok());
        ip.dst == self.config.local && header.is_some_and(|header| self.ike.knows(header.spi_i, header.spi_r))
    }

    /// An SA has sent so many packets that a successor must come (RFC 4303 section 3.3.3).
    #[cold]
    fn sequence_low(&mut self, cx: &mut Cx, spi_in: u32, spi_out: u32, events: &mut Vec<TunnelEvent>) {
        cx.step(self.config.child_session, Step::SequenceLow, spi_out);
        self.input(cx, Input::RekeyChild { spi_in }, events);
    }

    /// True if one of its inbound SAs has this protocol and SPI.
    pub(super) fn knows(&self, protocol: SaProtocol, spi: u32) -> bool {
        let current = self.pairs.iter().map(|pair| (pair.spi_in, &pair.inbound));
        let late = self.late.iter().map(|late| (late.spi_in, &late.inbound));
        current.chain(late).any(|(spi_in, inbound)| spi_in == spi && inbound.protocol() == protocol)
    }

    /// ICMP says that a packet sealed with this outbound SPI was too long: the path below has this MTU. It is not
    /// authentic, so a path below what every host must take is not believed (RFC 4301 section 8.2.1).
    pub(super) fn narrowed(&mut self, cx: &mut Cx, spi_out: u32, mtu: u16, events: &mut Vec<TunnelEvent>) -> bool {
        let known = self.pairs.iter().any(|pair| pair.outbound.spi() == spi_out);
        let least = if self.config.remote.is_ipv6() { ipv6::MIN_MTU.into() } else { MIN_REASSEMBLY };
        let plausible = usize::from(mtu) >= least && mtu < self.path_mtu;
        if !(self.config.options.learns_path_mtu && known && plausible) {
            return false;
        }
        self.path_mtu = mtu;
        cx.step(self.config.child_session, Step::PathMtuLearned, mtu.into());
        let mtu = self.mtu();
        events.push(TunnelEvent::Narrowed(mtu));
        true
    }

    /// MTU of the path between the outside addresses, as far as it is known.
    pub(super) const fn path_mtu(&self) -> u16 {
        self.path_mtu
    }

    /// How long a sealed packet may be on the path, without what an IPv6 header is longer than one of IPv4.
    fn room(&self) -> u16 {
        const LONGER: u16 = (ipv6::HEADER_LEN - ipv4::HEADER_LEN) as u16;
        if self.config.remote.is_ipv6() { self.path_mtu.saturating_sub(LONGER) } else { self.path_mtu }
    }

    /// The longest inner packet, as things stand; sets what follows from it.
    fn mtu(&mut self) -> u16 {
        let nat_t = self.pairs.iter().any(|pair| pair.outbound.outer().udp.is_some());
        let mtu = match self.suite {
            Some(suite) => sa_protocol(suite.protocol).tunnel_mtu(self.room(), suite.protection, nat_t),
            None => None,
        };
        let mtu = mtu.unwrap_or(u16::MAX);
        self.mss = self.config.options.mss_clamp.map(|clamp| clamp.most(mtu));
        self.mss_v6 = self.config.options.mss_clamp.map(|clamp| clamp.most_v6(mtu));
        mtu
    }

    /// The padding of sealed packets: never beyond the path.
    fn tfc_padding(&self) -> u16 {
        let sending = self.pairs.iter().find(|pair| Some(pair.spi_in) == self.sending);
        let nat_t = sending.is_some_and(|pair| pair.outbound.outer().udp.is_some());
        let mtu = self.suite.and_then(|suite| tunnel_mtu(self.room(), suite.protection, nat_t));
        self.config.options.tfc_padding.min(mtu.unwrap_or(u16::MAX))
    }

    /// Opens a packet of one of its inbound SAs in place; drops it if it does not verify. Answers what was in it, and from
    /// where it came, if it came in UDP.
    pub(super) fn open(
        &mut self,
        cx: &mut Cx,
        spi: u32,
        mut packet: Packet,
    ) -> Option<(Option<Packet>, Option<Remote>)> {
        let inbound = match self.pairs.iter_mut().find(|pair| pair.spi_in == spi) {
            Some(pair) => &mut pair.inbound,
            None => &mut self.late.iter_mut().find(|late| late.spi_in == spi)?.inbound,
        };
        match inbound.open(&mut packet) {
            Ok(opened) => {
                packet.meta.tunnel = None;
                cx.hop(packet.meta.id, HopStep::Opened(spi, opened.sequence as u32));
                let from = opened.src_port.map(|port| (opened.src, port));
                if opened.dummy {
                    cx.drop(&packet, DropReason::DummyPacket, RecordId::GENESIS);
                    return Some((None, from));
                }
                self.traffic.received.add(packet.len());
                Some((Some(packet), from))
            }
            Err(reason) => {
                cx.drop(&packet, reason, RecordId::GENESIS);
                None
            }
        }
    }

    /// Tells the IKE machine that an authenticated packet came, from there if it came in UDP: a sign of life, and of a
    /// NAT that has changed its mind.
    pub(super) fn alive(&mut self, cx: &mut Cx, spi: u32, from: Option<Remote>, events: &mut Vec<TunnelEvent>) {
        self.ike.handle(cx.now, Input::InboundTraffic { spi_in: spi });
        if let (Some((address, port)), Some(pair)) = (from, self.pairs.iter().find(|pair| pair.spi_in == spi)) {
            let outer = pair.outbound.outer();
            if outer.udp.is_some_and(|(_, known)| (outer.dst, known) != (address, port)) {
                let remote = (address, port);
                self.ike.handle(cx.now, Input::TrafficFrom { spi_in: spi, remote });
            }
        }
        self.drain(cx, None, events);
    }

    /// Gives the IKE machine the message in a UDP packet, `offset` octets into its payload.
    pub(super) fn message(&mut self, cx: &mut Cx, packet: &Packet, offset: usize, events: &mut Vec<TunnelEvent>) {
        let ip = OuterPacket::of(packet);
        let udp = UdpDatagram::new_unchecked(ip.payload);
        let datagram = Datagram {
            local: (ip.dst, udp.dst_port()),
            remote: (ip.src, udp.src_port()),
            bytes: udp.payload()[offset..].to_vec(),
        };
        cx.rearm();
        self.ike.handle(cx.now, Input::Datagram(datagram));
        self.drain(cx, Some(packet), events);
    }

    /// Carries out what the IKE machine wants, and what it wants because of a message that arrived.
    fn drain(&mut self, cx: &mut Cx, arrived: Option<&Packet>, events: &mut Vec<TunnelEvent>) {
        let mut overlooked = false;
        while let Some(output) = self.ike.poll() {
            cx.rearm();
            match output {
                Output::Transmit { local_port, remote_port, remote, bytes } => {
                    let from = (self.config.local, local_port);
                    let Some(mut packet) = self.datagram(cx, from, (remote, remote_port), &bytes) else { continue };
                    if overlooked {
                        // Nobody waits for an answer to a stranger; a list of those that were lost would grow.
                        packet.meta.session = None;
                    }
                    events.push(TunnelEvent::Send(packet));
                }
                Output::TransmitFrom(departure) => {
                    let packet = self.datagram(cx, departure.local, departure.remote, &departure.bytes);
                    events.extend(packet.map(TunnelEvent::Send));
                }
                Output::Expired { timer, armed_at } => {
                    cx.expired(Some(self.config.ike_session), timer, armed_at);
                }
                Output::State { sa, from, to, reason } => {
                    let session = match sa {
                        SaKind::Ike => self.config.ike_session,
                        SaKind::Child => self.config.child_session,
                    };
                    if (sa, to) == (SaKind::Ike, State::Down) {
                        self.binding = None;
                    }
                    cx.state(session, from, to, reason);
                }
                Output::Step { step, message_id, response, notice }
                    if arrived.is_some() && proves_nothing(step, response, notice) && !self.strangers.take(cx.now) =>
                {
                    overlooked = true;
                    cx.overlook(self.config.ike_session, step, message_id, response, notice);
                }
                Output::Step { step, message_id, response, notice } => {
                    cx.message(self.config.ike_session, step, message_id, response, notice);
                }
                Output::IkeKeys(keys) => {
                    self.ike_suite = Some(keys.suite);
                    cx.trace.keys(cx.now, cx.node, || ike_keys(*keys));
                }
                Output::IsakmpKeys(keys) => {
                    self.ike_suite = Some(keys.suite);
                    let log = || SessionKeys::Isakmp { cookie_i: keys.cookie_i, encryption: keys.encryption };
                    cx.trace.keys(cx.now, cx.node, log);
                }
                Output::ChildUp(child) => self.install(cx, &child, events),
                Output::ChildRekeyed { new_spi_in, .. } => self.switch(new_spi_in),
                Output::ChildDown { spi_in, reason } => self.remove(cx, spi_in, reason, events),
                Output::PeerMoved { remote: (address, port) } => {
                    self.since = cx.step(self.config.ike_session, Step::PeerMoved, port.into());
                    for pair in &mut self.pairs {
                        let outer = pair.outbound.outer_mut();
                        outer.dst = address;
                        outer.udp = outer.udp.map(|(local, _)| (local, port));
                    }
                }
                Output::Moved(moved) => self.moved(cx, &moved, events),
                Output::Ignored { reason } => match arrived.filter(|_| !self.strangers.take(cx.now)) {
                    Some(packet) => cx.drop(packet, reason, RecordId::GENESIS),
                    None => drop(cx.step(self.config.ike_session, Step::MessageIgnored, reason as u32)),
                },
            }
        }
    }

    /// A message of IKE from one address to another; `None` if they are of two families, between which nothing goes.
    fn datagram(&mut self, cx: &mut Cx, from: Remote, to: Remote, bytes: &[u8]) -> Option<Packet> {
        let meta = Meta { session: Some(self.config.ike_session), ..cx.meta() };
        if from.1 == NATT_PORT {
            if let Some(binding) = &mut self.binding {
                binding.used = cx.now;
            }
            udp::between(from, to, &[&NON_ESP_MARKER, bytes].concat(), meta)
        } else {
            udp::between(from, to, bytes, meta)
        }
    }
}

/// True for the steps with which an end handles a message that nothing proves to be its peer's: those of a handshake, answers
/// outside of any SA, and an answer that is repeated.
fn proves_nothing(step: Step, response: bool, notice: Option<Reason>) -> bool {
    match step {
        Step::IkeSaInitSent
        | Step::IkeSaInitReceived
        | Step::IkeIntermediateSent
        | Step::IkeIntermediateReceived
        | Step::IkeAuthSent
        | Step::IkeAuthReceived
        | Step::MainModeSent
        | Step::MainModeReceived
        | Step::IsakmpInformationalSent
        | Step::IsakmpInformationalReceived
        | Step::NatDetected => true,
        Step::Retransmitted => response,
        _ => response && matches!(notice, Some(Reason::InvalidSpi | Reason::InvalidMajorVersion)),
    }
}

fn ike_keys(keys: ike::IkeKeyLog) -> SessionKeys {
    SessionKeys::Ike {
        spi_i: keys.spi_i,
        spi_r: keys.spi_r,
        suite: keys.suite.protection,
        encryption: [keys.sk_ei, keys.sk_er],
        integrity: [keys.sk_ai, keys.sk_ar],
    }
}
