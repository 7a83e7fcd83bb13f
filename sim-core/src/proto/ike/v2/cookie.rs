//! COOKIE (RFC 7296 section 2.6): a responder that holds many half-open IKE_SAs makes no further one before the initiator has
//! shown that it receives what is sent to its address. The responder keeps nothing of it:
//!
//! ```text
//! cookie = period | prf(secret of the period, Ni | address of the initiator | SPIi)
//! ```
//!
//! The secrets change with each period; a cookie of the period before is good, too.

use core::net::IpAddr;

use subtle::ConstantTimeEq as _;

use super::env::Env;
use crate::crypto::prf::Prf;
use crate::time::Duration;
use crate::wire::ike::{Message, NotifyType, Payload};

/// How long a secret is used (RFC 7296 section 2.6 asks for frequent changes and names no time; assumed).
const PERIOD: Duration = Duration::from_secs(60);

/// A cookie for the sender of an IKE_SA_INIT request. `None` if it has no nonce.
pub(super) fn bake(env: &Env, message: &Message<'_>, initiator: IpAddr) -> Option<Vec<u8>> {
    cookie(env, period(env), message, initiator)
}

/// True if the request carries a cookie of this end that was given to this sender for this nonce and SPI.
pub(super) fn is_good(env: &Env, message: &Message<'_>, initiator: IpAddr) -> bool {
    let Some(shown) = message.payloads.iter().find_map(|payload| match payload {
        Payload::Notify(n) if n.kind == NotifyType::Cookie => Some(n.data),
        _ => None,
    }) else {
        return false;
    };
    let current = period(env);
    let mut periods = [Some(current), current.checked_sub(1)].into_iter().flatten();
    periods.any(|period| cookie(env, period, message, initiator).is_some_and(|good| bool::from(good.ct_eq(shown))))
}

fn period(env: &Env) -> u64 {
    env.now.as_nanos() / PERIOD.as_nanos()
}

fn cookie(env: &Env, period: u64, message: &Message<'_>, initiator: IpAddr) -> Option<Vec<u8>> {
    let nonce = message.payloads.iter().find_map(|payload| match payload {
        Payload::Nonce(nonce) => Some(*nonce),
        _ => None,
    })?;
    let mut secret = [0; 32];
    env.secrets.sibling(&format!("cookies of period {period}")).fill(&mut secret);
    let spi = message.header.spi_i.to_be_bytes();
    let address = match initiator {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let tag = Prf::HmacSha2_256.prf(&secret, &[nonce, &address, &spi]);
    Some([&period.to_be_bytes(), &tag[..]].concat())
}
