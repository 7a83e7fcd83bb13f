//! The report as one file of HTML: what it needs to know of how it was asked, and where it goes.

use std::fs::Permissions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sim_scenarios::Scenario;
use sim_scenarios::report::Outcome;
use sim_scenarios::report::html::{self, Asked};
use tempfile::NamedTempFile;

use crate::failure::Failure;

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

/// A file that is written whole or not at all. It is made before the work begins, so that a place that cannot be written to is
/// named at once.
#[derive(Debug)]
pub struct PageFile {
    target: PathBuf,
    partial: NamedTempFile,
}

impl PageFile {
    /// Prepares a neighbour of `target`, whose directory must exist.
    pub fn prepare(target: &Path) -> Result<Self, Failure> {
        if target.is_dir() {
            return Err(Failure::Undeliverable {
                path: target.display().to_string(),
                reason: "it is a directory".into(),
                help: Some("name a file; --out writes into a directory, the page with all else".into()),
            });
        }
        let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".vpnsim-page-");
        if let Some(mode) = public() {
            builder.permissions(mode);
        }
        let partial = builder.tempfile_in(folder).map_err(|error| Failure::undeliverable(target, &error))?;
        Ok(Self { target: target.to_path_buf(), partial })
    }

    /// Puts the page into place.
    pub fn deliver(mut self, text: &str) -> Result<PathBuf, Failure> {
        let failed = |error: std::io::Error| Failure::undeliverable(&self.target, &error);
        self.partial.write_all(text.as_bytes()).map_err(failed)?;
        self.partial.persist(&self.target).map_err(|error| Failure::undeliverable(&self.target, &error.error))?;
        Ok(self.target)
    }
}

/// What a file has that is not private, less the umask.
#[cfg(unix)]
fn public() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn public() -> Option<Permissions> {
    None
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

    #[test]
    fn a_page_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("page.html");
        std::fs::write(&target, "earlier").unwrap();
        drop(PageFile::prepare(&target).unwrap());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "earlier", "a run that ends without an answer");
        PageFile::prepare(&target).unwrap().deliver("new").unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_named_at_once() {
        let home = tempfile::tempdir().unwrap();
        assert!(PageFile::prepare(home.path()).unwrap_err().to_string().contains("it is a directory"));
        let error = PageFile::prepare(&home.path().join("none/page.html")).unwrap_err().to_string();
        assert!(error.contains("no such file or directory"), "{error}");
    }
}
