//! What somebody without keys can send.

use super::fast_configs;
use super::pair::{A, B, Pair};
use crate::proto::ike::{Datagram, Input, Output, SaKind};
use crate::reason::{DropReason, Reason, State};
use crate::time::Duration;
use crate::wire::ike::HEADER_LEN;
use crate::wire::ike::v1::{
    Builder, Delete, ExchangeType, Flags, Header, Notify, NotifyType, Payload, PayloadType, Protocol,
};

/// Hands B a datagram as if A had sent it; what B does.
fn hand(pair: &mut Pair, bytes: Vec<u8>) -> Vec<Output> {
    let datagram = Datagram { local: (pair.ends[B].address, 500), remote: (pair.ends[A].address, 500), bytes };
    let peer = &mut pair.ends[B].peer;
    peer.handle(pair.now, Input::Datagram(datagram));
    core::iter::from_fn(|| peer.poll()).collect()
}

fn ignored(outputs: &[Output], reason: DropReason) -> bool {
    outputs == [Output::Ignored { reason }]
}

/// The cookies of the last ISAKMP SA, off the wire.
fn cookies(pair: &Pair) -> (u64, u64) {
    let header = Header::parse(pair.ends[B].sent.last().unwrap()).unwrap();
    (header.cookie_i, header.cookie_r)
}

fn clear(cookies: (u64, u64), exchange: ExchangeType, message_id: u32, payload: &Payload<'_>) -> Vec<u8> {
    let mut builder = Builder::new(&Header::new(cookies, exchange, Flags::default(), message_id));
    builder.push(payload);
    builder.finish()
}

/// RFC 2409 section 5.7: once there is an ISAKMP SA, what it does not protect tells nothing.
#[test]
fn what_is_not_protected_is_not_believed() {
    let mut pair = Pair::up(fast_configs());
    let cookies = cookies(&pair);
    let spis = [cookies.0.to_be_bytes(), cookies.1.to_be_bytes()].concat();
    let delete = Payload::Delete(Delete { protocol: Protocol::Isakmp, spi_size: 16, spis: &spis });
    let contact =
        Payload::Notify(Notify { protocol: Protocol::Isakmp, spi: &spis, kind: NotifyType::InitialContact, data: &[] });
    for (exchange, message_id, payload) in [
        (ExchangeType::Informational, 7, &delete),
        (ExchangeType::Informational, 7, &contact),
        (ExchangeType::MainMode, 0, &delete),
        (ExchangeType::MainMode, 9, &delete),
        (ExchangeType::QuickMode, 7, &Payload::Nonce(&[1; 16])),
        (ExchangeType::AggressiveMode, 0, &delete),
        (ExchangeType::NewGroupMode, 7, &delete),
        (ExchangeType::Transaction, 7, &delete),
    ] {
        let outputs = hand(&mut pair, clear(cookies, exchange, message_id, payload));
        assert!(ignored(&outputs, DropReason::UnexpectedMessage), "{exchange:?} {outputs:?}");
    }
    assert!(pair.is_up());
}

/// Aggressive Mode is left out: its first message makes nothing.
#[test]
fn aggressive_mode_is_not_answered() {
    let mut pair = Pair::new(fast_configs());
    let message = clear((1, 0), ExchangeType::AggressiveMode, 0, &Payload::Nonce(&[1; 16]));
    let outputs = hand(&mut pair, message);
    assert!(ignored(&outputs, DropReason::UnknownSpi), "{outputs:?}");
    assert_eq!(pair.ends[B].peer.wake(), None);
}

/// Everything that A ever said, once more and in any order of time: B may repeat an answer, and nothing changes.
#[test]
fn a_replay_changes_nothing() {
    let mut pair = Pair::new(fast_configs());
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(35));
    assert!(pair.is_up());
    let before = pair.ends[B].installed.clone();
    for bytes in pair.ends[A].sent.clone() {
        let outputs = hand(&mut pair, bytes);
        let change = |output: &Output| {
            matches!(
                output,
                Output::State { .. } | Output::ChildUp(_) | Output::ChildDown { .. } | Output::IsakmpKeys(_)
            )
        };
        assert!(!outputs.iter().any(change), "{outputs:?}");
    }
    assert_eq!(pair.ends[B].installed, before);
    pair.run_for(Duration::from_secs(60));
    assert!(pair.is_up());
}

/// A flood of first messages is answered and forgotten; a peer that means it is served all the same.
#[test]
fn half_open_sas_do_not_pile_up() {
    let mut pair = Pair::new(fast_configs());
    pair.input(A, Input::Initiate(Reason::Startup));
    let first = pair.ends[A].sent[0].clone();
    let memory = |pair: &Pair| format!("{:?}", pair.ends[B].peer).len();
    let mut sizes = Vec::new();
    for n in 1..=100u64 {
        let mut forged = first.clone();
        forged[..8].copy_from_slice(&n.to_be_bytes());
        hand(&mut pair, forged);
        sizes.push(memory(&pair));
    }
    assert!(sizes[99] < sizes[4] * 2, "{sizes:?}");
    pair.run_for(Duration::from_secs(5));
    assert!(pair.is_up(), "{}", pair.ladder);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Up);
}

/// An encrypted message whose text is cut is no message.
#[test]
fn a_text_of_broken_blocks_is_malformed() {
    let mut pair = Pair::up(fast_configs());
    for cut in [0, 1, 15, 17] {
        let flags = Flags { encryption: true, ..Flags::default() };
        let header = Header::new(cookies(&pair), ExchangeType::QuickMode, flags, 77);
        let mut bytes = Builder::new(&Header { next_payload: PayloadType::Hash, ..header }).finish();
        bytes.resize(HEADER_LEN + cut, 0);
        let length = (bytes.len() as u32).to_be_bytes();
        bytes[24..28].copy_from_slice(&length);
        let outputs = hand(&mut pair, bytes);
        assert!(ignored(&outputs, DropReason::Malformed), "{outputs:?}");
    }
}
