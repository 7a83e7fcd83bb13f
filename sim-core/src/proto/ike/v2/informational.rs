//! INFORMATIONAL (RFC 7296 section 1.4): DELETE of either kind of SA, liveness, notifications.

use super::child::{self, Child, ChildPhase};
use super::create;
use super::env::Env;
use super::mobike;
use super::reauth;
use super::rekey;
use super::sa::{Phase, Sa, Verdict};
use super::task::{Job, Task};
use crate::proto::ike::SaKind;
use crate::proto::ike::mobility::Ends;
use crate::reason::{Reason, State, Step};
use crate::wire::ike::{Delete, ExchangeType, Notify, NotifyType, Payload, Protocol};

const EXCHANGE: ExchangeType = ExchangeType::Informational;

/// Answers a request.
pub(super) fn answer(sa: &mut Sa, env: &mut Env, id: u32, ends: &Ends, payloads: &[Payload<'_>]) -> Verdict {
    let mut fatal = None;
    let mut gone: Vec<u8> = Vec::new();
    for payload in payloads {
        match payload {
            Payload::Delete(delete) if delete.protocol == Protocol::Ike => {
                fatal = Some(Reason::PeerDeleted);
            }
            Payload::Delete(delete) if delete.protocol == env.config.child_protocol.into() => {
                for spi_out in delete.child_spis() {
                    env.step(Step::ChildDeleteReceived, spi_out, false, None);
                    gone.extend(deleted(sa, env, spi_out).map(u32::to_be_bytes).into_iter().flatten());
                }
            }
            Payload::Notify(n) if n.kind == NotifyType::AuthenticationFailed => {
                fatal = Some(Reason::AuthenticationFailed);
            }
            Payload::Notify(n) if n.kind == NotifyType::InvalidSpi => lost(sa, env, n.data),
            _ => {}
        }
    }
    reauth::told(sa, env, payloads);
    if let Some(reason) = fatal {
        sa.respond(env, EXCHANGE, id, &[]);
        return Verdict::Linger(reason);
    }
    if sa.mobike.is_some() && gone.is_empty() {
        mobike::answer(sa, env, id, ends, payloads);
    } else if gone.is_empty() {
        sa.respond(env, EXCHANGE, id, &[]);
    } else {
        sa.respond(env, EXCHANGE, id, &[Payload::Delete(delete_of(env, &gone))]);
        child::recreate(sa, env);
    }
    Verdict::Alive
}

/// The peer deletes the SA on which this end sends with `spi_out`. Returns this end's SPI of the pair, to be deleted in turn,
/// unless this end's own DELETE of it is under way (RFC 7296 section 1.4.1).
fn deleted(sa: &mut Sa, env: &mut Env, spi_out: u32) -> Option<u32> {
    let children = &sa.established()?.children;
    let child = children.iter().find(|c| c.spi_out == spi_out)?;
    let (spi_in, phase) = (child.spi_in, child.phase);
    let reason = match phase {
        ChildPhase::Up | ChildPhase::Rekeying => Reason::PeerDeleted,
        ChildPhase::Replaced => Reason::Rekeyed,
        ChildPhase::Deleting(reason) => reason,
    };
    let outstanding = sa.window.outstanding.as_ref().map(|r| &r.task);
    let crossing = matches!(outstanding, Some(Task::DeleteChild { spi_in: own }) if *own == spi_in);
    let reason = if children.iter().any(|c| c.replaces == Some(spi_in)) { Reason::Rekeyed } else { reason };
    child::down(sa, env, spi_in, reason);
    (!crossing).then_some(spi_in)
}

/// The peer does not know an SPI to which this end sends: the SA is of no use (RFC 7296 section 1.5).
fn lost(sa: &mut Sa, env: &mut Env, data: &[u8]) {
    let Ok(spi_out) = data.try_into().map(u32::from_be_bytes) else {
        return;
    };
    let children = sa.established().map(|e| &e.children).into_iter().flatten();
    let known = children.filter(|c| c.spi_out == spi_out && c.phase == ChildPhase::Up).map(|c| c.spi_in).next();
    if let Some(spi_in) = known {
        close(sa, env, spi_in, Reason::InvalidSpi);
    }
}

/// Wants a CHILD_SA deleted, and another in its place if this end is to keep the tunnel up.
pub(super) fn close(sa: &mut Sa, env: &mut Env, spi_in: u32, reason: Reason) {
    if let Some(child) = child::find(sa, spi_in) {
        child.phase = ChildPhase::Deleting(reason);
        env.because = reason;
        sa.window.queue.push_back(Job::DeleteChild { spi_in });
        child::recreate(sa, env);
    }
}

/// Sends DELETE of a CHILD_SA.
pub(super) fn delete_child(sa: &mut Sa, env: &mut Env, spi_in: u32) {
    let children = sa.established().map(|e| &e.children[..]).unwrap_or_default();
    let this = children.iter().find(|c| c.spi_in == spi_in);
    if let Some(ChildPhase::Deleting(reason)) = this.map(|c| c.phase)
        && !children.iter().any(Child::is_usable)
    {
        env.enter(SaKind::Child, State::Deleting, reason);
    }
    let spi = spi_in.to_be_bytes();
    let delete = Payload::Delete(delete_of(env, &spi));
    sa.request(env, EXCHANGE, Task::DeleteChild { spi_in }, &[delete]);
}

/// Sends DELETE of the IKE_SA.
pub(super) fn delete_ike(sa: &mut Sa, env: &mut Env, reason: Reason) {
    sa.phase = match core::mem::replace(&mut sa.phase, Phase::Over) {
        Phase::Established(established) | Phase::Replaced(established) => Phase::Deleting(established),
        other => other,
    };
    sa.window.queue.clear();
    if reason != Reason::Rekeyed {
        env.enter(SaKind::Ike, State::Deleting, reason);
    }
    let delete = Delete { protocol: Protocol::Ike, spi_size: 0, spis: &[] };
    let task = Task::DeleteIke(reason);
    sa.request(env, EXCHANGE, task, &[Payload::Delete(delete)]);
}

/// Tells the peer of an ESP SPI that no SA has.
pub(super) fn invalid_spi(sa: &mut Sa, env: &mut Env, spi: u32) {
    let data = spi.to_be_bytes();
    let notify = Payload::Notify(Notify::new(NotifyType::InvalidSpi, &data));
    sa.request(env, EXCHANGE, Task::Notice, &[notify]);
}

/// Reads the response to a request of this end.
pub(super) fn read(sa: &mut Sa, env: &mut Env, task: Task, payloads: &[Payload<'_>]) -> Verdict {
    match task {
        Task::CreateChild(task) => create::process(sa, env, task, payloads),
        Task::RekeyIke(task) => rekey::process(sa, env, task, payloads),
        Task::DeleteChild { spi_in } => {
            let reason = match child::find(sa, spi_in).map(|c| c.phase) {
                Some(ChildPhase::Deleting(reason)) => reason,
                Some(ChildPhase::Replaced | ChildPhase::Up | ChildPhase::Rekeying) | None => Reason::Rekeyed,
            };
            child::down(sa, env, spi_in, reason);
            Verdict::Alive
        }
        Task::DeleteIke(reason) => Verdict::Over(reason),
        Task::Mobike(asked) => mobike::read(sa, env, *asked, payloads),
        Task::Liveness => mobike::probed(sa, env, payloads),
        Task::Handshake | Task::Notice => Verdict::Alive,
    }
}

fn delete_of<'s>(env: &Env, spis: &'s [u8]) -> Delete<'s> {
    Delete { protocol: env.config.child_protocol.into(), spi_size: 4, spis }
}
