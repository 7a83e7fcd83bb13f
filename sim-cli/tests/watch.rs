//! `vpnsim watch` as a user has it: the real program on a real pseudo terminal, whose screen a terminal emulator shows; and without one.
//!
//! A test waits until the screen says what it must, for as long as the slowest machine may take; nothing depends on how long it takes.

#![cfg(unix)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

/// Dark from 2 s to 3 s: a ping every 100 ms, and a link that is cut.
const SCENARIO: &str = r#"(
    version: 1,
    name: "two_hosts",
    question: "Does a ping come back?",
    duration: "10s",
    nodes: { "a": Host(address: "10.0.0.1/24"), "b": Host(address: "10.0.0.2/24") },
    links: { "wire": Link(between: ("a", "b"), delay: "5ms") },
    probes: { "ping": IcmpEcho(from: "a", to: "b", start: "0s", every: "100ms") },
    faults: { "cut": (at: "2s", heal: "3s", what: LinkDown(link: "wire")) },
    expect: { "dark": OutageBetween(probe: "ping", fault: "cut", min: "0.9s", max: "1.1s") },
)"#;

/// The expectation above cannot hold then: the outage is 1 s.
const TOO_STRICT: [&str; 2] = ["--set", "expect.dark.max=0.95s"];

/// Longer than anything takes: a guard against waiting for ever.
const FOR_EVER: Duration = Duration::from_secs(120);

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("x.ron"), SCENARIO).unwrap();
    home
}

fn size(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

/// A terminal with the program in it.
struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn start(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, slave) = open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        assert!(is_cooked(&pty), "before anything runs in it");
        let command = Command::new(assert_cmd::cargo::cargo_bin("vpnsim")).arg("watch").args(arguments);
        let command = command.current_dir(home).env_remove("NO_COLOR").env_remove("LC_ALL").env("LANG", "C.UTF-8");
        let command = command.env("TERM", "xterm-256color").envs(variables.iter().copied());
        let child = command.spawn(slave).unwrap();
        let pty = Arc::new(pty);
        let (sender, output) = channel();
        let reader = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When the program has ended there is nobody at the other end, which is an error here.
            while let Ok(read @ 1..) = (&*reader).read(&mut buffer) {
                if sender.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, child, output, screen: vt100::Parser::new(size(24), size(80), 0) }
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Shows what the program writes until the screen has all these words.
    fn wait_for(&mut self, words: &[&str]) {
        while !words.iter().all(|words| self.contents().contains(words)) {
            match self.output.recv_timeout(FOR_EVER) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(why) => panic!("{why}: no {words:?} on the screen\n{}", self.contents()),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.screen_mut().set_size(size(rows), size(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Waits for the program's end. The screen is the shell's again, in every respect.
    fn end(mut self) -> (Option<i32>, String) {
        while let Ok(bytes) = self.output.recv_timeout(FOR_EVER) {
            self.screen.process(&bytes);
        }
        let code = self.child.wait().unwrap().code();
        assert!(!self.screen.screen().alternate_screen(), "the shell's screen is back");
        assert!(!self.screen.screen().hide_cursor(), "the cursor is back");
        assert!(is_cooked(&self.pty), "the terminal's driver is as it was");
        (code, self.contents())
    }
}

/// Whether the terminal's driver echoes and gathers lines, as a shell wants it.
fn is_cooked(pty: &Pty) -> bool {
    tcgetattr(pty).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
}

#[test]
fn a_run_is_played_paused_stepped_and_left() {
    let home = home();
    let mut terminal = Terminal::start(home.path(), &["x.ron", "--speed", "0.01x"], &[]);
    terminal.wait_for(&["two_hosts", "playing 0.01x", "Devices", "Links", "Probes", "Happened last", "wire"]);
    assert!(terminal.screen.screen().alternate_screen() && terminal.screen.screen().hide_cursor());
    assert!(!is_cooked(&terminal.pty), "keys come as they are pressed");
    terminal.press(" ");
    terminal.wait_for(&["paused"]);
    terminal.press("f");
    terminal.wait_for(&["2.000 s of 10s", "cut (link down of wire)", "✗ wire down"]);
    terminal.press("n");
    terminal.wait_for(&["3.000 s of 10s", "● wire up", "Healing of cut"]);
    terminal.press("\x1b[D");
    terminal.wait_for(&["2.000 s of 10s", "✗ wire down"]);
    terminal.press("g2.5\r");
    terminal.wait_for(&["2.500 s of 10s", "ping round trip: dark", "dark 0.500s"]);
    terminal.press("\x1b[B\r");
    terminal.wait_for(&["b, host (2 of 2)", "b is a host."]);
    terminal.press("\x1b");
    terminal.wait_for(&["Devices"]);
    terminal.press("?");
    terminal.wait_for(&["Keys", "leave at once"]);
    terminal.press("?");
    terminal.resize(40, 120);
    // The bar reaches the new edge.
    terminal.wait_for(&["?: all"]);
    while !terminal.screen.screen().contents_between(0, 100, 0, 120).contains("?: help") {
        let bytes = terminal.output.recv_timeout(FOR_EVER).expect("the picture follows the terminal's size");
        terminal.screen.process(&bytes);
    }
    terminal.press("q");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("cut (link down of wire) at 2.000 s: ping was dark for 1.000 s"), "{shown}");
}

#[test]
fn a_failed_expectation_is_the_exit_code() {
    let home = home();
    let mut terminal = Terminal::start(home.path(), &["x.ron", "--at", "1s", TOO_STRICT[0], TOO_STRICT[1]], &[]);
    terminal.wait_for(&["1.000 s of 10s", "paused"]);
    terminal.press("q");
    assert_eq!(terminal.end().0, Some(1));
}

#[test]
fn ctrl_c_and_sigterm_give_the_terminal_back() {
    let home = home();
    let mut terminal = Terminal::start(home.path(), &["x.ron", "--speed", "0.01x"], &[]);
    terminal.wait_for(&["playing 0.01x"]);
    terminal.press("\x03");
    assert_eq!(terminal.end().0, Some(130));

    let mut terminal = Terminal::start(home.path(), &["x.ron", "--speed", "0.01x"], &[]);
    terminal.wait_for(&["playing 0.01x"]);
    kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
    assert_eq!(terminal.end().0, Some(143));
}

#[test]
fn the_locale_and_the_options_choose_the_signs() {
    let home = home();
    for (arguments, variables) in
        [(&["x.ron", "--ascii", "--node", "b"][..], &[][..]), (&["x.ron", "--node", "b"][..], &[("LC_ALL", "C")][..])]
    {
        let mut terminal = Terminal::start(home.path(), arguments, variables);
        terminal.wait_for(&["b, host (2 of 2)", "?: all"]);
        assert!(terminal.contents().is_ascii(), "{}", terminal.contents());
        terminal.press("q");
        assert_eq!(terminal.end().0, Some(0));
    }
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let home = home();
    let mut terminal = Terminal::start(home.path(), &["x.ron"], &[("TERM", "dumb"), ("NO_COLOR", "1")]);
    terminal.wait_for(&["This run"]);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0));
    assert!(!shown.contains("Devices"), "{shown}");
}

fn vpnsim(home: &Path) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("vpnsim").unwrap();
    command.current_dir(home).env_remove("CLICOLOR_FORCE");
    command
}

