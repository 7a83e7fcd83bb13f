//! How long a silent path stays unnoticed by BFD and by DPD: 1,000 seeds against the laws that follow from their rules, as
//! `hold_distribution.rs` does it for BGP's HoldTimer.
//!
//! **BFD, both ways cut.** An end sends its next control packet a time X after its last, drawn anew each time, uniform in 0.75 to 1
//! times 300 ms (RFC 5880 section 6.8.7): a renewal process with mean 262.5 ms. A fault at a moment that has nothing to do with it, and
//! hundreds of renewals after its start, finds the last packet at an age A with the density (1 - F(a)) / 0.2625 on 0..0.3 (Cox,
//! Renewal Theory, 1962, section 5.1):
//!
//! ```text
//!   P(A <= a) = a / 0.2625                                  for 0     <= a <= 0.225
//!             = (0.2625 - (0.3 - a)^2 / 0.15) / 0.2625      for 0.225 <= a <= 0.3
//! ```
//!
//! That packet had entered the path, arrives its delay d later and arms the Detection Time of 3 x 300 ms (section 6.8.4: the agreed
//! interval before jitter). So an end misses the other 0.9 s + d - A after the fault. Both ends draw from streams of their own and
//! neither is heard any more, so the two times are independent.
//!
//! **BFD, one way cut.** The end that hears nothing more has the law above. It says so at once, and what it says arrives d later: the
//! other end is told, exactly d after the first has noticed, and its own Detection Time never comes into play.
//!
//! **BFD, loss.** Of the packets towards one end each is lost with probability p. Three intervals last 0.675 to 0.9 s, four at least
//! 0.9 s. So a session goes down exactly when three packets in a row are lost: the third would have come in time, the fourth
//! comes too late. Of n packets, the chance that no three in a row are lost obeys
//! q(n) = (1 - p) (q(n-1) + p q(n-2) + p^2 q(n-3)), q(0) = q(1) = q(2) = 1.
//!
//! **DPD.** AWS checks after 10 s of silence and hears the answer a round trip later, so on a tunnel that carries nothing else it hears
//! something every 10.024 s: a renewal process without jitter. A fault at a moment that is uniform in one such period finds the last
//! answer at an age A, uniform in 0..10.024 s, where it entered the path towards AWS, 10 ms before it arrived. AWS holds the
//! customer gateway for dead 40 s after that: 40.010 s - A after the fault, uniform in 29.986 to 40.010 s. An end that has no DPD
//! timeout but the retransmission series sends its check 10 s after the last answer and gives up when the series has ended, 165.060 s
//! later: the same law, with 175.060 s in place of 40 s.

use sim_core::reason::Reason;
use sim_core::time::Instant;
use sim_core::trace::{Phase, SessionKind, What};
use sim_scenarios::{NoSecrets, Scenario, Simulation};
use statrs::distribution::ContinuousCDF;
use statrs::statistics::{Max, Min};
use statrs::stats_tests::NaNPolicy;
use statrs::stats_tests::ks_test::{KSOneSampleAlternativeMethod, ks_onesample};

const BFD: &str = include_str!("studies/bfd_detection.ron");
const DPD: &str = include_str!("studies/dpd_detection.ron");

const SEEDS: u64 = 1_000;

/// Interval of BFD before jitter, in seconds.
const INTERVAL: f64 = 0.3;
/// The shortest.
const SHORTEST: f64 = 0.225;
/// Its mean.
const MEAN: f64 = (SHORTEST + INTERVAL) / 2.0;
/// The Detection Time.
const DETECTION: f64 = 3.0 * INTERVAL;
/// Delay of the path.
const DELAY: f64 = 0.010;

/// A distribution, by its range and its function.
struct Law {
    range: [f64; 2],
    cdf: Box<dyn Fn(f64) -> f64>,
}

impl ContinuousCDF<f64, f64> for Law {
    fn cdf(&self, t: f64) -> f64 {
        (self.cdf)(t).clamp(0.0, 1.0)
    }
}

impl Min<f64> for Law {
    fn min(&self) -> f64 {
        self.range[0]
    }
}

impl Max<f64> for Law {
    fn max(&self) -> f64 {
        self.range[1]
    }
}

/// P(A <= a) for the age of the last control packet.
fn age_cdf(a: f64) -> f64 {
    let a = a.clamp(0.0, INTERVAL);
    let beyond = if a <= SHORTEST { MEAN - a } else { (INTERVAL - a).powi(2) / (2.0 * (INTERVAL - SHORTEST)) };
    (MEAN - beyond) / MEAN
}

