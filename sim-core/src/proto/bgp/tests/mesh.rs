//! Several speakers on one subnet, 10.0.0.0/24, with sessions between some of them, over streams that lose no time.

use super::*;
use crate::proto::bgp::attributes::Attributes;

/// Speakers and what is on its way between them.
pub(super) struct Mesh {
    pub speakers: Vec<Speaker>,
    now: Instant,
    /// The ends of each connection: the speaker and how it numbers it.
    lines: Vec<[(usize, ConnId); 2]>,
    /// The neighbours of each speaker, in the order of its peers.
    neighbours: Vec<Vec<usize>>,
    /// What each speaker reported, but for what it sent.
    pub log: Vec<(usize, Output)>,
}

pub(super) fn address(speaker: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, speaker as u8 + 1)
}

/// What a mesh is made from.
pub(super) struct Plan {
    configs: Vec<SpeakerConfig>,
    neighbours: Vec<Vec<usize>>,
}

impl Plan {
    /// A speaker for each AS, and these sessions, which the first of each pair opens.
    pub fn new(asns: &[u32], sessions: &[(usize, usize)]) -> Self {
        let mut plan = Self { configs: Vec::new(), neighbours: vec![Vec::new(); asns.len()] };
        for (speaker, asn) in asns.iter().enumerate() {
            plan.configs.push(SpeakerConfig::new(*asn, address(speaker), Vec::new()));
        }
        for &(from, to) in sessions {
            for (at, other) in [(from, to), (to, from)] {
                let (name, subnet) = (format!("r{other}"), net("10.0.0.0/24"));
                let mut peer = PeerConfig::new(name, asns[other], address(at), address(other), subnet);
                peer.jitter = Jitter::None;
                peer.passive = at == to;
                plan.configs[at].peers.push(peer);
                plan.neighbours[at].push(other);
            }
        }
        plan
    }

    pub fn speaker(&mut self, speaker: usize) -> &mut SpeakerConfig {
        &mut self.configs[speaker]
    }

    pub fn peer(&mut self, speaker: usize, neighbour: usize) -> &mut PeerConfig {
        let place = self.neighbours[speaker].iter().position(|other| *other == neighbour).unwrap();
        &mut self.configs[speaker].peers[place]
    }

    /// The mesh, with every session up.
    pub fn establish(self) -> Mesh {
        let mut mesh = Mesh {
            speakers: self.configs.into_iter().map(speaker).collect(),
            now: secs(1),
            lines: Vec::new(),
            neighbours: self.neighbours,
            log: Vec::new(),
        };
        for speaker in 0..mesh.speakers.len() {
            for place in 0..mesh.neighbours[speaker].len() {
                mesh.give(speaker, Input::Start { peer: PeerId(place as u16) });
            }
        }
        mesh.settle();
        for (speaker, neighbours) in mesh.speakers.iter().zip(&mesh.neighbours) {
            assert!((0..neighbours.len()).all(|place| speaker.state(PeerId(place as u16)) == State::Established));
        }
        mesh
    }
}

impl Mesh {
    pub fn peer(&self, speaker: usize, neighbour: usize) -> PeerId {
        let place = self.neighbours[speaker].iter().position(|other| *other == neighbour).unwrap();
        PeerId(place as u16)
    }

    pub fn give(&mut self, speaker: usize, input: Input<'_>) {
        self.speakers[speaker].handle(self.now, input);
    }

    /// Gives an input and lets everything that follows happen.
    pub fn input(&mut self, speaker: usize, input: Input<'_>) {
        self.give(speaker, input);
        self.settle();
    }

    pub fn originate(&mut self, speaker: usize, prefix: &str) {
        self.input(speaker, Input::Originate { prefix: net(prefix), route: Originated::default() });
    }

    pub fn withdraw(&mut self, speaker: usize, prefix: &str) {
        self.input(speaker, Input::WithdrawOriginated { prefix: net(prefix) });
    }

    fn settle(&mut self) {
        while let Some((speaker, output)) =
            (0..self.speakers.len()).find_map(|speaker| Some((speaker, self.speakers[speaker].poll()?)))
        {
            self.obey(speaker, output);
        }
    }

    fn obey(&mut self, speaker: usize, output: Output) {
        let other_end = |lines: &[[(usize, ConnId); 2]], conn| {
            let holds = |line: &&[(usize, ConnId); 2]| line.contains(&(speaker, conn));
            lines.iter().find(holds).map(|line| if line[0] == (speaker, conn) { line[1] } else { line[0] })
        };
        match output {
            Output::Connect { peer, conn } => {
                let other = self.neighbours[speaker][peer.index()];
                let accepted = ConnId::Accepted(self.lines.len() as u32);
                self.lines.push([(speaker, conn), (other, accepted)]);
                let from = self.peer(other, speaker);
                self.give(other, Input::TcpConnected { peer: from, conn: accepted });
                self.give(speaker, Input::TcpConnected { peer, conn });
            }
            Output::Send { conn, bytes } => {
                if let Some((other, conn)) = other_end(&self.lines, conn) {
                    self.give(other, Input::Received { conn, bytes: &bytes });
                }
            }
            Output::Close { conn, .. } => {
                if let Some((other, conn)) = other_end(&self.lines, conn) {
                    let peer = self.peer(other, speaker);
                    self.give(other, Input::TcpClosed { peer, conn, reset: true });
                }
            }
            reported => self.log.push((speaker, reported)),
        }
    }

    /// The best route that a speaker has.
    pub fn best(&self, speaker: usize, prefix: &str) -> Option<Best> {
        self.speakers[speaker].routes().get(&net(prefix)).map(Entry::best)
    }

    /// Its attributes.
    pub fn route(&self, speaker: usize, prefix: &str) -> Attributes {
        let entry = self.speakers[speaker].routes().get(&net(prefix)).expect("there is a route");
        Attributes::clone(entry.best_route().attributes)
    }

    /// Which speakers have a route.
    pub fn knowing(&self, prefix: &str) -> Vec<usize> {
        (0..self.speakers.len()).filter(|&speaker| self.best(speaker, prefix).is_some()).collect()
    }

    /// Why a speaker refused routes to a prefix, in order.
    pub fn refusals(&self, speaker: usize, refused: &str) -> Vec<Reason> {
        let of = |(at, output): &(usize, Output)| match output {
            Output::Refused { prefix, reason, .. } if *at == speaker && *prefix == net(refused).into() => Some(*reason),
            _ => None,
        };
        self.log.iter().filter_map(of).collect()
    }

    /// The changes that a speaker reported since the last look.
    pub fn changes(&mut self, speaker: usize) -> Vec<RouteChange> {
        let of = |(at, output): (usize, Output)| match output {
            Output::Route(change) if at == speaker => Some(change),
            _ => None,
        };
        core::mem::take(&mut self.log).into_iter().filter_map(of).collect()
    }
}
