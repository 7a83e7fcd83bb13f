//! Random draws on common random numbers.
//!
//! A draw is one 64-bit number, found by the study's seed, the parameter's name and the number of the run among those of its point;
//! the value is that quantile of the distribution. So neither another parameter nor another value in the grid re-rolls it, every
//! point draws the same, and with another distribution it is the corresponding value of that one.
//!
//! Logarithms, exponentials and the error function come from `libm`, so that all machines draw the same.

use sim_core::rng::{Purpose, Rng};

use super::quantity::{Quantity, Setting, Unit};
use super::results::Value;

/// Standard deviations above the mean beyond which a normal distribution is not looked at: a chance of 10^-23.
const FAR: f64 = 10.0;
/// Halvings by which a quantile of the normal distribution is found: more than a double has bits.
const HALVINGS: u32 = 80;

/// What is drawn.
#[derive(Clone, PartialEq, Debug)]
pub enum Distribution {
    /// A quantity.
    Quantity(Quantities),
    /// One of several values, each with its weight; the sum of the weights is not zero.
    Choice {
        /// The values.
        of: Vec<Setting>,
        /// The same as a column has them.
        shown: Vec<Value>,
        /// What the column counts, if all are numbers of one unit.
        unit: Option<Unit>,
        /// How likely each is.
        weights: Vec<u64>,
    },
}

/// A distribution of quantities of one unit, from `min` to `max` in steps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantities {
    /// Of what.
    pub unit: Unit,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// How far values are apart, counted from `min`; not zero.
    pub step: u64,
    /// How likely they are.
    pub shape: Shape,
}

/// How likely the values of a range are.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Shape {
    /// All alike.
    Uniform,
    /// All ratios alike; `min` is not zero.
    LogUniform,
    /// As by a normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation, more than zero.
        deviation: f64,
    },
    /// As by an exponential distribution from `min` on.
    Exponential {
        /// Its mean above `min`, more than zero.
        mean: f64,
    },
}

/// The number behind the draw of a parameter in a run.
pub(crate) fn number(seed: u64, parameter: &str, replicate: u64) -> u64 {
    let mut rng = Rng::stream(seed, &format!("draw {parameter}"), Purpose::Study);
    rng.seek_u64(replicate);
    rng.u64()
}

/// The seed of the simulation of a run. A double holds it exactly, so that no reader of tables rounds it.
pub(crate) fn seed(seed: u64, replicate: u64) -> u64 {
    let mut rng = Rng::stream(seed, "seed", Purpose::Study);
    rng.seek_u64(replicate);
    rng.u64() >> 11
}

impl Distribution {
    /// What a number draws: the value as `--set` takes it and as a column has it.
    pub fn draw(&self, number: u64) -> (String, Value) {
        match self {
            Self::Quantity(quantities) => {
                let drawn = quantities.draw(number);
                (drawn.to_string(), Value::Number(drawn.shown()))
            }
            Self::Choice { of, shown, weights, .. } => {
                let which = choose(weights, number);
                (of[which].0.clone(), shown[which].clone())
            }
        }
    }

    /// What a column of it counts, if it is of numbers.
    pub fn unit(&self) -> Option<Unit> {
        match self {
            Self::Quantity(quantities) => Some(quantities.unit),
            Self::Choice { unit, .. } => *unit,
        }
    }
}

/// `number / 2^64 * n`, rounded down.
fn below(number: u64, n: u128) -> u64 {
    ((u128::from(number) * n) >> 64) as u64
}

