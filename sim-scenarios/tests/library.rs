//! The library of scenarios is held whole: every expectation holds, every control breaks the one that it names, and
//! every golden report is what the scenario answers today.
//!
//! `UPDATE=1 cargo test -p sim-scenarios --test library` rewrites the reports; read the difference as carefully as code.

use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};
use std::{env, fs, thread};

use oracle::{Oracle, Seen, Verdict};
use sim_core::time::Duration;
use sim_core::trace::ledger::Balance;
use sim_scenarios::plan::{Control, ExpectationKind};
use sim_scenarios::report::markdown;
use sim_scenarios::report::model::Report;
use sim_scenarios::{NoSecrets, Scenario, Simulation, pool};

mod oracle;
mod shared;

/// A scenario of the library as it stands, with its answer.
struct Entry {
    name: String,
    scenario: Scenario,
    report: Report,
    markdown: String,
    balance: Balance,
    seen: Vec<Option<Seen>>,
}

/// The whole library, run once for all tests of this file.
fn library() -> Arc<Vec<Entry>> {
    static LIBRARY: OnceLock<Arc<Vec<Entry>>> = OnceLock::new();
    let run = |(name, text): &(String, String)| {
        let scenario = shared::parse(name, text);
        let mut simulation = Simulation::prepare(&scenario, |world| world.trace.keep_ledger());
        simulation.run_until(simulation.end());
        let (balance, seen) = (simulation.balance().expect("it is kept"), oracle::seen(&simulation));
        let outcome = simulation.answer();
        let markdown = markdown::render(&outcome);
        Entry { markdown, report: outcome.report, name: name.clone(), scenario, balance, seen }
    };
    LIBRARY.get_or_init(|| Arc::new(on_all_cores(&shared::texts(), run))).clone()
}

/// What `work` makes of each, in their order.
fn on_all_cores<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut results = Vec::new();
    pool::in_order(threads, all.len(), |n| work(&all[n]), |_, result| results.push(result));
    results
}

/// Fails with all that was found.
fn none(found: &[String]) {
    assert!(found.is_empty(), "\n\n{}\n", found.join("\n\n"));
}

#[test]
fn every_expectation_holds() {
    let mut broken = Vec::new();
    for entry in library().iter() {
        let failed = entry.report.expectations.iter().filter(|e| !e.held);
        broken.extend(failed.map(|e| {
            format!("{}: `{}` does not hold\n  expected {}\n  found {}", entry.name, e.name, e.text, e.detail)
        }));
    }
    none(&broken);
}

#[test]
fn every_control_breaks_what_it_names() {
    let mut broken = Vec::new();
    let mut controls = Vec::new();
    let library = library();
    for entry in library.iter() {
        let plan = entry.scenario.plan();
        if plan.controls.is_empty() {
            broken.push(format!("{} has no control", entry.name));
        }
        controls.extend(plan.controls.iter().map(|control| (entry, control)));
    }
    broken.extend(on_all_cores(&controls, |(entry, control)| holds_in_spite(entry, control)).into_iter().flatten());
    none(&broken);
}

/// What is to be said of a control that does not break the expectation it names.
fn holds_in_spite(entry: &Entry, control: &Control) -> Option<String> {
    let place = format!("{} with {}", entry.name, control.change.join(", "));
    let changed = entry.scenario.with(&control.change, &NoSecrets);
    let changed = changed.unwrap_or_else(|mistakes| panic!("{place}:\n{mistakes}"));
    // A run in which packets get lost without a reason panics.
    let run = panic::catch_unwind(AssertUnwindSafe(|| Simulation::new(&changed).finish().report));
    let Ok(report) = run else {
        return Some(format!("{place}: the run panics"));
    };
    let name = &entry.scenario.plan().expectations[control.fails].name;
    let named = report.expectations.iter().find(|e| &e.name == name).expect("it is judged");
    let (text, detail) = (&named.text, &named.detail);
    named.held.then(|| format!("{place}: `{name}` still holds\n  expected {text}\n  found {detail}"))
}

