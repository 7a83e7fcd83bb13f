//! Routes of VPCs that the customer changes: the calls, and the tables before and after them.
//!
//! Sources: EC2 API, `CreateRoute`, `ReplaceRoute`, `DeleteRoute` and `Route` (names of targets, `origin`, `state`).
//!
//! Left out of a table's configuration: propagated routes, which change without a call.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};
use sim_core::id::NodeId;
use sim_core::reason::TimerKind;
use sim_core::time::Instant;
use sim_core::trace::{Table, Trace, What};

use crate::build::attached;
use crate::plan::{ApplianceKind, FaultKind, NodeKind, Plan, RouteChange, RouteTarget};

/// A change that an operator makes.
pub(super) struct Edit {
    /// When.
    pub at: Instant,
    /// What.
    pub change: RouteChange,
}

/// What operators change and change back until `end`, in order.
pub(super) fn edits(plan: &Plan, end: Instant) -> Vec<Edit> {
    let of = |fault: &crate::plan::Fault| match fault.what {
        FaultKind::VpcRoute(change) if fault.enabled => {
            let back = fault.heal.map(|at| Edit { at, change: change.back() });
            Some(core::iter::once(Edit { at: fault.at, change }).chain(back))
        }
        _ => None,
    };
    let mut all: Vec<Edit> = plan.faults.iter().filter_map(of).flatten().filter(|edit| edit.at <= end).collect();
    all.sort_by_key(|edit| edit.at);
    all
}

/// A target as the API names it, with what it is called there.
fn named(plan: &Plan, target: NodeId) -> (&'static str, &str) {
    let node = &plan.nodes[target.index()];
    let kind = match &node.kind {
        NodeKind::VirtualPrivateGateway(_) | NodeKind::InternetGateway(_) => "gatewayId",
        NodeKind::TransitGateway(_) => "transitGatewayId",
        NodeKind::VpcPeering(_) => "vpcPeeringConnectionId",
        NodeKind::Appliance(it) if matches!(it.kind, ApplianceKind::NatGateway { .. }) => "natGatewayId",
        _ => "instanceId",
    };
    (kind, &node.name)
}

/// The table's name, for a request.
fn table(plan: &Plan, change: &RouteChange) -> String {
    match &plan.nodes[change.vpc.index()].kind {
        NodeKind::Vpc(vpc) => vpc.route_tables.get(change.table).map(|table| table.name.clone()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The request of a change.
pub(super) fn request(plan: &Plan, change: &RouteChange) -> Value {
    let mut request = Map::new();
    request.insert("routeTableId".into(), json!(table(plan, change)));
    request.insert("destinationCidrBlock".into(), json!(change.destination.to_string()));
    if let Some(Some(target)) = change.to {
        let (kind, name) = named(plan, target);
        request.insert(kind.into(), json!(name));
    }
    Value::Object(request)
}

/// Routes that programs on instances had AWS replace: when, and the request.
pub(super) fn replaced<'t>(plan: &'t Plan, trace: &'t Trace) -> impl Iterator<Item = (Instant, Value)> {
    trace.records().filter_map(|(_, record)| {
        let What::Route { table: Table::Vpc(table), prefix, to: Some(to), .. } = &record.what else { return None };
        let asked = matches!(trace.kept(record.cause).what, What::Expired { timer: TimerKind::RouteReplacement, .. });
        let NodeKind::Vpc(vpc) = &plan.nodes[record.node.index()].kind else { return None };
        let table = &vpc.route_tables.get(usize::from(*table)).filter(|_| asked)?.name;
        let target = attached(plan, record.node).into_iter().find(|it| it.port == *to)?.node;
        let request = json!({
            "routeTableId": table,
            "destinationCidrBlock": prefix.to_string(),
            "instanceId": plan.nodes[target.index()].name,
        });
        Some((record.at, request))
    })
}

/// The table of each edit before and after it, as Config shows it.
pub(super) fn tables(plan: &Plan, edits: &[Edit]) -> Vec<[Value; 2]> {
    let mut known: BTreeMap<(NodeId, usize), BTreeMap<Ipv4Net, Option<NodeId>>> = BTreeMap::new();
    let mut made = Vec::new();
    for Edit { change, .. } in edits {
        let NodeKind::Vpc(vpc) = &plan.nodes[change.vpc.index()].kind else { continue };
        let began = || vpc.route_tables.get(change.table).iter().flat_map(|it| it.routes.iter().copied()).collect();
        let routes = known.entry((change.vpc, change.table)).or_insert_with(began);
        let shown = |routes: &BTreeMap<Ipv4Net, Option<NodeId>>| {
            let local = json!({
                "destinationCidrBlock": vpc.cidr.to_string(), "gatewayId": "local", "origin": "CreateRouteTable", "state": "active",
            });
            let by_hand = routes.iter().map(|(destination, target)| route(plan, *destination, *target));
            json!({
                "routeTableId": table(plan, change),
                "vpcId": plan.nodes[change.vpc.index()].name,
                "routes": core::iter::once(local).chain(by_hand).collect::<Vec<_>>(),
            })
        };
        let before = shown(routes);
        put(routes, change.destination, change.to);
        made.push([before, shown(routes)]);
    }
    made
}

fn put(routes: &mut BTreeMap<Ipv4Net, Option<NodeId>>, destination: Ipv4Net, to: RouteTarget) {
    match to {
        Some(target) => drop(routes.insert(destination, target)),
        None => drop(routes.remove(&destination)),
    }
}

fn route(plan: &Plan, destination: Ipv4Net, target: Option<NodeId>) -> Value {
    let mut route = Map::new();
    route.insert("destinationCidrBlock".into(), json!(destination.to_string()));
    if let Some(target) = target {
        let (kind, name) = named(plan, target);
        route.insert(kind.into(), json!(name));
    }
    route.insert("origin".into(), json!("CreateRoute"));
    route.insert("state".into(), json!(if target.is_some() { "active" } else { "blackhole" }));
    Value::Object(route)
}
