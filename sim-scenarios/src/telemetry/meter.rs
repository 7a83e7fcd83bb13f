//! The meter: reads counters and states once a minute.

use sim_core::id::NodeId;
use sim_core::node::Node;
use sim_core::node::counters::{AttachmentTraffic, Traffic};
use sim_core::time::Instant;
use sim_core::world::World;

use super::MINUTE;
use crate::plan::{NodeKind, Plan, TunnelId};

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

/// What stood on all counters at the end of a minute.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// By connection and tunnel, one after another.
    pub tunnels: Vec<TunnelReading>,
    /// By transit gateway and attachment, one after another.
    pub attachments: Vec<AttachmentTraffic>,
}

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
    /// The readings.
    pub readings: Vec<Reading>,
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
        Self { tunnels: tunnels(plan).map(place).collect(), gateways, readings: Vec::new() }
    }

    /// When it must be read next.
    pub fn due(&self) -> Instant {
        Instant::START + MINUTE * (self.readings.len() as u64 + 1)
    }

    /// Reads it. The world has handled all that happens up to [`Self::due`].
    pub fn read(&mut self, world: &World) {
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
        let (tunnels, attachments) = (self.tunnels.iter().map(tunnel).collect(), attachments.collect());
        self.readings.push(Reading { tunnels, attachments });
    }
}

/// All tunnels, in the order of readings.
pub fn tunnels(plan: &Plan) -> impl Iterator<Item = TunnelId> {
    let all = plan.connections.iter().enumerate();
    all.flat_map(|(connection, c)| (0..c.tunnels.len()).map(move |tunnel| TunnelId { connection, tunnel }))
}
