//! What a device holds at an instant: the tunnels' SAs, sessions with what is left of their timers, tables, flows, counters.

use sim_core::id::{NodeId, SessionId};
use sim_core::node::gateway::Gateway;
use sim_core::node::tunnel::{PairSeen, Tunnel};
use sim_core::node::{Node, host};
use sim_core::proto::esp::SaProtocol;
use sim_core::proto::ike::config::IkeVersion;
use sim_core::proto::ike::{ChildSaSeen, IkeSaSeen};
use sim_core::reason::TimerKind;
use sim_core::time::Instant;
use sim_core::trace::{Place, SessionKind};
use sim_core::world::World;

use super::{Chronicle, noun, span, tables};
use crate::build::Built;
use crate::plan::Plan;
use crate::report::story::{Block, Section, Table};

/// What a device holds. A section that would be empty is left out.
pub fn inspect(plan: &Plan, built: &Built, chronicle: &Chronicle, node: NodeId) -> Vec<Section> {
    let world = &built.world;
    let mut sections = vec![summary(plan, world, chronicle, node)];
    if let Some(gateway) = gateway(world.node(node)) {
        sections.extend(gateway.tunnels.iter().map(|tunnel| tunnel_section(world, chronicle, tunnel)));
        sections.extend(bgp(world, chronicle, gateway));
        sections.extend(bfd(world, chronicle, gateway));
    }
    sections.extend(other_sessions(world, chronicle, node));
    sections.extend(tables::sections(plan, built, node));
    sections.extend(flows(world.node(node)));
    sections.extend(probes(world, node));
    sections.extend(drops(world, node));
    sections
}

/// The parts that customer gateways, BGP routers and AWS's ends of tunnels and virtual interfaces have in common.
pub(super) fn gateway(node: &Node) -> Option<&Gateway> {
    match node {
        Node::Cgw(cgw) => Some(cgw.gateway()),
        Node::VpnEndpoint(endpoint) => Some(endpoint.gateway()),
        Node::VirtualInterface(end) => Some(end.gateway()),
        Node::Host(_)
        | Node::Router(_)
        | Node::NatBox(_)
        | Node::Vgw(_)
        | Node::Tgw(_)
        | Node::Vpc(_)
        | Node::InternetGateway(_)
        | Node::Translator(_)
        | Node::Middlebox(_)
        | Node::Joint(_)
        | Node::DxGateway(_)
        | Node::ClientVpnAssociation(_)
        | Node::VpnClient(_)
        | Node::Switch(_)
        | Node::External(_) => None,
    }
}

pub(super) fn table(title: &str, head: &[&'static str], rows: Vec<Vec<String>>) -> Option<Section> {
    let filled = !rows.is_empty();
    let table = Block::Table(Table { head: head.to_vec(), rows });
    filled.then(|| Section { title: title.into(), blocks: vec![table] })
}

fn summary(plan: &Plan, world: &World, chronicle: &Chronicle, node: NodeId) -> Section {
    let line = super::device(plan, world, chronicle, node);
    let mut text = format!("{} is a {}.", line.name, noun(&plan.nodes[node.index()].kind));
    if !world.has_power(node) {
        text.push_str(" It has no power.");
    }
    if !line.faults.is_empty() {
        text.push_str(&format!(" Hit by {}.", line.faults.join(", ")));
    }
    Section { title: String::new(), blocks: vec![Block::Say(text)] }
}

/// What is left until then; nothing if it is past.
fn left(now: Instant, until: Instant) -> String {
    span(until.since(now))
}

fn tunnel_section(world: &World, chronicle: &Chronicle, tunnel: &Tunnel) -> Section {
    let now = world.now();
    let mut rows = Vec::new();
    let (ike, child) = tunnel.sessions();
    let mut stands = |what: &str, id| rows.push(vec![what.to_owned(), state(world, chronicle, id)]);
    stands("IKE", ike);
    stands("CHILD_SA", child);
    rows.extend(tunnel.ike().ike_sas().iter().map(|sa| vec!["IKE_SA".to_owned(), ike_sa(now, sa)]));
    let children = tunnel.ike().child_sas();
    let pairs: Vec<PairSeen> = tunnel.pairs().collect();
    for pair in &pairs {
        let of = children.iter().find(|child| child.spi_in == pair.spi_in);
        rows.push(vec![protocol(pair.protocol).to_owned(), pair_text(now, pair, of)]);
    }
    let count = |count: sim_core::node::counters::Count| format!("{} packets, {} octets", count.packets, count.octets);
    let traffic = tunnel.traffic();
    rows.push(vec!["traffic".into(), format!("in {}; out {}", count(traffic.received), count(traffic.sent))]);
    let (here, there) = tunnel.outside();
    let title = format!("Tunnel {} ({here} to {there})", world.trace.sessions()[ike.index()].name);
    Section { title, blocks: vec![Block::Table(Table { head: vec!["what", "how it stands"], rows })] }
}

const fn protocol(protocol: SaProtocol) -> &'static str {
    match protocol {
        SaProtocol::Esp => "ESP",
        SaProtocol::Ah => "AH",
    }
}

