//! IKE_SA_INIT and IKE_AUTH: the regular way, refusals, and a path that loses, repeats and delays.

use super::pair::{A, B, Fate, Pair, address, configs, default_configs};
use crate::proto::ike::config::{Identity, Mobike, NatTraversal, suite_aes256gcm_group20};
use crate::proto::ike::{Input, SaKind};
use crate::reason::{Reason, State};
use crate::time::{Duration, Instant};
use crate::wire::ike::{ExchangeType, Header, Notify, NotifyType, Payload, TrafficSelector};

fn start(configs: [crate::proto::ike::Config; 2]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair
}

#[test]
fn regular_set_up() {
    let mut pair = start(default_configs());
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    let sa = |end: usize| pair.ends[end].installed.values().next().unwrap();
    assert_eq!(sa(A).inbound, sa(B).outbound);
    assert_eq!(sa(A).spi_in, sa(B).spi_out);
    assert_eq!(sa(A).encapsulation, None);
}

#[test]
fn invalid_ke_is_answered_with_the_right_group_and_the_full_list() {
    let mut configs = configs();
    let (ike, esp) = suite_aes256gcm_group20();
    configs[A].ike_offers[0].groups = vec![crate::crypto::dh::DhGroup::Ecp256, crate::crypto::dh::DhGroup::Ecp384];
    configs[A].ike_offers[0].encryption.extend(&ike.encryption);
    configs[A].ike_offers[0].prf.extend(&ike.prf);
    configs[A].esp_offers.push(esp.clone());
    configs[B].ike_offers = vec![ike];
    configs[B].esp_offers = vec![esp];
    let mut pair = start(configs);
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// RFC 7296 section 2.1: an unanswered request is sent again, bit by bit, and a repeated request gets the stored response.
#[test]
fn the_loss_of_each_message_is_repaired_by_the_initiator() {
    let mut ladders = String::new();
    for lost in 0..4 {
        let mut pair = Pair::new(configs()).with_fate(lost, Fate::Drop);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(6));
        assert!(pair.is_up(), "{}", pair.ladder);
        ladders.push_str(&format!("datagram {lost} is lost\n{}\n", pair.ladder));
        let repeated = |end: usize| {
            let sent = &pair.ends[end].sent;
            (1..sent.len()).any(|i| sent[i] == sent[i - 1])
        };
        assert!(repeated(A));
        assert_eq!(repeated(B), lost % 2 == 1);
    }
    insta::assert_snapshot!(ladders);
}

#[test]
fn the_duplication_of_each_message_changes_nothing() {
    for twice in 0..4 {
        let mut pair = Pair::new(configs()).with_fate(twice, Fate::Duplicate);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(60));
        assert!(pair.is_up(), "{}", pair.ladder);
        for end in [A, B] {
            let ups = pair.ends[end].states.iter();
            let ups = ups.filter(|(_, _, to, _)| *to == State::Up).count();
            assert_eq!(ups, 2, "one IKE_SA and one CHILD_SA\n{}", pair.ladder);
            assert_eq!(pair.ends[end].installed.len(), 1);
        }
    }
}

/// A message that is overtaken by its own retransmission.
#[test]
fn the_delay_of_each_message_changes_nothing() {
    for late in 0..4 {
        let by = Duration::from_millis(4_500);
        let mut pair = Pair::new(configs()).with_fate(late, Fate::Late(by));
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(60));
        assert!(pair.is_up(), "{}", pair.ladder);
        assert_eq!(pair.ends[A].installed.len(), 1, "{}", pair.ladder);
        assert_eq!(pair.ends[B].installed.len(), 1, "{}", pair.ladder);
    }
}

#[test]
fn a_wrong_pre_shared_key_is_refused() {
    let mut configs = configs();
    configs[A].psk = b"another.key"[..].into();
    let mut pair = start(configs);
    pair.run_for(Duration::from_millis(900));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::AuthenticationFailed);
}

