//! CHILD_SAs: the first one in IKE_AUTH, later ones and rekeying by CREATE_CHILD_SA (RFC 7296 sections 1.3.1, 1.3.3, 2.8, 2.9).
//!
//! ```text
//! HDR, SK {N(REKEY_SA), SA, Ni, KEi, TSi, TSr}  -->      responder installs the new SA, receives on both
//!                                               <--  HDR, SK {SA, Nr, KEr, TSi, TSr}
//! HDR, SK {D(old)}                              -->      initiator has installed it and sends on it already;
//!                                               <--  HDR, SK {D(old)}    now the responder sends on it, too
//! ```
//!
//! Nothing is lost: an SA receives before anybody may send on it, and the old one receives until its DELETE. If both ends
//! rekey at once, the SA made with the lowest of the four nonces goes (section 2.8.1).

use super::env::{Env, NONCE_LEN};
use super::sa::{Sa, Verdict, error_in};
use super::task::{Job, Task};
use crate::crypto::dh::{DhGroup, DhPrivate};
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::{ChildSa, EspSuite, Output, SaKind, proposal};
use crate::reason::{Reason, State};
use crate::time::Instant;
use crate::wire::ike::{
    ExchangeType, Notify, NotifyType, Payload, Proposal, Protocol, TrafficSelector,
};

/// What this end remembers of a CHILD_SA; its keys live with ESP.
#[derive(Clone, Debug)]
pub(super) struct Child {
    pub spi_in: u32,
    pub spi_out: u32,
    pub phase: ChildPhase,
    pub born: Instant,
    /// When this end rekeys it, if it does.
    pub rekey: Option<Instant>,
    pub expires: Instant,
    /// False until it is certain that the peer has installed it.
    pub sending: bool,
    /// Inbound SPI of the SA that it replaces.
    pub replaces: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildPhase {
    Up,
    /// This end's CREATE_CHILD_SA is queued or on its way.
    Rekeying,
    /// Another SA has taken over; this one waits for a DELETE.
    Replaced,
    /// This end's DELETE is queued or on its way.
    Deleting(Reason),
}

/// This end's CREATE_CHILD_SA under way.
#[derive(Clone, Debug)]
pub(super) struct CreateChild {
    /// Inbound SPI of the SA to replace.
    rekeys: Option<u32>,
    spi_in: u32,
    nonce: [u8; NONCE_LEN],
    dh: Option<DhPrivate>,
    refused: Vec<DhGroup>,
    rival: Option<Rival>,
}

/// The peer's replacement of the same SA, made at the same time.
#[derive(Clone, Debug)]
struct Rival {
    /// The lower of its two nonces.
    low: Vec<u8>,
    spi_in: u32,
}

/// What a message about a CHILD_SA carries.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts<'a> {
    pub proposals: &'a [Proposal],
    pub ts_i: &'a [TrafficSelector],
    pub ts_r: &'a [TrafficSelector],
    pub nonce: Option<&'a [u8]>,
    pub ke: Option<(u16, &'a [u8])>,
    /// The SPI in N(REKEY_SA): the sender's inbound one. `Some(None)` if it is none of ESP.
    pub rekeys: Option<Option<u32>>,
}

impl<'a> Parts<'a> {
    fn of(payloads: &'a [Payload<'a>]) -> Self {
        let mut parts = Self::default();
        for payload in payloads {
            match payload {
                Payload::Sa(proposals) => parts.proposals = proposals,
                Payload::TsI(selectors) => parts.ts_i = selectors,
                Payload::TsR(selectors) => parts.ts_r = selectors,
                Payload::Nonce(nonce) => parts.nonce = Some(nonce),
                Payload::Ke { group, data } => parts.ke = Some((*group, data)),
                Payload::Notify(n) if n.kind == NotifyType::RekeySa => {
                    parts.rekeys = Some(n.spi.child());
                }
                _ => {}
            }
        }
        parts
    }
}

/// Why a CHILD_SA is not made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    NoProposal,
    InvalidKe(DhGroup),
    TsUnacceptable,
    Temporary,
    /// With the SPI that the request named.
    NotFound(Option<u32>),
    NoAdditional,
    Syntax,
}

