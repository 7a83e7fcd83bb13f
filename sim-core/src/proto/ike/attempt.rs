//! The next attempt at an IKE_SA, after one has failed.

use super::config::Retry;
use crate::reason::Reason;
use crate::time::Instant;

/// An attempt that waits.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Attempt {
    pub armed_at: Instant,
    pub due: Instant,
    pub purpose: Reason,
}

impl Attempt {
    /// Another attempt after so many that failed: later and later.
    pub fn after(failures: u32, retry: Retry, now: Instant, purpose: Reason) -> Self {
        let wait = retry.first * (1 << failures.min(16));
        Self { armed_at: now, due: now + wait.min(retry.cap), purpose }
    }
}
