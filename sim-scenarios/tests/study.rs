//! Studies: what their language refuses, and the laws of common random numbers, of tables and of parts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use sim_core::time::Duration;
use sim_scenarios::study::results::{Results, Row, Value};
use sim_scenarios::study::shard::Shard;
use sim_scenarios::study::{Library, Study, carry_out, log, table};
use sim_scenarios::{Diagnostics, NoSecrets, Secrets};

/// Two hosts and a path that loses some. It is dark from the fault to its healing, and what is lost besides is chance.
const PING: &str = r#"(
    version: 1,
    name: "ping",
    question: "Does a ping come back?",
    duration: "20s",
    nodes: {
        "a": Host(address: "10.0.0.1/24"),
        "b": Host(address: "10.0.0.2/24"),
    },
    links: { "wire": Path(between: ("a", "b"), delay: "5ms", loss: "5%") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
    faults: { "cut": (at: "5s", heal: "8s", what: Blackhole(link: "wire")) },
    expect: { "some": LossBetween(probe: "ping", max: "90%") },
)"#;

/// The repository's scenarios, and those above.
struct Shelf;

impl Library for Shelf {
    fn scenario(&self, path: &str) -> Result<(String, String), String> {
        if path == "ping.ron" {
            return Ok((path.into(), PING.into()));
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(path);
        fs::read_to_string(file).map(|text| (path.into(), text)).map_err(|_| "no such file".into())
    }

    fn secrets(&self, _: &str) -> Box<dyn Secrets + Send + Sync> {
        Box::new(NoSecrets)
    }
}

fn parse(text: &str) -> Result<Study, Diagnostics> {
    Study::parse("study.ron", text, &Shelf)
}

fn study(parts: &str) -> Study {
    let text = format!(
        r#"(version: 1, name: "s", question: "?", scenario: "ping.ron", metrics: {{
            "dark": Outage(probe: "ping", fault: "cut"), "lost": LostProbes(probe: "ping") }}, {parts})"#
    );
    parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn rows(study: &Study, threads: usize) -> BTreeMap<u64, Row> {
    shard(study, threads, Shard::WHOLE)
}

fn shard(study: &Study, threads: usize, shard: Shard) -> BTreeMap<u64, Row> {
    let mut rows = BTreeMap::new();
    loop {
        let wanted = study.next(&rows, shard);
        if wanted.is_empty() {
            return rows;
        }
        carry_out(study, &wanted, threads, |row| {
            rows.insert(row.run, row);
            true
        });
    }
}

fn run(study: &Study) -> Results {
    study.results(rows(study, 2))
}

/// What identifies a run among those of other studies: its values, and by them everything else.
fn by_point(results: &Results) -> BTreeMap<String, Row> {
    let key = |row: &Row| format!("{:?} {}", row.point, row.seed);
    results.rows.iter().map(|row| (key(row), Row { run: 0, ..row.clone() })).collect()
}

const GRID: &str = r#"grid: { "loss": Values(paths: ["links.wire.loss"], values: ["0%", "10%"]) }, runs: 4, "#;

#[test]
fn what_is_measured_is_what_the_scenario_says() {
    let results = run(&study(
        r#"grid: { "heal": Values(paths: ["faults.cut.heal"], values: ["6s", "8s"]) }, set: ["links.wire.loss=0%"], runs: 2"#,
    ));
    assert_eq!(results.parameters, ["heal"]);
    // Probes leave at 0, 0.1, ... s and need 5 ms each way. The first that is lost to a path that is blind from 5 s on is that of
    // 5.0 s (its echo of 4.9 s is long back); the first to come through is that of the healing.
    for (row, (heal, dark)) in results.rows.iter().zip([(6.0, 1.0), (6.0, 1.0), (8.0, 3.0), (8.0, 3.0)]) {
        assert_eq!(row.point, [Value::Number(heal)]);
        // The last says that it was no longer dark at the end.
        assert_eq!(row.metrics, [Some(dark), Some(dark * 10.0), Some(0.0)], "run {}", row.run);
    }
}

#[test]
fn every_thread_count_gives_the_same() {
    let study = study(GRID);
    let one = rows(&study, 1);
    assert_eq!(one.len(), 8);
    for threads in [2, 3, 8] {
        assert_eq!(rows(&study, threads), one, "{threads} threads");
    }
}

