//! What a run shows at an instant: lists, lanes, what happened, and what a device holds.

use sim_core::id::{NodeId, RecordId, StreamId};
use sim_core::packet::ProbeTag;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{StreamInfo, Trace};
use sim_scenarios::report::model::Seconds;
use sim_scenarios::report::story::{self, Block};
use sim_scenarios::report::text;
use sim_scenarios::scene::{Chronicle, Column, Happening, Kind, columns, device, inspect, lane, links, span};
use sim_scenarios::{NoSecrets, Scenario, Simulation};

fn scenario(text: &str) -> Scenario {
    Scenario::parse("test.ron", text, &NoSecrets).unwrap()
}

const TWO_HOSTS: &str = r#"(
    version: 1,
    name: "two_hosts",
    question: "Does a ping come back?",
    duration: "10s",
    nodes: { "a": Host(address: "10.0.0.1/24"), "b": Host(address: "10.0.0.2/24") },
    links: { "wire": Link(between: ("a", "b"), delay: "5ms") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
    faults: {
        "cut": (at: "2s", heal: "3s", what: LinkDown(link: "wire")),
        "one_way": (at: "4s", heal: "5s", what: Blackhole(link: "wire", direction: "reverse")),
        "power": (at: "6s", heal: "7s", what: PowerLoss(node: "b")),
    },
)"#;

/// The lists follow the faults: what is hit says so, and nothing else.
#[test]
fn lists_show_what_a_fault_hits() {
    let scenario = scenario(TWO_HOSTS);
    let mut simulation = Simulation::new(&scenario);
    let mut chronicle = Chronicle::new(simulation.world());
    let mut seen = Vec::new();
    for tenth in [10, 25, 35, 45, 55, 65, 75] {
        simulation.run_until(Instant::START + Duration::from_millis(tenth * 100));
        chronicle.follow(scenario.plan(), simulation.world());
        let wire = &links(simulation.world(), 1)[0];
        let b = device(scenario.plan(), simulation.world(), &chronicle, NodeId(1));
        seen.push(format!(
            "{}.{}s {} {:?} / {} {:?}",
            tenth / 10,
            tenth % 10,
            wire.says,
            wire.faults,
            b.says,
            b.faults
        ));
    }
    assert_eq!(
        seen,
        [
            "1.0s up [] /  []",
            "2.5s down [\"cut\"] /  []",
            "3.5s up [] /  []",
            "4.5s silent back [\"one_way\"] /  []",
            "5.5s up [] /  []",
            "6.5s up [] / no power [\"power\"]",
            "7.5s up [] /  []",
        ]
    );
}

/// A ping of 10 ms there and back, every 100 ms: what is sent from 1.995 s on is on the wire or not sent when it is cut at 2 s.
#[test]
fn a_stream_goes_dark_and_comes_back() {
    let scenario = scenario(TWO_HOSTS);
    let mut simulation = Simulation::new(&scenario);
    let mut chronicle = Chronicle::new(simulation.world());
    let mut told = 0;
    let mut lines = Vec::new();
    // Wherever the run is cut, the same lines come in the same order, and in order of time.
    for until in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(Instant::from_secs) {
        simulation.run_until(until);
        let (plan, world) = (scenario.plan(), simulation.world());
        chronicle.follow(plan, world);
        let settled = if until == simulation.end() { Instant::NEVER } else { chronicle.settled(plan, world) };
        let new: Vec<Happening> = chronicle.until(plan, world, told, settled).collect();
        told += new.len();
        lines.extend(new);
    }
    assert!(lines.is_sorted_by_key(|line| line.at));
    let probes = lines.iter().filter(|line| line.kind == Kind::Probe);
    let probes: Vec<String> = probes.map(|line| format!("{} {}", line.at, line.text)).collect();
    assert_eq!(
        probes,
        [
            "2s ping round trip: dark",
            "3s ping round trip: back after 1.000 s",
            "4s ping round trip: dark",
            "5s ping round trip: back after 1.000 s",
            "6s ping round trip: dark",
            "7s ping round trip: back after 1.000 s",
        ]
    );
}

/// What is told as it happens is what the report tells afterwards, word for word.
#[test]
fn the_chronicle_has_every_line_of_the_report_s_timeline() {
    let scenario = scenario(include_str!("../../scenarios/active_passive.ron"));
    let mut simulation = Simulation::new(&scenario);
    let mut chronicle = Chronicle::new(simulation.world());
    for part in 1..=9 {
        simulation.run_until(Instant::from_secs(part * 100));
        chronicle.follow(scenario.plan(), simulation.world());
    }
    let world = simulation.world();
    let told = chronicle.until(scenario.plan(), world, 0, Instant::NEVER);
    let told: Vec<(String, String)> = told.map(|it| (Seconds::from(it.at).to_string(), it.text)).collect();
    let sections = story::tell(&simulation.answer());
    let timeline = sections.iter().find(|section| section.title == "Timeline").unwrap();
    let Block::Table(timeline) = &timeline.blocks[0] else { panic!("the timeline is a table") };
    assert!(timeline.rows.len() > 30);
    for row in &timeline.rows {
        // A stream that answers is told of there and back only.
        if row[1].starts_with("app forward") {
            continue;
        }
        assert!(told.contains(&(row[0].clone(), row[1].clone())), "{row:?} is not in {told:#?}");
    }
    // The hold timer of the customer's end, whose keepalive the cut took: cause and fault are named.
    let lost = chronicle
        .latest(scenario.plan(), world, false, 0)
        .find(|it| it.text == "bgp vpn.a@cgw: idle (hold_timer_expired)")
        .unwrap();
    assert_eq!(lost.because, "bgp vpn.a@cgw: hold_timer expired; fault cut");
}

