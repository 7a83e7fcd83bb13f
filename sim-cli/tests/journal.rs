//! Journals of live runs without a peer: what a replay accepts and what it refuses, and what live mode itself refuses.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

const SCENARIO: &str = include_str!("oracles/live.ron");

fn vpnsim(directory: &Path) -> Command {
    let mut command = Command::cargo_bin("vpnsim").unwrap();
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    command
}

fn stderr(done: &Assert) -> String {
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

fn stdout(done: &Assert) -> String {
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

/// A home with the scenario and the journal of a live run of a second and a half into which somebody sent datagrams that
/// are no IKE messages, and that run's report.
fn home() -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("live.ron"), SCENARIO).unwrap();
    let sockets = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let ports = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port().to_string());
    drop(sockets);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = format!("127.0.0.1:{}", ports[0]);
    let sending = std::thread::spawn(move || {
        // Until the sockets are open nobody receives anything.
        for _ in 0..400 {
            let _ = sender.send_to(b"nonsense", &to);
            pause();
        }
    });
    let mut live = vpnsim(home.path());
    live.args(["live", "live.ron", "--ike-port", &ports[0], "--nat-port", &ports[1], "--duration", "1.5s"]);
    live.args(["--set", "faults={}", "--set", "expect={}", "--journal", "j", "--format", "json"]);
    let done = live.assert().code(0);
    let report = stdout(&done);
    sending.join().unwrap();
    (home, report)
}

#[expect(clippy::disallowed_methods, reason = "the program under test runs in real time")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(5));
}

#[test]
fn a_journal_repeats_its_run_with_its_changes() {
    let (home, live) = home();
    let journal = fs::read_to_string(home.path().join("j")).unwrap();
    assert!(journal.lines().count() > 2, "nothing came in:\n{journal}");
    let replay = |more: &[&str]| {
        let line = ["run", "live.ron", "--replay", "j", "--format", "json", "-q"];
        stdout(&vpnsim(home.path()).args(line).args(more).assert().code(0))
    };
    assert_eq!(replay(&[]), live);
    assert_eq!(replay(&["--set", "faults={}", "--set", "expect={}"]), live);
    let report: serde_json::Value = serde_json::from_str(&live).unwrap();
    assert_eq!(report["drops"][0]["reason"], "malformed");
    assert_eq!(report["drops"][0]["packets"], journal.lines().count() - 2);
}

#[test]
fn a_packet_of_a_live_run_is_explained() {
    let (home, _) = home();
    let explain = |file: &str, more: &[&str], code: i32| {
        vpnsim(home.path()).args(["explain", file, "--replay", "j"]).args(more).assert().code(code)
    };
    let told = stdout(&explain("live.ron", &["packet", "1"], 0));
    assert!(told.contains("cgw   is dropped: not a well-formed packet"), "{told}");
    let done = explain("live.ron", &["outage"], 2);
    assert!(stderr(&done).contains("no probe stream went dark"), "{}", stderr(&done));
    fs::write(home.path().join("slower.ron"), SCENARIO.replace("delay: \"10ms\"", "delay: \"11ms\"")).unwrap();
    let done = explain("slower.ron", &["packet", "1"], 2);
    assert!(stderr(&done).contains("is of another text of this scenario"), "{}", stderr(&done));
}

#[test]
fn a_journal_that_is_not_as_it_was_written_is_refused() {
    let (home, _) = home();
    let journal = fs::read_to_string(home.path().join("j")).unwrap();
    let lines: Vec<&str> = journal.lines().collect();
    let without_tail = lines[..lines.len() - 1].join("\n");
    let half = &journal[..journal.len() - 20];
    // 6e is the first octet of "nonsense".
    let altered = journal.replacen("\"bytes\":\"6e", "\"bytes\":\"6f", 1);
    let odd = journal.replacen("\"bytes\":\"6e", "\"bytes\":\"6", 1);
    let earlier = [lines[0], lines[2], lines[1], lines[lines.len() - 1]].join("\n");
    for (text, says) in [
        ("", "is empty"),
        ("{}\n", "is no journal of `vpnsim live`"),
        ("nonsense", "is no journal of `vpnsim live`"),
        (lines[0], "is truncated"),
        (&without_tail, "is truncated"),
        (half, "is truncated"),
        (&altered, "is damaged: its lines are not those that were written"),
        (&odd, "is damaged in line 2"),
        (&earlier, "is damaged in line 3: it is of an earlier instant"),
        (&journal.replacen("\"journal\":2", "\"journal\":1", 1), "version 1; this program reads version 2"),
    ] {
        fs::write(home.path().join("other"), text).unwrap();
        let done = vpnsim(home.path()).args(["run", "live.ron", "--replay", "other"]).assert().code(2);
        assert!(stderr(&done).contains(says), "{says}: {}", stderr(&done));
        assert_eq!(stdout(&done), "");
    }
    fs::write(home.path().join("other"), b"\xff\xfe").unwrap();
    let done = vpnsim(home.path()).args(["run", "live.ron", "--replay", "other"]).assert().code(2);
    assert!(stderr(&done).contains("is no journal"), "{}", stderr(&done));
}

