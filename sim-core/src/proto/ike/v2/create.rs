//! CREATE_CHILD_SA (RFC 7296 sections 1.3.1 and 1.3.3), both sides, with collisions (2.8.1) and INVALID_KE_PAYLOAD (1.3). If
//! additional key exchanges are agreed on, the SA is made when the last of them is done: see `followup`.

use super::MAX_CHILDREN;
use super::child::{
    self, Agreed, Child, ChildPhase, Parts, Refusal, discard, find, install, narrow, recreate, recreate_later, switch,
    within,
};
use super::env::{Env, NONCE_LEN};
use super::followup::{self, Pending, Progress, What};
use super::rekey;
use super::sa::{Sa, Verdict, error_in};
use super::task::{Job, Task};
use super::transition::SaState;
use crate::crypto::Secret;
use crate::crypto::dh::{DhGroup, DhPrivate};
use crate::crypto::exchange::Method;
use crate::proto::ike::config::SecondChild;
use crate::proto::ike::{EspSuite, SaKind, proposal};
use crate::reason::{Reason, State, Step};
use crate::time::Duration;
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload, Proposal, Protocol, TrafficSelector};

/// This end's CREATE_CHILD_SA under way.
#[derive(Clone, Hash, Debug)]
pub(super) struct CreateChild {
    /// Inbound SPI of the SA to replace.
    pub rekeys: Option<u32>,
    /// What it is for.
    pub policy: u8,
    spi_in: u32,
    nonce: [u8; NONCE_LEN],
    dh: Option<DhPrivate>,
    refused: Vec<DhGroup>,
    rival: Option<Rival>,
    /// What was agreed on and is being followed up.
    followed: Option<Box<Followed>>,
}

impl CreateChild {
    /// True if additional key exchanges are under way.
    pub fn is_followed_up(&self) -> bool {
        self.followed.is_some()
    }
}

/// An initiator's additional key exchanges.
#[derive(Clone, Hash, Debug)]
struct Followed {
    accepted: Accepted,
    progress: Progress,
}

/// What the responder's CREATE_CHILD_SA says.
#[derive(Clone, Hash, Debug)]
struct Accepted {
    suite: EspSuite,
    spi_out: u32,
    nonce: Vec<u8>,
    shared: Option<Secret>,
    selectors: (Vec<TrafficSelector>, Vec<TrafficSelector>),
}

/// What a responder has agreed to.
#[derive(Clone, Hash, Debug)]
pub(super) struct PendingChild {
    spi_in: u32,
    spi_out: u32,
    suite: EspSuite,
    nonces: (Vec<u8>, Vec<u8>),
    shared: Option<Secret>,
    selectors: (Vec<TrafficSelector>, Vec<TrafficSelector>),
    policy: u8,
    pub replaces: Option<u32>,
}

/// The peer's replacement of the same SA, made at the same time.
#[derive(Clone, Hash, Debug)]
struct Rival {
    /// The lower of its two nonces.
    low: Vec<u8>,
    spi_in: u32,
}

/// Longer than the default series of retransmissions, 165 s.
const TAKEN_UP: Duration = Duration::from_secs(180);

