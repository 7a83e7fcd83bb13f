//! What the tests see and do inside a machine.

use std::sync::Arc;

use super::super::child::ChildPhase;
use super::super::task::Job;
use super::super::{Peer, SaState, create, informational};
use crate::proto::ike::config::Config;
use crate::proto::ike::pair::Undertaking;
use crate::reason::Reason;
use crate::time::Instant;

impl Peer {
    /// SPIs of the IKE_SAs that are neither replaced nor being deleted.
    pub fn established_spis(&self) -> Vec<(u64, u64)> {
        let live = self.sas.iter().filter(|sa| sa.state() == SaState::Established);
        live.map(|sa| (sa.ids.spi_i, sa.ids.spi_r)).collect()
    }

    /// True if this end began the IKE_SA that is established.
    pub fn is_initiator(&self) -> bool {
        self.sas.iter().any(|sa| sa.state() == SaState::Established && sa.ids.initiator)
    }

    /// Begins something at once, as if its timer had expired. What an SA has timers for, the peer has taken up long ago.
    pub fn undertake(&mut self, now: Instant, what: Undertaking) {
        self.env.now = now;
        let Some(i) = self.sas.iter().rposition(|sa| sa.state() == SaState::Established) else { return };
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let child = sa.established().and_then(|e| e.children.iter().find(|c| c.phase == ChildPhase::Up && c.taken_up));
        let child = child.map(|c| c.spi_in);
        match (what, child) {
            (Undertaking::CreateChild, _) if sa.window.outstanding.is_none() => create::build(sa, env, None, 0, None),
            (Undertaking::CreateChild, _) => {}
            (Undertaking::RekeyChild, Some(spi_in)) => sa.window.queue.push_back(Job::RekeyChild { spi_in }),
            (Undertaking::RekeyChild, None) => sa.window.queue.push_back(Job::CreateChild { policy: 0 }),
            (Undertaking::RekeyIke, _) => sa.window.queue.push_back(Job::RekeyIke),
            (Undertaking::DeleteChild, Some(spi)) => informational::close(sa, env, spi, Reason::LifetimeExpired),
            (Undertaking::DeleteChild, None) => {}
            (Undertaking::DeleteIke, _) => return self.delete(i, Reason::LifetimeExpired),
        }
        self.sas[i].pump(&mut self.env);
        self.settle();
        self.rearm();
    }

    /// True if there is one IKE_SA, which has nothing under way and nothing left over: only liveness and the ends of lifetimes are
    /// to come.
    pub fn is_at_rest(&self) -> bool {
        let [sa] = &self.sas[..] else { return false };
        let children = sa.established().map_or(&[][..], |e| &e.children);
        sa.state() == SaState::Established
            && sa.window.outstanding.is_none()
            && sa.window.queue.is_empty()
            && sa.established().is_some_and(|e| e.retry_child.is_none())
            && children.iter().all(|child| child.phase == ChildPhase::Up)
            && self.retry.is_none()
    }

    /// IKE_SAs of a responder that are not authenticated.
    pub fn half_open_sas(&self) -> usize {
        self.sas.iter().filter(|sa| sa.is_half_open()).count()
    }

    /// What the peer has begun and not followed up yet is lost.
    pub fn forget_pending(&mut self) {
        self.sas.iter_mut().filter_map(|sa| sa.established_mut()).for_each(|e| e.pending = None);
    }

    /// An operator writes another configuration, which takes effect on what is negotiated from now on.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(Arc::make_mut(&mut self.env.config));
    }
}
