//! Export: from Loc-RIB through policy into a peer's Adj-RIB-Out and UPDATEs (RFC 4271 section 9.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::Speaker;
use super::adj_out::{AdjRibOut, Pending};
use super::attributes::Attributes;
use super::communities::Community;
use super::config::{DEFAULT_LOCAL_PREF, PeerConfig, PeerId};
use super::contract::Output;
use super::decision::Source;
use super::exchange::{Local, source};
use super::family::{Family, Spoken};
use super::message::{self, MAX_MESSAGE, Refresh};
use super::peer::{ConnId, Peer, Session, Slot};
use super::policy::{Owner, Selection};
use super::pool::Pool;
use super::rib::{Entry, Route};
use super::tables::Tables;
use super::update;
use crate::reason::Step;
use crate::time::Instant;

impl Speaker {
    /// The initial table of a family and its end, if the session carries it.
    pub(super) fn send_all<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        if !self.peers[id.index()].session().is_some_and(F::is_spoken) {
            return;
        }
        self.send_table::<F>(now, id);
        if let Some((slot, _)) = self.peers[id.index()].established() {
            self.send(id, slot, Step::EndOfRibSent, update::end_of_rib::<F>());
        }
    }

    /// A ROUTE-REFRESH wants the whole table again (RFC 2918 section 4), between marks if both ends know them (RFC 7313).
    pub(super) fn resend_routes<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        let tables = F::of_mut(&mut self.tables);
        if tables.deferring {
            return;
        }
        tables.peers[id.index()].adj_out.forget();
        let peer = &self.peers[id.index()];
        let enhanced = peer.session().is_some_and(|session| session.enhanced_refresh);
        let slot = peer.established().filter(|_| enhanced).map(|(slot, _)| slot);
        if let Some(slot) = slot {
            let bytes = message::route_refresh(F::AFI, Refresh::Beginning);
            self.send(id, slot, Step::BeginningOfRefreshSent, bytes);
        }
        self.send_table::<F>(now, id);
        if let Some(slot) = slot {
            self.send(id, slot, Step::EndOfRefreshSent, message::route_refresh(F::AFI, Refresh::End));
        }
    }

    fn send_table<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        let prefixes: Vec<(F, _)> = F::of_mut(&mut self.tables).rib.prefixes().map(|prefix| (prefix, None)).collect();
        self.advertise(now, id, prefixes);
    }

    /// Export policy changed: every route may look different to the peer.
    pub(super) fn export_again<F: Spoken>(&mut self, id: PeerId) {
        if self.peers[id.index()].session().is_some_and(F::is_spoken) {
            let Tables { rib, peers, .. } = F::of_mut(&mut self.tables);
            for prefix in rib.prefixes() {
                peers[id.index()].adj_out.pending.touch(prefix, None);
            }
            self.ready.insert(id);
        }
    }

    /// Tells every peer what changed, unless MinRouteAdvertisementIntervalTimer holds it back (section 9.2.1.1).
    pub(super) fn flush(&mut self, now: Instant) {
        let nothing = self.tables.ipv4.changed.is_empty()
            && self.tables.ipv6.as_ref().is_none_or(|tables| tables.changed.is_empty());
        if nothing && self.ready.is_empty() || self.tables.all_deferring() {
            return;
        }
        let ready = core::mem::take(&mut self.ready);
        let ipv4 = self.take_changed::<Ipv4Net>();
        let ipv6 = self.speaks_ipv6().then(|| self.take_changed::<Ipv6Net>());
        let concerned = match nothing {
            true => ready.into_iter().collect(),
            false => self.established.clone(),
        };
        for id in concerned {
            // One timer is for both families, and what the one starts does not hold back the other.
            let held_back = self.peers[id.index()].route_advertisement.is_running();
            self.flush_to(now, id, &ipv4, held_back);
            if let Some(changed) = &ipv6 {
                self.flush_to(now, id, changed, held_back);
            }
        }
        self.put_back(ipv4);
        if let Some(changed) = ipv6 {
            self.put_back(changed);
        }
    }

    fn take_changed<F: Spoken>(&mut self) -> Pending<F> {
        let mut changed = core::mem::take(&mut F::of_mut(&mut self.tables).changed);
        changed.settle();
        changed
    }

    /// Keeps the room of what was told.
    fn put_back<F: Spoken>(&mut self, mut changed: Pending<F>) {
        changed.clear();
        F::of_mut(&mut self.tables).changed = changed;
    }

    fn flush_to<F: Spoken>(&mut self, now: Instant, id: PeerId, changed: &Pending<F>, held_back: bool) {
        let tables = F::of_mut(&mut self.tables);
        if tables.deferring || !self.peers[id.index()].session().is_some_and(F::is_spoken) {
            return;
        }
        let waiting = &mut tables.peers[id.index()].adj_out.pending;
        if held_back || !waiting.is_empty() {
            waiting.extend(changed);
        }
        match (held_back, waiting.is_empty()) {
            (true, _) => {}
            (false, true) => self.advertise(now, id, changed.iter()),
            (false, false) => {
                let mut pending = core::mem::take(waiting);
                pending.settle();
                self.advertise(now, id, pending.iter());
            }
        }
    }

    /// Sends the peer what it does not know yet about these prefixes, each with the peer that its best route is from, if
    /// that is known.
    fn advertise<F: Spoken>(
        &mut self,
        now: Instant,
        id: PeerId,
        prefixes: impl IntoIterator<Item = (F, Option<PeerId>)>,
    ) {
        let Tables { rib, pool, interior, peers: tables, .. } = F::of_mut(&mut self.tables);
        let (peers, asn, router_id, cluster_id) = (&self.peers, self.local_as, self.router_id, self.cluster_id);
        let end_of_router = self.end_of_router;
        let local = Local { asn, router_id, cluster_id, interior };
        let peer = &peers[id.index()];
        let (Some((slot, conn)), Some(session)) = (peer.established(), peer.session().copied()) else {
            return;
        };
        let adj_out = &mut tables[id.index()].adj_out;
        let mut news = News::none();
        let mut exporter = Exporter { known: BTreeMap::new() };
        let most = peer.config.most_announced;
        let withheld = adj_out.withheld.len();
        let mut prefixes = prefixes.into_iter();
        // What was withheld comes last: by then it is known what has been withdrawn.
        while let Some((prefix, from)) =
            prefixes.next().or_else(|| most.and_then(|most| adj_out.admitted(most)).map(|prefix| (prefix, None)))
        {
            // The peer's own route, and it was told of no other: nothing to look up.
            if from == Some(id) && adj_out.sent.is_empty() && !end_of_router {
                continue;
            }
            let entry = rib.loc().get(&prefix);
            let best = entry.map(Entry::best_route);
            let of_peer = end_of_router && best.is_some_and(|route| route.peer == Some(id));
            let own = entry.filter(|_| of_peer).and_then(|entry| entry.routes().find(|route| route.peer.is_none()));
            let best = own.or(best);
            let heard = best.filter(|route| may_hear(id, route, &session, peers, asn));
            let route = heard.and_then(|route| {
                let from = source(peers, route.peer, asn);
                exporter.route(&local, &peer.config, &session, prefix, route, from, pool)
            });
            let route = match (most, &route) {
                (Some(most), Some(_)) => route.filter(|_| adj_out.admits(most, prefix)),
                (Some(_), None) => {
                    adj_out.withheld.remove(&prefix);
                    route
                }
                (None, _) => route,
            };
            news.note(adj_out, prefix, route);
        }
        let held = adj_out.withheld.len();
        if withheld == 0 && held > 0 {
            self.out.push_back(Output::Withheld { peer: id, afi: F::AFI, prefixes: held });
        }
        self.publish(now, id, slot, conn, &session, &news);
    }

    fn publish<F: Spoken>(
        &mut self,
        now: Instant,
        id: PeerId,
        slot: Slot,
        conn: ConnId,
        session: &Session,
        news: &News<F>,
    ) {
        let mut messages = Vec::new();
        let mut keep = |bytes, prefixes| messages.push((bytes, prefixes));
        update::withdraw(&news.withdrawn, &mut keep);
        for (attributes, prefixes) in &news.announced {
            update::announce(attributes, &session.dialect, prefixes, &mut keep);
        }
        if messages.is_empty() {
            return;
        }
        for (bytes, prefixes) in messages {
            debug_assert!(bytes.len() <= MAX_MESSAGE);
            self.update_step(id, conn, Step::UpdateSent, F::told(prefixes));
            self.out.push_back(Output::Send { conn, bytes });
        }
        self.restart_keepalive(now, id, slot);
        let peer = &mut self.peers[id.index()];
        let interval = peer.config.route_advertisement;
        if !interval.is_zero() {
            let time = peer.config.jitter.draw(interval, &mut peer.rng);
            peer.route_advertisement.start(now, time);
        }
        self.rearm(id);
    }
}

