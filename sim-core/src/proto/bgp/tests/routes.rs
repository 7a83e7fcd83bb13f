//! Routes through a speaker: policy, preference, propagation, withdrawal.

use super::*;
use crate::proto::bgp::as_path::AsPath;
use crate::proto::bgp::message::keepalive;
use crate::proto::bgp::open::{Capabilities, Open};
use crate::proto::bgp::policy::{Change, Policy, PrefixMatch, Rule, Verdict};

/// A customer gateway with two tunnels; the test plays the AWS end of both.
struct Gateway {
    speaker: Speaker,
    conns: [ConnId; 2],
    now: Instant,
}

fn gateway(adjust: impl FnOnce(&mut SpeakerConfig)) -> Gateway {
    let subnet = |n: u8| net(&format!("169.254.{n}.0/30"));
    let address = |n: u8, host: u8| Ipv4Addr::new(169, 254, n, host);
    let peer = |n: u8| {
        let name = format!("tunnel{n}");
        let mut peer = PeerConfig::new(name, 64512, address(n, 2), address(n, 1), subnet(n));
        peer.jitter = Jitter::None;
        peer
    };
    let router_id = Ipv4Addr::new(10, 0, 0, 1);
    let mut config = SpeakerConfig::new(65000, router_id, vec![peer(1), peer(2)]);
    adjust(&mut config);
    let mut gateway =
        Gateway { speaker: speaker(config), conns: [ConnId::Initiated(0), ConnId::Initiated(1)], now: secs(1) };
    for peer in [PeerId(0), PeerId(1)] {
        gateway.speaker.handle(gateway.now, Input::Start { peer });
        gateway.up(peer);
    }
    gateway
}

impl Gateway {
    fn up(&mut self, peer: PeerId) {
        while let Some(output) = self.speaker.poll() {
            if let Output::Connect { peer, conn } = output {
                self.conns[peer.index()] = conn;
            }
        }
        let conn = self.conns[peer.index()];
        self.speaker.handle(self.now, Input::TcpConnected { peer, conn });
        let open = Open {
            asn: 64512,
            hold_time: 30,
            identifier: Ipv4Addr::new(169, 254, peer.0 as u8 + 1, 1),
            capabilities: Capabilities::USUAL,
        };
        self.receive(peer, &open.emit());
        self.receive(peer, &keepalive());
        assert_eq!(self.speaker.state(peer), State::Established);
    }

    fn receive(&mut self, peer: PeerId, bytes: &[u8]) {
        let conn = self.conns[peer.index()];
        self.speaker.handle(self.now, Input::Received { conn, bytes });
    }

    /// An announcement from the far end of a tunnel.
    fn announce(&mut self, peer: PeerId, prefix: &str, asns: &[u32], med: Option<u32>) {
        let next_hop = Ipv4Addr::new(169, 254, peer.0 as u8 + 1, 1);
        self.announce_via(peer, prefix, asns, med, next_hop);
    }

    fn announce_via(&mut self, peer: PeerId, prefix: &str, asns: &[u32], med: Option<u32>, next_hop: Ipv4Addr) {
        let mut route = Attributes::new(next_hop);
        route.as_path = AsPath::sequence(asns.iter().copied());
        route.med = med;
        let mut bytes = Vec::new();
        update::announce(&route, &self.dialect(), &[net(prefix)], |b, _| bytes.extend(b));
        self.receive(peer, &bytes);
    }

    fn withdraw(&mut self, peer: PeerId, prefix: &str) {
        let mut bytes = Vec::new();
        update::withdraw(&[net(prefix)], |b, _| bytes.extend(b));
        self.receive(peer, &bytes);
    }

    /// As the far ends see us.
    fn dialect(&self) -> attributes::Dialect {
        attributes::Dialect::new(64512, 65000)
    }

