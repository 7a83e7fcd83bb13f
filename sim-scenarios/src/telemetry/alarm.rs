//! Alarms: when they change, and what SNS delivers.
//!
//! Source: CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data". An alarm looks at
//! its `evaluation_periods` latest datapoints and is in ALARM if `datapoints_to_alarm` of them breach. It is evaluated every minute,
//! with periods that end then: a period of five minutes is of the minutes 1 to 5, then 2 to 6. A metric that comes less often than
//! once a minute has nothing new in between, so that periods end when a datapoint can be new.
//!
//! Where datapoints are missing, older ones are looked at, too: as long as there are enough, what a missing one is does not matter.
//! AWS does not say how many; here two more ([`BEYOND`], which is in line with AWS's examples). When there are not enough:
//!
//! | `treat_missing_data` | some are there | none is there |
//! |---|---|---|
//! | `breaching`, `notBreaching` | the missing ones count as that | as that |
//! | `missing` | those that are there decide; ALARM needs no more than they are | INSUFFICIENT_DATA |
//! | `ignore` | OK if the missing ones could not make it ALARM; else as it was | as it was |

use serde_json::{Value, json};
use sim_core::time::Instant;

use super::metric::Series;
use super::{ACCOUNT, MINUTE, REGION};
use crate::plan::{Alarm, AlarmState, Comparison, MissingData, Plan};
use crate::report::tunnel_log::written;

/// How many older datapoints are looked at in place of missing ones (UNVERIFIED).
pub const BEYOND: u64 = 2;

/// A change of an alarm's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// At which evaluation.
    pub at: Instant,
    /// From which state.
    pub from: AlarmState,
    /// To which.
    pub to: AlarmState,
    /// Why, in CloudWatch's form.
    pub reason: String,
}

/// What an alarm does in a run. It begins with too little data, as a new alarm does.
pub fn history(alarm: &Alarm, series: &Series, plan: &Plan, end: Instant) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut state = AlarmState::InsufficientData;
    let step = series.period.max(MINUTE);
    let mut at = Instant::START + step;
    while at <= end {
        let seen = latest(alarm, series, at);
        let (to, missing) = judge(alarm, &seen, state);
        if to != state {
            let reason = reason(alarm, &seen, missing, to, plan);
            changes.push(Change { at, from: state, to, reason });
            state = to;
        }
        at += step;
    }
    changes
}

/// The datapoints of the evaluation range that are there, the latest first, with the beginning of each.
fn latest(alarm: &Alarm, series: &Series, at: Instant) -> Vec<(Instant, f64)> {
    let since = at.since_start();
    let range = u64::from(alarm.evaluation_periods) + BEYOND;
    let point = |back: u64| {
        let until = since.as_nanos().checked_sub(alarm.period.as_nanos().checked_mul(back)?)?;
        // A period that began before the world did is of what there is.
        let from = until.saturating_sub(alarm.period.as_nanos());
        let (from, until) = (Instant::from_nanos(from), Instant::from_nanos(until));
        Some((from, series.over(alarm.statistic, from, until, at)?))
    };
    (0..range).filter_map(point).collect()
}

/// The state that follows, and how many datapoints were missing.
fn judge(alarm: &Alarm, seen: &[(Instant, f64)], state: AlarmState) -> (AlarmState, usize) {
    let (looked, needed) = (alarm.evaluation_periods as usize, alarm.datapoints_to_alarm as usize);
    let there: Vec<bool> = seen.iter().take(looked).map(|(_, value)| alarm.breaches(*value)).collect();
    let (breaching, missing) = (there.iter().filter(|b| **b).count(), looked - there.len());
    let alarm_if = |alarmed: bool| if alarmed { AlarmState::Alarm } else { AlarmState::Ok };
    let to = match (alarm.treat_missing_data, missing) {
        (_, 0) => alarm_if(breaching >= needed),
        (MissingData::Breaching, _) => alarm_if(breaching + missing >= needed),
        (MissingData::NotBreaching, _) => alarm_if(breaching >= needed),
        (MissingData::Missing, _) if there.is_empty() => AlarmState::InsufficientData,
        (MissingData::Missing, _) => alarm_if(breaching >= needed.min(there.len())),
        (MissingData::Ignore, _) if breaching >= needed => AlarmState::Alarm,
        (MissingData::Ignore, _) if breaching + missing < needed => AlarmState::Ok,
        (MissingData::Ignore, _) => state,
    };
    (to, missing)
}

