//! Rekeying of the IKE_SA by CREATE_CHILD_SA (RFC 7296 sections 1.3.2, 2.8, 2.18).
//!
//! ```text
//! HDR, SK {SA, Ni, KEi}  -->      responder makes the new IKE_SA, which takes over all CHILD_SAs
//!                        <--  HDR, SK {SA, Nr, KEr}
//! HDR, SK {D(IKE)}       -->      initiator has made it and moved its CHILD_SAs
//!                        <--  HDR, SK {}
//! ```
//!
//! The new IKE_SA is the old one's *heir*. ESP notices nothing. If both ends rekey at once there are two, and until the end
//! knows both exchanges it leaves the CHILD_SAs where they are: then the heir made with the lowest of the four nonces goes,
//! deleted by the end that began it, and the end that began the other deletes the old IKE_SA (section 2.8.2). If additional key
//! exchanges are agreed on, the heir is made when the last of them is done: see `followup`.

use super::child::{Parts, Refusal};
use super::env::{Env, NONCE_LEN};
use super::followup::{self, Pending, Progress, What};
use super::init::log_keys;
use super::sa::{Established, Ids, Phase, Sa, Verdict, error_in};
use super::task::Task;
use crate::crypto::Secret;
use crate::crypto::dh::{DhGroup, DhPrivate};
use crate::crypto::exchange::Method;
use crate::proto::ike::keys::IkeKeys;
use crate::proto::ike::{IkeSuite, SaKind, proposal};
use crate::reason::{Reason, State};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload, Proposal};

/// This end's IKE_SA rekey under way.
#[derive(Clone, Hash, Debug)]
pub(super) struct RekeyIke {
    spi: u64,
    nonce: [u8; NONCE_LEN],
    dh: DhPrivate,
    refused: Vec<DhGroup>,
    pub rival: Option<Rival>,
    /// What was agreed on and is being followed up.
    followed: Option<Box<Followed>>,
}

/// An initiator's additional key exchanges.
#[derive(Clone, Hash, Debug)]
struct Followed {
    agreed: PendingIke,
    progress: Progress,
}

/// What both ends have agreed to, before the last key exchange.
#[derive(Clone, Hash, Debug)]
pub(super) struct PendingIke {
    ids: Ids,
    suite: IkeSuite,
    nonces: (Vec<u8>, Vec<u8>),
    shared: Secret,
}

impl PendingIke {
    fn keys(&self, old: &IkeKeys, additional: &[u8]) -> IkeKeys {
        let Self { ids, suite, nonces, shared } = self;
        old.rekeyed(*suite, (&nonces.0, &nonces.1), (shared, additional), (ids.spi_i, ids.spi_r))
    }

    /// The lower of both nonces.
    fn low(&self) -> &[u8] {
        (&self.nonces.0).min(&self.nonces.1)
    }
}

/// The peer's heir of the same IKE_SA, made at the same time.
#[derive(Clone, Hash, Debug)]
pub(super) struct Rival {
    /// The lower of its two nonces.
    low: Vec<u8>,
    pub ids: Ids,
}

/// How an IKE_SA got an heir.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Succession {
    /// The peer made it.
    ByPeer,
    /// The peer made it while this end's own request is under way.
    Contested,
    /// This end made it; if the peer made one as well, that one goes.
    Won(Option<Ids>),
    /// This end made it, and it goes: the peer's takes over.
    Lost,
}

/// Sends the request, or sends it `again` with another group.
pub(super) fn build(sa: &mut Sa, env: &mut Env, again: Option<Box<RekeyIke>>) {
    let Phase::Established(established) = &mut sa.phase else {
        return;
    };
    established.rekey = None;
    if established.pending.as_ref().is_some_and(|pending| pending.is_replacing(None, env.now)) {
        // The peer is at it already.
        established.rekey = Some(env.retry_refused(sa.ids.initiator));
        return;
    }
    let current = established.keys.suite.group;
    let mut groups = env.config.ike_offers.iter().flat_map(|offer| &offer.groups);
    // The group that both ends agreed on is the one that needs no second try.
    let group = groups.clone().find(|group| **group == current).or(groups.next()).copied();
    let task = match (again, group) {
        (Some(task), _) => task,
        (None, Some(group)) => Box::new(RekeyIke {
            spi: env.ike_spi(),
            nonce: env.nonce(),
            dh: DhPrivate::generate(group, &mut env.secrets),
            refused: Vec::new(),
            rival: None,
            followed: None,
        }),
        (None, None) => return,
    };
    env.because = Reason::RekeyDue;
    env.enter(SaKind::Ike, State::Rekeying, Reason::RekeyDue);
    let (nonce, dh) = (task.nonce, task.dh.clone());
    let payloads = [
        Payload::Sa(proposal::offer_ike(&env.config, task.spi.into())),
        Payload::Nonce(&nonce),
        Payload::Ke { group: dh.group().id(), data: dh.public() },
    ];
    sa.request(env, ExchangeType::CreateChildSa, Task::RekeyIke(task), &payloads);
}

