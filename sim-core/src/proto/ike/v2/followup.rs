//! IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): the additional key exchanges of a CREATE_CHILD_SA, both sides.
//!
//! ```text
//! HDR, SK {SA, Ni, KEi(0), ...}  -->                          CREATE_CHILD_SA
//!                                <--  HDR, SK {SA, Nr, KEr(0), ..., N(ADDITIONAL_KEY_EXCHANGE)(link 1)}
//! HDR, SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)(link 1)}  -->   IKE_FOLLOWUP_KE
//!                                <--  HDR, SK {KEr(1), N(ADDITIONAL_KEY_EXCHANGE)(link 2)}
//! HDR, SK {KEi(2), N(ADDITIONAL_KEY_EXCHANGE)(link 2)}  -->
//!                                <--  HDR, SK {KEr(2)}        only after this are there SAs
//! ```
//!
//! The initiator's progress is part of its task, the responder's is [`Pending`]. A link is the Message ID of the request that it
//! answers, which no other has in the same IKE_SA. If both ends rekey at once, the exchange with the lowest nonce is not followed
//! up, because there is nothing to delete yet; once an end follows up, it refuses the other's request with TEMPORARY_FAILURE.
//!
//! Left out: several such chains of one initiator at a time. A new CREATE_CHILD_SA abandons the one before, whose link is then
//! answered with STATE_NOT_FOUND.

use super::create::{self, PendingChild};
use super::env::Env;
use super::rekey::{self, PendingIke};
use super::sa::{Sa, Verdict};
use super::task::Task;
use super::transition::SaState;
use crate::crypto::exchange::{Method, Offer};
use crate::reason::Reason;
use crate::time::{Duration, Instant};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload};

const EXCHANGE: ExchangeType = ExchangeType::IkeFollowupKe;

/// An initiator that has not gone on in this time has given up: longer than the default series of retransmissions, 165 s.
const PATIENCE: Duration = Duration::from_secs(180);

/// How far the initiator has come.
#[derive(Clone, Hash, Debug)]
pub(super) struct Progress {
    offer: Offer,
    /// Methods of the exchanges after this one, the last one first.
    left: Vec<Method>,
    /// SK(1) | SK(2) | ...
    pub secrets: Vec<u8>,
}

impl Progress {
    /// Begins with the first of these methods, the last one first. `None` if there is none.
    pub fn begin(env: &mut Env, mut rounds: Vec<Method>) -> Option<Self> {
        let offer = Offer::generate(rounds.pop()?, &mut env.secrets);
        Some(Self { offer, left: rounds, secrets: Vec::new() })
    }

    /// The Key Exchange payload's method and data.
    pub fn ke(&self) -> (u16, Vec<u8>) {
        (self.offer.method().id(), self.offer.public().to_vec())
    }

    /// Reads a response: the link of the next exchange, or none if this was the last one.
    pub fn read(&mut self, env: &mut Env, payloads: &[Payload<'_>]) -> Result<Option<Vec<u8>>, Reason> {
        let data = data(payloads, self.offer.method()).ok_or(Reason::InvalidSyntax)?;
        let secret = self.offer.finish(data).ok_or(Reason::InvalidSyntax)?;
        self.secrets.extend_from_slice(&secret);
        match (self.left.pop(), link(payloads)) {
            (Some(method), Some(link)) => {
                self.offer = Offer::generate(method, &mut env.secrets);
                Ok(Some(link.to_vec()))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(Reason::InvalidSyntax),
        }
    }
}

/// Sends the initiator's next request.
pub(super) fn send(sa: &mut Sa, env: &mut Env, task: Task, (group, data): (u16, Vec<u8>), link: &[u8]) {
    let notify = Notify::new(NotifyType::AdditionalKeyExchange, link);
    sa.request(env, EXCHANGE, task, &[Payload::Ke { group, data: &data }, Payload::Notify(notify)]);
}

/// The data of ADDITIONAL_KEY_EXCHANGE.
pub(super) fn link<'a>(payloads: &[Payload<'a>]) -> Option<&'a [u8]> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Notify(n) if n.kind == NotifyType::AdditionalKeyExchange => Some(n.data),
        _ => None,
    })
}

