//! Maintenance and change: endpoints that AWS replaces, options that the customer changes.
//!
//! Sources: Site-to-Site VPN User Guide, "Site-to-Site VPN tunnel endpoint replacements", "tunnel endpoint lifecycle control" and
//! "tunnel endpoint updates"; EC2 API, `ModifyVpnTunnelOptions`, `ReplaceVpnTunnel`, `GetVpnTunnelReplacementStatus`.

use sim_core::time::{Duration, Instant};

use crate::plan::{Fault, FaultKind, IkeEnd, Plan, Side, TunnelId};
use crate::schema;

use super::Names;
use super::ends::psk;
use super::judge::Judge;
use super::nodes::whole;
use super::timeline::{before_end, moment, tunnel};

/// What happens, before it is known when.
pub(super) fn kind(schema: &schema::What, names: &Names, plan: &Plan, j: &mut Judge) -> Option<FaultKind> {
    Some(match schema {
        schema::What::ReplaceTunnelEndpoint(it) => FaultKind::ReplaceTunnelEndpoint {
            tunnel: tunnel(&it.tunnel, names, j),
            lead: j.lawful_or(&it.lead, plan.assume.replacement_lead, |lead| before_end(*lead, plan)),
            applied_by_customer: it.applied.is_some(),
        },
        schema::What::ModifyTunnelOptions(it) => options(tunnel(&it.tunnel, names, j), 0),
        schema::What::PskRotation(it) => options(tunnel(&it.tunnel, names, j), 0),
        schema::What::ModifyVpnConnectionOptions(it) => {
            let connection = j.find(&it.connection, "connection", &names.connections).unwrap_or(usize::MAX);
            FaultKind::ModifyConnectionOptions { connection, to: Vec::new() }
        }
        _ => return None,
    })
}

/// Settings for AWS's end of a tunnel, which is replaced because of them.
const fn options(tunnel: TunnelId, to: usize) -> FaultKind {
    FaultKind::ModifyTunnelOptions { tunnel, to, customer: None, lifecycle_control: None, skip_replacement: false }
}

/// When it happens, and the settings that the tunnel's ends get.
pub(super) fn settle(schema: &schema::Fault, fault: &mut Fault, plan: &mut Plan, j: &mut Judge) {
    let id = match &fault.what {
        FaultKind::ReplaceTunnelEndpoint { tunnel, .. } | FaultKind::ModifyTunnelOptions { tunnel, .. } => *tunnel,
        // Its first tunnel stands for it.
        FaultKind::ModifyConnectionOptions { connection, .. } => TunnelId { connection: *connection, tunnel: 0 },
        _ => return,
    };
    let announced = fault.at;
    match &schema.what {
        schema::What::ReplaceTunnelEndpoint(it) => {
            if let Some(at) = applied(it, announced, plan, j) {
                fault.at = at;
            }
        }
        schema::What::ModifyTunnelOptions(it) => modified(it, id, fault, plan, j),
        schema::What::PskRotation(it) => rotated(it, id, fault, plan, j),
        schema::What::ModifyVpnConnectionOptions(it) => reconnected(it, id.connection, fault, plan, j),
        _ => {}
    }
    if let FaultKind::ModifyTunnelOptions { skip_replacement: true, .. } = fault.what {
        let places = [schema.heal.as_ref().map(|at| at.place), schema.heal_after.as_ref().map(|at| at.place)];
        for place in places.into_iter().flatten() {
            j.wrong(place, "nothing is gone, so nothing comes back: the replacement is skipped", None);
        }
        return;
    }
    let heal = match (&schema.heal_after, fault.heal) {
        (Some(_), Some(heal)) => fault.at + heal.since(announced),
        (None, Some(heal)) => heal,
        (_, None) => fault.at + plan.assume.replacement_duration,
    };
    if heal <= fault.at {
        let place = schema.heal.as_ref().map_or(schema.at.place, |at| at.place);
        j.wrong(place, format!("it is over before it happens, at {}", fault.at.since_start()), None);
    }
    if let Err(message) = before_end(heal.since_start(), plan) {
        let help = "end the scenario later, or give `heal_after`";
        j.wrong(schema.at.place, format!("this ends too late: {message}"), Some(help.into()));
    }
    fault.heal = Some(heal);
}

