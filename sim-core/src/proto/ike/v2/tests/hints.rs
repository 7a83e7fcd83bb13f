//! Peers that have lost their state, and those who only say so (RFC 7296 sections 1.5 and 2.21.4).

use super::pair::{A, B, Fate, Pair, configs};
use crate::proto::ike::config::{DpdAction, DpdModel};
use crate::proto::ike::{Datagram, Input, Output, SaKind};
use crate::reason::{DropReason, Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::{Builder, ExchangeType, Flags, Header, Message, Notify, NotifyType, Payload};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Power loss at an end: it forgets, and comes back at once.
fn forget(pair: &mut Pair, end: usize) {
    pair.input(end, Input::Reset);
    pair.ends[end].installed.clear();
    pair.ends[end].sending = None;
}

/// B has lost everything. It answers A's check without protection; A believes its own timeout only, 40 s after the last packet,
/// and begins anew.
#[test]
fn a_peer_that_lost_its_state_says_so_and_is_not_believed() {
    let mut pair = Pair::up(configs());
    forget(&mut pair, B);
    pair.run_for(secs(45));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
    let (at, reason) = pair.entered(A, SaKind::Ike, State::Connecting).unwrap();
    assert_eq!(reason, Reason::DpdRestart);
    assert_eq!(at, Instant::from_nanos(40_040_000_000));
}

/// Lost between IKE_SA_INIT and IKE_AUTH: nothing that A can trust, so it repeats IKE_AUTH until its series ends after 165 s.
#[test]
fn a_responder_that_loses_its_state_in_the_handshake() {
    let mut pair = Pair::new(configs());
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_until(Instant::from_nanos(25_000_000));
    forget(&mut pair, B);
    pair.run_until(Instant::from_secs(170));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
}

/// Lost by the initiator at the same moment: its half-open IKE_SA at B is forgotten, and A begins anew without waiting for that.
#[test]
fn an_initiator_that_loses_its_state_in_the_handshake() {
    for at in [5, 15, 25, 35] {
        let mut pair = Pair::new(configs());
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_until(Instant::from_nanos(at * 1_000_000));
        forget(&mut pair, A);
        pair.run_for(secs(1));
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(secs(60));
        assert!(pair.is_up() && pair.is_symmetric(), "{at}\n{}", pair.ladder);
        assert!(pair.ends.iter().all(|end| end.installed.len() == 1));
    }
}

/// Lost in the middle of a rekey, of either kind, by either end, whichever message is under way.
#[test]
fn state_lost_in_the_middle_of_a_rekey() {
    use super::pair::Undertaking::{RekeyChild, RekeyIke};
    for (what, end, at) in [RekeyChild, RekeyIke]
        .into_iter()
        .flat_map(|what| [A, B].map(|end| (what, end)))
        .flat_map(|(what, end)| [5, 15, 25, 35].map(|at| (what, end, at)))
    {
        let mut configs = configs();
        configs[A].child_lifetime = secs(100_000);
        let mut pair = Pair::up(configs);
        pair.undertake(A, what);
        pair.run_for(Duration::from_millis(at));
        forget(&mut pair, end);
        if end == A {
            pair.run_for(secs(2));
            pair.input(A, Input::Initiate(Reason::Startup));
        }
        // A notices a dead peer within 40 s; a request that was under way gets its time.
        pair.run_for(secs(100));
        assert!(pair.is_up() && pair.is_symmetric(), "{what:?} {end} {at}\n{}", pair.ladder);
    }
}

fn one_way(spi_i: u64, kind: NotifyType, data: &[u8]) -> Vec<u8> {
    let flags = Flags { initiator: true, ..Flags::default() };
    let header = Header::v2(spi_i, 0, ExchangeType::Informational, flags, 0);
    let mut builder = Builder::new(&header);
    builder.push(&Payload::Notify(Notify::new(kind, data)));
    builder.finish()
}

fn probes(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Transmit { .. })).count()
}

