//! What a study found, for people: a table for each metric, a row for each point.

use std::collections::BTreeMap;

use super::results::{Results, Value};
use super::{Column, Study};
use crate::report::story::{Block, Section, Table};

/// Most points that a table shows; the files have all.
const MOST: usize = 60;

/// Tells results.
pub fn sections(study: &Study, results: &Results) -> Vec<Section> {
    let asked = study.asked(results);
    let mut answer = vec![Block::Say(format!("{}: {}", study.name(), study.question()))];
    answer.push(Block::Say(format!(
        "{} {} at {} {}; {} failed.",
        asked.runs,
        plural(asked.runs, "run", "runs"),
        asked.points,
        plural(asked.points, "point", "points"),
        if asked.failures == 0 { "none".to_owned() } else { asked.failures.to_string() },
    )));
    if asked.stopped_early > 0 {
        let n = asked.stopped_early;
        let text =
            format!("{n} {} run less often: the interval was narrow before.", plural(n, "point was", "points were"));
        answer.push(Block::Say(text));
    }
    answer.extend(failures(results).into_iter().map(Block::Say));
    let mut sections = vec![Section { title: String::new(), blocks: answer }];
    sections.extend(study.metrics().iter().enumerate().map(|(n, metric)| means(study, results, n, metric)));
    sections
}

fn plural<'w>(n: u64, one: &'w str, many: &'w str) -> &'w str {
    if n == 1 { one } else { many }
}

/// Why runs failed, the most frequent reason first.
fn failures(results: &Results) -> Vec<String> {
    const FEW: usize = 5;
    let mut reasons: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in &results.rows {
        if let Some(failure) = &row.failure {
            reasons.entry(failure).or_insert((0, row.run)).0 += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (times, first))| (core::cmp::Reverse(*times), *first));
    let told = |(reason, (times, first)): (&str, (u64, u64))| {
        format!("{times} {} failed, run {first} first: {reason}", plural(times, "run", "runs"))
    };
    reasons.into_iter().take(FEW).map(told).collect()
}

/// The mean of a metric at each point.
fn means(study: &Study, results: &Results, metric: usize, column: &Column) -> Section {
    let mut table = Table { head: vec!["point", ">runs", ">measured", ">mean"], rows: Vec::new() };
    let mut rows = results.rows.iter().peekable();
    for point in 0..study.points() {
        let end = (point + 1) * study.runs_of_a_point();
        let (mut runs, mut values) = (0u64, Vec::new());
        while let Some(row) = rows.next_if(|row| row.run < end) {
            runs += 1;
            values.extend(row.metrics[metric]);
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let mean = if values.is_empty() { String::new() } else { format!("{mean:.3}") };
        if table.rows.len() < MOST {
            table.rows.push(vec![self::point(study, point), runs.to_string(), values.len().to_string(), mean]);
        }
    }
    let unit = column.unit.filter(|unit| *unit != "1").map_or(String::new(), |unit| format!(" ({unit})"));
    let mut blocks = vec![Block::Table(table)];
    if study.points() as usize > MOST {
        blocks.push(Block::Say(format!("{} points more are in the files.", study.points() as usize - MOST)));
    }
    Section { title: format!("{}{unit}", column.name), blocks }
}

/// A point in words: `hold 10 s, loss 0.1 %`.
fn point(study: &Study, point: u64) -> String {
    let word = |(value, column): (Value, Column)| match value {
        Value::Text(text) => format!("{} {text}", column.name),
        Value::Number(number) => match column.unit.filter(|unit| *unit != "1") {
            Some(unit) => format!("{} {number} {unit}", column.name),
            None => format!("{} {number}", column.name),
        },
    };
    let words: Vec<String> = study.point(point).into_iter().zip(study.parameters()).map(word).collect();
    if words.is_empty() { "the scenario".into() } else { words.join(", ") }
}

/// The points of a study and how many runs it asks for, without a run.
pub fn plan(study: &Study) -> Vec<Section> {
    let (points, runs) = (study.points(), study.runs_of_a_point());
    let most = if study.stops_early() { "at most " } else { "" };
    let mut blocks = vec![
        Block::Say(format!("{}: {}", study.name(), study.question())),
        Block::Say(format!(
            "{points} {}, {most}{runs} {} of each: {most}{} in all.",
            plural(points, "point", "points"),
            plural(runs, "run", "runs"),
            points * runs
        )),
    ];
    let rows = (0..points).take(MOST).map(|n| vec![(n * runs).to_string(), point(study, n)]).collect();
    blocks.push(Block::Table(Table { head: vec![">first run", "point"], rows }));
    if points as usize > MOST {
        blocks.push(Block::Say(format!("{} points more.", points as usize - MOST)));
    }
    vec![Section { title: String::new(), blocks }]
}
