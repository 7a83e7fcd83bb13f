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
        (&["run", "x.ron", "--assumption-ends", "--replay", "j.jsonl"], "cannot be used with"),
        (&["run", "x.ron", "--faults", "every_single", "--out", "x"], "cannot be used with"),
        (&["run", "x.ron", "--faults", "each"], "[possible values: every_single, every_pair]"),
        (&["run", "x.ron", "--fault-window", "1s..2s"], "--faults <WHICH>"),
        (&["run", "x.ron", "--faults", "every_single", "--fault-window", "2s..1s"], "1s is not after 2s"),
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

/// What AWS does not publish may be otherwise: asked for, the answer says what that would change, in every form.
#[test]
fn an_answer_at_the_ends_of_what_it_assumes() {
    let (home, file) = (empty(), library("active_passive.ron"));
    let run = |more: &[&str]| {
        let line = [&["run", &file, "--quiet", "--assumption-ends", "--format", "json"], more].concat();
        serde_json::from_str::<serde_json::Value>(&stdout(&vpnsim(home.path()).args(line).assert().code(0))).unwrap()
    };
    let report = run(&["--out", "answer"]);
    let assumptions = report["assumptions"].as_array().unwrap();
    let delay = assumptions.iter().find(|a| a["parameter"] == "assume.vgw_programming_delay").unwrap();
    let ends = delay["range"]["ends"].as_array().unwrap();
    assert_eq!([&ends[0]["value"], &ends[1]["value"]], ["0s", "10s"]);
    assert_eq!([ends[0]["digest"] == report["digest"], ends[1]["digest"] == report["digest"]], [true, false]);
    let written = fs::read_to_string(home.path().join("answer/report.md")).unwrap();
    assert!(written.contains("## At the ends of what is assumed"), "{written}");
}

/// What breaks when each component of the drawing breaks, in both forms; a window beyond the scenario is refused.
#[test]
fn everything_is_broken_in_turn() {
    let (home, file) = (empty(), library("static_active_passive.ron"));
    let run =
        |more: &[&str]| vpnsim(home.path()).args([&["run", &file, "--faults", "every_single"], more].concat()).assert();
    let answer: serde_json::Value = serde_json::from_str(&stdout(&run(&["--format", "json"]).code(0))).unwrap();
    assert_eq!(answer["schema"], "vpnsim-faults/1");
    let points = answer["single_points"].as_array().unwrap();
    assert!(points.iter().any(|point| point["name"] == "cgw" && point["kind"] == "node"), "{points:?}");
    let text = stdout(&run(&["--fault-window", "300s..400s"]).code(0));
    assert!(text.starts_with("Single points of failure"), "{text}");
    assert!(text.contains("from 300.000 s to 400.000 s"), "{text}");
    let refused = run(&["--fault-window", "300s..4000s"]).code(2);
    assert!(stderr(&refused).contains("the scenario ends at 900s, before 4000s"), "{}", stderr(&refused));
}

