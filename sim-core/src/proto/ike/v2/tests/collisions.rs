//! Every two things that both ends can begin on an IKE_SA at once (RFC 7296 section 2.25), on a good path and a bad one; and
//! collisions that other implementations are known to have lost a tunnel by.

use super::pair::{A, B, Fate, Pair, Undertaking, configs};
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::{Input, SaKind};
use crate::reason::Reason;
use crate::time::{Duration, Instant};
use crate::wire::ike::TrafficSelector;
use Undertaking::*;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Both ends keep the tunnel up; nothing is rekeyed by itself.
fn quiet() -> [Config; 2] {
    let mut configs = configs();
    for config in &mut configs {
        config.startup = Startup::Start;
        config.child_lifetime = secs(100_000);
        config.ike_lifetime = secs(100_000);
    }
    configs
}

fn up(seed: u64) -> Pair {
    let mut pair = Pair::seeded(quiet(), seed);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    pair.traffic(secs(1), Instant::from_secs(5));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair
}

/// A and B begin at the same instant.
fn collide(seed: u64, a: Undertaking, b: Undertaking, fates: &[(usize, Fate)]) -> Pair {
    let mut pair = up(seed);
    pair.fates.extend(fates.iter().copied());
    pair.undertake(A, a);
    pair.undertake(B, b);
    pair
}

fn deletes(what: Undertaking) -> bool {
    matches!(what, DeleteChild | DeleteIke)
}

/// What the ladders must show, by RFC 7296 section 2.25:
///
/// | A and B begin | what follows |
/// |---|---|
/// | create, create | the original initiator's goes first, TEMPORARY_FAILURE for the other |
/// | create or rekey of a CHILD_SA, IKE rekey | TEMPORARY_FAILURE both ways, and another try |
/// | rekey, rekey of one SA | answered as usual; the one with the lowest nonce goes |
/// | rekey of a CHILD_SA, its delete | TEMPORARY_FAILURE for the rekey, a DELETE in answer to the DELETE |
/// | delete, delete of a CHILD_SA | answered without a DELETE payload |
/// | IKE rekey, delete of a CHILD_SA | TEMPORARY_FAILURE for the rekey, a DELETE in answer to the DELETE |
/// | anything, delete of the IKE_SA | the delete is answered, the rest refused with TEMPORARY_FAILURE or forgotten |
#[test]
fn every_pair_on_a_good_path() {
    for (i, a) in Undertaking::ALL.into_iter().enumerate() {
        for b in Undertaking::ALL.into_iter().skip(i) {
            let mut pair = collide(1, a, b, &[]);
            pair.run_for(Duration::from_millis(200));
            insta::assert_snapshot!(format!("{a:?}_and_{b:?}"), pair.ladder);
            pair.run_for(secs(200));
            assert!(pair.is_up() && pair.is_symmetric(), "{a:?} {b:?}\n{}", pair.ladder);
        }
    }
}

/// strongSwan #1896: A's request is lost, B's rekey comes through, and A's repetition is refused with TEMPORARY_FAILURE before
/// B's DELETE comes. A must send on B's SA from the DELETE on; there the tunnel was dark until the next rekey.
#[test]
fn a_rekey_refused_after_the_peers_own() {
    let mut pair = collide(2, RekeyChild, RekeyChild, &[(0, Fate::Drop), (3, Fate::Late(secs(5)))]);
    pair.traffic(Duration::from_millis(10), pair.now + secs(12));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.ladder.contains("response 2 SK {N(TemporaryFailure)}"));
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.esp_lost, 0);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
}

