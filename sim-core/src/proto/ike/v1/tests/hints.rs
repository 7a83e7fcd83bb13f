//! INVALID-COOKIE (RFC 2408 section 5.2): peers that have lost their state, and those who only say so.

use super::fast_configs;
use super::pair::{A, B, Pair};
use crate::proto::ike::config::{DpdAction, DpdBase, DpdModel};
use crate::proto::ike::{Config, Datagram, Input, Output, SaKind};
use crate::reason::{DropReason, Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::v1::{Builder, ExchangeType, Flags, Header, Notify, NotifyType, Payload, Protocol};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A asks only after two minutes of silence, and takes 30 s without an answer for death. B asks nothing.
fn patient() -> [Config; 2] {
    let mut configs = fast_configs();
    configs[A].rekey.initiates = true;
    configs[A].dpd.idle = secs(120);
    configs[A].dpd.model = DpdModel::Timeout { interval: secs(10), timeout: secs(30), base: DpdBase::FirstFailedProbe };
    configs[B].dpd.action = DpdAction::None;
    configs
}

/// B loses everything after 20 s, and A begins a Quick Mode five seconds later, as for a rekey. When A is down.
fn reboot(says_invalid_cookie: bool) -> (Pair, Instant) {
    let mut configs = patient();
    configs[B].invalid_cookie = says_invalid_cookie;
    let mut pair = Pair::up(configs);
    pair.run_until(Instant::from_secs(20));
    pair.input(B, Input::Reset);
    pair.ends[B].installed.clear();
    pair.ends[B].sending = None;
    pair.run_until(Instant::from_secs(25));
    let spi_in = *pair.ends[A].installed.keys().next().unwrap();
    pair.input(A, Input::RekeyChild { spi_in });
    pair.run_until(Instant::from_secs(200));
    assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    let (at, reason) = pair.entered(A, SaKind::Ike, State::Connecting).expect("A begins anew");
    assert_eq!(reason, Reason::DpdRestart);
    (pair, at)
}

/// As isakmpd does: B does not know the cookies of the Quick Mode and says so. A asks at once, is told the same once in ten seconds, and
/// believes its own timeout alone: 30 s after its first question, which goes out 20 ms after the Quick Mode.
#[test]
fn a_reboot_with_a_hint() {
    let (pair, at) = reboot(true);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(at, Instant::from_nanos(55_020_000_000));
}

/// As strongSwan and Libreswan do: B is silent. A repeats its Quick Mode and asks after two minutes of silence; 30 s later it gives up.
/// The last that it heard of B is Quick Mode's second message, the eighth of the set-up and so at 80 ms.
#[test]
fn a_reboot_without_a_hint() {
    let (pair, at) = reboot(false);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(at, Instant::from_nanos(150_080_000_000));
}

fn cookies(pair: &Pair) -> (u64, u64) {
    let header = Header::parse(pair.ends[B].sent.last().unwrap()).unwrap();
    (header.cookie_i, header.cookie_r)
}

/// INVALID-COOKIE about an ISAKMP SA, in clear. The cookies of its header are the sender's to choose.
fn invalid_cookie(about: (u64, u64), kind: NotifyType) -> Vec<u8> {
    let spi = [about.0.to_be_bytes(), about.1.to_be_bytes()].concat();
    let mut builder = Builder::new(&Header::new((1, 2), ExchangeType::Informational, Flags::default(), 7));
    builder.push(&Payload::Notify(Notify { protocol: Protocol::Isakmp, spi: &spi, kind, data: &[] }));
    builder.finish()
}

/// Hands A a datagram as if B had sent it; how many A sends for it, and what else it does.
fn hand(pair: &mut Pair, bytes: Vec<u8>) -> (usize, Vec<Output>) {
    let datagram = Datagram { local: (pair.ends[A].address, 500), remote: (pair.ends[B].address, 500), bytes };
    let peer = &mut pair.ends[A].peer;
    peer.handle(pair.now, Input::Datagram(datagram));
    let all: Vec<Output> = core::iter::from_fn(|| peer.poll()).collect();
    let (sent, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|o| matches!(o, Output::Transmit { .. }));
    (sent.len(), others)
}

/// A forged hint costs a question, once in ten seconds, and ends nothing.
#[test]
fn a_forged_hint_ends_nothing() {
    let mut pair = Pair::up(patient());
    let cookies = cookies(&pair);
    let bytes = invalid_cookie(cookies, NotifyType::InvalidCookie);
    let hint = Datagram { local: (pair.ends[A].address, 500), remote: (pair.ends[B].address, 500), bytes };
    for _ in 0..5 {
        pair.input(A, Input::Datagram(hint.clone()));
        pair.run_for(secs(1));
    }
    assert_eq!(pair.datagrams, 2, "one question and its answer\n{}", pair.ladder);
    pair.run_for(secs(6));
    pair.input(A, Input::Datagram(hint));
    pair.run_for(secs(40));
    assert_eq!(pair.datagrams, 4, "{}", pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down), None);
}

#[test]
fn other_hints_have_no_effect_and_no_answer() {
    let mut pair = Pair::up(patient());
    let (i, r) = cookies(&pair);
    for bytes in [
        invalid_cookie((i, r ^ 1), NotifyType::InvalidCookie),
        invalid_cookie((i, r), NotifyType::InvalidSpi),
        invalid_cookie((i, r), NotifyType::AuthenticationFailed),
    ] {
        let (sent, others) = hand(&mut pair, bytes);
        assert_eq!((sent, others), (0, vec![Output::Ignored { reason: DropReason::UnknownSpi }]));
    }
    // Without liveness checks nobody is asked.
    let mut configs = patient();
    configs[A].dpd.action = DpdAction::None;
    let mut pair = Pair::up(configs);
    let hint = invalid_cookie(cookies(&pair), NotifyType::InvalidCookie);
    assert_eq!(hand(&mut pair, hint).0, 0);
}

/// What belongs to no ISAKMP SA is complained of once in ten seconds, and a complaint never: two ends would go on for ever.
#[test]
fn complaints_are_few_and_not_answered() {
    let mut configs = patient();
    configs[A].invalid_cookie = true;
    let mut pair = Pair::up(configs);
    let stray = |exchange, encryption| {
        let flags = Flags { encryption, ..Flags::default() };
        let mut builder = Builder::new(&Header::new((8, 9), exchange, flags, 7));
        builder.push(&Payload::Nonce(&[1; 16]));
        builder.finish()
    };
    assert_eq!(hand(&mut pair, stray(ExchangeType::Informational, false)).0, 0);
    let answers: usize = (0..100).map(|_| hand(&mut pair, stray(ExchangeType::QuickMode, true)).0).sum();
    assert_eq!(answers, 1);
    pair.now += secs(10);
    assert_eq!(hand(&mut pair, stray(ExchangeType::Informational, true)).0, 1);
}
