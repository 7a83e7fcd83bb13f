//! Which peers an event is for.

use super::*;
use crate::proto::bgp::PeerConfig;
use std::net::Ipv4Addr;

/// Ten thousand peers, four behind each port, and every third of them with a BFD session, which it shares with another.
#[test]
fn the_peers_of_a_port_and_of_a_bfd_session_are_those_that_were_configured_so() {
    const PEERS: u16 = 10_000;
    let peer = |i: u16| {
        let remote = Ipv4Addr::from(0x0a00_0000 + u32::from(i));
        let subnet = Ipv4Net::new(remote, 31).unwrap().trunc();
        PeerConfig::new(format!("p{i}"), 65_010, Ipv4Addr::from(u32::from(remote) ^ 1), remote, subnet)
    };
    let speaker = SpeakerConfig::new(65_000, Ipv4Addr::new(192, 0, 2, 1), (0..PEERS).map(peer).collect());
    let config = RoutingConfig {
        name: "hub".into(),
        seed: 1,
        speaker,
        sessions: (0..PEERS).map(|i| SessionId(i.into())).collect(),
        ports: (0..PEERS).map(|i| Some(Port(i % (PEERS / 4)))).collect(),
        bfd: (0..PEERS).map(|i| (i % 3 == 0).then_some(usize::from(i / 6))).collect(),
        tcp: vec![TcpConfig::default(); PEERS.into()],
        igp_costs: Vec::new(),
        over_ipv6: Vec::new(),
    };
    let routing = Routing::new(config.clone());
    let all = |holds: &dyn Fn(usize) -> bool| (0..PEERS).map(PeerId).filter(|p| holds(p.index())).collect::<Vec<_>>();
    for port in [0, 1, 1_234, PEERS / 4 - 1].map(Port) {
        let behind = all(&|i| config.ports[i] == Some(port));
        assert_eq!((routing.behind(port), behind.len()), (behind, 4));
    }
    for bfd in [0, 1, 777] {
        let watched = all(&|i| config.bfd[i] == Some(bfd));
        assert_eq!((routing.watched_by(bfd), watched.len()), (watched, 2));
    }
    assert_eq!((routing.behind(Port(PEERS)), routing.watched_by(PEERS.into())), (vec![], vec![]));
}

/// What ways cost is configured; that they are there, the forwarding table says (RFC 4271 section 9.1.2.2 e).
#[test]
fn costs_are_of_ways_that_there_are() {
    let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
    let (local, remote) = (Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2));
    let peer = |remote_as| PeerConfig::new("p", remote_as, local, remote, net("10.9.0.0/30"));
    let config = |remote_as, igp_costs| RoutingConfig {
        name: "r".into(),
        seed: 1,
        speaker: SpeakerConfig::new(65_000, local, vec![peer(remote_as)]),
        sessions: vec![SessionId(0)],
        ports: vec![Some(Port(0))],
        bfd: vec![None],
        tcp: vec![TcpConfig::default()],
        igp_costs,
        over_ipv6: Vec::new(),
    };
    let costs = vec![(net("10.0.0.0/8"), 50), (net("10.9.1.0/24"), 20), (net("10.9.1.7/32"), 5)];
    let mut routing = Routing::new(config(65_000, costs));
    let told = routing.news_of_ways(&[net("10.9.0.0/30"), net("10.9.1.0/25"), net("192.0.2.0/24")]).expect("news");
    let cost = |text: &str| told.to(text.parse().unwrap(), false);
    assert_eq!(cost("10.9.0.2"), Some(50), "by 10/8");
    assert_eq!(cost("10.9.1.8"), Some(20));
    assert_eq!(cost("10.9.1.7"), Some(5), "the longest prefix counts");
    assert_eq!(cost("192.0.2.1"), Some(0), "no cost is configured");
    assert_eq!([cost("10.9.1.200"), cost("10.200.0.1")], [None, None], "a cost, and no way");
    let known = [net("192.0.2.0/24"), net("10.9.1.0/25"), net("10.9.0.0/30")];
    assert_eq!(routing.news_of_ways(&known), None, "the same in another order is no news");
    assert!(routing.news_of_ways(&[]).is_some_and(|told| told.costs.is_empty()));
    let mut external = Routing::new(config(65_001, Vec::new()));
    assert!(!external.resolves() && external.news_of_ways(&known).is_none(), "its next hops are on the link to it");
}
