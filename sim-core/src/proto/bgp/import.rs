//! Import: whether a route that a peer announced is usable, and what policy makes of it (RFC 4271 section 9.1).

use std::sync::Arc;

use super::attributes::Attributes;
use super::communities::Community;
use super::config::PeerConfig;
use super::exchange::Local;
use super::family::{Family, Spoken};
use super::peer::{Peer, Slot};
use super::policy::{Owner, Selection};
use super::pool::Pool;
use super::rib::Verdict;
use crate::reason::Reason;

/// Attributes by their place in memory, which nobody frees meanwhile, and the rules that may apply.
type ImportKey<F> = (*const Attributes<F>, Selection);

/// Import, with the outcome of the last rules remembered: the routes of one UPDATE share it.
pub(super) struct Importer<F: Family> {
    last: Option<(ImportKey<F>, Verdict<F>)>,
}

impl<F: Family> Default for Importer<F> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<F: Spoken> Importer<F> {
    pub fn route(
        &mut self,
        local: &Local<'_, F>,
        peer: &Peer,
        slot: Slot,
        prefix: F,
        attributes: &Arc<Attributes<F>>,
        pool: &mut Pool<F>,
    ) -> Verdict<F> {
        let [policy, _] = F::policies(&peer.config);
        let key = (Arc::as_ptr(attributes), policy.select(prefix));
        if let Some((_, outcome)) = self.last.as_ref().filter(|(known, _)| *known == key) {
            return outcome.clone();
        }
        let external = peer.fsm(slot).and_then(|fsm| fsm.session).is_none_or(|session| session.dialect.is_external());
        let leaving =
            external && peer.config.graceful_shutdown && attributes.communities.has(Community::GRACEFUL_SHUTDOWN);
        let outcome = match unusable(local, &peer.config, external, attributes) {
            Some(reason) => Err(reason),
            None if policy.is_neutral(&key.1) && !leaving => Ok(None),
            None => {
                let mut changed = Attributes::clone(attributes);
                let owner = Owner { asn: local.asn, next_hop: F::next_hop_self(&peer.config) };
                match policy.apply(&key.1, owner, &mut changed) {
                    true => {
                        // RFC 8326 section 4.2: "the lowest possible" is recommended.
                        changed.local_pref = if leaving { Some(0) } else { changed.local_pref };
                        Ok(Some(pool.share(changed)))
                    }
                    false => Err(Reason::PolicyRejected),
                }
            }
        };
        self.last = Some((key, outcome.clone()));
        outcome
    }
}

/// Why a route cannot be used: it went through our AS (section 9.1.2), us, or our cluster (RFC 4456 section 8), or its NEXT_HOP
/// is ours (section 6.3), not on the subnet that an external peer shares with us, or nowhere (section 9.1.2.1).
fn unusable<F: Spoken>(
    local: &Local<'_, F>,
    config: &PeerConfig,
    external: bool,
    attributes: &Attributes<F>,
) -> Option<Reason> {
    let next_hop = attributes.next_hop;
    if attributes.as_path.occurrences(local.asn) > usize::from(config.allow_own_as) {
        return Some(Reason::AsPathLoop);
    }
    if attributes.originator_id() == Some(local.router_id) {
        return Some(Reason::OriginatorLoop);
    }
    if attributes.cluster_list().contains(&local.cluster_id) {
        return Some(Reason::ClusterLoop);
    }
    let resolved = || local.interior.to(next_hop, false).is_some();
    let reachable = match external {
        true => F::is_connected(config, &next_hop) || config.multihop && resolved(),
        false => resolved(),
    };
    (F::is_own(config, &next_hop) || !reachable).then_some(Reason::NextHopUnusable)
}