/// `faults: "every_single"` of a file is the flag; it has no folder of results, and another word is explained.
#[test]
fn a_file_says_that_everything_is_broken_in_turn() {
    let (home, file) = (empty(), library("static_active_passive.ron"));
    let run = |more: &[&str]| vpnsim(home.path()).args([&["run", &file], more].concat()).assert();
    let bare = ["--set", "expect={}", "--set", "control=[]", "--set", "probes.app.every=1s"];
    let set = |to: &'static str| [&bare[..], &["--set", to]].concat();
    let by_flag = stdout(&run(&[&bare[..], &["--faults", "every_single"]].concat()).code(0));
    assert_eq!(stdout(&run(&set("faults=every_single")).code(0)), by_flag);
    let refused = run(&[&set("faults=every_single")[..], &["--out", "answer"]].concat()).code(2);
    assert!(stderr(&refused).contains("one table of many runs"), "{}", stderr(&refused));
    assert!(!home.path().join("answer").exists());
    let refused = run(&set("faults=every_tripel")).code(2);
    assert!(stderr(&refused).contains("every_single"), "{}", stderr(&refused));
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

/// What AWS does not have can be simulated, but not by accident: the question is good, and what is odd is said beside it.
#[test]
fn settings_that_aws_does_not_have_are_warned_of() {
    for (name, says) in [
        ("null_encryption.ron", "connections.vpn.tunnels.a.phase2.encryption: AWS does not offer NULL"),
        ("extended_sequence_numbers.ron", "connections.vpn.tunnels.a.extended_sequence_numbers: AWS has no option"),
        ("ah_behind_nat.ron", "connections.vpn.tunnels.a.child_protocol: AWS does not offer AH"),
    ] {
        let file = library(name);
        let done = vpnsim(empty().path()).args(["check", &file]).assert().code(0);
        assert_eq!(stdout(&done), format!("{file}: ok\n"));
        assert!(stderr(&done).starts_with("warning: ") && stderr(&done).contains(says), "{}", stderr(&done));
        assert_eq!(stderr(&done).lines().count(), 1);
        let done = vpnsim(empty().path()).args(["check", "-q", &file]).assert().code(0);
        assert_eq!(stdout(&done) + &stderr(&done), "");
    }
    let done = vpnsim(empty().path()).args(["check", &library("active_passive.ron")]).assert().code(0);
    assert_eq!(stderr(&done), "");
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

/// What a run would say of a change, without the run; the file's own word stands where nothing is changed.
#[test]
fn a_change_is_checked_without_a_run() {
    let check = |change: &str| {
        let file = library("active_passive.ron");
        vpnsim(empty().path()).args(["check", &file, "--set", change]).assert()
    };
    let good = check("connections.vpn.tunnels.a.dpd_timeout=60s").code(0);
    assert!(stdout(&good).ends_with("active_passive.ron: ok\n"));
    let bad = check("connections.vpn.tunnels.a.dpd_timeout=20s").code(2);
    assert!(stderr(&bad).contains("AWS's DPD timeout is 30s or more"), "{}", stderr(&bad));
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

/// Two hosts on a wire that goes silent for four seconds, and what is expected of it.
fn wire(home: &Path, expected: &str) {
    let text = format!(
        r#"(
    version: 1,
    name: "wire",
    question: "How long is a wire silent that is cut for four seconds?",
    duration: "20s",
    nodes: {{ "a": Host(address: "10.0.0.1/24", gateway: "10.0.0.2"), "b": Host(address: "10.0.0.2/24", gateway: "10.0.0.1") }},
    links: {{ "wire": Path(between: ("a", "b"), delay: "5ms") }},
    probes: {{ "ping": IcmpEcho(from: "a", to: "b", every: "100ms") }},
    faults: {{ "cut": (at: "5s", heal: "9s", what: Blackhole(link: "wire")) }},
    expect: {{ "dark": OutageBetween(probe: "ping", fault: "cut", {expected}) }},
)"#
    );
    fs::write(home.join("wire.ron"), text).unwrap();
}

const RIGHT: &str = r#"min: "3.9s", max: "4.1s""#;
const WRONG: &str = r#"min: "1s", max: "2s""#;

#[test]
fn the_exit_code_is_the_verdict() {
    let home = empty();
    wire(home.path(), RIGHT);
    let done = vpnsim(home.path()).args(["run", "wire.ron"]).assert().code(0);
    insta::assert_snapshot!("wire", stdout(&done));
    assert_eq!(stderr(&done), "", "no progress in a pipe");
    wire(home.path(), WRONG);
    let done = vpnsim(home.path()).args(["run", "wire.ron", "-q"]).assert().code(1);
    assert!(stdout(&done).contains("1 of 1 expectations FAILED"), "{}", stdout(&done));
    assert!(!stdout(&done).contains("Timeline"), "quiet is the answer alone");
    let done = vpnsim(home.path()).args(["run", "wire.ron", "-v"]).assert().code(1);
    assert!(stderr(&done).contains("20s simulated in"), "{}", stderr(&done));
}

#[test]
fn json_is_one_document_and_the_same_every_time() {
    let home = empty();
    wire(home.path(), RIGHT);
    let run = |more: &[&str]| {
        let line = ["run", "wire.ron", "--format", "json"];
        let done = vpnsim(home.path()).args(line).args(more).assert().code(0);
        stdout(&done)
    };
    let first = run(&[]);
    assert_eq!(first, run(&[]));
    let report: serde_json::Value = serde_json::from_str(&first).unwrap();
    // 40 probes at 100 ms from 5 s to 9 s; those sent 5 ms before the cut are still on the wire, and get there.
    assert_eq!(report["outages"][0]["duration_s"], 4.0);
    assert_eq!(report["outages"][0]["fault"], "cut");
    assert_eq!(report["expectations"][0]["held"], true);
    let seeded: serde_json::Value = serde_json::from_str(&run(&["--seed", "7"])).unwrap();
    assert_eq!(seeded["seed"], 7);
}

#[test]
fn an_answer_is_a_directory_with_everything() {
    let home = empty();
    wire(home.path(), RIGHT);
    let line = ["run", "wire.ron", "--out", "answer", "--pcap", "--trace", "packets", "--format", "json"];
    let done = vpnsim(home.path()).args(line).assert().code(0);
    let place = home.path().join("answer");
    let mut names: Vec<_> =
        fs::read_dir(&place).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let all = [
        "esp_sa",
        "events.jsonl",
        "ikev1_decryption_table",
        "ikev2_decryption_table",
        "report.html",
        "report.json",
        "report.md",
        "timeline.png",
        "timeline.svg",
    ];
    assert_eq!(names[..9], all);
    assert_eq!(names[9..], ["wire.pcapng"]);
    // The picture has the size of the drawing, twice: https://www.w3.org/TR/png-3/#11IHDR says where it stands.
    let (png, svg) =
        (fs::read(place.join("timeline.png")).unwrap(), fs::read_to_string(place.join("timeline.svg")).unwrap());
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let size = [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) / 2);
    assert!(svg.contains(&format!("width=\"{}\" height=\"{}\"", size[0], size[1])), "{size:?}");
    assert_eq!(fs::read_to_string(place.join("report.json")).unwrap(), stdout(&done));
    let events = fs::read_to_string(place.join("events.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().any(|l| l["event"] == "fault" && l["fault"] == "cut" && l["phase"] == "strike"));
    // Blackholed: 40 requests; replies go back before the cut or after it.
    let dropped = lines.iter().filter(|l| l["event"] == "dropped" && l["reason"] == "blackhole").count();
    let report: serde_json::Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!(report["drops"][0]["packets"], dropped);
    // A second answer takes the place of the first.
    vpnsim(home.path()).args(["run", "wire.ron", "--out", "answer"]).assert().code(0);
    assert!(!place.join("wire.pcapng").exists());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "wire.ron and answer, nothing half-written");
}

/// A page by itself: with the command that makes it again, and nothing but the page is written; a page that cannot be written is
/// known before the run.
#[test]
fn an_answer_can_be_one_page() {
    let home = empty();
    wire(home.path(), RIGHT);
    let change = "question=What's <b>here</b> & there?";
    let line = ["run", "wire.ron", "--html", "page.html", "--seed", "7", "--set", change];
    let done = vpnsim(home.path()).args(line).assert().code(0);
    assert!(stderr(&done).contains("wrote page.html"), "{}", stderr(&done));
    let page = fs::read_to_string(home.path().join("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    // A shell's quotes, then HTML's.
    let again = "vpnsim run wire.ron --set &#39;question=What&#39;\\&#39;&#39;s &#60;b&#62;here&#60;/b&#62; &#38; there?&#39; --seed 7";
    assert!(page.contains(again), "{page}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "wire.ron and the page");
    let both = ["run", "wire.ron", "--quiet", "--html", "page.html", "--out", "answer"];
    vpnsim(home.path()).args(both).assert().code(0);
    let pages = ["page.html", "answer/report.html"].map(|name| fs::read(home.path().join(name)).unwrap());
    assert_eq!(pages[0], pages[1], "the same question has the same page");

    for (place, says) in [("none/page.html", "no such file or directory"), ("answer", "it is a directory")] {
        let done = vpnsim(home.path()).args(["run", "wire.ron", "--html", place]).assert().code(2);
        assert!(stderr(&done).contains(says), "{}", stderr(&done));
        assert_eq!(stdout(&done), "");
    }
}

/// pcapng counts from 1970 (UTC), and so does a world that says when it begins; 1795600800 is what `date -u +%s` makes of it.
#[test]
fn captures_begin_when_the_world_begins() {
    let home = empty();
    wire(home.path(), RIGHT);
    for (begins, second) in [("2026-11-25T10:00:00Z", 1_795_600_800), ("1970-01-01T00:00:00Z", 0)] {
        let change = format!("begins={begins}");
        let line = ["run", "wire.ron", "--out", "answer", "--pcap", "--set", &change];
        vpnsim(home.path()).args(line).assert().code(0);
        let capture = fs::File::open(home.path().join("answer/wire.pcapng")).unwrap();
        let mut reader = pcap_file::pcapng::PcapNgReader::new(capture).unwrap();
        let mut stamps = Vec::new();
        while let Some(block) = reader.next_block() {
            if let pcap_file::pcapng::Block::EnhancedPacket(packet) = block.unwrap() {
                stamps.push(packet.timestamp.as_secs());
            }
        }
        // The world lasts 20 s.
        assert!(
            stamps.len() > 100 && stamps.iter().all(|at| (second..second + 20).contains(at)),
            "{begins}: {stamps:?}"
        );
    }
}

/// The file of each tunnel is called like AWS's log stream and holds a JSON object a line.
#[test]
fn awss_tunnel_logs_are_part_of_the_answer() {
    let home = empty();
    let line = ["run", &library("wrong_psk.ron"), "--out", "answer", "--set", "duration=61s", "--set", "expect={}"];
    let line = line.into_iter().chain(["--set", "control=[]", "--set", "probes.app.start=1s"]);
    let done = vpnsim(home.path()).args(line).assert().code(0);
    let log = |address: &str| fs::read_to_string(home.path().join(format!("answer/vpn_{address}-IKE.log"))).unwrap();
    let first: serde_json::Value = serde_json::from_str(log("198.51.100.10").lines().next().unwrap()).unwrap();
    let mismatch = "AWS tunnel detected a pre-shared key mismatch with cgw: 203.0.113.10";
    assert_eq!(first["details"], mismatch);
    assert_eq!(log("198.51.100.20"), "", "nothing is wrong there");
    let answer = stdout(&done).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(answer.contains(&format!("AWS logs: {mismatch}.")), "{answer}");
}

/// What CloudWatch and SNS have of the run is part of the answer, too; what nobody has to tell has no file.
#[test]
fn awss_telemetry_is_part_of_the_answer() {
    let home = empty();
    let line = ["run", &library("tunnel_down_alarm.ron"), "--out", "answer"];
    let done = vpnsim(home.path()).args(line).assert().code(0);
    let file = |name: &str| fs::read_to_string(home.path().join("answer").join(name));
    let metrics = file("metrics.jsonl").unwrap();
    assert!(metrics.lines().any(|line| line.contains("\"metric_name\":\"TunnelState\"")), "{metrics}");
    assert_eq!(file("notifications.jsonl").unwrap().lines().count(), 4);
    assert!(file("health.jsonl").is_err() && file("cloudtrail.jsonl").is_err() && file("config.jsonl").is_err());
    assert!(stdout(&done).contains("INSUFFICIENT_DATA -> OK"), "{}", stdout(&done));
    // Another answer may take its place.
    vpnsim(home.path()).args(line).assert().code(0);
}

#[test]
fn outages_and_packets_are_explained() {
    let home = empty();
    wire(home.path(), RIGHT);
    let explain =
        |what: &[&str], code| vpnsim(home.path()).args(["explain", "wire.ron"]).args(what).assert().code(code);
    insta::assert_snapshot!("explain_outage", stdout(&explain(&["outage"], 0)));
    insta::assert_snapshot!("explain_packet", stdout(&explain(&["packet", "1"], 0)));
    let none = stderr(&explain(&["outage", "9"], 2));
    assert!(none.contains("there is no outage 9") && none.contains("outages 1 to"), "{none}");
    let none = stderr(&explain(&["packet", "99999999"], 2));
    assert!(none.contains("there is no packet #99999999"), "{none}");
}

/// The route of a gateway: its candidates, the step that decided, and what changed it; a name that was meant is proposed.
#[test]
fn routes_are_explained() {
    let home = empty();
    let explain = |scenario: &str, what: &[&str], code| {
        vpnsim(home.path()).args(["explain", &library(scenario), "route"]).args(what).assert().code(code)
    };
    let told = stdout(&explain("vgw_never_balances.ron", &["vgw", "10.1.0.0/16", "--at", "180s"], 0));
    insta::assert_snapshot!("explain_route", told);
    let none = stderr(&explain("ecmp_conditions.ron", &["tgv", "10.1.0.0/16", "--at", "1s"], 2));
    assert!(none.contains("called `tgv`") && none.contains("did you mean `tgw`?"), "{none}");
    let none = stderr(&explain("ecmp_conditions.ron", &["office", "10.1.0.0/16", "--at", "1s"], 2));
    assert!(none.contains("`office` has no route table"), "{none}");
    let none = stderr(&explain("ecmp_conditions.ron", &["tgw", "10.1.0.0/17", "--at", "1s"], 2));
    assert!(none.contains("no route to 10.1.0.0/17") && none.contains("did you mean `10.1.0.0/16`?"), "{none}");
    let none = stderr(&explain("ecmp_conditions.ron", &["tgw", "10.1.0.0"], 2));
    assert!(none.contains("invalid value '10.1.0.0' for '<PREFIX>'"), "{none}");
}

#[test]
fn a_key_from_the_environment_or_a_file_never_shows() {
    let home = empty();
    let text = fs::read_to_string(library("active_passive.ron")).unwrap();
    fs::write(home.path().join("x.ron"), text).unwrap();
    fs::write(home.path().join("key"), "battery.staple\n").unwrap();
    let check = |source: &str| {
        let change = format!("connections.vpn.tunnels.a.pre_shared_key={source}");
        let mut command = vpnsim(home.path());
        command.env("VPNSIM_TEST_KEY", "0wrong.horse");
        command.args(["explain", "x.ron", "--set", &change, "outage", "9"]).assert().code(2)
    };
    let done = check("file:key");
    assert!(stderr(&done).contains("no outage 9"), "the key is read and good: {}", stderr(&done));
    let done = check("env:VPNSIM_TEST_KEY");
    assert!(stderr(&done).contains("does not start with 0"), "{}", stderr(&done));
    assert!(!stderr(&done).contains("horse"));
    let done = check("env:VPNSIM_NO_SUCH_KEY");
    assert!(stderr(&done).contains("it is not set"), "{}", stderr(&done));
}

#[test]
fn an_export_is_a_configuration_and_says_what_it_is_not() {
    let home = empty();
    let export = |line: &str| {
        let mut command = vpnsim(home.path());
        command.args(["export", &library("active_passive.ron")]).args(line.split_whitespace());
        command.assert()
    };
    let done = export("vpn --as swanctl --tunnel a").code(0);
    let (text, said) = (stdout(&done), stderr(&done));
    assert!(text.contains("remote_addrs = 198.51.100.10") && !text.contains("198.51.100.20"), "{text}");
    assert!(said.contains("warning: vpn.a: dpd_timeout 40s is nothing to strongSwan with IKEv2"), "{said}");
    let done = export("vpn --as swanctl --set connections.vpn.tunnels.a.customer.local_cidr=10.1.0.0/16").code(0);
    assert!(stdout(&done).contains("local_ts = 10.1.0.0/16"), "{}", stdout(&done));
    let done = export("vpn --as libreswan").code(0);
    let loadable = stdout(&done).lines().all(|line| !line.contains("PSK") || line.starts_with('#'));
    assert!(loadable && stdout(&done).contains(" : PSK \""), "{}", stdout(&done));

    let done = export("vnp --as bird").code(2);
    assert_eq!(stderr(&done), "error: there is no connection called `vnp`\n = help: did you mean `vpn`?\n");
    let done = export("vpn --as bird --tunnel aa").code(2);
    assert!(stderr(&done).contains("did you mean `a`?"), "{}", stderr(&done));
    let done = export("vpn --as swan").code(2);
    assert!(stderr(&done).contains("[possible values: aws-xml, swanctl, libreswan, bird, frr]"), "{}", stderr(&done));
    let done = export("vpn --as swanctl --live").code(2);
    assert!(stderr(&done).contains("no customer gateway of this scenario is external"), "{}", stderr(&done));
    let done = export("vpn --as swanctl --listen 192.0.2.1").code(2);
    assert!(stderr(&done).contains("--live"), "{}", stderr(&done));
}

/// A file with keys is its owner's alone; the keys come from where the scenario keeps them, and only if they are wanted.
#[test]
#[cfg(unix)]
fn an_export_holds_the_keys_and_keeps_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = empty();
    fs::write(home.path().join("key"), "battery.staple\n").unwrap();
    fs::copy(library("active_passive.ron"), home.path().join("x.ron")).unwrap();
    let export = |line: &str| {
        let mut command = vpnsim(home.path());
        command.args(["export", "x.ron", "vpn", "--set", "connections.vpn.tunnels.a.pre_shared_key=file:key"]);
        command.args(line.split_whitespace()).assert()
    };
    let private = |name: &str| {
        let file = home.path().join(name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        fs::read_to_string(file).unwrap()
    };
    let done = export("--as swanctl --out vpn.conf").code(0);
    assert!(private("vpn.conf").contains("secret = \"battery.staple\""));
    assert_eq!(stdout(&done), "");
    assert!(!stderr(&done).contains("staple") && stderr(&done).ends_with("wrote vpn.conf\n"), "{}", stderr(&done));
    export("--as libreswan --out vpn.conf").code(0);
    assert!(!private("vpn.conf").contains("staple"));
    assert!(private("vpn.secrets").contains("203.0.113.10 198.51.100.10 : PSK \"battery.staple\"\n"));
    let done = export("--as libreswan --out vpn.secrets").code(2);
    assert!(stderr(&done).contains("that is where the pre-shared keys go"), "{}", stderr(&done));
    let done = export("--as aws-xml --redact").code(0);
    assert!(stdout(&done).contains("<pre_shared_key>***</pre_shared_key>") && !stdout(&done).contains("staple"));
    let done = export("--as swanctl --out nowhere/vpn.conf").code(2);
    assert!(stderr(&done).contains("cannot write to nowhere/vpn.conf"), "{}", stderr(&done));
}

/// With `--live` the device is sent to the sockets of `vpnsim live`, as the scenario or the options say.
#[test]
fn an_export_for_a_live_run_goes_to_its_sockets() {
    let home = empty();
    let export = |line: &str| {
        let mut command = vpnsim(home.path());
        let words = ["export", &library("endpoint_in_a_box.ron"), "vpn", "--as", "swanctl", "--live"];
        stdout(&command.args(words).args(line.split_whitespace()).assert().code(0))
    };
    let text = export("");
    assert!(text.contains("remote_addrs = 127.0.0.1\n") && text.contains("remote_addrs = 127.0.0.2\n"), "{text}");
    let text = export("--listen 192.0.2.1 --tunnel b");
    assert!(text.contains("remote_addrs = 192.0.2.1\n") && text.contains("remote_port = 4501\n"), "{text}");
}

/// What an operator would find of a mistyped key, with the edit that cures it, which shows no key; and that it does cure it.
#[test]
fn a_diagnosis_names_cause_and_cure() {
    let home = empty();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/wrong_psk.ron");
    let scenario = scenario.to_str().unwrap();
    let line = ["diagnose", scenario, "--set", "duration=90s", "--set", "expect={}", "--set", "control=[]"];
    let done = vpnsim(home.path()).args(line).assert().code(1);
    insta::assert_snapshot!("diagnosis", stdout(&done));
    assert!(!stdout(&done).contains("key.of"), "no key is shown");
    let done = vpnsim(home.path()).args(line).args(["--format", "json"]).assert().code(1);
    let told: serde_json::Value = serde_json::from_str(&stdout(&done)).unwrap();
    assert_eq!((&told["healthy"], &told["causes"][0]["class"]), (&false.into(), &"psk".into()));
    let cure = ["--set", "connections.vpn.tunnels.a.customer.pre_shared_key=key.of.tunnel.a"];
    let done = vpnsim(home.path()).args(line).args(cure).assert().code(0);
    assert!(stdout(&done).starts_with("Healthy"), "{}", stdout(&done));
}
