//! `vpnsim study` as a program: killed, continued, cut into parts, and refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sim_core::rng::{Purpose, Rng};

const PING: &str = r#"(
    version: 1,
    name: "ping",
    question: "Does a ping come back?",
    duration: "20s",
    nodes: {
        "a": Host(address: "10.0.0.1/24"),
        "b": Host(address: "10.0.0.2/24"),
    },
    links: { "wire": Path(between: ("a", "b"), delay: "5ms", loss: "5%") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
    faults: { "cut": (at: "5s", heal: "8s", what: Blackhole(link: "wire")) },
)"#;

const STUDY: &str = r#"(
    version: 1,
    name: "loss",
    question: "How much does chance add?",
    scenario: "ping.ron",
    grid: { "loss": Values(paths: ["links.wire.loss"], values: ["0%", "5%", "10%"]) },
    draw: { "at": Uniform(paths: ["faults.cut.at"], min: "2s", max: "10s") },
    runs: 60,
    metrics: { "dark": Outage(probe: "ping", fault: "cut"), "lost": LostProbes(probe: "ping") },
)"#;

/// A directory with a scenario and a study of it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = tempfile::tempdir().unwrap();
        fs::write(desk.path().join("ping.ron"), PING).unwrap();
        fs::write(desk.path().join("study.ron"), STUDY).unwrap();
        Self(desk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpnsim"));
        command.current_dir(self.0.path()).args(["study", "study.ron", "--quiet"]).args(arguments);
        for name in ["SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it to its end, in which some runs may have failed: a fault drawn after its healing makes no scenario.
    fn finish(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    fn tables(&self, out: &str) -> [Vec<u8>; 3] {
        ["runs.csv", "runs.parquet", "study.json"].map(|name| fs::read(self.path(out).join(name)).unwrap())
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// Waits until the log has grown to so many octets, or the program has ended; then kills it. True if it had not ended.
fn kill_at(child: &mut Child, log: &Path, octets: u64) -> bool {
    while length(log) < octets {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Where it is killed is drawn in octets of its log, so that a slow machine is killed as often as a fast one.
#[test]
fn a_study_that_is_killed_goes_on_to_the_same_octets() {
    let desk = Desk::new();
    desk.finish(&["--out", "calm", "--jobs", "1"]);
    let calm = desk.tables("calm");
    let whole = fs::read(desk.path("calm/runs.log")).unwrap();
    let lines = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'\n').count();

    let log = desk.path("killed/runs.log");
    let mut rng = Rng::stream(1, "kills", Purpose::Test);
    let mut kills = 0;
    while kills < 20 {
        let before = fs::read(&log).unwrap_or_default();
        let at = before.len() as u64 + 1 + rng.below(whole.len() as u64 / 12);
        let mut child = desk.command(&["--out", "killed", "--jobs", "2"]).stdout(Stdio::null()).spawn().unwrap();
        if !kill_at(&mut child, &log, at) {
            // It came to its end in between: the rest of the kills is for another one.
            assert!(desk.tables("killed") == calm, "other octets after {kills} kills");
            fs::remove_dir_all(desk.path("killed")).unwrap();
            continue;
        }
        kills += 1;
        let after = fs::read(&log).unwrap();
        let is_done = lines(&after) >= lines(&whole);
        assert!(is_done || !desk.path("killed/runs.csv").exists(), "no table of a study that has not ended");
        let kept = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        assert_eq!(after.get(..kept), Some(&before[..kept]), "nothing that was kept is lost");
        // Once more a torn line, as a write would leave it that the kernel did not finish.
        if kills % 4 == 0 {
            fs::write(&log, [&after[..], b"0123456789abcdef Run((run:1,po"].concat()).unwrap();
        }
    }
    desk.finish(&["--out", "killed", "--jobs", "2"]);
    assert!(desk.tables("killed") == calm, "other octets after {kills} kills");
    // Asked again there is nothing to do, and the answer is the same.
    let before = length(&log);
    desk.finish(&["--out", "killed"]);
    assert_eq!(length(&log), before);
    assert!(desk.tables("killed") == calm);
}

#[test]
fn parts_are_put_together_to_the_same_octets() {
    let desk = Desk::new();
    desk.finish(&["--out", "whole"]);
    let mut parts = Vec::new();
    for number in 1..=3 {
        let (shard, out) = (format!("{number}/3"), format!("part-{number}"));
        desk.run(&["--shard", &shard, "--out", &out]);
        parts.push(format!("{out}/shard-{number}-of-3.part"));
    }
    let arguments = |parts: &[&str]| {
        ["--out", "merged", "--merge"].iter().chain(parts).copied().map(str::to_owned).collect::<Vec<_>>()
    };
    let merge = |parts: &[&str]| arguments(parts);
    let refused = |parts: &[&str], word: &str| {
        let arguments = merge(parts);
        let why = desk.refusal(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(why.contains(word), "{why}");
    };
    refused(&[&parts[0], &parts[1]], "shards are missing: 3/3");
    refused(&[&parts[0], &parts[1], &parts[1]], "overlap");
    refused(&["whole"], "no parts in whole");
    refused(&["ping.ron"], "does not begin like the runs of a study");
    // Directories and files may be mixed.
    let arguments = merge(&["part-1", &parts[1], "part-3"]);
    desk.finish(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(desk.tables("merged") == desk.tables("whole"));
    // The merged directory is one of this study: it goes on, with nothing to do.
    desk.finish(&["--out", "merged"]);
    assert!(desk.tables("merged") == desk.tables("whole"));
}

#[test]
fn a_scheduler_says_which_part() {
    let desk = Desk::new();
    let task = |variables: &[(&str, &str)], shard: &str| {
        let output =
            desk.command(&["--shard", shard, "--out", "array"]).envs(variables.iter().copied()).output().unwrap();
        assert_ne!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let count = ("SLURM_ARRAY_TASK_COUNT", "2");
    task(&[("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_ARRAY_TASK_MIN", "0"), count], "auto");
    task(&[("JOB_COMPLETION_INDEX", "1")], "auto/2");
    desk.finish(&["--merge", "array", "--out", "merged"]);
    desk.finish(&["--out", "whole"]);
    assert!(desk.tables("merged") == desk.tables("whole"));
    assert!(desk.refusal(&["--shard", "auto", "--out", "x"]).contains("none of SLURM_ARRAY_TASK_ID"));
}

#[test]
fn a_directory_of_another_study_is_left_alone() {
    let desk = Desk::new();
    desk.finish(&["--out", "runs"]);
    let before = desk.tables("runs");
    fs::write(desk.path("study.ron"), STUDY.replace("runs: 60", "runs: 61")).unwrap();
    let why = desk.refusal(&["--out", "runs"]);
    assert!(why.contains("as another text, other scenarios or another version"), "{why}");
    fs::write(desk.path("study.ron"), STUDY).unwrap();
    fs::write(desk.path("ping.ron"), PING.replace("5ms", "6ms")).unwrap();
    assert!(desk.refusal(&["--out", "runs"]).contains("other scenarios"), "the scenario is part of the question");
    fs::write(desk.path("study.ron"), STUDY.replace("\"loss\",\n", "\"other\",\n")).unwrap();
    assert!(desk.refusal(&["--out", "runs", "--shard", "1/2"]).contains("another study, `loss`"));
    assert!(desk.tables("runs") == before);

    fs::create_dir(desk.path("tables")).unwrap();
    fs::write(desk.path("tables/runs.csv"), "mine").unwrap();
    assert!(desk.refusal(&["--out", "tables"]).contains("without the log of its runs"));
    assert_eq!(fs::read_to_string(desk.path("tables/runs.csv")).unwrap(), "mine");
    assert!(desk.refusal(&["--out", "ping.ron"]).contains("cannot write to ping.ron"));
}

#[test]
fn a_dry_run_lists_the_points() {
    let desk = Desk::new();
    let output = desk.run(&["--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("3 points, 60 runs of each: 180 in all."), "{text}");
    assert!(text.contains("loss 10 %"), "{text}");
    assert_eq!(fs::read_dir(desk.0.path()).unwrap().count(), 2, "nothing is written");
}

#[test]
fn early_stopping_needs_all_runs_in_one_place() {
    let desk = Desk::new();
    fs::write(desk.path("study.ron"), STUDY.replace("runs: 60,", "runs: 60, stop: (metric: \"dark\", half_width: 1),"))
        .unwrap();
    assert!(desk.refusal(&["--shard", "1/2", "--out", "part"]).contains("stops early"));
    assert!(!desk.path("part").exists());
}

#[test]
fn the_language_has_a_schema() {
    let output = Command::new(env!("CARGO_BIN_EXE_vpnsim")).args(["schema", "study"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    for key in ["scenario", "variants", "grid", "draw", "runs", "metrics", "stop"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}
