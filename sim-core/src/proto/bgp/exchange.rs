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
use super::message::MAX_MESSAGE;
use super::notification::Notification;
use super::peer::{ConnId, Peer, Session, Slot};
use super::policy::{Owner, Selection};
use super::rib::{AdjRibIn, AdjRibOut, Changed, Route};
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
        for prefix in update.withdrawn {
            if self.peers[id.index()].adj_in.remove(&prefix).is_some() {
                self.place(prefix, Some(id), None, Reason::Withdrawn);
            }
        }
        let Some(attributes) = update.attributes else {
            return;
        };
        let mut import = Importer::default();
        for prefix in update.reachable {
            let peer = &mut self.peers[id.index()];
            peer.adj_in.insert(prefix, Arc::clone(&attributes));
            self.import(id, slot, prefix, &attributes, &mut import, Reason::Learned);
        }
        self.check_limit(now, id);
    }

    /// From Adj-RIB-In to Loc-RIB: usable or not (section 9.1.2), and what import policy makes of it.
    fn import(
        &mut self,
        id: PeerId,
        slot: Slot,
        prefix: Ipv4Net,
        attributes: &Arc<Attributes>,
        import: &mut Importer,
        cause: Reason,
    ) {
        let peer = &self.peers[id.index()];
        let verdict = import.route(&self.local(), peer, slot, prefix, attributes);
        let usable = match verdict {
            Ok(usable) => Some(usable),
            Err(reason) => {
                self.refuse(id, prefix, reason);
                None
            }
        };
        // A refused route still replaces what the peer said before (section 9: implicit withdrawal).
        let reason = match usable {
            Some(_) => cause,
            None => Reason::Withdrawn,
        };
        self.place(prefix, Some(id), usable, reason);
    }

    fn refuse(&mut self, peer: PeerId, prefix: Ipv4Net, reason: Reason) {
        self.out.push_back(Output::Refused { peer, prefix, reason });
    }

    /// Changes one source's usable route in Loc-RIB and tells whom it concerns.
    fn place(&mut self, prefix: Ipv4Net, from: Option<PeerId>, attributes: Option<Arc<Attributes>>, reason: Reason) {
        let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
        let origin = |route: &Route| origin(route, peers, local_as, interior);
        let changed = self.loc.set(prefix, from, attributes, &self.rules, origin);
        self.tell(prefix, changed, reason);
    }

    /// A change of what is used goes to the owner, and one of the best route to the peers as well.
    fn tell(&mut self, prefix: Ipv4Net, changed: Option<Changed>, reason: Reason) {
        let Some(Changed { from, to, also, outdone }) = changed else {
            return;
        };
        let reason = match outdone {
            true => Reason::BetterRoute,
            false => reason,
        };
        self.out.push_back(Output::Route(super::RouteChange { prefix, from, to, also, reason }));
        for peer in &mut self.peers {
            if peer.session().is_some() {
                peer.adj_out.touch(prefix);
            }
        }
    }

    /// Where a route comes from, and what the way to its next hop costs.
    pub(super) fn origin(&self, route: &Route) -> (Source, u32) {
        origin(route, &self.peers, self.local_as, &self.interior)
    }

    /// The interior costs change: of several routes another may be best, and what internal peers said may have become
    /// reachable or unreachable (section 9.1.2.1).
    pub(super) fn set_interior(&mut self, costs: InteriorCosts) {
        let before = core::mem::replace(&mut self.interior, costs);
        let prefixes: Vec<_> = self.loc.entries().keys().collect();
        for prefix in prefixes {
            let (peers, local_as, interior) = (&self.peers, self.local_as, &self.interior);
            let then = |route: &Route| origin(route, peers, local_as, &before);
            let now = |route: &Route| origin(route, peers, local_as, interior);
            let changed = self.loc.reconsider(prefix, &self.rules, then, now);
            // No route is better than it was: it is the way to it that changed.
            let changed = changed.map(|changed| Changed { outdone: false, ..changed });
            self.tell(prefix, changed, Reason::InteriorCost);
        }
        for index in 0..self.peers.len() {
            if self.peers[index].config.remote_as == self.local_as {
                self.import_again(PeerId(index as u16), Reason::InteriorCost);
            }
        }
    }

    fn local(&self) -> Local<'_> {
        Local { asn: self.local_as, router_id: self.router_id, cluster_id: self.cluster_id, interior: &self.interior }
    }

    /// Cease 6/1 with AFI, SAFI and the bound as data (RFC 4486 section 4).
    fn check_limit(&mut self, now: Instant, id: PeerId) {
        let peer = &self.peers[id.index()];
        if let Some(limit) = peer.config.max_prefixes
            && peer.adj_in.len() > limit as usize
        {
            let mut data = vec![0, 1, 1];
            data.extend_from_slice(&limit.to_be_bytes());
            let notification = Notification::new(Notification::MAX_PREFIXES, data);
            let reason = Reason::PrefixLimit;
            self.stop(now, id, Event::AutomaticStop, reason, &notification);
        }
    }

    /// Puts a route of our own into Loc-RIB, or takes it out.
    pub(super) fn originate(&mut self, prefix: Ipv4Net, route: Option<Originated>) {
        if !is_unicast(prefix) {
            return;
        }
        let reason = match route {
            Some(_) => Reason::Originated,
            None => Reason::Withdrawn,
        };
        let attributes = route.map(|route| {
            Arc::new(Attributes {
                origin: route.origin,
                as_path: route.as_path,
                med: route.med,
                ..Attributes::new(Ipv4Addr::UNSPECIFIED)
            })
        });
        self.place(prefix.trunc(), None, attributes, reason);
    }

    /// The session is established: the whole table, then End-of-RIB.
    pub(super) fn begin_routes(&mut self, now: Instant, id: PeerId) {
        self.peers[id.index()].adj_out = AdjRibOut::default();
        self.send_table(now, id);
        if let Some((slot, _)) = self.peers[id.index()].established() {
            self.send(id, slot, Step::EndOfRibSent, update::end_of_rib());
        }
    }

    /// A ROUTE-REFRESH wants the whole table again (RFC 2918 section 4).
    pub(super) fn resend_routes(&mut self, now: Instant, id: PeerId) {
        self.peers[id.index()].adj_out.sent.clear();
        self.send_table(now, id);
    }

    fn send_table(&mut self, now: Instant, id: PeerId) {
        let prefixes: Vec<_> = self.loc.entries().keys().collect();
        self.advertise(now, id, prefixes);
    }

    /// The session is over: all that the peer said is forgotten, and all that it was told.
    pub(super) fn end_routes(&mut self, id: PeerId, reason: Reason) {
        let peer = &mut self.peers[id.index()];
        peer.adj_out = AdjRibOut::default();
        peer.route_advertisement.stop();
        let lost = core::mem::replace(&mut peer.adj_in, AdjRibIn::new());
        for prefix in lost.keys() {
            self.place(prefix, Some(id), None, reason);
        }
    }

    /// Import policy or what else makes a route usable changed: every route in Adj-RIB-In is judged again.
    pub(super) fn import_again(&mut self, id: PeerId, reason: Reason) {
        let Some((slot, _)) = self.peers[id.index()].established() else {
            return;
        };
        let held = core::mem::take(&mut self.peers[id.index()].adj_in);
        let mut import = Importer::default();
        for (prefix, attributes) in &held {
            self.import(id, slot, prefix, attributes, &mut import, reason);
        }
        self.peers[id.index()].adj_in = held;
    }

    /// Export policy changed: every route may look different to the peer.
    pub(super) fn export_again(&mut self, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        if peer.session().is_some() {
            for prefix in self.loc.entries().keys() {
                peer.adj_out.touch(prefix);
            }
        }
    }

    /// Tells every peer what changed, unless MinRouteAdvertisementIntervalTimer holds it back (section 9.2.1.1).
    pub(super) fn flush(&mut self, now: Instant) {
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            if peer.adj_out.has_pending() && !peer.route_advertisement.is_running() {
                let pending = peer.adj_out.take_pending();
                self.advertise(now, PeerId(index as u16), pending);
            }
        }
    }

    /// Sends the peer what it does not know yet about these prefixes.
    fn advertise(&mut self, now: Instant, id: PeerId, prefixes: impl IntoIterator<Item = Ipv4Net>) {
        let peer = &mut self.peers[id.index()];
        let (Some((slot, conn)), Some(session)) = (peer.established(), peer.session().copied()) else {
            return;
        };
        let mut news = News::default();
        let mut exporter = Exporter::default();
        for prefix in prefixes {
            let best = self.loc.entries().get(&prefix).map(|entry| entry.best_route());
            let route =
                best.filter(|route| may_hear(id, route, &session, &self.peers, self.local_as)).and_then(|route| {
                    let config = &self.peers[id.index()].config;
                    let from = route.peer.map(|from| source(&self.peers[from.index()], self.local_as));
                    exporter.route(&self.local(), config, &session, prefix, route, from)
                });
            news.note(&mut self.peers[id.index()].adj_out, prefix, route);
        }
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
    }
}

