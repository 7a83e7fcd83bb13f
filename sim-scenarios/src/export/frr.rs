//! FRRouting's frr.conf: BGP through each tunnel, and the static routes into it.

use super::remark::Remarks;
use super::{Leg, Site, comment};
use crate::plan::BgpEnd;

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
        sessions.iter().for_each(|(leg, aws, customer)| body.push_str(&neighbor(leg, aws, customer, remarks)));
        body.push_str(" !\n address-family ipv4 unicast\n");
        for prefix in &site.gateway.advertise {
            body.push_str(&format!("  network {prefix}\n"));
        }
        for (leg, _, _) in &sessions {
            let (peer, name) = (leg.tunnel.aws_inside, leg.word());
            body.push_str(&format!("  neighbor {peer} activate\n"));
            body.push_str(&format!("  neighbor {peer} route-map {name}-in in\n"));
            body.push_str(&format!("  neighbor {peer} route-map {name}-out out\n"));
        }
        // A gateway has one best route; FRR would share the load among equal ones.
        body.push_str("  maximum-paths 1\n exit-address-family\nexit\n!\n");
        sessions.iter().for_each(|(leg, _, customer)| body.push_str(&policy(leg, customer)));
    }
    let preamble = site.preamble("FRRouting (frr.conf; bgpd and staticd)", remarks, &site.inside_addresses());
    format!("{}{body}", comment(&preamble, "!"))
}

fn neighbor(leg: &Leg<'_>, aws: &BgpEnd, customer: &BgpEnd, remarks: &mut Remarks) -> String {
    let peer = leg.tunnel.aws_inside;
    let hold = remarks.seconds(leg, "hold_time", customer.hold_time);
    // Without a hold time there are no keepalives either, and FRR wants a zero for them.
    let keepalive = if hold == 0 { 0 } else { remarks.seconds(leg, "keepalive", customer.keepalive) };
    let connect = remarks.seconds(leg, "connect_retry", customer.connect_retry);
    let interval = remarks.seconds(leg, "advertisement_interval", customer.advertisement_interval);
    let idle = customer.idle_hold;
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
