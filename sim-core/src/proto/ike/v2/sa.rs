//! One IKE_SA: its SPIs, its path, its window, and the phase it is in.

use super::auth::{ExpectAuthRequest, ExpectAuthResponse};
use super::child::Child;
use super::env::Env;
use super::followup::Pending;
use super::fragment::{Assembly, Incoming, Outgoing, room};
use super::init::ExpectInitResponse;
use super::intermediate::{ExpectIntermediateRequest, ExpectIntermediateResponse};
use super::mobike::{self, Role};
use super::rekey::Succession;
use super::task::{Job, Task};
use super::transition::SaState;
use super::window::{Request, Window};
use crate::fetch::fetch;
use crate::proto::ike::Encapsulation;
use crate::proto::ike::keys::IkeKeys;
pub(super) use crate::proto::ike::path::Path;
use crate::reason::{DropReason, Reason};
use crate::rng::Seldom;
use crate::time::Instant;
use crate::wire::ike::{Builder, ExchangeType, Flags, Header, Notify, NotifyType, Payload, PayloadType};

#[derive(Clone, Hash, Debug)]
pub(super) struct Sa {
    pub ids: Ids,
    pub path: Path,
    pub window: Window,
    pub phase: Phase,
    /// How long the IP packets of its messages may be, if both ends can fragment them (RFC 7383).
    pub fragment_size: Option<u16>,
    /// What has arrived of a fragmented request, and of a fragmented response, of the peer.
    pub assembly: [Option<Box<Assembly>>; 2],
    /// Why this end began it, if it did.
    pub purpose: Reason,
    /// When it began.
    pub begun: Instant,
    /// True once both ends are authenticated; it stays true.
    pub up: bool,
    /// Which end this one is to MOBIKE, if both ends have announced it.
    pub mobike: Option<Role>,
}

impl Sa {
    /// Fetches what a timer will touch, so many steps behind the device.
    pub fn foresee(&self, depth: usize) {
        if depth == 2 {
            fetch(&self.ids);
            fetch(&self.path);
            fetch(&self.window);
            fetch(&self.phase);
        } else if let Phase::Established(established) = &self.phase {
            fetch(&established.keys);
            fetch(&established.children);
            fetch(&established.expires);
        }
    }
}

/// Who an IKE_SA is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ids {
    /// True if this end is the original initiator.
    pub initiator: bool,
    pub spi_i: u64,
    /// Zero until the responder has chosen it.
    pub spi_r: u64,
}

/// What an IKE_SA waits for, with exactly the data that is legal there.
#[derive(Clone, Hash, Debug)]
pub(super) enum Phase {
    ExpectInitResponse(Box<ExpectInitResponse>),
    ExpectIntermediateResponse(Box<ExpectIntermediateResponse>),
    ExpectAuthResponse(Box<ExpectAuthResponse>),
    ExpectIntermediateRequest(Box<ExpectIntermediateRequest>),
    ExpectAuthRequest(Box<ExpectAuthRequest>),
    Established(Box<Established>),
    /// Its heir has taken over; the DELETE is to come.
    Replaced(Box<Established>),
    Deleting(Box<Established>),
    Lingering(Box<IkeKeys>),
    /// Nothing is left to wait for; the SA is removed before anybody looks.
    Over,
}

/// An authenticated IKE_SA.
#[derive(Clone, Hash, Debug)]
pub(super) struct Established {
    pub keys: IkeKeys,
    pub children: Vec<Child>,
    pub since: Instant,
    /// When both ends were authenticated: as IKE_SA, or as the one that it replaces by a rekey.
    pub authenticated: Instant,
    /// True if an IKE_SA that was authenticated later takes its place, and that of its heirs.
    pub superseded: bool,
    pub expires: Instant,
    /// When this end rekeys it, if it does.
    pub rekey: Option<Instant>,
    /// When this end authenticates anew, if it does.
    pub reauth: Option<Instant>,
    /// When to try again to get a CHILD_SA.
    pub retry_child: Option<Instant>,
    /// The IKE_SA that was made to replace it.
    pub heir: Option<Ids>,
    /// What the peer has begun and follows up with additional key exchanges.
    pub pending: Option<Box<Pending>>,
}

