//! The meter: reads counters and states once a minute, and those of Direct Connect twice, as AWS does.

use sim_core::id::{LinkId, NodeId};
use sim_core::node::Node;
use sim_core::node::counters::{AttachmentTraffic, Traffic};
use sim_core::node::routing::Routing;
use sim_core::node::vif::{CUSTOMER, InterfaceState};
use sim_core::time::{Duration, Instant};
use sim_core::trace::Way;
use sim_core::world::World;

use super::MINUTE;
use crate::plan::{DirectConnect, Lag, Link, NodeKind, Plan, TunnelId};

/// What stood on the counters of one tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TunnelReading {
    /// Whether TunnelState is 1.
    pub up: bool,
    /// AWS's end.
    pub aws: Traffic,
    /// The customer gateway's end.
    pub customer: Traffic,
}

/// What stood on the counters of one virtual interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InterfaceReading {
    /// Whether its session is ESTABLISHED.
    pub established: bool,
    /// Prefixes that AWS has accepted, and those that it announces.
    pub prefixes: [usize; 2],
    /// AWS's end.
    pub traffic: Traffic,
}

/// What stood on all counters at the end of a minute.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// By connection and tunnel, one after another.
    pub tunnels: Vec<TunnelReading>,
    /// By transit gateway and attachment, one after another.
    pub attachments: Vec<AttachmentTraffic>,
}

/// What Direct Connect had at the end of half a minute.
#[derive(Clone, Debug, Default)]
pub struct DirectReading {
    /// By connection: whether each link of it is up.
    pub lines: Vec<Vec<bool>>,
    /// By connection and virtual interface, one after another.
    pub interfaces: Vec<InterfaceReading>,
}

/// How often Direct Connect is read (user guide, "Monitor with Amazon CloudWatch": every 30 seconds).
pub const HALF: Duration = Duration::from_secs(30);

/// Where the counters of a tunnel are.
#[derive(Clone, Copy, Debug)]
struct Place {
    endpoint: NodeId,
    customer_gateway: NodeId,
    /// The tunnel's number on the customer gateway.
    number: usize,
}

/// What was read, one reading a minute, the first at the end of the first.
#[derive(Clone, Debug)]
pub struct Meter {
    tunnels: Vec<Place>,
    gateways: Vec<NodeId>,
    /// For each connection of Direct Connect the links that end at its virtual interfaces.
    lines: Vec<Vec<LinkId>>,
    interfaces: Vec<NodeId>,
    /// The readings.
    pub readings: Vec<Reading>,
    /// Those of Direct Connect, if there is any: two for each minute.
    pub direct: Vec<DirectReading>,
}

impl Meter {
    /// A meter of all that a plan has, not read yet.
    pub fn of(plan: &Plan) -> Self {
        let mut numbers = vec![0; plan.nodes.len()];
        let place = |id: TunnelId| {
            let (endpoint, customer_gateway) =
                (plan.tunnel(id).endpoint, plan.connections[id.connection].customer_gateway);
            numbers[customer_gateway.index()] += 1;
            Place { endpoint, customer_gateway, number: numbers[customer_gateway.index()] - 1 }
        };
        let is_gateway = |(node, _): &(&crate::plan::Node, u32)| matches!(node.kind, NodeKind::TransitGateway(_));
        let gateways = plan.nodes.iter().zip(0u32..).filter(is_gateway).map(|(_, id)| NodeId(id)).collect();
        Self {
            tunnels: tunnels(plan).map(place).collect(),
            gateways,
            lines: plan.direct_connects.iter().map(|line| links(plan, line).collect()).collect(),
            interfaces: interfaces(plan).collect(),
            readings: Vec::new(),
            direct: Vec::new(),
        }
    }

    /// When it must be read next.
    pub fn due(&self) -> Instant {
        if self.lines.is_empty() { self.whole_minute() } else { self.half_minute() }
    }