/// Reads the response to [`build`], or to one of the exchanges that follow it up.
pub(super) fn process(sa: &mut Sa, env: &mut Env, mut task: Box<RekeyIke>, payloads: &[Payload<'_>]) -> Verdict {
    if let Some((notify, reason)) = error_in(payloads) {
        return failed(sa, env, task, &notify, reason);
    }
    let (agreed, secrets) = match task.followed.take() {
        Some(mut followed) => match followed.progress.read(env, payloads) {
            Ok(Some(link)) => return follow_up(sa, env, task, followed, &link),
            Ok(None) => (followed.agreed, followed.progress.secrets),
            Err(reason) => return Verdict::Over(reason),
        },
        None => match agree(env, &task, &Parts::of(payloads)) {
            Ok((agreed, rounds)) if !rounds.is_empty() && is_lost(&task, &agreed) => {
                return give_way(sa, env, &task, Reason::PeerInitiated);
            }
            Ok((agreed, rounds)) => match (Progress::begin(env, rounds), followup::link(payloads)) {
                (Some(progress), Some(link)) => {
                    if let Some(established) = sa.established_mut() {
                        // What the peer has begun of its own loses (RFC 9370 section 2.2.4).
                        established.pending = None;
                    }
                    return follow_up(sa, env, task, Box::new(Followed { agreed, progress }), link);
                }
                (Some(_), None) | (None, Some(_)) => return Verdict::Over(Reason::InvalidSyntax),
                (None, None) => (agreed, Vec::new()),
            },
            // The responder has an heir that this end cannot use, and goes on with it: the two ends have come apart.
            Err(reason) => return Verdict::Over(reason),
        },
    };
    let Some(old) = sa.keys() else { return Verdict::Alive };
    let (ids, keys) = (agreed.ids, agreed.keys(old, &secrets));
    let how =
        if is_lost(&task, &agreed) { Succession::Lost } else { Succession::Won(task.rival.map(|rival| rival.ids)) };
    Verdict::Succeeded(Box::new(heir(sa, env, ids, keys)), how)
}

fn follow_up(sa: &mut Sa, env: &mut Env, mut task: Box<RekeyIke>, followed: Box<Followed>, link: &[u8]) -> Verdict {
    let ke = followed.progress.ke();
    task.followed = Some(followed);
    followup::send(sa, env, Task::RekeyIke(task), ke, link);
    Verdict::Alive
}

/// RFC 7296 section 2.8.2: the IKE_SA with the lowest nonce goes.
fn is_lost(task: &RekeyIke, agreed: &PendingIke) -> bool {
    task.rival.as_ref().is_some_and(|rival| agreed.low() < &rival.low[..])
}

/// What both ends agree on, and the methods of the exchanges to follow, the last one first.
fn agree(env: &Env, task: &RekeyIke, parts: &Parts<'_>) -> Result<(PendingIke, Vec<Method>), Reason> {
    let accepted = proposal::accept_ike(&env.config, parts.proposals);
    let (suite, spi) = accepted.ok_or(Reason::NoProposalChosen)?;
    let spi_r = spi.ike().ok_or(Reason::InvalidSyntax)?;
    let nonce = parts.nonce.ok_or(Reason::InvalidSyntax)?;
    let group = task.dh.group();
    let ke = parts.ke.filter(|(id, _)| *id == group.id() && suite.group == group);
    let (_, public) = ke.ok_or(Reason::InvalidKe)?;
    let shared = task.dh.agree(public).map_err(|_| Reason::InvalidSyntax)?;
    let ids = Ids { initiator: true, spi_i: task.spi, spi_r };
    let rounds = parts.proposals.first().map(proposal::rounds).unwrap_or_default();
    Ok((PendingIke { ids, suite, nonces: (task.nonce.to_vec(), nonce.to_vec()), shared }, rounds))
}

/// The peer's heir takes over if it has been made, and otherwise when it will be. If that comes to nothing, this end tries again.
fn give_way(sa: &mut Sa, env: &mut Env, task: &RekeyIke, reason: Reason) -> Verdict {
    let heir = sa.established().and_then(|e| e.heir);
    if heir.is_some() && heir == task.rival.as_ref().map(|rival| rival.ids) {
        return Verdict::Yielded;
    }
    let again = env.retry_refused(sa.ids.initiator);
    if let Some(established) = sa.established_mut() {
        established.rekey = Some(again);
    }
    env.because = reason;
    Verdict::Alive
}

fn failed(sa: &mut Sa, env: &mut Env, mut task: Box<RekeyIke>, notify: &Notify<'_>, reason: Reason) -> Verdict {
    if notify.kind == NotifyType::InvalidKePayload {
        task.refused.push(task.dh.group());
        let mut offered = env.config.ike_offers.iter().flat_map(|o| o.groups.iter());
        let octets = notify.data.try_into().ok();
        let wanted = octets
            .and_then(|octets| DhGroup::from_id(u16::from_be_bytes(octets)))
            .filter(|group| offered.any(|g| g == group) && !task.refused.contains(group));
        if let Some(group) = wanted {
            task.dh = DhPrivate::generate(group, &mut env.secrets);
            build(sa, env, Some(task));
            return Verdict::Alive;
        }
    }
    // With a rival the peer has answered no request of this end, so it knows one heir only.
    give_way(sa, env, &task, reason)
}

/// Answers a request: an heir for this IKE_SA.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, parts: &Parts<'_>) -> Result<Verdict, Refusal> {
    let contested = admit(sa)?;
    let nonce_i = parts.nonce.ok_or(Refusal::Syntax)?;
    let (suite, proposal) = proposal::choose_ike(&env.config, parts.proposals).ok_or(Refusal::NoProposal)?;
    let spi_i = proposal.spi.ike().ok_or(Refusal::Syntax)?;
    let ke = parts.ke.filter(|(wire, _)| *wire == suite.group.id());
    let (_, public) = ke.ok_or(Refusal::InvalidKe(suite.group))?;
    let dh = DhPrivate::generate(suite.group, &mut env.secrets);
    let shared = dh.agree(public).map_err(|_| Refusal::Syntax)?;
    let (spi_r, nonce_r) = (env.ike_spi(), env.nonce());
    let ids = Ids { initiator: false, spi_i, spi_r };
    let ike = PendingIke { ids, suite, nonces: (nonce_i.to_vec(), nonce_r.to_vec()), shared };
    let rounds = proposal::rounds(&proposal);
    let (pending, verdict) = if rounds.is_empty() {
        (None, succeed(sa, env, contested, ike, &[])?)
    } else {
        if contested {
            contest(sa, &ike);
        }
        (Some(Box::new(Pending::new(env, id, rounds, What::Ike(ike)))), Verdict::Alive)
    };
    let accepted = Proposal { spi: spi_r.into(), ..proposal };
    let ke = Payload::Ke { group: suite.group.id(), data: dh.public() };
    let mut payloads = vec![Payload::Sa(vec![accepted]), Payload::Nonce(&nonce_r), ke];
    payloads.extend(pending.iter().map(|pending| pending.notify()));
    sa.respond(env, ExchangeType::CreateChildSa, id, &payloads);
    if let Some(established) = sa.established_mut() {
        established.pending = pending;
    }
    Ok(verdict)
}

