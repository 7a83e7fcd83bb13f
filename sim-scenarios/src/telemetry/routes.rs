//! Routes that the customer changes: the calls, and what Config has of the table or connection before and after them.
//!
//! Sources: EC2 API, `CreateRoute`, `ReplaceRoute`, `DeleteRoute` and `Route` (names of targets, `origin`, `state`);
//! `CreateTransitGatewayRoute` and its like; `CreateVpnConnectionRoute` and `VpnStaticRoute` (`source`, `state`).
//!
//! Left out of a table's configuration: propagated routes, which change without a call. A transit gateway route table has no routes in what
//! Config keeps of it (`AWS::EC2::TransitGatewayRouteTable`), so a change of those is a call and no item.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use serde_json::{Map, Value, json};
use sim_core::id::NodeId;
use sim_core::reason::TimerKind;
use sim_core::time::Instant;
use sim_core::trace::{Table, Trace, What};

use crate::build::attached;
use crate::plan::{
    ApplianceKind, Attachment, ConnectionRoute, FaultKind, NodeKind, Plan, RouteCall, RouteChange, RouteTarget, Routing,
};

/// A change that an operator makes.
pub(super) struct Edit {
    /// When.
    pub at: Instant,
    /// What.
    pub change: Change,
}

/// What is changed.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// A route of a VPC.
    Vpc(RouteChange),
    /// A static route of a transit gateway.
    Transit(RouteChange<Attachment>),
    /// A static route of a connection.
    Connection(ConnectionRoute),
}

impl Change {
    const fn back(self) -> Self {
        match self {
            Self::Vpc(change) => Self::Vpc(change.back()),
            Self::Transit(change) => Self::Transit(change.back()),
            Self::Connection(change) => Self::Connection(change.back()),
        }
    }

    /// The call of AWS's API that does it.
    pub(super) const fn call(&self) -> &'static str {
        match self {
            Self::Vpc(change) => match change.call() {
                RouteCall::Create => "CreateRoute",
                RouteCall::Replace => "ReplaceRoute",
                RouteCall::Delete => "DeleteRoute",
            },
            Self::Transit(change) => match change.call() {
                RouteCall::Create => "CreateTransitGatewayRoute",
                RouteCall::Replace => "ReplaceTransitGatewayRoute",
                RouteCall::Delete => "DeleteTransitGatewayRoute",
            },
            Self::Connection(change) if change.enters => "CreateVpnConnectionRoute",
            Self::Connection(_) => "DeleteVpnConnectionRoute",
        }
    }
}

/// What operators change and change back until `end`, in order.
pub(super) fn edits(plan: &Plan, end: Instant) -> Vec<Edit> {
    let of = |fault: &crate::plan::Fault| {
        let change = match fault.what {
            FaultKind::VpcRoute(change) => Change::Vpc(change),
            FaultKind::TransitRoute(change) => Change::Transit(change),
            FaultKind::ConnectionRoute(change) => Change::Connection(change),
            _ => return None,
        };
        let back = fault.heal.map(|at| Edit { at, change: change.back() });
        fault.enabled.then_some(core::iter::once(Edit { at: fault.at, change }).chain(back))
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
fn table<To>(plan: &Plan, change: &RouteChange<To>) -> String {
    let name = match &plan.nodes[change.node.index()].kind {
        NodeKind::Vpc(vpc) => vpc.route_tables.get(change.table).map(|table| &table.name),
        NodeKind::TransitGateway(gateway) => gateway.route_tables.get(change.table).map(|table| &table.name),
        _ => None,
    };
    name.cloned().unwrap_or_default()
}

/// The request of a change.
pub(super) fn request(plan: &Plan, change: &Change) -> Value {
    match change {
        Change::Vpc(route) => of_vpc(plan, route),
        Change::Transit(route) => {
            let mut request = Map::new();
            request.insert("TransitGatewayRouteTableId".into(), json!(table(plan, route)));
            request.insert("DestinationCidrBlock".into(), json!(route.destination.to_string()));
            match route.to {
                Some(Some(to)) => request.insert("TransitGatewayAttachmentId".into(), json!(plan.attachment_name(to))),
                Some(None) => request.insert("Blackhole".into(), json!(true)),
                None => None,
            };
            json!({ format!("{}Request", change.call()): request })
        }
        Change::Connection(route) => json!({
            "vpnConnectionId": plan.connections[route.connection].name,
            "destinationCidrBlock": route.destination.to_string(),
        }),
    }
}

fn of_vpc(plan: &Plan, change: &RouteChange) -> Value {
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

/// What Config keeps of an edit.
pub(super) struct Item {
    /// The type of the resource.
    pub kind: &'static str,
    /// The resource.
    pub id: String,
    /// It before and after.
    pub states: [Value; 2],
}

/// The item of each edit that has one.
pub(super) fn items(plan: &Plan, edits: &[Edit]) -> Vec<Option<Item>> {
    let mut tables = Tables::new();
    let mut connections: BTreeMap<usize, BTreeSet<Ipv4Net>> = BTreeMap::new();
    let item = |edit: &Edit| match &edit.change {
        Change::Vpc(change) => of_table(plan, change, &mut tables),
        Change::Connection(change) => Some(of_connection(plan, change, &mut connections)),
        Change::Transit(_) => None,
    };
    edits.iter().map(item).collect()
}

fn of_connection(plan: &Plan, change: &ConnectionRoute, known: &mut BTreeMap<usize, BTreeSet<Ipv4Net>>) -> Item {
    let connection = &plan.connections[change.connection];
    let began = || match &connection.routing {
        Routing::Static(prefixes) => prefixes.iter().copied().collect(),
        Routing::Bgp => BTreeSet::new(),
    };
    let routes = known.entry(change.connection).or_insert_with(began);
    let shown = |routes: &BTreeSet<Ipv4Net>| {
        let route =
            |it: &Ipv4Net| json!({ "destinationCidrBlock": it.to_string(), "source": "Static", "state": "available" });
        json!({ "vpnConnectionId": connection.name, "routes": routes.iter().map(route).collect::<Vec<_>>() })
    };
    let before = shown(routes);
    if change.enters {
        routes.insert(change.destination);
    } else {
        routes.remove(&change.destination);
    }
    Item { kind: "AWS::EC2::VPNConnection", id: connection.name.clone(), states: [before, shown(routes)] }
}

type Tables = BTreeMap<(NodeId, usize), BTreeMap<Ipv4Net, Option<NodeId>>>;

/// The table of a VPC before and after a change.
fn of_table(plan: &Plan, change: &RouteChange, known: &mut Tables) -> Option<Item> {
    let NodeKind::Vpc(vpc) = &plan.nodes[change.node.index()].kind else { return None };
    let began = || vpc.route_tables.get(change.table).iter().flat_map(|it| it.routes.iter().copied()).collect();
    let routes = known.entry((change.node, change.table)).or_insert_with(began);
    let shown = |routes: &BTreeMap<Ipv4Net, Option<NodeId>>| {
        let local = json!({
            "destinationCidrBlock": vpc.cidr.to_string(), "gatewayId": "local", "origin": "CreateRouteTable", "state": "active",
        });
        let by_hand = routes.iter().map(|(destination, target)| route(plan, *destination, *target));
        json!({
            "routeTableId": table(plan, change),
            "vpcId": plan.nodes[change.node.index()].name,
            "routes": core::iter::once(local).chain(by_hand).collect::<Vec<_>>(),
        })
    };
    let before = shown(routes);
    put(routes, change.destination, change.to);
    let states = [before, shown(routes)];
    Some(Item { kind: "AWS::EC2::RouteTable", id: table(plan, change), states })
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
