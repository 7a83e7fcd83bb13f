//! Virtual time paced by the wall clock: what is overdue happens first, in order and each at its own time; what a socket
//! has read happens when it is read; in between the machines sleep until their next wake.

use sim_core::time::Instant;

/// Machines between sockets, as the pacing loop sees them.
pub trait Site {
    /// What arrives from outside.
    type Arrival;
    /// Why it cannot go on.
    type Error;

    /// When [`Site::timeout`] must be called next, if ever.
    fn wake(&self) -> Option<Instant>;

    /// A wake is due.
    fn timeout(&mut self, now: Instant) -> Result<(), Self::Error>;

    /// Something arrived.
    fn arrival(&mut self, now: Instant, arrival: Self::Arrival) -> Result<(), Self::Error>;
}

/// Where arrivals are waited for.
pub trait Inbox<S: Site> {
    /// The next arrival, waited for no longer than `pause`.
    fn receive(&mut self, pause: std::time::Duration) -> Result<Option<S::Arrival>, S::Error>;
}

/// The wall clock as virtual time: nanoseconds since this value was made.
#[derive(Debug)]
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

    /// What is due, or else one arrival, waited for until `deadline` at most.
    pub fn step<S: Site>(&self, site: &mut S, inbox: &mut impl Inbox<S>, deadline: Instant) -> Result<(), S::Error> {
        match site.wake() {
            Some(due) if due <= self.now() => site.timeout(due),
            wake => {
                let until = wake.map_or(deadline, |due| due.min(deadline));
                let pause = std::time::Duration::from_nanos(until.since(self.now()).as_nanos());
                match inbox.receive(pause)? {
                    Some(arrival) => site.arrival(self.now(), arrival),
                    None => Ok(()),
                }
            }
        }
    }
}
