//! IKEv2 (RFC 7296): the machine of one tunnel.
//!
//! ```text
//!  Peer -- sas: [ Sa { ids, path, window, phase } ]
//!                              |        |
//!        outstanding Task, queue of Jobs   ExpectInitResponse -> ExpectAuthResponse --+
//!        stored response                   ExpectAuthRequest -> Authenticated --------+--> Established --> Replaced
//!
//! with additional key exchanges, before ExpectAuth...:   ExpectIntermediateResponse | ExpectIntermediateRequest
//! ```
//!
//! | file | what |
//! |---|---|
//! | `transition` | the total function (state x event) -> action |
//! | `init`, `auth` | the handshake; each step consumes its state |
//! | `intermediate`, `followup` | additional key exchanges, of a set-up and of a CREATE_CHILD_SA |
//! | `proof` | AUTH: by a pre-shared key or by a signature and certificates |
//! | `cookie` | proof that an initiator receives, before anything is kept of it |
//! | `child`, `create`, `informational` | CHILD_SAs; the exchanges of an established IKE_SA |
//! | `rekey`, `reauth` | the IKE_SA that replaces an IKE_SA, with and without the old one's keys |
//! | `hint` | what is said of lost SAs without protection |
//! | `arrival`, `lifecycle` | what a datagram and what time does to the IKE_SAs |
//! | `fragment` | messages in several datagrams |
//! | `window`, `task` | Message IDs, retransmission, stored responses; what waits and what is under way |
//! | `liveness` | which timer is due when |
//! | `nat` | NAT detection |
//! | `mobike` | addresses that change (RFC 4555) |
//!
//! Normally there is one IKE_SA. There are more while one is rekeyed, while a rebooted peer comes back, or when both ends
//! initiate at once; the tunnel ends with one: INITIAL_CONTACT removes what the peer has lost, an initiator deletes an older
//! one as soon as the new one is established, and of two that were begun at once the one with the lower initiator's SPI is
//! deleted by the end that began it.
//!
//! A policy-based end has a CHILD_SA for each of its policies, made when traffic of the policy demands it. An end that keeps one, as
//! AWS's does, deletes the older as soon as the peer has made another.
//!
//! Left out: EAP, configuration payloads, IPComp, transport mode, window sizes above 1,
//! INVALID_MESSAGE_ID, which section 2.3 leaves to the sender, redirect (RFC 5685), ML-KEM as the first key exchange. IKEv1's
//! fragmentation is no standard, so [`super::v1`] has none.
//!
//! Of MOBIKE (RFC 4555) a peer without it, as AWS's end is, sees the announcement, and port 4500 without a NAT (section 3.3).

use core::net::IpAddr;
use std::collections::VecDeque;
use std::sync::Arc;

use self::env::Env;
use self::sa::Sa;
use self::task::Job;
pub use self::transition::{Action, Event, SaState, transition};
use super::attempt::Attempt;
use super::mobility::Mobility;
use super::{Config, Input, Output, SaKind, env};
use crate::fetch::fetch;
use crate::reason::{Reason, State, TimerKind};
use crate::rng::Seldom;
use crate::time::{Duration, Instant};

mod arrival;
mod auth;
mod child;
mod cookie;
mod create;
mod followup;
mod fragment;
mod hint;
mod informational;
mod init;
mod intermediate;
mod lifecycle;
mod liveness;
mod look;
mod mobike;
mod nat;
mod proof;
mod reauth;
mod rekey;
mod sa;
mod task;
mod transition;
mod window;

#[cfg(test)]
mod tests;

/// IKE_SAs that a responder holds before they are authenticated; the oldest gives way.
const MAX_HALF_OPEN: usize = 4;

/// Half-open IKE_SAs from which on an initiator must show a COOKIE (RFC 7296 section 2.6 names no number; assumed).
const COOKIE_THRESHOLD: usize = 2;