/// strongSwan #2477: both rekey at once, and A's request is refused with TS_UNACCEPTABLE. B's SA must take over at A all the same.
#[test]
fn a_rekey_refused_for_its_selectors_beside_the_peers_own() {
    let prefix = |text: &str| vec![TrafficSelector::prefix(text.parse().unwrap())];
    let mut pair = up(1);
    let any = vec![TrafficSelector::ANY_V4];
    pair.ends[B].peer.v2.reconfigure(|config| config.remote_ts = prefix("10.1.0.0/16"));
    pair.ends[A].peer.v2.reconfigure(|config| config.local_ts = prefix("10.2.0.0/16"));
    pair.undertake(A, RekeyChild);
    pair.ends[A].peer.v2.reconfigure(|config| config.local_ts = any);
    pair.undertake(B, RekeyChild);
    pair.traffic(Duration::from_millis(10), pair.now + secs(2));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.ladder.contains("response 2 SK {N(TsUnacceptable)}"));
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.esp_lost, 0);
    assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
}

/// strongSwan #3042: the path fails before an IKE_SA rekey and comes back while it is repeated; repetitions and their answers come
/// twice. The old IKE_SA is deleted, the one just made is not.
#[test]
fn a_path_that_comes_back_during_an_ike_rekey() {
    let mut pair = up(1);
    pair.dark = [true; 2];
    pair.undertake(A, RekeyIke);
    pair.run_for(secs(10));
    pair.dark = [false; 2];
    for datagram in pair.datagrams..pair.datagrams + 4 {
        pair.fates.insert(datagram, Fate::Duplicate);
    }
    pair.traffic(Duration::from_millis(10), pair.now + secs(10));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.ladder.matches("{D(Ike)}").count(), 1);
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.ends[A].peer.v2.established_spis().len(), 1);
    assert_eq!(pair.esp_lost, 0);
}

/// libreswan #1589: A rekeys the IKE_SA while B's request for another CHILD_SA is under way, so each is in the middle of what the
/// other must not be. B's is refused with TEMPORARY_FAILURE (RFC 7296 section 2.25.2); the IKE_SA is rekeyed, then or later, and
/// traffic never stops.
#[test]
fn an_ike_rekey_that_crosses_a_new_child() {
    for late in [0, 2] {
        let mut pair = collide(3, RekeyIke, CreateChild, &[(late, Fate::Late(Duration::from_millis(15)))]);
        pair.traffic(Duration::from_millis(10), pair.now + secs(1));
        if late == 0 {
            insta::assert_snapshot!(pair.ladder);
        }
        pair.traffic(Duration::from_millis(100), pair.now + secs(100));
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
        assert_eq!(pair.esp_lost, 0, "{}", pair.ladder);
        assert!(pair.ladder.contains("Ike rekeying -> up (rekeyed)"), "{}", pair.ladder);
    }
}

/// The same with one or two messages lost, repeated, overtaken or late, at both ends' initiative. Unless somebody deletes, no
/// packet is lost. In the end the tunnel is up and both ends have the same SAs.
#[test]
fn every_pair_on_a_bad_path() {
    let fates = [Fate::Drop, Fate::Duplicate, Fate::Late(Duration::from_millis(25)), Fate::Late(secs(5))];
    let mut runs = 0;
    for a in Undertaking::ALL {
        for b in Undertaking::ALL {
            for (i, first) in (0..6).flat_map(|i| fates.map(|fate| (i, fate))) {
                for (j, second) in (i..6).step_by(2).flat_map(|j| fates.map(|fate| (j, fate))) {
                    let what = format!("{a:?} {b:?}: {i} {first:?}, {j} {second:?}");
                    let mut pair = collide(1 + runs % 4, a, b, &[(i, first), (j, second)]);
                    pair.traffic(secs(1), pair.now + secs(150));
                    pair.run_for(secs(150));
                    assert!(pair.is_up() && pair.is_symmetric(), "{what}\n{}", pair.ladder);
                    if !deletes(a) && !deletes(b) {
                        assert_eq!(pair.esp_lost, 0, "{what}\n{}", pair.ladder);
                        assert_eq!(pair.entered(A, SaKind::Child, crate::reason::State::Down), None, "{what}");
                    }
                    runs += 1;
                }
            }
        }
    }
    assert_eq!(runs, 25 * 192);
}
