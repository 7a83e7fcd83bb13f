//! What the tests ask of the program's own pacing loop: to go on until something holds, for so long at most.

#[path = "../../src/live/pace.rs"]
mod program;

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use sim_core::time::Duration;

pub use program::{Clock, Inbox, Site};

use crate::process::Outcome;

impl<S: Site<Error = String>> Inbox<S> for &Receiver<S::Arrival> {
    fn receive(&mut self, pause: std::time::Duration) -> Outcome<Option<S::Arrival>> {
        match self.recv_timeout(pause) {
            Ok(arrival) => Ok(Some(arrival)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("the sockets were closed".into()),
        }
    }
}

impl Clock {
    /// Runs `site` until `done` holds; it is an error if that takes longer than `limit`.
    pub fn run<S: Site<Error = String>>(
        &self,
        what: &str,
        limit: Duration,
        site: &mut S,
        inbox: &Receiver<S::Arrival>,
        mut done: impl FnMut(&S) -> bool,
    ) -> Outcome {
        let deadline = self.now() + limit;
        while !done(site) {
            if self.now() >= deadline {
                return Err(format!("{what}: not within {limit}"));
            }
            self.step(site, &mut &*inbox, deadline)?;
        }
        Ok(())
    }

    /// Runs `site` while asking the outside again and again, until `probe` yields something.
    pub fn ask<S: Site<Error = String>, T>(
        &self,
        what: &str,
        limit: Duration,
        site: &mut S,
        inbox: &Receiver<S::Arrival>,
        mut probe: impl FnMut() -> Outcome<T>,
    ) -> Outcome<T> {
        let deadline = self.now() + limit;
        loop {
            match probe() {
                Ok(value) => return Ok(value),
                Err(last) if self.now() >= deadline => {
                    return Err(format!("{what}: not within {limit}: {last}"));
                }
                Err(_) => self.serve(Duration::from_millis(100), site, inbox)?,
            }
        }
    }

    /// Runs `site` for as long as `time`.
    pub fn serve<S: Site<Error = String>>(
        &self,
        time: Duration,
        site: &mut S,
        inbox: &Receiver<S::Arrival>,
    ) -> Outcome {
        let deadline = self.now() + time;
        while self.now() < deadline {
            self.step(site, &mut &*inbox, deadline)?;
        }
        Ok(())
    }
}