/// Cookies that an initiator lets itself be asked for in one attempt: anybody can forge the question (assumed).
const MAX_COOKIES: u32 = 3;

/// CHILD_SAs of an IKE_SA beyond which the peer gets no more (RFC 7296 section 1.3 leaves the number open; assumed). A tunnel
/// needs one, and two while it is replaced.
const MAX_CHILDREN: usize = 8;

/// INVALID_SPI is said at most so often (RFC 7296 section 1.5 wants a limit and names none; assumed).
const INVALID_SPI_INTERVAL: Duration = Duration::from_secs(10);

/// What belongs to no IKE_SA is answered at most so often (RFC 7296 section 2.21.4 wants a limit and names none; assumed).
const STRAY_INTERVAL: Duration = Duration::from_secs(1);

/// What is said without protection makes this end look after the peer at most so often (section 2.21.4; assumed).
const HINT_INTERVAL: Duration = Duration::from_secs(10);

/// What a quiet tunnel keeps room for: a liveness check tells less than a handshake.
const ROOM_FOR_OUTPUT: usize = 4;

/// One end of a tunnel: all IKE_SAs and CHILD_SAs between two addresses. See [`crate::proto`] for how to drive it.
#[derive(Clone, Hash, Debug)]
pub struct Peer {
    env: Env,
    sas: Vec<Sa>,
    /// True if the tunnel is to be up, whatever happens.
    wanted: bool,
    /// The next attempt, put off.
    retry: Option<Attempt>,
    /// Attempts in a row that failed.
    failures: u32,
    /// An SA that sends as soon as something arrives on it, or of which the peer is not known to have it, by inbound SPI.
    awaited: Option<u32>,
    /// When the peer was last told INVALID_SPI.
    told: Option<Instant>,
    /// When a stranger was last answered, and when a hint of one was last followed.
    answered: Option<Instant>,
    hinted: Option<Instant>,
    wake: Option<(Instant, TimerKind)>,
}

impl Peer {
    /// Fetches what a timer will touch, so many steps behind the device.
    pub(crate) fn foresee(&self, depth: usize) {
        if depth == 1 {
            fetch(&self.env);
            fetch(&self.sas);
            fetch(&self.wake);
        } else if let Some(sa) = self.sas.first() {
            sa.foresee(depth);
        }
    }

    /// The end at `local` of the tunnel to `remote`. `secrets` draws SPIs, nonces, private values and IVs, `timers` fuzz and jitter.
    /// Nothing happens until an input comes, not even with startup action *start*.
    pub fn new(
        config: Arc<Config>,
        local: IpAddr,
        remote: IpAddr,
        secrets: Seldom,
        timers: Seldom,
        now: Instant,
    ) -> Self {
        Self {
            env: Env::new(config, (local, remote), (secrets, timers), now),
            sas: Vec::new(),
            wanted: false,
            retry: None,
            failures: 0,
            awaited: None,
            told: None,
            answered: None,
            hinted: None,
            wake: None,
        }
    }

    /// Another configuration: what is up stays, what begins goes by it.
    pub(in crate::proto::ike) fn adopt(&mut self, config: Arc<Config>) {
        self.env.config = config;
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.env.now = now;
        match input {
            Input::InboundTraffic { spi_in } => {
                self.env.last_inbound = now;
                if self.awaited != Some(spi_in) || !self.first_traffic(spi_in) {
                    return;
                }
            }
            Input::Initiate(reason) => self.initiate(reason),
            Input::Demand { policy } => self.demand(policy),
            Input::Datagram(datagram) => self.datagram(datagram),
            Input::TrafficFrom { spi_in, remote } => self.traffic_from(spi_in, remote),
            Input::UnknownSpi { spi } => self.unknown_spi(spi),
            Input::RekeyChild { spi_in } => self.rekey_child(spi_in),
            Input::Addresses(local) => self.addresses(local),
            Input::Close => self.close(),
            Input::Reset => self.reset(),
        }
        self.rearm();
    }

