//! A policy-based end, with a CHILD_SA for each of its policies by a Quick Mode of its own (RFC 2409 section 5.5: IDci and IDcr), opposite
//! one that keeps one pair (guide, "Your customer gateway device") or both.

use super::fast_configs;
use crate::proto::ike::config::{Config, Policy, SecondChild};
use crate::proto::ike::pair::{A, B, Fate, Pair};
use crate::proto::ike::{ChildSa, Input, SaKind};
use crate::reason::State;
use crate::time::Duration;
use crate::wire::ike::TrafficSelector;

const NETWORKS: [&str; 2] = ["10.1.0.0/24", "10.2.0.0/24"];

fn net(text: &str) -> TrafficSelector {
    TrafficSelector::prefix(text.parse().unwrap())
}

/// A has two networks, each of which it protects for itself; B is route-based.
fn two_networks(second_child: SecondChild) -> [Config; 2] {
    let [a, b] = fast_configs();
    let policy = |local: &str| Policy { local: net(local), remote: net("10.0.0.0/16") };
    [Config { policies: NETWORKS.map(policy).to_vec(), ..a }, Config { second_child, ..b }]
}

fn demand(pair: &mut Pair, policy: u8) {
    pair.input(A, Input::Demand { policy });
    pair.run_for(Duration::from_secs(1));
}

/// The networks of A that both ends have CHILD_SAs for, one as often as it has pairs.
fn protected(pair: &Pair) -> Vec<TrafficSelector> {
    let of_a = pair.ends[A].installed.values().flat_map(|sa| sa.local_ts.clone());
    let of_b = pair.ends[B].installed.values().flat_map(|sa| sa.remote_ts.clone());
    let (mut of_a, mut of_b): (Vec<_>, Vec<_>) = (of_a.collect(), of_b.collect());
    of_a.sort();
    of_b.sort();
    assert_eq!(of_a, of_b, "{}", pair.ladder);
    of_a
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
        let policies: Vec<u8> = pair.ends[A].installed.values().map(|sa| sa.policy).collect();
        assert_eq!(policies, [policy], "its owner chooses by it");
    }
    assert_eq!(pair.ends[A].peer.state(SaKind::Ike), State::Up);
}

/// Whatever two datagrams of a Quick Mode are lost, they are repeated: in the end both ends have a pair for the second network. The
/// DELETE that follows is never repeated in IKEv1 (RFC 2409 section 5.7): if it is lost, the first network's pair stays at A until it
/// ends, and a packet on it finds nothing.
#[test]
fn a_quick_mode_for_a_second_network_survives_a_bad_path() {
    let up = Pair::up(two_networks(SecondChild::Displaces));
    for (first, second) in (0..3).flat_map(|first| (first..3).map(move |second| (first, second))) {
        let mut pair = up.clone().with_fate(first, Fate::Drop).with_fate(second, Fate::Drop);
        demand(&mut pair, 1);
        pair.run_for(Duration::from_secs(60));
        for end in [A, B] {
            let of_a = |sa: &ChildSa| if end == A { sa.local_ts[0] } else { sa.remote_ts[0] };
            let networks: Vec<_> = pair.ends[end].installed.values().map(of_a).collect();
            assert!(networks.contains(&net(NETWORKS[1])), "{first} {second}\n{}", pair.ladder);
        }
        assert!(pair.heard(A) && pair.heard(B), "{first} {second}\n{}", pair.ladder);
    }
}

/// A successor is asked for in the words of the one before, by either end: the networks are what tells the peer which it is.
#[test]
fn each_pair_is_rekeyed_for_its_own_network_by_either_end() {
    for by in [A, B] {
        let mut configs = two_networks(SecondChild::Kept);
        configs[by].rekey.initiates = true;
        let mut pair = Pair::up(configs);
        demand(&mut pair, 1);
        assert_eq!(protected(&pair), NETWORKS.map(net));
        for network in NETWORKS {
            let own = |sa: &&ChildSa| if by == A { sa.local_ts[0] } else { sa.remote_ts[0] } == net(network);
            let spi_in = pair.ends[by].installed.values().find(own).unwrap().spi_in;
            pair.input(by, Input::RekeyChild { spi_in });
            pair.run_for(Duration::from_secs(1));
            let successor = pair.ends[by].installed.values().find(|sa| sa.rekeys == Some(spi_in));
            let successor = successor.unwrap_or_else(|| panic!("{by} {network}\n{}", pair.ladder));
            assert!(own(&successor), "{by} {network}\n{}", pair.ladder);
            // IKEv1 leaves the one before to its lifetime.
            let pairs = protected(&pair).into_iter().filter(|of| *of == net(network)).count();
            assert_eq!(pairs, 2, "{by} {network}\n{}", pair.ladder);
        }
        let of_a = pair.ends[A].installed.values();
        assert!(of_a.into_iter().all(|sa| sa.local_ts[0] == net(NETWORKS[usize::from(sa.policy)])), "{}", pair.ladder);
    }
}

/// A peer that has no room for the second network refuses by INVALID-ID-INFORMATION (RFC 2409 section 5.5). A refusal is not followed by a
/// question for each packet.
#[test]
fn who_has_no_room_for_the_second_leaves_the_first_alone() {
    let [a, b] = two_networks(SecondChild::Displaces);
    let pause = a.retry.first;
    let mut pair = Pair::up([a, Config { remote_ts: vec![net(NETWORKS[0])], ..b }]);
    let before = pair.ends[A].sent.len();
    demand(&mut pair, 1);
    assert!(pair.ladder.contains("InvalidIdInformation"), "{}", pair.ladder);
    demand(&mut pair, 1);
    assert_eq!(pair.ends[A].sent.len(), before + 1, "{}", pair.ladder);
    pair.run_for(pause);
    demand(&mut pair, 1);
    assert!(pair.ends[A].sent.len() > before + 1, "{}", pair.ladder);
    assert_eq!(protected(&pair), [net(NETWORKS[0])]);
}

/// The first packet decides for which network the tunnel comes up.
#[test]
fn a_tunnel_that_is_down_begins_with_the_network_of_the_packet() {
    let mut pair = Pair::new(two_networks(SecondChild::Displaces));
    demand(&mut pair, 1);
    assert_eq!(protected(&pair), [net(NETWORKS[1])]);
}
