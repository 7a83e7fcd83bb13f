//! IKE_INTERMEDIATE (RFC 9242), both sides: between IKE_SA_INIT and IKE_AUTH, one exchange for each additional key exchange that
//! was agreed on (RFC 9370 section 2.2.2).
//!
//! ```text
//! HDR, SK {KEi(n)}  -->      protected with the keys of round n-1
//!                   <--  HDR, SK {KEr(n)}
//! SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr), and all SK_* anew from it
//! ```
//!
//! It is protected, so it travels in fragments where IKE_SA_INIT could not: that is what it is for. AUTH covers it by IntAuth
//! (RFC 9242 section 3.3.2), each message with the SK_p of before its exchange. An error notification ends the attempt.
//!
//! Left out: other uses of the exchange than key exchanges; the initiator tells a responder whose Key Exchange Data it cannot use
//! nothing, and that one forgets it.

use super::auth::{self, ExpectAuthRequest};
use super::env::Env;
use super::followup::data;
use super::fragment::Incoming;
use super::init::log_keys;
use super::proof::Taste;
use super::sa::{self, Phase, Sa, Verdict, error_in, unknown_critical};
use super::task::Task;
use crate::crypto::Secret;
use crate::crypto::exchange::{Method, Offer};
use crate::proto::ike::config::Config;
use crate::proto::ike::keys::IkeKeys;
use crate::reason::Reason;
use crate::wire::ike::{Builder, ExchangeType, Header, Notify, NotifyType, Payload, parse_chain};

const EXCHANGE: ExchangeType = ExchangeType::IkeIntermediate;

/// INTERMEDIATE_EXCHANGE_SUPPORTED, if this end has a use for it.
pub(super) fn offer(config: &Config) -> Option<Payload<'static>> {
    let wanted = config.ike_offers.iter().any(|offer| !offer.additional.is_empty());
    wanted.then_some(Payload::Notify(Notify::new(NotifyType::IntermediateExchangeSupported, &[])))
}