/// An expectation that nothing can break says nothing: durations and counts that are expected to lie in a range have an
/// upper end, or a lower end above zero.
#[test]
fn expectations_can_fail() {
    let mut broken = Vec::new();
    for entry in library().iter() {
        let plan = entry.scenario.plan();
        let length = plan.duration;
        let mut say = |name: &str, why: &str| broken.push(format!("{}: `{name}` {why}", entry.name));
        for expectation in &plan.expectations {
            let name = &expectation.name;
            match &expectation.kind {
                ExpectationKind::OutageBetween { max, .. } if *max >= length => {
                    say(name, "has no upper end");
                }
                ExpectationKind::DropsBetween { min: 0, max: u64::MAX, .. } => {
                    say(name, "has neither end");
                }
                ExpectationKind::RekeysBetween { min: 0, max: u64::MAX, .. }
                | ExpectationKind::EstablishedTimes { min: 0, max: u64::MAX, .. }
                | ExpectationKind::FlowsBetween { min: 0, max: u64::MAX, .. } => {
                    say(name, "has neither end");
                }
                ExpectationKind::EcmpBetween { min, max, .. }
                    if min.probability() == 0.0 && max.probability() >= 1.0 =>
                {
                    say(name, "has neither end");
                }
                ExpectationKind::ApplicationOutageBetween { max, .. } if *max >= length => {
                    say(name, "has no upper end");
                }
                ExpectationKind::LossBetween { min, max, .. }
                    if min.probability() == 0.0 && max.probability() >= 1.0 =>
                {
                    say(name, "has neither end");
                }
                ExpectationKind::EstablishedWithin { within, .. } | ExpectationKind::ConvergedWithin { within, .. }
                    if *within >= length || *within == Duration::ZERO =>
                {
                    say(name, "cannot fail, or cannot hold");
                }
                _ => {}
            }
        }
        // A dark time that is expected has a lower end somewhere, or a world without the fault would do as well.
        let dark = plan.expectations.iter().any(|e| match e.kind {
            ExpectationKind::OutageBetween { min, .. } => !min.is_zero(),
            ExpectationKind::LossBetween { min, .. } => min.probability() > 0.0,
            ExpectationKind::EcmpBetween { min, .. } => min.probability() > 0.0,
            ExpectationKind::ApplicationOutageBetween { min, .. } => !min.is_zero(),
            ExpectationKind::DropsBetween { min, .. }
            | ExpectationKind::FlowsBetween { min, .. }
            | ExpectationKind::RekeysBetween { min, .. } => min > 0,
            // That something never comes up is something to happen, too.
            ExpectationKind::EstablishedTimes { max, .. } => max == 0,
            ExpectationKind::MetricBetween { min, .. } => min > 0.0,
            ExpectationKind::DetectedBy { .. }
            | ExpectationKind::RoutePresent { .. }
            | ExpectationKind::AlarmWithin { .. } => true,
            _ => false,
        });
        if !dark {
            say("expect", "asks for nothing to happen");
        }
    }
    none(&broken);
}

