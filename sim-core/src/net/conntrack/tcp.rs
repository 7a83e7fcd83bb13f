//! A TCP connection as a device on its path sees it: its state (RFC 9293 section 3.3.2, by what has passed and not by what either
//! end thinks), and whether a segment lies within the windows that the ends have told each other.
//!
//! The check of windows is the one that packet filters share (G. van Rooij, "Real Stateful TCP Packet Filtering in IP Filter",
//! 2000): a segment ends before the limit that the receiver allows, does not lie further back than a window, and acknowledges
//! something that was sent and not too long ago.

use smoltcp::wire::{TcpOption, TcpPacket};

use super::By;

/// What a connection has come to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TcpState {
    /// The originator has sent a SYN.
    SynSent,
    /// Both have sent a SYN, and neither has acknowledged the other's (RFC 9293 section 3.5, simultaneous open).
    SynCrossed,
    /// The responder has answered with SYN+ACK.
    SynReceived,
    /// Open.
    Established,
    /// One end has sent a FIN.
    FinWait,
    /// That FIN is acknowledged.
    CloseWait,
    /// Both ends have sent a FIN.
    LastAck,
    /// Both are acknowledged.
    TimeWait,
    /// Reset.
    Closed,
}

impl TcpState {
    /// True before the handshake is complete.
    pub const fn is_opening(self) -> bool {
        matches!(self, Self::SynSent | Self::SynCrossed | Self::SynReceived)
    }
}

/// What a segment does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Does {
    Syn,
    SynAck,
    Ack,
    Fin,
    Rst,
    /// Flags that no sound TCP sends together, or none at all.
    Nonsense,
}

/// What a segment means to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It belongs there and changes nothing.
    Stay,
    /// It belongs there.
    To(TcpState),
    /// It begins another connection between the same ends.
    Anew,
    /// It does not belong there.
    Invalid,
}

/// What a segment means to a connection in this state. Only a SYN from a connection's end may begin the next.
pub(super) const fn step(state: TcpState, by: By, does: Does) -> Step {
    use TcpState::{CloseWait, Closed, Established, FinWait, LastAck, SynCrossed, SynReceived, SynSent, TimeWait};
    match (does, by, state) {
        (Does::Nonsense, By::Originator | By::Responder, _) => Step::Invalid,
        (Does::Rst, By::Originator | By::Responder, _) => Step::To(Closed),

        (Does::Syn, By::Originator, SynSent | SynCrossed | SynReceived) => Step::Stay,
        (Does::Syn, By::Responder, SynSent) => Step::To(SynCrossed),
        (Does::Syn, By::Responder, SynCrossed) => Step::Stay,
        (Does::Syn, By::Originator | By::Responder, TimeWait | Closed) => Step::Anew,
        // The receiver answers it with a challenge ACK (RFC 9293 section 3.10.7.4), if it lives.
        (Does::Syn, By::Originator, Established | FinWait | CloseWait | LastAck) => Step::Stay,
        (Does::Syn, By::Responder, SynReceived | Established | FinWait | CloseWait | LastAck) => Step::Invalid,

        (Does::SynAck, By::Responder, SynSent) => Step::To(SynReceived),
        (Does::SynAck, By::Originator | By::Responder, SynCrossed) => Step::To(SynReceived),
        (Does::SynAck, By::Responder, SynReceived | Established | FinWait | CloseWait | LastAck | TimeWait) => {
            Step::Stay
        }
        (Does::SynAck, By::Originator, SynReceived) => Step::Stay,
        (Does::SynAck, By::Originator, SynSent | Established | FinWait | CloseWait | LastAck | TimeWait) => {
            Step::Invalid
        }
        (Does::SynAck, By::Originator | By::Responder, Closed) => Step::Invalid,

        // Without its SYN+ACK, the handshake has not been seen.
        (Does::Ack, By::Originator, SynSent | SynCrossed) => Step::Invalid,
        (Does::Ack, By::Responder, SynSent | SynCrossed) => Step::Stay,
        (Does::Ack, By::Originator, SynReceived) => Step::To(Established),
        (Does::Ack, By::Responder, SynReceived) => Step::Stay,
        (Does::Ack, By::Originator | By::Responder, Established) => Step::Stay,
        (Does::Ack, By::Originator | By::Responder, FinWait | CloseWait) => Step::To(CloseWait),
        (Does::Ack, By::Originator | By::Responder, LastAck | TimeWait) => Step::To(TimeWait),
        (Does::Ack, By::Originator | By::Responder, Closed) => Step::Stay,

        (Does::Fin, By::Originator | By::Responder, SynSent | SynCrossed) => Step::Invalid,
        (Does::Fin, By::Originator | By::Responder, SynReceived | Established) => Step::To(FinWait),
        (Does::Fin, By::Originator | By::Responder, FinWait | CloseWait) => Step::To(LastAck),
        (Does::Fin, By::Originator | By::Responder, LastAck | TimeWait | Closed) => Step::Stay,
    }
}

