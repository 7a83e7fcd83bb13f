//! What is on the way of a tunnel: NATs that forget, links that are narrow, devices that want to see both halves of a flow.

use sim_core::id::NodeId;
use sim_core::net::nat::Mode;
use sim_core::node::ip::ReversePath;
use sim_core::time::Duration;

use super::drawing::{Between, Drawing, Exit, Part};
use super::ends::negotiated;
use super::rule::{
    AWS_CALLS_A_NAT, JUMBO_BEFORE_VPN, NAT_FORGETS, NO_MSS_CLAMP, STATE_BOUND_TO_TUNNEL, STRICT_REVERSE_PATH,
};
use super::{Desk, Suite, listed};
use crate::leaf::Integrity;
use crate::plan::{
    CustomerGateway, DpdTimeoutAction, Firewall, IkeEnd, Nat, NodeKind, Routing, StartupAction, StateMatch, Tunnel,
    TunnelId, Via,
};

/// The longest IP packet of an ordinary path.
const ETHERNET: u16 = 1500;

pub(super) fn look(desk: &mut Desk<'_>, drawing: &Drawing<'_>) {
    for (id, _, tunnel, path) in desk.tunnels() {
        let Some(way) = drawing.of_tunnel(id, None) else { continue };
        nat(desk, tunnel, &path, &way);
        narrow(desk, tunnel, &path, &way);
    }
    for between in drawing.between() {
        jumbo(desk, &between);
    }
    for (i, node) in desk.plan.nodes.iter().enumerate() {
        if let NodeKind::CustomerGateway(cgw) = &node.kind {
            halves_of_flows(desk, NodeId(i as u32), cgw);
        }
    }
}

/// The NAT on a way that shares its address, if there is one.
fn shared<'p>(desk: &Desk<'p>, way: &[Part]) -> Option<(&'p str, &'p Nat)> {
    way.iter().find_map(|part| match part {
        Part::Node(node) => match &desk.plan.nodes[node.index()].kind {
            NodeKind::Nat(nat) if nat.config.mode == Mode::Napt => Some((desk.name(*node), &**nat)),
            _ => None,
        },
        Part::Link(_) => None,
    })
}

fn nat(desk: &mut Desk<'_>, tunnel: &Tunnel, path: &str, way: &[Part]) {
    let Some((name, nat)) = shared(desk, way) else { return };
    let forgets = nat.config.timers.udp;
    // What leaves the customer gateway by itself while nobody has anything to say; AWS's checks are answered.
    let checks = |end: &IkeEnd| (end.dpd.action != DpdTimeoutAction::None).then_some(end.dpd.delay);
    let keepalives =
        tunnel.bgp.as_ref().map(|(_, customer)| customer.keepalive).filter(|every| *every > Duration::ZERO);
    let all = [tunnel.customer.nat_keepalive, keepalives, checks(&tunnel.aws), checks(&tunnel.customer)];
    let every = all.into_iter().flatten().min();
    if every.is_none_or(|every| every >= forgets) {
        let sends = every
            .map_or("never sends anything by itself".into(), |every| format!("sends something every {every} at best"));
        let text = format!(
            "{name} forgets UDP after {forgets}, and {} {sends} while it is idle: then AWS's packets find no mapping, and both ends hold \
             the tunnel for up.",
            tunnel.name
        );
        let change = "a NAT keepalive shorter than the NAT's timeout (20 s is the default of RFC 3948), dead peer detection or BGP";
        desk.say(NAT_FORGETS, format!("{path}.customer.nat_keepalive"), text, change);
    }
    if tunnel.aws.startup == StartupAction::Start {
        let text = format!(
            "AWS calls first (startup action start), and the customer gateway is behind {name}, which shares its address: AWS's first \
             packet finds no mapping there, so it is the customer gateway's call that brings {} up.",
            tunnel.name
        );
        let change = "UDP 500 and 4500 of the NAT forwarded to the customer gateway, or a customer gateway that calls and calls again";
        desk.say(AWS_CALLS_A_NAT, format!("{path}.startup_action"), text, change);
    }
}

/// The longest IP packet that fits into one of this length on the path: what is in front and behind of it in ESP, by the arithmetic that
/// gives AWS's table of MTUs for a path of 1,500 octets.
fn tunnel_mtu(path: u16, nat_traversal: bool, suite: Suite) -> u16 {
    let (iv, block, icv) = match suite.integrity {
        None => (8, 4, 16),
        Some(Integrity::Sha1) => (16, 16, 12),
        Some(Integrity::Sha2_256) => (16, 16, 16),
        Some(Integrity::Sha2_384) => (16, 16, 24),
        Some(Integrity::Sha2_512) => (16, 16, 32),
    };
    const IPV4: u16 = 20;
    const UDP: u16 = 8;
    const ESP: u16 = 8;
    const TRAILER: u16 = 2;
    let around = IPV4 + ESP + iv + icv + if nat_traversal { UDP } else { 0 };
    (path.saturating_sub(around) / block * block).saturating_sub(TRAILER)
}

