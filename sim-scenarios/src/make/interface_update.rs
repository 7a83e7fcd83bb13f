//! `UpdateVirtualInterfaceAttributes`: another MTU of a virtual interface, or SiteLink switched on or off.
//!
//! Sources: Direct Connect user guide, set-jumbo-frames-vif.html (half a minute at most without any virtual interface of the connection)
//! and WorkingWithVirtualInterfaces.html; API of Direct Connect, `UpdateVirtualInterfaceAttributes`.

use sim_core::id::NodeId;
use sim_core::time::{Duration, Instant};

use crate::plan::{FaultKind, InterfaceUpdate, NodeKind, Plan, VirtualInterface};
use crate::schema;

use super::dx::{needs_a_gateway, offers_mtu};
use super::judge::{Judge, between};
use super::timeline::before_end;

/// How long another MTU disrupts a connection at most, and if nothing is said.
const LONGEST_DISRUPTION: Duration = Duration::from_secs(30);

/// What changes, before it is known whether it does.
pub(super) fn kind(schema: &schema::InterfaceAttributes, plan: &Plan, j: &mut Judge) -> Option<FaultKind> {
    let is_interface = |node: &&crate::plan::Node| matches!(node.kind, NodeKind::VirtualInterface(_));
    let known: Vec<String> = plan.nodes.iter().filter(is_interface).map(|node| node.name.clone()).collect();
    let found = j.find(&schema.virtual_interface, "virtual interface", &known)?;
    let node = plan.node(&known[found])?;
    let made = interface(plan, node)?;
    let mtu = schema.mtu.as_ref().and_then(|at| {
        j.lawful(at, |mtu| {
            offers_mtu(made.kind, *mtu)?;
            let links = plan.links.iter().filter(|link| link.ends.iter().any(|end| end.node == node));
            match links.map(|link| (link.forward.mtu.min(link.reverse.mtu), &link.name)).min() {
                Some((least, link)) if u64::from(least) < *mtu => {
                    Err(format!("its link `{link}` carries {least} octets at most: give that `mtu:`"))
                }
                _ => Ok(()),
            }
        })
    });
    let site_link = schema.site_link.as_ref().and_then(|at| j.read(at).map(|on| (at, on)));
    if let Some((at, true)) = site_link {
        needs_a_gateway(at, plan.nodes.get(made.gateway.index()).map(|node| &node.kind), j);
    }
    let disruption = j.lawful_or(&schema.disruption, LONGEST_DISRUPTION, |span| {
        between(*span, Duration::ZERO, LONGEST_DISRUPTION, "the disruption by another MTU")
    });
    let mtu = mtu.and_then(|mtu| u16::try_from(mtu).ok());
    Some(FaultKind::UpdateVirtualInterface(InterfaceUpdate {
        node,
        mtu,
        site_link: site_link.map(|(_, on)| on),
        disruption,
    }))
}

fn interface(plan: &Plan, node: NodeId) -> Option<&VirtualInterface> {
    match &plan.nodes.get(node.index())?.kind {
        NodeKind::VirtualInterface(made) => Some(made),
        _ => None,
    }
}

/// What stands for a change that cannot be made.
pub(super) const fn nothing() -> FaultKind {
    let node = NodeId(u32::MAX);
    FaultKind::UpdateVirtualInterface(InterfaceUpdate { node, mtu: None, site_link: None, disruption: Duration::ZERO })
}

/// The attributes that a virtual interface has at a moment, before a change then.
fn before(plan: &Plan, node: NodeId, at: Instant) -> Option<(u16, bool)> {
    let made = interface(plan, node)?;
    let mut earlier: Vec<(Instant, InterfaceUpdate)> = Vec::new();
    for fault in plan.faults.iter().filter(|fault| fault.enabled && fault.at < at) {
        match fault.what {
            FaultKind::UpdateVirtualInterface(update) if update.node == node => earlier.push((fault.at, update)),
            _ => {}
        }
    }
    earlier.sort_by_key(|(at, _)| *at);
    Some(earlier.into_iter().fold((made.mtu, made.site_link), |(mtu, site_link), (_, update)| {
        (update.mtu.unwrap_or(mtu), update.site_link.unwrap_or(site_link))
    }))
}

/// What of each update changes something, as all are known now, and when its disruption is over.
pub(super) fn settle(scenario: &schema::Scenario, plan: &mut Plan, j: &mut Judge) {
    let mut settled = Vec::new();
    for (number, ((_, schema), fault)) in scenario.faults.named.0.iter().zip(&plan.faults).enumerate() {
        let (schema::What::UpdateVirtualInterfaceAttributes(it), FaultKind::UpdateVirtualInterface(update)) =
            (&schema.what, &fault.what)
        else {
            continue;
        };
        if let Some(healing) = schema.heal.as_ref().or(schema.heal_after.as_ref()) {
            let message = "attributes do not change back by themselves: write another fault";
            j.wrong(healing.place, message, Some("`disruption` says how long the connection is disrupted".into()));
        }
        let Some((mtu, site_link)) = before(plan, update.node, fault.at) else { continue };
        let mut update = InterfaceUpdate {
            mtu: update.mtu.filter(|to| *to != mtu),
            site_link: update.site_link.filter(|to| *to != site_link),
            ..*update
        };
        if update.mtu.is_none() {
            update.disruption = Duration::ZERO;
            if let Some(at) = &it.disruption {
                j.wrong(at.place, "only another MTU disrupts a connection, and this changes none", None);
            }
            if update.site_link.is_none() {
                j.wrong(it.virtual_interface.place, "this changes nothing about the virtual interface", None);
            }
        }
        let heal = (!update.disruption.is_zero()).then(|| fault.at + update.disruption);
        if let Some(Err(message)) = heal.map(|heal| before_end(heal.since_start(), plan)) {
            let help = "end the scenario later, or give `disruption`";
            j.wrong(schema.at.place, format!("this disrupts the connection too long: {message}"), Some(help.into()));
        }
        settled.push((number, update, heal));
    }
    for (number, update, heal) in settled {
        plan.faults[number].what = FaultKind::UpdateVirtualInterface(update);
        plan.faults[number].heal = heal;
    }
}