impl Refusal {
    pub fn kind(self) -> NotifyType {
        match self {
            Self::NoProposal => NotifyType::NoProposalChosen,
            Self::InvalidKe(_) => NotifyType::InvalidKePayload,
            Self::TsUnacceptable => NotifyType::TsUnacceptable,
            Self::Temporary => NotifyType::TemporaryFailure,
            Self::NotFound(_) => NotifyType::ChildSaNotFound,
            Self::NoAdditional => NotifyType::NoAdditionalSas,
            Self::Syntax => NotifyType::InvalidSyntax,
        }
    }

    pub fn reason(self) -> Reason {
        match self {
            Self::NoProposal => Reason::NoProposalChosen,
            Self::InvalidKe(_) => Reason::InvalidKe,
            Self::TsUnacceptable => Reason::TsUnacceptable,
            Self::Temporary => Reason::TemporaryFailure,
            Self::NotFound(_) => Reason::ChildSaNotFound,
            Self::NoAdditional => Reason::NoAdditionalSas,
            Self::Syntax => Reason::InvalidSyntax,
        }
    }
}

/// What a responder agrees to.
pub(super) struct Answer {
    /// The chosen proposal with this end's SPI.
    pub proposal: Proposal,
    pub ts_i: Vec<TrafficSelector>,
    pub ts_r: Vec<TrafficSelector>,
}

/// A CHILD_SA on which both ends agree.
struct Agreed<'a> {
    /// True if this end began the exchange.
    initiator: bool,
    spi_in: u32,
    spi_out: u32,
    suite: EspSuite,
    nonces: (&'a [u8], &'a [u8]),
    shared: Option<&'a [u8]>,
    /// TSi and TSr.
    selectors: (Vec<TrafficSelector>, Vec<TrafficSelector>),
    replaces: Option<u32>,
    send_now: bool,
    /// What brought it about.
    reason: Reason,
}

/// Responder of IKE_AUTH: the first CHILD_SA.
pub(super) fn answer_first(
    sa: &mut Sa,
    env: &mut Env,
    nonces: &(Vec<u8>, Vec<u8>),
    parts: &Parts<'_>,
) -> Result<Answer, Refusal> {
    let (suite, spi_out, proposal) =
        proposal::choose_esp(&env.config, parts.proposals, false).ok_or(Refusal::NoProposal)?;
    let (ts_i, ts_r) = narrow(&env.config, parts).ok_or(Refusal::TsUnacceptable)?;
    let spi_in = env.esp_spi();
    let agreed = Agreed {
        initiator: false,
        spi_in,
        spi_out,
        suite,
        nonces: (&nonces.0, &nonces.1),
        shared: None,
        selectors: (ts_i.clone(), ts_r.clone()),
        replaces: None,
        send_now: true,
        reason: Reason::Authenticated,
    };
    install(sa, env, agreed);
    let proposal = Proposal {
        spi: spi_in.into(),
        ..proposal
    };
    Ok(Answer {
        proposal,
        ts_i,
        ts_r,
    })
}

/// Initiator of IKE_AUTH: the first CHILD_SA as the responder has answered it.
pub(super) fn read_first(
    sa: &mut Sa,
    env: &mut Env,
    spi_in: u32,
    nonces: &(Vec<u8>, Vec<u8>),
    parts: &Parts<'_>,
) -> Result<(), Reason> {
    let (suite, spi_out) = proposal::accept_esp(&env.config, parts.proposals, false)
        .ok_or(Reason::NoProposalChosen)?;
    let selectors = within(&env.config, parts).ok_or(Reason::TsUnacceptable)?;
    let agreed = Agreed {
        initiator: true,
        spi_in,
        spi_out,
        suite,
        nonces: (&nonces.0, &nonces.1),
        shared: None,
        selectors,
        replaces: None,
        send_now: true,
        reason: Reason::Authenticated,
    };
    install(sa, env, agreed);
    Ok(())
}

/// The responder's narrowing (RFC 7296 section 2.9): what both ends' selectors have in common.
fn narrow(
    config: &Config,
    parts: &Parts<'_>,
) -> Option<(Vec<TrafficSelector>, Vec<TrafficSelector>)> {
    let common = |offered: &[TrafficSelector], own: &[TrafficSelector]| {
        let mut both: Vec<TrafficSelector> = Vec::new();
        for selector in offered {
            for ts in own.iter().filter_map(|ts| selector.intersection(ts)) {
                if !both.contains(&ts) && both.len() < usize::from(u8::MAX) {
                    both.push(ts);
                }
            }
        }
        (!both.is_empty()).then_some(both)
    };
    Some((
        common(parts.ts_i, &config.remote_ts)?,
        common(parts.ts_r, &config.local_ts)?,
    ))
}

