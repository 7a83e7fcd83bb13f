//! IKE_SA_INIT (RFC 7296 section 1.2), both sides: suites, key exchange, nonces, NAT detection.
//!
//! ```text
//! HDR, SAi1, KEi, Ni, N(NATD) x 2  -->
//!                                  <--  HDR, SAr1, KEr, Nr, N(NATD) x 2
//! with certificates both say N(SIGNATURE_HASH_ALGORITHMS), and the responder sends CERTREQ
//! or                               <--  HDR, N(INVALID_KE_PAYLOAD) | N(NO_PROPOSAL_CHOSEN) | ...
//! or                               <--  HDR, N(COOKIE)
//! HDR, N(COOKIE), SAi1, ...        -->
//! ```

use std::borrow::Cow;

use super::MAX_COOKIES;
use super::auth::ExpectAuthRequest;
use super::cookie;
use super::env::{self, Env, NONCE_LEN};
use super::fragment::{self, Outgoing};
use super::intermediate::{self, Opening, Passed, Transcript};
use super::mobike;
use super::nat;
use super::proof;
use super::sa::{self, Ids, Path, Phase, Sa, Verdict, error_in, unknown_critical};
use super::task::Task;
use super::window::Window;
use crate::crypto::dh::{DhGroup, DhPrivate};
use crate::proto::ike::keys::IkeKeys;
use crate::proto::ike::{Datagram, IkeKeyLog, Output, PORT, proposal};
use crate::reason::{DropReason, Reason, Step};
use crate::rng::Rng;
use crate::wire::ike::{Builder, ExchangeType, Flags, Header, Message, Notify, NotifyType, Payload, Proposal, Spi};

/// A cookie is 1 to 64 octets (RFC 7296 section 2.6).
const MAX_COOKIE_LEN: usize = 64;

/// The initiator has sent IKE_SA_INIT.
#[derive(Clone, Hash, Debug)]
pub(super) struct ExpectInitResponse {
    nonce: [u8; NONCE_LEN],
    dh: DhPrivate,
    /// Groups that the responder has turned down.
    refused: Vec<DhGroup>,
    /// What the responder wants to see first in each request (RFC 7296 section 2.6).
    cookie: Option<Vec<u8>>,
    /// How often it has asked.
    cookies: u32,
}

/// Begins an IKE_SA. `None` if the configuration offers no group.
pub(super) fn initiate(env: &mut Env, purpose: Reason) -> Option<Sa> {
    let group = *env.config.ike_offers.first()?.groups.first()?;
    // In one go, because a stream that is thrown seldom is found anew each time.
    let draws = |rng: &mut Rng| (env::ike_spi(rng), env::nonce(rng), DhPrivate::generate(group, rng));
    let (spi_i, nonce, dh) = env.secrets.draw(draws);
    let ids = Ids { initiator: true, spi_i, spi_r: 0 };
    env.connecting(purpose);
    let path = Path { local_port: PORT, remote: (env.remote, PORT), local_nat: false, remote_nat: false };
    let expect = ExpectInitResponse { nonce, dh, refused: Vec::new(), cookie: None, cookies: 0 };
    let mut sa = Sa {
        ids,
        path,
        window: Window::default(),
        fragment_size: None,
        assembly: [None, None],
        phase: Phase::Over,
        purpose,
        begun: env.now,
        up: false,
        mobike: None,
    };
    send_request(&mut sa, env, expect);
    Some(sa)
}

fn send_request(sa: &mut Sa, env: &mut Env, expect: ExpectInitResponse) {
    let header = sa.ids.header(ExchangeType::IkeSaInit, false, 0);
    let hashes = nat::hashes(env, (sa.ids.spi_i, 0), &sa.path);
    let mut builder = Builder::new(&header);
    if let Some(cookie) = &expect.cookie {
        builder.push(&Payload::Notify(Notify::new(NotifyType::Cookie, cookie)));
    }
    builder
        .push(&Payload::Sa(proposal::offer_ike(&env.config, Spi::EMPTY)))
        .push(&Payload::Ke { group: expect.dh.group().id(), data: expect.dh.public() })
        .push(&Payload::Nonce(&expect.nonce));
    let supported = fragment::offer(&env.config).into_iter().chain(intermediate::offer(&env.config));
    for payload in nat::payloads(&hashes).chain(supported) {
        builder.push(&payload);
    }
    proof::announce(&env.config, false, &mut builder);
    sa.window = Window::default();
    let message = Outgoing::Whole(builder.finish());
    sa.send_request(env, ExchangeType::IkeSaInit, Task::Handshake, message);
    sa.phase = Phase::ExpectInitResponse(Box::new(expect));
}