/// Sends CREATE_CHILD_SA: a new CHILD_SA for a policy, a replacement, which is for the same, or `again` with another group.
pub(super) fn build(sa: &mut Sa, env: &mut Env, rekeys: Option<u32>, mut policy: u8, again: Option<Box<CreateChild>>) {
    let initiator = sa.ids.initiator;
    if let Some(spi) = rekeys {
        let pending = sa.established().and_then(|e| e.pending.as_ref());
        let busy = pending.is_some_and(|pending| pending.is_replacing(rekeys, env.now));
        match find(sa, spi) {
            // The peer is at it already.
            Some(child) if child.is_usable() && busy => {
                child.rekey = Some(env.retry_refused(initiator));
                return;
            }
            // The peer may not have it yet, and would deny knowing it; when it has, the two ends would come apart. A peer that
            // has not read the response in this time has given up.
            Some(child) if child.is_usable() && !child.taken_up && env.now.since(child.born) < TAKEN_UP => {
                child.rekey = Some(env.retry_refused(initiator));
                return;
            }
            Some(child) if child.is_usable() => {
                child.phase = ChildPhase::Rekeying;
                policy = child.policy;
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
            policy,
            spi_in: env.esp_spi(),
            nonce: env.nonce(),
            dh: group.map(|g| DhPrivate::generate(g, &mut env.secrets)),
            refused: Vec::new(),
            rival: None,
            followed: None,
        })
    });
    let config = env.config.clone();
    let mut payloads = Vec::with_capacity(6);
    if let Some(spi) = rekeys {
        payloads.push(Payload::Notify(Notify::about_child(config.child_protocol.into(), NotifyType::RekeySa, spi)));
    }
    payloads.push(Payload::Sa(proposal::offer_esp(&config, task.spi_in, true)));
    let nonce = task.nonce;
    payloads.push(Payload::Nonce(&nonce));
    let dh = task.dh.clone();
    payloads.extend(dh.iter().map(|dh| Payload::Ke { group: dh.group().id(), data: dh.public() }));
    let (local, remote) = config.selectors(task.policy);
    payloads.extend([Payload::TsI(local.to_vec()), Payload::TsR(remote.to_vec())]);
    let exchange = ExchangeType::CreateChildSa;
    sa.request(env, exchange, Task::CreateChild(task), &payloads);
}