/// The initiator's check: the answer may narrow its selectors, not widen them.
fn within(
    config: &Config,
    parts: &Parts<'_>,
) -> Option<(Vec<TrafficSelector>, Vec<TrafficSelector>)> {
    let inside = |answer: &[TrafficSelector], own: &[TrafficSelector]| {
        let fits = |ts: &TrafficSelector| own.iter().any(|o| o.intersection(ts) == Some(*ts));
        (!answer.is_empty() && answer.iter().all(fits)).then(|| answer.to_vec())
    };
    Some((
        inside(parts.ts_i, &config.local_ts)?,
        inside(parts.ts_r, &config.remote_ts)?,
    ))
}

fn install(sa: &mut Sa, env: &mut Env, agreed: Agreed<'_>) {
    let encapsulation = sa.encapsulation();
    let Some(established) = sa.established_mut() else {
        return;
    };
    let keys = established
        .keys
        .child(agreed.suite, agreed.nonces, agreed.shared);
    let (inbound, outbound) = if agreed.initiator {
        (keys.from_responder, keys.from_initiator)
    } else {
        (keys.from_initiator, keys.from_responder)
    };
    let (local_ts, remote_ts) = if agreed.initiator {
        agreed.selectors
    } else {
        (agreed.selectors.1, agreed.selectors.0)
    };
    let (rekey, lifetime) = (env.config.rekey, env.config.child_lifetime);
    let after = rekey.after(lifetime, &mut env.timers);
    established.children.push(Child {
        spi_in: agreed.spi_in,
        spi_out: agreed.spi_out,
        phase: ChildPhase::Up,
        born: env.now,
        rekey: rekey.initiates.then_some(env.now + after),
        expires: env.now + lifetime,
        sending: agreed.send_now,
        replaces: agreed.replaces,
    });
    env.because = agreed.reason;
    env.enter(SaKind::Child, State::Up, agreed.reason);
    env.out.push_back(Output::ChildUp(Box::new(ChildSa {
        spi_in: agreed.spi_in,
        spi_out: agreed.spi_out,
        suite: agreed.suite,
        inbound,
        outbound,
        local_ts,
        remote_ts,
        encapsulation,
        rekeys: agreed.replaces,
        send_now: agreed.send_now,
    })));
}

/// Sends CREATE_CHILD_SA: a new CHILD_SA, a replacement, or `again` with another group.
pub(super) fn create(
    sa: &mut Sa,
    env: &mut Env,
    rekeys: Option<u32>,
    again: Option<Box<CreateChild>>,
) {
    if let Some(spi) = rekeys {
        match find(sa, spi) {
            Some(child) if matches!(child.phase, ChildPhase::Up | ChildPhase::Rekeying) => {
                child.phase = ChildPhase::Rekeying;
                env.because = Reason::RekeyDue;
                env.enter(SaKind::Child, State::Rekeying, Reason::RekeyDue);
            }
            Some(_) | None => return,
        }
    }
    let task = again.unwrap_or_else(|| {
        let group = env.config.esp_offers.first();
        let group = group.and_then(|offer| offer.groups.first()).copied();
        Box::new(CreateChild {
            rekeys,
            spi_in: env.esp_spi(),
            nonce: env.nonce(),
            dh: group.map(|g| DhPrivate::generate(g, &mut env.secrets)),
            refused: Vec::new(),
            rival: None,
        })
    });
    let config = env.config.clone();
    let mut payloads = Vec::with_capacity(6);
    if let Some(spi) = rekeys {
        payloads.push(Payload::Notify(Notify::about_esp(NotifyType::RekeySa, spi)));
    }
    payloads.push(Payload::Sa(proposal::offer_esp(&config, task.spi_in, true)));
    let nonce = task.nonce;
    payloads.push(Payload::Nonce(&nonce));
    let dh = task.dh.clone();
    payloads.extend(dh.iter().map(|dh| Payload::Ke {
        group: dh.group().id(),
        data: dh.public(),
    }));
    payloads.push(Payload::TsI(config.local_ts.clone()));
    payloads.push(Payload::TsR(config.remote_ts.clone()));
    let exchange = ExchangeType::CreateChildSa;
    sa.request(env, exchange, Task::CreateChild(task), &payloads);
}

