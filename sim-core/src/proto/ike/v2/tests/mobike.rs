//! MOBIKE (RFC 4555): both ends announce it, and addresses change.

use core::net::IpAddr;

use super::pair::{A, B, Fate, Pair, Undertaking, address, configs};
use crate::proto::ike::config::{Config, Mobike, NatTraversal};
use crate::proto::ike::{Datagram, Input, Output, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::{ExchangeType, Notify, NotifyType, Payload};

const SECOND: Duration = Duration::from_secs(1);

fn at(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The addresses of A: the one that it begins with, and one that it gets later.
fn a() -> [IpAddr; 2] {
    [address(A).into(), at("192.0.2.99")]
}

fn b() -> [IpAddr; 2] {
    [address(B).into(), at("203.0.113.2")]
}

/// Two ends that announce it, and believe in the other's addresses.
fn trusting() -> [Config; 2] {
    let mut configs = configs();
    for config in &mut configs {
        config.mobike = Some(Mobike { checks_return: false, ..Mobike::default() });
    }
    configs
}

/// Two ends that announce it, as RFC 4555 section 3.7 has it by default.
fn careful() -> [Config; 2] {
    let mut configs = trusting();
    for config in &mut configs {
        config.mobike = Some(Mobike::default());
    }
    configs
}

fn up(configs: [Config; 2]) -> Pair {
    let mut pair = Pair::up(configs);
    pair.shows_addresses = true;
    pair
}

/// Both ends send ESP for a second and nothing of it is lost.
fn carries(pair: &mut Pair) {
    let (delivered, lost) = (pair.esp_delivered, pair.esp_lost);
    pair.traffic(Duration::from_millis(100), pair.now + SECOND);
    pair.run_for(SECOND);
    assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    assert_eq!((pair.esp_delivered - delivered, pair.esp_lost - lost), (20, 0), "{}", pair.ladder);
}

fn esp(pair: &Pair, end: usize) -> (IpAddr, IpAddr, bool) {
    let moved = pair.ends[end].esp.unwrap_or_else(|| panic!("{end} was not told\n{}", pair.ladder));
    (moved.local, moved.remote, moved.encapsulation.is_some())
}

/// Sections 3.2 to 3.5: both announce it in IKE_AUTH and are at port 4500; the initiator's ESP turns at once, the responder's with
/// the update. There is no NAT, so ESP is in no UDP before and after.
#[test]
fn plain_update() {
    let mut pair = Pair::new(trusting());
    pair.shows_addresses = true;
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    pair.readdress(A, &[a()[1]]);
    pair.run_for(SECOND);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!((esp(&pair, A), esp(&pair, B)), ((a()[1], b()[0], false), (b()[0], a()[1], false)));
    carries(&mut pair);
}

/// Section 3.7: IKE goes to the new address at once, ESP when somebody there has returned the cookie.
#[test]
fn update_with_cookie2() {
    let mut pair = up(careful());
    pair.readdress(A, &[a()[1]]);
    pair.run_for(SECOND);
    insta::assert_snapshot!(pair.ladder);
    carries(&mut pair);
}

#[test]
fn lost_update() {
    let mut pair = up(trusting()).with_fate(0, Fate::Drop);
    pair.readdress(A, &[a()[1]]);
    pair.run_for(SECOND * 10);
    insta::assert_snapshot!(pair.ladder);
    carries(&mut pair);
}

/// The repeated request is answered with the stored response, and changes nothing at the responder.
#[test]
fn lost_response() {
    let mut pair = up(trusting()).with_fate(1, Fate::Drop);
    pair.readdress(A, &[a()[1]]);
    pair.run_for(SECOND * 10);
    insta::assert_snapshot!(pair.ladder);
    carries(&mut pair);
}

/// Sections 3.5 and 3.8: the new address is behind a NAT, so ESP goes in UDP from then on; back at the old one it does not.
#[test]
fn update_behind_a_nat_and_back() {
    let outside = (at("192.0.2.77"), 40_000);
    let mut pair = up(careful());
    pair.nat = Some(outside);
    pair.readdress(A, &[at("10.0.0.9")]);
    pair.run_for(SECOND);
    assert_eq!((esp(&pair, A), esp(&pair, B)), ((at("10.0.0.9"), b()[0], true), (b()[0], outside.0, true)));
    pair.nat = None;
    pair.readdress(A, &[a()[0]]);
    pair.run_for(SECOND);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!((esp(&pair, A), esp(&pair, B)), ((a()[0], b()[0], false), (b()[0], a()[0], false)));
    carries(&mut pair);
}

/// Section 3.9: an end without NAT traversal forbids NATs in IKE_AUTH and in each update; what was translated on the way changes
/// nothing, and after some attempts the initiator gives up.
#[test]
fn no_nats_allowed_and_there_is_one() {
    let mut configs = trusting();
    configs.iter_mut().for_each(|config| config.nat = NatTraversal::Off);
    let mut pair = Pair::new(configs.clone());
    pair.shows_addresses = true;
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    pair.readdress(A, &[a()[1]]);
    pair.run_for(SECOND);
    carries(&mut pair);
    pair.nat = Some((at("192.0.2.77"), 500));
    pair.readdress(A, &[a()[0]]);
    pair.run_for(SECOND * 2);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).map(|(_, reason)| reason), Some(Reason::UnexpectedNat));
    // And nothing begins there either.
    let mut pair = Pair::new(configs);
    pair.nat = Some((at("192.0.2.77"), 500));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    assert!(pair.ladder.contains("IkeAuth response 1 SK {N(UnexpectedNatDetected)}"), "{}", pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).map(|(_, reason)| reason), Some(Reason::UnexpectedNat));
}

