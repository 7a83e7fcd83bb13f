//! A BGP-4 speaker (RFC 4271) that sees byte streams and never TCP.
//!
//! - [`Speaker`] owns several peers and one set of tables; its contract is that of [`crate::proto`].
//! - `fsm` is the table of states and events, `session` carries it out, `receive` makes events of messages,
//!   `exchange` moves routes, `graceful` keeps them over a restart, `decision` orders them, `faults` says what becomes of a
//!   malformed UPDATE; `message`, `open`, `update`, `attributes` and `as_path` are the
//!   way to and from the wire. Framing, error codes and the walk over attributes are ours; values are read and written
//!   by netgauze-bgp-pkt.
//!
//! ```text
//!  Received -> Framer -> message -> fsm::transition -> actions -> Send, Close, State, ...
//!                                        |
//!                                     UPDATE -> Adj-RIB-In -> import -> Loc-RIB -> export -> Adj-RIB-Out -> Send
//! ```
//!
//! Implemented besides RFC 4271: capabilities (RFC 5492), IPv4 unicast as multiprotocol capability (RFC 4760), AS
//! numbers of four octets (RFC 6793), communities (RFC 1997, RFC 8092, RFC 8326), route reflection (RFC 4456),
//! ROUTE-REFRESH both ways and its marks (RFC 2918, RFC 7313), Cease subcodes (RFC 4486) and their texts (RFC 9003),
//! End-of-RIB and graceful restart (RFC 4724, RFC 8538), FSM error subcodes (RFC 6608), revised handling of malformed
//! UPDATEs (RFC 7606), AS 0 (RFC 7607), identifiers unique per AS (RFC 6286).
//!
//! Left out: IPv6 and other families, extended messages (RFC 8654), the send hold timer (RFC 9687), confederations (RFC
//! 5065), aggregation (section 9.2.2.2), third-party NEXT_HOP towards external peers (NEXT_HOP is our own address unless
//! the export policy names another), several routes to one prefix in one session (RFC 7911), and route flap damping (RFC
//! 2439). There is no IGP: what it would say of next hops is [`InteriorCosts`].

pub mod as_path;
pub mod attributes;
pub mod communities;
pub mod config;
pub mod decision;
mod exchange;
pub mod faults;
pub mod fsm;
mod graceful;
pub mod message;
pub mod notification;
pub mod open;
mod peer;
pub mod policy;
mod pool;
mod receive;
mod rib;
mod session;
mod timer;
pub mod update;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use self::attributes::Attributes;
pub use self::config::{
    AfterLimit, Damping, GracefulRestart, InteriorCosts, MaxPrefixes, Originated, PeerConfig, PeerId, SpeakerConfig,
};
use self::decision::{DecidedBy, Rules};
use self::fsm::{Event, FsmState};
use self::graceful::Preserved;
pub use self::notification::{CommunicationError, Notification};
pub use self::open::Open;
pub use self::peer::ConnId;
use self::peer::{Fsm, Peer, PeerTimer, Slot};
use self::policy::Policy;
use self::pool::Pool;
pub use self::rib::{AdjRibIn, Best, Entry, Hop, LocRib, Route};
use self::rib::{Pending, Rib};
use self::session::Cause;
pub use self::timer::Jitter;
use self::timer::Timer;
pub use self::update::Prefixes;
use crate::reason::{Reason, State, Step, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// What a speaker is told.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// An operator starts a peer.
    Start {
        /// Which.
        peer: PeerId,
    },
    /// An operator stops a peer with a Cease.
    Stop {
        /// Which.
        peer: PeerId,
        /// The subcode of the Cease (RFC 4486): 2 is administrative shutdown.
        subcode: u8,
        /// What the peer's operator is told (RFC 9003); empty for nothing.
        communication: &'a str,
    },
    /// An operator asks a peer for its whole table again.
    Refresh {
        /// Which.
        peer: PeerId,
    },
    /// A connection is up: one that [`Output::Connect`] asked for, or one that the owner accepted from the peer's
    /// address and numbered.
    TcpConnected {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
    },
    /// A connection could not be established, or was given up by TCP.
    TcpFailed {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
    },
    /// The other end closed or reset a connection.
    TcpClosed {
        /// Whose.
        peer: PeerId,
        /// Which.
        conn: ConnId,
        /// RST rather than FIN: nothing is left to close.
        reset: bool,
    },
    /// Octets arrived, in order, cut anyhow.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The octets.
        bytes: &'a [u8],
    },
    /// Originate a route, or change its attributes.
    Originate {
        /// The prefix.
        prefix: Ipv4Net,
        /// Its attributes.
        route: Originated,
    },
    /// Originate a route no longer.
    WithdrawOriginated {
        /// The prefix.
        prefix: Ipv4Net,
    },
    /// Replace a peer's import policy; routes that it already sent are judged again.
    SetImport {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy,
    },
    /// Replace a peer's export policy; what it changes is announced again.
    SetExport {
        /// Whose.
        peer: PeerId,
        /// The new policy.
        policy: Policy,
    },
    /// Replace the interior costs, as an IGP does; every route is judged again.
    SetInterior(InteriorCosts),
    /// The interface towards the peer went down, and the session with it.
    LowerLayerDown {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// The interface towards the peer is up again.
    LowerLayerUp {
        /// Whose.
        peer: PeerId,
        /// Why.
        reason: Reason,
    },
    /// BFD says that the peer is not reached: the session goes down at once, with a Cease of its own (RFC 9384), and is tried
    /// again like any that failed. It does not wait for BFD: a peer may have none (RFC 5882 section 10).
    BfdDown {
        /// Whose.
        peer: PeerId,
    },
    /// Power is lost: everything is forgotten and nothing is sent. Peers stay stopped until they are started.
    Reset,
    /// The speaker's program ends without a word to anybody. Peers stay stopped until they are started, and then hear that it
    /// has restarted (RFC 4724).
    Restart {
        /// The forwarding table stays as it is: no route changes until the new decisions. Otherwise all routes are gone.
        forwarding: bool,
    },
}