#[test]
fn a_responder_with_another_identity_is_refused() {
    let mut configs = configs();
    configs[B].local_id = Identity::Fqdn("elsewhere.example".into());
    let mut pair = start(configs);
    pair.run_for(Duration::from_millis(900));
    insta::assert_snapshot!(pair.ladder);
}

#[test]
fn identities_of_every_type_are_compared_whole() {
    for id in [Identity::Ipv4(address(B)), Identity::Fqdn("vpn.example".into()), Identity::KeyId(vec![0, 1, 2])] {
        let mut configs = configs();
        configs[B].local_id = id.clone();
        configs[A].remote_id = id;
        Pair::up(configs);
    }
}

#[test]
fn no_common_suite_is_refused_and_tried_again_later_and_later() {
    let mut configs = configs();
    let (ike, _) = suite_aes256gcm_group20();
    configs[B].ike_offers = vec![ike];
    let mut pair = start(configs);
    pair.run_for(Duration::from_secs(8));
    insta::assert_snapshot!(pair.ladder);
    // Waits of 1, 2 and 4 s (the configured first one, doubled), a round trip each.
    let starts = pair.ends[A].sent.len();
    assert_eq!(starts, 4);
}

#[test]
fn selectors_are_narrowed_to_what_both_want() {
    let mut configs = configs();
    let net = |text: &str| vec![TrafficSelector::prefix(text.parse().unwrap())];
    configs[A].local_ts = net("10.0.0.0/8");
    configs[B].remote_ts = net("10.1.0.0/16");
    let pair = Pair::up(configs);
    let sa = |end: usize| pair.ends[end].installed.values().next().unwrap();
    assert_eq!(sa(A).local_ts, net("10.1.0.0/16"));
    assert_eq!(sa(A).remote_ts, [TrafficSelector::ANY_V4]);
    assert_eq!(sa(A).local_ts, sa(B).remote_ts);
    assert_eq!(sa(A).remote_ts, sa(B).local_ts);
}

/// RFC 7296 section 2.21.2: the CHILD_SA fails, the IKE_SA stands. The initiator tries again by CREATE_CHILD_SA.
#[test]
fn selectors_that_do_not_meet_leave_the_ike_sa_up() {
    let mut configs = configs();
    let net = |text: &str| vec![TrafficSelector::prefix(text.parse().unwrap())];
    configs[A].local_ts = net("10.0.0.0/16");
    configs[B].remote_ts = net("10.1.0.0/16");
    configs[A].dpd.idle = Duration::from_secs(1000);
    configs[B].dpd.idle = Duration::from_secs(1000);
    let mut pair = start(configs);
    pair.run_for(Duration::from_secs(61));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Down);
}

/// Nobody answers: 165 s by the default series, then another attempt.
#[test]
fn an_initiator_without_an_answer_goes_on() {
    let mut pair = Pair::new(configs());
    pair.dark = [true, true];
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_until(Instant::from_secs(164));
    assert_eq!(pair.ends[A].sent.len(), 6);
    pair.dark = [false, false];
    pair.run_until(Instant::from_secs(170));
    assert!(pair.is_up(), "{}", pair.ladder);
}

#[test]
fn a_half_open_sa_is_forgotten() {
    let mut pair = Pair::new(configs());
    pair.dark[B] = true;
    pair.input(A, Input::Initiate(Reason::TrafficNeedsSa));
    pair.input(A, Input::Reset);
    pair.run_until(Instant::from_secs(31));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.ends[B].peer.wake(), None);
}

