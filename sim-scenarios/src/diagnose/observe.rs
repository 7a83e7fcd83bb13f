//! What an operator sees of a run (the header of [`super`] says what that is).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use sim_core::id::{NodeId, Port};
use sim_core::net::fib::{Fib, Route, Target};
use sim_core::node::Node;
use sim_core::node::counters::Traffic;
use sim_core::node::vpc::GATEWAY_PORT;
use sim_core::reason::DropReason;
use sim_core::time::{Duration, Instant};
use sim_core::trace::{Place, What};

use crate::build::vpc::transit_ports;
use crate::build::{Built, Reality};
use crate::plan::{
    Attachment, FlowLog, Logged, NodeKind, Phase, Plan, ProbeKind, Routing, TrafficType, TunnelBandwidth, TunnelId,
    default_fields,
};
use crate::report::bgp_log;
use crate::report::model::{Ecmp, Report, Seconds};
use crate::report::tunnel_log;
use crate::run::Simulation;

/// Everything that is seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The tunnels.
    pub tunnels: Vec<TunnelSeen>,
    /// Who talks with whom, as far as a site and a VPC with one gateway each.
    pub pairs: Vec<PairSeen>,
    /// What is sent by probes.
    pub streams: Vec<StreamSeen>,
    /// What applications say.
    pub applications: Vec<ApplicationSeen>,
    /// The firewalls' tables of flows.
    pub firewalls: Vec<Ecmp>,
    /// The first rejected flow of the flow logs, as it stands there, and how many there are.
    pub rejected: Option<(String, usize)>,
    /// Accepted flows out of network interfaces without a record the other way.
    pub unanswered: usize,
}

/// A tunnel.
#[derive(Clone, Debug)]
pub struct TunnelSeen {
    /// Which.
    pub id: TunnelId,
    /// Its name.
    pub name: String,
    /// True if its connection has BGP.
    pub dynamic: bool,
    /// The status that the console shows at the end.
    pub up: bool,
    /// Whether the device has a CHILD_SA at the end.
    pub has_sa: bool,
    /// Whether the device has ever sent IKE, by its own log.
    pub calls: bool,
    /// Lines of AWS's tunnel activity log.
    pub ike: Vec<tunnel_log::Line>,
    /// Lines of AWS's BGP log that are about the session.
    pub bgp: Vec<(Instant, String)>,
    /// Packets that the device's access lists dropped.
    pub access_list_drops: u64,
    /// TCP segments that the device dropped because of MD5.
    pub md5_drops: u64,
    /// What went through at AWS's end (TunnelDataIn, TunnelDataOut).
    pub traffic: Traffic,
    /// Parameters of phase 1, and of phase 2, that the device's settings and those of the VPN connection do not have in common.
    pub drift: [Vec<Parameter>; 2],
    /// Whether one of the ends has a key for TCP MD5, and the other another or none.
    pub md5_drift: bool,
    /// Whether the device has an access list on it.
    pub has_access_list: bool,
}

/// What ends negotiate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Parameter {
    /// The cipher.
    Encryption,
    /// The integrity algorithm.
    Integrity,
    /// The Diffie-Hellman group, in phase 2 for PFS.
    DhGroups,
}

impl Parameter {
    /// The name of the setting.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Encryption => "encryption",
            Self::Integrity => "integrity",
            Self::DhGroups => "dh_groups",
        }
    }
}

/// A host of a site and an instance that talk.
#[derive(Clone, Debug)]
pub struct PairSeen {
    /// Their names.
    pub names: (String, String),
    /// The host's network.
    pub site: Ipv4Net,
    /// The host, the customer gateway before it, the gateway of AWS, the VPC.
    pub nodes: [NodeId; 4],
    /// The connections between the gateways.
    pub connections: Vec<usize>,
    /// Which tables have a way.
    pub ways: Ways,
}

/// Which tables have a way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ways {
    /// The device's, to the instance by a tunnel.
    pub device: bool,
    /// The gateway's of AWS, to the host.
    pub gateway: bool,
    /// The VPC's, to the host by the gateway.
    pub vpc: bool,
}