/// Reads the response to [`create`].
pub(super) fn read_create(
    sa: &mut Sa,
    env: &mut Env,
    task: Box<CreateChild>,
    payloads: &[Payload<'_>],
) -> Verdict {
    if let Some((notify, reason)) = error_in(payloads) {
        failed(sa, env, task, &notify, reason);
        return Verdict::Alive;
    }
    let parts = Parts::of(payloads);
    match agree(env, &task, &parts) {
        Ok((suite, spi_out, shared, selectors)) => {
            let nonce = parts.nonce.unwrap_or_default();
            let old = task.rekeys.filter(|spi| find(sa, *spi).is_some());
            let low = nonce.min(&task.nonce[..]);
            // RFC 7296 section 2.8.1: the SA with the lowest nonce goes, closed by the end that made it.
            let lost = task
                .rival
                .as_ref()
                .is_some_and(|rival| low < &rival.low[..]);
            let agreed = Agreed {
                initiator: true,
                spi_in: task.spi_in,
                spi_out,
                suite,
                nonces: (&task.nonce, nonce),
                shared: shared.as_deref(),
                selectors,
                replaces: task.rekeys,
                send_now: old.is_none() && !lost,
                reason: task.rekeys.map_or(Reason::Configured, |_| Reason::Rekeyed),
            };
            install(sa, env, agreed);
            match old {
                Some(old) if !lost => {
                    switch(sa, env, old, task.spi_in);
                    sa.window.queue.push_back(Job::DeleteChild { spi_in: old });
                }
                Some(_) | None => {}
            }
            if let Some(old) = old.and_then(|spi| find(sa, spi)) {
                old.phase = ChildPhase::Replaced;
            }
            if lost {
                discard(sa, task.spi_in, Reason::Rekeyed);
            } else if let Some(rival) = task.rival.and_then(|rival| find(sa, rival.spi_in)) {
                rival.phase = ChildPhase::Replaced;
            }
        }
        Err(reason) => {
            // The responder has installed what this end cannot use.
            discard(sa, task.spi_in, reason);
            put_off(sa, env, task.rekeys, reason);
        }
    }
    Verdict::Alive
}

type Accepted = (
    EspSuite,
    u32,
    Option<crate::crypto::Secret>,
    (Vec<TrafficSelector>, Vec<TrafficSelector>),
);

fn agree(env: &Env, task: &CreateChild, parts: &Parts<'_>) -> Result<Accepted, Reason> {
    let (suite, spi_out) =
        proposal::accept_esp(&env.config, parts.proposals, true).ok_or(Reason::NoProposalChosen)?;
    let selectors = within(&env.config, parts).ok_or(Reason::TsUnacceptable)?;
    parts.nonce.ok_or(Reason::InvalidSyntax)?;
    let shared = match suite.group {
        Some(group) => {
            let dh = task.dh.as_ref().filter(|dh| dh.group() == group);
            let (_, public) = parts
                .ke
                .filter(|(id, _)| *id == group.id())
                .ok_or(Reason::InvalidKe)?;
            let shared = dh.ok_or(Reason::InvalidKe)?.agree(public);
            Some(shared.map_err(|_| Reason::InvalidSyntax)?)
        }
        None => None,
    };
    Ok((suite, spi_out, shared, selectors))
}

fn failed(
    sa: &mut Sa,
    env: &mut Env,
    mut task: Box<CreateChild>,
    notify: &Notify<'_>,
    reason: Reason,
) {
    if let (NotifyType::InvalidKePayload, Some(dh)) = (notify.kind, &task.dh) {
        task.refused.push(dh.group());
        let mut offered = env.config.esp_offers.iter().flat_map(|o| o.groups.iter());
        let octets = notify.data.try_into().ok();
        let wanted = octets
            .and_then(|octets| DhGroup::from_id(u16::from_be_bytes(octets)))
            .filter(|group| offered.any(|g| g == group) && !task.refused.contains(group));
        if let Some(group) = wanted {
            task.dh = Some(DhPrivate::generate(group, &mut env.secrets));
            return create(sa, env, task.rekeys, Some(task));
        }
    }
    match (&task.rival, task.rekeys.and_then(|spi| find(sa, spi))) {
        // The peer's own replacement is in place; it deletes the old one.
        (Some(_), Some(old)) => old.phase = ChildPhase::Replaced,
        (None, Some(old)) if notify.kind == NotifyType::ChildSaNotFound => {
            let spi_in = old.spi_in;
            down(sa, env, spi_in, reason);
            recreate(sa, env);
        }
        (None, Some(_)) => put_off(sa, env, task.rekeys, reason),
        (_, None) => recreate_later(sa, env, reason),
    }
}

/// A rekey did not work: the old SA goes on, and another attempt follows.
fn put_off(sa: &mut Sa, env: &mut Env, rekeys: Option<u32>, reason: Reason) {
    let again = env.now + env.config.retry.cap;
    if let Some(old) = rekeys.and_then(|spi| find(sa, spi)) {
        old.phase = ChildPhase::Up;
        old.rekey = Some(again);
    }
    env.because = reason;
}

fn recreate_later(sa: &mut Sa, env: &mut Env, reason: Reason) {
    env.because = reason;
    let (wanted, again) = (
        env.config.startup == Startup::Start,
        env.now + env.config.retry.cap,
    );
    if let Some(established) = sa.established_mut() {
        established.retry_child = (wanted && established.children.is_empty()).then_some(again);
    }
}

/// After a failure in IKE_AUTH: the IKE_SA stands, the CHILD_SA is tried again if this end is to keep the tunnel up.
pub(super) fn first_failed(sa: &mut Sa, env: &mut Env, reason: Reason) {
    recreate_later(sa, env, reason);
}

/// If this end is to keep the tunnel up and no CHILD_SA is left, it makes a new one.
pub(super) fn recreate(sa: &mut Sa, env: &Env) {
    let usable = |child: &Child| matches!(child.phase, ChildPhase::Up | ChildPhase::Rekeying);
    let none_left = sa
        .established()
        .is_some_and(|e| !e.children.iter().any(usable));
    let job = Job::CreateChild { rekeys: None };
    if env.config.startup == Startup::Start && none_left && !sa.window.queue.contains(&job) {
        sa.window.queue.push_back(job);
    }
}

/// Answers a CREATE_CHILD_SA request.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, payloads: &[Payload<'_>]) -> Verdict {
    let parts = Parts::of(payloads);
    let exchange = ExchangeType::CreateChildSa;
    if let Err(refusal) = accept(sa, env, id, &parts) {
        match refusal {
            Refusal::InvalidKe(group) => {
                let data = group.id().to_be_bytes();
                sa.refuse(env, exchange, id, refusal.kind(), &data);
            }
            Refusal::NotFound(Some(spi)) => {
                let notify = Notify::about_esp(refusal.kind(), spi);
                sa.respond(env, exchange, id, &[Payload::Notify(notify)]);
            }
            Refusal::NoProposal
            | Refusal::TsUnacceptable
            | Refusal::Temporary
            | Refusal::NotFound(None)
            | Refusal::NoAdditional
            | Refusal::Syntax => sa.refuse(env, exchange, id, refusal.kind(), &[]),
        }
    }
    Verdict::Alive
}

