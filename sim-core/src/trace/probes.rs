//! What became of every probe of a stream.

use prefetch_index::prefetch_index;

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

/// One probe: what became of each direction of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe {
    /// When the request was sent.
    pub sent: Instant,
    /// What became of the request.
    pub forward: Fate,
    /// What became of the reply; [`Fate::Pending`] where there was none.
    pub reverse: Fate,
}

/// The log of a stream. It is written for each probe sent and each that arrives, so its head fits one cache line.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct ProbeLog {
    /// What the stream is.
    pub info: Box<StreamInfo>,
    /// When each request was sent, and what became of it.
    requests: Vec<(Instant, Fate)>,
    /// What became of each reply; empty if nobody answers.
    replies: Vec<Fate>,
    answered: bool,
}

impl ProbeLog {
    pub(super) fn new(info: StreamInfo) -> Self {
        let answered = info.round_trip;
        Self { info: Box::new(info), requests: Vec::new(), replies: Vec::new(), answered }
    }

    /// The probe with this number, if it was sent.
    pub fn get(&self, seq: usize) -> Option<Probe> {
        let &(sent, forward) = self.requests.get(seq)?;
        Some(Probe { sent, forward, reverse: self.replies.get(seq).copied().unwrap_or(Fate::Pending) })
    }

    /// All probes, in the order in which they were sent.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Probe> + ExactSizeIterator {
        (0..self.requests.len()).map(|seq| self.get(seq).expect("it was sent"))
    }

    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.requests.len()
    }

    /// Fetches the entry of a probe.
    pub(super) fn foresee(&self, seq: usize) {
        prefetch_index(&self.requests, seq);
    }

    /// Notes that the next request is sent, and returns its number.
    pub fn send(&mut self, now: Instant) -> u32 {
        let seq = self.requests.len() as u32;
        self.requests.push((now, Fate::Pending));
        if self.answered {
            self.replies.push(Fate::Pending);
        }
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
        let seq = tag.seq as usize;
        if tag.reply { self.replies.get_mut(seq) } else { self.requests.get_mut(seq).map(|(_, fate)| fate) }
    }
}
