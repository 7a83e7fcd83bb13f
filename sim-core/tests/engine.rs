//! The engine by itself: two hosts, a router, links and faults.

use std::net::Ipv4Addr;

use sim_core::id::{LinkId, NodeId, Port, RecordId};
use sim_core::net::link::{DirectionConfig, Duplicate, Loss};
use sim_core::node::Node;
use sim_core::node::host::{self, Host, ProbeConfig, ProbeKind};
use sim_core::node::router::Router;
use sim_core::reason::DropReason;
use sim_core::rng::Chance;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Fate, Phase, Probe, StreamInfo};
use sim_core::world::{Action, Fault, Impairment, Occasion, Verdict, World};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

/// A and B behind a router, 10 ms from each; A sends an echo probe every 100 ms, the first at 1 s.
fn two_hosts(seed: u64, loss: Loss) -> (World, [LinkId; 2]) {
    let mut world = World::new(seed);
    let every = Duration::from_millis(100);
    let (from, to) = (NodeId(0), NodeId(2));
    let info = StreamInfo { name: "a-b".into(), from, to, interval: every, round_trip: true };
    let stream = world.trace.add_stream(info);
    let (start, stop) = (Instant::from_secs(1), Instant::NEVER);
    let probe =
        ProbeConfig { stream, kind: ProbeKind::UdpEcho, to: B, every, size: 100, dont_fragment: false, start, stop };
    let a = world.add_node("a", Node::Host(Box::new(Host::new(A, 1500, vec![probe]))));
    let mut router = Router::new(vec![Ipv4Addr::new(10, 0, 0, 254)]);
    for (port, address) in [(Port(0), A), (Port(1), B)] {
        router.add_port(port, 1500);
        router.add_route(address.into(), port);
    }
    let router = world.add_node("r", Node::Router(Box::new(router)));
    let b = world.add_node("b", Node::Host(Box::new(Host::new(B, 1500, Vec::new()))));
    let config = DirectionConfig { delay: Duration::from_millis(10), loss, ..DirectionConfig::default() };
    let left = world.add_link("left", [(a, host::PORT), (router, Port(0))], [config; 2], true);
    let right = world.add_link("right", [(router, Port(1)), (b, host::PORT)], [config; 2], true);
    (world, [left, right])
}

fn fault(action: Action, strike: Instant, heal: Instant) -> Fault {
    let occasions = vec![Occasion { strike, heal: Some(heal) }];
    Fault { name: "f".into(), what: String::new(), target: String::new(), actions: vec![action], occasions }
}

fn run(mut world: World, seconds: u64) -> World {
    world.start();
    assert_eq!(world.run_until(Instant::from_secs(seconds)), Verdict::Reached);
    world
}

#[test]
fn a_probe_takes_four_delays() {
    let world = run(two_hosts(1, Loss::None).0, 2);
    let log: Vec<Probe> = world.trace.probes()[0].iter().collect();
    assert_eq!(log.len(), 11, "at 1.0, 1.1 ... 2.0 s");
    assert_eq!(log[0].forward, Fate::Arrived(Instant::from_nanos(1_020_000_000), RecordId::GENESIS));
    assert_eq!(log[0].reverse, Fate::Arrived(Instant::from_nanos(1_040_000_000), RecordId::GENESIS));
    assert_eq!(log[10].forward, Fate::Pending, "still on its way when the world ends");
}

#[test]
fn what_a_blackhole_took_leads_back_to_it_and_what_came_after_to_its_healing() {
    let (mut world, [_, right]) = two_hosts(1, Loss::None);
    let action = Action::Blackhole { link: right, ways: [false, true] };
    let f = world.add_fault(fault(action, Instant::from_secs(2), Instant::from_secs(3)));
    let world = run(world, 5);
    let log: Vec<Probe> = world.trace.probes()[0].iter().collect();
    // The reply to the probe of 1.9 s enters the right link at 1.92 s, that of 2.0 s at 2.02 s.
    assert!(matches!(log[9].reverse, Fate::Arrived(..)));
    let Fate::Lost(blame) = log[10].reverse else { panic!("{:?}", log[10].reverse) };
    assert_eq!(world.trace.fault_behind(blame), Some((f, Phase::Strike)));
    assert!(matches!(log[10].forward, Fate::Arrived(..)), "the other direction is whole");
    let Fate::Arrived(_, enabler) = log[20].reverse else { panic!("{:?}", log[20].reverse) };
    assert_eq!(world.trace.fault_behind(enabler), Some((f, Phase::Heal)));
    let (_, count) = world.trace.drops().iter().next().expect("drops");
    assert_eq!(count.packets, 10, "replies of the probes of 2.0 to 2.9 s");
}

#[test]
fn a_host_without_power_is_dark_and_starts_afresh() {
    let (mut world, _) = two_hosts(1, Loss::None);
    let power = Action::PowerLoss { node: NodeId(2) };
    world.add_fault(fault(power, Instant::from_secs(2), Instant::from_secs(3)));
    let world = run(world, 5);
    let log: Vec<Probe> = world.trace.probes()[0].iter().collect();
    let lost = log.iter().filter(|probe| matches!(probe.forward, Fate::Lost(_))).count();
    assert_eq!(lost, 10, "the probes of 2.0 to 2.9 s; that of 1.9 s arrives at 1.92 s");
    assert!(world.trace.drops().keys().all(|k| k.reason == DropReason::NoRoute), "the router lost its carrier");
}

