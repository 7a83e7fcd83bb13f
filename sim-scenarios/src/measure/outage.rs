//! Outages: when a stream of probes was dark, in which direction, and which fault owns that time.
//!
//! A probe is a request and, for an echo stream, the reply that its arrival provokes. What became of each is its
//! [`Fate`], known exactly: a packet is lost when the trace drops it, never because somebody waited long enough.
//! A packet that is neither dropped nor delivered when the run ends is pending and counts for nothing.
//!
//! An outage is a run of at least [`MIN_LOST`] consecutive unanswered probes of one stream and direction. It starts
//! when the first of them was sent and ends when the next that arrived was sent; the sending interval is its
//! resolution. Each direction is judged where a real receiver would judge it:
//!
//! | direction  | answered        | unanswered            | says nothing              |
//! |------------|-----------------|-----------------------|---------------------------|
//! | forward    | request arrived | request lost          | request pending           |
//! | reverse    | reply arrived   | reply lost            | request lost, or pending  |
//! | round trip | reply arrived   | request or reply lost | pending                   |
//!
//! The reverse path carries a reply only if the request came through. A lost request is therefore no evidence about
//! it: such a probe neither counts as lost nor ends a run. So a fault that takes only the reverse path shows as a
//! reverse and a round-trip outage of the same length. A fault that takes both shows in full as a forward and a
//! round-trip outage; as a reverse outage it shows as far as replies were really lost, on their way when the fault struck
//! or in answer to the first requests after the forward path was back. Whoever wants the other direction seen all
//! the time sends a stream from the other end. Because a reply needs both directions, a round trip always ends
//! with the later of the two.

use std::collections::BTreeMap;

use sim_core::id::RecordId;
use sim_core::time::{Duration, Instant};

use super::{Causes, FaultIndex};

/// The shortest run of lost probes that is called an outage, unless a scenario says otherwise. One or two lost
/// packets are what an internet path does on a good day.
pub const MIN_LOST: u32 = 3;

/// A direction of a stream of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the prober to the responder.
    Forward,
    /// From the responder back to the prober.
    Reverse,
    /// There and back.
    RoundTrip,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fate {
    /// Not sent yet (a reply), or still on its way.
    #[default]
    Pending,
    /// Its first copy arrived.
    Arrived {
        /// When.
        at: Instant,
        /// The latest kept record that its journey depended on.
        enabler: RecordId,
    },
    /// It was dropped, and no copy arrived.
    Lost {
        /// The kept record that the drop depended on: the fault's own for a drop that a fault made, else the latest
        /// route, session or device record that led the packet there.
        cause: RecordId,
    },
}

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When the request was sent.
    pub sent_at: Instant,
    /// What became of the request.
    pub request: Fate,
    /// What became of the reply.
    pub reply: Fate,
}

/// Everything known about one stream of probes, by sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLog {
    /// The scenario's name of it.
    pub name: String,
    /// The devices that probe and respond.
    pub ends: [String; 2],
    /// Time between two probes.
    pub interval: Duration,
    /// True if the responder answers; a stream that is not echoed has a forward direction only.
    pub echo: bool,
    /// The shortest run of lost probes that is called an outage; 0 is taken as 1.
    pub min_lost: u32,
    /// The probes, in order of sending.
    pub probes: Vec<Probe>,
}

/// A time in which a direction of a stream was dark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Which direction.
    pub direction: Direction,
    /// When the first lost probe was sent.
    pub start: Instant,
    /// When the next probe that arrived was sent, `None` if none did before the run ended.
    pub end: Option<Instant>,
    /// Number of probes lost.
    pub lost: u64,
    /// The fault that owns it, see [`attribute`].
    pub fault: Option<FaultIndex>,
    /// The record that enabled the arrival that ended it: where its critical path ends.
    pub recovered_by: Option<RecordId>,
    /// Arrival of the packet that ended it.
    pub recovered_at: Option<Instant>,
}

impl Outage {
    /// Its length; while still dark, up to the end of the run.
    pub fn duration(&self, run_end: Instant) -> Duration {
        self.end.unwrap_or(run_end).since(self.start)
    }
}

