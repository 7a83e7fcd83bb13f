//! LANs: switches, what is linked to them, and virtual routers.

use std::collections::BTreeMap;

use petgraph::unionfind::UnionFind;
use sim_core::id::NodeId;
use sim_core::time::Duration;

use crate::leaf::{Count, Name};
use crate::place::{At, Named};
use crate::plan::{FaultKind, Interface, Node, NodeKind, Plan, Switch, SwitchPort, VirtualRouter};
use crate::schema;

use super::judge::{Judge, between};

/// VLANs there are (IEEE 802.1Q-2022 table 9-2).
const VLANS: [u64; 2] = [1, 4094];
/// The VLAN of a port of which nothing is said (IEEE 802.1Q-2022 table 9-2: the default PVID).
const USUAL_VLAN: u16 = 1;

pub(super) fn switch(schema: &schema::Switch, j: &mut Judge) -> Switch {
    let names = j.names(&schema.ports, "port");
    let port = |(name, (_, port)): (String, &(At<Name>, schema::SwitchPort))| {
        let tagged: Vec<u16> = port.tagged.iter().filter_map(|at| vlan(at, j)).collect();
        let usual = tagged.is_empty().then_some(USUAL_VLAN);
        SwitchPort { name, untagged: port.vlan.as_ref().map_or(usual, |at| vlan(at, j)), tagged }
    };
    let ports = names.into_iter().zip(&schema.ports.0).map(port).collect();
    let (second, million) = (Duration::from_secs(1), Duration::from_secs(1_000_000));
    let aging = j.lawful_or(&schema.aging, Duration::from_secs(300), |t| between(*t, second, million, "an aging time"));
    Switch { ports, aging }
}

pub(super) fn vlan(at: &At<Count>, j: &mut Judge) -> Option<u16> {
    let found = j.lawful(at, |vlan| between(*vlan, VLANS[0], VLANS[1], "a VLAN identifier"));
    found.and_then(|vlan| u16::try_from(vlan).ok())
}

/// The virtual routers of a device's interfaces.
pub(super) fn virtual_routers(
    made: &mut [Interface],
    schema: &Named<schema::Interface>,
    tracks: &Named<schema::Track>,
    j: &mut Judge,
) {
    let watched: Vec<String> =
        tracks.0.iter().map(|(at, _)| at.value.as_ref().map(|Name(name)| name.clone()).unwrap_or_default()).collect();
    for (interface, (_, schema)) in made.iter_mut().zip(&schema.0) {
        let names = j.names(&schema.vrrp, "virtual router");
        for (name, (_, router)) in names.into_iter().zip(&schema.vrrp.0) {
            let made = virtual_router(name, router, interface, &watched, j);
            interface.virtual_routers.push(made);
        }
    }
}

fn virtual_router(
    name: String,
    schema: &schema::VirtualRouter,
    interface: &Interface,
    watched: &[String],
    j: &mut Judge,
) -> VirtualRouter {
    let others = &interface.virtual_routers;
    let vrid = j.lawful(&schema.vrid, |vrid| {
        between(*vrid, 1, 255, "a VRID")?;
        match others.iter().find(|other| u64::from(other.vrid) == *vrid) {
            Some(other) => Err(format!("`{}` has this VRID at this interface", other.name)),
            None => Ok(()),
        }
    });
    let net = interface.address;
    let address = j.lawful(&schema.address, |address| match net.contains(address) {
        true => Ok(()),
        false => Err(format!("{address} is not in the interface's subnet {}", net.trunc())),
    });
    let owner = address == Some(net.addr());
    if let Some(at) = schema.priority.as_ref().filter(|_| owner) {
        j.wrong(at.place, "the owner of the address has priority 255", Some("leave it out".into()));
    }
    let priority = if owner { 255 } else { j.number(&schema.priority, 100, 1, 254, "a priority") };
    let centisecond = Duration::from_millis(10);
    let interval = j.lawful_or(&schema.advertisement_interval, Duration::from_secs(1), |t| {
        if !t.as_nanos().is_multiple_of(centisecond.as_nanos()) {
            return Err("an advertisement interval is whole centiseconds".into());
        }
        between(*t, centisecond, centisecond * 4095, "an advertisement interval")
    });
    let tracks = schema.tracks.iter().filter_map(|it| {
        let track = j.find(&it.track, "track of this device", watched);
        let by = j.lawful(&it.decrement, |by| between(*by, 1, 253, "a decrement"));
        if owner {
            j.wrong(it.track.place, "an owner's priority is 255, whatever it tracks", None);
        }
        Some((track?, u8::try_from(by?).ok()?))
    });
    VirtualRouter {
        name,
        vrid: vrid.and_then(|vrid| u8::try_from(vrid).ok()).unwrap_or(1),
        address: address.unwrap_or(net.addr()),
        priority,
        tracks: tracks.collect(),
        preempt: j.or(&schema.preempt, true),
        interval: u16::try_from(interval.as_nanos() / centisecond.as_nanos()).unwrap_or(100),
        accept: j.or(&schema.accept, false),
    }
}

