//! Routes in and routes out (RFC 4271 section 9): from UPDATEs through [`super::import`] and the decision process into
//! Loc-RIB, and from there on to [`super::export`].

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::Speaker;
use super::adj_in::AdjRibIn;
use super::adj_out::AdjRibOut;
use super::attributes::Attributes;
use super::config::{InteriorCosts, Originated, PeerId};
use super::contract::{Output, RouteChange};
use super::decision::Source;
use super::family::{Afi, Family, Spoken, UNICAST};
use super::fsm::Event;
use super::import::Importer;
use super::message::{self, Refresh};
use super::notification::Notification;
use super::peer::{Peer, Slot};
use super::rib::{Changed, Route, Verdict};
use super::tables::Tables;
use super::update::{Said, Update};
use crate::reason::{Reason, Step};
use crate::time::Instant;

impl Speaker {
    /// Works an UPDATE into Adj-RIB-In and from there on.
    pub(super) fn take_update(&mut self, now: Instant, id: PeerId, slot: Slot, update: Update) {
        self.take_said(now, id, slot, update.ipv4);
        if let Some(said) = update.ipv6 {
            self.take_said(now, id, slot, *said);
        }
    }

    /// What an UPDATE says of one family, unless the session is without it or what it said of the other ended the session.
    fn take_said<F: Spoken>(&mut self, now: Instant, id: PeerId, slot: Slot, said: Said<F>) {
        if !self.peers[id.index()].session().is_some_and(F::is_spoken) {
            return;
        }
        for &prefix in &said.ignored {
            self.refuse(id, prefix, Reason::NotUnicast);
        }
        if said.end_of_rib {
            return self.peer_has_sent_all::<F>(now, id);
        }
        for prefix in said.withdrawn {
            self.withdrawn(id, prefix, Reason::Withdrawn);
        }
        for prefix in said.treated_as_withdrawn {
            self.refuse(id, prefix, Reason::TreatedAsWithdraw);
            self.withdrawn(id, prefix, Reason::TreatedAsWithdraw);
        }
        let Some(attributes) = said.shared else {
            return;
        };
        let mut import = Importer::default();
        for prefix in said.reachable {
            F::of_mut(&mut self.tables).peers[id.index()].stale.remove(&prefix);
            self.import(id, slot, prefix, &attributes, &mut import, Reason::Learned);
        }
        self.check_limit::<F>(now, id);
    }

