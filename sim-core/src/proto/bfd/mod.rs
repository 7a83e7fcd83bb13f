//! BFD (RFC 5880): one end of a session, in asynchronous mode.
//!
//! ```text
//!                             +--+
//!                             |  | UP, ADMIN DOWN, TIMER
//!                             |  V
//!                     DOWN  +------+  INIT
//!              +------------|      |------------+
//!              |            | DOWN |            |
//!              |  +-------->|      |<--------+  |
//!              |  |         +------+         |  |
//!              |  | ADMIN DOWN,   ADMIN DOWN,|  |
//!              |  | TIMER         DOWN, TIMER|  |
//!              V  |                          |  V
//!            +------+                      +------+
//!       +----|      |                      |      |----+
//!   DOWN|    | INIT |--------------------->|  UP  |    |INIT, UP
//!       +--->|      | INIT, UP             |      |<---+
//!            +------+                      +------+
//! ```
//!
//! An end says how often it would like to send and how often it can receive; each direction runs at the slower of the two, and
//! an end misses the other after so many intervals of that direction as the other has said (section 6.8.4). What changes while
//! the session is up is told by a Poll Sequence, and the slower of old and new holds until it is answered (section 6.8.3). Until
//! it is up an end sends at most once in a second.
//!
//! The owner finds the session of a datagram (section 6.3): by Your Discriminator, or by the addresses while that is zero. UDP
//! ports and TTL are RFC 5881's over one hop and RFC 5883's over several; see [`crate::wire::bfd`].
//!
//! Demand mode is honoured and never asked for. Left out: the echo function (section 6.4), authentication (section 6.7), paths
//! behind the other end (section 6.8.17), a limit for answers to P (section 6.8.7 allows one).

use std::collections::VecDeque;

use crate::reason::{DropReason, TimerKind};
use crate::rng::Seldom;
use crate::time::{Duration, Instant};
use crate::wire::bfd::{ControlPacket, Diagnostic, LEN, State, TTL};

#[cfg(test)]
mod tests;

/// The fastest that an end may send before the session is up (RFC 5880 section 6.8.3).
pub const SLOW: Duration = Duration::from_secs(1);

/// What one end of a session is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// How often it would like to send (bfd.DesiredMinTxInterval), in whole microseconds.
    pub desired_min_tx: Duration,
    /// How often it can receive (bfd.RequiredMinRxInterval), in whole microseconds; zero: never.
    pub required_min_rx: Duration,
    /// How many packets in a row the other end may miss; at least 1.
    pub detect_multiplier: u8,
    /// True if it does not speak before it is spoken to (section 6.1).
    pub passive: bool,
    /// True if the other end may be several hops away, so that the TTL says nothing (RFC 5883).
    pub multihop: bool,
}

/// What happens to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// The operator starts it, for the first time or again.
    Start,
    /// The operator holds it down; the other end is told (section 6.8.16).
    Stop,
    /// A UDP datagram for it.
    Packet {
        /// Its payload.
        payload: &'a [u8],
        /// The TTL of the packet that carried it.
        ttl: u8,
    },
    /// The operator changes the intervals.
    Intervals {
        /// As [`Config::desired_min_tx`].
        desired_min_tx: Duration,
        /// As [`Config::required_min_rx`].
        required_min_rx: Duration,
    },
    /// Everything is forgotten, as power loss does.
    Reset,
}

/// What a session wants done or has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this as the payload of a UDP datagram.
    Transmit([u8; LEN]),
    /// It is in another state.
    State {
        /// It was in this one.
        from: State,
        /// It is in this one.
        to: State,
        /// Why.
        diagnostic: Diagnostic,
    },
    /// A timer expired; what follows is its doing.
    Expired {
        /// Which.
        timer: TimerKind,
        /// When it was armed.
        armed_at: Instant,
    },
    /// A datagram had no effect.
    Ignored(DropReason),
}