fn narrow(desk: &mut Desk<'_>, tunnel: &Tunnel, path: &str, way: &[Part]) {
    let links = way.iter().filter_map(|part| match part {
        Part::Link(link) => Some(&desk.plan.links[link.index()]),
        Part::Node(_) => None,
    });
    let narrowest = links.map(|link| (link.forward.mtu.min(link.reverse.mtu), &link.name)).min();
    let Some((mtu, link)) = narrowest.filter(|(mtu, _)| *mtu < ETHERNET) else { return };
    if tunnel.customer.packets.mss_clamp.is_some() {
        return;
    }
    let Some(suite) = negotiated(&tunnel.aws.phase2, &tunnel.customer.phase2) else { return };
    const IPV4_AND_TCP: u16 = 40;
    let inside = tunnel_mtu(mtu, shared(desk, way).is_some(), suite);
    let most = inside.saturating_sub(IPV4_AND_TCP);
    let text = format!(
        "{link} carries {mtu} octets, so with {} no more than {inside} fit into {} without being cut, and AWS does no path MTU \
         discovery: longer packets that may not be cut vanish, and TCP hangs where pings pass.",
        suite.encryption, tunnel.name
    );
    let change =
        format!("customer.mss_clamping: {most}, which is what fits that path (\"auto\" reckons with 1,500 octets)");
    desk.say(NO_MSS_CLAMP, format!("{path}.customer"), text, change);
}

/// Flows that agreed on long segments over the line keep them in the tunnel.
fn jumbo(desk: &mut Desk<'_>, between: &Between) {
    let wide = between.exits.iter().find_map(|exit| match exit {
        Exit::Line { interface, .. } => match &desk.plan.nodes[interface.index()].kind {
            NodeKind::VirtualInterface(it) if it.mtu > ETHERNET => Some((it.mtu, desk.name(*interface))),
            _ => None,
        },
        Exit::Tunnel(_) => None,
    });
    let backup = between.exits.iter().find_map(|exit| match exit {
        Exit::Tunnel(id) => Some(desk.plan.connections[id.connection].name.as_str()),
        Exit::Line { .. } => None,
    });
    let (Some((mtu, interface)), Some(backup)) = (wide, backup) else { return };
    let text = format!(
        "{interface} carries {mtu} octets and {backup}, which stands in for it, at most 1,446: when it does, flows that agreed on long \
         segments hang, as a VPN connection does no path MTU discovery."
    );
    let change =
        "an MSS that fits the tunnel on both ways, 1,398 at most with the usual suites, or hosts with an MTU of 1,500";
    let path = interface.split_once('.').map_or_else(
        || format!("direct_connect.{interface}"),
        |(connection, name)| format!("direct_connect.{connection}.virtual_interfaces.{name}.mtu"),
    );
    desk.say(JUMBO_BEFORE_VPN, path, text, change);
}

/// A device that lets back in by a tunnel only what went out by it.
fn halves_of_flows(desk: &mut Desk<'_>, node: NodeId, cgw: &CustomerGateway) {
    let tunnels = desk.plan.tunnels_of(node);
    let mut gateways: Vec<NodeId> = tunnels.iter().map(|id| desk.plan.connections[id.connection].gateway).collect();
    gateways.sort_unstable();
    gateways.dedup();
    for gateway in gateways {
        let of_gateway = |id: &&TunnelId| desk.plan.connections[id.connection].gateway == gateway;
        let ways: Vec<TunnelId> = tunnels.iter().filter(of_gateway).copied().collect();
        let Some(why) = asymmetric(desk, cgw, gateway, &ways) else { continue };
        let name = desk.name(node);
        let names: Vec<&str> = ways.iter().map(|id| desk.plan.tunnel(*id).name.as_str()).collect();
        let change = "state that is not bound to the tunnel (one zone for all tunnels), or both directions steered into one tunnel: \
                      `local_preference` for what the customer gateway sends, `prepend` or `med` for what AWS sends";
        if let Some(firewall) = cgw.firewall().filter(|firewall| bound_apart(firewall, &ways)) {
            let text = format!(
                "The firewall of {name} ({}) knows a flow by the tunnel that it left by, and {why}: what comes back by another of {} is \
                 dropped.",
                firewall.profile.name,
                listed(&names)
            );
            desk.say(STATE_BOUND_TO_TUNNEL, format!("nodes.{name}.firewall"), text, change);
        }
        let strict = ways.iter().find(|id| desk.plan.tunnel(**id).customer_reverse_path == ReversePath::Strict);
        if let Some(strict) = strict {
            let tunnel = &desk.plan.tunnel(*strict).name;
            let text = format!(
                "{name} takes from {tunnel} only what it would send into it (strict reverse path), and {why}: AWS's answers by another \
                 of {} are dropped.",
                listed(&names)
            );
            let (connection, short) = tunnel.split_once('.').unwrap_or((tunnel, ""));
            let path = format!("connections.{connection}.tunnels.{short}.customer.reverse_path");
            desk.say(
                STRICT_REVERSE_PATH,
                path,
                text,
                "loose reverse path checks on tunnels, or both directions steered into one tunnel",
            );
        }
    }
}

