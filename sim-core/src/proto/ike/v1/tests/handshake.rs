//! Main Mode and Quick Mode: the regular way, a path that loses and repeats, refusals, NATs, two versions.

use core::net::{IpAddr, Ipv4Addr};

use super::pair::{A, B, Fate, Pair, address};
use super::{configs, fast_configs};
use crate::crypto::dh::DhGroup;
use crate::proto::ike::config::*;
use crate::proto::ike::{Input, SaKind};
use crate::reason::{DropReason, Reason, State};
use crate::time::Duration;
use crate::wire::ike::TrafficSelector;

fn started(configs: [Config; 2]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair
}

/// Six messages and three (RFC 2409 sections 5.4 and 5.5).
#[test]
fn regular_set_up() {
    let mut pair = started(configs());
    pair.run_for(Duration::from_secs(5));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    let sa = |end: usize| pair.ends[end].installed.values().next().unwrap();
    assert_eq!(sa(A).inbound, sa(B).outbound);
    assert_eq!(sa(A).spi_in, sa(B).spi_out);
    assert_eq!(sa(A).encapsulation, None);
    assert_eq!(sa(A).suite.group, Some(DhGroup::Modp1024), "perfect forward secrecy from the first CHILD_SA on");
}

#[test]
fn every_suite_comes_up_with_and_without_pfs() {
    let (_, gcm) = suite_aes256gcm_group20();
    let (ike, esp) = suite_aes256_sha256_group14();
    let without = EspOffer { groups: Vec::new(), ..esp.clone() };
    for (ike, esp) in [suite_aes128_sha1_group2(), (ike.clone(), esp), (ike.clone(), gcm), (ike, without)] {
        let mut configs = configs();
        for config in &mut configs {
            config.ike_offers = vec![ike.clone()];
            config.esp_offers = vec![esp.clone()];
        }
        Pair::up(configs);
    }
}

/// AWS's user guide: endpoints take the lowest configured value whatever the peer prefers, so that the defaults end at AES128, SHA1
/// and group 2. AES-GCM cannot be said in phase 1.
#[test]
fn aws_takes_its_lowest_value() {
    let mut configs = configs();
    let (ike, esp) = aws_default_offers();
    for config in &mut configs {
        config.ike_offers = ike.clone();
        config.esp_offers = esp.clone();
    }
    for offer in &mut configs[A].ike_offers {
        offer.encryption.reverse();
        offer.prf.reverse();
        offer.groups = vec![DhGroup::Ecp384, DhGroup::Modp1024];
    }
    let pair = Pair::up(configs);
    let (_, lowest) = suite_aes128_sha1_group2();
    let suite = pair.ends[B].installed.values().next().unwrap().suite;
    assert_eq!(
        (suite.protection.encryption(), suite.protection.integrity()),
        (lowest.encryption[0], lowest.integrity[0])
    );
}

/// The initiator repeats until it is answered. After the third message of Quick Mode it expects nothing, so there it is the
/// responder who repeats.
#[test]
fn the_loss_of_each_message_is_repaired() {
    let mut ladders = String::new();
    for lost in 0..9 {
        let mut pair = Pair::new(fast_configs()).with_fate(lost, Fate::Drop);
        pair.input(A, Input::Initiate(Reason::Startup));
        pair.run_for(Duration::from_secs(6));
        assert!(pair.is_up(), "{}", pair.ladder);
        ladders.push_str(&format!("datagram {lost} is lost\n{}\n", pair.ladder));
    }
    insta::assert_snapshot!(ladders);
}

#[test]
fn the_duplication_and_the_delay_of_each_message_change_nothing() {
    for fate in [Fate::Duplicate, Fate::Late(Duration::from_millis(4_500))] {
        for which in 0..9 {
            let mut pair = Pair::new(fast_configs()).with_fate(which, fate);
            pair.input(A, Input::Initiate(Reason::Startup));
            pair.run_for(Duration::from_secs(60));
            assert!(pair.is_up(), "{}", pair.ladder);
            for end in [A, B] {
                let ups = pair.ends[end].states.iter().filter(|(_, _, to, _)| *to == State::Up).count();
                assert_eq!(ups, 2, "one ISAKMP SA and one CHILD_SA\n{}", pair.ladder);
                assert_eq!(pair.ends[end].installed.len(), 1);
            }
        }
    }
}

/// The responder cannot read the fifth message, because its key comes from the pre-shared key.
#[test]
fn a_wrong_pre_shared_key_cannot_be_read() {
    let mut configs = configs();
    configs[A].psk = b"another.key"[..].into();
    let mut pair = started(configs);
    pair.run_for(Duration::from_millis(900));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::PayloadMalformed);
}

#[test]
fn an_unknown_identity_is_refused() {
    let mut configs = configs();
    configs[A].local_id = Identity::Fqdn("elsewhere.example".into());
    let mut pair = started(configs);
    pair.run_for(Duration::from_millis(900));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.entered(A, SaKind::Ike, State::Down).unwrap().1, Reason::InvalidIdInformation);
}

#[test]
fn identities_of_every_type_are_compared_whole() {
    for id in [Identity::Ipv4(address(B)), Identity::Fqdn("vpn.example".into()), Identity::KeyId(vec![0, 1, 2])] {
        let mut configs = fast_configs();
        configs[B].local_id = id.clone();
        configs[A].remote_id = id;
        Pair::up(configs);
    }
}

#[test]
fn no_common_suite_in_phase_1_is_refused_and_tried_again_later_and_later() {
    let mut configs = configs();
    configs[B].ike_offers = vec![suite_aes256_sha256_group14().0];
    let mut pair = started(configs);
    pair.run_for(Duration::from_secs(4));
    insta::assert_snapshot!(pair.ladder);
}

