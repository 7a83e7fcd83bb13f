//! NAT detection (RFC 7296 section 2.23): each end says what it believes its own and the peer's address to be, as a hash.

use core::net::IpAddr;

use sha1::{Digest as _, Sha1};

use super::env::Env;
use super::sa::Path;
use crate::proto::ike::config::NatTraversal;
use crate::proto::ike::mobility::Ends;
use crate::wire::ike::{Notify, NotifyType, Payload};

pub(super) type Hash = [u8; 20];

/// SHA-1 of SPIs, address and port.
fn hash(spis: (u64, u64), (address, port): (IpAddr, u16)) -> Hash {
    let mut sha = Sha1::new();
    sha.update(spis.0.to_be_bytes());
    sha.update(spis.1.to_be_bytes());
    match address {
        IpAddr::V4(a) => sha.update(a.octets()),
        IpAddr::V6(a) => sha.update(a.octets()),
    }
    sha.update(port.to_be_bytes());
    sha.finalize().into()
}

/// The two hashes of a message in IKE_SA_INIT: of its source and of its destination. `None` if NAT traversal is off.
pub(super) fn hashes(env: &mut Env, spis: (u64, u64), path: &Path) -> Option<[Hash; 2]> {
    let ends = Ends { local: (env.local, path.local_port), remote: path.remote };
    hashes_between(env, spis, &ends)
}

/// The same of a message that goes between these addresses and ports.
pub(super) fn hashes_between(env: &mut Env, spis: (u64, u64), ends: &Ends) -> Option<[Hash; 2]> {
    let mut source = hash(spis, ends.local);
    match env.config.nat {
        NatTraversal::Off => return None,
        NatTraversal::Detect => {}
        // No address has this hash, so the peer concludes that there is a NAT in front of this end.
        NatTraversal::Force => env.secrets.fill(&mut source),
    }
    Some([source, hash(spis, ends.remote)])
}

/// The notifications that carry them.
pub(super) fn payloads(hashes: &Option<[Hash; 2]>) -> impl Iterator<Item = Payload<'_>> {
    hashes.iter().flat_map(|[source, destination]| {
        [
            Payload::Notify(Notify::new(NotifyType::NatDetectionSourceIp, source)),
            Payload::Notify(Notify::new(NotifyType::NatDetectionDestinationIp, destination)),
        ]
    })
}

/// True if both ends look for NATs, so that both have port 4500.
pub(super) fn is_traversed_by_both(env: &Env, payloads: &[Payload<'_>]) -> bool {
    let looks = |p: &Payload<'_>| matches!(p, Payload::Notify(n) if n.kind == NotifyType::NatDetectionSourceIp);
    env.config.nat != NatTraversal::Off && payloads.iter().any(looks)
}

/// Compares the peer's hashes with the addresses of the datagram that brought them, and notes in `path` who is behind a NAT.
/// True if there is one. Without both notifications the peer cannot float.
pub(super) fn detect(env: &Env, spis: (u64, u64), path: &mut Path, payloads: &[Payload<'_>]) -> bool {
    let data = |kind: NotifyType| {
        payloads.iter().filter_map(move |payload| match payload {
            Payload::Notify(n) if n.kind == kind => Some(n.data),
            _ => None,
        })
    };
    let mut sources = data(NotifyType::NatDetectionSourceIp).peekable();
    let mut destinations = data(NotifyType::NatDetectionDestinationIp).peekable();
    if env.config.nat == NatTraversal::Off || sources.peek().is_none() || destinations.peek().is_none() {
        return false;
    }
    // A host with several addresses sends several source hashes; one that fits is enough.
    let remote = hash(spis, path.remote);
    let local = hash(spis, (env.local, path.local_port));
    path.remote_nat = !sources.any(|h| h == remote);
    path.local_nat = !destinations.any(|h| h == local) || env.config.nat == NatTraversal::Force;
    path.remote_nat || path.local_nat
}
