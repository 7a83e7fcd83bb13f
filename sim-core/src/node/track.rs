//! What a device watches, so that static routes can depend on it (object tracking): a tunnel, a BFD session, the carrier of a
//! port, or an address that answers ICMP echo requests.
//!
//! Whatever is watched is down until it is known to be up. An address is asked every so often by one port, whatever the table
//! says, or the route that depends on the answers would decide about them. It is down after so many requests in a row went
//! unanswered, and up after so many in a row were answered.
//!
//! An instance of a VPC may run a program that has AWS lead a route to it when what it watches is down (Amazon VPC Connectivity Options,
//! "High-level HA architecture for software VPN instances"). The program is a model: what it asks of AWS is no packet, and takes the time
//! that it is configured with; what it watches it asks by real ones.
//!
//! Left out: lists of watched things, delays before a change counts, and thresholds of delay or loss.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::ip::TrackId;
use super::{Cx, Notice};
use crate::id::{NodeId, Port, RecordId, SessionId};
use crate::packet::Packet;
use crate::reason::{Reason, State, TimerKind};
use crate::time::{Duration, Instant};
use crate::wire::icmp::{Echo, IcmpKind, IcmpMessage, echo_request};
use crate::wire::ipv4::{Ipv4Packet, protocol};

/// What is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    /// Whether the tunnel of that number has a CHILD_SA.
    Tunnel(usize),
    /// Whether the BFD session of that number is up.
    Bfd(usize),
    /// Whether a port has a carrier.
    Carrier(Port),
    /// Whether an address answers.
    Echo(EchoConfig),
}

/// How an address is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoConfig {
    /// Whom.
    pub to: Ipv4Addr,
    /// From which of the device's addresses.
    pub from: Ipv4Addr,
    /// By which port.
    pub port: Port,
    /// How often.
    pub every: Duration,
    /// How long an answer is waited for, at most `every`.
    pub timeout: Duration,
    /// How many unanswered requests in a row mean that it is down.
    pub lost: u32,
    /// How many answered ones in a row mean that it is up.
    pub answered: u32,
}

/// A route of a VPC that leads to this device when something that it watches is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takeover {
    /// What is watched, which was up before.
    pub track: TrackId,
    /// The VPC.
    pub vpc: NodeId,
    /// Its route table.
    pub table: u8,
    /// The destination.
    pub prefix: Ipv4Net,
    /// The VPC's port towards this device.
    pub to: Port,
    /// Where the route leads again when what is watched is up again; `None`: it stays.
    pub back: Option<Port>,
    /// From the change to AWS having replaced the route.
    pub after: Duration,
}

/// What watching wants of its device, in order.
#[derive(Debug)]
pub(super) enum TrackEvent {
    /// Send this packet by this port.
    Send(Packet, Port),
    /// It is up, or down, because of that record.
    Changed(TrackId, bool, RecordId),
}

/// The echo identifiers of a device's requests begin here.
const FIRST_IDENT: u16 = 0x7e00;

#[derive(Clone, Debug)]
struct Track {
    watched: Watched,
    session: SessionId,
    up: bool,
    /// When the next request is sent.
    next: Instant,
    seq: u16,
    /// When the answer to the last request is waited for no longer, and when it was sent.
    pending: Option<(Instant, Instant)>,
    /// How many in a row were unanswered, or answered.
    run: u32,
    last_answered: bool,
}

/// All that a device watches, numbered from 0 as [`TrackId`].
#[derive(Clone, Debug, Default)]
pub struct Tracks {
    all: Vec<Track>,
    takeovers: Box<[Takeover]>,
}

impl Tracks {
    /// Watches these; each has a session in records.
    pub fn new(watched: impl IntoIterator<Item = (Watched, SessionId)>) -> Self {
        let track = |(watched, session)| Track {
            watched,
            session,
            up: false,
            next: Instant::NEVER,
            seq: 0,
            pending: None,
            run: 0,
            last_answered: false,
        };
        Self { all: watched.into_iter().map(track).collect(), takeovers: Box::default() }
    }

    /// Takes these routes over.
    pub fn taking_over(self, takeovers: Vec<Takeover>) -> Self {
        Self { takeovers: takeovers.into(), ..self }
    }

    /// Whether something that is watched is up.
    pub fn is_up(&self, track: TrackId) -> bool {
        self.all.get(usize::from(track.0)).is_some_and(|track| track.up)
    }

