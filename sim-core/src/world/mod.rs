//! The world: devices, links, faults, and the loop that moves time.
//!
//! A device's state is changed in one place only, `World::touch`: give it one input, carry out what it emitted, re-arm
//! its wake. Simultaneous events have a written order, see [`agenda`].

pub mod agenda;
mod fault;
mod foresight;
mod gate;
mod heap;

pub use fault::{Action, Fault, Impairment, Occasion};

use agenda::{Flights, Wakes};

use smallvec::SmallVec;

use crate::id::{FaultId, LinkId, NodeId, PacketId, Port, RecordId};
use crate::net::link::{Direction, DirectionConfig, Fate};
use crate::node::{Command, Cx, Device, Emit, Node, Notice};
use crate::packet::Packet;
use crate::reason::DropReason;
use crate::time::{Duration, Instant};
use crate::trace::ledger::{Balance, Breach};
use crate::trace::{Hop, HopStep, Phase, Place, Record, Trace, Way, What};

/// How many events a world may handle before it is called a storm, unless set otherwise. A choice, not a measurement.
pub const DEFAULT_EVENT_LIMIT: u64 = 2_000_000_000;
/// How many events may happen at one instant before time is held to stand still, unless set otherwise. A choice too.
pub const DEFAULT_INSTANT_LIMIT: u64 = 1_000_000;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The asked instant was reached.
    Reached,
    /// The event limit, or that of one instant, was reached first: some devices keep each other busy for ever.
    Storm {
        /// How many events had been handled.
        events: u64,
        /// When.
        at: Instant,
    },
}

/// What is on its way through the world.
enum Flight {
    Arrival { link: LinkId, way: Way, epoch: u32, packet: Packet },
    Notice { to: NodeId, cause: RecordId, notice: Box<Notice> },
    Fault { fault: FaultId, phase: Phase },
}

/// A device in its place. What every packet needs of it fits one cache line.
#[repr(align(64))]
struct Slot {
    node: Node,
    /// The record that last switched its power.
    power_by: RecordId,
    up: bool,
    /// The link behind each port.
    wiring: SmallVec<[Option<(LinkId, Way)>; 2]>,
}

/// What a device is called, and its ports.
struct Label {
    name: String,
    ports: Vec<String>,
}

/// A link or internet path between two ports.
struct Link {
    name: String,
    /// Without faults.
    base: [DirectionConfig; 2],
    /// True if its ends see when it is cut or the other end has no power.
    carrier: bool,
    up: bool,
}

/// One way of a link, and where it leads. What every packet needs of it fits one cache line.
#[repr(align(64))]
struct Lane {
    direction: Direction,
    to: (NodeId, Port),
}

/// A world in motion. Built empty with a seed, filled with devices and links, started, then run.
pub struct World {
    seed: u64,
    now: Instant,
    flights: Flights<Flight>,
    wakes: Wakes,
    slots: Vec<Slot>,
    labels: Vec<Label>,
    links: Vec<Link>,
    /// Two for each link, in the order of [`Way::BOTH`].
    lanes: Vec<Lane>,
    faults: Vec<Fault>,
    active: Vec<FaultId>,
    /// What happened so far.
    pub trace: Trace,
    out: Vec<Emit>,
    packets: u64,
    events: u64,
    limit: u64,
    instant_limit: u64,
    /// The number of the first event of the present instant.
    instant_began: u64,
    /// True if there is a gateway with tunnels, behind which is looked ahead.
    deep: bool,
}

