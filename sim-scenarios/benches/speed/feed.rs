//! A table of a million routes, as the octets that one external peer sends after the session is established, and our
//! speaker with a forwarding table at the other end.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sim_core::id::{Port, RecordId};
use sim_core::net::fib::{Fib, Route, RouteSource, Target, distance};
use sim_core::proto::bgp::{ConnId, Input, Jitter, Output, PeerConfig, PeerId, Speaker, SpeakerConfig};
use sim_core::rng::{Purpose, Rng};
use sim_core::time::Instant;

/// Who sends the table, and from where.
pub const FEEDER_AS: u32 = 65_001;
pub const FEEDER: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 2);
/// Who receives it.
pub const RECEIVER_AS: u32 = 65_000;
pub const RECEIVER: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);
/// Seconds for which the sender may say nothing.
pub const HOLD_TIME: u16 = 240;
/// Octets that the speaker is given at a time: a segment of our TCP on an Ethernet.
const READ: usize = 1_460;

/// Which prefixes there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Successive /24s, in order.
    Dense,
    /// Lengths as in the Internet's table, addresses anywhere, in no order.
    Shuffled,
}

/// How many prefixes of each length, from /8 on, the updates of a RIPE RIS collector were about: the count in
/// prefix_len_anaysis/README.md of github.com/zhu849/IP-Address-Lookup-Algorithms. What is longer than /24 is left
/// out. Three fifths are /24, a tenth each /23 and /22, as the yearly reports on the table at bgp.potaroo.net have it.
const LENGTHS: [(u8, u64); 17] = [
    (8, 3),
    (9, 3),
    (10, 11),
    (11, 29),
    (12, 117),
    (13, 193),
    (14, 341),
    (15, 552),
    (16, 2_454),
    (17, 1_880),
    (18, 3_792),
    (19, 6_761),
    (20, 9_161),
    (21, 11_054),
    (22, 22_947),
    (23, 19_978),
    (24, 117_227),
];

/// `count` different prefixes.
pub fn prefixes(shape: Shape, count: usize) -> Vec<Ipv4Net> {
    let net = |bits: u32, length| Ipv4Net::new(bits.into(), length).expect("a length of a prefix").trunc();
    let first = u32::from(Ipv4Addr::new(20, 0, 0, 0));
    if shape == Shape::Dense {
        return (0..count as u32).map(|n| net(first + (n << 8), 24)).collect();
    }
    let mut rng = Rng::stream(1, "table", Purpose::Test);
    let all: u64 = LENGTHS.iter().map(|(_, share)| share).sum();
    let mut seen = std::collections::BTreeSet::new();
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        let mut at = rng.below(all);
        let length = LENGTHS.iter().find(|(_, share)| {
            let here = at < *share;
            at = at.saturating_sub(*share);
            here
        });
        let (length, _) = length.expect("the shares add up");
        // Unicast, and not the host's own: BIRD takes no other.
        let first_octet = 1 + rng.below(222) as u32;
        let first_octet = first_octet + u32::from(first_octet >= 127);
        let prefix = net(first_octet << 24 | rng.below(1 << 24) as u32, *length);
        if seen.insert(prefix) {
            drawn.push(prefix);
        }
    }
    drawn
}

/// The UPDATEs that announce these prefixes, `each` at a time, no two with the same AS_PATH.
pub fn updates(prefixes: &[Ipv4Net], each: usize) -> Vec<u8> {
    let mut stream = Vec::new();
    for (n, part) in prefixes.chunks(each).enumerate() {
        let n = n as u32;
        // The feeder's AS, two from a few hundred, and an origin of its own.
        let path = [FEEDER_AS, 100 + n % 251, 1_000 + n % 509, 100_000 + n];
        let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 2 + 4 * path.len() as u8, 2, path.len() as u8];
        path.iter().for_each(|asn| attributes.extend_from_slice(&asn.to_be_bytes()));
        attributes.extend_from_slice(&[0x40, 3, 4]);
        attributes.extend_from_slice(&FEEDER.octets());
        let mut body = vec![0, 0];
        body.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
        body.extend_from_slice(&attributes);
        for prefix in part {
            let octets = usize::from(prefix.prefix_len().div_ceil(8));
            body.push(prefix.prefix_len());
            body.extend_from_slice(&prefix.network().octets()[..octets]);
        }
        stream.extend_from_slice(&message(2, &body));
    }
    stream
}

/// A message of a type.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff; 16];
    let length = u16::try_from(19 + body.len()).expect("a message of at most 4,096 octets");
    message.extend_from_slice(&length.to_be_bytes());
    message.push(kind);
    message.extend_from_slice(body);
    message
}

/// What the feeder says before its table: OPEN and KEEPALIVE.
pub fn greeting() -> [Vec<u8>; 2] {
    let mut open = vec![4];
    open.extend_from_slice(&(FEEDER_AS as u16).to_be_bytes());
    open.extend_from_slice(&HOLD_TIME.to_be_bytes());
    open.extend_from_slice(&FEEDER.octets());
    // One parameter of capabilities: IPv4 unicast, and AS numbers of four octets.
    open.extend_from_slice(&[14, 2, 12, 1, 4, 0, 1, 0, 1, 65, 4]);
    open.extend_from_slice(&FEEDER_AS.to_be_bytes());
    [message(1, &open), message(4, &[])]
}

/// A router that takes a table from one peer and forwards by it.
pub struct Router {
    speaker: Speaker,
    fib: Fib,
    conn: ConnId,
}

impl Router {
    /// A router whose session with the feeder is established.
    pub fn established() -> Self {
        let subnet = Ipv4Net::new(RECEIVER, 30).expect("a length of a prefix").trunc();
        let mut peer = PeerConfig::new("feeder", FEEDER_AS, RECEIVER, FEEDER, subnet);
        peer.passive = true;
        peer.jitter = Jitter::None;
        let config = SpeakerConfig::new(RECEIVER_AS, RECEIVER, vec![peer]);
        let speaker = Speaker::new(config, |name| Rng::stream(1, name, Purpose::BgpTimers));
        let mut router = Self { speaker, fib: Fib::new(), conn: ConnId::Accepted(0) };
        let peer = PeerId(0);
        router.input(Input::Start { peer });
        router.input(Input::TcpConnected { peer, conn: router.conn });
        greeting().iter().for_each(|message| router.receive(message));
        assert_eq!(router.speaker.established(), 1, "the session is established");
        router
    }

    /// Takes octets from the connection, as many at a time as a read yields.
    pub fn receive(&mut self, stream: &[u8]) {
        for bytes in stream.chunks(READ) {
            self.input(Input::Received { conn: self.conn, bytes });
        }
    }

    fn input(&mut self, input: Input<'_>) {
        self.speaker.handle(Instant::from_secs(1), input);
        while let Some(output) = self.speaker.poll() {
            if let Output::Route(change) = output
                && let Some(best) = change.to
            {
                let prefix = change.prefix;
                let target = Target::via(Port(1), best.next_hop);
                let metric = best.med.unwrap_or(0);
                let since = RecordId::GENESIS;
                let source = RouteSource::Bgp;
                // As a device does, which learns the number of the change's record when it is written.
                let route = Route { prefix, source, distance: distance::EBGP, metric, target, since };
                self.fib.set_since(route, |_| RecordId(1));
            }
        }
    }

    /// Its forwarding table, into which every best route was put.
    pub fn fib(&self) -> &Fib {
        assert_eq!(self.speaker.routes().len(), self.fib.len(), "each best route is installed");
        &self.fib
    }
}
