//! Virtual time paced by the wall clock: what is overdue happens first, in order and each at its own time; what a socket
//! has read happens when it is read; in between the machines sleep until their next wake.

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use sim_core::time::{Duration, Instant};

use crate::process::Outcome;

/// Machines between sockets, as the pacing loop sees them.
pub trait Site {
    /// What arrives from outside.
    type Arrival;

    /// When [`Site::timeout`] must be called next, if ever.
    fn wake(&self) -> Option<Instant>;

    /// A wake is due.
    fn timeout(&mut self, now: Instant) -> Outcome;

    /// Something arrived.
    fn arrival(&mut self, now: Instant, arrival: Self::Arrival) -> Outcome;
}

/// The wall clock as virtual time: nanoseconds since this value was made.
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that shows [`Instant::START`] now.
    #[allow(clippy::disallowed_methods, reason = "live peers live in wall-clock time")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The present.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.0.elapsed().as_nanos() as u64)
    }

    /// Runs `site` until `done` holds; it is an error if that takes longer than `limit`.
    pub fn run<S: Site>(
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
            self.step(site, inbox, deadline)?;
        }
        Ok(())
    }

    /// Runs `site` while asking the outside again and again, until `probe` yields something.
    pub fn ask<S: Site, T>(
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
    pub fn serve<S: Site>(&self, time: Duration, site: &mut S, inbox: &Receiver<S::Arrival>) -> Outcome {
        let deadline = self.now() + time;
        while self.now() < deadline {
            self.step(site, inbox, deadline)?;
        }
        Ok(())
    }

    /// What is due, or else one arrival, waited for until `deadline` at most.
    fn step<S: Site>(&self, site: &mut S, inbox: &Receiver<S::Arrival>, deadline: Instant) -> Outcome {
        match site.wake() {
            Some(due) if due <= self.now() => site.timeout(due),
            wake => {
                let until = wake.map_or(deadline, |due| due.min(deadline));
                self.receive(site, inbox, until)
            }
        }
    }

    /// Waits for one arrival, until `until` at most.
    fn receive<S: Site>(&self, site: &mut S, inbox: &Receiver<S::Arrival>, until: Instant) -> Outcome {
        let pause = std::time::Duration::from_nanos(until.since(self.now()).as_nanos());
        match inbox.recv_timeout(pause) {
            Ok(arrival) => site.arrival(self.now(), arrival),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err("the sockets were closed".into()),
        }
    }
}
