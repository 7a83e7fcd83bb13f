//! IKEv1 (RFC 2407, 2408, 2409): the machine of one tunnel.
//!
//! ```text
//!  Peer -- sas: [ Sa { cookies, path, phase, quick: [ Quick ] } ]     ISAKMP SAs: phase 1
//!   |                                  |
//!   |            initiator: ExpectMessage2 -> 4 -> 6 --+
//!   |            responder: ExpectMessage3 -> 5 -------+--> Established --> Replaced
//!   +-- children: [ Child ]                                          CHILD_SAs: phase 2
//! ```
//!
//! | file | what |
//! |---|---|
//! | `transition` | the total function (state x event) -> action |
//! | `main_mode` | phase 1; each step consumes its state |
//! | `quick_mode`, `child` | phase 2, and what it has made |
//! | `proof` | who an end is: pre-shared key, or signature and certificates |
//! | `hint` | INVALID-COOKIE, which nobody has to believe |
//! | `informational` | DELETE, notifications, dead peer detection |
//! | `proposal`, `selectors` | suites and traffic selectors in IKEv1's words |
//! | `keys`, `nat` | keys, hashes and IVs; NAT detection |
//! | `arrival`, `lifecycle` | what a datagram and what time does |
//!
//! Normally there is one ISAKMP SA. When it nears the end of its life, one end begins another Main Mode; the new SA takes over the
//! CHILD_SAs, and who began it deletes the old one. That is what "rekeying phase 1" means here: IKEv1 has no exchange for
//! it. When the last ISAKMP SA with the peer is gone, the CHILD_SAs go too, because nobody could keep them alive or delete them.
//!
//! A lifetime is the shorter one of both ends'. A responder that wants less than it was offered says so in RESPONDER-LIFETIME
//! (RFC 2407 section 4.6.3.1) and does not touch the offer, which must come back unchanged (RFC 2409 section 5).
//!
//! A policy-based end ([`super::config::Policy`]) has a CHILD_SA for each of its policies, by a Quick Mode of its own when traffic of the
//! policy demands it. A peer's policies are known by their networks: a Quick Mode for the networks of a CHILD_SA is for its successor.
//!
//! Messages with certificates, and a first message with all of AWS's proposals, are longer than a packet and travel in fragments of IP:
//! IKEv1 has none of its own.
//!
//! Left out: Aggressive Mode (RFC 2409 section 5.4, second half; AWS does not offer it either), DSS (5.1), public key encryption
//! (5.2, 5.3), New Group Mode (5.6), the commit bit (RFC 2408 section 3.1), lifetimes in
//! kilobytes (RFC 2407 section 4.5), AH and IPComp (4.4.3, 4.4.5), transport mode and NAT-OA (RFC 3947 section 5.2), the drafts
//! before RFC 3947, XAUTH and Mode Config (Transaction exchanges, never RFCs), and fragmentation (a vendor's extension).

use core::net::IpAddr;
use std::sync::Arc;

use self::child::Children;
use self::sa::Sa;
pub use self::transition::{Action, Event, SaState, transition};
use super::attempt::Attempt;
use super::env::Env;
use super::{Config, Input, Output, SaKind};
use crate::reason::{Reason, State, TimerKind};
use crate::rng::Seldom;
use crate::time::{Duration, Instant};

mod arrival;
mod child;
mod hint;
mod informational;
mod keys;
mod lifecycle;
mod look;
mod main_mode;
mod nat;
mod proof;
mod proposal;
mod quick_mode;
mod sa;
mod selectors;
mod transition;

#[cfg(test)]
mod tests;

/// ISAKMP SAs that a responder holds before they are authenticated; the oldest gives way.
const MAX_HALF_OPEN: usize = 4;

/// INVALID-SPI and INVALID-COOKIE are said at most so often (assumed, as for IKEv2).
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// A hint is followed at most so often (assumed, as for IKEv2).
const HINT_INTERVAL: Duration = Duration::from_secs(10);

/// One end of a tunnel that speaks IKEv1: all ISAKMP SAs and CHILD_SAs between two addresses. See [`crate::proto`] for how to
/// drive it.
#[derive(Clone, Debug)]
pub struct Peer {
    env: Env,
    sas: Vec<Sa>,
    children: Children,
    /// True if the tunnel is to be up, whatever happens.
    wanted: bool,
    /// The next attempt, put off.
    retry: Option<Attempt>,
    /// Attempts in a row that failed.
    failures: u32,
    /// Until when this end complains of nothing more.
    quiet_until: Instant,
    /// Until when it follows no more hints.
    deaf_until: Instant,
    wake: Option<(Instant, TimerKind)>,
}