/// What the decision process knows of a peer.
fn source(peer: &Peer, local_as: u32) -> Source {
    let fsms = [Some(&peer.main), peer.rival.as_ref()].into_iter().flatten();
    let session = peer.session().or_else(|| fsms.filter_map(|fsm| fsm.session.as_ref()).next());
    Source::Peer {
        external: peer.config.remote_as != local_as,
        identifier: session.map_or(Ipv4Addr::UNSPECIFIED, |session| session.identifier),
        address: peer.config.remote_address,
    }
}

/// Where a route comes from, and what the way to its next hop costs. That there is a way was seen when it was imported.
fn origin(route: &Route, peers: &[Peer], local_as: u32, interior: &InteriorCosts) -> (Source, u32) {
    let Some(peer) = route.peer else {
        return (Source::Local, 0);
    };
    let peer = &peers[peer.index()];
    let external = peer.config.remote_as != local_as;
    let cost = interior.to(route.attributes.next_hop, external).unwrap_or(u32::MAX);
    (source(peer, local_as), cost)
}

/// Who may hear of a route: not the peer it came from, nobody whom its communities exclude (RFC 1997), and if an internal peer
/// said it, no other (RFC 4271 section 9.2), unless one of the two is our client (RFC 4456 section 6).
fn may_hear(id: PeerId, route: &Route, session: &Session, peers: &[Peer], local_as: u32) -> bool {
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
    last: Option<(ImportKey, Result<Arc<Attributes>, Reason>)>,
}

