//! What a tunnel's set-up in a world costs beyond the Diffie-Hellman operations of its two ends, and what many cost.

use std::hint::black_box;
use std::process::Command;

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, X25519};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{U256, U1024, U2048, Uint};
use sim_core::proto::ike::config;
use sim_core::time::Instant;

use crate::hub::{self, Suite};
use crate::meter::{Limit, Report, cpu_ns, duration, undisturbed};

/// When every tunnel is up, whose set-up takes two round trips of 20 ms.
const SET_UP: Instant = Instant::from_secs(1);

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

/// Set-ups of both ends of a thousand tunnels, from nothing to an IKE SA and a CHILD_SA, over links and a router, against
/// two public values and two agreements each of the same library with exponents of the same length.
pub fn set_ups(report: &mut Report) {
    let (modp_1024, modp_2048) = (U1024::from_be_hex(MODP_1024), U2048::from_be_hex(MODP_2048));
    group(report, "2", 0.9, &config::suite_aes128_sha1_group2(), &mut || modp(&modp_1024));
    group(report, "14", 0.9, &config::suite_aes256_sha256_group14(), &mut || modp(&modp_2048));
    openssl_beside(report);
    group(report, "19", 0.7, &config::suite_aes128gcm_group19(), &mut || ecp::<32>(&ECDH_P256));
    group(report, "20", 0.9, &config::suite_aes256gcm_group20(), &mut || ecp::<48>(&ECDH_P384));
    group(report, "31", 0.7, &config::suite_aes128gcm_group31(), &mut || ecp::<32>(&X25519));
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

fn group(report: &mut Report, name: &str, least: f64, suite: &Suite, bare: &mut dyn FnMut()) {
    let line = format!("IKE set-up in the world, against its DH, group {name}");
    if !report.wants(&line) {
        return;
    }
    let tunnels = report.samples(1_000, 250) as u16;
    let mut costs = [Vec::new(), Vec::new()];
    for seed in 0..report.rounds(9, 5) as u64 {
        costs[0].push(lives_of(seed, tunnels, suite)[0]);
        let began = cpu_ns();
        (0..tunnels).for_each(|_| bare());
        costs[1].push((cpu_ns() - began) as f64 / f64::from(tunnels));
    }
    let [ours, reference] = costs.map(undisturbed);
    match name {
        // Group 31's key exchange takes 40 us, so that all the rest must happen in 17. It does not yet wherever it is measured.
        "31" => report.aim(&line, Limit::Rate(least), ours, reference),
        // The rest of a short set-up is a matter of caches, and the speed of P-384 moves by a fifth with where the linker puts it. Group 2
        // stands at its limit: 0.89 to 0.94 within hours of one machine.
        "2" | "19" | "20" => report.narrow(&line, Limit::Rate(least), ours, reference),
        _ => report.ratio(&line, Limit::Rate(least), ours, reference),
    }
}

/// What setting a tunnel up costs with ten thousand of them in one gateway, against a hundred; and, for the record, the same with
/// a minute in which both ends look every ten seconds whether the other lives: that is short and meets cold caches.
pub fn many(report: &mut Report) {
    let line = "IKE set-up of a tunnel of 10,000, against one of 100";
    if !report.wants(line) {
        return;
    }
    let suite = config::suite_aes128gcm_group19();
    let mut costs = [const { Vec::new() }; 4];
    for seed in 0..report.samples(5, 3) as u64 {
        let few = (0..20).map(|n| lives_of(100 + 20 * seed + n, 100, &suite));
        let few = few.fold([0.0; 2], |sum, one| [sum[0] + one[0] / 20.0, sum[1] + one[1] / 20.0]);
        for (costs, cost) in costs.iter_mut().zip([lives_of(seed, 10_000, &suite), few].concat()) {
            costs.push(cost);
        }
    }
    let [ours, minute, reference, reference_minute] = costs.map(undisturbed);
    report.ratio(line, Limit::Cost(1.2), ours, reference);
    report.note("the same with a minute of liveness checks", &format!("{:.2}", minute / reference_minute));
}

/// CPU time, in nanoseconds for each tunnel, in which a gateway sets its tunnels up; and until a minute is over.
fn lives_of(seed: u64, tunnels: u16, suite: &Suite) -> [f64; 2] {
    let mut world = hub::world(seed, tunnels, suite);
    let began = cpu_ns();
    world.start();
    let costs = [SET_UP, Instant::from_secs(60)].map(|end| {
        world.run_until(end);
        (cpu_ns() - began) as f64 / f64::from(tunnels)
    });
    assert_eq!(hub::up(&world), usize::from(tunnels), "all tunnels are up");
    costs
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
pub fn ecp<const OCTETS: usize>(algorithm: &'static Algorithm) {
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
