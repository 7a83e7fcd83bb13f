//! What CloudWatch shows of a run: metrics, alarms, notifications, the events of Health, CloudTrail and Config, and flow logs.
//!
//! Metrics are read from counters and states of devices once a simulated minute ([`meter`]), never from packets, so that a
//! world is as fast with them as without. A flow log ([`flow_log`]) costs a count for each packet at the device that has one.

pub mod alarm;
pub mod events;
pub mod flow_log;
pub mod health;
pub mod meter;
pub mod metric;
mod routes;

use sim_core::time::Duration;

use crate::build::Built;
use crate::plan::{Alarm, Plan};

pub use alarm::Change;
pub use flow_log::FlowLog;
pub use meter::Meter;
pub use metric::Series;

/// The account of AWS's documentation: a scenario has none.
pub const ACCOUNT: &str = "123456789012";
/// A Region: a scenario says none.
pub const REGION: &str = "us-east-1";

/// Samples are taken once a minute, which divides every period that an alarm on a metric of AWS can have.
pub const MINUTE: Duration = Duration::from_secs(60);

/// What was seen of a run.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Telemetry {
    /// All metrics.
    pub series: Vec<Series>,
    /// For each alarm of the plan, what it did.
    pub alarms: Vec<Vec<Change>>,
    /// When the scenario begins, counted from the epoch.
    pub begins: Duration,
    /// `notifications.jsonl`: what SNS delivers.
    pub notifications: String,
    /// `health.jsonl`: events of AWS Health as EventBridge delivers them.
    pub health: String,
    /// `cloudtrail.jsonl`: calls of the API.
    pub cloudtrail: String,
    /// `config.jsonl`: configuration items of AWS Config, before and after each change.
    pub config: String,
    /// Flow logs, in the order of the plan.
    pub flow_logs: Vec<FlowLog>,
}

impl Telemetry {
    /// `metrics.jsonl`: datapoints in the JSON format of CloudWatch metric streams.
    pub fn metrics(&self) -> String {
        metric::lines(&self.series, self.begins)
    }
}

/// Looks at what was metered.
pub fn read(plan: &Plan, built: &Built, meter: &Meter) -> Telemetry {
    let series = metric::series(plan, built, meter);
    let find = |alarm: &Alarm| series.iter().find(|s| s.of == alarm.of && s.metric == alarm.metric);
    let end = built.world.now();
    let alarms: Vec<Vec<Change>> = plan
        .alarms
        .iter()
        .map(|alarm| find(alarm).map_or_else(Vec::new, |s| alarm::history(alarm, s, plan, end)))
        .collect();
    Telemetry {
        begins: plan.begins,
        notifications: alarm::notifications(plan, &series, &alarms),
        health: health::lines(plan, meter, end),
        cloudtrail: events::cloudtrail(plan, &built.world.trace, end),
        config: events::config(plan, end),
        flow_logs: flow_log::logs(plan, built),
        series,
        alarms,
    }
}