#[test]
fn a_journal_of_another_question_is_refused() {
    let (home, _) = home();
    let refused = |file: &str, more: &[&str], says: &str| {
        let done = vpnsim(home.path()).args(["run", file, "--replay", "j"]).args(more).assert().code(2);
        assert!(stderr(&done).contains(says), "{says}: {}", stderr(&done));
    };
    fs::write(home.path().join("named.ron"), SCENARIO.replace("name: \"live\"", "name: \"dead\"")).unwrap();
    refused("named.ron", &[], "is of the scenario `live`, not of `dead`");
    fs::write(home.path().join("slower.ron"), SCENARIO.replace("delay: \"10ms\"", "delay: \"11ms\"")).unwrap();
    refused("slower.ron", &[], "is of another text of this scenario");
    fs::write(home.path().join("key.ron"), SCENARIO.replace("correct.horse", "wrong.horse")).unwrap();
    refused("key.ron", &[], "a pre-shared key has changed since");
    refused("live.ron", &["--seed", "2"], "is of a run with seed 1");
    refused(
        "live.ron",
        &["--set", "faults={}"],
        "--set faults={} --set expect={}, not with seed 1 and --set faults={}",
    );
    refused("none.ron", &[], "cannot read none.ron");
}

#[test]
fn live_mode_says_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("live.ron"), SCENARIO).unwrap();
    let inside = SCENARIO.replace("external: (),", "");
    assert_ne!(inside, SCENARIO);
    fs::write(home.path().join("inside.ron"), inside).unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (line, says) in [
        (&["live", "inside.ron"][..], "nobody in this scenario is real"),
        (&["live", "inside.ron"], "--external NAME puts a real device in the place of one of: cgw, vgw"),
        (&["live", "inside.ron"], "--tun NAME puts a program of this machine in the place of one of: office, app"),
        (&["live", "live.ron", "--ike-port", &port], "address already in use"),
        (&["live", "live.ron", "--ike-port", &port], "perhaps an IKE daemon; `ss -nlup` names it"),
        (&["live", "live.ron", "--ike-port", &port], "choose others: --listen ADDRESS, --ike-port PORT"),
        (&["live", "live.ron", "--listen", "203.0.113.77", "--ike-port", &port], "wants an address of this machine"),
        (&["live", "live.ron", "--ike-port", "0"], "0 is not in 1..=65535"),
        (&["live", "live.ron", "--duration", "soon"], "soon"),
        (&["live", "live.ron", "--external", "cgv"], "`cgv` is no customer gateway or virtual private gateway"),
        (&["live", "live.ron", "--external", "cgv"], "did you mean `cgw`?"),
        (&["live", "live.ron", "--external", "office"], "`office` is no customer gateway"),
        (&["live", "live.ron", "--external", "cgw", "--external", "vgw"], "both ends of `vpn` are real"),
        (&["live", "live.ron", "--external", "vgw"], "vpn.a has nobody to call"),
        (&["live", "live.ron", "--external", "vgw", "--peer", "aws"], "wanted: an IPv4 address"),
        (&["live", "live.ron", "--tun", "ofice"], "did you mean `office`?"),
        (&["live", "live.ron", "--tun", "vgw"], "`vgw` is no host or instance"),
        (&["live", "live.ron", "--tun", "office="], "is no name for a network interface"),
        (
            &["live", "live.ron", "--native-esp", "--listen", "127.0.0.1"],
            "vpn.a has 198.51.100.10 in the scenario, not 127.0.0.1",
        ),
        (&["live", "live.ron", "--native-esp", "--peer", "127.0.0.1"], "vpn.a has 203.0.113.10 in the scenario"),
        (&["live", "live.ron", "--set", "nodes.cgw.external.nat_port=500"], "need a port of their own"),
        (&["live", "live.ron", "--set", "nodes.cgw.external.nat_port=70000"], "a UDP port is 1 to 65535"),
        (&["live", "live.ron", "--set", "nodes.cgw.external.listen=[\"224.0.0.1\"]"], "is no device's address"),
        (&["run", "live.ron", "--replay", "none"], "cannot read none"),
    ] {
        let done = vpnsim(home.path()).args(line).assert().code(2);
        assert!(stderr(&done).contains(says), "{line:?}: {}", stderr(&done));
        assert_eq!(stdout(&done), "", "{line:?}");
    }
    let done = vpnsim(home.path()).args(["run", "live.ron", "--set", "expect={}"]).assert().code(0);
    assert!(stderr(&done).contains("cgw is simulated: `vpnsim live` puts a real device in its place"));
}