    /// Into Adj-RIB-In and on to Loc-RIB: usable or not (section 9.1.2), and what import policy makes of it.
    fn import<F: Spoken>(
        &mut self,
        id: PeerId,
        slot: Slot,
        prefix: F,
        received: &Arc<Attributes<F>>,
        import: &mut Importer<F>,
        cause: Reason,
    ) {
        let peer = &self.peers[id.index()];
        let Tables { interior, pool, .. } = F::of_mut(&mut self.tables);
        let local = Local { asn: self.local_as, router_id: self.router_id, cluster_id: self.cluster_id, interior };
        let verdict = import.route(&local, peer, slot, prefix, received, pool);
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

    fn refuse<F: Family>(&mut self, peer: PeerId, prefix: F, reason: Reason) {
        self.out.push_back(Output::Refused { peer, prefix: prefix.into(), reason });
    }

    /// Puts one source's route into the tables and tells whom it concerns.
    fn place<F: Spoken>(
        &mut self,
        prefix: F,
        from: Option<PeerId>,
        received: Arc<Attributes<F>>,
        verdict: Verdict<F>,
        reason: Reason,
    ) {
        let Tables { rib, interior, peers: tables, .. } = F::of_mut(&mut self.tables);
        let (peers, local_as) = (&self.peers, self.local_as);
        let origin = |route: Route<'_, F>| origin(route, peers, local_as, interior);
        let (is_new, changed) = rib.set(prefix, from, received, verdict, &self.rules, origin);
        if let Some(id) = from.filter(|_| is_new) {
            tables[id.index()].heard.add(prefix);
        }
        self.spread(prefix, changed, reason);
    }

    /// A route of a peer is no more, if it had one.
    pub(super) fn withdrawn<F: Spoken>(&mut self, id: PeerId, prefix: F, reason: Reason) {
        let Tables { rib, interior, peers: tables, .. } = F::of_mut(&mut self.tables);
        tables[id.index()].stale.remove(&prefix);
        let (peers, local_as) = (&self.peers, self.local_as);
        let origin = |route: Route<'_, F>| origin(route, peers, local_as, interior);
        if let Some(changed) = rib.remove(prefix, Some(id), &self.rules, origin) {
            tables[id.index()].heard.remove(prefix);
            self.spread(prefix, changed, reason);
        }
    }

    /// A change of what is used goes to the owner, and one of the best route to the peers as well.
    fn spread<F: Spoken>(&mut self, prefix: F, changed: Option<Changed<F>>, reason: Reason) {
        let Some(Changed { from, to, also, outdone }) = changed else {
            return;
        };
        let tables = F::of_mut(&mut self.tables);
        // RFC 4724 section 4.1: a restarted speaker tells what it decided when it has heard everybody.
        if tables.deferring {
            return;
        }
        let reason = match outdone {
            true => Reason::BetterRoute,
            false => reason,
        };
        self.out.push_back(F::changed(RouteChange { prefix, from, to, also, reason }));
        let by = to.and_then(|best| best.peer);
        // A router with one peer that it has told nothing has nothing to tell it of the peer's own route.
        let nobody = match self.established[..] {
            [only] => by == Some(only) && tables.peers[only.index()].adj_out.sent.is_empty(),
            _ => false,
        };
        if !nobody {
            tables.changed.touch(prefix, by);
        }
    }

    /// The interior costs change: of several routes another may be best, and what peers said that are no neighbours may have become
    /// reachable or unreachable (section 9.1.2.1).
    pub(super) fn set_interior<F: Spoken>(&mut self, costs: InteriorCosts<F>) {
        let tables = F::of_mut(&mut self.tables);
        let before = core::mem::replace(&mut tables.interior, costs);
        let prefixes: Vec<_> = tables.rib.prefixes().collect();
        for prefix in prefixes {
            let Tables { rib, interior, .. } = F::of_mut(&mut self.tables);
            let (peers, local_as) = (&self.peers, self.local_as);
            let then = |route: Route<'_, F>| origin(route, peers, local_as, &before);
            let now = |route: Route<'_, F>| origin(route, peers, local_as, interior);
            let changed = rib.reconsider(prefix, &self.rules, then, now);
            // No route is better than it was: it is the way to it that changed.
            let changed = changed.map(|changed| Changed { outdone: false, ..changed });
            self.spread(prefix, changed, Reason::InteriorCost);
        }
        for index in 0..self.peers.len() {
            let config = &self.peers[index].config;
            if config.remote_as == self.local_as || config.multihop {
                self.import_again::<F>(PeerId(index as u16), Reason::InteriorCost);
            }
        }
    }

    /// Warns the operator near the limit, and beyond it says Cease 6/1 with AFI, SAFI and the bound as data (RFC 4486
    /// section 4).
    fn check_limit<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        let Some(limit) = F::limit(&self.peers[id.index()].config) else { return };
        let tables = &mut F::of_mut(&mut self.tables).peers[id.index()];
        let prefixes = tables.heard.len();
        if limit.warns(prefixes) && !core::mem::replace(&mut tables.warned, true) {
            self.out.push_back(Output::NearLimit { peer: id, afi: F::AFI, prefixes });
        }
        if prefixes > limit.most as usize {
            self.peers[id.index()].over_limit = Some(limit.then);
            let data = [&F::AFI.octets()[..], &[UNICAST], &limit.most.to_be_bytes()].concat();
            let notification = Notification::new(Notification::MAX_PREFIXES, data);
            self.stop(now, id, Event::AutomaticStop, Reason::PrefixLimit, &notification);
        }
    }

    /// Puts a route of our own into Loc-RIB, or takes it out.
    pub(super) fn originate<F: Spoken>(&mut self, prefix: F, route: Option<Originated>) {
        if !prefix.is_unicast() {
            return;
        }
        let prefix = F::from_repr_len(prefix.mask(), prefix.prefix_len());
        let Tables { rib, pool, interior, .. } = F::of_mut(&mut self.tables);
        let Some(route) = route else {
            let (peers, local_as) = (&self.peers, self.local_as);
            let origin = |route: Route<'_, F>| origin(route, peers, local_as, interior);
            let changed = rib.remove(prefix, None, &self.rules, origin).flatten();
            self.spread(prefix, changed, Reason::Withdrawn);
            return self.tell_beside::<F>(prefix);
        };
        let attributes = pool.share(Attributes {
            origin: route.origin,
            as_path: route.as_path,
            med: route.med,
            local_pref: route.local_pref,
            ..Attributes::new(F::HERE)
        });
        self.place(prefix, None, attributes, Ok(None), Reason::Originated);
        self.tell_beside::<F>(prefix);
    }

