//! The settings of what lies below routing: virtual routers, members of a LAG, clients of Client VPN.

use sim_core::id::NodeId;
use sim_core::reason::TimerKind;
use sim_core::time::Duration;
use sim_core::trace::{SessionInfo, SessionKind, Trace};

use super::parameter::{Behind, parameter};
use crate::plan::{Interface, NodeKind, Plan};
use crate::scenario::Scenario;

/// The setting behind an expired timer of a session; `None` if it is of another kind.
pub fn behind(scenario: &Scenario, plan: &Plan, trace: &Trace, info: &SessionInfo, timer: TimerKind) -> Option<Behind> {
    match (info.kind, timer) {
        (SessionKind::Vrrp, TimerKind::VrrpMasterDown) => {
            let peer = info.peer.map(|peer| &trace.sessions()[peer.index()]);
            virtual_router(scenario, plan, info, peer)
        }
        (SessionKind::Lacp, TimerKind::LacpCurrentWhile) => member(scenario, plan, info),
        (SessionKind::ClientVpn, _) => client(scenario, plan, info, timer),
        _ => None,
    }
}

/// Interfaces of a device of a customer.
fn interfaces(plan: &Plan, node: NodeId) -> &[Interface] {
    match &plan.nodes[node.index()].kind {
        NodeKind::CustomerGateway(it) => &it.interfaces,
        NodeKind::BgpRouter(it) => &it.interfaces,
        _ => &[],
    }
}

/// The path of a virtual router's settings, and its Advertisement_Interval.
fn vrrp(plan: &Plan, info: &SessionInfo) -> Option<(String, Duration)> {
    let (name, device) = info.name.rsplit_once('@')?;
    interfaces(plan, info.node).iter().find_map(|interface| {
        let router = interface.virtual_routers.iter().find(|router| router.name == name)?;
        let path = format!("nodes.{device}.interfaces.{}.vrrp.{name}", interface.name);
        Some((path, Duration::from_millis(10 * u64::from(router.interval))))
    })
}

/// The interval that a backup counts with is the master's, who tells it (RFC 5798 section 6.1), so both are changed.
fn virtual_router(scenario: &Scenario, plan: &Plan, own: &SessionInfo, peer: Option<&SessionInfo>) -> Option<Behind> {
    let backup = vrrp(plan, own)?;
    let master = peer.and_then(|peer| vrrp(plan, peer));
    let (path, interval) = master.as_ref().unwrap_or(&backup);
    let setting = |path: &str| format!("{path}.advertisement_interval");
    let shorter = [500, 100].map(Duration::from_millis).into_iter().filter(|value| value < interval);
    let changes = shorter.map(|value| {
        let paths = [Some(&backup.0), master.as_ref().map(|(path, _)| path)].into_iter().flatten();
        let edits = paths.map(|path| format!("{}={value}", setting(path))).collect();
        (format!("both routers advertise every {value}"), edits)
    });
    Some(Behind {
        candidates: changes.collect(),
        parameter: Some(parameter(scenario, setting(path), interval.to_string(), None)),
        remark: Some("Master_Down_Interval is three intervals and the skew time (RFC 5798 section 6.1).".into()),
    })
}

/// An end misses the other by what it has asked for itself: 3 s or 90 (IEEE 802.1AX-2020 section 6.4.4).
fn member(scenario: &Scenario, plan: &Plan, info: &SessionInfo) -> Option<Behind> {
    let (name, device) = info.name.rsplit_once('@')?;
    let link = plan.links.iter().find(|link| link.name == name)?;
    let end = link.ends.iter().find(|end| end.node == info.node)?;
    let (path, fast, aws) = match &plan.nodes[info.node.index()].kind {
        NodeKind::VirtualInterface(it) => {
            let connection = &plan.direct_connects[it.connection].name;
            (format!("direct_connect.{connection}.lag.fast"), it.interfaces.first()?.lag?.fast, true)
        }
        _ => {
            let interface = interfaces(plan, info.node).get(end.interface?)?;
            (format!("nodes.{device}.interfaces.{}.lag.fast", interface.name), interface.lag?.fast, false)
        }
    };
    let change = || ("LACP that misses the other end after 3 s".to_owned(), vec![format!("{path}=true")]);
    Some(Behind {
        candidates: (!fast && !aws).then(change).into_iter().collect(),
        parameter: Some(parameter(scenario, path.clone(), fast.to_string(), None)),
        remark: aws.then(|| "With which timeout AWS's end of a LAG speaks LACP is AWS's own.".into()),
    })
}