    /// Begins to ask.
    pub(super) fn start(&mut self, cx: &mut Cx) {
        for track in &mut self.all {
            if let Watched::Echo(_) = track.watched {
                track.next = cx.now;
            }
        }
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        let takeovers = core::mem::take(&mut self.takeovers);
        *self = Self { takeovers, ..Self::new(self.all.iter().map(|track| (track.watched, track.session))) };
    }

    /// What is watched went up or down, because of the latest record: asks AWS to replace the routes that depend on it.
    pub(super) fn replace_routes(&self, cx: &mut Cx, track: TrackId, up: bool) {
        for it in self.takeovers.iter().filter(|it| it.track == track) {
            let Takeover { vpc, table, prefix, after, .. } = *it;
            if let Some(to) = if up { it.back } else { Some(it.to) } {
                cx.notify(vpc, after, Notice::ReplaceRoute { table, prefix, to, after });
            }
        }
    }

    /// Something that may be watched went up or down, because of the latest record.
    pub(super) fn state(&mut self, cx: &mut Cx, what: Watched, up: bool, events: &mut Vec<TrackEvent>) {
        let cause = cx.cause;
        for number in 0..self.all.len() {
            if self.all[number].watched == what {
                cx.cause = cause;
                self.enter(cx, number, up, events);
            }
        }
    }

    /// Takes an ICMP echo reply. False: nobody here asked for it.
    pub(super) fn packet(&mut self, cx: &mut Cx, packet: &Packet, events: &mut Vec<TrackEvent>) -> bool {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if self.all.is_empty() || ip.protocol() != protocol::ICMP {
            return false;
        }
        let Ok(icmp) = IcmpMessage::new_checked(ip.payload()) else { return false };
        if icmp.kind() != IcmpKind::EchoReply || !icmp.verify_checksum() {
            return false;
        }
        let Some(number) = icmp.echo_ident().checked_sub(FIRST_IDENT).map(usize::from) else { return false };
        let Some(track) = self.all.get_mut(number) else { return false };
        let Watched::Echo(config) = track.watched else { return false };
        if config.to != ip.src() || icmp.echo_seq() != track.seq || track.pending.take().is_none() {
            return false;
        }
        cx.rearm();
        self.count(cx, number, &config, true, events);
        true
    }

    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<TrackEvent>) {
        for number in 0..self.all.len() {
            let Watched::Echo(config) = self.all[number].watched else { continue };
            let track = &mut self.all[number];
            if let Some((_, armed_at)) = track.pending.take_if(|(due, _)| *due <= cx.now) {
                cx.cause = RecordId::GENESIS;
                cx.expired(Some(track.session), TimerKind::TrackTimeout, armed_at);
                self.count(cx, number, &config, false, events);
            }
            let track = &mut self.all[number];
            if track.next <= cx.now {
                cx.cause = RecordId::GENESIS;
                track.next = cx.now + config.every;
                track.seq = track.seq.wrapping_add(1);
                track.pending = Some((cx.now + config.timeout, cx.now));
                let mut meta = cx.meta();
                meta.session = Some(track.session);
                let echo = Echo { ident: FIRST_IDENT + number as u16, seq: track.seq };
                events.push(TrackEvent::Send(echo_request(config.from, config.to, echo, &[], meta), config.port));
            }
        }
    }

    /// When `timeout` is wanted.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let pending = self.all.iter().filter_map(|track| track.pending);
        let pending = pending.map(|(due, _)| (due, TimerKind::TrackTimeout));
        let next = self.all.iter().filter(|track| track.next < Instant::NEVER).map(|track| track.next);
        pending.chain(next.map(|at| (at, TimerKind::TrackInterval))).min_by_key(|(at, _)| *at)
    }

    /// Counts a request that was answered, or was not.
    fn count(&mut self, cx: &mut Cx, number: usize, config: &EchoConfig, answered: bool, events: &mut Vec<TrackEvent>) {
        let track = &mut self.all[number];
        track.run = if track.last_answered == answered { track.run.saturating_add(1) } else { 1 };
        track.last_answered = answered;
        if track.run >= if answered { config.answered } else { config.lost } {
            self.enter(cx, number, answered, events);
        }
    }

    fn enter(&mut self, cx: &mut Cx, number: usize, up: bool, events: &mut Vec<TrackEvent>) {
        let track = &mut self.all[number];
        if core::mem::replace(&mut track.up, up) == up {
            return;
        }
        let (from, to, reason) = match up {
            true => (State::Down, State::Up, Reason::TrackUp),
            false => (State::Up, State::Down, Reason::TrackDown),
        };
        let record = cx.state(track.session, from, to, reason);
        events.push(TrackEvent::Changed(TrackId(number as u8), up, record));
    }
}

#[cfg(test)]
mod tests;
