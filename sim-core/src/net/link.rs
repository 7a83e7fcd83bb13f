//! One direction of a link, or of a path through an internet: a transmitter with a queue, then a way that takes time
//! and does harm.
//!
//! ```text
//! offer -> up? -> MTU -> [ queue | transmitter at `rate` ] -> blackhole? -> loss? -> corruption, duplication
//!                          drop-tail, analytic                                    -> delay + jitter + reorder -> arrival
//! ```
//!
//! The queue is analytic: a packet's departure is known when it is offered, because nothing overtakes in a FIFO. So a
//! direction needs no events of its own. Departures are exact: the part of a nanosecond by which a transmission ends
//! after its integer instant is carried to the next one of the same busy period.
//!
//! What a change means for packets already offered: their times stand (a new rate or delay is for later packets), a
//! blackhole takes only what enters after it began, and going down loses everything that is queued or under way (the
//! world compares [`Direction::epoch`] at arrival).
//!
//! Jitter does not reorder unless `jitter_reorders` is set: an arrival is never before that of the packet in front, as
//! on a path with one queue. Only packets chosen by [`Reorder`] are overtaken.

use std::collections::VecDeque;

use super::impairments::{Dice, halves, jittered};
pub use super::impairments::{Duplicate, Jitter, Loss, Reorder};
use crate::id::RecordId;
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::rng::Chance;
use crate::time::{Duration, Instant};

/// Nanoseconds in a second times bits in an octet: an octet's transmission takes this many units of `1 / rate` ns.
const UNITS_PER_OCTET: u64 = 8_000_000_000;

/// What one direction is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectionConfig {
    /// Bits per second of the transmitter, counting whole IP packets; `None` sends in no time and never queues.
    pub rate: Option<u64>,
    /// What the queue holds at most. Without a rate there is no queue.
    pub queue: QueueLimit,
    /// Propagation delay.
    pub delay: Duration,
    /// Variation of the delay.
    pub jitter: Jitter,
    /// Whether jitter may let a packet overtake the one in front. Off by default.
    pub jitter_reorders: bool,
    /// Random loss.
    pub loss: Loss,
    /// Packets held back.
    pub reorder: Reorder,
    /// Packets that arrive twice.
    pub duplicate: Duplicate,
    /// Chance that one bit of a packet arrives flipped.
    pub corrupt: Chance,
    /// The longest IP packet it carries, in octets.
    pub mtu: u32,
}

impl Default for DirectionConfig {
    /// A perfect Ethernet: no rate limit, no delay, MTU 1,500.
    fn default() -> Self {
        Self {
            rate: None,
            queue: QueueLimit::default(),
            delay: Duration::ZERO,
            jitter: Jitter::None,
            jitter_reorders: false,
            loss: Loss::None,
            reorder: Reorder::default(),
            duplicate: Duplicate::default(),
            corrupt: Chance::NEVER,
            mtu: 1500,
        }
    }
}

/// How much a queue holds. What is being transmitted counts: the octets of it that have not left, and one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueLimit {
    /// Octets.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u32>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Deliver(Instant),
    /// It arrives, and a copy of it arrives too, at the second instant.
    DeliverTwice(Instant, Instant),
    /// It does not arrive.
    Drop(DropReason),
}

/// One direction. See the module header.
#[derive(Clone, Debug)]
pub struct Direction {
    config: DirectionConfig,
    up: bool,
    blackhole: bool,
    /// True if any impairment needs a die or a second look.
    impaired: bool,
    /// True in the bad state of a Gilbert-Elliott loss.
    in_burst: bool,
    epoch: u32,
    changed_by: RecordId,
    /// Number of packets offered so far: the next packet's number.
    offered: u64,
    /// When the transmitter is done, rounded down; `busy_carry / rate` nanoseconds are missing.
    busy_until: Instant,
    busy_carry: u64,
    /// The latest arrival of a packet that was not held back.
    last_arrival: Instant,
    /// Departures of what is queued; kept only if the queue limits packets.
    departures: VecDeque<Instant>,
    dice: Box<Dice>,
}

