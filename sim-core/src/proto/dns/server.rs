//! A name server: it answers from its zones, forwards what is in domains that it is told whom to ask about, and remembers what it was told.
//!
//! Of the zones and forwarded domains that a name is in, the longest decides; a forwarded domain decides before a zone of the same name
//! (Route 53 developer guide, page resolver-overview-forward-vpc-to-network-domain-name-matches.html). A question that already waits for an
//! answer is not asked twice, so servers that forward to each other end in time-outs and not in a storm.
//!
//! Of queries that wait for others it holds so many and drops what comes on top, as Unbound does (unbound.conf(5), `num-queries-per-thread`).
//! Left out: that a new query may take the place of one that has waited for long (`jostle-timeout`).

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::Datagram;
use super::asker::{Asker, AskerConfig, Outcome, Upstream};
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use crate::wire::dns::{Answer, DnsName, Kind, Malformed, Message, PORT, ResponseCode};

/// A zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// Its name.
    pub origin: DnsName,
    /// The addresses of its names.
    pub records: BTreeMap<DnsName, Vec<Ipv4Addr>>,
    /// For how many seconds they hold.
    pub ttl: u32,
}

/// A domain that others are asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The domain.
    pub domain: DnsName,
    /// Whom to ask.
    pub to: Vec<Upstream>,
}

/// What a name server is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// The addresses by which it takes queries.
    pub addresses: Vec<Ipv4Addr>,
    /// Its zones.
    pub zones: Vec<Zone>,
    /// What it forwards.
    pub forwards: Vec<Forward>,
    /// How it asks.
    pub asks: AskerConfig,
    /// What it says of names that are in none of these.
    pub otherwise: ResponseCode,
    /// How many queries may wait at once for what others say.
    pub waiting_max: usize,
}

/// How many queries wait at once for others at a name server on a host: Unbound's for one thread with an event library (unbound.conf(5),
/// `num-queries-per-thread`).
pub const WAITING_MAX: usize = 1024;

/// What a name server makes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It was for the server.
    Taken,
    /// It is a query, and as many wait as may ([`crate::reason::DropReason::NameServerFull`]).
    Full,
    /// It is neither a query to it nor an answer that it waits for.
    NotForIt,
}

/// Who waits for an answer: the query as it came, and as it was read.
type Waiting = (Datagram, Message);

/// A name server.
#[derive(Clone, Debug)]
pub struct NameServer {
    config: ServerConfig,
    asker: Asker<Vec<Waiting>>,
    /// Who asks for what is already being asked.
    waiting: BTreeMap<DnsName, Vec<Waiting>>,
    /// How many they are, with those who asked first.
    clients: usize,
    /// What it was told, and until when that holds.
    cache: BTreeMap<DnsName, (Instant, Vec<Ipv4Addr>)>,
    sent: VecDeque<Datagram>,
}

impl NameServer {
    /// One that is told this. Ids and ports of what it asks are drawn from `rng`.
    pub fn new(config: ServerConfig, rng: Rng) -> Self {
        let asker = Asker::new(config.asks, rng);
        Self { config, asker, waiting: BTreeMap::new(), clients: 0, cache: BTreeMap::new(), sent: VecDeque::new() }
    }

    /// Takes what came.
    pub fn handle(&mut self, now: Instant, datagram: &Datagram) -> Heard {
        let to_it = self.config.addresses.contains(datagram.to.ip()) && datagram.to.port() == PORT;
        match Message::parse(&datagram.octets) {
            Ok(message) if matches!(message.kind, Kind::Answer(_)) => {
                let asked = self.asker.handle(now, datagram.from, datagram.to, &message);
                self.settle(now);
                if asked { Heard::Taken } else { Heard::NotForIt }
            }
            Ok(message) if to_it => self.query(now, datagram, message),
            Err(Malformed::Query(refusal)) if to_it => {
                self.send_back(datagram, refusal);
                Heard::Taken
            }
            Ok(_) | Err(_) => Heard::NotForIt,
        }
    }

