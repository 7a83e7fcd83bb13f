//! NAT detection (RFC 3947 section 3.2): hashes of cookies, address and port, in the third and fourth message of Main Mode.

use core::net::IpAddr;

use super::sa::Cookies;
use crate::crypto::prf::Prf;
use crate::proto::ike::config::NatTraversal;
use crate::proto::ike::env::Env;
use crate::proto::ike::path::Path;
use crate::wire::ike::v1::Payload;

/// The hash that phase 1 has negotiated, over cookies, address and port.
fn hash(prf: Prf, cookies: Cookies, (address, port): (IpAddr, u16)) -> Vec<u8> {
    let address = match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    };
    prf.hash(&[&cookies.octets(), &address, &port.to_be_bytes()])
}

/// What this end believes: the destination of its message, then the source.
pub(super) fn hashes(env: &mut Env, prf: Prf, cookies: Cookies, path: &Path) -> [Vec<u8>; 2] {
    let mut source = hash(prf, cookies, (env.local, path.local_port));
    if env.config.nat == NatTraversal::Force {
        // No address has this hash, so the peer concludes that there is a NAT in front of this end.
        env.secrets.fill(&mut source);
    }
    [hash(prf, cookies, path.remote), source]
}

/// Compares the peer's hashes with the addresses of the datagram that brought them, and notes in `path` who is behind a NAT.
/// True if there is one. A peer that sends none has not agreed to traverse NATs.
pub(super) fn detect(env: &Env, prf: Prf, cookies: Cookies, path: &mut Path, payloads: &[Payload<'_>]) -> bool {
    let mut hashes = payloads.iter().filter_map(|payload| match payload {
        Payload::NatD(hash) => Some(*hash),
        _ => None,
    });
    let (Some(destination), mut sources) = (hashes.next(), hashes.peekable()) else {
        return false;
    };
    if env.config.nat == NatTraversal::Off || sources.peek().is_none() {
        return false;
    }
    // A host with several addresses sends several source hashes; one that fits is enough.
    let remote = hash(prf, cookies, path.remote);
    path.remote_nat = !sources.any(|source| source == remote);
    let local = hash(prf, cookies, (env.local, path.local_port));
    path.local_nat = destination != local || env.config.nat == NatTraversal::Force;
    path.has_nat()
}