    fn drain(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.speaker.poll()).collect()
    }

    /// The UPDATEs that a far end receives since the last look at anything.
    fn updates(&mut self, peer: PeerId) -> Vec<update::Update> {
        let (conn, dialect) = (self.conns[peer.index()], self.dialect());
        self.drain()
            .into_iter()
            .filter_map(|output| match output {
                Output::Send { conn: on, bytes } if on == conn && bytes[18] == 2 => {
                    Some(update::Update::parse(&bytes[19..], &dialect).unwrap())
                }
                _ => None,
            })
            .collect()
    }

    fn changes(&mut self) -> Vec<(Option<PeerId>, Option<PeerId>, Reason)> {
        self.drain()
            .into_iter()
            .filter_map(|output| match output {
                Output::Route(change) => {
                    let via = |best: Option<Best>| best.and_then(|best| best.peer);
                    Some((via(change.from), via(change.to), change.reason))
                }
                _ => None,
            })
            .collect()
    }

    fn best(&self, prefix: &str) -> Option<Best> {
        self.speaker.routes().get(&net(prefix)).map(Entry::best)
    }
}

const T1: PeerId = PeerId(0);
const T2: PeerId = PeerId(1);
const VPC: &str = "10.0.0.0/16";

/// The AWS pattern: the same VPC prefix over both tunnels, the lower MED first; the other takes over when the session goes
/// down, and gives back when it returns. (RFC 4271 section 9.1.2.2 c.)
#[test]
fn failover_and_failback_by_med() {
    let mut gateway = gateway(|_| {});
    gateway.drain();
    gateway.announce(T2, VPC, &[64512], Some(200));
    assert_eq!(gateway.changes(), [(None, Some(T2), Reason::Learned)]);
    gateway.announce(T1, VPC, &[64512], Some(100));
    assert_eq!(gateway.changes(), [(Some(T2), Some(T1), Reason::BetterRoute)]);
    assert_eq!(gateway.best(VPC).unwrap().decided_by, decision::DecidedBy::Med);
    let (peer, conn) = (T1, gateway.conns[0]);
    gateway.speaker.handle(gateway.now, Input::TcpClosed { peer, conn, reset: true });
    assert_eq!(gateway.changes(), [(Some(T1), Some(T2), Reason::SessionDown)]);
    assert_eq!(gateway.best(VPC).unwrap().decided_by, decision::DecidedBy::OnlyRoute);
    gateway.now = secs(3);
    gateway.speaker.handle_timeout(gateway.now);
    gateway.up(T1);
    gateway.drain();
    gateway.announce(T1, VPC, &[64512], Some(100));
    assert_eq!(gateway.changes(), [(Some(T2), Some(T1), Reason::BetterRoute)]);
    gateway.withdraw(T1, VPC);
    assert_eq!(gateway.changes(), [(Some(T1), Some(T2), Reason::Withdrawn)]);
    gateway.withdraw(T2, VPC);
    assert_eq!(gateway.changes(), [(Some(T2), None, Reason::Withdrawn)]);
    gateway.withdraw(T2, VPC);
    assert_eq!(gateway.changes(), []);
}

/// The standby tunnel prepends its AS twice: the far end sees three of ours, and one on the active tunnel. Both hear our own
/// address as NEXT_HOP, no LOCAL_PREF, and End-of-RIB last.
#[test]
fn prepending_is_seen_by_the_peer() {
    let mut gateway = gateway(|config| {
        config.networks = vec![(net("192.168.0.0/16"), Originated::default())];
        config.peers[1].export = Policy::change_all(vec![Change::Prepend(2), Change::Med(7)]);
    });
    for (peer, asns, med) in [(T2, &[65000; 3][..], Some(7)), (T1, &[65000][..], None)] {
        let refresh = [&[0xff; 16][..], &[0, 23, 5, 0, 1, 0, 1]].concat();
        gateway.drain();
        gateway.receive(peer, &refresh);
        let updates = gateway.updates(peer);
        assert_eq!(updates.len(), 1);
        let route = updates[0].ipv4.attributes.as_ref().unwrap();
        assert_eq!(route.as_path, AsPath::sequence(asns.iter().copied()));
        assert_eq!((route.med, route.local_pref), (med, None));
        assert_eq!(route.next_hop, Ipv4Addr::new(169, 254, peer.0 as u8 + 1, 2));
        assert_eq!(updates[0].ipv4.reachable, [net("192.168.0.0/16")]);
    }
}

