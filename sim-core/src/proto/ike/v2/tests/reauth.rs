//! Reauthentication (RFC 7296 section 2.8.3) in both orders, by this end's own choice and by AUTH_LIFETIME (RFC 4478).

use super::pair::{A, B, Fate, Pair, configs};
use crate::proto::ike::SaKind;
use crate::proto::ike::config::{Config, Reauthentication, ReauthenticationOrder};
use crate::reason::{Reason, State, TimerKind};
use crate::time::{Duration, Instant};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn reauthenticating(order: ReauthenticationOrder) -> [Config; 2] {
    let mut configs = configs();
    configs[A].reauthentication = Some(Reauthentication { after: secs(90), order });
    configs
}

/// A tunnel with a packet each 10 ms over the time at which A authenticates anew.
fn over(configs: [Config; 2], fates: &[(usize, Fate)], until: u64) -> Pair {
    let mut pair = Pair::up(configs);
    pair.traffic(secs(1), Instant::from_secs(90));
    pair.ladder.clear();
    pair.datagrams = 0;
    pair.fates.extend(fates.iter().copied());
    pair.traffic(Duration::from_millis(10), Instant::from_secs(until));
    pair
}

/// DELETE, IKE_SA_INIT and IKE_AUTH take a round trip each, 20 ms here. A sends nothing from the response to its DELETE to the
/// response to IKE_AUTH, B from the DELETE to IKE_AUTH: 40 ms each, four packets, and what was under way.
#[test]
fn break_before_make_is_dark_for_its_round_trips() {
    let pair = over(reauthenticating(ReauthenticationOrder::BreakBeforeMake), &[], 92);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
    assert!((8..=12).contains(&pair.esp_lost), "{}", pair.esp_lost);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Deleting).unwrap().1, Reason::Reauthentication);
}

/// The new IKE_SA is made beside the old one, without INITIAL_CONTACT, which would end the old one at B.
#[test]
fn make_before_break_loses_no_packet() {
    let pair = over(reauthenticating(ReauthenticationOrder::MakeBeforeBreak), &[], 92);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.esp_lost, 0);
    assert!(!pair.ladder.contains("InitialContact"), "{}", pair.ladder);
    for end in [A, B] {
        assert_eq!(pair.entered(end, SaKind::Ike, State::Down), None);
        assert_eq!(pair.ends[end].installed.len(), 1);
        assert_eq!(pair.ends[end].peer.v2.established_spis().len(), 1);
    }
}

/// Whatever is lost, in the end there is one tunnel; with make before break it is never down.
#[test]
fn either_order_survives_the_loss_and_delay_of_each_message() {
    for order in [ReauthenticationOrder::BreakBeforeMake, ReauthenticationOrder::MakeBeforeBreak] {
        for fate in [Fate::Drop, Fate::Duplicate, Fate::Late(secs(6))] {
            for hit in 0..8 {
                let pair = over(reauthenticating(order), &[(hit, fate)], 130);
                let what = format!("{order:?} {hit} {fate:?}\n{}", pair.ladder);
                assert!(pair.is_up() && pair.is_symmetric(), "{what}");
                assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{what}");
                if order == ReauthenticationOrder::MakeBeforeBreak {
                    assert_eq!(pair.entered(A, SaKind::Child, State::Down), None, "{what}");
                }
            }
        }
    }
}

/// B begins something at the instant at which A authenticates anew, and one message is lost, repeated or late. The tunnel is there
/// in the end, and unless somebody deletes, make before break has lost no packet.
#[test]
fn either_order_meets_whatever_the_peer_begins() {
    use super::pair::Undertaking;
    for order in [ReauthenticationOrder::BreakBeforeMake, ReauthenticationOrder::MakeBeforeBreak] {
        for what in Undertaking::ALL {
            for (hit, fate) in (0..8).flat_map(|hit| {
                [Fate::Drop, Fate::Duplicate, Fate::Late(Duration::from_millis(15)), Fate::Late(secs(5))]
                    .map(|fate| (hit, fate))
            }) {
                let mut configs = reauthenticating(order);
                for config in &mut configs {
                    config.startup = crate::proto::ike::config::Startup::Start;
                    config.child_lifetime = secs(100_000);
                    config.ike_lifetime = secs(100_000);
                }
                configs[A].reauthentication =
                    configs[A].reauthentication.map(|r| Reauthentication { after: secs(300), ..r });
                let mut pair = Pair::up(configs);
                pair.traffic(secs(1), Instant::from_secs(300));
                pair.run_until(Instant::from_nanos(300_039_999_999));
                pair.ladder.clear();
                pair.datagrams = 0;
                pair.fates.insert(hit, fate);
                pair.undertake(B, what);
                pair.traffic(Duration::from_millis(10), Instant::from_secs(303));
                pair.traffic(secs(1), Instant::from_secs(500));
                let told = format!("{order:?} {what:?} {hit} {fate:?}\n{}", pair.ladder);
                assert!(pair.is_up() && pair.is_symmetric(), "{told}");
                assert!(pair.ends.iter().all(|end| end.peer.v2.established_spis().len() == 1), "{told}");
                let deletes = matches!(what, Undertaking::DeleteChild | Undertaking::DeleteIke);
                if order == ReauthenticationOrder::MakeBeforeBreak && !deletes {
                    assert_eq!(pair.esp_lost, 0, "{told}");
                }
            }
        }
    }
}