#[test]
fn what_is_on_a_link_when_it_is_cut_is_lost() {
    let (mut world, [left, _]) = two_hosts(1, Loss::None);
    let cut = Action::LinkDown { link: left };
    // The request of 2.0 s is on the left link from 2.000 to 2.010 s.
    world.add_fault(fault(cut, Instant::from_nanos(2_005_000_000), Instant::from_nanos(2_006_000_000)));
    let world = run(world, 5);
    let log: Vec<Probe> = world.trace.probes()[0].iter().collect();
    assert!(matches!(log[10].forward, Fate::Lost(_)));
    assert!(matches!(log[11].forward, Fate::Arrived(..)));
}

#[test]
fn faults_on_one_link_overlap_without_healing_each_other() {
    let (mut world, [left, _]) = two_hosts(1, Loss::None);
    let slow = |ms| Impairment { delay: Some(Duration::from_millis(ms)), ..Impairment::default() };
    for (ms, from, to) in [(50, 2, 4), (30, 3, 5)] {
        let action = Action::Impair { link: left, ways: [true, false], change: slow(ms) };
        world.add_fault(fault(action, Instant::from_secs(from), Instant::from_secs(to)));
    }
    let world = run(world, 7);
    let log: Vec<Probe> = world.trace.probes()[0].iter().collect();
    let delay = |seq: usize| match log[seq].forward {
        Fate::Arrived(at, _) => at.since(log[seq].sent).as_nanos() / 1_000_000,
        other => panic!("{other:?}"),
    };
    // Sent at 1.5, 2.5, 3.5, 4.5 and 5.5 s; the right link adds 10 ms. The later fault wins while both last.
    assert_eq!([5, 15, 25, 35, 45].map(delay), [20, 60, 40, 40, 20]);
}

#[test]
fn a_storm_is_a_verdict() {
    let (mut world, _) = two_hosts(1, Loss::None);
    world.limit_events(100);
    world.start();
    let verdict = world.run_until(Instant::from_secs(1000));
    assert!(matches!(verdict, Verdict::Storm { events: 100, .. }), "{verdict:?}");
}

/// Two routers that hold each other to be the way to everywhere, and a host that sends one probe into that loop. No
/// link takes any time; that between the routers lets every packet arrive twice if `doubling`.
fn loop_of_routers(doubling: bool) -> World {
    let mut world = World::new(1);
    let every = Duration::from_secs(1);
    let (from, to) = (NodeId(0), NodeId(0));
    let info = StreamInfo { name: "lost".into(), from, to, interval: every, round_trip: false };
    let stream = world.trace.add_stream(info);
    let (start, stop) = (Instant::from_secs(1), Instant::from_secs(2));
    let probe =
        ProbeConfig { stream, kind: ProbeKind::UdpOneWay, to: B, every, size: 100, dont_fragment: false, start, stop };
    let a = world.add_node("a", Node::Host(Box::new(Host::new(A, 1500, vec![probe]))));
    let routers = [(254, true), (253, false)].map(|(last, beside_a)| {
        let mut router = Router::new(vec![Ipv4Addr::new(10, 0, 0, last)]);
        router.add_port(Port(0), 1500);
        router.add_port(Port(1), 1500);
        router.add_route("0.0.0.0/0".parse().expect("a prefix"), Port(1));
        if beside_a {
            router.add_route(A.into(), Port(0));
        }
        world.add_node("r", Node::Router(Box::new(router)))
    });
    let chance = if doubling { Chance::ALWAYS } else { Chance::NEVER };
    let duplicate = Duplicate { chance, gap: Duration::ZERO };
    let plain = DirectionConfig::default();
    let between = DirectionConfig { duplicate, ..plain };
    world.add_link("lan", [(a, host::PORT), (routers[0], Port(0))], [plain; 2], true);
    world.add_link("loop", [(routers[0], Port(1)), (routers[1], Port(1))], [between; 2], true);
    world
}

#[test]
fn time_that_stands_still_is_a_storm() {
    // A packet passes each of 64 hops once: its TTL ends the loop, and within the instant in which it began.
    let mut world = loop_of_routers(false);
    world.limit_instant(1000);
    world.start();
    assert_eq!(world.run_until(Instant::from_secs(10)), Verdict::Reached);
    let expired = world.trace.drops().iter().find(|(key, _)| key.reason == DropReason::TtlExceeded);
    assert_eq!(expired.map(|(_, count)| (count.packets, count.last)), Some((1, Instant::from_secs(1))));
    // One that is doubled at each hop would become 2^63 packets before that.
    let mut world = loop_of_routers(true);
    world.limit_instant(1000);
    world.start();
    let verdict = world.run_until(Instant::from_secs(10));
    let Verdict::Storm { events, at } = verdict else { panic!("{verdict:?}") };
    assert_eq!(at, Instant::from_secs(1), "time did not pass");
    assert!((1000..1100).contains(&events), "{events}: the limit, and what had happened before that instant");
}

#[test]
fn one_seed_gives_one_digest_and_another_seed_another() {
    let lossy = Loss::Independent(Chance::from_probability(0.1));
    let digest = |seed| run(two_hosts(seed, lossy).0, 30).trace.digest();
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
    // Without dice the seed is not in the digest.
    let plain = |seed| run(two_hosts(seed, Loss::None).0, 30).trace.digest();
    assert_eq!(plain(1), plain(2));
}
