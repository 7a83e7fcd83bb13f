//! The report as one file of HTML: what it needs to know of how it was asked.

use std::path::Path;

use sim_scenarios::Scenario;
use sim_scenarios::report::Outcome;
use sim_scenarios::report::html::{self, Asked};

/// The page of an outcome. `command` gives the same answer again.
pub fn page(outcome: &Outcome, scenario: &Scenario, command: &str) -> String {
    html::render(outcome, &Asked { plan: scenario.plan(), text: &scenario.text(), command })
}

/// The command that asks for this run of a scenario's file again. Keys in changes are blotted out.
pub fn run_again(file: &str, scenario: &Scenario, more: &[&str]) -> String {
    let mut words = vec!["vpnsim".to_owned(), "run".to_owned(), quoted(file)];
    for change in scenario.changes() {
        words.push(match change.strip_prefix("seed=") {
            Some(seed) => format!("--seed {}", quoted(seed)),
            None => format!("--set {}", quoted(&change)),
        });
    }
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words.join(" ")
}

/// The command that replays a journal; it holds the changes of its run.
pub fn replay_again(file: &str, journal: &Path) -> String {
    format!("vpnsim run {} --replay {}", quoted(file), quoted(&journal.display().to_string()))
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_reads_them() {
        for (word, line) in [
            ("scenarios/active_passive.ron", "scenarios/active_passive.ron"),
            ("my file.ron", "'my file.ron'"),
            ("it's", r"'it'\''s'"),
            ("$(rm -r x)", "'$(rm -r x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), line);
        }
    }
}
