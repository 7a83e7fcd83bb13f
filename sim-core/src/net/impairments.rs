//! What a path does to packets at random, and the dice for it.
//!
//! Packet number `n` of a direction owns draw number `n` of each impairment's stream. A draw that nobody needs is
//! skipped, not made, so an impairment that is off costs nothing, and switching it on, or losing a packet for another
//! reason, re-rolls nobody's dice.

use core::f64::consts::TAU;

use crate::rng::{Chance, Purpose, Rng};
use crate::time::Duration;

/// Loss of packets on the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Loss {
    /// No loss.
    #[default]
    None,
    /// Each packet is lost with the same chance, whatever happened to the others.
    Independent(Chance),
    /// A two-state Markov chain (Gilbert 1960, Elliott 1963) that steps once per packet offered, then loses with its
    /// state's chance. It begins in the good state.
    ///
    /// The stationary share of bad is `p / (p + r)` with `p` = `good_to_bad`, `r` = `bad_to_good`; a stay in bad lasts
    /// `1 / r` packets on average, geometrically distributed.
    GilbertElliott {
        /// Chance per packet to go from good to bad.
        good_to_bad: Chance,
        /// Chance per packet to go from bad to good.
        bad_to_good: Chance,
        /// Chance to lose a packet in the good state (0 in Gilbert's model).
        loss_good: Chance,
        /// Chance to lose a packet in the bad state.
        loss_bad: Chance,
    },
}

/// Delay that varies from packet to packet, added to the constant delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Jitter {
    /// No variation.
    #[default]
    None,
    /// Evenly distributed from zero to `max`, both included.
    Uniform {
        /// The largest value.
        max: Duration,
    },
    /// Normal about the constant delay (Box and Muller 1958); the sum is never below zero.
    Normal {
        /// Standard deviation.
        sigma: Duration,
    },
    /// Pareto of the second kind (Lomax): mostly small, now and then large. P(X > x) = (1 + x / scale)^-shape.
    Pareto {
        /// Scale; the median is `scale * (2^(1/shape) - 1)`.
        scale: Duration,
        /// Shape in thousandths (3000 is a shape of 3); smaller means a heavier tail.
        shape_milli: u32,
        /// Values beyond are cut to this.
        max: Duration,
    },
}

/// Packets held back so that later ones overtake them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reorder {
    /// Chance to hold a packet back.
    pub chance: Chance,
    /// How much later it arrives. Packets offered within this time arrive before it: at one packet every `g`, the depth
    /// of the reordering (RFC 4737 section 4.2) is `hold / g`.
    pub hold: Duration,
}

/// Packets that arrive twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Duplicate {
    /// Chance to copy a packet.
    pub chance: Chance,
    /// How much later the copy arrives.
    pub gap: Duration,
}

/// The constant delay plus a random part, in nanoseconds.
pub(super) fn jittered(delay: Duration, jitter: Jitter, draw: impl FnOnce() -> u64) -> Duration {
    let nanos = |value: f64| Duration::from_nanos(value as u64);
    match jitter {
        Jitter::None => delay,
        Jitter::Uniform { max } => delay + scaled(draw(), max),
        Jitter::Normal { sigma } => {
            let (high, low) = halves(draw());
            let radius = libm::sqrt(-2.0 * libm::log(unit(high)));
            let z = radius * libm::cos(TAU * unit(low));
            // A float as wide as the mantissa keeps nanoseconds exact up to 104 days; the cast saturates at zero.
            nanos(delay.as_nanos() as f64 + z * sigma.as_nanos() as f64)
        }
        Jitter::Pareto { scale, shape_milli, max } => {
            let (high, _) = halves(draw());
            let tail = libm::pow(unit(high), -1000.0 / f64::from(shape_milli.max(1)));
            delay + nanos((tail - 1.0) * scale.as_nanos() as f64).min(max)
        }
    }
}

/// A 64-bit draw as a duration in `0..=max`.
fn scaled(draw: u64, max: Duration) -> Duration {
    let steps = u128::from(max.as_nanos()) + 1;
    Duration::from_nanos(((u128::from(draw) * steps) >> 64) as u64)
}

/// A 32-bit draw as a number in the open interval (0, 1).
fn unit(draw: u32) -> f64 {
    (f64::from(draw) + 0.5) / 4_294_967_296.0
}

/// The upper and the lower half of a draw: two independent 32-bit draws.
pub(super) fn halves(draw: u64) -> (u32, u32) {
    ((draw >> 32) as u32, draw as u32)
}

/// One impairment's stream, read by packet number.
#[derive(Clone, Debug)]
pub(super) struct Die {
    rng: Rng,
    next: u64,
}

impl Die {
    fn new(seed: u64, owner: &str, purpose: Purpose) -> Self {
        Self { rng: Rng::stream(seed, owner, purpose), next: 0 }
    }

    /// The draw that belongs to packet number `n`.
    pub(super) fn roll(&mut self, n: u64) -> u64 {
        if n != self.next {
            self.rng.seek_u64(n);
        }
        self.next = n + 1;
        self.rng.u64()
    }
}

/// The dice of one direction. A direction that harms nothing never draws, so they are made when they are first needed.
#[derive(Clone, Debug)]
pub(super) struct Dice {
    seed: u64,
    owner: Box<str>,
    made: Option<Box<Set>>,
}

/// A die for each impairment.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) loss: Die,
    pub(super) jitter: Die,
    pub(super) reorder: Die,
    pub(super) duplicate: Die,
    pub(super) corrupt: Die,
}

impl Dice {
    pub(super) fn new(seed: u64, owner: &str) -> Self {
        Self { seed, owner: owner.into(), made: None }
    }

    pub(super) fn set(&mut self) -> &mut Set {
        let Self { seed, owner, made } = self;
        made.get_or_insert_with(|| {
            let die = |purpose| Die::new(*seed, owner, purpose);
            Box::new(Set {
                loss: die(Purpose::Loss),
                jitter: die(Purpose::Jitter),
                reorder: die(Purpose::Reorder),
                duplicate: die(Purpose::Duplicate),
                corrupt: die(Purpose::Corrupt),
            })
        })
    }
}
