//! Against closed forms.

use sim_core::id::NodeId;
use sim_core::rng::{Purpose, Rng};

use super::*;
use crate::breakage::Component;
use crate::plan::FaultKind;
use crate::study::availability::{PairEffect, Rate, Repair};

fn rate(mtbf_h: f64, mttr_h: f64, repair: Repair) -> Rate {
    Rate { mtbf: mtbf_h * 60.0, mttr: mttr_h * 60.0, repair, failures: None, source: String::new() }
}

fn effect(name: &str, node: u32, rate: Rate, dark: Dark) -> Effect {
    let what = FaultKind::PowerLoss { node: NodeId(node) };
    let component = Component { name: name.into(), kind: "node", what, nodes: vec![NodeId(node)] };
    Effect { component, rate, dark: vec![dark] }
}

const WAITS: Dark = Dark { until_repair: true, at_failure: 0.0, after_repair: 0.5, at_least: false };
const SPARED: Dark = Dark { until_repair: false, at_failure: 0.5, after_repair: 0.25, at_least: false };

fn rng(name: &str) -> Rng {
    Rng::stream(1, name, Purpose::Test)
}

/// Sums of a drawn year, many times: mean and its standard error.
fn drawn(measured: &Measured, endpoints: &[[NodeId; 2]], of: fn(&Year) -> f64) -> (f64, f64) {
    let mut rng = rng("years");
    let years: Vec<f64> = (0..4_000).map(|_| of(&year(measured, endpoints, &mut rng))).collect();
    (years.iter().mean(), years.iter().std_dev() / (years.len() as f64).sqrt())
}

/// A single point of failure is dark for the share MTTR / (MTBF + MTTR) of the time, and a little each time beyond: 2 h in 1,002 h
/// are 1,049.8 minutes a year; 8,766 / 1,002 = 8.749 times half a minute more.
#[test]
fn a_single_point_is_dark_as_long_as_it_is_broken() {
    for repair in [Repair::Fixed, Repair::Exponential, Repair::LogNormal { sigma: 1.0 }] {
        let measured =
            Measured { effects: vec![effect("x", 1, rate(1000.0, 2.0, repair), WAITS)], ..Measured::default() };
        let expected: f64 = contributions(&measured).iter().map(|part| part.minutes).sum();
        assert!((expected - (1_049.82 + 4.374)).abs() < 0.01, "{expected}");
        let (mean, error) = drawn(&measured, &[], |year| year.dark.iter().sum());
        // A year begins in order: 0.2 % of one repair is missing.
        assert!((mean - expected).abs() < 4.0 * error + 0.5, "{repair:?}: {mean} +- {error}, {expected}");
    }
}

/// Where something takes over after half a minute and the way back costs a quarter, a failure costs 0.75 minutes unless it is repaired
/// before: of exponential repairs of a mean of one minute, E[min(R, 0.5)] = 1 - e^-0.5 = 0.3935, and e^-0.5 of them pay for the way back:
/// 0.3935 + 0.6065 * 0.25 = 0.5451.
#[test]
fn a_failover_costs_no_more_than_the_repair() {
    let long = effect("x", 1, rate(1000.0, 2.0, Repair::Fixed), SPARED);
    assert_eq!(each(&long), [0.75]);
    let short = effect("x", 1, rate(100.0, 1.0 / 60.0, Repair::Exponential), SPARED);
    assert!((each(&short)[0] - 0.545_1).abs() < 1e-4);
    // The lognormal law against its own draws.
    let heavy = effect("x", 1, rate(100.0, 1.0 / 60.0, Repair::LogNormal { sigma: 1.5 }), SPARED);
    let mut rng = rng("repairs");
    let costs: Vec<f64> = (0..20_000).map(|_| SPARED.of_repair(heavy.rate.draw_repair(&mut rng))).collect();
    let (mean, error) = (costs.iter().mean(), costs.iter().std_dev() / 20_000f64.sqrt());
    assert!((mean - each(&heavy)[0]).abs() < 4.0 * error, "{mean} +- {error}, {}", each(&heavy)[0]);
}

/// Two that stand in for each other are both broken for the product of their shares: (10/110)^2 of a year are 4,346.8 minutes.
#[test]
fn a_pair_is_dark_while_both_are_broken() {
    let one = |name: &str, node| {
        let dark = Dark { until_repair: false, at_failure: 0.0, after_repair: 0.0, at_least: false };
        effect(name, node, rate(100.0, 10.0, Repair::Exponential), dark)
    };
    let pairs = vec![PairEffect { of: (0, 1), back: 0.0 }];
    let measured = Measured { effects: vec![one("a", 1), one("b", 2)], pairs, ..Measured::default() };
    let expected: f64 = contributions(&measured).iter().map(|part| part.minutes).sum();
    assert!((expected - YEAR / 121.0).abs() < 1e-6, "{expected}");
    let endpoints = [[NodeId(1), NodeId(2)]];
    let (mean, error) = drawn(&measured, &endpoints, |year| year.dark.iter().sum());
    // The first hours of a year, before anything is broken, are too good by about two repairs in one of 11 each.
    assert!((mean - expected).abs() < 4.0 * error + 120.0, "{mean} +- {error}, {expected}");
    // And they are the two endpoints of a connection, so AWS counts the same minutes.
    let (aws, _) = drawn(&measured, &endpoints, |year| year.aws.iter().sum());
    assert_eq!(aws, mean);
    assert!((expected_of_endpoints(&measured, &endpoints) - expected).abs() < 1e-6);
    assert_eq!(expected_of_endpoints(&measured, &[]), 0.0);
}

/// What is known exactly has no interval; a rate from ten failures has one of the gamma law with shape 10, whose 2.5 and 97.5 %
/// quantiles are 0.4795 and 1.7085 of its mean (chi-square with 20 degrees of freedom: 9.591 and 34.170, any table).
#[test]
fn a_rate_is_as_uncertain_as_the_failures_it_is_from() {
    let mut measured =
        Measured { effects: vec![effect("x", 1, rate(1000.0, 2.0, Repair::Fixed), WAITS)], ..Measured::default() };
    let expected: f64 = contributions(&measured).iter().map(|part| part.minutes).sum();
    let exact = bootstrap(&measured, &mut rng("exact"));
    assert_eq!(exact.low, exact.high);
    measured.effects[0].rate.failures = Some(10);
    let interval = bootstrap(&measured, &mut rng("bootstrap"));
    let (low, high) = (interval.low.unwrap() / expected, interval.high.unwrap() / expected);
    // 4,000 draws: the quantiles themselves are known to 3 %.
    assert!((low - 0.4795).abs() < 0.03 && (high - 1.7085).abs() < 0.08, "{low} {high}");
}
