//! `vpnsim live` as a process, opposite our own machine on loopback and opposite strongSwan in a namespace.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use serde_json::Value;
use sim_core::proto::ike::config::{Config, Identity};
use sim_core::proto::ike::{self, Output};
use sim_core::rng::{Purpose, Rng, Seldom};
use sim_core::time::{Duration, Instant};
use tempfile::TempDir;

use crate::bird::{self, Bird};
use crate::captures::{captures, judge_live};
use crate::customer::Customer;
use crate::gateway::{Addresses, Arrival, Gateway, INITIATE};
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, command, expect, run_line, wait_for};
use crate::strongswan::{OURS, StrongSwan, Suite};

/// The outside addresses of the gateway and of tunnel a in the scenario, and the host in its VPC.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
pub const APP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
/// The host at the gateway's site.
pub const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
pub const PSK: &str = "correct.horse.battery";

/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

/// The program in live mode, and the directory in which it works.
pub struct Program {
    child: Child,
    /// What it says on standard error from now on.
    remarks: Option<JoinHandle<String>>,
    dir: TempDir,
}

impl Program {
    /// Starts it with the scenario of these tests and waits until its sockets are open.
    fn start(arguments: &str) -> Outcome<Self> {
        Self::with(include_str!("live.ron"), arguments, str::to_owned)
    }

    /// Starts it with a scenario and changes of it.
    pub fn changed(scenario: &str, changes: &[String], arguments: &str) -> Outcome<Self> {
        Self::spawn(
            scenario,
            arguments.split_whitespace().chain(changes.iter().flat_map(|c| ["--set", c])),
            str::to_owned,
        )
    }

    /// Starts it with a scenario, by a command that `place` makes of the program's own.
    pub fn with(scenario: &str, arguments: &str, place: impl Fn(&str) -> String) -> Outcome<Self> {
        Self::spawn(scenario, arguments.split_whitespace(), place)
    }

    fn spawn<'a>(
        scenario: &str,
        arguments: impl Iterator<Item = &'a str>,
        place: impl Fn(&str) -> String,
    ) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        std::fs::write(dir.path().join("live.ron"), scenario).map_err(|e| e.to_string())?;
        let vpnsim = assert_cmd::cargo::cargo_bin("vpnsim");
        let line = place(&vpnsim.to_string_lossy());
        let mut child = command(&line)
            .current_dir(dir.path())
            .args("live live.ron --journal journal.jsonl --out answer --pcap --trace packets".split_whitespace())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut said = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let mut line = String::new();
        said.read_line(&mut line).map_err(|e| e.to_string())?;
        let remarks = std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = said.read_to_string(&mut rest);
            rest
        });
        let mut program = Self { child, remarks: Some(remarks), dir };
        if line.is_empty() || line.starts_with("error") { Err(program.last_words(&line)) } else { Ok(program) }
    }

    /// Where it leaves its answer.
    pub fn answer(&self) -> PathBuf {
        self.dir.path().join("answer")
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> Outcome<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("no VmRSS in\n{status}"))
    }

    /// Ends it by a signal and gives its report, after the same program has repeated it from the journal.
    pub fn end(&mut self, signal: &str) -> Outcome<Value> {
        run_line(&format!("kill -s {signal} {}", self.child.id()))?;
        self.report()
    }

    /// Waits for its end and gives its report, after the same program has repeated it from the journal.
    pub fn report(&mut self) -> Outcome<Value> {
        self.report_with(true)
    }

    /// As [`Program::end`], where no tunnel has come up.
    pub fn end_without_keys(&mut self, signal: &str) -> Outcome<Value> {
        run_line(&format!("kill -s {signal} {}", self.child.id()))?;
        self.report_with(false)
    }

    fn report_with(&mut self, keys: bool) -> Outcome<Value> {
        let status = self.child.wait().map_err(|e| e.to_string())?;
        let home = self.dir.path().to_path_buf();
        let read = |name: &str| std::fs::read_to_string(home.join(name)).map_err(|e| format!("{name}: {e}"));
        if status.code() != Some(0) {
            let report = read("answer/report.md").unwrap_or_default();
            return Err(self.last_words(&format!("{status}\n{report}\n")));
        }
        let report = read("answer/report.json")?;
        let length = |file: &Path| std::fs::metadata(file).map(|file| file.len());
        let keys_of_esp = keys.then(|| self.answer().join("esp_sa"));
        for file in captures(&self.answer())?.into_iter().chain(keys_of_esp) {
            if length(&file).map_err(|e| format!("{}: {e}", file.display()))? == 0 {
                return Err(format!("{} is empty", file.display()));
            }
        }
        // One for each version of IKE.
        let tables = ["ikev2_decryption_table", "ikev1_decryption_table"];
        if keys && tables.iter().all(|table| length(&self.answer().join(table)).unwrap_or(0) == 0) {
            return Err("no keys of an IKE_SA were written".into());
        }
        let replay = program(&home).args("run live.ron -q --format json --replay journal.jsonl".split(' ')).output();
        let replay = replay.map_err(|e| e.to_string())?;
        let (again, said) = (String::from_utf8_lossy(&replay.stdout), String::from_utf8_lossy(&replay.stderr));
        if again != report {
            return Err(format!("the replay differs:\n{said}\n{again}\n--- live\n{report}"));
        }
        serde_json::from_str(&report).map_err(|e| e.to_string())
    }

    fn last_words(&mut self, before: &str) -> String {
        let _ = self.child.kill();
        let rest = self.remarks.take().and_then(|remarks| remarks.join().ok()).unwrap_or_default();
        format!("vpnsim live: {before}{rest}")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(home: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("vpnsim"));
    command.current_dir(home);
    command
}