/// What it is for: the peer's key was changed. A rekey does not notice; make before break does, and the old IKE_SA goes on.
#[test]
fn a_peer_that_cannot_prove_itself_any_more_is_found_out() {
    for order in [ReauthenticationOrder::BreakBeforeMake, ReauthenticationOrder::MakeBeforeBreak] {
        let mut pair = Pair::up(reauthenticating(order));
        pair.ends[B].peer.v2.reconfigure(|config| config.psk = b"another.key"[..].into());
        pair.undertake(A, super::pair::Undertaking::RekeyIke);
        pair.traffic(secs(1), Instant::from_secs(89));
        assert!(pair.is_up());
        pair.traffic(secs(1), Instant::from_secs(95));
        assert!(pair.ladder.contains("N(AuthenticationFailed)"), "{}", pair.ladder);
        assert_eq!(pair.is_up(), order == ReauthenticationOrder::MakeBeforeBreak, "{}", pair.ladder);
    }
}

/// A rekey in between does not put it off: 90 s after IKE_AUTH, whichever IKE_SA it is by then.
#[test]
fn a_rekey_does_not_put_it_off() {
    let mut pair = Pair::up(reauthenticating(ReauthenticationOrder::MakeBeforeBreak));
    pair.traffic(secs(1), Instant::from_secs(50));
    pair.undertake(A, super::pair::Undertaking::RekeyIke);
    pair.traffic(secs(1), Instant::from_secs(95));
    let due: Vec<Instant> =
        pair.ends[A].expired.iter().filter(|e| e.1 == TimerKind::Reauthentication).map(|e| e.0).collect();
    assert_eq!(due, [Instant::from_nanos(90_040_000_000)]);
    assert!(pair.is_up() && pair.is_symmetric());
}

/// RFC 4478: B believes A for 600 s, and says so in IKE_AUTH. A acts 270 s before that, its rekey margin; the new IKE_AUTH says it
/// again.
#[test]
fn an_auth_lifetime_is_kept_by_the_initiator() {
    let mut configs = configs();
    configs[B].auth_lifetime = Some(secs(600));
    let mut pair = Pair::new(configs);
    pair.input(A, crate::proto::ike::Input::Initiate(Reason::Startup));
    pair.run_for(secs(1));
    assert!(pair.ladder.contains("TSr(0.0.0.0-255.255.255.255), N(AuthLifetime)}"), "{}", pair.ladder);
    pair.traffic(secs(1), Instant::from_secs(700));
    let due: Vec<u64> = pair.ends[A]
        .expired
        .iter()
        .filter(|e| e.1 == TimerKind::Reauthentication)
        .map(|e| e.0.as_nanos() / 1_000_000_000)
        .collect();
    assert_eq!(due, [330, 660]);
    assert!(pair.is_up() && pair.is_symmetric());
}

/// RFC 4478 section 3: in an INFORMATIONAL too. The sooner of two times counts.
#[test]
fn an_auth_lifetime_may_come_later() {
    use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload};
    let mut pair = Pair::up(reauthenticating(ReauthenticationOrder::MakeBeforeBreak));
    let told = |seconds: u32| seconds.to_be_bytes();
    let (long, short, odd) = (told(4_000), told(40), [1, 2, 3]);
    for (id, data) in [(0, &long[..]), (1, &odd), (2, &short)] {
        let notify = Payload::Notify(Notify::new(NotifyType::AuthLifetime, data));
        assert!(pair.forge(A, ExchangeType::Informational, id, &[notify]).1.contains("response"), "{id}");
    }
    pair.run_until(Instant::from_secs(22));
    let first = pair.ends[A].expired.iter().find(|e| e.1 == TimerKind::Reauthentication).unwrap().0;
    assert_eq!(first, Instant::from_secs(21), "half of 40 s after it was told at 1 s");
}
