//! `vpnsim test`: the real program on directories of scenarios, with golden answers, JUnit, and everything that can go wrong.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};

/// The program in a directory of its own, with nothing of the caller's environment that changes its words.
fn vpnsim(directory: &Path, line: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("vpnsim").unwrap();
    command.current_dir(directory).env_remove("RUST_BACKTRACE").env_remove("CLICOLOR_FORCE");
    let done = command.args(line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn write(home: &Path, name: &str, text: &str) {
    let file = home.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Two hosts on a wire that goes silent from 5 s until `heal`, and a control without the cut. A probe every 100 ms, so that it is dark
/// for as long as it is cut.
fn wire(heal: u64, max: &str, control: &str) -> String {
    format!(
        r#"(
    version: 1,
    name: "wire",
    question: "How long is a wire silent that is cut?",
    duration: "20s",
    nodes: {{ "a": Host(address: "10.0.0.1/24", gateway: "10.0.0.2"), "b": Host(address: "10.0.0.2/24", gateway: "10.0.0.1") }},
    links: {{ "wire": Path(between: ("a", "b"), delay: "5ms") }},
    probes: {{ "ping": IcmpEcho(from: "a", to: "b", every: "100ms") }},
    faults: {{ "cut": (at: "5s", heal: "{heal}s", what: Blackhole(link: "wire")) }},
    expect: {{ "dark": OutageBetween(probe: "ping", fault: "cut", min: "1s", max: "{max}") }},
    control: [(change: ["{control}"], fails: "dark")],
)"#
    )
}

const NO_CUT: &str = "faults.cut.enabled=false";

fn good() -> String {
    wire(9, "10s", NO_CUT)
}

/// Names of the files of a directory.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything that can be in a directory, once: the malformed one does not hide the others, and decides about the exit code.
#[test]
fn a_directory_is_tested_in_order_whoever_is_done_first() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "scenarios/good.ron", &good());
    write(home.path(), "scenarios/bad.ron", &good().replace("duration", "duratoin"));
    write(home.path(), "scenarios/idle.ron", &wire(9, "10s", "links.wire.delay=6ms"));
    write(home.path(), "scenarios/late.ron", &wire(16, "10s", NO_CUT));
    write(home.path(), "scenarios/deep/good.ron", &good());
    write(home.path(), "scenarios/study.ron", "(version: 1, name: \"s\", scenario: \"good.ron\", runs: 3)");
    write(home.path(), "scenarios/.hidden/bad.ron", "(");
    write(home.path(), "scenarios/notes.txt", "mine");
    let run = |more: &[&str]| vpnsim(home.path(), &[&["test", "scenarios"], more].concat());
    let (code, said, complained) = run(&[]);
    assert_eq!(code, Some(2), "{complained}");
    insta::assert_snapshot!("directory", said);
    assert!(complained.contains("`duratoin` is no setting of the scenario") && complained.contains("bad.ron:5:5"));
    for jobs in ["1", "3"] {
        assert_eq!(run(&["--jobs", jobs]), (code, said.clone(), complained.clone()), "{jobs} jobs");
    }
    let (_, said, complained) = run(&["-v"]);
    assert!(complained.contains("scenarios/study.ron is no scenario"), "{complained}");
    assert!(said.lines().any(|line| line.ends_with(" s")), "{said}");
    let (_, said, _) = run(&["-q"]);
    assert!(!said.contains("deep/good.ron") && said.contains("late.ron") && said.contains("In all"), "{said}");
    assert_eq!(names(home.path()), ["scenarios"], "nothing is written unasked");
}

