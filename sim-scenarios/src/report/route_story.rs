//! Why a device uses the route to a prefix that it uses, for `vpnsim explain FILE route NODE PREFIX`: the candidates, the step that
//! decided, and when that changed and because of what.
//!
//! Candidates are what the device holds at the moment at which the run stands; changes are the kept records up to then. A device of AWS
//! weighs by [`sim_core::net::aws`], every other one by its forwarding table and, before that, by BGP's decision process.

use ipnet::{IpNet, Ipv4Net};
use sim_core::id::{NodeId, RecordId};
use sim_core::net::fib::{Fib, Route, RouteSource, Target};
use sim_core::node::routing::Routing;
use sim_core::node::{Node, Weighed, Weighing};
use sim_core::trace::{Phase, Record, Table as Which, What};
use sim_core::world::World;

use super::model::Seconds;
use super::story::{Block, Section, Table};
use crate::build::Built;
use crate::diagnostic::proposal;
use crate::observe::{table_name, ways};
use crate::plan::{NodeKind, Plan};

/// There is no such thing to explain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// What there is not.
    pub what: String,
    /// What there is.
    pub help: Option<String>,
}

/// A route table that can be asked for.
pub(crate) struct Asked {
    pub name: String,
    pub node: NodeId,
    /// Of a transit gateway or VPC.
    pub table: u8,
}

