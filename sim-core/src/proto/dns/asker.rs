//! Who asks: one server after the other, until one has answered.
//!
//! ```text
//!   ask --> first server --timeout--> second --timeout--> ... --timeout--> first ... --timeout--> timed out
//!                '---- answer ----'------ answer from any that was asked: done
//!                '---- SERVFAIL, REFUSED, NOTIMP: the next at once
//! ```
//!
//! An answer counts if it is from a server that was asked, to the port and with the id of the question, and about it (RFC 5452 section
//! 9.1).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::Datagram;
use crate::id::Port;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::dns::{self, Answer, DnsName, Kind, Message, Question, ResponseCode};

/// First of the ports that questions are sent from (RFC 6056 section 3.2).
const FIRST_PORT: u16 = 49_152;
/// How many there are.
const PORTS: u64 = 16_384;

/// A server to ask, and how it is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upstream {
    /// The port of the device that leads to it.
    pub by: Port,
    /// From which address it is asked.
    pub from: Ipv4Addr,
    /// The server.
    pub to: Ipv4Addr,
}

/// How it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskerConfig {
    /// How long each server is waited for.
    pub timeout: Duration,
    /// How often each is asked.
    pub rounds: u32,
    /// Whether it begins with the server that has answered last; if not, always with the first.
    pub sticky: bool,
}

/// What a question came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A server has answered, and its answer is one that holds: NOERROR or NXDOMAIN.
    Answered(Answer),
    /// All were asked, and the last to say something said this.
    Refused(ResponseCode),
    /// All were asked, and none said anything.
    TimedOut,
}

/// A question that waits.
#[derive(Clone, Debug)]
struct Pending<K> {
    key: K,
    name: DnsName,
    upstreams: Vec<Upstream>,
    /// The one that is asked first.
    first: usize,
    id: u16,
    port: u16,
    /// How many times one was asked.
    asked: u32,
    deadline: Instant,
    refused: Option<ResponseCode>,
}

impl<K> Pending<K> {
    fn of_turn(&self, turn: u32) -> Upstream {
        self.upstreams[(self.first + turn as usize) % self.upstreams.len()]
    }
}

/// Who asks. `K` is by what its owner knows a question.
#[derive(Clone, Debug)]
pub struct Asker<K> {
    config: AskerConfig,
    rng: Rng,
    pending: Vec<Pending<K>>,
    /// The server that has answered last.
    last: Option<Ipv4Addr>,
    sent: VecDeque<Datagram>,
    done: VecDeque<(K, DnsName, Outcome)>,
}

impl<K> Asker<K> {
    /// One that asks like this. Ids and ports are drawn from `rng`.
    pub fn new(config: AskerConfig, rng: Rng) -> Self {
        Self { config, rng, pending: Vec::new(), last: None, sent: VecDeque::new(), done: VecDeque::new() }
    }

    /// Asks these servers for the addresses of a name.
    pub fn ask(&mut self, now: Instant, key: K, name: DnsName, upstreams: Vec<Upstream>) {
        if upstreams.is_empty() {
            return self.done.push_back((key, name, Outcome::Refused(ResponseCode::ServerFailure)));
        }
        let again = self.last.filter(|_| self.config.sticky);
        let first = again.and_then(|last| upstreams.iter().position(|it| it.to == last)).unwrap_or_default();
        let (id, port) = self.draw();
        let deadline = now;
        self.pending.push(Pending { key, name, upstreams, first, id, port, asked: 0, deadline, refused: None });
        self.go_on(now, self.pending.len() - 1);
    }

    /// An id and a port that no question waits with.
    fn draw(&mut self) -> (u16, u16) {
        loop {
            let drawn = (self.rng.u32() as u16, FIRST_PORT + self.rng.below(PORTS) as u16);
            if !self.pending.iter().any(|pending| (pending.id, pending.port) == drawn) {
                return drawn;
            }
        }
    }

    /// Asks the next server, or gives up.
    fn go_on(&mut self, now: Instant, number: usize) {
        let pending = &mut self.pending[number];
        if pending.asked as usize >= pending.upstreams.len() * self.config.rounds as usize {
            let pending = self.pending.remove(number);
            let outcome = pending.refused.map_or(Outcome::TimedOut, Outcome::Refused);
            return self.done.push_back((pending.key, pending.name, outcome));
        }
        let to = pending.of_turn(pending.asked);
        pending.asked += 1;
        pending.deadline = now + self.config.timeout;
        let question = Question::addresses_of(pending.name.clone());
        let query = Message { id: pending.id, question, kind: Kind::Query { recursion: true } };
        self.sent.push_back(Datagram {
            by: to.by,
            from: SocketAddrV4::new(to.from, pending.port),
            to: SocketAddrV4::new(to.to, dns::PORT),
            octets: query.to_octets(),
        });
    }

    /// Takes an answer. False: nobody has asked for it.
    pub fn handle(&mut self, now: Instant, from: SocketAddrV4, to: SocketAddrV4, message: &Message) -> bool {
        let Kind::Answer(answer) = &message.kind else { return false };
        let asked = |pending: &Pending<K>| {
            let mut servers = (0..pending.asked).map(|turn| pending.of_turn(turn));
            (pending.id, pending.port, dns::PORT) == (message.id, to.port(), from.port())
                && message.question == Question::addresses_of(pending.name.clone())
                && servers.any(|server| (server.from, server.to) == (*to.ip(), *from.ip()))
        };
        let Some(number) = self.pending.iter().position(asked) else { return false };
        if matches!(answer.code, ResponseCode::NoError | ResponseCode::NameError) {
            self.last = Some(*from.ip());
            let pending = self.pending.remove(number);
            self.done.push_back((pending.key, pending.name, Outcome::Answered(answer.clone())));
        } else {
            self.pending[number].refused = Some(answer.code);
            // An earlier server that says so late changes nothing: the one that is asked now is waited for.
            if self.pending[number].of_turn(self.pending[number].asked - 1).to == *from.ip() {
                self.go_on(now, number);
            }
        }
        true
    }

    /// Goes on with what has waited long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(number) = self.pending.iter().position(|pending| pending.deadline <= now) {
            self.go_on(now, number);
        }
    }

    /// When [`Self::handle_timeout`] must be called next ([`crate::reason::TimerKind::DnsTimeout`]).
    pub fn wake(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }

    /// The next message to send.
    pub fn poll(&mut self) -> Option<Datagram> {
        self.sent.pop_front()
    }

    /// The next question that has come to something.
    pub fn done(&mut self) -> Option<(K, DnsName, Outcome)> {
        self.done.pop_front()
    }

    /// Forgets all questions.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.sent.clear();
        self.done.clear();
        self.last = None;
    }
}
