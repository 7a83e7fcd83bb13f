//! A policy-based end, with a CHILD_SA for each of its policies, opposite one that keeps one (guide, "Your customer gateway device":
//! AWS has one pair of SAs for a tunnel), several, or takes no second one.

use crate::proto::ike::config::{Config, Policy, SecondChild};
use crate::proto::ike::pair::{A, B, Fate, Pair, configs};
use crate::proto::ike::{Input, SaKind};
use crate::reason::State;
use crate::time::Duration;
use crate::wire::ike::TrafficSelector;

const NETWORKS: [&str; 2] = ["10.1.0.0/24", "10.2.0.0/24"];

fn net(text: &str) -> TrafficSelector {
    TrafficSelector::prefix(text.parse().unwrap())
}

/// A has two networks, each of which it protects for itself; B is route-based.
fn two_networks(second: SecondChild) -> [Config; 2] {
    let mut configs = configs();
    let policy = |local: &str| Policy { local: net(local), remote: net("10.0.0.0/16") };
    configs[A].policies = NETWORKS.map(policy).to_vec();
    configs[B].second_child = second;
    configs
}

/// The networks of A that both ends have a CHILD_SA for.
fn protected(pair: &Pair) -> Vec<TrafficSelector> {
    let of_a = pair.ends[A].installed.values().flat_map(|sa| sa.local_ts.clone());
    let of_b = pair.ends[B].installed.values().flat_map(|sa| sa.remote_ts.clone());
    let (mut of_a, mut of_b): (Vec<_>, Vec<_>) = (of_a.collect(), of_b.collect());
    of_a.sort();
    of_b.sort();
    assert_eq!(of_a, of_b, "{}", pair.ladder);
    of_a
}

fn demand(pair: &mut Pair, policy: u8) {
    pair.input(A, Input::Demand { policy });
    pair.run_for(Duration::from_millis(500));
}

#[test]
fn a_second_network_takes_the_tunnel_from_the_first() {
    let mut pair = Pair::up(two_networks(SecondChild::Displaces));
    assert_eq!(protected(&pair), [net(NETWORKS[0])]);
    for policy in [1, 0, 1] {
        demand(&mut pair, policy);
        assert_eq!(protected(&pair), [net(NETWORKS[usize::from(policy)])], "{}", pair.ladder);
        for end in [A, B] {
            let only = pair.ends[end].installed.keys().next().copied();
            assert_eq!(pair.ends[end].sending, only, "it sends on what there is:\n{}", pair.ladder);
        }
    }
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
}

/// Whatever two datagrams are lost: in the end both ends have the second network's pair alone, and hear each other.
#[test]
fn a_displacement_on_a_bad_path_ends_like_one_on_a_good_path() {
    let up = Pair::up(two_networks(SecondChild::Displaces));
    for (first, second) in (0..6).flat_map(|first| (first..6).map(move |second| (first, second))) {
        let mut pair = up.clone().with_fate(first, Fate::Drop).with_fate(second, Fate::Drop);
        demand(&mut pair, 1);
        pair.run_for(Duration::from_secs(60));
        assert_eq!(protected(&pair), [net(NETWORKS[1])], "{first} {second}\n{}", pair.ladder);
        assert!(pair.heard(A) && pair.heard(B), "{first} {second}\n{}", pair.ladder);
    }
}

#[test]
fn who_keeps_both_has_both_and_each_is_rekeyed_for_its_own_network() {
    let mut configs = two_networks(SecondChild::Kept);
    configs[A].rekey.initiates = true;
    let mut pair = Pair::up(configs);
    demand(&mut pair, 1);
    assert_eq!(protected(&pair), NETWORKS.map(net));
    for policy in [0, 1] {
        let own = |sa: &&crate::proto::ike::ChildSa| sa.policy == policy;
        let spi_in = pair.ends[A].installed.values().find(own).unwrap().spi_in;
        pair.input(A, Input::RekeyChild { spi_in });
        pair.run_for(Duration::from_secs(1));
        assert!(!pair.ends[A].installed.contains_key(&spi_in), "{}", pair.ladder);
        assert_eq!(protected(&pair), NETWORKS.map(net), "{}", pair.ladder);
    }
}

/// RFC 7296 section 1.3: NO_ADDITIONAL_SAS. A refusal is not followed by a question for each packet.
#[test]
fn who_refuses_the_second_leaves_the_first_alone() {
    let configs = two_networks(SecondChild::Refused);
    let pause = configs[A].retry.first;
    let mut pair = Pair::up(configs);
    let before = pair.ends[A].sent.len();
    demand(&mut pair, 1);
    assert!(pair.ladder.contains("NoAdditionalSas"), "{}", pair.ladder);
    demand(&mut pair, 1);
    assert_eq!(pair.ends[A].sent.len(), before + 1, "{}", pair.ladder);
    pair.run_for(pause);
    demand(&mut pair, 1);
    assert!(pair.ends[A].sent.len() > before + 1, "{}", pair.ladder);
    assert_eq!(protected(&pair), [net(NETWORKS[0])]);
}

/// The first packet decides for which network the IKE_SA begins.
#[test]
fn a_tunnel_that_is_down_begins_with_the_network_of_the_packet() {
    let mut pair = Pair::new(two_networks(SecondChild::Displaces));
    demand(&mut pair, 1);
    assert_eq!(protected(&pair), [net(NETWORKS[1])]);
}
