//! What remains of a difference over many seeds: both questions are asked with the same seeds, so that all random draws that they
//! share are the same (common random numbers), and each measure is subtracted seed by seed.
//!
//! The interval is Student's t of the mean of these differences, two-sided, 95 %, with one degree of freedom less than there are
//! pairs. It is right if the mean of the differences is nearly normal: for a handful of seeds and a distribution with two humps
//! it is a rough guide. If all differences are equal it has no width.
//!
//! A stream that was not dark was dark for 0 s, and a reason for which nothing was dropped counts 0. What never settled or was never
//! noticed has no value: its pair is left out, and the number of pairs is said.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::words;
use crate::ends;
use crate::measure::StepKind;
use crate::report::model::Report;

/// The share of intervals that hold the truth.
pub const CONFIDENCE: f64 = 0.95;

/// What is measured of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The longest outage of a direction of a stream because of a fault, in seconds.
    Outage,
    /// Probes that a direction of a stream lost.
    Lost,
    /// Packets dropped for a reason, anywhere.
    Drops,
    /// From a fault to the last change of a route because of it, in seconds.
    Convergence,
    /// From a fault to the first session or route that changed on the way to recovery, in seconds.
    Detection,
}

impl Measure {
    /// The unit, with the space before it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Outage | Self::Convergence | Self::Detection => " s",
            Self::Lost => " probes",
            Self::Drops => " packets",
        }
    }

    /// What a run has that does not name it.
    const fn absent(self) -> Option<f64> {
        match self {
            Self::Outage | Self::Lost | Self::Drops => Some(0.0),
            Self::Convergence | Self::Detection => None,
        }
    }
}

/// A measure over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Paired {
    /// Which.
    pub measure: Measure,
    /// Of what.
    pub of: String,
    /// In how many pairs both sides have it.
    pub pairs: usize,
    /// Its mean on the first side.
    pub was: f64,
    /// Its mean on the second side.
    pub is: f64,
    /// The mean of second less first.
    pub by: f64,
    /// The interval of that mean, 95 %; null of a single pair.
    pub interval: Option<[f64; 2]>,
}

/// What is measured of one run.
pub fn measures(report: &Report) -> BTreeMap<(Measure, String), f64> {
    let mut all = BTreeMap::new();
    for dark in ends::darkness(report) {
        let fault = dark.fault.map_or_else(|| "behind no fault".into(), |fault| format!("of {fault}"));
        let of = format!("{} {}: outage {fault}", dark.probe, words(&dark.direction));
        all.insert((Measure::Outage, of), dark.longest_s.0.as_secs_f64());
    }
    for probe in &report.probes {
        // The loss is a share of those that were lost or arrived, so it leads back to their number.
        let lost = match probe.received {
            0 if probe.loss > 0.0 => probe.sent as f64,
            received => (received as f64 * probe.loss / (1.0 - probe.loss)).round(),
        };
        all.insert((Measure::Lost, format!("{} {}: lost", probe.name, words(&probe.direction))), lost);
    }
    for drop in &report.drops {
        *all.entry((Measure::Drops, format!("dropped for {}", drop.reason))).or_default() += drop.packets as f64;
    }
    for fault in &report.faults {
        let settled = report.convergence.iter().filter(|it| it.fault == fault.id).map(|it| it.settled_s).max();
        if let Some(settled) = settled {
            all.insert((Measure::Convergence, format!("{}: routes settled after", fault.id)), settled.0.as_secs_f64());
        }
        let is = |kind: StepKind| move |event: &str| event == kind.code();
        let (session, route) = (is(StepKind::SessionChanged), is(StepKind::RouteChanged));
        let noticed = fault.critical_path.iter().find(|step| session(&step.event) || route(&step.event));
        if let Some(noticed) = noticed {
            let after = noticed.at_s.0.saturating_sub(fault.at_s.0);
            all.insert((Measure::Detection, format!("{}: detected after", fault.id)), after.as_secs_f64());
        }
    }
    all
}