/// The additional key exchanges are done.
pub(super) fn make(sa: &mut Sa, env: &mut Env, ike: PendingIke, additional: &[u8]) -> Result<Verdict, Refusal> {
    let contested = admit(sa)?;
    succeed(sa, env, contested, ike, additional)
}

/// The responder's heir.
fn succeed(
    sa: &mut Sa,
    env: &mut Env,
    contested: bool,
    ike: PendingIke,
    additional: &[u8],
) -> Result<Verdict, Refusal> {
    let keys = ike.keys(sa.keys().ok_or(Refusal::Temporary)?, additional);
    let heir = heir(sa, env, ike.ids, keys);
    if contested {
        contest(sa, &ike);
    }
    let how = if contested { Succession::Contested } else { Succession::ByPeer };
    Ok(Verdict::Succeeded(Box::new(heir), how))
}

/// This end's own rekey has a rival.
fn contest(sa: &mut Sa, ike: &PendingIke) {
    if let Some(Task::RekeyIke(own)) = sa.window.outstanding.as_mut().map(|r| &mut r.task) {
        own.rival = Some(Rival { low: ike.low().to_vec(), ids: ike.ids });
    }
}

/// Whether a request can be answered now (RFC 7296 section 2.25), and whether this end is at it as well.
fn admit(sa: &Sa) -> Result<bool, Refusal> {
    let Phase::Established(established) = &sa.phase else {
        return Err(Refusal::Temporary);
    };
    if established.heir.is_some() || sa.wants_delete() {
        return Err(Refusal::Temporary);
    }
    match sa.window.outstanding.as_ref().map(|request| &request.task) {
        // RFC 9370 section 2.2.4: once it is followed up, it is too late for the nonces to decide.
        Some(Task::RekeyIke(own)) if own.followed.is_some() => Err(Refusal::Temporary),
        Some(Task::RekeyIke(_)) => Ok(true),
        Some(Task::CreateChild(_) | Task::DeleteChild { .. } | Task::DeleteIke(_)) => Err(Refusal::Temporary),
        Some(Task::Handshake | Task::Liveness | Task::Mobike(_) | Task::Notice) | None => Ok(false),
    }
}

/// The IKE_SA that replaces `old`: its own SPIs, keys and Message IDs from 0, the same path (RFC 7296 section 2.8).
fn heir(old: &Sa, env: &mut Env, ids: Ids, keys: IkeKeys) -> Sa {
    log_keys(env, ids, &keys);
    let mut established = Established::new(env, keys);
    // A rekey proves no identity anew (RFC 7296 section 2.8.3).
    if let Some(old) = old.established() {
        established.reauth = old.reauth;
        established.authenticated = old.authenticated;
        established.superseded = old.superseded;
    }
    Sa {
        ids,
        path: old.path,
        window: super::mobike::window_of_heir(old),
        fragment_size: old.fragment_size,
        assembly: [None, None],
        phase: Phase::Established(Box::new(established)),
        purpose: old.purpose,
        begun: env.now,
        up: true,
        mobike: old.mobike,
    }
}
