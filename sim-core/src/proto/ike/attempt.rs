//! The next attempt at an IKE_SA, after one has failed or the last one is lost.

use super::config::{Config, DpdAction, Retry, Startup};
use crate::reason::Reason;
use crate::time::{Duration, Instant};

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

/// How a tunnel that has lost its last IKE_SA comes up again, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Revival {
    AtOnce(Reason),
    Later(Reason),
}

impl Revival {
    /// What is to be done for an IKE_SA that was lost for this reason after this life: a dead peer is a matter of the DPD timeout
    /// action, everything else of the startup action. `wanted`: the tunnel is to be up, whatever happens.
    pub fn after(config: &Config, wanted: bool, reason: Reason, lived: Duration) -> Option<Self> {
        if matches!(reason, Reason::PeerDead | Reason::RetransmitExhausted) {
            return (config.dpd.action == DpdAction::Restart).then_some(Self::AtOnce(Reason::DpdRestart));
        }
        let startup = if lived >= config.retry.first { Self::AtOnce } else { Self::Later };
        (wanted && config.startup == Startup::Start).then_some(startup(Reason::Startup))
    }
}
