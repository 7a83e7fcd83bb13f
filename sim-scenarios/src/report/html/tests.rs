use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::report::fixture;
use crate::{NoSecrets, Scenario, Simulation};

const ACTIVE_PASSIVE: &str = include_str!("../../../../scenarios/active_passive.ron");

fn parse(text: &str) -> Scenario {
    Scenario::parse("test.ron", text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The scenario without waiting for its end: what is looked at has happened by then.
fn run(scenario: &Scenario, seconds: u64) -> Outcome {
    let mut simulation = Simulation::new(scenario);
    simulation.run_until(sim_core::time::Instant::from_secs(seconds));
    simulation.answer()
}

fn page(outcome: &Outcome, plan: &Plan) -> String {
    render(outcome, &Asked { plan, text: "(version: 1)", command: "vpnsim run x.ron" })
}

/// The data of the timeline, as a browser reads them.
fn data(page: &str) -> serde_json::Value {
    let (_, after) = page.split_once("<script type=\"application/json\" id=\"lane-data\">").expect("the page has data");
    let (text, _) = after.split_once("</script").expect("the element ends");
    serde_json::from_str(text).expect("it is JSON")
}

/// What is named in a scenario stands in the page as text, wherever it stands: between tags, in attributes, in the drawing, in the
/// data of the script.
#[test]
fn no_name_becomes_markup() {
    const NASTY: &str = "</script><script>alert(1)</script><!-- \" ' & \u{2028} {{ 1 }}";
    let scenario = parse(ACTIVE_PASSIVE);
    let (outcome, plan) = (fixture::failover(), scenario.plan());
    let tags = |page: &str, tag: &str| page.matches(tag).count();
    let tame = page(&outcome, plan);

    let mut plan = (**plan).clone();
    plan.question = NASTY.into();
    plan.nodes.iter_mut().for_each(|node| node.name.push_str(NASTY));
    plan.links.iter_mut().for_each(|link| link.name.push_str(NASTY));
    plan.faults.iter_mut().for_each(|fault| fault.name.push_str(NASTY));
    plan.connections.iter_mut().flat_map(|c| &mut c.tunnels).for_each(|tunnel| tunnel.name.push_str(NASTY));
    let mut named = outcome;
    named.report.scenario = NASTY.into();
    named.report.faults.iter_mut().for_each(|fault| {
        fault.id.push_str(NASTY);
        fault.target.push_str(NASTY);
        fault.critical_path.iter_mut().for_each(|step| step.subject.push_str(NASTY));
    });
    named.report.sessions.iter_mut().for_each(|session| session.name.push_str(NASTY));
    named.report.outages.iter_mut().for_each(|outage| outage.probe.push_str(NASTY));
    named.report.drops.iter_mut().for_each(|drop| {
        drop.link = Some(NASTY.into());
        drop.reason = NASTY.into();
    });
    named.report.expectations.iter_mut().for_each(|it| it.text.push_str(NASTY));
    named.report.assumptions.iter_mut().for_each(|it| it.source.push_str(NASTY));
    named.detail.routes.iter_mut().for_each(|route| route.via = Some(NASTY.into()));
    named.detail.losses.iter_mut().for_each(|losses| losses.probe.push_str(NASTY));
    let asked = Asked { plan: &plan, text: NASTY, command: NASTY };
    let page = render(&named, &asked);

    for tag in ["<script", "</script", "<!--", "<svg", "</svg", "<style", "</title"] {
        assert_eq!(tags(&page, tag), tags(&tame, tag), "{tag}");
    }
    assert!(page.contains("&#60;script&#62;alert(1)"), "it is there as text");
    assert!(page.contains("&lt;script&gt;alert(1)"), "and in the drawing");
    let lanes = data(&page)["lanes"].as_array().expect("it has lanes").clone();
    assert!(lanes.iter().any(|lane| lane["name"].as_str().is_some_and(|name| name.contains("<script>alert(1)"))));
}

/// A pre-shared key of a scenario's text or of a change to it is in no page.
#[test]
fn no_key_is_in_a_page() {
    let text = ACTIVE_PASSIVE.replacen(
        "outside_address: \"198.51.100.10\",",
        "outside_address: \"198.51.100.10\", pre_shared_key: \"hush_hush_1\",",
        1,
    );
    let scenario = parse(&text);
    let changed = scenario.with(&["connections.vpn.tunnels.a.pre_shared_key=hush_hush_2"], &NoSecrets).unwrap();
    let changes: Vec<_> = changed.changes().collect();
    let outcome = run(&changed, 30);
    let command = format!("vpnsim run x.ron --set {}", changes.join(" "));
    let page = render(&outcome, &Asked { plan: changed.plan(), text: &changed.text(), command: &command });
    assert!(page.contains("pre_shared_key"), "the text is there");
    assert!(!page.contains("hush_hush"));
}

#[test]
fn the_same_question_gives_the_same_page() {
    let scenario = parse(ACTIVE_PASSIVE);
    let draw = || page(&run(&scenario, 320), scenario.plan());
    assert_eq!(draw(), draw());
}

/// The page asks the network for nothing: whatever could name a place to load from is data or a place in the page itself.
#[test]
fn a_page_needs_no_network() {
    let scenario = parse(ACTIVE_PASSIVE);
    let page = page(&fixture::failover(), scenario.plan());
    for attribute in ["src=\"", "href=\"", "url(", "@import", "srcset="] {
        for (_, after) in page.match_indices(attribute).map(|(at, _)| page.split_at(at + attribute.len())) {
            assert!(after.starts_with('#') || after.starts_with("data:,"), "{attribute}{}", &after[..40]);
        }
    }
    assert!(!page.contains("https://"), "no address, also not one to be clicked on");
    assert!(page.contains("default-src 'none'"), "and the browser is told so");
}

/// A reader goes through the drawing from the left: the customer's host, its gateway, the provider, AWS.
#[test]
fn the_drawing_of_a_failover() {
    let scenario = parse(ACTIVE_PASSIVE);
    let drawn = topology::draw(scenario.plan());
    insta::assert_snapshot!("topology_active_passive", drawn.svg);
    assert_eq!(
        drawn.words,
        "Devices: office (host), cgw (customer gateway), isp (router), vgw (virtual private gateway), vpc (VPC), app (instance), \
         vpn.a (VPN endpoint), vpn.b (VPN endpoint). Links: lan (office to cgw), uplink (cgw to isp), path-a (isp to vpn.a), \
         path-b (isp to vpn.b). Tunnels: vpn.a (cgw to vpn.a), vpn.b (cgw to vpn.b)."
    );
    assert_eq!(drawn.svg.matches("class=\"fault\"").count(), 1, "one fault, one cross");
    assert!(drawn.svg.contains("<title>fault 1</title>"));
}

/// Boxes do not overlap, nor leave the drawing, in any scenario of the library.
#[test]
fn every_drawing_is_legible() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "ron"));
    names.sort();
    assert!(names.len() > 90);
    for path in names {
        let Ok(scenario) = Scenario::parse("x.ron", &std::fs::read_to_string(&path).unwrap(), &NoSecrets) else {
            continue;
        };
        let graph = graph::graph(scenario.plan());
        let spots = layout::places(&graph);
        for (i, a) in spots.iter().enumerate() {
            for b in &spots[i + 1..] {
                let apart = a.column != b.column || (a.row - b.row).abs() > 0.97;
                assert!(apart, "{}: {a:?} {b:?}", path.display());
            }
        }
        // A link joins neighbouring columns; only a tunnel leaps.
        for edge in graph.edges.iter().filter(|edge| edge.line != graph::Line::Tunnel) {
            let [a, b] = edge.ends.map(|end| spots[end].column);
            assert!(a.abs_diff(b) <= 1, "{}: {edge:?}", path.display());
        }
    }
}

