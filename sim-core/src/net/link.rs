//! One direction of a link, or of a path through an internet: a transmitter with a queue, then a way that takes time
//! and does harm.
//!
//! ```text
//! offer -> up? -> MTU -> [ queue | transmitter at `rate` ] -> blackhole? -> loss? -> fragment? -> corruption,
//!                          drop-tail, analytic              duplication -> delay + jitter + reorder -> arrival
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
use crate::wire::ipv4::Ipv4Packet;

/// Nanoseconds in a second times bits in an octet: an octet's transmission takes this many units of `1 / rate` ns.
const UNITS_PER_OCTET: u64 = 8_000_000_000;

/// What one direction is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectionConfig {
    /// Bits per second of the transmitter, counting whole IP packets; `None` sends in no time and never queues. Zero
    /// counts as one.
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
    /// True if a firewall or load balancer on the path drops IP fragments, the first ones as well.
    pub drops_fragments: bool,
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
            drops_fragments: false,
            mtu: 1500,
        }
    }
}

/// How much a queue holds. What is being transmitted counts: the octets of it that have not left, and one packet.
/// An idle transmitter takes any packet.
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

/// One direction. See the module header. What every packet needs fits one cache line; the rest is looked at only if it is
/// configured.
#[derive(Clone, Debug)]
pub struct Direction {
    up: bool,
    blackhole: bool,
    /// True if any impairment needs a die or a second look.
    impaired: bool,
    /// True if the transmitter has a rate.
    limited: bool,
    /// True if a packet may overtake the one in front.
    overtaking: bool,
    mtu: u32,
    epoch: u32,
    delay: Duration,
    changed_by: RecordId,
    /// Number of packets offered so far: the next packet's number.
    offered: u64,
    /// The latest arrival of a packet that was not held back.
    last_arrival: Instant,
    rest: Box<Rest>,
}

/// What only some packets need.
#[derive(Clone, Debug)]
struct Rest {
    config: DirectionConfig,
    transmitter: Transmitter,
    /// True in the bad state of a Gilbert-Elliott loss.
    in_burst: bool,
    dice: Dice,
}

/// The transmitter and its queue.
#[derive(Clone, Debug, Default)]
struct Transmitter {
    /// When it is done, rounded down; `busy_carry / rate` nanoseconds are missing.
    busy_until: Instant,
    busy_carry: u64,
    /// Departures of what is queued; kept only if the queue limits packets.
    departures: VecDeque<Instant>,
}

impl Direction {
    /// A direction that is up. Its dice are those of `name` in the world with this `seed`; `name` must be stable.
    pub fn new(config: DirectionConfig, seed: u64, name: &str) -> Self {
        let rest = Rest { config, transmitter: Transmitter::default(), in_burst: false, dice: Dice::new(seed, name) };
        let mut direction = Self {
            up: true,
            blackhole: false,
            impaired: false,
            limited: false,
            overtaking: false,
            mtu: 0,
            epoch: 0,
            delay: Duration::ZERO,
            changed_by: RecordId::GENESIS,
            offered: 0,
            last_arrival: Instant::START,
            rest: Box::new(rest),
        };
        direction.configured();
        direction
    }

    /// Takes a packet and says what becomes of it. Corruption changes its bytes, before a copy is made.
    pub fn offer(&mut self, now: Instant, packet: &mut Packet) -> Fate {
        let number = self.offered;
        self.offered += 1;
        // A chain steps for every packet, also for those that do not reach it, so that its bursts do not depend on load.
        let lost = self.impaired && self.rest.loses(number);
        if !self.up {
            return Fate::Drop(DropReason::LinkDown);
        }
        if packet.len() > self.mtu as usize {
            return Fate::Drop(DropReason::TooBigForLink);
        }
        let departure = if self.limited { self.rest.transmit(now, packet.len() as u64) } else { Some(now) };
        let Some(departure) = departure else {
            return Fate::Drop(DropReason::QueueFull);
        };
        if self.blackhole {
            return Fate::Drop(DropReason::Blackhole);
        }
        if lost {
            return Fate::Drop(DropReason::Loss);
        }
        if self.impaired && self.rest.config.drops_fragments && is_fragment(packet) {
            return Fate::Drop(DropReason::FragmentDropped);
        }
        if !self.impaired {
            return Fate::Deliver(self.in_order(departure + self.delay));
        }
        self.harm(number, departure, packet)
    }

    /// The configuration in force.
    pub fn config(&self) -> &DirectionConfig {
        &self.rest.config
    }

