//! IKE_AUTH (RFC 7296 sections 1.2 and 2.15), both sides: identities and their proof, the first CHILD_SA.
//!
//! ```text
//! HDR, SK {IDi, [CERT+, CERTREQ,] N(INITIAL_CONTACT), AUTH, SAi2, TSi, TSr}  -->
//!                                                    <--  HDR, SK {IDr, [CERT+,] AUTH, SAr2, TSi, TSr}
//! ```
//!
//! A failure of the CHILD_SA leaves the IKE_SA standing (section 2.21.2). Left out: EAP, the optional IDr of the initiator,
//! configuration payloads.

use super::child;
use super::env::Env;
use super::fragment::Incoming;
use super::intermediate::{Opening, Passed};
use super::mobike::{self, Role};
use super::proof::{self, Claim, Proof, Taste};
use super::reauth;
use super::sa::{self, Established, Phase, Sa, Verdict, error_in, unknown_critical};
use super::task::{Job, Task};
use crate::proto::ike::keys::IkeKeys;
use crate::proto::ike::{SaKind, proposal};
use crate::reason::{Reason, State};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload, Proposal, TrafficSelector, parse_chain};

/// The initiator has sent IKE_AUTH.
#[derive(Clone, Hash, Debug)]
pub(super) struct ExpectAuthResponse {
    pub keys: IkeKeys,
    /// What the responder's AUTH signs.
    init_response: Vec<u8>,
    /// Ni and Nr.
    nonces: (Vec<u8>, Vec<u8>),
    /// The offered CHILD_SA.
    spi_in: u32,
    /// IntAuth (RFC 9242 section 3.3.2); empty without IKE_INTERMEDIATE.
    int_auth: Vec<u8>,
}

/// The responder has answered IKE_SA_INIT.
#[derive(Clone, Hash, Debug)]
pub(super) struct ExpectAuthRequest {
    pub keys: IkeKeys,
    /// What the initiator's AUTH signs; the response is the window's stored one, unless exchanges came in between.
    pub init_request: Vec<u8>,
    /// Ni and Nr.
    pub nonces: (Vec<u8>, Vec<u8>),
    /// Signatures that the initiator takes.
    pub peer: Taste,
    /// IKE_INTERMEDIATE, if there are to be any.
    pub passed: Option<Box<Passed>>,
}

/// The responder has verified the initiator, and not yet answered.
#[derive(Debug)]
pub(super) struct Authenticated {
    keys: IkeKeys,
    nonces: (Vec<u8>, Vec<u8>),
    /// AUTH of this end.
    proof: Proof,
    message_id: u32,
    proposals: Vec<Proposal>,
    ts_i: Vec<TrafficSelector>,
    ts_r: Vec<TrafficSelector>,
    /// The initiator says that it has no other IKE_SA with this end (RFC 7296 section 2.4).
    pub initial_contact: bool,
}

/// What an IKE_AUTH message carries.
#[derive(Default)]
struct Parts<'a> {
    claim: Claim<'a>,
    proposals: Option<&'a [Proposal]>,
    ts_i: Option<&'a [TrafficSelector]>,
    ts_r: Option<&'a [TrafficSelector]>,
    initial_contact: bool,
}

impl<'a> Parts<'a> {
    fn of(payloads: &'a [Payload<'a>], from_initiator: bool) -> Self {
        let mut parts = Self { claim: Claim::of(payloads, from_initiator), ..Self::default() };
        for payload in payloads {
            match payload {
                Payload::Sa(proposals) => parts.proposals = Some(proposals),
                Payload::TsI(selectors) => parts.ts_i = Some(selectors),
                Payload::TsR(selectors) => parts.ts_r = Some(selectors),
                Payload::Notify(n) if n.kind == NotifyType::InitialContact => {
                    parts.initial_contact = true;
                }
                _ => {}
            }
        }
        parts
    }
}