#[test]
fn the_exit_code_is_the_worst_that_was_found() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "good.ron", &good());
    write(home.path(), "late.ron", &wire(16, "10s", NO_CUT));
    write(home.path(), "idle.ron", &wire(9, "10s", "links.wire.delay=6ms"));
    write(home.path(), "bad.ron", "(");
    let code = |line: &[&str]| vpnsim(home.path(), &[&["test", "-q"], line].concat()).0;
    assert_eq!(code(&["good.ron"]), Some(0));
    assert_eq!(code(&["good.ron", "late.ron"]), Some(1));
    assert_eq!(code(&["idle.ron"]), Some(1), "a control that breaks nothing");
    assert_eq!(code(&["idle.ron", "--no-controls"]), Some(0));
    assert_eq!(code(&["late.ron", "bad.ron", "good.ron"]), Some(2));
    let (code, said, complained) = vpnsim(home.path(), &["test", "godo.ron"]);
    assert_eq!((code, said.as_str()), (Some(2), ""));
    assert!(complained.contains("did you mean good.ron?"), "{complained}");
    fs::create_dir(home.path().join("empty")).unwrap();
    let (code, _, complained) = vpnsim(home.path(), &["test", "empty"]);
    assert!(code == Some(2) && complained.contains("there is no scenario in empty"), "{complained}");
    // The same file by two names is one scenario.
    let (code, said, _) = vpnsim(home.path(), &["test", "good.ron", "./good.ron"]);
    assert!(code == Some(0) && said.contains("1 scenario: 1 held."), "{said}");
}

/// From no golden answer to one, to a changed behaviour, to another one, to none.
#[test]
fn golden_answers_guard_the_behaviour() {
    let home = tempfile::tempdir().unwrap();
    let test = |more: &[&str]| vpnsim(home.path(), &[&["test", "s"], more].concat());
    write(home.path(), "s/one.ron", &good());
    write(home.path(), "s/two.ron", &good());
    let (code, said, _) = test(&[]);
    assert!(code == Some(0) && said.contains("no golden answer"), "{said}");
    let (code, said, _) = test(&["--update"]);
    assert!(code == Some(0) && said.contains("new: s/golden/one.json") && said.contains("new: s/golden/two.json"));
    assert_eq!(names(&home.path().join("s/golden")), ["one.json", "two.json"], "and nothing half-written");
    let golden = |name: &str| fs::read_to_string(home.path().join("s/golden").join(name)).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&golden("one.json")).unwrap();
    assert_eq!((&kept["format"], &kept["digest"]), (&"vpnsim-golden/1".into(), &kept["report"]["digest"]));
    let (code, said, _) = test(&[]);
    assert!(code == Some(0) && said.matches("as golden").count() == 2, "{said}");
    let (_, said, _) = test(&["--update"]);
    assert!(!said.contains("Golden answers"), "what is as it was is not written: {said}");

    // Cut from 5 s to 7 s instead of 9 s: dark for 2 s instead of 4 s. The other is as it was.
    write(home.path(), "s/one.ron", &wire(7, "10s", NO_CUT));
    let (code, said, _) = test(&[]);
    assert_eq!(code, Some(1), "every expectation holds, but the behaviour is another: {said}");
    assert!(said.contains("ping round trip: outage of cut was 4.000 s, is 2.000 s (-2.000 s)."), "{said}");
    assert!(said.contains("The behaviour of 1 is not that of the golden answer."), "{said}");
    let before = golden("two.json");
    let (code, said, _) = test(&["--update"]);
    assert!(code == Some(0) && said.contains("changed: s/golden/one.json") && !said.contains(": s/golden/two.json"));
    assert_eq!(golden("two.json"), before);
    assert_eq!(test(&[]).0, Some(0));

    // A scenario goes; whatever else is kept beside the golden answers stays.
    fs::remove_file(home.path().join("s/two.ron")).unwrap();
    write(home.path(), "s/golden/mine.json", "{\"thesis\": 1}");
    let (code, _, complained) = test(&[]);
    assert!(code == Some(0) && complained.contains("s/golden/two.json is the golden answer of no scenario"));
    let (_, said, _) = test(&["--update"]);
    assert!(said.contains("removed: s/golden/two.json"), "{said}");
    assert_eq!(names(&home.path().join("s/golden")), ["mine.json", "one.json"]);
}

