//! BFD of a device: its sessions in UDP datagrams, over one hop (RFC 5881) or several (RFC 5883).
//!
//! A datagram finds its session by Your Discriminator, or while that is zero by its addresses, port and, over one hop, the
//! interface at which it came in (RFC 5880 section 6.3, RFC 5881 section 3). Over one hop packets leave with TTL 255 and are taken
//! with no other (RFC 5881 section 5), and they leave by the session's own interface whatever the table says: it is that link
//! that is watched. Over several hops they follow the table.
//!
//! Of a session's packets no record is kept, of its states and of the Detection Time each.
//!
//! Left out: sessions that begin because a packet comes from somebody unknown, several sessions between the same addresses
//! and IPv6.

use std::net::Ipv4Addr;

use super::Cx;
use crate::id::{Port, RecordId, SessionId};
use crate::packet::Packet;
use crate::proto::bfd::{self, Input, Output, Session};
use crate::reason::{DropReason, Reason, State, TimerKind};
use crate::rng::{Purpose, Seldom};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::bfd::{Diagnostic, FIRST_SOURCE_PORT, LEN, MULTIHOP_PORT, PORT, State as Sta, TTL};
use crate::wire::ipv4::{Ipv4Packet, protocol};
use crate::wire::udp::{self, UdpDatagram};

/// What one session is told.
#[derive(Clone, Copy, Debug)]
pub struct BfdConfig {
    /// This end's address.
    pub local: Ipv4Addr,
    /// The other end's.
    pub remote: Ipv4Addr,
    /// The interface towards it, if it is one hop away.
    pub port: Port,
    /// The session in records.
    pub session: SessionId,
    /// Intervals and hops.
    pub machine: bfd::Config,
}

/// What BFD wants of its device, in order.
#[derive(Debug)]
pub(super) enum BfdEvent {
    /// Send this packet: by this port if the other end is one hop away.
    Send(Packet, Option<Port>),
    /// The session of that number is up, or is so no longer, because of that record. If the other end was told by its operator to
    /// hold it down, nothing follows from that: AdminDown says nothing of the path (RFC 5880 section 6.2).
    Changed(usize, bool, RecordId),
}

/// The BFD sessions of a device, numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Bfd {
    all: Vec<(BfdConfig, Session)>,
}

impl Bfd {
    /// Sessions that wait to be started; the name of each chooses its dice.
    pub fn new(seed: u64, sessions: impl IntoIterator<Item = (String, BfdConfig)>) -> Self {
        let mut all: Vec<(BfdConfig, Session)> = Vec::new();
        for (name, config) in sessions {
            let dice = Seldom::stream(seed, &name, Purpose::Bfd);
            // Random, unique here and not zero (RFC 5880 section 6.8.1).
            let mut drawn = dice.sibling("discriminator");
            let mut discriminator = drawn.u32();
            while discriminator == 0 || all.iter().any(|(_, other)| other.discriminator() == discriminator) {
                discriminator = drawn.u32();
            }
            all.push((config, Session::new(config.machine, discriminator, dice)));
        }
        Self { all }
    }

