//! One scenario, one seed and one version give one report, byte for byte: in two processes, in another directory, under
//! another environment, and from an optimised build.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// Names a second build of the program, to hold against the one under test; `.ci/run` names the optimised one.
const OTHER_BUILD: &str = "VPNSIM_OTHER_BUILD";

fn library() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").canonicalize().unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "ron")).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The program under test.
fn this_build() -> PathBuf {
    assert_cmd::cargo::cargo_bin("vpnsim")
}

/// The report of a run. Whether the scenario's expectations hold is not the question here.
fn report(program: &Path, file: &Path, directory: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = assert_cmd::Command::new(program);
    command.args(["run", "-q", "--format", "json"]).arg(file).current_dir(directory);
    command.envs(environment.iter().copied());
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(matches!(done.status.code(), Some(0 | 1)), "{}: {said}", file.display());
    String::from_utf8(done.stdout).unwrap()
}

/// The other process is in another directory and environment, and of the other build if there is one.
#[test]
fn two_processes_give_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let abroad = [
        ("TZ", "Asia/Kathmandu"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("COLUMNS", "40"),
        ("NO_COLOR", "1"),
        ("RUST_BACKTRACE", "full"),
        ("RAYON_NUM_THREADS", "7"),
    ];
    let other = std::env::var_os(OTHER_BUILD).map_or_else(this_build, PathBuf::from);
    for file in library() {
        let (here, there) = thread::scope(|scope| {
            let there = scope.spawn(|| report(&other, &file, two.path(), &abroad));
            (report(&this_build(), &file, one.path(), &[]), there.join().unwrap())
        });
        assert!(here == there, "{}: two processes differ", file.display());
    }
}

/// A file of the same text elsewhere, and the report that `--out` writes.
#[test]
fn a_written_report_is_the_printed_one() {
    let home = tempfile::tempdir().unwrap();
    let original = library().into_iter().find(|file| file.ends_with("graceful_delete.ron")).unwrap();
    let copy = home.path().join("copy.ron");
    fs::copy(&original, &copy).unwrap();
    let printed = report(&this_build(), &original, home.path(), &[]);
    let mut command = assert_cmd::Command::new(this_build());
    let done =
        command.args(["run", "-q", "copy.ron", "--pcap", "--out", "answer"]).current_dir(home.path()).output().unwrap();
    assert!(matches!(done.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read_to_string(home.path().join("answer/report.json")).unwrap(), printed);
}
