//! A peer that holds the keys and sends what it should not.

use super::pair::{A, B, Pair, configs};
use crate::proto::ike::{Output, SaKind};
use crate::reason::{DropReason, Reason, State, Step};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload, PayloadType};

const INFO: ExchangeType = ExchangeType::Informational;
const CHILD: ExchangeType = ExchangeType::CreateChildSa;

fn unknown(critical: bool) -> Payload<'static> {
    Payload::Opaque { kind: PayloadType::Other(200), critical, body: b"?" }
}

/// RFC 7296 section 2.5: refused if critical, skipped if not.
#[test]
fn an_unknown_payload_is_refused_only_if_it_is_critical() {
    let mut pair = Pair::up(configs());
    let (_, answer) = pair.forge(B, INFO, 2, &[unknown(false)]);
    assert_eq!(answer, "Informational response 2 SK {}");
    let (_, answer) = pair.forge(B, INFO, 3, &[unknown(true)]);
    assert_eq!(answer, "Informational response 3 SK {N(UnsupportedCriticalPayload)}");
    assert!(pair.is_up());
}

/// RFC 7296 section 2.21.3: an authentic message that makes no sense ends the IKE_SA.
#[test]
fn an_authentic_message_without_sense_ends_the_ike_sa() {
    let mut pair = Pair::up(configs());
    let nonsense = Payload::Opaque { kind: PayloadType::Nonce, critical: false, body: b"short" };
    let (outputs, answer) = pair.forge(B, INFO, 2, &[nonsense]);
    assert_eq!(answer, "Informational response 2 SK {N(InvalidSyntax)}");
    assert!(outputs.iter().any(|output| matches!(
        output,
        Output::State { sa: SaKind::Ike, to: State::Down, reason: Reason::InvalidSyntax, .. }
    )));
}

#[test]
fn what_is_left_out_is_refused_by_name() {
    for (exchange, name) in [(ExchangeType::IkeAuth, "IkeAuth"), (ExchangeType::Other(99), "Other(99)")] {
        let mut pair = Pair::up(configs());
        let (_, answer) = pair.forge(B, exchange, 2, &[]);
        assert_eq!(answer, format!("{name} response 2 SK {{N(InvalidSyntax)}}"));
        // INVALID_SYNTAX under protection ends the IKE_SA at both ends (RFC 7296 section 2.21.3).
        assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Down);
    }
}

/// A CREATE_CHILD_SA without a nonce. RFC 7296 section 2.21.3.
#[test]
fn a_request_that_lacks_what_it_must_have_ends_the_ike_sa() {
    let mut pair = Pair::up(configs());
    let (_, answer) = pair.forge(B, CHILD, 2, &[]);
    assert_eq!(answer, "CreateChildSa response 2 SK {N(InvalidSyntax)}");
    assert_eq!(pair.ends[B].peer.state(SaKind::Ike), State::Down);
    // The answer is there to be asked for again.
    assert_eq!(pair.forge(B, CHILD, 2, &[]).1, answer);
}

/// RFC 7296 section 2.25.
#[test]
fn a_rekey_of_an_sa_that_is_not_there_is_not_found() {
    let mut pair = Pair::up(configs());
    let rekey = Payload::Notify(Notify::about_child(crate::wire::ike::Protocol::Esp, NotifyType::RekeySa, 0x0bad_c0de));
    let nonce = [7; 32];
    let (_, answer) = pair.forge(B, CHILD, 2, &[rekey, Payload::Nonce(&nonce)]);
    assert_eq!(answer, "CreateChildSa response 2 SK {N(ChildSaNotFound)}");
}

/// RFC 7296 section 2.3: a window of 1.
#[test]
fn message_ids_outside_the_window_are_ignored() {
    let mut pair = Pair::up(configs());
    for id in [0, 3, u32::MAX] {
        let (outputs, answer) = pair.forge(B, INFO, id, &[]);
        assert_eq!(answer, "");
        let reason = DropReason::UnexpectedMessage;
        assert_eq!(outputs, [Output::Ignored { reason }], "message id {id}");
    }
}

/// RFC 7296 section 2.1: the stored response, octet by octet, however often it is asked for.
#[test]
fn a_repeated_request_gets_the_stored_response() {
    let mut pair = Pair::up(configs());
    let response = |outputs: Vec<Output>| {
        outputs.into_iter().find_map(|output| match output {
            Output::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        })
    };
    let first = response(pair.forge(B, INFO, 2, &[]).0).unwrap();
    for _ in 0..3 {
        let (outputs, _) = pair.forge(B, INFO, 2, &[]);
        let step = |wanted| {
            let mut steps = outputs.iter();
            steps.any(|o| matches!(o, Output::Step { step, response: true, .. } if *step == wanted))
        };
        assert!(step(Step::Retransmitted));
        assert_eq!(response(outputs), Some(first.clone()));
    }
    // Only the one before: it is forgotten once the next is answered.
    pair.forge(B, INFO, 3, &[]);
    assert_eq!(pair.forge(B, INFO, 2, &[]).1, "");
}

/// An end never believes its own messages when they come back.
#[test]
fn a_reflected_message_is_ignored() {
    let mut pair = Pair::up(configs());
    let bytes = pair.ends[B].sent.last().unwrap().clone();
    let datagram =
        crate::proto::ike::Datagram { local: (pair.ends[B].address, 500), remote: (pair.ends[A].address, 500), bytes };
    let input = crate::proto::ike::Input::Datagram(datagram);
    pair.ends[B].peer.handle(pair.now, input);
    let output = pair.ends[B].peer.poll();
    let reason = DropReason::UnknownSpi;
    assert_eq!(output, Some(Output::Ignored { reason }));
}