/// What a speaker does and reports, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Open a connection to the peer's address, port 179, from ours.
    Connect {
        /// To whom.
        peer: PeerId,
        /// The new connection's number.
        conn: ConnId,
    },
    /// Send these octets.
    Send {
        /// On which connection.
        conn: ConnId,
        /// One whole message.
        bytes: Vec<u8>,
    },
    /// Close a connection, of which the speaker wants to hear no more.
    Close {
        /// Which.
        conn: ConnId,
        /// RST rather than FIN: it was not up yet, or is refused. Otherwise what was sent before must still go out.
        abortive: bool,
    },
    /// A timer expired.
    Expired {
        /// Whose; `None` for the speaker's own.
        peer: Option<PeerId>,
        /// Which.
        timer: TimerKind,
        /// When it was last armed.
        armed_at: Instant,
    },
    /// A session changed its state: that of its connection which is farthest.
    State {
        /// Which session.
        peer: PeerId,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// A message was sent or received, or a connection attempted.
    Step {
        /// Which session.
        peer: PeerId,
        /// On which connection.
        conn: ConnId,
        /// What.
        step: Step,
        /// Code and subcode of a NOTIFICATION; of a malformed attribute its type code, and the subcode of the UPDATE error
        /// that RFC 4271 has for it.
        codes: Option<(u8, u8)>,
        /// What an UPDATE is about.
        prefixes: Option<Box<Prefixes>>,
        /// What an OPEN says, also one that is refused for it.
        open: Option<Open>,
    },
    /// The best route to a prefix changed.
    Route(RouteChange),
    /// A peer's operator says why the session ends (RFC 9003).
    Communication {
        /// Whose.
        peer: PeerId,
        /// What, or why that cannot be shown.
        text: Result<String, CommunicationError>,
    },
    /// A peer has announced so many prefixes that it comes near its limit. Told once a session.
    NearLimit {
        /// Who.
        peer: PeerId,
        /// How many.
        prefixes: usize,
    },
    /// A session is over whose routes are used on, as stale ones (RFC 4724 section 4.2).
    Retained {
        /// Whose.
        peer: PeerId,
        /// How many.
        routes: usize,
    },
    /// A route from a peer is not used.
    Refused {
        /// From whom.
        peer: PeerId,
        /// To what.
        prefix: Ipv4Net,
        /// Why.
        reason: Reason,
    },
}

/// A change of the best route to a prefix, or of those that are used beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteChange {
    /// The prefix.
    pub prefix: Ipv4Net,
    /// The best route before; `None` if there was none.
    pub from: Option<Best>,
    /// The best route now; `None` if there is none.
    pub to: Option<Best>,
    /// What is used beside the best route now, with [`decision::Multipath`]; empty without.
    pub also: Vec<Hop>,
    /// Why it changed.
    pub reason: Reason,
}

/// A usable route and how it fared in the decision process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged<'a> {
    /// The route.
    pub route: Route<'a>,
    /// The step at which it fell out; `None` for the best.
    pub lost_at: Option<DecidedBy>,
    /// True for the best and for those that are used beside it.
    pub used: bool,
}

/// A router's BGP: its peers and its tables.
#[derive(Clone)]
pub struct Speaker {
    local_as: u32,
    router_id: Ipv4Addr,
    rules: Rules,
    interior: InteriorCosts,
    cluster_id: Ipv4Addr,
    networks: Vec<(Ipv4Net, Originated)>,
    /// False until the first start after power came: the configured networks are not originated yet.
    booted: bool,
    peers: Vec<Peer>,
    /// Whose connections are whose.
    conns: BTreeMap<ConnId, PeerId>,
    /// The peers with an established session, in their order.
    established: Vec<PeerId>,
    /// When the first timer of each peer expires that has one running.
    wakes: BTreeSet<(Instant, PeerId)>,
    rib: Rib,
    pool: Pool,
    /// What changed in Loc-RIB and no peer was told yet.
    changed: Pending,
    /// Peers that have to be told something and may be.
    ready: BTreeSet<PeerId>,
    /// Changes of our own routes that MinASOriginationIntervalTimer holds back.
    withheld: Vec<(Ipv4Net, Option<Originated>)>,
    min_as_origination: Duration,
    origination: Timer,
    origination_rng: Rng,
    origination_jitter: Jitter,
    /// The speaker has restarted, and has not decided yet.
    restarting: bool,
    preserved: Option<Preserved>,
    selection_deferral: Duration,
    deferral: Timer,
    next_conn: u32,
    out: VecDeque<Output>,
}

