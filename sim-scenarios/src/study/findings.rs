//! What a study found, for people: for each metric a table with a row for each point, and pictures.
//!
//! Every number has its doubt beside it ([`super::statistics`] says which interval of what). Points are compared with the first
//! variant, or without variants with the first value of the first parameter, at the same other values, over pairs of runs with the
//! same seed and the same draws.

use super::metric::Kind;
use super::plot::{self, Candidate, Cell, Heat, Series, short};
use super::results::{Results, Row, Value};
use super::statistics::{CONFIDENCE, Interval, Measured, Quantile, Sample, Share, paired, runs_for_limit};
use super::{Column, Study};
use crate::report::story::{Block, Section, Table};

/// Most points that a table shows; the files have all.
const MOST: usize = 60;
/// Most lines of one picture of distributions, and most rows of one of boxes.
const LINES: usize = 7;
const BOXES: usize = 30;

/// A picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Name of its file, without an extension.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// It as an SVG document.
    pub svg: String,
}

/// A study with its rows, sorted by point.
struct Findings<'r> {
    study: &'r Study,
    /// Rows of each point, in order of replicates.
    points: Vec<Vec<&'r Row>>,
}

impl<'r> Findings<'r> {
    fn of(study: &'r Study, results: &'r Results) -> Self {
        let mut points = vec![Vec::new(); study.points() as usize];
        for row in &results.rows {
            if let Some(rows) = points.get_mut((row.run / study.runs_of_a_point()) as usize) {
                rows.push(row);
            }
        }
        Self { study, points }
    }

    /// What a run measured, and whether it ended before that was complete.
    fn measured(&self, row: &Row, metric: usize) -> Option<Measured> {
        let value = row.metrics[metric]?;
        let cut = self.study.metrics[metric].censored_by;
        Some(Measured { value, censored: cut.is_some_and(|cut| row.metrics[cut].is_some_and(|dark| dark > 0.0)) })
    }

    fn sample(&self, point: usize, metric: usize) -> Sample {
        self.points[point].iter().filter_map(|row| self.measured(row, metric)).collect()
    }

    /// The point that this one is compared with.
    fn reference(&self, point: usize) -> usize {
        let study = self.study;
        let leading = if study.variants.len() > 1 {
            study.variants.len()
        } else {
            study.axes.first().map_or(1, |axis| axis.levels.len())
        };
        point % (self.points.len() / leading.max(1)).max(1)
    }

    /// Values of both points from the same random numbers.
    fn pairs(&self, reference: usize, point: usize, metric: usize) -> Vec<(Measured, Measured)> {
        let runs = self.study.runs_of_a_point();
        let mut others = self.points[reference].iter().peekable();
        let mut pairs = Vec::new();
        for row in &self.points[point] {
            while others.next_if(|other| other.run % runs < row.run % runs).is_some() {}
            if let Some(other) = others.next_if(|other| other.run % runs == row.run % runs) {
                pairs.extend(self.measured(other, metric).zip(self.measured(row, metric)));
            }
        }
        pairs
    }

    /// Those that no other metric only serves.
    fn metrics(&self) -> impl Iterator<Item = (usize, Column)> {
        let serving: Vec<usize> = self.study.metrics.iter().filter_map(|metric| metric.censored_by).collect();
        self.study.metrics().into_iter().enumerate().filter(move |(number, _)| !serving.contains(number))
    }
}

/// Tells results, the sections after the answer: one for each metric.
pub fn sections(study: &Study, results: &Results) -> Vec<Section> {
    let findings = Findings::of(study, results);
    findings.metrics().map(|(number, column)| metric(&findings, number, &column)).collect()
}

