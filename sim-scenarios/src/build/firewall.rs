//! Firewalls of gateways and routers, and the applications of hosts.

use sim_core::id::{NodeId, Port};
use sim_core::net::conntrack::Zone;
use sim_core::net::firewall::{Firewall, FirewallConfig, Side};
use sim_core::node::gateway::Gateway;
use sim_core::node::host::{FlowKind, FlowsConfig};
use sim_core::node::inspection::{Inspection, StateSyncModel};
use sim_core::node::tunnel_nat::TunnelNat;
use sim_core::rng::{Purpose, Rng};

use super::Builder;
use super::routers::Ports;
use crate::make::FIRST_UDP_PORT;
use crate::plan::{self, Forwarding, NodeKind, StateMatch};

impl Builder<'_> {
    /// Gives a device its firewall, or a census of flows if it spreads them and there are applications to count.
    pub(super) fn inspect(&self, id: NodeId, gateway: &mut Gateway, ports: &Ports<'_>, forwarding: &Forwarding) {
        let firewall = forwarding.firewall.as_ref().map(|it| Firewall::new(firewall(it, ports)));
        let counts = forwarding.ecmp.is_some() && !self.plan.applications.is_empty();
        let nat = forwarding.tunnel_nat.map(|(address, per_tunnel)| {
            let tunnels: Vec<Port> = (0..ports.tunnels.len()).map(|number| ports.tunnel(number)).collect();
            let rng = Rng::stream(self.plan.seed, &self.plan.nodes[id.index()].name, Purpose::NatPorts);
            TunnelNat::new(address, &tunnels, per_tunnel, &rng)
        });
        if firewall.is_some() || counts || nat.is_some() {
            let sync = forwarding.firewall.as_ref().and_then(|it| it.sync);
            let sync = sync.map(|(partner, delay)| StateSyncModel { partner, delay });
            gateway.inspection = Some(Box::new(Inspection { firewall, sync, nat, ..Inspection::default() }));
        }
    }

    /// What a host's applications ask.
    pub(super) fn flows(&self, id: NodeId) -> Vec<FlowsConfig> {
        let mut next = FIRST_UDP_PORT;
        let own = self.plan.applications.iter().enumerate().filter(|(_, it)| it.from == id);
        let names = self.names_of(id);
        let config = |(number, it): (usize, &plan::Application)| {
            let first_port = next;
            if it.kind == FlowKind::Udp {
                next = next.saturating_add(u16::try_from(it.flows).unwrap_or(u16::MAX));
            }
            FlowsConfig {
                application: number as u16,
                kind: it.kind,
                to: match &self.plan.nodes[it.to.index()].kind {
                    NodeKind::Host(h) => h.address.addr().into(),
                    NodeKind::Instance(i) => i.address.into(),
                    _ => std::net::Ipv4Addr::UNSPECIFIED.into(),
                },
                count: it.flows,
                start: it.start,
                spacing: it.spacing,
                size: it.size,
                every: it.every,
                questions: it.questions,
                stop: it.stop,
                first_port,
                name: names.iter().position(|name| Some(name) == it.lookup.as_ref()).map(|name| name as u16),
            }
        };
        own.map(config).collect()
    }

    /// Whether a host needs a TCP for its applications, or for those of others with it.
    pub(super) fn has_tcp_flows(&self, id: NodeId) -> bool {
        let mut flows = self.plan.applications.iter().filter(|it| it.kind == FlowKind::Tcp);
        flows.any(|it| it.from == id || it.to == id)
    }
}

/// Each port is a zone by itself, numbered like the port; zones that are named come after all ports.
fn firewall(it: &plan::Firewall, ports: &Ports<'_>) -> FirewallConfig {
    let all = ports.interfaces.len() + ports.tunnels.len();
    let mut sides: Vec<Side> = (0..all).map(|port| Side { zone: Zone(port as u16), begins: false }).collect();
    for via in &it.inside {
        if let Some(Port(port)) = ports.of(*via) {
            sides[usize::from(port)].begins = true;
        }
    }
    if it.state_match == StateMatch::Zone {
        for (number, zone) in it.zones.iter().enumerate() {
            for Port(port) in zone.iter().filter_map(|via| ports.of(*via)) {
                sides[usize::from(port)].zone = Zone((all + number) as u16);
            }
        }
    }
    FirewallConfig { track: it.track, sides, on_miss: it.on_miss, asymmetric: it.asymmetric }
}