/// What both sides need of the peer's message.
struct Parts<'a> {
    proposals: &'a [Proposal],
    group: u16,
    public: &'a [u8],
    nonce: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(payloads: &'a [Payload<'a>]) -> Option<Self> {
        let (mut sa, mut ke, mut nonce) = (None, None, None);
        for payload in payloads {
            match payload {
                Payload::Sa(proposals) => sa = Some(proposals),
                Payload::Ke { group, data } => ke = Some((*group, *data)),
                Payload::Nonce(data) => nonce = Some(*data),
                _ => {}
            }
        }
        let (group, public) = ke?;
        Some(Self { proposals: sa?, group, public, nonce: nonce? })
    }
}

impl ExpectInitResponse {
    /// Reads the response. What does not fit is ignored, because anybody can forge it; a refusal ends the attempt.
    pub fn read(self, sa: &mut Sa, env: &mut Env, header: &Header, datagram: Datagram) -> Verdict {
        let Ok(message) = Message::parse(&datagram.bytes) else {
            return self.stay(sa, env, DropReason::Malformed);
        };
        if let Some((notify, reason)) = error_in(&message.payloads) {
            env.received(ExchangeType::IkeSaInit, 0, true, Some(reason));
            return match notify.kind {
                NotifyType::InvalidKePayload => self.retry(sa, env, notify.data),
                _ => Verdict::Over(reason),
            };
        }
        let Some(parts) = Parts::of(&message.payloads).filter(|_| header.spi_r != 0) else {
            return match message.payloads.first() {
                Some(Payload::Notify(n)) if n.kind == NotifyType::Cookie => self.show(sa, env, n.data),
                _ => self.stay(sa, env, DropReason::Malformed),
            };
        };
        if unknown_critical(&message.payloads).is_some() {
            return Verdict::Over(Reason::UnsupportedCriticalPayload);
        }
        let Some((suite, _)) = proposal::accept_ike(&env.config, parts.proposals) else {
            return Verdict::Over(Reason::NoProposalChosen);
        };
        if parts.group != self.dh.group().id() || suite.group != self.dh.group() {
            return self.stay(sa, env, DropReason::Malformed);
        }
        let Ok(shared) = self.dh.agree(parts.public) else {
            return self.stay(sa, env, DropReason::Malformed);
        };
        let rounds = parts.proposals.first().map(proposal::rounds).unwrap_or_default();
        if !rounds.is_empty() && !intermediate::is_supported(&message.payloads) {
            // Additional key exchanges are agreed on, and there is no exchange for them (RFC 9370 section 2.2.1).
            return Verdict::Over(Reason::InvalidSyntax);
        }
        env.received(ExchangeType::IkeSaInit, 0, true, None);
        sa.ids.spi_r = header.spi_r;
        let spis = (sa.ids.spi_i, sa.ids.spi_r);
        let keys = IkeKeys::derive(suite, (&self.nonce, parts.nonce), &shared, spis);
        log_keys(env, sa.ids, &keys);
        if nat::detect(env, spis, &mut sa.path, &message.payloads) {
            env.step(Step::NatDetected, 0, true, None);
            sa.path.float();
        } else if env.config.mobike.is_some() && nat::is_traversed_by_both(env, &message.payloads) {
            // RFC 4555 section 3.3: there may be one on the next path.
            sa.path.float();
        }
        mobike::note_own_address(env, &message.payloads);
        sa.fragment_size = fragment::agreed(&env.config, &message.payloads);
        let request = sa.window.outstanding.take().map(|r| r.message.into_whole());
        let nonces = (self.nonce.to_vec(), parts.nonce.to_vec());
        let peer = proof::Taste::of(&message.payloads);
        let (request, transcript) = (request.unwrap_or_default(), Transcript::default());
        let opening = Opening { keys, request, response: datagram.bytes.clone(), nonces, peer, transcript };
        intermediate::proceed(sa, env, opening, rounds);
        Verdict::Alive
    }

