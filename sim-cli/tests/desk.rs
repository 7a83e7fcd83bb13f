//! The real program before a run and around it: design reviews, scenarios to start from, completions, man pages, schemas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Other, Output};

use assert_cmd::Command;
use serde_json::Value;

fn vpnsim(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("vpnsim").unwrap();
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(directory: &Path, line: &[&str]) -> Output {
    vpnsim(directory).args(line).output().unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tool, if this machine has it.
fn has(tool: &str) -> bool {
    Other::new(tool).arg("--version").output().is_ok()
}

#[test]
fn advice_is_told_to_people_and_to_programs() {
    let file = "scenarios/static_beats_dx_on_tgw.ron";
    let told = run(&repository(), &["check", file, "--advise"]);
    assert_eq!(told.status.code(), Some(0), "advice alone fails nothing");
    insta::assert_snapshot!("advice", text(&told.stdout));

    let strict = run(&repository(), &["check", file, "--advise", "--strict", "--quiet"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(!text(&strict.stdout).contains(": ok"));

    let json = run(&repository(), &["check", file, "scenarios/active_passive.ron", "--advise", "--format", "json"]);
    let reviews: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(reviews[0]["file"], file);
    assert_eq!(reviews[0]["advice"][0]["code"], "static_vpn_beside_dx");
    assert_eq!(reviews[0]["advice"][0]["shown_by"], file);
    let line = reviews[0]["advice"][0]["line"].as_u64().unwrap() as usize;
    let scenario = fs::read_to_string(repository().join(file)).unwrap();
    assert!(scenario.lines().nth(line - 1).unwrap().contains("routing: Static("), "line {line}");
    assert_eq!(reviews[1]["scenario"], "active_passive");
}

#[test]
fn a_malformed_file_counts_more_than_advice() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("bad.ron"), "(version: 1,").unwrap();
    fs::copy(repository().join("scenarios/active_passive.ron"), home.path().join("good.ron")).unwrap();
    let done = run(home.path(), &["check", "bad.ron", "good.ron", "--advise", "--strict"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stdout).contains("good.ron: ok"), "the other is reviewed all the same");
    let done = run(home.path(), &["check", "good.ron", "--strict"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("--advise"));
}

#[test]
fn a_new_scenario_checks_and_runs() {
    let home = tempfile::tempdir().unwrap();
    let done = run(home.path(), &["new", "mine.ron", "--gateway", "tgw", "--routing", "static", "--nat"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("vpnsim check mine.ron --advise"));
    assert!(fs::read_to_string(home.path().join("mine.ron")).unwrap().contains("name: \"mine\""));
    for line in [&["check", "mine.ron"][..], &["run", "mine.ron", "--quiet"]] {
        let done = run(home.path(), line);
        assert_eq!(done.status.code(), Some(0), "{}{}", text(&done.stdout), text(&done.stderr));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing half-written is left");
}

#[test]
fn a_file_that_is_there_stays_unless_forced() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mine.ron");
    fs::write(&file, "precious").unwrap();
    let done = run(home.path(), &["new", "mine.ron"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("--force"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(run(home.path(), &["new", "mine.ron", "--force"]).status.code(), Some(0));
    assert!(fs::read_to_string(&file).unwrap().starts_with("// Question:"));
    let nowhere = run(home.path(), &["new", "no/such/place.ron"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("cannot write to no/such/place.ron"), "{}", text(&nowhere.stderr));
}

#[test]
fn standard_output_is_a_file_too() {
    let home = tempfile::tempdir().unwrap();
    let (one, two) = (run(home.path(), &["new", "-"]), run(home.path(), &["new", "-", "--defaults"]));
    assert_eq!(one.stdout, two.stdout, "without a terminal nothing is asked");
    assert_eq!(text(&one.stderr), "");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn choices_that_do_not_go_together_are_explained() {
    let home = tempfile::tempdir().unwrap();
    for (line, says) in [
        (&["new", "x.ron", "--customer-gateways", "2", "--routing", "static"][..], "use BGP, or one customer gateway"),
        (&["new", "x.ron", "--fault", "line"], "add Direct Connect"),
        (&["new", "x.ron", "--profile", "strongswan-bird"], "strongswan_bird"),
        (&["new", "x.ron", "--firewall", "cisco"], "cisco_asa"),
        (&["new", "x.ron", "--tunnels", "3"], "1..=2"),
        (&["new"], "<FILE>"),
    ] {
        let done = run(home.path(), line);
        assert_eq!(done.status.code(), Some(2), "{line:?}");
        assert!(text(&done.stderr).contains(says), "{line:?}: {}", text(&done.stderr));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// Scripts are the same each time, name every command, and are taken by the shell that they are for.
#[test]
fn completions_are_scripts() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let one = run(home.path(), &["completions", shell]);
        assert_eq!(one.status.code(), Some(0));
        assert_eq!(one.stdout, run(home.path(), &["completions", shell]).stdout);
        for command in ["check", "diagnose", "new", "completions"] {
            assert!(text(&one.stdout).contains(command), "{shell}: {command}");
        }
        fs::write(home.path().join(shell), &one.stdout).unwrap();
        let reads_only = match shell {
            "bash" | "zsh" => "-n",
            "fish" => "--no-execute",
            _ => continue,
        };
        if has(shell) {
            let parsed = Other::new(shell).arg(reads_only).arg(home.path().join(shell)).output().unwrap();
            assert!(parsed.status.success(), "{shell}: {}", text(&parsed.stderr));
        }
    }
    let none = run(home.path(), &["completions", "ksh"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("bash"));
}

/// A page for each command, without a date, that groff or mandoc renders without a warning.
#[test]
fn man_pages_render() {
    let home = tempfile::tempdir().unwrap();
    let done = run(home.path(), &["man", "--out", "man"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let pages = |folder: &str| {
        let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(home.path().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
            .collect();
        all.sort();
        all
    };
    let one = pages("man");
    let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["vpnsim.1", "vpnsim-run.1", "vpnsim-check.1", "vpnsim-explain-route.1", "vpnsim-new.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(run(home.path(), &["man", "--out", "again"]).status.code(), Some(0));
    assert_eq!(one, pages("again"));
    assert_eq!(run(home.path(), &["man"]).stdout, one.iter().find(|(name, _)| name == "vpnsim.1").unwrap().1);
    if has("groff") {
        for (name, _) in &one {
            let page = home.path().join("man").join(name);
            let rendered = Other::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output().unwrap();
            assert!(rendered.status.success() && rendered.stderr.is_empty(), "{name}: {}", text(&rendered.stderr));
        }
    }
    fs::write(home.path().join("file"), "").unwrap();
    let nowhere = run(home.path(), &["man", "--out", "file"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

/// Schemas say what they are, describe what they name, and every reference in them leads somewhere.
#[test]
fn schemas_are_whole() {
    let home = tempfile::tempdir().unwrap();
    for of in ["scenario", "report", "advice"] {
        let schema: Value = serde_json::from_slice(&run(home.path(), &["schema", of]).stdout).unwrap();
        assert_eq!(schema["$id"], format!("urn:vpnsim:schema:{of}:1"));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["title"].is_string() && schema["properties"].is_object(), "{of}");
        let mut undescribed = Vec::new();
        walk(&schema, &schema, of, &mut undescribed);
        assert!(undescribed.is_empty(), "without a description: {undescribed:?}");
    }
}

fn walk(root: &Value, here: &Value, path: &str, undescribed: &mut Vec<String>) {
    if let Some(reference) = here.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').expect("references stay inside");
        assert!(root.pointer(pointer).is_some(), "{path}: {reference} leads nowhere");
    }
    let properties = here.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, property) in properties {
        // One property whose name is capitalised is a kind, which its own type describes.
        let is_kind = name.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_kind && property.get("description").is_none() {
            undescribed.push(format!("{path}.{name}"));
        }
    }
    match here {
        Value::Object(all) => {
            all.iter().for_each(|(key, value)| walk(root, value, &format!("{path}.{key}"), undescribed));
        }
        Value::Array(all) => all.iter().for_each(|value| walk(root, value, path, undescribed)),
        _ => {}
    }
}
