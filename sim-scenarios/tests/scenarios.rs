//! The library of scenarios makes sense, and broken scenarios are explained.

use std::fs;
use std::path::{Path, PathBuf};

use sim_scenarios::{NoSecrets, Scenario};

fn ron_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|end| end == "ron"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

#[test]
fn every_scenario_of_the_library_makes_sense() {
    let files = ron_files("../scenarios");
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let scenario = Scenario::parse(&name(&file), &text, &NoSecrets);
        let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(scenario.plan().name, stem, "a scenario is called like its file");
        assert!(text.starts_with("// Question:"), "{stem}: the first comment is the question");
        assert!(!scenario.plan().expectations.is_empty(), "{stem} expects nothing");
        assert!(!scenario.plan().controls.is_empty(), "{stem} has no control");
    }
}

#[test]
fn broken_scenarios_are_explained() {
    let files = ron_files("tests/broken");
    assert!(files.len() >= 20);
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let mistakes = match Scenario::parse(&name(&file), &text, &NoSecrets) {
            Ok(_) => panic!("{} is not broken", name(&file)),
            Err(mistakes) => mistakes.to_string(),
        };
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.bind(|| insta::assert_snapshot!(stem, mistakes));
    }
}

#[test]
fn the_schema_names_every_setting_that_the_library_uses() {
    let schema = sim_scenarios::schema::json_schema();
    let text = serde_json::to_string(&schema).expect("it is JSON");
    for word in [
        "CustomerGateway",
        "dpd_timeout_action",
        "restart",
        "OutageBetween",
        "AES256-GCM-16",
        "heal_after",
        "NatFlush",
        "one_to_one",
    ] {
        assert!(text.contains(&format!("\"{word}\"")), "{word}");
    }
}