impl Alarm {
    /// Whether a datapoint breaches.
    pub fn breaches(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::GreaterThanOrEqualToThreshold => value >= self.threshold,
            Comparison::GreaterThanThreshold => value > self.threshold,
            Comparison::LessThanThreshold => value < self.threshold,
            Comparison::LessThanOrEqualToThreshold => value <= self.threshold,
        }
    }
}

/// `Threshold Crossed: 1 out of the last 1 datapoints [0.0 (25/11/26 10:05:00)] was less than the threshold (1.0) ...`
fn reason(alarm: &Alarm, seen: &[(Instant, f64)], missing: usize, to: AlarmState, plan: &Plan) -> String {
    let looked = alarm.evaluation_periods as usize;
    let shown: Vec<&(Instant, f64)> = seen.iter().take(looked).collect();
    if shown.is_empty() {
        return format!("Insufficient Data: {missing} datapoints were unknown.");
    }
    let crossing = to == AlarmState::Alarm;
    let same = shown.iter().filter(|(_, value)| alarm.breaches(*value) == crossing).count();
    let point = |(at, value): &&(Instant, f64)| format!("{value:?} ({})", date(plan, *at));
    let points: Vec<String> = shown.iter().map(point).collect();
    let (verb, not) = (if same == 1 { "was" } else { "were" }, if crossing { "" } else { " not" });
    let compared = match alarm.comparison {
        Comparison::GreaterThanOrEqualToThreshold => "greater than or equal to",
        Comparison::GreaterThanThreshold => "greater than",
        Comparison::LessThanThreshold => "less than",
        Comparison::LessThanOrEqualToThreshold => "less than or equal to",
    };
    let least =
        if crossing { alarm.datapoints_to_alarm } else { alarm.evaluation_periods - alarm.datapoints_to_alarm + 1 };
    let datapoints = if least == 1 { "datapoint" } else { "datapoints" };
    let way = if crossing { "OK -> ALARM" } else { "ALARM -> OK" };
    format!(
        "Threshold Crossed: {same} out of the last {looked} datapoints [{}] {verb}{not} {compared} the threshold ({:?}) (minimum \
         {least} {datapoints} for {way} transition).",
        points.join(", "),
        alarm.threshold,
    )
}

/// Like `25/11/26 10:05:00`.
fn date(plan: &Plan, at: Instant) -> String {
    written(plan.begins, at, "%d/%m/%y %H:%M:%S")
}

