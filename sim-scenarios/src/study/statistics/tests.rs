//! Against published tables and examples.

use proptest::prelude::*;

use super::*;

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
}

/// Ranks of the 95 % interval of the median, from the table of Campbell and Gardner, British Medical Journal 296 (1988) 1454;
/// five runs are too few.
#[test]
fn the_median_lies_between_the_tabulated_ranks() {
    for (n, low, high) in [(6, 1, 6), (10, 2, 9), (14, 3, 12), (20, 6, 15), (30, 10, 21), (50, 18, 33), (100, 40, 61)] {
        assert_eq!(ranks(n, 0.5, 0.95), (Some(low), Some(high)), "{n}");
    }
    assert_eq!(ranks(5, 0.5, 0.95), (None, None));
}

/// Ranks of other quantiles, by the definition and SciPy 1.17's binomial law (`scipy.stats.binom.cdf` and `.sf`).
#[test]
fn other_quantiles_lie_between_the_ranks_that_scipy_gives() {
    for (n, p, low, high) in [(200, 0.9, 171, 189), (368, 0.99, 360, 368), (1000, 0.99, 983, 997)] {
        assert_eq!(ranks(n, p, 0.95), (Some(low), Some(high)), "{n} {p}");
    }
    // 0.99^367 is 0.02501, 0.99^368 is 0.02476: one run decides whether the largest is an upper limit.
    assert_eq!(ranks(367, 0.99, 0.95).1, None);
    assert_eq!(runs_for_limit(0.99, 0.95), 368);
    assert_eq!(runs_for_limit(0.5, 0.95), 6);
}

/// NIST/SEMATECH e-Handbook, section 1.3.5.2: 195 values of ZARR13.DAT.
#[test]
fn a_mean_has_the_interval_of_nists_example() {
    let mean = Mean::student(195, 9.261_460, 0.022_788_81, 0.95);
    near(mean.interval.low.unwrap(), 9.258_242, 1e-6);
    near(mean.interval.high.unwrap(), 9.264_679, 1e-6);
    assert_eq!(Sample::from_iter([3.0]).mean(0.95).unwrap().interval, Interval::default(), "one value has no interval");
    assert_eq!(Sample::default().mean(0.95), None);
}

/// Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 5.
#[test]
fn shares_have_newcombes_intervals() {
    for (hits, of, low, high) in
        [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)]
    {
        let share = Share::new(hits, of, 0.95);
        near(share.interval.low.unwrap(), low, 6e-5);
        near(share.interval.high.unwrap(), high, 6e-5);
        // What happened and what did not are the same question.
        let other = Share::new(of - hits, of, 0.95);
        near(other.interval.low.unwrap(), 1.0 - share.interval.high.unwrap(), 1e-9);
    }
    assert_eq!(Share::new(0, 0, 0.95).value(), None);
}

/// Hours of sleep gained with two drugs (Student, Biometrika 6, 1908), whose paired interval is 0.70 to 2.46 (R's help of
/// `t.test` has this example); the variances are 3.2006 and 4.0090, that of the differences 1.5129.
#[test]
fn pairs_are_compared_as_student_did() {
    let first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    let second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
    let mut pairs: Vec<(Measured, Measured)> =
        first.iter().zip(second).map(|(a, b)| (Measured::from(*a), Measured::from(b))).collect();
    let found = paired(&pairs, 0.95).unwrap();
    near(found.difference.value, 1.58, 1e-12);
    near(found.difference.interval.low.unwrap(), 0.700_114_2, 1e-6);
    near(found.difference.interval.high.unwrap(), 2.459_885_8, 1e-6);
    near(found.variance_ratio.unwrap(), 7.209_556 / 1.512_889, 1e-5);
    assert!(found.difference.interval.excludes_zero());

    // A pair that was not seen to its end says nothing of the difference.
    pairs.push((Measured::from(1.0), Measured { value: 100.0, censored: true }));
    let again = paired(&pairs, 0.95).unwrap();
    assert_eq!(again, Paired { left_out: 1, ..found });
}

/// Differences that do not vary have no ratio, and no pair has no difference.
#[test]
fn a_difference_without_spread_has_no_ratio() {
    let pairs = [1.0, 2.0, 5.0].map(|x| (Measured::from(x), Measured::from(x + 3.0)));
    let found = paired(&pairs, 0.95).unwrap();
    assert_eq!((found.difference.value, found.variance_ratio), (3.0, None));
    assert_eq!(paired(&[], 0.95), None);
}

/// Ten runs, of which three were still dark at 60 s. Seven ranks are known, the rest is at least 60 s.
#[test]
fn what_was_not_seen_is_not_estimated() {
    let dark = Measured { value: 60.0, censored: true };
    let seen = (1..=7).map(|i| Measured::from(f64::from(i)));
    let sample: Sample = seen.chain([dark; 3]).collect();
    assert_eq!(sample.censored(), 3);
    let median = sample.quantile(0.5, 0.95).unwrap();
    assert_eq!((median.value, median.at_least), (5.0, false));
    // The ranks are 2 and 9, of which the second is one of those that were not seen.
    assert_eq!(median.interval, Interval { low: Some(2.0), high: None });
    let high = sample.quantile(0.9, 0.95).unwrap();
    assert_eq!((high.value, high.at_least), (60.0, true));
    assert_eq!(sample.mean(0.95).unwrap().interval.high, None);
    // A run that ended early hides what is above it: the fifth of these may be the one that was broken off at 2.
    let early: Sample =
        [1.0, 3.0, 4.0, 5.0].map(Measured::from).into_iter().chain([Measured { value: 2.0, censored: true }]).collect();
    assert!(early.quantile(0.5, 0.95).unwrap().at_least);
    assert!(!early.quantile(0.2, 0.95).unwrap().at_least);
    assert_eq!(early.share_up_to(3.0), 0.4);
}

proptest! {
    /// Whatever the values truly are above where they were cut off, nothing that is claimed of a quantile is wrong.
    #[test]
    fn no_claim_about_a_censored_sample_is_wrong(
        drawn in prop::collection::vec((0u32..100, prop::option::weighted(0.3, 0u32..100)), 1..40),
        p in 0.01f64..0.99,
    ) {
        let truth: Sample = drawn.iter().map(|(value, _)| f64::from(*value)).collect();
        let seen: Sample = drawn
            .iter()
            .map(|(value, cut)| match cut {
                Some(cut) if cut < value => Measured { value: f64::from(*cut), censored: true },
                _ => Measured::from(f64::from(*value)),
            })
            .collect();
        let (truth, seen) = (truth.quantile(p, 0.95).unwrap(), seen.quantile(p, 0.95).unwrap());
        prop_assert!(seen.value <= truth.value);
        prop_assert!(seen.at_least || seen.value == truth.value);
        prop_assert!(seen.interval.low <= truth.interval.low);
        if let Some(high) = seen.interval.high {
            prop_assert_eq!(Some(high), truth.interval.high);
        }
    }
}
