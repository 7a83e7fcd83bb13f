//! Routes of transit gateways and of connections that an operator changes: what AWS takes and refuses, and what tells of it.

use serde_json::{Value, json};

use crate::bare::{UNASKED, dropped};
use crate::telemetry::{mistakes, outcome};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The calls of a run: names and requests.
fn calls(scenario: &str, changes: &[&str]) -> Vec<(Value, Value)> {
    let seen = outcome(scenario, &[UNASKED, changes].concat());
    let calls = lines(&seen.detail.telemetry.cloudtrail);
    calls.into_iter().map(|mut it| (it["eventName"].take(), it["requestParameters"].take())).collect()
}

/// EC2 API, ReplaceTransitGatewayRoute, CreateTransitGatewayRoute and DeleteTransitGatewayRoute (names of the request's parameters): each is a
/// call, and so is what undoes it.
#[test]
fn a_changed_route_of_a_transit_gateway_is_a_call() {
    let request = |name: &str, more: Value| {
        let mut fields = json!({ "TransitGatewayRouteTableId": "default", "DestinationCidrBlock": "10.1.0.0/16" });
        fields.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        (Value::from(name), json!({ format!("{name}Request"): fields }))
    };
    let replace = |to: &str| request("ReplaceTransitGatewayRoute", json!({ "TransitGatewayAttachmentId": to }));
    let seen = calls("static_routes_moved_by_hand", &["faults.call.heal=350s"]);
    assert_eq!(seen, [replace("two"), replace("one")]);

    let blackhole = calls("static_routes_moved_by_hand", &["faults.call.what.target=blackhole"]);
    assert_eq!(blackhole, [request("ReplaceTransitGatewayRoute", json!({ "Blackhole": true }))]);

    let delete = "faults.call.what=DeleteTransitGatewayRoute(table: \"tgw.default\", destination: \"10.1.0.0/16\")";
    let seen = calls("static_routes_moved_by_hand", &[delete, "faults.call.heal=350s"]);
    let create = request("CreateTransitGatewayRoute", json!({ "TransitGatewayAttachmentId": "one" }));
    assert_eq!(seen, [request("DeleteTransitGatewayRoute", json!({})), create]);
}

/// EC2 API, CreateVpnConnectionRoute, DeleteVpnConnectionRoute and VpnStaticRoute: a call, and the connection's routes before and after it.
#[test]
fn a_changed_route_of_a_connection_is_a_call_and_two_items() {
    let seen = outcome("static_route_of_a_new_network", UNASKED);
    let telemetry = &seen.detail.telemetry;
    let names: Vec<Value> = lines(&telemetry.cloudtrail).into_iter().map(|mut it| it["eventName"].take()).collect();
    assert_eq!(names, ["CreateVpnConnectionRoute", "DeleteVpnConnectionRoute"]);
    for call in lines(&telemetry.cloudtrail) {
        let request = json!({ "vpnConnectionId": "vpn", "destinationCidrBlock": "10.2.0.0/24" });
        assert_eq!(call["requestParameters"], request);
    }
    let items = lines(&telemetry.config);
    let routes = |item: &Value| -> Vec<String> {
        assert_eq!((&item["resourceType"], &item["resourceId"]), (&"AWS::EC2::VPNConnection".into(), &"vpn".into()));
        let all = item["configuration"]["routes"].as_array().expect("an array");
        all.iter().map(|it| format!("{} {}", it["destinationCidrBlock"].as_str().unwrap(), it["state"])).collect()
    };
    let (old, new) = ("10.1.0.0/24 \"available\"".to_owned(), "10.2.0.0/24 \"available\"".to_owned());
    let (one, both) = (vec![old.clone()], vec![old, new]);
    let seen: Vec<Vec<String>> = items.iter().map(routes).collect();
    assert_eq!(seen, [one.clone(), both.clone(), both, one]);
}

