//! An answer written by hand, to develop renderings against: the failover of the report's fixture, with the instants of
//! `slack`'s tests. AWS's hold timer expires at 87.900 s, its gateway follows at 88.900 s, the other end was ready at 86.300 s.

use super::document::{Branch, Change, Event, Explained, Parameter, Row, SCHEMA, Wait, Why};
use crate::report::model::{Outage, PathStep, Seconds};
use sim_core::time::Duration;

const fn s(millis: u64) -> Seconds {
    Seconds(Duration::from_millis(millis))
}

fn row(at: u64, waited: u64, [node, event, subject, reason]: [&str; 4], wait: Option<Wait>) -> Row {
    let [node, event, subject, reason] = [node, event, subject, reason].map(str::to_owned);
    Row { step: PathStep { at_s: s(at), node, event, subject, reason, waited_s: s(waited) }, wait }
}

fn wait(owner: &str, text: &str) -> Wait {
    Wait {
        owner: owner.into(),
        text: text.into(),
        armed_s: None,
        armed_by: None,
        parameter: None,
        slack_s: None,
        runner_up: None,
        tied: None,
        drives: None,
        backstop: None,
    }
}

fn event(at: u64, text: &str) -> Event {
    Event { at_s: s(at), text: text.into() }
}

fn parameter(path: &str, value: &str, origin: &str, source: Option<&str>) -> Option<Parameter> {
    let source = source.map(str::to_owned);
    Some(Parameter { path: path.into(), value: value.into(), origin: origin.into(), source })
}

/// The answer.
pub fn failover() -> Why {
    let route = "cgw: 172.31.0.0/16 via tunnel-b: route changed (session_down)";
    let hold = Wait {
        armed_s: Some(s(57_900)),
        parameter: parameter("connections.vpn.routing.aws.hold_time", "30s", "documented", Some("a guide")),
        slack_s: Some(s(2_585)),
        runner_up: Some(event(86_300, route)),
        backstop: Some(event(97_900, "vpn-a: ike tunnel-a: dpd_timeout expired")),
        ..wait("hold_timer", "BGP HoldTimer")
    };
    let delay = Wait {
        armed_s: Some(s(87_900)),
        armed_by: Some("vpn-a: bgp tunnel-a: session changed (hold_timer_expired)".into()),
        parameter: parameter("assume.vgw_programming_delay", "1s", "assumed", Some("UNVERIFIED: a guess")),
        slack_s: Some(s(1_000)),
        ..wait("programming_delay", "a table takes time to follow (AWS-internal)")
    };
    let probe = Wait {
        armed_s: Some(s(88_885)),
        parameter: parameter("probes.office-to-app.every", "0.02s", "scenario", None),
        tied: Some(event(
            88_900,
            "office: probe office-to-app, one every 0.02s, was sent 0.015 s after it could have been",
        )),
        ..wait("probe_grid", "the next probe, and its way")
    };
    let strike = || row(60_000, 0, ["internet-a", "fault", "blackhole on internet-a", "strike"], None);
    let change = |set: &str, text: &str, after: Option<u64>, waits_for: &str| Change {
        set: vec![set.into()],
        text: text.into(),
        before_s: s(28_920),
        after_s: after.map(s),
        waits_for: waits_for.into(),
        digest: "00".into(),
    };
    let explained = Explained {
        number: 3,
        outage: Outage {
            probe: "office-to-app".into(),
            direction: "round_trip".into(),
            fault: Some("path-a-dark".into()),
            start_s: s(59_980),
            end_s: Some(s(88_900)),
            duration_s: s(28_920),
            lost: 1_446,
        },
        interval_s: s(20),
        path: vec![
            strike(),
            row(87_900, 27_900, ["vpn-a", "timer_expired", "bgp tunnel-a", "hold_timer"], Some(hold.clone())),
            row(87_900, 0, ["vpn-a", "session_changed", "bgp tunnel-a", "hold_timer_expired"], None),
            row(88_900, 1_000, ["vgw", "timer_expired", "", "programming_delay"], Some(delay)),
            row(88_931, 31, ["office", "probe_arrived", "probe office-to-app", "round_trip"], Some(probe)),
        ],
        beside: vec![Branch {
            needed: event(86_300, route),
            slack_s: s(2_585),
            path: vec![
                strike(),
                row(86_300, 26_300, ["cgw", "timer_expired", "bgp tunnel-a", "hold_timer"], Some(hold)),
            ],
        }],
        changes: vec![
            change("connections.vpn.routing.customer.hold_time=10s", "a hold time of 10s", Some(9_000), "cgw: bgp"),
            change("x.y=1s", "something that costs", Some(30_000), "vgw"),
            change("x.z=1s", "something that ends nothing", None, ""),
        ],
        remarks: vec!["The programming delay of a gateway is AWS's own: no customer changes it.".into()],
    };
    Why {
        schema: SCHEMA.into(),
        vpnsim: "0.1.0".into(),
        scenario: "active_passive".into(),
        seed: 7,
        digest: "00".into(),
        outages: 3,
        outage: Some(explained),
    }
}