/// Maintenance that waits at a tunnel that says that it does not. What the timeline turns on may be on by then, wherever that stands.
pub(super) fn uncontrolled(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let turned_on = |id| {
        plan.faults.iter().any(|fault| match fault.what {
            FaultKind::ModifyTunnelOptions { tunnel, lifecycle_control, .. } => {
                tunnel == id && lifecycle_control == Some(true)
            }
            _ => false,
        })
    };
    for ((_, schema), fault) in scenario.faults.named.0.iter().zip(&plan.faults) {
        let (schema::What::ReplaceTunnelEndpoint(it), FaultKind::ReplaceTunnelEndpoint { tunnel: id, .. }) =
            (&schema.what, &fault.what)
        else {
            continue;
        };
        let tunnel = plan.connections.get(id.connection).and_then(|it| it.tunnels.get(id.tunnel));
        let off = tunnel.is_some_and(|tunnel| tunnel.lifecycle_control == Some(false));
        if let Some(at) = it.auto_applied_after.as_ref().filter(|_| off && !turned_on(*id)) {
            let help = "set `tunnel_endpoint_lifecycle_control: true` at the tunnel";
            j.wrong(at.place, "AWS replaces this endpoint at once: lifecycle control is off", Some(help.into()));
        }
    }
}

/// When pending maintenance is applied: by the customer, or else by AWS.
fn applied(schema: &schema::Replacement, announced: Instant, plan: &Plan, j: &mut Judge) -> Option<Instant> {
    let Some(by_itself) = &schema.auto_applied_after else {
        if let Some(at) = &schema.applied {
            let help = "give `auto_applied_after`, as tunnel endpoint lifecycle control does";
            j.wrong(at.place, "nothing is pending that could be applied", Some(help.into()));
        }
        return None;
    };
    let announced = announced.since_start();
    let later = |t: &Duration| {
        before_end(*t, plan)?;
        if *t > announced { Ok(()) } else { Err(format!("this is not after it is announced, at {announced}")) }
    };
    let last = j.lawful(by_itself, later)?;
    let Some(at) = &schema.applied else { return Some(moment(last)) };
    let by_customer = j.lawful(at, |t| {
        later(t)?;
        if *t <= last { Ok(()) } else { Err(format!("AWS has applied it by then, at {last}")) }
    });
    by_customer.map(moment)
}

/// The settings that an end has in the end, so far.
fn latest(plan: &Plan, id: TunnelId, side: Side) -> Option<IkeEnd> {
    let tunnel = plan.connections.get(id.connection)?.tunnels.get(id.tunnel)?;
    let (prepared, first) = match side {
        Side::Aws => (&tunnel.prepared[0], &tunnel.aws),
        Side::Customer => (&tunnel.prepared[1], &tunnel.customer),
    };
    Some(prepared.last().unwrap_or(first).clone())
}

/// Keeps settings for an end; what number they have.
fn prepare(plan: &mut Plan, id: TunnelId, side: Side, end: IkeEnd) -> usize {
    let tunnel = &mut plan.connections[id.connection].tunnels[id.tunnel];
    let prepared = &mut tunnel.prepared[if side == Side::Aws { 0 } else { 1 }];
    prepared.push(end);
    prepared.len() - 1
}