/// The story of a route, as the world stands. `name` is that of a device, or of a route table of a transit gateway or VPC.
///
/// # Errors
/// If there is no such device, or if it has never had a route to exactly this prefix.
pub fn route(plan: &Plan, built: &Built, name: &str, prefix: Ipv4Net) -> Result<Vec<Section>, Unknown> {
    let (world, all) = (&built.world, tables(plan, &built.world));
    let Some(asked) = all.iter().find(|asked| asked.name == name) else {
        let names: Vec<&str> = all.iter().map(|asked| asked.name.as_str()).collect();
        let what = match plan.node(name) {
            Some(_) => format!("`{name}` has no route table of its own to explain"),
            None => format!("no device with a route table is called `{name}`"),
        };
        return Err(Unknown { what, help: proposal(name, &names) });
    };
    let changes = changes(plan, world, asked, prefix);
    let candidates = candidates(world, asked, prefix);
    if changes.is_empty() && candidates.is_empty() {
        let what = format!("{name} has no route to {prefix}, and had none before");
        let texts: Vec<String> = prefixes(world, asked).iter().map(Ipv4Net::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        return Err(Unknown { what, help: proposal(&prefix.to_string(), &texts) });
    }
    let mut sections = vec![Section { title: String::new(), blocks: vec![Block::Say(sentence(world, asked, prefix))] }];
    sections.extend(candidates);
    if !changes.is_empty() {
        let head = vec![">at", "now", "reason", "decided by", "because of", "fault"];
        let table = Block::Table(Table { head, rows: changes });
        sections.push(Section { title: "What changed it".into(), blocks: vec![table] });
    }
    Ok(sections)
}

/// Every route table of a plan.
pub(crate) fn tables(plan: &Plan, world: &World) -> Vec<Asked> {
    let mut all = Vec::new();
    for (index, planned) in plan.nodes.iter().enumerate() {
        let node = NodeId(index as u32);
        match (world.node(node), &planned.kind) {
            (Node::Tgw(_), NodeKind::TransitGateway(gateway)) => {
                let tables = 0..gateway.route_tables.len() as u8;
                all.extend(tables.map(|table| Asked { name: table_name(plan, node, Which::Tgw(table)), node, table }));
            }
            (Node::DxGateway(_), NodeKind::DirectConnectGateway(gateway)) => {
                let tables = 0..gateway.tables().count() as u8;
                all.extend(tables.map(|table| Asked {
                    name: table_name(plan, node, Which::DxGateway(table)),
                    node,
                    table,
                }));
            }
            (Node::Vpc(_), NodeKind::Vpc(vpc)) => {
                let tables = 0..vpc.route_tables.len() as u8;
                all.extend(tables.map(|table| Asked { name: table_name(plan, node, Which::Vpc(table)), node, table }));
            }
            (
                Node::Host(_)
                | Node::External(_)
                | Node::Tgw(_)
                | Node::DxGateway(_)
                | Node::Vpc(_)
                | Node::InternetGateway(_)
                | Node::Translator(_)
                | Node::Middlebox(_)
                | Node::Joint(_)
                | Node::Switch(_)
                | Node::ClientVpnAssociation(_)
                | Node::VpnClient(_),
                _,
            ) => {}
            (
                Node::Router(_)
                | Node::NatBox(_)
                | Node::Cgw(_)
                | Node::VpnEndpoint(_)
                | Node::VirtualInterface(_)
                | Node::Vgw(_),
                _,
            ) => all.push(Asked { name: planned.name.clone(), node, table: 0 }),
        }
    }
    all
}

fn is_of(asked: &Asked, record: &Record, prefix: Ipv4Net) -> bool {
    match &record.what {
        What::Route { table, prefix: of, .. } => {
            let here = table.number().is_none_or(|number| number == asked.table);
            record.node == asked.node && here && *of == IpNet::V4(prefix)
        }
        _ => false,
    }
}

/// What the last record says.
fn sentence(world: &World, asked: &Asked, prefix: Ipv4Net) -> String {
    let (now, name) = (Seconds::from(world.now()), &asked.name);
    let last = world.trace.records().filter(|(_, record)| is_of(asked, record, prefix)).last();
    match last.map(|(_, record)| &record.what) {
        Some(What::Route { to, beside, rule, .. }) => match ways(world, asked.node, *to, beside) {
            Some(way) => {
                let decided = rule.map_or_else(String::new, |rule| format!(" Decided by {rule}: {}.", rule.text()));
                format!("At {now} {name} sends packets to {prefix} via {way}.{decided}")
            }
            None => format!("At {now} {name} has no way to {prefix}, or drops what goes there."),
        },
        _ => format!("Until {now} the route of {name} to {prefix} has not changed."),
    }
}

fn ipv4(prefix: IpNet) -> Option<Ipv4Net> {
    match prefix {
        IpNet::V4(prefix) => Some(prefix),
        IpNet::V6(_) => None,
    }
}

pub(crate) fn prefixes(world: &World, asked: &Asked) -> Vec<Ipv4Net> {
    let of = |fib: &Fib| fib.iter().map(|route| route.prefix).collect();
    match world.node(asked.node) {
        Node::Tgw(tgw) => tgw.prefixes(asked.table).filter_map(ipv4).collect(),
        Node::DxGateway(gateway) => gateway.prefixes(asked.table).collect(),
        Node::Vgw(vgw) => of(vgw.ip().fib()),
        Node::Vpc(vpc) => of(vpc.ip(asked.table).fib()),
        other => fib(other).map(of).unwrap_or_default(),
    }
}

/// The forwarding table of a device that is not one of AWS's gateways.
pub(crate) fn fib(node: &Node) -> Option<&Fib> {
    match node {
        Node::Router(router) => Some(router.ip().fib()),
        Node::NatBox(nat) => Some(nat.ip().fib()),
        Node::Cgw(cgw) => Some(cgw.gateway().ip.fib()),
        Node::VpnEndpoint(endpoint) => Some(endpoint.gateway().ip.fib()),
        Node::VirtualInterface(end) => Some(end.gateway().ip.fib()),
        Node::Host(_)
        | Node::Vgw(_)
        | Node::Tgw(_)
        | Node::DxGateway(_)
        | Node::Vpc(_)
        | Node::InternetGateway(_)
        | Node::Translator(_)
        | Node::Middlebox(_)
        | Node::Switch(_)
        | Node::Joint(_)
        | Node::ClientVpnAssociation(_)
        | Node::VpnClient(_)
        | Node::External(_) => None,
    }
}

fn candidates(world: &World, asked: &Asked, prefix: Ipv4Net) -> Vec<Section> {
    let node = world.node(asked.node);
    let weighing = match node {
        Node::Vgw(vgw) => Some(vgw.weigh(prefix)),
        Node::Vpc(vpc) => Some(vpc.weigh(asked.table, prefix)),
        Node::Tgw(tgw) => Some(tgw.weigh(asked.table, prefix)),
        Node::DxGateway(gateway) => Some(gateway.weigh(asked.table, prefix)),
        _ => None,
    };
    if let Some(weighing) = weighing {
        return weighed(world, asked, &weighing).into_iter().collect();
    }
    let routing = match node {
        Node::Cgw(cgw) => cgw.gateway().routing.as_ref(),
        Node::VpnEndpoint(endpoint) => endpoint.gateway().routing.as_ref(),
        Node::VirtualInterface(end) => end.gateway().routing.as_ref(),
        _ => None,
    };
    let by_bgp = routing.and_then(|routing| by_bgp(routing, prefix));
    let by_fib = fib(node).and_then(|fib| by_distance(world, asked, fib, prefix));
    by_bgp.into_iter().chain(by_fib).collect()
}

fn section(title: &str, head: Vec<&'static str>, rows: Vec<Vec<String>>) -> Option<Section> {
    let table = || Section { title: title.into(), blocks: vec![Block::Table(Table { head, rows: rows.clone() })] };
    (!rows.is_empty()).then(table)
}

/// What one of AWS's gateways weighed.
fn weighed(world: &World, asked: &Asked, weighing: &Weighing) -> Option<Section> {
    let row = |route: &Weighed| {
        let path = route.path.as_ref();
        let asns = |asns: &[u32]| asns.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        let verdict = match route.gone_at {
            None => "used".to_owned(),
            Some(rule) => format!("no: {rule}"),
        };
        let via = route.via.map(|port| world.port_name(asked.node, port).to_owned());
        let way = if route.kind == "local" { "local" } else { "blackhole" };
        vec![
            via.unwrap_or_else(|| way.to_owned()),
            route.kind.to_owned(),
            if route.healthy { "yes" } else { "no" }.to_owned(),
            path.map(|path| asns(&path.as_path)).unwrap_or_default(),
            path.and_then(|path| path.med).map(|med| med.to_string()).unwrap_or_default(),
            verdict,
        ]
    };
    let head = vec!["via", "route", "healthy", "AS_PATH", ">MED", "verdict"];
    section("Candidates", head, weighing.routes.iter().map(row).collect())
}

/// What BGP's decision process chose among.
fn by_bgp(routing: &Routing, prefix: Ipv4Net) -> Option<Section> {
    let judged = routing.speaker().explain(prefix).into_iter().flat_map(|(decided_by, judged)| {
        judged.into_iter().map(move |judged| {
            let verdict = match judged.lost_at {
                None => format!("best: {decided_by}"),
                Some(step) if judged.used => format!("used beside it; {step} set it behind"),
                Some(step) => format!("no: {step}"),
            };
            (judged.route, verdict)
        })
    });
    let refused =
        routing.speaker().routes().refused(&prefix).map(|(route, reason)| (route, format!("refused: {reason}")));
    let row = |(route, verdict): (sim_core::proto::bgp::Route<'_>, String)| {
        let attributes = route.attributes;
        vec![
            if route.peer.is_some() { attributes.next_hop.to_string() } else { "originated here".into() },
            attributes.as_path.to_string(),
            attributes.local_pref.map(|preference| preference.to_string()).unwrap_or_default(),
            attributes.med.map(|med| med.to_string()).unwrap_or_default(),
            verdict,
        ]
    };
    let head = vec!["next hop", "AS_PATH", ">LOCAL_PREF", ">MED", "verdict"];
    section("Candidates of BGP", head, judged.chain(refused).map(row).collect())
}

/// What the forwarding table chose among.
fn by_distance(world: &World, asked: &Asked, fib: &Fib, prefix: Ipv4Net) -> Option<Section> {
    let best = fib.best(prefix)?;
    let used = fib.used(prefix);
    let row = |(place, route): (usize, Route)| {
        let (via, next_hop) = match route.target {
            Target::Out { port, next_hop } => (world.port_name(asked.node, port).to_owned(), next_hop),
            Target::Blackhole => ("blackhole".to_owned(), None),
        };
        let verdict = if place < used {
            "used"
        } else if route.distance > best.distance {
            "no: distance"
        } else if route.metric > best.metric {
            "no: metric"
        } else {
            "equal, and this table does not spread flows so far"
        };
        vec![
            via,
            next_hop.map(|address| address.to_string()).unwrap_or_default(),
            source(route.source).to_owned(),
            route.distance.to_string(),
            route.metric.to_string(),
            verdict.to_owned(),
        ]
    };
    let head = vec!["via", "next hop", "source", ">distance", ">metric", "verdict"];
    section("Candidates of the forwarding table", head, fib.candidates(prefix).enumerate().map(row).collect())
}

pub(crate) const fn source(source: RouteSource) -> &'static str {
    match source {
        RouteSource::Connected => "connected",
        RouteSource::Static => "static",
        RouteSource::Bgp => "BGP",
        RouteSource::Propagated => "propagated",
        RouteSource::Underlay => "underlay",
    }
}

