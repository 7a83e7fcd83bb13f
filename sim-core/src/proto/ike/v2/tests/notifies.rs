//! Every error notification (RFC 7296 section 3.10.1) that a peer may send, and every one that this end sends.

use super::pair::{A, B, Pair, Undertaking, configs};
use crate::proto::ike::config::{Config, Startup};
use crate::proto::ike::{Datagram, Input, Output, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::{
    ExchangeType, Message, Notify, NotifyType, Payload, Proposal, Protocol, Spi, TrafficSelector, Transform,
    TransformType,
};

/// All of section 3.10.1's error types, with the octets that go with them.
const ERRORS: [(NotifyType, &[u8]); 17] = [
    (NotifyType::UnsupportedCriticalPayload, &[200]),
    (NotifyType::InvalidIkeSpi, &[]),
    (NotifyType::InvalidMajorVersion, &[]),
    (NotifyType::InvalidSyntax, &[]),
    (NotifyType::InvalidMessageId, &[0, 0, 0, 9]),
    (NotifyType::InvalidSpi, &[1, 2, 3, 4]),
    (NotifyType::NoProposalChosen, &[]),
    (NotifyType::InvalidKePayload, &[0, 99]),
    (NotifyType::AuthenticationFailed, &[]),
    (NotifyType::SinglePairRequired, &[]),
    (NotifyType::NoAdditionalSas, &[]),
    (NotifyType::InternalAddressFailure, &[]),
    (NotifyType::FailedCpRequired, &[]),
    (NotifyType::TsUnacceptable, &[]),
    (NotifyType::InvalidSelectors, &[]),
    (NotifyType::TemporaryFailure, &[]),
    (NotifyType::ChildSaNotFound, &[]),
];

fn quiet() -> [Config; 2] {
    let mut configs = configs();
    for config in &mut configs {
        config.child_lifetime = Duration::from_secs(100_000);
        config.ike_lifetime = Duration::from_secs(100_000);
    }
    configs
}

/// A begins something; in place of B somebody with the keys answers with this notification. What A makes of it by 5 s.
fn refused(what: Undertaking, kind: NotifyType, data: &[u8]) -> (Pair, Vec<Output>) {
    let mut pair = Pair::up(quiet());
    pair.undertake(A, what);
    let request = Message::parse(pair.ends[A].sent.last().unwrap()).unwrap().header;
    let mut header = request;
    (header.flags.initiator, header.flags.response) = (false, true);
    let answer = pair.forged(A, &header, &[Payload::Notify(Notify::new(kind, data))], usize::MAX);
    let (outputs, _) = pair.hand(A, &answer[0]);
    (pair, outputs)
}

/// The table of what each error does to each thing that can be begun. INVALID_SYNTAX ends the IKE_SA (section 2.21.3); nothing else
/// does. A refused rekey leaves the old SA in use; only CHILD_SA_NOT_FOUND says that the SA itself is gone (section 2.25).
#[test]
fn every_error_in_answer_to_everything() {
    let mut table = String::new();
    for what in [Undertaking::CreateChild, Undertaking::RekeyChild, Undertaking::RekeyIke, Undertaking::DeleteChild] {
        table.push_str(&format!("{what:?}\n"));
        for (kind, data) in ERRORS {
            let (pair, outputs) = refused(what, kind, data);
            let notice = outputs.iter().find_map(|output| match output {
                Output::Step { response: true, notice, .. } => *notice,
                _ => None,
            });
            let heard = notice.map_or("nothing", Reason::code);
            let peer = &pair.ends[A].peer;
            let states = format!("ike {}, child {}", peer.state(SaKind::Ike), peer.state(SaKind::Child));
            let down = outputs.iter().any(|output| matches!(output, Output::ChildDown { .. }));
            let again = match peer.wake() {
                Some((at, timer)) => format!("{timer} after {}", at.since(pair.now)),
                None => "nothing".into(),
            };
            let gone = if down { ", its SA is gone" } else { "" };
            table.push_str(&format!("    {kind:?}: heard {heard}; {states}{gone}; next {again}\n"));
            let ended = outputs.iter().any(|o| matches!(o, Output::State { sa: SaKind::Ike, to: State::Down, .. }));
            assert_eq!(ended, kind == NotifyType::InvalidSyntax, "{what:?} {kind:?}");
        }
    }
    insta::assert_snapshot!(table);
}

/// In a request of the peer an error is about the whole IKE_SA (AUTHENTICATION_FAILED, section 2.21.2), about a CHILD_SA
/// (INVALID_SPI), or of no consequence. Each is acknowledged (section 1.4).
#[test]
fn every_error_in_a_request_of_the_peer() {
    for (kind, data) in ERRORS {
        let mut pair = Pair::up(quiet());
        let (outputs, answer) =
            pair.forge(B, ExchangeType::Informational, 2, &[Payload::Notify(Notify::new(kind, data))]);
        assert_eq!(answer, "Informational response 2 SK {}", "{kind:?}");
        let down =
            outputs.iter().any(|output| matches!(output, Output::State { sa: SaKind::Ike, to: State::Down, .. }));
        assert_eq!(down, kind == NotifyType::AuthenticationFailed, "{kind:?}");
    }
}

/// An error that nobody knows is an error: the request has failed (section 3.10.1).
#[test]
fn an_unknown_error_is_a_refusal() {
    let (pair, _) = refused(Undertaking::RekeyChild, NotifyType::Other(8_000), &[]);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Up, "the old SA goes on");
    assert_eq!(pair.ends[A].installed.len(), 1);
}

