//! Commands that must succeed, daemons that end with their test, and waiting for what the outside does in its own time.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a test yields: an error is a sentence that says what was expected of whom.
pub type Outcome<T = ()> = Result<T, String>;

/// True if oracles are asked for; otherwise says that `test` is skipped.
#[allow(clippy::disallowed_methods, reason = "the gate of this test program")]
pub fn asked_for(test: &str) -> bool {
    let asked = std::env::var("VPNSIM_ORACLES").is_ok_and(|v| v == "1");
    if !asked {
        // Not through the captured macros: a skip must be seen in a run that passes.
        let _ = writeln!(
            std::io::stderr(),
            "{test}: skipped, VPNSIM_ORACLES=1 is not set (needs root and the packages of .ci/packages)"
        );
    }
    asked
}

/// Runs a command to its end and gives its standard output; the error holds all that it said.
pub fn run(command: &mut Command) -> Outcome<String> {
    run_with_remarks(command).map(|(stdout, _)| stdout)
}

/// [`run`], and its standard error.
pub fn run_with_remarks(command: &mut Command) -> Outcome<(String, String)> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok((stdout, stderr));
    }
    Err(format!("{command:?}: {}\n{stdout}{stderr}", output.status))
}

/// [`run`] of a command written as one line; words are separated by blanks and nothing is quoted.
pub fn run_line(line: &str) -> Outcome<String> {
    run(&mut command(line))
}

/// A command from one line of words.
pub fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// A process that is killed when this value goes, and when the thread that started it ends for whatever reason.
pub struct Daemon(Child);

impl Daemon {
    /// Starts `line` with its output in `log`.
    pub fn start(line: &str, environment: &[(&str, &Path)], log: &Path) -> Outcome<Self> {
        let file = std::fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = file.try_clone().map_err(|e| e.to_string())?;
        command(&format!("setpriv --pdeathsig KILL {line}"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map(Self)
            .map_err(|e| format!("{line}: {e}"))
    }
}

impl Daemon {
    /// `kill -9`, here and now.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Every one of `parts` must be in `text`.
pub fn expect(text: &str, parts: &[&str]) -> Outcome {
    match parts.iter().find(|part| !text.contains(**part)) {
        None => Ok(()),
        Some(missing) => Err(format!("no {missing:?} in\n{text}")),
    }
}

/// Asks again and again, for 20 s at most, until `probe` yields something. The error is the last answer.
#[allow(clippy::disallowed_methods, reason = "a daemon gets ready in its own time")]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Outcome<T>) -> Outcome<T> {
    let limit = Duration::from_secs(20);
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(last) if waited >= limit => {
                return Err(format!("{what}: not within {limit:?}: {last}"));
            }
            Err(_) => std::thread::sleep(step),
        }
        waited += step;
    }
}
