//! The expectation of a year, and years as they may come.

use sim_core::id::NodeId;
use sim_core::rng::{Purpose, Rng};
use statrs::statistics::Statistics as _;

use super::intervals::{Stretch, common, united, within};
use super::law::{draw_mean, share};
use super::measure::{Dark, Effect, Measured};
use super::{Availability, Design, MONTHS, PROMISE, YEAR};
use crate::plan::Plan;
use crate::study::statistics::{CONFIDENCE, Interval, Sample, Share};

/// Draws of the bootstrap.
pub const DRAWS: usize = 4_000;

/// What a design comes to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The design.
    pub design: String,
    /// Expected minutes dark in a year.
    pub expected: f64,
    /// What is not known about that.
    pub interval: Interval,
    /// Where they come from, the most first.
    pub contributions: Vec<Contribution>,
    /// Minutes dark in years as they may come.
    pub years: Sample,
    /// Months in which less than [`PROMISE`] was had.
    pub months_below: Share,
    /// Expected minutes of a year in which both of AWS's endpoints of a connection are out of order; the worst connection's.
    pub aws: f64,
    /// Months in which AWS's promise was broken by its own definition.
    pub months_aws_owes: Share,
    /// Connections of which one endpoint only is drawn.
    pub half_drawn: Vec<String>,
    /// What is paid for, and how many of it.
    pub items: Vec<(String, f64)>,
    /// Components without a rate, which never fail here: kind and name.
    pub without_rate: Vec<(String, String)>,
    /// Components that take an end of the probe itself: kind and name.
    pub own_ends: Vec<(String, String)>,
    /// True if a probe was not back when a run ended: all of it is then a lower limit.
    pub at_least: bool,
    /// True if the probe is dark without any failure, too.
    pub restless: bool,
}

/// A component's, or a pair's, part of a year.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// Its kind.
    pub kind: String,
    /// Its name; a pair's names with a plus between them.
    pub name: String,
    /// Failures a year.
    pub failures: f64,
    /// Whether the probe waits for the repair.
    pub until_repair: bool,
    /// Minutes dark of a failure, in the mean.
    pub each: f64,
    /// Minutes dark in a year.
    pub minutes: f64,
}

/// One year.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Year {
    /// Minutes dark in each month.
    pub dark: [f64; MONTHS],
    /// Minutes of each month in which both endpoints of a connection are out of order; the worst connection's.
    pub aws: [f64; MONTHS],
}

/// The expected minutes of one failure, over the runs that measured it and the law of its repair.
fn each(effect: &Effect) -> Vec<f64> {
    let one = |dark: &Dark| {
        if dark.until_repair {
            return effect.rate.mttr + dark.after_repair;
        }
        let (mean, longer) = effect.rate.up_to(dark.at_failure);
        mean + longer * dark.after_repair
    };
    effect.dark.iter().map(one).collect()
}

/// What the measurements of a design come to.
pub fn answer(question: &Availability, design: &Design, measured: &Measured) -> Answer {
    let plan = design.scenario.plan();
    let contributions = contributions(measured);
    let mut rng = Rng::stream(question.seed, &format!("availability {}", design.name), Purpose::Study);
    let expected = contributions.iter().map(|part| part.minutes).sum();
    let interval = bootstrap(measured, &mut rng);
    let endpoints = endpoints(plan);
    let years: Vec<Year> = (0..question.years).map(|_| year(measured, &endpoints, &mut rng)).collect();
    let limit = YEAR / MONTHS as f64 * (1.0 - PROMISE / 100.0);
    let months = |of: fn(&Year) -> [f64; MONTHS]| {
        let below = years.iter().flat_map(of).filter(|minutes| *minutes > limit).count();
        Share::new(below as u64, years.len() as u64 * MONTHS as u64, CONFIDENCE)
    };
    let half = plan.connections.iter().filter(|connection| connection.tunnels.len() < 2);
    let mut contributions = contributions;
    contributions.sort_by(|a, b| b.minutes.total_cmp(&a.minutes));
    Answer {
        design: design.name.clone(),
        expected,
        interval,
        contributions,
        years: years.iter().map(|year| year.dark.iter().sum::<f64>()).collect(),
        months_below: months(|year| year.dark),
        aws: expected_of_endpoints(measured, &endpoints),
        months_aws_owes: months(|year| year.aws),
        half_drawn: half.map(|connection| connection.name.clone()).collect(),
        items: design.items.clone(),
        without_rate: measured.without_rate.clone(),
        own_ends: measured.own_ends.clone(),
        at_least: measured.effects.iter().flat_map(|effect| &effect.dark).any(|dark| dark.at_least),
        restless: measured.restless,
    }
}

fn contributions(measured: &Measured) -> Vec<Contribution> {
    let single = measured.effects.iter().filter(|effect| !effect.dark.is_empty()).map(|effect| {
        let each = each(effect).mean();
        Contribution {
            kind: effect.component.kind.replace('_', " "),
            name: effect.component.name.clone(),
            failures: effect.rate.per_year(),
            until_repair: effect.waits(),
            each,
            minutes: effect.rate.per_year() * each,
        }
    });
    let pairs = measured.pairs.iter().map(|pair| {
        let (one, other) = (&measured.effects[pair.of.0], &measured.effects[pair.of.1]);
        let (failures, minutes) = overlap(one, other, pair.back);
        Contribution {
            kind: "both".into(),
            name: format!("{} + {}", one.component.name, other.component.name),
            failures,
            until_repair: true,
            each: minutes / failures,
            minutes,
        }
    });
    single.chain(pairs).collect()
}