    fn stay(self, sa: &mut Sa, env: &mut Env, reason: DropReason) -> Verdict {
        env.ignored(reason);
        sa.phase = Phase::ExpectInitResponse(Box::new(self));
        Verdict::Alive
    }

    /// RFC 7296 section 2.6: the same request again, with the cookie in front.
    fn show(mut self, sa: &mut Sa, env: &mut Env, cookie: &[u8]) -> Verdict {
        if cookie.is_empty() || cookie.len() > MAX_COOKIE_LEN || self.cookies == MAX_COOKIES {
            return self.stay(sa, env, DropReason::UnexpectedMessage);
        }
        env.received(ExchangeType::IkeSaInit, 0, true, None);
        self.cookie = Some(cookie.to_vec());
        self.cookies += 1;
        send_request(sa, env, self);
        Verdict::Alive
    }

    /// RFC 7296 section 1.2: the same full list of suites again, with a value of the group that the responder asks for.
    fn retry(mut self, sa: &mut Sa, env: &mut Env, data: &[u8]) -> Verdict {
        let wanted =
            data.try_into().ok().and_then(|octets| DhGroup::from_id(u16::from_be_bytes(octets))).filter(|group| {
                let mut offers = env.config.ike_offers.iter();
                offers.any(|offer| offer.groups.contains(group))
            });
        self.refused.push(self.dh.group());
        let Some(group) = wanted.filter(|group| !self.refused.contains(group)) else {
            return Verdict::Over(Reason::InvalidKe);
        };
        self.dh = DhPrivate::generate(group, &mut env.secrets);
        send_request(sa, env, self);
        Verdict::Alive
    }
}

/// Answers an IKE_SA_INIT request: a new IKE_SA, or a refusal that leaves no state behind.
pub(super) fn respond(env: &mut Env, header: &Header, datagram: Datagram) -> Option<Sa> {
    let mut sa = Sa {
        ids: Ids { initiator: false, spi_i: header.spi_i, spi_r: 0 },
        path: Path { local_port: datagram.local.1, remote: datagram.remote, local_nat: false, remote_nat: false },
        window: Window::default(),
        fragment_size: None,
        assembly: [None, None],
        phase: Phase::Over,
        purpose: Reason::PeerInitiated,
        begun: env.now,
        up: false,
        mobike: None,
    };
    env.received(ExchangeType::IkeSaInit, 0, false, None);
    match accept(&mut sa, env, &datagram) {
        Ok(()) => Some(sa),
        Err((kind, data)) => {
            let header = sa.ids.header(ExchangeType::IkeSaInit, true, 0);
            refuse(env, &header, &sa.path, kind, &data);
            None
        }
    }
}