/// Subtracts pair by pair. Each pair is of one seed.
pub fn paired(runs: &[[Report; 2]]) -> Vec<Paired> {
    let measured: Vec<_> = runs.iter().map(|[was, is]| [measures(was), measures(is)]).collect();
    let keys: BTreeSet<&(Measure, String)> = measured.iter().flatten().flat_map(BTreeMap::keys).collect();
    let of_key = |key: &(Measure, String)| {
        let value = |side: &BTreeMap<_, f64>| side.get(key).copied().or(key.0.absent());
        let both: Vec<[f64; 2]> = measured.iter().filter_map(|[a, b]| Some([value(a)?, value(b)?])).collect();
        difference(key.0, &key.1, &both)
    };
    keys.into_iter().filter_map(of_key).collect()
}

fn difference(measure: Measure, of: &str, both: &[[f64; 2]]) -> Option<Paired> {
    let differences: Vec<f64> = both.iter().map(|[was, is]| is - was).collect();
    let by = mean(&differences)?;
    let (was, is) = (both.iter().map(|[was, _]| *was), both.iter().map(|[_, is]| *is));
    Some(Paired {
        measure,
        of: of.to_owned(),
        pairs: both.len(),
        was: mean(&was.collect::<Vec<_>>())?,
        is: mean(&is.collect::<Vec<_>>())?,
        by,
        interval: interval(&differences, by),
    })
}

/// The mean, without rounding if all values are equal.
fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    if values.iter().all(|value| *value == first) {
        return Some(first);
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Student's interval of a mean; `None` for fewer than two values.
fn interval(values: &[f64], mean: f64) -> Option<[f64; 2]> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    if values.iter().all(|value| *value == values[0]) {
        return Some([mean, mean]);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).ok()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
    let half = t * (variance / n as f64).sqrt();
    Some([mean - half, mean + half])
}

impl Paired {
    /// True if a difference was seen in any pair.
    pub fn differs(&self) -> bool {
        self.by != 0.0 || self.interval.is_some_and(|[low, high]| low != high)
    }

    /// True if the interval leaves no room for no difference.
    pub fn is_certain(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }

    /// As a row: what, mean before, mean after, mean difference, its interval, pairs.
    pub fn row(&self) -> Vec<String> {
        let unit = self.measure.unit();
        let digits = if matches!(self.measure, Measure::Lost | Measure::Drops) { 1 } else { 3 };
        let interval = match self.interval {
            Some([low, high]) => format!("{low:+.digits$} to {high:+.digits$}{unit}"),
            None => "-".into(),
        };
        vec![
            self.of.clone(),
            format!("{:.digits$}{unit}", self.was),
            format!("{:.digits$}{unit}", self.is),
            format!("{:+.digits$}{unit}", self.by),
            interval,
            self.pairs.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences 1 to 5: mean 3, standard deviation sqrt(2.5), and t(0.975, 4) = 2.776 by any table, so that the half width is
    /// 2.776 * sqrt(2.5 / 5) = 1.963.
    #[test]
    fn the_interval_is_student_s() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        let [low, high] = interval(&values, 3.0).unwrap();
        assert!((low - (3.0 - 1.963)).abs() < 5e-4 && (high - (3.0 + 1.963)).abs() < 5e-4, "{low} {high}");
        // t(0.975, 1) = 12.706, of the differences 0 and 2: mean 1, deviation sqrt(2), half width 12.706.
        let [low, high] = interval(&[0.0, 2.0], 1.0).unwrap();
        assert!((low + 11.706).abs() < 5e-3 && (high - 13.706).abs() < 5e-3, "{low} {high}");
    }

    #[test]
    fn equal_differences_have_an_interval_without_width() {
        let both = [[1.1, 1.4], [2.1, 2.4]].map(|[a, _]: [f64; 2]| [a, a - 0.5]);
        let paired = difference(Measure::Outage, "x", &both).unwrap();
        // 0.5 is a power of two: each difference is exact.
        assert_eq!((paired.by, paired.interval), (-0.5, Some([-0.5, -0.5])));
        assert!(paired.differs() && paired.is_certain());
        let nothing = difference(Measure::Outage, "x", &[[1.1, 1.1], [7.0, 7.0]]).unwrap();
        assert!(!nothing.differs() && !nothing.is_certain());
        let one = difference(Measure::Outage, "x", &[[1.0, 2.0]]).unwrap();
        assert_eq!((one.by, one.interval), (1.0, None), "one pair says nothing of chance");
        assert!(!one.is_certain());
    }
}