/// The peer offers a CHILD_SA that this end would take.
fn offer(spi: u32) -> Vec<Proposal> {
    let transforms = vec![
        Transform { key_length: Some(128), ..Transform::new(TransformType::Encryption, 20) },
        Transform::new(TransformType::DhGroup, 19),
        Transform::new(TransformType::Esn, 0),
    ];
    vec![Proposal { number: 1, protocol: Protocol::Esp, spi: Spi::from(spi), transforms }]
}

/// Section 1.3: a peer that wants more CHILD_SAs than this end keeps, eight, is told NO_ADDITIONAL_SAS, and what there is stays. When
/// one is deleted there is room again.
#[test]
fn a_ninth_child_is_refused() {
    let mut pair = Pair::up(quiet());
    let dh = crate::crypto::dh::DhPrivate::generate(
        crate::crypto::dh::DhGroup::Ecp256,
        &mut crate::rng::Seldom::stream(1, "offerer", crate::rng::Purpose::Test),
    );
    let any = || vec![TrafficSelector::ANY_V4];
    let create = |pair: &mut Pair, id: u32| {
        let payloads = [
            Payload::Sa(offer(0x1000 + id)),
            Payload::Nonce(&[id as u8; 32]),
            Payload::Ke { group: 19, data: dh.public() },
            Payload::TsI(any()),
            Payload::TsR(any()),
        ];
        pair.forge(B, ExchangeType::CreateChildSa, id, &payloads)
    };
    for id in 2..9 {
        let (outputs, answer) = create(&mut pair, id);
        assert!(answer.contains("SK {SA(1), N, KE(19)"), "{id} {answer}");
        assert!(outputs.iter().any(|output| matches!(output, Output::ChildUp(_))));
    }
    let (outputs, answer) = create(&mut pair, 9);
    assert_eq!(answer, "CreateChildSa response 9 SK {N(NoAdditionalSas)}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::ChildUp(_) | Output::ChildDown { .. })));
    let spi = 0x1002_u32.to_be_bytes();
    let delete = Payload::Delete(crate::wire::ike::Delete { protocol: Protocol::Esp, spi_size: 4, spis: &spi });
    assert_eq!(pair.forge(B, ExchangeType::Informational, 10, &[delete]).1, "Informational response 10 SK {D(Esp)}");
    assert!(create(&mut pair, 11).1.contains("SK {SA(1), N, KE(19)"));
}

/// This end, refused so, goes on with what it has and asks again later.
#[test]
fn no_additional_sas_leaves_the_tunnel_as_it_is() {
    let (mut pair, _) = refused(Undertaking::RekeyChild, NotifyType::NoAdditionalSas, &[]);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Up);
    // B has answered nothing: what it sends to that request now is late and ignored.
    pair.run_until(Instant::from_secs(3));
    assert!(pair.heard(A));
}

