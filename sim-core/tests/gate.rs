//! The gate between a world and real devices: two external devices on a wire, with nothing simulated behind them.

use std::net::Ipv4Addr;

use sim_core::id::{NodeId, Port};
use sim_core::net::fib::RouteSource;
use sim_core::net::link::DirectionConfig;
use sim_core::node::Node;
use sim_core::node::external::{Carries, External};
use sim_core::node::ip::Ip;
use sim_core::packet::{Meta, Packet};
use sim_core::reason::DropReason;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{DropKey, Place};
use sim_core::wire::ipv4::Ipv4Packet;
use sim_core::wire::udp::{self, UdpDatagram};
use sim_core::world::{Action, Fault, Occasion, World};

const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn ms(millis: u64) -> Instant {
    Instant::START + Duration::from_millis(millis)
}

/// A and B, 10 ms apart, on a wire of this MTU; B has no power from 2 s to 3 s.
fn wire(mtu: u32) -> (World, [NodeId; 2]) {
    let mut world = World::new(1);
    let mut place = |name: &str, own: Ipv4Addr, other: Ipv4Addr| {
        let mut ip = Ip::new(vec![own]);
        ip.add_port(Port(0), mtu);
        ip.add_route(other.into(), RouteSource::Connected, 0, Port(0));
        world.add_node(name, Node::External(Box::new(External::new(ip, Carries::Udp))))
    };
    let (a, b) = (place("a", A, B), place("b", B, A));
    let config = DirectionConfig { delay: Duration::from_millis(10), mtu, ..DirectionConfig::default() };
    world.add_link("wire", [(a, Port(0)), (b, Port(0))], [config; 2], false);
    let occasions = vec![Occasion { strike: Instant::from_secs(2), heal: Some(Instant::from_secs(3)) }];
    let actions = vec![Action::PowerLoss { node: b }];
    world.add_fault(Fault { name: "f".into(), what: String::new(), target: String::new(), actions, occasions });
    world.start();
    (world, [a, b])
}

/// What could be ESP in UDP.
fn datagram(octets: usize) -> Packet {
    udp::packet((A, 4500), (B, 4500), &vec![0xab; octets], Meta::default())
}

/// The payload of what left the world at a device, and when it was there.
fn left(world: &mut World, node: NodeId) -> Option<Vec<u8>> {
    let packet = world.leave(node)?;
    let ip = Ipv4Packet::new_checked(packet.bytes()).expect("whole");
    assert_eq!((ip.src(), ip.dst()), (A, B));
    Some(UdpDatagram::new_checked(ip.payload()).expect("whole").payload().to_vec())
}

fn drops(world: &World, node: NodeId, reason: DropReason) -> u64 {
    world.trace.drops().get(&DropKey { place: Place::Node(node), reason }).map_or(0, |count| count.packets)
}

#[test]
fn what_enters_at_one_place_leaves_at_the_other_a_delay_later() {
    let (mut world, [a, b]) = wire(1500);
    world.run_until(ms(500));
    world.enter(a, datagram(100));
    world.run_until(ms(509));
    assert_eq!(left(&mut world, b), None);
    world.run_until(ms(510));
    assert_eq!(left(&mut world, b), Some(vec![0xab; 100]));
    assert_eq!((left(&mut world, b), left(&mut world, a)), (None, None));
}

/// The longest payload of UDP over IPv4 is 65,507 octets; it crosses in fragments and leaves whole.
#[test]
fn what_is_too_big_for_a_link_is_cut_and_put_together() {
    let (mut world, [a, b]) = wire(1500);
    world.enter(a, datagram(65_507));
    world.run_until(ms(10));
    assert_eq!(left(&mut world, b), Some(vec![0xab; 65_507]));
}

#[test]
fn a_device_without_power_lets_nothing_in_or_out() {
    let (mut world, [a, b]) = wire(1500);
    world.run_until(ms(1_995));
    world.enter(a, datagram(100));
    world.run_until(ms(2_500));
    world.enter(b, datagram(100));
    world.run_until(Instant::from_secs(4));
    assert_eq!((left(&mut world, a), left(&mut world, b)), (None, None));
    assert_eq!(drops(&world, b, DropReason::NodeDown), 2, "one that arrived, one that wanted in");
    world.enter(a, datagram(100));
    world.run_until(Instant::from_secs(5));
    assert!(left(&mut world, b).is_some(), "power is back");
}

/// Nonsense is counted and keeps nothing: no record, and one pair of drops with its hops.
#[test]
fn nonsense_costs_no_memory() {
    let (mut world, [a, b]) = wire(1500);
    let kept = world.trace.records().count();
    for n in 0..10_000_u32 {
        world.enter(a, udp::packet((A, 500), (B, 500), &n.to_be_bytes(), Meta::default()));
    }
    world.run_until(Instant::from_secs(1));
    assert_eq!(left(&mut world, b), None);
    assert_eq!(drops(&world, a, DropReason::Malformed), 10_000);
    assert_eq!((world.trace.records().count(), world.trace.pinned().len()), (kept, 2));
}
