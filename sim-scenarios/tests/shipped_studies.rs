//! The studies of the repository, each in small: they make sense, no run fails, and what they say holds.
//!
//! Their full size is what their files say; `vpnsim study scenarios/studies/NAME.ron --out DIR` asks for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::study::availability::{self, Availability};
use sim_scenarios::study::results::Results;
use sim_scenarios::study::shard::Shard;
use sim_scenarios::study::{Library, Study, carry_out, findings};
use sim_scenarios::{NoSecrets, Secrets};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/studies")
}

struct Shelf;

impl Library for Shelf {
    fn scenario(&self, path: &str) -> Result<(String, String), String> {
        let text = fs::read_to_string(folder().join(path)).map_err(|error| error.to_string())?;
        Ok((path.to_owned(), text))
    }

    fn secrets(&self, _: &str) -> Box<dyn Secrets + Send + Sync> {
        Box::new(NoSecrets)
    }
}

/// The text of a study, with these replacements, each of which must fit.
fn text(name: &str, changes: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(folder().join(name)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

fn study(name: &str, changes: &[(&str, &str)]) -> (Study, Results) {
    let study = Study::parse(name, &text(name, changes), &Shelf).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut rows = BTreeMap::new();
    carry_out(&study, &study.next(&BTreeMap::new(), Shard::WHOLE), 2, |row| {
        assert_eq!(row.failure, None, "run {}", row.run);
        rows.insert(row.run, row);
        true
    });
    let results = study.results(rows);
    assert!(!findings::sections(&study, &results).is_empty());
    assert!(findings::pictures(&study, &results).iter().all(|picture| picture.svg.contains("<text")));
    (study, results)
}

fn column(results: &Results, metric: &str) -> Vec<f64> {
    let number = results.metrics.iter().position(|name| name == metric).unwrap();
    results.rows.iter().map(|row| row.metrics[number].unwrap()).collect()
}

/// The hold time less the age of the last KEEPALIVE, which is at most a third of it, and a round trip.
#[test]
fn fault_instant() {
    let (_, results) =
        study("fault_instant.ron", &[("runs: 200", "runs: 2"), ("[\"30s\", \"15s\", \"6s\"]", "[\"30s\", \"6s\"]")]);
    let dark = column(&results, "dark");
    assert!(dark[..2].iter().all(|dark| (19.9..30.2).contains(dark)), "{dark:?}");
    assert!(dark[2..].iter().all(|dark| (3.9..6.2).contains(dark)), "{dark:?}");
}

/// Every study but the first and the last in its smallest size: it makes sense and runs.
#[test]
fn the_others_run() {
    for (name, runs) in [
        ("dx_bfd_vs_timers.ron", "runs: 20"),
        ("latency_vs_convergence.ron", "runs: 100"),
        ("ecmp_width_vs_drops.ron", "runs: 50"),
        ("cipher_and_mtu_goodput.ron", "runs: 20"),
    ] {
        let (study, results) = study(name, &[(runs, "runs: 1")]);
        assert_eq!(results.rows.len() as u64, study.points(), "{name}");
    }
}

/// Loss of a third of all packets brings down what nothing else does: timers of three seconds, and not those of thirty.
#[test]
fn hold_vs_dpd_vs_loss() {
    let few = [
        ("runs: 20", "runs: 1"),
        ("[\"3s\", \"6s\", \"9s\", \"30s\"]", "[\"3s\", \"30s\"]"),
        ("[\"0%\", \"10%\", \"20%\", \"30%\"]", "[\"0%\", \"30%\"]"),
        ("[\"30s\", \"60s\"]", "[\"30s\"]"),
    ];
    let (_, results) = study("hold_vs_dpd_vs_loss.ron", &few);
    let flaps = column(&results, "false_failovers");
    assert_eq!(flaps.len(), 4);
    assert_eq!(flaps[0], 0.0, "no loss, no flap");
    assert!(flaps[1] > flaps[3], "{flaps:?}");
}

/// Fewer spares, more minutes; of one tunnel AWS owes nothing, because the other endpoint is there.
#[test]
fn availability_of_five_designs() {
    let name = "availability_of_five_designs.ron";
    let small = text(name, &[("runs: 5", "runs: 1"), ("years: 10000", "years: 200"), ("pairs: true", "pairs: false")]);
    assert!(availability::make::is_one(&small));
    let question = Availability::parse(name, &small, &Shelf).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let answers = availability::ask(&question, 2, &mut |_| {});
    let minutes = |design: &str| answers.iter().find(|answer| answer.design == design).unwrap().expected;
    assert!(minutes("one_tunnel") > minutes("active_passive"));
    assert!(minutes("active_passive") > minutes("two_gateways"));
    assert_eq!(answers[0].aws, 0.0);
    availability::report::sections(&question, &answers, None).unwrap();
}

/// A rate of something that no design has is a mistake, and the nearest right name is proposed.
#[test]
fn a_rate_of_nothing_is_a_mistake() {
    let name = "availability_of_five_designs.ron";
    let wrong = text(name, &[("\"endpoint\": (mtbf", "\"endpiont\": (mtbf")]);
    let mistakes = Availability::parse(name, &wrong, &Shelf).unwrap_err().to_string();
    assert!(mistakes.contains("did you mean `endpoint`?"), "{mistakes}");
}
