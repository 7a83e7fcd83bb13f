//! Routes in and routes out (RFC 4271 section 9): from UPDATEs through import policy and the decision process into
//! Loc-RIB, and from there through export policy into other peers' UPDATEs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::attributes::Attributes;
use super::communities::Community;
use super::config::{DEFAULT_LOCAL_PREF, InteriorCosts, Originated, PeerConfig, PeerId};
use super::decision::Source;
use super::fsm::Event;
use super::message::{self, MAX_MESSAGE, Refresh};
use super::notification::Notification;
use super::peer::{ConnId, Peer, Session, Slot};
use super::policy::{Owner, Selection};
use super::pool::Pool;
use super::rib::{AdjRibOut, Changed, Entry, Route, Verdict};
use super::update::{self, Update, is_unicast};
use super::{Output, Speaker};
use crate::reason::{Reason, Step};
use crate::time::Instant;

impl Speaker {
    /// Works an UPDATE into Adj-RIB-In and from there on.
    pub(super) fn take_update(&mut self, now: Instant, id: PeerId, slot: Slot, update: Update) {
        for &prefix in &update.ignored {
            self.refuse(id, prefix, Reason::NotUnicast);
        }
        if update.end_of_rib {
            return self.peer_has_sent_all(now, id);
        }
        for prefix in update.withdrawn {
            self.withdrawn(id, prefix, Reason::Withdrawn);
        }
        for prefix in update.treated_as_withdrawn {
            self.refuse(id, prefix, Reason::TreatedAsWithdraw);
            self.withdrawn(id, prefix, Reason::TreatedAsWithdraw);
        }
        let Some(attributes) = update.shared else {
            return;
        };
        let mut import = Importer::default();
        for prefix in update.reachable {
            self.peers[id.index()].stale.remove(&prefix);
            self.import(id, slot, prefix, &attributes, &mut import, Reason::Learned);
        }
        self.check_limit(now, id);
    }

    /// Into Adj-RIB-In and on to Loc-RIB: usable or not (section 9.1.2), and what import policy makes of it.
    fn import(
        &mut self,
        id: PeerId,
        slot: Slot,
        prefix: Ipv4Net,
        received: &Arc<Attributes>,
        import: &mut Importer,
        cause: Reason,
    ) {
        let peer = &self.peers[id.index()];
        let local = Local {
            asn: self.local_as,
            router_id: self.router_id,
            cluster_id: self.cluster_id,
            interior: &self.interior,
        };
        let verdict = import.route(&local, peer, slot, prefix, received, &mut self.pool);
        // A refused route still replaces what the peer said before (section 9: implicit withdrawal).
        let reason = match verdict {
            Ok(_) => cause,
            Err(refused) => {
                self.refuse(id, prefix, refused);
                Reason::Withdrawn
            }
        };
        self.place(prefix, Some(id), Arc::clone(received), verdict, reason);
    }

    fn refuse(&mut self, peer: PeerId, prefix: Ipv4Net, reason: Reason) {
        self.out.push_back(Output::Refused { peer, prefix, reason });
    }

    /// Puts one source's route into the tables and tells whom it concerns.
    fn place(
        &mut self,
        prefix: Ipv4Net,
        from: Option<PeerId>,
        received: Arc<Attributes>,
        verdict: Verdict,
        reason: Reason,
    ) {
        let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
        let origin = |route: Route<'_>| origin(route, peers, local_as, interior);
        let (is_new, changed) = self.rib.set(prefix, from, received, verdict, &self.rules, origin);
        if let Some(id) = from.filter(|_| is_new) {
            self.peers[id.index()].heard.add(prefix);
        }
        self.spread(prefix, changed, reason);
    }

    /// A route of a peer is no more, if it had one.
    pub(super) fn withdrawn(&mut self, id: PeerId, prefix: Ipv4Net, reason: Reason) {
        self.peers[id.index()].stale.remove(&prefix);
        let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
        let origin = |route: Route<'_>| origin(route, peers, local_as, interior);
        if let Some(changed) = self.rib.remove(prefix, Some(id), &self.rules, origin) {
            self.peers[id.index()].heard.remove(prefix);
            self.spread(prefix, changed, reason);
        }
    }

    /// A change of what is used goes to the owner, and one of the best route to the peers as well.
    fn spread(&mut self, prefix: Ipv4Net, changed: Option<Changed>, reason: Reason) {
        let Some(Changed { from, to, also, outdone }) = changed else {
            return;
        };
        // RFC 4724 section 4.1: a restarted speaker tells what it decided when it has heard everybody.
        if self.restarting {
            return;
        }
        let reason = match outdone {
            true => Reason::BetterRoute,
            false => reason,
        };
        self.out.push_back(Output::Route(super::RouteChange { prefix, from, to, also, reason }));
        self.changed.touch(prefix, to.and_then(|best| best.peer));
    }

