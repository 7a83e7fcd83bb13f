//! How long a silent tunnel stays unnoticed: 2,000 seeds against the law that RFC 4271 section 10 implies.
//!
//! **The law.** A speaker sends its next KEEPALIVE a time X after its last, drawn anew each time, uniform in 0.75 to 1
//! times 10 s: a renewal process with F(x) = (x - 7.5) / 2.5 on 7.5..10 and mean 8.75 s. Seen from a moment that has
//! nothing to do with it, and long after its start, the time A since its last renewal (the backward recurrence time)
//! has the density (1 - F(a)) / 8.75 on 0..10 (Cox, Renewal Theory, 1962, section 5.1). That gives
//!
//! ```text
//!   P(A <= a) = a / 8.75                            for 0   <= a <= 7.5
//!             = (8.75 - (10 - a)^2 / 5) / 8.75      for 7.5 <= a <= 10
//! ```
//!
//! What a blackhole lets through is what entered the path before it, so renewals are counted where they enter the path:
//! a constant delay later than they were sent, which leaves the law of A as it is. The last KEEPALIVE before the fault
//! arrives d after it entered, d being the delay from there to the receiver, and arms the HoldTimer for 30 s: the timer
//! expires 30 s + d - A after the fault. The two ends draw from streams of their own, so a round trip, which needs
//! both, recovers at the later of two independent such times. No UPDATE is sent between the first seconds and the
//! fault, so nothing but KEEPALIVEs arms the timer.
//!
//! 200 seeds by default, 2,000 with `VPNSIM_FULL=1`; then the picture and the text under `reports/studies` must be what
//! this study gives today, and `UPDATE=1` writes them.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use plotters::prelude::*;
use sim_core::reason::Reason;
use sim_core::time::Instant;
use sim_core::trace::{Fate, Phase, What};
use sim_scenarios::{NoSecrets, Scenario, Simulation};
use statrs::distribution::ContinuousCDF;
use statrs::statistics::{Max, Min};
use statrs::stats_tests::NaNPolicy;
use statrs::stats_tests::ks_test::{KSOneSampleAlternativeMethod, ks_onesample};

const TEXT: &str = include_str!("studies/hold_distribution.ron");

/// KEEPALIVE interval before jitter, in seconds.
const KEEPALIVE: f64 = 10.0;
/// The shortest interval: section 10 allows 0.75 of it.
const SHORTEST: f64 = 7.5;
/// Its mean.
const MEAN: f64 = (SHORTEST + KEEPALIVE) / 2.0;
/// HoldTimer, in seconds.
const HOLD: f64 = 30.0;
/// From the entry of path-a to AWS's endpoint, in seconds.
const TO_AWS: f64 = 0.010;
/// From the entry of path-a to the customer gateway: the path and the uplink.
const TO_CUSTOMER: f64 = 0.012;

/// P(A <= a) for the time A since the last renewal.
fn age_cdf(a: f64) -> f64 {
    let a = a.clamp(0.0, KEEPALIVE);
    if a <= SHORTEST {
        return a / MEAN;
    }
    let beyond = (KEEPALIVE - a).powi(2) / (2.0 * (KEEPALIVE - SHORTEST));
    (MEAN - beyond) / MEAN
}

/// The law of one end's HoldTimer: 30 s + delay - A after the fault.
#[derive(Clone, Copy)]
struct Expiry {
    delay: f64,
}

impl ContinuousCDF<f64, f64> for Expiry {
    fn cdf(&self, t: f64) -> f64 {
        1.0 - age_cdf(HOLD + self.delay - t)
    }
}

impl Min<f64> for Expiry {
    fn min(&self) -> f64 {
        HOLD + self.delay - KEEPALIVE
    }
}

impl Max<f64> for Expiry {
    fn max(&self) -> f64 {
        HOLD + self.delay
    }
}

/// The law of the round trip: the later of both ends.
struct Later([Expiry; 2]);