impl Established {
    /// An IKE_SA that begins to live.
    pub fn new(env: &mut Env, keys: IkeKeys) -> Self {
        let after = env.ike_rekey_after();
        Self {
            keys,
            children: Vec::new(),
            since: env.now,
            authenticated: env.now,
            superseded: false,
            expires: env.now + env.config.ike_lifetime,
            rekey: env.config.rekey.initiates.then_some(env.now + after),
            reauth: super::reauth::due(env),
            retry_child: None,
            heir: None,
            pending: None,
        }
    }
}

/// What a step means for the SA as a whole.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on.
    Alive,
    /// It has just been established.
    Up,
    /// It is over at once.
    Over(Reason),
    /// It has an heir.
    Succeeded(Box<Sa>, Succession),
    /// The heir that the peer has made takes over.
    Yielded,
    /// It is over, but its last response may have to be repeated.
    Linger(Reason),
}

impl Sa {
    pub fn state(&self) -> SaState {
        match &self.phase {
            Phase::ExpectInitResponse(_) => SaState::ExpectInitResponse,
            Phase::ExpectIntermediateResponse(_) => SaState::ExpectIntermediateResponse,
            Phase::ExpectAuthResponse(_) => SaState::ExpectAuthResponse,
            Phase::ExpectIntermediateRequest(_) => SaState::ExpectIntermediateRequest,
            Phase::ExpectAuthRequest(_) => SaState::ExpectAuthRequest,
            Phase::Established(_) => SaState::Established,
            Phase::Replaced(_) => SaState::Replaced,
            Phase::Deleting(_) => SaState::Deleting,
            Phase::Lingering(_) | Phase::Over => SaState::Lingering,
        }
    }

    pub fn keys(&self) -> Option<&IkeKeys> {
        match &self.phase {
            Phase::ExpectInitResponse(_) | Phase::Over => None,
            Phase::ExpectIntermediateResponse(p) => Some(&p.opening.keys),
            Phase::ExpectAuthResponse(p) => Some(&p.keys),
            Phase::ExpectIntermediateRequest(p) => Some(&p.auth.keys),
            Phase::ExpectAuthRequest(p) => Some(&p.keys),
            Phase::Established(e) | Phase::Replaced(e) | Phase::Deleting(e) => Some(&e.keys),
            Phase::Lingering(keys) => Some(keys),
        }
    }

    /// The keys with which the peer would repeat its last request.
    pub fn repetition_keys(&self) -> Option<&IkeKeys> {
        let auth = match &self.phase {
            Phase::ExpectIntermediateRequest(p) => Some(&p.auth),
            Phase::ExpectAuthRequest(p) => Some(p),
            Phase::ExpectInitResponse(_)
            | Phase::ExpectIntermediateResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::Established(_)
            | Phase::Replaced(_)
            | Phase::Deleting(_)
            | Phase::Lingering(_)
            | Phase::Over => None,
        };
        match auth {
            Some(auth) => auth.passed.as_ref()?.before.as_ref(),
            None => self.keys(),
        }
    }

    /// The SA's established part; also while it is being replaced or deleted.
    pub fn established(&self) -> Option<&Established> {
        match &self.phase {
            Phase::Established(e) | Phase::Replaced(e) | Phase::Deleting(e) => Some(e),
            Phase::ExpectInitResponse(_)
            | Phase::ExpectIntermediateResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::ExpectIntermediateRequest(_)
            | Phase::ExpectAuthRequest(_)
            | Phase::Lingering(_)
            | Phase::Over => None,
        }
    }