impl Direction {
    /// A direction that is up. Its dice are those of `name` in the world with this `seed`; `name` must be stable.
    pub fn new(config: DirectionConfig, seed: u64, name: &str) -> Self {
        let mut direction = Self {
            config,
            up: true,
            blackhole: false,
            impaired: false,
            in_burst: false,
            epoch: 0,
            changed_by: RecordId::GENESIS,
            offered: 0,
            busy_until: Instant::START,
            busy_carry: 0,
            last_arrival: Instant::START,
            departures: VecDeque::new(),
            dice: Box::new(Dice::new(seed, name)),
        };
        direction.configured();
        direction
    }

    /// Takes a packet and says what becomes of it. Corruption changes its bytes, before a copy is made.
    pub fn offer(&mut self, now: Instant, packet: &mut Packet) -> Fate {
        let number = self.offered;
        self.offered += 1;
        // A chain steps for every packet, also for those that do not reach it, so that its bursts do not depend on load.
        let lost = self.impaired && self.loses(number);
        if !self.up {
            return Fate::Drop(DropReason::LinkDown);
        }
        if packet.len() > self.config.mtu as usize {
            return Fate::Drop(DropReason::TooBigForLink);
        }
        let Some(departure) = self.transmit(now, packet.len() as u64) else {
            return Fate::Drop(DropReason::QueueFull);
        };
        if self.blackhole {
            return Fate::Drop(DropReason::Blackhole);
        }
        if lost {
            return Fate::Drop(DropReason::Loss);
        }
        if !self.impaired {
            return Fate::Deliver(self.in_order(departure + self.config.delay));
        }
        self.harm(number, departure, packet)
    }

    /// The configuration in force.
    pub fn config(&self) -> &DirectionConfig {
        &self.config
    }

    /// The longest IP packet it carries, in octets.
    pub fn mtu(&self) -> u32 {
        self.config.mtu
    }

    /// True unless it was taken down.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// True if it silently discards.
    pub fn is_blackhole(&self) -> bool {
        self.blackhole
    }

    /// Counts how often it went down. A packet that arrives in another epoch than it was offered in is lost with
    /// [`DropReason::LinkDown`].
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The record of the last change: what a drop, or a delivery, here is due to.
    pub fn changed_by(&self) -> RecordId {
        self.changed_by
    }

    /// Octets that are queued or being transmitted, rounded up.
    pub fn backlog(&self, now: Instant) -> u64 {
        let Some(rate) = self.config.rate else {
            return 0;
        };
        self.backlog_units(now, rate)
            .div_ceil(u128::from(UNITS_PER_OCTET)) as u64
    }

    /// Puts another configuration in force, all at once.
    pub fn set_config(&mut self, config: DirectionConfig, by: RecordId) {
        if config.rate != self.config.rate {
            self.busy_carry = 0;
        }
        self.config = config;
        self.changed_by = by;
        self.configured();
    }

    /// Begins or ends silent discarding.
    pub fn set_blackhole(&mut self, on: bool, by: RecordId) {
        self.blackhole = on;
        self.changed_by = by;
    }

    /// Takes it up or down. Down empties the queue and begins a new epoch; no effect if nothing changes.
    pub fn set_up(&mut self, up: bool, by: RecordId) {
        if up == self.up {
            return;
        }
        self.up = up;
        self.changed_by = by;
        if !up {
            self.epoch += 1;
            self.busy_until = Instant::START;
            self.busy_carry = 0;
            self.last_arrival = Instant::START;
            self.departures.clear();
        }
    }

    /// Changes the loss.
    pub fn set_loss(&mut self, loss: Loss, by: RecordId) {
        self.set_config(
            DirectionConfig {
                loss,
                ..self.config
            },
            by,
        );
    }

    /// Changes the delay of later packets; they do not overtake those under way.
    pub fn set_delay(&mut self, delay: Duration, by: RecordId) {
        self.set_config(
            DirectionConfig {
                delay,
                ..self.config
            },
            by,
        );
    }

    /// Changes the variation of the delay.
    pub fn set_jitter(&mut self, jitter: Jitter, by: RecordId) {
        self.set_config(
            DirectionConfig {
                jitter,
                ..self.config
            },
            by,
        );
    }

    /// Changes the rate for later packets.
    pub fn set_rate(&mut self, rate: Option<u64>, by: RecordId) {
        self.set_config(
            DirectionConfig {
                rate,
                ..self.config
            },
            by,
        );
    }

    /// Changes the MTU.
    pub fn set_mtu(&mut self, mtu: u32, by: RecordId) {
        self.set_config(DirectionConfig { mtu, ..self.config }, by);
    }