/// Two UDP ports that nobody has.
pub fn free_ports() -> Outcome<[u16; 2]> {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string());
    let (one, other) = (socket()?, socket()?);
    let port = |socket: &UdpSocket| Ok::<_, String>(socket.local_addr().map_err(|e| e.to_string())?.port());
    Ok([port(&one)?, port(&other)?])
}

/// Our own machine as the customer gateway, on loopback.
struct Peer {
    clock: Clock,
    gateway: Gateway,
    inbox: Receiver<Arrival>,
}

impl Peer {
    fn of(ports: [u16; 2]) -> Outcome<Self> {
        let clock = Clock::start();
        let addresses = Addresses {
            local: Ipv4Addr::LOCALHOST.into(),
            remote: Ipv4Addr::LOCALHOST.into(),
            our_host: OFFICE,
            their_host: APP,
            our_ports: [0, 0],
            their_ports: ports,
        };
        let ids = [OUTSIDE, ENDPOINT].map(Identity::Ipv4);
        let [local, remote] = ids;
        let config = Config::customer_gateway(local, remote, PSK.as_bytes());
        let (mut gateway, inbox) = Gateway::new(config, addresses, clock.now())?;
        gateway.handle(clock.now(), INITIATE)?;
        Ok(Self { clock, gateway, inbox })
    }

    fn come_up(&mut self) -> Outcome {
        self.clock.run("the CHILD_SA", LIMIT, &mut self.gateway, &self.inbox, Gateway::carries)
    }

    /// Sends a ping again and again until it is answered, as it may be lost on the silent path or in a flood.
    fn ping(&mut self) -> Outcome {
        let answered = self.gateway.replies();
        let deadline = self.clock.now() + LIMIT;
        while self.gateway.replies() == answered {
            if self.clock.now() > deadline {
                return Err(format!("ping {answered} is not answered:\n{}", self.gateway.log()));
            }
            self.gateway.ping(answered)?;
            self.clock.serve(Duration::from_millis(50), &mut self.gateway, &self.inbox)?;
        }
        Ok(())
    }
}

/// A number of the report's drops.
fn drops(report: &Value, node: &str, reason: &str) -> u64 {
    let all = report["drops"].as_array().into_iter().flatten();
    let here = all.filter(|drop| drop["node"] == node && drop["reason"] == reason);
    here.filter_map(|drop| drop["packets"].as_u64()).sum()
}