/// When the route changed, or the step that decided.
fn changes(plan: &Plan, world: &World, asked: &Asked, prefix: Ipv4Net) -> Vec<Vec<String>> {
    let row = |(id, record): (RecordId, &Record)| {
        let What::Route { to, beside, reason, rule, stays, .. } = &record.what else { return None };
        let way = ways(world, asked.node, *to, beside).map_or("none".to_owned(), |way| format!("via {way}"));
        let fault = world.trace.fault_behind(id).map(|(fault, phase)| {
            let healed = if phase == Phase::Heal { ".heal" } else { "" };
            format!("{}{healed}", plan.faults[fault.index()].name)
        });
        Some(vec![
            Seconds::from(record.at).to_string(),
            if *stays { format!("{way} still") } else { way },
            reason.code().to_owned(),
            rule.map(|rule| rule.code().to_owned()).unwrap_or_default(),
            because(world, record.cause),
            fault.unwrap_or_default(),
        ])
    };
    world.trace.records().filter(|(_, record)| is_of(asked, record, prefix)).filter_map(row).collect()
}

/// The record that a change follows from, in short.
pub(crate) fn because(world: &World, cause: RecordId) -> String {
    let record = world.trace.kept(cause);
    let session = |id: sim_core::id::SessionId| {
        let info = &world.trace.sessions()[id.index()];
        format!("{} {}", info.kind.code(), info.name)
    };
    let node = world.node_name(record.node);
    match &record.what {
        What::Genesis => "the configuration".into(),
        What::Fault { fault, .. } => format!("fault {}", world.fault(*fault).name),
        What::Power { on } => format!("{node}: power {}", if *on { "on" } else { "off" }),
        What::State { session: id, to, reason, .. } => format!("{}: {to} ({reason})", session(*id)),
        What::Expired { session: Some(id), timer, .. } => format!("{}: {timer} expired", session(*id)),
        What::Expired { session: None, timer, .. } => format!("{node}: {timer} expired"),
        What::Step { session: id, step, .. } => format!("{}: {step}", session(*id)),
        What::Route { prefix, reason, .. } => format!("{node}: route to {prefix} ({reason})"),
    }
}
