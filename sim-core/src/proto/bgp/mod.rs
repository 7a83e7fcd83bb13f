//! A BGP-4 speaker (RFC 4271) that sees byte streams and never TCP.
//!
//! - [`Speaker`] owns several peers and one set of tables; its contract is that of [`crate::proto`].
//! - `fsm` is the table of states and events, `session` carries it out, `receive` makes events of messages,
//!   `exchange` moves routes between `import` and `export`, `graceful` keeps them over a restart, `decision` orders them,
//!   `faults` says what becomes of a malformed UPDATE; `message`, `open`, `update`, `multiprotocol`, `attributes`, `walk` and
//!   `as_path` are the way to and from the wire. Framing, error codes and the walk over attributes are ours; values are read
//!   and written by netgauze-bgp-pkt.
//! - `family` is what differs between IPv4 and IPv6 unicast. Both go over one session, whose transport is either, and each has
//!   `tables` of its own; a speaker without IPv6 has none of them.
//!
//! ```text
//!  Received -> Framer -> message -> fsm::transition -> actions -> Send, Close, State, ...
//!                                        |
//!                                     UPDATE -> Adj-RIB-In -> import -> Loc-RIB -> export -> Adj-RIB-Out -> Send
//! ```
//!
//! Implemented besides RFC 4271: capabilities (RFC 5492), IPv4 and IPv6 unicast (RFC 4760, RFC 2545), AS
//! numbers of four octets (RFC 6793), communities (RFC 1997, RFC 8092, RFC 8326), route reflection (RFC 4456),
//! ROUTE-REFRESH both ways and its marks (RFC 2918, RFC 7313), Cease subcodes (RFC 4486) and their texts (RFC 9003),
//! End-of-RIB and graceful restart (RFC 4724, RFC 8538), FSM error subcodes (RFC 6608), revised handling of malformed
//! UPDATEs (RFC 7606), AS 0 (RFC 7607), identifiers unique per AS (RFC 6286).
//!
//! Left out: other families, IPv4 unicast in MP_REACH_NLRI, with or without a next hop of IPv6 (RFC 8950), extended messages (RFC 8654), the send hold timer (RFC 9687), confederations (RFC
//! 5065), aggregation (section 9.2.2.2), third-party NEXT_HOP towards external peers (NEXT_HOP is our own address unless
//! the export policy names another), several routes to one prefix in one session (RFC 7911), and route flap damping (RFC
//! 2439). There is no IGP: what it would say of next hops is [`InteriorCosts`].

mod adj_in;
mod adj_out;
pub mod as_path;
pub mod attributes;
pub mod communities;
pub mod config;
mod contract;
pub mod decision;
mod exchange;
mod export;
pub mod family;
pub mod faults;
pub mod fsm;
mod graceful;
mod import;
pub mod message;
mod multiprotocol;
pub mod notification;
pub mod open;
mod peer;
pub mod policy;
mod pool;
mod receive;
mod rib;
mod session;
mod tables;
mod timer;
pub mod update;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use litemap::LiteMap;
use prefix_trie::PrefixMap;

