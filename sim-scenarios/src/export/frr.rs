//! FRRouting's frr.conf: BGP through each tunnel, and the static routes into it.

use sim_core::proto::bgp::{AfterLimit, MaxPrefixes};
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use super::remark::Remarks;
use super::{Leg, Site, comment};
use crate::plan::BgpEnd;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn write(site: &Site<'_>, remarks: &mut Remarks) -> String {
    let mut body = "frr defaults traditional\n!\n".to_owned();
    for leg in &site.legs {
        for route in &leg.routes {
            body.push_str(&format!("ip route {} {} {}\n", route.prefix, leg.tunnel.aws_inside, route.distance));
        }
        if site.gateway.routes_follow_sa && !leg.routes.is_empty() {
            let what = "routes_follow_sa: FRR holds the static routes for as long as the tunnel's interface is up";
            remarks.add(leg, what);
        }
    }
    if !body.ends_with("!\n") {
        body.push_str("!\n");
    }
    let sessions = site.legs.iter().filter_map(|leg| Some((leg, leg.tunnel.bgp.as_ref()?)));
    let sessions: Vec<_> = sessions.map(|(leg, (aws, customer))| (leg, aws, customer)).collect();
    if let Some((first, _, customer)) = sessions.first() {
        for (i, prefix) in site.gateway.advertise.iter().enumerate() {
            body.push_str(&format!("ip prefix-list advertised seq {} permit {prefix}\n", 5 * (i + 1)));
        }
        if site.gateway.advertise.is_empty() {
            body.push_str("ip prefix-list advertised seq 5 deny any\n");
        }
        body.push_str("!\n");
        body.push_str(&format!("router bgp {}\n", customer.asn));
        body.push_str(&format!(" bgp router-id {}\n", first.tunnel.customer_inside));
        body.push_str(" no bgp ebgp-requires-policy\n no bgp network import-check\n");
        body.push_str(&graceful_restart(&sessions, remarks));
        for (leg, aws, customer) in &sessions {
            body.push_str(&neighbor(leg, aws, customer, site.md5_key(customer), remarks));
        }
        body.push_str(" !\n address-family ipv4 unicast\n");
        for prefix in &site.gateway.advertise {
            body.push_str(&format!("  network {prefix}\n"));
        }
        for (leg, _, customer) in &sessions {
            let (peer, name) = (leg.tunnel.aws_inside, leg.word());
            body.push_str(&format!("  neighbor {peer} activate\n"));
            body.push_str(&format!("  neighbor {peer} route-map {name}-in in\n"));
            body.push_str(&format!("  neighbor {peer} route-map {name}-out out\n"));
            if let Some(limit) = customer.max_prefixes {
                body.push_str(&format!("  neighbor {peer} maximum-prefix {}\n", limited(leg, limit, remarks)));
            }
        }
        // A gateway has one best route; FRR would share the load among equal ones.
        body.push_str("  maximum-paths 1\n exit-address-family\nexit\n!\n");
        sessions.iter().for_each(|(leg, _, customer)| body.push_str(&policy(leg, customer)));
    }
    let preamble = site.preamble("FRRouting (frr.conf; bgpd and staticd)", remarks, &site.inside_addresses());
    format!("{}{body}", comment(&preamble, "!"))
}

type Session<'a> = (&'a Leg<'a>, &'a BgpEnd, &'a BgpEnd);

