//! What a handful of runs says about all runs: quantiles, means and shares with intervals, and differences of pairs.
//!
//! Distributions are `statrs`'s; nothing here approximates by a normal law.
//!
//! * **Quantiles** have distribution-free intervals. Of n independent runs the number below the true quantile of p is
//!   binomial(n, p) whatever the law of the values, so that two order statistics enclose it with at least the stated
//!   confidence, half of the remaining chance on either side (Conover, Practical Nonparametric Statistics, 3rd edition,
//!   section 3.2). With too few runs there is no limit on one side, and that is said: the median needs six runs at 95 %, the
//!   quantile of 99 % needs [`runs_for_limit`] of them for an upper limit.
//! * **Means** have Student's t interval.
//! * **Shares** have the interval of Clopper and Pearson, which covers at least as often as it says (Biometrika 26, 1934).
//! * **Pairs** are runs of two variants with the same random numbers. Their differences have Student's t interval, and
//!   [`Paired::variance_ratio`] says what the pairing was worth.
//!
//! **Censored values.** What was still dark when its run ended was dark for at least so long. Its true value may lie anywhere
//! above, so an order statistic whose rank is below that of every censored value is exact, and from there on it is a lower
//! limit ([`Quantile::at_least`]); an upper limit from there on is none. No estimate is made of what was not seen. A mean or
//! a difference with a censored value in it would be of something else, so that means of such samples are lower limits, and
//! such pairs are left out and counted.

use statrs::distribution::{Beta, Binomial, ContinuousCDF as _, DiscreteCDF as _, StudentsT};
use statrs::statistics::Statistics as _;

/// How often an interval shall cover what it is about.
pub const CONFIDENCE: f64 = 0.95;

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The value, or that which it is at least.
    pub value: f64,
    /// True if the run ended before the value was complete.
    pub censored: bool,
}

impl From<f64> for Measured {
    /// A complete value.
    fn from(value: f64) -> Self {
        Self { value, censored: false }
    }
}

/// Where the true value lies; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Interval {
    /// The lower limit.
    pub low: Option<f64>,
    /// The upper limit.
    pub high: Option<f64>,
}

impl Interval {
    fn of(low: f64, high: f64) -> Self {
        Self { low: Some(low), high: Some(high) }
    }

    /// Whether zero lies outside, so that a difference has a sign.
    pub fn excludes_zero(&self) -> bool {
        self.low.is_some_and(|low| low > 0.0) || self.high.is_some_and(|high| high < 0.0)
    }
}

/// A quantile by nearest rank: the least value that so many runs do not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Its estimate.
    pub value: f64,
    /// True if the estimate is a lower limit, because of censored values.
    pub at_least: bool,
    /// Its interval.
    pub interval: Interval,
}

/// A mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// Number of values.
    pub n: usize,
    /// Its estimate.
    pub value: f64,
    /// Standard deviation of a value; `None` of a single one.
    pub deviation: Option<f64>,
    /// Its interval.
    pub interval: Interval,
}

impl Mean {
    /// Student's t interval about a mean of `n` values with this standard deviation (of one value, with n - 1).
    pub fn student(n: usize, value: f64, deviation: f64, confidence: f64) -> Self {
        let Some(law) = n.checked_sub(1).and_then(|free| StudentsT::new(0.0, 1.0, free as f64).ok()) else {
            return Self { n, value, deviation: None, interval: Interval::default() };
        };
        let half = law.inverse_cdf(0.5 + confidence / 2.0) * deviation / (n as f64).sqrt();
        Self { n, value, deviation: Some(deviation), interval: Interval::of(value - half, value + half) }
    }

    fn of(values: &[f64], confidence: f64) -> Option<Self> {
        match values {
            [] => None,
            [one] => Some(Self { n: 1, value: *one, deviation: None, interval: Interval::default() }),
            many => Some(Self::student(many.len(), many.mean(), many.std_dev(), confidence)),
        }
    }
}

/// A share of runs, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Runs in which it was so.
    pub hits: u64,
    /// All runs.
    pub of: u64,
    /// The interval of Clopper and Pearson.
    pub interval: Interval,
}

impl Share {
    /// So many of so many.
    pub fn new(hits: u64, of: u64, confidence: f64) -> Self {
        let (hits, tail) = (hits.min(of), (1.0 - confidence) / 2.0);
        let quantile = |a: u64, b: u64, p: f64| Beta::new(a as f64, b as f64).ok().map(|law| law.inverse_cdf(p));
        let low = if hits == 0 { Some(0.0) } else { quantile(hits, of - hits + 1, tail) };
        let high = if hits == of { Some(1.0) } else { quantile(hits + 1, of - hits, 1.0 - tail) };
        Self { hits, of, interval: Interval { low, high } }
    }

    /// The estimate; `None` if there are no runs.
    pub fn value(&self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }
}

/// Values of one variant, in order of size; of equal ones a censored one is the last, as it may be larger.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Sample(Vec<Measured>);

