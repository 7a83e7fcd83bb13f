//! When a point has been run often enough.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// When the interval of a mean is narrow enough.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Stop {
    /// Of which metric, by its number.
    pub metric: usize,
    /// Half of the interval.
    pub half_width: f64,
    /// The interval's confidence, between 0 and 1.
    pub confidence: f64,
    /// The number of runs after which it is asked first.
    pub min_runs: u64,
    /// After how many more it is asked again.
    pub batch: u64,
}

impl Stop {
    /// How many of at most `runs` runs are wanted. `sample` has the values of the first so many, if all of these are there.
    pub fn wanted(&self, runs: u64, sample: impl Fn(u64) -> Option<Vec<f64>>) -> u64 {
        let mut wanted = self.min_runs.min(runs);
        while wanted < runs && sample(wanted).is_some_and(|sample| !self.is_narrow(&sample)) {
            wanted = (wanted + self.batch).min(runs);
        }
        wanted
    }

    /// Whether the mean is known well enough; never by fewer than two values.
    fn is_narrow(&self, sample: &[f64]) -> bool {
        let n = sample.len() as f64;
        let Ok(t) = StudentsT::new(0.0, 1.0, n - 1.0) else { return false };
        let mean = sample.iter().sum::<f64>() / n;
        let variance = sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
        t.inverse_cdf(0.5 + self.confidence / 2.0) * (variance / n).sqrt() <= self.half_width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(half_width: f64) -> Stop {
        Stop { metric: 0, half_width, confidence: 0.95, min_runs: 5, batch: 3 }
    }

    /// 1..=5: mean 3, deviation sqrt(2.5), t(0.975; 4) = 2.776 (any table): 2.776 * sqrt(2.5 / 5) = 1.963.
    #[test]
    fn an_interval_is_as_wide_as_tables_say() {
        let sample = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert!(stop(1.964).is_narrow(&sample));
        assert!(!stop(1.962).is_narrow(&sample));
        assert!(!stop(100.0).is_narrow(&[1.0]));
        assert!(!stop(100.0).is_narrow(&[]));
        assert!(stop(0.1).is_narrow(&[7.0, 7.0]));
    }

    #[test]
    fn it_is_asked_after_complete_batches_only() {
        let sample = |n: u64| Some((1..=n).map(|k| (k % 2) as f64).collect());
        assert_eq!(stop(1.0).wanted(20, sample), 5, "narrow at once");
        // Zeros and ones: about 2 * 0.5 / sqrt(n); below 0.3 between 11 and 14 runs.
        assert_eq!(stop(0.3).wanted(20, sample), 14);
        assert_eq!(stop(0.01).wanted(20, sample), 20, "never narrow");
        assert_eq!(stop(0.01).wanted(3, sample), 3, "no more than there are");
        assert_eq!(stop(0.01).wanted(20, |n| (n < 8).then(|| vec![0.0, 9.0])), 8, "the second batch is not there yet");
    }
}