/// Sections 3.4 and 3.10: B has told a further address. When the first dies, A's liveness check is repeated to both, the answer
/// comes from the second, and the SAs go there.
#[test]
fn the_responders_further_address_is_used_when_its_first_dies() {
    let mut configs = careful();
    configs[B].mobike = Some(Mobike { additional: vec![b()[1]], ..Mobike::default() });
    let mut pair = Pair::new(configs);
    pair.shows_addresses = true;
    pair.ends[B].further = vec![b()[1]];
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    assert!(pair.ladder.contains("N(MobikeSupported), N(AdditionalIp4Address)"), "{}", pair.ladder);
    pair.ladder.clear();
    pair.dead.insert(b()[0]);
    pair.run_for(SECOND * 39);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!((esp(&pair, A).1, esp(&pair, B).0), (b()[1], b()[1]));
    carries(&mut pair);
}

/// The same with two addresses at the initiator: another access line of its own.
#[test]
fn the_initiators_further_address_is_used_when_its_first_dies() {
    let mut configs = careful();
    configs[A].mobike = Some(Mobike { additional: vec![a()[1]], ..Mobike::default() });
    let mut pair = Pair::new(configs);
    pair.ends[A].further = vec![a()[1]];
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    pair.dead.insert(a()[0]);
    pair.run_for(SECOND * 39);
    assert_eq!((esp(&pair, A).0, esp(&pair, B).1), (a()[1], a()[1]), "{}", pair.ladder);
    carries(&mut pair);
}

/// Section 3.5: UNACCEPTABLE_ADDRESSES changes nothing at the responder. The initiator has no other address, so it gives up and
/// begins anew.
#[test]
fn an_address_that_is_not_acceptable_is_refused() {
    let mut configs = trusting();
    let acceptable = vec!["198.51.100.0/24".parse().expect("a network")];
    configs[B].mobike = Some(Mobike { acceptable, ..Mobike::default() });
    let mut pair = up(configs);
    pair.readdress(A, &[at("198.51.100.200")]);
    pair.run_for(SECOND);
    carries(&mut pair);
    pair.ladder.clear();
    pair.readdress(A, &[a()[1]]);
    pair.run_for(Duration::from_millis(100));
    insta::assert_snapshot!(pair.ladder);
    let (_, reason) = pair.entered(A, SaKind::Ike, State::Down).expect("it gave up");
    assert_eq!(reason, Reason::UnacceptableAddresses);
}

/// Section 3.6: the responder cannot decide; it tells what it has, from its new address, and the initiator moves there.
#[test]
fn the_responders_address_changes() {
    let mut pair = up(careful());
    pair.readdress(B, &[b()[1]]);
    pair.run_for(SECOND);
    insta::assert_snapshot!(pair.ladder);
    assert_eq!((esp(&pair, A), esp(&pair, B)), ((a()[0], b()[1], false), (b()[1], a()[0], false)));
    carries(&mut pair);
}

/// Section 3.6: each list takes the place of the one before, and an address that was taken back is not tried.
#[test]
fn a_list_of_addresses_replaces_the_one_before() {
    let mut pair = up(careful());
    let further = [b()[0], b()[1], at("203.0.113.3"), at("2001:db8::3")];
    for list in [&further[..], &[b()[0], at("203.0.113.3")], &[b()[0]]] {
        pair.readdress(B, list);
        pair.run_for(SECOND);
    }
    insta::assert_snapshot!(pair.ladder);
    pair.ladder.clear();
    pair.dead.insert(b()[0]);
    pair.run_for(SECOND * 39);
    assert!(!pair.ladder.contains("> 203.0.113.3") && !pair.ladder.contains("> 203.0.113.2"), "{}", pair.ladder);
}

