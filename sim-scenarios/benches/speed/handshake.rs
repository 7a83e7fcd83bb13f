//! What an IKE set-up costs beyond the Diffie-Hellman operations of its two ends.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{U256, U1024, U2048, Uint};
use sim_core::proto::ike::config::{self, Config, EspOffer, Identity, IkeOffer};
use sim_core::proto::ike::{Datagram, Input, Output, Peer};
use sim_core::reason::Reason;
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Instant;

use crate::meter::{Limit, Report, duration};

/// The prime of group 2 (RFC 7296 appendix B.2).
const MODP_1024: &str = concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
);
/// The prime of group 14 (RFC 3526 section 3).
const MODP_2048: &str = concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
    "3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
);

/// Set-ups of both ends, from nothing to an IKE SA and a CHILD_SA, in each group that AWS offers and we have, against
/// two public values and two agreements of the same library with exponents of the same length.
pub fn set_ups(report: &mut Report) {
    let (modp_1024, modp_2048) = (U1024::from_be_hex(MODP_1024), U2048::from_be_hex(MODP_2048));
    group(report, "2", 0.9, config::suite_aes128_sha1_group2(), &mut || modp(&modp_1024));
    group(report, "14", 0.9, config::suite_aes256_sha256_group14(), &mut || modp(&modp_2048));
    openssl_beside(report);
    group(report, "19", 0.7, config::suite_aes128gcm_group19(), &mut || ecp::<32>(&ECDH_P256));
    group(report, "20", 0.9, config::suite_aes256gcm_group20(), &mut || ecp::<48>(&ECDH_P384));
}

/// The fastest library for MODP beside ours, which is the fastest without unsafe code: OpenSSL's own measurement of a
/// set-up's four operations in a group of 2,048 bits (RFC 7919, exponents of 225 bits). For ECP ours is the fastest.
fn openssl_beside(report: &Report) {
    let line = "the same four operations by OpenSSL, 2048 bits";
    if !report.wants(line) {
        return;
    }
    let speed = Command::new("openssl").args(["speed", "-seconds", "1", "-mr", "ffdh2048"]).output();
    let said = speed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // +F8:0:2048:<operations in a second>:<seconds of one>
    let rate = said.lines().find_map(|line| line.strip_prefix("+F")?.split(':').nth(3)?.parse::<f64>().ok());
    report.note(line, &rate.map_or("no openssl".into(), |rate| duration(4e9 / rate)));
}

fn group(report: &mut Report, name: &str, least: f64, suite: (IkeOffer, EspOffer), bare: &mut dyn FnMut()) {
    const SET_UPS: u64 = 20;
    let line = format!("IKE set-up, both ends, against its DH, group {name}");
    if !report.wants(&line) {
        return;
    }
    let mut seed = 0;
    let mut ours = || {
        for _ in 0..SET_UPS {
            seed += 1;
            set_up(seed, &suite);
        }
        SET_UPS
    };
    let mut reference = || {
        (0..SET_UPS).for_each(|_| bare());
        SET_UPS
    };
    let rounds = report.samples(201, 31);
    report.compare(&line, Limit::Rate(least), rounds, &mut ours, &mut reference);
}

/// Two ends that share nothing but datagrams.
fn set_up(seed: u64, suite: &(IkeOffer, EspOffer)) {
    let addresses = [Ipv4Addr::new(203, 0, 113, 10), Ipv4Addr::new(198, 51, 100, 10)];
    let mut ends = [0, 1].map(|end: usize| {
        let (local, remote) = (addresses[end], addresses[1 - end]);
        let mut config = Config::aws(Identity::Ipv4(local), Identity::Ipv4(remote), b"an.example_key");
        (config.ike_offers, config.esp_offers) = (vec![suite.0.clone()], vec![suite.1.clone()]);
        let stream = |purpose| Rng::stream(seed, ["cgw", "aws"][end], purpose);
        let (secrets, timers) = (stream(Purpose::IkeSecrets), stream(Purpose::IkeTimers));
        Peer::new(Arc::new(config), local.into(), remote.into(), secrets, timers, Instant::START)
    });
    ends[0].handle(Instant::START, Input::Initiate(Reason::Startup));
    let mut children = 0;
    let mut end = 0;
    // Four messages: each end has its say twice, and the initiator looks at the last response.
    for _ in 0..5 {
        let mut message = None;
        while let Some(output) = ends[end].poll() {
            match output {
                Output::Transmit { local_port, remote_port, bytes, .. } => {
                    let from = (IpAddr::V4(addresses[end]), local_port);
                    let to = (IpAddr::V4(addresses[1 - end]), remote_port);
                    message = Some(Datagram { local: to, remote: from, bytes });
                }
                Output::ChildUp(child) => {
                    black_box(child);
                    children += 1;
                }
                _ => {}
            }
        }
        end = 1 - end;
        let Some(message) = message else { break };
        ends[end].handle(Instant::START, Input::Datagram(message));
    }
    assert_eq!(children, 2, "both ends have a CHILD_SA");
}

/// The operations of both ends with `crypto-bigint` and exponents of 256 bits.
fn modp<const LIMBS: usize>(prime: &Uint<LIMBS>) {
    let params = FixedMontyParams::new_vartime(prime.to_odd().expect("a prime above 2 is odd"));
    let two = FixedMontyForm::new(&Uint::from_u8(2), &params);
    let privates = [U256::from_be_slice(&[0xa5; 32]), U256::from_be_slice(&[0xc3; 32])];
    let publics = privates.map(|private| black_box(two).pow(&private).retrieve());
    for end in 0..2 {
        let peer = FixedMontyForm::new(&publics[1 - end], &params);
        black_box(peer.pow(&privates[end]).retrieve());
    }
}

/// The operations of both ends with `aws-lc-rs`.
fn ecp<const OCTETS: usize>(algorithm: &'static Algorithm) {
    let private = |octet| PrivateKey::from_private_key(algorithm, &[octet; OCTETS]).expect("a scalar below the order");
    let privates = [private(0xa5), private(0xc3)];
    let publics = [0, 1].map(|end: usize| privates[end].compute_public_key().expect("a public key"));
    for end in 0..2 {
        let peer = UnparsedPublicKey::new(algorithm, publics[1 - end].as_ref());
        let agreed = agreement::agree(&privates[end], peer, (), |shared| {
            black_box(shared);
            Ok(())
        });
        agreed.expect("a point of the curve");
    }
}