    /// Where a route comes from, and what the way to its next hop costs.
    pub(super) fn origin(&self, route: Route<'_>) -> (Source, u32) {
        origin(route, &self.peers, self.local_as, &self.interior)
    }

    /// The interior costs change: of several routes another may be best, and what internal peers said may have become
    /// reachable or unreachable (section 9.1.2.1).
    pub(super) fn set_interior(&mut self, costs: InteriorCosts) {
        let before = core::mem::replace(&mut self.interior, costs);
        let prefixes: Vec<_> = self.rib.prefixes().collect();
        for prefix in prefixes {
            let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
            let then = |route: Route<'_>| origin(route, peers, local_as, &before);
            let now = |route: Route<'_>| origin(route, peers, local_as, interior);
            let changed = self.rib.reconsider(prefix, &self.rules, then, now);
            // No route is better than it was: it is the way to it that changed.
            let changed = changed.map(|changed| Changed { outdone: false, ..changed });
            self.spread(prefix, changed, Reason::InteriorCost);
        }
        for index in 0..self.peers.len() {
            if self.peers[index].config.remote_as == self.local_as {
                self.import_again(PeerId(index as u16), Reason::InteriorCost);
            }
        }
    }

    /// Warns the operator near the limit, and beyond it says Cease 6/1 with AFI, SAFI and the bound as data (RFC 4486
    /// section 4).
    fn check_limit(&mut self, now: Instant, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        let Some(limit) = peer.config.max_prefixes else { return };
        let prefixes = peer.heard.len();
        if limit.warns(prefixes) && !core::mem::replace(&mut peer.warned, true) {
            self.out.push_back(Output::NearLimit { peer: id, prefixes });
        }
        if prefixes > limit.most as usize {
            self.peers[id.index()].over_limit = true;
            let data = [&[0, 1, 1], &limit.most.to_be_bytes()[..]].concat();
            let notification = Notification::new(Notification::MAX_PREFIXES, data);
            self.stop(now, id, Event::AutomaticStop, Reason::PrefixLimit, &notification);
        }
    }

    /// Puts a route of our own into Loc-RIB, or takes it out.
    pub(super) fn originate(&mut self, prefix: Ipv4Net, route: Option<Originated>) {
        if !is_unicast(prefix) {
            return;
        }
        let prefix = prefix.trunc();
        let Some(route) = route else {
            let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
            let origin = |route: Route<'_>| origin(route, peers, local_as, interior);
            let changed = self.rib.remove(prefix, None, &self.rules, origin).flatten();
            return self.spread(prefix, changed, Reason::Withdrawn);
        };
        let attributes = self.pool.share(Attributes {
            origin: route.origin,
            as_path: route.as_path,
            med: route.med,
            ..Attributes::new(Ipv4Addr::UNSPECIFIED)
        });
        self.place(prefix, None, attributes, Ok(None), Reason::Originated);
    }

    /// The session is established: the whole table, then End-of-RIB. After a restart they follow the decisions.
    pub(super) fn begin_routes(&mut self, now: Instant, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        peer.adj_out = AdjRibOut::default();
        peer.warned = false;
        peer.has_sent_all = false;
        self.resume_stale(id);
        match self.restarting {
            true => self.decide_if_complete(now),
            false => self.send_all(now, id),
        }
    }

    /// The initial table and its end.
    pub(super) fn send_all(&mut self, now: Instant, id: PeerId) {
        self.send_table(now, id);
        if let Some((slot, _)) = self.peers[id.index()].established() {
            self.send(id, slot, Step::EndOfRibSent, update::end_of_rib());
        }
    }

    /// A ROUTE-REFRESH wants the whole table again (RFC 2918 section 4), between marks if both ends know them (RFC 7313).
    pub(super) fn resend_routes(&mut self, now: Instant, id: PeerId) {
        if self.restarting {
            return;
        }
        let peer = &mut self.peers[id.index()];
        peer.adj_out.sent.clear();
        let enhanced = peer.session().is_some_and(|session| session.enhanced_refresh);
        let slot = peer.established().filter(|_| enhanced).map(|(slot, _)| slot);
        if let Some(slot) = slot {
            let bytes = message::route_refresh(Refresh::Beginning);
            self.send(id, slot, Step::BeginningOfRefreshSent, bytes);
        }
        self.send_table(now, id);
        if let Some(slot) = slot {
            self.send(id, slot, Step::EndOfRefreshSent, message::route_refresh(Refresh::End));
        }
    }

