//! What a run shows at an instant, for those who watch it: how devices and links stand, what a device holds (SAs, sessions, tables),
//! what happened last and because of what, and which probes came through.
//!
//! Everything is read from the world and its trace; nothing here changes what happens. Keys are never shown.

pub mod chronicle;
pub mod device;
pub mod lane;
mod tables;

pub use chronicle::{Chronicle, Happening, Kind};
pub use device::inspect;
pub use lane::{Column, columns};

use sim_core::id::{FaultId, LinkId, NodeId};
use sim_core::time::Duration;
use sim_core::trace::{SessionKind, Way};
use sim_core::world::{Action, World};

use crate::plan::{NodeKind, Plan};
use crate::report::is_established;

/// How a thing stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Health {
    /// As it should be.
    Good,
    /// Some of it is not.
    Partly,
    /// It does nothing of what it is for.
    Bad,
}

/// A device in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceLine {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub health: Health,
    /// Its sessions by kind, how many are up of how many, or that it has no power.
    pub says: String,
    /// The faults that hit it now.
    pub faults: Vec<String>,
}

/// A link in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkLine {
    /// Its name.
    pub name: String,
    /// The devices at its ends.
    pub ends: [String; 2],
    /// How it stands.
    pub health: Health,
    /// `up`, or what is wrong with it.
    pub says: &'static str,
    /// The faults that hit it now.
    pub faults: Vec<String>,
}

/// What a device is, in the words of the scenario language.
pub const fn noun(kind: &NodeKind) -> &'static str {
    match kind {
        NodeKind::Host(_) => "host",
        NodeKind::Router(_) => "router",
        NodeKind::BgpRouter(_) => "BGP router",
        NodeKind::Nat(_) => "NAT",
        NodeKind::CustomerGateway(_) => "customer gateway",
        NodeKind::VirtualPrivateGateway(_) => "virtual private gateway",
        NodeKind::TransitGateway(_) => "transit gateway",
        NodeKind::Vpc(_) => "VPC",
        NodeKind::Instance(_) => "instance",
        NodeKind::InternetGateway(_) => "internet gateway",
        NodeKind::Appliance(_) => "appliance",
        NodeKind::TransitGatewayPeering(_) => "transit gateway peering",
        NodeKind::Switch(_) => "switch",
        NodeKind::ClientVpnAssociation(_) => "Client VPN association",
        NodeKind::VpnClient(_) => "VPN client",
        NodeKind::VpcPeering(_) => "VPC peering",
        NodeKind::GatewayEndpoint(_) => "gateway endpoint",
        NodeKind::Resolver(_) => "resolver",
        NodeKind::DirectConnectGateway(_) => "Direct Connect gateway",
        NodeKind::VirtualInterface(_) => "virtual interface",
        NodeKind::ConnectPeer(_) => "Connect peer",
        NodeKind::VpnEndpoint(_) => "AWS's end of a tunnel",
    }
}

/// The names of faults that are active and do this.
fn faults(world: &World, hits: impl Fn(&Action) -> bool) -> Vec<String> {
    let hit = |id: &&FaultId| world.fault(**id).actions.iter().any(&hits);
    world.active_faults().iter().filter(hit).map(|id| world.fault(*id).name.clone()).collect()
}

/// How a device stands.
pub fn device(plan: &Plan, world: &World, chronicle: &Chronicle, node: NodeId) -> DeviceLine {
    let faults = faults(world, |action| match action {
        Action::PowerLoss { node: hit } | Action::Operator { node: hit, .. } => *hit == node,
        Action::Blackhole { .. } | Action::LinkDown { .. } | Action::Impair { .. } => false,
    });
    let name = plan.nodes[node.index()].name.clone();
    if !world.has_power(node) {
        return DeviceLine { name, health: Health::Bad, says: "no power".into(), faults };
    }
    let mut counts: Vec<(SessionKind, usize, usize)> = Vec::new();
    for id in chronicle.sessions_of(node) {
        let kind = world.trace.sessions()[id.index()].kind;
        // A backup of VRRP is as it should be.
        let up = kind == SessionKind::Vrrp || chronicle.state(*id).is_some_and(|now| is_established(now.state.code()));
        match counts.iter_mut().find(|(of, ..)| *of == kind) {
            Some((_, ups, all)) => (*ups, *all) = (*ups + usize::from(up), *all + 1),
            None => counts.push((kind, up.into(), 1)),
        }
    }
    // A CHILD_SA stands and falls with its IKE_SA; it is counted only where it does not.
    let ike = counts.iter().find(|(kind, ..)| *kind == SessionKind::Ike).map(|(_, up, all)| (*up, *all));
    counts.retain(|(kind, up, all)| *kind != SessionKind::Child || Some((*up, *all)) != ike);
    let (up, all) = counts.iter().fold((0, 0), |sum, (_, up, all)| (sum.0 + up, sum.1 + all));
    let health = match (up, all) {
        (up, all) if up == all => Health::Good,
        (0, _) => Health::Bad,
        _ => Health::Partly,
    };
    let says = counts.iter().map(|(kind, up, all)| format!("{} {up}/{all}", kind.code()));
    DeviceLine { name, health, says: says.collect::<Vec<_>>().join(" "), faults }
}

/// How links stand: so many of them, from the first one on.
pub fn links(world: &World, count: usize) -> Vec<LinkLine> {
    world.link_ends().take(count).map(|(id, ends)| link(world, id, ends.map(|(node, _)| node))).collect()
}

fn link(world: &World, link: LinkId, ends: [NodeId; 2]) -> LinkLine {
    let faults = faults(world, |action| match action {
        Action::Blackhole { link: hit, .. } | Action::LinkDown { link: hit } | Action::Impair { link: hit, .. } => {
            *hit == link
        }
        Action::PowerLoss { .. } | Action::Operator { .. } => false,
    });
    let ways = Way::BOTH.map(|way| world.direction(link, way));
    let changed = ways.iter().zip(world.without_faults(link)).any(|(way, base)| way.config() != base);
    let (health, says) = if ways.iter().any(|way| !way.is_up()) {
        (Health::Bad, "down")
    } else {
        match ways.map(|way| way.is_blackhole()) {
            [true, true] => (Health::Bad, "silent"),
            [true, false] => (Health::Bad, "silent there"),
            [false, true] => (Health::Bad, "silent back"),
            [false, false] if changed => (Health::Partly, "impaired"),
            [false, false] => (Health::Good, "up"),
        }
    };
    let ends = ends.map(|node| world.node_name(node).to_owned());
    LinkLine { name: world.link_name(link).to_owned(), ends, health, says, faults }
}

/// A time in at most two units, rounded down: `0.036s`, `12.3s`, `5m07s`, `7h59m`.
pub fn span(time: Duration) -> String {
    let millis = time.as_nanos() / 1_000_000;
    let secs = millis / 1_000;
    match secs {
        0..10 => format!("{secs}.{:03}s", millis % 1_000),
        10..60 => format!("{secs}.{}s", millis % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", secs / 60, secs % 60),
        _ => format!("{}h{:02}m", secs / 3_600, secs % 3_600 / 60),
    }
}
