//! BGP sessions, below and beside their timers: keys, how far away the other end may be, prefix limits and graceful restart.

use sim_core::proto::bgp::{AfterLimit, GracefulRestart, MaxPrefixes};
use sim_core::proto::tcp::Reach;
use sim_core::time::Duration;

use crate::leaf::{Md5Key, Md5KeySource, Percent};
use crate::place::{At, Place};
use crate::plan::{NodeKind, Plan, Tunnel, Warning};
use crate::schema;

use super::judge::{Judge, between, positive};

/// Most prefixes that AWS takes from a customer gateway, by its quotas (Site-to-Site VPN quotas, "Routes"), which cannot be raised.
const QUOTAS: [u32; 2] = [100, 1_000];

/// AWS's own prefix limit, on a transit gateway or not.
pub(super) fn quota(transit: bool) -> MaxPrefixes {
    MaxPrefixes::new(QUOTAS[usize::from(transit)])
}

/// Most prefixes of each family that AWS announces, from a virtual private gateway and from a transit gateway (Site-to-Site VPN guide,
/// "Site-to-Site VPN quotas"; for a Connect peer "Quotas for your transit gateways"). Hard.
const ANNOUNCED: [u32; 2] = [1_000, 5_000];

/// AWS's own limit of what it announces, on a transit gateway or not.
pub(super) fn announced(transit: bool) -> u32 {
    ANNOUNCED[usize::from(transit)]
}

/// The key itself, wherever it is kept.
pub(super) fn md5_key(at: &At<Md5KeySource>, j: &mut Judge) -> Option<Md5Key> {
    let (kept, content) = match j.read(at)? {
        Md5KeySource::Inline(key) => return Some(key),
        Md5KeySource::File(path) => (format!("file `{path}`"), j.secrets.file(&path)),
        Md5KeySource::Environment(name) => (format!("environment variable `{name}`"), j.secrets.environment(&name)),
    };
    match content.and_then(|text| Md5Key::new(text.trim_end_matches(['\r', '\n']))) {
        Ok(key) => Some(key),
        Err(why) => {
            j.wrong(at.place, format!("no key of TCP MD5 in {kept}: {why}"), None);
            None
        }
    }
}

/// How far away the other end may be; `None` if nothing is said.
pub(super) fn reach(multihop: &Option<At<u64>>, ttl_security: &Option<At<u64>>, j: &mut Judge) -> Option<Reach> {
    if let (Some(_), Some(at)) = (multihop, ttl_security) {
        let help = "`ttl_security` says how far away the other end may be, too";
        j.wrong(at.place, "`multihop` and `ttl_security` exclude each other", Some(help.into()));
    }
    match (multihop, ttl_security) {
        (None, None) => None,
        (Some(_), None) => Some(Reach::Multihop(j.number(multihop, 1, 1, 255, "a TTL"))),
        (_, Some(_)) => Some(Reach::Security(j.number(ttl_security, 1, 1, 254, "a number of hops"))),
    }
}

pub(super) fn max_prefixes(schema: &schema::MaxPrefixes, j: &mut Judge) -> MaxPrefixes {
    const ONE_PERCENT: u64 = 10_000_000;
    let most = j.lawful(&schema.most, |n| between(*n, 1, u64::from(u32::MAX), "a prefix limit"));
    let usual = MaxPrefixes::new(most.and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX));
    let Percent(share) = j.lawful_or(&schema.warn_at, Percent(u64::from(usual.warn_at) * ONE_PERCENT), |share| {
        let whole = share.0 % ONE_PERCENT == 0 && share.0 > 0;
        if whole {
            Ok(())
        } else {
            Err("the share of the limit from which on is warned is a whole percentage, at least 1%".into())
        }
    });
    let then = j.lawful_or(&schema.then, usual.then, |then| match then {
        AfterLimit::Restart(time) => positive(*time, "the wait before another attempt"),
        AfterLimit::Retry | AfterLimit::StayDown => Ok(()),
    });
    MaxPrefixes { warn_at: (share / ONE_PERCENT) as u8, then, ..usual }
}