fn ike_sa(now: Instant, sa: &IkeSaSeen) -> String {
    let version = match sa.version {
        IkeVersion::V1 => "IKEv1",
        IkeVersion::V2 => "IKEv2",
    };
    let role = if sa.initiator { "initiator" } else { "responder" };
    let mut text = format!("{version} {role}, {}", sa.state);
    if let Some(since) = sa.since {
        text.push_str(&format!(" for {}", span(now.since(since))));
    }
    text.push_str(&format!(", SPIs {:016x} {:016x}", sa.spi_i, sa.spi_r));
    text.push_str(&lifetime(now, sa.rekey, sa.expires));
    if let Some((timer, at)) = sa.timer {
        text.push_str(&format!(", next {timer} in {}", left(now, at)));
    }
    text
}

fn lifetime(now: Instant, rekey: Option<Instant>, expires: Option<Instant>) -> String {
    let rekey = rekey.map(|at| format!(", rekey in {}", left(now, at)));
    let expires = expires.map(|at| format!(", ends in {}", left(now, at)));
    format!("{}{}", rekey.unwrap_or_default(), expires.unwrap_or_default())
}

fn pair_text(now: Instant, pair: &PairSeen, child: Option<&ChildSaSeen>) -> String {
    let state = child.map_or("no CHILD_SA of IKE's".to_owned(), |child| {
        format!("{} for {}", child.state, span(now.since(child.since)))
    });
    let life = child.map_or(String::new(), |child| lifetime(now, child.rekey, Some(child.expires)));
    let (sent, received) = (pair.sent, pair.received);
    let sends = if pair.sends { ", sends" } else { "" };
    format!(
        "{state}, SPI in {:08x}, out {:08x}, sequence out {sent}, in {received}{life}{sends}",
        pair.spi_in, pair.spi_out
    )
}

/// A session's name and state, and for how long it has been in it.
fn session(world: &World, chronicle: &Chronicle, id: SessionId) -> [String; 2] {
    [world.trace.sessions()[id.index()].name.clone(), state(world, chronicle, id)]
}

fn state(world: &World, chronicle: &Chronicle, id: SessionId) -> String {
    match chronicle.state(id) {
        Some(now) => format!("{} ({}) for {}", now.state, now.reason, span(world.now().since(now.since))),
        None => "never up".into(),
    }
}

/// What is left of timers, after a comma; nothing if none runs.
fn timers(now: Instant, all: impl IntoIterator<Item = (TimerKind, Instant)>) -> String {
    all.into_iter().map(|(timer, at)| format!(", {timer} in {}", left(now, at))).collect()
}

fn bgp(world: &World, chronicle: &Chronicle, gateway: &Gateway) -> Option<Section> {
    let routing = gateway.routing.as_ref()?;
    let speaker = routing.speaker();
    let row = |peer| {
        let [name, mut text] = session(world, chronicle, routing.session(peer));
        let sent = speaker.adj_rib_out(peer).len() + speaker.ipv6_adj_rib_out(peer).map_or(0, |rib| rib.len());
        let heard = speaker.adj_rib_in(peer).len() + speaker.ipv6_adj_rib_in(peer).map_or(0, |rib| rib.len());
        text.push_str(&format!(", AS {}, routes heard {heard}, told {sent}", speaker.remote_as(peer)));
        if let Some((hold, keepalive)) = speaker.agreed(peer) {
            text.push_str(&format!(", hold time {hold}, keepalive {keepalive}"));
        }
        text.push_str(&timers(world.now(), speaker.timers(peer)));
        vec![name, text]
    };
    table("BGP", &["session", "how it stands"], routing.peers().map(row).collect())
}

