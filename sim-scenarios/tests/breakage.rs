//! Break everything: what each component's failure does.

use std::collections::BTreeSet;

use sim_core::time::{Duration, Instant};
use sim_scenarios::breakage::report::{Breakage, Entry};
use sim_scenarios::breakage::{self, Depth, Window};
use sim_scenarios::plan::{NodeKind, Plan};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

mod shared;

/// Of probes that are closer together than this one in so many does: each component of a drawing is a run, and what breaks when is the
/// same to a probe each half second.
const APART: Duration = Duration::from_millis(500);

fn scenario(name: &str) -> Scenario {
    let (_, text) = shared::texts().into_iter().find(|(known, _)| known == name).expect("it is in the library");
    let scenario = shared::parse(name, &text);
    let close = scenario.plan().probes.iter().filter(|probe| probe.every < APART);
    let thin: Vec<String> = close.map(|probe| format!("probes.{}.every={}ns", probe.name, APART.as_nanos())).collect();
    scenario.with(&thin, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn broken(plan: &Plan, depth: Depth) -> Breakage {
    breakage::run(plan, depth, Window::of(plan), 2)
}

fn entry<'a>(answer: &'a Breakage, names: &[&str]) -> &'a Entry {
    let is = |entry: &&Entry| entry.components.iter().map(|c| c.name.as_str()).eq(names.iter().copied());
    answer.entries.iter().find(is).unwrap_or_else(|| panic!("{names:?} was not broken"))
}

fn names(components: &[sim_scenarios::breakage::report::Component]) -> Vec<&str> {
    components.iter().map(|component| component.name.as_str()).collect()
}

/// Breaking path-a is the fault that the scenario itself has: at the same moments it is the same run, to the last packet.
#[test]
fn a_broken_component_is_a_fault_like_one_that_is_written() {
    let scenario = scenario("active_passive");
    let answer = broken(scenario.plan(), Depth::Single);
    let seconds = |s: sim_scenarios::report::model::Seconds| format!("{}ns", s.0.as_nanos());
    let at =
        [format!("faults.cut.at={}", seconds(answer.strike_s)), format!("faults.cut.heal={}", seconds(answer.heal_s))];
    let report = Simulation::new(&scenario.with(&at, &NoSecrets).unwrap_or_else(|m| panic!("{m}"))).finish().report;
    let path = entry(&answer, &["path-a"]);
    assert_eq!(path.digest, report.digest);
    let outage = report.outages.iter().find(|o| o.probe == "app" && o.direction == "round_trip").expect("dark");
    assert_eq!(path.probes[0].outage_s, outage.duration_s);
    let noticed = path.detected.as_ref().expect("noticed");
    assert_eq!((noticed.node.as_str(), noticed.by.as_str()), ("cgw", "hold_timer"));
    let quiet = scenario.with(&["faults.cut.enabled=false"], &NoSecrets).unwrap_or_else(|m| panic!("{m}"));
    assert_eq!(answer.untouched.digest, Simulation::new(&quiet).finish().report.digest);
}

/// The ends of a stream are connected in the drawing without a component, tunnels being one hop from the customer gateway to
/// the endpoint by whatever lies between, and AWS's inside as it is wired: a search that knows no protocol and no time.
fn connected(plan: &Plan, without: &str, probe: usize) -> bool {
    let gone = |name: &str| name == without;
    let mut edges: Vec<(String, String)> = Vec::new();
    let name = |id: sim_core::id::NodeId| plan.nodes[id.index()].name.clone();
    let links = plan.links.iter().filter(|link| !gone(&link.name));
    edges.extend(links.map(|link| (name(link.ends[0].node), name(link.ends[1].node))));
    for node in &plan.nodes {
        match &node.kind {
            NodeKind::VpnEndpoint(endpoint) => edges.push((node.name.clone(), name(endpoint.gateway))),
            NodeKind::VirtualPrivateGateway(vgw) => {
                edges.extend(vgw.vpc.map(|vpc| (node.name.clone(), name(vpc))));
            }
            NodeKind::TransitGateway(tgw) => edges.extend(tgw.vpcs.iter().map(|vpc| (node.name.clone(), name(*vpc)))),
            NodeKind::Instance(instance) => edges.push((node.name.clone(), name(instance.vpc))),
            _ => {}
        }
    }
    edges.retain(|(a, b)| !gone(a) && !gone(b));
    let (from, to) = (name(plan.probes[probe].from), name(plan.probes[probe].to));
    let mut seen = BTreeSet::from([from]);
    loop {
        let next: Vec<String> = edges
            .iter()
            .flat_map(|(a, b)| [(a, b), (b, a)])
            .filter(|(a, b)| seen.contains(*a) && !seen.contains(*b))
            .map(|(_, b)| b.clone())
            .collect();
        if next.is_empty() {
            return seen.contains(&to);
        }
        seen.extend(next);
    }
}

