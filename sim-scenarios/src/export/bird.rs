//! BIRD 2: BGP through each tunnel, and the static routes into it.

use sim_core::proto::bgp::{AfterLimit, MaxPrefixes};
use sim_core::proto::tcp::Reach;
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
            body.push_str(&session(leg, aws, customer, site.md5_key(customer), remarks));
        }
        if site.gateway.routes_follow_sa && !leg.routes.is_empty() {
            let what = "routes_follow_sa: BIRD holds the static routes for as long as the tunnel's interface is up";
            remarks.add(leg, what);
        }
    }
    format!("{}\n{body}", comment(&site.preamble("BIRD 2 (bird.conf)", remarks, &site.inside_addresses()), "#"))
}

/// What a session has beside its addresses and timers, as lines of its protocol.
fn options(leg: &Leg<'_>, customer: &BgpEnd, key: Option<&str>, remarks: &mut Remarks) -> String {
    let mut text = String::new();
    if let Some(key) = key {
        text.push_str(&format!("    password \"{key}\";\n"));
    }
    match customer.reach {
        Reach::SingleHop => {}
        Reach::Multihop(hops) => text.push_str(&format!("    multihop {hops};\n")),
        Reach::Security(1) => text.push_str("    ttl security on;\n"),
        Reach::Security(hops) => text.push_str(&format!("    multihop {hops};\n    ttl security on;\n")),
    }
    if let Some(graceful) = customer.graceful_restart {
        let seconds = remarks.seconds(leg, "restart_time", graceful.restart_time);
        text.push_str(&format!("    graceful restart on;\n    graceful restart time {seconds};\n"));
        let stale = graceful.stale_path_time;
        remarks.add(leg, format!("stale_path_time {stale}: BIRD keeps stale routes for the other end's restart time"));
        if graceful.notification {
            remarks.add(leg, "notification true: BIRD has no graceful restart by NOTIFICATION (RFC 8538)");
        }
    }
    text
}

/// The limit of what is heard, as a line of its channel.
fn limited(leg: &Leg<'_>, limit: MaxPrefixes, remarks: &mut Remarks) -> String {
    let MaxPrefixes { most, warn_at, then } = limit;
    remarks.add(leg, format!("max_prefixes, warn_at {warn_at}%: BIRD does not warn before the limit"));
    let action = match then {
        AfterLimit::Retry => "restart",
        AfterLimit::StayDown => "disable",
        AfterLimit::Restart(time) => {
            remarks.add(leg, format!("max_prefixes, then {time}: BIRD waits its error wait time"));
            "restart"
        }
    };
    format!("        receive limit {most} action {action};\n")
}

fn session(leg: &Leg<'_>, aws: &BgpEnd, customer: &BgpEnd, key: Option<&str>, remarks: &mut Remarks) -> String {
    let tunnel = leg.tunnel;
    let hold = remarks.seconds(leg, "hold_time", customer.hold_time);
    let keepalive = remarks.seconds(leg, "keepalive", customer.keepalive);
    let connect = remarks.seconds(leg, "connect_retry", customer.connect_retry);
    let idle = remarks.seconds(leg, "idle_hold", customer.idle_hold).max(1);
    let limit = customer.idle_hold_limit.map_or(idle, |limit| remarks.seconds(leg, "idle_hold_limit", limit).max(idle));
    let options = options(leg, customer, key, remarks);
    let limited = customer.max_prefixes.map(|limit| limited(leg, limit, remarks)).unwrap_or_default();
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
    error wait time {idle}, {limit};
{options}    ipv4 {{
        preference {preference};
{limited}        import filter {{
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
