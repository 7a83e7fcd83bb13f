//! LANs: stations, switches and virtual routers.

use sim_core::id::{NodeId, Port, SessionId};
use sim_core::node::gateway::Gateway;
use sim_core::node::host;
use sim_core::node::ip::TrackId;
use sim_core::node::lan::{StationConfig, station};
use sim_core::node::switch::{Switch, SwitchPort};
use sim_core::node::vrrp::{VrrpConfig, Vrrps};
use sim_core::proto::vrrp;
use sim_core::trace::{SessionInfo, SessionKind};
use sim_core::world::World;

use super::{Builder, forwarding};
use crate::plan::{self, Interface, Link, Plan};

/// Octets by which a frame is longer than its packet, with a tag.
pub(super) const FRAME: u32 = 18;

impl Plan {
    /// True if a device speaks Ethernet at an interface: a link leads from there to a switch.
    pub(crate) fn station(&self, node: NodeId, interface: Option<usize>) -> bool {
        let end = plan::End { node, interface };
        self.links.iter().any(|link| link.ends.contains(&end) && self.is_framed(link))
    }

    /// True if a link carries frames.
    pub(crate) fn is_framed(&self, link: &Link) -> bool {
        let kind = |end: &plan::End| self.nodes.get(end.node.index()).map(|node| &node.kind);
        link.ends.iter().any(|end| matches!(kind(end), Some(plan::NodeKind::Switch(_))))
    }
}

/// Names the sessions of a device's virtual routers: interface, number there, session. Two of one VRID on one network are a pair.
pub(super) fn add_sessions(plan: &Plan, node: NodeId, world: &mut World) -> Vec<(usize, usize, SessionId)> {
    let mut all = Vec::new();
    let planned = &plan.nodes[node.index()];
    let interfaces = forwarding(&planned.kind).map_or(&[][..], |(_, interfaces)| interfaces);
    for (interface, it) in interfaces.iter().enumerate() {
        for (number, router) in it.virtual_routers.iter().enumerate() {
            let name = format!("{}@{}", router.name, planned.name);
            let info = SessionInfo { kind: SessionKind::Vrrp, node, name, peer: None };
            all.push((interface, number, world.trace.add_session(info)));
        }
    }
    all
}

/// Pairs the sessions of virtual routers, each with the first other one that has none yet.
pub(super) fn pair_sessions(plan: &Plan, all: &[super::RouterSessions], world: &mut World) {
    let mut alone: Vec<((u8, ipnet::Ipv4Net), SessionId)> = Vec::new();
    for (node, sessions) in plan.nodes.iter().zip(all) {
        let interfaces = forwarding(&node.kind).map_or(&[][..], |(_, interfaces)| interfaces);
        for &(interface, number, session) in &sessions.vrrp {
            let it: &Interface = &interfaces[interface];
            let of = (it.virtual_routers[number].vrid, it.address.trunc());
            match alone.iter().position(|(other, _)| *other == of) {
                Some(place) => world.trace.pair_sessions(alone.remove(place).1, session),
                None => alone.push((of, session)),
            }
        }
    }
}

impl Builder<'_> {
    /// The station of a host, if it is on a LAN.
    pub(super) fn host_station(&self, id: NodeId) -> Option<StationConfig> {
        let plan::NodeKind::Host(host) = &self.plan.nodes[id.index()].kind else { return None };
        let mac = station(id, host::PORT);
        let config = StationConfig {
            port: host::PORT,
            mac,
            address: host.address,
            vlan: None,
            gateway: Some(host.gateway).filter(|gateway| !gateway.is_unspecified()),
        };
        self.plan.station(id, None).then_some(config)
    }

    /// The stations and virtual routers of a gateway.
    pub(super) fn on_lan(&self, id: NodeId, gateway: &mut Gateway, interfaces: &[Interface]) {
        for (number, interface) in interfaces.iter().enumerate() {
            let port = Port(number as u16);
            if self.plan.station(id, Some(number)) {
                let (mac, vlan) = (station(id, port), interface.vlan);
                gateway.ip.add_station(StationConfig { port, mac, address: interface.address, vlan, gateway: None });
            }
        }
        let config = |&(interface, number, session): &(usize, usize, SessionId)| {
            let (it, port) = (&interfaces[interface], Port(interface as u16));
            let router = &it.virtual_routers[number];
            let machine = vrrp::Config {
                vrid: router.vrid,
                priority: router.priority,
                addresses: vec![router.address],
                primary: it.address.addr(),
                interval: router.interval,
                preempt: router.preempt,
                accept: router.accept,
            };
            let tracks = router.tracks.iter().map(|(track, by)| (TrackId(*track as u8), *by)).collect();
            VrrpConfig { port, session, machine, tracks }
        };
        let all: Vec<VrrpConfig> = self.routers[id.index()].vrrp.iter().map(config).collect();
        if !all.is_empty() {
            gateway.vrrps = Some(Box::new(Vrrps::new(all)));
        }
    }
}

pub(super) fn switch(switch: &plan::Switch) -> Switch {
    let port = |port: &plan::SwitchPort| SwitchPort { untagged: port.untagged, tagged: port.tagged.clone() };
    Switch::new(switch.ports.iter().map(port).collect(), switch.aging)
}
