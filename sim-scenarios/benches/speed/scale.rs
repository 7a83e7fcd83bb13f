//! A transit gateway with as many VPN connections as it may have: what they cost to come up, to keep, and in memory.
//!
//! Each size has a process of its own, because a process does not give back what another world took.

use std::fmt::Write as _;
use std::process::Command;

use aws_lc_rs::agreement::ECDH_P256;
use rustix::thread::disable_transparent_huge_pages;
use sim_core::id::SessionId;
use sim_core::reason::State;
use sim_core::time::Instant;
use sim_core::trace::{SessionKind, What};
use sim_core::world::World;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::handshake;
use crate::meter::{Limit, Report, cpu_ns};

/// What makes this program the one that runs a world of so many connections, so often.
const MARK: &str = "--attachments";
/// VPCs, whose prefixes all connections are told of.
const VPCS: usize = 50;
/// When every tunnel and session is up.
const UP: Instant = Instant::from_secs(60);
/// Ten minutes later.
const END: Instant = Instant::from_secs(660);
/// What the world may hold then, in octets.
const MEMORY: f64 = (1u64 << 30) as f64;

/// CPU time until all is up and for ten minutes, in nanoseconds for each tunnel, and resident octets after that.
type Costs = [f64; 3];

/// 5,000 attachments, 10,000 tunnels with IKE in group 19, BGP and liveness checks, against their bare key exchanges, and
/// against a hundred tunnels. A short run has 1,000 attachments, and their share of the memory.
pub fn attachments(report: &mut Report) {
    let count = report.samples(5_000, 1_000);
    let line = format!("TGW with {count} VPN attachments");
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
    let rate = END.since(UP).as_secs_f64() * 1e9 / (many[1] * tunnels);
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
    let scenario = Scenario::parse("attachments.ron", &text(count), &NoSecrets).expect("a scenario that makes sense");
    let mut costs = [0.0; 3];
    for _ in 0..times {
        let mut simulation = Simulation::new(&scenario);
        for (cost, until) in costs.iter_mut().zip([UP, END]) {
            let began = cpu_ns();
            simulation.run_until(until);
            *cost += (cpu_ns() - began) as f64 / (2 * count * times) as f64;
        }
        assert_eq!(established(simulation.world()), 4 * count, "both ends of all tunnels have a session");
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

/// Sites with one connection each to a transit gateway: its VPN attachments are associated with a table of all VPCs' prefixes,
/// and the sites' prefixes are propagated to the VPCs' table only.
fn text(count: usize) -> String {
    let names = |word: &str, count: usize| (0..count).map(|n| format!("\"{word}{n}\",")).collect::<String>();
    let (vpcs, connections) = (names("vpc", VPCS), names("vpn", count));
    let [mut nodes, mut links, mut between] = [const { String::new() }; 3];
    for n in 0..count {
        let (high, low) = (n / 256, n % 256);
        let asn = 4_200_000_000 + n;
        let _ = write!(
            nodes,
            r#""cgw{n}": CustomerGateway(asn: {asn}, interfaces: {{"wan": (address: "100.{}.{low}.10/24")}},
               advertise: ["172.{}.{low}.0/24"]),"#,
            64 + high,
            16 + high,
        );
        let _ = write!(
            links,
            r#""up{n}": Link(between: ("cgw{n}.wan", "isp"), delay: "2ms"),
               "a{n}": Path(between: ("isp", "vpn{n}.a"), delay: "10ms"),
               "b{n}": Path(between: ("isp", "vpn{n}.b"), delay: "12ms"),"#,
        );
        let tunnel = |name: &str, network: usize, k: usize| {
            format!(
                r#""{name}": (outside_address: "198.{network}.{}.{}", inside_cidr: "169.254.{}.{}/30",
                   phase1: (dh_groups: [19]), phase2: (dh_groups: [19])),"#,
                k / 250,
                1 + k % 250,
                6 + k / 63 % 160,
                4 * (k % 63),
            )
        };
        let _ = write!(
            between,
            r#""vpn{n}": Vpn(customer_gateway: "cgw{n}", gateway: "tgw", routing: Bgp(), tunnels: {{{}{}}}),"#,
            tunnel("a", 18, 2 * n),
            tunnel("b", 19, 2 * n + 1),
        );
    }
    for n in 0..VPCS {
        let _ = write!(
            nodes,
            r#""vpc{n}": Vpc(cidr: "10.{n}.0.0/16", subnets: {{"app": (cidr: "10.{n}.1.0/24", availability_zone: "az1")}}),"#,
        );
    }
    format!(
        r#"(version: 1, name: "attachments", question: "What do they cost?", duration: "660s",
        nodes: {{"isp": Router(address: "203.0.113.1"), {nodes}
          "tgw": TransitGateway(asn: 64512, vpcs: [{vpcs}], route_tables: {{
            "vpn": (associations: [{connections}], propagations: [{vpcs}]),
            "vpc": (associations: [{vpcs}], propagations: [{connections}]),
          }}),
        }},
        links: {{{links}}}, connections: {{{between}}})"#,
    )
}