/// Without an announcement of the peer the old SAs are of no use: the initiator begins anew from its new address.
#[test]
fn a_peer_without_mobike_gets_new_sas() {
    for announced in [false, true] {
        let mut configs = configs();
        configs[A].mobike = announced.then(Mobike::default);
        let mut pair = up(configs);
        pair.readdress(A, &[a()[1]]);
        pair.run_for(SECOND);
        assert!(
            !pair.ladder.contains("UpdateSaAddresses") && pair.ladder.contains("N(InitialContact)"),
            "{}",
            pair.ladder
        );
        assert_eq!(pair.entered(A, SaKind::Child, State::Down).unwrap().1, Reason::AddressChanged);
        assert!(pair.is_up() && pair.is_symmetric(), "{}", pair.ladder);
    }
}

/// Section 3.5: a second change while the first update is under way. Its response is ignored, another update follows.
#[test]
fn a_change_during_an_update_is_followed_by_another() {
    for delay in [1, 5, 11, 19, 21, 29, 31] {
        let mut pair = up(careful());
        pair.readdress(A, &[a()[1]]);
        pair.run_for(Duration::from_millis(delay));
        pair.readdress(A, &[at("192.0.2.100")]);
        pair.run_for(SECOND * 30);
        assert_eq!((esp(&pair, A).0, esp(&pair, B).1), (at("192.0.2.100"), at("192.0.2.100")), "{}", pair.ladder);
        carries(&mut pair);
    }
}

/// Whatever either end has begun when A's address changes, and whichever of the next datagrams is lost, the tunnel carries traffic
/// between the new addresses in the end, with one IKE_SA and one CHILD_SA.
#[test]
fn an_address_change_meets_every_undertaking_and_loss() {
    let begun = [Undertaking::RekeyChild, Undertaking::RekeyIke];
    for (what, by) in begun.iter().flat_map(|what| [(*what, A), (*what, B)]) {
        for (delay, lost) in [0, 5, 15, 25].iter().flat_map(|delay| (0..8).map(move |lost| (*delay, lost))) {
            let mut pair = up(careful()).with_fate(lost, Fate::Drop);
            pair.undertake(by, what);
            pair.run_for(Duration::from_millis(delay));
            pair.readdress(A, &[a()[1]]);
            pair.run_for(SECOND * 120);
            let case = format!("{what:?} by {by}, {delay} ms before, {lost} lost\n{}", pair.ladder);
            assert_eq!((esp(&pair, A).0, esp(&pair, B).1), (a()[1], a()[1]), "{case}");
            assert!(pair.ends.iter().all(|end| end.installed.len() == 1), "{case}");
            carries(&mut pair);
        }
    }
}

/// The initiator of the first IKE_SA stays the one that decides, whoever rekeys it (section 1.3 of the terms of section 3).
#[test]
fn who_decides_is_the_initiator_of_the_first_ike_sa() {
    for by in [A, B] {
        let mut pair = up(trusting());
        pair.undertake(by, Undertaking::RekeyIke);
        pair.run_for(SECOND);
        pair.ladder.clear();
        pair.readdress(A, &[a()[1]]);
        pair.run_for(SECOND);
        assert_eq!(pair.ladder.matches("N(UpdateSaAddresses)").count(), 1, "{}", pair.ladder);
        carries(&mut pair);
    }
}

/// Section 3.8: an initiator behind a NAT asks with its liveness checks how it is seen, and tells the responder when that has
/// changed. What comes from elsewhere without an update changes nothing.
#[test]
fn a_nat_that_makes_another_mapping_is_noticed_by_the_liveness_check() {
    let mut configs = trusting();
    configs[B].dpd.action = crate::proto::ike::config::DpdAction::None;
    let mut pair = Pair::new(configs);
    pair.nat = Some((at("192.0.2.77"), 40_000));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(SECOND);
    pair.ladder.clear();
    pair.nat = Some((at("192.0.2.77"), 50_000));
    pair.run_for(SECOND * 15);
    insta::assert_snapshot!(pair.ladder);
    let moved = pair.ends[B].esp.and_then(|esp| esp.encapsulation).map(|udp| udp.remote);
    assert_eq!(moved, Some((at("192.0.2.77"), 50_000)));
}

