//! What a study asked and how it went, for people; what it found is in [`findings`].

use std::collections::BTreeMap;

use super::results::Results;
use super::{Study, findings};
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
    sections.extend(findings::sections(study, results));
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
    let rows =
        (0..points).take(MOST).map(|n| vec![(n * runs).to_string(), findings::name(study, n as usize)]).collect();
    blocks.push(Block::Table(Table { head: vec![">first run", "point"], rows }));
    if points as usize > MOST {
        blocks.push(Block::Say(format!("{} points more.", points as usize - MOST)));
    }
    vec![Section { title: String::new(), blocks }]
}