/// Golden answers may be kept elsewhere, in the same tree.
#[test]
fn golden_answers_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "s/one.ron", &good());
    write(home.path(), "s/deep/one.ron", &good());
    let (code, said, _) = vpnsim(home.path(), &["test", "s", "--update", "--golden", "kept"]);
    assert!(code == Some(0) && said.contains("new: kept/deep/one.json"), "{said}");
    assert_eq!(names(&home.path().join("s")), ["deep", "one.ron"]);
    assert_eq!(names(&home.path().join("kept")), ["deep", "one.json"]);
    fs::remove_file(home.path().join("s/deep/one.ron")).unwrap();
    // Only a file is named: whether the others are stale cannot be known.
    let (_, said, _) = vpnsim(home.path(), &["test", "s/one.ron", "--update", "--golden", "kept"]);
    assert!(!said.contains("removed"), "{said}");
    let (_, said, _) = vpnsim(home.path(), &["test", "s", "--update", "--golden", "kept"]);
    assert!(said.contains("removed: kept/deep/one.json"), "{said}");
    write(home.path(), "t/one.ron", &good());
    let (code, _, complained) = vpnsim(home.path(), &["test", "s", "t", "--golden", "kept"]);
    assert!(code == Some(2) && complained.contains("s/one.ron and t/one.ron have one golden answer"), "{complained}");
}

#[test]
fn a_golden_answer_that_does_not_read_is_malformed() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "one.ron", &good());
    write(home.path(), "two.ron", &good());
    for (text, says) in [
        ("<<<<<<< HEAD", "does not read"),
        ("{\"format\": \"vpnsim-golden/9\"}", "is of the format vpnsim-golden/9, expected vpnsim-golden/1"),
    ] {
        write(home.path(), "golden/one.json", text);
        let (code, said, complained) = vpnsim(home.path(), &["test", "one.ron", "two.ron"]);
        assert!(code == Some(2) && complained.contains(says) && complained.contains("--update"), "{complained}");
        assert!(said.contains("two.ron: the expectation held"), "{said}");
    }
    assert_eq!(vpnsim(home.path(), &["test", "one.ron", "two.ron", "--update"]).0, Some(0));
    assert_eq!(vpnsim(home.path(), &["test", "one.ron", "two.ron"]).0, Some(0));
}

