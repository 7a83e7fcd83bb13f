//! Who changed what: calls of the API as CloudTrail records them, and configuration items as AWS Config keeps them.
//!
//! Sources: CloudTrail User Guide, "CloudTrail record contents" (names and order of the fields of a record); EC2 API,
//! `ModifyVpnTunnelOptions`, `ModifyVpnConnectionOptions` and `ReplaceVpnTunnel`; API of Direct Connect,
//! `UpdateVirtualInterfaceAttributes`; AWS Config Developer Guide, "Components of a configuration item". One JSON object a
//! line. Those of routes are made in `routes`.
//!
//! A route that a program on an instance takes over is a call of `ReplaceRoute`, with the time at which it takes effect. A replacement
//! that AWS begins is no call of the customer's and has no record here; applied by the customer it is one of
//! `ReplaceVpnTunnel`. A pre-shared key never stands in either: CloudTrail hides it, and Config shows that it changed by the time
//! alone. An ARN, an id or an address of a caller, which a scenario does not have, is left out.

use serde_json::{Value, json};
use sim_core::time::Instant;
use sim_core::trace::Trace;

use super::alarm::time;
use super::{ACCOUNT, REGION, routes};
use crate::plan::{DpdTimeoutAction, Fault, FaultKind, IkeEnd, Plan, Side, StartupAction, TunnelId};

/// The call that changes a virtual interface of Direct Connect.
const UPDATE_INTERFACE: &str = "UpdateVirtualInterfaceAttributes";

/// A call that changes a tunnel, or the first of a connection for all.
struct Call<'p> {
    at: Instant,
    name: &'static str,
    tunnel: TunnelId,
    parameters: Value,
    /// AWS's end before and after, if the call changes options.
    ends: Option<[&'p IkeEnd; 2]>,
}

fn calls(plan: &Plan, end: Instant) -> Vec<Call<'_>> {
    let mut all: Vec<Call<'_>> =
        plan.faults.iter().filter(|f| f.enabled).filter_map(|fault| call(plan, fault)).collect();
    all.retain(|call| call.at <= end);
    all.sort_by_key(|call| call.at);
    // Each change stands on what those before it have left.
    for place in 1..all.len() {
        let (before, rest) = all.split_at_mut(place);
        let last = before.iter().rev().filter(|b| b.tunnel == rest[0].tunnel).find_map(|b| b.ends);
        if let (Some([_, after]), Some(ends)) = (last, &mut rest[0].ends) {
            ends[0] = after;
        }
    }
    all
}

fn call<'p>(plan: &'p Plan, fault: &Fault) -> Option<Call<'p>> {
    let (name, tunnel, to) = match &fault.what {
        FaultKind::ModifyConnectionOptions { connection, to } => {
            let tunnel = TunnelId { connection: *connection, tunnel: 0 };
            ("ModifyVpnConnectionOptions", tunnel, Some(*to.first()?))
        }
        FaultKind::ModifyTunnelOptions { tunnel, to, .. } => ("ModifyVpnTunnelOptions", *tunnel, Some(*to)),
        FaultKind::ReplaceTunnelEndpoint { tunnel, applied_by_customer: true, .. } => {
            ("ReplaceVpnTunnel", *tunnel, None)
        }
        _ => return None,
    };
    let planned = plan.tunnel(tunnel);
    let ends = to.map(|to| [&planned.aws, &planned.prepared[side(Side::Aws)][to]]);
    let request = format!("{name}Request");
    let (id, address) = (&plan.connections[tunnel.connection].name, planned.aws_outside.to_string());
    let parameters = match ends {
        Some([_, after]) if name == "ModifyVpnConnectionOptions" => json!({ request: {
            "VpnConnectionId": id,
            "LocalIpv4NetworkCidr": after.remote_cidr.to_string(), "RemoteIpv4NetworkCidr": after.local_cidr.to_string(),
        }}),
        Some(ends) => {
            let mut options = changed(ends);
            let mut wanted = json!({ "VpnConnectionId": id, "VpnTunnelOutsideIpAddress": address });
            if let FaultKind::ModifyTunnelOptions { lifecycle_control, skip_replacement, .. } = fault.what {
                if let Some(on) = lifecycle_control {
                    options["EnableTunnelLifecycleControl"] = json!(on);
                }
                if skip_replacement {
                    wanted["SkipTunnelReplacement"] = json!(true);
                }
            }
            wanted["TunnelOptions"] = options;
            json!({ request: wanted })
        }
        None => json!({ request: {
            "VpnConnectionId": id, "VpnTunnelOutsideIpAddress": address, "ApplyPendingMaintenance": true,
        }}),
    };
    Some(Call { at: fault.at, name, tunnel, parameters, ends })
}

const fn side(side: Side) -> usize {
    match side {
        Side::Aws => 0,
        Side::Customer => 1,
    }
}

fn action(action: DpdTimeoutAction) -> &'static str {
    match action {
        DpdTimeoutAction::Clear => "clear",
        DpdTimeoutAction::None => "none",
        DpdTimeoutAction::Restart => "restart",
    }
}

fn startup(action: StartupAction) -> &'static str {
    match action {
        StartupAction::Add => "add",
        StartupAction::Start => "start",
    }
}