/// Section 2.3: a peer may say that it takes several requests at once. This end sends one at a time all the same, and takes one.
#[test]
fn a_larger_window_of_the_peer_is_not_used() {
    let mut pair = Pair::up(quiet());
    let eight = 8_u32.to_be_bytes();
    let larger = Payload::Notify(Notify::new(NotifyType::SetWindowSize, &eight));
    assert_eq!(pair.forge(A, ExchangeType::Informational, 0, &[larger]).1, "Informational response 0 SK {}");
    // Message ID 2 before 1: not in a window of one.
    assert_eq!(pair.forge(A, ExchangeType::Informational, 2, &[]).1, "");
    assert_eq!(pair.forge(A, ExchangeType::Informational, 1, &[]).1, "Informational response 1 SK {}");
    pair.dark = [true; 2];
    pair.datagrams = 0;
    pair.undertake(A, Undertaking::RekeyIke);
    pair.undertake(A, Undertaking::RekeyChild);
    pair.undertake(A, Undertaking::DeleteChild);
    assert_eq!(pair.datagrams, 1, "{}", pair.ladder);
}

/// Section 2.5 outside of an IKE_SA: a higher major version in an IKE_SA_INIT request is answered with this end's, and its
/// Message ID; a lower one that this end does not speak, with nothing.
#[test]
fn a_higher_version_is_told_the_right_one() {
    let mut pair = Pair::new(configs());
    let mut other = Pair::seeded(configs(), 9);
    other.dark = [true; 2];
    other.input(A, Input::Initiate(Reason::Startup));
    let mut bytes = other.ends[A].sent[0].clone();
    bytes[17] = 0x30;
    let (_, answer) = pair.hand(B, &bytes);
    assert_eq!(answer, "IkeSaInit response 0 {N(InvalidMajorVersion)}");
    bytes[17] = 0x00;
    assert_eq!(pair.hand(B, &bytes).1, "");
}

/// The initiator of a handshake that is refused so, without protection, gives the attempt up and tries again later (section
/// 2.21.1), whichever error it is; INVALID_KE_PAYLOAD with a group that it has not offered is such a refusal, too.
#[test]
fn every_error_in_answer_to_ike_sa_init() {
    for (kind, data) in ERRORS {
        let mut configs = configs();
        configs[A].startup = Startup::Start;
        let mut pair = Pair::new(configs);
        pair.dark = [true; 2];
        pair.input(A, Input::Initiate(Reason::Startup));
        let mut header = Message::parse(&pair.ends[A].sent[0]).unwrap().header;
        (header.flags.initiator, header.flags.response) = (false, true);
        let mut builder = crate::wire::ike::Builder::new(&header);
        builder.push(&Payload::Notify(Notify::new(kind, data)));
        let (local, remote) = ((pair.ends[A].address, 500), (pair.ends[B].address, 500));
        pair.input(A, Input::Datagram(Datagram { local, remote, bytes: builder.finish() }));
        assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Down, "{kind:?}");
        pair.dark = [false; 2];
        pair.run_for(Duration::from_secs(2));
        assert!(pair.is_up(), "{kind:?}\n{}", pair.ladder);
    }
}

/// And of one that is refused under protection, in IKE_AUTH.
#[test]
fn every_error_in_answer_to_ike_auth() {
    for (kind, data) in ERRORS {
        let mut pair = Pair::new(configs());
        pair.fates.insert(3, super::pair::Fate::Drop);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_millis(100));
        let mut header = Message::parse(pair.ends[A].sent.last().unwrap()).unwrap().header;
        (header.flags.initiator, header.flags.response) = (false, true);
        let answer = pair.forged(A, &header, &[Payload::Notify(Notify::new(kind, data))], usize::MAX);
        pair.hand(A, &answer[0]);
        assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Down, "{kind:?}");
        assert!(pair.ends[A].installed.is_empty());
    }
}
