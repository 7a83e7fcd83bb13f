//! IKEv2 (RFC 7296): the machine of one tunnel.
//!
//! ```text
//!  Peer -- sas: [ Sa { ids, path, window, phase } ]
//!                              |        |
//!        outstanding Task, queue of Jobs   ExpectInitResponse -> ExpectAuthResponse --+
//!        stored response                   ExpectAuthRequest -> Authenticated --------+--> Established
//! ```
//!
//! | file | what |
//! |---|---|
//! | `transition` | the total function (state x event) -> action |
//! | `init`, `auth` | the handshake; each step consumes its state |
//! | `child`, `informational` | exchanges of an established IKE_SA |
//! | `window`, `task` | Message IDs, retransmission, stored responses; what waits and what is under way |
//! | `liveness` | which timer is due when |
//! | `nat` | NAT detection |
//!
//! Normally there is one IKE_SA. There are two while a rebooted peer comes back, or when both ends initiate at once; the tunnel
//! ends with one: INITIAL_CONTACT removes what the peer has lost, and of two that were begun at once the one with the lower
//! initiator's SPI is deleted by the end that began it.
//!
//! Left out: COOKIE (RFC 7296 section 2.6), rekeying of the IKE_SA (1.3.2; answered with NO_ADDITIONAL_SAS, and an
//! IKE_SA that reaches its lifetime is deleted and made anew), certificates and EAP, configuration payloads, IPComp, transport
//! mode, ESN, window sizes above 1, fragmentation (RFC 7383), MOBIKE (RFC 4555), redirect (RFC 5685).

use core::net::IpAddr;
use std::sync::Arc;

use self::child::ChildPhase;
use self::env::Env;
use self::liveness::Timer;
use self::sa::{Phase, Sa, Verdict, unknown_critical};
use self::task::Job;
pub use self::transition::{Action, Event, SaState, transition};
use self::window::{Due, Place};
use super::config::{DpdAction, Startup};
use super::{Config, Datagram, Input, Output, SaKind};
use crate::reason::{DropReason, Reason, State, Step, TimerKind};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::ike::{ExchangeType, Header, NotifyType, parse_chain};

mod auth;
mod child;
mod env;
mod informational;
mod init;
mod liveness;
mod nat;
mod sa;
mod task;
mod transition;
mod window;

#[cfg(test)]
mod tests;

/// IKE_SAs that a responder holds before they are authenticated; the oldest gives way.
const MAX_HALF_OPEN: usize = 4;

/// One end of a tunnel: all IKE_SAs and CHILD_SAs between two addresses. See [`crate::proto`] for how to drive it.
#[derive(Clone, Debug)]
pub struct Peer {
    env: Env,
    sas: Vec<Sa>,
    /// True if the tunnel is to be up, whatever happens.
    wanted: bool,
    /// The next attempt: when it was put off, and until when.
    retry: Option<(Instant, Instant)>,
    /// Attempts in a row that failed.
    failures: u32,
    /// An SA that sends as soon as something arrives on it, by inbound SPI.
    awaited: Option<u32>,
    wake: Option<(Instant, TimerKind)>,
}