    /// The sessions, to look at.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.all.iter().map(|(_, session)| session)
    }

    /// The sessions with what they are told, to look at.
    pub fn iter(&self) -> impl Iterator<Item = (&BfdConfig, &Session)> {
        self.all.iter().map(|(config, session)| (config, session))
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn start(&mut self, cx: &mut Cx, events: &mut Vec<BfdEvent>) {
        for number in 0..self.all.len() {
            self.input(cx, number, Input::Start, events);
        }
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        for (_, session) in &mut self.all {
            session.handle(Instant::START, Input::Reset);
            while session.poll().is_some() {}
        }
    }

    /// Takes a UDP datagram for one of the device's addresses. False: it is none of BFD's.
    pub(super) fn packet(&mut self, cx: &mut Cx, packet: &Packet, at: Port, events: &mut Vec<BfdEvent>) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if self.all.is_empty() || ip.protocol() != protocol::UDP {
            return false;
        }
        let Ok(datagram) = UdpDatagram::new_checked(ip.payload()) else { return false };
        let multihop = match datagram.dst_port() {
            PORT => false,
            MULTIHOP_PORT => true,
            _ => return false,
        };
        let ends = (ip.dst(), ip.src());
        if !datagram.verify_checksum(ip.src(), ip.dst()) {
            cx.drop(packet, DropReason::BadChecksum, RecordId::GENESIS);
            return true;
        }
        let yours = datagram.payload().get(8..12).and_then(|octets| octets.first_chunk().copied());
        let yours = yours.map_or(0, u32::from_be_bytes);
        let is_meant = |(config, session): &(BfdConfig, Session)| {
            config.machine.multihop == multihop
                && (session.discriminator() == yours
                    || yours == 0 && (config.local, config.remote) == ends && (multihop || config.port == at))
        };
        match self.all.iter().position(is_meant) {
            None => cx.drop(packet, DropReason::NotForMe, RecordId::GENESIS),
            Some(number) => {
                let (ttl, payload) = (ip.ttl(), datagram.payload());
                match self.input(cx, number, Input::Packet { payload, ttl }, events) {
                    None => cx.hop(packet.meta.id, HopStep::Delivered),
                    Some(reason) => cx.drop(packet, reason, RecordId::GENESIS),
                }
            }
        }
        true
    }

    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<BfdEvent>) {
        for number in 0..self.all.len() {
            if self.all[number].1.wake().is_some_and(|(at, _)| at <= cx.now) {
                cx.cause = RecordId::GENESIS;
                self.all[number].1.handle_timeout(cx.now);
                self.drain(cx, number, events);
            }
        }
    }

    /// When the first session wants `timeout`.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.sessions().filter_map(Session::wake).min_by_key(|(at, _)| *at)
    }

    fn input(
        &mut self,
        cx: &mut Cx,
        number: usize,
        input: Input<'_>,
        events: &mut Vec<BfdEvent>,
    ) -> Option<DropReason> {
        cx.rearm();
        self.all[number].1.handle(cx.now, input);
        self.drain(cx, number, events)
    }

    /// Carries out what a session wants. Answers why the datagram had no effect, if it had none.
    fn drain(&mut self, cx: &mut Cx, number: usize, events: &mut Vec<BfdEvent>) -> Option<DropReason> {
        let (config, session) = &mut self.all[number];
        let mut ignored = None;
        while let Some(output) = session.poll() {
            match output {
                Output::Transmit(payload) => {
                    let packet = datagram(cx, config, number, &payload);
                    events.push(BfdEvent::Send(packet, (!config.machine.multihop).then_some(config.port)));
                }
                Output::Expired { timer: TimerKind::BfdTransmit, .. } => {}
                Output::Expired { timer, armed_at } => {
                    cx.expired(Some(config.session), timer, armed_at);
                }
                Output::State { from, to, diagnostic } => {
                    let record = cx.state(config.session, state(from), state(to), reason(diagnostic));
                    let meant = to != Sta::AdminDown && !session.is_held_by_the_other_end();
                    if (from == Sta::Up) != (to == Sta::Up) && meant {
                        events.push(BfdEvent::Changed(number, to == Sta::Up, record));
                    }
                }
                Output::Ignored(reason) => ignored = Some(reason),
            }
        }
        ignored
    }
}

/// A control packet on its way (RFC 5881 sections 4 and 5): a source port of the session's own, and the highest TTL.
fn datagram(cx: &mut Cx, config: &BfdConfig, number: usize, payload: &[u8; LEN]) -> Packet {
    let mut meta = cx.meta();
    meta.session = Some(config.session);
    let port = if config.machine.multihop { MULTIHOP_PORT } else { PORT };
    let own = FIRST_SOURCE_PORT + number as u16 % (u16::MAX - FIRST_SOURCE_PORT);
    let mut packet = udp::packet((config.local, own), (config.remote, port), payload, meta);
    let mut ip = Ipv4Packet::new_unchecked(packet.bytes_mut());
    ip.set_ttl(TTL);
    ip.fill_checksum();
    packet
}

const fn state(state: Sta) -> State {
    match state {
        Sta::AdminDown => State::AdminDown,
        Sta::Down => State::Down,
        Sta::Init => State::Init,
        Sta::Up => State::Up,
    }
}

const fn reason(diagnostic: Diagnostic) -> Reason {
    match diagnostic {
        Diagnostic::None | Diagnostic::Other(_) => Reason::BfdHeard,
        Diagnostic::DetectionTimeExpired => Reason::BfdDetectionExpired,
        Diagnostic::NeighborSignaledDown => Reason::BfdNeighborDown,
        Diagnostic::AdminDown => Reason::AdminDown,
    }
}

#[cfg(test)]
mod tests;
