//! VRRP version 3 (RFC 5798) for IPv4: one router's part in one virtual router.
//!
//! ```text
//!                     +---------------+
//!          +--------->|  Initialize   |<---------+
//!          |          +---------------+          |
//!          |             |         |             |
//!   Shutdown             | Startup | Startup,    | Shutdown: an advertisement
//!          |             v         v owner       | with priority 0
//!   +---------------+                    +---------------+
//!   |    Backup     |--- Master_Down --->|    Master     |
//!   |               |<-- higher priority |               |
//!   +---------------+                    +---------------+
//! ```
//!
//! A backup waits for Master_Down_Interval, three advertisement intervals and a Skew_Time that is the shorter the higher its priority
//! (section 6.1), and for Skew_Time alone after an advertisement with priority 0. Skew_Time is reckoned to the nanosecond; the RFC has it
//! in centiseconds.
//!
//! The priority may change while it runs, as routers do when something that they track fails. The RFC knows no such change: a master goes on
//! with its new priority, and a backup that finds a master with a lower one than its own lets Master_Down_Interval pass, if it may preempt.
//!
//! Left out: IPv6; the comparison of the address list of an advertisement with one's own, which section 7.1 leaves open; a delay before
//! preemption, which vendors have.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use crate::reason::{DropReason, Reason, TimerKind};
use crate::time::{Duration, Instant};
use crate::wire::vrrp::{Advertisement, CHECKSUM, TTL};

#[cfg(test)]
mod tests;

/// The priority of a router that owns the addresses (section 6.1).
pub const OWNER: u8 = 255;
/// The priority of an advertisement by which a master says that it goes.
const RELEASE: u8 = 0;

/// What one router is told (section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Virtual Router Identifier, 1 to 255.
    pub vrid: u8,
    /// Its priority, 1 to 254, or [`OWNER`].
    pub priority: u8,
    /// The addresses of the virtual router.
    pub addresses: Vec<Ipv4Addr>,
    /// Its own address on the link.
    pub primary: Ipv4Addr,
    /// Advertisement_Interval in centiseconds, 1 to 4095.
    pub interval: u16,
    /// Preempt_Mode: whether it takes over from a master of lower priority.
    pub preempt: bool,
    /// Accept_Mode: whether it takes, as a master, what is sent to the virtual addresses themselves.
    pub accept: bool,
}

impl Config {
    /// True if it takes what is sent to the virtual addresses while it is master.
    pub const fn accepts(&self) -> bool {
        self.accept || self.priority == OWNER
    }
}

/// What happens to it.
#[derive(Debug)]
pub enum Input<'a> {
    /// The interface is up, or an operator starts it.
    Startup(Reason),
    /// The interface is gone, or an operator stops it.
    Shutdown(Reason),
    /// A VRRP message arrived.
    Message {
        /// From where.
        source: Ipv4Addr,
        /// The TTL of its packet.
        ttl: u8,
        /// It.
        octets: &'a [u8],
    },
    /// Its priority is this from here on. An owner's stays.
    Priority(u8),
}

/// What it wants, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this message to [`crate::wire::vrrp::GROUP`].
    Transmit(Vec<u8>),
    /// Tell everybody on the link where the virtual addresses are.
    Announce,
    /// Nothing was heard of a master in time; the wait began then.
    Expired(Instant),
    /// The master of which it is the backup goes, and says so.
    Released,
    /// Its state is another.
    Moved(State, State, Reason),
    /// A message had no effect.
    Ignored(DropReason),
}

/// The states (section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It waits for a Startup.
    Initialize,
    /// Another router forwards.
    Backup,
    /// It forwards.
    Master,
}

/// One router's part in one virtual router.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: Config,
    priority: u8,
    state: State,
    /// Master_Adver_Interval, in centiseconds.
    master_interval: u16,
    /// Master_Down_Timer of a backup, Adver_Timer of a master: when it ends, and when it began.
    timer: Option<(Instant, Instant)>,
    out: VecDeque<Output>,
}

impl VirtualRouter {
    /// One that has not begun.
    pub fn new(config: Config) -> Self {
        let (priority, master_interval) = (config.priority, config.interval);
        Self { config, priority, state: State::Initialize, master_interval, timer: None, out: VecDeque::new() }
    }

    /// Forgets everything, as power loss does.
    pub fn reset(&mut self) {
        *self = Self::new(self.config.clone());
    }