#[test]
fn every_golden_report_is_today_s() {
    let update = env::var_os("UPDATE").is_some() && env::var_os("CI").is_none();
    let folder = shared::repository("reports");
    let mut broken = Vec::new();
    for entry in library().iter() {
        let file = folder.join(format!("{}.md", entry.name));
        if update {
            fs::create_dir_all(&folder).expect("the folder can be made");
            fs::write(&file, &entry.markdown).expect("it can be written");
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        if golden != entry.markdown {
            let lines = golden.lines().chain([""; 1]).zip(entry.markdown.lines().chain([""; 1])).enumerate();
            let first = lines.filter(|(_, (then, now))| then != now).take(1);
            let first: String =
                first.map(|(i, (then, now))| format!("  line {}\n  golden  {then}\n  today   {now}", i + 1)).collect();
            broken.push(format!("reports/{}.md is not today's answer (UPDATE=1 rewrites it)\n{first}", entry.name));
        }
    }
    none(&broken);
}

/// A report without a scenario answers a question that nobody can ask again.
#[test]
fn every_golden_report_has_its_scenario() {
    let Ok(folder) = fs::read_dir(shared::repository("reports")) else { return };
    let names: Vec<String> = shared::texts().into_iter().map(|(name, _)| name).collect();
    for path in folder.map(|entry| entry.expect("it can be listed").path()) {
        if path.extension().is_some_and(|end| end == "md") {
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            assert!(stem == "README" || names.contains(&stem), "reports/{stem}.md has no scenario");
        }
    }
}

/// The list in scenarios/README.md has each scenario once, and nothing else.
#[test]
fn every_scenario_is_listed() {
    let text = fs::read_to_string(shared::repository("scenarios/README.md")).expect("it is there");
    let (list, claims) = text.split_once("## What the field says").expect("it has both parts");
    for (name, _) in shared::texts() {
        assert_eq!(list.matches(&format!("[{name}]({name}.ron)")).count(), 1, "scenarios/README.md and {name}");
    }
    let known: Vec<String> = shared::texts().into_iter().map(|(name, _)| name).collect();
    for link in claims.split("](").skip(1).filter_map(|rest| rest.split_once(".ron)")).map(|(name, _)| name) {
        assert!(known.iter().any(|name| name == link), "scenarios/README.md names {link}");
    }
}

/// Sent = delivered + dropped with a reason + in flight: no packet of any scenario, controls included, is swallowed or comes out of nothing
/// ([`sim_core::trace::ledger`]). That each is where its account says, [`Simulation::balance`] has asserted; here, that there was something to
/// account for.
#[test]
fn packets_are_conserved() {
    let mut sum = Balance::default();
    for Entry { name, balance, .. } in library().iter() {
        assert!(balance.is_even(), "{name}: {balance:?}");
        assert!(balance.created > 0 && balance.delivered > 0, "{name}: {balance:?}");
        sum.dropped += balance.dropped;
        sum.copied += balance.copied;
        sum.cut += balance.cut;
        sum.joined += balance.joined;
        sum.in_flight += balance.in_flight;
    }
    let Balance { dropped, copied, cut, joined, in_flight, .. } = sum;
    assert!([dropped, copied, cut, joined, in_flight].iter().all(|number| *number > 0), "{sum:?}");
}

/// Scenarios of which the oracle of who reaches whom says something else than happens, or nothing: what it does not know, for
/// each.
const BEYOND_THE_ORACLE: &[(&str, &str)] = &[
    ("asymmetric_urpf", "filters of reverse paths"),
    ("client_vpn_denied", "Client VPN"),
    ("client_vpn_split_tunnel", "Client VPN"),
    ("dx_mtu_change", "sizes"),
    ("ec2_as_customer_gateway", "a customer gateway inside of a VPC"),
    ("dx_pinned_overlay", "GRE"),
    ("dx_unpinned_overlay", "GRE"),
    ("esp_without_natt_two_clients", "a NAT that serves one inside host at a time"),
    ("ipv6_outside_tgw", "sizes"),
    ("fragments_after_encryption", "sizes"),
    ("ha_firewall_takeover", "Ethernet"),
    ("ipv6_inside_tgw", "IPv6"),
    ("jumbo_dx_to_vpn_failover", "sizes"),
    ("loopback_multihop_never_establishes", "BGP sessions over several hops"),
    ("mtu_blackhole_and_clamp", "sizes"),
    ("narrow_path", "sizes"),
    ("nat_timeout_idle", "how long a NAT remembers"),
    ("overlapping_cidrs_two_sites", "which of two equal routes AWS takes"),
    ("path_mtu", "sizes"),
    ("software_vpn_ha", "a customer gateway inside of a VPC"),
    ("tgw_connect_gre", "GRE"),
    ("tgw_connect_sdwan", "GRE"),
    ("tgw_intra_and_inter_region_peering", "sizes"),
    ("third_party_private_egress", "a load balancer's choice"),
    ("policy_based_two_networks", "which of two networks has the tunnel"),
    ("privatelink_behind_nlb", "a load balancer"),
    ("vpc_100_propagated_routes", "which hundred routes a table takes"),
    ("vrrp_ip_sla", "Ethernet"),
];

/// The oracle and the packets agree about every probe, once everything has converged and before anything happens.
#[test]
fn packets_go_where_the_oracle_says() {
    let mut wrong = Vec::new();
    let mut agreed = [0, 0];
    for Entry { name, scenario, seen, .. } in library().iter() {
        let oracle = Oracle::of(scenario.plan());
        let mut differs = Vec::new();
        for (probe, seen) in scenario.plan().probes.iter().zip(seen) {
            let Some(seen) = seen else { continue };
            match (oracle.ask(probe), seen) {
                (Verdict::Answered, Seen::Answered) => agreed[0] += 1,
                (Verdict::Lost(_), Seen::Lost) => agreed[1] += 1,
                (said, seen) => differs.push(format!("{name}: {} was {seen:?}, the oracle says {said:?}", probe.name)),
            }
        }
        match BEYOND_THE_ORACLE.iter().find(|(beyond, _)| beyond == name) {
            None => wrong.extend(differs),
            Some((_, why)) if differs.is_empty() => {
                wrong.push(format!("{name} is said to be beyond the oracle ({why}), and is not"));
            }
            Some(_) => {}
        }
    }
    none(&wrong);
    // Both answers occur, and often.
    assert!(agreed[0] > 100 && agreed[1] > 10, "{agreed:?}");
}