/// Lines in the report's words as they happen, then what `vpnsim run` prints, to the letter, with its exit code.
#[test]
fn without_a_terminal_the_timeline_comes_before_the_answer() {
    let home = home();
    for extra in [&[][..], &TOO_STRICT[..]] {
        let of = |command: &str| {
            let done = vpnsim(home.path()).args([command, "x.ron"]).args(extra).output().unwrap();
            (done.status.code(), String::from_utf8(done.stdout).unwrap())
        };
        let ((code, watched), (expected, run)) = (of("watch"), of("run"));
        assert_eq!((code, code == Some(0)), (expected, extra.is_empty()));
        let timeline = watched.strip_suffix(&format!("\n{run}")).expect("the report follows");
        let told = "     2.000 s  cut (link down of wire)
     2.000 s  ping round trip: dark
     3.000 s  Healing of cut (wire)
     3.000 s  ping round trip: back after 1.000 s
";
        assert_eq!(timeline, told);
    }
}

#[test]
fn a_pace_changes_no_line() {
    let home = home();
    let at = |speed: &str| {
        let done = vpnsim(home.path()).args(["watch", "x.ron", "--plain", "--speed", speed]).assert().code(0);
        done.get_output().stdout.clone()
    };
    assert_eq!(at("max"), at("50x"));
}

#[test]
fn mistakes_are_explained() {
    let home = home();
    for (arguments, says) in [
        (&["x.ron", "--node", "bb"][..], "`bb` is no device of this scenario"),
        (&["x.ron", "--node", "office"], "there are a, b"),
        (&["x.ron", "--speed", "fast"], "like 10x or 0.5x"),
        (&["x.ron", "--at", "11s"], "the scenario ends at 10s, before 11s"),
        (&["x.ron", "--at", "soon"], "--at <TIME>"),
        (&["x.ron", "--plain", "--node", "a"], "cannot be used with"),
        (&["y.ron"], "did you mean x.ron?"),
    ] {
        let done = vpnsim(home.path()).arg("watch").args(arguments).assert().code(2);
        let output = done.get_output();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(says), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// What ends a program whose terminal hangs up while it shows something.
fn hang_up(program: &Path, arguments: &[&str]) -> Option<i32> {
    let home = home();
    let (pty, slave) = open().unwrap();
    pty.resize(Size::new(24, 80)).unwrap();
    let command = Command::new(program).args(arguments).current_dir(home.path());
    let mut child = command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").spawn(slave).unwrap();
    let mut screen = vt100::Parser::new(size(24), size(80), 0);
    while !screen.screen().contents().contains("ping") {
        let mut buffer = [0; 4096];
        let read = (&pty).read(&mut buffer).unwrap();
        screen.process(&buffer[..read]);
    }
    drop(pty);
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait().unwrap()));
    ended.recv_timeout(FOR_EVER).expect("it ends").code()
}

/// Nobody is left to press a key: reading keys would go on for ever.
#[test]
fn a_terminal_that_hangs_up_ends_it() {
    let program = assert_cmd::cargo::cargo_bin("vpnsim");
    for more in [&[][..], &["--speed", "1x"]] {
        let arguments = [&["watch", "x.ron", "--at", "1s"], more].concat();
        assert_eq!(hang_up(&program, &arguments), Some(143), "{arguments:?}");
    }
}

/// The signal is one way to hear of it: where it is slow, or blocked, a terminal that fails says the same.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_hangs_up_ends_what_never_hears_of_it() {
    let program = assert_cmd::cargo::cargo_bin("vpnsim");
    let program = program.to_str().unwrap();
    for at in ["0s", "1s", "4s"] {
        let arguments = ["--block-signal=HUP", program, "watch", "x.ron", "--at", at];
        assert_eq!(hang_up(Path::new("env"), &arguments), Some(143), "{at}");
    }
}