fn choose(weights: &[u64], number: u64) -> usize {
    let mut left = below(number, weights.iter().map(|weight| u128::from(*weight)).sum());
    weights
        .iter()
        .position(|weight| match left.checked_sub(*weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
        .unwrap_or_default()
}

impl Quantities {
    fn draw(&self, number: u64) -> Quantity {
        let steps = (self.max - self.min) / self.step;
        let nth = match self.shape {
            Shape::Uniform => below(number, u128::from(steps) + 1),
            Shape::LogUniform | Shape::Normal { .. } | Shape::Exponential { .. } => {
                // Never 0 nor 1, of which there may be no quantile.
                let share = ((number >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
                let above = (self.quantile(share) - self.min as f64).max(0.0);
                (libm::round(above / self.step as f64) as u64).min(steps)
            }
        };
        Quantity { number: self.min + nth * self.step, unit: self.unit }
    }

    /// The value that this share of the distribution, cut off at both ends, does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let (min, max) = (self.min as f64, self.max as f64);
        match self.shape {
            Shape::Uniform => min + share * (max - min),
            Shape::LogUniform => {
                let (low, high) = (libm::log(min), libm::log(max));
                libm::exp(low + share * (high - low))
            }
            Shape::Exponential { mean } => {
                let kept = -libm::expm1(-(max - min) / mean);
                min - mean * libm::log1p(-share * kept)
            }
            Shape::Normal { mean, deviation } => {
                let max = max.min(mean.max(min) + FAR * deviation);
                // Far tails are small numbers on the right side only: there the distribution is looked at from the other end.
                let mirrored = min > mean;
                let cumulated = |x: f64| {
                    let z = (x - mean) / (deviation * core::f64::consts::SQRT_2);
                    if mirrored { -0.5 * libm::erfc(z) } else { 0.5 * libm::erfc(-z) }
                };
                let (low, high) = (cumulated(min), cumulated(max));
                let wanted = low + share * (high - low);
                let (mut below, mut above) = (min, max);
                for _ in 0..HALVINGS {
                    let middle = below + (above - below) / 2.0;
                    if cumulated(middle) < wanted { below = middle } else { above = middle }
                }
                above
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 4_000;

    fn seconds(min: u64, max: u64, step: u64, shape: Shape) -> Quantities {
        Quantities { unit: Unit::Plain, min, max, step, shape }
    }

    fn sample(of: Quantities) -> Vec<f64> {
        let of = Distribution::Quantity(of);
        (0..DRAWS)
            .map(|n| match of.draw(number(1, "x", n)).1 {
                Value::Number(number) => number,
                Value::Text(text) => panic!("{text}"),
            })
            .collect()
    }

    fn mean(sample: &[f64]) -> f64 {
        sample.iter().sum::<f64>() / sample.len() as f64
    }

    /// The mean of 4,000 draws lies within 4 standard errors of the distribution's, which is known in closed form.
    #[test]
    fn means_are_those_of_the_distributions() {
        let n = (DRAWS as f64).sqrt();
        let cases = [
            // Mean (a+b)/2, standard deviation (b-a)/sqrt 12.
            (seconds(1_000_000, 3_000_000, 1, Shape::Uniform), 2e6, 2e6 / 12f64.sqrt()),
            // Mean (b-a)/ln(b/a); second moment (b^2-a^2)/(2 ln(b/a)).
            (seconds(1_000_000, 100_000_000, 1, Shape::LogUniform), 99e6 / 100f64.ln(), {
                let (mean, second) = (99e6 / 100f64.ln(), (1e16 - 1e12) / (2.0 * 100f64.ln()));
                (second - mean * mean).sqrt()
            }),
            (seconds(0, 40_000_000, 1, Shape::Normal { mean: 2e7, deviation: 1e6 }), 2e7, 1e6),
            // The upper half of a normal distribution: mean + deviation * sqrt(2/pi).
            (
                seconds(20_000_000, u64::MAX >> 8, 1, Shape::Normal { mean: 2e7, deviation: 1e6 }),
                2e7 + 1e6 * (2.0 / core::f64::consts::PI).sqrt(),
                1e6 * (1.0 - 2.0 / core::f64::consts::PI).sqrt(),
            ),
            (seconds(5_000_000, u64::MAX >> 8, 1, Shape::Exponential { mean: 3e6 }), 8e6, 3e6),
        ];
        for (of, expected, deviation) in cases {
            let found = mean(&sample(of));
            assert!((found - expected).abs() < 4.0 * deviation / n, "{of:?}: {found}, not {expected}");
        }
    }

    #[test]
    fn a_far_tail_is_drawn_from_its_beginning() {
        // Beyond 8 deviations a normal distribution falls almost exponentially, with the mean 1/8 of a deviation: by
        // Mills' ratio the mean excess is between 1/8 - 2/8^3 and 1/8.
        let of = seconds(8_000_000, 20_000_000, 1, Shape::Normal { mean: 0.0, deviation: 1e6 });
        let excess = (mean(&sample(of)) - 8e6) / 1e6;
        assert!((0.115..0.130).contains(&excess), "{excess}");
    }

    #[test]
    fn values_keep_to_their_ends_and_steps() {
        for shape in [
            Shape::Uniform,
            Shape::LogUniform,
            Shape::Normal { mean: 12.0, deviation: 9.0 },
            Shape::Exponential { mean: 6.0 },
        ] {
            let mut seen: Vec<u64> = sample(seconds(10, 30, 5, shape)).into_iter().map(|x| x as u64).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, [10, 15, 20, 25, 30], "{shape:?}");
        }
    }

    #[test]
    fn choices_come_as_often_as_they_weigh() {
        let counts = (0..DRAWS).fold([0u64; 3], |mut counts, n| {
            counts[choose(&[1, 0, 3], number(1, "x", n))] += 1;
            counts
        });
        assert_eq!(counts[1], 0);
        // 1,000 expected, standard deviation sqrt(4000 * 1/4 * 3/4) = 27.
        assert!((890..1_110).contains(&counts[0]), "{counts:?}");
        assert_eq!(choose(&[1, 1], 0), 0);
        assert_eq!(choose(&[1, 1], u64::MAX), 1);
    }

    #[test]
    fn a_draw_is_found_by_seed_name_and_run_alone() {
        let numbers: Vec<u64> = (0..5).map(|n| number(7, "loss", n)).collect();
        assert_eq!((0..5).rev().map(|n| number(7, "loss", n)).rev().collect::<Vec<_>>(), numbers);
        assert_ne!(number(8, "loss", 0), numbers[0]);
        assert_ne!(number(7, "hold", 0), numbers[0]);
        assert!((0..100).all(|n| seed(7, n) < 1 << 53));
    }

    #[test]
    fn a_wider_distribution_draws_the_corresponding_value() {
        let (narrow, wide) = (seconds(0, 1_000, 1, Shape::Uniform), seconds(0, 2_001, 1, Shape::Uniform));
        for (a, b) in sample(narrow).into_iter().zip(sample(wide)) {
            assert!((b - 2.0 * a).abs() <= 1.0, "{a} {b}");
        }
    }
}