/// What a responder has agreed to and not made yet.
#[derive(Clone, Hash, Debug)]
pub(super) struct Pending {
    link: [u8; 4],
    /// Methods of the exchanges to come, the last one first; not empty.
    left: Vec<Method>,
    secrets: Vec<u8>,
    what: What,
    since: Instant,
}

/// What it will be.
#[derive(Clone, Hash, Debug)]
pub(super) enum What {
    Child(PendingChild),
    Ike(PendingIke),
}

impl Pending {
    /// Waits for the follow-up of the request with this Message ID, and for these methods (the last one first).
    pub fn new(env: &Env, id: u32, left: Vec<Method>, what: What) -> Self {
        Self { link: id.to_be_bytes(), left, secrets: Vec::new(), what, since: env.now }
    }

    /// The responder's ADDITIONAL_KEY_EXCHANGE.
    pub fn notify(&self) -> Payload<'_> {
        Payload::Notify(Notify::new(NotifyType::AdditionalKeyExchange, &self.link))
    }

    /// True if the peer may still be at the replacement of this CHILD_SA, or of the IKE_SA.
    pub fn is_replacing(&self, spi_in: Option<u32>, now: Instant) -> bool {
        let same = match &self.what {
            What::Child(child) => spi_in.is_some() && child.replaces == spi_in,
            What::Ike(_) => spi_in.is_none(),
        };
        same && now.since(self.since) < PATIENCE
    }
}

/// Answers a request.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, payloads: &[Payload<'_>]) -> Verdict {
    if sa.state() != SaState::Established {
        sa.refuse(env, EXCHANGE, id, NotifyType::TemporaryFailure, &[]);
        return Verdict::Alive;
    }
    let Some(link) = link(payloads) else { return nonsense(sa, env, id) };
    let pending = sa.established_mut().and_then(|e| e.pending.take_if(|pending| pending.link == *link));
    let Some(mut pending) = pending else {
        sa.refuse(env, EXCHANGE, id, NotifyType::StateNotFound, &[]);
        return Verdict::Alive;
    };
    let answer = pending.left.pop().and_then(|method| {
        let (data, secret) = method.answer(data(payloads, method)?, &mut env.secrets)?;
        Some((method, data, secret))
    });
    let Some((method, data, secret)) = answer else { return nonsense(sa, env, id) };
    pending.secrets.extend_from_slice(&secret);
    let ke = Payload::Ke { group: method.id(), data: &data };
    if !pending.left.is_empty() {
        (pending.link, pending.since) = (id.to_be_bytes(), env.now);
        sa.respond(env, EXCHANGE, id, &[ke, pending.notify()]);
        if let Some(established) = sa.established_mut() {
            established.pending = Some(pending);
        }
        return Verdict::Alive;
    }
    let Pending { secrets, what, .. } = *pending;
    let made = match what {
        What::Child(child) => create::make(sa, env, child, &secrets).map(|()| Verdict::Alive),
        What::Ike(ike) => rekey::make(sa, env, ike, &secrets),
    };
    match made {
        Ok(verdict) => {
            sa.respond(env, EXCHANGE, id, &[ke]);
            verdict
        }
        // The SA to replace has gone, or this end is at something that stands in the way (RFC 7296 section 2.25).
        Err(refusal) => {
            sa.refuse(env, EXCHANGE, id, refusal.kind(), &[]);
            Verdict::Alive
        }
    }
}

/// Both ends are done with it (RFC 7296 section 2.21.3).
fn nonsense(sa: &mut Sa, env: &mut Env, id: u32) -> Verdict {
    sa.refuse(env, EXCHANGE, id, NotifyType::InvalidSyntax, &[]);
    Verdict::Linger(Reason::InvalidSyntax)
}

/// The Key Exchange Data, if there is any of this method.
pub(super) fn data<'a>(payloads: &[Payload<'a>], method: Method) -> Option<&'a [u8]> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Ke { group, data } if *group == method.id() => Some(*data),
        _ => None,
    })
}
