//! Tunnels whose outside is IPv6.
//!
//! What AWS asks (Site-to-Site VPN user guide, "IPv4 and IPv6 traffic"): the connection ends at a transit gateway, and both its tunnels have
//! IPv6 addresses at both ends. Inside they carry either family. What this program does not do over IPv6 is refused here: AH, an
//! accelerated connection, private-IP VPN, a customer gateway in a VPC and a real one.

use core::net::IpAddr;

use sim_core::proto::ike::config::ChildProtocol;

use crate::place::Place;
use crate::plan::{Connection, NodeKind, Plan};
use crate::schema;

use super::judge::Judge;

/// Gives tunnels from an IPv6 address the address of the interface where they start, when interfaces have theirs.
pub(super) fn make(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    for (number, (_, schema)) in scenario.connections.0.iter().enumerate() {
        let schema::Connection::Vpn(schema) = schema;
        let Some(connection) = plan.connections.get(number) else { continue };
        let is_ipv6 = |tunnel: &crate::plan::Tunnel| tunnel.aws_outside.is_ipv6();
        let Some(first) = connection.tunnels.iter().position(is_ipv6) else { continue };
        let place = schema.tunnels.0[first].1.outside_address.place;
        if !connection.tunnels.iter().all(is_ipv6) {
            j.wrong(place, "both tunnels of a connection have outside addresses of one family", None);
        }
        judge(schema, connection, place, plan, j);
        let wan = (connection.customer_gateway, connection.customer_interface);
        let Some(own) = plan.ipv6.interfaces.get(&wan).map(|net| IpAddr::V6(net.addr())) else {
            let help = "give the interface `ipv6_address:`, like \"2001:db8::10/64\"";
            j.wrong(place, "the interface where this tunnel starts has no IPv6 address", Some(help.into()));
            continue;
        };
        for tunnel in plan.connections[number].tunnels.iter_mut().filter(|tunnel| is_ipv6(tunnel)) {
            (tunnel.customer_outside, tunnel.customer_registered) = (own, own);
        }
    }
}

fn judge(schema: &schema::Vpn, connection: &Connection, place: Place, plan: &Plan, j: &mut Judge) {
    let kind = |node: sim_core::id::NodeId| plan.nodes.get(node.index()).map(|node| &node.kind);
    if let Some(NodeKind::VirtualPrivateGateway(_)) = kind(connection.gateway) {
        let help = "end the connection at a transit gateway, or give its tunnels IPv4 addresses";
        j.wrong(place, "a virtual private gateway has no outside addresses of IPv6", Some(help.into()));
    }
    if let Some(NodeKind::CustomerGateway(gateway)) = kind(connection.customer_gateway) {
        if gateway.instance.is_some() {
            j.wrong(place, "a customer gateway in a VPC has its Elastic IP address outside, which is IPv4", None);
        }
        if gateway.external.is_some() {
            j.wrong(place, "a real customer gateway is reached by IPv4 only here", None);
        }
    }
    let accelerated = schema.enable_acceleration.as_ref().filter(|at| at.value.as_ref().is_ok_and(|on| *on));
    if let Some(at) = accelerated {
        j.wrong(at.place, "an accelerated connection is over IPv4 here", None);
    }
    if let Some(at) = &schema.transport {
        j.wrong(at.place, "private-IP VPN is over IPv4: `OutsideIpAddressType` is one or the other", None);
    }
    if let Some(at) = &schema.customer_address {
        let help = "AWS has that of the interface where the tunnels start";
        j.wrong(at.place, "the outside of this connection is IPv6, and this is an IPv4 address", Some(help.into()));
    }
    let ends = connection.tunnels.iter().flat_map(|tunnel| [&tunnel.aws, &tunnel.customer]);
    if ends.into_iter().any(|end| end.child_protocol != ChildProtocol::Esp) {
        j.wrong(place, "AH goes over IPv4 only here", None);
    }
}