pub(super) fn graceful_restart(schema: &schema::GracefulRestart, j: &mut Judge) -> GracefulRestart {
    let usual = GracefulRestart::default();
    let second = Duration::from_secs(1);
    // 12 bits of whole seconds (RFC 4724 section 3).
    let rule = |t: &Duration| {
        if !t.as_nanos().is_multiple_of(second.as_nanos()) {
            return Err("a restart time is whole seconds".into());
        }
        between(*t, second, second * 4_095, "a restart time")
    };
    GracefulRestart {
        restart_time: j.lawful_or(&schema.restart_time, usual.restart_time, rule),
        stale_path_time: j.lawful_or(&schema.stale_path_time, usual.stale_path_time, |t| positive(*t, "this time")),
        notification: j.or(&schema.notification, usual.notification),
        ..usual
    }
}

/// Where a tunnel says something of its BGP session, at either end; for what nothing is said in, the tunnel's own place.
pub(super) fn places(schema: &schema::Tunnel) -> Vec<Place> {
    let here = schema.outside_address.place;
    let customer = &schema.customer;
    let keys = [&schema.md5_key, &customer.md5_key].into_iter().flatten().map(|at| at.place);
    let hops = [&schema.ttl_security, &customer.ttl_security, &customer.multihop].into_iter().flatten();
    let limits = [&schema.max_prefixes, &customer.max_prefixes].into_iter().flatten();
    let graceful = [&schema.graceful_restart, &customer.graceful_restart].into_iter().flatten().map(|it| {
        let times = [&it.restart_time, &it.stale_path_time].into_iter().flatten().map(|at| at.place);
        times.chain(it.notification.iter().map(|at| at.place)).next().unwrap_or(here)
    });
    let announced = schema.most_announced.iter().map(|at| at.place);
    let limits = limits.map(|it| it.most.place).chain(announced);
    keys.chain(hops.map(|at| at.place)).chain(limits).chain(graceful).collect()
}

/// What is allowed at AWS's end of a tunnel here and not offered by AWS.
pub(super) fn extras(tunnel: &Tunnel) -> Vec<Warning> {
    let Some((aws, customer)) = &tunnel.bgp else { return Vec::new() };
    let (connection, own) = tunnel.name.split_once('.').unwrap_or((&tunnel.name, ""));
    let warning = |given: bool, setting: &str, text: &str| {
        let parameter = format!("connections.{connection}.tunnels.{own}.{setting}");
        given.then(|| Warning { parameter, text: text.to_owned() })
    };
    let secure = |reach: Reach| matches!(reach, Reach::Security(_));
    [
        warning(
            aws.md5_key.is_some(),
            "md5_key",
            "AWS has no option for TCP MD5 on VPN tunnels: such a session shows what another router does, not what AWS does",
        ),
        warning(
            customer.md5_key.is_some() && aws.md5_key.is_none(),
            "customer.md5_key",
            "AWS's end signs nothing, so this session never comes up",
        ),
        warning(
            secure(aws.reach),
            "ttl_security",
            "AWS documents no TTL security on VPN tunnels: such a session shows what another router does, not what AWS does",
        ),
        warning(
            secure(customer.reach) && !secure(aws.reach),
            "customer.ttl_security",
            "AWS's end sends with a TTL of 1 here, so the customer gateway hears nothing; which TTL AWS has is not published",
        ),
        warning(
            aws.graceful_restart.is_some(),
            "graceful_restart",
            "AWS documents no graceful restart on VPN tunnels: whether its endpoints have it is not published",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Neighbours that never come up, because they are external, in no subnet of the device, and not said to be farther away.
pub(super) fn off_link(plan: &Plan) -> Vec<Warning> {
    let mut all = Vec::new();
    for node in &plan.nodes {
        let (asn, forwarding) = match &node.kind {
            NodeKind::CustomerGateway(gateway) => (gateway.asn, &gateway.forwarding),
            NodeKind::BgpRouter(router) => (router.asn, &router.forwarding),
            _ => continue,
        };
        let far = |it: &&crate::plan::Neighbor| !it.attached && it.asn != asn && !it.end.reach.is_far();
        for neighbor in forwarding.neighbors.iter().filter(far) {
            all.push(Warning {
                parameter: format!("nodes.{}.neighbors.{}.multihop", node.name, neighbor.name),
                text: format!(
                    "{} is in no connected subnet: without `multihop` or `ttl_security` this session never comes up",
                    neighbor.address
                ),
            });
        }
    }
    all
}
