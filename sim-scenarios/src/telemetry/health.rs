//! Events of AWS Health, as EventBridge delivers them, one JSON object a line.
//!
//! Source: Site-to-Site VPN User Guide, "AWS Health and Site-to-Site VPN events": a tunnel endpoint replacement is told when it is
//! completed; a connection of which one tunnel alone was up for more than an hour in a day is told of, too. Days are of UTC and
//! begin with the scenario's `begins`; the hour counts in whole minutes and need not be one piece. AWS creates the second event once
//! a month and updates it daily: here each day has its own.
//!
//! UNVERIFIED: the type codes, which AWS does not publish.

use serde_json::json;
use sim_core::time::{Duration, Instant};

use super::alarm::time;
use super::meter::Meter;
use super::{ACCOUNT, MINUTE, REGION};
use crate::plan::{FaultKind, Plan};

/// More than so many minutes with one tunnel of two up are told of.
pub const SINGLE_TUNNEL_MINUTES: u64 = 60;

/// Code of the event that an endpoint was replaced (UNVERIFIED).
pub const REPLACED: &str = "AWS_VPN_TUNNEL_ENDPOINT_REPLACEMENT_NOTIFICATION";
/// Code of the event that a connection had one tunnel (UNVERIFIED).
pub const SINGLE_TUNNEL: &str = "AWS_VPN_SINGLE_TUNNEL_NOTIFICATION";

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it is told.
    pub at: Instant,
    /// When what it tells of began.
    pub since: Instant,
    /// Its code.
    pub code: &'static str,
    /// The connection.
    pub connection: String,
    /// For people.
    pub text: String,
}

/// All events of a run, in order of time.
pub fn events(plan: &Plan, meter: &Meter, end: Instant) -> Vec<Event> {
    let mut all = single_tunnels(plan, meter);
    for fault in plan.faults.iter().filter(|fault| fault.enabled) {
        let FaultKind::ReplaceTunnelEndpoint { tunnel, .. } = &fault.what else { continue };
        let Some(done) = fault.heal.filter(|done| *done <= end) else { continue };
        let (connection, address) = (&plan.connections[tunnel.connection].name, plan.tunnel(*tunnel).aws_outside);
        let text = format!(
            "The endpoint of the tunnel with the outside IP address {address} of {connection} was replaced. The address is the same."
        );
        all.push(Event { at: done, since: fault.at, code: REPLACED, connection: connection.clone(), text });
    }
    all.sort_by_key(|event| event.at);
    all
}

fn single_tunnels(plan: &Plan, meter: &Meter) -> Vec<Event> {
    let day = Duration::from_secs(86_400).as_nanos();
    let mut all = Vec::new();
    let mut next = 0;
    for connection in &plan.connections {
        let own = next..next + connection.tunnels.len();
        next = own.end;
        if own.len() != 2 {
            continue;
        }
        let (mut today, mut minutes, mut since) = (u64::MAX, 0, Instant::START);
        for (reading, n) in meter.readings.iter().zip(0u64..) {
            let (began, at) = (Instant::START + MINUTE * n, Instant::START + MINUTE * (n + 1));
            let date = (plan.begins + began.since_start()).as_nanos() / day;
            if core::mem::replace(&mut today, date) != date {
                minutes = 0;
            }
            if reading.tunnels[own.clone()].iter().filter(|tunnel| tunnel.up).count() != 1 {
                continue;
            }
            if minutes == 0 {
                since = began;
            }
            minutes += 1;
            if minutes == SINGLE_TUNNEL_MINUTES + 1 {
                let name = &connection.name;
                let text = format!("{name} had one tunnel of two for more than {SINGLE_TUNNEL_MINUTES} minutes today.");
                all.push(Event { at, since, code: SINGLE_TUNNEL, connection: name.clone(), text });
            }
        }
    }
    all
}

/// The events as lines.
pub fn lines(plan: &Plan, meter: &Meter, end: Instant) -> String {
    let line = |(number, event): (usize, Event)| {
        let Event { at, since, code, connection, text } = event;
        let value = json!({
            "version": "0",
            "id": format!("{number}"),
            "detail-type": "AWS Health Event",
            "source": "aws.health",
            "account": ACCOUNT,
            "time": time(plan, at),
            "region": REGION,
            "resources": [connection],
            "detail": {
                "eventArn": format!("arn:aws:health:{REGION}::event/VPN/{code}/{number}"),
                "service": "VPN",
                "eventTypeCode": code,
                "eventTypeCategory": "accountNotification",
                "startTime": time(plan, since),
                "eventDescription": [{ "language": "en_US", "latestDescription": text }],
                "affectedEntities": [{ "entityValue": connection }],
            },
        });
        value.to_string() + "\n"
    };
    events(plan, meter, end).into_iter().enumerate().map(line).collect()
}
