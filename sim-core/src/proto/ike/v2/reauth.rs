//! Reauthentication (RFC 7296 section 2.8.3): a rekey proves nothing anew about who the peer is, so some ends replace the
//! IKE_SA by a new one with IKE_SA_INIT and IKE_AUTH from time to time.
//!
//! | order | what happens | dark |
//! |---|---|---|
//! | break before make | DELETE of the IKE_SA with its CHILD_SAs, then a new one | three round trips |
//! | make before break | a new IKE_SA beside the old one, without INITIAL_CONTACT; then DELETE of the old one | no time |
//!
//! A responder says by AUTH_LIFETIME (RFC 4478) how long it believes the initiator. The initiator then acts in time, in the
//! order that it is configured for, breaking first if for none.
//!
//! Left out: a responder that closes an IKE_SA whose initiator did not act in time (RFC 4478 section 3 leaves that to it).

use super::Peer;
use super::env::Env;
use super::sa::Sa;
use crate::proto::ike::config::ReauthenticationOrder;
use crate::reason::Reason;
use crate::time::{Duration, Instant};
use crate::wire::ike::{Notify, NotifyType, Payload};

/// When a new IKE_SA is to be authenticated anew, if this end does so.
pub(super) fn due(env: &Env) -> Option<Instant> {
    env.config.reauthentication.map(|reauthentication| env.now + reauthentication.after)
}

/// The data of this end's AUTH_LIFETIME: seconds.
pub(super) fn lifetime(env: &Env) -> Option<[u8; 4]> {
    let seconds = env.config.auth_lifetime?.as_nanos() / Duration::from_secs(1).as_nanos();
    Some(u32::try_from(seconds).unwrap_or(u32::MAX).to_be_bytes())
}

/// The peer says how long it believes this end. An earlier time that was known already stays.
pub(super) fn told(sa: &mut Sa, env: &Env, payloads: &[Payload<'_>]) {
    let told = payloads.iter().find_map(|payload| match payload {
        Payload::Notify(Notify { kind: NotifyType::AuthLifetime, data, .. }) => (*data).try_into().ok(),
        _ => None,
    });
    let Some(lifetime) = told.map(|seconds| Duration::from_secs(u32::from_be_bytes(seconds).into())) else { return };
    // As early as a rekey would be, but not before half of it (assumed; RFC 4478 section 2 asks for enough time).
    let by = env.now + lifetime.saturating_sub(env.config.rekey.margin).max(lifetime / 2);
    if let Some(established) = sa.established_mut() {
        established.reauth = Some(established.reauth.map_or(by, |due| due.min(by)));
    }
}

impl Peer {
    pub(super) fn reauthenticate(&mut self, i: usize) {
        if let Some(established) = self.sas[i].established_mut() {
            established.reauth = None;
        }
        match self.env.config.reauthentication.map(|reauthentication| reauthentication.order) {
            Some(ReauthenticationOrder::MakeBeforeBreak) => self.begin(Reason::Reauthentication),
            Some(ReauthenticationOrder::BreakBeforeMake) | None => self.delete(i, Reason::Reauthentication),
        }
    }
}
