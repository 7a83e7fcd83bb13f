//! The real program: exit codes, where its words go, and what it says to people who make mistakes.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

/// The program in a directory of its own, with nothing of the caller's environment that changes its words.
fn vpnsim(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("vpnsim").unwrap();
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    command
}

fn stdout(done: &Assert) -> String {
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

fn stderr(done: &Assert) -> String {
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn empty() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_is_an_answer() {
    let home = empty();
    let done = vpnsim(home.path()).arg("--help").assert().code(0);
    insta::assert_snapshot!("help", stdout(&done));
    let done = vpnsim(home.path()).args(["run", "-h"]).assert().code(0);
    insta::assert_snapshot!("help_run", stdout(&done));
    assert_eq!(stderr(&done), "");
}

#[test]
fn the_version_is_the_crate_s() {
    let done = vpnsim(empty().path()).arg("--version").assert().code(0);
    assert_eq!(stdout(&done), format!("vpnsim {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_malformed_command_is_refused_with_2() {
    let home = empty();
    for (line, says) in [
        (&["runn", "x.ron"][..], "similar subcommand exists: 'run'"),
        (&["run"], "<FILE>"),
        (&["run", "x.ron", "--format", "xml"], "[possible values: text, json]"),
        (&["run", "x.ron", "--seed", "-1"], "--seed"),
        (&["run", "x.ron", "--pcap"], "--out <DIR>"),
        (&["run", "x.ron", "-v", "-q"], "cannot be used with"),
        (&["check"], "<FILE>"),
        (&["explain", "x.ron", "outage", "0"], "0 is not in 1.."),
    ] {
        let done = vpnsim(home.path()).args(line).assert().code(2);
        assert!(stderr(&done).contains(says), "{line:?}: {}", stderr(&done));
        assert_eq!(stdout(&done), "", "{line:?}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_one_that_was_meant() {
    let home = empty();
    fs::write(home.path().join("failover.ron"), "").unwrap();
    let done = vpnsim(home.path()).args(["run", "failovr.ron"]).assert().code(2);
    insta::assert_snapshot!("missing_file", stderr(&done));
    assert_eq!(stdout(&done), "");
}

#[test]
fn a_directory_is_no_scenario() {
    let home = empty();
    let done = vpnsim(home.path()).args(["check", "."]).assert().code(2);
    assert!(stderr(&done).contains("a scenario is a file"), "{}", stderr(&done));
}

#[test]
fn bytes_that_are_no_text_are_no_scenario() {
    let home = empty();
    fs::write(home.path().join("x.ron"), b"(\xff)").unwrap();
    let done = vpnsim(home.path()).args(["check", "x.ron"]).assert().code(2);
    assert!(stderr(&done).contains("UTF-8"), "{}", stderr(&done));
}

#[test]
fn the_report_has_a_schema() {
    let done = vpnsim(empty().path()).args(["schema", "report"]).assert().code(0);
    let schema: serde_json::Value = serde_json::from_str(&stdout(&done)).unwrap();
    let required = schema["required"].as_array().unwrap();
    for key in ["schema", "digest", "outages", "faults", "expectations"] {
        assert!(required.iter().any(|k| k == key), "{key}");
    }
    assert_eq!(schema["properties"]["simulated_s"]["$ref"], "#/$defs/Seconds");
}

/// A reader like `head` leaves after a line: the program stops without a word and without a signal.
#[test]
#[cfg(unix)]
fn a_broken_pipe_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("vpnsim"))
        .args(["schema", "report"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn the_scenario_language_has_a_schema() {
    let done = vpnsim(empty().path()).arg("schema").assert().code(0);
    let schema: serde_json::Value = serde_json::from_str(&stdout(&done)).unwrap();
    for setting in ["nodes", "links", "connections", "probes", "faults", "expect", "control"] {
        assert!(schema["properties"][setting].is_object(), "{setting}");
    }
}

/// A scenario of the library.
fn library(name: &str) -> String {
    format!("{}/../scenarios/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_good_scenario_checks_out() {
    let file = library("active_passive.ron");
    let done = vpnsim(empty().path()).args(["check", &file]).assert().code(0);
    assert_eq!(stdout(&done), format!("{file}: ok\n"));
    let done = vpnsim(empty().path()).args(["check", "-q", &file]).assert().code(0);
    assert_eq!(stdout(&done) + &stderr(&done), "");
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let home = empty();
    let text = fs::read_to_string(library("active_passive.ron")).unwrap();
    fs::write(home.path().join("bad.ron"), text.replace("vpc: \"vpc\",", "vpc: \"vpcc\",")).unwrap();
    fs::write(home.path().join("good.ron"), text).unwrap();
    let done = vpnsim(home.path()).args(["check", "bad.ron", "good.ron"]).assert().code(2);
    assert_eq!(stdout(&done), "good.ron: ok\n");
    insta::assert_snapshot!("one_bad_file", stderr(&done));
}

#[test]
fn a_bad_change_is_shown_in_the_change() {
    let file = library("active_passive.ron");
    let line = ["run", &file, "--set", "connections.vpn.tunnels.a.dpd_timeot=60s"];
    let done = vpnsim(empty().path()).args(line).assert().code(2);
    insta::assert_snapshot!("bad_change", stderr(&done));
    assert_eq!(stdout(&done), "");
}

#[test]
fn a_foreign_directory_is_refused_before_the_run() {
    let home = empty();
    fs::write(home.path().join("thesis.tex"), "years").unwrap();
    let file = library("active_passive.ron");
    let done = vpnsim(home.path()).args(["run", &file, "--out", "."]).assert().code(2);
    let said = stderr(&done).replace(&home.path().canonicalize().unwrap().display().to_string(), "HOME");
    insta::assert_snapshot!("foreign_directory", said);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}
