//! The engine by itself: the agenda against a bare heap, then the world's loop with devices.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::Ipv4Addr;

use sim_core::id::NodeId;
use sim_core::net::link::DirectionConfig;
use sim_core::node::Node;
use sim_core::node::host::{self, Host, ProbeConfig, ProbeKind};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::{Duration, Instant};
use sim_core::trace::StreamInfo;
use sim_core::world::World;
use sim_core::world::agenda::Flights;

use crate::meter::{Limit, Report, Work, alternate, undisturbed};

/// Operations of a round.
const HOLDS: u64 = 100_000;
/// Devices of a world.
const NODES: u32 = 20_000;
/// A second.
const SECOND: u64 = 1_000_000_000;

/// The hold model: take the next one out, put one in that much later. Increments are exponential, with mean 1 s.
pub fn hold_model(report: &mut Report) {
    for (pending, least) in [(1_000, 1.0), (100_000, 1.3), (1_000_000, 1.1)] {
        let line = format!("hold model, {pending} pending");
        if report.wants(&line) {
            let rounds = report.samples(201, 31);
            let (mut flights, mut heap) = (flights(pending), bare_heap(pending));
            report.compare(&line, Limit::Rate(least), rounds, &mut flights, &mut heap);
        }
    }
}

/// 20,000 hosts with wakes, all equally busy, in pairs joined by long paths that hold 1e5 packets together. Per event, as
/// in the hold model, one thing is taken out of time and one put in. Every event meets a device, a path and a packet that no
/// cache remembers, all of which the bare heap is spared: how much that is, the machine decides, so that line is an aim. Against a heap
/// that meets as much memory it is none of the machine's business.
pub fn world_loop(report: &mut Report) {
    const FLYING: u64 = 100_000;
    let rounds = report.samples(61, 15);
    let line = "world's loop, 20000 nodes, 100000 packets in flight";
    let fair = "the same, against a heap that meets as much memory";
    if report.wants(line) || report.wants(fair) {
        let mut world = pairs_of_hosts();
        let mut ours = || run(&mut world);
        let works: [Work; 3] = [&mut ours, &mut bare_heap(FLYING), &mut heap_and_memory(FLYING)];
        let [ours, heap, memory] = alternate(rounds, works).map(undisturbed);
        report.aim(line, Limit::Rate(0.6), ours, heap);
        report.ratio(fair, Limit::Rate(0.8), ours, memory);
    }
}

fn run(world: &mut World) -> u64 {
    let before = world.events();
    world.run_until(world.now() + Duration::from_secs(2));
    world.events() - before
}

fn flights(pending: u64) -> impl FnMut() -> u64 {
    let mut later = increments();
    let mut flights = Flights::default();
    (0..pending as u32).for_each(|n| flights.push(Instant::from_nanos(later()), n));
    move || {
        for _ in 0..HOLDS {
            let (at, n) = flights.pop().expect("never empty");
            flights.push(at + Duration::from_nanos(later()), n);
        }
        HOLDS
    }
}

fn bare_heap(pending: u64) -> impl FnMut() -> u64 {
    let mut later = increments();
    let mut heap: BinaryHeap<_> = (0..pending).map(|n| Reverse((later(), n))).collect();
    move || {
        for _ in 0..HOLDS {
            let Reverse((at, n)) = heap.pop().expect("never empty");
            heap.push(Reverse((at + later(), n)));
        }
        HOLDS
    }
}

/// The heap, and for each thing that is taken out of it a packet, the device it is for and the path that it takes on, of the sizes and as many
/// as the world has: where one lies is known when the one before is there.
fn heap_and_memory(pending: u64) -> impl FnMut() -> u64 {
    /// Lines of a cache, in words.
    const LINE: usize = 8;
    let mut later = increments();
    let mut heap: BinaryHeap<_> = (0..pending).map(|n| Reverse((later(), n))).collect();
    let mut packets = vec![[1_u64; 4 * LINE]; pending as usize];
    let mut devices = vec![[1_u64; 8 * LINE]; NODES as usize];
    let mut paths = vec![[1_u64; 4 * LINE]; NODES as usize / 2];
    move || {
        for _ in 0..HOLDS {
            let Reverse((at, n)) = heap.pop().expect("never empty");
            let packet = &mut packets[n as usize];
            packet[0] = packet[0].wrapping_add(at);
            packet[2 * LINE] ^= at;
            // A number that nobody foresees, from what the packet holds.
            let device = packet[0].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let device = &mut devices[device as usize % NODES as usize];
            device[0] = device[0].wrapping_add(packet[0]);
            device[4 * LINE] ^= at;
            let path = device[0].wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let path = &mut paths[path as usize % (NODES as usize / 2)];
            path[0] = path[0].wrapping_add(device[0]);
            heap.push(Reverse((at + later(), n)));
        }
        HOLDS
    }
}

/// Exponential increments in nanoseconds from a small table in random order: cheap beside the heap.
fn increments() -> impl FnMut() -> u64 {
    const TABLE: usize = 1024;
    let quantile = |i: usize| -((i as f64 + 0.5) / TABLE as f64).ln() * SECOND as f64;
    let table: Vec<u64> = (0..TABLE).map(|i| quantile(i) as u64).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The low bits keep equal quantiles apart.
        table[(state >> 54) as usize] + (state & 0xfff)
    }
}

fn pairs_of_hosts() -> World {
    let mut world = World::new(1);
    let mut rng = Rng::stream(1, "bench", Purpose::Test);
    let address = |node: u32| Ipv4Addr::from(0x0a00_0000 + node);
    for node in 0..NODES {
        // Together they send 20,000 packets a second, each on its way for 5 s.
        let phase = Instant::from_nanos(rng.below(SECOND));
        let every = Duration::from_nanos(SECOND * 9 / 10 + rng.below(SECOND / 5));
        let (from, to) = (NodeId(node), NodeId(node ^ 1));
        let stream =
            world.trace.add_stream(StreamInfo { name: String::new(), from, to, interval: every, round_trip: false });
        let probe = ProbeConfig {
            stream,
            kind: ProbeKind::UdpOneWay,
            to: address(node ^ 1),
            every,
            size: 100,
            dont_fragment: false,
            start: phase,
            stop: Instant::NEVER,
        };
        world.add_node("", Node::Host(Box::new(Host::new(address(node), 1500, vec![probe]))));
    }
    for node in (0..NODES).step_by(2) {
        let mut direction = || {
            let delay = Duration::from_nanos(4 * SECOND + rng.below(2 * SECOND));
            DirectionConfig { delay, ..DirectionConfig::default() }
        };
        let path = [direction(), direction()];
        let ends = [(NodeId(node), host::PORT), (NodeId(node + 1), host::PORT)];
        world.add_link(&format!("{node}"), ends, path, false);
    }
    world.start();
    world.run_until(Instant::from_secs(8));
    world
}
