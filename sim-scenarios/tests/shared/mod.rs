//! The library of scenarios, for the tests that hold all of it.

use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::{NoSecrets, Scenario};

/// A folder of the repository.
pub fn repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder)
}

/// Names and texts of all scenarios, by name.
pub fn texts() -> Vec<(String, String)> {
    let folder = fs::read_dir(repository("scenarios")).expect("the library is there");
    let files = folder.map(|entry| entry.expect("it can be listed").path());
    let mut texts: Vec<(String, String)> = files
        .filter(|path| path.extension().is_some_and(|end| end == "ron"))
        .map(|path| {
            let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            (stem, fs::read_to_string(&path).expect("a scenario is text"))
        })
        .collect();
    texts.sort();
    assert!(!texts.is_empty());
    texts
}

/// Reads one of them.
pub fn parse(name: &str, text: &str) -> Scenario {
    Scenario::parse(&format!("{name}.ron"), text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