#[test]
fn traffic_initiates_only_where_it_may_and_only_one_attempt() {
    let traffic = || Input::Initiate(Reason::TrafficNeedsSa);
    let mut pair = Pair::new(configs());
    pair.input(B, traffic());
    assert_eq!(pair.datagrams, 0, "an AWS endpoint does not initiate on traffic");
    pair.input(A, traffic());
    pair.input(A, traffic());
    assert_eq!(pair.datagrams, 1);
    pair.run_for(Duration::from_secs(1));
    assert!(pair.is_up(), "{}", pair.ladder);
    // An attempt that nobody answers is not repeated: the next packet asks again.
    let mut pair = Pair::new(configs());
    pair.dark = [true, true];
    pair.input(A, traffic());
    pair.run_for(Duration::from_secs(1_000));
    assert_eq!(pair.ends[A].sent.len(), 6);
    assert_eq!(pair.ends[A].peer.wake(), None);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::RetransmitExhausted);
}

#[test]
fn both_ends_at_once_end_with_one_ike_sa() {
    for seed in 0..8 {
        let mut both = configs();
        both[B].startup = crate::proto::ike::config::Startup::Start;
        let mut pair = Pair::seeded(both, seed);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.input(B, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(2));
        assert!(pair.is_up(), "{}", pair.ladder);
        assert_eq!(pair.ends[A].installed.len(), 1, "{}", pair.ladder);
        assert_eq!(pair.ends[B].installed.len(), 1, "{}", pair.ladder);
    }
}

#[test]
fn behind_a_nat_both_float_to_port_4500() {
    let outside = "192.0.2.77".parse().unwrap();
    let mut pair = Pair::new(configs());
    pair.nat = Some((outside, 40_000));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    let there = |end: usize| pair.ends[end].installed.values().next().unwrap().encapsulation;
    let (a, b) = (there(A).unwrap(), there(B).unwrap());
    assert_eq!((a.local_port, a.remote.1), (4500, 4500));
    assert_eq!((b.local_port, b.remote), (4500, (outside, 40_000)));
    // RFC 7296 section 2.23: the mapping moves, and the responder follows the next authentic message.
    pair.nat = Some((outside, 50_000));
    pair.run_for(Duration::from_secs(12));
    assert!(pair.ladder.contains("peer moved to 192.0.2.77:50000"), "{}", pair.ladder);
    assert!(pair.is_up());
}

/// RFC 7296 section 2.23: an ESP packet that verified is as good as a message, but only of an SA that there is, and an end that
/// is behind a NAT itself follows nobody.
#[test]
fn esp_from_another_port_moves_the_peer() {
    let outside: core::net::IpAddr = "192.0.2.77".parse().unwrap();
    let mut pair = Pair::new(configs());
    pair.nat = Some((outside, 40_000));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(1));
    let spi = |pair: &Pair, end: usize| *pair.ends[end].installed.keys().next().unwrap();
    let [a, b] = [spi(&pair, A), spi(&pair, B)];
    let remote = (outside, 50_000);
    pair.input(A, Input::TrafficFrom { spi_in: a, remote });
    pair.input(B, Input::TrafficFrom { spi_in: b ^ 1, remote });
    assert!(!pair.ladder.contains("peer moved"), "{}", pair.ladder);
    pair.input(B, Input::TrafficFrom { spi_in: b, remote });
    pair.input(B, Input::TrafficFrom { spi_in: b, remote });
    assert_eq!(pair.ladder.matches("peer moved to 192.0.2.77:50000").count(), 1, "{}", pair.ladder);
}

/// libreswan #1728: the NAT forgets its mapping and makes another. Whether A announces MOBIKE or not, B follows the first thing that
/// verifies, ESP or IKE, and what B sends reaches A again; there it went on to the old port until the tunnel was restarted.
#[test]
fn a_nat_that_makes_another_mapping_is_followed_with_and_without_mobike() {
    for mobike in [false, true] {
        let outside: core::net::IpAddr = "192.0.2.77".parse().unwrap();
        let mut configs = configs();
        configs[A].mobike = mobike.then(Mobike::default);
        let mut pair = Pair::new(configs);
        pair.nat = Some((outside, 40_000));
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(1));
        assert!(pair.is_up());
        pair.ladder.clear();
        pair.nat = Some((outside, 50_000));
        let b = *pair.ends[B].installed.keys().next().unwrap();
        pair.input(B, Input::TrafficFrom { spi_in: b, remote: (outside, 50_000) });
        pair.traffic(Duration::from_secs(1), Instant::from_secs(100));
        assert!(pair.ladder.contains("peer moved to 192.0.2.77:50000"), "{}", pair.ladder);
        assert!(pair.ladder.contains("B -> A  4500 Informational request"), "AWS's checks arrive\n{}", pair.ladder);
        assert_eq!(pair.entered(B, SaKind::Ike, State::Down), None, "{}", pair.ladder);
        assert!(pair.is_up() && pair.esp_lost == 0, "{}", pair.ladder);
    }
}