    pub fn established_mut(&mut self) -> Option<&mut Established> {
        match &mut self.phase {
            Phase::Established(e) | Phase::Replaced(e) | Phase::Deleting(e) => Some(e),
            Phase::ExpectInitResponse(_)
            | Phase::ExpectIntermediateResponse(_)
            | Phase::ExpectAuthResponse(_)
            | Phase::ExpectIntermediateRequest(_)
            | Phase::ExpectAuthRequest(_)
            | Phase::Lingering(_)
            | Phase::Over => None,
        }
    }

    /// Verifies and deciphers a protected message. The type of the first inner payload, and their chain.
    pub fn open<'a>(&self, message: &'a mut Incoming) -> Result<(PayloadType, &'a [u8]), DropReason> {
        message.open(self.ids, self.keys().ok_or(DropReason::UnexpectedMessage)?)
    }

    /// Octets that an IKE message may have before it is fragmented.
    pub fn limit(&self) -> usize {
        self.fragment_size.map_or(usize::MAX, |packet| room(packet, &self.path))
    }

    /// Answers the peer's request with these payloads, and keeps the response.
    pub fn respond(&mut self, env: &mut Env, exchange: ExchangeType, id: u32, payloads: &[Payload<'_>]) {
        let (ids, limit) = (self.ids, self.limit());
        let Some(established) = self.established_mut() else {
            return;
        };
        let head = ids.header(exchange, true, id);
        let message = seal(ids, limit, &mut established.keys, &mut env.secrets, &head, payloads);
        let notice = error_in(payloads).map(|(_, reason)| reason);
        self.answered(env, exchange, id, message, notice);
    }

    /// Sends a response that is ready, and keeps it.
    pub fn answered(
        &mut self,
        env: &mut Env,
        exchange: ExchangeType,
        id: u32,
        message: Outgoing,
        notice: Option<Reason>,
    ) {
        env.sent(exchange, id, true, notice);
        mobike::send_response(env, &message, &self.path);
        // Nothing more of the request is waited for.
        self.assembly[0] = None;
        self.window.responded(message);
    }

    /// Answers the peer's request with one error notification.
    pub fn refuse(&mut self, env: &mut Env, exchange: ExchangeType, id: u32, kind: NotifyType, data: &[u8]) {
        let notify = Payload::Notify(Notify::new(kind, data));
        self.respond(env, exchange, id, &[notify]);
    }

    /// Sends a protected request of this end.
    pub fn request(&mut self, env: &mut Env, exchange: ExchangeType, task: Task, payloads: &[Payload<'_>]) {
        let (ids, limit, id) = (self.ids, self.limit(), self.window.next_id());
        let Some(established) = self.established_mut() else {
            return;
        };
        let head = ids.header(exchange, false, id);
        let message = seal(ids, limit, &mut established.keys, &mut env.secrets, &head, payloads);
        self.send_request(env, exchange, task, message);
    }

    /// Sends a request that is ready, and arms its retransmission.
    pub fn send_request(&mut self, env: &mut Env, exchange: ExchangeType, task: Task, message: Outgoing) {
        let id = self.window.next_id();
        env.sent(exchange, id, false, None);
        message.send(env, &self.path);
        // Nothing more of the response to the request before is waited for.
        self.assembly[1] = None;
        let schedule = super::liveness::schedule(&env.config, &task);
        let request = Request::new(id, exchange, message, task, env.now, &schedule, &mut env.timers);
        self.window.sent(request);
    }

    /// Does what waits in the queue, if the window allows.
    pub fn pump(&mut self, env: &mut Env) {
        while self.window.outstanding.is_none() && self.established().is_some() {
            let Some(job) = self.window.queue.pop_front() else {
                return;
            };
            match job {
                // The peer was faster.
                Job::CreateChild { policy } if !super::child::lacks(self, policy) => {}
                Job::CreateChild { policy } => super::create::build(self, env, None, policy, None),
                Job::RekeyChild { spi_in } => super::create::build(self, env, Some(spi_in), 0, None),
                Job::RekeyIke => super::rekey::build(self, env, None),
                Job::DeleteChild { spi_in } => super::informational::delete_child(self, env, spi_in),
                Job::DeleteIke(reason) => super::informational::delete_ike(self, env, reason),
                Job::Liveness => mobike::probe(self, env),
                Job::Mobike(wish) => mobike::ask(self, env, wish),
                Job::InvalidSpi { spi } => super::informational::invalid_spi(self, env, spi),
            }
        }
    }

    /// True for a responder's that is not authenticated yet.
    pub fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::ExpectIntermediateRequest(_) | Phase::ExpectAuthRequest(_))
    }

    pub fn is_deleting(&self) -> bool {
        matches!(self.phase, Phase::Deleting(_))
    }

    /// True if a DELETE of the IKE_SA waits in the queue.
    pub fn wants_delete(&self) -> bool {
        let mut jobs = self.window.queue.iter();
        jobs.any(|job| matches!(job, Job::DeleteIke(_)))
    }

    /// How ESP of this IKE_SA travels.
    pub fn encapsulation(&self) -> Option<Encapsulation> {
        self.path.encapsulation()
    }
}