/// So many sites like each other, one of which loses its path.
fn many_sites(sites: usize) -> String {
    let (mut nodes, mut links, mut connections) = (String::new(), String::new(), String::new());
    for n in 0..sites {
        let (third, fourth) = (n / 200, n % 200 + 1);
        let _ = write!(
            nodes,
            "\"host{n}\": Host(address: \"10.{third}.{fourth}.10/24\"), \"cgw{n}\": CustomerGateway(asn: {}, interfaces: \
             {{ \"lan\": (address: \"10.{third}.{fourth}.1/24\"), \"wan\": (address: \"203.{third}.{fourth}.10/24\") }}, \
             advertise: [\"10.{third}.{fourth}.0/24\"]),",
            64_600 + n
        );
        let _ = write!(
            links,
            "\"lan{n}\": Link(between: (\"host{n}\", \"cgw{n}.lan\")), \"up{n}\": Link(between: (\"cgw{n}.wan\", \"isp\")), \
             \"path{n}\": Path(between: (\"isp\", \"vpn{n}.a\")),"
        );
        let _ = write!(
            connections,
            "\"vpn{n}\": Vpn(customer_gateway: \"cgw{n}\", gateway: \"tgw\", routing: Bgp(), tunnels: {{ \"a\": (outside_address: \
             \"198.{third}.{fourth}.10\", inside_cidr: \"169.254.{}.{}/30\") }}),",
            10 + n / 60,
            n % 60 * 4
        );
    }
    format!(
        "(version: 1, name: \"many\", question: \"?\", duration: \"60s\", nodes: {{ {nodes} \"isp\": Router(address: \"203.0.113.1\"), \
         \"tgw\": TransitGateway(asn: 64512, vpcs: [\"vpc\"]), \"vpc\": Vpc(cidr: \"172.16.0.0/16\", subnets: {{ \"app\": (cidr: \
         \"172.16.1.0/24\", availability_zone: \"az1\") }}), \"app\": Instance(subnet: \"vpc.app\", address: \"172.16.1.10\") }}, links: \
         {{ {links} }}, connections: {{ {connections} }}, faults: {{ \"cut\": (at: \"30s\", what: Blackhole(link: \"path1\")) }})"
    )
}