/// Who may hear of a route: not the peer it came from, nobody whom its communities exclude (RFC 1997), and if an internal peer
/// said it, no other (RFC 4271 section 9.2), unless one of the two is our client (RFC 4456 section 6).
fn may_hear<F: Family>(id: PeerId, route: &Route<'_, F>, session: &Session, peers: &[Peer], local_as: u32) -> bool {
    let (external, communities) = (session.dialect.is_external(), &route.attributes.communities);
    let confined = communities.has(Community::NO_EXPORT) || communities.has(Community::NO_EXPORT_SUBCONFED);
    if communities.has(Community::NO_ADVERTISE) || external && confined {
        return false;
    }
    let Some(from) = route.peer else {
        return true;
    };
    let (from_config, config) = (&peers[from.index()].config, &peers[id.index()].config);
    let learned_inside = from_config.remote_as == local_as;
    let reflected = from_config.route_reflector_client || config.route_reflector_client;
    from != id && (external || !learned_inside || reflected)
}

/// Attributes by their place in memory, whom they were learned from, and the rules that may apply.
type ExportKey<F> = (*const Attributes<F>, Option<PeerId>, Selection);

/// Export, with outcomes remembered by what they depend on.
struct Exporter<F: Family> {
    known: BTreeMap<ExportKey<F>, Option<Arc<Attributes<F>>>>,
}

