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
//! deleted by the end that began it, and the end that began the other deletes the old IKE_SA (section 2.8.2).

use super::child::{Parts, Refusal};
use super::env::{Env, NONCE_LEN};
use super::init::log_keys;
use super::sa::{Established, Ids, Phase, Sa, Verdict, error_in};
use super::task::Task;
use crate::crypto::dh::{DhGroup, DhPrivate};
use crate::proto::ike::keys::IkeKeys;
use crate::proto::ike::{SaKind, proposal};
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

/// Reads the response to [`build`].
pub(super) fn process(sa: &mut Sa, env: &mut Env, task: Box<RekeyIke>, payloads: &[Payload<'_>]) -> Verdict {
    if let Some((notify, reason)) = error_in(payloads) {
        return failed(sa, env, task, &notify, reason);
    }
    let parts = Parts::of(payloads);
    let Some(keys) = sa.keys() else { return Verdict::Alive };
    match agree(env, keys, &task, &parts) {
        Ok((ids, keys)) => {
            let low = parts.nonce.unwrap_or_default().min(&task.nonce[..]);
            let how = match task.rival {
                // RFC 7296 section 2.8.2: the IKE_SA with the lowest nonce goes.
                Some(rival) if low < &rival.low[..] => Succession::Lost,
                rival => Succession::Won(rival.map(|rival| rival.ids)),
            };
            Verdict::Succeeded(Box::new(heir(sa, env, ids, keys)), how)
        }
        // The responder has an heir that this end cannot use, and goes on with it: the two ends have come apart.
        Err(reason) => Verdict::Over(reason),
    }
}

fn agree(env: &Env, old: &IkeKeys, task: &RekeyIke, parts: &Parts<'_>) -> Result<(Ids, IkeKeys), Reason> {
    let accepted = proposal::accept_ike(&env.config, parts.proposals);
    let (suite, spi) = accepted.ok_or(Reason::NoProposalChosen)?;
    let spi_r = spi.ike().ok_or(Reason::InvalidSyntax)?;
    let nonce = parts.nonce.ok_or(Reason::InvalidSyntax)?;
    let group = task.dh.group();
    let ke = parts.ke.filter(|(id, _)| *id == group.id() && suite.group == group);
    let (_, public) = ke.ok_or(Reason::InvalidKe)?;
    let shared = task.dh.agree(public).map_err(|_| Reason::InvalidSyntax)?;
    let ids = Ids { initiator: true, spi_i: task.spi, spi_r };
    Ok((ids, old.rekeyed(suite, (&task.nonce, nonce), &shared, (ids.spi_i, ids.spi_r))))
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
    if task.rival.is_some() {
        // The peer has answered no request of this end, so it knows one heir only.
        return Verdict::Yielded;
    }
    let again = env.retry_refused(sa.ids.initiator);
    if let Some(established) = sa.established_mut() {
        established.rekey = Some(again);
    }
    env.because = reason;
    Verdict::Alive
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
    let keys = sa.keys().ok_or(Refusal::Temporary)?;
    let keys = keys.rekeyed(suite, (nonce_i, &nonce_r), &shared, (spi_i, spi_r));
    let heir = heir(sa, env, ids, keys);
    if contested && let Some(Task::RekeyIke(own)) = sa.window.outstanding.as_mut().map(|r| &mut r.task) {
        own.rival = Some(Rival { low: nonce_i.min(&nonce_r[..]).to_vec(), ids });
    }
    let accepted = Proposal { spi: spi_r.into(), ..proposal };
    let ke = Payload::Ke { group: suite.group.id(), data: dh.public() };
    let payloads = [Payload::Sa(vec![accepted]), Payload::Nonce(&nonce_r), ke];
    sa.respond(env, ExchangeType::CreateChildSa, id, &payloads);
    let how = if contested { Succession::Contested } else { Succession::ByPeer };
    Ok(Verdict::Succeeded(Box::new(heir), how))
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