/// Reads the response to [`build`], or to one of the exchanges that follow it up.
pub(super) fn process(sa: &mut Sa, env: &mut Env, mut task: Box<CreateChild>, payloads: &[Payload<'_>]) -> Verdict {
    if let Some((notify, reason)) = error_in(payloads) {
        failed(sa, env, task, &notify, reason);
        return Verdict::Alive;
    }
    let followed = match task.followed.take() {
        Some(mut followed) => match followed.progress.read(env, payloads) {
            Ok(Some(link)) => {
                follow_up(sa, env, task, followed, &link);
                return Verdict::Alive;
            }
            Ok(None) => Ok((followed.accepted, followed.progress.secrets)),
            Err(reason) => Err(reason),
        },
        None => match agree(env, &task, &Parts::of(payloads)) {
            Ok((accepted, rounds)) if !rounds.is_empty() && is_lost(&task, &accepted) => {
                give_way(sa, env, &task);
                return Verdict::Alive;
            }
            Ok((accepted, rounds)) => match (Progress::begin(env, rounds), followup::link(payloads)) {
                (Some(progress), Some(link)) => {
                    if let Some(established) = sa.established_mut() {
                        // What the peer has begun of its own loses (RFC 9370 section 2.2.4).
                        established.pending.take_if(|p| task.rekeys.is_some() && p.is_replacing(task.rekeys, env.now));
                    }
                    follow_up(sa, env, task, Box::new(Followed { accepted, progress }), link);
                    return Verdict::Alive;
                }
                (Some(_), None) | (None, Some(_)) => Err(Reason::InvalidSyntax),
                (None, None) => Ok((accepted, Vec::new())),
            },
            Err(reason) => Err(reason),
        },
    };
    match followed {
        Ok((accepted, secrets)) => conclude(sa, env, *task, accepted, &secrets),
        Err(reason) => {
            // The responder has installed what this end cannot use.
            discard(sa, task.spi_in, reason);
            put_off(sa, env, task.rekeys, reason);
        }
    }
    Verdict::Alive
}

fn follow_up(sa: &mut Sa, env: &mut Env, mut task: Box<CreateChild>, followed: Box<Followed>, link: &[u8]) {
    let ke = followed.progress.ke();
    task.followed = Some(followed);
    followup::send(sa, env, Task::CreateChild(task), ke, link);
}

/// RFC 7296 section 2.8.1: the SA with the lowest nonce goes, closed by the end that made it.
fn is_lost(task: &CreateChild, accepted: &Accepted) -> bool {
    let low = (&accepted.nonce[..]).min(&task.nonce[..]);
    task.rival.as_ref().is_some_and(|rival| low < &rival.low[..])
}

/// The peer's replacement goes on instead of this end's. If it comes to nothing, this end tries again.
fn give_way(sa: &mut Sa, env: &mut Env, task: &CreateChild) {
    let made = task.rival.as_ref().is_some_and(|rival| find(sa, rival.spi_in).is_some());
    match task.rekeys.and_then(|spi| find(sa, spi)) {
        Some(old) if made => old.phase = ChildPhase::Replaced,
        Some(_) | None => put_off(sa, env, task.rekeys, Reason::PeerInitiated),
    }
}

fn conclude(sa: &mut Sa, env: &mut Env, task: CreateChild, accepted: Accepted, additional: &[u8]) {
    let lost = is_lost(&task, &accepted);
    let old = task.rekeys.filter(|spi| find(sa, *spi).is_some());
    let agreed = Agreed {
        initiator: true,
        spi_in: task.spi_in,
        spi_out: accepted.spi_out,
        suite: accepted.suite,
        nonces: (&task.nonce, &accepted.nonce),
        shared: accepted.shared.as_deref(),
        additional,
        selectors: accepted.selectors,
        policy: task.policy,
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
        env.step(Step::RedundantChild, task.spi_in, false, None);
        discard(sa, task.spi_in, Reason::Rekeyed);
    } else if let Some(rival) = task.rival.and_then(|rival| find(sa, rival.spi_in)) {
        rival.phase = ChildPhase::Replaced;
    }
}

/// What the responder has accepted, and the methods of the exchanges to follow, the last one first.
fn agree(env: &Env, task: &CreateChild, parts: &Parts<'_>) -> Result<(Accepted, Vec<Method>), Reason> {
    let (suite, spi_out) = proposal::accept_esp(&env.config, parts.proposals, true).ok_or(Reason::NoProposalChosen)?;
    let selectors = within(&env.config, task.policy, parts).ok_or(Reason::TsUnacceptable)?;
    let nonce = parts.nonce.ok_or(Reason::InvalidSyntax)?.to_vec();
    let shared = match suite.group {
        Some(group) => {
            let dh = task.dh.as_ref().filter(|dh| dh.group() == group);
            let (_, public) = parts.ke.filter(|(id, _)| *id == group.id()).ok_or(Reason::InvalidKe)?;
            let shared = dh.ok_or(Reason::InvalidKe)?.agree(public);
            Some(shared.map_err(|_| Reason::InvalidSyntax)?)
        }
        None => None,
    };
    let rounds = parts.proposals.first().map(proposal::rounds).unwrap_or_default();
    Ok((Accepted { suite, spi_out, nonce, shared, selectors }, rounds))
}

fn failed(sa: &mut Sa, env: &mut Env, mut task: Box<CreateChild>, notify: &Notify<'_>, reason: Reason) {
    if let (NotifyType::InvalidKePayload, Some(dh)) = (notify.kind, &task.dh) {
        task.refused.push(dh.group());
        let mut offered = env.config.esp_offers.iter().flat_map(|o| o.groups.iter());
        let octets = notify.data.try_into().ok();
        let wanted = octets
            .and_then(|octets| DhGroup::from_id(u16::from_be_bytes(octets)))
            .filter(|group| offered.any(|g| g == group) && !task.refused.contains(group));
        if let Some(group) = wanted {
            task.dh = Some(DhPrivate::generate(group, &mut env.secrets));
            return build(sa, env, task.rekeys, task.policy, Some(task));
        }
    }
    match (&task.rival, task.rekeys.and_then(|spi| find(sa, spi))) {
        // The peer's own replacement is in place, and it deletes the old one; or it will be.
        (Some(_), Some(_)) => give_way(sa, env, &task),
        (None, Some(old)) if notify.kind == NotifyType::ChildSaNotFound => {
            let spi_in = old.spi_in;
            child::down(sa, env, spi_in, reason);
            recreate(sa, env);
        }
        (None, Some(_)) => put_off(sa, env, task.rekeys, reason),
        (_, None) => {
            env.denied = Some(env.now);
            recreate_later(sa, env, reason);
        }
    }
}

/// A rekey did not work: the old SA goes on, and another attempt follows; unless its lifetime has ended meanwhile, and it is being deleted.
fn put_off(sa: &mut Sa, env: &mut Env, rekeys: Option<u32>, reason: Reason) {
    let again = env.retry_refused(sa.ids.initiator);
    let old = rekeys.and_then(|spi| find(sa, spi));
    if let Some(old) = old.filter(|old| old.phase == ChildPhase::Rekeying) {
        old.phase = ChildPhase::Up;
        old.rekey = Some(again);
    }
    env.because = reason;
}

/// Answers a CREATE_CHILD_SA request.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, payloads: &[Payload<'_>]) -> Verdict {
    let parts = Parts::of(payloads);
    let exchange = ExchangeType::CreateChildSa;
    let answered = if parts.proposals.iter().any(|p| p.protocol == Protocol::Ike) {
        rekey::answer(sa, env, id, &parts)
    } else {
        accept(sa, env, id, &parts).map(|()| Verdict::Alive)
    };
    answered.unwrap_or_else(|refusal| {
        match refusal {
            Refusal::InvalidKe(group) => {
                let data = group.id().to_be_bytes();
                sa.refuse(env, exchange, id, refusal.kind(), &data);
            }
            Refusal::NotFound(Some(spi)) => {
                let notify = Notify::about_child(env.config.child_protocol.into(), refusal.kind(), spi);
                sa.respond(env, exchange, id, &[Payload::Notify(notify)]);
            }
            Refusal::NoProposal
            | Refusal::TsUnacceptable
            | Refusal::Temporary
            | Refusal::NotFound(None)
            | Refusal::NoAdditional => sa.refuse(env, exchange, id, refusal.kind(), &[]),
            Refusal::Syntax => {
                sa.refuse(env, exchange, id, refusal.kind(), &[]);
                // Both ends are done with it (RFC 7296 section 2.21.3).
                return Verdict::Linger(Reason::InvalidSyntax);
            }
        }
        Verdict::Alive
    })
}

