//! Scenarios to start from: whatever is chosen parses, holds what it expects, and has a control that breaks it.
//!
//! All choices are written in every run of this test, and parse but for firewalls and profiles. A small sample of them runs; with
//! `VPNSIM_FULL=1` one in 37.

use sim_scenarios::starter::{Failure, Gateway, Routing, Starter};
use sim_scenarios::{NoSecrets, Scenario, Simulation, advice};

const GATEWAYS: [Gateway; 2] = [Gateway::Vgw, Gateway::Tgw];
const ROUTINGS: [Routing; 2] = [Routing::Bgp, Routing::Static];
const FAILURES: [Failure; 4] = [Failure::Path, Failure::Endpoint, Failure::CustomerGateway, Failure::Line];

/// Every combination, those that are refused included.
fn all() -> Vec<Starter> {
    let names = |names: Vec<&'static str>| names.into_iter().map(|name| Some(name.to_owned()));
    let firewalls: Vec<Option<String>> = [None].into_iter().chain(names(Starter::firewalls().collect())).collect();
    let profiles: Vec<Option<String>> = names(Starter::profiles().collect()).collect();
    let mut all = Vec::new();
    for gateway in GATEWAYS {
        for routing in ROUTINGS {
            for failure in FAILURES {
                for bits in 0..16 {
                    for firewall in &firewalls {
                        for profile in &profiles {
                            all.push(Starter {
                                name: "starter".into(),
                                gateway,
                                routing,
                                tunnels: 1 + (bits & 1),
                                customer_gateways: 1 + (bits >> 1 & 1),
                                direct_connect: bits >> 2 & 1 == 1,
                                nat: bits >> 3 & 1 == 1,
                                firewall: firewall.clone(),
                                failure,
                                profile: profile.clone(),
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

fn parse(starter: &Starter, text: &str) -> Scenario {
    Scenario::parse("starter.ron", text, &NoSecrets)
        .unwrap_or_else(|mistakes| panic!("{starter:?}\n{mistakes}\n{text}"))
}

/// Exactly two kinds of choices are refused; every other is a scenario with an expectation and a control.
#[test]
fn every_choice_is_a_scenario_or_refused_with_a_reason() {
    for starter in all() {
        let unruly = starter.customer_gateways == 2 && starter.routing == Routing::Static
            || starter.failure == Failure::Line && !starter.direct_connect;
        match starter.text() {
            Err(refused) => {
                assert!(unruly, "{starter:?}: {refused}");
                assert!(!refused.help.is_empty());
            }
            Ok(text) => {
                assert!(!unruly, "{starter:?} is not refused");
                assert!(text.starts_with("// Question: ") && text.contains("\n// Expected: "), "{text}");
                for line in text.lines() {
                    assert!(line.chars().count() <= 190 && line.trim_end() == line, "{line}");
                }
                // Parsing all would take minutes: of firewalls and profiles, which each fill in one word, one is enough here.
                if starter.firewall.is_none() && starter.profile.as_deref() == Some("generic") {
                    let plan = parse(&starter, &text);
                    assert_eq!(plan.plan().expectations.len(), 3, "{text}");
                    assert_eq!(plan.plan().controls.len(), 1, "{text}");
                }
            }
        }
    }
}

/// What is wrong with a run of it, if anything.
fn tried(starter: &Starter) -> Option<String> {
    let text = starter.text().expect("it is not refused");
    let scenario = parse(starter, &text);
    let report = Simulation::new(&scenario).finish().report;
    if let Some(expectation) = report.expectations.iter().find(|expectation| !expectation.held) {
        return Some(format!("{starter:?}: expected {}, found {}", expectation.text, expectation.detail));
    }
    let control = &scenario.plan().controls[0];
    let changed = scenario.with(&control.change, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let report = Simulation::new(&changed).finish().report;
    let named = &report.expectations[control.fails];
    named.held.then(|| format!("{starter:?}: the control breaks nothing: {}", named.detail))
}

#[test]
fn what_is_expected_holds_and_the_control_breaks_it() {
    let full = std::env::var_os("VPNSIM_FULL").is_some();
    let runs: Vec<Starter> = all().into_iter().filter(|starter| starter.text().is_ok()).collect();
    // A stride that has no factor in common with the numbers of choices meets all of them.
    let stride = if full { 37 } else { 1201 };
    let wrong: Vec<String> = runs.iter().step_by(stride).filter_map(tried).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), runs.len() / stride, wrong.join("\n"));
}

/// Starters are drawn as the review would have it, but for what they are asked to leave out.
#[test]
fn a_starter_needs_no_grave_advice() {
    for starter in all() {
        if starter.firewall.is_some() || starter.profile.as_deref() != Some("generic") {
            continue;
        }
        let Ok(text) = starter.text() else { continue };
        let review = advice::review(&parse(&starter, &text));
        let grave = review.advice.iter().find(|advice| advice.severity == advice::Severity::High);
        assert!(grave.is_none(), "{starter:?}: {grave:?}");
        let of_choice = |code| match code {
            "one_tunnel" => starter.tunnels == 1,
            "one_customer_gateway" => starter.customer_gateways == 1,
            "single_point_of_failure" | "no_tunnel_alarm" => true,
            _ => false,
        };
        let other = review.advice.iter().find(|advice| !of_choice(advice.code));
        assert!(other.is_none(), "{starter:?}: {other:?}");
    }
}

/// The default, as a person reads it.
#[test]
fn it_reads_like_the_library() {
    insta::assert_snapshot!("starter", Starter::default().text().unwrap());
    let most = Starter {
        customer_gateways: 2,
        direct_connect: true,
        firewall: Some("cisco_asa".into()),
        nat: true,
        failure: Failure::Line,
        ..Starter::default()
    };
    insta::assert_snapshot!("starter_with_most", most.text().unwrap());
}
