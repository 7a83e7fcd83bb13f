//! The document of `vpnsim diff`: what differs between two questions, what that changes in the answer, and what remains of it over
//! many seeds. As data, as sections for a terminal, and as Markdown that fits into a comment on a pull request.

use schemars::JsonSchema;
use serde::Serialize;

use super::inputs::Input;
use super::paired::Paired;
use super::{About, Change, Comparison, Verdict};
use crate::report::markdown;
use crate::report::model::Report;
use crate::report::story::{Block, Section, Table};

/// Name and version of this document's format.
pub const SCHEMA: &str = "vpnsim-diff/1";

/// Differences that stand at the top, where everybody reads.
const FOREMOST: usize = 8;

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Side {
    /// How the user named it.
    pub name: String,
    /// Changes made to it, keys blotted out.
    pub changes: Vec<String>,
    /// The scenario's own name.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Digest of its trace.
    pub digest: String,
    /// Version of the program that ran it.
    pub vpnsim: String,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Diff {
    /// Name and version of this document's format.
    pub schema: String,
    /// The first side.
    pub was: Side,
    /// The second side.
    pub is: Side,
    /// Whether the answers differ.
    pub verdict: Verdict,
    /// Settings that differ between the questions.
    pub inputs: Vec<Input>,
    /// What differs between the answers, the most telling first.
    pub changes: Vec<Told>,
    /// The same over many seeds; null if that was not asked.
    pub seeds: Option<Seeds>,
}

/// A difference with its sentence.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Told {
    /// The difference.
    #[serde(flatten)]
    pub change: Change,
    /// It in words.
    pub text: String,
}

/// Differences over many seeds.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Seeds {
    /// The seeds of both sides.
    pub seeds: Vec<u64>,
    /// How the interval is made.
    pub method: String,
    /// Each measure.
    pub measures: Vec<Paired>,
}

impl Side {
    /// A side with its answer.
    pub fn new(name: &str, changes: Vec<String>, report: &Report) -> Self {
        Self {
            name: name.to_owned(),
            changes,
            scenario: report.scenario.clone(),
            seed: report.seed,
            digest: report.digest.clone(),
            vpnsim: report.vpnsim.clone(),
        }
    }

    /// Its name and those of its changes that `other` does not have.
    fn title(&self, other: &[String]) -> String {
        let own: Vec<&str> = self.changes.iter().filter(|it| !other.contains(it)).map(String::as_str).collect();
        if own.is_empty() { self.name.clone() } else { format!("{} with {}", self.name, own.join(", ")) }
    }

    fn told(&self) -> String {
        let Self { scenario, seed, vpnsim, digest, .. } = self;
        format!("{}: scenario {scenario}, seed {seed}, vpnsim {vpnsim}, digest {digest}.", self.title(&[]))
    }
}

impl Seeds {
    /// Pairs of answers, each of one seed.
    pub fn of(seeds: Vec<u64>, runs: &[[Report; 2]]) -> Self {
        Self {
            seeds,
            method: "mean of the paired differences with Student's t interval, 95 %".into(),
            measures: super::paired::paired(runs),
        }
    }
}

impl Diff {
    /// Puts a document together.
    pub fn new([was, is]: [Side; 2], inputs: Vec<Input>, comparison: Comparison, seeds: Option<Seeds>) -> Self {
        let told = |change: Change| Told { text: change.to_string(), change };
        Self {
            schema: SCHEMA.into(),
            was,
            is,
            verdict: comparison.verdict,
            inputs,
            changes: comparison.changes.into_iter().map(told).collect(),
            seeds,
        }
    }