/// Larger probes are other packets, and on a wire without a rate they take as long: nothing that is reported tells them apart.
#[test]
fn a_trace_that_differs_in_nothing_that_is_reported_is_said_to_be_just_that() {
    let home = tempfile::tempdir().unwrap();
    let calm = good().replace("at: \"5s\"", "enabled: false, at: \"5s\"").replace("min: \"1s\"", "min: \"0s\"");
    let calm = calm.replace(&format!("control: [(change: [\"{NO_CUT}\"], fails: \"dark\")],"), "");
    write(home.path(), "calm.ron", &calm);
    assert_eq!(vpnsim(home.path(), &["test", "calm.ron", "--update"]).0, Some(0));
    write(home.path(), "calm.ron", &calm.replace("every: \"100ms\"", "every: \"100ms\", size: 200"));
    let (code, said, _) = vpnsim(home.path(), &["test", "calm.ron"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("CHANGED: the trace only"), "{said}");
    assert!(said.contains("The trace differs, what is reported does not."), "{said}");
}

/// RFC 4271 section 4.2: the smaller hold time of both ends counts. With 9 s it expires 6 to 9 s after the cut, because a KEEPALIVE
/// goes every third of it; with 30 s it took 20 to 30 s. The sentence says which wait that is.
#[test]
fn a_changed_timer_is_named() {
    let home = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/active_passive.ron");
    let text = fs::read_to_string(library).unwrap();
    let text = text.replace("every: \"20ms\"", "every: \"100ms\"").replace("duration: \"900s\"", "duration: \"420s\"");
    let text = text.replace("heal: \"600s\", ", "");
    let (head, _) = text.split_once("    expect: {").unwrap();
    let text = format!("{head})");
    write(home.path(), "pair.ron", &text);
    assert_eq!(vpnsim(home.path(), &["test", "pair.ron", "--update"]).0, Some(0));
    write(home.path(), "pair.ron", &text.replace("routing: Bgp()", "routing: Bgp(customer: (hold_time: \"9s\"))"));
    let (code, said, _) = vpnsim(home.path(), &["test", "pair.ron"]);
    assert_eq!(code, Some(1), "{said}");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let numbers = |begins: &str| -> [f64; 3] {
        let (_, rest) = said.split_once(begins).unwrap_or_else(|| panic!("no `{begins}` in {said}"));
        let (was, rest) = rest.split_once(" s, is ").unwrap();
        let (is, rest) = rest.split_once(" s (-").unwrap();
        let (by, _) = rest.split_once(" s).").unwrap();
        [was, is, by].map(|number| number.parse().unwrap())
    };
    for begins in ["app forward: outage of cut was ", "cut: wait for the hold timer of cgw (bgp vpn.a@cgw) was "] {
        let [was, is, by] = numbers(begins);
        assert!((20.0..=30.2).contains(&was) && (5.9..=9.2).contains(&is), "{begins}: {was} {is}");
        assert!((was - is - by).abs() < 0.002, "{begins}: {was} {is} {by}");
    }
}

/// The shape that GitLab, Jenkins and GitHub's reporters read: suites with counts, cases with names and classes, failures with a
/// message and a text.
#[test]
fn junit_names_what_fails() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "s/good.ron", &good());
    write(home.path(), "s/bad.ron", "(");
    write(home.path(), "s/late.ron", &wire(16, "10s", NO_CUT));
    write(home.path(), "s/deep/idle.ron", &wire(9, "10s", "links.wire.delay=6ms"));
    vpnsim(home.path(), &["test", "s/good.ron", "--update"]);
    write(home.path(), "s/good.ron", &wire(7, "10s", NO_CUT));
    let run = || {
        let (code, _, said) = vpnsim(home.path(), &["test", "s", "--junit", "out.xml"]);
        assert!(code == Some(2) && said.contains("wrote out.xml"), "{said}");
        fs::read_to_string(home.path().join("out.xml")).unwrap()
    };
    let text = run();
    let report = Report::deserialize_from_str(&text).unwrap();
    let suites: Vec<_> =
        report.test_suites.iter().map(|it| (it.name.as_str(), it.tests, it.failures, it.errors)).collect();
    // Each scenario has four cases: it answers, an expectation, a control, golden. The malformed one has the first alone. In `s` good
    // is not golden and late is dark for too long.
    assert_eq!(suites, [("s", 9, 2, 1), ("s/deep", 4, 1, 0)]);
    assert_eq!((report.tests, report.failures, report.errors), (13, 3, 1));
    let case = |class: &str, name: &str| {
        let mut cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        let found =
            cases.find(|it| it.classname.as_ref().unwrap().as_str() == class && it.name.as_str().starts_with(name));
        found.unwrap_or_else(|| panic!("{class}: {name} in {text}"))
    };
    let told = |class, name| match &case(class, name).status {
        TestCaseStatus::NonSuccess { kind, message, description, .. } => {
            let text = |it: &Option<quick_junit::XmlString>| it.as_ref().map_or("", |it| it.as_str()).to_owned();
            (Some(*kind), text(message), text(description))
        }
        TestCaseStatus::Success { .. } => (None, String::new(), String::new()),
        TestCaseStatus::Skipped { .. } => (None, "skipped".into(), String::new()),
    };
    let sentence = "ping forward: outage of cut was 4.000 s, is 2.000 s (-2.000 s).";
    let (kind, message, text) = told("s/good", "behaviour is golden");
    assert_eq!(kind, Some(NonSuccessKind::Failure));
    assert!(message.contains("found for expectation") || message == sentence, "{message}");
    assert!(text.contains(sentence), "{text}");
    // Dark from 5 s to 16 s, for at most 10 s.
    let (kind, message, _) = told("s/late", "expectation dark: ");
    assert!(kind == Some(NonSuccessKind::Failure) && message.contains("11.000 s from 5.000 s"), "{message}");
    assert_eq!(told("s/late", "behaviour is golden"), (None, "skipped".into(), String::new()));
    let (kind, message, _) = told("s/deep/idle", "control links.wire.delay=6ms breaks dark");
    assert!(kind == Some(NonSuccessKind::Failure) && message.starts_with("it still holds"), "{message}");
    let (kind, _, text) = told("s/bad", "answers");
    assert!(kind == Some(NonSuccessKind::Error) && text.contains("s/bad.ron:1:"), "{text}");
    assert_eq!(case("s/late", "answers").extra["file"].as_str(), "s/late.ron");

    // Nothing but times differs between two runs.
    let without_times = |text: &str| {
        let parts = text.split(" time=\"").enumerate();
        parts
            .map(|(n, part)| if n == 0 { part } else { part.split_once('"').unwrap().1 }.to_owned())
            .collect::<String>()
    };
    assert_eq!(without_times(&text_of(&home)), without_times(&run()));
    assert!(!text_of(&home).contains("timestamp") && !text_of(&home).contains("uuid"));
}

