//! Tests of the speaker, by subject, and the two-ended harness that the ladders use.

mod bfd;
mod cease;
mod codec;
mod decisions;
mod errors;
mod fsm_matrix;
mod graceful;
mod ipv6;
mod ipv6_codec;
mod ipv6_restarts;
mod ladder;
mod mesh;
mod oracle;
mod policies;
mod reflection;
mod refresh;
mod revised;
mod routes;
mod stream;
mod tables;
mod timers;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::*;
use crate::reason::Step;
use crate::rng::Purpose;

pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
pub(super) const PEER: PeerId = PeerId(0);

pub(super) fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

pub(super) fn secs(n: u64) -> Instant {
    Instant::from_secs(n)
}

/// A speaker with one peer on 169.254.10.0/30, without jitter. Its router id is its address on the session.
pub(super) fn config(local_as: u32, remote_as: u32, host: u8) -> SpeakerConfig {
    let address = |host| Ipv4Addr::new(169, 254, 10, host);
    let subnet = net("169.254.10.0/30");
    let mut peer = PeerConfig::new("peer", remote_as, address(host), address(3 - host), subnet);
    peer.jitter = Jitter::None;
    SpeakerConfig::new(local_as, address(host), vec![peer])
}

pub(super) fn speaker(config: SpeakerConfig) -> Speaker {
    Speaker::new(config, |name| Rng::stream(7, name, Purpose::BgpTimers))
}

/// What happens to a byte stream between the two ends.
enum Flight {
    /// A SYN to `to`, which will know the connection as the pair's number.
    Syn {
        to: usize,
        pair: usize,
    },
    /// The answer to a SYN.
    Ack {
        to: usize,
        pair: usize,
    },
    Bytes {
        to: usize,
        pair: usize,
        bytes: Vec<u8>,
    },
    Fin {
        to: usize,
        pair: usize,
    },
    Rst {
        to: usize,
        pair: usize,
    },
}

/// Two speakers with one session between them, over reliable streams with a delay. Everything one end does while the
/// other's messages are in flight is on time, so collisions happen as they do in life.
pub(super) struct Pair {
    pub ends: [Speaker; 2],
    pub now: Instant,
    pub delay: Duration,
    /// Nothing arrives any more, in either direction.
    pub dark: bool,
    flights: VecDeque<(Instant, Flight)>,
    /// Per pair number: the connection as A and B know it, if it is open there.
    conns: Vec<[Option<ConnId>; 2]>,
    pub log: Vec<(Instant, usize, Output)>,
}