/// Like `2026-11-25T10:05:00.000Z`.
pub(super) fn time(plan: &Plan, at: Instant) -> String {
    written(plan.begins, at, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// What SNS delivers to the subscribers of each topic, by time.
pub fn notifications(plan: &Plan, series: &[Series], alarms: &[Vec<Change>]) -> String {
    let mut all: Vec<(Instant, usize, &Change, &String)> = Vec::new();
    for (number, (alarm, changes)) in plan.alarms.iter().zip(alarms).enumerate() {
        for change in changes {
            let topic = match change.to {
                AlarmState::Alarm => &alarm.topics[0],
                AlarmState::Ok => &alarm.topics[1],
                AlarmState::InsufficientData => &None,
            };
            all.extend(topic.iter().map(|topic| (change.at, number, change, topic)));
        }
    }
    all.sort_by_key(|(at, number, ..)| (*at, *number));
    let line = |(at, number, change, topic): &(Instant, usize, &Change, &String)| {
        let alarm = &plan.alarms[*number];
        let message = message(plan, alarm, series, change).to_string();
        let state = change.to.word();
        let value = json!({
            "Type": "Notification",
            "TopicArn": format!("arn:aws:sns:{REGION}:{ACCOUNT}:{topic}"),
            "Subject": format!("{state}: \"{}\" in {REGION}", alarm.name),
            "Message": message,
            "Timestamp": time(plan, *at),
        });
        value.to_string() + "\n"
    };
    all.iter().map(line).collect()
}

fn message(plan: &Plan, alarm: &Alarm, series: &[Series], change: &Change) -> Value {
    let of = series.iter().find(|s| s.of == alarm.of && s.metric == alarm.metric);
    let dimensions: Vec<Value> =
        of.iter().flat_map(|s| &s.dimensions).map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "AlarmName": alarm.name,
        "AlarmDescription": null,
        "AWSAccountId": ACCOUNT,
        "AlarmArn": format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{}", alarm.name),
        "NewStateValue": change.to.word(),
        "NewStateReason": change.reason,
        "StateChangeTime": time(plan, change.at),
        "Region": REGION,
        "OldStateValue": change.from.word(),
        "Trigger": {
            "MetricName": alarm.metric.name(),
            "Namespace": alarm.metric.namespace(),
            "StatisticType": "Statistic",
            "Statistic": format!("{:?}", alarm.statistic).to_uppercase(),
            "Unit": null,
            "Dimensions": dimensions,
            "Period": alarm.period.as_nanos() / 1_000_000_000,
            "EvaluationPeriods": alarm.evaluation_periods,
            "DatapointsToAlarm": alarm.datapoints_to_alarm,
            "ComparisonOperator": format!("{:?}", alarm.comparison),
            "Threshold": alarm.threshold,
            "TreatMissingData": match alarm.treat_missing_data {
                MissingData::Breaching => "breaching",
                MissingData::NotBreaching => "notBreaching",
                MissingData::Ignore => "ignore",
                MissingData::Missing => "missing",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Metered, Metric, Statistic};
    use sim_core::time::Duration;

    fn alarm(treat_missing_data: MissingData, datapoints_to_alarm: u32) -> Alarm {
        Alarm {
            name: "x".into(),
            of: Metered::Connection(0),
            metric: Metric::TunnelState,
            statistic: Statistic::Average,
            period: Duration::from_secs(60),
            evaluation_periods: 3,
            datapoints_to_alarm,
            threshold: 0.5,
            comparison: Comparison::GreaterThanThreshold,
            treat_missing_data,
            topics: [None, None],
        }
    }

    /// The examples of the CloudWatch User Guide for three of three: the five latest datapoints, the oldest first, `-` missing, `0`
    /// within and `X` beyond the threshold, and what each treatment makes of it (`=`: as it was).
    #[test]
    fn missing_data_is_treated_as_in_the_guide() {
        let table = [
            ("0-X-X", "OK", "OK", "OK", "OK"),
            ("0----", "OK", "OK", "OK", "OK"),
            ("-----", "INSUFFICIENT_DATA", "=", "ALARM", "OK"),
            ("0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
            ("--X--", "ALARM", "=", "ALARM", "OK"),
        ];
        let treatments = [MissingData::Missing, MissingData::Ignore, MissingData::Breaching, MissingData::NotBreaching];
        for (story, missing, ignore, breaching, not_breaching) in table {
            let value = |c: char| match c {
                '0' => Some((Instant::START, 0.0)),
                'X' => Some((Instant::START, 1.0)),
                _ => None,
            };
            let seen: Vec<(Instant, f64)> = story.chars().rev().filter_map(value).collect();
            for (treatment, expected) in treatments.into_iter().zip([missing, ignore, breaching, not_breaching]) {
                for before in [AlarmState::Ok, AlarmState::Alarm] {
                    let (to, _) = judge(&alarm(treatment, 3), &seen, before);
                    let expected = if expected == "=" { before.word() } else { expected };
                    assert_eq!(to.word(), expected, "{story} {treatment:?} from {before:?}");
                }
            }
        }
    }

    #[test]
    fn two_of_three_are_enough_if_two_are_asked_for() {
        let seen = |values: [f64; 3]| values.map(|value| (Instant::START, value)).to_vec();
        let judged = |needed, values| judge(&alarm(MissingData::Missing, needed), &seen(values), AlarmState::Ok).0;
        assert_eq!(judged(2, [1.0, 0.0, 1.0]), AlarmState::Alarm);
        assert_eq!(judged(3, [1.0, 0.0, 1.0]), AlarmState::Ok);
        assert_eq!(judged(2, [0.0, 0.0, 1.0]), AlarmState::Ok);
    }
}