    /// The document: indented JSON with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("it has string keys and finite numbers");
        text.push('\n');
        text
    }

    fn comparison(&self) -> Comparison {
        let changes = self.changes.iter().map(|told| told.change.clone()).collect();
        Comparison { verdict: self.verdict, changes }
    }

    /// In one sentence: the most telling difference, or that there is none.
    fn headline(&self) -> String {
        self.comparison().sentences().into_iter().next().unwrap_or_default()
    }

    /// "1 expectation and 3 outages changed.", if there is more than the headline.
    fn counted(&self) -> Option<String> {
        (self.changes.len() > 1).then(|| format!("{}.", self.comparison().counts()))
    }

    /// Of the differences those that everybody should read: verdicts, darkness and waits, or whatever comes first.
    fn foremost(&self) -> Vec<&Told> {
        let telling = |told: &&Told| told.change.about <= About::Route;
        let telling: Vec<&Told> = self.changes.iter().filter(telling).take(FOREMOST).collect();
        if telling.is_empty() { self.changes.iter().take(FOREMOST).collect() } else { telling }
    }

    fn inputs_table(&self) -> Option<Table> {
        let rows: Vec<_> = self.inputs.iter().map(Input::row).collect();
        (!rows.is_empty()).then(|| Table { head: vec!["setting", "was", "is"], rows })
    }

    fn seeds_blocks(&self) -> Vec<Block> {
        let Some(seeds) = &self.seeds else { return Vec::new() };
        let (certain, all) = (seeds.measures.iter().filter(|it| it.is_certain()).count(), seeds.measures.len());
        let differing: Vec<_> = seeds.measures.iter().filter(|it| it.differs()).collect();
        let first = seeds.seeds.first().copied().unwrap_or_default();
        let last = seeds.seeds.last().copied().unwrap_or_default();
        let how = format!(
            "Both sides with the same {} seeds ({first} to {last}): {}. {} of {all} measures differ, {certain} of them by more than \
             chance would explain.",
            seeds.seeds.len(),
            seeds.method,
            differing.len(),
        );
        let mut blocks = vec![Block::Say(how)];
        if !differing.is_empty() {
            let head = vec!["measure", ">mean was", ">is", ">difference", ">95 % interval", ">pairs"];
            blocks.push(Block::Table(Table { head, rows: differing.iter().map(|it| it.row()).collect() }));
        }
        blocks
    }

    /// It for a terminal.
    pub fn sections(&self) -> Vec<Section> {
        let mut answer = vec![Block::Say(self.headline())];
        answer.extend(self.counted().map(Block::Say));
        let changes: Vec<&Told> = self.changes.iter().collect();
        let mut sections = vec![Section { title: String::new(), blocks: answer }];
        sections.extend(self.inputs_table().map(|table| Section {
            title: "What is otherwise in the question".into(),
            blocks: vec![Block::Table(table)],
        }));
        if !changes.is_empty() {
            let blocks = vec![Block::Table(table(&changes))];
            sections.push(Section { title: "What is otherwise in the answer".into(), blocks });
        }
        if self.seeds.is_some() {
            sections.push(Section { title: "Over many seeds".into(), blocks: self.seeds_blocks() });
        }
        let sides = [&self.was, &self.is].map(|side| Block::Say(side.told()));
        sections.push(Section { title: "These runs".into(), blocks: sides.into() });
        sections
    }

    /// It for a comment: a headline, the foremost differences, and everything else folded away.
    pub fn markdown(&self) -> String {
        let (was, is) = (self.was.title(&self.is.changes), self.is.title(&self.was.changes));
        let (was, is) = (markdown::escape(&was), markdown::escape(&is));
        let mut out = format!("### vpnsim: {was} against {is}\n\n**{}**\n", markdown::escape(&self.headline()));
        if let Some(counted) = self.counted() {
            out.push_str(&format!("\n{}\n", markdown::escape(&counted)));
        }
        let foremost = self.foremost();
        if !foremost.is_empty() {
            out.push('\n');
            markdown::render_blocks(&[Block::Table(table(&foremost))], &mut out);
        }
        if self.seeds.is_some() {
            out.push('\n');
            markdown::render_blocks(&self.seeds_blocks(), &mut out);
        }
        if foremost.len() < self.changes.len() {
            let all: Vec<&Told> = self.changes.iter().collect();
            fold(&format!("All {} differences", all.len()), &[Block::Table(table(&all))], &mut out);
        }
        if let Some(table) = self.inputs_table() {
            let n = table.rows.len();
            let title = if n == 1 { "1 setting that differs".into() } else { format!("{n} settings that differ") };
            fold(&title, &[Block::Table(table)], &mut out);
        }
        let sides = [&self.was, &self.is].map(|side| Block::Say(side.told()));
        fold("These runs", &sides, &mut out);
        out
    }
}

fn table(changes: &[&Told]) -> Table {
    let rows = changes.iter().map(|told| told.change.row()).collect();
    Table { head: vec!["what", "was", "is", ">by"], rows }
}

/// A part that a click opens. Inside, Markdown is read again only after an empty line.
fn fold(title: &str, blocks: &[Block], out: &mut String) {
    out.push_str(&format!("\n<details><summary>{title}</summary>\n\n"));
    markdown::render_blocks(blocks, out);
    out.push_str("\n</details>\n");
}