/// A stream of probes.
#[derive(Clone, Debug)]
pub struct StreamSeen {
    /// Its name.
    pub name: String,
    /// Its sender and receiver.
    pub between: [NodeId; 2],
    /// Octets of a packet, or of a transfer by TCP.
    pub size: u32,
    /// Whether its large packets may be cut on the way.
    pub may_be_cut: bool,
    /// Packets a second.
    pub packets_per_second: f64,
    /// Bits a second.
    pub bits_per_second: f64,
    /// Whether AWS carries less of it through a tunnel, and how much of the one or the other.
    pub exceeds: Option<&'static str>,
    /// How many were sent.
    pub sent: u64,
    /// How many of these were lost, there and back.
    pub lost: u64,
    /// The only time in which it was dark, if it was for once and works again, as from when and for how long.
    pub was_dark: Option<(Seconds, Seconds)>,
}

impl StreamSeen {
    /// Share that was lost.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.lost as f64 / self.sent as f64 }
    }
}

/// An application.
#[derive(Clone, Debug)]
pub struct ApplicationSeen {
    /// Its name.
    pub name: String,
    /// Its ends.
    pub between: [NodeId; 2],
    /// Octets of a question.
    pub size: u32,
    /// Flows that began.
    pub flows: u64,
    /// Flows that stalled, were reset or given up.
    pub failed: u64,
}

impl Seen {
    /// Runs a plan and looks.
    pub fn of(plan: &Plan) -> Self {
        let mut plan = plan.clone();
        turn_flow_logs_on(&mut plan);
        plan.expectations.clear();
        plan.controls.clear();
        let mut simulation = Simulation::of_plan(plan, &Reality::default(), |_| {});
        simulation.run_until(simulation.end());
        let (plan, built) = (simulation.plan(), simulation.built());
        let answer = simulation.answer();
        let (logs, bgp_logs) = (&answer.detail.logs, &answer.detail.bgp_logs);
        let tunnels = crate::telemetry::meter::tunnels(plan).map(|id| tunnel(plan, built, id, logs, bgp_logs));
        let flow_logs: Vec<_> =
            answer.detail.telemetry.flow_logs.iter().filter(|log| log.name.starts_with(OURS)).collect();
        let action = place_of_action();
        let mut rejected = None;
        let mut unanswered = 0;
        for log in &flow_logs {
            for record in &log.records {
                let Some(flow) = &record.flow else { continue };
                if record.values[action] == "REJECT" {
                    let (_, count) = rejected.get_or_insert_with(|| (record.values.join(" "), 0));
                    *count += 1;
                } else if !flow.ingress && !log.answers(flow) {
                    unanswered += 1;
                }
            }
        }
        Self {
            tunnels: tunnels.collect(),
            pairs: pairs(plan, built),
            streams: plan.probes.iter().map(|probe| stream(plan, probe, &answer.report)).collect(),
            applications: plan
                .applications
                .iter()
                .zip(&answer.report.applications)
                .map(|(it, told)| ApplicationSeen {
                    name: it.name.clone(),
                    between: [it.from, it.to],
                    size: it.size,
                    flows: told.flows,
                    failed: told.stalled + told.reset + told.timed_out,
                })
                .collect(),
            firewalls: answer.report.ecmp.clone(),
            rejected,
            unanswered,
        }
    }
}

/// How the flow logs begin that are turned on to look.
const OURS: &str = "diagnose:";

/// The place of `action` in the default format.
fn place_of_action() -> usize {
    default_fields(false).iter().position(|(name, _)| *name == "action").unwrap_or_default()
}

fn turn_flow_logs_on(plan: &mut Plan) {
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        if matches!(node.kind, NodeKind::Vpc(_)) {
            plan.flow_logs.push(FlowLog {
                name: format!("{OURS}{}", node.name),
                of: Logged::Vpc(id),
                traffic: TrafficType::All,
                interval: Duration::from_secs(60),
                fields: default_fields(false),
                capacity: None,
            });
        }
    }
}