impl FromIterator<Measured> for Sample {
    /// Values that are no numbers are left out.
    fn from_iter<I: IntoIterator<Item = Measured>>(values: I) -> Self {
        let mut values: Vec<Measured> = values.into_iter().filter(|measured| !measured.value.is_nan()).collect();
        values.sort_by(|a, b| a.value.total_cmp(&b.value).then(a.censored.cmp(&b.censored)));
        Self(values)
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        values.into_iter().map(Measured::from).collect()
    }
}

impl Sample {
    /// The values in order of size.
    pub fn values(&self) -> &[Measured] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are censored.
    pub fn censored(&self) -> usize {
        self.0.iter().filter(|measured| measured.censored).count()
    }

    /// The value of this rank, from 1, and whether it is a lower limit of what that rank truly has.
    ///
    /// Every recorded value is at most the true one, so the k-th of them is at most the k-th true one. If none of the first k
    /// is censored, k true values are no larger than it, and it is the k-th true one itself.
    fn rank(&self, rank: usize) -> Option<Measured> {
        let value = self.0.get(rank.checked_sub(1)?)?.value;
        Some(Measured { value, censored: self.0[..rank].iter().any(|measured| measured.censored) })
    }

    /// The quantile of p, between 0 and 1; `None` of an empty sample.
    pub fn quantile(&self, p: f64, confidence: f64) -> Option<Quantile> {
        let n = self.len();
        let estimate = self.rank(((n as f64 * p).ceil() as usize).clamp(1, n.max(1)))?;
        let (low, high) = ranks(n, p, confidence);
        let low = low.and_then(|rank| self.rank(rank)).map(|measured| measured.value);
        let high = high.and_then(|rank| self.rank(rank)).filter(|measured| !measured.censored);
        let interval = Interval { low, high: high.map(|measured| measured.value) };
        Some(Quantile { value: estimate.value, at_least: estimate.censored, interval })
    }

    /// The mean; a lower limit without an upper one if a value is censored. `None` of an empty sample.
    pub fn mean(&self, confidence: f64) -> Option<Mean> {
        let values: Vec<f64> = self.0.iter().map(|measured| measured.value).collect();
        let mut mean = Mean::of(&values, confidence)?;
        if self.censored() > 0 {
            mean.interval.high = None;
        }
        Some(mean)
    }

    /// The share of values that are at most this, where that is known.
    pub fn share_up_to(&self, limit: f64) -> f64 {
        let within = self.0.iter().filter(|measured| !measured.censored && measured.value <= limit).count();
        within as f64 / self.len().max(1) as f64
    }
}

/// The ranks, from 1, of the order statistics that enclose the quantile of p of n values; `None` if there is none so low or
/// so high.
pub fn ranks(n: usize, p: f64, confidence: f64) -> (Option<usize>, Option<usize>) {
    let tail = (1.0 - confidence) / 2.0;
    let Ok(law) = Binomial::new(p.clamp(0.0, 1.0), n as u64) else { return (None, None) };
    // The largest rank l with P(fewer than l below the quantile) <= tail, the smallest u with P(u or more) <= tail.
    let low = law.inverse_cdf(tail) as usize;
    let high = law.inverse_cdf(1.0 - tail) as usize + 1;
    ((low > 0).then_some(low), (high <= n).then_some(high))
}

/// How many runs it takes until the quantile of p has an upper limit: the largest of n is one when p^n is no more than the tail.
pub fn runs_for_limit(p: f64, confidence: f64) -> u64 {
    (((1.0 - confidence) / 2.0).ln() / p.ln()).ceil() as u64
}

/// The difference of two variants over pairs of runs on common random numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// The mean difference, second less first, with Student's t interval over pairs.
    pub difference: Mean,
    /// Pairs that are left out because a value is censored.
    pub left_out: usize,
    /// How many times smaller the variance of the difference is than that of as many unpaired runs, (s1^2 + s2^2) / s_d^2:
    /// above 1 the pairing helped. `None` if no difference varies, or there are fewer than two pairs.
    pub variance_ratio: Option<f64>,
}

/// Compares pairs of values, each (first, second) from the same random numbers. `None` if no pair is complete.
pub fn paired(pairs: &[(Measured, Measured)], confidence: f64) -> Option<Paired> {
    let complete: Vec<(f64, f64)> = pairs
        .iter()
        .filter(|(first, second)| !first.censored && !second.censored)
        .map(|(first, second)| (first.value, second.value))
        .collect();
    let differences: Vec<f64> = complete.iter().map(|(first, second)| second - first).collect();
    let difference = Mean::of(&differences, confidence)?;
    let variance_ratio = (complete.len() > 1).then(|| {
        let unpaired = complete.iter().map(|pair| pair.0).variance() + complete.iter().map(|pair| pair.1).variance();
        let paired = differences.iter().variance();
        (paired > 0.0).then(|| unpaired / paired)
    });
    Some(Paired { difference, left_out: pairs.len() - complete.len(), variance_ratio: variance_ratio.flatten() })
}

#[cfg(test)]
mod tests;