pub use self::adj_in::AdjRibIn;
use self::attributes::Attributes;
pub use self::config::{
    AfterLimit, Damping, GracefulRestart, InteriorCosts, Ipv6Config, MaxPrefixes, Originated, PeerConfig, PeerId,
    SpeakerConfig,
};
pub use self::contract::{Input, Judged, Output, RouteChange};
use self::decision::{DecidedBy, Rules};
use self::family::Spoken;
pub use self::family::{Afi, Family, Ipv6NextHop};
use self::fsm::{Event, FsmState};
pub use self::notification::{CommunicationError, Notification};
pub use self::open::Open;
pub use self::peer::ConnId;
use self::peer::{Fsm, Peer, PeerTimer, Slot};
pub use self::rib::{Best, Entry, Hop, LocRib, Route};
use self::session::Cause;
use self::tables::{Both, Tables};
pub use self::timer::Jitter;
use self::timer::Timer;
pub use self::update::Prefixes;
use crate::fetch::{fetch, fetch_first};
use crate::reason::{Reason, State, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// A router's BGP: its peers and its tables.
#[derive(Clone)]
pub struct Speaker {
    local_as: u32,
    router_id: Ipv4Addr,
    rules: Rules,
    cluster_id: Ipv4Addr,
    /// False until the first start after power came: the configured networks are not originated yet.
    booted: bool,
    peers: Vec<Peer>,
    /// Whose connections are whose.
    conns: LiteMap<ConnId, PeerId>,
    /// The peers with an established session, in their order.
    established: Vec<PeerId>,
    /// When the first timer of each peer expires that has one running.
    wakes: BTreeSet<(Instant, PeerId)>,
    tables: Both,
    /// Peers that have to be told something and may be.
    ready: BTreeSet<PeerId>,
    end_of_router: bool,
    min_as_origination: Duration,
    origination: Timer,
    origination_rng: Rng,
    origination_jitter: Jitter,
    selection_deferral: Duration,
    deferral: Timer,
    next_conn: u32,
    out: VecDeque<Output>,
    /// How many outputs were polled since there was none.
    polled: usize,
}

/// What a queue may keep is the room of so many times what it held at last.
const SPARE: usize = 16;

impl Speaker {
    /// Fetches what a message or a timer will touch, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        match depth {
            1 => {
                fetch(&self.peers);
                fetch(&self.conns);
                fetch(&self.wakes);
                fetch(&self.out);
                fetch(&self.origination);
            }
            2 => {
                fetch_first(self.conns.as_slice());
                self.wakes.first().into_iter().for_each(fetch);
                self.peers.iter().take(2).for_each(Peer::foresee);
            }
            _ => {}
        }
    }

    /// A speaker whose peers are all Idle. `rng` gives the stream of [`crate::rng::Purpose::BgpTimers`] for a name:
    /// that of each peer once, and the empty one for the speaker's own timer.
    pub fn new(config: SpeakerConfig, mut rng: impl FnMut(&str) -> Rng) -> Self {
        let peers: Vec<_> = config
            .peers
            .into_iter()
            .map(|peer| {
                let rng = rng(&peer.name);
                Peer::new(peer, rng)
            })
            .collect();
        let mut ipv4 = Tables::new(peers.len());
        ipv4.interior = config.interior;
        ipv4.networks = config.networks;
        let mut tables = Both { ipv4, ipv6: None };
        if !config.ipv6_networks.is_empty() || peers.iter().any(|peer| peer.config.ipv6.is_some()) {
            let ipv6 = Ipv6Net::of_mut(&mut tables);
            ipv6.interior = config.ipv6_interior;
            ipv6.networks = config.ipv6_networks;
        }
        Self {
            local_as: config.local_as,
            router_id: config.router_id,
            rules: config.rules,
            cluster_id: config.cluster_id.unwrap_or(config.router_id),
            booted: false,
            origination_jitter: peers.first().map_or(Jitter::None, |peer| peer.config.jitter),
            peers,
            conns: LiteMap::new(),
            established: Vec::new(),
            wakes: BTreeSet::new(),
            tables,
            ready: BTreeSet::new(),
            end_of_router: config.end_of_router,
            min_as_origination: config.min_as_origination,
            origination: Timer::STOPPED,
            origination_rng: rng(""),
            selection_deferral: config.selection_deferral,
            deferral: Timer::STOPPED,
            next_conn: 0,
            out: VecDeque::new(),
            polled: 0,
        }
    }

    /// Takes an input. Inputs about peers or connections that do not exist have no effect.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let named = match &input {
            Input::Start { peer }
            | Input::Stop { peer, .. }
            | Input::Refresh { peer }
            | Input::TcpConnected { peer, .. }
            | Input::TcpFailed { peer, .. }
            | Input::TcpClosed { peer, .. }
            | Input::SetImport { peer, .. }
            | Input::SetExport { peer, .. }
            | Input::SetIpv6Import { peer, .. }
            | Input::SetIpv6Export { peer, .. }
            | Input::LowerLayerDown { peer, .. }
            | Input::LowerLayerUp { peer, .. }
            | Input::BfdDown { peer } => Some(*peer),
            Input::Received { .. }
            | Input::Originate { .. }
            | Input::WithdrawOriginated { .. }
            | Input::OriginateIpv6 { .. }
            | Input::WithdrawOriginatedIpv6 { .. }
            | Input::SetInterior(_)
            | Input::SetIpv6Interior(_)
            | Input::Reset
            | Input::Restart { .. } => None,
        };
        if named.is_none_or(|peer| peer.index() < self.peers.len()) {
            self.take(now, input);
            self.flush(now);
            named.into_iter().for_each(|peer| self.rearm(peer));
        }
    }

    fn take(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Start { peer } => self.start_peer(now, peer),
            Input::Stop { peer, subcode, communication } => {
                self.peers[peer.index()].running = false;
                let notification = Notification::cease(subcode, communication);
                let reason = Reason::AdminDown;
                self.stop(now, peer, Event::ManualStop, reason, &notification);
                self.decide_if_complete(now);
            }
            Input::Refresh { peer } => self.ask_again(peer),
            Input::TcpConnected { peer, conn } => self.tcp_connected(now, peer, conn),
            Input::TcpFailed { peer, conn } => {
                self.tcp_over(now, peer, conn, true, Reason::TcpFailed);
            }
            Input::TcpClosed { peer, conn, reset } => {
                self.tcp_over(now, peer, conn, reset, Reason::TcpClosed);
            }
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Originate { prefix, route } => self.announce_own(now, prefix, Some(route)),
            Input::WithdrawOriginated { prefix } => self.announce_own(now, prefix, None),
            Input::OriginateIpv6 { prefix, route } => self.announce_own(now, prefix, Some(route)),
            Input::WithdrawOriginatedIpv6 { prefix } => self.announce_own(now, prefix, None),
            Input::SetImport { peer, policy } => {
                self.peers[peer.index()].config.import = policy;
                self.import_again::<Ipv4Net>(peer, Reason::Configured);
            }
            Input::SetExport { peer, policy } => {
                self.peers[peer.index()].config.export = policy;
                self.export_again::<Ipv4Net>(peer);
            }
            Input::SetIpv6Import { peer, policy } => {
                if let Some(ipv6) = &mut self.peers[peer.index()].config.ipv6 {
                    ipv6.import = policy;
                    self.import_again::<Ipv6Net>(peer, Reason::Configured);
                }
            }
            Input::SetIpv6Export { peer, policy } => {
                if let Some(ipv6) = &mut self.peers[peer.index()].config.ipv6 {
                    ipv6.export = policy;
                    self.export_again::<Ipv6Net>(peer);
                }
            }
            Input::SetInterior(costs) => self.set_interior(costs),
            Input::SetIpv6Interior(costs) => self.set_interior(costs),
            Input::LowerLayerDown { peer, reason } => {
                self.peers[peer.index()].link_up = false;
                let notification = Notification::new(Notification::CEASE, []);
                self.stop(now, peer, Event::AutomaticStop, reason, &notification);
            }
            Input::LowerLayerUp { peer, reason } => {
                let known = &mut self.peers[peer.index()];
                let was_down = !core::mem::replace(&mut known.link_up, true);
                if was_down && known.running && known.main.state == FsmState::Idle {
                    self.start(now, peer, false, Some(reason));
                }
            }
            Input::BfdDown { peer } => {
                let notification = Notification::new(Notification::BFD_DOWN, []);
                self.stop(now, peer, Event::AutomaticStop, Reason::BfdDown, &notification);
            }
            Input::Reset => {
                self.set_deferring(false);
                self.forget(now, Reason::PowerLost);
            }
            Input::Restart { forwarding } => self.restart(now, forwarding),
        }
    }

    /// Lets every timer that is due expire. Does nothing if none is.
    pub fn handle_timeout(&mut self, now: Instant) {
        loop {
            if self.origination.is_due(now) {
                self.report_expiry(None, TimerKind::MinAsOrigination, self.origination);
                self.origination.stop();
                self.release::<Ipv4Net>();
                if self.speaks_ipv6() {
                    self.release::<Ipv6Net>();
                }
                continue;
            }
            if self.deferral.is_due(now) {
                self.report_expiry(None, TimerKind::SelectionDeferral, self.deferral);
                self.decide_now(now);
                continue;
            }
            let Some((id, (slot, kind, timer))) = self.next_timer().filter(|(_, next)| next.2.is_due(now)) else {
                break;
            };
            self.report_expiry(Some(id), kind.kind(), timer);
            self.expired(now, id, slot, kind);
            self.rearm(id);
        }
        self.flush(now);
    }

    /// The next thing to do or know; `None` when there is nothing more for now.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        match output {
            Some(_) => self.polled += 1,
            None => {
                // The room of a whole table is not kept for KEEPALIVEs: of a thousand routers that is most of their memory.
                self.out.shrink_to(SPARE * core::mem::take(&mut self.polled));
            }
        }
        output
    }

    /// When [`Speaker::handle_timeout`] must be called next, and for which timer.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        let own =
            [(self.origination.at(), TimerKind::MinAsOrigination), (self.deferral.at(), TimerKind::SelectionDeferral)];
        let own = if own[0].0 <= own[1].0 { own[0] } else { own[1] };
        let peers = self
            .next_timer()
            .map_or((Instant::NEVER, TimerKind::HoldTimer), |(_, (_, kind, timer))| (timer.at(), kind.kind()));
        let first = if own.0 <= peers.0 { own } else { peers };
        (first.0 < Instant::NEVER).then_some(first)
    }

    /// The state of a session: that of its connection which is farthest.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn state(&self, peer: PeerId) -> State {
        self.peers[peer.index()].state().state()
    }

    /// The timers of a session that run, with when they expire.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn timers(&self, peer: PeerId) -> Vec<(TimerKind, Instant)> {
        let running = self.peers[peer.index()].running_timers();
        running.map(|(kind, timer)| (kind.kind(), timer.at())).collect()
    }

    /// The hold time and the keepalive interval that the OPENs of an established session agreed on; zero: without.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn agreed(&self, peer: PeerId) -> Option<(Duration, Duration)> {
        self.peers[peer.index()].session().map(|session| (session.hold, session.keepalive))
    }

    /// The peer's AS.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn remote_as(&self, peer: PeerId) -> u32 {
        self.peers[peer.index()].config.remote_as
    }

    /// How many sessions are established.
    pub fn established(&self) -> usize {
        self.established.len()
    }

    /// Loc-RIB: all usable routes, and the best of them, by prefix.
    pub fn routes(&self) -> LocRib<'_> {
        self.tables.ipv4.rib.loc()
    }

    /// Loc-RIB of IPv6; `None` if the speaker has nothing to do with it.
    pub fn ipv6_routes(&self) -> Option<LocRib<'_, Ipv6Net>> {
        Some(self.tables.ipv6.as_ref()?.rib.loc())
    }

    /// Why the best route to a prefix is the best: the step that decided, and every usable route with the step at which it
    /// fell out, in the order of arrival. `None` if there is no route.
    pub fn explain(&self, prefix: Ipv4Net) -> Option<(DecidedBy, Vec<Judged<'_>>)> {
        self.explain_of(prefix)
    }

    /// As [`Speaker::explain`], of IPv6.
    pub fn explain_ipv6(&self, prefix: Ipv6Net) -> Option<(DecidedBy, Vec<Judged<'_, Ipv6Net>>)> {
        self.explain_of(prefix)
    }

    fn explain_of<F: Spoken>(&self, prefix: F) -> Option<(DecidedBy, Vec<Judged<'_, F>>)> {
        let tables = F::of(&self.tables)?;
        let entry = tables.rib.loc().get(&prefix)?;
        let origin = |route: Route<'_, F>| exchange::origin(route, &self.peers, self.local_as, &tables.interior);
        let candidates = entry.candidates(&origin);
        let explanation = decision::explain(&candidates, &self.rules, Some(entry.best_place()))?;
        let judged = |(place, route)| Judged {
            route,
            lost_at: explanation.lost_at[place],
            used: explanation.used.contains(&place),
        };
        Some((explanation.decided_by, entry.routes().enumerate().map(judged).collect()))
    }

    /// What is used beside the best route to a prefix, with [`decision::Multipath`]; empty without.
    pub fn used_beside(&self, prefix: Ipv4Net) -> Vec<Hop> {
        let tables = &self.tables.ipv4;
        let origin = |route: Route<'_>| exchange::origin(route, &self.peers, self.local_as, &tables.interior);
        tables.rib.also(&prefix, &self.rules, origin)
    }

    /// Adj-RIB-In: what a peer announced, before policy.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn adj_rib_in(&self, peer: PeerId) -> AdjRibIn<'_> {
        AdjRibIn::of(&self.tables.ipv4, peer)
    }

    /// Adj-RIB-In of IPv6; `None` if the speaker has nothing to do with it.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn ipv6_adj_rib_in(&self, peer: PeerId) -> Option<AdjRibIn<'_, Ipv6Net>> {
        Some(AdjRibIn::of(self.tables.ipv6.as_ref()?, peer))
    }

    /// Adj-RIB-Out: what a peer was told.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn adj_rib_out(&self, peer: PeerId) -> &PrefixMap<Ipv4Net, Arc<Attributes>> {
        &self.tables.ipv4.peers[peer.index()].adj_out.sent
    }

    /// Adj-RIB-Out of IPv6; `None` if the speaker has nothing to do with it.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn ipv6_adj_rib_out(&self, peer: PeerId) -> Option<&PrefixMap<Ipv6Net, Arc<Attributes<Ipv6Net>>>> {
        Some(&self.tables.ipv6.as_ref()?.peers[peer.index()].adj_out.sent)
    }

    /// True if there are tables of IPv6.
    fn speaks_ipv6(&self) -> bool {
        self.tables.ipv6.is_some()
    }

    fn start_peer(&mut self, now: Instant, id: PeerId) {
        if !core::mem::replace(&mut self.booted, true) {
            self.originate_networks::<Ipv4Net>();
            if self.speaks_ipv6() {
                self.originate_networks::<Ipv6Net>();
            }
        }
        self.begin_deferral(now);
        let peer = &mut self.peers[id.index()];
        peer.running = true;
        if peer.link_up {
            self.start(now, id, true, None);
        }
    }

    fn originate_networks<F: Spoken>(&mut self) {
        for (prefix, route) in F::of_mut(&mut self.tables).networks.clone() {
            self.originate(prefix, Some(route));
        }
    }

    /// What MinASOriginationIntervalTimer held back.
    fn release<F: Spoken>(&mut self) {
        for (prefix, route) in core::mem::take(&mut F::of_mut(&mut self.tables).withheld) {
            self.originate(prefix, route);
        }
    }

    /// Section 9.2.1.2: changes of our own routes are at least MinASOriginationInterval apart.
    fn announce_own<F: Spoken>(&mut self, now: Instant, prefix: F, route: Option<Originated>) {
        if self.origination.is_running() {
            F::of_mut(&mut self.tables).withheld.push((prefix, route));
            return;
        }
        self.originate(prefix, route);
        if !self.min_as_origination.is_zero() {
            let (jitter, interval) = (self.origination_jitter, self.min_as_origination);
            let time = jitter.draw(interval, &mut self.origination_rng);
            self.origination.start(now, time);
        }
    }

    fn forget(&mut self, now: Instant, reason: Reason) {
        for index in 0..self.peers.len() {
            let id = PeerId(index as u16);
            let peer = &mut self.peers[index];
            peer.running = false;
            peer.rival = None;
            peer.main = Fsm::new(FsmState::Idle);
            peer.idle_hold.stop();
            peer.retries = 0;
            peer.over_limit = None;
            // Through the one door: in Idle the event changes nothing more, but the change is reported.
            let cause = Cause::because(reason);
            self.raise(now, id, Slot::Main, Event::ManualStop, cause);
        }
        for index in 0..self.peers.len() {
            self.end_routes(PeerId(index as u16), reason);
        }
        self.forget_own::<Ipv4Net>();
        if self.speaks_ipv6() {
            self.forget_own::<Ipv6Net>();
        }
        self.conns.clear();
        self.ready.clear();
        self.origination.stop();
        self.deferral.stop();
        self.booted = false;
    }

    fn forget_own<F: Spoken>(&mut self) {
        let own: Vec<_> = F::of_mut(&mut self.tables).rib.prefixes().collect();
        for prefix in own {
            self.originate(prefix, None);
        }
        let tables = F::of_mut(&mut self.tables);
        tables.changed.clear();
        tables.withheld.clear();
        tables.preserved = None;
    }

    fn next_timer(&self) -> Option<(PeerId, (Slot, PeerTimer, Timer))> {
        let &(_, id) = self.wakes.first()?;
        Some((id, self.peers[id.index()].next_timer()))
    }

    /// Notes when a peer's first timer expires, after any of them may have been started or stopped.
    fn rearm(&mut self, id: PeerId) {
        let peer = &mut self.peers[id.index()];
        let (_, _, timer) = peer.next_timer();
        let before = core::mem::replace(&mut peer.wake, timer.at());
        if before != timer.at() {
            self.wakes.remove(&(before, id));
            if timer.at() < Instant::NEVER {
                self.wakes.insert((timer.at(), id));
            }
        }
    }

    fn report_expiry(&mut self, peer: Option<PeerId>, timer: TimerKind, expired: Timer) {
        self.out.push_back(Output::Expired { peer, timer, armed_at: expired.armed_at() });
    }
}