fn client(scenario: &Scenario, plan: &Plan, info: &SessionInfo, timer: TimerKind) -> Option<Behind> {
    let (endpoint, name) = info.name.rsplit_once('@')?;
    let (path, value, least) = match timer {
        TimerKind::ClientVpnDead => {
            let config = &plan.client_vpns.iter().find(|it| it.name == endpoint)?.config;
            // No end is missed before it had to show that it lives.
            (format!("client_vpn.{endpoint}.dead_after"), config.dead_after, config.ping)
        }
        TimerKind::ClientVpnConnect => match &plan.nodes[info.node.index()].kind {
            NodeKind::VpnClient(it) => (format!("nodes.{name}.connect_timeout"), it.connect_timeout, Duration::ZERO),
            _ => return None,
        },
        _ => return None,
    };
    // AWS sends what an OpenVPN client is told; the client's own file may say otherwise.
    let shorter = [30, 15, 5].map(Duration::from_secs).into_iter().filter(|it| *it < value && *it > least);
    Some(Behind {
        candidates: shorter.map(|it| (format!("a client that waits for {it}"), vec![format!("{path}={it}")])).collect(),
        parameter: Some(parameter(scenario, path.clone(), value.to_string(), None)),
        remark: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Simulation;
    use crate::scenario::NoSecrets;

    fn library(name: &str) -> Scenario {
        let path = format!("{}/../scenarios/{name}.ron", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        Scenario::parse(name, &text, &NoSecrets).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// What is behind a timer of a session of a scenario; every change that is proposed is one that can be made.
    fn found(scenario: &Scenario, session: &str, timer: TimerKind) -> Behind {
        let simulation = Simulation::new(scenario);
        let trace = &simulation.world().trace;
        let info = trace.sessions().iter().find(|info| info.name == session).expect("it has that session");
        let found = behind(scenario, scenario.plan(), trace, info, timer).expect("a setting is known");
        for (_, edits) in &found.candidates {
            assert!(scenario.with(edits, &NoSecrets).is_ok(), "{edits:?}");
        }
        found
    }

    fn path(behind: &Behind) -> (&str, &str) {
        let parameter = behind.parameter.as_ref().unwrap();
        (&parameter.path, &parameter.value)
    }

    #[test]
    fn a_backup_counts_with_the_interval_of_its_master() {
        let scenario = library("ha_firewall_takeover");
        let it = found(&scenario, "office-in@fw2", TimerKind::VrrpMasterDown);
        assert!(path(&it).0.starts_with("nodes.fw1.interfaces.") && path(&it).1 == "1s", "{:?}", it.parameter);
        assert_eq!(it.candidates[0].1.len(), 2, "both routers: {:?}", it.candidates);
    }

    #[test]
    fn an_end_of_a_lag_asks_for_its_own_timeout() {
        let scenario = library("dx_lag_member_loss");
        let it = found(&scenario, "line-a1@site-a", TimerKind::LacpCurrentWhile);
        assert_eq!(path(&it), ("nodes.site-a.interfaces.dx.lag.fast", "true"));
        assert!(it.candidates.is_empty(), "nothing is faster");
        let slow = scenario.with(&["nodes.site-a.interfaces.dx.lag.fast=false"], &NoSecrets).unwrap();
        let it = found(&slow, "line-a1@site-a", TimerKind::LacpCurrentWhile);
        assert_eq!(it.candidates.len(), 1);
        let it = found(&scenario, "line-a1@lag-a.private", TimerKind::LacpCurrentWhile);
        assert!(it.candidates.is_empty() && it.remark.unwrap().contains("AWS's own"));
    }

    #[test]
    fn a_client_waits_as_long_as_its_endpoint_says() {
        let scenario = library("client_vpn_split_tunnel");
        let it = found(&scenario, "remote@client", TimerKind::ClientVpnDead);
        assert_eq!(path(&it), ("client_vpn.remote.dead_after", "60s"));
        assert_eq!(it.candidates.len(), 2, "5 s are less than a ping");
        let it = found(&scenario, "remote@client", TimerKind::ClientVpnConnect);
        assert_eq!(path(&it), ("nodes.client.connect_timeout", "10s"));
    }
}