impl ContinuousCDF<f64, f64> for Later {
    fn cdf(&self, t: f64) -> f64 {
        self.0.iter().map(|end| end.cdf(t)).product()
    }
}

impl Min<f64> for Later {
    fn min(&self) -> f64 {
        self.0[0].min().max(self.0[1].min())
    }
}

impl Max<f64> for Later {
    fn max(&self) -> f64 {
        self.0[0].max().max(self.0[1].max())
    }
}

/// A law that forgets the jitter: KEEPALIVEs exactly 10 s apart.
struct WithoutJitter;

impl ContinuousCDF<f64, f64> for WithoutJitter {
    fn cdf(&self, t: f64) -> f64 {
        ((t - (HOLD - KEEPALIVE)) / KEEPALIVE).clamp(0.0, 1.0)
    }
}

impl Min<f64> for WithoutJitter {
    fn min(&self) -> f64 {
        HOLD - KEEPALIVE
    }
}

impl Max<f64> for WithoutJitter {
    fn max(&self) -> f64 {
        HOLD
    }
}

const AWS: Expiry = Expiry { delay: TO_AWS };
const CUSTOMER: Expiry = Expiry { delay: TO_CUSTOMER };
const ROUND_TRIP: Later = Later([AWS, CUSTOMER]);

/// What was measured, in seconds after the fault, one entry per seed.
#[derive(Default)]
struct Sample {
    aws: Vec<f64>,
    customer: Vec<f64>,
    round_trip: Vec<f64>,
}

fn measure(seeds: u64) -> Sample {
    let scenario = Scenario::parse("hold_distribution.ron", TEXT, &NoSecrets).unwrap_or_else(|e| panic!("{e}"));
    let mut sample = Sample::default();
    for seed in 1..=seeds {
        let scenario = scenario.with(&[format!("seed={seed}")], &NoSecrets).unwrap_or_else(|e| panic!("{e}"));
        let mut run = Simulation::new(&scenario);
        run.run_until(run.end());
        let trace = &run.world().trace;
        let is_strike = |what: &What| matches!(what, What::Fault { phase: Phase::Strike, .. });
        let (_, strike) = trace.records().find(|(_, record)| is_strike(&record.what)).expect("the fault strikes");
        let after = |at: Instant| at.since(strike.at).as_secs_f64();
        let [aws, customer] = run.built().sessions[0][0].bgp.expect("the tunnel has BGP").map(|end| {
            let mut records = trace.session_records(end);
            let expiry = records.find(|(_, r)| {
                matches!(r.what, What::State { reason: Reason::HoldTimerExpired, .. }) && r.at > strike.at
            });
            after(expiry.unwrap_or_else(|| panic!("seed {seed}: no HoldTimer expired")).1.at)
        });
        let mut answered = trace.probes()[0].iter().filter(|probe| matches!(probe.reverse, Fate::Arrived(..)));
        let sent = answered.next().unwrap_or_else(|| panic!("seed {seed}: nothing was answered")).sent;
        sample.aws.push(aws);
        sample.customer.push(customer);
        sample.round_trip.push(after(sent));
    }
    sample
}

/// The largest distance between sample and law, and the probability of one that large or larger (Kolmogorov's limit).
fn kolmogorov_smirnov(sample: &[f64], law: &impl ContinuousCDF<f64, f64>) -> (f64, f64) {
    let method = KSOneSampleAlternativeMethod::TwoSidedAsymptotic;
    ks_onesample(sample.to_vec(), law, method, NaNPolicy::Error).expect("a sample of numbers")
}