impl Direction {
    /// The stable code that reports print.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::RoundTrip => "round_trip",
        }
    }

    /// What a probe says about this direction.
    pub fn judge(self, probe: &Probe) -> Fate {
        match (self, probe.request) {
            (Self::Forward, request) => request,
            (Self::Reverse, Fate::Lost { .. }) => Fate::Pending,
            (Self::RoundTrip, Fate::Lost { cause }) => Fate::Lost { cause },
            (Self::Reverse, Fate::Arrived { .. } | Fate::Pending) | (Self::RoundTrip, Fate::Pending) => probe.reply,
            (Self::RoundTrip, Fate::Arrived { enabler: there, .. }) => match probe.reply {
                // There and back depended on what either way depended on: the later of the two.
                Fate::Arrived { at, enabler: back } => Fate::Arrived { at, enabler: there.max(back) },
                other => other,
            },
        }
    }
}

impl StreamLog {
    /// A stream that has sent nothing yet, with the usual [`MIN_LOST`].
    pub fn new(name: impl Into<String>, ends: [String; 2], interval: Duration, echo: bool) -> Self {
        Self { name: name.into(), ends, interval, echo, min_lost: MIN_LOST, probes: Vec::new() }
    }

    /// The directions in which this stream can be judged.
    pub fn directions(&self) -> &'static [Direction] {
        if self.echo { &[Direction::Forward, Direction::Reverse, Direction::RoundTrip] } else { &[Direction::Forward] }
    }

    /// The next probe was sent. Sequence numbers count from 0 in order of sending.
    pub fn sent(&mut self, at: Instant) {
        self.probes.push(Probe { sent_at: at, request: Fate::Pending, reply: Fate::Pending });
    }

    /// A copy of a request or reply arrived. The first arrival counts, even after another copy was dropped.
    /// Packets that were never sent are ignored.
    pub fn arrived(&mut self, seq: u32, reply: bool, at: Instant, enabler: RecordId) {
        if let Some(fate) = self.fate_mut(seq, reply)
            && !matches!(fate, Fate::Arrived { .. })
        {
            *fate = Fate::Arrived { at, enabler };
        }
    }

    /// A copy of a request or reply was dropped. The first drop counts, and only if no copy arrives.
    /// Packets that were never sent are ignored.
    pub fn lost(&mut self, seq: u32, reply: bool, cause: RecordId) {
        if let Some(fate) = self.fate_mut(seq, reply)
            && matches!(fate, Fate::Pending)
        {
            *fate = Fate::Lost { cause };
        }
    }

    fn fate_mut(&mut self, seq: u32, reply: bool) -> Option<&mut Fate> {
        let probe = self.probes.get_mut(seq as usize)?;
        Some(if reply { &mut probe.reply } else { &mut probe.request })
    }
}

/// The outages of one direction of a stream, in order of time.
pub fn outages(log: &StreamLog, direction: Direction, causes: &dyn Causes) -> Vec<Outage> {
    let min_lost = log.min_lost;
    let mut found = Vec::new();
    let mut run = Run::default();
    for probe in &log.probes {
        match direction.judge(probe) {
            Fate::Pending => {}
            Fate::Lost { cause } => run.lost(probe.sent_at, cause),
            Fate::Arrived { at, enabler } => {
                let ended = Some((probe.sent_at, at, enabler));
                found.extend(std::mem::take(&mut run).close(direction, min_lost, ended, causes));
            }
        }
    }
    found.extend(run.close(direction, min_lost, None, causes));
    found
}

/// The fault that owns a run of lost probes: the one behind the first of them, in order of sending, behind which there
/// is one. What began the darkness owns all of it, and a packet that was lost by chance just before does not hide it.
/// `None` if every loss was by chance or by design.
pub fn attribute(lost_to: &[RecordId], causes: &dyn Causes) -> Option<FaultIndex> {
    let mut previous = None;
    lost_to
        .iter()
        .filter(|cause| previous.replace(**cause) != Some(**cause))
        .find_map(|cause| causes.fault_behind(*cause))
}

