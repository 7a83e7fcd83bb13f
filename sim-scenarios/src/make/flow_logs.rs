//! Flow logs and what is expected of them.

use sim_core::id::NodeId;
use sim_core::time::Duration;

use crate::diagnostic::proposal;
use crate::leaf::{Name, Text};
use crate::place::At;
use crate::plan::{
    ExpectationKind, Field, FlowLog, Logged, NodeKind, Plan, TGW_FIELDS, TrafficType, VPC_FIELDS, default_fields,
};
use crate::schema;

use super::Names;
use super::judge::Judge;
use super::timeline::{before_end, moment};
use super::transit::attachments;

pub(super) fn make(scenario: &schema::Scenario, names: &Names, plan: &mut Plan, j: &mut Judge) {
    for (name, (_, schema)) in names.flow_logs.iter().zip(&scenario.flow_logs.0) {
        if let Some(log) = flow_log(name, schema, plan, j) {
            plan.flow_logs.push(log);
        }
    }
}

fn flow_log(name: &str, schema: &schema::FlowLog, plan: &Plan, j: &mut Judge) -> Option<FlowLog> {
    let all = resources(plan);
    let (names, places): (Vec<String>, Vec<Logged>) = all.into_iter().unzip();
    let of = j.find(&schema.of, "VPC, subnet, network interface, transit gateway or attachment", &names);
    let of = of.map(|i| places[i])?;
    let is_transit = of.is_transit();
    let traffic = j.or(&schema.traffic, TrafficType::All);
    if let Some(at) = schema.traffic.as_ref().filter(|_| is_transit) {
        j.wrong(at.place, "a transit gateway's flow log has no traffic type: it accepts and rejects nothing", None);
    }
    let (minute, most) = (Duration::from_secs(60), Duration::from_secs(600));
    let default = if is_transit { minute } else { most };
    let interval = j.lawful_or(&schema.max_aggregation_interval, default, |interval| match is_transit {
        true if *interval != minute => Err(format!("a transit gateway's flow log has 60s, not {interval}")),
        false if *interval != minute && *interval != most => Err(format!("this is 60s or 600s, not {interval}")),
        true | false => Ok(()),
    });
    let fields = match &schema.format {
        None => default_fields(is_transit),
        Some(at) => format(at, is_transit, j),
    };
    let capacity: u32 = j.number(&schema.capacity, 0, 1, 1_000_000, "the number of flows");
    let capacity = schema.capacity.as_ref().map(|_| capacity as usize);
    Some(FlowLog { name: name.to_owned(), of, traffic, interval, fields, capacity })
}

/// Everything that has flow logs, by its name.
fn resources(plan: &Plan) -> Vec<(String, Logged)> {
    let mut all = Vec::new();
    for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
        match &node.kind {
            NodeKind::Vpc(vpc) => {
                all.push((node.name.clone(), Logged::Vpc(id)));
                let subnets = vpc.subnets.iter().enumerate();
                all.extend(
                    subnets.map(|(i, subnet)| (format!("{}.{}", node.name, subnet.name), Logged::Subnet(id, i))),
                );
            }
            NodeKind::Instance(_) | NodeKind::Appliance(_) => all.push((node.name.clone(), Logged::Interface(id))),
            NodeKind::TransitGateway(gateway) => {
                all.push((node.name.clone(), Logged::TransitGateway(id)));
                let own = attachments(plan, id, gateway).into_iter();
                all.extend(own.map(|attachment| {
                    let name = format!("{}.{}", node.name, plan.attachment_name(attachment));
                    (name, Logged::Attachment(id, attachment))
                }));
            }
            _ => {}
        }
    }
    all
}

/// The fields of a custom format.
fn format(at: &At<Text>, is_transit: bool, j: &mut Judge) -> Vec<Field> {
    let known = if is_transit { TGW_FIELDS } else { VPC_FIELDS };
    let Some(text) = j.read(at) else { return Vec::new() };
    let mut fields = Vec::new();
    for word in text.split_whitespace() {
        let inside = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = inside else {
            j.wrong(at.place, format!("expected fields like ${{srcaddr}}, found `{word}`"), None);
            continue;
        };
        match known.iter().find(|(field, _)| *field == name) {
            Some(field) => fields.push(*field),
            None => {
                let names: Vec<&str> = known.iter().map(|(field, _)| *field).collect();
                j.wrong(at.place, format!("no field is called `{name}`"), proposal(name, &names));
            }
        }
    }
    if text.trim().is_empty() {
        j.wrong(at.place, "a format has at least one field", None);
    }
    fields
}

/// Records of a flow log that say something.
pub(super) fn records(
    it: &schema::FlowRecordsBetween,
    names: &Names,
    plan: &Plan,
    j: &mut Judge,
) -> (ExpectationKind, String) {
    let log = j.find(&it.log, "flow log", &names.flow_logs).unwrap_or(0);
    let of = plan.flow_logs.get(log).map_or(&[][..], |log| &log.fields);
    let mut wanted = Vec::new();
    for at in &it.fields {
        let Some(text) = j.read(at) else { continue };
        let Some((field, value)) = text.split_once('=') else {
            j.wrong(at.place, format!("expected a field and its value like \"action=REJECT\", found `{text}`"), None);
            continue;
        };
        match of.iter().position(|(name, _)| *name == field) {
            Some(place) => wanted.push((place, value.to_owned())),
            None if of.is_empty() => {}
            None => {
                let fields: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
                j.wrong(at.place, format!("this flow log has no field `{field}`"), proposal(field, &fields));
            }
        }
    }
    let answered = it.answered.as_ref().and_then(|at| j.read(at));
    let from = j.lawful_or(&it.from, Duration::ZERO, |t| before_end(*t, plan));
    let until = j.lawful_or(&it.until, plan.duration, |t| before_end(*t, plan));
    let min = j.need(&it.min, 0);
    let max =
        j.lawful(
            &it.max,
            |max| {
                if *max >= min { Ok(()) } else { Err(format!("the most is less than the fewest, {min}")) }
            },
        );
    let max = max.unwrap_or(min);
    let name = it.log.value.as_ref().map(|Name(name)| name.as_str()).unwrap_or_default();
    let said: Vec<&str> = it.fields.iter().filter_map(|at| at.value.as_deref().ok()).collect();
    let said = if said.is_empty() { String::new() } else { format!(" with {}", said.join(", ")) };
    let reply = match answered {
        Some(true) => ", whose flow has one the other way",
        Some(false) => ", whose flow has none the other way",
        None => "",
    };
    let span = match (&it.from, &it.until) {
        (None, None) => String::new(),
        _ => format!(", from {from} to {until}"),
    };
    let text = format!("flow log {name} has {min} to {max} records{said}{reply}{span}");
    let (from, until) = (moment(from), moment(until));
    (ExpectationKind::FlowRecordsBetween { log, fields: wanted, answered, from, until, min, max }, text)
}