/// How often two are broken at once in a year, and for how many minutes, with what follows each time.
fn overlap(one: &Effect, other: &Effect, back: f64) -> (f64, f64) {
    let (a, b) = (&one.rate, &other.rate);
    let times = a.per_year() * b.unavailability() + b.per_year() * a.unavailability();
    (times, YEAR * a.unavailability() * b.unavailability() + times * back)
}

/// The interval of the expectation.
fn bootstrap(measured: &Measured, rng: &mut Rng) -> Interval {
    let means: Vec<(f64, f64, usize)> = measured
        .effects
        .iter()
        .map(|effect| {
            let each = each(effect);
            let n = each.len();
            if n == 0 {
                return (0.0, 0.0, 0);
            }
            let error = if n > 1 { each.iter().std_dev() / (n as f64).sqrt() } else { 0.0 };
            (each.mean(), error, n)
        })
        .collect();
    let mut draw = || -> f64 {
        let factors: Vec<f64> = measured.effects.iter().map(|effect| effect.rate.draw_factor(rng)).collect();
        let mut minutes = 0.0;
        for ((effect, (mean, error, n)), factor) in measured.effects.iter().zip(&means).zip(&factors) {
            minutes += effect.rate.per_year() * factor * draw_mean(*mean, *error, *n, rng);
        }
        for pair in &measured.pairs {
            let (one, other) = pair.of;
            let (_, overlap) = overlap(&measured.effects[one], &measured.effects[other], pair.back);
            minutes += overlap * factors[one] * factors[other];
        }
        minutes
    };
    let drawn: Sample = (0..DRAWS).map(|_| draw()).collect();
    let percentile = |p: f64| drawn.quantile(p, CONFIDENCE).map(|quantile| quantile.value);
    Interval { low: percentile((1.0 - CONFIDENCE) / 2.0), high: percentile((1.0 + CONFIDENCE) / 2.0) }
}

/// The endpoints of each connection of which both are drawn.
fn endpoints(plan: &Plan) -> Vec<[NodeId; 2]> {
    let both = plan.connections.iter().filter_map(|connection| match connection.tunnels.as_slice() {
        [one, other] => {
            let node = |tunnel: &str| plan.node(&format!("{}.{tunnel}", connection.name));
            Some([node(&one.name)?, node(&other.name)?])
        }
        _ => None,
    });
    both.collect()
}

/// Minutes a year in which both endpoints of a connection are out of order, of the worst: each fails alone or with what holds it.
fn expected_of_endpoints(measured: &Measured, connections: &[[NodeId; 2]]) -> f64 {
    let works = |hit: &dyn Fn(&Effect) -> bool| -> f64 {
        measured.effects.iter().filter(|effect| hit(effect)).map(|effect| 1.0 - effect.rate.unavailability()).product()
    };
    let minutes = connections.iter().map(|[one, other]| {
        let holds = |effect: &Effect, node: &NodeId| effect.component.nodes.contains(node);
        // P(both down) = 1 - P(one up) - P(other up) + P(both up), by what each hangs on.
        let one_up = works(&|effect| holds(effect, one));
        let other_up = works(&|effect| holds(effect, other));
        let both_up = works(&|effect| holds(effect, one) || holds(effect, other));
        YEAR * (1.0 - one_up - other_up + both_up)
    });
    minutes.fold(0.0, f64::max)
}

/// Draws a year. It begins with everything in order, which overlooks what is broken from the year before.
fn year(measured: &Measured, endpoints: &[[NodeId; 2]], rng: &mut Rng) -> Year {
    let broken: Vec<Vec<Stretch>> = measured
        .effects
        .iter()
        .map(|effect| {
            let mut all = Vec::new();
            let mut at = effect.rate.draw_working(rng);
            while at < YEAR {
                let repaired = at + effect.rate.draw_repair(rng);
                all.push((at, repaired));
                at = repaired + effect.rate.draw_working(rng);
            }
            all
        })
        .collect();
    let mut dark = Vec::new();
    for (effect, failures) in measured.effects.iter().zip(&broken) {
        for (from, to) in failures.iter().filter(|_| !effect.dark.is_empty()) {
            let which = ((share(rng) * effect.dark.len() as f64) as usize).min(effect.dark.len() - 1);
            dark.extend(stretches(&effect.dark[which], (*from, *to)));
        }
    }
    for pair in &measured.pairs {
        let both = common(&broken[pair.of.0], &broken[pair.of.1]);
        dark.extend(both.into_iter().map(|(from, to)| (from, to + pair.back)));
    }
    let dark = united(dark);
    let down = |node: NodeId| {
        let all = measured.effects.iter().zip(&broken).filter(|(effect, _)| effect.component.nodes.contains(&node));
        united(all.flat_map(|(_, failures)| failures.iter().copied()).collect())
    };
    let out: Vec<Vec<Stretch>> = endpoints.iter().map(|[one, other]| common(&down(*one), &down(*other))).collect();
    let mut year = Year::default();
    for month in 0..MONTHS {
        let length = YEAR / MONTHS as f64;
        let window = (length * month as f64, length * (month + 1) as f64);
        year.dark[month] = within(&dark, window);
        year.aws[month] = out.iter().map(|out| within(out, window)).fold(0.0, f64::max);
    }
    year
}

/// When the probe is dark because of one failure, in order.
fn stretches(dark: &Dark, (from, to): Stretch) -> Vec<Stretch> {
    if dark.until_repair {
        return vec![(from, to + dark.after_repair)];
    }
    let noticed = from + dark.at_failure;
    if to <= noticed { vec![(from, to)] } else { vec![(from, noticed), (to, to + dark.after_repair)] }
}

#[cfg(test)]
mod tests;