/// Sections 9.2 and 5.1.4: a learned route goes to the other peer with our AS in front and without its MED, never back to
/// where it came from, and is withdrawn from the other when it becomes the best there.
#[test]
fn learned_routes_are_passed_on() {
    let mut gateway = gateway(|_| {});
    gateway.drain();
    gateway.announce(T1, VPC, &[64512, 65099], Some(100));
    let conn = gateway.conns[0];
    let outputs = gateway.drain();
    assert!(!outputs.iter().any(|o| matches!(o, Output::Send { conn: on, .. } if *on == conn)));
    let told = gateway.speaker.adj_rib_out(T2).get(&net(VPC)).unwrap();
    assert_eq!(told.as_path, AsPath::sequence([65000, 64512, 65099]));
    assert_eq!(told.med, None);
    gateway.announce(T2, VPC, &[64512], None);
    let updates = gateway.updates(T2);
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].ipv4.withdrawn, [net(VPC)]);
    assert!(gateway.speaker.adj_rib_out(T1).contains_key(&net(VPC)));
    assert!(gateway.speaker.adj_rib_out(T2).is_empty());
}

/// Only what changed is sent: an announcement that changes nothing that the peer can see is not repeated.
#[test]
fn nothing_is_said_twice() {
    let mut gateway = gateway(|_| {});
    gateway.announce(T1, VPC, &[64512], Some(100));
    gateway.drain();
    gateway.announce(T1, VPC, &[64512], Some(100));
    assert_eq!(gateway.drain().len(), 1, "nothing but the step UPDATE received");
    // The MED is not passed on, so its change is no news to the other peer.
    gateway.announce(T1, VPC, &[64512], Some(50));
    assert_eq!(gateway.updates(T2), []);
}

/// Section 9.1.2 (AS loop), section 6.3 (NEXT_HOP ours or off the subnet) and policy: kept in Adj-RIB-In, not used, and what
/// the peer said before is gone.
#[test]
fn unusable_routes_are_refused() {
    let us = Ipv4Addr::new(169, 254, 1, 2);
    let stranger = Ipv4Addr::new(8, 8, 8, 8);
    let peer = Ipv4Addr::new(169, 254, 1, 1);
    let cases = [
        (&[64512, 65000][..], peer, "10.0.0.0/16", Reason::AsPathLoop),
        (&[64512][..], us, "10.0.0.0/16", Reason::NextHopUnusable),
        (&[64512][..], stranger, "10.0.0.0/16", Reason::NextHopUnusable),
        (&[64512][..], peer, "10.0.7.0/24", Reason::PolicyRejected),
    ];
    for (asns, next_hop, prefix, reason) in cases {
        let mut gateway = gateway(|config| {
            config.peers[0].import = Policy {
                rules: vec![Rule {
                    prefixes: vec![PrefixMatch { within: net("10.0.0.0/8"), at_least: 24, at_most: 32 }],
                    verdict: Some(Verdict::Reject),
                    ..Rule::default()
                }],
                otherwise: Verdict::Accept,
            };
        });
        gateway.announce(T1, "10.0.0.0/16", &[64512], None);
        gateway.drain();
        gateway.announce_via(T1, prefix, asns, None, next_hop);
        let refused = Output::Refused { peer: T1, prefix: net(prefix).into(), reason };
        assert!(gateway.drain().contains(&refused), "{reason}");
        assert_eq!(gateway.best(prefix), None);
        assert!(gateway.speaker.adj_rib_in(T1).contains_key(&net(prefix)));
        assert_eq!(gateway.speaker.state(T1), State::Established);
    }
}