fn accept(sa: &mut Sa, env: &mut Env, id: u32, parts: &Parts<'_>) -> Result<(), Refusal> {
    let replaces = admit(sa, parts, env.config.second_child)?;
    let nonce_i = parts.nonce.ok_or(Refusal::Syntax)?;
    let (suite, spi_out, proposal) =
        proposal::choose_esp(&env.config, parts.proposals, true).ok_or(Refusal::NoProposal)?;
    let policy = replaces.and_then(|spi| find(sa, spi)).map_or(0, |child| child.policy);
    let (ts_i, ts_r) = narrow(&env.config, policy, parts).ok_or(Refusal::TsUnacceptable)?;
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
    let rounds = proposal::rounds(&proposal);
    let child = PendingChild {
        spi_in,
        spi_out,
        suite,
        nonces: (nonce_i.to_vec(), nonce_r.to_vec()),
        shared: exchanged.as_ref().map(|(_, shared)| shared.clone()),
        selectors: (ts_i.clone(), ts_r.clone()),
        policy,
        replaces,
    };
    let pending = if rounds.is_empty() {
        install_agreed(sa, env, child, &[]);
        None
    } else {
        if let Some(task) = own_task(sa, replaces) {
            task.rival = Some(Rival { low: nonce_i.min(&nonce_r[..]).to_vec(), spi_in });
        }
        Some(Box::new(Pending::new(env, id, rounds, What::Child(child))))
    };
    let mut payloads = vec![Payload::Sa(vec![Proposal { spi: spi_in.into(), ..proposal }]), Payload::Nonce(&nonce_r)];
    payloads.extend(exchanged.iter().map(|(dh, _)| Payload::Ke { group: dh.group().id(), data: dh.public() }));
    payloads.extend([Payload::TsI(ts_i), Payload::TsR(ts_r)]);
    payloads.extend(pending.iter().map(|pending| pending.notify()));
    sa.respond(env, ExchangeType::CreateChildSa, id, &payloads);
    if let Some(established) = sa.established_mut() {
        established.pending = pending;
    }
    Ok(())
}

/// The additional key exchanges are done.
pub(super) fn make(sa: &mut Sa, env: &mut Env, child: PendingChild, additional: &[u8]) -> Result<(), Refusal> {
    if is_rekeying(sa) {
        return Err(Refusal::Temporary);
    }
    if let Some(old) = child.replaces
        && !find(sa, old).is_some_and(|old| old.is_usable())
    {
        return Err(Refusal::NotFound(None));
    }
    install_agreed(sa, env, child, additional);
    Ok(())
}