    /// What an end of a router originates concerns its peers also where it is not the best route here.
    fn tell_beside<F: Spoken>(&mut self, prefix: F) {
        if self.end_of_router {
            F::of_mut(&mut self.tables).changed.touch(prefix, None);
        }
    }

    /// The session is established: the whole tables, each with its End-of-RIB. After a restart they follow the decisions.
    pub(super) fn begin_routes(&mut self, now: Instant, id: PeerId) {
        self.begin_family::<Ipv4Net>(id);
        if self.speaks_ipv6() {
            self.begin_family::<Ipv6Net>(id);
        }
        self.resume_stale(id);
        self.begin_sending::<Ipv4Net>(now, id);
        if self.speaks_ipv6() {
            self.begin_sending::<Ipv6Net>(now, id);
        }
    }

    fn begin_family<F: Spoken>(&mut self, id: PeerId) {
        let tables = &mut F::of_mut(&mut self.tables).peers[id.index()];
        tables.adj_out = AdjRibOut::default();
        tables.warned = false;
        tables.has_sent_all = false;
    }

    fn begin_sending<F: Spoken>(&mut self, now: Instant, id: PeerId) {
        match F::of_mut(&mut self.tables).deferring {
            true => self.decide_if_complete_of::<F>(now),
            false => self.send_all::<F>(now, id),
        }
    }

    /// Asks a peer for its whole tables, if it can answer (RFC 2918 section 4).
    pub(super) fn ask_again(&mut self, id: PeerId) {
        let peer = &self.peers[id.index()];
        let (Some((slot, _)), Some(session)) = (peer.established(), peer.session().copied()) else {
            return;
        };
        let spoken = [(Afi::Ipv4, session.dialect.ipv4_unicast), (Afi::Ipv6, session.dialect.ipv6_unicast)];
        for (afi, _) in spoken.into_iter().filter(|(_, spoken)| *spoken && session.refresh) {
            self.send(id, slot, Step::RouteRefreshSent, message::route_refresh(afi, Refresh::Request));
        }
    }

    /// The session is over: all that the peer said is forgotten, and all that it was told.
    pub(super) fn end_routes(&mut self, id: PeerId, reason: Reason) {
        self.peers[id.index()].route_advertisement.stop();
        self.forget_stale(id);
        self.end_family::<Ipv4Net>(id, reason);
        if self.speaks_ipv6() {
            self.end_family::<Ipv6Net>(id, reason);
        }
        self.rearm(id);
    }

    /// The same of one family.
    pub(super) fn end_family<F: Spoken>(&mut self, id: PeerId, reason: Reason) {
        let tables = F::of_mut(&mut self.tables);
        tables.peers[id.index()].adj_out = AdjRibOut::default();
        for prefix in AdjRibIn::of(tables, id).prefixes() {
            self.withdrawn(id, prefix, reason);
        }
    }

    /// Import policy or what else makes a route usable changed: every route in Adj-RIB-In is judged again.
    pub(super) fn import_again<F: Spoken>(&mut self, id: PeerId, reason: Reason) {
        let Some((slot, _)) = self.peers[id.index()].established() else {
            return;
        };
        let mut import = Importer::default();
        for prefix in AdjRibIn::of(F::of_mut(&mut self.tables), id).prefixes() {
            if let Some(received) = F::of_mut(&mut self.tables).rib.received(&prefix, Some(id)).cloned() {
                self.import(id, slot, prefix, &received, &mut import, reason);
            }
        }
    }
}

/// What the decision process knows of a source.
pub(super) fn source(peers: &[Peer], peer: Option<PeerId>, local_as: u32) -> Source {
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
pub(super) fn origin<F: Family>(
    route: Route<'_, F>,
    peers: &[Peer],
    local_as: u32,
    interior: &InteriorCosts<F>,
) -> (Source, u32) {
    let source = source(peers, route.peer, local_as);
    let cost = match source {
        Source::Local => 0,
        Source::Peer { external, .. } => interior.to(route.attributes.next_hop, external).unwrap_or(u32::MAX),
    };
    (source, cost)
}

/// What we are to the routes of others.
#[derive(Clone, Copy)]
pub(super) struct Local<'a, F: Family> {
    pub asn: u32,
    pub router_id: Ipv4Addr,
    pub cluster_id: Ipv4Addr,
    pub interior: &'a InteriorCosts<F>,
}