/// SPIs of both ends are the same two, crosswise; sequence numbers are those of what was sent; the timers are those that the scenario sets.
#[test]
fn an_inspected_gateway_shows_its_sas_sessions_and_tables() {
    let scenario = scenario(include_str!("../../scenarios/active_passive.ron"));
    let mut simulation = Simulation::new(&scenario);
    let mut chronicle = Chronicle::new(simulation.world());
    simulation.run_until(Instant::from_secs(100));
    chronicle.follow(scenario.plan(), simulation.world());
    let plan = scenario.plan();
    let shown = |name: &str| {
        let sections = inspect(plan, simulation.built(), &chronicle, plan.node(name).unwrap());
        text::render_sections(&sections, text::Layout { width: 400, styled: false })
    };
    let (cgw, aws) = (shown("cgw"), shown("vpn.a"));
    let spis = |text: &str| {
        let line = text.lines().find(|line| line.contains("SPI in")).unwrap();
        let word = |mark: &str| line.split(mark).nth(1).unwrap().trim().split(',').next().unwrap().to_owned();
        [word("SPI in"), word(", out")]
    };
    let ([in_here, out_here], [in_there, out_there]) = (spis(&cgw), spis(&aws));
    assert_eq!((&in_here, &out_here), (&out_there, &in_there));
    // BGP's defaults of AWS: 30 s and 10 s (a third of it, RFC 4271 section 4.4).
    assert!(cgw.contains("hold time 30s, keepalive 10s"), "{cgw}");
    for words in
        ["established (keepalive_received)", "hold_timer in ", "keepalive_timer in ", "dpd_idle in ", "10.0.0.0/16"]
    {
        assert!(cgw.contains(words), "no {words} in {cgw}");
    }
    assert!(shown("vgw").contains("10.1.0.0/16"), "{}", shown("vgw"));
    assert!(shown("vpc").contains("propagated"), "{}", shown("vpc"));
    assert!(!cgw.to_lowercase().contains("psk"), "keys are not shown");
}

#[test]
fn spans_have_two_units_at_most() {
    for (millis, text) in [
        (0, "0.000s"),
        (36, "0.036s"),
        (9_999, "9.999s"),
        (10_000, "10.0s"),
        (59_999, "59.9s"),
        (60_000, "1m00s"),
        (3_599_999, "59m59s"),
        (28_800_000, "8h00m"),
    ] {
        assert_eq!(span(Duration::from_millis(millis)), text);
    }
}

/// Ten probes a second for ten seconds; those of the fourth second are lost, every other one of the fifth, and the last is under way.
#[test]
fn lanes_count_what_was_sent_in_each_part() {
    let mut trace = Trace::default();
    let info = StreamInfo {
        name: "ping".into(),
        from: NodeId(0),
        to: NodeId(1),
        interval: Duration::from_millis(100),
        round_trip: false,
    };
    let stream: StreamId = trace.add_stream(info);
    for number in 0..100 {
        let sent = Instant::START + Duration::from_millis(number * 100);
        let seq = trace.probe(stream).send(sent);
        let tag = ProbeTag { stream, seq, reply: false };
        match number {
            99 => {}
            30..40 => trace.probe(stream).lost(tag, RecordId::GENESIS),
            40..50 if number % 2 == 0 => trace.probe(stream).lost(tag, RecordId::GENESIS),
            _ => trace.probe(stream).arrived(tag, sent, RecordId::GENESIS),
        }
    }
    let log = &trace.probes()[0];
    let all = columns(log, Instant::START, Instant::from_secs(10), 10);
    let counted: Vec<(u32, u32)> = all.iter().map(|it| (it.passed, it.lost)).collect();
    assert_eq!(counted, [(10, 0), (10, 0), (10, 0), (0, 10), (5, 5), (10, 0), (10, 0), (10, 0), (10, 0), (9, 0)]);
    assert!(all[3].is_dark() && !all[4].is_dark());
    assert_eq!([all[0].eighths(), all[3].eighths(), all[4].eighths()], [Some(8), Some(0), Some(4)]);
    // A window within: the same probes in finer parts, and none from outside.
    let part = columns(log, Instant::from_secs(3), Instant::from_secs(5), 4);
    assert_eq!(part.iter().map(|it| (it.passed, it.lost)).collect::<Vec<_>>(), [(0, 5), (0, 5), (2, 3), (3, 2)]);
    assert_eq!(columns(log, Instant::from_secs(50), Instant::from_secs(60), 3), [Column::default(); 3]);
    assert_eq!(Column::default().eighths(), None);
    assert_eq!(lane::place(Instant::from_secs(3), Instant::START, Instant::from_secs(10), 10), Some(3));
    assert_eq!(lane::place(Instant::from_secs(10), Instant::START, Instant::from_secs(10), 10), None);
}

/// Cut into pieces of any number of events, a run is the same run.
#[test]
fn a_run_in_pieces_is_the_same_run() {
    let scenario = scenario(TWO_HOSTS);
    let whole = Simulation::new(&scenario).finish().report;
    for most in [1, 7, 1_000] {
        let mut simulation = Simulation::new(&scenario);
        let mut pieces = 1;
        while !simulation.run_some(Instant::from_secs(5), most) {
            pieces += 1;
            assert!(simulation.world().now() <= Instant::from_secs(5));
        }
        assert_eq!(simulation.world().now(), Instant::from_secs(5), "{most}");
        assert_eq!(pieces > 1, most < 1_000, "{most}: {pieces} pieces");
        assert_eq!(simulation.finish().report.digest, whole.digest, "{most}");
    }
}
