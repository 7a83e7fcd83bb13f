//! `vpnsim diff`: two files, two settings, two revisions; many seeds; what must not be shown.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

fn run(directory: &Path, program: &str, line: &[&str]) -> (Option<i32>, String, String) {
    let mut command = match program {
        "vpnsim" => Command::cargo_bin("vpnsim").unwrap(),
        other => Command::new(other),
    };
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    // No configuration of whoever runs this.
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let done = command.args(line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn vpnsim(directory: &Path, line: &[&str]) -> (Option<i32>, String, String) {
    run(directory, "vpnsim", &[&["diff"], line].concat())
}

/// Two hosts on a wire that goes silent from 5 s until `heal`; a probe every 100 ms.
fn wire(heal: &str) -> String {
    format!(
        r#"(
    version: 1,
    name: "wire",
    question: "How long is a wire silent that is cut?",
    duration: "20s",
    nodes: {{ "a": Host(address: "10.0.0.1/24", gateway: "10.0.0.2"), "b": Host(address: "10.0.0.2/24", gateway: "10.0.0.1") }},
    links: {{ "wire": Path(between: ("a", "b"), delay: "5ms") }},
    probes: {{ "ping": IcmpEcho(from: "a", to: "b", every: "100ms") }},
    faults: {{ "cut": (at: "5s", heal: "{heal}", what: Blackhole(link: "wire")) }},
    expect: {{ "dark": OutageBetween(probe: "ping", fault: "cut", min: "1s", max: "5s") }},
)"#
    )
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("a.ron"), wire("9s")).unwrap();
    fs::write(home.path().join("b.ron"), wire("7s")).unwrap();
    home
}

/// Cut for 4 s and for 2 s.
const SHORTER: &str = "ping round trip: outage of cut was 4.000 s, is 2.000 s (-2.000 s)";

#[test]
fn two_files_and_two_settings_are_compared_alike() {
    let home = home();
    let (code, files, _) = vpnsim(home.path(), &["a.ron", "b.ron", "--format", "json"]);
    assert_eq!(code, Some(0), "an expectation that holds in both, and no judgement");
    let (code, settings, _) = vpnsim(home.path(), &["a.ron", "--set-b", "faults.cut.heal=7s", "--format", "json"]);
    assert_eq!(code, Some(0));
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (files, settings) = (parse(&files), parse(&settings));
    assert_eq!(files["changes"], settings["changes"]);
    assert_eq!(files["schema"], "vpnsim-diff/1");
    assert_eq!(files["verdict"], "different");
    let texts: Vec<&str> = files["changes"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert!(texts.contains(&SHORTER), "{texts:?}");
    let only = serde_json::json!([{ "path": "faults.cut.heal", "was": "9s", "is": "7s" }]);
    assert_eq!((&files["inputs"], &settings["inputs"]), (&only, &only));
    assert_eq!(settings["is"]["changes"], serde_json::json!(["faults.cut.heal=7s"]));
    // Both ways the same, with the sides exchanged.
    let (_, back, _) = vpnsim(home.path(), &["b.ron", "a.ron", "--format", "json"]);
    let back = parse(&back);
    let sides = |document: &serde_json::Value, was: &str, is: &str| -> Vec<String> {
        let all = document["changes"].as_array().unwrap().iter();
        all.map(|it| format!("{} {} {}", it["what"], it[was], it[is])).collect()
    };
    assert_eq!(sides(&files, "was", "is"), sides(&back, "is", "was"));
}

#[test]
fn it_reads_well_on_a_terminal_and_in_a_comment() {
    let home = home();
    let (_, text, said) = vpnsim(home.path(), &["a.ron", "b.ron"]);
    insta::assert_snapshot!("text", text);
    assert_eq!(said, "");
    let (_, markdown, _) = vpnsim(home.path(), &["a.ron", "b.ron", "--format", "markdown", "--seeds", "3"]);
    insta::assert_snapshot!("markdown", markdown);
}

#[test]
fn the_same_is_said_to_be_the_same() {
    let home = home();
    let (code, text, _) = vpnsim(home.path(), &["a.ron", "a.ron"]);
    assert!(code == Some(0) && text.starts_with("The behaviour is the same, to the last packet.\n"), "{text}");
    assert!(!text.contains("otherwise"), "{text}");
    // A question is no behaviour, and its difference is shown all the same.
    let (_, text, _) = vpnsim(home.path(), &["a.ron", "--set-b", "question=Why?"]);
    assert!(text.starts_with("The behaviour is the same") && text.contains("Why?"), "{text}");
}

/// Nothing in this world is drawn: with every seed it is dark for 4 s and for 2 s, so that the interval has no width; what is the same
/// in every pair is not listed.
#[test]
fn many_seeds_are_paired() {
    let home = home();
    let line = ["a.ron", "b.ron", "--seeds", "4", "--seed", "7", "--format", "json"];
    let (code, text, _) = vpnsim(home.path(), &line);
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["seeds"]["seeds"], serde_json::json!([7, 8, 9, 10]));
    assert_eq!((&document["was"]["seed"], &document["is"]["seed"]), (&7.into(), &7.into()));
    let measures = document["seeds"]["measures"].as_array().unwrap();
    let outage = measures.iter().find(|it| it["of"] == "ping round trip: outage of cut").unwrap();
    let expected = serde_json::json!({
        "measure": "outage", "of": "ping round trip: outage of cut", "pairs": 4, "was": 4.0, "is": 2.0, "by": -2.0, "interval": [-2.0, -2.0],
    });
    assert_eq!(*outage, expected);
    for jobs in ["1", "3"] {
        assert_eq!(vpnsim(home.path(), &[&line[..], &["--jobs", jobs]].concat()).1, text, "{jobs} jobs");
    }
    // Where loss is drawn, a seed gives both sides the same draws: the same path against itself differs in no pair.
    let (_, text, _) = vpnsim(home.path(), &["a.ron", "a.ron", "--set", "links.wire.loss=10%", "--seeds", "3"]);
    assert!(text.contains("0 of ") && text.contains(" measures differ, 0 of them"), "{text}");
}

