//! What AWS does not publish: each such number is a parameter with a default that is reasoned for, and it acts.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::time::Instant;
use sim_scenarios::plan::{Assumed, Assumption};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// Scenarios whose assumptions are all that there are.
const LIBRARY: &[&str] = &[
    include_str!("../../../scenarios/active_passive.ron"),
    include_str!("../../../scenarios/ecmp_conditions.ron"),
    include_str!("../../../scenarios/transit_tgw_nat_gateway.ron"),
    include_str!("../../../scenarios/dx_bfd.ron"),
    include_str!("../../../scenarios/tunnel_endpoint_replacement.ron"),
    include_str!("../../../scenarios/graceful_delete.ron"),
];

fn scenario(text: &str) -> Scenario {
    Scenario::parse("library.ron", text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn assumptions() -> BTreeMap<Assumed, Vec<(&'static str, Assumption)>> {
    let mut all: BTreeMap<Assumed, Vec<_>> = BTreeMap::new();
    for text in LIBRARY {
        for assumption in &scenario(text).plan().assumptions {
            all.entry(assumption.what).or_default().push((*text, assumption.clone()));
        }
    }
    all
}

/// Every kind of number that is assumed stands in some plan with a value and a reason.
#[test]
fn every_assumption_has_a_value_and_a_reason() {
    use Assumed as A;
    let all = assumptions();
    let kinds = [
        A::VgwProgrammingDelay,
        A::VpcPropagationDelay,
        A::EndpointHealthDelay,
        A::TunnelBurst,
        A::Med,
        A::AwsTcp,
        A::PreferredTunnel,
        A::FlowHash,
        A::DpdBase,
        A::Retransmission,
        A::HalfOpen,
        A::RekeyFormula,
        A::IkeRetry,
        A::Keepalive,
        A::ConnectRetry,
        A::IdleHold,
        A::PrefixLimit,
        A::VpnMetricPeriod,
        A::ReplacementLead,
        A::ReplacementDuration,
        A::NatGatewayForSites,
    ];
    let missing: Vec<_> = kinds.iter().filter(|kind| !all.contains_key(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let known: BTreeSet<_> = kinds.into_iter().collect();
    let unlisted: Vec<_> = all.keys().filter(|kind| !known.contains(kind)).collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    for (_, it) in all.values().flatten() {
        assert!(!it.value.is_empty() && it.source.len() > 10 && !it.parameter.is_empty(), "{it:?}");
    }
}

/// A number with a range may be set to either end of it, and the plan is then another one.
#[test]
fn every_assumption_can_be_changed() {
    let mut changed = 0;
    for (text, it) in assumptions().values().flatten() {
        let Some(range) = &it.range else { continue };
        assert!(!range.source.is_empty(), "{it:?}");
        // `TUNNEL` stands for each tunnel.
        if it.parameter.contains("TUNNEL") {
            continue;
        }
        for end in &range.ends {
            let change = format!("{}={end}", it.parameter);
            let other = scenario(text).with(&[&change], &NoSecrets);
            let other = other.unwrap_or_else(|mistakes| panic!("{change}: {mistakes}"));
            let now = other
                .plan()
                .assumptions
                .iter()
                .find(|now| (now.what, &now.owner) == (it.what, &it.owner) && now.parameter == it.parameter);
            assert!(now.is_none_or(|now| now.value != it.value || *end == it.value), "{change}: {now:?}");
            changed += 1;
        }
    }
    assert!(changed > 20, "{changed}");
}

/// Those that a silent path brings into play change what happens.
#[test]
fn assumptions_act() {
    let digest = |change: &[&str]| {
        let changes = [&["duration=420s", "faults.cut.heal=419s", "expect={}", "control=[]"], change].concat();
        let scenario = scenario(LIBRARY[0]).with(&changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let mut simulation = Simulation::new(&scenario);
        simulation.run_until(Instant::from_secs(345));
        simulation.world().trace.digest()
    };
    let plain = digest(&[]);
    for change in [
        "assume.vgw_programming_delay=1s",
        "assume.vpc_propagation_delay=1s",
        "assume.preferred_med=50",
        "connections.vpn.routing.aws.keepalive=7s",
        "nodes.vgw.preferred_tunnel=vpn.b",
    ] {
        assert_ne!(digest(&[change]), plain, "{change} does nothing");
    }
}
