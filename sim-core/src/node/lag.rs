//! Aggregated links of a device: LACP at each end, one logical port above the members, and flows spread over those that carry.
//!
//! LACPDUs are whole Ethernet frames on the member links; IP packets go without an Ethernet header, as on every other link. A flow stays on
//! one member, whose choice is the device's own hash (section 6.2.4 of IEEE 802.1AX-2020 leaves it open): that of
//! [`crate::net::multipath`].

use crate::id::{Port, RecordId, SessionId};
use crate::net::multipath::Multipath;
use crate::packet::Packet;
use crate::proto::lacp::{self, Aggregator, Input, Output, Receive};
use crate::reason::{DropReason, Reason, State, TimerKind};
use crate::time::Instant;
use crate::trace::HopStep;
use crate::wire::lacp::is_slow;

use super::Cx;

/// What one LAG is told.
#[derive(Clone, Debug)]
pub struct LagConfig {
    /// The logical port.
    pub port: Port,
    /// Its members, in the machine's order.
    pub members: Vec<Port>,
    /// The session of each in records.
    pub sessions: Vec<SessionId>,
    /// LACP.
    pub machine: lacp::Config,
    /// How flows are spread over members.
    pub multipath: Multipath,
}

#[derive(Clone, Debug)]
struct Lag {
    config: LagConfig,
    machine: Aggregator,
}

/// What LAGs want of their device, in order.
#[derive(Debug)]
pub(super) enum LagEvent {
    /// Send this frame out of a member.
    Send(Packet, Port),
    /// Other members of the LAG with this logical port carry its traffic, because of that record.
    Members(Port, Vec<Port>, RecordId),
}

/// The LAGs of a device.
#[derive(Clone, Debug, Default)]
pub struct Lags {
    all: Vec<Lag>,
}

impl Lags {
    /// LAGs with no member up.
    pub fn new(all: Vec<LagConfig>) -> Self {
        let lag = |config: LagConfig| Lag { machine: Aggregator::new(config.machine), config };
        Self { all: all.into_iter().map(lag).collect() }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The logical ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = (Port, Multipath)> {
        self.all.iter().map(|lag| (lag.config.port, lag.config.multipath))
    }

    /// True if a port is a LAG's.
    pub(super) fn is_logical(&self, port: Port) -> bool {
        self.ports().any(|(other, _)| other == port)
    }

    /// Which LAG's member a port is, and its number there.
    fn member(&self, port: Port) -> Option<(usize, usize)> {
        let of = |lag: &Lag| lag.config.members.iter().position(|member| *member == port);
        self.all.iter().enumerate().find_map(|(number, lag)| Some((number, of(lag)?)))
    }

    /// True if a port is a member of a LAG.
    pub(super) fn is_member(&self, port: Port) -> bool {
        self.member(port).is_some()
    }

    pub(super) fn start(&mut self, cx: &mut Cx, events: &mut Vec<LagEvent>) {
        for number in 0..self.all.len() {
            for member in 0..self.all[number].config.members.len() {
                self.input(cx, number, Input::Port(member, true), events);
            }
        }
    }

    /// Forgets everything, as power loss does.
    pub(super) fn reset(&mut self) {
        self.all.iter_mut().for_each(|lag| lag.machine.reset());
    }

    /// A member's link lost or regained its carrier.
    pub(super) fn carrier(&mut self, cx: &mut Cx, port: Port, up: bool, events: &mut Vec<LagEvent>) {
        if let Some((number, member)) = self.member(port) {
            self.input(cx, number, Input::Port(member, up), events);
        }
    }

    /// Takes what arrived at a member. Answers with the logical port, if it is an IP packet.
    pub(super) fn packet(
        &mut self,
        cx: &mut Cx,
        port: Port,
        packet: Packet,
        events: &mut Vec<LagEvent>,
    ) -> Option<(Port, Packet)> {
        let Some((number, member)) = self.member(port) else { return Some((port, packet)) };
        if !is_slow(packet.bytes()) {
            let lag = &self.all[number];
            if lag.machine.collects(member) {
                return Some((lag.config.port, packet));
            }
            cx.drop(&packet, DropReason::LagNotCollecting, RecordId::GENESIS);
            return None;
        }
        match self.input(cx, number, Input::Frame(member, packet.bytes()), events) {
            None => cx.hop(packet.meta.id, HopStep::Delivered),
            Some(reason) => cx.drop(&packet, reason, RecordId::GENESIS),
        }
        None
    }

    pub(super) fn timeout(&mut self, cx: &mut Cx, events: &mut Vec<LagEvent>) {
        for number in 0..self.all.len() {
            if self.all[number].machine.wake().is_some_and(|(at, _)| at <= cx.now) {
                cx.cause = RecordId::GENESIS;
                self.all[number].machine.handle_timeout(cx.now);
                self.drain(cx, number, events);
            }
        }
    }

    /// When the first LAG wants `timeout`.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.all.iter().filter_map(|lag| lag.machine.wake()).min_by_key(|(at, _)| *at)
    }

    fn input(
        &mut self,
        cx: &mut Cx,
        number: usize,
        input: Input<'_>,
        events: &mut Vec<LagEvent>,
    ) -> Option<DropReason> {
        cx.rearm();
        self.all[number].machine.handle(cx.now, input);
        self.drain(cx, number, events)
    }

    /// Carries out what a machine wants. Answers why the frame had no effect, if it had none.
    fn drain(&mut self, cx: &mut Cx, number: usize, events: &mut Vec<LagEvent>) -> Option<DropReason> {
        let Lag { config, machine } = &mut self.all[number];
        let (mut ignored, mut moved) = (None, None);
        while let Some(output) = machine.poll() {
            match output {
                Output::Transmit(member, frame) => {
                    let mut meta = cx.meta();
                    meta.session = Some(config.sessions[member]);
                    let packet = Packet::from_bytes(&frame[..], meta);
                    cx.created(&packet);
                    events.push(LagEvent::Send(packet, config.members[member]));
                }
                Output::Expired(member, armed_at) => {
                    cx.expired(Some(config.sessions[member]), TimerKind::LacpCurrentWhile, armed_at);
                }
                Output::Carries(member, carries) => {
                    let (from, to) = if carries { (State::Down, State::Up) } else { (State::Up, State::Down) };
                    let reason = match machine.receive(member) {
                        Receive::PortDisabled => Reason::LinkLost,
                        Receive::Expired | Receive::Defaulted => Reason::LacpExpired,
                        Receive::Current if carries => Reason::LacpSynchronized,
                        Receive::Current => Reason::LacpNotSynchronized,
                    };
                    moved = Some(cx.state(config.sessions[member], from, to, reason));
                }
                Output::Ignored(reason) => ignored = Some(reason),
            }
        }
        if let Some(record) = moved {
            let members = machine.carrying().map(|member| config.members[member]).collect();
            events.push(LagEvent::Members(config.port, members, record));
        }
        ignored
    }
}
