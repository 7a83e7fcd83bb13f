//! One IPsec tunnel as the device at its end sees it: an IKE machine, the SAs it made, and a virtual interface.
//!
//! The machine decides; this file carries its decisions out: datagrams become packets, CHILD_SAs become ESP SAs, events
//! become records. On a rekey the new inbound SA is there before the peer may use it, and the old one stays until the
//! peer deletes it, so that nothing under way is lost (RFC 7296 section 2.8).

use std::net::{IpAddr, Ipv4Addr};

use super::Cx;
use crate::id::{Port, RecordId, SessionId};
use crate::packet::{Meta, Packet};
use crate::proto::esp::{DfBit, InboundSa, Outer, OutboundSa, SaKeys, Selectors, tunnel_mtu};
use crate::proto::ike::{self, ChildSa, Input, Output, Peer, SaKind};
use crate::reason::{DropReason, TimerKind};
use crate::rng::{Purpose, Rng};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::trace::pcap::SessionKeys;
use crate::wire::udp;

/// UDP port of IKE (RFC 7296 section 2).
pub const IKE_PORT: u16 = 500;
/// UDP port of IKE and ESP behind a NAT (RFC 3948).
pub const NATT_PORT: u16 = 4500;
/// What precedes an IKE message on port 4500, where ESP has its SPI (RFC 3948 section 2.2).
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

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
    pub local: Ipv4Addr,
    /// Outside address of the other end.
    pub remote: Ipv4Addr,
    /// MTU of the path between the outside addresses, in octets.
    pub outer_mtu: u16,
    /// What IKE is told.
    pub ike: ike::Config,
    /// Anti-replay window in packets.
    pub replay_window: u32,
    /// The IKE SA in records.
    pub ike_session: SessionId,
    /// The CHILD_SA in records.
    pub child_session: SessionId,
}

/// What a tunnel wants of its device, in order.
#[derive(Debug)]
pub(super) enum TunnelEvent {
    /// Route and send this packet, which is from and to outside addresses.
    Send(Packet),
    /// The tunnel can carry packets of up to this many octets.
    Up(u16),
    /// The tunnel can carry nothing.
    Down,
}

/// One end of an IPsec tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel {
    config: TunnelConfig,
    ike: Peer,
    outbound: Option<OutboundSa>,
    inbound: Vec<InboundSa>,
    suite: Option<ike::EspSuite>,
    /// The record that made [`Tunnel::outbound`] what it is.
    since: RecordId,
}

impl Tunnel {
    /// A tunnel end that is down and does nothing until [`Tunnel::start`].
    pub fn new(config: TunnelConfig) -> Self {
        let stream = |purpose| Rng::stream(config.seed, &config.name, purpose);
        let (local, remote) = (IpAddr::V4(config.local), IpAddr::V4(config.remote));
        let (secrets, timers) = (stream(Purpose::IkeSecrets), stream(Purpose::IkeTimers));
        let ike = Peer::new(config.ike.clone(), local, remote, secrets, timers, Instant::START);
        Self { config, ike, outbound: None, inbound: Vec::new(), suite: None, since: RecordId::GENESIS }
    }

    /// The virtual interface.
    pub fn port(&self) -> Port {
        self.config.port
    }

    /// Outside addresses: this end, other end.
    pub fn outside(&self) -> (Ipv4Addr, Ipv4Addr) {
        (self.config.local, self.config.remote)
    }

    /// True if packets can be sealed.
    pub fn is_up(&self) -> bool {
        self.outbound.is_some()
    }

    /// What the ends agreed on for ESP, while the tunnel is up or was up last.
    pub fn esp_suite(&self) -> Option<ike::EspSuite> {
        self.suite
    }

    /// The IKE machine, to look at.
    pub fn ike(&self) -> &Peer {
        &self.ike
    }

    /// The record that brought the tunnel up or down last.
    pub fn since(&self) -> RecordId {
        self.since
    }

    /// Takes all it knows away, as power loss does.
    pub(super) fn reset(&mut self, now: Instant) {
        self.ike.handle(now, Input::Reset);
        while self.ike.poll().is_some() {}
        self.outbound = None;
        self.inbound.clear();
    }

    /// Gives the IKE machine an input and carries out what follows.
    pub(super) fn input(&mut self, cx: &mut Cx, input: Input, events: &mut Vec<TunnelEvent>) {
        self.ike.handle(cx.now, input);
        self.drain(cx, events);
    }