impl Ids {
    pub fn header(self, exchange: ExchangeType, response: bool, id: u32) -> Header {
        let flags = Flags { initiator: self.initiator, response, ..Flags::default() };
        Header::v2(self.spi_i, self.spi_r, exchange, flags, id)
    }
}

/// Builds and seals a message of this end, in fragments if it has more octets than `limit`.
pub(super) fn seal(
    ids: Ids,
    limit: usize,
    keys: &mut IkeKeys,
    rng: &mut Seldom,
    header: &Header,
    payloads: &[Payload<'_>],
) -> Outgoing {
    let mut builder = Builder::new(header);
    builder.begin_sk();
    for payload in payloads {
        builder.push(payload);
    }
    let keys = if ids.initiator { &mut keys.initiator } else { &mut keys.responder };
    let unsealed = builder.finish_within(limit, |inner| keys.sealed_len(inner));
    let sealed = unsealed.into_iter().map(|unsealed| {
        let mut message = unsealed.message;
        keys.seal(&mut message, &unsealed.inner, rng);
        message
    });
    Outgoing::new(sealed.collect())
}

/// The first error notification, and what it means.
pub(super) fn error_in<'a>(payloads: &[Payload<'a>]) -> Option<(Notify<'a>, Reason)> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Notify(n) if n.kind.is_error() => Some((*n, reason_of(n.kind))),
        _ => None,
    })
}

/// The type of an unknown payload whose critical bit is set (RFC 7296 section 2.5).
pub(super) fn unknown_critical(payloads: &[Payload<'_>]) -> Option<u8> {
    payloads.iter().find_map(|payload| match payload {
        Payload::Opaque { kind, critical: true, .. } => Some(kind.to_wire()),
        _ => None,
    })
}

pub(super) fn reason_of(kind: NotifyType) -> Reason {
    match kind {
        NotifyType::AuthenticationFailed => Reason::AuthenticationFailed,
        NotifyType::NoProposalChosen => Reason::NoProposalChosen,
        NotifyType::InvalidKePayload => Reason::InvalidKe,
        NotifyType::InvalidSyntax => Reason::InvalidSyntax,
        NotifyType::UnsupportedCriticalPayload => Reason::UnsupportedCriticalPayload,
        NotifyType::TsUnacceptable => Reason::TsUnacceptable,
        NotifyType::TemporaryFailure => Reason::TemporaryFailure,
        NotifyType::ChildSaNotFound => Reason::ChildSaNotFound,
        NotifyType::NoAdditionalSas => Reason::NoAdditionalSas,
        NotifyType::InvalidSpi | NotifyType::InvalidIkeSpi => Reason::InvalidSpi,
        NotifyType::InvalidMajorVersion => Reason::InvalidMajorVersion,
        NotifyType::UnacceptableAddresses => Reason::UnacceptableAddresses,
        NotifyType::UnexpectedNatDetected => Reason::UnexpectedNat,
        _ => Reason::PeerRefused,
    }
}
