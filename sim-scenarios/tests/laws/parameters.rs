//! What AWS does not publish: each such number is a parameter with a default that is reasoned for, and it acts.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::reason::TimerKind;
use sim_core::time::Instant;
use sim_core::trace::What;
use sim_scenarios::plan::{Assumed, Assumption};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::bare::{Bare, library};

/// Scenarios whose assumptions are all that there are.
const LIBRARY: &[&str] = &[
    library!("active_passive"),
    library!("ecmp_conditions"),
    library!("transit_tgw_nat_gateway"),
    library!("dx_bfd"),
    library!("tunnel_endpoint_replacement"),
    library!("graceful_delete"),
    library!("policy_based_two_networks"),
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
        A::RatesCount,
        A::SecondSaPair,
        A::EndpointIcmp,
        A::EcmpPaths,
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

/// Guide, "Tunnel options": margin and fuzz, and no formula. Of an hour's CHILD_SA with a margin of 270 s and all of it as fuzz, AWS rekeys 270 to
/// 540 s before the end, or by the other reading in the last 270 s.
#[test]
fn aws_rekeys_by_one_of_two_laws() {
    let drawing = Bare::without_faults(library!("active_passive"));
    let rekeyed = |law: &str| {
        let changes = [
            &format!("assume.rekey_law={law}")[..],
            // The customer gateway leaves it to AWS.
            "connections.vpn.tunnels.a.customer.phase2.lifetime=2h",
            "connections.vpn.tunnels.b.customer.phase2.lifetime=2h",
            "duration=3700s",
            "probes={}",
        ];
        let mut simulation = Simulation::new(&drawing.taken(&changes));
        simulation.run_until(Instant::from_secs(3_690));
        let trace = &simulation.world().trace;
        let of_aws = |node| simulation.world().node_name(node).starts_with("vpn.");
        let expired = trace.records().filter_map(|(_, record)| match record.what {
            What::Expired { timer: TimerKind::ChildRekey, .. } if of_aws(record.node) => Some(record.at),
            _ => None,
        });
        expired.map(|at| at.since_start().as_secs_f64()).collect::<Vec<f64>>()
    };
    let (before, within) = (rekeyed("before_margin"), rekeyed("within_margin"));
    // Set up in the first seconds.
    assert!(!before.is_empty() && before.iter().all(|at| (3_060.0..3_340.0).contains(at)), "{before:?}");
    assert!(!within.is_empty() && within.iter().all(|at| (3_330.0..3_610.0).contains(at)), "{within:?}");
    let warned = drawing.taken(&[]).plan().assumptions.iter().any(|it| it.parameter == "assume.rekey_law");
    assert!(warned, "it is said");
}

/// Digests of AWS's texts have 400,000 packets a second for a large tunnel: a parameter, and so named where there is one.
#[test]
fn the_packet_rate_of_a_large_tunnel_is_a_parameter() {
    let named = |changes: &[&str]| {
        let scenario = Bare::new(library!("ecmp_conditions")).taken(changes);
        let it = scenario.plan().assumptions.iter().find(|it| it.what == Assumed::LargePacketRate).cloned();
        it.map(|it| it.value)
    };
    let large = "connections.one.tunnel_bandwidth=large";
    assert_eq!(named(&[]), None);
    assert_eq!(named(&[large]).as_deref(), Some("400000"));
    assert_eq!(named(&[large, "assume.large_packet_rate=300000"]).as_deref(), Some("300000"));
}

/// A report names what its figures rest on: how much may come at once, and which ways a rate is for, where more came than a tunnel carries
/// (140,000 packets a second), and not elsewhere.
#[test]
fn a_report_names_the_assumptions_of_rates_where_they_matter() {
    let drawing = Bare::without_faults(library!("active_passive"));
    let named = |every: &str| {
        let probes = format!(
            "probes={{\"s\": UdpOneWay(from: \"app\", to: \"office\", every: \"{every}\", size: 60, start: \"100s\", stop: \"100.2s\")}}"
        );
        let report = drawing.answer(&["duration=101s", &probes]);
        let has = |name: &str| report.assumptions.iter().any(|it| it.parameter == format!("assume.{name}"));
        [has("tunnel_burst"), has("rates_count")]
    };
    assert_eq!(named("5us"), [true; 2], "200,000 a second");
    assert_eq!(named("10us"), [false; 2], "100,000 a second");
}

/// Those that a silent path brings into play change what happens.
#[test]
fn assumptions_act() {
    let digest = |change: &[&str]| {
        let changes = [&["duration=420s", "faults.cut.heal=419s"], change].concat();
        let mut simulation = Simulation::new(&Bare::new(LIBRARY[0]).taken(&changes));
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
