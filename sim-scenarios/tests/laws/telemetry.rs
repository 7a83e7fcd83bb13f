//! Laws of maintenance and monitoring: sections 1.12, 3.5, 5 and 6 of the documents. Each test cites the document of its rule.

use std::path::Path;

use serde_json::{Value, json};
use sim_core::node::Node;
use sim_core::time::Instant;
use sim_scenarios::plan::{Metered, Metric, TunnelId};
use sim_scenarios::report::Outcome;
use sim_scenarios::telemetry::health;
use sim_scenarios::{NoSecrets, Scenario, Simulation};

use crate::bare::UNASKED;

fn scenario(name: &str, changes: &[&str]) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../scenarios/{name}.ron"));
    let text = std::fs::read_to_string(file).expect("it is in the library");
    let scenario = Scenario::parse(name, &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    scenario.with(changes, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

pub fn outcome(name: &str, changes: &[&str]) -> Outcome {
    Simulation::new(&scenario(name, changes)).finish()
}

pub fn mistakes(name: &str, changes: &[&str]) -> String {
    let base = scenario(name, &[]);
    base.with(changes, &NoSecrets).expect_err("it is wrong").to_string()
}

/// Each datapoint that begins in a second, of a tunnel or of the connection.
fn value(outcome: &Outcome, metric: Metric, of: Metered, start: u64) -> Option<(f64, f64, f64)> {
    let series =
        outcome.detail.telemetry.series.iter().find(|s| s.metric == metric && s.of == of).expect("it is metered");
    let point = series.points.iter().find(|point| point.start == Instant::from_secs(start))?;
    Some((point.count, point.sum, point.max))
}

const A: Metered = Metered::Tunnel(TunnelId { connection: 0, tunnel: 0 });
const B: Metered = Metered::Tunnel(TunnelId { connection: 0, tunnel: 1 });
const BOTH: Metered = Metered::Connection(0);

/// Site-to-Site VPN guide, "Monitor tunnels using Amazon CloudWatch": of a tunnel with BGP, TunnelState is 1 while the session is
/// ESTABLISHED and 0 otherwise, whatever IPsec does: here BGP alone is shut down.
#[test]
fn tunnel_state_of_a_bgp_tunnel_is_its_session_s() {
    let seen = outcome("bgp_shutdown", &["assume.vpn_metric_period=60s"]);
    let shut = seen.report.faults.first().expect("it is shut").at_s.0.as_nanos() / 60_000_000_000 * 60;
    let (before, after) = (shut - 60, shut + 60);
    assert_eq!(value(&seen, Metric::TunnelState, A, before), Some((1.0, 1.0, 1.0)));
    assert_eq!(value(&seen, Metric::TunnelState, A, after), Some((1.0, 0.0, 0.0)));
    let child = seen.report.sessions.iter().find(|s| s.kind == "child" && s.name == "vpn.a@aws").expect("it was up");
    assert!(child.transitions.iter().all(|t| t.to != "down"), "IPsec stays up");
}

/// The same document: of a static tunnel, TunnelState is 1 while the tunnel is up. By VpnId it is the mean: 0.5 with one of two.
#[test]
fn tunnel_state_of_a_connection_is_the_mean_of_its_tunnels() {
    let seen = outcome("static_active_passive", &["assume.vpn_metric_period=60s", "faults.cut.at=300s"]);
    assert_eq!(value(&seen, Metric::TunnelState, BOTH, 240), Some((2.0, 2.0, 1.0)));
    // DPD ends a at 340 s.
    assert_eq!(value(&seen, Metric::TunnelState, A, 300), Some((1.0, 0.0, 0.0)));
    assert_eq!(value(&seen, Metric::TunnelState, B, 300), Some((1.0, 1.0, 1.0)));
    let (count, sum, _) = value(&seen, Metric::TunnelState, BOTH, 300).expect("a datapoint");
    assert_eq!(sum / count, 0.5);
}

/// The same document: TunnelDataIn counts octets after decryption and TunnelDataOut before encryption. A probe of 100 octets each
/// 20 ms is 3,000 packets a minute in each direction; BGP's keepalives are in the tunnel, too, which a static one does not have.
#[test]
fn tunnel_data_is_what_is_inside_the_tunnel() {
    let seen = outcome("static_active_passive", &["assume.vpn_metric_period=60s"]);
    assert_eq!(value(&seen, Metric::TunnelDataIn, A, 120), Some((1.0, 300_000.0, 300_000.0)));
    assert_eq!(value(&seen, Metric::TunnelDataOut, A, 120), Some((1.0, 300_000.0, 300_000.0)));
    assert_eq!(value(&seen, Metric::TunnelDataIn, B, 120), Some((1.0, 0.0, 0.0)));
    let with_bgp = outcome("active_passive", &["assume.vpn_metric_period=60s"]);
    let (_, idle, _) = value(&with_bgp, Metric::TunnelDataIn, B, 120).expect("a datapoint");
    assert!(idle > 0.0, "data metrics are not zero in a tunnel that carries no traffic");
}

/// A datapoint is of the whole period, and none is published of one that is not over.
#[test]
fn a_period_of_five_minutes_has_a_sample_of_each() {
    let seen = outcome(
        "static_active_passive",
        &["faults.cut.at=300s", "duration=899s", "faults.cut.heal=600s", "expect.a_is_back.at=890s"],
    );
    assert_eq!(value(&seen, Metric::TunnelState, A, 0), Some((5.0, 5.0, 1.0)));
    assert_eq!(value(&seen, Metric::TunnelState, A, 300), Some((5.0, 0.0, 0.0)));
    assert_eq!(value(&seen, Metric::TunnelState, A, 600), None);
}

/// Transit Gateway guide, "CloudWatch metrics": octets and packets into and out of each attachment, every minute. What comes in from
/// one goes out to the other, and by TransitGateway it is the sum.
#[test]
fn a_transit_gateway_counts_by_attachment() {
    let scenario = scenario("ecmp_conditions", &[]);
    let seen = Simulation::new(&scenario).finish();
    let all = &seen.detail.telemetry.series;
    let sum = |metric: Metric, wanted: &dyn Fn(&Metered) -> bool| -> f64 {
        let of = all.iter().filter(|s| s.metric == metric && wanted(&s.of));
        of.flat_map(|s| &s.points).map(|point| point.sum).sum()
    };
    let attachment = |of: &Metered| matches!(of, Metered::Attachment(..));
    let gateway = |of: &Metered| matches!(of, Metered::Gateway(_));
    for metric in [Metric::PacketsIn, Metric::PacketsOut, Metric::BytesIn, Metric::BytesOut] {
        assert!(sum(metric, &attachment) > 0.0, "{metric:?}");
        assert_eq!(sum(metric, &attachment), sum(metric, &gateway), "{metric:?}");
    }
    let lost = sum(Metric::PacketDropCountNoRoute, &gateway) + sum(Metric::PacketDropCountBlackhole, &gateway);
    assert_eq!(
        sum(Metric::PacketsIn, &gateway),
        sum(Metric::PacketsOut, &gateway) + lost,
        "nothing else is lost in it"
    );
}

/// CloudWatch guide, "Metric stream output in JSON format": the fields of each line, in that order, and the unit of each metric.
#[test]
fn metrics_are_lines_of_a_metric_stream() {
    let seen = outcome("tunnel_down_alarm", &[]);
    let fields = [
        "metric_stream_name",
        "account_id",
        "region",
        "namespace",
        "metric_name",
        "dimensions",
        "timestamp",
        "value",
        "unit",
    ];
    let mut before = 0;
    for line in seen.detail.telemetry.metrics().lines() {
        let object: Value = serde_json::from_str(line).expect("a line is JSON");
        let object = object.as_object().expect("an object");
        assert_eq!(object.len(), fields.len());
        assert!(fields.iter().all(|field| object.contains_key(*field)), "{line}");
        let value = object["value"].as_object().expect("an object");
        assert!(["count", "sum", "max", "min"].iter().all(|statistic| value[*statistic].is_number()), "{line}");
        let (namespace, name) = (object["namespace"].as_str(), object["metric_name"].as_str());
        let dimensions: Vec<&str> =
            object["dimensions"].as_object().expect("an object").keys().map(String::as_str).collect();
        match (namespace, name) {
            (Some("AWS/VPN"), Some("TunnelState" | "TunnelDataIn" | "TunnelDataOut")) => {}
            // Ours, in a namespace that is not AWS's.
            (Some("VPNSim/VPN"), Some("PacketLoss" | "TunnelLatency")) => {}
            other => panic!("{other:?}"),
        }
        assert!(dimensions.contains(&"VpnId") && dimensions.len() <= 2, "{dimensions:?}");
        let at = object["timestamp"].as_u64().expect("milliseconds");
        assert_eq!(at % 60_000, 0);
        assert!(at + 60_000 >= before, "in order of publication");
        before = before.max(at);
    }
    assert!(before > 1_764_064_800_000, "from 2025 on");
}

/// PacketLoss, which is ours: a tenth of what goes into a tunnel whose path loses a tenth does not come out of it.
#[test]
fn packet_loss_is_that_of_the_path() {
    let seen = outcome(
        "static_active_passive",
        &["links.path-a.loss=10%", "faults.cut.enabled=false", "expect={}", "control=[]"],
    );
    let (_, percent, _) = value(&seen, Metric::PacketLoss, A, 120).expect("a datapoint");
    // 5,700 packets: nine tenths of 3,000 come to AWS, which answers them. Five standard deviations are 2 %.
    assert!((8.0..12.0).contains(&percent), "{percent}");
}

/// CloudWatch guide, "Alarm evaluation": M of N, evaluated at the end of every minute, windows sliding with it. The scenario's first
/// comment derives each evaluation.
#[test]
fn alarms_ring_and_clear_at_the_evaluations_that_are_foretold() {
    let seen = outcome("tunnel_down_alarm", &[]);
    let changes = |alarm: &str| -> Vec<(f64, String)> {
        let of = seen.report.alarms.iter().filter(|change| change.alarm == alarm);
        of.map(|change| (change.at_s.into(), change.to.clone())).collect()
    };
    let expected = |all: &[(f64, &str)]| all.iter().map(|(at, to)| (*at, (*to).to_owned())).collect::<Vec<_>>();
    assert_eq!(changes("a_down"), expected(&[(60.0, "OK"), (420.0, "ALARM"), (720.0, "OK")]));
    assert_eq!(changes("not_whole"), expected(&[(60.0, "OK"), (360.0, "ALARM"), (900.0, "OK")]));
    let notified: Vec<Value> =
        seen.detail.telemetry.notifications.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let subjects: Vec<&str> = notified.iter().filter_map(|n| n["Subject"].as_str()).collect();
    assert_eq!(
        subjects,
        [
            "OK: \"a_down\" in us-east-1",
            "ALARM: \"not_whole\" in us-east-1",
            "ALARM: \"a_down\" in us-east-1",
            "OK: \"a_down\" in us-east-1",
        ]
    );
    let message: Value =
        serde_json::from_str(notified[1]["Message"].as_str().expect("a text")).expect("JSON in a text");
    assert_eq!(message["NewStateValue"], "ALARM");
    assert_eq!(message["StateChangeTime"], "2026-11-25T10:06:00.000Z");
    assert_eq!(message["Trigger"]["MetricName"], "TunnelState");
    assert_eq!(message["Trigger"]["Dimensions"][0]["name"], "VpnId");
}

/// Site-to-Site VPN guide, "AWS Health events": one tunnel of two for more than an hour of a day is told of, and not for an hour. The
/// tunnel is down from 1060 s on at the latest: the 61st minute that ends with it down ends at 4680 s, or a minute before.
#[test]
fn a_single_tunnel_is_told_of_after_an_hour_in_a_day() {
    let events = |changes: &[&str]| -> Vec<Value> {
        let seen = outcome("single_tunnel_over_an_hour", changes);
        seen.detail.telemetry.health.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let told = events(&[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["detail"]["eventTypeCode"], health::SINGLE_TUNNEL);
    assert_eq!(told[0]["detail-type"], "AWS Health Event");
    assert_eq!(told[0]["resources"][0], "vpn");
    let minute = told[0]["time"].as_str().expect("a time");
    assert!(["2026-11-25T11:17:00.000Z", "2026-11-25T11:18:00.000Z"].contains(&minute), "{minute}");
    assert!(events(&["faults.cut.heal=4400s"]).is_empty(), "less than an hour");
    // The same 70 minutes, but midnight lies between.
    assert!(events(&["begins=2026-11-25T23:10:00Z"]).is_empty(), "an hour of two days");
}

/// The same document and "tunnel endpoint replacements": told of when it is completed; the outside address is the same.
#[test]
fn a_replacement_is_told_of_when_it_is_over() {
    let seen = outcome("tunnel_endpoint_replacement", &[]);
    let told: Vec<Value> =
        seen.detail.telemetry.health.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["detail"]["eventTypeCode"], health::REPLACED);
    assert_eq!(told[0]["time"], "2026-11-25T10:13:20.000Z", "800 s after the beginning");
    let text = told[0]["detail"]["eventDescription"][0]["latestDescription"].as_str().expect("a text");
    assert!(text.contains("198.51.100.10"), "{text}");
    assert!(seen.detail.telemetry.cloudtrail.is_empty(), "what AWS does is no call of the customer's");
}

/// Site-to-Site VPN guide, "tunnel endpoint updates": the primary tunnel has the lower MED, and before an update of it the other one
/// has. What the customer gateway holds of the MEDs is looked up in its BGP table.
#[test]
fn the_other_tunnel_has_the_lower_med_before_an_endpoint_is_replaced() {
    let scenario = scenario("tunnel_endpoint_replacement", &[]);
    let mut simulation = Simulation::new(&scenario);
    let mut meds = |seconds: u64| -> Vec<Option<u32>> {
        simulation.run_until(Instant::from_secs(seconds));
        let cgw = simulation.plan().node("cgw").expect("it is there");
        let Node::Cgw(cgw) = simulation.world().node(cgw) else { panic!("a customer gateway") };
        let routes = cgw.gateway().routing.as_ref().expect("it speaks BGP").speaker().routes();
        let entry = routes.get(&"10.0.0.0/16".parse().expect("a prefix")).expect("a route");
        let mut all: Vec<(String, Option<u32>)> =
            entry.routes().map(|route| (format!("{:?}", route.peer), route.attributes.med)).collect();
        all.sort();
        all.into_iter().map(|(_, med)| med).collect()
    };
    assert_eq!(meds(500), [Some(100), Some(200)], "a is the primary tunnel");
    assert_eq!(meds(545), [Some(200), Some(100)], "traffic moves 60 s before");
    assert_eq!(meds(1400), [Some(100), Some(200)], "and back");
}

/// "Tunnel endpoint replacements": after a replacement AWS calls only with startup action start (and IKEv2); else it waits for the
/// customer gateway. Here that one does not notice, as it checks nothing.
#[test]
fn after_a_replacement_aws_calls_only_if_the_startup_action_says_so() {
    let quiet = ["connections.vpn.tunnels.a.customer.dpd_timeout_action=none", "expect={}", "control=[]"];
    let times = |more: &[&str]| {
        let seen = outcome("tunnel_endpoint_replacement", &[&quiet[..], more].concat());
        let ike = seen.report.sessions.iter().find(|s| s.kind == "ike" && s.name == "vpn.a@aws").expect("it was up");
        ike.transitions.iter().filter(|t| t.to == "up" && t.from != "rekeying").count()
    };
    assert_eq!(times(&[]), 1, "nobody calls");
    assert_eq!(times(&["connections.vpn.tunnels.a.startup_action=start"]), 2, "AWS does");
}

/// "Tunnel endpoint lifecycle control": pending maintenance waits until the customer applies it (ReplaceVpnTunnel), or until AWS does.
#[test]
fn pending_maintenance_waits_until_it_is_applied() {
    let struck = |changes: &[&str]| {
        let changes = [UNASKED, changes].concat();
        let seen = outcome("tunnel_endpoint_replacement", &changes);
        let fault = seen.report.faults.iter().find(|fault| fault.id == "replace").expect("it strikes");
        (f64::from(fault.at_s), seen.detail.telemetry.cloudtrail)
    };
    let (at, calls) = struck(&["faults.replace.what.auto_applied_after=1000s"]);
    assert_eq!((at, calls.as_str()), (1000.0, ""));
    let both = ["faults.replace.what.auto_applied_after=1000s", "faults.replace.what.applied=900s"];
    let (at, calls) = struck(&both);
    assert_eq!(at, 900.0);
    let call: Value = serde_json::from_str(calls.trim()).expect("one call");
    assert_eq!(call["eventName"], "ReplaceVpnTunnel");
    assert_eq!(call["requestParameters"]["ReplaceVpnTunnelRequest"]["ApplyPendingMaintenance"], true);
    assert_eq!(call["eventTime"], "2026-11-25T10:15:00.000Z");
    assert!(
        mistakes("tunnel_endpoint_replacement", &["faults.replace.what.applied=900s"]).contains("nothing is pending")
    );
    let late = ["faults.replace.what.auto_applied_after=1000s", "faults.replace.what.applied=1100s"];
    assert!(mistakes("tunnel_endpoint_replacement", &late).contains("AWS has applied it by then"));
}

/// The same: "on" is an option of a tunnel. Turning it on replaces the endpoint, unless that is skipped (EC2 API, `ModifyVpnTunnelOptions`:
/// SkipTunnelReplacement, which is for this option alone). Where it is off nothing waits.
#[test]
fn lifecycle_control_is_turned_on_with_or_without_a_replacement() {
    let change = |more: &str| {
        let what = format!("ModifyTunnelOptions(tunnel: \"vpn.a\", tunnel_endpoint_lifecycle_control: true{more})");
        format!("faults.rotate=(at: \"600s\", what: {what})")
    };
    let turned_on = |more: &str| {
        let seen = outcome("psk_rotation", &[UNASKED, &["probes.app.start=100s", &change(more)]].concat());
        let call: Value = serde_json::from_str(seen.detail.telemetry.cloudtrail.trim()).expect("one call");
        let request = call["requestParameters"]["ModifyVpnTunnelOptionsRequest"].clone();
        assert_eq!(request["TunnelOptions"], json!({ "EnableTunnelLifecycleControl": true }));
        (request["SkipTunnelReplacement"].clone(), seen.report.probes.iter().any(|probe| probe.loss > 0.0))
    };
    assert_eq!(turned_on(""), (Value::Null, true));
    assert_eq!(turned_on(", skip_tunnel_replacement: true"), (json!(true), false));
    let both = change(", dpd_timeout: \"50s\", skip_tunnel_replacement: true");
    assert!(mistakes("psk_rotation", &[&both]).contains("replaces the endpoint"));
    let waits = "faults.replace.what.auto_applied_after=1000s";
    let option = |control: &str| format!("connections.vpn.tunnels.a.tunnel_endpoint_lifecycle_control={control}");
    assert!(mistakes("tunnel_endpoint_replacement", &[waits, &option("false")]).contains("lifecycle control is off"));
    scenario("tunnel_endpoint_replacement", &[waits, &option("true")]);
    // Turned on before, by what stands after it in the file.
    let on = "ModifyTunnelOptions(tunnel: \"vpn.a\", tunnel_endpoint_lifecycle_control: true, skip_tunnel_replacement: true)";
    let replaced = "ReplaceTunnelEndpoint(tunnel: \"vpn.a\", auto_applied_after: \"1000s\")";
    let both = format!(
        "faults={{\"replace\": (at: \"600s\", heal_after: \"200s\", what: {replaced}), \"turn_on\": (at: \"100s\", what: {on})}}"
    );
    scenario("tunnel_endpoint_replacement", &[&both, &option("false")]);
}

/// CloudTrail guide, "record contents", and EC2 API, ModifyVpnTunnelOptions: who changed an option, and Config's items before and after.
/// No key stands in either.
#[test]
fn changed_options_leave_a_call_and_two_items() {
    let change = "faults.rotate.what=ModifyTunnelOptions(tunnel: \"vpn.a\", pre_shared_key: \"second.secret.of.a\", dpd_timeout: \"50s\", \
                  dpd_timeout_action: \"restart\")";
    let seen = outcome("psk_rotation", &["faults.rotate.at=600s", change, "expect={}", "control=[]"]);
    let telemetry = &seen.detail.telemetry;
    let call: Value = serde_json::from_str(telemetry.cloudtrail.trim()).expect("one call");
    for field in [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "requestParameters",
        "eventID",
    ] {
        assert!(!call[field].is_null(), "{field}");
    }
    assert_eq!(call["eventName"], "ModifyVpnTunnelOptions");
    let request = &call["requestParameters"]["ModifyVpnTunnelOptionsRequest"];
    assert_eq!(request["VpnTunnelOutsideIpAddress"], "198.51.100.10");
    assert_eq!(request["TunnelOptions"]["DPDTimeoutSeconds"], 50);
    let items: Vec<Value> = telemetry.config.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let timeout = |item: &Value| item["configuration"]["options"]["tunnelOptions"][0]["dpdTimeoutSeconds"].clone();
    assert_eq!(items.iter().map(timeout).collect::<Vec<_>>(), [40, 50]);
    assert!(!telemetry.cloudtrail.contains("secret.of.a") && !telemetry.config.contains("secret.of.a"));
}

/// EC2 API, ReplaceRoute: a program that takes a route over is in CloudTrail once, when it does so.
#[test]
fn a_takeover_is_a_call_of_replace_route() {
    let seen = outcome("software_vpn_ha", UNASKED);
    let call: Value = serde_json::from_str(seen.detail.telemetry.cloudtrail.trim()).expect("one call");
    assert_eq!((&call["eventName"], &call["userIdentity"]["type"]), (&"ReplaceRoute".into(), &"AssumedRole".into()));
    let request = &call["requestParameters"];
    assert_eq!(request["routeTableId"], "private");
    assert_eq!((&request["destinationCidrBlock"], &request["instanceId"]), (&"10.0.0.0/16".into(), &"two".into()));
    let quiet = outcome("software_vpn_ha", &["faults.death.enabled=false", "expect={}", "control=[]"]);
    assert_eq!(quiet.detail.telemetry.cloudtrail, "");
}

/// What CloudTrail and Config hold of a changed route: names of calls and requests, and the routes of each item but the local one.
fn told(changes: &[&str]) -> (Vec<(String, Value)>, Vec<Vec<String>>) {
    let seen = outcome("route_changed_too_early", &[UNASKED, changes].concat());
    let telemetry = &seen.detail.telemetry;
    let lines =
        |text: &str| -> Vec<Value> { text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() };
    let calls = lines(&telemetry.cloudtrail);
    let calls = calls.iter().map(|it| (it["eventName"].as_str().unwrap().to_owned(), it["requestParameters"].clone()));
    let routes = |item: &Value| {
        assert_eq!(item["resourceType"], "AWS::EC2::RouteTable");
        let all = item["configuration"]["routes"].as_array().expect("an array").iter().skip(1);
        all.map(|it| {
            format!("{} {} {}", it["destinationCidrBlock"], it["transitGatewayId"], it["state"]).replace('"', "")
        })
        .collect()
    };
    (calls.collect(), lines(&telemetry.config).iter().map(routes).collect())
}

/// EC2 API, CreateRoute, ReplaceRoute and DeleteRoute (names of the request's fields; `state` of a Route): a route that an operator
/// enters and deletes again is two calls, and the table before and after each.
#[test]
fn a_changed_route_is_two_calls_and_four_items() {
    let (calls, items) = told(&[]);
    let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CreateRoute", "DeleteRoute"]);
    let request =
        |it: &Value| (it["routeTableId"].clone(), it["destinationCidrBlock"].clone(), it["transitGatewayId"].clone());
    assert_eq!(request(&calls[0].1), ("main".into(), "10.1.0.0/16".into(), "tgw".into()));
    assert_eq!(request(&calls[1].1), ("main".into(), "10.1.0.0/16".into(), Value::Null));
    let entered = vec!["10.1.0.0/16 tgw active".to_owned()];
    assert_eq!(items, [vec![], entered.clone(), entered, vec![]]);

    let before = "nodes.vpc.route_tables.main.routes=[(destination: \"10.1.0.0/16\", target: \"tgw\")]";
    let replace =
        "faults.change.what=ReplaceRoute(table: \"vpc.main\", destination: \"10.1.0.0/16\", target: \"blackhole\")";
    let (calls, items) = told(&[before, replace]);
    let names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ReplaceRoute", "ReplaceRoute"]);
    let (there, gone) = (vec!["10.1.0.0/16 tgw active".to_owned()], vec!["10.1.0.0/16 null blackhole".to_owned()]);
    assert_eq!(items, [there.clone(), gone.clone(), gone, there]);

    let delete = "faults.change.what=DeleteRoute(table: \"vpc.main\", destination: \"10.1.0.0/16\")";
    let (calls, _) =
        told(&[before, delete, "faults.change.heal_after=900s", "duration=2400s", "faults.change.enabled=true"]);
    assert_eq!(calls.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["DeleteRoute", "CreateRoute"]);
}

/// EC2 API, errors `InvalidRoute.NotFound` and `RouteAlreadyExists`: each call wants a table in which it can be done.
#[test]
fn a_route_that_cannot_be_changed_is_refused() {
    let told = |what: &str| mistakes("route_changed_too_early", &[&format!("faults.change.what={what}")]);
    let delete = told("DeleteRoute(table: \"vpc.main\", destination: \"10.1.0.0/16\")");
    assert!(delete.contains("no static route to 10.1.0.0/16"), "{delete}");
    let table = told("CreateRoute(table: \"vpc.mian\", destination: \"10.1.0.0/16\", target: \"tgw\")");
    assert!(table.contains("vpc.main"), "{table}");
    let target = told("CreateRoute(table: \"vpc.main\", destination: \"10.1.0.0/16\", target: \"office\")");
    assert!(target.contains("neither in this VPC nor attached"), "{target}");
    let local = told("CreateRoute(table: \"vpc.main\", destination: \"10.0.1.0/24\", target: \"tgw\")");
    assert!(local.contains("inside of the VPC"), "{local}");
    let replace = told("ReplaceRoute(table: \"vpc.main\", destination: \"10.1.0.0/16\", target: \"tgw\")");
    assert!(replace.contains("no static route to 10.1.0.0/16"), "{replace}");
    let before = "nodes.vpc.route_tables.main.routes=[(destination: \"10.1.0.0/16\", target: \"vgw\")]";
    let again = mistakes("route_changed_too_early", &[before]);
    assert!(again.contains("a static route to 10.1.0.0/16 already"), "{again}");
}

/// "Tunnel endpoint replacements": changed tunnel options take that tunnel down, and no other.
#[test]
fn changed_options_take_one_tunnel_down() {
    let seen = outcome("psk_rotation", &[]);
    let downs = |name: &str| {
        let session = seen.report.sessions.iter().find(|s| s.kind == "bgp" && s.name == name).expect("a session");
        session.transitions.iter().filter(|t| t.from == "established").count()
    };
    assert_eq!((downs("vpn.a@cgw"), downs("vpn.b@cgw")), (1, 0));
}

/// "Modify Site-to-Site VPN connection options": both tunnels are down meanwhile; a call and the connection before and after it tell of that. Traffic
/// goes on as the customer gateway's networks agree with any.
#[test]
fn changed_options_of_a_connection_take_both_tunnels_down() {
    let change =
        "faults.rotate.what=ModifyVpnConnectionOptions(connection: \"vpn\", local_ipv4_network_cidr: \"10.1.0.0/16\")";
    let seen = outcome("psk_rotation", &["faults.rotate.at=600s", change, "expect={}", "control=[]"]);
    let downs = |name: &str| {
        let session = seen.report.sessions.iter().find(|s| s.kind == "bgp" && s.name == name).expect("a session");
        session.transitions.iter().filter(|t| t.from == "established").count()
    };
    assert_eq!((downs("vpn.a@cgw"), downs("vpn.b@cgw")), (1, 1));
    // AWS is not there for 180 s, and the probe goes on when it is.
    let outage = seen.report.outages.iter().find(|o| o.probe == "app" && o.direction == "round_trip").expect("dark");
    let (dark, ended) = (outage.duration_s.0.as_secs_f64(), outage.end_s.expect("it ends").0.as_secs_f64());
    assert!((180.0..400.0).contains(&dark) && ended > 780.0, "{dark} {ended}");
    let telemetry = &seen.detail.telemetry;
    let call: Value = serde_json::from_str(telemetry.cloudtrail.trim()).expect("one call");
    assert_eq!(call["eventName"], "ModifyVpnConnectionOptions");
    let request = &call["requestParameters"]["ModifyVpnConnectionOptionsRequest"];
    assert_eq!((&request["VpnConnectionId"], &request["LocalIpv4NetworkCidr"]), (&"vpn".into(), &"10.1.0.0/16".into()));
    let items: Vec<Value> = telemetry.config.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let local = |item: &Value| item["configuration"]["options"]["localIpv4NetworkCidr"].clone();
    assert_eq!(items.iter().map(local).collect::<Vec<_>>(), ["0.0.0.0/0", "10.1.0.0/16"]);
    let said = mistakes("psk_rotation", &["faults.rotate.what=ModifyVpnConnectionOptions(connection: \"vpn\")"]);
    assert!(said.contains("this changes no option of the connection"), "{said}");
    let said = mistakes("psk_rotation", &["faults.rotate.what=ModifyVpnConnectionOptions(connection: \"vpm\")"]);
    assert!(said.contains("did you mean `vpn`?"), "{said}");
}

/// What is asked of CloudWatch must make sense: the nearest name is proposed, and the place is shown.
#[test]
fn mistakes_in_alarms_are_explained() {
    let table: &[(&[&str], &str)] = &[
        (&["alarms.a_down.metric=TunnelStat"], "did you mean `TunnelState`?"),
        (&["alarms.a_down.of=vpn.c"], "did you mean `vpn.a`?"),
        (&["alarms.a_down.of=cgw"], "no tunnel or VPN connection is called `cgw`"),
        (&["alarms.a_down.metric=BytesIn"], "no transit gateway or attachment is called `vpn.a`"),
        (&["alarms.a_down.period=90s"], "whole minutes"),
        (&["alarms.a_down.period=10s"], "whole minutes"),
        (&["assume.vpn_metric_period=30s"], "whole minutes"),
        (&["alarms.a_down.datapoints_to_alarm=4"], "1 to 3, not 4"),
        (&["alarms.a_down.evaluation_periods=1441"], "1 to 1440, not 1441"),
        (&["alarms.a_down.comparison=LessThanThreshhold"], "did you mean `LessThanThreshold`?"),
        (&["alarms.a_down.treat_missing_data=notbreaching"], "did you mean `notBreaching`?"),
        (&["alarms.a_down.threshold=much"], "expected a number"),
        (&["expect.a_rings.alarm=b_down"], "no alarm is called `b_down`"),
        (&["expect.half.at=470s"], "no period of 60s ends at 470s"),
    ];
    for (changes, says) in table {
        let said = mistakes("tunnel_down_alarm", changes);
        assert!(said.contains(says), "{changes:?}: {said}");
    }
    let said = mistakes("psk_rotation", &["faults.rotate.what=ModifyTunnelOptions(tunnel: \"vpn.a\")"]);
    assert!(said.contains("this changes no option of the tunnel"), "{said}");
    let same = ["faults.rotate.what.pre_shared_key=first.secret.of.a"];
    let said = mistakes("psk_rotation", &same);
    assert!(said.contains("this is the key that the tunnel has") && !said.contains("first.secret"), "{said}");
}

/// Direct Connect User Guide, "Monitor with Amazon CloudWatch": ConnectionState, two samples a minute, of each connection; the members of a LAG are
/// connections. Site b's second line is cut between 200 and 210 s and whole again at 300 s, and its LAG wants both; site a's goes silent, which
/// no carrier tells.
#[test]
fn each_member_of_a_lag_has_a_state() {
    let seen = outcome("dx_lag_member_loss", &["expect={}", "control=[]", "probes={}"]);
    let scenario = scenario("dx_lag_member_loss", &[]);
    let link = |name: &str| Metered::Member(scenario.plan().link(name).expect("it is there"));
    let state =
        |of: Metered, start: u64| value(&seen, Metric::ConnectionState, of, start).map(|(count, sum, _)| sum / count);
    for (of, before, while_cut) in [
        (link("line-a1"), 1.0, 1.0),
        (link("line-a2"), 1.0, 1.0),
        (link("line-b1"), 1.0, 1.0),
        (link("line-b2"), 1.0, 0.0),
        (Metered::Line(0), 1.0, 1.0),
        (Metered::Line(1), 1.0, 0.0),
    ] {
        assert_eq!((state(of, 60), state(of, 180)), (Some(before), Some(while_cut)), "{of:?}");
    }
    let least = outcome("dx_lag_member_loss", &["expect={}", "control=[]", "direct_connect.lag-b.lag.minimum_links=1"]);
    let points = |outcome: &Outcome| value(outcome, Metric::ConnectionState, Metered::Line(1), 180);
    assert_eq!(points(&least), Some((2.0, 2.0, 1.0)));
    let series = seen.detail.telemetry.series.iter().find(|it| it.of == link("line-b2")).expect("it is told");
    assert!(series.points.iter().all(|point| point.count == 2.0));
    assert_eq!(series.dimensions, [("ConnectionId", "line-b2".to_owned())]);
}