/// Where both tunnels can carry everything, single points of failure are those of the drawing as a graph, and no others.
#[test]
fn single_points_of_failure_are_those_of_the_drawing() {
    for name in ["active_passive", "static_active_passive", "ike_rekey"] {
        let scenario = scenario(name);
        let plan = scenario.plan();
        let answer = broken(plan, Depth::Single);
        let found: BTreeSet<&str> = answer.single_points.iter().map(|component| component.name.as_str()).collect();
        let all = breakage::components(plan);
        let groups = |kind: &str| kind == "availability_zone" || kind == "group";
        let cut = |name: &str| (0..plan.probes.len()).any(|probe| !connected(plan, name, probe));
        let expected: BTreeSet<&str> =
            all.iter().filter(|c| !groups(c.kind) && cut(&c.name)).map(|c| c.name.as_str()).collect();
        assert!(!expected.is_empty(), "{name}: the one customer gateway is one");
        assert_eq!(found, expected, "{name}");
    }
}

/// A graph does not see what this does: the gateway that AWS uses goes on announcing the site when it has lost the LAN behind
/// it, so that this LAN is a single point of failure though another gateway stands beside it. That the link to the only host
/// is one, where packets run in a loop behind it until their TTL is gone, the graph sees, too.
#[test]
fn a_gateway_that_announces_a_lan_it_has_lost_is_found() {
    let scenario = scenario("vgw_never_balances");
    let answer = broken(scenario.plan(), Depth::Single);
    let found = names(&answer.single_points);
    assert!(found.contains(&"lan2") && found.contains(&"desk"), "{found:?}");
    assert!((0..scenario.plan().probes.len()).all(|probe| connected(scenario.plan(), "lan2", probe)));
    assert!(!found.contains(&"lan1") && !found.contains(&"uplink2"), "{found:?}");
}

#[test]
fn pairs_without_a_spare_are_named_and_none_that_holds_a_single_point() {
    let scenario = scenario("active_passive");
    let answer = broken(scenario.plan(), Depth::Pair);
    let pairs: Vec<Vec<&str>> = answer.double_points.iter().map(|pair| names(pair)).collect();
    for (one, other) in [("path-a", "path-b"), ("path-a", "vpn.b"), ("path-b", "vpn.a"), ("vpn.a", "vpn.b")] {
        assert!(pairs.contains(&vec![one, other]), "{one} and {other} are not in {pairs:?}");
    }
    assert!(!pairs.iter().flatten().any(|name| ["lan", "uplink", "cgw", "isp", "vgw"].contains(name)), "{pairs:?}");
    assert!(!pairs.contains(&vec!["path-a", "vpn.a"]), "one tunnel twice");
    let components = breakage::components(scenario.plan()).len();
    assert_eq!(answer.entries.len(), components + components * (components - 1) / 2);
}

#[test]
fn the_worst_comes_first_and_threads_change_nothing() {
    let scenario = scenario("static_active_passive");
    let plan = scenario.plan();
    let on = |threads| breakage::run(plan, Depth::Single, Window::of(plan), threads);
    let answer = on(1);
    assert_eq!(answer.to_json(), on(3).to_json());
    let waits: Vec<bool> = answer.entries.iter().map(|e| e.probes.iter().any(|probe| probe.until_repair)).collect();
    assert!(waits.is_sorted_by(|one, next| one >= next), "{waits:?}");
    let rest = answer.entries.iter().skip_while(|e| e.probes.iter().any(|probe| probe.until_repair));
    let dark: Vec<Duration> = rest.filter(|e| !e.probes[0].own_end).map(|e| e.probes[0].outage_s.0).collect();
    assert!(dark.is_sorted_by(|one, next| one >= next), "{dark:?}");
}

/// Whatever fails comes back when it is repaired, gateways of AWS included: their endpoints tell them again what they forgot.
#[test]
fn everything_comes_back_after_its_repair() {
    for name in ["active_passive", "ecmp_conditions"] {
        let scenario = scenario(name);
        let plan = scenario.plan();
        let before_end = |seconds| Instant::START + (plan.duration - Duration::from_secs(seconds));
        let window = Window { strike: before_end(300), heal: before_end(200) };
        for entry in &breakage::run(plan, Depth::Single, window, 2).entries {
            let gone = entry.probes.iter().find(|probe| probe.until_repair && probe.back_s.is_none());
            assert!(gone.is_none(), "{name}: {:?} is gone for good after {:?}", gone, names(&entry.components));
        }
    }
}

#[test]
fn it_reads_well() {
    let scenario = scenario("active_passive");
    let layout = sim_scenarios::report::text::Layout::default();
    let sections = broken(scenario.plan(), Depth::Single).sections();
    insta::assert_snapshot!(sim_scenarios::report::text::render_sections(&sections, layout));
}