    /// The longest IP packet it carries, in octets.
    pub fn mtu(&self) -> u32 {
        self.mtu
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
        let Some(rate) = self.rest.config.rate else {
            return 0;
        };
        self.rest.transmitter.backlog_units(now, rate).div_ceil(u128::from(UNITS_PER_OCTET)) as u64
    }

    /// Puts another configuration in force, all at once.
    pub fn set_config(&mut self, config: DirectionConfig, by: RecordId) {
        if config.rate != self.rest.config.rate {
            self.rest.transmitter.busy_carry = 0;
        }
        self.rest.config = config;
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
            self.last_arrival = Instant::START;
            self.rest.transmitter = Transmitter::default();
        }
    }

    /// Changes the loss.
    pub fn set_loss(&mut self, loss: Loss, by: RecordId) {
        self.set_config(DirectionConfig { loss, ..self.rest.config }, by);
    }

    /// Changes the delay of later packets; they do not overtake those under way.
    pub fn set_delay(&mut self, delay: Duration, by: RecordId) {
        self.set_config(DirectionConfig { delay, ..self.rest.config }, by);
    }

    /// Changes the variation of the delay.
    pub fn set_jitter(&mut self, jitter: Jitter, by: RecordId) {
        self.set_config(DirectionConfig { jitter, ..self.rest.config }, by);
    }

    /// Changes the rate for later packets.
    pub fn set_rate(&mut self, rate: Option<u64>, by: RecordId) {
        self.set_config(DirectionConfig { rate, ..self.rest.config }, by);
    }

    /// Changes the MTU.
    pub fn set_mtu(&mut self, mtu: u32, by: RecordId) {
        self.set_config(DirectionConfig { mtu, ..self.rest.config }, by);
    }

    /// What follows from the configuration.
    fn configured(&mut self) {
        let c = &mut self.rest.config;
        c.rate = c.rate.map(|rate| rate.max(1));
        self.impaired = c.loss != Loss::None
            || c.jitter != Jitter::None
            || !c.reorder.chance.is_never()
            || !c.duplicate.chance.is_never()
            || !c.corrupt.is_never()
            || c.drops_fragments;
        self.limited = c.rate.is_some();
        self.overtaking = c.jitter_reorders;
        self.mtu = c.mtu;
        self.delay = c.delay;
        if !matches!(c.loss, Loss::GilbertElliott { .. }) {
            self.rest.in_burst = false;
        }
        if c.queue.packets.is_none() {
            self.rest.transmitter.departures.clear();
        }
    }

    /// The random part of a delivery.
    fn harm(&mut self, number: u64, departure: Instant, packet: &mut Packet) -> Fate {
        let Rest { config, dice, .. } = &mut *self.rest;
        let dice = dice.set();
        let delay = jittered(config.delay, config.jitter, || dice.jitter.roll(number));
        let mut arrival = departure + delay;
        let held =
            !config.reorder.chance.is_never() && config.reorder.chance.holds(halves(dice.reorder.roll(number)).0);
        if !config.corrupt.is_never() {
            let (whether, place) = halves(dice.corrupt.roll(number));
            if config.corrupt.holds(whether) {
                flip_bit(packet.bytes_mut(), place);
            }
        }
        let copied =
            !config.duplicate.chance.is_never() && config.duplicate.chance.holds(halves(dice.duplicate.roll(number)).0);
        let (hold, gap) = (config.reorder.hold, config.duplicate.gap);
        if held {
            arrival = arrival.max(self.last_arrival) + hold;
        } else {
            arrival = self.in_order(arrival);
        }
        if copied { Fate::DeliverTwice(arrival, arrival + gap) } else { Fate::Deliver(arrival) }
    }

    /// Not before the packet in front, unless jitter may do that.
    fn in_order(&mut self, arrival: Instant) -> Instant {
        if self.overtaking {
            return arrival;
        }
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}

