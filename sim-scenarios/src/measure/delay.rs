//! Delay and its variation, as quantiles of whole nanoseconds.
//!
//! Jitter is the packet delay variation of RFC 3393: the difference in delay of two probes with consecutive sequence
//! numbers that both arrived (its selection function of section 2.3), as an absolute value. It is not the smoothed
//! estimate of RFC 3550 section 6.4.1, which depends on where the sixteenths of its filter begin.

use sim_core::time::Duration;

use super::outage::{Direction, Fate, Probe, StreamLog};

/// Quantiles of a sample. A quantile is the smallest value that at least that share of the sample does not exceed
/// (nearest rank, type 1 of Hyndman and Fan), so that each is a value that really occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The smallest.
    pub min: Duration,
    /// The median.
    pub p50: Duration,
    /// Nine of ten are no larger.
    pub p90: Duration,
    /// 99 of 100 are no larger.
    pub p99: Duration,
    /// The largest.
    pub max: Duration,
}

impl Quantiles {
    /// The quantiles of a sample in any order, `None` if it is empty.
    pub fn of(mut sample: Vec<Duration>) -> Option<Self> {
        sample.sort_unstable();
        let rank = |percent: usize| sample[(sample.len() * percent).div_ceil(100) - 1];
        Some(Self { min: *sample.first()?, p50: rank(50), p90: rank(90), p99: rank(99), max: *sample.last()? })
    }
}

/// How many probes a direction was given, how many it delivered and lost; the rest is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Probes that entered the direction: for the reverse direction, requests that arrived.
    pub sent: u64,
    /// Probes that left it.
    pub received: u64,
    /// Probes lost in it.
    pub lost: u64,
}

impl Tally {
    /// Counts a direction of a stream.
    pub fn of(log: &StreamLog, direction: Direction) -> Self {
        let mut tally = Self::default();
        for probe in &log.probes {
            let entered = direction != Direction::Reverse || matches!(probe.request, Fate::Arrived { .. });
            tally.sent += u64::from(entered);
            match direction.judge(probe) {
                Fate::Pending => {}
                Fate::Arrived { .. } => tally.received += 1,
                Fate::Lost { .. } => tally.lost += 1,
            }
        }
        tally
    }

    /// The share of the probes with a known fate that were lost, from 0 to 1 in steps of 1e-9 (so that it prints as a
    /// short decimal); 0 if there are none.
    pub fn loss(self) -> f64 {
        const STEPS: u128 = 1_000_000_000;
        let known = u128::from(self.received + self.lost).max(1);
        let steps = (u128::from(self.lost) * STEPS + known / 2) / known;
        steps as f64 / STEPS as f64
    }
}

/// The delay of a probe in a direction, if it arrived.
pub fn delay(probe: &Probe, direction: Direction) -> Option<Duration> {
    let arrival = |fate| match fate {
        Fate::Arrived { at, .. } => Some(at),
        Fate::Pending | Fate::Lost { .. } => None,
    };
    let (request, reply) = (arrival(probe.request), arrival(probe.reply));
    match direction {
        Direction::Forward => Some(request?.since(probe.sent_at)),
        Direction::Reverse => Some(reply?.since(request?)),
        Direction::RoundTrip => Some(reply?.since(probe.sent_at)),
    }
}

/// The delays of all probes of a direction that arrived, in order of sending.
pub fn delays(log: &StreamLog, direction: Direction) -> Vec<Duration> {
    log.probes.iter().filter_map(|p| delay(p, direction)).collect()
}

/// The delay variation between neighbours of a direction that both arrived, in order of sending.
pub fn jitter(log: &StreamLog, direction: Direction) -> Vec<Duration> {
    log.probes
        .windows(2)
        .filter_map(|pair| {
            let (a, b) = (delay(&pair[0], direction)?, delay(&pair[1], direction)?);
            Some(a.max(b) - a.min(b))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::id::RecordId;
    use sim_core::time::Instant;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let q = Quantiles::of((1..=200).rev().map(ms).collect()).unwrap();
        // Nearest rank by definition: the 100th, 180th and 198th of 200 values.
        assert_eq!((q.min, q.p50, q.p90, q.p99, q.max), (ms(1), ms(100), ms(180), ms(198), ms(200)));
        let one = Quantiles::of(vec![ms(7)]).unwrap();
        assert_eq!((one.min, one.p50, one.max), (ms(7), ms(7), ms(7)));
        assert_eq!(Quantiles::of(Vec::new()), None);
    }

    #[test]
    fn jitter_skips_pairs_with_a_lost_probe() {
        let mut log = StreamLog::new("p", Default::default(), ms(100), true);
        for (seq, delay) in [Some(10), Some(13), None, Some(11), Some(10)].into_iter().enumerate() {
            let sent = Instant::START + ms(100 * seq as u64);
            log.sent(sent);
            match delay {
                Some(d) => log.arrived(seq as u32, false, sent + ms(d), RecordId(1)),
                None => log.lost(seq as u32, false, RecordId(2)),
            }
        }
        assert_eq!(jitter(&log, Direction::Forward), [ms(3), ms(1)]);
        assert_eq!(delays(&log, Direction::Forward), [ms(10), ms(13), ms(11), ms(10)]);
        let tally = Tally::of(&log, Direction::Forward);
        assert_eq!((tally.sent, tally.received, tally.lost), (5, 4, 1));
        assert_eq!(tally.loss(), 0.2);
        let reverse = Tally::of(&log, Direction::Reverse);
        assert_eq!(
            (reverse.sent, reverse.received, reverse.lost),
            (4, 0, 0),
            "four requests arrived, and their replies are on the way"
        );
    }
}
