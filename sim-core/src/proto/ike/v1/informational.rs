//! Informational exchanges (RFC 2409 section 5.7): notifications, DELETE, dead peer detection (RFC 3706).
//!
//! ```text
//! HDR*, HASH(1), N | D  -->        one message, no answer
//! ```
//!
//! R-U-THERE asks for R-U-THERE-ACK, which is an exchange of its own with the same sequence number. Nothing tells whether a DELETE
//! has arrived.

use super::child::{ChildPhase, Children};
use super::keys::Keys;
use super::quick_mode;
use super::sa::{Cookies, Opened, Probe, Sa, Verdict, error_in, reason_of};
use crate::proto::ike::env::Env;
use crate::proto::ike::path::Path;
use crate::proto::ike::series::Series;
use crate::reason::{DropReason, Reason, Step};
use crate::wire::ike::v1::{Builder, Delete, ExchangeType, Flags, Header, Notify, NotifyType, Payload, Protocol};

const EXCHANGE: ExchangeType = ExchangeType::Informational;

/// What a message asks for that concerns more than its own SA.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Requests {
    /// ISAKMP SAs that the peer has deleted, by both cookies.
    pub gone: Vec<[u8; 16]>,
    /// INITIAL-CONTACT.
    pub initial_contact: bool,
    /// A CHILD_SA of this end is of no use any more.
    pub lost_child: bool,
}

/// Decrypts and verifies a message.
pub(super) fn open<'a>(keys: &Keys, header: &Header, bytes: &'a mut [u8]) -> Result<Opened<'a>, DropReason> {
    let mut iv = keys.iv(header.message_id);
    let opened = Opened::read(keys, &mut iv, header, bytes)?;
    opened.verify(keys, &[&header.message_id.to_be_bytes()])?;
    Ok(opened)
}