/// FRR has one set of times for all its sessions.
fn graceful_restart(sessions: &[Session<'_>], remarks: &mut Remarks) -> String {
    let mut with = sessions.iter().filter_map(|(leg, _, customer)| Some((leg, customer.graceful_restart?)));
    let Some((leg, first)) = with.next() else { return String::new() };
    for (other, _) in with.filter(|(_, graceful)| *graceful != first) {
        let what = format!(
            "graceful_restart: FRR has the same times for all its sessions, {} and {}",
            first.restart_time, first.stale_path_time
        );
        remarks.add(other, what);
    }
    let restart = remarks.seconds(leg, "restart_time", first.restart_time);
    let stale = remarks.seconds(leg, "stale_path_time", first.stale_path_time);
    let mut text =
        format!(" bgp graceful-restart restart-time {restart}\n bgp graceful-restart stalepath-time {stale}\n");
    if first.notification {
        text.push_str(" bgp graceful-restart notification\n");
    }
    text
}

/// The limit, the warning, and what follows it.
fn limited(leg: &Leg<'_>, limit: MaxPrefixes, remarks: &mut Remarks) -> String {
    let MaxPrefixes { most, warn_at, then } = limit;
    let restart = match then {
        AfterLimit::StayDown => String::new(),
        AfterLimit::Retry => {
            remarks.add(leg, "max_prefixes, then \"retry\": FRR waits whole minutes, here one");
            " restart 1".to_owned()
        }
        AfterLimit::Restart(time) => {
            let minutes = time.as_nanos().div_ceil(MINUTE.as_nanos());
            if MINUTE * minutes != time {
                remarks.add(leg, format!("max_prefixes, then {time}: FRR waits whole minutes, here {minutes}"));
            }
            format!(" restart {minutes}")
        }
    };
    format!("{most} {warn_at}{restart}")
}

fn neighbor(leg: &Leg<'_>, aws: &BgpEnd, customer: &BgpEnd, key: Option<&str>, remarks: &mut Remarks) -> String {
    let peer = leg.tunnel.aws_inside;
    let hold = remarks.seconds(leg, "hold_time", customer.hold_time);
    // Without a hold time there are no keepalives either, and FRR wants a zero for them.
    let keepalive = if hold == 0 { 0 } else { remarks.seconds(leg, "keepalive", customer.keepalive) };
    let connect = remarks.seconds(leg, "connect_retry", customer.connect_retry);
    let interval = remarks.seconds(leg, "advertisement_interval", customer.advertisement_interval);
    let limit = customer.idle_hold_limit.map(|limit| format!(", doubling up to {limit}")).unwrap_or_default();
    let idle = format!("{}{limit}", customer.idle_hold);
    remarks
        .add(leg, format!("idle_hold {idle}: FRR waits 1 s after a first failure, and longer after each further one"));
    if customer.jitter {
        remarks.add(leg, "jitter true: FRR has no word for it, and shortens neither keepalives nor the hold timer");
    }
    remarks.policies(leg, customer);
    let mut text = format!(" neighbor {peer} remote-as {}\n", aws.asn);
    text.push_str(&format!(" neighbor {peer} description {}\n", leg.tunnel.name));
    text.push_str(&format!(" neighbor {peer} advertisement-interval {interval}\n"));
    text.push_str(&format!(" neighbor {peer} timers {keepalive} {hold}\n"));
    text.push_str(&format!(" neighbor {peer} timers connect {connect}\n"));
    if let Some(key) = key {
        text.push_str(&format!(" neighbor {peer} password {key}\n"));
    }
    match customer.reach {
        Reach::SingleHop => {}
        Reach::Multihop(hops) => text.push_str(&format!(" neighbor {peer} ebgp-multihop {hops}\n")),
        Reach::Security(hops) => text.push_str(&format!(" neighbor {peer} ttl-security hops {hops}\n")),
    }
    if customer.graceful_restart.is_some() {
        text.push_str(&format!(" neighbor {peer} graceful-restart\n"));
    }
    text
}

fn policy(leg: &Leg<'_>, customer: &BgpEnd) -> String {
    let name = leg.word();
    let mut text =
        format!("route-map {name}-in permit 10\n set local-preference {}\nexit\n!\n", customer.local_preference);
    text.push_str(&format!("route-map {name}-out permit 10\n match ip address prefix-list advertised\n"));
    if let Some(med) = customer.med {
        text.push_str(&format!(" set metric {med}\n"));
    }
    if customer.prepend > 0 {
        let path = vec![customer.asn.to_string(); customer.prepend as usize].join(" ");
        text.push_str(&format!(" set as-path prepend {path}\n"));
    }
    text.push_str("exit\n!\n");
    text
}
