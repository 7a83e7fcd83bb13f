//! Changes (`--set`): what they do, and how their mistakes are explained.

use proptest::prelude::*;

use sim_core::crypto::dh::DhGroup;
use sim_core::time::Duration;
use sim_scenarios::plan::{FaultKind, Loss};
use sim_scenarios::{Diagnostics, NoSecrets, Scenario};

const TEXT: &str = include_str!("../../scenarios/active_passive.ron");

fn scenario() -> Scenario {
    Scenario::parse("active_passive.ron", TEXT, &NoSecrets).expect("it makes sense")
}

fn with(changes: &[&str]) -> Result<Scenario, Diagnostics> {
    scenario().with(changes, &NoSecrets)
}

#[test]
fn values_written_and_unwritten_change() {
    let changed = with(&[
        "duration=1200s",
        "seed=7",
        "links.path-a.loss=1%",
        "links.path-a.between.0=isp",
        "connections.vpn.tunnels.a.dpd_timeout=60s",
        "connections.vpn.tunnels.b.phase1.dh_groups=[14, 19]",
        "connections.vpn.tunnels.b.phase1.lifetime=2h",
        "connections.vpn.routing.aws.hold_time=90s",
        "faults.cut.what.direction=forward",
        "faults.cut.enabled=false",
        "control.0.change.0=faults.cut.heal=700s",
    ]);
    let changed = changed.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let plan = changed.plan();
    assert_eq!((plan.duration, plan.seed), (Duration::from_secs(1200), 7));
    assert!(matches!(plan.links[2].forward.loss, Loss::Independent(chance) if chance.probability() > 0.009));
    let [a, b] = &plan.connections[0].tunnels[..] else { panic!("two tunnels") };
    assert_eq!(a.aws.dpd.timeout, Some(Duration::from_secs(60)));
    assert_eq!(b.aws.phase1.dh_groups, [DhGroup::Modp2048, DhGroup::Ecp256]);
    assert_eq!(b.aws.phase1.lifetime, Duration::from_secs(7200));
    let (aws, customer) = a.bgp.as_ref().expect("routing is BGP");
    assert_eq!((aws.hold_time, customer.hold_time), (Duration::from_secs(90), Duration::from_secs(30)));
    assert!(!plan.faults[0].enabled);
    assert!(matches!(plan.faults[0].what, FaultKind::Blackhole { .. }));
    assert_eq!(plan.controls[0].change, ["faults.cut.heal=700s"]);
}

#[test]
fn a_later_change_changes_an_earlier_one() {
    let changed = with(&["duration=900s", "duration=1000s", "seed=2", "duration=1100s"]);
    assert_eq!(changed.expect("it makes sense").plan().duration, Duration::from_secs(1100));
}

#[test]
fn a_fault_is_drawn_from_the_seed_and_nothing_else() {
    let at = |changes: &[&str]| with(changes).expect("it makes sense").plan().faults[0].at;
    assert_eq!(at(&[]), at(&["links.path-a.loss=1%"]));
    assert_ne!(at(&["seed=2"]), at(&["seed=3"]));
}

#[test]
fn mistakes_are_explained() {
    let mistakes = [
        "duration",
        "duration=",
        "=5s",
        "duratoin=5s",
        "duration=5 fortnights",
        "nodes.cwg.asn=65011",
        "nodes.cgw.asnn=65011",
        "nodes.cgw.asn=big",
        "nodes.cgw.asn.x=1",
        "nodes..asn=1",
        "control.5.fails=dark",
        "control.x.fails=dark",
        "connections.vpn.tunnels.a.dpd_timeout=5s",
        "connections.vpn.tunnels.a.dpd_timout=50s",
        "connections.vpn.tunnels.a.customer.pre_shared_key=0hush",
        "connections.vpn.tunnels.a.phase2.lifetime=(1",
        "faults.cut.what.link=path-c",
        "faults.cut.what=LinkUp(link: \"path-a\")",
    ];
    let explained: Vec<String> = mistakes
        .iter()
        .map(|change| match with(&[change]) {
            Ok(_) => panic!("{change} is no mistake"),
            Err(mistakes) => mistakes.to_string(),
        })
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("changes", explained.join("\n")));
}

/// What is set and not written yet goes into the scenario, not into a comment before it that has parentheses.
#[test]
fn a_change_does_not_land_in_a_comment() {
    let commented = format!("// A question (with an aside).\n/* And (another). */\n{TEXT}");
    let scenario = Scenario::parse("commented.ron", &commented, &NoSecrets).unwrap_or_else(|m| panic!("{m}"));
    let changed = scenario.with(&["assume.endpoint_health_delay=7s"], &NoSecrets).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(changed.plan().assume.endpoint_health_delay, sim_core::time::Duration::from_secs(7));
}

/// The file with every character of a range replaced.
fn mutated(at: usize, remove: usize, insert: &str) -> String {
    let chars: Vec<char> = TEXT.chars().collect();
    let at = at % chars.len();
    let end = (at + remove).min(chars.len());
    chars[..at].iter().copied().chain(insert.chars()).chain(chars[end..].iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_mutation_makes_the_parser_panic(
        at in 500usize..10_000,
        remove in 0usize..30,
        insert in prop_oneof![
            Just(String::new()),
            "[-(){}\\[\\]\",:0-9a-z./%#r'\\\\]{0,6}",
            "\\PC{0,4}",
            Just("/* ".to_owned()),
            Just("18446744073709551615".to_owned()),
            Just("\"18446744073s\"".to_owned()),
            Just("Some(".to_owned()),
            Just("((((((((".to_owned()),
        ],
    ) {
        if let Err(mistakes) = Scenario::parse("mutated.ron", &mutated(at, remove, &insert), &NoSecrets) {
            prop_assert!(mistakes.iter().next().is_some());
            prop_assert!(mistakes.to_string().contains("error: "));
        }
    }

    #[test]
    fn no_change_makes_the_parser_panic(
        path in "(nodes|links|connections|faults|control|expect|duration)(\\.(cgw|vpn|a|tunnels|path-a|cut|what|0|x)){0,4}",
        value in prop_oneof!["\\PC{0,8}", Just("[]".to_owned()), Just("()".to_owned()), Just("18446744073709551615".to_owned())],
    ) {
        if let Err(mistakes) = with(&[&format!("{path}={value}")]) {
            prop_assert!(mistakes.to_string().contains("error: "));
        }
    }
}