/// The ISAKMP SA stands; the CHILD_SA is tried again after the longest pause.
#[test]
fn no_common_suite_in_phase_2_leaves_the_isakmp_sa_up() {
    let mut configs = configs();
    configs[B].esp_offers = vec![suite_aes256_sha256_group14().1];
    let mut pair = started(configs);
    pair.run_for(Duration::from_secs(5));
    insta::assert_snapshot!(pair.ladder);
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Down);
}

/// AWS always wants a group in phase 2.
#[test]
fn a_peer_without_pfs_is_refused() {
    let mut configs = configs();
    configs[A].esp_offers[0].groups.clear();
    let mut pair = started(configs);
    pair.run_for(Duration::from_secs(5));
    assert!(pair.ladder.contains("N(NoProposalChosen)"), "{}", pair.ladder);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Down);
}

/// IKEv1 does not narrow: what is asked for is given or not. AWS's 0.0.0.0/0 contains everything.
#[test]
fn selectors_are_given_as_asked_or_not_at_all() {
    let net = |text: &str| vec![TrafficSelector::prefix(text.parse().unwrap())];
    let mut configs = fast_configs();
    configs[A].local_ts = net("10.1.0.0/16");
    configs[A].remote_ts =
        vec![TrafficSelector { addresses: range("10.2.0.1", "10.2.0.9"), ..TrafficSelector::ANY_V4 }];
    let pair = Pair::up(configs.clone());
    let sa = pair.ends[B].installed.values().next().unwrap();
    assert_eq!((&sa.remote_ts, &sa.local_ts), (&configs[A].local_ts, &configs[A].remote_ts));

    configs[B].remote_ts = net("10.1.128.0/17");
    let mut pair = started(configs);
    pair.run_for(Duration::from_secs(5));
    assert!(pair.ladder.contains("N(InvalidIdInformation)"), "{}", pair.ladder);
    assert_eq!(pair.ends[A].peer.state(SaKind::Child), State::Down);
}

fn range(low: &str, high: &str) -> crate::wire::ike::AddressRange {
    crate::wire::ike::AddressRange::V4(low.parse().unwrap(), high.parse().unwrap())
}

/// RFC 3947 section 4: the initiator changes to port 4500 with its fifth message.
#[test]
fn behind_a_nat_both_float_to_port_4500() {
    let mut pair = Pair::new(configs());
    let outside = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
    pair.nat = Some((outside, 1024));
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(5));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    let encapsulation = |end: usize| pair.ends[end].installed.values().next().unwrap().encapsulation.unwrap();
    assert_eq!((encapsulation(A).local_port, encapsulation(A).remote), (4500, (IpAddr::V4(address(B)), 4500)));
    assert_eq!(encapsulation(B).remote, (outside, 1024));
}

#[test]
fn nat_traversal_may_be_forced_and_forbidden() {
    for (nat, floats) in [(NatTraversal::Force, true), (NatTraversal::Off, false)] {
        let mut configs = fast_configs();
        configs[A].nat = nat;
        let pair = Pair::up(configs);
        for end in &pair.ends {
            assert_eq!(end.installed.values().next().unwrap().encapsulation.is_some(), floats, "{nat:?}");
        }
    }
}

/// A responder forgets what is not completed (here the initiator is forged: nobody answers its answer).
#[test]
fn a_half_open_sa_is_forgotten() {
    let mut pair = Pair::new(configs());
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.dark[B] = true;
    pair.run_for(Duration::from_millis(15));
    pair.dark[A] = true;
    pair.run_for(Duration::from_secs(31));
    assert_eq!(pair.entered(B, SaKind::Ike, State::Down).unwrap().1, Reason::HalfOpenTimeout);
    assert_eq!(pair.ends[B].peer.wake(), None);
}

#[test]
fn both_ends_at_once_end_with_one_sa() {
    let mut configs = fast_configs();
    configs[B].startup = Startup::Start;
    let mut pair = Pair::new(configs);
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.input(B, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(9));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
}

/// AWS allows both versions by default. The initiator takes IKEv2 unless it may not, and the responder follows.
#[test]
fn the_initiator_chooses_the_version() {
    let versions = |a: &[IkeVersion], b: &[IkeVersion]| {
        let mut configs = fast_configs();
        (configs[A].versions, configs[B].versions) = (a.into(), b.into());
        let mut pair = started(configs);
        pair.run_for(Duration::from_secs(1));
        let first = pair.ends[A].sent[0][17] >> 4;
        (first, pair.is_up(), pair.ladder)
    };
    use IkeVersion::{V1, V2};
    let (first, up, _) = versions(&[V1, V2], &[V1, V2]);
    assert_eq!((first, up), (2, true));
    let (first, up, _) = versions(&[V1], &[V1, V2]);
    assert_eq!((first, up), (1, true));
    for (a, b, version) in [(V1, V2, 1), (V2, V1, 2)] {
        let (first, up, ladder) = versions(&[a], &[b]);
        assert_eq!((first, up), (version, false));
        assert!(ladder.contains(&format!("ignored ({})", DropReason::UnexpectedMessage)), "{ladder}");
    }
}

/// A peer that comes back in another version replaces its old tunnel once the old one is found dead.
#[test]
fn a_peer_may_come_back_in_another_version() {
    let mut configs = fast_configs();
    configs[B].versions = [IkeVersion::V1, IkeVersion::V2].into();
    let mut pair = Pair::up(configs.clone());
    configs[A].versions = [IkeVersion::V2][..].into();
    pair.reconfigure(A, configs[A].clone());
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(60));
    assert!(pair.is_up(), "{}", pair.ladder);
    assert_eq!(pair.ends[B].installed.len(), 1, "{}", pair.ladder);
}
