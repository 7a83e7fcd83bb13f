//! A bar on standard error while a long run goes on, and how long it took.

use std::time::Instant as WallInstant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sim_core::time::{Duration, Instant};

/// Runs shorter than this show no bar.
const PATIENCE_MS: u128 = 700;

/// How far a run has come.
#[derive(Debug)]
pub struct Progress {
    began: WallInstant,
    end: Instant,
    bar: Option<ProgressBar>,
    wanted: bool,
}

impl Progress {
    /// Begins to watch; the bar comes only if `wanted` and the run is long.
    pub fn start(wanted: bool, end: Instant) -> Self {
        Self { began: now(), end, bar: None, wanted }
    }

    /// The world is at `at`. May be called often.
    pub fn at(&mut self, at: Instant) {
        if !self.wanted || (self.bar.is_none() && self.began.elapsed().as_millis() < PATIENCE_MS) {
            return;
        }
        let millis = |instant: Instant| instant.as_nanos() / 1_000_000;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(millis(self.end)), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(millis(at));
        bar.set_message(format!("{} s simulated", millis(at) / 1_000));
    }

    /// Takes the bar away and says how fast it went.
    pub fn finish(self, simulated: Duration) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let wall = self.began.elapsed().as_secs_f64();
        let speed = simulated.as_secs_f64() / wall.max(1e-9);
        format!("{simulated} simulated in {wall:.3} s: {speed:.0} times as fast as the clock")
    }
}

#[expect(clippy::disallowed_methods, reason = "the wall clock measures the simulator, never the world")]
fn now() -> WallInstant {
    WallInstant::now()
}
