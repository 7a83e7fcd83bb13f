//! What is seen of packets on their way: on links, and where a gateway lowers what TCP tells.

use core::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sim_core::id::LinkId;
use sim_core::packet::Packet;
use sim_core::time::Instant;
use sim_core::trace::{Hop, HopStep, Sink, Way};
use sim_core::wire::ipv4::{Ipv4Packet, protocol};
use sim_scenarios::report::model::Report;
use sim_scenarios::{Scenario, Simulation};

/// What is seen of the packets that enter a link, or any link.
struct Tap<T> {
    link: Option<LinkId>,
    see: fn(&[u8]) -> Option<T>,
    seen: Rc<RefCell<BTreeSet<T>>>,
}

impl<T: Ord> Sink for Tap<T> {
    fn wire(&mut self, _: Instant, link: LinkId, _: Way, packet: &Packet) {
        if self.link.is_none_or(|only| only == link) {
            self.seen.borrow_mut().extend((self.see)(packet.bytes()));
        }
    }
}

/// What a whole run shows on the link of that name, or on all links.
pub fn tapped<T: Ord + 'static>(
    scenario: &Scenario,
    link: Option<&str>,
    see: fn(&[u8]) -> Option<T>,
) -> (BTreeSet<T>, Report) {
    let seen: Rc<RefCell<BTreeSet<T>>> = Rc::new(RefCell::new(BTreeSet::new()));
    let own = Rc::clone(&seen);
    let simulation = Simulation::prepare(scenario, |world| {
        let link = link.map(|name| {
            let (id, _) = world.link_ends().find(|(id, _)| world.link_name(*id) == name).expect("it is there");
            id
        });
        world.trace.add_sink(Box::new(Tap { link, see, seen: own }));
    });
    let report = simulation.finish().report;
    let seen = seen.take();
    (seen, report)
}

/// Protocol, and of UDP source and destination port.
pub fn protocol_and_ports(bytes: &[u8]) -> Option<(u8, u16, u16)> {
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    if ip.protocol() != protocol::UDP {
        return Some((ip.protocol(), 0, 0));
    }
    let at = |octet: usize| u16::from_be_bytes([ip.payload()[octet], ip.payload()[octet + 1]]);
    Some((protocol::UDP, at(0), at(2)))
}

struct Clamps(Rc<RefCell<BTreeSet<u16>>>);

impl Sink for Clamps {
    fn hop(&mut self, hop: &Hop) {
        if let HopStep::MssClamped(mss, _) = hop.step {
            self.0.borrow_mut().insert(mss);
        }
    }
}

/// The MSS values to which gateways lowered what SYNs told in a whole run, and what that answers.
pub fn clamped(scenario: &Scenario) -> (Vec<u16>, Report) {
    let clamps = Rc::new(RefCell::new(BTreeSet::new()));
    let sink = Clamps(Rc::clone(&clamps));
    let simulation = Simulation::prepare(scenario, |world| world.trace.add_sink(Box::new(sink)));
    let report = simulation.finish().report;
    let clamps = clamps.take();
    (clamps.into_iter().collect(), report)
}
