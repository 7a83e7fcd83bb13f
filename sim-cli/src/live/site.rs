//! The world of a scenario between the sockets of its external gateways.

use std::net::Ipv4Addr;

use sim_core::id::NodeId;
use sim_core::packet::{Meta, Packet};
use sim_core::time::Instant;
use sim_core::wire::ipv4::Ipv4Packet;
use sim_core::wire::udp::{self, UdpDatagram};
use sim_core::world::Verdict;
use sim_scenarios::Simulation;
use sim_scenarios::plan::{NodeKind, Plan};

use super::doors::{Arrival, Senders};
use super::journal::{Entry, Writer};
use super::pace::Site;
use super::translation::Translation;
use crate::failure::Failure;

/// A tunnel whose customer gateway is real.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The gateway.
    pub node: NodeId,
    /// The tunnel's name.
    pub tunnel: String,
    /// The gateway's outside address in the world.
    pub outside: Ipv4Addr,
    /// The endpoint's outside address in the world.
    pub endpoint: Ipv4Addr,
}

/// The tunnels of a plan whose customer gateways are external, gateway by gateway.
pub fn gates(plan: &Plan) -> Vec<Gate> {
    let external = |node: NodeId| match &plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(gateway) => gateway.external.is_some(),
        _ => false,
    };
    let connections = plan.connections.iter().filter(|connection| external(connection.customer_gateway));
    let gates = connections.flat_map(|connection| {
        connection.tunnels.iter().map(|tunnel| Gate {
            node: connection.customer_gateway,
            tunnel: tunnel.name.clone(),
            outside: tunnel.customer_outside,
            endpoint: tunnel.aws_outside,
        })
    });
    let mut gates: Vec<Gate> = gates.collect();
    gates.sort_by_key(|gate| gate.node);
    gates
}

/// Lets a datagram into the world at the present instant.
pub fn enter(simulation: &mut Simulation, gate: &Gate, entry: &Entry) {
    let ends = ((gate.outside, entry.source), (gate.endpoint, entry.port));
    simulation.world_mut().enter(gate.node, udp::packet(ends.0, ends.1, &entry.bytes, Meta::default()));
}

/// A world that is paced by the clock.
pub struct LiveSite {
    simulation: Simulation,
    gates: Vec<(Gate, Translation)>,
    senders: Senders,
    journal: Option<Writer>,
    storm: bool,
    /// Datagrams that could not be sent, or for which nobody was known.
    unsent: u64,
}

impl LiveSite {
    /// A world that has not moved yet. What it has to say already is sent.
    pub fn new(
        simulation: Simulation,
        gates: Vec<(Gate, Translation)>,
        senders: Senders,
        journal: Option<Writer>,
    ) -> Self {
        let mut site = Self { simulation, gates, senders, journal, storm: false, unsent: 0 };
        site.depart();
        site
    }

    /// True if it can go no further: some devices keep each other busy for ever.
    pub fn storm(&self) -> bool {
        self.storm
    }

    /// Lets time pass to `end`, and takes the world apart.
    pub fn finish(mut self, end: Instant) -> (Simulation, Option<Writer>, u64) {
        self.run_until(end);
        (self.simulation, self.journal, self.unsent)
    }

    fn run_until(&mut self, at: Instant) {
        self.storm |= self.simulation.run_until(at) != Verdict::Reached;
        self.depart();
    }

    /// Sends what has left the world.
    fn depart(&mut self) {
        for gate in 0..self.gates.len() {
            while let Some(packet) = self.simulation.world_mut().leave(self.gates[gate].0.node) {
                if !self.send(&packet) {
                    self.unsent += 1;
                }
            }
        }
    }

    fn send(&mut self, packet: &Packet) -> bool {
        let now = self.simulation.world().now();
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        let Ok(udp) = UdpDatagram::new_checked(ip.payload()) else { return false };
        let ends = (ip.dst(), ip.src());
        let tunnel = self.gates.iter().position(|(gate, _)| (gate.outside, gate.endpoint) == ends);
        let Some(tunnel) = tunnel else { return false };
        let Some(to) = self.gates[tunnel].1.outward(udp.dst_port(), now) else { return false };
        self.senders.send(tunnel, udp.src_port(), to, udp.payload()).is_ok()
    }
}

impl Site for LiveSite {
    type Arrival = Arrival;
    type Error = Failure;

    fn wake(&self) -> Option<Instant> {
        self.simulation.world().next_event()
    }

    fn timeout(&mut self, now: Instant) -> Result<(), Failure> {
        self.run_until(now);
        Ok(())
    }

    fn arrival(&mut self, now: Instant, arrival: Arrival) -> Result<(), Failure> {
        if now > self.simulation.end() {
            return Ok(());
        }
        self.run_until(now);
        let (gate, translation) = &mut self.gates[arrival.tunnel];
        let entry = Entry {
            at: now.as_nanos(),
            tunnel: gate.tunnel.clone(),
            port: arrival.port,
            source: translation.inward(arrival.from, now),
            from: arrival.from.to_string(),
            bytes: arrival.bytes,
        };
        if let Some(journal) = &mut self.journal {
            journal.datagram(&entry)?;
        }
        enter(&mut self.simulation, gate, &entry);
        self.depart();
        Ok(())
    }
}