impl Rest {
    /// Whether the path loses packet `number`.
    fn loses(&mut self, number: u64) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Independent(chance) => chance.holds(halves(self.dice.set().loss.roll(number)).0),
            Loss::GilbertElliott { good_to_bad, bad_to_good, loss_good, loss_bad } => {
                let (loss, step) = halves(self.dice.set().loss.roll(number));
                let leave = if self.in_burst { bad_to_good } else { good_to_bad };
                self.in_burst ^= leave.holds(step);
                if self.in_burst { loss_bad.holds(loss) } else { loss_good.holds(loss) }
            }
        }
    }

    /// Queues a packet of `octets` and answers its departure, rounded down to the nanosecond; `None` if it has no room.
    fn transmit(&mut self, now: Instant, octets: u64) -> Option<Instant> {
        let Some(rate) = self.config.rate else {
            return Some(now);
        };
        let transmitter = &mut self.transmitter;
        let units = octets * UNITS_PER_OCTET;
        if now > transmitter.busy_until || (now == transmitter.busy_until && transmitter.busy_carry == 0) {
            transmitter.busy_until = now;
            transmitter.busy_carry = 0;
        } else if let Some(limit) = self.config.queue.bytes {
            let after = transmitter.backlog_units(now, rate) + u128::from(units);
            if after > u128::from(limit) * u128::from(UNITS_PER_OCTET) {
                return None;
            }
        }
        if let Some(limit) = self.config.queue.packets {
            while transmitter.departures.pop_front_if(|departure| *departure <= now).is_some() {}
            if transmitter.departures.len() >= limit.max(1) as usize {
                return None;
            }
        }
        let units = units + transmitter.busy_carry;
        transmitter.busy_until += Duration::from_nanos(units / rate);
        transmitter.busy_carry = units % rate;
        if self.config.queue.packets.is_some() {
            transmitter.departures.push_back(transmitter.busy_until);
        }
        Some(transmitter.busy_until)
    }
}

impl Transmitter {
    /// What is still to be sent, in units of which an octet has [`UNITS_PER_OCTET`].
    fn backlog_units(&self, now: Instant, rate: u64) -> u128 {
        if now > self.busy_until {
            return 0;
        }
        u128::from(self.busy_until.since(now).as_nanos()) * u128::from(rate) + u128::from(self.busy_carry)
    }
}

fn is_fragment(packet: &Packet) -> bool {
    Ipv4Packet::new_checked(packet.bytes()).is_ok_and(|ip| ip.is_fragment())
}