#[test]
fn hold_timers_follow_the_renewal_law() {
    let full = env::var_os("VPNSIM_FULL").is_some();
    let sample = measure(if full { 2_000 } else { 200 });
    let fits = [
        ("AWS's HoldTimer", kolmogorov_smirnov(&sample.aws, &AWS)),
        ("the customer gateway's HoldTimer", kolmogorov_smirnov(&sample.customer, &CUSTOMER)),
        ("the round trip", kolmogorov_smirnov(&sample.round_trip, &ROUND_TRIP)),
    ];
    for (what, (distance, p)) in fits {
        assert!(p > 0.001, "{what} is not the law's: distance {distance:.4}, p = {p:.2e}");
    }
    // The test can tell: a law without jitter is refused by the same samples.
    let ends: Vec<f64> = sample.aws.iter().chain(&sample.customer).copied().collect();
    let (distance, p) = kolmogorov_smirnov(&ends, &WithoutJitter);
    assert!(p < 0.001, "a law without jitter fits too: distance {distance:.4}, p = {p:.2e}");
    if full {
        keep("hold_distribution.svg", &picture(&sample));
        keep("hold_distribution.md", &explanation(&sample, fits.map(|(_, fit)| fit)));
    }
}

/// Between the probe before and the next, a recovery is seen late by up to 20 ms, and early by what a probe needs to
/// get to the place that recovers: nothing against 10 s.
#[test]
fn a_round_trip_recovers_with_the_later_end() {
    let sample = measure(20);
    for ((aws, customer), round_trip) in sample.aws.iter().zip(&sample.customer).zip(&sample.round_trip) {
        let late = round_trip - aws.max(*customer);
        assert!((-0.020..=0.025).contains(&late), "{round_trip} s after {aws} s and {customer} s");
    }
}

/// Distribution of the age at `moment` for a process that began at 0, from the renewal equation
/// m(t) = f(t) + (F * m)(t), on a grid of 10 ms.
struct Renewal {
    /// Expected renewals up to each point of the grid.
    expected: Vec<f64>,
}

impl Renewal {
    const STEP: f64 = 0.01;

    fn until(end: f64) -> Self {
        let points = (end / Self::STEP) as usize + 1;
        let (shortest, longest) = ((SHORTEST / Self::STEP) as usize, (KEEPALIVE / Self::STEP) as usize);
        let density = 1.0 / (KEEPALIVE - SHORTEST);
        let mut expected = vec![0.0; points];
        for t in 1..points {
            let at = |lag: usize| if t >= lag { expected[t - lag] } else { 0.0 };
            let first = if (shortest..longest).contains(&t) { density } else { 0.0 };
            expected[t] = expected[t - 1] + Self::STEP * (first + density * (at(shortest) - at(longest)));
        }
        Self { expected }
    }

    /// P(A <= a) at a moment: a renewal happened at s in the last a seconds, and none since.
    fn age_cdf(&self, a: f64, moment: f64) -> f64 {
        let now = (moment / Self::STEP) as usize;
        let back = (a / Self::STEP) as usize;
        let survives = |age: f64| (1.0 - (age - SHORTEST) / (KEEPALIVE - SHORTEST)).clamp(0.0, 1.0);
        let term = |lag: usize| {
            let renewals = self.expected[now - lag] - self.expected[now - lag - 1];
            renewals * survives((lag as f64 + 0.5) * Self::STEP)
        };
        (0..back).map(term).sum()
    }

    /// The largest distance from the stationary law for a fault drawn over ten seconds from `from`.
    fn distance(&self, from: f64) -> f64 {
        let moments: Vec<f64> = (0..20).map(|i| from + (f64::from(i) + 0.5) / 2.0).collect();
        let distance = |a: f64| {
            let drawn = moments.iter().map(|moment| self.age_cdf(a, *moment)).sum::<f64>() / moments.len() as f64;
            (drawn - age_cdf(a)).abs()
        };
        (1..100).map(|i| distance(f64::from(i) / 10.0)).fold(0.0, f64::max)
    }
}

/// What is left of the common start after 300 s is a hundredth of what 2,000 seeds could see: the 0.001 quantile of
/// Kolmogorov's limit is 1.95 / sqrt(2000) = 0.044. In the first minute it is not so.
#[test]
fn three_hundred_seconds_are_long_enough() {
    let renewal = Renewal::until(311.0);
    let late = renewal.distance(300.0);
    assert!(late < 0.002, "{late}");
    let early = renewal.distance(20.0);
    assert!(early > 10.0 * late, "{early} at 20 s, {late} at 300 s");
}