/// The whole way: handshake, floating to port 4500, pings across the fault, SIGTERM, report, captures, replay.
#[test]
fn a_tunnel_and_its_replay() {
    let tunnel = || -> Outcome {
        let ports = free_ports()?;
        let mut program = Program::start(&format!("--ike-port {} --nat-port {}", ports[0], ports[1]))?;
        let mut peer = Peer::of(ports)?;
        peer.come_up()?;
        // The path is silent from 5 s to 7 s after the program began; the peer began later.
        let later = peer.clock.now() + Duration::from_secs(8);
        while peer.clock.now() < later {
            peer.ping()?;
        }
        let report = program.end("TERM")?;
        expect(&report["expectations"].to_string(), &["at AWS's end at", "\"held\":true"])?;
        expect(&report["faults"].to_string(), &["\"cut\""])
    };
    tunnel().unwrap_or_else(|why| panic!("{why}"));
}

/// 100,000 datagrams while a peer is served: nothing ends, nothing is kept, and the peer goes on.
#[test]
fn a_flood_of_nonsense_is_counted_and_forgotten() {
    flooded(nonsense, "cgw", "malformed").unwrap_or_else(|why| panic!("{why}"));
}

/// The same with requests for an IKE_SA from everywhere and messages of IKE_SAs that there are not.
#[test]
fn a_flood_of_ike_is_counted_and_forgotten() {
    flooded(strangers, "vpn.a", "unknown_spi").unwrap_or_else(|why| panic!("{why}"));
}

/// A peer is served while a flood comes, of which so many datagrams at least are counted as dropped there.
fn flooded(flood: fn([u16; 2], u32) -> Outcome, node: &str, reason: &str) -> Outcome {
    const DATAGRAMS: u32 = 100_000;
    let ports = free_ports()?;
    let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
    let mut program = Program::start(&format!("--ike-port {} --nat-port {} {quiet}", ports[0], ports[1]))?;
    let mut peer = Peer::of(ports)?;
    peer.come_up()?;
    let flood = |datagrams: u32| std::thread::spawn(move || flood(ports, datagrams));
    // What is allocated once, like the list of spare blocks, is there after a part of the flood.
    let warm = flood(DATAGRAMS / 10);
    while !warm.is_finished() {
        peer.ping()?;
    }
    let before = program.memory()?;
    let rest = flood(DATAGRAMS - DATAGRAMS / 10);
    let mut pings = 0;
    while !rest.is_finished() {
        peer.ping()?;
        pings += 1;
    }
    let after = program.memory()?;
    [warm, rest].into_iter().try_for_each(|flood| flood.join().map_err(|_| "the flood panicked")?)?;
    peer.ping()?;
    let report = program.end("INT")?;
    // Records of what the gate stops would be 5 MiB.
    if after > before + 2_560 {
        return Err(format!("memory grew from {before} to {after} KiB"));
    }
    let counted = drops(&report, node, reason);
    // The kernel throws away what does not fit a socket's buffer; the rest must have come.
    if counted < u64::from(DATAGRAMS) / 100 || pings == 0 {
        return Err(format!("{counted} datagrams were dropped as {reason}, {pings} pings were answered meanwhile"));
    }
    Ok(())
}

#[test]
fn strongswan_is_a_site_with_the_aws_default() {
    site("live::strongswan_is_a_site_with_the_aws_default", &Suite::AWS_DEFAULT, "");
}

/// Ports that need no privileges: strongSwan begins on that of NAT traversal.
#[test]
fn strongswan_is_a_site_with_aes_gcm() {
    let ports = "--ike-port 10500 --nat-port 14500";
    site("live::strongswan_is_a_site_with_aes_gcm", &Suite::AES256_GCM_ECP384, ports);
}

/// strongSwan as the customer gateway of a scenario: it initiates, floats, carries datagrams to a simulated host and back,
/// rekeys its CHILD_SA with perfect forward secrecy, and sends DELETE; SIGINT ends with a report that holds, and the replay
/// needs no strongSwan.
fn site(test: &str, suite: &Suite, ports: &str) {
    isolated(test, || {
        let customer = Customer::of(include_str!("live.ron"), &suite.changes())?;
        let config = customer.export("swanctl", &format!("--live --listen {OURS} {ports}"))?;
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let mut program = Program::start(&format!("--listen {OURS} {ports} {quiet}"))?;
        let report = up_and_down(&strongswan, suite, &config).and_then(|()| program.end("INT"));
        let report = report.map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        judge_live(&program.answer(), "cgw")?;
        let sessions = report["sessions"].to_string();
        expect(&sessions, &["vpn.a@aws", "authenticated", "peer_deleted"])?;
        if sessions.contains("vpn.a@cgw") { Err(format!("a session of the real device in {sessions}")) } else { Ok(()) }
    });
}

