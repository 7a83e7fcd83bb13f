//! How much is remembered of what anybody can send.
//!
//! Until a message is authenticated its sender may be anybody, as fast as a network carries datagrams. So a tunnel's end keeps
//! records of such messages out of an allowance that fills up again with time: enough for every handshake that a peer makes,
//! and a bound on what a flood leaves behind. What goes beyond it enters the digest and the counts of drops, and is not kept.

use crate::time::{Duration, Instant};

/// Records that may be kept at once (assumed; a handshake leaves about ten at each end).
const MOST: u64 = 256;
/// How often one more may be kept (assumed).
const EVERY: Duration = Duration::from_secs(1);

/// The allowance of one tunnel's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: u64,
    /// Up to when it is filled up.
    filled: Instant,
}

impl Allowance {
    /// A full one.
    pub const fn new() -> Self {
        Self { left: MOST, filled: Instant::START }
    }

    /// True if a record may be kept now.
    pub fn take(&mut self, now: Instant) -> bool {
        let periods = now.since(self.filled).as_nanos() / EVERY.as_nanos();
        self.filled += EVERY * periods;
        self.left = self.left.saturating_add(periods).min(MOST);
        let allowed = self.left > 0;
        self.left -= u64::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(allowance: &mut Allowance, now: Instant) -> u64 {
        (0..10 * MOST).map(|_| u64::from(allowance.take(now))).sum()
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_a_second() {
        let mut allowance = Allowance::new();
        assert_eq!(taken(&mut allowance, Instant::from_secs(3)), MOST);
        assert_eq!(taken(&mut allowance, Instant::from_nanos(3_999_999_999)), 0);
        assert_eq!(taken(&mut allowance, Instant::from_secs(4)), 1);
        assert_eq!(taken(&mut allowance, Instant::from_secs(14)), 10);
        assert_eq!(taken(&mut allowance, Instant::from_secs(1_000_000)), MOST, "no more than when it was full");
    }
}
