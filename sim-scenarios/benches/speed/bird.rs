//! BIRD, fed with a table over a kernel's TCP in network namespaces of its own, and the user time that it takes.
//!
//! A process cannot change its namespace in safe Rust, so the bench starts itself again under `unshare`: that process is
//! the feeder, and BIRD runs behind a wire in a second network namespace. The feeder is the first process of a PID
//! namespace that ends with the bench, however that ends, and its files are in a file system that only its mount namespace
//! has: no daemon and no file outlives the measurement.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::feed::{FEEDER, FEEDER_AS, HOLD_TIME, RECEIVER, RECEIVER_AS, greeting};

/// What makes this program the feeder, which finds the stream at its standard input; its argument is the number of routes.
const FEEDER_MARK: &str = "--feed-bird";
/// Where the feeder has a file system of its own.
const DIR: &str = "/run";
/// What starts a command that dies with its parent, and then all that it has started.
const CONFINED: &str = "setpriv --pdeathsig KILL unshare --net --pid --fork --kill-child --mount-proc";
/// For so long BIRD has to use no more time to count as done.
const QUIET: Duration = Duration::from_millis(200);
/// When nothing more is expected of anybody.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a measurement yields, or a sentence that says what was missing.
type Outcome<T = ()> = Result<T, String>;

/// The reference.
pub struct Bird;

impl Bird {
    /// User time in nanoseconds that BIRD takes to read a stream which announces so many routes.
    pub fn user_ns(stream: &[u8], routes: usize) -> Outcome<f64> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut feeder = command(CONFINED)
            .arg(program)
            .args([FEEDER_MARK, &routes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{CONFINED}: {e}"))?;
        // A feeder that ends early says why: that is worth more than the broken pipe.
        let _ = feeder.stdin.take().map(|mut to| to.write_all(stream));
        let output = feeder.wait_with_output().map_err(|e| e.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout);
        let number = said.trim().parse::<u64>();
        number.map(|ns| ns as f64).map_err(|_| format!("{said}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// True if this process is the feeder, which has then done its work.
pub fn fed() -> bool {
    let mut words = std::env::args().skip_while(|word| word != FEEDER_MARK).skip(1);
    let Some(routes) = words.next() else {
        return false;
    };
    match feed(&routes) {
        Ok(ns) => println!("{ns}"),
        Err(why) => println!("{why}"),
    }
    true
}

fn feed(routes: &str) -> Outcome<u64> {
    let mut stream = Vec::new();
    std::io::stdin().read_to_end(&mut stream).map_err(|e| e.to_string())?;
    run(&format!("mount -t tmpfs tmpfs {DIR}"))?;
    let mut namespace = Command::new("unshare")
        .args(["--net", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .map_err(|e| format!("unshare: {e}"))?;
    // An echo means that the namespace exists.
    let mut echo = [0; 1];
    if let (Some(to), Some(from)) = (&mut namespace.0.stdin, &mut namespace.0.stdout) {
        to.write_all(b"\n").and_then(|()| from.read_exact(&mut echo)).map_err(|e| e.to_string())?;
    }
    let there = namespace.0.id();
    run(&format!("ip link add wire0 type veth peer name wire0 netns {there}"))?;
    run(&format!("ip address add {FEEDER}/30 dev wire0"))?;
    run("ip link set wire0 up")?;
    let inside = format!("nsenter --net=/proc/{there}/ns/net");
    run(&format!("{inside} ip address add {RECEIVER}/30 dev wire0"))?;
    run(&format!("{inside} ip link set wire0 up"))?;
    let config = format!(
        "router id {RECEIVER};\nprotocol device {{}}\nprotocol bgp feed {{\n  local {RECEIVER} as {RECEIVER_AS};\n  \
         neighbor {FEEDER} as {FEEDER_AS};\n  passive on;\n  hold time {HOLD_TIME};\n  \
         ipv4 {{ import all; export none; }};\n}}\n"
    );
    let (config_path, control) = (format!("{DIR}/bird.conf"), format!("{DIR}/bird.ctl"));
    std::fs::write(&config_path, config).map_err(|e| e.to_string())?;
    let line = format!("{inside} bird -f -c {config_path} -s {control}");
    // BIRD takes the place of `nsenter`, so its process is the one started here.
    let bird = command(&line).spawn().map(Running).map_err(|e| format!("{line}: {e}"))?;
    let mut session = connect()?;
    let [open, keepalive] = greeting();
    session.write_all(&open).map_err(|e| e.to_string())?;
    session.write_all(&keepalive).map_err(|e| e.to_string())?;
    // Its OPEN and its KEEPALIVE; later it says nothing but KEEPALIVEs, for which its buffers have room.
    let mut heard = [0; 19];
    for kind in [1, 4] {
        session.read_exact(&mut heard).map_err(|e| format!("BIRD's answer: {e}"))?;
        let length = usize::from(u16::from_be_bytes([heard[16], heard[17]]));
        session.read_exact(&mut vec![0; length - heard.len()]).map_err(|e| e.to_string())?;
        if heard[18] != kind {
            return Err(format!("BIRD sent a message of type {} instead of {kind}", heard[18]));
        }
    }
    let began = settled(&bird)?;
    session.write_all(&stream).map_err(|e| e.to_string())?;
    // On a busy machine BIRD may rest before it has read everything. What it spends on being asked is not the table's.
    let all = format!("{routes} of {routes} routes for {routes} networks");
    let (waiting, mut asked) = (std::time::Instant::now(), 0);
    loop {
        let now = settled(&bird)?;
        let said = run(&format!("birdc -s {control} show route count"))?;
        if said.contains(&all) {
            return Ok(now - began - asked);
        }
        if waiting.elapsed() > PATIENCE {
            return Err(format!("BIRD should have {all}, and says: {said}"));
        }
        asked += settled(&bird)? - now;
    }
}

fn connect() -> Outcome<TcpStream> {
    let began = std::time::Instant::now();
    loop {
        match TcpStream::connect(SocketAddrV4::new(RECEIVER, 179)) {
            Ok(stream) => return Ok(stream),
            Err(why) if began.elapsed() > PATIENCE => return Err(format!("no connection to BIRD: {why}")),
            Err(_) => std::thread::sleep(QUIET / 4),
        }
    }
}

/// User time in nanoseconds, when it has not grown for a while.
fn settled(process: &Running) -> Outcome<u64> {
    let path = format!("/proc/{}", process.0.id());
    let began = std::time::Instant::now();
    let mut before = crate::meter::times_of(&path)?;
    while began.elapsed() < PATIENCE {
        std::thread::sleep(QUIET);
        let now = crate::meter::times_of(&path)?;
        if now == before {
            return Ok(now.0);
        }
        before = now;
    }
    Err("BIRD does not come to rest".into())
}

fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(line: &str) -> Outcome<String> {
    let output = command(line).stdout(Stdio::piped()).output().map_err(|e| format!("{line}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
