//! A review as sections for people, and as JSON for programs.

use super::{Advice, Review, Severity};
use crate::report::story::{Block, Section};

impl Review {
    /// The document, ending in a newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("texts and numbers");
        text.push('\n');
        text
    }

    /// For people. `file` is what the scenario is called where somebody looks for its lines.
    pub fn sections(&self, file: &str) -> Vec<Section> {
        let mut sections = vec![Section { title: String::new(), blocks: vec![Block::Say(self.verdict(file))] }];
        sections.extend(self.advice.iter().map(|advice| told(advice, file)));
        sections
    }

    /// "active_passive.ron: 4 pieces of advice: 3 medium, 1 low."
    fn verdict(&self, file: &str) -> String {
        let counts = Severity::ALL.map(|severity| {
            let of_it = self.advice.iter().filter(|advice| advice.severity == severity).count();
            (of_it > 0).then(|| format!("{of_it} {}", severity.word()))
        });
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        match self.advice.len() {
            0 => format!("{file}: no advice."),
            1 => format!("{file}: one piece of advice: {}.", counts.join(", ")),
            n => format!("{file}: {n} pieces of advice: {}.", counts.join(", ")),
        }
    }
}

fn told(advice: &Advice, file: &str) -> Section {
    let title = format!(
        "{} {} at {file}:{}:{} ({})",
        advice.severity.word(),
        advice.code,
        advice.line,
        advice.column,
        advice.path
    );
    let mut blocks = vec![advice.text.clone(), format!("Change: {}.", advice.change)];
    blocks.push(format!("Shown by: {}", advice.shown_by));
    // An address stands in a line of its own, where it is whole.
    for source in advice.sources {
        blocks.extend([format!("Source: {}", source.title), source.page.to_owned()]);
    }
    Section { title, blocks: blocks.into_iter().map(Block::Say).collect() }
}