fn accept(sa: &mut Sa, env: &mut Env, id: u32, parts: &Parts<'_>) -> Result<(), Refusal> {
    let replaces = admit(sa, parts)?;
    let nonce_i = parts.nonce.ok_or(Refusal::Syntax)?;
    let (suite, spi_out, proposal) =
        proposal::choose_esp(&env.config, parts.proposals, true).ok_or(Refusal::NoProposal)?;
    let (ts_i, ts_r) = narrow(&env.config, parts).ok_or(Refusal::TsUnacceptable)?;
    let exchanged = match suite.group {
        Some(group) => {
            let ke = parts.ke.filter(|(wire, _)| *wire == group.id());
            let (_, public) = ke.ok_or(Refusal::InvalidKe(group))?;
            let dh = DhPrivate::generate(group, &mut env.secrets);
            let shared = dh.agree(public).map_err(|_| Refusal::Syntax)?;
            Some((dh, shared))
        }
        None => None,
    };
    let (spi_in, nonce_r) = (env.esp_spi(), env.nonce());
    let agreed = Agreed {
        initiator: false,
        spi_in,
        spi_out,
        suite,
        nonces: (nonce_i, &nonce_r),
        shared: exchanged.as_ref().map(|(_, shared)| &shared[..]),
        selectors: (ts_i.clone(), ts_r.clone()),
        replaces,
        send_now: replaces.is_none(),
        reason: replaces.map_or(Reason::PeerInitiated, |_| Reason::Rekeyed),
    };
    install(sa, env, agreed);
    if let Some(old) = replaces {
        let low = nonce_i.min(&nonce_r[..]).to_vec();
        collide(sa, old, Rival { low, spi_in });
    }
    let mut payloads = vec![
        Payload::Sa(vec![Proposal {
            spi: spi_in.into(),
            ..proposal
        }]),
        Payload::Nonce(&nonce_r),
    ];
    payloads.extend(exchanged.iter().map(|(dh, _)| Payload::Ke {
        group: dh.group().id(),
        data: dh.public(),
    }));
    payloads.extend([Payload::TsI(ts_i), Payload::TsR(ts_r)]);
    sa.respond(env, ExchangeType::CreateChildSa, id, &payloads);
    Ok(())
}

