//! A flood of well-formed IKE messages from strangers, at AWS's end of a tunnel: what it leaves behind does not depend on how
//! long it is.
//!
//! The messages are those of IKEv2 and IKEv1 gateways of a simulated run, with cookies and SPIs of nobody.

use std::alloc::System;
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use cap::Cap;
use sim_core::id::{LinkId, NodeId};
use sim_core::packet::{Meta, Packet};
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Sink, Way};
use sim_core::wire::ipv4::Ipv4Packet;
use sim_core::wire::udp::{self, UdpDatagram};
use sim_scenarios::build::Reality;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

/// Counts what is allocated. This file is a program of its own.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const SCENARIO: &str = include_str!("../../scenarios/endpoint_in_a_box.ron");
const GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const ENDPOINT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
/// Where the exchange stands in an IKE header (RFC 7296 section 3.1), and two of its values.
const EXCHANGE: usize = 18;
const IKE_AUTH: u8 = 35;
const INFORMATIONAL: u8 = 37;

/// Keeps the first UDP payload that the gateway sends.
#[derive(Clone, Default)]
struct First(Rc<RefCell<Option<Vec<u8>>>>);

impl Sink for First {
    fn wire(&mut self, _: Instant, _: LinkId, _: Way, packet: &Packet) {
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        if ip.src() == GATEWAY && ip.dst() == ENDPOINT {
            let payload = UdpDatagram::new_checked(ip.payload()).expect("IKE in UDP").payload().to_vec();
            self.0.borrow_mut().get_or_insert(payload);
        }
    }
}

fn scenario(changes: &[&str]) -> Scenario {
    let scenario = Scenario::parse("endpoint_in_a_box.ron", SCENARIO, &NoSecrets).expect("it makes sense");
    scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The first message of the simulated gateway.
fn first_message(changes: &[&str]) -> Vec<u8> {
    let first = First::default();
    let mut simulation = Simulation::prepare(&scenario(changes), |world| world.trace.add_sink(Box::new(first.clone())));
    simulation.run_until(Instant::from_secs(1));
    first.0.borrow_mut().take().expect("the gateway begins")
}

/// AWS opposite strangers.
struct Flooded {
    simulation: Simulation,
    gateway: NodeId,
    sent: u64,
    answers: u64,
}

impl Flooded {
    fn new() -> Self {
        let scenario = scenario(&["faults={}", "expect={}", "control=[]"]);
        let named = |node: &sim_scenarios::plan::Node| node.name == "cgw";
        let gateway = NodeId(scenario.plan().nodes.iter().position(named).expect("it is there") as u32);
        let reality = Reality { devices: vec![gateway], ..Reality::default() };
        Self { simulation: Simulation::prepare_with(&scenario, &reality, |_| {}), gateway, sent: 0, answers: 0 }
    }

    /// So many messages, one each 50 us, each made from `template` by `alter` with a number that is its own.
    fn flood(&mut self, messages: u64, template: &[u8], alter: impl Fn(u64, &mut [u8])) {
        for _ in 0..messages {
            self.sent += 1;
            let mut message = template.to_vec();
            message[..8].copy_from_slice(&(0x5000_0000_0000_0000 + self.sent).to_be_bytes());
            alter(self.sent, &mut message);
            let from = (GATEWAY, 1_024 + (self.sent % 60_000) as u16);
            let world = self.simulation.world_mut();
            world.enter(self.gateway, udp::packet(from, (ENDPOINT, 500), &message, Meta::default()));
            let next = self.simulation.world().now() + Duration::from_micros(50);
            self.simulation.run_until(next);
            while self.simulation.world_mut().leave(self.gateway).is_some() {
                self.answers += 1;
            }
        }
    }

    /// How many messages came to something: they were answered, or are counted as drops.
    fn noticed(&self) -> u64 {
        self.answers + self.simulation.world().trace.drops().values().map(|count| count.packets).sum::<u64>()
    }

    fn records(&self) -> usize {
        self.simulation.world().trace.records().count()
    }
}

/// A tenth of the flood first, so that what is allocated once is there; then the rest must leave next to nothing.
fn judge(what: &str, template: &[u8], alter: impl Fn(u64, &mut [u8]) + Copy) {
    const MESSAGES: u64 = 20_000;
    let mut flooded = Flooded::new();
    flooded.flood(MESSAGES / 10, template, alter);
    let (records, heap) = (flooded.records(), HEAP.allocated());
    flooded.flood(MESSAGES, template, alter);
    let (records, heap) = (flooded.records() - records, HEAP.allocated().saturating_sub(heap));
    // What was sent last is still under way, and the first are kept as records.
    assert!(flooded.noticed() > MESSAGES, "{what}: only {} messages came to something", flooded.noticed());
    // A record for each would be 20,000. In the second that this takes, one more may be kept, and a timer may run out.
    assert!(records <= 8, "{what}: {records} records more");
    // A single octet for each would be 20,000.
    assert!(heap < 16_384, "{what}: {heap} octets more");
}

#[test]
fn a_flood_leaves_next_to_nothing() {
    // Main Mode with everything that AWS takes needs several packets (192 suites), and the first is wanted whole.
    let of_a = |setting: &str| format!("connections.vpn.tunnels.a.customer.{setting}");
    let suite = of_a(r#"phase1=(encryption:["AES128"],integrity:["SHA1"],dh_groups:[2])"#);
    let v2 = first_message(&[&suite]);
    let v1 = first_message(&[&suite, &of_a(r#"ike_versions=["ikev1"]"#)]);
    let stranger = |exchange: u8| {
        move |n: u64, message: &mut [u8]| {
            message[8..16].copy_from_slice(&(n | 1 << 63).to_be_bytes());
            message[EXCHANGE] = exchange;
        }
    };
    judge("IKE_SA_INIT", &v2, |_, _| {});
    judge("Main Mode", &v1, |_, _| {});
    judge("IKE_AUTH of no IKE_SA", &v2, stranger(IKE_AUTH));
    judge("INFORMATIONAL of no IKE_SA", &v2, stranger(INFORMATIONAL));
    judge("IKEv1 Informational of no ISAKMP SA", &v1, stranger(5));
    judge("a higher major version", &v2, |_, message| message[17] = 0x30);
}