impl Peer {
    /// The end at `local` of the tunnel to `remote`. `secrets` draws cookies, SPIs, nonces and private values, `timers` fuzz and
    /// jitter. Nothing happens until an input comes.
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
            children: Children::default(),
            wanted: false,
            retry: None,
            failures: 0,
            quiet_until: now,
            deaf_until: now,
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
                if !self.children.awaits(spi_in) {
                    return;
                }
                self.children.heard(&mut self.env, spi_in);
            }
            Input::Initiate(reason) => self.initiate(reason),
            Input::Demand { policy } => self.demand(policy),
            Input::Datagram(datagram) => self.datagram(datagram),
            Input::TrafficFrom { spi_in, remote } => self.traffic_from(spi_in, remote),
            Input::UnknownSpi { spi } => self.unknown_spi(spi),
            Input::RekeyChild { spi_in } => self.wants_successor(spi_in),
            // IKEv1 has no MOBIKE, and dead peer detection to notice what is of no use any more.
            Input::Addresses(local) => self.env.local = local.first().copied().unwrap_or(self.env.local),
            Input::Close => self.close(),
            Input::Reset => self.reset(),
        }
        self.rearm();
    }

    /// Lets time pass. Does nothing if no timer is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.env.now = now;
        while let Some(timer) = self.next_timer().filter(|timer| timer.due <= now) {
            self.expire(timer);
        }
        if let Some(Attempt { armed_at, purpose, .. }) = self.retry.filter(|attempt| attempt.due <= now) {
            self.env.out.push_back(Output::Expired { timer: TimerKind::IkeRetry, armed_at });
            self.begin(purpose);
        }
        self.rearm();
    }

    /// What is to be done or told next.
    pub fn poll(&mut self) -> Option<Output> {
        self.env.out.pop_front()
    }

    /// When to call [`Peer::handle_timeout`], and which timer wants it. It may turn out not to be due: inbound traffic moves
    /// the liveness timer without moving this.
    pub fn wake(&self) -> Option<(Instant, TimerKind)> {
        self.wake
    }

    /// True if it has an established ISAKMP SA with these cookies.
    pub fn knows(&self, cookie_i: u64, cookie_r: u64) -> bool {
        let up = self.sas.iter().filter(|sa| sa.established().is_some());
        up.map(|sa| (sa.cookies.i, sa.cookies.r)).any(|cookies| cookies == (cookie_i, cookie_r))
    }

    /// The state of the IKE session or of the CHILD_SA lineage.
    pub fn state(&self, sa: SaKind) -> State {
        self.env.state(sa)
    }

    fn rearm(&mut self) {
        let timer = self.next_timer().map(|timer| (timer.due, timer.what.kind()));
        let retry = self.retry.map(|attempt| (attempt.due, TimerKind::IkeRetry));
        self.wake = timer.into_iter().chain(retry).min_by_key(|(due, _)| *due);
    }

    fn initiate(&mut self, reason: Reason) {
        if reason == Reason::TrafficNeedsSa {
            if !self.env.config.initiate_on_traffic || self.retry.is_some() {
                return;
            }
        } else {
            self.wanted = true;
        }
        if self.sas.iter().any(|sa| sa.state() == SaState::Established) {
            return self.make_child();
        }
        if !self.sas.iter().any(|sa| sa.cookies.initiator && !sa.up) {
            self.begin(reason);
        }
    }

    /// Traffic of a policy has no CHILD_SA.
    fn demand(&mut self, policy: u8) {
        let Env { config, now, denied, .. } = &self.env;
        let waits = denied.is_some_and(|at| now.since(at) < config.retry.first);
        if !config.initiate_on_traffic || waits {
            return;
        }
        if let Some(sa) = self.sas.iter_mut().rev().find(|sa| sa.state() == SaState::Established) {
            informational::want_child(sa, &mut self.env, &self.children, policy);
        } else if self.sas.is_empty() {
            self.env.demanded = policy;
            self.initiate(Reason::TrafficNeedsSa);
        }
    }

    /// Begins an ISAKMP SA.
    fn begin(&mut self, purpose: Reason) {
        self.retry = None;
        self.env.alone = self.alone();
        self.sas.extend(main_mode::initiate(&mut self.env, purpose));
        self.settle();
    }

    fn alone(&self) -> bool {
        !self.sas.iter().any(|sa| sa.established().is_some())
    }

    fn unknown_spi(&mut self, spi: u32) {
        let now = self.env.now;
        if now < self.quiet_until {
            return;
        }
        // The initiator is ahead of its third message, which may have been lost: it will come.
        let expected = |sa: &Sa| sa.quick.iter().any(|quick| quick.unconfirmed() == Some(spi));
        if self.sas.iter().any(expected) {
            return;
        }
        if let Some(sa) = self.sas.iter().rev().find(|sa| sa.state() == SaState::Established) {
            self.quiet_until = now + COMPLAINT_INTERVAL;
            informational::invalid_spi(sa, &mut self.env, spi);
        }
    }

    fn close(&mut self) {
        self.wanted = false;
        self.retry = None;
        for i in (0..self.sas.len()).rev() {
            match transition(self.sas[i].state(), Event::Close) {
                Action::Remove => self.bury(i, Reason::AdminDown),
                Action::Delete => self.delete(i, Reason::AdminDown),
                action => debug_assert_eq!(action, Action::Ignore),
            }
        }
    }

    fn reset(&mut self) {
        self.sas.clear();
        self.children = Children::default();
        self.wanted = false;
        self.retry = None;
        self.failures = 0;
        (self.quiet_until, self.deaf_until) = (self.env.now, self.env.now);
        self.env.forget();
    }
}