impl CustomerGateway {
    fn firewall(&self) -> Option<&Firewall> {
        self.forwarding.firewall.as_ref()
    }
}

/// Whether a flow's state differs by the tunnel. What TCP does without a flow is let by where asymmetry is allowed.
fn bound_apart(firewall: &Firewall, ways: &[TunnelId]) -> bool {
    let zone = |id: &TunnelId| firewall.zones.iter().position(|zone| zone.contains(&Via::Tunnel(*id)));
    !firewall.asymmetric
        && match firewall.state_match {
            StateMatch::Any => false,
            StateMatch::Interface => true,
            StateMatch::Zone => ways.iter().any(|id| zone(id) != zone(&ways[0]) || zone(id).is_none()),
        }
}

/// Why a flow may come back by another tunnel than it left by; `None` if nothing speaks for it. Where policies decide, nothing is said.
fn asymmetric(desk: &Desk<'_>, cgw: &CustomerGateway, gateway: NodeId, ways: &[TunnelId]) -> Option<String> {
    if ways.len() < 2 {
        return None;
    }
    let aws = desk.name(gateway);
    if cgw.forwarding.ecmp.is_some() {
        return Some(format!("the customer gateway spreads flows over its tunnels while {aws} chooses for itself"));
    }
    if ways.iter().any(|id| matches!(desk.plan.connections[id.connection].routing, Routing::Static(_))) {
        return Some(format!("routing is static, where {aws} chooses its tunnel by a rule that AWS does not publish"));
    }
    let ends: Vec<_> = ways.iter().filter_map(|id| Some(&desk.plan.tunnel(*id).bgp.as_ref()?.1)).collect();
    if ends.iter().any(|end| end.import.is_some() || end.export.is_some()) {
        return None;
    }
    // What AWS weighs: fewer autonomous systems first, then the lower MED, which counts as 100 if there is none.
    const MISSING_MED: u32 = 100;
    let only = |best: &dyn Fn(usize) -> (u32, u32)| {
        let first = (0..ends.len()).map(best).min()?;
        let mut those = (0..ends.len()).filter(|i| best(*i) == first);
        those.next().filter(|_| those.next().is_none())
    };
    let of_aws = only(&|i| (ends[i].prepend, ends[i].med.unwrap_or(MISSING_MED)));
    let of_customer = only(&|i| (u32::MAX - ends[i].local_preference, 0));
    let name = |i: usize| &desk.plan.tunnel(ways[i]).name;
    let spreads = matches!(&desk.plan.nodes[gateway.index()].kind, NodeKind::TransitGateway(it) if it.vpn_ecmp);
    match (of_aws, of_customer) {
        (Some(a), Some(c)) if a == c => None,
        (Some(a), Some(c)) => {
            Some(format!("AWS is steered into {} and the customer gateway into {}", name(a), name(c)))
        }
        (None, _) if spreads => Some(format!("{aws} spreads flows over equal tunnels (VPN ECMP)")),
        (None, Some(c)) => Some(format!("the customer gateway prefers {}, while AWS is free to choose", name(c))),
        (Some(a), None) => Some(format!("AWS is steered into {}, while the customer gateway is not", name(a))),
        // The customer gateway follows the MED, by which AWS says which tunnel it uses.
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::Encryption;

    /// AWS's table of MTUs (best practices for a customer gateway device), all its rows.
    #[test]
    fn the_arithmetic_is_that_of_aws_s_table() {
        for (integrity, nat_traversal, mtu) in [
            (None, false, 1446),
            (None, true, 1438),
            (Some(Integrity::Sha1), false, 1438),
            (Some(Integrity::Sha2_256), false, 1438),
            (Some(Integrity::Sha1), true, 1422),
            (Some(Integrity::Sha2_256), true, 1422),
            (Some(Integrity::Sha2_384), false, 1422),
            (Some(Integrity::Sha2_384), true, 1422),
            (Some(Integrity::Sha2_512), false, 1422),
            (Some(Integrity::Sha2_512), true, 1406),
        ] {
            let encryption = if integrity.is_none() { Encryption::Aes256Gcm16 } else { Encryption::Aes128 };
            let suite = Suite { encryption, integrity, dh_group: None };
            assert_eq!(tunnel_mtu(ETHERNET, nat_traversal, suite), mtu, "{suite}, NAT traversal {nat_traversal}");
        }
    }
}