impl<F: Spoken> Exporter<F> {
    #[allow(clippy::too_many_arguments, reason = "what an export depends on")]
    fn route(
        &mut self,
        local: &Local<'_, F>,
        config: &PeerConfig,
        session: &Session,
        prefix: F,
        route: Route<'_, F>,
        from: Source,
        pool: &mut Pool<F>,
    ) -> Option<Arc<Attributes<F>>> {
        let [_, policy] = F::policies(config);
        let selection = policy.select(prefix);
        let key = (Arc::as_ptr(route.attributes), route.peer, selection);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut out = Attributes::clone(route.attributes);
        let external = session.dialect.is_external();
        let reflected = match from {
            Source::Peer { external: false, identifier, .. } if !external => Some(identifier),
            Source::Local | Source::Peer { .. } => None,
        };
        if external {
            // Section 5.1.4: a MED goes no further than the AS it was given to.
            out.med = out.med.filter(|_| route.peer.is_none());
            out.reflection = None;
            out.communities.leave_as();
        }
        out.next_hop = match external || route.peer.is_none() || config.next_hop_self && reflected.is_none() {
            true => F::next_hop_self(config),
            false => F::third_party(out.next_hop),
        };
        // RFC 4456 section 8: the first reflector names the originator, each puts its cluster in front.
        if let Some(identifier) = reflected {
            let reflection = out.reflection.get_or_insert_default();
            reflection.originator_id.get_or_insert(identifier);
            reflection.cluster_list.insert(0, local.cluster_id);
        }
        let owner = Owner { asn: local.asn, next_hop: F::next_hop_self(config) };
        let accepted = policy.apply(&key.2, owner, &mut out);
        if external {
            out.as_path.prepend(local.asn, 1);
            out.local_pref = None;
        } else {
            out.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
        }
        let outcome = accepted.then(|| pool.share(out));
        self.known.insert(key, outcome.clone());
        outcome
    }
}

/// What a peer has to be told, prefixes with equal attributes together, in the order of their first prefix.
struct News<F: Family> {
    withdrawn: Vec<F>,
    announced: Vec<(Arc<Attributes<F>>, Vec<F>)>,
    groups: BTreeMap<Arc<Attributes<F>>, usize>,
    last: usize,
}

impl<F: Family> News<F> {
    fn none() -> Self {
        Self { withdrawn: Vec::new(), announced: Vec::new(), groups: BTreeMap::new(), last: 0 }
    }

    /// Notes a prefix if the peer knows something else about it.
    fn note(&mut self, known: &mut AdjRibOut<F>, prefix: F, route: Option<Arc<Attributes<F>>>) {
        let Some(attributes) = route else {
            if known.sent.remove(&prefix).is_some() {
                self.withdrawn.push(prefix);
            }
            return;
        };
        let before = known.sent.insert(prefix, Arc::clone(&attributes));
        if before.as_ref() == Some(&attributes) {
            return;
        }
        let same = |(group, _): &(Arc<Attributes<F>>, _)| Arc::ptr_eq(group, &attributes);
        if !self.announced.get(self.last).is_some_and(same) {
            let next = self.announced.len();
            self.last = *self.groups.entry(Arc::clone(&attributes)).or_insert(next);
            if self.last == next {
                self.announced.push((attributes, Vec::new()));
            }
        }
        self.announced[self.last].1.push(prefix);
    }
}
