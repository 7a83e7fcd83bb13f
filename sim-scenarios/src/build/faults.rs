//! The timeline: what each fault of a plan does to the world.

use sim_core::id::{LinkId, NodeId, Port};
use sim_core::node::Command;
use sim_core::time::Instant;
use sim_core::world::{Action, Fault, Impairment, Occasion};

use super::Builder;
use super::links::{jitter, loss};
use crate::plan::{self, Conditions, Directions, FaultKind, NodeKind, RouteCall, Routing, Side, TunnelId};

impl Builder<'_> {
    pub(super) fn add_faults(&mut self) {
        for fault in &self.plan.faults {
            let (what, target, actions) = self.actions(&fault.what);
            let mut occasions = vec![Occasion { strike: fault.at, heal: fault.heal }];
            if let FaultKind::Flap { down, up, times, .. } = fault.what {
                let start = |n: u32| fault.at + (down + up) * u64::from(n);
                occasions = (0..times).map(|n| Occasion { strike: start(n), heal: Some(start(n) + down) }).collect();
            }
            if !fault.enabled {
                occasions.clear();
            }
            let (name, what) = (fault.name.clone(), what.to_owned());
            self.world.add_fault(Fault { name, what, target, actions, occasions });
        }
        // What goes before some of them, or after, comes last: fault `n` of the plan is fault `n` of the world.
        for fault in self.plan.faults.iter().filter(|fault| fault.enabled) {
            if let Some(beside) = self.beside(fault) {
                self.world.add_fault(beside);
            }
        }
    }

    fn actions(&self, what: &FaultKind) -> (&'static str, String, Vec<Action>) {
        let link_name = |link: LinkId| self.plan.links[link.index()].name.clone();
        let tunnel_name = |id: TunnelId| self.plan.tunnel(id).name.clone();
        match what {
            FaultKind::Blackhole { link, direction } => {
                let (ways, suffix) = match direction {
                    Directions::Forward => ([true, false], " forward"),
                    Directions::Reverse => ([false, true], " reverse"),
                    Directions::Both => ([true; 2], ""),
                };
                let target = format!("{}{suffix}", link_name(*link));
                ("blackhole", target, vec![Action::Blackhole { link: *link, ways }])
            }
            FaultKind::LinkDown { link } => ("link_down", link_name(*link), vec![Action::LinkDown { link: *link }]),
            FaultKind::Flap { link, .. } => {
                // A path has no carrier to lose: it only discards.
                let ways = [true; 2];
                let carrier = self.plan.links[link.index()].carrier;
                let action =
                    if carrier { Action::LinkDown { link: *link } } else { Action::Blackhole { link: *link, ways } };
                ("link_flap", link_name(*link), vec![action])
            }
            FaultKind::Impair { link, forward, reverse } => {
                let impair = |ways, conditions| Action::Impair { link: *link, ways, change: impairment(conditions) };
                let actions = vec![impair([true, false], forward), impair([false, true], reverse)];
                ("impair", link_name(*link), actions)
            }
            FaultKind::PowerLoss { node } => {
                let name = self.plan.nodes[node.index()].name.clone();
                ("power_loss", name, vec![Action::PowerLoss { node: *node }])
            }
            FaultKind::NatFlush { node } => {
                let name = self.plan.nodes[node.index()].name.clone();
                let strike = Command::NatFlush;
                ("nat_flush", name, vec![Action::Operator { node: *node, strike, heal: None }])
            }
            FaultKind::NatRenumber { node, address } => {
                let name = self.plan.nodes[node.index()].name.clone();
                let strike = Command::NatRenumber { address: *address };
                ("nat_renumber", name, vec![Action::Operator { node: *node, strike, heal: None }])
            }
            FaultKind::AddressChange { node, interface, to } => {
                let (mut name, mut before) = (self.plan.nodes[node.index()].name.clone(), *to);
                if let NodeKind::CustomerGateway(gateway) = &self.plan.nodes[node.index()].kind
                    && let Some(interface) = gateway.interfaces.get(*interface)
                {
                    name = format!("{name}.{}", interface.name);
                    before = interface.address;
                }
                let readdress = |to| Command::Readdress { port: Port(*interface as u16), to };
                let (strike, heal) = (readdress(*to), Some(readdress(before)));
                ("address_change", name, vec![Action::Operator { node: *node, strike, heal }])
            }
            FaultKind::IkeDelete { tunnel, by } => {
                let (node, number) = self.operator(*tunnel, *by);
                let strike = Command::IkeDelete { tunnel: number };
                let heal = Some(Command::IkeInitiate { tunnel: number });
                ("ike_delete", tunnel_name(*tunnel), vec![Action::Operator { node, strike, heal }])
            }
            FaultKind::BgpShutdown { tunnel, by } => {
                let (node, number) = self.operator(*tunnel, *by);
                let strike = Command::BgpShutdown { tunnel: number };
                let heal = Some(Command::BgpStart { tunnel: number });
                ("bgp_shutdown", tunnel_name(*tunnel), vec![Action::Operator { node, strike, heal }])
            }
            FaultKind::ReplaceTunnelEndpoint { tunnel, .. } => {
                let node = self.plan.tunnel(*tunnel).endpoint;
                let mut actions = vec![Action::PowerLoss { node }];
                actions.extend(self.moved_away(*tunnel, true));
                ("replace_tunnel_endpoint", tunnel_name(*tunnel), actions)
            }
            FaultKind::ModifyTunnelOptions { tunnel, to, skip_replacement, .. } => {
                let node = self.plan.tunnel(*tunnel).endpoint;
                let strike = Command::Reconfigure { tunnel: 0, to: *to as u8 };
                let mut actions = vec![Action::Operator { node, strike, heal: None }];
                actions.extend((!skip_replacement).then_some(Action::PowerLoss { node }));
                ("modify_tunnel_options", tunnel_name(*tunnel), actions)
            }
            FaultKind::ModifyConnectionOptions { connection, to } => {
                let planned = &self.plan.connections[*connection];
                let of = |(tunnel, to): (&plan::Tunnel, &usize)| {
                    let strike = Command::Reconfigure { tunnel: 0, to: *to as u8 };
                    let node = tunnel.endpoint;
                    [Action::Operator { node, strike, heal: None }, Action::PowerLoss { node }]
                };
                let actions = planned.tunnels.iter().zip(to).flat_map(of).collect();
                ("modify_vpn_connection_options", planned.name.clone(), actions)
            }
            FaultKind::RevokeSecurityGroupRule { vpc, name, rule } => {
                let command = |revoked| Command::SecurityGroupRule { rule: *rule, revoked };
                let (node, strike, heal) = (*vpc, command(true), Some(command(false)));
                ("revoke_security_group_rule", name.clone(), vec![Action::Operator { node, strike, heal }])
            }
            FaultKind::VpcRoute(change) => {
                let vpc = &self.plan.nodes[change.node.index()];
                let table = match &vpc.kind {
                    NodeKind::Vpc(it) => it.route_tables.get(change.table).map_or("", |table| &table.name),
                    _ => "",
                };
                let what = match change.call() {
                    RouteCall::Create => "create_route",
                    RouteCall::Replace => "replace_route",
                    RouteCall::Delete => "delete_route",
                };
                let (node, heal) = (change.node, Some(self.route_command(&change.back())));
                let actions = vec![Action::Operator { node, strike: self.route_command(change), heal }];
                (what, format!("{}.{table} {}", vpc.name, change.destination), actions)
            }
            FaultKind::TransitRoute(change) => {
                let name = match &self.plan.nodes[change.node.index()] {
                    plan::Node { name, kind: NodeKind::TransitGateway(gateway), .. } => {
                        gateway.table_name(name, change.table as u8)
                    }
                    other => other.name.clone(),
                };
                let what = match change.call() {
                    RouteCall::Create => "create_transit_gateway_route",
                    RouteCall::Replace => "replace_transit_gateway_route",
                    RouteCall::Delete => "delete_transit_gateway_route",
                };
                let (node, heal) = (change.node, Some(self.transit_route(&change.back())));
                let actions = vec![Action::Operator { node, strike: self.transit_route(change), heal }];
                (what, format!("{name} {}", change.destination), actions)
            }
            FaultKind::ConnectionRoute(change) => {
                let connection = &self.plan.connections[change.connection];
                let what = if change.enters { "create_vpn_connection_route" } else { "delete_vpn_connection_route" };
                let (node, heal) = (connection.gateway, Some(self.connection_route(&change.back())));
                let actions = vec![Action::Operator { node, strike: self.connection_route(change), heal }];
                (what, format!("{} {}", connection.name, change.destination), actions)
            }
            FaultKind::VrrpShutdown { node, interface } => {
                let name = self.plan.nodes[node.index()].name.clone();
                let command = |stop| Command::Vrrp { port: Port(*interface as u16), stop };
                let (strike, heal) = (command(true), Some(command(false)));
                ("vrrp_shutdown", name, vec![Action::Operator { node: *node, strike, heal }])
            }
            FaultKind::VlanRemoved { node, vlan } => {
                let name = format!("{} vlan {vlan}", self.plan.nodes[node.index()].name);
                let command = |removed| Command::Vlan { vlan: *vlan, removed };
                let (strike, heal) = (command(true), Some(command(false)));
                ("vlan_removed", name, vec![Action::Operator { node: *node, strike, heal }])
            }
            FaultKind::FailoverTest { node } => {
                let name = self.plan.nodes[node.index()].name.clone();
                let (strike, heal) = (Command::BgpShutdown { tunnel: 0 }, Some(Command::BgpStart { tunnel: 0 }));
                ("bgp_failover_test", name, vec![Action::Operator { node: *node, strike, heal }])
            }
            FaultKind::UpdateVirtualInterface(update) => {
                let name = self.plan.nodes[update.node.index()].name.clone();
                ("update_virtual_interface_attributes", name, self.interface_update(update))
            }
            FaultKind::GroupFailure { group } => {
                let group = &self.plan.groups[*group];
                let nodes = group.nodes.iter().map(|node| Action::PowerLoss { node: *node });
                let links = group.links.iter().map(|link| Action::LinkDown { link: *link });
                ("group_failure", group.name.clone(), nodes.chain(links).collect())
            }
        }
    }

    /// What else happens because of a fault, at another moment.
    fn beside(&self, fault: &plan::Fault) -> Option<Fault> {
        let (suffix, what, tunnel, at, actions) = match &fault.what {
            FaultKind::ReplaceTunnelEndpoint { tunnel, lead, .. } => {
                let at = Instant::START + fault.at.since_start().saturating_sub(*lead);
                ("lead", "move_traffic", *tunnel, at, self.moved_away(*tunnel, false))
            }
            FaultKind::ModifyTunnelOptions { tunnel, customer: Some((at, to)), .. } => {
                let (node, number) = self.operator(*tunnel, Side::Customer);
                let strike = Command::Reconfigure { tunnel: number, to: *to as u8 };
                ("customer", "reconfigure", *tunnel, *at, vec![Action::Operator { node, strike, heal: None }])
            }
            _ => return None,
        };
        let (name, target) = (format!("{}.{suffix}", fault.name), self.plan.tunnel(tunnel).name.clone());
        let occasions = vec![Occasion { strike: at, heal: None }];
        Some(Fault { name, what: what.to_owned(), target, actions, occasions })
    }

    /// AWS moves traffic from a tunnel to the other one of its connection: a lower MED on the other, a higher one on this, and the
    /// gateway's own traffic (guide, "tunnel endpoint updates"); with `back`, as it was when the fault heals.
    fn moved_away(&self, tunnel: TunnelId, back: bool) -> Vec<Action> {
        let connection = &self.plan.connections[tunnel.connection];
        let [low, high] = self.plan.assume.meds;
        let mut actions = Vec::new();
        if connection.routing == Routing::Bgp {
            for other in (0..connection.tunnels.len()).map(|t| TunnelId { tunnel: t, ..tunnel }) {
                let strike = Command::Med { med: if other == tunnel { high } else { low } };
                let heal = back.then(|| Command::Med { med: self.aws_med(other) });
                actions.push(Action::Operator { node: self.plan.tunnel(other).endpoint, strike, heal });
            }
        }
        let number = self.index.number(connection.gateway, tunnel);
        let drain = |drained| Command::Drain { tunnel: number, drained };
        actions.push(Action::Operator {
            node: connection.gateway,
            strike: drain(true),
            heal: back.then(|| drain(false)),
        });
        actions
    }

    /// At which device, and to which tunnel number there, a command about a tunnel is typed.
    fn operator(&self, id: TunnelId, by: Side) -> (NodeId, u16) {
        match by {
            Side::Aws => (self.plan.tunnel(id).endpoint, 0),
            Side::Customer => {
                let cgw = self.plan.connections[id.connection].customer_gateway;
                (cgw, self.index.number(cgw, id))
            }
        }
    }
}

fn impairment(conditions: &Conditions) -> Impairment {
    Impairment {
        loss: Some(loss(conditions.loss)),
        delay: Some(conditions.delay),
        jitter: Some(jitter(conditions.jitter)),
        rate: conditions.rate,
        drops_fragments: Some(conditions.drops_fragments),
    }
}