/// Sends payloads under the protection of an SA.
fn send(sa: &Sa, env: &mut Env, payloads: &[Payload<'_>]) {
    let message_id = sa.message_id(env);
    let Some(mut iv) = sa.keys().map(|keys| keys.iv(message_id)) else {
        return;
    };
    let bytes = sa.protect(EXCHANGE, message_id, &mut iv, &[&message_id.to_be_bytes()], payloads);
    let notice = error_in(payloads).map(|(_, reason)| reason);
    env.step(Step::IsakmpInformationalSent, message_id, false, notice);
    env.transmit(&sa.path, bytes);
}

/// Sends a notification.
pub(super) fn notify(sa: &Sa, env: &mut Env, notify: &Notify<'_>) {
    send(sa, env, &[Payload::Notify(*notify)]);
}

/// Refuses Main Mode in clear: there are no keys yet, or not the same ones.
pub(super) fn refuse(env: &mut Env, cookies: Cookies, path: &Path, kind: NotifyType) {
    let message_id = env.secrets.u32().max(1);
    let header = Header::new(cookies.pair(), EXCHANGE, Flags::default(), message_id);
    let mut builder = Builder::new(&header);
    builder.push(&Payload::Notify(Notify { protocol: Protocol::Isakmp, spi: &cookies.octets(), kind, data: &[] }));
    env.step(Step::IsakmpInformationalSent, message_id, false, Some(reason_of(kind)));
    env.transmit(path, builder.finish());
}

/// Refuses Main Mode to a peer that has shown that it has the keys.
pub(super) fn refuse_protected(sa: &Sa, env: &mut Env, kind: NotifyType, reason: Reason) -> Verdict {
    notify(sa, env, &Notify { protocol: Protocol::Isakmp, spi: &sa.cookies.octets(), kind, data: &[] });
    Verdict::Over(reason)
}

/// Tells the peer that this end has deleted ESP SAs.
pub(super) fn delete_children(sa: &Sa, env: &mut Env, spis_in: &[u32]) {
    let spis: Vec<u8> = spis_in.iter().flat_map(|spi| spi.to_be_bytes()).collect();
    send(sa, env, &[Payload::Delete(Delete { protocol: Protocol::Esp, spi_size: 4, spis: &spis })]);
}

/// Tells the peer that this end has deleted the SA that protects the message.
pub(super) fn delete_isakmp(sa: &Sa, env: &mut Env) {
    let spis = sa.cookies.octets();
    send(sa, env, &[Payload::Delete(Delete { protocol: Protocol::Isakmp, spi_size: 16, spis: &spis })]);
}

/// Tells the peer of an ESP SPI that no SA has (RFC 2408 section 3.14.1).
pub(super) fn invalid_spi(sa: &Sa, env: &mut Env, spi: u32) {
    let spi = spi.to_be_bytes();
    notify(sa, env, &Notify { protocol: Protocol::Esp, spi: &spi, kind: NotifyType::InvalidSpi, data: &[] });
}

/// Sends a liveness check. Each has a sequence number of its own (RFC 3706 section 5.4).
pub(super) fn probe(sa: &mut Sa, env: &mut Env, series: Series) {
    let spi = sa.cookies.octets();
    let Some(established) = sa.established_mut() else {
        return;
    };
    let sequence = established.sequence;
    established.sequence = sequence.wrapping_add(1);
    let first = established.probe.map_or(sequence, |probe| probe.first);
    established.probe = Some(Probe { first, series });
    let data = sequence.to_be_bytes();
    notify(sa, env, &Notify { protocol: Protocol::Isakmp, spi: &spi, kind: NotifyType::RUThere, data: &data });
}

/// Reads a message under the protection of an established SA.
pub(super) fn read(
    sa: &mut Sa,
    env: &mut Env,
    children: &mut Children,
    header: &Header,
    bytes: &mut [u8],
) -> Result<Requests, DropReason> {
    let keys = sa.keys().ok_or(DropReason::UnexpectedMessage)?.clone();
    let opened = open(&keys, header, bytes)?;
    env.heard();
    let notice = error_in(&opened.payloads).map(|(_, reason)| reason);
    env.step(Step::IsakmpInformationalReceived, header.message_id, false, notice);
    let mut requests = Requests::default();
    for payload in &opened.payloads {
        match payload {
            Payload::Delete(delete) if delete.protocol == Protocol::Isakmp => {
                requests.gone.extend(delete.spis.as_chunks::<16>().0);
            }
            Payload::Delete(delete) if delete.protocol == Protocol::Esp => {
                for spi_out in delete.child_spis() {
                    env.step(Step::ChildDeleteReceived, spi_out, false, None);
                    // It may not even have been confirmed.
                    sa.quick.retain(|quick| quick.answered() != Some(spi_out));
                    requests.lost_child |= deleted(env, children, spi_out);
                }
            }
            Payload::Notify(n) => requests.lost_child |= noticed(sa, env, children, n),
            _ => {}
        }
        if let Payload::Notify(n) = payload {
            requests.initial_contact |= n.kind == NotifyType::InitialContact;
        }
    }
    Ok(requests)
}

/// The peer has deleted the SA on which this end sends with `spi_out`. True if none is left that sends.
fn deleted(env: &mut Env, children: &mut Children, spi_out: u32) -> bool {
    let known = children.all.iter().find(|child| child.spi_out == spi_out).map(|child| child.spi_in);
    let Some(spi_in) = known else {
        return false;
    };
    children.down(env, spi_in, Reason::PeerDeleted);
    children.current().is_none()
}

/// True if the last CHILD_SA that sends is lost by it.
fn noticed(sa: &mut Sa, env: &mut Env, children: &mut Children, notify: &Notify<'_>) -> bool {
    match notify.kind {
        NotifyType::RUThere => {
            // RFC 3706 section 5.3: the same sequence number comes back.
            let cookies = sa.cookies.octets();
            if notify.spi == cookies && notify.data.len() == 4 {
                let kind = NotifyType::RUThereAck;
                self::notify(sa, env, &Notify { protocol: Protocol::Isakmp, spi: &cookies, kind, data: notify.data });
            }
            false
        }
        NotifyType::RUThereAck => {
            let sequence = notify.data.try_into().map(u32::from_be_bytes);
            if let (Some(established), Ok(sequence)) = (sa.established_mut(), sequence)
                && let Some(probe) = established.probe
                && sequence.wrapping_sub(probe.first) < established.sequence.wrapping_sub(probe.first)
            {
                established.probe = None;
            }
            false
        }
        NotifyType::InvalidSpi => {
            let spi = notify.spi.try_into().or_else(|_| notify.data.try_into()).map(u32::from_be_bytes).ok();
            let lost = children.all.iter().find(|child| Some(child.spi_out) == spi && child.phase == ChildPhase::Up);
            let Some(spi_in) = lost.map(|child| child.spi_in) else {
                return false;
            };
            delete_children(sa, env, &[spi_in]);
            children.down(env, spi_in, Reason::InvalidSpi);
            children.current().is_none()
        }
        kind if kind.is_error() => {
            refused(sa, env, children, notify);
            false
        }
        _ => false,
    }
}

/// The peer refuses a Quick Mode of this end: the one whose SPI it names, or the only one.
fn refused(sa: &mut Sa, env: &mut Env, children: &mut Children, notify: &Notify<'_>) {
    let spi = notify.spi.try_into().map(u32::from_be_bytes);
    let named = spi.ok().and_then(|spi| sa.quick.iter().position(|quick| quick.offered(spi)));
    let mut own = sa.quick.iter().enumerate().filter(|(_, quick)| quick.begun().is_some()).map(|(i, _)| i);
    let only = own.next().filter(|_| own.next().is_none());
    if let Some(i) = named.or(only) {
        let replaces = sa.quick.remove(i).begun().flatten();
        children.refused(env, replaces, reason_of(notify.kind));
    }
}

/// Begins a Quick Mode if the tunnel wants a CHILD_SA for this policy and has none.
pub(super) fn want_child(sa: &mut Sa, env: &mut Env, children: &Children, policy: u8) {
    // A route-based end has one policy, whatever numbers it gives to its peer's.
    let there = if env.config.policies.is_empty() { children.current() } else { children.current_of(policy) };
    let lacks = there.is_none();
    if lacks && quick_mode::wanted(&env.config) && !quick_mode::under_way(sa, policy) {
        quick_mode::begin(sa, env, quick_mode::Purpose::First(policy));
    }
}
