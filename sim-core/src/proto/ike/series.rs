//! When a message that wants an answer is sent again, and when that is given up.

use super::config::Retransmission;
use crate::rng::Seldom;
use crate::time::{Duration, Instant};

/// A message that waits for its answer.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Series {
    /// When it was sent for the first time.
    pub first_sent: Instant,
    /// When it was sent last, which is when `due` was armed.
    pub sent: Instant,
    /// When to send it again, or to give up.
    pub due: Instant,
    wait: Duration,
    tries: u32,
}

/// What a retransmission timer comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    SendAgain,
    Exhausted,
}

impl Series {
    /// The message has just been sent.
    pub fn new(now: Instant, schedule: &Retransmission, rng: &mut Seldom) -> Self {
        let wait = schedule.first;
        Self { first_sent: now, sent: now, due: now + jittered(wait, schedule, rng), wait, tries: 0 }
    }

    /// The retransmission timer expired.
    pub fn expire(&mut self, now: Instant, schedule: &Retransmission, rng: &mut Seldom) -> Due {
        if self.tries == schedule.tries {
            return Due::Exhausted;
        }
        self.tries += 1;
        self.sent = now;
        self.wait = self.wait.scale(schedule.factor.0, schedule.factor.1);
        self.due = now + jittered(self.wait, schedule, rng);
        Due::SendAgain
    }
}

/// strongSwan's `retransmit_jitter`: a wait is shortened by up to so many percent.
fn jittered(wait: Duration, schedule: &Retransmission, rng: &mut Seldom) -> Duration {
    if schedule.jitter_percent == 0 {
        return wait;
    }
    let most = wait.scale(schedule.jitter_percent.min(100), 100);
    wait.saturating_sub(rng.between(Duration::ZERO, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    /// strongSwan's documentation of its defaults (4 s, 1.8, 5 tries): sent again after 4, 11, 24, 47 and 89 s, given up after
    /// 165 s (rounded to seconds there).
    #[test]
    fn the_default_series_is_strongswans() {
        let schedule = Retransmission { first: Duration::from_secs(4), factor: (9, 5), tries: 5, jitter_percent: 0 };
        let mut rng = Seldom::stream(1, "window", Purpose::Test);
        let mut series = Series::new(Instant::START, &schedule, &mut rng);
        let mut at = Vec::new();
        loop {
            let due = series.due;
            at.push((due.as_nanos() + 500_000_000) / 1_000_000_000);
            if series.expire(due, &schedule, &mut rng) == Due::Exhausted {
                break;
            }
        }
        assert_eq!(at, [4, 11, 24, 47, 89, 165]);
    }
}
