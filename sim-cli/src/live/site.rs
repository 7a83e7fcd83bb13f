//! The world of a scenario between the sockets and TUN devices of those who are real.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use sim_core::id::NodeId;
use sim_core::node::tunnel::{IKE_PORT, NATT_PORT};
use sim_core::packet::{Meta, Packet};
use sim_core::time::Instant;
use sim_core::wire::ipv4::{Ipv4Header, Ipv4Packet, protocol};
use sim_core::wire::udp::{self, UdpDatagram};
use sim_core::world::Verdict;
use sim_scenarios::Simulation;
use sim_scenarios::build::Reality;
use sim_scenarios::plan::Plan;

use super::doors::{Arrival, Senders};
use super::journal::{Arrived, Entry, Writer};
use super::pace::Site;
use super::translation::Translation;
use crate::failure::Failure;

/// A tunnel with a real device at one end.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The real gateway: the customer's, or AWS's.
    pub device: NodeId,
    /// Where its packets come and go: itself, or AWS's end of the tunnel.
    pub node: NodeId,
    /// The tunnel's name.
    pub tunnel: String,
    /// The real end's outside address in the world.
    pub there: Ipv4Addr,
    /// The simulated end's outside address in the world, as the real end sees it.
    pub here: Ipv4Addr,
    /// Whether the simulated end is the customer's, which calls.
    pub dials: bool,
}

/// The tunnels of a plan with a real end, device by device.
pub fn gates(plan: &Plan, reality: &Reality) -> Vec<Gate> {
    let real = |node: &NodeId| reality.devices.contains(node);
    let gates = plan.connections.iter().flat_map(|connection| {
        let (customer, aws) = (connection.customer_gateway, connection.gateway);
        connection.tunnels.iter().filter_map(move |tunnel| {
            let (tunnel_name, endpoint) = (tunnel.name.clone(), tunnel.endpoint);
            let gate = |device, node, ends: [IpAddr; 2], dials| {
                // Real ends are reached by IPv4 ([`super::cast`] refuses others).
                let [IpAddr::V4(there), IpAddr::V4(here)] = ends else { return None };
                Some(Gate { device, node, tunnel: tunnel_name, there, here, dials })
            };
            if real(&customer) {
                gate(customer, customer, [tunnel.customer_outside, tunnel.aws_outside], false)
            } else if real(&aws) {
                gate(aws, endpoint, [tunnel.aws_outside, tunnel.customer_registered], true)
            } else {
                None
            }
        })
    });
    let mut gates: Vec<Gate> = gates.collect();
    gates.sort_by_key(|gate| gate.device);
    gates
}

/// Everywhere that packets come and go.
#[derive(Clone, Debug)]
pub struct Places {
    pub gates: Vec<Gate>,
    /// Real hosts, with their names.
    pub hosts: Vec<(NodeId, String)>,
}

impl Places {
    /// Those of a plan.
    pub fn of(plan: &Plan, reality: &Reality) -> Self {
        let name = |host: &NodeId| (*host, plan.nodes[host.index()].name.clone());
        Self { gates: gates(plan, reality), hosts: reality.hosts.iter().map(name).collect() }
    }

    /// The next packet that has left the world, and where.
    pub fn leave(&self, simulation: &mut Simulation) -> Option<(NodeId, Packet)> {
        let nodes = self.gates.iter().map(|gate| gate.node).chain(self.hosts.iter().map(|(host, _)| *host));
        nodes.into_iter().find_map(|node| Some((node, simulation.world_mut().leave(node)?)))
    }

    /// Lets in what has arrived, at the present instant. False if there is no such place.
    pub fn enter(&self, simulation: &mut Simulation, arrived: &Arrived) -> bool {
        let gate = |name: &str| self.gates.iter().find(|gate| gate.tunnel == name);
        let entering = match arrived {
            Arrived::Udp { tunnel, source, to, bytes, .. } => gate(tunnel).map(|gate| {
                let ends = ((gate.there, *source), (*to.ip(), to.port()));
                (gate.node, udp::packet(ends.0, ends.1, bytes, Meta::default()))
            }),
            Arrived::Esp { tunnel, bytes } => gate(tunnel).map(|gate| {
                let header = Ipv4Header::new(gate.there, gate.here, protocol::ESP);
                (gate.node, header.packet(bytes, Meta::default()))
            }),
            Arrived::Packet { host, bytes } => {
                let place = self.hosts.iter().find(|(_, name)| name == host);
                place.map(|(node, _)| (*node, Packet::from_bytes(bytes, Meta::default())))
            }
        };
        let Some((node, packet)) = entering else { return false };
        simulation.world_mut().enter(node, packet);
        true
    }
}

