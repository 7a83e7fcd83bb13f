//! What became of every probe of a stream.

use crate::id::{NodeId, RecordId};
use crate::packet::ProbeTag;
use crate::time::{Duration, Instant};

/// A stream of probes as the scenario describes it.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// The sender of the requests.
    pub from: NodeId,
    /// The receiver of the requests.
    pub to: NodeId,
    /// Time between two requests: the resolution of every outage measured with it.
    pub interval: Duration,
    /// True if the receiver answers.
    pub round_trip: bool,
}

/// What became of one direction of one probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Not sent, or still on its way.
    Pending,
    /// Arrived at this time; the latest record its journey depended on.
    Arrived(Instant, RecordId),
    /// Dropped; the record that made the place drop, or [`RecordId::GENESIS`].
    Lost(RecordId),
}

/// The log of a stream: three vectors indexed by the probe's number.
#[derive(Clone, Debug)]
pub struct ProbeLog {
    /// What the stream is.
    pub info: StreamInfo,
    /// When each request was sent.
    pub sent: Vec<Instant>,
    /// What became of each request.
    pub forward: Vec<Fate>,
    /// What became of each reply; [`Fate::Pending`] where there was no reply.
    pub reverse: Vec<Fate>,
}

impl ProbeLog {
    pub(super) const fn new(info: StreamInfo) -> Self {
        Self { info, sent: Vec::new(), forward: Vec::new(), reverse: Vec::new() }
    }

    /// Notes that the next request is sent, and returns its number.
    pub fn send(&mut self, now: Instant) -> u32 {
        let seq = self.sent.len() as u32;
        self.sent.push(now);
        self.forward.push(Fate::Pending);
        self.reverse.push(Fate::Pending);
        seq
    }

    /// Notes the first arrival of a request or reply; later copies change nothing.
    pub fn arrived(&mut self, tag: ProbeTag, now: Instant, enabler: RecordId) {
        if let Some(fate) = self.fate(tag)
            && !matches!(fate, Fate::Arrived(..))
        {
            *fate = Fate::Arrived(now, enabler);
        }
    }

    /// Notes a loss, unless a copy has arrived.
    pub fn lost(&mut self, tag: ProbeTag, blame: RecordId) {
        if let Some(fate) = self.fate(tag)
            && *fate == Fate::Pending
        {
            *fate = Fate::Lost(blame);
        }
    }

    fn fate(&mut self, tag: ProbeTag) -> Option<&mut Fate> {
        let side = if tag.reply { &mut self.reverse } else { &mut self.forward };
        side.get_mut(tag.seq as usize)
    }
}