/// The quantiles of Kolmogorov's distribution that every table has (Smirnov, Ann. Math. Statist. 19, 1948): 1.358 at
/// 5 %, 1.628 at 1 %, 1.949 at 0.1 %.
#[test]
fn p_values_are_the_tabulated_ones() {
    // n equidistant points shifted by a: their distance from the uniform law of 20..30 s is exactly a + 1 / (2 n).
    let n = 10_000;
    for (quantile, p) in [(1.358, 0.05), (1.628, 0.01), (1.949, 0.001)] {
        let half = 0.5 / f64::from(n);
        let shift = quantile / f64::from(n).sqrt() - half;
        let shifted =
            (0..n).map(|i| 20.0 + 10.0 * ((f64::from(i) + 0.5) / f64::from(n) + shift).min(1.0)).collect::<Vec<_>>();
        let (distance, found) = kolmogorov_smirnov(&shifted, &WithoutJitter);
        assert!((distance - quantile / f64::from(n).sqrt()).abs() < 1e-9, "{distance}");
        assert!((found / p - 1.0).abs() < 0.02, "p = {found} at {quantile}, tabulated {p}");
    }
}

/// Compares with the kept file, or writes it if asked to.
fn keep(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/studies");
    if env::var_os("UPDATE").is_some() && env::var_os("CI").is_none() {
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(name), text).expect("it can be written");
    }
    let kept = fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert!(kept == text, "reports/studies/{name} is not what the study gives today: VPNSIM_FULL=1 UPDATE=1 writes it");
}

fn quantile(sample: &[f64], q: f64) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len()) - 1]
}

fn explanation(sample: &Sample, fits: [(f64, f64); 3]) -> String {
    let mut text = String::from(
        "# When a silent tunnel is noticed\n\n![Measured times against the law](hold_distribution.svg)\n\n",
    );
    let n = sample.aws.len();
    let _ = write!(
        text,
        "The active of two BGP tunnels goes silent in both directions, at a moment drawn evenly over ten seconds, five minutes \
         after the start; {n} seeds. An end notices when its HoldTimer expires: 30 s after the last KEEPALIVE reached it, which is \
         not 30 s after the fault, because that KEEPALIVE is as old as chance has it. KEEPALIVEs are 7.5 to 10 s apart (RFC 4271 \
         section 10: 10 s, jittered by 0.75 to 1, drawn anew each time), so at a random moment the age A of the last one has the \
         density (1 - F(a)) / 8.75 s, where F is the distribution of the intervals: flat up to 7.5 s, then falling to nothing at \
         10 s. The timer expires 30 s - A (and 10 or 12 ms of delay) after the fault. The upper picture shows this law, rising \
         between 20 and 22.5 s and flat to 30 s, and what the machines did, each with its own timers and nothing else.\n\n"
    );
    text.push_str(
        "A round trip needs both ends to have moved to the other tunnel, so it works again when the later of two such timers has \
         expired, and the two are independent. Its distribution is the product of theirs: the lower picture, whose mass lies \
         towards 30 s. So 30 s is a good figure for the worst case and a bad one for either end alone, and the direction from \
         the end that noticed first works seconds before the other. DPD, with its 40 s, never comes into play. \
         No interval begins at the fault, so a shorter KEEPALIVE interval alone would make recovery later, not sooner (the last \
         KEEPALIVE would be younger); only a shorter hold time helps.\n\n",
    );
    text.push_str(
        "| seconds after the fault | median | 5 % | 95 % | largest distance from the law | p (Kolmogorov-Smirnov) |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    let rows = [
        ("HoldTimer at AWS", &sample.aws, fits[0]),
        ("HoldTimer at the customer gateway", &sample.customer, fits[1]),
        ("round trip", &sample.round_trip, fits[2]),
    ];
    for (what, sample, (distance, p)) in rows {
        let [low, median, high] = [0.05, 0.5, 0.95].map(|q| quantile(sample, q));
        let _ = writeln!(text, "| {what} | {median:.2} | {low:.2} | {high:.2} | {distance:.3} | {p:.2} |");
    }
    text.push_str(
        "\nThe law, the scenario and the test are in `sim-scenarios/tests/hold_distribution.rs` and \
         `sim-scenarios/tests/studies/hold_distribution.ron`.\n",
    );
    text
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

const FROM: f64 = 19.0;
const TO: f64 = 31.0;
/// Width of a bar, in seconds.
const BAR: f64 = 0.25;

fn picture(sample: &Sample) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 720)).into_drawing_area();
        draw(&area, sample).expect("drawing into a string does not fail");
        area.present().expect("drawing into a string does not fail");
    }
    svg
}

