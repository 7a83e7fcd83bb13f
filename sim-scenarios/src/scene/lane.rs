//! A stream of probes along a line of time: how many came through in each part of it.

use sim_core::time::{Duration, Instant};
use sim_core::trace::ProbeLog;

use super::chronicle::verdict;

/// A part of the time. Probes count where they were sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Column {
    /// How many came through: there and back, if the receiver answers.
    pub passed: u32,
    /// How many were lost.
    pub lost: u32,
}

impl Column {
    /// True if probes were lost and none came through.
    pub const fn is_dark(self) -> bool {
        self.passed == 0 && self.lost > 0
    }

    /// The share that came through, in eighths rounded up; `None` if nothing is known of this time.
    pub const fn eighths(self) -> Option<u32> {
        let all = self.passed as u64 + self.lost as u64;
        if all == 0 { None } else { Some((self.passed as u64 * 8).div_ceil(all) as u32) }
    }
}

/// The time from `from` until before `until`, in so many parts of the same length.
pub fn columns(log: &ProbeLog, from: Instant, until: Instant, count: usize) -> Vec<Column> {
    let mut all = vec![Column::default(); count];
    let length = until.since(from).as_nanos();
    if count == 0 || length == 0 {
        return all;
    }
    let sent = |number: usize| log.get(number).map_or(Instant::NEVER, |probe| probe.sent);
    let mut first = (0, log.sent());
    while first.0 < first.1 {
        let middle = first.0 + (first.1 - first.0) / 2;
        first = if sent(middle) < from { (middle + 1, first.1) } else { (first.0, middle) };
    }
    for number in first.0..log.sent() {
        let Some(probe) = log.get(number).filter(|probe| probe.sent < until) else { break };
        let place = part(probe.sent.since(from), length, count);
        match verdict(log, &probe) {
            Some(true) => all[place].passed += 1,
            Some(false) => all[place].lost += 1,
            None => {}
        }
    }
    all
}

/// In which of `count` parts of a time of `length` nanoseconds this is.
fn part(after: Duration, length: u64, count: usize) -> usize {
    let place = u128::from(after.as_nanos()) * count as u128 / u128::from(length.max(1));
    (place as usize).min(count.saturating_sub(1))
}

/// In which of `count` parts of the time from `from` until before `until` an instant is, if it is in any.
pub fn place(at: Instant, from: Instant, until: Instant, count: usize) -> Option<usize> {
    let within = from <= at && at < until && count > 0;
    within.then(|| part(at.since(from), until.since(from).as_nanos(), count))
}
