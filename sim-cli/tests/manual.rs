//! The manual is true: every command in it is run, and prints what stands there; the reference is what the language's types say.
//!
//! A fenced block of kind `console` has commands, `$ vpnsim ...`, each followed by what it prints: standard output, then standard error.
//! A line `...` stands for any lines, and `...` within a line for any text. A command ends with 0 unless `; echo $?` shows with what. The
//! blocks of a page run in order in one directory, in which `scenarios` is the library. A block of kind `ron` that begins with a file's name
//! as a comment is there, too.
//!
//! `UPDATE=1 cargo test -p sim-cli --test manual` rewrites the reference.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manual/src")
}

/// A command and what it prints.
#[derive(Debug, PartialEq)]
struct Shown {
    command: String,
    output: Vec<String>,
}

fn shown(page: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match line.strip_prefix("$ ") {
                Some(command) => all.push(Shown { command: command.to_owned(), output: Vec::new() }),
                None => all.last_mut().expect("a block begins with a command").output.push(line.to_owned()),
            },
            (false, _) => {}
        }
    }
    all
}

/// The files of a page: names and texts.
fn files(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```ron\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let named = blocks.filter_map(|text| Some((text.lines().next()?.strip_prefix("// ")?.to_owned(), text.to_owned())));
    named.filter(|(name, _)| name.ends_with(".ron")).collect()
}

/// Whether lines are those that are shown, where `...` stands for what is left out.
fn fits(shown: &[String], real: &[&str]) -> bool {
    match (shown.split_first(), real.split_first()) {
        (None, None) => true,
        (Some((line, rest)), _) if line == "..." => (0..=real.len()).any(|skipped| fits(rest, &real[skipped..])),
        (Some((line, rest)), Some((first, others))) => line_fits(line, first) && fits(rest, others),
        _ => false,
    }
}

fn line_fits(shown: &str, real: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = parts.next().and_then(|first| real.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn what_is_left_out_may_be_anything_and_nothing_else() {
    let fits = |shown: &str, real: &str| {
        let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
        fits(&shown, &real.lines().collect::<Vec<_>>())
    };
    assert!(fits("a\n...\nd", "a\nb\nc\nd") && fits("a\n...\nd", "a\nd") && fits("...", ""));
    assert!(!fits("a\n...\nd", "a\nb\nc") && !fits("a", "a\nb") && !fits("a\nb", "a"));
    assert!(fits("wrote ... pages", "wrote 12 pages") && !fits("wrote ... pages", "wrote 12 page"));
    assert!(!fits("cut at ...", "cot at 3 s"));
}

#[test]
fn every_command_prints_what_the_manual_shows() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    let mut names: Vec<PathBuf> = fs::read_dir(pages()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for page in names {
        let home = tempfile::tempdir().unwrap();
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").canonicalize().unwrap();
        std::os::unix::fs::symlink(library, home.path().join("scenarios")).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        for (name, content) in files(&text) {
            fs::write(home.path().join(name), content).unwrap();
        }
        for Shown { command, output } in shown(&text) {
            commands += 1;
            let (line, says_status) = match command.strip_suffix("; echo $?") {
                Some(line) => (line, true),
                None => (command.as_str(), false),
            };
            let mut words = line.split_whitespace();
            assert_eq!(words.next(), Some("vpnsim"), "{}: only vpnsim is run: {line}", page.display());
            let mut vpnsim = Command::cargo_bin("vpnsim").unwrap();
            let done = vpnsim.current_dir(home.path()).env_remove("CLICOLOR_FORCE").args(words).output().unwrap();
            let status = done.status.code().expect("it ends by itself");
            let mut text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
            match says_status {
                true => text += &status.to_string(),
                false if status != 0 => wrong.push(format!("{}: $ {command}\nends with {status}", page.display())),
                false => {}
            }
            if !fits(&output, &text.lines().collect::<Vec<_>>()) {
                wrong.push(format!("{}: $ {command}\nshown:\n{}\nreal:\n{text}", page.display(), output.join("\n")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(commands >= 8, "the manual shows {commands} commands");
}

/// Every page is in the summary, and every page of the summary is there.
#[test]
fn the_summary_is_whole() {
    let summary = fs::read_to_string(pages().join("SUMMARY.md")).unwrap();
    let mut named: Vec<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    named.sort_unstable();
    let mut there: Vec<String> =
        fs::read_dir(pages()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    there.retain(|name| name != "SUMMARY.md");
    there.sort();
    assert_eq!(named, there);
}

/// Scenarios that the manual names are in the library.
#[test]
fn scenarios_that_are_named_are_there() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let cookbook = fs::read_to_string(pages().join("cookbook.md")).unwrap();
    // What stands in code and has an underscore and nothing else is a scenario, or a setting that is listed here.
    let settings = ["every_pair", "every_single"];
    let names = cookbook.split('`').skip(1).step_by(2);
    let names = names.filter(|name| {
        name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let mut count = 0;
    for name in names.filter(|name| !settings.contains(name)) {
        count += 1;
        let there = ["", "large/"].iter().any(|room| library.join(format!("{room}{name}.ron")).exists());
        assert!(there, "there is no scenarios/{name}.ron");
    }
    assert!(count > 10);
}

#[test]
fn the_reference_is_made_of_the_schema() {
    let mut vpnsim = Command::cargo_bin("vpnsim").unwrap();
    let done = vpnsim.args(["schema", "scenario", "--markdown"]).output().unwrap();
    let made = String::from_utf8(done.stdout).unwrap();
    let page = pages().join("reference.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, &made).unwrap();
    }
    let kept = fs::read_to_string(&page).unwrap_or_default();
    assert!(made == kept, "{} is out of date: UPDATE=1 cargo test -p sim-cli --test manual", page.display());
}
