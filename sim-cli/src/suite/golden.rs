//! Golden answers: one JSON file for each scenario, with the digest and the report of the run that was accepted.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sim_scenarios::report::model::Report;
use walkdir::WalkDir;

use super::find::{Found, GOLDEN};
use super::judge::{Came, Tried};
use crate::failure::Failure;
use crate::whole::{self, Readers};

/// Name and version of the format.
const FORMAT: &str = "vpnsim-golden/1";
/// What the name of any version begins with.
const FAMILY: &str = "vpnsim-golden/";

/// An answer that was accepted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Golden {
    /// Name and version of the format.
    pub format: String,
    /// Digest of the trace: as long as it is the same, so is the behaviour.
    pub digest: String,
    /// The report, to say what changed when it is not.
    pub report: Report,
}

/// What is read before the rest is understood.
#[derive(Deserialize)]
struct Head {
    format: String,
}

/// The golden answer in a file, if there is the file.
pub fn read(path: &Path) -> Result<Option<Golden>, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::unreadable(path, &error)),
        Ok(text) => text,
    };
    let unusable = |problem: String| Failure::UnusableGolden { path: path.display().to_string(), problem };
    let head: Head = serde_json::from_str(&text).map_err(|error| unusable(format!("does not read: {error}")))?;
    if head.format != FORMAT {
        return Err(unusable(format!("is of the format {}, expected {FORMAT}", head.format)));
    }
    serde_json::from_str(&text).map(Some).map_err(|error| unusable(format!("does not read: {error}")))
}

/// Golden answers in directories that were named whose scenario is gone.
pub fn stale(found: &Found, paths: &[PathBuf], golden: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    match golden {
        None => {
            for root in paths.iter().filter(|path| path.is_dir()) {
                for file in files_below(root)? {
                    let folder = file.parent().filter(|folder| folder.ends_with(GOLDEN));
                    let scenario = folder.and_then(Path::parent).map(|beside| scenario_of(beside, &file));
                    if scenario.is_some_and(|scenario| !scenario.exists()) {
                        all.push(file);
                    }
                }
            }
        }
        // If single files were named, the others may have scenarios that were not.
        Some(golden) if golden.is_dir() && paths.iter().all(|path| path.is_dir()) => {
            let known = |file: &PathBuf| found.cases.iter().any(|case| case.golden == *file);
            all.extend(files_below(golden)?.into_iter().filter(|file| !known(file)));
        }
        Some(_) => {}
    }
    // Whatever else somebody keeps there is his own.
    all.retain(|file| is_ours(file));
    Ok(all)
}

fn scenario_of(folder: &Path, golden: &Path) -> PathBuf {
    folder.join(golden.file_name().unwrap_or_default()).with_extension("ron")
}

fn files_below(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_path_buf();
            Failure::unreadable(&path, &error.into())
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == "json") {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn is_ours(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str::<Head>(&text).is_ok_and(|head| head.format.starts_with(FAMILY))
}

/// Writes what differs and removes what is stale; says what was done, a line for each.
pub fn update(tried: &[Tried], stale: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for tried in tried {
        let Came::Answered(answered) = &tried.came else { continue };
        let report = answered.report.clone();
        let golden = Golden { format: FORMAT.into(), digest: report.digest.clone(), report };
        let mut text = serde_json::to_string_pretty(&golden).expect("a report has string keys and finite numbers");
        text.push('\n');
        let path = &tried.case.golden;
        let before = fs::read(path).ok();
        if before.as_deref() != Some(text.as_bytes()) {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
                .map_err(|error| Failure::undeliverable(path, &error))?;
            whole::write(path, text.as_bytes(), Readers::All)?;
            let what = if before.is_none() { "new" } else { "changed" };
            lines.push(format!("{what}: {}", path.display()));
        }
    }
    for file in stale {
        fs::remove_file(file).map_err(|error| Failure::undeliverable(file, &error))?;
        lines.push(format!("removed: {}", file.display()));
    }
    Ok(lines)
}
