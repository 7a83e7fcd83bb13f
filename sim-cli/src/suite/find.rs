//! Which files are scenarios, and where their golden answers are.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::Scenario;
use walkdir::{DirEntry, WalkDir};

use crate::failure::Failure;

/// The directory of golden answers beside scenarios.
pub const GOLDEN: &str = "golden";

/// A scenario to test.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file, as the user would name it.
    pub file: PathBuf,
    /// Where its golden answer is, or would be.
    pub golden: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Scenarios in the order of the arguments, those of a directory by name.
    pub cases: Vec<Case>,
    /// Files of directories that are RON but no scenarios.
    pub passed_over: Vec<PathBuf>,
}

/// Looks for scenarios. A file that is named is meant to be one; in a directory those are that look like one.
pub fn find(paths: &[PathBuf], golden: Option<&Path>) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut seen = BTreeMap::new();
    for root in paths {
        let kind = fs::metadata(root).map_err(|error| Failure::unreadable(root, &error))?;
        let files = if kind.is_dir() { scenarios_in(root, &mut found.passed_over)? } else { vec![root.clone()] };
        for file in files {
            // The same file by another name is the same scenario.
            let place = file.canonicalize().unwrap_or_else(|_| file.clone());
            if seen.insert(place, ()).is_none() {
                let golden = golden_of(&file, root, kind.is_dir(), golden);
                found.cases.push(Case { file, golden });
            }
        }
    }
    if found.cases.is_empty() {
        let places: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let what = format!("there is no scenario in {}", places.join(", "));
        let help =
            Some("scenarios are files NAME.ron with nodes and links; `vpnsim schema` prints the language".into());
        return Err(Failure::CannotTest { what, help });
    }
    one_golden_each(&found.cases)?;
    Ok(found)
}

/// Every file of a directory and of those below it that means to be a scenario; nothing hidden.
fn scenarios_in(root: &Path, passed_over: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| !hidden(entry)) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_path_buf();
            Failure::unreadable(&path, &error.into())
        })?;
        let path = entry.path();
        if !path.is_file() || path.extension() != Some(OsStr::new("ron")) {
            continue;
        }
        // What cannot be read is complained of when it is its turn.
        match fs::read_to_string(path) {
            Ok(text) if !Scenario::is_meant_by(&text) => passed_over.push(path.to_path_buf()),
            _ => files.push(path.to_path_buf()),
        }
    }
    Ok(files)
}

/// Beside the scenario; or in the directory of golden answers, where the scenario is in the tree that was named.
fn golden_of(file: &Path, root: &Path, is_tree: bool, golden: Option<&Path>) -> PathBuf {
    let name = Path::new(file.file_name().unwrap_or_default()).with_extension("json");
    match golden {
        None => file.with_file_name(GOLDEN).join(name),
        Some(golden) if is_tree => golden.join(file.strip_prefix(root).unwrap_or(file).with_file_name(name)),
        Some(golden) => golden.join(name),
    }
}

/// Two scenarios with one golden answer would overwrite each other's.
fn one_golden_each(cases: &[Case]) -> Result<(), Failure> {
    let mut of: BTreeMap<&Path, &Path> = BTreeMap::new();
    for case in cases {
        if let Some(other) = of.insert(&case.golden, &case.file) {
            let (one, two) = (other.display(), case.file.display());
            let what = format!("{one} and {two} have one golden answer: {}", case.golden.display());
            let help = Some("name the directory that both are in, or leave --golden out".into());
            return Err(Failure::CannotTest { what, help });
        }
    }
    Ok(())
}