fn tunnel(
    plan: &Plan,
    built: &Built,
    id: TunnelId,
    logs: &[tunnel_log::TunnelLog],
    bgp_logs: &[bgp_log::BgpLog],
) -> TunnelSeen {
    let (planned, connection) = (plan.tunnel(id), &plan.connections[id.connection]);
    let (world, device) = (&built.world, connection.customer_gateway);
    let number = plan.tunnels_of(device).iter().position(|own| *own == id).unwrap_or_default();
    let (up, traffic) = match world.node(planned.endpoint) {
        Node::VpnEndpoint(end) => (end.is_up(), end.gateway().tunnels[0].traffic()),
        _ => Default::default(),
    };
    let has_sa = match world.node(device) {
        Node::Cgw(cgw) => cgw.gateway().tunnels[number].is_up(),
        _ => false,
    };
    let own_log = world.trace.session_records(built.tunnel(id).ike[1]);
    let calls = own_log.into_iter().any(|(_, record)| matches!(record.what, What::Step { step, .. } if step.is_sent()));
    let counter = |reasons: &[DropReason]| -> u64 {
        let of = world.trace.drops().iter().filter(|(key, _)| key.place == Place::Node(device));
        of.filter(|(key, _)| reasons.contains(&key.reason)).map(|(_, count)| count.packets).sum()
    };
    let session = bgp_logs.iter().filter(|log| log.id == id).flat_map(|log| &log.lines);
    TunnelSeen {
        id,
        name: planned.name.clone(),
        dynamic: connection.routing == Routing::Bgp,
        up,
        has_sa,
        calls,
        ike: logs.iter().filter(|log| log.id == id).flat_map(|log| log.lines.iter().cloned()).collect(),
        bgp: session.filter(|line| line.kind == "BGPStatus").map(|l| (l.at, l.message.details().to_owned())).collect(),
        access_list_drops: counter(&[DropReason::FilterRule]),
        md5_drops: counter(&[DropReason::Md5Mismatch, DropReason::Md5Missing, DropReason::Md5Unexpected]),
        traffic,
        drift: [
            drift(&planned.aws.phase1, &planned.customer.phase1),
            drift(&planned.aws.phase2, &planned.customer.phase2),
        ],
        md5_drift: planned.bgp.as_ref().is_some_and(|(aws, customer)| aws.md5_key != customer.md5_key),
        has_access_list: !planned.customer_access_list.is_empty(),
    }
}

fn drift(aws: &Phase, device: &Phase) -> Vec<Parameter> {
    fn apart<T: PartialEq>(a: &[T], b: &[T]) -> bool {
        !a.iter().any(|it| b.contains(it))
    }
    let all = [
        (Parameter::Encryption, apart(&aws.encryption, &device.encryption)),
        (Parameter::Integrity, apart(&aws.integrity, &device.integrity)),
        (Parameter::DhGroups, apart(&aws.dh_groups, &device.dh_groups)),
    ];
    all.into_iter().filter(|(_, apart)| *apart).map(|(parameter, _)| parameter).collect()
}

fn stream(plan: &Plan, probe: &crate::plan::Probe, told: &Report) -> StreamSeen {
    let of = |direction: &str| told.probes.iter().find(|it| it.name == probe.name && it.direction == direction);
    let entry = of("round_trip").or_else(|| of("forward"));
    let direction = entry.map_or("", |it| it.direction.as_str());
    let dark: Vec<_> = told.outages.iter().filter(|it| it.probe == probe.name && it.direction == direction).collect();
    let was_dark = match dark[..] {
        [once] if once.end_s.is_some() => Some((once.start_s, once.duration_s)),
        _ => None,
    };
    let every = probe.every.as_nanos().max(1) as f64 / 1e9;
    let by_tcp = probe.kind == ProbeKind::TcpEcho;
    let (packets, bits) = (1.0 / every, f64::from(probe.size) * 8.0 / every);
    let large = plan.connections.iter().any(|it| it.bandwidth == TunnelBandwidth::Large);
    let (most_packets, most_bits) = if large { (400_000.0, 5e9) } else { (140_000.0, 1.25e9) };
    StreamSeen {
        name: probe.name.clone(),
        between: [probe.from, probe.to],
        size: probe.size.into(),
        may_be_cut: !by_tcp && !probe.dont_fragment,
        packets_per_second: packets,
        bits_per_second: bits,
        exceeds: match (packets > most_packets, bits > most_bits) {
            (true, _) => Some("packets a second"),
            (false, true) => Some("bits a second"),
            (false, false) => None,
        },
        sent: entry.map_or(0, |it| it.sent),
        lost: entry.map_or(0, |it| (it.loss * it.sent as f64).round() as u64),
        was_dark,
    }
}