#[test]
fn what_is_wrong_is_said() {
    let home = home();
    for (line, says) in [
        (&["a.ron"][..], "--set-b PATH=VALUE"),
        (&["a.ron", "c.ron"], "cannot read c.ron"),
        (&["a.ron", "--set-b", "faults.cot.heal=7s"], "did you mean `cut`?"),
        (&["a.ron", "b.ron", "--seeds", "0"], "0 is not in 1.."),
        (&["a.ron", "HEAD:a.ron"], "git does not have HEAD:a.ron"),
        (&["a.ron", "--option:a.ron"], "unexpected argument"),
        (&["main..other"], "names two revisions, but no file"),
    ] {
        let (code, said, complained) = vpnsim(home.path(), line);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{line:?}");
        assert!(complained.contains(says), "{line:?}: {complained}");
    }
}

/// A repository with two commits of a file, in a directory of its own.
#[test]
fn two_revisions_of_a_file_are_compared() {
    let home = tempfile::tempdir().unwrap();
    let git = |line: &[&str]| {
        let (code, _, said) = run(home.path(), "git", line);
        assert_eq!(code, Some(0), "git {line:?}: {said}");
    };
    let folder = home.path().join("nets");
    fs::create_dir(&folder).unwrap();
    git(&["init", "--quiet", "--initial-branch", "main"]);
    for heal in ["9s", "7s"] {
        fs::write(folder.join("wire.ron"), wire(heal)).unwrap();
        git(&["add", "."]);
        git(&["-c", "user.name=x", "-c", "user.email=x@example.net", "commit", "--quiet", "-m", heal]);
    }
    fs::write(folder.join("wire.ron"), wire("8s")).unwrap();
    // From the root and from below; by two names, by a span of revisions, and against what is not committed.
    for (directory, line, is) in [
        (home.path(), &["HEAD~1:nets/wire.ron", "HEAD:nets/wire.ron"][..], "2.000 s"),
        (&folder, &["HEAD~1:nets/wire.ron", "HEAD:./wire.ron"], "2.000 s"),
        (&folder, &["HEAD~1..main", "wire.ron"], "2.000 s"),
        (&folder, &["HEAD~1..", "--", "wire.ron"], "2.000 s"),
        (home.path(), &["HEAD~1:nets/wire.ron", "nets/wire.ron"], "3.000 s"),
    ] {
        let (code, text, said) = vpnsim(directory, line);
        assert_eq!(code, Some(0), "{line:?}: {said}");
        assert!(
            text.contains(&format!("ping forward: outage of cut was 4.000 s, is {is}")) || text.contains(is),
            "{line:?}: {text}"
        );
        assert!(text.contains("faults.cut.heal"), "{line:?}: {text}");
    }
    let (code, _, said) = vpnsim(home.path(), &["HEAD~7:nets/wire.ron", "nets/wire.ron"]);
    assert!(code == Some(2) && said.contains("git does not have HEAD~7:nets/wire.ron"), "{said}");
    let (code, _, said) = vpnsim(home.path(), &["HEAD:nets/wier.ron", "nets/wire.ron"]);
    assert!(code == Some(2) && said.contains("wier.ron"), "{said}");
    // What would be an option of git is no revision.
    let (code, _, said) = vpnsim(home.path(), &["nets/wire.ron", "--", "--textconv:nets/wire.ron"]);
    assert!(code == Some(2) && said.contains("is no revision"), "{said}");
    // Without git there is a word about it.
    let mut command = Command::cargo_bin("vpnsim").unwrap();
    let done = command.current_dir(home.path()).env("PATH", "").args(["diff", "HEAD:nets/wire.ron", "nets/wire.ron"]);
    let said = String::from_utf8(done.output().unwrap().stderr).unwrap();
    assert!(said.contains("cannot ask git") && said.contains("install git"), "{said}");
}

#[test]
fn keys_that_differ_are_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/wrong_psk.ron");
    let file = library.to_str().unwrap();
    let key = "connections.vpn.tunnels.a.customer.pre_shared_key=hush.hush";
    let common = ["--set", "duration=61s", "--set", "expect={}", "--set", "control=[]", "--set", "probes.app.start=1s"];
    for format in ["text", "markdown", "json"] {
        let line = [&[file, "--set-b", key, "--format", format][..], &common[..]].concat();
        let (code, text, said) = vpnsim(home.path(), &line);
        assert_eq!(code, Some(0), "{said}");
        assert!(text.contains("pre_shared_key") && text.replace('\\', "").contains("***"), "{text}");
        assert!(!text.contains("hush") && !text.contains("key.of"), "{text}");
    }
}