/// What is linked to switches, and what needs to be.
pub(super) fn links(scenario: &schema::Scenario, plan: &Plan, j: &mut Judge) {
    let kind = |node: NodeId| plan.nodes.get(node.index()).map(|node| &node.kind);
    let is_switch = |node: NodeId| matches!(kind(node), Some(NodeKind::Switch(_)));
    let mut sets = UnionFind::new(plan.nodes.len());
    for (link, (_, schema)) in plan.links.iter().zip(&scenario.links.0) {
        let (schema::Link::Link(line) | schema::Link::Path(line)) = schema;
        let ats = [&line.between.0, &line.between.1];
        for (here, there) in [(0, 1), (1, 0)] {
            let (end, other) = (link.ends[here], link.ends[there]);
            if !is_switch(other.node) {
                continue;
            }
            let refused = match kind(end.node) {
                Some(NodeKind::Host(_) | NodeKind::Switch(_)) | None => None,
                Some(NodeKind::CustomerGateway(it)) if it.external.is_some() => {
                    Some("a real device speaks IP here and no Ethernet")
                }
                Some(kind @ (NodeKind::CustomerGateway(_) | NodeKind::BgpRouter(_))) => {
                    let interface = end.interface.and_then(|number| crate::build::forwarding(kind)?.1.get(number));
                    interface.and_then(|it| it.lag).map(|_| "a switch has no LAGs")
                }
                Some(_) => Some("only hosts, customer gateways, BGP routers and switches speak Ethernet"),
            };
            if let Some(message) = refused {
                j.wrong(ats[here].place, message, None);
            }
        }
        if link.ends.iter().all(|end| is_switch(end.node))
            && !sets.union(link.ends[0].node.index(), link.ends[1].node.index())
        {
            let message = "this link closes a ring of switches, in which frames would go round for ever";
            j.wrong(ats[1].place, message, Some("switches here speak no spanning tree".into()));
        }
    }
    for ((_, schema), (node, id)) in scenario.nodes.0.iter().zip(plan.nodes.iter().zip((0..).map(NodeId))) {
        let (schema::Node::CustomerGateway(_) | schema::Node::BgpRouter(_)) = schema else { continue };
        let interfaces = match schema {
            schema::Node::CustomerGateway(it) => &it.interfaces,
            schema::Node::BgpRouter(it) => &it.interfaces,
            _ => continue,
        };
        let Some((_, made)) = crate::build::forwarding(&node.kind) else { continue };
        for (number, ((_, schema), interface)) in interfaces.0.iter().zip(made).enumerate() {
            if plan.station(id, Some(number)) {
                continue;
            }
            if let Some((at, _)) = schema.vrrp.0.first() {
                let message = format!("`{}` is linked to no switch: VRRP is for a LAN", interface.name);
                j.wrong(at.place, message, None);
            }
            if let Some(at) = &schema.vlan {
                j.wrong(at.place, format!("`{}` is linked to no switch", interface.name), None);
            }
        }
    }
}

/// An operator stops VRRP, or takes out a VLAN.
pub(super) fn fault(schema: &schema::What, plan: &Plan, j: &mut Judge) -> Option<FaultKind> {
    match schema {
        schema::What::VrrpShutdown(it) => {
            let mut all = BTreeMap::new();
            for (node, id) in plan.nodes.iter().zip((0..).map(NodeId)) {
                let interfaces = crate::build::forwarding(&node.kind).map_or(&[][..], |(_, all)| all);
                for (number, interface) in interfaces.iter().enumerate() {
                    if !interface.virtual_routers.is_empty() {
                        all.insert(format!("{}.{}", node.name, interface.name), (id, number));
                    }
                }
            }
            let names: Vec<String> = all.keys().cloned().collect();
            let found = j.find(&it.interface, "interface with a virtual router", &names)?;
            let (node, interface) = all[&names[found]];
            Some(FaultKind::VrrpShutdown { node, interface })
        }
        schema::What::VlanRemoved(it) => {
            let is_switch = |node: &&Node| matches!(node.kind, NodeKind::Switch(_));
            let names: Vec<String> = plan.nodes.iter().filter(is_switch).map(|node| node.name.clone()).collect();
            let found = j.find(&it.switch, "switch", &names);
            let vlan = vlan(&it.vlan, j)?;
            let node = plan.node(&names[found?])?;
            if let NodeKind::Switch(switch) = &plan.nodes[node.index()].kind
                && !switch.ports.iter().any(|port| port.untagged == Some(vlan) || port.tagged.contains(&vlan))
            {
                j.wrong(it.vlan.place, "no port of this switch carries that VLAN", None);
            }
            Some(FaultKind::VlanRemoved { node, vlan })
        }
        _ => None,
    }
}