/// What our export tells a strongSwan at the site of the scenario, and the file's keeper.
pub fn site_configuration() -> Outcome<(Customer, PathBuf)> {
    let customer = Customer::of(include_str!("live.ron"), &Suite::AWS_DEFAULT.changes())?;
    let config = customer.export("swanctl", &format!("--live --listen {OURS}"))?;
    Ok((customer, config))
}

fn up_and_down(strongswan: &StrongSwan, suite: &Suite, config: &Path) -> Outcome {
    strongswan.load(config)?;
    wait_for("strongSwan's SAs", || {
        let up = ["ESTABLISHED, IKEv2", "INSTALLED", &suite.ike_report(), &suite.esp_report("ikev2")];
        expect(&strongswan.sas()?, &up)
    })?;
    strongswan.echoes(100)?;
    expect(&strongswan.sas()?, &[" 100 packets"])?;
    strongswan.swanctl("--rekey --child vpn-a")?;
    wait_for("strongSwan's second and only CHILD_SA", || {
        let report = strongswan.sas()?;
        expect(&report, &["vpn-a: #2"])?;
        if report.matches("ESP:").count() == 1 { Ok(()) } else { Err(report) }
    })?;
    strongswan.echoes(10)?;
    strongswan.swanctl("--terminate --ike vpn-a").map(drop)
}

/// A site with BIRD behind strongSwan: AWS's end learns the site's prefix by BGP through the tunnel, BIRD learns the VPC's,
/// and only by that route do datagrams reach the simulated host.
#[test]
fn bird_is_the_router_of_a_site() {
    isolated("live::bird_is_the_router_of_a_site", || {
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let ip = |line: &str| run_line(&strongswan.line(&format!("ip {line}")));
        ip(&format!("route del {APP}/32"))?;
        ip("address add 169.254.10.2/30 dev ipsec0")?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let changes: String = bird::SITE.iter().map(|change| format!(" --set {change}")).collect();
        let customer = Customer::of(include_str!("live.ron"), &bird::SITE.map(str::to_owned))?;
        let mut program = Program::start(&format!("--listen {OURS} {changes} {quiet}"))?;
        strongswan.load(&customer.export("swanctl", &format!("--live --listen {OURS}"))?)?;
        let bird = Bird::start(&customer.export("bird", "")?, |line| strongswan.line(line))?;
        let routed = || {
            wait_for("BIRD's session", || bird.established(30))?;
            wait_for("the VPC's prefix in the site's table", || {
                expect(&ip("route")?, &["10.0.0.0/16 via 169.254.10.1"])
            })?;
            run_line(&strongswan.line(&format!("ping -c 20 -i 0.05 -W 5 -I {OFFICE} {APP}"))).map(drop)
        };
        let report = routed().and_then(|()| program.end("INT"));
        let report =
            report.map_err(|e| format!("{e}\n--- strongSwan\n{}\n--- BIRD\n{}", strongswan.log(), bird.log()))?;
        // The answers came back by the route that AWS's end has learned.
        let sessions = report["sessions"].as_array().into_iter().flatten();
        let bgp: Vec<&Value> = sessions.filter(|session| session["kind"] == "bgp").collect();
        match bgp[..] {
            [session] => expect(&session.to_string(), &["vpn.a@aws", r#""to":"established""#]),
            _ => Err(format!("not one BGP session: {bgp:?}")),
        }
    });
}

/// Random octets, half of them behind what could be the beginning of an IKE message.
fn nonsense(ports: [u16; 2], datagrams: u32) -> Outcome {
    let mut bytes = vec![0; 1_400];
    send(Ipv4Addr::LOCALHOST, 100, datagrams, |n, rng| {
        let length = rng.below(bytes.len() as u64) as usize;
        rng.fill(&mut bytes[..length]);
        if n % 2 == 0 && length > 32 {
            bytes[..4].fill(0);
            bytes[21] = 0x20;
        }
        (ports[(n / 2 % 2) as usize], bytes[..length].to_vec())
    })
}

/// Well-formed IKE with SPIs of nobody: every other datagram asks for an IKE_SA, the rest belong to none.
fn strangers(ports: [u16; 2], datagrams: u32) -> Outcome {
    strangers_at(Ipv4Addr::LOCALHOST, ports, 100, datagrams)
}

fn strangers_at(to: Ipv4Addr, ports: [u16; 2], burst: u32, datagrams: u32) -> Outcome {
    let request = first_request()?;
    send(to, burst, datagrams, |n, rng| {
        let mut message = request.clone();
        rng.fill(&mut message[..8]);
        if n % 2 == 0 {
            return (ports[0], message);
        }
        // IKE_AUTH and INFORMATIONAL (RFC 7296 section 3.1: the exchange is octet 18), with an SPI of the responder.
        rng.fill(&mut message[8..16]);
        message[18] = if n % 4 == 1 { 35 } else { 37 };
        // As every such message it begins with an Encrypted payload (section 3.14).
        message[16] = 46;
        (ports[1], [&[0; 4], &message[..]].concat())
    })
}

/// An IKE_SA_INIT request that AWS accepts.
fn first_request() -> Outcome<Vec<u8>> {
    let ids = [OUTSIDE, ENDPOINT].map(Identity::Ipv4);
    let [local, remote] = ids;
    let config = Config::customer_gateway(local, remote, b"nobody's key");
    let stream = |purpose| Seldom::stream(2, "stranger", purpose);
    let (secrets, timers) = (stream(Purpose::IkeSecrets), stream(Purpose::IkeTimers));
    let mut peer = ike::Peer::new(Arc::new(config), OUTSIDE.into(), ENDPOINT.into(), secrets, timers, Instant::START);
    peer.handle(Instant::START, INITIATE);
    std::iter::from_fn(|| peer.poll())
        .find_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        })
        .ok_or_else(|| "no IKE_SA_INIT request".into())
}