/// The responder's SA.
fn install_agreed(sa: &mut Sa, env: &mut Env, child: PendingChild, additional: &[u8]) {
    // The initiator can read nothing before it has the response; while there is another SA, that one sends.
    let only = !sa.established().is_some_and(|e| e.children.iter().any(Child::carries));
    let PendingChild { spi_in, spi_out, suite, nonces, shared, selectors, policy, replaces } = child;
    let agreed = Agreed {
        initiator: false,
        spi_in,
        spi_out,
        suite,
        nonces: (&nonces.0, &nonces.1),
        shared: shared.as_deref(),
        additional,
        selectors,
        policy,
        replaces,
        send_now: only,
        reason: replaces.map_or(Reason::PeerInitiated, |_| Reason::Rekeyed),
    };
    install(sa, env, agreed);
    match replaces {
        Some(old) => {
            let low = nonces.0.min(nonces.1);
            collide(sa, old, Rival { low, spi_in });
        }
        // Their DELETEs wait until the response is on its way.
        None if env.config.second_child == SecondChild::Displaces => child::displace(sa, spi_in),
        None => {}
    }
}

/// True if this end is rekeying the IKE_SA.
fn is_rekeying(sa: &Sa) -> bool {
    matches!(sa.window.outstanding.as_ref().map(|r| &r.task), Some(Task::RekeyIke(_)))
}

/// This end's own replacement of the same SA, if it is under way.
fn own_task(sa: &mut Sa, rekeys: Option<u32>) -> Option<&mut CreateChild> {
    match sa.window.outstanding.as_mut().map(|request| &mut request.task) {
        Some(Task::CreateChild(task)) if rekeys.is_some() && task.rekeys == rekeys => Some(task),
        _ => None,
    }
}

/// Whether a request can be answered now, and which SA it replaces (RFC 7296 section 2.25).
fn admit(sa: &mut Sa, parts: &Parts<'_>, second: SecondChild) -> Result<Option<u32>, Refusal> {
    if sa.state() != SaState::Established || is_rekeying(sa) {
        return Err(Refusal::Temporary);
    }
    let Some(rekeys) = parts.rekeys else {
        // Both ends create at once: the original initiator's goes first, so that one SA comes of it.
        let outstanding = sa.window.outstanding.as_ref().map(|r| &r.task);
        let own = matches!(outstanding, Some(Task::CreateChild(t)) if t.rekeys.is_none());
        let most = if second == SecondChild::Refused { 1 } else { MAX_CHILDREN };
        if sa.established().is_some_and(|e| e.children.len() >= most) {
            return Err(Refusal::NoAdditional);
        }
        return if own && sa.ids.initiator { Err(Refusal::Temporary) } else { Ok(None) };
    };
    let children = sa.established_mut().map(|e| &mut e.children);
    let mut children = children.into_iter().flatten();
    let old = children.find(|child| Some(child.spi_out) == rekeys);
    let old = old.map(|child| (child.phase, child.spi_in));
    if own_task(sa, old.map(|(_, spi_in)| spi_in)).is_some_and(|task| task.is_followed_up()) {
        // RFC 9370 section 2.2.4: too late for the nonces to decide.
        return Err(Refusal::Temporary);
    }
    match old {
        None => Err(Refusal::NotFound(rekeys)),
        Some((ChildPhase::Up | ChildPhase::Rekeying, spi_in)) => Ok(Some(spi_in)),
        Some((ChildPhase::Replaced | ChildPhase::Deleting(_), _)) => Err(Refusal::Temporary),
    }
}

/// The peer has replaced `old`. If this end is at it as well, the nonces decide later.
fn collide(sa: &mut Sa, old: u32, rival: Rival) {
    if let Some(task) = own_task(sa, Some(old)) {
        task.rival = Some(rival);
    } else if let Some(child) = find(sa, old) {
        child.phase = ChildPhase::Replaced;
    }
}