/// EC2 API: `InvalidRoute.NotFound`, `RouteAlreadyExists`, and CreateVpnConnectionRoute "between an existing virtual private gateway and a VPN
/// customer gateway"; guide, "Site-to-Site VPN quotas": 100 static routes of a connection, not adjustable.
#[test]
fn what_cannot_be_changed_is_refused() {
    let told = |what: &str| mistakes("static_routes_moved_by_hand", &[&format!("faults.call.what={what}")]);
    let route = "table: \"tgw.default\", destination: \"10.1.0.0/16\"";
    let other = "table: \"tgw.default\", destination: \"10.9.0.0/16\"";
    let exists = told(&format!("CreateTransitGatewayRoute({route}, target: \"two\")"));
    assert!(exists.contains("a static route to 10.1.0.0/16 already"), "{exists}");
    let missing = told(&format!("ReplaceTransitGatewayRoute({other}, target: \"two\")"));
    assert!(missing.contains("no static route to 10.9.0.0/16"), "{missing}");
    let missing = told(&format!("DeleteTransitGatewayRoute({other})"));
    assert!(missing.contains("no static route to 10.9.0.0/16"), "{missing}");
    // What is propagated is no static route.
    let learned = told("DeleteTransitGatewayRoute(table: \"tgw.default\", destination: \"10.0.0.0/16\")");
    assert!(learned.contains("no static route to 10.0.0.0/16"), "{learned}");
    let same = told(&format!("ReplaceTransitGatewayRoute({route}, target: \"one\")"));
    assert!(same.contains("leads there already"), "{same}");
    let table = told("DeleteTransitGatewayRoute(table: \"tgw.defualt\", destination: \"10.1.0.0/16\")");
    assert!(table.contains("tgw.default"), "{table}");
    let target = told(&format!("ReplaceTransitGatewayRoute({route}, target: \"tow\")"));
    assert!(target.contains("two"), "{target}");
    let connection = told("CreateVpnConnectionRoute(connection: \"one\", destination: \"10.9.0.0/16\")");
    assert!(connection.contains("CreateTransitGatewayRoute"), "{connection}");

    let told = |what: &str, changes: &[&str]| {
        mistakes("static_route_of_a_new_network", &[changes, &[&format!("faults.route.what={what}")]].concat())
    };
    let exists = told("CreateVpnConnectionRoute(connection: \"vpn\", destination: \"10.1.0.0/24\")", &[]);
    assert!(exists.contains("a static route to 10.1.0.0/24 already"), "{exists}");
    let missing = told("DeleteVpnConnectionRoute(connection: \"vpn\", destination: \"10.2.0.0/24\")", &[]);
    assert!(missing.contains("no static route to 10.2.0.0/24"), "{missing}");
    let create = "CreateVpnConnectionRoute(connection: \"vpn\", destination: \"10.2.0.0/24\")";
    let dynamic = told(create, &["connections.vpn.routing=Bgp()"]);
    assert!(dynamic.contains("is BGP"), "{dynamic}");
    let hundred: Vec<String> = (0..100).map(|n| format!("\"10.50.{n}.0/24\"")).collect();
    let full = told(create, &[&format!("connections.vpn.routing.prefixes=[{}]", hundred.join(", "))]);
    assert!(full.contains("has 100 static routes already"), "{full}");
}

/// EC2 API, CreateTransitGatewayRoute with `Blackhole`: what is sent there is dropped, with that as the reason, from the call on.
#[test]
fn a_blackhole_by_hand_drops_from_the_call_on() {
    let changes = [UNASKED, &["faults.lan.enabled=false", "faults.call.what.target=blackhole"]].concat();
    let seen = outcome("static_routes_moved_by_hand", &changes);
    // 50 a second for the 100 s that are left.
    let dropped = dropped(&seen.report, "blackhole_route");
    assert!((4_990..=5_001).contains(&dropped), "{dropped}");
    let dark = seen.report.outages.iter().find(|outage| outage.probe == "back").expect("it is dark");
    assert!((299.9..300.1).contains(&dark.start_s.0.as_secs_f64()), "{:?}", dark.start_s);
}