/// The initiator's message. Consumes what only IKE_SA_INIT needed.
pub(super) fn send_request(sa: &mut Sa, env: &mut Env, opening: Opening) {
    let Opening { mut keys, request, response: init_response, nonces, peer, transcript } = opening;
    let config = env.config.clone();
    let moving = mobike::announce(sa, env, true);
    let message_id = sa.window.next_id();
    let int_auth = transcript.int_auth(message_id);
    let proof = proof::prove(env, &keys, true, (&request, &nonces.1, &int_auth), &peer);
    let spi_in = env.esp_spi();
    let header = sa.ids.header(ExchangeType::IkeAuth, false, message_id);
    let (local, remote) = config.selectors(env.demanded);
    let message = config.local_id.with_id(|id| {
        let mut payloads = Vec::with_capacity(6);
        payloads.push(Payload::IdI(id));
        payloads.extend(proof::certificates(&config));
        payloads.extend(proof.request());
        if env.alone {
            let contact = Notify::new(NotifyType::InitialContact, &[]);
            payloads.push(Payload::Notify(contact));
        }
        payloads.extend([
            proof.payload(),
            Payload::Sa(proposal::offer_esp(&config, spi_in, false)),
            Payload::TsI(local.to_vec()),
            Payload::TsR(remote.to_vec()),
        ]);
        payloads.extend(moving.payloads());
        sa::seal(sa.ids, sa.limit(), &mut keys, &mut env.secrets, &header, &payloads)
    });
    sa.send_request(env, ExchangeType::IkeAuth, Task::Handshake, message);
    let expect = ExpectAuthResponse { keys, init_response, nonces, spi_in, int_auth };
    sa.phase = Phase::ExpectAuthResponse(Box::new(expect));
}

impl ExpectAuthResponse {
    /// Reads the response: an authentic one decides, everything else is ignored.
    pub fn read(self, sa: &mut Sa, env: &mut Env, message_id: u32, message: &mut Incoming) -> Verdict {
        let inner = match message.open(sa.ids, &self.keys) {
            Ok((first, inner)) => parse_chain(first, inner),
            Err(reason) => {
                env.ignored(reason);
                sa.phase = Phase::ExpectAuthResponse(Box::new(self));
                return Verdict::Alive;
            }
        };
        sa.window.outstanding = None;
        env.last_inbound = env.now;
        let Ok(payloads) = inner else {
            return Verdict::Over(Reason::InvalidSyntax);
        };
        let error = error_in(&payloads);
        let notice = error.map(|(_, reason)| reason);
        env.received(ExchangeType::IkeAuth, message_id, true, notice);
        let parts = Parts::of(&payloads, false);
        if parts.claim.auth.is_none() {
            return Verdict::Over(notice.unwrap_or(Reason::InvalidSyntax));
        }
        if unknown_critical(&payloads).is_some() {
            return Verdict::Over(Reason::UnsupportedCriticalPayload);
        }
        let covered = (&self.init_response[..], &self.nonces.0[..], &self.int_auth[..]);
        let verified = parts.claim.verify(env, &self.keys, false, covered);
        let (spi_in, nonces) = (self.spi_in, self.nonces);
        establish(sa, env, self.keys);
        if let Err(reason) = verified {
            // The responder believes in an IKE_SA; tell it once (RFC 7296 section 2.21.2).
            let notify = Notify::new(NotifyType::AuthenticationFailed, &[]);
            let exchange = ExchangeType::Informational;
            sa.request(env, exchange, Task::Notice, &[Payload::Notify(notify)]);
            return Verdict::Over(reason);
        }
        reauth::told(sa, env, &payloads);
        mobike::agree(sa, env, Role::Initiator, &payloads);
        env.enter(SaKind::Ike, State::Up, Reason::Authenticated);
        env.because = Reason::Authenticated;
        match notice {
            Some(reason) => child::recreate_later(sa, env, reason),
            None => {
                let read = child::read_first(sa, env, spi_in, &nonces, &parts.child());
                if let Err(reason) = read {
                    // The responder has installed what this end cannot use.
                    sa.window.queue.push_back(Job::DeleteChild { spi_in });
                    child::recreate_later(sa, env, reason);
                }
            }
        }
        Verdict::Up
    }
}

impl<'a> Parts<'a> {
    fn child(&self) -> child::Parts<'a> {
        child::Parts {
            proposals: self.proposals.unwrap_or_default(),
            ts_i: self.ts_i.unwrap_or_default(),
            ts_r: self.ts_r.unwrap_or_default(),
            ..child::Parts::default()
        }
    }
}

impl ExpectAuthRequest {
    /// True if this is the IKE_SA_INIT request again and its response is still the last one.
    pub fn is_repeated(&self, init_request: &[u8]) -> bool {
        let later = self.passed.as_ref().is_some_and(|passed| passed.before.is_some());
        !later && self.init_request == init_request
    }