/// Flips the bit that a 32-bit draw points at, evenly over the packet.
fn flip_bit(bytes: &mut [u8], draw: u32) {
    if bytes.is_empty() {
        return;
    }
    let bit = ((u64::from(draw) * (bytes.len() as u64 * 8)) >> 32) as usize;
    bytes[bit / 8] ^= 0x80 >> (bit % 8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Meta;

    const BY: RecordId = RecordId(7);

    fn ms(n: u64) -> Instant {
        Instant::START + Duration::from_millis(n)
    }

    fn direction(config: DirectionConfig) -> Direction {
        Direction::new(config, 1, "test")
    }

    fn send(direction: &mut Direction, now: Instant, octets: usize) -> Fate {
        direction.offer(now, &mut Packet::zeroed(octets, Meta::default()))
    }

    /// 1,000 octets at 8 Mb/s take 1 ms.
    fn slow() -> DirectionConfig {
        DirectionConfig { rate: Some(8_000_000), delay: Duration::from_millis(10), ..DirectionConfig::default() }
    }

    #[test]
    fn transmission_queueing_and_propagation_add_up() {
        let mut d = direction(slow());
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(11)));
        assert_eq!(send(&mut d, ms(0), 500), Fate::Deliver(ms(11) + Duration::from_micros(500)));
        assert_eq!(d.backlog(ms(1)), 500);
        assert_eq!(send(&mut d, ms(5), 1000), Fate::Deliver(ms(16)), "idle again");
    }

    #[test]
    fn the_queue_is_drop_tail_and_a_smaller_packet_may_still_fit() {
        let queue = QueueLimit { bytes: Some(2500), packets: None };
        let mut d = direction(DirectionConfig { queue, ..slow() });
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(11)));
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(12)));
        assert_eq!(send(&mut d, ms(0), 501), Fate::Drop(DropReason::QueueFull));
        assert_eq!(send(&mut d, ms(0), 500), Fate::Deliver(ms(12) + Duration::from_micros(500)));
        let queue = QueueLimit { bytes: Some(10), packets: Some(0) };
        let mut idle = direction(DirectionConfig { queue, ..slow() });
        assert_eq!(send(&mut idle, ms(0), 1000), Fate::Deliver(ms(11)), "an idle transmitter takes any packet");
    }

    #[test]
    fn too_big_is_too_big() {
        let mut d = direction(DirectionConfig::default());
        assert_eq!(send(&mut d, ms(3), 1500), Fate::Deliver(ms(3)));
        assert_eq!(send(&mut d, ms(3), 1501), Fate::Drop(DropReason::TooBigForLink));
    }

    #[test]
    fn what_a_blackhole_takes_has_used_the_transmitter() {
        let mut d = direction(slow());
        d.set_blackhole(true, BY);
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Drop(DropReason::Blackhole));
        assert_eq!((d.is_blackhole(), d.changed_by(), d.epoch()), (true, BY, 0));
        d.set_blackhole(false, RecordId(9));
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(12)));
        assert_eq!(d.changed_by(), RecordId(9));
    }

    #[test]
    fn going_down_ends_an_epoch_and_empties_the_queue() {
        let mut d = direction(slow());
        send(&mut d, ms(0), 1000);
        send(&mut d, ms(0), 1000);
        d.set_up(true, BY);
        assert_eq!((d.epoch(), d.changed_by()), (0, RecordId::GENESIS), "it was up");
        d.set_up(false, BY);
        assert_eq!((d.epoch(), d.is_up(), d.backlog(ms(0))), (1, false, 0));
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Drop(DropReason::LinkDown));
        d.set_up(true, BY);
        assert_eq!((d.epoch(), send(&mut d, ms(0), 1000)), (1, Fate::Deliver(ms(11))));
    }

    #[test]
    fn a_change_is_for_later_packets_and_nobody_overtakes() {
        let mut d = direction(slow());
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(11)));
        d.set_delay(Duration::from_millis(2), BY);
        assert_eq!(send(&mut d, ms(0), 1000), Fate::Deliver(ms(11)), "not before the one in front");
        d.set_rate(Some(80_000_000), BY);
        assert_eq!(send(&mut d, ms(20), 1000), Fate::Deliver(ms(22) + Duration::from_micros(100)));
        d.set_rate(None, BY);
        assert_eq!(send(&mut d, ms(30), 1000), Fate::Deliver(ms(32)));
        d.set_mtu(999, BY);
        assert_eq!(send(&mut d, ms(30), 1000), Fate::Drop(DropReason::TooBigForLink));
        assert_eq!(d.mtu(), 999);
    }

    /// Both the first fragment and a later one; whole packets pass.
    #[test]
    fn fragments_are_dropped_where_the_path_drops_them() {
        let whole = crate::wire::udp::packet(
            (core::net::Ipv4Addr::new(10, 0, 0, 1), 500),
            (core::net::Ipv4Addr::new(10, 0, 0, 2), 500),
            &[0; 2000],
            Meta::default(),
        );
        let parts = crate::net::fragment::fragment(&whole, 1500, || crate::id::PacketId(1)).unwrap();
        assert_eq!(parts.len(), 2);
        let mtu = 9000;
        let mut d = direction(DirectionConfig { mtu, drops_fragments: true, ..DirectionConfig::default() });
        let offered = |d: &mut Direction, packet: &Packet| d.offer(ms(0), &mut packet.clone());
        assert_eq!(offered(&mut d, &whole), Fate::Deliver(ms(0)));
        for part in &parts {
            assert_eq!(offered(&mut d, part), Fate::Drop(DropReason::FragmentDropped));
        }
        d.set_config(DirectionConfig { mtu, ..DirectionConfig::default() }, BY);
        assert_eq!(offered(&mut d, &parts[0]), Fate::Deliver(ms(0)));
    }

    /// 64 packets at once, each up to 10 ms late: by default they arrive in order, as a single queue would have it.
    #[test]
    fn jitter_reorders_only_where_it_may() {
        let arrivals = |jitter_reorders| {
            let jitter = Jitter::Uniform { max: Duration::from_millis(10) };
            let mut d = direction(DirectionConfig { jitter, jitter_reorders, ..DirectionConfig::default() });
            let at = |fate| match fate {
                Fate::Deliver(at) => at,
                Fate::DeliverTwice(..) | Fate::Drop(_) => panic!("{fate:?}"),
            };
            (0..64).map(|_| at(send(&mut d, ms(0), 100))).collect::<Vec<_>>()
        };
        assert!(arrivals(false).is_sorted());
        assert!(!arrivals(true).is_sorted());
        assert_eq!(arrivals(false).last(), arrivals(true).iter().max(), "the same draws");
    }

    #[test]
    fn the_same_name_and_seed_have_the_same_dice() {
        let lost = |seed, name| {
            let loss = Loss::Independent(Chance::from_probability(0.5));
            let mut d = Direction::new(DirectionConfig { loss, ..DirectionConfig::default() }, seed, name);
            (0..64).fold(0u64, |bits, _| bits << 1 | u64::from(send(&mut d, ms(0), 100) != Fate::Deliver(ms(0))))
        };
        assert_eq!(lost(1, "isp-a>"), lost(1, "isp-a>"));
        assert_ne!(lost(1, "isp-a>"), lost(1, "isp-a<"));
        assert_ne!(lost(1, "isp-a>"), lost(2, "isp-a>"));
    }
}