    fn query(&mut self, now: Instant, datagram: &Datagram, message: Message) -> Heard {
        let name = &message.question.name;
        let of_zone = |zone: &&Zone| name.is_in(&zone.origin);
        let zone = self.config.zones.iter().filter(of_zone).max_by_key(|zone| zone.origin.labels());
        let of_forward = |forward: &&Forward| name.is_in(&forward.domain);
        let forward = self.config.forwards.iter().filter(of_forward).max_by_key(|forward| forward.domain.labels());
        let zone = zone.filter(|zone| forward.is_none_or(|it| it.domain.labels() < zone.origin.labels()));
        match (zone, forward) {
            (Some(zone), _) => {
                let (code, addresses) = match zone.records.get(name) {
                    Some(addresses) if message.question.for_addresses => (ResponseCode::NoError, addresses.clone()),
                    // A name that exists has no records of another type (RFC 2308 section 2.2); nor has one that others are below.
                    Some(_) => (ResponseCode::NoError, Vec::new()),
                    None if *name == zone.origin || zone.records.keys().any(|other| other.is_in(name)) => {
                        (ResponseCode::NoError, Vec::new())
                    }
                    None => (ResponseCode::NameError, Vec::new()),
                };
                let ttl = zone.ttl;
                self.answer(datagram, &message, code, true, (&addresses, ttl));
            }
            (None, Some(_)) if !message.question.for_addresses => {
                self.answer(datagram, &message, ResponseCode::NotImplemented, false, (&[], 0));
            }
            (None, Some(forward)) => {
                if let Some((until, addresses)) = self.cache.get(name).filter(|(until, _)| *until > now) {
                    let (addresses, left) = (addresses.clone(), until.since(now).as_nanos().div_ceil(1_000_000_000));
                    self.answer(datagram, &message, ResponseCode::NoError, false, (&addresses, left as u32));
                    return Heard::Taken;
                }
                if self.clients >= self.config.waiting_max {
                    return Heard::Full;
                }
                self.clients += 1;
                let (name, to) = (name.clone(), forward.to.clone());
                if let Some(waiting) = self.waiting.get_mut(&name) {
                    waiting.push((datagram.clone(), message));
                    return Heard::Taken;
                }
                self.waiting.insert(name.clone(), Vec::new());
                self.asker.ask(now, vec![(datagram.clone(), message)], name, to);
                self.settle(now);
            }
            (None, None) => {
                let code = self.config.otherwise;
                self.answer(datagram, &message, code, false, (&[], 0));
            }
        }
        Heard::Taken
    }

    /// Tells those who wait what their questions came to.
    fn settle(&mut self, now: Instant) {
        while let Some((first, name, outcome)) = self.asker.done() {
            let others = self.waiting.remove(&name).unwrap_or_default();
            self.clients -= first.len() + others.len();
            let (code, addresses, ttl) = match outcome {
                Outcome::Answered(answer) => (answer.code, answer.addresses, answer.ttl),
                // What it could not find out it does not know (RFC 1035 section 4.1.1), whoever refused.
                Outcome::Refused(_) | Outcome::TimedOut => (ResponseCode::ServerFailure, Vec::new(), 0),
            };
            if ttl > 0 && !addresses.is_empty() {
                self.cache.insert(name, (now + Duration::from_secs(ttl.into()), addresses.clone()));
            }
            for (datagram, message) in first.iter().chain(&others) {
                self.answer(datagram, message, code, false, (&addresses, ttl));
            }
        }
    }

    fn answer(
        &mut self,
        datagram: &Datagram,
        query: &Message,
        code: ResponseCode,
        authoritative: bool,
        (addresses, ttl): (&[Ipv4Addr], u32),
    ) {
        let answer = Answer {
            code,
            authoritative,
            recursion: matches!(query.kind, Kind::Query { recursion: true }),
            recursion_available: !self.config.forwards.is_empty(),
            addresses: addresses.to_vec(),
            ttl,
        };
        let answer = Message { kind: Kind::Answer(answer), ..query.clone() };
        self.send_back(datagram, answer.to_octets());
    }

    fn send_back(&mut self, to: &Datagram, octets: Vec<u8>) {
        self.sent.push_back(Datagram { by: to.by, from: to.to, to: to.from, octets });
    }

    /// Goes on with what has waited long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.asker.handle_timeout(now);
        self.settle(now);
    }

    /// When [`Self::handle_timeout`] must be called next ([`crate::reason::TimerKind::DnsTimeout`]).
    pub fn wake(&self) -> Option<Instant> {
        self.asker.wake()
    }

    /// The next message to send.
    pub fn poll(&mut self) -> Option<Datagram> {
        self.sent.pop_front().or_else(|| self.asker.poll())
    }

    /// Forgets what it was told and who waits.
    pub fn reset(&mut self) {
        self.asker.reset();
        self.waiting.clear();
        self.clients = 0;
        self.cache.clear();
        self.sent.clear();
    }
}
