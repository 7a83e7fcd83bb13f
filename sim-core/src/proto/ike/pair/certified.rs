//! Certificates for both ends of a pair.

use super::{A, B, Pair, address};
use crate::crypto::certificate::Trust;
use crate::crypto::certificate::authority::{Authority, Request};
use crate::crypto::signature::{KeyType, PrivateKey, SignatureHash};
use crate::proto::ike::config::{Config, Credentials, Identity};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::rng::{Purpose, Rng};
use crate::time::Duration;

/// When the worlds of these tests begin: 2026-11-25 00:00:00 UTC.
pub const BEGAN: Duration = Duration::from_secs(1_795_564_800);
const NAMES: [&str; 2] = ["cgw", "vpn.endpoint-0"];

fn authority(name: &str) -> Authority {
    let mut rng = Rng::stream(1, name, Purpose::Test);
    Authority::drawn(name, KeyType::EcdsaP256, BEGAN, &mut rng).unwrap()
}

/// What an end has: a certificate of this CA for this long.
pub fn credentials(end: usize, kind: KeyType, issuer: &str, trusted: &str, lasting: Duration) -> Credentials {
    let mut rng = Rng::stream(1, NAMES[end], Purpose::Test);
    let key = PrivateKey::drawn(kind, &mut rng);
    let request = Request {
        subject: format!("CN={}", NAMES[end]),
        dns: vec![NAMES[end].into()],
        addresses: vec![address(end)],
        not_before: BEGAN,
        not_after: BEGAN + lasting,
    };
    let issuer = authority(issuer);
    let certificate = issuer.issue(&request, &key, &mut rng).unwrap();
    Credentials {
        chain: vec![certificate, issuer.subordinate],
        key,
        trust: Trust { authorities: vec![authority(trusted).root], wants_identifiers: end == B },
        any_identity: end == B,
        hashes: SignatureHash::OFFERED.to_vec(),
        began: BEGAN,
    }
}

pub const HOUR: Duration = Duration::from_secs(3600);

/// Ends that prove themselves so, each expecting the other's subject.
pub fn with(mut configs: [Config; 2], credentials: [Credentials; 2]) -> [Config; 2] {
    for (config, credentials) in configs.iter_mut().zip(credentials) {
        config.local_id = Identity::DistinguishedName(credentials.chain[0].subject_der());
        config.credentials = Some(credentials);
    }
    configs[A].remote_id = configs[B].local_id.clone();
    configs[B].remote_id = configs[A].local_id.clone();
    configs
}

/// A pair whose first end calls, after nine tenths of a second.
pub fn start(configs: [Config; 2]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_millis(900));
    pair
}

/// Why each end went down.
pub fn reasons(pair: &Pair) -> [Reason; 2] {
    assert!(!pair.is_up(), "{}", pair.ladder);
    [A, B].map(|end| pair.entered(end, SaKind::Ike, State::Down).expect(&pair.ladder).1)
}