impl World {
    /// An empty world. All randomness in it comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::START,
            flights: Flights::default(),
            wakes: Wakes::default(),
            slots: Vec::new(),
            labels: Vec::new(),
            links: Vec::new(),
            lanes: Vec::new(),
            faults: Vec::new(),
            active: Vec::new(),
            trace: Trace::default(),
            out: Vec::new(),
            packets: 0,
            events: 0,
            limit: DEFAULT_EVENT_LIMIT,
            instant_limit: DEFAULT_INSTANT_LIMIT,
            instant_began: 0,
            deep: false,
        }
    }

    /// The seed it was made with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets after how many events a run is called a storm.
    pub fn limit_events(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Sets how many events may happen at one instant before a run is called a storm.
    pub fn limit_instant(&mut self, limit: u64) {
        self.instant_limit = limit;
    }

    /// The id that the next device will get, for configurations that must name it.
    pub fn next_node(&self) -> NodeId {
        NodeId(self.slots.len() as u32)
    }

    /// Adds a device.
    pub fn add_node(&mut self, name: &str, node: Node) -> NodeId {
        let id = self.next_node();
        self.deep |= matches!(node, Node::Cgw(_) | Node::VpnEndpoint(_));
        self.slots.push(Slot { node, power_by: RecordId::GENESIS, up: true, wiring: SmallVec::new() });
        self.labels.push(Label { name: name.into(), ports: Vec::new() });
        self.wakes.add();
        id
    }

    /// Connects two ports by a link with a configuration for each direction. With `carrier`, its
    /// ends see when it is cut and when the other end has no power; a path through an internet fails silently.
    ///
    /// # Panics
    /// If a port is connected already.
    pub fn add_link(
        &mut self,
        name: &str,
        ends: [(NodeId, Port); 2],
        config: [DirectionConfig; 2],
        carrier: bool,
    ) -> LinkId {
        let id = LinkId(self.links.len() as u32);
        for way in Way::BOTH {
            let direction = Direction::new(config[way.index()], self.seed, &format!("{name}/{}", way.code()));
            self.lanes.push(Lane { direction, to: ends[1 - way.index()] });
        }
        for (way, (node, port)) in Way::BOTH.into_iter().zip(ends) {
            let wiring = &mut self.slots[node.index()].wiring;
            if wiring.len() <= port.index() {
                wiring.resize(port.index() + 1, None);
            }
            assert!(wiring[port.index()].replace((id, way)).is_none(), "a port has one link");
        }
        self.links.push(Link { name: name.into(), base: config, carrier, up: true });
        id
    }

    /// Names a port for reports.
    pub fn name_port(&mut self, node: NodeId, port: Port, name: &str) {
        let ports = &mut self.labels[node.index()].ports;
        if ports.len() <= port.index() {
            ports.resize(port.index() + 1, String::new());
        }
        ports[port.index()] = name.into();
    }

    /// Adds a fault to the timeline.
    pub fn add_fault(&mut self, fault: Fault) -> FaultId {
        let id = FaultId(self.faults.len() as u16);
        for occasion in &fault.occasions {
            self.flights.push(occasion.strike, Flight::Fault { fault: id, phase: Phase::Strike });
            if let Some(heal) = occasion.heal {
                self.flights.push(heal, Flight::Fault { fault: id, phase: Phase::Heal });
            }
        }
        self.faults.push(fault);
        id
    }

    /// Switches every device on. Call once, after the last device, link and fault.
    pub fn start(&mut self) {
        for index in 0..self.slots.len() {
            self.touch(NodeId(index as u32), RecordId::GENESIS, |device, cx| device.start(cx));
        }
    }

    /// The present.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Events handled so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// When the next event is due.
    pub fn next_event(&self) -> Option<Instant> {
        let wake = self.wakes.next().map(|(at, _)| at);
        self.flights.next().into_iter().chain(wake).min()
    }

    /// Handles the next event, if it is not after `end`. Returns whether there was one.
    pub fn step(&mut self, end: Instant) -> bool {
        let flight = self.flights.next().unwrap_or(Instant::NEVER);
        let (wake, node) = self.wakes.next().unwrap_or((Instant::NEVER, NodeId(0)));
        let next = flight.min(wake);
        if next > end || next == Instant::NEVER {
            return false;
        }
        debug_assert!(next >= self.now, "time never goes back");
        if next > self.now {
            self.instant_began = self.events;
        }
        self.now = next;
        self.events += 1;
        self.look_ahead();
        if flight <= wake {
            let (_, flight) = self.flights.pop().expect("peeked");
            self.land(flight);
        } else {
            self.touch(node, RecordId::GENESIS, |device, cx| {
                cx.rearm();
                device.timeout(cx);
            });
        }
        true
    }

    /// Handles everything due up to and including `end`; then the present is `end`.
    pub fn run_until(&mut self, end: Instant) -> Verdict {
        while self.events < self.limit && self.events - self.instant_began < self.instant_limit {
            if !self.step(end) {
                self.now = self.now.max(end);
                return Verdict::Reached;
            }
        }
        Verdict::Storm { events: self.events, at: self.now }
    }

    /// The same as [`World::run_until`], but leaves off after `most` events. `None` if it did: there is more due until `end`.
    pub fn run_some(&mut self, end: Instant, most: u64) -> Option<Verdict> {
        let pause = self.events.saturating_add(most);
        while self.events < self.limit && self.events - self.instant_began < self.instant_limit {
            if self.events >= pause {
                return None;
            }
            if !self.step(end) {
                self.now = self.now.max(end);
                return Some(Verdict::Reached);
            }
        }
        Some(Verdict::Storm { events: self.events, at: self.now })
    }

    /// Types a command at a device now, as an operator would.
    pub fn command(&mut self, node: NodeId, command: Command) {
        self.touch(node, RecordId::GENESIS, |device, cx| {
            cx.rearm();
            device.command(cx, command);
        });
    }

    fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Arrival { link, way, epoch, packet } => self.arrive(link, way, epoch, packet),
            Flight::Notice { to, cause, notice } => {
                if self.slots[to.index()].up {
                    self.touch(to, cause, |device, cx| {
                        cx.rearm();
                        device.notice(cx, *notice);
                    });
                }
            }
            Flight::Fault { fault, phase } => self.strike_or_heal(fault, phase),
        }
    }

    fn arrive(&mut self, link: LinkId, way: Way, epoch: u32, mut packet: Packet) {
        let &Lane { ref direction, to: (node, port) } = self.lane(link, way);
        let changed_by = direction.changed_by();
        if direction.epoch() != epoch {
            return self.trace.dropped(self.now, Place::Link(link, way), DropReason::LinkDown, changed_by, &packet);
        }
        let slot = &self.slots[node.index()];
        packet.needs(changed_by.max(slot.power_by));
        if !slot.up {
            let blame = slot.power_by;
            return self.trace.dropped(self.now, Place::Node(node), DropReason::NodeDown, blame, &packet);
        }
        let step = HopStep::Arrived(port);
        self.trace.hop(Hop { at: self.now, node, packet: packet.meta.id, step });
        self.touch(node, packet.meta.cause, |device, cx| {
            cx.enabler = packet.meta.enabler;
            device.receive(cx, port, packet);
        });
    }

    /// The only place where a device's state changes: one input, then everything it emitted, then its wake.
    fn touch(&mut self, id: NodeId, cause: RecordId, input: impl FnOnce(&mut dyn Device, &mut Cx)) {
        let slot = &mut self.slots[id.index()];
        let mut out = core::mem::take(&mut self.out);
        let mut cx = Cx {
            now: self.now,
            node: id,
            cause,
            enabler: RecordId::GENESIS,
            trace: &mut self.trace,
            out: &mut out,
            packets: &mut self.packets,
            rearm: false,
        };
        input(slot.node.device(), &mut cx);
        if cx.rearm {
            let wake = if slot.up { slot.node.device().wake() } else { None };
            self.wakes.set(id, wake.map(|(at, _)| at));
        }
        for emit in out.drain(..) {
            match emit {
                Emit::Packet(port, packet) => self.transmit(id, port, packet),
                Emit::Notice(to, delay, cause, notice) => {
                    self.flights.push(self.now + delay, Flight::Notice { to, cause, notice });
                }
            }
        }
        self.out = out;
    }

    fn transmit(&mut self, node: NodeId, port: Port, mut packet: Packet) {
        let Some(&Some((link, way))) = self.slots[node.index()].wiring.get(port.index()) else {
            let blame = RecordId::GENESIS;
            return self.trace.dropped(self.now, Place::Node(node), DropReason::LinkDown, blame, &packet);
        };
        self.trace.wire(self.now, link, way, &packet);
        self.trace.hop(Hop { at: self.now, node, packet: packet.meta.id, step: HopStep::Sent(link, way) });
        let direction = &mut self.lanes[lane(link, way)].direction;
        let epoch = direction.epoch();
        match direction.offer(self.now, &mut packet) {
            Fate::Deliver(at) => self.flights.push(at, Flight::Arrival { link, way, epoch, packet }),
            Fate::DeliverTwice(first, second) => {
                let mut copy = packet.clone();
                self.packets += 1;
                copy.meta.id = PacketId(self.packets);
                let step = HopStep::CutFrom(packet.meta.id);
                self.trace.hop(Hop { at: self.now, node, packet: copy.meta.id, step });
                self.flights.push(first, Flight::Arrival { link, way, epoch, packet });
                self.flights.push(second, Flight::Arrival { link, way, epoch, packet: copy });
            }
            Fate::Drop(reason) => {
                let blame = direction.changed_by();
                self.trace.dropped(self.now, Place::Link(link, way), reason, blame, &packet);
            }
        }
    }

    /// Where all packets are, if the trace keeps a ledger.
    ///
    /// # Errors
    /// What cannot be: packets that came out of nothing, ended twice, or were swallowed.
    pub fn balance(&self) -> Option<Result<Balance, Vec<Breach>>> {
        let arriving = |flight: &Flight| match flight {
            Flight::Arrival { packet, .. } => Some(packet.meta.id),
            Flight::Notice { .. } | Flight::Fault { .. } => None,
        };
        let held = self.slots.iter().flat_map(|slot| slot.node.held()).map(|packet| packet.meta.id);
        Some(self.trace.ledger()?.balance(self.now, self.flights.iter().filter_map(arriving), held))
    }

    /// Names of the devices, by id.
    pub fn node_name(&self, node: NodeId) -> &str {
        self.labels.get(node.index()).map_or("", |label| &label.name)
    }

    /// Name of a port; empty if it was given none.
    pub fn port_name(&self, node: NodeId, port: Port) -> &str {
        self.labels.get(node.index()).and_then(|label| label.ports.get(port.index())).map_or("", String::as_str)
    }

    /// Name of a link.
    pub fn link_name(&self, link: LinkId) -> &str {
        &self.links[link.index()].name
    }

    /// All faults, by id.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Name of a fault.
    pub fn fault(&self, fault: FaultId) -> &Fault {
        &self.faults[fault.index()]
    }

    /// All links with their ends, by id.
    pub fn link_ends(&self) -> impl Iterator<Item = (LinkId, [(NodeId, Port); 2])> {
        (0..self.links.len() as u32).map(|link| (LinkId(link), self.ends(LinkId(link))))
    }

    fn ends(&self, link: LinkId) -> [(NodeId, Port); 2] {
        [Way::Reverse, Way::Forward].map(|way| self.lane(link, way).to)
    }

    fn lane(&self, link: LinkId, way: Way) -> &Lane {
        &self.lanes[lane(link, way)]
    }

    /// One way of a link, to look at.
    pub fn direction(&self, link: LinkId, way: Way) -> &Direction {
        &self.lane(link, way).direction
    }

    /// What a link is like without faults: forward, reverse.
    pub fn without_faults(&self, link: LinkId) -> &[DirectionConfig; 2] {
        &self.links[link.index()].base
    }

    /// The faults that have struck and not healed, the latest last.
    pub fn active_faults(&self) -> &[FaultId] {
        &self.active
    }

    /// True if a device has power.
    pub fn has_power(&self, node: NodeId) -> bool {
        self.slots[node.index()].up
    }

    /// A device, to look at.
    pub fn node(&self, node: NodeId) -> &Node {
        &self.slots[node.index()].node
    }

    /// The devices by id, when the world is over.
    pub fn into_nodes(self) -> impl Iterator<Item = Node> {
        self.slots.into_iter().map(|slot| slot.node)
    }

    fn keep(&mut self, cause: RecordId, node: NodeId, what: What) -> RecordId {
        self.trace.record(Record { at: self.now, node, cause, enabler: RecordId::GENESIS, what })
    }

    /// The length of a run so far.
    pub fn elapsed(&self) -> Duration {
        self.now.since_start()
    }
}

/// The place of a way of a link among all lanes.
const fn lane(link: LinkId, way: Way) -> usize {
    2 * link.index() + way.index()
}

#[cfg(test)]
mod tests;