/// When an end misses the other, if what it hears last arrives `delay` after it entered the path.
fn missed(delay: f64) -> Law {
    let latest = DETECTION + delay;
    Law { range: [latest - INTERVAL, latest], cdf: Box::new(move |t| 1.0 - age_cdf(latest - t)) }
}

/// Uniform over a period that ends there.
fn uniform(latest: f64, period: f64) -> Law {
    Law { range: [latest - period, latest], cdf: Box::new(move |t| (t - (latest - period)) / period) }
}

fn p_value(sample: &[f64], law: &Law) -> f64 {
    let method = KSOneSampleAlternativeMethod::TwoSidedAsymptotic;
    let (_, p) = ks_onesample(sample.to_vec(), law, method, NaNPolicy::Error).expect("a sample of numbers");
    p
}

/// For each seed: when the sessions of this kind went down after the fault struck, in the order of their ends, and why.
fn downs(text: &str, changes: &[&str], kind: SessionKind, seconds: u64) -> Vec<Vec<Option<(f64, Reason)>>> {
    let scenario = Scenario::parse("study.ron", text, &NoSecrets).unwrap_or_else(|e| panic!("{e}"));
    let scenario = scenario.with(changes, &NoSecrets).unwrap_or_else(|e| panic!("{e}"));
    let of_seed = |seed: u64| {
        let scenario = scenario.with(&[format!("seed={seed}")], &NoSecrets).unwrap_or_else(|e| panic!("{e}"));
        let mut run = Simulation::new(&scenario);
        run.run_until(Instant::from_secs(seconds));
        let trace = &run.world().trace;
        let is_strike = |what: &What| matches!(what, What::Fault { phase: Phase::Strike, .. });
        let strike = trace.records().find(|(_, record)| is_strike(&record.what)).expect("the fault strikes").1.at;
        let ends = trace.sessions().iter().enumerate().filter(|(_, info)| info.kind == kind);
        let down = |(index, _): (usize, _)| {
            let mut records = trace.session_records(sim_core::id::SessionId(index as u32));
            records.find_map(|(_, record)| match record.what {
                What::State { from, reason, .. } if record.at > strike && from == sim_core::reason::State::Up => {
                    Some((record.at.since(strike).as_secs_f64(), reason))
                }
                _ => None,
            })
        };
        ends.map(down).collect()
    };
    (1..=SEEDS).map(of_seed).collect()
}

/// The times of one end, all for this reason.
fn times(downs: &[Vec<Option<(f64, Reason)>>], end: usize, reason: Reason) -> Vec<f64> {
    let time = |ends: &Vec<Option<(f64, Reason)>>| {
        let (at, why) = ends[end].expect("it noticed");
        assert_eq!(why, reason);
        at
    };
    downs.iter().map(time).collect()
}

#[test]
fn bfd_misses_a_silent_end_by_the_renewal_law() {
    let downs = downs(BFD, &[], SessionKind::Bfd, 63);
    let [east, west] = [0, 1].map(|end| times(&downs, end, Reason::BfdDetectionExpired));
    for sample in [&east, &west] {
        assert!(p_value(sample, &missed(DELAY)) > 0.001);
    }
    // Independent: that both are later than the median happens in a quarter of all cases, within four standard deviations.
    let median = 0.5 * MEAN;
    let late = |t: &f64| DETECTION + DELAY - t <= median;
    let both = east.iter().zip(&west).filter(|(a, b)| late(a) && late(b)).count() as f64 / SEEDS as f64;
    let four = 4.0 * (0.25_f64 * 0.75 / SEEDS as f64).sqrt();
    assert!((both - 0.25).abs() < four, "{both}");
    // The test can tell: no jitter, or a Detection Time that counts jittered intervals, is another law.
    assert!(p_value(&east, &uniform(DETECTION + DELAY, INTERVAL)) < 0.001);
    let shorter = Law { range: [0.3, 0.7], cdf: Box::new(|t| 1.0 - age_cdf(3.0 * MEAN + DELAY - t)) };
    assert!(p_value(&east, &shorter) < 0.001);
}

#[test]
fn the_deaf_end_tells_the_other() {
    let one_way = "faults.cut.what.direction=forward";
    let downs = downs(BFD, &[one_way], SessionKind::Bfd, 63);
    let west = times(&downs, 1, Reason::BfdDetectionExpired);
    let east = times(&downs, 0, Reason::BfdNeighborDown);
    assert!(p_value(&west, &missed(DELAY)) > 0.001);
    for (east, west) in east.iter().zip(&west) {
        assert!((east - west - DELAY).abs() < 1e-9, "{east} after {west}");
    }
}