/// One end of a session.
#[derive(Clone, Debug)]
pub struct Session {
    config: Config,
    /// bfd.LocalDiscr.
    discriminator: u32,
    started: bool,
    state: State,
    diagnostic: Diagnostic,
    /// What this end tells of its intervals, in microseconds: how often it wants to send, and can receive.
    told: Intervals,
    /// What it keeps to: while a Poll Sequence is under way, the slower of what it told before and tells with it.
    kept: Intervals,
    /// A Poll Sequence is under way.
    polling: bool,
    remote: Remote,
    /// When a packet was sent last that was no answer to P.
    sent: Instant,
    /// When a packet came last.
    heard: Instant,
    /// When the next packet is to be sent, and at which interval.
    transmit: Option<(Instant, u32)>,
    /// When the other end is missed.
    detection: Option<Instant>,
    dice: Seldom,
    out: VecDeque<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Intervals {
    tx_us: u32,
    rx_us: u32,
}

/// What the other end has told.
#[derive(Clone, Copy, Debug)]
struct Remote {
    /// bfd.RemoteDiscr; 0 while nothing is heard.
    discriminator: u32,
    state: State,
    demand: bool,
    detect_multiplier: u8,
    desired_min_tx_us: u32,
    required_min_rx_us: u32,
}

impl Remote {
    /// Section 6.8.1.
    const UNKNOWN: Self = Self {
        discriminator: 0,
        state: State::Down,
        demand: false,
        detect_multiplier: 0,
        desired_min_tx_us: 0,
        required_min_rx_us: 1,
    };
}

/// What a packet with the state `received` does to a session in the state `local` (section 6.8.6); `None`: nothing.
pub const fn transition(local: State, received: State) -> Option<(State, Diagnostic)> {
    match (local, received) {
        (State::AdminDown, State::AdminDown | State::Down | State::Init | State::Up)
        | (State::Down, State::AdminDown | State::Up)
        | (State::Init, State::Down)
        | (State::Up, State::Init | State::Up) => None,
        (State::Down, State::Down) => Some((State::Init, Diagnostic::None)),
        (State::Down, State::Init) | (State::Init, State::Init | State::Up) => Some((State::Up, Diagnostic::None)),
        (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
            Some((State::Down, Diagnostic::NeighborSignaledDown))
        }
    }
}

impl Session {
    /// An end that waits to be started. `discriminator` is its name for the session, unique at this end and not 0; `dice` draws
    /// jitter.
    pub fn new(config: Config, discriminator: u32, dice: Seldom) -> Self {
        let intervals = Intervals { tx_us: slow(config.desired_min_tx), rx_us: micros(config.required_min_rx) };
        Self {
            config,
            discriminator,
            started: false,
            state: State::Down,
            diagnostic: Diagnostic::None,
            told: intervals,
            kept: intervals,
            polling: false,
            remote: Remote::UNKNOWN,
            sent: Instant::START,
            heard: Instant::START,
            transmit: None,
            detection: None,
            dice,
            out: VecDeque::new(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Start => self.start(now),
            Input::Stop => {
                if self.started && self.state != State::AdminDown {
                    self.enter(now, State::AdminDown, Diagnostic::AdminDown);
                }
            }
            Input::Packet { payload, ttl } => {
                if let Err(reason) = self.packet(now, payload, ttl) {
                    self.out.push_back(Output::Ignored(reason));
                }
            }
            Input::Intervals { desired_min_tx, required_min_rx } => {
                self.config = Config { desired_min_tx, required_min_rx, ..self.config };
                self.tell();
            }
            Input::Reset => *self = Self::new(self.config, self.discriminator, self.dice.clone()),
        }
        self.rearm(now);
    }

    /// Lets time pass. Does nothing if no timer is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.detection.is_some_and(|due| due <= now) {
            self.out.push_back(Output::Expired { timer: TimerKind::BfdDetection, armed_at: self.heard });
            self.detection = None;
            self.remote.discriminator = 0;
            if matches!(self.state, State::Init | State::Up) {
                self.enter(now, State::Down, Diagnostic::DetectionTimeExpired);
            }
        }
        self.rearm(now);
        if self.transmit.is_some_and(|(due, _)| due <= now) {
            self.out.push_back(Output::Expired { timer: TimerKind::BfdTransmit, armed_at: self.sent });
            self.send(now);
        }
        self.rearm(now);
    }