/// All pairs that probes and applications connect.
fn pairs(plan: &Plan, built: &Built) -> Vec<PairSeen> {
    let of_probes = plan.probes.iter().map(|it| [it.from, it.to]);
    let of_applications = plan.applications.iter().map(|it| [it.from, it.to]);
    let mut ends: Vec<[NodeId; 2]> = Vec::new();
    for [a, b] in of_probes.chain(of_applications) {
        let host = |id: NodeId| matches!(plan.nodes[id.index()].kind, NodeKind::Host(_));
        let pair = if host(a) { [a, b] } else { [b, a] };
        if !ends.contains(&pair) {
            ends.push(pair);
        }
    }
    ends.into_iter().filter_map(|ends| pair(plan, built, ends)).collect()
}

fn pair(plan: &Plan, built: &Built, [host, instance]: [NodeId; 2]) -> Option<PairSeen> {
    let kind = |id: NodeId| &plan.nodes[id.index()].kind;
    let (NodeKind::Host(at_site), NodeKind::Instance(in_vpc)) = (kind(host), kind(instance)) else { return None };
    let (site, address) = (at_site.address.addr(), in_vpc.address);
    let ids = || (0..plan.nodes.len() as u32).map(NodeId);
    let device = ids().find(|id| match kind(*id) {
        NodeKind::CustomerGateway(it) => it.interfaces.iter().any(|i| i.address.addr() == at_site.gateway),
        _ => false,
    })?;
    let serves = |gateway: NodeId| match kind(gateway) {
        NodeKind::VirtualPrivateGateway(it) => it.vpc == Some(in_vpc.vpc),
        NodeKind::TransitGateway(it) => it.vpcs.contains(&in_vpc.vpc),
        _ => false,
    };
    let own = plan.connections.iter().enumerate().filter(|(_, it)| it.customer_gateway == device && serves(it.gateway));
    let (connections, gateways): (Vec<usize>, Vec<NodeId>) = own.map(|(number, it)| (number, it.gateway)).unzip();
    let gateway = *gateways.first()?;
    if gateways.iter().any(|other| *other != gateway) {
        return None;
    }
    let NodeKind::Vpc(vpc) = kind(in_vpc.vpc) else { return None };
    let table = vpc.subnets.get(in_vpc.subnet)?.route_table as u8;
    let transit = transit_ports(plan, in_vpc.vpc).filter(|(id, ..)| *id == gateway).map(|(.., port)| port);
    let mut ports: Vec<Port> = transit.collect();
    if ports.is_empty() {
        ports.push(GATEWAY_PORT);
    }
    let world = &built.world;
    let out = |fib: &Fib, to: Ipv4Addr| match fib.lookup(to) {
        Some(Route { target: Target::Out { port, .. }, .. }) => Some(port),
        _ => None,
    };
    let ways = Ways {
        device: match world.node(device) {
            Node::Cgw(cgw) => {
                let gateway = cgw.gateway();
                out(gateway.ip.fib(), address).is_some_and(|port| gateway.tunnels.at_port(port).is_some())
            }
            _ => return None,
        },
        gateway: match (world.node(gateway), kind(gateway)) {
            (Node::Vgw(vgw), _) => out(vgw.ip().fib(), site).is_some(),
            (Node::Tgw(tgw), NodeKind::TransitGateway(planned)) => {
                let own = planned.route_tables.iter();
                let table = own.zip(0u8..).find(|(it, _)| it.associations.contains(&Attachment::Vpc(in_vpc.vpc)));
                table.is_some_and(|(_, table)| {
                    let to = IpAddr::from(site);
                    let longest = tgw.prefixes(table).filter(|it| it.contains(&to)).max_by_key(IpNet::prefix_len);
                    longest.and_then(|prefix| tgw.ways(table, prefix)).is_some_and(|ways| !ways.is_empty())
                })
            }
            _ => return None,
        },
        vpc: match world.node(in_vpc.vpc) {
            Node::Vpc(vpc) => out(vpc.ip(table).fib(), site).is_some_and(|port| ports.contains(&port)),
            _ => return None,
        },
    };
    let name = |id: NodeId| plan.nodes[id.index()].name.clone();
    Some(PairSeen {
        names: (name(host), name(instance)),
        site: at_site.address.trunc(),
        nodes: [host, device, gateway, in_vpc.vpc],
        connections,
        ways,
    })
}
