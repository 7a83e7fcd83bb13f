//! `vpnsim why` and `vpnsim explain ... session`, by the real program: two routers with BFD, one of whose paths goes silent.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

fn library() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/bfd_failover.ron").to_owned()
}

/// The program with a scenario that is over soon after its fault, and what more is typed.
fn vpnsim(home: &Path, command: &str, more: &[&str]) -> Assert {
    let short =
        ["--set", "duration=420s", "--set", "expect={}", "--set", "control=[]", "--set", "probes.app.start=299s"];
    let mut line = Command::cargo_bin("vpnsim").unwrap();
    line.current_dir(home).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    line.arg(command).arg(library()).args(short).args(more).assert()
}

fn stdout(done: &Assert) -> String {
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

fn stderr(done: &Assert) -> String {
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

/// BFD on both ends: three packets, one every 300 ms, so the Detection Time is 900 ms (RFC 5880 section 6.8.4), and what is left
/// of it when the path goes silent is what the outage waits for: more than 600 ms and less than 900 ms after the last packet,
/// which transmit jitter puts up to 25 % earlier, and 10 ms on its way (section 6.8.7).
#[test]
fn an_outage_is_explained_drawn_and_listed() {
    let home = tempfile::tempdir().unwrap();
    let told = stdout(&vpnsim(home.path(), "why", &["--svg", "why.svg"]).code(0));
    let one_line = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in [
        "BFD",
        "bfd_detection expired",
        "Slack",
        "Critical path",
        "Beside it",
        "before the fault: the rest of it counts",
    ] {
        assert!(one_line.contains(says), "{says}: {told}");
    }
    let svg = fs::read_to_string(home.path().join("why.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.contains("bfd_detection"), "{svg}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");

    let json: serde_json::Value =
        serde_json::from_str(&stdout(&vpnsim(home.path(), "why", &["--format", "json"]).code(0))).unwrap();
    assert_eq!(json["schema"], "vpnsim/why/1");
    let path = json["outage"]["path"].as_array().unwrap();
    let detection = path.iter().find(|row| row["wait"]["owner"] == "bfd_detection").expect("BFD noticed");
    let (at, armed) = (detection["at_s"].as_f64().unwrap(), detection["wait"]["armed_s"].as_f64().unwrap());
    assert!((at - armed - 0.9).abs() < 1e-6, "armed {armed}, expired {at}");
    let waited = detection["waited_s"].as_f64().unwrap();
    assert!(waited > 0.55 && waited < 0.9, "{waited}");
    let number = json["outage"]["number"].to_string();

    let same = stdout(&vpnsim(home.path(), "explain", &["outage", &number]).code(0));
    assert_eq!(same, told, "both are one answer");
}

#[test]
fn what_cannot_be_explained_is_said() {
    let home = tempfile::tempdir().unwrap();
    let quiet = ["--set", "faults.cut.enabled=false"];
    let done = vpnsim(home.path(), "why", &quiet).code(0);
    assert!(stdout(&done).contains("No probe stream went dark"), "{}", stdout(&done));
    let done = vpnsim(home.path(), "why", &[&quiet[..], &["--outage", "1"]].concat()).code(2);
    assert!(stderr(&done).contains("there is no outage 1") && stderr(&done).contains("no probe stream went dark"));
    let done = vpnsim(home.path(), "why", &["--outage", "0"]).code(2);
    assert!(stderr(&done).contains("--outage"), "{}", stderr(&done));
    let done = vpnsim(home.path(), "why", &["--svg", "nowhere/why.svg"]).code(2);
    assert!(stderr(&done).contains("cannot write to nowhere/why.svg"), "{}", stderr(&done));
    assert_eq!(stdout(&done), "");
    fs::create_dir(home.path().join("taken")).unwrap();
    let done = vpnsim(home.path(), "why", &["--svg", "taken"]).code(2);
    assert!(stderr(&done).contains("cannot write to taken"), "{}", stderr(&done));
}

/// At 305 s or later the path is silent for some seconds: BFD is down because nothing came for the Detection Time, which leads
/// back to the cut. At 200 s nothing has happened to it but the beginning.
#[test]
fn a_session_is_explained() {
    let home = tempfile::tempdir().unwrap();
    let told = stdout(&vpnsim(home.path(), "explain", &["session", "east.west-a.bfd", "--at", "320s"]).code(0));
    for says in ["it is down", "bfd_detection expired, armed at", "fault cut", "cut"] {
        assert!(told.contains(says), "{says}: {told}");
    }
    let told = stdout(&vpnsim(home.path(), "explain", &["session", "bfd west-a@east", "--at", "200s"]).code(0));
    assert!(told.contains("it is up") && !told.contains("cut"), "{told}");
    let done = vpnsim(home.path(), "explain", &["session", "east.west-a.bgb"]).code(2);
    assert!(stderr(&done).contains("no session is called `east.west-a.bgb`"), "{}", stderr(&done));
    assert!(stderr(&done).contains("did you mean `east.west-a.bgp`?"), "{}", stderr(&done));
}