impl Peer {
    /// The end at `local` of the tunnel to `remote`. `secrets` draws SPIs, nonces, private values and IVs, `timers` fuzz and jitter.
    /// Nothing happens until an input comes, not even with startup action *start*.
    pub fn new(
        config: Arc<Config>,
        local: IpAddr,
        remote: IpAddr,
        secrets: Rng,
        timers: Rng,
        now: Instant,
    ) -> Self {
        Self {
            env: Env::new(config, (local, remote), (secrets, timers), now),
            sas: Vec::new(),
            wanted: false,
            retry: None,
            failures: 0,
            awaited: None,
            wake: None,
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.env.now = now;
        match input {
            Input::InboundTraffic { spi_in } => {
                self.env.last_inbound = now;
                if self.awaited != Some(spi_in) {
                    return;
                }
                self.first_traffic(spi_in);
            }
            Input::Initiate(reason) => self.initiate(reason),
            Input::Datagram(datagram) => self.datagram(datagram),
            Input::UnknownSpi { spi } => self.unknown_spi(spi),
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
        if let Some((armed_at, _)) = self.retry.filter(|(_, due)| *due <= now) {
            self.retry = None;
            let timer = TimerKind::IkeRetry;
            self.env.out.push_back(Output::Expired { timer, armed_at });
            self.begin(Reason::Startup);
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

    /// The state of the IKE session or of the CHILD_SA lineage.
    pub fn state(&self, sa: SaKind) -> State {
        self.env.state(sa)
    }

    fn rearm(&mut self) {
        let timers = self.sas.iter().filter_map(|sa| sa.next_timer(&self.env));
        let timers = timers.map(|timer| (timer.due, timer.kind));
        let retry = self.retry.map(|(_, due)| (due, TimerKind::IkeRetry));
        self.wake = timers.chain(retry).min_by_key(|(due, _)| *due);
    }

    // What the owner wants.

    fn initiate(&mut self, reason: Reason) {
        if reason == Reason::TrafficNeedsSa {
            if !self.env.config.initiate_on_traffic || self.retry.is_some() {
                return;
            }
        } else {
            self.wanted = true;
        }
        if let Some(sa) = self
            .sas
            .iter_mut()
            .find(|sa| sa.state() == SaState::Established)
        {
            let idle = self.env.state(SaKind::Child) == State::Down;
            let job = Job::CreateChild { rekeys: None };
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

    /// Begins an IKE_SA.
    fn begin(&mut self, purpose: Reason) {
        self.retry = None;
        self.env.alone = self.alone();
        if self.env.state(SaKind::Ike) != State::Up {
            self.env.enter(SaKind::Ike, State::Connecting, purpose);
        }
        self.sas.extend(init::initiate(&mut self.env, purpose));
        self.settle();
    }

    fn alone(&self) -> bool {
        !self.sas.iter().any(|sa| sa.established().is_some())
    }

    fn unknown_spi(&mut self, spi: u32) {
        let established = |sa: &&mut Sa| sa.state() == SaState::Established;
        if let Some(sa) = self.sas.iter_mut().rev().find(established)
            && sa.window.outstanding.is_none()
        {
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

    fn delete(&mut self, i: usize, reason: Reason) {
        let sa = &mut self.sas[i];
        sa.window.queue.clear();
        sa.window.queue.push_front(Job::DeleteIke(reason));
        sa.pump(&mut self.env);
    }

    fn reset(&mut self) {
        self.sas.clear();
        self.wanted = false;
        self.retry = None;
        self.failures = 0;
        self.awaited = None;
        self.env.forget();
    }

    /// Something has arrived on an SA that waited for it: the peer has installed it (RFC 7296 section 2.8).
    fn first_traffic(&mut self, spi_in: u32) {
        for sa in &mut self.sas {
            if let Some(old) = child::find(sa, spi_in).and_then(|c| c.replaces) {
                child::switch(sa, &mut self.env, old, spi_in);
            }
        }
        self.settle();
    }

    // What the peer sends.

    fn datagram(&mut self, datagram: Datagram) {
        let Ok(header) = Header::parse(&datagram.bytes) else {
            return self.env.ignored(DropReason::Malformed);
        };
        if header.major != 2 {
            return self.wrong_version(&header, &datagram);
        }
        if header.length as usize != datagram.bytes.len() {
            return self.env.ignored(DropReason::Malformed);
        }
        let init = header.exchange == ExchangeType::IkeSaInit;
        let found = self.sas.iter().position(|sa| {
            sa.ids.spi_i == header.spi_i
                && sa.ids.initiator != header.flags.initiator
                && (sa.ids.spi_r == header.spi_r || init)
        });
        match found {
            Some(i) => self.deliver(i, &header, datagram),
            None if header.flags.response => self.env.ignored(DropReason::UnknownSpi),
            None if init
                && header.spi_r == 0
                && header.flags.initiator
                && header.message_id == 0 =>
            {
                self.admit(&header, datagram);
            }
            None => {
                // Power may have been lost here; the peer learns it by its own liveness check (RFC 7296 section 2.21.4).
                self.stray(&header, &datagram, NotifyType::InvalidIkeSpi);
                self.env.ignored(DropReason::UnknownSpi);
            }
        }
    }

    /// RFC 7296 section 2.5: a higher major version is answered with the one spoken here.
    fn wrong_version(&mut self, header: &Header, datagram: &Datagram) {
        if header.major > 2 && !header.flags.response {
            self.stray(header, datagram, NotifyType::InvalidMajorVersion);
        }
        self.env.ignored(DropReason::Malformed);
    }

    /// Answers a request outside of any IKE_SA, without protection.
    fn stray(&mut self, header: &Header, datagram: &Datagram, kind: NotifyType) {
        let path = sa::Path {
            local_port: datagram.local.1,
            remote: datagram.remote,
            local_nat: false,
            remote_nat: false,
        };
        init::refuse(&mut self.env, &init::stray_header(header), &path, kind, &[]);
    }

    /// A new IKE_SA_INIT request.
    fn admit(&mut self, header: &Header, datagram: Datagram) {
        if self.env.state(SaKind::Ike) == State::Down {
            let reason = Reason::PeerInitiated;
            self.env.enter(SaKind::Ike, State::Connecting, reason);
        }
        self.env.because = Reason::PeerRefused;
        if let Some(sa) = init::respond(&mut self.env, header, datagram) {
            self.env.because = Reason::PeerInitiated;
            let half_open = |sa: &Sa| sa.state() == SaState::ExpectAuthRequest;
            if self.sas.iter().filter(|sa| half_open(sa)).count() == MAX_HALF_OPEN
                && let Some(oldest) = self.sas.iter().position(half_open)
            {
                self.sas.remove(oldest);
            }
            self.sas.push(sa);
        }
        self.settle();
    }

    fn deliver(&mut self, i: usize, header: &Header, datagram: Datagram) {
        self.env.alone = self.alone();
        let sa = &mut self.sas[i];
        let (id, exchange) = (header.message_id, header.exchange);
        let action = transition(sa.state(), event(sa, header));
        let verdict = match action {
            Action::ReadInitResponse => match core::mem::replace(&mut sa.phase, Phase::Over) {
                Phase::ExpectInitResponse(expect) => {
                    expect.read(sa, &mut self.env, header, datagram)
                }
                other => Self::keep(sa, other),
            },
            Action::ReadAuthResponse => match core::mem::replace(&mut sa.phase, Phase::Over) {
                Phase::ExpectAuthResponse(expect) => {
                    let mut bytes = datagram.bytes;
                    expect.read(sa, &mut self.env, id, &mut bytes)
                }
                other => Self::keep(sa, other),
            },
            Action::ReadAuthRequest => return self.authenticate(i, id, datagram),
            Action::ReadRequest => self.read_request(i, id, exchange, datagram),
            Action::ReadResponse => self.read_response(i, id, exchange, datagram),
            Action::RepeatInit => self.repeat_init(i, &datagram),
            Action::Repeat => self.repeat(i, id, exchange, datagram),
            Action::Ignore
            | Action::SendAgain
            | Action::Fail
            | Action::PeerDead
            | Action::Remove
            | Action::Delete => {
                self.env.ignored(DropReason::UnexpectedMessage);
                Verdict::Alive
            }
        };
        self.judge(i, verdict);
    }

    fn keep(sa: &mut Sa, phase: Phase) -> Verdict {
        sa.phase = phase;
        Verdict::Alive
    }

    fn judge(&mut self, i: usize, verdict: Verdict) {
        match verdict {
            Verdict::Alive => {
                self.sas[i].pump(&mut self.env);
                self.settle();
            }
            Verdict::Up => self.established(i),
            Verdict::Over(reason) => self.bury(i, reason, false),
            Verdict::Linger(reason) => self.bury(i, reason, true),
        }
    }

    /// IKE_AUTH as responder, in two steps: what INITIAL_CONTACT says is done before the new SAs are made.
    fn authenticate(&mut self, i: usize, id: u32, datagram: Datagram) {
        let sa = &mut self.sas[i];
        let Phase::ExpectAuthRequest(expect) = core::mem::replace(&mut sa.phase, Phase::Over)
        else {
            return;
        };
        // The initiator may have floated (RFC 7296 section 2.23). If the message is not its own, the path stays.
        let before = sa.path;
        sa.path.local_port = datagram.local.1;
        sa.path.remote = datagram.remote;
        let mut bytes = datagram.bytes;
        let authenticated = match expect.read(sa, &mut self.env, id, &mut bytes) {
            Ok(authenticated) => authenticated,
            Err(verdict) => {
                if sa.state() == SaState::ExpectAuthRequest {
                    sa.path = before;
                }
                return self.judge(i, verdict);
            }
        };
        let spi_i = sa.ids.spi_i;
        if authenticated.initial_contact {
            self.forget_older(i);
        }
        let Some(i) = self.sas.iter().position(|sa| sa.ids.spi_i == spi_i) else {
            return;
        };
        let verdict = authenticated.finish(&mut self.sas[i], &mut self.env);
        self.judge(i, verdict);
    }

    /// The peer has none of the SAs that were there before it began this one (RFC 7296 section 2.4).
    fn forget_older(&mut self, i: usize) {
        let begun = self.sas[i].begun;
        for j in (0..self.sas.len()).rev() {
            let older = |sa: &Sa| sa.up && sa.established().is_some_and(|e| e.since <= begun);
            if j != i && older(&self.sas[j]) {
                self.children_down(j, Reason::InitialContact);
                self.sas[j].phase = Phase::Over;
            }
        }
        self.env.because = Reason::InitialContact;
        self.sas
            .retain(|sa| !(sa.up && matches!(sa.phase, Phase::Over)));
        self.settle();
    }

    fn read_request(
        &mut self,
        i: usize,
        id: u32,
        exchange: ExchangeType,
        datagram: Datagram,
    ) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Datagram {
            remote, mut bytes, ..
        } = datagram;
        let (first, range) = match sa.open(&mut bytes) {
            Ok(opened) => opened,
            Err(reason) => {
                env.ignored(reason);
                return Verdict::Alive;
            }
        };
        alive(env, sa, remote);
        let Ok(payloads) = parse_chain(first, &bytes[range]) else {
            env.received(exchange, id, false, Some(Reason::InvalidSyntax));
            sa.refuse(env, exchange, id, NotifyType::InvalidSyntax, &[]);
            return Verdict::Linger(Reason::InvalidSyntax);
        };
        let notice = sa::error_in(&payloads).map(|(_, reason)| reason);
        env.received(exchange, id, false, notice);
        if let Some(kind) = unknown_critical(&payloads) {
            let notify = NotifyType::UnsupportedCriticalPayload;
            sa.refuse(env, exchange, id, notify, &[kind]);
            return Verdict::Alive;
        }
        match exchange {
            ExchangeType::CreateChildSa => child::answer(sa, env, id, &payloads),
            ExchangeType::Informational => informational::answer(sa, env, id, &payloads),
            ExchangeType::IkeSaInit | ExchangeType::IkeAuth | ExchangeType::Other(_) => {
                sa.refuse(env, exchange, id, NotifyType::InvalidSyntax, &[]);
                Verdict::Alive
            }
        }
    }

    fn read_response(
        &mut self,
        i: usize,
        id: u32,
        exchange: ExchangeType,
        datagram: Datagram,
    ) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Datagram {
            remote, mut bytes, ..
        } = datagram;
        let (first, range) = match sa.open(&mut bytes) {
            Ok(opened) => opened,
            Err(reason) => {
                env.ignored(reason);
                return Verdict::Alive;
            }
        };
        alive(env, sa, remote);
        let Some(request) = sa.window.outstanding.take() else {
            return Verdict::Alive;
        };
        let Ok(payloads) = parse_chain(first, &bytes[range]) else {
            // RFC 7296 section 2.21.3: an authentic message that makes no sense ends the IKE_SA.
            env.received(exchange, id, true, Some(Reason::InvalidSyntax));
            return Verdict::Over(Reason::InvalidSyntax);
        };
        let notice = sa::error_in(&payloads).map(|(_, reason)| reason);
        env.received(exchange, id, true, notice);
        informational::read(sa, env, request.task, &payloads)
    }

    fn repeat_init(&mut self, i: usize, datagram: &Datagram) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let same = match &sa.phase {
            Phase::ExpectAuthRequest(expect) => expect.init_request == datagram.bytes,
            Phase::ExpectInitResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::Established(_)
            | Phase::Deleting(_)
            | Phase::Lingering(_)
            | Phase::Over => false,
        };
        match sa.window.stored().filter(|_| same).cloned() {
            Some(response) => {
                env.received(ExchangeType::IkeSaInit, 0, false, None);
                env.step(Step::Retransmitted, 0, true, None);
                env.transmit(&sa.path, response);
            }
            None => env.ignored(DropReason::UnexpectedMessage),
        }
        Verdict::Alive
    }

    fn repeat(
        &mut self,
        i: usize,
        id: u32,
        exchange: ExchangeType,
        mut datagram: Datagram,
    ) -> Verdict {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        match (sa.open(&mut datagram.bytes), sa.window.stored().cloned()) {
            (Ok(_), Some(response)) => {
                env.last_inbound = env.now;
                env.received(exchange, id, false, None);
                env.step(Step::Retransmitted, id, true, None);
                env.transmit(&sa.path, response);
            }
            (Ok(_), None) => env.ignored(DropReason::UnexpectedMessage),
            (Err(reason), _) => env.ignored(reason),
        }
        Verdict::Alive
    }

    // What time brings.

    fn due(&self, now: Instant) -> Option<(usize, Timer)> {
        let timers = self.sas.iter().enumerate();
        timers
            .filter_map(|(i, sa)| Some((i, sa.next_timer(&self.env)?)))
            .filter(|(_, timer)| timer.due <= now)
            .min_by_key(|(_, timer)| timer.due)
    }

    fn expire(&mut self, i: usize, timer: Timer) {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        let Timer {
            kind,
            armed_at,
            child,
            ..
        } = timer;
        // A lingering SA is over already; that it is forgotten at last is no news.
        if sa.state() != SaState::Lingering {
            let timer = kind;
            env.out.push_back(Output::Expired { timer, armed_at });
        }
        let event = match kind {
            TimerKind::Retransmission => {
                let schedule = match &sa.window.outstanding {
                    Some(request) => liveness::schedule(&env.config, &request.task),
                    None => return,
                };
                let due = sa
                    .window
                    .outstanding
                    .as_mut()
                    .map(|request| request.expire(env.now, &schedule, &mut env.timers));
                match due {
                    Some(Due::SendAgain) | None => Event::RetransmitDue,
                    Some(Due::Exhausted) => Event::RetransmitExhausted,
                }
            }
            TimerKind::DpdTimeout => Event::PeerSilent,
            TimerKind::HalfOpen => Event::HalfOpenExpired,
            TimerKind::IkeLifetime => Event::LifetimeExpired,
            _ => return self.expire_established(i, kind, child),
        };
        match transition(sa.state(), event) {
            Action::SendAgain => self.send_again(i),
            Action::Fail => self.bury(i, Reason::RetransmitExhausted, false),
            Action::PeerDead => self.bury(i, Reason::PeerDead, false),
            Action::Remove => {
                let reason = match event {
                    Event::HalfOpenExpired => Reason::HalfOpenTimeout,
                    _ => Reason::Deleted,
                };
                self.bury(i, reason, false);
            }
            Action::Delete => self.delete(i, Reason::LifetimeExpired),
            action => debug_assert_eq!(action, Action::Ignore),
        }
    }

    /// Timers that only an established IKE_SA has.
    fn expire_established(&mut self, i: usize, kind: TimerKind, spi_in: u32) {
        let (env, sa) = (&mut self.env, &mut self.sas[i]);
        match kind {
            TimerKind::DpdIdle => sa.window.queue.push_back(Job::Liveness),
            TimerKind::ChildRekey => {
                if let Some(child) = child::find(sa, spi_in) {
                    child.rekey = None;
                }
                let rekeys = Some(spi_in);
                sa.window.queue.push_back(Job::CreateChild { rekeys });
            }
            TimerKind::ChildLifetime => {
                informational::close(sa, env, spi_in, Reason::LifetimeExpired);
            }
            _ => {
                if let Some(established) = sa.established_mut() {
                    established.retry_child = None;
                }
                child::recreate(sa, env);
            }
        }
        sa.pump(env);
        self.settle();
    }

    fn send_again(&mut self, i: usize) {
        let (env, sa) = (&mut self.env, &self.sas[i]);
        if let Some(request) = &sa.window.outstanding {
            env.step(Step::Retransmitted, request.id, false, None);
            env.transmit(&sa.path, request.bytes.clone());
        }
    }

    // What becomes of an IKE_SA.

    /// An IKE_SA is up: the others have to justify themselves.
    fn established(&mut self, i: usize) {
        self.failures = 0;
        self.retry = None;
        self.sas[i].up = true;
        let (begun, spi_i) = (self.sas[i].begun, self.sas[i].ids.spi_i);
        for j in 0..self.sas.len() {
            let other = &self.sas[j];
            let Some(established) = other
                .established()
                .filter(|_| j != i && !other.is_deleting())
            else {
                continue;
            };
            if established.since <= begun {
                // An older one that the peer may still have; this one takes its place.
                self.delete(j, Reason::Rekeyed);
            } else {
                let loser = if other.ids.spi_i < spi_i { j } else { i };
                if self.sas[loser].ids.initiator {
                    self.delete(loser, Reason::Rekeyed);
                }
            }
        }
        self.sas[i].pump(&mut self.env);
        self.settle();
    }

    /// An IKE_SA is over, with all its CHILD_SAs.
    fn bury(&mut self, i: usize, reason: Reason, linger: bool) {
        let reason = self.own_reason(i).unwrap_or(reason);
        self.children_down(i, reason);
        let sa = &mut self.sas[i];
        let (was_up, initiator, purpose) = (sa.up, sa.ids.initiator, sa.purpose);
        let was_over = sa.state() == SaState::Lingering && !matches!(sa.phase, Phase::Over);
        let lived = sa.established().map(|e| self.env.now.since(e.since));
        sa.window.stop();
        match core::mem::replace(&mut sa.phase, Phase::Over) {
            Phase::Established(e) | Phase::Deleting(e) if linger => {
                sa.phase = Phase::Lingering(Box::new(e.keys));
                sa.begun = self.env.now;
                sa.up = false;
            }
            _ => drop(self.sas.remove(i)),
        }
        if was_over {
            return;
        }
        self.env.because = reason;
        self.settle();
        if was_up {
            self.after_loss(reason, lived.unwrap_or_default());
        } else if initiator && purpose != Reason::TrafficNeedsSa {
            self.put_off();
        }
    }

    /// Why this end was deleting the IKE_SA, if it was.
    fn own_reason(&self, i: usize) -> Option<Reason> {
        let sa = &self.sas[i];
        match (&sa.phase, &sa.window.outstanding) {
            (Phase::Deleting(_), Some(request)) => match request.task {
                task::Task::DeleteIke(reason) => Some(reason),
                task::Task::Handshake
                | task::Task::CreateChild(_)
                | task::Task::DeleteChild { .. }
                | task::Task::Liveness
                | task::Task::Notice => None,
            },
            _ => None,
        }
    }

    /// The tunnel has lost an established IKE_SA: bring it up again, if that is wanted.
    fn after_loss(&mut self, reason: Reason, lived: Duration) {
        let busy = |sa: &Sa| sa.state() == SaState::Established || (sa.ids.initiator && !sa.up);
        let busy = self
            .sas
            .iter()
            .any(|sa| sa.state() != SaState::Lingering && busy(sa));
        if busy || reason == Reason::AdminDown {
            return;
        }
        let dead = matches!(reason, Reason::PeerDead | Reason::RetransmitExhausted);
        if dead {
            if self.env.config.dpd.action == DpdAction::Restart {
                self.begin(Reason::DpdRestart);
            }
        } else if self.wanted && self.env.config.startup == Startup::Start {
            if lived >= self.env.config.retry.first {
                self.begin(Reason::Startup);
            } else {
                self.put_off();
            }
        }
    }

    /// Another attempt, later and later.
    fn put_off(&mut self) {
        let retry = self.env.config.retry;
        let wait = retry.first * (1 << self.failures.min(16));
        self.failures += 1;
        self.retry = Some((self.env.now, self.env.now + wait.min(retry.cap)));
    }

    fn children_down(&mut self, i: usize, reason: Reason) {
        let children = self.sas[i]
            .established_mut()
            .map(|e| e.children.split_off(0));
        for child in children.into_iter().flatten() {
            let spi_in = child.spi_in;
            self.env.out.push_back(Output::ChildDown { spi_in, reason });
        }
    }

    /// Brings what is reported into line with what is there.
    fn settle(&mut self) {
        let because = self.env.because;
        let rank = |sa: &Sa| match &sa.phase {
            Phase::Established(_) => 3,
            Phase::ExpectInitResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::ExpectAuthRequest(_) => 2,
            // Between two steps of the handshake.
            Phase::Over => 2,
            Phase::Deleting(_) => 1,
            Phase::Lingering(_) => 0,
        };
        let ike = match self.sas.iter().map(rank).max() {
            Some(3) => State::Up,
            Some(2) => State::Connecting,
            Some(1) => State::Deleting,
            Some(_) | None => State::Down,
        };
        let children = || {
            self.sas
                .iter()
                .filter_map(Sa::established)
                .flat_map(|e| &e.children)
        };
        let child = if children().any(|c| c.phase == ChildPhase::Up) {
            State::Up
        } else if children().any(|c| c.phase == ChildPhase::Rekeying) {
            State::Rekeying
        } else if children().next().is_some() {
            State::Deleting
        } else {
            State::Down
        };
        self.awaited = children()
            .find(|c| !c.sending && c.phase == ChildPhase::Up)
            .map(|c| c.spi_in);
        if ike == State::Down {
            self.env.enter(SaKind::Child, child, because);
            self.env.enter(SaKind::Ike, ike, because);
        } else {
            self.env.enter(SaKind::Ike, ike, because);
            self.env.enter(SaKind::Child, child, because);
        }
    }
}

/// An authentic message came from there. A peer behind a NAT is followed (RFC 7296 section 2.23), unless this end is behind one, too.
fn alive(env: &mut Env, sa: &mut Sa, remote: (IpAddr, u16)) {
    env.last_inbound = env.now;
    if sa.path.remote_nat && !sa.path.local_nat && sa.path.remote != remote {
        sa.path.remote = remote;
        env.out.push_back(Output::PeerMoved { remote });
    }
}

/// What a message is to an SA.
fn event(sa: &Sa, header: &Header) -> Event {
    let (id, exchange) = (header.message_id, header.exchange);
    if header.flags.response {
        return match (sa.window.answers(id, exchange), exchange) {
            (false, _) | (true, ExchangeType::Other(_)) => Event::Stray,
            (true, ExchangeType::IkeSaInit) => Event::InitResponse,
            (true, ExchangeType::IkeAuth) => Event::AuthResponse,
            (true, ExchangeType::CreateChildSa) => Event::ChildResponse,
            (true, ExchangeType::Informational) => Event::InfoResponse,
        };
    }
    if exchange == ExchangeType::IkeSaInit {
        return Event::InitRequest;
    }
    match (sa.window.place(id), exchange) {
        (Place::Repeated, _) => Event::RepeatedRequest,
        (Place::Outside, _) => Event::Stray,
        (Place::Next, ExchangeType::IkeAuth) => Event::AuthRequest,
        (Place::Next, ExchangeType::CreateChildSa) => Event::ChildRequest,
        (Place::Next, ExchangeType::Informational) => Event::InfoRequest,
        (Place::Next, ExchangeType::IkeSaInit | ExchangeType::Other(_)) => Event::UnknownRequest,
    }
}