/// Sections 3.7 and 3.8: any INFORMATIONAL request gets its COOKIE2 back, and NAT detection if it has it; it goes back to where it
/// came from, and moves nothing. The responder itself updates nobody.
#[test]
fn a_request_from_elsewhere_is_answered_there_and_moves_nothing() {
    let mut pair = up(careful());
    let cookie = |data| Payload::Notify(Notify::new(NotifyType::Cookie2, data));
    let hash = [7; 20];
    let detection = [NotifyType::NatDetectionSourceIp, NotifyType::NatDetectionDestinationIp]
        .map(|kind| Payload::Notify(Notify::new(kind, &hash)));
    let (local, remote) = ((b()[0], 4500), (at("192.0.2.200"), 7777));
    for (id, data, back) in [(2, &[1; 8][..], true), (3, &[2; 64], true), (4, &[3; 7], false), (5, &[4; 65], false)] {
        let header = pair.forged_header(B, ExchangeType::Informational, id);
        let payloads = [cookie(data), detection[0].clone(), detection[1].clone()];
        let [bytes] = &pair.forged(B, &header, &payloads, usize::MAX)[..] else { panic!("one datagram") };
        pair.ends[B].peer.handle(pair.now, Input::Datagram(Datagram { local, remote, bytes: bytes.clone() }));
        let outputs: Vec<Output> = core::iter::from_fn(|| pair.ends[B].peer.poll()).collect();
        let sent = outputs.iter().find_map(|output| match output {
            Output::TransmitFrom(departure) => Some(departure),
            _ => None,
        });
        let sent = sent.expect("an answer");
        assert_eq!((sent.local, sent.remote), (local, remote));
        let text = pair.describe(&sent.bytes);
        let cookie = if back { ", N(Cookie2)" } else { "" };
        let expected = format!("SK {{N(NatDetectionSourceIp), N(NatDetectionDestinationIp){cookie}}}");
        assert!(text.ends_with(&expected), "{text}");
        assert!(!outputs.iter().any(|output| matches!(output, Output::Moved(_) | Output::PeerMoved { .. })));
    }
    let update = [Payload::Notify(Notify::new(NotifyType::UpdateSaAddresses, &[]))];
    let (outputs, answer) = pair.forge(A, ExchangeType::Informational, 0, &update);
    assert!(answer.ends_with("Informational response 0 SK {}"), "{answer}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Moved(_))), "the responder does not decide");
}

/// Section 3.7: a peer that does not return the cookie that it was sent loses the IKE_SA.
#[test]
fn a_cookie2_that_does_not_come_back_ends_the_ike_sa() {
    let mut configs = careful();
    configs[A].startup = crate::proto::ike::config::Startup::Add;
    let mut pair = up(configs);
    // A's answer to B's check is lost; another takes its place.
    pair = pair.with_fate(3, Fate::Drop);
    pair.readdress(A, &[a()[1]]);
    pair.run_for(Duration::from_millis(100));
    let mut header = pair.forged_header(B, ExchangeType::Informational, 0);
    header.flags.response = true;
    let wrong = [Payload::Notify(Notify::new(NotifyType::Cookie2, &[9; 16]))];
    let [bytes] = &pair.forged(B, &header, &wrong, usize::MAX)[..] else { panic!("one datagram") };
    let (local, remote) = ((b()[0], 4500), (a()[1], 4500));
    pair.input(B, Input::Datagram(Datagram { local, remote, bytes: bytes.clone() }));
    pair.run_for(SECOND);
    assert_eq!(pair.entered(B, SaKind::Ike, State::Down).unwrap().1, Reason::ReturnRoutability, "{}", pair.ladder);
    assert!(!pair.ladder.contains("ESP goes 203.0.113.1 > 192.0.2.99"), "{}", pair.ladder);
}

/// Lists of wrong lengths, of many addresses, and notifications of nonsense are survived and answered.
#[test]
fn nonsense_about_addresses_is_survived() {
    use NotifyType::*;
    let kinds = [
        AdditionalIp4Address,
        AdditionalIp6Address,
        NoAdditionalAddresses,
        UpdateSaAddresses,
        Cookie2,
        NoNatsAllowed,
        MobikeSupported,
        UnacceptableAddresses,
        UnexpectedNatDetected,
        NatDetectionSourceIp,
        NatDetectionDestinationIp,
    ];
    let data = [0x55; 100];
    for to in [A, B] {
        let mut pair = up(careful());
        let first = if to == A { 0 } else { 2 };
        for (n, (kind, length)) in
            kinds.iter().flat_map(|kind| [0, 1, 4, 12, 16, 20, 36, 100].map(|l| (*kind, l))).enumerate()
        {
            let payloads = vec![Payload::Notify(Notify::new(kind, &data[..length])); 3];
            let (_, answer) = pair.forge(to, ExchangeType::Informational, first + n as u32, &payloads);
            assert!(answer.contains("Informational"), "{kind:?} {length} {answer}");
        }
    }
}

/// Both ends lose everything that is sent for a while, in the middle of an update: it goes on when the path is back.
#[test]
fn both_directions_dark_in_the_middle_of_an_update() {
    let mut pair = up(careful());
    pair.readdress(A, &[a()[1]]);
    pair.run_for(Duration::from_millis(15));
    pair.dark = [true, true];
    pair.run_until(Instant::from_secs(20));
    pair.dark = [false, false];
    pair.run_for(SECOND * 30);
    assert_eq!((esp(&pair, A).0, esp(&pair, B).1), (a()[1], a()[1]), "{}", pair.ladder);
    carries(&mut pair);
}