    /// What it is told.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Its priority as it is now.
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match (self.state, input) {
            (State::Initialize, Input::Startup(reason)) if self.priority == OWNER => self.lead(now, reason),
            (State::Initialize, Input::Startup(reason)) => {
                self.master_interval = self.config.interval;
                self.follow(now, reason);
            }
            (State::Backup | State::Master, Input::Startup(_)) | (State::Initialize, Input::Shutdown(_)) => {}
            (State::Backup, Input::Shutdown(reason)) => self.rest(reason),
            (State::Master, Input::Shutdown(reason)) => {
                self.advertise(RELEASE);
                self.rest(reason);
            }
            (_, Input::Priority(priority)) => {
                if self.config.priority != OWNER {
                    self.priority = priority;
                }
            }
            (state, Input::Message { source, ttl, octets }) => match self.read(source, ttl, octets) {
                Ok(advertisement) => match state {
                    State::Initialize => {}
                    State::Backup => self.heard_as_backup(now, &advertisement),
                    State::Master => self.heard_as_master(now, source, &advertisement),
                },
                Err(reason) => self.out.push_back(Output::Ignored(reason)),
            },
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((_, armed_at)) = self.timer.filter(|(due, _)| *due <= now) else { return };
        match self.state {
            State::Initialize => self.timer = None,
            State::Backup => {
                self.out.push_back(Output::Expired(armed_at));
                self.lead(now, Reason::VrrpMasterDown);
            }
            State::Master => self.repeat(now),
        }
    }

    /// What it wants next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`VirtualRouter::handle_timeout`] must be called next, and for which timer.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let kind = match self.state {
            State::Initialize => return None,
            State::Backup => TimerKind::VrrpMasterDown,
            State::Master => TimerKind::VrrpAdvertisement,
        };
        self.timer.map(|(due, _)| (due, kind))
    }

    /// Skew_Time (section 6.1).
    pub fn skew_time(&self) -> Duration {
        let interval = centiseconds(self.master_interval).as_nanos();
        Duration::from_nanos(interval * (256 - u64::from(self.priority)) / 256)
    }

    /// Master_Down_Interval (section 6.1).
    pub fn master_down_interval(&self) -> Duration {
        centiseconds(self.master_interval) * 3 + self.skew_time()
    }

    /// Section 7.1: what a message must be to be heard.
    fn read(&self, source: Ipv4Addr, ttl: u8, octets: &[u8]) -> Result<Advertisement, DropReason> {
        if ttl != TTL {
            return Err(DropReason::TtlTooLow);
        }
        let advertisement = Advertisement::parse(source, octets)
            .map_err(|error| if error.field == CHECKSUM { DropReason::BadChecksum } else { DropReason::Malformed })?;
        // An owner hears nobody.
        if advertisement.vrid != self.config.vrid || self.priority == OWNER {
            return Err(DropReason::VrrpNotHeard);
        }
        Ok(advertisement)
    }

    fn heard_as_backup(&mut self, now: Instant, advertisement: &Advertisement) {
        if advertisement.priority == RELEASE {
            self.timer = Some((now + self.skew_time(), now));
            self.out.push_back(Output::Released);
        } else if !self.config.preempt || advertisement.priority >= self.priority {
            self.master_interval = advertisement.interval;
            self.timer = Some((now + self.master_down_interval(), now));
        }
    }

    fn heard_as_master(&mut self, now: Instant, source: Ipv4Addr, advertisement: &Advertisement) {
        let higher = advertisement.priority > self.priority
            || advertisement.priority == self.priority && source > self.config.primary;
        if advertisement.priority == RELEASE {
            self.repeat(now);
        } else if higher {
            self.master_interval = advertisement.interval;
            self.follow(now, Reason::VrrpHigherPriority);
        }
    }

    fn lead(&mut self, now: Instant, reason: Reason) {
        self.enter(State::Master, reason);
        self.repeat(now);
        self.out.push_back(Output::Announce);
    }

    fn follow(&mut self, now: Instant, reason: Reason) {
        self.timer = Some((now + self.master_down_interval(), now));
        self.enter(State::Backup, reason);
    }

    fn rest(&mut self, reason: Reason) {
        self.timer = None;
        self.enter(State::Initialize, reason);
    }

    fn enter(&mut self, state: State, reason: Reason) {
        self.out.push_back(Output::Moved(self.state, state, reason));
        self.state = state;
    }

    fn repeat(&mut self, now: Instant) {
        self.advertise(self.priority);
        self.timer = Some((now + centiseconds(self.config.interval), now));
    }

    fn advertise(&mut self, priority: u8) {
        let Config { vrid, interval, ref addresses, primary, .. } = self.config;
        let advertisement = Advertisement { vrid, priority, interval, addresses: addresses.clone() };
        self.out.push_back(Output::Transmit(advertisement.emit(primary)));
    }
}

fn centiseconds(number: u16) -> Duration {
    Duration::from_millis(10) * u64::from(number)
}