/// Sends so many datagrams, each to a port: a burst, then a pause of 4 ms.
#[allow(clippy::disallowed_methods, reason = "a flood faster than the kernel's buffer would not arrive")]
fn send(to: Ipv4Addr, burst: u32, datagrams: u32, mut next: impl FnMut(u32, &mut Rng) -> (u16, Vec<u8>)) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| e.to_string())?;
    let mut rng = Rng::stream(1, "flood", Purpose::Probe);
    for n in 0..datagrams {
        let (port, bytes) = next(n, &mut rng);
        // A full buffer is no failure of the flood.
        let _ = socket.send_to(&bytes, (to, port));
        if n % burst == burst - 1 {
            std::thread::sleep(std::time::Duration::from_millis(4));
        }
    }
    Ok(())
}

/// strongSwan keeps its tunnel, and gets one, while strangers ask for others.
#[test]
fn strongswan_is_served_in_a_flood_of_ike() {
    isolated("live::strongswan_is_served_in_a_flood_of_ike", || {
        let strongswan = StrongSwan::start([APP, OFFICE])?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let mut program = Program::start(&format!("--listen {OURS} {quiet}"))?;
        let mut served = || {
            let flood = std::thread::spawn(|| strangers_at(OURS, [500, 4500], 10, 12_000));
            let (_customer, config) = site_configuration()?;
            strongswan.load(&config)?;
            wait_for("strongSwan's SAs", || expect(&strongswan.sas()?, &["ESTABLISHED, IKEv2", "INSTALLED"]))?;
            // The kernel may throw away an echo where a flood fills a socket's buffer, so each is a trial of its own.
            let (mut answered, mut lost) = (0, 0);
            while !flood.is_finished() || answered == 0 {
                match strongswan.echoes(1) {
                    Ok(()) => answered += 1,
                    Err(_) => lost += 1,
                }
            }
            flood.join().map_err(|_| "the flood panicked")??;
            if answered < 4 * lost {
                return Err(format!("{answered} echoes in the flood were answered, {lost} were not"));
            }
            strongswan.echoes(10)?;
            program.end("INT")
        };
        let report = served().map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        match drops(&report, "vpn.a", "unknown_spi") {
            0..=999 => Err(format!("the flood did not come: {}", report["drops"])),
            _ => Ok(()),
        }
    });
}