    /// What is to be done or told next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Session::handle_timeout`], and which timer wants it.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let detection = self.detection.map(|at| (at, TimerKind::BfdDetection));
        let transmit = self.transmit.map(|(at, _)| (at, TimerKind::BfdTransmit));
        detection.into_iter().chain(transmit).min_by_key(|(at, _)| *at)
    }

    /// When the other end is missed, and when the next packet is to be sent.
    pub fn timers(&self) -> (Option<Instant>, Option<Instant>) {
        (self.detection, self.transmit.map(|(at, _)| at))
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is in that state.
    pub fn diagnostic(&self) -> Diagnostic {
        self.diagnostic
    }

    /// True if the other end says that its operator holds the session down.
    pub fn is_held_by_the_other_end(&self) -> bool {
        self.remote.discriminator != 0 && self.remote.state == State::AdminDown
    }

    /// This end's name for the session.
    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// How long silence of the other end lasts until it is missed; zero before anything was heard.
    pub fn detection_time(&self) -> Duration {
        let interval = self.kept.rx_us.max(self.remote.desired_min_tx_us);
        Duration::from_micros(u64::from(interval) * u64::from(self.remote.detect_multiplier))
    }

    /// The interval between packets before jitter; `None` while none are sent without being asked for (section 6.8.7).
    pub fn transmit_interval(&self) -> Option<Duration> {
        self.pace().map(|us| Duration::from_micros(us.into()))
    }

    fn pace(&self) -> Option<u32> {
        let remote = &self.remote;
        let unheard = self.config.passive && remote.discriminator == 0;
        let both_up = self.state == State::Up && remote.state == State::Up;
        let unwanted = remote.required_min_rx_us == 0 || (remote.demand && both_up && !self.polling);
        let silent = !self.started || unheard || unwanted;
        (!silent).then(|| self.kept.tx_us.max(remote.required_min_rx_us))
    }

    fn start(&mut self, now: Instant) {
        if !self.started {
            self.started = true;
            if self.pace().is_some() {
                self.send(now);
            }
        } else if self.state == State::AdminDown {
            self.enter(now, State::Down, Diagnostic::None);
        }
    }

    /// Section 6.8.6, in its order.
    fn packet(&mut self, now: Instant, payload: &[u8], ttl: u8) -> Result<(), DropReason> {
        if !self.config.multihop && ttl != TTL {
            return Err(DropReason::TtlTooLow);
        }
        let packet = ControlPacket::parse(payload).map_err(|_| DropReason::Malformed)?;
        if packet.your_discriminator != 0 && packet.your_discriminator != self.discriminator {
            return Err(DropReason::NotForMe);
        }
        if packet.authentication || !self.started {
            return Err(DropReason::UnexpectedMessage);
        }
        self.remote = Remote {
            discriminator: packet.my_discriminator,
            state: packet.state,
            demand: packet.demand,
            detect_multiplier: packet.detect_multiplier,
            desired_min_tx_us: packet.desired_min_tx_us,
            required_min_rx_us: packet.required_min_rx_us,
        };
        if packet.is_final && self.polling {
            self.polling = false;
            self.kept = self.told;
        }
        if self.state == State::AdminDown {
            return Err(DropReason::UnexpectedMessage);
        }
        self.heard = now;
        if let Some((state, diagnostic)) = transition(self.state, packet.state) {
            self.enter(now, state, diagnostic);
        }
        if packet.poll {
            self.transmit(true);
        }
        Ok(())
    }

    fn enter(&mut self, now: Instant, to: State, diagnostic: Diagnostic) {
        let from = core::mem::replace(&mut self.state, to);
        self.diagnostic = diagnostic;
        self.out.push_back(Output::State { from, to, diagnostic });
        self.tell();
        // Sooner than the interval, because the other end waits for it (section 6.8.7).
        self.send(now);
    }

    /// Takes up the intervals that hold in this state. Those that differ from the ones told before begin a Poll Sequence.
    fn tell(&mut self) {
        let desired = self.config.desired_min_tx;
        let up = self.state == State::Up;
        let tx_us = if up { micros(desired) } else { slow(desired) };
        let told = Intervals { tx_us, rx_us: micros(self.config.required_min_rx) };
        if told == self.told {
            return;
        }
        self.told = told;
        if !self.started {
            self.kept = told;
            return;
        }
        self.polling = true;
        // Section 6.8.3: the other end still counts on the old interval, or still sends at it.
        self.kept = if up {
            Intervals { tx_us: told.tx_us.min(self.kept.tx_us), rx_us: told.rx_us.max(self.kept.rx_us) }
        } else {
            told
        };
    }

    /// A packet that is no answer to P.
    fn send(&mut self, now: Instant) {
        if self.pace().is_some() {
            self.transmit(false);
            self.sent = now;
            self.transmit = None;
        }
    }

    fn transmit(&mut self, is_final: bool) {
        let packet = ControlPacket {
            diagnostic: self.diagnostic,
            state: self.state,
            poll: self.polling && !is_final,
            is_final,
            control_plane_independent: false,
            authentication: false,
            demand: false,
            detect_multiplier: self.config.detect_multiplier.max(1),
            my_discriminator: self.discriminator,
            your_discriminator: self.remote.discriminator,
            desired_min_tx_us: self.told.tx_us,
            required_min_rx_us: self.told.rx_us,
            required_min_echo_rx_us: 0,
        };
        self.out.push_back(Output::Transmit(packet.emit()));
    }

    /// Sets both timers by what holds now.
    fn rearm(&mut self, now: Instant) {
        let pace = self.pace();
        if self.transmit.map(|(_, us)| us) != pace {
            // A shorter interval counts from the packet before (section 6.8.3).
            self.transmit = pace.map(|us| ((self.sent + self.jittered(us)).max(now), us));
        }
        let listens = self.remote.discriminator != 0 && self.state != State::AdminDown;
        self.detection = listens.then(|| self.heard + self.detection_time());
    }

    /// Section 6.8.7: an interval is shortened by up to a quarter, and by at least a tenth if one packet decides.
    fn jittered(&mut self, us: u32) -> Duration {
        let whole = Duration::from_micros(us.into());
        let longest = if self.config.detect_multiplier <= 1 { whole.scale(9, 10) } else { whole };
        self.dice.between(whole.scale(3, 4), longest)
    }
}

fn micros(interval: Duration) -> u32 {
    u32::try_from(interval.as_nanos() / 1_000).unwrap_or(u32::MAX)
}

/// Section 6.8.3: before the session is up.
fn slow(desired: Duration) -> u32 {
    micros(desired.max(SLOW))
}
