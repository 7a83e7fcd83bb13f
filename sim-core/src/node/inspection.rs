//! What a gateway asks of packets in transit beyond their way: a firewall's judgement, and a census of the ways that flows take.

use super::gateway::Gateway;
use super::tunnel_nat::TunnelNat;
use super::{Cx, Notice};
use crate::id::{NodeId, Port, RecordId};
use crate::net::census::Census;
use crate::net::conntrack::Flow;
use crate::net::firewall::{Firewall, Refusal};
use crate::net::reset::reset;
use crate::packet::Packet;
use crate::time::{Duration, Instant};

/// The firewall that a firewall tells of its flows. How vendors' pairs do so is their own and not published: this is a model,
/// in which the partner knows of a flow, or of its new state, so long after it has changed, as if over a link of their own that
/// never fails. Who comes back without a memory asks for all flows, and has them after twice that time. The partner is known by nothing but
/// its name, and its interfaces and tunnels must be numbered alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StateSyncModel {
    /// The partner.
    pub partner: NodeId,
    /// How long it takes.
    pub delay: Duration,
}

/// A firewall, if there is one, and the census of what passes.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The firewall.
    pub firewall: Option<Firewall>,
    /// Whom it tells of its flows.
    pub sync: Option<StateSyncModel>,
    /// How what goes through tunnels is shown there, if it is translated.
    pub nat: Option<TunnelNat>,
    /// The census, which a loss of power does not undo: it observes.
    pub census: Census,
}

impl Inspection {
    /// Why a packet goes no further, if it does not.
    pub(super) fn judge(&mut self, now: Instant, packet: &Packet, from: Port, to: Port) -> Option<Refusal> {
        let refusal = self.firewall.as_mut().and_then(|firewall| firewall.judge(now, packet, from, to).err());
        self.census.count(packet, from, to, refusal.map(|refusal| refusal.reason));
        refusal
    }

    /// Forgets what is not configuration.
    pub(super) fn reset(&mut self) {
        self.firewall.iter_mut().for_each(Firewall::flush);
        self.nat.iter_mut().for_each(TunnelNat::reset);
    }
}

impl Gateway {
    /// The partner of its firewall tells of a flow.
    pub(super) fn adopt(&mut self, flow: &Flow) {
        if let Some(firewall) = self.inspection.as_mut().and_then(|inspection| inspection.firewall.as_mut()) {
            firewall.adopt(flow);
        }
    }

    /// Asks the partner for what it knows, once power is back.
    pub(super) fn remember(&self, cx: &mut Cx) {
        let sync = self.inspection.as_ref().and_then(|inspection| inspection.sync);
        if let Some(sync) = sync.filter(|_| cx.now > Instant::START) {
            cx.notify(sync.partner, sync.delay, Notice::WantFlows);
        }
    }

    /// Tells the partner of all flows.
    pub(super) fn tell_all(&self, cx: &mut Cx) {
        let Some(inspection) = &self.inspection else { return };
        let (Some(sync), Some(firewall)) = (inspection.sync, &inspection.firewall) else { return };
        for flow in firewall.tracker().flows() {
            cx.notify(sync.partner, sync.delay, Notice::Flow(Box::new(*flow)));
        }
    }

    /// A packet that came out of a tunnel, for whom it is inside.
    #[cold]
    pub(super) fn untranslated(&mut self, cx: &mut Cx, packet: Packet, ingress: Port) -> Option<Packet> {
        match self.inspection.as_mut().and_then(|inspection| inspection.nat.as_mut()) {
            Some(nat) => nat.inbound(cx, ingress, packet),
            None => Some(packet),
        }
    }

    /// A packet that goes into a tunnel, as it is shown there.
    #[cold]
    pub(super) fn translated(&mut self, cx: &mut Cx, packet: Packet, ingress: Port, port: Port) -> Option<Packet> {
        match self.inspection.as_mut().and_then(|inspection| inspection.nat.as_mut()) {
            Some(nat) => nat.outbound(cx, ingress, port, packet),
            None => Some(packet),
        }
    }

    /// Whether a packet in transit goes on. If not it is dropped here, and its sender may hear a reset.
    #[cold]
    pub(super) fn inspects(&mut self, cx: &mut Cx, packet: &Packet, ingress: Port, port: Port) -> bool {
        let Some(inspection) = &mut self.inspection else { return true };
        let refusal = inspection.judge(cx.now, packet, ingress, port);
        if let (Some(sync), Some(firewall)) = (inspection.sync, &inspection.firewall)
            && let Some(flow) = firewall.tracker().changed()
        {
            cx.notify(sync.partner, sync.delay, Notice::Flow(Box::new(*flow)));
        }
        let Some(refusal) = refusal else { return true };
        cx.drop(packet, refusal.reason, RecordId::GENESIS);
        if refusal.resets {
            self.reset(cx, packet);
        }
        false
    }

    /// The sender of a segment that is dropped hears a reset.
    fn reset(&mut self, cx: &mut Cx, packet: &Packet) {
        let meta = cx.meta();
        let Some(mut reset) = reset(packet.bytes(), meta) else { return };
        self.ip.identify(&mut reset);
        cx.created(&reset);
        if let Some((port, reset)) = self.ip.route(cx, reset) {
            self.output(cx, port, reset);
        }
    }
}