fn accept(sa: &mut Sa, env: &mut Env, datagram: &Datagram) -> Result<(), (NotifyType, Vec<u8>)> {
    let refusal = |kind: NotifyType| (kind, Vec::new());
    let message = Message::parse(&datagram.bytes).ok();
    let message = message.ok_or(refusal(NotifyType::InvalidSyntax))?;
    if let Some(kind) = unknown_critical(&message.payloads) {
        return Err((NotifyType::UnsupportedCriticalPayload, vec![kind]));
    }
    let parts = Parts::of(&message.payloads).ok_or(refusal(NotifyType::InvalidSyntax))?;
    let intermediate = intermediate::offer(&env.config).filter(|_| intermediate::is_supported(&message.payloads));
    let proposals = match intermediate {
        Some(_) => Cow::Borrowed(parts.proposals),
        None => proposal::without_rounds(parts.proposals),
    };
    let chosen = proposal::choose_ike(&env.config, &proposals);
    let (suite, accepted) = chosen.ok_or(refusal(NotifyType::NoProposalChosen))?;
    let rounds = proposal::rounds(&accepted);
    if parts.group != suite.group.id() {
        let wanted = suite.group.id().to_be_bytes().to_vec();
        return Err((NotifyType::InvalidKePayload, wanted));
    }
    let draws = |rng: &mut Rng| (DhPrivate::generate(suite.group, rng), env::ike_spi(rng), env::nonce(rng));
    let (dh, spi_r, nonce) = env.secrets.draw(draws);
    let shared = dh.agree(parts.public).map_err(|_| refusal(NotifyType::InvalidSyntax))?;
    if nat::detect(env, (sa.ids.spi_i, 0), &mut sa.path, &message.payloads) {
        env.step(Step::NatDetected, 0, false, None);
    }
    sa.ids.spi_r = spi_r;
    let spis = (sa.ids.spi_i, sa.ids.spi_r);
    let keys = IkeKeys::derive(suite, (parts.nonce, &nonce), &shared, spis);
    log_keys(env, sa.ids, &keys);
    let header = sa.ids.header(ExchangeType::IkeSaInit, true, 0);
    let hashes = nat::hashes(env, spis, &sa.path);
    let mut builder = Builder::new(&header);
    builder
        .push(&Payload::Sa(vec![accepted]))
        .push(&Payload::Ke { group: suite.group.id(), data: dh.public() })
        .push(&Payload::Nonce(&nonce));
    sa.fragment_size = fragment::agreed(&env.config, &message.payloads);
    let supported = fragment::offer(&env.config).filter(|_| sa.fragment_size.is_some());
    for payload in nat::payloads(&hashes).chain(supported).chain(intermediate) {
        builder.push(&payload);
    }
    proof::announce(&env.config, true, &mut builder);
    let response = builder.finish();
    env.connecting(Reason::PeerInitiated);
    env.sent(ExchangeType::IkeSaInit, 0, true, None);
    env.transmit(&sa.path, response.clone());
    let passed = (!rounds.is_empty()).then(|| {
        let (init_response, transcript) = (response.clone(), Transcript::default());
        Box::new(Passed { init_response, transcript, before: None })
    });
    sa.window = Window::after_init(response);
    let auth = ExpectAuthRequest {
        keys,
        init_request: datagram.bytes.clone(),
        nonces: (parts.nonce.to_vec(), nonce.to_vec()),
        peer: proof::Taste::of(&message.payloads),
        passed,
    };
    sa.phase = intermediate::await_request(Box::new(auth), rounds);
    Ok(())
}

/// Asks the sender of an IKE_SA_INIT request for a cookie. `false` if the request is not worth it.
pub(super) fn ask_for_cookie(env: &mut Env, header: &Header, message: &Message<'_>, datagram: &Datagram) -> bool {
    let Some(cookie) = cookie::bake(env, message, datagram.remote.0) else { return false };
    env.received(ExchangeType::IkeSaInit, 0, false, None);
    let mut builder = Builder::new(&stray_header(header));
    builder.push(&Payload::Notify(Notify::new(NotifyType::Cookie, &cookie)));
    env.sent(ExchangeType::IkeSaInit, 0, true, None);
    let path = Path { local_port: datagram.local.1, remote: datagram.remote, local_nat: false, remote_nat: false };
    env.transmit(&path, builder.finish());
    true
}

/// Sends a response without protection that carries one error notification.
pub(super) fn refuse(env: &mut Env, header: &Header, path: &Path, kind: NotifyType, data: &[u8]) {
    let mut builder = Builder::new(header);
    builder.push(&Payload::Notify(Notify::new(kind, data)));
    let notice = Some(sa::reason_of(kind));
    env.sent(header.exchange, header.message_id, true, notice);
    env.transmit(path, builder.finish());
}

/// The header of an unprotected answer to `request` outside of any IKE_SA (RFC 7296 sections 1.5 and 2.5).
pub(super) fn stray_header(request: &Header) -> Header {
    let flags = Flags { initiator: !request.flags.initiator, response: true, ..Flags::default() };
    let (spi_i, spi_r) = (request.spi_i, request.spi_r);
    Header::v2(spi_i, spi_r, request.exchange, flags, request.message_id)
}

/// Tells the owner of the keys of an IKE_SA.
pub(super) fn log_keys(env: &mut Env, ids: Ids, keys: &IkeKeys) {
    env.out.push_back(Output::IkeKeys(Box::new(IkeKeyLog {
        spi_i: ids.spi_i,
        spi_r: ids.spi_r,
        suite: keys.suite,
        sk_ei: keys.initiator.encryption_key().clone(),
        sk_er: keys.responder.encryption_key().clone(),
        sk_ai: keys.initiator.integrity_key().clone(),
        sk_ar: keys.responder.integrity_key().clone(),
    })));
}
