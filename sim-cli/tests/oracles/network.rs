//! Network namespaces without names: each lives as long as a process of ours, so that nothing is left behind.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{Outcome, asked_for, command, run_line, run_with_remarks};

/// Runs `body` in a network namespace that holds nothing but this test, if oracles are asked for.
///
/// A process cannot change its namespace in safe Rust, so the test program starts itself again under `unshare` with a
/// filter for `test`, its full name, and this function finds itself inside.
pub fn isolated(test: &str, body: impl FnOnce() -> Outcome) {
    const INSIDE: &str = "VPNSIM_ISOLATED";
    if !asked_for(test) {
        return;
    }
    #[allow(clippy::disallowed_methods, reason = "how the inner run knows itself")]
    let inside = std::env::var(INSIDE).is_ok_and(|v| v == test);
    let outcome = if inside { run_line("ip link set lo up").and_then(|_| body()) } else { run_inside(test, INSIDE) };
    if let Err(message) = outcome {
        panic!("{message}");
    }
}

/// Before other work of the machine: who waits too long for the processor loses datagrams to full buffers.
pub const FIRST: &str = "nice -n -19";

/// What a socket holds for a reader who waits for the processor, machine-wide: the usual 208 KiB are two tenths of a second of
/// the load tests, whose losses would then be the kernel's. Where it cannot be set, they may be.
fn deepen_buffers() {
    const OCTETS: &str = "4194304";
    let _ = std::fs::write("/proc/sys/net/core/rmem_default", OCTETS);
}

fn run_inside(test: &str, marker: &str) -> Outcome {
    deepen_buffers();
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let (said, remarks) = run_with_remarks(
        command(&format!("{FIRST} unshare --net"))
            .arg(program)
            .args(["--exact", test, "--nocapture"])
            .env(marker, test),
    )?;
    // Not through the captured macros: what a test remarks is to be seen when it passes.
    let _ = std::io::stderr().write_all(remarks.as_bytes());
    if said.contains("1 passed") {
        return Ok(());
    }
    Err(format!("{test} is not the name of a test:\n{said}"))
}

/// A second network namespace, at the other end of a wire.
pub struct Namespace {
    /// `cat`, which does nothing until its standard input ends, as it does when this process does.
    keeper: Child,
}

impl Namespace {
    /// An empty namespace whose loopback is up.
    pub fn new() -> Outcome<Self> {
        let mut keeper = command("unshare --net cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("unshare: {e}"))?;
        // An echo means that cat runs, so that the namespace exists.
        let mut echo = String::new();
        if let (Some(to), Some(from)) = (&mut keeper.stdin, &mut keeper.stdout) {
            to.write_all(b"ready\n").map_err(|e| e.to_string())?;
            BufReader::new(from).read_line(&mut echo).map_err(|e| e.to_string())?;
        }
        let namespace = Self { keeper };
        namespace.run("ip link set lo up")?;
        Ok(namespace)
    }

    /// `line` as a command to be run inside.
    pub fn line(&self, line: &str) -> String {
        format!("nsenter --net=/proc/{}/ns/net {line}", self.keeper.id())
    }

    /// Runs a command inside.
    pub fn run(&self, line: &str) -> Outcome<String> {
        run_line(&self.line(line))
    }

    /// What `work` yields inside, on a thread that ends with it. A socket stays in the namespace where it was made.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<T> {
        let path = format!("/proc/{}/ns/net", self.keeper.id());
        let namespace = std::fs::File::open(&path).map_err(|e| format!("{path}: {e}"))?;
        let enter = move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).map_err(|e| format!("{path}: {e}"))?;
            work()
        };
        std::thread::spawn(enter).join().map_err(|_| "the thread in the namespace panicked".to_owned())?
    }

    /// Moves a device of this process's namespace into this one, where it has lost its addresses.
    pub fn take(&self, device: &str) -> Outcome {
        run_line(&format!("ip link set dev {device} netns {}", self.keeper.id())).map(drop)
    }

    /// Lays a wire between this process's namespace (`here`) and this one (`there`), addresses with prefix length.
    pub fn connect(&self, here: &str, there: &str) -> Outcome {
        let peer = self.keeper.id();
        run_line(&format!("ip link add wire0 type veth peer name wire0 netns {peer}"))?;
        run_line(&format!("ip address add {here} dev wire0"))?;
        run_line("ip link set wire0 up")?;
        self.run(&format!("ip address add {there} dev wire0"))?;
        self.run("ip link set wire0 up")?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