/// A world that is paced by the clock.
pub struct LiveSite {
    simulation: Simulation,
    places: Places,
    /// One for each gate.
    translations: Vec<Translation>,
    /// From where the simulated end of each gate sent last to port 500 and to port 4500: a NAT of the scenario may be in
    /// front of it.
    senders_in_world: Vec<[Option<SocketAddrV4>; 2]>,
    senders: Senders,
    journal: Option<Writer>,
    storm: bool,
    /// Packets that could not be sent, or for which nobody was known.
    unsent: u64,
}

impl LiveSite {
    /// A world that has not moved yet. What it has to say already is sent.
    pub fn new(
        simulation: Simulation,
        places: Places,
        translations: Vec<Translation>,
        senders: Senders,
        journal: Option<Writer>,
    ) -> Self {
        let senders_in_world = vec![[None; 2]; places.gates.len()];
        let (storm, unsent) = (false, 0);
        let mut site = Self { simulation, places, translations, senders_in_world, senders, journal, storm, unsent };
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
        while let Some((node, packet)) = self.places.leave(&mut self.simulation) {
            if !self.send(node, &packet) {
                self.unsent += 1;
            }
        }
    }

    fn send(&mut self, node: NodeId, packet: &Packet) -> bool {
        if let Some(tun) = self.places.hosts.iter().position(|(host, _)| *host == node) {
            return self.senders.packet(tun, packet.bytes()).is_ok();
        }
        let now = self.simulation.world().now();
        let ip = Ipv4Packet::new_unchecked(packet.bytes());
        // AWS's end of a tunnel has a place of its own, and a NAT may hide who speaks to it.
        let meant = |gate: &Gate| gate.node == node && gate.there == ip.dst() && (gate.dials || gate.here == ip.src());
        let Some(tunnel) = self.places.gates.iter().position(meant) else { return false };
        if ip.protocol() == protocol::ESP {
            let Gate { here, there, .. } = self.places.gates[tunnel];
            return self.senders.esp(here, there, ip.payload()).is_ok();
        }
        let Ok(udp) = UdpDatagram::new_checked(ip.payload()) else { return false };
        let source = SocketAddrV4::new(ip.src(), udp.src_port());
        // What leaves by another port has been through a NAT; it belongs where it goes.
        let port = match (udp.src_port(), udp.dst_port()) {
            (port @ (IKE_PORT | NATT_PORT), _) | (_, port @ IKE_PORT) => port,
            _ => NATT_PORT,
        };
        self.senders_in_world[tunnel][usize::from(port == NATT_PORT)] = Some(source);
        let Some(to) = self.translations[tunnel].outward(udp.dst_port(), now) else { return false };
        self.senders.udp(tunnel, port, to, udp.payload()).is_ok()
    }

    /// What an arrival is in the world; `None` if nobody there hears it.
    fn translate(&mut self, now: Instant, arrival: Arrival) -> Option<Arrived> {
        match arrival {
            Arrival::Udp { socket, from, bytes } => {
                let (tunnels, port) = self.senders.served(socket);
                let (tunnel, source) =
                    tunnels.iter().find_map(|&tunnel| Some((tunnel, self.translations[tunnel].inward(from, now)?)))?;
                let gate = &self.places.gates[tunnel];
                let last = self.senders_in_world[tunnel][usize::from(port == NATT_PORT)].filter(|_| gate.dials);
                let to = last.unwrap_or(SocketAddrV4::new(gate.here, port));
                Some(Arrived::Udp { tunnel: gate.tunnel.clone(), source, to, from: from.to_string(), bytes })
            }
            Arrival::Esp { from, to, bytes } => {
                let gate = self.places.gates.iter().find(|gate| (gate.there, gate.here) == (from, to))?;
                Some(Arrived::Esp { tunnel: gate.tunnel.clone(), bytes })
            }
            Arrival::Packet { tun, bytes } => {
                Some(Arrived::Packet { host: self.places.hosts.get(tun)?.1.clone(), bytes })
            }
        }
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
        let Some(arrived) = self.translate(now, arrival) else { return Ok(()) };
        let entry = Entry { at: now.as_nanos(), arrived };
        if let Some(journal) = &mut self.journal {
            journal.arrival(&entry)?;
        }
        self.places.enter(&mut self.simulation, &entry.arrived);
        self.depart();
        Ok(())
    }
}