impl Pair {
    pub fn new(a: SpeakerConfig, b: SpeakerConfig) -> Self {
        Self {
            ends: [speaker(a), speaker(b)],
            now: Instant::START,
            delay: Duration::from_millis(10),
            dark: false,
            flights: VecDeque::new(),
            conns: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The usual customer gateway (AS 65000, .2) and AWS end (AS 64512, .1).
    pub fn usual() -> Self {
        Self::new(config(65000, 64512, 2), config(64512, 65000, 1))
    }

    pub fn input(&mut self, end: usize, input: Input<'_>) {
        self.ends[end].handle(self.now, input);
        self.drain(end);
    }

    pub fn start(&mut self) {
        self.input(A, Input::Start { peer: PEER });
        self.input(B, Input::Start { peer: PEER });
    }

    fn drain(&mut self, end: usize) {
        while let Some(output) = self.ends[end].poll() {
            self.log.push((self.now, end, output.clone()));
            let to = 1 - end;
            let flight = match output {
                Output::Connect { conn, .. } => {
                    let mut ids = [None; 2];
                    ids[end] = Some(conn);
                    self.conns.push(ids);
                    let pair = self.conns.len() - 1;
                    Flight::Syn { to, pair }
                }
                Output::Send { conn, bytes } => {
                    let pair = self.pair(end, conn);
                    Flight::Bytes { to, pair, bytes }
                }
                Output::Close { conn, abortive } => {
                    let pair = self.pair(end, conn);
                    self.conns[pair][end] = None;
                    match abortive {
                        true => Flight::Rst { to, pair },
                        false => Flight::Fin { to, pair },
                    }
                }
                _ => continue,
            };
            self.flights.push_back((self.now + self.delay, flight));
        }
    }

    fn pair(&self, end: usize, conn: ConnId) -> usize {
        self.conns.iter().rposition(|ids| ids[end] == Some(conn)).expect("an output on a connection that is open")
    }

    fn arrive(&mut self, flight: Flight) {
        match flight {
            Flight::Syn { to, pair } => {
                let conn = ConnId::Accepted(pair as u32);
                self.conns[pair][to] = Some(conn);
                // The kernel acknowledges before the speaker has seen the connection.
                let ack = Flight::Ack { to: 1 - to, pair };
                self.flights.push_back((self.now + self.delay, ack));
                self.input(to, Input::TcpConnected { peer: PEER, conn });
            }
            Flight::Ack { to, pair } => {
                if let Some(conn) = self.conns[pair][to] {
                    self.input(to, Input::TcpConnected { peer: PEER, conn });
                }
            }
            Flight::Bytes { to, pair, bytes } => {
                if let Some(conn) = self.conns[pair][to] {
                    let bytes = &bytes;
                    self.input(to, Input::Received { conn, bytes });
                }
            }
            Flight::Fin { to, pair } => self.over(to, pair, false),
            Flight::Rst { to, pair } => self.over(to, pair, true),
        }
    }

    fn over(&mut self, to: usize, pair: usize, reset: bool) {
        if let Some(conn) = self.conns[pair][to] {
            if reset {
                self.conns[pair][to] = None;
            }
            let peer = PEER;
            self.input(to, Input::TcpClosed { peer, conn, reset });
        }
    }

    /// Lets time pass up to `until`, inclusive.
    pub fn run(&mut self, until: Instant) {
        loop {
            let flight = self.flights.front().map_or(Instant::NEVER, |(at, _)| *at);
            let wake = |end: usize| self.ends[end].wake().map_or(Instant::NEVER, |(at, _)| at);
            let (a, b) = (wake(A), wake(B));
            let next = flight.min(a).min(b);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
            if flight == next {
                let (_, flight) = self.flights.pop_front().unwrap();
                if !self.dark {
                    self.arrive(flight);
                }
            } else {
                let end = if a == next { A } else { B };
                self.ends[end].handle_timeout(next);
                self.drain(end);
            }
        }
    }

    pub fn states(&self) -> [State; 2] {
        [self.ends[A].state(PEER), self.ends[B].state(PEER)]
    }

    pub fn establish(&mut self) {
        self.start();
        self.run(self.now + Duration::from_secs(1));
        assert_eq!(self.states(), [State::Established; 2], "{}", self.ladder());
    }

    /// The log in lines: when, which end, what. Octets are left out.
    pub fn ladder(&self) -> String {
        let mut text = String::new();
        for (at, end, output) in &self.log {
            let line = match output {
                Output::Send { .. } => continue,
                Output::Connect { conn, .. } => format!("connect {conn:?}"),
                Output::Close { conn, abortive } => {
                    let how = if *abortive { "reset" } else { "close" };
                    format!("{how} {conn:?}")
                }
                Output::Expired { timer, armed_at, .. } => {
                    format!("{timer} expired, armed at {armed_at}")
                }
                Output::State { from, to, reason, .. } => format!("{from} -> {to}: {reason}"),
                Output::Step { conn, step, codes, .. } => match codes {
                    Some((code, subcode)) => format!("{step} {code}/{subcode} on {conn:?}"),
                    None => format!("{step} on {conn:?}"),
                },
                Output::Route(change) => {
                    let best = |best: Option<Best>| best.map_or("none".to_owned(), |b| format!("{}", b.next_hop));
                    let (from, to) = (best(change.from), best(change.to));
                    format!("{}: {from} -> {to}: {}", change.prefix, change.reason)
                }
                Output::Ipv6Route(change) => {
                    let best = |best: Option<Best<Ipv6Net>>| best.map_or("none".to_owned(), |b| b.next_hop.to_string());
                    let (from, to) = (best(change.from), best(change.to));
                    format!("{}: {from} -> {to}: {}", change.prefix, change.reason)
                }
                Output::Communication { text, .. } => format!("the peer says {text:?}"),
                Output::Withheld { prefixes, .. } => format!("{prefixes} prefixes are withheld"),
                Output::NearLimit { prefixes, .. } => format!("{prefixes} prefixes are near the limit"),
                Output::Retained { routes, .. } => format!("{routes} routes are kept as stale ones"),
                Output::Refused { prefix, reason, .. } => format!("{prefix} refused: {reason}"),
            };
            writeln!(text, "{at} {} {line}", ["A", "B"][*end]).unwrap();
        }
        text
    }

    /// The messages that an end sent so far.
    pub fn sent(&self, end: usize) -> impl Iterator<Item = (Instant, &[u8])> {
        self.log.iter().filter_map(move |(at, who, output)| match output {
            Output::Send { bytes, .. } if *who == end => Some((*at, bytes.as_slice())),
            _ => None,
        })
    }

    /// Code, subcode and data of the NOTIFICATIONs that an end sent.
    pub fn notifications(&self, end: usize) -> Vec<(u8, u8, Vec<u8>)> {
        self.sent(end)
            .filter(|(_, bytes)| bytes[18] == 3)
            .map(|(_, bytes)| (bytes[19], bytes[20], bytes[21..].to_vec()))
            .collect()
    }
}

/// One speaker whose peer is the test itself: established, with what it sent so far thrown away.
pub(super) struct Solo {
    pub speaker: Speaker,
    pub conn: ConnId,
    pub now: Instant,
}

/// A valid OPEN from 169.254.10.1, AS 64512, hold time 30 s, with the three usual capabilities.
pub(super) fn usual_open() -> Vec<u8> {
    open::Open {
        asn: 64512,
        hold_time: 30,
        identifier: Ipv4Addr::new(169, 254, 10, 1),
        capabilities: open::Capabilities::USUAL,
    }
    .emit()
}

impl Solo {
    /// A speaker in OpenSent.
    pub fn open_sent(config: SpeakerConfig) -> Self {
        let mut solo = Self { speaker: speaker(config), conn: ConnId::Accepted(0), now: secs(1) };
        solo.give(Input::Start { peer: PEER });
        let Some(Output::Connect { conn, .. }) =
            solo.drain().into_iter().find(|output| matches!(output, Output::Connect { .. }))
        else {
            panic!("a started peer connects");
        };
        solo.conn = conn;
        solo.give(Input::TcpConnected { peer: PEER, conn });
        solo.drain();
        solo
    }

    pub fn established() -> Self {
        let mut solo = Self::open_sent(config(65000, 64512, 2));
        solo.receive(&usual_open());
        solo.receive(&message::keepalive());
        assert_eq!(solo.speaker.state(PEER), State::Established);
        solo.drain();
        solo
    }

    pub fn give(&mut self, input: Input<'_>) {
        self.speaker.handle(self.now, input);
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        let conn = self.conn;
        self.give(Input::Received { conn, bytes });
    }

    pub fn drain(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.speaker.poll()).collect()
    }

    /// The NOTIFICATION that was sent and followed by an orderly close, as code, subcode and data.
    pub fn notification(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let outputs = self.drain();
        let at = outputs.iter().position(|output| matches!(output, Output::Send { bytes, .. } if bytes[18] == 3))?;
        let Output::Send { bytes, .. } = &outputs[at] else { unreachable!() };
        let closed = Output::Close { conn: self.conn, abortive: false };
        assert!(outputs[at..].contains(&closed), "{outputs:?}");
        Some((bytes[19], bytes[20], bytes[21..].to_vec()))
    }
}