fn bfd(world: &World, chronicle: &Chronicle, gateway: &Gateway) -> Option<Section> {
    let row = |(config, machine): (&sim_core::node::bfd::BfdConfig, &sim_core::proto::bfd::Session)| {
        let [name, mut text] = session(world, chronicle, config.session);
        text.push_str(&format!(", detection time {}", machine.detection_time()));
        if let Some(interval) = machine.transmit_interval() {
            text.push_str(&format!(", a packet every {interval}"));
        }
        let (detection, transmit) = machine.timers();
        let detection = detection.map(|at| (TimerKind::BfdDetection, at));
        let transmit = transmit.map(|at| (TimerKind::BfdTransmit, at));
        text.push_str(&timers(world.now(), detection.into_iter().chain(transmit)));
        vec![name, text]
    };
    table("BFD", &["session", "how it stands"], gateway.bfd.iter().map(row).collect())
}

/// What has no section of its own.
fn other_sessions(world: &World, chronicle: &Chronicle, node: NodeId) -> Option<Section> {
    let told = |kind| matches!(kind, SessionKind::Ike | SessionKind::Child | SessionKind::Bgp | SessionKind::Bfd);
    let others = chronicle.sessions_of(node).iter().filter(|id| !told(world.trace.sessions()[id.index()].kind));
    let row = |id: &SessionId| {
        let kind = world.trace.sessions()[id.index()].kind.code().to_owned();
        let [name, state] = session(world, chronicle, *id);
        vec![kind, name, state]
    };
    table("Other sessions", &["kind", "session", "how it stands"], others.map(row).collect())
}

/// The flows that firewalls and NATs remember, those included that have expired since their last packet.
fn flows(node: &Node) -> Option<Section> {
    let firewall = |firewall: &sim_core::net::firewall::Firewall| {
        let (flows, limit) = (firewall.tracker().flows().len(), firewall.tracker().config().limit);
        vec!["firewall".into(), flows.to_string(), limit.to_string()]
    };
    let nat = |nat: &sim_core::net::nat::Nat| vec!["NAT".into(), nat.mappings().to_string(), String::new()];
    let rows = match node {
        Node::NatBox(device) => vec![nat(device.nat())],
        Node::Translator(device) => vec![nat(device.nat())],
        Node::Middlebox(device) => vec![firewall(device.firewall())],
        other => {
            let inspection = gateway(other).and_then(|gateway| gateway.inspection.as_ref());
            inspection.and_then(|inspection| inspection.firewall.as_ref()).map(firewall).into_iter().collect()
        }
    };
    table("Flows", &["table", ">flows", ">limit"], rows)
}

/// The streams that a host sends.
fn probes(world: &World, node: NodeId) -> Option<Section> {
    let own = world.trace.probes().iter().filter(|log| log.info.from == node);
    let row = |log: &sim_core::trace::ProbeLog| {
        let all = super::lane::columns(log, Instant::START, Instant::NEVER, 1)[0];
        let to = world.node_name(log.info.to).to_owned();
        vec![log.info.name.clone(), to, log.sent().to_string(), all.passed.to_string(), all.lost.to_string()]
    };
    let probes = table("Probes", &["stream", "to", ">sent", ">passed", ">lost"], own.map(row).collect());
    let Node::Host(host) = world.node(node) else { return probes };
    probes.map(|section| with_applications(section, host))
}

fn with_applications(mut section: Section, host: &host::Host) -> Section {
    let flows: usize = host.flow_logs().map(|(_, logs)| logs.iter().filter(|log| log.began.is_some()).count()).sum();
    if flows > 0 {
        section.blocks.push(Block::Say(format!("Applications have begun {flows} flows.")));
    }
    section
}

fn drops(world: &World, node: NodeId) -> Option<Section> {
    let here = world.trace.drops().iter().filter(|(key, _)| key.place == Place::Node(node));
    let row = |(key, count): (&sim_core::trace::DropKey, &sim_core::trace::DropCount)| {
        let last = super::span(world.now().since(count.last));
        vec![key.reason.code().to_owned(), count.packets.to_string(), format!("{last} ago")]
    };
    table("Dropped here", &["reason", ">packets", ">last"], here.map(row).collect())
}