/// What matters of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    does: Does,
    seq: u32,
    /// The sequence number after it.
    end: u32,
    ack: Option<u32>,
    window: u16,
    /// Of a SYN: its window scale, if it offers one.
    scale: Option<u8>,
}

impl Segment {
    /// Reads a segment; `None` if it is not well-formed.
    pub fn read(segment: &[u8]) -> Option<Self> {
        let tcp = TcpPacket::new_checked(segment).ok()?;
        let does = match (tcp.syn(), tcp.ack(), tcp.fin(), tcp.rst()) {
            (true, false, false, false) => Does::Syn,
            (true, true, false, false) => Does::SynAck,
            (false, true, false, false) => Does::Ack,
            (false, true, true, false) => Does::Fin,
            (false, true | false, false, true) => Does::Rst,
            (true, _, true, _) | (true, _, _, true) | (false, _, true, true) | (false, false, _, false) => {
                Does::Nonsense
            }
        };
        let seq = tcp.seq_number().0 as u32;
        let (mut scale, mut options) = (None, tcp.options());
        while tcp.syn() && !options.is_empty() {
            let (rest, option) = TcpOption::parse(options).ok()?;
            if let TcpOption::WindowScale(shift) = option {
                // RFC 7323 section 2.3.
                scale = Some(shift.min(14));
            }
            options = rest;
        }
        let ack = tcp.ack().then_some(tcp.ack_number().0 as u32);
        let end = seq.wrapping_add(tcp.segment_len() as u32);
        Some(Self { does, seq, end, ack, window: tcp.window_len(), scale })
    }

    /// What it does.
    pub const fn kind(&self) -> Does {
        self.does
    }

    /// True if it begins a connection.
    pub fn begins(&self) -> bool {
        self.does == Does::Syn
    }

    /// True if it could be from the midst of a connection that goes on.
    pub fn is_plain(&self) -> bool {
        self.does == Does::Ack
    }
}

/// The largest window of which acknowledgements may be late, unless the sender's own was larger: one without scaling.
const LEAST_LATENESS: u32 = 65_535;

/// What an end has sent and may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Side {
    heard: bool,
    /// The highest sequence number that it has sent, and one.
    end: u32,
    /// The first that it may not send.
    limit: u32,
    /// The largest window that it has told.
    window: u32,
    scale: Option<u8>,
}

/// The windows of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Windows {
    sides: [Side; 2],
    /// True if its beginning was not seen, so that its window scales are not known and nothing can be said (as netfilter does).
    blind: bool,
}

/// Whether `a` is at or after `b`, in sequence space (RFC 9293 section 3.4).
const fn reaches(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

const fn later(a: u32, b: u32) -> u32 {
    if reaches(a, b) { a } else { b }
}

impl Windows {
    /// The first segment that is seen is the originator's.
    pub fn begin(&mut self, segment: &Segment) {
        *self = Self { blind: !segment.begins(), ..Self::default() };
        self.pass(By::Originator, segment, true);
    }

    /// True if a segment lies within the windows, which it then moves. `opening`: the handshake is not complete.
    pub fn pass(&mut self, by: By, segment: &Segment, opening: bool) -> bool {
        if self.blind {
            return true;
        }
        let (mut sender, mut receiver) = (self.sides[by as usize], self.sides[by.other() as usize]);
        let is_syn = matches!(segment.does, Does::Syn | Does::SynAck);
        // RFC 7323 section 2.2: both offer it or neither uses it, and the window of a SYN is never scaled.
        let shift = sender.scale.filter(|_| !is_syn && receiver.scale.is_some()).unwrap_or(0);
        let window = u32::from(segment.window) << shift;
        // An end that gave up and begins anew has another initial sequence number.
        if !sender.heard || (opening && is_syn && segment.end != sender.end) {
            sender = Side { heard: true, end: segment.end, limit: segment.end, window, scale: segment.scale };
        }
        let ack = segment.ack.filter(|_| receiver.heard);
        let lateness = sender.window.max(LEAST_LATENESS);
        let fits = reaches(sender.limit, segment.end.wrapping_sub(u32::from(segment.does == Does::Fin)))
            && reaches(segment.end, sender.end.wrapping_sub(receiver.window.max(1)))
            && ack.is_none_or(|ack| reaches(receiver.end, ack) && reaches(ack, receiver.end.wrapping_sub(lateness)));
        if !fits {
            return false;
        }
        sender.window = sender.window.max(window);
        sender.end = later(segment.end, sender.end);
        if let Some(ack) = segment.ack.filter(|_| receiver.heard) {
            receiver.limit = later(ack.wrapping_add(window.max(1)), receiver.limit);
        }
        self.sides[by as usize] = sender;
        self.sides[by.other() as usize] = receiver;
        true
    }
}