/// Whether a request can be answered now, and which SA it replaces (RFC 7296 section 2.25).
fn admit(sa: &mut Sa, parts: &Parts<'_>) -> Result<Option<u32>, Refusal> {
    if sa.is_deleting() {
        return Err(Refusal::Temporary);
    }
    if parts.proposals.iter().any(|p| p.protocol == Protocol::Ike) {
        return Err(Refusal::NoAdditional);
    }
    let Some(rekeys) = parts.rekeys else {
        // Both ends create at once: the original initiator's goes first, so that one SA comes of it.
        let outstanding = sa.window.outstanding.as_ref().map(|r| &r.task);
        let own = matches!(outstanding, Some(Task::CreateChild(t)) if t.rekeys.is_none());
        return if own && sa.ids.initiator {
            Err(Refusal::Temporary)
        } else {
            Ok(None)
        };
    };
    let children = sa.established_mut().map(|e| &mut e.children);
    let mut children = children.into_iter().flatten();
    let old = children.find(|child| Some(child.spi_out) == rekeys);
    match old.map(|child| (child.phase, child.spi_in)) {
        None => Err(Refusal::NotFound(rekeys)),
        Some((ChildPhase::Up | ChildPhase::Rekeying, spi_in)) => Ok(Some(spi_in)),
        Some((ChildPhase::Replaced | ChildPhase::Deleting(_), _)) => Err(Refusal::Temporary),
    }
}

/// The peer has replaced `old`. If this end is at it as well, the nonces decide later.
fn collide(sa: &mut Sa, old: u32, rival: Rival) {
    if let Some(request) = &mut sa.window.outstanding
        && let Task::CreateChild(task) = &mut request.task
        && task.rekeys == Some(old)
    {
        task.rival = Some(rival);
    } else if let Some(child) = find(sa, old) {
        child.phase = ChildPhase::Replaced;
    }
}

/// From now on the new SA sends.
pub(super) fn switch(sa: &mut Sa, env: &mut Env, old_spi_in: u32, new_spi_in: u32) {
    if let Some(new) = find(sa, new_spi_in).filter(|new| !new.sending) {
        new.sending = true;
        env.out.push_back(Output::ChildRekeyed {
            old_spi_in,
            new_spi_in,
        });
    }
}

/// This end does not want the SA.
fn discard(sa: &mut Sa, spi_in: u32, reason: Reason) {
    if let Some(child) = find(sa, spi_in) {
        child.phase = ChildPhase::Deleting(reason);
    }
    sa.window.queue.push_back(Job::DeleteChild { spi_in });
}

/// Removes an SA; whatever replaces it sends from now on.
pub(super) fn down(sa: &mut Sa, env: &mut Env, spi_in: u32, reason: Reason) {
    let Some(established) = sa.established_mut() else {
        return;
    };
    let children = &mut established.children;
    let Some(at) = children.iter().position(|c| c.spi_in == spi_in) else {
        return;
    };
    children.remove(at);
    // What waited to be deleted need not be any more.
    let job = Job::DeleteChild { spi_in };
    let heir = children
        .iter()
        .find(|c| c.replaces == Some(spi_in) && c.phase == ChildPhase::Up);
    let heir = heir.map(|c| c.spi_in);
    sa.window.queue.retain(|queued| *queued != job);
    if let Some(heir) = heir {
        switch(sa, env, spi_in, heir);
    }
    env.out.push_back(Output::ChildDown { spi_in, reason });
    env.because = reason;
}

pub(super) fn find(sa: &mut Sa, spi_in: u32) -> Option<&mut Child> {
    let children = &mut sa.established_mut()?.children;
    children.iter_mut().find(|c| c.spi_in == spi_in)
}