/// What a request names: the options that change. CloudTrail hides what is secret.
fn changed([before, after]: [&IkeEnd; 2]) -> Value {
    let mut options = serde_json::Map::new();
    if before.psk != after.psk {
        options.insert("PreSharedKey".into(), json!("HIDDEN_DUE_TO_SECURITY_REASONS"));
    }
    if before.dpd.timeout != after.dpd.timeout {
        options.insert("DPDTimeoutSeconds".into(), seconds(after));
    }
    if before.dpd.action != after.dpd.action {
        options.insert("DPDTimeoutAction".into(), json!(action(after.dpd.action)));
    }
    if before.startup != after.startup {
        options.insert("StartupAction".into(), json!(startup(after.startup)));
    }
    Value::Object(options)
}

fn seconds(end: &IkeEnd) -> Value {
    json!(end.dpd.timeout.map(|timeout| timeout.as_nanos() / 1_000_000_000))
}

/// Virtual interfaces of which attributes change, with the request (API of Direct Connect). Config's side of it is left out.
fn interfaces(plan: &Plan, end: Instant) -> impl Iterator<Item = (Instant, Value)> {
    let faults = plan.faults.iter().filter(move |fault| fault.enabled && fault.at <= end);
    faults.filter_map(|fault| {
        let FaultKind::UpdateVirtualInterface(update) = fault.what else { return None };
        let mut request = serde_json::Map::new();
        request.insert("virtualInterfaceId".into(), json!(plan.nodes[update.node.index()].name));
        if let Some(mtu) = update.mtu {
            request.insert("mtu".into(), json!(mtu));
        }
        if let Some(on) = update.site_link {
            request.insert("enableSiteLink".into(), json!(on));
        }
        Some((fault.at, Value::Object(request)))
    })
}

/// The service that has a call.
fn service(call: &str) -> &'static str {
    match call {
        UPDATE_INTERFACE => "directconnect.amazonaws.com",
        _ => "ec2.amazonaws.com",
    }
}

/// What CloudTrail records.
pub fn cloudtrail(plan: &Plan, trace: &Trace, end: Instant) -> String {
    let of_people = calls(plan, end).into_iter().map(|call| (call.at, call.name, "IAMUser", call.parameters));
    let of_routes = routes::edits(plan, end)
        .into_iter()
        .map(|routes::Edit { at, change }| (at, change.call(), "IAMUser", routes::request(plan, &change)));
    let of_programs = routes::replaced(plan, trace).map(|(at, request)| (at, "ReplaceRoute", "AssumedRole", request));
    let of_interfaces = interfaces(plan, end).map(|(at, request)| (at, UPDATE_INTERFACE, "IAMUser", request));
    let mut all: Vec<_> = of_people.chain(of_routes).chain(of_programs).chain(of_interfaces).enumerate().collect();
    all.sort_by_key(|(_, (at, ..))| *at);
    let line = |(number, (at, name, user, parameters)): (usize, (Instant, &str, &str, Value))| {
        let value = json!({
            "eventVersion": "1.10",
            "userIdentity": { "type": user, "accountId": ACCOUNT },
            "eventTime": time(plan, at),
            "eventSource": service(name),
            "eventName": name,
            "awsRegion": REGION,
            "requestParameters": parameters,
            "responseElements": null,
            "eventID": number.to_string(),
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
        });
        value.to_string() + "\n"
    };
    all.into_iter().map(line).collect()
}

/// What Config keeps: the connection's tunnel before and after each change of its options, and the route table or connection before and
/// after each change of a route.
pub fn config(plan: &Plan, end: Instant) -> String {
    let mut all: Vec<(Instant, usize, &str, String, [Value; 2])> = Vec::new();
    let calls = calls(plan, end);
    for (number, call) in calls.iter().enumerate() {
        let Some(ends) = call.ends else { continue };
        let (id, address) = (&plan.connections[call.tunnel.connection].name, plan.tunnel(call.tunnel).aws_outside);
        let states = ends.map(|options| {
            json!({
                "vpnConnectionId": id,
                // "Local" is the customer's side (EC2 API).
                "options": {
                    "localIpv4NetworkCidr": options.remote_cidr.to_string(),
                    "remoteIpv4NetworkCidr": options.local_cidr.to_string(),
                    "tunnelOptions": [{
                    "outsideIpAddress": address.to_string(),
                    "dpdTimeoutSeconds": seconds(options),
                    "dpdTimeoutAction": action(options.dpd.action),
                    "startupAction": startup(options.startup),
                }]},
            })
        });
        all.push((call.at, number, "AWS::EC2::VPNConnection", id.clone(), states));
    }
    let edits = routes::edits(plan, end);
    for (place, (edit, item)) in edits.iter().zip(routes::items(plan, &edits)).enumerate() {
        let of_item = |routes::Item { kind, id, states }| (edit.at, calls.len() + place, kind, id, states);
        all.extend(item.map(of_item));
    }
    all.sort_by_key(|(at, ..)| *at);
    let mut text = String::new();
    for (at, number, kind, id, states) in all {
        for (state, configuration) in states.into_iter().enumerate() {
            let item = json!({
                "configurationItemVersion": "1.3",
                "accountId": ACCOUNT,
                "configurationItemCaptureTime": time(plan, at),
                "configurationItemStatus": if state == 0 { "ResourceDiscovered" } else { "OK" },
                "configurationStateId": (2 * number + state).to_string(),
                "resourceType": kind,
                "resourceId": id,
                "awsRegion": REGION,
                "relatedEvents": if state == 0 { json!([]) } else { json!([number.to_string()]) },
                "configuration": configuration,
            });
            text += &(item.to_string() + "\n");
        }
    }
    text
}