impl Speaker {
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
        Self {
            local_as: config.local_as,
            router_id: config.router_id,
            rules: config.rules,
            interior: config.interior,
            cluster_id: config.cluster_id.unwrap_or(config.router_id),
            networks: config.networks,
            booted: false,
            origination_jitter: peers.first().map_or(Jitter::None, |peer| peer.config.jitter),
            peers,
            conns: BTreeMap::new(),
            established: Vec::new(),
            wakes: BTreeSet::new(),
            rib: Rib::default(),
            pool: Pool::default(),
            changed: Pending::default(),
            ready: BTreeSet::new(),
            withheld: Vec::new(),
            min_as_origination: config.min_as_origination,
            origination: Timer::STOPPED,
            origination_rng: rng(""),
            restarting: false,
            preserved: None,
            selection_deferral: config.selection_deferral,
            deferral: Timer::STOPPED,
            next_conn: 0,
            out: VecDeque::new(),
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
            | Input::LowerLayerDown { peer, .. }
            | Input::LowerLayerUp { peer, .. }
            | Input::BfdDown { peer } => Some(*peer),
            Input::Received { .. }
            | Input::Originate { .. }
            | Input::WithdrawOriginated { .. }
            | Input::SetInterior(_)
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
            Input::SetImport { peer, policy } => {
                self.peers[peer.index()].config.import = policy;
                self.import_again(peer, Reason::Configured);
            }
            Input::SetExport { peer, policy } => {
                self.peers[peer.index()].config.export = policy;
                self.export_again(peer);
            }
            Input::SetInterior(costs) => self.set_interior(costs),
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
                self.restarting = false;
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
                for (prefix, route) in core::mem::take(&mut self.withheld) {
                    self.originate(prefix, route);
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
        self.out.pop_front()
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

    /// How many sessions are established.
    pub fn established(&self) -> usize {
        self.established.len()
    }

    /// Loc-RIB: all usable routes, and the best of them, by prefix.
    pub fn routes(&self) -> LocRib<'_> {
        self.rib.loc()
    }

    /// Why the best route to a prefix is the best: the step that decided, and every usable route with the step at which it
    /// fell out, in the order of arrival. `None` if there is no route.
    pub fn explain(&self, prefix: Ipv4Net) -> Option<(DecidedBy, Vec<Judged<'_>>)> {
        let entry = self.rib.loc().get(&prefix)?;
        let candidates = entry.candidates(&|route| self.origin(route));
        let explanation = decision::explain(&candidates, &self.rules, Some(entry.best_place()))?;
        let judged = |(place, route)| Judged {
            route,
            lost_at: explanation.lost_at[place],
            used: explanation.used.contains(&place),
        };
        Some((explanation.decided_by, entry.routes().enumerate().map(judged).collect()))
    }

    /// Adj-RIB-In: what a peer announced, before policy.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn adj_rib_in(&self, peer: PeerId) -> AdjRibIn<'_> {
        AdjRibIn { rib: &self.rib, peer, heard: &self.peers[peer.index()].heard }
    }

    /// Adj-RIB-Out: what a peer was told.
    ///
    /// # Panics
    /// If there is no such peer.
    pub fn adj_rib_out(&self, peer: PeerId) -> &PrefixMap<Ipv4Net, Arc<Attributes>> {
        &self.peers[peer.index()].adj_out.sent
    }

    fn start_peer(&mut self, now: Instant, id: PeerId) {
        if !core::mem::replace(&mut self.booted, true) {
            for (prefix, route) in self.networks.clone() {
                self.originate(prefix, Some(route));
            }
        }
        self.begin_deferral(now);
        let peer = &mut self.peers[id.index()];
        peer.running = true;
        if peer.link_up {
            self.start(now, id, true, None);
        }
    }

    /// Section 9.2.1.2: changes of our own routes are at least MinASOriginationInterval apart.
    fn announce_own(&mut self, now: Instant, prefix: Ipv4Net, route: Option<Originated>) {
        if self.origination.is_running() {
            self.withheld.push((prefix, route));
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
            peer.over_limit = false;
            // Through the one door: in Idle the event changes nothing more, but the change is reported.
            let cause = Cause::because(reason);
            self.raise(now, id, Slot::Main, Event::ManualStop, cause);
        }
        for index in 0..self.peers.len() {
            self.end_routes(PeerId(index as u16), reason);
        }
        let own: Vec<_> = self.rib.prefixes().collect();
        for prefix in own {
            self.originate(prefix, None);
        }
        self.conns.clear();
        self.changed.clear();
        self.ready.clear();
        self.withheld.clear();
        self.origination.stop();
        self.deferral.stop();
        self.preserved = None;
        self.booted = false;
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