/// How many probes each fault took, in whichever direction and whether or not they make an outage.
pub fn taken(log: &StreamLog, causes: &dyn Causes) -> BTreeMap<FaultIndex, u64> {
    let mut counts = BTreeMap::new();
    let mut known = None;
    for probe in &log.probes {
        let cause = match (probe.request, probe.reply) {
            (Fate::Lost { cause }, _) | (Fate::Arrived { .. }, Fate::Lost { cause }) => cause,
            _ => continue,
        };
        // Probes that follow each other are mostly lost to the same record.
        let owner = match known {
            Some((record, owner)) if record == cause => owner,
            _ => causes.fault_behind(cause),
        };
        known = Some((cause, owner));
        if let Some(fault) = owner {
            *counts.entry(fault).or_default() += 1;
        }
    }
    counts
}

/// The outage that decides how long a fault hurt: of those it owns the one that ended last, and of several such the one
/// whose ending packet arrived last. An outage that never ended decides before all others.
pub fn decisive<'a>(outages: impl Iterator<Item = &'a Outage>, fault: FaultIndex) -> Option<&'a Outage> {
    outages
        .filter(|outage| outage.fault == Some(fault))
        .max_by_key(|outage| (outage.end.unwrap_or(Instant::NEVER), outage.recovered_at.unwrap_or(Instant::NEVER)))
}

/// A run of lost probes under construction.
#[derive(Default)]
struct Run {
    start: Option<Instant>,
    causes: Vec<RecordId>,
}

impl Run {
    fn lost(&mut self, sent_at: Instant, cause: RecordId) {
        self.start.get_or_insert(sent_at);
        self.causes.push(cause);
    }