fn draw(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, sample: &Sample) -> Drawn {
    let (blue, orange, green) = (RGBColor(0, 114, 178), RGBColor(230, 159, 0), RGBColor(0, 158, 115));
    area.fill(&WHITE)?;
    let (upper, lower) = area.split_vertically(360);
    let ends =
        [("HoldTimer at AWS", &sample.aws, blue), ("HoldTimer at the customer gateway", &sample.customer, orange)];
    panel(&upper, "One end: its HoldTimer expires", &ends, |t| AWS.cdf(t))?;
    let round_trip = [("round trip works again", &sample.round_trip, green)];
    panel(&lower, "Round trip: the later of both ends", &round_trip, |t| ROUND_TRIP.cdf(t))
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    samples: &[(&str, &Vec<f64>, RGBColor)],
    cdf: impl Fn(f64) -> f64,
) -> Drawn {
    let highest = 0.30;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(FROM..TO, 0.0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_desc("seconds after the fault")
        .y_desc("share per second")
        .x_labels(13)
        .y_labels(7)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{:.0} %", y * 100.0))
        .label_style(("sans-serif", 14))
        .draw()?;
    for (name, sample, colour) in samples {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(outline(sample), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    let density = |t: f64| (cdf(t + 0.01) - cdf(t - 0.01)) / 0.02;
    let points = (0..=1200).map(|i| FROM + f64::from(i) / 100.0).map(|t| (t, density(t)));
    chart
        .draw_series(LineSeries::new(points, BLACK.stroke_width(2)))?
        .label("law (RFC 4271 section 10)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(WHITE)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

/// The upper edge of a histogram, as share per second.
fn outline(sample: &[f64]) -> Vec<(f64, f64)> {
    let bars = ((TO - FROM) / BAR) as usize;
    let mut counts = vec![0u32; bars];
    for value in sample {
        counts[(((value - FROM) / BAR) as usize).min(bars - 1)] += 1;
    }
    let share = |count: u32| f64::from(count) / sample.len() as f64 / BAR;
    let edge = |(i, count): (usize, &u32)| {
        let left = FROM + i as f64 * BAR;
        [(left, share(*count)), (left + BAR, share(*count))]
    };
    counts.iter().enumerate().flat_map(edge).collect()
}

#[test]
fn the_law_is_a_distribution() {
    assert_eq!(age_cdf(0.0), 0.0);
    assert_eq!(age_cdf(KEEPALIVE), 1.0);
    // Mean age of a stationary renewal process: E[X^2] / (2 E[X]); X uniform has E[X^2] = E[X]^2 + (10 - 7.5)^2 / 12.
    let mean: f64 = (0..10_000).map(|i| (1.0 - age_cdf((f64::from(i) + 0.5) / 1000.0)) / 1000.0).sum();
    let expected = (MEAN * MEAN + (KEEPALIVE - SHORTEST).powi(2) / 12.0) / (2.0 * MEAN);
    assert!((mean - expected).abs() < 1e-6, "{mean} {expected}");
}