    /// Reads the request: an authentic one of the right peer goes on to [`Authenticated::finish`].
    pub fn read(
        self,
        sa: &mut Sa,
        env: &mut Env,
        message_id: u32,
        message: &mut Incoming,
    ) -> Result<Authenticated, Verdict> {
        let inner = match message.open(sa.ids, &self.keys) {
            Ok((first, inner)) => parse_chain(first, inner),
            Err(reason) => {
                env.ignored(reason);
                sa.phase = Phase::ExpectAuthRequest(Box::new(self));
                return Err(Verdict::Alive);
            }
        };
        env.received(ExchangeType::IkeAuth, message_id, false, None);
        let (init_response, int_auth) = match &self.passed {
            Some(passed) => (passed.init_response.clone(), passed.transcript.int_auth(message_id)),
            None => (sa.window.stored_whole(), Vec::new()),
        };
        let Ok(payloads) = inner else {
            return Err(self.fail(sa, env, message_id, NotifyType::InvalidSyntax, &[]));
        };
        if let Some(kind) = unknown_critical(&payloads) {
            let notify = NotifyType::UnsupportedCriticalPayload;
            return Err(self.fail(sa, env, message_id, notify, &[kind]));
        }
        let parts = Parts::of(&payloads, true);
        let verified = parts.claim.verify(env, &self.keys, true, (&self.init_request, &self.nonces.1, &int_auth));
        if let Err(reason) = verified {
            // The peer hears AUTHENTICATION_FAILED, whichever it was (RFC 7296 section 2.21.2).
            self.fail(sa, env, message_id, NotifyType::AuthenticationFailed, &[]);
            return Err(Verdict::Linger(reason));
        }
        mobike::agree(sa, env, Role::Responder, &payloads);
        if mobike::is_translated(sa, env, &payloads) {
            return Err(self.fail(sa, env, message_id, NotifyType::UnexpectedNatDetected, &[]));
        }
        env.last_inbound = env.now;
        let mut peer = self.peer;
        peer.pss = parts.claim.is_pss();
        let proof = proof::prove(env, &self.keys, false, (&init_response, &self.nonces.0, &int_auth), &peer);
        Ok(Authenticated {
            proof,
            message_id,
            proposals: parts.proposals.unwrap_or_default().to_vec(),
            ts_i: parts.ts_i.unwrap_or_default().to_vec(),
            ts_r: parts.ts_r.unwrap_or_default().to_vec(),
            initial_contact: parts.initial_contact,
            keys: self.keys,
            nonces: self.nonces,
        })
    }

    fn fail(self, sa: &mut Sa, env: &mut Env, message_id: u32, kind: NotifyType, data: &[u8]) -> Verdict {
        fail(sa, env, self.keys, (ExchangeType::IkeAuth, message_id), kind, data)
    }
}

/// A responder refuses under protection. The SA is over, but its response may be asked for again.
pub(super) fn fail(
    sa: &mut Sa,
    env: &mut Env,
    keys: IkeKeys,
    (exchange, message_id): (ExchangeType, u32),
    kind: NotifyType,
    data: &[u8],
) -> Verdict {
    establish(sa, env, keys);
    sa.refuse(env, exchange, message_id, kind, data);
    Verdict::Linger(sa::reason_of(kind))
}

impl Authenticated {
    /// Answers with this end's identity and the first CHILD_SA, or with the reason why there is none.
    /// `send_now` says whether the CHILD_SA sends before it is known that the initiator has it.
    pub fn finish(self, sa: &mut Sa, env: &mut Env, send_now: bool) -> Verdict {
        let config = env.config.clone();
        establish(sa, env, self.keys);
        env.enter(SaKind::Ike, State::Up, Reason::Authenticated);
        env.because = Reason::Authenticated;
        let parts =
            child::Parts { proposals: &self.proposals, ts_i: &self.ts_i, ts_r: &self.ts_r, ..child::Parts::default() };
        let answer = child::answer_first(sa, env, &self.nonces, &parts, send_now);
        let moving = mobike::announce(sa, env, false);
        config.local_id.with_id(|id| {
            let mut payloads = vec![Payload::IdR(id)];
            payloads.extend(proof::certificates(&config));
            payloads.push(self.proof.payload());
            match answer {
                Ok(answer) => payloads.extend([
                    Payload::Sa(vec![answer.proposal]),
                    Payload::TsI(answer.ts_i),
                    Payload::TsR(answer.ts_r),
                ]),
                Err(refusal) => {
                    env.because = refusal.reason();
                    payloads.push(Payload::Notify(Notify::new(refusal.kind(), &[])));
                }
            }
            let lifetime = reauth::lifetime(env);
            payloads.extend(lifetime.iter().map(|data| Payload::Notify(Notify::new(NotifyType::AuthLifetime, data))));
            payloads.extend(moving.payloads());
            sa.respond(env, ExchangeType::IkeAuth, self.message_id, &payloads);
        });
        Verdict::Up
    }
}

/// The SA has both sets of keys and no use for IKE_SA_INIT any more.
fn establish(sa: &mut Sa, env: &mut Env, keys: IkeKeys) {
    sa.phase = Phase::Established(Box::new(Established::new(env, keys)));
}