#[test]
fn the_nth_run_of_each_point_has_the_same_seed_and_draws() {
    let results =
        run(&study(&format!(r#"{GRID} draw: {{ "at": Uniform(paths: ["faults.cut.at"], min: "2s", max: "7s") }}"#)));
    for n in 0..4 {
        let (first, second) = (&results.rows[n], &results.rows[n + 4]);
        assert_eq!((first.seed, &first.point[1]), (second.seed, &second.point[1]), "run {n} of each point");
        assert_ne!(first.point[0], second.point[0]);
        // The fault lasts from the draw to 8 s, on both: each 0.1 s one probe, so it is dark to within one.
        let Value::Number(at) = first.point[1] else { panic!("{:?} is no number", first.point[1]) };
        let dark = first.metrics[0].expect("a length");
        assert!((dark - (8.0 - at)).abs() <= 0.1, "dark for {dark}, cut at {at}");
    }
    let seeds: std::collections::BTreeSet<u64> = results.rows.iter().map(|row| row.seed).collect();
    assert_eq!(seeds.len(), 4);
}

#[test]
fn a_further_value_changes_no_row_that_was_there() {
    let few = by_point(&run(&study(GRID)));
    let more = by_point(&run(&study(&GRID.replace(r#""10%""#, r#""5%", "10%", "20%""#))));
    assert_eq!(more.len(), 16);
    assert!(few.iter().all(|(key, row)| more.get(key) == Some(row)));
}

#[test]
fn more_runs_change_no_row_that_was_there() {
    let few = by_point(&run(&study(GRID)));
    let more = by_point(&run(&study(&GRID.replace("runs: 4", "runs: 6"))));
    assert!(few.iter().all(|(key, row)| more.get(key) == Some(row)));
}

#[test]
fn a_further_parameter_rerolls_no_other() {
    let at = r#""at": Uniform(paths: ["faults.cut.at"], min: "2s", max: "7s")"#;
    let alone = run(&study(&format!("{GRID} draw: {{ {at} }}")));
    // A parameter that is drawn and changes nothing: the delay stays what it is. It stands before the other.
    let delay = r#""delay": Choice(paths: ["links.wire.delay"], of: ["5ms", "0.005s"])"#;
    let both = run(&study(&format!("{GRID} draw: {{ {delay}, {at} }}")));
    for (alone, both) in alone.rows.iter().zip(&both.rows) {
        assert_eq!(alone.point[1], both.point[2], "the draw of run {}", alone.run);
        assert_eq!((alone.seed, &alone.digest), (both.seed, &both.digest), "run {}", alone.run);
    }
    // And one of the grid, of which one value changes nothing.
    let wide = run(&study(
        &GRID.replace("grid: {", r#"grid: { "delay": Values(paths: ["links.wire.delay"], values: ["5ms", "9ms"]),"#),
    ));
    let narrow = run(&study(GRID));
    for (narrow, wide) in narrow.rows.iter().zip(&wide.rows) {
        assert_eq!((narrow.seed, &narrow.digest, &narrow.metrics), (wide.seed, &wide.digest, &wide.metrics));
    }
}

#[test]
fn a_run_that_fails_is_a_row_and_stops_no_other() {
    // A fault that strikes at 9 s is not healed at 8 s: so two of the three values make no scenario, and the rest is run.
    let results =
        run(&study(r#"grid: { "at": Values(paths: ["faults.cut.at"], values: ["5s", "9s", "30s"]) }, runs: 2"#));
    let failed: Vec<bool> = results.rows.iter().map(|row| row.failure.is_some()).collect();
    assert_eq!(failed, [false, false, true, true, true, true]);
    for row in results.rows.iter().filter(|row| row.failure.is_some()) {
        assert_eq!((&row.digest, &row.metrics), (&None, &vec![None, None, None]));
        let failure = row.failure.as_deref().unwrap();
        assert!(failure.starts_with("the scenario is wrong") && !failure.contains('\n'), "{failure}");
    }
    assert!(results.rows[2].failure.as_deref().unwrap().contains("it heals before it happens"));
}

#[test]
fn variants_are_rows_side_by_side() {
    let results = run(&parse(
        r#"(version: 1, name: "v", question: "?", scenario: "ping.ron", runs: 2,
            variants: { "as_is": (), "clean": (set: ["links.wire.loss=0%"]) },
            metrics: { "loss": LossShare(probe: "ping"), "held": Held(), "rtt": RoundTripTime(probe: "ping", quantile: "max"),
                "cut": Drops(reason: "blackhole"), "noticed": Detection(fault: "cut"), "flaps": FalseFailovers() })"#,
    )
    .unwrap_or_else(|mistakes| panic!("{mistakes}")));
    assert_eq!(results.parameters, ["variant"]);
    let [as_is, clean] = [&results.rows[0], &results.rows[2]];
    assert_eq!((&as_is.point[0], &clean.point[0]), (&Value::Text("as_is".into()), &Value::Text("clean".into())));
    assert_eq!(as_is.seed, clean.seed);
    // Of 200 probes of 20 s the clean path loses the 30 of its 3 s, and nothing notices: there is no session.
    assert_eq!(clean.metrics, [Some(15.0), Some(1.0), Some(10.0), Some(30.0), None, Some(0.0)]);
    assert!(as_is.metrics[0] > clean.metrics[0], "chance takes some, too");
}

#[test]
fn control_traffic_and_recovery_are_counted() {
    let study = parse(
        r#"(version: 1, name: "hold", question: "?", scenario: "active_passive.ron", runs: 1,
            grid: { "hold": Values(paths: ["connections.vpn.routing.aws.hold_time", "connections.vpn.routing.customer.hold_time"],
                values: ["9s", "30s"]) },
            metrics: { "dark": Outage(probe: "app", fault: "cut"), "noticed": Detection(fault: "cut", node: "cgw"),
                "settled": Convergence(fault: "cut"), "bgp": ControlTraffic(of: "bgp"), "ike": ControlTraffic(of: "ike"),
                "octets": ControlTraffic(of: "bgp", count: "octets"), "flaps": FalseFailovers(of: "bgp"),
                "changes": UnprovokedRouteChanges(after: "60s"), "minutes": MinutesDark(probe: "app") })"#,
    )
    .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let results = run(&study);
    let [fast, slow] = [&results.rows[0].metrics, &results.rows[1].metrics]
        .map(|m| m.iter().map(|x| x.unwrap()).collect::<Vec<f64>>());
    // The hold timer runs from the last keepalive, a third of it old at most: from two thirds of it to all of it.
    assert!((6.0..9.2).contains(&fast[0]) && (20.0..30.2).contains(&slow[0]), "dark for {} and {}", fast[0], slow[0]);
    assert!(
        fast[1] <= 9.0 && slow[1] <= 30.0 && fast[1] >= 6.0 && slow[1] >= 20.0,
        "noticed after {} and {}",
        fast[1],
        slow[1]
    );
    assert!(fast[2] >= fast[1] && slow[2] >= slow[1], "routes settle after somebody has noticed");
    // Keepalives every 3 s instead of every 10 s: between two and four times the traffic, from which IKE is free.
    assert!((2.0..4.0).contains(&(fast[3] / slow[3])), "{} and {} packets of BGP", fast[3], slow[3]);
    assert!(fast[4] > 0.0 && (0.8..1.25).contains(&(fast[4] / slow[4])), "{} and {} packets of IKE", fast[4], slow[4]);
    // A KEEPALIVE has 19 octets, TCP and IP 40 at least, and ESP 50 or more (RFC 4303); none fills an Ethernet packet.
    assert!((60.0..400.0).contains(&(fast[5] / fast[3])), "{} octets in {} packets", fast[5], fast[3]);
    assert_eq!((fast[6], fast[7]), (0.0, 0.0), "a clean path gives no false alarm");
    assert!((fast[8] * 60.0 - fast[0]).abs() < 1e-6, "one outage is all the darkness");
}

#[test]
fn runs_stop_when_the_interval_is_narrow() {
    let wide = r#"grid: { "loss": Values(paths: ["links.wire.loss"], values: ["0%", "10%"]) }, runs: 12, "#;
    let stop = r#"stop: (metric: "lost", half_width: "0.5", min_runs: 3, batch: 2)"#;
    let (all, some) = (study(wide), study(&format!("{wide} {stop}")));
    let (all, stopped) = (rows(&all, 2), rows(&some, 2));
    // Without chance every run loses the same 30: 3 runs know it. With 10 % there and back of 170 probes the deviation is about 5, so
    // that 12 runs do not know it to within 0.5.
    assert_eq!(stopped.keys().filter(|run| **run < 12).count(), 3);
    assert_eq!(stopped.keys().filter(|run| **run >= 12).count(), 12);
    assert!(stopped.iter().all(|(run, row)| all[run] == *row), "what was run is what it would have been");
    assert_eq!(rows(&some, 1), stopped);
    let asked = some.asked(&some.results(stopped));
    assert_eq!((asked.runs, asked.stopped_early), (15, 1));
}

#[test]
fn parts_make_the_whole() {
    let study = study(&GRID.replace("runs: 4", "runs: 10"));
    let whole = rows(&study, 2);
    let tables = |rows: &BTreeMap<u64, Row>| {
        let results = study.results(rows.clone());
        (table::csv(&results), table::parquet(&results).unwrap())
    };
    for of in 1..=16 {
        let part = |number| {
            let own = Shard::new(number, of).unwrap();
            // The runs of a shard are run for themselves once; otherwise taken from the whole, of which they are a part.
            let rows = if of == 3 {
                shard(&study, 1, own)
            } else {
                whole.iter().filter(|(run, _)| own.has(**run)).map(|(run, row)| (*run, row.clone())).collect()
            };
            let text = log::part(&study, own, &rows);
            (format!("part {number}"), log::read(text.as_bytes()).unwrap())
        };
        let merged = log::merge(&study, (1..=of).rev().map(part).collect()).unwrap();
        assert_eq!(tables(&merged), tables(&whole), "{of} shards");
    }
}

#[test]
fn parts_that_are_no_whole_are_refused() {
    let study = study(GRID);
    let whole = rows(&study, 2);
    let part = |study: &Study, number, of| {
        let own = Shard::new(number, of).unwrap();
        let rows = whole.iter().filter(|(run, _)| own.has(**run)).map(|(run, row)| (*run, row.clone())).collect();
        (format!("part-{number}-of-{of}"), log::read(log::part(study, own, &rows).as_bytes()).unwrap())
    };
    let refused = |parts: Vec<(String, log::Log)>, word: &str| {
        let why = log::merge(&study, parts).unwrap_err();
        assert!(why.contains(word), "{why}");
    };
    refused(Vec::new(), "no parts");
    refused(vec![part(&study, 1, 3), part(&study, 3, 3)], "missing: 2/3");
    refused(vec![part(&study, 1, 2), part(&study, 1, 2)], "overlap: both are shard 1/2");
    refused(vec![part(&study, 1, 2), part(&study, 2, 3)], "part-2-of-3 is shard 2/3, but part-1-of-2 is one of 2");
    let other = self::study(&GRID.replace("10%", "11%"));
    refused(vec![part(&other, 1, 2), part(&study, 2, 2)], "another text");
    let mut cut = part(&study, 1, 2);
    cut.1.whole = false;
    refused(vec![cut, part(&study, 2, 2)], "cut off");
    let mut short = part(&study, 1, 2);
    short.1.rows.pop_first();
    refused(vec![short, part(&study, 2, 2)], "does not have the runs of shard 1/2");
}

#[test]
fn the_parquet_file_says_what_the_csv_says() {
    let study = study(
        r#"grid: { "at": Values(paths: ["faults.cut.at"], values: ["5s", "9s"]),
            "size": Levels({ "usual": [], "large": ["probes.ping.size=900"] }) }, runs: 2"#,
    );
    let results = run(&study);
    let csv = table::csv(&results);
    let mut csv = csv::Reader::from_reader(csv.as_slice());
    let heads: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(heads, ["run", "at", "size", "seed", "digest", "failure", "dark", "lost", "dark_dark_at_end"]);
    let lines: Vec<Vec<String>> = csv.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();

    let octets = table::parquet(&results).unwrap();
    let file = tempfile(&octets);
    let reader = SerializedFileReader::new(fs::File::open(&file).unwrap()).unwrap();
    let cells = |field: &Field| match field {
        Field::Null => String::new(),
        Field::Long(number) => number.to_string(),
        Field::Double(number) => number.to_string(),
        Field::Str(text) => text.clone(),
        other => panic!("{other} has no business here"),
    };
    let read: Vec<Vec<String>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(_, field)| cells(field)).collect())
        .collect();
    assert_eq!(read, lines);
    assert_eq!(read.len(), results.rows.len());
    assert!(lines.iter().any(|line| !line[5].is_empty()) && lines.iter().any(|line| line[5].is_empty()));
    assert_eq!(table::parquet(&run(&study)).unwrap(), octets, "the same octets each time");
    fs::remove_file(file).unwrap();
}

fn tempfile(octets: &[u8]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("vpnsim-study-{}.parquet", std::process::id()));
    fs::write(&file, octets).unwrap();
    file
}

/// Each text of `tests/broken_studies` with the complaints about it.
#[test]
fn mistakes_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_studies");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 4);
    let explained = files.iter().map(|file| {
        let text = fs::read_to_string(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        match Study::parse(&name, &text, &Shelf) {
            Ok(_) => panic!("{name} should be wrong"),
            Err(mistakes) => mistakes.to_string(),
        }
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("broken_studies", explained.collect::<Vec<_>>().join("\n")));
}

#[test]
fn a_run_is_the_scenario_with_its_seed() {
    // A study reads a point's scenario once; so this is also that a later run is not the first one again.
    let results = run(&study("runs: 2"));
    for row in &results.rows {
        let scenario = sim_scenarios::Scenario::parse("ping.ron", PING, &NoSecrets).unwrap();
        let seeded = scenario.with(&[format!("seed={}", row.seed)], &NoSecrets).unwrap();
        let outcome = sim_scenarios::Simulation::new(&seeded).finish();
        assert_eq!(Some(outcome.report.digest.clone()), row.digest);
        let longest = outcome
            .report
            .outages
            .iter()
            .filter(|it| it.direction == "round_trip" && it.fault.as_deref() == Some("cut"));
        assert_eq!(
            longest.map(|it| it.duration_s.0).max().unwrap_or(Duration::ZERO).as_secs_f64(),
            row.metrics[0].unwrap()
        );
    }
}