/// True if the peer supports the exchange.
pub(super) fn is_supported(payloads: &[Payload<'_>]) -> bool {
    let says = |p: &Payload<'_>| matches!(p, Payload::Notify(n) if n.kind == NotifyType::IntermediateExchangeSupported);
    payloads.iter().any(says)
}

/// What AUTH covers of the exchanges: IntAuth_iN and IntAuth_rN (RFC 9242 section 3.3.2), both empty before the first.
#[derive(Clone, Hash, Debug, Default)]
pub(super) struct Transcript {
    initiator: Secret,
    responder: Secret,
}

impl Transcript {
    /// Adds a message: its octets as if neither IV, padding nor ICV were in it.
    fn add(&mut self, keys: &IkeKeys, from_initiator: bool, octets: &[u8]) {
        let whose = if from_initiator { &mut self.initiator } else { &mut self.responder };
        *whose = keys.int_auth(from_initiator, whose, octets);
    }

    /// IntAuth: IntAuth_iN | IntAuth_rN | Message ID of IKE_AUTH. Empty if there was no exchange.
    pub fn int_auth(&self, auth_id: u32) -> Vec<u8> {
        if self.initiator.is_empty() {
            return Vec::new();
        }
        [&self.initiator[..], &self.responder, &auth_id.to_be_bytes()].concat()
    }
}

/// The octets that IntAuth covers of a message of this end: header and payloads in clear, with lengths that count nothing else.
fn covered(header: &Header, payloads: &[Payload<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(header);
    builder.begin_sk();
    for payload in payloads {
        builder.push(payload);
    }
    let unsealed = builder.finish_sk(|inner| inner);
    [unsealed.message, unsealed.inner].concat()
}

/// What IKE_SA_INIT leaves to the initiator's IKE_AUTH.
#[derive(Clone, Hash, Debug)]
pub(super) struct Opening {
    pub keys: IkeKeys,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    /// Ni and Nr.
    pub nonces: (Vec<u8>, Vec<u8>),
    pub peer: Taste,
    pub transcript: Transcript,
}

/// The initiator has sent IKE_INTERMEDIATE.
#[derive(Clone, Hash, Debug)]
pub(super) struct ExpectIntermediateResponse {
    pub opening: Opening,
    offer: Offer,
    /// Methods of the exchanges after this one, the last one first.
    left: Vec<Method>,
}

/// The initiator's next message: IKE_INTERMEDIATE while a method is left, then IKE_AUTH.
pub(super) fn proceed(sa: &mut Sa, env: &mut Env, mut opening: Opening, mut left: Vec<Method>) {
    let Some(method) = left.pop() else { return auth::send_request(sa, env, opening) };
    let offer = Offer::generate(method, &mut env.secrets);
    let header = sa.ids.header(EXCHANGE, false, sa.window.next_id());
    let payloads = [Payload::Ke { group: method.id(), data: offer.public() }];
    let message = sa::seal(sa.ids, sa.limit(), &mut opening.keys, &mut env.secrets, &header, &payloads);
    opening.transcript.add(&opening.keys, true, &covered(&header, &payloads));
    sa.send_request(env, EXCHANGE, Task::Handshake, message);
    sa.phase = Phase::ExpectIntermediateResponse(Box::new(ExpectIntermediateResponse { opening, offer, left }));
}

impl ExpectIntermediateResponse {
    /// Reads the response: an authentic one decides, everything else is ignored.
    pub fn read(self, sa: &mut Sa, env: &mut Env, header: &Header, message: &mut Incoming) -> Verdict {
        let inner = match message.open(sa.ids, &self.opening.keys) {
            Ok((first, inner)) => (first, inner.to_vec()),
            Err(reason) => {
                env.ignored(reason);
                sa.phase = Phase::ExpectIntermediateResponse(Box::new(self));
                return Verdict::Alive;
            }
        };
        sa.window.outstanding = None;
        env.last_inbound = env.now;
        let Ok(payloads) = parse_chain(inner.0, &inner.1) else {
            return Verdict::Over(Reason::InvalidSyntax);
        };
        let error = error_in(&payloads).map(|(_, reason)| reason);
        env.received(EXCHANGE, header.message_id, true, error);
        if let Some(reason) = error {
            return Verdict::Over(reason);
        }
        if unknown_critical(&payloads).is_some() {
            return Verdict::Over(Reason::UnsupportedCriticalPayload);
        }
        let Self { mut opening, offer, left } = self;
        let Some(secret) = data(&payloads, offer.method()).and_then(|data| offer.finish(data)) else {
            return Verdict::Over(Reason::InvalidSyntax);
        };
        opening.transcript.add(&opening.keys, false, &message.covered(header, inner.0, &inner.1));
        opening.keys = stronger(sa, env, &opening.keys, &opening.nonces, &secret);
        proceed(sa, env, opening, left);
        Verdict::Alive
    }
}

/// What a responder has behind it of the exchanges.
#[derive(Clone, Hash, Debug)]
pub(super) struct Passed {
    /// The response to IKE_SA_INIT, which its AUTH signs.
    pub init_response: Vec<u8>,
    pub transcript: Transcript,
    /// The keys of before the last exchange, with which the initiator would repeat its request.
    pub before: Option<IkeKeys>,
}

/// The responder waits for IKE_INTERMEDIATE.
#[derive(Clone, Hash, Debug)]
pub(super) struct ExpectIntermediateRequest {
    /// What IKE_AUTH will need.
    pub auth: Box<ExpectAuthRequest>,
    /// Methods of the exchanges to come, the last one first; not empty.
    left: Vec<Method>,
}

/// What the responder waits for after IKE_SA_INIT: IKE_INTERMEDIATE for each of these methods (the last one first), then IKE_AUTH.
pub(super) fn await_request(auth: Box<ExpectAuthRequest>, left: Vec<Method>) -> Phase {
    if left.is_empty() {
        Phase::ExpectAuthRequest(auth)
    } else {
        Phase::ExpectIntermediateRequest(Box::new(ExpectIntermediateRequest { auth, left }))
    }
}

impl ExpectIntermediateRequest {
    /// Reads the request: an authentic one is answered, everything else is ignored.
    pub fn read(mut self, sa: &mut Sa, env: &mut Env, header: &Header, message: &mut Incoming) -> Verdict {
        let id = header.message_id;
        let inner = match message.open(sa.ids, &self.auth.keys) {
            Ok((first, inner)) => (first, inner.to_vec()),
            Err(reason) => {
                env.ignored(reason);
                sa.phase = Phase::ExpectIntermediateRequest(Box::new(self));
                return Verdict::Alive;
            }
        };
        env.received(header.exchange, id, false, None);
        let keys = self.auth.keys.clone();
        let fail = |sa: &mut Sa, env: &mut Env, kind, octets: &[u8]| {
            auth::fail(sa, env, keys.clone(), (header.exchange, id), kind, octets)
        };
        let Ok(payloads) = parse_chain(inner.0, &inner.1) else {
            return fail(sa, env, NotifyType::InvalidSyntax, &[]);
        };
        if let Some(kind) = unknown_critical(&payloads) {
            return fail(sa, env, NotifyType::UnsupportedCriticalPayload, &[kind]);
        }
        // IKE_AUTH before all that was agreed on is done (RFC 9370 section 2.2.2) has no Key Exchange Data either.
        let method = self.left.pop().filter(|_| header.exchange == EXCHANGE);
        let answer = method.and_then(|method| {
            let (data, secret) = method.answer(data(&payloads, method)?, &mut env.secrets)?;
            Some((method, data, secret))
        });
        let Some((method, data, secret)) = answer else {
            return fail(sa, env, NotifyType::InvalidSyntax, &[]);
        };
        let Self { mut auth, left } = self;
        let reply = sa.ids.header(EXCHANGE, true, id);
        let payloads = [Payload::Ke { group: method.id(), data: &data }];
        let response = sa::seal(sa.ids, sa.limit(), &mut auth.keys, &mut env.secrets, &reply, &payloads);
        let strong = stronger(sa, env, &auth.keys, &auth.nonces, &secret);
        let before = core::mem::replace(&mut auth.keys, strong);
        if let Some(passed) = &mut auth.passed {
            passed.transcript.add(&before, true, &message.covered(header, inner.0, &inner.1));
            passed.transcript.add(&before, false, &covered(&reply, &payloads));
            passed.before = Some(before);
        }
        sa.phase = await_request(auth, left);
        sa.answered(env, EXCHANGE, id, response, None);
        Verdict::Alive
    }
}

/// The keys after an additional key exchange: those of a rekeyed IKE_SA, in the same one (RFC 9370 section 2.2.2).
fn stronger(sa: &Sa, env: &mut Env, keys: &IkeKeys, nonces: &(Vec<u8>, Vec<u8>), secret: &Secret) -> IkeKeys {
    let spis = (sa.ids.spi_i, sa.ids.spi_r);
    let keys = keys.rekeyed(keys.suite, (&nonces.0, &nonces.1), (secret, &[]), spis);
    log_keys(env, sa.ids, &keys);
    keys
}