/// Ninety-nine sites that nothing tells apart are one, and the one that is struck is drawn beside them.
#[test]
fn a_large_drawing_is_summarised() {
    let scenario = parse(&many_sites(100));
    let graph = graph::graph(scenario.plan());
    let sizes: Vec<(usize, &str)> = graph.shapes.iter().map(|shape| (shape.names.len(), shape.kind)).collect();
    for kind in ["host", "customer gateway", "VPN endpoint"] {
        let of_kind: BTreeSet<usize> = sizes.iter().filter(|(_, k)| *k == kind).map(|(n, _)| *n).collect();
        assert_eq!(of_kind, BTreeSet::from([1, 99]), "{kind}");
    }
    let drawn = topology::draw(scenario.plan());
    assert!(drawn.summarised);
    assert!(drawn.svg.contains("99 \u{d7} customer gateway"), "{}", drawn.svg);
    let few = parse(&many_sites(3));
    assert_eq!(graph::graph(few.plan()).shapes.len(), few.plan().nodes.len(), "a small one shows each");
}

/// Of a run whose path a went dark: the tunnel's lane goes with its BGP session, then with its CHILD_SA.
#[test]
fn a_tunnel_is_up_while_all_that_it_needs_is() {
    let scenario = parse(ACTIVE_PASSIVE);
    let outcome = Simulation::new(&scenario).finish();
    let rows = chart::rows(&outcome, scenario.plan());
    let lane = rows.iter().find(|lane| lane.label == "tunnel vpn.a").expect("it has a lane");
    let told: Vec<(String, &str)> = lane
        .spans
        .iter()
        .map(|span| (super::super::model::Seconds::from(span.from).to_string(), span.text.as_str()))
        .collect();
    // From reports/active_passive.md: CHILD_SAs are up at both ends at 0.048 s and BGP at 0.108 s; AWS's BGP session falls first at
    // 332.284 s; its CHILD_SA at 346.432 s; CHILD_SAs are back at 611.032 s and BGP at 611.092 s.
    let told: Vec<(&str, &str)> = told.iter().map(|(at, text)| (at.as_str(), *text)).collect();
    for expected in [
        ("0.048 s", "no BGP"),
        ("0.108 s", "up"),
        ("332.284 s", "no BGP"),
        ("346.444 s", "down"),
        ("611.032 s", "no BGP"),
        ("611.092 s", "up"),
    ] {
        assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
    }
    // Nothing overlaps, in any lane: the script looks for stretches by their ends.
    for lane in &rows {
        for pair in lane.spans.windows(2) {
            assert!(pair[0].to <= pair[1].from, "{}: {pair:?}", lane.label);
        }
    }
}

/// The bars of a waterfall begin where the wait did and end at the step; the last step ends at the right.
#[test]
fn bars_are_in_proportion() {
    let outcome = fixture::failover();
    let fall = Waterfall::of(&outcome.report.faults[0]).expect("it has a path");
    // The path of the fixture: 60 s to the probe that was back. The hold timer waited 27.9 s.
    let timer = fall.steps.iter().find(|step| step.timer).expect("a timer expired");
    let path = &outcome.report.faults[0].critical_path;
    let total = path[path.len() - 1].at_s.0.as_secs_f64() - 60.0;
    assert!((timer.width - 27_900.0 / total).abs() < 0.2, "{} of {total} s", timer.width);
    assert_eq!(timer.from, 0.0);
    let last = &fall.steps[fall.steps.len() - 1];
    assert!((last.from + last.width - 1_000.0).abs() < 0.2);
}

/// A drop on a link says between whom, so that the way need not be looked up.
#[test]
fn a_drop_says_on_which_way() {
    let scenario = parse(ACTIVE_PASSIVE);
    let outcome = run(&scenario, 340);
    let rows = drops(&outcome.report, scenario.plan());
    let mut ways: Vec<&str> =
        rows.iter().filter(|row| (&*row.place, &*row.reason) == ("path-a", "blackhole")).map(|row| &*row.way).collect();
    ways.sort_unstable();
    assert_eq!(ways, ["isp \u{2192} vpn.a", "vpn.a \u{2192} isp"]);
    assert_eq!(rows[0].percent, 100.0, "the most come first");
}