fn text_of(home: &tempfile::TempDir) -> String {
    fs::read_to_string(home.path().join("out.xml")).unwrap()
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_runs() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "good.ron", &good());
    for place in ["nowhere/out.xml", "."] {
        let (code, said, complained) = vpnsim(home.path(), &["test", "good.ron", "--junit", place]);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{place}");
        assert!(complained.contains("cannot write to"), "{complained}");
    }
    write(home.path(), "golden", "a file where the directory would be");
    let (code, _, complained) = vpnsim(home.path(), &["test", "good.ron", "--update"]);
    assert!(code == Some(2) && complained.contains("golden"), "{complained}");
    assert_eq!(names(home.path()), ["golden", "good.ron"], "nothing half-written");
}

#[test]
fn no_key_shows() {
    let home = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/wrong_psk.ron");
    let text = fs::read_to_string(library).unwrap().replace("key.of", "hush.hush");
    write(home.path(), "keys.ron", &text);
    write(home.path(), "change.ron", &wire(9, "10s", "nodes.a.md5_key=hush.hush"));
    let (_, said, complained) = vpnsim(home.path(), &["test", ".", "--junit", "out.xml", "--update"]);
    let golden = fs::read_to_string(home.path().join("golden/keys.json")).unwrap();
    for text in [said, complained, golden, text_of(&home)] {
        assert!(!text.contains("hush"), "{text}");
    }
}

/// The example for each CI is YAML, and its command does what it is for.
#[test]
fn the_examples_for_ci_work() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "scenarios/good.ron", &good());
    for (name, path) in
        [("github.yml", &["jobs", "scenarios", "steps", "2", "run"][..]), ("gitlab.yml", &["vpnsim", "script", "0"])]
    {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name);
        let text = fs::read_to_string(file).unwrap();
        let documents = yaml_rust2::YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut here = &documents[0];
        for step in path {
            here = match step.parse::<usize>() {
                Ok(n) => &here[n],
                Err(_) => &here[*step],
            };
        }
        let command = here.as_str().unwrap_or_else(|| panic!("{name} has no {path:?}"));
        let words: Vec<&str> = command.split_whitespace().collect();
        assert_eq!(words[0], "vpnsim", "{name}");
        let (code, _, complained) = vpnsim(home.path(), &words[1..]);
        assert_eq!(code, Some(0), "{name}: {complained}");
        // What is uploaded is what was written.
        let written = words.iter().skip_while(|word| **word != "--junit").nth(1).unwrap();
        assert!(text.matches(written).count() >= 2, "{name}: {written}");
        fs::remove_file(home.path().join(written)).unwrap();
    }
}