/// q(n): the chance that of n packets no three in a row are lost.
fn survival(n: usize, p: f64) -> f64 {
    let mut q = vec![1.0; n.max(2) + 1];
    for i in 3..=n {
        q[i] = (1.0 - p) * (q[i - 1] + p * q[i - 2] + p * p * q[i - 3]);
    }
    q[n]
}

#[test]
fn three_losses_in_a_row_and_no_fewer_bring_it_down() {
    // By hand: of three packets all are lost with p^3; of four, the three that are lost begin with the first or the second.
    assert!((survival(3, 0.2) - (1.0 - 0.008)).abs() < 1e-12);
    assert!((survival(4, 0.2) - (1.0 - 0.008 - 0.8 * 0.008)).abs() < 1e-12);
    let loss = "faults.cut.what=Impair(link: \"path\", direction: \"forward\", to: (loss: \"20%\"))";
    let (window, p) = (25.0, 0.2);
    let downs = downs(BFD, &[loss, "faults.cut.at=60s"], SessionKind::Bfd, 86);
    // What is lost in the window is missed 0.9 s after the packet before it, at the latest.
    let fell = downs.iter().filter(|ends| ends[1].is_some_and(|(at, _)| at <= window)).count() as f64 / SEEDS as f64;
    // A session falls by `window` if three in a row are lost among the packets that would have come by then: those of
    // window / 0.2625 s, less up to four that have come too late to be missed by then, and one more or less by chance.
    let n = (window / MEAN) as usize;
    let [least, most] = [1.0 - survival(n - 5, p), 1.0 - survival(n + 1, p)];
    let four = 4.0 * (0.25 / SEEDS as f64).sqrt();
    assert!((least - four..=most + four).contains(&fell), "{fell}: {least} to {most}");
    // The test can tell two in a row from three.
    assert!(1.0 - (1.0 - p * p).powi(n as i32 / 2) > most + four);
    let whole: Vec<f64> = downs.iter().filter_map(|ends| ends[1].map(|(at, _)| at)).collect();
    let earliest = whole.iter().copied().fold(f64::MAX, f64::min);
    assert!(earliest > DETECTION - INTERVAL, "{earliest}: it takes the Detection Time after the last packet that came");
}

#[test]
fn dpd_counts_from_the_last_answer() {
    const PERIOD: f64 = 10.024;
    const ANSWER: f64 = 0.010;
    let aws = times(&downs(DPD, &[], SessionKind::Ike, 115), 0, Reason::PeerDead);
    assert!(p_value(&aws, &uniform(40.0 + ANSWER, PERIOD)) > 0.001);
    // From the first unanswered check on, as another reading of AWS's documents has it, it would be later by 10 s.
    assert!(p_value(&aws, &uniform(50.0 + ANSWER, PERIOD)) < 0.001);
}

#[test]
fn dpd_without_a_timeout_is_the_retransmission_series() {
    const PERIOD: f64 = 10.024;
    // The other way round: the customer gateway checks, as strongSwan does, and AWS does not. An answer enters the path towards it
    // 12 ms before it arrives.
    let customer = "connections.vpn.tunnels.a.customer.dpd_timeout_action=restart";
    let changes = [
        "connections.vpn.tunnels.a.dpd_timeout_action=none",
        customer,
        "connections.vpn.tunnels.a.customer.dpd_timeout=0s",
    ];
    let downs = downs(DPD, &changes, SessionKind::Ike, 260);
    let times: Vec<f64> = downs.iter().map(|ends| ends[1].expect("it noticed").0).collect();
    assert!(p_value(&times, &uniform(10.0 + 165.060 + 0.012, PERIOD)) > 0.001);
}

#[test]
fn the_law_is_a_distribution() {
    assert_eq!((age_cdf(0.0), age_cdf(INTERVAL)), (0.0, 1.0));
    // Mean age of a stationary renewal process: E[X^2] / (2 E[X]).
    let steps = 100_000;
    let mean: f64 = (0..steps).map(|i| 1.0 - age_cdf((f64::from(i) + 0.5) / f64::from(steps) * INTERVAL)).sum();
    let expected = (MEAN * MEAN + (INTERVAL - SHORTEST).powi(2) / 12.0) / (2.0 * MEAN);
    assert!((mean * INTERVAL / f64::from(steps) - expected).abs() < 1e-6, "{mean} {expected}");
}