fn modified(schema: &schema::Modification, id: TunnelId, fault: &mut Fault, plan: &mut Plan, j: &mut Judge) {
    let Some(before) = latest(plan, id, Side::Aws) else { return };
    let mut end = before.clone();
    if let Some(at) = &schema.pre_shared_key {
        end.psk = psk(at, j);
    }
    if let Some(at) = &schema.dpd_timeout {
        end.dpd.timeout = j.lawful(at, |t| {
            let least = Duration::from_secs(30);
            if *t < least { Err(format!("AWS's DPD timeout is 30s or more, not {t}")) } else { Ok(()) }
        });
    }
    end.dpd.action = j.or(&schema.dpd_timeout_action, end.dpd.action);
    end.startup = j.or(&schema.startup_action, end.startup);
    let lifecycle_control = schema.tunnel_endpoint_lifecycle_control.as_ref().and_then(|at| j.read(at));
    let skip_replacement = j.or(&schema.skip_tunnel_replacement, false);
    if end == before && lifecycle_control.is_none() {
        j.wrong(schema.tunnel.place, "this changes no option of the tunnel", None);
    }
    if let Some(at) = schema.skip_tunnel_replacement.as_ref().filter(|_| skip_replacement)
        && (lifecycle_control.is_none() || end != before)
    {
        let help = "it goes with `tunnel_endpoint_lifecycle_control` alone";
        j.wrong(at.place, "AWS replaces the endpoint for other options", Some(help.into()));
    }
    let to = prepare(plan, id, Side::Aws, end);
    fault.what = FaultKind::ModifyTunnelOptions { tunnel: id, to, customer: None, lifecycle_control, skip_replacement };
}

/// "Local" is the customer's side, "remote" AWS's (EC2 API, `ModifyVpnConnectionOptions`).
fn reconnected(
    schema: &schema::ConnectionModification,
    connection: usize,
    fault: &mut Fault,
    plan: &mut Plan,
    j: &mut Judge,
) {
    let customer = schema.local_ipv4_network_cidr.as_ref().and_then(|at| j.lawful(at, whole));
    let aws = schema.remote_ipv4_network_cidr.as_ref().and_then(|at| j.lawful(at, whole));
    let tunnels = plan.connections.get(connection).map_or(&[][..], |it| &it.tunnels);
    if tunnels.iter().any(|tunnel| tunnel.inside_ipv6.is_some()) {
        j.wrong(schema.connection.place, "this connection carries IPv6: it has no networks of IPv4", None);
    }
    let tunnels = tunnels.len();
    let (mut to, mut changes) = (Vec::new(), false);
    for tunnel in 0..tunnels {
        let id = TunnelId { connection, tunnel };
        let Some(before) = latest(plan, id, Side::Aws) else { return };
        let mut end = before.clone();
        end.local_cidr = aws.unwrap_or(end.local_cidr);
        end.remote_cidr = customer.unwrap_or(end.remote_cidr);
        changes |= end != before;
        to.push(prepare(plan, id, Side::Aws, end));
    }
    if tunnels > 0 && !changes {
        j.wrong(schema.connection.place, "this changes no option of the connection", None);
    }
    fault.what = FaultKind::ModifyConnectionOptions { connection, to };
}

fn rotated(schema: &schema::Rotation, id: TunnelId, fault: &mut Fault, plan: &mut Plan, j: &mut Judge) {
    let (Some(mut aws), Some(mut customer)) = (latest(plan, id, Side::Aws), latest(plan, id, Side::Customer)) else {
        return;
    };
    if aws.credentials.is_some() || customer.credentials.is_some() {
        j.wrong(schema.tunnel.place, "an end of this tunnel has a certificate in place of a pre-shared key", None);
    }
    let key = psk(&schema.pre_shared_key, j);
    if key == aws.psk {
        j.wrong(schema.pre_shared_key.place, "this is the key that the tunnel has", None);
    }
    aws.psk.clone_from(&key);
    customer.psk = key;
    let gap = j.lawful_or(&schema.gap, Duration::ZERO, |gap| {
        before_end(fault.at.since_start() + *gap, plan)
            .map_err(|message| format!("the other end is too late: {message}"))
    });
    let (first, second) = (fault.at, fault.at + gap);
    let (of_aws, of_customer) = match j.or(&schema.first, Side::Aws) {
        Side::Aws => (first, second),
        Side::Customer => (second, first),
    };
    fault.at = of_aws;
    let to = prepare(plan, id, Side::Aws, aws);
    let customer = prepare(plan, id, Side::Customer, customer);
    let customer = Some((of_customer, customer));
    fault.what =
        FaultKind::ModifyTunnelOptions { tunnel: id, to, customer, lifecycle_control: None, skip_replacement: false };
}
