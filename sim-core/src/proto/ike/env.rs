//! What every part of a machine needs, of either version: configuration, addresses, randomness, the present, and the way out.

use core::net::IpAddr;
use std::collections::VecDeque;
use std::sync::Arc;

use super::mobility::Mobility;
use super::path::Path;
use super::{Config, Departure, Output, SaKind};
use crate::reason::{DropReason, Reason, State, Step};
use crate::rng::{Rng, Seldom};
use crate::time::{Duration, Instant};
use crate::wire::ike::ExchangeType;

/// Octets of a nonce: at least half the key size of every PRF (RFC 7296 section 2.10).
pub(super) const NONCE_LEN: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Env {
    pub config: Arc<Config>,
    pub local: IpAddr,
    pub remote: IpAddr,
    /// SPIs, nonces, private values, IVs.
    pub secrets: Seldom,
    /// Fuzz of CHILD_SA rekeys and jitter.
    pub timers: Seldom,
    /// IKE_SAs that were established; each has its own draw of the fuzz of its rekey.
    ike_sas: u64,
    pub out: VecDeque<Output>,
    pub now: Instant,
    /// When an authentic packet last came from the peer, IKE or ESP.
    pub last_inbound: Instant,
    /// When an authentic IKE message last came from the peer.
    pub last_message: Instant,
    /// True if no IKE_SA with the peer is established, which INITIAL_CONTACT tells it.
    pub alone: bool,
    /// Why the latest change of the set of SAs happened.
    pub because: Reason,
    /// Both ends' addresses, if this end announces that its own may change.
    pub mobility: Option<Box<Mobility>>,
    /// The policy that the first CHILD_SA of an IKE_SA is for.
    pub demanded: u8,
    /// When the peer last refused a CHILD_SA.
    pub denied: Option<Instant>,
    ike: State,
    child: State,
}

/// All but the configuration, which is no state. What waits to be polled counts by its number: an owner drains it before it
/// looks at anything else.
impl core::hash::Hash for Env {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        let Self {
            config: _,
            local,
            remote,
            secrets,
            timers,
            ike_sas,
            out,
            now,
            last_inbound,
            last_message,
            alone,
            because,
            mobility,
            demanded,
            denied,
            ike,
            child,
        } = self;
        (local, remote, secrets, timers, ike_sas, out.len()).hash(state);
        (now, last_inbound, last_message, alone, because, mobility, demanded, denied, ike, child).hash(state);
    }
}

impl Env {
    /// An authentic message of IKE has come from the peer.
    pub fn heard(&mut self) {
        (self.last_inbound, self.last_message) = (self.now, self.now);
    }

    pub fn new(
        config: Arc<Config>,
        (local, remote): (IpAddr, IpAddr),
        (secrets, timers): (Seldom, Seldom),
        now: Instant,
    ) -> Self {
        let mobility = config.mobike.as_ref().map(|own| Box::new(Mobility::new(local, &own.additional)));
        Self {
            config,
            local,
            remote,
            secrets,
            timers,
            ike_sas: 0,
            out: VecDeque::new(),
            now,
            last_inbound: now,
            last_message: now,
            alone: true,
            because: Reason::Configured,
            mobility,
            demanded: 0,
            denied: None,
            ike: State::Down,
            child: State::Down,
        }
    }

    /// The state of the tunnel's IKE session or CHILD_SA lineage.
    pub fn state(&self, sa: SaKind) -> State {
        match sa {
            SaKind::Ike => self.ike,
            SaKind::Child => self.child,
        }
    }

    /// Brings the states of both into line with what is there. A CHILD_SA goes before its IKE_SA, and comes after it.
    pub fn enter_both(&mut self, ike: State, child: State, reason: Reason) {
        if ike == State::Down {
            self.enter(SaKind::Child, child, reason);
            self.enter(SaKind::Ike, ike, reason);
        } else {
            self.enter(SaKind::Ike, ike, reason);
            self.enter(SaKind::Child, child, reason);
        }
    }

    /// The one door into a state.
    pub fn enter(&mut self, sa: SaKind, to: State, reason: Reason) {
        let state = match sa {
            SaKind::Ike => &mut self.ike,
            SaKind::Child => &mut self.child,
        };
        let from = core::mem::replace(state, to);
        if from != to {
            self.out.push_back(Output::State { sa, from, to, reason });
        }
    }