    /// Asks a peer for its whole table, if it can answer (RFC 2918 section 4).
    pub(super) fn ask_again(&mut self, id: PeerId) {
        let peer = &self.peers[id.index()];
        if let (Some((slot, _)), true) = (peer.established(), peer.session().is_some_and(|session| session.refresh)) {
            self.send(id, slot, Step::RouteRefreshSent, message::route_refresh(Refresh::Request));
        }
    }

    fn send_table(&mut self, now: Instant, id: PeerId) {
        let prefixes: Vec<_> = self.rib.prefixes().map(|prefix| (prefix, None)).collect();
        self.advertise(now, id, prefixes);
    }

    /// The session is over: all that the peer said is forgotten, and all that it was told.
    pub(super) fn end_routes(&mut self, id: PeerId, reason: Reason) {
        let peer = &mut self.peers[id.index()];
        peer.adj_out = AdjRibOut::default();
        peer.route_advertisement.stop();
        peer.forget_stale();
        for prefix in self.adj_rib_in(id).prefixes() {
            self.withdrawn(id, prefix, reason);
        }
        self.rearm(id);
    }

    /// Import policy or what else makes a route usable changed: every route in Adj-RIB-In is judged again.
    pub(super) fn import_again(&mut self, id: PeerId, reason: Reason) {
        let Some((slot, _)) = self.peers[id.index()].established() else {
            return;
        };
        let mut import = Importer::default();
        for prefix in self.adj_rib_in(id).prefixes() {
            if let Some(received) = self.rib.received(&prefix, Some(id)).cloned() {
                self.import(id, slot, prefix, &received, &mut import, reason);
            }
        }
    }

    /// Export policy changed: every route may look different to the peer.
    pub(super) fn export_again(&mut self, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        if peer.session().is_some() {
            for prefix in self.rib.prefixes() {
                peer.adj_out.pending.touch(prefix, None);
            }
            self.ready.insert(id);
        }
    }

    /// Tells every peer what changed, unless MinRouteAdvertisementIntervalTimer holds it back (section 9.2.1.1).
    pub(super) fn flush(&mut self, now: Instant) {
        if self.restarting || self.changed.is_empty() && self.ready.is_empty() {
            return;
        }
        let mut changed = core::mem::take(&mut self.changed);
        let ready = core::mem::take(&mut self.ready);
        changed.settle();
        let concerned = match changed.is_empty() {
            true => ready.into_iter().collect(),
            false => self.established.clone(),
        };
        for id in concerned {
            let peer = &mut self.peers[id.index()];
            let held_back = peer.route_advertisement.is_running();
            if held_back || !peer.adj_out.pending.is_empty() {
                peer.adj_out.pending.extend(&changed);
            }
            match (held_back, peer.adj_out.pending.is_empty()) {
                (true, _) => {}
                (false, true) => self.advertise(now, id, changed.iter()),
                (false, false) => {
                    let mut pending = core::mem::take(&mut peer.adj_out.pending);
                    pending.settle();
                    self.advertise(now, id, pending.iter());
                }
            }
        }
        // What is used for every UPDATE keeps its room, unless it took a whole table.
        changed.clear();
        self.changed = changed;
    }

    /// Sends the peer what it does not know yet about these prefixes, each with the peer that its best route is from, if
    /// that is known.
    fn advertise(&mut self, now: Instant, id: PeerId, prefixes: impl IntoIterator<Item = (Ipv4Net, Option<PeerId>)>) {
        let Self { peers, rib, pool, interior, .. } = self;
        let (asn, router_id, cluster_id) = (self.local_as, self.router_id, self.cluster_id);
        let local = Local { asn, router_id, cluster_id, interior };
        let peer = &peers[id.index()];
        let (Some((slot, conn)), Some(session)) = (peer.established(), peer.session().copied()) else {
            return;
        };
        let mut adj_out = core::mem::take(&mut peers[id.index()].adj_out);
        let mut news = News::default();
        let mut exporter = Exporter::default();
        for (prefix, from) in prefixes {
            // The peer's own route, and it was told of no other: nothing to look up.
            if from == Some(id) && adj_out.sent.is_empty() {
                continue;
            }
            let best = rib.loc().get(&prefix).map(Entry::best_route);
            let heard = best.filter(|route| may_hear(id, route, &session, peers, asn));
            let route = heard.and_then(|route| {
                let config = &peers[id.index()].config;
                let from = source(peers, route.peer, asn);
                exporter.route(&local, config, &session, prefix, route, from, pool)
            });
            news.note(&mut adj_out, prefix, route);
        }
        peers[id.index()].adj_out = adj_out;
        self.publish(now, id, slot, conn, &session, &news);
    }

