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

use super::env::Env;
use super::sa::Sa;
use super::task::Job;
use crate::crypto::dh::DhGroup;
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::{ChildSa, EspSuite, Output, SaKind, proposal};
use crate::reason::{Reason, State};
use crate::time::Instant;
use crate::wire::ike::{NotifyType, Payload, Proposal, TrafficSelector};

/// What this end remembers of a CHILD_SA; its keys live with ESP.
#[derive(Clone, Hash, Debug)]
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
    /// The policy of this end that it is for; 0 for a route-based device.
    pub policy: u8,
    /// True once the peer is known to have it. A responder knows by traffic on it, or by the peer's next request: with a window
    /// of 1 the peer has read the response to the one before.
    pub taken_up: bool,
}

impl Child {
    /// True if it is neither replaced nor being deleted.
    pub fn is_usable(&self) -> bool {
        matches!(self.phase, ChildPhase::Up | ChildPhase::Rekeying)
    }

    /// True if what this end sends on it arrives, as far as this end knows.
    pub fn carries(&self) -> bool {
        self.sending && !matches!(self.phase, ChildPhase::Deleting(_))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ChildPhase {
    Up,
    /// This end's CREATE_CHILD_SA is queued or on its way.
    Rekeying,
    /// Another SA has taken over; this one waits for a DELETE.
    Replaced,
    /// This end's DELETE is queued or on its way.
    Deleting(Reason),
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
    pub(super) fn of(payloads: &'a [Payload<'a>]) -> Self {
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
pub(super) struct Agreed<'a> {
    /// True if this end began the exchange.
    pub initiator: bool,
    pub spi_in: u32,
    pub spi_out: u32,
    pub suite: EspSuite,
    pub nonces: (&'a [u8], &'a [u8]),
    pub shared: Option<&'a [u8]>,
    /// The secrets of additional key exchanges, one after the other.
    pub additional: &'a [u8],
    /// TSi and TSr.
    pub selectors: (Vec<TrafficSelector>, Vec<TrafficSelector>),
    pub policy: u8,
    pub replaces: Option<u32>,
    pub send_now: bool,
    /// What brought it about.
    pub reason: Reason,
}

/// Responder of IKE_AUTH: the first CHILD_SA.
pub(super) fn answer_first(
    sa: &mut Sa,
    env: &mut Env,
    nonces: &(Vec<u8>, Vec<u8>),
    parts: &Parts<'_>,
    send_now: bool,
) -> Result<Answer, Refusal> {
    let (suite, spi_out, proposal) =
        proposal::choose_esp(&env.config, parts.proposals, false).ok_or(Refusal::NoProposal)?;
    let (ts_i, ts_r) = narrow(&env.config, 0, parts).ok_or(Refusal::TsUnacceptable)?;
    let spi_in = env.esp_spi();
    let agreed = Agreed {
        initiator: false,
        spi_in,
        spi_out,
        suite,
        nonces: (&nonces.0, &nonces.1),
        shared: None,
        additional: &[],
        selectors: (ts_i.clone(), ts_r.clone()),
        policy: 0,
        replaces: None,
        send_now,
        reason: Reason::Authenticated,
    };
    install(sa, env, agreed);
    let proposal = Proposal { spi: spi_in.into(), ..proposal };
    Ok(Answer { proposal, ts_i, ts_r })
}

/// Initiator of IKE_AUTH: the first CHILD_SA as the responder has answered it.
pub(super) fn read_first(
    sa: &mut Sa,
    env: &mut Env,
    spi_in: u32,
    nonces: &(Vec<u8>, Vec<u8>),
    parts: &Parts<'_>,
) -> Result<(), Reason> {
    let (suite, spi_out) = proposal::accept_esp(&env.config, parts.proposals, false).ok_or(Reason::NoProposalChosen)?;
    let policy = env.demanded;
    let selectors = within(&env.config, policy, parts).ok_or(Reason::TsUnacceptable)?;
    let agreed = Agreed {
        initiator: true,
        spi_in,
        spi_out,
        suite,
        nonces: (&nonces.0, &nonces.1),
        shared: None,
        additional: &[],
        selectors,
        policy,
        replaces: None,
        send_now: true,
        reason: Reason::Authenticated,
    };
    install(sa, env, agreed);
    Ok(())
}

/// The responder's narrowing (RFC 7296 section 2.9): what both ends' selectors have in common.
pub(super) fn narrow(
    config: &Config,
    policy: u8,
    parts: &Parts<'_>,
) -> Option<(Vec<TrafficSelector>, Vec<TrafficSelector>)> {
    let (local, remote) = config.selectors(policy);
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
    Some((common(parts.ts_i, remote)?, common(parts.ts_r, local)?))
}

/// The initiator's check: the answer may narrow its selectors, not widen them.
pub(super) fn within(
    config: &Config,
    policy: u8,
    parts: &Parts<'_>,
) -> Option<(Vec<TrafficSelector>, Vec<TrafficSelector>)> {
    let (local, remote) = config.selectors(policy);
    let inside = |answer: &[TrafficSelector], own: &[TrafficSelector]| {
        let fits = |ts: &TrafficSelector| own.iter().any(|o| o.intersection(ts) == Some(*ts));
        (!answer.is_empty() && answer.iter().all(fits)).then(|| answer.to_vec())
    };
    Some((inside(parts.ts_i, local)?, inside(parts.ts_r, remote)?))
}

pub(super) fn install(sa: &mut Sa, env: &mut Env, agreed: Agreed<'_>) {
    let encapsulation = sa.encapsulation();
    // It may change, or it is not the one that was configured.
    let elsewhere = encapsulation.is_none() && sa.path.remote.0 != env.remote;
    let remote = (sa.mobike.is_some() || elsewhere).then_some(sa.path.remote.0);
    let Some(established) = sa.established_mut() else {
        return;
    };
    let keys = established.keys.child(agreed.suite, agreed.nonces, agreed.shared, agreed.additional);
    let (inbound, outbound) = if agreed.initiator {
        (keys.from_responder, keys.from_initiator)
    } else {
        (keys.from_initiator, keys.from_responder)
    };
    let (local_ts, remote_ts) =
        if agreed.initiator { agreed.selectors } else { (agreed.selectors.1, agreed.selectors.0) };
    let (rekey, lifetime) = (env.config.rekey, env.config.child_lifetime);
    let after = rekey.after(lifetime, &mut env.timers);
    established.children.reserve_exact(1);
    established.children.push(Child {
        spi_in: agreed.spi_in,
        spi_out: agreed.spi_out,
        phase: ChildPhase::Up,
        born: env.now,
        rekey: rekey.initiates.then_some(env.now + after),
        expires: env.now + lifetime,
        sending: agreed.send_now,
        replaces: agreed.replaces,
        policy: agreed.policy,
        taken_up: agreed.initiator,
    });
    env.because = agreed.reason;
    env.enter(SaKind::Child, State::Up, agreed.reason);
    env.out.push_back(Output::ChildUp(Box::new(ChildSa {
        spi_in: agreed.spi_in,
        spi_out: agreed.spi_out,
        suite: agreed.suite,
        inbound,
        outbound,
        policy: agreed.policy,
        local_ts,
        remote_ts,
        encapsulation,
        remote,
        rekeys: agreed.replaces,
        send_now: agreed.send_now,
    })));
}

/// From now on the new SA sends; but not if it goes with its IKE_SA, because then another one carries, or none is wanted.
pub(super) fn switch(sa: &mut Sa, env: &mut Env, old_spi_in: u32, new_spi_in: u32) {
    if sa.is_deleting() {
        return;
    }
    if let Some(new) = find(sa, new_spi_in).filter(|new| !new.sending) {
        new.sending = true;
        env.out.push_back(Output::ChildRekeyed { old_spi_in, new_spi_in });
    }
}

/// This end does not want the SA.
pub(super) fn discard(sa: &mut Sa, spi_in: u32, reason: Reason) {
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
    let heir = children.iter().find(|c| c.replaces == Some(spi_in) && c.phase == ChildPhase::Up);
    // One that was made beside it does as well.
    let unheard = !children.iter().any(Child::carries);
    let heir = heir.or_else(|| children.iter().find(|c| unheard && c.phase == ChildPhase::Up));
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

/// There is no CHILD_SA on an IKE_SA that stands: another attempt follows, if this end is to keep the tunnel up.
pub(super) fn recreate_later(sa: &mut Sa, env: &mut Env, reason: Reason) {
    env.because = reason;
    let (wanted, again) = (env.config.startup == Startup::Start, env.now + env.config.retry.cap);
    if let Some(established) = sa.established_mut() {
        established.retry_child = (wanted && established.children.is_empty()).then_some(again);
    }
}

/// If this end is to keep the tunnel up and no CHILD_SA is left, it makes a new one.
pub(super) fn recreate(sa: &mut Sa, env: &Env) {
    let job = Job::CreateChild { policy: 0 };
    let under_way = sa.window.outstanding.as_ref().is_some_and(|request| request.task.creates_child());
    if env.config.startup == Startup::Start && is_without(sa) && !under_way && !sa.window.queue.contains(&job) {
        sa.window.queue.push_back(job);
    }
}

/// True if the IKE_SA has no usable CHILD_SA for this policy.
pub(super) fn lacks(sa: &Sa, policy: u8) -> bool {
    sa.established().is_some_and(|e| !e.children.iter().any(|child| child.policy == policy && child.is_usable()))
}

/// The peer has made another CHILD_SA, and this end keeps one: those that there were go.
pub(super) fn displace(sa: &mut Sa, youngest: u32) {
    let children = sa.established().map_or(&[][..], |e| &e.children);
    let others = children.iter().filter(|child| child.spi_in != youngest && child.is_usable());
    let others: Vec<u32> = others.map(|child| child.spi_in).collect();
    others.into_iter().for_each(|spi_in| discard(sa, spi_in, Reason::Displaced));
}

/// True if the IKE_SA has no usable CHILD_SA.
pub(super) fn is_without(sa: &Sa) -> bool {
    sa.established().is_some_and(|e| !e.children.iter().any(Child::is_usable))
}