fn metric(findings: &Findings, number: usize, column: &Column) -> Section {
    let kind = &findings.study.metrics[number].kind;
    let shares = matches!(kind, Kind::Held(_));
    let compared = (0..findings.points.len()).any(|point| findings.reference(point) != point);
    let failed = |point: usize| findings.points[point].iter().filter(|row| row.failure.is_some()).count();
    let some_failed = (0..findings.points.len()).any(|point| failed(point) > 0);
    let mut head = vec!["point", ">n"];
    head.extend(some_failed.then_some(">failed"));
    head.extend(if shares {
        vec![">share (%) [95 %]"]
    } else {
        vec![">median [95 %]", ">90 %", ">99 % [95 %]", ">mean"]
    });
    if compared {
        head.extend([">less the first [95 %]", ">variance saved"]);
    }
    let mut table = Table { head, rows: Vec::new() };
    let (mut cut, mut left_out, mut fewest) = (0, 0, usize::MAX);
    for point in 0..findings.points.len() {
        let sample = findings.sample(point, number);
        cut += sample.censored();
        fewest = fewest.min(sample.len());
        let mut cells = vec![name(findings.study, point), sample.len().to_string()];
        cells.extend(some_failed.then(|| failed(point).to_string()));
        if shares {
            let hits = sample.values().iter().filter(|measured| measured.value > 0.0).count();
            let share = Share::new(hits as u64, sample.len() as u64, CONFIDENCE);
            let percent = |share: Option<f64>| share.map(|share| share * 100.0);
            let (low, high) = (percent(share.interval.low), percent(share.interval.high));
            cells.push(estimate(percent(share.value()), false, Interval { low, high }));
        } else {
            let quantile = |p: f64| sample.quantile(p, CONFIDENCE);
            let alone = |quantile: Quantile| estimate(Some(quantile.value), quantile.at_least, Interval::default());
            let with = |quantile: Quantile| estimate(Some(quantile.value), quantile.at_least, quantile.interval);
            cells.push(quantile(0.5).map_or("-".into(), with));
            cells.push(quantile(0.9).map_or("-".into(), alone));
            // Half an interval says little, and takes the room of what does.
            let whole = |it: &Quantile| it.interval.low.is_some() && it.interval.high.is_some();
            cells.push(quantile(0.99).map_or("-".into(), |it| if whole(&it) { with(it) } else { alone(it) }));
            let mean = sample.mean(CONFIDENCE);
            cells.push(
                mean.map_or("-".into(), |mean| estimate(Some(mean.value), sample.censored() > 0, Interval::default())),
            );
        }
        if compared {
            let reference = findings.reference(point);
            let difference =
                (reference != point).then(|| paired(&findings.pairs(reference, point, number), CONFIDENCE));
            let difference = difference.flatten();
            left_out += difference.map_or(0, |paired| paired.left_out);
            cells.push(difference.map_or(String::new(), |paired| {
                estimate(Some(paired.difference.value), false, paired.difference.interval)
            }));
            let ratio = difference.and_then(|paired| paired.variance_ratio);
            cells.push(ratio.map_or(String::new(), |ratio| format!("{} x", short(ratio))));
        }
        if table.rows.len() < MOST {
            table.rows.push(cells);
        }
    }
    let mut blocks = vec![Block::Table(table)];
    if findings.points.len() > MOST {
        blocks.push(Block::Say(format!("{} points more are in the files.", findings.points.len() - MOST)));
    }
    let needed = runs_for_limit(0.99, CONFIDENCE) as usize;
    if !shares && fewest < needed {
        blocks.push(Block::Say(format!("An interval of the 99 % quantile takes {needed} runs of a point.")));
    }
    if cut > 0 {
        let pairs =
            if left_out > 0 { format!(" {left_out} pairs with such a run are left out.") } else { String::new() };
        blocks.push(Block::Say(format!(
            "In {cut} runs the probe was still dark at the end: the value is at least that (\">=\"), and what lies above is not known.{pairs}"
        )));
    }
    Section { title: titled(column), blocks }
}

/// `27.4 [26.1, 28.0]`, `>= 300 [280, ...]`.
fn estimate(value: Option<f64>, at_least: bool, interval: Interval) -> String {
    let Some(value) = value else { return "-".into() };
    let least = if at_least { ">= " } else { "" };
    let limit = |limit: Option<f64>| limit.map_or("...".into(), short);
    match interval {
        Interval { low: None, high: None } => format!("{least}{}", short(value)),
        Interval { low, high } => format!("{least}{} [{}, {}]", short(value), limit(low), limit(high)),
    }
}

/// A metric with its unit.
fn titled(column: &Column) -> String {
    match column.unit.filter(|unit| *unit != "1") {
        Some(unit) => format!("{} ({unit})", column.name),
        None => column.name.clone(),
    }
}

/// A value as it is shown.
fn word(value: &Value) -> String {
    match value {
        // A list of one is what it holds.
        Value::Text(text) => {
            let one =
                text.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]")).filter(|one| !one.contains('"'));
            one.unwrap_or(text).to_owned()
        }
        Value::Number(number) => number.to_string(),
    }
}

/// A point in words: `hold 10 s, loss 0.1 %`; of one parameter only those that vary.
pub fn name(study: &Study, point: usize) -> String {
    let several = |at: usize| {
        let axis = at.checked_sub(usize::from(study.named));
        axis.map_or(study.variants.len(), |axis| study.axes[axis].levels.len()) > 1
    };
    let words: Vec<String> = study
        .point(point as u64)
        .iter()
        .zip(study.parameters())
        .enumerate()
        .filter(|(at, _)| several(*at))
        .map(|(_, (value, column))| match column.unit.filter(|unit| *unit != "1") {
            Some(unit) => format!("{} {} {unit}", column.name, word(value)),
            None if column.name == "variant" => word(value),
            None => format!("{} {}", column.name, word(value)),
        })
        .collect();
    if words.is_empty() { "the scenario".into() } else { words.join(", ") }
}

