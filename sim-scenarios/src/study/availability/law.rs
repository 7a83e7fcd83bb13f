//! How often a component fails, and how long its repair takes.

use sim_core::rng::Rng;
use statrs::distribution::{ContinuousCDF as _, Exp, Gamma, LogNormal, StudentsT};

use super::YEAR;

/// The law of the time that a repair takes; its mean is the rate's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Repair {
    /// Always the mean.
    Fixed,
    /// Exponential.
    Exponential,
    /// Lognormal with this standard deviation of the logarithm: most repairs are short, and some very long.
    LogNormal {
        /// More than zero.
        sigma: f64,
    },
}

/// How often something fails and how long that lasts, in minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Mean time for which it works between two failures.
    pub mtbf: f64,
    /// Mean time to repair.
    pub mttr: f64,
    /// The law of the latter.
    pub repair: Repair,
    /// How many failures `mtbf` was estimated from, if it was and is not simply given.
    pub failures: Option<u64>,
    /// Where the numbers are from.
    pub source: String,
}

/// A number between 0 and 1, neither of them.
pub(super) fn share(rng: &mut Rng) -> f64 {
    ((rng.u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

impl Rate {
    /// Failures a year.
    pub fn per_year(&self) -> f64 {
        YEAR / (self.mtbf + self.mttr)
    }

    /// The share of time in which it is broken.
    pub fn unavailability(&self) -> f64 {
        self.mttr / (self.mtbf + self.mttr)
    }

    /// The mean of min(repair, limit), and how often a repair takes longer than that.
    pub(super) fn up_to(&self, limit: f64) -> (f64, f64) {
        if limit <= 0.0 {
            return (0.0, 1.0);
        }
        match self.repair {
            Repair::Fixed => (self.mttr.min(limit), if self.mttr > limit { 1.0 } else { 0.0 }),
            Repair::Exponential => {
                let longer = (-limit / self.mttr).exp();
                (self.mttr * (1.0 - longer), longer)
            }
            Repair::LogNormal { sigma } => {
                let below = |mu: f64| LogNormal::new(mu, sigma).map_or(0.0, |law| law.cdf(limit));
                let mu = self.mttr.ln() - sigma * sigma / 2.0;
                // E[R; R < x] of a lognormal law is its mean times the distribution of one shifted by sigma^2 at x.
                let longer = 1.0 - below(mu);
                (self.mttr * below(mu + sigma * sigma) + limit * longer, longer)
            }
        }
    }

    /// How long it works until it fails.
    pub(super) fn draw_working(&self, rng: &mut Rng) -> f64 {
        exponential(self.mtbf, rng)
    }

    /// How long a repair takes.
    pub(super) fn draw_repair(&self, rng: &mut Rng) -> f64 {
        match self.repair {
            Repair::Fixed => self.mttr,
            Repair::Exponential => exponential(self.mttr, rng),
            Repair::LogNormal { sigma } => LogNormal::new(self.mttr.ln() - sigma * sigma / 2.0, sigma)
                .map_or(self.mttr, |law| law.inverse_cdf(share(rng))),
        }
    }

    /// A factor for the failures a year, as likely as what it was estimated from makes it.
    pub(super) fn draw_factor(&self, rng: &mut Rng) -> f64 {
        let Some(failures) = self.failures.filter(|failures| *failures > 0) else { return 1.0 };
        Gamma::new(failures as f64, failures as f64).map_or(1.0, |law| law.inverse_cdf(share(rng)))
    }
}

fn exponential(mean: f64, rng: &mut Rng) -> f64 {
    Exp::new(1.0 / mean).map_or(f64::INFINITY, |law| law.inverse_cdf(share(rng)))
}

/// A mean of so many values as it may be: the estimate and its standard error times a draw of Student's t. Never negative.
pub(super) fn draw_mean(mean: f64, error: f64, n: usize, rng: &mut Rng) -> f64 {
    let share = share(rng);
    let law = n.checked_sub(1).filter(|free| *free > 0).and_then(|free| StudentsT::new(0.0, 1.0, free as f64).ok());
    match law {
        Some(law) if error > 0.0 => (mean + error * law.inverse_cdf(share)).max(0.0),
        _ => mean,
    }
}