    /// Tells the IKE machine the time and carries out what follows.
    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<TunnelEvent>) {
        self.ike.handle_timeout(cx.now);
        self.drain(cx, events);
    }

    /// When the IKE machine wants [`Tunnel::timeout`].
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.ike.wake()
    }

    /// Seals a packet; drops it, and perhaps initiates, if there is no SA.
    pub(super) fn seal(&mut self, cx: &mut Cx, mut packet: Packet, events: &mut Vec<TunnelEvent>) -> Option<Packet> {
        let Some(sa) = &mut self.outbound else {
            cx.drop(&packet, DropReason::NoSa, self.since);
            if self.config.ike.initiate_on_traffic {
                cx.rearm();
                self.input(cx, Input::Initiate, events);
            }
            return None;
        };
        if let Err(reason) = sa.seal(&mut packet) {
            cx.drop(&packet, reason, RecordId::GENESIS);
            return None;
        }
        packet.meta.tunnel = Some(self.config.ike_session);
        packet.meta.enabler = packet.meta.enabler.max(self.since);
        let icv = sa.icv(&packet);
        let icv = u32::from_be_bytes([icv[0], icv[1], icv[2], icv[3]]);
        cx.hop(packet.meta.id, HopStep::Sealed(sa.spi(), sa.sequence(), icv));
        Some(packet)
    }

    /// True if one of its inbound SAs has this SPI.
    pub(super) fn knows(&self, spi: u32) -> bool {
        self.inbound.iter().any(|sa| sa.spi() == spi)
    }

    /// Opens a packet of one of its inbound SAs; drops it if it does not verify.
    pub(super) fn open(&mut self, cx: &mut Cx, spi: u32, mut packet: Packet) -> Option<Packet> {
        let sa = self.inbound.iter_mut().find(|sa| sa.spi() == spi)?;
        match sa.open(&mut packet) {
            Ok(opened) => {
                packet.meta.tunnel = None;
                cx.hop(packet.meta.id, HopStep::Opened(spi, opened.sequence));
                self.ike.handle(cx.now, Input::InboundTraffic);
                Some(packet)
            }
            Err(reason) => {
                cx.drop(&packet, reason, RecordId::GENESIS);
                None
            }
        }
    }

    fn drain(&mut self, cx: &mut Cx, events: &mut Vec<TunnelEvent>) {
        while let Some(output) = self.ike.poll() {
            match output {
                Output::Transmit { local_port, remote_port, bytes, .. } => {
                    let packet = self.datagram(cx, local_port, remote_port, &bytes);
                    events.push(TunnelEvent::Send(packet));
                }
                Output::Expired { timer, armed_at } => {
                    cx.expired(Some(self.config.ike_session), timer, armed_at);
                }
                Output::State { sa, from, to, reason } => {
                    let session = match sa {
                        SaKind::Ike => self.config.ike_session,
                        SaKind::Child => self.config.child_session,
                    };
                    cx.state(session, from, to, reason);
                }
                Output::Step { step, message_id } => {
                    cx.step(self.config.ike_session, step, message_id);
                }
                Output::IkeUp(keys) => cx.trace.keys(cx.now, cx.node, &ike_keys(&keys)),
                Output::ChildUp(child) => self.install(cx, &child, events),
                Output::ChildDown { spi_in, .. } => self.remove(cx, spi_in, events),
                Output::Ignored { .. } => {}
            }
        }
    }

    fn datagram(&mut self, cx: &mut Cx, local_port: u16, remote_port: u16, bytes: &[u8]) -> Packet {
        let meta = Meta { session: Some(self.config.ike_session), ..cx.meta() };
        let (from, to) = ((self.config.local, local_port), (self.config.remote, remote_port));
        let packet = if local_port == NATT_PORT {
            udp::packet(from, to, &[&NON_ESP_MARKER, bytes].concat(), meta)
        } else {
            udp::packet(from, to, bytes, meta)
        };
        cx.created(&packet);
        packet
    }

    fn install(&mut self, cx: &mut Cx, child: &ChildSa, events: &mut Vec<TunnelEvent>) {
        let suite = child.suite.protection;
        let (local, remote) = (self.config.local, self.config.remote);
        let outbound = child.encapsulation.map(|(local, remote)| (local, remote));
        let outer = Outer { src: local, dst: remote, udp: outbound, ttl: 64, df: DfBit::Clear };
        let keys = |keys: &ike::DirectionKeys| SaKeys {
            encryption: keys.encryption.clone(),
            integrity: keys.integrity.clone(),
        };
        let log = |src, dst, spi, keys: &SaKeys| SessionKeys::Esp {
            src,
            dst,
            spi,
            suite,
            encryption: keys.encryption.clone(),
            integrity: keys.integrity.clone(),
        };
        let (keys_in, keys_out) = (keys(&child.keys_in), keys(&child.keys_out));
        // One end logs both directions; the other would only repeat them.
        cx.trace.keys(cx.now, cx.node, &log(local, remote, child.spi_out, &keys_out));
        let stream = format!("{}/{:08x}", self.config.name, child.spi_out);
        let rng = Rng::stream(self.config.seed, &stream, Purpose::Esp);
        let selectors: Option<Selectors> = None;
        self.inbound.push(InboundSa::new(child.spi_in, suite, &keys_in, self.config.replay_window, selectors.clone()));
        let fresh = self.outbound.is_none();
        self.outbound = Some(OutboundSa::new(child.spi_out, suite, &keys_out, outer, selectors, rng));
        self.suite = Some(child.suite);
        self.since = cx.cause;
        if fresh {
            let mtu = tunnel_mtu(self.config.outer_mtu, suite, child.encapsulation.is_some());
            events.push(TunnelEvent::Up(mtu.unwrap_or(68)));
        }
    }

    fn remove(&mut self, cx: &Cx, spi_in: u32, events: &mut Vec<TunnelEvent>) {
        self.inbound.retain(|sa| sa.spi() != spi_in);
        if self.inbound.is_empty() && self.outbound.take().is_some() {
            self.since = cx.cause;
            events.push(TunnelEvent::Down);
        }
    }
}

fn ike_keys(keys: &ike::IkeUp) -> SessionKeys {
    SessionKeys::Ike {
        spi_i: keys.spi_i,
        spi_r: keys.spi_r,
        suite: keys.keys.suite.protection,
        encryption: [keys.keys.initiator.encryption_key().clone(), keys.keys.responder.encryption_key().clone()],
        integrity: [keys.keys.initiator.integrity_key().clone(), keys.keys.responder.integrity_key().clone()],
    }
}
