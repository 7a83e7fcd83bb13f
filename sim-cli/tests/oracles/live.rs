//! `vpnsim live` as a process, opposite our own machine on loopback and opposite strongSwan in a namespace.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use serde_json::Value;
use sim_core::proto::ike::config::{Config, Identity};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Duration;
use tempfile::TempDir;

use crate::bird::{self, Bird};
use crate::customer::Customer;
use crate::gateway::{Addresses, Arrival, Gateway, INITIATE};
use crate::network::isolated;
use crate::pace::Clock;
use crate::process::{Outcome, expect, run_line, wait_for};
use crate::strongswan::{OURS, StrongSwan, Suite};

/// The outside addresses of the gateway and of tunnel a in the scenario, and the host in its VPC.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
const APP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
/// The host at the gateway's site.
const OFFICE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
const PSK: &str = "correct.horse.battery";

/// Far more than anything here takes, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

/// The program in live mode, and the directory in which it works.
struct Program {
    child: Child,
    /// What it says on standard error from now on.
    remarks: Option<JoinHandle<String>>,
    dir: TempDir,
}

impl Program {
    /// Starts it and waits until its sockets are open.
    fn start(arguments: &str) -> Outcome<Self> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let scenario = include_str!("live.ron");
        std::fs::write(dir.path().join("live.ron"), scenario).map_err(|e| e.to_string())?;
        let mut child = program(dir.path())
            .args("live live.ron --journal journal.jsonl --out answer --pcap".split_whitespace())
            .args(arguments.split_whitespace())
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
        let program = Self { child, remarks: Some(remarks), dir };
        if line.contains("listens on") { Ok(program) } else { Err(program.last_words(&line)) }
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
    fn end(mut self, signal: &str) -> Outcome<Value> {
        run_line(&format!("kill -s {signal} {}", self.child.id()))?;
        let status = self.child.wait().map_err(|e| e.to_string())?;
        if status.code() != Some(0) {
            return Err(self.last_words(&format!("{status}\n")));
        }
        let home = self.dir.path().to_path_buf();
        let read = |name: &str| std::fs::read_to_string(home.join(name)).map_err(|e| format!("{name}: {e}"));
        let report = read("answer/report.json")?;
        for file in ["uplink.pcapng", "path-a.pcapng", "esp_sa", "ikev2_decryption_table"] {
            if std::fs::metadata(home.join("answer").join(file)).map_err(|e| format!("{file}: {e}"))?.len() == 0 {
                return Err(format!("{file} is empty"));
            }
        }
        let replay = program(&home).args("run live.ron -q --format json --replay journal.jsonl".split(' ')).output();
        let replay = replay.map_err(|e| e.to_string())?;
        let (again, said) = (String::from_utf8_lossy(&replay.stdout), String::from_utf8_lossy(&replay.stderr));
        if again != report {
            return Err(format!("the replay differs:\n{said}\n{again}\n--- live\n{report}"));
        }
        serde_json::from_str(&report).map_err(|e| e.to_string())
    }

    fn last_words(mut self, before: &str) -> String {
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
fn free_ports() -> Outcome<[u16; 2]> {
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
            local: Ipv4Addr::LOCALHOST,
            remote: Ipv4Addr::LOCALHOST,
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
        let program = Program::start(&format!("--ike-port {} --nat-port {}", ports[0], ports[1]))?;
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

/// 100,000 datagrams of nonsense while a peer is served: nothing ends, nothing is kept, and the peer goes on.
#[test]
fn a_flood_of_nonsense_is_counted_and_forgotten() {
    const DATAGRAMS: u32 = 100_000;
    let flooded = || -> Outcome {
        let ports = free_ports()?;
        let quiet = "--set faults.cut.enabled=false --set expect.cut.min=0";
        let program = Program::start(&format!("--ike-port {} --nat-port {} {quiet}", ports[0], ports[1]))?;
        let mut peer = Peer::of(ports)?;
        peer.come_up()?;
        let flood = |datagrams: u32| std::thread::spawn(move || nonsense(ports, datagrams));
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
        let counted = drops(&report, "cgw", "malformed");
        // The kernel throws away what does not fit a socket's buffer; the rest must have come.
        if counted < u64::from(DATAGRAMS) / 100 || pings == 0 {
            return Err(format!("{counted} malformed datagrams came in, {pings} pings were answered meanwhile"));
        }
        Ok(())
    };
    flooded().unwrap_or_else(|why| panic!("{why}"));
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
        let program = Program::start(&format!("--listen {OURS} {ports} {quiet}"))?;
        let report = up_and_down(&strongswan, suite, &config).and_then(|()| program.end("INT"));
        let report = report.map_err(|e| format!("{e}\n--- strongSwan\n{}", strongswan.log()))?;
        let sessions = report["sessions"].to_string();
        expect(&sessions, &["vpn.a@aws", "authenticated", "peer_deleted"])?;
        if sessions.contains("vpn.a@cgw") { Err(format!("a session of the real device in {sessions}")) } else { Ok(()) }
    });
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
        let program = Program::start(&format!("--listen {OURS} {changes} {quiet}"))?;
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
#[allow(clippy::disallowed_methods, reason = "a flood faster than the kernel's buffer would not arrive")]
fn nonsense(ports: [u16; 2], datagrams: u32) -> Outcome {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
    let mut rng = Rng::stream(1, "flood", Purpose::Probe);
    let mut bytes = vec![0; 1_400];
    for n in 0..datagrams {
        let length = rng.below(bytes.len() as u64) as usize;
        rng.fill(&mut bytes[..length]);
        if n % 2 == 0 && length > 32 {
            bytes[..4].fill(0);
            bytes[21] = 0x20;
        }
        let to = (Ipv4Addr::LOCALHOST, ports[(n / 2 % 2) as usize]);
        // A full buffer is no failure of the flood.
        let _ = socket.send_to(&bytes[..length], to);
        if n % 100 == 99 {
            std::thread::sleep(std::time::Duration::from_millis(4));
        }
    }
    Ok(())
}