/// Import policy makes the longer path win, and changing the policy changes the choice at once, without the peer.
#[test]
fn policies_can_change() {
    let prefer = || Policy::change_all(vec![Change::LocalPref(200)]);
    let mut gateway = gateway(|config| config.peers[1].import = prefer());
    gateway.announce(T1, VPC, &[64512], None);
    gateway.announce(T2, VPC, &[64512, 64999], None);
    let best = gateway.best(VPC).unwrap();
    assert_eq!((best.peer, best.local_pref, best.as_path_length), (Some(T2), 200, 2));
    let policy = Policy::accept_all();
    gateway.drain();
    gateway.speaker.handle(gateway.now, Input::SetImport { peer: T2, policy });
    assert_eq!(gateway.changes(), [(Some(T2), Some(T1), Reason::BetterRoute)]);
    // And on the way out: AWS's tunnel endpoint update lowers the MED of the other tunnel.
    let route = Originated::default();
    let prefix = net("192.168.0.0/16");
    gateway.speaker.handle(gateway.now, Input::Originate { prefix, route });
    gateway.drain();
    let policy = Policy::change_all(vec![Change::Med(50)]);
    gateway.speaker.handle(gateway.now, Input::SetExport { peer: T1, policy });
    let updates = gateway.updates(T1);
    let meds: Vec<_> = updates.iter().map(|u| u.ipv4.attributes.as_ref().unwrap().med).collect();
    assert_eq!(meds, [Some(50)]);
}

/// Our own route to a prefix outranks a learned one, and an originated path of another attachment is passed on whole.
#[test]
fn own_routes() {
    let mut gateway = gateway(|_| {});
    gateway.announce(T1, VPC, &[64512], None);
    let route = Originated { as_path: AsPath::sequence([65100, 65101]), med: Some(9), ..Originated::default() };
    let prefix = net(VPC);
    gateway.speaker.handle(gateway.now, Input::Originate { prefix, route });
    let best = gateway.best(VPC).unwrap();
    assert_eq!((best.peer, best.decided_by), (None, decision::DecidedBy::LocalOrigin));
    let told = gateway.speaker.adj_rib_out(T1).get(&prefix).unwrap();
    assert_eq!(told.as_path, AsPath::sequence([65000, 65100, 65101]));
    assert_eq!(told.med, Some(9));
    gateway.drain();
    gateway.speaker.handle(gateway.now, Input::WithdrawOriginated { prefix });
    assert_eq!(gateway.changes(), [(None, Some(T1), Reason::Withdrawn)]);
}

/// A table of 20,000 routes with two attribute sets, twice refreshed: every route arrives, packed, once each time.
#[test]
fn a_large_table_is_sent_whole() {
    let mut gateway = gateway(|config| {
        let prefix = |n: u32| net(&format!("10.{}.{}.0/24", n >> 8, n & 255));
        let route = |n: u32| Originated { med: Some(n % 2), ..Originated::default() };
        config.networks = (0..20_000).map(|n| (prefix(n), route(n))).collect();
    });
    gateway.drain();
    let refresh = [&[0xff; 16][..], &[0, 23, 5, 0, 1, 0, 1]].concat();
    gateway.receive(T1, &refresh);
    let updates = gateway.updates(T1);
    // 4,096 - 23 - 27 octets of attributes (20 and 7 of MED) hold 1,011 prefixes; 10,000 of each set need ten messages.
    assert_eq!(updates.len(), 20);
    let mut all: Vec<_> = updates.into_iter().flat_map(|update| update.ipv4.reachable).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 20_000);
}

/// Internal peers: LOCAL_PREF goes with the route, NEXT_HOP stays, and what one said the other does not hear (section 9.2).
#[test]
fn internal_peers() {
    let mut gateway = gateway(|config| {
        config.local_as = 64512;
        config.router_id = Ipv4Addr::new(10, 0, 0, 9);
    });
    gateway
        .speaker
        .handle(gateway.now, Input::Originate { prefix: net("192.168.0.0/16"), route: Originated::default() });
    let told = gateway.speaker.adj_rib_out(T1).get(&net("192.168.0.0/16")).unwrap();
    assert_eq!((told.local_pref, told.as_path.length()), (Some(100), 0));
    let mut route = Attributes::new(Ipv4Addr::new(172, 16, 0, 1));
    route.local_pref = Some(150);
    let mut bytes = Vec::new();
    let dialect = attributes::Dialect::new(64512, 64512);
    update::announce(&route, &dialect, &[net(VPC)], |b, _| bytes.extend(b));
    gateway.receive(T1, &bytes);
    let best = gateway.best(VPC).unwrap();
    assert_eq!((best.local_pref, best.next_hop), (150, Ipv4Addr::new(172, 16, 0, 1)));
    assert!(gateway.speaker.adj_rib_out(T2).get(&net(VPC)).is_none());
}