    fn close(
        self,
        direction: Direction,
        min_lost: u32,
        ended: Option<(Instant, Instant, RecordId)>,
        causes: &dyn Causes,
    ) -> Option<Outage> {
        let lost = self.causes.len() as u64;
        let start = self.start?;
        (lost >= u64::from(min_lost)).then(|| Outage {
            direction,
            start,
            end: ended.map(|(sent_at, ..)| sent_at),
            lost,
            fault: attribute(&self.causes, causes),
            recovered_by: ended.map(|(.., enabler)| enabler),
            recovered_at: ended.map(|(_, at, _)| at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Step;

    const FAULT: RecordId = RecordId(50);
    const CHANCE: RecordId = RecordId(1);

    /// Everything from record 50 on leads back to the first fault.
    struct OneFault;
    impl Causes for OneFault {
        fn fault_behind(&self, record: RecordId) -> Option<FaultIndex> {
            (record >= FAULT).then_some(FaultIndex(0))
        }
        fn critical_path(&self, _: FaultIndex, _: RecordId) -> Vec<Step> {
            Vec::new()
        }
    }

    /// One character a probe, sent every second from 0 s: `.` answered, `q` request lost to the fault, `r` reply lost
    /// to the fault, `c` request lost by chance, `?` request in flight, `!` request arrived and reply in flight.
    fn log(story: &str) -> StreamLog {
        let mut log = StreamLog::new("p", Default::default(), Duration::from_secs(1), true);
        for (seq, fate) in (0u32..).zip(story.chars()) {
            let sent = Instant::from_secs(u64::from(seq));
            let later = |ms| sent + Duration::from_millis(ms);
            log.sent(sent);
            match fate {
                'q' => log.lost(seq, false, FAULT),
                'c' => log.lost(seq, false, CHANCE),
                '?' => {}
                _ => log.arrived(seq, false, later(10), RecordId(60)),
            }
            match fate {
                'r' => log.lost(seq, true, FAULT),
                '.' => log.arrived(seq, true, later(20), RecordId(61)),
                _ => {}
            }
        }
        log
    }

    fn spans(story: &str, direction: Direction) -> Vec<(u64, Option<u64>, u64)> {
        let secs = |at: Instant| at.as_nanos() / 1_000_000_000;
        outages(&log(story), direction, &OneFault).iter().map(|o| (secs(o.start), o.end.map(secs), o.lost)).collect()
    }

    #[test]
    fn two_lost_are_weather_and_three_are_an_outage() {
        assert_eq!(spans("..qq..", Direction::Forward), []);
        assert_eq!(
            spans("..qqq..", Direction::Forward),
            [(2, Some(5), 3)],
            "from the send time of the first lost to that of the next that arrived"
        );
        assert_eq!(spans("qq.qq.", Direction::Forward), [], "an answer between them breaks the run");
    }

    #[test]
    fn a_reverse_only_outage_is_not_a_forward_one() {
        let story = "..rrrr..";
        assert_eq!(spans(story, Direction::Forward), []);
        assert_eq!(spans(story, Direction::Reverse), [(2, Some(6), 4)]);
        assert_eq!(spans(story, Direction::RoundTrip), [(2, Some(6), 4)]);
    }

    #[test]
    fn a_forward_only_outage_says_nothing_about_the_reverse_path() {
        let story = "..qqqq..";
        assert_eq!(spans(story, Direction::Forward), [(2, Some(6), 4)]);
        assert_eq!(spans(story, Direction::Reverse), []);
        assert_eq!(spans(story, Direction::RoundTrip), [(2, Some(6), 4)]);
    }

    #[test]
    fn both_ways_end_with_the_later_direction() {
        // The reverse path comes back later: replies to 6, 7 are still lost.
        let story = ".rqqqqrr..";
        assert_eq!(spans(story, Direction::Forward), [(2, Some(6), 4)]);
        assert_eq!(spans(story, Direction::Reverse), [(1, Some(8), 3)], "lost requests neither count nor interrupt");
        assert_eq!(spans(story, Direction::RoundTrip), [(1, Some(8), 7)]);
    }

    #[test]
    fn probes_in_flight_at_the_end_are_not_lost() {
        assert_eq!(spans("....???", Direction::Forward), []);
        assert_eq!(spans("....!!!", Direction::Reverse), []);
        assert_eq!(spans("....!!?", Direction::RoundTrip), []);
        assert_eq!(
            spans("..qqq??", Direction::Forward),
            [(2, None, 3)],
            "still dark, and the last two are not counted"
        );
    }

    #[test]
    fn a_dark_outage_lasts_until_the_end_of_the_run() {
        let found = outages(&log("..qqqq"), Direction::Forward, &OneFault);
        assert_eq!(found[0].duration(Instant::from_secs(6)), Duration::from_secs(4));
        assert_eq!(found[0].recovered_by, None);
    }

    #[test]
    fn the_fault_that_began_the_darkness_owns_it() {
        let owner = |story| outages(&log(story), Direction::Forward, &OneFault)[0].fault;
        assert_eq!(owner("..qqq.."), Some(FaultIndex(0)));
        assert_eq!(owner(".cqqq.."), Some(FaultIndex(0)), "a loss by chance just before");
        assert_eq!(owner("..ccc.."), None, "three losses by chance");
    }

    #[test]
    fn each_fault_is_charged_with_the_probes_it_took() {
        assert_eq!(
            taken(&log(".q.cr?!r."), &OneFault),
            BTreeMap::from([(FaultIndex(0), 3)]),
            "a request and two replies; chance took one more, and two are in flight"
        );
    }

    #[test]
    fn a_duplicate_that_arrives_redeems_the_copy_that_was_lost() {
        let mut log = log("..q..");
        log.arrived(2, false, Instant::from_secs(3), RecordId(70));
        log.lost(2, false, FAULT);
        assert_eq!(log.probes[2].request, Fate::Arrived { at: Instant::from_secs(3), enabler: RecordId(70) });
        log.arrived(99, false, Instant::from_secs(3), RecordId(70));
    }

    #[test]
    fn a_round_trip_waits_for_the_later_of_both_ways() {
        let answered = Probe {
            sent_at: Instant::START,
            request: Fate::Arrived { at: Instant::from_secs(1), enabler: RecordId(80) },
            reply: Fate::Arrived { at: Instant::from_secs(2), enabler: RecordId(70) },
        };
        let judged = Direction::RoundTrip.judge(&answered);
        assert_eq!(judged, Fate::Arrived { at: Instant::from_secs(2), enabler: RecordId(80) });
        assert_eq!(Direction::Reverse.judge(&answered), answered.reply);
    }

    #[test]
    fn the_outage_that_ends_last_decides() {
        let story = ".rqqqqrr..";
        let log = log(story);
        let all: Vec<_> = log.directions().iter().flat_map(|d| outages(&log, *d, &OneFault)).collect();
        let decisive = decisive(all.iter(), FaultIndex(0)).unwrap();
        assert_eq!(decisive.end, Some(Instant::from_secs(8)));
        assert_eq!(decisive.recovered_by, Some(RecordId(61)));
    }
}
