//! Alarms and what is expected of metrics.

use sim_core::id::{LinkId, NodeId};
use sim_core::time::Duration;

use crate::leaf::{Name, Number};
use crate::place::At;
use crate::plan::{Alarm, AlarmState, Comparison, Metered, Metric, MissingData, NodeKind, Plan, Statistic, TunnelId};
use crate::schema;
use crate::telemetry::meter::{lag, links};

use super::Names;
use super::judge::{Judge, Verdict};
use super::transit::attachments;

/// An alarm looks back for a day, or for a week with periods of an hour or more (CloudWatch API, PutMetricAlarm).
const DAY: u64 = 86_400;

pub(super) fn alarms(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    for (name, (_, schema)) in names.alarms.iter().zip(&scenario.alarms.0) {
        let alarm = alarm(name, schema, plan, j);
        plan.alarms.push(alarm);
    }
}

/// A period that an alarm on one of AWS's metrics can have.
pub(super) fn whole_minutes(period: &Duration) -> Verdict {
    let minute = Duration::from_secs(60).as_nanos();
    if period.is_zero() || !period.as_nanos().is_multiple_of(minute) || period.as_nanos() > DAY * 1_000_000_000 {
        return Err(format!("a period of CloudWatch is whole minutes, from 60s to a day, not {period}"));
    }
    Ok(())
}

fn alarm(name: &str, schema: &schema::Alarm, plan: &Plan, j: &mut Judge) -> Alarm {
    let metric = j.read(&schema.metric);
    let of = watched(metric, &schema.of, plan, j);
    let period = j.lawful_or(&schema.period, Duration::from_secs(300), whole_minutes);
    let seconds = (period.as_nanos() / 1_000_000_000).max(1);
    let most = if seconds >= 3_600 { 7 * DAY } else { DAY } / seconds;
    let evaluation_periods = j.number(&schema.evaluation_periods, 1, 1, most.max(1), "the number of periods looked at");
    let at_most = u64::from(evaluation_periods);
    let datapoints_to_alarm = j.number(
        &schema.datapoints_to_alarm,
        evaluation_periods,
        1,
        at_most,
        "the number of datapoints that must breach",
    );
    let topic = |at: &Option<At<Name>>, j: &mut Judge| at.as_ref().and_then(|at| j.read(at)).map(|Name(name)| name);
    Alarm {
        name: name.to_owned(),
        of,
        metric: metric.unwrap_or(Metric::TunnelState),
        statistic: j.or(&schema.statistic, Statistic::Average),
        period,
        evaluation_periods,
        datapoints_to_alarm,
        threshold: j.need(&schema.threshold, Number(0.0)).0,
        comparison: j.need(&schema.comparison, Comparison::LessThanThreshold),
        treat_missing_data: j.or(&schema.treat_missing_data, MissingData::Missing),
        topics: [topic(&schema.alarm_topic, j), topic(&schema.ok_topic, j)],
    }
}

/// What a metric is of.
pub(super) fn watched(metric: Option<Metric>, at: &At<Name>, plan: &Plan, j: &mut Judge) -> Metered {
    let mut all: Vec<(String, Metered)> = Vec::new();
    let fits = |kind: &[Metric]| metric.is_none_or(|metric| kind.contains(&metric));
    let (of_tunnels, of_gateways) = (fits(&Metric::OF_TUNNELS), fits(&Metric::OF_GATEWAYS));
    let (of_lines, of_interfaces) = (fits(&Metric::OF_LINES), fits(&Metric::OF_INTERFACES));
    if of_tunnels {
        for (connection, planned) in plan.connections.iter().enumerate() {
            all.push((planned.name.clone(), Metered::Connection(connection)));
            let tunnels = planned.tunnels.iter().enumerate();
            all.extend(tunnels.map(|(tunnel, t)| (t.name.clone(), Metered::Tunnel(TunnelId { connection, tunnel }))));
        }
    }
    if of_gateways {
        for (node, id) in plan.nodes.iter().zip(0..) {
            let NodeKind::TransitGateway(gateway) = &node.kind else { continue };
            all.push((node.name.clone(), Metered::Gateway(NodeId(id))));
            for attachment in attachments(plan, NodeId(id), gateway) {
                let name = format!("{}.{}", node.name, plan.attachment_name(attachment));
                all.push((name, Metered::Attachment(NodeId(id), attachment)));
            }
        }
    }
    for (line, it) in plan.direct_connects.iter().enumerate() {
        if of_lines {
            all.push((it.name.clone(), Metered::Line(line)));
        }
        if lag(plan, it).is_some() && metric.is_none_or(|metric| metric == Metric::ConnectionState) {
            let name = |id: LinkId| plan.links[id.index()].name.clone();
            all.extend(links(plan, it).map(|id| (name(id), Metered::Member(id))));
        }
        if of_interfaces {
            let name = |id: &NodeId| plan.nodes[id.index()].name.clone();
            all.extend(it.virtual_interfaces.iter().map(|id| (name(id), Metered::Interface(*id))));
        }
    }
    let kinds = [
        (of_tunnels, "tunnel or VPN connection"),
        (of_gateways, "transit gateway or attachment"),
        (of_lines, "connection of Direct Connect"),
        (of_interfaces, "virtual interface"),
    ];
    let what = kinds.iter().filter(|(fits, _)| *fits).map(|(_, what)| *what).collect::<Vec<_>>().join(", ");
    let (names, places): (Vec<String>, Vec<Metered>) = all.into_iter().unzip();
    j.find(at, &what, &names).map_or(Metered::Connection(usize::MAX), |i| places[i])
}

/// What an expectation of an alarm is about: its place, and the state.
pub(super) fn alarm_and_state(
    at: &At<Name>,
    state: &Option<At<AlarmState>>,
    names: &Names,
    j: &mut Judge,
) -> (usize, AlarmState) {
    (j.find(at, "alarm", &names.alarms).unwrap_or(0), j.or(state, AlarmState::Alarm))
}