/// RFC 4555 section 3.3: an end that announces MOBIKE goes to port 4500 though there is no NAT, and ESP stays as it is. AWS's end
/// does not answer the announcement (section 3.2), so nothing else differs.
#[test]
fn an_announced_mobike_is_not_answered() {
    let mut configs = configs();
    configs[A].mobike = Some(Mobike::default());
    let mut pair = start(configs);
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert!(pair.ends.iter().all(|end| end.installed.values().all(|sa| sa.encapsulation.is_none())));
    // An address update, COOKIE2 and NO_NATS_ALLOWED mean nothing to an end without MOBIKE (sections 3.5, 3.7 and 3.9).
    for (id, kind) in [NotifyType::UpdateSaAddresses, NotifyType::Cookie2, NotifyType::NoNatsAllowed].iter().enumerate()
    {
        let (outputs, answer) =
            pair.forge(B, ExchangeType::Informational, 2 + id as u32, &[Payload::Notify(Notify::new(*kind, &[7; 8]))]);
        assert_eq!(answer, format!("Informational response {} SK {{}}", 2 + id));
        assert!(!outputs.iter().any(|output| matches!(output, crate::proto::ike::Output::PeerMoved { .. })));
    }
}

#[test]
fn a_pretended_nat_floats_as_a_real_one() {
    for end in [A, B] {
        let mut configs = configs();
        configs[end].nat = NatTraversal::Force;
        let pair = Pair::up(configs);
        for end in &pair.ends {
            let sa = end.installed.values().next().unwrap();
            assert_eq!(sa.encapsulation.unwrap().local_port, 4500);
        }
    }
    let mut configs = configs();
    configs[A].nat = NatTraversal::Force;
    configs[B].nat = NatTraversal::Off;
    let pair = Pair::up(configs);
    let sa = pair.ends[A].installed.values().next().unwrap();
    assert_eq!(sa.encapsulation, None, "the peer cannot float");
}

/// RFC 7296 sections 2.5 and 1.5: what belongs to no IKE_SA is answered without protection, and such answers have no effect.
#[test]
fn strangers_are_told_and_not_believed() {
    let mut pair = Pair::up(configs());
    let mut bytes = pair.ends[A].sent.last().unwrap().clone();
    let state = |pair: &Pair| pair.ends[A].peer.state(SaKind::Ike);
    pair.input(B, Input::Reset);
    pair.ends[B].installed.clear();
    pair.run_for(Duration::from_secs(15));
    assert!(pair.ladder.contains("N(InvalidIkeSpi)"), "{}", pair.ladder);
    assert_eq!(state(&pair), State::Up);
    bytes[17] = 0x30;
    let remote = (pair.ends[A].address, 500);
    let local = (pair.ends[B].address, 500);
    let datagram = crate::proto::ike::Datagram { local, remote, bytes };
    pair.ends[B].peer.handle(pair.now, Input::Datagram(datagram));
    let answer = core::iter::from_fn(|| pair.ends[B].peer.poll()).find_map(|output| match output {
        crate::proto::ike::Output::Transmit { bytes, .. } => Some(bytes),
        _ => None,
    });
    let header = Header::parse(&answer.unwrap()).unwrap();
    assert_eq!((header.major, header.flags.response), (2, true));
}
