//! Timers and their jitter (RFC 4271 section 10).

use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// One timer: an instant, or none. Re-arming stores two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timer {
    at: Instant,
    armed_at: Instant,
}

impl Timer {
    /// Not running.
    pub const STOPPED: Self = Self { at: Instant::NEVER, armed_at: Instant::START };

    /// Runs from `now` for `time`, whatever it did before.
    pub fn start(&mut self, now: Instant, time: Duration) {
        *self = Self { at: now + time, armed_at: now };
    }

    pub fn stop(&mut self) {
        *self = Self::STOPPED;
    }

    pub fn is_running(&self) -> bool {
        *self != Self::STOPPED
    }

    pub fn is_due(&self, now: Instant) -> bool {
        self.is_running() && self.at <= now
    }

    /// When it expires; never if it does not run.
    pub fn at(&self) -> Instant {
        self.at
    }

    pub fn armed_at(&self) -> Instant {
        self.armed_at
    }
}

/// Which timers are jittered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Jitter {
    /// Section 10: ConnectRetryTimer, KeepaliveTimer, MinRouteAdvertisementIntervalTimer and
    /// MinASOriginationIntervalTimer last 0.75 to 1 times their value, drawn anew each time. HoldTimer is exact.
    #[default]
    Rfc4271,
    /// The same and HoldTimer too, as BIRD 2.0.12 does.
    Bird,
    /// None: every timer lasts its value, as a vendor may choose (section 10 says SHOULD).
    None,
}

impl Jitter {
    /// How long a timer of the jittered kind lasts this time: uniform in 0.75 to 1 times `time`.
    pub(super) fn draw(self, time: Duration, rng: &mut Rng) -> Duration {
        match self {
            Self::Rfc4271 | Self::Bird => rng.between(time.scale(3, 4), time),
            Self::None => time,
        }
    }

    /// How long HoldTimer lasts this time.
    pub(super) fn draw_hold(self, time: Duration, rng: &mut Rng) -> Duration {
        match self {
            Self::Bird => self.draw(time, rng),
            Self::Rfc4271 | Self::None => time,
        }
    }
}