/// Draws what can be drawn: of each metric its distributions or boxes by point, a map if two parameters vary, and what cannot be had
/// together if the study measures failovers, false failovers and control traffic.
pub fn pictures(study: &Study, results: &Results) -> Vec<Picture> {
    let findings = Findings::of(study, results);
    let mut pictures = Vec::new();
    for (number, column) in findings.metrics() {
        let samples: Vec<Series> = (0..findings.points.len())
            .map(|point| Series { name: name(study, point), sample: findings.sample(point, number) })
            .collect();
        let mut values = samples.iter().flat_map(|one| one.sample.values()).map(|measured| measured.value);
        // A value that is always the same needs no picture.
        let Some(first) = values.next() else { continue };
        if values.all(|value| value == first) {
            continue;
        }
        let title = format!("{}: {}", study.name(), column.name);
        let axis = titled(&column);
        let mut draw = |kind: &str, svg: String| {
            pictures.push(Picture { name: format!("{kind}_{}", plain(&column.name)), title: title.clone(), svg });
        };
        if samples.len() <= LINES {
            draw("cdf", plot::cdf(&title, &axis, &samples));
        }
        if samples.len() > 1 && samples.len() <= BOXES {
            draw("boxes", plot::boxes(&title, &axis, &samples));
        }
        if let Some(heat) = heat(&findings, number, &title, &axis) {
            draw("heat", heat.render());
        }
    }
    pictures.extend(pareto(&findings));
    pictures
}

/// What a metric comes to at a point: the median of a length of time or rate, the mean of a count.
fn summary(findings: &Findings, point: usize, metric: usize) -> Option<Cell> {
    let sample = findings.sample(point, metric);
    if counts(&findings.study.metrics[metric].kind) {
        let mean = sample.mean(CONFIDENCE)?;
        return Some(Cell { value: mean.value, at_least: sample.censored() > 0 });
    }
    sample.quantile(0.5, CONFIDENCE).map(|median| Cell { value: median.value, at_least: median.at_least })
}

fn counts(kind: &Kind) -> bool {
    match kind {
        Kind::Outage { .. }
        | Kind::RoundTripTime { .. }
        | Kind::Detection { .. }
        | Kind::Convergence { .. }
        | Kind::Goodput(_)
        | Kind::ApplicationOutage(_) => false,
        Kind::MinutesDark(_)
        | Kind::LostProbes(_)
        | Kind::LossShare(_)
        | Kind::Drops { .. }
        | Kind::FalseFailovers(_)
        | Kind::UnprovokedRouteChanges { .. }
        | Kind::ControlTraffic { .. }
        | Kind::ApplicationFailures(_)
        | Kind::DarkAtEnd { .. }
        | Kind::Held(_) => true,
    }
}

/// A map, if exactly two parameters of the grid vary, the variant included.
fn heat(findings: &Findings, metric: usize, title: &str, axis: &str) -> Option<Heat> {
    let study = findings.study;
    let columns: Vec<Column> = study.parameters().into_iter().take(study.fixed()).collect();
    let mut values: Vec<Vec<Value>> = vec![Vec::new(); columns.len()];
    for point in 0..study.points() {
        for (values, value) in values.iter_mut().zip(study.point(point)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    let vary: Vec<usize> = (0..columns.len()).filter(|at| values[*at].len() > 1).collect();
    let [up, right] = vary.as_slice() else { return None };
    let names = |at: usize| (titled(&columns[at]), values[at].iter().map(word).collect::<Vec<_>>());
    let mut cells = vec![vec![None; values[*right].len()]; values[*up].len()];
    for point in 0..findings.points.len() {
        let at = study.point(point as u64);
        let place = |which: usize| values[which].iter().position(|value| *value == at[which]);
        if let (Some(row), Some(column)) = (place(*up), place(*right)) {
            cells[row][column] = summary(findings, point, metric);
        }
    }
    let what = if counts(&study.metrics[metric].kind) { "mean" } else { "median" };
    let quantity = format!("{what} of {axis}");
    Some(Heat { title: title.to_owned(), quantity, x: names(*right), y: names(*up), cells })
}

/// The three costs, if the study measures each.
fn pareto(findings: &Findings) -> Option<Picture> {
    let study = findings.study;
    let columns = study.metrics();
    let of = |wanted: fn(&Kind) -> bool| study.metrics.iter().position(|metric| wanted(&metric.kind));
    let failover = of(|kind| matches!(kind, Kind::Outage { .. } | Kind::Detection { .. } | Kind::Convergence { .. }))?;
    let needless = of(|kind| matches!(kind, Kind::FalseFailovers(_) | Kind::UnprovokedRouteChanges { .. }))?;
    let traffic = of(|kind| matches!(kind, Kind::ControlTraffic { .. }))?;
    let metrics = [failover, needless, traffic];
    let candidate = |point: usize| {
        let [a, b, c] = metrics.map(|metric| summary(findings, point, metric).map(|cell| cell.value));
        Some(Candidate { name: name(study, point), costs: [a?, b?, c?] })
    };
    let candidates: Vec<Candidate> = (0..findings.points.len()).filter_map(candidate).collect();
    if candidates.len() < 2 {
        return None;
    }
    let axes = metrics.map(|metric| {
        let what = if counts(&study.metrics[metric].kind) { "mean" } else { "median" };
        format!("{what} of {}", titled(&columns[metric]))
    });
    let title = format!("{}: what cannot be had together", study.name());
    let svg = plot::pareto(&title, axes.each_ref().map(String::as_str), &candidates);
    Some(Picture { name: "pareto".into(), title, svg })
}

/// A name as it can stand in a file's.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}