impl Importer {
    fn route(
        &mut self,
        local: &Local<'_>,
        peer: &Peer,
        slot: Slot,
        prefix: Ipv4Net,
        attributes: &Arc<Attributes>,
    ) -> Result<Arc<Attributes>, Reason> {
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
            None if policy.is_neutral(&key.1) && !leaving => Ok(Arc::clone(attributes)),
            None => {
                let mut changed = Attributes::clone(attributes);
                let owner = Owner { asn: local.asn, address: peer.config.local_address };
                match policy.apply(&key.1, owner, &mut changed) {
                    true => {
                        // RFC 8326 section 4.2: "the lowest possible" is recommended.
                        changed.local_pref = if leaving { Some(0) } else { changed.local_pref };
                        Ok(Arc::new(changed))
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
        true => !config.connected_next_hop || connected(),
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
    fn route(
        &mut self,
        local: &Local<'_>,
        config: &PeerConfig,
        session: &Session,
        prefix: Ipv4Net,
        route: &Route,
        from: Option<Source>,
    ) -> Option<Arc<Attributes>> {
        let selection = config.export.select(prefix);
        let key = (Arc::as_ptr(&route.attributes), route.peer, selection);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut out = Attributes::clone(&route.attributes);
        let external = session.dialect.is_external();
        let reflected = match from {
            Some(Source::Peer { external: false, identifier, .. }) if !external => Some(identifier),
            Some(Source::Local | Source::Peer { .. }) | None => None,
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
        let outcome = accepted.then(|| Arc::new(out));
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