    /// What follows from the configuration.
    fn configured(&mut self) {
        let c = &self.config;
        self.impaired = c.loss != Loss::None
            || c.jitter != Jitter::None
            || !c.reorder.chance.is_never()
            || !c.duplicate.chance.is_never()
            || !c.corrupt.is_never();
        if !matches!(c.loss, Loss::GilbertElliott { .. }) {
            self.in_burst = false;
        }
        if c.queue.packets.is_none() {
            self.departures.clear();
        }
    }

    /// Whether the path loses packet `number`.
    fn loses(&mut self, number: u64) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Independent(chance) => chance.holds(halves(self.dice.loss.roll(number)).0),
            Loss::GilbertElliott {
                good_to_bad,
                bad_to_good,
                loss_good,
                loss_bad,
            } => {
                let (loss, step) = halves(self.dice.loss.roll(number));
                let leave = if self.in_burst {
                    bad_to_good
                } else {
                    good_to_bad
                };
                self.in_burst ^= leave.holds(step);
                if self.in_burst {
                    loss_bad.holds(loss)
                } else {
                    loss_good.holds(loss)
                }
            }
        }
    }

    /// Queues a packet of `octets` and answers its departure, rounded down to the nanosecond; `None` if it has no room.
    fn transmit(&mut self, now: Instant, octets: u64) -> Option<Instant> {
        let Some(rate) = self.config.rate else {
            return Some(now);
        };
        let units = octets * UNITS_PER_OCTET;
        if now > self.busy_until || (now == self.busy_until && self.busy_carry == 0) {
            self.busy_until = now;
            self.busy_carry = 0;
        } else if let Some(limit) = self.config.queue.bytes {
            let after = self.backlog_units(now, rate) + u128::from(units);
            if after > u128::from(limit) * u128::from(UNITS_PER_OCTET) {
                return None;
            }
        }
        if let Some(limit) = self.config.queue.packets {
            while self.departures.front().is_some_and(|&d| d <= now) {
                self.departures.pop_front();
            }
            if self.departures.len() >= limit.max(1) as usize {
                return None;
            }
        }
        let units = units + self.busy_carry;
        self.busy_until += Duration::from_nanos(units / rate.max(1));
        self.busy_carry = units % rate.max(1);
        if self.config.queue.packets.is_some() {
            self.departures.push_back(self.busy_until);
        }
        Some(self.busy_until)
    }

    /// What the transmitter still has to send, in units of which an octet has [`UNITS_PER_OCTET`].
    fn backlog_units(&self, now: Instant, rate: u64) -> u128 {
        if now > self.busy_until {
            return 0;
        }
        u128::from(self.busy_until.since(now).as_nanos()) * u128::from(rate)
            + u128::from(self.busy_carry)
    }

    /// The random part of a delivery.
    fn harm(&mut self, number: u64, departure: Instant, packet: &mut Packet) -> Fate {
        let Self { config, dice, .. } = self;
        let delay = jittered(config.delay, config.jitter, || dice.jitter.roll(number));
        let mut arrival = departure + delay;
        let held = !config.reorder.chance.is_never()
            && config
                .reorder
                .chance
                .holds(halves(dice.reorder.roll(number)).0);
        if !config.corrupt.is_never() {
            let (whether, place) = halves(dice.corrupt.roll(number));
            if config.corrupt.holds(whether) {
                flip_bit(packet.bytes_mut(), place);
            }
        }
        let copied = !config.duplicate.chance.is_never()
            && config
                .duplicate
                .chance
                .holds(halves(dice.duplicate.roll(number)).0);
        let (hold, gap) = (config.reorder.hold, config.duplicate.gap);
        if held {
            arrival = arrival.max(self.last_arrival) + hold;
        } else {
            arrival = self.in_order(arrival);
        }
        if copied {
            Fate::DeliverTwice(arrival, arrival + gap)
        } else {
            Fate::Deliver(arrival)
        }
    }

    /// Not before the packet in front, unless jitter may do that.
    fn in_order(&mut self, arrival: Instant) -> Instant {
        if self.config.jitter_reorders {
            return arrival;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}

/// Flips the bit that a 32-bit draw points at, evenly over the packet.
fn flip_bit(bytes: &mut [u8], draw: u32) {
    let bit = ((u64::from(draw) * (bytes.len() as u64 * 8)) >> 32) as usize;
    bytes[bit / 8] ^= 0x80 >> (bit % 8);
}