    fn whole_minute(&self) -> Instant {
        Instant::START + MINUTE * (self.readings.len() as u64 + 1)
    }

    fn half_minute(&self) -> Instant {
        Instant::START + HALF * (self.direct.len() as u64 + 1)
    }

    /// Reads it. The world has handled all that happens up to [`Self::due`].
    pub fn read(&mut self, world: &World) {
        let minute = self.due() == self.whole_minute();
        if !self.lines.is_empty() {
            self.read_direct(world);
        }
        if minute {
            self.read_minute(world);
        }
    }

    fn read_minute(&mut self, world: &World) {
        let tunnel = |place: &Place| {
            let (up, aws) = match world.node(place.endpoint) {
                Node::VpnEndpoint(end) => (end.is_up(), end.gateway().tunnels[0].traffic()),
                // A real end tells nobody.
                _ => Default::default(),
            };
            let customer = match world.node(place.customer_gateway) {
                Node::Cgw(cgw) => cgw.gateway().tunnels[place.number].traffic(),
                _ => Traffic::default(),
            };
            TunnelReading { up, aws, customer }
        };
        let attachments = self.gateways.iter().flat_map(|id| match world.node(*id) {
            Node::Tgw(gateway) => gateway.traffic().to_vec(),
            _ => Vec::new(),
        });
        self.readings
            .push(Reading { tunnels: self.tunnels.iter().map(tunnel).collect(), attachments: attachments.collect() });
    }

    fn read_direct(&mut self, world: &World) {
        let is_up = |link: &LinkId| {
            let powered = world
                .link_ends()
                .find(|(id, _)| id == link)
                .is_some_and(|(_, ends)| ends.iter().all(|(node, _)| world.has_power(*node)));
            powered && world.direction(*link, Way::Forward).is_up()
        };
        let interface = |id: &NodeId| match world.node(*id) {
            Node::VirtualInterface(it) => {
                let speaker = it.gateway().routing.as_deref().map(Routing::speaker);
                let prefixes =
                    speaker.map_or([0; 2], |of| [of.adj_rib_in(CUSTOMER).len(), of.adj_rib_out(CUSTOMER).len()]);
                InterfaceReading {
                    established: it.state() == InterfaceState::Available,
                    prefixes,
                    traffic: it.traffic(),
                }
            }
            _ => InterfaceReading::default(),
        };
        self.direct.push(DirectReading {
            lines: self.lines.iter().map(|links| links.iter().map(is_up).collect()).collect(),
            interfaces: self.interfaces.iter().map(interface).collect(),
        });
    }
}

/// The links of a connection: those that end at its virtual interfaces, several of a LAG.
pub fn links<'p>(plan: &'p Plan, line: &'p DirectConnect) -> impl Iterator<Item = LinkId> + 'p {
    let of = |link: &Link| link.ends.iter().any(|end| line.virtual_interfaces.contains(&end.node));
    plan.links.iter().zip(0..).filter(move |(link, _)| of(link)).map(|(_, id)| LinkId(id))
}

/// The LAG that a connection is, if it is one.
pub fn lag(plan: &Plan, line: &DirectConnect) -> Option<Lag> {
    line.virtual_interfaces.iter().find_map(|id| match &plan.nodes[id.index()].kind {
        NodeKind::VirtualInterface(it) => it.interfaces.first()?.lag,
        _ => None,
    })
}

/// All virtual interfaces, in the order of readings.
pub fn interfaces(plan: &Plan) -> impl Iterator<Item = NodeId> {
    plan.direct_connects.iter().flat_map(|line| line.virtual_interfaces.iter().copied())
}

/// All tunnels, in the order of readings.
pub fn tunnels(plan: &Plan) -> impl Iterator<Item = TunnelId> {
    let all = plan.connections.iter().enumerate();
    all.flat_map(|(connection, c)| (0..c.tunnels.len()).map(move |tunnel| TunnelId { connection, tunnel }))
}