    /// An attempt at an IKE_SA begins; if there is one already, nothing changes.
    pub fn connecting(&mut self, reason: Reason) {
        if self.ike != State::Up {
            self.enter(SaKind::Ike, State::Connecting, reason);
        }
    }

    /// How long after its birth the next IKE_SA is rekeyed. Its die is not the one of CHILD_SAs.
    pub fn ike_rekey_after(&mut self) -> Duration {
        let mut fuzz = self.timers.sibling("ike rekey");
        fuzz.seek_u64(self.ike_sas);
        self.ike_sas += 1;
        self.config.rekey.after(self.config.ike_lifetime, &mut fuzz)
    }

    /// When to try again what the peer has refused for now. The original initiator comes back sooner, so that two ends that
    /// stood in each other's way do not meet again.
    pub fn retry_refused(&self, initiator: bool) -> Instant {
        let cap = self.config.retry.cap;
        self.now + if initiator { cap / 2 } else { cap }
    }

    pub fn forget(&mut self) {
        self.out.clear();
        self.mobility.iter_mut().for_each(|mobility| mobility.forget());
        self.ike = State::Down;
        self.child = State::Down;
    }

    pub fn transmit(&mut self, path: &Path, bytes: Vec<u8>) {
        let (local_port, remote) = (path.local_port, path.remote);
        self.out.push_back(match &self.mobility {
            Some(mobility) => {
                let local = (mobility.from.unwrap_or(self.local), local_port);
                Output::TransmitFrom(Box::new(Departure { local, remote, bytes }))
            }
            None => Output::Transmit { local_port, remote_port: remote.1, remote: remote.0, bytes },
        });
    }

    pub fn ignored(&mut self, reason: DropReason) {
        self.out.push_back(Output::Ignored { reason });
    }

    pub fn sent(&mut self, exchange: ExchangeType, message_id: u32, response: bool, notice: Option<Reason>) {
        self.noticed(exchange, message_id, response, true, notice);
    }

    pub fn received(&mut self, exchange: ExchangeType, message_id: u32, response: bool, notice: Option<Reason>) {
        self.noticed(exchange, message_id, response, false, notice);
    }

    fn noticed(&mut self, exchange: ExchangeType, message_id: u32, response: bool, sent: bool, notice: Option<Reason>) {
        let step = match (exchange, sent) {
            (ExchangeType::IkeSaInit, true) => Step::IkeSaInitSent,
            (ExchangeType::IkeSaInit, false) => Step::IkeSaInitReceived,
            (ExchangeType::IkeAuth, true) => Step::IkeAuthSent,
            (ExchangeType::IkeAuth, false) => Step::IkeAuthReceived,
            (ExchangeType::CreateChildSa, true) => Step::CreateChildSaSent,
            (ExchangeType::CreateChildSa, false) => Step::CreateChildSaReceived,
            (ExchangeType::IkeIntermediate, true) => Step::IkeIntermediateSent,
            (ExchangeType::IkeIntermediate, false) => Step::IkeIntermediateReceived,
            (ExchangeType::IkeFollowupKe, true) => Step::IkeFollowupKeSent,
            (ExchangeType::IkeFollowupKe, false) => Step::IkeFollowupKeReceived,
            (ExchangeType::Informational | ExchangeType::Other(_), true) => Step::InformationalSent,
            (ExchangeType::Informational | ExchangeType::Other(_), false) => Step::InformationalReceived,
        };
        self.step(step, message_id, response, notice);
    }

    pub fn step(&mut self, step: Step, message_id: u32, response: bool, notice: Option<Reason>) {
        self.out.push_back(Output::Step { step, message_id, response, notice });
    }

    /// See [`ike_spi`].
    pub fn ike_spi(&mut self) -> u64 {
        self.secrets.draw(ike_spi)
    }

    /// A fresh SPI for an ESP SA; 1 to 255 are reserved (RFC 4303 section 2.1).
    pub fn esp_spi(&mut self) -> u32 {
        self.secrets.u32().max(256)
    }

    pub fn nonce(&mut self) -> [u8; NONCE_LEN] {
        self.secrets.draw(nonce)
    }
}

/// A fresh SPI for an IKE_SA; never zero (RFC 7296 section 2.6).
pub(super) fn ike_spi(rng: &mut Rng) -> u64 {
    rng.u64().max(1)
}

/// A fresh nonce.
pub(super) fn nonce(rng: &mut Rng) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce);
    nonce
}