/// Section 1.5: a one-way INVALID_SPI, whose own SPIs mean nothing and may be zero. If the SPI is one that this end sends on, it
/// asks the peer at once, and the answer shows that all is well. It is asked once in ten seconds. Nothing is answered.
#[test]
fn an_unprotected_invalid_spi_brings_the_next_check_forward() {
    for spi_i in [0, 0x1234] {
        let mut pair = Pair::up(configs());
        let spi = pair.ends[A].installed.values().next().unwrap().spi_out.to_be_bytes();
        let hint = one_way(spi_i, NotifyType::InvalidSpi, &spi);
        let local = (pair.ends[A].address, 500);
        let remote = (pair.ends[B].address, 500);
        let datagram = || Datagram { local, remote, bytes: hint.clone() };
        pair.input(A, Input::Datagram(datagram()));
        assert!(pair.ladder.contains("A -> B  Informational request 2 SK {}"), "{}", pair.ladder);
        pair.run_for(secs(1));
        pair.input(A, Input::Datagram(datagram()));
        pair.run_for(secs(1));
        assert_eq!(pair.datagrams, 2, "{}", pair.ladder);
        pair.run_for(secs(9));
        pair.input(A, Input::Datagram(datagram()));
        assert!(pair.ladder.contains("Informational request 3 SK {}"), "{}", pair.ladder);
        assert!(pair.is_up());
    }
}

#[test]
fn other_hints_have_no_effect_and_no_answer() {
    let mut pair = Pair::up(configs());
    let known = pair.ends[A].installed.values().next().unwrap().spi_out.to_be_bytes();
    let unknown = [1, 2, 3, 4];
    for bytes in [
        one_way(1, NotifyType::InvalidSpi, &unknown),
        one_way(1, NotifyType::InvalidSpi, &known[..3]),
        one_way(1, NotifyType::AuthenticationFailed, &known),
        one_way(1, NotifyType::InvalidIkeSpi, &[]),
    ] {
        let (outputs, _) = pair.hand(A, &bytes);
        assert_eq!(outputs, [Output::Ignored { reason: DropReason::UnexpectedMessage }]);
    }
    // Without liveness checks nobody is asked.
    pair.ends[A].peer.v2.reconfigure(|config| config.dpd.action = DpdAction::None);
    assert_eq!(probes(&pair.hand(A, &one_way(1, NotifyType::InvalidSpi, &known)).0), 0);
}

/// An answer INVALID_IKE_SPI to a request that is under way: the request is a check already.
#[test]
fn a_forged_invalid_ike_spi_ends_nothing() {
    let mut configs = configs();
    configs[A].dpd.model = DpdModel::RetransmissionSeries;
    configs[B].dpd.action = DpdAction::None;
    let mut pair = Pair::up(configs);
    pair.dark[A] = true;
    pair.run_until(Instant::from_secs(11));
    let request = Message::parse(pair.ends[A].sent.last().unwrap()).unwrap().header;
    let mut header = request;
    (header.flags.initiator, header.flags.response) = (false, true);
    let mut builder = Builder::new(&header);
    builder.push(&Payload::Notify(Notify::new(NotifyType::InvalidIkeSpi, &[])));
    let (outputs, _) = pair.hand(A, &builder.finish());
    assert!(matches!(outputs[..], [Output::Step { notice: Some(Reason::InvalidSpi), .. }]), "{outputs:?}");
    pair.dark[A] = false;
    pair.run_for(secs(20));
    assert!(pair.is_up() && pair.is_symmetric());
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down), None);
}

/// A stranger gets one answer a second, however much it sends.
#[test]
fn strangers_are_answered_once_a_second() {
    let mut pair = Pair::up(configs());
    forget(&mut pair, B);
    let bytes = pair.ends[A].sent.last().unwrap().clone();
    let answers = (0..100).map(|_| probes(&pair.hand(B, &bytes).0)).sum::<usize>();
    assert_eq!(answers, 1);
    pair.now += secs(1);
    assert_eq!(probes(&pair.hand(B, &bytes).0), 1);
}

/// Both at once: A's checks are lost and B forgets. A's IKE_SA_INIT comes through in the end.
#[test]
fn lost_checks_and_lost_state() {
    let mut pair = Pair::up(configs());
    forget(&mut pair, B);
    for datagram in 0..4 {
        pair.fates.insert(datagram, Fate::Drop);
    }
    pair.run_for(secs(60));
    assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
}
