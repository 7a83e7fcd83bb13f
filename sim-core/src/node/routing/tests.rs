//! Which peers an event is for.

use super::*;
use crate::proto::bgp::PeerConfig;

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
