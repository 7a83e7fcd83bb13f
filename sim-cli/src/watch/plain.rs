//! The same without a terminal: what happens, line by line, then the answer as `vpnsim run` gives it.
//!
//! Lines are those of the report's timeline, in order of time. A stream of probes is known to be dark only when enough of them are
//! lost, so lines wait until none can come before them.

use std::fmt::Write as _;
use std::time::Instant as WallInstant;

use sim_core::time::{Duration, Instant};
use sim_scenarios::report::model::Seconds;

use super::clock;
use super::playback::{Goal, Playback};
use super::speed::Speed;
use crate::failure::Failure;
use crate::screen;

/// How often a reader hears at most, in time of the wall clock.
const BREATH: std::time::Duration = std::time::Duration::from_millis(100);
/// In how many parts a run is told that is not paced.
const PARTS: u64 = 100;

/// Plays the run to its end and tells it.
pub fn tell(playback: &mut Playback<'_>, speed: Speed) -> Result<(), Failure> {
    let (began, end) = (clock(), playback.end());
    let part = Duration::from_nanos((end.as_nanos() / PARTS).max(1));
    let pace = speed.of(BREATH).map_or(part, |pace| pace.min(part)).max(Duration::from_nanos(1));
    let mut told = 0;
    let mut at = playback.now();
    loop {
        at = (at + pace).min(end);
        wait(began, speed, at);
        playback.go(Goal::At(at))?;
        while !playback.work(u64::MAX) {}
        let last = playback.is_over();
        let until = if last { Instant::NEVER } else { playback.chronicle().settled(playback.plan(), playback.world()) };
        told += lines(playback, told, until)?;
        if last {
            return Ok(());
        }
    }
}

/// Prints what is new and certain, and says how many lines that were.
fn lines(playback: &Playback<'_>, told: usize, until: Instant) -> Result<usize, Failure> {
    let mut text = String::new();
    let mut count = 0;
    for happening in playback.chronicle().until(playback.plan(), playback.world(), told, until) {
        count += 1;
        // Writing into a string does not fail.
        let _ = write!(text, "{:>12}  {}", Seconds::from(happening.at).to_string(), happening.text);
        let _ =
            if happening.because.is_empty() { writeln!(text) } else { writeln!(text, "  <- {}", happening.because) };
    }
    if count > 0 {
        screen::answer(&text)?;
    }
    Ok(count)
}

/// Until the wall clock has come as far as the run at this speed.
fn wait(began: WallInstant, speed: Speed, at: Instant) {
    if let Some(due) = speed.wall(at.since_start()) {
        let early = due.saturating_sub(began.elapsed());
        if !early.is_zero() {
            super::sleep(early);
        }
    }
}
