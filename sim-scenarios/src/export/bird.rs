//! BIRD 2: BGP through each tunnel, and the static routes into it.

use sim_core::time::Duration;

use super::remark::Remarks;
use super::{Leg, Site, comment};
use crate::plan::BgpEnd;

/// BIRD prefers the higher preference, a gateway the lower administrative distance.
const HIGHEST: u32 = 255;
/// The distance of external BGP.
const BGP_DISTANCE: u32 = 20;

pub(super) fn write(site: &Site<'_>, remarks: &mut Remarks) -> String {
    let mut body = String::new();
    body.push_str(&format!("router id {};\n", site.legs[0].tunnel.customer_inside));
    body.push_str("\nprotocol device {\n}\n");
    body.push_str("\nprotocol kernel {\n    ipv4 {\n        import none;\n");
    body.push_str("        export where proto != \"advertised\";\n    };\n}\n");
    let speaks = site.legs.iter().any(|leg| leg.tunnel.bgp.is_some());
    if speaks {
        body.push_str("\n# Announced, and never a route of this machine.\nprotocol static advertised {\n    ipv4;\n");
        for prefix in &site.gateway.advertise {
            body.push_str(&format!("    route {prefix} unreachable;\n"));
        }
        body.push_str("}\n");
    }
    let routes = site.legs.iter().flat_map(|leg| leg.routes.iter().map(move |route| (leg, route)));
    let routes: Vec<String> = routes
        .map(|(leg, route)| {
            let preference = HIGHEST.saturating_sub(route.distance);
            format!("    route {} via {} {{ preference = {preference}; }};\n", route.prefix, leg.tunnel.aws_inside)
        })
        .collect();
    if !routes.is_empty() {
        body.push_str(&format!("\nprotocol static tunnels {{\n    ipv4;\n{}}}\n", routes.concat()));
    }
    for leg in &site.legs {
        if let Some((aws, customer)) = &leg.tunnel.bgp {
            body.push_str(&session(leg, aws, customer, remarks));
        }
        if site.gateway.routes_follow_sa && !leg.routes.is_empty() {
            let what = "routes_follow_sa: BIRD holds the static routes for as long as the tunnel's interface is up";
            remarks.add(leg, what);
        }
    }
    format!("{}\n{body}", comment(&site.preamble("BIRD 2 (bird.conf)", remarks, &site.inside_addresses()), "#"))
}

fn session(leg: &Leg<'_>, aws: &BgpEnd, customer: &BgpEnd, remarks: &mut Remarks) -> String {
    let tunnel = leg.tunnel;
    let hold = remarks.seconds(leg, "hold_time", customer.hold_time);
    let keepalive = remarks.seconds(leg, "keepalive", customer.keepalive);
    let connect = remarks.seconds(leg, "connect_retry", customer.connect_retry);
    let idle = remarks.seconds(leg, "idle_hold", customer.idle_hold).max(1);
    let mut changes = String::new();
    for _ in 0..customer.prepend {
        changes.push_str(&format!("                bgp_path.prepend({});\n", customer.asn));
    }
    if let Some(med) = customer.med {
        changes.push_str(&format!("                bgp_med = {med};\n"));
    }
    remarks.policies(leg, customer);
    if !customer.advertisement_interval.is_zero() {
        let interval = customer.advertisement_interval;
        remarks.add(leg, format!("advertisement_interval {interval}: BIRD has no MinRouteAdvertisementInterval"));
    }
    let jitter = if customer.jitter { "" } else { "jitter false: " };
    let what = format!("{jitter}BIRD shortens its timers by a random factor of 0.75 to 1, the hold timer too");
    if customer.hold_time > Duration::ZERO || !customer.jitter {
        remarks.add(leg, what);
    }
    format!(
        "
protocol bgp '{name}' {{
    local {local} as {own};
    neighbor {remote} as {other};
    hold time {hold};
    keepalive time {keepalive};
    connect delay time 1;
    connect retry time {connect};
    error wait time {idle}, {idle};
    ipv4 {{
        preference {preference};
        import filter {{
            bgp_local_pref = {local_preference};
            accept;
        }};
        export filter {{
            if proto = \"advertised\" then {{
{changes}                accept;
            }}
            reject;
        }};
    }};
}}
",
        name = tunnel.name,
        local = tunnel.customer_inside,
        own = customer.asn,
        remote = tunnel.aws_inside,
        other = aws.asn,
        preference = HIGHEST - BGP_DISTANCE,
        local_preference = customer.local_preference,
    )
}
