//! A transit gateway with as many VPN connections as it may have: what they cost to come up, to keep, and in memory.
//!
//! Each size has a process of its own, because a process does not give back what another world took.

use std::process::Command;

use aws_lc_rs::agreement::ECDH_P256;
use rustix::thread::disable_transparent_huge_pages;
use sim_core::id::SessionId;
use sim_core::reason::State;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{SessionKind, What};
use sim_core::world::World;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::handshake;
use crate::meter::{Limit, Report, cpu_ns};

/// What makes this program the one that runs a world of so many connections, so often.
const MARK: &str = "--attachments";
/// VPCs, whose prefixes all connections are told of, and which are attached, too.
const VPCS: usize = 50;
/// How often is looked whether every tunnel and session is up.
const LOOK: Duration = Duration::from_millis(50);
/// When they must be.
const SOON: Instant = Instant::from_secs(60);
/// How long all are kept then.
const KEPT: Duration = Duration::from_secs(600);
/// What the world may hold then, in octets.
const MEMORY: f64 = (1u64 << 30) as f64;

/// CPU time until all is up and for ten minutes, in nanoseconds for each tunnel, and resident octets after that.
type Costs = [f64; 3];

/// 5,000 attachments, 9,900 tunnels with IKE in group 19, BGP and liveness checks, against their bare key exchanges, and against a hundred
/// tunnels: `scenarios/large/tgw_5000_attachments.ron` without what it asks. A short run has 1,000 attachments, and their share of the memory.
pub fn attachments(report: &mut Report) {
    let attachments = report.samples(5_000, 1_000);
    let (count, line) = (attachments - VPCS, format!("TGW with {attachments} attachments"));
    if !report.wants(&line) {
        return;
    }
    let [many, few] = [(count, 1), (50, 20)].map(|(count, times)| in_a_process(count, times));
    let (many, few) = match (many, few) {
        (Ok(many), Ok(few)) => (many, few),
        (Err(why), _) | (_, Err(why)) => return report.lacking(&line, &why),
    };
    let began = cpu_ns();
    (0..1_000).for_each(|_| handshake::ecp::<32>(&ECDH_P256));
    let bare = (cpu_ns() - began) as f64 / 1e3;
    let tunnels = 2.0 * count as f64;
    report.aim(&format!("{line} come up, against their DH"), Limit::Cost(3.0), many[0], bare);
    let rate = KEPT.as_secs_f64() * 1e9 / (many[1] * tunnels);
    report.floor(&format!("{line}, ten minutes"), rate, 50.0);
    let [of_many, of_few] = [many, few].map(|costs| costs[0] + costs[1]);
    report.aim("a tunnel among them, against one of 100", Limit::Cost(1.5), of_many, of_few);
    let share = MEMORY * tunnels / 10_000.0;
    report.octets(&format!("{line}, resident"), many[2], share);
}

/// True if this process is one that runs a world, which has then done its work.
pub fn ran() -> bool {
    let mut words = std::env::args().skip_while(|word| word != MARK).skip(1).filter_map(|word| word.parse().ok());
    let (Some(count), Some(times)) = (words.next(), words.next()) else {
        return false;
    };
    // As the program does for a world of many sessions.
    disable_transparent_huge_pages(true).expect("a process may say so of itself");
    let costs = run(count, times);
    println!("{} {} {}", costs[0], costs[1], costs[2]);
    true
}

fn in_a_process(count: usize, times: usize) -> Result<Costs, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new(program).args([MARK, &count.to_string(), &times.to_string()]).output();
    let said = run.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&said.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().map_err(|_| String::from_utf8_lossy(&said.stderr).into_owned())
}

fn run(count: usize, times: usize) -> Costs {
    // A process does not give back what reading all of it takes, so what is read is as small as what is run.
    const ALL: &str = "\"site\": 4950";
    let text = include_str!("../../../scenarios/large/tgw_5000_attachments.ron");
    assert!(text.contains(ALL), "so it counts its sites");
    let text = text.replace(ALL, &format!("\"site\": {count}"));
    let bare = ["expect={}", "control=[]", "faults={}", "probes={}", "duration=660s"];
    // The plan of the scenario as it stands in its file is gone before there is a world.
    let scenario =
        Scenario::parse("tgw_5000_attachments.ron", &text, &NoSecrets).and_then(|it| it.with(&bare, &NoSecrets));
    let scenario = scenario.expect("it is right");
    let mut costs = [0.0; 3];
    for _ in 0..times {
        let mut simulation = Simulation::new(&scenario);
        let mut until = |at, cost: &mut f64| {
            let began = cpu_ns();
            simulation.run_until(at);
            *cost += (cpu_ns() - began) as f64 / (2 * count * times) as f64;
            established(simulation.world())
        };
        // Both ends of all tunnels have a session.
        let mut up = Instant::START;
        while until(up, &mut costs[0]) < 4 * count {
            up += LOOK;
            assert!(up < SOON, "all come up soon");
        }
        assert_eq!(until(up + KEPT, &mut costs[1]), 4 * count);
        costs[2] = resident();
    }
    costs
}

/// How many sessions of BGP are established.
fn established(world: &World) -> usize {
    let trace = &world.trace;
    let state = |session| {
        let states = trace.session_records(session).filter_map(|(_, record)| match &record.what {
            What::State { to, .. } => Some(*to),
            _ => None,
        });
        states.last()
    };
    let of_bgp = (0..).zip(trace.sessions()).filter(|(_, session)| session.kind == SessionKind::Bgp);
    of_bgp.filter(|(n, _)| state(SessionId(*n)) == Some(State::Established)).count()
}

/// Octets of this process that are in memory.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    let resident =
        pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("the second field");
    resident * rustix::param::page_size() as f64
}