    fn publish(&mut self, now: Instant, id: PeerId, slot: Slot, conn: ConnId, session: &Session, news: &News) {
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
            self.update_step(id, conn, Step::UpdateSent, prefixes);
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

/// What the decision process knows of a source.
fn source(peers: &[Peer], peer: Option<PeerId>, local_as: u32) -> Source {
    let Some(peer) = peer.map(|id| &peers[id.index()]) else {
        return Source::Local;
    };
    let fsms = [Some(&peer.main), peer.rival.as_ref()].into_iter().flatten();
    let session =
        peer.session().or(peer.retained.as_ref()).or_else(|| fsms.filter_map(|fsm| fsm.session.as_ref()).next());
    Source::Peer {
        external: peer.config.remote_as != local_as,
        identifier: session.map_or(Ipv4Addr::UNSPECIFIED, |session| session.identifier),
        address: peer.config.remote_address,
    }
}

/// Where a route comes from, and what the way to its next hop costs. That there is a way was seen when it was imported.
fn origin(route: Route<'_>, peers: &[Peer], local_as: u32, interior: &InteriorCosts) -> (Source, u32) {
    let source = source(peers, route.peer, local_as);
    let cost = match source {
        Source::Local => 0,
        Source::Peer { external, .. } => interior.to(route.attributes.next_hop, external).unwrap_or(u32::MAX),
    };
    (source, cost)
}

/// Who may hear of a route: not the peer it came from, nobody whom its communities exclude (RFC 1997), and if an internal peer
/// said it, no other (RFC 4271 section 9.2), unless one of the two is our client (RFC 4456 section 6).
fn may_hear(id: PeerId, route: &Route<'_>, session: &Session, peers: &[Peer], local_as: u32) -> bool {
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

/// What we are to the routes of others.
#[derive(Clone, Copy)]
struct Local<'a> {
    asn: u32,
    router_id: Ipv4Addr,
    cluster_id: Ipv4Addr,
    interior: &'a InteriorCosts,
}

/// Attributes by their place in memory, which nobody frees meanwhile, and the rules that may apply.
type ImportKey = (*const Attributes, Selection);

/// Import, with the outcome of the last rules remembered: the routes of one UPDATE share it.
#[derive(Default)]
struct Importer {
    last: Option<(ImportKey, Verdict)>,
}

impl Importer {
    fn route(
        &mut self,
        local: &Local<'_>,
        peer: &Peer,
        slot: Slot,
        prefix: Ipv4Net,
        attributes: &Arc<Attributes>,
        pool: &mut Pool,
    ) -> Verdict {
        let policy = &peer.config.import;
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
                let owner = Owner { asn: local.asn, address: peer.config.local_address };
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
fn unusable(local: &Local<'_>, config: &PeerConfig, external: bool, attributes: &Attributes) -> Option<Reason> {
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
    let connected = || next_hop == config.remote_address || config.subnet.contains(&next_hop);
    let reachable = match external {
        true => config.multihop || connected(),
        false => local.interior.to(next_hop, false).is_some(),
    };
    (next_hop == config.local_address || !reachable).then_some(Reason::NextHopUnusable)
}

/// Attributes by their place in memory, whom they were learned from, and the rules that may apply.
type ExportKey = (*const Attributes, Option<PeerId>, Selection);

/// Export, with outcomes remembered by what they depend on.
#[derive(Default)]
struct Exporter {
    known: BTreeMap<ExportKey, Option<Arc<Attributes>>>,
}

impl Exporter {
    #[allow(clippy::too_many_arguments, reason = "what an export depends on")]
    fn route(
        &mut self,
        local: &Local<'_>,
        config: &PeerConfig,
        session: &Session,
        prefix: Ipv4Net,
        route: Route<'_>,
        from: Source,
        pool: &mut Pool,
    ) -> Option<Arc<Attributes>> {
        let selection = config.export.select(prefix);
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
        if external || route.peer.is_none() || config.next_hop_self && reflected.is_none() {
            out.next_hop = config.local_address;
        }
        // RFC 4456 section 8: the first reflector names the originator, each puts its cluster in front.
        if let Some(identifier) = reflected {
            let reflection = out.reflection.get_or_insert_default();
            reflection.originator_id.get_or_insert(identifier);
            reflection.cluster_list.insert(0, local.cluster_id);
        }
        let owner = Owner { asn: local.asn, address: config.local_address };
        let accepted = config.export.apply(&key.2, owner, &mut out);
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
#[derive(Default)]
struct News {
    withdrawn: Vec<Ipv4Net>,
    announced: Vec<(Arc<Attributes>, Vec<Ipv4Net>)>,
    groups: BTreeMap<Arc<Attributes>, usize>,
    last: usize,
}

impl News {
    /// Notes a prefix if the peer knows something else about it.
    fn note(&mut self, known: &mut AdjRibOut, prefix: Ipv4Net, route: Option<Arc<Attributes>>) {
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
        let same = |(group, _): &(Arc<Attributes>, _)| Arc::ptr_eq(group, &attributes);
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
