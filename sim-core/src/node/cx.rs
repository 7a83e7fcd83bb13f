//! What a device may do to the world while it handles one input.

use crate::id::{NodeId, PacketId, Port, RecordId, SessionId};
use crate::packet::{Meta, Packet};
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::time::{Duration, Instant};
use crate::trace::{Hop, HopStep, Open, Place, Prefixes, Record, Trace, What};

use super::Notice;

/// What a device leaves for the world to carry out.
#[derive(Debug)]
pub(crate) enum Emit {
    /// Put this packet on the link behind the port.
    Packet(Port, Packet),
    /// Tell another device, after the delay, because of that record. Only AWS's own devices do so.
    Notice(NodeId, Duration, RecordId, Box<Notice>),
}

/// The world as a device sees it during one touch.
///
/// `cause` starts as what triggered the touch (the record behind the arriving packet, the fault) and moves on with every
/// record the device keeps, so that consequences name the latest record before them.
pub struct Cx<'a> {
    /// The present.
    pub now: Instant,
    /// The device itself.
    pub node: NodeId,
    /// The latest record of this touch, or what triggered it.
    pub cause: RecordId,
    /// The latest record that the journey of the arriving packet depended on.
    pub(crate) enabler: RecordId,
    /// Where everything that happens is noted.
    pub trace: &'a mut Trace,
    pub(crate) out: &'a mut Vec<Emit>,
    pub(crate) packets: &'a mut u64,
    pub(crate) rearm: bool,
}

impl Cx<'_> {
    /// Says that a machine was touched and the device's wake may have moved.
    pub fn rearm(&mut self) {
        self.rearm = true;
    }

    /// The meta of a new packet that this touch creates.
    pub fn meta(&mut self) -> Meta {
        *self.packets += 1;
        let id = PacketId(*self.packets);
        Meta { id, parent: id, cause: self.cause, ..Meta::default() }
    }

    /// Notes in the trace that a packet has come into being.
    pub fn created(&mut self, packet: &Packet) {
        self.trace.created(self.now, self.node, packet);
    }

    /// Fragments have taken a packet's place.
    pub fn cut(&mut self, packet: PacketId) {
        self.trace.cut(self.now, self.node, packet);
    }

    /// A datagram has taken its fragments' place.
    pub fn joined(&mut self, parts: &[PacketId], whole: PacketId) {
        self.trace.joined(self.now, self.node, parts, whole);
    }

    /// Sends a packet out of a port.
    pub fn send(&mut self, port: Port, packet: Packet) {
        self.out.push(Emit::Packet(port, packet));
    }

    /// Tells another device of AWS something after `delay`, because of the latest record.
    pub fn notify(&mut self, to: NodeId, delay: Duration, notice: Notice) {
        self.out.push(Emit::Notice(to, delay, self.cause, Box::new(notice)));
    }

    /// Drops a packet here. `blame` is the record that made this device drop it, if one did.
    pub fn drop(&mut self, packet: &Packet, reason: DropReason, blame: RecordId) {
        self.trace.dropped(self.now, Place::Node(self.node), reason, blame, packet);
    }

    /// Notes a hop of a packet.
    #[inline(always)]
    pub fn hop(&mut self, packet: PacketId, step: HopStep) {
        self.trace.hop(Hop { at: self.now, node: self.node, packet, step });
    }

    /// Keeps a record caused by the latest one, and makes it the latest.
    pub fn record(&mut self, what: What) -> RecordId {
        let enabler = core::mem::take(&mut self.enabler);
        let record = Record { at: self.now, node: self.node, cause: self.cause, enabler, what };
        self.cause = self.trace.record(record);
        self.cause
    }

    /// Keeps a record, caused by the latest one, of what moves nothing: the step that decides about a route that stays. Nothing is
    /// caused by it.
    pub fn remark(&mut self, what: What) {
        let (at, node, cause, enabler) = (self.now, self.node, self.cause, RecordId::GENESIS);
        self.trace.remark(Record { at, node, cause, enabler, what });
    }

    /// Keeps the record of a state change.
    pub fn state(&mut self, session: SessionId, from: State, to: State, reason: Reason) -> RecordId {
        self.record(What::State { session, from, to, reason })
    }

    /// Keeps the record of a protocol step.
    pub fn step(&mut self, session: SessionId, step: Step, detail: u32) -> RecordId {
        self.record(What::Step { session, step, detail, response: false, notice: None, prefixes: None, open: None })
    }

    /// Keeps the record of a message of an IKE exchange, with the error notification in it.
    pub fn message(
        &mut self,
        session: SessionId,
        step: Step,
        message_id: u32,
        response: bool,
        notice: Option<Reason>,
    ) -> RecordId {
        self.record(What::Step { session, step, detail: message_id, response, notice, prefixes: None, open: None })
    }

    /// Notes a message of an IKE exchange of which no record is kept.
    pub fn overlook(
        &mut self,
        session: SessionId,
        step: Step,
        message_id: u32,
        response: bool,
        notice: Option<Reason>,
    ) {
        let what = What::Step { session, step, detail: message_id, response, notice, prefixes: None, open: None };
        let record = Record { at: self.now, node: self.node, cause: self.cause, enabler: RecordId::GENESIS, what };
        self.trace.overlook(&record);
    }

    /// Keeps the record of an UPDATE that was sent or arrived, and of the prefixes in it.
    pub fn update(&mut self, session: SessionId, step: Step, mut prefixes: Prefixes) -> RecordId {
        self.trace.share(&mut prefixes);
        let detail = (prefixes.withdrawn.len() + prefixes.announced.len()) as u32;
        let prefixes = Some(Box::new(prefixes));
        self.record(What::Step { session, step, detail, response: false, notice: None, prefixes, open: None })
    }

    /// Keeps the record of a BGP OPEN that was sent or arrived, with what it says.
    pub fn open(&mut self, session: SessionId, step: Step, open: Open) -> RecordId {
        let open = Some(Box::new(open));
        self.record(What::Step { session, step, detail: 0, response: false, notice: None, prefixes: None, open })
    }

    /// Keeps the record that a delay of this length has passed, which the latest record began.
    pub fn waited(&mut self, timer: TimerKind, delay: Duration) -> RecordId {
        let armed_at = Instant::from_nanos(self.now.as_nanos().saturating_sub(delay.as_nanos()));
        self.record(What::Expired { session: None, timer, armed_at, starver: None })
    }

    /// Keeps the record of an expired timer, and makes it the latest.
    pub fn expired(&mut self, session: Option<SessionId>, timer: TimerKind, armed_at: Instant) -> RecordId {
        self.cause = self.trace.expired(self.now, self.node, session, timer, armed_at);
        self.cause
    }
}
