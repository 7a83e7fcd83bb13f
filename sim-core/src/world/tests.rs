//! The ledger of packets can fail: of whatever disappears, appears or ends twice it says so.

use std::net::Ipv4Addr;

use super::*;
use crate::node::host::{self, Host, ProbeConfig, ProbeKind};
use crate::packet::Meta;
use crate::trace::ledger::Wrong;
use crate::trace::{DropKey, StreamInfo};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Two hosts on one link of 10 ms, one of which asks the other once a second from the first second on, in so many octets.
fn two_hosts(size: u16) -> World {
    let mut world = World::new(1);
    world.trace.keep_ledger();
    let every = Duration::from_secs(1);
    let info = StreamInfo { name: "a-b".into(), from: NodeId(0), to: NodeId(1), interval: every, round_trip: true };
    let stream = world.trace.add_stream(info);
    let (start, stop) = (Instant::from_secs(1), Instant::NEVER);
    let probe = ProbeConfig { stream, kind: ProbeKind::UdpEcho, to: B, every, size, dont_fragment: false, start, stop };
    let a = world.add_node("a", Node::Host(Box::new(Host::new(A, 1500, vec![probe]))));
    let b = world.add_node("b", Node::Host(Box::new(Host::new(B, 1500, Vec::new()))));
    let config = DirectionConfig { delay: Duration::from_millis(10), ..DirectionConfig::default() };
    world.add_link("wire", [(a, host::PORT), (b, host::PORT)], [config; 2], true);
    world.start();
    world
}

fn wrong(world: &World) -> Vec<(u64, Wrong)> {
    let breaches = world.balance().expect("it is kept").expect_err("something is wrong");
    breaches.iter().map(|breach| (breach.packet.0, breach.what)).collect()
}

#[test]
fn what_was_sent_was_delivered_or_is_on_its_way() {
    let mut world = two_hosts(100);
    world.run_until(Instant::from_nanos(3_005_000_000));
    let balance = world.balance().expect("it is kept").expect("all is well");
    // Questions of 1, 2 and 3 s, answers to two of them; the third question is half way.
    let expected = Balance { created: 5, delivered: 4, in_flight: 1, ..Balance::default() };
    assert_eq!(balance, expected);
    assert!(balance.is_even());
}

/// A question of 2,000 octets goes in two fragments, which are joined; so does the answer.
#[test]
fn fragments_stand_for_their_datagram() {
    let mut world = two_hosts(2_000);
    world.run_until(Instant::from_nanos(1_500_000_000));
    let balance = world.balance().expect("it is kept").expect("all is well");
    let expected =
        Balance { created: 2, cut: 2, copied: 4, absorbed: 4, joined: 2, delivered: 2, ..Balance::default() };
    assert_eq!(balance, expected);
    assert!(balance.is_even());
}

/// The first of two fragments waits for the second, and is lost with the host's power.
#[test]
fn what_a_device_holds_is_lost_with_its_power() {
    let mut world = two_hosts(2_000);
    world.run_until(Instant::from_nanos(1_005_000_000));
    // The second fragment is the one that was put in flight last.
    let (first, second) = (world.flights.pop().expect("in flight"), world.flights.pop().expect("in flight"));
    let Flight::Arrival { packet, .. } = second.1 else { panic!("a packet") };
    world.trace.dropped(world.now, Place::Node(NodeId(0)), DropReason::Loss, RecordId::GENESIS, &packet);
    world.land(first.1);
    drop(packet);
    let balance = world.balance().expect("it is kept").expect("all is well");
    assert_eq!((balance.held, balance.dropped), (1, 1));
    let down = Action::PowerLoss { node: NodeId(1) };
    let occasions = vec![Occasion { strike: Instant::from_secs(1), heal: None }];
    let fault = world.add_fault(Fault {
        name: "off".into(),
        what: String::new(),
        target: String::new(),
        actions: vec![down],
        occasions,
    });
    world.strike_or_heal(fault, Phase::Strike);
    let balance = world.balance().expect("it is kept").expect("all is well");
    assert_eq!((balance.held, balance.dropped), (0, 2));
    let lost = DropKey { place: Place::Node(NodeId(1)), reason: DropReason::NodeDown };
    assert_eq!(world.trace.drops()[&lost].packets, 1);
}

#[test]
fn a_link_that_swallows_a_packet_is_found_out() {
    let mut world = two_hosts(100);
    world.run_until(Instant::from_nanos(1_005_000_000));
    drop(world.flights.pop().expect("the question is on its way"));
    assert_eq!(wrong(&world), [(1, Wrong::Swallowed)]);
}

#[test]
fn a_device_that_swallows_a_packet_is_found_out() {
    let mut world = two_hosts(100);
    world.touch(NodeId(1), RecordId::GENESIS, |_, cx| {
        let packet = Packet::zeroed(28, cx.meta());
        cx.created(&packet);
    });
    let breach = world.balance().expect("it is kept").expect_err("it is gone")[0];
    assert_eq!((breach.packet, breach.node, breach.what), (PacketId(1), NodeId(1), Wrong::Swallowed));
}

#[test]
fn a_device_that_sends_what_nobody_made_is_found_out() {
    let mut world = two_hosts(100);
    world.touch(NodeId(0), RecordId::GENESIS, |_, cx| {
        let packet = Packet::zeroed(28, Meta { id: PacketId(7), ..Meta::default() });
        cx.send(host::PORT, packet);
    });
    assert_eq!(wrong(&world), [(7, Wrong::OutOfNothing), (7, Wrong::StillThere)]);
}

#[test]
fn a_packet_ends_once() {
    let mut world = two_hosts(100);
    world.touch(NodeId(0), RecordId::GENESIS, |_, cx| {
        let packet = Packet::zeroed(28, cx.meta());
        cx.created(&packet);
        cx.drop(&packet, DropReason::NoRoute, RecordId::GENESIS);
        cx.drop(&packet, DropReason::NoRoute, RecordId::GENESIS);
    });
    assert_eq!(wrong(&world), [(1, Wrong::AfterItsEnd)]);
}