    /// Lets time pass. Does nothing if no timer is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.env.now = now;
        while let Some((at, timer)) = self.due(now) {
            self.expire(at, timer);
        }
        if let Some(Attempt { armed_at, purpose, .. }) = self.retry.filter(|attempt| attempt.due <= now) {
            let timer = TimerKind::IkeRetry;
            self.env.out.push_back(Output::Expired { timer, armed_at });
            self.begin(purpose);
        }
        self.rearm();
    }

    /// What is to be done or told next.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.env.out.pop_front();
        if output.is_none() && self.env.out.capacity() > ROOM_FOR_OUTPUT {
            self.env.out = VecDeque::new();
        }
        output
    }

    /// When to call [`Peer::handle_timeout`], and which timer wants it. It may turn out not to be due: inbound traffic moves
    /// the liveness timer without moving this.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.wake
    }

    /// The state of the IKE session or of the CHILD_SA lineage.
    pub fn state(&self, sa: SaKind) -> State {
        self.env.state(sa)
    }

    /// True if it has an IKE_SA with these SPIs.
    pub fn knows(&self, spi_i: u64, spi_r: u64) -> bool {
        self.sas.iter().any(|sa| spi_r != 0 && (sa.ids.spi_i, sa.ids.spi_r) == (spi_i, spi_r))
    }

    /// What it works with.
    pub(in crate::proto::ike) fn env(&self) -> &Env {
        &self.env
    }

    fn rearm(&mut self) {
        let timers = self.sas.iter().filter_map(|sa| sa.next_timer(&self.env));
        let timers = timers.map(|timer| (timer.due, timer.what.kind()));
        let retry = self.retry.map(|attempt| (attempt.due, TimerKind::IkeRetry));
        self.wake = timers.chain(retry).min_by_key(|(due, _)| *due);
    }

    fn initiate(&mut self, reason: Reason) {
        if reason == Reason::TrafficNeedsSa {
            if !self.env.config.initiate_on_traffic || self.retry.is_some() {
                return;
            }
        } else {
            self.wanted = true;
        }
        if let Some(sa) = self.sas.iter_mut().find(|sa| sa.state() == SaState::Established) {
            let idle = self.env.state(SaKind::Child) == State::Down;
            let job = Job::CreateChild { policy: 0 };
            if idle && sa.window.outstanding.is_none() && sa.window.queue.is_empty() {
                sa.window.queue.push_back(job);
                sa.pump(&mut self.env);
            }
            return;
        }
        let connecting = |sa: &Sa| sa.ids.initiator && !sa.up;
        if !self.sas.iter().any(connecting) {
            self.begin(reason);
        }
    }

    /// Traffic of a policy needs a CHILD_SA. A refusal is heeded for as long as a failed attempt.
    fn demand(&mut self, policy: u8) {
        let Env { config, now, denied, .. } = &self.env;
        let waits = denied.is_some_and(|at| now.since(at) < config.retry.first);
        if !config.initiate_on_traffic || waits {
            return;
        }
        if let Some(sa) = self.sas.iter_mut().find(|sa| sa.state() == SaState::Established) {
            let job = Job::CreateChild { policy };
            let under_way = sa.window.outstanding.as_ref().is_some_and(|request| request.task.creates_child());
            if child::lacks(sa, policy) && !under_way && !sa.window.queue.contains(&job) {
                sa.window.queue.push_back(job);
                sa.pump(&mut self.env);
            }
        } else if self.sas.is_empty() {
            self.env.demanded = policy;
            self.initiate(Reason::TrafficNeedsSa);
        }
    }

    /// Begins an IKE_SA.
    pub(super) fn begin(&mut self, purpose: Reason) {
        self.retry = None;
        self.env.alone = self.alone();
        let sa = init::initiate(&mut self.env, purpose);
        self.sas.reserve_exact(1);
        self.sas.extend(sa);
        self.settle();
    }

    pub(super) fn alone(&self) -> bool {
        !self.sas.iter().any(|sa| sa.established().is_some())
    }

    fn unknown_spi(&mut self, spi: u32) {
        let now = self.env.now;
        if self.told.is_some_and(|at| now.since(at) < INVALID_SPI_INTERVAL) {
            return;
        }
        let established = |sa: &&mut Sa| sa.state() == SaState::Established;
        if let Some(sa) = self.sas.iter_mut().rev().find(established)
            && sa.window.outstanding.is_none()
        {
            self.told = Some(now);
            sa.window.queue.push_back(Job::InvalidSpi { spi });
            sa.pump(&mut self.env);
        }
    }

    fn close(&mut self) {
        self.wanted = false;
        self.retry = None;
        for i in (0..self.sas.len()).rev() {
            match transition(self.sas[i].state(), Event::Close) {
                Action::Remove => self.bury(i, Reason::AdminDown, false),
                Action::Delete => self.delete(i, Reason::AdminDown),
                action => debug_assert_eq!(action, Action::Ignore),
            }
        }
    }

    pub(super) fn delete(&mut self, i: usize, reason: Reason) {
        let sa = &mut self.sas[i];
        sa.window.queue.clear();
        sa.window.queue.push_front(Job::DeleteIke(reason));
        sa.pump(&mut self.env);
    }

    /// The addresses of this end are others.
    fn addresses(&mut self, local: Vec<IpAddr>) {
        let Some(&first) = local.first() else { return };
        let env = &mut self.env;
        let before = core::mem::replace(&mut env.local, first);
        let further = |own: &Mobility, in_use| own.additional(in_use).collect::<Vec<_>>();
        let tells = env.mobility.as_deref_mut().is_some_and(|own| {
            let told = further(own, before);
            own.local = local;
            told != further(own, first)
        });
        if before != first {
            self.leave_address();
        }
        if tells {
            self.sas.iter_mut().for_each(|sa| mobike::tell(sa, &mut self.env));
        }
    }

    /// This end is no longer where it was. What cannot follow is of no use any more, and the peer cannot be told.
    fn leave_address(&mut self) {
        let mut lost = self.retry.take().is_some();
        for i in (0..self.sas.len()).rev() {
            if mobike::moved_here(&mut self.sas[i], &mut self.env) {
                continue;
            }
            self.children_down(i, Reason::AddressChanged);
            drop(self.sas.remove(i));
            lost = true;
        }
        self.env.because = Reason::AddressChanged;
        self.settle();
        if lost && self.wanted && self.sas.is_empty() {
            self.begin(Reason::AddressChanged);
        }
    }

    fn reset(&mut self) {
        self.sas.clear();
        self.wanted = false;
        self.retry = None;
        self.failures = 0;
        self.awaited = None;
        self.told = None;
        (self.answered, self.hinted) = (None, None);
        self.env.forget();
    }

    /// Something has arrived on an SA: the peer has installed it (RFC 7296 section 2.8). True if this end sends on it from now on.
    fn first_traffic(&mut self, spi_in: u32) -> bool {
        let mut switched = false;
        let children = self.sas.iter().filter_map(Sa::established).flat_map(|e| &e.children);
        // In the same IKE_SA, or in the one that this one's takes the place of.
        let beside = children.filter(|c| c.sending).map(|c| c.spi_in).next();
        for sa in &mut self.sas {
            let Some(child) = child::find(sa, spi_in) else { continue };
            child.taken_up = true;
            let (sending, replaces) = (child.sending, child.replaces);
            if let Some(old) = replaces.or(beside).filter(|_| !sending) {
                child::switch(sa, &mut self.env, old, spi_in);
                switched = true;
            }
        }
        self.settle();
        switched
    }
}
